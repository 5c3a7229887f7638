use super::*;
use crate::nal::{annex_b, annex_b_to_length_prefixed, put_length_prefixed};

/// Made by the author with ffmpeg's test picture, 98×66 (cropped), two B-frames in a row.
const H264: &[u8] = include_bytes!("../../testdata/tiny-b.h264");
const H265: &[u8] = include_bytes!("../../testdata/tiny-b.h265");

fn sets(codec: Codec) -> ParameterSets {
    let stream = if codec == Codec::H264 { H264 } else { H265 };
    ParameterSets::from_mixed(codec, annex_b(stream)).unwrap()
}

#[test]
fn sets_of_both_codecs_are_read() {
    for (codec, mime, depth) in [(Codec::H264, "avc1.64000a", 1), (Codec::H265, "hvc1.1.6.L30.90", 2)] {
        let read = sets(codec);
        assert_eq!((read.width, read.height, read.reorder_depth), (98, 66, depth), "{codec}");
        assert_eq!(read.rfc6381, mime);
        assert_eq!(read.id, sets(codec).id);
    }
    assert_ne!(sets(Codec::H264).id, sets(Codec::H265).id);
}

/// Writes bits: `(value, count)`; count 0 means unsigned Exp-Golomb.
fn write_bits(fields: &[(u32, u32)]) -> Vec<u8> {
    let mut text = String::new();
    for (value, count) in fields {
        if *count == 0 {
            let code = format!("{:b}", value + 1);
            text.push_str(&"0".repeat(code.len() - 1));
            text.push_str(&code);
        } else {
            text.push_str(&format!("{value:0width$b}", width = usize::try_from(*count).unwrap()));
        }
    }
    text.push('1');
    while !text.len().is_multiple_of(8) {
        text.push('0');
    }
    text.as_bytes().chunks(8).map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 2).unwrap()).collect()
}

/// A Main profile SPS of `mbs` macroblocks, progressive, without VUI.
fn sps(id: u32, mbs: (u32, u32), ref_frames: u32) -> Bytes {
    let mut nal = vec![0x67, 77, 0, 40];
    let (g, flag) = (0, 1);
    nal.extend(write_bits(&[
        (id, g),
        (0, g),
        (0, g),
        (0, g),
        (ref_frames, g),
        (0, flag),
        (mbs.0 - 1, g),
        (mbs.1 - 1, g),
        (1, flag),
        (1, flag),
        (0, flag),
        (0, flag),
    ]));
    Bytes::from(nal)
}

fn pps(id: u32, sps: u32) -> Bytes {
    let mut nal = vec![0x68];
    nal.extend(write_bits(&[(id, 0), (sps, 0), (0, 1)]));
    Bytes::from(nal)
}

fn idr(pps: u32) -> Bytes {
    let mut nal = vec![0x65];
    nal.extend(write_bits(&[(0, 0), (7, 0), (pps, 0)]));
    Bytes::from(nal)
}

fn unit(nals: &[Bytes]) -> Bytes {
    let mut out = bytes::BytesMut::new();
    nals.iter().for_each(|nal| put_length_prefixed(nal, &mut out));
    out.freeze()
}

#[test]
fn sizes_beyond_the_limit_are_refused() {
    let read = |mbs| ParameterSets::from_nals(Codec::H264, vec![], vec![sps(0, mbs, 1)], vec![pps(0, 0)]);
    assert_eq!(read((120, 68)).map(|s| (s.width, s.height)), Ok((1920, 1088)));
    assert_eq!(read((512, 270)).map(|s| (s.width, s.height)), Ok((8192, 4320)));
    for mbs in [(1024, 1024), (512, 512), (1 << 20, 1), (1 << 28, 1 << 28)] {
        assert!(read(mbs).is_err(), "{mbs:?}");
    }
    assert_eq!(read((1024, 1024)), Err(ParamError::PictureSize { width: 16_384, height: 16_384 }),);
}

#[test]
fn depth_is_guessed_only_where_the_stream_may_reorder() {
    for (ref_frames, depth) in [(0, 0), (1, 0), (2, 2), (16, 4)] {
        let read = ParameterSets::from_nals(Codec::H264, vec![], vec![sps(0, (8, 8), ref_frames)], vec![pps(0, 0)]);
        assert_eq!(read.unwrap().reorder_depth, depth);
    }
}

#[test]
fn a_tracker_tells_changes_and_only_changes() {
    let mut tracker = ParameterTracker::new(Codec::H264);
    let mut see = |nals: &[Bytes]| tracker.observe(&unit(nals)).unwrap().map(|s| (s.width, s.sps.len(), s.pps.len()));
    let (small, large, other) = (sps(0, (8, 8), 1), sps(0, (16, 8), 1), sps(1, (4, 8), 1));
    // Repeats of the same sets are no change; a new PPS id is one, once.
    assert_eq!(see(&[idr(0)]), None);
    assert_eq!(see(&[small.clone(), pps(0, 0), idr(0)]), Some((128, 1, 1)));
    assert_eq!(see(&[small.clone(), pps(0, 0), idr(0)]), None);
    assert_eq!(see(&[pps(3, 0), idr(3)]), Some((128, 1, 2)));
    assert_eq!(see(&[small, pps(0, 0), idr(0)]), None);
    // Another size under the same id, then another id in force.
    assert_eq!(see(&[large, pps(0, 0), idr(0)]), Some((256, 1, 2)));
    assert_eq!(see(&[other, pps(0, 1), idr(0)]), Some((64, 2, 2)));
    assert_eq!(see(&[idr(3)]), Some((256, 2, 2)));
}

#[test]
fn real_streams_change_nothing_after_their_first_unit() {
    for (codec, stream) in [(Codec::H264, H264), (Codec::H265, H265)] {
        let mut tracker = ParameterTracker::new(codec);
        let whole = annex_b_to_length_prefixed(stream);
        assert!(tracker.observe(&whole).unwrap().is_some());
        assert_eq!(tracker.observe(&whole), Ok(None));
    }
}

proptest::proptest! {
    #[test]
    fn rubbish_is_survived(data in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        fuzz_params(&data);
    }

    #[test]
    fn damaged_sets_are_survived(at in 0_usize..1400, bit in 0_u8..8, cut in 0_usize..1400) {
        for stream in [H264, H265] {
            let mut data = stream.to_vec();
            data[at] ^= 1 << bit;
            fuzz_params(&data);
            for nal in annex_b(&data[..cut]) {
                fuzz_params(nal);
                crate::nal::fuzz_nal(nal);
            }
        }
    }
}
