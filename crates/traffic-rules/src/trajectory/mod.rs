//! Average-speed control (`domain.md` C): tables in `seed/trajectory`, one pure decision over them.
//!
//! [`RuleSet`] holds the tables, [`TrajectoryInput`] what is known of the reads at both ends, [`decide()`] gives a
//! [`TrajectoryOutcome`]. Whole numbers and fractions only, never floats. Every doubt is in the driver's favour: more
//! uncertainty never makes a higher speed, and what cannot be measured soundly is "not usable", with its reasons. An
//! infraction is a finding: a person looks at the pictures, and the processing centre, not this program, names an amount.

pub mod certificate;
pub mod decide;
pub mod number;
pub mod outcome;
pub mod parameters;
pub mod road;
pub mod rule_set;
pub mod snapshot;

mod measure;

#[cfg(test)]
mod test_bounds;
#[cfg(test)]
mod test_input;
#[cfg(test)]
mod test_replay;
#[cfg(test)]
mod test_vectors;

pub use decide::decide;
pub use number::{Fraction, Millimetres};
pub use outcome::{End, Instrument, Measured, Reason, RetentionCode, TrajectoryOutcome, TrajectoryVerdict};
pub use rule_set::{RuleSet, SeedTexts};
pub use snapshot::{Control, EndClock, EndRead, LimitSign, Stated, TrajectoryInput};

use crate::word::code_word;

code_word!(
    /// Names one trajectory, such as `TRJ-STE`.
    TrajectoryCode
);
code_word!(
    /// Names the margin that was subtracted: `TRJ-MARGIN-FLAT` or `TRJ-MARGIN-PERCENT`.
    RuleId
);
