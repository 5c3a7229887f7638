//! Numbered, forward migrations. The server never migrates: `belfry migrate` does; the server checks.

use sqlx::{AssertSqlSafe, Executor as _, Row as _};
use vms_app::ports::StoreError;
use vms_core::WallTime;

use crate::db::{Dialect, Store, db_error};

/// Number, name, text. Forward only; a released text never changes. Traffic rules use numbers from 100 on.
pub const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "people", include_str!("../migrations/0001_people.sql")),
    (2, "cameras", include_str!("../migrations/0002_cameras.sql")),
    (3, "catalogue", include_str!("../migrations/0003_catalogue.sql")),
    (4, "events", include_str!("../migrations/0004_events.sql")),
    (5, "legal changes", include_str!("../migrations/0005_legal_changes.sql")),
    (6, "holds", include_str!("../migrations/0006_holds.sql")),
    (7, "exports", include_str!("../migrations/0007_exports.sql")),
    (8, "identity", include_str!("../migrations/0008_identity.sql")),
    (9, "sharing", include_str!("../migrations/0009_sharing.sql")),
    (10, "matrix", include_str!("../migrations/0010_matrix.sql")),
    (11, "log", include_str!("../migrations/0011_log.sql")),
    (12, "gated", include_str!("../migrations/0012_gated.sql")),
    (13, "several cameras in an export", include_str!("../migrations/0013_exports_cameras.sql")),
    (15, "hardware keys, provider, machines", include_str!("../migrations/0015_identity.sql")),
    (16, "second person", include_str!("../migrations/0016_second_person.sql")),
    (19, "clock marks", include_str!("../migrations/0019_clock_marks.sql")),
    (100, "lez", include_str!("../migrations/0100_lez.sql")),
    (101, "fines", include_str!("../migrations/0101_fines.sql")),
    // These two change tables of 100 and 101, and come after them.
    (20, "copies per purpose", include_str!("../migrations/0020_purposes.sql")),
    (21, "permits", include_str!("../migrations/0021_permits.sql")),
    (22, "distinct plates", include_str!("../migrations/0022_plates.sql")),
    (23, "watchlists", include_str!("../migrations/0023_watchlist.sql")),
    (24, "clocks of reads", include_str!("../migrations/0024_read_clocks.sql")),
    (28, "batches of every kind", include_str!("../migrations/0028_batches.sql")),
    (29, "holders", include_str!("../migrations/0029_holders.sql")),
    (26, "statistics", include_str!("../migrations/0026_statistics.sql")),
    (30, "plates in the log", include_str!("../migrations/0030_log_plate.sql")),
    (31, "patterns in the log", include_str!("../migrations/0031_log_pattern.sql")),
    (33, "batches wait for final outcomes, day passes", include_str!("../migrations/0033_final.sql")),
    (34, "reads behind the gate", include_str!("../migrations/0034_gated_reads.sql")),
    (35, "erasures without a leaf", include_str!("../migrations/0035_erasures.sql")),
];

/// Why the schema is not what the program needs.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// A migration that the program has is not in the database.
    #[error("the database lacks migration {number} `{name}`: run `belfry migrate`")]
    Behind {
        /// Its number.
        number: i64,
        /// Its name.
        name: &'static str,
    },
    /// The database was made by a newer program.
    #[error("the database has migration {0}, which this program does not know: use the newer program")]
    Ahead(i64),
    /// A migration's text changed after it was applied.
    #[error("migration {0} was changed after it was applied")]
    Changed(i64),
}

fn text_for(dialect: Dialect, text: &str) -> String {
    let (blob, serial) = match dialect {
        Dialect::Sqlite => ("blob", "integer primary key autoincrement"),
        Dialect::Postgres => ("bytea", "bigint generated always as identity primary key"),
    };
    text.replace("{blob}", blob).replace("{serial}", serial)
}

fn digest(text: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(text.as_bytes()))
}

impl Store {
    async fn applied(&self) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = sqlx::query("select number, digest from schema_migration order by number")
            .fetch_all(&self.write)
            .await
            .map_err(db_error)?;
        rows.iter()
            .map(|row| Ok((row.try_get("number").map_err(db_error)?, row.try_get("digest").map_err(db_error)?)))
            .collect()
    }

    /// Brings the schema up to this program, each migration in its own transaction; returns how many were applied.
    ///
    /// # Errors
    /// [`MigrateError`]; a migration that failed left nothing behind.
    pub async fn migrate(&self, now: WallTime) -> Result<usize, MigrateError> {
        let table = "create table if not exists schema_migration (
            number bigint primary key, name text not null, digest text not null, applied_at_us bigint not null)";
        sqlx::query(table).execute(&self.write).await.map_err(db_error)?;
        let applied = self.applied().await?;
        check_known(&applied)?;
        let mut count = 0;
        for (number, name, text) in MIGRATIONS {
            if applied.iter().any(|(done, _)| done == number) {
                continue;
            }
            let sql = text_for(self.dialect(), text);
            let digest = digest(text);
            write_txn!(self, |conn| {
                // However long a large table takes.
                conn.patient().execute(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await.map_err(db_error)?;
                sqlx::query(
                    "insert into schema_migration (number, name, digest, applied_at_us) values ($1, $2, $3, $4)",
                )
                .bind(*number)
                .bind(*name)
                .bind(digest.clone())
                .bind(now.micros)
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
            })?;
            count += 1;
        }
        Ok(count)
    }

    /// Whether the schema is exactly this program's.
    ///
    /// # Errors
    /// [`MigrateError`] says what to do.
    pub async fn schema_check(&self) -> Result<(), MigrateError> {
        let applied = match self.applied().await {
            Ok(applied) => applied,
            Err(StoreError::Internal(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        check_known(&applied)?;
        for (number, name, _) in MIGRATIONS {
            if !applied.iter().any(|(done, _)| done == number) {
                return Err(MigrateError::Behind { number: *number, name });
            }
        }
        Ok(())
    }
}

fn check_known(applied: &[(i64, String)]) -> Result<(), MigrateError> {
    for (number, found) in applied {
        match MIGRATIONS.iter().find(|(known, _, _)| known == number) {
            None => return Err(MigrateError::Ahead(*number)),
            Some((_, _, text)) if digest(text) != *found => return Err(MigrateError::Changed(*number)),
            Some(_) => {}
        }
    }
    Ok(())
}
