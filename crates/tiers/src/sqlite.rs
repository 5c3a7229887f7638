//! A connection to SQLite that is worth using again.

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnection, SqlitePoolOptions};

/// Pool options under which a connection comes back only when it is between two transactions.
///
/// A full or failing disk makes SQLite end a transaction by itself. The `rollback` that sqlx sends then is refused, its count of open
/// transactions stays one too high, the next transaction becomes a savepoint, and when that fails too it stays open and
/// keeps the write lock for good: every other writer waits in vain although the disk has room again.
pub fn pool_options(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).after_release(|connection, _| Box::pin(is_idle(connection)))
}

/// Whether nothing is open on a connection.
pub(crate) async fn is_idle(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // Goes behind the rollback of a transaction that was dropped.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

#[cfg(test)]
mod tests {
    use sqlx::SqlitePool;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

    use super::*;

    async fn fill(pool: &SqlitePool, rows: u32) -> Result<(), sqlx::Error> {
        let mut tx = pool.begin().await?;
        for _ in 0..rows {
            sqlx::query("insert into t values (randomblob(3000))").execute(&mut *tx).await?;
        }
        tx.commit().await
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_ended_leaves_no_lock_behind() {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(dir.path().join("a.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(std::time::Duration::from_millis(200));
        let pool = pool_options(1).connect_with(options.clone()).await.unwrap();
        sqlx::query("create table t (b blob)").execute(&pool).await.unwrap();
        let other = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        for round in 0..3 {
            // What SQLite does by itself when a write finds no space.
            let mut tx = pool.begin().await.unwrap();
            sqlx::query("insert into t values (x'00')").execute(&mut *tx).await.unwrap();
            sqlx::query("rollback").execute(&mut *tx).await.unwrap();
            drop(tx);
            // The next one fails too, for whatever reason.
            let mut tx = pool.begin().await.unwrap();
            sqlx::query("insert into t values (x'01')").execute(&mut *tx).await.unwrap();
            drop(tx);
            fill(&other, 1).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
            fill(&pool, 1).await.unwrap();
        }
        let rows: i64 = sqlx::query_scalar("select count(*) from t").fetch_one(&other).await.unwrap();
        assert_eq!(rows, 6);
    }
}
