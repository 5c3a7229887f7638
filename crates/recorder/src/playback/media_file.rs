//! A segment's bytes, wherever they lie: on the local disk, or in a tier when the file has left for one. Everything that reads recorded
//! footage opens it here. Blocking, as reading a disk is.

use std::fs::File;
use std::path::Path;

use vms_core::SegmentId;

use super::{RangeError, Source};
use crate::format::read::{self, ReadError};

/// An open segment.
#[derive(Debug)]
pub(crate) enum MediaFile {
    /// On the local disk.
    Local(File),
    /// In a tier.
    Away(tiers::SegmentFile),
}

impl MediaFile {
    /// Opens a segment: its local file, else its copy in a tier.
    ///
    /// # Errors
    /// [`RangeError::Gone`] when neither has it, [`RangeError::Away`] when the store does not answer, [`RangeError::Damaged`] for the disk's own
    /// errors.
    pub(crate) fn open(source: &Source, path: &Path, segment: SegmentId) -> Result<Self, RangeError> {
        match File::open(source.root.join(path)) {
            Ok(file) => Ok(Self::Local(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = source.tiers.file(segment).map_err(|error| of_tier(&error))?;
                file.map_or(Err(RangeError::Gone), |file| Ok(Self::Away(file)))
            }
            Err(error) => Err(ReadError::Io(error).into()),
        }
    }

    /// Whether opening it again costs a request to a store.
    pub(crate) const fn is_away(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}

impl read::Source for MediaFile {
    fn length(&self) -> std::io::Result<u64> {
        match self {
            Self::Local(file) => file.length(),
            Self::Away(file) => Ok(file.len()),
        }
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        match self {
            Self::Local(file) => file.read_at(at, into),
            Self::Away(file) => file.read_exact_at(into, at),
        }
    }
}

fn of_tier(error: &tiers::ReadError) -> RangeError {
    match error {
        tiers::ReadError::Missing(_) => RangeError::Gone,
        tiers::ReadError::Away(_) | tiers::ReadError::Local { .. } => RangeError::Away,
        tiers::ReadError::Altered(_) | tiers::ReadError::Range(_) => {
            ReadError::Io(std::io::Error::from(std::io::ErrorKind::InvalidData)).into()
        }
    }
}

/// What a failed read of a segment means for whoever asked: a store that is away is no damage.
impl From<ReadError> for RangeError {
    fn from(error: ReadError) -> Self {
        let inside = match &error {
            ReadError::Io(io) => io.get_ref().and_then(|inside| inside.downcast_ref::<tiers::ReadError>()),
            ReadError::Header | ReadError::Locked | ReadError::Record { .. } => None,
        };
        match inside {
            Some(tiers::ReadError::Missing(_)) => Self::Gone,
            Some(tiers::ReadError::Away(_) | tiers::ReadError::Local { .. }) => Self::Away,
            Some(tiers::ReadError::Altered(_) | tiers::ReadError::Range(_)) | None => Self::Damaged(error),
        }
    }
}
