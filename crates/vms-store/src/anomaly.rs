//! Alarms about somebody's unusual use, and the uses that the watch reads.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::model::LogDetail;
use vms_app::oversight::anomaly::{Anomaly, AnomalyStore};
use vms_app::oversight::anomaly_rules::Breach;
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_core::WallTime;

use crate::db::{Store, db_error};
use crate::oversight::log_detail;
use crate::row::{Columns as _, one, rows, signed};
use crate::sharing::signature;

const ALL: &str =
    "select id, user_id, org_id, rule, counted, allowed, window_s, at_us, told_at_us, state, answer, settled_by,
        settled_name, settled_at_us
   from anomaly";

fn anomaly(row: &AnyRow) -> Stored<Anomaly> {
    Ok(Anomaly {
        id: row.word("id")?,
        breach: Breach {
            rule: row.text("rule")?,
            user: row.word("user_id")?,
            org: row.word("org_id")?,
            counted: row.number("counted")?,
            allowed: row.number("allowed")?,
            window_s: row.number("window_s")?,
            at: row.at("at_us")?,
        },
        told_at: row.at("told_at_us")?,
        state: row.word("state")?,
        answer: row.text_opt("answer")?,
        settled: signature(row, "settled")?,
    })
}

#[async_trait]
impl AnomalyStore for Store {
    async fn anomaly_insert(&self, wanted: &Anomaly) -> Stored<()> {
        let breach = &wanted.breach;
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into anomaly (id, user_id, org_id, rule, counted, allowed, window_s, at_us, told_at_us, state)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(wanted.id.to_string())
            .bind(breach.user.to_string())
            .bind(breach.org.to_string())
            .bind(breach.rule.clone())
            .bind(i64::from(breach.counted))
            .bind(i64::from(breach.allowed))
            .bind(i64::from(breach.window_s))
            .bind(breach.at.micros)
            .bind(wanted.told_at.micros)
            .bind(wanted.state.as_str())
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn anomaly_fetch(&self, id: Uuid) -> Stored<Option<Anomaly>> {
        one(self, format!("{ALL} where id = $1"), id).await?.as_ref().map(anomaly).transpose()
    }

    async fn anomaly_list(&self, limit: u32) -> Stored<Vec<Anomaly>> {
        let sql = format!("{ALL} order by told_at_us desc, id desc limit $1");
        rows(self, sql, Some(i64::from(limit))).await?.iter().map(anomaly).collect()
    }

    async fn anomaly_open(&self) -> Stored<u64> {
        let found = rows(self, "select count(*) as n from anomaly where state = 'open'".to_owned(), None).await?;
        found.first().map_or(Ok(0), |row| row.number("n"))
    }

    async fn anomaly_settle(&self, wanted: &Anomaly) -> Stored<()> {
        let by = wanted.settled.as_ref();
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update anomaly set state = $2, answer = $3, settled_by = $4, settled_name = $5, settled_at_us = $6
                  where id = $1 and state = 'open'",
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

    async fn anomaly_scan(&self, above: Option<u64>, from: WallTime, limit: u32) -> Stored<Vec<LogDetail>> {
        let above = above.map_or(Ok(-1), signed)?;
        let rows = sqlx::query(
            "select leaf_index, at_us, org_id, user_id, operation, decision_id, details from log_detail
              where leaf_index > $1 and at_us >= $2 order by leaf_index limit $3",
        )
        .bind(above)
        .bind(from.micros)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(log_detail).collect()
    }
}
