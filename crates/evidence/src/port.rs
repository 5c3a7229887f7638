//! Where footage comes from: the port that the recorder's playback fills.

use std::sync::Arc;

use media::{Fragment, ParameterSets};

use crate::manifest::{Gap, SegmentFact};

/// How far an export has taken in one camera's footage. A source that is started again at a mark goes on with the piece after it.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Pieces taken in, of every kind.
    pub pieces: u64,
    /// Segment and record number of the last frames taken in, so that a source can seek there.
    pub last: Option<(String, u32)>,
}

/// Frames as they were stored: one fragment of one segment.
#[derive(Clone, Debug)]
pub struct Frames {
    /// Segment they come from.
    pub segment: String,
    /// Number of the record in its segment.
    pub record: u32,
    /// Their decode times count on the same clock as the frames before them (same ingest epoch of the same boot).
    pub same_clock: bool,
    /// Parameter sets in force.
    pub sets: Arc<ParameterSets>,
    /// Units with their payload bytes, untouched, and the sample table.
    pub fragment: Fragment,
}

/// One thing of the recording, in the order of time.
#[derive(Clone, Debug)]
pub enum Piece {
    /// The frames that follow come from this segment.
    Segment(SegmentFact),
    /// Frames.
    Frames(Box<Frames>),
    /// A hole with its cause, as the recorder noted it.
    Gap(Gap),
}

/// Why a source has no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Erased: the key is destroyed.
    #[error("segment {segment} is erased")]
    Erased {
        /// Which.
        segment: String,
    },
    /// The stored bytes do not have their digest.
    #[error("segment {segment} is damaged")]
    Damaged {
        /// Which.
        segment: String,
    },
    /// The footage of the span is not what it was when the export began: what was taken in can't be gone on with.
    #[error("the footage of the span changed")]
    Changed,
    /// It does not answer now.
    #[error("the source does not answer: {0}")]
    Unavailable(String),
}

/// Footage of the cameras of one order. Blocking: an export runs on a thread of its own.
///
/// The same order must give the same pieces every time, from the key frame at or before the start of the span to its end: what is
/// recorded after the order was opened is not in it. At most one fragment is handed over at a time, so memory stays bounded.
pub trait Footage {
    /// Starts (again) with the camera at this place of the order, behind `mark` if one is given.
    ///
    /// # Errors
    /// [`SourceError`].
    fn start(&mut self, camera: usize, mark: Option<&Mark>) -> Result<(), SourceError>;

    /// The next piece of the camera that was started; `None` at the end.
    ///
    /// # Errors
    /// [`SourceError`].
    fn next(&mut self) -> Result<Option<Piece>, SourceError>;
}
