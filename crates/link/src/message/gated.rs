//! Footage that a decision keeps past its first term, behind the magistrate's gate, as `serve` and the recorder speak of it.

use serde::{Deserialize, Serialize};

/// Most decisions that a recorder is told of.
pub const GATED_MAX: usize = 20_000;

/// A decision: hours of one camera, or of a whole class, move behind the gate at the end of their term instead of dying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatedSpec {
    /// Number of the decision.
    pub decision: String,
    /// `cam_…`; absent: every camera whose footage has the class.
    pub camera: Option<String>,
    /// Retention class.
    pub class: String,
    /// First hour, since 1970.
    pub from_hour: u32,
    /// First hour after, since 1970.
    pub to_hour: u32,
    /// Both terms together, seconds, as the calendar counts them today; 0: both are over.
    pub keep_s: u64,
}

/// What a recorder did with a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatedRow {
    /// Number of the decision.
    pub decision: String,
    /// Keys of hours that are behind the gate.
    pub hours: u64,
    /// Keys of hours whose first term is over and that cannot move: there is no gate.
    pub waiting: u64,
}
