//! What the log of uses must hold of the index: segments that grow no more, with the end of their term, and gaps.

use link::message::GapRow;
use link::message::records::ToldSegment;
use sqlx::Row as _;

use super::{Index, IndexError, gap_row, int, uint};

impl Index {
    /// Closed or erased segments and gaps changed after `after`, by change, at most `limit` of each; and the next cursor.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn told_since(&self, after: u64, limit: u32) -> Result<(Vec<ToldSegment>, Vec<GapRow>, u64), IndexError> {
        let rows = sqlx::query(
            "select * from segment where change > $1 and (closing_at is not null or erased_us is not null)
             order by change limit $2",
        )
        .bind(int(after))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        let mut segments = rows
            .iter()
            .map(|row| Ok((uint(row.try_get("change")?), segment(row)?)))
            .collect::<Result<Vec<_>, IndexError>>()?;
        let rows = sqlx::query("select * from gap where change > $1 order by change limit $2")
            .bind(int(after))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        let mut gaps = rows.iter().map(gap_row).collect::<Result<Vec<_>, _>>()?;
        // Where one kind was cut off, the cursor must not pass its last row.
        let full = usize::try_from(limit).unwrap_or(usize::MAX);
        let last = segments.last().map(|(change, _)| *change);
        let last_gap = gaps.last().map(|gap| gap.change);
        let cuts = [last.filter(|_| segments.len() >= full), last_gap.filter(|_| gaps.len() >= full)];
        let cursor = cuts.into_iter().flatten().min().or(last.max(last_gap)).unwrap_or(after);
        segments.retain(|(change, _)| *change <= cursor);
        gaps.retain(|gap| gap.change <= cursor);
        Ok((segments.into_iter().map(|(_, told)| told).collect(), gaps, cursor))
    }
}

fn segment(row: &sqlx::sqlite::SqliteRow) -> Result<ToldSegment, IndexError> {
    let from_us: i64 = row.try_get("from_us")?;
    let keep_s: i64 = row.try_get("keep_s")?;
    Ok(ToldSegment {
        segment: row.try_get("segment")?,
        stream: row.try_get("stream")?,
        camera: row.try_get("camera")?,
        from_us,
        to_us: row.try_get("to_us")?,
        delete_by_us: from_us.saturating_add(keep_s.saturating_mul(1_000_000)),
        digest: row.try_get("digest")?,
        erased_us: row.try_get("erased_us")?,
    })
}
