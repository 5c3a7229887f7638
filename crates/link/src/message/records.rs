//! What a recorder tells for the log of uses: segments that are closed or erased, gaps, and its deletion records.

use serde::{Deserialize, Serialize};

use super::GapRow;

/// Most rows of each kind in one page.
pub const RECORDS_MAX: u32 = 1_000;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordsAsk {
    /// Closed or erased segments, and gaps, changed after a cursor; answered by [`RecordsPage::Told`].
    Told {
        /// Cursor; 0: from the beginning.
        after: u64,
        /// At most so many of each kind.
        limit: u32,
    },
    /// Deletion records after one; answered by [`RecordsPage::Deletions`].
    Deletions {
        /// Name of the last one known; empty: from the beginning.
        after: String,
        /// At most so many.
        limit: u32,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordsPage {
    /// Rows in the order of their changes.
    Told {
        /// Closed or erased segments.
        segments: Vec<ToldSegment>,
        /// Gaps, those that last as well.
        gaps: Vec<GapRow>,
        /// Next cursor.
        cursor: u64,
    },
    /// Deletion records, oldest first.
    Deletions {
        /// The records.
        rows: Vec<DeletionRow>,
    },
}

/// A segment that grows no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldSegment {
    /// `seg_…`.
    pub segment: String,
    /// `str_…`.
    pub stream: String,
    /// `cam_…`.
    pub camera: String,
    /// Wall time of the first unit.
    pub from_us: i64,
    /// Wall time of the end of the last unit.
    pub to_us: i64,
    /// End of the term that its class had when it was recorded.
    pub delete_by_us: i64,
    /// Digest of the closed segment in hexadecimal.
    pub digest: Option<String>,
    /// Set when the sweeper destroyed it.
    pub erased_us: Option<i64>,
}

/// One line of the deletion records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionRow {
    /// Its name: month and place, such as `2026-11:000000004711`. Rises, and never changes.
    pub record: String,
    /// The line, JSON.
    pub line: String,
}
