//! Which plate of this picture is which plate of the one before: by overlap, by where it was going, and by its text.
//! Pure: times come in with the observations.

use vms_core::MonoTime;

use crate::detect::iou;
use crate::fuse::Look;
use crate::rectify;

/// A plate unseen for this long has left. Long enough for a pole or a lamp post, short enough not to join two cars.
pub const GONE_AFTER_US: u64 = 900_000;

/// Without a text that says so, two plates are one only when they follow within this time.
const BLINK_US: u64 = 350_000;

/// A vehicle that stays (a queue, a parked car) is read after this time, and its track goes on silent.
pub const TELL_AFTER_US: u64 = 6_000_000;

/// Looks that one track keeps; when full, the least worth gives way. Bounds memory for a car that stays.
pub const LOOKS_MAX: usize = 40;

/// Tracks of one camera at most; when full, a new plate waits until one has left (counted by the caller).
pub const TRACKS_MAX: usize = 32;

/// How far a plate may move between two looks, in widths of the plate a second: 14 m/s across the picture (50 km/h)
/// with a plate of 0.52 m is 27 widths.
const SPEED_MAX: f32 = 27.0;

/// A plate that moves faster than this, in its widths a second, has a direction.
const MOVES_MIN: f32 = 0.7;

/// Further back than this against its direction, in widths, no plate jumps: it is the next vehicle's.
const BACK_MAX: f32 = 0.8;

/// So near, in widths, to where a plate was going, it is that plate.
const ON_COURSE: f32 = 0.8;

/// Two looks within this time show the street at one moment.
const AT_ONCE_US: u64 = 60_000;

/// Plates further apart than this, in widths, at one moment are two.
const APART_MIN: f32 = 1.0;

/// A plate seen for this long that moved less than [`STILL_MAX`] of its width stands.
const STILL_US: u64 = 300_000;

/// See [`STILL_US`]: corners tremble by a few hundredths.
const STILL_MAX: f32 = 0.3;

/// A vehicle that stands in both tracks does not drive on and stop again within this time.
const RESTART_US: u64 = 1_500_000;

/// A standing plate does not change its width by more than this factor.
const WIDER_MAX: f32 = 1.25;

/// Where a plate was at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// When.
    pub mono: MonoTime,
    /// Middle of its box, pixels.
    pub at: (f32, f32),
    /// Width of its box, pixels.
    pub width: f32,
}

/// What the places of two tracks say about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Both were seen at one moment in two places, the later one began behind the earlier one, or both stand, and not in
    /// one place: two vehicles.
    Two,
    /// The later one may be the earlier one, seen again.
    MayGoOn,
}

/// Compares where `earlier` was with where `later` was.
pub fn course(earlier: &[Spot], later: &[Spot]) -> Course {
    let apart = |a: &Spot, b: &Spot| (a.at.0 - b.at.0).hypot(a.at.1 - b.at.1) > APART_MIN * a.width.max(b.width);
    let at_once = |a: &Spot, b: &Spot| a.mono.micros.abs_diff(b.mono.micros) < AT_ONCE_US;
    if earlier.iter().any(|a| later.iter().any(|b| at_once(a, b) && apart(a, b))) {
        return Course::Two;
    }
    let (Some(from), Some(next)) = (earlier.first(), later.first()) else { return Course::MayGoOn };
    // Where the earlier one was when the later one came.
    let Some(last) = earlier.iter().rev().find(|spot| spot.mono < next.mono) else { return Course::MayGoOn };
    let soon = next.mono.micros.saturating_sub(last.mono.micros) < RESTART_US;
    let resized = !(1.0 / WIDER_MAX..=WIDER_MAX).contains(&(next.width / last.width.max(1.0)));
    if soon && stands(earlier) && stands(later) && (apart(last, next) || resized) {
        return Course::Two;
    }
    let seconds = micros(last.mono.micros.saturating_sub(from.mono.micros)) / 1_000_000.0;
    let velocity = ((last.at.0 - from.at.0) / seconds.max(1e-3), (last.at.1 - from.at.1) / seconds.max(1e-3));
    if is_behind(velocity, last.at, last.width, next.at) { Course::Two } else { Course::MayGoOn }
}

/// Whether a plate was watched for long enough to say that it stands.
fn stands(spots: &[Spot]) -> bool {
    let (Some(first), Some(last)) = (spots.first(), spots.last()) else { return false };
    let moved = (first.at.0 - last.at.0).hypot(first.at.1 - last.at.1);
    last.mono.micros.saturating_sub(first.mono.micros) >= STILL_US && moved < STILL_MAX * first.width
}

/// Whether `to` lies behind `from` for a plate that moves with `velocity`, pixels a second.
fn is_behind(velocity: (f32, f32), from: (f32, f32), width: f32, to: (f32, f32)) -> bool {
    let speed = velocity.0.hypot(velocity.1);
    let ahead = ((to.0 - from.0) * velocity.0 + (to.1 - from.1) * velocity.1) / speed.max(1e-6);
    speed > MOVES_MIN * width && ahead < -BACK_MAX * width
}

/// One plate over time.
#[derive(Clone, Debug)]
pub struct Track {
    /// Rises; unique for the tracker.
    pub number: u64,
    /// The looks kept, in order of time.
    pub looks: Vec<Look>,
    /// First time seen.
    pub first: MonoTime,
    /// Last time seen.
    pub last: MonoTime,
    /// Already told.
    pub told: bool,
    bounds: [f32; 4],
    /// Pixels a microsecond.
    velocity: (f32, f32),
}

/// What the caller hands in for one plate of one picture.
#[derive(Clone, Debug)]
pub struct Observation {
    /// `x0, y0, x1, y1`, pixels.
    pub bounds: [f32; 4],
    /// The look.
    pub look: Look,
}

/// All tracks of one camera.
#[derive(Debug, Default)]
pub struct Tracker {
    tracks: Vec<Track>,
    next: u64,
    /// Plates that found no room.
    pub refused: u64,
}

fn centre(b: &[f32; 4]) -> (f32, f32) {
    (f32::midpoint(b[0], b[2]), f32::midpoint(b[1], b[3]))
}

fn micros(span: u64) -> f32 {
    u32::try_from(span).map_or(f32::MAX, |us| us as f32)
}

impl Tracker {
    /// Takes the plates of one picture; returns, for each, the number of its track (`None` when there was no room).
    pub fn update(&mut self, now: MonoTime, seen: Vec<Observation>) -> Vec<Option<u64>> {
        let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
        for (t, track) in self.tracks.iter().enumerate() {
            for (o, observation) in seen.iter().enumerate() {
                if let Some(cost) = cost(track, observation, now) {
                    pairs.push((cost, t, o));
                }
            }
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut track_of: Vec<Option<usize>> = vec![None; seen.len()];
        let mut taken = vec![false; self.tracks.len()];
        for (_, t, o) in pairs {
            let (Some(slot), Some(used)) = (track_of.get_mut(o), taken.get_mut(t)) else { continue };
            if slot.is_none() && !*used {
                *slot = Some(t);
                *used = true;
            }
        }
        seen.into_iter().zip(track_of).map(|(observation, t)| self.place(now, observation, t)).collect()
    }

    fn place(&mut self, now: MonoTime, observation: Observation, track: Option<usize>) -> Option<u64> {
        if let Some(track) = track.and_then(|t| self.tracks.get_mut(t)) {
            track.follow(now, observation);
            return Some(track.number);
        }
        if self.tracks.len() >= TRACKS_MAX {
            self.refused += 1;
            return None;
        }
        self.next += 1;
        self.tracks.push(Track {
            number: self.next,
            looks: vec![observation.look],
            first: now,
            last: now,
            told: false,
            bounds: observation.bounds,
            velocity: (0.0, 0.0),
        });
        Some(self.next)
    }

    /// Tracks to tell at `now`: those that have left, and those that stay long. The former are removed.
    pub fn due(&mut self, now: MonoTime) -> Vec<Track> {
        let mut due = Vec::new();
        let mut kept = Vec::with_capacity(self.tracks.len());
        for mut track in self.tracks.drain(..) {
            let gone = now.micros.saturating_sub(track.last.micros) > GONE_AFTER_US;
            let long = now.micros.saturating_sub(track.first.micros) > TELL_AFTER_US;
            if !track.told && (gone || long) {
                due.push(track.clone());
                track.told = true;
            }
            if !gone {
                if track.told {
                    track.keep_best();
                }
                kept.push(track);
            }
        }
        self.tracks = kept;
        due
    }

    /// Whether a plate that was looked at more than once, and is still followed, reads `text` but for `apart` places.
    pub fn follows(&self, text: &str, apart: usize) -> bool {
        let alike = |look: &Look| distance(look.reading.best(), text) <= apart;
        self.tracks.iter().any(|track| (track.told || track.looks.len() > 1) && track.looks.iter().any(alike))
    }

    /// Ends every track, as at the end of a film.
    pub fn finish(&mut self) -> Vec<Track> {
        self.tracks.drain(..).filter(|track| !track.told).collect()
    }

    /// Whether any plate is being followed.
    pub fn is_busy(&self) -> bool {
        !self.tracks.is_empty()
    }
}

impl Track {
    /// Where it was in each look kept.
    pub fn spots(&self) -> Vec<Spot> {
        let spot = |look: &Look| {
            let [a, b, c, d] = look.quad;
            let at = ((a.0 + b.0 + c.0 + d.0) / 4.0, (a.1 + b.1 + c.1 + d.1) / 4.0);
            Spot { mono: look.mono, at, width: rectify::size_of(&look.quad).0.max(1.0) }
        };
        self.looks.iter().map(spot).collect()
    }

    /// Whether a plate at `to` would have jumped back against the way it drives.
    fn jumps_back(&self, to: (f32, f32)) -> bool {
        let velocity = (self.velocity.0 * 1_000_000.0, self.velocity.1 * 1_000_000.0);
        let width = (self.bounds[2] - self.bounds[0]).max(1.0);
        self.looks.len() > 1 && is_behind(velocity, centre(&self.bounds), width, to)
    }

    /// Of a told track only its best look stays, to know it by.
    fn keep_best(&mut self) {
        if self.looks.len() > 1
            && let Some(best) = self.looks.drain(..).max_by(|a, b| a.rank().total_cmp(&b.rank()))
        {
            self.looks.push(best);
        }
    }

    fn follow(&mut self, now: MonoTime, observation: Observation) {
        let span = micros(now.micros.saturating_sub(self.last.micros)).max(1.0);
        let (from, to) = (centre(&self.bounds), centre(&observation.bounds));
        let fresh = ((to.0 - from.0) / span, (to.1 - from.1) / span);
        let old = self.velocity;
        let settled = self.looks.len() > 1;
        let mix = |a: f32, b: f32| if settled { 0.5 * a + 0.5 * b } else { b };
        self.velocity = (mix(old.0, fresh.0), mix(old.1, fresh.1));
        self.bounds = observation.bounds;
        self.last = now;
        if self.told {
            return;
        }
        self.looks.push(observation.look);
        if self.looks.len() > LOOKS_MAX {
            let least = self.looks.iter().enumerate().min_by(|(_, a), (_, b)| a.rank().total_cmp(&b.rank()));
            if let Some(least) = least.map(|(i, _)| i) {
                self.looks.remove(least);
            }
        }
    }
}

/// How ill an observation fits a track; `None` when it cannot be the same plate.
fn cost(track: &Track, seen: &Observation, now: MonoTime) -> Option<f32> {
    let gap = now.micros.saturating_sub(track.last.micros);
    if gap > GONE_AFTER_US {
        return None;
    }
    let span = micros(gap);
    let (dx, dy) = (track.velocity.0 * span, track.velocity.1 * span);
    let [x0, y0, x1, y1] = track.bounds;
    let expected = [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
    // Where it was going counts before where it was.
    let overlap = iou(&expected, &seen.bounds).max(0.8 * iou(&track.bounds, &seen.bounds));
    let (w0, w1) = ((x1 - x0).max(1.0), (seen.bounds[2] - seen.bounds[0]).max(1.0));
    if !(0.4..2.5).contains(&(w1 / w0)) {
        return None;
    }
    let (a, b) = (centre(&expected), centre(&seen.bounds));
    let distance = (a.0 - b.0).hypot(a.1 - b.1) / w0;
    let near = overlap > 0.2 && gap < BLINK_US;
    // Without overlap a plate may have jumped as far as a vehicle drives, if nothing says that it is another one.
    let reach = 0.8 + SPEED_MAX * span / 1_000_000.0;
    let back = track.jumps_back(centre(&seen.bounds));
    match agreement(track, &seen.look) {
        Agreement::Same if overlap > 0.2 => Some(1.0 - overlap),
        // Parted by mistake, one vehicle is still told once: its text is known. Joined by mistake, two are told as one.
        Agreement::Same => (distance < reach && !back).then_some(1.0 + distance),
        Agreement::Alike if overlap > 0.2 => Some(1.05 - overlap),
        Agreement::Alike => (distance < reach && !back).then_some(1.05 + distance),
        Agreement::Unsure if near => Some(1.1 - overlap),
        Agreement::Unsure => (gap < BLINK_US && distance < reach * 0.5 && !back).then_some(1.1 + distance),
        Agreement::Differs if near => Some(1.5 - overlap),
        // A fast plate leaves its own box between two looks; one misread with certainty is where it was going.
        Agreement::Differs if gap < BLINK_US && track.looks.len() > 1 && distance < ON_COURSE => Some(1.6 + distance),
        Agreement::Differs | Agreement::Other => None,
    }
}

/// What the texts say about two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// Equal.
    Same,
    /// Equal but for a character or two, one of them not certain: one plate misread, or two that look alike.
    Alike,
    /// One of them says too little.
    Unsure,
    /// Rather not the same.
    Differs,
    /// Two plates, both read with certainty.
    Other,
}

fn agreement(track: &Track, look: &Look) -> Agreement {
    let sure = |look: &&Look| look.reading.certainty() > 0.5 && look.reading.best().len() >= 4;
    let (Some(before), Some(now)) = (track.looks.iter().rev().find(sure), Some(look).filter(sure)) else {
        return Agreement::Unsure;
    };
    let certainty = before.reading.certainty().min(now.reading.certainty());
    match distance(before.reading.best(), now.reading.best()) {
        0 => Agreement::Same,
        1..=2 if certainty <= 0.95 => Agreement::Alike,
        1..=3 => Agreement::Differs,
        4.. if certainty > 0.8 => Agreement::Other,
        4.. => Agreement::Differs,
    }
}

/// Edit distance (Levenshtein).
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut fresh = Vec::with_capacity(row.len());
        fresh.push(i + 1);
        for ((cb, up_left), up) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = fresh.last().copied().unwrap_or(0);
            fresh.push((left + 1).min(up + 1).min(up_left + usize::from(ca != *cb)));
        }
        row = fresh;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctc::Reading;
    use vms_core::WallTime;

    fn at(ms: u64) -> MonoTime {
        MonoTime { micros: ms * 1000 }
    }

    fn seen(x: f32, text: &str) -> Observation {
        let bounds = [x, 100.0, x + 60.0, 115.0];
        let look = Look {
            mono: MonoTime::default(),
            at: WallTime::default(),
            score: 0.9,
            quad: crate::detect::quad_of(&bounds),
            reading: Reading { candidates: vec![(text.to_owned(), 0.9)] },
            cut_off: false,
        };
        Observation { bounds, look }
    }

    #[test]
    fn plates_are_followed() {
        // (time ms, x and text of each plate, tracks they should get)
        type Step = (u64, Vec<(f32, &'static str)>, Vec<u64>);
        let cases: [(&str, Vec<Step>); 10] = [
            ("slow", vec![(0, vec![(0.0, "1ABC234")], vec![1]), (100, vec![(20.0, "1ABC234")], vec![1])]),
            (
                "fast, 20 widths a second at 10 pictures a second",
                vec![
                    (0, vec![(0.0, "1ABC234")], vec![1]),
                    (100, vec![(120.0, "1ABC234")], vec![1]),
                    (200, vec![(240.0, "1A8C234")], vec![1]),
                ],
            ),
            (
                "two cross",
                vec![
                    (0, vec![(0.0, "1ABC234"), (300.0, "2XYZ987")], vec![1, 2]),
                    (100, vec![(100.0, "1ABC234"), (200.0, "2XYZ987")], vec![1, 2]),
                    (200, vec![(100.0, "2XYZ987"), (200.0, "1ABC234")], vec![2, 1]),
                ],
            ),
            (
                "another car in the same place after a gap",
                vec![(0, vec![(0.0, "1ABC234")], vec![1]), (500, vec![(5.0, "2XYZ987")], vec![2])],
            ),
            (
                "another car in the same place after an unread one",
                vec![(0, vec![(0.0, "")], vec![1]), (400, vec![(5.0, "2XYZ987")], vec![2])],
            ),
            (
                "a cut to another car in the same place",
                vec![(0, vec![(0.0, "1ABC234")], vec![1]), (40, vec![(5.0, "2XYZ987")], vec![2])],
            ),
            (
                "the next car has the same plate but for one letter and comes where the first one came from",
                vec![
                    (0, vec![(0.0, "1ABC234")], vec![1]),
                    (100, vec![(80.0, "1ABC234")], vec![1]),
                    (200, vec![(160.0, "1ABC234")], vec![1]),
                    (300, vec![(5.0, "1ABD234")], vec![2]),
                    (400, vec![(85.0, "1ABC234")], vec![2]),
                ],
            ),
            (
                "one letter misread while it drives on, and one look left out",
                vec![
                    (0, vec![(0.0, "1ABC234")], vec![1]),
                    (100, vec![(80.0, "1ABC234")], vec![1]),
                    (300, vec![(240.0, "1ABD234")], vec![1]),
                ],
            ),
            (
                "a fast one, misread with certainty where it was going",
                vec![
                    (0, vec![(0.0, "1ABC234")], vec![1]),
                    (100, vec![(100.0, "1ABC234")], vec![1]),
                    (200, vec![(245.0, "BXYC234")], vec![1]),
                ],
            ),
            ("back after long", vec![(0, vec![(0.0, "1ABC234")], vec![1]), (2000, vec![(0.0, "1ABC234")], vec![2])]),
        ];
        for (name, steps) in cases {
            let mut tracker = Tracker::default();
            for (ms, plates, wanted) in steps {
                let got = tracker.update(at(ms), plates.into_iter().map(|(x, text)| seen(x, text)).collect());
                assert_eq!(got, wanted.into_iter().map(Some).collect::<Vec<_>>(), "{name} at {ms}");
            }
        }
    }

    #[test]
    fn a_track_is_told_once_and_memory_is_bounded() {
        let mut tracker = Tracker::default();
        let mut told = 0;
        for ms in (0..20_000).step_by(100) {
            tracker.update(at(ms), vec![seen(0.0, "1ABC234")]);
            told += tracker.due(at(ms)).len();
            assert!(tracker.tracks[0].looks.len() <= LOOKS_MAX);
        }
        told += tracker.due(at(30_000)).len();
        assert_eq!(told, 1);
        assert!(!tracker.is_busy());
        let many = (0..40_u16).map(|i| seen(f32::from(i) * 200.0, "1ABC234")).collect();
        assert_eq!(tracker.update(at(40_000), many).iter().filter(|t| t.is_none()).count(), 8);
        assert_eq!((tracker.refused, tracker.finish().len()), (8, 32));
    }

    #[test]
    fn places_tell_two_vehicles_from_one() {
        let spots = |path: &[(u64, f32)]| -> Vec<Spot> {
            path.iter().map(|(ms, x)| Spot { mono: at(*ms), at: (*x, 100.0), width: 60.0 }).collect()
        };
        let gone = [(0, 0.0), (100, 80.0), (200, 160.0)];
        let near = [(0, 0.0), (900, 2.0)].map(|(ms, x)| Spot { mono: at(ms), at: (x, 100.0), width: 60.0 });
        let wide = near.map(|s| Spot { mono: MonoTime { micros: s.mono.micros + 1_000_000 }, width: 90.0, ..s });
        assert_eq!((course(&near, &wide), course(&[], &near)), (Course::Two, Course::MayGoOn));
        for (name, earlier, later, wanted) in [
            ("at one moment in two places", &gone[..], &[(100, 400.0), (200, 480.0)][..], Course::Two),
            ("twice in one place", &gone, &[(100, 90.0), (300, 250.0)], Course::MayGoOn),
            ("behind the first", &gone, &[(900, 10.0), (1000, 90.0)], Course::Two),
            ("behind the first, which is still seen now and then", &gone, &[(150, 10.0), (250, 90.0)], Course::Two),
            ("further on", &gone, &[(900, 500.0), (1000, 580.0)], Course::MayGoOn),
            ("a car that stands", &[(0, 0.0), (2000, 4.0)], &[(5000, -70.0)], Course::MayGoOn),
            (
                "cars that stand, one after the other",
                &[(0, 0.0), (2000, 4.0)],
                &[(2100, 90.0), (3000, 91.0)],
                Course::Two,
            ),
            ("the same, hidden for long", &[(0, 0.0), (2000, 4.0)], &[(5000, 90.0), (6000, 91.0)], Course::MayGoOn),
            ("stands on in one place", &[(0, 0.0), (2000, 4.0)], &[(2100, 9.0), (3000, 10.0)], Course::MayGoOn),
            ("one look has no direction", &[(0, 0.0)], &[(900, -70.0)], Course::MayGoOn),
            ("nothing", &[], &[(900, 1.0)], Course::MayGoOn),
        ] {
            assert_eq!(course(&spots(earlier), &spots(later)), wanted, "{name}");
        }
    }

    #[test]
    fn edit_distance() {
        for (a, b, wanted) in [("", "AB", 2), ("1ABC", "1ABC", 0), ("1ABC", "1A8C", 1), ("ABC1", "1ABC", 2)] {
            assert_eq!(distance(a, b), wanted);
        }
    }
}
