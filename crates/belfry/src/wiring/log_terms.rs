//! The end of the term of the log's details (class RC-LOG of `seed/retention.toml`): text, person and salt go; the leaf and every proof stay.
//!
//! First a leaf names what is forgotten, then it is. Killed in between, the next round names it again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use audit::LeafKind;
use serde_json::json;
use vms_app::UseCases;
use vms_app::gate::{AuditLog as _, LogEntry};
use vms_app::seed::RetentionTable;
use vms_core::{RetentionClass, WallTime};
use vms_store::Store;
use vms_store::details::{forget_details, past_term};
use vms_store::log::Sequencer;

/// Class of the log in the retention table.
const CLASS: &str = "RC-LOG";
/// Leaves that one leaf names.
const PAGE: u32 = 1_000;
/// Pages of one round; more waits for the next.
const PAGES_MAX: u32 = 50;

/// Forgets details past their term.
#[derive(Debug)]
pub(crate) struct Terms {
    cases: Arc<UseCases>,
    store: Arc<Store>,
    log: Sequencer,
    table: RetentionTable,
    class: RetentionClass,
}

/// First instant that is kept; `None` when the table knows no term.
fn kept_from(table: &RetentionTable, class: &RetentionClass, now: WallTime) -> Option<(WallTime, u64)> {
    let seconds = table.keep_s(class, now)?;
    Some((now.minus(Duration::from_secs(seconds)), seconds))
}

impl Terms {
    /// With the table that ships with the program.
    ///
    /// # Errors
    /// The table has no class for the log.
    pub(crate) fn embedded(cases: Arc<UseCases>, store: Arc<Store>, log: Sequencer) -> anyhow::Result<Self> {
        let table = RetentionTable::embedded().context("the retention table")?;
        let class = RetentionClass::parse(CLASS).context("the class of the log")?;
        kept_from(&table, &class, cases.clock().now()).with_context(|| format!("no term for {CLASS}"))?;
        Ok(Self { cases, store, log, table, class })
    }

    /// One round.
    pub(crate) async fn round(&self) -> anyhow::Result<()> {
        let now = self.cases.clock().now();
        let (before, seconds) = kept_from(&self.table, &self.class, now).context("no term for the log")?;
        for _ in 0..PAGES_MAX {
            let leaves = past_term(&self.store, before, PAGE).await?;
            if leaves.is_empty() {
                return Ok(());
            }
            let details = json!({ "leaves": leaves, "class": CLASS, "term_s": seconds, "before_us": before.micros });
            let details = json!({ "operation": "details_forgotten", "actor": null, "details": details });
            let entry = LogEntry { kind: LeafKind::Erase, at: now, decision: None, refers: None, details };
            let by = self.log.append(entry).await.map_err(|error| anyhow::anyhow!(error)).context("writing a leaf")?;
            forget_details(&self.store, &leaves, by).await?;
            tracing::info!(leaves = leaves.len(), leaf = by, "details of the log past their term were forgotten");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_term_of_the_log_is_the_tables() {
        let (table, class) = (RetentionTable::embedded().unwrap(), RetentionClass::parse(CLASS).unwrap());
        let now = WallTime::from_secs(1_795_000_000);
        let (from, seconds) = kept_from(&table, &class, now).unwrap();
        assert_eq!((now.micros_since(from), seconds), (315_360_000_000_000, 315_360_000), "87,600 hours");
    }
}
