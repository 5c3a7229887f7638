//! Figures, by hand: `cargo test --release -p keys figures -- --ignored --nocapture --test-threads 1`.
//! `BELFRY` folders are made under the temporary folder (`TMPDIR`), so that the disk that is measured can be chosen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use vms_core::{HoldId, SegmentId};

use super::{CREATE, at, config, name};
use crate::seal::{SealedWriterKey, SegmentOpener};
use crate::secret::{Secret, SystemRandom};
use crate::{Disk, KeyEpoch, KeyName, KeyRing, Random, RealDisk, Reason};

/// One second of 4 Mbit/s.
const RECORD: usize = 500_000;

#[expect(clippy::disallowed_methods, reason = "a measurement needs the clock")]
fn time<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let answer = act();
    (start.elapsed(), answer)
}

fn speed(label: &str, rounds: u32, mut act: impl FnMut(u64)) {
    (0..100).for_each(&mut act);
    let (took, ()) = time(|| (100..100 + u64::from(rounds)).for_each(&mut act));
    let megabytes = f64::from(rounds) * 0.5;
    println!(
        "{label}: {:.0} MB/s, {:.1} µs a record of 500 kB",
        megabytes / took.as_secs_f64(),
        took.as_secs_f64() * 1e6 / f64::from(rounds)
    );
}

#[test]
#[ignore = "a measurement"]
fn figures_of_sealing() {
    let key = Secret::random(&SystemRandom::new()).unwrap();
    let segment = SegmentId::from_bytes([1; 16]);
    let mut writer = SealedWriterKey::new(segment, KeyEpoch::new(1).unwrap(), &key);
    let opener = SegmentOpener::new(segment, &key, false);
    for round in 0..3_u64 {
        let mut body = vec![7_u8; RECORD];
        speed("seal, ring", 4_000, |number| {
            writer.seal_in_place(round * 1_000_000 + number, b"segment and head", &mut body).unwrap();
        });
        let mut sealed = vec![7_u8; RECORD];
        let number = (round + 1) * 1_000_000 - 1;
        writer.seal(number, b"segment and head", &mut sealed).unwrap();
        let mut scratch = sealed.clone();
        speed("open, ring (with a copy of the record)", 4_000, |_| {
            scratch.copy_from_slice(&sealed);
            opener.open_in_place(number, b"segment and head", &mut scratch).unwrap();
        });
        let theirs = aes_gcm::Aes256Gcm::new_from_slice(key.expose()).unwrap();
        speed("seal, RustCrypto aes-gcm", 1_000, |number| {
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&number.to_be_bytes());
            let tag = theirs.encrypt_inout_detached(&aes_gcm::Nonce::from(nonce), b"head", body.as_mut_slice().into());
            tag.unwrap();
        });
    }
    let (took, ()) = time(|| (0..100_000).for_each(|_| drop(SegmentOpener::new(segment, &key, false))));
    println!("key schedule made and wiped: {:.0} ns", took.as_secs_f64() * 1e4);
}

fn sorted(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, max {:.2} ms", at(50), at(95), at(99), at(100))
}

#[test]
#[ignore = "a measurement"]
fn figures_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let random: Arc<dyn Random> = Arc::new(SystemRandom::new());
    let two = config(dir.path(), true);
    let ring = KeyRing::open(Arc::clone(&disk), Arc::clone(&random), two.clone(), CREATE, at(0)).unwrap();
    let names = |hour: u32| (0..100).map(|camera| name(camera, hour)).collect::<Vec<KeyName>>();
    let id = |number: u32| {
        let mut raw = [5; 16];
        raw[..4].copy_from_slice(&number.to_be_bytes());
        SegmentId::from_bytes(raw)
    };
    let (took, ()) = time(|| ring.prepare_hours(&names(1), at(0)).unwrap());
    println!("hour keys of 100 cameras, two copies: {:.2} ms", took.as_secs_f64() * 1e3);
    let mut made = Vec::new();
    let begin = |number: u32| {
        time(|| ring.begin_segment(&name(u8::try_from(number % 100).unwrap(), 1), id(number), at(0)).unwrap().epoch())
    };
    let begun: Vec<Duration> = (0..2_000)
        .map(|number| {
            let (took, epoch) = begin(number);
            made.push((id(number), epoch));
            took
        })
        .collect();
    println!("begin a segment, two copies, synced (2,000): {}", sorted(begun));
    let opened = made.iter().map(|(segment, epoch)| time(|| ring.open_segment(*segment, *epoch).unwrap()).0).collect();
    println!("open a segment, hour in memory: {}", sorted(opened));
    let (took, report) = time(|| ring.hold(HoldId::from_bytes([1; 16]), &made, at(0)).unwrap());
    println!("hold {} segments: {:.0} ms", report.held, took.as_secs_f64() * 1e3);
    // 30 days of 100 cameras, then of 1,000.
    for hours in [720_u32, 7_200] {
        let done = ring.live_hours().last().map_or(0, |(epoch, ..)| epoch.hour().count());
        let (took, ()) = time(|| {
            let mut missing: Vec<KeyName> = (done + 1..=hours).flat_map(names).collect();
            while !missing.is_empty() {
                let batch = missing.split_off(missing.len().saturating_sub(500));
                ring.prepare_hours(&batch, at(0)).unwrap();
            }
        });
        let keys = ring.live_hours().len();
        println!("{keys} hour keys: made in {:.1} s", took.as_secs_f64());
        let (took, rotation) = time(|| ring.rotate(at(1)).unwrap());
        println!("  change of the root, {} keys, two copies: {:.0} ms", rotation.rewrapped, took.as_secs_f64() * 1e3);
        let path = two.first.store.join(format!("keys-{:08x}.bks", rotation.to.number()));
        println!(
            "  journal: {:.1} MB",
            std::fs::metadata(path).unwrap().len().to_string().parse::<f64>().unwrap() / 1e6
        );
        let (took, report) = time(|| ring.check(false).unwrap());
        println!("  check: {:.0} ms, {} hours, whole {}", took.as_secs_f64() * 1e3, report.hours, report.is_whole());
    }
    let (took, done) =
        time(|| ring.destroy_hours(&|name| name.hour.count() <= 1_000, 200_000, Reason::EndOfTerm, at(2)).unwrap());
    let rate = done.keys.len().to_string().parse::<f64>().unwrap() / took.as_secs_f64() * 60.0;
    println!("destroy {} keys in two copies: {:.0} ms, {rate:.0} a minute", done.keys.len(), took.as_secs_f64() * 1e3);
    drop(ring);
    let again = || KeyRing::open(Arc::clone(&disk), Arc::clone(&random), two.clone(), CREATE, at(3)).unwrap();
    let (took, ring) = time(again);
    println!("open the store, {} keys: {:.0} ms", ring.live_hours().len(), took.as_secs_f64() * 1e3);
}
