//! What the index says of keys: which segments an hour key sealed, and which are still in clear.

use sqlx::Row as _;
use vms_core::{CameraId, TimeRange};

use super::{Index, IndexError, Located, int, located, uint};

impl Index {
    /// Every closed segment, each with whether it was erased.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn all(&self) -> Result<Vec<(Located, bool)>, IndexError> {
        let rows = sqlx::query("select * from segment where closing_at is not null order by stream, from_us")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok((located(row)?, row.try_get::<Option<i64>, _>("erased_us")?.is_some()))).collect()
    }

    /// Closed segments that an hour key sealed and that are there.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn of_key(&self, key_epoch: u64) -> Result<Vec<Located>, IndexError> {
        let rows = sqlx::query(
            "select * from segment where key_epoch = $1 and erased_us is null and closing_at is not null order by segment",
        )
        .bind(int(key_epoch))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(located).collect()
    }

    /// Sealed segments of a camera that overlap a span and are there, growing ones too; and how many of the span were erased.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn of_span(&self, camera: CameraId, range: TimeRange) -> Result<(Vec<Located>, u64), IndexError> {
        let rows = sqlx::query(
            "select * from segment where camera = $1 and to_us > $2 and from_us < $3 and key_epoch > 0
              and erased_us is null order by from_us",
        )
        .bind(camera.to_string())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .fetch_all(&self.pool)
        .await?;
        let erased = sqlx::query(
            "select count(*) from segment where camera = $1 and to_us > $2 and from_us < $3 and erased_us is not null",
        )
        .bind(camera.to_string())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .fetch_one(&self.pool)
        .await?;
        let found: Result<Vec<Located>, IndexError> = rows.iter().map(located).collect();
        Ok((found?, uint(erased.try_get(0)?)))
    }

    /// How many segments of an hour key are there, growing ones too.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn count_of_key(&self, key_epoch: u64) -> Result<u64, IndexError> {
        let row = sqlx::query("select count(*) from segment where key_epoch = $1 and erased_us is null")
            .bind(int(key_epoch))
            .fetch_one(&self.pool)
            .await?;
        Ok(uint(row.try_get(0)?))
    }

    /// The hour keys of what is there.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn key_epochs(&self) -> Result<Vec<u64>, IndexError> {
        let rows = sqlx::query(
            "select distinct key_epoch from segment where key_epoch > 0 and erased_us is null order by key_epoch",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(uint(row.try_get(0)?))).collect()
    }

    /// Longest term that was in force when something of a camera and class was recorded, seconds; 0 where it is not known.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn recorded_terms(&self) -> Result<Vec<(CameraId, String, u64)>, IndexError> {
        let rows = sqlx::query("select camera, class, max(keep_s) from segment group by camera, class")
            .fetch_all(&self.pool)
            .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let camera = row.try_get::<String, _>(0)?.parse().map_err(|_| IndexError::Row)?;
            Ok((camera, row.try_get(1)?, uint(row.try_get(2)?)))
        };
        rows.iter().map(read).collect()
    }

    /// Closed segments that lie in clear, the newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn clear(&self, limit: u32) -> Result<Vec<Located>, IndexError> {
        let rows = sqlx::query(
            "select * from segment where key_epoch = 0 and erased_us is null and erasing = 0 and closing_at is not null
             order by to_us desc limit $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(located).collect()
    }

    /// How many segments lie in clear.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn count_clear(&self) -> Result<u64, IndexError> {
        self.count_of_key(0).await
    }

    /// Whether anything was ever sealed here.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn has_sealed(&self) -> Result<bool, IndexError> {
        let row = sqlx::query("select 1 from segment where key_epoch > 0 limit 1").fetch_optional(&self.pool).await?;
        Ok(row.is_some())
    }

    /// Loses a row.
    #[cfg(test)]
    pub(crate) async fn forget(&self, segment: &str) -> Result<(), IndexError> {
        sqlx::query("delete from segment where segment = $1").bind(segment).execute(&self.pool).await?;
        Ok(())
    }
}
