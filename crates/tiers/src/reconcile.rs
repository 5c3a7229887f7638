//! The daily comparison of ledger and stores, and the rebuilding of the ledger from a listing: object names say all it takes.

use std::time::Duration;

use futures_util::StreamExt as _;
use object_store::ObjectMeta;
use vms_core::{SegmentId, WallTime};

use crate::alarm::{Alarm, NAMED_MAX};
use crate::lane::{Lane, chain, locked};
use crate::ledger::Remote;
use crate::mover::{Mover, PassError};
use crate::name::ObjectName;
use crate::tier::TierError;

/// Objects looked up in the ledger at once.
const PAGE: usize = 500;
/// Most ids in a result; beyond it only counted.
const IDS_MAX: usize = 10_000;
/// Unfinished uploads older than this are ended; a live one takes minutes.
const UNFINISHED_AFTER: Duration = Duration::from_secs(6 * 3_600);
/// A deleted row is remembered this long, so that a late answer or a listing that hid the object is recognised.
const REMEMBER: Duration = Duration::from_secs(7 * 86_400);

/// An object that should not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Its key in the store.
    pub key: String,
    /// Bytes.
    pub len: u64,
}

/// What the comparison found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// Objects listed.
    pub listed: u64,
    /// Their term has ended and no hold covers them: the sweeper should have deleted them. At most 10,000; call again after deleting.
    pub outlived: Vec<SegmentId>,
    /// Were deleted and are there again; owed, and deleted by the next pass.
    pub deleted_yet_there: Vec<SegmentId>,
    /// Should be there and are not, or have another length. At most 10,000. Those with a local copy go up again.
    pub missing: Vec<SegmentId>,
    /// How many of the missing have no local copy.
    pub lost: u64,
    /// There, but the listing left them out.
    pub unlisted: u64,
    /// Were not in the ledger and are now.
    pub adopted: u64,
    /// Below the recorder's folder, but not by a name or content that the ledger knows. At most 10,000; nothing is done to them.
    pub strays: Vec<Stray>,
    /// Unfinished uploads that were ended.
    pub ended_uploads: u64,
    /// Tiers that did not answer to the end; nothing was concluded from what they left out.
    pub incomplete: Vec<String>,
}

/// What a rebuilding found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// Rows made from names.
    pub rows: u64,
    /// Segments on the local disk that were noted.
    pub local: u64,
    /// The comparison that made them.
    pub reconciled: Reconciled,
}

impl Mover {
    /// Makes the ledger anew from the local disk and the stores: open it on an empty file and call this before the first pass.
    ///
    /// # Errors
    /// [`PassError`].
    pub async fn rebuild(&self) -> Result<Rebuilt, PassError> {
        let local = self.scan().await?;
        let reconciled = self.reconcile().await?;
        Ok(Rebuilt { rows: reconciled.adopted, local, reconciled })
    }

    /// Lists each tier and compares. Memory: one page, and at most 10,000 ids a kind.
    ///
    /// # Errors
    /// [`PassError`].
    pub async fn reconcile(&self) -> Result<Reconciled, PassError> {
        let mut found = Reconciled::default();
        for lane in self.lanes.values() {
            self.reconcile_lane(lane, &mut found).await?;
        }
        let mut alarms = Vec::new();
        if !found.missing.is_empty() {
            alarms.push(Alarm::LostInStore {
                segments: found.missing.iter().take(NAMED_MAX).copied().collect(),
                count: u64::try_from(found.missing.len()).unwrap_or(u64::MAX),
                without_local: found.lost,
            });
        }
        let outlived = found.outlived.len() + found.deleted_yet_there.len();
        if outlived > 0 {
            alarms.push(Alarm::Outlived { count: u64::try_from(outlived).unwrap_or(u64::MAX) });
        }
        *locked(&self.standing_alarms) = alarms;
        Ok(found)
    }

    async fn reconcile_lane(&self, lane: &Lane, found: &mut Reconciled) -> Result<(), PassError> {
        let start = self.clock.wall();
        let round = self.next_round(start);
        let listing = match lane.tier.list(&self.recorder) {
            Ok(listing) => listing,
            Err(error) => return self.incomplete(lane, found, &error),
        };
        let mut pages = listing.ready_chunks(PAGE);
        while let Some(page) = pages.next().await {
            let mut objects = Vec::with_capacity(page.len());
            let mut failure = None;
            for one in page {
                match one {
                    Ok(meta) => objects.push(meta),
                    Err(error) => failure = Some(error),
                }
            }
            self.see(lane, &objects, (round, start), found).await?;
            if let Some(error) = failure {
                return self.incomplete(lane, found, &error);
            }
        }
        match self.look_for_unseen(lane, start, round, found).await? {
            Ok(()) => {}
            Err(error) => return self.incomplete(lane, found, &error),
        }
        self.ledger.forget_erased(lane.tier.name(), round, start.minus(REMEMBER)).await?;
        let before =
            jiff::Timestamp::from_microsecond(start.minus(UNFINISHED_AFTER).micros).unwrap_or(jiff::Timestamp::MIN);
        match lane.tier.clean_unfinished(&self.recorder, before).await {
            Ok(count) => found.ended_uploads += count,
            // Not every store has the call; those uploads that the ledger knows are ended by it.
            Err(error) => {
                tracing::info!(tier = %lane.tier.name(), error = chain(&error), "unfinished uploads cannot be listed")
            }
        }
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "ends a function that fails elsewhere")]
    fn incomplete(&self, lane: &Lane, found: &mut Reconciled, error: &TierError) -> Result<(), PassError> {
        let tier = lane.tier.name();
        let error = chain(error);
        lane.failed(self.clock.wall(), false, &error);
        tracing::warn!(%tier, error, "a store could not be compared to the end; nothing was concluded");
        found.incomplete.push(tier.to_string());
        Ok(())
    }

    async fn see(
        &self,
        lane: &Lane,
        objects: &[ObjectMeta],
        round: (i64, WallTime),
        found: &mut Reconciled,
    ) -> Result<(), PassError> {
        let mut named: Vec<(ObjectName, &ObjectMeta)> = Vec::new();
        for meta in objects {
            found.listed += 1;
            match lane.tier.name_of(&meta.location).filter(|name| name.recorder == self.recorder) {
                Some(name) => named.push((name, meta)),
                None => stray(found, meta),
            }
        }
        let ids: Vec<SegmentId> = named.iter().map(|(name, _)| name.facts.segment).collect();
        let facts: Vec<_> = named.iter().map(|(name, _)| name.facts.clone()).collect();
        let rows = self.ledger.see(&ids, round.0, round.1).await?;
        let standing = self.local.standing(&facts).await?;
        let now = self.clock.wall();
        for (((name, meta), row), standing) in named.iter().zip(rows).zip(standing) {
            let segment = name.facts.segment;
            let is_right = meta.size == name.facts.len;
            let is_ended = !standing.held && standing.expires_at.is_some_and(|end| end <= now);
            match row {
                Some((row, _)) if row.digest.is_some_and(|digest| digest != name.digest) => stray(found, meta),
                Some((row, is_back)) if row.remote == Remote::Erased => {
                    if is_back {
                        push(&mut found.deleted_yet_there, segment);
                    }
                }
                Some((row, _)) if !is_right && row.remote == Remote::Stored => {
                    self.ledger.doubt(segment).await?;
                    found.lost += u64::from(!row.is_local);
                    push(&mut found.missing, segment);
                }
                Some(_) | None if !is_right => stray(found, meta),
                Some((row, _)) => {
                    // Noted only, or doubted and there again.
                    if row.remote != Remote::Stored {
                        self.ledger.adopt(name, lane.tier.name()).await?;
                    }
                    if is_ended {
                        push(&mut found.outlived, segment);
                    }
                }
                None => {
                    found.adopted += u64::from(self.ledger.adopt(name, lane.tier.name()).await?);
                    self.ledger.see(&[segment], round.0, round.1).await?;
                    if is_ended {
                        push(&mut found.outlived, segment);
                    }
                }
            }
        }
        Ok(())
    }

    /// What the listing did not show is asked for by name before it counts as missing: a listing may be cut, or old.
    async fn look_for_unseen(
        &self,
        lane: &Lane,
        start: WallTime,
        round: i64,
        found: &mut Reconciled,
    ) -> Result<Result<(), TierError>, PassError> {
        let mut after = String::new();
        loop {
            let rows = self.ledger.unseen(lane.tier.name(), round, start, &after, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(Ok(())) };
            after = last.facts.segment.to_string();
            for row in &rows {
                let segment = row.facts.segment;
                let Some(name) = row.name(&self.recorder) else { continue };
                let there = async { lane.tier.has(&lane.tier.key(&name)?, row.facts.len).await };
                match there.await {
                    Ok(true) => found.unlisted += 1,
                    Ok(false) => {
                        self.ledger.doubt(segment).await?;
                        found.lost += u64::from(!row.is_local);
                        push(&mut found.missing, segment);
                    }
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
    }
}

fn stray(found: &mut Reconciled, meta: &ObjectMeta) {
    if found.strays.len() < IDS_MAX {
        found.strays.push(Stray { key: meta.location.to_string(), len: meta.size });
    }
}

fn push(ids: &mut Vec<SegmentId>, segment: SegmentId) {
    if ids.len() < IDS_MAX {
        ids.push(segment);
    }
}
