//! The 8 vectors of `domain.md` C2, by their numbers.

use super::test_input::{rules, run, short, with};
use super::{RuleSet, TrajectoryInput, decide};

const NOON: &str = "2026-11-23T11:00:00Z";

#[test]
fn vectors_1_to_6_speeds() {
    for (number, metres, micros, hundredths, truncated, corrected, wanted) in [
        (1, "870", 50_000_000, 6_264, 62, 56, "INFRACTION 6"),
        (2, "633", 40_000_000, 5_697, 56, 50, "COMPLIANT"),
        (3, "633", 39_900_000, 5_711, 57, 51, "BELOW_THRESHOLD 1"),
        (4, "813", 24_000_000, 12_195, 121, 113, "INFRACTION 63"),
        (5, "600", 21_600_000, 10_000, 100, 94, "INFRACTION 44"),
        (6, "600", 21_300_000, 10_140, 101, 94, "INFRACTION 44"),
    ] {
        let rules = rules(metres, "0", 0);
        let input = with(run(NOON, micros), |input| input.prosecuted_from_kmh = Some(52));
        assert_eq!(short(&rules, &input), wanted, "vector {number}");
        let outcome = decide(&rules, &input);
        let measured = outcome.measured.unwrap();
        assert_eq!(measured.raw.hundredths(), hundredths, "vector {number}");
        assert_eq!((measured.truncated_kmh, measured.corrected_kmh), (truncated, corrected), "vector {number}");
        assert_eq!(measured.limit_kmh, 50);
        let serials: Vec<_> = measured.instruments.iter().map(|instrument| instrument.serial.as_str()).collect();
        assert_eq!(serials, ["DEMO-0001", "DEMO-0002"]);
        let rule = if truncated <= 100 { "TRJ-MARGIN-FLAT" } else { "TRJ-MARGIN-PERCENT" };
        assert_eq!(outcome.rule.unwrap().as_str(), rule, "vector {number}");
    }
    // One microsecond beside the boundary of vector 5.
    let rules = rules("600", "0", 0);
    for (micros, truncated) in [(21_600_000, 100), (21_600_001, 99), (21_386_139, 100), (21_386_138, 101)] {
        let measured = decide(&rules, &run(NOON, micros)).measured.unwrap();
        assert_eq!(measured.truncated_kmh, truncated, "{micros} µs");
    }
}

#[test]
fn vector_7_the_clock_change_changes_nothing() {
    let rules = rules("870", "0", 0);
    let measured = |input: &TrajectoryInput| decide(&rules, input).measured.map(|measured| measured.corrected_kmh);
    // Local 02:59:40 to 02:00:30, one hour repeated; and local 01:59:40 to 03:00:30 in spring.
    for entered in ["2026-10-25T00:59:40Z", "2026-03-29T00:59:40Z", NOON] {
        assert_eq!(measured(&run(entered, 50_000_000)), Some(56), "{entered}");
    }
}

#[test]
fn vector_8_an_exit_before_the_entry() {
    let rules = rules("870", "0", 0);
    for micros in [0, -1, -50_000_000] {
        let input = with(run(NOON, micros), |input| {
            input.control = Some(super::Control::SecondClock { micros: 50_000_000 });
        });
        assert_eq!(short(&rules, &input), "NOT_USABLE");
        assert_eq!(decide(&rules, &input).reasons, [super::Reason::ExitNotAfterEntry]);
    }
}

#[test]
fn no_trajectory_measures_without_a_certificate() {
    let outcome = decide(RuleSet::embedded_once(), &run(NOON, 50_000_000));
    assert!(outcome.reasons.contains(&super::Reason::NoCertificate), "{:?}", outcome.reasons);
    assert!(outcome.erase_now && outcome.measured.is_none());
}
