//! Fragments: runs of access units of one GOP or at most 1 s, and their sample tables.
//!
//! Belongs here: where a fragment is cut, and what a container must know of its samples. Does not belong here: boxes
//! ([`crate::fmp4`]), files (`recorder`), gaps (`recorder::plan`).

use vms_core::MediaTime;

use crate::dts::FrameLength;
use crate::unit::AccessUnit;

/// One sample of a container: an access unit without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sample {
    /// Bytes of payload.
    pub size: u32,
    /// Time until the next decode time, 1/90,000 s.
    pub duration: u32,
    /// Presentation minus decode time, 1/90,000 s; never negative where [`crate::DtsDeriver`] made the times.
    pub composition: i32,
    /// Decoding can start here.
    pub is_key: bool,
}

/// A closed run of units of one epoch and one set of parameter sets.
///
/// INVARIANT: at least one unit; `samples` has one entry per unit; sizes equal payload lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    units: Vec<AccessUnit>,
    samples: Vec<Sample>,
}

impl Fragment {
    /// Builds one from units in decode order, the last of them lasting `last_duration` ticks. `None` when there is none, or
    /// one is over 4 GiB.
    pub fn new(units: Vec<AccessUnit>, last_duration: u32) -> Option<Self> {
        let nexts = units.iter().skip(1).map(|unit| Some(unit.dts.ticks_90k)).chain(std::iter::once(None));
        let mut samples = Vec::with_capacity(units.len());
        for (unit, next) in units.iter().zip(nexts) {
            let duration = match next {
                Some(next) => u32::try_from(next.saturating_sub(unit.dts.ticks_90k)).unwrap_or(0),
                None => last_duration,
            };
            let composition = unit.pts.ticks_90k.saturating_sub(unit.dts.ticks_90k);
            samples.push(Sample {
                size: u32::try_from(unit.payload.len()).ok()?,
                duration,
                composition: i32::try_from(composition).unwrap_or(0),
                is_key: unit.is_key,
            });
        }
        (!units.is_empty()).then_some(Self { units, samples })
    }

    /// The units.
    pub fn units(&self) -> &[AccessUnit] {
        &self.units
    }

    /// The sample table.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The first unit.
    pub fn first(&self) -> &AccessUnit {
        self.units.first().expect("a fragment should have a unit")
    }

    /// The last unit.
    pub fn last(&self) -> &AccessUnit {
        self.units.last().expect("a fragment should have a unit")
    }

    /// Decode time of the first unit.
    pub fn start(&self) -> MediaTime {
        self.first().dts
    }

    /// Ticks from the first decode time to the end of the last unit.
    pub fn ticks(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    /// Bytes of all payloads.
    pub fn payload_len(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.size)).sum()
    }
}

/// Where fragments are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentLimits {
    /// Longest fragment, ticks of the video clock; what a kill can lose (reliability 4.1.1).
    pub ticks_max: i64,
    /// Longest fragment in host time, microseconds: for streams whose own clock stands still.
    pub host_us_max: u64,
    /// A key frame does not cut a fragment that itself begins with one before this many ticks: streams of key frames only
    /// would make a fragment per frame. It does cut one that does not: what is behind the limit of a second may be short,
    /// and a key frame in the middle of a fragment cannot be found.
    pub ticks_min: i64,
    /// Most units.
    pub units_max: usize,
    /// Most bytes.
    pub bytes_max: usize,
}

impl FragmentLimits {
    /// Blueprint 2: one GOP, or at most 1 s. 8 MiB is 1 s at 67 Mbit/s, 512 units 1 s at four times 120 frames/s.
    pub const DEFAULT: Self = Self {
        ticks_max: MediaTime::RATE,
        host_us_max: 1_000_000,
        ticks_min: MediaTime::RATE / 4,
        units_max: 512,
        bytes_max: 8 * 1024 * 1024,
    };
}

/// Collects units into fragments.
///
/// A unit is held until the next one tells how long it lasts; [`FragmentBuilder::flush`] gives out what is held, with a
/// predicted length for the last.
#[derive(Clone, Debug)]
pub struct FragmentBuilder {
    limits: FragmentLimits,
    units: Vec<AccessUnit>,
    bytes: usize,
    length: FrameLength,
}

impl FragmentBuilder {
    /// Starts empty.
    pub const fn new(limits: FragmentLimits) -> Self {
        Self { limits, units: Vec::new(), bytes: 0, length: FrameLength::new() }
    }

    /// Units held.
    pub fn held(&self) -> &[AccessUnit] {
        &self.units
    }

    /// The predicted length of the newest unit, ticks.
    pub fn predicted(&self) -> u32 {
        self.length.predict()
    }

    /// Takes in the next unit; gives out the fragment that ends before it, if one does.
    pub fn push(&mut self, unit: AccessUnit) -> Option<Fragment> {
        let closed = match (self.units.first(), self.units.last()) {
            (Some(first), Some(last)) if self.cuts(first, last, &unit) => {
                let breaks = last.epoch != unit.epoch;
                let step = unit.dts.ticks_90k.saturating_sub(last.dts.ticks_90k);
                let predicted = self.length.predict();
                let last_duration = if breaks { predicted } else { bounded_step(step, predicted) };
                self.take(last_duration)
            }
            (Some(_) | None, Some(_) | None) => None,
        };
        if self.units.is_empty() && closed.as_ref().is_some_and(|fragment| fragment.last().epoch != unit.epoch) {
            self.length.restart();
        }
        self.length.push(unit.dts);
        self.bytes = self.bytes.saturating_add(unit.payload.len());
        self.units.push(unit);
        closed
    }

    /// Gives out what is held.
    pub fn flush(&mut self) -> Option<Fragment> {
        let predicted = self.length.predict();
        self.take(predicted)
    }

    fn cuts(&self, first: &AccessUnit, last: &AccessUnit, next: &AccessUnit) -> bool {
        let ticks = next.dts.ticks_90k.saturating_sub(first.dts.ticks_90k);
        let host_us = next.clocks.mono.micros.saturating_sub(first.clocks.mono.micros);
        let step = next.dts.ticks_90k.saturating_sub(last.dts.ticks_90k);
        next.epoch != first.epoch
            || next.seq != last.seq.saturating_add(1)
            || next.param_set != first.param_set
            || next.dts < last.dts
            || is_break(step, self.length.predict())
            || wall_stepped(last, next)
            || (next.is_key && (ticks >= self.limits.ticks_min || !first.is_key))
            || ticks >= self.limits.ticks_max
            || host_us >= self.limits.host_us_max
            || self.units.len() >= self.limits.units_max
            || self.bytes.saturating_add(next.payload.len()) > self.limits.bytes_max
    }

    fn take(&mut self, last_duration: u32) -> Option<Fragment> {
        self.bytes = 0;
        Fragment::new(std::mem::take(&mut self.units), last_duration)
    }
}

/// The host's wall clock stepped between two units, by more than a second against its monotonic clock: what a fragment says of its span must
/// not hold footage of an hour that never was.
fn wall_stepped(last: &AccessUnit, next: &AccessUnit) -> bool {
    let wall_us = next.clocks.wall.micros_since(last.clocks.wall);
    let mono_us = i64::try_from(next.clocks.mono.micros.saturating_sub(last.clocks.mono.micros)).unwrap_or(i64::MAX);
    wall_us.saturating_sub(mono_us).unsigned_abs() > 1_000_000
}

/// A step of the decode time that is no frame any more but a hole: over 200 ms (reliability R12) and over four frames.
pub fn is_break(step_ticks: i64, predicted: u32) -> bool {
    step_ticks > 18_000 && step_ticks > i64::from(predicted).saturating_mul(4)
}

/// The length of a frame that is followed after `step`: a hole does not stretch it.
fn bounded_step(step: i64, predicted: u32) -> u32 {
    if step < 0 || is_break(step, predicted) { predicted } else { u32::try_from(step).unwrap_or(predicted) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use vms_core::{MonoTime, WallTime};

    use super::*;
    use crate::unit::{Clocks, ParamSetId};

    fn unit(seq: u64, epoch: u64, ticks: i64, is_key: bool, set: u64) -> AccessUnit {
        AccessUnit {
            seq,
            epoch,
            payload: Bytes::from_static(&[0, 0, 0, 1, 0x65]),
            is_key,
            pts: MediaTime::from_ticks(ticks),
            dts: MediaTime::from_ticks(ticks),
            clocks: Clocks {
                mono: MonoTime { micros: u64::try_from(ticks).unwrap() * 100 / 9 },
                wall: WallTime::from_micros(ticks * 100 / 9),
                ..Clocks::default()
            },
            lost_before: 0,
            param_set: ParamSetId(set),
        }
    }

    /// `(ticks, key, epoch, set)` in; units per fragment and duration of the last sample out.
    fn cut(frames: &[(i64, bool, u64, u64)]) -> Vec<(usize, u32)> {
        let mut builder = FragmentBuilder::new(FragmentLimits::DEFAULT);
        let mut out = Vec::new();
        for (seq, (ticks, key, epoch, set)) in frames.iter().enumerate() {
            out.extend(builder.push(unit(u64::try_from(seq).unwrap(), *epoch, *ticks, *key, *set)));
        }
        out.extend(builder.flush());
        out.iter().map(|f| (f.units().len(), f.samples().last().unwrap().duration)).collect()
    }

    #[test]
    fn fragments_are_one_gop_or_one_second() {
        let steady = |count: i64, gop: i64| (0..count).map(|n| (n * 3600, n % gop == 0, 1, 1)).collect::<Vec<_>>();
        assert_eq!(cut(&steady(50, 25)), [(25, 3600), (25, 3600)]);
        assert_eq!(cut(&steady(50, 250)), [(25, 3600), (25, 3600)]);
        assert_eq!(cut(&steady(24, 12)), [(12, 3600), (12, 3600)]);
        assert_eq!(cut(&steady(10, 1)), [(7, 3600), (3, 3600)]);
        // 27 frames a group: after a second two are left, and the next key frame still begins a fragment.
        assert_eq!(cut(&steady(54, 27)), [(25, 3600), (2, 3600), (25, 3600), (2, 3600)]);
    }

    #[test]
    fn breaks_cut_and_do_not_stretch_the_last_frame() {
        let f = |n: i64| n * 3600;
        let table = [
            (vec![(0, true, 1, 1), (f(1), false, 1, 1), (f(2), false, 2, 1)], vec![(2, 3600), (1, 3600)]),
            (vec![(0, true, 1, 1), (f(1), false, 1, 1), (f(2), true, 1, 9)], vec![(2, 3600), (1, 3600)]),
            (vec![(0, true, 1, 1), (f(1), false, 1, 1), (f(20), false, 1, 1)], vec![(2, 3600), (1, 3600)]),
            // Five frames a second: 200 ms are a frame, not a hole.
            (vec![(0, true, 1, 1), (18_000, false, 1, 1), (36_000, false, 1, 1)], vec![(3, 18_000)]),
        ];
        for (frames, wanted) in table {
            assert_eq!(cut(&frames), wanted);
        }
    }
}
