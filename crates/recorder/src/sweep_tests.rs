use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use keys::{KeyEpoch, Reason};
use vms_core::{MonoTime, SegmentId, WallTime};

use crate::catalogue::{Batch, Catalogue, SegmentState};
use crate::deletions::{Approval, DeletionLog, Line, PlannedKey, Step};
use crate::disk::file::{NoFault, SegmentFile};
use crate::format::{SegmentHeader, read};
use crate::index::Index;
use crate::reconcile::Reconciled;
use crate::recover::recover_file;
use crate::reseal::key_name;
use crate::sweep::{Losing, Lost, Sweep, SweepError, Terms, key_dies_at};
use crate::testfilm::{FixedClock, START, facts, film, fragments, sets, stream, vault};
use crate::vault::{Curtain, NoKey, Vault};

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
        key_epoch: 0,
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

/// A row of a closed segment without a file.
pub(crate) fn row(number: u8, of: u8, span: (i64, i64)) -> SegmentState {
    let dir = tempfile::tempdir().unwrap();
    state(dir.path(), number, of, span, 10, true)
}

async fn rig(keep_unknown: bool) -> (tempfile::TempDir, Index, Sweep) {
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
    let sweep = sweep_of(dir.path(), &index);
    (dir, index, sweep)
}

fn sweep_of(dir: &Path, index: &Index) -> Sweep {
    let vault = vault(&dir.join("own"), Arc::new(FixedClock));
    Sweep::new(dir, &dir.join("deletions"), index.clone(), vault).unwrap()
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
        let (dir, index, mut sweep) = rig(unknown).await;
        let terms = Terms { streams: terms.into_iter().collect(), cameras: HashMap::new() };
        let now = WallTime::from_secs(now_s);
        let erased = sweep.expire(&terms, now).await.unwrap();
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
        let (dir, index, mut sweep) = rig(false).await;
        let now = WallTime::from_secs(50);
        let bytes = (index.bytes().await.unwrap() + growing).saturating_sub(cap);
        let catalogue = Catalogue::default();
        let losing = Losing { bytes, keep_longest: &[], catalogue: &catalogue };
        let Lost { segments: erased, missing } = sweep.lose(losing, now).await.unwrap();
        assert_eq!(missing > 0, cap == 0, "a growing file does not go");
        assert_eq!(left(dir.path()), wanted, "cap {cap}");
        let (_, gaps, _) = index.since(0, 100).await.unwrap();
        assert_eq!(u64::try_from(gaps.len()).unwrap(), erased);
        assert!(gaps.iter().all(|gap| gap.cause == link::Cause::DiskCap && gap.to_us.is_some()));
    }
}

#[tokio::test]
async fn an_interrupted_deletion_is_finished() {
    let (dir, index, mut sweep) = rig(false).await;
    let oldest = index.oldest(1).await.unwrap();
    index.mark_erasing(&oldest).await.unwrap();
    let range = vms_core::TimeRange::new(WallTime::from_secs(0), WallTime::from_secs(59)).unwrap();
    assert!(index.overlapping(oldest[0].stream, range).await.unwrap().is_empty(), "nobody reads it any more");
    assert_eq!(sweep.finish(WallTime::from_secs(9)).await.unwrap(), 1);
    assert_eq!(left(dir.path()).len(), 3);
}

#[tokio::test]
async fn the_change_cursor_skips_nothing() {
    let (_dir, index, _sweep) = rig(false).await;
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

// --- keys ---------------------------------------------------------------------------------------------------------

/// Two hours of footage of two cameras, sealed, each hour two segments; hours by number from the first.
pub(crate) struct Sealed {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) index: Index,
    pub(crate) vault: Arc<Vault>,
    pub(crate) segments: Vec<SegmentState>,
}

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

pub(crate) fn start_s() -> i64 {
    START.0.micros / 1_000_000
}

pub(crate) async fn sealed() -> Sealed {
    let dir = tempfile::tempdir().unwrap();
    let media = dir.path().join("media");
    std::fs::create_dir(&media).unwrap();
    let index = Index::open(&dir.path().join("index.db")).await.unwrap();
    let vault = vault(dir.path(), Arc::new(FixedClock));
    let mut segments = Vec::new();
    for (at, number) in [(0, 1_u8), (60, 2), (HOUR_S, 3), (HOUR_S + 60, 4)] {
        for camera in [1_u8, 2] {
            let wall = WallTime::from_secs(start_s() + at);
            let mut header = SegmentHeader {
                segment: SegmentId::from_bytes([number * 16 + camera; 16]),
                stream: stream(camera),
                camera: facts(camera).camera,
                key_epoch: 0,
                wall,
                mono: START.1,
                epoch: 1,
                reason: 0,
                boot: [0; 16],
                previous: [0; 32],
                class: facts(camera).class.clone(),
            };
            let key = vault.begin(&key_name(&header), header.segment).unwrap();
            header.key_epoch = key.epoch().raw();
            let path = crate::plan::segment_path(header.stream, header.segment, wall);
            let mut file = SegmentFile::create(&media, &path, header, &mut Some(key), &mut NoFault).unwrap();
            for fragment in fragments(film(1, 0..25, 25)) {
                file.fragment(&fragment, &sets(), &mut Vec::new(), &mut NoFault).unwrap();
            }
            let end = wall.plus(std::time::Duration::from_secs(60));
            file.close(0, end, &mut NoFault).unwrap();
            let (mut state, ..) = recover_file(&media, &path, &vault).unwrap();
            (state.keep_s, state.from, state.to) = (u64::try_from(30 * DAY_S).unwrap(), wall, end);
            segments.push(state);
        }
    }
    let batch = Batch { segments: segments.clone(), gaps: vec![] };
    index.flush(&batch, WallTime::from_secs(start_s())).await.unwrap();
    Sealed { dir, index, vault, segments }
}

impl Sealed {
    pub(crate) fn sweep(&self) -> Sweep {
        let root = self.dir.path();
        Sweep::new(&root.join("media"), &root.join("deletions"), self.index.clone(), Arc::clone(&self.vault)).unwrap()
    }

    /// Which segments are files, and which of the files as they were at first a key still opens.
    fn state(&self) -> (Vec<u8>, Vec<u8>) {
        let number = |state: &SegmentState| state.segment.as_bytes()[0];
        let there = self.segments.iter().filter(|state| self.dir.path().join("media").join(&state.path).exists());
        let opens = |state: &&SegmentState| {
            let epoch = KeyEpoch::new(state.key_epoch).unwrap();
            self.vault.with(|ring| Ok(ring.open_segment(state.segment, epoch).is_ok())).unwrap()
        };
        (there.map(number).collect(), self.segments.iter().filter(opens).map(number).collect())
    }

    fn lines(&self) -> Vec<Line> {
        crate::deletions::lines(&self.dir.path().join("deletions")).unwrap()
    }
}

pub(crate) fn thirty_days() -> Terms {
    let mut terms = Terms::default();
    for of in [1, 2] {
        terms.add(stream(of), facts(of).camera, "RC-VID-OPEN", u64::try_from(30 * DAY_S).unwrap());
    }
    terms
}

const ALL: [u8; 8] = [17, 18, 33, 34, 49, 50, 65, 66];

#[tokio::test]
async fn the_key_of_an_hour_dies_an_hour_before_its_term_and_its_files_go_with_it() {
    let rig = sealed().await;
    let mut sweep = rig.sweep();
    // One segment is held; the copy of the disk that a thief made on the last day.
    let hold = vms_core::HoldId::from_bytes([7; 16]);
    let held = &rig.segments[1];
    let epoch = KeyEpoch::new(held.key_epoch).unwrap();
    rig.vault.with(|ring| ring.hold(hold, &[(held.segment, epoch)], START.0)).unwrap();
    let stolen: Vec<Vec<u8>> = rig
        .segments
        .iter()
        .map(|state| std::fs::read(rig.dir.path().join("media").join(&state.path)).unwrap())
        .collect();
    let at = |seconds: i64| WallTime::from_secs(start_s() + 30 * DAY_S + seconds);
    for (now_s, keys, files, opens) in [
        (-HOUR_S - 1, 0, &ALL[..], &ALL[..]),
        (-HOUR_S, 2, &[18, 49, 50, 65, 66], &[18, 49, 50, 65, 66]),
        (-HOUR_S, 0, &[18, 49, 50, 65, 66], &[18, 49, 50, 65, 66]),
        (-1, 0, &[18, 49, 50, 65, 66], &[18, 49, 50, 65, 66]),
        (0, 2, &[18], &[18]),
        (DAY_S, 0, &[18], &[18]),
    ] {
        assert_eq!(sweep.expire_keys(&thirty_days(), at(now_s)).await.unwrap(), keys, "at {now_s}");
        sweep.expire(&thirty_days(), at(now_s)).await.unwrap();
        let (there, open) = rig.state();
        assert_eq!((there.as_slice(), open.as_slice()), (files, opens), "at {now_s}");
    }
    // The raid: every file as it was, the key store of today with its root. Nothing past its term opens, but what is held.
    for (state, bytes) in rig.segments.iter().zip(&stolen) {
        let head = read::head(bytes.as_slice()).unwrap();
        let key = rig.vault.opener(&head.header);
        if state.segment == held.segment {
            let found = read::scan(bytes.as_slice(), key.unwrap().as_ref()).unwrap();
            assert_eq!(found.entries.len(), state.entries.len());
            assert!(!found.is_locked);
        } else {
            assert_eq!(key.unwrap_err(), NoKey::Destroyed);
            let found = read::scan(bytes.as_slice(), None).unwrap();
            assert!(found.is_locked && found.parameters.is_empty());
        }
    }
    rig.vault.with(|ring| ring.rotate(at(DAY_S))).unwrap();
    assert_eq!(rig.state().1, [18], "also after the next change of the root");
    // The records: two batches, each planned, proven and done.
    let steps: Vec<(u64, &str)> = rig
        .lines()
        .iter()
        .map(|line| {
            (
                line.batch,
                match &line.step {
                    Step::Planned { keys, reason } => {
                        assert_eq!((keys.len(), reason.as_str()), (2, "end_of_term"));
                        "planned"
                    }
                    Step::KeysDestroyed { count, digest, .. } => {
                        assert_eq!((*count, digest.len()), (2, 64));
                        "destroyed"
                    }
                    Step::Approved(_) | Step::ClockApproved(_) => "approved",
                    Step::Lost(_) | Step::Reconciled(_) | Step::Gated { .. } => "other",
                    Step::FilesErased { count, .. } => {
                        assert_eq!(*count, [3, 4][usize::try_from(line.batch - 1).unwrap()]);
                        "erased"
                    }
                },
            )
        })
        .collect();
    let wanted = |batch| [(batch, "planned"), (batch, "destroyed"), (batch, "erased")];
    assert_eq!(steps, [wanted(1), wanted(2)].concat());
    // Released, the last one goes with the next look.
    rig.vault.with(|ring| ring.release(hold, at(DAY_S))).unwrap();
    sweep.finish(at(DAY_S)).await.unwrap();
    assert_eq!(rig.state(), (vec![], vec![]));
}

#[tokio::test]
async fn a_sweep_that_a_crash_cut_is_finished_at_the_next_start() {
    let due = WallTime::from_secs(start_s() + 30 * DAY_S - HOUR_S);
    for cut in ["planned", "keys", "record", "marked"] {
        let rig = sealed().await;
        let old: Vec<_> = rig.vault.with(|ring| Ok(ring.hours_before(keys::Hour::of(START.0.plus(SHIFT))))).unwrap();
        assert_eq!(old.len(), 2);
        let (mut log, _) = DeletionLog::open(&rig.dir.path().join("deletions")).unwrap();
        let planned = old.iter().filter_map(|(epoch, name)| PlannedKey::of(*epoch, name)).collect();
        let batch = log.plan(Reason::EndOfTerm, planned, due).unwrap();
        if cut != "planned" {
            let select = |epoch| old.iter().any(|(known, _)| *known == epoch);
            let done = rig.vault.with(|ring| ring.destroy_epochs(&select, 9, Reason::EndOfTerm, due)).unwrap();
            if cut != "keys" {
                log.destroyed(batch, &done).unwrap();
            }
            if cut == "marked" {
                let rows = rig.index.of_key(old[0].0.raw()).await.unwrap();
                assert_eq!(rows.len(), 2);
                rig.index.mark_erasing(&rows).await.unwrap();
            }
        }
        for _ in 0..2 {
            rig.sweep().finish(due).await.unwrap();
            assert_eq!(rig.state(), (vec![49, 50, 65, 66], vec![49, 50, 65, 66]), "{cut}");
        }
        let is_proven = |line: &Line| line.batch == batch && matches!(line.step, Step::KeysDestroyed { .. });
        assert!(rig.lines().iter().any(is_proven), "{cut}");
    }
}

#[tokio::test]
async fn a_clock_that_is_a_year_ahead_destroys_nothing_without_two_people() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index.db")).await.unwrap();
    let vault = vault(dir.path(), Arc::new(FixedClock));
    let name = |hour: u32| keys::KeyName {
        scope: keys::Scope::Camera(facts(1).camera),
        class: facts(1).class.clone(),
        hour: keys::Hour::from_count(keys::Hour::of(START.0).count() + hour),
    };
    let names: Vec<_> = (0..40).map(name).collect();
    vault.with(|ring| ring.prepare_hours(&names, START.0)).unwrap();
    let records = dir.path().join("deletions");
    let mut sweep = Sweep::new(&dir.path().join("media"), &records, index, Arc::clone(&vault)).unwrap();
    let live = || vault.with(|ring| Ok(ring.live_hours().len())).unwrap();
    let year = WallTime::from_secs(start_s() + 365 * DAY_S);
    let until_hour = name(39).hour.count();
    for _ in 0..2 {
        let held = sweep.expire_keys(&thirty_days(), year).await;
        assert!(matches!(held, Err(SweepError::Unusual { hours: 40, until_hour: hour }) if hour == until_hour));
        assert_eq!(live(), 40);
    }
    let approval = |until_hour, second: &str| Approval { until_hour, first: "An".into(), second: second.into() };
    assert!(approval(until_hour, " an").give(&records).is_err(), "one person is not two");
    // For fewer hours than are due: not enough, and used up.
    approval(until_hour - 1, "Bo").give(&records).unwrap();
    assert!(sweep.expire_keys(&thirty_days(), year).await.is_err());
    approval(until_hour, "Bo").give(&records).unwrap();
    assert_eq!(sweep.expire_keys(&thirty_days(), year).await.unwrap(), 40);
    assert_eq!(live(), 0);
    let given = crate::deletions::lines(&records).unwrap();
    assert!(given.iter().any(|line| matches!(&line.step, Step::Approved(given) if given.second == "Bo")));
    // As many as one and a half days hold go without being asked.
    vault.with(|ring| ring.prepare_hours(&names[..36], START.0)).unwrap();
    assert_eq!(sweep.expire_keys(&thirty_days(), year).await.unwrap(), 36);
}

#[tokio::test]
async fn what_goes_within_a_day_counts_together_also_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index.db")).await.unwrap();
    let vault = vault(dir.path(), Arc::new(FixedClock));
    let name = |hour: u32| keys::KeyName {
        scope: keys::Scope::Camera(facts(1).camera),
        class: facts(1).class.clone(),
        hour: keys::Hour::from_count(keys::Hour::of(START.0).count() + hour),
    };
    let names: Vec<_> = (0..200).map(name).collect();
    vault.with(|ring| ring.prepare_hours(&names, START.0)).unwrap();
    let open = || Sweep::new(dir.path(), &dir.path().join("deletions"), index.clone(), Arc::clone(&vault)).unwrap();
    let live = || vault.with(|ring| Ok(ring.live_hours().len())).unwrap();
    let mut at =
        name(20).hour.start().plus(std::time::Duration::from_secs(u64::try_from(30 * DAY_S - HOUR_S).unwrap()));
    let step = |hours: u64| std::time::Duration::from_secs(hours * 3_600);
    assert_eq!(open().expire_keys(&thirty_days(), at).await.unwrap(), 21);
    // A clock that is moved on by fifteen hours twice: the second time is more than a day and a half in all.
    at = at.plus(step(15));
    assert_eq!(open().expire_keys(&thirty_days(), at).await.unwrap(), 15, "22.5 of 21 hours ran off");
    let jump = at.plus(step(31));
    let held = open().expire_keys(&thirty_days(), jump).await;
    assert_eq!(held.unwrap(), 31, "by trusted time thirty-one hours have passed");
    let far = jump.plus(step(40));
    assert!(matches!(open().expire_keys(&thirty_days(), far).await, Err(SweepError::Unusual { hours: 40, .. })));
    assert_eq!(live(), 200 - 67);
    // The usual day, every minute: never a question.
    let mut sweep = open();
    Approval { until_hour: u32::MAX, first: "An".into(), second: "Bo".into() }
        .give(&dir.path().join("deletions"))
        .unwrap();
    assert_eq!(sweep.expire_keys(&thirty_days(), far).await.unwrap(), 40);
    let mut sweep = open();
    for minute in 1..=60 * 24 {
        let now = far.plus(std::time::Duration::from_secs(60 * minute));
        assert!(sweep.expire_keys(&thirty_days(), now).await.is_ok(), "minute {minute}");
    }
    assert_eq!(live(), 200 - 67 - 40 - 24);
}

#[tokio::test]
async fn a_month_of_files_without_keys_waits_for_two_people_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index.db")).await.unwrap();
    let segment = |number: u16| {
        let mut one = state(dir.path(), 1, 1, (i64::from(number) * 600, i64::from(number) * 600 + 600), 1, true);
        let [high, low] = number.to_be_bytes();
        one.segment = SegmentId::from_bytes([high, low, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        one.path = std::path::PathBuf::from(format!("{}/d/h/{number}.blf", stream(1)));
        one
    };
    // 600 files of ten minutes: a hundred hours of one camera.
    let segments: Vec<SegmentState> = (0..600).map(segment).collect();
    index.flush(&Batch { segments, gaps: vec![] }, WallTime::from_secs(1)).await.unwrap();
    let mut sweep = sweep_of(dir.path(), &index);
    let terms = Terms { streams: [((stream(1), "RC-VID-OPEN".to_owned()), 100)].into(), cameras: HashMap::new() };
    let late = WallTime::from_secs(10_000_000);
    for _ in 0..2 {
        assert!(matches!(sweep.expire(&terms, late).await, Err(SweepError::Unusual { hours: 100, .. })));
    }
    let until_hour = u32::try_from(10_000_000 / HOUR_S).unwrap();
    Approval { until_hour, first: "An".into(), second: "Bo".into() }.give(&dir.path().join("deletions")).unwrap();
    assert_eq!(sweep.expire(&terms, late).await.unwrap(), 600);
}

#[tokio::test]
async fn room_is_made_by_class_and_each_batch_leaves_a_record_of_the_loss() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(&dir.path().join("index.db")).await.unwrap();
    let mut segments = Vec::new();
    for (number, class, from_s) in
        [(1, "RC-VID-POL", 0), (2, "RC-VID-RISK", 60), (3, "RC-VID-OPEN", 120), (4, "RC-VID-OPEN", 180)]
    {
        let mut one = state(dir.path(), number, 1, (from_s, from_s + 60), 100, true);
        one.class = vms_core::RetentionClass::parse(class).unwrap();
        segments.push(one);
    }
    index.flush(&Batch { segments, gaps: vec![] }, WallTime::from_secs(1)).await.unwrap();
    let mut sweep = sweep_of(dir.path(), &index);
    let keep_longest = ["RC-VID-POL".to_owned(), "RC-VID-RISK".to_owned()];
    let catalogue = Catalogue::default();
    let mut total = 0;
    for (bytes, wanted, missing) in [(1, vec![1, 2, 4], 0), (150, vec![1], 0), (100, vec![], 0), (50, vec![], 50)] {
        let losing = Losing { bytes, keep_longest: &keep_longest, catalogue: &catalogue };
        let lost = sweep.lose(losing, WallTime::from_secs(500)).await.unwrap();
        assert_eq!((left(dir.path()), lost.missing), (wanted, missing), "{bytes}");
        total += lost.segments;
    }
    let records = crate::deletions::lines(&dir.path().join("deletions")).unwrap();
    let losses: Vec<_> =
        records.iter().filter_map(|line| if let Step::Lost(loss) = &line.step { Some(loss) } else { None }).collect();
    assert_eq!((total, losses.iter().map(|loss| loss.count).sum::<u64>()), (4, 4));
    assert_eq!((losses[0].from_us, losses[0].bytes, losses[0].digest.len()), (120_000_000, 100, 64));
}

#[tokio::test]
async fn what_is_past_its_term_is_not_handed_out_while_its_key_waits() {
    let rig = sealed().await;
    let held = &rig.segments[1];
    let hold = [(held.segment, KeyEpoch::new(held.key_epoch).unwrap())];
    rig.vault.with(|ring| ring.hold(vms_core::HoldId::from_bytes([7; 16]), &hold, START.0)).unwrap();
    let seen = |cut_s: i64| {
        rig.vault.draw(Curtain { terms: thirty_days(), cut: WallTime::from_secs(start_s() + 30 * DAY_S + cut_s) });
        let sees = |state: &&SegmentState| {
            let bytes = std::fs::read(rig.dir.path().join("media").join(&state.path)).unwrap();
            rig.vault.view(&read::head(bytes.as_slice()).unwrap().header, None).is_ok()
        };
        rig.segments.iter().filter(sees).map(|state| state.segment.as_bytes()[0]).collect::<Vec<u8>>()
    };
    assert_eq!(seen(-1), ALL);
    assert_eq!(seen(0), [18, 33, 34, 49, 50, 65, 66], "the first minute of a camera is past its term, and one is held");
    assert_eq!(seen(DAY_S), [18]);
    assert_eq!(rig.state().1, ALL, "the keys wait");
    // In clear it is no different.
    let mut clear =
        read::head(std::fs::read(rig.dir.path().join("media").join(&held.path)).unwrap().as_slice()).unwrap().header;
    (clear.key_epoch, clear.segment) = (0, SegmentId::from_bytes([99; 16]));
    assert_eq!(rig.vault.view(&clear, None).unwrap_err(), NoKey::Destroyed);
}

#[tokio::test]
async fn the_daily_comparison_finds_what_outlives_its_term_and_what_nobody_knows() {
    let rig = sealed().await;
    let (media, at) = (rig.dir.path().join("media"), |seconds: i64| WallTime::from_secs(start_s() + seconds));
    let compare = async |seconds: i64| {
        crate::reconcile::reconcile(&media, &rig.index, &rig.vault, &thirty_days(), at(seconds)).await.unwrap()
    };
    let clean = Reconciled { keys: 4, files: 8, ..Reconciled::default() };
    assert_eq!(compare(DAY_S).await, clean);
    assert!(clean.is_clean());
    // A file without a row, and a row without a file.
    let stray = media.join(&rig.segments[0].path).with_file_name("seg_stray.blf");
    std::fs::write(&stray, b"x").unwrap();
    let away = media.join(&rig.segments[7].path);
    let kept = std::fs::read(&away).unwrap();
    std::fs::remove_file(&away).unwrap();
    assert_eq!(compare(DAY_S).await, Reconciled { unknown_files: 1, missing_files: 1, ..clean });
    // The whole folder of an hour is gone.
    let folder = away.parent().unwrap().to_owned();
    std::fs::rename(&folder, rig.dir.path().join("aside")).unwrap();
    assert_eq!(compare(DAY_S).await, Reconciled { unknown_files: 1, missing_files: 2, files: 7, ..clean });
    std::fs::rename(rig.dir.path().join("aside"), &folder).unwrap();
    std::fs::write(&away, kept).unwrap();
    std::fs::remove_file(stray).unwrap();
    // A sweeper that does not come: keys from an hour after their end on, files from an hour after theirs.
    for (after_s, overdue_keys, overdue_files) in
        [(-1, 0, 0), (0, 2, 0), (HOUR_S, 4, 0), (HOUR_S + 120, 4, 4), (3 * HOUR_S, 4, 8)]
    {
        let found = compare(30 * DAY_S + after_s).await;
        assert_eq!(found, Reconciled { overdue_keys, overdue_files, ..clean.clone() }, "{after_s}");
        assert_eq!(found.is_overdue(), after_s >= 0);
    }
    // It came: nothing is left to find but what a hold keeps.
    let hold = [(rig.segments[1].segment, KeyEpoch::new(rig.segments[1].key_epoch).unwrap())];
    rig.vault.with(|ring| ring.hold(vms_core::HoldId::from_bytes([7; 16]), &hold, START.0)).unwrap();
    let mut sweep = rig.sweep();
    sweep.expire_keys(&thirty_days(), at(31 * DAY_S)).await.unwrap();
    assert_eq!(compare(31 * DAY_S).await, Reconciled { files: 1, ..Reconciled::default() });
    sweep.note(Step::Reconciled(compare(31 * DAY_S).await), at(31 * DAY_S)).unwrap();
    assert!(rig.lines().iter().any(|line| matches!(&line.step, Step::Reconciled(found) if found.files == 1)));
}

const SHIFT: std::time::Duration = std::time::Duration::from_secs(3_600);

#[tokio::test]
async fn over_the_cap_the_key_goes_with_the_last_file_of_its_hour() {
    let rig = sealed().await;
    let size: u64 = rig.segments.iter().map(|state| state.file_len).sum();
    let one = rig.segments[0].file_len;
    let mut sweep = rig.sweep();
    let now = WallTime::from_secs(start_s() + 6 * HOUR_S);
    let live = || rig.vault.with(|ring| Ok(ring.live_hours().len())).unwrap();
    for (cap, keys) in [(size, 4), (size - 2 * one, 4), (size - 4 * one, 2), (0, 0)] {
        let bytes = rig.index.bytes().await.unwrap().saturating_sub(cap);
        sweep.lose(Losing { bytes, keep_longest: &[], catalogue: &Catalogue::default() }, now).await.unwrap();
        assert_eq!(live(), keys, "cap {cap} of {size}");
    }
    // While the hour lasts its key stays: more may begin in it.
    let rig = sealed().await;
    let early = WallTime::from_secs(start_s() + HOUR_S + 120);
    let all = Losing { bytes: size, keep_longest: &[], catalogue: &Catalogue::default() };
    rig.sweep().lose(all, early).await.unwrap();
    assert_eq!(rig.vault.with(|ring| Ok(ring.live_hours().len())).unwrap(), 4);
}

#[test]
fn keys_die_before_the_term_and_short_terms_after_the_footage() {
    let hour = keys::Hour::from_count(500_000);
    for (keep_s, after_s) in [(30 * 86_400, 30 * 86_400 - 3_600), (86_400, 82_800), (3_600, 7_800), (60, 4_260)] {
        let dies = key_dies_at(hour, keep_s);
        assert_eq!(dies.micros_since(hour.start()) / 1_000_000, after_s, "{keep_s}");
    }
}
