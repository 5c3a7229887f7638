//! Hold against sweeper, every order. The actors work as if nothing locked the store: each first looks and plans, then, at any
//! later time, writes what it planned; a crash may take a plan that was not written. The rules that decide are those of
//! [`crate::state`], the same that the store uses.

use std::collections::BTreeSet;

use vms_core::{HoldId, SegmentId};

use super::{at, name, segment};
use crate::state::{Entry, Slot, Source, State};
use crate::{KeyEpoch, Reason};

fn epoch(hour: u64) -> KeyEpoch {
    KeyEpoch::new(hour << 32 | 1).unwrap()
}

fn hold_id(number: u8) -> HoldId {
    HoldId::from_bytes([number; 16])
}

/// Segments, each with its hour: 1 and 2 in hour 1, 3 in hour 2.
const SEGMENTS: [(u8, u64); 3] = [(1, 1), (2, 1), (3, 2)];

/// A step of an actor. `Plan` steps look, `Write` steps write what was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Step {
    PlanHold(u8, &'static [usize]),
    WriteHold(u8),
    PlanSweep(u64),
    WriteSweep(u64),
    Release(u8),
    Compact,
}

#[derive(Clone, Default)]
struct World {
    state: State,
    planned_hold: Vec<(u8, Vec<Entry>)>,
    planned_sweep: Vec<(u64, Vec<Entry>)>,
    /// (hold, segment) that was answered as held and not released.
    promised: BTreeSet<(u8, usize)>,
    swept: BTreeSet<u64>,
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        for hour in [1, 2] {
            let entry = Entry::HourKey {
                epoch: epoch(hour),
                name: name(1, u32::try_from(hour).unwrap()),
                made_at: at(0),
                slot: Slot::Present([9; 60]),
            };
            world.state.apply(&entry, 100 * hour).unwrap();
        }
        world
    }

    fn id(index: usize) -> (SegmentId, KeyEpoch) {
        (segment(SEGMENTS[index].0), epoch(SEGMENTS[index].1))
    }

    /// Like `KeyRing::hold`: a key is wrapped anew only when one opens the segment at the time of looking.
    fn plan_hold(&self, hold: u8, segments: &[usize]) -> Vec<Entry> {
        let mut entries = Vec::new();
        if self.state.is_released(hold_id(hold)) {
            return entries;
        }
        if self.state.live_hold(hold_id(hold)).is_none() {
            entries.push(Entry::HoldKey { hold: hold_id(hold), made_at: at(1), slot: Slot::Present([8; 60]) });
        }
        for index in segments {
            let (segment, epoch) = Self::id(*index);
            if self.state.source(segment, epoch).is_open() && self.state.held_under(hold_id(hold), segment).is_none() {
                entries.push(Entry::Held { hold: hold_id(hold), segment, epoch, slot: Slot::Present([7; 60]) });
            }
        }
        entries
    }

    /// A frame is written whole or not at all; one that contradicts what came before is refused whole.
    fn write(&mut self, entries: &[Entry]) -> bool {
        let mut next = self.state.clone();
        let fits = entries.iter().all(|entry| next.apply(entry, 1).is_ok());
        if fits {
            self.state = next;
        }
        fits
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::PlanHold(hold, segments) => {
                let plan = self.plan_hold(hold, segments);
                self.planned_hold.push((hold, plan));
            }
            Step::WriteHold(hold) => {
                let Some(at) = self.planned_hold.iter().position(|(planned, _)| *planned == hold) else { return };
                let (_, entries) = self.planned_hold.remove(at);
                if self.write(&entries) {
                    let index = |id: &SegmentId| (0..SEGMENTS.len()).find(|index| Self::id(*index).0 == *id).unwrap();
                    for entry in &entries {
                        if let Entry::Held { segment, .. } = entry {
                            self.promised.insert((hold, index(segment)));
                        }
                    }
                }
            }
            Step::PlanSweep(hour) => {
                let plan = self.state.plan_destroy(&[epoch(hour)], at(2), Reason::EndOfTerm);
                self.planned_sweep.push((hour, plan));
            }
            Step::WriteSweep(hour) => {
                let Some(at) = self.planned_sweep.iter().position(|(planned, _)| *planned == hour) else { return };
                let (_, entries) = self.planned_sweep.remove(at);
                if self.write(&entries) {
                    self.state.owed_is_paid();
                    self.swept.insert(hour);
                }
            }
            Step::Release(hold) => {
                if let Some(entry) = self.state.plan_release(hold_id(hold), at(3)) {
                    assert!(self.write(&[entry]));
                    self.promised.retain(|(held, _)| *held != hold);
                }
            }
            Step::Compact => {
                let mut fresh = State::default();
                for entry in self.state.snapshot(at(0)) {
                    fresh.apply(&entry, 1).expect("a snapshot should not contradict itself");
                }
                self.state = fresh;
            }
        }
    }

    /// A crash: plans are gone, what is written stays.
    fn crash(&mut self) {
        self.planned_hold.clear();
        self.planned_sweep.clear();
    }

    fn check(&self, path: &[Step]) {
        for (index, (_, hour)) in SEGMENTS.iter().enumerate() {
            let (segment, epoch) = Self::id(index);
            let source = self.state.source(segment, epoch);
            let is_promised = self.promised.iter().any(|(_, held)| *held == index);
            let is_swept = self.swept.contains(hour);
            if is_promised || !is_swept {
                assert!(source.is_open(), "segment {index} lost after {path:?}");
            } else {
                assert!(matches!(source, Source::Gone(_)), "segment {index} outlives its term after {path:?}");
            }
        }
    }
}

fn explore(world: &World, actors: &[&'static [Step]], done: &mut Vec<usize>, path: &mut Vec<Step>, ends: &mut usize) {
    world.check(path);
    let mut is_end = true;
    for actor in 0..actors.len() {
        let Some(step) = actors[actor].get(done[actor]).copied() else { continue };
        is_end = false;
        let mut next = world.clone();
        next.step(step);
        done[actor] += 1;
        path.push(step);
        explore(&next, actors, done, path, ends);
        path.pop();
        done[actor] -= 1;
    }
    *ends += usize::from(is_end);
}

#[test]
fn no_order_of_holds_sweeps_releases_and_rotations_loses_a_held_segment_or_keeps_a_free_one() {
    use Step::{Compact, PlanHold, PlanSweep, Release, WriteHold, WriteSweep};
    let sweeper: &[Step] = &[PlanSweep(1), WriteSweep(1), PlanSweep(2), WriteSweep(2)];
    let first: &[Step] = &[PlanHold(1, &[0, 2]), WriteHold(1), Release(1)];
    let second: &[Step] = &[PlanHold(2, &[0, 1]), WriteHold(2)];
    let again: &[Step] = &[PlanHold(1, &[1]), WriteHold(1)];
    let rotator: &[Step] = &[Compact];
    let other_sweeper: &[Step] = &[PlanSweep(1), WriteSweep(1)];
    for actors in [
        &[sweeper, first, second, rotator][..],
        &[sweeper, first, again, rotator],
        &[sweeper, other_sweeper, first, rotator],
        &[sweeper, first, second, again],
    ] {
        let mut ends = 0;
        explore(&World::new(), actors, &mut vec![0; actors.len()], &mut Vec::new(), &mut ends);
        assert!(ends >= 10_000, "{ends}");
    }
}

#[test]
fn a_crash_anywhere_changes_nothing_of_that() {
    use Step::{PlanHold, PlanSweep, Release, WriteHold, WriteSweep};
    let all =
        [PlanSweep(1), PlanHold(1, &[0, 1, 2]), WriteSweep(1), WriteHold(1), PlanSweep(2), WriteSweep(2), Release(1)];
    // Every order of seven steps, each cut at every place, then begun anew.
    let mut orders = vec![vec![]];
    for step in all {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<Step>| {
                (0..=order.len()).map(move |place| {
                    let mut longer = order.clone();
                    longer.insert(place, step);
                    longer
                })
            })
            .collect();
    }
    assert_eq!(orders.len(), 5_040);
    for order in orders {
        for cut in 0..=order.len() {
            let mut world = World::new();
            for (number, step) in order.iter().chain(&order).enumerate() {
                if number == cut {
                    world.crash();
                }
                world.step(*step);
                world.check(&order);
            }
        }
    }
}

/// The store itself, call by call: every order of seven calls, opened anew after each order.
#[test]
fn the_store_keeps_its_word_in_every_order_of_calls() {
    use super::fakedisk::FakeDisk;
    use super::{CREATE, Film, SeededRandom, base, config, open};
    use crate::OpenSegmentError;
    use std::sync::Arc;

    const CALLS: usize = 7;
    let mut orders = vec![vec![]];
    for call in 0..CALLS {
        let longer = |order: Vec<usize>| {
            (0..=order.len()).map(move |place| {
                let mut longer = order.clone();
                longer.insert(place, call);
                longer
            })
        };
        orders = orders.into_iter().flat_map(longer).collect();
    }
    // One store made once; every order begins from a copy of its disk.
    let random = Arc::new(SeededRandom::default());
    let disk = Arc::new(FakeDisk::default());
    let ring = open(&disk, &random, config(&base(), false), CREATE).unwrap();
    let shoot = |hour, number| Film::shoot(ring.begin_segment(&name(1, hour), segment(number), at(1)).unwrap());
    let films = [shoot(1, 1), shoot(1, 2), shoot(2, 3)];
    drop(ring);
    let files = disk.files();
    for order in orders {
        let disk = Arc::new(FakeDisk::with(&files));
        let ring = open(&disk, &random, config(&base(), false), CREATE).unwrap();
        let mut held: BTreeSet<(u8, usize)> = BTreeSet::new();
        let mut swept: BTreeSet<u32> = BTreeSet::new();
        let mut hold = |number: u8, wanted: &[usize]| {
            let ids: Vec<_> = wanted.iter().map(|index| (films[*index].segment, films[*index].epoch)).collect();
            let Ok(report) = ring.hold(hold_id(number), &ids, at(2)) else { return };
            assert_eq!(report.held + report.already + report.refused.len(), wanted.len());
            let is_taken =
                |index: &&usize| report.refused.iter().all(|(refused, _)| films[**index].segment != *refused);
            held.extend(wanted.iter().filter(is_taken).map(|index| (number, *index)));
        };
        let mut released = false;
        for call in &order {
            match call {
                0 => hold(1, &[0, 2]),
                1 => hold(2, &[0, 1]),
                2 => hold(1, &[1]),
                3 => released |= ring.release(hold_id(1), at(3)).is_ok(),
                4 | 5 => {
                    let hour = if *call == 4 { 1 } else { 2 };
                    ring.destroy_hours(&|name| name.hour.count() == hour, 9, Reason::EndOfTerm, at(4)).unwrap();
                    swept.insert(hour);
                }
                _ => drop(ring.rotate(at(5)).unwrap()),
            }
        }
        drop(ring);
        // A release that came before its hold found none, so the hold stayed.
        held.retain(|(number, _)| *number != 1 || !released);
        let ring = open(&disk, &random, config(&base(), false), CREATE).unwrap();
        for (index, film) in films.iter().enumerate() {
            let seen = film.look(&ring);
            let is_held = held.iter().any(|(_, known)| *known == index);
            if is_held || !swept.contains(&film.epoch.hour().count()) {
                assert!(seen.is_ok(), "{order:?}: {seen:?}");
            } else {
                assert!(matches!(seen, Err(OpenSegmentError::Destroyed(_))), "{order:?}: {seen:?}");
            }
        }
    }
}
