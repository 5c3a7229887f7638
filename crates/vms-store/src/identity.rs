//! Second factors, recovery codes, and what a session has shown.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::identity::{Factor, FactorKind, IdentityStore};
use vms_app::ports::store::Stored;
use vms_core::{Profile, SessionId, UserId, WallTime};

use crate::db::{Store, db_error};
use crate::row::{Columns as _, nonsense};

fn factor(row: &AnyRow) -> Stored<Factor> {
    let kind = match row.text("kind")?.as_str() {
        "totp" => FactorKind::Totp,
        "webauthn" => FactorKind::WebAuthn,
        _ => return Err(nonsense("kind")),
    };
    Ok(Factor {
        id: row.word("id")?,
        user: row.word("user_id")?,
        kind,
        name: row.text("name")?,
        material: row.blob_opt("material")?.ok_or_else(|| nonsense("material"))?,
        credential: row.text_opt("credential")?,
        counter: row.int("counter")?,
        created_at: row.at("created_at_us")?,
        confirmed_at: row.at_opt("confirmed_at_us")?,
        used_at: row.at_opt("used_at_us")?,
    })
}

#[async_trait]
impl IdentityStore for Store {
    async fn factor_insert(&self, wanted: &Factor) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into factor (id, user_id, kind, name, material, credential, counter, created_at_us, confirmed_at_us,
                    used_at_us)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.user.to_string())
            .bind(wanted.kind.as_str())
            .bind(wanted.name.clone())
            .bind(wanted.material.clone())
            .bind(wanted.credential.clone())
            .bind(wanted.counter)
            .bind(wanted.created_at.micros)
            .bind(wanted.confirmed_at.map(|at| at.micros))
            .bind(wanted.used_at.map(|at| at.micros))
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn factor_list(&self, user: UserId) -> Stored<Vec<Factor>> {
        let sql =
            "select id, user_id, kind, name, material, credential, counter, created_at_us, confirmed_at_us, used_at_us
             from factor where user_id = $1 order by created_at_us, id";
        let rows = sqlx::query(sql).bind(user.to_string()).fetch_all(&self.read).await.map_err(db_error)?;
        rows.iter().map(factor).collect()
    }

    async fn factor_any(&self, user: UserId) -> Stored<bool> {
        let sql = "select count(*) as n from factor where user_id = $1 and confirmed_at_us is not null";
        let row = sqlx::query(sql).bind(user.to_string()).fetch_one(&self.read).await.map_err(db_error)?;
        Ok(row.int("n")? > 0)
    }

    async fn factor_use(&self, id: Uuid, counter: i64, or_equal: bool, at: WallTime) -> Stored<bool> {
        write_txn!(self, |conn| {
            sqlx::query(
                "update factor set counter = $2, used_at_us = $3, confirmed_at_us = coalesce(confirmed_at_us, $3)
                  where id = $1 and (counter < $2 or (counter = $2 and $4 = 1))",
            )
            .bind(id.to_string())
            .bind(counter)
            .bind(at.micros)
            .bind(i64::from(or_equal))
            .execute(conn)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(db_error)
        })
    }

    async fn factor_delete(&self, user: UserId, id: Uuid) -> Stored<bool> {
        write_txn!(self, |conn| {
            sqlx::query("delete from factor where user_id = $1 and id = $2")
                .bind(user.to_string())
                .bind(id.to_string())
                .execute(conn)
                .await
                .map(|done| done.rows_affected() == 1)
                .map_err(db_error)
        })
    }

    async fn factor_clear(&self, user: UserId) -> Stored<u64> {
        write_txn!(self, |conn| {
            sqlx::query("delete from recovery_code where user_id = $1")
                .bind(user.to_string())
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
            sqlx::query("delete from factor where user_id = $1")
                .bind(user.to_string())
                .execute(conn)
                .await
                .map(|done| done.rows_affected())
                .map_err(db_error)
        })
    }

    async fn recovery_replace(&self, user: UserId, hashes: &[String], at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("delete from recovery_code where user_id = $1")
                .bind(user.to_string())
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
            for hash in hashes {
                sqlx::query("insert into recovery_code (user_id, code_hash, made_at_us) values ($1, $2, $3)")
                    .bind(user.to_string())
                    .bind(hash.clone())
                    .bind(at.micros)
                    .execute(&mut *conn)
                    .await
                    .map_err(db_error)?;
            }
            Ok(())
        })
    }

    async fn recovery_use(&self, user: UserId, hash: &str, at: WallTime) -> Stored<bool> {
        write_txn!(self, |conn| {
            sqlx::query(
                "update recovery_code set used_at_us = $3 where user_id = $1 and code_hash = $2 and used_at_us is null",
            )
            .bind(user.to_string())
            .bind(hash.to_owned())
            .bind(at.micros)
            .execute(conn)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(db_error)
        })
    }

    async fn recovery_left(&self, user: UserId) -> Stored<u64> {
        let sql = "select count(*) as n from recovery_code where user_id = $1 and used_at_us is null";
        let row = sqlx::query(sql).bind(user.to_string()).fetch_one(&self.read).await.map_err(db_error)?;
        row.number("n")
    }

    async fn session_factor(&self, session: SessionId, at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("update session set factor_at_us = $2 where id = $1")
                .bind(session.to_string())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }

    async fn session_profile(&self, session: SessionId, profile: Profile) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("update session set profile = $2 where id = $1")
                .bind(session.to_string())
                .bind(profile.as_str())
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }
}
