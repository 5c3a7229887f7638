//! A span as it is stored, for an evidence export: segments, fragments with every unit's clocks and bytes, gaps; in the order of time
//! and one at a time. What is recorded after the opening is not in it, so that an export that was interrupted goes on where it was.

use std::sync::Arc;

use link::GapRow;
use media::{AccessUnit, Fragment, ParameterSets};
use vms_core::{MediaTime, SegmentId, StreamId, TimeRange, WallTime};

use super::{Material, RangeError, ReadError, Reader, RecordPlace, Source, found, select};
use crate::catalogue::Catalogue;
use crate::format::read::StoredFragment;
use crate::index::Index;

/// One fragment as it was stored.
#[derive(Clone, Debug)]
pub struct StoredFrames {
    /// Segment it lies in.
    pub segment: SegmentId,
    /// Number of its record there.
    pub record: u32,
    /// Its decode times count on the same clock as those of the fragment before it.
    pub same_clock: bool,
    /// Parameter sets in force.
    pub sets: Arc<ParameterSets>,
    /// Units and sample table.
    pub fragment: Fragment,
}

/// One thing of the span.
#[derive(Clone, Debug)]
pub enum StoredPiece {
    /// The fragments that follow lie in this segment.
    Segment {
        /// Id.
        segment: SegmentId,
        /// Arrival of its first unit.
        from: WallTime,
        /// End of its last unit.
        to: WallTime,
        /// Its digest, BLAKE3 over header and trailers (SHA-256 in files of version 2); absent while it grows.
        digest: Option<[u8; 32]>,
    },
    /// A fragment.
    Frames(Box<StoredFrames>),
    /// A gap; one that still lasts ends with the span.
    Gap(GapRow),
}

/// What is read next.
#[derive(Clone, Debug)]
enum Planned {
    Segment { segment: SegmentId, from: WallTime, to: WallTime, digest: Option<[u8; 32]> },
    Frames { place: RecordPlace, epoch: u64, same_clock: bool, sets: Arc<ParameterSets> },
    Gap(GapRow),
}

/// An open span. Memory: some hundred bytes a fragment, and one fragment.
#[derive(Debug)]
pub struct StoredRange {
    reader: Reader,
    planned: Vec<Planned>,
    next: usize,
}

/// Opens `range` of `stream`. A span without footage is no error here: it has its gaps.
///
/// # Errors
/// [`RangeError`].
pub async fn open_stored(
    source: Source,
    index: &Index,
    catalogue: &Catalogue,
    stream: StreamId,
    range: TimeRange,
) -> Result<StoredRange, RangeError> {
    let (materials, gaps) = found(&source, index, catalogue, stream, range).await?;
    let planned = plan(&materials, range, gaps)?;
    Ok(StoredRange { reader: Reader::new(source), planned, next: 0 })
}

fn plan(materials: &[Material], range: TimeRange, gaps: Vec<GapRow>) -> Result<Vec<Planned>, RangeError> {
    let mut planned = Vec::new();
    let mut gaps =
        gaps.into_iter().map(|gap| GapRow { to_us: Some(gap.to_us.unwrap_or(range.to.micros)), ..gap }).peekable();
    let mut before: Option<&Material> = None;
    for (material, entry) in select(materials, range) {
        while let Some(gap) = gaps.next_if(|gap| gap.from_us <= entry.wall.micros) {
            planned.push(Planned::Gap(gap));
        }
        if before.is_none_or(|before| before.segment != material.segment) {
            let to = material.entries.last().map_or(material.from, |last| last.wall_end());
            let (segment, from, digest) = (material.segment, material.from, material.digest);
            planned.push(Planned::Segment { segment, from, to, digest });
        }
        let same_clock = before.is_some_and(|before| before.epoch == material.epoch && before.boot == material.boot);
        let found = material.sets.iter().find(|known| known.id == entry.param_set);
        let sets = Arc::clone(found.ok_or(RangeError::Damaged(ReadError::Record { at: entry.at }))?);
        let path = Arc::clone(&material.path);
        let place = RecordPlace { path, segment: material.segment, key_epoch: material.key_epoch, entry };
        planned.push(Planned::Frames { place, epoch: material.epoch, same_clock, sets });
        before = Some(material);
    }
    planned.extend(gaps.map(Planned::Gap));
    Ok(planned)
}

impl StoredRange {
    /// Pieces of the span.
    pub const fn len(&self) -> usize {
        self.planned.len()
    }

    /// Neither footage nor gap.
    pub const fn is_empty(&self) -> bool {
        self.planned.is_empty()
    }

    /// Goes on behind the first `pieces`.
    pub const fn seek(&mut self, pieces: usize) {
        self.next = pieces;
    }

    /// Segment and record of the last fragment among the first `pieces`.
    pub fn last_frames_of(&self, pieces: usize) -> Option<(SegmentId, u32)> {
        self.planned.iter().take(pieces).rev().find_map(|planned| match planned {
            Planned::Frames { place, .. } => Some((place.segment, place.entry.number)),
            Planned::Segment { .. } | Planned::Gap(_) => None,
        })
    }

    /// The next piece; `None` at the end. Blocking: reads a disk.
    ///
    /// # Errors
    /// [`RangeError`]; the same piece can be asked for again.
    pub fn piece(&mut self) -> Result<Option<StoredPiece>, RangeError> {
        let Some(planned) = self.planned.get(self.next) else { return Ok(None) };
        let piece = match planned {
            Planned::Gap(gap) => StoredPiece::Gap(gap.clone()),
            Planned::Segment { segment, from, to, digest } => {
                StoredPiece::Segment { segment: *segment, from: *from, to: *to, digest: *digest }
            }
            Planned::Frames { place, epoch, same_clock, sets } => {
                let stored = self.reader.fragment(place)?;
                let damaged = RangeError::Damaged(ReadError::Record { at: place.entry.at });
                let fragment = units(&stored, *epoch).ok_or(damaged)?;
                let (segment, record, sets) = (place.segment, place.entry.number, Arc::clone(sets));
                StoredPiece::Frames(Box::new(StoredFrames { segment, record, same_clock: *same_clock, sets, fragment }))
            }
        };
        self.next = self.next.saturating_add(1);
        Ok(Some(piece))
    }

    /// The segment that the next piece is of: for words about a failure.
    pub fn segment(&self) -> Option<SegmentId> {
        match self.planned.get(self.next)? {
            Planned::Segment { segment, .. } => Some(*segment),
            Planned::Frames { place, .. } => Some(place.segment),
            Planned::Gap(_) => None,
        }
    }
}

/// The units of a stored fragment; `None` when its table does not fit its bytes.
fn units(stored: &StoredFragment, epoch: u64) -> Option<Fragment> {
    let mut payload = stored.payload.clone();
    let mut dts = stored.dts.ticks_90k;
    let mut out = Vec::with_capacity(stored.samples.len());
    for ((sample, (clocks, lost_before)), seq) in stored.samples.iter().zip(&stored.arrivals).zip(stored.seq..) {
        let size = usize::try_from(sample.size).ok().filter(|size| *size <= payload.len())?;
        out.push(AccessUnit {
            seq,
            epoch,
            payload: payload.split_to(size),
            is_key: sample.is_key,
            pts: MediaTime::from_ticks(dts.saturating_add(i64::from(sample.composition))),
            dts: MediaTime::from_ticks(dts),
            clocks: *clocks,
            lost_before: *lost_before,
            param_set: stored.param_set,
        });
        dts = dts.saturating_add(i64::from(sample.duration));
    }
    let last = stored.samples.last().map(|sample| sample.duration)?;
    (payload.is_empty() && out.len() == stored.samples.len()).then(|| Fragment::new(out, last)).flatten()
}
