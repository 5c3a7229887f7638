//! The database server is frozen, not stopped: its connections stay and say nothing (a hypervisor that pauses it, a disk that
//! hangs). Whoever asks hears so within the bound, nothing is shown, recording goes on, and a thawed server is in use again
//! without a hand.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect and what they measured")]

#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;
use vms_benches::process::{signal, tree};
use vms_testkit::postgres;
use vms_testkit::rig::{Rig, RigOptions};

use support::{health, last_word, live_wish, newest_frames, open_live, options, text, until_durable};

/// The bound of the API, and a second for a busy test machine.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// The test server's processes, frozen until dropped.
struct Frozen(Vec<u32>);

impl Frozen {
    fn server() -> Self {
        let folder = std::env::temp_dir().join(format!("belfry-pg-{}", std::process::id()));
        let text = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
        let postmaster = text.lines().next().unwrap().trim().parse().unwrap();
        // The postmaster first: from then on nobody new comes.
        signal(postmaster, Signal::STOP);
        let pids: Vec<u32> = tree(postmaster).into_iter().map(|process| process.pid).collect();
        assert!(pids.contains(&postmaster) && pids.len() > 1, "{pids:?}");
        pids.iter().for_each(|pid| signal(*pid, Signal::STOP));
        Self(pids)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| signal(*pid, Signal::CONT));
    }
}

/// Process id of `serve` under the rig's supervisor.
fn serve_pid(rig: &Rig) -> u32 {
    let family = tree(rig.supervisor().unwrap());
    family.into_iter().find(|process| process.command.contains(" role serve ")).unwrap().pid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_frozen_everybody_is_told_in_time_and_recording_goes_on() {
    let url = postgres::database().await.unwrap();
    let mut rig = Rig::start(RigOptions { database: Some(url), ..options(2, 0) }).await.unwrap();
    let (operator, technician) = (rig.log_in("operator").await.unwrap(), rig.log_in("techniek").await.unwrap());
    let camera = until_durable(&rig, &operator, 6).await;
    let (id, stream) = (text(&camera, "/id"), text(&camera, "/streams/0/id"));
    let mut socket = open_live(&rig, &operator, &stream).await;
    let serve = serve_pid(&rig);

    let footage = rig.path().join("state/footage/media");
    let before = newest_frames(&footage);
    let frozen = Frozen::server();
    let began = Instant::now();
    let change = json!({ "reason": "de raad heeft een nieuw besluit genomen", "retention_class": "RC-VID-POL" });
    let asks = [
        (&operator, "GET", "/api/v1/cameras".to_owned(), None),
        (&operator, "GET", "/api/v1/session".to_owned(), None),
        (&operator, "POST", "/api/v1/stream-tickets".to_owned(), Some(live_wish(&stream))),
        (&technician, "POST", format!("/api/v1/cameras/{id}/legal-changes"), Some(change.clone())),
        (&technician, "GET", "/api/v1/health/cameras".to_owned(), None),
    ];
    // All at once, twice: the second round meets a pool whose connections all wait.
    for round in 1..=2 {
        let answers = futures_util::future::join_all(asks.iter().map(async |(person, method, path, body)| {
            let asked = Instant::now();
            let answer = person.send(method, path, body.clone()).await.unwrap();
            let (status, waits) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
            let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            (path, status, waits, problem, asked.elapsed())
        }))
        .await;
        for (path, status, waits, problem, took) in answers {
            eprintln!("round {round}: {path} answered {status} {} after {:.1} s", problem["code"], took.as_secs_f64());
            assert!(took < ANSWER_MAX, "{path} took {took:?}");
            assert_eq!((status, waits), (503, true), "{path} {problem}");
            let known = ["database_unavailable", "outcome_unknown", "timed_out"];
            assert!(known.contains(&text(&problem, "/code").as_str()), "{path} {problem}");
        }
    }
    let (status, body) = health(&rig).await.unwrap();
    assert_eq!(status, 503, "{body}");

    // Nobody's right can be looked up: the live view ends with its capability, and says why.
    let why = tokio::time::timeout(Duration::from_secs(25), last_word(&mut socket));
    assert_eq!(why.await.expect("the view outlived its capability"), "unavailable");
    let now = newest_frames(&footage);
    assert!(
        now.iter().all(|(camera, frame)| before.get(camera).is_some_and(|old| *frame > old + 50)),
        "{before:?} {now:?}"
    );
    eprintln!("frozen for {:.1} s", began.elapsed().as_secs_f64());

    drop(frozen);
    let thawed = Instant::now();
    let good = async |rig: &Rig| health(rig).await.is_some_and(|(status, _)| status == 200);
    rig.until("health is good again", Duration::from_secs(30), good).await.unwrap();
    eprintln!("everything back {:.1} s after the thaw", thawed.elapsed().as_secs_f64());
    assert_eq!(serve_pid(&rig), serve, "without a restart");
    operator.ask("GET", "/api/v1/cameras", None).await.expect("the session outlived the freeze");
    // What was asked meanwhile was not applied behind anybody's back, so it can be asked again.
    let path = format!("/api/v1/cameras/{id}/legal-changes");
    let known = technician.ask("GET", &path, None).await.unwrap();
    assert_eq!(known["items"].as_array().map(Vec::len), Some(0), "{known}");
    technician.ask("POST", &path, Some(change)).await.unwrap();
    drop(open_live(&rig, &operator, &stream).await);

    rig.stop_belfry().await.unwrap();
    assert_eq!(vms_benches::frames::walk(&footage).unwrap().damaged, Vec::<String>::new());
    let leaves = vms_benches::log::verify(&rig.path().join("state/log")).unwrap();
    assert!(leaves.size > 0, "{leaves:?}");
}
