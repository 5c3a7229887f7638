//! Whole sealed segments fetched back for readers that want a file: a bounded folder, emptied at the start, oldest use goes first.
//!
//! The bytes stay sealed. A file may go while somebody has its path: an open file goes on being read, an unopened one is fetched again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::TryStreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use vms_core::SegmentId;

use crate::lane::locked;
use crate::mover::Mover;
use crate::read::{ReadError, local};

/// Segments fetched at once; more wait.
const FETCHES: usize = 4;

/// The folder and what is in it.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    bytes_max: u64,
    files: Mutex<Files>,
    turns: Semaphore,
    part: AtomicU64,
}

#[derive(Debug, Default)]
struct Files {
    /// Bytes, and the use counted last.
    known: BTreeMap<SegmentId, (u64, u64)>,
    bytes: u64,
    uses: u64,
}

impl Files {
    fn forget(&mut self, segment: SegmentId) -> bool {
        let old = self.known.remove(&segment);
        self.bytes = self.bytes.saturating_sub(old.map_or(0, |(len, _)| len));
        old.is_some()
    }

    /// Those that go so that the rest is within `bytes_max`, never `keep`.
    fn evict(&mut self, bytes_max: u64, keep: SegmentId) -> Vec<SegmentId> {
        let mut by_use: Vec<(u64, SegmentId)> =
            self.known.iter().filter(|(id, _)| **id != keep).map(|(id, (_, used))| (*used, *id)).collect();
        by_use.sort_unstable();
        let mut going = Vec::new();
        for (_, segment) in by_use {
            if self.bytes <= bytes_max {
                break;
            }
            self.forget(segment);
            going.push(segment);
        }
        going
    }
}

impl Cache {
    /// Makes the folder where it is missing, and empties it.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(folder: &Path, bytes_max: u64) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        for entry in std::fs::read_dir(folder)? {
            std::fs::remove_file(entry?.path())?;
        }
        let (files, turns, part) = (Mutex::default(), Semaphore::new(FETCHES), AtomicU64::new(0));
        Ok(Self { folder: folder.to_owned(), bytes_max, files, turns, part })
    }

    fn path(&self, segment: SegmentId) -> PathBuf {
        self.folder.join(segment.to_string())
    }

    fn used(&self, segment: SegmentId) -> Option<PathBuf> {
        let mut files = locked(&self.files);
        files.uses += 1;
        let uses = files.uses;
        let known = files.known.get_mut(&segment)?;
        known.1 = uses;
        Some(self.path(segment))
    }

    /// These were deleted.
    pub(crate) fn forget(&self, segments: &[SegmentId]) {
        for segment in segments {
            if locked(&self.files).forget(*segment) {
                std::fs::remove_file(self.path(*segment)).ok();
            }
        }
    }

    fn take_in(&self, segment: SegmentId, len: u64) {
        let going = {
            let mut files = locked(&self.files);
            files.forget(segment);
            files.uses += 1;
            let uses = files.uses;
            files.known.insert(segment, (len, uses));
            files.bytes = files.bytes.saturating_add(len);
            files.evict(self.bytes_max, segment)
        };
        for one in going {
            std::fs::remove_file(self.path(one)).ok();
        }
    }
}

impl Mover {
    /// A file with the whole sealed segment: the local one, or one fetched from its tier with its digest compared. Without a
    /// cache (see [`crate::Setup`]) only the local one.
    ///
    /// # Errors
    /// [`ReadError`]; nothing of an altered object stays.
    pub async fn fetch(&self, segment: SegmentId) -> Result<PathBuf, ReadError> {
        if let Some(path) = self.local.path(segment).await.map_err(|error| local(segment, &error))? {
            return Ok(path);
        }
        let cache = self.cache.as_ref().ok_or(ReadError::Missing(segment))?;
        if let Some(path) = cache.used(segment) {
            return Ok(path);
        }
        let _turn = cache.turns.acquire().await.map_err(|error| local(segment, &error))?;
        // Somebody else may have fetched it meanwhile.
        if let Some(path) = cache.used(segment) {
            return Ok(path);
        }
        let row = self.ledger.row(segment).await.map_err(|error| local(segment, &error))?;
        let len = row.ok_or(ReadError::Missing(segment))?.facts.len;
        let part = cache.folder.join(format!("{segment}.part{}", cache.part.fetch_add(1, Ordering::Relaxed)));
        let fetched = self.write_to(segment, len, &part).await;
        let renamed = match fetched {
            Ok(()) => tokio::fs::rename(&part, cache.path(segment)).await.map_err(|error| local(segment, &error)),
            Err(error) => Err(error),
        };
        if let Err(error) = renamed {
            tokio::fs::remove_file(&part).await.ok();
            return Err(error);
        }
        cache.take_in(segment, len);
        Ok(cache.path(segment))
    }

    async fn write_to(&self, segment: SegmentId, len: u64, part: &Path) -> Result<(), ReadError> {
        let mut bytes = self.open_range(segment, 0..len).await?;
        let mut file = tokio::fs::File::create_new(part).await.map_err(|error| local(segment, &error))?;
        while let Some(piece) = bytes.try_next().await? {
            file.write_all(&piece).await.map_err(|error| local(segment, &error))?;
        }
        file.flush().await.map_err(|error| local(segment, &error))
    }
}
