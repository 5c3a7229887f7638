//! One tier: a directory, an S3-compatible bucket, or any `object_store` behind the same few requests, each with a bound on its time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayload};

use crate::config::{Credentials, StoreConfig};
use crate::name::{Digest, LAYOUT, NAME_LEN_MAX, ObjectName, RecorderName, recorder_folder};
use crate::plan::TierName;
use crate::s3::{Bucket, BucketError, Versioning};

/// Most keys in one request of bulk deletion (S3 `DeleteObjects`).
pub(crate) const DELETE_MAX: usize = 1_000;

/// Why a tier cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is not there.
    #[error("the folder `{path}` is not there; make it, or mount what belongs there")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: object_store::Error,
    },
    /// The file of authorities cannot be read.
    #[error("the CA file `{path}` cannot be read")]
    CaFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not PEM.
    #[error("the CA file `{path}` holds no certificate in PEM; export the authority's certificate as text")]
    Ca {
        /// Which.
        path: PathBuf,
    },
    /// The endpoint is no URL.
    #[error("the endpoint is no URL such as https://s3.example.org")]
    Endpoint,
    /// Neither store is configured, or the S3 store has no credentials.
    #[error("give either [store.directory] or [store.s3] with credentials")]
    Config,
    /// The store's own client.
    #[error("the store's client cannot be made")]
    Store(#[source] object_store::Error),
    /// The HTTP client.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

/// Why a request to a tier failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TierError {
    /// No answer in time.
    #[error("no answer in time")]
    Slow,
    /// It is not there.
    #[error("not in the store")]
    NotThere,
    /// Fewer or more bytes than asked.
    #[error("the store gave another number of bytes than asked")]
    WrongLength,
    /// Failed or refused.
    #[error("the store failed")]
    Store(#[source] object_store::Error),
    /// The same, by a request of our own.
    #[error("the store failed")]
    Bucket(#[source] BucketError),
}

impl From<object_store::Error> for TierError {
    fn from(error: object_store::Error) -> Self {
        if matches!(error, object_store::Error::NotFound { .. }) { Self::NotThere } else { Self::Store(error) }
    }
}

/// What the probe found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Probe {
    /// Works, but a person should know.
    pub warnings: Vec<Warning>,
}

/// See [`Probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The bucket keeps versions: what is deleted stays until each version is deleted. Deletion does that, one request a version, and needs
    /// the rights to list and delete versions.
    Versioned,
    /// The store does not say whether it keeps versions.
    VersioningUnknown,
}

/// What the store refused or got wrong, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {advice}")]
pub struct ProbeError {
    /// `write`, `read`, `compare`, `list` or `delete`.
    pub step: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// What the store said.
    #[source]
    source: Option<TierError>,
}

/// One tier.
#[derive(Clone)]
pub struct Tier {
    name: TierName,
    store: Arc<dyn ObjectStore>,
    /// Multipart with an id that outlives us; without it (directories) parts go through a staged file.
    parts: Option<Arc<dyn MultipartStore>>,
    bucket: Option<Bucket>,
    folder: Option<PathBuf>,
    prefix: String,
    timeout: Duration,
    /// Deletion goes version by version; learnt by the probe, and before the first deletion.
    is_versioned: Arc<AtomicBool>,
    /// Whether the bucket was asked.
    knows_versions: Arc<AtomicBool>,
    /// A person knows about the versions and wants no warning.
    accepts_versions: bool,
}

/// The store's own would name the key id.
impl std::fmt::Debug for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tier").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tier {
    /// Prepares a store; asks nothing of it but that a folder be there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(config: &StoreConfig, credentials: Option<&Credentials>) -> Result<Self, OpenError> {
        let timeout = Duration::from_secs(u64::from(config.timeout_s));
        let name = TierName(config.name.as_str().into());
        match (&config.directory, &config.s3, credentials) {
            (Some(directory), None, _) => {
                let opened = LocalFileSystem::new_with_prefix(&directory.folder);
                let path = directory.folder.clone();
                let store = opened.map_err(|source| OpenError::Folder { path, source })?.with_fsync(true);
                let mut tier = Self::over(name, Arc::new(store), None, timeout);
                tier.folder = Some(directory.folder.clone());
                Ok(tier)
            }
            (None, Some(s3), Some(credentials)) => {
                let bucket = Bucket::open(s3, credentials, timeout)?;
                let mut tier = Self::over(name, bucket.store.clone(), Some(bucket.store.clone()), timeout);
                tier.bucket = Some(bucket);
                tier.prefix = s3.prefix.clone();
                tier.accepts_versions = config.accept_versions;
                Ok(tier)
            }
            (None, Some(_), None) | (None, None, _) | (Some(_), Some(_), _) => Err(OpenError::Config),
        }
    }

    /// A tier over any store, for other kinds and for tests. `parts` is the same store where it knows multipart uploads by id.
    pub fn over(
        name: TierName,
        store: Arc<dyn ObjectStore>,
        parts: Option<Arc<dyn MultipartStore>>,
        timeout: Duration,
    ) -> Self {
        let (is_versioned, knows_versions) = (Arc::default(), Arc::default());
        let (bucket, folder, prefix) = (None, None, String::new());
        Self {
            name,
            store,
            parts,
            bucket,
            folder,
            prefix,
            timeout,
            is_versioned,
            knows_versions,
            accepts_versions: false,
        }
    }

    /// Its name.
    pub fn name(&self) -> &TierName {
        &self.name
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(crate) fn parts(&self) -> Option<&Arc<dyn MultipartStore>> {
        self.parts.as_ref()
    }

    /// The key of a name in the store.
    pub(crate) fn path(&self, name: &str) -> Result<ObjectPath, TierError> {
        let key = if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) };
        ObjectPath::parse(key).map_err(|error| TierError::Store(error.into()))
    }

    /// The key of an object.
    pub(crate) fn key(&self, name: &ObjectName) -> Result<ObjectPath, TierError> {
        let refused = |error| object_store::Error::Generic { store: "tiers", source: Box::new(error) };
        self.path(&name.encode().map_err(refused)?)
    }

    /// The name behind a key of a listing.
    pub(crate) fn name_of(&self, key: &ObjectPath) -> Option<ObjectName> {
        let key = key.as_ref();
        if key.len() > NAME_LEN_MAX + self.prefix.len() + 1 {
            return None;
        }
        let below = if self.prefix.is_empty() { key } else { key.strip_prefix(&self.prefix)?.strip_prefix('/')? };
        ObjectName::parse(below).ok()
    }

    pub(crate) async fn in_time<T, E: Into<TierError>>(
        &self,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, TierError> {
        match tokio::time::timeout(self.timeout, request).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(TierError::Slow),
        }
    }

    /// A directory that is gone is a share that is not mounted, not one without objects.
    pub(crate) async fn is_there(&self) -> bool {
        match &self.folder {
            None => true,
            Some(folder) => tokio::fs::metadata(folder).await.is_ok_and(|found| found.is_dir()),
        }
    }

    pub(crate) async fn head(&self, key: &ObjectPath) -> Result<ObjectMeta, TierError> {
        self.in_time(self.store.head(key)).await
    }

    /// Exactly these bytes.
    pub(crate) async fn range(&self, key: &ObjectPath, range: std::ops::Range<u64>) -> Result<Bytes, TierError> {
        let wanted = range.end.saturating_sub(range.start);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let options = GetOptions::new().with_range(Some(range));
        let read = async {
            let mut stream = self.store.get_opts(key, options).await?.into_stream();
            let mut whole = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0).min(64 * 1024 * 1024));
            while let Some(bytes) = stream.try_next().await? {
                // A store that sends without end must not fill our memory.
                if u64::try_from(whole.len() + bytes.len()).unwrap_or(u64::MAX) > wanted {
                    return Err(TierError::WrongLength);
                }
                whole.extend_from_slice(&bytes);
            }
            Ok(Bytes::from(whole))
        };
        let bytes = self.in_time::<_, TierError>(read).await?;
        if u64::try_from(bytes.len()).is_ok_and(|len| len == wanted) { Ok(bytes) } else { Err(TierError::WrongLength) }
    }

    pub(crate) async fn put(&self, key: &ObjectPath, bytes: Bytes) -> Result<(), TierError> {
        self.in_time(self.store.put(key, PutPayload::from_bytes(bytes))).await.map(|_| ())
    }

    /// Everything of one recorder, as the store lists it; each page has its own bound in time.
    pub(crate) fn list(
        &self,
        recorder: &RecorderName,
    ) -> Result<BoxStream<'static, Result<ObjectMeta, TierError>>, TierError> {
        let prefix = self.path(&recorder_folder(recorder))?;
        let (timeout, stream) = (self.timeout, self.store.list(Some(&prefix)));
        let next = move |mut stream: BoxStream<'static, object_store::Result<ObjectMeta>>| async move {
            match tokio::time::timeout(timeout, stream.next()).await {
                Ok(None) => None,
                Ok(Some(one)) => Some((one.map_err(TierError::from), stream)),
                // Polled again it would wait once more: an error ends the listing for every caller.
                Err(_) => Some((Err(TierError::Slow), futures_util::stream::empty().boxed())),
            }
        };
        Ok(futures_util::stream::unfold(stream, next).boxed())
    }

    /// Deletes up to [`DELETE_MAX`] objects. What is not there counts as gone. Gives for each whether it is gone.
    pub(crate) async fn delete(&self, keys: &[ObjectPath]) -> Result<Vec<bool>, TierError> {
        if !self.knows_versions.load(Ordering::Relaxed) {
            self.learn_versioning().await?;
        }
        if let Some(bucket) = self.bucket.as_ref().filter(|_| self.is_versioned.load(Ordering::Relaxed)) {
            return self.delete_versions(bucket, keys).await;
        }
        let locations = futures_util::stream::iter(keys.to_vec()).map(Ok).boxed();
        let answers = self.in_time(async {
            let answers: Vec<_> = self.store.delete_stream(locations).collect().await;
            Ok::<_, TierError>(answers)
        });
        let mut gone = vec![false; keys.len()];
        let mut failure = None;
        let mut count = 0;
        for answer in answers.await? {
            let key = match answer {
                Ok(key) => key,
                // Directories say so; S3 counts it as deleted. The order of answers is that of the keys.
                Err(object_store::Error::NotFound { path, .. }) => {
                    match keys.iter().find(|key| path.contains(key.as_ref())) {
                        Some(key) => key.clone(),
                        None => continue,
                    }
                }
                Err(error) => {
                    failure.get_or_insert(error);
                    continue;
                }
            };
            if let Some(slot) = keys.iter().position(|one| *one == key).and_then(|at| gone.get_mut(at)) {
                *slot = true;
                count += 1;
            }
        }
        match failure {
            Some(error) if count == 0 => Err(error.into()),
            Some(_) | None => Ok(gone),
        }
    }

    async fn delete_versions(&self, bucket: &Bucket, keys: &[ObjectPath]) -> Result<Vec<bool>, TierError> {
        /// Requests at once.
        const AT_ONCE: usize = 8;
        let one = |key: ObjectPath| async move {
            for version in bucket.versions(key.as_ref()).await? {
                bucket.delete_version(&version).await?;
            }
            Ok::<_, BucketError>(())
        };
        let results: Vec<_> = futures_util::stream::iter(keys.to_vec()).map(one).buffered(AT_ONCE).collect().await;
        let gone: Vec<bool> = results.iter().map(Result::is_ok).collect();
        match results.into_iter().find_map(Result::err) {
            Some(error) if !gone.contains(&true) => Err(TierError::Bucket(error)),
            Some(_) | None => Ok(gone),
        }
    }

    /// Looks whether deleted objects stay as versions, and remembers it for deletions.
    pub(crate) async fn learn_versioning(&self) -> Result<Option<Warning>, TierError> {
        let Some(bucket) = &self.bucket else { return Ok(None) };
        let versioning = bucket.versioning().await.map_err(TierError::Bucket)?;
        self.knows_versions.store(true, Ordering::Relaxed);
        match versioning {
            Versioning::Off => Ok(None),
            Versioning::On => {
                self.is_versioned.store(true, Ordering::Relaxed);
                Ok(Some(Warning::Versioned))
            }
            Versioning::Unknown => Ok(Some(Warning::VersioningUnknown)),
        }
    }

    /// Ends a multipart upload that nobody will go on with, and removes staged files of a directory. Success when there is none.
    pub(crate) async fn clean(&self, key: &ObjectPath, upload: Option<&str>) -> Result<(), TierError> {
        if let (Some(parts), Some(upload)) = (self.parts(), upload) {
            match self.in_time(parts.abort_multipart(key, &upload.to_owned())).await {
                Ok(()) | Err(TierError::NotThere) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(folder) = &self.folder {
            let file = folder.join(key.as_ref());
            // `object_store` stages as NAME#NUMBER beside the file.
            let remove = tokio::task::spawn_blocking(move || remove_staged(&file));
            remove.await.map_err(std::io::Error::other).and_then(|done| done).map_err(|source| {
                TierError::Store(object_store::Error::Generic { store: "directory", source: Box::new(source) })
            })?;
        }
        Ok(())
    }

    /// Ends multipart uploads of this recorder that began before `before` (RFC 3339, UTC). Gives how many.
    pub(crate) async fn clean_unfinished(
        &self,
        recorder: &RecorderName,
        before: jiff::Timestamp,
    ) -> Result<u64, TierError> {
        let (Some(bucket), Some(parts)) = (&self.bucket, self.parts()) else { return Ok(0) };
        let prefix = self.path(&recorder_folder(recorder))?;
        let mut ended = 0;
        for upload in bucket.unfinished(prefix.as_ref()).await.map_err(TierError::Bucket)? {
            let began = upload.initiated.parse::<jiff::Timestamp>().ok();
            let Ok(key) = ObjectPath::parse(&upload.key) else { continue };
            // Some stores ignore the prefix of this listing; others' uploads are not ours to end.
            if began.is_none_or(|at| at >= before) || !key.as_ref().starts_with(&format!("{prefix}/")) {
                continue;
            }
            match self.in_time(parts.abort_multipart(&key, &upload.upload_id)).await {
                Ok(()) | Err(TierError::NotThere) => ended += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(ended)
    }

    /// Writes, lists, reads, compares and deletes a small object of random bytes, and looks for versions. `nonce` is fresh at each call.
    ///
    /// # Errors
    /// [`ProbeError`]: which step, and what to do.
    pub async fn probe(&self, nonce: [u8; 16]) -> Result<Probe, ProbeError> {
        let failed = |step, advice| move |source| ProbeError { step, advice, source: Some(source) };
        let name = format!("{LAYOUT}/probe/{}", hex::encode(nonce));
        let write = failed("write", "check endpoint, bucket, region, credentials and the right to put objects");
        let key = self.path(&name).map_err(failed("write", "check the prefix"))?;
        let bytes = Bytes::from(nonce.repeat(64));
        self.put(&key, bytes.clone()).await.map_err(write)?;
        let read =
            self.range(&key, 0..1_024).await.map_err(failed("read", "give the right to get objects, with ranges"))?;
        if read != bytes {
            let advice = "the store gave back other bytes than it was given: use another store";
            return Err(ProbeError { step: "compare", advice, source: None });
        }
        let head = self.head(&key).await.map_err(failed("read", "give the right to get objects"))?;
        if head.size != 1_024 {
            let advice = "the store says another length than it was given: use another store";
            return Err(ProbeError { step: "compare", advice, source: None });
        }
        let versions = self
            .learn_versioning()
            .await
            .map_err(failed("list", "the store did not answer about versions; try again"))?;
        let list = failed("list", "give the right to list the bucket");
        let folder = self.path(&format!("{LAYOUT}/probe")).map_err(failed("list", "check the prefix"))?;
        let listing = self.store.list(Some(&folder)).take(DELETE_MAX).try_collect::<Vec<ObjectMeta>>();
        let listed = self.in_time(listing).await.map_err(list)?;
        let Some(own) = listed.iter().find(|one| one.location == key) else {
            let advice = "the store does not list what it was just given: rebuilding and reconciling need that";
            return Err(ProbeError { step: "list", advice, source: None });
        };
        // What an earlier probe was not allowed to delete; younger ones may be under way.
        let is_left = |one: &&ObjectMeta| (own.last_modified - one.last_modified).num_hours() >= 1;
        let left: Vec<ObjectPath> = listed.iter().filter(is_left).map(|one| one.location.clone()).collect();
        if !left.is_empty() {
            self.delete(&left).await.ok();
        }
        let delete = "give the right to delete objects (and versions, where the bucket keeps them)";
        let gone = self.delete(std::slice::from_ref(&key)).await.map_err(failed("delete", delete))?;
        if gone != [true] || !matches!(self.head(&key).await, Err(TierError::NotThere)) {
            return Err(ProbeError { step: "delete", advice: delete, source: None });
        }
        let warnings = versions.into_iter().filter(|warning| !self.accepts_versions || *warning != Warning::Versioned);
        Ok(Probe { warnings: warnings.collect() })
    }

    /// Whether the object is there with this length.
    pub(crate) async fn has(&self, key: &ObjectPath, len: u64) -> Result<bool, TierError> {
        match self.head(key).await {
            Ok(meta) => Ok(meta.size == len),
            Err(TierError::NotThere) if !self.is_there().await => Err(TierError::Slow),
            Err(TierError::NotThere) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// SHA-256 of what the store gives back, `chunk` bytes at once.
    pub(crate) async fn digest(&self, key: &ObjectPath, len: u64, chunk: u64) -> Result<Digest, TierError> {
        let mut hasher = crate::hash::Hasher::default();
        let mut at = 0;
        while at < len {
            let end = at.saturating_add(chunk.max(1)).min(len);
            hasher.feed(&self.range(key, at..end).await?);
            at = end;
        }
        Ok(hasher.end())
    }
}

fn remove_staged(file: &std::path::Path) -> std::io::Result<()> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let found = entry.file_name();
        let number = found.to_str().and_then(|found| found.strip_prefix(name)).and_then(|end| end.strip_prefix('#'));
        if number.is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit())) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
