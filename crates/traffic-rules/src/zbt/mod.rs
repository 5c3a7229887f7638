//! Zones with restricted access (`domain.md` B): tables in `seed/zbt`, one pure decision over them.
//!
//! [`RuleSet`] holds the tables, [`ZbtInput`] what is known of one passage, [`decide()`] gives a [`ZbtOutcome`]. The same
//! tables say whether a permit can be given ([`admit()`]). A candidate is never a fine: an authorised official of the
//! municipality makes the statement.

pub mod admit;
pub mod decide;
pub mod fine;
pub mod outcome;
pub mod right;
pub mod rule_set;
pub mod snapshot;
pub mod zone;

mod permit;

#[cfg(test)]
mod test_input;
#[cfg(test)]
mod test_replay;
#[cfg(test)]
mod test_vectors;

pub use admit::{AdmissionRefusal, admit};
pub use decide::decide;
pub use outcome::{Reason, RetentionCode, ZbtOutcome, ZbtVerdict};
pub use rule_set::{RuleSet, SeedTexts};
pub use snapshot::{
    GroupMember, ListKind, Listing, Passage, Permit, PermitStatus, PriorPassage, QuotaGroup, ZbtHistory, ZbtInput,
};
pub use zone::Pairing;

use crate::word::code_word;

code_word!(
    /// Names one zone, such as `ZBT-XL-A`.
    ZoneCode
);
code_word!(
    /// Names one closed window of one zone, such as `ZBT-XL-A-DAY`.
    WindowId
);
code_word!(
    /// Names one right to pass, such as `Z-DELIV`.
    RightCode
);
code_word!(
    /// Names one fine, such as `ZBT-C3`.
    FineId
);
code_word!(
    /// Names one permit in the permit desk's file. Never a plate.
    PermitId
);
