//! A segment as something to read at places, for code that reads files on a thread of its own (playback, verification, re-muxing).

use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::runtime::Handle;
use vms_core::SegmentId;

use crate::lane::locked;
use crate::mover::Mover;
use crate::read::{ReadError, local};

/// Reads fetch this much at once and keep it: head and parameter sets cost one request, the closing record another.
const BLOCK: u64 = 256 * 1024;
/// One that goes on where the last one ended fetches this much: a player goes through a segment from front to end.
const AHEAD: u64 = 4 * 1024 * 1024;

/// An open segment, wherever it lies. Memory: what was fetched last, at most [`AHEAD`] or one record.
#[derive(Debug)]
pub struct SegmentFile {
    mover: Arc<Mover>,
    runtime: Handle,
    segment: SegmentId,
    len: u64,
    block: Mutex<(u64, Bytes)>,
}

impl SegmentFile {
    /// Opens a segment that the ledger knows. Waits: never call it on a thread of the runtime.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(mover: Arc<Mover>, segment: SegmentId, runtime: Handle) -> Result<Self, ReadError> {
        let row = runtime.block_on(mover.ledger.row(segment)).map_err(|error| local(segment, &error))?;
        let len = row.ok_or(ReadError::Missing(segment))?.facts.len;
        Ok(Self { mover, runtime, segment, len, block: Mutex::default() })
    }

    /// Bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `buffer` from offset `at`. Waits: never call it on a thread of the runtime.
    ///
    /// # Errors
    /// `NotFound` for [`ReadError::Missing`], `InvalidData` for [`ReadError::Altered`], `UnexpectedEof` for [`ReadError::Range`], `TimedOut` for
    /// [`ReadError::Away`]; the [`ReadError`] is inside.
    pub fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
        let wanted = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        let end = at.checked_add(wanted).filter(|end| *end <= self.len);
        let end = end.ok_or_else(|| as_io(ReadError::Range(self.segment)))?;
        let mut block = locked(&self.block);
        if let Some(bytes) = inside(&block, at, end) {
            buffer.copy_from_slice(&bytes);
            return Ok(());
        }
        let fetched = self.fetch(&block, at, end).map_err(as_io)?;
        let bytes = inside(&fetched, at, end).ok_or_else(|| as_io(ReadError::Altered(self.segment)))?;
        buffer.copy_from_slice(&bytes);
        *block = fetched;
        Ok(())
    }

    fn fetch(&self, block: &(u64, Bytes), at: u64, end: u64) -> Result<(u64, Bytes), ReadError> {
        let known_end = block.0.saturating_add(u64::try_from(block.1.len()).unwrap_or(0));
        let goes_on = !block.1.is_empty() && (block.0..=known_end).contains(&at) && end > known_end;
        if goes_on {
            // What is known of it already stays.
            let kept = inside(block, at, known_end).unwrap_or_default();
            let more = self.range(known_end..end.max(known_end.saturating_add(AHEAD)).min(self.len))?;
            return Ok((at, [kept, more].concat().into()));
        }
        let start = if end - at < BLOCK { at - at % BLOCK } else { at };
        Ok((start, self.range(start..end.max(start.saturating_add(BLOCK)).min(self.len))?))
    }

    fn range(&self, range: std::ops::Range<u64>) -> Result<Bytes, ReadError> {
        self.runtime.block_on(async {
            let parts: Vec<Bytes> = self.mover.open_range(self.segment, range).await?.try_collect().await?;
            Ok(parts.concat().into())
        })
    }
}

/// The bytes from `at` to `end` of a block, when it has them.
fn inside(block: &(u64, Bytes), at: u64, end: u64) -> Option<Bytes> {
    let from = usize::try_from(at.checked_sub(block.0)?).ok()?;
    let to = usize::try_from(end.checked_sub(block.0)?).ok()?;
    (to <= block.1.len() && from <= to).then(|| block.1.slice(from..to))
}

fn as_io(error: ReadError) -> Error {
    let kind = match error {
        ReadError::Away(_) => ErrorKind::TimedOut,
        ReadError::Missing(_) => ErrorKind::NotFound,
        ReadError::Altered(_) => ErrorKind::InvalidData,
        ReadError::Range(_) => ErrorKind::UnexpectedEof,
        ReadError::Local { .. } => ErrorKind::Other,
    };
    Error::new(kind, error)
}
