//! The 18 vectors of `domain.md` A9, by their numbers.

use super::test_input::{country, day, fined, local, read, reading, short, vehicle, warned};
use super::{
    DayPass, ForeignRegistration, LezInput, Lookup, RuleSet, SegmentCode, SegmentHit, VehicleSnapshot, decide, lez_day,
};

fn euro5() -> VehicleSnapshot {
    vehicle("M1", "diesel", "5")
}

fn with(mut input: LezInput, change: impl FnOnce(&mut LezInput)) -> LezInput {
    change(&mut input);
    input
}

#[test]
fn vectors_1_to_6_newly_banned_and_long_banned() {
    let warned_in_january = |input| with(input, |input| input.history.warnings = vec![warned("2026-01-10")]);
    for (number, input, wanted) in [
        (1, read(euro5(), "2025-11-30"), "ALLOWED LEZ-01"),
        (2, read(euro5(), "2026-01-10"), "WARNING LEZ-01 2026-04-10"),
        (3, warned_in_january(read(euro5(), "2026-03-20")), "NO_FINE 2026-04-10"),
        (4, warned_in_january(read(euro5(), "2026-04-15")), "INFRACTION F-LEZ-NEW-A 35000 EUR"),
        (
            5,
            with(warned_in_january(read(euro5(), "2026-07-20")), |input| {
                input.history.fines = vec![fined("F-LEZ-NEW-A", "2026-04-15")];
            }),
            "NO_FINE 2027-04-15",
        ),
        (6, read(vehicle("M1", "diesel", "4"), "2026-02-01"), "INFRACTION F-LEZ-OLD 35000 EUR"),
    ] {
        assert_eq!(short(&input), wanted, "vector {number}");
    }
}

#[test]
fn vectors_7_to_10_and_18_steps_of_the_table() {
    let petrol3 = || vehicle("M1", "petrol", "3");
    let van = |kg| VehicleSnapshot { ref_mass_kg: Some(kg), ..vehicle("N1", "diesel", "6d-TEMP") };
    for (number, input, wanted) in [
        (7, read(petrol3(), "2027-12-31T23:59:59"), "ALLOWED LEZ-02"),
        (7, read(petrol3(), "2028-01-01T00:00:00"), "WARNING LEZ-02 2028-04-01"),
        (8, read(vehicle("L1e", "petrol", ""), "2026-06-01"), "ALLOWED LEZ-14"),
        (8, read(vehicle("L1e", "petrol", "none"), "2026-06-01"), "ALLOWED LEZ-14"),
        (8, read(vehicle("L1e", "petrol", "none"), "2028-06-01"), "WARNING LEZ-14 2028-09-01"),
        (8, read(vehicle("L1e", "petrol", "5"), "2028-06-01"), "ALLOWED LEZ-14"),
        (9, read(vehicle("L3e", "diesel", "5"), "2026-06-01"), "WARNING LEZ-15 2026-09-01"),
        (9, read(vehicle("L3e", "diesel", ""), "2034-06-01"), "WARNING LEZ-15 2034-09-01"),
        (10, read(van(1305), "2028-06-01"), "WARNING LEZ-01 2028-09-01"),
        (10, read(van(1306), "2028-06-01"), "ALLOWED LEZ-03"),
        (18, read(vehicle("M1", "hybrid_diesel", "6"), "2030-06-01"), "WARNING LEZ-01 2030-09-01"),
    ] {
        assert_eq!(short(&input), wanted, "vector {number}");
    }
}

#[test]
fn vectors_11_to_13_plates_ages_and_missing_norms() {
    let old = || VehicleSnapshot { first_registration: Some(day("1996-11-23")), ..vehicle("M1", "petrol", "0") };
    let plated = |input, plate| with(input, |input| input.reading = reading(plate));
    for (number, input, wanted) in [
        (11, plated(read(vehicle("M1", "petrol", "0"), "2026-11-22"), "O-ABC-123"), "EXEMPT E-OLD"),
        (12, plated(read(old(), "2026-11-22"), "9-ABC-123"), "INFRACTION F-LEZ-OLD 35000 EUR"),
        (12, plated(read(old(), "2026-11-24"), "9-ABC-123"), "EXEMPT E-OLD"),
        (12, plated(read(old(), "2026-11-24"), "BELFRY"), "EXEMPT E-OLD"),
        (12, plated(read(old(), "2026-11-24"), "1-ABC-123"), "INFRACTION F-LEZ-OLD 35000 EUR"),
        (13, read(vehicle("M1", "diesel", ""), "2026-11-22"), "UNDETERMINED"),
        (13, read(vehicle("M1", "diesel", ""), "2035-11-22"), "UNDETERMINED"),
    ] {
        assert_eq!(short(&input), wanted, "vector {number}");
    }
}

#[test]
fn vectors_14_and_15_foreign_plates_and_exempt_segments() {
    let french = |input| with(input, |input| input.country = country("F"));
    let critair1 = || vehicle("M1", "petrol", "6");
    let registration = ForeignRegistration { from: day("2026-01-01"), to: None, data_wrong: false };
    let on = |input, code: &str| {
        with(input, |input| {
            let code = SegmentCode::new(code);
            input.segment = Some(SegmentHit { code, detour: None, hit_elsewhere_same_day: false });
        })
    };
    for (number, input, wanted) in [
        (14, french(read(critair1(), "2026-11-22")), "INFRACTION F-LEZ-FOREIGN 15000 EUR"),
        (
            14,
            with(french(read(critair1(), "2026-11-22")), |input| input.vehicle = Lookup::NotAsked),
            "INFRACTION F-LEZ-FOREIGN 15000 EUR",
        ),
        (
            14,
            with(french(read(critair1(), "2026-11-22")), |input| input.foreign_registration = Some(registration)),
            "ALLOWED LEZ-02",
        ),
        (15, on(read(vehicle("M1", "diesel", "1"), "2026-11-22"), "EX-WATERLOO"), "OUT_OF_SCOPE"),
        (15, on(french(read(critair1(), "2026-11-22")), "EX-WATERLOO"), "OUT_OF_SCOPE"),
        (15, on(read(critair1(), "2026-11-22"), "EX-NOWHERE"), "UNDETERMINED"),
    ] {
        assert_eq!(short(&input), wanted, "vector {number}");
    }
}

#[test]
fn vector_16_day_passes() {
    let pass = |text: &str| DayPass { day: day(text), bought_at: local(text) };
    let banned = |passes| with(read(vehicle("M1", "diesel", "4"), "2026-11-22"), |input| input.passes = passes);
    let earlier = |count: i8| (1..=count).map(|date| pass(&day_of(date))).collect::<Vec<_>>();
    for (passes, wanted) in [
        (vec![pass("2026-11-22")], "PASS"),
        (vec![pass("2026-11-21")], "INFRACTION F-LEZ-OLD 35000 EUR"),
        ([earlier(23), vec![pass("2026-11-22")]].concat(), "PASS"),
        ([earlier(24), vec![pass("2026-11-22")]].concat(), "INFRACTION F-LEZ-OLD 35000 EUR"),
    ] {
        let count = passes.len();
        assert_eq!(short(&banned(passes)), wanted, "{count} passes");
    }
}

fn day_of(date: i8) -> String {
    format!("2026-03-{date:02}")
}

#[test]
fn vector_17_midnight_parts_two_days() {
    let seen = |at: &str| decide(&RuleSet::embedded(), &read(euro5(), at)).day;
    assert_eq!((seen("2026-11-22T23:59:50"), seen("2026-11-23T00:00:10")), (day("2026-11-22"), day("2026-11-23")));
    assert_eq!(lez_day(local("2026-11-22T23:59:50")), day("2026-11-22"));
}
