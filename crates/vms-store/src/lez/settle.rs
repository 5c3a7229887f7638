//! The end of a waiting read: erased and counted, or a finding. And what was asked at the registry.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::any::AnyRow;
use traffic_rules::Day;
use vms_app::lez_ports::{
    DayCount, FindingFile, NewFinding, PriorFinding, RegistryAsk, Settled, Settlement, StoredRead, Tally,
};
use vms_app::ports::store::Stored;
use vms_core::{CameraId, FindingId, Purpose, ReadId, WallTime};

use super::LezVault;
use super::keys::KeyId;
use super::seal::hour_of;
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense};

/// Hour of a count that is kept by day only.
const BY_DAY: i64 = -1;

/// One more of an outcome.
pub(super) async fn count(
    conn: &mut Writing<'_>,
    purpose: Purpose,
    at: WallTime,
    camera: CameraId,
    tally: Tally,
) -> Stored<()> {
    let hour = if purpose == Purpose::Lez { BY_DAY } else { hour_of(at) };
    sqlx::query(
        "insert into read_counter (purpose, day, hour, camera_id, outcome, n) values ($1, $2, $3, $4, $5, 1)
         on conflict (purpose, day, hour, camera_id, outcome) do update set n = read_counter.n + 1",
    )
    .bind(purpose.as_str())
    .bind(Day::at(at).to_string())
    .bind(hour)
    .bind(camera.to_string())
    .bind(tally.as_str())
    .execute(conn)
    .await
    .map(drop)
    .map_err(db_error)
}

/// What is sealed in `file`.
pub(super) fn file_text(file: &FindingFile) -> String {
    json!({
        "plate": file.plate.reveal(), "country": file.country.as_str(), "input": file.input, "outcome": file.outcome,
    })
    .to_string()
}

async fn settling(conn: &mut Writing<'_>, purpose: Purpose, read: ReadId) -> Stored<Option<AnyRow>> {
    sqlx::query("select class, hour, crop, overview from lez_read where purpose = $1 and id = $2")
        .bind(purpose.as_str())
        .bind(read.to_string())
        .fetch_optional(conn)
        .await
        .map_err(db_error)
}

async fn erase_read(conn: &mut Writing<'_>, purpose: Purpose, read: ReadId) -> Stored<()> {
    sqlx::query("delete from lez_read where purpose = $1 and id = $2")
        .bind(purpose.as_str())
        .bind(read.to_string())
        .execute(conn)
        .await
        .map(drop)
        .map_err(db_error)
}

impl LezVault {
    pub(super) async fn settle(&self, settlement: &Settlement) -> Stored<Settled> {
        let _sealing = self.sealing.read().await;
        write_txn!(self.store, |conn| { self.settle_on(conn, settlement).await })
    }

    pub(super) async fn settle_all(&self, settlements: &[Settlement]) -> Stored<Vec<Settled>> {
        let _sealing = self.sealing.read().await;
        write_txn!(self.store, |conn| {
            let mut settled = Vec::with_capacity(settlements.len());
            for settlement in settlements {
                settled.push(self.settle_on(&mut *conn, settlement).await?);
            }
            Ok(settled)
        })
    }

    async fn settle_on(&self, conn: &mut Writing<'_>, settlement: &Settlement) -> Stored<Settled> {
        let purpose = settlement.purpose;
        let Some(read) = settling(&mut *conn, purpose, settlement.read).await? else { return Ok(Settled::Gone) };
        let exit = match &settlement.exit {
            None => None,
            // Without its other end there is no run any more.
            Some(exit) => match settling(&mut *conn, purpose, exit.read).await? {
                Some(row) => Some((exit, row)),
                None => return Ok(Settled::Gone),
            },
        };
        let mut settled = Settled::Counted;
        if let Some(finding) = &settlement.finding {
            settled = if self.finding_insert(&mut *conn, settlement, finding, (&read, exit.as_ref())).await? {
                Settled::Found(finding.id)
            } else {
                Settled::SameDay
            };
        }
        let tally = if settled == Settled::SameDay { Tally::SameDay } else { settlement.tally };
        erase_read(&mut *conn, purpose, settlement.read).await?;
        count(&mut *conn, purpose, settlement.at, settlement.camera, tally).await?;
        if let Some(exit) = &settlement.exit {
            erase_read(&mut *conn, purpose, exit.read).await?;
            count(&mut *conn, purpose, exit.at, exit.camera, Tally::Paired).await?;
        }
        Ok(settled)
    }

    /// False when the vehicle has a finding of that day and slot.
    async fn finding_insert(
        &self,
        conn: &mut Writing<'_>,
        settlement: &Settlement,
        finding: &NewFinding,
        (read, exit): (&AnyRow, Option<&(&StoredRead, AnyRow)>),
    ) -> Stored<bool> {
        let (purpose, id, day) = (settlement.purpose, finding.id.to_string(), Day::at(settlement.at).to_string());
        let there = sqlx::query("select id from lez_finding where vehicle = $1 and day = $2 and slot = $3")
            .bind(finding.vehicle.clone())
            .bind(day.clone())
            .bind(finding.slot.clone())
            .fetch_optional(&mut *conn)
            .await
            .map_err(db_error)?;
        if there.is_some() {
            return Ok(false);
        }
        let to = KeyId::finding(purpose, finding.class.as_str(), finding.id);
        let (to_key, _) = self.key_or_make(&mut *conn, &to, finding.expires_at, settlement.at).await?;
        let seal = |field: &str, clear: &[u8]| self.seal(&to_key, &to, &id, field, clear);
        let [crop, overview] = self.pictures(&mut *conn, purpose, settlement.read, read).await?;
        let [exit_crop, exit_overview] = match exit {
            Some((exit, row)) => self.pictures(&mut *conn, purpose, exit.read, row).await?,
            None => [None, None],
        };
        let sealed = |field: &str, clear: Option<Vec<u8>>| clear.map(|clear| seal(field, &clear)).transpose();
        let measure = &finding.measure;
        let done = sqlx::query(
            "insert into lez_finding (id, state, verdict, rule_id, fine_id, amount_cents, currency, rule_set, at_us, day,
                camera_id, read_id, vehicle, class, expires_at_us, file, crop, overview, version,
                purpose, authority_id, slot, exit_camera_id, exit_at_us, exit_crop, exit_overview, final_from_us)
             values ($1, 'open', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 1,
                $18, $19, $20, $21, $22, $23, $24, $25)
             on conflict (vehicle, day, slot) do nothing",
        )
        .bind(id.clone())
        .bind(measure.verdict.as_str())
        .bind(measure.rule_id.clone())
        .bind(measure.fine_id.clone())
        .bind(measure.amount_cents.map(i64::from))
        .bind(measure.currency.clone())
        .bind(measure.rule_set.clone())
        .bind(settlement.at.micros)
        .bind(day)
        .bind(settlement.camera.to_string())
        .bind(settlement.read.to_string())
        .bind(finding.vehicle.clone())
        .bind(finding.class.as_str().to_owned())
        .bind(finding.expires_at.micros)
        .bind(seal("file", file_text(&finding.file).as_bytes())?)
        .bind(sealed("crop", crop)?)
        .bind(sealed("overview", overview)?)
        .bind(purpose.as_str())
        .bind(finding.authority.map(|org| org.to_string()))
        .bind(finding.slot.clone())
        .bind(exit.map(|(exit, _)| exit.camera.to_string()))
        .bind(exit.map(|(exit, _)| exit.at.micros))
        .bind(sealed("exit_crop", exit_crop)?)
        .bind(sealed("exit_overview", exit_overview)?)
        .bind(measure.final_from.map(|at| at.micros))
        .execute(conn)
        .await
        .map_err(db_error)?;
        Ok(done.rows_affected() == 1)
    }

    /// The pictures of an undecided read, in clear: plate and vehicle. Who decides sees that a damaged one is missing.
    async fn pictures(
        &self,
        conn: &mut Writing<'_>,
        purpose: Purpose,
        read: ReadId,
        row: &AnyRow,
    ) -> Stored<[Option<Vec<u8>>; 2]> {
        let from = KeyId::hour(purpose, &row.text("class")?, row.int("hour")?);
        let key = self.key(conn, &from).await?.ok_or_else(|| nonsense("hour"))?;
        let clear = |field: &str| -> Stored<Option<Vec<u8>>> {
            let Some(sealed) = row.blob_opt(field)? else { return Ok(None) };
            let id = read.to_string();
            Ok(self.whole(Self::open(&key, &from, &id, field, &sealed), "lez_read", &id))
        };
        Ok([clear("crop")?, clear("overview")?])
    }

    pub(super) async fn history(&self, vehicle: &str, but: Option<FindingId>) -> Stored<Vec<PriorFinding>> {
        let rows = sqlx::query(
            "select verdict, fine_id, amount_cents, at_us, slot from lez_finding
              where vehicle = $1 and state in ('open', 'approved') and id <> $2 order by at_us, id",
        )
        .bind(vehicle.to_owned())
        .bind(but.map(|id| id.to_string()).unwrap_or_default())
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let prior = |row: &AnyRow| {
            Ok(PriorFinding {
                verdict: row.word("verdict")?,
                fine_id: row.text_opt("fine_id")?,
                amount_cents: row.number_opt("amount_cents")?,
                at: row.at("at_us")?,
                slot: row.text("slot")?,
            })
        };
        rows.iter().map(prior).collect()
    }

    pub(super) async fn counts(&self, purpose: Purpose, day: Day) -> Stored<Vec<DayCount>> {
        let rows = sqlx::query(
            "select hour, camera_id, outcome, n from read_counter where purpose = $1 and day = $2
              order by hour, camera_id, outcome",
        )
        .bind(purpose.as_str())
        .bind(day.to_string())
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let one = |row: &AnyRow| {
            let hour = Some(row.int("hour")?).filter(|hour| *hour != BY_DAY);
            let (camera, outcome, count) = (row.word("camera_id")?, row.text("outcome")?, row.number("n")?);
            Ok(DayCount { hour, camera, outcome, count })
        };
        rows.iter().map(one).collect()
    }

    pub(super) async fn ask(&self, ask: &RegistryAsk, expires_at: WallTime) -> Stored<()> {
        let item = |(plate, country, at, outcome): &(vms_core::Plate, vms_core::Country, WallTime, &'static str)| {
            json!([plate.reveal(), country.as_str(), at.micros, outcome])
        };
        let list = serde_json::Value::Array(ask.items.iter().map(item).collect()).to_string();
        let hour = hour_of(ask.asked_at);
        let key_id = KeyId::asks(ask.purpose, hour);
        let items_count = i64::try_from(ask.items.len()).map_err(|_| nonsense("items_count"))?;
        let _sealing = self.sealing.read().await;
        write_txn!(self.store, |conn| {
            let (key, _) = self.key_or_make(&mut *conn, &key_id, expires_at, ask.ended_at).await?;
            let items = self.seal(&key, &key_id, &ask.request, "items", list.as_bytes())?;
            sqlx::query(
                "insert into lez_registry_ask (id, flow, institution, source, reason, asked_at_us, ended_at_us, attempts,
                    ending, items_count, digest, hour, items, items_end_us)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
                 on conflict (id) do nothing",
            )
            .bind(ask.request.clone())
            .bind(ask.flow.clone())
            .bind(ask.institution.clone())
            .bind(ask.source.clone())
            .bind(ask.reason.clone())
            .bind(ask.asked_at.micros)
            .bind(ask.ended_at.micros)
            .bind(i64::from(ask.attempts))
            .bind(ask.end.clone())
            .bind(items_count)
            .bind(hex::encode(Sha256::digest(&items)))
            .bind(hour)
            .bind(items)
            .bind(expires_at.micros)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }
}
