//! Writes leaves as fast as the log takes them, for the kill test, or at a rate, for its figures.
//!
//! `log_hammer kill DIR`: prints `A INDEX AT` for each acknowledged leaf and `C SIZE ROOT` for each checkpoint it sees, until killed.
//! `log_hammer load DIR RATE SECONDS`: prints p50, p95, p99 and the largest wait for an index.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool for tests, which reads the real clock"
)]

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use audit::{LeafKind, LogKey};
use vms_app::gate::{AuditLog as _, LogEntry};
use vms_core::WallTime;
use vms_store::log::{CHECKPOINT_EVERY, LogSettings, Sequencer};

fn settings(dir: &str, checkpoint_every: Duration) -> LogSettings {
    let dir = Path::new(dir);
    let key = LogKey::from_seed("belfry.test/log", &[1; 32]).unwrap();
    LogSettings { dir: dir.join("log"), lock: dir.join("signed"), key, salt: || [7; 32], checkpoint_every }
}

fn entry(at: WallTime) -> LogEntry {
    let details = serde_json::json!({
        "right": "live", "outcome": "allow", "actor": { "user": "usr_00000000000000000000000000000001", "org": "PZ-5340" },
        "camera": "cam_00000000000000000000000000000001", "purpose": "P1", "justification": "a figure for a test",
    });
    LogEntry { kind: LeafKind::Use, at, decision: None, refers: None, details }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "kill" {
        kill(&args[2]).await
    } else {
        load(&args[2], args[3].parse().unwrap(), args[4].parse().unwrap()).await
    }
}

async fn kill(dir: &str) {
    let (log, _thread) = Sequencer::start(settings(dir, Duration::from_millis(5))).unwrap();
    let (first, public) = (log.size(), log.public_dir().to_owned());
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_u64 {
        let log = log.clone();
        tasks.spawn(async move {
            for n in 0.. {
                // Unlike any other leaf of any run; within the ten seconds that times may differ.
                let at = WallTime::from_micros(
                    1_790_000_000_000_000 + i64::try_from((first + n * 8 + task) * 10 + task).unwrap(),
                );
                let index = log.append(entry(at)).await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "A {index} {}", at.micros).unwrap();
                out.flush().unwrap();
            }
        });
    }
    let key = LogKey::from_seed("belfry.test/log", &[1; 32]).unwrap();
    loop {
        if let Ok(text) = std::fs::read(public.join("checkpoint"))
            && let Ok((size, root)) = audit::note::open(&text, "belfry.test/log", key.verifier_key())
        {
            println!("C {size} {root}");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn load(dir: &str, rate: u64, seconds: u64) {
    let (log, thread) = Sequencer::start(settings(dir, CHECKPOINT_EVERY)).unwrap();
    let mut ticks = tokio::time::interval(Duration::from_nanos(1_000_000_000 / rate));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..rate * seconds {
        ticks.tick().await;
        let log = log.clone();
        let due = std::time::Instant::now();
        tasks.spawn(async move {
            let at = WallTime::from_micros(1_790_000_000_000_000 + i64::try_from(n).unwrap());
            log.append(entry(at)).await.unwrap();
            due.elapsed()
        });
    }
    let mut waits: Vec<Duration> = tasks.join_all().await;
    waits.sort_unstable();
    let at = |share: usize| waits[(waits.len() * share / 1_000).min(waits.len() - 1)].as_secs_f64() * 1_000.0;
    println!(
        "{} leaves at {rate}/s: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, largest {:.1} ms",
        waits.len(),
        at(500),
        at(950),
        at(990),
        at(1_000)
    );
    log.stop();
    thread.join().unwrap();
}
