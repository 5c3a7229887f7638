//! Stands between a recorder and the processes of one shard once a camera of it lives alone.
//!
//! The recorder sees the one process that it knows. Towards the processes the relay is their recorder: each gets its own part of
//! the list. It reads frames of the link and no byte of a camera beyond them. A lost connection to the recorder ends all the
//! others: the processes come back, and their rings give again what was not acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use link::socket::LinkListener;
use link::{Cause, Connection, Control, LinkError, Message, Role, StreamPhase, StreamSpec};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vms_core::{StreamId, WallTime};

/// Instance of the process of the first camera that lives alone; the others follow.
pub(crate) const APART_FIRST: u32 = 100_000;
/// Messages waiting for the recorder. When it is full, the processes wait: their rings are the queue.
const UP_MAX: usize = 64;
/// Messages waiting for one process. When it is full, its connection ends: it comes back and begins anew.
const DOWN_MAX: usize = 1_024;
/// Bytes written in one go.
const BATCH_BYTES: usize = 256 * 1024;
/// Wait before the next try to reach the recorder.
const RETRY: Duration = Duration::from_millis(200);

/// Settings.
#[derive(Clone, Debug)]
pub(crate) struct RelayConfig {
    /// Where the recorder listens.
    pub(crate) recorder: PathBuf,
    /// Where the relay listens.
    pub(crate) listen: PathBuf,
    /// Which process of the recorder's it stands for.
    pub(crate) instance: u32,
    /// A stream of each camera that lives alone; the process of the n-th has instance [`APART_FIRST`] + n.
    pub(crate) apart: Vec<StreamId>,
}

/// The recorder's list, split; and what else a process must hear when it comes back.
#[derive(Debug, Default)]
struct Lists {
    apart: Vec<StreamId>,
    /// The last list as it came.
    whole: Option<Control>,
    /// Which process has which stream, by its text.
    owner: BTreeMap<String, u32>,
    demands: BTreeSet<String>,
}

impl Lists {
    /// Takes a list in; which streams live where follows from it.
    fn take(&mut self, main: u32, whole: Control) {
        self.owner.clear();
        if let Control::IngestAssign { streams, .. } = &whole {
            let camera_of = |stream: &StreamId| {
                let text = stream.to_string();
                streams.iter().find(|spec| spec.stream == text).map(|spec| spec.camera.clone())
            };
            let cameras: Vec<Option<String>> = self.apart.iter().map(camera_of).collect();
            for spec in streams {
                let place = cameras.iter().position(|camera| camera.as_ref() == Some(&spec.camera));
                let process = place.and_then(|place| u32::try_from(place).ok()).map_or(main, |n| APART_FIRST + n);
                self.owner.insert(spec.stream.clone(), process);
            }
        }
        self.whole = Some(whole);
    }

    /// What a process is told first: its part of the list, and what of it somebody watches.
    fn greeting(&self, process: u32) -> Vec<Control> {
        let Some(Control::IngestAssign { version, streams, credentials, allowed_networks, allowed_ports }) =
            &self.whole
        else {
            return Vec::new();
        };
        let is_ours = |spec: &StreamSpec| self.owner.get(&spec.stream) == Some(&process);
        let part = streams.iter().zip(credentials).filter(|(spec, _)| is_ours(spec));
        let (streams, credentials) = part.map(|(spec, pair)| (spec.clone(), pair.clone())).unzip();
        let mut out = vec![Control::IngestAssign {
            version: *version,
            streams,
            credentials,
            allowed_networks: allowed_networks.clone(),
            allowed_ports: allowed_ports.clone(),
        }];
        let watched = self.demands.iter().filter(|stream| self.owner.get(*stream) == Some(&process));
        out.extend(watched.map(|stream| Control::Demand { stream: stream.clone(), on: true }));
        out
    }

    /// Streams of a process.
    fn of(&self, process: u32) -> impl Iterator<Item = &String> {
        self.owner.iter().filter(move |(_, owner)| **owner == process).map(|(stream, _)| stream)
    }
}

/// Runs until `stop`. `now` is the host's wall clock.
pub(crate) async fn run(config: RelayConfig, listener: LinkListener, now: fn() -> WallTime, stop: CancellationToken) {
    loop {
        let connecting = link::connect(&config.recorder, Role::Ingest, config.instance, Role::Recorder);
        let connected = tokio::select! {
            () = stop.cancelled() => return,
            connected = connecting => connected,
        };
        if let Ok(recorder) = connected {
            tracing::info!(instance = config.instance, apart = config.apart.len(), "the relay reached the recorder");
            let session = Session::new(&config, &listener, now);
            tokio::select! {
                () = stop.cancelled() => return,
                ended = session.run(recorder) => tracing::info!(why = %ended, "the relay lost the recorder"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// Opens the relay's socket.
///
/// # Errors
/// Somebody listens there, or the folder is not ours.
pub(crate) fn bind(config: &RelayConfig) -> anyhow::Result<LinkListener> {
    LinkListener::bind(&config.listen, Role::Recorder, Vec::new())
        .with_context(|| format!("listening at {}", config.listen.display()))
}

/// What a process's task says to the session; the number tells two connections of one process apart.
#[derive(Debug)]
enum News {
    /// It greeted and takes orders here.
    Came(u32, u64, mpsc::Sender<Control>),
    /// Its connection ended.
    Went(u32, u64),
}

struct Session<'a> {
    config: &'a RelayConfig,
    listener: &'a LinkListener,
    now: fn() -> WallTime,
    lists: Lists,
    processes: BTreeMap<u32, (u64, mpsc::Sender<Control>)>,
}

impl<'a> Session<'a> {
    fn new(config: &'a RelayConfig, listener: &'a LinkListener, now: fn() -> WallTime) -> Self {
        let lists = Lists { apart: config.apart.clone(), ..Lists::default() };
        Self { config, listener, now, lists, processes: BTreeMap::new() }
    }

    /// One connection to the recorder, to its end.
    async fn run(mut self, recorder: Connection<UnixStream>) -> LinkError {
        let Connection { mut receiver, sender, .. } = recorder;
        let (up, waiting) = mpsc::channel(UP_MAX);
        let (news_in, mut news) = mpsc::channel(UP_MAX);
        let mut tasks = JoinSet::new();
        let mut number = 0;
        // Written and read at the same time: two peers that both only write would wait for each other.
        let mut writing = std::pin::pin!(write(sender, waiting));
        loop {
            tokio::select! {
                error = &mut writing => return error,
                message = receiver.recv() => match message {
                    Ok(Message::Control(control)) => self.obey(*control),
                    Ok(Message::Unit(..) | Message::Bytes(_) | Message::Fragment(_)) => return LinkError::Malformed,
                    Err(error) => return error,
                },
                accepted = self.listener.accept() => if let Ok(stream) = accepted {
                    number += 1;
                    tasks.spawn(process(stream, number, news_in.clone(), up.clone()));
                },
                Some(item) = news.recv() => if let Some(states) = self.hear(item) {
                    let up = up.clone();
                    tasks.spawn(async move {
                        for state in states {
                            drop(up.send(state.into()).await);
                        }
                    });
                },
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    /// Keeps account of who is there; what the recorder must hear of a process that went.
    fn hear(&mut self, news: News) -> Option<Vec<Control>> {
        match news {
            News::Came(process, number, to) => {
                self.processes.insert(process, (number, to));
                for control in self.lists.greeting(process) {
                    self.tell(process, control);
                }
                None
            }
            News::Went(process, number) => {
                if self.processes.get(&process).is_some_and(|(newest, _)| *newest != number) {
                    return None;
                }
                self.processes.remove(&process);
                let since_us = (self.now)().micros;
                let (phase, cause) = (StreamPhase::Connecting, Some(Cause::IngestRestart));
                let state = |stream: &String| Control::StreamState { stream: stream.clone(), phase, cause, since_us };
                Some(self.lists.of(process).map(state).collect())
            }
        }
    }

    fn obey(&mut self, control: Control) {
        if let Control::IngestAssign { .. } = control {
            self.lists.take(self.config.instance, control);
            for process in self.processes.keys().copied().collect::<Vec<u32>>() {
                for control in self.lists.greeting(process) {
                    self.tell(process, control);
                }
            }
            return;
        }
        if let Control::Demand { stream, on } = &control {
            if *on {
                self.lists.demands.insert(stream.clone());
            } else {
                self.lists.demands.remove(stream);
            }
        }
        let stream = if let Control::Demand { stream, .. } | Control::Ack { stream, .. } = &control {
            self.lists.owner.get(stream).copied()
        } else {
            // A probe, and whatever else the shard's first process may know.
            None
        };
        self.tell(stream.unwrap_or(self.config.instance), control);
    }

    fn tell(&mut self, process: u32, control: Control) {
        let Some((_, to)) = self.processes.get(&process) else { return };
        if to.try_send(control).is_err() {
            // Dropping its queue ends its connection.
            self.processes.remove(&process);
        }
    }
}

/// Hands over what the processes send, many messages to one write.
async fn write(mut sender: link::codec::Sender<UnixStream>, mut waiting: mpsc::Receiver<Message>) -> LinkError {
    while let Some(message) = waiting.recv().await {
        sender.push(&message);
        while sender.pending() < BATCH_BYTES
            && let Ok(message) = waiting.try_recv()
        {
            sender.push(&message);
        }
        if let Err(error) = sender.flush().await {
            return error;
        }
    }
    LinkError::Closed
}

/// One process of the shard, to the end of its connection.
async fn process(stream: UnixStream, number: u64, news: mpsc::Sender<News>, up: mpsc::Sender<Message>) {
    let Ok(connection) = link::socket::greet(stream, Role::Recorder, 0).await else { return };
    if connection.peer != Role::Ingest {
        return;
    }
    let Connection { mut receiver, mut sender, instance, .. } = connection;
    let (to, mut orders) = mpsc::channel(DOWN_MAX);
    if news.send(News::Came(instance, number, to)).await.is_err() {
        return;
    }
    let down = async {
        while let Some(control) = orders.recv().await {
            sender.push(&control.into());
            if orders.is_empty() && sender.flush().await.is_err() {
                return;
            }
        }
    };
    let upward = async {
        while let Ok(message) = receiver.recv().await {
            if up.send(message).await.is_err() {
                return;
            }
        }
    };
    tokio::select! { () = down => {}, () = upward => {} }
    drop(news.send(News::Went(instance, number)).await);
}

#[cfg(test)]
mod tests {
    use link::TransportKind;

    use super::*;

    fn spec(camera: u8, stream: u8) -> StreamSpec {
        StreamSpec {
            stream: StreamId::from_bytes([stream; 16]).to_string(),
            camera: format!("cam_{camera:032x}"),
            use_: "main".to_owned(),
            url: "rtsp://10.0.0.1/".to_owned(),
            sealed_credentials: None,
            transport: TransportKind::Retina,
            record: true,
            on_demand: false,
            retention_class: "RC-VID-OPEN".to_owned(),
            keep_s: 60,
        }
    }

    fn list() -> Control {
        Control::IngestAssign {
            version: 4,
            streams: vec![spec(1, 10), spec(1, 11), spec(2, 20)],
            credentials: vec![None, Some(("user".to_owned(), "x".to_owned())), None],
            allowed_networks: vec!["10.0.0.0/8".to_owned()],
            allowed_ports: vec![(554, 554)],
        }
    }

    fn streams(greeting: &[Control]) -> (Vec<&str>, usize) {
        let Some(Control::IngestAssign { streams, credentials, .. }) = greeting.first() else {
            panic!("the list comes first");
        };
        (streams.iter().map(|spec| spec.stream.as_str()).collect(), credentials.iter().flatten().count())
    }

    #[test]
    fn a_camera_goes_with_all_its_streams_and_nobody_else_s() {
        let mut lists = Lists { apart: vec![StreamId::from_bytes([11; 16])], ..Lists::default() };
        assert!(lists.greeting(0).is_empty(), "nothing is known yet");
        lists.take(0, list());
        lists.demands.insert(spec(1, 10).stream);
        let (main, alone) = (lists.greeting(0), lists.greeting(APART_FIRST));
        assert_eq!(streams(&main), (vec![spec(2, 20).stream.as_str()], 0));
        assert_eq!(streams(&alone), (vec![spec(1, 10).stream.as_str(), spec(1, 11).stream.as_str()], 1));
        assert_eq!((main.len(), alone.len()), (1, 2), "a demand goes to its owner");
        assert!(streams(&lists.greeting(APART_FIRST + 1)).0.is_empty());
        assert_eq!(lists.of(APART_FIRST).count(), 2);
    }

    #[tokio::test]
    async fn units_go_up_orders_go_down_and_a_lost_process_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let recorder = LinkListener::bind(&dir.path().join("recorder.sock"), Role::Recorder, vec![]).unwrap();
        let apart = vec![StreamId::from_bytes([10; 16])];
        let listen = dir.path().join("relay-0.sock");
        let config = RelayConfig { recorder: recorder.path().to_owned(), listen: listen.clone(), instance: 0, apart };
        let listener = bind(&config).unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(config, listener, || WallTime::from_secs(1), stop.clone()));
        let accepted = recorder.accept().await.unwrap();
        let mut top = recorder.greet(accepted).await.unwrap();
        assert_eq!((top.peer, top.instance), (Role::Ingest, 0));
        top.sender.send(list()).await.unwrap();

        let mut alone = link::connect(&listen, Role::Ingest, APART_FIRST, Role::Recorder).await.unwrap();
        let mut main = link::connect(&listen, Role::Ingest, 0, Role::Recorder).await.unwrap();
        // The list may come as greeting, or when the relay hears it after the process came.
        let mut part = alone.receiver.recv_control().await.unwrap();
        assert_eq!(streams(std::slice::from_ref(&part)).0.len(), 2);
        part = main.receiver.recv_control().await.unwrap();
        assert_eq!(streams(std::slice::from_ref(&part)).0.len(), 1);

        let ack = |stream: &str| Control::Ack { stream: stream.to_owned(), epoch: 1, seq: 2 };
        top.sender.send(ack(&spec(1, 11).stream)).await.unwrap();
        assert_eq!(alone.receiver.recv_control().await.unwrap(), ack(&spec(1, 11).stream));
        top.sender.send(ack(&spec(2, 20).stream)).await.unwrap();
        assert_eq!(main.receiver.recv_control().await.unwrap(), ack(&spec(2, 20).stream));
        alone.sender.send(ack("any message")).await.unwrap();
        assert_eq!(top.receiver.recv_control().await.unwrap(), ack("any message"));

        drop(alone);
        for _ in 0..2 {
            let state = top.receiver.recv_control().await.unwrap();
            let Control::StreamState { phase, cause, .. } = state else { panic!("{state:?}") };
            assert_eq!((phase, cause), (StreamPhase::Connecting, Some(Cause::IngestRestart)));
        }
        stop.cancel();
        running.await.unwrap();
    }
}
