//! Copies the details of leaves from the log's journal into the database, for the audit page.

use audit::Leaf;
use vms_app::model::LogDetail;
use vms_app::ports::{LogDetailStore as _, StoreError};

use crate::db::Store;
use crate::log::journal::Record;

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

/// Stores the details of `records`, in order; returns the index after the last one stored. Idempotent.
///
/// # Errors
/// [`StoreError`]; what was stored stays, the next call goes on from there.
pub async fn store_details(store: &Store, records: &[Record]) -> Result<Option<u64>, StoreError> {
    let mut upto = None;
    for record in records {
        match detail_of(record) {
            Some(detail) => store.log_detail_put(&detail).await?,
            None => tracing::error!(index = record.index, "leaf {} has no readable details", record.index),
        }
        upto = Some(record.index.saturating_add(1));
    }
    Ok(upto)
}

#[cfg(test)]
mod tests {
    use audit::{Commitment, LeafKind};
    use vms_core::{DecisionId, OrgId, UserId, WallTime};

    use super::*;

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
