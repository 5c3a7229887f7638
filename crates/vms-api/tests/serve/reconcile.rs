//! L2: what was handed out and what stands in the log are the same, one for one, both ways. Random requests of many people at once against
//! the whole router; the client counts the bytes that reach it, and knows nothing of the server but the answers.
//!
//! `BELFRY_REQUESTS=100000` plays so many; `BELFRY_SEED` plays a series again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use vms_app::gate::LogEntry;
use vms_app::ports::LiveEvent;
use vms_core::{Profile, ReadId, WallTime};

use crate::live::{dial, listen, wish};
use crate::town::{Person, Town, answer, bytes_of, stream_of};

/// Requests of an ordinary run.
const REQUESTS: u64 = 3_000;
/// After so many the clock goes on: fetches and unused tickets run out.
const PHASE: u64 = 5_000;

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// What a client saw. Keys are the session and the right as the log names it.
#[derive(Debug, Default)]
struct Tally {
    requests: u64,
    bytes: u64,
    /// Uses whose answer names their decision: bytes that came under it.
    opened: BTreeMap<String, u64>,
    /// Uses that are over with their answer, or that the answer does not name: bytes of each.
    unnamed: BTreeMap<(String, &'static str), Vec<u64>>,
    /// Lists and searches.
    used: BTreeMap<(String, &'static str), u64>,
    /// Decisions that lists and searches named.
    named: Vec<String>,
    refused: BTreeMap<String, u64>,
    strangers: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.strangers += other.strangers;
        self.opened.extend(other.opened);
        self.named.extend(other.named);
        for (key, bytes) in other.unnamed {
            self.unnamed.entry(key).or_default().extend(bytes);
        }
        for (key, count) in other.used {
            *self.used.entry(key).or_default() += count;
        }
        for (key, count) in other.refused {
            *self.refused.entry(key).or_default() += count;
        }
    }
}

struct Stage {
    town: Town,
    address: SocketAddr,
    camera: Value,
    lez: String,
    finding: String,
    package: String,
    /// The newest feed of the fake media side is the one that was just asked for.
    feeding: tokio::sync::Mutex<()>,
}

/// One person at work.
struct Worker {
    stage: Arc<Stage>,
    person: Person,
    session: String,
    dice: Dice,
    tally: Tally,
    playbacks: Vec<String>,
    pictures: Vec<String>,
    /// Bytes of the package fetched since it was opened.
    fetched: Option<(&'static str, u64)>,
}

fn purpose() -> Value {
    json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": "diefstal met vluchtwagen", "case_ref": "BR-7" })
}

impl Worker {
    fn refusal(&mut self, status: StatusCode, told: &Value) {
        match (status, told["code"].as_str()) {
            (StatusCode::FORBIDDEN, Some("csrf_failed")) | (StatusCode::UNAUTHORIZED, _) => self.tally.strangers += 1,
            (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, _) => {
                *self.tally.refused.entry(self.session.clone()).or_default() += 1;
            }
            odd => panic!("{odd:?} {told}"),
        }
    }

    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.tally.requests += 1;
        answer(self.stage.town.send(Town::request(&self.person, method, path, body)).await).await
    }

    /// A list or a search: one leaf under which everything in the answer stands.
    async fn used(&mut self, right: &'static str, method: Method, path: &str, body: Option<Value>) -> Option<Value> {
        let (status, told) = self.ask(method, path, body).await;
        if status != StatusCode::OK {
            self.refusal(status, &told);
            return None;
        }
        *self.tally.used.entry((self.session.clone(), right)).or_default() += 1;
        if let Some(decision) = told["decision_id"].as_str() {
            self.tally.named.push(decision.to_owned());
        }
        Some(told)
    }

    async fn bytes(&mut self, path: &str, range: Option<String>) -> (StatusCode, u64, Value) {
        self.tally.requests += 1;
        let mut request = Town::request(&self.person, Method::GET, path, None);
        if let Some(range) = range {
            request.headers_mut().insert(header::RANGE, range.parse().unwrap());
        }
        let response = self.stage.town.send(request).await;
        let status = response.status();
        let bytes = bytes_of(response).await;
        if status.is_success() {
            let count = u64::try_from(bytes.len()).unwrap();
            self.tally.bytes += count;
            return (status, count, Value::Null);
        }
        (status, 0, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn span(&mut self) -> String {
        let from = self.dice.below(2_900_000);
        format!("bytes={from}-{}", from + self.dice.below(40_000))
    }

    async fn live(&mut self) {
        let asked_why = if self.dice.below(3) == 0 { purpose() } else { Value::Null };
        let body = wish(stream_of(&self.stage.camera, "main"), asked_why);
        let (status, told) = self.ask(Method::POST, "/api/v1/stream-tickets", Some(body)).await;
        if status == StatusCode::TOO_MANY_REQUESTS {
            return;
        }
        if status != StatusCode::OK {
            return self.refusal(status, &told);
        }
        let decision = told["decision_id"].as_str().unwrap().to_owned();
        let delivered = if self.dice.below(4) == 0 { self.watch(told["ticket"].as_str().unwrap()).await } else { 0 };
        self.tally.bytes += delivered;
        self.tally.opened.insert(decision, delivered);
    }

    /// Watches a few frames; gives the bytes of them that came.
    async fn watch(&mut self, ticket: &str) -> u64 {
        self.tally.requests += 1;
        let stage = Arc::clone(&self.stage);
        let own = format!("http://{}", stage.address);
        let (mut socket, feed) = {
            let _mine = stage.feeding.lock().await;
            let socket = dial(stage.address, &self.person, ticket, Some(&own)).await.unwrap();
            (socket, stage.town.media.feed().unwrap())
        };
        let (mut bytes, frames) = (0, self.dice.below(6));
        for seq in 0..frames {
            let length = usize::try_from(self.dice.below(3_000)).unwrap();
            let frame = LiveEvent::Frame {
                is_key: seq == 0,
                discontinuity: false,
                init: 1,
                seq,
                captured_at: WallTime::from_secs(1_795_000_000),
                bytes: vec![7; length].into(),
            };
            feed.send(frame).await.unwrap();
            loop {
                let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.unwrap();
                if let Message::Binary(frame) = message.unwrap().unwrap() {
                    bytes += u64::try_from(frame.len() - 32).unwrap();
                    break;
                }
            }
        }
        socket.close(None).await.unwrap();
        while let Ok(Some(Ok(_))) = tokio::time::timeout(Duration::from_secs(20), socket.next()).await {}
        bytes
    }

    async fn playback(&mut self) {
        let is_preview = self.dice.below(4) == 0;
        let mut body = json!({ "stream_id": stream_of(&self.stage.camera, "main").to_string(),
            "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T11:05:00Z" });
        if is_preview {
            body["rendition"] = json!("preview");
        }
        if self.dice.below(5) != 0 {
            body["purpose"] = purpose();
        }
        let (status, told) = self.ask(Method::POST, "/api/v1/playback-tickets", Some(body)).await;
        if status != StatusCode::OK {
            return self.refusal(status, &told);
        }
        let id = told["playback_id"].as_str().unwrap().to_owned();
        self.tally.opened.insert(id.clone(), 0);
        for _ in 0..self.dice.below(3) {
            let part = self.dice.below(2);
            let path = format!("/api/v1/playback/{id}");
            let (path, range) = if is_preview {
                (format!("{path}/parts/{part}.m4s"), None)
            } else {
                (format!("{path}.mp4"), Some(self.span()))
            };
            let (status, count, told) = self.bytes(&path, range).await;
            assert!(status.is_success(), "{status} {told}");
            *self.tally.opened.get_mut(&id).unwrap() += count;
        }
        match self.dice.below(3) {
            0 => {
                let (status, _) = self.ask(Method::DELETE, &format!("/api/v1/playback/{id}"), None).await;
                assert_eq!(status, StatusCode::NO_CONTENT);
            }
            // One that stays open: closed when its session opens too many, or when nobody reads from it.
            _ => self.playbacks.push(id),
        }
    }

    /// Reads on in an older playback; it may be closed by now.
    async fn read_on(&mut self) {
        let count = u64::try_from(self.playbacks.len()).unwrap();
        if count == 0 {
            return;
        }
        let id = self.playbacks[usize::try_from(self.dice.below(count)).unwrap()].clone();
        let span = self.span();
        let (status, count, told) = self.bytes(&format!("/api/v1/playback/{id}.mp4"), Some(span)).await;
        match status {
            // A preview comes whole: its init segment is no picture.
            StatusCode::OK => *self.tally.opened.get_mut(&id).unwrap() += count - 4,
            StatusCode::PARTIAL_CONTENT => *self.tally.opened.get_mut(&id).unwrap() += count,
            StatusCode::NOT_FOUND => self.tally.strangers += 1,
            odd => panic!("{odd} {told}"),
        }
        if status == StatusCode::OK {
            self.tally.bytes -= 4;
        }
    }

    async fn reads(&mut self) {
        let path = format!("/api/v1/reads?camera={}", self.stage.lez);
        let told = if self.dice.below(2) == 0 {
            self.used("reads.live", Method::GET, &path, None).await
        } else {
            let mut body =
                json!({ "plate": "1-AAA-111", "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T13:00:00Z" });
            if self.dice.below(4) != 0 {
                body["purpose"] = purpose();
            }
            self.used("reads.search", Method::POST, "/api/v1/reads/search", Some(body)).await
        };
        let Some(told) = told else { return };
        self.pictures.push(told["decision_id"].as_str().unwrap().to_owned());
        for _ in 0..self.dice.below(4) {
            self.picture(None).await;
        }
    }

    /// A picture under the newest decision of this session, or under somebody else's.
    async fn picture(&mut self, foreign: Option<&str>) {
        let Some(decision) = foreign.map(str::to_owned).or_else(|| self.pictures.last().cloned()) else { return };
        let kind = if self.dice.below(2) == 0 { "crop" } else { "overview" };
        let path = format!("/api/v1/reads/{}/{kind}.jpg?decision={decision}", ReadId::from_bytes([6; 16]));
        let (status, _, told) = self.bytes(&path, None).await;
        if !status.is_success() {
            self.refusal(status, &told);
        }
    }

    async fn findings(&mut self) {
        let one = format!("/api/v1/findings/{}", self.stage.finding);
        match self.dice.below(3) {
            0 => drop(self.used("finding.review", Method::GET, "/api/v1/findings", None).await),
            1 => drop(self.used("finding.review", Method::GET, &one, None).await),
            _ => {
                let (status, _, told) = self.bytes(&format!("{one}/crop.jpg"), None).await;
                if status.is_success() {
                    *self.tally.used.entry((self.session.clone(), "finding.review")).or_default() += 1;
                } else {
                    self.refusal(status, &told);
                }
            }
        }
    }

    async fn export(&mut self, right: &'static str) {
        let package = self.stage.package.clone();
        let span = self.span();
        let (status, count, told) = self.bytes(&package, Some(span)).await;
        match status {
            StatusCode::PARTIAL_CONTENT => self.fetched.get_or_insert((right, 0)).1 += count,
            // The span lies behind the package's end: it was opened all the same.
            StatusCode::RANGE_NOT_SATISFIABLE => self.fetched.get_or_insert((right, 0)).1 += count,
            _ => self.refusal(status, &told),
        }
    }

    /// The clock went on: what was fetched is closed.
    fn phase_over(&mut self) {
        if let Some((right, bytes)) = self.fetched.take() {
            self.tally.unnamed.entry((self.session.clone(), right)).or_default().push(bytes);
        }
    }

    async fn test_picture(&mut self) {
        let path = format!("/api/v1/cameras/{}/test-picture", self.stage.camera["id"].as_str().unwrap());
        let body =
            json!({ "purpose": { "code": "TECHNISCH", "justification": "lens replaced today", "case_ref": "TT-1" } });
        self.tally.requests += 1;
        let request = Town::request(&self.person, Method::POST, &path, Some(body));
        let response = self.stage.town.send(request).await;
        let (status, bytes) = (response.status(), bytes_of(response).await);
        if status.is_success() {
            let count = u64::try_from(bytes.len()).unwrap();
            self.tally.bytes += count;
            self.tally.unnamed.entry((self.session.clone(), "camera.test_picture")).or_default().push(count);
        } else {
            self.refusal(status, &serde_json::from_slice(&bytes).unwrap());
        }
    }

    async fn nobody(&mut self) {
        let path = format!("/api/v1/reads?camera={}", self.stage.lez);
        self.tally.requests += 1;
        let person = match self.dice.below(2) {
            0 => Person { cookie: "belfry_session=nobody".to_owned(), ..self.person.clone() },
            _ => Person { csrf: "wrong".to_owned(), ..self.person.clone() },
        };
        let request = if person.csrf == "wrong" {
            Town::request(&person, Method::POST, "/api/v1/reads/search", Some(json!({})))
        } else {
            Town::request(&person, Method::GET, &path, None)
        };
        let (status, told) = answer(self.stage.town.send(request).await).await;
        self.refusal(status, &told);
    }

    async fn work(mut self, requests: u64, export_right: &'static str, foreign: Arc<Vec<String>>) -> Self {
        let until = self.tally.requests + requests;
        while self.tally.requests < until {
            match self.dice.below(20) {
                0..3 => self.live().await,
                3..6 => self.playback().await,
                6..8 => self.read_on().await,
                8..12 => self.reads().await,
                12 => {
                    let at = usize::try_from(self.dice.below(u64::try_from(foreign.len()).unwrap())).unwrap();
                    self.picture(Some(&foreign[at])).await;
                }
                13..15 => self.findings().await,
                15..17 => self.export(export_right).await,
                17 => self.test_picture().await,
                18 => {
                    let path = "/api/v1/audit?from=2026-11-22T11:00:00Z&to=2026-11-22T13:00:00Z&limit=1";
                    drop(self.used("audit.view", Method::GET, path, None).await);
                }
                _ => self.nobody().await,
            }
        }
        self
    }
}

async fn stage() -> Stage {
    let town = Town::settled().await;
    let lez = crate::reads::read_town(&town).await;
    let (export, supervisor, _) = crate::exports::running(&town).await;
    let id = export["id"].as_str().unwrap().to_owned();
    town.desk.finish(id.parse().unwrap());
    town.cases.exports_round().await.unwrap();
    let (_, files) = town.get(&supervisor, &format!("/api/v1/exports/{id}/files")).await;
    let package = files[1]["url"].as_str().unwrap().to_owned();
    let camera = town.get(&supervisor, "/api/v1/cameras?q=C1").await.1["items"][0].clone();
    let agent = town.person("lezagent").await;
    let finding =
        town.get(&agent, "/api/v1/findings?state=open").await.1["items"][0]["id"].as_str().unwrap().to_owned();
    let address = listen(&town).await;
    Stage { town, address, camera, lez, finding, package, feeding: tokio::sync::Mutex::default() }
}

async fn workers(stage: &Arc<Stage>, seed: u64) -> Vec<(Worker, &'static str)> {
    let town = &stage.town;
    town.account("colleague", "5340", Profile::P02).await;
    let mut workers = Vec::new();
    for (n, (user, right)) in [
        ("supervisor", "export"),
        ("chief", "export.approve"),
        ("colleague", "export"),
        ("operator", "export"),
        ("stranger", "export"),
        ("technician", "export"),
        ("lezagent", "export"),
        ("overseer", "export"),
    ]
    .into_iter()
    .enumerate()
    {
        let person = town.person(user).await;
        let token = person.cookie.split_once('=').unwrap().1;
        let session = town.cases.who(token).await.unwrap().actor.session.to_string();
        let dice = Dice(seed.wrapping_mul(1_000).wrapping_add(u64::try_from(n).unwrap()));
        let worker = Worker {
            stage: Arc::clone(stage),
            person,
            session,
            dice,
            tally: Tally::default(),
            playbacks: Vec::new(),
            pictures: Vec::new(),
            fetched: None,
        };
        workers.push((worker, right));
    }
    workers
}

/// What the leaves say, in the words of [`Tally`]; and what they say besides.
fn told(entries: &[LogEntry]) -> (Tally, Vec<String>) {
    let mut tally = Tally::default();
    let mut odd = Vec::new();
    let mut closes: BTreeMap<String, u64> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.kind.as_str() == "close") {
        let decision = entry.decision.unwrap().to_string();
        if closes.insert(decision.clone(), entry.details["bytes"].as_u64().unwrap()).is_some() {
            odd.push(format!("{decision} was closed twice"));
        }
    }
    let words: Vec<&'static str> = vec![
        "live",
        "playback",
        "export",
        "export.approve",
        "camera.test_picture",
        "reads.live",
        "reads.search",
        "finding.review",
        "audit.view",
    ];
    for entry in entries {
        let decision = entry.decision.map(|id| id.to_string()).unwrap_or_default();
        let session = entry.details["actor"]["session"].as_str().unwrap_or("").to_owned();
        let right =
            entry.details["right"].as_str().and_then(|right| words.iter().find(|word| **word == right)).copied();
        match (entry.kind.as_str(), right) {
            ("open", Some(right)) => {
                let Some(bytes) = closes.remove(&decision) else {
                    odd.push(format!("{decision} ({right}) was never closed"));
                    continue;
                };
                tally.bytes += bytes;
                if matches!(right, "live" | "playback") {
                    tally.opened.insert(decision, bytes);
                } else {
                    tally.unnamed.entry((session, right)).or_default().push(bytes);
                }
            }
            ("use", Some(right)) => {
                *tally.used.entry((session, right)).or_default() += 1;
                tally.named.push(decision);
            }
            ("refuse", _) if session.is_empty() => {
                tally.strangers += 1 + entry.details["details"]["held_back"].as_u64().unwrap_or(0);
            }
            ("refuse", _) => *tally.refused.entry(session).or_default() += 1,
            ("close", _) => {}
            (kind, _) => odd.push(format!("{kind} {}", entry.details)),
        }
    }
    odd.extend(closes.into_keys().map(|decision| format!("{decision} was closed and never opened")));
    (tally, odd)
}

/// A decision of another session, for who tries one.
async fn foreign(stage: &Stage) -> Arc<Vec<String>> {
    let other = stage.town.person("operator").await;
    let (_, page) = stage.town.get(&other, &format!("/api/v1/reads?camera={}", stage.lez)).await;
    Arc::new(vec![page["decision_id"].as_str().unwrap().to_owned()])
}

#[expect(clippy::disallowed_methods, reason = "the full count is asked for by the environment")]
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_has_its_leaf_and_every_leaf_its_bytes() {
    let (wanted, seed) = (number("BELFRY_REQUESTS", REQUESTS), number("BELFRY_SEED", 20_261_123));
    println!("L2: seed {seed}, {wanted} requests");
    let stage = Arc::new(stage().await);
    let mut people = workers(&stage, seed).await;
    let foreign = foreign(&stage).await;
    let before = stage.town.log.entries().len();
    let mut done = 0;
    while done < wanted {
        let share = PHASE.min(wanted - done).div_ceil(u64::try_from(people.len()).unwrap());
        let tasks: Vec<_> = people
            .drain(..)
            .map(|(worker, right)| (tokio::spawn(worker.work(share, right, Arc::clone(&foreign))), right))
            .collect();
        for (task, right) in tasks {
            people.push((task.await.unwrap(), right));
        }
        // Past the life of tickets and of fetches that nobody reads from.
        stage.town.clock.pass_s(61);
        stage.town.cases.housekeeping().await.unwrap();
        people.iter_mut().for_each(|(worker, _)| worker.phase_over());
        done = people.iter().map(|(worker, _)| worker.tally.requests).sum();
    }
    // One more stranger tells how many were held back; then everything that is open runs out.
    people[0].0.nobody().await;
    stage.town.clock.pass_s(901);
    stage.town.cases.housekeeping().await.unwrap();
    let mut seen = Tally::default();
    people.into_iter().for_each(|(worker, _)| seen.add(worker.tally));
    // The closing leaf of a socket is written a moment after its end.
    let opens = |entries: &[LogEntry], kind: &str| entries.iter().filter(|entry| entry.kind.as_str() == kind).count();
    let mut entries = stage.town.log.entries().split_off(before);
    for _ in 0..300 {
        if opens(&entries, "open") == opens(&entries, "close") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        stage.town.cases.housekeeping().await.unwrap();
        entries = stage.town.log.entries().split_off(before);
    }
    let (mut logged, odd) = told(&entries);
    assert_eq!(odd, Vec::<String>::new(), "leaves that no request explains");
    for tally in [&mut seen, &mut logged] {
        tally.unnamed.values_mut().for_each(|bytes| bytes.sort_unstable());
    }
    assert_eq!(seen.opened, logged.opened, "bytes under each decision");
    assert_eq!(seen.unnamed, logged.unnamed);
    assert_eq!(seen.used, logged.used);
    assert_eq!(seen.refused, logged.refused);
    assert_eq!(seen.strangers, logged.strangers);
    let known: std::collections::BTreeSet<&String> = logged.named.iter().collect();
    assert!(seen.named.iter().all(|decision| known.contains(decision)));
    println!(
        "L2: {} requests, {} leaves, {} uses opened, {} lists and searches, {} refusals, {} strangers: 0 unexplained either way",
        seen.requests,
        entries.len(),
        seen.opened.len() + seen.unnamed.values().map(Vec::len).sum::<usize>(),
        seen.used.values().sum::<u64>(),
        seen.refused.values().sum::<u64>(),
        seen.strangers,
    );
    assert!(seen.requests >= wanted && seen.bytes > 100_000, "{} bytes", seen.bytes);
}
