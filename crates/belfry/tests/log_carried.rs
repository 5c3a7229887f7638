//! What the recorder closed, lost and erased, and which processes began and ended, stands in the log of uses; a witness beside it cosigns it and
//! refuses a log that goes back; and a stranger who only has the address and two keys checks all of it with a script that is not ours.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "tests say what they expect and what they measured"
)]

#[expect(dead_code, reason = "the other system tests use the rest")]
#[path = "support/outage.rs"]
mod outage;
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use vms_benches::process::signal;
use vms_testkit::rig::{Rig, RigOptions, free_port};

use outage::{pid_of_role, rewrite_config};
use support::{health, open_live, options, text, until_durable};

/// A witness as its own process; ends when dropped.
struct Witness {
    child: Child,
    key: String,
    port: u16,
}

impl Witness {
    fn start(rig: &Rig) -> Self {
        let (port, state) = (free_port().unwrap(), rig.path().join("witness"));
        let program = options(1, 0).programs.join("belfry-witness");
        assert!(program.exists(), "{} is missing: run `make test`", program.display());
        let mut child = Command::new(program)
            .args(["--name", "witness.test/w", "--bind", &format!("127.0.0.1:{port}"), "--state"])
            .arg(state)
            .arg("--log")
            .arg(rig.path().join("state/keys/log.pub"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut key = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut key).unwrap();
        Self { child, key: key.trim().to_owned(), port }
    }

    /// Size of the newest checkpoint that it knows.
    async fn known(&self) -> String {
        reqwest::get(format!("http://127.0.0.1:{}/", self.port)).await.unwrap().text().await.unwrap()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn belfry(rig: &Rig, args: &[&str]) -> (i32, String) {
    let output = Command::new(options(1, 0).programs.join("belfry"))
        .arg("--config")
        .arg(rig.path().join("belfry.toml"))
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), said)
}

/// Operations of all leaves with the details of each, as an overseer with the right to read them gets them.
fn leaves(rig: &Rig) -> BTreeMap<String, Vec<Value>> {
    let file = rig.path().join("details");
    let (code, said) = belfry(
        rig,
        &["audit", "export", rig.path().join("copy").to_str().unwrap(), "--details", file.to_str().unwrap()],
    );
    assert_eq!(code, 0, "{said}");
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let details: Value = serde_json::from_str(row["d"].as_str().unwrap()).unwrap();
        let operation = details["operation"].as_str().or_else(|| details["right"].as_str()).unwrap_or("?").to_owned();
        found.entry(operation).or_default().push(details["details"].clone());
    }
    found
}

async fn until_leaf(
    rig: &Rig,
    what: &str,
    holds: impl Fn(&BTreeMap<String, Vec<Value>>) -> bool,
) -> BTreeMap<String, Vec<Value>> {
    let begun = tokio::time::Instant::now();
    loop {
        let found = leaves(rig);
        if holds(&found) {
            return found;
        }
        let words: Vec<String> = found.iter().map(|(word, all)| format!("{word} {}", all.len())).collect();
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "not in time: {what}\n{words:?}\n{}",
            rig.log_tail("belfry")
        );
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// As somebody else sees it: the address, the log's key and the witness's.
fn stranger(rig: &Rig, witness: &Witness) -> String {
    let (mirror, log_key) = (rig.path().join("mirror"), rig.path().join("state/keys/log.pub"));
    let (url, log_key) = (rig.url("/log"), log_key.to_str().unwrap());
    let args =
        ["audit", "monitor", &url, "--dir", mirror.to_str().unwrap(), "--key", log_key, "--witness-key", &witness.key];
    let (code, said) = belfry(rig, &args);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("HOLDS"), "{said}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/verify_log.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(mirror.join("log")).args(["--key", log_key, "--witness-key", &witness.key]);
    command.arg("--from").arg(mirror.join("seen"));
    let output = command.output().unwrap();
    let word = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{word}");
    word
}

fn copy(from: &Path, to: &Path) {
    drop(std::fs::remove_dir_all(to));
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

async fn until_cosigned(rig: &Rig) -> Duration {
    rig.until("a checkpoint is cosigned", Duration::from_secs(60), async |rig: &Rig| {
        rig.get_plain("/log/checkpoint.cosigned").await.is_ok()
    })
    .await
    .unwrap()
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_what_was_recorded_lost_and_erased_and_a_stranger_can_check_it() {
    // So little room that the oldest footage goes as soon as there is younger.
    let mut rig = Rig::start(RigOptions { disk_cap_mib: 64, ..options(4, 0) }).await.unwrap();
    rig.stop_belfry().await.unwrap();
    let witness = Witness::start(&rig);
    let port = witness.port;
    let more = format!(
        "[log]\norigin = 'rig.belfry.localhost/log'\n[[log.witness]]\nurl = 'http://127.0.0.1:{port}'\nkey = '{}'\n",
        witness.key
    );
    rewrite_config(&rig, "[log]\norigin = 'rig.belfry.localhost/log'\n", &more);
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(60), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();
    let took = until_cosigned(&rig).await;
    eprintln!("L3: the first cosigned checkpoint stood at /log {took:?} after the console");

    let operator = rig.log_in("operator").await.unwrap();
    let camera = until_durable(&rig, &operator, 8).await;
    drop(open_live(&rig, &operator, &text(&camera, "/streams/0/id")).await);
    rig.stop_sim().unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    rig.start_sim().unwrap();
    until_durable(&rig, &operator, 12).await;
    // A process that is killed: its end and its new start are told, and the segment that it left is closed by the next one.
    let recorder = pid_of_role(&rig, "recorder").unwrap();
    signal(recorder, Signal::KILL);
    let is_back = async |rig: &Rig| pid_of_role(rig, "recorder").is_some_and(|pid| pid != recorder);
    rig.until("the recorder is back", Duration::from_secs(20), is_back).await.unwrap();
    until_durable(&rig, &operator, 16).await;
    // A backup of the log as it was now.
    let (state, backup) = (rig.path().join("state"), rig.path().join("backup"));
    std::fs::create_dir(&backup).unwrap();
    rig.stop_belfry().await.unwrap();
    copy(&state.join("log"), &backup.join("log"));
    copy(&state.join("keys/log.signed"), &backup.join("log.signed"));
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(60), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();

    let wanted = [
        "started",
        "stopped",
        "configuration_changed",
        "role_started",
        "role_ended",
        "segments",
        "gaps",
        "segments_erased",
        "details_exported",
        "live",
    ];
    let found =
        until_leaf(&rig, "each kind of leaf", |found| wanted.iter().all(|word| found.contains_key(*word))).await;
    for (word, all) in &found {
        eprintln!("leaves: {word} {}", all.len());
    }
    let killed = |details: &Value| details["role"] == "recorder" && details["how"].to_string().contains("signal: 9");
    assert!(found["role_ended"].iter().any(killed), "{:?}", found["role_ended"]);
    for role in ["recorder", "keeper-0", "ingest-0", "serve"] {
        assert!(
            found["role_started"].iter().any(|details| details["role"] == role),
            "{role} {:?}",
            found["role_started"]
        );
    }
    assert_eq!(found["configuration_changed"][0]["settings"], serde_json::json!(["log.witness"]));
    let gap = &found["gaps"][0]["gaps"][0];
    assert!(gap["to_us"].as_i64().unwrap() - gap["from_us"].as_i64().unwrap() > 2_000_000, "{gap}");
    // Told once each, and erased only what was told.
    let names = |word: &str| -> Vec<String> {
        let all = found[word].iter().flat_map(|details| details["segments"].as_array().unwrap().clone());
        all.map(|one| text(&one, "/segment")).collect()
    };
    let (told, erased) = (names("segments"), names("segments_erased"));
    let once: std::collections::BTreeSet<&String> = told.iter().collect();
    assert_eq!(once.len(), told.len());
    assert!(!erased.is_empty() && erased.iter().all(|name| once.contains(name)), "{erased:?}");

    // First without details, as anybody may; then with an export that was taken after the mirror: it holds every leaf of it.
    let word = stranger(&rig, &witness);
    eprintln!("the stranger's script: {}", word.trim());
    drop(leaves(&rig));
    let details = rig.path().join("details");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/verify_log.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(rig.path().join("mirror/log"))
        .arg("--key")
        .arg(state.join("keys/log.pub"))
        .args(["--witness-key", &witness.key, "--details"])
        .arg(&details)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    eprintln!("the same with details: {}", said.trim());

    // A log that goes back: the operator restores an old backup, lock and all. The witness knows better.
    rig.stop_belfry().await.unwrap();
    let before = witness.known().await;
    copy(&backup.join("log"), &state.join("log"));
    copy(&backup.join("log.signed"), &state.join("keys/log.signed"));
    rig.start_belfry().unwrap();
    let is_told = async |rig: &Rig| {
        health(rig).await.is_some_and(|(_, said)| said["alarms"].to_string().contains("\"log_fork\""))
    };
    let took = rig.until("health says that the log was rolled back", Duration::from_secs(60), is_told).await.unwrap();
    eprintln!("a rolled-back log was refused by the witness, and told after {took:?}");
    assert_eq!(witness.known().await, before, "the witness stands by what it knows");
}
