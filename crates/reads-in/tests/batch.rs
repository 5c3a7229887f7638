//! The batch as a table: what each field may be, and what is said when it is not.

#![expect(clippy::unwrap_used, reason = "tests say what they expect")]

use proptest::prelude::*;
use reads_in::batch::{self, BatchFault, ClockClaim, ReadFault};
use reads_in::claim::{self, TimeFault};
use serde_json::{Value, json};
use vms_core::WallTime;

fn read() -> Value {
    json!({
        "id": "c1-000001", "camera": "TRJ-1", "at": "2026-11-20T12:00:00.250+01:00", "plate": "1-abc-234", "confidence": 0.985,
        "countries": [{ "sign": "B", "confidence": 0.99 }], "direction": "approaching", "looks": 4, "model": "cam-2.1",
        "clock": { "source": "ptp-gnss", "locked_from": "2026-11-20T08:00:00Z", "locked_until": "2026-11-20T11:00:00Z",
            "offset_us": -120, "uncertainty_us": 900, "synced_at": "2026-11-20T10:59:59Z" },
        "second_at": "2026-11-20T11:00:00.2501Z", "verification": "DEMO-VERIFICATION-1", "crop": "/9j/4A==",
    })
}

fn one(raw: Value) -> Result<batch::PushedRead, batch::Refused> {
    let body = json!({ "v": 1, "reads": [raw] }).to_string();
    batch::parse(body.as_bytes()).unwrap().reads.remove(0)
}

#[test]
fn a_read_is_read_whole() {
    let read = one(read()).unwrap();
    assert_eq!(
        (read.at, read.second_at),
        (WallTime::from_micros(1_795_172_400_250_000), Some(WallTime::from_micros(1_795_172_400_250_100)))
    );
    assert_eq!((read.plate.reveal(), read.confidence.millionths(), read.looks), ("1ABC234", 985_000, 4));
    assert_eq!((read.countries[0].0.as_str(), read.countries[0].1.millionths()), ("B", 990_000));
    let clock = read.clock.unwrap();
    assert_eq!((clock.offset_us, clock.uncertainty_us, clock.source.as_str()), (-120, 900, "ptp-gnss"));
    assert_eq!(
        (read.verification.as_deref(), &read.crop[..]),
        (Some("DEMO-VERIFICATION-1"), &[0xff, 0xd8, 0xff, 0xe0][..])
    );
    let bare =
        one(json!({ "id": "1", "camera": "C", "at": "2026-11-20T11:00:00Z", "plate": "1", "confidence": 1 })).unwrap();
    assert_eq!((bare.clock, bare.verification, bare.direction.as_str(), bare.looks), (None, None, "unknown", 1));
}

#[test]
fn each_field_is_refused_by_its_own_word() {
    let big = "A".repeat(800_000);
    for (field, value, wanted) in [
        ("id", json!(""), ReadFault::Id),
        ("id", json!("a b"), ReadFault::Id),
        ("id", json!("x".repeat(65)), ReadFault::Id),
        ("id", json!(7), ReadFault::Form),
        ("camera", json!("\n"), ReadFault::Camera),
        ("at", json!("2026-11-20 12:00"), ReadFault::At),
        ("at", json!("2026-11-20T12:00:00"), ReadFault::At),
        ("plate", json!("Ж1"), ReadFault::Plate),
        ("plate", json!("1234567890123"), ReadFault::Plate),
        ("confidence", json!(1.01), ReadFault::Confidence),
        ("confidence", json!(-0.1), ReadFault::Confidence),
        ("confidence", json!("0.9"), ReadFault::Form),
        ("countries", json!([{ "sign": "be", "confidence": 1 }]), ReadFault::Country),
        ("countries", json!(vec![json!({ "sign": "B", "confidence": 0.1 }); 6]), ReadFault::Country),
        ("direction", json!("sideways"), ReadFault::Form),
        ("model", json!("a b"), ReadFault::Form),
        ("crop", json!("****"), ReadFault::Picture),
        ("crop", json!("AAAA"), ReadFault::Picture),
        ("overview", json!(big), ReadFault::Picture),
        ("verification", json!(""), ReadFault::Verification),
        ("second_at", json!("soon"), ReadFault::Clock),
        ("clock", json!({ "source": "x" }), ReadFault::Form),
        ("unknown_field", json!(1), ReadFault::Form),
    ] {
        let mut raw = read();
        raw[field] = value.clone();
        assert_eq!(one(raw).unwrap_err().fault, wanted, "{field}");
    }
    for (field, value) in [
        ("locked_until", json!("2026-11-20T07:59:59Z")),
        ("locked_from", json!("yesterday")),
        ("offset_us", json!(86_400_000_001_i64)),
        ("source", json!("")),
    ] {
        let mut raw = read();
        raw["clock"][field] = value;
        assert_eq!(one(raw).unwrap_err().fault, ReadFault::Clock, "{field}");
    }
    // A bad one keeps its name and its place, and harms nobody.
    let mut bad = read();
    bad["plate"] = json!("!");
    let body = json!({ "v": 1, "reads": [bad, read()] }).to_string();
    let all = batch::parse(body.as_bytes()).unwrap().reads;
    assert_eq!(all[0].as_ref().unwrap_err().id.as_deref(), Some("c1-000001"));
    assert!(all[1].is_ok());
}

#[test]
fn a_batch_is_bounded() {
    let many = |n: usize| json!({ "v": 1, "reads": vec![json!({}); n] }).to_string();
    assert_eq!(batch::parse(many(200).as_bytes()).unwrap().reads.len(), 200);
    assert_eq!(batch::parse(many(201).as_bytes()), Err(BatchFault::TooMany));
    assert_eq!(batch::parse(br#"{"v":2}"#), Err(BatchFault::Version));
    assert_eq!(batch::parse(br#"{"v":1,"more":1}"#), Err(BatchFault::Form));
    assert_eq!(batch::parse(b"[]"), Err(BatchFault::Form));
}

fn claimed(from_s: i64, until_s: Option<i64>, uncertainty_us: u64) -> ClockClaim {
    ClockClaim {
        source: "ntp".to_owned(),
        locked_from: WallTime::from_secs(from_s),
        locked_until: until_s.map(WallTime::from_secs),
        offset_us: 0,
        uncertainty_us,
        synced_at: None,
    }
}

#[test]
fn times_are_believed_or_named() {
    let now = 1_000_000_i64;
    for (what, at_s, clock, second, wanted) in [
        ("now", now, None, None, Ok(())),
        ("two seconds ahead", now + 2, None, None, Ok(())),
        ("three", now + 3, None, None, Err(TimeFault::Ahead)),
        ("three, and unsure by one", now + 3, Some(claimed(0, None, 1_000_000)), None, Ok(())),
        ("four, and unsure by an hour", now + 4, Some(claimed(0, None, 3_600_000_000)), None, Err(TimeFault::Ahead)),
        ("a day ago", now - 86_400, None, None, Ok(())),
        ("more", now - 86_401, None, None, Err(TimeFault::Stale)),
        ("locked until now", now, Some(claimed(0, Some(now), 1)), None, Ok(())),
        ("locked until tomorrow", now, Some(claimed(0, Some(now + 86_400), 1)), None, Err(TimeFault::ClockAhead)),
        ("locked from tomorrow", now, Some(claimed(now + 86_400, None, 1)), None, Err(TimeFault::ClockAhead)),
        ("second source in a minute", now, None, Some(now + 60), Err(TimeFault::ClockAhead)),
    ] {
        let second = second.map(WallTime::from_secs);
        let found = claim::check(WallTime::from_secs(at_s), clock.as_ref(), second, WallTime::from_secs(now));
        assert_eq!(found, wanted, "{what}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_batch_or_a_fault(data in prop::collection::vec(any::<u8>(), 0..400)) {
        reads_in::fuzz_push(&data);
        reads_in::fuzz_onvif(&data);
    }

    /// Whatever text stands in a field: an answer, no panic, and an id that is said again is a word.
    #[test]
    fn any_texts_are_a_read_or_a_fault(id in "\\PC{0,70}", at in "\\PC{0,40}", plate in "\\PC{0,20}", odds in any::<f64>()) {
        let raw = json!({ "id": id, "camera": "C", "at": at, "plate": plate, "confidence": odds });
        if let Err(refused) = one(raw) {
            prop_assert!(refused.id.is_none_or(|id| id.is_ascii() && !id.is_empty() && id.len() <= 64));
        }
    }

    /// A later receipt never makes a time that was believed one from the future, and stating more uncertainty never shuts one out.
    #[test]
    fn time_only_passes_one_way(at in -100_000_i64..100_000, received in 0_i64..1_000, later in 0_i64..1_000, unsure in 0_u64..3_000_000) {
        let (at, now) = (WallTime::from_secs(at), WallTime::from_secs(received));
        if claim::check(at, None, None, now) != Err(TimeFault::Ahead) {
            prop_assert_ne!(claim::check(at, None, None, WallTime::from_secs(received + later)), Err(TimeFault::Ahead));
            prop_assert_ne!(claim::check(at, Some(&claimed(-9, None, unsure)), None, now), Err(TimeFault::Ahead));
        }
    }
}
