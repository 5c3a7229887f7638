//! The state of each tier as typed values: what an operator has to know, for health, metrics and alarms.

use vms_core::{SegmentId, WallTime};

use crate::plan::TierName;

/// Most segments named in one alarm; the rest are counted.
pub const NAMED_MAX: usize = 100;

/// Whether a tier takes uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TierState {
    /// Not tried since the start.
    #[default]
    Unknown,
    /// The last request worked.
    Up,
    /// Requests fail or time out; tried again with growing pauses. Local copies stay.
    Down {
        /// First failure in a row.
        since: WallTime,
    },
    /// What was read back was not what was sent, or was not there; tried again with growing pauses. Local copies stay.
    Lying {
        /// First wrong answer in a row.
        since: WallTime,
    },
}

/// Something a person should see. Equal alarms are one alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The tier does not answer, or refuses.
    Down {
        /// Which.
        tier: TierName,
        /// Since when.
        since: WallTime,
    },
    /// The tier took bytes and gave back others, or none.
    Lying {
        /// Which.
        tier: TierName,
        /// Since when.
        since: WallTime,
    },
    /// The oldest segment that waits is older than an hour.
    Backlog {
        /// Segments that wait.
        segments: u64,
        /// Their bytes.
        bytes: u64,
        /// End of the oldest.
        oldest: WallTime,
    },
    /// By the rules these belong in a tier, but their term ends before they would arrive.
    TooLate {
        /// How many in the last pass.
        segments: u64,
    },
    /// Reconciling found stored segments gone or of another length; those with a local copy go up again.
    LostInStore {
        /// Which, at most [`NAMED_MAX`].
        segments: Vec<SegmentId>,
        /// How many.
        count: u64,
        /// How many of them have no local copy: nothing of ours can bring these back.
        without_local: u64,
    },
    /// Reconciling found objects that should have gone.
    Outlived {
        /// How many.
        count: u64,
    },
}

/// One tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierHealth {
    /// Its name.
    pub name: TierName,
    /// Its state.
    pub state: TierState,
    /// What it said when a request failed last, since it worked last; keys of objects at most, no content, no credentials.
    pub said: Option<String>,
}

/// All of it, published after each pass.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Health {
    /// State of each tier.
    pub tiers: Vec<TierHealth>,
    /// Segments that wait for a tier.
    pub waiting_segments: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Alarms now.
    pub alarms: Vec<Alarm>,
}
