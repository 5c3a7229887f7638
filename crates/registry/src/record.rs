//! The exact record of what was asked, for whom and why. Values: the caller stores them beside its log leaf.

use vms_core::{Country, Plate, Purpose, WallTime};

use crate::flow::FlowId;

/// One request that left, whatever came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskRecord {
    /// Id of the request; the same over its repetitions.
    pub request_id: String,
    /// Flow used.
    pub flow: FlowId,
    /// Institution on whose behalf.
    pub institution: String,
    /// Source asked.
    pub source: String,
    /// Purpose.
    pub purpose: Purpose,
    /// Why: the caller's reference, such as a decision id.
    pub reason: String,
    /// When the first attempt left.
    pub asked_at: WallTime,
    /// When the last attempt ended.
    pub ended_at: WallTime,
    /// Attempts made.
    pub attempts: u32,
    /// What was asked, item by item, with what came back.
    pub items: Vec<AskedItem>,
    /// How it ended.
    pub end: AskEnd,
}

/// One plate of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedItem {
    /// Plate.
    pub plate: Plate,
    /// Its country.
    pub country: Country,
    /// Instant asked about.
    pub at: WallTime,
    /// What came back.
    pub outcome: ItemOutcome,
}

/// What came back for one plate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// A vehicle.
    Found,
    /// The source knows no such plate.
    Unknown,
    /// The source will answer later.
    Pending,
    /// Two different answers.
    Contradictory,
    /// An answer that cannot be read.
    Malformed,
    /// No answer for this plate, or none at all.
    None,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskEnd {
    /// An answer was read.
    #[error("answered")]
    Answered,
    /// The integrator refuses this use (401, 403) or the request (other 4xx); asking again is no use.
    #[error("refused with status {status}")]
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// Every attempt failed, or the integrator asks to wait longer than this client may.
    #[error("gave up: {last}")]
    GaveUp {
        /// The last failure.
        last: AttemptFailure,
    },
}

/// Why one attempt failed in a way that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttemptFailure {
    /// 429.
    #[error("the quota is used up")]
    Quota {
        /// What the integrator asks to wait, seconds.
        retry_after_s: Option<u64>,
    },
    /// 5xx.
    #[error("server status {status}")]
    Server {
        /// HTTP status.
        status: u16,
    },
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection, or it broke.
    #[error("no connection")]
    Connection,
    /// The answer is too long or not of the expected shape.
    #[error("the answer cannot be read")]
    Garbled,
}
