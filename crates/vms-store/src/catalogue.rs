//! The copy of the recorders' indexes, and open playbacks.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::model::{GapCopy, PlaybackRow, SegmentCopy};
use vms_app::ports::store::Stored;
use vms_app::ports::{CatalogueStore, PlaybackStore};
use vms_core::{DecisionId, StreamId, TimeRange, WallTime};

use crate::bounded::Writing;
use crate::db::{Store, db_error};
use crate::row::{Columns as _, nonsense, signed};

fn segment(row: &AnyRow) -> Stored<SegmentCopy> {
    Ok(SegmentCopy {
        segment: row.word("id")?,
        stream: row.word("stream_id")?,
        from: row.at("from_us")?,
        to: row.at("to_us")?,
        payload_bytes: row.number("payload_bytes")?,
        units: row.number("units")?,
        is_closed: row.int("is_closed")? == 1,
        erased_at: row.at_opt("erased_at_us")?,
        retention_class: row.text("retention_class")?,
        clock_stepped: row.int("clock_stepped")? == 1,
        camera_clock_off: row.int("camera_clock_off")? == 1,
    })
}

async fn segment_put(conn: &mut Writing<'_>, wanted: &SegmentCopy) -> Stored<()> {
    sqlx::query(
        "insert into segment_copy (id, stream_id, from_us, to_us, payload_bytes, units, is_closed, erased_at_us,
            retention_class, clock_stepped, camera_clock_off)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (id) do update set from_us = excluded.from_us, to_us = excluded.to_us,
            payload_bytes = excluded.payload_bytes, units = excluded.units, is_closed = excluded.is_closed,
            erased_at_us = excluded.erased_at_us, clock_stepped = excluded.clock_stepped,
            camera_clock_off = excluded.camera_clock_off",
    )
    .bind(wanted.segment.to_string())
    .bind(wanted.stream.to_string())
    .bind(wanted.from.micros)
    .bind(wanted.to.micros)
    .bind(signed(wanted.payload_bytes)?)
    .bind(i64::from(wanted.units))
    .bind(i64::from(wanted.is_closed))
    .bind(wanted.erased_at.map(|at| at.micros))
    .bind(wanted.retention_class.clone())
    .bind(i64::from(wanted.clock_stepped))
    .bind(i64::from(wanted.camera_clock_off))
    .execute(conn)
    .await
    .map(drop)
    .map_err(db_error)
}

async fn gap_put(conn: &mut Writing<'_>, wanted: &GapCopy) -> Stored<()> {
    sqlx::query(
        "insert into gap_copy (stream_id, from_us, to_us, cause) values ($1, $2, $3, $4)
         on conflict (stream_id, from_us) do update set to_us = excluded.to_us, cause = excluded.cause",
    )
    .bind(wanted.stream.to_string())
    .bind(wanted.from.micros)
    .bind(wanted.to.map(|at| at.micros))
    .bind(wanted.cause.as_str())
    .execute(conn)
    .await
    .map(drop)
    .map_err(db_error)
}

#[async_trait]
impl CatalogueStore for Store {
    async fn catalogue_cursor(&self, recorder: &str) -> Stored<u64> {
        let row = sqlx::query("select cursor from catalogue_cursor where recorder = $1")
            .bind(recorder.to_owned())
            .fetch_optional(&self.read)
            .await
            .map_err(db_error)?;
        row.map_or(Ok(0), |row| row.number("cursor"))
    }

    async fn catalogue_apply(
        &self,
        recorder: &str,
        segments: &[SegmentCopy],
        gaps: &[GapCopy],
        cursor: u64,
    ) -> Stored<()> {
        let cursor = signed(cursor)?;
        write_txn!(self, |conn| {
            for segment in segments {
                segment_put(&mut *conn, segment).await?;
            }
            for gap in gaps {
                gap_put(&mut *conn, gap).await?;
            }
            sqlx::query(
                "insert into catalogue_cursor (recorder, cursor) values ($1, $2)
                 on conflict (recorder) do update set cursor = excluded.cursor",
            )
            .bind(recorder.to_owned())
            .bind(cursor)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn segment_list(&self, stream: StreamId, range: TimeRange, limit: u32) -> Stored<Vec<SegmentCopy>> {
        let rows = sqlx::query(
            "select id, stream_id, from_us, to_us, payload_bytes, units, is_closed, erased_at_us, retention_class,
                    clock_stepped, camera_clock_off
               from segment_copy
              where stream_id = $1 and to_us > $2 and from_us < $3 and erased_at_us is null
              order by from_us, id limit $4",
        )
        .bind(stream.to_string())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(segment).collect()
    }

    async fn gap_list(&self, stream: StreamId, range: TimeRange, limit: u32) -> Stored<Vec<GapCopy>> {
        let rows = sqlx::query(
            "select stream_id, from_us, to_us, cause from gap_copy
              where stream_id = $1 and (to_us > $2 or to_us is null) and from_us < $3
              order by from_us limit $4",
        )
        .bind(stream.to_string())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        let gap = |row: &AnyRow| {
            Ok(GapCopy {
                stream: row.word("stream_id")?,
                from: row.at("from_us")?,
                to: row.at_opt("to_us")?,
                cause: row.word("cause")?,
            })
        };
        rows.iter().map(gap).collect()
    }
}

fn playback(row: &AnyRow) -> Stored<PlaybackRow> {
    Ok(PlaybackRow {
        decision: row.word("decision_id")?,
        log_index: row.number("log_index")?,
        session: row.word("session_id")?,
        stream: row.word("stream_id")?,
        range: TimeRange::new(row.at("from_us")?, row.at("to_us")?).ok_or_else(|| nonsense("to_us"))?,
        opened_at: row.at("opened_at_us")?,
    })
}

#[async_trait]
impl PlaybackStore for Store {
    async fn playback_insert(&self, wanted: &PlaybackRow) -> Stored<()> {
        let log_index = signed(wanted.log_index)?;
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into playback (decision_id, log_index, session_id, stream_id, from_us, to_us, opened_at_us)
                 values ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(wanted.decision.to_string())
            .bind(log_index)
            .bind(wanted.session.to_string())
            .bind(wanted.stream.to_string())
            .bind(wanted.range.from.micros)
            .bind(wanted.range.to.micros)
            .bind(wanted.opened_at.micros)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn playback_close(&self, decision: DecisionId, at: WallTime, bytes: u64) -> Stored<()> {
        let bytes = signed(bytes)?;
        write_txn!(self, |conn| {
            sqlx::query(
                "update playback set closed_at_us = $2, delivered_bytes = $3
                  where decision_id = $1 and closed_at_us is null",
            )
            .bind(decision.to_string())
            .bind(at.micros)
            .bind(bytes)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn playback_list_open(&self) -> Stored<Vec<PlaybackRow>> {
        let rows = sqlx::query(
            "select decision_id, log_index, session_id, stream_id, from_us, to_us, opened_at_us
               from playback where closed_at_us is null order by opened_at_us, decision_id",
        )
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(playback).collect()
    }
}
