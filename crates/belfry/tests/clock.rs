//! A recorder whose clock is moved while it stands and while it runs, with a time service that lies (reliability 5, D5): no key dies without two people.
//! Needs libfaketime (Debian package `faketime`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests say what they expect and what they measured"
)]

#[path = "support/faketime.rs"]
mod faketime;
#[expect(dead_code, reason = "the other system tests use the rest")]
#[path = "support/outage.rs"]
mod outage;
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use recorder::deletions::{Line, Step, lines};
use vms_testkit::rig::Rig;

use faketime::set;
use outage::rewrite_config;
use support::{options, until_durable};

const DAY_S: i64 = 86_400;

/// The recorder alone, as its unit would start it, under a clock that is off by what `offset` says.
struct Recorder {
    child: Child,
    log: PathBuf,
}

impl Recorder {
    fn start(rig: &Rig, library: &Path, offset: &Path) -> Self {
        let log = rig.path().join("recorder-clock.log");
        let child = Command::new(options(1, 0).programs.join("belfry"))
            .arg("--config")
            .arg(rig.path().join("belfry.toml"))
            .args(["role", "recorder"])
            .envs(faketime::variables(library, offset))
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(std::fs::OpenOptions::new().append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn until(&self, what: &str) {
        let began = Instant::now();
        while !std::fs::read_to_string(&self.log).unwrap().contains(what) {
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "the log does not say `{what}`: {}",
                self.log.display()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::fs::read_to_string(&self.log).unwrap()
    }
}

/// A time service that says it is synchronised, by the clock that is off.
fn lie(mark: &Path, seconds: i64) {
    let span = Duration::from_secs(seconds.unsigned_abs());
    let now = SystemTime::now();
    let faked = if seconds < 0 { now - span } else { now + span };
    std::fs::File::create(mark).unwrap().set_modified(faked).unwrap();
}

fn destroyed(footage: &Path) -> usize {
    let is_one = |line: &Line| matches!(line.step, Step::KeysDestroyed { .. } | Step::FilesErased { .. });
    lines(&footage.join("deletions")).unwrap().iter().filter(|line| is_one(line)).count()
}

/// Segment files below a folder.
fn files(folder: &Path) -> usize {
    let count = |entry: std::fs::DirEntry| match entry.path() {
        path if path.is_dir() => files(&path),
        path => usize::from(path.extension().is_some_and(|end| end == "blf")),
    };
    std::fs::read_dir(folder).unwrap().flatten().map(count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_dies_by_a_clock_that_was_moved() {
    let Some(library) = faketime::library() else {
        eprintln!("this test did not run: libfaketime is missing (Debian package `faketime`)");
        return;
    };
    let mut rig = Rig::start(options(1, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    until_durable(&rig, &operator, 6).await;
    rig.stop_belfry().await.unwrap();
    let (footage, mark, offset) =
        (rig.path().join("state/footage"), rig.path().join("synchronized"), rig.path().join("offset"));
    rewrite_config(&rig, "time = 'host'", &format!("time = 'ntp'\ntime_mark = '{}'", mark.display()));
    assert_eq!(destroyed(&footage), 0);
    let there = files(&footage);
    // No time service at all: nothing is destroyed, and it is said.
    set(&offset, 0);
    let recorder = Recorder::start(&rig, &library, &offset);
    recorder.until("nothing is destroyed: the wall clock cannot be trusted");
    assert!(recorder.end().contains("Untrusted"));
    // Moved while it stood, with a time service that lies.
    for step_s in [31 * DAY_S, 365 * DAY_S, -365 * DAY_S, 3_600] {
        set(&offset, step_s);
        lie(&mark, step_s);
        let recorder = Recorder::start(&rig, &library, &offset);
        recorder.until("nothing is destroyed: the wall clock cannot be trusted");
        let log = recorder.end();
        assert!(log.contains("Stepped") && log.contains("clock_stepped"), "{step_s}: {log}");
    }
    // Moved while it runs: within the next minute it is seen.
    set(&offset, 0);
    lie(&mark, 0);
    let recorder = Recorder::start(&rig, &library, &offset);
    recorder.until("recovery is done");
    std::thread::sleep(Duration::from_secs(3));
    set(&offset, 31 * DAY_S);
    lie(&mark, 31 * DAY_S);
    recorder.until("nothing is destroyed: the wall clock cannot be trusted");
    assert!(recorder.end().contains("Stepped"));
    assert_eq!((destroyed(&footage), files(&footage)), (0, there), "0 keys, 0 files");
    // Two people say that the clock is right: then it goes, by the term.
    set(&offset, 31 * DAY_S);
    lie(&mark, 31 * DAY_S);
    let recorder = Recorder::start(&rig, &library, &offset);
    recorder.until("nothing is destroyed: the wall clock cannot be trusted");
    recorder.end();
    let approval = recorder::trust::ClockApproval {
        at_us: support::now_us() + 31 * DAY_S * 1_000_000,
        first: "An".to_owned(),
        second: "Bo".to_owned(),
    };
    approval.give(&footage).unwrap();
    let recorder = Recorder::start(&rig, &library, &offset);
    recorder.until("hour keys past their term were destroyed");
    recorder.end();
    let records = lines(&footage.join("deletions")).unwrap();
    assert!(records.iter().any(|line| matches!(line.step, Step::ClockApproved(_))));
    assert!(destroyed(&footage) > 0, "approved, it is destroyed");
}
