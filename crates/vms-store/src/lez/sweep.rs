//! Erasing by class: rows whose term ended, and keys that nothing needs any more.

use std::time::Duration;

use ::keys::KeyEpoch;
use vms_app::erasure_ports::{Erasure, Swept, SweptCounts};
use vms_app::lez_ports::Tally;
use vms_app::ports::store::Stored;
use vms_core::{CameraId, Purpose, WallTime};

use super::LezVault;
use super::clocks::{CLOCKS, MARKED};
use super::keys::{KeyId, Lock};
use super::reads::NEVER;
use super::seal::hour_of;
use super::settle::count;
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::Columns as _;

/// Reads erased in one sweep; the next one goes on.
const READS_MAX: i64 = 1_000;
/// Keys destroyed in one sweep; the next one goes on.
const KEYS_MAX: i64 = 1_000;
/// How long a taken read's id is remembered: longer than an undecided read of the low-emission zone may ever live (P7D).
const SEEN: Duration = Duration::from_secs(8 * 86_400);
/// How long a permit is kept after its end: for as long as a candidate of its days can wait for an official (bound of RC-ZBT-CAND).
const PERMITS: Duration = Duration::from_secs(30 * 86_400);

/// Hours in which terms end that may go at once, or within a day, without a second person: one and a half days, as in the recorder.
const HOURS_AT_ONCE: u64 = 36;

/// What went lately: a vessel that runs dry at 1.5 hours of ends an hour. Lost with the process: the bound is then 36 hours anew, and the
/// guarded clock of `serve` holds the sweep after a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    at_us: i64,
    level_min: u64,
    /// Ends up to this hour were counted.
    counted: i64,
    /// Up to this hour two people let everything through.
    approved: Option<i64>,
}

/// Hours in which terms ended of what is still there.
struct Ends {
    fresh: u64,
    last: i64,
}

impl Spent {
    fn level_at(&self, now: WallTime) -> u64 {
        let passed_min = u64::try_from(now.micros.saturating_sub(self.at_us) / 60_000_000).unwrap_or(0);
        self.level_min.saturating_sub(passed_min.saturating_mul(3) / 2)
    }

    /// Whether so much may go now; counts it when it may.
    fn admits(&mut self, ends: &Ends, now: WallTime, approved: impl FnOnce() -> bool) -> bool {
        let level_min = self.level_at(now);
        if level_min / 60 + ends.fresh > HOURS_AT_ONCE && self.approved.is_none_or(|until| until < ends.last) {
            if !approved() {
                return false;
            }
            self.approved = Some(ends.last);
        }
        if self.approved.is_none_or(|until| until < ends.last) {
            (self.at_us, self.level_min) = (now.micros, level_min + ends.fresh * 60);
        }
        self.counted = self.counted.max(ends.last);
        true
    }
}

/// An hour of undecided reads that is over and has no read left; its key dies before its term.
const IS_SPENT: &str = "object = '' and purpose in ('LEZ', 'ZBT', 'TRAJECT') and hour < $2 and not exists (
    select 1 from lez_read r where r.purpose = lez_key.purpose and r.class = lez_key.class and r.hour = lez_key.hour) and not exists (
    select 1 from read_mark m where m.purpose = lez_key.purpose and m.at_us / 3600000000 = lez_key.hour)";

/// Whether a decision in force keeps a police read past its first term. `serve` takes such reads away before their term ends; what it could not take
/// yet is not erased meanwhile.
fn kept(read: &str) -> String {
    format!(
        "({read}.purpose = 'OPENBARE_ORDE' and exists (select 1 from gated_decision d where d.state = 'in_force' and d.camera_id = {read}.camera_id
            and d.class = {read}.class and d.from_us <= {read}.at_us and d.to_us > {read}.at_us))"
    )
}

/// A key whose time has come.
struct Due {
    id: KeyId,
    lock: Lock,
}

impl LezVault {
    pub(super) async fn sweep(&self, now: WallTime) -> Stored<Swept> {
        let looks = self.sealing.read().await.is_due(now);
        if !looks && !self.has_work(now).await? {
            return Ok(Swept::default());
        }
        let mut looked = self.sealing.write().await;
        let ends = self.ends(now, looked.spent.counted).await?;
        let until_hour = u32::try_from(ends.last).unwrap_or(0);
        if ends.fresh > 0 && !looked.spent.admits(&ends, now, || self.keys.take_approval(until_hour)) {
            let waits_until_hour = Some(until_hour);
            return Ok(Swept { waits_until_hour, ..Swept::default() });
        }
        let mut due = self.due(now).await?;
        let mut dying: Vec<KeyEpoch> = due.iter().filter_map(|due| due.lock.number()).collect();
        if looks {
            dying.extend(self.orphans().await?);
        }
        if let Err(error) = self.destroy(dying, now, &mut looked.destroyed).await {
            // Rows past their term go all the same; what names a key that lives stays until it is dead.
            tracing::error!(%error, "keys of reads whose term ended could not be destroyed; tried again every second");
            due.retain(|due| due.lock.number().is_none());
        }
        let digests = looked.destroyed.clone();
        let (erased, entries) = write_txn!(self.store, |conn| { erase(conn, now, &due, &digests).await })?;
        looked.destroyed.clear();
        if entries > 0 {
            self.watched.lock().await.take();
        }
        if let Err(error) = self.adopt(now).await {
            // What was erased is told all the same, and the keys of an earlier version die with their terms.
            tracing::error!(%error, "keys of reads of an earlier version could not be taken over");
        }
        looked.at = Some(now);
        Ok(Swept { erased, ..Swept::default() })
    }

    /// How many hours with ends are due that were not counted yet.
    async fn ends(&self, now: WallTime, counted: i64) -> Stored<Ends> {
        let row = sqlx::query(
            "select count(*) as fresh, coalesce(max(hour), 0) as last from (
                select ends_at_us / 3600000000 as hour from lez_key where ends_at_us <= $1
                union select expires_at_us / 3600000000 from lez_read where expires_at_us <= $1
                union select expires_at_us / 3600000000 from lez_finding where expires_at_us <= $1
             ) as ends where hour > $2",
        )
        .bind(now.micros)
        .bind(counted)
        .fetch_one(&self.store.read)
        .await
        .map_err(db_error)?;
        Ok(Ends { fresh: u64::try_from(row.int("fresh")?).unwrap_or(0), last: row.int("last")? })
    }

    async fn due(&self, now: WallTime) -> Stored<Vec<Due>> {
        // A decision keeps reads of the hour that could not be sealed anew yet: their key waits.
        let kept = kept("r");
        let sql = format!(
            "select purpose, class, hour, object, wrapped from lez_key where (ends_at_us <= $1 or ({IS_SPENT})) and not (
                purpose = 'OPENBARE_ORDE' and object = '' and exists (select 1 from lez_read r
                 where r.purpose = lez_key.purpose and r.class = lez_key.class and r.hour = lez_key.hour and {kept}))
              order by ends_at_us limit $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(now.micros)
            .bind(hour_of(now))
            .bind(KEYS_MAX)
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        rows.iter().map(|row| Ok(Due { id: KeyId::of(row)?, lock: Lock::of(row)? })).collect()
    }

    /// One reading statement, so that a sweep with nothing to do takes no write lock.
    async fn has_work(&self, now: WallTime) -> Stored<bool> {
        let sql = format!(
            "select case when exists (select 1 from lez_read where expires_at_us <= $1)
                or exists (select 1 from lez_finding where expires_at_us <= $1)
                or exists (select 1 from lez_registry_ask where items_end_us <= $1 and items is not null)
                or exists (select 1 from lez_seen where at_us <= $3)
                or exists (select 1 from read_mark where received_at_us <= $5)
                or exists (select 1 from camera_clock where noted_at_us <= $6)
                or exists (select 1 from lez_pass where expires_at_us <= $1)
                or exists (select 1 from gated_read where expires_at_us <= $1)
                or exists (select 1 from gated_search where expires_at_us <= $1)
                or exists (select 1 from zbt_permit where to_us <= $4)
                or exists (select 1 from zbt_listing where to_us <= $4)
                or exists (select 1 from lez_key where ends_at_us <= $1 or length(wrapped) <> 8 or ({IS_SPENT}))
              then 1 else 0 end as work"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(now.micros)
            .bind(hour_of(now))
            .bind(now.minus(SEEN).micros)
            .bind(now.minus(PERMITS).micros)
            .bind(now.minus(MARKED).micros)
            .bind(now.minus(CLOCKS).micros)
            .fetch_one(&self.store.read)
            .await
            .map_err(db_error)?;
        Ok(row.int("work")? == 1)
    }
}

/// Deletes what is past its term, and the names of the keys that are dead, and notes it for the log. The second number is that of entries of
/// watchlists.
async fn erase(
    conn: &mut Writing<'_>,
    now: WallTime,
    dead: &[Due],
    destructions: &[String],
) -> Stored<(SweptCounts, u64)> {
    let reads = expire_reads(&mut *conn, now).await?;
    let events = "delete from lez_finding_event
        where finding_id in (select id from lez_finding where expires_at_us <= $1)";
    run(&mut *conn, events, now).await?;
    let closed = super::fines::close_ended(&mut *conn, now).await?;
    let findings = run(&mut *conn, "delete from lez_finding where expires_at_us <= $1", now).await?;
    let asks = "update lez_registry_ask set items = null where items_end_us <= $1 and items is not null";
    let asks = run(&mut *conn, asks, now).await?;
    let keys = forget_keys(&mut *conn, dead).await?;
    let gated = run(&mut *conn, "delete from gated_read where expires_at_us <= $1", now).await?;
    for sql in ["delete from zbt_permit where to_us <= $1", "delete from zbt_listing where to_us <= $1"] {
        run(&mut *conn, sql, now.minus(PERMITS)).await?;
    }
    for sql in [
        "delete from plate_block where expires_at_us <= $1",
        "delete from plate_fresh where expires_at_us <= $1",
        "delete from watch_hit where expires_at_us <= $1",
        "delete from lez_pass where expires_at_us <= $1",
        "delete from gated_search where expires_at_us <= $1",
    ] {
        run(&mut *conn, sql, now).await?;
    }
    let entries = run(&mut *conn, "delete from watch_entry where ends_at_us <= $1", now).await?;
    run(&mut *conn, "delete from read_mark where received_at_us <= $1", now.minus(MARKED)).await?;
    run(&mut *conn, "delete from camera_clock where noted_at_us <= $1", now.minus(CLOCKS)).await?;
    run(&mut *conn, "delete from lez_seen where at_us <= $1", now.minus(SEEN)).await?;
    let erased = SweptCounts { reads, gated, findings, asks, closed, keys, destructions: destructions.to_vec() };
    if erased != SweptCounts::default() {
        super::erasures::note(conn, now, &Erasure::Swept(erased.clone())).await?;
    }
    Ok((erased, entries))
}

async fn forget_keys(conn: &mut Writing<'_>, dead: &[Due]) -> Stored<u64> {
    let mut keys = 0;
    for Due { id, .. } in dead {
        let sql = "delete from lez_key where purpose = $1 and class = $2 and hour = $3 and object = $4";
        let done = sqlx::query(sql)
            .bind(id.purpose.as_str())
            .bind(id.class.clone())
            .bind(id.hour)
            .bind(id.object.clone())
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
        keys += done.rows_affected();
    }
    Ok(keys)
}

async fn run(conn: &mut Writing<'_>, sql: &'static str, upto: WallTime) -> Stored<u64> {
    let done = sqlx::query(sql).bind(upto.micros).execute(conn).await.map_err(db_error)?;
    Ok(done.rows_affected())
}

/// Erases reads past their term; those without a decision are counted.
async fn expire_reads(conn: &mut Writing<'_>, now: WallTime) -> Stored<u64> {
    let sql = format!(
        "select purpose, id, camera_id, at_us, next_try_us from lez_read where expires_at_us <= $1 and not {} order by expires_at_us limit $2",
        kept("lez_read")
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(now.micros)
        .bind(READS_MAX)
        .fetch_all(&mut *conn)
        .await
        .map_err(db_error)?;
    let mut erased = 0;
    for row in &rows {
        let purpose = row.text("purpose")?;
        let done = sqlx::query("delete from lez_read where purpose = $1 and id = $2")
            .bind(purpose.clone())
            .bind(row.text("id")?)
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
        erased += done.rows_affected();
        let purpose: Purpose = row.word("purpose")?;
        if purpose != Purpose::PublicOrder && done.rows_affected() == 1 {
            let camera: CameraId = row.word("camera_id")?;
            let tally = if row.at("next_try_us")? == NEVER { Tally::Damaged } else { Tally::Expired };
            count(&mut *conn, purpose, row.at("at_us")?, camera, tally).await?;
        }
    }
    Ok(erased)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_and_a_half_goes_and_more_waits_for_two_people() {
        let at = WallTime::from_secs;
        let mut spent = Spent::default();
        let ends = |fresh, last| Ends { fresh, last };
        assert!(spent.admits(&ends(36, 36), at(0), || false), "the first day and a half");
        assert!(!spent.admits(&ends(1, 37), at(0), || false), "no more at once");
        assert!(spent.admits(&ends(1, 37), at(3_600), || false), "an hour an hour goes on for ever");
        // A clock that runs ahead in small steps gets no more than that.
        let mut passed = 0;
        for step in 0..100_i64 {
            passed += i64::from(spent.admits(&ends(24, 37 + step), at(3_600 + step), || false));
        }
        assert_eq!(passed, 0);
        assert!(spent.admits(&ends(9_000, 9_000), at(4_000), || true), "two people let it through");
        assert!(spent.admits(&ends(500, 9_000), at(4_001), || false), "and what is left of it");
        assert!(!spent.admits(&ends(9_000, 18_000), at(4_002), || false), "nothing later");
    }
}
