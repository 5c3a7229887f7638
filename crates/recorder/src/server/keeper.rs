//! Background work: idle fragments, the index, the ballast, the sweeper. Periodic, without input, idempotent.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use vms_core::StreamId;

use super::{RecorderConfig, RecorderError, Shared, lock};
use crate::disk::writer::free_bytes;
use crate::index::{Index, IndexError};
use crate::sweep::{self, ClockGuard};

/// Between looks at held fragments.
const TEND_EVERY: Duration = Duration::from_millis(500);

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
    // SQLITE_CORRUPT is 11, SQLITE_NOTADB is 26.
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "11" || code == "26")
}

fn set_aside(path: &Path) -> std::io::Result<()> {
    for extension in ["db-wal", "db-shm"] {
        std::fs::remove_file(path.with_extension(extension)).ok();
    }
    std::fs::rename(path, path.with_extension("damaged"))
}

/// Tends every stream and flushes the index.
pub(super) async fn tend(shared: Arc<Shared>) {
    let mut look = tokio::time::interval(TEND_EVERY);
    let mut flush = tokio::time::interval(shared.config.index_every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            _ = look.tick() => {
                let (mono, wall) = (shared.clock.mono(), shared.clock.wall());
                for hub in shared.all_hubs() {
                    hub.tend(mono, wall);
                }
            }
            _ = flush.tick() => flush_index(&shared).await,
        }
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
            shared.catalogue.flushed(&batch);
            if !ballast_path(&shared.config).exists() {
                make_ballast(&shared.config);
            }
        }
        Err(error) => {
            shared.catalogue.restore(batch);
            metrics::counter!("recorder_index_errors_total").increment(1);
            tracing::error!(%error, "the index could not be written");
            if error.is_full() && std::fs::remove_file(ballast_path(&shared.config)).is_ok() {
                tracing::error!("the disk is full: the ballast was given to the index");
            }
        }
    }
}

/// Terms in force by stream and class, seconds.
fn terms(shared: &Shared) -> HashMap<(StreamId, String), u64> {
    let kept = lock(&shared.kept);
    let of = |spec: &link::StreamSpec| Some(((spec.stream.parse().ok()?, spec.retention_class.clone()), spec.keep_s));
    kept.assignment.streams.iter().filter_map(of).collect()
}

/// The sweeper.
pub(super) async fn sweep(shared: Arc<Shared>) {
    let mut guard = ClockGuard::default();
    let mut tick = tokio::time::interval(shared.config.sweep_every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        let root = shared.config.media();
        match guard.check(shared.clock.as_ref()) {
            Ok(now) => {
                metrics::gauge!("recorder_sweep_held").set(0.0);
                match sweep::expire(&root, &shared.index, &terms(&shared), now).await {
                    Ok(erased) => metrics::counter!("recorder_erased_expired_total").increment(erased),
                    Err(error) => tracing::error!(%error, "the sweeper could not erase what is past its term"),
                }
            }
            Err(held) => {
                metrics::gauge!("recorder_sweep_held").set(1.0);
                tracing::error!(?held, "the sweeper stands still: the wall clock cannot be trusted");
            }
        }
        // The cap does not ask for the date: it goes by order alone.
        if let Some(cap) = shared.config.disk_cap_bytes {
            let growing = shared.catalogue.unflushed_bytes();
            let now = shared.clock.wall();
            if let Err(error) = sweep::make_room(&root, &shared.index, cap, growing, now).await {
                tracing::error!(%error, "the sweeper could not make room");
            }
        }
    }
}
