//! A store that fails or lies in one way at a time: the local copy stays, the state says why, and when the fault goes everything is stored.

use std::sync::Arc;
use std::time::Duration;

use crate::support::fault::{Fault, FaultStore};
use crate::support::{Disk, START, TestClock, gather, limits, mover, tier_name};
use object_store::ObjectStoreExt as _;
use tiers::{Alarm, Mover, ReadError, Remote, Tier, TierState};

const HOT: Duration = Duration::from_secs(60);
const PART: u64 = 1_000;

fn tier(store: &FaultStore) -> Tier {
    Tier::over(tier_name(), Arc::new(store.clone()), Some(Arc::new(store.clone())), Duration::from_secs(10))
}

struct Scene {
    disk: Arc<Disk>,
    store: FaultStore,
    clock: Arc<TestClock>,
    state: tempfile::TempDir,
    mover: Mover,
}

impl Scene {
    /// Two segments: one goes in one request, one in four parts.
    async fn new() -> Self {
        let (disk, store, clock) = (Disk::new(), FaultStore::default(), TestClock::new());
        let state = tempfile::tempdir().unwrap();
        let mover = Box::pin(mover(&disk, state.path(), tier(&store), limits(PART), HOT, &clock)).await;
        disk.record(1, START, 700);
        disk.record(2, START, 3_500);
        Self { disk, store, clock, state, mover }
    }

    async fn reopen(&mut self) {
        self.mover =
            Box::pin(mover(&self.disk, self.state.path(), tier(&self.store), limits(PART), HOT, &self.clock)).await;
    }

    async fn passes(&self, count: u32) {
        for _ in 0..count {
            Box::pin(self.mover.pass()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
    }

    fn local(&self) -> usize {
        self.disk.all().iter().filter(|facts| self.disk.has(facts.segment)).count()
    }

    fn state(&self) -> TierState {
        self.mover.health().borrow().tiers[0].state
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_leaves_the_local_copies_and_is_seen() {
    let slow = Fault::Slow(Duration::from_secs(11));
    let faults = [
        (Fault::Down, false),
        (Fault::Forbidden, false),
        (slow, false),
        (Fault::Swallows, true),
        (Fault::Flips, true),
        (Fault::Cuts, true),
        (Fault::GivesOther, true),
        (Fault::GivesLess, true),
        (Fault::GivesMore, true),
    ];
    for (fault, is_lie) in faults {
        let scene = Box::pin(Scene::new()).await;
        scene.store.set(fault);
        Box::pin(scene.mover.scan()).await.unwrap();
        Box::pin(scene.passes(20)).await;
        assert_eq!(scene.local(), 2, "{fault:?}");
        let state = scene.state();
        let fits =
            if is_lie { matches!(state, TierState::Lying { .. }) } else { matches!(state, TierState::Down { .. }) };
        assert!(fits, "{fault:?}: {state:?}");
        let health = scene.mover.health().borrow().clone();
        assert_eq!(health.waiting_segments, 2, "{fault:?}");
        assert!(
            health.alarms.iter().any(|alarm| matches!(alarm, Alarm::Down { .. } | Alarm::Lying { .. })),
            "{fault:?}"
        );

        scene.store.set(Fault::None);
        Box::pin(scene.passes(30)).await;
        assert_eq!((scene.local(), scene.state()), (0, TierState::Up), "{fault:?}");
        assert_eq!(scene.store.open_uploads(), 0, "{fault:?}: no upload is left half");
        for facts in scene.disk.all() {
            let number = u32::try_from(facts.epoch >> 32).unwrap();
            let read = Box::pin(gather(&scene.mover, facts.segment, 0..facts.len)).await.unwrap();
            assert!(read == crate::support::content(number, read.len()), "{fault:?}");
        }
        assert!(scene.mover.health().borrow().alarms.is_empty(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_get_lost_end_with_everything_stored_once() {
    let scene = Box::pin(Scene::new()).await;
    for number in 3..20 {
        scene.disk.record(number, START, 500 * usize::try_from(number).unwrap());
    }
    scene.store.set(Fault::FailsAfter);
    Box::pin(scene.mover.scan()).await.unwrap();
    Box::pin(scene.passes(400)).await;
    scene.store.set(Fault::None);
    Box::pin(scene.passes(40)).await;
    assert_eq!(scene.local(), 0);
    let found = Box::pin(scene.mover.reconcile()).await.unwrap();
    assert_eq!((found.listed, found.missing.len(), found.strays.len()), (19, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_down_store_is_not_hammered() {
    let scene = Box::pin(Scene::new()).await;
    scene.store.set(Fault::Down);
    Box::pin(scene.mover.scan()).await.unwrap();
    Box::pin(scene.passes(2 * 60)).await;
    // An hour with pauses that grow to 300 s: some tens of tries, not 240.
    assert!((3..60).contains(&scene.store.requests()), "{}", scene.store.requests());
}

#[tokio::test(start_paused = true)]
async fn what_vanishes_before_the_local_copy_is_dropped_goes_up_again() {
    let scene = Box::pin(Scene::new()).await;
    Box::pin(scene.mover.scan()).await.unwrap();
    Box::pin(scene.mover.pass()).await.unwrap();
    let row = scene.mover.ledger().row(scene.disk.all()[0].segment).await.unwrap().unwrap();
    assert_eq!(row.remote, Remote::Stored);
    let key = row.name(&crate::support::recorder()).unwrap().encode().unwrap();
    scene.store.inner.delete(&key.into()).await.unwrap();
    tokio::time::sleep(HOT).await;
    Box::pin(scene.mover.pass()).await.unwrap();
    assert!(scene.disk.has(row.facts.segment), "not there, not dropped");
    let lost = Alarm::LostInStore { segments: vec![row.facts.segment], count: 1, without_local: 0 };
    assert_eq!(scene.mover.health().borrow().alarms, [lost]);
    Box::pin(scene.passes(20)).await;
    assert_eq!((scene.local(), scene.state()), (0, TierState::Up));
    assert!(Box::pin(scene.mover.reconcile()).await.unwrap().missing.is_empty());
    Box::pin(scene.mover.pass()).await.unwrap();
    assert!(scene.mover.health().borrow().alarms.is_empty());
}

#[tokio::test(start_paused = true)]
async fn held_segments_stay_and_are_never_deleted() {
    let scene = Box::pin(Scene::new()).await;
    let [first, second] = [scene.disk.all()[0].segment, scene.disk.all()[1].segment];
    scene.disk.hold(first, true);
    Box::pin(scene.mover.scan()).await.unwrap();
    Box::pin(scene.passes(10)).await;
    assert!(scene.disk.has(first) && !scene.disk.has(second));
    let deleted = Box::pin(scene.mover.delete(&[first, second])).await.unwrap();
    assert_eq!((deleted.held, deleted.gone), (vec![first], vec![second]));
    assert_eq!(Box::pin(scene.mover.reconcile()).await.unwrap().listed, 1);
    assert_eq!(Box::pin(gather(&scene.mover, second, 0..10)).await, Err(ReadError::Missing(second)));
}

#[tokio::test(start_paused = true)]
async fn reading_says_why_it_cannot() {
    let scene = Box::pin(Scene::new()).await;
    let (one, two) = (scene.disk.all()[0].clone(), scene.disk.all()[1].clone());
    let read = async |segment, range| Box::pin(gather(&scene.mover, segment, range)).await;
    // Local first, before any tier knows of it.
    assert_eq!(read(one.segment, 10..20).await.unwrap(), crate::support::content(1, 700)[10..20]);
    assert_eq!(read(one.segment, 10..701).await, Err(ReadError::Range(one.segment)));
    assert_eq!(read(one.segment, 0..0).await.unwrap(), Vec::<u8>::new());
    Box::pin(scene.mover.scan()).await.unwrap();
    Box::pin(scene.passes(10)).await;
    assert_eq!(scene.local(), 0);
    assert_eq!(read(two.segment, 999..3_500).await.unwrap(), crate::support::content(2, 3_500)[999..]);
    assert_eq!(read(two.segment, 0..3_501).await, Err(ReadError::Range(two.segment)));
    // (fault, whole, part)
    let segment = two.segment;
    let cases = [
        (Fault::Down, Some(ReadError::Away(segment)), Some(ReadError::Away(segment))),
        (Fault::Slow(Duration::from_secs(11)), Some(ReadError::Away(segment)), Some(ReadError::Away(segment))),
        (Fault::GivesLess, Some(ReadError::Altered(segment)), Some(ReadError::Altered(segment))),
        (Fault::GivesMore, Some(ReadError::Altered(segment)), Some(ReadError::Altered(segment))),
        // A part carries no digest of its own: the seal of each record finds it.
        (Fault::GivesOther, Some(ReadError::Altered(segment)), None),
        (Fault::None, None, None),
    ];
    for (fault, whole, part) in cases {
        scene.store.set(fault);
        assert_eq!(read(segment, 0..3_500).await.err(), whole, "{fault:?}");
        assert_eq!(read(segment, 1..3_500).await.err(), part, "{fault:?}");
    }
    let unknown = vms_core::SegmentId::from_bytes([9; 16]);
    assert_eq!(read(unknown, 0..1).await, Err(ReadError::Missing(unknown)));
}

#[tokio::test(start_paused = true)]
async fn deletion_is_owed_until_the_store_answers() {
    let scene = Box::pin(Scene::new()).await;
    let ids: Vec<_> = scene.disk.all().iter().map(|facts| facts.segment).collect();
    Box::pin(scene.mover.scan()).await.unwrap();
    Box::pin(scene.passes(10)).await;
    scene.store.set(Fault::Down);
    let deleted = Box::pin(scene.mover.delete(&ids)).await.unwrap();
    assert_eq!((deleted.owed.len(), deleted.gone.len()), (2, 0));
    Box::pin(scene.passes(60)).await;
    scene.store.set(Fault::None);
    Box::pin(scene.passes(20)).await;
    assert_eq!(Box::pin(scene.mover.reconcile()).await.unwrap().listed, 0);
    let again = Box::pin(scene.mover.delete(&ids)).await.unwrap();
    assert_eq!((again.gone.len(), again.unknown.len()), (2, 0), "idempotent");
}

/// Every call can be made from a spawned task.
#[tokio::test]
async fn every_future_is_send() {
    fn is_send(_: impl Send) {}
    let scene = Box::pin(Scene::new()).await;
    let (mover, segment) = (&scene.mover, scene.disk.all()[0].segment);
    is_send(Box::pin(mover.pass()));
    is_send(Box::pin(mover.scan()));
    is_send(Box::pin(mover.delete(&[segment])));
    is_send(Box::pin(mover.reconcile()));
    is_send(Box::pin(mover.rebuild()));
    is_send(Box::pin(mover.open_range(segment, 0..1)));
    is_send(Box::pin(mover.fetch(segment)));
    is_send(Box::pin(mover.tiers().next().unwrap().probe([0; 16])));
    let config = tiers::Config::from_toml("recorder = 'a'").unwrap();
    let (local, clock) = (scene.disk.clone(), scene.clock.clone());
    is_send(Box::pin(Mover::open(&config, &|_| None, scene.state.path(), local, clock, 1)));
}

/// On the real clock: a paused one runs ahead while SQLite works on its own thread.
#[tokio::test]
async fn it_runs_by_itself_is_poked_and_stops() {
    let scene = Box::pin(Scene::new()).await;
    let (mover, stop) = (Arc::new(scene.mover), tokio_util::sync::CancellationToken::new());
    let (runner, until) = (Arc::clone(&mover), stop.clone());
    let (every, scan_every) = (Duration::from_secs(600), Duration::from_secs(3_600));
    let task = tokio::spawn(async move { Box::pin(runner.run(every, scan_every, until)).await });
    let mut health = mover.health();
    let is_done = |health: &tiers::Health| health.tiers.first().is_some_and(|tier| tier.state == TierState::Up);
    health.wait_for(is_done).await.unwrap();
    assert_eq!(health.borrow().waiting_segments, 0, "found by the first scan");
    let before = tokio::time::Instant::now();
    let new = scene.disk.record(3, START, 600);
    mover.closed(std::slice::from_ref(&new)).await.unwrap();
    loop {
        health.changed().await.unwrap();
        if mover.ledger().row(new.segment).await.unwrap().unwrap().remote == Remote::Stored {
            break;
        }
    }
    assert!(before.elapsed() < every, "poked, not waited for");
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whole_segments_are_fetched_into_a_bounded_folder() {
    let scene = Box::pin(Scene::new()).await;
    let (one, two) = (scene.disk.all()[0].clone(), scene.disk.all()[1].clone());
    let three = scene.disk.record(3, START, 600);
    let fetch = async |segment| Box::pin(scene.mover.fetch(segment)).await;
    assert_eq!(fetch(one.segment).await.unwrap(), scene.disk.file(one.segment), "the local file while there is one");
    Box::pin(scene.mover.scan()).await.unwrap();
    Box::pin(scene.passes(10)).await;
    assert_eq!(scene.local(), 0);
    scene.store.set(Fault::Down);
    assert_eq!(fetch(one.segment).await, Err(ReadError::Away(one.segment)));
    scene.store.set(Fault::GivesOther);
    assert_eq!(fetch(one.segment).await, Err(ReadError::Altered(one.segment)));
    let folder = scene.state.path().join("cache");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    scene.store.set(Fault::None);
    for facts in [&one, &two] {
        let number = u32::try_from(facts.epoch >> 32).unwrap();
        let path = fetch(facts.segment).await.unwrap();
        assert!(std::fs::read(path).unwrap() == crate::support::content(number, usize::try_from(facts.len).unwrap()));
    }
    // 4,500 bytes fit: 700, then 3,500; the third pushes out the one that was used longest ago.
    let requests = scene.store.requests();
    fetch(one.segment).await.unwrap();
    assert_eq!(scene.store.requests(), requests, "from the folder");
    fetch(three.segment).await.unwrap();
    let there = |facts: &tiers::Facts| folder.join(facts.segment.to_string()).exists();
    assert_eq!((there(&one), there(&two), there(&three)), (true, false, true));
    Box::pin(scene.mover.delete(&[one.segment])).await.unwrap();
    assert!(!there(&one));
    assert_eq!(fetch(one.segment).await, Err(ReadError::Missing(one.segment)));
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_while_it_goes_up_does_not_come_back() {
    for allowed in 0..12 {
        let scene = Box::pin(Scene::new()).await;
        let ids: Vec<_> = scene.disk.all().iter().map(|facts| facts.segment).collect();
        Box::pin(scene.mover.scan()).await.unwrap();
        scene.store.set(Fault::Slow(Duration::from_secs(1)));
        let delete = async {
            tokio::time::sleep(Duration::from_millis(1_000 * allowed + 500)).await;
            Box::pin(scene.mover.delete(&ids)).await.unwrap()
        };
        let (_, deleted) = tokio::join!(Box::pin(scene.mover.pass()), delete);
        assert_eq!(deleted.unknown.len() + deleted.held.len(), 0, "{allowed}");
        scene.store.set(Fault::None);
        Box::pin(scene.passes(10)).await;
        assert_eq!(Box::pin(scene.mover.reconcile()).await.unwrap().listed, 0, "{allowed}");
        assert_eq!(scene.store.open_uploads(), 0, "{allowed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_only_says_it_deletes_is_found_out() {
    let scene = Box::pin(Scene::new()).await;
    let ids: Vec<_> = scene.disk.all().iter().map(|facts| facts.segment).collect();
    Box::pin(scene.mover.scan()).await.unwrap();
    Box::pin(scene.passes(10)).await;
    scene.store.set(Fault::Swallows);
    assert_eq!(Box::pin(scene.mover.delete(&ids)).await.unwrap().gone.len(), 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let found = Box::pin(scene.mover.reconcile()).await.unwrap();
    assert_eq!(found.deleted_yet_there.len(), 2);
    scene.store.set(Fault::None);
    Box::pin(scene.mover.pass()).await.unwrap();
    assert!(scene.mover.health().borrow().alarms.contains(&Alarm::Outlived { count: 2 }));
    assert_eq!(Box::pin(scene.mover.reconcile()).await.unwrap().listed, 0);
}

#[tokio::test(start_paused = true)]
async fn reconciling_believes_no_cut_listing() {
    let scene = Box::pin(Scene::new()).await;
    let first = scene.disk.all()[0].segment;
    Box::pin(scene.mover.scan()).await.unwrap();
    Box::pin(scene.passes(10)).await;
    scene.store.set(Fault::ListsOnly(1));
    let found = Box::pin(scene.mover.reconcile()).await.unwrap();
    assert_eq!((found.listed, found.unlisted, found.missing.len()), (1, 1, 0));
    scene.store.set(Fault::Down);
    assert_eq!(Box::pin(scene.mover.reconcile()).await.unwrap().incomplete, ["archive"]);
    scene.store.set(Fault::None);

    scene.disk.expire(first, START);
    assert_eq!(Box::pin(scene.mover.reconcile()).await.unwrap().outlived, [first]);
    scene.disk.hold(first, true);
    assert!(Box::pin(scene.mover.reconcile()).await.unwrap().outlived.is_empty());

    let row = scene.mover.ledger().row(first).await.unwrap().unwrap();
    let key = row.name(&crate::support::recorder()).unwrap().encode().unwrap();
    scene.store.inner.put(&key.replace("rec-1/", "rec-1/x").into(), vec![1].into()).await.unwrap();
    scene.store.inner.delete(&key.into()).await.unwrap();
    let found = Box::pin(scene.mover.reconcile()).await.unwrap();
    assert_eq!((found.missing, found.lost, found.strays.len()), (vec![first], 1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_ledger_is_rebuilt_from_names_alone() {
    let scene = Box::pin(Scene::new()).await;
    Box::pin(scene.mover.scan()).await.unwrap();
    Box::pin(scene.passes(10)).await;
    let kept = scene.disk.record(3, scene_now(&scene), 600);
    Box::pin(scene.mover.closed(std::slice::from_ref(&kept))).await.unwrap();
    Box::pin(scene.mover.pass()).await.unwrap();
    let before = rows(&scene).await;

    // An empty ledger; the old connection goes first.
    let Scene { disk, store, clock, state, mover: old } = scene;
    drop(old);
    let empty = tempfile::tempdir().unwrap();
    drop(state);
    let new = Box::pin(mover(&disk, empty.path(), tier(&store), limits(PART), HOT, &clock)).await;
    let scene = Scene { disk, store, clock, state: empty, mover: new };
    let rebuilt = Box::pin(scene.mover.rebuild()).await.unwrap();
    assert_eq!((rebuilt.rows, rebuilt.local, rebuilt.reconciled.strays.len()), (2, 1, 0));
    // The one that is local too is read back before it counts.
    let row = scene.mover.ledger().row(kept.segment).await.unwrap().unwrap();
    assert_eq!(row.remote, Remote::Uploading);
    let sent = scene.store.requests();
    Box::pin(scene.mover.pass()).await.unwrap();
    assert!(scene.store.requests() - sent <= 3, "looked at, not sent again");
    assert_eq!(rows(&scene).await, before);
}

fn scene_now(scene: &Scene) -> vms_core::WallTime {
    use tiers::Clock as _;
    scene.clock.wall()
}

async fn rows(scene: &Scene) -> Vec<tiers::Row> {
    let mut rows = Vec::new();
    for facts in scene.disk.all() {
        rows.push(scene.mover.ledger().row(facts.segment).await.unwrap().unwrap());
    }
    rows
}

/// The future of a pass is dropped after each possible number of requests, as a kill would: the next start ends it.
#[tokio::test(start_paused = true)]
async fn a_kill_at_any_request_is_harmless() {
    for allowed in 0..12 {
        let mut scene = Box::pin(Scene::new()).await;
        Box::pin(scene.mover.scan()).await.unwrap();
        scene.store.set(Fault::Slow(Duration::from_secs(1)));
        let limit = Duration::from_millis(1_000 * allowed + 500);
        assert!(tokio::time::timeout(limit, Box::pin(scene.mover.pass())).await.is_err() || allowed > 7, "{allowed}");
        assert_eq!(scene.local(), 2, "{allowed}");
        scene.store.set(Fault::None);
        Box::pin(scene.reopen()).await;
        Box::pin(scene.passes(10)).await;
        assert_eq!((scene.local(), scene.state()), (0, TierState::Up), "{allowed}");
        // An upload of which the kill hid the id is ended by reconciling on S3 (`UNFINISHED_AFTER`); memory has no such listing.
        assert!(scene.store.open_uploads() <= 1, "{allowed}");
        assert_eq!(Box::pin(scene.mover.reconcile()).await.unwrap().listed, 2, "{allowed}");
    }
}
