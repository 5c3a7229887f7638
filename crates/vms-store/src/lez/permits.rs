//! The permit desk's register: permits and lists, with plates sealed under the root secret and found by a keyed hash of this register alone.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use traffic_rules::zbt::snapshot::Permit as VehiclePermit;
use traffic_rules::zbt::{GroupMember, ListKind, Listing, PermitId, PermitStatus, QuotaGroup, RightCode, ZoneCode};
use vms_app::gate::Permit;
use vms_app::gate::action::{DecodeAnpr, EditPermits, ViewPermits};
use vms_app::ports::store::Stored;
use vms_app::traffic_ports::{NewListing, NewPermit, PermitStore, VehicleRights};
use vms_core::{Country, Plate, Purpose, UserId, WallTime};

use super::LezVault;
use super::reads::{is_page_done, places_left};
use super::seal::{broken, open_raw};
use crate::db::db_error;
use crate::row::{Columns as _, nonsense};

const COLUMNS: &str =
    "id, right_code, zones, from_us, to_us, granted_at_us, status, windows, group_code, places, evidence, token";
const LABEL: &str = "belfry permits v1";

#[derive(Serialize, Deserialize)]
struct Sealed {
    plate: String,
    country: String,
}

fn word<T: Serialize>(value: &T) -> Stored<String> {
    let value = serde_json::to_value(value).map_err(|_| nonsense("word"))?;
    value.as_str().map(str::to_owned).ok_or_else(|| nonsense("word"))
}

fn of_word<T: for<'de> Deserialize<'de>>(row: &AnyRow, column: &'static str) -> Stored<T> {
    serde_json::from_value(row.text(column)?.into()).map_err(|_| nonsense(column))
}

impl LezVault {
    fn permit_token(&self, plate: &Plate, country: Country) -> String {
        self.token(Purpose::Zbt, &["permit", country.as_str(), plate.reveal()])
    }

    fn permit_seal(&self, object: &str, plate: &Plate, country: Country) -> Stored<Vec<u8>> {
        let clear = Sealed { plate: plate.reveal().to_owned(), country: country.as_str().to_owned() };
        let clear = serde_json::to_vec(&clear).map_err(|_| nonsense("sealed"))?;
        self.seal_raw(&self.derived(LABEL), format!("{LABEL}|{object}").as_bytes(), &clear)
    }

    fn permit_open(&self, object: &str, row: &AnyRow) -> Stored<(Plate, Country)> {
        let sealed = row.blob_opt("sealed")?.ok_or_else(|| nonsense("sealed"))?;
        let clear = open_raw(&self.derived(LABEL), format!("{LABEL}|{object}").as_bytes(), &sealed)?;
        let clear: Sealed = serde_json::from_slice(&clear).map_err(|_| broken())?;
        let plate = Plate::parse(&clear.plate).map_err(|_| broken())?;
        Ok((plate, Country::parse(&clear.country).ok_or_else(broken)?))
    }

    async fn rights(&self, plate: &Plate, countries: &[Country]) -> Stored<VehicleRights> {
        let mut rights = VehicleRights::default();
        for country in countries {
            let token = self.permit_token(plate, *country);
            let rows =
                sqlx::query("select list, from_us, to_us from zbt_listing where token = $1 order by from_us, id")
                    .bind(token.clone())
                    .fetch_all(&self.store.read)
                    .await
                    .map_err(db_error)?;
            for row in &rows {
                let list: ListKind = of_word(row, "list")?;
                rights.listings.push(Listing { list, from: row.at("from_us")?, to: row.at_opt("to_us")? });
            }
            let sql = format!("select {COLUMNS} from zbt_permit where token = $1 order by granted_at_us, id");
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(token.clone())
                .fetch_all(&self.store.read)
                .await
                .map_err(db_error)?;
            for row in &rows {
                rights.permits.push(self.vehicle_permit(row, &token).await?);
            }
        }
        Ok(rights)
    }

    async fn vehicle_permit(&self, row: &AnyRow, token: &str) -> Stored<VehiclePermit> {
        let group = match (row.text_opt("group_code")?, row.number_opt("places")?) {
            (Some(code), Some(places)) => Some(self.group(&code, places, token).await?),
            _ => None,
        };
        Ok(VehiclePermit {
            id: PermitId::new(row.text("id")?),
            right: RightCode::new(row.text("right_code")?),
            zones: row.text("zones")?.split_whitespace().map(ZoneCode::new).collect(),
            from: row.at("from_us")?,
            to: row.at("to_us")?,
            granted_at: row.at("granted_at_us")?,
            status: of_word(row, "status")?,
            windows: serde_json::from_str(&row.text("windows")?).map_err(|_| nonsense("windows"))?,
            group,
        })
    }

    /// The granted permits of a group's other vehicles. A vehicle's token there is the register's own.
    async fn group(&self, code: &str, places: u16, but: &str) -> Stored<QuotaGroup> {
        let rows = sqlx::query(
            "select id, token, from_us, to_us, granted_at_us from zbt_permit
              where group_code = $1 and token <> $2 and status = 'granted' order by granted_at_us, id",
        )
        .bind(code.to_owned())
        .bind(but.to_owned())
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let member = |row: &AnyRow| {
            Ok(GroupMember {
                id: PermitId::new(row.text("id")?),
                vehicle: row.text("token")?,
                from: row.at("from_us")?,
                to: row.at("to_us")?,
                granted_at: row.at("granted_at_us")?,
            })
        };
        Ok(QuotaGroup { places, others: rows.iter().map(member).collect::<Stored<_>>()? })
    }

    fn permit_of(&self, row: &AnyRow) -> Stored<NewPermit> {
        let id = row.text("id")?;
        let (plate, country) = self.permit_open(&id, row)?;
        let status: PermitStatus = of_word(row, "status")?;
        Ok(NewPermit {
            plate,
            country,
            right: row.text("right_code")?,
            zones: row.text("zones")?.split_whitespace().map(str::to_owned).collect(),
            from: row.at("from_us")?,
            to: row.at("to_us")?,
            granted_at: row.at("granted_at_us")?,
            status,
            windows: serde_json::from_str(&row.text("windows")?).map_err(|_| nonsense("windows"))?,
            group: row.text_opt("group_code")?.zip(row.number_opt("places")?),
            evidence: row.text("evidence")?,
            id,
        })
    }
}

#[async_trait]
impl PermitStore for LezVault {
    async fn vehicle_rights(
        &self,
        _permit: &Permit<DecodeAnpr>,
        plate: &Plate,
        countries: &[Country],
    ) -> Stored<VehicleRights> {
        self.rights(plate, countries).await
    }

    async fn rights_now(&self, plate: &Plate, country: Country) -> Stored<VehicleRights> {
        self.rights(plate, &[country]).await
    }

    async fn group_now(&self, _permit: &Permit<EditPermits>, new: &NewPermit) -> Stored<Option<QuotaGroup>> {
        let Some((code, places)) = &new.group else { return Ok(None) };
        self.group(code, *places, &self.permit_token(&new.plate, new.country)).await.map(Some)
    }

    async fn permit_put(&self, _permit: &Permit<EditPermits>, new: &NewPermit, by: UserId, at: WallTime) -> Stored<()> {
        let windows = serde_json::to_string(&new.windows).map_err(|_| nonsense("windows"))?;
        let sealed = self.permit_seal(&new.id, &new.plate, new.country)?;
        let (status, token) = (word(&new.status)?, self.permit_token(&new.plate, new.country));
        write_txn!(self.store, |conn| {
            sqlx::query(
                "insert into zbt_permit (id, right_code, zones, from_us, to_us, granted_at_us, status, windows, group_code,
                    places, evidence, token, sealed, given_by, given_at_us)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                 on conflict (id) do update set right_code = excluded.right_code, zones = excluded.zones,
                    from_us = excluded.from_us, to_us = excluded.to_us, granted_at_us = excluded.granted_at_us,
                    status = excluded.status, windows = excluded.windows, group_code = excluded.group_code,
                    places = excluded.places, evidence = excluded.evidence, token = excluded.token,
                    sealed = excluded.sealed, given_by = excluded.given_by, given_at_us = excluded.given_at_us",
            )
            .bind(new.id.clone())
            .bind(new.right.clone())
            .bind(new.zones.join(" "))
            .bind(new.from.micros)
            .bind(new.to.micros)
            .bind(new.granted_at.micros)
            .bind(status.clone())
            .bind(windows.clone())
            .bind(new.group.as_ref().map(|(code, _)| code.clone()))
            .bind(new.group.as_ref().map(|(_, places)| i64::from(*places)))
            .bind(new.evidence.clone())
            .bind(token.clone())
            .bind(sealed.clone())
            .bind(by.to_string())
            .bind(at.micros)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn listing_put(
        &self,
        _permit: &Permit<EditPermits>,
        new: &NewListing,
        by: UserId,
        at: WallTime,
    ) -> Stored<()> {
        let id = self.ids.uuid().to_string();
        let sealed = self.permit_seal("listing", &new.plate, new.country)?;
        let (list, token) = (word(&new.list)?, self.permit_token(&new.plate, new.country));
        write_txn!(self.store, |conn| {
            sqlx::query(
                "insert into zbt_listing (id, list, from_us, to_us, evidence, token, sealed, given_by, given_at_us)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 on conflict (list, token, from_us) do update set to_us = excluded.to_us, evidence = excluded.evidence,
                    given_by = excluded.given_by, given_at_us = excluded.given_at_us",
            )
            .bind(id.clone())
            .bind(list.clone())
            .bind(new.from.micros)
            .bind(new.to.map(|to| to.micros))
            .bind(new.evidence.clone())
            .bind(token.clone())
            .bind(sealed.clone())
            .bind(by.to_string())
            .bind(at.micros)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn permit_end(&self, _permit: &Permit<EditPermits>, id: &str, at: WallTime) -> Stored<bool> {
        write_txn!(self.store, |conn| {
            let done = sqlx::query(
                "update zbt_permit set to_us = case when from_us > $2 then from_us else $2 end where id = $1 and to_us > $2",
            )
            .bind(id.to_owned())
            .bind(at.micros)
            .execute(conn)
            .await
            .map_err(db_error)?;
            Ok(done.rows_affected() == 1)
        })
    }

    async fn permit_zones(&self, _permit: &Permit<ViewPermits>, id: &str) -> Stored<Option<Vec<String>>> {
        let row = sqlx::query("select zones from zbt_permit where id = $1")
            .bind(id.to_owned())
            .fetch_optional(&self.store.read)
            .await
            .map_err(db_error)?;
        row.map(|row| Ok(row.text("zones")?.split_whitespace().map(str::to_owned).collect())).transpose()
    }

    async fn permit_list(&self, _permit: &Permit<ViewPermits>, after: &str, limit: u32) -> Stored<Vec<NewPermit>> {
        let sql = format!("select {COLUMNS}, sealed from zbt_permit where id > $1 order by id limit $2");
        let (mut out, mut after) = (Vec::new(), after.to_owned());
        loop {
            let asked = places_left(limit, out.len());
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
                .bind(after)
                .bind(i64::from(asked))
                .fetch_all(&self.store.read)
                .await
                .map_err(db_error)?;
            let Some(last) = rows.last() else { return Ok(out) };
            after = last.text("id")?;
            for row in &rows {
                out.extend(self.whole(self.permit_of(row), "zbt_permit", &row.text("id")?));
            }
            if is_page_done(&mut out, limit, (rows.len(), asked)) {
                return Ok(out);
            }
        }
    }
}
