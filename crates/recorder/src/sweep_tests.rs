use std::collections::HashMap;
use std::path::Path;

use vms_core::{MonoTime, SegmentId, WallTime};

use crate::catalogue::{Batch, SegmentState};
use crate::index::Index;
use crate::ports::Clock as _;
use crate::sweep::{self, ClockGuard, Held};
use crate::testfilm::{TestClock, facts, stream};

fn state(root: &Path, number: u8, of: u8, (from_s, to_s): (i64, i64), bytes: usize, closed: bool) -> SegmentState {
    let path = std::path::PathBuf::from(format!("{}/d/h/{number}.blf", stream(of)));
    std::fs::create_dir_all(root.join(&path).parent().unwrap()).unwrap();
    std::fs::write(root.join(&path), vec![0; bytes]).unwrap();
    SegmentState {
        segment: SegmentId::from_bytes([number; 16]),
        stream: stream(of),
        camera: facts(of).camera,
        class: facts(of).class.clone(),
        keep_s: 100,
        path,
        from: WallTime::from_secs(from_s),
        to: WallTime::from_secs(to_s),
        epoch: 1,
        boot: [0; 16],
        last_seq: 0,
        last_mono: MonoTime::default(),
        payload: 1,
        file_len: u64::try_from(bytes).unwrap(),
        units: 1,
        entries: vec![],
        sets: vec![],
        closing_at: closed.then_some(1),
        digest: closed.then_some([1; 32]),
        flags: 0,
    }
}

async fn rig(keep_unknown: bool) -> (tempfile::TempDir, Index) {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index.db")).await.unwrap();
    let root = dir.path();
    let mut segments = vec![
        state(root, 1, 1, (0, 60), 100, true),
        state(root, 2, 1, (60, 120), 100, true),
        state(root, 3, 2, (0, 60), 100, true),
        state(root, 4, 2, (60, 120), 100, false),
    ];
    if keep_unknown {
        segments.iter_mut().for_each(|one| one.keep_s = 0);
    }
    index.flush(&Batch { segments, gaps: vec![] }, WallTime::from_secs(1)).await.unwrap();
    (dir, index)
}

fn left(root: &Path) -> Vec<u8> {
    let there = |number: &u8| [1, 2].iter().any(|of| root.join(format!("{}/d/h/{number}.blf", stream(*of))).exists());
    (1..=4).filter(there).collect()
}

#[tokio::test]
async fn only_what_is_past_its_term_goes() {
    let term = |of: u8, keep: u64| ((stream(of), "RC-VID-OPEN".to_owned()), keep);
    for (now_s, terms, unknown, wanted) in [
        (159, vec![], false, vec![1, 2, 3, 4]),
        (160, vec![], false, vec![2, 4]),
        (1_000_000, vec![], false, vec![4]),
        // The assignment's term rules, longer or shorter.
        (160, vec![term(1, 1_000)], false, vec![1, 2, 4]),
        (130, vec![term(1, 10)], false, vec![3, 4]),
        // An unknown term erases nothing.
        (1_000_000, vec![], true, vec![1, 2, 3, 4]),
        (1_000_000, vec![term(2, 5)], true, vec![1, 2, 4]),
    ] {
        let (dir, index) = rig(unknown).await;
        let terms: HashMap<_, _> = terms.into_iter().collect();
        let now = WallTime::from_secs(now_s);
        let erased = sweep::expire(dir.path(), &index, &terms, now).await.unwrap();
        assert_eq!(left(dir.path()), wanted, "at {now_s}");
        assert_eq!(usize::try_from(erased).unwrap(), 4 - wanted.len());
        let (rows, gaps, _) = index.since(0, 100).await.unwrap();
        assert_eq!(rows.len(), 4, "rows stay");
        assert!(gaps.is_empty());
        let marked = rows.iter().filter(|row| row.erased_us == Some(now.micros)).count();
        assert_eq!(marked, 4 - wanted.len());
    }
}

#[tokio::test]
async fn over_the_cap_the_oldest_go_first_and_leave_a_hole() {
    let table = [
        (400, 100, vec![1, 2, 3, 4]),
        (399, 100, vec![2, 3, 4]),
        (250, 100, vec![2, 4]),
        (0, 100, vec![4]),
        (400, 250, vec![2, 4]),
    ];
    for (cap, growing, wanted) in table {
        let (dir, index) = rig(false).await;
        let now = WallTime::from_secs(50);
        let erased = sweep::make_room(dir.path(), &index, cap, growing, now).await.unwrap();
        assert_eq!(left(dir.path()), wanted, "cap {cap}");
        let (_, gaps, _) = index.since(0, 100).await.unwrap();
        assert_eq!(u64::try_from(gaps.len()).unwrap(), erased);
        assert!(gaps.iter().all(|gap| gap.cause == link::Cause::DiskCap && gap.to_us.is_some()));
    }
}

#[tokio::test]
async fn an_interrupted_deletion_is_finished() {
    let (dir, index) = rig(false).await;
    let oldest = index.oldest(1).await.unwrap();
    index.mark_erasing(&oldest).await.unwrap();
    let range = vms_core::TimeRange::new(WallTime::from_secs(0), WallTime::from_secs(59)).unwrap();
    assert!(index.overlapping(oldest[0].stream, range).await.unwrap().is_empty(), "nobody reads it any more");
    assert_eq!(sweep::finish(dir.path(), &index, WallTime::from_secs(9)).await.unwrap(), 1);
    assert_eq!(left(dir.path()).len(), 3);
}

#[tokio::test]
async fn the_change_cursor_skips_nothing() {
    let (_dir, index) = rig(false).await;
    let (mut seen, mut cursor) = (Vec::new(), 0);
    loop {
        let (rows, _, next) = index.since(cursor, 1).await.unwrap();
        if next == cursor {
            break;
        }
        seen.extend(rows.into_iter().map(|row| row.segment));
        cursor = next;
    }
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn an_untrusted_or_stepped_clock_erases_nothing() {
    const DAY_US: i64 = 86_400_000_000;
    let clock = TestClock::new();
    let mut guard = ClockGuard::default();
    assert!(guard.check(clock.as_ref()).is_ok());
    clock.trust(false);
    assert_eq!(guard.check(clock.as_ref()), Err(Held::Untrusted));
    clock.trust(true);
    clock.step_wall(200_000_000);
    assert!(guard.check(clock.as_ref()).is_ok(), "a small step is an ordinary correction");
    for step in [31 * DAY_US, -365 * DAY_US] {
        clock.step_wall(step);
        assert_eq!(guard.check(clock.as_ref()), Err(Held::Stepped));
        assert_eq!(guard.check(clock.as_ref()), Err(Held::Stepped), "it stays held");
        clock.step_wall(-step);
        assert!(guard.check(clock.as_ref()).is_ok());
    }
    assert!(clock.wall() > WallTime::from_secs(0));
}
