//! The two digests that segment files know, and what is computed with them.
//!
//! BLAKE3 binds as SHA-256 does (256 bits, no known weakness) at a quarter of its cost on the processors that we know, and
//! every byte of footage is hashed. What leaves for a court, an export, is hashed with SHA-256 besides, by whoever makes it.

use sha2::{Digest as _, Sha256};
use vms_core::SegmentId;

/// Which digest a header, a record or a chain of trailers uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestKind {
    /// All of version 2.
    Sha256,
    /// Since version 3.
    Blake3,
}

impl DigestKind {
    /// What this version writes.
    pub const OURS: Self = Self::Blake3;

    /// The byte in a record's header.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Sha256 => 0,
            Self::Blake3 => 1,
        }
    }

    /// The kind of a record that names `code`.
    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Sha256),
            1 => Some(Self::Blake3),
            _ => None,
        }
    }

    /// The kind of a file of this version of the format.
    pub(super) const fn of_version(version: u16) -> Option<Self> {
        match version {
            2 => Some(Self::Sha256),
            3 | super::VERSION => Some(Self::Blake3),
            _ => None,
        }
    }

    /// Digest of some bytes.
    pub(super) fn of(self, bytes: &[u8]) -> [u8; 32] {
        let mut running = RunningDigest::new(self);
        running.update(bytes);
        running.finish()
    }

    /// Trailer of a record of `segment`, given as header and body. Where the id stands is a matter of speed: BLAKE3 takes many
    /// blocks at once when a long run begins at its beginning.
    pub(super) fn trailer(self, segment: SegmentId, record: &[u8]) -> [u8; 32] {
        let mut running = RunningDigest::new(self);
        match self {
            Self::Sha256 => {
                running.update(segment.as_bytes());
                running.update(record);
            }
            Self::Blake3 => {
                running.update(record);
                running.update(segment.as_bytes());
            }
        }
        running.finish()
    }
}

/// A digest under way.
#[derive(Clone, Debug)]
pub(crate) enum RunningDigest {
    Sha256(Sha256),
    Blake3(Box<blake3::Hasher>),
}

impl RunningDigest {
    /// Over nothing yet.
    pub(crate) fn new(kind: DigestKind) -> Self {
        match kind {
            DigestKind::Sha256 => Self::Sha256(Sha256::new()),
            DigestKind::Blake3 => Self::Blake3(Box::default()),
        }
    }

    /// Takes more.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Blake3(hash) => {
                hash.update(bytes);
            }
        }
    }

    /// Over everything so far.
    pub(crate) fn finish(&self) -> [u8; 32] {
        match self {
            Self::Sha256(hash) => hash.clone().finalize().into(),
            Self::Blake3(hash) => hash.finalize().into(),
        }
    }
}
