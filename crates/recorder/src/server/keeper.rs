//! Background work: idle fragments, the index, the ballast, the sweeper. Periodic, without input, idempotent.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use vms_core::{MonoTime, SegmentId};

use super::board::{self, Alarm};
use super::room::Room;
use super::{RecorderConfig, RecorderError, Shared, lock};
use crate::catalogue::Batch;
use crate::deletions::Step;
use crate::disk::volume::free_bytes;
use crate::gated::Decisions;
use crate::index::{Index, IndexError, Located};
use crate::ports::Clock;
use crate::reseal::{self, ResealError};
use crate::sweep::{Sweep, SweepError, Terms};
use crate::vault::{Curtain, Vault};
use crate::{holds, recover};

/// Between looks at held fragments and at the disk's threads.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// The alarm of a disk that does not answer stays up for so long after it did again: five seconds, microseconds.
const STOOD_US: u64 = 5_000_000;

/// Between two looks at the disk.
const ROOM_EVERY: Duration = Duration::from_secs(5);
/// The first comparison of keys, rows and files comes so long after the start, the others so far apart.
const RECONCILE_AFTER: Duration = Duration::from_mins(10);
const RECONCILE_EVERY: Duration = Duration::from_hours(24);

/// Between two rounds of sealing what lies in clear.
const RESEAL_EVERY: Duration = Duration::from_secs(1);
/// Rows of one round.
const RESEAL_ROWS: u32 = 32;
/// The log hears after so many segments, and at the end.
const SAY_EVERY: u64 = 500;

fn ballast_path(config: &RecorderConfig) -> PathBuf {
    config.dir.join("ballast")
}

/// Free space below which nothing more is recorded: a quarter of the ballast, room for the index to go on.
pub(super) const fn reserve_bytes(config: &RecorderConfig) -> u64 {
    config.ballast_bytes / 4
}

/// Makes the ballast file where there is room for it: space that is given to the index when the disk is full.
pub(super) fn make_ballast(config: &RecorderConfig) {
    let path = ballast_path(config);
    let has = std::fs::metadata(&path).map_or(0, |found| found.len()) == config.ballast_bytes;
    let room = free_bytes(&config.dir).is_some_and(|free| free > config.ballast_bytes.saturating_mul(2));
    if has || !room || config.ballast_bytes == 0 {
        return;
    }
    let made = std::fs::File::create(&path).and_then(|file| {
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, config.ballast_bytes)?;
        file.sync_all()
    });
    if let Err(error) = made {
        tracing::warn!(%error, "no ballast could be laid in");
        std::fs::remove_file(&path).ok();
    }
}

/// Opens the index; a damaged one is set aside and made anew, since the media can rebuild it.
pub(super) async fn open_index(config: &RecorderConfig) -> Result<Index, RecorderError> {
    let path = config.dir.join("index.db");
    match Index::open(&path).await {
        Ok(index) => Ok(index),
        Err(IndexError::Sql(error)) if is_damage(&error) => {
            tracing::error!(%error, "the index is damaged: it is rebuilt from the media");
            set_aside(&path)?;
            Ok(Index::open(&path).await?)
        }
        Err(error) => Err(error.into()),
    }
}

fn is_damage(error: &sqlx::Error) -> bool {
    // SQLITE_CORRUPT is 11, SQLITE_NOTADB is 26; finer codes have more bits above.
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

fn set_aside(path: &Path) -> std::io::Result<()> {
    for extension in ["db-wal", "db-shm"] {
        std::fs::remove_file(path.with_extension(extension)).ok();
    }
    std::fs::rename(path, path.with_extension("damaged"))
}

/// Opens the key store. A new one is made only where nothing was ever sealed.
pub(super) async fn open_vault(
    config: &RecorderConfig,
    index: &Index,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Vault>, RecorderError> {
    let known = index.has_sealed().await?;
    let (keys, dir, media, clock) = (config.keys.clone(), config.dir.clone(), config.media(), Arc::clone(clock));
    let opening = tokio::task::spawn_blocking(move || {
        let is_new = !known && !recover::has_sealed(&media)?;
        let vault = Vault::open(keys, &dir, is_new, clock);
        vault.decide(Decisions::load(&dir.join(crate::gated::FILE))?);
        Ok::<_, std::io::Error>(vault)
    });
    let vault = opening.await.map_err(|_| std::io::Error::other("the key store was not opened"))??;
    Ok(Arc::new(vault))
}

/// Looks after held fragments and at whether the disk answers. Never waits for a disk itself.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut looks = tokio::time::interval(WATCH_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stood_at = None;
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            _ = looks.tick() => {}
        }
        let (mono, wall) = (shared.clock.mono(), shared.clock.wall());
        for hub in shared.all_hubs() {
            hub.tend(mono, wall);
        }
        if shared.disk.stands() {
            stood_at = Some(mono);
        }
        let stands = stood_at.is_some_and(|at| mono.micros.saturating_sub(at.micros) < STOOD_US);
        lock(&shared.board).set(Alarm::DiskStands, stands);
    }
}

/// Flushes the index.
pub(super) async fn tend(shared: Arc<Shared>) {
    let mut flush = tokio::time::interval(shared.config.index_every);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            _ = flush.tick() => flush_index(&shared).await,
        }
    }
}

/// How the index does: it can be written, or since when not.
#[derive(Debug, Default)]
pub(crate) struct IndexHealth {
    /// It took something since this process began.
    has_worked: bool,
    failing_since: Option<MonoTime>,
    /// The same of reading: after a failing disk it may take writes and answer nothing.
    unread_since: Option<MonoTime>,
}

/// An index that worked and then takes nothing for so long is opened anew, by a new process.
const INDEX_STUCK_US: u64 = 30_000_000;

impl IndexHealth {
    fn worked(&mut self) {
        (self.has_worked, self.failing_since) = (true, None);
    }

    /// Somebody was answered from it.
    pub(super) fn answered(&mut self) {
        (self.has_worked, self.unread_since) = (true, None);
    }

    /// Somebody was not.
    pub(super) fn silent(&mut self, now: MonoTime) {
        self.unread_since.get_or_insert(now);
    }

    fn failed(&mut self, now: MonoTime) {
        self.failing_since.get_or_insert(now);
    }

    /// Whether a new start is called for. After a failing disk SQLite may refuse everything until its files are opened anew, or made anew from
    /// the media. An index that never worked in this process is no reason: on a disk that is gone, starts would follow starts.
    pub(super) fn is_stuck(&self, now: MonoTime) -> bool {
        let since = |at: Option<MonoTime>| at.map_or(0, |at| now.micros.saturating_sub(at.micros));
        self.has_worked && since(self.failing_since).max(since(self.unread_since)) >= INDEX_STUCK_US
    }
}

/// Writes what the index has not seen. Recording goes on when it fails: it is tried again with the next flush.
pub(super) async fn flush_index(shared: &Shared) {
    let batch = shared.catalogue.take();
    if batch.segments.is_empty() && batch.gaps.is_empty() {
        return;
    }
    match shared.index.flush(&batch, shared.clock.wall()).await {
        Ok(()) => {
            lock(&shared.index_health).worked();
            shared.catalogue.flushed(&batch);
            shared.tiers.note(&batch.segments);
            if !ballast_path(&shared.config).exists() {
                make_ballast(&shared.config);
            }
        }
        Err(error) => {
            shared.catalogue.restore(batch);
            // On a full or read-only volume a new start would change nothing.
            if !error.is_full() {
                lock(&shared.index_health).failed(shared.clock.mono());
            }
            metrics::counter!("recorder_index_errors_total").increment(1);
            tracing::error!(error = %error.in_full(), "the index could not be written");
            if error.is_full() && std::fs::remove_file(ballast_path(&shared.config)).is_ok() {
                tracing::error!("the disk is full: the ballast was given to the index");
            }
        }
    }
}

/// Terms in force by the assignment.
pub(super) fn terms(shared: &Shared) -> Terms {
    Terms::of_assignment(&lock(&shared.kept).assignment)
}

/// What the sweeping task starts with.
pub(super) struct SweepWork {
    pub(super) sweep: Sweep,
    /// Files that a crash cut and whose key could not be had at the start.
    pub(super) waiting: Vec<PathBuf>,
}

/// The sweeper, and in its pauses the sealing of what lies in clear: one task, so that no file is erased and sealed at a time.
pub(super) async fn sweep(shared: Arc<Shared>, work: SweepWork) {
    let SweepWork { mut sweep, mut waiting } = work;
    let mut room = Room::default();
    let mut tick = tokio::time::interval(shared.config.sweep_every);
    let mut look = tokio::time::interval(ROOM_EVERY);
    let mut compare = tokio::time::interval_at(tokio::time::Instant::now() + RECONCILE_AFTER, RECONCILE_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    compare.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pause = tokio::time::interval(RESEAL_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sealing = Sealing::default();
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            _ = tick.tick() => {
                // Holds come first, in the same task: nothing is destroyed between a hold that is known and its keys.
                if hold(&shared).await {
                    sweep_once(&shared, &mut sweep).await;
                }
                room.count(&shared).await;
            }
            _ = look.tick() => if shared.vault.is_configured() {
                board::look_at_gate(&shared).await;
                // Nothing that a hold wants may go for room before the hold is carried out.
                let is_known = {
                    let holds = lock(&shared.holds);
                    !holds.is_lost() && !holds.is_due()
                };
                let spared = lock(&shared.board).room.spares;
                room.tend(&shared, &mut sweep, is_known).await;
                if lock(&shared.board).room.spares != spared {
                    shared.apply();
                }
            },
            _ = compare.tick() => board::reconcile(&shared, &mut sweep).await,
            _ = pause.tick() => {
                if lock(&shared.holds).is_due() {
                    hold(&shared).await;
                }
                if !sealing.is_done {
                    sealing.go_on(&shared).await;
                }
                if !waiting.is_empty() {
                    waiting = take_in(&shared, waiting).await;
                }
            }
        }
    }
}

/// Carries out the holds. False when that could not be done: then nothing may be destroyed either.
async fn hold(shared: &Shared) -> bool {
    if lock(&shared.holds).is_lost() {
        metrics::gauge!("recorder_sweep_held").set(1.0);
        return false;
    }
    flush_index(shared).await;
    let (specs, number) = lock(&shared.holds).specs();
    match holds::carry_out(&specs, &shared.index, &shared.vault, shared.clock.wall()).await {
        Ok(rows) => {
            lock(&shared.holds).carried_out(number, rows);
            true
        }
        Err(error) => {
            tracing::error!(%error, "holds cannot be carried out: the sweeper waits for them");
            false
        }
    }
}

async fn take_in(shared: &Shared, waiting: Vec<PathBuf>) -> Vec<PathBuf> {
    let (media, now) = (shared.config.media(), shared.clock.wall());
    let vault = Arc::clone(&shared.vault);
    let is_back = tokio::task::spawn_blocking(move || vault.with(|ring| Ok(ring.is_whole())).unwrap_or(false)).await;
    if !is_back.unwrap_or(false) {
        return waiting;
    }
    // What still does not open then never will, or not before the next start.
    match recover::retry(&media, &shared.index, &shared.vault, waiting, now).await {
        Ok(left) => {
            if !left.is_empty() {
                tracing::warn!(files = left.len(), "files that a crash cut have no key: they are left alone");
            }
        }
        Err(error) => tracing::error!(%error, "files that a crash cut could not be taken in"),
    }
    Vec::new()
}

async fn sweep_once(shared: &Arc<Shared>, sweep: &mut Sweep) {
    let (look, terms) = (shared.trust.look(), terms(shared));
    shared.vault.draw(Curtain { terms: terms.clone(), cut: look.cut });
    board::note_clock(shared, &look);
    let now = match look.now {
        Ok(now) => now,
        Err(held) => {
            let hours = look.without_for.as_secs() / 3_600;
            tracing::error!(
                ?held,
                hours,
                off_s = look.off_us / 1_000_000,
                "nothing is destroyed: the wall clock cannot be trusted"
            );
            return;
        }
    };
    if let Some(given) = shared.trust.approved()
        && let Err(error) = sweep.note(Step::ClockApproved(given), now)
    {
        tracing::error!(%error, "an approval of the clock is not in the records");
    }
    let keys = sweep.expire_keys(&terms, now).await;
    lock(&shared.board).set(Alarm::GateWaits, shared.vault.gate_waiting() > 0);
    // What waits for two people keeps its files as well.
    let waits = matches!(keys, Err(SweepError::Unusual { .. } | SweepError::DecisionsLost));
    match keys {
        Ok(0) => {}
        Ok(keys) => tracing::info!(keys, "hour keys past their term were destroyed, with their files"),
        Err(error) => tracing::error!(%error, "the sweeper could not destroy keys that are past their term"),
    }
    let erased = if waits { Ok(0) } else { sweep.expire(&terms, now).await };
    let waits = waits || matches!(erased, Err(SweepError::Unusual { .. }));
    lock(&shared.board).set(Alarm::BatchWaits, waits);
    match erased {
        Ok(erased) => metrics::counter!("recorder_erased_expired_total").increment(erased),
        Err(error) => tracing::error!(%error, "the sweeper could not erase what is past its term"),
    }
    let carried = lock(&shared.board).carried;
    if let Err(error) = sweep.forget_erased(carried, now).await {
        tracing::error!(%error, "rows of erased segments could not be dropped from the index");
    }
}

/// Seals what earlier versions left in clear, at a bounded rate, the newest first: it would stay the longest.
#[derive(Debug, Default)]
struct Sealing {
    is_done: bool,
    sealed: u64,
    /// Files that cannot be sealed; they stay until their term ends.
    left: HashSet<SegmentId>,
    said: u64,
}

impl Sealing {
    async fn go_on(&mut self, shared: &Arc<Shared>) {
        if !shared.vault.is_configured() {
            self.is_done = true;
            return;
        }
        let mut budget = shared.config.reseal_bytes_per_s;
        let limit = u32::try_from(self.left.len()).unwrap_or(u32::MAX).saturating_add(RESEAL_ROWS);
        let found = match shared.index.clear(limit).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "clear segments could not be listed");
                return;
            }
        };
        let rows: Vec<Located> = found.into_iter().filter(|row| !self.left.contains(&row.segment)).collect();
        if rows.is_empty() {
            self.is_done = true;
            self.say(shared, true).await;
            return;
        }
        for row in rows {
            if budget == 0 || shared.shutdown.is_cancelled() {
                break;
            }
            budget = budget.saturating_sub(row.file_len.max(1));
            if !self.one(shared, &row).await {
                return;
            }
        }
        self.say(shared, false).await;
    }

    /// False when nothing can be sealed now.
    async fn one(&mut self, shared: &Arc<Shared>, row: &Located) -> bool {
        let (root, relative, vault) = (shared.config.media(), PathBuf::from(&row.path), Arc::clone(&shared.vault));
        let now = shared.clock.wall();
        let work = move || reseal::reseal(&root, &relative, &vault, now);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(state)) => {
                let batch = Batch { segments: vec![state], gaps: Vec::new() };
                if let Err(error) = shared.index.flush(&batch, now).await {
                    tracing::error!(%error, "a sealed segment is not in the index yet");
                    return false;
                }
                shared.tiers.note(&batch.segments);
                self.sealed += 1;
                metrics::counter!("recorder_resealed_total").increment(1);
                true
            }
            // Not this file's fault.
            Ok(Err(ResealError::Keys(_))) | Err(_) => false,
            Ok(Err(ResealError::Disk(error))) if error.kind() == std::io::ErrorKind::StorageFull => false,
            Ok(Err(error)) => {
                tracing::error!(segment = %row.segment, %error, "a clear segment cannot be sealed: it goes at the end of its term");
                self.left.insert(row.segment);
                true
            }
        }
    }

    async fn say(&mut self, shared: &Arc<Shared>, is_end: bool) {
        if self.sealed == 0 && self.left.is_empty() {
            return;
        }
        if !is_end && self.sealed < self.said.saturating_add(SAY_EVERY) {
            return;
        }
        self.said = self.sealed;
        let clear = shared.index.count_clear().await.unwrap_or(0);
        metrics::gauge!("recorder_clear_segments").set(f64::from(u32::try_from(clear).unwrap_or(u32::MAX)));
        tracing::info!(sealed = self.sealed, clear, "segments of earlier versions are being sealed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_worked_and_fails_for_half_a_minute_is_stuck() {
        let at = |seconds: u64| MonoTime { micros: seconds * 1_000_000 };
        let mut health = IndexHealth::default();
        health.failed(at(0));
        assert!(!health.is_stuck(at(3_600)), "it never worked here: a new start would not help");
        health.worked();
        assert!(!health.is_stuck(at(3_600)));
        health.failed(at(3_600));
        health.failed(at(3_620));
        assert!(!health.is_stuck(at(3_629)));
        assert!(health.is_stuck(at(3_630)), "since the first failure, not the last");
        health.worked();
        assert!(!health.is_stuck(at(4_000)), "it is over");
    }

    #[test]
    fn an_index_that_takes_writes_and_answers_nobody_is_stuck_too() {
        let at = |seconds: u64| MonoTime { micros: seconds * 1_000_000 };
        let mut health = IndexHealth::default();
        health.silent(at(0));
        assert!(!health.is_stuck(at(3_600)), "it never worked here");
        health.worked();
        assert!(health.is_stuck(at(3_600)), "a write that works does not answer anybody");
        health.answered();
        assert!(!health.is_stuck(at(3_600)));
        health.silent(at(3_600));
        health.silent(at(3_625));
        assert!(!health.is_stuck(at(3_629)));
        assert!(health.is_stuck(at(3_630)));
        health.answered();
        assert!(!health.is_stuck(at(4_000)));
    }
}
