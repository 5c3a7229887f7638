//! What a decision says. Reasons are codes with values; words in three languages are the console's.

use serde::{Deserialize, Serialize};
use vms_core::WallTime;

use super::{ExemptionCode, FineId, RuleId, SegmentCode};
use crate::day::Day;
use crate::seed::RuleSetVersion;
use crate::word;

/// The result of one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LezOutcome {
    /// What the rules say.
    pub verdict: LezVerdict,
    /// The rule of the criteria table that was decisive; `None` where none was reached.
    pub rule: Option<RuleId>,
    /// The day in Brussels that the read counts for.
    pub day: Day,
    /// Why, in the order in which it was found.
    pub reasons: Vec<Reason>,
    /// The plate or its country must be confirmed by a person against the picture before anything is made of this outcome.
    pub confirm_plate_first: bool,
    /// For a finding: the first instant from which no day pass can undo it any more.
    #[serde(with = "word::instant_opt")]
    pub final_from: Option<WallTime>,
    /// Version of the tables.
    pub rule_set_version: RuleSetVersion,
    /// SHA-256 of the serialised input, 64 hexadecimal digits.
    pub snapshot_hash: String,
}

impl LezOutcome {
    /// Whether an agent must see it: an infraction, a warning, or a question.
    pub fn needs_agent(&self) -> bool {
        match self.verdict {
            LezVerdict::Infraction { .. } | LezVerdict::Warning { .. } | LezVerdict::Undetermined => true,
            LezVerdict::Allowed
            | LezVerdict::Exempt { .. }
            | LezVerdict::Pass
            | LezVerdict::NoFineInWindow { .. }
            | LezVerdict::OutOfScope => false,
        }
    }
}

/// What the rules say of one read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum LezVerdict {
    /// The vehicle may drive in the zone.
    Allowed,
    /// It may, by an exemption.
    Exempt {
        /// Which one.
        exemption: ExemptionCode,
    },
    /// It may that day, by a day pass.
    Pass,
    /// It may not, and a fine is possible once a person has validated it.
    Infraction {
        /// Under which fine rule.
        fine: FineId,
        /// Amount.
        amount_cents: u32,
        /// ISO 4217 code.
        currency: String,
    },
    /// It may not; a warning letter and no fine.
    Warning {
        /// The fine rule that asks for the warning; `None` in a transition before any fine rule.
        fine: Option<FineId>,
        /// First day on which a fine becomes possible.
        fine_from: Day,
    },
    /// It may not, but no fine is possible yet.
    NoFineInWindow {
        /// The fine rule; `None` in a transition before any fine rule.
        fine: Option<FineId>,
        /// First day on which a fine is possible again.
        until: Day,
    },
    /// The data do not decide it: a person does. Never a fine by machine.
    Undetermined,
    /// The low-emission zone has nothing to say about this read.
    OutOfScope,
}

/// One reason, as a code with its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// The zone was not in force yet.
    ZoneNotInForce,
    /// The camera watches a stretch outside the zone.
    ExemptSegment {
        /// Which one.
        segment: SegmentCode,
    },
    /// The read names a stretch that the tables do not have.
    SegmentUnknown {
        /// The code.
        segment: SegmentCode,
    },
    /// The detour was not in force at that instant, or no period is known.
    DetourNotInForce,
    /// The vehicle was read elsewhere the same day: the detour is no defence.
    DetourLeft,
    /// A trailer's plate.
    TrailerPlate,
    /// A trade plate: the registry names no vehicle.
    TradePlate,
    /// An exemption applies, but a person must decide it.
    ExemptionNeedsPerson {
        /// Which one.
        exemption: ExemptionCode,
    },
    /// A granted exemption is out of its period.
    GrantNotInForce {
        /// Which one.
        exemption: ExemptionCode,
    },
    /// The registry knows no vehicle with this plate.
    VehicleUnknown,
    /// The registry was not asked.
    RegistryNotAsked,
    /// The registration ties the plate to this vehicle at another time than the read.
    RegistrationPeriod,
    /// The registry gives no category.
    CategoryMissing,
    /// The category is none of those that the tables list.
    CategoryNotListed {
        /// As written.
        category: String,
    },
    /// The tables of that day do not cover this category.
    CategoryNotInScope,
    /// The registry gives no fuel, or one that the tables do not have.
    FuelUnknown,
    /// Fuels of two groups.
    FuelMixed,
    /// Class or mass are missing or contradict each other, and the rules differ by them.
    ClassUnknown,
    /// The registry gives no norm.
    NormMissing,
    /// The norm is none of those that the tables have.
    NormUnreadable,
    /// The norm is derived, not stated: a person decides.
    NormDerived {
        /// Name of the norm.
        norm: String,
    },
    /// The norm belongs to another series than the rule's.
    NormOfOtherSeries {
        /// Name of the norm.
        norm: String,
        /// The unconfirmed equivalent in the rule's series, if there is one.
        equivalent: Option<String>,
    },
    /// What a first registration on that day suggests. Only a hint for the person.
    NormHint {
        /// Name of the norm.
        norm: String,
    },
    /// The norm suffices.
    NormSuffices {
        /// Name of the norm.
        norm: String,
        /// What the rule asks for.
        minimum: String,
    },
    /// The rule asks for no norm.
    NoNormNeeded,
    /// The norm is too low.
    NormBelowMinimum {
        /// Name of the norm.
        norm: String,
        /// What the rule asks for.
        minimum: String,
    },
    /// The rule allows no such vehicle.
    Banned,
    /// The certificate was imported: the norm deserves a look.
    ImportedCertificate {
        /// Sign of the country.
        country: String,
    },
    /// The country of the plate is not sure.
    CountryUnsure,
    /// A character of the plate was corrected.
    PlateCorrected,
    /// Such a plate is never taken from a picture alone.
    PlateKindWeak,
    /// A foreign vehicle without a registration in force.
    ForeignUnregistered,
    /// A person found wrong data in the registration.
    RegistrationWrong,
    /// A day pass for that day.
    DayPass,
    /// A day pass for that day, beyond the year's number.
    DayPassBeyondYear {
        /// The year's number.
        max: u16,
    },
    /// A day pass for that day, bought too late.
    DayPassLate,
    /// Fines start later for this step of the table.
    Transition {
        /// First day of fines.
        from: Day,
    },
    /// Before any warning: the first infraction.
    FirstInfraction,
    /// Still inside the months after the first infraction.
    WarningGrace {
        /// Day of the first infraction.
        first: Day,
    },
    /// Inside the window of an earlier fine.
    FineWindow {
        /// The day that the window is counted from.
        counted_from: Day,
        /// Its length.
        months: u16,
    },
    /// The year's number of fines is reached.
    YearlyNumber,
    /// The year's amount would be passed.
    YearlyAmount,
    /// No fine rule covers this case on that day.
    NoFineRule,
    /// Which group of fine rules applies cannot be told.
    FineGroupUnknown,
}
