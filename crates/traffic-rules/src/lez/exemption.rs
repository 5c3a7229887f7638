//! Exemptions (`seed/lez/exemptions.toml`, `domain.md` A6).

use serde::Deserialize;

use super::ExemptionCode;
use super::norm::FuelGroup;
use super::snapshot::{ExemptionGrant, SpecialUse};
use crate::day::Day;
use crate::grammar::PlateKind;
use crate::seed::{SeedError, TomlDay, Validity, read_toml};

const FILE: &str = "exemptions.toml";

/// One exemption.
#[derive(Clone, Debug)]
pub struct Exemption {
    /// Its code.
    pub code: ExemptionCode,
    /// What it leads to.
    pub effect: Effect,
    /// When it is in force.
    pub validity: Validity,
    /// Longest grant, for those on request.
    pub years_max: Option<u8>,
    proofs: Vec<Proof>,
}

/// What an exemption leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The read is exempt.
    Exempt,
    /// A person decides.
    Manual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Automatic,
    OnRequest,
}

/// Conditions that must hold together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    #[serde(default)]
    plate_kinds: Vec<PlateKind>,
    age_over_years: Option<u8>,
    special_use: Option<SpecialUse>,
    fuel_group: Option<FuelGroup>,
    category: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExemptions {
    exemption: Vec<RawExemption>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExemption {
    code: String,
    kind: Kind,
    effect: Effect,
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    years_max: Option<u8>,
    #[serde(default)]
    proof: Vec<Proof>,
    source: String,
}

/// What an automatic exemption is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) day: Day,
    pub(crate) plate_kind: PlateKind,
    pub(crate) first_registration: Option<Day>,
    pub(crate) special_use: Option<SpecialUse>,
    pub(crate) fuel_group: Option<FuelGroup>,
    pub(crate) category: Option<&'a str>,
}

/// Reads the table.
pub(crate) fn load(text: &str) -> Result<Vec<Exemption>, SeedError> {
    let raw: RawExemptions = read_toml(FILE, text)?;
    let mut all: Vec<Exemption> = Vec::new();
    for entry in raw.exemption {
        let bad = |problem: &str| SeedError::entry(FILE, &entry.code, problem);
        if all.iter().any(|known| known.code.as_str() == entry.code) {
            return Err(bad("the code stands twice"));
        }
        match entry.kind {
            Kind::Automatic if entry.proof.is_empty() => return Err(bad("an automatic exemption needs a proof")),
            Kind::OnRequest if !entry.proof.is_empty() => return Err(bad("one on request has no proof by data")),
            Kind::Automatic | Kind::OnRequest => {}
        }
        if entry.proof.iter().any(Proof::is_empty) || entry.source.is_empty() {
            return Err(bad("a proof without conditions, or no source"));
        }
        let validity = Validity::of_toml(entry.valid_from, entry.valid_to).map_err(|problem| bad(&problem))?;
        all.push(Exemption {
            code: ExemptionCode::new(entry.code),
            effect: entry.effect,
            validity,
            years_max: entry.years_max,
            proofs: entry.proof,
        });
    }
    Ok(all)
}

impl Exemption {
    /// Whether the data alone prove it.
    pub(crate) fn proven(&self, facts: &Facts<'_>) -> bool {
        self.validity.holds(facts.day) && self.proofs.iter().any(|proof| proof.holds(facts))
    }

    /// Whether this grant of it covers the instant; a grant longer than the law allows ends where the law ends it.
    pub(crate) fn granted(&self, grant: &ExemptionGrant, at: vms_core::WallTime) -> bool {
        let legal_end = self.years_max.map(|years| Day::at(grant.from).plus_years(years).start());
        let to = legal_end.map_or(grant.to, |end| end.min(grant.to));
        grant.code == self.code && self.validity.holds(Day::at(at)) && grant.from <= at && at < to
    }
}

impl Proof {
    fn is_empty(&self) -> bool {
        self.plate_kinds.is_empty()
            && self.age_over_years.is_none()
            && self.special_use.is_none()
            && self.fuel_group.is_none()
            && self.category.is_none()
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        // "Over n years": not on the n-th anniversary itself, from the day after it.
        let old = |years: u8| facts.first_registration.is_some_and(|first| first.plus_years(years) < facts.day);
        (self.plate_kinds.is_empty() || self.plate_kinds.contains(&facts.plate_kind))
            && self.age_over_years.is_none_or(old)
            && (self.special_use.is_none() || self.special_use == facts.special_use)
            && (self.fuel_group.is_none() || self.fuel_group == facts.fuel_group)
            && (self.category.is_none() || self.category.as_deref() == facts.category)
    }
}
