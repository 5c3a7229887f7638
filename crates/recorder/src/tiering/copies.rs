//! The recorder's disk as the tiers see it: which segments lie there, what law and people say of them, and letting one go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use keys::{Hour, KeyEpoch, KeyName, Scope};
use tiers::{Facts, LocalCopies, PortError, Standing};
use vms_core::{SegmentId, WallTime};

use crate::assignment::Kept;
use crate::holds::HoldBook;
use crate::index::{AwayRow, Index};
use crate::server::lock;
use crate::sweep::{Terms, key_dies_at};
use crate::vault::Vault;

/// The sweeper comes every minute, and waits for trusted time: so long after its term a segment is not yet called outlived.
const LATE: Duration = Duration::from_hours(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Copies {
    /// Media folder.
    pub(crate) media: PathBuf,
    pub(crate) index: Index,
    pub(crate) vault: Arc<Vault>,
    pub(crate) holds: Arc<Mutex<HoldBook>>,
    pub(crate) kept: Arc<Mutex<Kept>>,
}

fn failed(error: &(dyn std::error::Error + Send + Sync)) -> PortError {
    PortError { what: super::chain(error) }
}

fn facts(row: AwayRow) -> Facts {
    Facts {
        segment: row.at.segment,
        camera: row.camera,
        stream: row.at.stream,
        class: row.class,
        epoch: row.at.key_epoch,
        from: row.at.from,
        to: row.at.to,
        len: row.at.file_len,
    }
}

impl Copies {
    async fn row(&self, segment: SegmentId) -> Result<Option<AwayRow>, PortError> {
        let rows = self.index.rows_of(&[segment]).await.map_err(|error| failed(&error))?;
        Ok(rows.into_iter().next())
    }

    /// Whether the keys of each are under a hold, and whether each hour key is gone.
    async fn keys(&self, segments: Vec<(SegmentId, u64)>) -> Result<Vec<(bool, bool)>, PortError> {
        let vault = Arc::clone(&self.vault);
        let asked = tokio::task::spawn_blocking(move || {
            let ask = |(segment, epoch): (SegmentId, u64)| {
                let is_gone = KeyEpoch::new(epoch).is_some_and(|epoch| vault.is_destroyed(epoch));
                (vault.is_held(segment), is_gone)
            };
            segments.into_iter().map(ask).collect()
        });
        asked.await.map_err(|error| failed(&error))
    }

    /// Until when a decision keeps what these keys sealed.
    async fn kept_until(&self, epochs: Vec<u64>) -> Result<Vec<Option<WallTime>>, PortError> {
        let vault = Arc::clone(&self.vault);
        let asked = tokio::task::spawn_blocking(move || {
            let ask = |epoch: u64| KeyEpoch::new(epoch).and_then(|epoch| vault.kept_until(epoch));
            epochs.into_iter().map(ask).collect()
        });
        asked.await.map_err(|error| failed(&error))
    }

    fn is_told_to_hold(&self, facts: &Facts) -> bool {
        lock(&self.holds).covers(facts.camera, facts.from, facts.to)
    }
}

/// End of the term of what is not erased.
fn ends_at(terms: &Terms, facts: &Facts, row: Option<&AwayRow>) -> Option<WallTime> {
    let epoch = KeyEpoch::new(facts.epoch)?;
    let hour = Hour::from_count(epoch.hour().count());
    let name = KeyName { scope: Scope::Camera(facts.camera), class: facts.class.clone(), hour };
    let recorded = row.map(|row| row.keep_s).filter(|keep| *keep > 0);
    let keep = terms.term_of(&name).or(recorded)?;
    let own = facts.to.plus(Duration::from_secs(keep));
    Some(own.min(key_dies_at(hour, keep)).plus(LATE))
}

#[async_trait]
impl LocalCopies for Copies {
    async fn closed(&self, after: Option<SegmentId>, limit: usize) -> Result<Vec<Facts>, PortError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let rows = self.index.on_disk(after, limit).await.map_err(|error| failed(&error))?;
        Ok(rows.into_iter().map(facts).collect())
    }

    async fn path(&self, segment: SegmentId) -> Result<Option<PathBuf>, PortError> {
        let row = self.row(segment).await?;
        let there = row.filter(|row| !row.at.is_away && !row.is_erasing && row.erased_at.is_none());
        Ok(there.map(|row| self.media.join(row.at.path)))
    }

    async fn standing(&self, segments: &[Facts]) -> Result<Vec<Standing>, PortError> {
        let ids: Vec<SegmentId> = segments.iter().map(|facts| facts.segment).collect();
        let rows = self.index.rows_of(&ids).await.map_err(|error| failed(&error))?;
        let rows: BTreeMap<SegmentId, AwayRow> = rows.into_iter().map(|row| (row.at.segment, row)).collect();
        let keys = self.keys(segments.iter().map(|facts| (facts.segment, facts.epoch)).collect()).await?;
        let terms = Terms::of_assignment(&lock(&self.kept).assignment);
        let kept: Vec<Option<WallTime>> = self.kept_until(segments.iter().map(|facts| facts.epoch).collect()).await?;
        let standing = |((facts, (has_hold, is_dead)), kept): ((&Facts, (bool, bool)), Option<WallTime>)| {
            let row = rows.get(&facts.segment);
            let erased_at = row.and_then(|row| row.erased_at).or(is_dead.then_some(WallTime::from_micros(0)));
            // What is erased is not brought back by a hold that came too late.
            let held = has_hold || (erased_at.is_none() && self.is_told_to_hold(facts));
            let until = kept.map(|until| until.plus(LATE));
            Standing { held, expires_at: erased_at.or(until).or_else(|| ends_at(&terms, facts, row)) }
        };
        Ok(segments.iter().zip(keys).zip(kept).map(standing).collect())
    }

    async fn drop_copy(&self, segment: SegmentId) -> Result<bool, PortError> {
        let Some(row) = self.row(segment).await? else { return Ok(false) };
        let relative = row.at.path.clone();
        let facts = facts(row);
        let keys = self.keys(vec![(segment, facts.epoch)]).await?;
        if keys.iter().any(|(has_hold, _)| *has_hold) || self.is_told_to_hold(&facts) {
            return Ok(false);
        }
        // The row first: a crash in between leaves a file too many, which goes with the next try, never a row that promises a file.
        if !self.index.mark_away(segment).await.map_err(|error| failed(&error))? {
            return Ok(false);
        }
        let path = self.media.join(relative);
        let work = tokio::task::spawn_blocking(move || unlink(&path));
        work.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        Ok(true)
    }

    fn free_bytes(&self) -> Option<u64> {
        crate::disk::volume::free_bytes(&self.media)
    }
}

/// Removes a file durably. Success when it is not there.
fn unlink(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let Some(folder) = path.parent() else { return Ok(()) };
    match std::fs::File::open(folder).and_then(|open| open.sync_all()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Succeeds only when empty; a new segment of that hour makes it again.
    std::fs::remove_dir(folder).ok();
    Ok(())
}
