//! How long searches take over the index of a whole region. The small one runs always; the figures of the large one are in docs/KEYS.md.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keys::{KeyRing, KeyStoreConfig, OpenOptions, RealDisk, SystemRandom};
use vms_app::fakes::FixedIds;
use vms_app::lez_ports::ReadQuery;
use vms_core::{OrgId, Plate, PlatePattern, PlateWish, TimeRange, WallTime};

use super::*;
use crate::{Store, StoreSettings};

/// 2026-11-22T00:00:00Z.
const DAY_S: i64 = 1_795_305_600;
const OWNER: OrgId = OrgId::from_bytes([3; 16]);
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

/// Rows of reads without a body, spread over the hours of the index: what an exact search walks through.
async fn with_reads(index: &Index, reads: i64) {
    let sql = format!(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < {reads})
         insert into lez_read (purpose, id, class, hour, camera_id, owner_id, stream_id, at_us, received_at_us, next_try_us, tries,
             expires_at_us, token, body)
         select 'OPENBARE_ORDE', 'rea_' || lower(hex(randomblob(16))), 'RC-ANPR-POL', 0, 'cam_' || (i % 401), '{OWNER}', 'str',
             ({DAY_S} - (i % ({} * 86400))) * 1000000, 0, 0, 0, 9000000000000000, lower(hex(randomblob(32))), randomblob(230) from n",
        index.days
    );
    let mut txn = index.vault.store.begin().await.unwrap();
    let mut writing = index.vault.store.writing(&mut txn);
    let patient = writing.patient();
    sqlx::Executor::execute(patient, sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
    txn.commit().await.unwrap();
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
                index.vault.list(&query, Some(tokens)).await.unwrap();
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

/// 360,000 vehicles on each of 30 days (`domain.md` 0: 1.65 M reads a day): 10.8 M plates of days in 720 blocks. The rows of an exact search are a
/// 25th of 49.5 M: what it does grows with the depth of one tree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: minutes, and gigabytes of disk"]
async fn searches_over_a_month_of_the_region() {
    let index = on_sqlite(360_000, 30).await;
    with_reads(&index, 1_980_000).await;
    measure(&index, "SQLite, 10.8 M plates of days, 1.98 M reads", 20).await;
    drop(index);
    let url = vms_testkit::postgres::database().await.unwrap();
    let index = self::index(url, tempfile::tempdir().unwrap(), 360_000, 30).await;
    measure(&index, "PostgreSQL, 10.8 M plates of days", 20).await;
}
