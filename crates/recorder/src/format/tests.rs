use std::path::Path;

use link::Cause;
use vms_core::{CameraId, RetentionClass, SegmentId, WallTime};

use super::read::{self, StoredFragment};
use super::*;
use crate::disk::file::{NoFault, SegmentFile};
use crate::plan::Hole;
use crate::recover::recover_file;
use crate::testfilm::{START, film, fragments, other_sets, payload, sets, stream};

fn head() -> SegmentHeader {
    SegmentHeader {
        segment: SegmentId::from_bytes([9; 16]),
        stream: stream(1),
        camera: CameraId::from_bytes([2; 16]),
        key_epoch: 0,
        wall: START.0,
        mono: START.1,
        epoch: 4,
        reason: 1,
        boot: [5; 16],
        previous: [6; 32],
        class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
    }
}

const HOLE: Hole =
    Hole { from: WallTime::from_secs(1_799_999_990), to: WallTime::from_secs(1_800_000_000), cause: Cause::Silent };

/// A small segment with a gap, a film of `frames` frames, and a closing record when wanted.
fn segment(folder: &Path, frames: u64, close: bool) -> Vec<u8> {
    let relative = Path::new("str_x/2027-01-15/08/seg.blf");
    std::fs::remove_file(folder.join(relative)).ok();
    let mut file = SegmentFile::create(folder, relative, head(), &mut NoFault).unwrap();
    file.gap(&HOLE, &mut NoFault).unwrap();
    for fragment in fragments(film(4, 0..frames, 8)) {
        file.fragment(&fragment, &sets(), &mut NoFault).unwrap();
    }
    if close {
        file.close(0, START.0.plus(std::time::Duration::from_secs(1)), &mut NoFault).unwrap();
    }
    std::fs::read(folder.join(relative)).unwrap()
}

#[test]
fn a_segment_reads_back_unit_by_unit() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = segment(dir.path(), 20, true);
    let found = read::scan(bytes.as_slice()).unwrap();
    assert_eq!(found.header, head());
    assert_eq!((found.gaps.as_slice(), found.parameters.len()), ([HOLE].as_slice(), 1));
    assert_eq!(found.parameters[0], *sets());
    assert!(found.closing.is_some());
    assert_eq!(found.good_len, u64::try_from(bytes.len()).unwrap());
    let mut units = Vec::new();
    for entry in &found.entries {
        let record = read::record(bytes.as_slice(), head().segment, entry.at).unwrap();
        assert_eq!(u64::try_from(record.body.len()).unwrap(), entry.body_len());
        units.extend(StoredFragment::parse(&record.body).unwrap().units(4));
    }
    assert_eq!(units, film(4, 0..20, 8));
}

#[test]
fn a_file_cut_at_every_byte_keeps_every_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let whole = segment(dir.path(), 20, true);
    let full = read::scan(whole.as_slice()).unwrap();
    let header_len = read::header(whole.as_slice()).unwrap().1;
    let relative = Path::new("cut.blf");
    for length in 0..whole.len() {
        let cut_at = u64::try_from(length).unwrap();
        std::fs::write(dir.path().join(relative), &whole[..length]).unwrap();
        let recovered = recover_file(dir.path(), relative);
        if cut_at < header_len {
            assert!(recovered.is_err(), "{length}");
            continue;
        }
        let (state, _, was_closed) = recovered.unwrap();
        assert!(!was_closed, "{length}");
        let end = |entry: &&FragmentEntry| entry.at + 48 + entry.body_len() <= cut_at;
        let kept: Vec<FragmentEntry> = full.entries.iter().take_while(end).copied().collect();
        assert_eq!(state.entries, kept, "{length}");
        // Closed now, flagged, and closed for good.
        let after = std::fs::read(dir.path().join(relative)).unwrap();
        let again = read::scan(after.as_slice()).unwrap();
        assert_eq!(again.closing.unwrap().flags, FLAG_RECOVERED);
        assert_eq!(state.digest, Some(again.digest));
        let (twice, _, was_closed) = recover_file(dir.path(), relative).unwrap();
        assert!(was_closed);
        assert_eq!((twice.digest, twice.closing_at), (state.digest, state.closing_at));
    }
}

#[test]
fn no_changed_bit_is_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let whole = segment(dir.path(), 20, true);
    let full = read::scan(whole.as_slice()).unwrap();
    for at in (0..whole.len()).step_by(3) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        match read::scan(changed.as_slice()) {
            Err(_) => {}
            Ok(found) => {
                assert!(found.closing.is_none(), "byte {at}");
                assert!(full.entries.starts_with(&found.entries));
                for entry in &found.entries {
                    assert!(usize::try_from(entry.at).unwrap() < at);
                }
            }
        }
    }
}

#[test]
fn records_of_another_segment_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = segment(dir.path(), 5, false);
    let at = read::header(bytes.as_slice()).unwrap().1;
    assert!(read::record(bytes.as_slice(), head().segment, at).is_ok());
    assert!(read::record(bytes.as_slice(), SegmentId::from_bytes([8; 16]), at).is_err());
}

#[test]
fn parameter_sets_and_causes_read_back() {
    for sets in [sets(), other_sets()] {
        let record = write::parameters(head().segment, 0, &sets);
        let body = bytes::Bytes::copy_from_slice(&record[RECORD_HEADER..record.len() - TRAILER]);
        assert_eq!(read::parameters(&body).unwrap(), *sets);
    }
    for code in 1..=15 {
        assert_eq!(cause_code::of(cause_code::read(code).unwrap()), code);
    }
    assert_eq!((cause_code::read(0), cause_code::read(16)), (None, None));
    assert!(!payload(&film(1, 0..2, 8)).is_empty());
}

proptest::proptest! {
    #[test]
    fn rubbish_is_survived(mut data in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        read::fuzz_segment(&data);
        for (slot, byte) in data.iter_mut().zip(MAGIC.iter().chain(&[0, 1, 0, 190])) {
            *slot = *byte;
        }
        read::fuzz_segment(&data);
    }
}
