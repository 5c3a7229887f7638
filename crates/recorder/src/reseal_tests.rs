use std::path::Path;
use std::sync::Arc;

use vms_core::{CameraId, SegmentId};

use crate::disk::file::{NoFault, SegmentFile};
use crate::format::tests::as_version;
use crate::format::{DigestKind, SegmentHeader, read};
use crate::reseal::{ResealError, reseal};
use crate::testfilm::{FixedClock, START, facts, film, fragments, sets, stream, vault};

const RELATIVE: &str = "str_x/2027-01-15/08/seg.blf";

fn segment() -> SegmentId {
    SegmentId::from_bytes([9; 16])
}

/// A closed segment as version 2 or 3 left it.
fn old_file(root: &Path, version: u8) -> Vec<u8> {
    std::fs::create_dir_all(root).unwrap();
    let header = SegmentHeader {
        segment: segment(),
        stream: stream(1),
        camera: CameraId::from_bytes([1; 16]),
        key_epoch: 0,
        wall: START.0,
        mono: START.1,
        epoch: 4,
        reason: 1,
        boot: [5; 16],
        previous: [6; 32],
        class: facts(1).class.clone(),
    };
    let mut file = SegmentFile::create(root, Path::new(RELATIVE), header, &mut None, &mut NoFault).unwrap();
    for fragment in fragments(film(4, 0..30, 8)) {
        file.fragment(&fragment, &sets(), &mut Vec::new(), &mut NoFault).unwrap();
    }
    file.close(0, START.0.plus(std::time::Duration::from_secs(1)), &mut NoFault).unwrap();
    let old = as_version(&std::fs::read(root.join(RELATIVE)).unwrap(), version);
    std::fs::write(root.join(RELATIVE), &old).unwrap();
    old
}

fn names(root: &Path) -> Vec<String> {
    let folder = root.join(RELATIVE).parent().unwrap().to_owned();
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_clear_segment_becomes_a_sealed_one_of_the_same_film_whatever_cuts_it_short() {
    for version in [2, 3] {
        let dir = tempfile::tempdir().unwrap();
        let (root, path) = (dir.path().join("media"), dir.path().join("media").join(RELATIVE));
        let vault = vault(dir.path(), Arc::new(FixedClock));
        let old = old_file(&root, version);
        let before = read::scan(old.as_slice(), None).unwrap();
        let (temporary, second) = (
            path.with_file_name(format!(".{}.seal.tmp", segment())),
            path.with_file_name(format!(".{}.wipe", segment())),
        );
        let mut sealed: Option<Vec<u8>> = None;
        // What each cut leaves behind: nothing, half a new file, the second name before the rename, and after it.
        for cut in 0..6 {
            let is_after = cut >= 4;
            let put = |bytes: &[u8]| {
                std::fs::remove_file(&path).ok();
                std::fs::write(&path, bytes).unwrap();
            };
            put(if is_after { sealed.as_deref().unwrap() } else { &old });
            match cut {
                1 => std::fs::write(&temporary, &sealed.as_ref().unwrap()[..700]).unwrap(),
                2 => std::fs::hard_link(&path, &second).unwrap(),
                3 => {
                    std::fs::hard_link(&path, &second).unwrap();
                    std::fs::write(&temporary, sealed.as_ref().unwrap()).unwrap();
                }
                4 => std::fs::write(&second, &old).unwrap(),
                _ => {}
            }
            // Somebody has the old file open: what he sees after it is zeros.
            let mut open = is_after.then(|| std::fs::File::open(&second).ok()).flatten();
            let state = reseal(&root, Path::new(RELATIVE), &vault, START.0).unwrap();
            let now = std::fs::read(&path).unwrap();
            assert_eq!(names(&root), ["seg.blf"], "cut {cut}");
            let first = sealed.get_or_insert_with(|| now.clone());
            assert!(*first == now, "cut {cut}: the same bytes under the same numbers");
            if let Some(open) = &mut open {
                let mut left = Vec::new();
                std::io::Read::read_to_end(open, &mut left).unwrap();
                assert!(left.len() == old.len() && left.iter().all(|byte| *byte == 0));
            }
            let head = read::head(now.as_slice()).unwrap();
            let key = vault.opener(&head.header).unwrap().unwrap();
            let after = read::scan(now.as_slice(), Some(&key)).unwrap();
            assert_eq!((state.digest, state.key_epoch), (Some(after.digest), head.header.key_epoch));
            assert_eq!((after.origin, after.digest_kind), (Some(before.digest), DigestKind::Blake3));
            assert_eq!(after.header.previous, before.header.previous);
            assert!(after.closing.is_some() && state.closing_at == after.closing_at);
            assert_eq!(
                (after.parameters, after.gaps, after.last),
                (before.parameters.clone(), before.gaps.clone(), before.last)
            );
            let mut units = Vec::new();
            for (entry, was) in after.entries.iter().zip(&before.entries) {
                // What a range that was opened before relies on.
                assert_eq!(entry.at, was.at + 16 * u64::from(was.number));
                let record = read::record(now.as_slice(), &head, Some(&key), entry.at).unwrap();
                units.extend(read::StoredFragment::parse(&record.body).unwrap().units(4));
            }
            assert_eq!(units, film(4, 0..30, 8));
        }
    }
}

#[test]
fn a_damaged_clear_segment_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("media");
    let vault = vault(dir.path(), Arc::new(FixedClock));
    let mut old = old_file(&root, 3);
    let at = old.len() / 2;
    old[at] ^= 1;
    std::fs::write(root.join(RELATIVE), &old).unwrap();
    assert!(matches!(reseal(&root, Path::new(RELATIVE), &vault, START.0), Err(ResealError::Damaged(_))));
    assert_eq!(names(&root), ["seg.blf"]);
    assert_eq!(std::fs::read(root.join(RELATIVE)).unwrap(), old);
}
