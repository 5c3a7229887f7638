//! Files that are past their own term: in clear, or of a term of few hours. And rows of what was erased, once everybody has them.

use std::collections::BTreeSet;
use std::time::Duration;

use keys::Hour;
use vms_core::WallTime;

use super::{BATCH, LOOK_MAX, Sweep, SweepError, Terms, WIDE_ROWS, term_s};

/// The row of an erased segment stays for so long after everybody has it: a central database that comes back from a backup of these days
/// still learns what was erased since.
pub const ROWS_STAY: Duration = Duration::from_hours(7 * 24);

/// Rows dropped in one go, so that nobody waits for the index.
const DROP_ROWS: u32 = 2_000;

/// How far whoever copies this recorder has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// The catalogue has every change up to this one.
    pub index: u64,
    /// The log of uses names every change up to this one.
    pub told: u64,
    /// The log held every deletion record at this time; `None`: it was not seen to.
    pub records: Option<WallTime>,
}

impl Sweep {
    /// Erases the files that are past their own term at trusted wall time `now`: those in clear, and those of a term of few hours.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn expire(&mut self, terms: &Terms, now: WallTime) -> Result<u64, SweepError> {
        let (mut erased, mut is_usual) = (0, false);
        for of in self.index.classes().await? {
            let Some(keep_s) = term_s(&terms.streams, &of) else { continue };
            let until = now.minus(Duration::from_secs(keep_s));
            let mut limit = BATCH;
            loop {
                let found = self.index.ended_before(&of, until, limit).await?;
                let is_all = found.len() < usize::try_from(limit).unwrap_or(usize::MAX);
                let (batch, behind) = self.unkept(found).await?;
                // So many of one stream are eight hours and more: how many, in truth?
                if !is_all && !is_usual && (behind == 0 || !batch.is_empty()) {
                    let (wide, _) = self.unkept(self.index.ended_before(&of, until, WIDE_ROWS).await?).await?;
                    let hours: BTreeSet<Hour> = wide.iter().map(|one| Hour::of(one.from)).collect();
                    let hours = u64::try_from(hours.len()).unwrap_or(u64::MAX);
                    self.admit(hours, hours, Hour::of(until).count(), now)?;
                    is_usual = true;
                }
                let done = self.erase(&batch, now, false).await?.len();
                erased += u64::try_from(done).unwrap_or(0);
                let is_stuck = done == 0 && behind == 0;
                if (done == 0 && is_all) || (is_stuck && limit >= LOOK_MAX) {
                    break;
                }
                // The oldest are all under a hold: look further.
                limit = if is_stuck { limit.saturating_mul(8) } else { BATCH };
            }
        }
        Ok(erased)
    }

    /// Drops rows of what was erased, when the catalogue and the log of uses have them and some days have passed; how many. The newest row
    /// of each stream stays: it says where a recording goes on.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn forget_erased(&self, carried: Carried, now: WallTime) -> Result<u64, SweepError> {
        let Some(records) = carried.records else { return Ok(0) };
        let before = now.minus(ROWS_STAY).min(records);
        let dropped = self.index.drop_erased(carried.index.min(carried.told), before, DROP_ROWS).await?;
        metrics::counter!("recorder_index_rows_dropped_total").increment(dropped);
        Ok(dropped)
    }
}
