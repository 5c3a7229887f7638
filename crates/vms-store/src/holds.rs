//! Holds on footage.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::model::{Hold, HoldApplied, Signature};
use vms_app::ports::store::Stored;
use vms_app::ports::{HoldStore, StoreError};
use vms_app::words::HoldState;
use vms_core::{HoldId, TimeRange, WallTime};

use crate::db::{Store, bump_assignment, db_error};
use crate::row::{Columns as _, nonsense, signed, unsigned};

const ALL: &str = "select id, camera_id, from_us, to_us, purpose, case_ref, reason, until_us, review_by_us, decision_id,
        set_by, set_name, set_at_us, state, release_reason, asked_by, asked_name, asked_at_us, released_by, released_name,
        released_at_us, review_reason, reviewed_by, reviewed_name, reviewed_at_us, applied_at_us, applied_segments,
        refused_segments
   from hold";

fn signature(row: &AnyRow, verb: &str) -> Stored<Option<Signature>> {
    let Some(at) = row.at_opt(&format!("{verb}_at_us"))? else { return Ok(None) };
    let user = row.word(&format!("{verb}_by"))?;
    Ok(Some(Signature { user, name: row.text(&format!("{verb}_name"))?, at }))
}

fn said(row: &AnyRow, reason: &str, verb: &str) -> Stored<Option<(String, Signature)>> {
    let Some(by) = signature(row, verb)? else { return Ok(None) };
    Ok(Some((row.text(reason)?, by)))
}

fn hold(row: &AnyRow) -> Stored<Hold> {
    let applied = match row.at_opt("applied_at_us")? {
        None => None,
        Some(at) => Some(HoldApplied {
            at,
            segments: unsigned(row.int("applied_segments")?)?,
            refused: unsigned(row.int("refused_segments")?)?,
        }),
    };
    Ok(Hold {
        id: row.word("id")?,
        camera: row.word("camera_id")?,
        range: TimeRange::new(row.at("from_us")?, row.at("to_us")?).ok_or_else(|| nonsense("to_us"))?,
        purpose: row.word("purpose")?,
        case_ref: row.text_opt("case_ref")?,
        reason: row.text("reason")?,
        until: row.at("until_us")?,
        review_by: row.at("review_by_us")?,
        decision: row.word("decision_id")?,
        set: signature(row, "set")?.ok_or_else(|| nonsense("set_at_us"))?,
        state: row.word("state")?,
        release: said(row, "release_reason", "asked")?,
        released: signature(row, "released")?,
        reviewed: said(row, "review_reason", "reviewed")?,
        applied,
    })
}

/// User, name and instant of a signature, for three columns.
fn columns(by: Option<&Signature>) -> (Option<String>, Option<String>, Option<i64>) {
    (by.map(|by| by.user.to_string()), by.map(|by| by.name.clone()), by.map(|by| by.at.micros))
}

#[async_trait]
impl HoldStore for Store {
    async fn hold_insert(&self, wanted: &Hold) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into hold (id, camera_id, from_us, to_us, purpose, case_ref, reason, until_us, review_by_us,
                    decision_id, set_by, set_name, set_at_us, state)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.camera.to_string())
            .bind(wanted.range.from.micros)
            .bind(wanted.range.to.micros)
            .bind(wanted.purpose.as_str())
            .bind(wanted.case_ref.clone())
            .bind(wanted.reason.clone())
            .bind(wanted.until.micros)
            .bind(wanted.review_by.micros)
            .bind(wanted.decision.to_string())
            .bind(wanted.set.user.to_string())
            .bind(wanted.set.name.clone())
            .bind(wanted.set.at.micros)
            .bind(wanted.state.as_str())
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
            bump_assignment(conn).await
        })
    }

    async fn hold_fetch(&self, id: HoldId) -> Stored<Option<Hold>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ALL} where id = $1")))
            .bind(id.to_string())
            .fetch_optional(&self.read)
            .await
            .map_err(db_error)?;
        row.as_ref().map(hold).transpose()
    }

    async fn hold_list(&self, open: bool, below: Option<HoldId>, limit: u32) -> Stored<Vec<Hold>> {
        let only = if open { "and state <> 'released'" } else { "" };
        let sql = format!("{ALL} where id < $1 {only} order by id desc limit $2");
        // Ids are lower-case hexadecimal: each sorts before this one, under every collation.
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(below.map_or_else(|| "hld_z".to_owned(), |id| id.to_string()))
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .map_err(db_error)?;
        rows.iter().map(hold).collect()
    }

    async fn hold_list_for_recorder(&self, since: WallTime) -> Stored<Vec<Hold>> {
        let sql = format!("{ALL} where state <> 'released' or released_at_us >= $1 order by id");
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(since.micros).fetch_all(&self.read).await.map_err(db_error)?;
        rows.iter().map(hold).collect()
    }

    async fn hold_update(&self, wanted: &Hold, was: HoldState) -> Stored<()> {
        let (asked_by, asked_name, asked_at) = columns(wanted.release.as_ref().map(|(_, by)| by));
        let (released_by, released_name, released_at) = columns(wanted.released.as_ref());
        let (reviewed_by, reviewed_name, reviewed_at) = columns(wanted.reviewed.as_ref().map(|(_, by)| by));
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update hold set state = $3, until_us = $4, review_by_us = $5, release_reason = $6, asked_by = $7,
                    asked_name = $8, asked_at_us = $9, released_by = $10, released_name = $11, released_at_us = $12,
                    review_reason = $13, reviewed_by = $14, reviewed_name = $15, reviewed_at_us = $16
                  where id = $1 and state = $2",
            )
            .bind(wanted.id.to_string())
            .bind(was.as_str())
            .bind(wanted.state.as_str())
            .bind(wanted.until.micros)
            .bind(wanted.review_by.micros)
            .bind(wanted.release.as_ref().map(|(text, _)| text.clone()))
            .bind(asked_by.clone())
            .bind(asked_name.clone())
            .bind(asked_at)
            .bind(released_by.clone())
            .bind(released_name.clone())
            .bind(released_at)
            .bind(wanted.reviewed.as_ref().map(|(text, _)| text.clone()))
            .bind(reviewed_by.clone())
            .bind(reviewed_name.clone())
            .bind(reviewed_at)
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() != 1 {
                return Err(StoreError::Stale);
            }
            if wanted.state == HoldState::Released { bump_assignment(conn).await } else { Ok(()) }
        })
    }

    async fn hold_applied(&self, id: HoldId, applied: HoldApplied) -> Stored<()> {
        let (segments, refused) = (signed(applied.segments)?, signed(applied.refused)?);
        write_txn!(self, |conn| {
            sqlx::query(
                "update hold set applied_at_us = $2, applied_segments = $3, refused_segments = $4 where id = $1",
            )
            .bind(id.to_string())
            .bind(applied.at.micros)
            .bind(segments)
            .bind(refused)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }
}
