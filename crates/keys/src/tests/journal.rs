//! The journal under every cut and every changed byte: the same state, an earlier one, or a clear error; never a wrong key.

use std::sync::Arc;

use proptest::prelude::*;
use vms_core::HoldId;

use super::fakedisk::FakeDisk;
use super::{CREATE, Film, SeededRandom, at, base, config, name, open, segment};
use crate::frame::{fuzz_key_journal, merge};
use crate::state::{Entry, Slot, State};
use crate::{KeyError, OpenOptions, Reason, fuzz_key_backup, fuzz_key_file};

/// A small store with everything in it, once as it was begun and once after a change of the root.
fn story(rotate: bool) -> (Arc<FakeDisk>, Arc<SeededRandom>, Vec<Film>) {
    let (disk, random) = (Arc::new(FakeDisk::default()), Arc::new(SeededRandom::default()));
    let ring = open(&disk, &random, config(&base(), true), CREATE).unwrap();
    let shoot = |hour, number| Film::shoot(ring.begin_segment(&name(1, hour), segment(number), at(1)).unwrap());
    let mut films = vec![shoot(1, 1), shoot(1, 2), shoot(2, 3)];
    let hold = HoldId::from_bytes([1; 16]);
    ring.hold(hold, &[(films[0].segment, films[0].epoch)], at(2)).unwrap();
    ring.destroy_hours(&|name| name.hour.count() == 1, 9, Reason::EndOfTerm, at(3)).unwrap();
    if rotate {
        ring.rotate(at(4)).unwrap();
    }
    films.push(shoot(3, 4));
    ring.release(hold, at(5)).unwrap();
    (disk, random, films)
}

fn journal(disk: &FakeDisk, copy: &str) -> (std::path::PathBuf, Vec<u8>) {
    let store = base().join(copy).join("store");
    let is_journal = |path: &std::path::Path| {
        path.parent() == Some(&store) && path.file_name().unwrap().to_string_lossy().starts_with("keys-")
    };
    disk.files().into_iter().find(|(path, _)| is_journal(path)).unwrap()
}

/// The entries with whatever wraps they have, without the places.
fn entries(image: &[u8]) -> Result<Vec<Entry>, u64> {
    merge(&[image])
        .map(|merged| merged.entries.into_iter().map(|(entry, _)| entry).collect())
        .map_err(|damage| damage.at)
}

/// Same things happened; a wrap is the same or is known to be bad.
fn is_earlier(found: &[Entry], whole: &[Entry]) -> bool {
    let same = |(found, whole): (&Entry, &Entry)| {
        let slots = match (found.slot(), whole.slot()) {
            (Some(Slot::Present(a)), Some(Slot::Present(b))) => a == b,
            (Some(Slot::Present(_)), _) => false,
            _ => true,
        };
        let strip = |entry: &Entry| {
            let mut entry = entry.clone();
            entry.slot_mut().into_iter().for_each(|slot| *slot = Slot::Blank);
            entry
        };
        slots && strip(found) == strip(whole)
    };
    found.len() <= whole.len() && found.iter().zip(whole).all(same)
}

#[test]
fn one_copy_alone_at_every_cut_and_every_changed_byte() {
    for rotate in [false, true] {
        let (disk, ..) = story(rotate);
        let (_, image) = journal(&disk, "a");
        let whole = entries(&image).unwrap();
        assert!(whole.len() >= 6);
        let last_frame = image.windows(4).rposition(|window| window == b"BLFK").unwrap();
        let (mut earlier, mut damaged) = (0, 0);
        for at in 0..image.len() {
            let mut changed = image.clone();
            changed[at] ^= 1 << (at % 8);
            for (is_cut, bytes) in [(true, &image[..at]), (false, &changed)] {
                fuzz_key_journal(bytes);
                match entries(bytes) {
                    Ok(found) => {
                        assert!(is_earlier(&found, &whole), "at {at}");
                        // Only the end may be missing without a word: what lies before a whole frame is damage.
                        assert!(is_cut || at >= last_frame || found.len() == whole.len(), "at {at}");
                        let mut state = State::default();
                        found.iter().for_each(|entry| state.apply(entry, 1).unwrap());
                        earlier += 1;
                    }
                    Err(place) => {
                        assert!(usize::try_from(place).unwrap() <= at, "found behind the change at {at}");
                        damaged += 1;
                    }
                }
            }
        }
        assert!(earlier > 100 && damaged > 100, "{earlier} {damaged}");
    }
}

#[test]
fn two_copies_mend_each_other_at_every_changed_byte() {
    let (disk, ..) = story(true);
    let (_, image) = journal(&disk, "a");
    assert_eq!(journal(&disk, "b").1, image, "both copies hold the same bytes");
    for at in 0..image.len() {
        let mut changed = image.clone();
        changed[at] ^= 0x40;
        for images in [[&changed[..], &image], [&image, &changed], [&image[..at], &image], [&image, &image[..at]]] {
            assert_eq!(merge(&images).unwrap().image, image, "at {at}");
        }
    }
}

#[test]
fn the_whole_store_with_one_bad_byte_in_a_journal_opens_or_says_why() {
    let (disk, random, films) = story(true);
    let files = disk.files();
    let (path, image) = journal(&disk, "a");
    let second = base().join("b");
    let mut clear_errors = 0;
    for at in (0..image.len()).step_by(3) {
        for two in [true, false] {
            let mut files = files.clone();
            files.get_mut(&path).unwrap()[at] ^= 0x20;
            if !two {
                files.retain(|path, _| !path.starts_with(&second));
            }
            let disk = Arc::new(FakeDisk::with(&files));
            match open(&disk, &random, config(&base(), two), OpenOptions { is_read_only: !two, ..CREATE }) {
                Ok(ring) => {
                    // `look` fails the test when a key opens and shows something else.
                    let seen: Vec<bool> = films.iter().map(|film| film.look(&ring).is_ok()).collect();
                    assert!(!seen[1], "a destroyed key came back at {at}");
                    if two {
                        assert_eq!(seen, [false, false, true, true], "at {at}");
                        assert!(ring.check(true).unwrap().is_whole(), "at {at}");
                    }
                }
                Err(error) => {
                    assert!(!two && matches!(error, KeyError::Damaged { .. }), "at {at}: {error}");
                    clear_errors += 1;
                }
            }
        }
    }
    assert!(clear_errors > 20, "{clear_errors}");
}

#[test]
fn copies_that_were_written_apart_are_told_apart() {
    let (disk, random, _) = story(false);
    let mut files = disk.files();
    // The same generation, one entry more in each, not the same: only possible by hand or by a restored disk.
    let apart = |number: u8| {
        let disk = Arc::new(FakeDisk::with(&files));
        let ring = open(&disk, &random, config(&base(), true), CREATE).unwrap();
        ring.begin_segment(&name(number, 9), segment(number), at(1)).unwrap();
        drop(ring);
        journal(&disk, "a").1
    };
    let (left, right) = (apart(50), apart(51));
    files.insert(journal(&disk, "a").0, left);
    files.insert(journal(&disk, "b").0, right);
    let disk = Arc::new(FakeDisk::with(&files));
    let error = open(&disk, &random, config(&base(), true), CREATE).unwrap_err();
    assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn foreign_bytes_do_no_harm(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz_key_journal(&data);
        fuzz_key_file(&data);
        fuzz_key_backup(&data);
        crate::fuzz_hour_wraps(&data);
    }

    #[test]
    fn several_changed_bytes_never_give_a_wrong_entry(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let (disk, ..) = story(true);
        let (_, image) = journal(&disk, "a");
        let whole = entries(&image).unwrap();
        let mut changed = image.clone();
        for (index, bits) in changes {
            let at = index.index(changed.len());
            changed[at] ^= bits;
        }
        if let Some(cut) = cut {
            changed.truncate(cut.index(image.len()));
        }
        fuzz_key_journal(&changed);
        if let Ok(found) = entries(&changed) {
            prop_assert!(is_earlier(&found, &whole));
        }
        // The other copy is whole: nothing is lost.
        prop_assert_eq!(merge(&[&changed, &image]).unwrap().image, image);
    }
}
