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

/// Small reads fetch this much at once and keep it: head and parameter sets cost one request, the closing record another.
const BLOCK: u64 = 256 * 1024;

/// An open segment, wherever it lies. Memory: one block.
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
        let start = if wanted < BLOCK { at - at % BLOCK } else { at };
        let fetched = self.range(start..end.max(start.saturating_add(BLOCK)).min(self.len)).map_err(as_io)?;
        let fetched = (start, fetched);
        let bytes = inside(&fetched, at, end).ok_or_else(|| as_io(ReadError::Altered(self.segment)))?;
        buffer.copy_from_slice(&bytes);
        if wanted < BLOCK {
            *block = fetched;
        }
        Ok(())
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
