//! Connections, transactions, and what an error of the database means.

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyPool, Executor as _, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};
use vms_app::ports::StoreError;

use crate::bounded::{Reading, Writing, within};

/// Which of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// One file, one writer.
    Sqlite,
    /// A server, many writers.
    Postgres,
}

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// `sqlite:///path/file.db` or `postgres://user:password@host/name`.
    pub url: String,
    /// Connections for reading (SQLite), or for everything (PostgreSQL).
    pub connections_max: u32,
}

/// The central store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) read: Reading,
    pub(crate) write: AnyPool,
    dialect: Dialect,
    /// Longest wait for the answer to one statement.
    statement_max: Duration,
    /// Held by the one transaction of this process that is being repeated after a collision.
    turn: Arc<Mutex<()>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

/// Tries of one transaction before the caller hears "unavailable". Repeats of one process go one at a time, so what still
/// collides are first tries (each commits or joins the queue) and other processes.
const TRIES_MAX: u32 = 32;
/// Wait before a repeat grows by this with every try, so that two processes do not keep step.
const REPEAT_STEP: Duration = Duration::from_millis(2);
/// Longest wait of one call for a connection (a third of it) and for the answer to a statement (the rest): past it the caller
/// hears "unavailable", or, where a commit was on its way, "outcome unknown". Below the 10 s in which the API answers.
pub const ANSWER_MAX: Duration = Duration::from_secs(9);

/// Pragmas of every SQLite connection. `secure_delete` overwrites what was deleted; FULL syncs the WAL at each commit.
const SQLITE_PRAGMAS: &str = "pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on;
    pragma foreign_keys = on; pragma busy_timeout = 5000; pragma temp_store = memory;";

/// Whether nothing is open on a connection that comes back. When a full disk makes SQLite end a transaction by itself, the rollback
/// that sqlx sends is refused and its count stays one too high: no transaction could begin on this connection any more.
async fn is_idle(connection: &mut sqlx::AnyConnection) -> Result<bool, sqlx::Error> {
    use sqlx::Connection as _;
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // Goes behind the rollback of a transaction that was dropped.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

impl Store {
    /// Opens the database; SQLite's file is made when absent. Connects lazily: a PostgreSQL that is away now is no error
    /// here, but of the first query.
    ///
    /// # Errors
    /// [`StoreError::Internal`] for an address that is none.
    pub fn open(settings: &StoreSettings) -> Result<Self, StoreError> {
        Self::open_bounded(settings, ANSWER_MAX)
    }

    /// As [`open`](Self::open), with another bound than [`ANSWER_MAX`] on the wait of one call.
    ///
    /// # Errors
    /// [`StoreError::Internal`] for an address that is none.
    pub fn open_bounded(settings: &StoreSettings, answer_max: Duration) -> Result<Self, StoreError> {
        let (acquire_max, statement_max) = (answer_max / 3, answer_max * 2 / 3);
        install_default_drivers();
        let dialect = if settings.url.starts_with("sqlite:") { Dialect::Sqlite } else { Dialect::Postgres };
        let mut url = settings.url.clone();
        if dialect == Dialect::Sqlite && !url.contains('?') {
            url.push_str("?mode=rwc");
        }
        let options: AnyConnectOptions =
            url.parse().map_err(|error: sqlx::Error| StoreError::Internal(error.into()))?;
        let pool = |count: u32| {
            AnyPoolOptions::new()
                .max_connections(count)
                .acquire_timeout(acquire_max)
                .after_connect(move |conn, _| {
                    Box::pin(async move {
                        if dialect == Dialect::Sqlite {
                            conn.execute(SQLITE_PRAGMAS).await?;
                        }
                        Ok(())
                    })
                })
                .after_release(|conn, _| Box::pin(is_idle(conn)))
                .connect_lazy_with(options.clone())
        };
        let many = pool(settings.connections_max.max(2));
        let write = match dialect {
            // One writer: SQLite has a single write lock, and waiting in a queue is fairer than its busy loop.
            Dialect::Sqlite => pool(1),
            Dialect::Postgres => many.clone(),
        };
        // A reading call may wait for its connection too.
        let read = Reading { pool: many, limit: answer_max };
        Ok(Self { write, read, dialect, statement_max, turn: Arc::default() })
    }

    /// Which database it is.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The pool for single reading statements.
    pub const fn read(&self) -> &Reading {
        &self.read
    }

    /// Starts a writing transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        let statement = match self.dialect {
            // Takes the write lock at once: a transaction that reads first could not be upgraded under another's write.
            Dialect::Sqlite => "begin immediate",
            Dialect::Postgres => "begin isolation level serializable",
        };
        // The wait for a connection is bounded by the pool; this is for a server that falls silent in between.
        let limit = self.statement_max.saturating_mul(3) / 2;
        within(limit, self.write.begin_with(statement)).await.map_err(db_error)
    }

    /// The connection of a transaction, each of whose statements is answered in time or fails.
    pub fn writing<'t>(&self, txn: &'t mut Transaction<'static, Any>) -> Writing<'t> {
        Writing { conn: &mut *txn, limit: self.statement_max }
    }

    /// Ends a try of a transaction: `Some` is the outcome, `None` asks for another try.
    pub async fn settle<T>(
        &self,
        txn: Transaction<'static, Any>,
        outcome: Result<T, StoreError>,
        tried: u32,
    ) -> Option<Result<T, StoreError>> {
        let outcome = match outcome {
            Ok(value) => within(self.statement_max, txn.commit()).await.map_err(commit_error).map(|()| value),
            // Who does not answer a statement does not answer a rollback: dropped, the transaction is undone before the pool
            // gives its connection out again.
            Err(error @ StoreError::Unavailable(_)) => {
                drop(txn);
                Err(error)
            }
            Err(error) => {
                if let Err(rollback) = within(self.statement_max, txn.rollback()).await {
                    tracing::debug!(error = %rollback, "a rollback failed; the connection is dropped");
                }
                Err(error)
            }
        };
        match outcome {
            Err(error) if is_conflict(&error) => {
                if tried < TRIES_MAX {
                    return None;
                }
                let (StoreError::Internal(source) | StoreError::Unavailable(source)) = error else {
                    return Some(Err(error));
                };
                Some(Err(StoreError::Unavailable(source)))
            }
            settled => Some(settled),
        }
    }

    /// Waits for the right to repeat a transaction that collided. The guard is kept until that transaction is settled.
    pub async fn turn(&self, tried: u32) -> OwnedMutexGuard<()> {
        let guard = Arc::clone(&self.turn).lock_owned().await;
        tokio::time::sleep(REPEAT_STEP.saturating_mul(tried.saturating_sub(1))).await;
        guard
    }

    /// Closes all connections; for tests and shutdown.
    pub async fn close(&self) {
        self.read.pool.close().await;
        self.write.close().await;
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.read).await.map(drop).map_err(db_error)
    }
}

/// Runs `$body` in a writing transaction with `$conn: &mut AnyConnection`, again when the database says that two
/// transactions met: repeats wait for their turn, so any number of writers makes progress. The body must be repeatable
/// and gives `Result<_, StoreError>`.
#[macro_export]
macro_rules! write_txn {
    ($store:expr, |$conn:ident| $body:block) => {{
        let mut tried = 0_u32;
        loop {
            let turn = if tried == 0 { None } else { Some($store.turn(tried).await) };
            tried += 1;
            let mut txn = $store.begin().await?;
            let outcome = async {
                let mut writing = $store.writing(&mut txn);
                let $conn: &mut $crate::bounded::Writing<'_> = &mut writing;
                $body
            }
            .await;
            let settled = $store.settle(txn, outcome, tried).await;
            drop(turn);
            if let Some(settled) = settled {
                break settled;
            }
        }
    }};
}

/// Raises the assignment version, inside the transaction that changed a camera or partner.
pub(crate) async fn bump_assignment(conn: &mut Writing<'_>) -> Result<(), StoreError> {
    sqlx::query("update counter set value = value + 1 where name = 'assignment'")
        .execute(conn)
        .await
        .map(drop)
        .map_err(db_error)
}

/// Unique rules: how each database names them in its message, and the field that a person knows.
const UNIQUE: [(&str, &str, &str); 11] = [
    ("camera.code", "\"camera_code\"", "code"),
    ("camera.call_up", "\"camera_call_up\"", "call_up"),
    ("stream.camera_id", "\"stream_use\"", "streams"),
    ("account.user_name", "\"account_user_name\"", "user_name"),
    ("partner.org_id", "\"partner_pkey\"", "partner"),
    ("org.code", "\"org_code\"", "org"),
    ("session.token_hash", "\"session_token\"", "session"),
    ("legal_change.camera_id", "\"legal_change_waiting\"", "legal_change"),
    ("lease.name", "\"lease_pkey\"", "lease"),
    ("provider_link.issuer", "\"provider_link_pkey\"", "provider_subject"),
    ("machine_certificate.fingerprint", "\"machine_certificate_pkey\"", "fingerprint"),
];

/// Out of reach is worth a retry; a unique rule is the caller's conflict; anything else means our SQL or our schema.
pub fn db_error(error: sqlx::Error) -> StoreError {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Tls, WorkerCrashed};
    if matches!(error, Io(_) | Tls(_) | PoolClosed | PoolTimedOut | WorkerCrashed) {
        return StoreError::Unavailable(error.into());
    }
    if let sqlx::Error::Database(inner) = &error {
        if inner.is_unique_violation() {
            let message = inner.message();
            let found =
                UNIQUE.iter().find(|(sqlite, postgres, _)| message.contains(sqlite) || message.contains(postgres));
            return StoreError::Taken(found.map_or("id", |(_, _, field)| field));
        }
        // Class 08 connection, 53 resources, 57P0x shutdown; SQLite: busy, full, cannot open.
        let code = inner.code().unwrap_or_default();
        if ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) || ["5", "13", "14"].contains(&&*code) {
            return StoreError::Unavailable(error.into());
        }
    }
    StoreError::Internal(error.into())
}

/// A commit whose answer did not come is not one that did not happen.
fn commit_error(error: sqlx::Error) -> StoreError {
    match db_error(error) {
        StoreError::Unavailable(source) => StoreError::OutcomeUnknown(source),
        told @ (StoreError::Taken(_) | StoreError::Stale | StoreError::OutcomeUnknown(_) | StoreError::Internal(_)) => {
            told
        }
    }
}

/// Serialization failure or deadlock (PostgreSQL 40001, 40P01), or a snapshot that moved on (SQLite 517).
fn is_conflict(error: &StoreError) -> bool {
    let source = match error {
        StoreError::Internal(source) | StoreError::Unavailable(source) => source,
        StoreError::OutcomeUnknown(_) | StoreError::Taken(_) | StoreError::Stale => return false,
    };
    let Some(sqlx::Error::Database(inner)) = source.downcast_ref::<sqlx::Error>() else { return false };
    inner.code().is_some_and(|code| matches!(&*code, "40001" | "40P01" | "517"))
}
