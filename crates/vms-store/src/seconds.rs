//! What waits for a second person.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_app::sharing::seconds::{SecondStore, SecondWish};

use crate::db::{Store, db_error};
use crate::row::{Columns as _, one, rows};
use crate::sharing::{signature, signed_by};

const ALL: &str =
    "select id, kind, object, owner_id, reason, asked_by, asked_name, asked_at_us, state, answer, settled_by,
        settled_name, settled_at_us
   from second_wish";

fn wish(row: &AnyRow) -> Stored<SecondWish> {
    Ok(SecondWish {
        id: row.word("id")?,
        kind: row.word("kind")?,
        object: row.text("object")?,
        owner: row.word("owner_id")?,
        reason: row.text("reason")?,
        asked: signed_by(row, "asked")?,
        state: row.word("state")?,
        answer: row.text_opt("answer")?,
        settled: signature(row, "settled")?,
    })
}

#[async_trait]
impl SecondStore for Store {
    async fn second_insert(&self, wanted: &SecondWish) -> Stored<()> {
        let outcome = write_txn!(self, |conn| {
            sqlx::query(
                "insert into second_wish (id, kind, object, owner_id, reason, asked_by, asked_name, asked_at_us, state)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.kind.as_str())
            .bind(wanted.object.clone())
            .bind(wanted.owner.to_string())
            .bind(wanted.reason.clone())
            .bind(wanted.asked.user.to_string())
            .bind(wanted.asked.name.clone())
            .bind(wanted.asked.at.micros)
            .bind(wanted.state.as_str())
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        });
        // The one unique rule besides the key.
        outcome.map_err(|error| match error {
            StoreError::Taken(_) => StoreError::Taken("wish"),
            other @ (StoreError::Unavailable(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::Stale
            | StoreError::Internal(_)) => other,
        })
    }

    async fn second_fetch(&self, id: Uuid) -> Stored<Option<SecondWish>> {
        one(self, format!("{ALL} where id = $1"), id).await?.as_ref().map(wish).transpose()
    }

    async fn second_list(&self, limit: u32) -> Stored<Vec<SecondWish>> {
        let sql = format!("{ALL} order by asked_at_us desc, id desc limit $1");
        rows(self, sql, Some(i64::from(limit))).await?.iter().map(wish).collect()
    }

    async fn second_settle(&self, wanted: &SecondWish) -> Stored<()> {
        let by = wanted.settled.as_ref();
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update second_wish set state = $2, answer = $3, settled_by = $4, settled_name = $5, settled_at_us = $6
                  where id = $1 and state = 'waiting'",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.state.as_str())
            .bind(wanted.answer.clone())
            .bind(by.map(|by| by.user.to_string()))
            .bind(by.map(|by| by.name.clone()))
            .bind(by.map(|by| by.at.micros))
            .execute(conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }
}
