//! What the log of uses must hold of this recorder, told to `serve` in pages.

use std::sync::Arc;

use link::Control;
use link::message::records::{DeletionRow, RECORDS_MAX, RecordsAsk, RecordsPage};

use super::admit::Refusal;
use super::{Shared, keeper, lock};
use crate::deletions;

/// Answers a question for records.
pub(super) async fn answer(shared: &Arc<Shared>, ask: RecordsAsk) -> Result<Control, Refusal> {
    let unavailable = |text: String| Refusal::new("unavailable", &text);
    let page = match ask {
        RecordsAsk::Told { after, limit } => {
            keeper::flush_index(shared).await;
            // Every change up to the cursor stands in leaves of the log.
            lock(&shared.board).carried.told = after;
            let told = shared.index.told_since(after, limit.clamp(1, RECORDS_MAX)).await;
            let (segments, gaps, cursor) = told.map_err(|error| unavailable(error.to_string()))?;
            RecordsPage::Told { segments, gaps, cursor }
        }
        RecordsAsk::Deletions { after, limit } => {
            let dir = shared.config.dir.join("deletions");
            let limit = usize::try_from(limit.clamp(1, RECORDS_MAX)).unwrap_or(1);
            let asked_at = shared.clock.wall();
            let read = tokio::task::spawn_blocking(move || deletions::since(&dir, &after, limit)).await;
            let rows = read.map_err(|error| unavailable(error.to_string()))?;
            let rows = rows.map_err(|error| unavailable(error.to_string()))?;
            if rows.is_empty() {
                lock(&shared.board).carried.records = Some(asked_at);
            }
            RecordsPage::Deletions {
                rows: rows.into_iter().map(|(record, line)| DeletionRow { record, line }).collect(),
            }
        }
    };
    Ok(Control::Records(page))
}
