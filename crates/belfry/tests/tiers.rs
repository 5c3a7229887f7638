//! Footage that leaves the recorder's disk for an S3-compatible store, in the whole system: it plays as before; a store that is away costs
//! nothing but its own footage for a while; kills of the recorder lose nothing and leave nothing behind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests say what they expect and what they measured"
)]

#[expect(dead_code, reason = "the other system tests use the rest")]
#[path = "support/outage.rs"]
mod outage;
#[path = "support/s3.rs"]
mod s3;
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::Row as _;
use vms_benches::process::signal;
use vms_testkit::rig::{Person, Rig};

use outage::{bytes_on_disk, pid_of_role, rewrite_config};
use s3::{Line, Store};
use support::{health, now_us, options, purpose, rfc3339, text, until_durable};

/// What `belfry ARGS` prints, and whether it ended well.
fn belfry(rig: &Rig, args: &[&str]) -> (bool, String) {
    let program = options(1, 0).programs.join("belfry");
    let output = Command::new(program).arg("--config").arg(rig.path().join("belfry.toml")).args(args).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

async fn start(rig: &mut Rig) -> Person {
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(30), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();
    rig.log_in("operator").await.unwrap()
}

/// A system with tiers from its second start on; the first has closed segments when it ends.
async fn with_store(store: &Store, more: &str) -> (Rig, Person, Value) {
    let rig = Rig::start(options(1, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    let camera = until_durable(&rig, &operator, 8).await;
    let tier = format!(
        "[recorder.tier]\nrecorder = 'rig'\n{}[[recorder.tier.rule]]\nstore = 'archive'\nhot_hours = 0\n[recorder]\n",
        store.section(rig.path(), more)
    );
    rewrite_config(&rig, "[recorder]\n", &tier);
    (rig, operator, camera)
}

fn media(rig: &Rig) -> PathBuf {
    rig.path().join("state/footage/media")
}

/// Rows of closed segments that are not erased: id to whether it is away and its bytes.
async fn closed_rows(rig: &Rig) -> BTreeMap<String, (bool, u64, String)> {
    let path = rig.path().join("state/footage/index.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let sql = "select segment, away, file_len, path from segment where closing_at is not null and erased_us is null";
    let rows = sqlx::query(sql).fetch_all(&pool).await.unwrap();
    pool.close().await;
    let read = |row: sqlx::sqlite::SqliteRow| {
        let len = u64::try_from(row.get::<i64, _>("file_len")).unwrap();
        (row.get("segment"), (row.get::<i64, _>("away") != 0, len, row.get("path")))
    };
    rows.into_iter().map(read).collect()
}

/// Waits until every closed segment is in the store and its file gone. How many there are.
async fn until_away(rig: &Rig, at_least: usize) -> usize {
    let gone = async |rig: &Rig| {
        let rows = closed_rows(rig).await;
        rows.len() >= at_least && rows.values().all(|(away, _, path)| *away && !media(rig).join(path).exists())
    };
    let took = rig.until("closed segments left for the store", Duration::from_secs(120), gone).await.unwrap();
    let count = closed_rows(rig).await.len();
    eprintln!("{count} segments are in the store after {:.1} s", took.as_secs_f64());
    count
}

/// A ticket for a span.
async fn ticket(person: &Person, stream: &str, (from_us, to_us): (i64, i64)) -> reqwest::Response {
    let body = json!({
        "stream_id": stream, "from": rfc3339(from_us), "to": rfc3339(to_us), "purpose": purpose(),
    });
    person.send("POST", "/api/v1/playback-tickets", Some(body)).await.unwrap()
}

/// Entity tag and bytes of a span.
async fn play(rig: &Rig, person: &Person, stream: &str, span: (i64, i64)) -> (String, Vec<u8>) {
    let answer = ticket(person, stream, span).await;
    let status = answer.status();
    let said = answer.text().await.unwrap();
    assert!(status.is_success(), "{status} {said}\n{}", rig.log_tail("belfry"));
    let url = text(&serde_json::from_str(&said).unwrap(), "/url");
    let film = person.send("GET", &url, None).await.unwrap();
    assert!(film.status().is_success());
    let etag = film.headers()["etag"].to_str().unwrap().to_owned();
    (etag, film.bytes().await.unwrap().to_vec())
}

async fn until_growing(rig: &Rig, limit: Duration) {
    let before = bytes_on_disk(&media(rig));
    let grows = async |rig: &Rig| {
        let now = bytes_on_disk(&media(rig));
        now.iter().any(|(stream, bytes)| *bytes > before.get(stream).copied().unwrap_or(0) + 500_000)
    };
    rig.until("it records", limit, grows).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footage_leaves_for_a_store_plays_as_before_and_an_outage_costs_nothing_else() {
    let Some(store) = Store::start().await else { return };
    let (mut rig, operator, camera) = with_store(&store, "").await;
    let stream = text(&camera, "/streams/0/id");
    let to = now_us() - 2_000_000;
    let old = (to - 5_000_000, to);
    let before = play(&rig, &operator, &stream, old).await;
    assert!(before.1.len() > 500_000, "{}", before.1.len());

    rig.stop_belfry().await.unwrap();
    let operator = start(&mut rig).await;
    let count = until_away(&rig, 1).await;
    let keys = store.keys().await;
    assert_eq!(keys.len(), count);
    assert!(keys.iter().all(|key| key.starts_with("zone-5340/belfry1/rig/RC-VID-OPEN/cam_")), "{keys:?}");
    let after = play(&rig, &operator, &stream, old).await;
    assert_eq!(after.0, before.0, "the same entity tag");
    assert!(after.1 == before.1, "the same bytes");

    // The store goes. What lies there is unavailable, not gone; what lies here plays; recording goes on, also through a kill.
    store.set(Line::Cut);
    let answer = ticket(&operator, &stream, old).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(text(&problem, "/code"), "footage_away", "{problem}");
    signal(pid_of_role(&rig, "recorder").unwrap(), Signal::KILL);
    until_growing(&rig, Duration::from_secs(30)).await;
    let plays = async |_: &Rig| {
        let to = now_us() - 2_000_000;
        let answer = ticket(&operator, &stream, (to - 2_000_000, to)).await;
        let Ok(ticket) = serde_json::from_str::<Value>(&answer.text().await.unwrap()) else { return false };
        let Some(url) = ticket.pointer("/url").and_then(Value::as_str) else { return false };
        let film = operator.send("GET", url, None).await.unwrap();
        film.status().is_success() && film.bytes().await.is_ok_and(|film| film.len() > 100_000)
    };
    rig.until("what lies here plays", Duration::from_secs(30), plays).await.unwrap();
    assert_eq!(ticket(&operator, &stream, old).await.status(), 503, "unavailable after a restart too");
    assert_eq!(store.keys().await.len(), count, "nothing went up");

    // It is back: everything drains.
    store.set(Line::Whole);
    until_away(&rig, count + 1).await;
    let again = play(&rig, &operator, &stream, old).await;
    assert_eq!(again.0, before.0);
    rig.stop_belfry().await.unwrap();
    let (works, said) = belfry(&rig, &["check", "--deep"]);
    assert!(works, "{said}");
}

/// Destroys every hour key as the sweeper does at the end of a term that no test can wait for. Belfry is stopped.
fn destroy_keys(rig: &Rig) -> u64 {
    let at = |name: &str| rig.path().join("state/footage-keys").join(name);
    let config = recorder::vault::VaultConfig {
        store: keys::KeyStoreConfig {
            first: keys::CopyPaths { store: at("store"), root: at("root") },
            second: keys::SecondCopy::OneDisk,
            protection: keys::Protection::FileMode,
            remember: Duration::from_secs(40 * 86_400),
        },
        root_every: Duration::from_secs(3_600),
        gate: None,
        stops: "nothing",
        backup: None,
    };
    let now = vms_core::WallTime::from_micros(now_us());
    let dir = rig.path().join("state/footage");
    let ring = recorder::vault::open_store(&config, &dir, keys::OpenOptions::default(), now).unwrap();
    let done = ring.destroy_hours(&|_| true, 999, keys::Reason::EndOfTerm, now).unwrap();
    u64::try_from(done.keys.len()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_die_while_the_store_refuses_to_delete_leave_noise_and_then_nothing() {
    let Some(store) = Store::start().await else { return };
    let (mut rig, _, camera) = with_store(&store, "").await;
    let stream = text(&camera, "/streams/0/id");
    let to = now_us() - 2_000_000;
    rig.stop_belfry().await.unwrap();
    start(&mut rig).await;
    until_away(&rig, 1).await;
    rig.stop_belfry().await.unwrap();
    let dead = closed_rows(&rig).await;
    assert!(destroy_keys(&rig) > 0);
    store.set(Line::NoDeletes);
    let operator = start(&mut rig).await;
    let erased = async |rig: &Rig| {
        let rows = closed_rows(rig).await;
        dead.keys().all(|id| !rows.contains_key(id))
    };
    rig.until("what has no key is erased", Duration::from_secs(60), erased).await.unwrap();
    // Besides them lies what the probe could not delete either.
    let of_dead = |keys: &[String]| {
        keys.iter().filter(|key| key.ends_with(".seg") && dead.contains_key(&promised(key).0)).count()
    };
    let refused = of_dead(&store.keys().await);
    assert!(refused > 0, "the store keeps what it was told to delete");
    assert_eq!(ticket(&operator, &stream, (to - 4_000_000, to)).await.status(), 404, "to us it is gone");
    store.set(Line::Whole);
    let gone = async |_: &Rig| of_dead(&store.keys().await) == 0;
    let took = rig.until("what was owed is paid", Duration::from_secs(120), gone).await.unwrap();
    eprintln!("{refused} objects went {:.1} s after the store deletes again", took.as_secs_f64());
    rig.stop_belfry().await.unwrap();
    let (works, said) = belfry(&rig, &["check"]);
    assert!(works, "{said}");
}

/// SHA-256 and length as an object's name says them.
fn promised(key: &str) -> (String, u64, String) {
    let name = key.rsplit('/').next().unwrap().strip_suffix(".seg").unwrap();
    let parts: Vec<&str> = name.split('-').collect();
    (parts[3].to_owned(), parts[4].parse().unwrap(), parts[5].to_owned())
}

/// Ten kills; `BELFRY_TIER_KILLS=200` is the measure of R6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_while_segments_go_up_lose_nothing_and_leave_nothing() {
    let wanted = std::env::var_os("BELFRY_TIER_KILLS").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(10_u64);
    let Some(store) = Store::start().await else { return };
    // So slow that a kill comes in the middle, and in parts.
    let (mut rig, _, _) = with_store(&store, "rate_mb_s = 2\npart_mib = 5\n").await;
    rig.stop_belfry().await.unwrap();
    start(&mut rig).await;
    for kill in 0..wanted {
        let recorder = async |rig: &Rig| pid_of_role(rig, "recorder").is_some();
        rig.until("the recorder runs", Duration::from_secs(20), recorder).await.unwrap();
        until_growing(&rig, Duration::from_secs(30)).await;
        // Somewhere within the next second and a half, another place each time.
        tokio::time::sleep(Duration::from_millis(kill * 157 % 1_500)).await;
        signal(pid_of_role(&rig, "recorder").unwrap(), Signal::KILL);
    }
    rig.until("the recorder runs", Duration::from_secs(20), async |rig: &Rig| pid_of_role(rig, "recorder").is_some())
        .await
        .unwrap();
    until_away(&rig, usize::try_from(wanted).unwrap()).await;
    rig.stop_belfry().await.unwrap();
    // The segments that the end closed go up with the next start; here they lie on the disk.
    let rows = closed_rows(&rig).await;
    // A kill may leave the small object that a start proves the store with; it goes an hour later.
    let (keys, rest): (Vec<_>, Vec<_>) = store.keys().await.into_iter().partition(|key| key.ends_with(".seg"));
    assert!(rest.iter().all(|key| key.contains("/probe/")), "{rest:?}");
    let away: BTreeMap<&String, u64> =
        rows.iter().filter(|(_, (away, ..))| *away).map(|(id, (_, len, _))| (id, *len)).collect();
    assert_eq!(keys.len(), away.len(), "no object without a row, and none twice");
    for key in &keys {
        let (id, len, digest) = promised(key);
        assert_eq!(away.get(&id), Some(&len), "{key}");
        let bytes = store.object(key).await;
        assert_eq!(u64::try_from(bytes.len()).unwrap(), len);
        assert_eq!(sha256(rig.path(), &bytes), digest);
    }
    for (away, len, path) in rows.values() {
        let file = media(&rig).join(path);
        assert_eq!(file.metadata().map_or(0, |found| found.len()), if *away { 0 } else { *len });
    }
    assert_eq!(store.unfinished().await, 0, "no half upload");
    let (works, said) = belfry(&rig, &["check", "--deep"]);
    assert!(works, "{said}");
    eprintln!("{} objects after {wanted} kills, each with its row, its length and its digest", keys.len());
}

/// By another program than ours.
fn sha256(folder: &Path, bytes: &[u8]) -> String {
    let file = folder.join("object");
    std::fs::write(&file, bytes).unwrap();
    let said = Command::new("sha256sum").arg(&file).output().unwrap().stdout;
    String::from_utf8(said).unwrap().split(' ').next().unwrap().to_owned()
}
