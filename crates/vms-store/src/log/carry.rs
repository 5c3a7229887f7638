//! What of the recorders stands in the log already. The log is its own cursor: the newest leaf of an operation says how far its
//! source was carried, so that a kill between the leaf and anything else neither loses nor repeats a record.

use std::collections::BTreeSet;

use vms_app::ports::StoreError;

use crate::db::{Store, db_error};
use crate::row::{Columns as _, signed};

/// Newest leaves of an operation that are looked through for one source.
const SOURCES_MAX: i64 = 64;

/// The newest leaf of `operation` whose details name `source`: its index and its details. Only leaves whose details are copied.
///
/// # Errors
/// [`StoreError`].
pub async fn newest(
    store: &Store,
    operation: &str,
    source: &str,
) -> Result<Option<(u64, serde_json::Value)>, StoreError> {
    let rows = sqlx::query(
        "select leaf_index, details from log_detail where operation = $1 order by leaf_index desc limit $2",
    )
    .bind(operation.to_owned())
    .bind(SOURCES_MAX)
    .fetch_all(store.read())
    .await
    .map_err(db_error)?;
    for row in &rows {
        let said: serde_json::Value = serde_json::from_str(&row.text("details")?).unwrap_or_default();
        let details = said.get("details").cloned().unwrap_or_default();
        if details.get("source").and_then(serde_json::Value::as_str) == Some(source) {
            return Ok(Some((row.number("leaf_index")?, details)));
        }
    }
    Ok(None)
}

/// How many leaves have their details in the database, from the first on without a hole.
///
/// # Errors
/// [`StoreError`].
pub async fn copied(store: &Store) -> Result<u64, StoreError> {
    let row = sqlx::query("select coalesce(max(leaf_index), -1) + 1 as copied from log_detail")
        .fetch_one(store.read())
        .await
        .map_err(db_error)?;
    row.number("copied")
}

/// Which of `items` stand in the log.
///
/// # Errors
/// [`StoreError`].
pub async fn told(store: &Store, items: &[String]) -> Result<BTreeSet<String>, StoreError> {
    let mut found = BTreeSet::new();
    for item in items {
        let row = sqlx::query("select item from log_told where item = $1")
            .bind(item.clone())
            .fetch_optional(store.read())
            .await
            .map_err(db_error)?;
        if row.is_some() {
            found.insert(item.clone());
        }
    }
    Ok(found)
}

/// Notes that `items` stand in a leaf. Idempotent.
///
/// # Errors
/// [`StoreError`].
pub async fn tell(store: &Store, items: &[String], leaf: u64) -> Result<(), StoreError> {
    let leaf = signed(leaf)?;
    write_txn!(store, |conn| {
        for item in items {
            sqlx::query("insert into log_told (item, leaf_index) values ($1, $2) on conflict (item) do nothing")
                .bind(item.clone())
                .bind(leaf)
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
        }
        Ok(())
    })
}
