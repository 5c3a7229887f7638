//! Where evidence exports are made: a thread for each, a journal on the disk, footage pulled from the recorder. Who may export, and
//! when, is the use cases' (`vms_app::exports_run`); what a package is, `evidence`'s.

mod footage;
mod order;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use evidence::{ExportError, Job, LogProof, Manifest, Opened, Signer, SignerName, Step};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vms_app::error::BoxError;
use vms_app::exports_model::{
    ExportDesk, ExportLimits, ExportProgress, HALTED, PackageDone, PackageFile, PackageOrder, PackageState,
};
use vms_core::ExportId;

use crate::config::Config;
use crate::keys::{secret_32, write_durably};
use crate::wiring::system::{SystemClock, random_32};
use footage::LinkFootage;

/// Between two tries while the recorder does not answer.
const RETRY: Duration = Duration::from_secs(2);
/// How long a thread may take to reach its next checkpoint when it is told to stop: one fragment, and a flush of 64 MiB.
const HALT_MAX: Duration = Duration::from_secs(30);
/// Steps between two looks at the free space: about as many fragments as 64 MiB have.
const STEPS_PER_LOOK: u32 = 128;
/// A checkpoint is signed every 8 s; so long a package waits for the one that holds its decision, and so often it looks.
const PROOF_MAX: Duration = Duration::from_secs(20);
const PROOF_EVERY: Duration = Duration::from_millis(250);
/// Most bytes of one read of a package's file.
const READ_MAX: u64 = 1 << 20;

/// What the threads share.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    socket: PathBuf,
    signer: Arc<Signer>,
    installation: String,
    keep_free: u64,
    /// The log's public folder and key, for the proof that goes into a package.
    log: (PathBuf, String),
    runtime: tokio::runtime::Handle,
}

/// One thread's state, as seen from outside.
#[derive(Debug)]
struct Run {
    state: Mutex<PackageState>,
    /// In the order of the cameras.
    capabilities: Mutex<Vec<String>>,
    stop: CancellationToken,
    ended: watch::Receiver<bool>,
}

/// The place of the exports.
#[derive(Debug)]
pub(crate) struct EvidenceDesk {
    place: Arc<Place>,
    limits: ExportLimits,
    runs: Mutex<BTreeMap<ExportId, Arc<Run>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The key of the installation; made with its certificate at the first start.
fn signer(config: &Config) -> anyhow::Result<Signer> {
    let (key, certificate) = (&config.exports.key, config.exports.key.with_extension("pem"));
    let secret = secret_32(key)?;
    if let Ok(text) = std::fs::read_to_string(&certificate) {
        return Signer::from_secret(&secret, &text)
            .with_context(|| format!("the certificate {}", certificate.display()));
    }
    let organisation = config.exports.organisation.clone();
    let name = SignerName { organisation, installation: config.exports.installation.clone() };
    let [serial @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = random_32();
    let made =
        Signer::make(&secret, serial, &name, SystemClock::wall_now()).context("making the export certificate")?;
    write_durably(&certificate, made.certificate_pem().as_bytes(), 0o644)?;
    tracing::info!(
        fingerprint = made.fingerprint(),
        "made the certificate that seals exports: publish its fingerprint"
    );
    Ok(made)
}

impl EvidenceDesk {
    /// Opens the place; makes folder, key and certificate at the first start.
    pub(crate) fn open(config: &Config, log: (PathBuf, String)) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let exports = &config.exports;
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&exports.dir).with_context(|| exports.dir.display().to_string())?;
        let hours = |hours: u32| Duration::from_secs(u64::from(hours).saturating_mul(3_600));
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self {
            place: Arc::new(Place {
                dir: exports.dir.clone(),
                socket: config.socket("recorder"),
                signer: Arc::new(signer(config)?),
                installation: exports.installation.clone(),
                keep_free: exports.keep_free_mib.saturating_mul(1 << 20),
                log,
                runtime: tokio::runtime::Handle::current(),
            }),
            limits: ExportLimits {
                span_max: Duration::from_secs(u64::from(exports.span_max_minutes).saturating_mul(60)),
                jobs_max: count(exports.jobs_max),
                waiting_max: count(exports.waiting_max),
                keep_max: (exports.keep_hours > 0).then(|| hours(exports.keep_hours)),
            },
            runs: Mutex::default(),
        })
    }

    fn run_of(&self, id: ExportId) -> Option<Arc<Run>> {
        lock(&self.runs).get(&id).cloned()
    }

    /// Every thread stops at a checkpoint: the end of the process.
    pub(crate) async fn halt_all(&self) {
        let ids: Vec<ExportId> = lock(&self.runs).keys().copied().collect();
        for id in ids {
            self.halt(id).await;
        }
    }
}

/// Free bytes of the folder's disk above what is kept free.
fn free(place: &Place) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(&place.dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize).saturating_sub(place.keep_free))
}

/// The whole work on one export, on a thread of its own.
fn work(place: &Place, run: &Run, order: &PackageOrder) -> PackageState {
    match try_work(place, run, order) {
        Ok(state) => state,
        Err(error) => {
            tracing::error!(export = %order.export.id, error = %error, "an export came to nothing");
            PackageState::Failed(error.code())
        }
    }
}

fn progress_of(job: &Job) -> ExportProgress {
    let progress = job.progress();
    ExportProgress { per_mille: progress.per_mille, bytes: progress.bytes, frames: progress.frames }
}

fn try_work(place: &Place, run: &Run, order: &PackageOrder) -> Result<PackageState, ExportError> {
    let id = order.export.id.to_string();
    let mut job = match Job::open(&place.dir, &id, Arc::clone(&place.signer))? {
        Opened::Done(path) => return done(&path),
        Opened::Job(job) => *job,
        Opened::Nothing => {
            let proof = proof(place, run, order.log_index);
            if run.stop.is_cancelled() {
                return Ok(PackageState::Stopped(ExportProgress::default(), HALTED));
            }
            let order = order::evidence_order(order, &place.installation, SystemClock::wall_now(), proof);
            Job::create(&place.dir, order, Arc::clone(&place.signer))?
        }
    };
    if job.progress().is_paused {
        job.resume()?;
    }
    let capability = |camera: usize| lock(&run.capabilities).get(camera).cloned().unwrap_or_default();
    let streams: Vec<_> = order.cameras.iter().map(|one| one.stream).collect();
    let span = (streams, order.export.range);
    let mut footage = LinkFootage::new(&place.runtime, &place.socket, span, &capability, &run.stop);
    let mut steps = 0_u32;
    loop {
        if run.stop.is_cancelled() {
            job.pause()?;
            return Ok(PackageState::Stopped(progress_of(&job), HALTED));
        }
        if steps.is_multiple_of(STEPS_PER_LOOK) && free(place).is_ok_and(|free| free == 0) {
            job.pause()?;
            return Ok(PackageState::Stopped(progress_of(&job), "disk_full"));
        }
        steps = steps.wrapping_add(1);
        match job.step(&mut footage) {
            Ok(Step::More) => *lock(&run.state) = PackageState::Working(progress_of(&job), None),
            Ok(Step::Paused) => job.resume()?,
            Ok(Step::Done(path)) => return done(&path),
            Err(ExportError::Recorder(why)) => {
                if !run.stop.is_cancelled() {
                    tracing::warn!(export = %order.export.id, why, "an export waits for the recorder");
                }
                *lock(&run.state) = PackageState::Working(progress_of(&job), Some("recorder_unavailable"));
                place.runtime.block_on(async {
                    tokio::select! { () = run.stop.cancelled() => {} () = tokio::time::sleep(RETRY) => {} }
                });
            }
            Err(error) if error.is_retryable() => {
                tracing::error!(export = %order.export.id, error = %error, "an export stopped");
                return Ok(PackageState::Stopped(progress_of(&job), error.code()));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The proof that the decision stands in the log, once the next checkpoint is signed; none when that takes too long.
fn proof(place: &Place, run: &Run, index: u64) -> Option<LogProof> {
    let (folder, key) = &place.log;
    let tries = PROOF_MAX.as_millis() / PROOF_EVERY.as_millis();
    for _ in 0..tries {
        if let Some(proof) = LogProof::read(folder, key, index) {
            return Some(proof);
        }
        place.runtime.block_on(async {
            tokio::select! { () = run.stop.cancelled() => {} () = tokio::time::sleep(PROOF_EVERY) => {} }
        });
        if run.stop.is_cancelled() {
            return None;
        }
    }
    tracing::warn!(
        index,
        "no checkpoint of the log holds the decision of an export: its package goes without the proof"
    );
    None
}

/// What a finished package came to, from its manifest.
fn done(path: &Path) -> Result<PackageState, ExportError> {
    use sha2::Digest as _;
    let bytes = std::fs::read(path.join("manifest.json")).map_err(|source| ExportError::Disk {
        what: "reading the manifest of",
        path: path.display().to_string(),
        source,
    })?;
    let manifest = Manifest::parse(&bytes).ok_or(ExportError::Journal)?;
    let films = |file: &str| manifest.films.iter().any(|film| film.file == file);
    let progress = ExportProgress {
        per_mille: 1_000,
        bytes: manifest.files.iter().filter(|file| films(&file.file)).map(|file| file.bytes).sum(),
        frames: manifest.films.iter().map(|film| film.frames).sum(),
    };
    Ok(PackageState::Done(PackageDone { progress, manifest_sha256: sha2::Sha256::digest(&bytes).into() }))
}

/// Every export of which something lies in the folder.
fn on_disk(dir: &Path) -> std::io::Result<Vec<ExportId>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let stem = name.strip_suffix(".job").or_else(|| name.strip_suffix(".part")).unwrap_or(&name);
        found.extend(stem.parse::<ExportId>().ok());
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Removes everything of an export. The finished package loses its name first, so that nobody fetches half of it.
fn remove(place: &Place, id: ExportId) -> anyhow::Result<()> {
    let name = id.to_string();
    if let Opened::Job(job) = Job::open(&place.dir, &name, Arc::clone(&place.signer))? {
        job.cancel()?;
    }
    let (path, aside) = (place.dir.join(&name), place.dir.join(format!("{name}.part")));
    if path.exists() {
        std::fs::rename(&path, &aside)?;
        std::fs::File::open(&place.dir)?.sync_all()?;
    }
    match std::fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Err(_) | Ok(()) => Ok(()),
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<PackageFile>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let data = entry.metadata()?;
        if let (true, Some(name)) = (data.is_file(), entry.file_name().to_str()) {
            found.push(PackageFile { name: name.to_owned(), bytes: data.len() });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn read(folder: &Path, name: &str, (start, end): (u64, u64)) -> std::io::Result<Option<Bytes>> {
    use std::io::{Read as _, Seek as _};
    // Only what the folder lists: a name can't lead out of it.
    if !files(folder)?.iter().any(|file| file.name == name) {
        return Ok(None);
    }
    let mut file = std::fs::File::open(folder.join(name))?;
    file.seek(std::io::SeekFrom::Start(start))?;
    let mut out = Vec::new();
    file.take(end.saturating_sub(start).min(READ_MAX)).read_to_end(&mut out)?;
    Ok(Some(out.into()))
}

async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, BoxError>
where
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await?.map_err(Into::into)
}

#[async_trait]
impl ExportDesk for EvidenceDesk {
    fn limits(&self) -> ExportLimits {
        self.limits
    }

    fn fingerprint(&self) -> String {
        self.place.signer.fingerprint()
    }

    async fn free_bytes(&self) -> Result<u64, BoxError> {
        let place = Arc::clone(&self.place);
        blocking(move || free(&place)).await
    }

    async fn go(&self, order: PackageOrder) {
        let id = order.export.id;
        if let Some(run) = self.run_of(id).filter(|run| !*run.ended.borrow()) {
            (*lock(&run.capabilities)).clone_from(&order.capabilities);
            return;
        }
        let (ending, ended) = watch::channel(false);
        let run = Arc::new(Run {
            state: Mutex::new(PackageState::Working(order.export.progress, None)),
            capabilities: Mutex::new(order.capabilities.clone()),
            stop: CancellationToken::new(),
            ended,
        });
        lock(&self.runs).insert(id, Arc::clone(&run));
        let place = Arc::clone(&self.place);
        let thread = {
            let run = Arc::clone(&run);
            std::thread::Builder::new().name("export".into()).spawn(move || {
                let state = work(&place, &run, &order);
                *lock(&run.state) = state;
                ending.send_replace(true);
            })
        };
        if let Err(error) = thread {
            tracing::error!(%error, "no thread for an export");
            *lock(&run.state) = PackageState::Stopped(ExportProgress::default(), "no_thread");
        }
    }

    fn renew(&self, id: ExportId, capabilities: Vec<String>) {
        if let Some(run) = self.run_of(id) {
            *lock(&run.capabilities) = capabilities;
        }
    }

    fn look(&self, id: ExportId) -> PackageState {
        self.run_of(id).map_or(PackageState::Idle, |run| lock(&run.state).clone())
    }

    async fn halt(&self, id: ExportId) {
        let Some(run) = self.run_of(id) else { return };
        run.stop.cancel();
        let mut ended = run.ended.clone();
        // The sender goes with the thread, however it ends.
        if tokio::time::timeout(HALT_MAX, ended.wait_for(|ended| *ended)).await.is_err() {
            tracing::warn!(export = %id, "an export did not stop in time");
        }
    }

    async fn discard(&self, id: ExportId) -> Result<(), BoxError> {
        self.halt(id).await;
        lock(&self.runs).remove(&id);
        let place = Arc::clone(&self.place);
        blocking(move || remove(&place, id)).await
    }

    async fn on_disk(&self) -> Result<Vec<ExportId>, BoxError> {
        let dir = self.place.dir.clone();
        blocking(move || on_disk(&dir)).await
    }

    async fn files(&self, id: ExportId) -> Result<Vec<PackageFile>, BoxError> {
        let folder = self.place.dir.join(id.to_string());
        blocking(move || files(&folder)).await
    }

    async fn read(&self, id: ExportId, file: &str, start: u64, end: u64) -> Result<Option<Bytes>, BoxError> {
        let (folder, file) = (self.place.dir.join(id.to_string()), file.to_owned());
        blocking(move || read(&folder, &file, (start, end))).await
    }
}
