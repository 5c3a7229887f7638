//! Versions of the role matrix.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::matrix_ports::{MatrixStore, MatrixVersion, ProfileCount};
use vms_app::model::Signature;
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_app::words::MatrixState;
use vms_core::{OrgId, Profile, WallTime};

use crate::bounded::Writing;
use crate::db::{Store, db_error};
use crate::row::{Columns as _, nonsense};

const ALL: &str = "select id, version, digest, body, base_digest, reason, proposed_by, proposed_name, proposed_at_us,
        created_at_us, active_at_us, state, settled_by, settled_name, settled_at_us, answer, activated_at_us, superseded_at_us
   from matrix_version";

fn signature(row: &AnyRow, verb: &str) -> Stored<Option<Signature>> {
    let Some(at) = row.at_opt(&format!("{verb}_at_us"))? else { return Ok(None) };
    let user = row.word(&format!("{verb}_by"))?;
    Ok(Some(Signature { user, name: row.text(&format!("{verb}_name"))?, at }))
}

fn version(row: &AnyRow) -> Stored<MatrixVersion> {
    Ok(MatrixVersion {
        id: row.text("id")?.parse().map_err(|_| nonsense("id"))?,
        version: row.text("version")?,
        digest: row.text("digest")?,
        text: row.text("body")?,
        base_digest: row.text("base_digest")?,
        reason: row.text("reason")?,
        proposed: signature(row, "proposed")?,
        created_at: row.at("created_at_us")?,
        active_at: row.at("active_at_us")?,
        state: row.word("state")?,
        settled: signature(row, "settled")?,
        answer: row.text_opt("answer")?,
        activated_at: row.at_opt("activated_at_us")?,
        superseded_at: row.at_opt("superseded_at_us")?,
    })
}

async fn insert_on(conn: &mut Writing<'_>, wanted: &MatrixVersion) -> Stored<()> {
    let proposed = wanted.proposed.as_ref();
    sqlx::query(
        "insert into matrix_version (id, version, digest, body, base_digest, reason, proposed_by, proposed_name,
            proposed_at_us, created_at_us, active_at_us, state, activated_at_us)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(wanted.id.to_string())
    .bind(wanted.version.clone())
    .bind(wanted.digest.clone())
    .bind(wanted.text.clone())
    .bind(wanted.base_digest.clone())
    .bind(wanted.reason.clone())
    .bind(proposed.map(|by| by.user.to_string()))
    .bind(proposed.map(|by| by.name.clone()))
    .bind(proposed.map(|by| by.at.micros))
    .bind(wanted.created_at.micros)
    .bind(wanted.active_at.micros)
    .bind(wanted.state.as_str())
    .bind(wanted.activated_at.map(|at| at.micros))
    .execute(conn)
    .await
    .map(drop)
    .map_err(db_error)
}

async fn supersede_on(conn: &mut Writing<'_>, at: WallTime) -> Stored<()> {
    sqlx::query("update matrix_version set state = 'superseded', superseded_at_us = $1 where state = 'active'")
        .bind(at.micros)
        .execute(conn)
        .await
        .map(drop)
        .map_err(db_error)
}

async fn activate_on(conn: &mut Writing<'_>, id: Uuid, at: WallTime) -> Stored<()> {
    let done = sqlx::query(
        "update matrix_version set state = 'active', activated_at_us = $2 where id = $1 and state = 'approved'",
    )
    .bind(id.to_string())
    .bind(at.micros)
    .execute(conn)
    .await
    .map_err(db_error)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
}

impl Store {
    async fn matrix_one(&self, condition: &str) -> Stored<Option<MatrixVersion>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ALL} where {condition}")))
            .fetch_optional(&self.read)
            .await
            .map_err(db_error)?;
        row.as_ref().map(version).transpose()
    }
}

#[async_trait]
impl MatrixStore for Store {
    async fn matrix_insert(&self, wanted: &MatrixVersion) -> Stored<()> {
        write_txn!(self, |conn| { insert_on(conn, wanted).await })
    }

    async fn matrix_fetch(&self, id: Uuid) -> Stored<Option<MatrixVersion>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ALL} where id = $1")))
            .bind(id.to_string())
            .fetch_optional(&self.read)
            .await
            .map_err(db_error)?;
        row.as_ref().map(version).transpose()
    }

    async fn matrix_list(&self, limit: u32) -> Stored<Vec<MatrixVersion>> {
        let sql = format!("{ALL} order by created_at_us desc, id desc limit $1");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .map_err(db_error)?;
        rows.iter().map(version).collect()
    }

    async fn matrix_active(&self) -> Stored<Option<MatrixVersion>> {
        self.matrix_one("state = 'active'").await
    }

    async fn matrix_open(&self) -> Stored<Option<MatrixVersion>> {
        self.matrix_one("state in ('waiting', 'approved')").await
    }

    async fn matrix_settle(&self, wanted: &MatrixVersion, from: MatrixState) -> Stored<()> {
        let Some(settled) = &wanted.settled else { return Err(nonsense("settled_by")) };
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update matrix_version set state = $2, settled_by = $3, settled_name = $4, settled_at_us = $5, answer = $6
                  where id = $1 and state = $7",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.state.as_str())
            .bind(settled.user.to_string())
            .bind(settled.name.clone())
            .bind(settled.at.micros)
            .bind(wanted.answer.clone())
            .bind(from.as_str())
            .execute(conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }

    async fn matrix_activate(&self, id: Uuid, at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            supersede_on(&mut *conn, at).await?;
            activate_on(conn, id, at).await
        })
    }

    async fn matrix_ship(&self, wanted: &MatrixVersion, at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            supersede_on(&mut *conn, at).await?;
            // Its row is made in its last state: another one may be open, and stays so.
            let activated_at = Some(at);
            insert_on(conn, &MatrixVersion { state: MatrixState::Active, activated_at, ..wanted.clone() }).await
        })
    }

    async fn matrix_people(&self) -> Stored<Vec<ProfileCount>> {
        let sql = "select org_id, profile, more_profiles from account where disabled_at_us is null";
        let rows = sqlx::query(sql).fetch_all(&self.read).await.map_err(db_error)?;
        let mut counts = std::collections::BTreeMap::<(OrgId, Profile), u64>::new();
        for row in &rows {
            let org: OrgId = row.word("org_id")?;
            let first: Profile = row.word("profile")?;
            let more = row.text("more_profiles")?;
            let more: Result<Vec<Profile>, _> = more.split_ascii_whitespace().map(str::parse).collect();
            for profile in std::iter::once(first).chain(more.map_err(|_| nonsense("more_profiles"))?) {
                *counts.entry((org, profile)).or_default() += 1;
            }
        }
        Ok(counts.into_iter().map(|((org, profile), accounts)| ProfileCount { org, profile, accounts }).collect())
    }
}
