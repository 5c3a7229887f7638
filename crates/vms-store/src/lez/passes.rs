//! Day passes of the low-emission zone: under a keyed hash of plate and country, which names nobody and is shared with no read.

use async_trait::async_trait;
use traffic_rules::Day;
use traffic_rules::lez::DayPass;
use vms_app::fines_ports::FinePermit;
use vms_app::pass_ports::{PassStore, SoldPass};
use vms_app::ports::store::Stored;
use vms_core::{Country, Plate, Purpose, WallTime};

use super::LezVault;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense};

impl LezVault {
    fn pass_token(&self, plate: &Plate, country: Country) -> String {
        self.token(Purpose::Lez, &["day pass", country.as_str(), plate.reveal()])
    }
}

#[async_trait]
impl PassStore for LezVault {
    async fn day_passes(&self, plate: &Plate, country: Country, day: Day) -> Stored<Vec<DayPass>> {
        let year = day.year();
        let rows = sqlx::query(
            "select day, bought_at_us from lez_pass where token = $1 and day >= $2 and day <= $3 order by day",
        )
        .bind(self.pass_token(plate, country))
        .bind(format!("{year:04}-01-01"))
        .bind(format!("{year:04}-12-31"))
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let pass = |row: &sqlx::any::AnyRow| {
            let day = row.text("day")?.parse().map_err(|_| nonsense("day"))?;
            Ok(DayPass { day, bought_at: row.at("bought_at_us")? })
        };
        rows.iter().map(pass).collect()
    }

    async fn day_pass_put(&self, _permit: &FinePermit, sold: &SoldPass, at: WallTime, ends: WallTime) -> Stored<bool> {
        let token = self.pass_token(&sold.plate, sold.country);
        write_txn!(self.store, |conn| {
            let done = sqlx::query(
                "insert into lez_pass (token, day, bought_at_us, told_at_us, expires_at_us) values ($1, $2, $3, $4, $5)
                 on conflict (token, day) do update set bought_at_us = excluded.bought_at_us, told_at_us = excluded.told_at_us
                  where lez_pass.bought_at_us > excluded.bought_at_us",
            )
            .bind(token.clone())
            .bind(sold.pass.day.to_string())
            .bind(sold.pass.bought_at.micros)
            .bind(at.micros)
            .bind(ends.micros)
            .execute(conn)
            .await
            .map_err(db_error)?;
            Ok(done.rows_affected() == 1)
        })
    }
}
