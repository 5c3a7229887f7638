//! Certificates of distances and verifications of measuring sites (`certificates.toml`, `domain.md` C1, C2).

use serde::Deserialize;

use super::TrajectoryCode;
use super::number::Millimetres;
use super::outcome::End;
use super::parameters::ParameterTable;
use crate::day::Day;
use crate::seed::{SeedError, TomlDay, Validity, overlap, read_toml};

const FILE: &str = "certificates.toml";

/// A certified distance.
#[derive(Clone, Debug)]
pub struct Distance {
    /// Of which trajectory.
    pub trajectory: TrajectoryCode,
    /// The shortest driven line.
    pub certified: Millimetres,
    /// Its uncertainty.
    pub uncertainty: Millimetres,
    /// Who measured it.
    pub surveyor: String,
    /// Number of the certificate.
    pub document: String,
    /// When it holds.
    pub validity: Validity,
}

/// A verified site.
#[derive(Clone, Debug)]
pub struct Site {
    /// Of which trajectory.
    pub trajectory: TrajectoryCode,
    /// Which end.
    pub end: End,
    /// Serial number of the instrument.
    pub serial: String,
    /// Number of its model approval.
    pub approval: String,
    /// Number of the verification.
    pub document: String,
    /// Term of the verification.
    pub validity: Validity,
}

/// All certificates.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// Distances.
    pub distances: Vec<Distance>,
    /// Sites.
    pub sites: Vec<Site>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCertificates {
    #[serde(default)]
    distance: Vec<RawDistance>,
    #[serde(default)]
    site: Vec<RawSite>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDistance {
    trajectory: String,
    certified_m: String,
    uncertainty_m: String,
    surveyor: String,
    certified_on: TomlDay,
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    document: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSite {
    trajectory: String,
    end: End,
    serial: String,
    approval: String,
    verified_on: TomlDay,
    valid_to: TomlDay,
    document: String,
}

impl Certificates {
    /// Reads the table; `known` are the trajectories.
    pub(crate) fn load(text: &str, known: &[TrajectoryCode], parameters: &ParameterTable) -> Result<Self, SeedError> {
        let raw: RawCertificates = read_toml(FILE, text)?;
        let mut all = Self::default();
        for entry in raw.distance {
            let distance = entry.compile(known, parameters)?;
            let rivals = all.distances.iter().filter(|other| other.trajectory == distance.trajectory);
            if overlap(rivals.map(|other| &other.validity).chain([&distance.validity])) {
                return Err(SeedError::entry(FILE, distance.trajectory.as_str(), "two distances share a day"));
            }
            all.distances.push(distance);
        }
        for entry in raw.site {
            let site = entry.compile(known, parameters)?;
            all.sites.push(site);
        }
        Ok(all)
    }

    /// The distance of a trajectory on that day.
    pub fn distance(&self, trajectory: &TrajectoryCode, day: Day) -> Option<&Distance> {
        self.distances.iter().find(|one| one.trajectory == *trajectory && one.validity.holds(day))
    }

    /// The verification of an end that holds on every day from `first` to `last`.
    pub fn site(&self, trajectory: &TrajectoryCode, end: End, first: Day, last: Day) -> Option<&Site> {
        self.sites.iter().find(|site| {
            let here = site.trajectory == *trajectory && site.end == end;
            here && site.validity.holds(first) && site.validity.holds(last)
        })
    }
}

impl RawDistance {
    fn compile(self, known: &[TrajectoryCode], parameters: &ParameterTable) -> Result<Distance, SeedError> {
        let bad = |problem: &str| SeedError::entry(FILE, &self.document, problem);
        let trajectory = code(&self.trajectory, known).ok_or_else(|| bad("there is no such trajectory"))?;
        let validity = Validity::of_toml(self.valid_from, self.valid_to).map_err(|problem| bad(&problem))?;
        let certified: Millimetres = self.certified_m.parse().map_err(|_| bad("the distance is no length"))?;
        let uncertainty: Millimetres = self.uncertainty_m.parse().map_err(|_| bad("the uncertainty is no length"))?;
        if self.document.is_empty() || self.surveyor.is_empty() || self.certified_on.0 > validity.from {
            return Err(bad("number and surveyor must be given, and the survey is not after the first day"));
        }
        let rules = parameters.on(validity.from).ok_or_else(|| bad("there are no parameters on its first day"))?;
        if uncertainty > rules.uncertainty_max(certified) || uncertainty >= certified {
            return Err(bad("the uncertainty is above what a certificate may state"));
        }
        let (surveyor, document) = (self.surveyor, self.document);
        Ok(Distance { trajectory, certified, uncertainty, surveyor, document, validity })
    }
}

impl RawSite {
    fn compile(self, known: &[TrajectoryCode], parameters: &ParameterTable) -> Result<Site, SeedError> {
        let bad = |problem: &str| SeedError::entry(FILE, &self.document, problem);
        let trajectory = code(&self.trajectory, known).ok_or_else(|| bad("there is no such trajectory"))?;
        let validity = Validity::of_toml(self.verified_on, Some(self.valid_to)).map_err(|problem| bad(&problem))?;
        if self.document.is_empty() || self.serial.is_empty() || self.approval.is_empty() {
            return Err(bad("number, serial number and approval must be given"));
        }
        let rules = parameters.on(validity.from).ok_or_else(|| bad("there are no parameters on its first day"))?;
        if self.valid_to.0 >= validity.from.plus_years(rules.verification_years) {
            return Err(bad("the term is longer than that of a verification"));
        }
        Ok(Site {
            trajectory,
            end: self.end,
            serial: self.serial,
            approval: self.approval,
            document: self.document,
            validity,
        })
    }
}

fn code(text: &str, known: &[TrajectoryCode]) -> Option<TrajectoryCode> {
    known.iter().find(|code| code.as_str() == text).cloned()
}
