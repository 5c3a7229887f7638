//! The counts that stay when reads are gone.

use vms_core::CameraId;

/// What a decision came to, for the counter that stays when the read is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tally {
    /// May drive.
    Allowed,
    /// May drive, by an exemption.
    Exempt,
    /// May drive, by a day pass.
    Pass,
    /// May not, but no fine is possible in this window.
    NoFineInWindow,
    /// Nothing to say about.
    OutOfScope,
    /// A finding: infraction.
    Infraction,
    /// A finding: warning.
    Warning,
    /// A finding: a person decides.
    Undetermined,
    /// There is a finding of this vehicle and day already.
    SameDay,
    /// May pass: the zone is open at that hour.
    Open,
    /// May pass, by a permit.
    Permitted,
    /// A run that was not above the limit.
    Compliant,
    /// Above the limit, and below what is prosecuted.
    BelowThreshold,
    /// Nothing may be made of it.
    NotUsable,
    /// The other end was not read in time.
    Unpaired,
    /// The other end of a run or stay that is counted by its first.
    Paired,
    /// Its term ended before there was a decision.
    Expired,
    /// Its row in the database is damaged: nobody could decide.
    Damaged,
}

impl Tally {
    /// The word in the counter's row.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Exempt => "exempt",
            Self::Pass => "pass",
            Self::NoFineInWindow => "no_fine_in_window",
            Self::OutOfScope => "out_of_scope",
            Self::Infraction => "infraction",
            Self::Warning => "warning",
            Self::Undetermined => "undetermined",
            Self::SameDay => "same_day",
            Self::Open => "open",
            Self::Permitted => "permitted",
            Self::Compliant => "compliant",
            Self::BelowThreshold => "below_threshold",
            Self::NotUsable => "not_usable",
            Self::Unpaired => "unpaired",
            Self::Paired => "paired",
            Self::Expired => "expired",
            Self::Damaged => "damaged",
        }
    }
}

/// One count of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCount {
    /// Hours since 1970; `None` where a purpose counts by day.
    pub hour: Option<i64>,
    /// The camera.
    pub camera: CameraId,
    /// Word of [`Tally`].
    pub outcome: String,
    /// How many.
    pub count: u64,
}
