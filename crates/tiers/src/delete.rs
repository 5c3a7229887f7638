//! Deletion in bulk, after the sweeper has destroyed the keys: what is asked is written down first, and owed until the store says it is gone.

use std::collections::BTreeMap;

use vms_core::SegmentId;

use crate::lane::{Lane, chain};
use crate::ledger::Row;
use crate::mover::{Mover, PassError};
use crate::name::Facts;
use crate::plan::TierName;
use crate::tier::DELETE_MAX;

/// What became of each segment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Deleted {
    /// The store says it is gone, or it never was there.
    pub gone: Vec<SegmentId>,
    /// Written down; the store did not confirm yet. Each pass tries again.
    pub owed: Vec<SegmentId>,
    /// Under a hold: not touched.
    pub held: Vec<SegmentId>,
    /// The ledger does not know it; where the ledger was lost, rebuild it first.
    pub unknown: Vec<SegmentId>,
}

impl Mover {
    /// Deletes the objects of these segments, all versions where the bucket keeps versions, up to 1,000 in one request. Idempotent. A segment
    /// whose upload is on its way does not come back.
    ///
    /// # Errors
    /// [`PassError`]; what was written down by then is owed.
    pub async fn delete(&self, segments: &[SegmentId]) -> Result<Deleted, PassError> {
        let mut deleted = Deleted::default();
        for batch in segments.chunks(DELETE_MAX) {
            let rows = self.write_down(batch, &mut deleted).await?;
            let gone = self.delete_rows(&rows).await?;
            let owed = rows.iter().map(|row| row.facts.segment).filter(|segment| !gone.contains(segment));
            deleted.owed.extend(owed);
            deleted.gone.extend(gone);
        }
        Ok(deleted)
    }

    /// As [`Mover::delete`], but asks no store: the debt is written down, and the next pass, which begins at once, pays it.
    ///
    /// # Errors
    /// [`PassError`]; what was written down by then is owed.
    pub async fn owe(&self, segments: &[SegmentId]) -> Result<Deleted, PassError> {
        let mut deleted = Deleted::default();
        for batch in segments.chunks(DELETE_MAX) {
            let rows = self.write_down(batch, &mut deleted).await?;
            deleted.owed.extend(rows.iter().map(|row| row.facts.segment));
        }
        if !deleted.owed.is_empty() {
            self.poke();
        }
        Ok(deleted)
    }

    /// Marks a batch as to be deleted; gives the rows that have an object.
    async fn write_down(&self, batch: &[SegmentId], deleted: &mut Deleted) -> Result<Vec<Row>, PassError> {
        let free = self.without_held(batch, deleted).await?;
        if let Some(cache) = &self.cache {
            cache.forget(&free);
        }
        let mut rows = Vec::new();
        for (segment, found) in free.iter().zip(self.ledger.erasing(&free).await?) {
            match found {
                None => deleted.unknown.push(*segment),
                Some(None) => deleted.gone.push(*segment),
                Some(Some(row)) => rows.push(row),
            }
        }
        Ok(rows)
    }

    /// The last guard of a hold; the sweeper has asked already.
    async fn without_held(&self, batch: &[SegmentId], deleted: &mut Deleted) -> Result<Vec<SegmentId>, PassError> {
        let mut known: Vec<Facts> = Vec::new();
        for segment in batch {
            known.extend(self.ledger.row(*segment).await?.map(|row| row.facts));
        }
        let standing = self.local.standing(&known).await?;
        let is_held = |segment: &SegmentId| {
            let at = known.iter().position(|facts| facts.segment == *segment);
            // No answer for a known one counts as held.
            at.is_some_and(|at| standing.get(at).is_none_or(|standing| standing.held))
        };
        let (held, free): (Vec<SegmentId>, Vec<SegmentId>) = batch.iter().copied().partition(is_held);
        deleted.held.extend(held);
        Ok(free)
    }

    /// Tries what is owed. Gives how many went.
    pub(crate) async fn pay_owed(&self) -> Result<u64, PassError> {
        let mut count = 0;
        loop {
            let rows = self.ledger.owed(DELETE_MAX).await?;
            if rows.is_empty() {
                return Ok(count);
            }
            let gone = self.delete_rows(&rows).await?.len();
            count += u64::try_from(gone).unwrap_or(0);
            if gone == 0 {
                return Ok(count);
            }
        }
    }

    async fn delete_rows(&self, rows: &[Row]) -> Result<Vec<SegmentId>, PassError> {
        let mut by_tier: BTreeMap<&TierName, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            if let Some(tier) = &row.tier {
                by_tier.entry(tier).or_default().push(row);
            }
        }
        let mut all = Vec::new();
        for (tier, rows) in by_tier {
            // A tier that is no longer configured keeps its objects, and the ledger the debt.
            let Some(lane) = self.lanes.get(tier) else { continue };
            let rows: Vec<&Row> = rows.into_iter().take(lane.take()).collect();
            if rows.is_empty() {
                continue;
            }
            match self.delete_in(lane, &rows).await {
                Ok(gone) => {
                    lane.worked();
                    self.ledger.erased(&gone, self.clock.wall()).await?;
                    all.extend(gone);
                }
                Err(error) => {
                    let error = chain(&error);
                    lane.failed(self.clock.wall(), false, &error);
                    tracing::warn!(%tier, error, "objects could not be deleted yet; they are owed");
                }
            }
        }
        metrics::counter!("tiers_deleted_objects_total").increment(u64::try_from(all.len()).unwrap_or(0));
        Ok(all)
    }

    async fn delete_in(&self, lane: &Lane, rows: &[&Row]) -> Result<Vec<SegmentId>, crate::tier::TierError> {
        let mut keys = Vec::new();
        let mut ids = Vec::new();
        for row in rows {
            let Some(name) = row.name(&self.recorder) else { continue };
            let key = lane.tier.key(&name)?;
            if row.upload.is_some() {
                lane.tier.clean(&key, row.upload.as_deref()).await?;
            }
            keys.push(key);
            ids.push(row.facts.segment);
        }
        let gone = lane.tier.delete(&keys).await?;
        Ok(ids.into_iter().zip(gone).filter(|(_, is_gone)| *is_gone).map(|(segment, _)| segment).collect())
    }
}
