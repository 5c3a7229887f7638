//! Events of the last day, leases of work, details of the log's leaves.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::gate::Permit;
use vms_app::gate::action::{TracePlate, ViewAudit};
use vms_app::model::{Event, EventScope, LogDetail};
use vms_app::ports::store::Stored;
use vms_app::ports::{EventStore, LeaseStore, LogDetailStore};
use vms_app::words::EventKind;
use vms_core::{OrgId, TimeRange, WallTime};

use crate::db::{Store, db_error};
use crate::details::put_plate;
use crate::row::{Columns as _, nonsense, signed};

fn scope_columns(scope: EventScope) -> (&'static str, String, Option<&'static str>) {
    match scope {
        EventScope::Camera(id) => ("camera", id.to_string(), None),
        EventScope::CameraRight(id, right) => ("camera_right", id.to_string(), Some(right.as_str())),
        EventScope::Org(id, right) => ("org", id.to_string(), Some(right.as_str())),
        EventScope::Session(id) => ("session", id.to_string(), None),
    }
}

fn event(row: &AnyRow) -> Stored<Event> {
    let right = || row.word("scope_right");
    let scope = match row.text("scope")?.as_str() {
        "camera" => EventScope::Camera(row.word("scope_id")?),
        "camera_right" => EventScope::CameraRight(row.word("scope_id")?, right()?),
        "org" => EventScope::Org(row.word("scope_id")?, right()?),
        "session" => EventScope::Session(row.word("scope_id")?),
        _ => return Err(nonsense("scope")),
    };
    Ok(Event { id: row.int("id")?, at: row.at("at_us")?, kind: row.word("kind")?, scope, data: row.text("data")? })
}

#[async_trait]
impl EventStore for Store {
    async fn event_append(&self, at: WallTime, kind: EventKind, scope: EventScope, data: &str) -> Stored<i64> {
        let (scope, scope_id, right) = scope_columns(scope);
        write_txn!(self, |conn| {
            let row = sqlx::query(
                "insert into event_log (at_us, kind, scope, scope_id, scope_right, data)
                 values ($1, $2, $3, $4, $5, $6) returning id",
            )
            .bind(at.micros)
            .bind(kind.as_str())
            .bind(scope)
            .bind(scope_id.clone())
            .bind(right)
            .bind(data.to_owned())
            .fetch_one(conn)
            .await
            .map_err(db_error)?;
            row.int("id")
        })
    }

    async fn event_list_after(&self, after: i64, limit: u32) -> Stored<Vec<Event>> {
        let rows = sqlx::query(
            "select id, at_us, kind, scope, scope_id, scope_right, data from event_log
              where id > $1 order by id limit $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(event).collect()
    }

    async fn event_bounds(&self) -> Stored<Option<(i64, i64)>> {
        let row = sqlx::query("select min(id) as low, max(id) as high from event_log")
            .fetch_one(&self.read)
            .await
            .map_err(db_error)?;
        Ok(row.int_opt("low")?.zip(row.int_opt("high")?))
    }

    async fn event_prune(&self, before: WallTime) -> Stored<u64> {
        write_txn!(self, |conn| {
            sqlx::query("delete from event_log where at_us < $1")
                .bind(before.micros)
                .execute(conn)
                .await
                .map(|done| done.rows_affected())
                .map_err(db_error)
        })
    }
}

#[async_trait]
impl LeaseStore for Store {
    async fn lease_take(&self, name: &str, holder: &str, now: WallTime, until: WallTime) -> Stored<bool> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into lease (name, holder, until_us) values ($1, $2, $3)
                 on conflict (name) do update set holder = excluded.holder, until_us = excluded.until_us
                  where lease.holder = excluded.holder or lease.until_us <= $4",
            )
            .bind(name.to_owned())
            .bind(holder.to_owned())
            .bind(until.micros)
            .bind(now.micros)
            .execute(conn)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(db_error)
        })
    }

    async fn lease_release(&self, name: &str, holder: &str) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("delete from lease where name = $1 and holder = $2")
                .bind(name.to_owned())
                .bind(holder.to_owned())
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }
}

fn log_detail(row: &AnyRow) -> Stored<LogDetail> {
    Ok(LogDetail {
        index: row.number("leaf_index")?,
        at: row.at("at_us")?,
        org: row.word_opt("org_id")?,
        user: row.word_opt("user_id")?,
        operation: row.text("operation")?,
        decision: row.word_opt("decision_id")?,
        details: row.text("details")?,
    })
}

#[async_trait]
impl LogDetailStore for Store {
    async fn log_detail_put(&self, wanted: &LogDetail) -> Stored<()> {
        let index = signed(wanted.index)?;
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into log_detail (leaf_index, at_us, org_id, user_id, operation, decision_id, details)
                 values ($1, $2, $3, $4, $5, $6, $7) on conflict (leaf_index) do nothing",
            )
            .bind(index)
            .bind(wanted.at.micros)
            .bind(wanted.org.map(|id| id.to_string()))
            .bind(wanted.user.map(|id| id.to_string()))
            .bind(wanted.operation.clone())
            .bind(wanted.decision.map(|id| id.to_string()))
            .bind(wanted.details.clone())
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
            put_plate(conn, index, &wanted.details).await
        })
    }

    async fn log_detail_list(
        &self,
        _permit: &Permit<ViewAudit>,
        org: Option<OrgId>,
        range: TimeRange,
        below: Option<u64>,
        limit: u32,
    ) -> Stored<Vec<LogDetail>> {
        let below = below.map_or(Ok(i64::MAX), signed)?;
        let rows = sqlx::query(
            "select leaf_index, at_us, org_id, user_id, operation, decision_id, details from log_detail
              where (org_id = $1 or $1 = '') and at_us >= $2 and at_us < $3 and leaf_index < $4
              order by leaf_index desc limit $5",
        )
        .bind(org.map(|id| id.to_string()).unwrap_or_default())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .bind(below)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(log_detail).collect()
    }

    async fn log_detail_of_plate(
        &self,
        _permit: &Permit<TracePlate>,
        org: Option<OrgId>,
        hash: &str,
        range: TimeRange,
        below: Option<u64>,
        limit: u32,
    ) -> Stored<Vec<LogDetail>> {
        let below = below.map_or(Ok(i64::MAX), signed)?;
        let rows = sqlx::query(
            "select d.leaf_index, d.at_us, d.org_id, d.user_id, d.operation, d.decision_id, d.details
               from log_plate p join log_detail d on d.leaf_index = p.leaf_index
              where (p.plate_hash = $1 or (p.plate_hash = '' and d.details like $2))
                and (d.org_id = $3 or $3 = '') and d.at_us >= $4 and d.at_us < $5 and p.leaf_index < $6
              order by p.leaf_index desc limit $7",
        )
        .bind(hash.to_owned())
        .bind(format!("%\"object\":\"plate:{hash}:%"))
        .bind(org.map(|id| id.to_string()).unwrap_or_default())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .bind(below)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(log_detail).collect()
    }
}
