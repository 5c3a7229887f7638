//! A crash, and an error, at every write of a story that uses everything. After each the store must open, and everything
//! that was answered before must hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use vms_core::HoldId;

use super::fakedisk::{CUTS, Cut, FakeDisk};
use super::{CREATE, Film, SeededRandom, at, base, config, name, open, segment};
use crate::state::{Entry, Slot};
use crate::{Copy, Disk as _, KeyError, KeyRing, OpenOptions, OpenSegmentError, Reason};

const HOLD: u8 = 1;
const LATER: u8 = 2;

fn hold_id(number: u8) -> HoldId {
    HoldId::from_bytes([number; 16])
}

/// What was answered so far.
#[derive(Default, Debug)]
struct Facts {
    films: Vec<Film>,
    /// Hours whose destruction was answered.
    dead: BTreeSet<u32>,
    /// Hours whose destruction was asked for.
    dying: BTreeSet<u32>,
    held: BTreeSet<u8>,
    /// Segments whose hold was asked to end.
    freed: BTreeSet<u8>,
    released: BTreeSet<u8>,
}

impl Facts {
    fn film(&self, number: u8) -> Option<&Film> {
        self.films.iter().find(|film| film.segment == segment(number))
    }

    fn begin(&mut self, ring: &KeyRing, hour: u32, number: u8) -> Result<(), KeyError> {
        if self.film(number).is_some() {
            return Ok(());
        }
        match ring.begin_segment(&name(1, hour), segment(number), at(1)) {
            Ok(key) => self.films.push(Film::shoot(key)),
            // The crash came after the row was saved: nothing was sealed with it, and nobody asks for it again.
            Err(KeyError::SegmentExists { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn hold(&mut self, ring: &KeyRing, hold: u8, numbers: &[u8]) -> Result<(), KeyError> {
        let films = numbers.iter().filter_map(|number| self.film(*number));
        let wanted: Vec<_> = films.map(|film| (film.segment, film.epoch)).collect();
        let report = match ring.hold(hold_id(hold), &wanted, at(2)) {
            Err(KeyError::HoldReleased { .. }) => return Ok(()),
            other => other?,
        };
        for (taken, _) in &wanted {
            if report.refused.iter().all(|(refused, _)| refused != taken) {
                self.held.insert(taken.as_bytes()[0]);
            }
        }
        Ok(())
    }

    fn destroy(&mut self, ring: &KeyRing, hour: u32) -> Result<(), KeyError> {
        self.dying.insert(hour);
        ring.destroy_hours(&|name| name.hour.count() == hour, 100, Reason::EndOfTerm, at(3))?;
        self.dead.insert(hour);
        Ok(())
    }

    fn release(&mut self, ring: &KeyRing, hold: u8, numbers: &[u8]) -> Result<(), KeyError> {
        self.freed.extend(numbers);
        match ring.release(hold_id(hold), at(4)) {
            Ok(_) | Err(KeyError::HoldReleased { .. }) => self.released.insert(hold),
            Err(KeyError::NoSuchHold { .. }) => false,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Everything from the start; what was done already is asked again.
    fn story(&mut self, ring: &KeyRing) -> Result<(), KeyError> {
        ring.prepare_hours(&[name(1, 10), name(2, 10), name(1, 11)], at(1))?;
        if !self.dying.contains(&10) {
            self.begin(ring, 10, 1)?;
            self.begin(ring, 10, 2)?;
        }
        self.begin(ring, 11, 3)?;
        self.hold(ring, HOLD, &[1, 3])?;
        self.destroy(ring, 10)?;
        ring.rotate(at(5))?;
        self.begin(ring, 12, 4)?;
        self.hold(ring, LATER, &[4, 2])?;
        self.release(ring, HOLD, &[1, 3])?;
        self.destroy(ring, 12)?;
        ring.rotate(at(6))?;
        self.begin(ring, 13, 5)
    }

    fn must_hold(&self, ring: &KeyRing, when: &str) {
        for film in &self.films {
            let number = film.segment.as_bytes()[0];
            let hour = film.epoch.hour().count();
            let seen = film.look(ring);
            let is_held = self.held.contains(&number) && !self.freed.contains(&number);
            if is_held || !self.dying.contains(&hour) {
                assert!(seen.is_ok(), "{when}: segment {number} is lost: {seen:?}");
            }
            let is_free =
                !self.held.contains(&number) || (self.freed.contains(&number) && self.released.contains(&HOLD));
            if self.dead.contains(&hour) && is_free {
                assert!(matches!(seen, Err(OpenSegmentError::Destroyed(_))), "{when}: segment {number}: {seen:?}");
            }
        }
    }
}

fn reopen(disk: &Arc<FakeDisk>, random: &Arc<SeededRandom>, two: bool, is_fresh: bool, when: &str) -> KeyRing {
    let options = OpenOptions { is_fresh, ..CREATE };
    let ring = open(disk, random, config(&base(), two), options).unwrap_or_else(|error| panic!("{when}: {error}"));
    let Some(missing) = ring.missing_copies().first().copied() else { return ring };
    // Only the first start of all can be cut between the copies.
    assert_eq!(missing, Copy::First, "{when}");
    drop(ring);
    open(disk, random, config(&base(), two), OpenOptions { adopt: Some(missing), ..CREATE })
        .unwrap_or_else(|error| panic!("{when}, taken in: {error}"))
}

/// Every wrap of a dead key is zeros in every copy, and wraps of segments lie only where an hour key lives.
pub(super) fn nothing_is_owed(disk: &FakeDisk, when: &str) {
    for (path, bytes) in disk.files().into_iter().filter(|(path, _)| path.to_string_lossy().contains("/keys-")) {
        let entries = crate::frame::merge(&[&bytes]).unwrap().entries;
        let mut alive = BTreeSet::new();
        let mut dead = BTreeSet::new();
        let mut released = BTreeSet::new();
        let mut gated = BTreeSet::new();
        for (entry, _) in &entries {
            match entry {
                Entry::HourKey { epoch, .. } => assert!(alive.insert(*epoch)),
                Entry::Destroyed { epoch, .. } => assert!(dead.insert(*epoch)),
                Entry::Released { hold, .. } => assert!(released.insert(*hold)),
                Entry::GatedHour { epoch, .. } => {
                    assert!(gated.insert(*epoch));
                }
                Entry::HoldKey { .. } | Entry::Held { .. } | Entry::GateKey { .. } | Entry::Pinned { .. } => {}
            }
        }
        let moved = gated.clone();
        gated.retain(|epoch| !dead.contains(epoch));
        alive.retain(|epoch| !dead.contains(epoch));
        alive.extend(&gated);
        for (entry, _) in &entries {
            let is_dead = match entry {
                Entry::HourKey { epoch, .. } => dead.contains(epoch) || moved.contains(epoch),
                Entry::GatedHour { epoch, .. } => dead.contains(epoch),
                Entry::HoldKey { hold, .. } => released.contains(hold),
                Entry::Held { .. }
                | Entry::Destroyed { .. }
                | Entry::Released { .. }
                | Entry::GateKey { .. }
                | Entry::Pinned { .. } => false,
            };
            assert!(!is_dead || entry.slot() == Some(Slot::Blank), "{when}: a dead wrap lies in {path:?}");
        }
        let hours: BTreeSet<_> = alive.iter().map(|epoch| epoch.hour()).collect();
        let names: Vec<String> = disk.list(path.parent().unwrap()).unwrap();
        assert!(crate::open::hours_in(&names).all(|hour| hours.contains(&hour)), "{when}: {names:?}");
    }
}

fn run(two: bool, is_crash: bool) -> usize {
    let mut runs = 0;
    for names in [0, u32::MAX, 0x5555_5555, 0xaaaa_aaaa] {
        for cut in CUTS {
            for number in 1.. {
                let when = format!("two {two}, crash {is_crash}, names {names:x}, {cut:?} at {number}");
                let disk = Arc::new(FakeDisk::default());
                let random = Arc::new(SeededRandom::default());
                let mut facts = Facts::default();
                disk.fault(number, cut, is_crash);
                let ring = open(&disk, &random, config(&base(), two), CREATE);
                if let Ok(ring) = ring {
                    let ended = facts.story(&ring);
                    assert_eq!(ended.is_err(), disk.was_hit(), "{when}: {ended:?}");
                    if ended.is_err() && !is_crash {
                        // Nothing is promised by a store that does not know what it wrote.
                        assert!(matches!(ring.rotate(at(7)), Err(KeyError::Faulted)), "{when}");
                    }
                }
                if !disk.was_hit() {
                    break;
                }
                if is_crash {
                    disk.reboot(names);
                }
                runs += 1;
                let ring = reopen(&disk, &random, two, !is_crash, &when);
                facts.must_hold(&ring, &when);
                nothing_is_owed(&disk, &when);
                facts.story(&ring).unwrap_or_else(|error| panic!("{when}, again: {error}"));
                facts.must_hold(&ring, &when);
                let report = ring.check(true).unwrap();
                assert!(report.copies.iter().all(crate::CopyReport::is_whole), "{when}: {report:?}");
                assert_eq!(report.damaged_held + report.damaged_segments, 0, "{when}");
                let roots = disk.files().keys().filter(|path| path.to_string_lossy().contains("/root/")).count();
                assert_eq!(roots, if two { 2 } else { 1 }, "{when}: an old root is left");
            }
            if !is_crash && cut == Cut::After {
                break;
            }
        }
        if !is_crash {
            break;
        }
    }
    runs
}

#[test]
fn a_crash_at_every_write_with_two_copies() {
    assert!(run(true, true) > 1_000);
}

#[test]
fn a_crash_at_every_write_on_one_disk() {
    assert!(run(false, true) > 500);
}

#[test]
fn an_error_at_every_write() {
    assert!(run(true, false) > 300);
    assert!(run(false, false) > 150);
}
