//! Evidence exports.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::exports_model::{Export, ExportProgress, ExportSource};
use vms_app::model::Signature;
use vms_app::ports::store::Stored;
use vms_app::ports::{ExportStore, StoreError};
use vms_app::words::ExportState;
use vms_core::{ExportId, TimeRange};

use crate::db::{Store, db_error};
use crate::row::{Columns as _, nonsense, signed, unsigned};

const ALL: &str = "select id, camera_id, stream_id, from_us, to_us, purpose, case_ref, magistrate_ref, reason, language, decision_id, ordered_by,
        ordered_name, ordered_at_us, ordered_as, session_id, state, settled_by, settled_name, settled_at_us, settled_as, answer,
        per_mille, bytes, frames, failure, ended_at_us, expires_at_us, manifest_sha256, others
   from footage_export";

/// The further cameras of an export as one text.
fn others_text(others: &[ExportSource]) -> String {
    let words: Vec<String> = others.iter().map(|one| format!("{}/{}", one.camera, one.stream)).collect();
    words.join(" ")
}

fn others_of(text: &str) -> Stored<Vec<ExportSource>> {
    let one = |word: &str| {
        let (camera, stream) = word.split_once('/')?;
        Some(ExportSource { camera: camera.parse().ok()?, stream: stream.parse().ok()? })
    };
    text.split_whitespace().map(|word| one(word).ok_or_else(|| nonsense("others"))).collect()
}

fn export(row: &AnyRow) -> Stored<Export> {
    let settled = match row.at_opt("settled_at_us")? {
        None => None,
        Some(at) => Some(Signature { user: row.word("settled_by")?, name: row.text("settled_name")?, at }),
    };
    let settled_as = row.text_opt("settled_as")?.map(|word| word.parse().map_err(|_| nonsense("settled_as")));
    Ok(Export {
        id: row.word("id")?,
        camera: row.word("camera_id")?,
        stream: row.word("stream_id")?,
        others: others_of(&row.text("others")?)?,
        range: TimeRange::new(row.at("from_us")?, row.at("to_us")?).ok_or_else(|| nonsense("to_us"))?,
        purpose: row.word("purpose")?,
        case_ref: row.text("case_ref")?,
        magistrate_ref: row.text_opt("magistrate_ref")?,
        reason: row.text("reason")?,
        language: row.word("language")?,
        decision: row.word("decision_id")?,
        ordered: Signature {
            user: row.word("ordered_by")?,
            name: row.text("ordered_name")?,
            at: row.at("ordered_at_us")?,
        },
        ordered_as: row.word("ordered_as")?,
        session: row.word("session_id")?,
        state: row.word("state")?,
        settled,
        settled_as: settled_as.transpose()?,
        answer: row.text_opt("answer")?,
        progress: ExportProgress {
            per_mille: u16::try_from(row.int("per_mille")?).map_err(|_| nonsense("per_mille"))?,
            bytes: unsigned(row.int("bytes")?)?,
            frames: unsigned(row.int("frames")?)?,
        },
        failure: row.text_opt("failure")?,
        ended_at: row.at_opt("ended_at_us")?,
        expires_at: row.at_opt("expires_at_us")?,
        manifest_sha256: row.text_opt("manifest_sha256")?,
    })
}

#[async_trait]
impl ExportStore for Store {
    async fn export_insert(&self, wanted: &Export) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into footage_export (id, camera_id, stream_id, from_us, to_us, purpose, case_ref, reason, language,
                    decision_id, ordered_by, ordered_name, ordered_at_us, ordered_as, session_id, state, per_mille, bytes, frames,
                    magistrate_ref, others)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, 0, 0, $17, $18)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.camera.to_string())
            .bind(wanted.stream.to_string())
            .bind(wanted.range.from.micros)
            .bind(wanted.range.to.micros)
            .bind(wanted.purpose.as_str())
            .bind(wanted.case_ref.clone())
            .bind(wanted.reason.clone())
            .bind(wanted.language.as_str())
            .bind(wanted.decision.to_string())
            .bind(wanted.ordered.user.to_string())
            .bind(wanted.ordered.name.clone())
            .bind(wanted.ordered.at.micros)
            .bind(wanted.ordered_as.as_str())
            .bind(wanted.session.to_string())
            .bind(wanted.state.as_str())
            .bind(wanted.magistrate_ref.clone())
            .bind(others_text(&wanted.others))
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn export_fetch(&self, id: ExportId) -> Stored<Option<Export>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ALL} where id = $1")))
            .bind(id.to_string())
            .fetch_optional(&self.read)
            .await
            .map_err(db_error)?;
        row.as_ref().map(export).transpose()
    }

    async fn export_list(&self, below: Option<ExportId>, limit: u32) -> Stored<Vec<Export>> {
        // Ids are lower-case hexadecimal: each sorts before this one, under every collation.
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{ALL} where id < $1 order by id desc limit $2")))
            .bind(below.map_or_else(|| "exp_z".to_owned(), |id| id.to_string()))
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .map_err(db_error)?;
        rows.iter().map(export).collect()
    }

    async fn export_list_open(&self) -> Stored<Vec<Export>> {
        let sql = format!("{ALL} where state in ('waits', 'queued', 'running', 'paused', 'done') order by id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.read).await.map_err(db_error)?;
        rows.iter().map(export).collect()
    }

    async fn export_update(&self, wanted: &Export, was: ExportState) -> Stored<()> {
        let by = wanted.settled.as_ref();
        let (bytes, frames) = (signed(wanted.progress.bytes)?, signed(wanted.progress.frames)?);
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update footage_export set state = $3, settled_by = $4, settled_name = $5, settled_at_us = $6, settled_as = $7,
                    answer = $8, per_mille = $9, bytes = $10, frames = $11, failure = $12, ended_at_us = $13,
                    expires_at_us = $14, manifest_sha256 = $15
                  where id = $1 and state = $2",
            )
            .bind(wanted.id.to_string())
            .bind(was.as_str())
            .bind(wanted.state.as_str())
            .bind(by.map(|by| by.user.to_string()))
            .bind(by.map(|by| by.name.clone()))
            .bind(by.map(|by| by.at.micros))
            .bind(wanted.settled_as.map(|profile| profile.as_str()))
            .bind(wanted.answer.clone())
            .bind(i64::from(wanted.progress.per_mille))
            .bind(bytes)
            .bind(frames)
            .bind(wanted.failure.clone())
            .bind(wanted.ended_at.map(|at| at.micros))
            .bind(wanted.expires_at.map(|at| at.micros))
            .bind(wanted.manifest_sha256.clone())
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }

    async fn export_progress(&self, id: ExportId, progress: ExportProgress) -> Stored<()> {
        let (bytes, frames) = (signed(progress.bytes)?, signed(progress.frames)?);
        write_txn!(self, |conn| {
            sqlx::query(
                "update footage_export set per_mille = $2, bytes = $3, frames = $4 where id = $1 and state = 'running'",
            )
            .bind(id.to_string())
            .bind(i64::from(progress.per_mille))
            .bind(bytes)
            .bind(frames)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }
}
