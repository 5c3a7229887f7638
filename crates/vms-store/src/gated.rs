//! Decisions to keep footage behind the magistrate's gate.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::gated::{GatedApplied, GatedDecision, GatedStore};
use vms_app::model::Signature;
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_core::{RetentionClass, TimeRange, WallTime};

use crate::db::{Store, db_error};
use crate::row::{Columns as _, nonsense, signed, unsigned};

const ALL: &str = "select id, camera_id, class, from_us, to_us, purpose, ground, case_ref, decision_id, proposed_by, proposed_name,
        proposed_at_us, state, settled_by, settled_name, settled_at_us, refusal, applied_at_us, applied_hours, applied_waiting
   from gated_decision";

/// Who took a step, and when: columns `{verb}_by`, `{verb}_name`, `{verb}_at_us`.
pub(crate) fn signature(row: &AnyRow, verb: &str) -> Stored<Option<Signature>> {
    let Some(at) = row.at_opt(&format!("{verb}_at_us"))? else { return Ok(None) };
    let user = row.word(&format!("{verb}_by"))?;
    Ok(Some(Signature { user, name: row.text(&format!("{verb}_name"))?, at }))
}

fn decision(row: &AnyRow) -> Stored<GatedDecision> {
    let applied = match row.at_opt("applied_at_us")? {
        None => None,
        Some(at) => Some(GatedApplied {
            at,
            hours: unsigned(row.int("applied_hours")?)?,
            waiting: unsigned(row.int("applied_waiting")?)?,
        }),
    };
    Ok(GatedDecision {
        id: row.text("id")?.parse().map_err(|_| nonsense("id"))?,
        camera: row.word("camera_id")?,
        class: RetentionClass::parse(&row.text("class")?).ok_or_else(|| nonsense("class"))?,
        range: TimeRange::new(row.at("from_us")?, row.at("to_us")?).ok_or_else(|| nonsense("to_us"))?,
        purpose: row.word("purpose")?,
        ground: row.text("ground")?,
        case_ref: row.text("case_ref")?,
        decision: row.word("decision_id")?,
        proposed: signature(row, "proposed")?.ok_or_else(|| nonsense("proposed_at_us"))?,
        state: row.word("state")?,
        settled: signature(row, "settled")?,
        refusal: row.text_opt("refusal")?,
        applied,
    })
}

#[async_trait]
impl GatedStore for Store {
    async fn gated_insert(&self, wanted: &GatedDecision) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into gated_decision (id, camera_id, class, from_us, to_us, purpose, ground, case_ref, decision_id,
                    proposed_by, proposed_name, proposed_at_us, state)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.camera.to_string())
            .bind(wanted.class.as_str().to_owned())
            .bind(wanted.range.from.micros)
            .bind(wanted.range.to.micros)
            .bind(wanted.purpose.as_str())
            .bind(wanted.ground.clone())
            .bind(wanted.case_ref.clone())
            .bind(wanted.decision.to_string())
            .bind(wanted.proposed.user.to_string())
            .bind(wanted.proposed.name.clone())
            .bind(wanted.proposed.at.micros)
            .bind(wanted.state.as_str())
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn gated_fetch(&self, id: Uuid) -> Stored<Option<GatedDecision>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ALL} where id = $1")))
            .bind(id.to_string())
            .fetch_optional(&self.read)
            .await
            .map_err(db_error)?;
        row.as_ref().map(decision).transpose()
    }

    async fn gated_list(&self, below: Option<Uuid>, limit: u32) -> Stored<Vec<GatedDecision>> {
        let sql = format!("{ALL} where id < $1 order by id desc limit $2");
        // Ids are lower-case hexadecimal: each sorts before this one, under every collation.
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(below.map_or_else(|| "z".to_owned(), |id| id.to_string()))
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .map_err(db_error)?;
        rows.iter().map(decision).collect()
    }

    async fn gated_list_in_force(&self, since: WallTime) -> Stored<Vec<GatedDecision>> {
        let sql = format!("{ALL} where state = 'in_force' and to_us >= $1 order by id");
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(since.micros).fetch_all(&self.read).await.map_err(db_error)?;
        rows.iter().map(decision).collect()
    }

    async fn gated_settle(&self, wanted: &GatedDecision) -> Stored<()> {
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update gated_decision set state = $2, settled_by = $3, settled_name = $4, settled_at_us = $5, refusal = $6
                  where id = $1 and state = 'proposed'",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.state.as_str())
            .bind(wanted.settled.as_ref().map(|by| by.user.to_string()))
            .bind(wanted.settled.as_ref().map(|by| by.name.clone()))
            .bind(wanted.settled.as_ref().map(|by| by.at.micros))
            .bind(wanted.refusal.clone())
            .execute(conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }

    async fn gated_applied(&self, id: Uuid, applied: GatedApplied) -> Stored<()> {
        let (hours, waiting) = (signed(applied.hours)?, signed(applied.waiting)?);
        write_txn!(self, |conn| {
            sqlx::query(
                "update gated_decision set applied_at_us = $2, applied_hours = $3, applied_waiting = $4 where id = $1",
            )
            .bind(id.to_string())
            .bind(applied.at.micros)
            .bind(hours)
            .bind(waiting)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }
}
