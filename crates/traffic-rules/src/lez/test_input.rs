//! Builders of inputs for the tests of this module.

use jiff::civil::DateTime;
use jiff::tz::TimeZoneDatabase;
use vms_core::{Country, Plate, WallTime};

use super::{FineId, RuleSet, decide};
use super::{
    History, LezInput, LezVerdict, Lookup, NormSource, PlateReading, PriorFine, PriorWarning, StatedNorm,
    VehicleSnapshot,
};
use crate::day::Day;
use crate::grammar::plate_type;

/// A local time in Brussels, `2026-01-10T12:00:00`; noon when only a date is given.
pub(super) fn local(text: &str) -> WallTime {
    let text = if text.len() == 10 { format!("{text}T12:00:00") } else { text.to_owned() };
    let brussels = TimeZoneDatabase::bundled().get("Europe/Brussels").unwrap();
    let zoned = text.parse::<DateTime>().unwrap().to_zoned(brussels).unwrap();
    WallTime::from_micros(zoned.timestamp().as_microsecond())
}

pub(super) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

pub(super) fn country(sign: &str) -> Country {
    Country::parse(sign).unwrap()
}

pub(super) fn vehicle(category: &str, fuel: &str, norm: &str) -> VehicleSnapshot {
    let euro_norm = (!norm.is_empty()).then(|| StatedNorm { text: norm.to_owned(), source: NormSource::Certificate });
    VehicleSnapshot {
        category: Some(category.to_owned()),
        fuels: vec![fuel.to_owned()],
        euro_norm,
        ..VehicleSnapshot::default()
    }
}

pub(super) fn found(vehicle: VehicleSnapshot) -> Lookup {
    Lookup::Found { vehicle: Box::new(vehicle) }
}

/// A sure read of a usual Belgian plate.
pub(super) fn read(vehicle: VehicleSnapshot, at: &str) -> LezInput {
    LezInput {
        at: local(at),
        country: Country::BELGIUM,
        reading: reading("1-ABC-123"),
        segment: None,
        vehicle: found(vehicle),
        foreign_registration: None,
        exemptions: Vec::new(),
        passes: Vec::new(),
        history: History::default(),
    }
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

pub(super) fn warned(at: &str) -> PriorWarning {
    PriorWarning { infraction_at: local(at) }
}

pub(super) fn fined(fine: &str, at: &str) -> PriorFine {
    PriorFine { fine: FineId::new(fine), infraction_at: local(at), issued_at: None, amount_cents: 35_000 }
}

pub(super) fn verdict(input: &LezInput) -> LezVerdict {
    decide(&RuleSet::embedded(), input).verdict
}

/// `ALLOWED`, `WARNING LEZ-01`, `INFRACTION F-LEZ-OLD 35000`: what a table of expectations can name.
pub(super) fn short(input: &LezInput) -> String {
    let outcome = decide(&RuleSet::embedded(), input);
    let rule = outcome.rule.map(|rule| format!(" {rule}")).unwrap_or_default();
    match outcome.verdict {
        LezVerdict::Allowed => format!("ALLOWED{rule}"),
        LezVerdict::Exempt { exemption } => format!("EXEMPT {exemption}"),
        LezVerdict::Pass => "PASS".to_owned(),
        LezVerdict::Infraction { fine, amount_cents, currency } => {
            format!("INFRACTION {fine} {amount_cents} {currency}")
        }
        LezVerdict::Warning { fine_from, .. } => format!("WARNING{rule} {fine_from}"),
        LezVerdict::NoFineInWindow { until, .. } => format!("NO_FINE {until}"),
        LezVerdict::Undetermined => "UNDETERMINED".to_owned(),
        LezVerdict::OutOfScope => format!("OUT_OF_SCOPE{rule}"),
    }
}
