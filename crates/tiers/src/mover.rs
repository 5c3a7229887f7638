//! The reconciler that moves segments: looks at the ledger, asks the plan, carries it out. Takes no input; dropped at any point it goes
//! on from there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use vms_core::{SegmentId, WallTime};

use crate::alarm::{Alarm, Health, NAMED_MAX, TierHealth, TierState};
use crate::cache::Cache;
use crate::config::{Config, ConfigError};
use crate::lane::{BEGUN_MAX, Lane, MoverLimits, chain, locked};
use crate::ledger::{Cursor, Ledger, LedgerError, Row, Waiting, cursor_at};
use crate::name::{Facts, RecorderName};
use crate::pace::{Dice, back_off};
use crate::plan::{Action, Capacity, Plan, Policy, Remote, Room, Standing, TierName, View, plan};
use crate::ports::{Clock, LocalCopies, PortError};
use crate::tier::{OpenError, Tier};
use crate::upload::{UploadError, Uploader};

/// Rows of one page of the ledger.
const PAGE: usize = BEGUN_MAX;
/// Pages looked through in one pass when the first ones belong to a tier that is shut.
const PAGES_MAX: usize = 400;
/// Pages of segments on both sides looked at in one pass; the next pass goes on behind them.
const DROP_PAGES: usize = 4;
/// A segment that cannot be sent for a reason of its own is looked at again after this.
const PARKED: Duration = Duration::from_secs(3_600);
/// Waiting longer than this is an alarm.
const BACKLOG_AFTER: Duration = Duration::from_secs(3_600);

/// Why a pass stopped. Nothing is lost; the next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The recorder's side.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why the tiers could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A store.
    #[error("store `{name}`")]
    Open {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The folder for fetched segments.
    #[error("the folder for fetched segments cannot be made")]
    Cache(#[source] std::io::Error),
}

/// Everything a mover is made of.
#[derive(Debug)]
pub struct Setup {
    /// Whose segments.
    pub recorder: RecorderName,
    /// Tiers and their bounds.
    pub tiers: Vec<(Tier, MoverLimits)>,
    /// What goes where.
    pub policy: Policy,
    /// What is where.
    pub ledger: Ledger,
    /// The recorder's disk.
    pub local: Arc<dyn LocalCopies>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Spreads pauses; another one on each recorder.
    pub seed: u64,
    /// Where whole segments are fetched to, for readers that want a file.
    pub cache: Option<Cache>,
}

/// What one pass did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Pass {
    /// Segments verified in a tier.
    pub stored: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// Uploads that failed.
    pub failed: u64,
    /// Local copies dropped.
    pub dropped: u64,
    /// Objects deleted that were owed.
    pub deleted: u64,
    /// Segments whose term ends before they would arrive.
    pub too_late: u64,
}

/// Moves segments between the local disk and the tiers, reads them back, deletes them.
#[derive(Debug)]
pub struct Mover {
    pub(crate) recorder: RecorderName,
    pub(crate) lanes: BTreeMap<TierName, Lane>,
    pub(crate) policy: Policy,
    pub(crate) ledger: Ledger,
    pub(crate) local: Arc<dyn LocalCopies>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cache: Option<Cache>,
    dice: Mutex<Dice>,
    drop_cursor: Mutex<Cursor>,
    health: watch::Sender<Health>,
    /// Alarms of the last reconciling.
    pub(crate) standing_alarms: Mutex<Vec<Alarm>>,
    last_round: AtomicI64,
    poke: Notify,
    /// One pass at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Mover {
    /// From configuration: opens the stores and the ledger `tiers.sqlite` and the folder `tier-cache` in `state`. `environment` gives variables for credentials.
    ///
    /// # Errors
    /// [`SetupError`].
    pub async fn open(
        config: &Config,
        environment: &(dyn Fn(&str) -> Option<String> + Sync),
        state: &Path,
        local: Arc<dyn LocalCopies>,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Result<Self, SetupError> {
        config.check()?;
        let mut tiers = Vec::new();
        for store in &config.stores {
            let credentials = store.s3.as_ref().map(|s3| s3.credentials(environment)).transpose()?;
            let tier = Tier::open(store, credentials.as_ref())
                .map_err(|source| SetupError::Open { name: store.name.clone(), source })?;
            tiers.push((tier, MoverLimits::of(store)));
        }
        let ledger = Ledger::open(&state.join("tiers.sqlite")).await?;
        let (recorder, policy) = (config.recorder_name()?, config.policy()?);
        let bytes_max = u64::from(config.cache_gb) * 1_000_000_000;
        let cache = Some(Cache::open(&state.join("tier-cache"), bytes_max).map_err(SetupError::Cache)?);
        Ok(Self::new(Setup { recorder, tiers, policy, ledger, local, clock, seed, cache }))
    }

    /// From parts.
    pub fn new(setup: Setup) -> Self {
        let lane = |(number, (tier, limits)): (u64, (Tier, MoverLimits))| {
            (tier.name().clone(), Lane::new(tier, limits, setup.seed.wrapping_add(number)))
        };
        Self {
            recorder: setup.recorder,
            lanes: (1..).zip(setup.tiers).map(lane).collect(),
            policy: setup.policy,
            ledger: setup.ledger,
            local: setup.local,
            clock: setup.clock,
            cache: setup.cache,
            dice: Mutex::new(Dice::new(setup.seed)),
            drop_cursor: Mutex::default(),
            health: watch::Sender::new(Health::default()),
            standing_alarms: Mutex::default(),
            last_round: AtomicI64::new(0),
            poke: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// A number above all before, also when the wall clock stands or goes back.
    pub(crate) fn next_round(&self, now: WallTime) -> i64 {
        let next = |last: i64| Some(now.micros.max(last.saturating_add(1)));
        let before = self.last_round.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        next(before.unwrap_or_default()).unwrap_or_default()
    }

    /// State and alarms, as of the last pass.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// The tiers, for probing.
    pub fn tiers(&self) -> impl Iterator<Item = &Tier> {
        self.lanes.values().map(|lane| &lane.tier)
    }

    /// What is where.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Segments were closed, synced and indexed. Not needed for correctness (the scan finds them), only for haste.
    ///
    /// # Errors
    /// [`PassError::Ledger`].
    pub async fn closed(&self, segments: &[Facts]) -> Result<(), PassError> {
        let fits = |facts: &&Facts| self.policy.rule(facts).is_some_and(|rule| rule.tier.is_some());
        let wanted: Vec<Facts> = segments.iter().filter(fits).cloned().collect();
        if !wanted.is_empty() {
            self.ledger.note(&wanted).await?;
            self.poke.notify_one();
        }
        Ok(())
    }

    /// The next pass begins at once.
    pub(crate) fn poke(&self) {
        self.poke.notify_one();
    }

    /// Notes everything closed on the local disk that belongs in a tier: at the start, after a change of policy, and now and then.
    ///
    /// # Errors
    /// [`PassError`].
    pub async fn scan(&self) -> Result<u64, PassError> {
        let (mut after, mut count) = (None, 0);
        loop {
            let page = self.local.closed(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(last.segment);
            let fits = |facts: &&Facts| self.policy.rule(facts).is_some_and(|rule| rule.tier.is_some());
            let wanted: Vec<Facts> = page.iter().filter(fits).cloned().collect();
            self.ledger.note(&wanted).await?;
            count += u64::try_from(wanted.len()).unwrap_or(0);
        }
    }

    /// Scans, then passes every `every`, or at once when a segment was closed, and scans again every `scan_every`, until `stop`.
    /// Dropped or killed at any point it loses nothing.
    pub async fn run(&self, every: Duration, scan_every: Duration, stop: CancellationToken) {
        let mut scan_at = Instant::now();
        loop {
            let round = async {
                if Instant::now() >= scan_at {
                    self.scan().await?;
                    scan_at = Instant::now() + scan_every;
                }
                self.pass().await
            };
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = round => outcome,
            };
            // As much as one pass takes waits: at once the next one.
            let is_busy = match outcome {
                Ok(pass) => pass.stored >= u64::try_from(PAGE).unwrap_or(u64::MAX),
                Err(error) => {
                    tracing::error!(%error, "a pass of the tiers stopped; the next one goes on");
                    metrics::counter!("tiers_pass_errors_total").increment(1);
                    false
                }
            };
            let pause = if is_busy { Duration::ZERO } else { every };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.poke.notified() => {}
            }
        }
    }

    /// One look at everything: deletions that are owed, uploads, local copies that may go; then health.
    ///
    /// # Errors
    /// [`PassError`].
    pub async fn pass(&self) -> Result<Pass, PassError> {
        let _turn = self.turn.lock().await;
        self.lanes.values().for_each(Lane::renew);
        let mut pass = Pass { deleted: self.pay_owed().await?, ..Pass::default() };
        self.uploads(&mut pass).await?;
        self.drops(&mut pass).await?;
        self.publish(&pass).await?;
        metrics::counter!("tiers_stored_segments_total").increment(pass.stored);
        metrics::counter!("tiers_stored_bytes_total").increment(pass.stored_bytes);
        metrics::counter!("tiers_failed_uploads_total").increment(pass.failed);
        metrics::counter!("tiers_dropped_local_total").increment(pass.dropped);
        Ok(pass)
    }

    async fn views(&self, rows: &[Row]) -> Result<Vec<View>, PassError> {
        let facts: Vec<Facts> = rows.iter().map(|row| row.facts.clone()).collect();
        let standing = self.local.standing(&facts).await?;
        // A short answer leaves the rest out of this pass, rather than treat it as not held.
        let view = |(row, standing): (&Row, Standing)| View {
            facts: row.facts.clone(),
            standing,
            remote: row.remote,
            is_local: row.is_local,
        };
        Ok(rows.iter().zip(standing).map(view).collect())
    }

    async fn uploads(&self, pass: &mut Pass) -> Result<(), PassError> {
        let mut rooms: BTreeMap<TierName, Room> =
            self.lanes.iter().map(|(name, lane)| (name.clone(), lane.room())).collect();
        let mut after = Cursor::default();
        let mut begun: BTreeMap<TierName, Vec<Row>> = BTreeMap::new();
        let now = self.clock.wall();
        for _ in 0..PAGES_MAX {
            if rooms.values().all(|room| !room.is_open || room.uploads_max == 0) {
                break;
            }
            let rows = self.ledger.waiting(now, &after, PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = cursor_at(last);
            let capacity = Capacity { tiers: rooms.clone(), local_free: None };
            let made = plan(now, &self.views(&rows).await?, &self.policy, &capacity);
            self.park(&rows, &made, now).await?;
            pass.too_late += u64::try_from(made.too_late.len()).unwrap_or(0);
            let by_id: BTreeMap<_, &Row> = rows.iter().map(|row| (row.facts.segment, row)).collect();
            for action in made.actions {
                let Action::Upload(segment, tier) = action else { continue };
                if let (Some(row), Some(room)) = (by_id.get(&segment), rooms.get_mut(&tier)) {
                    room.uploads_max = room.uploads_max.saturating_sub(1);
                    begun.entry(tier).or_default().push((*row).clone());
                }
            }
        }
        let lanes = begun.into_iter().filter_map(|(name, rows)| self.lanes.get(&name).map(|lane| (lane, rows)));
        let work: Vec<_> = lanes.map(|(lane, rows)| self.fill(lane, rows)).collect();
        for outcome in futures_util::future::join_all(work).await {
            let (stored, bytes, failed) = outcome?;
            pass.stored += stored;
            pass.stored_bytes += bytes;
            pass.failed += failed;
        }
        Ok(())
    }

    /// What no rule sends, and what comes too late, is not looked at in every pass.
    async fn park(&self, rows: &[Row], made: &Plan, now: WallTime) -> Result<(), PassError> {
        let idle = rows.iter().filter(|row| self.policy.rule(&row.facts).is_none_or(|rule| rule.tier.is_none()));
        for segment in idle.map(|row| row.facts.segment).chain(made.too_late.iter().copied()) {
            self.ledger.failed(segment, now.plus(PARKED)).await?;
        }
        Ok(())
    }

    /// Uploads to one tier, so many at once. Gives segments and bytes stored, and failures.
    async fn fill(&self, lane: &Lane, rows: Vec<Row>) -> Result<(u64, u64, u64), PassError> {
        let began = Instant::now();
        let mut work = futures_util::stream::iter(rows)
            .map(|row| async move {
                // The breaker may have opened since the plan was made.
                if lane.take() == 0 {
                    return Ok(None);
                }
                self.one(lane, &row).await.map(|is_stored| Some((is_stored, row.facts.len)))
            })
            .buffer_unordered(lane.limits.parallel.max(1));
        let (mut stored, mut bytes, mut failed) = (0, 0_u64, 0);
        while let Some(outcome) = work.next().await {
            match outcome? {
                None => {}
                Some((false, _)) => failed += 1,
                Some((true, len)) => {
                    stored += 1;
                    bytes = bytes.saturating_add(len);
                }
            }
        }
        lane.measure(bytes, began);
        Ok((stored, bytes, failed))
    }

    /// One upload with all its ends. True when it is stored.
    async fn one(&self, lane: &Lane, row: &Row) -> Result<bool, PassError> {
        let segment = row.facts.segment;
        let uploader = Uploader {
            tier: &lane.tier,
            ledger: &self.ledger,
            recorder: &self.recorder,
            pacer: &lane.pacer,
            part_bytes: lane.limits.part_bytes,
            read_back_one_in: lane.limits.read_back_one_in,
        };
        let outcome = match self.local.path(segment).await? {
            Some(file) => Box::pin(uploader.upload(row, &file)).await,
            None => Err(UploadError::NoFile),
        };
        let now = self.clock.wall();
        match outcome {
            Ok(()) => {
                lane.worked();
                if self.ledger.stored(segment, now).await? {
                    return Ok(true);
                }
                // Deleted while it went up: owed again, and paid in the next pass.
                self.ledger.owe(segment).await?;
            }
            Err(UploadError::Erased) => {}
            Err(UploadError::NoFile) => {
                tracing::warn!(%segment, "the local file of a segment went before it was stored in a tier");
                self.ledger.set_local(segment, false).await?;
            }
            Err(UploadError::Ledger(error)) => return Err(error.into()),
            Err(error @ UploadError::Local(_)) => {
                tracing::error!(%segment, %error, "a segment cannot be sent to a tier");
                self.ledger.failed(segment, now.plus(PARKED)).await?;
            }
            Err(error @ (UploadError::Store(_) | UploadError::Altered)) => {
                let is_lie = matches!(error, UploadError::Altered);
                let error = chain(&error);
                lane.failed(now, is_lie, &error);
                let pause = back_off(row.attempts + 1, locked(&self.dice).roll());
                self.ledger.failed(segment, now.plus(pause)).await?;
                tracing::warn!(%segment, tier = %lane.tier.name(), error, "an upload failed; the local copy stays");
            }
        }
        Ok(false)
    }

    async fn drops(&self, pass: &mut Pass) -> Result<(), PassError> {
        let now = self.clock.wall();
        let free = self.local.free_bytes();
        let is_pressed = free.is_some_and(|bytes| bytes < self.policy.local_wanted);
        let mut cursor = if is_pressed { Cursor::default() } else { locked(&self.drop_cursor).clone() };
        let mut capacity = Capacity { tiers: BTreeMap::new(), local_free: free };
        for _ in 0..DROP_PAGES {
            let rows = self.ledger.on_both(&cursor, PAGE).await?;
            let Some(last) = rows.last() else {
                cursor = Cursor::default();
                break;
            };
            cursor = cursor_at(last);
            let made = plan(now, &self.views(&rows).await?, &self.policy, &capacity);
            let by_id: BTreeMap<_, &Row> = rows.iter().map(|row| (row.facts.segment, row)).collect();
            let mut going: Vec<Row> = Vec::new();
            for action in &made.actions {
                if let Action::DropLocal(segment) = action {
                    going.extend(by_id.get(segment).map(|row| (*row).clone()));
                }
            }
            let mut work = futures_util::stream::iter(going)
                .map(|row| async move { self.drop_one(&row, now).await.map(|is_gone| (is_gone, row.facts.len)) })
                .buffer_unordered(4);
            while let Some(outcome) = work.next().await {
                let (is_gone, len) = outcome?;
                if is_gone {
                    pass.dropped += 1;
                    capacity.local_free = capacity.local_free.map(|bytes| bytes.saturating_add(len));
                }
            }
        }
        *locked(&self.drop_cursor) = cursor;
        Ok(())
    }

    /// Drops one local copy, after one more look that the object is there. True when it went.
    async fn drop_one(&self, row: &Row, now: WallTime) -> Result<bool, PassError> {
        let segment = row.facts.segment;
        let lane = row.tier.as_ref().and_then(|name| self.lanes.get(name));
        let Some((lane, name)) = lane.zip(row.name(&self.recorder)) else { return Ok(false) };
        if row.remote != Remote::Stored || lane.take() == 0 {
            return Ok(false);
        }
        let there = async {
            let key = lane.tier.key(&name)?;
            lane.tier.has(&key, row.facts.len).await
        };
        match there.await {
            Ok(true) => {
                lane.worked();
                let is_gone = self.local.drop_copy(segment).await?;
                if is_gone {
                    self.ledger.set_local(segment, false).await?;
                }
                Ok(is_gone)
            }
            Ok(false) => {
                tracing::error!(%segment, tier = %lane.tier.name(), "a stored segment is gone from its store; it goes up again");
                lane.failed(now, true, "a stored object is gone or of another length");
                self.ledger.doubt(segment).await?;
                self.lost_one(segment);
                Ok(false)
            }
            Err(error) => {
                let error = chain(&error);
                lane.failed(now, false, &error);
                tracing::warn!(%segment, tier = %lane.tier.name(), error, "a local copy stays: its store does not answer");
                Ok(false)
            }
        }
    }

    /// The local disk is over its cap: drops the local copies of those of `segments` that were verified in a tier, whatever their hot hours. A store
    /// that does not answer at this moment counts by its earlier verification: the other way out is to erase footage. Gives
    /// those whose local copy went.
    ///
    /// # Errors
    /// [`PassError`].
    pub async fn make_room(&self, segments: &[SegmentId]) -> Result<Vec<SegmentId>, PassError> {
        let now = self.clock.wall();
        let mut gone = Vec::new();
        for segment in segments {
            let Some(row) = self.ledger.row(*segment).await?.filter(|row| row.is_local) else { continue };
            let lane = row.tier.as_ref().and_then(|name| self.lanes.get(name));
            let Some(lane) = lane.filter(|_| row.remote == Remote::Stored) else { continue };
            if self.drop_one(&row, now).await? {
                gone.push(*segment);
            } else if lane.is_shut() && self.local.drop_copy(*segment).await? {
                self.ledger.set_local(*segment, false).await?;
                gone.push(*segment);
            }
        }
        Ok(gone)
    }

    /// An alarm that stays until the next reconciling.
    fn lost_one(&self, segment: SegmentId) {
        let mut alarms = locked(&self.standing_alarms);
        for alarm in alarms.iter_mut() {
            if let Alarm::LostInStore { segments, count, .. } = alarm {
                *count += 1;
                if segments.len() < NAMED_MAX {
                    segments.push(segment);
                }
                return;
            }
        }
        alarms.push(Alarm::LostInStore { segments: vec![segment], count: 1, without_local: 0 });
    }

    async fn publish(&self, pass: &Pass) -> Result<(), PassError> {
        let now = self.clock.wall();
        let waiting = self.ledger.backlog().await?;
        let tiers: Vec<TierHealth> = self.lanes.values().map(Lane::health).collect();
        let mut alarms: Vec<Alarm> = tiers
            .iter()
            .filter_map(|one| match one.state {
                TierState::Unknown | TierState::Up => None,
                TierState::Down { since } => Some(Alarm::Down { tier: one.name.clone(), since }),
                TierState::Lying { since } => Some(Alarm::Lying { tier: one.name.clone(), since }),
            })
            .collect();
        let after = self.policy.rules.iter().map(|rule| rule.upload_after).max().unwrap_or_default() + BACKLOG_AFTER;
        if let Some(oldest) = waiting.oldest.filter(|oldest| oldest.plus(after) < now) {
            alarms.push(Alarm::Backlog { segments: waiting.segments, bytes: waiting.bytes, oldest });
        }
        if pass.too_late > 0 {
            alarms.push(Alarm::TooLate { segments: pass.too_late });
        }
        alarms.extend(locked(&self.standing_alarms).iter().cloned());
        figures(&tiers, &alarms, &waiting, now);
        self.health.send_replace(Health {
            tiers,
            waiting_segments: waiting.segments,
            waiting_bytes: waiting.bytes,
            alarms,
        });
        Ok(())
    }
}

/// The same for who watches figures (docs/operations.md).
fn figures(tiers: &[TierHealth], alarms: &[Alarm], waiting: &Waiting, now: WallTime) {
    let real = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let flag = |is: bool| f64::from(u8::from(is));
    metrics::gauge!("tiers_waiting_segments").set(real(waiting.segments));
    metrics::gauge!("tiers_waiting_mib").set(real(waiting.bytes >> 20));
    let oldest_s = waiting.oldest.map_or(0, |oldest| now.micros_since(oldest) / 1_000_000);
    metrics::gauge!("tiers_waiting_oldest_s").set(real(u64::try_from(oldest_s).unwrap_or(0)));
    for one in tiers {
        let store = one.name.to_string();
        let (is_down, is_lying) =
            (matches!(one.state, TierState::Down { .. }), matches!(one.state, TierState::Lying { .. }));
        metrics::gauge!("tiers_store_down", "store" => store.clone()).set(flag(is_down));
        metrics::gauge!("tiers_store_lying", "store" => store).set(flag(is_lying));
    }
    let (mut lost, mut outlived, mut late) = (0, 0, 0);
    for alarm in alarms {
        match alarm {
            Alarm::Down { .. } | Alarm::Lying { .. } | Alarm::Backlog { .. } => {}
            Alarm::TooLate { segments } => late = *segments,
            Alarm::LostInStore { count, .. } => lost = *count,
            Alarm::Outlived { count } => outlived = *count,
        }
    }
    metrics::gauge!("tiers_lost_segments").set(real(lost));
    metrics::gauge!("tiers_outlived_objects").set(real(outlived));
    metrics::gauge!("tiers_too_late_segments").set(real(late));
}
