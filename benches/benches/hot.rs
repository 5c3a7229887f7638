//! The functions that run for every frame: what a recorder and a live viewer cost before any IO.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use media::fmp4::FragmentHead;
use media::fragment::Fragment;
use media::{AccessUnit, Clocks, ParamSetId};
use sim::counter::{Counter, sei_nal};
use traffic_rules::lez::{
    self, History, LezInput, Lookup, NormSource, PlateReading, RuleSet, StatedNorm, VehicleSnapshot,
};
use vms_core::{Codec, Country, MediaTime, StreamId, WallTime};

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

/// What finishes the records of one sealed file.
fn pen(dir: &std::path::Path) -> recorder::format::write::Pen {
    use keys::{CopyPaths, KeyRing, KeyStoreConfig, OpenOptions, Protection, RealDisk, SecondCopy, SystemRandom};
    let config = KeyStoreConfig {
        first: CopyPaths { store: dir.join("store"), root: dir.join("root") },
        second: SecondCopy::OneDisk,
        protection: Protection::FileMode,
        remember: std::time::Duration::from_secs(86_400),
    };
    let options = OpenOptions { may_create: true, ..OpenOptions::default() };
    let now = WallTime::from_secs(1_795_000_000);
    let (disk, random) = (std::sync::Arc::new(RealDisk), std::sync::Arc::new(SystemRandom::new()));
    let ring = KeyRing::open(disk, random, config, options, now).expect("the store opens");
    let name = keys::KeyName {
        scope: keys::Scope::Camera(vms_core::CameraId::from_bytes([1; 16])),
        class: vms_core::RetentionClass::parse("RC-VID-OPEN").expect("a class"),
        hour: keys::Hour::of(now),
    };
    let key = ring.begin_segment(&name, vms_core::SegmentId::from_bytes([1; 16]), now).expect("a key");
    recorder::format::write::Pen::sealed(key, &[0; 190])
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
    group.bench_function("record put together, sealed and hashed", |b| {
        let dir = tempfile::tempdir().expect("a folder");
        let mut pen = pen(dir.path());
        let (mut number, mut room) = (0, Vec::new());
        b.iter(|| {
            number += 1;
            recorder::format::write::fragment(&mut pen, number, 0, black_box(&fragment), &mut room).expect("it seals")
        });
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

/// The way in: splitting what a camera sends, and reading the link.
fn way_in(c: &mut Criterion) {
    let units = second();
    let stream = StreamId::from_bytes([1; 16]);
    let bytes: u64 = units.iter().map(|unit| u64::try_from(unit.payload.len()).unwrap_or(0)).sum();
    let mut group = c.benchmark_group("one second of 4 Mbit/s, in");
    group.throughput(Throughput::Bytes(bytes));
    let mut annex_b = Vec::new();
    for nal in units.iter().flat_map(|unit| media::nal::length_prefixed(&unit.payload)) {
        annex_b.extend_from_slice(&[0, 0, 0, 1]);
        annex_b.extend_from_slice(nal);
    }
    group.bench_function("split start codes", |b| b.iter(|| media::nal::annex_b(black_box(&annex_b)).count()));
    group.bench_function("walk NAL units and look for a key frame", |b| {
        b.iter(|| units.iter().filter(|unit| media::nal::is_key(Codec::H264, black_box(&unit.payload))).count());
    });
    let frames: Vec<Bytes> = units
        .iter()
        .map(|unit| {
            let mut out = BytesMut::new();
            link::codec::encode(&link::Message::Unit(stream, unit.clone()), &mut out);
            out.split_off(4).freeze()
        })
        .collect();
    group.bench_function("read units off the link", |b| {
        b.iter(|| frames.iter().filter(|frame| link::codec::decode((*frame).clone()).is_ok()).count());
    });
    group.finish();
}

/// Decisions and secrets: per request, per read, per camera.
fn decisions(c: &mut Criterion) {
    let mut group = c.benchmark_group("one");
    let table = policy::RoleTable::embedded().expect("the table of the seed should parse");
    let request = policy::Request {
        purpose: Some(vms_core::Purpose::Intervention),
        justification: Some("melding vechtpartij Beursplein"),
        police_station: true,
        ..policy::Request::bare(vms_core::Profile::P01, vms_core::Right::Live, vms_core::Relation::Own)
    };
    group.bench_function("decision of the role table", |b| b.iter(|| policy::decide(&table, black_box(&request))));

    let signer = policy::CapabilitySigner::from_seed(&[7; 32]);
    let now = WallTime::from_secs(1_790_000_000);
    let capability = policy::Capability {
        decision: vms_core::DecisionId::from_bytes([1; 16]),
        log_index: 9,
        stream: StreamId::from_bytes([1; 16]),
        scope: policy::Scope::Live,
        rendition: vms_core::Rendition::Original,
        audience: policy::Audience::Recorder,
        standing: false,
        gated: false,
        issued_at: now,
        expires_at: WallTime::from_secs(1_790_000_015),
    };
    let text = signer.sign(&capability);
    let verifier = signer.verifier();
    group.bench_function("capability signed", |b| b.iter(|| signer.sign(black_box(&capability))));
    group.bench_function("capability checked", |b| {
        b.iter(|| verifier.open(black_box(&text), policy::Audience::Recorder, now).expect("it is good"));
    });

    let key = recorder::sealbox::SealKey::from_seed([3; 32]);
    let public = key.public_hex();
    let sealed = recorder::sealbox::seal(&public, b"operator:secret").expect("it seals");
    group.bench_function("credentials sealed", |b| {
        b.iter(|| recorder::sealbox::seal(&public, black_box(b"operator:secret")).expect("it seals"));
    });
    group.bench_function("credentials opened", |b| b.iter(|| key.open(black_box(&sealed)).expect("it opens")));

    let rules = RuleSet::embedded_once();
    let input = diesel();
    group.bench_function("LEZ decision", |b| b.iter(|| lez::decide(rules, black_box(&input))));
    group.finish();
}

/// A Belgian Euro 4 diesel in January 2026, which takes the longest way through the rules: to a warning.
fn diesel() -> LezInput {
    let plate = vms_core::Plate::parse("1-ABC-123").expect("a plate of the usual form");
    let kind = traffic_rules::plate_type(&plate, Country::BELGIUM);
    let norm = StatedNorm { text: "4".to_owned(), source: NormSource::Certificate };
    let vehicle = VehicleSnapshot {
        category: Some("M1".to_owned()),
        fuels: vec!["diesel".to_owned()],
        euro_norm: Some(norm),
        ..VehicleSnapshot::default()
    };
    LezInput {
        at: WallTime::from_secs(1_768_000_000),
        country: Country::BELGIUM,
        reading: PlateReading {
            kind: kind.kind,
            corrected: false,
            country_sure: true,
            auto_accept: kind.auto_accept,
            confirmed: false,
        },
        segment: None,
        vehicle: Lookup::Found { vehicle: Box::new(vehicle) },
        foreign_registration: None,
        exemptions: Vec::new(),
        passes: Vec::new(),
        history: History::default(),
    }
}

criterion_group!(benches, frames, way_in, decisions);
criterion_main!(benches);
