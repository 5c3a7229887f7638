//! The store at work: what opens, what does not, and with which words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vms_core::HoldId;

use super::fakedisk::FakeDisk;
use super::{CREATE, Film, SeededRandom, at, base, config, name, open, paths, segment};
use crate::{
    Copy, Credential, Hour, KeyEpoch, KeyError, KeyName, KeyRing, KeyStoreConfig, OpenOptions, OpenSegmentError,
    Protection, RealDisk, Reason, Scope,
};

fn fresh(two: bool) -> (Arc<FakeDisk>, Arc<SeededRandom>, KeyRing) {
    let (disk, random) = (Arc::new(FakeDisk::default()), Arc::new(SeededRandom::default()));
    let ring = open(&disk, &random, config(&base(), two), CREATE).unwrap();
    (disk, random, ring)
}

fn shoot(ring: &KeyRing, camera: u8, hour: u32, number: u8) -> Film {
    Film::shoot(ring.begin_segment(&name(camera, hour), segment(number), at(1)).unwrap())
}

const PLAIN: OpenOptions = OpenOptions { may_create: false, ..CREATE };

#[test]
fn keys_live_until_they_are_destroyed() {
    let (disk, random, ring) = fresh(true);
    let films = [shoot(&ring, 1, 5, 1), shoot(&ring, 1, 5, 2), shoot(&ring, 2, 5, 3), shoot(&ring, 1, 6, 4)];
    assert_eq!(films[0].epoch, films[1].epoch);
    assert_ne!(films[0].epoch, films[2].epoch);
    assert_eq!(films[0].epoch.hour(), Hour::from_count(5));
    let again = ring.begin_segment(&name(1, 5), segment(1), at(2)).unwrap_err();
    assert!(matches!(again, KeyError::SegmentExists { .. }), "{again}");
    let done = ring.destroy_hours(&|name| name.hour.count() < 6, 1, Reason::EndOfTerm, at(9)).unwrap();
    assert_eq!((done.keys.len(), done.remaining), (1, 1));
    let rest = ring.destroy_hours(&|name| name.hour.count() < 6, 10, Reason::EndOfTerm, at(9)).unwrap();
    assert_eq!((rest.keys.len(), rest.remaining, rest.missing.len()), (1, 0, 0));
    assert_ne!(done.digest, rest.digest);
    let none = ring.destroy_hours(&|name| name.hour.count() < 6, 10, Reason::EndOfTerm, at(9)).unwrap();
    assert!(none.keys.is_empty());
    drop(ring);
    for _ in 0..2 {
        let ring = open(&disk, &random, config(&base(), true), PLAIN).unwrap();
        for film in &films[..3] {
            let gone = film.look(&ring).unwrap_err();
            assert!(matches!(gone, OpenSegmentError::Destroyed(dead) if dead.at == at(9)), "{gone}");
            assert_eq!(gone.to_string(), "its key was destroyed (end_of_term)");
        }
        films[3].look(&ring).unwrap();
        let unknown = ring.open_segment(segment(4), KeyEpoch::new(77).unwrap()).unwrap_err();
        assert!(matches!(unknown, OpenSegmentError::UnknownEpoch));
        let unsaved = ring.open_segment(segment(99), films[3].epoch).unwrap_err();
        assert!(matches!(unsaved, OpenSegmentError::NotSaved));
        assert!(ring.check(true).unwrap().is_whole());
        assert!(!disk.files().keys().any(|path| path.ends_with("wraps-00000005.bkw")));
        ring.rotate(at(10)).unwrap();
    }
}

#[test]
fn a_turn_of_the_hour_is_one_write_and_reads_have_tokens() {
    let (disk, _, ring) = fresh(true);
    let names: Vec<KeyName> = (1..=100).map(|camera| name(camera, 7)).collect();
    let before = disk.changes();
    ring.prepare_hours(&names, at(1)).unwrap();
    assert_eq!(disk.changes() - before, 2, "one for each copy");
    ring.prepare_hours(&names, at(1)).unwrap();
    assert_eq!((disk.changes() - before, ring.live_hours().len()), (2, 100));
    let reads = |purpose| KeyName { scope: Scope::Reads(purpose), ..name(1, 7) };
    let lez = ring.begin_segment(&reads(vms_core::Purpose::Lez), segment(1), at(1)).unwrap().epoch();
    let zbt = ring.begin_segment(&reads(vms_core::Purpose::Zbt), segment(2), at(1)).unwrap().epoch();
    let token = |epoch, text| ring.token(epoch, text).unwrap();
    assert_eq!(token(lez, b"1ABC234"), token(lez, b"1ABC234"));
    assert_ne!(token(lez, b"1ABC234"), token(lez, b"1ABC235"));
    assert_ne!(token(lez, b"1ABC234"), token(zbt, b"1ABC234"));
    ring.destroy_hours(&|name| name.scope == Scope::Reads(vms_core::Purpose::Lez), 9, Reason::EndOfTerm, at(2))
        .unwrap();
    assert!(matches!(ring.token(lez, b"1ABC234"), Err(OpenSegmentError::Destroyed(_))));
    assert!(ring.token(zbt, b"1ABC234").is_ok());
}

#[test]
fn without_its_second_copy_a_store_makes_no_new_key() {
    let (disk, random, ring) = fresh(true);
    let film = shoot(&ring, 1, 5, 1);
    disk.set_broken(Some(&base().join("b")));
    let changes = disk.changes();
    let error = ring.begin_segment(&name(1, 5), segment(2), at(2)).unwrap_err();
    assert!(matches!(error, KeyError::CopyFailed { copy: Copy::Second, .. }), "{error}");
    assert_eq!(error.to_string(), "the second copy of the key store cannot be written, so no new key is used");
    assert_eq!(disk.changes(), changes, "the first copy was not written either");
    assert!(matches!(ring.begin_segment(&name(1, 5), segment(3), at(2)), Err(KeyError::Faulted)));
    film.look(&ring).expect("playback goes on");
    drop(ring);
    // Its disk can be read but not written: left out by name, the rest goes on.
    disk.set_broken(None);
    let without = OpenOptions { without: Some(Copy::Second), ..PLAIN };
    let ring = open(&disk, &random, config(&base(), true), without).unwrap();
    film.look(&ring).unwrap();
    assert_eq!(ring.missing_copies(), [Copy::Second]);
    drop(ring);
    disk.set_broken(Some(&base().join("b")));
    // Opened while it is away: reading, holding, sweeping and changing the root go on.
    let ring = open(&disk, &random, config(&base(), true), PLAIN).unwrap();
    assert_eq!(ring.missing_copies(), [Copy::Second]);
    let error = ring.begin_segment(&name(1, 5), segment(3), at(2)).unwrap_err();
    assert!(matches!(error, KeyError::CopyMissing { copy: Copy::Second }));
    film.look(&ring).unwrap();
    let hold = HoldId::from_bytes([1; 16]);
    assert_eq!(ring.hold(hold, &[(film.segment, film.epoch)], at(3)).unwrap().held, 1);
    let done = ring.destroy_hours(&|_| true, 9, Reason::EndOfTerm, at(4)).unwrap();
    assert_eq!(done.missing, [Copy::Second], "said openly: that copy still has it");
    drop(ring);
    // It comes back, behind: the newer copy wins and the old root on it dies.
    disk.set_broken(None);
    let ring = open(&disk, &random, config(&base(), true), PLAIN).unwrap();
    film.look(&ring).expect("held");
    assert!(ring.live_hours().is_empty());
    shoot(&ring, 1, 6, 4).look(&ring).unwrap();
    assert!(ring.check(true).unwrap().is_whole());
    assert_eq!(disk.files().keys().filter(|path| path.to_string_lossy().contains("/root/root-")).count(), 2);
}

#[test]
fn one_copy_is_enough_to_read_everything_and_a_new_disk_is_taken_in() {
    for lost in ["a", "b"] {
        let (disk, random, ring) = fresh(true);
        let films = [shoot(&ring, 1, 5, 1), shoot(&ring, 1, 6, 2)];
        drop(ring);
        let left: BTreeMap<PathBuf, Vec<u8>> =
            disk.files().into_iter().filter(|(path, _)| !path.starts_with(base().join(lost))).collect();
        let disk = Arc::new(FakeDisk::with(&left));
        let ring = open(&disk, &random, config(&base(), true), CREATE).unwrap();
        films.iter().for_each(|film| film.look(&ring).unwrap());
        assert!(ring.begin_segment(&name(1, 7), segment(3), at(1)).is_err());
        let adopt = ring.missing_copies().first().copied();
        drop(ring);
        let ring = open(&disk, &random, config(&base(), true), OpenOptions { adopt, ..PLAIN }).unwrap();
        films.iter().for_each(|film| film.look(&ring).unwrap());
        shoot(&ring, 1, 7, 3);
        assert!(ring.check(true).unwrap().is_whole(), "lost {lost}");
    }
    let (disk, random) = (Arc::new(FakeDisk::default()), Arc::new(SeededRandom::default()));
    let error = open(&disk, &random, config(&base(), true), PLAIN).unwrap_err();
    assert!(matches!(error, KeyError::NoCopy), "an empty folder is not a new store");
}

#[test]
fn a_repair_takes_a_lost_row_from_the_other_copy() {
    let (disk, random, ring) = fresh(true);
    let films: Vec<Film> = (1..=6).map(|hour| shoot(&ring, 1, u32::from(hour), hour)).collect();
    drop(ring);
    let mut files = disk.files();
    let path = paths(&base(), "a").store.join("wraps-00000002.bkw");
    files.get_mut(&path).unwrap()[90] ^= 1;
    let disk = Arc::new(FakeDisk::with(&files));
    let ring = open(&disk, &random, config(&base(), true), PLAIN).unwrap();
    assert!(!ring.check(true).unwrap().is_whole());
    films.iter().for_each(|film| film.look(&ring).unwrap());
    assert_eq!((ring.repair().unwrap(), ring.repair().unwrap()), (1, 0));
    assert!(ring.check(true).unwrap().is_whole());
    films.iter().for_each(|film| film.look(&ring).unwrap());
    // In both copies: this one segment is lost, with a clear word, and nothing else is.
    let mut files = disk.files();
    for copy in ["a", "b"] {
        files.get_mut(&paths(&base(), copy).store.join("wraps-00000002.bkw")).unwrap()[90] ^= 1;
    }
    let ring = open(&Arc::new(FakeDisk::with(&files)), &random, config(&base(), true), PLAIN).unwrap();
    for film in &films {
        let seen = film.look(&ring);
        assert_eq!(matches!(seen, Err(OpenSegmentError::NotSaved)), film.epoch.hour().count() == 2, "{seen:?}");
    }
}

/// D2, the part that is ours: everything that ever lay on the disks, and the root of today.
#[test]
fn the_raid_finds_nothing_of_what_is_past() {
    let (disk, random, ring) = fresh(true);
    let old = shoot(&ring, 1, 5, 1);
    let held = shoot(&ring, 1, 5, 2);
    let young = shoot(&ring, 1, 6, 3);
    ring.hold(HoldId::from_bytes([1; 16]), &[(held.segment, held.epoch)], at(2)).unwrap();
    let yesterday = disk.files();
    ring.destroy_hours(&|name| name.hour.count() == 5, 9, Reason::EndOfTerm, at(3)).unwrap();
    ring.rotate(at(4)).unwrap();
    drop(ring);
    let is_root = |path: &Path| path.to_string_lossy().contains("root-");
    // Stale blocks: yesterday's journals and wraps under today's name and number, with today's root.
    let mut raid = disk.files();
    let today = raid.keys().find(|path| path.ends_with("keys-00000002.bks")).unwrap().clone();
    for (path, bytes) in yesterday.iter().filter(|(path, _)| !is_root(path)) {
        raid.insert(path.clone(), bytes.clone());
    }
    let attackers = Arc::new(FakeDisk::with(&raid));
    let ring = open(&attackers, &random, config(&base(), true), OpenOptions { is_read_only: true, ..PLAIN }).unwrap();
    assert!(old.look(&ring).is_err());
    held.look(&ring).unwrap();
    young.look(&ring).unwrap();
    // The same without today's journal: yesterday's has no root any more.
    raid.retain(|path, _| !path.ends_with(today.file_name().unwrap()));
    let attackers = Arc::new(FakeDisk::with(&raid));
    let error = open(&attackers, &random, config(&base(), true), PLAIN).unwrap_err();
    assert!(matches!(error, KeyError::NoRoot { .. }), "{error}");
    // And by hand: each 60 bytes that ever lay there against the root of today.
    let root = raid.iter().find(|(path, _)| path.ends_with("root-00000002.key")).unwrap().1;
    let root = crate::keyfile::KeyFile::read(root, &Protection::FileMode).unwrap();
    let context = crate::secret::Context::Hour(root.domain, old.epoch, &name(1, 5));
    for bytes in yesterday.values() {
        for window in bytes.windows(crate::secret::WRAPPED_LEN) {
            let wrapped = window.try_into().unwrap();
            assert!(crate::secret::unwrap(&root.key, wrapped, root.store, &context).is_err());
        }
    }
    // The control: with yesterday's root it does open, so the test can fail.
    let before = Arc::new(FakeDisk::with(&yesterday));
    old.look(&open(&before, &random, config(&base(), true), PLAIN).unwrap()).unwrap();
}

#[test]
fn destroying_overwrites_the_wrap_where_it_lies() {
    let (disk, _, ring) = fresh(true);
    shoot(&ring, 1, 5, 1);
    let wraps = |disk: &FakeDisk| {
        let files = disk.files();
        let journals = files.iter().filter(|(path, _)| path.to_string_lossy().contains("keys-"));
        journals.map(|(_, bytes)| bytes[bytes.len().min(59)..].to_vec()).collect::<Vec<_>>()
    };
    let before = wraps(&disk);
    ring.destroy_hours(&|_| true, 9, Reason::Order, at(2)).unwrap();
    for (old, new) in before.iter().zip(wraps(&disk)) {
        let wrapped = &old[old.len() - 60..];
        assert_ne!(wrapped, [0; 60]);
        assert!(!new.windows(60).any(|window| window == wrapped));
        assert_eq!(&new[old.len() - 60..old.len()], [0; 60]);
    }
}

#[test]
fn a_credential_guards_the_root_and_can_be_brought_in_later() {
    let (disk, random, ring) = fresh(true);
    let film = shoot(&ring, 1, 5, 1);
    drop(ring);
    let with = |byte| KeyStoreConfig {
        protection: Protection::Credential(Credential::from_bytes(&[byte; 32]).unwrap()),
        ..config(&base(), true)
    };
    film.look(&open(&disk, &random, with(1), PLAIN).unwrap()).unwrap();
    for bad in [config(&base(), true), with(2)] {
        assert!(matches!(open(&disk, &random, bad, PLAIN), Err(KeyError::WrongCredential)));
    }
    let ring = open(&disk, &random, with(1), PLAIN).unwrap();
    ring.rotate(at(3)).unwrap();
    film.look(&ring).unwrap();
    let root = disk.files().into_iter().find(|(path, _)| path.to_string_lossy().contains("root-")).unwrap().1;
    assert!(crate::keyfile::KeyFile::read(&root, &Protection::FileMode).is_err());
    drop(ring);
    // Another credential takes over, and the old one opens nothing any more.
    let credential = |byte| Credential::from_bytes(&[byte; 32]).unwrap();
    let change = Protection::Change { from: credential(1), to: credential(2) };
    let change = KeyStoreConfig { protection: change, ..config(&base(), true) };
    film.look(&open(&disk, &random, change, OpenOptions { is_fresh: true, ..PLAIN }).unwrap()).unwrap();
    assert!(matches!(open(&disk, &random, with(1), PLAIN), Err(KeyError::WrongCredential)));
    film.look(&open(&disk, &random, with(2), PLAIN).unwrap()).unwrap();
}

#[test]
fn on_a_real_disk_files_are_private_and_the_store_is_locked() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (disk, random) = (Arc::new(RealDisk), Arc::new(SeededRandom::default()));
    let ring = open(&disk, &random, config(dir.path(), true), CREATE).unwrap();
    let film = shoot(&ring, 1, 5, 1);
    assert!(matches!(open(&disk, &random, config(dir.path(), true), CREATE), Err(KeyError::Locked)));
    let reading = OpenOptions { is_read_only: true, ..PLAIN };
    let second = open(&disk, &random, config(dir.path(), true), reading).unwrap();
    film.look(&second).unwrap();
    for refused in [
        second.begin_segment(&name(1, 5), segment(2), at(1)).map(drop),
        second.rotate(at(1)).map(drop),
        second.destroy_hours(&|_| true, 1, Reason::Order, at(1)).map(drop),
        second.hold(HoldId::from_bytes([1; 16]), &[], at(1)).map(drop),
    ] {
        assert!(matches!(refused, Err(KeyError::ReadOnly)));
    }
    ring.rotate(at(2)).unwrap();
    shoot(&ring, 1, 5, 2);
    for folder in [paths(dir.path(), "a").store, paths(dir.path(), "b").root] {
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
    }
    drop(ring);
    let ring = open(&disk, &random, config(dir.path(), true), PLAIN).unwrap();
    film.look(&ring).unwrap();
    assert!(ring.check(true).unwrap().is_whole());
    assert!(!format!("{ring:?} {:?}", config(dir.path(), true)).contains("key:"));
}
