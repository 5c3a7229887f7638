//! The ingest process: keeps a connection to its recorder, runs a task per assigned stream, hands units over.
//!
//! Recording depends on nothing here but the cameras: sessions live on while the recorder is away, and their rings hold
//! what it missed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use link::codec::Sender;
use link::{Connection, LinkError, Message, Role, TransportKind};
use media::session::Limits;
use tokio::net::UnixStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::board::{Board, Room};
use crate::crew::Crew;
use crate::ports::Ports;

/// First and longest wait before the next try to reach the recorder.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Streams that are pulled on demand go on for so long without a recorder.
const DEMAND_HELD_MAX: Duration = Duration::from_secs(10);
/// Bytes written in one go; the outgoing queue is bounded by this and one access unit, everything else waits in the rings.
const BATCH_BYTES: usize = 256 * 1024;
/// Tearing sessions down and handing over what is held may take so long when the process ends.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

/// Pause of the runtime while somebody watches a camera of this process, a person or the reader: what a picture may be late by
/// here.
const GATHER_WATCHED: Duration = Duration::from_millis(8);
/// Pause while a session opens or ends, or the recorder is looked for.
const GATHER_IN_TALK: Duration = Duration::from_millis(20);
/// Pause while pictures are on their way to the disk only. It bounds how far the host's time of a picture may be off (the unit's
/// decode time places it inside the pause, see [`crate::unit::Assembler::frame`]); it must stay below the 200 ms from which on a
/// hole counts, and what a camera sends meanwhile must fit a socket's window.
const GATHER: Duration = Duration::from_millis(160);

/// Whether somebody watches a camera of this process; its one runtime's pause goes by it.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// Conversations under way in which each word waits for the answer to the one before.
static IN_TALK: AtomicUsize = AtomicUsize::new(0);

/// The recorder has not taken what was written to it: every pause would be its pause too.
static IS_STUCK: AtomicBool = AtomicBool::new(false);

/// What the runtime last paused for, µs: what is read now may have arrived so much earlier.
static GATHERED_US: AtomicU64 = AtomicU64::new(0);

/// Somebody watches, or nobody does any more.
pub(crate) fn watched(is_watched: bool) {
    IS_WATCHED.store(is_watched, Ordering::Relaxed);
}

/// How long the runtime did not look at the network before this turn.
pub(crate) fn gathered() -> Duration {
    Duration::from_micros(GATHERED_US.load(Ordering::Relaxed))
}

/// A conversation: pauses are short while one goes on.
#[derive(Debug)]
pub(crate) struct Talk(());

impl Talk {
    /// Begins one; it ends when the value is dropped.
    pub(crate) fn begin() -> Self {
        IN_TALK.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        IN_TALK.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pause before the network is waited for: what arrives meanwhile is taken, and handed over, in one go. A wake-up for every
/// picture of every camera costs more than its bytes do.
fn pause() -> Duration {
    if IS_STUCK.load(Ordering::Relaxed) {
        Duration::ZERO
    } else if IS_WATCHED.load(Ordering::Relaxed) {
        GATHER_WATCHED
    } else if IN_TALK.load(Ordering::Relaxed) > 0 {
        GATHER_IN_TALK
    } else {
        GATHER
    }
}

/// The runtime of an ingest process: one thread, that pauses before it waits so that few wake-ups take many packets.
///
/// # Errors
/// When the host refuses it.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let gather = || {
        let pause = pause();
        GATHERED_US.store(u64::try_from(pause.as_micros()).unwrap_or(0), Ordering::Relaxed);
        if !pause.is_zero() {
            let pause = rustix::time::Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
            // Cut short by a signal: the runtime then looks for events, which is right.
            drop(rustix::thread::nanosleep(&pause));
        }
    };
    tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(gather).build()
}

/// Settings of one ingest process.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// Where the recorder listens.
    pub recorder_socket: PathBuf,
    /// What listens there: the recorder, or the gateway for partner streams.
    pub recorder_role: Role,
    /// Which of several ingest processes this is.
    pub instance: u32,
    /// Kinds of transport that this process carries; streams of other kinds in its list are left to another process.
    pub kinds: Vec<TransportKind>,
    /// Bytes that one stream may hold for an absent recorder.
    pub ring_bytes_max: usize,
    /// First connections of the streams of one assignment are spread over this time.
    pub start_spread: Duration,
    /// How far the clocks of camera and host may differ and still agree.
    pub agrees_within: Duration,
    /// Time-outs of camera sessions.
    pub session: Limits,
}

impl IngestConfig {
    /// Settings for cameras on a local network.
    ///
    /// * Ring: 24 MiB, 10 s of 19 Mbit/s or 45 s of 4 Mbit/s.
    /// * Back-off up to 1.5 s: a camera that is back on the network records within 2 s (`reliability.md` R12).
    /// * Key frames: 15 s for the first (key-frame intervals of 10 s exist), 60 s between two.
    pub fn standard(recorder_socket: PathBuf, instance: u32, kinds: Vec<TransportKind>) -> Self {
        Self {
            recorder_socket,
            recorder_role: Role::Recorder,
            instance,
            kinds,
            ring_bytes_max: 24 * 1024 * 1024,
            start_spread: Duration::from_millis(500),
            agrees_within: Duration::from_millis(500),
            session: Limits {
                connect_max: Duration::from_secs(5),
                silence_max: Duration::from_secs(5),
                key_first_max: Duration::from_secs(15),
                key_gap_max: Duration::from_secs(60),
                backoff_first: Duration::from_millis(250),
                backoff_max: Duration::from_millis(1500),
                backoff_refused: Duration::from_secs(30),
                steady_after: Duration::from_secs(10),
            },
        }
    }
}

/// Runs until `shutdown`; sessions are then torn down and what is held is handed over, within 2 s. Call it on a
/// current-thread runtime.
pub async fn run(config: IngestConfig, ports: Ports, shutdown: CancellationToken) {
    let board = Arc::new(Board::new(config.ring_bytes_max));
    let mut crew = Crew::new(config.clone(), ports, Arc::clone(&board));
    let mut retry = RETRY.0;
    let mut away_since = Instant::now();
    loop {
        let talk = Talk::begin();
        let connecting = link::connect(&config.recorder_socket, Role::Ingest, config.instance, config.recorder_role);
        let connected = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            connected = connecting => connected,
        };
        drop(talk);
        match connected {
            Ok(connection) => {
                tracing::info!("connected to the recorder");
                board.rewind();
                crew.meet_recorder();
                let ended = serve(connection, &mut crew, &board, &shutdown).await;
                tracing::info!(why = %ended, "the connection to the recorder ended");
                (retry, away_since) = (RETRY.0, Instant::now());
            }
            Err(error) => tracing::debug!(%error, "the recorder is not there"),
        }
        if away_since.elapsed() > DEMAND_HELD_MAX {
            crew.forget_demands();
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(retry) => retry = (retry * 2).min(RETRY.1),
        }
    }
    let talk = Talk::begin();
    crew.dismiss();
    drop(tokio::time::timeout(SHUTDOWN_MAX, crew.joined()).await);
    drop(talk);
}

/// One connection to the recorder, both ways, until it breaks or the process ends.
async fn serve(
    connection: Connection<UnixStream>,
    crew: &mut Crew,
    board: &Board,
    shutdown: &CancellationToken,
) -> LinkError {
    let Connection { mut receiver, sender, .. } = connection;
    let mut writing = std::pin::pin!(write(sender, board));
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            message = receiver.recv() => match message {
                Ok(Message::Control(control)) => crew.obey(*control),
                Ok(Message::Unit(..) | Message::Bytes(_) | Message::Fragment(_)) => return LinkError::Malformed,
                Err(error) => return error,
            },
            error = &mut writing => return error,
        }
    }
    let _talk = Talk::begin();
    crew.dismiss();
    let finishing = async {
        crew.joined().await;
        board.handed_over().await;
        LinkError::Closed
    };
    let last = async {
        tokio::select! {
            error = &mut writing => error,
            error = finishing => error,
        }
    };
    tokio::time::timeout(SHUTDOWN_MAX, last).await.unwrap_or(LinkError::Closed)
}

/// Hands over what the board holds, many messages to one write.
async fn write(mut sender: Sender<UnixStream>, board: &Board) -> LinkError {
    loop {
        board.take(|message| {
            sender.push(&message);
            if sender.pending() < BATCH_BYTES { Room::Left } else { Room::Full }
        });
        if sender.pending() == 0 {
            board.flushed();
            board.wait().await;
        } else {
            // Only where the recorder does not take it at once does the runtime come to pause before this is undone.
            IS_STUCK.store(true, Ordering::Relaxed);
            let flushed = sender.flush().await;
            IS_STUCK.store(false, Ordering::Relaxed);
            if let Err(error) = flushed {
                return error;
            }
        }
    }
}
