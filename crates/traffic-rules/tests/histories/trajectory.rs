//! Average speed by `domain.md` C1 and C2, read by eye: speeds found by trying one whole km/h after the other.

use traffic_rules::trajectory::{
    Control, EndClock, EndRead, LimitSign, Millimetres, RuleSet, SeedTexts, Stated, TrajectoryCode, TrajectoryInput,
    TrajectoryOutcome, TrajectoryVerdict, decide,
};
use traffic_rules::{PlateKind, PlateReading};
use vms_core::{Country, WallTime};

use crate::civil::{self, DAY, SECOND};
use crate::draw::{Draw, plan, spread};

/// A made-up road with papers from 2026-01-01 to 2027-12-31.
struct Road {
    metres: &'static str,
    mm: i128,
    uncertainty: &'static str,
    uncertainty_mm: i128,
    clock_us: i128,
}

const ROADS: [Road; 5] = [
    Road { metres: "870.0", mm: 870_000, uncertainty: "0", uncertainty_mm: 0, clock_us: 0 },
    Road { metres: "633.0", mm: 633_000, uncertainty: "0.5", uncertainty_mm: 500, clock_us: 100_000 },
    Road { metres: "813.0", mm: 813_000, uncertainty: "0.1", uncertainty_mm: 100, clock_us: 100_000 },
    Road { metres: "600.0", mm: 600_000, uncertainty: "0", uncertainty_mm: 0, clock_us: 0 },
    Road { metres: "2900.4", mm: 2_900_400, uncertainty: "2.9", uncertainty_mm: 2_900, clock_us: 50_000 },
];

impl Road {
    fn rules(&self) -> RuleSet {
        let demo = SeedTexts::demonstration();
        let certificates = demo
            .certificates
            .replace("\"870.0\"", &format!("\"{}\"", self.metres))
            .replace("\"0.2\"", &format!("\"{}\"", self.uncertainty));
        let parameters = demo
            .parameters
            .replace("clock_uncertainty_us = 100000", &format!("clock_uncertainty_us = {}", self.clock_us));
        RuleSet::load(SeedTexts { certificates: &certificates, parameters: &parameters, ..demo }).unwrap()
    }
}

/// One end as drawn.
#[derive(Clone, Copy, Debug)]
struct End {
    at: i64,
    reads: usize,
    confidence: u32,
    french: bool,
    doubtful: bool,
    locked: Option<(i64, i64)>,
    offset: i64,
    uncertainty: i64,
}

/// One pair as drawn.
#[derive(Debug)]
struct Case {
    road: &'static str,
    entry: End,
    exit: End,
    /// Base in mm (0: the whole road), microseconds.
    control: Option<(u32, i64)>,
    signs: Vec<(i64, Option<u16>)>,
    left_between: bool,
    threshold: Option<u16>,
}

fn draw_case(draw: &mut Draw, road: &Road) -> Case {
    let day = match draw.between(0, 9) {
        0 => civil::number(2025, 12, draw.between(30, 31)),
        1 => civil::number(2028, 1, draw.between(1, 2)) - draw.between(0, 3),
        2 => civil::number(2026, 10, 25),
        3 => civil::number(2026, 3, 29),
        _ => civil::number(2026, 1, 1) + draw.between(0, 700),
    };
    let entered = civil::midnight(day)
        + draw.of(&[-30 * SECOND, 0, DAY / 24, 3 * DAY / 24 - 20 * SECOND, DAY / 2])
        + draw.between(0, 999_999);
    // Mostly near the time of a whole speed, often on it to the microsecond.
    let near = |speed: i128| i64::try_from(road.mm * 3_600 / speed).unwrap();
    let took = match draw.between(0, 9) {
        0 => near(5) + draw.between(-2, 2),
        1 => near(250) + draw.between(-2, 2),
        2 => draw.of(&[0, -1, -50 * SECOND]),
        3 => near(i128::from(draw.of(&[100_u8, 101, 102]))) + draw.between(-2, 2),
        4 | 5 => near(i128::from(draw.between(40, 130))) + draw.between(-3, 3),
        6 => near(i128::from(draw.between(50, 70))) - draw.between(0, 300_000),
        _ => draw.between(near(180), near(40)),
    };
    let entry = end(draw, entered, entered, entered + took);
    let exit = end(draw, entered + took, entered, entered + took);
    let control = draw.percent(95).then(|| control(draw, road, took));
    let signs = if draw.percent(25) {
        let count = draw.between(1, 4);
        let edges = [entered, entered + took];
        (0..count)
            .map(|_| {
                let at = draw.of(&edges) + draw.of(&[-DAY, -100_001, -100_000, -1, 0, 1, 100_000, 100_001]);
                (at, draw.percent(75).then(|| draw.of(&[30, 50, 70, 90])))
            })
            .collect()
    } else {
        Vec::new()
    };
    Case {
        road: if draw.percent(96) { "TRJ-STE" } else { draw.of(&["TRJ-NONE", "TRJ-MARIE", "TRJ-HAL-1"]) },
        entry,
        exit,
        control,
        signs,
        left_between: draw.percent(3),
        threshold: draw.percent(60).then(|| draw.of(&[51, 52, 57, 60])),
    }
}

fn end(draw: &mut Draw, at: i64, entered: i64, left: i64) -> End {
    let year = 400 * DAY;
    End {
        at,
        reads: if draw.percent(96) { 1 } else { draw.of(&[0, 2, 3]) },
        confidence: draw
            .of(&[950_000, 950_001, 999_999, 999_999, 999_999, 999_999, 999_999, 999_999, 999_999, 949_999]),
        french: draw.percent(3),
        doubtful: draw.percent(10),
        locked: draw.percent(97).then(|| {
            if draw.percent(93) {
                (entered - year, left + year)
            } else {
                (entered - draw.of(&[100_000, 99_999, 0, 50_000]), left + draw.of(&[100_000, 99_999, 0, 50_000]))
            }
        }),
        offset: if draw.percent(70) { 0 } else { draw.of(&[1_000, -6_000, 25_000, -25_000, -25_001, 50_000, 50_001]) },
        uncertainty: draw.of(&[0, 0, 0, 1, 20_000, 100_001, 400_000]),
    }
}

fn control(draw: &mut Draw, road: &Road, took: i64) -> (u32, i64) {
    let near = took.max(1);
    match draw.between(0, 9) {
        0 => (0, near * 11 / 10 + draw.between(-1, 1)),
        1 => (0, near * 10 / 11 + draw.between(-1, 1)),
        2 => (0, draw.of(&[0, 1])),
        // A base of 10 m: the time over it at the road's speed, and around a tenth beside it.
        3 => (10_000, i64::try_from(i128::from(near) * 10_000 / road.mm).unwrap() + draw.between(-2, 2)),
        4 => (10_000, i64::try_from(i128::from(near) * 11_000 / road.mm).unwrap() + draw.between(-2, 2)),
        _ => (0, near + draw.between(-1_000, 1_000).min(near - 1)),
    }
}

/// Largest whole number of km/h that the distance in that time reaches.
fn whole_kmh(mm: i128, micros: i128) -> i128 {
    let mut speed = 0;
    while (speed + 1) * micros <= mm * 3_600 {
        speed += 1;
    }
    speed
}

/// The whole decision: an end and, where there is one, the corrected speed and the limit.
fn reference(case: &Case, road: &Road) -> (String, Option<(i128, i128, i128)>) {
    let nothing = ("NOT_USABLE".to_owned(), None);
    let (entry, exit) = (&case.entry, &case.exit);
    if entry.reads != 1 || exit.reads != 1 || case.left_between || case.road != "TRJ-STE" || exit.at <= entry.at {
        return nothing;
    }
    if entry.french != exit.french || entry.confidence < 950_000 || exit.confidence < 950_000 {
        return nothing;
    }
    let (first, last) = (civil::number(2026, 1, 1), civil::number(2027, 12, 31));
    let in_term = |at: i64| (first..=last).contains(&civil::local(at).0);
    if !in_term(entry.at) || !in_term(exit.at) {
        return nothing;
    }
    let doubt = |end: &End| road.clock_us.max(i128::from(end.uncertainty)).max(i128::from(end.offset).abs());
    let (early, late) = (i128::from(entry.at) - doubt(entry), i128::from(exit.at) + doubt(exit));
    // The distance's certificate has no end, only a first day.
    if civil::local(i64::try_from(early).unwrap()).0 < first {
        return nothing;
    }
    for end in [entry, exit] {
        let Some((from, to)) = end.locked else { return nothing };
        if i128::from(from) > early || i128::from(to) < late {
            return nothing;
        }
    }
    if (entry.offset - exit.offset).abs() > 50_000 {
        return nothing;
    }
    let time = i128::from(exit.at - entry.at);
    if road.mm * 3_600 < 5 * time || road.mm * 3_600 > 250 * time || !control_agrees(case, road, time) {
        return nothing;
    }
    let whole = whole_kmh(road.mm - road.uncertainty_mm, late - early);
    let mut corrected = if whole <= 100 { (whole - 6).max(0) } else { 0 };
    while whole > 100 && (corrected + 1) * 100 <= whole * 94 {
        corrected += 1;
    }
    let limit = limit(case, early, late);
    let over = corrected - limit;
    let said = if over <= 0 {
        "COMPLIANT".to_owned()
    } else if case.threshold.is_some_and(|from| corrected < i128::from(from)) {
        format!("BELOW_THRESHOLD {over}")
    } else {
        format!("INFRACTION {over}")
    };
    (said, Some((whole, corrected, limit)))
}

/// Within ten percent of the lower of the two speeds.
fn control_agrees(case: &Case, road: &Road, time: i128) -> bool {
    let Some((base, micros)) = case.control else { return false };
    let (base, micros) = (if base == 0 { road.mm } else { i128::from(base) }, i128::from(micros));
    // Speeds as mm per µs over a common denominator.
    let (one, two) = (road.mm * micros, base * time);
    micros > 0 && (10 * one <= 11 * two) && (10 * two <= 11 * one)
}

/// The highest limit shown at the start or at any change during the run; 50 where no sign says otherwise.
fn limit(case: &Case, early: i128, late: i128) -> i128 {
    let value = |kmh: &Option<u16>| kmh.map_or(50, i128::from);
    let last = case.signs.iter().map(|(at, _)| i128::from(*at)).filter(|at| *at <= early).max();
    let mut highest = case
        .signs
        .iter()
        .filter(|(at, _)| Some(i128::from(*at)) == last)
        .map(|(_, kmh)| value(kmh))
        .max()
        .unwrap_or(50);
    for (at, kmh) in &case.signs {
        if early < i128::from(*at) && i128::from(*at) <= late {
            highest = highest.max(value(kmh));
        }
    }
    highest
}

fn wall(at: i64) -> WallTime {
    WallTime::from_micros(at)
}

fn reads(end: &End) -> Vec<EndRead> {
    let reading = PlateReading {
        kind: PlateKind::Standard,
        corrected: end.doubtful,
        country_sure: true,
        auto_accept: true,
        confirmed: false,
    };
    let country = if end.french { Country::parse("F").unwrap() } else { Country::BELGIUM };
    let read = EndRead { at: wall(end.at), country, reading, confidence_ppm: end.confidence, class: None };
    vec![read; end.reads]
}

fn clock(end: &End) -> EndClock {
    EndClock {
        locked_from: wall(end.locked.map_or(0, |(from, _)| from)),
        locked_until: end.locked.map(|(_, until)| wall(until)),
        offset_us: end.offset,
        uncertainty_us: u64::try_from(end.uncertainty).unwrap(),
    }
}

fn input(case: &Case) -> TrajectoryInput {
    TrajectoryInput {
        trajectory: TrajectoryCode::new(case.road),
        entries: reads(&case.entry),
        exits: reads(&case.exit),
        entry_clock: clock(&case.entry),
        exit_clock: clock(&case.exit),
        control: case.control.map(|(base, micros)| {
            let micros = u64::try_from(micros).unwrap_or(0);
            if base == 0 {
                Control::SecondClock { micros }
            } else {
                Control::SpotSpeed { base: Millimetres(base), micros }
            }
        }),
        signs: case.signs.iter().map(|(at, kmh)| LimitSign { at: wall(*at), kmh: *kmh }).collect(),
        left_between: case.left_between,
        prosecuted_from_kmh: case.threshold,
        stated: Stated::default(),
    }
}

fn engine(outcome: &TrajectoryOutcome) -> String {
    match outcome.verdict {
        TrajectoryVerdict::Compliant => "COMPLIANT".to_owned(),
        TrajectoryVerdict::BelowThreshold { over_kmh } => format!("BELOW_THRESHOLD {over_kmh}"),
        TrajectoryVerdict::Infraction { over_kmh } => format!("INFRACTION {over_kmh}"),
        TrajectoryVerdict::NotUsable => "NOT_USABLE".to_owned(),
    }
}

/// Some runs of one vehicle over one road; gives how many were measured.
fn one(rules: &[RuleSet], seed: u64, number: u64) -> u64 {
    let at = usize::try_from(number).unwrap() % ROADS.len();
    let (rules, road) = (&rules[at], &ROADS[at]);
    let mut draw = Draw::new(seed ^ 0x5452_4A21, number);
    let mut measured = 0;
    for _ in 0..4 {
        let case = draw_case(&mut draw, road);
        let outcome = decide(rules, &input(&case));
        let (wanted, speeds) = reference(&case, road);
        let reasons = &outcome.reasons;
        assert_eq!(engine(&outcome), wanted, "history {number} of seed {seed}: {} {case:?} {reasons:?}", road.metres);
        let found = outcome.measured.as_ref();
        let found = found.map(|m| (m.truncated_kmh.into(), m.corrected_kmh.into(), m.limit_kmh.into()));
        assert_eq!(found, speeds, "history {number} of seed {seed}: {case:?}");
        let doubtful = case.entry.doubtful || case.exit.doubtful;
        assert_eq!(outcome.confirm_plate_first, wanted.starts_with("INFRACTION") && doubtful);
        measured += u64::from(speeds.is_some());
    }
    measured
}

#[test]
fn trajectory_histories_agree_with_the_reference() {
    let (histories, seed) = plan(2_000);
    let rules: Vec<_> = ROADS.iter().map(Road::rules).collect();
    let measured = spread(histories, |number| one(&rules, seed, number));
    assert!(measured * 3 > histories, "too few pairs were measured: {measured}");
    println!(
        "trajectory: {histories} histories, {} pairs, {measured} measured, seed {seed}: 0 differences",
        histories * 4
    );
}
