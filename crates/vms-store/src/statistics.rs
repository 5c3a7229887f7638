//! Published counts and travel times.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::ports::store::Stored;
use vms_app::statistics_ports::{
    CountRow, RouteCode, Sample, SiteCode, StatQuery, StatisticsPermit, StatisticsStore, TimeRow,
};
use vms_core::WallTime;

use crate::bounded::Writing;
use crate::db::{Store, db_error};
use crate::row::{Columns as _, nonsense, unsigned};

/// Rows forgotten in one transaction.
const SWEEP_MAX: i64 = 50_000;

fn count_of(row: &AnyRow) -> Stored<CountRow> {
    let lane: u8 = row.number("lane")?;
    Ok(CountRow {
        site: SiteCode::new(row.text("site")?),
        lane: (lane != 0).then_some(lane),
        from: row.at("from_us")?,
        to: row.at("to_us")?,
        count: row.number_opt("vehicles")?,
        speed_kmh: row.number_opt("speed_kmh")?,
    })
}

fn time_of(row: &AnyRow) -> Stored<TimeRow> {
    Ok(TimeRow {
        route: RouteCode::new(row.text("route")?),
        from: row.at("from_us")?,
        to: row.at("to_us")?,
        mean_s: row.number("mean_s")?,
        sample: Sample::from_word(&row.text("sample")?).ok_or_else(|| nonsense("sample"))?,
    })
}

async fn put_count(conn: &mut Writing<'_>, row: &CountRow) -> Stored<()> {
    sqlx::query(
        "insert into stat_count (site, lane, from_us, to_us, vehicles, speed_kmh) values ($1, $2, $3, $4, $5, $6)
         on conflict (site, lane, from_us) do nothing",
    )
    .bind(row.site.as_str().to_owned())
    .bind(i64::from(row.lane.unwrap_or(0)))
    .bind(row.from.micros)
    .bind(row.to.micros)
    .bind(row.count.map(i64::from))
    .bind(row.speed_kmh.map(i64::from))
    .execute(conn)
    .await
    .map(drop)
    .map_err(db_error)
}

async fn put_time(conn: &mut Writing<'_>, row: &TimeRow) -> Stored<()> {
    sqlx::query(
        "insert into stat_time (route, from_us, to_us, mean_s, sample) values ($1, $2, $3, $4, $5)
         on conflict (route, from_us) do nothing",
    )
    .bind(row.route.as_str().to_owned())
    .bind(row.from.micros)
    .bind(row.to.micros)
    .bind(i64::from(row.mean_s))
    .bind(row.sample.as_str())
    .execute(conn)
    .await
    .map(drop)
    .map_err(db_error)
}

#[async_trait]
impl StatisticsStore for Store {
    async fn stat_put(&self, counts: &[CountRow], times: &[TimeRow]) -> Stored<()> {
        write_txn!(self, |conn| {
            for row in counts {
                put_count(&mut *conn, row).await?;
            }
            for row in times {
                put_time(&mut *conn, row).await?;
            }
            Ok(())
        })
    }

    async fn stat_recent(&self, from: WallTime, limit: u32) -> Stored<(Vec<CountRow>, Vec<TimeRow>)> {
        let counts = sqlx::query(
            "select site, lane, from_us, to_us, vehicles, speed_kmh from stat_count
              where from_us >= $1 and vehicles is not null order by from_us desc limit $2",
        )
        .bind(from.micros)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        let times = sqlx::query(
            "select route, from_us, to_us, mean_s, sample from stat_time where from_us >= $1 order by from_us desc limit $2",
        )
        .bind(from.micros)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        let counts = counts.iter().map(count_of).collect::<Stored<Vec<_>>>()?;
        Ok((counts, times.iter().map(time_of).collect::<Stored<Vec<_>>>()?))
    }

    async fn stat_sweep(&self, before: WallTime) -> Stored<u64> {
        let mut swept = 0;
        loop {
            let gone: u64 = write_txn!(self, |conn| {
                let counts = sqlx::query(
                    "delete from stat_count where from_us < $1 and from_us <= (select max(from_us) from
                       (select from_us from stat_count where from_us < $1 order by from_us limit $2) as oldest)",
                )
                .bind(before.micros)
                .bind(SWEEP_MAX)
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
                let times = sqlx::query("delete from stat_time where from_us < $1")
                    .bind(before.micros)
                    .execute(&mut *conn)
                    .await
                    .map_err(db_error)?;
                Ok(counts.rows_affected() + times.rows_affected())
            })?;
            swept += gone;
            if gone < unsigned(SWEEP_MAX)? {
                return Ok(swept);
            }
        }
    }

    async fn stat_counts(&self, _permit: &StatisticsPermit, query: &StatQuery) -> Stored<Vec<CountRow>> {
        let (after, lane) = query.after.map_or((i64::MIN, 0), |(at, lane)| (at.micros, lane));
        let rows = sqlx::query(
            "select site, lane, from_us, to_us, vehicles, speed_kmh from stat_count
              where site = $1 and from_us >= $2 and from_us < $3 and (from_us > $4 or (from_us = $4 and lane > $5))
              order by from_us, lane limit $6",
        )
        .bind(query.place.clone())
        .bind(query.range.from.micros)
        .bind(query.range.to.micros)
        .bind(after)
        .bind(i64::from(lane))
        .bind(i64::from(query.limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(count_of).collect()
    }

    async fn stat_times(&self, _permit: &StatisticsPermit, query: &StatQuery) -> Stored<Vec<TimeRow>> {
        let after = query.after.map_or(i64::MIN, |(at, _)| at.micros);
        let rows = sqlx::query(
            "select route, from_us, to_us, mean_s, sample from stat_time
              where route = $1 and from_us >= $2 and from_us < $3 and from_us > $4 order by from_us limit $5",
        )
        .bind(query.place.clone())
        .bind(query.range.from.micros)
        .bind(query.range.to.micros)
        .bind(after)
        .bind(i64::from(query.limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(time_of).collect()
    }
}
