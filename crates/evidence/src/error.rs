//! Why an export does not go on.

use crate::port::SourceError;

/// Why an export does not go on. Every one leaves the job on disk as it was at its last checkpoint: it can be resumed or cancelled.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The span has no footage at all; its gaps are told.
    #[error("nothing was recorded in the span: {gaps}")]
    NothingRecorded {
        /// The gaps with their causes, in words.
        gaps: String,
    },
    /// The footage was erased, and its key with it, before it was exported.
    #[error("the footage was erased at the end of its term and its key is destroyed: segment {segment}")]
    KeyDestroyed {
        /// Which segment.
        segment: String,
    },
    /// A stored record does not have the digest that was written with it.
    #[error("a stored record is damaged and is not handed out: segment {segment}")]
    Damaged {
        /// Which segment.
        segment: String,
    },
    /// Footage of the span was erased, or was found, while the export was interrupted.
    #[error("the footage of the span is not what it was when the export began; cancel this export and order it again")]
    FootageChanged,
    /// The recorder does not answer.
    #[error("the recorder does not answer: {0}")]
    Recorder(String),
    /// The disk of the export is full.
    #[error("the disk is full; make room and resume")]
    DiskFull,
    /// The disk of the export.
    #[error("{what} `{path}`")]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is a job or an export of this name.
    #[error("there is an export `{0}` already")]
    Exists(String),
    /// The order says something that cannot be.
    #[error("the order cannot be carried out: {0}")]
    Order(&'static str),
    /// The journal is damaged, or of a newer program.
    #[error("the journal of the export cannot be read")]
    Journal,
    /// What was written before the interruption is not there any more, or not as it was.
    #[error("`{0}` is not as it was left; cancel this export and start again")]
    PartChanged(String),
    /// Boxes.
    #[error("the footage fits no container")]
    Container,
    /// The seal.
    #[error("the export could not be signed")]
    Sign(#[from] crate::sign::SignError),
    /// The finished folder did not pass its own check: it is not handed out.
    #[error("the finished export does not pass its own check: {0}")]
    NotVerified(String),
}

impl ExportError {
    /// Stable word for the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NothingRecorded { .. } => "nothing_recorded",
            Self::KeyDestroyed { .. } => "key_destroyed",
            Self::Damaged { .. } => "damaged",
            Self::FootageChanged => "footage_changed",
            Self::Recorder(_) => "recorder_unavailable",
            Self::DiskFull => "disk_full",
            Self::Disk { .. } => "disk",
            Self::Exists(_) => "exists",
            Self::Order(_) => "order",
            Self::Journal => "journal",
            Self::PartChanged(_) => "part_changed",
            Self::Container => "container",
            Self::Sign(_) => "sign",
            Self::NotVerified(_) => "not_verified",
        }
    }

    /// Whether resuming later can help.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Recorder(_) | Self::DiskFull | Self::Disk { .. } => true,
            Self::NothingRecorded { .. }
            | Self::KeyDestroyed { .. }
            | Self::Damaged { .. }
            | Self::FootageChanged
            | Self::Exists(_)
            | Self::Order(_)
            | Self::Journal
            | Self::PartChanged(_)
            | Self::Container
            | Self::Sign(_)
            | Self::NotVerified(_) => false,
        }
    }
}

impl From<SourceError> for ExportError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Erased { segment } => Self::KeyDestroyed { segment },
            SourceError::Damaged { segment } => Self::Damaged { segment },
            SourceError::Changed => Self::FootageChanged,
            SourceError::Unavailable(words) => Self::Recorder(words),
        }
    }
}
