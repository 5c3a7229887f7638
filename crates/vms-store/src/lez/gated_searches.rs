//! Orders of searches behind the magistrate's gate.

use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::gated_read_ports::GatedSearch;
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_core::{OrgId, TimeRange};

use super::LezVault;
use crate::db::db_error;
use crate::gated::signature;
use crate::row::{Columns as _, nonsense};

const ALL: &str = "select id, owner_id, camera_id, from_us, to_us, wish, purpose, ground, case_ref, magistrate_ref, decision_id, proposed_by,
        proposed_name, proposed_at_us, state, settled_by, settled_name, settled_at_us, refusal, expires_at_us
   from gated_search";

fn search(row: &AnyRow) -> Stored<GatedSearch> {
    Ok(GatedSearch {
        id: row.text("id")?.parse().map_err(|_| nonsense("id"))?,
        owner: row.word("owner_id")?,
        camera: row.word_opt("camera_id")?,
        range: TimeRange::new(row.at("from_us")?, row.at("to_us")?).ok_or_else(|| nonsense("to_us"))?,
        wish: row.text_opt("wish")?,
        purpose: row.word("purpose")?,
        ground: row.text("ground")?,
        case_ref: row.text("case_ref")?,
        magistrate_ref: row.text("magistrate_ref")?,
        decision: row.word("decision_id")?,
        proposed: signature(row, "proposed")?.ok_or_else(|| nonsense("proposed_at_us"))?,
        state: row.word("state")?,
        settled: signature(row, "settled")?,
        refusal: row.text_opt("refusal")?,
        expires_at: row.at("expires_at_us")?,
    })
}

impl LezVault {
    pub(super) async fn search_insert(&self, wanted: &GatedSearch) -> Stored<()> {
        write_txn!(self.store, |conn| {
            sqlx::query(
                "insert into gated_search (id, owner_id, camera_id, from_us, to_us, wish, purpose, ground, case_ref, magistrate_ref,
                    decision_id, proposed_by, proposed_name, proposed_at_us, state, expires_at_us)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.owner.to_string())
            .bind(wanted.camera.map(|id| id.to_string()))
            .bind(wanted.range.from.micros)
            .bind(wanted.range.to.micros)
            .bind(wanted.wish.clone())
            .bind(wanted.purpose.as_str())
            .bind(wanted.ground.clone())
            .bind(wanted.case_ref.clone())
            .bind(wanted.magistrate_ref.clone())
            .bind(wanted.decision.to_string())
            .bind(wanted.proposed.user.to_string())
            .bind(wanted.proposed.name.clone())
            .bind(wanted.proposed.at.micros)
            .bind(wanted.state.as_str())
            .bind(wanted.expires_at.micros)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    pub(super) async fn search_fetch(&self, id: Uuid) -> Stored<Option<GatedSearch>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ALL} where id = $1")))
            .bind(id.to_string())
            .fetch_optional(&self.store.read)
            .await
            .map_err(db_error)?;
        row.as_ref().map(search).transpose()
    }

    pub(super) async fn search_list(&self, owner: OrgId, below: Option<Uuid>, limit: u32) -> Stored<Vec<GatedSearch>> {
        let sql = format!("{ALL} where owner_id = $1 and id < $2 order by id desc limit $3");
        // Ids are lower-case hexadecimal: each sorts before this one, under every collation.
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(owner.to_string())
            .bind(below.map_or_else(|| "z".to_owned(), |id| id.to_string()))
            .bind(i64::from(limit))
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        rows.iter().map(search).collect()
    }

    pub(super) async fn search_settle(&self, wanted: &GatedSearch) -> Stored<()> {
        write_txn!(self.store, |conn| {
            let done = sqlx::query(
                "update gated_search set state = $2, settled_by = $3, settled_name = $4, settled_at_us = $5, refusal = $6, expires_at_us = $7
                  where id = $1 and state = 'proposed'",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.state.as_str())
            .bind(wanted.settled.as_ref().map(|by| by.user.to_string()))
            .bind(wanted.settled.as_ref().map(|by| by.name.clone()))
            .bind(wanted.settled.as_ref().map(|by| by.at.micros))
            .bind(wanted.refusal.clone())
            .bind(wanted.expires_at.micros)
            .execute(conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }
}
