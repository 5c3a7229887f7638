//! What sealing costs a recorder: a record a second and camera, a key a minute and camera, a new root a day.
//! `TMPDIR` chooses the disk that is measured.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use keys::{
    CopyPaths, Hour, KeyName, KeyRing, KeyStoreConfig, OpenOptions, Protection, RealDisk, Scope, SecondCopy,
    SystemRandom,
};
use vms_core::{CameraId, RetentionClass, SegmentId, WallTime};

/// One second of 4 Mbit/s.
const RECORD: usize = 500_000;
/// Hours whose keys live while the root changes; of 100 cameras each.
const HOURS: u32 = 72;
const NOW: WallTime = WallTime::from_secs(1_795_000_000);

fn name(camera: u8, hour: u32) -> KeyName {
    KeyName {
        scope: Scope::Camera(CameraId::from_bytes([camera; 16])),
        class: RetentionClass::parse("RC-VID-OPEN").expect("the class should be known"),
        hour: Hour::from_count(hour),
    }
}

fn segment(number: u32) -> SegmentId {
    let mut raw = [5; 16];
    for (slot, byte) in raw.iter_mut().zip(number.to_be_bytes()) {
        *slot = byte;
    }
    SegmentId::from_bytes(raw)
}

fn ring(dir: &std::path::Path) -> KeyRing {
    let copy = |name: &str| CopyPaths { store: dir.join(name).join("store"), root: dir.join(name).join("root") };
    let config = KeyStoreConfig {
        first: copy("a"),
        second: SecondCopy::At(copy("b")),
        protection: Protection::FileMode,
        remember: Duration::from_secs(40 * 86_400),
    };
    let options = OpenOptions { may_create: true, is_read_only: false, is_fresh: false, adopt: None, without: None };
    KeyRing::open(Arc::new(RealDisk), Arc::new(SystemRandom::new()), config, options, NOW)
        .expect("the store should open")
}

fn records(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder should be made");
    let ring = ring(dir.path());
    let mut writer = ring.begin_segment(&name(1, 1), segment(1), NOW).expect("a segment should begin");
    let epoch = writer.epoch();
    let mut group = criterion.benchmark_group("keys");
    group.throughput(Throughput::Bytes(500_000));
    let mut sealed = vec![7_u8; RECORD];
    writer.seal(0, b"segment and head", &mut sealed).expect("a record should be sealed");
    let (mut body, mut number) = (vec![7_u8; RECORD], 0);
    group.bench_function("seal a record of 500 kB", |bench| {
        bench.iter(|| {
            number += 1;
            black_box(writer.seal_in_place(number, b"segment and head", &mut body)).expect("a record should be sealed")
        });
    });
    let opener = ring.open_segment(segment(1), epoch).expect("the segment should open");
    let mut scratch = sealed.clone();
    group.bench_function("open a record of 500 kB, with its copy", |bench| {
        bench.iter(|| {
            scratch.copy_from_slice(&sealed);
            black_box(opener.open_in_place(0, b"segment and head", &mut scratch)).expect("a record should open").len()
        });
    });
    group.finish();
}

fn store(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder should be made");
    let ring = ring(dir.path());
    for hour in 1..=HOURS {
        let names: Vec<KeyName> = (0..100).map(|camera| name(camera, hour)).collect();
        ring.prepare_hours(&names, NOW).expect("hour keys should be made");
    }
    let mut group = criterion.benchmark_group("key store, two copies on one disk");
    let mut number = 0;
    group.bench_function("begin a segment, synced", |bench| {
        bench.iter(|| {
            number += 1;
            ring.begin_segment(&name(1, 1), segment(number), NOW).expect("a segment should begin").epoch()
        });
    });
    let epoch = ring.begin_segment(&name(1, 1), segment(0), NOW).expect("a segment should begin").epoch();
    group.bench_function("open a segment", |bench| {
        bench.iter(|| black_box(ring.open_segment(segment(0), epoch)).expect("the segment should open"));
    });
    group.sample_size(10);
    group.bench_function("change of the root, 7,200 hour keys", |bench| {
        bench.iter(|| ring.rotate(NOW).expect("the root should change").rewrapped);
    });
    group.finish();
}

criterion_group!(benches, records, store);
criterion_main!(benches);
