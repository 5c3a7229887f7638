//! The trajectories and their limits (`seed/trajectory/trajectories.toml`, `domain.md` C3).

use serde::Deserialize;

use super::TrajectoryCode;
use super::number::Millimetres;
use crate::day::Day;
use crate::seed::{SeedError, TomlDay, Validity, overlap, read_toml};

const FILE: &str = "trajectories.toml";

/// How a trajectory stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It measures.
    Active,
    /// It does not yet.
    Planned,
    /// Sources disagree whether it does.
    Unconfirmed,
}

/// One trajectory.
#[derive(Clone, Debug)]
pub struct Road {
    /// Its code.
    pub code: TrajectoryCode,
    /// Its name.
    pub name: String,
    /// The distance that was published. Never used to measure.
    pub published: Option<Millimetres>,
    /// How it stands.
    pub state: State,
    /// When it is in force.
    pub validity: Validity,
    /// Where it comes from.
    pub source: String,
    limits: Vec<(Validity, u16)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoads {
    trajectory: Vec<RawRoad>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoad {
    code: String,
    name: String,
    published_m: Option<String>,
    state: State,
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    source: String,
    limit: Vec<RawLimit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimit {
    kmh: u16,
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    source: String,
}

/// Reads the table.
pub(crate) fn load(text: &str) -> Result<Vec<Road>, SeedError> {
    let raw: RawRoads = read_toml(FILE, text)?;
    let mut roads: Vec<Road> = Vec::new();
    for entry in raw.trajectory {
        let road = entry.compile()?;
        if roads.iter().any(|known| known.code == road.code) {
            return Err(SeedError::entry(FILE, road.code.as_str(), "the code stands twice"));
        }
        roads.push(road);
    }
    Ok(roads)
}

impl RawRoad {
    fn compile(self) -> Result<Road, SeedError> {
        let bad = |problem: &str| SeedError::entry(FILE, &self.code, problem);
        let validity = Validity::of_toml(self.valid_from, self.valid_to).map_err(|problem| bad(&problem))?;
        if self.name.is_empty() || self.source.is_empty() {
            return Err(bad("name and source must be given"));
        }
        let published = self.published_m.as_deref().map(str::parse).transpose();
        let published = published.map_err(|_| bad("the published distance is no length"))?;
        let mut limits = Vec::new();
        for limit in &self.limit {
            if limit.kmh == 0 || limit.source.is_empty() {
                return Err(bad("a limit needs km/h and a source"));
            }
            let span = Validity::of_toml(limit.valid_from, limit.valid_to).map_err(|problem| bad(&problem))?;
            limits.push((span, limit.kmh));
        }
        if overlap(limits.iter().map(|(span, _)| span)) {
            return Err(bad("two limits share a day"));
        }
        Ok(Road {
            code: TrajectoryCode::new(self.code),
            name: self.name,
            published,
            state: self.state,
            validity,
            source: self.source,
            limits,
        })
    }
}

impl Road {
    /// The limit of the day, where no variable sign says otherwise, km/h.
    pub fn limit_on(&self, day: Day) -> Option<u16> {
        self.limits.iter().find(|(span, _)| span.holds(day)).map(|(_, kmh)| *kmh)
    }
}
