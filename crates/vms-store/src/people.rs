//! Accounts and sessions.

use async_trait::async_trait;
use sqlx::Any;
use sqlx::any::AnyRow;
use sqlx::query::Query;
use vms_app::gate::Permit;
use vms_app::gate::action::AdminUsers;
use vms_app::model::{Account, PasswordState, Session};
use vms_app::ports::store::Stored;
use vms_app::ports::{AccountStore, SessionStore, StoreError};
use vms_core::{OrgId, Profile, SessionId, UserId, WallTime};

use crate::db::{Store, db_error};
use crate::row::{Columns as _, nonsense, signed};

const fn state_word(state: PasswordState) -> &'static str {
    match state {
        PasswordState::Own => "own",
        PasswordState::OneTime => "one_time",
        PasswordState::OneTimeUsed => "one_time_used",
    }
}

fn more_profiles(words: &str) -> Stored<Vec<Profile>> {
    words.split_ascii_whitespace().map(|word| word.parse().map_err(|_| nonsense("more_profiles"))).collect()
}

fn profile_words(profiles: &[Profile]) -> String {
    profiles.iter().map(|profile| profile.as_str()).collect::<Vec<_>>().join(" ")
}

fn account(row: &AnyRow) -> Stored<Account> {
    let password_state = match row.text("password_state")?.as_str() {
        "own" => PasswordState::Own,
        "one_time" => PasswordState::OneTime,
        "one_time_used" => PasswordState::OneTimeUsed,
        _ => return Err(nonsense("password_state")),
    };
    Ok(Account {
        id: row.word("id")?,
        org: row.word("org_id")?,
        user_name: row.text("user_name")?,
        name: row.text("name")?,
        password_hash: row.text("password_hash")?,
        password_state,
        profile: row.word("profile")?,
        more_profiles: more_profiles(&row.text("more_profiles")?)?,
        language: row.word("language")?,
        disabled_at: row.at_opt("disabled_at_us")?,
        charter_at: row.at_opt("charter_at_us")?,
        training_at: row.at_opt("training_at_us")?,
        cleared_at: row.at_opt("cleared_at_us")?,
        last_used_at: row.at("last_used_at_us")?,
        created_at: row.at("created_at_us")?,
        version: row.number("version")?,
    })
}

pub(crate) fn session(row: &AnyRow) -> Stored<Session> {
    Ok(Session {
        id: row.word("id")?,
        token_hash: row.text("token_hash")?,
        csrf: row.text("csrf")?,
        user: row.word("user_id")?,
        profile: row.word("profile")?,
        created_at: row.at("created_at_us")?,
        seen_at: row.at("seen_at_us")?,
        ended_at: row.at_opt("ended_at_us")?,
        factor_at: row.at_opt("factor_at_us")?,
        hard_at: row.at_opt("hard_at_us")?,
        certificate: row.text_opt("certificate")?,
    })
}

type Bound<'q> = Query<'q, Any, sqlx::any::AnyArguments>;

fn bind_account<'q>(query: Bound<'q>, account: &Account) -> Bound<'q> {
    query
        .bind(account.id.to_string())
        .bind(account.org.to_string())
        .bind(account.user_name.clone())
        .bind(account.name.clone())
        .bind(account.password_hash.clone())
        .bind(state_word(account.password_state))
        .bind(account.profile.as_str())
        .bind(account.language.as_str())
        .bind(account.disabled_at.map(|at| at.micros))
        .bind(account.charter_at.map(|at| at.micros))
        .bind(account.training_at.map(|at| at.micros))
        .bind(account.last_used_at.micros)
        .bind(account.cleared_at.map(|at| at.micros))
        .bind(profile_words(&account.more_profiles))
}

const ACCOUNT_COLUMNS: &str = "id, org_id, user_name, name, password_hash, password_state, profile, language,
    disabled_at_us, charter_at_us, training_at_us, cleared_at_us, more_profiles, last_used_at_us, created_at_us, version";

async fn account_where(store: &Store, sql: &'static str, value: String) -> Stored<Option<Account>> {
    let row = sqlx::query(sql).bind(value).fetch_optional(&store.read).await.map_err(db_error)?;
    row.as_ref().map(account).transpose()
}

#[async_trait]
impl AccountStore for Store {
    async fn account_count(&self) -> Stored<u64> {
        let row = sqlx::query("select count(*) as n from account").fetch_one(&self.write).await.map_err(db_error)?;
        row.number("n")
    }

    async fn account_by_user_name(&self, user_name: &str) -> Stored<Option<Account>> {
        let sql =
            "select id, org_id, user_name, name, password_hash, password_state, profile, language, disabled_at_us,
            charter_at_us, training_at_us, cleared_at_us, more_profiles, last_used_at_us, created_at_us, version from account where user_name = $1";
        account_where(self, sql, user_name.to_owned()).await
    }

    async fn account_of_session(&self, user: UserId) -> Stored<Option<Account>> {
        let sql =
            "select id, org_id, user_name, name, password_hash, password_state, profile, language, disabled_at_us,
            charter_at_us, training_at_us, cleared_at_us, more_profiles, last_used_at_us, created_at_us, version from account where id = $1";
        account_where(self, sql, user.to_string()).await
    }

    async fn account_list(
        &self,
        _permit: &Permit<AdminUsers>,
        org: Option<OrgId>,
        after: Option<UserId>,
        limit: u32,
    ) -> Stored<Vec<Account>> {
        let sql = format!(
            "select {ACCOUNT_COLUMNS} from account
              where (org_id = $1 or $1 = '') and id > $2 order by id limit $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(org.map(|id| id.to_string()).unwrap_or_default())
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .map_err(db_error)?;
        rows.iter().map(account).collect()
    }

    async fn account_insert(&self, wanted: &Account) -> Stored<()> {
        write_txn!(self, |conn| {
            let query = sqlx::query(
                "insert into account (id, org_id, user_name, name, password_hash, password_state, profile, language,
                    disabled_at_us, charter_at_us, training_at_us, last_used_at_us, cleared_at_us, more_profiles, created_at_us,
                    version)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1)",
            );
            let query = bind_account(query, wanted).bind(wanted.created_at.micros);
            query.execute(conn).await.map(drop).map_err(db_error)
        })
    }

    async fn account_update(&self, wanted: &Account) -> Stored<()> {
        let version = signed(wanted.version)?;
        write_txn!(self, |conn| {
            let query = sqlx::query(
                "update account set org_id = $2, user_name = $3, name = $4, password_hash = $5, password_state = $6,
                    profile = $7, language = $8, disabled_at_us = $9, charter_at_us = $10, training_at_us = $11,
                    last_used_at_us = $12, cleared_at_us = $13, more_profiles = $14, version = version + 1
                  where id = $1 and version = $15",
            );
            let query = bind_account(query, wanted).bind(version);
            let done = query.execute(conn).await.map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }

    async fn account_used(&self, user: UserId, at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("update account set last_used_at_us = $2 where id = $1 and last_used_at_us < $2")
                .bind(user.to_string())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }
}

#[async_trait]
impl SessionStore for Store {
    async fn session_insert(&self, wanted: &Session) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into session (id, token_hash, csrf, user_id, profile, created_at_us, seen_at_us, ended_at_us, factor_at_us,
                    hard_at_us, certificate)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.token_hash.clone())
            .bind(wanted.csrf.clone())
            .bind(wanted.user.to_string())
            .bind(wanted.profile.as_str())
            .bind(wanted.created_at.micros)
            .bind(wanted.seen_at.micros)
            .bind(wanted.ended_at.map(|at| at.micros))
            .bind(wanted.factor_at.map(|at| at.micros))
            .bind(wanted.hard_at.map(|at| at.micros))
            .bind(wanted.certificate.clone())
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn session_by_token(&self, token_hash: &str) -> Stored<Option<Session>> {
        let sql = "select id, token_hash, csrf, user_id, profile, created_at_us, seen_at_us, ended_at_us,
                factor_at_us, hard_at_us, certificate
             from session where token_hash = $1";
        let row = sqlx::query(sql).bind(token_hash.to_owned()).fetch_optional(&self.read).await.map_err(db_error)?;
        row.as_ref().map(session).transpose()
    }

    async fn session_fetch(&self, id: SessionId) -> Stored<Option<Session>> {
        let sql = "select id, token_hash, csrf, user_id, profile, created_at_us, seen_at_us, ended_at_us,
                factor_at_us, hard_at_us, certificate
             from session where id = $1";
        let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(&self.read).await.map_err(db_error)?;
        row.as_ref().map(session).transpose()
    }

    async fn session_seen(&self, id: SessionId, at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("update session set seen_at_us = $2 where id = $1 and seen_at_us < $2")
                .bind(id.to_string())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }

    async fn session_end(&self, id: SessionId, at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("update session set ended_at_us = $2 where id = $1 and ended_at_us is null")
                .bind(id.to_string())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }

    async fn session_end_of_user(&self, user: UserId, at: WallTime, but: Option<SessionId>) -> Stored<u64> {
        write_txn!(self, |conn| {
            sqlx::query("update session set ended_at_us = $2 where user_id = $1 and ended_at_us is null and id <> $3")
                .bind(user.to_string())
                .bind(at.micros)
                .bind(but.map(|id| id.to_string()).unwrap_or_default())
                .execute(conn)
                .await
                .map(|done| done.rows_affected())
                .map_err(db_error)
        })
    }

    async fn session_prune(&self, before: WallTime) -> Stored<u64> {
        write_txn!(self, |conn| {
            sqlx::query("delete from session where created_at_us < $1")
                .bind(before.micros)
                .execute(conn)
                .await
                .map(|done| done.rows_affected())
                .map_err(db_error)
        })
    }
}
