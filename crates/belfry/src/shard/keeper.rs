//! Keeps the processes of one shard running: the one that has its cameras, and, once a camera had to go, the relay and the
//! processes of those that live alone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vms_core::StreamId;

use super::mark;
use super::relay::APART_FIRST;
use super::suspects::{Suspects, is_crash};
use crate::supervisor::{Backoff, ChildSpec, Ending, live_once};

/// Waits of a process whose camera kills it: from one second to a minute.
const APART_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Cameras of one shard that may live alone; the next one stays where it is, and its process dies with it.
const APART_MAX: usize = 8;

/// What the keeper of one shard needs.
#[derive(Clone, Debug)]
pub(crate) struct ShardSpec {
    /// `belfry`.
    pub(crate) program: PathBuf,
    /// Absolute path of the configuration.
    pub(crate) config: PathBuf,
    /// Folder of sockets and marks.
    pub(crate) run: PathBuf,
    /// Where starts and ends are noted for the log of uses.
    pub(crate) notes: PathBuf,
    /// Which shard of the recorder.
    pub(crate) instance: u32,
    /// How long a process may take to stop.
    pub(crate) grace: Duration,
}

impl ShardSpec {
    /// Name in the log and in figures.
    pub(crate) fn name(&self) -> String {
        format!("ingest-{}", self.instance)
    }

    fn relay_socket(&self) -> PathBuf {
        self.run.join(format!("relay-{}.sock", self.instance))
    }

    fn mark_file(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.at"))
    }

    fn role(&self, name: String, role: &str, instance: u32, more: Vec<OsString>) -> ChildSpec {
        let mut args: Vec<OsString> = vec!["--config".into(), self.config.clone().into(), "role".into(), role.into()];
        args.extend(["--instance".into(), instance.to_string().into(), "--supervised".into()]);
        args.extend(more);
        ChildSpec { name, program: self.program.clone(), args, grace: self.grace, notes: Some(self.notes.clone()) }
    }

    fn main(&self, has_relay: bool) -> ChildSpec {
        let mut more = flag("--mark", &self.mark_file(&self.name()));
        if has_relay {
            more.extend(flag("--uplink", &self.relay_socket()));
        }
        self.role(self.name(), "ingest", self.instance, more)
    }

    fn relay(&self, apart: &[StreamId]) -> ChildSpec {
        let mut more = flag("--uplink", &self.relay_socket());
        for stream in apart {
            more.extend(["--apart".into(), stream.to_string().into()]);
        }
        self.role(format!("relay-{}", self.instance), "relay", self.instance, more)
    }

    fn alone(&self, place: u32) -> ChildSpec {
        let name = format!("{}-apart-{place}", self.name());
        let mut more = flag("--mark", &self.mark_file(&name));
        more.extend(flag("--uplink", &self.relay_socket()));
        self.role(name, "ingest", APART_FIRST.saturating_add(place), more)
    }
}

fn flag(name: &str, value: &Path) -> Vec<OsString> {
    vec![name.into(), value.into()]
}

/// Runs the shard until `stop`.
pub(crate) async fn keep_shard(spec: ShardSpec, stop: CancellationToken) {
    let mut suspects = Suspects::default();
    let mut apart: Vec<StreamId> = Vec::new();
    let mut alone = JoinSet::new();
    let mut relay: Option<(CancellationToken, tokio::task::JoinHandle<()>)> = None;
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let started = Instant::now();
        match live_once(&spec.main(!apart.is_empty()), &stop).await {
            Ending::Stopped => break,
            Ending::Died(status) if is_crash(status) => {
                let guilty = mark::read(&spec.mark_file(&spec.name()));
                metrics::counter!("belfry_ingest_crashes_total").increment(1);
                if let Some(stream) = guilty {
                    tracing::error!(%stream, child = spec.name(), "an ingest process died in the turn of this stream");
                    if suspects.died(stream, Instant::now()) {
                        move_out(&spec, stream, &mut apart, &mut alone, &stop);
                        restart_relay(&spec, &apart, &mut relay).await;
                    }
                }
            }
            Ending::Died(_) | Ending::NotStarted => {}
        }
        let wait = backoff.after(started.elapsed());
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
    }
    while alone.join_next().await.is_some() {}
    if let Some((token, task)) = relay {
        token.cancel();
        drop(task.await);
    }
}

fn move_out(
    spec: &ShardSpec,
    stream: StreamId,
    apart: &mut Vec<StreamId>,
    alone: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    if apart.len() >= APART_MAX || apart.contains(&stream) {
        tracing::error!(%stream, child = spec.name(), "a camera kills its process again and again; there is no more room apart");
        return;
    }
    let place = u32::try_from(apart.len()).unwrap_or(0);
    apart.push(stream);
    tracing::error!(%stream, child = spec.name(), "ALARM: this camera killed its process three times and lives alone from now on");
    metrics::gauge!("belfry_ingest_cameras_apart").increment(1.0);
    alone.spawn(keep_alone(spec.alone(place), stop.clone()));
}

/// A relay with the new list in place of the old one.
async fn restart_relay(
    spec: &ShardSpec,
    apart: &[StreamId],
    relay: &mut Option<(CancellationToken, tokio::task::JoinHandle<()>)>,
) {
    if let Some((token, task)) = relay.take() {
        token.cancel();
        drop(task.await);
    }
    // It has a token of its own: it goes last, so that what the others hold reaches the recorder.
    let token = CancellationToken::new();
    let task = tokio::spawn(keep_relay(spec.relay(apart), token.clone()));
    *relay = Some((token, task));
}

async fn keep_relay(spec: ChildSpec, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let started = Instant::now();
        if let Ending::Stopped = live_once(&spec, &stop).await {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(backoff.after(started.elapsed())) => {}
        }
    }
}

async fn keep_alone(spec: ChildSpec, stop: CancellationToken) {
    let mut backoff = Backoff::between(APART_WAITS.0, APART_WAITS.1);
    while !stop.is_cancelled() {
        let started = Instant::now();
        if let Ending::Stopped = live_once(&spec, &stop).await {
            return;
        }
        let wait = backoff.after(started.elapsed());
        tracing::error!(child = spec.name, wait_ms = wait.as_millis(), "a camera that lives alone killed its process");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
