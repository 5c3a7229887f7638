//! What the index says of room on the disk, and of what lies in its folders.

use sqlx::Row as _;
use vms_core::{StreamId, WallTime};

use super::{Index, IndexError, Located, located, uint};

/// Length of `str_…/YYYY-MM-DD/HH/`: the folder of an hour, as `plan::segment_path` makes it.
fn folder_len() -> i64 {
    let path = crate::plan::segment_path(
        StreamId::from_bytes([0; 16]),
        vms_core::SegmentId::from_bytes([0; 16]),
        WallTime::default(),
    );
    let folder = path.parent().map_or(0, |folder| folder.as_os_str().len() + 1);
    i64::try_from(folder).unwrap_or(i64::MAX)
}

impl Index {
    /// The oldest closed segments on the local disk of one class, or of every class that is not in `others`.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn oldest_of(
        &self,
        class: Option<&str>,
        others: &[String],
        limit: u32,
    ) -> Result<Vec<Located>, IndexError> {
        let rows = match class {
            Some(class) => sqlx::query(
                "select * from segment where closing_at is not null and erased_us is null and away = 0 and class = $1
                     order by to_us limit $2",
            )
            .bind(class.to_owned())
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?,
            None => {
                sqlx::query(
                    "select * from segment where closing_at is not null and erased_us is null and away = 0
                     and class not in (select value from json_each($1)) order by to_us limit $2",
                )
                .bind(serde_json::Value::from(others.to_vec()).to_string())
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await?
            }
        };
        rows.iter().map(located).collect()
    }

    /// Bits per second of each stream, as it was recorded since an instant; streams of which nothing was are left out.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn rates(&self, since: WallTime) -> Result<Vec<(StreamId, u64)>, IndexError> {
        let rows = sqlx::query(
            "select stream, sum(file_len), sum(to_us - from_us) from segment
             where to_us > $1 and to_us > from_us and closing_at is not null group by stream",
        )
        .bind(since.micros)
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let stream = row.try_get::<String, _>(0)?.parse().map_err(|_| IndexError::Row)?;
            let (bytes, micros) = (uint(row.try_get(1)?), uint(row.try_get(2)?));
            Ok((stream, bytes.saturating_mul(8).saturating_mul(1_000) / (micros / 1_000).max(1)))
        };
        rows.iter().map(read).collect()
    }

    /// The folders of hours in which the rows say that there are files, each with a slash at its end.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn folders(&self) -> Result<Vec<String>, IndexError> {
        let rows = sqlx::query(
            "select distinct substr(path, 1, $1) from segment
             where erased_us is null and erasing = 0 and away = 0 and closing_at is not null",
        )
        .bind(folder_len())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Paths of the files that the rows say are in a folder, growing ones too.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn files_in(&self, folder: &str) -> Result<Vec<String>, IndexError> {
        // A path is one byte longer than the folder at least, and `0` comes after `/`.
        let rows = sqlx::query(
            "select path from segment where path > $1 and path < $2 and erased_us is null and erasing = 0 and away = 0",
        )
        .bind(folder.to_owned())
        .bind(format!("{}0", folder.trim_end_matches('/')))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Whether a file of this path is there by its row: `None` without a row.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn has_file(&self, path: &str) -> Result<Option<bool>, IndexError> {
        let row = sqlx::query("select erased_us is null and erasing = 0 and away = 0 from segment where path = $1")
            .bind(path.to_owned())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(row.try_get::<i64, _>(0)? != 0)).transpose()
    }
}
