//! Builders of inputs for the tests of this module.

use jiff::Timestamp;
use vms_core::{Country, Plate, WallTime};

use super::{
    Control, EndClock, EndRead, RuleSet, SeedTexts, TrajectoryCode, TrajectoryInput, TrajectoryVerdict, decide,
};
use crate::grammar::plate_type;
use crate::reading::PlateReading;

pub(super) fn utc(text: &str) -> WallTime {
    WallTime::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
}

pub(super) fn later(at: WallTime, micros: i64) -> WallTime {
    WallTime::from_micros(at.micros + micros)
}

/// A test road of the length given, limit 50, with certificates from 2026 on and the clock uncertainty given.
pub(super) fn rules(certified_m: &str, uncertainty_m: &str, clock_us: u64) -> RuleSet {
    let demo = SeedTexts::demonstration();
    let parameters =
        demo.parameters.replace("clock_uncertainty_us = 100000", &format!("clock_uncertainty_us = {clock_us}"));
    let certificates = demo
        .certificates
        .replace("certified_m = \"870.0\"", &format!("certified_m = \"{certified_m}\""))
        .replace("uncertainty_m = \"0.2\"", &format!("uncertainty_m = \"{uncertainty_m}\""));
    RuleSet::load(SeedTexts { parameters: &parameters, certificates: &certificates, ..demo }).unwrap()
}

pub(super) fn reading(plate: &str) -> PlateReading {
    let classified = plate_type(&Plate::parse(plate).unwrap(), Country::BELGIUM);
    PlateReading {
        kind: classified.kind,
        corrected: false,
        country_sure: true,
        auto_accept: classified.auto_accept,
        confirmed: false,
    }
}

pub(super) fn read(at: WallTime) -> EndRead {
    let reading = reading("1-ABC-123");
    EndRead { at, country: Country::BELGIUM, reading, confidence_ppm: 999_000, class: None }
}

pub(super) fn clock() -> EndClock {
    EndClock {
        locked_from: utc("2026-01-01T00:00:00Z"),
        locked_until: Some(utc("2027-12-31T00:00:00Z")),
        offset_us: 0,
        uncertainty_us: 0,
    }
}

/// A sound pair that took so long, the control agreeing.
pub(super) fn run(entered: &str, micros: i64) -> TrajectoryInput {
    let entered = utc(entered);
    TrajectoryInput {
        trajectory: TrajectoryCode::new("TRJ-STE"),
        entries: vec![read(entered)],
        exits: vec![read(later(entered, micros))],
        entry_clock: clock(),
        exit_clock: clock(),
        control: u64::try_from(micros).ok().map(|micros| Control::SecondClock { micros }),
        signs: Vec::new(),
        left_between: false,
        prosecuted_from_kmh: None,
        stated: super::Stated::default(),
    }
}

pub(super) fn with(mut input: TrajectoryInput, change: impl FnOnce(&mut TrajectoryInput)) -> TrajectoryInput {
    change(&mut input);
    input
}

/// `INFRACTION 6`, `NOT_USABLE`: what a table of expectations can name.
pub(super) fn short(rules: &RuleSet, input: &TrajectoryInput) -> String {
    match decide(rules, input).verdict {
        TrajectoryVerdict::Compliant => "COMPLIANT".to_owned(),
        TrajectoryVerdict::BelowThreshold { over_kmh } => format!("BELOW_THRESHOLD {over_kmh}"),
        TrajectoryVerdict::Infraction { over_kmh } => format!("INFRACTION {over_kmh}"),
        TrajectoryVerdict::NotUsable => "NOT_USABLE".to_owned(),
    }
}
