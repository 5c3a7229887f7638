//! What a decision says. Reasons are codes with values; words in three languages are the console's.

use serde::{Deserialize, Serialize};

use super::number::{Fraction, Millimetres};
use super::{RuleId, TrajectoryCode};
use crate::day::Day;
use crate::seed::RuleSetVersion;
use crate::word::code_word;

code_word!(
    /// Names a retention class of `seed/retention.toml`.
    RetentionCode
);

/// The result of one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrajectoryOutcome {
    /// What the rules say.
    pub verdict: TrajectoryVerdict,
    /// Which trajectory.
    pub trajectory: TrajectoryCode,
    /// The margin that was decisive; `None` where nothing was measured.
    pub rule: Option<RuleId>,
    /// The day in Brussels of the entry; of the exit where there is no entry.
    pub day: Option<Day>,
    /// What was measured, where something was.
    pub measured: Option<Measured>,
    /// Why, in the order in which it was found.
    pub reasons: Vec<Reason>,
    /// The plate or its country must be confirmed by a person against the picture before anything is made of this outcome.
    pub confirm_plate_first: bool,
    /// The class that the reads are kept under from now on.
    pub retention: RetentionCode,
    /// Whether nothing of the reads but a count may stay.
    pub erase_now: bool,
    /// Version of the tables.
    pub rule_set_version: RuleSetVersion,
    /// SHA-256 of the serialised input, 64 hexadecimal digits.
    pub snapshot_hash: String,
}

/// What the rules say of one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum TrajectoryVerdict {
    /// Not above the limit.
    Compliant,
    /// Above the limit, and below what is prosecuted.
    BelowThreshold {
        /// Corrected speed above the limit, km/h.
        over_kmh: u16,
    },
    /// Above the limit: a finding, once a person has looked at the pictures.
    Infraction {
        /// Corrected speed above the limit, km/h.
        over_kmh: u16,
    },
    /// Nothing may be made of it.
    NotUsable,
}

/// How a speed was worked out, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Certified distance.
    pub certified: Millimetres,
    /// The distance that was used: shorter by its uncertainty where the tables say so.
    pub distance: Millimetres,
    /// Number of the certificate.
    pub document: String,
    /// What measured, at the entry and at the exit.
    pub instruments: Vec<Instrument>,
    /// Time between the reads, microseconds.
    pub time_us: u64,
    /// The time that was used: longer by the uncertainty of both clocks.
    pub favourable_us: u64,
    /// Certified distance over the time between the reads, km/h.
    pub raw: Fraction,
    /// Used distance over the used time, km/h.
    pub favourable: Fraction,
    /// The whole part of that, km/h.
    pub truncated_kmh: u16,
    /// After the margin, rounded down, km/h.
    pub corrected_kmh: u16,
    /// The highest limit in force during the run, km/h.
    pub limit_kmh: u16,
}

/// The instrument at one end, as the file of a finding must name it (royal decree of 12 October 2010, annex 1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Which end.
    pub end: End,
    /// Its serial number.
    pub serial: String,
    /// Number of its model approval.
    pub approval: String,
    /// Number of its verification.
    pub verification: String,
}

/// One reason, as a code with its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// The tables have no such trajectory.
    TrajectoryUnknown,
    /// The trajectory is not active, or was not on that day.
    TrajectoryNotActive,
    /// No entry was read.
    NoEntry,
    /// No exit was read.
    NoExit,
    /// Several reads at the entry.
    SeveralEntries,
    /// Several reads at the exit.
    SeveralExits,
    /// The vehicle may have left the road between the ends.
    LeftBetween,
    /// The plates are of two countries.
    CountriesDiffer,
    /// The cameras took the vehicle for two classes.
    ClassesDiffer,
    /// The plate was not read surely enough at one end.
    ConfidenceLow,
    /// The exit is not after the entry.
    ExitNotAfterEntry,
    /// Slower than a run can be: the vehicle stopped, or it is not one run.
    TooSlow,
    /// Faster than a vehicle can be: it is not one run.
    TooFast,
    /// No certificate of the distance on that day.
    NoCertificate,
    /// An end was not within its term of verification.
    NotVerified {
        /// Which end.
        end: End,
    },
    /// A clock was not locked during the whole run.
    ClockNotLocked {
        /// Which end.
        end: End,
    },
    /// The clocks are too far apart.
    ClocksApart {
        /// Microseconds.
        offset_us: u64,
    },
    /// The clocks are farther apart than they should be, and near enough to measure.
    ClocksOffTarget {
        /// Microseconds.
        offset_us: u64,
    },
    /// No second measurement.
    NoControl,
    /// The second measurement differs too much.
    ControlDiffers,
    /// No parameters, or no limit, on that day.
    TablesSilent,
    /// The margin of so many km/h was subtracted.
    MarginFlat {
        /// km/h.
        kmh: u16,
    },
    /// The margin of so many percent was subtracted.
    MarginPercent {
        /// Percent.
        percent: u16,
    },
    /// A variable sign showed the limit that counts.
    VariableSign {
        /// km/h.
        kmh: u16,
    },
    /// Not above the limit.
    WithinLimit,
    /// Above the limit, below what is prosecuted.
    BelowProsecution,
    /// The country of the plate is not sure.
    CountryUnsure,
    /// A character of the plate was corrected.
    PlateCorrected,
    /// Such a plate is never taken from a picture alone.
    PlateKindWeak,
}

/// One end of a trajectory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Where the run starts.
    Entry,
    /// Where it ends.
    Exit,
}
