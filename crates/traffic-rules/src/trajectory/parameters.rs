//! How a speed is worked out (`seed/trajectory/parameters.toml`, `domain.md` C1, C2).

use serde::Deserialize;

use super::number::Millimetres;
use super::outcome::RetentionCode;
use crate::day::Day;
use crate::seed::{SeedError, TomlDay, Validity, overlap, read_toml};

const FILE: &str = "parameters.toml";

/// The order of rounding. Only one is known to the program; another word in the file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Down to whole km/h, subtract the margin, down again.
    TruncateSubtractTruncate,
}

/// The parameters of one time.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// When they hold.
    pub validity: Validity,
    /// Least uncertainty of each end's clock, µs.
    pub clock_uncertainty_us: u64,
    /// Offset between the ends beyond which the outcome carries a remark, µs.
    pub clock_offset_target_us: u64,
    /// Offset beyond which there is no measurement, µs.
    pub clock_offset_max_us: u64,
    /// Largest uncertainty that a certificate may state whatever the distance.
    pub distance_uncertainty: Millimetres,
    /// Largest uncertainty as parts per million of the distance.
    pub distance_uncertainty_ppm: u32,
    /// Whether the uncertainty of the distance is subtracted.
    pub subtract_distance_uncertainty: bool,
    /// Order of rounding.
    pub rounding: Rounding,
    /// Margin up to and with `margin_flat_to_kmh`.
    pub margin_flat_kmh: u16,
    /// Where it ends.
    pub margin_flat_to_kmh: u16,
    /// Margin above it, percent.
    pub margin_percent: u16,
    /// Slowest plausible run.
    pub plausible_kmh_min: u16,
    /// Fastest plausible run.
    pub plausible_kmh_max: u16,
    /// Longest that an entry may wait for its exit, seconds: the bound of its retention class.
    pub pairing_seconds_max: u32,
    /// Largest deviation of the control, percent of the lower speed.
    pub control_percent_max: u16,
    /// Least confidence in a plate.
    pub confidence_min_ppm: u32,
    /// Longest term of a verification, years.
    pub verification_years: u8,
    /// Where they come from.
    pub source: String,
}

/// All parameters, and the retention classes.
#[derive(Clone, Debug)]
pub struct ParameterTable {
    all: Vec<Parameters>,
    /// Class of pairs that nothing is made of.
    pub passage: RetentionCode,
    /// Class of findings.
    pub file: RetentionCode,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    parameters: Vec<RawParameters>,
    retention: RawRetention,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawParameters {
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    clock_uncertainty_us: u64,
    clock_offset_target_us: u64,
    clock_offset_max_us: u64,
    distance_uncertainty_m: String,
    distance_uncertainty_ppm: u32,
    subtract_distance_uncertainty: bool,
    rounding: Rounding,
    margin_flat_kmh: u16,
    margin_flat_to_kmh: u16,
    margin_percent: u16,
    plausible_kmh_min: u16,
    plausible_kmh_max: u16,
    pairing_seconds_max: u32,
    control_percent_max: u16,
    confidence_min_ppm: u32,
    verification_years: u8,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetention {
    passage: String,
    file: String,
    #[serde(rename = "source")]
    _source: String,
}

impl ParameterTable {
    /// Reads the table.
    ///
    /// # Errors
    /// [`SeedError`] names the entry and the problem.
    pub fn load(text: &str) -> Result<Self, SeedError> {
        let raw: RawTable = read_toml(FILE, text)?;
        let all = raw.parameters.into_iter().map(RawParameters::compile).collect::<Result<Vec<_>, _>>()?;
        if overlap(all.iter().map(|one| &one.validity)) {
            return Err(SeedError::entry(FILE, "parameters", "two entries share a day"));
        }
        let (passage, file) = (RetentionCode::new(raw.retention.passage), RetentionCode::new(raw.retention.file));
        Ok(Self { all, passage, file })
    }

    /// Those of the day.
    pub fn on(&self, day: Day) -> Option<&Parameters> {
        self.all.iter().find(|one| one.validity.holds(day))
    }
}

impl RawParameters {
    fn compile(self) -> Result<Parameters, SeedError> {
        let entry = self.valid_from.0.to_string();
        let bad = |problem: &str| SeedError::entry(FILE, &entry, problem);
        let validity = Validity::of_toml(self.valid_from, self.valid_to).map_err(|problem| bad(&problem))?;
        let distance_uncertainty =
            self.distance_uncertainty_m.parse().map_err(|_| bad("the distance's uncertainty is no length"))?;
        if self.plausible_kmh_min == 0 || self.plausible_kmh_min >= self.plausible_kmh_max {
            return Err(bad("the plausible speeds are none"));
        }
        if self.margin_percent > 100 || self.confidence_min_ppm > 1_000_000 || self.source.is_empty() {
            return Err(bad("a share is above the whole, or there is no source"));
        }
        // Where the margins meet, the speed before may not come out above the speed after.
        let before = self.margin_flat_to_kmh.saturating_sub(self.margin_flat_kmh);
        let after = u32::from(self.margin_flat_to_kmh) + 1;
        if u32::from(before) > after * u32::from(100 - self.margin_percent) / 100 {
            return Err(bad("the margin makes a lower speed out of a higher one"));
        }
        Ok(Parameters {
            validity,
            clock_uncertainty_us: self.clock_uncertainty_us,
            clock_offset_target_us: self.clock_offset_target_us,
            clock_offset_max_us: self.clock_offset_max_us,
            distance_uncertainty,
            distance_uncertainty_ppm: self.distance_uncertainty_ppm,
            subtract_distance_uncertainty: self.subtract_distance_uncertainty,
            rounding: self.rounding,
            margin_flat_kmh: self.margin_flat_kmh,
            margin_flat_to_kmh: self.margin_flat_to_kmh,
            margin_percent: self.margin_percent,
            plausible_kmh_min: self.plausible_kmh_min,
            plausible_kmh_max: self.plausible_kmh_max,
            pairing_seconds_max: self.pairing_seconds_max,
            control_percent_max: self.control_percent_max,
            confidence_min_ppm: self.confidence_min_ppm,
            verification_years: self.verification_years,
            source: self.source,
        })
    }
}

impl Parameters {
    /// Largest uncertainty that a certificate of this distance may state.
    pub(crate) fn uncertainty_max(&self, distance: Millimetres) -> Millimetres {
        let share = u64::from(distance.0) * u64::from(self.distance_uncertainty_ppm) / 1_000_000;
        self.distance_uncertainty.max(Millimetres(u32::try_from(share).unwrap_or(u32::MAX)))
    }
}
