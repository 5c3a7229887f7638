use std::io::Write as _;
use std::process::{Command, Stdio};

use mp4_atom::{Any, Atom as _, Decode as _, DecodeMaybe as _, Header};
use vms_core::MediaTime;

use super::*;
use crate::fragment::Fragment;
use crate::nal::{NalKind, annex_b, is_key, kind, put_length_prefixed};
use crate::unit::{AccessUnit, Clocks};
use crate::{DtsDeriver, LivePlace, LiveTimeline};

const H264: &[u8] = include_bytes!("../../testdata/tiny-b.h264");
const H265: &[u8] = include_bytes!("../../testdata/tiny-b.h265");

/// Presentation times of the fixtures in decode order, frames of 3600 ticks.
const PTS_264: [i64; 15] = [0, 3, 1, 2, 6, 4, 5, 7, 8, 11, 9, 10, 14, 12, 13];
const PTS_265: [i64; 10] = [0, 3, 2, 1, 5, 4, 6, 9, 8, 7];

fn film(codec: Codec) -> (ParameterSets, Vec<AccessUnit>) {
    let (stream, pts): (&[u8], &[i64]) = if codec == Codec::H264 { (H264, &PTS_264) } else { (H265, &PTS_265) };
    let sets = ParameterSets::from_mixed(codec, annex_b(stream)).unwrap();
    let mut payloads: Vec<bytes::BytesMut> = Vec::new();
    let mut open = bytes::BytesMut::new();
    for nal in annex_b(stream) {
        let slice = matches!(kind(codec, nal), NalKind::Slice { first: true, .. });
        put_length_prefixed(nal, &mut open);
        if slice {
            payloads.push(std::mem::take(&mut open));
        }
    }
    assert_eq!(payloads.len(), pts.len());
    let mut deriver = DtsDeriver::new(sets.reorder_depth);
    let units = payloads.into_iter().zip(pts).zip(0..).map(|((payload, pts), seq)| {
        let pts = MediaTime::from_ticks(pts * 3600);
        let is_key = is_key(codec, &payload);
        let payload = payload.freeze();
        let dts = deriver.push(pts).unwrap();
        let clocks = Clocks::default();
        AccessUnit { seq, epoch: 1, payload, is_key, pts, dts, clocks, lost_before: 0, param_set: sets.id }
    });
    let units = units.collect();
    (sets, units)
}

fn payload(units: &[AccessUnit]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.payload.to_vec()).collect()
}

/// What ffprobe says of the frames, or `None` (and a plain word) where it is not installed.
fn frames_seen_by_ffprobe(film: &[u8]) -> Option<Vec<i64>> {
    let child = Command::new("ffprobe")
        .args(["-v", "error", "-f", "mp4", "-show_entries", "frame=pts", "-of", "csv=p=0", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("not run: ffprobe is not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(film).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let number = |line: &str| line.trim_end_matches(',').parse().unwrap();
    Some(text.lines().filter(|line| !line.is_empty()).map(number).collect())
}

#[test]
fn an_init_segment_reads_back() {
    for codec in [Codec::H264, Codec::H265] {
        let (sets, _) = film(codec);
        let init = init_segment(&[&sets, &sets]).unwrap();
        let mut rest: &[u8] = &init;
        let Some(Any::Ftyp(_)) = Any::decode_maybe(&mut rest).unwrap() else { panic!("ftyp first") };
        let moov = mp4_atom::Moov::decode(&mut rest).unwrap();
        assert!(rest.is_empty());
        let track = &moov.trak[0];
        assert_eq!((moov.trak.len(), track.mdia.hdlr.handler), (1, FourCC::new(b"vide")));
        let entries = &track.mdia.minf.stbl.stsd.codecs;
        assert_eq!(entries.len(), 2);
        if let Entry::Avc1(entry) = &entries[0] {
            assert_eq!((entry.visual.width, entry.visual.height), (98, 66));
            assert_eq!(entry.avcc.sequence_parameter_sets, raw(&sets.sps));
            assert_eq!(entry.avcc.picture_parameter_sets, raw(&sets.pps));
        } else if let Entry::Hvc1(entry) = &entries[0] {
            assert_eq!(entry.hvcc.general_level_idc, 30);
            assert_eq!(entry.hvcc.arrays[1].nalus, raw(&sets.sps));
        } else {
            panic!("{:?}", entries[0]);
        }
    }
    assert_eq!(init_segment(&[]), Err(Fmp4Error::DoesNotFit));
}

#[test]
fn sizes_follow_from_counts_alone() {
    let sample = Sample { size: 1, duration: 3600, composition: 0, is_key: false };
    for count in [1_usize, 2, 25, 512] {
        for sample in [sample, Sample { composition: i32::MAX, is_key: true, duration: u32::MAX, ..sample }] {
            for decode in [0, u64::from(u32::MAX) + 1] {
                let samples = vec![sample; count];
                let mut out = Vec::new();
                FragmentHead { sequence: 1, decode, entry: 1, samples: &samples }.encode(&mut out).unwrap();
                let wanted = moof_len(u64::try_from(count).unwrap()) + MDAT_HEADER_LEN;
                assert_eq!(u64::try_from(out.len()).unwrap(), wanted);
            }
        }
    }
    let reference = Reference { size: 100, ticks: 3600, is_key: true };
    for (earliest, count) in [(0_u64, 0_usize), (7, 1), (1 << 40, 300)] {
        let made = sidx(earliest, &vec![reference; count]).unwrap();
        assert_eq!(u64::try_from(made.len()).unwrap(), sidx_len(u64::try_from(count).unwrap()));
        let back = Sidx::decode(&mut made.as_ref()).unwrap();
        assert_eq!((back.earliest_presentation_time, back.references.len()), (earliest, count));
        assert!(back.references.iter().all(|r| r.starts_with_sap && r.referenced_size == 100));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let head = |samples| FragmentHead { sequence: 1, decode: 0, entry: 1, samples };
    let huge = [Sample { size: u32::MAX, duration: 1, composition: 0, is_key: true }];
    assert_eq!(head(&huge).encode(&mut Vec::new()), Err(Fmp4Error::DoesNotFit));
    assert_eq!(head(&[]).encode(&mut Vec::new()), Err(Fmp4Error::DoesNotFit));
    assert_eq!(head(&[Sample { size: 2, ..huge[0] }]).wrap(b"abc"), Err(Fmp4Error::DoesNotFit));
    assert!(sidx(0, &[Reference { size: 1 << 31, ticks: 1, is_key: true }]).is_err());
}

#[test]
fn live_frames_play_one_by_one() {
    for (codec, times) in [(Codec::H264, &PTS_264[..]), (Codec::H265, &PTS_265[..])] {
        let (sets, units) = film(codec);
        let mut out = init_segment(&[&sets]).unwrap().to_vec();
        let mut line = LiveTimeline::new();
        let mut decodes = Vec::new();
        for (unit, sequence) in units.iter().zip(1..) {
            let place = line.place(unit.pts, unit.dts);
            let size = u32::try_from(unit.payload.len()).unwrap();
            let LivePlace { decode, duration, composition } = place;
            let samples = [Sample { size, duration, composition, is_key: unit.is_key }];
            decodes.push(decode);
            out.extend(FragmentHead { sequence, decode, entry: 1, samples: &samples }.wrap(&unit.payload).unwrap());
        }
        assert!(decodes.is_sorted());
        if let Some(seen) = frames_seen_by_ffprobe(&out) {
            let mut wanted: Vec<i64> = times.iter().map(|n| n * 3600).collect();
            wanted.sort_unstable();
            let from = seen[0];
            assert_eq!(seen.iter().map(|pts| pts - from).collect::<Vec<_>>(), wanted, "{codec}");
        }
    }
}

#[test]
fn playback_with_index_and_two_sample_entries_plays() {
    let (sets, units) = film(Codec::H264);
    let (first, second) = units.split_at(8);
    let fragments = [first, second].map(|part| Fragment::new(part.to_vec(), 3600).unwrap());
    let references = fragments.each_ref().map(|fragment| Reference {
        size: moof_len(u64::try_from(fragment.samples().len()).unwrap()) + MDAT_HEADER_LEN + fragment.payload_len(),
        ticks: fragment.ticks(),
        is_key: fragment.first().is_key,
    });
    let mut out = init_segment(&[&sets, &sets]).unwrap().to_vec();
    out.extend(sidx(0, &references).unwrap());
    let base = units[0].dts.ticks_90k;
    for ((fragment, entry), reference) in fragments.iter().zip(1..).zip(references) {
        let decode = u64::try_from(fragment.start().ticks_90k - base).unwrap();
        let head = FragmentHead { sequence: entry, decode, entry, samples: fragment.samples() };
        let made = head.wrap(&payload(fragment.units())).unwrap();
        assert_eq!(u64::try_from(made.len()).unwrap(), reference.size);
        // The payload stands in it untouched, at the end.
        assert!(made.ends_with(&payload(fragment.units())));
        let mut rest: &[u8] = &made;
        let moof = mp4_atom::Moof::decode(&mut rest).unwrap();
        assert_eq!(moof.traf[0].tfhd.sample_description_index, Some(entry));
        assert_eq!(Header::decode(&mut rest).unwrap().kind, mp4_atom::Mdat::KIND);
        out.extend(made);
    }
    if let Some(seen) = frames_seen_by_ffprobe(&out) {
        let from = seen[0];
        let seen: Vec<i64> = seen.iter().map(|pts| (pts - from) / 3600).collect();
        assert_eq!(seen, (0..15).collect::<Vec<_>>());
    }
}

#[test]
fn mime_names_every_codec_string_once() {
    let (a, b) = (film(Codec::H264).0, film(Codec::H265).0);
    assert_eq!(mime(&[&a, &a]), "video/mp4; codecs=\"avc1.64000a\"");
    assert_eq!(mime(&[&a, &b]), "video/mp4; codecs=\"avc1.64000a,hvc1.1.6.L30.90\"");
}
