use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use vms_core::{TimeRange, WallTime};

use super::file::{Fault, NoFault};
use super::*;
use crate::format::read;
use crate::testfilm::{START, TestClock, facts, film, fragments, sets, stream, until};

/// 0: works; 1: no space, after half a record; 2: input/output error.
#[derive(Clone)]
struct Switch(Arc<AtomicU8>);

impl Fault for Switch {
    fn write(&mut self, bytes: usize) -> Option<(usize, Error)> {
        match self.0.load(Ordering::SeqCst) {
            1 => Some((bytes / 2, Error::from(ErrorKind::StorageFull))),
            2 => Some((0, Error::from_raw_os_error(5))),
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
    handle: DiskHandle,
    catalogue: Arc<Catalogue>,
    acks: Arc<AckBoard>,
}

impl Rig {
    fn start(fault: Box<dyn Fault>, queue_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Arc::new(Catalogue::default());
        let clock = TestClock::new();
        let started = DiskHandle::start_with(config(dir.path(), queue_bytes), clock, Arc::clone(&catalogue), fault);
        let (handle, thread) = started.unwrap();
        drop(thread);
        Self { dir, handle, catalogue, acks: Arc::default() }
    }

    fn submit(&self, fragment: Fragment) {
        let acks = Some(Arc::clone(&self.acks));
        self.handle.submit(Submission { facts: facts(1), fragment, sets: sets(), hint: None, acks });
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
        let bytes = std::fs::read(rig.dir.path().join(&state.path)).unwrap();
        let found = read::scan(bytes.as_slice()).unwrap();
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
    let bytes = std::fs::read(rig.dir.path().join(&state.path)).unwrap();
    let found = read::scan(bytes.as_slice()).unwrap();
    assert_eq!(found.good_len, u64::try_from(bytes.len()).unwrap());
    assert_eq!(found.gaps.len(), 1);
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
