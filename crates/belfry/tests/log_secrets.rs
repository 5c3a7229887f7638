//! A8: secrets are planted in a running system, and then looked for in everything that it writes and says. Passwords of cameras and of people, a
//! session, one-time codes, keys, plates: none may stand in a log line, a figure, an answer, a database or a copy of one.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect and what they measured"
)]

#[expect(dead_code, reason = "the other system tests use the rest")]
#[path = "support/outage.rs"]
mod outage;
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use vms_testkit::rig::{Person, Rig};

use outage::rtsp_port;
use support::{options, purpose, text, until_durable};

const CAMERA_PASSWORD: &str = "Kanarie-Rtsp-7f3a9c51";
const CAMERA_USER: &str = "kanarie-user-51c9";
const WRONG_PASSWORD: &str = "kanarie wachtwoord 8842 fout";
const PLATE: &str = "1XQZ987";
const WRITTEN_PLATES: [&str; 3] = ["1XQZ987", "1-XQZ-987", "1 xqz 987"];

/// What must not be found, each in the forms that a program would write it in.
struct Canary {
    what: String,
    forms: Vec<Vec<u8>>,
}

impl Canary {
    fn new(what: &str, raw: &[u8]) -> Self {
        let mut forms = vec![raw.to_vec(), hex::encode(raw).into_bytes(), hex::encode_upper(raw).into_bytes()];
        // The middle of a base64 text depends on where it begins: the three ways without their edges.
        for skip in 0..3 {
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                let padded: Vec<u8> = std::iter::repeat_n(0, skip).chain(raw.iter().copied()).collect();
                let encoded = engine.encode(padded);
                let inner = encoded.get(4..encoded.len().saturating_sub(4)).unwrap_or("");
                if inner.len() >= 8 {
                    forms.push(inner.as_bytes().to_vec());
                }
            }
        }
        Self { what: what.to_owned(), forms }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|form| memchr(bytes, form))
    }
}

fn memchr(bytes: &[u8], form: &[u8]) -> bool {
    let Some(first) = form.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(form) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// Every file below a folder but footage, whose bytes are a camera's own, and places that are made to hold secrets.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().unwrap();
        // Keys and key stores; what the rig itself keeps for its people.
        let holds_secrets = ["keys", "key-store", "keys-second", "password.txt", "totp.txt", "sim.password", "media"];
        if holds_secrets.contains(&name.as_str()) || name.contains("root") || name.ends_with(".key") {
            continue;
        }
        if kind.is_dir() {
            files(&path, into);
        } else if kind.is_file() {
            into.push(path);
        }
    }
}

/// What the system said: every answer, with where it came from.
#[derive(Default)]
struct Said(Vec<(String, Vec<u8>)>);

impl Said {
    async fn ask(&mut self, person: &Person, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = person.send(method, path, body).await.unwrap();
        let headers = format!("{:?}", answer.headers());
        let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
        self.0.push((format!("{method} {path}: {status}, headers"), headers.into_bytes()));
        self.0.push((format!("{method} {path}: {status}"), bytes.to_vec()));
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    async fn plain(&mut self, url: &str) {
        let answer = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        self.0.push((url.to_owned(), answer.to_vec()));
    }
}

fn draft(owner: &str, port: u16) -> Value {
    let stream = |use_: &str| {
        json!({ "use": use_, "url": format!("rtsp://127.0.0.1:{port}/cam001/{use_}"), "user": CAMERA_USER,
            "password": CAMERA_PASSWORD })
    };
    json!({
        "code": "KANARIE", "name_nl": "Kanarie", "name_fr": "Canari", "owner_id": owner, "kind": "overview",
        "lat": 50.8467, "lon": 4.3525, "retention_class": "RC-VID-OPEN", "pictogram_on": "2026-02-01",
        "legal_basis": { "document": "Besluit 7", "date": "2026-01-01", "advice": "gunstig" },
        "streams": [stream("main")],
    })
}

/// A camera with a password, people with wrong ones, searches for a plate in right and wrong words.
async fn plant(rig: &Rig, said: &mut Said) -> Vec<Person> {
    let people = {
        let mut people = Vec::new();
        for user in ["techniek", "chef", "supervisor", "toezicht", "admin", "operator"] {
            people.push(rig.log_in(user).await.unwrap());
        }
        people
    };
    let [technician, chief, supervisor, _, admin, operator] = people.as_slice() else { panic!("six people") };
    let orgs = said.ask(technician, "GET", "/api/v1/orgs", None).await;
    let all = orgs.get("items").unwrap_or(&orgs).as_array().unwrap().clone();
    let owner = text(all.iter().find(|org| org["code"] == "5340").unwrap(), "/id");
    let port = rtsp_port(rig);
    let camera = said.ask(technician, "POST", "/api/v1/cameras", Some(draft(&owner, port))).await;
    let id = text(&camera, "/id");
    said.ask(technician, "POST", &format!("/api/v1/cameras/{id}/probe"), Some(json!({}))).await;
    said.ask(chief, "POST", &format!("/api/v1/cameras/{id}/approve"), Some(json!({}))).await;
    // A field too many, and one of another kind: the complaint must not repeat the others.
    let mut wrong = draft(&owner, port);
    wrong["lat"] = json!("north");
    said.ask(technician, "POST", "/api/v1/cameras", Some(wrong)).await;
    let mut guarded = draft(&owner, port);
    guarded["streams"][0]["url"] = json!(format!("rtsp://{CAMERA_USER}:{CAMERA_PASSWORD}@169.254.169.254/main"));
    said.ask(technician, "POST", "/api/v1/cameras", Some(guarded)).await;
    for user in ["operator", "nobody"] {
        let body = json!({ "user_name": user, "password": WRONG_PASSWORD });
        said.ask(operator, "POST", "/api/v1/login", Some(body)).await;
    }
    let now = support::now_us();
    let (from, to) = (support::rfc3339(now - 3_600_000_000), support::rfc3339(now));
    for plate in WRITTEN_PLATES {
        let why = json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": format!("vluchtwagen {plate} gezien"), "case_ref": "BR-7" });
        for (span, why) in [(&to, why.clone()), (&from, why), (&to, purpose()), (&to, Value::Null)] {
            let body = json!({ "plate": plate, "from": from, "to": span, "purpose": why });
            said.ask(supervisor, "POST", "/api/v1/reads/search", Some(body.clone())).await;
            said.ask(operator, "POST", "/api/v1/reads/search", Some(body)).await;
        }
    }
    let refused =
        json!({ "plate": format!("{PLATE} nonsense {PLATE} {PLATE}"), "from": from, "to": to, "purpose": purpose() });
    said.ask(supervisor, "POST", "/api/v1/reads/search", Some(refused)).await;
    said.ask(admin, "POST", "/api/v1/session/step-up", Some(json!({ "code": "kanarie-code-000000" }))).await;
    people
}

/// Everything that can be asked without a name of a thing.
async fn ask_all(rig: &Rig, people: &[Person], said: &mut Said) {
    let document: Value = serde_json::from_str(&rig.get_plain("/api/v1/openapi.json").await.unwrap()).unwrap();
    let now = support::now_us();
    let (from, to) = (support::rfc3339(now - 3_600_000_000), support::rfc3339(now + 60_000_000));
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() || path == "/api/v1/events" || path == "/api/v1/live" {
            continue;
        }
        let path =
            path.replace("{id}", PLATE).replace("{file}", "none").replace("{name}", "none").replace("{part}", "none");
        for person in people {
            said.ask(person, "GET", &path.replace(PLATE, "none"), None).await;
            said.ask(person, "GET", &format!("{}?from={from}&to={to}", path.replace(PLATE, "none")), None).await;
        }
    }
    let config = std::fs::read_to_string(rig.path().join("belfry.toml")).unwrap();
    let metrics = config
        .lines()
        .find_map(|line| line.strip_prefix("metrics_bind = '"))
        .unwrap()
        .trim_end_matches('\'')
        .to_owned();
    said.plain(&format!("http://{metrics}/metrics")).await;
    for path in ["/health", "/log/checkpoint", "/", "/api/v1/none"] {
        said.plain(&rig.url(path)).await;
    }
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_secret_is_written_or_said_anywhere() {
    let mut rig = Rig::start(options(1, 0)).await.unwrap();
    let mut said = Said::default();
    let operator = rig.log_in("operator").await.unwrap();
    until_durable(&rig, &operator, 6).await;
    let recovery = rig.recovery_code("supervisor").await.unwrap();
    let people = plant(&rig, &mut said).await;
    let used =
        people[2].send("POST", "/api/v1/session/step-up", Some(json!({ "recovery_code": recovery }))).await.unwrap();
    assert!(used.status().is_success(), "the one-time code was used");
    // The camera's password goes out to it, is refused, and is complained of.
    rig.until("the refused password is told", Duration::from_secs(40), async |_: &Rig| {
        let Ok(list) = people[0].ask("GET", "/api/v1/health/cameras", None).await else { return false };
        list.to_string().contains("KANARIE")
    })
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    ask_all(&rig, &people, &mut said).await;

    let mut canaries = vec![
        Canary::new("password of a camera", CAMERA_PASSWORD.as_bytes()),
        Canary::new("wrong password of a person", WRONG_PASSWORD.as_bytes()),
        Canary::new("password of all people", rig.password().trim().as_bytes()),
        Canary::new("wrong one-time code", b"kanarie-code-000000"),
        Canary::new("recovery code", recovery.as_bytes()),
        Canary::new(
            "secret of one-time codes",
            &hex::decode(std::fs::read_to_string(rig.path().join("totp.txt")).unwrap().trim()).unwrap(),
        ),
    ];
    for (person, name) in people.iter().zip(["techniek", "chef", "supervisor", "toezicht", "admin", "operator"]) {
        let token = person.cookie().split_once('=').unwrap().1.to_owned();
        canaries.push(Canary::new(&format!("session of {name}"), token.as_bytes()));
    }
    for plate in WRITTEN_PLATES {
        canaries.push(Canary {
            what: format!("plate as {plate}"),
            forms: vec![plate.as_bytes().to_vec(), plate.to_uppercase().into_bytes()],
        });
    }
    for entry in std::fs::read_dir(rig.path().join("state/keys")).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "key") {
            let secret = std::fs::read_to_string(&path).unwrap();
            let raw = hex::decode(secret.trim()).unwrap();
            canaries.push(Canary::new(&path.file_name().unwrap().to_string_lossy(), &raw));
        }
    }
    assert!(canaries.len() >= 17, "{}", canaries.len());

    // While it runs, and copies of it: what a backup would take.
    let mut found = Vec::new();
    let mut looked = (0_usize, 0_usize);
    let mut look = |place: &str, bytes: &[u8]| {
        looked = (looked.0 + 1, looked.1 + bytes.len());
        for canary in canaries.iter().filter(|canary| canary.is_in(bytes)) {
            found.push(format!("{} in {place}", canary.what));
        }
    };
    for (place, bytes) in &said.0 {
        look(place, bytes);
    }
    for round in ["running", "stopped"] {
        let mut all = Vec::new();
        files(rig.path(), &mut all);
        assert!(all.iter().any(|path| path.to_string_lossy().contains("belfry.sqlite")), "the database is among them");
        assert!(all.iter().any(|path| path.ends_with("belfry.log")), "the log lines are among them");
        for path in all {
            if let Ok(bytes) = std::fs::read(&path) {
                look(&format!("{} ({round})", path.strip_prefix(rig.path()).unwrap().display()), &bytes);
            }
        }
        rig.stop_belfry().await.unwrap();
    }
    eprintln!(
        "A8: {} canaries in {} answers and files, {} bytes: {} hits",
        canaries.len(),
        looked.0,
        looked.1,
        found.len()
    );
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_canary_is_found_however_it_is_written() {
    let canary = Canary::new("x", CAMERA_PASSWORD.as_bytes());
    let encoded = |before: &[u8]| {
        let all: Vec<u8> = before.iter().copied().chain(CAMERA_PASSWORD.bytes()).chain(*b"after").collect();
        base64::engine::general_purpose::STANDARD.encode(all)
    };
    for text in [
        format!("rtsp://a:{CAMERA_PASSWORD}@b"),
        hex::encode(CAMERA_PASSWORD),
        encoded(b""),
        encoded(b"a"),
        encoded(b"user:"),
        encoded(b"ab"),
    ] {
        assert!(canary.is_in(text.as_bytes()), "{text}");
    }
    assert!(!canary.is_in(b"Kanarie-Rtsp-7f3a9c5"));
}
