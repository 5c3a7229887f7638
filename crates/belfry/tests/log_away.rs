//! L1 in the whole system: while the log of uses takes no leaf, nothing is shown and recording loses nothing. A real recorder, a real `serve`;
//! the log's folder is full, never answers, or refuses. No part needs root, but the last: a log on a small disk that is filled.

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

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use vms_testkit::rig::{Person, Rig};

use outage::{SmallDisk, pid_of_role};
use support::{
    health, last_word, live_wish, newest_frames, now_us, open_live, options, playback, purpose, rfc3339, text,
    until_durable,
};

/// The gate's limit, and what a busy test machine may add.
const ANSWER_MAX: Duration = Duration::from_millis(2_500 + 10_000);
/// A view ends 10 s after the log went, at its next decision.
const VIEW_MAX: Duration = Duration::from_secs(40);

/// The last of the troubles: not played, but real.
const FULL_DISK: &str = "a full disk";

/// What is wrong with the log.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Whoever opens its file for writing waits for ever: a pipe that nobody reads.
    Frozen,
    /// Its disk is full: a device that always is.
    Full,
    /// It refuses: a folder stands where its file should be.
    Refusing,
}

/// Put into the place of the file that the next checkpoint goes through.
struct Trap {
    path: PathBuf,
    trouble: Trouble,
}

impl Trap {
    fn set(log: &Path, trouble: Trouble) -> Self {
        let path = log.join("public/checkpoint.tmp");
        drop(std::fs::remove_file(&path));
        match trouble {
            Trouble::Frozen => {
                let (at, kind) = (rustix::fs::CWD, rustix::fs::FileType::Fifo);
                rustix::fs::mknodat(at, &path, kind, rustix::fs::Mode::RWXU, 0).unwrap();
            }
            Trouble::Full => std::os::unix::fs::symlink("/dev/full", &path).unwrap(),
            Trouble::Refusing => std::fs::create_dir(&path).unwrap(),
        }
        Self { path, trouble }
    }

    /// Takes it away; gives what must live until the log works again.
    fn lift(self) -> Option<rustix::fd::OwnedFd> {
        match self.trouble {
            Trouble::Frozen => {
                let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
                let reader = rustix::fs::open(&self.path, flags, rustix::fs::Mode::empty()).unwrap();
                std::fs::remove_file(&self.path).unwrap();
                Some(reader)
            }
            Trouble::Full => {
                std::fs::remove_file(&self.path).unwrap();
                None
            }
            Trouble::Refusing => {
                std::fs::remove_dir(&self.path).unwrap();
                None
            }
        }
    }
}

struct Scene {
    rig: Rig,
    operator: Person,
    supervisor: Person,
    camera: String,
    stream: String,
}

impl Scene {
    async fn ask(
        &self,
        person: &Person,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, String, usize, Duration) {
        let asked = Instant::now();
        let answer = person.send(method, path, body).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.unwrap();
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        (status, problem["code"].as_str().unwrap_or("").to_owned(), bytes.len(), asked.elapsed())
    }

    async fn is_closed(&self) -> bool {
        // A look that needs no ticket: asked ten times a second, tickets would run out.
        let (from, to) = (rfc3339(now_us() - 20_000_000), rfc3339(now_us()));
        let path = format!("/api/v1/cameras/{}/timeline?from={from}&to={to}", self.camera);
        let (status, code, ..) = self.ask(&self.supervisor, "GET", &path, None).await;
        (status, code.as_str()) == (503, "log_unavailable")
    }

    /// Everything that shows something, while the log is away.
    async fn nothing_leaves(&self, film: &str, trouble: &str) {
        let (from, to) = (rfc3339(now_us() - 20_000_000), rfc3339(now_us() - 5_000_000));
        let span = json!({ "stream_id": self.stream, "from": from, "to": to, "purpose": purpose() });
        let search = json!({ "plate": "1ABC234", "from": from, "to": to, "purpose": { "code": "GERECHTELIJK_ONDERZOEK",
            "justification": "diefstal met vluchtwagen", "case_ref": "BR-7" } });
        let asks = [
            (&self.supervisor, "GET", film.to_owned(), None),
            (&self.supervisor, "POST", "/api/v1/playback-tickets".to_owned(), Some(span)),
            (&self.operator, "POST", "/api/v1/stream-tickets".to_owned(), Some(live_wish(&self.stream))),
            (&self.operator, "GET", "/api/v1/reads".to_owned(), None),
            (&self.supervisor, "POST", "/api/v1/reads/search".to_owned(), Some(search)),
            (&self.supervisor, "GET", format!("/api/v1/audit?from={from}&to={to}"), None),
            (&self.supervisor, "GET", format!("/api/v1/cameras/{}/timeline?from={from}&to={to}", self.camera), None),
        ];
        // On a full disk a leaf may still fit into what is left of a block, and its look is then lawful: asked until none fits.
        let tries = if trouble == FULL_DISK { 40 } else { 1 };
        let answers = futures_util::future::join_all(asks.iter().map(async |(person, method, path, body)| {
            let mut answer = self.ask(person, method, path, body.clone()).await;
            for _ in 1..tries {
                if answer.0 == 503 {
                    break;
                }
                answer = self.ask(person, method, path, body.clone()).await;
            }
            (path, answer)
        }));
        for (path, (status, code, length, took)) in answers.await {
            assert_eq!((status, code.as_str()), (503, "log_unavailable"), "{trouble} {path}");
            assert!(took < ANSWER_MAX, "{trouble} {path}: {took:?}");
            assert!(length < 1_000, "{trouble} {path}: {length} bytes are more than a problem");
        }
        eprintln!("L1 {trouble}: {} requests refused, 0 bytes", asks.len());
    }

    /// From the moment that the log is in trouble until it is out of it.
    async fn through<T>(&self, trouble: &str, begin: impl FnOnce() -> T, end: impl AsyncFnOnce(T)) {
        let footage = self.rig.path().join("state/footage/media");
        // Somebody looks all the while: who takes nothing and answers no ping is cut off for that.
        let mut socket = open_live(&self.rig, &self.operator, &self.stream).await;
        let view = tokio::spawn(async move { last_word(&mut socket).await });
        let film = text(&playback(&self.supervisor, &self.stream, 10).await, "/url");
        assert!(self.supervisor.bytes(&film, Some("bytes=0-999")).await.unwrap().len() == 1_000);
        let serve = pid_of_role(&self.rig, "serve");
        let (before, state) = (newest_frames(&footage), begin());
        let began = Instant::now();
        self.rig
            .until("access is closed", Duration::from_secs(40), async |_: &Rig| self.is_closed().await)
            .await
            .unwrap();
        let closed = began.elapsed();
        self.nothing_leaves(&film, trouble).await;
        let is_told = async |rig: &Rig| {
            health(rig).await.is_some_and(|(_, said)| said["alarms"].to_string().contains("\"log_not_writable\""))
        };
        self.rig.until("health tells it", Duration::from_secs(15), is_told).await.unwrap();
        let why = tokio::time::timeout(VIEW_MAX, view).await.expect("the view should end").unwrap();
        assert_eq!(why, "unavailable", "{trouble}");
        eprintln!(
            "L1 {trouble}: closed after {closed:?}, the view that ran ended {:?} after that",
            began.elapsed() - closed
        );
        let now = newest_frames(&footage);
        assert!(now.iter().all(|(camera, frame)| before.get(camera).is_some_and(|old| *frame > old + 50)), "{trouble}");

        end(state).await;
        let back = async |_: &Rig| !self.is_closed().await;
        let took = self.rig.until("access is open again", Duration::from_secs(40), back).await.unwrap();
        eprintln!("L1 {trouble}: open again {took:?} after the trouble");
        assert_eq!(pid_of_role(&self.rig, "serve"), serve, "{trouble}: without a restart");
    }

    /// Nothing of the recording is missing, and the log holds.
    async fn finish(mut self) {
        self.rig.stop_belfry().await.unwrap();
        let found = vms_benches::frames::walk(&self.rig.path().join("state/footage/media")).unwrap();
        assert_eq!(found.damaged, Vec::<String>::new());
        for (camera, footage) in &found.cameras {
            assert_eq!((footage.holes(), footage.doubled), (Vec::new(), 0), "camera {camera}");
        }
        let leaves = vms_benches::log::verify(&self.rig.path().join("state/log")).unwrap();
        assert!(leaves.size > 10 && leaves.unsigned == 0, "{leaves:?}");
    }
}

async fn scene(rig: Rig) -> Scene {
    let (operator, supervisor) = (rig.log_in("operator").await.unwrap(), rig.log_in("supervisor").await.unwrap());
    let camera = until_durable(&rig, &operator, 14).await;
    let (camera, stream) = (text(&camera, "/id"), text(&camera, "/streams/0/id"));
    Scene { rig, operator, supervisor, camera, stream }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_shown_without_the_log_and_recording_loses_nothing() {
    let scene = scene(Rig::start(options(2, 0)).await.unwrap()).await;
    let log = scene.rig.path().join("state/log");
    for trouble in [Trouble::Frozen, Trouble::Full, Trouble::Refusing] {
        let mut reader = None;
        let lift = async |trap: Trap| reader = trap.lift();
        scene.through(&format!("{trouble:?}"), || Trap::set(&log, trouble), lift).await;
        drop(reader);
    }
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_disk_is_full_closes_access_and_opens_it_again() {
    // The disk is there before the first frame: a stop in between would leave a hole of the test's own making.
    let mut rig = Rig::set_up(options(2, 0)).unwrap();
    let (log, old) = (rig.path().join("state/log"), rig.path().join("log-before"));
    std::fs::rename(&log, &old).unwrap();
    std::fs::create_dir(&log).unwrap();
    let Some(disk) = SmallDisk::mount(&log, 8) else { return };
    let copied = std::process::Command::new("cp").arg("-a").arg(old.join(".")).arg(&log).status().unwrap();
    assert!(copied.success());
    rig.start_sim().unwrap();
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(60), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();
    let scene = scene(rig).await;
    scene.through(FULL_DISK, || disk.fill(0), async |()| disk.empty()).await;
    scene.finish().await;
}
