//! A decision is the same from its serialised input.

use proptest::option;
use proptest::prelude::*;
use vms_core::{Country, WallTime};

use super::test_input::reading;
use super::{
    ListKind, Listing, Passage, Permit, PermitId, PermitStatus, PriorPassage, RightCode, RuleSet, ZbtHistory, ZbtInput,
    ZbtOutcome, ZbtVerdict, ZoneCode, decide,
};

fn instant() -> impl Strategy<Value = WallTime> {
    // Two months around the autumn clock change of 2026.
    (1_790_000_000_i64..1_795_000_000).prop_map(WallTime::from_secs)
}

fn zone() -> impl Strategy<Value = ZoneCode> {
    proptest::sample::select(&["ZBT-XL-A", "ZBT-XL-B", "ZBT-XL-C", "ZBT-BXL-PENTAGON", "ZBT-NONE"][..])
        .prop_map(ZoneCode::new)
}

fn permit() -> impl Strategy<Value = Permit> {
    let right = proptest::sample::select(&["Z-MED", "Z-RES", "Z-DELIV", "Z-TAXI", "Z-NONE"][..]);
    let status = proptest::sample::select(
        &[PermitStatus::Granted, PermitStatus::Granted, PermitStatus::Suspended, PermitStatus::Requested][..],
    );
    (right, zone(), instant(), instant(), instant(), status).prop_map(|(right, zone, from, to, granted_at, status)| {
        Permit {
            id: PermitId::new("P"),
            right: RightCode::new(right),
            zones: vec![zone],
            from,
            to,
            granted_at,
            status,
            windows: Vec::new(),
            group: None,
        }
    })
}

fn input() -> impl Strategy<Value = ZbtInput> {
    let passage = prop_oneof![
        instant().prop_map(|at| Passage::Entry { at }),
        instant().prop_map(|at| Passage::Exit { at }),
        (instant(), instant()).prop_map(|(entered_at, left_at)| Passage::Stay { entered_at, left_at }),
    ];
    let listing = option::weighted(0.2, (instant(), option::of(instant()))).prop_map(|entry| {
        entry.into_iter().map(|(from, to)| Listing { list: ListKind::Service, from, to }).collect::<Vec<_>>()
    });
    let prior = prop::collection::vec((zone(), instant()), 0..3)
        .prop_map(|all| all.into_iter().map(|(zone, at)| PriorPassage { zone, at }).collect());
    let plate = proptest::sample::select(&["1-ABC-123", "T-XAB-123", "Q-ABC-123", "BELFRY"][..]);
    let permits = prop::collection::vec(permit(), 0..3);
    (zone(), passage, plate, any::<(bool, bool)>(), listing, permits, prior, instant()).prop_map(
        |(zone, passage, plate, (corrected, confirmed), listings, permits, candidates, decided_at)| {
            let mut reading = reading(plate);
            reading.corrected = corrected;
            reading.confirmed = confirmed;
            let history = ZbtHistory { candidates, warnings: Vec::new() };
            ZbtInput { zone, passage, country: Country::BELGIUM, reading, listings, permits, history, decided_at }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_decision_is_replayed_from_its_snapshot(input in input()) {
        let rules = RuleSet::embedded_once();
        let outcome = decide(rules, &input);
        let read_back: ZbtInput = serde_json::from_str(&serde_json::to_string(&input).unwrap()).unwrap();
        prop_assert_eq!(&read_back, &input);
        prop_assert_eq!(&decide(rules, &read_back), &outcome);
        let kept: ZbtOutcome = serde_json::from_str(&serde_json::to_string(&outcome).unwrap()).unwrap();
        prop_assert_eq!(kept, outcome);
    }

    #[test]
    fn more_rights_never_harm(input in input(), more in permit()) {
        let rules = RuleSet::embedded_once();
        let before = decide(rules, &input);
        let mut richer = input;
        richer.permits.push(more);
        let after = decide(rules, &richer);
        if matches!(after.verdict, ZbtVerdict::Candidate { .. } | ZbtVerdict::Warning { .. }) {
            prop_assert_eq!(after.verdict, before.verdict);
        }
    }

    #[test]
    fn what_no_official_needs_is_erased_or_waits(input in input()) {
        let outcome = decide(RuleSet::embedded_once(), &input);
        let waits = matches!(outcome.verdict, ZbtVerdict::AwaitsExit { .. });
        prop_assert_eq!(outcome.erase_now, !outcome.needs_official() && !waits);
    }
}
