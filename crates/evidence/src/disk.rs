//! The few things that an export does with files; a test can make any of them fail.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::Path;
#[cfg(test)]
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::Digest as _;

use crate::error::ExportError;
use crate::manifest::FileDigest;

/// Bytes read at a time.
pub(crate) const READ: usize = 1024 * 1024;

/// The disk of an export.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Operations until the one that fails, and how.
    #[cfg(test)]
    fault: Option<(AtomicU64, std::io::ErrorKind)>,
}

fn failed(what: &'static str, path: &Path, source: std::io::Error) -> ExportError {
    if source.kind() == std::io::ErrorKind::StorageFull {
        return ExportError::DiskFull;
    }
    ExportError::Disk { what, path: path.display().to_string(), source }
}

impl Disk {
    /// One whose operation number `after` (from 0) and all later ones fail.
    #[cfg(test)]
    pub(crate) fn failing(after: u64, kind: std::io::ErrorKind) -> Self {
        Self { fault: Some((AtomicU64::new(after), kind)) }
    }

    #[cfg(test)]
    fn tick(&self) -> std::io::Result<()> {
        let Some((left, kind)) = &self.fault else { return Ok(()) };
        let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1)));
        if before == Ok(0) { Err(std::io::Error::from(*kind)) } else { Ok(()) }
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the test's disk can refuse here")]
    fn tick(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn done<T>(
        &self,
        what: &'static str,
        path: &Path,
        work: impl FnOnce() -> std::io::Result<T>,
    ) -> Result<T, ExportError> {
        self.tick().and_then(|()| work()).map_err(|error| failed(what, path, error))
    }

    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), ExportError> {
        self.done("making the folder", path, || std::fs::create_dir_all(path))
    }

    /// A new or emptied file.
    pub(crate) fn create(&self, path: &Path) -> Result<File, ExportError> {
        self.done("making", path, || File::create(path))
    }

    /// A file that was left with at least `length` bytes, cut to them, writing goes on at its end.
    pub(crate) fn reopen(&self, path: &Path, length: u64) -> Result<File, ExportError> {
        let changed = || ExportError::PartChanged(path.display().to_string());
        let mut file =
            self.done("opening", path, || OpenOptions::new().read(true).write(true).open(path)).map_err(|error| {
                if matches!(&error, ExportError::Disk { source, .. } if source.kind() == std::io::ErrorKind::NotFound) {
                    changed()
                } else {
                    error
                }
            })?;
        self.done("cutting", path, || {
            if file.metadata()?.len() < length {
                return Ok(false);
            }
            file.set_len(length)?;
            file.seek(SeekFrom::End(0))?;
            Ok(true)
        })?
        .then_some(file)
        .ok_or_else(changed)
    }

    pub(crate) fn append(&self, path: &Path, file: &mut File, bytes: &[u8]) -> Result<(), ExportError> {
        self.done("writing", path, || file.write_all(bytes))
    }

    pub(crate) fn sync(&self, path: &Path, file: &File) -> Result<(), ExportError> {
        self.done("flushing", path, || file.sync_all())
    }

    /// Makes names in a folder durable.
    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), ExportError> {
        self.done("flushing the folder", path, || File::open(path)?.sync_all())
    }

    /// A whole file, durable before it has its name.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
        let aside = path.with_extension("new");
        let mut file = self.create(&aside)?;
        self.append(&aside, &mut file, bytes)?;
        self.sync(&aside, &file)?;
        self.rename(&aside, path)
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), ExportError> {
        self.done("renaming", from, || std::fs::rename(from, to))?;
        to.parent().map_or(Ok(()), |folder| self.sync_folder(folder))
    }

    /// Removes a folder with what is in it; none is no error.
    pub(crate) fn remove_folder(&self, path: &Path) -> Result<(), ExportError> {
        self.done("removing", path, || match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            Err(_) | Ok(()) => Ok(()),
        })
    }

    /// Length and digests of a file of the folder, read back.
    pub(crate) fn digest(&self, folder: &Path, name: &str) -> Result<FileDigest, ExportError> {
        let path = folder.join(name);
        let mut hashes = Hashes::default();
        let bytes =
            self.done("reading", &path, || feed(&mut File::open(&path)?, u64::MAX, |piece| hashes.update(piece)))?;
        Ok(hashes.finish(name, bytes))
    }
}

/// Hands at most `limit` bytes of a reader to `take`, piece by piece, and says how many there were.
pub(crate) fn feed(reader: &mut impl Read, limit: u64, mut take: impl FnMut(&[u8])) -> std::io::Result<u64> {
    let mut buffer = vec![0; READ];
    let mut left = limit;
    loop {
        let wanted = usize::try_from(left).unwrap_or(READ).min(READ);
        let (room, _) = buffer.split_at_mut(wanted);
        let got = match reader.read(room) {
            Ok(got) => got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if got == 0 {
            return Ok(limit.saturating_sub(left));
        }
        take(room.split_at_checked(got).map_or(&[][..], |(piece, _)| piece));
        left = left.saturating_sub(u64::try_from(got).unwrap_or(u64::MAX));
    }
}

/// Both digests of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hashes {
    pub(crate) sha256: sha2::Sha256,
    pub(crate) blake3: blake3::Hasher,
}

impl Hashes {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.blake3.update(bytes);
    }

    pub(crate) fn finish(self, name: &str, bytes: u64) -> FileDigest {
        FileDigest {
            file: name.to_owned(),
            bytes,
            sha256: hex::encode(self.sha256.finalize()),
            blake3: self.blake3.finalize().to_hex().to_string(),
        }
    }
}
