//! Which approved findings a run can take, and which wait: for an outcome that can change no more, or for their holder.

use sqlx::{Any, Executor};
use vms_app::fines_ports::{Candidate, FineHeld, FineOpen, FinePermit, FineRun, FineWaits, NewFineLine};
use vms_app::lez_ports::Finding;
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_core::{CameraId, TimeRange, WallTime};

use super::LezVault;
use super::fines::whose;
use super::settle::count;
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, signed, unsigned};

/// A finding that no run holds and that was approved before `$2`, of the purpose `$3` and the authority `$4`: a record of it that stands is
/// a claim, and one that was merged or refused by a run was looked at in this version already.
const FREE: &str = "purpose = $3 and coalesce(authority_id, '') = $4 and state = 'approved' and decided_at_us < $2
    and not exists (select 1 from fine_line where fine_line.claim = lez_finding.id)
    and not exists (select 1 from fine_line join fine_run on fine_run.id = fine_line.run_id
        where fine_line.finding_id = lez_finding.id and fine_run.opened_at_us >= lez_finding.decided_at_us)";

/// So many of an authority's newest findings are tried before they are called damaged.
const OTHERS: i64 = 20;

/// Since when it is known what would be handed over: since the approval; of a zone, since its holder was answered, which comes after.
macro_rules! known {
    () => {
        "coalesce((select h.answered_at_us from finding_holder h where h.finding_id = lez_finding.id),
            case when purpose = 'ZBT' then null else decided_at_us end)"
    };
}

/// Since when a finding can be handed over: since that is known, and not before its outcome is final.
const READY: &str =
    concat!("(case when coalesce(final_from_us, 0) > ", known!(), " then final_from_us else ", known!(), " end)");

/// What was approved before the end of a span and that no run of an earlier span holds.
pub(super) async fn waits<'e>(
    executor: impl Executor<'e, Database = Any>,
    (purpose, authority): (&'static str, String),
    range: TimeRange,
) -> Stored<FineWaits> {
    let sql = format!(
        "select count(*) as approved, count(case when final_from_us >= $2 then 1 end) as not_final,
            max(case when final_from_us >= $2 then final_from_us end) as until_us,
            count(case when (final_from_us is null or final_from_us < $2) and ({READY} is null or {READY} >= $2) then 1 end)
                as holder
           from lez_finding where {FREE} and ({READY} is null or {READY} >= $1)"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(range.from.micros)
        .bind(range.to.micros)
        .bind(purpose)
        .bind(authority)
        .fetch_one(executor)
        .await
        .map_err(db_error)?;
    Ok(FineWaits {
        approved: row.int("approved").and_then(unsigned)?,
        not_final: row.int("not_final").and_then(unsigned)?,
        until: row.at_opt("until_us")?,
        holder: row.int("holder").and_then(unsigned)?,
    })
}

/// Lets findings wait, and looks once more whether everything that was approved is taken or waits as the run says: nothing can be approved
/// in a window that is over, so what differs was taken back or erased meanwhile.
pub(super) async fn hold(conn: &mut Writing<'_>, run: &FineRun, held: &[FineHeld]) -> Stored<()> {
    for one in held {
        let done = sqlx::query(
            "update lez_finding set final_from_us = $3 where id = $1 and version = $2 and state = 'approved'",
        )
        .bind(one.finding.to_string())
        .bind(signed(one.seen)?)
        .bind(one.until.micros)
        .execute(&mut *conn)
        .await
        .map_err(db_error)?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Stale);
        }
    }
    let authority = run.authority.map(|org| org.to_string()).unwrap_or_default();
    let now = waits(conn, (run.kind.purpose().as_str(), authority), run.range).await?;
    let is_so = run.waits == Some(now) && now.reconcile(run.totals.taken);
    if is_so { Ok(()) } else { Err(StoreError::Stale) }
}

/// Erases findings whose vehicle was allowed after all, and counts them as what they turned out to be; their keys die with the next sweep.
pub(super) async fn close(conn: &mut Writing<'_>, run: &FineRun, lines: &[NewFineLine]) -> Stored<()> {
    for line in lines {
        let Some((_, tally)) = line.closes else { continue };
        let id = line.finding.to_string();
        let row = sqlx::query("select camera_id from lez_finding where id = $1")
            .bind(id.clone())
            .fetch_one(&mut *conn)
            .await
            .map_err(db_error)?;
        let camera: CameraId = row.word("camera_id")?;
        count(&mut *conn, run.kind.purpose(), line.at, camera, tally).await?;
        for sql in [
            "delete from finding_holder where finding_id = $1",
            "delete from lez_finding_event where finding_id = $1",
            "delete from lez_finding where id = $1",
        ] {
            sqlx::query(sql).bind(id.clone()).execute(&mut *conn).await.map_err(db_error)?;
        }
        sqlx::query("update lez_key set ends_at_us = $2 where object = $1 and ends_at_us > $2")
            .bind(id)
            .bind(run.opened_at.micros)
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
    }
    Ok(())
}

impl LezVault {
    pub(super) async fn ready_findings(
        &self,
        permit: &FinePermit,
        range: TimeRange,
        limit: u32,
    ) -> Stored<Vec<Candidate>> {
        let sql = format!(
            "select {} from lez_finding where {READY} >= $1 and {READY} < $2 and {FREE} order by at_us, id limit $5",
            super::findings::COLUMNS
        );
        let (purpose, authority) = whose(permit);
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(range.from.micros)
            .bind(range.to.micros)
            .bind(purpose)
            .bind(authority)
            .bind(i64::from(limit))
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        let candidates = self.candidates_opened(&rows).await?;
        let is_whole = |one: &Candidate| matches!(one, Candidate::Whole(_));
        if !candidates.is_empty() && !candidates.iter().any(is_whole) && self.may_be_another_key(permit).await? {
            tracing::error!("no finding of this authority opens: it may be another key store; no batch takes any");
            return Err(StoreError::Unavailable("no finding opens: it may be another key store".into()));
        }
        Ok(candidates)
    }

    /// None of several findings opens: it may be the key store that is another one, and not the findings that are damaged. Nothing is refused
    /// on that suspicion.
    async fn may_be_another_key(&self, permit: &FinePermit) -> Stored<bool> {
        let sql = format!(
            "select {} from lez_finding where purpose = $1 and coalesce(authority_id, '') = $2 order by id desc limit $3",
            super::findings::COLUMNS
        );
        let (purpose, authority) = whose(permit);
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(purpose).bind(authority).bind(OTHERS);
        let rows = query.fetch_all(&self.store.read).await.map_err(db_error)?;
        let others = self.candidates_opened(&rows).await?;
        Ok(others.len() > 1 && !others.iter().any(|one| matches!(one, Candidate::Whole(_))))
    }

    pub(super) async fn waits_earlier(
        &self,
        permit: &FinePermit,
        finding: &Finding,
        to: WallTime,
    ) -> Stored<Option<WallTime>> {
        let sql = format!(
            "select max(final_from_us) as until_us from lez_finding
              where vehicle = $1 and at_us < $5 and final_from_us >= $2 and {FREE}"
        );
        let (purpose, authority) = whose(permit);
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(finding.vehicle.clone())
            .bind(to.micros)
            .bind(purpose)
            .bind(authority)
            .bind(finding.at.micros)
            .fetch_one(&self.store.read)
            .await
            .map_err(db_error)?;
        row.at_opt("until_us")
    }

    pub(super) async fn open_findings(&self, permit: &FinePermit, before: WallTime) -> Stored<FineOpen> {
        let sql = format!(
            "select count(*) as n, count(case when final_from_us > $1 then 1 end) as not_final,
                min(case when final_from_us > $1 then final_from_us end) as first_us,
                max(case when final_from_us > $1 then final_from_us end) as last_us from lez_finding where {FREE}"
        );
        let (purpose, authority) = whose(permit);
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(before.micros)
            .bind(before.micros)
            .bind(purpose)
            .bind(authority)
            .fetch_one(&self.store.read)
            .await
            .map_err(db_error)?;
        Ok(FineOpen {
            findings: row.int("n").and_then(unsigned)?,
            not_final: row.int("not_final").and_then(unsigned)?,
            final_from: row.at_opt("first_us")?.zip(row.at_opt("last_us")?),
        })
    }
}
