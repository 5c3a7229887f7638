//! What the tasks and threads of the role have in common.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use link::ReaderCamera;
use policy::CapabilityVerifier;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::clock::{ClockWatch, HostWord};
use super::queue::FrameQueue;
use super::{Decoders, Host, ReaderConfig};
use crate::pace::Need;
use crate::spool::Spool;

/// Coarse pictures being made at once; a further one is refused with `busy`.
const PICTURES_MAX: usize = 4;

/// What one camera's reading amounts to, since the role started.
#[derive(Debug, Default)]
pub struct Counters {
    camera: String,
    stream: String,
    decoded: AtomicU64,
    skipped: AtomicU64,
    reads: AtomicU64,
    decoding: AtomicBool,
    need: Mutex<Need>,
    clock: Mutex<ClockWatch>,
}

impl Counters {
    /// For one camera and stream, as text ids.
    pub fn new(camera: &str, stream: &str) -> Self {
        Self { camera: camera.to_owned(), stream: stream.to_owned(), ..Self::default() }
    }

    /// `cam_…`.
    pub fn camera(&self) -> &str {
        &self.camera
    }

    /// `str_…`.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// One picture decoded.
    pub fn decoded(&self) {
        self.decoded.fetch_add(1, Ordering::Relaxed);
    }

    /// Pictures skipped under load.
    pub fn skipped(&self, pictures: u64) {
        self.skipped.fetch_add(pictures, Ordering::Relaxed);
        metrics::counter!("belfry_reader_frames_skipped_total").increment(pictures);
    }

    /// One read made.
    pub fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("belfry_reader_reads_total").increment(1);
    }

    /// Whether pictures come now.
    pub fn set_decoding(&self, now: bool) {
        self.decoding.store(now, Ordering::Relaxed);
    }

    /// What the plates followed need: the models' thread says it, the decoding thread asks.
    pub fn set_need(&self, need: Need) {
        *self.need.lock().unwrap_or_else(PoisonError::into_inner) = need;
    }

    /// What was said last.
    pub fn need(&self) -> Need {
        self.need.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The clocks of one unit, and what the host's time service says.
    pub(super) fn clocked(&self, clocks: &media::Clocks, word: Option<HostWord>) {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).picture(clocks, word);
    }

    /// What is known of this camera's clock.
    pub(super) fn clock(&self) -> ClockWatch {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decoded, skipped, reads, decoding now.
    pub fn figures(&self) -> (u64, u64, u64, bool) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.decoded), count(&self.skipped), count(&self.reads), self.decoding.load(Ordering::Relaxed))
    }
}

/// One camera in force.
pub(super) struct Assigned {
    pub(super) counters: Arc<Counters>,
    pub(super) camera: watch::Sender<ReaderCamera>,
    pub(super) stop: CancellationToken,
}

/// See the module.
pub(super) struct Shared {
    pub(super) config: ReaderConfig,
    pub(super) host: Host,
    pub(super) verifier: CapabilityVerifier,
    pub(super) decoders: Arc<dyn Decoders>,
    pub(super) queue: FrameQueue,
    pub(super) stop: CancellationToken,
    pub(super) pictures: Arc<Semaphore>,
    /// Models run; cameras decode only then.
    pub(super) ready: watch::Sender<bool>,
    spool: Mutex<Spool>,
    cameras: Mutex<BTreeMap<String, Assigned>>,
    problem: Mutex<Option<String>>,
    word: Mutex<Option<HostWord>>,
}

impl Shared {
    pub(super) fn new(
        config: ReaderConfig,
        host: Host,
        verifier: CapabilityVerifier,
        decoders: Arc<dyn Decoders>,
        spool: Spool,
        stop: CancellationToken,
    ) -> Self {
        Self {
            config,
            host,
            verifier,
            decoders,
            queue: FrameQueue::default(),
            stop,
            pictures: Arc::new(Semaphore::new(PICTURES_MAX)),
            ready: watch::Sender::new(false),
            spool: Mutex::new(spool),
            cameras: Mutex::default(),
            problem: Mutex::default(),
            word: Mutex::default(),
        }
    }

    /// The spool. Held over file work: call it where blocking is allowed.
    pub(super) fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cameras in force. Never held over an await.
    pub(super) fn cameras(&self) -> MutexGuard<'_, BTreeMap<String, Assigned>> {
        self.cameras.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the host's time service said last.
    pub(super) fn word(&self) -> Option<HostWord> {
        *self.word.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what it says now.
    pub(super) fn ask_time(&self) {
        let now = (self.host.wall)();
        let said = self.config.time_tracking.as_deref().and_then(|path| super::clock::read_word(path, now));
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }

    /// Why no model runs.
    pub(super) fn problem(&self) -> MutexGuard<'_, Option<String>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
