//! The recorder's side of the tiers (docs/TIERS.md): opens them, tells them what was closed and what was erased, compares daily, and
//! gives readers what left the local disk.
//!
//! Belongs here: everything between the recorder and the crate `tiers`. Does not belong here: uploads, stores, the ledger (`tiers`).
//!
//! Promise: nothing here makes recording wait or fail. A store that cannot be opened is tried again; what it should hear meanwhile is kept
//! within bounds, and what falls out of them is found by the hourly scan and the daily comparison.

mod copies;
mod take_in;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use keys::KeyEpoch;
use sha2::{Digest as _, Sha256};
use tiers::{Alarm, Facts, Mover, PassError, Reconciled, SegmentFile, SetupError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use vms_core::{SegmentId, WallTime};

use crate::catalogue::SegmentState;
use crate::index::{IndexError, Located};
use crate::ports::Clock;

pub(crate) use copies::Copies;

/// Between two passes of the mover without news.
const PASS_EVERY: Duration = Duration::from_secs(10);
/// Between two scans of the index for segments that nobody told of.
const SCAN_EVERY: Duration = Duration::from_hours(1);
/// Between two comparisons with the stores.
const COMPARE_EVERY: Duration = Duration::from_hours(24);
/// Until a comparison that did not come to its end is tried again.
const COMPARE_AGAIN: Duration = Duration::from_mins(10);
/// Between two tries to open the tiers.
const OPEN_AGAIN: Duration = Duration::from_secs(30);
/// The start waits so long for the tiers; then recording begins without them.
const OPEN_MAX: Duration = Duration::from_secs(5);
/// Closed segments that wait to be told; beyond it the scan finds them.
const CLOSED_MAX: usize = 10_000;
/// Erased segments that wait to be told; beyond it the comparison finds their objects.
const ERASED_MAX: usize = 100_000;
/// Between two tries to tell what was erased.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Tiers of a recorder.
#[derive(Clone, Debug)]
pub struct TierConfig {
    /// Stores and rules.
    pub config: tiers::Config,
    /// Gives variables of the environment, for credentials.
    pub environment: fn(&str) -> Option<String>,
    /// Spreads the pauses of many recorders; another one at each start.
    pub seed: u64,
}

/// What could not be told yet.
#[derive(Debug, Default)]
struct Untold {
    closed: Vec<Facts>,
    erased: Vec<SegmentId>,
}

#[derive(Debug)]
struct Inner {
    config: TierConfig,
    /// Where ledger and fetched segments lie.
    state: PathBuf,
    copies: Arc<Copies>,
    clock: Arc<dyn Clock>,
    mover: OnceLock<Arc<Mover>>,
    /// The ledger knows everything that the stores have, as far as we know.
    is_whole: AtomicBool,
    untold: Mutex<Untold>,
    news: Notify,
}

/// The tiers of a recorder, or none. Shared.
#[derive(Clone, Debug, Default)]
pub struct Tiers(Option<Arc<Inner>>);

/// Wall clock for the mover.
#[derive(Debug)]
struct WallClock(Arc<dyn Clock>);

impl tiers::Clock for WallClock {
    fn wall(&self) -> WallTime {
        self.0.wall()
    }
}

/// Why the tiers were not compared.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error(transparent)]
    Pass(#[from] PassError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the comparison was broken off")]
    Ended,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file of the ledger in the recorder's folder.
pub const LEDGER: &str = "tiers.sqlite";

impl Tiers {
    /// Prepares them; nothing is opened.
    pub(crate) fn new(config: Option<TierConfig>, state: &Path, copies: Copies, clock: Arc<dyn Clock>) -> Self {
        Self(config.map(|config| {
            Arc::new(Inner {
                config,
                state: state.to_owned(),
                copies: Arc::new(copies),
                clock,
                mover: OnceLock::new(),
                is_whole: AtomicBool::new(false),
                untold: Mutex::default(),
                news: Notify::new(),
            })
        }))
    }

    fn mover(&self) -> Option<&Arc<Mover>> {
        self.0.as_ref()?.mover.get()
    }

    /// A segment that the local disk does not have; `None` when no tier has it either. Waits for the ledger: never call it on a
    /// thread of the asynchronous runtime.
    ///
    /// # Errors
    /// [`tiers::ReadError`].
    pub(crate) fn file(&self, segment: SegmentId) -> Result<Option<SegmentFile>, tiers::ReadError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let away = tiers::ReadError::Away(segment);
        let Some(mover) = inner.mover.get() else { return Err(away) };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Err(away) };
        match SegmentFile::open(Arc::clone(mover), segment, runtime) {
            Ok(file) => Ok(Some(file)),
            Err(tiers::ReadError::Missing(_)) if inner.is_whole.load(Ordering::Relaxed) => Ok(None),
            Err(tiers::ReadError::Missing(_)) => Err(away),
            Err(error) => Err(error),
        }
    }

    /// These segments are in the index as they stand; those that are closed and sealed may leave. Never waits.
    pub(crate) fn note(&self, segments: &[SegmentState]) {
        let Some(inner) = &self.0 else { return };
        let sealed = segments.iter().filter(|state| state.is_closed() && state.key_epoch != 0);
        let mut untold = locked(&inner.untold);
        let room = CLOSED_MAX.saturating_sub(untold.closed.len());
        untold.closed.extend(sealed.map(facts_of).take(room));
        drop(untold);
        inner.news.notify_one();
    }

    /// Keys and files of these segments are gone: their objects are to go too. Writes the debt down; no store is asked here.
    pub(crate) async fn erased(&self, gone: &[Located]) {
        let Some(inner) = &self.0 else { return };
        let ids: Vec<SegmentId> = gone.iter().map(|one| one.segment).collect();
        if !inner.owe(&ids).await {
            inner.keep_erased(&ids);
        }
    }

    /// The disk is over its cap: those of these segments whose bytes a tier holds leave the disk. Gives their ids.
    pub(crate) async fn make_room(&self, wanted: &[Located]) -> Vec<SegmentId> {
        let Some(mover) = self.mover() else { return Vec::new() };
        let ids: Vec<SegmentId> = wanted.iter().map(|one| one.segment).collect();
        mover.make_room(&ids).await.unwrap_or_else(|error| {
            tracing::error!(%error, "segments that lie in a tier too could not leave the disk");
            Vec::new()
        })
    }

    /// Tries to open them before recording begins, for a few seconds at most.
    pub(crate) async fn open_soon(&self) {
        let Some(inner) = self.0.clone() else { return };
        // On a task of its own: a share that hangs must not hold the start.
        let opening = tokio::spawn(async move { Box::pin(inner.open()).await.map(|_| ()) });
        match tokio::time::timeout(OPEN_MAX, opening).await {
            Ok(Ok(Err(error))) => {
                tracing::error!(error = chain(&error), "the tiers cannot be opened yet: segments stay on this disk")
            }
            Err(_) => tracing::error!("the tiers do not open in time: segments stay on this disk until they do"),
            Ok(Ok(Ok(())) | Err(_)) => {}
        }
    }

    /// Everything that goes on beside the recording, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Some(inner) = self.0 else { return };
        tokio::select! {
            () = stop.cancelled() => {}
            () = inner.work(stop.clone()) => {}
        }
    }
}

pub(crate) fn facts_of(state: &SegmentState) -> Facts {
    Facts {
        segment: state.segment,
        camera: state.camera,
        stream: state.stream,
        class: state.class.clone(),
        epoch: state.key_epoch,
        from: state.from,
        to: state.to,
        len: state.file_len,
    }
}

impl Inner {
    /// Opens ledger and stores; where that was done before gives what was opened.
    async fn open(&self) -> Result<&Arc<Mover>, SetupError> {
        if let Some(mover) = self.mover.get() {
            return Ok(mover);
        }
        let had_ledger = self.state.join(LEDGER).exists();
        let clock = Arc::new(WallClock(Arc::clone(&self.clock)));
        let copies: Arc<dyn tiers::LocalCopies> = Arc::<Copies>::clone(&self.copies);
        let TierConfig { config, environment, seed } = &self.config;
        let mover = Mover::open(config, environment, &self.state, copies, clock, *seed).await?;
        self.is_whole.fetch_or(had_ledger, Ordering::Relaxed);
        Ok(self.mover.get_or_init(|| Arc::new(mover)))
    }

    async fn work(&self, stop: CancellationToken) {
        let mut said = String::new();
        let mover = loop {
            match Box::pin(self.open()).await {
                Ok(mover) => break mover,
                Err(error) => {
                    let error = chain(&error);
                    metrics::gauge!("tiers_not_open").set(1.0);
                    if error != said {
                        tracing::error!(error, "the tiers cannot be opened yet: segments stay on this disk");
                        said = error;
                    }
                    tokio::time::sleep(OPEN_AGAIN).await;
                }
            }
        };
        metrics::gauge!("tiers_not_open").set(0.0);
        // Before the first pass, so that what a store has is not sent again.
        if !self.is_whole.load(Ordering::Relaxed) {
            self.compare_and_note(mover).await;
        }
        let moving = mover.run(PASS_EVERY, SCAN_EVERY, stop);
        tokio::join!(moving, self.probe(mover), self.tell(mover), self.compare(mover), watch(mover));
    }

    /// Says what is wrong with a store, and what to do.
    async fn probe(&self, mover: &Mover) {
        for (number, tier) in (0_u64..).zip(mover.tiers()) {
            let mut nonce = Sha256::new();
            nonce.update(self.config.seed.to_be_bytes());
            nonce.update(self.clock.wall().micros.to_be_bytes());
            nonce.update(number.to_be_bytes());
            let digest: [u8; 32] = nonce.finalize().into();
            let nonce = digest.first_chunk::<16>().copied().unwrap_or_default();
            match Box::pin(tier.probe(nonce)).await {
                Ok(probe) if probe.warnings.is_empty() => {
                    tracing::info!(store = %tier.name(), "a store of segments answers")
                }
                Ok(probe) => {
                    tracing::warn!(store = %tier.name(), warnings = ?probe.warnings, "a store of segments answers; see docs/TIERS.md")
                }
                Err(error) => tracing::warn!(
                    store = %tier.name(),
                    error = chain(&error),
                    "a store of segments does not work; segments stay on this disk"
                ),
            }
        }
    }

    /// Tells the mover what was closed and what was erased.
    async fn tell(&self, mover: &Mover) {
        loop {
            let (closed, erased) = {
                let mut untold = locked(&self.untold);
                (std::mem::take(&mut untold.closed), std::mem::take(&mut untold.erased))
            };
            if let Err(error) = mover.closed(&closed).await {
                tracing::error!(%error, "closed segments are not in the ledger of the tiers yet: the next scan finds them");
            }
            let is_told = erased.is_empty() || self.owe(&erased).await;
            if is_told {
                self.news.notified().await;
            } else {
                self.keep_erased(&erased);
                tokio::time::sleep(TELL_AGAIN).await;
            }
        }
    }

    fn keep_erased(&self, ids: &[SegmentId]) {
        let mut untold = locked(&self.untold);
        let room = ERASED_MAX.saturating_sub(untold.erased.len());
        untold.erased.extend(ids.iter().take(room));
        drop(untold);
        self.news.notify_one();
    }

    /// Writes down that objects are to go. False when that was not possible now.
    async fn owe(&self, ids: &[SegmentId]) -> bool {
        let Some(mover) = self.mover.get() else { return false };
        match mover.owe(ids).await {
            Ok(done) => {
                if !done.held.is_empty() {
                    tracing::warn!(
                        segments = done.held.len(),
                        "erased segments are held in a tier: their objects stay"
                    );
                }
                true
            }
            Err(error) => {
                metrics::counter!("tiers_owe_errors_total").increment(1);
                tracing::error!(error = chain(&error), "objects of erased segments are not owed yet; tried again");
                false
            }
        }
    }

    /// Compares with the stores once a day, also across restarts.
    async fn compare(&self, mover: &Arc<Mover>) {
        loop {
            if let Err(error) = self.take_in(mover).await {
                tracing::warn!(error = chain(&error), "segments that only a tier has are not all in the index yet");
            }
            let (now, last) = (self.clock.wall(), self.copies.index.reconciled_at().await.unwrap_or_default());
            let is_due = !self.is_whole.load(Ordering::Relaxed) || last.plus(COMPARE_EVERY) <= now || last > now;
            let is_done = if is_due { self.compare_and_note(mover).await } else { true };
            if is_done && is_due {
                continue;
            }
            let is_taken = self.copies.index.has_taken_in_away().await.unwrap_or(false);
            tokio::time::sleep(if is_done && is_taken { SCAN_EVERY } else { COMPARE_AGAIN }).await;
        }
    }

    /// True when every store was compared to its end.
    async fn compare_and_note(&self, mover: &Arc<Mover>) -> bool {
        match self.compare_once(mover).await {
            Ok(found) => found.incomplete.is_empty(),
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    "the tiers could not be compared with their stores; tried again"
                );
                false
            }
        }
    }

    async fn compare_once(&self, mover: &Arc<Mover>) -> Result<Reconciled, CompareError> {
        let is_new = !self.is_whole.load(Ordering::Relaxed);
        let found = if is_new { mover.rebuild().await?.reconciled } else { mover.reconcile().await? };
        self.act_on(mover, &found).await?;
        if found.incomplete.is_empty() {
            self.is_whole.store(true, Ordering::Relaxed);
            self.copies.index.set_reconciled_at(self.clock.wall()).await?;
        }
        tracing::info!(
            listed = found.listed,
            missing = found.missing.len(),
            adopted = found.adopted,
            strays = found.strays.len(),
            ended_uploads = found.ended_uploads,
            incomplete = ?found.incomplete,
            "the tiers were compared with their stores"
        );
        Ok(found)
    }

    async fn act_on(&self, mover: &Mover, found: &Reconciled) -> Result<(), CompareError> {
        if found.adopted > 0 {
            // The index may not know them.
            self.copies.index.set_taken_in_away(false).await?;
        }
        if found.lost > 0 {
            metrics::counter!("tiers_lost_total").increment(found.lost);
            tracing::error!(
                segments = found.lost,
                "segments that were stored are gone from their store, and this disk has no copy"
            );
        }
        let outlived = self.dead(&found.outlived).await?;
        let back = found.deleted_yet_there.len();
        let count = u64::try_from(outlived.len() + back).unwrap_or(u64::MAX);
        if count > 0 {
            metrics::counter!("tiers_outlived_total").increment(count);
            tracing::error!(
                objects = count,
                "objects in a store outlived their term, or came back: they are deleted now; their keys are dead"
            );
        }
        let late = found.outlived.len() - outlived.len();
        if late > 0 {
            tracing::error!(
                objects = late,
                "objects are past their term, and the sweeper has not come to them: see recorder_sweep_held"
            );
        }
        mover.delete(&outlived).await?;
        Ok(())
    }

    /// Those whose row was erased, or whose key is destroyed. The others are the sweeper's: keys go first.
    async fn dead(&self, ids: &[SegmentId]) -> Result<Vec<SegmentId>, CompareError> {
        let rows = self.copies.index.rows_of(ids).await?;
        let rows: BTreeMap<SegmentId, _> = rows.into_iter().map(|row| (row.at.segment, row)).collect();
        let (mut dead, mut unknown) = (Vec::new(), Vec::new());
        for id in ids {
            match rows.get(id) {
                Some(row) if row.erased_at.is_some() => dead.push(*id),
                Some(_) => {}
                None => unknown.push(*id),
            }
        }
        let mut epochs: Vec<(SegmentId, KeyEpoch)> = Vec::new();
        if let Some(mover) = self.mover.get() {
            for id in unknown {
                let row = mover.ledger().row(id).await.map_err(PassError::from)?;
                epochs.extend(row.and_then(|row| KeyEpoch::new(row.facts.epoch)).map(|epoch| (id, epoch)));
            }
        }
        let vault = Arc::clone(&self.copies.vault);
        let gone = tokio::task::spawn_blocking(move || {
            let is_gone = |(_, epoch): &(SegmentId, KeyEpoch)| vault.is_destroyed(*epoch);
            epochs.into_iter().filter(is_gone).map(|(id, _)| id).collect::<Vec<_>>()
        });
        dead.extend(gone.await.map_err(|_| CompareError::Ended)?);
        Ok(dead)
    }
}

/// Says each alarm of the tiers once, and when it is over.
async fn watch(mover: &Mover) {
    let mut health = mover.health();
    let mut known: BTreeMap<&'static str, Alarm> = BTreeMap::new();
    loop {
        let now: BTreeMap<&'static str, Alarm> =
            health.borrow_and_update().alarms.iter().map(|alarm| (kind_of(alarm), alarm.clone())).collect();
        for (kind, alarm) in now.iter().filter(|(kind, _)| !known.contains_key(*kind)) {
            tracing::error!(kind, ?alarm, "ALARM of the tiers; copies stay on this disk");
        }
        for kind in known.keys().filter(|kind| !now.contains_key(*kind)) {
            tracing::info!(kind, "an alarm of the tiers is over");
        }
        known = now;
        if health.changed().await.is_err() {
            return;
        }
    }
}

const fn kind_of(alarm: &Alarm) -> &'static str {
    match alarm {
        Alarm::Down { .. } => "down",
        Alarm::Lying { .. } => "lying",
        Alarm::Backlog { .. } => "backlog",
        Alarm::TooLate { .. } => "too_late",
        Alarm::LostInStore { .. } => "lost_in_store",
        Alarm::Outlived { .. } => "outlived",
    }
}

/// The error with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests;
