//! What can go wrong, in the words that an alarm shows.

use std::fmt;
use std::io;

use vms_core::{HoldId, SegmentId};

use crate::ids::{Generation, StoreId};
use crate::secret::RandomError;
use crate::state::Dead;

/// Which of the two copies of the key store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Copy {
    /// The first.
    First,
    /// The second, on another disk or host.
    Second,
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::Second => "second",
        })
    }
}

/// Why the key store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A copy cannot be written: no new key may be used. The camera stops, with an alarm. After the cause is mended the store
    /// has to be opened again.
    #[error("the {copy} copy of the key store cannot be written, so no new key is used")]
    CopyFailed {
        /// Which.
        copy: Copy,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A copy was not there when the store was opened: it can be read, swept and held, but no new key is made.
    #[error("the {copy} copy of the key store is missing, so no new key is used")]
    CopyMissing {
        /// Which.
        copy: Copy,
    },
    /// Neither copy is there.
    #[error("no copy of the key store is there")]
    NoCopy,
    /// The file system.
    #[error("{what} cannot be read or written")]
    Io {
        /// Of what.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An earlier write failed half way: the store has to be opened again.
    #[error("an earlier write to the key store failed: it has to be opened again")]
    Faulted,
    /// Opened for reading only.
    #[error("the key store was opened for reading only")]
    ReadOnly,
    /// Another process has it.
    #[error("another process has the key store open")]
    Locked,
    /// Bytes were changed, or whole parts are missing, in every copy.
    #[error("the key store is damaged in every copy: `{file}` from byte {at}")]
    Damaged {
        /// File name.
        file: String,
        /// First byte that cannot be trusted.
        at: u64,
    },
    /// The root of this generation is in no copy, or damaged in each.
    #[error("the root of generation {generation} is missing or damaged in every copy")]
    NoRoot {
        /// Which.
        generation: Generation,
    },
    /// The root is there, but sealed under another credential.
    #[error("the root does not open with the credential that was given")]
    WrongCredential,
    /// The credential is shorter than 32 bytes.
    #[error("the credential has fewer than 32 bytes")]
    Credential,
    /// The copies belong to different stores.
    #[error("the copy belongs to the key store {found}, not to {wanted}")]
    OtherStore {
        /// The one that is open.
        wanted: StoreId,
        /// The one that was found.
        found: StoreId,
    },
    /// A segment key is made once.
    #[error("{segment} has a key already: a segment is never begun twice")]
    SegmentExists {
        /// Which.
        segment: SegmentId,
    },
    /// A hold that ended does not begin again.
    #[error("{hold} was released: a hold does not begin again")]
    HoldReleased {
        /// Which.
        hold: HoldId,
    },
    /// No such hold lives.
    #[error("{hold} is not in force")]
    NoSuchHold {
        /// Which.
        hold: HoldId,
    },
    /// The wrap of the hold's key is damaged in every copy.
    #[error("the key of {hold} is damaged in every copy: place a new hold")]
    HoldDamaged {
        /// Which.
        hold: HoldId,
    },
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No more generations or numbers.
    #[error("the numbers of the key store are used up")]
    Exhausted,
    /// There is no gate, or its private half is not to be had.
    #[error("the magistrate's gate: {why}")]
    Gate {
        /// In plain words.
        why: &'static str,
    },
    /// Not a backup of a key store, or its key is gone.
    #[error("the backup does not open: {why}")]
    Backup {
        /// In plain words.
        why: &'static str,
    },
}

impl KeyError {
    /// What the operator does about it, in one sentence.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::CopyFailed { .. } => "make that disk writable (space, mount, rights): the recorder goes on by itself",
            Self::CopyMissing { .. } => {
                "mount that disk: the recorder goes on by itself; for a new, empty disk run `belfry keys adopt`"
            }
            Self::NoCopy => {
                "mount the folder of the key store, or restore a backup (`belfry keys restore`); \
                 `belfry keys create` makes a new store, and what was sealed before is lost"
            }
            Self::Io { .. } | Self::Faulted => "look at the disk of the key store: the recorder tries again by itself",
            Self::ReadOnly => "the store can only be read: see the error before this one",
            Self::Locked => "stop the other program that uses the key store",
            Self::Damaged { .. } | Self::NoRoot { .. } => {
                "keep the folders as they are, run `belfry keys check`, and restore the newest backup"
            }
            Self::WrongCredential | Self::Credential => "give the credential that the key store was made with",
            Self::OtherStore { .. } => "put the folder of the right key store back: this one belongs to other footage",
            Self::SegmentExists { .. }
            | Self::HoldReleased { .. }
            | Self::NoSuchHold { .. }
            | Self::HoldDamaged { .. } => "ask again with another number",
            Self::Random(_) => "the system gives no random numbers: look at its log",
            Self::Exhausted => "make a new key store",
            Self::Gate { .. } => {
                "attach the medium with the folder of the gate; `belfry keys gate-create` makes a gate where there is none"
            }
            Self::Backup { .. } => "use another backup, or wait for the next",
        }
    }

    pub(crate) fn io(what: &'static str, source: io::Error) -> Self {
        Self::Io { what, source }
    }
}

/// Why a segment does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenSegmentError {
    /// Its hour key was destroyed, and no hold keeps it.
    #[error("its key was destroyed ({})", .0.reason)]
    Destroyed(Dead),
    /// Its hour key is behind the magistrate's gate: an ordinary opening does not see it.
    #[error("its key is behind the magistrate's gate")]
    Gated,
    /// Its hour key is known, but the key of this segment was never saved, or lost with damaged bytes.
    #[error("no key was saved for this segment")]
    NotSaved,
    /// The head names an hour key that this store never had (or has forgotten long after its end).
    #[error("its key number is unknown to this key store")]
    UnknownEpoch,
    /// The wrap is there but does not open.
    #[error("its wrapped key is damaged")]
    Damaged,
    /// The store itself.
    #[error(transparent)]
    Store(#[from] KeyError),
}
