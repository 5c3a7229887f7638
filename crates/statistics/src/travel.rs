//! Travel times between two sites, from at least five vehicles.
//!
//! A vehicle is known again by its pseudonym, so no drive over [`Route::MAX`] can be measured: it might start under one key and end
//! under another. Sizes of samples are told in bands only: beside the counts of both sites an exact one could show how many
//! vehicles did not drive on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use vms_core::WallTime;

use crate::VEHICLES_MIN;
use crate::pseudonym::{Pseudonyms, Token};
use crate::site::SiteCode;
use crate::time::{floor, plus_minutes};

/// Length of a published interval, minutes.
const INTERVAL: i64 = 5;
/// How long after its end an interval is sealed.
const LATENESS: Duration = Duration::from_secs(10);
/// Published times are rounded to so many seconds.
const ROUNDED_S: u64 = 5;
/// Most vehicles on their way on one route, by each of two pseudonyms. Beyond it a new one is not followed.
pub const UNDER_WAY_MAX: usize = 20_000;

/// Names one route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteCode(String);

impl RouteCode {
    /// Wraps a code.
    pub fn new(code: impl Into<String>) -> Self {
        Self(code.into())
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A stretch between two sites.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its code.
    pub code: RouteCode,
    /// Where it starts.
    pub from: SiteCode,
    /// Where it ends.
    pub to: SiteCode,
    /// The shortest time that counts as a drive.
    pub shortest: Duration,
    /// The longest; at most [`Route::MAX`].
    pub longest: Duration,
}

/// Why a route cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a drive on route `{}` takes at most 7.5 minutes, and its shortest time is below its longest", .0.as_str())]
pub struct RouteError(pub RouteCode);

impl Route {
    /// Longest drive that lies within the life of one key wherever it starts.
    pub const MAX: Duration = Duration::from_secs(450);
}

/// One read for the travel times.
#[derive(Clone, Debug)]
pub struct Crossing<'a> {
    /// Where.
    pub site: &'a SiteCode,
    /// When.
    pub at: WallTime,
    /// Who, for a while.
    pub vehicle: Pseudonyms,
}

/// How many vehicles a travel time rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// 5 to 9.
    Few,
    /// 10 to 29.
    Some,
    /// 30 and more.
    Many,
}

impl Sample {
    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Few => "5-9",
            Self::Some => "10-29",
            Self::Many => "30+",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Few, Self::Some, Self::Many].into_iter().find(|sample| sample.as_str() == word)
    }
}

/// A published travel time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TravelTime {
    /// Which route.
    pub route: RouteCode,
    /// Start of the interval in which the drives ended.
    pub from: WallTime,
    /// Its end.
    pub to: WallTime,
    /// Mean of the drives, rounded to 5 s.
    pub mean: Duration,
    /// How many they were.
    pub sample: Sample,
}

#[derive(Debug)]
struct Followed {
    route: Route,
    /// Under both pseudonyms: when the vehicle was last read at the start.
    under_way: HashMap<Token, WallTime>,
    cells: BTreeMap<WallTime, Cell>,
}

#[derive(Debug, Default)]
struct Cell {
    drives: u64,
    total_us: u64,
    /// The vehicles of these drives; gone when the interval is sealed.
    vehicles: BTreeSet<Token>,
}

/// What became of drives since the start, over all routes. For the operator; never published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Drives that were found.
    pub drives: u64,
    /// Intervals with drives that were published.
    pub published: u64,
    /// Intervals with drives of fewer than five vehicles.
    pub small: u64,
}

/// Finds drives and adds them up.
#[derive(Debug)]
pub struct TravelTimes {
    followed: Vec<Followed>,
    sealed_to: Option<WallTime>,
    begun: Option<WallTime>,
    tally: Tally,
}

impl TravelTimes {
    /// For these routes.
    ///
    /// # Errors
    /// [`RouteError`] for a route whose drives one key does not cover.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Result<Self, RouteError> {
        let mut followed = Vec::new();
        for route in routes {
            if route.longest > Route::MAX || route.shortest >= route.longest {
                return Err(RouteError(route.code));
            }
            followed.push(Followed { route, under_way: HashMap::new(), cells: BTreeMap::new() });
        }
        Ok(Self { followed, sealed_to: None, begun: None, tally: Tally::default() })
    }

    /// Nothing was read before this instant. Intervals in which a longer drive could end that started before are not published: they would hold the
    /// short ones only.
    pub fn begin_at(&mut self, at: WallTime) {
        self.begun = self.begun.max(Some(at));
    }

    /// What became of drives.
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Takes one read. Reads come nearly in time's order; one of a sealed interval changes nothing that is published.
    pub fn take(&mut self, crossing: &Crossing<'_>) {
        let sealed = self.sealed_to;
        for followed in &mut self.followed {
            if followed.route.to == *crossing.site && followed.arrive(crossing, sealed) {
                self.tally.drives += 1;
            }
            if followed.route.from == *crossing.site {
                followed.depart(crossing);
            }
        }
    }

    /// Gives the intervals that ended some seconds ago, each once, and forgets vehicles that are too long under way.
    pub fn seal(&mut self, now: WallTime) -> Vec<TravelTime> {
        let until = floor(now.minus(LATENESS), INTERVAL);
        let mut published = Vec::new();
        for followed in &mut self.followed {
            let longest = followed.route.longest;
            followed.under_way.retain(|_, start| start.plus(longest).plus(LATENESS) >= now);
            let open = followed.cells.split_off(&until);
            let ended = std::mem::replace(&mut followed.cells, open);
            let whole_from = self.begun.map(|begun| begun.plus(longest));
            for (from, cell) in ended.into_iter().filter(|(from, _)| whole_from.is_none_or(|whole| *from >= whole)) {
                match cell.publish(&followed.route, from) {
                    Some(time) => {
                        self.tally.published += 1;
                        published.push(time);
                    }
                    None => self.tally.small += 1,
                }
            }
        }
        self.sealed_to = self.sealed_to.max(Some(until));
        published
    }
}

impl Followed {
    fn depart(&mut self, crossing: &Crossing<'_>) {
        let Pseudonyms { quarter, between } = crossing.vehicle;
        for token in [quarter, between] {
            if self.under_way.len() < UNDER_WAY_MAX * 2 || self.under_way.contains_key(&token) {
                self.under_way.insert(token, crossing.at);
            }
        }
    }

    /// Whether a drive was found.
    fn arrive(&mut self, crossing: &Crossing<'_>, sealed: Option<WallTime>) -> bool {
        let Pseudonyms { quarter, between } = crossing.vehicle;
        // The same start under either pseudonym: the vehicle is followed once.
        let starts = [quarter, between].map(|token| self.under_way.remove(&token));
        let Some(start) = starts.into_iter().flatten().max() else { return false };
        let Ok(micros) = u64::try_from(crossing.at.micros_since(start)) else { return false };
        let took = Duration::from_micros(micros);
        let from = floor(crossing.at, INTERVAL);
        let open = sealed.is_none_or(|sealed| from >= sealed);
        if !open || took < self.route.shortest || took > self.route.longest {
            return false;
        }
        let cell = self.cells.entry(from).or_default();
        // A vehicle that drives the route twice in one interval counts once.
        if cell.vehicles.contains(&quarter) {
            return false;
        }
        cell.drives = cell.drives.saturating_add(1);
        cell.total_us = cell.total_us.saturating_add(micros);
        cell.vehicles.insert(quarter);
        true
    }
}

impl Cell {
    fn publish(self, route: &Route, from: WallTime) -> Option<TravelTime> {
        if self.vehicles.len() < VEHICLES_MIN {
            return None;
        }
        let sample = match self.drives {
            0..10 => Sample::Few,
            10..30 => Sample::Some,
            30.. => Sample::Many,
        };
        let step = ROUNDED_S * 1_000_000;
        let mean = self.total_us.checked_div(self.drives)?;
        let rounded = (mean + step / 2) / step * ROUNDED_S;
        let to = plus_minutes(from, INTERVAL);
        Some(TravelTime { route: route.code.clone(), from, to, mean: Duration::from_secs(rounded), sample })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pseudonym::Keyring;
    use vms_core::{Country, Plate};

    /// A quarter of an hour.
    const START: i64 = 1_795_300_200;

    fn route() -> Route {
        Route {
            code: RouteCode::new("R"),
            from: SiteCode::new("A"),
            to: SiteCode::new("B"),
            shortest: Duration::from_secs(30),
            longest: Duration::from_secs(450),
        }
    }

    /// Drives as (number of the vehicle, start, seconds), read in time's order under turning keys.
    fn drive(drives: &[(u32, i64, i64)]) -> Vec<TravelTime> {
        let mut reads: Vec<(i64, &str, u32)> = Vec::new();
        for (vehicle, start, took) in drives {
            reads.push((START + start, "A", *vehicle));
            reads.push((START + start + took, "B", *vehicle));
        }
        reads.sort_unstable();
        let (mut keys, mut times, mut seed) = (Keyring::new(), TravelTimes::new([route()]).unwrap(), 0_u8);
        let mut published = Vec::new();
        for (at, site, vehicle) in reads {
            let now = WallTime::from_secs(at);
            keys.turn(now, || {
                seed += 1;
                [seed; 32]
            });
            published.extend(times.seal(now));
            let plate = Plate::parse(&format!("1AAA{vehicle:03}")).unwrap();
            let vehicle = keys.pseudonyms(&plate, Country::BELGIUM, now).unwrap();
            times.take(&Crossing { site: &SiteCode::new(site), at: now, vehicle });
        }
        published.extend(times.seal(WallTime::from_secs(START + 3_600)));
        published
    }

    #[test]
    fn five_vehicles_make_a_time_and_four_do_not() {
        let drives: Vec<_> = (0..5).map(|n| (n, 10 + i64::from(n), 60 + i64::from(n))).collect();
        let found = drive(&drives);
        let [time] = &found[..] else { panic!("{found:?}") };
        assert_eq!((time.mean, time.sample), (Duration::from_secs(60), Sample::Few));
        assert_eq!((time.from, time.to), (WallTime::from_secs(START), WallTime::from_secs(START + 300)));
        assert_eq!(drive(&drives[..4]), []);
    }

    #[test]
    fn an_interval_that_could_hold_short_drives_only_is_not_published() {
        // Drives of a minute; longest is 450 s, so the intervals of the start, and those 450 s on, may miss longer ones.
        for (begun, wanted) in [(START - 450, vec![0, 300, 600]), (START - 449, vec![300, 600]), (START, vec![600])] {
            let mut times = TravelTimes::new([route()]).unwrap();
            times.begin_at(WallTime::from_secs(begun));
            let mut keys = Keyring::new();
            let mut published = Vec::new();
            for (at, site) in [10, 310, 610].into_iter().flat_map(|at| [(at, "A"), (at + 60, "B")]) {
                let now = WallTime::from_secs(START + at);
                keys.turn(now, || [7; 32]);
                published.extend(times.seal(now));
                for number in 0..5 {
                    let plate = Plate::parse(&format!("1AAA{number:03}")).unwrap();
                    let vehicle = keys.pseudonyms(&plate, Country::BELGIUM, now).unwrap();
                    times.take(&Crossing { site: &SiteCode::new(site), at: now, vehicle });
                }
            }
            published.extend(times.seal(WallTime::from_secs(START + 3_600)));
            let froms: Vec<i64> = published.iter().map(|time| time.from.micros / 1_000_000 - START).collect();
            assert_eq!(froms, wanted, "begun {} s after", begun - START);
        }
    }

    #[test]
    fn one_vehicle_five_times_is_one_vehicle() {
        assert_eq!(drive(&[(1, 0, 40), (1, 50, 40), (1, 100, 40), (1, 150, 40), (1, 200, 40)]), []);
    }

    #[test]
    fn drives_are_found_across_the_change_of_a_key() {
        // They start before the quarter of an hour and end after it, then across the keys between.
        for start in [600, 1_050] {
            let drives: Vec<_> = (0..12).map(|n| (n, start + i64::from(n), 310)).collect();
            let found = drive(&drives);
            assert_eq!(found.len(), 1, "{start}: {found:?}");
            assert_eq!((found[0].mean, found[0].sample), (Duration::from_secs(310), Sample::Some));
        }
    }

    #[test]
    fn what_is_no_drive_is_left_out() {
        for took in [29, 451, 899] {
            let drives: Vec<_> = (0..9).map(|n| (n, i64::from(n), took)).collect();
            assert_eq!(drive(&drives), [], "{took} s");
        }
        for (shortest, longest) in [(30, 451), (60, 60)] {
            let (shortest, longest) = (Duration::from_secs(shortest), Duration::from_secs(longest));
            let refused = TravelTimes::new([Route { shortest, longest, ..route() }]).unwrap_err();
            assert_eq!(refused, RouteError(RouteCode::new("R")));
        }
    }
}
