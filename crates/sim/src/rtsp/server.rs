//! The server: configuration, the listening task, figures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_core::{StreamUse, WallTime};

use super::connection;
use super::{Credentials, Faults, Identity};
use crate::film::Film;
use crate::schedule::Schedule;
use crate::{WallClock, mix};

/// Most connections at a time; a further one is closed at once.
const CONNECTIONS_MAX: usize = 1000;
/// Most cameras of one server.
const CAMERAS_MAX: usize = 1000;

/// One simulated camera.
#[derive(Clone, Debug)]
pub struct CameraConfig {
    /// Film of the main stream.
    pub main: Arc<Film>,
    /// Film of the sub-stream; without one its path does not exist.
    pub sub: Option<Arc<Film>>,
    /// Where in the film the camera stands when the server starts.
    pub phase: Duration,
    /// Digest log-in; `None` lets everybody in.
    pub credentials: Option<Credentials>,
    /// Offers a PCMU track that a lawful client never sets up.
    pub audio: bool,
    /// What is wrong with it at the start; see [`SimServer::set_faults`].
    pub faults: Faults,
}

impl CameraConfig {
    /// A healthy camera without log-in that offers sound.
    pub fn new(main: Arc<Film>, sub: Option<Arc<Film>>) -> Self {
        Self { main, sub, phase: Duration::ZERO, credentials: None, audio: true, faults: Faults::default() }
    }
}

/// What to serve and where.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Camera number 1 is the first.
    pub cameras: Vec<CameraConfig>,
    /// Time for sender reports and counters.
    pub clock: WallClock,
    /// Chooses source ids, nonces and losses; equal seeds give equal choices.
    pub seed: u64,
    /// A session without any byte from its client for this long is dropped.
    pub session_timeout: Duration,
    /// With a certificate all cameras speak RTSP over TLS only.
    pub identity: Option<Identity>,
}

impl SimConfig {
    /// Cameras on a free port of the loopback address.
    pub fn new(cameras: Vec<CameraConfig>, clock: WallClock) -> Self {
        let bind = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { bind, cameras, clock, seed: 1, session_timeout: Duration::from_secs(60), identity: None }
    }

    /// `count` equal cameras, spread over the film so that their key frames do not coincide.
    pub fn fleet(count: usize, camera: &CameraConfig, clock: WallClock) -> Self {
        let length = u64::try_from(camera.main.duration()).unwrap_or(0).saturating_mul(100) / 9;
        let cameras = (0..u64::try_from(count).unwrap_or(0))
            .map(|n| {
                // Steps of the golden ratio spread any number of points evenly over a circle.
                let phase = Duration::from_micros(n.saturating_mul(618_034).rem_euclid(1_000_000) * length / 1_000_000);
                CameraConfig { phase, ..camera.clone() }
            })
            .collect();
        Self::new(cameras, clock)
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The port is taken or not allowed.
    #[error("cannot listen on {bind}")]
    Bind {
        /// Wanted address.
        bind: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No cameras, or more than the server can number.
    #[error("{0} cameras: between 1 and 1000 are possible")]
    CameraCount(usize),
}

/// Figures of the whole server since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimStats {
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Requests answered with 401.
    pub refused: u64,
    /// SETUP requests for the sound track. Must stay 0.
    pub audio_setups: u64,
    /// Access units sent.
    pub frames_sent: u64,
    /// Bytes sent as RTP, headers included.
    pub bytes_sent: u64,
    /// Access units left out because a client read too slowly.
    pub frames_skipped: u64,
    /// Packets left out on UDP on purpose.
    pub packets_lost: u64,
}

/// Figures of one stream of one camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// PLAY requests granted.
    pub plays: u64,
    /// Sessions playing now.
    pub playing: u64,
    /// Access units sent to all sessions together.
    pub frames_sent: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) connections_open: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) audio_setups: AtomicU64,
    pub(super) frames_sent: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) frames_skipped: AtomicU64,
    pub(super) packets_lost: AtomicU64,
}

/// One stream that can be asked for.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) schedule: Schedule,
    pub(super) plays: AtomicU64,
    pub(super) playing: AtomicU64,
    pub(super) frames_sent: AtomicU64,
}

impl Stream {
    fn new(film: &Arc<Film>, phase: Duration) -> Arc<Self> {
        Arc::new(Self {
            schedule: Schedule::new(Arc::clone(film), phase),
            plays: AtomicU64::new(0),
            playing: AtomicU64::new(0),
            frames_sent: AtomicU64::new(0),
        })
    }
}

#[derive(Debug)]
pub(super) struct Camera {
    /// From 1.
    pub(super) number: u32,
    pub(super) main: Arc<Stream>,
    pub(super) sub: Option<Arc<Stream>>,
    pub(super) credentials: Option<Credentials>,
    pub(super) audio: bool,
    pub(super) faults: watch::Sender<Faults>,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cameras: Vec<Camera>,
    pub(super) clock: WallClock,
    pub(super) seed: u64,
    pub(super) session_timeout: Duration,
    pub(super) identity: Option<Identity>,
    pub(super) started: Instant,
    pub(super) counters: Counters,
}

impl Shared {
    /// Time since the server's start: the only clock that paces anything.
    pub(super) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// The camera and stream of a path such as `cam001/sub`, with or without a track behind it.
    pub(super) fn find(&self, path: &str) -> Option<(&Camera, &Arc<Stream>)> {
        let mut words = path.split('/');
        let number: usize = words.next()?.strip_prefix("cam")?.parse().ok()?;
        let camera = self.cameras.get(number.checked_sub(1)?)?;
        let stream = match words.next()?.parse().ok()? {
            StreamUse::Main => &camera.main,
            StreamUse::Sub => camera.sub.as_ref()?,
            StreamUse::Anpr => return None,
        };
        Some((camera, stream))
    }
}

/// A running server. Dropping it stops it; [`SimServer::stop`] also waits.
#[derive(Debug)]
pub struct SimServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    started_at: WallTime,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl SimServer {
    /// Listens and serves until stopped. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`SimError`].
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        if config.cameras.is_empty() || config.cameras.len() > CAMERAS_MAX {
            return Err(SimError::CameraCount(config.cameras.len()));
        }
        let bind_error = |source| SimError::Bind { bind: config.bind, source };
        let listener = TcpListener::bind(config.bind).await.map_err(bind_error)?;
        let addr = listener.local_addr().map_err(bind_error)?;
        let cameras = (1_u32..).zip(config.cameras).map(|(number, camera)| Camera {
            number,
            main: Stream::new(&camera.main, camera.phase),
            sub: camera.sub.as_ref().map(|film| Stream::new(film, camera.phase)),
            credentials: camera.credentials,
            audio: camera.audio,
            faults: watch::Sender::new(camera.faults),
        });
        let started_at = config.clock.now();
        let shared = Arc::new(Shared {
            cameras: cameras.collect(),
            clock: config.clock,
            seed: config.seed,
            session_timeout: config.session_timeout,
            identity: config.identity,
            started: Instant::now(),
            counters: Counters::default(),
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(listen(listener, Arc::clone(&shared), tasks.clone(), stop.clone()));
        Ok(Self { addr, shared, started_at, stop, tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Wall time of unit 0 of every camera.
    pub fn started_at(&self) -> WallTime {
        self.started_at
    }

    /// Address of a camera's stream, cameras counted from 1, without user and password.
    pub fn url(&self, camera: usize, stream_use: StreamUse) -> String {
        let host = if self.addr.ip().is_unspecified() {
            SocketAddr::from(([127, 0, 0, 1], self.addr.port()))
        } else {
            self.addr
        };
        let scheme = if self.shared.identity.is_some() { "rtsps" } else { "rtsp" };
        format!("{scheme}://{host}/cam{camera:03}/{stream_use}")
    }

    /// Figures of the server.
    pub fn stats(&self) -> SimStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        SimStats {
            connections: read(&counters.connections),
            connections_open: read(&counters.connections_open),
            refused: read(&counters.refused),
            audio_setups: read(&counters.audio_setups),
            frames_sent: read(&counters.frames_sent),
            bytes_sent: read(&counters.bytes_sent),
            frames_skipped: read(&counters.frames_skipped),
            packets_lost: read(&counters.packets_lost),
        }
    }

    /// Figures of one stream; `None` when there is no such camera or stream.
    pub fn stream_stats(&self, camera: usize, stream_use: StreamUse) -> Option<StreamStats> {
        let (_, stream) = self.shared.find(&format!("cam{camera}/{stream_use}"))?;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Some(StreamStats {
            plays: read(&stream.plays),
            playing: read(&stream.playing),
            frames_sent: read(&stream.frames_sent),
        })
    }

    /// Changes what is wrong with a camera (from 1), also for connections that are open. False: no such camera.
    pub fn set_faults(&self, camera: usize, faults: Faults) -> bool {
        let found = camera.checked_sub(1).and_then(|index| self.shared.cameras.get(index));
        found.map(|camera| camera.faults.send_replace(faults)).is_some()
    }

    /// Closes everything and waits until all tasks have ended.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>, tasks: TaskTracker, stop: CancellationToken) {
    let mut number = 0_u64;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file handles, or the client was gone already: try again after a breath.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // The listening task itself is one of them.
        if tasks.len() > CONNECTIONS_MAX {
            tracing::warn!("more than {CONNECTIONS_MAX} connections: closing a new one");
            continue;
        }
        number = number.wrapping_add(1);
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        let seed = mix(shared.seed ^ mix(number));
        tasks.spawn(connection::serve(Arc::clone(&shared), stream, seed, stop.clone()));
    }
}
