//! Reconcilers of `serve`: periodic, idempotent, without input. Each goes on after any failure; none holds up a request.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use link::message::{GATED_MAX, HOLDS_MAX};
use link::{Assignment, Connection, Control, Role};
use tokio::net::UnixStream;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use vms_app::UseCases;
use vms_store::Store;
use vms_store::log::Sequencer;

use super::convert;

/// Rows of one page of the recorder's index.
const PAGE: u32 = 500;
/// Leaves whose details are copied in one go.
const DETAILS: usize = 500;
/// An assignment is handed over again after this time even when nothing changed.
const HAND_OVER_AGAIN: Duration = Duration::from_secs(3_600);
/// Rounds from one copy of the index to the next: every growing segment is a changed row each time.
const ROUNDS_PER_COPY: u32 = 4;
const RECORDER: &str = "recorder-0";

/// Guard values that go with every assignment.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) allowed_networks: Vec<String>,
    pub(crate) allowed_ports: Vec<(u16, u16)>,
}

/// Runs `work` every `period` until `stop`; a failure is logged when it begins and when it ends, not each time.
pub(crate) async fn every<F, W>(name: &'static str, period: Duration, stop: CancellationToken, mut work: W)
where
    W: FnMut() -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = work() => outcome,
        };
        let failed = outcome.is_err();
        match outcome {
            Ok(()) if failing => tracing::info!(reconciler = name, "{name} works again"),
            Ok(()) => {}
            Err(error) if !failing => {
                tracing::warn!(reconciler = name, error.chain = %format!("{error:#}"), "{name} failed")
            }
            Err(error) => {
                tracing::debug!(reconciler = name, error.chain = %format!("{error:#}"), "{name} failed again")
            }
        }
        failing = failed;
    }
}

/// When the newest checkpoint was signed, µs since 1970: it is written anew with each, and by nobody else.
async fn written_us(path: &std::path::Path) -> Option<i64> {
    let modified = tokio::fs::metadata(path).await.ok()?.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok()
}

/// Which kind of live origin a copier keeps told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Records our own cameras.
    Recorder,
    /// Relays partners' cameras.
    Gateway,
}

/// Keeps a recorder (or the gateway) told and its index copied.
#[derive(Debug)]
pub(crate) struct RecorderCopier {
    cases: Arc<UseCases>,
    socket: PathBuf,
    guard: Guard,
    origin: Origin,
    connection: tokio::sync::Mutex<Option<Connection<UnixStream>>>,
    handed_over: tokio::sync::Mutex<Option<tokio::time::Instant>>,
    rounds: std::sync::atomic::AtomicU32,
    /// The newest signed checkpoint of the log, where this process keeps one.
    checkpoint: Option<PathBuf>,
}

impl RecorderCopier {
    pub(crate) fn recorder(cases: Arc<UseCases>, socket: PathBuf, guard: Guard, checkpoint: PathBuf) -> Self {
        Self { checkpoint: Some(checkpoint), ..Self::new(cases, socket, guard, Origin::Recorder) }
    }

    pub(crate) fn gateway(cases: Arc<UseCases>, socket: PathBuf, guard: Guard) -> Self {
        Self::new(cases, socket, guard, Origin::Gateway)
    }

    fn new(cases: Arc<UseCases>, socket: PathBuf, guard: Guard, origin: Origin) -> Self {
        let (connection, handed_over) = (tokio::sync::Mutex::const_new(None), tokio::sync::Mutex::const_new(None));
        Self {
            cases,
            socket,
            guard,
            origin,
            connection,
            handed_over,
            rounds: std::sync::atomic::AtomicU32::new(0),
            checkpoint: None,
        }
    }

    /// One round: assignment if it changed, index pages every second time, health.
    pub(crate) async fn round(&self) -> anyhow::Result<()> {
        let mut slot = self.connection.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => {
                let role = match self.origin {
                    Origin::Recorder => Role::Recorder,
                    Origin::Gateway => Role::Gateway,
                };
                link::connect(&self.socket, Role::Serve, 0, role).await.context("connecting")?
            }
        };
        let work = async {
            self.assign(&mut connection).await?;
            let round = self.rounds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if self.origin == Origin::Recorder && round.is_multiple_of(ROUNDS_PER_COPY) {
                self.index(&mut connection).await?;
                self.holds(&mut connection).await?;
            }
            self.health(&mut connection).await
        };
        tokio::time::timeout(Duration::from_secs(20), work).await.context("the role does not answer")??;
        *slot = Some(connection);
        Ok(())
    }

    async fn assign(&self, connection: &mut Connection<UnixStream>) -> anyhow::Result<()> {
        let Control::RecorderInfo { assignment, .. } = connection.ask(Control::Info).await? else {
            anyhow::bail!("the role answered out of turn");
        };
        let plan = match self.origin {
            Origin::Recorder => self.cases.recorder_plan().await?,
            Origin::Gateway => self.cases.gateway_plan().await?,
        };
        // Terms of retention classes change with the calendar while the version stands still: hand over at least hourly.
        let mut handed_over = self.handed_over.lock().await;
        let is_fresh = handed_over.is_some_and(|at| at.elapsed() < HAND_OVER_AGAIN);
        if plan.version == assignment && is_fresh {
            return Ok(());
        }
        let streams = plan.streams.iter().map(convert::stream_spec).collect();
        let Guard { allowed_networks, allowed_ports } = self.guard.clone();
        let fresh = Assignment { version: plan.version, streams, allowed_networks, allowed_ports };
        let request = match self.origin {
            Origin::Recorder => Control::Assign(fresh),
            Origin::Gateway => Control::GatewayAssign(fresh),
        };
        let answer = connection.ask(request).await?;
        if let Control::Refused { code, detail } = answer {
            anyhow::bail!("the role refused its assignment: {code}: {detail}");
        }
        anyhow::ensure!(answer == Control::Done, "the role answered out of turn");
        *handed_over = Some(tokio::time::Instant::now());
        let (origin, streams) = (self.origin, plan.streams.len());
        tracing::info!(version = plan.version, streams, "assignment handed over to the {origin:?}");
        Ok(())
    }

    async fn index(&self, connection: &mut Connection<UnixStream>) -> anyhow::Result<()> {
        let stores = self.cases.stores();
        let mut after = stores.catalogue_cursor(RECORDER).await?;
        loop {
            let answer = connection.ask(Control::IndexSince { after, limit: PAGE }).await?;
            let Control::IndexPage { segments, gaps, cursor } = answer else {
                anyhow::bail!("the role answered out of turn");
            };
            if cursor == after {
                return Ok(());
            }
            let segments: Vec<_> = segments.iter().filter_map(convert::segment).collect();
            let gaps: Vec<_> = gaps.iter().filter_map(convert::gap).collect();
            stores.catalogue_apply(RECORDER, &segments, &gaps, cursor).await?;
            after = cursor;
        }
    }

    /// Tells the recorder every hold, and notes what it did with each.
    async fn holds(&self, connection: &mut Connection<UnixStream>) -> anyhow::Result<()> {
        let known = self.cases.recorder_holds().await?;
        anyhow::ensure!(known.len() <= HOLDS_MAX, "more holds than a recorder takes");
        let holds = known.iter().map(convert::hold_spec).collect();
        let gated = self.cases.recorder_gated().await?;
        anyhow::ensure!(gated.len() <= GATED_MAX, "more decisions of the gate than a recorder takes");
        let gated = Some(gated.iter().map(convert::gated_spec).collect());
        let checkpoint_us = match &self.checkpoint {
            Some(path) => written_us(path).await,
            None => None,
        };
        let answer = connection.ask(Control::Holds { holds, gated, checkpoint_us }).await?;
        let Control::HoldsReport { rows, gated } = answer else {
            anyhow::bail!("the recorder did not take the holds: {answer:?}");
        };
        for row in gated {
            // A class that moves as a whole has no decision of its own.
            if let Ok(id) = row.decision.parse() {
                self.cases.gated_carried_out(id, row.hours, row.waiting).await?;
            }
        }
        for row in rows {
            let Some(hold) = known.iter().find(|hold| hold.id.to_string() == row.hold) else { continue };
            let before = hold.applied.map(|applied| (applied.segments, applied.refused));
            if before != Some((row.segments, row.refused)) {
                self.cases.hold_carried_out(hold.id, row.segments, row.refused).await?;
            }
        }
        Ok(())
    }

    async fn health(&self, connection: &mut Connection<UnixStream>) -> anyhow::Result<()> {
        let answer = connection.ask(Control::Health).await?;
        let Control::HealthReport { streams, disk_free, disk_used, storage, .. } = answer else {
            anyhow::bail!("the role answered out of turn");
        };
        if self.origin == Origin::Recorder {
            set_gauge("belfry_footage_bytes", disk_used);
            set_gauge("belfry_disk_free_bytes", disk_free);
            let link::message::StorageHealth { alarms, detail, spares, .. } = storage;
            self.cases.storage_report(vms_app::health::StorageHealth { alarms, detail, spares });
        }
        self.cases.health_report(streams.iter().filter_map(convert::stream_health).collect()).await?;
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for a dashboard")]
fn set_gauge(name: &'static str, value: u64) {
    metrics::gauge!(name).set(value as f64);
}

/// Copies the details of leaves beside the log into the central database, where people may look at them.
pub(crate) async fn copy_details(store: &Store, log: &Sequencer, next: &mut u64) -> anyhow::Result<()> {
    loop {
        let records = log.details(*next, DETAILS).await?;
        let Some(last) = records.last().map(|record| record.index) else { return Ok(()) };
        vms_store::details::store_details(store, &records).await?;
        *next = last + 1;
        log.details_stored(*next);
    }
}
