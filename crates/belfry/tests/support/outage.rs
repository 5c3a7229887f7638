//! For tests of what goes wrong: changing a rig's configuration, looking at its processes and its disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use vms_benches::process::{signal, tree};
use vms_testkit::rig::{Person, Rig};

use crate::support::{now_us, options, rfc3339, text};

/// Replaces a text that stands once in the configuration; Belfry reads it at its next start.
pub(crate) fn rewrite_config(rig: &Rig, old: &str, new: &str) {
    let path = rig.path().join("belfry.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    assert_eq!(config.matches(old).count(), 1, "`{old}` in {config}");
    std::fs::write(&path, config.replace(old, new)).unwrap();
}

/// Port of the rig's simulator.
pub(crate) fn rtsp_port(rig: &Rig) -> u16 {
    let config = std::fs::read_to_string(rig.path().join("belfry.toml")).unwrap();
    let (_, rest) = config.split_once("allowed_ports = [[").unwrap();
    rest.split_once(',').unwrap().0.parse().unwrap()
}

/// One more simulator, with a film and a password of its own. Kill it at the end.
pub(crate) fn simulator(rig: &Rig, port: u16, film: &str, cameras: u32, password: &str) -> Child {
    let own = options(1, 0);
    let film = own.repository.join("target/films").join(film);
    assert!(film.exists(), "{} is missing: run scripts/make-films.sh", film.display());
    let secret = rig.path().join("second.password");
    std::fs::write(&secret, password).unwrap();
    let log = std::fs::OpenOptions::new().append(true).open(rig.path().join("sim.log")).unwrap();
    Command::new(own.programs.join("belfry-media"))
        .args(["sim", "cameras", "--count", &cameras.to_string(), "--port", &port.to_string(), "--user", "sim"])
        .arg("--password-file")
        .arg(secret)
        .arg("--film")
        .arg(film)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Process id of a role under the rig's supervisor.
pub(crate) fn pid_of_role(rig: &Rig, role: &str) -> Option<u32> {
    let wanted = format!(" role {role} ");
    let family = tree(rig.supervisor()?);
    family.into_iter().find(|process| process.command.contains(&wanted)).map(|process| process.pid)
}

/// SIGKILL to the supervisor and all its children, as good as at once.
pub(crate) async fn kill_everything(rig: &mut Rig) {
    for process in tree(rig.supervisor().unwrap()) {
        signal(process.pid, Signal::KILL);
    }
    rig.stop_belfry().await.unwrap();
}

/// Bytes of footage by stream.
pub(crate) fn bytes_on_disk(media: &Path) -> BTreeMap<String, u64> {
    fn below(folder: &Path) -> u64 {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(
                |entry| {
                    if entry.path().is_dir() { below(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) }
                },
            )
            .sum()
    }
    let streams = std::fs::read_dir(media).unwrap().flatten();
    streams.map(|stream| (stream.file_name().to_string_lossy().into_owned(), below(&stream.path()))).collect()
}

/// µs of an RFC 3339 text.
pub(crate) fn instant(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

/// Holes of the last ten minutes on the timelines of every camera: from, to, cause.
pub(crate) async fn gaps(person: &Person) -> Vec<(i64, i64, String)> {
    let page = person.ask("GET", "/api/v1/cameras", None).await.unwrap();
    let mut all = Vec::new();
    for camera in page["items"].as_array().unwrap() {
        let (id, stream) = (text(camera, "/id"), text(camera, "/streams/0/id"));
        let (from, to) = (rfc3339(now_us() - 600_000_000), rfc3339(now_us()));
        let path = format!("/api/v1/cameras/{id}/timeline?stream={stream}&from={from}&to={to}");
        let line = person.ask("GET", &path, None).await.unwrap();
        let holes = line["gaps"].as_array().unwrap().iter();
        all.extend(holes.map(|gap| (instant(&gap["from"]), instant(&gap["to"]), text(gap, "/cause"))));
    }
    all
}

/// A small file system; unmounted at the end.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many MiB; `None` where mounting is not allowed, which CI does not accept.
    pub(crate) fn mount(at: &Path, mib: u32) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=750"), "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must be able to mount a small file system");
        eprintln!("NOT RUN: mounting a small file system needs root");
        None
    }

    /// Takes all space but `mib`. The recorder writes meanwhile: what was free a moment ago may be too much.
    pub(crate) fn fill(&self, mib: u64) {
        let file = std::fs::File::create(self.0.join("filler")).unwrap();
        let mut slack = 0;
        loop {
            let free = rustix::fs::statvfs(&self.0).map(|found| found.f_bavail * found.f_frsize).unwrap();
            let wanted = free.saturating_sub(mib * 1024 * 1024 + slack);
            match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, wanted) {
                Ok(()) => return,
                Err(error) => assert_eq!(error, rustix::io::Errno::NOSPC),
            }
            slack += 64 * 1024;
        }
    }

    /// Gives the space back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}
