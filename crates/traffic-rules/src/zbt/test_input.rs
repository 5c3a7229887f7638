//! Builders of inputs for the tests of this module.

use jiff::civil::DateTime;
use jiff::tz::TimeZoneDatabase;
use vms_core::{Country, Plate, WallTime};

use super::{
    GroupMember, ListKind, Listing, Passage, Permit, PermitId, PermitStatus, PriorPassage, QuotaGroup, RightCode,
    RuleSet, SeedTexts, ZbtHistory, ZbtInput, ZbtOutcome, ZbtVerdict, ZoneCode, decide,
};
use crate::grammar::plate_type;
use crate::reading::PlateReading;

/// A local time in Brussels, `2026-01-10T12:00:00`; noon when only a date is given.
pub(super) fn local(text: &str) -> WallTime {
    let text = if text.len() == 10 { format!("{text}T12:00:00") } else { text.to_owned() };
    let brussels = TimeZoneDatabase::bundled().get("Europe/Brussels").unwrap();
    let zoned = text.parse::<DateTime>().unwrap().to_zoned(brussels).unwrap();
    WallTime::from_micros(zoned.timestamp().as_microsecond())
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

/// A sure entry of a usual Belgian plate without any right.
pub(super) fn entry(zone: &str, at: &str) -> ZbtInput {
    let at = local(at);
    ZbtInput {
        zone: ZoneCode::new(zone),
        passage: Passage::Entry { at },
        country: Country::BELGIUM,
        reading: reading("1-ABC-123"),
        listings: Vec::new(),
        permits: Vec::new(),
        history: ZbtHistory::default(),
        decided_at: at,
    }
}

pub(super) fn with(mut input: ZbtInput, change: impl FnOnce(&mut ZbtInput)) -> ZbtInput {
    change(&mut input);
    input
}

pub(super) fn listed(list: ListKind, from: &str, to: Option<&str>) -> Listing {
    Listing { list, from: local(from), to: to.map(local) }
}

/// A granted permit for one zone, granted when it starts.
pub(super) fn permit(right: &str, zone: &str, from: &str, to: &str) -> Permit {
    Permit {
        id: PermitId::new("P-1"),
        right: RightCode::new(right),
        zones: vec![ZoneCode::new(zone)],
        from: local(from),
        to: local(to),
        granted_at: local(from),
        status: PermitStatus::Granted,
        windows: Vec::new(),
        group: None,
    }
}

/// One parking place, and vehicles granted one after the other on the days given.
pub(super) fn group(granted: &[&str]) -> QuotaGroup {
    let member = |(at, day): (usize, &&str)| GroupMember {
        id: PermitId::new(format!("G-{at}")),
        vehicle: format!("vehicle {at}"),
        from: local(day),
        to: local("2027-06-01"),
        granted_at: local(day),
    };
    QuotaGroup { places: 1, others: granted.iter().enumerate().map(member).collect() }
}

pub(super) fn prior(zone: &str, at: &str) -> PriorPassage {
    PriorPassage { zone: ZoneCode::new(zone), at: local(at) }
}

/// The tables with one text changed.
pub(super) fn changed(file: &str, from: &str, to: &str) -> RuleSet {
    let good = SeedTexts::embedded();
    let pick = |name: &str, text: &str| {
        if name != file {
            return text.to_owned();
        }
        assert!(text.contains(from), "`{file}` should hold `{from}`");
        text.replacen(from, to, 1)
    };
    let (zones, rights) = (pick("zones", good.zones), pick("rights", good.rights));
    let (fines, holidays) = (pick("fines", good.fines), pick("holidays", good.holidays));
    RuleSet::load(SeedTexts { zones: &zones, rights: &rights, fines: &fines, holidays: &holidays }).unwrap()
}

pub(super) fn outcome(input: &ZbtInput) -> ZbtOutcome {
    decide(RuleSet::embedded_once(), input)
}

pub(super) fn short(input: &ZbtInput) -> String {
    short_under(RuleSet::embedded_once(), input)
}

/// `OPEN`, `EXEMPT Z-TAXI`, `CANDIDATE ZBT-C3 5800 EUR`: what a table of expectations can name.
pub(super) fn short_under(rules: &RuleSet, input: &ZbtInput) -> String {
    match decide(rules, input).verdict {
        ZbtVerdict::Open => "OPEN".to_owned(),
        ZbtVerdict::Exempt { right } => format!("EXEMPT {right}"),
        ZbtVerdict::Permitted { right, .. } => format!("PERMIT {right}"),
        ZbtVerdict::AwaitsExit { .. } => "AWAITS_EXIT".to_owned(),
        ZbtVerdict::Candidate { fine, amount_cents, currency } => format!("CANDIDATE {fine} {amount_cents} {currency}"),
        ZbtVerdict::Warning { fine_from } => format!("WARNING {fine_from}"),
        ZbtVerdict::AlreadyCounted => "ALREADY_COUNTED".to_owned(),
        ZbtVerdict::Undetermined => "UNDETERMINED".to_owned(),
        ZbtVerdict::OutOfScope => "OUT_OF_SCOPE".to_owned(),
    }
}
