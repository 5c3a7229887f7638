//! Counts and mean speeds in cells of at least five vehicles.
//!
//! Every site has an [`Offer`]: the finest stretch of time, and whether lanes are told apart, decided before the traffic comes.
//! The offer cuts the traffic into cells that share nothing. A cell below five vehicles is never published, neither are sums that hold
//! it; every published number is a sum of published cells. So no difference of published numbers can show a smaller cell.
//! A cell is sealed once, some seconds after its end: a read that comes later is left out, so that a number never changes. A cell
//! that was not counted from its start (the program started in it, or lost a read) is never published.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vms_core::WallTime;

use crate::VEHICLES_MIN;
use crate::pseudonym::Token;
use crate::site::{Site, SiteCode};
use crate::time::{floor, plus_minutes};

/// How long after its end a cell is sealed.
pub const LATENESS: Duration = Duration::from_secs(10);
/// How long sealed cells stay: the longest interval and one more.
const KEPT_MINUTES: i64 = 120;
/// Most sites. A site beyond them is not taken.
pub const SITES_MAX: usize = 2_000;

/// The finest cells that a site offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Length.
    pub minutes: Minutes,
    /// Lanes are told apart.
    pub by_lane: bool,
}

/// Lengths of a cell and of a published interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Minutes {
    /// One minute.
    One,
    /// Five.
    Five,
    /// Fifteen.
    Fifteen,
    /// Sixty.
    Sixty,
}

impl Minutes {
    /// All of them, from the shortest.
    pub const ALL: [Self; 4] = [Self::One, Self::Five, Self::Fifteen, Self::Sixty];

    /// From a number.
    pub fn of(count: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|minutes| minutes.count() == i64::from(count))
    }

    /// As a number.
    pub const fn count(self) -> i64 {
        match self {
            Self::One => 1,
            Self::Five => 5,
            Self::Fifteen => 15,
            Self::Sixty => 60,
        }
    }

    /// As the counts API writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::One => "1m",
            Self::Five => "5m",
            Self::Fifteen => "15m",
            Self::Sixty => "60m",
        }
    }
}

/// One vehicle passing.
#[derive(Clone, Debug)]
pub struct Pass<'a> {
    /// Where.
    pub site: &'a SiteCode,
    /// On which lane.
    pub lane: u8,
    /// When.
    pub at: WallTime,
    /// Its pseudonym under the key of the quarter of an hour.
    pub token: Token,
    /// Its speed, when the camera measures one, km/h.
    pub speed_kmh: Option<u16>,
}

/// What became of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is counted.
    Counted,
    /// Its cell is sealed.
    Late,
    /// Its cell is not counted from its start, so it is not counted at all.
    Broken,
    /// No such site or lane.
    Unknown,
}

/// A published number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Vehicles that passed.
    pub count: u32,
    /// Mean speed, whole km/h; `None` when fewer than five vehicles had one.
    pub speed_kmh: Option<u16>,
    /// Start of the interval.
    pub from: WallTime,
    /// Its end.
    pub to: WallTime,
}

/// What became of one cell of an [`Offer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Where.
    pub site: SiteCode,
    /// `None`: all lanes.
    pub lane: Option<u8>,
    /// Start.
    pub from: WallTime,
    /// End.
    pub to: WallTime,
    /// What is published; `None`: fewer than five vehicles, or none at all.
    pub figure: Option<Figure>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CellKey {
    from: WallTime,
    site: SiteCode,
    /// `None`: all lanes.
    lane: Option<u8>,
}

/// A cell of at most a quarter of an hour, so that one key covers it.
#[derive(Clone, Debug, Default)]
struct Cell {
    count: u32,
    speeds: u32,
    speed_sum: u32,
    /// The first few different vehicles; emptied at sealing.
    vehicles: BTreeSet<Token>,
    /// How many those were.
    distinct: usize,
}

/// Counts passes.
#[derive(Debug, Default)]
pub struct Counter {
    sites: BTreeMap<SiteCode, (Offer, Vec<u8>)>,
    cells: BTreeMap<CellKey, Cell>,
    /// Cells that end up to here are sealed.
    sealed_to: Option<WallTime>,
    /// Cells that start before are not counted.
    whole_from: Option<WallTime>,
}

impl Counter {
    /// For these sites; those beyond [`SITES_MAX`] are not taken.
    pub fn new<'a>(sites: impl IntoIterator<Item = (&'a Site, Offer)>) -> Self {
        let lanes = |site: &Site| site.detectors.iter().map(|detector| detector.lane).collect();
        let sites = sites.into_iter().take(SITES_MAX).map(|(site, offer)| (site.code.clone(), (offer, lanes(site))));
        Self { sites: sites.collect(), ..Self::default() }
    }

    /// Cells that start before this instant are not counted from their start: none of them is counted. Only ever later.
    pub fn break_at(&mut self, at: WallTime) {
        self.whole_from = self.whole_from.max(Some(at));
        let sites = &self.sites;
        // What is sealed already was whole.
        let sealed = self.sealed_to;
        self.cells.retain(|key, _| {
            let Some((offer, _)) = sites.get(&key.site) else { return false };
            let from = floor(key.from, offer.minutes.count());
            from >= at || sealed.is_some_and(|sealed| plus_minutes(from, offer.minutes.count()) <= sealed)
        });
    }

    /// Puts a published cell back that an earlier process sealed; cells that this one counts are left alone.
    pub fn restore(&mut self, site: &SiteCode, lane: Option<u8>, figure: Figure) {
        let Some((offer, _)) = self.sites.get(site) else { return };
        let is_cell = figure.from == floor(figure.from, offer.minutes.count())
            && figure.to == plus_minutes(figure.from, offer.minutes.count())
            && lane.is_some() == offer.by_lane
            && self.whole_from.is_none_or(|whole| figure.from < whole);
        if !is_cell {
            return;
        }
        let speeds = if figure.speed_kmh.is_some() { figure.count } else { 0 };
        let speed_sum = u32::from(figure.speed_kmh.unwrap_or(0)).saturating_mul(speeds);
        let (vehicles, distinct) = (BTreeSet::new(), VEHICLES_MIN);
        let key = CellKey { from: figure.from, site: site.clone(), lane };
        self.cells.insert(key, Cell { count: figure.count, speeds, speed_sum, vehicles, distinct });
    }

    /// Counts one pass.
    pub fn take(&mut self, pass: &Pass<'_>) -> Taken {
        let Some((offer, lanes)) = self.sites.get(pass.site) else { return Taken::Unknown };
        if !lanes.contains(&pass.lane) {
            return Taken::Unknown;
        }
        let from = floor(pass.at, part_minutes(*offer));
        if self.sealed_to.is_some_and(|sealed| plus_minutes(from, part_minutes(*offer)) <= sealed) {
            return Taken::Late;
        }
        let offered = floor(pass.at, offer.minutes.count());
        if self.whole_from.is_some_and(|whole| offered < whole) {
            return Taken::Broken;
        }
        let lane = offer.by_lane.then_some(pass.lane);
        let cell = self.cells.entry(CellKey { from, site: pass.site.clone(), lane }).or_default();
        cell.count = cell.count.saturating_add(1);
        if let Some(speed) = pass.speed_kmh {
            cell.speeds = cell.speeds.saturating_add(1);
            cell.speed_sum = cell.speed_sum.saturating_add(u32::from(speed));
        }
        if cell.vehicles.len() < VEHICLES_MIN {
            cell.vehicles.insert(pass.token);
        }
        Taken::Counted
    }

    /// Seals what ended some seconds ago: counts stay, pseudonyms go. Forgets what is too old to be published. Gives every cell that
    /// was sealed by this call and counted from its start, small ones too.
    pub fn seal(&mut self, now: WallTime) -> Vec<Sealed> {
        let until = floor(now.minus(LATENESS), 1);
        if self.sealed_to.is_some_and(|sealed| until <= sealed) {
            return Vec::new();
        }
        let before = self.sealed_to.or(self.whole_from);
        self.sealed_to = Some(until);
        let oldest = plus_minutes(until, -KEPT_MINUTES);
        let sites = &self.sites;
        self.cells.retain(|key, _| key.from >= oldest);
        for (key, cell) in &mut self.cells {
            let part = sites.get(&key.site).map_or(1, |(offer, _)| part_minutes(*offer));
            if plus_minutes(key.from, part) <= until && !cell.vehicles.is_empty() {
                cell.distinct = cell.vehicles.len();
                cell.vehicles.clear();
            }
        }
        // However far the clock went: what is too old to be published was forgotten.
        before.map_or_else(Vec::new, |before| self.sealed_between(before.max(oldest), until))
    }

    /// Every offered cell that ended after `before` and up to `until`.
    fn sealed_between(&self, before: WallTime, until: WallTime) -> Vec<Sealed> {
        let mut sealed = Vec::new();
        for (site, (offer, lanes)) in &self.sites {
            let minutes = offer.minutes;
            let wanted: Vec<Option<u8>> =
                if offer.by_lane { lanes.iter().copied().map(Some).collect() } else { vec![None] };
            let mut from = floor(before, minutes.count());
            loop {
                let to = plus_minutes(from, minutes.count());
                if to > until {
                    break;
                }
                if to > before && self.whole_from.is_none_or(|whole| from >= whole) {
                    for lane in &wanted {
                        let figure = self.figure_of(site, *lane, from, minutes);
                        sealed.push(Sealed { site: site.clone(), lane: *lane, from, to, figure });
                    }
                }
                from = to;
            }
        }
        sealed
    }

    /// Up to when cells are sealed: what is published changes only with it.
    pub const fn sealed_to(&self) -> Option<WallTime> {
        self.sealed_to
    }

    /// The newest whole interval of a lane, or of the site with `None`; no number where one of its cells is too small, where
    /// the site does not offer it, or before it is over.
    pub fn figure(&self, site: &SiteCode, lane: Option<u8>, interval: Minutes) -> Option<Figure> {
        let to = floor(self.sealed_to?, interval.count());
        self.figure_of(site, lane, plus_minutes(to, -interval.count()), interval)
    }

    /// As [`Counter::figure`], for the interval that starts at `from`.
    pub fn figure_of(&self, site: &SiteCode, lane: Option<u8>, from: WallTime, interval: Minutes) -> Option<Figure> {
        let (offer, lanes) = self.sites.get(site)?;
        let to = plus_minutes(from, interval.count());
        let whole = from == floor(from, interval.count()) && to <= self.sealed_to?;
        if !whole || interval < offer.minutes {
            return None;
        }
        let wanted: Vec<Option<u8>> = match (offer.by_lane, lane) {
            (true, Some(lane)) => vec![Some(lane)],
            (true, None) => lanes.iter().copied().map(Some).collect(),
            (false, None) => vec![None],
            (false, Some(_)) => return None,
        };
        let mut sum = Sum::default();
        let mut at = from;
        while at < to {
            for lane in &wanted {
                sum.add(self.offered(site, *offer, *lane, at)?);
            }
            at = plus_minutes(at, offer.minutes.count());
        }
        (sum.cells > 0).then(|| Figure { count: sum.count, speed_kmh: sum.mean(), from, to })
    }

    /// One offered cell, when it is large enough. A cell of an hour is four quarters: its vehicles are at least those of the
    /// quarter with the most.
    fn offered(&self, site: &SiteCode, offer: Offer, lane: Option<u8>, from: WallTime) -> Option<Sum> {
        let part = part_minutes(offer);
        let mut sum = Sum { cells: 1, ..Sum::default() };
        let mut distinct = 0;
        for number in 0..offer.minutes.count() / part {
            let key = CellKey { from: plus_minutes(from, number * part), site: site.clone(), lane };
            let Some(cell) = self.cells.get(&key) else { continue };
            distinct = distinct.max(cell.distinct);
            sum.count = sum.count.saturating_add(cell.count);
            sum.speeds = sum.speeds.saturating_add(cell.speeds);
            sum.speed_sum = sum.speed_sum.saturating_add(cell.speed_sum);
        }
        if usize::try_from(sum.speeds).is_ok_and(|speeds| speeds < VEHICLES_MIN) {
            sum.no_speed = true;
        }
        (distinct >= VEHICLES_MIN).then_some(sum)
    }
}

/// Length of the parts that are counted: at most a quarter of an hour.
fn part_minutes(offer: Offer) -> i64 {
    offer.minutes.count().min(15)
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    cells: u32,
    count: u32,
    speeds: u32,
    speed_sum: u32,
    /// A cell had too few speeds: none is published over it.
    no_speed: bool,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.cells = self.cells.saturating_add(other.cells);
        self.count = self.count.saturating_add(other.count);
        self.speeds = self.speeds.saturating_add(other.speeds);
        self.speed_sum = self.speed_sum.saturating_add(other.speed_sum);
        self.no_speed |= other.no_speed;
    }

    /// Rounded to whole km/h.
    fn mean(&self) -> Option<u16> {
        let rounded = self.speed_sum.saturating_add(self.speeds / 2).checked_div(self.speeds)?;
        u16::try_from(rounded).ok().filter(|_| !self.no_speed)
    }
}
