//! The whole recorder over its real socket, with made-up ingest processes and viewers.

use std::path::Path;

use bytes::Bytes;
use link::{Assignment, Connection, LiveForm, Message, SegmentRow, StreamPhase, StreamSpec, TransportKind};
use media::AccessUnit;
use policy::capability::{Audience, Capability, CapabilitySigner, Scope};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use vms_core::{DecisionId, MonoTime, Rendition, TimeRange, WallTime};

use super::*;
use crate::testfilm::{START, TestClock, film, other_sets, payload, sets, stream, unit};

mod board;
mod export;
mod footage;
mod gate;
mod playback;
mod viewers;

type Link = Connection<UnixStream>;

struct Rig {
    clock: Arc<TestClock>,
    config: RecorderConfig,
    stop: CancellationToken,
    task: JoinHandle<Result<(), RecorderError>>,
    gate: CapabilitySigner,
}

impl Rig {
    async fn start(dir: &Path) -> Self {
        Self::start_with(dir, |_| {}).await
    }

    async fn start_with(dir: &Path, change: impl FnOnce(&mut RecorderConfig)) -> Self {
        let gate = CapabilitySigner::from_seed(&[7; 32]);
        let socket = dir.join("recorder.sock");
        let mut config = RecorderConfig::new(dir.to_owned(), socket, gate.verifier().public());
        config.linger = Duration::from_millis(100);
        config.sync_every = Duration::from_millis(100);
        config.index_every = Duration::from_millis(100);
        config.ballast_bytes = 4_096;
        config.keys = Some(crate::testfilm::vault_config(dir));
        change(&mut config);
        let (clock, stop) = (TestClock::new(), CancellationToken::new());
        let running = run(config.clone(), clock.clone(), stop.clone());
        let task = tokio::spawn(Box::pin(running));
        let rig = Self { clock, config, stop, task, gate };
        for _ in 0..500 {
            if rig.try_connect(Role::Serve).await.is_some() {
                return rig;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the recorder did not come up");
    }

    async fn try_connect(&self, role: Role) -> Option<Link> {
        link::connect(&self.config.socket, role, 0, self.config.origin.role()).await.ok()
    }

    async fn connect(&self, role: Role) -> Link {
        self.try_connect(role).await.unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Assigns streams `1..=count`, and connects as ingest.
    async fn assign(&self, count: u8, on_demand: bool) -> Link {
        let streams = (1..=count).map(|n| spec(n, on_demand)).collect();
        let assignment = Assignment { version: 1, streams, allowed_networks: vec![], allowed_ports: vec![(554, 554)] };
        let mut serve = self.connect(Role::Serve).await;
        assert_eq!(serve.ask(Control::Assign(assignment)).await.unwrap(), Control::Done);
        self.ingest().await
    }

    async fn ingest(&self) -> Link {
        let mut ingest = self.connect(Role::Ingest).await;
        let order = ingest.receiver.recv_control().await.unwrap();
        assert!(matches!(order, Control::IngestAssign { .. }), "{order:?}");
        for sets in [sets(), other_sets()] {
            let control = Control::ParameterSets { stream: stream(1).to_string(), sets: sets.as_ref().into() };
            ingest.sender.send(control).await.unwrap();
        }
        let live =
            Control::StreamState { stream: stream(1).to_string(), phase: StreamPhase::Live, cause: None, since_us: 0 };
        ingest.sender.send(live).await.unwrap();
        ingest
    }

    fn capability(&self, scope: Scope, life_ms: i64) -> Capability {
        let now = self.clock.wall();
        Capability {
            decision: DecisionId::from_bytes([1; 16]),
            log_index: 1,
            stream: stream(1),
            scope,
            rendition: Rendition::Original,
            audience: Audience::Recorder,
            standing: false,
            gated: false,
            issued_at: now,
            expires_at: WallTime::from_micros(now.micros + life_ms * 1_000),
        }
    }

    fn open_range(&self, range: TimeRange) -> Control {
        Control::OpenRange {
            capability: self.gate.sign(&self.capability(Scope::Range(range), 15_000)),
            stream: stream(1).to_string(),
            from_us: range.from.micros,
            to_us: range.to.micros,
        }
    }

    /// Opens a range and reads all of it.
    async fn play(&self, range: TimeRange) -> (Control, Vec<u8>) {
        let mut viewer = self.connect(Role::Serve).await;
        let info = viewer.ask(self.open_range(range)).await.unwrap();
        let Control::RangeInfo { size, .. } = &info else { panic!("{info:?}") };
        let bytes = read(&mut viewer, 0, *size).await.unwrap();
        (info, bytes)
    }

    fn open_live(&self, life_ms: i64, form: LiveForm) -> Control {
        let capability = self.gate.sign(&self.capability(Scope::Live, life_ms));
        Control::OpenLive { capability, stream: stream(1).to_string(), rendition: "original".to_owned(), form }
    }
}

fn spec(number: u8, on_demand: bool) -> StreamSpec {
    StreamSpec {
        stream: stream(number).to_string(),
        camera: crate::testfilm::facts(number).camera.to_string(),
        use_: "main".to_owned(),
        url: "rtsp://127.0.0.1/".to_owned(),
        sealed_credentials: None,
        transport: TransportKind::Retina,
        record: !on_demand,
        on_demand,
        retention_class: "RC-VID-OPEN".to_owned(),
        keep_s: 86_400,
    }
}

async fn send(ingest: &mut Link, units: &[AccessUnit]) {
    for unit in units {
        ingest.sender.push(&Message::Unit(stream(1), unit.clone()));
    }
    ingest.sender.flush().await.unwrap();
}

/// Waits for the acknowledgement of `(epoch, seq)` or later.
async fn acked(ingest: &mut Link, epoch: u64, seq: u64) {
    let wait = async {
        loop {
            if let Control::Ack { epoch: e, seq: s, .. } = ingest.receiver.recv_control().await.unwrap()
                && (e, s) >= (epoch, seq)
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
}

async fn read(viewer: &mut Link, start: u64, end: u64) -> Result<Vec<u8>, Control> {
    viewer.sender.send(Control::ReadRange { start, end }).await.unwrap();
    collect(viewer).await
}

/// Runs of bytes until `Done`.
async fn collect(viewer: &mut Link) -> Result<Vec<u8>, Control> {
    let mut all = Vec::new();
    loop {
        match viewer.receiver.recv().await.unwrap() {
            Message::Bytes(piece) => all.extend_from_slice(&piece),
            Message::Control(control) if *control == Control::Done => return Ok(all),
            Message::Control(control) => return Err(*control),
            Message::Unit(..) | Message::Fragment(_) => panic!("not asked for"),
        }
    }
}

/// Contents of every `mdat`.
fn mdats(file: &[u8]) -> Vec<u8> {
    let (mut rest, mut out) = (file, Vec::new());
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let size = usize::try_from(u32::from_be_bytes(head[..4].try_into().unwrap())).unwrap();
        if &head[4..] == b"mdat" {
            out.extend_from_slice(&rest[8..size]);
        }
        rest = &rest[size..];
    }
    out
}

fn span(from_s: i64, to_s: i64) -> TimeRange {
    let at = |secs: i64| WallTime::from_micros(START.0.micros + secs * 1_000_000);
    TimeRange::new(at(from_s), at(to_s)).unwrap()
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Has ffprobe decode a film; plain words where it is not installed.
fn ffprobe_frames(file: &[u8]) -> Option<usize> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("film.mp4");
    std::fs::write(&path, file).unwrap();
    let args = ["-v", "error", "-show_entries", "packet=pts", "-of", "csv=p=0"];
    let Ok(output) = std::process::Command::new("ffprobe").args(args).arg(&path).output() else {
        println!("not run: ffprobe is not installed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().filter(|line| !line.is_empty()).count())
}
