//! The index of plates is made of reads, so a damaged block of it is no loss: its day is indexed anew.

use vms_app::ports::store::Stored;

use super::LezVault;
use super::seal::broken;
use crate::db::db_error;

/// Hours of a day.
const DAY_HOURS: i64 = 24;

impl LezVault {
    /// Throws an owner's blocks of a day (since 1970) away and lays its reads out to be packed again. Searches find them in the meantime, more slowly.
    pub(super) async fn plates_again(&self, owner: &str, day: i64) -> Stored<()> {
        self.whole::<()>(Err(broken()), "plate_block", &format!("{owner} day {day}"));
        let _sealing = self.sealing.read().await;
        write_txn!(self.store, |conn| {
            sqlx::query("delete from plate_block where owner_id = $1 and day = $2")
                .bind(owner.to_owned())
                .bind(day)
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
            sqlx::query(
                "insert into plate_fresh (id, owner_id, class, hour, expires_at_us)
                 select id, owner_id, class, hour, expires_at_us from lez_read
                  where purpose = 'OPENBARE_ORDE' and owner_id = $1 and hour >= $2 and hour < $3
                 on conflict (id) do nothing",
            )
            .bind(owner.to_owned())
            .bind(day * DAY_HOURS)
            .bind((day + 1) * DAY_HOURS)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }
}
