//! The local index: SQLite (WAL, `synchronous=FULL`), one writer. A copy of what the media files say, plus the change
//! counter that the central catalogue follows.

use std::path::Path;
use std::str::FromStr as _;

use link::{GapRow, SegmentRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};
use vms_core::{SegmentId, StreamId, TimeRange, WallTime};

use crate::catalogue::{Batch, GapChange, SegmentState};
use crate::format::{FLAG_CAMERA_CLOCK, FLAG_CLOCK_STEP, cause_code};

/// Why the index did not answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite.
    #[error("the local index failed")]
    Sql(#[from] sqlx::Error),
    /// A row that this program did not write.
    #[error("a row of the local index is damaged")]
    Row,
}

impl IndexError {
    /// With what SQLite says.
    pub(crate) fn in_full(&self) -> String {
        match self {
            Self::Sql(error) => format!("{self}: {error}"),
            Self::Row => self.to_string(),
        }
    }

    /// The volume is full.
    pub fn is_full(&self) -> bool {
        match self {
            // SQLITE_FULL is 13.
            Self::Sql(sqlx::Error::Database(error)) => error.code().is_some_and(|code| code == "13"),
            Self::Sql(_) | Self::Row => false,
        }
    }
}

mod away;
mod kept;
mod sealed;
mod told;
mod volume;

pub use away::AwayRow;

/// Where a segment lies, for playback and sweeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Id.
    pub segment: SegmentId,
    /// Stream.
    pub stream: StreamId,
    /// Below the media folder.
    pub path: String,
    /// First unit.
    pub from: WallTime,
    /// End.
    pub to: WallTime,
    /// Offset of the closing record; absent while it grows.
    pub closing_at: Option<u64>,
    /// Bytes of file.
    pub file_len: u64,
    /// Which hour key sealed it; 0: none.
    pub key_epoch: u64,
    /// Digest in hexadecimal, once closed.
    pub digest: Option<String>,
    /// The file left for a tier (docs/TIERS.md).
    pub is_away: bool,
}

/// Newest known place of a stream, for de-duplication after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Stream.
    pub stream: StreamId,
    /// Epoch of the last unit.
    pub epoch: u64,
    /// Sequence of the last unit.
    pub seq: u64,
    /// Wall end.
    pub to: WallTime,
    /// Monotonic end, µs.
    pub mono_us: u64,
    /// Boot, hexadecimal.
    pub boot: String,
    /// Digest of the segment, when closed.
    pub digest: Option<String>,
}

/// The index.
#[derive(Clone, Debug)]
pub struct Index {
    pool: SqlitePool,
    /// One writer: `SQLite` would make a second one wait anyway, and time out.
    writer: std::sync::Arc<tokio::sync::Mutex<()>>,
}

const SCHEMA: [&str; 5] = [
    // Instants in microseconds since 1970, sizes in bytes, ids in text form.
    "create table if not exists segment (
        segment text primary key,
        change integer not null,
        stream text not null,
        camera text not null,
        class text not null,
        keep_s integer not null check (keep_s >= 0),
        path text not null unique,
        from_us integer not null,
        to_us integer not null,
        payload_bytes integer not null,
        file_len integer not null,
        fragments integer not null,
        units integer not null,
        closing_at integer,
        digest text,
        flags integer not null,
        epoch integer not null,
        last_seq integer not null,
        last_mono_us integer not null,
        boot text not null,
        erasing integer not null default 0,
        erased_us integer,
        key_epoch integer not null default 0,
        away integer not null default 0,
        kept integer not null default 0
    )",
    "create table if not exists gap (
        stream text not null,
        from_us integer not null,
        to_us integer check (to_us is null or to_us >= from_us),
        cause integer not null,
        change integer not null,
        primary key (stream, from_us)
    )",
    "create table if not exists meta (name text primary key, value integer not null)",
    "create index if not exists segment_by_time on segment (stream, to_us)",
    "create index if not exists segment_by_change on segment (change)",
];

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl Index {
    /// Opens or makes it.
    ///
    /// # Errors
    /// [`IndexError::Sql`].
    pub async fn open(path: &Path) -> Result<Self, IndexError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(std::time::Duration::from_secs(10));
        let pool = tiers::sqlite::pool_options(4).connect_with(options).await?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&pool).await?;
        }
        // Indexes of before format 4 do not have `key_epoch` (nothing was sealed then), those of before the tiers not `away`, older ones
        // not `kept`: the sweeper marks again what lies behind the magistrate's gate.
        for column in ["key_epoch", "away", "kept"] {
            let known = sqlx::query("select 1 from pragma_table_info('segment') where name = $1").bind(column);
            if known.fetch_optional(&pool).await?.is_none() {
                let add = format!("alter table segment add column {column} integer not null default 0");
                sqlx::query(sqlx::AssertSqlSafe(add)).execute(&pool).await?;
            }
        }
        sqlx::query("create index if not exists segment_by_key on segment (key_epoch, to_us) where erased_us is null")
            .execute(&pool)
            .await?;
        sqlx::query("create index if not exists gap_by_change on gap (change)").execute(&pool).await?;
        // What the sweeper asks every minute, answered from the index alone.
        for wanted in [
            "drop index if exists segment_by_term",
            "create index if not exists segment_by_own_term on segment (stream, class, keep_s, to_us)
             where erased_us is null and kept = 0",
            "create index if not exists segment_erased on segment (erased_us) where erased_us is not null",
            "create index if not exists segment_by_size on segment (file_len)
             where erased_us is null and closing_at is not null and away = 0",
            // The tiers ask each hour what lies here: some days of the thirty.
            "create index if not exists segment_on_disk on segment (segment) where erased_us is null and away = 0",
        ] {
            sqlx::query(wanted).execute(&pool).await?;
        }
        Ok(Self { pool, writer: std::sync::Arc::default() })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn meta(&self, name: &str) -> Result<i64, IndexError> {
        let row = sqlx::query("select value from meta where name = $1").bind(name).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
    }

    /// Wall time of the last flush; 0 when there was none: every file has to be looked at.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn flushed_at(&self) -> Result<WallTime, IndexError> {
        Ok(WallTime::from_micros(self.meta("flushed_us").await?))
    }

    /// Writes a batch in one transaction.
    ///
    /// # Errors
    /// [`IndexError`]; nothing of the batch is then in.
    pub async fn flush(&self, batch: &Batch, now: WallTime) -> Result<(), IndexError> {
        let _one = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        let mut change = next_change(&mut tx).await?;
        for state in &batch.segments {
            change += 1;
            upsert_segment(&mut tx, state, change).await?;
        }
        for gap in &batch.gaps {
            change += 1;
            upsert_gap(&mut tx, gap, change).await?;
        }
        set_meta(&mut tx, "change", change).await?;
        set_meta(&mut tx, "flushed_us", now.micros).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Rows changed after `after`, at most `limit` of each kind, and the next cursor.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn since(&self, after: u64, limit: u32) -> Result<(Vec<SegmentRow>, Vec<GapRow>, u64), IndexError> {
        let rows = sqlx::query("select * from segment where change > $1 order by change limit $2")
            .bind(int(after))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        let mut segments = rows.iter().map(segment_row).collect::<Result<Vec<_>, _>>()?;
        let rows = sqlx::query("select * from gap where change > $1 order by change limit $2")
            .bind(int(after))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        let mut gaps = rows.iter().map(gap_row).collect::<Result<Vec<_>, _>>()?;
        // Where one kind was cut off, the cursor must not pass its last row, or rows of that kind would be skipped.
        let full = usize::try_from(limit).unwrap_or(usize::MAX);
        let cut_segments = segments.last().filter(|_| segments.len() >= full).map(|row| row.change);
        let cut_gaps = gaps.last().filter(|_| gaps.len() >= full).map(|row| row.change);
        let newest = segments.last().map(|row| row.change).max(gaps.last().map(|row| row.change));
        let cursor = match (cut_segments, cut_gaps) {
            (Some(one), Some(other)) => one.min(other),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => newest.unwrap_or(after),
        };
        segments.retain(|row| row.change <= cursor);
        gaps.retain(|row| row.change <= cursor);
        Ok((segments, gaps, cursor))
    }

    /// Segments of a stream that overlap a span and are there, by time.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn overlapping(&self, stream: StreamId, range: TimeRange) -> Result<Vec<Located>, IndexError> {
        let rows = sqlx::query(
            "select * from segment where stream = $1 and to_us > $2 and to_us < $3 + 3600000000 and from_us < $3
             and erased_us is null and erasing = 0 order by from_us",
        )
        .bind(stream.to_string())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(located).collect()
    }

    /// Holes of a stream that overlap a span, by time.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn gaps_overlapping(&self, stream: StreamId, range: TimeRange) -> Result<Vec<GapRow>, IndexError> {
        let rows = sqlx::query(
            "select * from gap where stream = $1 and (to_us is null or (to_us > $2 and to_us > from_us)) and from_us < $3 order by from_us",
        )
        .bind(stream.to_string())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(gap_row).collect()
    }

    /// Segments that are not closed, as the index believes.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn unclosed(&self) -> Result<Vec<Located>, IndexError> {
        let rows = sqlx::query("select * from segment where closing_at is null and erased_us is null")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(located).collect()
    }

    /// Whether a segment has a row.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn knows(&self, segment: SegmentId) -> Result<bool, IndexError> {
        let row = sqlx::query("select 1 from segment where segment = $1 and closing_at is not null")
            .bind(segment.to_string())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// The newest place of every stream.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn newest(&self) -> Result<Vec<Newest>, IndexError> {
        // SQLite takes the bare columns of a `max` query from the row that holds the maximum.
        let rows = sqlx::query(
            "select stream, epoch, last_seq, max(to_us) as to_us, last_mono_us, boot, digest from segment
             group by stream",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(newest_row).collect()
    }

    /// Bytes of closed files that are on the local disk; the catalogue counts the open ones.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn bytes(&self) -> Result<u64, IndexError> {
        let row = sqlx::query(
            "select coalesce(sum(file_len), 0) from segment where erased_us is null and closing_at is not null and away = 0",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(uint(row.try_get(0)?))
    }

    /// The oldest closed segments of all streams that are on the local disk.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn oldest(&self, limit: u32) -> Result<Vec<Located>, IndexError> {
        let rows = sqlx::query(
            "select * from segment where closing_at is not null and erased_us is null and away = 0 order by to_us limit $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(located).collect()
    }

    /// Segments whose erasure was begun and not completed.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn half_erased(&self) -> Result<Vec<Located>, IndexError> {
        let rows =
            sqlx::query("select * from segment where erasing = 1 and erased_us is null").fetch_all(&self.pool).await?;
        rows.iter().map(located).collect()
    }

    /// Marks segments as being erased: from here on nobody reads them.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn mark_erasing(&self, segments: &[Located]) -> Result<(), IndexError> {
        let _one = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        for one in segments {
            sqlx::query("update segment set erasing = 1 where segment = $1")
                .bind(one.segment.to_string())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The files are gone; the rows stay for the audit copy. `early` adds a hole with the cause "disk cap" for each.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn mark_erased(&self, segments: &[Located], now: WallTime, early: bool) -> Result<(), IndexError> {
        let _one = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        let mut change = next_change(&mut tx).await?;
        for one in segments {
            change += 1;
            sqlx::query("update segment set erasing = 0, erased_us = $1, change = $2 where segment = $3")
                .bind(now.micros)
                .bind(change)
                .bind(one.segment.to_string())
                .execute(&mut *tx)
                .await?;
            if early && one.from < one.to {
                change += 1;
                let cause = link::Cause::DiskCap;
                let gap = GapChange { stream: one.stream, from: one.from, to: Some(one.to), cause };
                upsert_gap(&mut tx, &gap, change).await?;
            }
        }
        set_meta(&mut tx, "change", change).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn next_change(tx: &mut Transaction<'_, Sqlite>) -> Result<i64, IndexError> {
    let row = sqlx::query("select value from meta where name = 'change'").fetch_optional(&mut **tx).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
}

async fn set_meta(tx: &mut Transaction<'_, Sqlite>, name: &str, value: i64) -> Result<(), IndexError> {
    sqlx::query(
        "insert into meta (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn upsert_segment(tx: &mut Transaction<'_, Sqlite>, state: &SegmentState, change: i64) -> Result<(), IndexError> {
    sqlx::query(
        "insert into segment (segment, change, stream, camera, class, keep_s, path, from_us, to_us, payload_bytes,
            file_len, fragments, units, closing_at, digest, flags, epoch, last_seq, last_mono_us, boot,
            key_epoch)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
         on conflict (segment) do update set change = excluded.change, to_us = excluded.to_us,
            payload_bytes = excluded.payload_bytes, file_len = excluded.file_len, fragments = excluded.fragments,
            units = excluded.units, closing_at = excluded.closing_at, digest = excluded.digest,
            flags = excluded.flags, last_seq = excluded.last_seq, last_mono_us = excluded.last_mono_us,
            key_epoch = excluded.key_epoch",
    )
    .bind(state.segment.to_string())
    .bind(change)
    .bind(state.stream.to_string())
    .bind(state.camera.to_string())
    .bind(state.class.as_str())
    .bind(int(state.keep_s))
    .bind(state.path.to_string_lossy().into_owned())
    .bind(state.from.micros)
    .bind(state.to.micros)
    .bind(int(state.payload))
    .bind(int(state.file_len))
    .bind(i64::try_from(state.entries.len()).unwrap_or(i64::MAX))
    .bind(i64::from(state.units))
    .bind(state.closing_at.map(int))
    .bind(state.digest.map(hex::encode))
    .bind(i64::from(state.flags))
    .bind(int(state.epoch))
    .bind(int(state.last_seq))
    .bind(int(state.last_mono.micros))
    .bind(hex::encode(state.boot))
    .bind(int(state.key_epoch))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn upsert_gap(tx: &mut Transaction<'_, Sqlite>, gap: &GapChange, change: i64) -> Result<(), IndexError> {
    sqlx::query(
        "insert into gap (stream, from_us, to_us, cause, change) values ($1, $2, $3, $4, $5)
         on conflict (stream, from_us) do update set to_us = excluded.to_us, cause = excluded.cause,
            change = excluded.change",
    )
    .bind(gap.stream.to_string())
    .bind(gap.from.micros)
    .bind(gap.to.map(|to| to.micros))
    .bind(i64::from(cause_code::of(gap.cause)))
    .bind(change)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn segment_row(row: &sqlx::sqlite::SqliteRow) -> Result<SegmentRow, IndexError> {
    let flags: i64 = row.try_get("flags")?;
    Ok(SegmentRow {
        change: uint(row.try_get("change")?),
        segment: row.try_get("segment")?,
        stream: row.try_get("stream")?,
        from_us: row.try_get("from_us")?,
        to_us: row.try_get("to_us")?,
        payload_bytes: uint(row.try_get("payload_bytes")?),
        fragments: u32::try_from(row.try_get::<i64, _>("fragments")?).unwrap_or(u32::MAX),
        units: u32::try_from(row.try_get::<i64, _>("units")?).unwrap_or(u32::MAX),
        closed: row.try_get::<Option<i64>, _>("closing_at")?.is_some(),
        digest: row.try_get("digest")?,
        erased_us: row.try_get("erased_us")?,
        retention_class: row.try_get("class")?,
        clock_stepped: flags & i64::from(FLAG_CLOCK_STEP) != 0,
        camera_clock_off: flags & i64::from(FLAG_CAMERA_CLOCK) != 0,
    })
}

fn gap_row(row: &sqlx::sqlite::SqliteRow) -> Result<GapRow, IndexError> {
    let code = u8::try_from(row.try_get::<i64, _>("cause")?).map_err(|_| IndexError::Row)?;
    Ok(GapRow {
        change: uint(row.try_get("change")?),
        stream: row.try_get("stream")?,
        from_us: row.try_get("from_us")?,
        to_us: row.try_get("to_us")?,
        cause: cause_code::read(code).ok_or(IndexError::Row)?,
    })
}

fn located(row: &sqlx::sqlite::SqliteRow) -> Result<Located, IndexError> {
    let segment: String = row.try_get("segment")?;
    let stream: String = row.try_get("stream")?;
    Ok(Located {
        segment: SegmentId::from_str(&segment).map_err(|_| IndexError::Row)?,
        stream: StreamId::from_str(&stream).map_err(|_| IndexError::Row)?,
        path: row.try_get("path")?,
        from: WallTime::from_micros(row.try_get("from_us")?),
        to: WallTime::from_micros(row.try_get("to_us")?),
        closing_at: row.try_get::<Option<i64>, _>("closing_at")?.map(uint),
        file_len: uint(row.try_get("file_len")?),
        key_epoch: uint(row.try_get("key_epoch")?),
        digest: row.try_get("digest")?,
        is_away: row.try_get::<i64, _>("away")? != 0,
    })
}

fn newest_row(row: &sqlx::sqlite::SqliteRow) -> Result<Newest, IndexError> {
    let stream: String = row.try_get("stream")?;
    Ok(Newest {
        stream: StreamId::from_str(&stream).map_err(|_| IndexError::Row)?,
        epoch: uint(row.try_get("epoch")?),
        seq: uint(row.try_get("last_seq")?),
        to: WallTime::from_micros(row.try_get("to_us")?),
        mono_us: uint(row.try_get("last_mono_us")?),
        boot: row.try_get("boot")?,
        digest: row.try_get("digest")?,
    })
}
