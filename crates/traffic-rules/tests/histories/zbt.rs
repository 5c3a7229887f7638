//! Zones with restricted access by the tables of `domain.md` B1 to B3, read by eye.

use traffic_rules::zbt::{RuleSet, SeedTexts, ZbtOutcome, ZbtVerdict, decide};

use crate::civil;
use crate::draw::{Draw, plan, spread};
use crate::zbt_draw::{Case, Pass, Permit, Read, history, input};

/// One reading of what the municipalities have to settle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    /// `"zone_day"`, `"day"` or `"passage"`.
    dedupe: &'static str,
    regularise: bool,
    /// The exit is needed too, within so many hours.
    exit_hours: Option<i64>,
    /// Last day of warnings in zone A.
    warn: bool,
}

const VARIANTS: [Variant; 4] = [
    Variant { dedupe: "zone_day", regularise: false, exit_hours: None, warn: false },
    Variant { dedupe: "day", regularise: true, exit_hours: None, warn: true },
    Variant { dedupe: "passage", regularise: false, exit_hours: Some(2), warn: false },
    Variant { dedupe: "zone_day", regularise: true, exit_hours: Some(24), warn: true },
];

impl Variant {
    fn rules(self) -> RuleSet {
        let good = SeedTexts::embedded();
        let word = match self.dedupe {
            "zone_day" => "vehicle_zone_day",
            "day" => "vehicle_day",
            other => other,
        };
        let fines = good
            .fines
            .replace("dedupe = \"vehicle_zone_day\"", &format!("dedupe = \"{word}\""))
            .replace("regularisation_enabled = false", &format!("regularisation_enabled = {}", self.regularise));
        let mut zones = good.zones.to_owned();
        if let Some(hours) = self.exit_hours {
            zones = zones
                .replace("pairing = \"entry_only\"", "pairing = \"entry_exit\"")
                .replace("pair_hours = 24", &format!("pair_hours = {hours}"));
        }
        if self.warn {
            zones = zones.replacen("enabled = true", "enabled = true\nwarn_until = 2026-10-31", 1);
        }
        RuleSet::load(SeedTexts { zones: &zones, fines: &fines, ..good }).unwrap()
    }
}

/// B1: A and B from 07:00 to 19:00, C always; since 7 July 2018.
fn closed(zone: &str, at: i64) -> bool {
    let day = civil::local(at).0;
    match zone {
        "ZBT-XL-C" => true,
        _ => civil::later(day, 7 * 60) <= at && at < civil::earlier(day, 19 * 60),
    }
}

/// B2: zones and hours of a right with a permit, its longest term in months, its vehicles for a place.
struct Terms {
    zones: &'static [&'static str],
    morning_only: bool,
    months: Option<i64>,
    per_place: Option<usize>,
}

fn terms(right: &str) -> Option<Terms> {
    const AB: &[&str] = &["ZBT-XL-A", "ZBT-XL-B"];
    let year = |zones| Terms { zones, morning_only: false, months: Some(12), per_place: None };
    Some(match right {
        "Z-GARAGE" => Terms { per_place: Some(3), ..year(AB) },
        "Z-MED" | "Z-DIS-RES" | "Z-DIS-EXT" => year(AB),
        "Z-RES" => year(&["ZBT-XL-B"]),
        "Z-DELIV" => {
            Terms { zones: &["ZBT-XL-A", "ZBT-XL-B", "ZBT-XL-C"], morning_only: true, months: None, per_place: None }
        }
        "Z-DAY" => Terms { months: Some(1), ..year(AB) },
        _ => return None,
    })
}

fn holiday(day: i64) -> bool {
    let (year, month, date) = civil::date(day);
    let fixed = [(1, 1), (5, 1), (7, 21), (8, 15), (11, 1), (11, 11), (12, 25)];
    let easter = civil::easter(year);
    fixed.contains(&(month, date)) || [1, 39, 50].map(|after| easter + after).contains(&day)
}

/// The permit's own hours: some days of the week, from one minute to another, perhaps not on holidays.
fn own_hours(permit: &Permit, at: i64) -> bool {
    let Some((days, from, to, not_on_holidays)) = permit.hours else { return true };
    let today = civil::local(at).0;
    // The window of yesterday may run into today.
    [today - 1, today].into_iter().any(|day| {
        let starts = days.contains(&civil::weekday(day)) && !(not_on_holidays && holiday(day));
        let end = if to > from { civil::earlier(day, to) } else { civil::earlier(day + 1, to) };
        starts && civil::later(day, from) <= at && at < end
    })
}

fn permits(permit: &Permit, zone: &str, at: i64, variant: Variant) -> bool {
    let Some(terms) = terms(permit.right) else { return false };
    let day = civil::local(at).0;
    if !terms.zones.contains(&zone) || permit.zone != zone || permit.status != "granted" {
        return false;
    }
    let legal = terms.months.map_or(permit.to, |months| {
        civil::midnight(civil::plus_months(civil::local(permit.from).0, months)).min(permit.to)
    });
    if at < permit.from || at >= legal || !own_hours(permit, at) {
        return false;
    }
    if terms.morning_only && !(civil::later(day, 7 * 60) <= at && at < civil::earlier(day, 11 * 60)) {
        return false;
    }
    if let Some(per_place) = terms.per_place
        && let Some((places, others)) = &permit.group
    {
        // Seats are given out in the order of the grants; of one instant, by id.
        let mut seated: Vec<&str> = Vec::new();
        let mut queue: Vec<_> = others.iter().filter(|other| other.from <= at && at < other.to).collect();
        queue.sort_by_key(|other| (other.granted, other.id.clone()));
        for other in
            queue.into_iter().take_while(|other| (other.granted, other.id.as_str()) < (permit.granted, permit.id))
        {
            if !seated.contains(&other.vehicle) {
                seated.push(other.vehicle);
            }
        }
        if seated.len() >= per_place * places {
            return false;
        }
    }
    if permit.granted <= at {
        return true;
    }
    let mut next = day + 1;
    while civil::weekday(next) > 4 || holiday(next) {
        next += 1;
    }
    variant.regularise && permit.granted < civil::later(next, 23 * 60)
}

/// The whole decision.
fn reference(case: &Case, read: &Read, past: &[(&'static str, i64)], variant: Variant) -> String {
    let at = match read.pass {
        Pass::Entry | Pass::Exit => read.at,
        Pass::Stay(_) => read.at,
    };
    let day = civil::local(at).0;
    match read.zone {
        "ZBT-NOWHERE" => return "UNDETERMINED".to_owned(),
        "ZBT-BXL-PENTAGON" => return "OUT_OF_SCOPE".to_owned(),
        _ if day < civil::number(2018, 7, 7) || case.plate == "trailer" => return "OUT_OF_SCOPE".to_owned(),
        _ => {}
    }
    let hours = variant.exit_hours.unwrap_or(24);
    match read.pass {
        Pass::Exit => return "OUT_OF_SCOPE".to_owned(),
        Pass::Stay(left) if left <= at || left >= at + hours * 3_600 * civil::SECOND => {
            return "OUT_OF_SCOPE".to_owned();
        }
        Pass::Entry | Pass::Stay(_) => {}
    }
    if !closed(read.zone, at) {
        return "OPEN".to_owned();
    }
    let order = ["Z-BIKE", "Z-SERV", "Z-PRIO", "Z-PT", "Z-MIL", "Z-TAXI"];
    for right in order {
        let listed =
            case.listings.iter().any(|(code, from, to)| *code == right && *from <= at && to.is_none_or(|to| at < to));
        if listed || (right == "Z-TAXI" && case.plate == "taxi") {
            return format!("EXEMPT {right}");
        }
    }
    if let Some(permit) = case.permits.iter().find(|permit| permits(permit, read.zone, at, variant)) {
        return format!("PERMIT {} {}", permit.right, permit.id);
    }
    if variant.exit_hours.is_some() && matches!(read.pass, Pass::Entry) {
        let until = at + hours * 3_600 * civil::SECOND;
        return if read.decided < until { format!("AWAITS_EXIT {until}") } else { "OUT_OF_SCOPE".to_owned() };
    }
    let counted = past.iter().any(|(zone, when)| match variant.dedupe {
        "zone_day" => *zone == read.zone && civil::local(*when).0 == day,
        "day" => civil::local(*when).0 == day,
        _ => *zone == read.zone && *when == at,
    });
    if counted {
        "ALREADY_COUNTED".to_owned()
    } else if variant.warn && read.zone == "ZBT-XL-A" && day <= civil::number(2026, 10, 31) {
        "WARNING 2026-11-01".to_owned()
    } else {
        "CANDIDATE ZBT-C3 5800".to_owned()
    }
}

/// The engine's outcome in the reference's words.
fn engine(outcome: &ZbtOutcome) -> String {
    match &outcome.verdict {
        ZbtVerdict::Open => "OPEN".to_owned(),
        ZbtVerdict::Exempt { right } => format!("EXEMPT {right}"),
        ZbtVerdict::Permitted { right, permit } => format!("PERMIT {right} {permit}"),
        ZbtVerdict::AwaitsExit { until } => format!("AWAITS_EXIT {}", until.micros),
        ZbtVerdict::Candidate { fine, amount_cents, .. } => format!("CANDIDATE {fine} {amount_cents}"),
        ZbtVerdict::Warning { fine_from } => format!("WARNING {fine_from}"),
        ZbtVerdict::AlreadyCounted => "ALREADY_COUNTED".to_owned(),
        ZbtVerdict::Undetermined => "UNDETERMINED".to_owned(),
        ZbtVerdict::OutOfScope => "OUT_OF_SCOPE".to_owned(),
    }
}

/// One vehicle's life: every passage is decided by both, and what comes of it is part of the next one's history.
fn one(rules: &[RuleSet], seed: u64, number: u64) -> u64 {
    let at = usize::try_from(number).unwrap() % VARIANTS.len();
    let (rules, variant) = (&rules[at], VARIANTS[at]);
    let mut draw = Draw::new(seed ^ 0x5A42_5421, number);
    let (case, reads) = history(&mut draw);
    let mut candidates: Vec<(&'static str, i64)> = Vec::new();
    let mut warnings: Vec<(&'static str, i64)> = Vec::new();
    for read in &reads {
        let past = [candidates.clone(), warnings.clone()].concat();
        let outcome = decide(rules, &input(&case, read, &candidates, &warnings));
        let (said, wanted) = (engine(&outcome), reference(&case, read, &past, variant));
        assert_eq!(said, wanted, "history {number} of seed {seed}: {variant:?} {case:?} {read:?} {past:?}");
        let kept = ["CANDIDATE", "WARNING", "UNDETERMINED", "AWAITS"].iter().any(|word| said.starts_with(word));
        assert_eq!(
            (outcome.erase_now, outcome.retention.as_str()),
            (!kept, if kept { "RC-ZBT-CAND" } else { "RC-ZBT-OK" })
        );
        // An official rejects some.
        if said.starts_with("CANDIDATE") && draw.percent(90) {
            candidates.push((read.zone, read.at));
        }
        if said.starts_with("WARNING") {
            warnings.push((read.zone, read.at));
        }
    }
    u64::try_from(reads.len()).unwrap()
}

#[test]
fn zbt_histories_agree_with_the_reference() {
    let (histories, seed) = plan(2_000);
    let rules = VARIANTS.map(Variant::rules);
    let reads = spread(histories, |number| one(&rules, seed, number));
    println!("ZBT: {histories} histories, {reads} passages, seed {seed}: 0 differences");
}
