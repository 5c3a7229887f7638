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
    /// The host's wall clock stepped right before the first unit.
    #[serde(default)]
    pub clock_stepped: bool,
    /// The camera's clock disagreed with the host's in some unit.
    #[serde(default)]
    pub camera_clock_off: bool,
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

/// One fused read, as it leaves the reader's spool. Pictures follow as [`crate::Message::Bytes`], in this order.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadRow {
    /// Position in the spool; acknowledged by it.
    pub spool: u64,
    /// `rea_…`; made by the reader, so that delivery is idempotent.
    pub read: String,
    /// `cam_…`.
    pub camera: String,
    /// `str_…`.
    pub stream: String,
    /// Wall time of the best look.
    pub at_us: i64,
    /// Plate text, canonical. Personal data.
    pub plate: String,
    /// Country sign and its probability in millionths, best first.
    pub countries: Vec<(String, u32)>,
    /// Calibrated probability that the whole text is right, millionths.
    pub confidence: u32,
    /// Whether a grammar repaired a character (`domain.md` F1: never a fine without a person).
    pub corrected: bool,
    /// `approaching`, `leaving` or `unknown`.
    pub direction: String,
    /// Number of looks fused.
    pub looks: u32,
    /// Corners of the plate in the best look, pixels: x,y of top-left, top-right, bottom-right, bottom-left.
    pub corners: [f32; 8],
    /// Name and version of the models.
    pub model: String,
    /// Bytes of the crop (JPEG) that follows first.
    pub crop_len: u32,
    /// Bytes of the masked overview (JPEG) that follows second.
    pub overview_len: u32,
}

impl std::fmt::Debug for ReadRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadRow").field("read", &self.read).field("camera", &self.camera).finish_non_exhaustive()
    }
}
