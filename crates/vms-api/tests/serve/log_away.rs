//! L1: no protected action without a durable leaf. Every route that shows footage, pictures, reads, plates, exports or the log × a log that
//! refuses, one whose disk is full, one that never answers: not a byte of what is protected leaves, and whoever asks hears so in time.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use vms_api::table::{Access, Line, ROUTES};
use vms_app::fakes::LogMode;
use vms_app::gate::standing::{LOG_ANSWER_MAX, LOG_AWAY_MAX};
use vms_app::ports::LiveEvent;
use vms_core::{Profile, Purpose, ReadId, WallTime};

use crate::live::{dial, listen, wish};
use crate::town::{Person, Town, bytes_of, stream_of};
use crate::walk::concrete;

/// What a busy test machine may add to a bound.
const SLACK: Duration = Duration::from_secs(10);
/// Of what is protected: a plate, a picture, footage and packages, a picture of a preview.
const MARKS: &[&[u8]] =
    &[b"AAA111", b"\xff\xd8", &[0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a], b"picture 0"];

/// The routes that show what is protected.
fn shows(line: &Line) -> bool {
    let path = line.path;
    let is_asking = line.method != "DELETE";
    let prefixes = [
        "/api/v1/stream-tickets",
        "/api/v1/live",
        "/api/v1/playback",
        "/api/v1/reads",
        "/api/v1/findings",
        "/api/v1/fines",
        "/api/v1/statistics",
    ];
    let ends = ["/timeline", "/test-picture", "/files/{name}", "/audit", "/audit/plate-searches", "/stills"];
    is_asking && (prefixes.iter().any(|start| path.starts_with(start)) || ends.iter().any(|end| path.ends_with(end)))
}

/// One request that is answered with what is protected while the log takes leaves.
struct Ask {
    line: &'static str,
    person: Person,
    method: Method,
    path: String,
    body: Option<Value>,
}

struct Stage {
    town: Town,
    camera: Value,
    asks: Vec<Ask>,
    supervisor: Person,
}

fn why() -> Value {
    json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": "diefstal met vluchtwagen", "case_ref": "BR-7" })
}

fn text_of(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}")).to_owned()
}

async fn pictures_of(town: &Town, camera: &str, person: &Person, asks: &mut Vec<Ask>) {
    let (_, page) = town.get(person, &format!("/api/v1/reads?camera={camera}")).await;
    let (id, decision) = (ReadId::from_bytes([6; 16]), text_of(&page, "decision_id"));
    let mut ask = |line, path| asks.push(Ask { line, person: person.clone(), method: Method::GET, path, body: None });
    ask("GET /api/v1/reads", format!("/api/v1/reads?camera={camera}"));
    ask("GET /api/v1/reads/{id}/crop.jpg", format!("/api/v1/reads/{id}/crop.jpg?decision={decision}"));
    ask("GET /api/v1/reads/{id}/overview.jpg", format!("/api/v1/reads/{id}/overview.jpg?decision={decision}"));
}

async fn findings(town: &Town, agent: &Person, asks: &mut Vec<Ask>) {
    let (_, page) = town.get(agent, "/api/v1/findings?state=open").await;
    let path = format!("/api/v1/findings/{}", text_of(&page["items"][0], "id"));
    let mut ask = |line, method: Method, path, body| asks.push(Ask { line, person: agent.clone(), method, path, body });
    ask("GET /api/v1/findings", Method::GET, "/api/v1/findings".to_owned(), None);
    ask("GET /api/v1/findings/{id}", Method::GET, path.clone(), None);
    ask("GET /api/v1/findings/{id}/crop.jpg", Method::GET, format!("{path}/crop.jpg"), None);
    ask("GET /api/v1/findings/{id}/overview.jpg", Method::GET, format!("{path}/overview.jpg"), None);
    ask("GET /api/v1/findings/{id}/exit-crop.jpg", Method::GET, format!("{path}/exit-crop.jpg"), None);
    ask("GET /api/v1/findings/{id}/exit-overview.jpg", Method::GET, format!("{path}/exit-overview.jpg"), None);
    let reject = json!({ "verdict": "reject", "reason": "wrong plate", "seen_etag": "1" });
    ask("POST /api/v1/findings/{id}/decide", Method::POST, format!("{path}/decide"), Some(reject));
}

async fn playbacks(town: &Town, camera: &Value, person: &Person, asks: &mut Vec<Ask>) {
    let stream = stream_of(camera, "main").to_string();
    let wish = |rendition: &str| {
        json!({ "stream_id": stream, "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T11:05:00Z",
            "rendition": rendition, "purpose": why() })
    };
    let (_, whole) = town.post(person, "/api/v1/playback-tickets", wish("original")).await;
    let (_, preview) = town.post(person, "/api/v1/playback-tickets", wish("preview")).await;
    let (file, preview) = (text_of(&whole, "url"), text_of(&preview, "playback_id"));
    let preview = format!("/api/v1/playback/{preview}");
    let mut ask =
        |line, method: Method, path, body| asks.push(Ask { line, person: person.clone(), method, path, body });
    ask("POST /api/v1/playback-tickets", Method::POST, "/api/v1/playback-tickets".to_owned(), Some(wish("original")));
    ask("GET /api/v1/playback/{file}", Method::GET, file, None);
    ask("GET /api/v1/playback/{file}/index.m3u8", Method::GET, format!("{preview}/index.m3u8"), None);
    ask("GET /api/v1/playback/{file}/pictures", Method::GET, format!("{preview}/pictures"), None);
    ask("GET /api/v1/playback/{file}/parts/{part}", Method::GET, format!("{preview}/parts/0.m4s"), None);
}

/// A batch of fines: what it holds, its records, its signature, and answers.
async fn fines(town: &Town, asks: &mut Vec<Ask>) {
    use crate::fines_fake::{HOLDER, OFFENCE, RUN};
    town.account("finesjob", "FISC", Profile::P24).await;
    let job = town.person("finesjob").await;
    let run = format!("/api/v1/fines/runs/{RUN}");
    let window = json!({ "from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z", "holder": HOLDER });
    let answers = json!({ "items": [{ "offence": OFFENCE, "answer": "accepted", "code": null }] });
    let mut ask = |line, method, path, body| asks.push(Ask { line, person: job.clone(), method, path, body });
    ask("GET /api/v1/fines/runs", Method::GET, "/api/v1/fines/runs".to_owned(), None);
    ask("POST /api/v1/fines/runs", Method::POST, "/api/v1/fines/runs".to_owned(), Some(window));
    ask("GET /api/v1/fines/runs/{id}/lines", Method::GET, format!("{run}/lines?holder={HOLDER}"), None);
    let sign = json!({ "holder": HOLDER, "manifest": "{}" });
    ask("POST /api/v1/fines/runs/{id}/signature", Method::POST, format!("{run}/signature"), Some(sign));
    ask("POST /api/v1/fines/answers", Method::POST, "/api/v1/fines/answers".to_owned(), Some(answers));
    let passes = json!({ "items": [{ "plate": "1AAA111", "country": "B", "day": "2026-11-22",
        "bought_at": "2026-11-22T06:00:00Z" }] });
    ask("POST /api/v1/fines/passes", Method::POST, "/api/v1/fines/passes".to_owned(), Some(passes));
}

/// Counts and travel times: half the forms as a person asks for them, half as a machine does.
async fn statistics(town: &Town, asks: &mut Vec<Ask>) {
    // The route of the town's plan ends there.
    town.camera("C2").await;
    town.account("counts", "5340", Profile::P11).await;
    town.account("countsjob", "5340", Profile::P24).await;
    let (person, job) = (town.person("counts").await, town.person("countsjob").await);
    let span = "from=2026-11-22T11:00:00Z&to=2026-11-22T13:00:00Z";
    for (line, person, query) in [
        ("GET /api/v1/statistics/places", &person, String::new()),
        ("GET /api/v1/statistics/counts", &job, "?request=live".to_owned()),
        ("GET /api/v1/statistics/datex/sites", &person, String::new()),
        ("GET /api/v1/statistics/datex/measured", &job, String::new()),
        ("GET /api/v1/statistics/sites/{site}/counts", &person, format!("?{span}")),
        ("GET /api/v1/statistics/routes/{route}/travel-times", &job, format!("?{span}")),
    ] {
        let path = line.trim_start_matches("GET ").replace("{site}", "S1").replace("{route}", "R1");
        let path = format!("{path}{query}");
        asks.push(Ask { line, person: person.clone(), method: Method::GET, path, body: None });
    }
}

/// Searches behind the magistrate's gate: one in force, one that waits for a yes and one for a no.
async fn gated_searches(town: &Town, asks: &mut Vec<Ask>) {
    const ALL: &str = "/api/v1/reads/gated-searches";
    town.account("investigator", "5340", Profile::P04).await;
    let (investigator, chief) = (town.person("investigator").await, town.person("chief").await);
    let mut wish =
        json!({ "plate": "1AAA111", "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T13:00:00Z", "purpose": why() });
    wish["purpose"]["magistrate_ref"] = json!("PK-2026-0077");
    let mut orders = Vec::new();
    for _ in 0..3 {
        let (status, order) = town.post(&investigator, ALL, wish.clone()).await;
        assert_eq!(status, StatusCode::CREATED, "{order}");
        orders.push(format!("{ALL}/{}", text_of(&order, "id")));
    }
    assert_eq!(town.post(&chief, &format!("{}/approve", orders[0]), json!({})).await.0, StatusCode::OK);
    let mut ask =
        |line, person: &Person, method, path, body| asks.push(Ask { line, person: person.clone(), method, path, body });
    ask("GET /api/v1/reads/gated-searches", &investigator, Method::GET, ALL.to_owned(), None);
    ask("POST /api/v1/reads/gated-searches", &investigator, Method::POST, ALL.to_owned(), Some(wish));
    ask("GET /api/v1/reads/gated-searches/{id}", &chief, Method::GET, orders[0].clone(), None);
    let open = format!("{}/open", orders[0]);
    ask("POST /api/v1/reads/gated-searches/{id}/open", &investigator, Method::POST, open, Some(json!({})));
    let (yes, no) = (format!("{}/approve", orders[1]), format!("{}/refuse", orders[2]));
    ask("POST /api/v1/reads/gated-searches/{id}/approve", &chief, Method::POST, yes, Some(json!({})));
    let why_not = Some(json!({ "reason": "geen voldoende grond" }));
    ask("POST /api/v1/reads/gated-searches/{id}/refuse", &chief, Method::POST, no, why_not);
}

/// What is decided once: asked for only while the log is away, and when it is back.
fn is_once(ask: &Ask) -> bool {
    ["/decide", "/approve", "/refuse"].iter().any(|end| ask.line.ends_with(end))
}

/// A masked still for the person of a request to the port.
async fn still(town: &Town, asks: &mut Vec<Ask>) {
    town.account("portdpo", "HAVEN", Profile::P20).await;
    let draft = crate::town::draft("H1", &town.org("HAVEN").await.to_string());
    let (_, camera) = town.post(&town.person("technician").await, "/api/v1/cameras", draft).await;
    let person = town.person("portdpo").await;
    let wish = json!({ "file_ref": "DSR-1", "reasons": "val van de fiets, groene jas", "language": "nl",
        "lat": camera["lat"], "lon": camera["lon"], "radius_m": 100, "from": "2026-11-22T11:00:00Z",
        "to": "2026-11-22T11:30:00Z", "received_at": "2026-11-22T11:45:00Z" });
    let (_, made) = town.post(&person, "/api/v1/subject-requests", wish).await;
    let path = format!("/api/v1/subject-requests/{}/stills", text_of(&made, "id"));
    let body = Some(json!({ "camera_id": camera["id"], "at": "2026-11-22T11:10:00Z" }));
    asks.push(Ask { line: "POST /api/v1/subject-requests/{id}/stills", person, method: Method::POST, path, body });
}

/// A town where each of these requests is answered.
async fn stage() -> Stage {
    let town = Town::with_parts(Town::identity(), Some(crate::fines_fake::parts())).await.peopled().await;
    let lez = crate::reads::read_town(&town).await;
    let (export, supervisor, _) = crate::exports::running(&town).await;
    town.desk.finish(text_of(&export, "id").parse().unwrap());
    town.cases.exports_round().await.unwrap();
    let camera = town.get(&supervisor, "/api/v1/cameras?q=C1").await.1["items"][0].clone();
    let id = text_of(&camera, "id");
    let mut asks = Vec::new();
    playbacks(&town, &camera, &supervisor, &mut asks).await;
    pictures_of(&town, &lez, &town.person("operator").await, &mut asks).await;
    findings(&town, &town.person("lezagent").await, &mut asks).await;
    fines(&town, &mut asks).await;
    still(&town, &mut asks).await;
    statistics(&town, &mut asks).await;
    gated_searches(&town, &mut asks).await;
    let span = "from=2026-11-22T11:00:00Z&to=2026-11-22T13:00:00Z";
    let search =
        json!({ "plate": "1AAA111", "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T13:00:00Z", "purpose": why() });
    let picture =
        json!({ "purpose": { "code": "TECHNISCH", "justification": "lens replaced today", "case_ref": "TT-1" } });
    let (_, files) = town.get(&supervisor, &format!("/api/v1/exports/{}/files", text_of(&export, "id"))).await;
    let (technician, overseer) = (town.person("technician").await, town.person("overseer").await);
    let live = wish(stream_of(&camera, "main"), Value::Null);
    for (line, person, method, path, body) in [
        ("POST /api/v1/stream-tickets", &supervisor, Method::POST, "/api/v1/stream-tickets".to_owned(), Some(live)),
        (
            "GET /api/v1/cameras/{id}/timeline",
            &supervisor,
            Method::GET,
            format!("/api/v1/cameras/{id}/timeline?{span}"),
            None,
        ),
        (
            "POST /api/v1/cameras/{id}/test-picture",
            &technician,
            Method::POST,
            format!("/api/v1/cameras/{id}/test-picture"),
            Some(picture),
        ),
        ("GET /api/v1/exports/{id}/files/{name}", &supervisor, Method::GET, text_of(&files[1], "url"), None),
        (
            "POST /api/v1/reads/search",
            &supervisor,
            Method::POST,
            "/api/v1/reads/search".to_owned(),
            Some(search.clone()),
        ),
        (
            "POST /api/v1/audit/plate-searches",
            &overseer,
            Method::POST,
            "/api/v1/audit/plate-searches".to_owned(),
            Some(search.clone()),
        ),
        ("GET /api/v1/audit", &overseer, Method::GET, format!("/api/v1/audit?{span}"), None),
    ] {
        asks.push(Ask { line, person: person.clone(), method, path, body });
    }
    Stage { town, camera, asks, supervisor }
}

/// Pictures of the end of a stretch: the finding of the stage is of the low-emission zone and has none. Without a log that is not even told.
fn has_nothing(ask: &Ask) -> bool {
    ask.line.contains("/exit-")
}

fn holds_mark(body: &[u8]) -> bool {
    MARKS.iter().any(|mark| body.windows(mark.len()).any(|window| window == *mark))
}

/// Status, code, body and time of an answer.
async fn answer(town: &Town, ask: &Ask) -> (StatusCode, Value, Vec<u8>, Duration) {
    let asked = Instant::now();
    let response = town.send(Town::request(&ask.person, ask.method.clone(), &ask.path, ask.body.clone())).await;
    let status = response.status();
    let bytes = bytes_of(response).await.to_vec();
    let code = serde_json::from_slice(&bytes).map_or(Value::Null, |problem: Value| problem["code"].clone());
    (status, code, bytes, asked.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_leaf_not_a_byte_leaves_by_any_route() {
    let Stage { town, camera, asks, supervisor } = stage().await;
    // The table is the list: a new route that shows something must have its request here.
    let named: Vec<&str> = asks.iter().map(|ask| ask.line).chain(["GET /api/v1/live"]).collect();
    for line in ROUTES.iter().filter(|line| shows(line)) {
        let word = format!("{} {}", line.method, line.path);
        assert!(named.contains(&word.as_str()), "no request for {word}");
    }
    assert_eq!(named.len(), ROUTES.iter().filter(|line| shows(line)).count());
    let mut shown = 0;
    for ask in asks.iter().filter(|ask| !is_once(ask)) {
        let (status, code, bytes, _) = answer(&town, ask).await;
        assert!(status.is_success() != has_nothing(ask), "{}: {status} {code}", ask.line);
        shown += usize::from(holds_mark(&bytes));
    }
    assert!(shown >= 10, "the marks should be in what is shown while the log takes leaves: {shown}");

    let address = listen(&town).await;
    let own = format!("http://{address}");
    let live = wish(stream_of(&camera, "main"), Value::Null);
    let ticket = text_of(&town.post(&supervisor, "/api/v1/stream-tickets", live).await.1, "ticket");
    let (calls, mut cells) = (town.media.calls().len(), 0);
    let mut slowest = Duration::ZERO;
    for mode in [LogMode::Down, LogMode::Full, LogMode::Frozen] {
        let leaves = town.log.entries().len();
        town.log.set_mode(mode);
        let limit = if mode == LogMode::Frozen { LOG_ANSWER_MAX + SLACK } else { SLACK };
        for (ask, (status, code, bytes, took)) in
            asks.iter().zip(join_all(asks.iter().map(|ask| answer(&town, ask))).await)
        {
            assert_eq!(
                (status, code.as_str()),
                (StatusCode::SERVICE_UNAVAILABLE, Some("log_unavailable")),
                "{mode:?} {}",
                ask.line
            );
            assert!(!holds_mark(&bytes), "{mode:?} {}: something leaves", ask.line);
            assert!(took <= limit, "{mode:?} {}: {took:?}", ask.line);
            slowest = slowest.max(took);
            cells += 1;
        }
        assert_eq!(dial(address, &supervisor, &ticket, Some(&own)).await.unwrap_err(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(town.log.entries().len(), leaves, "{mode:?}");
        town.log.set_mode(LogMode::Fine);
    }
    assert_eq!(town.media.calls().len(), calls, "the media side was never asked");
    println!(
        "L1: {} cells of {} routes × 3 states of the log: 0 bytes; slowest answer {slowest:?}",
        cells + 3,
        named.len()
    );

    // Back without a hand: the same requests, the same ticket, and the decision that was not taken.
    for ask in &asks {
        let (status, code, ..) = answer(&town, ask).await;
        assert!(status.is_success() != has_nothing(ask), "{}: {status} {code}", ask.line);
    }
    drop(dial(address, &supervisor, &ticket, Some(&own)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_protected_leaves_by_the_other_routes_either() {
    let (town, things) = crate::walk::stage().await;
    crate::reads::read_town(&town).await;
    let mut people = Vec::new();
    for user in ["supervisor", "chief", "lezagent", "overseer", "administrator"] {
        people.push(town.person(user).await);
    }
    town.log.set_mode(LogMode::Down);
    let mut answers = 0;
    let skipped = ["/api/v1/events", "/api/v1/logout"];
    for line in ROUTES.iter().filter(|line| line.access != Access::Public && !skipped.contains(&line.path)) {
        for person in &people {
            let (path, body) = concrete(line, &things);
            let method = Method::from_bytes(line.method.as_bytes()).unwrap();
            let mut request = Town::request(person, method, &path, body);
            request.headers_mut().insert(http::header::IF_MATCH, "\"1\"".parse().unwrap());
            assert!(!holds_mark(&bytes_of(town.send(request).await).await), "{line:?}");
            answers += 1;
        }
    }
    assert!(answers > 500, "{answers}");
}

fn frame(seq: u64) -> LiveEvent {
    LiveEvent::Frame {
        is_key: seq == 0,
        discontinuity: false,
        init: 1,
        seq,
        captured_at: WallTime::from_secs(1_795_000_000),
        bytes: bytes::Bytes::from_static(b"moofmdat"),
    }
}

/// A running view and an open playback while the log is away: how long the view went on.
async fn runs_out(mode: LogMode) -> Duration {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let (operator, supervisor) = (town.person("operator").await, town.person("supervisor").await);
    let address: SocketAddr = listen(&town).await;
    let own = format!("http://{address}");
    let (_, ticket) =
        town.post(&operator, "/api/v1/stream-tickets", wish(stream_of(&camera, "main"), Value::Null)).await;
    let mut socket = dial(address, &operator, &text_of(&ticket, "ticket"), Some(&own)).await.unwrap();
    let actor = town.cases.who(supervisor.cookie.split_once('=').unwrap().1).await.unwrap().actor;
    let now = vms_app::ports::Clock::now(town.clock.as_ref());
    let range =
        vms_core::TimeRange::new(now.minus(Duration::from_secs(600)), now.minus(Duration::from_secs(300))).unwrap();
    let why = vms_app::gate::Why {
        purpose: Some(Purpose::Intervention),
        justification: Some("overval op de Grote Markt".to_owned()),
        ..vms_app::gate::Why::default()
    };
    let form = vms_app::ports::RangeForm::Whole;
    let open = town.cases.playback_open(&actor, stream_of(&camera, "main"), range, form, &why).await.unwrap();

    let feed = town.media.feed().unwrap();
    let sending = tokio::spawn(async move {
        for seq in 0_u64.. {
            if feed.send(frame(seq)).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    town.log.set_mode(mode);
    let began = Instant::now();
    let (mut bytes, mut ended) = (0_u64, None);
    let patience = LOG_AWAY_MAX + Duration::from_secs(20);
    while let Ok(Some(Ok(message))) = tokio::time::timeout(patience, socket.next()).await {
        match message {
            Message::Binary(frame) => {
                assert_eq!(ended, None, "nothing after the end");
                bytes += u64::try_from(frame.len() - 32).unwrap();
            }
            Message::Text(word) if word.contains("\"end\"") => ended = Some((word.to_string(), began.elapsed())),
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
        }
    }
    sending.abort();
    let (word, took) = ended.expect("the view should end");
    assert!(word.contains("unavailable"), "{word}");
    assert!(took >= LOG_AWAY_MAX, "a hiccup of the log ends no view: {took:?}");
    // The bytes of a playback that is open: decided again 5 s after the last decision, and then refused.
    town.clock.pass_s(6);
    let chunk = town.cases.playback_chunk(&actor, open.playback, 0, 1_000).await;
    assert!(chunk.is_err(), "{mode:?}: a body that runs is cut");
    assert!(town.cases.playback_info(&actor, open.playback).await.is_err());

    // Its closing leaf was owed, and is written once the log takes it, with what was delivered.
    let closes = || -> Vec<Value> {
        let entries = town.log.entries();
        entries.iter().filter(|entry| entry.kind.as_str() == "close").map(|entry| entry.details.clone()).collect()
    };
    tokio::time::sleep(LOG_ANSWER_MAX + Duration::from_millis(500)).await;
    assert_eq!(closes(), Vec::<Value>::new());
    town.log.set_mode(LogMode::Fine);
    town.cases.housekeeping().await.unwrap();
    let closes = closes();
    assert_eq!((closes.len(), &closes[0]["bytes"], &closes[0]["ended"]), (1, &json!(bytes), &json!("unavailable")));
    assert!(closes[0]["ended_us"].is_i64(), "{closes:?}");
    town.cases.housekeeping().await.unwrap();
    assert_eq!(town.log.entries().iter().filter(|entry| entry.kind.as_str() == "close").count(), 1, "once");
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_that_run_end_when_the_log_stays_away_and_their_ends_are_not_lost() {
    let (down, full, frozen) =
        tokio::join!(runs_out(LogMode::Down), runs_out(LogMode::Full), runs_out(LogMode::Frozen));
    println!("L1: running views ended after {down:?} (refusing), {full:?} (full), {frozen:?} (frozen)");
    let bound = LOG_AWAY_MAX + 2 * (LOG_ANSWER_MAX + vms_app::live::RECHECK_EVERY);
    assert!([down, full, frozen].iter().all(|took| *took <= bound + SLACK), "{bound:?}");
}
