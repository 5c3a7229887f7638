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

use vms_core::{SegmentId, WallTime};

use crate::catalogue::{Batch, Catalogue, GapChange, SegmentState};
use crate::format::read::{self, ReadError, Scan};
use crate::format::{Closing, FLAG_RECOVERED, write};
use crate::index::{Index, IndexError};
use crate::plan::{SEGMENT_EXT, UnitEnd};

/// What a recovery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Files looked at.
    pub looked_at: u64,
    /// Files closed with a flag.
    pub closed: u64,
    /// Files that are no segments of ours or whose header is damaged; left alone.
    pub unreadable: u64,
    /// Temporary files removed.
    pub removed: u64,
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

/// Brings index and catalogue up to the media. With `everything` every file is read (the index was lost).
///
/// # Errors
/// [`RecoverError`].
pub async fn recover(
    root: &Path,
    index: &Index,
    catalogue: &Catalogue,
    boot: [u8; 16],
    now: WallTime,
) -> Result<Recovered, RecoverError> {
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
    let mut batch = Batch::default();
    for path in paths {
        done.looked_at += 1;
        let (root, relative) = (root.to_owned(), path.clone());
        let read = tokio::task::spawn_blocking(move || recover_file(&root, &relative)).await;
        match read.map_err(|_| std::io::Error::other("the walk was broken off"))? {
            Ok((state, gaps, was_closed)) => {
                done.closed += u64::from(!was_closed);
                batch.segments.push(state);
                batch.gaps.extend(gaps);
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a file was left alone by recovery");
                done.unreadable += 1;
            }
        }
        if batch.segments.len() >= BATCH {
            index.flush(&std::mem::take(&mut batch), now).await?;
        }
    }
    index.flush(&batch, now).await?;
    take_ends(index, catalogue, boot).await?;
    Ok(done)
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
                    } else if Path::new(&*name).extension().is_some_and(|ext| ext == SEGMENT_EXT) {
                        found.push(relative.join(&*name));
                    }
                }
            }
        }
    }
    Ok((found, removed))
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

/// Reads one file, closes it when it is not, and says what the index must hold. The third value tells whether it was closed.
///
/// # Errors
/// [`ReadError`].
pub fn recover_file(root: &Path, relative: &Path) -> Result<(SegmentState, Vec<GapChange>, bool), ReadError> {
    let path = root.join(relative);
    let file = File::open(&path)?;
    let scan = read::scan(&file)?;
    let was_closed = scan.closing.is_some();
    let gaps = scan
        .gaps
        .iter()
        .map(|hole| GapChange { stream: scan.header.stream, from: hole.from, to: Some(hole.to), cause: hole.cause })
        .collect();
    let (closing_at, file_len, digest, flags) = match &scan.closing {
        Some(closing) => {
            let record =
                write::closing(scan.header.segment, scan.digest_kind, scan.next_number.saturating_sub(1), closing);
            let length = u64::try_from(record.len()).unwrap_or(u64::MAX);
            (scan.good_len.saturating_sub(length), scan.good_len, scan.digest, closing.flags)
        }
        None => close_cut(&path, &scan)?,
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
    let closing = Closing {
        flags: FLAG_RECOVERED,
        end: scan.last.map_or(scan.header.wall, |(_, _, wall)| wall),
        units: scan.entries.iter().map(|entry| entry.units).fold(0, u32::saturating_add),
        payload: scan.entries.iter().map(|entry| u64::from(entry.payload)).sum(),
        entries: scan.entries.clone(),
        digest: scan.digest,
    };
    let record = write::closing(scan.header.segment, scan.digest_kind, scan.next_number, &closing);
    file.write_all(&record)?;
    file.sync_data()?;
    // The digest of the whole is taken from what is really there now.
    let whole = read::scan(&file)?;
    Ok((scan.good_len, whole.good_len, whole.digest, FLAG_RECOVERED))
}
