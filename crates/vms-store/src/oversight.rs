//! Data flows, complaints, data subjects' requests, and what the annual report counts.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::gate::Permit;
use vms_app::gate::action::{HandleComplaints, HandleSubjectRequests, ViewReport};
use vms_app::model::LogDetail;
use vms_app::oversight::model::{AccountCount, Complaint, FlowRow, SubjectRequest};
use vms_app::oversight::ports::OversightStore;
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_app::words::CaseState;
use vms_core::TimeRange;

use crate::db::{Store, db_error};
use crate::row::{Columns as _, nonsense, rows, signed};
use crate::sharing::{signature, signed_by};

const FLOWS: &str = "select f.id, f.version, f.state, f.reason, f.authority, f.until_us, f.changed_by, f.changed_name,
        f.changed_at_us, f.institution, f.source, f.purpose
   from data_flow f";
const COMPLAINTS: &str =
    "select id, about_id, channel, body, received_by, received_name, received_at_us, state, answer,
        answered_by, answered_name, answered_at_us
   from complaint";
const SUBJECTS: &str =
    "select id, org_id, regime, file_ref, reasons, language, lat, lon, radius_m, from_us, to_us, due_us,
        received_by, received_name, received_at_us, state, answer, answered_by, answered_name, answered_at_us
   from subject_request";

fn flow(row: &AnyRow) -> Stored<FlowRow> {
    let registered = match (row.text_opt("institution")?, row.text_opt("source")?, row.text_opt("purpose")?) {
        (Some(institution), Some(source), Some(purpose)) => Some([institution, source, purpose]),
        _ => None,
    };
    Ok(FlowRow {
        id: row.text("id")?,
        state: row.word("state")?,
        reason: row.text("reason")?,
        authority: row.text("authority")?,
        until: row.at_opt("until_us")?,
        changed: signed_by(row, "changed")?,
        registered,
        version: row.number("version")?,
    })
}

fn complaint(row: &AnyRow) -> Stored<Complaint> {
    Ok(Complaint {
        id: row.word("id")?,
        about: row.word("about_id")?,
        channel: row.text("channel")?,
        text: row.text("body")?,
        received: signed_by(row, "received")?,
        state: row.word("state")?,
        answer: row.text_opt("answer")?,
        answered: signature(row, "answered")?,
    })
}

fn subject(row: &AnyRow) -> Stored<SubjectRequest> {
    Ok(SubjectRequest {
        id: row.word("id")?,
        org: row.word("org_id")?,
        regime: row.word("regime")?,
        file_ref: row.text("file_ref")?,
        reasons: row.text("reasons")?,
        language: row.word("language")?,
        lat: row.double("lat")?,
        lon: row.double("lon")?,
        radius_m: row.number("radius_m")?,
        range: TimeRange::new(row.at("from_us")?, row.at("to_us")?).ok_or_else(|| nonsense("to_us"))?,
        due: row.at("due_us")?,
        received: signed_by(row, "received")?,
        state: row.word("state")?,
        answer: row.text_opt("answer")?,
        answered: signature(row, "answered")?,
    })
}

pub(crate) fn log_detail(row: &AnyRow) -> Stored<LogDetail> {
    Ok(LogDetail {
        index: row.number("leaf_index")?,
        at: row.at("at_us")?,
        org: row.word_opt("org_id")?,
        user: row.word_opt("user_id")?,
        operation: row.text("operation")?,
        decision: row.word_opt("decision_id")?,
        details: row.text("details")?,
    })
}

#[async_trait]
impl OversightStore for Store {
    async fn flow_list(&self) -> Stored<Vec<FlowRow>> {
        let sql = format!(
            "{FLOWS} where f.version = (select max(g.version) from data_flow g where g.id = f.id) order by f.id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.read).await.map_err(db_error)?;
        rows.iter().map(flow).collect()
    }

    async fn flow_put(&self, wanted: &FlowRow) -> Stored<()> {
        let version = signed(wanted.version)?;
        let [institution, source, purpose] = match &wanted.registered {
            Some(texts) => texts.clone().map(Some),
            None => [None, None, None],
        };
        write_txn!(self, |conn| {
            // The version is the lock: the row before must be the newest one, or there is none.
            let newest = sqlx::query("select coalesce(max(version), 0) as version from data_flow where id = $1")
                .bind(wanted.id.clone())
                .fetch_one(&mut *conn)
                .await
                .map_err(db_error)?
                .int("version")?;
            if newest.saturating_add(1) != version {
                return Err(StoreError::Stale);
            }
            sqlx::query(
                "insert into data_flow (id, version, state, reason, authority, until_us, changed_by, changed_name,
                    changed_at_us, institution, source, purpose)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            )
            .bind(wanted.id.clone())
            .bind(version)
            .bind(wanted.state.as_str())
            .bind(wanted.reason.clone())
            .bind(wanted.authority.clone())
            .bind(wanted.until.map(|at| at.micros))
            .bind(wanted.changed.user.to_string())
            .bind(wanted.changed.name.clone())
            .bind(wanted.changed.at.micros)
            .bind(institution.clone())
            .bind(source.clone())
            .bind(purpose.clone())
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn flow_history(&self, id: &str) -> Stored<Vec<FlowRow>> {
        let sql = format!("{FLOWS} where f.id = $1 order by f.version desc");
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_owned()).fetch_all(&self.read).await.map_err(db_error)?;
        rows.iter().map(flow).collect()
    }

    async fn complaint_insert(&self, _permit: &Permit<HandleComplaints>, wanted: &Complaint) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into complaint (id, about_id, channel, body, received_by, received_name, received_at_us, state)
                 values ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.about.to_string())
            .bind(wanted.channel.clone())
            .bind(wanted.text.clone())
            .bind(wanted.received.user.to_string())
            .bind(wanted.received.name.clone())
            .bind(wanted.received.at.micros)
            .bind(wanted.state.as_str())
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn complaint_list(&self, _permit: &Permit<HandleComplaints>, limit: u32) -> Stored<Vec<Complaint>> {
        let sql = format!("{COMPLAINTS} order by received_at_us desc, id desc limit $1");
        rows(self, sql, Some(i64::from(limit))).await?.iter().map(complaint).collect()
    }

    async fn complaint_update(
        &self,
        _permit: &Permit<HandleComplaints>,
        wanted: &Complaint,
        was: CaseState,
    ) -> Stored<()> {
        let by = wanted.answered.as_ref();
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update complaint set state = $3, answer = $4, answered_by = $5, answered_name = $6, answered_at_us = $7
                  where id = $1 and state = $2",
            )
            .bind(wanted.id.to_string())
            .bind(was.as_str())
            .bind(wanted.state.as_str())
            .bind(wanted.answer.clone())
            .bind(by.map(|by| by.user.to_string()))
            .bind(by.map(|by| by.name.clone()))
            .bind(by.map(|by| by.at.micros))
            .execute(conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }

    async fn subject_request_insert(
        &self,
        _permit: &Permit<HandleSubjectRequests>,
        wanted: &SubjectRequest,
    ) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into subject_request (id, org_id, regime, file_ref, reasons, language, lat, lon, radius_m, from_us,
                    to_us, due_us, received_by, received_name, received_at_us, state)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.org.to_string())
            .bind(wanted.regime.as_str())
            .bind(wanted.file_ref.clone())
            .bind(wanted.reasons.clone())
            .bind(wanted.language.as_str())
            .bind(wanted.lat)
            .bind(wanted.lon)
            .bind(i64::from(wanted.radius_m))
            .bind(wanted.range.from.micros)
            .bind(wanted.range.to.micros)
            .bind(wanted.due.micros)
            .bind(wanted.received.user.to_string())
            .bind(wanted.received.name.clone())
            .bind(wanted.received.at.micros)
            .bind(wanted.state.as_str())
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn subject_request_list(
        &self,
        _permit: &Permit<HandleSubjectRequests>,
        limit: u32,
    ) -> Stored<Vec<SubjectRequest>> {
        let sql = format!("{SUBJECTS} order by received_at_us desc, id desc limit $1");
        rows(self, sql, Some(i64::from(limit))).await?.iter().map(subject).collect()
    }

    async fn subject_request_update(
        &self,
        _permit: &Permit<HandleSubjectRequests>,
        wanted: &SubjectRequest,
        was: CaseState,
    ) -> Stored<()> {
        let by = wanted.answered.as_ref();
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update subject_request set state = $3, answer = $4, answered_by = $5, answered_name = $6,
                    answered_at_us = $7
                  where id = $1 and state = $2",
            )
            .bind(wanted.id.to_string())
            .bind(was.as_str())
            .bind(wanted.state.as_str())
            .bind(wanted.answer.clone())
            .bind(by.map(|by| by.user.to_string()))
            .bind(by.map(|by| by.name.clone()))
            .bind(by.map(|by| by.at.micros))
            .execute(conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }

    async fn account_counts(&self) -> Stored<Vec<AccountCount>> {
        let rows = sqlx::query(
            "select org_id, profile, count(*) as active, count(charter_at_us) as charters, count(training_at_us) as trainings
               from account where disabled_at_us is null group by org_id, profile order by org_id, profile",
        )
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        let count = |row: &AnyRow| {
            Ok(AccountCount {
                org: row.word("org_id")?,
                profile: row.text("profile")?,
                active: row.number("active")?,
                charters: row.number("charters")?,
                trainings: row.number("trainings")?,
            })
        };
        rows.iter().map(count).collect()
    }

    async fn case_counts(&self, range: TimeRange) -> Stored<Vec<(String, String, u64)>> {
        let rows = sqlx::query(
            "select 'complaints' as register, state, count(*) as n from complaint
              where received_at_us >= $1 and received_at_us < $2 group by state
             union all
             select 'subject_requests' as register, state, count(*) as n from subject_request
              where received_at_us >= $1 and received_at_us < $2 group by state
             order by 1, 2",
        )
        .bind(range.from.micros)
        .bind(range.to.micros)
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(|row| Ok((row.text("register")?, row.text("state")?, row.number("n")?))).collect()
    }

    async fn log_detail_scan(
        &self,
        _permit: &Permit<ViewReport>,
        range: TimeRange,
        above: Option<u64>,
        limit: u32,
    ) -> Stored<Vec<LogDetail>> {
        let above = above.map_or(Ok(-1), signed)?;
        let rows = sqlx::query(
            "select leaf_index, at_us, org_id, user_id, operation, decision_id, details from log_detail
              where leaf_index > $1 and at_us >= $2 and at_us < $3 order by leaf_index limit $4",
        )
        .bind(above)
        .bind(range.from.micros)
        .bind(range.to.micros)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(log_detail).collect()
    }
}
