//! What is asked about a range beside its bytes: its parts one by one, and previews.

use serde::{Deserialize, Serialize};

/// Most parts in one answer.
pub const RANGE_PARTS_MAX: u32 = 1_000;

/// One `moof` and `mdat` of an open range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRow {
    /// First byte in the virtual file; 0 in a preview, whose parts are asked for by number.
    pub at: u64,
    /// Bytes; 0 in a preview.
    pub size: u64,
    /// When its first picture shows on the file's time line, ticks of 1/90,000 s.
    pub shows: u64,
    /// Ticks until the next part, or to its own end before a jump.
    pub ticks: u64,
    /// Wall time of its first unit.
    pub wall_us: i64,
    /// Which init segment, from 1.
    pub init: u32,
    /// Starts with a key frame.
    pub is_key: bool,
    /// Another connection to the camera or other parameter sets than the part before.
    pub jump: bool,
}

/// Messages of [`super::Control::Range`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum RangeAsk {
    /// Opens the key frames of a span, thinned by its length; answered by `RangeInfo` (with size 0) or `Refused`.
    OpenPreview {
        /// Capability text, as for the footage itself.
        capability: String,
        /// `str_…`.
        stream: String,
        /// From.
        from_us: i64,
        /// To.
        to_us: i64,
    },
    /// Asks for `Page`: at most [`RANGE_PARTS_MAX`] parts of the open range.
    Parts {
        /// So many are known already.
        after: u32,
    },
    /// Answer to `Parts`.
    Page {
        /// Parts in order.
        parts: Vec<PartRow>,
        /// How many there are in all.
        total: u32,
        /// Base64: the init segment of the whole file, then one for each set of parameter sets alone. Only on the first page.
        inits: Vec<String>,
    },
    /// Asks for one part of an open preview: `Bytes` messages, then `Done`.
    ReadPart {
        /// From 0.
        number: u32,
    },
}
