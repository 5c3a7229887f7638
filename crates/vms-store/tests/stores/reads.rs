//! The store of reads over a real key store: what its keys promise, on both databases.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use bytes::Bytes;
use hkdf::Hkdf;
use keys::{
    CopyPaths, Hour, KeyEpoch, KeyName, KeyRing, KeyStoreConfig, OpenOptions, RealDisk, Reason, Scope, SecondCopy,
    SystemRandom,
};
use sha2::Sha256;
use sqlx::{AssertSqlSafe, Row as _};
use vms_app::erasure_ports::{Erasure, ErasureJournal as _, SweptCounts};
use vms_app::fakes::FixedIds;
use vms_app::gate::action::{DecodeAnpr, ListReads, SearchReads};
use vms_app::gate::{Permit, Why};
use vms_app::lez_ports::{
    Direction, LezStore as _, NewRead, PictureKind, PurposeCopy, ReadFacts, ReadPermit, ReadQuery,
};
use vms_app::plate_ports::{LikeReads, PlateIndex as _};
use vms_app::ports::StoreError;
use vms_core::{
    CameraId, Confidence, OrgId, Plate, PlatePattern, PlateWish, Profile, Purpose, ReadId, RetentionClass, StreamId,
    TimeRange, WallTime,
};
use vms_store::db::Dialect;
use vms_store::{LezVault, Store};

use crate::suite::{permit_for, postgres, sqlite};

pub(crate) const HOUR_S: i64 = 3_600;
/// An instant in an hour of its own: 2026-11-22T12:10:00Z.
pub(crate) const THEN_S: i64 = 1_795_349_400;
/// RC-ANPR-POL, and the end of a read of [`THEN_S`]: from the start of its hour.
pub(crate) const TERM_S: i64 = 30 * 24 * HOUR_S;
const ROOT: [u8; 32] = [5; 32];

on_both!(
    a_search_finds_every_hour_and_nothing_else,
    what_was_erased_stays_erased_whatever_database_comes_back,
    nothing_is_kept_under_a_key_that_is_not_saved,
    keys_that_no_row_names_die,
    keys_of_the_version_before_are_taken_over,
    an_unusual_batch_waits_for_two_people,
    a_damaged_row_holds_up_no_other,
    what_was_erased_is_owed_to_the_log,
);

pub(crate) fn at(secs: i64) -> WallTime {
    WallTime::from_secs(secs)
}

pub(crate) async fn rows(store: &Store, sql: &str) -> Vec<sqlx::any::AnyRow> {
    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(store.read()).await.unwrap()
}

pub(crate) async fn run(store: &Store, sql: &str) {
    let mut txn = store.begin().await.unwrap();
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut store.writing(&mut txn)).await.unwrap();
    txn.commit().await.unwrap();
}

pub(crate) struct Town {
    pub(crate) store: Store,
    pub(crate) vault: LezVault,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) dir: tempfile::TempDir,
}

fn ring_config(dir: &Path) -> KeyStoreConfig {
    let second = CopyPaths { store: dir.join("b/store"), root: dir.join("b/root") };
    KeyStoreConfig { second: SecondCopy::At(second), ..KeyStoreConfig::on_one_disk(&dir.join("a")) }
}

pub(crate) async fn town(store: &Store) -> Town {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { may_create: true, ..OpenOptions::default() };
    let config = ring_config(dir.path());
    let ring = KeyRing::open(Arc::new(RealDisk), Arc::new(SystemRandom::new()), config, options, at(THEN_S)).unwrap();
    let ring = Arc::new(ring);
    let vault = LezVault::new(store.clone(), ROOT, Arc::new(FixedIds::default()), Arc::clone(&ring) as _);
    Town { store: store.clone(), vault, ring, dir }
}

pub(crate) fn copy(number: u8, plate: &str, purpose: Purpose, secs: i64) -> PurposeCopy {
    let class = if purpose == Purpose::Lez { "RC-LEZ-RAW" } else { "RC-ANPR-POL" };
    let read = NewRead {
        read: ReadId::from_bytes([number; 16]),
        camera: CameraId::from_bytes([1; 16]),
        stream: StreamId::from_bytes([2; 16]),
        at: at(secs),
        facts: ReadFacts {
            plate: Plate::parse(plate).unwrap(),
            countries: Vec::new(),
            confidence: Confidence::from_millionths(999_000),
            corrected: false,
            direction: Direction::Leaving,
            looks: 7,
            model: "m1".to_owned(),
            clock: None,
            from: vms_app::lez_ports::ReadFrom::Reader,
        },
        crop: Bytes::from_static(b"a picture of a plate"),
        overview: Bytes::new(),
    };
    PurposeCopy {
        read: Arc::new(read),
        purpose,
        class: RetentionClass::parse(class).unwrap(),
        owner: OrgId::from_bytes([3; 16]),
        received_at: at(secs + 1),
        expires_at: at(secs / HOUR_S * HOUR_S + TERM_S),
        key_ends_at: at(secs / HOUR_S * HOUR_S + TERM_S),
    }
}

pub(crate) fn query(from_s: i64, to_s: i64) -> ReadQuery {
    let range = TimeRange { from: at(from_s), to: at(to_s) };
    ReadQuery { owner: OrgId::from_bytes([3; 16]), camera: None, range, after: None, limit: 100 }
}

pub(crate) async fn decode() -> Permit<DecodeAnpr> {
    permit_for(Profile::P24, &Why { purpose: Some(Purpose::Lez), ..Why::default() }).await
}

pub(crate) async fn search() -> Permit<SearchReads> {
    let why = Why {
        purpose: Some(Purpose::PublicOrder),
        justification: Some("a stolen car in the test".to_owned()),
        case_ref: Some("BR.11.22.3333/2026".to_owned()),
        ..Why::default()
    };
    permit_for(Profile::P04, &why).await
}

impl Town {
    async fn found(&self, plate: &str, days: i64) -> Vec<ReadId> {
        let plate = Plate::parse(plate).unwrap();
        let query = query(THEN_S - days * 24 * HOUR_S, THEN_S + 2 * 24 * HOUR_S);
        let reads = self.vault.read_search(&search().await, &plate, &query).await.unwrap();
        assert!(reads.iter().all(|read| read.facts.plate == plate));
        reads.iter().map(|read| read.read).collect()
    }

    pub(crate) fn live(&self) -> usize {
        self.ring.live_hours().len()
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = format!("select count(*) as n from {table}");
        rows(&self.store, &sql).await.first().unwrap().try_get("n").unwrap()
    }
}

async fn a_search_finds_every_hour_and_nothing_else(store: &Store) {
    let town = town(store).await;
    let police =
        |number: u8, plate: &str, hours: i64| copy(number, plate, Purpose::PublicOrder, THEN_S + hours * HOUR_S);
    let copies = [police(1, "1AAA111", 0), police(2, "1AAA111", 1), police(3, "1AAA112", 1), police(4, "1AAA111", 30)];
    town.vault.read_take(&decode().await, &copies).await.unwrap();
    assert_eq!(town.live(), 3, "a key for each hour");
    let ids = |numbers: &[u8]| numbers.iter().map(|number| ReadId::from_bytes([*number; 16])).collect::<Vec<_>>();
    assert_eq!(town.found("1AAA111", 1).await, ids(&[4, 2, 1]));
    assert_eq!(town.found("1AAA112", 1).await, ids(&[3]));
    assert_eq!(town.found("1AAA113", 1).await, ids(&[]));
    // One plate has another token in each hour: the rows alone do not say that it is one vehicle.
    let rows = rows(store, "select distinct token from lez_read").await;
    assert_eq!(rows.len(), 4);
    let permit = search().await;
    let crop = town.vault.read_picture(ReadPermit::Search(&permit), ids(&[3])[0], PictureKind::Crop).await.unwrap();
    assert_eq!(crop.unwrap(), Bytes::from_static(b"a picture of a plate"));
}

async fn what_was_erased_stays_erased_whatever_database_comes_back(store: &Store) {
    let town = town(store).await;
    let copies = [copy(1, "1AAA111", Purpose::PublicOrder, THEN_S), copy(2, "1BBB222", Purpose::Lez, THEN_S)];
    town.vault.read_take(&decode().await, &copies).await.unwrap();
    assert_eq!((town.live(), town.found("1AAA111", 1).await.len()), (2, 1));
    // The backup of a thief, with every table.
    for table in ["lez_read", "lez_key"] {
        run(store, &format!("create table stolen_{table} as select * from {table}")).await;
    }
    let end = at(THEN_S / HOUR_S * HOUR_S + TERM_S);
    let swept = town.vault.lez_sweep(end.minus(std::time::Duration::from_secs(1))).await.unwrap();
    assert_eq!((swept.erased.reads, swept.erased.keys, town.live()), (0, 0, 2), "not one second early");
    let swept = town.vault.lez_sweep(end).await.unwrap();
    assert_eq!((swept.erased.reads, swept.erased.keys, !swept.erased.destructions.is_empty()), (2, 2, true));
    assert_eq!((town.live(), town.count("lez_read").await, town.count("lez_key").await), (0, 0, 0));
    // The backup comes back: every row is there, and nothing opens.
    for table in ["lez_read", "lez_key"] {
        run(store, &format!("insert into {table} select * from stolen_{table}")).await;
    }
    assert_eq!(town.count("lez_read").await, 2);
    assert_eq!(town.found("1AAA111", 1).await, []);
    let permit: Permit<ListReads> = permit_for(Profile::P02, &Why::default()).await;
    assert_eq!(town.vault.read_list(&permit, &query(0, THEN_S * 2)).await.unwrap(), []);
    let id = ReadId::from_bytes([1; 16]);
    assert_eq!(town.vault.read_picture(ReadPermit::List(&permit), id, PictureKind::Crop).await.unwrap(), None);
    assert_eq!(town.vault.read_waiting(&decode().await, Purpose::Lez, at(THEN_S + 5), 10).await.unwrap(), []);
    // And the next sweep clears it away.
    town.vault.lez_sweep(end).await.unwrap();
    assert_eq!((town.count("lez_read").await, town.count("lez_key").await), (0, 0));
}

/// Puts the sealed value of another row into one: it opens nowhere.
pub(crate) async fn damage(store: &Store, table: &str, column: &str, (one, other): (&str, &str)) {
    run(
        store,
        &format!(
            "update {table} set {column} = (select o.{column} from {table} o where o.id = '{other}') where id = '{one}'"
        ),
    )
    .await;
}

async fn what_was_erased_is_owed_to_the_log(store: &Store) {
    let town = town(store).await;
    let copies = [copy(1, "1AAA111", Purpose::PublicOrder, THEN_S), copy(2, "1BBB222", Purpose::Lez, THEN_S)];
    town.vault.read_take(&decode().await, &copies).await.unwrap();
    assert_eq!(town.vault.erasures_untold().await.unwrap(), []);
    let end = at(THEN_S / HOUR_S * HOUR_S + TERM_S);
    let first = town.vault.lez_sweep(end).await.unwrap().erased;
    assert_eq!((first.reads, first.keys, first.destructions.len()), (2, 2, 1));
    assert_eq!(town.vault.lez_sweep(end).await.unwrap().erased, SweptCounts::default(), "nothing is no erasure");
    // A kill between the destruction of a key and its rows: they go with the next start, and that is owed too.
    let late = end.plus(Duration::from_secs(5));
    let third = copy(3, "1CCC333", Purpose::PublicOrder, end.micros / 1_000_000 + 1);
    town.vault.read_take(&decode().await, &[third]).await.unwrap();
    let all = |_: KeyEpoch| true;
    assert_eq!(town.ring.destroy_epochs(&all, 10, Reason::EndOfTerm, late).unwrap().keys.len(), 1);
    let vault = LezVault::new(store.clone(), ROOT, Arc::new(FixedIds::default()), Arc::clone(&town.ring) as _);
    let later = end.plus(Duration::from_secs(u64::try_from(TERM_S + HOUR_S).unwrap()));
    let second = vault.lez_sweep(later).await.unwrap().erased;
    assert_eq!((second.reads, second.keys, second.destructions.len()), (1, 1, 0));
    let owed = vault.erasures_untold().await.unwrap();
    let what: Vec<_> = owed.iter().map(|one| (one.at, one.what.clone())).collect();
    assert_eq!(what, [(end, Erasure::Swept(first)), (later, Erasure::Swept(second))], "oldest first");
    vault.erasure_told(owed[0].number).await.unwrap();
    assert_eq!(vault.erasures_untold().await.unwrap(), owed[1..]);
    vault.erasure_told(owed[1].number).await.unwrap();
    assert_eq!(vault.erasures_untold().await.unwrap(), []);
}

async fn a_damaged_row_holds_up_no_other(store: &Store) {
    let town = town(store).await;
    let copies: Vec<PurposeCopy> = (1_u8..7)
        .map(|n| {
            let purpose = if n < 4 { Purpose::Lez } else { Purpose::PublicOrder };
            copy(n, &format!("1AAA11{n}"), purpose, THEN_S + i64::from(n))
        })
        .collect();
    town.vault.read_take(&decode().await, &copies).await.unwrap();
    let id = |n: u8| ReadId::from_bytes([n; 16]);
    for (one, other) in [(1, 2), (5, 6)] {
        damage(store, "lez_read", "body", (&id(one).to_string(), &id(other).to_string())).await;
    }
    // What waits for a decision: it is met once, and out of the way of those behind it from then on.
    let waiting = async |now_s: i64| {
        let reads = town.vault.read_waiting(&decode().await, Purpose::Lez, at(now_s), 2).await.unwrap();
        reads.into_iter().map(|waiting| waiting.read.read).collect::<Vec<_>>()
    };
    assert_eq!(waiting(THEN_S + 10).await, [id(2)]);
    assert_eq!(waiting(THEN_S + 10).await, [id(2), id(3)]);
    // Lists, searches by plate and by pattern.
    let listing: Permit<ListReads> = permit_for(Profile::P02, &Why::default()).await;
    let listed = town.vault.read_list(&listing, &query(THEN_S, THEN_S + 60)).await.unwrap();
    assert_eq!(listed.iter().map(|read| read.read).collect::<Vec<_>>(), [id(6), id(4)]);
    // The place of one that is damaged goes to the next: a shorter page would say that nothing follows.
    let two = ReadQuery { limit: 2, ..query(THEN_S, THEN_S + 60) };
    assert_eq!(town.vault.read_list(&listing, &two).await.unwrap(), listed);
    assert_eq!((town.found("1AAA114", 1).await, town.found("1AAA115", 1).await), (vec![id(4)], vec![]));
    let wish = PlateWish::Pattern(PlatePattern::parse("1AAA11*").unwrap());
    let like = town.vault.read_search_like(&search().await, &wish, &query(THEN_S, THEN_S + 60)).await.unwrap();
    assert!(matches!(&like, LikeReads::Found(reads, 2) if reads.len() == 2), "{like:?}");
    assert_eq!(town.vault.read_fetch(ReadPermit::List(&listing), id(5)).await.unwrap(), None);
    // It is told for an hour, and counted when its term ends.
    let swept = async |now_s: i64| town.vault.lez_sweep(at(now_s)).await.unwrap();
    assert_eq!(swept(THEN_S + 11).await.damaged, 2);
    // In the next hour it is tried once more, in case that somebody mended it; nobody meets the other one any more.
    let later = THEN_S + 11 + HOUR_S;
    assert_eq!(swept(later).await.damaged, 2);
    assert_eq!((waiting(later).await, waiting(later).await), (vec![id(2)], vec![id(2), id(3)]));
    let later = later + HOUR_S;
    assert_eq!(swept(later).await.damaged, 1);
    assert_eq!((waiting(later).await, waiting(later).await), (vec![id(2)], vec![id(2), id(3)]));
    assert_eq!(swept(THEN_S / HOUR_S * HOUR_S + TERM_S).await.erased.reads, 6);
    let counts = town.vault.day_counts(Purpose::Lez, traffic_rules::Day::at(at(THEN_S))).await.unwrap();
    let counts: std::collections::BTreeMap<_, _> = counts.into_iter().map(|one| (one.outcome, one.count)).collect();
    assert_eq!(counts, [("damaged".to_owned(), 1), ("expired".to_owned(), 2)].into());
}

async fn an_unusual_batch_waits_for_two_people(store: &Store) {
    let town = town(store).await;
    let copies: Vec<PurposeCopy> =
        (0..40_u8).map(|n| copy(n + 1, "1AAA111", Purpose::PublicOrder, THEN_S + i64::from(n) * HOUR_S)).collect();
    town.vault.read_take(&decode().await, &copies).await.unwrap();
    assert_eq!((town.live(), town.count("lez_read").await), (40, 40));
    // A clock that is ten days ahead, or a server that stood for so long.
    let over = THEN_S / HOUR_S * HOUR_S + TERM_S + 40 * HOUR_S;
    for _ in 0..2 {
        let swept = town.vault.lez_sweep(at(over)).await.unwrap();
        assert!(swept.waits_until_hour.is_some());
        assert_eq!((swept.erased.reads, swept.erased.keys, town.live(), town.count("lez_read").await), (0, 0, 40, 40));
    }
    // A day and a half of it is usual.
    let usual = over - 5 * HOUR_S;
    let swept = town.vault.lez_sweep(at(usual)).await.unwrap();
    assert_eq!(swept.waits_until_hour, None);
    assert!(swept.erased.reads >= 35 && town.live() <= 5, "{swept:?}");
}

async fn nothing_is_kept_under_a_key_that_is_not_saved(store: &Store) {
    let town = town(store).await;
    std::fs::rename(town.dir.path().join("b"), town.dir.path().join("away")).unwrap();
    let copies = [copy(1, "1AAA111", Purpose::PublicOrder, THEN_S)];
    let refused = town.vault.read_take(&decode().await, &copies).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!((town.count("lez_read").await, town.count("lez_seen").await, town.count("lez_key").await), (0, 0, 0));
}

async fn keys_that_no_row_names_die(store: &Store) {
    let town = town(store).await;
    let class = RetentionClass::parse("RC-ANPR-POL").unwrap();
    let name = KeyName { scope: Scope::Reads(Purpose::PublicOrder), class, hour: Hour::of(at(THEN_S)) };
    town.ring.hour(&name, at(THEN_S)).unwrap();
    let camera = KeyName { scope: Scope::Camera(CameraId::from_bytes([1; 16])), ..name.clone() };
    town.ring.hour(&camera, at(THEN_S)).unwrap();
    let kept = KeyName { class: RetentionClass::parse("RC-ANPR-POL-KEPT").unwrap(), ..camera.clone() };
    town.ring.hour(&kept, at(THEN_S)).unwrap();
    let copies = [copy(1, "1AAA111", Purpose::Lez, THEN_S)];
    town.vault.read_take(&decode().await, &copies).await.unwrap();
    assert_eq!(town.live(), 4);
    town.vault.lez_sweep(at(THEN_S + 10)).await.unwrap();
    let left: Vec<KeyName> = town.ring.live_hours().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(left.len(), 2);
    // A camera's footage is not ours, whatever store we were given.
    assert!(left.contains(&camera) && left.iter().any(|name| name.scope == Scope::Reads(Purpose::Lez)));
}

/// As the version before sealed: a random key, wrapped under the root secret, in the database.
fn sealed_of_old(key: &[u8; 32], aad: &str, clear: &[u8]) -> Vec<u8> {
    let nonce = [9_u8; 12];
    let cipher = Aes256Gcm::new_from_slice(key).unwrap();
    let sealed = cipher.encrypt(&Nonce::from(nonce), Payload { msg: clear, aad: aad.as_bytes() }).unwrap();
    [&nonce[..], &sealed].concat()
}

async fn keys_of_the_version_before_are_taken_over(store: &Store) {
    let town = town(store).await;
    let (key, mut wrap) = ([8_u8; 32], [0_u8; 32]);
    Hkdf::<Sha256>::new(None, &ROOT).expand(b"belfry reads wrap v1", &mut wrap).unwrap();
    let hour = THEN_S / HOUR_S;
    let (name, id) = (format!("OPENBARE_ORDE|RC-ANPR-POL|{hour}|"), ReadId::from_bytes([1; 16]).to_string());
    let wrapped = sealed_of_old(&wrap, &format!("{name}||key"), &key);
    let body = br#"{"plate":"1AAA111","countries":[],"confidence":999000,"corrected":false,"direction":"leaving","looks":7,"model":"m1"}"#;
    let body = sealed_of_old(&key, &format!("{name}|{id}|body"), body);
    let crop = sealed_of_old(&key, &format!("{name}|{id}|crop"), b"a picture");
    let hex = |bytes: &[u8]| hex::encode(bytes);
    let blob = |bytes: &[u8]| match store.dialect() {
        Dialect::Sqlite => format!("x'{}'", hex(bytes)),
        Dialect::Postgres => format!("'\\x{}'", hex(bytes)),
    };
    let end = (THEN_S / HOUR_S * HOUR_S + TERM_S) * 1_000_000;
    run(
        store,
        &format!(
            "insert into lez_key (purpose, class, hour, object, wrapped, ends_at_us)
             values ('OPENBARE_ORDE', 'RC-ANPR-POL', {hour}, '', {}, {end})",
            blob(&wrapped)
        ),
    )
    .await;
    let then = THEN_S * 1_000_000;
    run(
        store,
        &format!(
            "insert into lez_read (purpose, id, class, hour, camera_id, owner_id, stream_id, at_us, received_at_us,
                next_try_us, tries, expires_at_us, token, body, crop)
             values ('OPENBARE_ORDE', '{id}', 'RC-ANPR-POL', {hour}, '{}', '{}', '{}', {then}, {then}, {then}, 0, {end},
                'old', {}, {})",
            CameraId::from_bytes([1; 16]),
            OrgId::from_bytes([3; 16]),
            StreamId::from_bytes([2; 16]),
            blob(&body),
            blob(&crop)
        ),
    )
    .await;
    let permit: Permit<ListReads> = permit_for(Profile::P02, &Why::default()).await;
    let wide = query(0, THEN_S * 2);
    assert_eq!(town.vault.read_list(&permit, &wide).await.unwrap().len(), 1, "read as it lies");
    assert!(!LezVault::is_sealed(store).await.unwrap());
    town.vault.lez_sweep(at(THEN_S + 60)).await.unwrap();
    assert!(LezVault::is_sealed(store).await.unwrap());
    assert_eq!(town.live(), 1);
    assert_eq!(town.found("1AAA111", 1).await, [ReadId::from_bytes([1; 16])], "with the token of its hour");
    let id = ReadId::from_bytes([1; 16]);
    let crop = town.vault.read_picture(ReadPermit::List(&permit), id, PictureKind::Crop).await.unwrap();
    assert_eq!(crop.unwrap(), Bytes::from_static(b"a picture"));
    // The old secret opens nothing of it any more.
    let rows = rows(store, "select body, token from lez_read").await;
    let sealed: Vec<u8> = rows[0].try_get("body").unwrap();
    assert_ne!(sealed, body);
    assert_ne!(rows[0].try_get::<String, _>("token").unwrap(), "old");
}
