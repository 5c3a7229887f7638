//! Every line of the tables of `domain.md` B1, B2 and B3, and the boundaries of each.

use super::outcome::PermitGap;
use super::test_input::{
    changed, entry, group, listed, local, outcome, permit, prior, reading, short, short_under, with,
};
use super::{
    AdmissionRefusal, ListKind, Passage, Permit, PermitId, PermitStatus, Reason, RightCode, RuleSet, ZbtInput,
    ZoneCode, admit,
};
use crate::calendar::{OnHoliday, Weekday, Window};

const FINE: &str = "CANDIDATE ZBT-C3 5800 EUR";

#[test]
fn b1_zones_and_hours() {
    for (zone, at, wanted) in [
        ("ZBT-XL-A", "2026-11-23T06:59:59", "OPEN"),
        ("ZBT-XL-A", "2026-11-23T07:00:00", FINE),
        ("ZBT-XL-A", "2026-11-23T18:59:59", FINE),
        ("ZBT-XL-A", "2026-11-23T19:00:00", "OPEN"),
        ("ZBT-XL-A", "2026-11-23T02:00:00", "OPEN"),
        // All week, holidays too.
        ("ZBT-XL-A", "2026-11-22T12:00:00", FINE),
        ("ZBT-XL-A", "2026-12-25T12:00:00", FINE),
        ("ZBT-XL-A", "2026-05-08T12:00:00", FINE),
        ("ZBT-XL-B", "2026-11-23T07:00:00", FINE),
        ("ZBT-XL-B", "2026-11-23T19:00:00", "OPEN"),
        ("ZBT-XL-C", "2026-11-23T03:00:00", FINE),
        ("ZBT-XL-C", "2026-11-23T23:59:59", FINE),
        // The nights of the clocks: closed all 25 and all 23 hours, and the day hours where they were.
        ("ZBT-XL-C", "2026-10-25T02:30:00", FINE),
        ("ZBT-XL-C", "2026-03-29T03:00:00", FINE),
        ("ZBT-XL-A", "2026-10-25T06:59:59", "OPEN"),
        ("ZBT-XL-A", "2026-10-25T07:00:00", FINE),
        ("ZBT-XL-A", "2026-03-29T06:59:59", "OPEN"),
        ("ZBT-XL-A", "2026-03-29T07:00:00", FINE),
        // Since 7 July 2018.
        ("ZBT-XL-A", "2018-07-06T12:00:00", "OUT_OF_SCOPE"),
        ("ZBT-XL-A", "2018-07-07T12:00:00", FINE),
        ("ZBT-BXL-PENTAGON", "2026-11-23T12:00:00", "OUT_OF_SCOPE"),
        ("ZBT-NOWHERE", "2026-11-23T12:00:00", "UNDETERMINED"),
    ] {
        assert_eq!(short(&entry(zone, at)), wanted, "{zone} {at}");
    }
    let finding = outcome(&entry("ZBT-XL-A", "2026-11-23T12:00:00"));
    assert_eq!(finding.rule.unwrap().as_str(), "ZBT-XL-A-DAY");
}

#[test]
fn b2_lists_and_plates_that_need_no_permit() {
    let at = "2026-11-23T12:00:00";
    let listing =
        |list, from, to| short(&with(entry("ZBT-XL-A", at), |input| input.listings = vec![listed(list, from, to)]));
    for (list, wanted) in [
        (ListKind::Bicycle, "EXEMPT Z-BIKE"),
        (ListKind::Service, "EXEMPT Z-SERV"),
        (ListKind::Priority, "EXEMPT Z-PRIO"),
        (ListKind::PublicTransport, "EXEMPT Z-PT"),
        (ListKind::Military, "EXEMPT Z-MIL"),
        (ListKind::Taxi, "EXEMPT Z-TAXI"),
    ] {
        assert_eq!(listing(list, "2026-01-01", None), wanted);
        // The mission ends at noon.
        assert_eq!(listing(list, "2026-11-23T08:00:00", Some(at)), FINE);
        assert_eq!(listing(list, at, Some("2026-11-23T12:00:01")), wanted);
        assert_eq!(listing(list, "2026-11-23T12:00:01", None), FINE);
    }
    for (plate, wanted) in [
        ("T-XAB-123", "EXEMPT Z-TAXI"),
        ("1-TXA-123", "EXEMPT Z-TAXI"),
        ("Q-ABC-123", "OUT_OF_SCOPE"),
        ("O-ABC-123", FINE),
        ("CD-AB-123", FINE),
    ] {
        assert_eq!(short(&with(entry("ZBT-XL-C", at), |input| input.reading = reading(plate))), wanted, "{plate}");
    }
}

#[test]
fn b2_permits_by_zone_hour_and_term() {
    let under =
        |permit: Permit, zone: &str, at: &str| short(&with(entry(zone, at), |input| input.permits = vec![permit]));
    let noon = "2026-11-23T12:00:00";
    for (right, zone, at, wanted) in [
        ("Z-GARAGE", "ZBT-XL-A", noon, "PERMIT Z-GARAGE"),
        ("Z-GARAGE", "ZBT-XL-B", noon, "PERMIT Z-GARAGE"),
        ("Z-MED", "ZBT-XL-A", noon, "PERMIT Z-MED"),
        ("Z-DIS-RES", "ZBT-XL-A", noon, "PERMIT Z-DIS-RES"),
        ("Z-DIS-EXT", "ZBT-XL-A", noon, "PERMIT Z-DIS-EXT"),
        ("Z-DAY", "ZBT-XL-A", noon, FINE),
        // Residents of zone B only; zone C takes deliveries only.
        ("Z-RES", "ZBT-XL-B", noon, "PERMIT Z-RES"),
        ("Z-RES", "ZBT-XL-A", noon, FINE),
        ("Z-MED", "ZBT-XL-C", noon, FINE),
        ("Z-DELIV", "ZBT-XL-A", "2026-11-23T06:59:59", "OPEN"),
        ("Z-DELIV", "ZBT-XL-A", "2026-11-23T07:00:00", "PERMIT Z-DELIV"),
        ("Z-DELIV", "ZBT-XL-B", "2026-11-23T10:59:59", "PERMIT Z-DELIV"),
        ("Z-DELIV", "ZBT-XL-C", "2026-11-23T10:59:59", "PERMIT Z-DELIV"),
        ("Z-DELIV", "ZBT-XL-C", "2026-11-23T11:00:00", FINE),
        ("Z-DELIV", "ZBT-XL-C", "2026-11-23T06:59:59", FINE),
        ("Z-SERV", "ZBT-XL-A", noon, FINE),
        ("Z-NONE", "ZBT-XL-A", noon, FINE),
    ] {
        assert_eq!(under(permit(right, zone, "2026-09-01", "2027-09-01"), zone, at), wanted, "{right} {zone} {at}");
    }
    // A permit for one zone is none for another.
    assert_eq!(under(permit("Z-MED", "ZBT-XL-B", "2026-01-10", "2027-01-10"), "ZBT-XL-A", noon), FINE);
    for (from, to, at, wanted) in [
        ("2026-11-23T12:00:00", "2026-12-01", "2026-11-23T12:00:00", "PERMIT Z-MED"),
        ("2026-11-23T12:00:00", "2026-12-01", "2026-11-23T11:59:59", FINE),
        ("2026-11-01", "2026-11-23T12:00:00", "2026-11-23T12:00:00", FINE),
        ("2026-11-01", "2026-11-23T12:00:01", "2026-11-23T12:00:00", "PERMIT Z-MED"),
        // One year at most, whatever the file says: renewal is yearly.
        ("2025-11-24", "2030-01-01", "2026-11-23T18:59:59", "PERMIT Z-MED"),
        ("2025-11-24", "2030-01-01", "2026-11-24T07:00:00", FINE),
    ] {
        assert_eq!(under(permit("Z-MED", "ZBT-XL-A", from, to), "ZBT-XL-A", at), wanted, "{from} {to} {at}");
    }
    assert_eq!(
        under(permit("Z-DAY", "ZBT-XL-A", "2026-11-23T08:00:00", "2026-11-23T18:00:00"), "ZBT-XL-A", noon),
        "PERMIT Z-DAY"
    );
    for (status, wanted) in [
        (PermitStatus::Granted, "PERMIT Z-MED"),
        (PermitStatus::Requested, FINE),
        (PermitStatus::Suspended, FINE),
        (PermitStatus::Refused, FINE),
    ] {
        let permit = Permit { status, ..permit("Z-MED", "ZBT-XL-A", "2026-09-01", "2027-09-01") };
        assert_eq!(under(permit, "ZBT-XL-A", noon), wanted);
    }
}

#[test]
fn a_permit_may_have_hours_of_its_own() {
    let tuesdays = Window {
        days: vec![Weekday::Tue],
        from: "09:00".parse().unwrap(),
        to: "10:00".parse().unwrap(),
        on_holiday: OnHoliday::Off,
    };
    let under = |at: &str| {
        let mut permit = permit("Z-DELIV", "ZBT-XL-A", "2026-07-01", "2027-01-01");
        permit.windows = vec![tuesdays.clone()];
        short(&with(entry("ZBT-XL-A", at), |input| input.permits = vec![permit]))
    };
    for (at, wanted) in [
        ("2026-11-24T09:00:00", "PERMIT Z-DELIV"),
        ("2026-11-24T08:59:59", FINE),
        ("2026-11-24T10:00:00", FINE),
        ("2026-11-25T09:30:00", FINE),
        // The national day of 2026 is a Tuesday.
        ("2026-07-21T09:30:00", FINE),
        ("2026-07-14T09:30:00", "PERMIT Z-DELIV"),
    ] {
        assert_eq!(under(at), wanted, "{at}");
    }
}

#[test]
fn b2_three_vehicles_for_one_parking_place() {
    let under = |granted: &str, others: &[&str], places: u16| {
        let mut group = group(others);
        group.places = places;
        let permit = Permit {
            granted_at: local(granted),
            group: Some(group),
            ..permit("Z-GARAGE", "ZBT-XL-A", "2026-09-01", "2027-08-01")
        };
        with(entry("ZBT-XL-A", "2026-11-23T12:00:00"), |input| input.permits = vec![permit])
    };
    let (first, others) = ("2026-09-01", ["2026-09-02", "2026-09-03", "2026-09-04", "2026-09-05"]);
    for (granted, others, places, wanted) in [
        (first, &others[..0], 1, "PERMIT Z-GARAGE"),
        (first, &others[..], 1, "PERMIT Z-GARAGE"),
        ("2026-09-04T13:00:00", &others[..2], 1, "PERMIT Z-GARAGE"),
        ("2026-09-04T13:00:00", &others[..3], 1, FINE),
        ("2026-09-04T13:00:00", &others[..3], 2, "PERMIT Z-GARAGE"),
        ("2026-09-04T13:00:00", &others[..3], 0, FINE),
        // The third of the others starts tomorrow.
        ("2026-11-01", &["2026-09-02", "2026-09-03", "2026-11-24"], 1, "PERMIT Z-GARAGE"),
    ] {
        assert_eq!(short(&under(granted, others, places)), wanted, "{granted} {others:?} {places}");
    }
    // A second permit of the same vehicle takes no second place.
    let mut twice = under("2026-09-05T13:00:00", &others[..3], 1);
    twice.permits[0].group.as_mut().unwrap().others[2].vehicle = "vehicle 1".to_owned();
    assert_eq!(short(&twice), "PERMIT Z-GARAGE");
    let beyond = outcome(&under("2026-09-05T13:00:00", &others, 1));
    let why = PermitGap::BeyondQuota { max: 3 };
    assert!(beyond.reasons.contains(&Reason::PermitFails { permit: PermitId::new("P-1"), why }), "{beyond:?}");
}

#[test]
fn the_desk_admits_what_a_decision_would_accept() {
    let rules = RuleSet::embedded_once();
    let good = || permit("Z-MED", "ZBT-XL-A", "2026-09-01T00:00:00", "2027-09-01T00:00:00");
    assert_eq!(admit(rules, &good()), Ok(()));
    let refused = |change: &dyn Fn(&mut Permit)| {
        let mut permit = good();
        change(&mut permit);
        admit(rules, &permit)
    };
    let until = "2027-09-01".parse().unwrap();
    assert_eq!(refused(&|permit| permit.to = local("2027-09-01T00:00:01")), Err(AdmissionRefusal::Term { until }));
    assert_eq!(refused(&|permit| permit.to = permit.from), Err(AdmissionRefusal::Empty));
    assert_eq!(refused(&|permit| permit.zones.clear()), Err(AdmissionRefusal::NoZone));
    let other = ZoneCode::new("ZBT-XL-C");
    assert_eq!(refused(&|permit| permit.zones.push(ZoneCode::new("ZBT-XL-C"))), Err(AdmissionRefusal::Zone(other)));
    let code = |code: &str| RightCode::new(code);
    assert_eq!(
        refused(&|permit| permit.right = RightCode::new("Z-NONE")),
        Err(AdmissionRefusal::NoSuchRight(code("Z-NONE")))
    );
    assert_eq!(
        refused(&|permit| permit.right = RightCode::new("Z-TAXI")),
        Err(AdmissionRefusal::NeedsNone(code("Z-TAXI")))
    );
    let garage = |others: &[&str]| {
        let mut permit = permit("Z-GARAGE", "ZBT-XL-A", "2026-09-01", "2027-08-01");
        permit.group = (!others.is_empty()).then(|| group(others));
        admit(rules, &permit)
    };
    assert_eq!(garage(&[]), Err(AdmissionRefusal::NoGroup));
    assert_eq!(garage(&["2026-08-01", "2026-08-02"]), Ok(()));
    // The third other vehicle starts inside the term.
    assert_eq!(garage(&["2026-08-01", "2026-08-02", "2026-12-01"]), Err(AdmissionRefusal::GroupFull { max: 3 }));
    assert_eq!(garage(&["2026-08-01", "2026-08-02", "2027-08-02"]), Ok(()));
}

#[test]
fn b3_one_fine_per_vehicle_zone_and_day() {
    let after = |rules: &RuleSet, zone: &str, at: &str| {
        let input = with(entry("ZBT-XL-A", "2026-11-23T12:00:00"), |input| {
            input.history.candidates = vec![prior(zone, at)];
        });
        short_under(rules, &input)
    };
    let (same, other) = ("2026-11-23T08:00:00", "2026-11-22T18:59:59");
    let twice = "2026-11-23T12:00:00";
    let seed = RuleSet::embedded_once();
    let per_day = changed("fines", "\"vehicle_zone_day\"", "\"vehicle_day\"");
    let passage = changed("fines", "\"vehicle_zone_day\"", "\"passage\"");
    for (rules, zone, at, wanted) in [
        (seed, "ZBT-XL-A", same, "ALREADY_COUNTED"),
        (seed, "ZBT-XL-A", twice, "ALREADY_COUNTED"),
        (seed, "ZBT-XL-B", same, FINE),
        (seed, "ZBT-XL-A", other, FINE),
        (&per_day, "ZBT-XL-B", same, "ALREADY_COUNTED"),
        (&per_day, "ZBT-XL-B", other, FINE),
        (&passage, "ZBT-XL-A", same, FINE),
        (&passage, "ZBT-XL-A", twice, "ALREADY_COUNTED"),
    ] {
        assert_eq!(after(rules, zone, at), wanted, "{zone} {at}");
    }
    let no_fine = changed("fines", "enabled = true", "enabled = false");
    assert_eq!(short_under(&no_fine, &entry("ZBT-XL-A", "2026-11-23")), "UNDETERMINED");
}

#[test]
fn a_warning_period_ends_with_its_day() {
    let rules = changed("zones", "pair_hours = 24", "pair_hours = 24\nwarn_until = 2026-11-30");
    for (at, wanted) in
        [("2026-11-30T18:59:59", "WARNING 2026-12-01"), ("2026-12-01T07:00:00", FINE), ("2026-11-30T06:00:00", "OPEN")]
    {
        assert_eq!(short_under(&rules, &entry("ZBT-XL-A", at)), wanted, "{at}");
    }
    let warned = with(entry("ZBT-XL-A", "2026-11-30"), |input| {
        input.history.warnings = vec![prior("ZBT-XL-A", "2026-11-30T08:00:00")];
    });
    assert_eq!(short_under(&rules, &warned), "ALREADY_COUNTED");
}

#[test]
fn regularisation_is_off_and_can_be_on() {
    let late = |granted: &str| {
        let permit = Permit {
            granted_at: local(granted),
            ..permit("Z-MED", "ZBT-XL-A", "2026-04-01T00:00:00", "2027-04-01T00:00:00")
        };
        // The Friday before Easter: the next working day is Tuesday, 7 April.
        with(entry("ZBT-XL-A", "2026-04-03T12:00:00"), |input| input.permits = vec![permit])
    };
    let on = changed("fines", "regularisation_enabled = false", "regularisation_enabled = true");
    assert_eq!(short(&late("2026-04-03T12:00:01")), FINE);
    assert_eq!(short(&late("2026-04-03T12:00:00")), "PERMIT Z-MED");
    for (granted, wanted) in [
        ("2026-04-03T12:00:01", "PERMIT Z-MED"),
        ("2026-04-07T22:59:59", "PERMIT Z-MED"),
        ("2026-04-07T23:00:00", FINE),
    ] {
        assert_eq!(short_under(&on, &late(granted)), wanted, "{granted}");
    }
    let finding = super::decide(&on, &late("2026-04-08"));
    assert_eq!(finding.final_from, Some(local("2026-04-07T23:00:00")));
    assert_eq!(outcome(&late("2026-04-08")).final_from, None);
}

#[test]
fn entry_and_exit_are_paired_where_the_zone_asks_for_it() {
    let rules = changed("zones", "\"entry_only\"\npair_hours = 24", "\"entry_exit\"\npair_hours = 2");
    let entered = "2026-11-23T12:00:00";
    let stay = |left: &str| {
        with(entry("ZBT-XL-A", entered), |input| {
            input.passage = Passage::Stay { entered_at: local(entered), left_at: local(left) };
        })
    };
    let waiting = |decided: &str| with(entry("ZBT-XL-A", entered), |input| input.decided_at = local(decided));
    for (input, wanted) in [
        (stay("2026-11-23T12:04:00"), FINE),
        (stay("2026-11-23T13:59:59"), FINE),
        (stay("2026-11-23T14:00:00"), "OUT_OF_SCOPE"),
        (stay("2026-11-23T12:00:00"), "OUT_OF_SCOPE"),
        (stay("2026-11-23T11:00:00"), "OUT_OF_SCOPE"),
        (waiting("2026-11-23T12:00:01"), "AWAITS_EXIT"),
        (waiting("2026-11-23T13:59:59"), "AWAITS_EXIT"),
        (waiting("2026-11-23T14:00:00"), "OUT_OF_SCOPE"),
    ] {
        assert_eq!(short_under(&rules, &input), wanted, "{:?}", input.passage);
    }
    // Who may pass never waits.
    let listed = with(entry("ZBT-XL-A", entered), |input| {
        input.listings = vec![listed(ListKind::Taxi, "2026-01-01", None)];
    });
    assert_eq!(short_under(&rules, &listed), "EXEMPT Z-TAXI");
    assert_eq!(short_under(&rules, &entry("ZBT-XL-A", "2026-11-23T05:00:00")), "OPEN");
    // Where the entry alone counts, an exit changes nothing, and one alone is nothing.
    assert_eq!(short(&stay("2026-11-23T12:04:00")), FINE);
    let exit = with(entry("ZBT-XL-A", entered), |input| input.passage = Passage::Exit { at: local(entered) });
    assert_eq!(short(&exit), "OUT_OF_SCOPE");
    assert_eq!(short_under(&rules, &exit), "OUT_OF_SCOPE");
}

#[test]
fn what_may_pass_is_erased_at_once() {
    let fine: ZbtInput = entry("ZBT-XL-A", "2026-11-23T12:00:00");
    let taxi = with(fine.clone(), |input| input.reading = reading("T-XAB-123"));
    for (input, class, erase, official) in [
        (fine.clone(), "RC-ZBT-CAND", false, true),
        (taxi, "RC-ZBT-OK", true, false),
        (entry("ZBT-XL-A", "2026-11-23T20:00:00"), "RC-ZBT-OK", true, false),
        (entry("ZBT-NOWHERE", "2026-11-23T20:00:00"), "RC-ZBT-CAND", false, true),
    ] {
        let outcome = outcome(&input);
        assert_eq!((outcome.retention.as_str(), outcome.erase_now), (class, erase), "{outcome:?}");
        assert_eq!(outcome.needs_official(), official);
    }
    let doubtful = with(fine, |input| input.reading.corrected = true);
    let found = outcome(&doubtful);
    assert!(found.confirm_plate_first && found.reasons.contains(&Reason::PlateCorrected));
    let confirmed = with(doubtful, |input| input.reading.confirmed = true);
    assert!(!outcome(&confirmed).confirm_plate_first);
}
