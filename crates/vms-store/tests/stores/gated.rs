//! Decisions of the magistrate's gate on both databases.

use vms_app::gated::{GatedApplied, GatedDecision, GatedStore as _};
use vms_app::model::Signature;
use vms_app::ports::{CameraStore as _, OrgStore as _, StoreError};
use vms_app::words::GatedState;
use vms_core::{DecisionId, Purpose, RetentionClass, TimeRange, UserId};
use vms_store::Store;

use crate::suite::{at, camera_of, org_of, postgres, sqlite};

on_both!(decisions_of_the_gate_are_settled_once_by_another,);

async fn decisions_of_the_gate_are_settled_once_by_another(store: &Store) {
    let owner = store.org_put(&org_of(1)).await.unwrap();
    let camera = camera_of(1, owner);
    store.camera_insert(std::slice::from_ref(&camera)).await.unwrap();
    let who =
        |n: u8, seconds| Signature { user: UserId::from_bytes([n; 16]), name: format!("P{n} é"), at: at(seconds) };
    // The first whole hour after the beginning of the suite's time.
    let hour = |n: u8| at(i64::from(n) * 3_600 - 800);
    let decision = |n: u8| GatedDecision {
        id: uuid::Uuid::from_u128(u128::from(n)),
        camera: camera.id,
        class: RetentionClass::parse("RC-VID-POL").unwrap(),
        range: TimeRange::new(hour(1), hour(1 + n)).unwrap(),
        purpose: Purpose::Investigation,
        ground: "reeks overvallen, onderzoek loopt".to_owned(),
        case_ref: "BR.11.LA/26".to_owned(),
        decision: DecisionId::from_bytes([n; 16]),
        proposed: who(1, 70),
        state: GatedState::Proposed,
        settled: None,
        refusal: None,
        applied: None,
    };
    for n in [1, 2, 3] {
        store.gated_insert(&decision(n)).await.unwrap();
    }
    let crooked = GatedDecision { range: TimeRange::new(at(1), hour(1)).unwrap(), ..decision(4) };
    assert!(store.gated_insert(&crooked).await.is_err(), "whole hours only");
    assert_eq!(store.gated_fetch(decision(1).id).await.unwrap(), Some(decision(1)));
    let ids = |rows: Vec<GatedDecision>| rows.iter().map(|row| row.id.as_u128()).collect::<Vec<_>>();
    assert_eq!(ids(store.gated_list(None, 2).await.unwrap()), [3, 2]);
    assert_eq!(ids(store.gated_list(Some(decision(2).id), 9).await.unwrap()), [1]);
    assert!(store.gated_list_in_force(at(0)).await.unwrap().is_empty());

    let own = GatedDecision { state: GatedState::InForce, settled: Some(who(1, 80)), ..decision(1) };
    assert!(store.gated_settle(&own).await.is_err(), "the database itself holds to the second person");
    let agreed = GatedDecision { settled: Some(who(2, 80)), ..own };
    store.gated_settle(&agreed).await.unwrap();
    assert!(matches!(store.gated_settle(&agreed).await, Err(StoreError::Stale)), "once");
    let refused = GatedDecision {
        state: GatedState::Refused,
        settled: Some(who(2, 81)),
        refusal: Some("geen grond".to_owned()),
        ..decision(2)
    };
    store.gated_settle(&refused).await.unwrap();
    let applied = GatedApplied { at: at(90), hours: 12, waiting: 1 };
    store.gated_applied(agreed.id, applied).await.unwrap();
    let agreed = GatedDecision { applied: Some(applied), ..agreed };
    assert_eq!(store.gated_list_in_force(hour(2)).await.unwrap(), [agreed]);
    assert!(store.gated_list_in_force(hour(3)).await.unwrap().is_empty(), "long past");
    assert_eq!(store.gated_fetch(refused.id).await.unwrap(), Some(refused));
}
