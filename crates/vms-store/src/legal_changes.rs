//! Changes of cameras' legal fields.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::model::{Camera, CameraLaw, LegalBasis, LegalChange, Signature};
use vms_app::ports::store::Stored;
use vms_app::ports::{LegalChangeStore, StoreError};
use vms_core::{CameraId, DecisionId, RetentionClass};

use crate::cameras::camera_update_on;
use crate::db::{Store, bump_assignment, db_error};
use crate::row::{Columns as _, nonsense, signed};

const ALL: &str = "select id, camera_id, kind_before, kind_after, class_before, class_after, pictogram_before,
        pictogram_after, document_before, dated_before, advice_before, document_after, dated_after, advice_after,
        reason, proposed_by, proposed_name, proposed_at_us, state, settled_by, settled_name, settled_at_us, answer
   from legal_change";

fn law(row: &AnyRow, side: &str) -> Stored<CameraLaw> {
    let column = |name: &str| format!("{name}_{side}");
    let legal_basis = match row.text_opt(&column("document"))? {
        None => None,
        Some(document) => {
            let (dated, advice) = (row.text(&column("dated"))?, row.text(&column("advice"))?);
            Some(LegalBasis { document, dated, advice })
        }
    };
    Ok(CameraLaw {
        kind: row.word(&column("kind"))?,
        retention_class: RetentionClass::parse(&row.text(&column("class"))?).ok_or_else(|| nonsense("class"))?,
        pictogram_on: row.text_opt(&column("pictogram"))?,
        legal_basis,
    })
}

fn change(row: &AnyRow) -> Stored<LegalChange> {
    let settled = match row.at_opt("settled_at_us")? {
        None => None,
        Some(at) => Some(Signature { user: row.word("settled_by")?, name: row.text("settled_name")?, at }),
    };
    Ok(LegalChange {
        id: row.word("id")?,
        camera: row.word("camera_id")?,
        before: law(row, "before")?,
        after: law(row, "after")?,
        reason: row.text("reason")?,
        proposed: Signature {
            user: row.word("proposed_by")?,
            name: row.text("proposed_name")?,
            at: row.at("proposed_at_us")?,
        },
        state: row.word("state")?,
        settled,
        answer: row.text_opt("answer")?,
    })
}

#[async_trait]
impl LegalChangeStore for Store {
    async fn legal_change_insert(&self, wanted: &LegalChange) -> Stored<()> {
        let (before, after) = (&wanted.before, &wanted.after);
        let basis = |law: &CameraLaw, part: fn(&LegalBasis) -> &String| law.legal_basis.as_ref().map(part).cloned();
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into legal_change (id, camera_id, kind_before, kind_after, class_before, class_after,
                    pictogram_before, pictogram_after, document_before, dated_before, advice_before, document_after,
                    dated_after, advice_after, reason, proposed_by, proposed_name, proposed_at_us, state)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.camera.to_string())
            .bind(before.kind.as_str())
            .bind(after.kind.as_str())
            .bind(before.retention_class.as_str().to_owned())
            .bind(after.retention_class.as_str().to_owned())
            .bind(before.pictogram_on.clone())
            .bind(after.pictogram_on.clone())
            .bind(basis(before, |basis| &basis.document))
            .bind(basis(before, |basis| &basis.dated))
            .bind(basis(before, |basis| &basis.advice))
            .bind(basis(after, |basis| &basis.document))
            .bind(basis(after, |basis| &basis.dated))
            .bind(basis(after, |basis| &basis.advice))
            .bind(wanted.reason.clone())
            .bind(wanted.proposed.user.to_string())
            .bind(wanted.proposed.name.clone())
            .bind(wanted.proposed.at.micros)
            .bind(wanted.state.as_str())
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn legal_change_fetch(&self, id: DecisionId) -> Stored<Option<LegalChange>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ALL} where id = $1")))
            .bind(id.to_string())
            .fetch_optional(&self.read)
            .await
            .map_err(db_error)?;
        row.as_ref().map(change).transpose()
    }

    async fn legal_change_list_waiting(&self) -> Stored<Vec<LegalChange>> {
        let sql = format!("{ALL} where state = 'waiting' order by proposed_at_us, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.read).await.map_err(db_error)?;
        rows.iter().map(change).collect()
    }

    async fn legal_change_list_of(&self, camera: CameraId) -> Stored<Vec<LegalChange>> {
        let sql = format!("{ALL} where camera_id = $1 order by proposed_at_us desc, id desc");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(camera.to_string())
            .fetch_all(&self.read)
            .await
            .map_err(db_error)?;
        rows.iter().map(change).collect()
    }

    async fn legal_change_settle(&self, wanted: &LegalChange, camera: Option<&Camera>) -> Stored<()> {
        let Some(settled) = &wanted.settled else { return Err(nonsense("settled_by")) };
        let version = camera.map(|camera| signed(camera.version)).transpose()?;
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update legal_change set state = $2, settled_by = $3, settled_name = $4, settled_at_us = $5, answer = $6
                  where id = $1 and state = 'waiting'",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.state.as_str())
            .bind(settled.user.to_string())
            .bind(settled.name.clone())
            .bind(settled.at.micros)
            .bind(wanted.answer.clone())
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() != 1 {
                return Err(StoreError::Stale);
            }
            let (Some(camera), Some(version)) = (camera, version) else { return Ok(()) };
            camera_update_on(&mut *conn, camera, version).await?;
            bump_assignment(conn).await
        })
    }
}
