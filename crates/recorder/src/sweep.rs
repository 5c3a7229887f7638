//! The first sweeper: erases what is past its term, and the oldest when the disk tier is over its cap.
//!
//! Order of a deletion: mark the row, unlink, fsync the folder, clear the mark and write `erased_us`. A crash in between is
//! finished at the next start. Rows stay: the central catalogue and the audit log copy from them.
//! A file that is still growing is never erased. Nothing is erased by an untrusted clock, nor after a step of the clock.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use vms_core::{MonoTime, StreamId, WallTime};

use crate::index::{Index, IndexError, Located};
use crate::ports::Clock;

/// Segments erased in one go.
const BATCH: u32 = 500;

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

/// What one sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Segments past their term.
    pub expired: u64,
    /// Segments that went early for want of space.
    pub early: u64,
}

/// Term in force of a stream and class, seconds: the assignment's; where it does not name the class for the stream, the one at the
/// time of recording; 0 stands for unknown, which erases nothing.
fn term_s(terms: &HashMap<(StreamId, String), u64>, of: &(StreamId, String, u64)) -> Option<u64> {
    let known = terms.get(&(of.0, of.1.clone())).copied().filter(|keep| *keep > 0);
    known.or(Some(of.2).filter(|keep| *keep > 0))
}

/// Erases what is past its term at trusted wall time `now`.
///
/// # Errors
/// [`IndexError`].
pub async fn expire(
    root: &Path,
    index: &Index,
    terms: &HashMap<(StreamId, String), u64>,
    now: WallTime,
) -> Result<u64, IndexError> {
    let mut erased = 0;
    for of in index.classes().await? {
        let Some(keep_s) = term_s(terms, &of) else { continue };
        let until = now.minus(std::time::Duration::from_secs(keep_s));
        loop {
            let batch = index.ended_before(&of, until, BATCH).await?;
            if batch.is_empty() {
                break;
            }
            let done = erase(root, index, &batch, now, false).await?;
            erased += done;
            if done == 0 {
                break;
            }
        }
    }
    Ok(erased)
}

/// Erases the oldest closed segments until the tier is at or below `cap_bytes`, `growing_bytes` of open files counted in.
/// Each leaves a hole with the cause "disk cap", and a warning.
///
/// # Errors
/// [`IndexError`].
pub async fn make_room(
    root: &Path,
    index: &Index,
    cap_bytes: u64,
    growing_bytes: u64,
    now: WallTime,
) -> Result<u64, IndexError> {
    let mut erased = 0;
    loop {
        let over = index.bytes().await?.saturating_add(growing_bytes).saturating_sub(cap_bytes);
        if over == 0 {
            return Ok(erased);
        }
        let mut freed = 0_u64;
        let mut batch = index.oldest(BATCH).await?;
        batch.retain(|one| {
            let needed = freed < over;
            freed = freed.saturating_add(if needed { one.file_len } else { 0 });
            needed
        });
        let done = erase(root, index, &batch, now, true).await?;
        if done == 0 {
            return Ok(erased);
        }
        erased += done;
        metrics::counter!("recorder_erased_early_total").increment(done);
        tracing::warn!(
            segments = done,
            over,
            "the disk tier is over its cap: the oldest footage was erased before its term"
        );
    }
}

/// Finishes deletions that a crash interrupted.
///
/// # Errors
/// [`IndexError`].
pub async fn finish(root: &Path, index: &Index, now: WallTime) -> Result<u64, IndexError> {
    let half = index.half_erased().await?;
    erase(root, index, &half, now, false).await
}

async fn erase(root: &Path, index: &Index, batch: &[Located], now: WallTime, early: bool) -> Result<u64, IndexError> {
    if batch.is_empty() {
        return Ok(0);
    }
    index.mark_erasing(batch).await?;
    let (root, items) = (root.to_owned(), batch.to_vec());
    let gone = tokio::task::spawn_blocking(move || unlink(&root, items)).await.unwrap_or_default();
    index.mark_erased(&gone, now, early).await?;
    Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
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
