//! Footage for tests: real coded pictures, cut into fragments, with holes where a test wants them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use media::nal::{NalKind, annex_b, is_key, kind, put_length_prefixed};
use media::{AccessUnit, Clocks, DtsDeriver, FragmentBuilder, FragmentLimits, ParameterSets};
use vms_core::{Codec, MediaTime, MonoTime, SyncState, WallTime};

use crate::manifest::{Digest, Gap, SegmentFact};
use crate::port::{Footage, Frames, Mark, Piece, SourceError};
use crate::times::Utc;

const H264: &[u8] = include_bytes!("../../media/testdata/tiny-b.h264");
const H265: &[u8] = include_bytes!("../../media/testdata/tiny-b.h265");

/// Presentation times of the fixtures in decode order, frames of 3600 ticks.
const PTS_264: [i64; 15] = [0, 3, 1, 2, 6, 4, 5, 7, 8, 11, 9, 10, 14, 12, 13];
const PTS_265: [i64; 10] = [0, 3, 2, 1, 5, 4, 6, 9, 8, 7];

/// 2026-11-19T09:46:40Z.
pub(crate) const START_US: i64 = 1_795_081_600_000_000;

/// A folder for a test; in memory where there is such a place, since every export flushes dozens of files.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Pictures of one fixture: payload and presentation time in frames.
pub(crate) fn pictures(codec: Codec, stream: &[u8]) -> Vec<Bytes> {
    let (mut out, mut open, mut has_slice) = (Vec::new(), BytesMut::new(), false);
    for nal in annex_b(stream) {
        let first = matches!(kind(codec, nal), NalKind::Slice { first: true, .. });
        let later = matches!(kind(codec, nal), NalKind::Slice { first: false, .. });
        if has_slice && !later {
            out.push(std::mem::take(&mut open).freeze());
            has_slice = false;
        }
        has_slice |= first || later;
        put_length_prefixed(nal, &mut open);
    }
    if has_slice {
        out.push(open.freeze());
    }
    out
}

/// One run of a camera on one clock.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) codec: Codec,
    /// Arrival of the first picture, µs.
    pub(crate) at: i64,
    /// How often the fixture is repeated: 0.6 s (H.264), 0.4 s (H.265) each.
    pub(crate) loops: i64,
}

/// Units of a run.
pub(crate) fn units(run: &Run, epoch: u64) -> (Arc<ParameterSets>, Vec<AccessUnit>) {
    let (stream, pts): (&[u8], &[i64]) = if run.codec == Codec::H264 { (H264, &PTS_264) } else { (H265, &PTS_265) };
    let sets = Arc::new(ParameterSets::from_mixed(run.codec, annex_b(stream)).unwrap());
    let payloads = pictures(run.codec, stream);
    assert_eq!(payloads.len(), pts.len());
    let mut deriver = DtsDeriver::new(sets.reorder_depth);
    let mut out = Vec::new();
    for turn in 0..run.loops {
        for (payload, pts) in payloads.iter().zip(pts) {
            let frame = turn * i64::try_from(pts_len(run.codec)).unwrap() + pts;
            let seq = u64::try_from(out.len()).unwrap();
            let pts = MediaTime::from_ticks(frame * 3_600);
            let arrived = run.at + i64::try_from(seq).unwrap() * 40_000;
            let wall = WallTime::from_micros(arrived);
            out.push(AccessUnit {
                seq,
                epoch,
                payload: payload.clone(),
                is_key: is_key(run.codec, payload),
                pts,
                dts: deriver.push(pts).unwrap(),
                clocks: Clocks {
                    mono: MonoTime { micros: seq * 40_000 },
                    wall,
                    camera: Some(WallTime::from_micros(arrived - 12_345)),
                    sync: if seq.is_multiple_of(50) { SyncState::Unknown } else { SyncState::Agrees },
                },
                lost_before: u32::from(seq == 7),
                param_set: sets.id,
            });
        }
    }
    (sets, out)
}

const fn pts_len(codec: Codec) -> usize {
    match codec {
        Codec::H264 => PTS_264.len(),
        Codec::H265 => PTS_265.len(),
    }
}

/// Pieces of a camera: its runs, one segment each.
pub(crate) fn camera(runs: &[Run]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let (sets, units) = units(run, u64::try_from(number).unwrap() + 1);
        pieces.extend(run_pieces(&format!("seg_{number:032x}"), &sets, units));
    }
    pieces
}

/// A segment with its frames.
pub(crate) fn run_pieces(segment: &str, sets: &Arc<ParameterSets>, units: Vec<AccessUnit>) -> Vec<Piece> {
    let (from, to) = (units[0].clocks.wall, units[units.len() - 1].clocks.wall);
    let digest = Digest { algorithm: "belfry-segment-3-blake3".to_owned(), value: "ab".repeat(32) };
    let fact = SegmentFact { id: segment.to_owned(), from: Utc(from), to: Utc(to), digests: vec![digest] };
    let mut builder = FragmentBuilder::new(FragmentLimits::DEFAULT);
    let mut fragments: Vec<media::Fragment> = units.into_iter().filter_map(|unit| builder.push(unit)).collect();
    fragments.extend(builder.flush());
    let frames = fragments.into_iter().zip(0_u32..).map(|(fragment, record)| {
        let sets = Arc::clone(sets);
        Piece::Frames(Box::new(Frames { segment: segment.to_owned(), record, same_clock: record > 0, sets, fragment }))
    });
    std::iter::once(Piece::Segment(fact)).chain(frames).collect()
}

/// A noted gap, seconds from [`START_US`].
pub(crate) fn gap(from_s: i64, to_s: i64, cause: &str) -> Piece {
    let at = |seconds: i64| Utc::from_micros(START_US + seconds * 1_000_000);
    Piece::Gap(Gap { from: at(from_s), to: at(to_s), cause: cause.to_owned() })
}

/// All payload bytes of a camera's pieces.
pub(crate) fn payload(pieces: &[Piece]) -> Vec<u8> {
    let units = pieces.iter().flat_map(|piece| match piece {
        Piece::Frames(frames) => frames.fragment.units().to_vec(),
        Piece::Segment(_) | Piece::Gap(_) => Vec::new(),
    });
    units.flat_map(|unit| unit.payload.to_vec()).collect()
}

/// Footage out of memory.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) cameras: Vec<Vec<Piece>>,
    at: (usize, usize),
    /// Fails instead of this piece of the first camera, once.
    pub(crate) failure: Option<(usize, SourceError)>,
}

impl Memory {
    pub(crate) fn new(cameras: Vec<Vec<Piece>>) -> Self {
        Self { cameras, at: (usize::MAX, 0), failure: None }
    }
}

impl Footage for Memory {
    fn start(&mut self, camera: usize, mark: Option<&Mark>) -> Result<(), SourceError> {
        self.at = (camera, mark.map_or(0, |mark| usize::try_from(mark.pieces).unwrap()));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Piece>, SourceError> {
        let (camera, number) = self.at;
        if let Some((at, _)) = &self.failure
            && (camera, number) == (0, *at)
        {
            return Err(self.failure.take().unwrap().1);
        }
        self.at.1 += 1;
        Ok(self.cameras[camera].get(number).cloned())
    }
}
