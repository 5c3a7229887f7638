//! Watchlists: entries under a key each, hits under the key of their read's hour. The plates of entries in force are compared in memory: no
//! token of an entry lies in the database, so that nobody can try plates against a list, today's or one of a backup.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::gate::Permit;
use vms_app::gate::action::{ApproveEntry, DecideHits, DecodeAnpr, ReviewHits, ViewWatchlist};
use vms_app::lez_ports::{PictureKind, PurposeCopy};
use vms_app::model::Signature;
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_app::watchlist_ports::{
    ENTRIES_MAX, EntryKind, EntryState, Hit, HitDecision, HitState, NewHit, WatchEntry, WatchPage, WatchSize,
    WatchStore,
};
use vms_core::{CameraId, Country, FindingId, OrgId, Plate, Purpose, ReadId, RetentionClass, WallTime};

use super::LezVault;
use super::keys::KeyId;
use super::reads::{is_page_done, places_left};
use super::seal::{Key, hour_of};
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense, signed, unsigned};

const POLICE: Purpose = Purpose::PublicOrder;

const ENTRY: &str =
    "id, owner_id, kind, state, class, purpose, ends_at_us, decision_id, proposed_by, proposed_name, proposed_at_us,
    settled_by, settled_name, settled_at_us, refusal, body";

const HIT: &str = "h.id as id, h.entry_id as entry_id, h.read_id as read_id, h.owner_id as owner_id, h.camera_id as camera_id,
    h.at_us as at_us, h.class as class, h.hour as hour, h.expires_at_us as expires_at_us, h.state as state, h.body as body,
    h.version as version, h.decided_by as decided_by, h.decided_name as decided_name, h.decided_at_us as decided_at_us, h.reason as reason,
    case when r.crop is null then 0 else 1 end as has_crop, case when r.overview is null then 0 else 1 end as has_overview
  from watch_hit h left join lez_read r on r.purpose = 'OPENBARE_ORDE' and r.id = h.read_id";

/// What is sealed of an entry.
#[derive(Serialize, Deserialize)]
struct EntryBody {
    plate: String,
    country: Option<String>,
    reason: String,
    case_ref: String,
}

/// What is sealed of a hit: the entry as it was.
#[derive(Serialize, Deserialize)]
struct HitBody {
    plate: String,
    country: Option<String>,
    read_country: Option<String>,
    corrected: bool,
    purpose: String,
    reason: String,
    case_ref: String,
}

/// An entry in force, in memory.
#[derive(Debug)]
pub(super) struct Watched {
    id: Uuid,
    owner: OrgId,
    from: WallTime,
    ends_at: WallTime,
    country: Option<Country>,
    purpose: Purpose,
    reason: String,
    case_ref: String,
}

/// Entries in force by plate.
pub(super) type WatchTable = HashMap<Plate, Vec<Watched>>;

/// The key of an entry; it has no other use.
fn entry_key(class: &str, id: Uuid) -> KeyId {
    KeyId::finding(POLICE, class, FindingId::from_uuid(id))
}

fn signature(row: &AnyRow, verb: &str) -> Stored<Option<Signature>> {
    let Some(at) = row.at_opt(&format!("{verb}_at_us"))? else { return Ok(None) };
    let user = row.word(&format!("{verb}_by"))?;
    Ok(Some(Signature { user, name: row.text(&format!("{verb}_name"))?, at }))
}

fn country(sign: Option<&String>) -> Option<Country> {
    sign.and_then(|sign| Country::parse(sign))
}

fn uuid(row: &AnyRow, column: &str) -> Stored<Uuid> {
    row.text(column)?.parse().map_err(|_| nonsense(column))
}

fn entry(row: &AnyRow, key: &Key) -> Stored<WatchEntry> {
    let (id, class) = (uuid(row, "id")?, row.text("class")?);
    let sealed = row.blob_opt("body")?.ok_or_else(|| nonsense("body"))?;
    let clear = LezVault::open(key, &entry_key(&class, id), &id.to_string(), "entry", &sealed)?;
    let body: EntryBody = serde_json::from_slice(&clear).map_err(|_| nonsense("body"))?;
    Ok(WatchEntry {
        id,
        owner: row.word("owner_id")?,
        kind: row.word("kind")?,
        state: row.word("state")?,
        class: RetentionClass::parse(&class).ok_or_else(|| nonsense("class"))?,
        plate: Plate::parse(&body.plate).map_err(|_| nonsense("body"))?,
        country: country(body.country.as_ref()),
        purpose: row.word("purpose")?,
        reason: body.reason,
        case_ref: body.case_ref,
        ends_at: row.at("ends_at_us")?,
        decision: row.word("decision_id")?,
        proposed: signature(row, "proposed")?.ok_or_else(|| nonsense("proposed_at_us"))?,
        settled: signature(row, "settled")?,
        refusal: row.text_opt("refusal")?,
    })
}

fn hit(row: &AnyRow, key: &Key, key_id: &KeyId) -> Stored<Hit> {
    let id = uuid(row, "id")?;
    let sealed = row.blob_opt("body")?.ok_or_else(|| nonsense("body"))?;
    let clear = LezVault::open(key, key_id, &id.to_string(), "hit", &sealed)?;
    let body: HitBody = serde_json::from_slice(&clear).map_err(|_| nonsense("body"))?;
    Ok(Hit {
        id,
        entry: uuid(row, "entry_id")?,
        read: row.word("read_id")?,
        owner: row.word("owner_id")?,
        camera: row.word("camera_id")?,
        at: row.at("at_us")?,
        state: row.word("state")?,
        plate: Plate::parse(&body.plate).map_err(|_| nonsense("body"))?,
        country: country(body.country.as_ref()),
        read_country: country(body.read_country.as_ref()),
        corrected: body.corrected,
        purpose: body.purpose.parse().map_err(|_| nonsense("body"))?,
        reason: body.reason,
        case_ref: body.case_ref,
        has_crop: row.int("has_crop")? == 1,
        has_overview: row.int("has_overview")? == 1,
        version: row.number("version")?,
        decided: signature(row, "decided")?,
        decision_reason: row.text_opt("reason")?,
        expires_at: row.at("expires_at_us")?,
    })
}

#[async_trait]
impl WatchStore for LezVault {
    async fn entry_insert(&self, entry: &WatchEntry, now: WallTime) -> Stored<bool> {
        let _sealing = self.sealing.read().await;
        let body = EntryBody {
            plate: entry.plate.reveal().to_owned(),
            country: entry.country.map(|country| country.as_str().to_owned()),
            reason: entry.reason.clone(),
            case_ref: entry.case_ref.clone(),
        };
        let body = serde_json::to_vec(&body).map_err(|_| nonsense("body"))?;
        let key_id = entry_key(entry.class.as_str(), entry.id);
        write_txn!(self.store, |conn| {
            let count = sqlx::query("select count(*) as n from watch_entry where owner_id = $1")
                .bind(entry.owner.to_string())
                .fetch_one(&mut *conn)
                .await
                .map_err(db_error)?;
            if count.int("n")? >= ENTRIES_MAX {
                return Ok(false);
            }
            let (key, _) = self.key_or_make(&mut *conn, &key_id, entry.ends_at, now).await?;
            let sealed = self.seal(&key, &key_id, &entry.id.to_string(), "entry", &body)?;
            sqlx::query(
                "insert into watch_entry (id, owner_id, kind, state, class, purpose, ends_at_us, decision_id,
                    proposed_by, proposed_name, proposed_at_us, body)
                 values ($1, $2, $3, 'proposed', $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(entry.id.to_string())
            .bind(entry.owner.to_string())
            .bind(entry.kind.as_str())
            .bind(entry.class.as_str().to_owned())
            .bind(entry.purpose.as_str())
            .bind(entry.ends_at.micros)
            .bind(entry.decision.to_string())
            .bind(entry.proposed.user.to_string())
            .bind(entry.proposed.name.clone())
            .bind(entry.proposed.at.micros)
            .bind(sealed)
            .execute(conn)
            .await
            .map_err(db_error)?;
            Ok(true)
        })
    }

    async fn entry_fetch(&self, owner: OrgId, id: Uuid) -> Stored<Option<WatchEntry>> {
        let sql = format!("select {ENTRY} from watch_entry where owner_id = $1 and id = $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(owner.to_string())
            .bind(id.to_string())
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        Ok(self.entries_opened(&rows).await?.pop())
    }

    async fn entry_clear(&self, owner: OrgId, id: Uuid) -> Stored<Option<(EntryKind, Purpose)>> {
        let row = sqlx::query("select kind, purpose from watch_entry where owner_id = $1 and id = $2")
            .bind(owner.to_string())
            .bind(id.to_string())
            .fetch_optional(&self.store.read)
            .await
            .map_err(db_error)?;
        row.map(|row| Ok((row.word("kind")?, row.word("purpose")?))).transpose()
    }

    async fn entry_list(&self, _permit: &Permit<ViewWatchlist>, page: WatchPage) -> Stored<Vec<WatchEntry>> {
        let sql = format!(
            "select {ENTRY} from watch_entry where owner_id = $1 and ($2 = '' or id < $2) order by id desc limit $3"
        );
        let (mut out, mut below) = (Vec::new(), page.below.map(|id| id.to_string()).unwrap_or_default());
        loop {
            let asked = places_left(page.limit, out.len());
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
                .bind(page.owner.to_string())
                .bind(below)
                .bind(i64::from(asked))
                .fetch_all(&self.store.read)
                .await
                .map_err(db_error)?;
            let Some(last) = rows.last() else { return Ok(out) };
            below = last.text("id")?;
            out.extend(self.entries_opened(&rows).await?);
            if is_page_done(&mut out, page.limit, (rows.len(), asked)) {
                return Ok(out);
            }
        }
    }

    async fn entry_settle(&self, _permit: &Permit<ApproveEntry>, entry: &WatchEntry) -> Stored<()> {
        let by = entry.settled.as_ref().ok_or_else(|| nonsense("settled_by"))?;
        let changed = write_txn!(self.store, |conn| {
            let done = sqlx::query(
                "update watch_entry set state = $3, settled_by = $4, settled_name = $5, settled_at_us = $6, refusal = $7
                  where owner_id = $1 and id = $2 and state = 'proposed'",
            )
            .bind(entry.owner.to_string())
            .bind(entry.id.to_string())
            .bind(entry.state.as_str())
            .bind(by.user.to_string())
            .bind(by.name.clone())
            .bind(by.at.micros)
            .bind(entry.refusal.clone())
            .execute(conn)
            .await
            .map_err(db_error)?;
            Ok::<_, StoreError>(done.rows_affected())
        })?;
        self.watched.lock().await.take();
        if changed == 1 { Ok(()) } else { Err(StoreError::Stale) }
    }

    async fn entry_end(&self, owner: OrgId, id: Uuid, now: WallTime) -> Stored<bool> {
        let object = FindingId::from_uuid(id).to_string();
        let gone = write_txn!(self.store, |conn| {
            let done = sqlx::query("delete from watch_entry where owner_id = $1 and id = $2")
                .bind(owner.to_string())
                .bind(id.to_string())
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
            if done.rows_affected() == 1 {
                sqlx::query("update lez_key set ends_at_us = $2 where object = $1 and ends_at_us > $2")
                    .bind(object.clone())
                    .bind(now.micros)
                    .execute(conn)
                    .await
                    .map_err(db_error)?;
            }
            Ok::<_, StoreError>(done.rows_affected())
        })?;
        self.watched.lock().await.take();
        Ok(gone == 1)
    }

    async fn entry_sizes(&self, owner: Option<OrgId>, now: WallTime) -> Stored<Vec<WatchSize>> {
        let rows = sqlx::query(
            "select owner_id, kind, purpose, count(*) as n, min(proposed_at_us) as oldest_us, max(ends_at_us) as last_us from watch_entry
              where state = 'in_force' and ends_at_us > $1 and ($2 = '' or owner_id = $2)
              group by owner_id, kind, purpose order by owner_id, kind, purpose",
        )
        .bind(now.micros)
        .bind(owner.map(|id| id.to_string()).unwrap_or_default())
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let size = |row: &AnyRow| {
            Ok(WatchSize {
                owner: row.word("owner_id")?,
                kind: row.word("kind")?,
                purpose: row.word("purpose")?,
                entries: unsigned(row.int("n")?)?,
                oldest_at: row.at("oldest_us")?,
                last_ends_at: row.at("last_us")?,
            })
        };
        rows.iter().map(size).collect()
    }

    async fn hit_take(
        &self,
        _permit: &Permit<DecodeAnpr>,
        copies: &[PurposeCopy],
        now: WallTime,
    ) -> Stored<Vec<NewHit>> {
        let table = self.watch_table(now).await?;
        let wanted: Vec<(&PurposeCopy, &Watched)> = copies
            .iter()
            .filter(|copy| copy.purpose == POLICE)
            .flat_map(|copy| table.get(&copy.read.facts.plate).into_iter().flatten().map(move |entry| (copy, entry)))
            .filter(|(copy, entry)| {
                let at = copy.read.at;
                entry.owner == copy.owner && entry.from <= at && at < entry.ends_at && now < entry.ends_at
            })
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let _sealing = self.sealing.read().await;
        write_txn!(self.store, |conn| {
            let mut fresh = Vec::new();
            for (copy, entry) in &wanted {
                fresh.extend(self.hit_put(&mut *conn, copy, entry).await?);
            }
            Ok(fresh)
        })
    }

    async fn hit_list(
        &self,
        _permit: &Permit<ReviewHits>,
        state: Option<HitState>,
        page: WatchPage,
    ) -> Stored<Vec<Hit>> {
        let sql = format!(
            "select {HIT} where h.owner_id = $1 and ($2 = '' or h.id < $2) and ($3 = '' or h.state = $3)
              order by h.id desc limit $4"
        );
        let (mut out, mut below) = (Vec::new(), page.below.map(|id| id.to_string()).unwrap_or_default());
        loop {
            let asked = places_left(page.limit, out.len());
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
                .bind(page.owner.to_string())
                .bind(below)
                .bind(state.map(HitState::as_str).unwrap_or_default())
                .bind(i64::from(asked))
                .fetch_all(&self.store.read)
                .await
                .map_err(db_error)?;
            let Some(last) = rows.last() else { return Ok(out) };
            below = last.text("id")?;
            out.extend(self.hits_opened(&rows).await?);
            if is_page_done(&mut out, page.limit, (rows.len(), asked)) {
                return Ok(out);
            }
        }
    }

    async fn hit_fetch(&self, owner: OrgId, id: Uuid) -> Stored<Option<Hit>> {
        let sql = format!("select {HIT} where h.owner_id = $1 and h.id = $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(owner.to_string())
            .bind(id.to_string())
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        Ok(self.hits_opened(&rows).await?.pop())
    }

    async fn hit_picture(
        &self,
        _permit: &Permit<ReviewHits>,
        owner: OrgId,
        id: Uuid,
        kind: PictureKind,
    ) -> Stored<Option<Bytes>> {
        let row = sqlx::query("select read_id from watch_hit where owner_id = $1 and id = $2")
            .bind(owner.to_string())
            .bind(id.to_string())
            .fetch_optional(&self.store.read)
            .await
            .map_err(db_error)?;
        match row {
            Some(row) => self.picture(row.word("read_id")?, kind).await,
            None => Ok(None),
        }
    }

    async fn hit_decide(&self, _permit: &Permit<DecideHits>, decision: &HitDecision) -> Stored<()> {
        let seen = signed(decision.seen)?;
        let changed = write_txn!(self.store, |conn| {
            let done = sqlx::query(
                "update watch_hit set state = $4, reason = $5, decided_by = $6, decided_name = $7, decided_at_us = $8, version = version + 1
                  where owner_id = $1 and id = $2 and version = $3 and state = 'open'",
            )
            .bind(decision.owner.to_string())
            .bind(decision.id.to_string())
            .bind(seen)
            .bind(decision.state.as_str())
            .bind(decision.reason.clone())
            .bind(decision.by.user.to_string())
            .bind(decision.by.name.clone())
            .bind(decision.by.at.micros)
            .execute(conn)
            .await
            .map_err(db_error)?;
            Ok::<_, StoreError>(done.rows_affected())
        })?;
        if changed == 1 { Ok(()) } else { Err(StoreError::Stale) }
    }
}

impl LezVault {
    /// Entries whose key lives; a damaged one is left out, so that the others are watched for.
    async fn entries_opened(&self, rows: &[AnyRow]) -> Stored<Vec<WatchEntry>> {
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let key_id = entry_key(&row.text("class")?, uuid(row, "id")?);
            if let Some(key) = self.key(&self.store.read, &key_id).await? {
                out.extend(self.whole(entry(row, &key), "watch_entry", &row.text("id")?));
            }
        }
        Ok(out)
    }

    async fn hits_opened(&self, rows: &[AnyRow]) -> Stored<Vec<Hit>> {
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let key_id = KeyId::hour(POLICE, &row.text("class")?, row.int("hour")?);
            if let Some(key) = self.key(&self.store.read, &key_id).await? {
                out.extend(self.whole(hit(row, &key, &key_id), "watch_hit", &row.text("id")?));
            }
        }
        Ok(out)
    }

    /// The entries in force. Every change forgets them; whoever looks next reads them anew.
    async fn watch_table(&self, now: WallTime) -> Stored<Arc<WatchTable>> {
        let mut kept = self.watched.lock().await;
        if let Some(table) = kept.as_ref() {
            return Ok(Arc::clone(table));
        }
        let sql = format!("select {ENTRY} from watch_entry where state = $1 and ends_at_us > $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(EntryState::InForce.as_str())
            .bind(now.micros)
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        let mut table = WatchTable::new();
        for entry in self.entries_opened(&rows).await? {
            let Some(by) = entry.settled else { continue };
            let WatchEntry { id, owner, ends_at, country, purpose, reason, case_ref, .. } = entry;
            let watched = Watched { id, owner, from: by.at, ends_at, country, purpose, reason, case_ref };
            table.entry(entry.plate).or_default().push(watched);
        }
        let table = Arc::new(table);
        *kept = Some(Arc::clone(&table));
        Ok(table)
    }

    /// `None`: it is there already.
    async fn hit_put(&self, conn: &mut Writing<'_>, copy: &PurposeCopy, entry: &Watched) -> Stored<Option<NewHit>> {
        let (id, read) = (self.ids.uuid(), &copy.read);
        let key_id = KeyId::hour(POLICE, copy.class.as_str(), hour_of(read.at));
        let (key, _) = self.key_or_make(&mut *conn, &key_id, copy.key_ends_at, copy.received_at).await?;
        let read_country = read.facts.countries.iter().max_by_key(|(_, odds)| *odds);
        let body = HitBody {
            plate: read.facts.plate.reveal().to_owned(),
            country: entry.country.map(|country| country.as_str().to_owned()),
            read_country: read_country.map(|(country, _)| country.as_str().to_owned()),
            corrected: read.facts.corrected,
            purpose: entry.purpose.as_str().to_owned(),
            reason: entry.reason.clone(),
            case_ref: entry.case_ref.clone(),
        };
        let body = serde_json::to_vec(&body).map_err(|_| nonsense("body"))?;
        let done = sqlx::query(
            "insert into watch_hit (id, entry_id, read_id, owner_id, camera_id, at_us, class, hour, expires_at_us, state, body, version)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10, 1) on conflict (entry_id, read_id) do nothing",
        )
        .bind(id.to_string())
        .bind(entry.id.to_string())
        .bind(read.read.to_string())
        .bind(entry.owner.to_string())
        .bind(read.camera.to_string())
        .bind(read.at.micros)
        .bind(copy.class.as_str().to_owned())
        .bind(key_id.hour)
        .bind(copy.expires_at.micros)
        .bind(self.seal(&key, &key_id, &id.to_string(), "hit", &body)?)
        .execute(conn)
        .await
        .map_err(db_error)?;
        let (read_id, camera): (ReadId, CameraId) = (read.read, read.camera);
        let new = NewHit { id, entry: entry.id, read: read_id, owner: entry.owner, camera, at: read.at };
        Ok((done.rows_affected() == 1).then_some(new))
    }
}
