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
        file.fragment(&fragment, &sets(), &mut Vec::new(), &mut NoFault).unwrap();
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
    for code in 1..=16 {
        assert_eq!(cause_code::of(cause_code::read(code).unwrap()), code);
    }
    assert_eq!((cause_code::read(0), cause_code::read(17)), (None, None));
    assert!(!payload(&film(1, 0..2, 8)).is_empty());
}

proptest::proptest! {
    #[test]
    fn rubbish_is_survived(mut data in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        read::fuzz_segment(&data);
        for (slot, byte) in data.iter_mut().zip(MAGIC.iter().chain(&[0, 3, 0, 190])) {
            *slot = *byte;
        }
        read::fuzz_segment(&data);
    }
}

/// Found by the fuzz target `segment`: units numbered past the last number there is.
#[test]
fn what_the_fuzzer_found_is_survived() {
    let text = "0100000002ffffffffffffffffffffffffff00070000000000000000000000000100000000ffff00\
                0000000100000000ffff0000000001000000000000000000000800ffffffffffffffffff0007000000";
    let found = hex::decode(text).unwrap();
    assert!(StoredFragment::parse(&found.clone().into()).is_none());
    read::fuzz_segment(&found);
}

/// The file as version 2 wrote it: the same bytes under other digests.
fn as_version_2(bytes: &[u8]) -> Vec<u8> {
    let header_len = usize::try_from(read::header(bytes).unwrap().1).unwrap();
    let mut out = bytes[..header_len - TRAILER].to_vec();
    out[9] = 2;
    let digest = DigestKind::Sha256.of(&out);
    out.extend_from_slice(&digest);
    let mut chain = RunningDigest::new(DigestKind::Sha256);
    chain.update(&out);
    let mut rest = &bytes[header_len..];
    while rest.len() >= RECORD_HEADER {
        let body_len = usize::try_from(u32::from_be_bytes(rest[8..12].try_into().unwrap())).unwrap();
        let mut record = rest[..RECORD_HEADER + body_len].to_vec();
        record[5] = 0;
        if Kind::from_code(record[4]) == Some(Kind::Closing) {
            let at = record.len() - TRAILER;
            record[at..].copy_from_slice(&chain.finish());
        }
        let trailer = DigestKind::Sha256.trailer(head().segment, &record);
        chain.update(&trailer);
        out.extend_from_slice(&record);
        out.extend_from_slice(&trailer);
        rest = &rest[RECORD_HEADER + body_len + TRAILER..];
    }
    out
}

#[test]
fn a_file_of_version_2_is_read_checked_and_closed_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for close in [true, false] {
        let new = segment(dir.path(), 20, close);
        let old = as_version_2(&new);
        assert_eq!(old.len(), new.len());
        let (ours, theirs) = (read::scan(new.as_slice()).unwrap(), read::scan(old.as_slice()).unwrap());
        assert_eq!((ours.digest_kind, theirs.digest_kind), (DigestKind::Blake3, DigestKind::Sha256));
        assert_eq!((ours.entries, ours.good_len), (theirs.entries, theirs.good_len));
        assert_eq!(theirs.closing.is_some(), close);
        assert_ne!(ours.digest, theirs.digest);
        let relative = Path::new("old.blf");
        std::fs::write(dir.path().join(relative), &old).unwrap();
        let (state, _, was_closed) = recover_file(dir.path(), relative).unwrap();
        assert_eq!(was_closed, close);
        let after = read::scan(std::fs::read(dir.path().join(relative)).unwrap().as_slice()).unwrap();
        assert!(after.closing.is_some() && after.digest_kind == DigestKind::Sha256);
        assert_eq!(state.digest, Some(after.digest));
        for at in (0..old.len()).step_by(7) {
            let mut changed = old.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(
                read::scan(changed.as_slice()).is_err() || read::scan(changed.as_slice()).unwrap().closing.is_none()
            );
        }
    }
}
