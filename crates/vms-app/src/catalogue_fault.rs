//! Why a partner's catalogue was not taken. What was imported before stays as it is.

/// The first thing that is wrong with a partner's catalogue or with reaching it. Holds nothing of the document but a
/// checked reference: log-ins stand in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueFault {
    /// The catalogue's own address is not in an allowed network, or no web address.
    #[error("the address of the catalogue is not in an allowed network")]
    AddressRefused,
    /// Nobody answers there in time.
    #[error("the partner's catalogue can't be reached")]
    Unreachable,
    /// Answered with something else than 200.
    #[error("the partner's catalogue answered with status {0}")]
    Answered(u16),
    /// Larger than any true catalogue.
    #[error("the catalogue is larger than {max_mib} MiB")]
    TooLarge {
        /// The limit.
        max_mib: usize,
    },
    /// Not JSON at all, such as the HTML page of a log-in.
    #[error("the catalogue is not JSON (line {line}, column {column})")]
    NotJson {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// JSON, but a field is missing, twice, or of the wrong kind.
    #[error("the catalogue has not the agreed shape (line {line}, column {column})")]
    WrongShape {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// Another version of their format.
    #[error("the catalogue has version {0}, version 1 is read")]
    Version(u32),
    /// More cameras than could be true.
    #[error("the catalogue has {found} cameras, at most {max} are read")]
    TooMany {
        /// Cameras in it.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// One camera is wrong; nothing of the document is taken.
    #[error("camera `{reference}` of the catalogue: {problem}")]
    Camera {
        /// Their reference, or `#N` by position when the reference itself is no good.
        reference: String,
        /// Stable word.
        problem: &'static str,
    },
    /// It would retire most of the partner's cameras at once: a person must order the import.
    #[error("the catalogue would retire {gone} of {known} cameras: an administrator must order the import")]
    ManyGone {
        /// Cameras that are no longer in it.
        gone: usize,
        /// Cameras in service now.
        known: usize,
    },
}

impl CatalogueFault {
    /// Stable word for problem documents.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable | Self::Answered(_) => "catalogue_unreachable",
            Self::AddressRefused
            | Self::TooLarge { .. }
            | Self::NotJson { .. }
            | Self::WrongShape { .. }
            | Self::Version(_)
            | Self::TooMany { .. }
            | Self::Camera { .. }
            | Self::ManyGone { .. } => "catalogue_refused",
        }
    }

    /// Stable word for what is wrong.
    pub const fn problem(&self) -> &'static str {
        match self {
            Self::AddressRefused => "address_refused",
            Self::Unreachable => "unreachable",
            Self::Answered(_) => "http_status",
            Self::TooLarge { .. } => "too_large",
            Self::NotJson { .. } => "not_json",
            Self::WrongShape { .. } => "wrong_shape",
            Self::Version(_) => "version",
            Self::TooMany { .. } => "too_many",
            Self::Camera { problem, .. } => problem,
            Self::ManyGone { .. } => "many_gone",
        }
    }
}
