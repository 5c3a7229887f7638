//! What was erased, until its leaf stands in the log of uses.

use async_trait::async_trait;
use vms_app::erasure_ports::{Erasure, ErasureJournal, Untold};
use vms_app::ports::store::Stored;
use vms_core::WallTime;

use super::LezVault;
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense};

/// Notes what this transaction erases. While the log is away a row stays for each sweep that erased something: one a second at most.
pub(super) async fn note(conn: &mut Writing<'_>, at: WallTime, what: &Erasure) -> Stored<()> {
    let what = serde_json::to_string(what).map_err(|_| nonsense("what"))?;
    sqlx::query("insert into erasure (at_us, what) values ($1, $2)")
        .bind(at.micros)
        .bind(what)
        .execute(conn)
        .await
        .map(drop)
        .map_err(db_error)
}

#[async_trait]
impl ErasureJournal for LezVault {
    async fn erasures_untold(&self) -> Stored<Vec<Untold>> {
        let sql = "select id, at_us, what from erasure order by id limit 100";
        let rows = sqlx::query(sql).fetch_all(&self.store.read).await.map_err(db_error)?;
        let untold = |row: &sqlx::any::AnyRow| {
            let what = serde_json::from_str(&row.text("what")?).map_err(|_| nonsense("what"))?;
            Ok(Untold { number: row.int("id")?, at: row.at("at_us")?, what })
        };
        rows.iter().map(untold).collect()
    }

    async fn erasure_told(&self, number: i64) -> Stored<()> {
        write_txn!(self.store, |conn| {
            let told = sqlx::query("delete from erasure where id = $1").bind(number);
            told.execute(conn).await.map(drop).map_err(db_error)
        })
    }
}
