//! The magistrate's gate in a whole system (domain.md D3, D6 RC-VID-POL): police footage is recorded, two people keep it past its first term,
//! it moves behind the gate, opens for a magistrate's reference and with the gate's medium alone, and is gone at the end of its second term.
//! The months between are made by libfaketime (Debian package `faketime`); everything else is the real thing.

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
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use recorder::deletions::{Line, MovedKey, Step, lines};
use serde_json::{Value, json};
use vms_testkit::rig::{Person, Rig};

use outage::rewrite_config;
use support::{ffprobe, first_camera, health, now_us, options, rfc3339, text, until_durable};

const DAY_S: i64 = 86_400;
const HOUR_US: i64 = 3_600_000_000;

fn faketime() -> Option<PathBuf> {
    let found = ["x86_64", "aarch64"]
        .map(|machine| PathBuf::from(format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1")));
    found.into_iter().find(|path| path.exists())
}

/// Recorder and `serve`, as their units would start them, some days later.
struct Later<'a> {
    rig: &'a Rig,
    library: PathBuf,
    offset: PathBuf,
    days: i64,
    children: Vec<Child>,
}

impl<'a> Later<'a> {
    fn new(rig: &'a Rig, library: &Path, days: i64) -> Self {
        let offset = rig.path().join(format!("offset-{days}"));
        std::fs::write(&offset, format!("{:+}s\n", days * DAY_S)).unwrap();
        // The clock of the host jumped, and two people say that it is right.
        let at_us = now_us() + days * DAY_S * 1_000_000;
        let approval = recorder::trust::ClockApproval { at_us, first: "An".to_owned(), second: "Bo".to_owned() };
        approval.give(&rig.path().join("state/footage")).unwrap();
        Self { rig, library: library.to_owned(), offset, days, children: Vec::new() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(options(1, 0).programs.join("belfry"));
        command
            .arg("--config")
            .arg(self.rig.path().join("belfry.toml"))
            .args(args)
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.offset)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
            .stdin(Stdio::null());
        command
    }

    fn log(&self, name: &str) -> PathBuf {
        self.rig.path().join(format!("{name}-{}.log", self.days))
    }

    fn start(&mut self, name: &str) {
        let log = std::fs::File::create(self.log(name)).unwrap();
        let mut command = self.command(&["role", name]);
        self.children.push(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    /// Waits for words in the log of a role.
    async fn until_said(&self, name: &str, what: &str) {
        let began = Instant::now();
        while !std::fs::read_to_string(self.log(name)).unwrap().contains(what) {
            let said = std::fs::read_to_string(self.log(name)).unwrap();
            assert!(began.elapsed() < Duration::from_secs(120), "{name} does not say `{what}`: {said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What `belfry ARGS` prints on this day, and whether it ended well.
    fn belfry(&self, args: &[&str]) -> (bool, String) {
        let output = self.command(args).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Logs in with the code of this day.
    async fn log_in(&self, user: &str) -> Visitor {
        let http = reqwest::Client::new();
        let send = |path: &str, body: Value| {
            let request = http.post(self.rig.url(path)).header("Content-Type", "application/json");
            request.body(body.to_string())
        };
        let login = json!({ "user_name": user, "password": self.rig.password() });
        let response = send("/api/v1/login", login).send().await.unwrap();
        let cookies = response.headers().get_all("set-cookie").iter();
        let cookie: Vec<String> =
            cookies.filter_map(|value| value.to_str().ok()?.split(';').next()).map(str::to_owned).collect();
        let (status, said) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "log-in of {user}: {status} {said}");
        let view: Value = serde_json::from_str(&said).unwrap();
        let visitor = Visitor { http: http.clone(), cookie: cookie.join("; "), csrf: text(&view, "/csrf_token") };
        if view.get("pending").is_some() {
            let (works, code) = self.belfry(&["demo", "--code", "--dir", self.rig.path().to_str().unwrap()]);
            assert!(works, "{code}");
            let request = send("/api/v1/session/step-up", json!({ "code": code.trim() }));
            let request = request.header("Cookie", &visitor.cookie).header("X-CSRF-Token", &visitor.csrf);
            let response = request.send().await.unwrap();
            // The session goes on under a new token.
            let cookie = response.headers().get("set-cookie").and_then(|value| value.to_str().ok()?.split(';').next());
            let cookie = cookie.map_or_else(|| visitor.cookie.clone(), str::to_owned);
            let (status, said) = (response.status(), response.text().await.unwrap());
            assert!(status.is_success(), "second factor of {user}: {status} {said}");
            return Visitor { cookie, ..visitor };
        }
        visitor
    }

    fn end(mut self) {
        for mut child in self.children.drain(..) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Later<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Somebody who is logged in on a later day.
struct Visitor {
    http: reqwest::Client,
    cookie: String,
    csrf: String,
}

impl Visitor {
    /// Opens a span of the past; status and answer.
    async fn open(&self, rig: &Rig, stream: &str, span: (i64, i64), magistrate: Option<&str>) -> (u16, Value) {
        let request = self.http.post(rig.url("/api/v1/playback-tickets")).header("Content-Type", "application/json");
        let request = request.header("Cookie", &self.cookie).header("X-CSRF-Token", &self.csrf);
        let response = request.body(ticket(stream, span, magistrate).to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    async fn bytes(&self, rig: &Rig, path: &str) -> Vec<u8> {
        let response = self.http.get(rig.url(path)).header("Cookie", &self.cookie).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.bytes().await.unwrap().to_vec()
    }
}

fn purpose(magistrate: Option<&str>) -> Value {
    json!({
        "code": "GERECHTELIJK_ONDERZOEK", "justification": "reeks overvallen, onderzoek loopt", "case_ref": "BR.11.LA/26",
        "magistrate_ref": magistrate,
    })
}

fn ticket(stream: &str, (from, to): (i64, i64), magistrate: Option<&str>) -> Value {
    json!({ "stream_id": stream, "from": rfc3339(from), "to": rfc3339(to), "purpose": purpose(magistrate) })
}

/// The supervisor of the demo becomes an investigator, and the camera one of police images: the second by two people.
async fn become_police(rig: &Rig, camera: &str) -> Person {
    let admin = rig.log_in("admin").await.unwrap();
    let users = admin.ask("GET", "/api/v1/users?limit=100", None).await.unwrap();
    let is_one = |user: &&Value| user["user_name"] == "supervisor";
    let user = text(users["items"].as_array().unwrap().iter().find(is_one).unwrap(), "/id");
    admin.ask("PATCH", &format!("/api/v1/users/{user}"), Some(json!({ "profile": "P04" }))).await.unwrap();
    let (technician, chief) = (rig.log_in("techniek").await.unwrap(), rig.log_in("chef").await.unwrap());
    let wish = json!({ "retention_class": "RC-VID-POL", "reason": "politiebeelden volgens het besluit van de raad" });
    let path = format!("/api/v1/cameras/{camera}/legal-changes");
    let change = technician.ask("POST", &path, Some(wish)).await.unwrap();
    let approve = format!("/api/v1/legal-changes/{}/approve", text(&change, "/id"));
    chief.ask("POST", &approve, Some(json!({}))).await.unwrap();
    chief
}

/// Waits until a file of the recorder has a text in it.
async fn until_in(rig: &Rig, file: &str, what: &str) {
    let path = rig.path().join("state/footage").join(file);
    let has = async |_: &Rig| std::fs::read_to_string(&path).is_ok_and(|found| found.contains(what));
    rig.until(&format!("{file} names {what}"), Duration::from_secs(60), has).await.unwrap();
}

/// Segment files below a folder.
fn files(folder: &Path) -> usize {
    let count = |entry: std::fs::DirEntry| match entry.path() {
        path if path.is_dir() => files(&path),
        path => usize::from(path.extension().is_some_and(|end| end == "blf")),
    };
    std::fs::read_dir(folder).unwrap().flatten().map(count).sum()
}

/// Waits until `/health` has an alarm, or has it no more, and gives its words.
async fn until_alarm(rig: &Rig, alarm: &str, wanted: bool) -> String {
    let told = async |rig: &Rig| {
        let Some((_, body)) = health(rig).await else { return false };
        body["alarms"].as_array().unwrap().iter().any(|word| word == alarm) == wanted
    };
    rig.until(&format!("health has {alarm}: {wanted}"), Duration::from_secs(60), told).await.unwrap();
    text(&health(rig).await.unwrap().1, "/detail")
}

/// Records police images and has two people keep them; gives the stream, the span that was recorded, and the decision.
async fn record_and_keep(rig: &mut Rig) -> (String, (i64, i64), String) {
    let operator = rig.log_in("operator").await.unwrap();
    let camera = first_camera(rig, &operator).await;
    let (id, stream) = (text(&camera, "/id"), text(&camera, "/streams/0/id"));
    let chief = become_police(rig, &id).await;
    until_in(rig, "assignment.json", "RC-VID-POL").await;
    rig.stop_belfry().await.unwrap();
    // The gate lies on a medium of its own, made by hand.
    std::fs::create_dir(rig.path().join("medium")).unwrap();
    rewrite_config(rig, "[recorder]\n", "[recorder.keys]\ngate = 'medium/gate'\n[recorder]\n");
    let program = options(1, 0).programs.join("belfry");
    let mut command = Command::new(program);
    let made =
        command.arg("--config").arg(rig.path().join("belfry.toml")).args(["keys", "gate-create"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(rig.path().join("medium/gate/gate-00000001.key").exists());
    let began = now_us();
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(30), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();
    until_durable(rig, &operator, 12).await;
    let played_to = now_us() - 2_000_000;
    let span = (played_to.max(began + 6_000_000) - 5_000_000, played_to);
    let investigator = rig.log_in("supervisor").await.unwrap();
    let opened = investigator.ask("POST", "/api/v1/playback-tickets", Some(ticket(&stream, span, None))).await.unwrap();
    assert!(opened["size"].as_u64().unwrap() > 100_000, "in its first term it opens by the ordinary rules: {opened}");

    let wish = json!({
        "camera_id": id, "from": rfc3339(began - HOUR_US), "to": rfc3339(now_us() + HOUR_US), "purpose": purpose(None),
    });
    let gated = investigator.ask("POST", "/api/v1/gated", Some(wish)).await.unwrap();
    let decision = text(&gated, "/id");
    let approve = format!("/api/v1/gated/{decision}/approve");
    assert!(investigator.ask("POST", &approve, Some(json!({}))).await.is_err(), "nobody decides alone");
    let approved = chief.ask("POST", &approve, Some(json!({}))).await.unwrap();
    assert_eq!(approved["state"], "in_force");
    until_in(rig, "gated.json", &decision).await;
    rig.stop_belfry().await.unwrap();
    rig.stop_sim().unwrap();
    (stream, span, decision)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn police_footage_outlives_its_first_term_behind_the_gate_and_dies_with_its_second() {
    let Some(library) = faketime() else {
        eprintln!("this test did not run: libfaketime is missing (Debian package `faketime`)");
        return;
    };
    let mut rig = Rig::start(options(1, 0)).await.unwrap();
    let (stream, span, decision) = record_and_keep(&mut rig).await;
    let footage = rig.path().join("state/footage");
    let there = files(&footage.join("media"));

    // A month later the first term is over; the medium with the gate's private half is in the magistrate's safe.
    let (medium, safe) = (rig.path().join("medium"), rig.path().join("safe"));
    std::fs::rename(&medium, &safe).unwrap();
    let mut later = Later::new(&rig, &library, 31);
    later.start("recorder");
    later.until_said("recorder", "hour keys moved behind the magistrate's gate").await;
    let moves: Vec<Line> = lines(&footage.join("deletions")).unwrap();
    let is_ours = |key: &MovedKey| key.class == "RC-VID-POL" && key.decisions == [decision.clone()];
    let named = moves.iter().any(|line| matches!(&line.step, Step::Gated { keys } if keys.iter().all(is_ours)));
    assert!(named, "the move stands in the records with its decision: {moves:?}");
    assert!(files(&footage.join("media")) > 0 && files(&footage.join("media")) <= there);
    later.start("serve");
    rig.until("the console answers", Duration::from_secs(60), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();
    let investigator = later.log_in("supervisor").await;
    let (status, refused) = investigator.open(&rig, &stream, span, None).await;
    assert_eq!(
        (status, text(&refused, "/code")),
        (403, "magistrate_required".to_owned()),
        "nothing without a reference"
    );
    let calm = health(&rig).await.unwrap().1;
    assert!(
        !calm["alarms"].as_array().unwrap().iter().any(|word| word == "gate_away"),
        "a gate that is away is no alarm"
    );
    let (status, refused) = investigator.open(&rig, &stream, span, Some("PK-2026-0077")).await;
    assert_eq!((status, text(&refused, "/code")), (503, "gate_away".to_owned()), "{refused}");
    let words = until_alarm(&rig, "gate_away", true).await;
    assert!(words.contains("magistrate") && words.contains("attach"), "{words}");
    eprintln!("health while it is away: {words}");

    // It is attached: now it opens, whole, and the alarm is over.
    std::fs::rename(&safe, &medium).unwrap();
    until_alarm(&rig, "gate_away", false).await;
    let (status, opened) = investigator.open(&rig, &stream, span, Some("PK-2026-0077")).await;
    assert_eq!(status, 200, "{opened}");
    let film = investigator.bytes(&rig, &text(&opened, "/url")).await;
    let probe = ffprobe(&rig, &film);
    let frames: u64 = text(&probe, "/streams/0/nb_read_packets").parse().unwrap();
    assert!(frames >= 100, "about five seconds at 25 frames/s: {frames}");
    let (status, refused) = investigator.open(&rig, &stream, span, None).await;
    assert_eq!(status, 403, "an open gate is open for its decision alone: {refused}");
    later.end();

    // Both terms are over.
    let mut later = Later::new(&rig, &library, 367);
    later.start("recorder");
    later.until_said("recorder", "hour keys past their term were destroyed").await;
    let gone = async |_: &Rig| files(&footage.join("media")) == 0;
    rig.until("no file is left", Duration::from_secs(60), gone).await.unwrap();
    let (works, said) = later.belfry(&["keys", "status"]);
    assert!(works && said.contains("0 hour keys behind the magistrate's gate"), "{said}");
    let (works, said) = later.belfry(&["check"]);
    assert!(works, "{said}");
    later.end();
}
