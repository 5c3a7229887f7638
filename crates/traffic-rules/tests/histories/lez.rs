//! The low-emission zone by the tables of `domain.md` A2 to A9, read by eye.

use std::fmt::Write as _;

use traffic_rules::lez::{LezInput, LezOutcome, LezVerdict, RuleSet, decide};

use crate::civil;
use crate::draw::{Draw, plan, spread};
use crate::lez_draw::{Case, Read, history, input};

const LIGHT: &[&[&str]] = &[
    &["0", "none"],
    &["1"],
    &["2"],
    &["3"],
    &["4"],
    &["5", "5b"],
    &["6", "6c"],
    &["6d-TEMP"],
    &["6d"],
    &["6e"],
    &["7"],
];
const HEAVY: &[&[&str]] =
    &[&["0", "none"], &["I"], &["II"], &["III"], &["IV"], &["V", "EEV"], &["VI", "VI-C"], &["VI-D"], &["VI-E"], &["7"]];
const SMALL: &[&[&str]] = &[&["0", "none"], &["1"], &["2"], &["3"], &["4"], &["5", "5+"]];

/// A3: 2026–27, 2028–29, 2030–34, 2035, 2036 on; rule 1 first.
const A3: [[&str; 5]; 18] = [
    ["6", "6d", "BAN", "BAN", "BAN"],
    ["3", "4", "6d", "BAN", "BAN"],
    ["6", "6d-TEMP", "6d", "BAN", "BAN"],
    ["3", "4", "6d", "BAN", "BAN"],
    ["VI", "VI", "VI", "VI-D", "BAN"],
    ["III", "IV", "VI", "VI-D", "BAN"],
    ["VI", "VI", "VI", "VI-D", "VI-E"],
    ["III", "IV", "VI", "VI-D", "VI-E"],
    ["VI", "VI", "VI-D", "VI-D", "VI-D"],
    ["III", "IV", "VI-D", "VI-D", "VI-D"],
    ["VI", "VI", "VI-D", "VI-E", "VI-E"],
    ["III", "IV", "VI-D", "VI-E", "VI-E"],
    ["BAN", "BAN", "BAN", "BAN", "BAN"],
    ["all", "5", "BAN", "BAN", "BAN"],
    ["BAN", "BAN", "BAN", "BAN", "BAN"],
    ["3", "4", "5", "BAN", "BAN"],
    ["BAN", "BAN", "BAN", "BAN", "BAN"],
    ["all", "4", "5", "BAN", "BAN"],
];

/// What the tables ask of a rule in a year; `None` where they do not cover it.
fn asked(rule: usize, year: i64) -> Option<&'static str> {
    let row = A3[rule - 1];
    if year >= 2026 {
        let column = if year < 2028 {
            0
        } else if year < 2030 {
            1
        } else if year < 2035 {
            2
        } else {
            usize::from(year > 2035) + 3
        };
        return Some(row[column]);
    }
    if rule > 8 || year < 2018 {
        return None;
    }
    let (diesel, heavy) = (rule % 2 == 1, rule > 4);
    Some(match (diesel, year, heavy) {
        (true, 2018, false) => "2",
        (true, 2018, true) => "II",
        (true, 2019, false) => "3",
        (true, 2019, true) => "III",
        (true, 2020 | 2021, false) => "4",
        (true, 2020 | 2021, true) => "IV",
        (true, _, false) => "5",
        (true, _, true) => "V",
        (false, 2018, _) => "all",
        (false, _, false) => "2",
        (false, _, true) => "II",
    })
}

/// The rules that may be the vehicle's: two where its class or mass is not known.
fn rules_of(case: &Case, diesel: bool) -> Vec<usize> {
    let one = |odd: usize| vec![odd + usize::from(!diesel)];
    let both = |odd: usize, other: usize| vec![odd + usize::from(!diesel), other + usize::from(!diesel)];
    match case.category {
        "M1" => one(1),
        "M2" => one(3),
        "N1" => match (case.mass, case.class) {
            (None, None) => both(1, 3),
            (None, Some(class)) => one(if class == "I" { 1 } else { 3 }),
            (Some(mass), class) => {
                let by_mass = if mass <= 1305 {
                    "I"
                } else if mass <= 1760 {
                    "II"
                } else {
                    "III"
                };
                if class.is_some_and(|class| class != by_mass) {
                    both(1, 3)
                } else {
                    one(if by_mass == "I" { 1 } else { 3 })
                }
            }
        },
        "M3" => match case.class {
            Some("I" | "II" | "A") => one(5),
            Some(_) => one(7),
            None => both(5, 7),
        },
        "N2" => match case.mass {
            Some(mass) => one(if mass <= 2610 { 9 } else { 11 }),
            None => both(9, 11),
        },
        "N3" => one(11),
        "L1e" | "L2e" => one(13),
        "L3e" | "L5e" => one(15),
        "L6e" | "L7e" => one(17),
        other => panic!("{other}"),
    }
}

fn series(category: &str) -> &'static [&'static [&'static str]] {
    if category.starts_with('L') {
        SMALL
    } else if matches!(category, "M3" | "N2" | "N3") {
        HEAVY
    } else {
        LIGHT
    }
}

fn place(series: &[&[&str]], norm: &str) -> Option<usize> {
    series.iter().position(|level| level.contains(&norm))
}

/// `Some(true)`: the tables ban it. `None`: the norm does not say.
fn banned(case: &Case, rule: usize, year: i64) -> Option<bool> {
    match asked(rule, year) {
        None | Some("all") => Some(false),
        Some("BAN") => Some(true),
        Some(minimum) => {
            let levels = series(case.category);
            let (has, needs) = (place(levels, case.norm?)?, place(levels, minimum).unwrap());
            if has >= needs { Some(false) } else { (!case.derived).then_some(true) }
        }
    }
}

/// Last day of warnings of the step in force, where there is one: 9 months in 2018, 3 in 2019 and 2020, 6 in 2022.
fn fines_from(rule: usize, year: i64) -> Option<i64> {
    let start = match (rule % 2 == 1, year) {
        _ if rule > 8 => return None,
        (true, 2018) => civil::number(2018, 10, 1),
        (_, 2019) => civil::number(2019, 4, 1),
        (true, 2020) => civil::number(2020, 4, 1),
        (true, 2022) => civil::number(2022, 7, 1),
        _ => return None,
    };
    Some(start)
}

/// What stands of the past after a change of holder.
struct Past {
    fines: Vec<(&'static str, i64, i64)>,
    warnings: Vec<i64>,
}

fn window_months(fine: &str) -> i64 {
    if fine == "F-LEZ-NEW-B" { 12 } else { 3 }
}

/// A fine, or what stands in its way.
fn fine(name: &'static str, cents: i64, yearly: Option<usize>, past: &Past, day: i64) -> String {
    // A8: nine months of warnings in 2018; no fine of any kind before them.
    if day < civil::number(2018, 10, 1) {
        return "UNDETERMINED".to_owned();
    }
    let mut until = None;
    for (prior, on, _) in &past.fines {
        let months = window_months(name).max(window_months(prior));
        let (first, last) = if *on < day { (*on, day) } else { (day, *on) };
        if last < civil::plus_months(first, months) {
            until = until.max(Some(civil::plus_months(*on, months)));
        }
    }
    let this_year = past.fines.iter().filter(|(_, on, _)| civil::year(*on) == civil::year(day)).count();
    if until.is_none() && yearly.is_some_and(|max| this_year >= max) {
        until = Some(civil::number(civil::year(day) + 1, 1, 1));
    }
    until.map_or_else(|| format!("INFRACTION {name} {cents}"), |until| format!("NO_FINE {name} {}", text(until)))
}

fn text(day: i64) -> String {
    let (year, month, day) = civil::date(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// What a banned vehicle gets.
fn penalty(case: &Case, rule: usize, past: &Past, day: i64) -> String {
    let year = civil::year(day);
    if let Some(from) = fines_from(rule, year)
        && day < from
        && banned(case, rule, year - 1) != Some(true)
    {
        return if past.warnings.is_empty() {
            format!("WARNING - {}", text(from))
        } else {
            format!("NO_FINE - {}", text(from))
        };
    }
    // A derived norm says nothing about 2024, even where it would suffice.
    let asks_norm = asked(rule, 2024).is_some_and(|minimum| minimum != "all");
    let old = if case.derived && asks_norm && case.norm.is_some() { None } else { banned(case, rule, 2024) };
    match old {
        None => "UNDETERMINED".to_owned(),
        Some(true) if day >= civil::number(2018, 10, 1) => fine("F-LEZ-OLD", 35_000, Some(4), past, day),
        Some(false) if year >= 2026 => {
            let name = if day < civil::number(2026, 7, 1) { "F-LEZ-NEW-A" } else { "F-LEZ-NEW-B" };
            let Some(first) = past.warnings.iter().min() else {
                return format!("WARNING {name} {}", text(civil::plus_months(day, 3)));
            };
            let until = civil::plus_months(*first, 3);
            if day < until { format!("NO_FINE {name} {}", text(until)) } else { fine(name, 35_000, None, past, day) }
        }
        Some(_) => "UNDETERMINED".to_owned(),
    }
}

/// By the vehicle alone: an end, or the rule that bans it.
enum Standing {
    Ends(&'static str, Option<usize>),
    Banned(usize),
}

fn standing(case: &Case, day: i64) -> Standing {
    let year = civil::year(day);
    if case.category.is_empty() {
        return Standing::Ends("UNDETERMINED", None);
    }
    if matches!(case.category, "T1" | "O2") {
        return Standing::Ends("OUT_OF_SCOPE", Some(20));
    }
    let diesel = match case.fuel {
        "diesel" | "hybrid_diesel" => true,
        "petrol" | "lpg" | "cng" | "hybrid_petrol" => false,
        "electric" | "hydrogen" => return Standing::Ends("ALLOWED", Some(19)),
        _ => return Standing::Ends("UNDETERMINED", None),
    };
    let rules = rules_of(case, diesel);
    if rules.iter().all(|rule| asked(*rule, year).is_none()) {
        return Standing::Ends("OUT_OF_SCOPE", None);
    }
    if let [rule] = rules[..] {
        return match banned(case, rule, year) {
            Some(true) => Standing::Banned(rule),
            Some(false) => Standing::Ends("ALLOWED", Some(rule)),
            None => Standing::Ends("UNDETERMINED", Some(rule)),
        };
    }
    if rules.iter().all(|rule| banned(case, *rule, year) == Some(false)) {
        return Standing::Ends("ALLOWED", Some(rules[0]));
    }
    Standing::Ends("UNDETERMINED", None)
}

/// The whole decision.
fn reference(case: &Case, read: &Read, past: &Past) -> String {
    let day = civil::local(read.at).0;
    let year = civil::year(day);
    if year < 2018 || read.segment == Some("EX-RING") {
        return "OUT_OF_SCOPE".to_owned();
    }
    match (read.segment, read.detour) {
        (Some("EX-NOWHERE"), _) => return "UNDETERMINED".to_owned(),
        (Some("EX-DEV"), Some((from, to, false))) if (from..to).contains(&read.at) => return "OUT_OF_SCOPE".to_owned(),
        _ => {}
    }
    if case.plate == "trailer" {
        return "OUT_OF_SCOPE".to_owned();
    }
    let valid = case.registered_from.is_none_or(|from| from <= day) && case.registered_to.is_none_or(|to| day <= to);
    let known = case.known && valid;
    let registered = case.foreign_from.is_some_and(|from| {
        let years = if civil::year(from) < 2026 { 3 } else { 5 };
        from <= day && day < civil::plus_months(from, 12 * years)
    });
    let needs_none = case.country == "B" || (case.country == "NL" && year >= 2026);
    let mut rule = None;
    // The verdict before exemptions and passes; `Err` is settled for good.
    let pending = if case.country != "B" && !read.country_sure {
        "UNDETERMINED".to_owned()
    } else if !needs_none && !registered {
        fine("F-LEZ-FOREIGN", 15_000, None, past, day)
    } else if !known {
        "UNDETERMINED".to_owned()
    } else {
        match standing(case, day) {
            Standing::Banned(banned) => {
                rule = Some(banned);
                penalty(case, banned, past, day)
            }
            Standing::Ends("ALLOWED", by) if case.country != "B" && registered && case.data_wrong => {
                rule = by;
                fine("F-LEZ-DATA", 2_500, None, past, day)
            }
            Standing::Ends(word @ ("ALLOWED" | "OUT_OF_SCOPE"), by) => return with_rule(word, by),
            Standing::Ends(word, by) => {
                rule = by;
                word.to_owned()
            }
        }
    };
    let said = exempt(case, read, known, day).or_else(|| passed(case, day)).unwrap_or(pending);
    with_rule(&said, rule)
}

fn with_rule(said: &str, rule: Option<usize>) -> String {
    rule.map_or_else(|| said.to_owned(), |rule| format!("{said} LEZ-{rule:02}"))
}

fn exempt(case: &Case, read: &Read, known: bool, day: i64) -> Option<String> {
    let old = case.plate == "personalised"
        && known
        && case.first_registration.is_some_and(|first| civil::plus_months(first, 360) < day);
    let granted = |code: &str, years: i64| {
        case.grants.iter().any(|(name, from, to)| {
            let last = if years == 0 {
                *to
            } else {
                civil::midnight(civil::plus_months(civil::local(*from).0, 12 * years)).min(*to)
            };
            *name == code && (*from..last).contains(&read.at)
        })
    };
    let code = if case.plate == "oldtimer" || old {
        "E-OLD"
    } else if known && case.special == Some("priority") {
        "E-PRIO"
    } else if granted("E-RESCUE", 0) {
        "E-RESCUE"
    } else if known && case.special == Some("military") {
        "E-MIL"
    } else if known && matches!(case.fuel, "electric" | "hydrogen") {
        "E-ZE"
    } else if case.plate == "agricultural" || (known && case.category == "T1") {
        "E-AGRI"
    } else if granted("E-DIS-VEH", 3) {
        "E-DIS-VEH"
    } else if granted("E-DIS-CARD", 5) {
        "E-DIS-CARD"
    } else if case.plate == "diplomatic" {
        return Some("UNDETERMINED".to_owned());
    } else {
        return None;
    };
    Some(format!("EXEMPT {code}"))
}

fn passed(case: &Case, day: i64) -> Option<String> {
    let year = civil::year(day);
    let mut of_year: Vec<_> =
        case.passes.iter().filter(|(on, _)| civil::year(*on) == year).map(|(on, bought)| (*bought, *on)).collect();
    of_year.sort_unstable();
    let at = of_year.iter().position(|(_, on)| *on == day)?;
    let max = if year < 2026 { 8 } else { 24 };
    let in_time = of_year[at].0 < civil::midnight(day + 2);
    (at < max && in_time).then(|| "PASS".to_owned())
}

/// The engine's outcome in the reference's words.
fn engine(outcome: &LezOutcome) -> String {
    let name = |fine: &Option<traffic_rules::lez::FineId>| fine.as_ref().map_or("-".to_owned(), ToString::to_string);
    let mut said = match &outcome.verdict {
        LezVerdict::Allowed => "ALLOWED".to_owned(),
        LezVerdict::Exempt { exemption } => format!("EXEMPT {exemption}"),
        LezVerdict::Pass => "PASS".to_owned(),
        LezVerdict::Infraction { fine, amount_cents, .. } => format!("INFRACTION {fine} {amount_cents}"),
        LezVerdict::Warning { fine, fine_from } => format!("WARNING {} {fine_from}", name(fine)),
        LezVerdict::NoFineInWindow { fine, until } => format!("NO_FINE {} {until}", name(fine)),
        LezVerdict::Undetermined => "UNDETERMINED".to_owned(),
        LezVerdict::OutOfScope => "OUT_OF_SCOPE".to_owned(),
    };
    if let Some(rule) = &outcome.rule {
        write!(said, " {rule}").unwrap();
    }
    said
}

/// One vehicle's life: every read is decided by both, and what comes of it is part of the next one's history.
fn one(rules: &RuleSet, seed: u64, number: u64) -> u64 {
    let mut draw = Draw::new(seed, number);
    let (case, reads) = history(&mut draw);
    let mut record: Vec<(&'static str, i64, i64)> = Vec::new();
    let mut warned: Vec<i64> = Vec::new();
    for read in &reads {
        let since = |at: i64| {
            let day = civil::local(at).0;
            let holds = case.known
                && case.registered_from.is_none_or(|from| from <= civil::local(read.at).0)
                && case.registered_to.is_none_or(|to| civil::local(read.at).0 <= to);
            !holds || case.registered_from.is_none_or(|from| day >= from)
        };
        let past = Past {
            fines: record
                .iter()
                .filter(|(_, at, _)| since(*at))
                .map(|(name, at, cents)| (*name, civil::local(*at).0, *cents))
                .collect(),
            warnings: warned.iter().filter(|at| since(**at)).map(|at| civil::local(*at).0).collect(),
        };
        let input: LezInput = input(&case, read, &record, &warned);
        let outcome = decide(rules, &input);
        let (said, wanted) = (engine(&outcome), reference(&case, read, &past));
        assert_eq!(said, wanted, "history {number} of seed {seed}: {case:?} {read:?} {record:?} {warned:?}");
        assert_eq!(outcome.day.to_string(), text(civil::local(read.at).0));
        let finding = said.starts_with("INFRACTION") || said.starts_with("WARNING");
        let last = finding.then(|| civil::midnight(civil::local(read.at).0 + 2));
        assert_eq!(outcome.final_from.map(|at| at.micros), last);
        let validated = draw.percent(90);
        if said.starts_with("WARNING") {
            warned.push(read.at);
        }
        let fined = ["F-LEZ-OLD", "F-LEZ-NEW-A", "F-LEZ-NEW-B", "F-LEZ-FOREIGN", "F-LEZ-DATA"];
        if let Some(name) = fined.into_iter().find(|name| validated && said.starts_with(&format!("INFRACTION {name} ")))
        {
            record.push((name, read.at, if name == "F-LEZ-FOREIGN" { 15_000 } else { 35_000 }));
        }
    }
    u64::try_from(reads.len()).unwrap()
}

#[test]
fn lez_histories_agree_with_the_reference() {
    let (histories, seed) = plan(2_000);
    let rules = RuleSet::embedded_once();
    let reads = spread(histories, |number| one(rules, seed, number));
    println!("LEZ: {histories} histories, {reads} reads, seed {seed}: 0 differences");
}
