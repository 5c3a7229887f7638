//! The tasks of one ingest process and what the recorder may tell them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use link::{Cause, Control, ProbeReport, StreamSpec};
use tokio::sync::watch;
use tokio::task::JoinSet;
use vms_core::StreamId;
use zeroize::Zeroizing;

use crate::board::Board;
use crate::drive::{Source, Wanted, drive};
use crate::guard::UrlGuard;
use crate::ports::Ports;
use crate::probe::probe;
use crate::role::{IngestConfig, watched};
use crate::transport::Credentials;

/// Probes at the same time; one more is answered at once with a refusal.
const PROBES_MAX: usize = 4;

#[derive(Debug)]
struct Worker {
    source: Source,
    spec: StreamSpec,
    wanted: watch::Sender<Wanted>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Crew {
    config: IngestConfig,
    ports: Ports,
    board: Arc<Board>,
    workers: BTreeMap<StreamId, Worker>,
    tasks: JoinSet<()>,
    probes: JoinSet<()>,
    guard: Arc<UrlGuard>,
    demands: BTreeSet<StreamId>,
    /// Version of the assignment on this connection; none yet on a fresh one.
    version: Option<u64>,
}

impl Crew {
    /// Without work.
    pub(crate) fn new(config: IngestConfig, ports: Ports, board: Arc<Board>) -> Self {
        Self {
            config,
            ports,
            board,
            workers: BTreeMap::new(),
            tasks: JoinSet::new(),
            probes: JoinSet::new(),
            guard: Arc::default(),
            demands: BTreeSet::new(),
            version: None,
        }
    }

    /// A fresh connection: the recorder's first list counts whatever its version, and viewers must ask again.
    pub(crate) const fn meet_recorder(&mut self) {
        self.version = None;
    }

    /// Nobody can be watching any more.
    pub(crate) fn forget_demands(&mut self) {
        for stream in std::mem::take(&mut self.demands) {
            self.set_wanted(stream);
        }
        watched(false);
    }

    /// Ends every session.
    pub(crate) fn dismiss(&mut self) {
        self.workers.clear();
        self.probes.abort_all();
    }

    /// Waits until every dismissed task is done.
    pub(crate) async fn joined(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Does what the recorder says. Never waits.
    pub(crate) fn obey(&mut self, control: Control) {
        while self.tasks.try_join_next().is_some() || self.probes.try_join_next().is_some() {}
        if let Control::IngestAssign { version, streams, credentials, allowed_networks, allowed_ports } = control {
            if self.version.is_some_and(|known| version < known) {
                return;
            }
            if self.version.replace(version).is_none() {
                self.demands.clear();
                watched(false);
            }
            self.change_guard(&allowed_networks, &allowed_ports);
            self.assign(streams, credentials);
        } else if let Control::Demand { stream, on } = control {
            self.demand(&stream, on);
        } else if let Control::Ack { stream, epoch, seq } = control {
            if let Ok(stream) = stream.parse() {
                self.board.ack(stream, epoch, seq);
            }
        } else if let Control::Probe { request, spec } = control {
            self.start_probe(request, spec);
        } else {
            // Its content may be confidential: only that it came is logged.
            tracing::warn!("the recorder said something that is not for ingest");
        }
    }

    fn demand(&mut self, stream: &str, on: bool) {
        let Ok(stream) = stream.parse::<StreamId>() else { return };
        if on {
            self.demands.insert(stream);
        } else {
            self.demands.remove(&stream);
        }
        watched(!self.demands.is_empty());
        self.set_wanted(stream);
    }

    fn change_guard(&mut self, networks: &[String], ports: &[(u16, u16)]) {
        let guard = UrlGuard::new(networks, ports).unwrap_or_else(|error| {
            tracing::error!(%error, "no camera is dialled");
            UrlGuard::default()
        });
        if guard != *self.guard {
            self.guard = Arc::new(guard);
        }
    }

    fn assign(&mut self, streams: Vec<StreamSpec>, credentials: Vec<Option<(String, String)>>) {
        let mut wanted: BTreeMap<StreamId, (StreamSpec, Option<Credentials>)> = BTreeMap::new();
        let mut credentials = credentials.into_iter();
        for spec in streams {
            let pair = credentials.next().flatten();
            if !self.config.kinds.contains(&spec.transport) {
                continue;
            }
            let Ok(stream) = spec.stream.parse() else {
                tracing::warn!("a stream of the assignment has no proper id");
                continue;
            };
            wanted.insert(stream, (spec, pair.map(|(user, password)| pair_of(user, password))));
        }
        let gone: Vec<StreamId> = self.workers.keys().filter(|stream| !wanted.contains_key(stream)).copied().collect();
        for stream in gone {
            self.workers.remove(&stream);
            self.board.close(stream);
            self.demands.remove(&stream);
        }
        watched(!self.demands.is_empty());
        let fresh: Vec<(StreamId, StreamSpec, Option<Credentials>)> = wanted
            .into_iter()
            .filter_map(|(stream, (spec, pair))| {
                self.keep(stream, &spec, pair.as_ref()).then_some((stream, spec, pair))
            })
            .collect();
        let count = u32::try_from(fresh.len()).unwrap_or(u32::MAX).max(1);
        for (at, (stream, spec, pair)) in (0_u32..).zip(fresh) {
            let start_after = self.config.start_spread * at / count;
            self.start(stream, spec, pair, start_after);
        }
    }

    /// Keeps the task of a stream whose way to the camera did not change. True when a new task is needed.
    fn keep(&mut self, stream: StreamId, spec: &StreamSpec, credentials: Option<&Credentials>) -> bool {
        let Some(worker) = self.workers.get_mut(&stream) else { return true };
        let same = worker.source.url == spec.url
            && worker.source.credentials.as_ref() == credentials
            && worker.spec.transport == spec.transport;
        if same {
            worker.spec = spec.clone();
            self.set_wanted(stream);
        }
        !same
    }

    fn start(&mut self, stream: StreamId, spec: StreamSpec, credentials: Option<Credentials>, start_after: Duration) {
        let Some(transport) = self.ports.transports.make_for(Some(stream), spec.transport) else {
            tracing::error!(%stream, "this process cannot make the transport of a stream in its list");
            return;
        };
        let source = Source {
            stream,
            url: spec.url.clone(),
            credentials,
            limits: self.config.session,
            agrees_within: self.config.agrees_within,
            start_after,
        };
        let on = self.is_on(stream, &spec);
        let (wanted, seen) = watch::channel(Wanted { on, guard: Arc::clone(&self.guard) });
        self.board.open(stream);
        // Dropping the old sender, if there is one, ends the old task.
        self.workers.insert(stream, Worker { source: source.clone(), spec, wanted });
        self.tasks.spawn(drive(source, self.ports.clone(), transport, Arc::clone(&self.board), seen));
    }

    fn is_on(&self, stream: StreamId, spec: &StreamSpec) -> bool {
        !spec.on_demand || self.demands.contains(&stream)
    }

    fn set_wanted(&mut self, stream: StreamId) {
        let Some(worker) = self.workers.get(&stream) else { return };
        let on = self.is_on(stream, &worker.spec);
        let guard = Arc::clone(&self.guard);
        worker.wanted.send_if_modified(|wanted| {
            let is_change = wanted.on != on || wanted.guard != guard;
            *wanted = Wanted { on, guard };
            is_change
        });
    }

    fn start_probe(&mut self, request: u64, spec: StreamSpec) {
        let carried = self.config.kinds.contains(&spec.transport);
        let transport = if carried { self.ports.transports.make_for(None, spec.transport) } else { None };
        let board = Arc::clone(&self.board);
        let Some(transport) = transport else {
            return board.answer(refused(
                request,
                Some(Cause::Unsupported),
                "this process does not carry the transport",
            ));
        };
        if self.probes.len() >= PROBES_MAX {
            return board.answer(refused(request, None, "too many probes at the same time"));
        }
        let credentials = spec.sealed_credentials.and_then(|clear| {
            clear.split_once(':').map(|(user, password)| pair_of(user.to_owned(), password.to_owned()))
        });
        let (guard, ports) = (Arc::clone(&self.guard), self.ports.clone());
        self.probes.spawn(async move {
            let report = probe(&spec.url, credentials, &guard, transport, &ports).await;
            board.answer(Control::Probed { request, report });
        });
    }
}

fn pair_of(user: String, password: String) -> Credentials {
    Credentials { user, password: Zeroizing::new(password) }
}

fn refused(request: u64, cause: Option<Cause>, detail: &str) -> Control {
    let report = ProbeReport {
        ok: false,
        cause,
        detail: detail.to_owned(),
        codec: None,
        width: None,
        height: None,
        first_key_ms: None,
        offers_audio: false,
    };
    Control::Probed { request, report }
}
