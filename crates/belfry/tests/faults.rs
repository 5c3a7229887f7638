//! What goes wrong in a machine room: cameras that fail in every way, a full disk, a database that is away, a power cut. Each
//! test says what the operator reads, and counts what was lost from the frame numbers on disk.
//!
//! One at a time: each runs the whole system, and two of them stop the database server of the process.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests say what they expect and what they measured; CI is known by its environment"
)]

#[path = "support/outage.rs"]
mod outage;
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use link::message::{ReadRow, ReaderCamera};
use link::socket::LinkListener;
use link::{Control, Message, Role};
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message as Ws;
use vms_benches::frames::walk;
use vms_core::ReadId;
use vms_testkit::postgres;
use vms_testkit::rig::{Person, Rig, RigOptions, free_port};

use outage::{SmallDisk, bytes_on_disk, pid_of_role, rewrite_config};
use support::{
    first_camera, health, last_word, live_wish, newest_frames, now_us, open_live, options, text, until_durable,
};

static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const WRONG_PASSWORD: &str = "Verkeerd-4711-geheim";
const RIGHT_PASSWORD: &str = "Camera-0815-geheim";

fn footage(rig: &Rig) -> PathBuf {
    rig.path().join("state/footage/media")
}

/// Frames missing in holes that began after `since_us`, and files that do not parse.
fn missing_since(rig: &Rig, cameras: &[u32], since_us: i64) -> (u64, usize) {
    let found = walk(&footage(rig)).unwrap();
    let holes = cameras.iter().flat_map(|camera| found.cameras[camera].holes());
    (holes.filter(|hole| hole.since_us > since_us).map(|hole| hole.frames).sum(), found.damaged.len())
}

fn seconds_since(us: i64) -> f64 {
    Duration::from_micros(u64::try_from(now_us() - us).unwrap()).as_secs_f64()
}

// --- cameras -------------------------------------------------------------------------------------------------------

/// A listener that does to each connection what a broken camera does.
async fn listen<F>(tasks: &mut JoinSet<()>, act: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.spawn(act(stream));
        }
    });
    port
}

async fn garbage(mut stream: TcpStream) {
    let mut noise = [0_u8; 4096];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    loop {
        for byte in &mut noise {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            *byte = seed.to_be_bytes()[3];
        }
        if stream.write_all(&noise).await.is_err() {
            return;
        }
    }
}

async fn mute(mut stream: TcpStream) {
    let mut sink = [0_u8; 1024];
    while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
}

async fn endless_headers(mut stream: TcpStream) {
    drop(stream.write_all(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n").await);
    let line = format!("X-Long: {}\r\n", "a".repeat(1000));
    while stream.write_all(line.as_bytes()).await.is_ok() {}
}

struct Faulty {
    code: &'static str,
    url: String,
    password: &'static str,
    wanted: (&'static str, Option<&'static str>),
    words: &'static str,
}

/// Import as the technician, approval by the chief of the zone: the way of a real camera.
async fn put_in_service(rig: &Rig, cameras: &[Faulty]) {
    let mut csv = String::from(
        "code,name_nl,name_fr,owner,lat,lon,url_main,url_sub,user,password,kind,retention_class,\
         legal_basis_document,legal_basis_date,legal_basis_advice,pictogram_on\n",
    );
    for Faulty { code, url, password, .. } in cameras {
        csv.push_str(&format!(
            "{code},Proef,Essai,5340,50.8466,4.3517,{url},,sim,{password},overview,RC-VID-OPEN,Besluit 9,2026-01-15,Advies,2026-02-01\n"
        ));
    }
    let (technician, chief) = (rig.log_in("techniek").await.unwrap(), rig.log_in("chef").await.unwrap());
    let body = json!({ "csv": csv, "dry_run": false, "partial": false });
    let report = technician.ask("POST", "/api/v1/cameras/import", Some(body)).await.unwrap();
    let known = technician.ask("GET", "/api/v1/cameras", None).await.unwrap();
    for faulty in cameras {
        let items = known["items"].as_array().unwrap();
        let found = items.iter().find(|camera| camera["code"] == faulty.code);
        let id = text(found.unwrap_or_else(|| panic!("{} was not imported: {report}", faulty.code)), "/id");
        chief.ask("POST", &format!("/api/v1/cameras/{id}/approve"), None).await.unwrap();
    }
}

fn standing(page: &Value, code: &str) -> (String, Option<String>) {
    let items = page["items"].as_array().unwrap();
    let camera = items.iter().find(|camera| camera["code"] == code).unwrap();
    (text(camera, "/phase"), camera["cause"].as_str().map(str::to_owned))
}

/// Phase alone changes while a session tries again; the cause must stand still.
fn as_wanted(seen: &(String, Option<String>), wanted: (&str, Option<&str>)) -> bool {
    let trying = wanted.0 == "waiting" && seen.0 == "connecting";
    (seen.0 == wanted.0 || trying) && seen.1.as_deref() == wanted.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_reads_what_is_wrong_with_a_camera() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let mut tasks = JoinSet::new();
    let mut rig = Rig::start(options(2, 0)).await.unwrap();
    let rtsp = outage::rtsp_port(&rig);
    let (off, hevc_port) = (free_port().unwrap(), free_port().unwrap());
    let mut hevc = outage::simulator(&rig, hevc_port, "hevc.mp4", 9, RIGHT_PASSWORD);
    let noise = listen(&mut tasks, garbage).await;
    let silent = listen(&mut tasks, mute).await;
    let endless = listen(&mut tasks, endless_headers).await;
    rig.stop_belfry().await.unwrap();
    rewrite_config(&rig, &format!("[[{rtsp}, {rtsp}]]"), "[[1024, 65535]]");
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(30), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    first_camera(&rig, &operator).await;

    let waiting = |cause| ("waiting", Some(cause));
    let at = |port: u16| format!("rtsp://127.0.0.1:{port}/cam001/main");
    #[rustfmt::skip]
    let table = [
        Faulty { code: "F-LOGIN", url: at(rtsp), password: WRONG_PASSWORD, wanted: waiting("login_refused"), words: "camera refuses the log-in" },
        Faulty { code: "F-OFF", url: at(off), password: RIGHT_PASSWORD, wanted: waiting("unreachable"), words: "camera can't be reached" },
        Faulty { code: "F-NOISE", url: at(noise), password: RIGHT_PASSWORD, wanted: waiting("malformed"), words: "no video" },
        Faulty { code: "F-MUTE", url: at(silent), password: RIGHT_PASSWORD, wanted: waiting("unreachable"), words: "camera can't be reached" },
        Faulty { code: "F-ENDLESS", url: at(endless), password: RIGHT_PASSWORD, wanted: waiting("malformed"), words: "no video" },
        Faulty { code: "F-HEVC", url: format!("rtsp://127.0.0.1:{hevc_port}/cam009/main"), password: RIGHT_PASSWORD, wanted: ("live", None), words: "" },
    ];
    put_in_service(&rig, &table).await;
    let began = now_us();
    let technician = rig.log_in("techniek").await.unwrap();
    for faulty in &table {
        let look = async || {
            let page = technician.ask("GET", "/api/v1/health/cameras", None).await.unwrap();
            standing(&page, faulty.code)
        };
        let limit = Duration::from_micros(u64::try_from(began + 15_000_000 - now_us()).unwrap_or(0))
            .max(Duration::from_secs(1));
        let waited = rig.until("", limit, async |_: &Rig| as_wanted(&look().await, faulty.wanted)).await;
        assert!(waited.is_ok(), "{}: wanted {:?}, operator sees {:?}", faulty.code, faulty.wanted, look().await);
        eprintln!("{}: {:?} after {:.1} s", faulty.code, faulty.wanted, seconds_since(began));
    }

    // H.265 in the wall: it says so before the first frame, and is recorded like any other.
    let page = operator.ask("GET", "/api/v1/cameras", None).await.unwrap();
    let hevc_camera = page["items"].as_array().unwrap().iter().find(|camera| camera["code"] == "F-HEVC").unwrap();
    let mut socket = open_live(&rig, &operator, &text(hevc_camera, "/streams/0/id")).await;
    let mime = loop {
        if let Ws::Text(word) = socket.next().await.unwrap().unwrap()
            && let Ok(word) = serde_json::from_str::<Value>(&word)
            && word["t"] == "init"
        {
            break text(&word, "/mime");
        }
    };
    assert!(mime.contains("hvc1") || mime.contains("hev1"), "{mime}");
    drop(socket);

    // The neighbours lost nothing all the while, the one answer for machines says why it is bad, and nothing secret was written.
    let told = async |rig: &Rig| health(rig).await.is_some_and(|(status, body)| status == 503 && body["behind"] == 5);
    rig.until("health counts the five", Duration::from_secs(40), told).await.unwrap();
    let detail = text(&health(&rig).await.unwrap().1, "/detail");
    for faulty in &table {
        assert!(detail.contains(faulty.words), "{}: {detail}", faulty.code);
    }
    rig.stop_belfry().await.unwrap();
    hevc.kill().unwrap();
    hevc.wait().unwrap();
    assert_eq!(missing_since(&rig, &[1, 2], began), (0, 0), "the good cameras");
    let found = walk(&footage(&rig)).unwrap();
    assert!(found.cameras[&9].frames.len() > 100, "H.265 is recorded");
    no_secret_in_logs(&rig);
}

fn no_secret_in_logs(rig: &Rig) {
    for log in ["belfry", "setup", "sim"] {
        let content = std::fs::read_to_string(rig.path().join(format!("{log}.log"))).unwrap();
        assert!(log != "belfry" || content.contains("camera session"), "the log of the roles is there");
        for secret in [WRONG_PASSWORD, RIGHT_PASSWORD, rig.password()] {
            assert!(!content.contains(secret), "{log}.log holds a password");
        }
    }
}

// --- disk ----------------------------------------------------------------------------------------------------------

async fn cause_of_first(person: &Person) -> Option<String> {
    let page = person.ask("GET", "/api/v1/health/cameras", None).await.ok()?;
    page.pointer("/items/0/cause")?.as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_left_without_a_restart() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let mut rig = Rig::start(options(2, 0)).await.unwrap();
    rig.stop_belfry().await.unwrap();
    let (folder, old) = (rig.path().join("state/footage"), rig.path().join("state/footage-before"));
    std::fs::rename(&folder, &old).unwrap();
    std::fs::create_dir(&folder).unwrap();
    let Some(disk) = SmallDisk::mount(&folder, 200) else { return };
    assert!(Command::new("cp").arg("-a").arg(old.join(".")).arg(&folder).status().unwrap().success());
    rewrite_config(&rig, "[recorder]\n", "[recorder]\nkeep_free_mib = 16\n");
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(30), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();
    let technician = rig.log_in("techniek").await.unwrap();
    let recorder = pid_of_role(&rig, "recorder").unwrap();
    let mut windows = Vec::new();
    // Twice: first down to what the recorder keeps free for its index, then every byte taken by somebody else. In that case the
    // ballast goes to the index, and what is left of it above the reserve is recorded into before it stands still for good.
    for left_mib in [8, 0] {
        let healthy = async |rig: &Rig| health(rig).await.is_some_and(|(status, _)| status == 200);
        rig.until("health is good", Duration::from_secs(60), healthy).await.unwrap();
        let from = now_us();
        disk.fill(left_mib);
        let bad = async |_: &Rig| cause_of_first(&technician).await.as_deref() == Some("disk");
        rig.until("the operator reads that the disk is full", Duration::from_secs(60), bad).await.unwrap();
        let told = async |rig: &Rig| {
            health(rig)
                .await
                .is_some_and(|(status, body)| status == 503 && text(&body, "/detail").contains("disk is full"))
        };
        rig.until("health says it in words", Duration::from_secs(60), told).await.unwrap();
        let kept = bytes_on_disk(&footage(&rig));
        assert_eq!(kept.len(), 2);
        disk.empty();
        let grows = async |rig: &Rig| {
            let now = bytes_on_disk(&footage(rig));
            kept.iter().all(|(stream, bytes)| now.get(stream).is_some_and(|new| new > bytes))
        };
        let back = rig.until("it records again", Duration::from_secs(30), grows).await.unwrap();
        eprintln!("space back ({left_mib} MiB case): recording again after {:.2} s", back.as_secs_f64());
        assert!(back < Duration::from_secs(12), "{back:?}");
        windows.push((from, now_us()));
    }
    let healthy = async |rig: &Rig| health(rig).await.is_some_and(|(status, _)| status == 200);
    rig.until("health is good again", Duration::from_secs(30), healthy).await.unwrap();
    assert_eq!(pid_of_role(&rig, "recorder"), Some(recorder), "no restart, no crash loop");

    let operator = rig.log_in("operator").await.unwrap();
    let gaps = outage::gaps(&operator).await;
    rig.stop_belfry().await.unwrap();
    let found = walk(&footage(&rig)).unwrap();
    assert_eq!((found.damaged.len(), found.unmarked), (0, 0), "{:?}", found.damaged);
    let log = std::fs::read_to_string(rig.path().join("belfry.log")).unwrap();
    assert!(log.contains("no space: recording stands still") && log.contains("space is back"));
    for (camera, footage) in &found.cameras {
        for hole in footage.holes().iter().filter(|hole| hole.since_us > windows[0].0 - 1_500_000) {
            // A fragment of at most a second was on its way when the disk filled: it was never acknowledged.
            let window = windows.iter().any(|(from, to)| (*from - 1_500_000..*to).contains(&hole.since_us));
            assert!(window, "camera {camera}: a hole outside the full disk: {hole:?}");
            let known = gaps.iter().any(|(from, to, cause)| {
                *from <= hole.since_us + 1_500_000 && *to >= hole.since_us + hole.span_us / 2 && cause == "disk"
            });
            assert!(known, "camera {camera}: {hole:?} is not on the timeline: {gaps:?}");
        }
    }
}

// --- database ------------------------------------------------------------------------------------------------------

/// Reads that a reader would have made. A read leaves only when it is acknowledged, as in the real spool.
#[derive(Debug, Default)]
struct Spool {
    reads: Vec<ReadRow>,
    assigned: Vec<ReaderCamera>,
    given: u64,
}

impl Spool {
    fn make(&mut self, count: u64) {
        let camera = self.assigned.first().cloned().expect("the reader has its assignment");
        for _ in 0..count {
            self.given += 1;
            let mut id = [7_u8; 16];
            id[..8].copy_from_slice(&self.given.to_be_bytes());
            self.reads.push(ReadRow {
                spool: self.given,
                read: ReadId::from_bytes(id).to_string(),
                camera: camera.camera.clone(),
                stream: camera.stream.clone(),
                at_us: now_us(),
                plate: format!("1TST{:03}", self.given),
                countries: vec![("B".to_owned(), 990_000)],
                confidence: 985_000,
                corrected: false,
                direction: "approaching".to_owned(),
                looks: 7,
                corners: [0.0; 8],
                model: "test-1".to_owned(),
                crop_len: 16,
                overview_len: 16,
                clock: None,
            });
        }
    }
}

/// Stands in for the reader at its socket, so that the test knows each read.
async fn reader(listener: LinkListener, spool: Arc<Mutex<Spool>>) {
    loop {
        let Ok(stream) = listener.accept().await else { continue };
        let Ok(mut peer) = listener.greet(stream).await else { continue };
        while let Ok(request) = peer.receiver.recv_control().await {
            let mut answer = Control::Done;
            if let Control::ReaderAssign { cameras } = request {
                spool.lock().unwrap().assigned = cameras;
            } else if let Control::ReadsSince { after, limit, .. } = request {
                let all = spool.lock().unwrap().reads.clone();
                for row in all.into_iter().filter(|row| row.spool > after).take(usize::try_from(limit).unwrap()) {
                    peer.sender.push(&Control::Read(row).into());
                    peer.sender.push(&Message::Bytes(bytes::Bytes::from_static(&[1; 16])));
                    peer.sender.push(&Message::Bytes(bytes::Bytes::from_static(&[2; 16])));
                }
            } else if let Control::ReadsAck { upto, .. } = request {
                spool.lock().unwrap().reads.retain(|row| row.spool > upto);
            } else if request == Control::ReaderHealth {
                answer = Control::ReaderReport { cameras: Vec::new(), spooled: 0, problem: None, clocks: Vec::new() };
            } else {
                panic!("the reader was asked something else");
            }
            if peer.sender.send(answer).await.is_err() {
                break;
            }
        }
    }
}

async fn count(url: &str, sql: &'static str) -> i64 {
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let counted: (i64,) = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
    counted.0
}

/// A rig on PostgreSQL whose reader is `spool`.
async fn rig_on_postgres(url: &str, tasks: &mut JoinSet<()>, spool: &Arc<Mutex<Spool>>) -> Rig {
    let own = RigOptions { database: Some(url.to_owned()), reader: false, ..options(2, 1) };
    let mut rig = Rig::start(own).await.unwrap();
    rig.stop_belfry().await.unwrap();
    // The child that would be the reader ends at once; the test sits at its socket.
    rewrite_config(&rig, "[reader]\nenabled = false", "[reader]\nenabled = true");
    rewrite_config(&rig, "[paths]\n", "[paths]\nmedia_program = '/bin/false'\n");
    let listener = LinkListener::bind(&rig.path().join("run/reader.sock"), Role::Reader, Vec::new()).unwrap();
    tasks.spawn(reader(listener, Arc::clone(spool)));
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(30), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();
    rig
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_recording_goes_on_and_access_is_closed() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (mut tasks, spool) = (JoinSet::new(), Arc::new(Mutex::new(Spool::default())));
    let url = postgres::database().await.unwrap();
    let mut rig = rig_on_postgres(&url, &mut tasks, &spool).await;
    let operator = rig.log_in("operator").await.unwrap();
    let camera = until_durable(&rig, &operator, 8).await;
    let stream = text(&camera, "/streams/0/id");
    rig.until("the reader is told", Duration::from_secs(20), async |_: &Rig| {
        !spool.lock().unwrap().assigned.is_empty()
    })
    .await
    .unwrap();
    spool.lock().unwrap().make(40);
    rig.until("reads are taken", Duration::from_secs(20), async |_: &Rig| spool.lock().unwrap().reads.is_empty())
        .await
        .unwrap();
    let mut socket = open_live(&rig, &operator, &stream).await;
    let serve = pid_of_role(&rig, "serve").unwrap();

    let stopped = now_us();
    postgres::stop().await.unwrap();
    spool.lock().unwrap().make(60);
    for (method, path) in
        [("GET", "/api/v1/cameras"), ("POST", "/api/v1/stream-tickets"), ("GET", "/api/v1/health/cameras")]
    {
        let body = (method == "POST").then(|| live_wish(&stream));
        let answer = operator.send(method, path, body).await.unwrap();
        assert_eq!(answer.status().as_u16(), 503, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(problem["code"], "database_unavailable", "{path}: {problem}");
        assert!(text(&problem, "/title").contains("recording goes on"), "{problem}");
        assert!(text(&problem, "/title").contains("Start the database again"), "{problem}");
    }
    let (status, body) = health(&rig).await.unwrap();
    assert_eq!((status, text(&body, "/status").as_str()), (503, "unavailable"));
    assert!(text(&body, "/detail").contains("central database"), "{body}");

    let why = tokio::time::timeout(Duration::from_secs(25), last_word(&mut socket));
    assert_eq!(why.await.expect("the view outlived its capability"), "unavailable");
    eprintln!("a live view open before ended {:.1} s after the stop", seconds_since(stopped));
    let before = newest_frames(&footage(&rig));
    rig.until("recording goes on", Duration::from_secs(40), async |_: &Rig| {
        newest_frames(&footage(&rig))
            .iter()
            .all(|(camera, frame)| before.get(camera).is_some_and(|old| *frame > old + 50))
    })
    .await
    .unwrap();

    postgres::start_again().await.unwrap();
    let began = now_us();
    let good = async |rig: &Rig| health(rig).await.is_some_and(|(status, _)| status == 200);
    rig.until("health is good again", Duration::from_secs(30), good).await.unwrap();
    rig.until("reads are taken", Duration::from_secs(30), async |_: &Rig| spool.lock().unwrap().reads.is_empty())
        .await
        .unwrap();
    eprintln!("everything back {:.1} s after the start of PostgreSQL", seconds_since(began));
    assert_eq!(pid_of_role(&rig, "serve"), Some(serve), "without a restart");
    operator.ask("GET", "/api/v1/cameras", None).await.expect("the session outlived the outage");
    until_caught_up(&rig, &operator, &camera, began).await;
    assert_eq!(count(&url, "select count(*) from lez_seen where purpose = 'LEZ'").await, 100, "each read, once");
    assert_eq!(count(&url, "select count(distinct id) from lez_seen where purpose = 'LEZ'").await, 100);
    drop(open_live(&rig, &operator, &stream).await);

    rig.stop_belfry().await.unwrap();
    assert_eq!(missing_since(&rig, &[1, 2], stopped - 5_000_000), (0, 0), "no frame was lost");
    let leaves = vms_benches::log::verify(&rig.path().join("state/log")).unwrap();
    assert!(leaves.size > 0, "{leaves:?}");
}

/// The catalogue has the footage of the outage.
async fn until_caught_up(rig: &Rig, person: &Person, camera: &Value, upto_us: i64) {
    let (id, stream) = (text(camera, "/id"), text(camera, "/streams/0/id"));
    let known = async |_: &Rig| {
        let (from, to) = (support::rfc3339(upto_us - 600_000_000), support::rfc3339(now_us()));
        let path = format!("/api/v1/cameras/{id}/timeline?stream={stream}&from={from}&to={to}");
        let Ok(line) = person.ask("GET", &path, None).await else { return false };
        let ends = line["segments"].as_array().unwrap().iter().map(|segment| outage::instant(&segment["to"]));
        ends.max().is_some_and(|end| end >= upto_us)
    };
    rig.until("the catalogue has caught up", Duration::from_secs(30), known).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_cut_cameras_record_with_serve_and_database_off() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let url = postgres::database().await.unwrap();
    let mut rig = Rig::start(RigOptions { database: Some(url), ..options(5, 0) }).await.unwrap();
    rig.until("five cameras are on disk", Duration::from_secs(60), async |rig: &Rig| {
        newest_frames(&footage(rig)).len() == 5
    })
    .await
    .unwrap();
    // Every process at once, without a word; the sockets in the run folder are gone after a boot.
    outage::kill_everything(&mut rig).await;
    std::fs::remove_dir_all(rig.path().join("run")).unwrap();
    postgres::stop().await.unwrap();
    let before = newest_frames(&footage(&rig));

    let all_record = async |rig: &Rig| {
        let now = newest_frames(&footage(rig));
        now.len() == 5 && now.iter().all(|(camera, frame)| before.get(camera).is_some_and(|old| frame > old))
    };
    let recorder = support::role(&rig, "recorder", 0);
    let ingest = support::role(&rig, "ingest", 0);
    let waited =
        rig.until("five cameras record with serve and database off", Duration::from_secs(40), all_record).await;
    support::end([ingest, recorder]);
    eprintln!("five cameras record {:.2} s after the start", waited.unwrap().as_secs_f64());

    // The whole of it while the database is still away: serve waits for it, and needs nobody's hand when it is there.
    let before = newest_frames(&footage(&rig));
    rig.start_belfry().unwrap();
    let all_record = async |rig: &Rig| {
        newest_frames(&footage(rig)).iter().all(|(camera, frame)| before.get(camera).is_some_and(|old| frame > old))
    };
    rig.until("five cameras record under the supervisor", Duration::from_secs(40), all_record).await.unwrap();
    let told = async |rig: &Rig| {
        health(rig)
            .await
            .is_some_and(|(status, body)| status == 503 && text(&body, "/detail").contains("central database"))
    };
    rig.until("whoever asks is told why nothing is served", Duration::from_secs(20), told).await.unwrap();
    postgres::start_again().await.unwrap();
    let good = async |rig: &Rig| health(rig).await.is_some_and(|(status, _)| status == 200);
    rig.until("health is good", Duration::from_secs(40), good).await.unwrap();
    rig.stop_belfry().await.unwrap();
    assert_eq!(walk(&footage(&rig)).unwrap().damaged, Vec::<String>::new());
}
