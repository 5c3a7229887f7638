//! A disk that can freeze, lose its power and refuse writes: ext4 on a loop device on a FUSE file on `nbdkit` (reliability.md 2.2).
//! Needs root and the packages `nbdkit`, `libnbd-bin` and `fuse3`. What is written to the image in the moment of the freeze is what a power
//! cut would leave; a disk that changes the order of writes in its own cache is not played.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;
use tokio::time::sleep;
use vms_benches::process::{signal, tree};

/// Looks for something every 50 ms, so many times.
const LOOKS: u32 = 400;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The disk, mounted.
#[derive(Debug)]
pub(crate) struct FaultDisk {
    image: PathBuf,
    mount: PathBuf,
    fuse_dir: PathBuf,
    fuse: Child,
    server: u32,
    device: String,
    is_attached: bool,
}

/// Runs a program to its end; its words are in the error.
pub(crate) fn run(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{program} is needed: scripts/setup.sh drills"))?;
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    ensure!(output.status.success(), "{program} {}: {} {words}", args.join(" "), output.status);
    Ok(words)
}

fn word(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path of the drill is no text")
}

/// Makes an empty ext4 in a sparse file.
pub(crate) fn format(image: &Path, mib: u64) -> anyhow::Result<()> {
    std::fs::File::create(image)?.set_len(mib * 1024 * 1024)?;
    run("mkfs.ext4", &["-q", "-F", word(image)?])?;
    Ok(())
}

/// What a boot does before it mounts: replays the journal and mends what needs nobody's judgement. True when it had nothing to mend
/// beyond that.
pub(crate) fn preen(image: &Path) -> anyhow::Result<bool> {
    let output = Command::new("e2fsck").arg("-p").arg(image).stdin(Stdio::null()).output()?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => bail!("e2fsck -p wants a person: {}", String::from_utf8_lossy(&output.stdout)),
    }
}

impl FaultDisk {
    /// Attaches an image and mounts it. With a trigger every write fails with EIO while that file is there; each write takes `slow_ms`
    /// longer than it would.
    pub(crate) async fn attach(
        image: &Path,
        mount: &Path,
        (trigger, slow_ms): (Option<&Path>, u64),
    ) -> anyhow::Result<Self> {
        let fuse_dir = image.with_extension("fuse");
        std::fs::create_dir_all(&fuse_dir)?;
        std::fs::create_dir_all(mount)?;
        let mut command = Command::new("nbdfuse");
        command.arg(fuse_dir.join("disk")).args(["--command", "nbdkit", "-s", "--exit-with-parent"]);
        if trigger.is_some() {
            command.arg("--filter=error");
        }
        if slow_ms > 0 {
            command.arg("--filter=delay");
        }
        command.arg("file").arg(image);
        if slow_ms > 0 {
            command.arg(format!("delay-write={slow_ms}ms"));
        }
        if let Some(trigger) = trigger {
            command
                .args(["error-pwrite=EIO", "error-pwrite-rate=100%"])
                .arg(format!("error-pwrite-file={}", word(trigger)?));
        }
        let words = std::fs::OpenOptions::new().create(true).append(true).open(image.with_extension("log"))?;
        let fuse = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words).spawn();
        let fuse = fuse.context("nbdfuse is needed: scripts/setup.sh drills")?;
        let mut disk = Self {
            image: image.to_owned(),
            mount: mount.to_owned(),
            fuse_dir,
            server: 0,
            fuse,
            device: String::new(),
            is_attached: false,
        };
        disk.server = disk.until_served().await?;
        disk.device = run("losetup", &["--find", "--show", word(&disk.fuse_dir.join("disk"))?])?;
        disk.is_attached = true;
        run("mount", &["-o", "noatime", &disk.device, word(mount)?])?;
        Ok(disk)
    }

    async fn until_served(&mut self) -> anyhow::Result<u32> {
        for _ in 0..LOOKS {
            let server = tree(self.fuse.id()).into_iter().find(|process| process.command.starts_with("nbdkit "));
            if let Some(server) = server
                && self.fuse_dir.join("disk").exists()
            {
                return Ok(server.pid);
            }
            ensure!(
                self.fuse.try_wait()?.is_none(),
                "nbdfuse ended: see {}",
                self.image.with_extension("log").display()
            );
            sleep(LOOK_EVERY).await;
        }
        bail!("nbdfuse serves nothing")
    }

    /// The disk answers nothing any more.
    pub(crate) fn freeze(&self) {
        signal(self.server, Signal::STOP);
    }

    /// It goes on.
    pub(crate) fn thaw(&self) {
        signal(self.server, Signal::CONT);
    }

    /// Copies what is on the disk now, sparsely; the disk is frozen.
    pub(crate) fn copy(&self, to: &Path) -> anyhow::Result<()> {
        run("cp", &["--sparse=auto", word(&self.image)?, word(to)?])?;
        Ok(())
    }

    /// The kernel stopped writing to it.
    pub(crate) fn is_read_only(&self) -> bool {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let own = mounts.lines().find(|line| line.starts_with(&format!("{} ", self.device)));
        own.is_none_or(|line| line.split(' ').nth(3).is_some_and(|options| options.split(',').any(|word| word == "ro")))
    }

    /// Refused writes so far, by the words of the server.
    pub(crate) fn refused(&self) -> usize {
        let words = std::fs::read_to_string(self.image.with_extension("log")).unwrap_or_default();
        words.matches("injecting EIO error").count()
    }

    /// Unmounts it, once nobody uses it any more.
    pub(crate) async fn detach(mut self) -> anyhow::Result<()> {
        self.thaw();
        let mount = word(&self.mount)?.to_owned();
        let mut last = Ok(String::new());
        for _ in 0..LOOKS {
            last = run("umount", &[&mount]);
            if last.is_ok() {
                break;
            }
            sleep(LOOK_EVERY).await;
        }
        last?;
        run("losetup", &["-d", &self.device])?;
        self.is_attached = false;
        for _ in 0..LOOKS {
            if run("fusermount3", &["-u", word(&self.fuse_dir)?]).is_ok() {
                break;
            }
            sleep(LOOK_EVERY).await;
        }
        for _ in 0..LOOKS {
            if self.fuse.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        bail!("nbdfuse does not end")
    }
}

impl Drop for FaultDisk {
    fn drop(&mut self) {
        self.thaw();
        if self.is_attached {
            for (program, args) in [
                ("umount", vec!["-l".to_owned(), self.mount.display().to_string()]),
                ("losetup", vec!["-d".to_owned(), self.device.clone()]),
                ("fusermount3", vec!["-u".to_owned(), "-z".to_owned(), self.fuse_dir.display().to_string()]),
            ] {
                drop(Command::new(program).args(args).stderr(Stdio::null()).status());
            }
        }
        drop(self.fuse.kill());
        drop(self.fuse.wait());
    }
}
