//! Zones and their closed windows (`seed/zbt/zones.toml`, `domain.md` B1).

use serde::Deserialize;
use vms_core::WallTime;

use super::{WindowId, ZoneCode};
use crate::calendar::{Clock, HolidayScope, Holidays, OnHoliday, Weekday, Window};
use crate::day::Day;
use crate::seed::{SeedError, TomlDay, Validity, read_toml};

const FILE: &str = "zones.toml";
/// Longest wait for an exit that a table may name, hours: the bound of the class of authorised reads is a day.
const PAIR_HOURS_MAX: u16 = 24;

/// What makes a passage count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pairing {
    /// The entry alone.
    EntryOnly,
    /// The entry together with the exit.
    EntryExit,
}

/// One zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its code.
    pub code: ZoneCode,
    /// The municipality whose officials decide.
    pub municipality: String,
    /// Its name.
    pub name: String,
    /// The streets in it.
    pub streets: Vec<String>,
    /// What makes a passage count.
    pub pairing: Pairing,
    /// Longest time between an entry and its exit, hours.
    pub pair_hours: u16,
    /// Whether it is used.
    pub enabled: bool,
    /// Whose holidays count.
    pub holidays: Vec<HolidayScope>,
    /// Last day on which the zone only warns.
    pub warn_until: Option<Day>,
    /// When it is in force.
    pub validity: Validity,
    /// When it is closed.
    pub closed: Vec<ClosedWindow>,
    /// Where it comes from.
    pub source: String,
}

/// When a zone is closed to whoever has no right.
#[derive(Clone, Debug)]
pub struct ClosedWindow {
    /// Its id.
    pub id: WindowId,
    /// Days and hours.
    pub window: Window,
    /// When it is in force: by the day on which the window starts.
    pub validity: Validity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawZones {
    zone: Vec<RawZone>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawZone {
    code: String,
    municipality: String,
    name: String,
    streets: Vec<String>,
    pairing: Pairing,
    pair_hours: u16,
    enabled: bool,
    holidays: Vec<HolidayScope>,
    warn_until: Option<TomlDay>,
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    source: String,
    closed: Vec<RawClosed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClosed {
    id: String,
    days: Vec<Weekday>,
    from: Clock,
    to: Clock,
    #[serde(default)]
    on_holiday: OnHoliday,
    valid_from: Option<TomlDay>,
    valid_to: Option<TomlDay>,
    source: String,
}

/// Reads the table.
pub(crate) fn load(text: &str) -> Result<Vec<Zone>, SeedError> {
    let raw: RawZones = read_toml(FILE, text)?;
    let mut zones: Vec<Zone> = Vec::new();
    let mut ids: Vec<WindowId> = Vec::new();
    for entry in raw.zone {
        let zone = entry.compile()?;
        if zones.iter().any(|known| known.code == zone.code) {
            return Err(SeedError::entry(FILE, zone.code.as_str(), "the code stands twice"));
        }
        for window in &zone.closed {
            if ids.contains(&window.id) {
                return Err(SeedError::entry(FILE, window.id.as_str(), "the id stands twice"));
            }
            ids.push(window.id.clone());
        }
        zones.push(zone);
    }
    Ok(zones)
}

impl RawZone {
    fn compile(self) -> Result<Zone, SeedError> {
        let bad = |problem: &str| SeedError::entry(FILE, &self.code, problem);
        if self.municipality.is_empty() || self.name.is_empty() || self.source.is_empty() {
            return Err(bad("municipality, name and source must be given"));
        }
        if self.pair_hours == 0 || self.pair_hours > PAIR_HOURS_MAX {
            return Err(bad("`pair_hours` is 1 to 24"));
        }
        let validity = Validity::of_toml(self.valid_from, self.valid_to).map_err(|problem| bad(&problem))?;
        let mut closed = Vec::new();
        for raw in self.closed {
            closed.push(raw.compile(validity)?);
        }
        Ok(Zone {
            code: ZoneCode::new(self.code),
            municipality: self.municipality,
            name: self.name,
            streets: self.streets,
            pairing: self.pairing,
            pair_hours: self.pair_hours,
            enabled: self.enabled,
            holidays: self.holidays,
            warn_until: self.warn_until.map(|day| day.0),
            validity,
            closed,
            source: self.source,
        })
    }
}

impl RawClosed {
    fn compile(self, zone: Validity) -> Result<ClosedWindow, SeedError> {
        let bad = |problem: &str| SeedError::entry(FILE, &self.id, problem);
        let from = self.valid_from.map_or(zone.from, |day| day.0);
        let to = self.valid_to.map_or(zone.to, |day| Some(day.0));
        let validity = Validity::new(from, to).map_err(|problem| bad(&problem))?;
        if self.source.is_empty() {
            return Err(bad("no source"));
        }
        let window = Window { days: self.days, from: self.from, to: self.to, on_holiday: self.on_holiday };
        if let Some(problem) = window.problem() {
            return Err(bad(problem));
        }
        Ok(ClosedWindow { id: WindowId::new(self.id), window, validity })
    }
}

impl Zone {
    /// The closed window that holds the instant; the first one of the table when several do.
    pub fn closed_at(&self, at: WallTime, holidays: &Holidays) -> Option<&ClosedWindow> {
        let today = Day::at(at);
        self.closed.iter().find(|closed| {
            [today.previous(), today].into_iter().filter(|day| closed.validity.holds(*day)).any(|day| {
                let span = closed.window.span(day, holidays, &self.holidays);
                span.is_some_and(|(from, to)| from <= at && at < to)
            })
        })
    }
}
