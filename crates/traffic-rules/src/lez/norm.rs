//! Euro norms, fuels, classes and the fallback by first registration (`seed/lez/norms.toml`, `domain.md` A4).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::snapshot::VehicleSnapshot;
use crate::day::Day;
use crate::seed::{SeedError, TomlDay, read_toml};

const FILE: &str = "norms.toml";

/// The fuel groups that the criteria table tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FuelGroup {
    /// Petrol, gas, bioethanol, petrol hybrids.
    Petrol,
    /// Diesel and diesel hybrids.
    Diesel,
    /// Battery-electric and hydrogen.
    Zero,
}

/// One level of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormRef {
    series: usize,
    level: usize,
}

/// How a stated norm reads in the series that a rule uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NormRead {
    /// A level of that series.
    Level(NormRef),
    /// A level of another series, with the unconfirmed equivalent.
    OtherSeries { norm: NormRef, equivalent: Option<NormRef> },
    /// No series has it.
    Unreadable,
}

/// Why the fuel group of a vehicle cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuelDoubt {
    /// No fuel, or a code that the tables do not have.
    Unknown,
    /// Fuels of two groups.
    Mixed,
}

/// The tables of norms.
#[derive(Clone, Debug)]
pub struct NormTable {
    series: Vec<Series>,
    equivalences: Vec<(NormRef, NormRef)>,
    fuels: BTreeMap<String, FuelGroup>,
    n1: RawN1,
    fallbacks: Vec<Fallback>,
}

#[derive(Clone, Debug)]
struct Series {
    id: String,
    categories: Vec<String>,
    /// Spellings by level, low to high; the first of each is its name.
    levels: Vec<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Fallback {
    categories: Vec<String>,
    n1_classes: Vec<String>,
    /// Rising by day.
    steps: Vec<(Day, NormRef)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNorms {
    series: Vec<RawSeries>,
    equivalence: Vec<RawEquivalence>,
    fuel_group: Vec<RawFuelGroup>,
    n1: RawN1,
    fallback: Vec<RawFallback>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSeries {
    id: String,
    categories: Vec<String>,
    levels: Vec<Vec<String>>,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEquivalence {
    from: RawNormRef,
    to: RawNormRef,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNormRef {
    series: String,
    norm: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFuelGroup {
    id: FuelGroup,
    codes: Vec<String>,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawN1 {
    running_order_plus_kg: u32,
    class_i_kg_max: u32,
    class_ii_kg_max: u32,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFallback {
    id: String,
    categories: Vec<String>,
    #[serde(default)]
    n1_classes: Vec<String>,
    steps: Vec<RawStep>,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    norm: String,
    from: TomlDay,
}

impl NormTable {
    /// Reads the tables.
    ///
    /// # Errors
    /// [`SeedError`] names the entry and the problem.
    pub fn load(text: &str) -> Result<Self, SeedError> {
        let raw: RawNorms = read_toml(FILE, text)?;
        let mut table = Self {
            series: raw.series.into_iter().map(Series::from).collect(),
            equivalences: Vec::new(),
            fuels: BTreeMap::new(),
            n1: raw.n1,
            fallbacks: Vec::new(),
        };
        table.check_series()?;
        for group in raw.fuel_group {
            for code in group.codes {
                if table.fuels.insert(fuel_code(&code), group.id).is_some() {
                    return Err(SeedError::entry(FILE, &code, "the fuel stands in two places"));
                }
            }
        }
        for pair in raw.equivalence {
            let (from, to) = (table.named(&pair.from)?, table.named(&pair.to)?);
            if from.series == to.series {
                return Err(SeedError::entry(FILE, &pair.from.norm, "an equivalence joins two series"));
            }
            table.equivalences.push((from, to));
        }
        for fallback in raw.fallback {
            let fallback = table.fallback(fallback)?;
            table.fallbacks.push(fallback);
        }
        Ok(table)
    }

    fn check_series(&self) -> Result<(), SeedError> {
        let mut seen = Vec::new();
        for series in &self.series {
            let mut spellings = Vec::new();
            for spelling in series.levels.iter().flatten() {
                let canonical = canonical(spelling);
                if canonical.is_empty() || spellings.contains(&canonical) {
                    return Err(SeedError::entry(FILE, &series.id, format!("`{spelling}` is empty or stands twice")));
                }
                spellings.push(canonical);
            }
            if series.levels.iter().any(Vec::is_empty) {
                return Err(SeedError::entry(FILE, &series.id, "a level has no name"));
            }
            for category in &series.categories {
                if seen.contains(&category) {
                    return Err(SeedError::entry(FILE, &series.id, format!("category `{category}` is in two series")));
                }
                seen.push(category);
            }
        }
        Ok(())
    }

    fn named(&self, raw: &RawNormRef) -> Result<NormRef, SeedError> {
        let series = self.series.iter().position(|series| series.id == raw.series);
        let series = series.ok_or_else(|| SeedError::entry(FILE, &raw.series, "no such series"))?;
        self.level(series, &raw.norm).ok_or_else(|| SeedError::entry(FILE, &raw.norm, "no such norm in that series"))
    }

    fn fallback(&self, raw: RawFallback) -> Result<Fallback, SeedError> {
        let bad = |problem: &str| SeedError::entry(FILE, &raw.id, problem);
        let first = raw.categories.first().ok_or_else(|| bad("names no category"))?;
        let mut steps: Vec<(Day, NormRef)> = Vec::new();
        for step in &raw.steps {
            let norm = self.minimum(first, &step.norm).ok_or_else(|| bad("a step's norm is not in the series"))?;
            if steps.last().is_some_and(|(day, last)| *day >= step.from.0 || last.level >= norm.level) {
                return Err(bad("the steps do not rise"));
            }
            steps.push((step.from.0, norm));
        }
        Ok(Fallback { categories: raw.categories, n1_classes: raw.n1_classes, steps })
    }

    fn level(&self, series: usize, text: &str) -> Option<NormRef> {
        let wanted = canonical(text);
        let levels = &self.series.get(series)?.levels;
        let level =
            levels.iter().position(|spellings| spellings.iter().any(|spelling| canonical(spelling) == wanted))?;
        Some(NormRef { series, level })
    }

    /// The series that the rules use for a category.
    pub(crate) fn series_of(&self, category: &str) -> Option<usize> {
        self.series.iter().position(|series| series.categories.iter().any(|known| known == category))
    }

    /// A norm that a rule for this category may name as its minimum.
    pub(crate) fn minimum(&self, category: &str, norm: &str) -> Option<NormRef> {
        self.level(self.series_of(category)?, norm)
    }

    /// Reads a stated norm in the series that a rule uses.
    pub(crate) fn read(&self, series: usize, text: &str) -> NormRead {
        if let Some(norm) = self.level(series, text) {
            return NormRead::Level(norm);
        }
        let other = (0..self.series.len()).filter(|other| *other != series).find_map(|other| self.level(other, text));
        other.map_or(NormRead::Unreadable, |norm| {
            let pair = self.equivalences.iter().find(|(from, to)| *from == norm && to.series == series);
            NormRead::OtherSeries { norm, equivalent: pair.map(|(_, to)| *to) }
        })
    }

    /// Name of a norm.
    pub fn name(&self, norm: NormRef) -> &str {
        let spellings = self.series.get(norm.series).and_then(|series| series.levels.get(norm.level));
        spellings.and_then(|spellings| spellings.first()).map_or("", String::as_str)
    }

    /// The group of a vehicle's fuels. Zero-emission fuels give way to the other one: a hybrid counts as its engine.
    ///
    /// # Errors
    /// [`FuelDoubt`] when there is none, or two.
    pub fn fuel_group(&self, fuels: &[String]) -> Result<FuelGroup, FuelDoubt> {
        let mut burned = None;
        let mut zero = false;
        for fuel in fuels {
            match self.fuels.get(&fuel_code(fuel)) {
                None => return Err(FuelDoubt::Unknown),
                Some(FuelGroup::Zero) => zero = true,
                Some(group) if burned.is_some_and(|other| other != *group) => return Err(FuelDoubt::Mixed),
                Some(group) => burned = Some(*group),
            }
        }
        burned.or(zero.then_some(FuelGroup::Zero)).ok_or(FuelDoubt::Unknown)
    }

    /// Reference mass, kg: stated, or from the mass in running order.
    pub fn ref_mass_kg(&self, vehicle: &VehicleSnapshot) -> Option<u32> {
        let derived = vehicle.running_order_kg.map(|kg| kg.saturating_add(self.n1.running_order_plus_kg));
        vehicle.ref_mass_kg.or(derived)
    }

    /// N1 class of a reference mass.
    pub fn n1_class(&self, ref_mass_kg: u32) -> &'static str {
        if ref_mass_kg <= self.n1.class_i_kg_max {
            "I"
        } else if ref_mass_kg <= self.n1.class_ii_kg_max {
            "II"
        } else {
            "III"
        }
    }

    /// The norm that every new vehicle of this category had to meet on that day. A hint, never a ground.
    pub fn hint(&self, category: &str, n1_class: Option<&str>, first_registration: Day) -> Option<&str> {
        let fallback = self.fallbacks.iter().find(|fallback| {
            fallback.categories.iter().any(|known| known == category)
                || (category == "N1"
                    && n1_class.is_some_and(|class| fallback.n1_classes.iter().any(|known| known == class)))
        })?;
        let step = fallback.steps.iter().rev().find(|(from, _)| *from <= first_registration);
        step.map(|(_, norm)| self.name(*norm))
    }

    /// Whether the norm is at least the minimum; `None` across series.
    pub(crate) fn meets(norm: NormRef, minimum: NormRef) -> Option<bool> {
        (norm.series == minimum.series).then_some(norm.level >= minimum.level)
    }
}

impl From<RawSeries> for Series {
    fn from(raw: RawSeries) -> Self {
        Self { id: raw.id, categories: raw.categories, levels: raw.levels }
    }
}

/// A norm without what does not count in it: `Euro 6d-TEMP` and `6D TEMP` are one.
fn canonical(text: &str) -> String {
    let upper: String = text.to_uppercase().chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '_')).collect();
    upper.strip_prefix("EURO").map_or(upper.clone(), ToOwned::to_owned)
}

/// A fuel code without what does not count in it: `Hybrid petrol` and `hybrid_petrol` are one.
fn fuel_code(text: &str) -> String {
    text.trim().to_lowercase().replace(['-', ' '], "_")
}

/// The category that the tables know a written one by: `N1G` is `N1`, `L3e-A1` is `L3`, `T1b` is `T`.
/// `OTHER` for what they do not list, `None` for an empty text.
pub fn category_key(written: &str) -> Option<String> {
    let upper = written.trim().to_uppercase();
    let mut chars = upper.chars();
    let (first, second, third) = (chars.next()?, chars.next(), chars.next());
    Some(match (first, second) {
        ('T', _) => "T".to_owned(),
        ('L' | 'M' | 'N', Some(digit @ '1'..='7')) if !third.is_some_and(|c| c.is_ascii_digit()) => {
            format!("{first}{digit}")
        }
        _ => "OTHER".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../../seed/lez/norms.toml");

    #[test]
    fn categories_have_one_key() {
        for (written, wanted) in [
            ("M1", Some("M1")),
            ("m1g", Some("M1")),
            ("L3e-A1", Some("L3")),
            ("T1b", Some("T")),
            ("T", Some("T")),
            ("O2", Some("OTHER")),
            ("M12", Some("OTHER")),
            ("M", Some("OTHER")),
            (" ", None),
        ] {
            assert_eq!(category_key(written).as_deref(), wanted, "{written}");
        }
    }

    #[test]
    fn norms_are_read_in_the_series_of_the_rule() {
        let table = NormTable::load(TEXT).unwrap();
        let light = table.series_of("M1").unwrap();
        let heavy = table.series_of("N3").unwrap();
        for (series, text, wanted) in [
            (light, "Euro 6d-TEMP", "6d-TEMP"),
            (light, "5b", "5"),
            (light, "6D TEMP EVAP ISC", "6d-TEMP"),
            (light, "none", "0"),
            (heavy, "EEV", "V"),
            (heavy, "Euro VI C", "VI"),
            (heavy, "vi-d", "VI-D"),
        ] {
            let NormRead::Level(norm) = table.read(series, text) else { panic!("{text}") };
            assert_eq!(table.name(norm), wanted, "{text}");
        }
        assert!(matches!(table.read(light, "VI"), NormRead::OtherSeries { equivalent: Some(_), .. }));
        assert!(matches!(table.read(light, "III"), NormRead::OtherSeries { equivalent: None, .. }));
        assert_eq!(table.read(light, "banana"), NormRead::Unreadable);
        let order = ["0", "1", "2", "3", "4", "5", "6", "6d-TEMP", "6d", "6e", "7"];
        for pair in order.windows(2) {
            let norm = |text| table.level(light, text).unwrap();
            assert_eq!(NormTable::meets(norm(pair[1]), norm(pair[0])), Some(true));
            assert_eq!(NormTable::meets(norm(pair[0]), norm(pair[1])), Some(false));
        }
    }

    #[test]
    fn fuels_have_one_group() {
        let table = NormTable::load(TEXT).unwrap();
        for (fuels, wanted) in [
            (&["petrol"][..], Ok(FuelGroup::Petrol)),
            (&["Petrol", "LPG"], Ok(FuelGroup::Petrol)),
            (&["petrol", "electric"], Ok(FuelGroup::Petrol)),
            (&["hybrid-diesel"], Ok(FuelGroup::Diesel)),
            (&["electric"], Ok(FuelGroup::Zero)),
            (&["hydrogen", "electric"], Ok(FuelGroup::Zero)),
            (&["petrol", "diesel"], Err(FuelDoubt::Mixed)),
            (&["coal"], Err(FuelDoubt::Unknown)),
            (&[], Err(FuelDoubt::Unknown)),
        ] {
            let fuels: Vec<String> = fuels.iter().map(|fuel| (*fuel).to_owned()).collect();
            assert_eq!(table.fuel_group(&fuels), wanted, "{fuels:?}");
        }
    }

    #[test]
    fn first_registration_hints_at_a_norm() {
        let table = NormTable::load(TEXT).unwrap();
        for (category, class, day, wanted) in [
            ("M1", None, "1992-12-31", None),
            ("M1", None, "2010-12-31", Some("4")),
            ("M1", None, "2011-01-01", Some("5")),
            ("N1", Some("II"), "2011-06-01", Some("4")),
            ("N1", Some("I"), "2011-06-01", Some("5")),
            ("N1", None, "2011-06-01", None),
            ("N3", None, "2020-01-01", Some("VI-D")),
            ("L1", None, "2016-01-01", Some("2")),
        ] {
            assert_eq!(table.hint(category, class, day.parse().unwrap()), wanted, "{category} {day}");
        }
    }
}
