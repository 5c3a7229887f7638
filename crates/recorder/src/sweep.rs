//! The sweeper: destroys keys and erases files that are past their term, and the oldest when the disk tier is over its cap.
//!
//! The key of a camera's hour dies at hour start + term − 1 h: from then on nothing of it can be read, whatever copies survive. Then
//! its files go. Order: deletion record "planned", keys, record with the proof, mark the rows, unlink, fsync the folder, clear the
//! mark and write `erased_us`, record of the files. A crash in between is finished at the next start. Rows stay: the central catalogue
//! and the audit log copy from them. A file that is still growing is never erased, nor one under a hold. Nothing is destroyed by an untrusted
//! clock, nor after a step of the clock.
//!
//! Over the cap, files go before their term; the key of an hour goes with the last file that it sealed.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keys::{Hour, KeyEpoch, KeyError, KeyName, Reason, Scope};
use vms_core::{CameraId, MonoTime, StreamId, WallTime};

use crate::catalogue::Catalogue;
use crate::deletions::{DeletionLog, OpenBatch, PlannedKey};
use crate::index::{Index, IndexError, Located};
use crate::ports::Clock;
use crate::vault::Vault;

/// Hour keys destroyed in one batch.
const KEYS_BATCH: usize = 2_000;

/// A term up to this is no longer than some hours: see [`key_dies_at`].
const SHORT_S: u64 = 6 * 3_600;

/// Every so many sweeps, files are looked for whose key is gone.
const FINISH_EVERY: u32 = 60;

/// Hours of keys that may die in one sweep without a second person: one and a half days.
const HOURS_AT_ONCE: usize = 36;

/// A segment that began in an hour has ended so long after the hour, and nothing of the hour begins any more.
const SETTLED: Duration = Duration::from_mins(10);

/// Segments erased in one go.
const BATCH: u32 = 500;
/// The same as a count of rows.
const BATCH_ROWS: usize = 500;
/// Rows looked at for one that is not held, at most.
const LOOK_MAX: u32 = 256_000;

/// A step of the wall clock against the monotonic clock by more than this holds the sweeper (reliability 4.3.6).
const STEP_US_MAX: i64 = 300_000_000;

/// Why the sweeper stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The clock port says so.
    Untrusted,
    /// The wall clock moved against the monotonic clock since the recorder started.
    Stepped,
}

/// Watches the wall clock. A step holds the sweeper until the clock is back or a person restarts the recorder.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockGuard {
    start: Option<(WallTime, MonoTime)>,
}

impl ClockGuard {
    /// `Ok` when the clocks may be used to destroy something.
    ///
    /// # Errors
    /// [`Held`].
    pub fn check(&mut self, clock: &dyn Clock) -> Result<WallTime, Held> {
        if !clock.is_trusted() {
            return Err(Held::Untrusted);
        }
        let (wall, mono) = (clock.wall(), clock.mono());
        let (start_wall, start_mono) = *self.start.get_or_insert((wall, mono));
        let passed_us = i64::try_from(mono.micros.saturating_sub(start_mono.micros)).unwrap_or(i64::MAX);
        let step_us = wall.micros_since(start_wall).saturating_sub(passed_us);
        if step_us.unsigned_abs() > STEP_US_MAX.unsigned_abs() {
            return Err(Held::Stepped);
        }
        // A slow drift (NTP slews by up to 500 ppm) must not add up to a step over weeks.
        self.start = Some((wall, mono));
        Ok(wall)
    }
}

/// Why a sweep broke off. It goes on with the next.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The key store.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// More hours of keys are due at once than one and a half days hold: either the recorder stood for so long, or the clock is wrong.
    /// Nothing is destroyed before two people let it through (`belfry keys approve`).
    #[error("keys of {hours} hours are due at once, up to hour {until_hour}: two people have to approve")]
    Unusual {
        /// How many hours.
        hours: usize,
        /// The last of them, since 1970.
        until_hour: u32,
    },
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
fn term_s(terms: &HashMap<(StreamId, String), u64>, of: &(StreamId, String, u64)) -> Option<u64> {
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

/// The sweeper of one recorder.
#[derive(Debug)]
pub struct Sweep {
    root: PathBuf,
    index: Index,
    vault: Arc<Vault>,
    log: DeletionLog,
    /// Batches whose keys a crash may have left.
    open: Vec<OpenBatch>,
    /// Sweeps since the start.
    swept: u32,
}

impl Sweep {
    /// For the media below `root`; deletion records in `records`.
    ///
    /// # Errors
    /// The records cannot be read.
    pub fn new(root: &Path, records: &Path, index: Index, vault: Arc<Vault>) -> std::io::Result<Self> {
        let (log, open) = DeletionLog::open(records)?;
        Ok(Self { root: root.to_owned(), index, vault, log, open, swept: 0 })
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
        let due = self.due(terms, now).await?;
        let hours: BTreeSet<Hour> = due.iter().map(|(_, name)| name.hour).collect();
        let until_hour = hours.last().map_or(0, |hour| hour.count());
        let waits = hours.len() > HOURS_AT_ONCE && !self.log.take_approval(until_hour, now)?;
        metrics::gauge!("recorder_sweep_batch_waits").set(f64::from(u8::from(waits)));
        if waits {
            return Err(SweepError::Unusual { hours: hours.len(), until_hour });
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
        let mut files = Vec::new();
        for epoch in epochs {
            let found = self.unheld(self.index.of_key(*epoch).await?).await?;
            for part in found.chunks(BATCH_ROWS) {
                let gone = self.erase(part, now, false).await?;
                files.extend(gone.into_iter().map(|one| (one.segment.to_string(), one.digest.unwrap_or_default())));
            }
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

    /// Erases the files that are past their own term at trusted wall time `now`: those in clear, and those of a term of few hours.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn expire(&self, terms: &Terms, now: WallTime) -> Result<u64, SweepError> {
        let mut erased = 0;
        for of in self.index.classes().await? {
            let Some(keep_s) = term_s(&terms.streams, &of) else { continue };
            let until = now.minus(Duration::from_secs(keep_s));
            let mut limit = BATCH;
            loop {
                let found = self.index.ended_before(&of, until, limit).await?;
                let is_all = found.len() < usize::try_from(limit).unwrap_or(usize::MAX);
                let batch = self.unheld(found).await?;
                let done = self.erase(&batch, now, false).await?.len();
                erased += u64::try_from(done).unwrap_or(0);
                if done == 0 && (is_all || limit >= LOOK_MAX) {
                    break;
                }
                // The oldest are all under a hold: look further.
                limit = if done == 0 { limit.saturating_mul(8) } else { BATCH };
            }
        }
        Ok(erased)
    }

    /// Erases the oldest closed segments until the tier is at or below `cap_bytes`, `growing_bytes` of open files counted in.
    /// Each leaves a hole with the cause "disk cap", and a warning. What is held stays.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn make_room(
        &mut self,
        cap_bytes: u64,
        growing_bytes: u64,
        catalogue: &Catalogue,
        now: WallTime,
    ) -> Result<u64, SweepError> {
        let (mut erased, mut limit) = (0, BATCH);
        loop {
            let over = self.index.bytes().await?.saturating_add(growing_bytes).saturating_sub(cap_bytes);
            if over == 0 {
                return Ok(erased);
            }
            let oldest = self.index.oldest(limit).await?;
            let is_all = oldest.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            let mut freed = 0_u64;
            let mut batch = self.unheld(oldest).await?;
            batch.retain(|one| {
                let needed = freed < over;
                freed = freed.saturating_add(if needed { one.file_len } else { 0 });
                needed
            });
            let gone = self.erase(&batch, now, true).await?;
            if gone.is_empty() {
                if is_all || limit >= LOOK_MAX {
                    return Ok(erased);
                }
                // The oldest are all under a hold: look further.
                limit = limit.saturating_mul(8);
                continue;
            }
            let done = u64::try_from(gone.len()).unwrap_or(u64::MAX);
            erased += done;
            metrics::counter!("recorder_erased_early_total").increment(done);
            tracing::warn!(
                segments = done,
                over,
                "the disk tier is over its cap: the oldest footage was erased before its term"
            );
            self.drop_unused(&gone, catalogue, now).await?;
        }
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

/// Unlinks and makes it durable; gives back those that are surely gone.
fn unlink(root: &Path, batch: Vec<Located>) -> Vec<Located> {
    let mut folders: HashMap<std::path::PathBuf, Vec<Located>> = HashMap::new();
    for one in batch {
        let path = root.join(&one.path);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(segment = %one.segment, %error, "a segment could not be erased");
                metrics::counter!("recorder_erase_errors_total").increment(1);
                continue;
            }
        }
        if let Some(folder) = path.parent() {
            folders.entry(folder.to_owned()).or_default().push(one);
        }
    }
    let mut gone = Vec::new();
    for (folder, segments) in folders {
        match File::open(&folder).and_then(|open| open.sync_all()) {
            Ok(()) => gone.extend(segments),
            // The folder itself is not there: nothing in it can be.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => gone.extend(segments),
            Err(error) => tracing::error!(%error, "a folder could not be synced after erasing"),
        }
        // Succeeds only when empty; a new segment of that hour makes it again.
        std::fs::remove_dir(&folder).ok();
    }
    gone
}
