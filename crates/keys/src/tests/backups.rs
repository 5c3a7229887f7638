//! Backups: they come back, and they die.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vms_core::HoldId;

use super::fakedisk::FakeDisk;
use super::{CREATE, Film, SeededRandom, at, base, config, name, open, segment};
use crate::{BackupPlan, Disk, KeyError, Protection, Random, Reason, RestoreReport, restore};

const HOUR: i64 = 3_600;

fn plan() -> BackupPlan {
    BackupPlan {
        folder: PathBuf::from("/backup"),
        keys: PathBuf::from("/elsewhere"),
        protection: Protection::FileMode,
        life: Duration::from_secs(999 * 3_600),
    }
}

fn only(files: &BTreeMap<PathBuf, Vec<u8>>, folders: &[&str]) -> Arc<FakeDisk> {
    let kept = files.iter().filter(|(path, _)| folders.iter().any(|folder| path.starts_with(folder)));
    Arc::new(FakeDisk::with(&kept.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()))
}

fn bring_back(disk: &Arc<FakeDisk>, random: &Arc<SeededRandom>, oldest: u32) -> Result<RestoreReport, KeyError> {
    let disk: Arc<dyn Disk> = Arc::clone(disk) as Arc<dyn Disk>;
    let random: Arc<dyn Random> = Arc::clone(random) as Arc<dyn Random>;
    restore(&disk, &random, &plan(), &config(&base(), true), &|name| name.hour.count() >= oldest, at(500 * HOUR))
}

#[test]
fn a_backup_brings_back_what_is_in_its_term_and_dies_on_time() {
    let (disk, random) = (Arc::new(FakeDisk::default()), Arc::new(SeededRandom::default()));
    let ring = open(&disk, &random, config(&base(), true), CREATE).unwrap();
    let shoot = |hour, number| Film::shoot(ring.begin_segment(&name(1, hour), segment(number), at(1)).unwrap());
    let films = [shoot(1, 1), shoot(1, 2), shoot(2, 3), shoot(3, 4)];
    ring.hold(HoldId::from_bytes([1; 16]), &[(films[0].segment, films[0].epoch)], at(1)).unwrap();
    let made = ring.backup(&plan(), at(0)).unwrap();
    assert_eq!((made.number, made.hours, made.wraps_copied, made.dies_at), (1, 3, 3, at(72 * HOUR)));
    // After the backup: hour 1 ends its term, the root changes, a segment is begun that the backup cannot know.
    ring.destroy_hours(&|name| name.hour.count() == 1, 9, Reason::EndOfTerm, at(HOUR)).unwrap();
    ring.rotate(at(HOUR)).unwrap();
    let late = shoot(4, 5);
    let lost = only(&disk.files(), &["/backup", "/elsewhere"]);
    let report = bring_back(&lost, &random, 2).unwrap();
    assert_eq!((report.number, report.hours, report.past_term, report.damaged), (1, 2, 1, 0));
    let back = open(&lost, &random, config(&base(), true), CREATE).unwrap();
    assert!(films[2].look(&back).is_ok() && films[3].look(&back).is_ok());
    films[0].look(&back).expect("held");
    assert!(films[1].look(&back).is_err() && late.look(&back).is_err());
    Film::shoot(back.begin_segment(&name(1, 9), segment(9), at(1)).unwrap()).look(&back).unwrap();
    assert!(back.check(true).unwrap().is_whole());
    assert!(bring_back(&lost, &random, 2).is_err(), "never over a store that is there");
    // Without the key of the backup, or without the backup: nothing.
    for folders in [&["/backup"][..], &["/elsewhere"]] {
        let error = bring_back(&only(&disk.files(), folders), &random, 0).unwrap_err();
        assert!(matches!(error, KeyError::Backup { .. }), "{error}");
    }
    // A second backup copies only what is new; the first dies at 72 h, and a copy of it that was taken away with it.
    let taken_away = only(&disk.files(), &["/backup"]);
    assert_eq!(ring.backup(&plan(), at(24 * HOUR)).unwrap().wraps_copied, 1);
    assert!(ring.expire_backups(&plan(), at(72 * HOUR - 1)).unwrap().is_empty());
    assert_eq!(ring.expire_backups(&plan(), at(72 * HOUR)).unwrap(), [1]);
    let mut raid = taken_away.files();
    raid.extend(disk.files().into_iter().filter(|(path, _)| path.starts_with("/elsewhere")));
    let error = bring_back(&Arc::new(FakeDisk::with(&raid)), &random, 0).unwrap_err();
    assert!(matches!(error, KeyError::Backup { .. }), "{error}");
    let left: Vec<_> = disk.files().into_keys().filter(|path| path.to_string_lossy().ends_with(".bkb")).collect();
    assert_eq!(left, [PathBuf::from("/backup/keys-00000002.bkb")]);
    // A key from the future has no known end and goes at once.
    assert_eq!(ring.expire_backups(&plan(), at(23 * HOUR)).unwrap(), [2]);
}

#[test]
fn a_lost_store_that_turns_up_again_counts_as_behind() {
    let (disk, random) = (Arc::new(FakeDisk::default()), Arc::new(SeededRandom::default()));
    let ring = open(&disk, &random, config(&base(), true), CREATE).unwrap();
    let film = Film::shoot(ring.begin_segment(&name(1, 1), segment(1), at(1)).unwrap());
    ring.backup(&plan(), at(0)).unwrap();
    for _ in 0..40 {
        ring.rotate(at(1)).unwrap();
    }
    let old_disk = disk.files();
    let back = only(&old_disk, &["/backup", "/elsewhere"]);
    bring_back(&back, &random, 0).unwrap();
    let mut both = back.files();
    both.retain(|path, _| !path.starts_with("/keys/b"));
    both.extend(old_disk.into_iter().filter(|(path, _)| path.starts_with("/keys/b")));
    let ring = open(&Arc::new(FakeDisk::with(&both)), &random, config(&base(), true), CREATE).unwrap();
    assert!(ring.generation().number() >= 500 * 16);
    film.look(&ring).unwrap();
    assert!(ring.check(true).unwrap().is_whole());
}
