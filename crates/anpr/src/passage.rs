//! One camera's plates over time: tracks, the picture worth keeping of each, and which passages are told. No IO, no clock.

use std::collections::{BTreeMap, VecDeque};

use vms_core::{MonoTime, WallTime};

use crate::detect::Detection;
use crate::engine::{Engine, Seen};
use crate::frame::Frame;
use crate::fuse::{Fused, Look};
use crate::pace::Need;
use crate::rectify::Quad;
use crate::track::{Course, Observation, Spot, Track, Tracker, course, distance};

/// The same text seen again within this time of its last look is the same passage (a queue, a bus that hid the car).
const REPEAT_QUIET_US: u64 = 20_000_000;

/// Texts remembered for that; the oldest gives way.
const RECENT_MAX: usize = 256;

/// One look alone makes a read from this confidence on; else two are needed.
const ONE_LOOK_MIN: f64 = 0.85;

/// A single look whose text differs from a vehicle's in no more places than this is that vehicle's.
const ONE_LOOK_APART_MAX: usize = 2;

/// Two texts that are both at least this sure are two vehicles, however alike.
const CERTAIN: f64 = 0.95;

/// Below this a passage is counted as unreadable and not told.
const CONFIDENCE_MIN: f64 = 0.30;

/// Pictures of one track that may become its evidence are few: only the best is held.
#[derive(Debug, Clone)]
struct Evidence {
    rank: f64,
    frame: Frame,
    quad: Quad,
    score: f32,
    at: WallTime,
    second: Option<WallTime>,
}

/// A passage told lately.
#[derive(Debug)]
struct Recent {
    text: String,
    confidence: f64,
    /// Monotonic time of its last look.
    seen: u64,
    /// Where it was.
    spots: Vec<Spot>,
}

/// One passage to tell.
#[derive(Debug, Clone)]
pub struct Passage {
    /// What was read.
    pub fused: Fused,
    /// Picture of the best look.
    pub frame: Frame,
    /// Corners in it.
    pub quad: Quad,
    /// Probability in it that it is a plate.
    pub detection: f32,
    /// Its wall time.
    pub at: WallTime,
    /// The camera's own time of it, where that is known and agrees.
    pub second: Option<WallTime>,
}

/// State of one camera.
#[derive(Debug, Default)]
pub struct Watcher {
    tracker: Tracker,
    evidence: BTreeMap<u64, Evidence>,
    recent: VecDeque<Recent>,
    last: MonoTime,
    /// Passages whose plate could not be read well enough.
    pub unreadable: u64,
}

impl Watcher {
    /// Takes the plates of one picture.
    pub fn observe(&mut self, mono: MonoTime, at: WallTime, frame: &Frame, seen: &[Seen]) {
        self.observe_timed(mono, (at, None), frame, seen);
    }

    /// The same with the camera's own time beside the host's.
    pub fn observe_timed(
        &mut self,
        mono: MonoTime,
        (at, second): (WallTime, Option<WallTime>),
        frame: &Frame,
        seen: &[Seen],
    ) {
        self.last = self.last.max(mono);
        let observation = |s: &Seen| Observation { bounds: s.detection.bounds, look: s.look(mono, at) };
        let tracks = self.tracker.update(mono, seen.iter().map(observation).collect());
        for (track, seen) in tracks.into_iter().zip(seen) {
            let (Some(number), Some(look)) = (track, seen.look(mono, at)) else { continue };
            let rank = look.rank();
            if self.evidence.get(&number).is_none_or(|held| rank > held.rank) {
                let (frame, quad, score) = (frame.clone(), look.quad, look.score);
                self.evidence.insert(number, Evidence { rank, frame, quad, score, at, second });
            }
        }
    }

    /// Whether a plate found in the picture of `mono` is worth reading.
    pub fn wants(&self, mono: MonoTime, detection: &Detection) -> bool {
        self.tracker.wants(mono, &detection.bounds)
    }

    /// What the plates followed need.
    pub fn need(&self) -> Need {
        self.tracker.need()
    }

    /// Monotonic time of the newest picture seen.
    pub const fn last(&self) -> MonoTime {
        self.last
    }

    /// Whether a plate is being followed.
    pub fn is_busy(&self) -> bool {
        self.tracker.is_busy()
    }

    /// Passages to tell at `now`.
    pub fn due(&mut self, now: MonoTime, engine: &Engine) -> Vec<Passage> {
        let mut tracks = self.tracker.due(now);
        // A single look is judged beside the vehicles that end with it.
        tracks.sort_by_key(|track| std::cmp::Reverse(track.looks.len().min(2)));
        let told = tracks.iter().filter_map(|track| self.tell(track, |looks| engine.fuse(looks))).collect();
        if !self.tracker.is_busy() {
            self.evidence.clear();
        }
        told
    }

    /// Ends every track and tells what is left.
    pub fn finish(&mut self, engine: &Engine) -> Vec<Passage> {
        let mut tracks = self.tracker.finish();
        tracks.sort_by_key(|track| std::cmp::Reverse(track.looks.len().min(2)));
        tracks.iter().filter_map(|track| self.tell(track, |looks| engine.fuse(looks))).collect()
    }

    fn tell(&mut self, track: &Track, fuse: impl Fn(&[Look]) -> Option<Fused>) -> Option<Passage> {
        let evidence = self.evidence.remove(&track.number)?;
        let fused = fuse(&track.looks);
        let good = |f: &Fused| f.confidence >= CONFIDENCE_MIN && (f.looks > 1 || f.confidence >= ONE_LOOK_MIN);
        let Some(fused) = fused.filter(good) else {
            self.unreadable += 1;
            return None;
        };
        let text = fused.plate.reveal();
        if fused.looks < 2 && self.tracker.follows(text, ONE_LOOK_APART_MAX) {
            return None;
        }
        let (first, last) = (track.first.micros, track.last.micros);
        self.recent.retain(|known| first.saturating_sub(known.seen) <= REPEAT_QUIET_US);
        let spots = track.spots();
        if let Some(known) = self.recent.iter_mut().find(|known| known.is_same(text, &fused, &spots)) {
            known.seen = last;
            if spots.len() > 1 {
                known.spots = spots;
            }
            return None;
        }
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { text: text.to_owned(), confidence: fused.confidence, seen: last, spots });
        let Evidence { frame, quad, score, at, second, .. } = evidence;
        Some(Passage { fused, frame, quad, detection: score, at, second })
    }
}

impl Recent {
    /// Within seconds at one camera, texts that differ in one place are one vehicle read twice, unless both are certain or
    /// their places say that they are two. Boxes around parts of a plate lose characters, so a longer and a shorter text
    /// at two places are no proof; and a single look proves nothing beside a vehicle that is known: it may show its plate
    /// half hidden or with the country's letter in front.
    fn is_same(&self, text: &str, fused: &Fused, spots: &[Spot]) -> bool {
        let apart = distance(&self.text, text);
        if fused.looks < 2 {
            return apart <= ONE_LOOK_APART_MAX;
        }
        let certain = self.confidence.min(fused.confidence) >= CERTAIN;
        let alike = !certain && text.len() >= 6 && apart <= 1;
        let two = self.text.len() == text.len() && course(&self.spots, spots) == Course::Two;
        apart == 0 || (alike && !two)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctc::Reading;
    use crate::detect::quad_of;
    use crate::fuse::Calibration;
    use crate::grammar::Grammar;

    fn seen(x: f32, text: &str, p: f64) -> Seen {
        let bounds = [x, 100.0, x + 90.0, 120.0];
        let reading = Some(Reading { candidates: vec![(text.to_owned(), p)] });
        Seen { detection: Detection { score: 0.95, bounds, quad: quad_of(&bounds) }, reading, cut_off: false }
    }

    fn play(script: &[(u64, &[Seen])]) -> (Vec<String>, u64) {
        let frame = Frame::from_rgb(2, 2, vec![0; 12].into()).unwrap();
        let grammar = Grammar::built_in();
        let calibration = Calibration::new(vec![[0.0, 0.0], [1.0, 1.0]]);
        let mut watcher = Watcher::default();
        let mut told = Vec::new();
        let mut end = 0;
        for (ms, seen) in script {
            let mono = MonoTime { micros: ms * 1000 };
            watcher.observe(mono, WallTime::from_micros(i64::try_from(*ms).unwrap()), &frame, seen);
            end = mono.micros;
            let tracks = watcher.tracker.due(mono);
            told.extend(
                tracks.iter().filter_map(|t| watcher.tell(t, |l| crate::fuse::fuse(l, &grammar, &calibration))),
            );
        }
        let tracks = watcher.tracker.due(MonoTime { micros: end + 2_000_000 });
        told.extend(tracks.iter().filter_map(|t| watcher.tell(t, |l| crate::fuse::fuse(l, &grammar, &calibration))));
        (told.into_iter().map(|p| p.fused.plate.reveal().to_owned()).collect(), watcher.unreadable)
    }

    #[test]
    fn a_passage_is_told_once() {
        let (a, unsure) = (vec![seen(0.0, "1ABC234", 0.9)], vec![seen(0.0, "1ABC234", 0.6)]);
        let b = vec![seen(0.0, "2XYZ987", 0.95)];
        let near = vec![seen(0.0, "1A8C234", 0.7)];
        let none: Vec<Seen> = Vec::new();
        type Case<'a> = (&'a str, Vec<(u64, &'a [Seen])>, &'a [&'a str], u64);
        let (near_there, further) = (vec![seen(200.0, "1ABC234", 0.9)], vec![seen(400.0, "1ABC234", 0.9)]);
        let (sure_a, sure_on) = (vec![seen(0.0, "1ABC234", 0.99)], vec![seen(200.0, "1ABC234", 0.99)]);
        let sure_there = vec![seen(210.0, "1ABC234", 0.99)];
        let twin = vec![seen(0.0, "1ABD234", 0.9)];
        let twin_there = vec![seen(200.0, "1ABD234", 0.9)];
        let both = vec![seen(0.0, "1ABD234", 0.9), seen(400.0, "1ABC234", 0.9)];
        let both_on = vec![seen(200.0, "1ABD234", 0.9), seen(600.0, "1ABC234", 0.9)];
        let with_band = vec![seen(600.0, "BABC234", 0.99)];
        let both_looks = vec![seen(200.0, "1ABC234", 0.99), seen(900.0, "BABC234", 0.99)];
        let cases: [Case<'_>; 9] = [
            ("two looks", vec![(0, &a), (100, &a)], &["1ABC234"], 0),
            ("one unsure look", vec![(0, &unsure)], &[], 1),
            ("hidden for three seconds", vec![(0, &a), (100, &a), (3000, &a), (3100, &a)], &["1ABC234"], 0),
            (
                "read twice, once wrongly",
                vec![(0, &a), (100, &a), (2000, &none), (3000, &near), (3100, &near)],
                &["1ABC234"],
                0,
            ),
            (
                "a car one letter off follows where the first one came from",
                vec![(0, &a), (100, &near_there), (200, &further), (1200, &none), (1300, &twin), (1400, &twin_there)],
                &["1ABC234", "1ABD234"],
                0,
            ),
            (
                "one look at a known plate with the country's letter for its digit, however sure",
                vec![(0, &sure_a), (100, &sure_on), (1300, &with_band)],
                &["1ABC234"],
                0,
            ),
            (
                "the same before the vehicle itself has left",
                vec![(0, &sure_a), (100, &both_looks), (200, &sure_there), (900, &sure_there), (1100, &sure_there)],
                &["1ABC234"],
                0,
            ),
            (
                "and is in the picture together with it",
                vec![(0, &a), (100, &near_there), (200, &both), (300, &both_on)],
                &["1ABC234", "1ABD234"],
                0,
            ),
            (
                "two cars, and the first again half a minute later",
                vec![(0, &a), (100, &a), (2000, &b), (2100, &b), (4000, &none), (40_000, &a), (40_100, &a)],
                &["1ABC234", "2XYZ987", "1ABC234"],
                0,
            ),
        ];
        for (name, script, wanted, unreadable) in cases {
            assert_eq!(play(&script), (wanted.iter().map(|t| (*t).to_owned()).collect(), unreadable), "{name}");
        }
    }
}
