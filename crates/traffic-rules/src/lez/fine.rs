//! Fines, warnings, windows, day passes, foreign registration (`seed/lez/fines.toml`, `domain.md` A7, A8).

use serde::Deserialize;
use vms_core::Country;

use super::FineId;
use crate::day::Day;
use crate::seed::{SeedError, TomlDay, Validity, overlap, read_toml};

const FILE: &str = "fines.toml";

/// What makes a fine rule apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Not allowed by the tables of the reference date.
    BannedBefore,
    /// Allowed or out of scope on the reference date.
    NewlyBanned,
    /// A foreign vehicle without a registration.
    ForeignUnregistered,
    /// Wrong data in the registration.
    RegistrationWrong,
    /// Announced, not adopted: never in force.
    Announced,
}

/// From which date of the last fine a window runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowStart {
    /// The read that was fined.
    Infraction,
    /// The fine's sending; the read while it is not sent.
    Issue,
}

/// Whose window counts when the last fine was under another rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The longer one.
    MostFavourable,
    /// That of the rule in force when the vehicle was read.
    ReadDate,
    /// That of the rule of the last fine.
    FineDate,
}

/// What a new registration period forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderChange {
    /// Warnings and windows.
    ResetsBoth,
    /// Warnings only.
    ResetsWarning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VehicleKey {
    VinElsePlate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MonthArithmetic {
    ClipToMonthEnd,
}

/// Readings of the law that the product owner must confirm.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interpretation {
    /// See [`WindowStart`].
    pub window_start: WindowStart,
    /// See [`Overlap`].
    pub overlap: Overlap,
    /// See [`HolderChange`].
    pub holder_change: HolderChange,
    /// Only one reading is known to the program; another word in the file is refused.
    #[serde(rename = "vehicle_key")]
    _vehicle_key: VehicleKey,
    #[serde(rename = "month_arithmetic")]
    _month_arithmetic: MonthArithmetic,
    /// Where it comes from.
    pub source: String,
}

/// One fine rule.
#[derive(Clone, Debug)]
pub struct Fine {
    /// Its id.
    pub id: FineId,
    /// What makes it apply.
    pub trigger: Trigger,
    /// The day that tells old and new bans apart.
    pub reference_date: Option<Day>,
    /// Amount.
    pub amount_cents: u32,
    /// ISO 4217 code.
    pub currency: String,
    /// One fine per so many months.
    pub window_months: u16,
    /// At most so many fines in a calendar year.
    pub year_max: Option<u16>,
    /// At most this amount in a calendar year, cents.
    pub year_cap_cents: Option<u32>,
    /// A warning first, then fines after so many months.
    pub warning_grace_months: Option<u16>,
    /// When it is in force.
    pub validity: Validity,
    /// A disabled rule is kept for the record and never applies.
    pub enabled: bool,
    /// Where it comes from.
    pub source: String,
}

/// The tables of fines.
#[derive(Clone, Debug)]
pub struct FineTable {
    /// Every fine rule, disabled ones too.
    pub fines: Vec<Fine>,
    /// Readings of the law.
    pub interpretation: Interpretation,
    pass_deadline_days: Option<u16>,
    pass_prices: Vec<(Validity, u32, String)>,
    pass_maxima: Vec<(Validity, u16)>,
    registration_not_needed: Vec<(Validity, Country)>,
    registration_years: Vec<(Validity, u8)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFines {
    interpretation: Interpretation,
    fine: Vec<RawFine>,
    day_pass: RawDayPass,
    foreign: RawForeign,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFine {
    id: String,
    trigger: Trigger,
    reference_date: Option<TomlDay>,
    amount_cents: u32,
    currency: String,
    window_months: u16,
    year_max: Option<u16>,
    year_cap_cents: Option<u32>,
    warning_grace_months: Option<u16>,
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    enabled: bool,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDayPass {
    deadline_days_after: u16,
    deadline_enabled: bool,
    #[serde(rename = "source")]
    _source: String,
    price: Vec<RawDated>,
    year_max: Vec<RawDated>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawForeign {
    registration_not_needed: Vec<RawDated>,
    registration_years_max: Vec<RawDated>,
}

/// A dated value of the tables; which of the fields it has depends on the list it stands in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDated {
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    amount_cents: Option<u32>,
    currency: Option<String>,
    passes: Option<u16>,
    country: Option<String>,
    years: Option<u8>,
    #[serde(rename = "source")]
    _source: String,
}

impl FineTable {
    /// Reads the tables.
    ///
    /// # Errors
    /// [`SeedError`] names the entry and the problem.
    pub fn load(text: &str) -> Result<Self, SeedError> {
        let raw: RawFines = read_toml(FILE, text)?;
        let fines = raw.fine.into_iter().map(RawFine::compile).collect::<Result<Vec<_>, _>>()?;
        for (at, fine) in fines.iter().enumerate() {
            let twin = |other: &&Fine| other.id == fine.id;
            let rival = |other: &&Fine| fine.enabled && other.enabled && other.trigger == fine.trigger;
            let clash = |other: &&Fine| twin(other) || (rival(other) && other.validity.overlaps(&fine.validity));
            if let Some(other) = fines.iter().skip(at + 1).find(clash) {
                let problem = format!("has the id of another, or shares trigger and days with `{}`", other.id);
                return Err(SeedError::entry(FILE, fine.id.as_str(), problem));
            }
        }
        let foreign = raw.foreign;
        let pass = raw.day_pass;
        let price = |row: &RawDated| Some((row.amount_cents?, row.currency.clone()?));
        let prices = dated("day_pass.price", &pass.price, price, true)?;
        Ok(Self {
            fines,
            interpretation: raw.interpretation,
            pass_deadline_days: pass.deadline_enabled.then_some(pass.deadline_days_after),
            pass_prices: prices.into_iter().map(|(validity, (cents, currency))| (validity, cents, currency)).collect(),
            pass_maxima: dated("day_pass.year_max", &pass.year_max, |row| row.passes, true)?,
            registration_not_needed: dated(
                "foreign.registration_not_needed",
                &foreign.registration_not_needed,
                |row| row.country.as_deref().and_then(Country::parse),
                false,
            )?,
            registration_years: dated(
                "foreign.registration_years_max",
                &foreign.registration_years_max,
                |row| row.years,
                true,
            )?,
        })
    }

    /// The enabled rules in force on that day.
    pub fn in_force(&self, day: Day) -> impl Iterator<Item = &Fine> {
        self.fines.iter().filter(move |fine| fine.enabled && fine.validity.holds(day))
    }

    /// The rule with this id, enabled or not.
    pub fn by_id(&self, id: &FineId) -> Option<&Fine> {
        self.fines.iter().find(|fine| fine.id == *id)
    }

    /// Most day passes of one vehicle in the calendar year of that day; 0 when the tables know of none.
    pub fn pass_year_max(&self, day: Day) -> u16 {
        self.pass_maxima.iter().find(|(validity, _)| validity.holds(day)).map_or(0, |(_, max)| *max)
    }

    /// Price of a day pass in cents, with its currency.
    pub fn pass_price(&self, day: Day) -> Option<(u32, &str)> {
        let row = self.pass_prices.iter().find(|(validity, _, _)| validity.holds(day));
        row.map(|(_, cents, currency)| (*cents, currency.as_str()))
    }

    /// The first day on which a pass for `day` can no longer be bought; `None` when the deadline is switched off.
    pub fn pass_closed_from(&self, day: Day) -> Option<Day> {
        self.pass_deadline_days.map(|days| day.plus_days(days.saturating_add(1)))
    }

    /// Whether vehicles of that country need no registration.
    pub fn registration_not_needed(&self, country: Country, day: Day) -> bool {
        self.registration_not_needed.iter().any(|(validity, known)| *known == country && validity.holds(day))
    }

    /// Longest registration of a foreign vehicle that starts on `from`, in years.
    pub fn registration_years_max(&self, from: Day) -> Option<u8> {
        self.registration_years.iter().find(|(validity, _)| validity.holds(from)).map(|(_, years)| *years)
    }
}

fn dated<T>(
    list: &'static str,
    rows: &[RawDated],
    value: impl Fn(&RawDated) -> Option<T>,
    exclusive: bool,
) -> Result<Vec<(Validity, T)>, SeedError> {
    let mut out: Vec<(Validity, T)> = Vec::new();
    for row in rows {
        let validity = Validity::of_toml(row.valid_from, row.valid_to);
        let validity = validity.map_err(|problem| SeedError::entry(FILE, list, problem))?;
        let value = value(row).ok_or_else(|| SeedError::entry(FILE, list, "a value is missing or malformed"))?;
        out.push((validity, value));
    }
    if exclusive && overlap(out.iter().map(|(validity, _)| validity)) {
        return Err(SeedError::entry(FILE, list, "two rows share a day"));
    }
    Ok(out)
}

impl RawFine {
    fn compile(self) -> Result<Fine, SeedError> {
        let bad = |problem: &str| SeedError::entry(FILE, &self.id, problem);
        let validity = Validity::of_toml(self.valid_from, self.valid_to).map_err(|problem| bad(&problem))?;
        let grouped = match self.trigger {
            Trigger::BannedBefore | Trigger::NewlyBanned => true,
            Trigger::ForeignUnregistered | Trigger::RegistrationWrong | Trigger::Announced => false,
        };
        if grouped != self.reference_date.is_some() {
            return Err(bad("`reference_date` belongs to `banned_before` and `newly_banned`, and to them only"));
        }
        if self.enabled && self.trigger == Trigger::Announced {
            return Err(bad("an announced regime cannot be enabled: give it a real trigger"));
        }
        if self.amount_cents == 0 || self.window_months == 0 || self.source.is_empty() {
            return Err(bad("amount, window and source must be given"));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(bad("the currency is three upper-case letters"));
        }
        Ok(Fine {
            id: FineId::new(self.id),
            trigger: self.trigger,
            reference_date: self.reference_date.map(|day| day.0),
            amount_cents: self.amount_cents,
            currency: self.currency,
            window_months: self.window_months,
            year_max: self.year_max,
            year_cap_cents: self.year_cap_cents,
            warning_grace_months: self.warning_grace_months,
            validity,
            enabled: self.enabled,
            source: self.source,
        })
    }
}
