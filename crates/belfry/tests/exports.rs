//! Evidence export in the whole system: ordered, approved, made, fetched and checked by a stranger; through a kill of the server and a
//! recorder that is away, and stopped by a right that goes.

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
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use vms_benches::process::signal;
use vms_testkit::rig::{Person, Rig};

use outage::pid_of_role;
use support::{health, now_us, options, rfc3339, text, until_durable};

fn order(camera: &Value, seconds: i64) -> Value {
    let to = now_us() - 2_000_000;
    json!({
        "stream_id": text(camera, "/streams/0/id"), "from": rfc3339(to - seconds * 1_000_000), "to": rfc3339(to), "language": "fr",
        "purpose": { "code": "GERECHTELIJK_ONDERZOEK", "justification": "aanrijding met vluchtmisdrijf",
            "case_ref": "BR.11.L1.4711/2026" },
    })
}

async fn state(person: &Person, id: &str) -> Option<(String, String)> {
    let seen = person.ask("GET", &format!("/api/v1/exports/{id}"), None).await.ok()?;
    let failure = seen["failure"].as_str().unwrap_or_default().to_owned();
    Some((seen["state"].as_str()?.to_owned(), failure))
}

async fn until_state(rig: &Rig, person: &Person, id: &str, wanted: (&str, &str)) -> Duration {
    let what = format!("the export is {wanted:?}");
    let is_there = async |_: &Rig| {
        state(person, id).await.is_some_and(|(state, failure)| (state.as_str(), failure.as_str()) == wanted)
    };
    rig.until(&what, Duration::from_secs(60), is_there).await.unwrap()
}

/// Every file of the package, as whoever ordered it gets them.
async fn fetch(person: &Person, id: &str, folder: &Path) -> u64 {
    let files = person.ask("GET", &format!("/api/v1/exports/{id}/files"), None).await.unwrap();
    let mut all = 0;
    for file in files.as_array().unwrap() {
        let bytes = person.bytes(&text(file, "/url"), None).await.unwrap();
        assert_eq!(u64::try_from(bytes.len()).unwrap(), file["bytes"].as_u64().unwrap());
        all += file["bytes"].as_u64().unwrap();
        std::fs::write(folder.join(text(file, "/name")), bytes).unwrap();
    }
    all
}

fn verify(program: &Path, fingerprint: &str, folder: &Path) -> (i32, String) {
    let mut command = Command::new(program);
    // A machine that has nothing of ours but the program.
    command.env_clear().current_dir("/").args(["verify", "--certificate-sha256", fingerprint]).arg(folder);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn what_lies_there(rig: &Rig) -> Vec<PathBuf> {
    std::fs::read_dir(rig.path().join("state/exports")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footage_leaves_the_house_by_two_people_and_a_stranger_checks_it() {
    let rig = Rig::start(options(1, 0)).await.unwrap();
    let program = options(1, 0).programs.join("belfry");
    let (supervisor, chief) = (rig.log_in("supervisor").await.unwrap(), rig.log_in("chef").await.unwrap());
    let operator = rig.log_in("operator").await.unwrap();
    let camera = until_durable(&rig, &supervisor, 12).await;

    // The key of the exports: its own file, for nobody else.
    use std::os::unix::fs::PermissionsExt as _;
    let key = std::fs::metadata(rig.path().join("state/keys/export.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert!(operator.ask("POST", "/api/v1/exports", Some(order(&camera, 5))).await.is_err(), "an operator orders none");

    let made = supervisor.ask("POST", "/api/v1/exports", Some(order(&camera, 8))).await.unwrap();
    let id = text(&made, "/id");
    let approve = format!("/api/v1/exports/{id}/approval");
    assert!(supervisor.ask("POST", &approve, Some(json!({}))).await.is_err(), "nobody exports alone");
    chief.ask("POST", &approve, Some(json!({}))).await.unwrap();
    let took = until_state(&rig, &supervisor, &id, ("done", "")).await;
    let folder = tempfile::tempdir().unwrap();
    let bytes = fetch(&supervisor, &id, folder.path()).await;
    eprintln!("8 s of footage: {bytes} bytes of package, there {} ms after the approval", took.as_millis());
    let fingerprint = text(&made, "/certificate_sha256");
    let (code, said) = verify(&program, &fingerprint, folder.path());
    assert_eq!(code, 0, "{said}");
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.path().join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["case_number"], "BR.11.L1.4711/2026");
    assert_eq!((&manifest["requested_by"]["role"], &manifest["approved_by"]["role"]), (&json!("P02"), &json!("P03")));
    let segments = manifest["cameras"][0]["segments"].as_array().unwrap();
    assert!(!segments.is_empty() && manifest["films"][0]["frames"].as_u64().unwrap() >= 150, "{manifest}");
    assert!(said.contains("decision.tlog-proof"), "the decision stands in the log, and the package proves it: {said}");
    // A byte that somebody turned is found.
    let film = folder.path().join("footage-001.mp4");
    let mut forged = std::fs::read(&film).unwrap();
    let middle = forged.len() / 2;
    forged[middle] ^= 1;
    std::fs::write(&film, forged).unwrap();
    let (code, said) = verify(&program, &fingerprint, folder.path());
    assert!(code == 1 && said.contains("CHANGED: fragment"), "{code} {said}");
    // Nobody else gets it, and its two people do.
    let other = format!("/api/v1/exports/{id}/files/custody.pdf");
    assert!(operator.bytes(&other, None).await.is_err());
    assert!(chief.bytes(&other, None).await.unwrap().starts_with(b"%PDF"));
    // The details of a leaf follow it into the database within some seconds.
    let overseer = rig.log_in("toezicht").await.unwrap();
    let is_read = async |_: &Rig| {
        let page = overseer.ask("GET", &audit(), None).await.unwrap().to_string();
        ["export_ordered", "export_approved", "export_done"].iter().all(|word| page.contains(word))
    };
    rig.until("the overseer reads every step", Duration::from_secs(15), is_read).await.unwrap();
}

fn audit() -> String {
    format!("/api/v1/audit?from={}&to={}", rfc3339(now_us() - 600_000_000), rfc3339(now_us() + 60_000_000))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_survives_a_kill_waits_for_the_recorder_and_stops_with_the_right() {
    let rig = Rig::start(options(1, 0)).await.unwrap();
    let program = options(1, 0).programs.join("belfry");
    let (supervisor, chief) = (rig.log_in("supervisor").await.unwrap(), rig.log_in("chef").await.unwrap());
    let camera = until_durable(&rig, &supervisor, 12).await;
    let begin = async |seconds| {
        let made = supervisor.ask("POST", "/api/v1/exports", Some(order(&camera, seconds))).await.unwrap();
        let id = text(&made, "/id");
        chief.ask("POST", &format!("/api/v1/exports/{id}/approval"), Some(json!({}))).await.unwrap();
        (id, text(&made, "/certificate_sha256"))
    };
    // The recorder is there and says nothing: the export waits, and says for what.
    let recorder = pid_of_role(&rig, "recorder").unwrap();
    signal(recorder, Signal::STOP);
    let (id, fingerprint) = begin(8).await;
    until_state(&rig, &supervisor, &id, ("running", "recorder_unavailable")).await;
    // Meanwhile the server is killed outright; its supervisor starts it again.
    let serve = pid_of_role(&rig, "serve").unwrap();
    signal(serve, Signal::KILL);
    let is_back =
        async |rig: &Rig| pid_of_role(rig, "serve").is_some_and(|pid| pid != serve) && health(rig).await.is_some();
    rig.until("the server is back", Duration::from_secs(60), is_back).await.unwrap();
    signal(recorder, Signal::CONT);
    let took = until_state(&rig, &supervisor, &id, ("done", "")).await;
    eprintln!("done {} ms after the server and the recorder were back", took.as_millis());
    let folder = tempfile::tempdir().unwrap();
    fetch(&supervisor, &id, folder.path()).await;
    let (code, said) = verify(&program, &fingerprint, folder.path());
    assert_eq!(code, 0, "{said}");

    // A right that goes while it runs: it stops within seconds, and nothing of it is left.
    let recorder = pid_of_role(&rig, "recorder").unwrap();
    signal(recorder, Signal::STOP);
    let (id, _) = begin(5).await;
    until_state(&rig, &supervisor, &id, ("running", "recorder_unavailable")).await;
    let administrator = rig.log_in("admin").await.unwrap();
    let accounts = administrator.ask("GET", "/api/v1/users?limit=500", None).await.unwrap();
    let account = accounts["items"].as_array().unwrap().iter().find(|one| one["user_name"] == "chef").unwrap();
    let path = format!("/api/v1/users/{}", text(account, "/id"));
    administrator.change(&path, "*", json!({ "disabled": true })).await.unwrap();
    let took = until_state(&rig, &supervisor, &id, ("failed", "revoked")).await;
    signal(recorder, Signal::CONT);
    eprintln!("stopped {} ms after the right was gone", took.as_millis());
    assert!(took < Duration::from_secs(15));
    assert!(!what_lies_there(&rig).iter().any(|path| path.to_string_lossy().contains(&id)), "nothing of it is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cameras_are_one_folder_with_a_film_of_each() {
    let rig = Rig::start(options(2, 0)).await.unwrap();
    let program = options(1, 0).programs.join("belfry");
    let (supervisor, chief) = (rig.log_in("supervisor").await.unwrap(), rig.log_in("chef").await.unwrap());
    until_durable(&rig, &supervisor, 12).await;
    let page = supervisor.ask("GET", "/api/v1/cameras", None).await.unwrap();
    let cameras: Vec<Value> = page["items"].as_array().unwrap().clone();
    assert_eq!(cameras.len(), 2);
    let mut wish = order(&cameras[0], 8);
    wish.as_object_mut().unwrap().remove("stream_id");
    wish["camera_ids"] = json!([cameras[1]["id"], cameras[0]["id"]]);
    let made = supervisor.ask("POST", "/api/v1/exports", Some(wish)).await.unwrap();
    let id = text(&made, "/id");
    chief.ask("POST", &format!("/api/v1/exports/{id}/approval"), Some(json!({}))).await.unwrap();
    let took = until_state(&rig, &supervisor, &id, ("done", "")).await;
    let folder = tempfile::tempdir().unwrap();
    let bytes = fetch(&supervisor, &id, folder.path()).await;
    eprintln!("8 s of two cameras: {bytes} bytes of package, there {} ms after the approval", took.as_millis());
    let (code, said) = verify(&program, &text(&made, "/certificate_sha256"), folder.path());
    assert_eq!(code, 0, "{said}");
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.path().join("manifest.json")).unwrap()).unwrap();
    let named: Vec<&Value> =
        manifest["cameras"].as_array().unwrap().iter().map(|one| &one["facts"]["camera"]).collect();
    assert_eq!(named, [&cameras[1]["id"], &cameras[0]["id"]], "in the order given");
    for camera in [0, 1] {
        let films = manifest["films"].as_array().unwrap().iter().filter(|film| film["camera"] == camera);
        assert!(films.map(|film| film["frames"].as_u64().unwrap()).sum::<u64>() >= 150, "{manifest}");
        let name = text(&manifest, &format!("/cameras/{camera}/facts/name"));
        assert!(said.lines().any(|line| line.contains("footage-00") && line.contains(&name)), "film by film: {said}");
    }
    assert_eq!(manifest["files"].as_array().unwrap().iter().filter(|file| file["file"] == "custody.pdf").count(), 1);
    // Somebody gives each camera the other's film: in the manifest, or on the disk.
    let whole = std::fs::read_to_string(folder.path().join("manifest.json")).unwrap();
    let swapped = whole.replace("\"camera\": 0,", "\"camera\": 9,").replace("\"camera\": 1,", "\"camera\": 0,");
    std::fs::write(folder.path().join("manifest.json"), swapped.replace("\"camera\": 9,", "\"camera\": 1,")).unwrap();
    let (code, said) = verify(&program, &text(&made, "/certificate_sha256"), folder.path());
    assert!(code == 1 && said.contains("do not say what the manifest says"), "{code} {said}");
    std::fs::write(folder.path().join("manifest.json"), whole).unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::rename(at("footage-001.mp4"), at("aside")).unwrap();
    std::fs::rename(at("footage-002.mp4"), at("footage-001.mp4")).unwrap();
    std::fs::rename(at("aside"), at("footage-002.mp4")).unwrap();
    assert_eq!(verify(&program, &text(&made, "/certificate_sha256"), folder.path()).0, 1);
}
