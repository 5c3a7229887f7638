//! What ingest costs: CPU of its one thread per camera. A measurement, run by hand:
//! `cargo test --release -p ingest --test cost -- --ignored --nocapture`.

#[cfg(test)]
#[expect(dead_code, reason = "the other tests use what this one does not")]
mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::Rig;
use sim::{CameraConfig, Film};

const CAMERAS: usize = 20;
const SECONDS: u64 = 20;

fn data() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    option_env!("BELFRY_DATA").map_or(beside, PathBuf::from)
}

/// User and system time of this thread, in clock ticks of 10 ms (`proc_pid_stat(5)`, fields 14 and 15).
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux should tell the time of a thread");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let times = after_name.split_whitespace().skip(11).take(2);
    times.map(|field| field.parse::<u64>().expect("a tick count should be a number")).sum()
}

#[test]
#[ignore = "a measurement of 20 seconds"]
fn cpu_per_camera() {
    let path = data().join("plates-eu.mp4");
    if !path.exists() {
        println!("NOT RUN: {} is absent", path.display());
        return;
    }
    let film = Arc::new(Film::open(&path).expect("the film should open"));
    let mbits = film.bits_per_second() / 10_000;
    // The simulator and the recorder's side have a runtime of their own; ingest runs on this thread alone.
    let outside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let cameras = (0..CAMERAS).map(|_| CameraConfig::new(Arc::clone(&film), None)).collect();
    let (rig, run) =
        outside.block_on(Rig::prepare(cameras, |config| config.session.silence_max = Duration::from_secs(5)));
    let shutdown = rig.shutdown.clone();
    let receiving = outside.spawn(async move {
        let mut recorder = rig.recorder().await;
        let specs: Vec<_> = (1..=CAMERAS).map(|camera| rig.spec(camera)).collect();
        recorder.assign(&specs).await;
        let until = tokio::time::Instant::now() + Duration::from_secs(SECONDS);
        let mut units = 0_u64;
        while tokio::time::Instant::now() < until && recorder.take_and_ack().await {
            units += 1;
        }
        shutdown.cancel();
        units
    });
    let inside = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = cpu_ticks();
    inside.block_on(run);
    let ticks = cpu_ticks() - before;
    let units = outside.block_on(receiving).unwrap();
    // A tick is 10 ms: a camera's share in thousandths of a per cent.
    let share = ticks * 100_000 / (SECONDS * 100) / u64::try_from(CAMERAS).unwrap();
    println!(
        "{CAMERAS} cameras of {}.{:02} Mbit/s, {units} messages in {SECONDS} s: {share} thousandths of a per cent of a core a camera",
        mbits / 100,
        mbits % 100
    );
    assert!(units > 0);
}
