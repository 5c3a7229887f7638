//! What outages cost: frames, promises and segments.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use vms_benches::frames::{Footage, Hole, Walk};
use vms_benches::recorder_link::Rows;

use super::{Case, Outage, OutageArgs, Stage};
use crate::{quantile, say};

/// A hole belongs to a cut at this distance.
const SLACK_US: i64 = 700_000;
/// Received a little after it was sent, and durable to the end of its last frame: so much later may lie what was promised.
const PROMISE_SLACK_US: i64 = 300_000;
/// Target R3.
const LOST_S_MAX: f64 = 2.0;
/// Holes longer than this must be told.
const HOLE_US_MIN: i64 = 200_000;

/// Whether a promise lies in a hole: what was called durable is not there.
fn is_broken(hole: &Hole, until_us: i64) -> bool {
    let end_us = hole.since_us + hole.span_us;
    until_us > hole.since_us + PROMISE_SLACK_US && until_us < end_us + PROMISE_SLACK_US / 2
}

/// Promises that lie in a hole, each once: how far the promise went past what is there, and when it was made.
fn broken(found: &Walk, stage: &Stage, outages: &[Outage]) -> Vec<String> {
    let mut broken = BTreeMap::new();
    for (camera, footage) in &found.cameras {
        let (holes, stream) = (footage.holes(), found.streams.get(camera));
        for (_, until_us, said_us) in stage.promises.iter().filter(|(of, ..)| Some(of) == stream) {
            let Some(hole) = holes.iter().find(|hole| is_broken(hole, *until_us)) else { continue };
            let number = outages.iter().filter(|outage| outage.at_us <= *said_us).count();
            let since = outages.iter().rev().find(|outage| outage.at_us <= *said_us).map_or(0, |outage| outage.at_us);
            broken.entry((*camera, *until_us)).or_insert_with(|| {
                format!(
                    "camera {camera}: durable to {} ms past the last frame there, {} ms before the next; said {} ms after outage {number} began",
                    (until_us - hole.since_us) / 1_000,
                    (hole.since_us + hole.span_us - until_us) / 1_000,
                    (said_us - since) / 1_000
                )
            });
        }
    }
    broken.into_values().collect()
}

/// Seconds of what had been received and is not there, and the whole hole, for each outage and camera.
#[expect(clippy::cast_precision_loss, reason = "figures for a report")]
fn costs(found: &Walk, outages: &[Outage]) -> (Vec<f64>, Vec<f64>) {
    let (mut lost, mut whole) = (Vec::new(), Vec::new());
    for footage in found.cameras.values() {
        let holes = footage.holes();
        for outage in outages {
            let hole = holes.iter().find(|hole| hole.is_around(outage.at_us, SLACK_US));
            lost.push(hole.map_or(0.0, |hole| (outage.at_us - hole.since_us).clamp(0, hole.span_us) as f64 / 1e6));
            whole.push(hole.map_or(0.0, |hole| hole.span_us as f64 / 1e6));
        }
    }
    (lost, whole)
}

/// Holes without a gap record that covers them.
fn untold(found: &Walk, rows: &Rows) -> Vec<String> {
    let mut untold = Vec::new();
    for (camera, footage) in &found.cameras {
        let Some(stream) = found.streams.get(camera) else { continue };
        for hole in footage.holes().into_iter().filter(|hole| hole.span_us > HOLE_US_MIN) {
            let covers = rows.gaps.iter().filter(|((of, _), _)| of == stream).any(|(_, gap)| {
                gap.from_us <= hole.since_us + PROMISE_SLACK_US
                    && gap.to_us.is_none_or(|to| to >= hole.since_us + hole.span_us - PROMISE_SLACK_US)
            });
            if !covers {
                untold.push(format!(
                    "camera {camera}: {:.2} s",
                    Duration::from_micros(hole.span_us.unsigned_abs()).as_secs_f64()
                ));
            }
        }
    }
    untold
}

/// Prints the figures; an error when a target is missed.
pub(super) fn report(
    args: &OutageArgs,
    found: &Walk,
    outages: &[Outage],
    stage: &Stage,
    (told_before, refused): (&Rows, usize),
) -> anyhow::Result<()> {
    let spread = |values: &[f64]| {
        format!("p50 {:.2}, p95 {:.2}, max {:.2}", quantile(values, 0.5), quantile(values, 0.95), quantile(values, 1.0))
    };
    let (lost, whole) = costs(found, outages);
    let back: Vec<f64> = outages.iter().map(|one| one.back_s).collect();
    let mended = outages.iter().filter(|one| one.mended).count();
    let broken = broken(found, stage, outages);
    let closed = told_before.segments.values().filter(|row| row.closed && row.erased_us.is_none());
    let (mut acknowledged, mut segments_lost) = (0, told_before.revoked.len());
    for row in closed {
        acknowledged += 1;
        let is_there = found.digests.get(&row.segment) == row.digest.as_ref();
        let is_told = stage.rows.segments.get(&row.segment).is_some_and(|now| now.digest == row.digest);
        segments_lost += usize::from(!is_there || !is_told);
    }
    let untold = untold(found, &stage.rows);
    let frames: usize = found.cameras.values().map(|footage| footage.frames.len()).sum();
    // The set-up stops and starts Belfry once: that hole is not counted.
    let since_us = outages.first().map_or(0, |one| one.at_us - SLACK_US);
    let holes = found.cameras.values().flat_map(Footage::holes).filter(|hole| hole.since_us > since_us);
    let missing: u64 = holes.map(|hole| hole.frames).sum();
    say(&format!("  lost of what was sent before, s a camera: {}", spread(&lost)));
    say(&format!("  whole hole, s a camera: {}", spread(&whole)));
    say(&format!("  all cameras durable again, s: {}", spread(&back)));
    say(&format!("  promises looked at {}, broken {}", stage.promises.len(), broken.len()));
    say(&format!("  closed segments acknowledged {acknowledged}, lost or changed {segments_lost}"));
    say(&format!(
        "  frames {frames}, missing since the first outage {missing}, segments {}, damaged {}",
        found.segments,
        found.damaged.len()
    ));
    say(&format!(
        "  holes over 200 ms without a gap record: {}; disk mended or started anew {mended} times; refused writes {refused}",
        untold.len()
    ));
    if stage.index_away > 0 {
        say(&format!("  rounds in which the index did not answer: {} ({})", stage.index_away, stage.last_refusal));
    }
    for line in broken.iter().take(20) {
        say(&format!("    {line}"));
    }
    for line in untold.iter().chain(&found.damaged).take(10) {
        say(&format!("    {line}"));
    }
    let is_cut = args.case == Case::Cut;
    let targets = [
        ("at most 2 s lost a camera", !is_cut || quantile(&lost, 1.0) <= LOST_S_MAX),
        ("no promise broken", broken.is_empty()),
        ("no acknowledged segment lost", segments_lost == 0),
        ("no damaged file", !is_cut || found.damaged.is_empty()),
        ("every hole told", untold.is_empty()),
        ("a stall of 20 s costs nothing", args.case != Case::Stall || args.seconds > 20 || missing == 0),
    ];
    let missed: Vec<&str> = targets.iter().filter(|(_, is_met)| !is_met).map(|(name, _)| *name).collect();
    if missed.is_empty() {
        say("  every target met");
    } else {
        say(&format!("  MISSED: {}", missed.join("; ")));
    }
    ensure!(missed.is_empty(), "missed: {}", missed.join("; "));
    Ok(())
}
