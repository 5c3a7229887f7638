use std::path::Path;

use audit::{Leaf, LeafKind, LogKey};
use vms_app::gate::{AuditLog as _, LogEntry};
use vms_core::WallTime;

use super::*;

pub(super) fn settings(dir: &Path) -> LogSettings {
    let key = LogKey::from_seed("belfry.test/log", &[1; 32]).unwrap();
    LogSettings {
        dir: dir.to_owned(),
        lock: dir.join("signed"),
        key,
        salt: || [7; 32],
        checkpoint_every: CHECKPOINT_EVERY,
    }
}

pub(super) fn entry(n: i64) -> LogEntry {
    let details = serde_json::json!({ "n": n });
    LogEntry { kind: LeafKind::Use, at: WallTime::from_secs(n), decision: None, refers: None, details }
}

fn checkpoint(dir: &Path) -> (u64, tlog_tiles::tlog::Hash) {
    let key = settings(dir).key;
    let text = std::fs::read(dir.join("public/checkpoint")).unwrap();
    audit::note::open(&text, "belfry.test/log", key.verifier_key()).unwrap()
}

#[tokio::test]
async fn leaves_are_durable_at_once_and_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (log, thread) = Sequencer::start(settings(dir.path())).unwrap();
    for n in 0..300 {
        assert_eq!(log.append(entry(n)).await.unwrap(), u64::try_from(n).unwrap());
    }
    // What a kill leaves: the files as they are now, without the last checkpoint.
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), copy.path());
    log.stop();
    thread.join().unwrap();
    let (size, root) = checkpoint(dir.path());
    assert_eq!(size, 300);

    let (again, thread) = Sequencer::start(settings(copy.path())).unwrap();
    assert_eq!(again.size(), 300);
    assert_eq!(checkpoint(copy.path()), (300, root));
    assert_eq!(again.append(entry(300)).await.unwrap(), 300);
    let details = again.details(299, 10).await.unwrap();
    assert_eq!(details.iter().map(|record| record.index).collect::<Vec<_>>(), [299, 300]);
    for record in details {
        let leaf = Leaf::parse(&record.leaf).unwrap();
        assert_eq!(leaf.commitment, Commitment::to(&record.salt, record.details.as_bytes()));
    }
    again.stop();
    thread.join().unwrap();
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_other_damage_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (log, thread) = Sequencer::start(settings(dir.path())).unwrap();
    for n in 0..5 {
        log.append(entry(n)).await.unwrap();
    }
    let journal = dir.path().join("journal/00000000000000000000.log");
    let whole = std::fs::read(&journal).unwrap();
    let killed = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), killed.path());
    log.stop();
    thread.join().unwrap();

    let torn = killed.path().join("journal/00000000000000000000.log");
    std::fs::write(&torn, &whole[..whole.len() - 3]).unwrap();
    let (again, thread) = Sequencer::start(settings(killed.path())).unwrap();
    assert_eq!(again.size(), 4, "the cut leaf was never acknowledged as far as this disk knows");
    again.stop();
    thread.join().unwrap();

    let tile = dir.path().join("public/tile/0/000.p/5");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    assert!(matches!(Sequencer::start(settings(dir.path())), Err(LogFault::Tampered(_))));
}

#[tokio::test]
async fn a_log_that_cannot_write_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::recover(settings(dir.path())).unwrap();
    state.journal.poison();
    std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
    std::fs::write(dir.path().join("journal"), b"not a folder").unwrap();
    let (answer, wait) = oneshot::channel();
    state.commit(vec![Waiting { entry: entry(0), answer }]);
    assert!(matches!(wait.await.unwrap(), Err(LogFault::Io(_))));
}

/// What an overseer's kit says of the public folder.
fn check_public(dir: &Path) -> u64 {
    let mut files = std::collections::BTreeMap::new();
    collect(&dir.join("public"), "", &mut files);
    let pins = audit::Pins { log_key: settings(dir).key.verifier_key().to_owned(), ..audit::Pins::default() };
    audit::check(&files, &pins).unwrap().size
}

fn collect(dir: &Path, below: &str, files: &mut std::collections::BTreeMap<String, Vec<u8>>) {
    for item in std::fs::read_dir(dir).unwrap() {
        let item = item.unwrap();
        let path = format!("{below}{}", item.file_name().to_str().unwrap());
        if item.file_type().unwrap().is_dir() {
            collect(&item.path(), &format!("{path}/"), files);
        } else {
            files.insert(path, std::fs::read(item.path()).unwrap());
        }
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_noted_and_the_log_still_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (log, thread) = Sequencer::start(settings(dir.path())).unwrap();
    for at in [1_000, 1_001, 998, 400, 401] {
        log.append(entry(at)).await.unwrap();
    }
    let details = log.details(0, 10).await.unwrap();
    let steps: Vec<u64> =
        details.iter().filter(|one| one.details.contains("clock_step")).map(|one| one.index).collect();
    assert_eq!((details.len(), steps), (6, vec![3]), "three seconds are threads that overtook each other");
    log.stop();
    thread.join().unwrap();
    // Over a restart as well.
    let (log, thread) = Sequencer::start(settings(dir.path())).unwrap();
    log.append(entry(10)).await.unwrap();
    log.stop();
    thread.join().unwrap();
    // The size is told after the answer is.
    assert_eq!(log.size(), 8);
    assert_eq!(check_public(dir.path()), 8);
}

#[tokio::test]
async fn an_older_backup_and_a_second_signer_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (log, thread) = Sequencer::start(settings(dir.path())).unwrap();
    for n in 0..5 {
        log.append(entry(n)).await.unwrap();
    }
    log.stop();
    thread.join().unwrap();
    let backup = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), backup.path());
    let (log, thread) = Sequencer::start(settings(dir.path())).unwrap();
    for n in 5..9 {
        log.append(entry(n)).await.unwrap();
    }
    log.stop();
    thread.join().unwrap();
    // The log out of the backup, beside the lock of today.
    let lock = dir.path().join("signed");
    let old = LogSettings { lock: lock.clone(), ..settings(backup.path()) };
    let refused = Sequencer::start(old).unwrap_err().to_string();
    assert!(refused.contains("rolled back"), "{refused}");
    // Today's log beside the lock of the backup.
    let old = LogSettings { lock: backup.path().join("signed"), ..settings(dir.path()) };
    assert!(matches!(Sequencer::start(old), Err(LogFault::Tampered(_))));
    // Two that run at once: the one that did not sign last signs no more.
    let mut first = State::recover(settings(dir.path())).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), copy.path());
    let mut second = State::recover(LogSettings { lock, ..settings(copy.path()) }).unwrap();
    for (state, at) in [(&mut first, 20), (&mut second, 21)] {
        let (answer, _wait) = oneshot::channel();
        state.commit(vec![Waiting { entry: entry(at), answer }]);
    }
    first.checkpoint().unwrap();
    let refused = second.checkpoint().unwrap_err().to_string();
    assert!(refused.contains("somebody else signed"), "{refused}");
}

#[tokio::test]
async fn a_kill_between_full_tiles_and_the_checkpoint_leaves_what_the_checkpoint_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::recover(settings(dir.path())).unwrap();
    let add = |state: &mut State, count: i64| {
        for _ in 0..count {
            let (answer, _wait) = oneshot::channel();
            state.commit(vec![Waiting { entry: entry(500), answer }]);
        }
    };
    add(&mut state, 200);
    state.checkpoint().unwrap();
    add(&mut state, 100);
    drop(state.write_tiles().unwrap());
    // Killed here.
    drop(state);
    let state = State::recover(settings(dir.path())).unwrap();
    assert_eq!(state.signed, 300);
    assert_eq!(check_public(dir.path()), 300);
}

#[tokio::test]
async fn details_that_no_record_holds_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (log, thread) = Sequencer::start(settings(dir.path())).unwrap();
    let details = serde_json::json!("\"".repeat(journal::DETAILS_MAX));
    assert!(log.append(LogEntry { details, ..entry(1) }).await.is_err());
    let details = serde_json::json!("\"".repeat(journal::DETAILS_MAX / 2 - 1));
    assert_eq!(log.append(LogEntry { details, ..entry(1) }).await.unwrap(), 0);
    log.stop();
    thread.join().unwrap();
    assert_eq!(State::recover(settings(dir.path())).unwrap().tree.size(), 1);
}

#[tokio::test]
async fn a_cosigned_checkpoint_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let (log, thread) = Sequencer::start(settings(dir.path())).unwrap();
    log.append(entry(1)).await.unwrap();
    log.stop();
    thread.join().unwrap();
    let state = State::recover(settings(dir.path())).unwrap();
    let witness = audit::WitnessKey::from_seed("witness.test/w", &[3; 32]).unwrap();
    let pinned = audit::WitnessVerifier::new(&witness.verifier_key()).unwrap();
    let note = std::fs::read(dir.path().join("public/checkpoint")).unwrap();
    let line = witness.cosign(&note, 1_790_000_000).unwrap();
    state.publish_cosigned(&audit::cosign::add(&note, &line, &pinned).unwrap()).unwrap();
    for name in ["checkpoint", "checkpoint.cosigned"] {
        let text = std::fs::read(dir.path().join("public").join(name)).unwrap();
        let key = settings(dir.path()).key;
        assert!(audit::cosign::open(&text, key.verifier_key(), std::slice::from_ref(&pinned)).is_ok(), "{name}");
    }
    assert!(state.publish_cosigned(b"nonsense").is_err());
}

#[test]
fn rubbish_in_the_journal_is_no_record() {
    for bytes in [&b""[..], b"abc", &[0xff; 64], &[0; 64]] {
        journal::fuzz_journal(bytes);
    }
}

fn copy_tree(from: &Path, to: &Path) {
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_tree(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}

fn waiting(kind: LeafKind, refers: Option<u64>) -> (Waiting, oneshot::Receiver<Result<u64, LogFault>>) {
    let (answer, wait) = oneshot::channel();
    (Waiting { entry: LogEntry { kind, refers, ..entry(1) }, answer }, wait)
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_written_and_what_was_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::recover(settings(dir.path())).unwrap();
    let (opening, opened) = waiting(LeafKind::Open, None);
    state.commit(vec![opening]);
    assert_eq!(opened.await.unwrap().unwrap(), 0);
    let (given_up, gone) = waiting(LeafKind::Open, None);
    drop(gone);
    state.commit(vec![given_up]);
    assert_eq!(state.tree.size(), 1, "its asker had given up before it was written");

    // What a sync that fails after its write leaves behind: the leaf is there, and its asker was told that it is not.
    let (closing, _wait) = waiting(LeafKind::Close, Some(0));
    let close = state.record(closing.entry);
    let lost = state.record(entry(2));
    state.journal.append(&[close, lost]).unwrap();
    state.unclaimed.closes.insert(0, 1);
    state.unclaimed.untold.push(2);
    let (again, answer) = waiting(LeafKind::Close, Some(0));
    state.commit(vec![again]);
    assert_eq!((answer.await.unwrap().unwrap(), state.tree.size()), (1, 3), "a use is closed once");
    let (next, answer) = waiting(LeafKind::Use, None);
    state.commit(vec![next]);
    assert_eq!(answer.await.unwrap().unwrap(), 4);
    let told = state.journal.read_from(3, 1).unwrap().remove(0);
    assert!(told.leaf.contains(" system ") && told.details.contains("leaf_unclaimed"), "{told:?}");
    assert!(told.details.contains("\"leaves\":[2]"), "{told:?}");
}

#[tokio::test]
async fn a_store_that_never_answers_and_one_that_is_full_are_told_in_time_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let often = Duration::from_millis(50);
    let (log, thread) = Sequencer::start(LogSettings { checkpoint_every: often, ..settings(dir.path()) }).unwrap();
    assert_eq!(log.append(entry(0)).await.unwrap(), 0);
    log.stands().await.unwrap();
    let trap = dir.path().join("public/checkpoint.tmp");
    let until = async |wanted: bool, n: i64| {
        for _ in 0..400 {
            let asked = tokio::time::Instant::now();
            let took = log.append(entry(n)).await.is_ok();
            assert!(asked.elapsed() < APPEND_MAX + Duration::from_millis(500), "{:?}", asked.elapsed());
            if took == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the log should {} leaves by now", if wanted { "take" } else { "refuse" });
    };
    // A pipe without a reader: whoever opens it for writing waits for ever.
    rustix::fs::mknodat(rustix::fs::CWD, &trap, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    until(false, 1).await;
    assert!(log.stands().await.is_err());
    let reader = std::fs::File::from(
        rustix::fs::open(&trap, rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK, rustix::fs::Mode::empty())
            .unwrap(),
    );
    std::fs::remove_file(&trap).unwrap();
    until(true, 2).await;
    drop(reader);
    // A device that is always full.
    std::os::unix::fs::symlink("/dev/full", &trap).unwrap();
    until(false, 3).await;
    assert!(log.stands().await.is_err());
    std::fs::remove_file(&trap).unwrap();
    until(true, 4).await;
    log.stop();
    thread.join().unwrap();
    assert_eq!(check_public(dir.path()), log.size());
}
