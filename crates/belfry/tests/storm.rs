//! A6 in the whole system: a thousand people log in at once, again and again, while cameras record. Few hashes are computed beside each
//! other, the rest are turned away at once, and not a frame is lost (`reliability.md` A6).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect and what they measured"
)]

#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use vms_testkit::rig::Rig;

use support::{options, until_durable};

const CAMERAS: u32 = 8;
/// People of one wave.
const PEOPLE: u32 = 1_000;
/// Addresses that they come from: each may try ten times a minute.
const SOURCES: u8 = 200;
const WAVES: u32 = 2;

/// One client per address, as one per desk.
fn desks() -> Vec<reqwest::Client> {
    let desk = |n: u8| {
        let from = IpAddr::from([127, 0, 2, n]);
        reqwest::Client::builder().local_address(from).timeout(Duration::from_secs(90)).build().unwrap()
    };
    (1..=SOURCES).map(desk).collect()
}

/// A thousand at once; how often each status was answered, and the longest wait for it.
async fn wave(rig: &Rig, desks: &[reqwest::Client], number: u32) -> BTreeMap<u16, (u32, Duration)> {
    let mut all = JoinSet::new();
    for n in 0..PEOPLE {
        let desk = desks[usize::try_from(n).unwrap() % desks.len()].clone();
        // Every tenth is somebody, with the right password; the others guess at names.
        let known = ["operator", "supervisor", "technician", "administrator"];
        let name = if n % 10 == 0 {
            known[usize::try_from(n / 10).unwrap() % known.len()].to_owned()
        } else {
            format!("somebody{number}-{n}")
        };
        let body = json!({ "user_name": name, "password": rig.password() }).to_string();
        let request = desk.post(rig.url("/api/v1/login")).header("content-type", "application/json").body(body);
        all.spawn(async move {
            let began = Instant::now();
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            drop(answer.bytes().await.unwrap());
            (status, began.elapsed())
        });
    }
    let mut counts: BTreeMap<u16, (u32, Duration)> = BTreeMap::new();
    while let Some(done) = all.join_next().await {
        let (status, took) = done.unwrap();
        let entry = counts.entry(status).or_default();
        *entry = (entry.0 + 1, entry.1.max(took));
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_log_ins_at_once_cost_recording_no_frame() {
    let mut rig = Rig::start(options(CAMERAS, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    until_durable(&rig, &operator, 5).await;
    let desks = desks();
    for number in 1..=WAVES {
        let began = Instant::now();
        let counts = wave(&rig, &desks, number).await;
        eprintln!("A6: wave {number}: {counts:?} (status, count, longest) in {:?}", began.elapsed());
        assert_eq!(counts.values().map(|(count, _)| count).sum::<u32>(), PEOPLE);
        assert!(counts.keys().all(|status| [200, 401, 429, 503].contains(status)), "{counts:?}");
        let turned_away: u32 = [429, 503].iter().filter_map(|status| counts.get(status)).map(|(count, _)| count).sum();
        assert!(turned_away > PEOPLE / 2, "few wait, the rest is turned away: {counts:?}");
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    // Whoever was logged in goes on, and the recorder has it all.
    operator.ask("GET", "/api/v1/cameras", None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    rig.stop_belfry().await.unwrap();
    let found = vms_benches::frames::walk(&rig.path().join("state/footage/media")).unwrap();
    assert_eq!(found.cameras.len(), usize::try_from(CAMERAS).unwrap());
    let mut frames = 0_usize;
    for (camera, footage) in &found.cameras {
        assert_eq!((footage.holes(), footage.doubled), (Vec::new(), 0), "camera {camera}");
        frames += footage.frames.len();
    }
    eprintln!("A6: 0 of {frames} frames lost beside {} log-ins", PEOPLE * WAVES);
    assert!(frames > found.cameras.len() * 300, "{frames}");
}
