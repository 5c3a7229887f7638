//! Sharing and oversight on both databases.

use uuid::Uuid;
use vms_app::gate::Why;
use vms_app::gate::action::{HandleComplaints, HandleSubjectRequests, ViewReport};
use vms_app::model::{LogDetail, Session, Signature};
use vms_app::oversight::model::{Complaint, FlowRow, SubjectRequest};
use vms_app::oversight::ports::OversightStore as _;
use vms_app::ports::{CameraStore as _, LogDetailStore as _, OrgStore as _, SessionStore as _, StoreError};
use vms_app::sharing::model::{Corner, Coverage, Emergency, EventUse, Notice, ShareRequest, SharingEvent, Station};
use vms_app::sharing::ports::SharingStore as _;
use vms_app::words::{CaseState, FlowState, Language, NoticeKind, ShareRequestState, SharingEventKind, SubjectRegime};
use vms_core::{OrgId, Profile, Purpose, Right, SessionId, UserId};
use vms_store::Store;

use crate::suite::{at, camera_of, org_of, permit_for, postgres, span, sqlite};

on_both!(
    events_round_trip_and_their_uses_add_up,
    emergencies_are_reviewed_by_somebody_else,
    share_requests_are_settled_once,
    notices_and_stations,
    flows_change_one_version_at_a_time,
    cases_are_answered_once_and_counted,
);

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn who(n: u8, seconds: i64) -> Signature {
    Signature { user: UserId::from_bytes([n; 16]), name: format!("P{n} é"), at: at(seconds) }
}

async fn orgs(store: &Store) -> (OrgId, OrgId) {
    (store.org_put(&org_of(1)).await.unwrap(), store.org_put(&org_of(2)).await.unwrap())
}

async fn events_round_trip_and_their_uses_add_up(store: &Store) {
    let (owner, other) = orgs(store).await;
    let camera = camera_of(1, owner);
    store.camera_insert(std::slice::from_ref(&camera)).await.unwrap();
    let event = |n: u128, cover: Coverage| SharingEvent {
        id: id(n),
        kind: SharingEventKind::Crisis,
        name: "Overstroming".to_owned(),
        cover,
        profiles: vec![Profile::P02, Profile::P15],
        authority: "BGM-1".to_owned(),
        reason: "kanaal buiten zijn oevers".to_owned(),
        period: span(0, 100),
        org: other,
        activated: who(1, 0),
        ended: None,
        summarised_at: None,
        version: 1,
    };
    let area = Coverage::Area([(50.8, 4.3), (50.9, 4.3), (50.9, 4.45)].map(|(lat, lon)| Corner { lat, lon }).to_vec());
    let (listed, drawn) = (event(1, Coverage::Cameras(vec![camera.id])), event(2, area));
    store.sharing_event_insert(&listed).await.unwrap();
    store.sharing_event_insert(&drawn).await.unwrap();
    assert_eq!(store.sharing_event_fetch(id(1)).await.unwrap(), Some(listed.clone()));
    assert_eq!(store.sharing_event_fetch(id(2)).await.unwrap(), Some(drawn.clone()));
    assert_eq!(store.sharing_event_list(1).await.unwrap(), std::slice::from_ref(&drawn));
    assert_eq!(store.sharing_event_list_in_force(at(99)).await.unwrap().len(), 2);
    assert_eq!(store.sharing_event_list_in_force(at(100)).await.unwrap(), []);

    let ended = SharingEvent { ended: Some(who(2, 50)), period: span(0, 90), ..listed.clone() };
    store.sharing_event_update(&ended).await.unwrap();
    assert!(matches!(store.sharing_event_update(&ended).await, Err(StoreError::Stale)));
    assert_eq!(store.sharing_event_list_in_force(at(20)).await.unwrap(), [drawn]);
    let unsummarised = store.sharing_event_list_unsummarised(at(60)).await.unwrap();
    assert_eq!(unsummarised, [SharingEvent { version: 2, ..ended }]);

    let used = |right, uses| EventUse { event: id(1), owner, camera: camera.id, org: other, right, uses };
    for _ in 0..3 {
        store.event_use_add(&used(Right::Live, 1)).await.unwrap();
    }
    store.event_use_add(&used(Right::Playback, 1)).await.unwrap();
    assert_eq!(store.event_use_list(id(1)).await.unwrap(), [used(Right::Live, 3), used(Right::Playback, 1)]);
    assert_eq!(store.event_use_list(id(2)).await.unwrap(), []);
}

async fn emergencies_are_reviewed_by_somebody_else(store: &Store) {
    let (owner, other) = orgs(store).await;
    let camera = camera_of(1, owner);
    let emergency = |n: u128| Emergency {
        id: id(n),
        opened: who(1, 0),
        org: other,
        cameras: vec![camera.id],
        owners: vec![owner],
        purpose: Purpose::Intervention,
        reason: "achtervolging".to_owned(),
        until: at(3_600),
        ended_at: None,
        review_by: at(9_000),
        review: None,
    };
    store.emergency_insert(&emergency(1)).await.unwrap();
    store.emergency_insert(&emergency(2)).await.unwrap();
    assert_eq!(store.emergency_fetch(id(1)).await.unwrap(), Some(emergency(1)));
    assert!(store.emergency_end(id(2), at(10)).await.unwrap());
    assert!(!store.emergency_end(id(2), at(11)).await.unwrap());
    assert_eq!(store.emergency_list_in_force(at(20)).await.unwrap(), [emergency(1)]);
    assert_eq!(store.emergency_list_in_force(at(3_600)).await.unwrap(), []);
    assert_eq!(store.emergency_list_unreviewed(who(1, 0).user).await.unwrap().len(), 2);
    let by = |n| Emergency { review: Some((true, "terecht".to_owned(), who(n, 30))), ..emergency(1) };
    assert!(store.emergency_review(&by(1)).await.is_err(), "the database refuses its own person");
    store.emergency_review(&by(2)).await.unwrap();
    assert!(matches!(store.emergency_review(&by(2)).await, Err(StoreError::Stale)));
    assert_eq!(store.emergency_fetch(id(1)).await.unwrap(), Some(by(2)));
    assert_eq!(store.emergency_list_unreviewed(who(1, 0).user).await.unwrap().len(), 1);
    assert_eq!(store.emergency_list(9).await.unwrap().len(), 2);
}

async fn share_requests_are_settled_once(store: &Store) {
    let (owner, partner) = orgs(store).await;
    let request = ShareRequest {
        id: id(1),
        owner,
        partner,
        cameras: vec![camera_of(1, owner).id, camera_of(2, owner).id],
        profile: Some(Profile::P01),
        rights: vec![Right::Live, Right::Playback],
        purpose: Some(Purpose::Intervention),
        period: span(0, 100),
        reason: "gezamenlijke actie".to_owned(),
        case_ref: None,
        asked: who(1, 0),
        state: ShareRequestState::Waiting,
        first: None,
        settled: None,
        answer: None,
    };
    store.share_request_insert(&request).await.unwrap();
    assert_eq!(store.share_request_fetch(id(1)).await.unwrap(), Some(request.clone()));
    let first = ShareRequest { state: ShareRequestState::WaitsSecond, first: Some(who(2, 1)), ..request.clone() };
    store.share_request_update(&first, ShareRequestState::Waiting).await.unwrap();
    let stale = store.share_request_update(&first, ShareRequestState::Waiting).await;
    assert!(matches!(stale, Err(StoreError::Stale)));
    let alone = ShareRequest { state: ShareRequestState::Approved, settled: Some(who(2, 2)), ..first.clone() };
    let alone = store.share_request_update(&alone, ShareRequestState::WaitsSecond).await;
    assert!(alone.is_err(), "two people approve: the database itself holds to it");
    let given = ShareRequest { state: ShareRequestState::Approved, settled: Some(who(3, 2)), ..first };
    store.share_request_update(&given, ShareRequestState::WaitsSecond).await.unwrap();
    assert_eq!(store.share_request_list(9).await.unwrap(), [given]);
    let own = ShareRequest { id: id(2), partner: owner, ..request };
    assert!(store.share_request_insert(&own).await.is_err(), "nobody asks itself");
}

async fn notices_and_stations(store: &Store) {
    let (one, two) = orgs(store).await;
    let notice = |org, n: i64| Notice { id: 0, at: at(n), org, kind: NoticeKind::Use, data: format!("{{\"n\":{n}}}") };
    let mut ids = Vec::new();
    for (org, n) in [(one, 1), (two, 2), (one, 3)] {
        ids.push(store.notice_insert(&notice(org, n)).await.unwrap());
    }
    let data = |notices: Vec<Notice>| notices.into_iter().map(|notice| notice.at).collect::<Vec<_>>();
    assert_eq!(data(store.notice_list(Some(one), None, 9).await.unwrap()), [at(3), at(1)]);
    assert_eq!(data(store.notice_list(None, Some(ids[2]), 9).await.unwrap()), [at(2), at(1)]);

    let account = crate::suite::account_of(1, one);
    vms_app::ports::AccountStore::account_insert(store, &account).await.unwrap();
    let session = |n: u8| Session {
        id: SessionId::from_bytes([n; 16]),
        token_hash: format!("{n:064}"),
        csrf: String::new(),
        user: account.id,
        profile: Profile::P13,
        created_at: at(0),
        seen_at: at(0),
        ended_at: None,
        factor_at: None,
        hard_at: None,
        certificate: None,
    };
    let station = Station {
        id: id(1),
        org: one,
        name: "Kade 3".to_owned(),
        agreement: "protocol 7".to_owned(),
        code_hash: "a".repeat(64),
        registered: who(1, 0),
        revoked_at: None,
    };
    store.station_insert(&station).await.unwrap();
    for n in [1, 2] {
        store.session_insert(&session(n)).await.unwrap();
        store.station_session_put(session(n).id, id(1), at(1)).await.unwrap();
    }
    store.station_session_put(session(1).id, id(1), at(2)).await.unwrap();
    assert_eq!(store.station_session_list().await.unwrap().len(), 2);
    store.session_end(session(2).id, at(3)).await.unwrap();
    assert_eq!(store.station_session_list().await.unwrap(), [session(1).id]);
    assert!(store.station_revoke(id(1), at(4)).await.unwrap());
    assert!(!store.station_revoke(id(1), at(5)).await.unwrap());
    assert_eq!(store.station_session_list().await.unwrap(), []);
    assert_eq!(store.station_list().await.unwrap(), [Station { revoked_at: Some(at(4)), ..station }]);
}

async fn flows_change_one_version_at_a_time(store: &Store) {
    let row = |version, state| FlowRow {
        id: "DS-LEZ-VEH".to_owned(),
        state,
        reason: "klacht in onderzoek".to_owned(),
        authority: "CC-1".to_owned(),
        until: Some(at(900)),
        changed: who(1, i64::try_from(version).unwrap()),
        registered: None,
        version,
    };
    let registered = Some(["FISC", "DIV", "LEZ"].map(str::to_owned));
    let other = FlowRow { id: "DS-X".to_owned(), registered, until: None, ..row(1, FlowState::Requested) };
    store.flow_put(&row(1, FlowState::Suspended)).await.unwrap();
    store.flow_put(&other).await.unwrap();
    assert!(matches!(store.flow_put(&row(1, FlowState::Ended)).await, Err(StoreError::Stale)));
    assert!(matches!(store.flow_put(&row(3, FlowState::Ended)).await, Err(StoreError::Stale)));
    store.flow_put(&row(2, FlowState::Granted)).await.unwrap();
    assert_eq!(store.flow_list().await.unwrap(), [row(2, FlowState::Granted), other]);
    let history = store.flow_history("DS-LEZ-VEH").await.unwrap();
    assert_eq!(history, [row(2, FlowState::Granted), row(1, FlowState::Suspended)]);
}

#[expect(clippy::too_many_lines, reason = "each kind of case through its states")]
async fn cases_are_answered_once_and_counted(store: &Store) {
    let (about, _) = orgs(store).await;
    let why = Why {
        purpose: Some(Purpose::Complaint),
        justification: Some("takes a case into the register".to_owned()),
        ..Why::default()
    };
    let permit = permit_for::<HandleComplaints>(Profile::P20, &why).await;
    let complaint = Complaint {
        id: id(1),
        about,
        channel: "brief".to_owned(),
        text: "camera op mijn venster".to_owned(),
        received: who(1, 10),
        state: CaseState::Received,
        answer: None,
        answered: None,
    };
    store.complaint_insert(&permit, &complaint).await.unwrap();
    let answered = Complaint {
        state: CaseState::Answered,
        answer: Some("gedaan".to_owned()),
        answered: Some(who(2, 20)),
        ..complaint
    };
    store.complaint_update(&permit, &answered, CaseState::Received).await.unwrap();
    let again = store.complaint_update(&permit, &answered, CaseState::Received).await;
    assert!(matches!(again, Err(StoreError::Stale)));
    assert_eq!(store.complaint_list(&permit, 9).await.unwrap(), [answered]);

    let permit = permit_for::<HandleSubjectRequests>(Profile::P20, &why).await;
    let request = SubjectRequest {
        id: id(2),
        org: about,
        regime: SubjectRegime::Gdpr,
        file_ref: "DSR-1".to_owned(),
        reasons: "val met de fiets".to_owned(),
        language: Language::Nl,
        lat: 50.846_7,
        lon: 4.352_5,
        radius_m: 200,
        range: span(0, 60),
        received: who(1, 30),
        due: at(999),
        state: CaseState::Received,
        answer: None,
        answered: None,
    };
    store.subject_request_insert(&permit, &request).await.unwrap();
    let refused = SubjectRequest {
        state: CaseState::Refused,
        answer: Some("geen beelden meer".to_owned()),
        answered: Some(who(2, 40)),
        ..request
    };
    store.subject_request_update(&permit, &refused, CaseState::Received).await.unwrap();
    assert!(store.subject_request_update(&permit, &refused, CaseState::Received).await.is_err());
    assert_eq!(store.subject_request_list(&permit, 9).await.unwrap(), [refused]);
    let counts = |from, to| store.case_counts(span(from, to));
    let text = |register: &str, state: &str| (register.to_owned(), state.to_owned(), 1);
    assert_eq!(counts(0, 100).await.unwrap(), [text("complaints", "answered"), text("subject_requests", "refused")]);
    assert_eq!(counts(20, 100).await.unwrap(), [text("subject_requests", "refused")]);

    vms_app::ports::AccountStore::account_insert(store, &crate::suite::account_of(1, about)).await.unwrap();
    let accounts = store.account_counts().await.unwrap();
    assert_eq!(accounts.iter().map(|row| (row.active, row.charters, row.trainings)).collect::<Vec<_>>(), [(1, 1, 0)]);
    let permit = permit_for::<ViewReport>(Profile::P23, &why).await;
    for index in 0..3 {
        let detail = LogDetail {
            index,
            at: at(i64::try_from(index).unwrap()),
            org: None,
            user: None,
            operation: "open".to_owned(),
            decision: None,
            details: "{}".to_owned(),
        };
        store.log_detail_put(&detail).await.unwrap();
    }
    let indexes = async |above, limit| {
        let rows = store.log_detail_scan(&permit, span(0, 3), above, limit).await.unwrap();
        rows.iter().map(|row| row.index).collect::<Vec<_>>()
    };
    assert_eq!((indexes(None, 2).await, indexes(Some(1), 9).await), (vec![0, 1], vec![2]));
}
