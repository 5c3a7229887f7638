//! Copies the details of leaves and their salts from the log's journal into the database: for the audit page, for the overseer's
//! copy, and for forgetting them.

use audit::Leaf;
use audit::rules::DetailLine;
use vms_app::model::LogDetail;
use vms_app::ports::{PATTERNS, StoreError};
use vms_core::WallTime;

use crate::bounded::Writing;
use crate::db::{Store, db_error};
use crate::log::journal::Record;
use crate::row::{Columns as _, signed};

/// What a journal record looks like in the table; `None` when its leaf line does not read.
pub fn detail_of(record: &Record) -> Option<LogDetail> {
    let leaf = Leaf::parse(&record.leaf).ok()?;
    let details: serde_json::Value = serde_json::from_str(&record.details).ok()?;
    let text = |pointer: &str| details.pointer(pointer).and_then(serde_json::Value::as_str);
    // Opening leaves hold the actor as an object, closing leaves only the user.
    let org = text("/actor/org_id").and_then(|id| id.parse().ok());
    let user = text("/actor/user").or_else(|| text("/user")).and_then(|id| id.parse().ok());
    let operation = text("/operation").unwrap_or(leaf.kind.as_str()).to_owned();
    Some(LogDetail {
        index: record.index,
        at: leaf.at,
        org,
        user,
        operation,
        decision: leaf.decision,
        details: record.details.clone(),
    })
}

/// Stores the details and salts of `records`, in order and at once; returns the index after the last one. Idempotent: what was
/// forgotten meanwhile stays forgotten.
///
/// # Errors
/// [`StoreError`]; nothing of these was stored then.
pub async fn store_details(store: &Store, records: &[Record]) -> Result<Option<u64>, StoreError> {
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        match detail_of(record) {
            Some(detail) => rows.push((signed(record.index)?, detail, hex::encode(record.salt))),
            None => tracing::error!(index = record.index, "leaf {} has no readable details", record.index),
        }
    }
    write_txn!(store, |conn| {
        for (index, detail, salt) in &rows {
            put(conn, *index, detail, salt).await?;
        }
        Ok(())
    })?;
    Ok(records.last().map(|record| record.index.saturating_add(1)))
}

async fn put(conn: &mut Writing<'_>, index: i64, detail: &LogDetail, salt: &str) -> Result<(), StoreError> {
    let done = sqlx::query(
        "insert into log_detail (leaf_index, at_us, org_id, user_id, operation, decision_id, details)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (leaf_index) do nothing",
    )
    .bind(index)
    .bind(detail.at.micros)
    .bind(detail.org.map(|id| id.to_string()))
    .bind(detail.user.map(|id| id.to_string()))
    .bind(detail.operation.clone())
    .bind(detail.decision.map(|id| id.to_string()))
    .bind(detail.details.clone())
    .execute(&mut *conn)
    .await
    .map_err(db_error)?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query("insert into log_opening (leaf_index, salt) values ($1, $2) on conflict (leaf_index) do nothing")
        .bind(index)
        .bind(salt.to_owned())
        .execute(&mut *conn)
        .await
        .map_err(db_error)?;
    put_plate(conn, index, &detail.details).await
}

/// The keyed hash of the plate that a leaf's details name (`plate:HASH:SEALED` as their object); [`PATTERNS`] where they name a pattern
/// (`plates:HASH:SEALED`).
fn plate_hash_of(details: &str) -> Option<String> {
    let details: serde_json::Value = serde_json::from_str(details).ok()?;
    let (kind, rest) = details.get("object")?.as_str()?.split_once(':')?;
    let (hash, _) = rest.split_once(':')?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    match kind {
        "plate" if is_hash => Some(hash.to_owned()),
        "plates" if is_hash => Some(PATTERNS.to_owned()),
        _ => None,
    }
}

/// Notes the plate of details that were put just now.
pub(crate) async fn put_plate(conn: &mut Writing<'_>, index: i64, details: &str) -> Result<(), StoreError> {
    let Some(hash) = plate_hash_of(details) else { return Ok(()) };
    sqlx::query("insert into log_plate (leaf_index, plate_hash) values ($1, $2) on conflict (leaf_index) do nothing")
        .bind(index)
        .bind(hash)
        .execute(conn)
        .await
        .map(drop)
        .map_err(db_error)
}

/// The details of leaves from `after` on with what opens them, in order, as an export holds them; at most `limit`.
///
/// # Errors
/// [`StoreError`].
pub async fn opened_details(store: &Store, after: u64, limit: u32) -> Result<Vec<DetailLine>, StoreError> {
    let rows = sqlx::query(
        "select d.leaf_index, d.details, o.salt, f.by_leaf from log_detail d
         left join log_opening o on o.leaf_index = d.leaf_index
         left join log_forgotten f on f.leaf_index = d.leaf_index
         where d.leaf_index >= $1 order by d.leaf_index limit $2",
    )
    .bind(signed(after)?)
    .bind(i64::from(limit))
    .fetch_all(store.read())
    .await
    .map_err(db_error)?;
    rows.iter()
        .map(|row| {
            let index: u64 = row.number("leaf_index")?;
            let forgotten = row.int_opt("by_leaf")?.and_then(|by| u64::try_from(by).ok());
            Ok(match forgotten {
                Some(by) => DetailLine { index, salt: String::new(), details: String::new(), forgotten: Some(by) },
                None => DetailLine {
                    index,
                    salt: row.text_opt("salt")?.unwrap_or_default(),
                    details: row.text("details")?,
                    forgotten: None,
                },
            })
        })
        .collect()
}

/// Leaves from before `before` whose details name somebody and are not forgotten, oldest first; at most `limit`.
///
/// What proves that footage was erased in time stays: segments, erasures, gaps, holds, and leaves that say what was forgotten.
///
/// # Errors
/// [`StoreError`].
pub async fn past_term(store: &Store, before: WallTime, limit: u32) -> Result<Vec<u64>, StoreError> {
    let rows = sqlx::query(
        "select d.leaf_index from log_detail d
         left join log_forgotten f on f.leaf_index = d.leaf_index
         where d.at_us < $1 and f.leaf_index is null and d.operation not like 'hold%'
           and d.operation not in ('segments', 'segments_erased', 'gaps', 'deletion_record', 'details_forgotten')
         order by d.leaf_index limit $2",
    )
    .bind(before.micros)
    .bind(i64::from(limit))
    .fetch_all(store.read())
    .await
    .map_err(db_error)?;
    rows.iter().map(|row| row.number("leaf_index")).collect()
}

/// Forgets the details of leaves: text, person and salt. `by` is the erasing leaf, already durable, whose details name every one of
/// them (`operation` = `details_forgotten`, `details.leaves`). The log's proofs stay as they are.
///
/// # Errors
/// [`StoreError`]; then nothing was forgotten.
pub async fn forget_details(store: &Store, leaves: &[u64], by: u64) -> Result<(), StoreError> {
    let by = signed(by)?;
    let leaves = leaves.iter().map(|index| signed(*index)).collect::<Result<Vec<_>, _>>()?;
    write_txn!(store, |conn| {
        for index in &leaves {
            for text in [
                "update log_detail set org_id = null, user_id = null, operation = 'forgotten', decision_id = null,
                 details = '{}' where leaf_index = $1 and leaf_index <> $2",
                "delete from log_opening where leaf_index = $1 and leaf_index <> $2",
                "delete from log_plate where leaf_index = $1 and leaf_index <> $2",
                "insert into log_forgotten (leaf_index, by_leaf) values ($1, $2) on conflict (leaf_index) do nothing",
            ] {
                sqlx::query(text).bind(*index).bind(by).execute(&mut *conn).await.map_err(db_error)?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use audit::{Commitment, LeafKind};
    use vms_core::{DecisionId, OrgId, UserId};

    use super::*;

    #[test]
    fn the_plate_of_a_leaf_is_its_object() {
        let hash = "ab".repeat(32);
        for (object, wanted) in [
            (serde_json::json!(format!("plate:{hash}:00ff")), Some(hash.as_str())),
            (serde_json::json!(format!("plates:{hash}:00ff")), Some("*")),
            (serde_json::json!("plates:1ABC*:00ff"), None),
            (serde_json::json!(format!("subject:{hash}:00ff")), None),
            (serde_json::json!(format!("plate:{hash}")), None),
            (serde_json::json!("plate:1ABC234:00ff"), None),
            (serde_json::json!(7), None),
            (serde_json::Value::Null, None),
        ] {
            let details = serde_json::json!({ "right": "reads.search", "object": object }).to_string();
            assert_eq!(plate_hash_of(&details).as_deref(), wanted, "{details}");
        }
        assert_eq!(plate_hash_of("nonsense"), None);
    }

    #[test]
    fn a_record_becomes_a_row() {
        let decision = DecisionId::from_bytes([4; 16]);
        let record = |kind, details: serde_json::Value| {
            let details = details.to_string();
            let commitment = Commitment::to(&[1; 32], details.as_bytes());
            let leaf = Leaf { kind, at: WallTime::from_secs(5), decision: Some(decision), refers: None, commitment };
            Record { index: 7, leaf: leaf.to_line(), salt: [1; 32], details }
        };
        let (org, user) = (OrgId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let actor = serde_json::json!({ "org_id": org.to_string(), "user": user.to_string() });
        for (kind, details, wanted) in [
            (LeafKind::Open, serde_json::json!({ "right": "live", "actor": actor }), ("open", Some(org), Some(user))),
            (
                LeafKind::Close,
                serde_json::json!({ "right": "live", "user": user.to_string() }),
                ("close", None, Some(user)),
            ),
            (LeafKind::Session, serde_json::json!({ "operation": "login_failed" }), ("login_failed", None, None)),
        ] {
            let row = detail_of(&record(kind, details)).unwrap();
            assert_eq!((row.operation.as_str(), row.org, row.user), wanted);
            assert_eq!((row.index, row.at, row.decision), (7, WallTime::from_secs(5), Some(decision)));
        }
        assert_eq!(
            detail_of(&Record { leaf: "nonsense".to_owned(), ..record(LeafKind::Use, serde_json::json!({})) }),
            None
        );
    }
}
