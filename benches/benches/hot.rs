//! The functions that run for every frame: what a recorder and a live viewer cost before any IO.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use media::fmp4::FragmentHead;
use media::fragment::Fragment;
use media::{AccessUnit, Clocks, ParamSetId};
use sim::counter::{Counter, sei_nal};
use vms_core::{Codec, MediaTime, StreamId, WallTime};

/// One second of 4 Mbit/s at 25 frames/s: one large key frame, the rest small.
fn second() -> Vec<AccessUnit> {
    let counter = Counter { frame: 7, sent_at: WallTime::from_secs(1_790_000_000), camera: 3 };
    let sei = sei_nal(Codec::H264, &counter);
    (0..25_i64)
        .map(|n| {
            let length = if n == 0 { 120_000 } else { 15_800 };
            let mut payload = BytesMut::new();
            media::nal::put_length_prefixed(&sei, &mut payload);
            let mut slice = vec![0x5a_u8; length];
            if let Some(head) = slice.first_mut() {
                *head = if n == 0 { 0x65 } else { 0x41 };
            }
            media::nal::put_length_prefixed(&slice, &mut payload);
            let at = MediaTime::from_ticks(n * 3_600);
            AccessUnit {
                seq: u64::try_from(n).unwrap_or(0),
                epoch: 1,
                payload: payload.freeze(),
                is_key: n == 0,
                pts: at,
                dts: at,
                clocks: Clocks::default(),
                lost_before: 0,
                param_set: ParamSetId(1),
            }
        })
        .collect()
}

fn frames(c: &mut Criterion) {
    let units = second();
    let bytes: u64 = units.iter().map(|unit| u64::try_from(unit.payload.len()).unwrap_or(0)).sum();
    let fragment = Fragment::new(units.clone(), 3_600).expect("units make a fragment");
    let whole: Bytes = units.iter().flat_map(|unit| unit.payload.iter().copied()).collect::<Vec<u8>>().into();
    let mut group = c.benchmark_group("one second of 4 Mbit/s");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("moof for playback", |b| {
        let head = FragmentHead { sequence: 1, decode: 0, entry: 1, samples: fragment.samples() };
        b.iter(|| head.wrap(black_box(&whole)).expect("it fits"));
    });
    group.bench_function("moof per frame for live", |b| {
        b.iter(|| {
            for (unit, sample) in units.iter().zip(fragment.samples()) {
                let head = FragmentHead { sequence: 1, decode: 0, entry: 1, samples: std::slice::from_ref(sample) };
                black_box(head.wrap(&unit.payload).expect("it fits"));
            }
        });
    });
    group.bench_function("units over the link", |b| {
        let stream = StreamId::from_bytes([1; 16]);
        b.iter(|| {
            let mut out = BytesMut::with_capacity(700_000);
            for unit in &units {
                link::codec::encode(&link::Message::Unit(stream, unit.clone()), &mut out);
            }
            black_box(out.len())
        });
    });
    group.bench_function("find a counter in every unit", |b| {
        b.iter(|| {
            let found =
                units.iter().filter(|unit| sim::counter::find_counter_in_unit(Codec::H264, &unit.payload).is_some());
            assert_eq!(found.count(), 25);
        });
    });
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
