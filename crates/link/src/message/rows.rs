//! Rows of a recorder's index, as `serve` copies them.

use serde::{Deserialize, Serialize};

use super::Cause;

/// One closed or growing segment, as the recorder's index has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRow {
    /// Rises with every change of any row of this recorder: the cursor of the copy.
    pub change: u64,
    /// `seg_…`.
    pub segment: String,
    /// `str_…`.
    pub stream: String,
    /// Wall time of the first unit.
    pub from_us: i64,
    /// Wall time of the end of the last unit.
    pub to_us: i64,
    /// Bytes of payload.
    pub payload_bytes: u64,
    /// Number of fragments.
    pub fragments: u32,
    /// Number of access units.
    pub units: u32,
    /// False while it grows.
    pub closed: bool,
    /// Digest of the closed segment in hexadecimal.
    pub digest: Option<String>,
    /// Set when the sweeper destroyed it.
    pub erased_us: Option<i64>,
    /// Retention class at the time of recording.
    pub retention_class: String,
}

/// One hole in a recorded stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRow {
    /// See [`SegmentRow::change`]; segments and gaps share the counter.
    pub change: u64,
    /// `str_…`.
    pub stream: String,
    /// Start of the hole.
    pub from_us: i64,
    /// End of the hole; absent while it lasts.
    pub to_us: Option<i64>,
    /// Why.
    pub cause: Cause,
}
