//! Findings: the queue, the file, decisions.

use bytes::Bytes;
use serde::Deserialize;
use sqlx::any::AnyRow;
use vms_app::fines_ports::{Candidate, DamagedFinding};
use vms_app::lez_ports::{
    Finding, FindingDecision, FindingExit, FindingFile, FindingMeasure, FindingPermit, FindingState, PictureKind,
};
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_core::{Country, FindingId, Plate, Purpose};

use super::LezVault;
use super::keys::KeyId;
use super::reads::{field_of, is_page_done, places_left};
use super::seal::Key;
use super::settle::file_text;
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense, signed};

pub(super) const COLUMNS: &str =
    "id, purpose, state, verdict, rule_id, fine_id, amount_cents, currency, rule_set, at_us, camera_id, vehicle,
    class, file, version, first_by, decided_by, decided_at_us, reason,
    exit_camera_id, exit_at_us, final_from_us,
    case when crop is null then 0 else 1 end as has_crop,
    case when overview is null then 0 else 1 end as has_overview,
    case when exit_crop is null then 0 else 1 end as has_exit_crop,
    case when exit_overview is null then 0 else 1 end as has_exit_overview";

/// Whose findings a permit opens: as the two words that `IS_WHOSE` compares, `$1` and `$2`.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    purpose: Purpose,
    authority: String,
}

/// The findings of [`Whose`]; an authority that is missing where there must be one opens nothing.
const IS_WHOSE: &str = "purpose = $1 and coalesce(authority_id, '') = $2";

impl Whose {
    /// Of the job that hands them over.
    pub(super) fn job(permit: &vms_app::fines_ports::FinePermit) -> Self {
        let authority = permit.authority().map(|org| org.to_string()).unwrap_or_default();
        Self { purpose: permit.kind().purpose(), authority }
    }

    /// The tax administration's.
    fn lez() -> Self {
        Self { purpose: Purpose::Lez, authority: String::new() }
    }

    pub(super) fn of(permit: FindingPermit<'_>) -> Self {
        let authority = match permit {
            FindingPermit::Lez(_) => return Self::lez(),
            FindingPermit::Zbt(_) | FindingPermit::Trajectory(_) => {
                permit.authority().map_or_else(|| "-".to_owned(), |org| org.to_string())
            }
        };
        Self { purpose: permit.purpose(), authority }
    }
}

/// The key of a finding, from a row with its purpose and class.
pub(super) fn finding_key(row: &AnyRow, id: FindingId) -> Stored<KeyId> {
    Ok(KeyId::finding(row.word("purpose")?, &row.text("class")?, id))
}

fn exit(row: &AnyRow) -> Stored<Option<FindingExit>> {
    let Some(camera) = row.word_opt("exit_camera_id")? else { return Ok(None) };
    let at = row.at_opt("exit_at_us")?.ok_or_else(|| nonsense("exit_at_us"))?;
    let (has_crop, has_overview) = (row.int("has_exit_crop")? == 1, row.int("has_exit_overview")? == 1);
    Ok(Some(FindingExit { camera, at, has_crop, has_overview }))
}

#[derive(Deserialize)]
struct FileBody {
    plate: String,
    country: String,
    input: String,
    outcome: String,
}

fn measure(row: &AnyRow) -> Stored<FindingMeasure> {
    Ok(FindingMeasure {
        verdict: row.word("verdict")?,
        rule_id: row.text_opt("rule_id")?,
        fine_id: row.text_opt("fine_id")?,
        amount_cents: row.number_opt("amount_cents")?,
        currency: row.text_opt("currency")?,
        rule_set: row.text("rule_set")?,
        final_from: row.at_opt("final_from_us")?,
    })
}

fn finding(row: &AnyRow, key: &Key, key_id: &KeyId) -> Stored<Finding> {
    let id: FindingId = row.word("id")?;
    let sealed = row.blob_opt("file")?.ok_or_else(|| nonsense("file"))?;
    let clear = LezVault::open(key, key_id, &id.to_string(), "file", &sealed)?;
    let body: FileBody = serde_json::from_slice(&clear).map_err(|_| nonsense("file"))?;
    Ok(Finding {
        id,
        purpose: row.word("purpose")?,
        state: row.word("state")?,
        measure: measure(row)?,
        at: row.at("at_us")?,
        camera: row.word("camera_id")?,
        vehicle: row.text("vehicle")?,
        file: FindingFile {
            plate: Plate::parse(&body.plate).map_err(|_| nonsense("file"))?,
            country: Country::parse(&body.country).ok_or_else(|| nonsense("file"))?,
            input: body.input,
            outcome: body.outcome,
        },
        has_crop: row.int("has_crop")? == 1,
        has_overview: row.int("has_overview")? == 1,
        exit: exit(row)?,
        version: row.number("version")?,
        first_by: row.word_opt("first_by")?,
        decided_by: row.word_opt("decided_by")?,
        decided_at: row.at_opt("decided_at_us")?,
        decision_reason: row.text_opt("reason")?,
    })
}

impl LezVault {
    /// Opens a row; one whose key was destroyed meanwhile is erased already.
    pub(super) async fn finding_opened(&self, row: &AnyRow) -> Stored<Option<Stored<Finding>>> {
        let key_id = finding_key(row, row.word("id")?)?;
        let key = self.key(&self.store.read, &key_id).await?;
        Ok(key.map(|key| finding(row, &key, &key_id)))
    }

    /// Opens rows for people and for asking on; damaged ones are left out.
    pub(super) async fn findings_opened(&self, rows: &[AnyRow]) -> Stored<Vec<Finding>> {
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(opened) = self.finding_opened(row).await? {
                out.extend(self.whole(opened, "lez_finding", &row.text("id")?));
            }
        }
        Ok(out)
    }

    /// Opens rows for a run, whose totals have to reconcile: a damaged one is named.
    pub(super) async fn candidates_opened(&self, rows: &[AnyRow]) -> Stored<Vec<Candidate>> {
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(opened) = self.finding_opened(row).await? else { continue };
            out.push(match self.whole(opened, "lez_finding", &row.text("id")?) {
                Some(finding) => Candidate::Whole(Box::new(finding)),
                None => Candidate::Damaged(DamagedFinding {
                    id: row.word("id")?,
                    version: row.number("version")?,
                    vehicle: row.text("vehicle")?,
                    measure: measure(row)?,
                    at: row.at("at_us")?,
                }),
            });
        }
        Ok(out)
    }

    pub(super) async fn findings(
        &self,
        whose: Whose,
        state: Option<FindingState>,
        after: Option<FindingId>,
        limit: u32,
    ) -> Stored<Vec<Finding>> {
        let sql = format!(
            "select {COLUMNS} from lez_finding where {IS_WHOSE} and ($3 = '' or state = $3) and id > $4 order by id limit $5"
        );
        let (mut out, mut after) = (Vec::new(), after.map(|id| id.to_string()).unwrap_or_default());
        loop {
            let asked = places_left(limit, out.len());
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
                .bind(whose.purpose.as_str())
                .bind(whose.authority.clone())
                .bind(state.map(FindingState::as_str).unwrap_or_default())
                .bind(after)
                .bind(i64::from(asked))
                .fetch_all(&self.store.read)
                .await
                .map_err(db_error)?;
            let Some(last) = rows.last() else { return Ok(out) };
            after = last.text("id")?;
            out.extend(self.findings_opened(&rows).await?);
            if is_page_done(&mut out, limit, (rows.len(), asked)) {
                return Ok(out);
            }
        }
    }

    pub(super) async fn finding(&self, whose: Whose, id: FindingId) -> Stored<Option<Finding>> {
        let sql = format!("select {COLUMNS} from lez_finding where {IS_WHOSE} and id = $3");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(whose.purpose.as_str())
            .bind(whose.authority)
            .bind(id.to_string())
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        Ok(self.findings_opened(&rows).await?.pop())
    }

    pub(super) async fn finding_image(&self, whose: Whose, id: FindingId, kind: PictureKind) -> Stored<Option<Bytes>> {
        let field = field_of(kind);
        let sql = format!("select purpose, class, {field} from lez_finding where {IS_WHOSE} and id = $3");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(whose.purpose.as_str())
            .bind(whose.authority)
            .bind(id.to_string())
            .fetch_optional(&self.store.read)
            .await
            .map_err(db_error)?;
        let Some(row) = row else { return Ok(None) };
        let key_id = finding_key(&row, id)?;
        let (Some(sealed), Some(key)) = (row.blob_opt(field)?, self.key(&self.store.read, &key_id).await?) else {
            return Ok(None);
        };
        let id = id.to_string();
        Ok(self.whole(Self::open(&key, &key_id, &id, field, &sealed), "lez_finding", &id).map(Bytes::from))
    }

    pub(super) async fn decide(&self, whose: Whose, decision: &FindingDecision) -> Stored<()> {
        let seen = signed(decision.seen)?;
        let _sealing = self.sealing.read().await;
        write_txn!(self.store, |conn| { self.decide_on(conn, &whose, decision, seen).await })
    }

    async fn decide_on(
        &self,
        conn: &mut Writing<'_>,
        whose: &Whose,
        decision: &FindingDecision,
        seen: i64,
    ) -> Stored<()> {
        let id = decision.id.to_string();
        let done = sqlx::query(
            "update lez_finding set state = $3, reason = $4, decided_by = $5, decided_at_us = $6, first_by = $7, version = version + 1
              where id = $1 and version = $2 and purpose = $8 and coalesce(authority_id, '') = $9",
        )
        .bind(id.clone())
        .bind(seen)
        .bind(decision.state.as_str())
        .bind(decision.reason.clone())
        .bind(decision.user.to_string())
        .bind(decision.at.micros)
        .bind(decision.first_by.map(|user| user.to_string()))
        .bind(whose.purpose.as_str())
        .bind(whose.authority.clone())
        .execute(&mut *conn)
        .await
        .map_err(db_error)?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Stale);
        }
        // The holder goes with the approval.
        let sql = "delete from finding_holder where finding_id = $1";
        sqlx::query(sql).bind(id.clone()).execute(&mut *conn).await.map_err(db_error)?;
        if let Some((measure, file)) = &decision.renewed {
            self.renew(&mut *conn, decision.id, measure, file).await?;
        }
        if let Some(end) = decision.expires_at {
            for sql in [
                "update lez_finding set expires_at_us = $2 where id = $1",
                "update lez_key set ends_at_us = $2 where object = $1",
            ] {
                sqlx::query(sql).bind(id.clone()).bind(end.micros).execute(&mut *conn).await.map_err(db_error)?;
            }
        }
        sqlx::query(
            "insert into lez_finding_event (finding_id, version, state, reason, user_id, at_us, decision_id, verdict)
             select id, version, state, reason, decided_by, decided_at_us, $2, verdict from lez_finding where id = $1",
        )
        .bind(id)
        .bind(decision.decision.to_string())
        .execute(conn)
        .await
        .map(drop)
        .map_err(db_error)
    }

    async fn renew(
        &self,
        conn: &mut Writing<'_>,
        id: FindingId,
        measure: &FindingMeasure,
        file: &FindingFile,
    ) -> Stored<()> {
        let row = sqlx::query("select purpose, class from lez_finding where id = $1")
            .bind(id.to_string())
            .fetch_one(&mut *conn)
            .await
            .map_err(db_error)?;
        let key_id = finding_key(&row, id)?;
        let key = self.key(&mut *conn, &key_id).await?.ok_or(StoreError::Stale)?;
        let sealed = self.seal(&key, &key_id, &id.to_string(), "file", file_text(file).as_bytes())?;
        sqlx::query(
            "update lez_finding set verdict = $2, rule_id = $3, fine_id = $4, amount_cents = $5, currency = $6,
                rule_set = $7, file = $8, final_from_us = $9 where id = $1",
        )
        .bind(id.to_string())
        .bind(measure.verdict.as_str())
        .bind(measure.rule_id.clone())
        .bind(measure.fine_id.clone())
        .bind(measure.amount_cents.map(i64::from))
        .bind(measure.currency.clone())
        .bind(measure.rule_set.clone())
        .bind(sealed)
        .bind(measure.final_from.map(|at| at.micros))
        .execute(conn)
        .await
        .map(drop)
        .map_err(db_error)
    }
}
