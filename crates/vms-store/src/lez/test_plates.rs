//! How long searches take over the index of a whole region. The small one runs always; the figures of the large one are in docs/KEYS.md.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use keys::{KeyRing, KeyStoreConfig, OpenOptions, RealDisk, SystemRandom};
use vms_app::fakes::FixedIds;
use vms_app::lez_ports::{Direction, NewRead, PurposeCopy, ReadFacts, ReadQuery};
use vms_core::{
    CameraId, Confidence, Country, OrgId, Plate, PlatePattern, PlateWish, ReadId, RetentionClass, StreamId, TimeRange,
    WallTime,
};

use super::*;
use crate::{Store, StoreSettings};

/// 2026-11-22T00:00:00Z.
const DAY_S: i64 = 1_795_305_600;
const OWNER: OrgId = OrgId::from_bytes([3; 16]);
/// Rows of reads made in one transaction.
const READS_AT_ONCE: i64 = 2_000_000;
/// Belgian standard plates.
const PLATES: u64 = 7 * 26 * 26 * 26 * 1_000;

struct Index {
    vault: LezVault,
    days: i64,
    _dir: tempfile::TempDir,
}

fn at(secs: i64) -> WallTime {
    WallTime::from_secs(secs)
}

/// A Belgian plate; numbers are spread over all of them, so that each pattern finds its share.
fn plate_of(number: u64) -> String {
    let number = number.wrapping_mul(7_919_333) % PLATES;
    let letter = |n: u64| char::from(b'A' + u8::try_from(n % 26).unwrap_or(0));
    let (digits, rest) = (number % 1_000, number / 1_000);
    format!("{}{}{}{}{digits:03}", 1 + rest / 17_576, letter(rest / 676), letter(rest / 26), letter(rest))
}

async fn block_of(vault: &LezVault, key_id: &KeyId, plates: &BTreeSet<String>, end: WallTime) -> Stored<()> {
    write_txn!(vault.store, |conn| {
        let (key, _) = vault.key_or_make(&mut *conn, key_id, end, at(key_id.hour * 3_600)).await?;
        let (id, body) = vault.sealed_block(&key, key_id, plates)?;
        put(conn, &OWNER.to_string(), key_id, (&id, &body), plates.len(), 1, (end, end)).await
    })
}

/// `vehicles` distinct plates on each of `days` days, as packing and merging leave them; a third of them are others each day.
async fn index(url: String, dir: tempfile::TempDir, vehicles: u64, days: i64) -> Index {
    let store = Store::open(&StoreSettings { url, connections_max: 4 }).unwrap();
    store.migrate(at(DAY_S)).await.unwrap();
    let options = OpenOptions { may_create: true, ..OpenOptions::default() };
    let config = KeyStoreConfig::on_one_disk(&dir.path().join("keys"));
    let ring = KeyRing::open(Arc::new(RealDisk), Arc::new(SystemRandom::new()), config, options, at(DAY_S)).unwrap();
    let vault = LezVault::new(store, [5; 32], Arc::new(FixedIds::default()), Arc::new(ring));
    for day in 0..days {
        let first = u64::try_from(day).unwrap() * vehicles / 3;
        for hour in 0..24_u64 {
            let plates: BTreeSet<String> =
                (first..first + vehicles).filter(|number| number % 24 == hour).map(plate_of).collect();
            let count = (DAY_S - day * 86_400) / 3_600 + i64::try_from(hour).unwrap();
            let key_id = KeyId::hour(POLICE, "RC-ANPR-POL", count);
            let end = at(count * 3_600 + 30 * 86_400);
            block_of(&vault, &key_id, &plates, end).await.unwrap();
        }
    }
    Index { vault, days, _dir: dir }
}

/// Rows of reads that nothing opens, spread over the hours of the index: what an exact search finds its way through. Indices are made after
/// the rows, as a database that grew has them; those that no search uses are not made.
async fn with_reads(index: &Index, reads: i64) {
    let columns = "purpose, id, class, hour, camera_id, owner_id, stream_id, at_us, received_at_us, next_try_us, tries, expires_at_us, \
         token, body";
    let drops = ["wait", "list", "token", "camera", "end", "hour"];
    let mut steps: Vec<String> = drops.iter().map(|name| format!("drop index lez_read_{name}")).collect();
    // In parts: a transaction of everything would be as much journal.
    let parts = reads.div_euclid(READS_AT_ONCE) + 1;
    for part in 0..parts {
        let (from, to) = (part * READS_AT_ONCE, ((part + 1) * READS_AT_ONCE).min(reads));
        if from == to {
            continue;
        }
        steps.push(format!(
            "with recursive n(i) as (select {from} union all select i + 1 from n where i + 1 < {to})
             insert into lez_read ({columns})
             select 'OPENBARE_ORDE', 'rea_' || printf('%032x', i), 'RC-ANPR-POL', 0, 'cam_' || (i % 401), '{OWNER}', 'str',
                 ({DAY_S} - (i % ({} * 86400))) * 1000000, 0, 0, 0, 9000000000000000, lower(hex(randomblob(32))), randomblob(64) from n",
            index.days
        ));
    }
    steps.push("create index lez_read_list on lez_read (purpose, owner_id, at_us)".to_owned());
    steps.push("create index lez_read_token on lez_read (purpose, token, at_us)".to_owned());
    for step in steps {
        let mut txn = index.vault.store.begin().await.unwrap();
        let mut writing = index.vault.store.writing(&mut txn);
        sqlx::Executor::execute(writing.patient(), sqlx::raw_sql(sqlx::AssertSqlSafe(step))).await.unwrap();
        txn.commit().await.unwrap();
    }
}

/// A police copy of the vehicle with this number, in one of the hours of the index.
fn copy_of(index: &Index, number: u64) -> PurposeCopy {
    let hours = u64::try_from(index.days).unwrap() * 24;
    let hour = DAY_S / 3_600 + 23 - i64::try_from(number % hours).unwrap();
    let at = at(hour * 3_600 + 600);
    let mut id = [0xEE; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let facts = ReadFacts {
        plate: Plate::parse(&plate_of(number)).unwrap(),
        countries: vec![(Country::BELGIUM, Confidence::from_millionths(990_000))],
        confidence: Confidence::from_millionths(990_000),
        corrected: false,
        direction: Direction::Approaching,
        looks: 3,
        model: "m".to_owned(),
        clock: None,
        from: vms_app::lez_ports::ReadFrom::Reader,
    };
    let (camera, stream) = (CameraId::from_bytes([2; 16]), StreamId::from_bytes([2; 16]));
    let (crop, overview) = (Bytes::new(), Bytes::new());
    let read = NewRead { read: ReadId::from_bytes(id), camera, stream, at, facts, crop, overview };
    let end = at.plus(Duration::from_secs(30 * 86_400));
    PurposeCopy {
        read: Arc::new(read),
        purpose: POLICE,
        class: RetentionClass::parse("RC-ANPR-POL").unwrap(),
        owner: OWNER,
        received_at: at,
        expires_at: end,
        key_ends_at: end,
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn tick() -> Instant {
    Instant::now()
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

async fn measure(index: &Index, what: &str, rounds: u64) {
    let planted: Vec<PurposeCopy> = (0..rounds).map(|round| copy_of(index, round * 1_009)).collect();
    index.vault.take(&planted).await.unwrap();
    let range = TimeRange::new(at(DAY_S - index.days * 86_400), at(DAY_S + 86_400)).unwrap();
    let query = ReadQuery { owner: OWNER, camera: None, range, after: None, limit: 500 };
    for kind in ["exact", "wildcard", "one edit"] {
        let (mut times, mut matched) = (Vec::new(), 0_usize);
        for round in 0..rounds {
            let plate = Plate::parse(&plate_of(round * 1_009)).unwrap();
            let text = plate.reveal();
            let wish = match kind {
                "wildcard" => {
                    // The third and the sixth of seven are not known.
                    let holed = text.char_indices().map(|(at, one)| if matches!(at, 2 | 5) { '?' } else { one });
                    PlateWish::Pattern(PlatePattern::parse(&holed.collect::<String>()).unwrap())
                }
                _ => PlateWish::similar(plate.clone()).unwrap(),
            };
            let begun = tick();
            if kind == "exact" {
                let tokens = index.vault.search_tokens(POLICE, range, text).await.unwrap();
                let reads = index.vault.list(&query, Some(tokens)).await.unwrap();
                assert!(reads.iter().any(|read| read.facts.plate == plate), "the read that was put in is found");
            } else {
                let seen = index.vault.plates_like(&wish, &query).await.unwrap().expect("not too many");
                matched += seen.values().map(BTreeSet::len).sum::<usize>();
                index.vault.reads_of(&seen, &query).await.unwrap();
            }
            times.push(begun.elapsed());
        }
        let (p50, p95) = (percentile(&mut times, 50), percentile(&mut times, 95));
        println!("{what}, {kind}: p50 {p50:?}, p95 {p95:?} of {rounds}; {matched} plates of days found");
        assert!(kind == "exact" || matched >= usize::try_from(rounds).unwrap(), "each plate that was put in is found");
    }
}

async fn on_sqlite(vehicles: u64, days: i64) -> Index {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("central.db").display());
    index(url, dir, vehicles, days).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_over_some_days() {
    let index = on_sqlite(2_400, 3).await;
    with_reads(&index, 1_000).await;
    measure(&index, "SQLite, 2,400 vehicles, 3 days", 5).await;
}

/// What a search finds does not grow with what it does not find: it goes by its tokens, a list by owner and time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_goes_by_its_tokens() {
    let index = on_sqlite(24, 1).await;
    for (tokens, wanted) in [(0, "lez_read_list"), (1, "lez_read_token"), (1_024, "lez_read_token")] {
        let sql = format!("explain query plan {}", super::super::reads::list_sql(tokens));
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&index.vault.store.read).await.unwrap();
        let plan: String = rows.iter().map(|row| row.text("detail").unwrap()).collect();
        assert!(plan.contains(wanted), "{tokens} tokens: {plan}");
    }
    let sql = format!("explain query plan {FRESH_SQL}");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&index.vault.store.read).await.unwrap();
    let plan: String = rows.iter().map(|row| row.text("detail").unwrap() + "; ").collect();
    assert!(
        plan.contains("r USING INDEX sqlite_autoindex_lez_read_1 (purpose=? AND id=?)"),
        "each finds its own: {plan}"
    );
}

/// 360,000 vehicles on each of 30 days (`domain.md` 0: 1.65 M reads a day, 49.5 M in 30 days). The index of plates then holds 10.8 M plates of days in
/// 720 sealed rows, whatever the number of reads; an exact search goes through the rows of reads, of which there are as many as police copies:
/// all 49.5 M where every camera is a police zone's. `BELFRY_SEARCH_READS` makes it fewer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: a quarter of an hour, and 30 GB of disk (docs/operations.md)"]
async fn searches_over_a_month_of_the_region() {
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let reads = std::env::var("BELFRY_SEARCH_READS").map_or(49_500_000, |text| text.parse().unwrap());
    let index = on_sqlite(360_000, 30).await;
    println!("SQLite: 10.8 M plates of days stand in the index");
    with_reads(&index, reads).await;
    measure(&index, &format!("SQLite, 10.8 M plates of days, {reads} reads"), 100).await;
    drop(index);
    let url = vms_testkit::postgres::database().await.unwrap();
    let index = self::index(url, tempfile::tempdir().unwrap(), 360_000, 30).await;
    measure(&index, "PostgreSQL, 10.8 M plates of days, only the reads that are found", 100).await;
}
