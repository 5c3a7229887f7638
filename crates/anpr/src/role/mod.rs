//! The reader role without its decoder: units from the recorder in, sealed reads out to `serve`.
//!
//! Per camera one task dials the recorder and one thread decodes; one thread runs the models for all cameras. Between
//! them: units wait (the recorder drops to the next key frame for a slow reader and says so), decoded pictures do not:
//! [`queue`] keeps the newest few of each camera and counts what it drops. Reads go through the spool, and only an
//! acknowledged one leaves it.

mod camera;
mod clock;
mod host;
mod picture;
pub mod queue;
mod server;
mod shared;
mod still;
mod work;

pub use clock::{ClockWatch, HostWord, fuzz_host_word, host_word};
pub use host::{DecodeError, Decoded, Decoder, Decoders, Host};
pub use shared::Counters;

use std::path::PathBuf;
use std::sync::Arc;

use link::{LinkListener, Role};
use policy::CapabilityVerifier;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::InputSize;
use crate::spool::{Spool, SpoolError};
use shared::Shared;

/// What the role needs to know.
#[derive(Clone, Debug)]
pub struct ReaderConfig {
    /// Where the sockets are: `reader.sock` is made here, `recorder.sock` is dialled here.
    pub run_dir: PathBuf,
    /// Spool and its key.
    pub state_dir: PathBuf,
    /// Folder of the models.
    pub models: PathBuf,
    /// ONNX Runtime's shared library.
    pub library: PathBuf,
    /// Threads of one inference.
    pub threads: usize,
    /// Input of the detector.
    pub size: InputSize,
    /// Cameras with one of these purposes are looked at in [`InputSize::FINE`], beside the others in one process.
    pub fine_for: Vec<String>,
    /// A file that a timer of the time service keeps: the line of `chronyc -n -c tracking`. Without one no clock is known to be right.
    pub time_tracking: Option<PathBuf>,
    /// User ids that may connect besides our own.
    pub users: Vec<u32>,
}

/// Why the role ends.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The socket.
    #[error("cannot listen")]
    Listen(#[from] link::LinkError),
    /// The spool.
    #[error("cannot open the spool")]
    Spool(#[from] SpoolError),
    /// The state directory.
    #[error("cannot make the state directory")]
    State(#[source] std::io::Error),
    /// A task ended that should not.
    #[error("the models' thread ended unasked")]
    Worker,
}

/// How often the time service's word is looked at; it counts for much longer.
const TIME_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

async fn ask_time(shared: Arc<Shared>) {
    while shared.config.time_tracking.is_some() {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(TIME_EVERY) => {
                let asking = Arc::clone(&shared);
                drop(tokio::task::spawn_blocking(move || asking.ask_time()).await);
            }
        }
    }
}

/// Runs the role until `stop`.
///
/// # Errors
/// [`ReaderError`]; a missing model or library is no error: the role says so in its health and looks again.
pub async fn run(
    config: ReaderConfig,
    host: Host,
    verifier: CapabilityVerifier,
    decoders: Arc<dyn Decoders>,
    stop: CancellationToken,
) -> Result<(), ReaderError> {
    std::fs::create_dir_all(&config.state_dir).map_err(ReaderError::State)?;
    let folder = config.state_dir.join("reader-spool");
    let spool = Spool::open(&folder, &config.state_dir.join("reader-spool.key"), (host.wall)(), host.random)?;
    let listener = LinkListener::bind(&config.run_dir.join("reader.sock"), Role::Reader, config.users.clone())?;
    tracing::info!(waiting = spool.waiting(), "the reader listens");
    let shared = Arc::new(Shared::new(config, host, verifier, decoders, spool, stop.clone()));
    shared.ask_time();
    let tracker = TaskTracker::new();
    tracker.spawn(ask_time(Arc::clone(&shared)));
    let worker = {
        let shared = Arc::clone(&shared);
        tokio::task::spawn_blocking(move || work::run(&shared))
    };
    let served = server::serve(listener, Arc::clone(&shared), tracker.clone());
    let ended = tokio::select! {
        () = served => Ok(()),
        joined = worker => {
            let asked = stop.is_cancelled() && joined.is_ok();
            if asked { Ok(()) } else { Err(ReaderError::Worker) }
        }
    };
    stop.cancel();
    shared.queue.close();
    tracker.close();
    tracker.wait().await;
    ended
}
