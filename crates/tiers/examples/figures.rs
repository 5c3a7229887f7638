//! Figures of the tiers, a directory and an S3 server in this process: `cargo run -p tiers --release --example figures`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement for people"
)]

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use support::servers::{S3s, directory, tier};
use support::{Disk, START, TestClock, limits, mover};
use tiers::Tier;

/// A segment of a quarter of a minute at 4 Mbit/s.
const LEN: usize = 7_500_000;
const SEGMENTS: u32 = 40;
const SMALL: u32 = 2_000;

async fn measure(what: &str, tier: Tier) {
    let (disk, clock, state) = (Disk::new(), TestClock::new(), tempfile::tempdir().unwrap());
    let mover =
        Box::pin(mover(&disk, state.path(), tier, limits(8 * 1024 * 1024), Duration::from_secs(999), &clock)).await;
    for number in 0..SEGMENTS {
        disk.record(number, START, LEN);
    }
    mover.scan().await.unwrap();
    let began = Instant::now();
    let pass = Box::pin(mover.pass()).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(pass.stored, u64::from(SEGMENTS));
    let megabytes = f64::from(SEGMENTS) * 7.5;
    println!(
        "{what}: {:.0} MB/s hashed, sent, read back and compared ({SEGMENTS} segments of 7.5 MB, 4 at once)",
        megabytes / seconds
    );

    let small: Vec<_> = (0..SMALL).map(|number| disk.record(1_000 + number, START, 1_000).segment).collect();
    mover.scan().await.unwrap();
    let began = Instant::now();
    let mut stored = 0;
    while stored < u64::from(SMALL) {
        stored += Box::pin(mover.pass()).await.unwrap().stored;
    }
    println!("{what}: {:.0} small objects/s sent and verified", f64::from(SMALL) / began.elapsed().as_secs_f64());
    let began = Instant::now();
    let deleted = Box::pin(mover.delete(&small)).await.unwrap();
    assert_eq!(deleted.gone.len(), small.len());
    println!("{what}: {:.0} objects/s deleted, with the ledger", f64::from(SMALL) / began.elapsed().as_secs_f64());
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    Box::pin(measure("directory", directory(folder.path()))).await;
    let server = S3s::start().await;
    Box::pin(measure("s3s-fs", tier(&server.endpoint))).await;
}
