//! Sealing what earlier versions left in clear, file by file, in the background.
//!
//! Steps, each safe to be cut by a crash: (1) the new file beside the old one, under a temporary name, synced; (2) a second name for the
//! old one; (3) the new one renamed over it, folder synced; (4) the old bytes overwritten with zeros and synced, the second name
//! removed; (5) the index. A crash before (3) leaves the clear file as it was; one after it leaves the sealed file and the second
//! name, which the next try finds, since the index still calls the segment clear.
//!
//! The new file is the same for the same old file: its key is saved under the segment's id, and its bytes follow from the old ones. So a
//! second try after a crash seals the same bytes under the same numbers.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use keys::{Hour, KeyError, KeyName, Scope};
use vms_core::{SegmentId, WallTime};

use crate::catalogue::SegmentState;
use crate::format::read::{self, Head, ReadError, Scan};
use crate::format::write::{self, Pen};
use crate::format::{Closing, DigestKind, Kind, RunningDigest, SegmentHeader, TRAILER};
use crate::plan::SEGMENT_EXT;
use crate::recover::{Left, recover_file};
use crate::vault::Vault;

/// Bytes overwritten in one write.
const ZEROS: usize = 1024 * 1024;

/// Why a file stays in clear for now.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The file is damaged: it stays until its term ends.
    #[error("the segment is damaged")]
    Damaged(#[from] ReadError),
    /// The key store.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The disk.
    #[error("the sealed segment cannot be written")]
    Disk(#[from] std::io::Error),
}

/// What the key of a segment is called.
pub fn key_name(header: &SegmentHeader) -> KeyName {
    KeyName { scope: Scope::Camera(header.camera), class: header.class.clone(), hour: Hour::of(header.wall) }
}

/// Seals one closed file in place; what the index then holds of it. Asked again it goes on where it was cut short.
///
/// # Errors
/// [`ResealError`]; the old file is then still there, or the new one.
pub fn reseal(root: &Path, relative: &Path, vault: &Vault, now: WallTime) -> Result<SegmentState, ResealError> {
    let path = root.join(relative);
    let file = File::open(&path)?;
    let head = read::head(&file)?;
    let names = Names::of(&path, head.header.segment);
    if head.header.key_epoch == 0 {
        remove_if_there(&names.temporary)?;
        let scan = read::scan(&file, None)?;
        let name = key_name(&head.header);
        let key = vault.with(|ring| ring.reseal_segment(&name, head.header.segment, now))?;
        let header = SegmentHeader { key_epoch: key.epoch().raw(), ..head.header.clone() };
        let front = write::header(&header);
        let made = Copying::begin(&names.temporary, Pen::sealed(key, &front), &front)
            .and_then(|copying| copying.run(&file, &head, &scan));
        if made.is_err() {
            remove_if_there(&names.temporary)?;
        }
        made?;
        put_in_place(&names, &path)?;
    }
    wipe_old(&names, &path)?;
    match recover_file(root, relative, vault) {
        Ok((state, _, _)) => Ok(state),
        Err(Left::Unread(error)) => Err(error.into()),
        Err(Left::Destroyed) => Err(ReadError::Locked.into()),
    }
}

/// Whether a file name is the second name of a clear file that was sealed, and of which segment.
pub fn leftover(name: &str) -> Option<SegmentId> {
    name.strip_prefix('.')?.strip_suffix(".wipe")?.parse().ok()
}

/// Finishes what a crash cut after the sealing of a segment in `folder`: the clear bytes are overwritten and removed.
///
/// # Errors
/// Of the disk.
pub fn finish(folder: &Path, segment: SegmentId) -> std::io::Result<()> {
    let path = folder.join(format!("{segment}.{SEGMENT_EXT}"));
    wipe_old(&Names::of(&path, segment), &path)
}

/// The names beside a segment file.
struct Names {
    folder: PathBuf,
    temporary: PathBuf,
    old: PathBuf,
}

impl Names {
    fn of(path: &Path, segment: SegmentId) -> Self {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let temporary = folder.join(format!(".{segment}.seal.tmp"));
        Self { temporary, old: folder.join(format!(".{segment}.wipe")), folder }
    }

    fn sync(&self) -> std::io::Result<()> {
        durable::sync_folder(&self.folder)
    }
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Gives the old file its second name, and the new one the old name.
fn put_in_place(names: &Names, path: &Path) -> std::io::Result<()> {
    remove_if_there(&names.old)?;
    std::fs::hard_link(path, &names.old)?;
    names.sync()?;
    std::fs::rename(&names.temporary, path)?;
    names.sync()
}

/// Overwrites the clear file that lost its name. Where the second name is still that of the file in place, only the name goes.
fn wipe_old(names: &Names, path: &Path) -> std::io::Result<()> {
    let old = match OpenOptions::new().write(true).open(&names.old) {
        Ok(old) => old,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let about = old.metadata()?;
    let in_place = match std::fs::metadata(path) {
        Ok(in_place) => Some((in_place.dev(), in_place.ino())),
        // Erased since.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if in_place != Some((about.dev(), about.ino())) {
        let zeros = vec![0; ZEROS];
        let (mut left, mut out) = (about.len(), &old);
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS);
            out.write_all(zeros.get(..part).unwrap_or_default())?;
            left = left.saturating_sub(u64::try_from(part).unwrap_or(left));
        }
        durable::sync_data(&old)?;
    }
    std::fs::remove_file(&names.old)?;
    names.sync()
}

/// The sealed file under way.
struct Copying {
    out: File,
    pen: Pen,
    hash: RunningDigest,
    len: u64,
}

impl Copying {
    fn begin(path: &Path, pen: Pen, front: &[u8]) -> Result<Self, ResealError> {
        let out = OpenOptions::new().append(true).create_new(true).open(path)?;
        let mut copying = Self { out, pen, hash: RunningDigest::new(DigestKind::OURS), len: 0 };
        copying.write(front)?;
        copying.hash.update(front);
        Ok(copying)
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.out.write_all(bytes)?;
        self.len = self.len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> std::io::Result<()> {
        self.write(record)?;
        let trailer = record.last_chunk::<TRAILER>().expect("a record should end with its trailer");
        self.hash.update(trailer);
        Ok(())
    }

    fn run(mut self, old: &File, head: &Head, scan: &Scan) -> Result<(), ResealError> {
        let refused = |error: keys::SealError| std::io::Error::other(error);
        let closing = scan.closing.as_ref().ok_or(ReadError::Record { at: scan.good_len })?;
        let mut entries = Vec::with_capacity(closing.entries.len());
        let mut listed = closing.entries.iter();
        let (mut at, mut next) = (head.len, 0);
        loop {
            let record = read::record(old, head, None, at)?;
            if record.kind == Kind::Closing {
                break;
            }
            if record.kind == Kind::Fragment {
                let entry = listed.next().ok_or(ReadError::Record { at })?;
                entries.push(crate::format::FragmentEntry { at: self.len, ..*entry });
            }
            let sealed = self.pen.record(record.kind, record.number, &record.body).map_err(refused)?;
            self.append(&sealed)?;
            (at, next) = (record.next, record.number.saturating_add(1));
        }
        let origin = self.pen.record(Kind::Origin, next, &scan.digest).map_err(refused)?;
        self.append(&origin)?;
        let closing = Closing { entries, digest: self.hash.finish(), ..closing.clone() };
        let record = write::closing(&mut self.pen, next.saturating_add(1), &closing).map_err(refused)?;
        self.append(&record)?;
        durable::sync_data(&self.out)?;
        Ok(())
    }
}
