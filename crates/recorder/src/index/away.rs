//! What the index says of tiers: which closed segments lie on the local disk, which left it, what is known of segments that a tier has.

use std::str::FromStr as _;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use vms_core::{CameraId, RetentionClass, SegmentId, WallTime};

use super::{Index, IndexError, Located, located, next_change, set_meta, uint, upsert_gap, upsert_segment};
use crate::catalogue::Batch;

/// A segment as the tiers ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwayRow {
    /// Where it lies.
    pub at: Located,
    /// Camera.
    pub camera: CameraId,
    /// Retention class at the time of recording.
    pub class: RetentionClass,
    /// Term at the time of recording, seconds; 0: not known.
    pub keep_s: u64,
    /// When it was erased.
    pub erased_at: Option<WallTime>,
    /// Its erasure was begun.
    pub is_erasing: bool,
}

fn away_row(row: &SqliteRow) -> Result<AwayRow, IndexError> {
    let (camera, class): (String, String) = (row.try_get("camera")?, row.try_get("class")?);
    Ok(AwayRow {
        at: located(row)?,
        camera: CameraId::from_str(&camera).map_err(|_| IndexError::Row)?,
        class: RetentionClass::parse(&class).ok_or(IndexError::Row)?,
        keep_s: uint(row.try_get("keep_s")?),
        erased_at: row.try_get::<Option<i64>, _>("erased_us")?.map(WallTime::from_micros),
        is_erasing: row.try_get::<i64, _>("erasing")? != 0,
    })
}

/// Ids as one parameter of a statement.
fn list(segments: &[SegmentId]) -> String {
    let ids: Vec<String> = segments.iter().map(ToString::to_string).collect();
    serde_json::Value::from(ids).to_string()
}

impl Index {
    /// Closed, sealed segments that lie on the local disk, in the order of their ids, those after `after`.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn on_disk(&self, after: Option<SegmentId>, limit: u32) -> Result<Vec<AwayRow>, IndexError> {
        let rows = sqlx::query(
            "select * from segment where segment > $1 and key_epoch > 0 and closing_at is not null and erased_us is null
              and erasing = 0 and away = 0 order by segment limit $2",
        )
        .bind(after.map(|segment| segment.to_string()).unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(away_row).collect()
    }

    /// The rows of these segments that there are, in any order.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn rows_of(&self, segments: &[SegmentId]) -> Result<Vec<AwayRow>, IndexError> {
        let rows = sqlx::query("select * from segment where segment in (select value from json_each($1))")
            .bind(list(segments))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(away_row).collect()
    }

    /// A closed segment's file is about to leave for a tier. False where it is being erased, was erased or is not known: then
    /// nothing is noted.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn mark_away(&self, segment: SegmentId) -> Result<bool, IndexError> {
        let _one = self.writer.lock().await;
        let done = sqlx::query(
            "update segment set away = 1 where segment = $1 and closing_at is not null and erased_us is null and erasing = 0",
        )
        .bind(segment.to_string())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Puts in segments that only a tier has, with their holes.
    ///
    /// # Errors
    /// [`IndexError`]; nothing of the batch is then in.
    pub async fn take_in_away(&self, batch: &Batch) -> Result<(), IndexError> {
        let _one = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        let mut change = next_change(&mut tx).await?;
        for state in &batch.segments {
            change += 1;
            upsert_segment(&mut tx, state, change).await?;
            sqlx::query("update segment set away = 1 where segment = $1")
                .bind(state.segment.to_string())
                .execute(&mut *tx)
                .await?;
        }
        for gap in &batch.gaps {
            change += 1;
            upsert_gap(&mut tx, gap, change).await?;
        }
        set_meta(&mut tx, "change", change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether everything that only the tiers have was taken in since this index was made.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn has_taken_in_away(&self) -> Result<bool, IndexError> {
        Ok(self.meta("away_taken_in").await? != 0)
    }

    /// Notes it, or that it has to be done again.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn set_taken_in_away(&self, is_done: bool) -> Result<(), IndexError> {
        self.note("away_taken_in", i64::from(is_done)).await
    }

    /// When the tiers were last compared to the end; 0: never.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn reconciled_at(&self) -> Result<WallTime, IndexError> {
        Ok(WallTime::from_micros(self.meta("tiers_reconciled_us").await?))
    }

    /// Notes it.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn set_reconciled_at(&self, at: WallTime) -> Result<(), IndexError> {
        self.note("tiers_reconciled_us", at.micros).await
    }

    async fn note(&self, name: &str, value: i64) -> Result<(), IndexError> {
        let _one = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        set_meta(&mut tx, name, value).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Segments that left for a tier and are not erased, and their bytes.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn count_away(&self) -> Result<(u64, u64), IndexError> {
        let row = sqlx::query(
            "select count(*), coalesce(sum(file_len), 0) from segment where away = 1 and erased_us is null",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((uint(row.try_get(0)?), uint(row.try_get(1)?)))
    }
}
