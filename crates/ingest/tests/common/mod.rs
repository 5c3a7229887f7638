//! Simulated cameras, a running ingest and the recorder's side of the link.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ingest::ring::Hole;
use ingest::{Clock, IngestConfig, Ports, Random, RetinaTransport, SystemResolver, Transport, TransportFactory};
use link::{
    Cause, Connection, Control, LinkListener, Message, ProbeReport, Role, StreamPhase, StreamSpec, TransportKind,
};
use media::AccessUnit;
use media::session::Limits;
use sim::pattern::Pattern;
use sim::rtsp::StreamStats;
use sim::{CameraConfig, Credentials, SimConfig, SimServer, WallClock, find_counter_in_unit};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use vms_core::{Codec, MonoTime, StreamId, StreamUse, WallTime};

pub(crate) const START: WallTime = WallTime::from_secs(1_700_000_000);
const PATIENCE: Duration = Duration::from_secs(20);

/// A camera of 128×96 that offers sound.
pub(crate) fn camera() -> CameraConfig {
    CameraConfig::new(Pattern::default().film().expect("the pattern should be a film"), None)
}

/// A camera of 320×240: 290 kB/s.
pub(crate) fn large_camera() -> CameraConfig {
    let pattern = Pattern { width_mbs: 20, height_mbs: 15, ..Pattern::default() };
    CameraConfig::new(pattern.film().expect("the pattern should be a film"), None)
}

pub(crate) fn login() -> Credentials {
    Credentials { user: "operator".into(), password: "pass:word".into() }
}

pub(crate) const fn limits() -> Limits {
    Limits {
        // Shorter than those in service, and longer than a busy machine keeps the camera or the process off the processor.
        connect_max: Duration::from_millis(4_000),
        silence_max: Duration::from_millis(3_000),
        // Later than the silence, as in service: a camera that sends nothing is silent, not without a key frame.
        key_first_max: Duration::from_secs(6),
        key_gap_max: Duration::from_secs(8),
        backoff_first: Duration::from_millis(50),
        backoff_max: Duration::from_millis(200),
        backoff_refused: Duration::from_millis(200),
        steady_after: Duration::from_secs(1),
    }
}

/// Tokio's clock as both clocks of the host.
struct TestClock(Instant);

impl Clock for TestClock {
    fn wall(&self) -> WallTime {
        START.plus(self.0.elapsed())
    }

    fn mono(&self) -> MonoTime {
        MonoTime { micros: 1_000_000 + u64::try_from(self.0.elapsed().as_micros()).unwrap() }
    }
}

struct Counting(AtomicU64);

impl Random for Counting {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

struct RetinaOnly;

impl TransportFactory for RetinaOnly {
    fn make(&self, kind: TransportKind) -> Option<Box<dyn Transport>> {
        match kind {
            TransportKind::Retina => Some(Box::new(RetinaTransport::default())),
            TransportKind::GstTcp | TransportKind::GstUdp => None,
        }
    }
}

pub(crate) struct Rig {
    pub(crate) server: SimServer,
    pub(crate) shutdown: CancellationToken,
    ingest: Option<JoinHandle<()>>,
    dir: tempfile::TempDir,
}

fn stream_id(camera: usize) -> StreamId {
    StreamId::from_bytes([u8::try_from(camera).unwrap(); 16])
}

impl Rig {
    pub(crate) async fn start(cameras: Vec<CameraConfig>) -> Self {
        Self::start_with(cameras, |_| ()).await
    }

    pub(crate) async fn start_with(cameras: Vec<CameraConfig>, change: impl FnOnce(&mut IngestConfig)) -> Self {
        let (rig, run) = Self::prepare(cameras, change).await;
        Self { ingest: Some(tokio::spawn(run)), ..rig }
    }

    /// Cameras and the ingest process that is to be run.
    pub(crate) async fn prepare(
        cameras: Vec<CameraConfig>,
        change: impl FnOnce(&mut IngestConfig),
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let clock = TestClock(Instant::now());
        let config = SimConfig::new(cameras, WallClock::starting_at(START));
        let server = SimServer::start(config).await.expect("a free port should be found");
        let dir = tempfile::tempdir().expect("a temporary directory should be made");
        let shutdown = CancellationToken::new();
        let mut config = IngestConfig {
            session: limits(),
            start_spread: Duration::from_millis(20),
            ..IngestConfig::standard(dir.path().join("recorder.sock"), 1, vec![TransportKind::Retina])
        };
        change(&mut config);
        let ports = Ports {
            clock: Arc::new(clock),
            random: Arc::new(Counting(AtomicU64::new(1))),
            resolver: Arc::new(SystemResolver),
            transports: Arc::new(RetinaOnly),
        };
        let run = ingest::run(config, ports, shutdown.clone());
        (Self { server, shutdown, ingest: None, dir }, run)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("recorder.sock")
    }

    pub(crate) fn spec(&self, camera: usize) -> StreamSpec {
        StreamSpec {
            stream: stream_id(camera).to_string(),
            camera: "cam_00000000000000000000000000000000".into(),
            use_: "main".into(),
            url: self.server.url(camera, StreamUse::Main),
            sealed_credentials: None,
            transport: TransportKind::Retina,
            record: true,
            on_demand: false,
            retention_class: "RC-VID-OPEN".into(),
            keep_s: 3600,
        }
    }

    /// As the recorder asks for a probe: credentials opened.
    pub(crate) fn probe_spec(&self, camera: usize) -> StreamSpec {
        let clear = format!("{}:{}", login().user, login().password);
        StreamSpec { sealed_credentials: Some(clear), ..self.spec(camera) }
    }

    /// A fresh recorder that ingest has connected to.
    pub(crate) async fn recorder(&self) -> TestRecorder {
        let path = self.socket();
        if path.exists() {
            std::fs::remove_file(&path).expect("the old socket should go");
        }
        let listener = LinkListener::bind(&path, Role::Recorder, vec![]).expect("the socket should be free");
        let stream = timeout(PATIENCE, listener.accept()).await.expect("ingest should connect").unwrap();
        let connection = listener.greet(stream).await.expect("ingest should greet");
        assert_eq!((connection.peer, connection.instance), (Role::Ingest, 1));
        TestRecorder {
            connection,
            version: 0,
            networks: vec!["127.0.0.0/8".into()],
            ports: vec![(1, u16::MAX)],
            told: vec![],
            holes: vec![],
            units: vec![],
            sets: vec![],
            epoch: 0,
        }
    }

    /// Waits until the figures of camera 1 are as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&StreamStats) -> bool) {
        let waiting = async {
            while !self.server.stream_stats(1, StreamUse::Main).is_some_and(|stats| wanted(&stats)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("the camera should get there");
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        if let Some(ingest) = self.ingest {
            timeout(PATIENCE, ingest).await.expect("ingest should end").expect("ingest should not panic");
        }
        self.server.stop().await;
    }
}

/// One unit with what the simulator wrote into it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) unit: AccessUnit,
    pub(crate) counter: u64,
    /// Its parameter sets came on this connection before it.
    pub sets_known: bool,
}

pub(crate) struct TestRecorder {
    connection: Connection<UnixStream>,
    version: u64,
    pub(crate) networks: Vec<String>,
    pub(crate) ports: Vec<(u16, u16)>,
    told: Vec<(String, StreamPhase, Option<Cause>)>,
    pub(crate) holes: Vec<Hole>,
    units: Vec<(StreamId, Seen)>,
    sets: Vec<(String, String)>,
    /// Of the newest unit.
    pub(crate) epoch: u64,
}

impl TestRecorder {
    pub(crate) async fn send(&mut self, control: Control) {
        self.connection.sender.send(control).await.expect("ingest should listen");
    }

    pub(crate) async fn assign(&mut self, streams: &[StreamSpec]) {
        self.version += 1;
        let (user, password) = (login().user, login().password);
        let assign = Control::IngestAssign {
            version: self.version,
            streams: streams.to_vec(),
            credentials: streams.iter().map(|_| Some((user.clone(), password.clone()))).collect(),
            allowed_networks: self.networks.clone(),
            allowed_ports: self.ports.clone(),
        };
        self.send(assign).await;
    }

    pub(crate) async fn ack(&mut self, camera: usize, epoch: u64, seq: u64) {
        self.send(Control::Ack { stream: stream_id(camera).to_string(), epoch, seq }).await;
    }

    /// The next message; `None` when ingest closed.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let message = timeout(PATIENCE, self.connection.receiver.recv()).await.expect("ingest should speak").ok()?;
        match &message {
            Message::Unit(stream, unit) => {
                let counter = find_counter_in_unit(Codec::H264, &unit.payload).expect("every unit should be counted");
                let wanted = (stream.to_string(), format!("{:016x}", unit.param_set.0));
                let sets_known = self.sets.iter().rfind(|(of, _)| *of == wanted.0).is_some_and(|last| *last == wanted);
                self.epoch = unit.epoch;
                self.units.push((*stream, Seen { unit: unit.clone(), counter: counter.frame, sets_known }));
            }
            Message::Control(control) => self.note(control),
            Message::Bytes(_) | Message::Fragment(_) => panic!("ingest should send units and control messages only"),
        }
        Some(message)
    }

    fn note(&mut self, control: &Control) {
        if let Control::StreamState { stream, phase, cause, .. } = control {
            self.told.push((stream.clone(), *phase, *cause));
        } else if let Control::ParameterSets { stream, sets } = control {
            self.sets.push((stream.clone(), sets.id.clone()));
        } else if let Control::Hole { from_us, to_us, cause, .. } = control {
            let (from, to) = (WallTime::from_micros(*from_us), WallTime::from_micros(*to_us));
            self.holes.push(Hole { from, to, cause: *cause });
        } else {
            assert!(matches!(control, Control::Probed { .. }), "ingest should not say {control:?}");
        }
    }

    /// Takes one message, acknowledges a key frame; false when ingest closed.
    pub(crate) async fn take_and_ack(&mut self) -> bool {
        let Ok(message) = self.connection.receiver.recv().await else { return false };
        if let Message::Unit(stream, unit) = message
            && unit.is_key
        {
            self.send(Control::Ack { stream: stream.to_string(), epoch: unit.epoch, seq: unit.seq }).await;
        }
        true
    }

    /// The next `count` units of one camera.
    pub(crate) async fn units(&mut self, camera: usize, count: usize) -> Vec<Seen> {
        let stream = stream_id(camera);
        let waiting = async {
            while self.units.iter().filter(|(of, _)| *of == stream).count() < count {
                self.next().await.expect("ingest should stay");
            }
        };
        timeout(PATIENCE, waiting).await.expect("units should come");
        let mut taken = Vec::new();
        self.units.retain(|(of, seen)| {
            let take = *of == stream && taken.len() < count;
            if take {
                taken.push(seen.clone());
            }
            !take
        });
        taken
    }

    /// The first unit after an epoch.
    pub(crate) async fn first_after(&mut self, camera: usize, epoch: u64) -> Seen {
        loop {
            let seen = self.units(camera, 1).await.remove(0);
            if seen.unit.epoch > epoch {
                return seen;
            }
        }
    }

    pub(crate) fn phases(&self, camera: usize) -> Vec<StreamPhase> {
        let stream = stream_id(camera).to_string();
        self.told.iter().filter(|(of, ..)| *of == stream).map(|(_, phase, _)| *phase).collect()
    }

    /// Waits for a phase that is told from now on.
    pub(crate) async fn phase(&mut self, camera: usize, wanted: StreamPhase) {
        let stream = stream_id(camera).to_string();
        let from = self.told.len();
        let waiting = async {
            while !self.told[from..].iter().any(|(of, phase, _)| *of == stream && *phase == wanted) {
                self.next().await.expect("ingest should stay");
            }
        };
        timeout(PATIENCE, waiting).await.expect("the phase should come");
    }

    /// The next cause that is told.
    pub(crate) async fn cause(&mut self, camera: usize) -> Cause {
        let stream = stream_id(camera).to_string();
        let from = self.told.len();
        loop {
            if let Some(cause) =
                self.told[from..].iter().filter(|(of, ..)| *of == stream).find_map(|(.., cause)| *cause)
            {
                return cause;
            }
            self.next().await.expect("ingest should stay");
        }
    }

    /// Asks for a probe and waits for its report.
    pub(crate) async fn probe_through(&mut self, spec: &StreamSpec) -> ProbeReport {
        self.send(Control::Probe { request: 7, spec: spec.clone() }).await;
        loop {
            if let Some(Message::Control(control)) = self.next().await
                && let Control::Probed { request, report } = *control
            {
                assert_eq!(request, 7);
                return report;
            }
        }
    }
}
