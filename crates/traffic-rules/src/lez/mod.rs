//! The low-emission zone (`domain.md` A): tables in `seed/lez`, one pure decision over them.
//!
//! [`RuleSet`] holds the tables, [`LezInput`] what is known of one read, [`decide()`] gives a [`LezOutcome`]. A verdict is
//! never a fine: a person validates every finding. Where the data leave room the verdict is
//! [`LezVerdict::Undetermined`], never an infraction.

pub mod decide;
pub mod exemption;
pub mod fine;
pub mod norm;
pub mod outcome;
pub mod rule;
pub mod rule_set;
pub mod segment;
pub mod snapshot;

mod penalty;
mod vehicle;

#[cfg(test)]
mod test_boundaries;
#[cfg(test)]
mod test_input;
#[cfg(test)]
mod test_replay;
#[cfg(test)]
mod test_vectors;

pub use decide::{decide, lez_day};
pub use norm::FuelGroup;
pub use outcome::{LezOutcome, LezVerdict, Reason};
pub use rule_set::{RuleSet, SeedTexts};
pub use snapshot::{
    DayPass, ExemptionGrant, ForeignRegistration, History, LezInput, Lookup, NormSource, PlateReading, PriorFine,
    PriorWarning, SegmentHit, SpecialUse, StatedNorm, VehicleSnapshot,
};

use crate::word::code_word;

code_word!(
    /// Names one rule of the criteria table, such as `LEZ-01`.
    RuleId
);
code_word!(
    /// Names one fine, such as `F-LEZ-OLD`.
    FineId
);
code_word!(
    /// Names one exemption, such as `E-OLD`.
    ExemptionCode
);
code_word!(
    /// Names one stretch outside the zone, such as `EX-RING`.
    SegmentCode
);
