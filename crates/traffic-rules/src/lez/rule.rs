//! The criteria table: one row per rule and period (`seed/lez/rules.csv`, `domain.md` A2, A3).

use serde::Deserialize;

use super::RuleId;
use super::norm::{FuelGroup, NormRef, NormTable};
use crate::day::Day;
use crate::seed::{SeedError, Validity, overlap};

const FILE: &str = "rules.csv";

/// One row of the criteria table.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Stays the same over the years.
    pub id: RuleId,
    pub(crate) categories: Categories,
    pub(crate) condition: Option<Condition>,
    pub(crate) fuel: Option<FuelGroup>,
    /// When the row is in force.
    pub validity: Validity,
    pub(crate) minimum: Minimum,
    /// First day of fines; before it there are warnings only.
    pub enforce_from: Day,
    /// Where the row comes from.
    pub source: String,
}

/// What the row is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Categories {
    /// Every category: `*`.
    Any,
    /// What no other row lists: `OTHER`.
    NotListed,
    /// These.
    Listed(Vec<String>),
}

/// A further condition on one of the categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) category: String,
    pub(crate) test: ClassTest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClassTest {
    /// One of these classes.
    Classes(Vec<String>),
    /// Reference mass at most this, kg.
    RefMassMax(u32),
    /// Reference mass over this, kg.
    RefMassOver(u32),
}

/// What the row asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Minimum {
    /// Nothing: every vehicle may.
    All,
    /// No vehicle may.
    Ban,
    /// The zone does not cover it.
    Outside,
    /// At least this norm.
    Norm(NormRef),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    rule_id: String,
    categories: String,
    class: String,
    fuel_group: String,
    valid_from: String,
    valid_to: String,
    min_norm: String,
    enforce_from: String,
    source: String,
}

/// Reads the table.
pub(crate) fn load(text: &str, norms: &NormTable) -> Result<Vec<Rule>, SeedError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| syntax(&error))?.clone();
    let mut rules = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| syntax(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let raw: RawRule = record.deserialize(Some(&headers)).map_err(|error| syntax(&error))?;
        let rule = raw.rule_id.clone();
        let compiled = raw.compile(norms).map_err(|problem| SeedError::Row { file: FILE, line, rule, problem })?;
        let clash = rules.iter().filter(|known: &&Rule| known.id == compiled.id);
        if overlap(clash.map(|known| &known.validity).chain([&compiled.validity])) {
            let (rule, problem) = (compiled.id.to_string(), "two periods of the rule share a day".to_owned());
            return Err(SeedError::Row { file: FILE, line, rule, problem });
        }
        rules.push(compiled);
    }
    if rules.is_empty() {
        return Err(SeedError::Syntax { file: FILE, problem: "no rule".to_owned() });
    }
    Ok(rules)
}

fn syntax(error: &csv::Error) -> SeedError {
    SeedError::Syntax { file: FILE, problem: error.to_string() }
}

impl RawRule {
    fn compile(self, norms: &NormTable) -> Result<Rule, String> {
        if self.rule_id.is_empty() || self.source.is_empty() {
            return Err("the rule's id or source is empty".to_owned());
        }
        let validity = Validity::new(day(&self.valid_from)?, optional_day(&self.valid_to)?)?;
        let enforce_from = day(&self.enforce_from)?;
        if !validity.holds(enforce_from) {
            return Err(format!("`enforce_from` {enforce_from} is outside the row's period"));
        }
        let categories = match self.categories.as_str() {
            "*" => Categories::Any,
            "OTHER" => Categories::NotListed,
            list => Categories::Listed(list.split('|').map(ToOwned::to_owned).collect()),
        };
        if let Categories::Listed(list) = &categories {
            let series: Vec<_> = list.iter().map(|category| norms.series_of(category)).collect();
            if series.iter().any(|one| one.is_none() || Some(one) != series.first()) {
                return Err("the categories have no series of norms, or not one and the same".to_owned());
            }
        }
        Ok(Rule {
            id: RuleId::new(self.rule_id),
            condition: condition(&self.class, &categories)?,
            fuel: fuel(&self.fuel_group)?,
            validity,
            minimum: minimum(&self.min_norm, &categories, norms)?,
            enforce_from,
            source: self.source,
            categories,
        })
    }
}

fn day(text: &str) -> Result<Day, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

fn optional_day(text: &str) -> Result<Option<Day>, String> {
    if text.is_empty() { Ok(None) } else { day(text).map(Some) }
}

fn fuel(text: &str) -> Result<Option<FuelGroup>, String> {
    match text {
        "any" => Ok(None),
        "petrol" => Ok(Some(FuelGroup::Petrol)),
        "diesel" => Ok(Some(FuelGroup::Diesel)),
        "zero" => Ok(Some(FuelGroup::Zero)),
        _ => Err(format!("fuel group `{text}` is none of petrol, diesel, zero, any")),
    }
}

fn minimum(text: &str, categories: &Categories, norms: &NormTable) -> Result<Minimum, String> {
    match (text, categories) {
        ("ALL", _) => Ok(Minimum::All),
        ("BAN", _) => Ok(Minimum::Ban),
        ("OUT", _) => Ok(Minimum::Outside),
        (norm, Categories::Listed(list)) => {
            let found = list.first().and_then(|category| norms.minimum(category, norm));
            found.map(Minimum::Norm).ok_or_else(|| format!("norm `{norm}` is not in the series of the categories"))
        }
        (norm, Categories::Any | Categories::NotListed) => Err(format!("norm `{norm}` needs listed categories")),
    }
}

fn condition(text: &str, categories: &Categories) -> Result<Option<Condition>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad =
        || format!("class `{text}` is not CATEGORY:I|II, CATEGORY:REF<=kg or CATEGORY:REF>kg of a listed category");
    let (category, rest) = text.split_once(':').ok_or_else(bad)?;
    if !matches!(categories, Categories::Listed(list) if list.iter().any(|known| known == category)) {
        return Err(bad());
    }
    let test = if let Some(kg) = rest.strip_prefix("REF<=") {
        ClassTest::RefMassMax(kg.parse().map_err(|_| bad())?)
    } else if let Some(kg) = rest.strip_prefix("REF>") {
        ClassTest::RefMassOver(kg.parse().map_err(|_| bad())?)
    } else if !rest.is_empty() && rest.split('|').all(|class| !class.is_empty()) {
        ClassTest::Classes(rest.split('|').map(ToOwned::to_owned).collect())
    } else {
        return Err(bad());
    };
    Ok(Some(Condition { category: category.to_owned(), test }))
}
