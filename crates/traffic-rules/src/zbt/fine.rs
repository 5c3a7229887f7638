//! The fine, the terms of its procedure, and readings of the law (`seed/zbt/fines.toml`, `domain.md` B3).

use serde::Deserialize;

use super::FineId;
use super::outcome::RetentionCode;
use crate::calendar::Clock;
use crate::day::Day;
use crate::seed::{SeedError, TomlDay, Validity, overlap, read_toml};

const FILE: &str = "fines.toml";

/// What makes one fine out of several passages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dedupe {
    /// One for a vehicle in a zone on a calendar day.
    VehicleZoneDay,
    /// One for a vehicle on a calendar day, whatever the zone.
    VehicleDay,
    /// Every passage.
    Passage,
}

/// One fine rule.
#[derive(Clone, Debug)]
pub struct Fine {
    /// Its id.
    pub id: FineId,
    /// Amount.
    pub amount_cents: u32,
    /// ISO 4217 code.
    pub currency: String,
    /// When it is in force.
    pub validity: Validity,
    /// A disabled rule never applies.
    pub enabled: bool,
    /// Where it comes from.
    pub source: String,
}

/// Terms of the procedure, days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// The official tells the holder within so many days of receiving the statement.
    pub notice_days: u16,
    /// The holder pays or defends within so many days of the notice.
    pub defence_days: u16,
    /// The official decides within so many months of the finding.
    pub decision_months: u16,
}

/// Fines, terms, readings of the law, classes of retention.
#[derive(Clone, Debug)]
pub struct FineTable {
    /// Every fine rule, disabled ones too.
    pub fines: Vec<Fine>,
    /// What makes one fine out of several passages.
    pub dedupe: Dedupe,
    /// Until when on the next working day a permit can be granted after the passage; `None` where that is not possible.
    pub regularisation_until: Option<Clock>,
    /// Class of authorised passages.
    pub authorised: RetentionCode,
    /// Class of candidates.
    pub candidate: RetentionCode,
    procedures: Vec<(Validity, Procedure)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    interpretation: RawInterpretation,
    fine: Vec<RawFine>,
    procedure: Vec<RawProcedure>,
    retention: RawRetention,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInterpretation {
    dedupe: Dedupe,
    regularisation_enabled: bool,
    regularisation_until: Clock,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFine {
    id: String,
    amount_cents: u32,
    currency: String,
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    enabled: bool,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProcedure {
    notice_days: u16,
    defence_days: u16,
    decision_months: u16,
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetention {
    authorised: String,
    candidate: String,
    #[serde(rename = "source")]
    _source: String,
}

impl FineTable {
    /// Reads the tables.
    ///
    /// # Errors
    /// [`SeedError`] names the entry and the problem.
    pub fn load(text: &str) -> Result<Self, SeedError> {
        let raw: RawTable = read_toml(FILE, text)?;
        let fines = raw.fine.into_iter().map(RawFine::compile).collect::<Result<Vec<_>, _>>()?;
        if overlap(fines.iter().filter(|fine| fine.enabled).map(|fine| &fine.validity)) {
            return Err(SeedError::entry(FILE, "fine", "two enabled fines share a day"));
        }
        let mut procedures = Vec::new();
        for row in raw.procedure {
            let validity = Validity::of_toml(row.valid_from, row.valid_to);
            let validity = validity.map_err(|problem| SeedError::entry(FILE, "procedure", problem))?;
            let terms = Procedure {
                notice_days: row.notice_days,
                defence_days: row.defence_days,
                decision_months: row.decision_months,
            };
            procedures.push((validity, terms));
        }
        if overlap(procedures.iter().map(|(validity, _)| validity)) {
            return Err(SeedError::entry(FILE, "procedure", "two rows share a day"));
        }
        let words = raw.interpretation;
        Ok(Self {
            fines,
            dedupe: words.dedupe,
            regularisation_until: words.regularisation_enabled.then_some(words.regularisation_until),
            authorised: RetentionCode::new(raw.retention.authorised),
            candidate: RetentionCode::new(raw.retention.candidate),
            procedures,
        })
    }

    /// The enabled rule in force on that day.
    pub fn in_force(&self, day: Day) -> Option<&Fine> {
        self.fines.iter().find(|fine| fine.enabled && fine.validity.holds(day))
    }

    /// The terms in force on that day.
    pub fn procedure(&self, day: Day) -> Option<Procedure> {
        self.procedures.iter().find(|(validity, _)| validity.holds(day)).map(|(_, terms)| *terms)
    }
}

impl RawFine {
    fn compile(self) -> Result<Fine, SeedError> {
        let bad = |problem: &str| SeedError::entry(FILE, &self.id, problem);
        let validity = Validity::of_toml(self.valid_from, self.valid_to).map_err(|problem| bad(&problem))?;
        if self.amount_cents == 0 || self.source.is_empty() {
            return Err(bad("amount and source must be given"));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(bad("the currency is three upper-case letters"));
        }
        Ok(Fine {
            id: FineId::new(self.id),
            amount_cents: self.amount_cents,
            currency: self.currency,
            validity,
            enabled: self.enabled,
            source: self.source,
        })
    }
}
