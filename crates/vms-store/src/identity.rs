//! Second factors, recovery codes, and what a session has shown.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::identity::machines::MachineCertificate;
use vms_app::identity::model::AccountNotice;
use vms_app::identity::oidc::Link;
use vms_app::identity::{Factor, FactorKind, IdentityStore};
use vms_app::model::Session;
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

fn machine(row: &AnyRow) -> Stored<MachineCertificate> {
    Ok(MachineCertificate {
        fingerprint: row.text("fingerprint")?,
        user: row.word("user_id")?,
        name: row.text("name")?,
        made_at: row.at("made_at_us")?,
        ends_at: row.at("ends_at_us")?,
        revoked_at: row.at_opt("revoked_at_us")?,
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

    async fn session_factor(&self, session: SessionId, at: WallTime, hard: bool) -> Stored<()> {
        write_txn!(self, |conn| {
            let sql = "update session set factor_at_us = $2, hard_at_us = case when $3 = 1 then $2 else hard_at_us end
                where id = $1";
            sqlx::query(sql)
                .bind(session.to_string())
                .bind(at.micros)
                .bind(i64::from(hard))
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }

    async fn session_renew(&self, session: SessionId, was: &str, token_hash: &str) -> Stored<bool> {
        write_txn!(self, |conn| {
            let sql = "update session set token_hash = $3 where id = $1 and token_hash = $2 and ended_at_us is null";
            let done = sqlx::query(sql)
                .bind(session.to_string())
                .bind(was.to_owned())
                .bind(token_hash.to_owned())
                .execute(conn)
                .await
                .map_err(db_error)?;
            Ok(done.rows_affected() == 1)
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

    async fn session_list(&self, user: UserId) -> Stored<Vec<Session>> {
        let sql = "select id, token_hash, csrf, user_id, profile, created_at_us, seen_at_us, ended_at_us, factor_at_us,
                hard_at_us, certificate
             from session where user_id = $1 and ended_at_us is null order by created_at_us desc, id desc";
        let rows = sqlx::query(sql).bind(user.to_string()).fetch_all(&self.read).await.map_err(db_error)?;
        rows.iter().map(crate::people::session).collect()
    }

    async fn link_put(&self, wanted: &Link, at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("delete from provider_link where user_id = $1 and issuer = $2")
                .bind(wanted.user.to_string())
                .bind(wanted.issuer.clone())
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
            sqlx::query("insert into provider_link (issuer, subject, user_id, linked_at_us) values ($1, $2, $3, $4)")
                .bind(wanted.issuer.clone())
                .bind(wanted.subject.clone())
                .bind(wanted.user.to_string())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }

    async fn link_delete(&self, user: UserId, issuer: &str) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("delete from provider_link where user_id = $1 and issuer = $2")
                .bind(user.to_string())
                .bind(issuer.to_owned())
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }

    async fn link_user(&self, issuer: &str, subject: &str) -> Stored<Option<UserId>> {
        let sql = "select user_id from provider_link where issuer = $1 and subject = $2";
        let query = sqlx::query(sql).bind(issuer.to_owned()).bind(subject.to_owned());
        let row = query.fetch_optional(&self.read).await.map_err(db_error)?;
        row.as_ref().map(|row| row.word("user_id")).transpose()
    }

    async fn link_list(&self, issuer: &str) -> Stored<Vec<Link>> {
        let sql = "select issuer, subject, user_id from provider_link where issuer = $1 order by subject";
        let rows = sqlx::query(sql).bind(issuer.to_owned()).fetch_all(&self.read).await.map_err(db_error)?;
        let link = |row: &AnyRow| {
            Ok(Link { user: row.word("user_id")?, issuer: row.text("issuer")?, subject: row.text("subject")? })
        };
        rows.iter().map(link).collect()
    }

    async fn machine_insert(&self, wanted: &MachineCertificate) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into machine_certificate (fingerprint, user_id, name, made_at_us, ends_at_us, revoked_at_us, used_at_us)
                 values ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(wanted.fingerprint.clone())
            .bind(wanted.user.to_string())
            .bind(wanted.name.clone())
            .bind(wanted.made_at.micros)
            .bind(wanted.ends_at.micros)
            .bind(wanted.revoked_at.map(|at| at.micros))
            .bind(wanted.used_at.map(|at| at.micros))
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn machine_list(&self, user: UserId) -> Stored<Vec<MachineCertificate>> {
        let sql = "select fingerprint, user_id, name, made_at_us, ends_at_us, revoked_at_us, used_at_us
             from machine_certificate where user_id = $1 order by made_at_us desc, fingerprint";
        let rows = sqlx::query(sql).bind(user.to_string()).fetch_all(&self.read).await.map_err(db_error)?;
        rows.iter().map(machine).collect()
    }

    async fn machine_find(&self, fingerprint: &str) -> Stored<Option<MachineCertificate>> {
        let sql = "select fingerprint, user_id, name, made_at_us, ends_at_us, revoked_at_us, used_at_us
             from machine_certificate where fingerprint = $1";
        let row = sqlx::query(sql).bind(fingerprint.to_owned()).fetch_optional(&self.read).await.map_err(db_error)?;
        row.as_ref().map(machine).transpose()
    }

    async fn machine_revoke(&self, user: UserId, fingerprint: &str, at: WallTime) -> Stored<bool> {
        write_txn!(self, |conn| {
            let sql = "update machine_certificate set revoked_at_us = $3
                where user_id = $1 and fingerprint = $2 and revoked_at_us is null";
            sqlx::query(sql)
                .bind(user.to_string())
                .bind(fingerprint.to_owned())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(|done| done.rows_affected() == 1)
                .map_err(db_error)
        })
    }

    async fn machine_used(&self, fingerprint: &str, at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("update machine_certificate set used_at_us = $2 where fingerprint = $1")
                .bind(fingerprint.to_owned())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }

    async fn account_notice_insert(&self, user: UserId, notice: &AccountNotice) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("insert into account_notice (user_id, at_us, what) values ($1, $2, $3)")
                .bind(user.to_string())
                .bind(notice.at.micros)
                .bind(notice.what.clone())
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }

    async fn account_notice_list(&self, user: UserId) -> Stored<Vec<AccountNotice>> {
        let sql = "select at_us, what from account_notice where user_id = $1 order by at_us desc, id desc limit 100";
        let rows = sqlx::query(sql).bind(user.to_string()).fetch_all(&self.read).await.map_err(db_error)?;
        rows.iter().map(|row| Ok(AccountNotice { at: row.at("at_us")?, what: row.text("what")? })).collect()
    }

    async fn account_notice_seen(&self, user: UserId, at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("delete from account_notice where user_id = $1 and at_us <= $2")
                .bind(user.to_string())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }
}
