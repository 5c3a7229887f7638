//! A decision is the same from its serialised input, and more uncertainty is never less favourable.

use proptest::option;
use proptest::prelude::*;

use super::test_input::{later, rules, run, with};
use super::{Control, LimitSign, Reason, RuleSet, TrajectoryInput, TrajectoryOutcome, TrajectoryVerdict, decide};

const NOON: &str = "2026-11-23T11:00:00Z";

fn input() -> impl Strategy<Value = TrajectoryInput> {
    let control = option::weighted(0.9, 800_u64..1_200);
    let signs = prop::collection::vec((-90_000_000_i64..90_000_000, option::of(20_u16..120)), 0..3);
    let clocks = (-60_000_i64..60_000, 0_u64..200_000, -60_000_i64..60_000, 0_u64..200_000);
    let doubts = (0_u8..20, any::<bool>(), option::of(50_u16..60));
    (1_000_000_i64..100_000_000, control, signs, clocks, doubts).prop_map(
        |(micros, control, signs, (in_offset, in_u, out_offset, out_u), (odd, corrected, threshold))| {
            with(run(NOON, micros), |input| {
                let entered = input.entries[0].at;
                let micros = u64::try_from(micros).unwrap();
                input.control = control.map(|share| Control::SecondClock { micros: micros * share / 1_000 });
                input.signs = signs.iter().map(|(at, kmh)| LimitSign { at: later(entered, *at), kmh: *kmh }).collect();
                (input.entry_clock.offset_us, input.entry_clock.uncertainty_us) = (in_offset, in_u);
                (input.exit_clock.offset_us, input.exit_clock.uncertainty_us) = (out_offset, out_u);
                input.exits[0].reading.corrected = corrected;
                input.prosecuted_from_kmh = threshold;
                match odd {
                    0 => input.entries.clear(),
                    1 => input.left_between = true,
                    2 => input.exits[0].confidence_ppm = 1,
                    _ => {}
                }
            })
        },
    )
}

/// How bad an outcome is for the driver: the excess that is prosecuted, then the one that is not.
fn harm(outcome: &TrajectoryOutcome) -> (u16, u16) {
    match outcome.verdict {
        TrajectoryVerdict::Infraction { over_kmh } => (over_kmh, over_kmh),
        TrajectoryVerdict::BelowThreshold { over_kmh } => (0, over_kmh),
        TrajectoryVerdict::Compliant | TrajectoryVerdict::NotUsable => (0, 0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_decision_is_replayed_from_its_snapshot(input in input()) {
        let rules = rules("870", "0.2", 100_000);
        let outcome = decide(&rules, &input);
        let read_back: TrajectoryInput = serde_json::from_str(&serde_json::to_string(&input).unwrap()).unwrap();
        prop_assert_eq!(&read_back, &input);
        prop_assert_eq!(&decide(&rules, &read_back), &outcome);
        let kept: TrajectoryOutcome = serde_json::from_str(&serde_json::to_string(&outcome).unwrap()).unwrap();
        prop_assert_eq!(kept, outcome);
    }

    #[test]
    fn more_uncertainty_of_a_clock_is_never_worse(input in input(), more in 0_u64..5_000_000, at_exit in any::<bool>()) {
        let rules = rules("870", "0", 0);
        let wider = with(input.clone(), |input| {
            let clock = if at_exit { &mut input.exit_clock } else { &mut input.entry_clock };
            clock.uncertainty_us += more;
        });
        prop_assert!(harm(&decide(&rules, &wider)) <= harm(&decide(&rules, &input)));
    }

    #[test]
    fn more_uncertainty_of_the_distance_is_never_worse(input in input(), one in 0_u32..870, two in 0_u32..870) {
        let under = |mm: u32| -> RuleSet { rules("870", &format!("0.{mm:03}"), 0) };
        let (less, more) = (one.min(two), one.max(two));
        prop_assert!(harm(&decide(&under(more), &input)) <= harm(&decide(&under(less), &input)));
    }

    #[test]
    fn more_uncertainty_in_the_tables_is_never_worse(input in input(), one in 0_u64..900_000, two in 0_u64..900_000) {
        let (less, more) = (rules("870", "0", one.min(two)), rules("870", "0", one.max(two)));
        prop_assert!(harm(&decide(&more, &input)) <= harm(&decide(&less, &input)));
    }

    #[test]
    fn a_longer_run_is_never_worse(micros in 12_528_000_i64..200_000_000, more in 0_i64..1_000_000) {
        let rules = rules("870", "0", 0);
        let of = |micros| decide(&rules, &run(NOON, micros));
        prop_assert!(harm(&of(micros + more)) <= harm(&of(micros)));
    }

    #[test]
    fn what_fails_a_check_is_never_a_finding(input in input()) {
        let outcome = decide(&rules("870", "0", 0), &input);
        let failed = outcome.reasons.iter().any(|reason| matches!(
            reason,
            Reason::NoEntry | Reason::LeftBetween | Reason::ConfidenceLow | Reason::NoControl
                | Reason::ControlDiffers | Reason::ClocksApart { .. } | Reason::TooFast | Reason::TooSlow
        ));
        prop_assert_eq!(failed, outcome.verdict == TrajectoryVerdict::NotUsable);
        prop_assert_eq!(outcome.measured.is_none(), failed);
        prop_assert_eq!(outcome.erase_now, !matches!(outcome.verdict, TrajectoryVerdict::Infraction { .. }));
    }
}
