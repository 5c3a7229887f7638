//! What is where: one SQLite table, one row a segment that is, was or shall be in a tier.
//!
//! Why SQLite: a recorder of a hundred cameras has 4.3 million segments in thirty days. A file for each would cost an inode and a folder
//! scan; a journal of our own would need indexes and compaction, and SQLite is in the program already (the recorder's index). A file of
//! its own because it follows the store, not the disk: it is thrown away and rebuilt from a listing ([`crate::Mover::rebuild`]) without touching
//! the index. One connection: SQLite writes one at a time anyway, and nothing can time out waiting for a pool.

use std::path::Path;
use std::str::FromStr as _;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::sync::{Mutex, MutexGuard};
use vms_core::{RetentionClass, SegmentId, WallTime};

use crate::name::{Digest, Facts, ObjectName, RecorderName};
pub use crate::plan::Remote;
use crate::plan::TierName;
use crate::sqlite::is_idle;

/// Why the ledger did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// SQLite.
    #[error("the ledger of the tiers failed")]
    Sql(#[from] sqlx::Error),
    /// A row that this program did not write.
    #[error("a row of the ledger of the tiers is damaged; delete its file and rebuild it from the stores")]
    Row,
}

/// One segment in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The segment.
    pub facts: Facts,
    /// How far its object is.
    pub remote: Remote,
    /// Its tier, once one was tried.
    pub tier: Option<TierName>,
    /// Digest of its bytes, once one was tried.
    pub digest: Option<Digest>,
    /// Open multipart upload.
    pub upload: Option<String>,
    /// Whether the local disk has it.
    pub is_local: bool,
    /// Uploads that failed in a row.
    pub attempts: u32,
}

impl Row {
    /// The object's name, once it has one.
    pub fn name(&self, recorder: &RecorderName) -> Option<ObjectName> {
        Some(ObjectName { recorder: recorder.clone(), facts: self.facts.clone(), digest: self.digest? })
    }
}

/// Sums over what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Waiting {
    /// Segments.
    pub(crate) segments: u64,
    /// Bytes.
    pub(crate) bytes: u64,
    /// End of the oldest.
    pub(crate) oldest: Option<WallTime>,
}

/// Where a walk over rows in the order of time stands.
pub(crate) type Cursor = (WallTime, String);

/// Where the walk goes on after a row.
pub(crate) fn cursor_at(row: &Row) -> Cursor {
    (row.facts.to, row.facts.segment.to_string())
}

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    options: SqliteConnectOptions,
    connection: Mutex<SqliteConnection>,
}

// state: 0 local only, 1 uploading, 2 stored, 3 to be deleted from the tier, 4 deleted. Instants in microseconds since 1970.
const SCHEMA: [&str; 5] = [
    "create table if not exists object (
        segment text primary key,
        camera text not null,
        stream text not null,
        class text not null,
        epoch integer not null,
        from_us integer not null check (from_us >= 0),
        to_us integer not null check (to_us >= from_us),
        len integer not null check (len >= 0),
        state integer not null check (state between 0 and 4),
        tier text,
        digest text,
        upload text,
        is_local integer not null check (is_local in (0, 1)),
        attempts integer not null default 0,
        next_us integer not null default 0,
        verified_us integer, -- of the verification, or of the deletion in state 4
        seen integer not null default 0,
        check (state in (0, 4) or (tier is not null and digest is not null) or state = 3)
    ) without rowid",
    "create index if not exists object_waiting on object (to_us, segment) where state < 2 and is_local = 1",
    "create index if not exists object_local on object (to_us, segment) where is_local = 1 and state = 2",
    "create index if not exists object_owed on object (segment) where state = 3",
    "create index if not exists object_erased on object (seen) where state = 4",
];

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

const fn state_of(remote: Remote) -> i64 {
    match remote {
        Remote::None => 0,
        Remote::Uploading => 1,
        Remote::Stored => 2,
        Remote::Erased => 3,
    }
}

fn read_row(row: &SqliteRow) -> Result<Row, LedgerError> {
    fn id<T: std::str::FromStr>(row: &SqliteRow, column: &str) -> Result<T, LedgerError> {
        row.try_get::<&str, _>(column)?.parse().map_err(|_| LedgerError::Row)
    }
    let class = RetentionClass::parse(row.try_get("class")?).ok_or(LedgerError::Row)?;
    let remote = match row.try_get::<i64, _>("state")? {
        0 => Remote::None,
        1 => Remote::Uploading,
        2 => Remote::Stored,
        3 | 4 => Remote::Erased,
        _ => return Err(LedgerError::Row),
    };
    let digest = row.try_get::<Option<&str>, _>("digest")?.map(Digest::from_str).transpose();
    Ok(Row {
        facts: Facts {
            segment: id(row, "segment")?,
            camera: id(row, "camera")?,
            stream: id(row, "stream")?,
            class,
            epoch: u64::from_be_bytes(row.try_get::<i64, _>("epoch")?.to_be_bytes()),
            from: WallTime::from_micros(row.try_get("from_us")?),
            to: WallTime::from_micros(row.try_get("to_us")?),
            len: uint(row.try_get("len")?),
        },
        remote,
        tier: row.try_get::<Option<&str>, _>("tier")?.map(|name| TierName(name.into())),
        digest: digest.map_err(|_| LedgerError::Row)?,
        upload: row.try_get("upload")?,
        is_local: row.try_get("is_local")?,
        attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
    })
}

fn read_rows(rows: &[SqliteRow]) -> Result<Vec<Row>, LedgerError> {
    rows.iter().map(read_row).collect()
}

impl Ledger {
    /// Opens or makes it.
    ///
    /// # Errors
    /// [`LedgerError::Sql`].
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(std::time::Duration::from_secs(10));
        let mut connection = options.connect().await?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        Ok(Self { options, connection: Mutex::new(connection) })
    }

    /// The connection, between two transactions; one that a full disk left inside one is made anew.
    async fn connection(&self) -> Result<MutexGuard<'_, SqliteConnection>, LedgerError> {
        let mut guard = self.connection.lock().await;
        if !is_idle(&mut guard).await? {
            *guard = self.options.connect().await?;
        }
        Ok(guard)
    }

    /// Notes closed segments; what is known already stays as it is.
    pub(crate) async fn note(&self, segments: &[Facts]) -> Result<(), LedgerError> {
        let mut guard = self.connection().await?;
        let mut tx = guard.begin().await?;
        for facts in segments {
            if facts.from.micros < 0 || facts.to < facts.from {
                tracing::warn!(segment = %facts.segment, "a segment with an impossible span stays on the local disk alone");
                continue;
            }
            if !insert(&mut tx, facts, Remote::None, true, None).await? {
                // Known from a listing only: looked at before the local copy may go.
                let sql = "update object set is_local = 1,
                    state = case when state = 2 and verified_us is null then 1 else state end
                    where segment = $1 and state < 3";
                sqlx::query(sql).bind(facts.segment.to_string()).execute(&mut *tx).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Puts in what a listing shows with the right length. Where the local disk has it too it counts as begun, and is read back before
    /// anything relies on it. True when the row is new.
    pub(crate) async fn adopt(&self, name: &ObjectName, tier: &TierName) -> Result<bool, LedgerError> {
        let mut guard = self.connection().await?;
        if insert(&mut guard, &name.facts, Remote::Stored, false, Some((tier, name.digest))).await? {
            return Ok(true);
        }
        let sql = "update object set state = case when is_local = 1 then 1 else 2 end, tier = $2, digest = $3
            where segment = $1 and (state = 0 or (state = 1 and is_local = 0))";
        let query = sqlx::query(sql).bind(name.facts.segment.to_string());
        query.bind(tier.0.as_ref()).bind(name.digest.to_string()).execute(&mut *guard).await?;
        Ok(false)
    }

    /// One segment.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn row(&self, segment: SegmentId) -> Result<Option<Row>, LedgerError> {
        let mut guard = self.connection().await?;
        let query = sqlx::query("select * from object where segment = $1").bind(segment.to_string());
        query.fetch_optional(&mut *guard).await?.as_ref().map(read_row).transpose()
    }

    /// Segments that lie in a tier and not on the local disk, in the order of their ids: what an index that was rebuilt from local media lacks.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn only_in_tiers(&self, after: Option<SegmentId>, limit: usize) -> Result<Vec<Row>, LedgerError> {
        let mut guard = self.connection().await?;
        let sql = "select * from object where state = 2 and is_local = 0 and segment > $1 order by segment limit $2";
        let query = sqlx::query(sql).bind(after.map(|segment| segment.to_string()).unwrap_or_default());
        read_rows(&query.bind(limit_of(limit)).fetch_all(&mut *guard).await?)
    }

    /// Segments on the local disk that are not stored and may be tried at `now`, oldest first, those after `after`.
    pub(crate) async fn waiting(&self, now: WallTime, after: &Cursor, limit: usize) -> Result<Vec<Row>, LedgerError> {
        let mut guard = self.connection().await?;
        let sql =
            "select * from object where state < 2 and is_local = 1 and next_us <= $1 and (to_us, segment) > ($2, $3)
            order by to_us, segment limit $4";
        let query = sqlx::query(sql).bind(now.micros).bind(after.0.micros).bind(after.1.as_str());
        read_rows(&query.bind(limit_of(limit)).fetch_all(&mut *guard).await?)
    }

    /// Sums of everything on the local disk that is not stored.
    pub(crate) async fn backlog(&self) -> Result<Waiting, LedgerError> {
        let mut guard = self.connection().await?;
        let sql = "select count(*), coalesce(sum(len), 0), min(to_us) from object where state < 2 and is_local = 1";
        let row = sqlx::query(sql).fetch_one(&mut *guard).await?;
        let oldest: Option<i64> = row.try_get(2)?;
        Ok(Waiting {
            segments: uint(row.try_get(0)?),
            bytes: uint(row.try_get(1)?),
            oldest: oldest.map(WallTime::from_micros),
        })
    }

    /// Stored segments that the local disk has too and whose end is after `after`, oldest first.
    pub(crate) async fn on_both(&self, after: &Cursor, limit: usize) -> Result<Vec<Row>, LedgerError> {
        let mut guard = self.connection().await?;
        let sql = "select * from object where is_local = 1 and state = 2 and (to_us, segment) > ($1, $2)
            order by to_us, segment limit $3";
        let query = sqlx::query(sql).bind(after.0.micros).bind(after.1.as_str()).bind(limit_of(limit));
        read_rows(&query.fetch_all(&mut *guard).await?)
    }

    /// Begins or repeats an upload. False when the segment is to be deleted.
    pub(crate) async fn begin(&self, segment: SegmentId, tier: &TierName, digest: Digest) -> Result<bool, LedgerError> {
        let sql = "update object set state = 1, tier = $2, digest = $3 where segment = $1 and state < 2";
        let mut guard = self.connection().await?;
        let query = sqlx::query(sql).bind(segment.to_string()).bind(tier.0.as_ref()).bind(digest.to_string());
        Ok(query.execute(&mut *guard).await?.rows_affected() == 1)
    }

    /// Notes the open multipart upload, or that there is none.
    pub(crate) async fn set_upload(&self, segment: SegmentId, upload: Option<&str>) -> Result<(), LedgerError> {
        let mut guard = self.connection().await?;
        let query = sqlx::query("update object set upload = $2 where segment = $1").bind(segment.to_string());
        query.bind(upload).execute(&mut *guard).await?;
        Ok(())
    }

    /// The object was verified. False when the segment is to be deleted by now: the object has to go again.
    pub(crate) async fn stored(&self, segment: SegmentId, at: WallTime) -> Result<bool, LedgerError> {
        let mut guard = self.connection().await?;
        let sql = "update object set state = 2, upload = null, attempts = 0, next_us = 0, verified_us = $2
            where segment = $1 and state in (1, 2)";
        let query = sqlx::query(sql).bind(segment.to_string()).bind(at.micros);
        Ok(query.execute(&mut *guard).await?.rows_affected() == 1)
    }

    /// The upload failed: not before `next`.
    pub(crate) async fn failed(&self, segment: SegmentId, next: WallTime) -> Result<(), LedgerError> {
        let mut guard = self.connection().await?;
        let sql = "update object set attempts = attempts + 1, next_us = $2 where segment = $1 and state < 2";
        sqlx::query(sql).bind(segment.to_string()).bind(next.micros).execute(&mut *guard).await?;
        Ok(())
    }

    /// What was stored is not there any more, or not right: it goes up again where the local disk has it.
    pub(crate) async fn doubt(&self, segment: SegmentId) -> Result<(), LedgerError> {
        let mut guard = self.connection().await?;
        let sql = "update object set state = 1, verified_us = null, next_us = 0 where segment = $1 and state = 2";
        sqlx::query(sql).bind(segment.to_string()).execute(&mut *guard).await?;
        Ok(())
    }

    /// The local disk has it or not.
    pub(crate) async fn set_local(&self, segment: SegmentId, is_local: bool) -> Result<(), LedgerError> {
        let mut guard = self.connection().await?;
        let query = sqlx::query("update object set is_local = $2 where segment = $1").bind(segment.to_string());
        query.bind(i64::from(is_local)).execute(&mut *guard).await?;
        Ok(())
    }

    /// Marks segments as to be deleted, whatever their state; none of them goes up again. `Some(None)`: it has no object.
    pub(crate) async fn erasing(&self, segments: &[SegmentId]) -> Result<Vec<Option<Option<Row>>>, LedgerError> {
        let mut guard = self.connection().await?;
        let mut tx = guard.begin().await?;
        let mut found = Vec::with_capacity(segments.len());
        for segment in segments {
            // Without a digest nothing was ever sent.
            let sql = "update object set is_local = 0,
                state = case when state = 4 or digest is null then 4 else 3 end,
                verified_us = case when state < 3 then 0 else verified_us end
                where segment = $1 returning *, state as now_state";
            let row = sqlx::query(sql).bind(segment.to_string()).fetch_optional(&mut *tx).await?;
            found.push(match row {
                None => None,
                Some(row) if row.try_get::<i64, _>("now_state")? == 4 => Some(None),
                Some(row) => Some(Some(read_row(&row)?)),
            });
        }
        tx.commit().await?;
        Ok(found)
    }

    /// An upload ended after its segment was deleted: the object has to go once more.
    pub(crate) async fn owe(&self, segment: SegmentId) -> Result<(), LedgerError> {
        let mut guard = self.connection().await?;
        let sql = "update object set state = 3 where segment = $1 and state = 4 and digest is not null";
        sqlx::query(sql).bind(segment.to_string()).execute(&mut *guard).await?;
        Ok(())
    }

    /// Deletions that have not been answered, or that a listing contradicted.
    pub(crate) async fn owed(&self, limit: usize) -> Result<Vec<Row>, LedgerError> {
        let mut guard = self.connection().await?;
        let sql = "select * from object where state = 3 order by segment limit $1";
        read_rows(&sqlx::query(sql).bind(limit_of(limit)).fetch_all(&mut *guard).await?)
    }

    /// The store says these are gone.
    pub(crate) async fn erased(&self, segments: &[SegmentId], at: WallTime) -> Result<(), LedgerError> {
        let mut guard = self.connection().await?;
        let mut tx = guard.begin().await?;
        for segment in segments {
            let sql = "update object set state = 4, upload = null, verified_us = $2 where segment = $1 and state = 3";
            sqlx::query(sql).bind(segment.to_string()).bind(at.micros).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// A listing that began at `start` shows these in round `round`. Gives for each what the ledger says, and whether it is one that was
    /// deleted before: it is then owed again.
    pub(crate) async fn see(
        &self,
        segments: &[SegmentId],
        round: i64,
        start: WallTime,
    ) -> Result<Vec<Option<(Row, bool)>>, LedgerError> {
        let mut guard = self.connection().await?;
        let mut tx = guard.begin().await?;
        let mut rows = Vec::with_capacity(segments.len());
        for segment in segments {
            // What was deleted since the listing began may stand in it rightly.
            let back = sqlx::query(
                "update object set state = 3 where segment = $1 and state = 4 and coalesce(verified_us, 0) < $2",
            );
            let back = back.bind(segment.to_string()).bind(start.micros).execute(&mut *tx).await?.rows_affected() == 1;
            let seen = sqlx::query("update object set seen = $2 where segment = $1 returning *");
            let row = seen.bind(segment.to_string()).bind(round).fetch_optional(&mut *tx).await?;
            rows.push(row.as_ref().map(read_row).transpose()?.map(|row| (row, back)));
        }
        tx.commit().await?;
        Ok(rows)
    }

    /// Stored rows of `tier` that round `round` did not see, at most `limit`, those after `after`.
    pub(crate) async fn unseen(
        &self,
        tier: &TierName,
        round: i64,
        verified_before: WallTime,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError> {
        let mut guard = self.connection().await?;
        let sql = "select * from object where state = 2 and tier = $1 and seen <> $2 and coalesce(verified_us, 0) < $3 and segment > $4
            order by segment limit $5";
        let query = sqlx::query(sql).bind(tier.0.as_ref()).bind(round).bind(verified_before.micros).bind(after);
        read_rows(&query.bind(limit_of(limit)).fetch_all(&mut *guard).await?)
    }

    /// Forgets rows deleted before `before` that round `round` of their tier did not see, and those that never had a tier.
    pub(crate) async fn forget_erased(
        &self,
        tier: &TierName,
        round: i64,
        before: WallTime,
    ) -> Result<u64, LedgerError> {
        let mut guard = self.connection().await?;
        let sql = "delete from object where state = 4 and seen <> $2 and coalesce(verified_us, 0) < $3
            and (tier = $1 or tier is null)";
        let query = sqlx::query(sql).bind(tier.0.as_ref()).bind(round).bind(before.micros);
        Ok(query.execute(&mut *guard).await?.rows_affected())
    }
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

async fn insert(
    connection: &mut SqliteConnection,
    facts: &Facts,
    remote: Remote,
    is_local: bool,
    object: Option<(&TierName, Digest)>,
) -> Result<bool, sqlx::Error> {
    let sql =
        "insert into object (segment, camera, stream, class, epoch, from_us, to_us, len, state, is_local, tier, digest)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing";
    let query = sqlx::query(sql)
        .bind(facts.segment.to_string())
        .bind(facts.camera.to_string())
        .bind(facts.stream.to_string())
        .bind(facts.class.as_str())
        .bind(i64::from_be_bytes(facts.epoch.to_be_bytes()))
        .bind(facts.from.micros)
        .bind(facts.to.micros)
        .bind(int(facts.len))
        .bind(state_of(remote))
        .bind(i64::from(is_local))
        .bind(object.map(|(tier, _)| tier.0.to_string()))
        .bind(object.map(|(_, digest)| digest.to_string()));
    Ok(query.execute(connection).await?.rows_affected() == 1)
}
