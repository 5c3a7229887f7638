//! From received frames to numbered access units: parameter sets, key frames, decode times, clocks.

use std::sync::Arc;
use std::time::Duration;

use media::dts::{DtsDeriver, WentBack};
use media::nal;
use media::params::ParameterTracker;
use media::{AccessUnit, Clocks, ParameterSets};
use vms_core::{MediaTime, MonoTime, WallTime};

use crate::clock::CameraClock;
use crate::depacketize::Frame;
use crate::transport::SessionInfo;

/// A picture that claims to be this much later than the host waited for it was stamped by a clock that was set, µs.
const LEAP_US: i64 = 5_000_000;
/// A step back below this is reordering, 1/90,000 s: 16 pictures at 15 frames/s.
const REORDER_TICKS_MAX: i64 = 96_000;

/// What became of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assembled {
    /// A unit, with the parameter sets in force for it.
    Unit(AccessUnit, Arc<ParameterSets>),
    /// Nothing can be decoded yet: no key frame so far, or no parameter sets for it.
    NotYet,
}

/// When a frame was read, and what is known of its arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it was read, monotonic.
    pub mono: MonoTime,
    /// The same moment, wall.
    pub wall: WallTime,
    /// The process did not look for so long before: the frame arrived some time in it.
    pub gathered: Duration,
}

/// Numbers the units of one camera session.
#[derive(Debug)]
pub struct Assembler {
    info: SessionInfo,
    tracker: ParameterTracker,
    dts: DtsDeriver,
    /// Reorder depth that the parameter sets in force declare.
    declared: u8,
    /// Presentation and arrival of the last unit of this epoch.
    last: Option<(MediaTime, MonoTime)>,
    /// Decode time and place of the last unit of this epoch.
    placed: Option<(MediaTime, MonoTime)>,
    clock: CameraClock,
    epoch: u64,
    seq: u64,
    has_key: bool,
    /// Sets that were of no use.
    refused_sets: u64,
}

impl Assembler {
    /// A new session, connected at `mono`; `epoch_before` is the last one of this stream, so that epochs always rise.
    pub fn new(info: SessionInfo, mono: MonoTime, epoch_before: u64, agrees_within: Duration) -> Self {
        let mut tracker = ParameterTracker::new(info.codec);
        tracker.seed(info.described_sets.iter().map(AsRef::as_ref));
        let depth = tracker.current().map_or(0, |sets| sets.reorder_depth);
        Self {
            tracker,
            dts: DtsDeriver::new(depth),
            declared: depth,
            last: None,
            placed: None,
            clock: CameraClock::new(agrees_within),
            epoch: mono.micros.max(epoch_before.saturating_add(1)),
            seq: 0,
            has_key: false,
            refused_sets: 0,
            info,
        }
    }

    /// The epoch of the next unit.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Parameter sets that the camera sent and nobody can use.
    pub const fn refused_sets(&self) -> u64 {
        self.refused_sets
    }

    /// Takes a sender report.
    pub const fn sender_report(&mut self, wall: WallTime, ticks: i64) {
        self.clock.report(wall, ticks);
    }

    /// Takes one frame. Its clocks are those of its arrival where the process looked at once; where it gathered before it
    /// looked, the decode time puts the frame inside that pause, at its distance from the one before.
    pub fn frame(&mut self, frame: Frame, arrival: Arrival) -> Assembled {
        let Arrival { mono: read_at, wall, gathered } = arrival;
        let mono = read_at;
        let is_key = nal::is_key(self.info.codec, &frame.payload);
        match self.tracker.observe(&frame.payload) {
            Ok(Some(sets)) => self.follow(&sets, mono),
            Ok(None) => {}
            // What was in force stays in force; the frame may be fine.
            Err(_) => self.refused_sets = self.refused_sets.saturating_add(1),
        }
        self.has_key |= is_key;
        let Some(sets) = self.tracker.current().filter(|_| self.has_key).map(Arc::clone) else {
            return Assembled::NotYet;
        };
        let pts = MediaTime::from_ticks(frame.ticks);
        if self.leapt_ahead(pts, mono) {
            self.dts = DtsDeriver::new(self.declared);
            self.next_epoch(mono);
        }
        let dts = match self.dts.push(pts) {
            Ok(dts) => dts,
            Err(back) => self.restart_clock(pts, mono, back),
        };
        self.last = Some((pts, mono));
        let mono = self.place(dts, read_at, gathered);
        let wall = wall.minus(Duration::from_micros(read_at.micros.saturating_sub(mono.micros)));
        let (camera, sync) = self.clock.at(frame.ticks, wall);
        let unit = AccessUnit {
            seq: self.seq,
            epoch: self.epoch,
            payload: frame.payload,
            is_key,
            pts,
            dts,
            clocks: Clocks { mono, wall, camera, sync },
            lost_before: frame.lost_before,
            param_set: sets.id,
        };
        self.seq += 1;
        Assembled::Unit(unit, sets)
    }

    /// The frame arrived in the last `gathered` before `read_at`; one that follows the last at the camera's own pace arrived that much
    /// later. A place that is too late is pulled forward by every frame that was there sooner, one that is too early is pushed
    /// back by every frame that came later: never further off than the pause is long, and level over time.
    fn place(&mut self, dts: MediaTime, read_at: MonoTime, gathered: Duration) -> MonoTime {
        let earliest = read_at.micros.saturating_sub(u64::try_from(gathered.as_micros()).unwrap_or(0));
        let at = self.placed.map_or(read_at.micros, |(last_dts, last_at)| {
            let step = MediaTime::from_ticks(dts.ticks_90k.saturating_sub(last_dts.ticks_90k)).to_micros();
            last_at.micros.saturating_add_signed(step).clamp(earliest, read_at.micros)
        });
        let at = MonoTime { micros: at };
        self.placed = Some((dts, at));
        at
    }

    /// Other parameter sets may reorder deeper: decode times then start anew, in an epoch of their own unless nothing was
    /// sent yet.
    fn follow(&mut self, sets: &ParameterSets, mono: MonoTime) {
        if self.declared != sets.reorder_depth {
            self.declared = sets.reorder_depth;
            self.dts = DtsDeriver::new(sets.reorder_depth);
            if self.seq > 0 {
                self.next_epoch(mono);
            }
        }
    }

    /// The picture claims to be much later than the host waited for it: the camera's clock was set. Frames that come in a
    /// burst after a stall claim less than the host waited, and go on.
    fn leapt_ahead(&self, pts: MediaTime, mono: MonoTime) -> bool {
        self.last.is_some_and(|(last_pts, last_mono)| {
            let claimed = MediaTime::from_ticks(pts.ticks_90k.saturating_sub(last_pts.ticks_90k)).to_micros();
            let waited = i64::try_from(mono.micros.saturating_sub(last_mono.micros)).unwrap_or(i64::MAX);
            claimed > waited.saturating_add(LEAP_US)
        })
    }

    /// The camera's clock jumped back, or it reorders deeper than it said.
    fn restart_clock(&mut self, pts: MediaTime, mono: MonoTime, back: WentBack) -> MediaTime {
        self.dts = if back.by_ticks < REORDER_TICKS_MAX { self.dts.deeper() } else { DtsDeriver::new(self.declared) };
        self.next_epoch(mono);
        self.dts.push(pts).unwrap_or(pts)
    }

    fn next_epoch(&mut self, mono: MonoTime) {
        self.epoch = mono.micros.max(self.epoch.saturating_add(1));
        self.seq = 0;
        self.last = None;
        self.placed = None;
    }
}

#[cfg(test)]
mod tests;
