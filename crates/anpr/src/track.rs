//! Which plate of this picture is which plate of the one before: by overlap, by where it was going, and by its text.
//! Pure: times come in with the observations.

use std::collections::VecDeque;

use vms_core::MonoTime;

use crate::detect::iou;
use crate::fuse::{Look, WIDTH_ENOUGH};
use crate::pace::Need;
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

/// A look this certain counts towards a settled text.
const SETTLED_CERTAINTY: f64 = 0.9;

/// So many certain looks with one text settle it: with two and a half times the weight of one look they leave less doubt
/// than the published threshold allows, and further ones err alike.
const SETTLED_LOOKS: usize = 4;

/// A look at a plate that is larger now by more than this tells more than the ones before; only up to
/// [`crate::fuse::WIDTH_ENOUGH`].
const GROWN: f32 = 1.25;

/// Even a settled plate is read again after this time, so that no other vehicle takes its place unseen.
const READ_AGAIN_US: u64 = 800_000;

/// A plate overlaps the place where a settled one is expected by at least this to be taken for it unread.
const SAME_PLACE_MIN: f32 = 0.5;

/// A plate read so badly is too far or no plate: it is not worth hurrying for.
const LEGIBLE_MIN: f64 = 0.3;

/// A plate that is not settled after so many looks gets no more of the camera's time than others.
const HURRIED_LOOKS: usize = 12;

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
    /// Last time read.
    read: MonoTime,
    /// Where it was when it was seen and not read; at most [`LOOKS_MAX`], the oldest gives way.
    unread: VecDeque<Spot>,
    bounds: [f32; 4],
    /// Pixels a microsecond.
    velocity: (f32, f32),
}

/// What the caller hands in for one plate of one picture.
#[derive(Clone, Debug)]
pub struct Observation {
    /// `x0, y0, x1, y1`, pixels.
    pub bounds: [f32; 4],
    /// The look; absent when it was not read ([`Tracker::wants`]).
    pub look: Option<Look>,
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
        // What was not read belonged to a track that another plate took; it is read in the next picture.
        let look = observation.look?;
        if self.tracks.len() >= TRACKS_MAX {
            self.refused += 1;
            return None;
        }
        self.next += 1;
        self.tracks.push(Track {
            number: self.next,
            looks: vec![look],
            first: now,
            last: now,
            told: false,
            read: now,
            unread: VecDeque::new(),
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

    /// Whether a plate found at `bounds` is worth reading: not when it is where a track is expected whose text is settled.
    pub fn wants(&self, now: MonoTime, bounds: &[f32; 4]) -> bool {
        !self.tracks.iter().any(|track| track.is_known(now, bounds))
    }

    /// What the plates followed need.
    pub fn need(&self) -> Need {
        let hurry = self.tracks.iter().any(Track::is_urgent);
        Need { hurry, places: self.tracks.iter().map(|track| track.bounds).collect() }
    }

    /// Whether any plate is being followed.
    pub fn is_busy(&self) -> bool {
        !self.tracks.is_empty()
    }
}

impl Track {
    /// Where it should be at `now`.
    fn expected(&self, now: MonoTime) -> [f32; 4] {
        let span = micros(now.micros.saturating_sub(self.last.micros));
        let (dx, dy) = (self.velocity.0 * span, self.velocity.1 * span);
        let [x0, y0, x1, y1] = self.bounds;
        [x0 + dx, y0 + dy, x1 + dx, y1 + dy]
    }

    /// Whether enough certain looks say one text, and none another, at no less than about the size the plate has now.
    fn is_settled(&self, width: f32) -> bool {
        let least = width.min(WIDTH_ENOUGH) / GROWN;
        let certain = |look: &&Look| !look.cut_off && look.reading.certainty() >= SETTLED_CERTAINTY;
        let mut looks = self.looks.iter().filter(certain);
        let Some(text) = looks.clone().next_back().map(|look| look.reading.best()) else { return false };
        looks.all(|look| look.reading.best() == text)
            && self.looks.iter().filter(certain).filter(|look| rectify::size_of(&look.quad).0 >= least).count()
                >= SETTLED_LOOKS
    }

    /// Whether a plate at `bounds` is this one, and need not be read.
    fn is_known(&self, now: MonoTime, bounds: &[f32; 4]) -> bool {
        let gap = now.micros.saturating_sub(self.last.micros);
        let soon = gap < BLINK_US && now.micros.saturating_sub(self.read.micros) < READ_AGAIN_US;
        let width = bounds[2] - bounds[0];
        soon && iou(&self.expected(now), bounds) >= SAME_PLACE_MIN && (self.told || self.is_settled(width))
    }

    /// Whether its next look should come soon.
    fn is_urgent(&self) -> bool {
        let legible = self.looks.last().is_some_and(|look| look.reading.certainty() >= LEGIBLE_MIN);
        legible && !self.told && self.looks.len() < HURRIED_LOOKS && !self.is_settled(self.bounds[2] - self.bounds[0])
    }

    /// Where it was in each look kept and wherever it was seen unread, in order of time.
    pub fn spots(&self) -> Vec<Spot> {
        let spot = |look: &Look| {
            let [a, b, c, d] = look.quad;
            let at = ((a.0 + b.0 + c.0 + d.0) / 4.0, (a.1 + b.1 + c.1 + d.1) / 4.0);
            Spot { mono: look.mono, at, width: rectify::size_of(&look.quad).0.max(1.0) }
        };
        let mut spots: Vec<Spot> = self.looks.iter().map(spot).chain(self.unread.iter().copied()).collect();
        spots.sort_by_key(|spot| spot.mono);
        spots
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
        let Some(look) = observation.look else {
            let width = (observation.bounds[2] - observation.bounds[0]).max(1.0);
            if self.unread.len() >= LOOKS_MAX {
                self.unread.pop_front();
            }
            self.unread.push_back(Spot { mono: now, at: to, width });
            return;
        };
        self.read = now;
        if self.told {
            return;
        }
        self.looks.push(look);
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
    let expected = track.expected(now);
    let [x0, _, x1, _] = track.bounds;
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
    match agreement(track, seen.look.as_ref()) {
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

fn agreement(track: &Track, look: Option<&Look>) -> Agreement {
    let sure = |look: &&Look| look.reading.certainty() > 0.5 && look.reading.best().len() >= 4;
    let (Some(before), Some(now)) = (track.looks.iter().rev().find(sure), look.filter(sure)) else {
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
mod tests;
