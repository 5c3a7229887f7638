//! A day of traffic without pictures: which vehicle passes which camera when, and so how long each stretch really took.
//!
//! Cameras stand in corridors of [`CORRIDOR`], one after the other; a trip follows a part of one. The shares of the hours and the speeds are
//! made up to look like a working day in a city (own knowledge, for tests and benches only). Equal plans give equal days.

use std::time::Duration;

use crate::dice::Dice;
use crate::mix;

/// Cameras of one corridor.
pub const CORRIDOR: u16 = 8;
/// Milliseconds of a day.
pub const DAY_MS: u32 = 86_400_000;
/// Most cameras that one trip passes.
const PASSES_MAX: u16 = 4;
/// Of 1,000 trips, how many begin in each hour; and how fast they go then, metres per second.
const HOURS: [(u16, f32); 24] = [
    (9, 12.0),
    (6, 12.5),
    (4, 12.5),
    (4, 12.5),
    (7, 12.0),
    (19, 11.5),
    (42, 10.0),
    (69, 7.0),
    (73, 6.0),
    (58, 7.5),
    (50, 9.0),
    (50, 9.0),
    (51, 8.5),
    (52, 8.5),
    (53, 8.5),
    (60, 7.5),
    (70, 6.5),
    (77, 5.5),
    (69, 6.5),
    (54, 8.5),
    (41, 10.0),
    (33, 11.0),
    (29, 11.5),
    (20, 12.0),
];

/// What a day is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayPlan {
    /// Another seed, another day.
    pub seed: u64,
    /// Vehicles that drive at all; each makes one trip or more.
    pub vehicles: u32,
    /// Cameras; the last corridor may be shorter.
    pub cameras: u16,
    /// Passages of the day, about (half a percent).
    pub passages: u32,
}

impl DayPlan {
    /// A working day of the Region: 1.65 million reads of 360,000 vehicles at 401 cameras.
    pub const REGION: Self = Self { seed: 1, vehicles: 360_000, cameras: 401, passages: 1_650_000 };
}

/// One vehicle before one camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Passage {
    /// Milliseconds since the day began.
    pub at_ms: u32,
    /// Number of the camera, from 0.
    pub camera: u16,
    /// Number of the vehicle, from 0.
    pub vehicle: u32,
    /// Number of the trip, from 0: passages of one trip are one run along a corridor.
    pub trip: u32,
}

/// Metres from a camera to the next one of its corridor.
pub fn metres(seed: u64, camera: u16) -> f32 {
    Dice::new(seed ^ mix(u64::from(camera) | 1 << 40)).between(400.0, 1_500.0)
}

/// All passages of a day, in the order of their time. A trip that would end after midnight stops there.
pub fn day(plan: &DayPlan) -> Vec<Passage> {
    let mut out = Vec::with_capacity(usize::try_from(plan.passages).unwrap_or(0));
    if plan.cameras == 0 || plan.vehicles == 0 {
        return out;
    }
    // A trip passes 1 to 4 cameras, fewer where its corridor ends: counted, not guessed, so that the sum comes out.
    let mean = passes_mean(plan);
    let trips = f64::from(plan.passages) / f64::from(plan.vehicles) / mean;
    let mut trip = 0_u32;
    for vehicle in 0..plan.vehicles {
        let mut dice = Dice::new(plan.seed ^ mix(u64::from(vehicle)));
        let mut left = trips.max(1.0);
        while left > 0.0 && (left >= 1.0 || f64::from(dice.unit()) < left) {
            left -= 1.0;
            drive(plan, vehicle, trip, &mut dice, &mut out);
            trip = trip.saturating_add(1);
        }
    }
    out.sort_unstable();
    out
}

/// Passages of a trip on the average over all places where one can begin.
fn passes_mean(plan: &DayPlan) -> f64 {
    let (mut sum, mut ways) = (0_u64, 0_u64);
    for first in 0..plan.cameras {
        for wanted in 1..=PASSES_MAX {
            sum += u64::from(wanted.min(room(plan, first)));
            ways += 1;
        }
    }
    let as_f64 = |count: u64| u32::try_from(count).map_or(f64::MAX, f64::from);
    as_f64(sum) / as_f64(ways.max(1))
}

/// Cameras from this one to the end of its corridor, itself counted.
fn room(plan: &DayPlan, camera: u16) -> u16 {
    let end = (camera / CORRIDOR).saturating_add(1).saturating_mul(CORRIDOR).min(plan.cameras);
    end.saturating_sub(camera)
}

fn drive(plan: &DayPlan, vehicle: u32, trip: u32, dice: &mut Dice, out: &mut Vec<Passage>) {
    let first = u16::try_from(dice.below(usize::from(plan.cameras))).unwrap_or(0);
    let wanted = u16::try_from(dice.below(usize::from(PASSES_MAX))).unwrap_or(0).saturating_add(1);
    let (mut at_s, metres_per_s) = start(dice);
    let pace = metres_per_s * dice.between(0.8, 1.25);
    for camera in first..first.saturating_add(wanted.min(room(plan, first))) {
        let Some(at_ms) = milliseconds(at_s) else { return };
        out.push(Passage { at_ms, camera, vehicle, trip });
        // Lights and buses: some seconds more on each stretch.
        at_s += metres(plan.seed, camera) / pace + dice.between(0.0, 20.0);
    }
}

/// When a trip begins, seconds of the day, and how fast one drives then.
fn start(dice: &mut Dice) -> (f32, f32) {
    let total: u16 = HOURS.iter().map(|(share, _)| share).sum();
    let mut point = u16::try_from(dice.below(usize::from(total))).unwrap_or(0);
    let mut begins = 0.0;
    for (share, pace) in HOURS {
        if point < share {
            return (begins + dice.between(0.0, 3_600.0), pace);
        }
        point -= share;
        begins += 3_600.0;
    }
    (0.0, 10.0)
}

/// Within the day, or none.
fn milliseconds(at_s: f32) -> Option<u32> {
    let at_ms = u32::try_from(Duration::try_from_secs_f32(at_s).ok()?.as_millis()).ok()?;
    (at_ms < DAY_MS).then_some(at_ms)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    const SMALL: DayPlan = DayPlan { seed: 7, vehicles: 4_000, cameras: 41, passages: 18_000 };

    #[test]
    fn a_day_has_as_many_passages_and_vehicles_as_planned() {
        let passages = day(&SMALL);
        let off = passages.len().abs_diff(18_000);
        assert!(off * 50 < 18_000, "{} passages", passages.len());
        let vehicles: HashSet<u32> = passages.iter().map(|one| one.vehicle).collect();
        assert!(vehicles.len() > 3_950, "{} vehicles: only who starts at midnight's end is never seen", vehicles.len());
        let cameras: HashSet<u16> = passages.iter().map(|one| one.camera).collect();
        assert_eq!(cameras.len(), 41);
        assert!(passages.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms && pair[1].at_ms < DAY_MS));
    }

    #[test]
    fn a_trip_follows_its_corridor_no_faster_than_anybody_drives() {
        let mut trips: HashMap<u32, Vec<Passage>> = HashMap::new();
        for one in day(&SMALL) {
            trips.entry(one.trip).or_default().push(one);
        }
        assert!(trips.values().any(|run| run.len() == 4));
        for run in trips.values() {
            for pair in run.windows(2) {
                assert_eq!(pair[1].camera, pair[0].camera + 1);
                assert_eq!(pair[0].camera / CORRIDOR, pair[1].camera / CORRIDOR);
                let seconds = f64::from(pair[1].at_ms - pair[0].at_ms) / 1_000.0;
                let fastest = f64::from(metres(SMALL.seed, pair[0].camera)) / seconds;
                assert!(fastest < 12.5 * 1.26 && seconds > 20.0, "{fastest} m/s");
            }
        }
    }

    #[test]
    fn mornings_and_evenings_are_busy_and_a_plan_gives_one_day() {
        let passages = day(&SMALL);
        let hour = |h: u32| passages.iter().filter(|one| one.at_ms / 3_600_000 == h).count();
        assert!(hour(8) > 8 * hour(3) && hour(17) > hour(12));
        assert_eq!(day(&SMALL), passages);
        assert_ne!(day(&DayPlan { seed: 8, ..SMALL }), passages);
        assert_eq!(day(&DayPlan { cameras: 0, ..SMALL }), []);
    }
}
