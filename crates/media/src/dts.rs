//! Timestamps: unwrapping RTP time, deriving decode times from presentation times, predicting the newest frame's length.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use vms_core::MediaTime;

/// Unwraps the 32-bit RTP timestamp (RFC 3550 section 5.1) to 64 bits: a step of less than half the range either way is
/// taken for what it looks like.
#[derive(Clone, Copy, Debug, Default)]
pub struct RtpUnwrapper {
    last: Option<i64>,
}

impl RtpUnwrapper {
    /// Knows no timestamp yet.
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// The 64-bit time of `rtp`; the first one keeps its value.
    pub fn unwrap_next(&mut self, rtp: u32) -> MediaTime {
        let next = match self.last {
            None => i64::from(rtp),
            Some(last) => {
                let span = 1_i64 << 32;
                let step = (i64::from(rtp) - last).rem_euclid(span);
                let step = if step >= span / 2 { step - span } else { step };
                last.saturating_add(step)
            }
        };
        self.last = Some(next);
        MediaTime::from_ticks(next)
    }
}

/// The presentation time fits no decode time: it lies before one that was already given out. Start a new epoch: the
/// camera's clock jumped, or it reorders deeper than its parameter sets say ([`DtsDeriver::deeper`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a presentation time lies {by_ticks} ticks before the last decode time")]
pub struct WentBack {
    /// How far, 1/90,000 s.
    pub by_ticks: i64,
}

/// Derives decode times from the presentation times of units in decode order.
///
/// The decode time of a unit is the presentation time that is `depth` places earlier in display order: the smallest one
/// waiting in a heap of `depth + 1`. The first `depth` units have nothing to take it from and are spread before the first.
/// Never decreases, never later than the presentation time. Adds no delay.
#[derive(Clone, Debug)]
pub struct DtsDeriver {
    depth: u8,
    waiting: BinaryHeap<Reverse<i64>>,
    /// Units seen, counted up to `depth`.
    started: i64,
    first_pts: i64,
    last_dts: Option<i64>,
}

/// Spacing of the decode times before the first picture: 1/50 s, shorter than any camera's frame, so that they never
/// catch up with the first presentation time.
const LEAD_TICKS: i64 = 1_800;

impl DtsDeriver {
    /// For a stream that reorders at most `depth` pictures ([`crate::ParameterSets`]' `reorder_depth`).
    pub fn new(depth: u8) -> Self {
        Self {
            depth,
            waiting: BinaryHeap::with_capacity(usize::from(depth) + 1),
            started: 0,
            first_pts: 0,
            last_dts: None,
        }
    }

    /// One for the next epoch of a stream that reorders deeper than it said, at most 16.
    #[must_use]
    pub fn deeper(&self) -> Self {
        Self::new((self.depth + 1).min(16))
    }

    /// The decode time of the next unit.
    ///
    /// # Errors
    /// [`WentBack`]; the state is then as before.
    pub fn push(&mut self, pts: MediaTime) -> Result<MediaTime, WentBack> {
        let pts = pts.ticks_90k;
        if let Some(last) = self.last_dts
            && pts < last
        {
            return Err(WentBack { by_ticks: last.saturating_sub(pts) });
        }
        let depth = i64::from(self.depth);
        if self.last_dts.is_none() {
            self.first_pts = pts;
        }
        self.waiting.push(Reverse(pts));
        let derived = if self.started < depth {
            let lead = (depth - self.started) * LEAD_TICKS;
            self.started += 1;
            self.first_pts.saturating_sub(lead)
        } else {
            self.waiting.pop().map_or(pts, |Reverse(earliest)| earliest)
        };
        let dts = derived.max(self.last_dts.unwrap_or(i64::MIN)).min(pts);
        self.last_dts = Some(dts);
        Ok(MediaTime::from_ticks(dts))
    }
}

/// Shortest and longest frame that is believed, ticks: 240 frames/s and one frame in 10 s.
const FRAME_TICKS: (i64, i64) = (375, 900_000);

/// Taken until two frames were seen: 25 frames/s.
const FRAME_TICKS_FIRST: i64 = 3_600;

/// Frames remembered for a prediction.
const REMEMBERED: usize = 8;

/// Predicts how long the newest frame lasts, from the last decode steps: their lower median.
#[derive(Clone, Debug, Default)]
pub struct FrameLength {
    last_dts: Option<i64>,
    steps: VecDeque<i64>,
}

impl FrameLength {
    /// Has seen nothing.
    pub const fn new() -> Self {
        Self { last_dts: None, steps: VecDeque::new() }
    }

    /// Takes in the next decode time. A step that is no frame length (a break) is not remembered.
    pub fn push(&mut self, dts: MediaTime) {
        if let Some(last) = self.last_dts {
            let step = dts.ticks_90k.saturating_sub(last);
            if (FRAME_TICKS.0..=FRAME_TICKS.1).contains(&step) {
                if self.steps.len() >= REMEMBERED {
                    self.steps.pop_front();
                }
                self.steps.push_back(step);
            }
        }
        self.last_dts = Some(dts.ticks_90k);
    }

    /// Forgets the last decode time, not the lengths: a new epoch begins.
    pub const fn restart(&mut self) {
        self.last_dts = None;
    }

    /// The prediction in ticks of 1/90,000 s, between 375 and 900,000.
    pub fn predict(&self) -> u32 {
        let mut sorted: Vec<i64> = self.steps.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(FRAME_TICKS_FIRST);
        u32::try_from(median).unwrap_or(3_600)
    }
}

/// Where one live frame stands on the shared timeline of a stream's viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivePlace {
    /// `baseMediaDecodeTime`, ticks.
    pub decode: u64,
    /// Predicted duration, ticks, at least 1.
    pub duration: u32,
    /// Composition offset, ticks.
    pub composition: i32,
}

/// The live timeline of one stream: starts near 0, goes on over epochs, frames never overlap.
///
/// A frame goes out before its true length is known. When the next one comes earlier than predicted, it is placed where
/// the one before ends, and the following ones fall back to their true place: presentation times stay exact.
#[derive(Clone, Debug, Default)]
pub struct LiveTimeline {
    length: FrameLength,
    /// Added to decode times of this epoch.
    shift: Option<i64>,
    end: i64,
}

/// Room before the first frame: reordered pictures may have decode times before it. 10 s.
const LIVE_START: i64 = 900_000;

impl LiveTimeline {
    /// Starts empty.
    pub const fn new() -> Self {
        Self { length: FrameLength::new(), shift: None, end: LIVE_START }
    }

    /// The camera session began anew, `silence_us` of host time after its last frame.
    pub fn restart(&mut self, silence_us: u64) {
        let ticks = i64::try_from(silence_us / 100).unwrap_or(i64::MAX).saturating_mul(9);
        self.end = self.end.saturating_add(ticks);
        self.shift = None;
        self.length.restart();
    }

    /// Places the next frame.
    pub fn place(&mut self, pts: MediaTime, dts: MediaTime) -> LivePlace {
        self.length.push(dts);
        let shift = *self.shift.get_or_insert_with(|| self.end.saturating_sub(dts.ticks_90k));
        let decode = dts.ticks_90k.saturating_add(shift).max(self.end);
        let duration = self.length.predict();
        self.end = decode.saturating_add(i64::from(duration));
        let composition = pts.ticks_90k.saturating_add(shift).saturating_sub(decode);
        LivePlace {
            decode: u64::try_from(decode).unwrap_or(0),
            duration,
            composition: i32::try_from(composition).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn derive(depth: u8, frames: &[i64]) -> Vec<i64> {
        let mut deriver = DtsDeriver::new(depth);
        frames.iter().map(|pts| deriver.push(MediaTime::from_ticks(*pts)).unwrap().ticks_90k).collect()
    }

    #[test]
    fn decode_times_follow_the_reorder_depth() {
        for (depth, pts, wanted) in [
            (0, vec![0, 3600, 7200], vec![0, 3600, 7200]),
            // I P B B P B B with one picture held back.
            (
                1,
                vec![0, 10_800, 3600, 7200, 21_600, 14_400, 18_000],
                vec![-1800, 0, 3600, 7200, 10_800, 14_400, 18_000],
            ),
            // A pyramid: I P B(ref) b b, two held back.
            (2, vec![0, 14_400, 7200, 3600, 10_800], vec![-3600, -1800, 0, 3600, 7200]),
        ] {
            assert_eq!(derive(depth, &pts), wanted);
        }
    }

    #[test]
    fn a_jump_back_is_told_and_changes_nothing() {
        let mut deriver = DtsDeriver::new(0);
        deriver.push(MediaTime::from_ticks(9_000)).unwrap();
        assert_eq!(deriver.push(MediaTime::from_ticks(5_400)), Err(WentBack { by_ticks: 3_600 }));
        assert_eq!(deriver.push(MediaTime::from_ticks(9_000)), Ok(MediaTime::from_ticks(9_000)));
        let mut deeper = deriver.deeper();
        assert_eq!(deeper.push(MediaTime::from_ticks(0)), Ok(MediaTime::from_ticks(-1_800)));
    }

    #[test]
    fn rtp_time_wraps_both_ways() {
        let mut wraps = RtpUnwrapper::new();
        let seen: Vec<i64> = [0xffff_fff0, 0x10, 0xffff_fff8, 0x100].map(|t| wraps.unwrap_next(t).ticks_90k).to_vec();
        assert_eq!(seen, [0xffff_fff0, 0x1_0000_0010, 0xffff_fff8, 0x1_0000_0100]);
    }

    #[test]
    fn live_frames_never_overlap_and_fall_back_to_their_place() {
        let mut line = LiveTimeline::new();
        let mut placed = Vec::new();
        for dts in [0, 3600, 7200, 9000, 12_600, 16_200] {
            placed.push(line.place(MediaTime::from_ticks(dts), MediaTime::from_ticks(dts)));
        }
        for pair in placed.windows(2) {
            assert!(pair[0].decode + u64::from(pair[0].duration) <= pair[1].decode);
        }
        let shown: Vec<i64> =
            placed.iter().map(|p| i64::try_from(p.decode).unwrap() + i64::from(p.composition) - LIVE_START).collect();
        assert_eq!(shown, [0, 3600, 7200, 9000, 12_600, 16_200]);
        line.restart(1_000_000);
        let after = line.place(MediaTime::from_ticks(5), MediaTime::from_ticks(5));
        assert!(after.decode >= placed[5].decode + 90_000);
    }

    proptest! {
        #[test]
        fn decode_times_never_decrease_nor_pass_presentation(
            depth in 0_u8..5,
            steps in prop::collection::vec(-20_000_i64..40_000, 1..200),
        ) {
            let mut deriver = DtsDeriver::new(depth);
            let (mut pts, mut last) = (0_i64, i64::MIN);
            for step in steps {
                pts += step;
                if let Ok(dts) = deriver.push(MediaTime::from_ticks(pts)) {
                    prop_assert!(dts.ticks_90k >= last && dts.ticks_90k <= pts);
                    last = dts.ticks_90k;
                }
            }
        }
    }
}
