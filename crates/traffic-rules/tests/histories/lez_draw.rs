//! Vehicles, their papers and their reads, drawn so that boundaries are met often.

use traffic_rules::lez::snapshot::DetourPeriod;
use traffic_rules::lez::{
    DayPass, ExemptionCode, ExemptionGrant, FineId, ForeignRegistration, History, LezInput, Lookup, NormSource,
    PlateReading, PriorFine, PriorWarning, SegmentCode, SegmentHit, SpecialUse, StatedNorm, VehicleSnapshot,
};
use traffic_rules::{Day, PlateKind};
use vms_core::{Country, WallTime};

use crate::civil::{self, DAY, SECOND};
use crate::draw::Draw;

/// A vehicle with its papers. Days are numbers since 1970, instants microseconds.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) country: &'static str,
    pub(crate) plate: &'static str,
    pub(crate) known: bool,
    pub(crate) category: &'static str,
    pub(crate) class: Option<&'static str>,
    pub(crate) fuel: &'static str,
    pub(crate) norm: Option<&'static str>,
    pub(crate) derived: bool,
    pub(crate) mass: Option<u32>,
    pub(crate) first_registration: Option<i64>,
    pub(crate) special: Option<&'static str>,
    pub(crate) registered_from: Option<i64>,
    pub(crate) registered_to: Option<i64>,
    pub(crate) foreign_from: Option<i64>,
    pub(crate) data_wrong: bool,
    pub(crate) grants: Vec<(&'static str, i64, i64)>,
    /// Day, bought at.
    pub(crate) passes: Vec<(i64, i64)>,
}

/// One read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) at: i64,
    pub(crate) country_sure: bool,
    pub(crate) segment: Option<&'static str>,
    /// From, to, read elsewhere the same day.
    pub(crate) detour: Option<(i64, i64, bool)>,
}

/// A vehicle and its reads, in time's order but for a few that come late.
pub(crate) fn history(draw: &mut Draw) -> (Case, Vec<Read>) {
    let mut at = start(draw);
    let mut reads = Vec::new();
    for _ in 0..draw.between(3, 8) {
        reads.push(read(draw, at));
        at = next(draw, at);
    }
    if draw.percent(10) {
        reads.reverse();
    }
    let case = case(draw, &reads);
    (case, reads)
}

fn start(draw: &mut Draw) -> i64 {
    // Most of the time around a step of the tables.
    let step = draw.of(&[2018, 2019, 2020, 2022, 2026, 2026, 2026, 2028, 2030, 2035, 2036]);
    if draw.percent(70) {
        let boundary = civil::midnight(civil::number(step, draw.of(&[1, 1, 1, 4, 7, 10]), 1));
        boundary + draw.of(&[-SECOND, 0, SECOND, -DAY, 3 * DAY, -40 * DAY, 20 * DAY])
    } else {
        civil::number(2017, 10, 1) * DAY + draw.between(0, 20 * 366) * DAY + draw.between(0, 86_399) * SECOND
    }
}

/// The next read: soon, or on the border of a window.
fn next(draw: &mut Draw, at: i64) -> i64 {
    let day = civil::local(at).0;
    match draw.between(0, 9) {
        0 => at + draw.between(1, 600) * SECOND,
        1 => civil::midnight(day + 1) + draw.of(&[-SECOND, 0]),
        2 | 3 => civil::midnight(civil::plus_months(day, 3)) + draw.of(&[-SECOND, 0, DAY]),
        4 => civil::midnight(civil::plus_months(day, 12)) + draw.of(&[-SECOND, 0]),
        5 | 6 => at + draw.between(1, 30) * DAY + draw.between(0, 86_399) * SECOND,
        _ => at + draw.between(20, 200) * DAY + draw.between(0, 86_399) * SECOND,
    }
}

fn read(draw: &mut Draw, at: i64) -> Read {
    let segment = draw.percent(8).then(|| draw.of(&["EX-RING", "EX-DEV", "EX-DEV", "EX-NOWHERE"]));
    let detour = (segment == Some("EX-DEV") && draw.percent(80)).then(|| {
        let from = at - draw.of(&[0, 3_600, -3_600]) * SECOND;
        (from, from + draw.of(&[3_600, 7_200]) * SECOND, draw.percent(30))
    });
    Read { at, country_sure: draw.percent(92), segment, detour }
}

fn case(draw: &mut Draw, reads: &[Read]) -> Case {
    let category = draw.of(&[
        "M1", "M1", "M1", "M1", "N1", "N1", "M2", "M3", "N2", "N3", "L1e", "L2e", "L3e", "L5e", "L6e", "L7e", "T1",
        "O2", "",
    ]);
    let norms: &[&str] = match category {
        "M3" | "N2" | "N3" => &["none", "I", "II", "III", "IV", "V", "EEV", "VI", "VI-C", "VI-D", "VI-E", "7"],
        "L1e" | "L2e" | "L3e" | "L5e" | "L6e" | "L7e" => &["none", "0", "1", "2", "3", "4", "5", "5+"],
        _ => &["0", "1", "2", "3", "4", "4", "5", "5", "5b", "6", "6c", "6d-TEMP", "6d", "6e", "7"],
    };
    let anchor = reads.first().map_or(0, |read| civil::local(read.at).0);
    let country = draw.of(&["B", "B", "B", "B", "B", "B", "NL", "F"]);
    let plate = if country == "B" && draw.percent(15) {
        draw.of(&["oldtimer", "personalised", "personalised", "trailer", "agricultural", "diplomatic"])
    } else {
        "standard"
    };
    Case {
        country,
        plate: if country == "B" { plate } else { "foreign" },
        known: draw.percent(95),
        category,
        class: class(draw, category),
        fuel: draw.of(&[
            "diesel",
            "diesel",
            "diesel",
            "petrol",
            "petrol",
            "hybrid_diesel",
            "hybrid_petrol",
            "lpg",
            "cng",
            "electric",
            "hydrogen",
            "coal",
        ]),
        norm: draw.percent(92).then(|| draw.of(norms)),
        derived: draw.percent(10),
        mass: mass(draw, category),
        first_registration: draw.percent(80).then(|| near_thirty(draw, anchor)),
        special: draw.percent(4).then(|| draw.of(&["priority", "military"])),
        registered_from: draw.percent(50).then(|| anchor + draw.of(&[-900, -30, 0, 1, 100, 200])),
        registered_to: draw.percent(10).then(|| anchor + draw.of(&[-1, 0, 100, 300])),
        // No registration is older than the zone.
        foreign_from: draw.percent(60).then(|| {
            let from = anchor + draw.of(&[-3 * 365, -3 * 365 - 1, -5 * 365 - 1, -30, 0, 1, 60]);
            from.max(civil::number(2018, 1, 1))
        }),
        data_wrong: draw.percent(25),
        grants: grants(draw, reads),
        passes: passes(draw, reads),
    }
}

fn class(draw: &mut Draw, category: &str) -> Option<&'static str> {
    match category {
        "M3" => draw.percent(90).then(|| draw.of(&["I", "II", "A", "III", "B"])),
        "N1" => draw.percent(30).then(|| draw.of(&["I", "II", "III"])),
        _ => None,
    }
}

fn mass(draw: &mut Draw, category: &str) -> Option<u32> {
    let stated = draw.percent(85);
    match category {
        "N1" if stated => Some(draw.of(&[900, 1_304, 1_305, 1_306, 1_760, 1_761, 2_400])),
        "N2" if stated => Some(draw.of(&[2_000, 2_609, 2_610, 2_611, 7_000])),
        _ => None,
    }
}

/// A first registration, often 30 years before the first read, to the day.
fn near_thirty(draw: &mut Draw, anchor: i64) -> i64 {
    if draw.percent(50) {
        civil::plus_months(anchor, -360) + draw.between(-2, 2)
    } else {
        anchor - draw.between(0, 12_000)
    }
}

fn grants(draw: &mut Draw, reads: &[Read]) -> Vec<(&'static str, i64, i64)> {
    if !draw.percent(12) {
        return Vec::new();
    }
    let at = reads.last().map_or(0, |read| read.at);
    let code = draw.of(&["E-DIS-VEH", "E-DIS-CARD", "E-RESCUE"]);
    let from = at - draw.of(&[0, SECOND, 3 * 365 * DAY, 3 * 366 * DAY, 5 * 365 * DAY + 2 * DAY, -SECOND]);
    vec![(code, from, from + draw.of(&[SECOND, DAY, 400 * DAY, 3_000 * DAY]))]
}

fn passes(draw: &mut Draw, reads: &[Read]) -> Vec<(i64, i64)> {
    if !draw.percent(15) {
        return Vec::new();
    }
    let day = civil::local(reads.first().map_or(0, |read| read.at)).0;
    let year = civil::year(day);
    let bought = civil::midnight(day) + draw.of(&[0, -DAY, 2 * DAY - SECOND, 2 * DAY, 3 * DAY]);
    let mut all = vec![(day, bought)];
    let before = draw.of(&[0, 3, 7, 8, 23, 24]);
    let january = civil::number(year, 1, 1);
    all.extend(
        (0..before)
            .map(|n| january + n)
            .filter(|other| *other != day)
            .map(|other| (other, bought - (60 - other % 50) * DAY)),
    );
    all
}

fn wall(at: i64) -> WallTime {
    WallTime::from_micros(at)
}

fn day(number: i64) -> Day {
    let (year, month, day) = civil::date(number);
    Day::new(i16::try_from(year).unwrap(), i8::try_from(month).unwrap(), i8::try_from(day).unwrap()).unwrap()
}

/// The engine's input of one read.
pub(crate) fn input(case: &Case, read: &Read, fines: &[(&'static str, i64, i64)], warnings: &[i64]) -> LezInput {
    let kind = match case.plate {
        "oldtimer" => PlateKind::Oldtimer,
        "personalised" => PlateKind::Personalised,
        "trailer" => PlateKind::Trailer,
        "agricultural" => PlateKind::Agricultural,
        "diplomatic" => PlateKind::Diplomatic,
        "foreign" => PlateKind::Foreign,
        _ => PlateKind::Standard,
    };
    let reading =
        PlateReading { kind, corrected: false, country_sure: read.country_sure, auto_accept: true, confirmed: false };
    let source = if case.derived { NormSource::Derived } else { NormSource::Certificate };
    let vehicle = VehicleSnapshot {
        category: (!case.category.is_empty()).then(|| case.category.to_owned()),
        class: case.class.map(ToOwned::to_owned),
        fuels: vec![case.fuel.to_owned()],
        euro_norm: case.norm.map(|norm| StatedNorm { text: norm.to_owned(), source }),
        first_registration: case.first_registration.map(day),
        ref_mass_kg: case.mass,
        special_use: case
            .special
            .map(|word| if word == "priority" { SpecialUse::Priority } else { SpecialUse::Military }),
        registration_from: case.registered_from.map(day),
        registration_to: case.registered_to.map(day),
        ..VehicleSnapshot::default()
    };
    let registration = |from| ForeignRegistration { from: day(from), to: None, data_wrong: case.data_wrong };
    let grant = |(code, from, to): &(&str, i64, i64)| ExemptionGrant {
        code: ExemptionCode::new(*code),
        from: wall(*from),
        to: wall(*to),
    };
    let prior = |(fine, at, cents): &(&str, i64, i64)| PriorFine {
        fine: FineId::new(*fine),
        infraction_at: wall(*at),
        issued_at: None,
        amount_cents: u32::try_from(*cents).unwrap(),
    };
    LezInput {
        at: wall(read.at),
        country: Country::parse(case.country).unwrap(),
        reading,
        segment: read.segment.map(|code| SegmentHit {
            code: SegmentCode::new(code),
            detour: read.detour.map(|(from, to, _)| DetourPeriod { from: wall(from), to: wall(to) }),
            hit_elsewhere_same_day: read.detour.is_some_and(|(_, _, elsewhere)| elsewhere),
        }),
        vehicle: if case.known { Lookup::Found { vehicle: Box::new(vehicle) } } else { Lookup::Unknown },
        foreign_registration: case.foreign_from.map(registration),
        exemptions: case.grants.iter().map(grant).collect(),
        passes: case.passes.iter().map(|(on, bought)| DayPass { day: day(*on), bought_at: wall(*bought) }).collect(),
        history: History {
            fines: fines.iter().map(prior).collect(),
            warnings: warnings.iter().map(|at| PriorWarning { infraction_at: wall(*at) }).collect(),
        },
    }
}
