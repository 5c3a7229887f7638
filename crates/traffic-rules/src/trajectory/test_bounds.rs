//! Favourable bounds, plausibility, control, clocks, verification, limits.

use vms_core::Country;

use super::outcome::End;
use super::snapshot::VehicleClass;
use super::test_input::{later, read, reading, rules, run, short, utc, with};
use super::{
    Control, EndClock, LimitSign, Millimetres, Reason, RuleSet, SeedTexts, TrajectoryCode, TrajectoryInput, decide,
};

const NOON: &str = "2026-11-23T11:00:00Z";

type Change<'a> = &'a dyn Fn(&mut TrajectoryInput);

fn reasons(rules: &RuleSet, input: &TrajectoryInput) -> Vec<Reason> {
    decide(rules, input).reasons
}

#[test]
fn uncertainty_is_in_the_drivers_favour() {
    // 870 m in 50 s: 62.64 raw; 0.1 s at each end: 62.39; with 0.87 m less: 62.32. In 49.714 s raw is 63.0003.
    for (uncertainty, clock, micros, truncated) in [
        ("0", 0, 49_714_000, 63),
        ("0", 100_000, 49_714_000, 62),
        ("0.2", 0, 49_714_000, 62),
        ("0", 0, 50_000_000, 62),
        ("0.87", 100_000, 50_000_000, 62),
    ] {
        let measured = decide(&rules("870", uncertainty, clock), &run(NOON, micros)).measured.unwrap();
        assert_eq!(measured.truncated_kmh, truncated, "{uncertainty} m, {clock} µs");
    }
    let stated = with(run(NOON, 49_714_000), |input| input.exit_clock.uncertainty_us = 2_000);
    let offset = with(run(NOON, 49_714_000), |input| input.entry_clock.offset_us = -2_000);
    for input in [stated, offset] {
        let measured = decide(&rules("870", "0", 0), &input).measured.unwrap();
        assert_eq!((measured.time_us, measured.favourable_us, measured.truncated_kmh), (49_714_000, 49_716_000, 62));
    }
}

#[test]
fn only_one_sure_pair_is_measured() {
    let rules = rules("870", "0", 0);
    let good = || run(NOON, 50_000_000);
    assert_eq!(short(&rules, &good()), "INFRACTION 6");
    let other = utc("2026-11-23T11:00:05Z");
    let cases: [(&str, Change<'_>, Reason); 12] = [
        ("no entry", &|input| input.entries.clear(), Reason::NoEntry),
        ("no exit", &|input| input.exits.clear(), Reason::NoExit),
        ("two entries", &|input| input.entries.push(read(other)), Reason::SeveralEntries),
        ("two exits", &|input| input.exits.push(read(other)), Reason::SeveralExits),
        ("service exit", &|input| input.left_between = true, Reason::LeftBetween),
        ("countries", &|input| input.exits[0].country = Country::parse("F").unwrap(), Reason::CountriesDiffer),
        (
            "classes",
            &|input| {
                input.entries[0].class = Some(VehicleClass::Car);
                input.exits[0].class = Some(VehicleClass::Lorry);
            },
            Reason::ClassesDiffer,
        ),
        ("confidence", &|input| input.exits[0].confidence_ppm = 949_999, Reason::ConfidenceLow),
        ("control", &|input| input.control = None, Reason::NoControl),
        ("road", &|input| input.trajectory = TrajectoryCode::new("TRJ-NONE"), Reason::TrajectoryUnknown),
        ("planned road", &|input| input.trajectory = TrajectoryCode::new("TRJ-MARIE"), Reason::TrajectoryNotActive),
        ("other road", &|input| input.trajectory = TrajectoryCode::new("TRJ-HAL-1"), Reason::NoCertificate),
    ];
    for (name, change, wanted) in cases {
        let input = with(good(), change);
        let found = reasons(&rules, &input);
        assert_eq!(short(&rules, &input), "NOT_USABLE", "{name}");
        assert!(found.contains(&wanted), "{name}: {found:?}");
    }
    let same_class = with(good(), |input| input.entries[0].class = Some(VehicleClass::Car));
    let limit = with(good(), |input| input.exits[0].confidence_ppm = 950_000);
    assert_eq!((short(&rules, &same_class), short(&rules, &limit)), ("INFRACTION 6".into(), "INFRACTION 6".into()));
}

#[test]
fn implausible_times_are_cancelled() {
    // 870 m: 626.4 s at 5 km/h, 12.528 s at 250 km/h.
    let rules = rules("870", "0", 0);
    for (micros, wanted) in [
        (626_400_000, "COMPLIANT"),
        (626_400_001, "NOT_USABLE"),
        (12_528_000, "INFRACTION 185"),
        (12_527_999, "NOT_USABLE"),
    ] {
        assert_eq!(short(&rules, &run(NOON, micros)), wanted, "{micros}");
    }
    assert_eq!(reasons(&rules, &run(NOON, 626_400_001)), [Reason::TooSlow]);
    assert_eq!(reasons(&rules, &run(NOON, 12_527_999)), [Reason::TooFast]);
}

#[test]
fn a_control_beyond_ten_percent_cancels() {
    let rules = rules("870", "0", 0);
    let under = |control| short(&rules, &with(run(NOON, 50_000_000), |input| input.control = Some(control)));
    for (micros, wanted) in [
        (55_000_000, "INFRACTION 6"),
        (55_000_001, "NOT_USABLE"),
        (45_454_546, "INFRACTION 6"),
        (45_454_545, "NOT_USABLE"),
        (0, "NOT_USABLE"),
    ] {
        assert_eq!(under(Control::SecondClock { micros }), wanted, "{micros}");
    }
    // 17.4 m/s on the run; 19.14 m/s is 10 % more.
    for (base, micros, wanted) in [
        (19_140, 1_000_000, "INFRACTION 6"),
        (19_141, 1_000_000, "NOT_USABLE"),
        (19_140, 0, "NOT_USABLE"),
        (0, 1_000_000, "NOT_USABLE"),
    ] {
        assert_eq!(under(Control::SpotSpeed { base: Millimetres(base), micros }), wanted, "{base} mm");
    }
}

#[test]
fn clocks_are_locked_and_agree() {
    let rules = rules("870", "0", 100_000);
    let (entered, left) = (utc(NOON), later(utc(NOON), 50_000_000));
    let clocked = |change: &dyn Fn(&mut EndClock)| with(run(NOON, 50_000_000), |input| change(&mut input.exit_clock));
    let locked = |from, until| clocked(&|clock| (clock.locked_from, clock.locked_until) = (from, until));
    let unlocked = Reason::ClockNotLocked { end: End::Exit };
    for (input, wanted) in [
        (locked(later(entered, -100_000), Some(later(left, 100_000))), None),
        (locked(later(entered, -99_999), Some(later(left, 100_000))), Some(&unlocked)),
        (locked(later(entered, -100_000), Some(later(left, 99_999))), Some(&unlocked)),
        (locked(later(entered, -100_000), None), Some(&unlocked)),
        (clocked(&|clock| clock.offset_us = -50_000), None),
        (clocked(&|clock| clock.offset_us = 50_001), Some(&Reason::ClocksApart { offset_us: 50_001 })),
        (clocked(&|clock| clock.offset_us = i64::MIN), Some(&Reason::ClocksApart { offset_us: 1 << 63 })),
    ] {
        let found = reasons(&rules, &input);
        let usable = short(&rules, &input) != "NOT_USABLE";
        assert_eq!(usable, wanted.is_none(), "{found:?}");
        assert!(wanted.is_none_or(|wanted| found.contains(wanted)), "{found:?}");
    }
    let off_target = reasons(&rules, &clocked(&|clock| clock.offset_us = 10_001));
    assert!(off_target.contains(&Reason::ClocksOffTarget { offset_us: 10_001 }));
}

#[test]
fn both_ends_are_within_their_verification() {
    let rules = rules("870", "0", 0);
    for (entered, wanted) in [
        // Local days: 2026-01-01 is the first, 2027-12-31 the last.
        ("2025-12-31T22:59:59Z", "NOT_USABLE"),
        ("2025-12-31T23:00:00Z", "INFRACTION 6"),
        ("2027-12-31T22:59:09Z", "INFRACTION 6"),
        ("2027-12-31T22:59:11Z", "NOT_USABLE"),
    ] {
        let input = with(run(entered, 50_000_000), |input| {
            for clock in [&mut input.entry_clock, &mut input.exit_clock] {
                clock.locked_from = utc("2025-01-01T00:00:00Z");
                clock.locked_until = Some(utc("2029-01-01T00:00:00Z"));
            }
        });
        assert_eq!(short(&rules, &input), wanted, "{entered}");
    }
    let demo = SeedTexts::demonstration();
    let one_end = demo.certificates.replace("end = \"exit\"", "end = \"entry\"");
    let half = RuleSet::load(SeedTexts { certificates: &one_end, ..demo }).unwrap();
    let found = reasons(&half, &run(NOON, 50_000_000));
    assert_eq!(found, [Reason::NotVerified { end: End::Exit }]);
}

#[test]
fn the_highest_limit_of_the_run_counts() {
    let rules = rules("870", "0", 0);
    let (entered, left) = (utc(NOON), later(utc(NOON), 50_000_000));
    let signed = |signs: &[(i64, Option<u16>)]| {
        with(run(NOON, 50_000_000), |input| {
            input.signs =
                signs.iter().map(|(micros, kmh)| LimitSign { at: later(entered, *micros), kmh: *kmh }).collect();
        })
    };
    let after = left.micros - entered.micros;
    for (signs, wanted) in [
        (&[(-1, Some(30))][..], "INFRACTION 26"),
        (&[(0, Some(30))], "INFRACTION 26"),
        (&[(1, Some(30))], "INFRACTION 6"),
        (&[(-10, Some(30)), (-5, Some(70))], "COMPLIANT"),
        (&[(-5, Some(70)), (-10, Some(30))], "COMPLIANT"),
        (&[(-5, Some(70)), (1, Some(30))], "COMPLIANT"),
        (&[(-5, Some(30)), (after, Some(70))], "COMPLIANT"),
        (&[(-5, Some(30)), (after + 1, Some(70))], "INFRACTION 26"),
        (&[(-10, Some(30)), (-5, None)], "INFRACTION 6"),
        (&[(-5, Some(30)), (-5, Some(40))], "INFRACTION 16"),
    ] {
        assert_eq!(short(&rules, &signed(signs)), wanted, "{signs:?}");
    }
    assert!(reasons(&rules, &signed(&[(-1, Some(30))])).contains(&Reason::VariableSign { kmh: 30 }));
}

#[test]
fn doubtful_plates_are_confirmed_and_the_rest_is_erased() {
    let rules = rules("870", "0", 0);
    let corrected = with(run(NOON, 50_000_000), |input| input.exits[0].reading.corrected = true);
    let court = with(run(NOON, 50_000_000), |input| input.entries[0].reading = reading("123"));
    for (input, reason) in [(corrected, Reason::PlateCorrected), (court, Reason::PlateKindWeak)] {
        let outcome = decide(&rules, &input);
        assert!(outcome.confirm_plate_first && outcome.reasons.contains(&reason), "{outcome:?}");
        assert_eq!((outcome.retention.as_str(), outcome.erase_now), ("RC-TRJ-FILE", false));
    }
    for input in [run(NOON, 90_000_000), run(NOON, -1)] {
        let outcome = decide(&rules, &input);
        assert_eq!((outcome.retention.as_str(), outcome.erase_now), ("RC-TRJ-PASS", true));
        assert!(!outcome.confirm_plate_first);
    }
}
