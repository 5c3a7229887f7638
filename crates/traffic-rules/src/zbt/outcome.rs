//! What a decision says. Reasons are codes with values; words in three languages are the console's.

use serde::{Deserialize, Serialize};
use vms_core::WallTime;

use super::{FineId, PermitId, PermitStatus, RightCode, WindowId};
use crate::day::Day;
use crate::seed::RuleSetVersion;
use crate::word::{self, code_word};

code_word!(
    /// Names a retention class of `seed/retention.toml`.
    RetentionCode
);

/// The result of one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZbtOutcome {
    /// What the rules say.
    pub verdict: ZbtVerdict,
    /// The closed window that the passage fell in; `None` in open hours and where none was reached.
    pub rule: Option<WindowId>,
    /// The day in Brussels that the passage counts for.
    pub day: Day,
    /// Why, in the order in which it was found.
    pub reasons: Vec<Reason>,
    /// The plate or its country must be confirmed by a person against the picture before anything is made of this outcome.
    pub confirm_plate_first: bool,
    /// For a candidate: the first instant from which no permit granted afterwards can undo it.
    #[serde(with = "word::instant_opt")]
    pub final_from: Option<WallTime>,
    /// The class that the read is kept under from now on.
    pub retention: RetentionCode,
    /// Whether nothing of the read but a count may stay.
    pub erase_now: bool,
    /// Version of the tables.
    pub rule_set_version: RuleSetVersion,
    /// SHA-256 of the serialised input, 64 hexadecimal digits.
    pub snapshot_hash: String,
}

impl ZbtOutcome {
    /// Whether a sanctioning official must see it.
    pub fn needs_official(&self) -> bool {
        match self.verdict {
            ZbtVerdict::Candidate { .. } | ZbtVerdict::Warning { .. } | ZbtVerdict::Undetermined => true,
            ZbtVerdict::Open
            | ZbtVerdict::Exempt { .. }
            | ZbtVerdict::Permitted { .. }
            | ZbtVerdict::AwaitsExit { .. }
            | ZbtVerdict::AlreadyCounted
            | ZbtVerdict::OutOfScope => false,
        }
    }
}

/// What the rules say of one passage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum ZbtVerdict {
    /// The zone is open to everyone at that hour.
    Open,
    /// The vehicle may pass without a permit.
    Exempt {
        /// By which right.
        right: RightCode,
    },
    /// It may pass by a permit.
    Permitted {
        /// By which right.
        right: RightCode,
        /// Which permit.
        permit: PermitId,
    },
    /// It may not; whether it counts is known when it is read leaving, or not read by then.
    AwaitsExit {
        /// First instant at which the wait is over.
        #[serde(with = "word::instant")]
        until: WallTime,
    },
    /// It may not, and a fine is possible once an official has made the statement.
    Candidate {
        /// Under which fine rule.
        fine: FineId,
        /// Amount.
        amount_cents: u32,
        /// ISO 4217 code.
        currency: String,
    },
    /// It may not; the zone only warns.
    Warning {
        /// First day of fines.
        fine_from: Day,
    },
    /// It may not, but what it would make is made already.
    AlreadyCounted,
    /// The tables do not decide it: a person does.
    Undetermined,
    /// The zone has nothing to say about this read.
    OutOfScope,
}

/// One reason, as a code with its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// The tables have no such zone.
    ZoneUnknown,
    /// The zone is known but not enabled.
    ZoneNotEnabled,
    /// The zone was not in force that day.
    ZoneNotInForce,
    /// A trailer's plate.
    TrailerPlate,
    /// The vehicle was read leaving, and no entry is known.
    ExitWithoutEntry,
    /// The zone counts an entry only with its exit, and none was read in time.
    EntryWithoutExit,
    /// The exit is before the entry, or too long after it to belong to it.
    NotAPair,
    /// The hour is outside the closed windows.
    OpenHours,
    /// An entry in a list, or the plate's kind.
    Listed {
        /// The right.
        right: RightCode,
    },
    /// An entry in a list is not in force at that instant.
    ListingNotInForce {
        /// The right.
        right: RightCode,
    },
    /// A permit covers the passage.
    PermitCovers {
        /// Which one.
        permit: PermitId,
    },
    /// A permit granted after the passage, in time for it.
    PermitRegularises {
        /// Which one.
        permit: PermitId,
    },
    /// A permit does not cover the passage.
    PermitFails {
        /// Which one.
        permit: PermitId,
        /// Why.
        why: PermitGap,
    },
    /// No right at all.
    NoRight,
    /// The vehicle was read leaving too.
    ExitRead,
    /// The zone only warns until the day given.
    WarningPeriod {
        /// Last day of warnings.
        until: Day,
    },
    /// A candidate or a warning covers the passage already.
    CountedBefore,
    /// No fine rule covers that day.
    NoFineRule,
    /// The country of the plate is not sure.
    CountryUnsure,
    /// A character of the plate was corrected.
    PlateCorrected,
    /// Such a plate is never taken from a picture alone.
    PlateKindWeak,
}

/// Why a permit does not cover a passage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gap", rename_all = "snake_case")]
pub enum PermitGap {
    /// The tables have no such right, or it was not in force, or it is none that permits are given for.
    NoSuchRight,
    /// The right cannot be used in this zone.
    RightNotHere,
    /// The permit does not name this zone.
    OtherZone,
    /// It is not granted.
    Status {
        /// How it stands.
        status: PermitStatus,
    },
    /// It starts later, or is over, or the law ended it.
    Period,
    /// Outside the hours of the right or of the permit.
    Hours,
    /// It was granted after the passage, and too late for it.
    GrantedLater,
    /// The group has more vehicles than its places allow, and this one was not among the first.
    BeyondQuota {
        /// Most vehicles of the group.
        max: u32,
    },
}
