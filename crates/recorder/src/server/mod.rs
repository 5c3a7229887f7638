//! The recorder as a server: one Unix socket, every message of the link that a recorder understands.
//!
//! Belongs here: connections, tasks, shutdown. Does not belong here: what a stream, a file or a range is.

mod admit;
mod board;
mod client;
mod ingest;
mod keeper;
mod live;
mod range;
mod records;
mod room;
mod stored;

pub use room::admission;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use link::{Control, LinkError, LinkListener, ProbeReport, Role};
use policy::capability::{Audience, CapabilityVerifier};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_core::StreamId;

use crate::assignment::{self, Kept};
use crate::catalogue::Catalogue;
use crate::disk::{DiskConfig, DiskHandle};
use crate::holds::HoldBook;
use crate::hub::Hub;
use crate::index::{Index, IndexError};
use crate::plan::SegmentLimits;
use crate::ports::Clock;
use crate::recover::{self, RecoverError};
use crate::sealbox::{SealError, SealKey};
use crate::sweep::Sweep;
use crate::tiering::{self, TierConfig, Tiers};
use crate::trust::GuardedClock;
use crate::vault::{Vault, VaultConfig};

/// Control messages that may wait for one ingest process; a slower one is disconnected and starts afresh.
const TO_INGEST_MAX: usize = 1_024;

/// Connections at most: every viewer is one.
const CONNECTIONS_MAX: usize = 4_096;

/// Which role this origin plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Records and hands out.
    Recorder,
    /// Relays partner streams; records nothing, whatever the assignment says.
    Gateway,
}

impl Origin {
    const fn role(self) -> Role {
        match self {
            Self::Recorder => Role::Recorder,
            Self::Gateway => Role::Gateway,
        }
    }

    pub(crate) const fn audience(self) -> Audience {
        match self {
            Self::Recorder => Audience::Recorder,
            Self::Gateway => Audience::Gateway,
        }
    }
}

/// Everything that the executable decides.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// Which role it plays.
    pub origin: Origin,
    /// Own folder: `media/`, `index.db`, `tiers.sqlite`, `tier-cache/`, `assignment.json`, `seal.key`, `keys.id`, `deletions/`, `ballast`.
    pub dir: PathBuf,
    /// Where to listen.
    pub socket: PathBuf,
    /// Users that may connect besides the own.
    pub users: Vec<u32>,
    /// Public key of the gate, 32 bytes.
    pub gate_public: [u8; 32],
    /// Bytes that segments may take before the oldest go early; `None`: no cap.
    pub disk_cap_bytes: Option<u64>,
    /// Bytes that may wait for the disk.
    pub queue_bytes: u64,
    /// Between group syncs: what a power cut can cost.
    pub sync_every: Duration,
    /// Between flushes of the index.
    pub index_every: Duration,
    /// Between sweeps.
    pub sweep_every: Duration,
    /// After the last viewer of an on-demand stream.
    pub linger: Duration,
    /// Where segments are cut.
    pub limits: SegmentLimits,
    /// Size of the ballast file, and free space below which nothing more is recorded.
    pub ballast_bytes: u64,
    /// Where the keys are; `None`: nothing can be recorded (a gateway).
    pub keys: Option<VaultConfig>,
    /// Bytes of footage of earlier versions that are sealed in one second.
    pub reseal_bytes_per_s: u64,
    /// Classes whose footage goes last when the disk is full, the most important first; every other goes before them.
    pub keep_longest: Vec<String>,
    /// Second places for closed segments; `None`: this disk alone.
    pub tier: Option<TierConfig>,
}

impl RecorderConfig {
    /// The usual values (blueprint 4.2; reliability 4.1) around the three that have no default.
    pub fn new(dir: PathBuf, socket: PathBuf, gate_public: [u8; 32]) -> Self {
        Self {
            origin: Origin::Recorder,
            dir,
            socket,
            users: Vec::new(),
            gate_public,
            disk_cap_bytes: None,
            queue_bytes: 256 * 1024 * 1024,
            // With fragments of a second a power cut costs less than two seconds (reliability R3).
            sync_every: Duration::from_millis(750),
            // What changed since is in the catalogue, and in the media if the recorder dies; `serve` has it written when it asks.
            index_every: Duration::from_secs(5),
            sweep_every: Duration::from_mins(1),
            linger: Duration::from_secs(5),
            limits: SegmentLimits::DEFAULT,
            ballast_bytes: 64 * 1024 * 1024,
            keys: None,
            reseal_bytes_per_s: 32 * 1024 * 1024,
            keep_longest: Vec::new(),
            tier: None,
        }
    }

    pub(crate) fn media(&self) -> PathBuf {
        self.dir.join("media")
    }
}

/// Why the recorder did not start or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// Folder, threads, assignment.
    #[error("the recorder's folder cannot be used")]
    Io(#[from] std::io::Error),
    /// The index.
    #[error("the recorder's index cannot be used")]
    Index(#[from] IndexError),
    /// Recovery.
    #[error("recovery failed")]
    Recover(#[from] RecoverError),
    /// The key file.
    #[error("the recorder's key cannot be used")]
    Seal(#[from] SealError),
    /// The gate's public key is none.
    #[error("the public key of the gate is not a key")]
    GateKey,
    /// The socket.
    #[error("the recorder's socket cannot be used")]
    Link(#[from] LinkError),
    /// The disk writer ended unasked.
    #[error("the disk writer ended")]
    Writer,
    /// The index worked and then took nothing for half a minute.
    #[error("the index takes nothing any more: this process ends, so that the next one opens it anew")]
    IndexStuck,
}

/// Way to one connected ingest process.
#[derive(Clone, Debug)]
pub(crate) struct ShardLink {
    pub(crate) number: u64,
    pub(crate) to: mpsc::Sender<Control>,
}

/// Shared by all tasks.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: RecorderConfig,
    pub(crate) clock: Arc<dyn Clock>,
    /// The same clock, with what is known of it.
    pub(crate) trust: Arc<GuardedClock>,
    /// What a person should see.
    pub(crate) board: Mutex<board::Board>,
    pub(crate) verifier: CapabilityVerifier,
    pub(crate) seal: SealKey,
    pub(crate) index: Index,
    pub(crate) index_health: Mutex<keeper::IndexHealth>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) disk: DiskHandle,
    pub(crate) vault: Arc<Vault>,
    pub(crate) tiers: Tiers,
    pub(crate) kept: Arc<Mutex<Kept>>,
    pub(crate) holds: Arc<Mutex<HoldBook>>,
    /// Tells the ingest connections that the assignment changed.
    pub(crate) assigned: watch::Sender<u64>,
    pub(crate) hubs: Mutex<HashMap<StreamId, Arc<Hub>>>,
    pub(crate) shards: Mutex<HashMap<u32, ShardLink>>,
    pub(crate) probes: Mutex<HashMap<u64, oneshot::Sender<ProbeReport>>>,
    pub(crate) admissions: admit::Admissions,
    pub(crate) counter: std::sync::atomic::AtomicU64,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn hub(&self, stream: StreamId) -> Option<Arc<Hub>> {
        lock(&self.hubs).get(&stream).map(Arc::clone)
    }

    pub(crate) fn all_hubs(&self) -> Vec<Arc<Hub>> {
        lock(&self.hubs).values().map(Arc::clone).collect()
    }

    pub(crate) fn number(&self) -> u64 {
        self.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// Where footage comes from.
    pub(crate) fn source(&self) -> crate::playback::Source {
        let (root, vault) = (self.config.media(), Arc::clone(&self.vault));
        crate::playback::Source { root, vault, tiers: self.tiers.clone(), gate: None }
    }

    /// The same with the magistrate's gate, for whoever came with a decision of one.
    pub(crate) async fn gated_source(&self) -> crate::playback::Source {
        let vault = Arc::clone(&self.vault);
        let gate = tokio::task::spawn_blocking(move || vault.open_gate()).await.unwrap_or_default();
        metrics::counter!("recorder_gate_opened_total").increment(1);
        crate::playback::Source { gate: Some(Arc::new(gate)), ..self.source() }
    }

    /// Makes hubs, segments and ingest processes follow the assignment in force.
    pub(crate) fn apply(&self) {
        let kept = lock(&self.kept).clone();
        let mut wanted = HashMap::new();
        let spares = lock(&self.board).room.spares;
        for of in &kept.assignment.streams {
            match assignment::hub_spec(of) {
                Some((stream, mut spec)) => {
                    // Sub-streams are the first that the disk can do without.
                    spec.record &= self.config.origin == Origin::Recorder && !(spares && of.use_ == "sub");
                    wanted.insert(stream, spec);
                }
                None => tracing::error!(stream = %of.stream, "a stream of the assignment is malformed and left out"),
            }
        }
        let mut hubs = lock(&self.hubs);
        hubs.retain(|stream, hub| {
            let stays = wanted.contains_key(stream);
            if !stays {
                hub.retire();
            }
            stays
        });
        for (stream, spec) in wanted {
            match hubs.get(&stream) {
                Some(hub) => hub.respecify(spec),
                None => {
                    let hub = Hub::new(spec, self.disk.clone(), Arc::clone(&self.catalogue));
                    hubs.insert(stream, Arc::new(hub));
                }
            }
        }
        drop(hubs);
        self.assigned.send_replace(kept.assignment.version);
    }

    /// Tells the ingest process of a stream to pull or to drop it.
    pub(crate) fn demand(&self, stream: StreamId, on: bool) {
        let text = stream.to_string();
        let shard = {
            let kept = lock(&self.kept);
            kept.shards.values().copied().find(|shard| kept.of_shard(*shard).iter().any(|spec| spec.stream == text))
        };
        let link = shard.and_then(|shard| lock(&self.shards).get(&shard).cloned());
        if let Some(link) = link
            && link.to.try_send(Control::Demand { stream: text, on }).is_err()
        {
            tracing::warn!(%stream, "an ingest process does not take orders");
        }
    }
}

/// Identity of the host's boot: monotonic times of another boot say nothing here.
fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let mut boot = [0_u8; 16];
    hex::decode_to_slice(digits, &mut boot).ok();
    boot
}

fn disk_config(config: &RecorderConfig, boot: [u8; 16]) -> DiskConfig {
    DiskConfig {
        root: config.media(),
        queue_bytes: config.queue_bytes,
        sync_every: config.sync_every,
        limits: config.limits,
        reserve_bytes: keeper::reserve_bytes(config),
        boot,
    }
}

/// Runs the recorder until `shutdown`; then closes every segment and the index.
///
/// # Errors
/// [`RecorderError`], at the start for anything that makes recording impossible.
pub async fn run(
    config: RecorderConfig,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), RecorderError> {
    let (media, boot) = (config.media(), boot_id());
    tokio::fs::create_dir_all(&media).await?;
    let trust = Arc::new(GuardedClock::open(clock, &config.dir, &boot)?);
    let clock: Arc<dyn Clock> = Arc::<GuardedClock>::clone(&trust);
    let seal = SealKey::load_or_make(&config.dir.join("seal.key"))?;
    let verifier = CapabilityVerifier::from_public(&config.gate_public).map_err(|_| RecorderError::GateKey)?;
    let kept = Arc::new(Mutex::new(Kept::load(&config.dir.join("assignment.json"))?));
    let holds = Arc::new(Mutex::new(HoldBook::load(&config.dir.join(crate::holds::FILE))?));
    let index = keeper::open_index(&config).await?;
    let catalogue = Arc::new(Catalogue::default());
    let vault = keeper::open_vault(&config, &index, &clock).await?;
    let (recovered, waiting) = recover::recover(&media, &index, &catalogue, &vault, (boot, clock.wall())).await?;
    tracing::info!(?recovered, "recovery is done");
    let copies = tiering::Copies {
        media: media.clone(),
        index: index.clone(),
        vault: Arc::clone(&vault),
        holds: Arc::clone(&holds),
        kept: Arc::clone(&kept),
    };
    let tiers = Tiers::new(config.tier.clone(), &config.dir, copies, Arc::clone(&clock));
    tiers.open_soon().await;
    let mut sweep =
        Sweep::new(&media, &config.dir.join("deletions"), index.clone(), Arc::clone(&vault))?.with_tiers(tiers.clone());
    finish_cut(&mut sweep, &holds, (&index, &vault), clock.wall()).await;
    keeper::make_ballast(&config);
    let (disk, writer) =
        DiskHandle::start(disk_config(&config, boot), Arc::clone(&clock), Arc::clone(&catalogue), Arc::clone(&vault))?;
    let listener = LinkListener::bind(&config.socket, config.origin.role(), config.users.clone())?;
    let shared = Arc::new(Shared {
        config,
        clock,
        trust,
        board: Mutex::default(),
        verifier,
        seal,
        index,
        index_health: Mutex::default(),
        catalogue,
        disk,
        vault,
        tiers: tiers.clone(),
        kept,
        holds,
        assigned: watch::Sender::new(0),
        hubs: Mutex::default(),
        shards: Mutex::default(),
        probes: Mutex::default(),
        admissions: admit::Admissions::default(),
        counter: std::sync::atomic::AtomicU64::new(1),
        tasks: TaskTracker::new(),
        shutdown: shutdown.clone(),
    });
    shared.apply();
    shared.tasks.spawn(tiers.run(shutdown.clone()));
    shared.tasks.spawn(keeper::watch(Arc::clone(&shared)));
    shared.tasks.spawn(keeper::tend(Arc::clone(&shared)));
    shared.tasks.spawn(keeper::sweep(Arc::clone(&shared), keeper::SweepWork { sweep, waiting }));
    let outcome = accept(&shared, &listener, &writer).await;
    stop(&shared, writer).await;
    outcome
}

/// Finishes deletions that a crash cut short. Holds that were told before it come first.
async fn finish_cut(
    sweep: &mut Sweep,
    holds: &Mutex<HoldBook>,
    (index, vault): (&Index, &Arc<Vault>),
    now: vms_core::WallTime,
) {
    let (specs, _) = lock(holds).specs();
    let is_lost = lock(holds).is_lost();
    match crate::holds::carry_out(&specs, index, vault, now).await {
        Ok(_) if is_lost => {}
        Ok(_) => {
            if let Err(error) = sweep.finish(now).await {
                tracing::error!(%error, "deletions that were cut short are not finished yet");
            }
        }
        Err(error) => tracing::error!(%error, "holds cannot be carried out yet: nothing is erased before they are"),
    }
}

/// Takes connections until the end is asked for, or the disk writer dies.
async fn accept(
    shared: &Arc<Shared>,
    listener: &LinkListener,
    writer: &std::thread::JoinHandle<()>,
) -> Result<(), RecorderError> {
    let seats = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    let mut look = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => return Ok(()),
            _ = look.tick() => {
                if writer.is_finished() {
                    shared.shutdown.cancel();
                    return Err(RecorderError::Writer);
                }
                if lock(&shared.index_health).is_stuck(shared.clock.mono()) {
                    shared.shutdown.cancel();
                    return Err(RecorderError::IndexStuck);
                }
            }
            accepted = listener.accept() => {
                let stream = match accepted {
                    Ok(stream) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        if matches!(error, LinkError::Io(_)) {
                            // Out of file handles: trying again at once would only burn the processor.
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        continue;
                    }
                };
                let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
                    metrics::counter!("recorder_connections_refused_total").increment(1);
                    continue;
                };
                let shared = Arc::clone(shared);
                let tasks = shared.tasks.clone();
                drop(tasks.spawn(async move {
                    Box::pin(client::serve(shared, stream)).await;
                    drop(seat);
                }));
            }
        }
    }
}

/// Ordered end: no more units, held fragments out, segments closed, index written.
async fn stop(shared: &Arc<Shared>, writer: std::thread::JoinHandle<()>) {
    shared.shutdown.cancel();
    shared.tasks.close();
    if tokio::time::timeout(Duration::from_secs(5), shared.tasks.wait()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    for hub in shared.all_hubs() {
        hub.flush();
    }
    let disk = shared.disk.clone();
    let ended = tokio::task::spawn_blocking(move || {
        disk.shutdown();
        writer.join().is_ok()
    });
    if !matches!(ended.await, Ok(true)) {
        tracing::error!("the disk writer did not end in order");
    }
    keeper::flush_index(shared).await;
    shared.index.close().await;
    let vault = Arc::clone(&shared.vault);
    if tokio::task::spawn_blocking(move || vault.close()).await.is_err() {
        tracing::error!("the key store did not close in order");
    }
}

#[cfg(test)]
mod tests;
