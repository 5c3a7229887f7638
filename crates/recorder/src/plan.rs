//! Pure decisions of the recorder: where a segment is cut, what counts as a hole, where a file goes.
//!
//! Belongs here: functions of values. Does not belong here: files, the index, clocks.

use std::path::PathBuf;

use link::Cause;
use media::{AccessUnit, ParamSetId};
use vms_core::{MonoTime, SegmentId, StreamId, WallTime};

/// Where segments are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentLimits {
    /// From this length on, the next key frame starts a new segment; microseconds of host time.
    pub target_us: u64,
    /// At this length a segment is cut even without a key frame, and marked so.
    pub hard_us: u64,
    /// A step of the wall clock against the monotonic clock by more than this starts a new segment, so that wall time is
    /// one straight line inside a segment.
    pub wall_step_us: u64,
}

impl SegmentLimits {
    /// Blueprint 4.2 and 2: about 60 s at a key frame, 120 s at the latest.
    pub const DEFAULT: Self = Self { target_us: 60_000_000, hard_us: 120_000_000, wall_step_us: 1_000_000 };
}

/// Why a segment began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutReason {
    /// First of the stream since the recorder started, or after an error.
    First,
    /// The one before was long enough, and a key frame came.
    Length,
    /// The one before reached its hard limit without a key frame.
    HardLength,
    /// Other parameter sets: size, codec, or ids.
    Parameters,
    /// The camera session began anew.
    Epoch,
    /// The wall clock stepped.
    ClockStep,
    /// The retention class of the stream changed.
    Class,
}

impl CutReason {
    /// Code in the segment header.
    pub const fn code(self) -> u8 {
        match self {
            Self::First => 0,
            Self::Length => 1,
            Self::HardLength => 2,
            Self::Parameters => 3,
            Self::Epoch => 4,
            Self::ClockStep => 5,
            Self::Class => 6,
        }
    }
}

/// What the cut depends on, of the open segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSpan<'a> {
    /// Ingest epoch.
    pub epoch: u64,
    /// Parameter sets in force.
    pub param_set: ParamSetId,
    /// Start, monotonic.
    pub mono: MonoTime,
    /// Start, wall.
    pub wall: WallTime,
    /// Retention class.
    pub class: &'a str,
}

/// Whether a new segment starts with the fragment whose first unit is `first`; `None` to append to the open one.
pub fn cut(open: Option<OpenSpan<'_>>, first: &AccessUnit, class: &str, limits: SegmentLimits) -> Option<CutReason> {
    let Some(open) = open else { return Some(CutReason::First) };
    let length_us = first.clocks.mono.micros.saturating_sub(open.mono.micros);
    let wall_us = first.clocks.wall.micros_since(open.wall);
    let mono_us = i64::try_from(length_us).unwrap_or(i64::MAX);
    if first.epoch != open.epoch {
        Some(CutReason::Epoch)
    } else if first.param_set != open.param_set {
        Some(CutReason::Parameters)
    } else if class != open.class {
        Some(CutReason::Class)
    } else if wall_us.saturating_sub(mono_us).unsigned_abs() > limits.wall_step_us {
        Some(CutReason::ClockStep)
    } else if first.is_key && length_us >= limits.target_us {
        Some(CutReason::Length)
    } else if length_us >= limits.hard_us {
        Some(CutReason::HardLength)
    } else {
        None
    }
}

/// End of the last unit that was kept of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitEnd {
    /// Ingest epoch.
    pub epoch: u64,
    /// Sequence in it.
    pub seq: u64,
    /// Wall time of its end.
    pub wall: WallTime,
    /// Monotonic time of its end.
    pub mono: MonoTime,
    /// Whether that monotonic time belongs to the present boot of the host.
    pub same_boot: bool,
}

/// Footage that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// End of the footage before.
    pub from: WallTime,
    /// Start of the footage after.
    pub to: WallTime,
    /// Why.
    pub cause: Cause,
}

/// Shortest hole that is recorded (reliability R12), microseconds.
pub const HOLE_MIN_US: u64 = 200_000;

/// An unbroken run of units with a pause this long is a camera that stalled, not one with a variable frame rate.
const STALL_US: u64 = 2_000_000;

/// And the pause is at least so many frames.
const STALL_FRAMES: u64 = 8;

/// The hole between the last kept unit and `next`, if there is one. `frame_ticks` is the predicted length of a frame,
/// `hint` what is known of the cause from the camera session.
pub fn hole(last: Option<&UnitEnd>, next: &AccessUnit, frame_ticks: u32, hint: Option<Cause>) -> Option<Hole> {
    let last = last?;
    let silence_us = if last.same_boot {
        next.clocks.mono.micros.saturating_sub(last.mono.micros)
    } else {
        u64::try_from(next.clocks.wall.micros_since(last.wall)).unwrap_or(0)
    };
    let stall_us = STALL_US.max(u64::from(frame_ticks).saturating_mul(STALL_FRAMES).saturating_mul(100) / 9);
    let cause = if next.epoch != last.epoch {
        Some(hint.unwrap_or(if last.same_boot { Cause::Closed } else { Cause::RecorderRestart }))
    } else if next.seq != last.seq.saturating_add(1) {
        Some(hint.unwrap_or(Cause::RingOverflow))
    } else if next.lost_before > 0 {
        Some(Cause::PacketLoss)
    } else if silence_us > stall_us {
        Some(hint.unwrap_or(Cause::Silent))
    } else {
        None
    };
    let cause = cause.filter(|_| silence_us > HOLE_MIN_US)?;
    let to = next.clocks.wall;
    // A wall clock that stepped back must not make a negative hole.
    let from = if last.wall < to { last.wall } else { to.minus(std::time::Duration::from_micros(silence_us)) };
    Some(Hole { from, to, cause })
}

/// Year, month and day of the UTC date that `micros` lies in, and the hour (proleptic Gregorian; the algorithm counts days
/// in eras of 400 years from 0000-03-01).
pub(crate) fn civil(at: WallTime) -> (i64, i64, i64, i64) {
    let secs = at.micros.div_euclid(1_000_000);
    let (days, rest) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, rest / 3_600)
}

/// Extension of a segment file.
pub const SEGMENT_EXT: &str = "blf";

/// Where a segment goes, below the recorder's media folder: `STREAM/YYYY-MM-DD/HH/SEGMENT.blf`, UTC.
pub fn segment_path(stream: StreamId, segment: SegmentId, start: WallTime) -> PathBuf {
    let (year, month, day, hour) = civil(start);
    let mut path = PathBuf::from(stream.to_string());
    path.push(format!("{year:04}-{month:02}-{day:02}"));
    path.push(format!("{hour:02}"));
    path.push(format!("{segment}.{SEGMENT_EXT}"));
    path
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::Clocks;
    use vms_core::MediaTime;

    use super::*;

    fn unit(epoch: u64, seq: u64, at_ms: u64, is_key: bool) -> AccessUnit {
        AccessUnit {
            seq,
            epoch,
            payload: Bytes::new(),
            is_key,
            pts: MediaTime::default(),
            dts: MediaTime::default(),
            clocks: Clocks {
                mono: MonoTime { micros: at_ms * 1000 },
                wall: WallTime::from_micros(i64::try_from(at_ms).unwrap() * 1000),
                ..Clocks::default()
            },
            lost_before: 0,
            param_set: ParamSetId(1),
        }
    }

    #[test]
    fn segments_are_cut_where_the_blueprint_says() {
        let open = OpenSpan {
            epoch: 1,
            param_set: ParamSetId(1),
            mono: MonoTime::default(),
            wall: WallTime::default(),
            class: "RC-A",
        };
        let stepped = |ms: i64| {
            let mut unit = unit(1, 5, 10_000, true);
            unit.clocks.wall = WallTime::from_micros(ms * 1000);
            unit
        };
        let other_set = AccessUnit { param_set: ParamSetId(2), ..unit(1, 5, 10, false) };
        for (first, class, wanted) in [
            (unit(1, 5, 59_000, true), "RC-A", None),
            (unit(1, 5, 60_000, false), "RC-A", None),
            (unit(1, 5, 60_000, true), "RC-A", Some(CutReason::Length)),
            (unit(1, 5, 119_000, false), "RC-A", None),
            (unit(1, 5, 120_000, false), "RC-A", Some(CutReason::HardLength)),
            (unit(2, 0, 10, true), "RC-A", Some(CutReason::Epoch)),
            (other_set, "RC-A", Some(CutReason::Parameters)),
            (unit(1, 5, 10, true), "RC-B", Some(CutReason::Class)),
            (stepped(3_610_000), "RC-A", Some(CutReason::ClockStep)),
            (stepped(-3_590_000), "RC-A", Some(CutReason::ClockStep)),
            (stepped(10_900), "RC-A", None),
        ] {
            assert_eq!(cut(Some(open), &first, class, SegmentLimits::DEFAULT), wanted, "{first:?}");
        }
        assert_eq!(cut(None, &unit(1, 0, 0, false), "RC-A", SegmentLimits::DEFAULT), Some(CutReason::First));
    }

    #[test]
    fn holes_over_200_ms_get_a_cause() {
        let last = UnitEnd {
            epoch: 1,
            seq: 9,
            wall: WallTime::from_micros(1_000_000),
            mono: MonoTime { micros: 1_000_000 },
            same_boot: true,
        };
        let lossy = AccessUnit { lost_before: 3, ..unit(1, 10, 1_300, false) };
        for (next, hint, wanted) in [
            (unit(1, 10, 1_300, false), None, None),
            (unit(1, 10, 3_500, false), None, Some((1_000, 3_500, Cause::Silent))),
            (lossy, None, Some((1_000, 1_300, Cause::PacketLoss))),
            (unit(1, 14, 1_250, false), None, Some((1_000, 1_250, Cause::RingOverflow))),
            (unit(2, 0, 1_150, true), None, None),
            (unit(2, 0, 1_250, true), None, Some((1_000, 1_250, Cause::Closed))),
            (unit(2, 0, 9_000, true), Some(Cause::LoginRefused), Some((1_000, 9_000, Cause::LoginRefused))),
        ] {
            let wanted = wanted.map(|(from, to, cause)| Hole {
                from: WallTime::from_micros(from * 1000),
                to: WallTime::from_micros(to * 1000),
                cause,
            });
            assert_eq!(hole(Some(&last), &next, 3_600, hint), wanted, "{next:?}");
        }
        assert_eq!(hole(None, &unit(1, 0, 5_000, true), 3_600, None), None);
        let mut back = unit(2, 0, 9_000, true);
        back.clocks.wall = WallTime::from_micros(500_000);
        let found = hole(Some(&last), &back, 3_600, None).unwrap();
        assert!(found.from < found.to);
    }

    #[test]
    fn paths_are_dated_in_utc() {
        let (stream, segment) = (StreamId::from_bytes([1; 16]), SegmentId::from_bytes([2; 16]));
        for (secs, wanted) in [
            (0, "1970-01-01/00"),
            (1_709_210_096, "2024-02-29/12"),
            (1_795_305_599, "2026-11-21/23"),
            (4_102_444_799, "2099-12-31/23"),
        ] {
            let path = segment_path(stream, segment, WallTime::from_secs(secs));
            assert_eq!(path.to_str().unwrap(), format!("{stream}/{wanted}/{segment}.blf"));
        }
    }
}
