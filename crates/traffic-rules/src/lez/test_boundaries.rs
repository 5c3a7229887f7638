//! Boundaries: days, months, periods, doubtful data, doubtful reads.

use super::test_input::{country, day, fined, local, read, reading, short, vehicle, verdict, warned};
use super::{
    DayPass, ExemptionCode, ExemptionGrant, ForeignRegistration, LezInput, LezVerdict, Lookup, NormSource, Reason,
    RuleSet, SegmentCode, SegmentHit, SpecialUse, VehicleSnapshot, decide,
};
use super::{SeedTexts, snapshot::DetourPeriod};

fn euro4() -> VehicleSnapshot {
    vehicle("M1", "diesel", "4")
}

fn with(mut input: LezInput, change: impl FnOnce(&mut LezInput)) -> LezInput {
    change(&mut input);
    input
}

#[test]
fn steps_change_at_midnight_in_brussels() {
    for (norm, fuel, at, wanted) in [
        ("5", "diesel", "2025-12-31T23:59:59", "ALLOWED LEZ-01"),
        ("5", "diesel", "2026-01-01T00:00:00", "WARNING LEZ-01 2026-04-01"),
        ("4", "diesel", "2021-12-31T23:59:59", "ALLOWED LEZ-01"),
        ("4", "diesel", "2022-01-01T00:00:00", "WARNING LEZ-01 2022-07-01"),
        ("3", "diesel", "2022-01-01T00:00:00", "INFRACTION F-LEZ-OLD 35000 EUR"),
        ("4", "diesel", "2022-06-30T23:59:59", "WARNING LEZ-01 2022-07-01"),
        ("4", "diesel", "2022-07-01T00:00:00", "INFRACTION F-LEZ-OLD 35000 EUR"),
        ("1", "diesel", "2018-03-01T00:00:00", "WARNING LEZ-01 2018-10-01"),
        ("1", "diesel", "2018-10-01T00:00:00", "INFRACTION F-LEZ-OLD 35000 EUR"),
        ("0", "petrol", "2018-12-31T23:59:59", "ALLOWED LEZ-02"),
        ("0", "diesel", "2017-12-31T23:59:59", "OUT_OF_SCOPE"),
        ("6d", "petrol", "2034-12-31T23:59:59", "ALLOWED LEZ-02"),
        ("6e", "petrol", "2034-12-31T23:59:59", "ALLOWED LEZ-02"),
        ("7", "petrol", "2035-01-01T00:00:00", "WARNING LEZ-02 2035-04-01"),
    ] {
        assert_eq!(short(&read(vehicle("M1", fuel, norm), at)), wanted, "{fuel} {norm} at {at}");
    }
}

#[test]
fn rows_of_the_table_by_category() {
    let mass = |kg, snapshot: VehicleSnapshot| VehicleSnapshot { ref_mass_kg: Some(kg), ..snapshot };
    let class = |class: &str, snapshot: VehicleSnapshot| VehicleSnapshot { class: Some(class.to_owned()), ..snapshot };
    for (snapshot, at, wanted) in [
        (vehicle("N3", "diesel", "V"), "2025-12-31", "OUT_OF_SCOPE"),
        (vehicle("N3", "diesel", "V"), "2026-01-01", "WARNING LEZ-11 2026-04-01"),
        (vehicle("N3", "diesel", "VI"), "2029-12-31", "ALLOWED LEZ-11"),
        (mass(2610, vehicle("N2", "diesel", "VI-D")), "2035-06-01", "ALLOWED LEZ-09"),
        (mass(2611, vehicle("N2", "diesel", "VI-D")), "2035-06-01", "WARNING LEZ-11 2035-09-01"),
        (vehicle("N2", "diesel", "VI-D"), "2035-06-01", "UNDETERMINED"),
        (vehicle("N2", "diesel", "VI-E"), "2035-06-01", "ALLOWED LEZ-09"),
        (class("III", vehicle("M3", "diesel", "VI-E")), "2036-06-01", "ALLOWED LEZ-07"),
        (class("II", vehicle("M3", "diesel", "VI-E")), "2036-06-01", "WARNING LEZ-05 2036-09-01"),
        (class("N1-II", vehicle("N1", "diesel", "6d-TEMP")), "2028-06-01", "ALLOWED LEZ-03"),
        (mass(1000, class("II", vehicle("N1", "diesel", "6d-TEMP"))), "2028-06-01", "UNDETERMINED"),
        (vehicle("N1", "diesel", "6d-TEMP"), "2028-06-01", "UNDETERMINED"),
        (vehicle("N1", "diesel", "6d"), "2028-06-01", "ALLOWED LEZ-01"),
        (
            VehicleSnapshot { running_order_kg: Some(1280), ..vehicle("N1", "diesel", "6d-TEMP") },
            "2028-06-01",
            "WARNING LEZ-01 2028-09-01",
        ),
        (
            VehicleSnapshot { running_order_kg: Some(1281), ..vehicle("N1", "diesel", "6d-TEMP") },
            "2028-06-01",
            "ALLOWED LEZ-03",
        ),
        (vehicle("L6e", "petrol", ""), "2027-12-31", "ALLOWED LEZ-18"),
        (vehicle("L6e", "petrol", ""), "2028-01-01", "UNDETERMINED"),
        (vehicle("M1", "electric", ""), "2040-01-01", "ALLOWED LEZ-19"),
        (vehicle("T1b", "diesel", ""), "2030-01-01", "OUT_OF_SCOPE LEZ-20"),
        (vehicle("O2", "", ""), "2030-01-01", "OUT_OF_SCOPE LEZ-20"),
    ] {
        assert_eq!(short(&read(snapshot.clone(), at)), wanted, "{snapshot:?} at {at}");
    }
}

#[test]
fn doubtful_data_never_make_an_infraction() {
    let derived = |norm: &str| {
        let mut snapshot = vehicle("M1", "diesel", norm);
        snapshot.euro_norm.as_mut().unwrap().source = NormSource::Derived;
        snapshot
    };
    for (snapshot, at, wanted) in [
        (derived("4"), "2026-02-01", Reason::NormDerived { norm: "4".to_owned() }),
        (derived("4"), "2031-02-01", Reason::FineGroupUnknown),
        (
            vehicle("M2", "diesel", "VI"),
            "2026-02-01",
            Reason::NormOfOtherSeries { norm: "VI".to_owned(), equivalent: Some("6".to_owned()) },
        ),
        (
            vehicle("M2", "diesel", "III"),
            "2026-02-01",
            Reason::NormOfOtherSeries { norm: "III".to_owned(), equivalent: None },
        ),
        (vehicle("M1", "diesel", "what"), "2026-02-01", Reason::NormUnreadable),
        (vehicle("M1", "coal", "4"), "2026-02-01", Reason::FuelUnknown),
        (
            VehicleSnapshot { fuels: vec!["petrol".to_owned(), "diesel".to_owned()], ..euro4() },
            "2026-02-01",
            Reason::FuelMixed,
        ),
        (VehicleSnapshot { category: None, ..euro4() }, "2026-02-01", Reason::CategoryMissing),
        (
            VehicleSnapshot { registration_from: Some(day("2026-02-02")), ..euro4() },
            "2026-02-01",
            Reason::RegistrationPeriod,
        ),
        (
            VehicleSnapshot { registration_to: Some(day("2026-01-31")), ..euro4() },
            "2026-02-01",
            Reason::RegistrationPeriod,
        ),
    ] {
        let outcome = decide(&RuleSet::embedded(), &read(snapshot.clone(), at));
        assert_eq!(outcome.verdict, LezVerdict::Undetermined, "{snapshot:?}");
        assert!(outcome.reasons.contains(&wanted), "{:?} lacks {wanted:?}", outcome.reasons);
    }
    assert_eq!(short(&read(derived("6"), "2026-02-01")), "ALLOWED LEZ-01");
    let hinted = VehicleSnapshot { first_registration: Some(day("2013-05-01")), ..vehicle("M1", "diesel", "") };
    let outcome = decide(&RuleSet::embedded(), &read(hinted, "2026-02-01"));
    assert_eq!(outcome.reasons, [Reason::NormMissing, Reason::NormHint { norm: "5".to_owned() }]);
}

#[test]
fn silent_registries_and_odd_plates() {
    let plated = |plate, vehicle: Lookup| {
        with(read(euro4(), "2026-02-01"), |input| {
            input.reading = reading(plate);
            input.vehicle = vehicle;
        })
    };
    for (plate, lookup, wanted) in [
        ("1-ABC-123", Lookup::Unknown, "UNDETERMINED"),
        ("1-ABC-123", Lookup::NotAsked, "UNDETERMINED"),
        ("Y-ABC-123", Lookup::Unknown, "UNDETERMINED"),
        ("CD-AB-123", Lookup::Unknown, "UNDETERMINED"),
        ("Q-ABC-123", Lookup::Unknown, "OUT_OF_SCOPE"),
        ("G-ABC-123", Lookup::Unknown, "EXEMPT E-AGRI"),
        ("CD-AB-123", super::test_input::found(vehicle("M1", "diesel", "4")), "UNDETERMINED"),
        ("CD-AB-123", super::test_input::found(vehicle("M1", "diesel", "6")), "ALLOWED LEZ-01"),
    ] {
        assert_eq!(short(&plated(plate, lookup)), wanted, "{plate}");
    }
    for (special, wanted) in [(SpecialUse::Priority, "EXEMPT E-PRIO"), (SpecialUse::Military, "EXEMPT E-MIL")] {
        let snapshot = VehicleSnapshot { special_use: Some(special), ..euro4() };
        assert_eq!(short(&read(snapshot, "2026-02-01")), wanted);
    }
}

#[test]
fn windows_are_half_open_and_clipped_to_the_month() {
    let after = |fine: &str, prior: &str, at: &str| {
        short(&with(read(euro4(), at), |input| input.history.fines = vec![fined(fine, prior)]))
    };
    let infraction = "INFRACTION F-LEZ-OLD 35000 EUR";
    for (prior, at, wanted) in [
        ("2026-02-01T23:59:59", "2026-05-01T00:00:00", infraction),
        ("2026-02-01T00:00:00", "2026-04-30T23:59:59", "NO_FINE 2026-05-01"),
        ("2025-11-30", "2026-02-27", "NO_FINE 2026-02-28"),
        ("2025-11-30", "2026-02-28", infraction),
        ("2026-02-01", "2026-02-01", "NO_FINE 2026-05-01"),
        // A read that arrives late, from before the fined one.
        ("2026-06-15", "2026-04-01", "NO_FINE 2026-09-15"),
        ("2026-06-15", "2026-03-15", infraction),
        // Around both clock changes.
        ("2025-12-29T02:30:00", "2026-03-29T03:00:00", infraction),
        ("2026-07-25T02:30:00", "2026-10-25T02:30:00", infraction),
        ("2026-07-25T02:30:00", "2026-10-24T23:59:59", "NO_FINE 2026-10-25"),
    ] {
        assert_eq!(after("F-LEZ-OLD", prior, at), wanted, "fined {prior}, read {at}");
    }
    // An earlier fine under a rule with a longer window: the longer one counts.
    assert_eq!(after("F-LEZ-NEW-B", "2026-08-01", "2027-02-01"), "NO_FINE 2027-08-01");
}

#[test]
fn the_grace_after_the_first_infraction_ends_on_its_day() {
    let newly = |at: &str, warnings: &[&str]| {
        let warnings = warnings.iter().map(|at| warned(at)).collect();
        short(&with(read(vehicle("M1", "diesel", "5"), at), |input| input.history.warnings = warnings))
    };
    for (at, warnings, wanted) in [
        ("2026-01-31", &[][..], "WARNING LEZ-01 2026-04-30"),
        ("2026-04-29T23:59:59", &["2026-01-31"], "NO_FINE 2026-04-30"),
        ("2026-04-30T00:00:00", &["2026-01-31"], "INFRACTION F-LEZ-NEW-A 35000 EUR"),
        ("2026-06-30T23:59:59", &["2026-01-31"], "INFRACTION F-LEZ-NEW-A 35000 EUR"),
        ("2026-07-01T00:00:00", &["2026-01-31"], "INFRACTION F-LEZ-NEW-B 35000 EUR"),
        // Two warnings: the first counts.
        ("2026-05-01", &["2026-03-01", "2026-01-31"], "INFRACTION F-LEZ-NEW-A 35000 EUR"),
        ("2026-01-31", &["2026-01-31"], "NO_FINE 2026-04-30"),
    ] {
        assert_eq!(newly(at, warnings), wanted, "{at} {warnings:?}");
    }
}

#[test]
fn a_new_registration_forgets_warnings_and_windows() {
    let moved = VehicleSnapshot { registration_from: Some(day("2026-04-01")), ..vehicle("M1", "diesel", "5") };
    let input = with(read(moved, "2026-05-01"), |input| {
        input.history.warnings = vec![warned("2026-01-10")];
        input.history.fines = vec![fined("F-LEZ-NEW-A", "2026-03-31")];
    });
    assert_eq!(short(&input), "WARNING LEZ-01 2026-08-01");
}

#[test]
fn interpretations_are_switches() {
    let good = SeedTexts::embedded();
    let under = |from: &str, to: &str, input: &LezInput| {
        let fines = good.fines.replacen(from, to, 1);
        decide(&RuleSet::load(SeedTexts { fines: &fines, ..good }).unwrap(), input).verdict
    };
    let vector5 = with(read(vehicle("M1", "diesel", "5"), "2026-07-20"), |input| {
        input.history.warnings = vec![warned("2026-01-10")];
        input.history.fines = vec![fined("F-LEZ-NEW-A", "2026-04-15")];
    });
    let infraction = |verdict: LezVerdict| matches!(verdict, LezVerdict::Infraction { .. });
    assert!(!infraction(verdict(&vector5)));
    assert!(infraction(under("\"most_favourable\"", "\"fine_date\"", &vector5)));
    assert!(!infraction(under("\"most_favourable\"", "\"read_date\"", &vector5)));
    let sent_late = with(read(euro4(), "2026-05-10"), |input| {
        let mut fine = fined("F-LEZ-OLD", "2026-02-01");
        fine.issued_at = Some(local("2026-03-01"));
        input.history.fines = vec![fine];
    });
    assert!(infraction(verdict(&sent_late)));
    assert!(!infraction(under("window_start = \"infraction\"", "window_start = \"issue\"", &sent_late)));
    let moved = VehicleSnapshot { registration_from: Some(day("2026-04-01")), ..euro4() };
    let moved = with(read(moved, "2026-05-01"), |input| input.history.fines = vec![fined("F-LEZ-OLD", "2026-03-31")]);
    assert!(infraction(verdict(&moved)));
    assert!(!infraction(under("\"resets_both\"", "\"resets_warning\"", &moved)));
}

#[test]
fn yearly_limits_hold() {
    let good = SeedTexts::embedded();
    let fines = good.fines.replacen("window_months = 3", "window_months = 1", 1);
    let monthly = RuleSet::load(SeedTexts { fines: &fines, ..good }).unwrap();
    let input = |count: usize, at: &str| {
        let prior = ["2026-01-05", "2026-02-05", "2026-03-05", "2026-04-05"];
        with(read(euro4(), at), |input| {
            input.history.fines = prior.iter().take(count).map(|at| fined("F-LEZ-OLD", at)).collect();
        })
    };
    let until = |input: &LezInput, rules: &RuleSet| {
        if let LezVerdict::NoFineInWindow { until, .. } = decide(rules, input).verdict { Some(until) } else { None }
    };
    assert_eq!(until(&input(3, "2026-06-01"), &monthly), None);
    assert_eq!(until(&input(4, "2026-06-01"), &monthly), Some(day("2027-01-01")));
    assert_eq!(until(&input(4, "2027-01-01"), &monthly), None);
    let fines = fines.replacen("year_max = 4", "year_cap_cents = 70000", 1);
    let capped = RuleSet::load(SeedTexts { fines: &fines, ..good }).unwrap();
    assert_eq!(until(&input(1, "2026-06-01"), &capped), None);
    assert_eq!(until(&input(2, "2026-06-01"), &capped), Some(day("2027-01-01")));
}

#[test]
fn grants_end_where_the_law_ends_them() {
    let granted = |code: &str, from: &str, to: &str, at: &str| {
        let grant = ExemptionGrant { code: ExemptionCode::new(code), from: local(from), to: local(to) };
        short(&with(read(euro4(), at), |input| input.exemptions = vec![grant]))
    };
    let infraction = "INFRACTION F-LEZ-OLD 35000 EUR";
    for (code, from, to, at, wanted) in [
        ("E-DIS-VEH", "2026-01-01", "2029-01-01", "2026-02-01", "EXEMPT E-DIS-VEH"),
        ("E-DIS-VEH", "2020-01-01", "2030-01-01", "2026-02-01", infraction),
        ("E-DIS-CARD", "2022-01-01", "2030-01-01", "2026-02-01", "EXEMPT E-DIS-CARD"),
        ("E-RESCUE", "2026-02-01T10:00:00", "2026-02-01T12:00:01", "2026-02-01T12:00:00", "EXEMPT E-RESCUE"),
        ("E-RESCUE", "2026-02-01T10:00:00", "2026-02-01T12:00:00", "2026-02-01T12:00:00", infraction),
        ("E-MADE-UP", "2026-01-01", "2029-01-01", "2026-02-01", infraction),
    ] {
        assert_eq!(granted(code, from, to, at), wanted, "{code} {from}..{to} at {at}");
    }
}

#[test]
fn passes_are_bought_in_time() {
    let bought = |at: &str| {
        let pass = DayPass { day: day("2026-02-01"), bought_at: local(at) };
        short(&with(read(euro4(), "2026-02-01"), |input| input.passes = vec![pass]))
    };
    assert_eq!(bought("2026-02-02T23:59:59"), "PASS");
    assert_eq!(bought("2026-02-03T00:00:00"), "INFRACTION F-LEZ-OLD 35000 EUR");
    let outcome = decide(&RuleSet::embedded(), &read(euro4(), "2026-02-01"));
    assert_eq!(outcome.final_from, Some(local("2026-02-03T00:00:00")));
    let fine = RuleSet::embedded();
    assert_eq!((fine.fines().pass_year_max(day("2025-12-31")), fine.fines().pass_year_max(day("2026-01-01"))), (8, 24));
    assert_eq!(fine.fines().pass_price(day("2026-02-01")), Some((3_500, "EUR")));
}

#[test]
fn detours_defend_within_their_period() {
    let period = DetourPeriod { from: local("2026-02-01T08:00:00"), to: local("2026-02-01T18:00:00") };
    let on = |detour, elsewhere, at: &str| {
        let hit = SegmentHit { code: SegmentCode::new("EX-DEV"), detour, hit_elsewhere_same_day: elsewhere };
        short(&with(read(euro4(), at), |input| input.segment = Some(hit)))
    };
    let infraction = "INFRACTION F-LEZ-OLD 35000 EUR";
    for (detour, elsewhere, at, wanted) in [
        (Some(period), false, "2026-02-01T08:00:00", "OUT_OF_SCOPE"),
        (Some(period), false, "2026-02-01T18:00:00", infraction),
        (Some(period), true, "2026-02-01T09:00:00", infraction),
        (None, false, "2026-02-01T09:00:00", infraction),
    ] {
        assert_eq!(on(detour, elsewhere, at), wanted, "{at}");
    }
}

#[test]
fn foreign_vehicles() {
    let registered = |from: &str, wrong| ForeignRegistration { from: day(from), to: None, data_wrong: wrong };
    let foreign = |sign: &str, norm: &str, registration| {
        with(read(vehicle("M1", "diesel", norm), "2026-11-22"), |input| {
            input.country = country(sign);
            input.foreign_registration = registration;
        })
    };
    for (sign, norm, registration, wanted) in [
        ("NL", "6", None, "ALLOWED LEZ-01"),
        ("NL", "4", None, "INFRACTION F-LEZ-OLD 35000 EUR"),
        ("D", "6", None, "INFRACTION F-LEZ-FOREIGN 15000 EUR"),
        ("D", "6", Some(registered("2026-01-01", false)), "ALLOWED LEZ-01"),
        ("D", "4", Some(registered("2026-01-01", false)), "INFRACTION F-LEZ-OLD 35000 EUR"),
        ("D", "6", Some(registered("2026-01-01", true)), "INFRACTION F-LEZ-DATA 2500 EUR"),
        ("D", "4", Some(registered("2026-01-01", true)), "INFRACTION F-LEZ-OLD 35000 EUR"),
        ("D", "", Some(registered("2026-01-01", true)), "UNDETERMINED"),
        ("D", "6", Some(registered("2023-11-23", false)), "ALLOWED LEZ-01"),
        ("D", "6", Some(registered("2026-11-23", false)), "INFRACTION F-LEZ-FOREIGN 15000 EUR"),
        // Registered in 2023: three years, over since 2026-11-21.
        ("D", "6", Some(registered("2023-11-21", false)), "INFRACTION F-LEZ-FOREIGN 15000 EUR"),
    ] {
        assert_eq!(short(&foreign(sign, norm, registration)), wanted, "{sign} {norm} {registration:?}");
    }
    let electric =
        with(foreign("D", "", None), |input| input.vehicle = super::test_input::found(vehicle("M1", "electric", "")));
    assert_eq!(short(&electric), "EXEMPT E-ZE");
    let unsure = with(foreign("D", "6", None), |input| input.reading.country_sure = false);
    assert_eq!(short(&unsure), "UNDETERMINED");
    let confirmed = with(unsure, |input| input.reading.confirmed = true);
    assert_eq!(short(&confirmed), "INFRACTION F-LEZ-FOREIGN 15000 EUR");
}

#[test]
fn a_corrected_read_waits_for_a_person() {
    let input = |corrected, confirmed, snapshot| {
        with(read(snapshot, "2026-02-01"), |input| {
            input.reading.corrected = corrected;
            input.reading.confirmed = confirmed;
        })
    };
    let rules = RuleSet::embedded();
    for (corrected, confirmed, wanted) in [(true, false, true), (true, true, false), (false, false, false)] {
        let outcome = decide(&rules, &input(corrected, confirmed, euro4()));
        assert!(matches!(outcome.verdict, LezVerdict::Infraction { .. }));
        assert_eq!(outcome.confirm_plate_first, wanted);
        assert_eq!(outcome.reasons.contains(&Reason::PlateCorrected), wanted);
        assert!(outcome.needs_agent());
    }
    let outcome = decide(&rules, &input(true, false, vehicle("M1", "diesel", "6")));
    assert!(!outcome.confirm_plate_first && !outcome.needs_agent());
}
