//! Evidence exports on both databases.

use vms_app::exports_model::{Export, ExportProgress, ExportSource};
use vms_app::model::Signature;
use vms_app::ports::{CameraStore as _, ExportStore as _, OrgStore as _, StoreError};
use vms_app::words::{ExportState, Language};
use vms_core::{CameraId, DecisionId, ExportId, Profile, Purpose, SessionId, StreamId, UserId};
use vms_store::Store;

use crate::suite::{at, camera_of, org_of, postgres, span, sqlite};

on_both!(exports_take_two_people_and_stay,);

/// A further camera of an export.
fn source(n: u8) -> ExportSource {
    ExportSource { camera: CameraId::from_bytes([n; 16]), stream: StreamId::from_bytes([n; 16]) }
}

#[expect(clippy::too_many_lines, reason = "one export from its order to its removal")]
async fn exports_take_two_people_and_stay(store: &Store) {
    let owner = store.org_put(&org_of(1)).await.unwrap();
    let camera = camera_of(1, owner);
    store.camera_insert(std::slice::from_ref(&camera)).await.unwrap();
    let who =
        |n: u8, seconds| Signature { user: UserId::from_bytes([n; 16]), name: format!("P{n} é"), at: at(seconds) };
    let export = |n: u8| Export {
        id: ExportId::from_bytes([n; 16]),
        camera: camera.id,
        stream: camera.streams[0].id,
        others: (1..n).map(source).collect(),
        range: span(0, 60),
        purpose: Purpose::Investigation,
        case_ref: "BR.11.LA/26".to_owned(),
        magistrate_ref: Some("PK-2026-0077".to_owned()),
        reason: "aanrijding met vluchtmisdrijf".to_owned(),
        language: Language::Fr,
        decision: DecisionId::from_bytes([n; 16]),
        ordered: who(1, 70),
        ordered_as: Profile::P02,
        session: SessionId::from_bytes([9; 16]),
        state: ExportState::Waits,
        settled: None,
        settled_as: None,
        answer: None,
        progress: ExportProgress::default(),
        failure: None,
        ended_at: None,
        expires_at: None,
        manifest_sha256: None,
    };
    store.export_insert(&export(1)).await.unwrap();
    store.export_insert(&export(2)).await.unwrap();
    assert!(
        store.export_insert(&Export { case_ref: String::new(), ..export(3) }).await.is_err(),
        "never without a case"
    );
    let first = store.export_fetch(export(1).id).await.unwrap();
    assert_eq!(first, Some(export(1)));
    let ids = |rows: Vec<Export>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.export_list(None, 10).await.unwrap()), [export(2).id, export(1).id]);
    assert_eq!(ids(store.export_list(Some(export(2).id), 10).await.unwrap()), [export(1).id]);
    assert_eq!(ids(store.export_list(None, 1).await.unwrap()), [export(2).id]);

    // The database itself holds to the second person.
    let alone = Export { state: ExportState::Queued, ..export(1) };
    assert!(store.export_update(&alone, ExportState::Waits).await.is_err());
    let own = Export { settled: Some(who(1, 80)), settled_as: Some(Profile::P03), ..alone.clone() };
    assert!(store.export_update(&own, ExportState::Waits).await.is_err());
    let approved = Export { settled: Some(who(2, 80)), ..own };
    store.export_update(&approved, ExportState::Waits).await.unwrap();
    assert!(matches!(store.export_update(&approved, ExportState::Waits).await, Err(StoreError::Stale)), "once");

    let progress = ExportProgress { per_mille: 400, bytes: 5 << 32, frames: 1_234 };
    store.export_progress(approved.id, progress).await.unwrap();
    assert_eq!(store.export_fetch(approved.id).await.unwrap().unwrap().progress, ExportProgress::default(), "not yet");
    let running = Export { state: ExportState::Running, ..approved };
    store.export_update(&running, ExportState::Queued).await.unwrap();
    store.export_progress(running.id, progress).await.unwrap();
    let unnamed = Export { state: ExportState::Done, progress, ended_at: Some(at(99)), ..running.clone() };
    assert!(store.export_update(&unnamed, ExportState::Running).await.is_err(), "a package has a digest and a term");
    let (expires_at, manifest_sha256) = (Some(at(1_000)), Some("ab".repeat(32)));
    let done = Export { expires_at, manifest_sha256, ..unnamed };
    store.export_update(&done, ExportState::Running).await.unwrap();
    let stored = store.export_fetch(done.id).await.unwrap();
    assert_eq!(stored, Some(done.clone()));
    assert_eq!(ids(store.export_list_open().await.unwrap()), [export(1).id, export(2).id]);

    let removed = Export { state: ExportState::Removed, ..done };
    store.export_update(&removed, ExportState::Done).await.unwrap();
    let answer = Some("geen zaaknummer van het parket".to_owned());
    let refused = Export { state: ExportState::Refused, settled: Some(who(2, 90)), answer, ..export(2) };
    store.export_update(&refused, ExportState::Waits).await.unwrap();
    assert_eq!(store.export_list_open().await.unwrap(), []);
    assert_eq!(store.export_list(None, 10).await.unwrap(), [refused, removed]);
}
