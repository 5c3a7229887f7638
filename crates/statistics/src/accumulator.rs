//! Reads as they come, made into counts and travel times.
//!
//! Reads of several cameras come a little out of order, and a key is gone when its quarter of an hour is over. So a read waits until it
//! is ten seconds old; then it is taken in the order of time, under the keys of its instant. It waits in memory, with its plate, and
//! nowhere else. One that comes later than that is left out.
//!
//! Bound and overflow: at most [`WAITING_MAX`] reads wait. One more is not taken, and then no cell that is open at that moment is
//! published: a missing number says that it is missing, a wrong one would not.

use std::collections::BTreeMap;

use vms_core::{Country, Plate, WallTime};

use crate::counts::{Counter, LATENESS, Offer, Pass, Sealed, Taken};
use crate::pseudonym::Keyring;
use crate::site::{Site, SiteCode};
use crate::travel::{Crossing, Route, RouteError, TravelTime, TravelTimes};

/// Most reads that wait: over a minute of 200 reads a second.
pub const WAITING_MAX: usize = 16_384;
/// Travel times of the last half hour that are shown: one an interval of five minutes.
const TIMES_KEPT: i64 = 30;

/// One read. `Debug` hides the plate.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Where.
    pub site: SiteCode,
    /// On which lane.
    pub lane: u8,
    /// When.
    pub at: WallTime,
    /// Which plate.
    pub plate: Plate,
    /// Of which country.
    pub country: Country,
}

/// What one step published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Cells that were sealed, small ones too.
    pub cells: Vec<Sealed>,
    /// Travel times.
    pub times: Vec<TravelTime>,
}

/// Reads that were left out since the start, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// They came too late, or from a time to come.
    pub late: u64,
    /// Their cell was not counted from its start.
    pub broken: u64,
    /// Too many waited.
    pub overflow: u64,
}

/// Counts and travel times of one process.
#[derive(Debug)]
pub struct Accumulator {
    keys: Keyring,
    counter: Counter,
    times: TravelTimes,
    shown: Vec<TravelTime>,
    /// By time and order of arrival.
    waiting: BTreeMap<(WallTime, u64), Sighting>,
    arrived: u64,
    /// The time up to which reads were taken.
    taken_to: WallTime,
    left_out: LeftOut,
}

impl Accumulator {
    /// Starts at `now`: cells that began before are not counted, nor is a travel time told while longer drives may have begun before. Keys of an earlier process are gone, and so is all that they could
    /// have joined.
    ///
    /// # Errors
    /// [`RouteError`] for a route whose drives one key does not cover.
    pub fn new<'a>(
        sites: impl IntoIterator<Item = (&'a Site, Offer)>,
        routes: impl IntoIterator<Item = Route>,
        now: WallTime,
    ) -> Result<Self, RouteError> {
        let mut counter = Counter::new(sites);
        counter.break_at(now);
        let mut times = TravelTimes::new(routes)?;
        times.begin_at(now);
        Ok(Self {
            keys: Keyring::new(),
            counter,
            times,
            shown: Vec::new(),
            waiting: BTreeMap::new(),
            arrived: 0,
            taken_to: now.minus(LATENESS),
            left_out: LeftOut::default(),
        })
    }

    /// One read joins those that wait; whether it did.
    pub fn offer(&mut self, read: Sighting) -> bool {
        if read.at < self.taken_to {
            self.left_out.late += 1;
            return false;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.left_out.overflow += 1;
            self.lost(read.at);
            return false;
        }
        self.arrived += 1;
        self.waiting.insert((read.at, self.arrived), read);
        true
    }

    /// A read of about this instant was lost before it came here: no cell that is open then is published.
    pub fn lost(&mut self, at: WallTime) {
        // The next cells of any length are whole again.
        self.counter.break_at(WallTime::from_micros(at.micros.saturating_add(1)));
    }

    /// Takes what is ten seconds old, and seals. To be called about once a second; `fresh` makes a key.
    pub fn step(&mut self, now: WallTime, mut fresh: impl FnMut() -> [u8; 32]) -> Published {
        let until = now.minus(LATENESS);
        let later = self.waiting.split_off(&(WallTime::from_micros(until.micros.saturating_add(1)), 0));
        let ripe = std::mem::replace(&mut self.waiting, later);
        for (_, read) in ripe {
            self.keys.turn(read.at, &mut fresh);
            self.take(&read);
        }
        self.keys.turn(until, fresh);
        // After a step back of the clock reads of the time that comes again are taken under new keys; sealed cells stay as they are.
        self.taken_to = until;
        // What says to be of a time to come waits no longer than a clock may be wrong.
        let ahead = now.plus(LATENESS);
        let far = self.waiting.split_off(&(WallTime::from_micros(ahead.micros.saturating_add(1)), 0));
        self.left_out.late += u64::try_from(far.len()).unwrap_or(u64::MAX);
        let published = Published { cells: self.counter.seal(now), times: self.times.seal(now) };
        self.shown.extend(published.times.iter().cloned());
        let oldest = crate::time::plus_minutes(now, -TIMES_KEPT);
        self.shown.retain(|time| time.to > oldest);
        published
    }

    fn take(&mut self, read: &Sighting) {
        let Some(vehicle) = self.keys.pseudonyms(&read.plate, read.country, read.at) else {
            self.left_out.late += 1;
            return;
        };
        let (site, lane, at) = (&read.site, read.lane, read.at);
        match self.counter.take(&Pass { site, lane, at, token: vehicle.quarter, speed_kmh: None }) {
            Taken::Late => self.left_out.late += 1,
            Taken::Broken => self.left_out.broken += 1,
            Taken::Counted | Taken::Unknown => {}
        }
        self.times.take(&Crossing { site, at, vehicle });
    }

    /// The counts.
    pub const fn counter(&self) -> &Counter {
        &self.counter
    }

    /// Puts a published cell back that an earlier process sealed.
    pub fn restore(&mut self, site: &SiteCode, lane: Option<u8>, figure: crate::counts::Figure) {
        self.counter.restore(site, lane, figure);
    }

    /// Puts a travel time back that an earlier process published.
    pub fn restore_time(&mut self, time: TravelTime) {
        self.shown.push(time);
    }

    /// The newest travel time of each route within the last half hour.
    pub fn travel_times(&self) -> Vec<&TravelTime> {
        let mut newest: BTreeMap<&crate::travel::RouteCode, &TravelTime> = BTreeMap::new();
        for time in &self.shown {
            let known = newest.entry(&time.route).or_insert(time);
            if known.from < time.from {
                *known = time;
            }
        }
        newest.into_values().collect()
    }

    /// What became of drives.
    pub const fn drives(&self) -> crate::travel::Tally {
        self.times.tally()
    }

    /// Reads that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Reads that were left out.
    pub const fn left_out(&self) -> LeftOut {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::counts::Minutes;
    use crate::site::Detector;
    use crate::travel::RouteCode;

    /// A full hour.
    const START: i64 = 1_795_298_400;

    fn at(second: i64) -> WallTime {
        WallTime::from_secs(START + second)
    }

    fn site(code: &str) -> Site {
        Site {
            code: SiteCode::new(code),
            name_nl: code.to_owned(),
            name_fr: code.to_owned(),
            name_en: code.to_owned(),
            orientation_deg: 0,
            longitude_e6: 0,
            latitude_e6: 0,
            detectors: vec![Detector { name: "C1".to_owned(), lane: 1 }],
        }
    }

    fn read(site: &str, vehicle: u32, second: i64) -> Sighting {
        let plate = Plate::parse(&format!("1AA{vehicle:04}")).unwrap();
        Sighting { site: SiteCode::new(site), lane: 1, at: at(second), plate, country: Country::BELGIUM }
    }

    fn started(minutes: Minutes, second: i64) -> Accumulator {
        let sites = [site("A"), site("B")];
        let offer = Offer { minutes, by_lane: false };
        let (shortest, longest) = (Duration::from_secs(20), Duration::from_secs(300));
        let route =
            Route { code: RouteCode::new("AB"), from: SiteCode::new("A"), to: SiteCode::new("B"), shortest, longest };
        Accumulator::new(sites.iter().map(|site| (site, offer)), [route], at(second)).unwrap()
    }

    fn run(accumulator: &mut Accumulator, seconds: std::ops::Range<i64>, reads: &[Sighting]) -> Published {
        let (mut all, mut seed) = (Published::default(), 0_u8);
        for second in seconds {
            for read in reads.iter().filter(|read| read.at == at(second)) {
                accumulator.offer(read.clone());
            }
            let published = accumulator.step(at(second), || {
                seed += 1;
                [seed; 32]
            });
            all.cells.extend(published.cells);
            all.times.extend(published.times);
        }
        all
    }

    fn counts(published: &Published, code: &str) -> Vec<(i64, Option<u32>)> {
        let of_site = published.cells.iter().filter(|cell| cell.site.as_str() == code);
        of_site.map(|cell| (cell.from.micros / 1_000_000 - START, cell.figure.map(|figure| figure.count))).collect()
    }

    #[test]
    fn reads_become_counts_and_times() {
        // Six vehicles drive from A to B across the change of the quarter of an hour.
        let reads: Vec<Sighting> =
            (0..6).flat_map(|n| [read("A", n, 870 + i64::from(n)), read("B", n, 950 + i64::from(n))]).collect();
        let mut accumulator = started(Minutes::Five, 0);
        let published = run(&mut accumulator, 0..1_300, &reads);
        assert_eq!(counts(&published, "A"), [(0, None), (300, None), (600, Some(6)), (900, None)]);
        assert_eq!(counts(&published, "B"), [(0, None), (300, None), (600, None), (900, Some(6))]);
        let [time] = &published.times[..] else { panic!("{published:?}") };
        assert_eq!((time.mean, time.from), (Duration::from_secs(80), at(900)));
        assert_eq!(accumulator.travel_times(), [time]);
        assert_eq!((accumulator.waiting(), accumulator.left_out()), (0, LeftOut::default()));
    }

    #[test]
    fn a_cell_that_was_not_whole_is_not_published() {
        // Started 100 s into the first cell; lost a read in the third.
        let reads: Vec<Sighting> = (0..110).map(|n| read("A", n, 150 + 10 * i64::from(n))).collect();
        let mut accumulator = started(Minutes::Five, 100);
        let mut published = run(&mut accumulator, 100..750, &reads);
        accumulator.lost(at(750));
        let rest = run(&mut accumulator, 750..1_250, &reads);
        published.cells.extend(rest.cells);
        assert_eq!(counts(&published, "A"), [(300, Some(30)), (900, Some(30))]);
        assert!(accumulator.left_out().broken > 0);
    }

    #[test]
    fn a_restart_shows_what_was_published_and_counts_nothing_twice() {
        let reads: Vec<Sighting> = (0..100).map(|n| read("A", n, 10 * i64::from(n))).collect();
        let mut first = started(Minutes::Fifteen, 0);
        let published = run(&mut first, 0..1_000, &reads);
        assert_eq!(counts(&published, "A"), [(0, Some(90))]);
        let mut second = started(Minutes::Fifteen, 1_000);
        for cell in &published.cells {
            if let Some(figure) = cell.figure {
                second.restore(&cell.site, cell.lane, figure);
            }
        }
        // The same reads again, as a spool would deliver them after a crash: they are late, and change nothing.
        for read in &reads {
            assert!(!second.offer(read.clone()) || read.at >= at(990));
        }
        let again = run(&mut second, 1_000..1_900, &[]);
        assert_eq!(counts(&again, "A"), [], "the quarter of the restart is not whole");
        let shown = second.counter().figure_of(&SiteCode::new("A"), None, at(0), Minutes::Fifteen).unwrap();
        assert_eq!(shown.count, 90);
        // No number of the hour holds the broken quarter.
        run(&mut second, 1_900..3_700, &[]);
        assert_eq!(second.counter().figure_of(&SiteCode::new("A"), None, at(0), Minutes::Sixty), None);
    }

    #[test]
    fn what_overflows_is_told_and_spoils_its_cell() {
        let mut accumulator = started(Minutes::Five, 0);
        for n in 0..u32::try_from(WAITING_MAX).unwrap() + 3 {
            accumulator.offer(read("A", n % 1_000, 299));
        }
        assert_eq!((accumulator.waiting(), accumulator.left_out().overflow), (WAITING_MAX, 3));
        let published = run(&mut accumulator, 300..700, &[]);
        assert_eq!(counts(&published, "A"), [(300, None)]);
    }

    #[test]
    fn a_clock_that_jumps_costs_numbers_and_shows_none_twice() {
        let mut accumulator = started(Minutes::Five, 0);
        let reads: Vec<Sighting> = (0..60).map(|n| read("A", n, 10 * i64::from(n))).collect();
        let first = run(&mut accumulator, 0..620, &reads);
        assert_eq!(counts(&first, "A"), [(0, Some(30)), (300, Some(30))]);
        // Ten minutes back: the same cells come again, sealed.
        let again = run(&mut accumulator, 20..620, &reads);
        assert_eq!((again.cells.len(), again.times.len()), (0, 0));
        // A year ahead: no cell of what was skipped beyond two hours.
        accumulator.offer(read("A", 1, 31_536_000 * 2));
        let later = run(&mut accumulator, 31_536_000..31_536_001, &[]);
        assert!(later.cells.len() <= 2 * 25, "{}", later.cells.len());
        assert_eq!(accumulator.waiting(), 0);
    }
}
