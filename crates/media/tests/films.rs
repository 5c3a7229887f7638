//! The simulator's films, where `scripts/make-films.sh` made them: what the readers say of real encoders' streams.

use std::path::Path;

use bytes::BytesMut;
use media::nal::{NalKind, annex_b, kind, put_length_prefixed};
use media::{ParameterSets, ParameterTracker};
use vms_core::Codec;

/// The sets in force one after the other, and the number of key frames.
fn changes(stream: &[u8]) -> (Vec<ParameterSets>, usize) {
    let mut tracker = ParameterTracker::new(Codec::H264);
    let (mut open, mut seen, mut keys) = (BytesMut::new(), Vec::new(), 0);
    for nal in annex_b(stream) {
        put_length_prefixed(nal, &mut open);
        // One slice a picture is what these films have; further slices of a picture would only be looked at apart.
        if matches!(kind(Codec::H264, nal), NalKind::Slice { .. }) {
            let unit = std::mem::take(&mut open);
            keys += usize::from(media::nal::is_key(Codec::H264, &unit));
            seen.extend(
                tracker
                    .observe(&unit)
                    .expect("the sets of these films should be of use")
                    .map(|sets| sets.as_ref().clone()),
            );
        }
    }
    (seen, keys)
}

#[test]
fn changes_in_mid_stream_are_seen_once() {
    let films = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/films");
    for (name, sizes) in [("pps-change.h264", 1), ("size-change.h264", 2)] {
        let Ok(stream) = std::fs::read(films.join(name)) else {
            println!("not run: target/films/{name} is not there (scripts/make-films.sh makes it)");
            continue;
        };
        let (seen, keys) = changes(&stream);
        assert!(keys >= 2, "{name}");
        assert_eq!(seen.len(), 2, "{name}: {seen:?}");
        let mut found: Vec<(u16, u16)> = seen.iter().map(|sets| (sets.width, sets.height)).collect();
        found.dedup();
        assert_eq!(found.len(), sizes, "{name}: {found:?}");
    }
}
