//! The register of permits of a zone with restricted access, on both databases.

use std::time::Duration;

use sqlx::Row as _;
use vms_app::UseCaseError;
use vms_app::gate::Why;
use vms_app::lez_ports::LezStore as _;
use vms_app::traffic_ports::{NewPermit, PermitStore as _};
use vms_core::{Country, Plate, Profile};
use vms_store::Store;

use crate::reads::damage;
use crate::suite::{postgres, sqlite};
use crate::traffic::{noon, permit, town};

on_both!(the_permit_desk_gives_what_the_law_lets_it_give, a_damaged_permit_hides_no_other);

async fn the_permit_desk_gives_what_the_law_lets_it_give(store: &Store) {
    let town = town(store).await;
    let from = noon();
    let garage = |n: u8| NewPermit {
        group: Some(("Garage 1".to_owned(), 1)),
        ..permit(&format!("G-{n}"), &format!("1GAR00{n}"), "Z-GARAGE", "ZBT-XL-A", from, 30)
    };
    let refused = town
        .give(
            vec![
                garage(1),
                garage(2),
                garage(3),
                garage(4),
                permit("P-1", "1CAR001", "Z-MED", "ZBT-XL-A", from, 800),
                permit("P-2", "1CAR001", "Z-RES", "ZBT-XL-A", from, 30),
                permit("P-3", "1CAR001", "Z-MED", "ZBT-BXL-PENTAGON", from, 30),
                permit("1-CAR-001", "1CAR001", "Z-MED", "ZBT-XL-A", from, 30),
            ],
            Vec::new(),
        )
        .await;
    let wanted =
        "take 3 vehicles at one time|lasts at most until|cannot be used in zone|another municipality's|not its plate";
    assert_eq!(refused.len(), 5, "{refused:?}");
    for (refused, wanted) in refused.iter().zip(wanted.split('|')) {
        assert!(refused.contains(wanted), "{refused}");
    }
    let desk = town.person(13, "ELSENE", Profile::P10).await;
    let list = town.cases.permit_list(&desk, None, 2).await.unwrap();
    assert_eq!(list.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["G-1", "G-2"]);
    assert_eq!(list[0].plate.reveal(), "1GAR001");
    assert_eq!(town.cases.permit_list(&desk, Some("G-2"), 9).await.unwrap().len(), 1);
    // Another organisation's desk sees nothing of it, and ends nothing.
    let other = town.person(18, "FISC", Profile::P10).await;
    assert_eq!(town.cases.permit_list(&other, None, 9).await.unwrap(), []);
    let why = Why { justification: Some("moved away from the zone".to_owned()), ..Why::default() };
    assert!(matches!(town.cases.permit_withdraw(&other, "G-1", &why).await, Err(UseCaseError::NotFound(_))));
    assert!(town.cases.permit_withdraw(&desk, "G-1", &Why::default()).await.is_err(), "a permit ends with a reason");
    town.cases.permit_withdraw(&desk, "G-1", &why).await.unwrap();
    let police = town.officer().await;
    assert!(matches!(town.cases.permit_list(&police, None, 9).await, Err(UseCaseError::Denied { .. })));
    // No plate stands in the register in clear, and 30 days after its end a permit is gone.
    let dump: Vec<u8> = {
        let rows = sqlx::query("select sealed, token, id from zbt_permit").fetch_all(town.store.read()).await.unwrap();
        rows.iter().flat_map(|row| row.try_get::<Vec<u8>, _>("sealed").unwrap()).collect()
    };
    assert!(!dump.windows(7).any(|window| window == b"1GAR001"));
    assert_eq!(town.number("select count(*) as n from zbt_permit").await, 3);
    town.vault.lez_sweep(from.plus(Duration::from_secs(31 * 86_400))).await.unwrap();
    assert_eq!(town.number("select count(*) as n from zbt_permit").await, 2);
}

async fn a_damaged_permit_hides_no_other(store: &Store) {
    let town = town(store).await;
    let give = |n: u8| permit(&format!("P-{n}"), &format!("1CAR00{n}"), "Z-MED", "ZBT-XL-A", noon(), 30);
    assert_eq!(town.give(vec![give(1), give(2), give(3)], Vec::new()).await, Vec::<String>::new());
    damage(store, "zbt_permit", "sealed", ("P-1", "P-2")).await;
    let desk = town.person(13, "ELSENE", Profile::P10).await;
    for limit in [1, 2, 9] {
        let list = town.cases.permit_list(&desk, None, limit).await.unwrap();
        assert_eq!(list[0].id, "P-2");
        assert_eq!(list.len(), usize::try_from(limit.min(2)).unwrap());
    }
    // Its vehicle is allowed as before, and the desk that gave it can end it; no other desk can.
    let lasts = async || {
        let rights = town.vault.rights_now(&Plate::parse("1CAR001").unwrap(), Country::BELGIUM).await.unwrap();
        rights.permits.iter().map(|permit| (permit.id.as_str().to_owned(), permit.to > noon())).collect::<Vec<_>>()
    };
    let why = Why { justification: Some("moved away from the zone".to_owned()), ..Why::default() };
    let other = town.person(18, "FISC", Profile::P10).await;
    assert!(matches!(town.cases.permit_withdraw(&other, "P-1", &why).await, Err(UseCaseError::NotFound(_))));
    assert_eq!(lasts().await, [("P-1".to_owned(), true)]);
    town.cases.permit_withdraw(&desk, "P-1", &why).await.unwrap();
    assert_eq!(lasts().await, [("P-1".to_owned(), false)]);
}
