//! Sealed footage in the whole system: what lies on the disk, what happens when a copy of the key store goes and comes back, and what
//! the operator's commands say.

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

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use vms_testkit::rig::{Person, Rig};

use outage::{bytes_on_disk, pid_of_role, rewrite_config};
use support::{health, now_us, options, playback, text, until_durable};

/// What `belfry ARGS` prints, and whether it ended well.
fn belfry(rig: &Rig, args: &[&str]) -> (bool, String) {
    let program = options(1, 0).programs.join("belfry");
    let output = Command::new(program).arg("--config").arg(rig.path().join("belfry.toml")).args(args).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

async fn cause(person: &Person) -> Option<String> {
    let page = person.ask("GET", "/api/v1/health/cameras", None).await.ok()?;
    page.pointer("/items/0/cause")?.as_str().map(str::to_owned)
}

async fn start(rig: &mut Rig) -> Person {
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(30), async |rig: &Rig| health(rig).await.is_some())
        .await
        .unwrap();
    rig.log_in("techniek").await.unwrap()
}

/// Waits until the operator reads that keys are the matter.
async fn until_stopped(rig: &Rig, technician: &Person) {
    let is_told = async |_: &Rig| cause(technician).await.as_deref() == Some("keys");
    rig.until("the operator reads that no key can be saved", Duration::from_secs(40), is_told).await.unwrap();
}

/// Waits until footage grows, as nothing but a recorder with keys makes it.
async fn until_recording(rig: &Rig) -> Duration {
    let media = rig.path().join("state/footage/media");
    let before = bytes_on_disk(&media);
    let grows = async |_: &Rig| {
        let now = bytes_on_disk(&media);
        before.iter().all(|(stream, bytes)| now.get(stream).is_some_and(|new| *new > bytes + 100_000))
    };
    rig.until("it records", Duration::from_secs(30), grows).await.unwrap()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_keys_goes_and_comes_back_and_nothing_lies_in_clear() {
    let mut rig = Rig::start(options(1, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    let camera = until_durable(&rig, &operator, 6).await;
    let stream = text(&camera, "/streams/0/id");
    let played = playback(&operator, &stream, 4).await;
    let film = operator.bytes(&text(&played, "/url"), None).await.unwrap();
    let (works, said) = belfry(&rig, &["keys", "status"]);
    assert!(works && said.contains("the first copy is whole"), "{said}");
    let (works, said) = belfry(&rig, &["keys", "rotate"]);
    assert!(!works && said.contains("another process has the key store open"), "{said}");
    rig.stop_belfry().await.unwrap();

    // Nothing of what was shown lies in clear, in the whole state of the machine.
    let at = film.len() / 2;
    let needles: Vec<&[u8]> = [at, at + 5_000, at + 90_000].iter().map(|at| &film[*at..*at + 24]).collect();
    let (mut seen, mut footage) = (0, 0);
    for path in files(&rig.path().join("state")) {
        let content = std::fs::read(&path).unwrap();
        (seen, footage) = (seen + 1, footage + usize::from(path.extension().is_some_and(|ext| ext == "blf")));
        for needle in &needles {
            assert!(!content.windows(needle.len()).any(|part| part == *needle), "{}", path.display());
        }
    }
    assert!(seen > 10 && footage > 0);

    // A second copy is asked for that is not there: no camera records, and it says why.
    let second =
        "[recorder.keys]\none_disk = false\nsecond_store = 'second/store'\nsecond_root = 'second/root'\n[recorder]\n";
    rewrite_config(&rig, "[recorder]\n", second);
    let technician = start(&mut rig).await;
    until_stopped(&rig, &technician).await;
    let told = async |rig: &Rig| {
        health(rig).await.is_some_and(|(status, body)| status == 503 && text(&body, "/detail").contains("key store"))
    };
    rig.until("health says it in words", Duration::from_secs(40), told).await.unwrap();
    rig.stop_belfry().await.unwrap();
    let (works, said) = belfry(&rig, &["keys", "adopt", "second"]);
    assert!(works && said.contains("whole"), "{said}");
    let technician = start(&mut rig).await;
    until_recording(&rig).await;

    // Its disk goes (the recorder starts anew, so that it needs a key at once), and comes back.
    let (store, aside) = (rig.path().join("second/store"), rig.path().join("second/aside"));
    std::fs::rename(&store, &aside).unwrap();
    std::fs::write(&store, b"").unwrap();
    let recorder = pid_of_role(&rig, "recorder").unwrap();
    vms_benches::process::signal(recorder, rustix::process::Signal::KILL);
    until_stopped(&rig, &technician).await;
    let began = now_us();
    std::fs::remove_file(&store).unwrap();
    std::fs::rename(&aside, &store).unwrap();
    until_recording(&rig).await;
    eprintln!(
        "the copy is back: recording again after {:.1} s",
        Duration::from_micros(u64::try_from(now_us() - began).unwrap()).as_secs_f64()
    );
    let operator = rig.log_in("operator").await.unwrap();
    let has_gap = async |_: &Rig| {
        let gaps = outage::gaps(&operator).await;
        gaps.iter().any(|(from, to, cause)| cause == "keys" && *to > *from)
    };
    rig.until("the hole has its cause", Duration::from_secs(30), has_gap).await.unwrap();
    rig.stop_belfry().await.unwrap();
    for args in [&["keys", "rotate"][..], &["keys", "check"], &["check", "--deep"]] {
        let (works, said) = belfry(&rig, args);
        assert!(works, "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_store_that_is_not_there_is_never_made_anew() {
    let mut rig = Rig::start(options(1, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    until_durable(&rig, &operator, 4).await;
    rig.stop_belfry().await.unwrap();
    let (folder, aside) = (rig.path().join("state/footage-keys"), rig.path().join("aside"));
    std::fs::rename(&folder, &aside).unwrap();
    let technician = start(&mut rig).await;
    until_stopped(&rig, &technician).await;
    assert!(!folder.exists(), "nothing was made in its place");
    let (works, said) = belfry(&rig, &["keys", "status"]);
    assert!(!works && said.contains("no copy of the key store is there") && said.contains("mount"), "{said}");
    // It is mounted: recording goes on by itself, and what a kill had cut is played.
    std::fs::rename(&aside, &folder).unwrap();
    until_recording(&rig).await;
    rig.stop_belfry().await.unwrap();
    let found = vms_benches::frames::walk(&rig.path().join("state/footage/media")).unwrap();
    assert_eq!(found.damaged, Vec::<String>::new());
    let (works, said) = belfry(&rig, &["check"]);
    assert!(works, "{said}");
}
