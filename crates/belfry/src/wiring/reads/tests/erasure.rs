//! Erasure, shown (issue E): a day after a day of conforming reads nothing of them is left. Not in a table, not in the bytes of the database, of
//! its write-ahead log or of the reads' keys, not in the spool; and what a thief copied meanwhile opens with no key that lives.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Row as _};
use vms_core::Purpose;

use super::*;

/// Conforming vehicles of the day.
const VEHICLES: u32 = 60;
/// A camera of an authority that is no police zone: its reads have one purpose.
const OWN_CAMERA: CameraId = CameraId::from_bytes([4; 16]);

fn plate(n: u32) -> String {
    format!("2QXZ{:03}", 100 + n)
}

/// Bytes that occur nowhere else, as a picture has them.
fn noise(seed: u32, length: usize) -> Bytes {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    bytes.take(length).collect()
}

fn reads() -> Vec<(ReadRow, Bytes, Bytes)> {
    let read = |n: u32| {
        let (at, small) = (noon().plus(Duration::from_secs(u64::from(n) * 20)), u8::try_from(n + 1).unwrap());
        let (row, ..) = row(small, &plate(n), "B", at);
        let row = ReadRow { camera: OWN_CAMERA.to_string(), stream: StreamId::from_bytes([5; 16]).to_string(), ..row };
        (row, noise(n, 900), noise(n + 1_000, 3_000))
    };
    (0..VEHICLES).map(read).collect()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// How many of the needles, all of one length, occur in the files.
fn found(files: &[PathBuf], needles: &BTreeSet<Vec<u8>>) -> usize {
    let length = needles.first().map_or(1, Vec::len);
    // Most places are ruled out by two bytes.
    let pair = |part: &[u8]| usize::from(part[0]) << 8 | usize::from(part[1]);
    let mut begins = vec![false; 1 << 16];
    needles.iter().for_each(|needle| begins[pair(needle)] = true);
    let mut seen = BTreeSet::new();
    for path in files {
        let bytes = std::fs::read(path).unwrap_or_default();
        seen.extend(
            bytes.windows(length).filter(|part| begins[pair(part)] && needles.contains(*part)).map(<[u8]>::to_vec),
        );
    }
    seen.len()
}

/// Every row of every table as text, with what a database packs unpacked.
async fn texts(store: &Store) -> String {
    let is_sqlite = sqlx::query("select sqlite_version()").fetch_one(store.read()).await.is_ok();
    let list = if is_sqlite {
        "select name as n from sqlite_master where type = 'table'"
    } else {
        "select tablename::text as n from pg_tables where schemaname = 'public'"
    };
    let mut out = String::new();
    for table in sqlx::query(list).fetch_all(store.read()).await.unwrap() {
        let table: String = table.try_get("n").unwrap();
        let one = if is_sqlite {
            let columns = format!("select name as n from pragma_table_info('{table}')");
            let columns = sqlx::query(AssertSqlSafe(columns)).fetch_all(store.read()).await.unwrap();
            let columns: Vec<String> = columns.iter().map(|row| row.try_get::<String, _>("n").unwrap()).collect();
            let all: Vec<String> = columns.iter().map(|name| format!("coalesce(quote(\"{name}\"), '')")).collect();
            format!("select {} as n from \"{table}\"", all.join(" || '|' || "))
        } else {
            format!("select t::text as n from \"{table}\" t")
        };
        for row in sqlx::query(AssertSqlSafe(one)).fetch_all(store.read()).await.unwrap() {
            out.push_str(&row.try_get::<String, _>("n").unwrap());
            out.push('\n');
        }
    }
    out
}

/// Where this database's bytes lie: beside the stage, or in the server's own folder.
async fn database_files(stage: &Stage) -> Vec<PathBuf> {
    match sqlx::query("show data_directory").fetch_one(stage.store.read()).await {
        Ok(row) => {
            // What waits in the server's memory goes into its files first.
            sqlx::query("checkpoint").execute(stage.store.read()).await.unwrap();
            let folder: String = row.try_get("data_directory").unwrap();
            ["base", "pg_wal"].iter().flat_map(|part| files(&Path::new(&folder).join(part))).collect()
        }
        Err(_) => {
            files(stage.dir.path()).into_iter().filter(|path| path.to_string_lossy().contains("central.db")).collect()
        }
    }
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
pub(super) async fn conforming_reads_are_nowhere_a_day_later(mut stage: Stage) {
    let mut own = camera(org(&stage.cases, "BM").await);
    own.id = OWN_CAMERA;
    own.code = "LEZ-2".to_owned();
    own.streams[0].id = StreamId::from_bytes([5; 16]);
    stage.cases.stores().camera_insert(&[own]).await.unwrap();
    let fleet = stage.dir.path().join("fleet.jsonl");
    let mut file = std::fs::File::create(&fleet).unwrap();
    for n in 0..VEHICLES {
        let facts = r#""category":"M1","fuels":["petrol"],"euro_norm":"6d","first_registration":"2022-04-11""#;
        writeln!(file, "{{\"plate\":\"{}\",{facts}}}", plate(n)).unwrap();
    }
    let settings = StubSettings { fleet_file: Some(fleet.clone()), only_fleet_file: true, ..StubSettings::default() };
    let listener = stage.registry.take().unwrap();
    stage.tasks.spawn(async move { serve(listener, settings).await.unwrap() });

    let reads = reads();
    let plates: BTreeSet<Vec<u8>> = (0..VEHICLES).map(|n| plate(n).into_bytes()).collect();
    let pictures: BTreeSet<Vec<u8>> =
        reads.iter().flat_map(|(_, crop, overview)| [crop[..16].to_vec(), overview[..16].to_vec()]).collect();
    stage.spooled(reads);
    stage.clock.pass_s(20 * i64::from(VEHICLES) + 5);
    stage.link.round().await.unwrap();
    assert_eq!(stage.spool.lock().unwrap().reads.len(), 0, "the spool was told that it may forget");
    let rows =
        sqlx::query("select body, crop, overview, token from lez_read").fetch_all(stage.store.read()).await.unwrap();
    assert_eq!(rows.len(), usize::try_from(VEHICLES).unwrap(), "one purpose, one copy");
    let sealed: BTreeSet<Vec<u8>> = rows
        .iter()
        .flat_map(|row| ["body", "crop", "overview"].map(|name| row.try_get::<Vec<u8>, _>(name).unwrap()))
        // The middle of what is sealed: its head may be a version and a name that all have.
        .map(|bytes| bytes[bytes.len() / 2..][..16].to_vec())
        .collect();
    let there = database_files(&stage).await;
    let before = found(&there, &sealed);
    assert!(before > sealed.len() / 2, "the scan finds what is there: {before} of {}", sealed.len());
    assert_eq!((found(&there, &plates), found(&there, &pictures)), (0, 0), "nothing in clear, not even while it waits");

    stage.clock.pass_s(6);
    stage.service.decide_round().await.unwrap();
    assert_eq!(stage.counts().await, counted(&[("allowed", u64::from(VEHICLES))]));
    stage.clock.pass_s(24 * 3_600);
    stage.service.sweep().await.unwrap();

    for (what, wanted) in [
        ("select count(*) as n from lez_read", 0),
        ("select count(*) as n from lez_key", 0),
        ("select count(*) as n from lez_finding", 0),
    ] {
        assert_eq!(stage.number(what).await, wanted, "{what}");
    }
    let alive: Vec<_> = stage.ring.live_hours().into_iter().map(|(_, name, _)| name.scope).collect();
    assert!(alive.iter().all(|scope| *scope != keys::Scope::Reads(Purpose::Lez)), "a key of the hour lives: {alive:?}");
    let text = texts(&stage.store).await;
    assert!(text.len() > 1_000, "the rows were read");
    let named = plates.iter().filter(|plate| text.contains(std::str::from_utf8(plate).unwrap())).count();
    assert_eq!(named, 0, "a row names a plate");
    let log = format!("{:?}", stage.log.entries());
    assert!(plates.iter().all(|plate| !log.contains(std::str::from_utf8(plate).unwrap())), "a leaf names a plate");
    let there = database_files(&stage).await;
    let all: Vec<PathBuf> =
        there.iter().cloned().chain(files(stage.dir.path())).filter(|path| *path != fleet).collect();
    assert_eq!(
        (found(&all, &plates), found(&all, &pictures)),
        (0, 0),
        "in the bytes of the database, its log and the keys"
    );
    // What is left in free pages and in the write-ahead log is sealed under keys that are gone.
    let left = found(&there, &sealed);
    println!(
        "erasure: {VEHICLES} conforming reads, {} sealed values: a day later 0 rows, 0 keys, 0 plates and 0 pictures in {} files; {left} sealed \
         values are still in free pages or the write-ahead log, and nothing opens them",
        sealed.len(),
        all.len()
    );
}

pub(super) async fn undecided_reads_end_with_their_class(stage: Stage) {
    stage.spooled([row(1, "1AAA111", "B", noon())]);
    stage.link.round().await.unwrap();
    // RC-LEZ-RAW: 48 hours, counted from the start of the read's hour.
    stage.clock.pass_s(48 * 3_600 - 60);
    stage.service.sweep().await.unwrap();
    assert_eq!(stage.number("select count(*) as n from lez_read where purpose = 'LEZ'").await, 1);
    stage.clock.pass_s(61);
    // Terms do not wait for a log that is away, and their leaf comes when it is back, once.
    stage.log.set_broken(true);
    stage.service.sweep().await.unwrap_err();
    stage.log.set_broken(false);
    assert_eq!(stage.number("select count(*) as n from lez_read where purpose = 'LEZ'").await, 0);
    stage.service.sweep().await.unwrap();
    stage.service.sweep().await.unwrap();
    assert_eq!(stage.number("select count(*) as n from lez_key where class = 'RC-LEZ-RAW'").await, 0);
    assert_eq!(stage.counts().await, counted(&[("expired", 1)]));
    let leaves: Vec<_> = stage.log.entries().into_iter().map(|entry| entry.details).collect();
    let erased: Vec<_> = leaves.iter().filter(|leaf| leaf["operation"] == "reads_erased").collect();
    assert_eq!(
        (erased.len(), &erased[0]["details"]["reads"]),
        (1, &serde_json::json!(1)),
        "erasing is in the log: {erased:?}"
    );
    // RC-ANPR-POL: 30 days.
    stage.clock.pass_s(28 * 86_400);
    stage.service.sweep().await.unwrap();
    assert_eq!(stage.number("select count(*) as n from lez_read").await, 0);
    assert_eq!(stage.number("select count(*) as n from lez_key").await, 0);
    // A spool that was away for longer than the term brings nothing in.
    stage.spooled([row(2, "1BBB222", "B", noon())]);
    stage.link.round().await.unwrap();
    assert_eq!(stage.number("select count(*) as n from lez_read").await, 0);
}
