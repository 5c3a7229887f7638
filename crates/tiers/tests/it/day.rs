//! Twenty-four hours of a simulated clock over a store that is down, slow and lying in turns: nothing is lost, and the backlog drains.

use std::sync::Arc;
use std::time::Duration;

use crate::support::fault::{Fault, FaultStore};
use crate::support::{Disk, START, TestClock, gather, limits, mover, tier_name};
use tiers::{Alarm, Clock as _, Tier, TierState};

const MINUTE: Duration = Duration::from_secs(60);
/// A segment ends every five minutes.
const EVERY: u32 = 5;
const LEN: usize = 2_500;

/// The fault of an hour; hour 22 and on are honest.
fn fault(hour: u32) -> Fault {
    match hour {
        0 | 22.. => Fault::None,
        1..6 => Fault::Down,
        6 => Fault::Slow(Duration::from_secs(40)),
        7 => Fault::Slow(Duration::from_secs(2)),
        8 => Fault::Forbidden,
        9 | 10 => Fault::Swallows,
        11 | 12 => Fault::Flips,
        13 => Fault::Cuts,
        14 => Fault::GivesOther,
        15 => Fault::GivesLess,
        16 => Fault::GivesMore,
        17 => Fault::FailsAfter,
        18..22 => Fault::Down,
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_day_loses_nothing() {
    let (disk, store, clock) = (Disk::new(), FaultStore::default(), TestClock::new());
    let state = tempfile::tempdir().unwrap();
    let tier = Tier::over(tier_name(), Arc::new(store.clone()), Some(Arc::new(store.clone())), Duration::from_secs(30));
    let mover = Box::pin(mover(&disk, state.path(), tier, limits(1_000), Duration::from_secs(1_800), &clock)).await;
    let (mut recorded, mut saw_down, mut saw_lying, mut saw_backlog) = (0, false, false, false);
    for minute in 0..24 * 60 {
        store.set(fault(minute / 60));
        if minute % EVERY == 0 {
            recorded += 1;
            let facts = disk.record(recorded, clock.wall(), LEN);
            mover.closed(std::slice::from_ref(&facts)).await.unwrap();
        }
        Box::pin(mover.pass()).await.unwrap();
        let health = mover.health().borrow().clone();
        saw_down |= health.tiers.iter().any(|tier| matches!(tier.state, TierState::Down { .. }));
        saw_lying |= health.tiers.iter().any(|tier| matches!(tier.state, TierState::Lying { .. }));
        saw_backlog |= health.alarms.iter().any(|alarm| matches!(alarm, Alarm::Backlog { .. }));
        // The invariant, every minute: what is not local is whole in the store, whatever the store says just now.
        if minute % 30 == 29 {
            for facts in disk.all().iter().filter(|facts| !disk.has(facts.segment)) {
                let row = mover.ledger().row(facts.segment).await.unwrap().unwrap();
                let key = row.name(&crate::support::recorder()).unwrap().encode().unwrap().into();
                let whole =
                    object_store::ObjectStoreExt::get(&*store.inner, &key).await.unwrap().bytes().await.unwrap();
                let number = u32::try_from(facts.epoch >> 32).unwrap();
                assert!(whole == crate::support::content(number, LEN), "segment {number} at minute {minute}");
            }
        }
        tokio::time::sleep(MINUTE).await;
    }
    assert!(saw_down && saw_lying && saw_backlog);
    assert!(clock.wall() >= START.plus(Duration::from_secs(86_400)));
    for _ in 0..60 {
        Box::pin(mover.pass()).await.unwrap();
        tokio::time::sleep(MINUTE).await;
    }
    let health = mover.health().borrow().clone();
    assert_eq!((health.waiting_segments, &health.alarms[..]), (0, &[][..]));
    let found = Box::pin(mover.reconcile()).await.unwrap();
    assert_eq!((found.listed, found.missing.len(), found.strays.len()), (u64::from(recorded), 0, 0));
    assert_eq!(store.open_uploads(), 0);
    for facts in disk.all() {
        let number = u32::try_from(facts.epoch >> 32).unwrap();
        assert!(
            Box::pin(gather(&mover, facts.segment, 0..facts.len)).await.unwrap()
                == crate::support::content(number, LEN)
        );
    }
}
