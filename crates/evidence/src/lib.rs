//! Evidence: a span of footage as one folder that a court can check without us.
//!
//! Belongs here: the export as a job on disk that survives a kill ([`Job`]), the films (re-muxed, NAL bytes untouched, sealed with the
//! boxes of the ONVIF Export File Format), the manifest and its signature, the custody sheet, and the check of all of it
//! ([`verify::folder`]), which needs nothing but the folder. Does not belong here: who may export (`policy`, `vms-app`), and where
//! footage comes from: that is the port [`Footage`], whose one real implementation sits beside the recorder's playback.
//!
//! The formats are told in `docs/EVIDENCE.md`.

mod coverage;
mod custody;
mod disk;
mod error;
mod film;
mod job;
mod manifest;
mod onvif;
mod papers;
mod port;
mod proof;
#[cfg(test)]
mod realfilm;
mod sign;
mod subtitles;
#[cfg(test)]
mod testfilm;
mod times;
pub mod verify;

pub use error::ExportError;
pub use job::{Job, Opened, Progress, Stage, Step};
pub use manifest::{
    Basis, CameraFacts, CameraReport, ClockReport, Digest, ExportingUnit, FileDigest, FilmReport, Gap, Language,
    LogEntry, Manifest, Order, Person, Place, Purpose, SegmentFact, SignerReport,
};
pub use port::{Footage, Frames, Mark, Piece, SourceError};
pub use proof::LogProof;
pub use sign::{SignError, Signer, SignerName, fingerprint_of_pem};
pub use times::Utc;
