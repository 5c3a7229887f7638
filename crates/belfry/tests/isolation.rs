//! A camera that kills its ingest process is put apart, and the others run on. Debug builds only: a release has no switch for it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

#[expect(dead_code, reason = "the system tests use what this one does not")]
mod support;

use std::time::Duration;

use serde_json::Value;
use support::{options, text};
use tokio::time::Instant;
use vms_testkit::rig::{Person, Rig};

/// Main streams of the cameras: id of the stream, phase, cause.
async fn cameras(person: &Person) -> Vec<(String, String, String)> {
    let Ok(page) = person.ask("GET", "/api/v1/cameras", None).await else { return Vec::new() };
    let items = page.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
    let cause = |camera: &Value| camera.pointer("/health/cause").and_then(Value::as_str).unwrap_or("").to_owned();
    items.iter().map(|one| (text(one, "/streams/0/id"), text(one, "/health/phase"), cause(one))).collect()
}

/// Command lines under the supervisor that hold `words`.
fn processes(rig: &Rig, words: &str) -> Vec<(u32, String)> {
    let all = vms_benches::process::tree(rig.supervisor().unwrap());
    all.into_iter().filter(|one| one.command.contains(words)).map(|one| (one.pid, one.command)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_death_puts_a_camera_apart() {
    let rig = Rig::start(options(3, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    let all_live = async |_: &Rig| {
        let seen = cameras(&operator).await;
        seen.len() == 3 && seen.iter().all(|(_, phase, _)| phase == "live")
    };
    rig.until("three cameras are live", Duration::from_secs(40), all_live).await.unwrap();
    let bad = cameras(&operator).await.first().unwrap().0.clone();
    assert!(processes(&rig, "role relay").is_empty());

    // Read when a process begins with a camera: it must be ended once.
    std::fs::write(rig.path().join("run/abort-at"), &bad).unwrap();
    let (first, _) = processes(&rig, "role ingest --instance 0").pop().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(first).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();

    let apart = async |rig: &Rig| !processes(rig, "role relay").is_empty();
    rig.until("the camera is put apart", Duration::from_secs(40), apart).await.unwrap();
    let others_live = async |_: &Rig| {
        let seen = cameras(&operator).await;
        seen.len() == 3 && seen.iter().all(|(stream, phase, _)| (phase == "live") != (*stream == bad))
    };
    rig.until("the others are live again", Duration::from_secs(40), others_live).await.unwrap();

    // From now on the process of the others does not die, and they miss nothing.
    let (main, _) = processes(&rig, "role ingest --instance 0").pop().unwrap();
    let until = Instant::now() + Duration::from_secs(6);
    let mut causes = Vec::new();
    while Instant::now() < until {
        for (stream, phase, cause) in cameras(&operator).await {
            if stream == bad { causes.push(cause) } else { assert_eq!(phase, "live", "{stream}") }
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(processes(&rig, "role ingest --instance 0").iter().any(|(pid, _)| *pid == main), "the same process still");
    assert!(causes.iter().any(|cause| cause == "ingest_restart"), "the camera says why: {causes:?}");
    let log = std::fs::read_to_string(rig.path().join("belfry.log")).unwrap();
    assert!(log.contains("killed its process") || log.contains("lives alone"), "{log}");
    let figures = figures(&rig).await;
    assert!(figures.contains("belfry_ingest_cameras_apart{process=\"keeper-0\"} 1"), "{figures}");

    // Mended: it comes back where it is.
    std::fs::remove_file(rig.path().join("run/abort-at")).unwrap();
    rig.until("all are live", Duration::from_secs(90), all_live).await.unwrap();
    assert!(!processes(&rig, "--instance 100000").is_empty());
}

async fn figures(rig: &Rig) -> String {
    let config = std::fs::read_to_string(rig.path().join("belfry.toml")).unwrap();
    let bind = config.lines().find_map(|line| line.strip_prefix("metrics_bind = '")).unwrap().trim_end_matches('\'');
    reqwest::get(format!("http://{bind}/metrics")).await.unwrap().text().await.unwrap()
}
