//! What the disk writer knows, shared with playback, health and the index: open segments, new holes, newest instants.
//!
//! The index (SQLite) is a copy that follows some seconds behind; the media files are the truth. Memory is bounded by the
//! open segments, those closed since the last successful flush of the index, and [`GAPS_MAX`] holes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use link::Cause;
use media::ParameterSets;
use vms_core::{CameraId, MonoTime, RetentionClass, SegmentId, StreamId, TimeRange, WallTime};

use crate::format::{FLAG_SUSPECT, FragmentEntry};
use crate::plan::UnitEnd;

/// Most holes that wait for the index; beyond it the oldest is dropped (it also stands in its segment file).
pub const GAPS_MAX: usize = 100_000;

/// The index hears of a segment that grows when it is this much longer than it knows, microseconds. A new segment, a closed
/// one and a hole reach it with the next flush.
const GROWTH_US: i64 = 5_000_000;

/// One segment.
#[derive(Clone, Debug)]
pub struct SegmentState {
    /// Id.
    pub segment: SegmentId,
    /// Stream.
    pub stream: StreamId,
    /// Camera.
    pub camera: CameraId,
    /// Retention class at the time of recording.
    pub class: RetentionClass,
    /// Term of the class at the time of recording, seconds.
    pub keep_s: u64,
    /// Below the media folder.
    pub path: PathBuf,
    /// First unit.
    pub from: WallTime,
    /// End of the last unit.
    pub to: WallTime,
    /// Which hour key sealed it; 0: none.
    pub key_epoch: u64,
    /// Ingest epoch.
    pub epoch: u64,
    /// Boot of the host.
    pub boot: [u8; 16],
    /// Sequence of the last unit.
    pub last_seq: u64,
    /// Monotonic end of the last unit.
    pub last_mono: MonoTime,
    /// Bytes of payload.
    pub payload: u64,
    /// Bytes of file.
    pub file_len: u64,
    /// Units.
    pub units: u32,
    /// Fragments.
    pub entries: Vec<FragmentEntry>,
    /// Parameter sets in the file.
    pub sets: Vec<Arc<ParameterSets>>,
    /// Offset of the closing record.
    pub closing_at: Option<u64>,
    /// Digest of the closed segment.
    pub digest: Option<[u8; 32]>,
    /// Closing flags.
    pub flags: u8,
}

impl SegmentState {
    /// Whether it grows no more.
    pub const fn is_closed(&self) -> bool {
        self.closing_at.is_some()
    }
}

/// One hole on its way to the index; the same stream and start replace each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapChange {
    /// Stream.
    pub stream: StreamId,
    /// Start.
    pub from: WallTime,
    /// End, when it ended; equal to the start when it turned out to be none.
    pub to: Option<WallTime>,
    /// Why.
    pub cause: Cause,
}

/// What the index has not seen yet.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Segments as they stand.
    pub segments: Vec<SegmentState>,
    /// Holes.
    pub gaps: Vec<GapChange>,
}

#[derive(Debug, Default)]
struct Inner {
    segments: BTreeMap<SegmentId, SegmentState>,
    /// Not in the index as they stand.
    dirty: BTreeSet<SegmentId>,
    /// How far the index knows segments that still grow.
    indexed: BTreeMap<SegmentId, WallTime>,
    gaps: Vec<GapChange>,
    ends: HashMap<StreamId, UnitEnd>,
    previous: HashMap<StreamId, [u8; 32]>,
    durable: HashMap<StreamId, WallTime>,
    /// Streams that cannot be written now, and why.
    blocked: HashMap<StreamId, Cause>,
}

/// The shared state. Locked for moments only, never across a wait.
#[derive(Debug, Default)]
pub struct Catalogue {
    inner: Mutex<Inner>,
}

impl Catalogue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Puts in or replaces a segment.
    pub fn put(&self, state: SegmentState) {
        let mut inner = self.lock();
        inner.dirty.insert(state.segment);
        inner.segments.insert(state.segment, state);
    }

    /// Changes a segment in place.
    pub fn change(&self, segment: SegmentId, how: impl FnOnce(&mut SegmentState)) {
        let mut inner = self.lock();
        if let Some(state) = inner.segments.get_mut(&segment) {
            how(state);
            inner.dirty.insert(segment);
        }
    }

    /// Notes a hole.
    pub fn gap(&self, change: GapChange) {
        let mut inner = self.lock();
        if inner.gaps.len() >= GAPS_MAX {
            inner.gaps.remove(0);
            metrics::counter!("recorder_gaps_dropped_total").increment(1);
        }
        inner.gaps.push(change);
    }

    /// End of the last kept unit of a stream.
    pub fn end(&self, stream: StreamId) -> Option<UnitEnd> {
        self.lock().ends.get(&stream).copied()
    }

    /// Sets it.
    pub fn set_end(&self, stream: StreamId, end: UnitEnd) {
        self.lock().ends.insert(stream, end);
    }

    /// Digest of the last closed segment of a stream; zeros when there is none.
    pub fn previous(&self, stream: StreamId) -> [u8; 32] {
        self.lock().previous.get(&stream).copied().unwrap_or_default()
    }

    /// Sets it.
    pub fn set_previous(&self, stream: StreamId, digest: [u8; 32]) {
        self.lock().previous.insert(stream, digest);
    }

    /// Wall time up to which a stream survives a power cut.
    pub fn durable(&self, stream: StreamId) -> Option<WallTime> {
        self.lock().durable.get(&stream).copied()
    }

    /// Sets it; the caller goes from older to newer footage.
    pub fn set_durable(&self, stream: StreamId, until: WallTime) {
        self.lock().durable.insert(stream, until);
    }

    /// Why a stream cannot be written now, if it cannot.
    pub fn blocked(&self, stream: StreamId) -> Option<Cause> {
        self.lock().blocked.get(&stream).copied()
    }

    /// Sets it.
    pub fn set_blocked(&self, stream: StreamId, why: Option<Cause>) {
        let mut inner = self.lock();
        match why {
            Some(cause) => inner.blocked.insert(stream, cause),
            None => inner.blocked.remove(&stream),
        };
    }

    /// Whether a segment that the index may not know was sealed with this hour key.
    pub fn uses_key(&self, key_epoch: u64) -> bool {
        self.lock().segments.values().any(|state| state.key_epoch == key_epoch)
    }

    /// Segments of a stream that the index may not know or not know completely, within a span.
    pub fn overlapping(&self, stream: StreamId, range: TimeRange) -> Vec<SegmentState> {
        let inner = self.lock();
        let fits = |state: &&SegmentState| state.stream == stream && state.from < range.to && range.from < state.to;
        inner.segments.values().filter(fits).cloned().collect()
    }

    /// Holes of a stream that the index may not know, within a span.
    pub fn gaps_overlapping(&self, stream: StreamId, range: TimeRange) -> Vec<GapChange> {
        let inner = self.lock();
        let fits =
            |gap: &&GapChange| gap.stream == stream && gap.from < range.to && gap.to.is_none_or(|to| range.from < to);
        inner.gaps.iter().filter(fits).copied().collect()
    }

    /// Bytes of files that the index does not count yet.
    pub fn unflushed_bytes(&self) -> u64 {
        self.lock().segments.values().map(|state| state.file_len).sum()
    }

    /// Takes what changed; mere growth only once it is [`GROWTH_US`] for some segment, and then of all. Give it back with
    /// [`Catalogue::restore`] when the index refused it.
    pub fn take(&self) -> Batch {
        let mut inner = self.lock();
        let dirty = std::mem::take(&mut inner.dirty);
        let changed = dirty.iter().filter_map(|id| inner.segments.get(id));
        let (grown, news): (Vec<&SegmentState>, Vec<&SegmentState>) = changed.partition(|state| {
            !state.is_closed() && state.flags & FLAG_SUSPECT == 0 && inner.indexed.contains_key(&state.segment)
        });
        let is_due = grown.iter().any(|state| {
            inner.indexed.get(&state.segment).is_none_or(|known| state.to.micros_since(*known) >= GROWTH_US)
        });
        let later = if is_due { BTreeSet::new() } else { grown.iter().map(|state| state.segment).collect() };
        let taken = if is_due { grown } else { Vec::new() };
        let segments: Vec<SegmentState> = news.into_iter().chain(taken).cloned().collect();
        inner.dirty = later;
        Batch { segments, gaps: std::mem::take(&mut inner.gaps) }
    }

    /// The batch is in the index: closed segments need not be remembered here.
    pub fn flushed(&self, batch: &Batch) {
        let mut inner = self.lock();
        for state in &batch.segments {
            if !state.is_closed() {
                inner.indexed.insert(state.segment, state.to);
                continue;
            }
            inner.indexed.remove(&state.segment);
            if !inner.dirty.contains(&state.segment) {
                inner.segments.remove(&state.segment);
            }
        }
    }

    /// The index refused the batch.
    pub fn restore(&self, batch: Batch) {
        let mut inner = self.lock();
        inner.dirty.extend(batch.segments.iter().map(|state| state.segment));
        let newer = std::mem::replace(&mut inner.gaps, batch.gaps);
        inner.gaps.extend(newer);
    }
}
