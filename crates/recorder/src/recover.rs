//! Recovery at start: the media are the truth, the index follows.
//!
//! The same path serves the good day, a kill, a power cut and a lost index: files that the index does not know as closed are
//! walked through, closed with a flag where their closing record is missing, and put into the index.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;

use keys::SegmentOpener;
use vms_core::{SegmentId, WallTime};

use crate::catalogue::{Batch, Catalogue, GapChange, SegmentState};
use crate::disk::file::clock_step;
use crate::format::read::{self, ReadError, Scan};
use crate::format::write::Pen;
use crate::format::{Closing, FLAG_RECOVERED, SegmentHeader, write};
use crate::index::{Index, IndexError};
use crate::plan::{SEGMENT_EXT, UnitEnd};
use crate::vault::{NoKey, Vault};

/// What a recovery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Files looked at.
    pub looked_at: u64,
    /// Files closed with a flag.
    pub closed: u64,
    /// Files that are no segments of ours or whose header is damaged; left alone.
    pub unreadable: u64,
    /// Temporary files removed, and files that a crash cut whose key was destroyed since.
    pub removed: u64,
}

/// Why a file is not in the index now.
#[derive(Debug)]
pub enum Left {
    /// Cut by a crash, and its key was destroyed since: it says nothing any more, and was removed.
    Destroyed,
    /// It cannot be read, or not now.
    Unread(ReadError),
}

impl From<ReadError> for Left {
    fn from(error: ReadError) -> Self {
        Self::Unread(error)
    }
}

impl From<std::io::Error> for Left {
    fn from(error: std::io::Error) -> Self {
        Self::Unread(error.into())
    }
}

/// Why recovery failed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The disk.
    #[error("the media folder cannot be walked through")]
    Io(#[from] std::io::Error),
    /// The index.
    #[error("the index refused what recovery found")]
    Index(#[from] IndexError),
}

/// Rows written in one transaction.
const BATCH: usize = 500;

/// Files this much older than the last flush of the index are known to it: one hour folder of slack, microseconds.
const SLACK_US: i64 = 2 * 3_600 * 1_000_000;

/// Brings index and catalogue up to the media; where the index was lost every file is read. The second value: files that a crash cut
/// and whose key cannot be had now; [`retry`] takes them in later.
///
/// # Errors
/// [`RecoverError`].
pub async fn recover(
    root: &Path,
    index: &Index,
    catalogue: &Catalogue,
    vault: &Arc<Vault>,
    (boot, now): ([u8; 16], WallTime),
) -> Result<(Recovered, Vec<PathBuf>), RecoverError> {
    let flushed_at = index.flushed_at().await?;
    let since = (flushed_at.micros > 0).then(|| WallTime::from_micros(flushed_at.micros - SLACK_US));
    let mut done = Recovered::default();
    let mut paths: BTreeSet<PathBuf> = BTreeSet::new();
    for row in index.unclosed().await? {
        paths.insert(PathBuf::from(row.path));
    }
    let walk_root = root.to_owned();
    let walked = tokio::task::spawn_blocking(move || files_since(&walk_root, since)).await;
    let (found, removed) = walked.map_err(|_| std::io::Error::other("the walk was broken off"))??;
    done.removed = removed;
    for path in found {
        let name = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| SegmentId::from_str(stem).ok());
        if let Some(segment) = name
            && !index.knows(segment).await?
        {
            paths.insert(path);
        }
    }
    let later = take_in(root, index, vault, paths, now, &mut done).await?;
    take_ends(index, catalogue, boot).await?;
    Ok((done, later))
}

/// Takes in files that waited for the key store; gives back those that still do.
///
/// # Errors
/// [`RecoverError`].
pub async fn retry(
    root: &Path,
    index: &Index,
    vault: &Arc<Vault>,
    paths: Vec<PathBuf>,
    now: WallTime,
) -> Result<Vec<PathBuf>, RecoverError> {
    let mut done = Recovered::default();
    let later = take_in(root, index, vault, paths.into_iter().collect(), now, &mut done).await?;
    if done.closed > 0 {
        tracing::info!(files = done.closed, "files that waited for the key store are in the index");
    }
    Ok(later)
}

async fn take_in(
    root: &Path,
    index: &Index,
    vault: &Arc<Vault>,
    paths: BTreeSet<PathBuf>,
    now: WallTime,
    done: &mut Recovered,
) -> Result<Vec<PathBuf>, RecoverError> {
    let (mut batch, mut later) = (Batch::default(), Vec::new());
    for path in paths {
        done.looked_at += 1;
        let (at, relative, keys) = (root.to_owned(), path.clone(), Arc::clone(vault));
        let read = tokio::task::spawn_blocking(move || recover_file(&at, &relative, &keys)).await;
        match read.map_err(|_| std::io::Error::other("the walk was broken off"))? {
            Ok((state, gaps, was_closed)) => {
                done.closed += u64::from(!was_closed);
                batch.segments.push(state);
                batch.gaps.extend(gaps);
            }
            Err(Left::Destroyed) => done.removed += 1,
            Err(Left::Unread(error)) => {
                tracing::warn!(path = %path.display(), %error, "a file was left alone by recovery");
                done.unreadable += 1;
                if matches!(error, ReadError::Locked) {
                    later.push(path);
                }
            }
        }
        if batch.segments.len() >= BATCH {
            index.flush(&std::mem::take(&mut batch), now).await?;
        }
    }
    index.flush(&batch, now).await?;
    Ok(later)
}

/// Where every stream goes on: for holes, for de-duplication and for the chain of digests.
async fn take_ends(index: &Index, catalogue: &Catalogue, boot: [u8; 16]) -> Result<(), IndexError> {
    let own = hex::encode(boot);
    for newest in index.newest().await? {
        let end = UnitEnd {
            epoch: newest.epoch,
            seq: newest.seq,
            wall: newest.to,
            mono: vms_core::MonoTime { micros: newest.mono_us },
            same_boot: newest.boot == own,
        };
        catalogue.set_end(newest.stream, end);
        catalogue.set_durable(newest.stream, newest.to);
        let mut digest = [0_u8; 32];
        if let Some(text) = newest.digest
            && hex::decode_to_slice(text, &mut digest).is_ok()
        {
            catalogue.set_previous(newest.stream, digest);
        }
    }
    Ok(())
}

/// Segment files below `root` whose hour folder may hold something newer than `since`; leftovers of an interrupted
/// creation are removed (they hold no footage).
fn files_since(root: &Path, since: Option<WallTime>) -> std::io::Result<(Vec<PathBuf>, u64)> {
    let floor = since.map(|at| {
        let any =
            crate::plan::segment_path(vms_core::StreamId::from_bytes([0; 16]), SegmentId::from_bytes([0; 16]), at);
        let mut parts = any.components().skip(1).map(|part| part.as_os_str().to_string_lossy().into_owned());
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    });
    let (mut found, mut removed) = (Vec::new(), 0);
    for stream in folders(root)?.into_iter().filter(|name| name.starts_with("str_")) {
        for day in folders(&root.join(&stream))? {
            if floor.as_ref().is_some_and(|(oldest, _)| day < *oldest) {
                continue;
            }
            for hour in folders(&root.join(&stream).join(&day))? {
                if floor.as_ref().is_some_and(|(oldest, first)| day == *oldest && hour < *first) {
                    continue;
                }
                let relative = PathBuf::from(&stream).join(&day).join(&hour);
                for entry in std::fs::read_dir(root.join(&relative))? {
                    let name = entry?.file_name();
                    let name = name.to_string_lossy();
                    if name.starts_with('.') && name.ends_with(".tmp") {
                        std::fs::remove_file(root.join(&relative).join(&*name))?;
                        removed += 1;
                    } else if let Some(segment) = crate::reseal::leftover(&name) {
                        crate::reseal::finish(&root.join(&relative), segment)?;
                        removed += 1;
                    } else if Path::new(&*name).extension().is_some_and(|ext| ext == SEGMENT_EXT) {
                        found.push(relative.join(&*name));
                    }
                }
            }
        }
    }
    Ok((found, removed))
}

/// Every segment file below `root`, as paths relative to it.
///
/// # Errors
/// Of the disk.
pub fn all_files(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for stream in folders(root)?.into_iter().filter(|name| name.starts_with("str_")) {
        for day in folders(&root.join(&stream))? {
            for hour in folders(&root.join(&stream).join(&day))? {
                let relative = PathBuf::from(&stream).join(&day).join(&hour);
                for entry in std::fs::read_dir(root.join(&relative))? {
                    let path = relative.join(entry?.file_name());
                    if path.extension().is_some_and(|ext| ext == SEGMENT_EXT) {
                        found.push(path);
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Whether some stream's newest footage is sealed: then a key store belongs to it, even if the index is lost. Looks at the newest
/// hour of each stream that has a readable file.
///
/// # Errors
/// Of the disk.
pub fn has_sealed(root: &Path) -> std::io::Result<bool> {
    let newest_first = |path: &Path| {
        let mut names = folders(path)?;
        names.sort_by(|one, other| other.cmp(one));
        Ok::<_, std::io::Error>(names)
    };
    for stream in folders(root)?.into_iter().filter(|name| name.starts_with("str_")) {
        'stream: for day in newest_first(&root.join(&stream))? {
            for hour in newest_first(&root.join(&stream).join(&day))? {
                let mut is_seen = false;
                for entry in std::fs::read_dir(root.join(&stream).join(&day).join(&hour))? {
                    let path = entry?.path();
                    let is_segment = path.extension().is_some_and(|ext| ext == SEGMENT_EXT);
                    let head = if is_segment { read::head(&File::open(&path)?).ok() } else { None };
                    match head {
                        Some(head) if head.header.key_epoch != 0 => return Ok(true),
                        Some(_) => is_seen = true,
                        None => {}
                    }
                }
                if is_seen {
                    break 'stream;
                }
            }
        }
    }
    Ok(false)
}

fn folders(path: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// Reads one file, closes it when it is not, and says what the index must hold. The third value tells whether it was closed. A
/// closed file is taken in without its key; one that a crash cut waits for it.
///
/// # Errors
/// [`Left`].
pub fn recover_file(root: &Path, relative: &Path, vault: &Vault) -> Result<(SegmentState, Vec<GapChange>, bool), Left> {
    let mut is_destroyed = false;
    let recovered = recover_file_with(root, relative, &mut |header| {
        let key = vault.opener(header);
        is_destroyed = matches!(key, Err(NoKey::Destroyed));
        key.ok().flatten()
    });
    match recovered {
        Err(ReadError::Locked) if is_destroyed => {
            std::fs::remove_file(root.join(relative))?;
            Err(Left::Destroyed)
        }
        other => Ok(other?),
    }
}

/// As [`recover_file`] for whoever finds keys in another way; nothing is removed.
///
/// # Errors
/// [`ReadError`]; [`ReadError::Locked`] for a file that was cut and whose key is not at hand.
pub fn recover_file_with(
    root: &Path,
    relative: &Path,
    opener: &mut dyn FnMut(&SegmentHeader) -> Option<SegmentOpener>,
) -> Result<(SegmentState, Vec<GapChange>, bool), ReadError> {
    let path = root.join(relative);
    let file = File::open(&path)?;
    // What a failing disk refused may still lie in memory and look whole: only what the disk itself has counts.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).ok();
    let key = opener(&read::head(&file)?.header);
    let scan = read::scan(&file, key.as_ref())?;
    let was_closed = scan.closing.is_some();
    if scan.is_locked && !was_closed {
        return Err(ReadError::Locked);
    }
    let gaps = scan
        .gaps
        .iter()
        .map(|hole| GapChange { stream: scan.header.stream, from: hole.from, to: Some(hole.to), cause: hole.cause })
        .collect();
    let (closing_at, file_len, digest, flags) = match (&scan.closing, scan.closing_at) {
        (Some(closing), Some(at)) => (at, scan.good_len, scan.digest, closing.flags),
        (Some(_), None) | (None, _) => close_cut(&path, &scan)?,
    };
    let header = &scan.header;
    let (last_seq, last_mono, to) = scan.last.unwrap_or((0, header.mono, header.wall));
    let state = SegmentState {
        segment: header.segment,
        stream: header.stream,
        camera: header.camera,
        class: header.class.clone(),
        // The term at the time of recording is not in the file; the sweeper takes the class's present one.
        keep_s: 0,
        path: relative.to_owned(),
        from: header.wall,
        to,
        key_epoch: header.key_epoch,
        epoch: header.epoch,
        boot: header.boot,
        last_seq,
        last_mono,
        payload: scan.entries.iter().map(|entry| u64::from(entry.payload)).sum(),
        file_len,
        units: scan.entries.iter().map(|entry| entry.units).fold(0, u32::saturating_add),
        entries: scan.entries.clone(),
        sets: scan.parameters.iter().cloned().map(Arc::new).collect(),
        closing_at: Some(closing_at),
        digest: Some(digest),
        flags,
    };
    Ok((state, gaps, was_closed))
}

/// Cuts a file behind its last whole record and appends a flagged closing record, durably.
fn close_cut(path: &Path, scan: &Scan) -> Result<(u64, u64, [u8; 32], u8), ReadError> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    file.set_len(scan.good_len)?;
    let flags = FLAG_RECOVERED | clock_step(scan.header.reason);
    let closing = Closing {
        flags,
        end: scan.last.map_or(scan.header.wall, |(_, _, wall)| wall),
        units: scan.entries.iter().map(|entry| entry.units).fold(0, u32::saturating_add),
        payload: scan.entries.iter().map(|entry| u64::from(entry.payload)).sum(),
        entries: scan.entries.clone(),
        digest: scan.digest,
    };
    // Not signed: the key of a sealed file must not seal again.
    let mut pen = Pen::clear(scan.header.segment, scan.digest_kind);
    let record = write::closing(&mut pen, scan.next_number, &closing).map_err(std::io::Error::other)?;
    file.write_all(&record)?;
    durable::sync_data(&file)?;
    // The digest of the whole is taken from what is really there now.
    let whole = read::scan(&file, None)?;
    Ok((scan.good_len, whole.good_len, whole.digest, flags))
}
