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
    /// The clock that timed it; absent where nothing is known, and in spools of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockRow>,
}

/// State of the clock that times a camera's reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockRow {
    /// Known to be right from here, µs since 1970 …
    pub locked_from_us: i64,
    /// … until here, without a break.
    pub locked_until_us: i64,
    /// Worst offset of the camera's clock against the host's in that time, µs, with its sign.
    pub offset_us: i64,
    /// Bound of the error of the host's time of a picture, µs.
    pub uncertainty_us: u64,
    /// Last update of the host's clock from its source.
    pub synced_us: Option<i64>,
    /// The camera's own time of the read.
    pub second_us: Option<i64>,
}

/// The same for a camera, whether it read anything or not: what carries a lock from one end of a run to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraClockRow {
    /// `cam_…`.
    pub camera: String,
    /// Its clock.
    pub clock: ClockRow,
}

impl std::fmt::Debug for ReadRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadRow").field("read", &self.read).field("camera", &self.camera).finish_non_exhaustive()
    }
}
