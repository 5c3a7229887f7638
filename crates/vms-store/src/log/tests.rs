use std::path::Path;

use audit::{Leaf, LeafKind, LogKey};
use vms_app::gate::{AuditLog as _, LogEntry};
use vms_core::WallTime;

use super::*;

fn settings(dir: &Path) -> LogSettings {
    let key = LogKey::from_seed("belfry.test/log", &[1; 32]).unwrap();
    LogSettings { dir: dir.to_owned(), key, salt: || [7; 32] }
}

fn entry(n: i64) -> LogEntry {
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
