//! Which units are decoded, which decoded pictures are looked at, and which part of them: as much as the street needs.
//! Pure: the caller says what it has seen so far ([`Need`]).
//!
//! The rule. While a plate is followed whose text is not settled, pictures are looked at as often as the camera allows
//! (`rate_max`); else [`CALM_RATE`] times a second, which is enough to find the next one. Where nothing moves, every two
//! seconds. What is shown is where something moves and where plates are followed, and every two seconds the whole. Coded
//! pictures that no other picture refers to are not decoded when a neighbour in time is.

use media::AccessUnit;
use vms_core::{Codec, MonoTime};

use crate::frame::Frame;
use crate::motion::{Glance, MotionGate};

/// Looks a second when no plate needs more: a vehicle at 50 km/h is in reach for a second and more.
pub const CALM_RATE: u8 = 5;

/// Ticks of presentation time in a millisecond.
const TICKS_PER_MS: u64 = 90;

/// What the plates followed need next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Need {
    /// One of them is not read well enough yet.
    pub hurry: bool,
    /// Where they are expected, `x0, y0, x1, y1`, pixels.
    pub places: Vec<[f32; 4]>,
}

/// State of one camera.
#[derive(Debug)]
pub struct Pace {
    hurried_us: u64,
    calm_us: u64,
    hurry: bool,
    /// Where in the row of equal steps the last picture looked at stood.
    slot_us: Option<u64>,
    /// Presentation time of the unit decoded last, 90 kHz.
    fed: Option<i64>,
    gate: MotionGate,
}

impl Pace {
    /// For at most `rate_max` pictures a second.
    pub fn new(rate_max: u8) -> Self {
        let period = |rate: u8| 1_000_000 / u64::from(rate.max(1));
        Self {
            hurried_us: period(rate_max),
            calm_us: period(rate_max.min(CALM_RATE)),
            hurry: false,
            slot_us: None,
            fed: None,
            gate: MotionGate::default(),
        }
    }

    fn period_us(&self) -> u64 {
        if self.hurry { self.hurried_us } else { self.calm_us }
    }

    /// Whether this unit need not be decoded: no other refers to it, and one less than half a step away is decoded. Asked
    /// for every unit, in decoding order.
    pub fn spares(&mut self, unit: &AccessUnit, codec: Codec) -> bool {
        let near = self.period_us() * TICKS_PER_MS / 2000;
        let pts = unit.pts.ticks_90k;
        let spared =
            !unit.is_key && self.fed.is_some_and(|fed| fed.abs_diff(pts) < near) && is_disposable(codec, &unit.payload);
        if !spared {
            self.fed = Some(pts);
        }
        spared
    }

    /// What to look at in this picture, if anything. Asked for every decoded picture, in order of display.
    pub fn admit(&mut self, now: MonoTime, frame: &Frame, need: &Need) -> Option<Glance> {
        self.hurry = need.hurry;
        if self.is_due(now.micros) { self.gate.admit(now, frame, &need.places) } else { None }
    }

    fn is_due(&mut self, now: u64) -> bool {
        let period = self.period_us();
        let next = self.slot_us.map_or(now, |slot| slot.saturating_add(period));
        // A tenth early is in time: cameras jitter. Far too early means that the clock began anew.
        let early = next.saturating_sub(now);
        if early > period / 10 && early <= 2 * period {
            return false;
        }
        let in_step = early <= 2 * period && now.saturating_sub(next) < period;
        self.slot_us = Some(if in_step { next } else { now });
        true
    }
}

/// Whether no other picture refers to this one, by its own word: `nal_ref_idc` 0 in every slice (H.264 7.4.1). H.265 says
/// so only within one temporal layer, so there it counts as referred to.
fn is_disposable(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => {}
        Codec::H265 => return false,
    }
    let mut slices = 0_usize;
    let mut rest = payload;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Ok(length) = usize::try_from(u32::from_be_bytes(*length)) else { return false };
        let Some((nal, after)) = after.split_at_checked(length) else { return false };
        rest = after;
        let Some(head) = nal.first() else { continue };
        if matches!(head & 0x1f, 1..=5) {
            slices += 1;
            if head & 0x60 != 0 {
                return false;
            }
        }
    }
    slices > 0
}

/// Feeds foreign bytes to the look at a unit's slices (fuzz target and corpus test).
pub fn fuzz_disposable(data: &[u8]) {
    let _: bool = is_disposable(Codec::H264, data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::{Clocks, ParamSetId};
    use vms_core::MediaTime;

    #[test]
    fn no_more_pictures_a_second_than_asked_for() {
        // Every picture differs, so that the gate is always open.
        let picture = |n: u64| {
            let value = if n.is_multiple_of(2) { 20 } else { 220 };
            Frame::from_rgb(64, 64, vec![value; 64 * 64 * 3].into()).unwrap()
        };
        let count = |rate: u8, hurry: bool| {
            let mut pace = Pace::new(rate);
            let need = Need { hurry, ..Need::default() };
            let at = |n: u64| MonoTime { micros: 1_000_000 + n * 40_000 };
            (0..25).filter(|n| pace.admit(at(*n), &picture(*n), &need).is_some()).count()
        };
        for (rate, hurry, wanted) in
            [(25, true, 25), (10, true, 10), (5, true, 5), (60, true, 25), (0, true, 1), (12, false, 5), (3, false, 3)]
        {
            let admitted = count(rate, hurry);
            assert!(admitted.abs_diff(wanted) <= 1, "rate {rate}, hurry {hurry}: {admitted}");
        }
        // A plate that needs a look is not kept waiting, and a clock that began anew stops nothing.
        let mut pace = Pace::new(12);
        let (calm, hurried) = (Need::default(), Need { hurry: true, ..Need::default() });
        let mut ask = |ms: u64, need| pace.admit(MonoTime { micros: ms * 1000 }, &picture(ms / 40), need).is_some();
        let asked: Vec<bool> =
            [(5000, &calm), (5040, &calm), (5080, &calm), (5120, &hurried), (40, &calm), (80, &calm)]
                .map(|(ms, need)| ask(ms, need))
                .to_vec();
        assert_eq!(asked, [true, false, false, true, true, false]);
    }

    #[test]
    fn units_that_none_refers_to_are_spared_beside_a_decoded_one() {
        let unit = |ms: i64, payload: &'static [u8]| AccessUnit {
            seq: 0,
            epoch: 1,
            payload: payload.into(),
            is_key: false,
            pts: MediaTime::from_ticks(ms * 90),
            dts: MediaTime::from_ticks(ms * 90),
            clocks: Clocks::default(),
            lost_before: 0,
            param_set: ParamSetId(1),
        };
        let (referred, lone) = (&b"\0\0\0\x01\x09\0\0\0\x02\x41a"[..], &b"\0\0\0\x02\x06s\0\0\0\x02\x01a"[..]);
        let mut pace = Pace::new(12);
        let spared: Vec<bool> = [(0, referred), (160, referred), (80, lone), (40, lone), (120, lone), (120, referred)]
            .map(|(ms, payload)| pace.spares(&unit(ms, payload), Codec::H264))
            .to_vec();
        // 80 ms are not less than half of a sixth of a second, but 83 are needed; the next are near it.
        assert_eq!(spared, [false, false, true, false, true, false]);
        for (payload, wanted) in [
            (lone, true),
            (referred, false),
            (b"\0\0\0\x02\x01a\0\0\0\x02\x41a", false),
            (b"\0\0\0\x01\x09", false),
            (b"\0\0\0\x09\x01", false),
            (b"\0\0", false),
            (b"", false),
        ] {
            assert_eq!(is_disposable(Codec::H264, payload), wanted, "{payload:?}");
            fuzz_disposable(payload);
        }
        assert!(!is_disposable(Codec::H265, lone));
    }
}
