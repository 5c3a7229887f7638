//! The journal of clocks, and passages that come by two ways.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::lez_ports::{ClockJournal, ClockSpan, PurposeCopy, ReadFrom};
use vms_app::ports::store::Stored;
use vms_core::{CameraId, TimeRange, WallTime};

use super::LezVault;
use super::reads::{padded, places};
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::Columns as _;

/// One vehicle is past one camera once in this time, whoever says so: what two installations make of one passage is seconds apart. A house rule.
const PASSAGE: Duration = Duration::from_secs(10);
/// A passage is remembered so long after it came, beside its copies. A house rule: longer than any queue of a sender, short beside every term.
pub(super) const MARKED: Duration = Duration::from_secs(15 * 60);
/// Locks of which nothing was heard for so long are of no run any more. A house rule.
pub(super) const CLOCKS: Duration = Duration::from_secs(30 * 86_400);

/// Cameras that somebody else reads too; `None` until they were looked for.
pub(super) type Pushing = tokio::sync::RwLock<Option<HashSet<CameraId>>>;

#[async_trait]
impl ClockJournal for LezVault {
    async fn clock_note(&self, spans: &[ClockSpan], now: WallTime) -> Stored<()> {
        write_txn!(self.store, |conn| {
            for span in spans {
                sqlx::query(
                    "insert into camera_clock (camera_id, source, locked_from_us, locked_until_us, offset_us, uncertainty_us, noted_at_us)
                     values ($1, $2, $3, $4, $5, $6, $7)
                     on conflict (camera_id, source, locked_from_us) do update set
                        locked_until_us = case when excluded.locked_until_us > camera_clock.locked_until_us
                            then excluded.locked_until_us else camera_clock.locked_until_us end,
                        offset_us = case when abs(excluded.offset_us) > abs(camera_clock.offset_us)
                            then excluded.offset_us else camera_clock.offset_us end,
                        uncertainty_us = case when excluded.uncertainty_us > camera_clock.uncertainty_us
                            then excluded.uncertainty_us else camera_clock.uncertainty_us end,
                        noted_at_us = excluded.noted_at_us",
                )
                .bind(span.camera.to_string())
                .bind(span.source.clone())
                .bind(span.locked_from.micros)
                .bind(span.locked_until.micros)
                .bind(span.offset_us)
                .bind(i64::try_from(span.uncertainty_us).unwrap_or(i64::MAX))
                .bind(now.micros)
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
            }
            Ok(())
        })
    }

    async fn clock_known(&self, camera: CameraId, source: &str, locked_from: WallTime) -> Stored<Option<ClockSpan>> {
        let row = sqlx::query(
            "select locked_until_us, offset_us, uncertainty_us from camera_clock
              where camera_id = $1 and source = $2 and locked_from_us = $3",
        )
        .bind(camera.to_string())
        .bind(source.to_owned())
        .bind(locked_from.micros)
        .fetch_optional(&self.store.read)
        .await
        .map_err(db_error)?;
        let span = |row: &AnyRow| {
            Ok(ClockSpan {
                camera,
                source: source.to_owned(),
                locked_from,
                locked_until: row.at("locked_until_us")?,
                offset_us: row.int("offset_us")?,
                uncertainty_us: row.number("uncertainty_us")?,
            })
        };
        row.as_ref().map(span).transpose()
    }
}

fn is_pushed(copy: &PurposeCopy) -> bool {
    matches!(copy.read.facts.from, ReadFrom::Pushed { .. })
}

impl LezVault {
    /// Remembers from which cameras reads come by two ways, from the first that does.
    pub(super) async fn note_pushing(&self, copies: &[PurposeCopy]) -> Stored<()> {
        let is_known = {
            let known = self.pushing.read().await;
            known
                .as_ref()
                .is_some_and(|known| copies.iter().all(|copy| !is_pushed(copy) || known.contains(&copy.read.camera)))
        };
        if is_known {
            return Ok(());
        }
        let mut known = self.pushing.write().await;
        if known.is_none() {
            let rows = sqlx::query("select distinct camera_id from read_mark").fetch_all(&self.store.read).await;
            let rows = rows.map_err(db_error)?;
            let cameras: Stored<HashSet<CameraId>> = rows.iter().map(|row| row.word("camera_id")).collect();
            *known = Some(cameras?);
        }
        known.get_or_insert_default().extend(copies.iter().filter(|copy| is_pushed(copy)).map(|copy| copy.read.camera));
        Ok(())
    }

    async fn is_watched(&self, camera: CameraId) -> bool {
        self.pushing.read().await.as_ref().is_some_and(|known| known.contains(&camera))
    }

    /// Whether the same passage came by another way: a read of the same plate at the same camera within [`PASSAGE`], one of the two pushed. What
    /// our own reader says twice it says of two passages.
    pub(super) async fn is_twin(&self, conn: &mut Writing<'_>, copy: &PurposeCopy, id: &str) -> Stored<bool> {
        let (camera, at, plate) = (copy.read.camera, copy.read.at, copy.read.facts.plate.reveal());
        if !self.is_watched(camera).await {
            return Ok(false);
        }
        let (from, to) = (at.minus(PASSAGE), at.plus(PASSAGE).plus(Duration::from_micros(1)));
        let Some(range) = TimeRange::new(from, to) else { return Ok(false) };
        let tokens = self.search_tokens_on(&mut *conn, copy.purpose, range, plate).await?;
        if tokens.is_empty() {
            return Ok(false);
        }
        let tokens = padded(tokens);
        let among = places(6, tokens.len());
        // Whatever was pushed has a mark, and so has what our own reader said since the first push; before that there are copies alone.
        let marks = format!(
            "select id from read_mark where purpose = $1 and camera_id = $2 and at_us >= $3 and at_us < $4 and id <> $5 and token in ({among})"
        );
        let sql = if is_pushed(copy) {
            format!(
                "{marks} union select id from lez_read
                  where purpose = $1 and camera_id = $2 and at_us >= $3 and at_us < $4 and id <> $5 and token in ({among})"
            )
        } else {
            format!("{marks} and is_pushed = 1")
        };
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(copy.purpose.as_str())
            .bind(camera.to_string())
            .bind(range.from.micros)
            .bind(range.to.micros)
            .bind(id.to_owned());
        for token in tokens {
            rows = rows.bind(token);
        }
        Ok(!rows.fetch_all(&mut *conn).await.map_err(db_error)?.is_empty())
    }

    /// Remembers a passage of a camera from which reads come by two ways.
    pub(super) async fn mark(&self, conn: &mut Writing<'_>, copy: &PurposeCopy, id: &str, token: &str) -> Stored<()> {
        if !self.is_watched(copy.read.camera).await {
            return Ok(());
        }
        sqlx::query(
            "insert into read_mark (purpose, camera_id, token, at_us, id, is_pushed, received_at_us)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (purpose, id) do nothing",
        )
        .bind(copy.purpose.as_str())
        .bind(copy.read.camera.to_string())
        .bind(token.to_owned())
        .bind(copy.read.at.micros)
        .bind(id.to_owned())
        .bind(i64::from(is_pushed(copy)))
        .bind(copy.received_at.micros)
        .execute(conn)
        .await
        .map(drop)
        .map_err(db_error)
    }
}
