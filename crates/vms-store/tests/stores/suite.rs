use std::sync::Arc;

use policy::{CapabilitySigner, RoleTable};
use vms_app::fakes::{FixedIds, ManualClock, MemoryLog};
use vms_app::gate::{Action, Actor, Gate, Permit, Target, Why};
use vms_app::model::{
    Account, Camera, CameraLaw, CameraStream, EventScope, GapCopy, Grant, GrantTerms, Hold, HoldApplied, LegalBasis,
    LegalChange, LogDetail, Org, Partner, PasswordState, PlaybackRow, SegmentCopy, Session, Signature,
};
use vms_app::ports::{
    AccountStore as _, CameraStore as _, CatalogueStore as _, EventStore as _, GrantStore as _, HoldStore as _,
    LeaseStore as _, LegalChangeStore as _, LogDetailStore as _, OrgStore as _, PartnerStore as _, PlaybackStore as _,
    SessionStore as _, StoreError,
};
use vms_app::words::{
    CameraKind, CameraState, Cause, ChangeState, EventKind, HoldState, Language, OrgKind, TransportKind,
};
use vms_core::{
    CameraId, Codec, DecisionId, GrantId, HoldId, OrgId, Profile, Purpose, Relation, RetentionClass, Right, SegmentId,
    SessionId, StreamId, StreamUse, TimeRange, UserId, WallTime,
};
use vms_store::{MigrateError, Store, StoreSettings};

use crate::identity::{links_and_certificates_belong_to_one_account, second_factors_are_used_once};

pub(crate) struct Bench {
    pub(crate) store: Store,
    /// Keeps SQLite's file.
    _dir: tempfile::TempDir,
}

pub(crate) async fn sqlite() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("central.db").display());
    opened(url, dir).await
}

pub(crate) async fn postgres() -> Bench {
    opened(vms_testkit::postgres::database().await.unwrap(), tempfile::tempdir().unwrap()).await
}

async fn opened(url: String, dir: tempfile::TempDir) -> Bench {
    let store = Store::open(&StoreSettings { url, connections_max: 8 }).unwrap();
    assert!(matches!(store.schema_check().await, Err(MigrateError::Behind { number: 1, .. })));
    assert_eq!(store.migrate(at(1)).await.unwrap(), vms_store::migrate::MIGRATIONS.len());
    Bench { store, _dir: dir }
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite { $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
            let bench = super::sqlite().await;
            super::$name(&bench.store).await;
        } )+ }
        mod on_postgres { $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
            let bench = super::postgres().await;
            super::$name(&bench.store).await;
        } )+ }
    };
}

on_both!(
    migrations_are_known_and_repeatable,
    orgs_keep_their_id,
    accounts_and_sessions,
    second_factors_are_used_once,
    links_and_certificates_belong_to_one_account,
    cameras_round_trip_and_lock,
    legal_changes_are_settled_once_and_stay,
    holds_are_released_once_and_stay,
    unique_rules_are_named,
    grants_are_in_force_between_their_ends,
    catalogue_copy_is_idempotent,
    events_rise_and_are_forgotten,
    leases_have_one_holder,
    partners_and_playbacks,
    log_details_are_kept_per_organisation,
    writers_at_once_all_count,
);

pub(crate) fn at(seconds: i64) -> WallTime {
    WallTime::from_secs(1_700_000_000 + seconds)
}

pub(crate) fn span(from: i64, to: i64) -> TimeRange {
    TimeRange::new(at(from), at(to)).unwrap()
}

pub(crate) fn org_of(n: u8) -> Org {
    Org {
        id: OrgId::from_bytes([n; 16]),
        code: format!("O{n}"),
        name_nl: format!("Zone {n}"),
        name_fr: format!("Zone {n} «é»"),
        kind: OrgKind::PoliceZone,
    }
}

pub(crate) fn camera_of(n: u8, owner: OrgId) -> Camera {
    let stream = |use_, m: u8| CameraStream {
        id: StreamId::from_bytes([n, m, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        use_,
        url: format!("rtsp://10.0.0.{n}/{m}"),
        sealed_credentials: (m == 1).then(|| vec![0, 255, n]),
        transport: TransportKind::Retina,
        codec: None,
        width: None,
        height: None,
    };
    Camera {
        id: CameraId::from_bytes([n; 16]),
        code: format!("C{n:03}"),
        call_up: Some(u32::from(n)),
        name_nl: "Grote Markt".to_owned(),
        name_fr: "Grand-Place".to_owned(),
        owner,
        partner: None,
        kind: CameraKind::Lez,
        lat: 50.846_7,
        lon: 4.352_5,
        state: CameraState::Draft,
        retention_class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
        pictogram_on: Some("2026-01-02".to_owned()),
        legal_basis: Some(LegalBasis {
            document: "Besluit 7".to_owned(),
            dated: "2026-01-01".to_owned(),
            advice: String::new(),
        }),
        streams: vec![stream(StreamUse::Main, 1), stream(StreamUse::Sub, 2)],
        version: 1,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub(crate) fn account_of(n: u8, org: OrgId) -> Account {
    Account {
        id: UserId::from_bytes([n; 16]),
        org,
        user_name: format!("user{n}"),
        name: format!("Person {n}"),
        password_hash: "$argon2id$x".to_owned(),
        password_state: PasswordState::OneTime,
        profile: Profile::P01,
        language: Language::Fr,
        disabled_at: None,
        charter_at: Some(at(-5)),
        training_at: None,
        cleared_at: Some(at(-4)),
        more_profiles: vec![Profile::P02, Profile::P04],
        last_used_at: at(0),
        created_at: at(0),
        version: 1,
    }
}

async fn permit<A: Action>(profile: Profile) -> Permit<A> {
    permit_for(profile, &Why::default()).await
}

pub(crate) async fn permit_for<A: Action>(profile: Profile, why: &Why) -> Permit<A> {
    let clock = Arc::new(ManualClock::at(at(0)));
    let gate = Gate::new(
        RoleTable::embedded().unwrap(),
        Arc::new(MemoryLog::default()),
        clock,
        Arc::new(FixedIds::default()),
        CapabilitySigner::from_seed(&[1; 32]),
    );
    let actor = Actor {
        user: UserId::from_bytes([9; 16]),
        session: SessionId::from_bytes([9; 16]),
        org: OrgId::from_bytes([1; 16]),
        profile,
        user_name: "test".to_owned(),
        org_code: "O1".to_owned(),
    };
    // An owner makes it the own territory.
    let target = Target { relation: Relation::Own, owner: Some(actor.org), ..Target::none() };
    gate.permit::<A>(&actor, target, why).await.unwrap()
}

async fn migrations_are_known_and_repeatable(store: &Store) {
    store.schema_check().await.unwrap();
    assert_eq!(store.migrate(at(2)).await.unwrap(), 0, "a second run finds nothing to do");
    store.ping().await.unwrap();
}

async fn orgs_keep_their_id(store: &Store) {
    let first = org_of(1);
    assert_eq!(store.org_put(&first).await.unwrap(), first.id);
    let renamed = Org { id: OrgId::from_bytes([7; 16]), name_nl: "Anders".to_owned(), ..first.clone() };
    assert_eq!(store.org_put(&renamed).await.unwrap(), first.id);
    assert_eq!(store.org_list().await.unwrap(), [Org { name_nl: "Anders".to_owned(), ..first }]);
}

pub(crate) fn session_of(n: u8, user: UserId) -> Session {
    Session {
        id: SessionId::from_bytes([n; 16]),
        token_hash: format!("{n:064}"),
        csrf: "csrf".to_owned(),
        user,
        profile: Profile::P01,
        created_at: at(1),
        seen_at: at(1),
        ended_at: None,
        factor_at: (n == 3).then(|| at(1)),
        hard_at: (n == 3).then(|| at(1)),
        certificate: (n == 4).then(|| "ab".repeat(32)),
    }
}

async fn accounts_and_sessions(store: &Store) {
    let org = store.org_put(&org_of(1)).await.unwrap();
    let other = store.org_put(&org_of(2)).await.unwrap();
    let account = account_of(1, org);
    store.account_insert(&account).await.unwrap();
    store.account_insert(&account_of(2, other)).await.unwrap();
    assert_eq!(store.account_count().await.unwrap(), 2);
    assert_eq!(store.account_by_user_name("user1").await.unwrap(), Some(account.clone()));
    assert_eq!(store.account_by_user_name("nobody").await.unwrap(), None);
    let twin = Account { id: UserId::from_bytes([8; 16]), ..account.clone() };
    assert!(matches!(store.account_insert(&twin).await, Err(StoreError::Taken("user_name"))));

    let changed = Account { disabled_at: Some(at(9)), password_state: PasswordState::Own, ..account.clone() };
    store.account_update(&changed).await.unwrap();
    assert!(matches!(store.account_update(&changed).await, Err(StoreError::Stale)));
    store.account_used(account.id, at(50)).await.unwrap();
    let found = store.account_of_session(account.id).await.unwrap().unwrap();
    assert_eq!(found, Account { version: 2, last_used_at: at(50), ..changed });

    let permit = permit(Profile::P18).await;
    let listed = |accounts: Vec<Account>| accounts.into_iter().map(|account| account.user_name).collect::<Vec<_>>();
    assert_eq!(listed(store.account_list(&permit, None, None, 10).await.unwrap()), ["user1", "user2"]);
    assert_eq!(listed(store.account_list(&permit, Some(other), None, 10).await.unwrap()), ["user2"]);
    assert_eq!(listed(store.account_list(&permit, None, Some(account.id), 10).await.unwrap()), ["user2"]);

    let session = |n: u8| session_of(n, account.id);
    for n in 1..=3 {
        store.session_insert(&session(n)).await.unwrap();
    }
    store.session_seen(session(1).id, at(5)).await.unwrap();
    store.session_seen(session(1).id, at(4)).await.unwrap();
    let seen = store.session_by_token(&session(1).token_hash).await.unwrap().unwrap();
    assert_eq!(seen.seen_at, at(5), "an older stamp does not turn it back");
    store.session_end(session(2).id, at(6)).await.unwrap();
    assert_eq!(store.session_end_of_user(account.id, at(7), Some(session(1).id)).await.unwrap(), 1);
    let ends = [(1, None), (2, Some(at(6))), (3, Some(at(7)))];
    for (n, wanted) in ends {
        assert_eq!(store.session_fetch(session(n).id).await.unwrap().unwrap().ended_at, wanted);
    }
    assert_eq!(store.session_prune(at(2)).await.unwrap(), 3);
}

async fn cameras_round_trip_and_lock(store: &Store) {
    let org = store.org_put(&org_of(1)).await.unwrap();
    let (first, second) = (camera_of(1, org), Camera { call_up: None, legal_basis: None, ..camera_of(2, org) });
    let before = store.assignment_version().await.unwrap();
    store.camera_insert(&[second.clone(), first.clone()]).await.unwrap();
    assert_eq!(store.camera_list().await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(store.camera_fetch(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.camera_by_stream(second.streams[1].id).await.unwrap(), Some(second.clone()));
    assert_eq!(store.camera_by_stream(StreamId::from_bytes([77; 16])).await.unwrap(), None);

    let mut changed = Camera { state: CameraState::Live, updated_at: at(5), legal_basis: None, ..first.clone() };
    changed.streams.pop();
    store.camera_update(&changed).await.unwrap();
    assert!(matches!(store.camera_update(&changed).await, Err(StoreError::Stale)));
    assert_eq!(store.camera_fetch(first.id).await.unwrap(), Some(Camera { version: 2, ..changed.clone() }));
    assert_eq!(store.assignment_version().await.unwrap(), before + 2, "a refused change does not count");

    store.stream_seen(changed.streams[0].id, Some("h265"), Some(1920), Some(1080)).await.unwrap();
    let seen = store.camera_fetch(first.id).await.unwrap().unwrap();
    let main = seen.stream(StreamUse::Main).unwrap();
    assert_eq!((main.codec, main.width, main.height), (Some(Codec::H265), Some(1920), Some(1080)));
    assert_eq!(seen.version, 2, "what a stream turned out to be is no change");
}

async fn legal_changes_are_settled_once_and_stay(store: &Store) {
    let owner = store.org_put(&org_of(1)).await.unwrap();
    let camera = camera_of(1, owner);
    store.camera_insert(std::slice::from_ref(&camera)).await.unwrap();
    let who =
        |n: u8, seconds| Signature { user: UserId::from_bytes([n; 16]), name: format!("P{n} é"), at: at(seconds) };
    let after = CameraLaw {
        kind: CameraKind::Overview,
        retention_class: RetentionClass::parse("RC-VID-POL").unwrap(),
        pictogram_on: None,
        legal_basis: None,
    };
    let change = |n: u8, seconds| LegalChange {
        id: DecisionId::from_bytes([n; 16]),
        camera: camera.id,
        before: camera.law(),
        after: after.clone(),
        reason: "nieuw besluit".to_owned(),
        proposed: who(1, seconds),
        state: ChangeState::Waiting,
        settled: None,
        answer: None,
    };
    let first = change(1, 1);
    store.legal_change_insert(&first).await.unwrap();
    assert!(matches!(store.legal_change_insert(&change(2, 2)).await, Err(StoreError::Taken("legal_change"))));
    assert_eq!(store.legal_change_list_waiting().await.unwrap(), std::slice::from_ref(&first));

    let own = LegalChange { state: ChangeState::Approved, settled: Some(who(1, 3)), ..first.clone() };
    assert!(store.legal_change_settle(&own, None).await.is_err(), "the database itself holds to the second person");
    let (settled, answer) = (Some(who(2, 3)), Some("geen advies".to_owned()));
    let refused = LegalChange { state: ChangeState::Refused, settled, answer, ..first };
    store.legal_change_settle(&refused, None).await.unwrap();
    assert!(matches!(store.legal_change_settle(&refused, None).await, Err(StoreError::Stale)));
    assert_eq!(store.legal_change_fetch(refused.id).await.unwrap(), Some(refused.clone()));
    assert_eq!(store.legal_change_list_waiting().await.unwrap(), []);

    let second = change(2, 4);
    store.legal_change_insert(&second).await.unwrap();
    let approved = LegalChange { state: ChangeState::Approved, settled: Some(who(2, 5)), ..second };
    let CameraLaw { kind, retention_class, pictogram_on, legal_basis } = after;
    let changed = Camera { kind, retention_class, pictogram_on, legal_basis, ..camera.clone() };
    let stale = Camera { version: 9, ..changed.clone() };
    let assigned = store.assignment_version().await.unwrap();
    assert!(matches!(store.legal_change_settle(&approved, Some(&stale)).await, Err(StoreError::Stale)));
    assert_eq!(store.legal_change_list_waiting().await.unwrap().len(), 1, "both or none");
    store.legal_change_settle(&approved, Some(&changed)).await.unwrap();
    assert!(store.assignment_version().await.unwrap() > assigned);
    assert_eq!(store.camera_fetch(camera.id).await.unwrap(), Some(Camera { version: 2, ..changed }));
    assert_eq!(store.legal_change_list_of(camera.id).await.unwrap(), [approved, refused]);
}

async fn holds_are_released_once_and_stay(store: &Store) {
    let owner = store.org_put(&org_of(1)).await.unwrap();
    let camera = camera_of(1, owner);
    store.camera_insert(std::slice::from_ref(&camera)).await.unwrap();
    let who =
        |n: u8, seconds| Signature { user: UserId::from_bytes([n; 16]), name: format!("P{n} é"), at: at(seconds) };
    let hold = |n: u8| Hold {
        id: HoldId::from_bytes([n; 16]),
        camera: camera.id,
        range: TimeRange::new(at(0), at(60)).unwrap(),
        purpose: Purpose::Investigation,
        case_ref: Some("BR.11.LA/26".to_owned()),
        reason: "aanrijding met vluchtmisdrijf".to_owned(),
        until: at(900),
        review_by: at(800),
        decision: DecisionId::from_bytes([n; 16]),
        set: who(1, 70),
        state: HoldState::Held,
        release: None,
        released: None,
        reviewed: None,
        applied: None,
    };
    let assigned = store.assignment_version().await.unwrap();
    store.hold_insert(&hold(1)).await.unwrap();
    store.hold_insert(&Hold { case_ref: None, ..hold(2) }).await.unwrap();
    let now = store.assignment_version().await.unwrap();
    assert!(now > assigned, "the recorder hears of it");
    let first = store.hold_fetch(hold(1).id).await.unwrap();
    assert_eq!(first, Some(hold(1)));
    let ids = |holds: Vec<Hold>| holds.iter().map(|hold| hold.id).collect::<Vec<_>>();
    assert_eq!(ids(store.hold_list(true, None, 10).await.unwrap()), [hold(2).id, hold(1).id]);
    assert_eq!(ids(store.hold_list(true, Some(hold(2).id), 10).await.unwrap()), [hold(1).id]);

    let asked =
        Hold { state: HoldState::ReleaseWaits, release: Some(("zaak gesloten".to_owned(), who(1, 90))), ..hold(1) };
    store.hold_update(&asked, HoldState::Held).await.unwrap();
    assert!(matches!(store.hold_update(&asked, HoldState::Held).await, Err(StoreError::Stale)), "once");
    let reviewed =
        Hold { until: at(1_900), review_by: at(1_800), reviewed: Some(("nog nodig".to_owned(), who(2, 95))), ..asked };
    store.hold_update(&reviewed, HoldState::ReleaseWaits).await.unwrap();
    let own = Hold { state: HoldState::Released, released: Some(who(1, 99)), ..reviewed.clone() };
    let refused = store.hold_update(&own, HoldState::ReleaseWaits).await;
    assert!(refused.is_err(), "the database itself holds to the second person");
    let applied = HoldApplied { at: at(75), segments: 3, refused: 1 };
    store.hold_applied(hold(1).id, applied).await.unwrap();
    let now = store.assignment_version().await.unwrap();
    let released = Hold { state: HoldState::Released, released: Some(who(2, 100)), ..reviewed };
    store.hold_update(&released, HoldState::ReleaseWaits).await.unwrap();
    assert!(store.assignment_version().await.unwrap() > now, "and of its release");
    let stored = store.hold_fetch(hold(1).id).await.unwrap();
    assert_eq!(stored, Some(Hold { applied: Some(applied), ..released }));
    assert_eq!(ids(store.hold_list(true, None, 10).await.unwrap()), [hold(2).id]);
    assert_eq!(ids(store.hold_list(false, None, 1).await.unwrap()), [hold(2).id]);
    let known = |since| async move { store.hold_list_for_recorder(at(since)).await.unwrap().len() };
    assert_eq!((known(100).await, known(101).await), (2, 1));
}

async fn unique_rules_are_named(store: &Store) {
    let org = store.org_put(&org_of(1)).await.unwrap();
    store.camera_insert(&[camera_of(1, org)]).await.unwrap();
    let fresh = camera_of(2, org);
    for (camera, wanted) in [
        (Camera { code: "C001".to_owned(), ..fresh.clone() }, "code"),
        (Camera { call_up: Some(1), ..fresh.clone() }, "call_up"),
        (Camera { id: camera_of(1, org).id, ..fresh.clone() }, "id"),
    ] {
        let outcome = store.camera_insert(&[camera_of(3, org), camera]).await;
        assert!(matches!(&outcome, Err(StoreError::Taken(field)) if *field == wanted), "{wanted}: {outcome:?}");
        assert_eq!(store.camera_list().await.unwrap().len(), 1, "all or none");
    }
    let orphan = camera_of(4, OrgId::from_bytes([99; 16]));
    assert!(matches!(store.camera_insert(&[orphan]).await, Err(StoreError::Internal(_))));
}

async fn grants_are_in_force_between_their_ends(store: &Store) {
    let owner = store.org_put(&org_of(1)).await.unwrap();
    let partner = store.org_put(&org_of(2)).await.unwrap();
    let camera = camera_of(1, owner);
    store.camera_insert(std::slice::from_ref(&camera)).await.unwrap();
    let grant = Grant {
        id: GrantId::from_bytes([1; 16]),
        owner,
        terms: GrantTerms {
            camera: camera.id,
            partner,
            profile: Some(Profile::P02),
            right: Right::Live,
            purpose: Some(Purpose::Intervention),
            period: span(10, 20),
        },
        revoked_at: None,
    };
    store.grant_insert(&grant).await.unwrap();
    for (second, wanted) in [(9, 0), (10, 1), (19, 1), (20, 0)] {
        assert_eq!(store.grant_list_to(partner, at(second)).await.unwrap().len(), wanted, "second {second}");
    }
    assert_eq!(store.grant_list_on(camera.id, partner, at(15)).await.unwrap(), std::slice::from_ref(&grant));
    assert!(store.grant_list_on(camera.id, owner, at(15)).await.unwrap().is_empty());
    assert!(store.grant_revoke(grant.id, at(15)).await.unwrap());
    assert!(!store.grant_revoke(grant.id, at(16)).await.unwrap(), "taken back once");
    assert!(store.grant_list_to(partner, at(15)).await.unwrap().is_empty());
}

async fn catalogue_copy_is_idempotent(store: &Store) {
    let stream = StreamId::from_bytes([1; 16]);
    let segment = |n: u8, from: i64, to: i64| SegmentCopy {
        segment: SegmentId::from_bytes([n; 16]),
        stream,
        from: at(from),
        to: at(to),
        payload_bytes: 9_000_000_000,
        units: 1_500,
        is_closed: true,
        erased_at: None,
        retention_class: "RC-VID-OPEN".to_owned(),
        clock_stepped: n == 1,
        camera_clock_off: n == 2,
    };
    let gap = GapCopy { stream, from: at(60), to: None, cause: Cause::Silent };
    let segments = [segment(1, 0, 60), segment(2, 70, 130)];
    assert_eq!(store.catalogue_cursor("r0").await.unwrap(), 0);
    for _ in 0..2 {
        store.catalogue_apply("r0", &segments, std::slice::from_ref(&gap), 12).await.unwrap();
    }
    assert_eq!(store.catalogue_cursor("r0").await.unwrap(), 12);
    let ids = |list: Vec<SegmentCopy>| list.into_iter().map(|row| row.segment.as_bytes()[0]).collect::<Vec<_>>();
    for (from, to, wanted) in [(0, 200, vec![1, 2]), (59, 60, vec![1]), (60, 70, vec![]), (-10, 0, vec![])] {
        assert_eq!(ids(store.segment_list(stream, span(from, to), 10).await.unwrap()), wanted, "{from}-{to}");
    }
    let clocks = |row: &SegmentCopy| (row.clock_stepped, row.camera_clock_off);
    let found = store.segment_list(stream, span(0, 200), 10).await.unwrap();
    assert_eq!(found.iter().map(clocks).collect::<Vec<_>>(), [(true, false), (false, true)]);
    assert_eq!(
        store.gap_list(stream, span(65, 66), 10).await.unwrap(),
        std::slice::from_ref(&gap),
        "an open gap lasts"
    );
    let closed = GapCopy { to: Some(at(70)), ..gap };
    let erased = SegmentCopy { erased_at: Some(at(500)), ..segment(1, 0, 60) };
    store.catalogue_apply("r0", &[erased], std::slice::from_ref(&closed), 14).await.unwrap();
    assert_eq!(
        ids(store.segment_list(stream, span(0, 200), 10).await.unwrap()),
        [2],
        "erased is gone from the timeline"
    );
    assert!(store.gap_list(stream, span(70, 80), 10).await.unwrap().is_empty());
}

async fn events_rise_and_are_forgotten(store: &Store) {
    assert_eq!(store.event_bounds().await.unwrap(), None);
    let scopes = [
        EventScope::Camera(CameraId::from_bytes([1; 16])),
        EventScope::CameraRight(CameraId::from_bytes([1; 16]), Right::ReadsLive),
        EventScope::Org(OrgId::from_bytes([2; 16]), Right::FindingReview),
        EventScope::Session(SessionId::from_bytes([3; 16])),
    ];
    let mut ids = Vec::new();
    for (n, scope) in (0..).zip(scopes) {
        ids.push(store.event_append(at(n), EventKind::CameraHealth, scope, r#"{"phase":"live"}"#).await.unwrap());
    }
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(store.event_bounds().await.unwrap(), Some((ids[0], ids[3])));
    let after: Vec<_> =
        store.event_list_after(ids[1], 10).await.unwrap().into_iter().map(|event| event.scope).collect();
    assert_eq!(after, scopes[2..]);
    assert_eq!(store.event_prune(at(2)).await.unwrap(), 2);
    let next = store.event_append(at(9), EventKind::Read, scopes[0], "{}").await.unwrap();
    assert!(next > ids[3], "ids never come again");
}

async fn leases_have_one_holder(store: &Store) {
    for (name, holder, now, until, wanted) in [
        ("sweep", "a", 0, 10, true),
        ("sweep", "b", 1, 11, false),
        ("other", "b", 1, 11, true),
        ("sweep", "a", 5, 15, true),
        ("sweep", "b", 14, 24, false),
        ("sweep", "b", 15, 25, true),
        ("sweep", "a", 16, 26, false),
    ] {
        let taken = store.lease_take(name, holder, at(now), at(until)).await.unwrap();
        assert_eq!(taken, wanted, "{name} {holder} at {now}");
    }
    store.lease_release("sweep", "a").await.unwrap();
    assert!(!store.lease_take("sweep", "a", at(17), at(27)).await.unwrap(), "only the holder gives it back");
    store.lease_release("sweep", "b").await.unwrap();
    assert!(store.lease_take("sweep", "a", at(17), at(27)).await.unwrap());
}

async fn partners_and_playbacks(store: &Store) {
    let org = store.org_put(&org_of(1)).await.unwrap();
    let partner = Partner {
        org,
        name: "Partner".to_owned(),
        catalogue_url: "https://partner.example/catalogue".to_owned(),
        agreement: LegalBasis { document: "P".to_owned(), dated: "2026-01-01".to_owned(), advice: String::new() },
        enabled: false,
        version: 1,
    };
    store.partner_insert(&partner).await.unwrap();
    assert!(matches!(store.partner_insert(&partner).await, Err(StoreError::Taken("partner"))));
    let on = Partner { enabled: true, ..partner.clone() };
    store.partner_update(&on).await.unwrap();
    assert!(matches!(store.partner_update(&on).await, Err(StoreError::Stale)));
    assert_eq!(store.partner_list().await.unwrap(), [Partner { version: 2, ..on }]);
    let camera = Camera { partner: Some(org), ..camera_of(1, org) };
    store.camera_insert(std::slice::from_ref(&camera)).await.unwrap();
    assert_eq!(store.camera_fetch(camera.id).await.unwrap().unwrap().partner, Some(org));

    let row = |n: u8| PlaybackRow {
        decision: DecisionId::from_bytes([n; 16]),
        log_index: u64::from(n),
        session: SessionId::from_bytes([1; 16]),
        stream: StreamId::from_bytes([1; 16]),
        range: span(0, 60),
        opened_at: at(i64::from(n)),
    };
    store.playback_insert(&row(1)).await.unwrap();
    store.playback_insert(&row(2)).await.unwrap();
    store.playback_close(row(1).decision, at(9), 4_000_000_000).await.unwrap();
    assert_eq!(store.playback_list_open().await.unwrap(), [row(2)]);
}

async fn log_details_are_kept_per_organisation(store: &Store) {
    let detail = |index: u64, org: Option<u8>| LogDetail {
        index,
        at: at(i64::try_from(index).unwrap()),
        org: org.map(|n| OrgId::from_bytes([n; 16])),
        user: None,
        operation: "open".to_owned(),
        decision: Some(DecisionId::from_bytes([5; 16])),
        details: r#"{"right":"live"}"#.to_owned(),
    };
    let all = [detail(0, Some(1)), detail(1, Some(2)), detail(2, None), detail(3, Some(1))];
    for row in all.iter().chain(&all) {
        store.log_detail_put(row).await.unwrap();
    }
    let permit = permit(Profile::P20).await;
    let one = Some(OrgId::from_bytes([1; 16]));
    for (org, range, below, limit, wanted) in [
        (None, span(0, 100), None, 10, vec![3, 2, 1, 0]),
        (one, span(0, 100), None, 10, vec![3, 0]),
        (None, span(0, 100), Some(2), 10, vec![1, 0]),
        (None, span(0, 100), None, 1, vec![3]),
        (None, span(1, 3), None, 10, vec![2, 1]),
    ] {
        let found = store.log_detail_list(&permit, org, range, below, limit).await.unwrap();
        assert_eq!(found.iter().map(|row| row.index).collect::<Vec<_>>(), wanted);
    }
}

/// Thirty writers change the same counter at once: none is lost, none fails (PostgreSQL repeats what collided, in turn).
async fn writers_at_once_all_count(store: &Store) {
    let org = store.org_put(&org_of(1)).await.unwrap();
    let before = store.assignment_version().await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for n in 1..=30_u8 {
        let store = store.clone();
        writers.spawn(async move { store.camera_insert(&[camera_of(n, org)]).await });
    }
    while let Some(outcome) = writers.join_next().await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(store.assignment_version().await.unwrap(), before + 30);
    assert_eq!(store.camera_list().await.unwrap().len(), 30);
}
