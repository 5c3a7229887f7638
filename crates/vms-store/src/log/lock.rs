//! The signing lock: one small file apart from the log, with the last checkpoint that was signed. What is signed next must have
//! grown out of it, and whoever signs must be the one who wrote it: two sequencers on one log, or a log folder out of an older
//! backup, can't bring about two trees of one size.

use std::path::{Path, PathBuf};

use audit::{Hash, LogKey, Tree};

use super::LogFault;
use super::files::replace;

/// The checkpoint in the lock.
#[derive(Clone, Debug)]
pub(super) struct Locked {
    text: Vec<u8>,
    pub(super) size: u64,
    root: Hash,
}

/// What the lock holds; `None` when nothing was signed yet.
pub(super) fn read(path: &Path, key: &LogKey) -> Result<Option<Locked>, LogFault> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let (size, root) = audit::cosign::open(&text, key.verifier_key(), &[])
        .map_err(|failure| LogFault::Tampered(format!("the signing lock: {failure}")))?;
    Ok(Some(Locked { text, size, root }))
}

/// Whether the tree is the one of the lock; without a lock every tree is.
///
/// # Errors
/// [`LogFault::Tampered`] when it is another tree of the same size, or is signed and larger.
pub(super) fn is_met(locked: Option<&Locked>, tree: &Tree, is_signed: bool) -> Result<bool, LogFault> {
    let Some(locked) = locked else { return Ok(true) };
    if tree.size() == locked.size {
        let is_same = tree.root() == locked.root;
        let another = || LogFault::Tampered(format!("another tree of {} leaves was signed before", locked.size));
        return if is_same { Ok(true) } else { Err(another()) };
    }
    if is_signed && tree.size() > locked.size {
        return Err(LogFault::Tampered("the signing lock is older than the checkpoint".into()));
    }
    Ok(false)
}

/// The lock of a running sequencer.
#[derive(Debug)]
pub(super) struct SigningLock {
    path: PathBuf,
    held: Option<Vec<u8>>,
}

impl SigningLock {
    pub(super) fn new(path: &Path, locked: Option<Locked>) -> Self {
        Self { path: path.to_owned(), held: locked.map(|locked| locked.text) }
    }

    /// Compare and swap: the file holds what this sequencer wrote last, and then the new checkpoint.
    ///
    /// # Errors
    /// [`LogFault::Tampered`] when somebody else wrote it: nothing may be published.
    pub(super) fn swap(&mut self, note: &[u8], size: u64, root: Hash) -> Result<(), LogFault> {
        let there = match std::fs::read(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            there => Some(there?),
        };
        if there != self.held {
            return Err(LogFault::Tampered(format!(
                "somebody else signed: {size} leaves with root {root} stay unsigned"
            )));
        }
        replace(&self.path, note)?;
        self.held = Some(note.to_vec());
        Ok(())
    }
}
