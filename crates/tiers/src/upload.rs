//! One segment into one tier: hash, name, send, verify. Repeating it at any point of a crash ends with the same object.

use std::io::SeekFrom;
use std::path::Path;

use bytes::Bytes;
use object_store::path::Path as ObjectPath;
use object_store::{MultipartUpload as _, PutPayload};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::hash::{self, Hasher, Tag};
use crate::ledger::{Ledger, LedgerError, Row};
use crate::name::{Digest, ObjectName, RecorderName};
use crate::pace::Pacer;
use crate::tier::{Tier, TierError};

/// Why a segment is not stored yet. The local copy stays in every case.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// The local file is gone.
    #[error("the local file is not there")]
    NoFile,
    /// The local file cannot be read, or is not what the index says.
    #[error("the local file cannot be read as the index describes it: {0}")]
    Local(String),
    /// The store failed.
    #[error("the upload failed")]
    Store(#[from] TierError),
    /// What came back is not what was sent.
    #[error("the store gave back other bytes than it was sent, or none")]
    Altered,
    /// Meanwhile it is to be deleted.
    #[error("it is to be deleted by now")]
    Erased,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What an upload needs besides the segment.
#[derive(Debug)]
pub(crate) struct Uploader<'a> {
    pub(crate) tier: &'a Tier,
    pub(crate) ledger: &'a Ledger,
    pub(crate) recorder: &'a RecorderName,
    pub(crate) pacer: &'a Pacer,
    pub(crate) part_bytes: u64,
    pub(crate) read_back_one_in: u32,
}

impl Uploader<'_> {
    /// Brings a file to the tier and verifies it there. Marking it stored is the caller's.
    pub(crate) async fn upload(&self, row: &Row, file: &Path) -> Result<(), UploadError> {
        let (digest, len) = hash::of_file(file).await.map_err(local)?;
        if len != row.facts.len {
            return Err(UploadError::Local(format!("{len} bytes instead of {}", row.facts.len)));
        }
        let name = ObjectName { recorder: self.recorder.clone(), facts: row.facts.clone(), digest };
        let key = self.tier.key(&name)?;
        self.clear(row, &key).await?;
        if !self.ledger.begin(row.facts.segment, self.tier.name(), digest).await? {
            return Err(UploadError::Erased);
        }
        // An earlier try may have got through although we never heard so.
        let began = row.upload.is_some() || row.attempts > 0 || row.digest.is_some();
        if began && self.tier.has(&key, len).await? && self.reads_back(&key, len, digest).await? {
            return Ok(());
        }
        let tag = self.send(row, file, &key, len, digest).await?;
        self.verify(row, &key, len, digest, &tag).await
    }

    /// Ends what an earlier try left.
    async fn clear(&self, row: &Row, key: &ObjectPath) -> Result<(), UploadError> {
        if row.digest.is_none() {
            return Ok(());
        }
        self.tier.clean(key, row.upload.as_deref()).await?;
        if row.upload.is_some() {
            self.ledger.set_upload(row.facts.segment, None).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        row: &Row,
        file: &Path,
        key: &ObjectPath,
        len: u64,
        digest: Digest,
    ) -> Result<Tag, UploadError> {
        let mut parts = FileParts::open(file, len, self.part_bytes).await?;
        if len <= self.part_bytes {
            let bytes = parts.next().await?.unwrap_or_default();
            parts.is(digest)?;
            self.pacer.take(len).await;
            let tag = Tag::whole(&bytes);
            self.tier.put(key, bytes).await?;
            return Ok(tag);
        }
        let sent = match self.tier.parts().cloned() {
            Some(store) => {
                let upload = self.tier.in_time(store.create_multipart(key)).await?;
                self.ledger.set_upload(row.facts.segment, Some(&upload)).await?;
                let sent = self.send_parts(&*store, key, &upload, &mut parts, digest).await;
                if sent.is_err() {
                    // Best effort: the ledger knows the id, and the next try or reconciling ends it.
                    self.tier.clean(key, Some(&upload)).await.ok();
                }
                sent
            }
            None => self.send_staged(key, &mut parts, digest).await,
        };
        let tag = sent?;
        self.ledger.set_upload(row.facts.segment, None).await?;
        Ok(tag)
    }

    async fn send_parts(
        &self,
        store: &dyn object_store::multipart::MultipartStore,
        key: &ObjectPath,
        upload: &String,
        parts: &mut FileParts,
        digest: Digest,
    ) -> Result<Tag, UploadError> {
        let (mut tag, mut ids) = (Tag::multipart(), Vec::new());
        while let Some(bytes) = parts.next().await? {
            self.pacer.take(count(&bytes)).await;
            tag.part(&bytes);
            let payload = PutPayload::from_bytes(bytes);
            ids.push(self.tier.in_time(store.put_part(key, upload, ids.len(), payload)).await?);
        }
        parts.is(digest)?;
        self.tier.in_time(store.complete_multipart(key, upload, ids)).await?;
        Ok(tag)
    }

    /// A directory: parts go to a file beside, which gets its name at the end. One part is in memory at once.
    async fn send_staged(&self, key: &ObjectPath, parts: &mut FileParts, digest: Digest) -> Result<Tag, UploadError> {
        use object_store::ObjectStoreExt as _;
        let mut upload = self.tier.in_time(self.tier.store().put_multipart(key)).await?;
        let mut tag = Tag::multipart();
        let sent = async {
            while let Some(bytes) = parts.next().await? {
                self.pacer.take(count(&bytes)).await;
                tag.part(&bytes);
                self.tier.in_time(upload.put_part(PutPayload::from_bytes(bytes))).await?;
            }
            parts.is(digest)?;
            self.tier.in_time(upload.complete()).await?;
            Ok(())
        };
        let outcome: Result<(), UploadError> = sent.await;
        if outcome.is_err() {
            self.tier.in_time(upload.abort()).await.ok();
        }
        outcome.map(|()| tag)
    }

    async fn verify(
        &self,
        row: &Row,
        key: &ObjectPath,
        len: u64,
        digest: Digest,
        tag: &Tag,
    ) -> Result<(), UploadError> {
        let meta = match self.tier.head(key).await {
            Ok(meta) => meta,
            // It said that it has it.
            Err(TierError::NotThere) => return Err(UploadError::Altered),
            Err(error) => return Err(error.into()),
        };
        if meta.size != len {
            return Err(UploadError::Altered);
        }
        let by_tag = if self.is_sampled(row) { None } else { meta.e_tag.as_deref().and_then(|etag| tag.agrees(etag)) };
        let is_right = match by_tag {
            Some(agrees) => agrees,
            None => self.reads_back(key, len, digest).await?,
        };
        if is_right { Ok(()) } else { Err(UploadError::Altered) }
    }

    /// Read back whole: all, or one in so many by the segment's id, so that a repetition decides the same.
    fn is_sampled(&self, row: &Row) -> bool {
        let bytes = row.facts.segment.as_bytes();
        let low = bytes.iter().rev().take(4).fold(0_u32, |all, byte| (all << 8) | u32::from(*byte));
        self.read_back_one_in <= 1 || low % self.read_back_one_in == 0
    }

    async fn reads_back(&self, key: &ObjectPath, len: u64, digest: Digest) -> Result<bool, UploadError> {
        match self.tier.digest(key, len, self.part_bytes).await {
            Ok(found) => Ok(found == digest),
            // Told a length, gave another; or told that it is there, and it is not.
            Err(TierError::WrongLength | TierError::NotThere) => Ok(false),
            Err(error @ (TierError::Slow | TierError::Store(_) | TierError::Bucket(_))) => Err(error.into()),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function value in `map_err`")]
fn local(error: std::io::Error) -> UploadError {
    if error.kind() == std::io::ErrorKind::NotFound {
        UploadError::NoFile
    } else {
        UploadError::Local(error.to_string())
    }
}

fn count(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A file in parts, one in memory at once, with the digest of what was given out.
struct FileParts {
    file: tokio::fs::File,
    left: u64,
    part: u64,
    hasher: Hasher,
}

impl FileParts {
    async fn open(path: &Path, len: u64, part: u64) -> Result<Self, UploadError> {
        let mut file = tokio::fs::File::open(path).await.map_err(local)?;
        file.seek(SeekFrom::Start(0)).await.map_err(local)?;
        Ok(Self { file, left: len, part, hasher: Hasher::default() })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, UploadError> {
        if self.left == 0 {
            return Ok(None);
        }
        let len = self.left.min(self.part);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        self.file.read_exact(&mut bytes).await.map_err(local)?;
        self.left -= len;
        self.hasher.feed(&bytes);
        Ok(Some(bytes.into()))
    }

    /// Whether what was given out is what was named.
    fn is(&self, digest: Digest) -> Result<(), UploadError> {
        if self.hasher.clone().end() == digest {
            Ok(())
        } else {
            Err(UploadError::Local("it changed while it was sent".to_owned()))
        }
    }
}
