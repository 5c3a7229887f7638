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

#[path = "support/faketime.rs"]
mod faketime;
#[expect(dead_code, reason = "the other system tests use the rest")]
#[path = "support/later.rs"]
mod later;
#[expect(dead_code, reason = "the other system tests use the rest")]
#[path = "support/outage.rs"]
mod outage;
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use recorder::deletions::{Line, MovedKey, Step, lines};
use serde_json::{Value, json};
use vms_testkit::rig::{Person, Rig};

use later::{Later, Visitor};
use outage::rewrite_config;
use support::{ffprobe, first_camera, health, now_us, options, rfc3339, text, until_durable};

const HOUR_US: i64 = 3_600_000_000;

/// Opens a span of the past; status and answer.
async fn open(visitor: &Visitor, stream: &str, span: (i64, i64), magistrate: Option<&str>) -> (u16, Value) {
    visitor.send("POST", "/api/v1/playback-tickets", Some(ticket(stream, span, magistrate))).await
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
    let Some(library) = faketime::library() else {
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
    let (status, refused) = open(&investigator, &stream, span, None).await;
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
    let (status, refused) = open(&investigator, &stream, span, Some("PK-2026-0077")).await;
    assert_eq!((status, text(&refused, "/code")), (503, "gate_away".to_owned()), "{refused}");
    let words = until_alarm(&rig, "gate_away", true).await;
    assert!(words.contains("magistrate") && words.contains("attach"), "{words}");
    eprintln!("health while it is away: {words}");

    // It is attached: now it opens, whole, and the alarm is over.
    std::fs::rename(&safe, &medium).unwrap();
    until_alarm(&rig, "gate_away", false).await;
    let (status, opened) = open(&investigator, &stream, span, Some("PK-2026-0077")).await;
    assert_eq!(status, 200, "{opened}");
    let film = investigator.bytes(&text(&opened, "/url")).await;
    let probe = ffprobe(&rig, &film);
    let frames: u64 = text(&probe, "/streams/0/nb_read_packets").parse().unwrap();
    assert!(frames >= 100, "about five seconds at 25 frames/s: {frames}");
    let (status, refused) = open(&investigator, &stream, span, None).await;
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
