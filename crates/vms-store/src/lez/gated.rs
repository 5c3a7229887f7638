//! Police reads past their first term: sealed anew under a key of their camera and hour, which then goes behind the magistrate's gate.
//!
//! The hour key of police reads is shared by all cameras and owners of the hour, and a decision names one camera; so what it keeps gets a key of
//! its own, and the hour key dies as planned. Order of the steps: the new key is saved, the rows move in one transaction, the key goes behind
//! the gate. A crash between any two leaves every read in exactly one of the two tables under a key that lives, and the next call goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::keys::{GateSecret, Gating, KeyEpoch, KeyError, KeyName, OpenSegmentError, Scope};
use async_trait::async_trait;
use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::erasure_ports::Erasure;
use vms_app::gate::Permit;
use vms_app::gate::action::SearchReads;
use vms_app::gated_read_ports::{
    GateClosed, GatedFound, GatedPicture, GatedPlace, GatedQuery, GatedReadStore, GatedSearch, KeptReads,
};
use vms_app::lez_ports::{PictureKind, StoredRead};
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_core::{CameraId, OrgId, Purpose, ReadId, RetentionClass, TimeRange, WallTime};

use super::LezVault;
use super::keys::{KeyId, Lock, is_of_kept};
use super::reads::{field_of, stored};
use super::seal::{Key, broken};
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::Columns as _;

/// Reads that move in one transaction: with two pictures of at most 512 KiB each they stay below 64 MiB in memory.
const MOVED_AT_ONCE: i64 = 60;
/// Keys of one camera's hour: the second and later ones are of reads that came when the one before was behind the gate.
const NUMBERS: u32 = 16;
/// Rows opened at once by a search.
const PAGE: i64 = 500;
/// Rows opened for one request at most: then the caller gets what was found, and after what to go on.
const OPENED_MAX: usize = 100_000;

const COLUMNS: &str = "id, class, hour, object, camera_id, owner_id, stream_id, at_us, body,
    case when crop is null then 0 else 1 end as has_crop,
    case when overview is null then 0 else 1 end as has_overview";

/// A key of kept reads, as far as the gates that are attached open it.
#[derive(Clone)]
enum Opened {
    Key(Key),
    /// Destroyed, or damaged in every copy.
    Gone,
    /// Its gate is not attached.
    Away,
}

fn key_of(row: &AnyRow) -> Stored<KeyId> {
    let (class, object) = (row.text("class")?, row.text("object")?);
    Ok(KeyId { purpose: Purpose::PublicOrder, class, hour: row.int("hour")?, object })
}

impl LezVault {
    /// The key under which reads of a camera's hour are kept now: one that is not behind the gate yet, made where there is none.
    async fn keeping_key(
        &self,
        conn: &mut Writing<'_>,
        (camera, class, hour): (CameraId, &str, i64),
        (ends, now): (WallTime, WallTime),
    ) -> Stored<(Key, KeyId)> {
        for number in 0..NUMBERS {
            let id = KeyId::gated(camera, class, hour, number);
            if let Some(Lock::Numbered(epoch)) = self.lock(&mut *conn, &id).await?
                && self.on_keys(move |ring| Ok(ring.gate_of(epoch).is_some())).await?
            {
                continue;
            }
            let (key, lock) = self.key_or_make(conn, &id, ends, now).await?;
            let epoch = lock.number().ok_or_else(broken)?;
            if let Some(ungated) = &mut *self.ungated.lock().await {
                ungated.insert(epoch);
            }
            return Ok((key, id));
        }
        Err(StoreError::Internal("reads of one hour came in more pieces than it has keys behind the gate".into()))
    }

    async fn keep_some(
        &self,
        conn: &mut Writing<'_>,
        (camera, class, hour): (CameraId, &str, i64),
        times: (WallTime, WallTime),
    ) -> Stored<KeptReads> {
        let rows = sqlx::query(
            "select id, owner_id, stream_id, at_us, expires_at_us, body, crop, overview from lez_read
              where purpose = 'OPENBARE_ORDE' and camera_id = $1 and class = $2 and hour = $3 order by id limit $4",
        )
        .bind(camera.to_string())
        .bind(class.to_owned())
        .bind(hour)
        .bind(MOVED_AT_ONCE)
        .fetch_all(&mut *conn)
        .await
        .map_err(db_error)?;
        let mut done = KeptReads::default();
        if rows.is_empty() {
            return Ok(done);
        }
        let old_id = KeyId::hour(Purpose::PublicOrder, class, hour);
        let Some(old) = self.key(&mut *conn, &old_id).await? else {
            // Erased already: what is left of it opens nowhere, and nothing can be kept.
            tracing::error!(%camera, hour, "reads that a decision keeps lost their key before they were kept");
            for row in &rows {
                forget(&mut *conn, &row.text("id")?).await?;
                done.lost += 1;
            }
            return Ok(done);
        };
        if may_be_another_key(&rows, (&old, &old_id), times.1)? {
            return Err(broken());
        }
        let (new, new_id) = self.keeping_key(&mut *conn, (camera, class, hour), times).await?;
        for row in &rows {
            let id = row.text("id")?;
            // A picture that does not open is left out, and a read that does not is lost.
            let anew = |field: &str| -> Stored<Option<Vec<u8>>> {
                let Some(sealed) = row.blob_opt(field)? else { return Ok(None) };
                let clear = Self::open(&old, &old_id, &id, field, &sealed).map(zeroize::Zeroizing::new);
                let clear = self.whole(clear, "lez_read", &id);
                clear.map(|clear| self.seal(&new, &new_id, &id, field, &clear)).transpose()
            };
            let Some(body) = anew("body")? else {
                forget(&mut *conn, &id).await?;
                done.lost += 1;
                continue;
            };
            sqlx::query(
                "insert into gated_read (id, class, hour, object, camera_id, owner_id, stream_id, at_us, expires_at_us, body, crop, overview)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict (id) do nothing",
            )
            .bind(id.clone())
            .bind(class.to_owned())
            .bind(hour)
            .bind(new_id.object.clone())
            .bind(camera.to_string())
            .bind(row.text("owner_id")?)
            .bind(row.text("stream_id")?)
            .bind(row.int("at_us")?)
            .bind(times.0.micros)
            .bind(body)
            .bind(anew("crop")?)
            .bind(anew("overview")?)
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
            forget(&mut *conn, &id).await?;
            done.kept += 1;
        }
        Ok(done)
    }

    /// The keys of kept reads that are not behind the gate yet.
    async fn ungated_now(&self) -> Stored<Vec<KeyEpoch>> {
        let mut ungated = self.ungated.lock().await;
        if ungated.is_none() {
            let live = self.on_keys(|ring| Ok(ring.live_hours())).await?;
            let kept = live.into_iter().filter(|(_, name, _)| is_of_kept(name)).map(|(epoch, _, _)| epoch);
            *ungated = Some(kept.collect());
        }
        Ok(ungated.iter().flatten().copied().collect())
    }

    async fn close_gate(&self, now: WallTime) -> Stored<GateClosed> {
        let epochs = self.ungated_now().await?;
        if epochs.is_empty() {
            return Ok(GateClosed::default());
        }
        let (keys, wanted) = (Arc::clone(&self.keys), epochs.clone());
        let done = tokio::task::spawn_blocking(move || {
            keys.ensure_gate(now)?;
            let mut done = Gating::default();
            keys.with(&mut |ring| {
                done = ring.gate_hours(&wanted, now)?;
                Ok(())
            })?;
            Ok::<_, KeyError>(done)
        });
        let closed = match done.await.map_err(|error| StoreError::Internal(error.into()))? {
            Ok(done) => done,
            Err(error) => {
                // Once: it is tried every second.
                if !self.is_gate_short.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, keys = epochs.len(), "keys of kept reads wait before the magistrate's gate; tried again every second");
                }
                return Ok(GateClosed { moved: 0, waiting: self.named(epochs).await? });
            }
        };
        if self.is_gate_short.swap(false, Ordering::Relaxed) {
            tracing::info!(keys = closed.moved.len(), "keys of kept reads are behind the magistrate's gate");
        }
        self.forget_keys(&epochs);
        if let Some(ungated) = &mut *self.ungated.lock().await {
            // What was refused is dead: it has nothing to hide any more.
            ungated.retain(|epoch| !epochs.contains(epoch));
        }
        Ok(GateClosed { moved: u64::try_from(closed.moved.len()).unwrap_or(u64::MAX), waiting: Vec::new() })
    }

    async fn named(&self, epochs: Vec<KeyEpoch>) -> Stored<Vec<(CameraId, u32)>> {
        self.on_keys(move |ring| {
            let names = epochs.iter().filter_map(|epoch| ring.name_of(*epoch));
            let of_camera = |name: KeyName| match name.scope {
                Scope::Camera(camera) => Some((camera, name.hour.count())),
                Scope::Reads(_) | Scope::Finding(_) => None,
            };
            Ok(names.filter_map(of_camera).collect())
        })
        .await
    }

    async fn gates(&self) -> Stored<Arc<Vec<GateSecret>>> {
        let keys = Arc::clone(&self.keys);
        let gates = tokio::task::spawn_blocking(move || keys.gate_secrets()).await;
        gates.map(Arc::new).map_err(|error| StoreError::Internal(error.into()))
    }

    async fn opened_by(&self, id: &KeyId, gates: &Arc<Vec<GateSecret>>) -> Stored<Opened> {
        let Some(Lock::Numbered(epoch)) = self.lock(&self.store.read, id).await? else { return Ok(Opened::Gone) };
        let gates = Arc::clone(gates);
        self.on_keys(move |ring| match ring.gated_row_key(epoch, &gates) {
            Ok(key) => Ok(Opened::Key(key)),
            Err(OpenSegmentError::Gated) => Ok(Opened::Away),
            Err(OpenSegmentError::Destroyed(_) | OpenSegmentError::UnknownEpoch | OpenSegmentError::NotSaved) => {
                Ok(Opened::Gone)
            }
            Err(OpenSegmentError::Damaged) => {
                tracing::error!(%epoch, "a key of kept reads is damaged in every copy: what it sealed is lost");
                Ok(Opened::Gone)
            }
            Err(OpenSegmentError::Store(error)) => Err(error),
        })
        .await
    }

    async fn kept_page(&self, query: &GatedQuery, after: Option<(WallTime, ReadId)>) -> Stored<Vec<AnyRow>> {
        let (after_us, after_id) = match after {
            Some((at, id)) => (at.micros, id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let sql = format!(
            "select {COLUMNS} from gated_read where owner_id = $1 and at_us >= $2 and at_us < $3 and ($4 = '' or camera_id = $4)
                and (at_us < $5 or (at_us = $5 and id < $6)) order by at_us desc, id desc limit $7"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(query.owner.to_string())
            .bind(query.range.from.micros)
            // As with lists: a page starts where the one before it ended.
            .bind(query.range.to.micros.min(after_us.saturating_add(1)))
            .bind(query.camera.map(|id| id.to_string()).unwrap_or_default())
            .bind(after_us)
            .bind(after_id)
            .bind(PAGE);
        rows.fetch_all(&self.store.read).await.map_err(db_error)
    }

    /// Opens what lies in the span, newest first, and gives what fits.
    async fn kept(&self, query: &GatedQuery) -> Stored<GatedFound> {
        let gates = self.gates().await?;
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut keys: HashMap<KeyId, Opened> = HashMap::new();
        let (mut found, mut after, mut count): (Vec<StoredRead>, _, usize) = (Vec::new(), query.after, 0);
        loop {
            let rows = self.kept_page(query, after).await?;
            for row in &rows {
                after = Some((row.at("at_us")?, row.word("id")?));
                count += 1;
                let id = key_of(row)?;
                if !keys.contains_key(&id) {
                    keys.insert(id.clone(), self.opened_by(&id, &gates).await?);
                }
                let read = match keys.get(&id) {
                    Some(Opened::Key(key)) => self.whole(stored(row, key, &id), "gated_read", &row.text("id")?),
                    Some(Opened::Away) => return Ok(GatedFound::GateAway),
                    Some(Opened::Gone) | None => None,
                };
                let Some(read) = read else { continue };
                let plate = read.facts.plate.reveal().as_bytes();
                if query.wish.as_ref().is_none_or(|wish| wish.matches(plate)) {
                    found.push(read);
                    if found.len() >= limit {
                        return Ok(GatedFound::Reads(found, after));
                    }
                }
            }
            if i64::try_from(rows.len()).unwrap_or(i64::MAX) < PAGE {
                return Ok(GatedFound::Reads(found, None));
            }
            if count >= OPENED_MAX {
                return Ok(GatedFound::Reads(found, after));
            }
        }
    }
}

/// None of several reads opens, and their first term is not over yet: it may be the key store that is another one, and not the reads that are
/// damaged.
fn may_be_another_key(rows: &[AnyRow], (key, id): (&Key, &KeyId), now: WallTime) -> Stored<bool> {
    if rows.len() < 2 {
        return Ok(false);
    }
    for row in rows {
        let body = row.blob_opt("body")?.unwrap_or_default();
        if row.at("expires_at_us")? <= now || LezVault::open(key, id, &row.text("id")?, "body", &body).is_ok() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A read that is kept elsewhere now, or that nothing opens: no list and no index shows it.
async fn forget(conn: &mut Writing<'_>, id: &str) -> Stored<()> {
    for sql in
        ["delete from lez_read where purpose = 'OPENBARE_ORDE' and id = $1", "delete from plate_fresh where id = $1"]
    {
        sqlx::query(sql).bind(id.to_owned()).execute(&mut *conn).await.map_err(db_error)?;
    }
    Ok(())
}

#[async_trait]
impl GatedReadStore for LezVault {
    async fn gated_read_due(
        &self,
        camera: CameraId,
        class: &RetentionClass,
        range: TimeRange,
        ends: WallTime,
    ) -> Stored<Vec<u32>> {
        let rows = sqlx::query(
            "select distinct hour from lez_read where purpose = 'OPENBARE_ORDE' and camera_id = $1 and class = $2
                and at_us >= $3 and at_us < $4 and expires_at_us <= $5 order by hour",
        )
        .bind(camera.to_string())
        .bind(class.as_str().to_owned())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .bind(ends.micros)
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(|row| row.number("hour")).collect()
    }

    async fn gated_read_keep(
        &self,
        camera: CameraId,
        class: &RetentionClass,
        hour: u32,
        ends: WallTime,
        now: WallTime,
    ) -> Stored<KeptReads> {
        let _sealing = self.sealing.read().await;
        let key = (camera, class.as_str(), i64::from(hour));
        write_txn!(self.store, |conn| {
            let done = self.keep_some(&mut *conn, key, (ends, now)).await?;
            if done.lost > 0 {
                let (camera, class) = (camera.to_string(), class.as_str().to_owned());
                let lost = Erasure::GatedLost { camera, class, hour: key.2, kept: done.kept, lost: done.lost };
                super::erasures::note(conn, now, &lost).await?;
            }
            Ok(done)
        })
    }

    async fn gated_read_close(&self, now: WallTime) -> Stored<GateClosed> {
        self.close_gate(now).await
    }

    async fn gated_read_hours(&self, camera: CameraId, class: &RetentionClass, range: TimeRange) -> Stored<u64> {
        let row = sqlx::query(
            "select count(distinct hour) as hours from gated_read where camera_id = $1 and class = $2 and at_us >= $3 and at_us < $4",
        )
        .bind(camera.to_string())
        .bind(class.as_str().to_owned())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .fetch_one(&self.store.read)
        .await
        .map_err(db_error)?;
        row.number("hours")
    }

    async fn gated_reads(&self, permit: &Permit<SearchReads>, query: &GatedQuery) -> Stored<GatedFound> {
        if permit.why().magistrate_ref.is_none() {
            return Ok(GatedFound::Reads(Vec::new(), None));
        }
        self.kept(query).await
    }

    async fn gated_read_fetch(&self, permit: &Permit<SearchReads>, id: ReadId) -> Stored<Option<GatedPlace>> {
        if permit.why().magistrate_ref.is_none() {
            return Ok(None);
        }
        let row = sqlx::query("select owner_id, camera_id, at_us from gated_read where id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.store.read)
            .await
            .map_err(db_error)?;
        let place = |row: &AnyRow| {
            Ok(GatedPlace { owner: row.word("owner_id")?, camera: row.word("camera_id")?, at: row.at("at_us")? })
        };
        row.as_ref().map(place).transpose()
    }

    async fn gated_read_picture(
        &self,
        permit: &Permit<SearchReads>,
        id: ReadId,
        kind: PictureKind,
    ) -> Stored<GatedPicture> {
        let is_of_read = matches!(kind, PictureKind::Crop | PictureKind::Overview);
        if permit.why().magistrate_ref.is_none() || !is_of_read {
            return Ok(GatedPicture::Missing);
        }
        let row = sqlx::query("select class, hour, object, crop, overview from gated_read where id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.store.read)
            .await
            .map_err(db_error)?;
        let Some(row) = row else { return Ok(GatedPicture::Missing) };
        let (key_id, field) = (key_of(&row)?, field_of(kind));
        let Some(sealed) = row.blob_opt(field)? else { return Ok(GatedPicture::Missing) };
        match self.opened_by(&key_id, &self.gates().await?).await? {
            Opened::Away => Ok(GatedPicture::GateAway),
            Opened::Gone => Ok(GatedPicture::Missing),
            Opened::Key(key) => {
                let id = id.to_string();
                let clear = self.whole(Self::open(&key, &key_id, &id, field, &sealed), "gated_read", &id);
                Ok(clear.map_or(GatedPicture::Missing, |clear| GatedPicture::Picture(clear.into())))
            }
        }
    }

    async fn gated_search_insert(&self, search: &GatedSearch) -> Stored<()> {
        self.search_insert(search).await
    }

    async fn gated_search_fetch(&self, id: Uuid) -> Stored<Option<GatedSearch>> {
        self.search_fetch(id).await
    }

    async fn gated_search_list(&self, owner: OrgId, below: Option<Uuid>, limit: u32) -> Stored<Vec<GatedSearch>> {
        self.search_list(owner, below, limit).await
    }

    async fn gated_search_settle(&self, search: &GatedSearch) -> Stored<()> {
        self.search_settle(search).await
    }
}
