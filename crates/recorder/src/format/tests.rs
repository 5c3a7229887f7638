use std::path::Path;

use link::Cause;
use vms_core::{CameraId, RetentionClass, SegmentId, WallTime};

use std::sync::Arc;

use keys::SegmentOpener;

use super::read::{self, StoredFragment};
use super::write::Pen;
use super::*;
use crate::disk::file::{NoFault, SegmentFile};
use crate::plan::Hole;
use crate::recover::{Left, recover_file};
use crate::reseal::key_name;
use crate::testfilm::{FixedClock, START, film, fragments, other_sets, payload, sets, stream, vault};
use crate::vault::Vault;

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

/// A key store, and a small segment of a film of `frames` frames with a gap, sealed or not, and with a closing record when wanted.
struct Made {
    dir: tempfile::TempDir,
    vault: Arc<Vault>,
    key: Option<SegmentOpener>,
    bytes: Vec<u8>,
}

const RELATIVE: &str = "str_x/2027-01-15/08/seg.blf";

fn made(frames: u64, close: bool, sealed: bool) -> Made {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(dir.path(), Arc::new(FixedClock));
    let mut header = head();
    let mut key = sealed.then(|| vault.begin(&key_name(&header), header.segment).unwrap());
    header.key_epoch = key.as_ref().map_or(0, |key| key.epoch().raw());
    let mut file =
        SegmentFile::create(dir.path(), Path::new(RELATIVE), header.clone(), &mut key, &mut NoFault).unwrap();
    assert!(key.is_none());
    file.gap(&HOLE, &mut NoFault).unwrap();
    for fragment in fragments(film(4, 0..frames, 8)) {
        file.fragment(&fragment, &sets(), &mut Vec::new(), &mut NoFault).unwrap();
    }
    if close {
        file.close(0, START.0.plus(std::time::Duration::from_secs(1)), &mut NoFault).unwrap();
    }
    let bytes = std::fs::read(dir.path().join(RELATIVE)).unwrap();
    let key = vault.opener(&header).unwrap();
    Made { dir, vault, key, bytes }
}

impl Made {
    fn scan(&self, bytes: &[u8]) -> Result<read::Scan, read::ReadError> {
        read::scan(bytes, self.key.as_ref())
    }
}

#[test]
fn a_segment_reads_back_unit_by_unit() {
    for sealed in [false, true] {
        let made = made(20, true, sealed);
        let found = made.scan(&made.bytes).unwrap();
        assert_eq!(SegmentHeader { key_epoch: 0, ..found.header.clone() }, head());
        assert_eq!(found.header.key_epoch != 0, sealed);
        assert_eq!((found.gaps.as_slice(), found.parameters.len()), ([HOLE].as_slice(), 1));
        assert_eq!(found.parameters[0], *sets());
        assert!(found.closing.is_some() && !found.is_locked);
        assert_eq!(found.good_len, u64::try_from(made.bytes.len()).unwrap());
        let front = read::head(made.bytes.as_slice()).unwrap();
        let mut units = Vec::new();
        for entry in &found.entries {
            let record = read::record(made.bytes.as_slice(), &front, made.key.as_ref(), entry.at).unwrap();
            assert_eq!(u64::try_from(record.body.len()).unwrap(), entry.body_len());
            units.extend(StoredFragment::parse(&record.body).unwrap().units(4));
        }
        assert_eq!(units, film(4, 0..20, 8));
    }
}

#[test]
fn a_sealed_segment_shows_nothing_of_the_film_and_its_table_without_a_key() {
    let made = made(20, true, true);
    let with_key = made.scan(&made.bytes).unwrap();
    let without = read::scan(made.bytes.as_slice(), None).unwrap();
    assert!(without.is_locked);
    assert_eq!(
        (without.entries, without.digest, without.closing),
        (with_key.entries, with_key.digest, with_key.closing)
    );
    assert_eq!((without.parameters.len(), without.gaps.len()), (0, 0));
    let front = read::head(made.bytes.as_slice()).unwrap();
    for entry in &with_key.closing_at.map(|_| made.scan(&made.bytes).unwrap().entries).unwrap() {
        let refused = read::record(made.bytes.as_slice(), &front, None, entry.at);
        assert!(matches!(refused, Err(read::ReadError::Locked)));
    }
    let has = |needle: &[u8]| made.bytes.windows(needle.len()).any(|part| part == needle);
    for unit in film(4, 0..20, 8) {
        assert!(!has(&unit.payload) && !has(&unit.payload[..12.min(unit.payload.len())]));
    }
    assert!(sets().sps.iter().chain(&sets().pps).all(|nal| !has(&nal[..nal.len().min(8)])));
}

#[test]
fn a_file_cut_at_every_byte_keeps_every_whole_record() {
    for sealed in [false, true] {
        let made = made(20, true, sealed);
        let (whole, tag) = (&made.bytes, if sealed { 16 } else { 0 });
        let full = made.scan(whole).unwrap();
        let header_len = read::header(whole.as_slice()).unwrap().1;
        let relative = Path::new("cut.blf");
        for length in 0..whole.len() {
            let cut_at = u64::try_from(length).unwrap();
            std::fs::write(made.dir.path().join(relative), &whole[..length]).unwrap();
            let recovered = recover_file(made.dir.path(), relative, &made.vault);
            if cut_at < header_len {
                assert!(recovered.is_err(), "{length}");
                continue;
            }
            let (state, _, was_closed) = recovered.unwrap();
            assert!(!was_closed, "{length}");
            let end = |entry: &&FragmentEntry| entry.at + 48 + tag + entry.body_len() <= cut_at;
            let kept: Vec<FragmentEntry> = full.entries.iter().take_while(end).copied().collect();
            assert_eq!(state.entries, kept, "{length}");
            // Closed now, flagged, and closed for good.
            let after = std::fs::read(made.dir.path().join(relative)).unwrap();
            let again = made.scan(&after).unwrap();
            assert_eq!(again.closing.unwrap().flags, FLAG_RECOVERED);
            assert_eq!(state.digest, Some(again.digest));
            let (twice, _, was_closed) = recover_file(made.dir.path(), relative, &made.vault).unwrap();
            assert!(was_closed);
            assert_eq!((twice.digest, twice.closing_at), (state.digest, state.closing_at));
        }
    }
}

#[test]
fn a_cut_file_waits_for_its_key_and_goes_when_that_was_destroyed() {
    let made = made(20, false, true);
    let (root, relative) = (made.dir.path(), Path::new(RELATIVE));
    let away = Vault::open(None, root, false, Arc::new(FixedClock));
    let waits = recover_file(root, relative, &away);
    assert!(matches!(waits, Err(Left::Unread(read::ReadError::Locked))), "{waits:?}");
    assert_eq!(std::fs::read(root.join(relative)).unwrap(), made.bytes);
    let destroyed = made.vault.with(|ring| ring.destroy_hours(&|_| true, 9, keys::Reason::EndOfTerm, START.0)).unwrap();
    assert_eq!(destroyed.keys.len(), 1);
    assert!(matches!(recover_file(root, relative, &made.vault), Err(Left::Destroyed)));
    assert!(!root.join(relative).exists());
}

#[test]
fn no_changed_bit_is_handed_out() {
    for sealed in [false, true] {
        let made = made(20, true, sealed);
        let full = made.scan(&made.bytes).unwrap();
        for at in (0..made.bytes.len()).step_by(3) {
            let mut changed = made.bytes.clone();
            changed[at] ^= 1 << (at % 8);
            match made.scan(&changed) {
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
}

/// Somebody who may write the disk makes the digests anew; a tag nobody can make without the key.
#[test]
fn changed_bytes_under_fresh_digests_do_not_open() {
    let made = made(20, true, true);
    let full = made.scan(&made.bytes).unwrap();
    let front = read::head(made.bytes.as_slice()).unwrap();
    for entry in &full.entries {
        let at = usize::try_from(entry.at).unwrap();
        let body_len = usize::try_from(u32::from_be_bytes(made.bytes[at + 8..at + 12].try_into().unwrap())).unwrap();
        for (place, guard) in [(RECORD_HEADER + 3, 1), (RECORD_HEADER + body_len - 1, 1), (6, 0), (6, 2)] {
            let mut changed = made.bytes.clone();
            if place == 6 {
                changed[at + 6] = guard
            } else {
                changed[at + place] ^= 1
            }
            let trailer = DigestKind::Blake3.trailer(head().segment, &changed[at..at + RECORD_HEADER + body_len]);
            changed[at + RECORD_HEADER + body_len..at + RECORD_HEADER + body_len + TRAILER].copy_from_slice(&trailer);
            let read = read::record(changed.as_slice(), &front, made.key.as_ref(), entry.at);
            assert!(matches!(read, Err(read::ReadError::Record { .. })), "{place}: {read:?}");
        }
    }
    // A record of the same key under another head: it is bound to the head.
    let mut other = front.clone();
    other.digest[0] ^= 1;
    assert!(read::record(made.bytes.as_slice(), &other, made.key.as_ref(), full.entries[0].at).is_err());
}

#[test]
fn records_of_another_segment_do_not_fit() {
    for sealed in [false, true] {
        let made = made(5, false, sealed);
        let front = read::head(made.bytes.as_slice()).unwrap();
        assert!(read::record(made.bytes.as_slice(), &front, made.key.as_ref(), front.len).is_ok());
        let mut other = front.clone();
        other.header.segment = SegmentId::from_bytes([8; 16]);
        assert!(read::record(made.bytes.as_slice(), &other, made.key.as_ref(), front.len).is_err());
    }
}

#[test]
fn parameter_sets_and_causes_read_back() {
    for sets in [sets(), other_sets()] {
        let mut pen = Pen::clear(head().segment, DigestKind::OURS);
        let record = write::parameters(&mut pen, 0, &sets).unwrap();
        let body = bytes::Bytes::copy_from_slice(&record[RECORD_HEADER..record.len() - TRAILER]);
        assert_eq!(read::parameters(&body).unwrap(), *sets);
    }
    for code in 1..=19 {
        assert_eq!(cause_code::of(cause_code::read(code).unwrap()), code);
    }
    assert_eq!((cause_code::read(0), cause_code::read(20)), (None, None));
    assert!(!payload(&film(1, 0..2, 8)).is_empty());
}

proptest::proptest! {
    #[test]
    fn rubbish_is_survived(mut data in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        read::fuzz_segment(&data);
        for (slot, byte) in data.iter_mut().zip(MAGIC.iter().chain(&[0, 4, 0, 190])) {
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

/// The file as version 2 or 3 wrote it: the same bytes under other digests.
pub(crate) fn as_version(bytes: &[u8], version: u8) -> Vec<u8> {
    let kind = if version == 2 { DigestKind::Sha256 } else { DigestKind::Blake3 };
    let (header, header_len) = read::header(bytes).unwrap();
    let header_len = usize::try_from(header_len).unwrap();
    let mut out = bytes[..header_len - TRAILER].to_vec();
    out[9] = version;
    let digest = kind.of(&out);
    out.extend_from_slice(&digest);
    let mut chain = RunningDigest::new(kind);
    chain.update(&out);
    let mut rest = &bytes[header_len..];
    while rest.len() >= RECORD_HEADER {
        let body_len = usize::try_from(u32::from_be_bytes(rest[8..12].try_into().unwrap())).unwrap();
        let mut record = rest[..RECORD_HEADER + body_len].to_vec();
        record[5] = kind.code();
        if Kind::from_code(record[4]) == Some(Kind::Closing) {
            let at = record.len() - TRAILER;
            record[at..].copy_from_slice(&chain.finish());
        }
        let trailer = kind.trailer(header.segment, &record);
        chain.update(&trailer);
        out.extend_from_slice(&record);
        out.extend_from_slice(&trailer);
        rest = &rest[RECORD_HEADER + body_len + TRAILER..];
    }
    out
}

#[test]
fn files_of_earlier_versions_are_read_checked_and_closed_as_what_they_are() {
    for (close, version) in [(true, 2), (false, 2), (true, 3), (false, 3)] {
        let made = made(20, close, false);
        let (dir, new) = (&made.dir, &made.bytes);
        let old = as_version(new, version);
        assert_eq!(old.len(), new.len());
        let kind = if version == 2 { DigestKind::Sha256 } else { DigestKind::Blake3 };
        let (ours, theirs) = (made.scan(new).unwrap(), made.scan(&old).unwrap());
        assert_eq!((ours.digest_kind, theirs.digest_kind), (DigestKind::Blake3, kind));
        assert_eq!((ours.entries, ours.good_len), (theirs.entries, theirs.good_len));
        assert_eq!(theirs.closing.is_some(), close);
        assert_ne!(ours.digest, theirs.digest);
        let relative = Path::new("old.blf");
        std::fs::write(dir.path().join(relative), &old).unwrap();
        let (state, _, was_closed) = recover_file(dir.path(), relative, &made.vault).unwrap();
        assert_eq!(was_closed, close);
        let after = made.scan(&std::fs::read(dir.path().join(relative)).unwrap()).unwrap();
        assert!(after.closing.is_some() && after.digest_kind == kind);
        assert_eq!(state.digest, Some(after.digest));
        for at in (0..old.len()).step_by(7) {
            let mut changed = old.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(made.scan(&changed).is_err() || made.scan(&changed).unwrap().closing.is_none());
        }
    }
}
