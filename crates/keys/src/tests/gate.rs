//! The magistrate's gate: what moved opens with the gate and only with it, dies when it should, and no crash and no order of steps
//! loses a key or leaves one open.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use vms_core::HoldId;

use super::crash::nothing_is_owed;
use super::fakedisk::{CUTS, Cut, FakeDisk};
use super::{CREATE, Film, SeededRandom, at, base, config, name, open, segment};
use crate::{
    BackupPlan, Disk, GatePlan, GateSecret, KeyEpoch, KeyError, KeyRing, OpenOptions, OpenSegmentError, Protection,
    Random, Reason,
};

fn plan() -> GatePlan {
    GatePlan {
        folder: PathBuf::from("/gate/one"),
        copy: Some(PathBuf::from("/gate/two")),
        protection: Protection::FileMode,
    }
}

fn hold_id(number: u8) -> HoldId {
    HoldId::from_bytes([number; 16])
}

/// By the gate; one that opens and shows something else fails the test.
fn look(film: &Film, ring: &KeyRing, disk: &dyn Disk) -> Result<(), OpenSegmentError> {
    let Some(public) = ring.gate_of(film.epoch) else { return film.look(ring) };
    let secret = GateSecret::open(disk, &plan(), &public).map_err(OpenSegmentError::Store)?;
    let opener = ring.open_gated(film.segment, film.epoch, &secret)?;
    let mut body = film.sealed.clone();
    assert_eq!(opener.open_in_place(0, b"head", &mut body).expect("a wrong key"), film.segment.as_bytes());
    Ok(())
}

fn fresh() -> (Arc<FakeDisk>, Arc<SeededRandom>, KeyRing) {
    let (disk, random) = (Arc::new(FakeDisk::default()), Arc::new(SeededRandom::default()));
    let ring = open(&disk, &random, config(&base(), true), CREATE).unwrap();
    (disk, random, ring)
}

fn shoot(ring: &KeyRing, hour: u32, number: u8) -> Film {
    Film::shoot(ring.begin_segment(&name(1, hour), segment(number), at(1)).unwrap())
}

const PLAIN: OpenOptions = OpenOptions { may_create: false, ..CREATE };

#[test]
fn what_moved_opens_by_the_gate_alone_until_it_dies() {
    let (disk, random, ring) = fresh();
    let (moved, other) = (shoot(&ring, 5, 1), shoot(&ring, 6, 2));
    assert!(matches!(ring.gate_hours(&[moved.epoch], at(2)), Err(KeyError::Gate { .. })), "there is no gate yet");
    ring.make_gate(&plan(), at(2)).unwrap();
    let unknown = KeyEpoch::new(77).unwrap();
    let done = ring.gate_hours(&[moved.epoch, moved.epoch, unknown], at(3)).unwrap();
    assert_eq!((done.moved.len(), done.already, done.refused), (1, 1, vec![unknown]));
    assert_eq!(ring.gate_hours(&[moved.epoch], at(3)).unwrap().already, 1, "asked again");
    let mut ring = ring;
    for step in 0..4 {
        match step {
            0 => {}
            1 => drop(ring.rotate(at(4)).unwrap()),
            2 => {
                drop(ring);
                ring = open(&disk, &random, config(&base(), true), PLAIN).unwrap();
            }
            _ => drop(ring.make_gate(&plan(), at(5)).unwrap()),
        }
        assert!(matches!(moved.look(&ring), Err(OpenSegmentError::Gated)), "step {step}");
        look(&moved, &ring, &*disk).unwrap();
        other.look(&ring).unwrap();
        assert!(ring.check(true).unwrap().is_whole());
        nothing_is_owed(&disk, "moved");
    }
    // Of another gate: no.
    let newer = GateSecret::open(&*disk, &plan(), &ring.gate().unwrap()).unwrap();
    assert!(ring.open_gated(moved.segment, moved.epoch, &newer).is_err());
    // One folder is enough, none is not.
    for (broken, works) in [("/gate/one", true), ("/gate/two", true), ("/gate", false)] {
        disk.set_broken(Some(&PathBuf::from(broken)));
        let seen = look(&moved, &ring, &*disk);
        assert_eq!(seen.is_ok(), works || disk.read(&PathBuf::from(broken)).is_ok(), "{broken}: {seen:?}");
        disk.set_broken(None);
    }
    let dead = ring.destroy_epochs(&|epoch| epoch == moved.epoch, 9, Reason::EndOfTerm, at(9)).unwrap();
    assert_eq!((dead.keys.len(), &dead.keys[0].name), (1, &name(1, 5)));
    assert!(matches!(look(&moved, &ring, &*disk), Err(OpenSegmentError::Destroyed(_))));
    assert!(ring.gated_hours().is_empty());
    nothing_is_owed(&disk, "dead");
    other.look(&ring).unwrap();
}

#[test]
fn a_raid_with_everything_but_the_gate_finds_nothing_behind_it() {
    let (disk, random, ring) = fresh();
    let (moved, young) = (shoot(&ring, 5, 1), shoot(&ring, 6, 2));
    ring.make_gate(&plan(), at(2)).unwrap();
    ring.gate_hours(&[moved.epoch], at(3)).unwrap();
    ring.rotate(at(4)).unwrap();
    let raid: BTreeMap<PathBuf, Vec<u8>> =
        disk.files().into_iter().filter(|(path, _)| !path.starts_with("/gate")).collect();
    let theirs = Arc::new(FakeDisk::with(&raid));
    let ring = open(&theirs, &random, config(&base(), true), OpenOptions { is_read_only: true, ..PLAIN }).unwrap();
    young.look(&ring).unwrap();
    assert!(matches!(moved.look(&ring), Err(OpenSegmentError::Gated)));
    assert!(matches!(look(&moved, &ring, &*theirs), Err(OpenSegmentError::Store(KeyError::Gate { .. }))));
    // By hand: what the root opens of the gated hour is a share, under which no wrap of a segment opens.
    let root = raid.iter().find(|(path, _)| path.ends_with("root-00000002.key")).unwrap().1;
    let root = crate::keyfile::KeyFile::read(root, &Protection::FileMode).unwrap();
    let hour = name(1, 5);
    let (mut shares, mut opened) = (0, 0);
    let windows = |path: &str| -> Vec<[u8; 60]> {
        let files = raid.iter().filter(|(found, _)| found.to_string_lossy().contains(path));
        files.flat_map(|(_, bytes)| bytes.windows(60).map(|window| window.try_into().unwrap())).collect()
    };
    for wrapped in windows("/keys-") {
        for context in [
            crate::secret::Context::Gated(root.domain, moved.epoch, &hour),
            crate::secret::Context::Hour(root.domain, moved.epoch, &hour),
        ] {
            let Ok(share) = crate::secret::unwrap(&root.key, &wrapped, root.store, &context) else { continue };
            shares += 1;
            for wrap in windows("/wraps-") {
                let context = crate::secret::Context::Segment(moved.epoch, moved.segment);
                opened += usize::from(crate::secret::unwrap(&share, &wrap, root.store, &context).is_ok());
            }
        }
    }
    assert_eq!((shares, opened), (2, 0), "one share in each copy, and it opens nothing");
    // The other way: the gate without the store's root.
    let rootless: BTreeMap<PathBuf, Vec<u8>> =
        disk.files().into_iter().filter(|(path, _)| !path.to_string_lossy().contains("/root/")).collect();
    let theirs = Arc::new(FakeDisk::with(&rootless));
    let error = open(&theirs, &random, config(&base(), true), OpenOptions { is_read_only: true, ..PLAIN });
    assert!(matches!(error, Err(KeyError::NoRoot { .. })));
    // The control: with all of it, it opens.
    let all = Arc::new(FakeDisk::with(&disk.files()));
    let ring = open(&all, &random, config(&base(), true), OpenOptions { is_read_only: true, ..PLAIN }).unwrap();
    look(&moved, &ring, &*all).unwrap();
}

#[test]
fn a_backup_brings_back_what_is_behind_the_gate_and_it_stays_there() {
    let (disk, random, ring) = fresh();
    let moved = shoot(&ring, 5, 1);
    ring.make_gate(&plan(), at(2)).unwrap();
    ring.gate_hours(&[moved.epoch], at(3)).unwrap();
    let backups = BackupPlan {
        folder: PathBuf::from("/backup"),
        keys: PathBuf::from("/backup-keys"),
        protection: Protection::FileMode,
        life: std::time::Duration::from_secs(72 * 3_600),
    };
    ring.backup(&backups, at(4)).unwrap();
    drop(ring);
    let left: BTreeMap<PathBuf, Vec<u8>> =
        disk.files().into_iter().filter(|(path, _)| !path.starts_with(base())).collect();
    let disk = Arc::new(FakeDisk::with(&left));
    let (any_disk, any_random) = (Arc::clone(&disk) as Arc<dyn Disk>, Arc::clone(&random) as Arc<dyn Random>);
    let report =
        crate::restore(&any_disk, &any_random, &backups, &config(&base(), true), &|_| false, at(3_600_000)).unwrap();
    assert_eq!((report.hours, report.past_term, report.damaged), (1, 0, 0));
    let ring = open(&disk, &random, config(&base(), true), PLAIN).unwrap();
    assert!(matches!(moved.look(&ring), Err(OpenSegmentError::Gated)));
    look(&moved, &ring, &*disk).unwrap();
}

/// Steps whose every order is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hold,
    Gate,
    Destroy,
    Release,
    Rotate,
}

fn orders(rest: &[Step], so_far: &mut Vec<Step>, out: &mut Vec<Vec<Step>>) {
    if rest.is_empty() {
        out.push(so_far.clone());
    }
    for (number, step) in rest.iter().enumerate() {
        let mut left = rest.to_vec();
        left.remove(number);
        so_far.push(*step);
        orders(&left, so_far, out);
        so_far.pop();
    }
}

#[test]
fn holds_gate_and_sweeper_in_every_order() {
    let mut all = Vec::new();
    let steps = [Step::Hold, Step::Gate, Step::Destroy, Step::Destroy, Step::Release, Step::Rotate];
    orders(&steps, &mut Vec::new(), &mut all);
    assert_eq!(all.len(), 720);
    for order in all {
        let (disk, _, ring) = fresh();
        let (wanted, other) = (shoot(&ring, 5, 1), shoot(&ring, 5, 2));
        ring.make_gate(&plan(), at(2)).unwrap();
        let (mut is_held, mut is_gone, mut moved) = (false, false, false);
        for step in &order {
            match step {
                Step::Hold => match ring.hold(hold_id(1), &[(wanted.segment, wanted.epoch)], at(3)) {
                    Ok(report) => is_held = report.held == 1,
                    Err(error) => assert!(matches!(error, KeyError::HoldReleased { .. }), "{order:?}: {error}"),
                },
                Step::Gate => moved = ring.gate_hours(&[wanted.epoch], at(3)).unwrap().moved.len() == 1,
                Step::Destroy => {
                    let done = ring.destroy_epochs(&|_| true, 9, Reason::EndOfTerm, at(4)).unwrap();
                    is_gone |= done.keys.len() == 1;
                }
                Step::Release => match ring.release(hold_id(1), at(5)) {
                    Ok(_) => is_held = false,
                    Err(error) => assert!(matches!(error, KeyError::NoSuchHold { .. }), "{order:?}: {error}"),
                },
                Step::Rotate => drop(ring.rotate(at(6)).unwrap()),
            }
            let (plain, gated) = (wanted.look(&ring), look(&wanted, &ring, &*disk));
            assert_eq!(gated.is_ok(), is_held || !is_gone, "{order:?} at {step:?}: {gated:?}");
            if moved && !is_gone {
                assert!(matches!(plain, Err(OpenSegmentError::Gated)), "{order:?}: a hold is no right to see");
                assert!(matches!(other.look(&ring), Err(OpenSegmentError::Gated)));
            }
            assert_eq!(ring.is_held(wanted.segment), is_held, "{order:?}");
            assert!(!ring.is_held(other.segment));
            nothing_is_owed(&disk, &format!("{order:?} at {step:?}"));
        }
        // The next sweep takes what a hold kept.
        if !is_held {
            ring.destroy_epochs(&|_| true, 9, Reason::EndOfTerm, at(9)).unwrap();
            assert!(look(&wanted, &ring, &*disk).is_err() && look(&other, &ring, &*disk).is_err(), "{order:?}");
        }
    }
}

#[derive(Default, Debug)]
struct Facts {
    films: Vec<Film>,
    /// Asked for, and answered.
    moving: bool,
    moved: bool,
    dying: bool,
    dead: bool,
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
            Err(KeyError::SegmentExists { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn story(&mut self, ring: &KeyRing) -> Result<(), KeyError> {
        if !self.moving {
            self.begin(ring, 10, 1)?;
            self.begin(ring, 10, 2)?;
        }
        self.begin(ring, 11, 3)?;
        if ring.gate().is_none() {
            ring.make_gate(&plan(), at(2))?;
        }
        let of_the_hour = self.films.iter().filter(|film| film.epoch.hour().count() == 10);
        let epochs: Vec<KeyEpoch> = of_the_hour.map(|film| film.epoch).collect();
        self.moving = true;
        if !self.dead {
            ring.gate_hours(&epochs, at(3))?;
            self.moved = true;
        }
        ring.rotate(at(4))?;
        self.dying = true;
        ring.destroy_epochs(&|epoch| epochs.contains(&epoch), 9, Reason::EndOfTerm, at(5))?;
        self.dead = true;
        self.begin(ring, 12, 4)
    }

    fn must_hold(&self, ring: &KeyRing, disk: &dyn Disk, when: &str) {
        for film in &self.films {
            let number = film.segment.as_bytes()[0];
            let (plain, seen) = (film.look(ring), look(film, ring, disk));
            if number > 2 {
                assert!(plain.is_ok(), "{when}: {number}: {plain:?}");
                continue;
            }
            assert!(self.dying || seen.is_ok(), "{when}: segment {number} is lost: {seen:?}");
            assert!(!self.moved || plain.is_err(), "{when}: segment {number} opens without the gate");
            assert!(!self.dead || seen.is_err(), "{when}: segment {number} outlives its second term");
        }
    }
}

#[test]
fn a_crash_and_an_error_at_every_write() {
    let mut runs = 0;
    for (is_crash, names) in [(true, 0), (true, u32::MAX), (true, 0x5555_5555), (true, 0xaaaa_aaaa), (false, 0)] {
        for cut in CUTS {
            for number in 1.. {
                let when = format!("crash {is_crash}, names {names:x}, {cut:?} at {number}");
                let (disk, random, ring) = fresh();
                let mut facts = Facts::default();
                disk.fault(number, cut, is_crash);
                let ended = facts.story(&ring);
                assert_eq!(ended.is_err(), disk.was_hit(), "{when}: {ended:?}");
                if !disk.was_hit() {
                    break;
                }
                drop(ring);
                if is_crash {
                    disk.reboot(names);
                }
                runs += 1;
                let options = OpenOptions { is_fresh: !is_crash, ..CREATE };
                let ring = open(&disk, &random, config(&base(), true), options).unwrap();
                facts.must_hold(&ring, &*disk, &when);
                nothing_is_owed(&disk, &when);
                facts.story(&ring).unwrap_or_else(|error| panic!("{when}, again: {error}"));
                facts.must_hold(&ring, &*disk, &when);
                assert!(ring.check(true).unwrap().copies.iter().all(crate::CopyReport::is_whole), "{when}");
            }
            if !is_crash && cut == Cut::After {
                break;
            }
        }
    }
    assert!(runs > 500, "{runs}");
}

#[test]
fn a_row_key_behind_the_gate_is_the_same_by_the_gate_and_by_nothing_else() {
    let (disk, random, ring) = fresh();
    let (kept, other) = (ring.hour(&name(1, 5), at(1)).unwrap(), ring.hour(&name(2, 5), at(1)).unwrap());
    let (key, others) = (ring.row_key(kept).unwrap(), ring.row_key(other).unwrap());
    let first = ring.make_gate(&plan(), at(2)).unwrap();
    let secret = |ring: &KeyRing, number| {
        let public = ring.gates().into_iter().find(|public| public.gate == number).unwrap();
        GateSecret::open(&*disk, &plan(), &public).unwrap()
    };
    let open_first = secret(&ring, first);
    assert_eq!(ring.gated_row_key(kept, std::slice::from_ref(&open_first)).unwrap(), key, "before it moves as well");
    ring.gate_hours(&[kept], at(3)).unwrap();
    let second = ring.make_gate(&plan(), at(4)).unwrap();
    ring.rotate(at(5)).unwrap();
    drop(ring);
    let ring = open(&disk, &random, config(&base(), true), PLAIN).unwrap();
    assert!(matches!(ring.row_key(kept), Err(OpenSegmentError::Gated)));
    assert!(matches!(ring.gated_row_key(kept, &[]), Err(OpenSegmentError::Gated)));
    let newer = [secret(&ring, second)];
    assert!(matches!(ring.gated_row_key(kept, &newer), Err(OpenSegmentError::Gated)), "of another gate");
    let [newer] = newer;
    assert_eq!(ring.gated_row_key(kept, &[newer, secret(&ring, first)]).unwrap(), key);
    assert_eq!(ring.gated_row_key(other, &[]).unwrap(), others, "what did not move needs no gate");
    // Reads that come when the key is behind the gate get another key of the same name.
    let late = ring.hour(&name(1, 5), at(6)).unwrap();
    assert!(late != kept && ring.row_key(late).unwrap() != key);
    ring.destroy_epochs(&|epoch| epoch == kept, 9, Reason::EndOfTerm, at(9)).unwrap();
    let dead = ring.gated_row_key(kept, &[secret(&ring, first)]);
    assert!(matches!(dead, Err(OpenSegmentError::Destroyed(_))));
    assert!(ring.row_key(late).is_ok());
    nothing_is_owed(&disk, "rows");
}
