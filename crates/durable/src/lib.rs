//! Syncs that can be believed.
//!
//! Belongs here: the two ways in which Linux lets `fdatasync` succeed over bytes that are lost, and what is done against each.
//! Does not belong here: what is synced, when, and what follows from a failure.
//!
//! 1. **An error is told once per open file.** Whoever syncs next gets a success over pages that the kernel has dropped
//!    (`errseq_t`, Linux `Documentation/core-api`). So a file that failed once is never synced again: [`Synced`].
//! 2. **ext4 says yes after its journal gave up.** `ext4_sync_file` waits for the transaction that holds the inode only while it runs or
//!    commits (`jbd2_complete_transaction`); when that commit failed a moment ago, for somebody else's sync, there is nothing to wait
//!    for, and the answer is 0. Seen in drill R8: of five files that one commit held, two were called durable and lost their last second.
//!    So after a sync, and before anybody hears of it, the file system is asked whether it still takes changes: [`stands`].

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};

/// Whether the file system that holds `file` still takes changes. To be asked after a sync and before it is believed: where the
/// answer is yes, no commit had failed until now, so the one that held the file came to its end.
///
/// Touches the time of the last change. That starts a handle of the journal, which notices that the journal gave up (the first
/// touch need not say so, the second does). Costs two system calls and no write of its own.
///
/// # Errors
/// The file system is read-only or gave up: nothing that was synced since it last stood may be believed.
pub fn stands(file: &File) -> io::Result<()> {
    let keep = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: keep, last_modification: now };
    for _ in 0..2 {
        match futimens(file, &times) {
            // Another user's file: it cannot be asked.
            Ok(()) | Err(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The file's bytes and length survive a power cut.
///
/// # Errors
/// They may not; never sync this file again (the next success would mean nothing).
pub fn sync_data(file: &File) -> io::Result<()> {
    file.sync_data()?;
    stands(file)
}

/// As [`sync_data`], and everything that is known of the file.
///
/// # Errors
/// As [`sync_data`].
pub fn sync_all(file: &File) -> io::Result<()> {
    file.sync_all()?;
    stands(file)
}

/// The names in a folder survive a power cut.
///
/// # Errors
/// They may not; the folder cannot be opened.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    sync_all(&File::open(folder)?)
}

/// An open file that several threads sync. After one failure every sync of it fails.
#[derive(Debug)]
pub struct Synced {
    file: File,
    failed: Mutex<bool>,
}

impl Synced {
    /// Over an open file of which no sync has failed.
    pub const fn new(file: File) -> Self {
        Self { file, failed: Mutex::new(false) }
    }

    /// The file.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// A sync of it failed.
    pub fn is_failed(&self) -> bool {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes every further sync fail.
    pub fn give_up(&self) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// `fdatasync` alone, for a group whose last step is one [`stands`]. One thread at a time, so that no second one gets a success between
    /// the kernel's answer and the note of it.
    ///
    /// # Errors
    /// This sync or an earlier one failed.
    pub fn sync_in_group(&self) -> io::Result<()> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *failed {
            return Err(io::Error::other("a sync of this file failed before"));
        }
        let outcome = self.file.sync_data();
        *failed = outcome.is_err();
        outcome
    }

    /// As [`sync_in_group`](Self::sync_in_group), and whether the file system [`stands`].
    ///
    /// # Errors
    /// This sync or an earlier one failed, or the file system gave up.
    pub fn sync(&self) -> io::Result<()> {
        self.sync_in_group()?;
        stands(&self.file).inspect_err(|_| self.give_up())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_system_that_works_is_believed_and_its_access_time_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"something").unwrap();
        let before = file.metadata().unwrap();
        sync_data(&file).and_then(|()| sync_all(&file)).and_then(|()| sync_folder(folder.path())).unwrap();
        let after = file.metadata().unwrap();
        assert_eq!(before.accessed().unwrap(), after.accessed().unwrap());
        assert!(after.modified().unwrap() >= before.modified().unwrap());
        // Also where it was opened to be read.
        sync_data(&File::open(&path).unwrap()).unwrap();
    }

    #[test]
    fn one_failure_is_for_ever() {
        // The kernel refuses to sync a pipe-like device: the plainest failure there is without a broken disk.
        let synced = Synced::new(File::open("/dev/null").unwrap());
        assert!(synced.sync().is_err() && synced.is_failed());
        let kind = |error: io::Error| error.to_string();
        assert_eq!(synced.sync_in_group().map_err(kind).unwrap_err(), "a sync of this file failed before");

        let folder = tempfile::tempdir().unwrap();
        let synced = Synced::new(File::create(folder.path().join("two")).unwrap());
        synced.sync().unwrap();
        synced.give_up();
        assert!(synced.is_failed() && synced.sync().is_err());
    }
}
