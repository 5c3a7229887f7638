//! Holders of approved findings of zones, sealed under the key of their finding.

use async_trait::async_trait;
use serde_json::json;
use vms_app::fines_ports::{FinePermit, KeptHolder};
use vms_app::gate::Permit;
use vms_app::gate::action::AskHolders;
use vms_app::holder_ports::{HolderOutcome, HolderStore, HolderWanted};
use vms_app::lez_ports::Holder;
use vms_app::ports::store::Stored;
use vms_core::{FindingId, OrgId, WallTime};

use super::LezVault;
use super::keys::KeyId;
use super::seal::Key;
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense, signed};

/// Approved findings of zones whose holder is not known: `$1` now, `$2` the last approval that counts. Nobody's holder is asked for while a
/// permit can still regularise the passage.
const WANTED: &str = "purpose = 'ZBT' and state = 'approved' and decided_at_us <= $2
    and (final_from_us is null or final_from_us <= $1)
    and not exists (select 1 from finding_holder h
        where h.finding_id = lez_finding.id and (h.state <> 'waiting' or h.next_try_us > $1))";
/// What a holder is sealed for.
const FIELD: &str = "holder";

#[derive(serde::Deserialize)]
struct Body {
    id: String,
    kind: String,
}

fn holder(key: &Key, key_id: &KeyId, id: FindingId, sealed: &[u8]) -> Stored<Holder> {
    let clear = LezVault::open(key, key_id, &id.to_string(), FIELD, sealed)?;
    let body: Body = serde_json::from_slice(&clear).map_err(|_| nonsense("body"))?;
    let kind = body.kind.parse().map_err(|_| nonsense("body"))?;
    Ok(Holder { id: body.id, kind })
}

impl LezVault {
    pub(super) async fn holder_of(&self, permit: &FinePermit, id: FindingId) -> Stored<Option<KeptHolder>> {
        let row = sqlx::query(
            "select h.state as state, request, body, purpose, class from finding_holder h
               join lez_finding on lez_finding.id = h.finding_id
              where h.finding_id = $1 and purpose = $2 and coalesce(authority_id, '') = $3 and h.state <> 'waiting'",
        )
        .bind(id.to_string())
        .bind(permit.kind().purpose().as_str())
        .bind(permit.authority().map(|org| org.to_string()).unwrap_or_default())
        .fetch_optional(&self.store.read)
        .await
        .map_err(db_error)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(match row.text("state")?.as_str() {
            "unknown" => KeptHolder::Unknown,
            "not_asked" => KeptHolder::NotAsked,
            "unusable" => KeptHolder::Unusable,
            _ => {
                let key_id = super::findings::finding_key(&row, id)?;
                let sealed = row.blob_opt("body")?.ok_or_else(|| nonsense("body"))?;
                let Some(key) = self.key(&self.store.read, &key_id).await? else { return Ok(None) };
                let request = row.text_opt("request")?.unwrap_or_default();
                match self.whole(holder(&key, &key_id, id, &sealed), "finding_holder", &id.to_string()) {
                    Some(holder) => KeptHolder::Found(holder, request),
                    // Nobody is fined on a guess, and the others of the run are.
                    None => KeptHolder::Unusable,
                }
            }
        }))
    }

    /// Nobody can ask for a finding whose vehicle does not open: the next batch refuses it as damaged.
    async fn holder_of_damaged(&self, finding: String, now: WallTime) -> Stored<()> {
        write_txn!(self.store, |conn| {
            sqlx::query(
                "insert into finding_holder (finding_id, state, tries, next_try_us, answered_at_us) values ($1, $2, 0, 0, $3)
                 on conflict (finding_id) do update set state = excluded.state, next_try_us = 0, answered_at_us = excluded.answered_at_us
                  where finding_holder.state = 'waiting'",
            )
            .bind(finding.clone())
            .bind(HolderOutcome::Unusable.as_str())
            .bind(now.micros)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn holder_put_on(
        &self,
        conn: &mut Writing<'_>,
        (authority, wanted): (String, &HolderWanted),
        outcome: &HolderOutcome,
        request: Option<&str>,
        at: WallTime,
    ) -> Stored<bool> {
        let id = wanted.finding.to_string();
        // Of a finding that is not approved any more nobody's holder is kept.
        let row = sqlx::query(
            "select purpose, class from lez_finding where id = $1 and version = $2 and state = 'approved' and purpose = 'ZBT'
                and authority_id = $3",
        )
        .bind(id.clone())
        .bind(signed(wanted.seen)?)
        .bind(authority)
        .fetch_optional(&mut *conn)
        .await
        .map_err(db_error)?;
        let Some(row) = row else { return Ok(false) };
        let key_id = super::findings::finding_key(&row, wanted.finding)?;
        let Some(key) = self.key(&mut *conn, &key_id).await? else { return Ok(false) };
        let body = match outcome {
            HolderOutcome::Found(Holder { id: holder, kind }) => {
                let text = json!({ "id": holder, "kind": kind.as_str() }).to_string();
                Some(self.seal(&key, &key_id, &id, FIELD, text.as_bytes())?)
            }
            HolderOutcome::Unknown | HolderOutcome::NotAsked | HolderOutcome::Unusable | HolderOutcome::Waits(..) => {
                None
            }
        };
        let (next_try, tries, answered) = match outcome {
            HolderOutcome::Waits(until, tries) => (until.micros, *tries, None),
            HolderOutcome::Found(_) | HolderOutcome::Unknown | HolderOutcome::NotAsked | HolderOutcome::Unusable => {
                (0, wanted.tries, Some(at.micros))
            }
        };
        let done = sqlx::query(
            "insert into finding_holder (finding_id, state, tries, next_try_us, answered_at_us, request, body)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (finding_id) do update set state = excluded.state, tries = excluded.tries,
                next_try_us = excluded.next_try_us, answered_at_us = excluded.answered_at_us, request = excluded.request,
                body = excluded.body
              where finding_holder.state = 'waiting'",
        )
        .bind(id)
        .bind(outcome.as_str())
        .bind(i64::from(tries))
        .bind(next_try)
        .bind(answered)
        .bind(request.map(str::to_owned))
        .bind(body)
        .execute(conn)
        .await
        .map_err(db_error)?;
        Ok(done.rows_affected() == 1)
    }
}

#[async_trait]
impl HolderStore for LezVault {
    async fn holder_authorities(&self, now: WallTime, approved_upto: WallTime) -> Stored<Vec<OrgId>> {
        let sql = format!("select distinct authority_id from lez_finding where authority_id is not null and {WANTED}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(now.micros)
            .bind(approved_upto.micros)
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        rows.iter().map(|row| row.word("authority_id")).collect()
    }

    async fn holder_wanted(
        &self,
        permit: &Permit<AskHolders>,
        now: WallTime,
        approved_upto: WallTime,
        limit: u32,
    ) -> Stored<Vec<HolderWanted>> {
        let Some(authority) = permit.target().owner else { return Ok(Vec::new()) };
        let sql = format!(
            "select {}, coalesce((select h.tries from finding_holder h where h.finding_id = lez_finding.id), 0) as tries
               from lez_finding where authority_id = $3 and {WANTED} order by decided_at_us, id limit $4",
            super::findings::COLUMNS
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(now.micros)
            .bind(approved_upto.micros)
            .bind(authority.to_string())
            .bind(i64::from(limit))
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        let mut out = Vec::with_capacity(rows.len());
        for row in &rows {
            let tries = row.number("tries")?;
            // One whose key died meanwhile is left out.
            let Some(opened) = self.finding_opened(row).await? else { continue };
            let id = row.text("id")?;
            match self.whole(opened, "lez_finding", &id) {
                None => self.holder_of_damaged(id, now).await?,
                Some(finding) => out.push(HolderWanted {
                    finding: finding.id,
                    seen: finding.version,
                    plate: finding.file.plate,
                    country: finding.file.country,
                    at: finding.at,
                    tries,
                    input: finding.file.input,
                }),
            }
        }
        Ok(out)
    }

    async fn holder_put(
        &self,
        permit: &Permit<AskHolders>,
        wanted: &HolderWanted,
        outcome: &HolderOutcome,
        request: Option<&str>,
        at: WallTime,
    ) -> Stored<bool> {
        let Some(authority) = permit.target().owner else { return Ok(false) };
        let _sealing = self.sealing.read().await;
        write_txn!(self.store, |conn| {
            self.holder_put_on(conn, (authority.to_string(), wanted), outcome, request, at).await
        })
    }
}
