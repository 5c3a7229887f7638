//! Reading back, wherever the bytes lie: the local disk first, then the tier. Sealed bytes as stored; the caller opens the records.

use std::io::SeekFrom;
use std::ops::Range;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use vms_core::SegmentId;

use crate::hash::Hasher;
use crate::lane::Lane;
use crate::ledger::Row;
use crate::mover::Mover;
use crate::name::Digest;
use crate::plan::Remote;
use crate::tier::TierError;

/// Bytes of one request to a tier, and of one read of a file.
const CHUNK: u64 = 1024 * 1024;
/// Requests of one reader that are out at once: 4 MiB of memory for each reader.
const AHEAD: usize = 4;

/// Why bytes are not there. Display never names more than the segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The tier does not answer now; try again later.
    #[error("segment {0} lies in a store that does not answer now")]
    Away(SegmentId),
    /// Neither the local disk nor a tier has it.
    #[error("segment {0} is neither on the local disk nor in a store")]
    Missing(SegmentId),
    /// What came is not what was stored.
    #[error("segment {0} is not what was stored")]
    Altered(SegmentId),
    /// The range reaches past the end, or is turned around.
    #[error("no such range in segment {0}")]
    Range(SegmentId),
    /// Our own disk or ledger failed.
    #[error("the local side failed for segment {segment}: {what}")]
    Local {
        /// Which.
        segment: SegmentId,
        /// What it said.
        what: String,
    },
}

/// Bytes of a range in order; after an error nothing more comes.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, ReadError>> + Send>>;

impl Mover {
    /// The bytes `range` of a sealed segment, from the local disk or from its tier, at most four requests ahead of the reader. A
    /// range that is the whole object is compared with its digest (when known): the last item is then [`ReadError::Altered`] instead
    /// of an end. Parts are checked by the caller: each record of a segment is sealed with AES-GCM.
    ///
    /// # Errors
    /// [`ReadError`]; also as the last item of the stream.
    pub async fn open_range(&self, segment: SegmentId, range: Range<u64>) -> Result<ByteStream, ReadError> {
        if range.start > range.end {
            return Err(ReadError::Range(segment));
        }
        let row = self.ledger.row(segment).await.map_err(|error| local(segment, &error))?;
        let path = self.local.path(segment).await.map_err(|error| local(segment, &error))?;
        if let Some(path) = path {
            match tokio::fs::File::open(&path).await {
                Ok(file) => return self.read_file(segment, file, range, row.as_ref()).await,
                // Dropped between question and opening: it is in the tier.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(local(segment, &error)),
            }
        }
        // Begun is not verified, but it may be the only copy there is: its digest and the records' seals tell.
        let row = row.filter(|row| matches!(row.remote, Remote::Stored | Remote::Uploading));
        let row = row.ok_or(ReadError::Missing(segment))?;
        let lane = row.tier.as_ref().and_then(|name| self.lanes.get(name)).ok_or(ReadError::Missing(segment))?;
        self.read_tier(lane, &row, range).await
    }

    async fn read_file(
        &self,
        segment: SegmentId,
        mut file: tokio::fs::File,
        range: Range<u64>,
        row: Option<&Row>,
    ) -> Result<ByteStream, ReadError> {
        let len = file.metadata().await.map_err(|error| local(segment, &error))?.len();
        if range.end > len {
            return Err(ReadError::Range(segment));
        }
        file.seek(SeekFrom::Start(range.start)).await.map_err(|error| local(segment, &error))?;
        let left = range.end - range.start;
        let chunks = futures_util::stream::try_unfold((file, left), move |(mut file, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let count = left.min(CHUNK);
            let mut bytes = vec![0; usize::try_from(count).unwrap_or(0)];
            file.read_exact(&mut bytes).await.map_err(|error| local(segment, &error))?;
            Ok(Some((Bytes::from(bytes), (file, left - count))))
        });
        Ok(checked(segment, chunks.boxed(), digest_if_whole(row, &range, len)))
    }

    async fn read_tier(&self, lane: &Lane, row: &Row, range: Range<u64>) -> Result<ByteStream, ReadError> {
        let segment = row.facts.segment;
        if range.end > row.facts.len {
            return Err(ReadError::Range(segment));
        }
        let name = row.name(&self.recorder).ok_or(ReadError::Missing(segment))?;
        let key = lane.tier.key(&name).map_err(|error| typed(segment, &error))?;
        let tier = lane.tier.clone();
        if !tier.is_there().await {
            return Err(ReadError::Away(segment));
        }
        let leave = if lane.is_shut() { lane.readers.try_acquire().map(Some) } else { Ok(None) };
        let leave = leave.map_err(|_| ReadError::Away(segment))?;
        let (start, end) = (range.start, range.end);
        let pieces = (start..end).step_by(usize::try_from(CHUNK).unwrap_or(usize::MAX));
        let mut chunks = futures_util::stream::iter(pieces)
            .map(move |at| {
                let (tier, key) = (tier.clone(), key.clone());
                async move {
                    tier.range(&key, at..at.saturating_add(CHUNK).min(end))
                        .await
                        .map_err(|error| typed(segment, &error))
                }
            })
            .buffered(AHEAD)
            .boxed();
        // The first answer decides what the caller says to its own caller.
        let first = chunks.try_next().await?;
        drop(leave);
        let all = futures_util::stream::iter(first.map(Ok)).chain(chunks).boxed();
        Ok(checked(segment, all, digest_if_whole(Some(row), &range, row.facts.len)))
    }
}

fn digest_if_whole(row: Option<&Row>, range: &Range<u64>, len: u64) -> Option<Digest> {
    row.and_then(|row| row.digest).filter(|_| range.start == 0 && range.end == len)
}

pub(crate) fn local(segment: SegmentId, error: &dyn std::error::Error) -> ReadError {
    ReadError::Local { segment, what: error.to_string() }
}

fn typed(segment: SegmentId, error: &TierError) -> ReadError {
    match error {
        TierError::NotThere => ReadError::Missing(segment),
        TierError::WrongLength => ReadError::Altered(segment),
        TierError::Slow | TierError::Store(_) | TierError::Bucket(_) => {
            // An upload that fails says it once for everybody, with an alarm.
            tracing::debug!(%segment, %error, "a store did not answer a reader");
            ReadError::Away(segment)
        }
    }
}

/// Hashes on the way when there is a digest to compare with; ends after the first error.
fn checked(segment: SegmentId, chunks: ByteStream, digest: Option<Digest>) -> ByteStream {
    let start = Some((chunks, digest.map(|digest| (Hasher::default(), digest))));
    let next = move |state: Option<(ByteStream, Option<(Hasher, Digest)>)>| async move {
        let (mut chunks, mut check) = state?;
        match chunks.next().await {
            Some(Ok(bytes)) => {
                if let Some((hasher, _)) = &mut check {
                    hasher.feed(&bytes);
                }
                Some((Ok(bytes), Some((chunks, check))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None => {
                let (hasher, digest) = check?;
                (hasher.end() != digest).then_some((Err(ReadError::Altered(segment)), None))
            }
        }
    };
    futures_util::stream::unfold(start, next).boxed()
}
