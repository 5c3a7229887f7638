//! Who searched for a plate: rows of the log by the keyed hash in their details, on both databases.

use serde_json::json;
use sqlx::AssertSqlSafe;
use vms_app::gate::Why;
use vms_app::gate::action::TracePlate;
use vms_app::model::LogDetail;
use vms_app::ports::{LogDetailStore as _, PATTERNS};
use vms_core::{DecisionId, OrgId, Profile, Purpose, UserId};
use vms_store::Store;
use vms_store::details::forget_details;

use crate::suite::{at, permit_for, postgres, span, sqlite};

on_both!(plates_in_the_log_are_found_by_their_hash_and_forgotten);

fn detail(index: u64, org: u8, object: &str) -> LogDetail {
    LogDetail {
        index,
        at: at(i64::try_from(index).unwrap()),
        org: Some(OrgId::from_bytes([org; 16])),
        user: Some(UserId::from_bytes([org; 16])),
        operation: "use".to_owned(),
        decision: Some(DecisionId::from_bytes([5; 16])),
        details: json!({ "right": "reads.search", "object": object }).to_string(),
    }
}

async fn plates_in_the_log_are_found_by_their_hash_and_forgotten(store: &Store) {
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    let rows = [
        detail(0, 1, &format!("plate:{one}:aa")),
        detail(1, 2, &format!("plate:{one}:bb")),
        detail(2, 1, &format!("plate:{two}:cc")),
        detail(3, 1, &format!("plates:{one}:dd")),
        detail(4, 1, "cam_7"),
        detail(5, 1, &format!("plate:{one}:ee")),
    ];
    // Again after a restart: the same rows.
    for row in rows.iter().chain(&rows) {
        store.log_detail_put(row).await.unwrap();
    }
    // As the migration leaves what was copied before it: the plate is in the details only.
    let mut txn = store.begin().await.unwrap();
    let old = AssertSqlSafe("update log_plate set plate_hash = '' where leaf_index < 3".to_owned());
    sqlx::query(old).execute(&mut store.writing(&mut txn)).await.unwrap();
    txn.commit().await.unwrap();

    let why = Why {
        purpose: Some(Purpose::Investigation),
        justification: Some("klacht over een opzoeking".to_owned()),
        case_ref: Some("CC-2026-14".to_owned()),
        ..Why::default()
    };
    let permit = permit_for::<TracePlate>(Profile::P21, &why).await;
    let first = Some(OrgId::from_bytes([1; 16]));
    let look = async |org, hash: &str, range, below, limit| {
        let found = store.log_detail_of_plate(&permit, org, hash, range, below, limit).await.unwrap();
        found.iter().map(|row| row.index).collect::<Vec<_>>()
    };
    assert_eq!(look(None, PATTERNS, span(0, 100), None, 10).await, [3]);
    assert_eq!(look(first, PATTERNS, span(0, 3), None, 10).await, [0_u64; 0]);
    for (org, hash, range, below, limit, wanted) in [
        (None, &one, span(0, 100), None, 10, vec![5, 1, 0]),
        (first, &one, span(0, 100), None, 10, vec![5, 0]),
        (None, &two, span(0, 100), None, 10, vec![2]),
        (None, &one, span(0, 5), None, 10, vec![1, 0]),
        (None, &one, span(0, 100), Some(5), 1, vec![1]),
        (None, &"3".repeat(64), span(0, 100), None, 10, vec![]),
    ] {
        assert_eq!(look(org, hash, range, below, limit).await, wanted, "{hash} {range:?} {below:?}");
    }
    let found = store.log_detail_of_plate(&permit, first, &one, span(0, 100), None, 1).await.unwrap();
    assert_eq!(found, [rows[5].clone()]);

    store.log_detail_put(&detail(6, 1, "")).await.unwrap();
    forget_details(store, &[0, 5], 6).await.unwrap();
    assert_eq!(look(None, &one, span(0, 100), None, 10).await, [1], "what was forgotten names no plate");
    let left =
        sqlx::query("select leaf_index from log_plate order by leaf_index").fetch_all(store.read()).await.unwrap();
    assert_eq!(left.len(), 3, "nor does the table: one, two and the pattern are left");
}
