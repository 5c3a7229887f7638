//! D7: from the log alone, over a year, a stranger's script says of every segment that it was erased in time or stands under a named hold; and
//! says which one when that is not so. The script is `tools/verify_log.py`; Belfry's own verifier must say the same.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what they expect")]
#![expect(dead_code, reason = "the battery has more than this test needs")]

use std::time::Instant;

use audit::rules::{DetailLine, SegmentTold, segments_root};
use audit::{Commitment, Leaf, LeafKind};
use serde_json::{Value, json};
use vms_core::WallTime;

#[path = "battery/mod.rs"]
mod battery;

const HOUR_US: i64 = 3_600_000_000;
const BEGAN_US: i64 = 1_790_000_000_000_000;
const HOURS: i64 = 365 * 24;
const TERM_H: i64 = 30 * 24;
const CAMERAS: i64 = 2;

/// What a leaf says, before it is one.
struct Said {
    kind: LeafKind,
    at_us: i64,
    said: Value,
}

/// A hold: camera, span in hours, hours at which it was set and released.
#[derive(Clone, Copy)]
struct Hold {
    camera: i64,
    span: (i64, i64),
    set: i64,
    released: Option<i64>,
}

/// Two a month; every fifth is never released.
fn holds() -> Vec<Hold> {
    (0..24)
        .map(|n| {
            let from = 100 + n * 340;
            let released = (n % 5 != 4).then_some(from + TERM_H + 200 + n * 7);
            Hold { camera: n % CAMERAS, span: (from, from + 30 + n), set: from + 48, released }
        })
        .collect()
}

fn name(camera: i64, hour: i64) -> String {
    format!("seg_{camera:08x}{hour:024x}")
}

fn told(camera: i64, hour: i64) -> SegmentTold {
    let from_us = BEGAN_US + hour * HOUR_US;
    SegmentTold {
        segment: name(camera, hour),
        stream: format!("str_{camera:032x}"),
        camera: format!("cam_{camera:032x}"),
        from_us,
        to_us: from_us + HOUR_US,
        delete_by_us: from_us + TERM_H * HOUR_US,
        digest: format!("{:064x}", camera * 1_000_000 + hour),
    }
}

/// The hour in which a segment was erased; `None`: it is still there when the year is over.
fn gone_at(camera: i64, hour: i64, holds: &[Hold]) -> Option<i64> {
    let mut end = hour + TERM_H;
    for hold in holds.iter().filter(|hold| hold.camera == camera && hold.span.0 < hour + 1 && hold.span.1 > hour) {
        end = end.max(hold.released? + 20);
    }
    (end < HOURS).then_some(end)
}

/// What a forger changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgery {
    None,
    /// One segment is never erased.
    Kept,
    /// One is erased three hours after its term.
    Late,
    /// One is erased three days after its hold was released.
    LateAfterHold,
    /// The hold that kept footage names another camera.
    OtherCamera,
    /// The hold that kept footage was never told.
    NoHold,
    /// One is erased twice.
    Twice,
    /// One is told twice.
    ToldTwice,
    /// One of a batch is left out, and its root stays.
    LeftOut,
}

fn year(forgery: Forgery) -> Vec<Said> {
    let holds = holds();
    // Under the first hold, which was released; and one that no hold names.
    let (held, free) = ((holds[0].camera, holds[0].span.0 + 3), (1, 5_000));
    let mut erased: std::collections::BTreeMap<i64, Vec<Value>> = std::collections::BTreeMap::new();
    for (camera, hour) in (0..HOURS).flat_map(|hour| (0..CAMERAS).map(move |camera| (camera, hour))) {
        let Some(mut gone) = gone_at(camera, hour, &holds) else { continue };
        match forgery {
            Forgery::Kept if (camera, hour) == free => continue,
            Forgery::Late if (camera, hour) == free => gone += 3,
            Forgery::LateAfterHold if (camera, hour) == held => gone += 72,
            Forgery::Twice if (camera, hour) == free => {
                let line = json!({ "segment": name(camera, hour), "erased_us": BEGAN_US + gone * HOUR_US });
                erased.entry(gone + 1).or_default().push(line);
            }
            Forgery::None
            | Forgery::Kept
            | Forgery::Late
            | Forgery::LateAfterHold
            | Forgery::Twice
            | Forgery::OtherCamera
            | Forgery::NoHold
            | Forgery::ToldTwice
            | Forgery::LeftOut => {}
        }
        // Within the grace of a sweep.
        let at_us = BEGAN_US + gone * HOUR_US + (hour % 60) * 60_000_000;
        erased.entry(gone).or_default().push(json!({ "segment": name(camera, hour), "erased_us": at_us }));
    }
    let mut all = Vec::new();
    for hour in 0..HOURS {
        let at_us = BEGAN_US + (hour + 1) * HOUR_US;
        let mut push = |kind, operation: &str, details: Value| {
            all.push(Said { kind, at_us, said: json!({ "operation": operation, "actor": null, "details": details }) });
        };
        let mut segments: Vec<SegmentTold> = (0..CAMERAS).map(|camera| told(camera, hour)).collect();
        let root = segments_root(&segments);
        if forgery == Forgery::LeftOut && hour == free.1 {
            segments.remove(1);
        }
        if forgery == Forgery::ToldTwice && hour == free.1 + 1 {
            segments.push(told(free.0, free.1));
        }
        let root = if forgery == Forgery::LeftOut { root } else { segments_root(&segments) };
        push(LeafKind::Batch, "segments", json!({ "root": root, "segments": segments }));
        for (number, hold) in holds.iter().enumerate() {
            let camera = if forgery == Forgery::OtherCamera && number == 0 { hold.camera + 1 } else { hold.camera };
            let mut details = json!({
                "hold": format!("hld_{number:032x}"), "camera": format!("cam_{camera:032x}"), "state": "held",
                "from_us": BEGAN_US + hold.span.0 * HOUR_US, "to_us": BEGAN_US + hold.span.1 * HOUR_US,
            });
            if forgery == Forgery::NoHold && number == 0 {
                continue;
            }
            if hold.set == hour {
                push(LeafKind::Change, "hold_set", details.clone());
            }
            if hold.released == Some(hour) {
                details["state"] = json!("released");
                push(LeafKind::Change, "hold_released", details);
            }
        }
        if let Some(gone) = erased.get(&hour) {
            push(LeafKind::Erase, "segments_erased", json!({ "segments": gone }));
        }
    }
    all
}

fn log_of(all: &[Said]) -> battery::Log {
    let mut dice = battery::Dice(0xD7);
    let (mut leaves, mut details) = (Vec::new(), Vec::new());
    for (index, one) in all.iter().enumerate() {
        let text = one.said.to_string();
        let salt: [u8; 32] = std::array::from_fn(|_| dice.next().to_be_bytes()[0]);
        let commitment = Commitment::to(&salt, text.as_bytes());
        let at = WallTime::from_micros(one.at_us);
        leaves.push(Leaf { kind: one.kind, at, decision: None, refers: None, commitment }.to_line());
        let salt = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        details.push(DetailLine { index: u64::try_from(index).unwrap(), salt, details: text, forgotten: None });
    }
    let old = battery::files_of(&leaves[..100], &[], true).remove("checkpoint").unwrap();
    battery::Log { files: battery::files_of(&leaves, &[], true), leaves, details, old, old_size: 100 }
}

#[test]
fn a_year_of_footage_is_accounted_for_and_every_lie_about_it_is_named() {
    let holds = holds();
    let segments = HOURS * CAMERAS;
    let under_hold = (0..HOURS)
        .flat_map(|hour| (0..CAMERAS).map(move |camera| (camera, hour)))
        .filter(|(camera, hour)| gone_at(*camera, *hour, &holds) != Some(hour + TERM_H))
        .filter(|(_, hour)| hour + TERM_H < HOURS)
        .count();
    assert!(under_hold > 500, "{under_hold}");
    for (forgery, wanted) in [
        (Forgery::None, None),
        (Forgery::Kept, Some("not erased in time, and no hold names it")),
        (Forgery::Late, Some("not erased in time, and no hold names it")),
        (Forgery::LateAfterHold, Some("not erased in time, and no hold names it")),
        (Forgery::OtherCamera, Some("not erased in time, and no hold names it")),
        (Forgery::NoHold, Some("not erased in time, and no hold names it")),
        (Forgery::Twice, Some("erased a second time")),
        (Forgery::ToldTwice, Some("for the second time")),
        (Forgery::LeftOut, Some("its segments do not give its root")),
    ] {
        let log = log_of(&year(forgery));
        #[expect(clippy::disallowed_methods, reason = "a measurement")]
        let began = Instant::now();
        let ours = battery::in_rust(&log).map_err(|fault| fault.to_string());
        let took = began.elapsed();
        let dir = tempfile::tempdir().unwrap();
        battery::lay_out(&log, dir.path());
        #[expect(clippy::disallowed_methods, reason = "a measurement")]
        let began = Instant::now();
        let theirs = battery::in_python(&[dir.path().to_owned()]).remove(0);
        println!(
            "D7 {forgery:?}: {} leaves, {segments} segments, {under_hold} kept by holds: Rust {took:?}, Python {:?}: {theirs}",
            log.leaves.len(),
            began.elapsed(),
        );
        match wanted {
            None => {
                assert_eq!(ours, Ok(()));
                assert_eq!(theirs, "holds");
            }
            Some(words) => {
                let fault = ours.expect_err("our verifier should see it");
                assert!(fault.contains(words), "{forgery:?}: {fault}");
                assert_eq!(theirs, format!("fault: {fault}"), "{forgery:?}");
                let place = format!("segment {}", name(1, 5_000));
                let names_it = matches!(forgery, Forgery::Kept | Forgery::Late);
                assert!(!names_it || fault.contains(&place), "{forgery:?}: {fault}");
            }
        }
    }
}
