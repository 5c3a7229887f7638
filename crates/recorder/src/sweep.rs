//! The sweeper: destroys keys and erases files that are past their term, and the oldest when the disk tier is over its cap.
//!
//! The key of a camera's hour dies at hour start + term − 1 h: from then on nothing of it can be read, whatever copies survive. Then
//! its files go. Order: deletion record "planned", keys, record with the proof, mark the rows, unlink, fsync the folder, clear the
//! mark and write `erased_us`, record of the files. A crash in between is finished at the next start. Rows stay: the central catalogue
//! and the audit log copy from them. A file that is still growing is never erased, nor one under a hold. Nothing is destroyed by an untrusted
//! clock, nor after a step of the clock (`trust`), and more than one and a half days of footage at once, or within a day, waits for two people.
//!
//! When the disk is full or over its cap, files go before their term (`ladder`); the key of an hour goes with the last file that it sealed.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keys::{Hour, KeyEpoch, KeyError, KeyName, Reason, Scope};
use serde::{Deserialize, Serialize};
use vms_core::{CameraId, StreamId, WallTime};

use crate::catalogue::Catalogue;
use crate::deletions::{DeletionLog, Loss, OpenBatch, PlannedKey, Step};
use crate::index::{Index, IndexError, Located};
use crate::kept;
use crate::tiering::Tiers;
use crate::vault::Vault;

mod expire;
mod gate;
mod unlink;

pub use expire::{Carried, ROWS_STAY};
use unlink::unlink;

/// Hour keys destroyed in one batch.
const KEYS_BATCH: usize = 2_000;

/// A term up to this is no longer than some hours: see [`key_dies_at`].
const SHORT_S: u64 = 6 * 3_600;

/// Every so many sweeps, files are looked for whose key is gone.
const FINISH_EVERY: u32 = 60;

/// Hours of keys that may die at once, or within a day, without a second person: one and a half days. An hour has one key for each
/// camera, so that this is 1.5 times the usual daily volume (reliability 4.3.6), whatever the number of cameras.
const HOURS_AT_ONCE: u64 = 36;

/// Name of the file beside the records that keeps what was destroyed lately.
const SPENT_FILE: &str = "spent.json";

/// A segment that began in an hour has ended so long after the hour, and nothing of the hour begins any more.
const SETTLED: Duration = Duration::from_mins(10);

/// Segments erased in one go.
const BATCH: u32 = 500;
/// The same as a count of rows.
const BATCH_ROWS: usize = 500;
/// Rows of one stream looked at to tell how many hours are due: two days of them.
const WIDE_ROWS: u32 = 3_000;
/// Rows looked at for one that is not held, at most.
const LOOK_MAX: u32 = 256_000;

/// Why a sweep broke off. It goes on with the next.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The key store.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// More hours of footage are due than go within one and a half days: either the recorder stood for so long, or the clock is wrong.
    /// Nothing is destroyed before two people let it through (`belfry keys approve`).
    #[error(
        "footage of {hours} hours is due at once or within a day, up to hour {until_hour}: two people have to approve"
    )]
    Unusual {
        /// How many hours.
        hours: u64,
        /// The last of them, since 1970.
        until_hour: u32,
    },
    /// Nothing is destroyed before `serve` has told them again.
    #[error("the decisions of the magistrate's gate are not known")]
    DecisionsLost,
    /// The deletion records: without them nothing is destroyed.
    #[error("the deletion records cannot be written")]
    Log(#[from] std::io::Error),
}

/// Terms in force by the assignment, seconds.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Of streams and classes.
    pub streams: HashMap<(StreamId, String), u64>,
    /// Of cameras and classes: the longest of the camera's streams.
    pub cameras: HashMap<(CameraId, String), u64>,
}

impl Terms {
    /// Takes one stream of the assignment.
    pub fn add(&mut self, stream: StreamId, camera: CameraId, class: &str, keep_s: u64) {
        self.streams.insert((stream, class.to_owned()), keep_s);
        let longest = self.cameras.entry((camera, class.to_owned())).or_default();
        *longest = (*longest).max(keep_s);
    }

    /// The terms of an assignment.
    pub fn of_assignment(assignment: &link::Assignment) -> Self {
        let mut terms = Self::default();
        for spec in &assignment.streams {
            if let (Ok(stream), Ok(camera)) = (spec.stream.parse(), spec.camera.parse()) {
                terms.add(stream, camera, &spec.retention_class, spec.keep_s);
            }
        }
        terms
    }

    /// The term of a segment, seconds, where the assignment names it.
    pub fn of_segment(&self, stream: StreamId, camera: CameraId, class: &str) -> Option<u64> {
        let own = self.streams.get(&(stream, class.to_owned())).copied().filter(|keep| *keep > 0);
        own.or_else(|| self.of_keys(camera, class))
    }

    /// The term of an hour key, seconds, where it is known.
    pub fn term_of(&self, name: &KeyName) -> Option<u64> {
        let Scope::Camera(camera) = name.scope else { return None };
        self.of_keys(camera, name.class.as_str())
    }

    /// Whether an hour key may live at `now`; `None` where its term is not known.
    pub fn is_in_term(&self, name: &KeyName, now: WallTime) -> Option<bool> {
        self.term_of(name).map(|keep| key_dies_at(name.hour, keep) > now)
    }

    /// The term of the keys of a camera and class; where the assignment does not name them, the longest of that class.
    fn of_keys(&self, camera: CameraId, class: &str) -> Option<u64> {
        let own = self.cameras.get(&(camera, class.to_owned())).copied();
        let of_class = || self.cameras.iter().filter(|((_, code), _)| code == class).map(|(_, keep)| *keep).max();
        own.or_else(of_class).filter(|keep| *keep > 0)
    }
}

/// Term in force of a stream and class, seconds: the assignment's; where it does not name the class for the stream, the one at the
/// time of recording; 0 stands for unknown, which erases nothing.
pub(crate) fn term_s(terms: &HashMap<(StreamId, String), u64>, of: &(StreamId, String, u64)) -> Option<u64> {
    let known = terms.get(&(of.0, of.1.clone())).copied().filter(|keep| *keep > 0);
    known.or(Some(of.2).filter(|keep| *keep > 0))
}

/// When the key of an hour dies: at its start + term − 1 h, so that nothing of it outlives the term (blueprint 4.2). With a term of a few
/// hours that would be before footage of the hour was of any use: then when the term of the last of it is over, and each file
/// goes at its own end.
pub fn key_dies_at(hour: Hour, keep_s: u64) -> WallTime {
    const HOUR: Duration = Duration::from_hours(1);
    let kept = hour.start().plus(Duration::from_secs(keep_s));
    if keep_s > SHORT_S { kept.minus(HOUR) } else { kept.plus(HOUR).plus(SETTLED) }
}

/// What was destroyed lately: a vessel that runs dry at 1.5 hours of footage an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Spent {
    at_us: i64,
    /// Minutes of footage.
    level_min: u64,
}

impl Spent {
    fn at(self, now: WallTime) -> Self {
        let passed_min = u64::try_from(now.micros.saturating_sub(self.at_us) / 60_000_000).unwrap_or(0);
        Self { at_us: now.micros, level_min: self.level_min.saturating_sub(passed_min.saturating_mul(3) / 2) }
    }

    /// Hours in all, with so many more.
    const fn hours_with(self, hours: u64) -> u64 {
        self.level_min / 60 + hours
    }
}

/// What has to go before its term.
#[derive(Clone, Copy, Debug)]
pub struct Losing<'a> {
    /// Bytes of files.
    pub bytes: u64,
    /// Classes that go last, the most important first.
    pub keep_longest: &'a [String],
    /// Open segments: their hour keys stay.
    pub catalogue: &'a Catalogue,
}

/// What went before its term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Segments.
    pub segments: u64,
    /// Bytes that were wanted and that nothing could give: all that is left is held, or still growing.
    pub missing: u64,
}

/// The sweeper of one recorder.
#[derive(Debug)]
pub struct Sweep {
    root: PathBuf,
    index: Index,
    vault: Arc<Vault>,
    tiers: Tiers,
    log: DeletionLog,
    /// Batches whose keys a crash may have left.
    open: Vec<OpenBatch>,
    /// Sweeps since the start.
    swept: u32,
    /// Where `spent` is kept.
    spent_at: PathBuf,
    spent: Spent,
    /// Up to this hour two people let everything through.
    approved: Option<u32>,
    gate: gate::GateState,
}

impl Sweep {
    /// For the media below `root`; deletion records in `records`.
    ///
    /// # Errors
    /// The records cannot be read.
    pub fn new(root: &Path, records: &Path, index: Index, vault: Arc<Vault>) -> std::io::Result<Self> {
        let (log, open) = DeletionLog::open(records)?;
        let spent_at = records.join(SPENT_FILE);
        let spent = match kept::load(&spent_at) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => None,
            spent => spent?,
        };
        let (root, spent) = (root.to_owned(), spent.unwrap_or_default());
        let (tiers, gate) = (Tiers::default(), gate::GateState::default());
        Ok(Self { root, index, vault, tiers, log, open, swept: 0, spent_at, spent, approved: None, gate })
    }

    /// The same, with tiers: what is erased goes from them too.
    #[must_use]
    pub fn with_tiers(self, tiers: Tiers) -> Self {
        Self { tiers, ..self }
    }

    /// Finishes what a crash interrupted: batches of keys, deletions of files, files whose key is gone.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn finish(&mut self, now: WallTime) -> Result<u64, SweepError> {
        while let Some(OpenBatch { batch, reason, keys }) = self.open.last().cloned() {
            let wanted: BTreeSet<KeyEpoch> = keys.iter().filter_map(PlannedKey::epoch).collect();
            self.destroy(batch, wanted, reason, now).await?;
            self.open.pop();
        }
        let half = self.index.half_erased().await?;
        let gone = self.erase(&half, now, false).await?;
        Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX) + self.erase_keyless(now).await?)
    }

    /// Erases the files of every key that is gone.
    async fn erase_keyless(&mut self, now: WallTime) -> Result<u64, SweepError> {
        let epochs = self.index.key_epochs().await?;
        let vault = Arc::clone(&self.vault);
        let dead = blocking(move || {
            let is_dead = |epoch: &u64| KeyEpoch::new(*epoch).is_some_and(|epoch| vault.is_destroyed(epoch));
            Ok(epochs.into_iter().filter(is_dead).collect::<Vec<u64>>())
        })
        .await?;
        // What a hold keeps is no news each time.
        let mut doomed = Vec::new();
        for epoch in dead {
            if !self.unheld(self.index.of_key(epoch).await?).await?.is_empty() {
                doomed.push(epoch);
            }
        }
        if doomed.is_empty() {
            return Ok(0);
        }
        let batch = self.log.plan(Reason::EndOfTerm, Vec::new(), now)?;
        self.erase_of_keys(batch, &doomed, now).await
    }

    /// Destroys the keys that are due at trusted wall time `now`, with their files. How many keys.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn expire_keys(&mut self, terms: &Terms, now: WallTime) -> Result<u64, SweepError> {
        if !self.vault.is_configured() {
            return Ok(0);
        }
        // What the start could not finish because the store was away, and what was released from a hold since.
        self.swept = self.swept.wrapping_add(1);
        if !self.open.is_empty() || self.swept.is_multiple_of(FINISH_EVERY) {
            self.finish(now).await?;
        }
        if self.vault.decisions().is_lost() {
            return Err(SweepError::DecisionsLost);
        }
        let due = self.gate_first(self.due(terms, now).await?, now).await?;
        let hours: BTreeSet<Hour> = due.iter().map(|(_, name)| name.hour).collect();
        let until_hour = hours.last().map_or(0, |hour| hour.count());
        let hours = u64::try_from(hours.len()).unwrap_or(u64::MAX);
        let in_all = self.spent.at(now).hours_with(hours);
        self.admit(hours, in_all, until_hour, now)?;
        if hours > 0 && in_all <= HOURS_AT_ONCE {
            let spent = self.spent.at(now);
            self.spent = Spent { level_min: spent.level_min + hours * 60, ..spent };
            // Before the keys: a crash in between must not forget them.
            kept::save(&self.spent_at, &self.spent)?;
        }
        let mut destroyed = 0;
        for chunk in due.chunks(KEYS_BATCH) {
            let planned: Vec<PlannedKey> =
                chunk.iter().filter_map(|(epoch, name)| PlannedKey::of(*epoch, name)).collect();
            let batch = self.log.plan(Reason::EndOfTerm, planned, now)?;
            let wanted: BTreeSet<KeyEpoch> = chunk.iter().map(|(epoch, _)| *epoch).collect();
            let epochs: Vec<u64> = wanted.iter().map(|epoch| epoch.raw()).collect();
            destroyed += self.destroy(batch, wanted, Reason::EndOfTerm, now).await?;
            self.erase_of_keys(batch, &epochs, now).await?;
        }
        Ok(destroyed)
    }

    /// Whether `hours` may go, `in_all` with what went lately, or two people let them through.
    fn admit(&mut self, hours: u64, in_all: u64, until_hour: u32, now: WallTime) -> Result<(), SweepError> {
        let is_approved = |this: &Self| this.approved.is_some_and(|until| until >= until_hour);
        let is_unusual = hours > 0 && in_all > HOURS_AT_ONCE;
        if is_unusual && !is_approved(self) && self.log.take_approval(until_hour, now)? {
            self.approved = Some(until_hour);
        }
        let waits = is_unusual && !is_approved(self);
        metrics::gauge!("recorder_sweep_batch_waits").set(f64::from(u8::from(waits)));
        if waits { Err(SweepError::Unusual { hours: in_all, until_hour }) } else { Ok(()) }
    }

    async fn due(&self, terms: &Terms, now: WallTime) -> Result<Vec<(KeyEpoch, KeyName)>, SweepError> {
        // The shortest term known bounds how far one has to look.
        let shortest = terms.cameras.values().copied().filter(|keep| *keep > 0).min().unwrap_or(0);
        let look = if shortest > SHORT_S { Duration::from_secs(shortest - 3_600) } else { Duration::ZERO };
        let until = Hour::from_count(Hour::of(now.minus(look)).count().saturating_add(1));
        let vault = Arc::clone(&self.vault);
        let old = blocking(move || Ok(vault.with(|ring| Ok(ring.hours_before(until)))?)).await?;
        let mut recorded: Option<HashMap<(CameraId, String), u64>> = None;
        let (mut due, mut unknown) = (Vec::new(), 0_u32);
        for (epoch, name) in old {
            let Scope::Camera(camera) = name.scope else { continue };
            let class = name.class.as_str();
            let mut keep = terms.of_keys(camera, class);
            if keep.is_none() {
                if recorded.is_none() {
                    let rows = self.index.recorded_terms().await?;
                    recorded = Some(rows.into_iter().map(|(camera, class, keep)| ((camera, class), keep)).collect());
                }
                let known = recorded.as_ref().and_then(|known| known.get(&(camera, class.to_owned())));
                keep = known.copied().filter(|keep| *keep > 0);
            }
            // An unknown term destroys nothing, and is told.
            unknown += u32::from(keep.is_none());
            if keep.is_some_and(|keep| key_dies_at(name.hour, keep) <= now) {
                due.push((epoch, name));
            }
        }
        metrics::gauge!("recorder_keys_without_term").set(f64::from(unknown));
        Ok(due)
    }

    /// Destroys keys and notes the proof; how many this call destroyed.
    async fn destroy(
        &self,
        batch: u64,
        wanted: BTreeSet<KeyEpoch>,
        reason: Reason,
        now: WallTime,
    ) -> Result<u64, SweepError> {
        let (vault, log) = (Arc::clone(&self.vault), self.log.clone());
        blocking(move || {
            let limit = wanted.len();
            let done = vault.with(|ring| ring.destroy_epochs(&|epoch| wanted.contains(&epoch), limit, reason, now))?;
            log.destroyed(batch, &done)?;
            let count = u64::try_from(done.keys.len()).unwrap_or(u64::MAX);
            metrics::counter!("recorder_keys_destroyed_total", "why" => reason.as_str()).increment(count);
            if !done.missing.is_empty() {
                tracing::warn!(batch, "a copy of the key store is away: it owes the overwriting of destroyed keys");
            }
            Ok(count)
        })
        .await
    }

    /// Erases the files that these keys sealed, but for what a hold keeps.
    async fn erase_of_keys(&self, batch: u64, epochs: &[u64], now: WallTime) -> Result<u64, SweepError> {
        let (mut files, mut doomed) = (Vec::new(), Vec::new());
        for (number, epoch) in epochs.iter().enumerate() {
            // Of many keys at once: the index syncs its file for each transaction.
            doomed.extend(self.unheld(self.index.of_key(*epoch).await?).await?);
            if doomed.len() < BATCH_ROWS && number + 1 < epochs.len() {
                continue;
            }
            for part in doomed.chunks(BATCH_ROWS) {
                let gone = self.erase(part, now, false).await?;
                files.extend(gone.into_iter().map(|one| (one.segment.to_string(), one.digest.unwrap_or_default())));
            }
            doomed.clear();
        }
        let count = u64::try_from(files.len()).unwrap_or(u64::MAX);
        metrics::counter!("recorder_erased_expired_total").increment(count);
        let log = self.log.clone();
        blocking(move || Ok(log.erased(batch, &mut files, now)?)).await?;
        Ok(count)
    }

    /// Without what is under a hold.
    async fn unheld(&self, batch: Vec<Located>) -> Result<Vec<Located>, SweepError> {
        let vault = Arc::clone(&self.vault);
        blocking(move || Ok(batch.into_iter().filter(|one| !vault.is_held(one.segment)).collect())).await
    }

    /// Erases closed segments before their term until so many bytes are free: the least important class first, in it the oldest. Each
    /// leaves a hole with the cause "disk cap", each batch a warning and a record of the loss. What is held stays, and what a tier has
    /// leaves without a loss.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn lose(&mut self, losing: Losing<'_>, now: WallTime) -> Result<Lost, SweepError> {
        let (mut erased, mut left, mut limit) = (0, losing.bytes, BATCH);
        // Everything but the classes that are to be kept longest, then those, the most important last.
        let classes: Vec<Option<&String>> =
            std::iter::once(None).chain(losing.keep_longest.iter().rev().map(Some)).collect();
        let mut next = classes.into_iter();
        let mut class = next.next();
        while let (Some(of), true) = (class, left > 0) {
            let oldest = self.index.oldest_of(of.map(String::as_str), losing.keep_longest, limit).await?;
            let is_all = oldest.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            let mut freed = 0_u64;
            let mut batch = self.unheld(oldest).await?;
            batch.retain(|one| {
                let needed = freed < left;
                freed = freed.saturating_add(if needed { one.file_len } else { 0 });
                needed
            });
            // What a tier holds as well leaves the disk without a loss.
            let moved = self.tiers.make_room(&batch).await;
            if !moved.is_empty() {
                batch.retain(|one| moved.contains(&one.segment));
                left = left.saturating_sub(batch.iter().map(|one| one.file_len).sum());
                continue;
            }
            let gone = self.erase(&batch, now, true).await?;
            if gone.is_empty() {
                if is_all || limit >= LOOK_MAX {
                    (class, limit) = (next.next(), BATCH);
                } else {
                    // The oldest are all under a hold: look further.
                    limit = limit.saturating_mul(8);
                }
                continue;
            }
            left = left.saturating_sub(gone.iter().map(|one| one.file_len).sum());
            erased += u64::try_from(gone.len()).unwrap_or(u64::MAX);
            self.note_loss(&gone, now).await?;
            self.drop_unused(&gone, losing.catalogue, now).await?;
        }
        Ok(Lost { segments: erased, missing: left })
    }

    /// Local copies that a tier has leave the disk, the oldest first, until so many bytes are free. Bytes that are.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn shed(&mut self, bytes: u64) -> Result<u64, SweepError> {
        let (mut freed, mut limit) = (0_u64, BATCH);
        while freed < bytes {
            let oldest = self.index.oldest(limit).await?;
            let is_all = oldest.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            let mut wanted = 0_u64;
            let batch: Vec<Located> = oldest
                .into_iter()
                .take_while(|one| {
                    let needed = wanted < bytes - freed;
                    wanted = wanted.saturating_add(one.file_len);
                    needed
                })
                .collect();
            let moved = self.tiers.make_room(&batch).await;
            let gone = batch.iter().filter(|one| moved.contains(&one.segment));
            let more: u64 = gone.map(|one| one.file_len).sum();
            freed = freed.saturating_add(more);
            if more == 0 {
                // The oldest are not elsewhere yet.
                if is_all || limit >= LOOK_MAX || batch.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
                    break;
                }
                limit = limit.saturating_mul(8);
            }
        }
        Ok(freed)
    }

    /// A record of what was lost for room, and a warning.
    async fn note_loss(&mut self, gone: &[Located], now: WallTime) -> Result<(), SweepError> {
        let loss = Loss::of(gone);
        metrics::counter!("recorder_erased_early_total").increment(loss.count);
        tracing::warn!(
            segments = loss.count,
            bytes = loss.bytes,
            "the disk is full or over its cap: footage was erased before its term"
        );
        let mut log = self.log.clone();
        self.log = blocking(move || {
            log.note(Step::Lost(loss), now)?;
            Ok(log)
        })
        .await?;
        Ok(())
    }

    /// Writes something that is no deletion into the records: an approval of the clock, a reconciliation.
    ///
    /// # Errors
    /// Of the disk.
    pub fn note(&mut self, step: Step, now: WallTime) -> std::io::Result<()> {
        self.log.note(step, now).map(drop)
    }

    /// Destroys the keys whose last file went, when their hour is over. One that still has a file lives on.
    async fn drop_unused(&mut self, gone: &[Located], catalogue: &Catalogue, now: WallTime) -> Result<(), SweepError> {
        let epochs: BTreeSet<KeyEpoch> = gone.iter().filter_map(|one| KeyEpoch::new(one.key_epoch)).collect();
        let mut unused = BTreeSet::new();
        for epoch in epochs {
            let over = Hour::from_count(epoch.hour().count().saturating_add(1)).start().plus(SETTLED) < now;
            if over && !catalogue.uses_key(epoch.raw()) && self.index.count_of_key(epoch.raw()).await? == 0 {
                unused.insert(epoch);
            }
        }
        if unused.is_empty() {
            return Ok(());
        }
        let until = unused.last().map_or(Hour::of(now), |last| Hour::from_count(last.hour().count().saturating_add(1)));
        let vault = Arc::clone(&self.vault);
        let live = blocking(move || Ok(vault.with(|ring| Ok(ring.hours_before(until)))?)).await?;
        let planned: Vec<PlannedKey> = live
            .iter()
            .filter(|(epoch, _)| unused.contains(epoch))
            .filter_map(|(epoch, name)| PlannedKey::of(*epoch, name))
            .collect();
        if !planned.is_empty() {
            let batch = self.log.plan(Reason::Space, planned, now)?;
            self.destroy(batch, unused, Reason::Space, now).await?;
        }
        Ok(())
    }

    /// Marks, unlinks, and marks as gone; gives back what surely is.
    async fn erase(&self, batch: &[Located], now: WallTime, early: bool) -> Result<Vec<Located>, SweepError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.index.mark_erasing(batch).await?;
        let (root, items) = (self.root.clone(), batch.to_vec());
        let gone = tokio::task::spawn_blocking(move || unlink(&root, items)).await.unwrap_or_default();
        // Before the mark: a crash in between does it again.
        self.tiers.erased(&gone).await;
        self.index.mark_erased(&gone, now, early).await?;
        Ok(gone)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SweepError> + Send + 'static,
) -> Result<T, SweepError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(SweepError::Log(std::io::Error::other("the sweep was broken off"))))
}
