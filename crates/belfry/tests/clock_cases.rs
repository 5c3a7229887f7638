//! Clocks that jump, of cameras and of the host, under recording cameras (reliability 5, R10): eight cameras by five steps of the host. No segment is
//! negative, no two of a stream overlap, nothing is erased early, and the timeline says where a clock stepped. Needs libfaketime (Debian package
//! `faketime`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "tests say what they expect and what they measured"
)]

#[path = "support/faketime.rs"]
mod faketime;
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use vms_testkit::rig::{Person, Rig};

use support::{ffprobe, now_us, options, purpose, rfc3339, text};

const DAY_S: i64 = 86_400;

/// Cameras and what is wrong with their clocks, from the twelfth second on.
const CAMERAS: [(&str, bool); 8] = [
    ("", false),
    // A year on and back, an hour on and back (a camera that keeps local time), two seconds back.
    ("clock-jump=31536000@12", true),
    ("clock-jump=-31536000@12", true),
    ("clock-jump=3600@12", true),
    ("clock-jump=-3600@12", true),
    ("clock-jump=-2@12", true),
    // The RTP clock begins again at zero, alone and with a step.
    ("rtp-wrap=8", false),
    ("rtp-wrap=8+clock-jump=-3600@12", true),
];

/// A segment as the index has it: `(from, to, erased, flags)`.
type Row = (i64, i64, Option<i64>, i64);

/// All segments of the recorder's index by stream, in the order of recording.
async fn rows(rig: &Rig) -> BTreeMap<String, Vec<Row>> {
    let path = rig.path().join("state/footage/index.db");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}?mode=ro", path.display())).await.unwrap();
    let found: Vec<(String, i64, i64, Option<i64>, i64)> =
        sqlx::query_as("select stream, from_us, to_us, erased_us, flags from segment order by stream, epoch, last_seq")
            .fetch_all(&pool)
            .await
            .unwrap();
    let mut streams: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for (stream, from, to, erased, flags) in found {
        streams.entry(stream).or_default().push((from, to, erased, flags));
    }
    streams
}

/// The cameras by their number, once all record.
async fn cameras(rig: &Rig, person: &Person) -> Vec<Value> {
    let list = async || {
        let page = person.ask("GET", "/api/v1/cameras?limit=50", None).await.ok()?;
        let mut all: Vec<Value> = page.get("items")?.as_array()?.clone();
        all.retain(|camera| text(camera, "/code").starts_with("RIG-"));
        all.sort_by_key(|camera| text(camera, "/code"));
        let live = all.iter().all(|camera| camera.pointer("/health/phase").and_then(Value::as_str) == Some("live"));
        (live && all.len() == CAMERAS.len()).then_some(all)
    };
    rig.until("all cameras are live", Duration::from_secs(60), async |_: &Rig| list().await.is_some()).await.unwrap();
    list().await.unwrap()
}

/// What the timeline says of clocks over the next year and the last.
async fn marks(person: &Person, camera: &Value, around: i64) -> Vec<String> {
    let (id, stream) = (text(camera, "/id"), text(camera, "/streams/0/id"));
    let (from, to) = (rfc3339(around - 1_200_000_000), rfc3339(around + 1_200_000_000));
    let path = format!("/api/v1/cameras/{id}/timeline?stream={stream}&from={from}&to={to}");
    let line = person.ask("GET", &path, None).await.unwrap();
    let marks = line.get("clocks").and_then(Value::as_array).cloned().unwrap_or_default();
    marks.iter().map(|mark| text(mark, "/what")).collect()
}

/// How many pictures the last eight seconds before `now` play; a strict reader finds nothing wrong with the film.
async fn pictures(rig: &Rig, person: &Person, stream: &str, now: i64) -> i64 {
    let to = now - 2_000_000;
    let body = json!({ "stream_id": stream, "from": rfc3339(to - 8_000_000), "to": rfc3339(to), "purpose": purpose() });
    let ticket = person.ask("POST", "/api/v1/playback-tickets", Some(body)).await.unwrap();
    let film = person.bytes(&text(&ticket, "/url"), None).await.unwrap();
    text(&ffprobe(rig, &film), "/streams/0/nb_read_packets").parse().unwrap()
}

/// One step of the host's clock under the eight cameras.
async fn case(library: &std::path::Path, step_s: i64) {
    let mut wanted = options(u32::try_from(CAMERAS.len()).unwrap(), 0);
    wanted.film = wanted.repository.join("target/films/sub-360p.mp4");
    wanted.sub = None;
    let faults = CAMERAS.iter().enumerate().filter(|(_, (fault, _))| !fault.is_empty());
    let faults = faults.map(|(n, (fault, _))| format!("{}:{fault}", n + 1)).collect::<Vec<_>>();
    let mut rig = Rig::start(wanted).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    rig.stop_belfry().await.unwrap();
    rig.stop_sim().unwrap();
    // Where ingest may read too, behind its Landlock.
    let offset = rig.path().join("run/offset");
    faketime::set(&offset, 0);
    rig.start_sim_with(&faults).unwrap();
    rig.start_belfry_with(&faketime::variables(library, &offset)).unwrap();
    let seen = cameras(&rig, &operator).await;
    // 12 s until the cameras jump, and a report each 5 s.
    tokio::time::sleep(Duration::from_secs(20)).await;
    faketime::set(&offset, step_s);
    tokio::time::sleep(Duration::from_secs(12)).await;
    // A session does not outlive an hour that passed, or seems to have.
    let operator = rig.log_in("operator").await.unwrap();
    let told = if step_s == 0 { Vec::new() } else { marks(&operator, &seen[0], now_us() + step_s * 1_000_000).await };
    let off = marks(&operator, &seen[1], now_us() + step_s * 1_000_000).await;
    // What was recorded last plays, also where its time stands twice.
    let pictures = pictures(&rig, &operator, &text(&seen[0], "/streams/0/id"), now_us() + step_s * 1_000_000).await;
    eprintln!("step {step_s} s: the last eight seconds of the clock play {pictures} pictures");
    assert!(pictures >= 150, "{pictures} pictures");
    rig.stop_belfry().await.unwrap();
    let streams = rows(&rig).await;
    assert_eq!(streams.len(), CAMERAS.len(), "each camera recorded");
    for ((stream, found), n) in streams.iter().zip(1..) {
        eprintln!("step {step_s} s, stream {n}: {} segments", found.len());
        let length: i64 = found.iter().map(|(from, to, ..)| to - from).sum();
        assert!(length > 20_000_000, "{stream} has {length} µs at a step of {step_s} s");
        assert!(found.iter().all(|(from, to, ..)| from < to), "negative: {found:?}");
        assert!(found.iter().all(|(_, _, erased, _)| erased.is_none()), "erased early: {found:?}");
        // In the order of recording. Only where the host's clock went back, and says so, may a time stand twice.
        let follows = |pair: &[Row]| pair[0].1 <= pair[1].0 || (step_s < 0 && pair[1].3 & 4 != 0);
        assert!(found.windows(2).all(follows), "overlap at {step_s} s: {found:?}");
        let stepped = found.iter().any(|(.., flags)| flags & 4 != 0);
        assert_eq!(stepped, step_s != 0, "the step is in the index: {found:?}");
    }
    assert_eq!(told.iter().any(|what| what == "host_stepped"), step_s != 0, "{told:?}");
    assert!(off.iter().any(|what| what == "camera_off"), "{off:?}");
    for (found, (fault, is_off)) in streams.values().zip(CAMERAS) {
        let differs = found.iter().filter(|(.., flags)| flags & 8 != 0).count();
        // A host that stepped disagrees with every camera until it steps back. A host that is busy for half a second disagrees with a good
        // camera for one picture, so for one segment or two, and not for good.
        let is_told = if step_s != 0 || is_off { differs > 0 } else { differs * 2 < found.len() };
        assert!(is_told, "`{fault}`: {differs} of {} segments differ at a step of {step_s} s", found.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_clock_makes_footage_overlap_or_die() {
    let Some(library) = faketime::library() else {
        eprintln!("this test did not run: libfaketime is missing (Debian package `faketime`)");
        return;
    };
    let steps = [3_600, 0, -3_600, 31 * DAY_S, -20];
    // Sixteen of the forty in every run; all of them when asked for.
    let played = if std::env::var_os("BELFRY_CLOCKS").is_some() { steps.len() } else { 2 };
    for step_s in steps.into_iter().take(played) {
        case(&library, step_s).await;
    }
}
