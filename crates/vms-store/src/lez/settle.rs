//! The end of a waiting read: erased and counted, or a finding. And what was asked at the registry.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::any::AnyRow;
use traffic_rules::Day;
use vms_app::lez_ports::{DayCount, FindingFile, NewFinding, PriorFinding, RegistryAsk, Settled, Settlement, Tally};
use vms_app::ports::store::Stored;
use vms_core::{CameraId, FindingId, Purpose, WallTime};

use super::LezVault;
use super::keys::KeyId;
use super::seal::hour_of;
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense};

/// One more of an outcome on a day.
pub(super) async fn count(conn: &mut Writing<'_>, at: WallTime, camera: CameraId, tally: Tally) -> Stored<()> {
    sqlx::query(
        "insert into lez_counter (day, camera_id, outcome, n) values ($1, $2, $3, 1)
         on conflict (day, camera_id, outcome) do update set n = lez_counter.n + 1",
    )
    .bind(Day::at(at).to_string())
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

impl LezVault {
    pub(super) async fn settle(&self, settlement: &Settlement) -> Stored<Settled> {
        let _sealing = self.sealing.read().await;
        write_txn!(self.store, |conn| { self.settle_on(conn, settlement).await })
    }

    async fn settle_on(&self, conn: &mut Writing<'_>, settlement: &Settlement) -> Stored<Settled> {
        let id = settlement.read.to_string();
        let row = sqlx::query("select class, hour, crop, overview from lez_read where purpose = 'LEZ' and id = $1")
            .bind(id.clone())
            .fetch_optional(&mut *conn)
            .await
            .map_err(db_error)?;
        let Some(row) = row else { return Ok(Settled::Gone) };
        let mut settled = Settled::Counted;
        if let Some(finding) = &settlement.finding {
            settled = if self.finding_insert(&mut *conn, settlement, finding, &row).await? {
                Settled::Found(finding.id)
            } else {
                Settled::SameDay
            };
        }
        sqlx::query("delete from lez_read where purpose = 'LEZ' and id = $1")
            .bind(id)
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
        let tally = if settled == Settled::SameDay { Tally::SameDay } else { settlement.tally };
        count(conn, settlement.at, settlement.camera, tally).await?;
        Ok(settled)
    }

    /// False when the vehicle has a finding of that day.
    async fn finding_insert(
        &self,
        conn: &mut Writing<'_>,
        settlement: &Settlement,
        finding: &NewFinding,
        read: &AnyRow,
    ) -> Stored<bool> {
        let day = Day::at(settlement.at).to_string();
        let there = sqlx::query("select id from lez_finding where vehicle = $1 and day = $2")
            .bind(finding.vehicle.clone())
            .bind(day.clone())
            .fetch_optional(&mut *conn)
            .await
            .map_err(db_error)?;
        if there.is_some() {
            return Ok(false);
        }
        let (read_id, id) = (settlement.read.to_string(), finding.id.to_string());
        let from = KeyId::hour(Purpose::Lez, &read.text("class")?, read.int("hour")?);
        let from_key = self.key(&mut *conn, &from).await?.ok_or_else(|| nonsense("hour"))?;
        let to = KeyId::finding(finding.class.as_str(), finding.id);
        let (to_key, _) = self.key_or_make(&mut *conn, &to, finding.expires_at, settlement.at).await?;
        let moved = |field: &str| -> Stored<Option<Vec<u8>>> {
            let Some(sealed) = read.blob_opt(field)? else { return Ok(None) };
            let clear = Self::open(&from_key, &from, &read_id, field, &sealed)?;
            self.seal(&to_key, &to, &id, field, &clear).map(Some)
        };
        let file = self.seal(&to_key, &to, &id, "file", file_text(&finding.file).as_bytes())?;
        let measure = &finding.measure;
        let done = sqlx::query(
            "insert into lez_finding (id, state, verdict, rule_id, fine_id, amount_cents, currency, rule_set, at_us, day,
                camera_id, read_id, vehicle, class, expires_at_us, file, crop, overview, version)
             values ($1, 'open', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 1)
             on conflict (vehicle, day) do nothing",
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
        .bind(read_id.clone())
        .bind(finding.vehicle.clone())
        .bind(finding.class.as_str().to_owned())
        .bind(finding.expires_at.micros)
        .bind(file)
        .bind(moved("crop")?)
        .bind(moved("overview")?)
        .execute(conn)
        .await
        .map_err(db_error)?;
        Ok(done.rows_affected() == 1)
    }

    pub(super) async fn history(&self, vehicle: &str, but: Option<FindingId>) -> Stored<Vec<PriorFinding>> {
        let rows = sqlx::query(
            "select verdict, fine_id, amount_cents, at_us from lez_finding
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
            })
        };
        rows.iter().map(prior).collect()
    }

    pub(super) async fn counts(&self, day: Day) -> Stored<Vec<DayCount>> {
        let rows =
            sqlx::query("select camera_id, outcome, n from lez_counter where day = $1 order by camera_id, outcome")
                .bind(day.to_string())
                .fetch_all(&self.store.read)
                .await
                .map_err(db_error)?;
        let one = |row: &AnyRow| {
            Ok(DayCount { camera: row.word("camera_id")?, outcome: row.text("outcome")?, count: row.number("n")? })
        };
        rows.iter().map(one).collect()
    }

    pub(super) async fn ask(&self, ask: &RegistryAsk, expires_at: WallTime) -> Stored<()> {
        let item = |(plate, country, at, outcome): &(vms_core::Plate, vms_core::Country, WallTime, &'static str)| {
            json!([plate.reveal(), country.as_str(), at.micros, outcome])
        };
        let list = serde_json::Value::Array(ask.items.iter().map(item).collect()).to_string();
        let hour = hour_of(ask.asked_at);
        let key_id = KeyId::asks(hour);
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
