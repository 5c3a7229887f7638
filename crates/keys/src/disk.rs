//! The file system as the key store sees it: few calls, each durable when it returns, so that a test can crash between any two.

use std::fmt;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Files and folders. Contents are durable when a call returns; names are durable after [`Disk::sync_dir`].
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a folder, mode 0700, with its parents. No error when it is there.
    ///
    /// # Errors
    /// Of the system.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;

    /// Names in a folder.
    ///
    /// # Errors
    /// Of the system.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// A whole file.
    ///
    /// # Errors
    /// Of the system.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Length of a file.
    ///
    /// # Errors
    /// Of the system.
    fn len(&self, path: &Path) -> io::Result<u64>;

    /// A new file, mode 0600, written and synced. An error when the name is taken.
    ///
    /// # Errors
    /// Of the system.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Writes into a file and syncs it.
    ///
    /// # Errors
    /// Of the system; what lies on disk is then unknown, and the file must not be synced again.
    fn write_at(&self, path: &Path, writes: &[(u64, &[u8])]) -> io::Result<()>;

    /// Renames over whatever is there.
    ///
    /// # Errors
    /// Of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Of the system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock file for as long as the answer lives.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn fmt::Debug + Send + Sync>>;
}

/// The real file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        std::fs::metadata(path).map(|about| about.len())
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        durable::sync_all(&file)
    }

    fn write_at(&self, path: &Path, writes: &[(u64, &[u8])]) -> io::Result<()> {
        let file = std::fs::OpenOptions::new().write(true).open(path)?;
        for (at, bytes) in writes {
            file.write_all_at(bytes, *at)?;
        }
        durable::sync_data(&file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        durable::sync_folder(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn fmt::Debug + Send + Sync>> {
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }
}

/// Puts a whole file in place: beside it under a temporary name, synced, renamed, folder synced.
pub(crate) fn put(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    remove_if_there(disk, &temporary)?;
    disk.create(&temporary, bytes)?;
    disk.rename(&temporary, &dir.join(name))?;
    disk.sync_dir(dir)
}

/// Removes a file; no error when it is not there.
pub(crate) fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    match disk.remove(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file, or `None` when it is not there.
pub(crate) fn read_if_there(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    match disk.read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Overwrites a file with zeros, then removes it. A copy-on-write file system or an SSD may keep the old bytes elsewhere
/// for a while (docs/KEYS.md says what follows from that).
pub(crate) fn shred(disk: &dyn Disk, dir: &Path, name: &str) -> io::Result<bool> {
    let path = dir.join(name);
    let Some(old) = read_if_there(disk, &path)?.map(zeroize::Zeroizing::new) else { return Ok(false) };
    disk.write_at(&path, &[(0, &vec![0; old.len()])])?;
    remove_if_there(disk, &path)?;
    disk.sync_dir(dir)?;
    Ok(true)
}
