//! Who may pass (`seed/zbt/rights.toml`, `domain.md` B2).

use serde::Deserialize;
use vms_core::WallTime;

use super::snapshot::ListKind;
use super::{RightCode, ZoneCode};
use crate::calendar::Window;
use crate::day::Day;
use crate::grammar::PlateKind;
use crate::seed::{SeedError, TomlDay, Validity, read_toml};

const FILE: &str = "rights.toml";

/// One right to pass in closed hours.
#[derive(Clone, Debug)]
pub struct Right {
    /// Its code.
    pub code: RightCode,
    /// Where it can be used.
    pub zones: Vec<ZoneCode>,
    /// How a vehicle has it.
    pub ground: Ground,
    /// When it is in force.
    pub validity: Validity,
    /// Where it comes from.
    pub source: String,
}

/// How a vehicle has a right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// By a kept list or by the kind of its plate.
    List {
        /// Any of these lists.
        lists: Vec<ListKind>,
        /// Any of these kinds.
        plate_kinds: Vec<PlateKind>,
    },
    /// By a permit.
    Permit {
        /// Longest permit, months from its start.
        months_max: Option<u16>,
        /// Most vehicles of one parking place.
        per_place_max: Option<u16>,
        /// Hours; none for no such limit.
        windows: Vec<Window>,
    },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    List,
    Permit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRights {
    right: Vec<RawRight>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRight {
    code: String,
    kind: Kind,
    zones: Vec<String>,
    #[serde(default)]
    lists: Vec<ListKind>,
    #[serde(default)]
    plate_kinds: Vec<PlateKind>,
    months_max: Option<u16>,
    per_place_max: Option<u16>,
    #[serde(default)]
    windows: Vec<Window>,
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    source: String,
}

/// Reads the table; `known` are the zones that a right may name.
pub(crate) fn load(text: &str, known: &[ZoneCode]) -> Result<Vec<Right>, SeedError> {
    let raw: RawRights = read_toml(FILE, text)?;
    let mut rights: Vec<Right> = Vec::new();
    for entry in raw.right {
        let right = entry.compile(known)?;
        if rights.iter().any(|other| other.code == right.code) {
            return Err(SeedError::entry(FILE, right.code.as_str(), "the code stands twice"));
        }
        rights.push(right);
    }
    Ok(rights)
}

impl RawRight {
    fn compile(self, known: &[ZoneCode]) -> Result<Right, SeedError> {
        let bad = |problem: &str| SeedError::entry(FILE, &self.code, problem);
        let validity = Validity::of_toml(self.valid_from, self.valid_to).map_err(|problem| bad(&problem))?;
        if self.source.is_empty() || self.zones.is_empty() {
            return Err(bad("zones and source must be given"));
        }
        let zones: Vec<ZoneCode> = self.zones.iter().map(ZoneCode::new).collect();
        if let Some(stranger) = zones.iter().find(|zone| !known.contains(zone)) {
            return Err(bad(&format!("there is no zone `{stranger}`")));
        }
        if let Some(problem) = self.windows.iter().find_map(Window::problem) {
            return Err(bad(problem));
        }
        let listed = !self.lists.is_empty() || !self.plate_kinds.is_empty();
        let limited = self.months_max.is_some() || self.per_place_max.is_some() || !self.windows.is_empty();
        let ground = match self.kind {
            Kind::List if listed && !limited => Ground::List { lists: self.lists, plate_kinds: self.plate_kinds },
            Kind::Permit if !listed && self.months_max != Some(0) && self.per_place_max != Some(0) => {
                Ground::Permit { months_max: self.months_max, per_place_max: self.per_place_max, windows: self.windows }
            }
            Kind::List => return Err(bad("a right by list names lists or plate kinds, and no limits of permits")),
            Kind::Permit => return Err(bad("a right by permit names no lists, and its limits are not 0")),
        };
        Ok(Right { code: RightCode::new(self.code), zones, ground, validity, source: self.source })
    }
}

impl Right {
    /// First instant after a permit that starts at `from` and ends at `to`: the law may end it before.
    pub(crate) fn legal_end(&self, from: WallTime, to: WallTime) -> WallTime {
        let months = match self.ground {
            Ground::Permit { months_max, .. } => months_max,
            Ground::List { .. } => None,
        };
        months.map_or(to, |months| Day::at(from).plus_months(months).start().min(to))
    }
}
