use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use vms_core::{TimeRange, WallTime};

use super::file::{Fault, NoFault};
use super::*;
use crate::format::{FLAG_CAMERA_CLOCK, FLAG_CLOCK_STEP, read};
use crate::testfilm::{START, TestClock, facts, film, fragments, sets, stream, until};

/// 0: works; 1: no space, after half a record; 2: input/output error; 3: the volume can only be read.
#[derive(Clone)]
struct Switch(Arc<AtomicU8>);

impl Fault for Switch {
    fn write(&mut self, bytes: usize) -> Option<(usize, Error)> {
        match self.0.load(Ordering::SeqCst) {
            1 => Some((bytes / 2, Error::from(ErrorKind::StorageFull))),
            2 => Some((0, Error::from_raw_os_error(5))),
            3 => Some((0, Error::from_raw_os_error(30))),
            _ => None,
        }
    }
}

fn config(root: &Path, queue_bytes: u64) -> DiskConfig {
    DiskConfig {
        root: root.to_owned(),
        queue_bytes,
        sync_every: Duration::from_millis(50),
        limits: SegmentLimits::DEFAULT,
        reserve_bytes: 0,
        boot: [1; 16],
    }
}

fn whole() -> TimeRange {
    TimeRange::new(WallTime::from_secs(0), WallTime::from_secs(4_000_000_000)).unwrap()
}

struct Rig {
    dir: tempfile::TempDir,
    vault: Arc<Vault>,
    handle: DiskHandle,
    catalogue: Arc<Catalogue>,
    acks: Arc<AckBoard>,
}

impl Rig {
    fn start(fault: Box<dyn Fault>, queue_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Arc::new(Catalogue::default());
        let clock = TestClock::new();
        let vault = crate::testfilm::vault(dir.path(), clock.clone());
        let config = config(dir.path(), queue_bytes);
        let started = DiskHandle::start_with(config, clock, Arc::clone(&catalogue), Arc::clone(&vault), fault);
        let (handle, thread) = started.unwrap();
        drop(thread);
        Self { dir, vault, handle, catalogue, acks: Arc::default() }
    }

    fn submit(&self, fragment: Fragment) {
        let acks = Some(Arc::clone(&self.acks));
        self.handle.submit(Submission { facts: facts(1), fragment, sets: sets(), hint: None, acks });
    }

    /// What a segment file holds.
    fn scan(&self, state: &crate::catalogue::SegmentState) -> (read::Scan, u64) {
        let bytes = std::fs::read(self.dir.path().join(&state.path)).unwrap();
        let head = read::head(bytes.as_slice()).unwrap();
        assert_ne!(head.header.key_epoch, 0, "nothing lies in clear");
        assert_eq!(head.header.key_epoch, state.key_epoch);
        let key = self.vault.opener(&head.header).unwrap();
        (read::scan(bytes.as_slice(), key.as_ref()).unwrap(), u64::try_from(bytes.len()).unwrap())
    }

    async fn acked(&self, seq: u64) {
        until("an acknowledgement", || self.catalogue.end(stream(1)).filter(|end| end.seq >= seq)).await;
    }
}

#[tokio::test]
async fn long_films_become_segments_of_a_minute_chained_by_digest() {
    let rig = Rig::start(Box::new(NoFault), 1 << 30);
    // 150 s, a key frame every 50 frames: cut at the first key frame from 60 s on.
    for fragment in fragments(film(1, 0..3_750, 50)) {
        rig.submit(fragment);
    }
    rig.acked(3_749).await;
    rig.handle.shutdown();
    let closed = until("three closed segments", || {
        let found = rig.catalogue.overlapping(stream(1), whole());
        (found.len() == 3 && found.iter().all(crate::catalogue::SegmentState::is_closed)).then_some(found)
    })
    .await;
    assert_eq!(closed.iter().map(|state| state.units).collect::<Vec<_>>(), [1_500, 1_500, 750]);
    let mut previous = [0; 32];
    for state in &closed {
        let (found, _) = rig.scan(state);
        assert!(found.closing.is_some());
        assert_eq!(found.header.previous, previous);
        assert_eq!(Some(found.digest), state.digest);
        previous = found.digest;
    }
    // Acknowledged in groups, on a busy machine also after the files are closed: the last is of the last unit.
    let all = async { while rig.acks.wait().await != [(stream(1), 1, 3_749)] {} };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("the last unit is acknowledged");
    until("durability", || rig.catalogue.durable(stream(1)).filter(|at| at.micros_since(START.0) == 150_000_000)).await;
}

#[tokio::test]
async fn steps_of_clocks_stand_in_the_flags_of_segments() {
    let rig = Rig::start(Box::new(NoFault), 1 << 30);
    let mut units = film(1, 0..300, 25);
    for (n, unit) in units.iter_mut().enumerate() {
        // In the middle of a second: the fragment ends where the clock stepped.
        if (110..210).contains(&n) {
            unit.clocks.wall = unit.clocks.wall.plus(Duration::from_secs(3_600));
        }
        if n >= 250 {
            unit.clocks.sync = vms_core::SyncState::Differs;
        }
    }
    for fragment in fragments(units) {
        rig.submit(fragment);
    }
    rig.acked(299).await;
    rig.handle.shutdown();
    let closed = until("three closed segments", || {
        let mut found = rig.catalogue.overlapping(stream(1), whole());
        found.sort_by_key(|state| state.last_seq);
        (found.len() == 3 && found.iter().all(crate::catalogue::SegmentState::is_closed)).then_some(found)
    })
    .await;
    let wanted = [0, FLAG_CLOCK_STEP, FLAG_CLOCK_STEP | FLAG_CAMERA_CLOCK];
    assert_eq!(closed.iter().map(|state| state.flags).collect::<Vec<_>>(), wanted);
    let told = closed.iter().map(|state| rig.scan(state).0.closing.unwrap().flags).collect::<Vec<_>>();
    assert_eq!(told, wanted, "the media tell it without the index");
    assert!(closed.iter().all(|state| state.from < state.to), "no negative segment");
    let mut spans: Vec<_> = closed.iter().map(|state| (state.from, state.to)).collect();
    spans.sort();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "no two overlap: {spans:?}");
}

#[tokio::test]
async fn a_full_disk_stops_the_stream_and_leaves_a_hole_and_a_whole_file() {
    let switch = Switch(Arc::default());
    let rig = Rig::start(Box::new(switch.clone()), 1 << 30);
    let mut parts = fragments(film(1, 0..200, 25)).into_iter();
    rig.submit(parts.next().unwrap());
    rig.acked(24).await;
    switch.0.store(1, Ordering::SeqCst);
    rig.submit(parts.next().unwrap());
    let gap = until("a hole", || rig.catalogue.gaps_overlapping(stream(1), whole()).pop()).await;
    assert_eq!((gap.cause, gap.to, gap.from.micros_since(START.0)), (Cause::Disk, None, 1_000_000));
    // Space is back: within the retry interval the stream goes on.
    switch.0.store(0, Ordering::SeqCst);
    let mut last = 0;
    for fragment in parts {
        last = fragment.last().seq;
        rig.submit(fragment);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    rig.acked(last).await;
    let gaps = rig.catalogue.gaps_overlapping(stream(1), whole());
    let closed = gaps.last().unwrap();
    assert_eq!((closed.cause, closed.from), (Cause::Disk, gap.from));
    assert!(closed.to.unwrap() > gap.from);
    let state = rig.catalogue.overlapping(stream(1), whole()).pop().unwrap();
    let (found, length) = rig.scan(&state);
    assert_eq!(found.good_len, length);
    assert_eq!(found.gaps.len(), 1);
}

#[tokio::test]
async fn a_volume_that_can_only_be_read_stops_the_stream_which_goes_on_in_a_new_file() {
    let switch = Switch(Arc::default());
    let rig = Rig::start(Box::new(switch.clone()), 1 << 30);
    let mut parts = fragments(film(1, 0..200, 25)).into_iter();
    rig.submit(parts.next().unwrap());
    rig.acked(24).await;
    switch.0.store(3, Ordering::SeqCst);
    rig.submit(parts.next().unwrap());
    let gap = until("a hole", || rig.catalogue.gaps_overlapping(stream(1), whole()).pop()).await;
    assert_eq!((gap.cause, gap.to, gap.from.micros_since(START.0)), (Cause::Disk, None, 1_000_000));
    assert_eq!(
        rig.catalogue.blocked(stream(1)),
        Some(Cause::Disk),
        "it stands still, and does not try with every fragment"
    );
    switch.0.store(0, Ordering::SeqCst);
    let mut last = 0;
    for fragment in parts {
        last = fragment.last().seq;
        rig.submit(fragment);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    rig.acked(last).await;
    let flags: Vec<u8> = rig.catalogue.overlapping(stream(1), whole()).iter().map(|state| state.flags).collect();
    assert_eq!(flags, [crate::format::FLAG_SUSPECT, 0], "what the kernel had not written is not trusted");
    let gaps = rig.catalogue.gaps_overlapping(stream(1), whole());
    assert!(gaps.iter().all(|gap| gap.cause == Cause::Disk && gap.from == gaps[0].from), "{gaps:?}");
    assert!(gaps.last().unwrap().to.is_some(), "the same hole, closed");
    assert_eq!(rig.catalogue.blocked(stream(1)), None);
}

#[tokio::test]
async fn an_error_makes_the_file_suspect_and_begins_a_new_one() {
    let switch = Switch(Arc::default());
    let rig = Rig::start(Box::new(switch.clone()), 1 << 30);
    let mut parts = fragments(film(1, 0..100, 25)).into_iter();
    rig.submit(parts.next().unwrap());
    rig.acked(24).await;
    switch.0.store(2, Ordering::SeqCst);
    rig.submit(parts.next().unwrap());
    until("a hole", || rig.catalogue.gaps_overlapping(stream(1), whole()).pop()).await;
    switch.0.store(0, Ordering::SeqCst);
    rig.submit(parts.next().unwrap());
    rig.acked(74).await;
    let found = rig.catalogue.overlapping(stream(1), whole());
    let flags: Vec<u8> = found.iter().map(|state| state.flags).collect();
    assert_eq!(flags, [crate::format::FLAG_SUSPECT, 0]);
}

#[tokio::test]
async fn a_full_queue_drops_and_notes_the_hole() {
    let rig = Rig::start(Box::new(NoFault), 1_024);
    // One permit only: a fragment of over 1 KiB never fits.
    let large = fragments(film(1, 0..25, 25)).remove(0);
    assert!(large.payload_len() > 1_024);
    rig.submit(large);
    let gap = rig.catalogue.gaps_overlapping(stream(1), whole()).pop().unwrap();
    assert_eq!(
        (gap.cause, gap.from, gap.to.map(|to| to.micros_since(START.0))),
        (Cause::Disk, START.0, Some(1_000_000))
    );
    assert_eq!(rig.catalogue.end(stream(1)), None);
}

#[tokio::test]
async fn no_key_no_footage_and_the_stream_goes_on_by_itself_when_the_copy_is_back() {
    let rig = Rig::start(Box::new(NoFault), 1 << 30);
    let mut parts = fragments(film(1, 0..5_000, 25)).into_iter();
    let mut submit = |count: usize| parts.by_ref().take(count).for_each(|part| rig.submit(part));
    submit(1);
    rig.acked(24).await;
    let store = rig.dir.path().join("keys/store");
    until("the key of the next segment", || {
        let mut names = std::fs::read_dir(&store).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        names.find(|path| path.extension().is_some_and(|ext| ext == "bkw") && path.metadata().unwrap().len() == 246)
    })
    .await;
    // The store becomes a file: nothing can be written there, whoever one is.
    let aside = rig.dir.path().join("aside");
    std::fs::rename(&store, &aside).unwrap();
    std::fs::write(&store, b"").unwrap();
    // The first segment has its key, and the one behind it was made ahead: 120 s go on, then it stops.
    submit(140);
    let gap = until("a hole", || rig.catalogue.gaps_overlapping(stream(1), whole()).pop()).await;
    assert_eq!((gap.cause, gap.to), (Cause::Keys, None));
    assert_eq!(gap.from.micros_since(START.0), 120_000_000);
    assert_eq!(rig.catalogue.blocked(stream(1)), Some(Cause::Keys));
    assert_eq!(rig.catalogue.overlapping(stream(1), whole()).len(), 2);
    assert!(rig.catalogue.overlapping(stream(1), whole()).iter().all(crate::catalogue::SegmentState::is_closed));
    std::fs::remove_file(&store).unwrap();
    std::fs::rename(&aside, &store).unwrap();
    let back = async {
        while rig.catalogue.blocked(stream(1)).is_some() {
            submit(1);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("it goes on by itself");
    let last = rig.catalogue.overlapping(stream(1), whole()).pop().unwrap();
    let (found, _) = rig.scan(&last);
    assert_eq!((found.gaps[0].cause, found.gaps[0].from), (Cause::Keys, gap.from));
    assert_eq!(found.gaps[0].to, last.from);
}

#[tokio::test]
async fn no_frame_lies_in_clear_on_the_disk() {
    let rig = Rig::start(Box::new(NoFault), 1 << 30);
    let units = film(1, 0..2_000, 25);
    for fragment in fragments(units.clone()) {
        rig.submit(fragment);
    }
    rig.acked(1_999).await;
    let mut folders = vec![rig.dir.path().to_owned()];
    let (mut files, mut bytes) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let content = std::fs::read(&path).unwrap();
            (files, bytes) = (files + 1, bytes + content.len());
            let has = |needle: &[u8]| content.windows(needle.len()).any(|part| part == needle);
            for unit in units.iter().step_by(97) {
                assert!(!has(&unit.payload[..24.min(unit.payload.len())]), "{}", path.display());
            }
            assert!(sets().sps.iter().chain(&sets().pps).all(|nal| !has(nal)), "{}", path.display());
        }
    }
    // The film is there: two segments, the key store in five files (lock, journal, wraps, root) and its name.
    assert!(files >= 6 && bytes > units.iter().map(|unit| unit.payload.len()).sum::<usize>(), "{files} {bytes}");
}

#[tokio::test]
async fn each_segment_has_the_key_of_the_hour_it_begins_in() {
    let rig = Rig::start(Box::new(NoFault), 1 << 30);
    // 90 s before the hour: the first of it is cut 30 s before, so that the key made ahead is one of the next hour; then a new
    // camera session begins 10 s before the hour, and needs one of this hour after all.
    let before = |seconds: u64| {
        (
            START.0.minus(Duration::from_secs(seconds)),
            vms_core::MonoTime { micros: START.1.micros - seconds * 1_000_000 },
        )
    };
    let mut units: Vec<_> = (0..1_750).map(|seq| crate::testfilm::unit(before(90), 1, seq, 25)).collect();
    units.extend((0..2_000).map(|seq| crate::testfilm::unit(before(10), 2, seq, 25)));
    for fragment in fragments(units) {
        rig.submit(fragment);
    }
    let all = || rig.catalogue.end(stream(1)).filter(|end| (end.epoch, end.seq) == (2, 1_999));
    until("the end of the film", all).await;
    let mut found = rig.catalogue.overlapping(stream(1), whole());
    found.sort_by_key(|state| state.from);
    let begins: Vec<i64> = found.iter().map(|state| state.from.micros_since(START.0) / 1_000_000).collect();
    assert_eq!(begins, [-90, -30, -10, 50]);
    for state in &found {
        let epoch = keys::KeyEpoch::new(state.key_epoch).unwrap();
        assert_eq!(epoch.hour(), keys::Hour::of(state.from));
        assert!(rig.scan(state).0.entries.len() > 1);
    }
    assert!(found[0].key_epoch == found[1].key_epoch && found[1].key_epoch == found[2].key_epoch);
    assert!(rig.catalogue.gaps_overlapping(stream(1), whole()).iter().all(|gap| gap.cause != Cause::Keys));
}

/// Writes come back when somebody says so.
struct Gate(std::sync::mpsc::Receiver<()>);

impl Fault for Gate {
    fn write(&mut self, _bytes: usize) -> Option<(usize, Error)> {
        self.0.recv().ok();
        None
    }
}

#[tokio::test]
async fn a_disk_that_does_not_answer_is_seen_and_is_seen_to_answer_again() {
    let (open, gate) = std::sync::mpsc::channel();
    let rig = Rig::start(Box::new(Gate(gate)), 1 << 20);
    assert!(!rig.handle.stands());
    rig.submit(fragments(film(1, 0..50, 25)).into_iter().next().unwrap());
    until("the disk stands", || rig.handle.stands().then_some(())).await;
    drop(open);
    until("the disk answers", || (!rig.handle.stands()).then_some(())).await;
}
