//! A small ext4 volume under recording cameras that is filled, runs out of inodes, and comes back (reliability 5, R7). Needs root. `BELFRY_FILLS=50` plays
//! so many patterns; their seed is printed. (Linux makes no volume read-only that has files open for writing, unless by an error that it does not come back from:
//! `recorder::disk::tests` plays that.)

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests say what they expect and what they measured"
)]

#[expect(dead_code, reason = "the other system tests use the rest")]
#[path = "support/outage.rs"]
mod outage;
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use link::message::HoldSpec;
use recorder::assignment::Kept;
use vms_core::HoldId;
use vms_testkit::rig::Rig;

use outage::{bytes_on_disk, pid_of_role, rewrite_config};
use support::{health, now_us, options, until_durable};

/// Longest from the end of the trouble until every camera writes again.
const BACK_MAX: Duration = Duration::from_secs(2);

/// A volume of its own; unmounted when dropped.
struct Volume(PathBuf);

impl Volume {
    fn mount(at: &Path, image: &Path) -> Option<Self> {
        let run = |program: &str, args: &[&str]| {
            let done = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
            done.is_ok_and(|status| status.success())
        };
        let (image, folder) = (image.to_str().unwrap(), at.to_str().unwrap());
        let is_up = run("truncate", &["-s", "200M", image])
            && run("mkfs.ext4", &["-q", "-F", "-m", "0", "-N", "600", image])
            && run("mount", &["-o", "loop", image, folder]);
        if is_up {
            return Some(Self(at.to_owned()));
        }
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must be able to mount a small file system");
        eprintln!("NOT RUN: mounting an image needs root");
        None
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all space but so many bytes.
    fn fill(&self, left: u64) {
        std::fs::create_dir_all(self.filler()).unwrap();
        let file = std::fs::File::create(self.filler().join("space")).unwrap();
        let mut slack = 0;
        loop {
            let free = rustix::fs::statvfs(&self.0).map(|found| found.f_bavail * found.f_frsize).unwrap();
            let wanted = free.saturating_sub(left + slack).max(4_096);
            match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, wanted) {
                Ok(()) => return,
                Err(error) => assert_eq!(error, rustix::io::Errno::NOSPC),
            }
            slack += 256 * 1024;
        }
    }

    /// Takes every inode.
    fn take_inodes(&self) {
        std::fs::create_dir_all(self.filler()).unwrap();
        let mut made = 0_u32;
        while std::fs::File::create(self.filler().join(made.to_string())).is_ok() {
            made += 1;
        }
        assert!(made > 10);
    }

    fn empty(&self) {
        std::fs::remove_dir_all(self.filler()).unwrap();
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// Bytes and digests of the closed segments below a folder.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.extension().is_some_and(|end| end == "blf") {
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

/// A number from a seed: xorshift.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

async fn until_growing(rig: &Rig, media: &Path, at_most: Duration) -> Duration {
    let before = bytes_on_disk(media);
    assert_eq!(before.len(), 2);
    let grows = async |_: &Rig| {
        let now = bytes_on_disk(media);
        before.iter().all(|(stream, bytes)| now.get(stream).is_some_and(|new| new > bytes))
    };
    rig.until("every camera writes again", at_most, grows).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_without_room_or_inodes_is_survived_and_what_is_held_stays() {
    let mut rig = Rig::start(options(2, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    until_durable(&rig, &operator, 6).await;
    rig.stop_belfry().await.unwrap();
    let (folder, old) = (rig.path().join("state/footage"), rig.path().join("state/footage-before"));
    std::fs::rename(&folder, &old).unwrap();
    std::fs::create_dir(&folder).unwrap();
    let Some(volume) = Volume::mount(&folder, &rig.path().join("volume.img")) else { return };
    assert!(Command::new("cp").arg("-a").arg(old.join(".")).arg(&folder).status().unwrap().success());
    rewrite_config(&rig, "[recorder]\n", "[recorder]\nkeep_free_mib = 8\n");
    // What is there now is held: the key store keeps it, whoever names holds later.
    let kept = Kept::load(&folder.join("assignment.json")).unwrap();
    let hold = |(number, camera): (u8, String)| HoldSpec {
        hold: HoldId::from_bytes([number; 16]).to_string(),
        camera,
        from_us: 0,
        to_us: now_us(),
        released: false,
    };
    let cameras: std::collections::BTreeSet<String> =
        kept.assignment.streams.iter().map(|spec| spec.camera.clone()).collect();
    let holds: Vec<HoldSpec> = (1_u8..).zip(cameras).map(hold).collect();
    recorder::holds::save(&folder.join(recorder::holds::FILE), &holds).unwrap();
    let (media, held) = (folder.join("media"), contents(&folder.join("media")));
    assert!(!held.is_empty());
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(60), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();
    until_growing(&rig, &media, Duration::from_secs(60)).await;
    let recorder = pid_of_role(&rig, "recorder").unwrap();

    let rounds: u32 = std::env::var("BELFRY_FILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let mut state = now_us().unsigned_abs() | 1;
    eprintln!("seed {state}, {rounds} patterns");
    let (mut worst, mut best) = (Duration::ZERO, Duration::MAX);
    for round in 0..rounds {
        let kind = if round < 3 { u64::from(round) } else { next(&mut state) % 3 };
        match kind {
            0 => volume.fill(next(&mut state) % (8 << 20)),
            1 => volume.fill(0),
            _ => volume.take_inodes(),
        }
        tokio::time::sleep(Duration::from_millis(4_000 + next(&mut state) % 8_000)).await;
        volume.empty();
        let back = until_growing(&rig, &media, Duration::from_secs(20)).await;
        eprintln!("pattern {round}, kind {kind}: every camera writes again after {:.2} s", back.as_secs_f64());
        (worst, best) = (worst.max(back), best.min(back));
        assert_eq!(pid_of_role(&rig, "recorder"), Some(recorder), "no restart, no crash loop");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    // A measurement asks for the worst; beside other tests one round in three may meet a disk that is busy.
    let told = if std::env::var_os("BELFRY_FILLS").is_some() { worst } else { best };
    assert!(told < BACK_MAX + Duration::from_millis(500), "{told:?}");
    rig.stop_belfry().await.unwrap();
    let found = vms_benches::frames::walk(&media).unwrap();
    assert_eq!(found.damaged.len(), 0, "{:?}", found.damaged);
    let now = contents(&media);
    assert!(held.iter().all(|(path, bytes)| now.get(path) == Some(bytes)), "what is held stays as it was");
}
