//! Copies of reads: taking, waiting, listing.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use vms_app::lez_ports::{
    CopyFate, Direction, PICTURE_MAX, PictureKind, PurposeCopy, ReadClock, ReadFacts, ReadFrom, ReadQuery, StoredRead,
    WaitingRead,
};
use vms_app::ports::store::Stored;
use vms_core::{CameraId, Confidence, Country, Plate, Purpose, ReadId, TimeRange, WallTime};

use super::LezVault;
use super::keys::KeyId;
use super::seal::{Key, hour_of};
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense};

const COLUMNS: &str = "id, class, hour, camera_id, owner_id, stream_id, at_us, received_at_us, tries, body,
    case when crop is null then 0 else 1 end as has_crop,
    case when overview is null then 0 else 1 end as has_overview";

/// Reads of one plate that are looked at together.
const SAME_MAX: i64 = 64;
/// For so long a held read is kept past its wait.
const HOLD_MORE: Duration = Duration::from_secs(600);

/// What is sealed in `body`.
#[derive(Serialize, Deserialize)]
struct Body {
    plate: String,
    countries: Vec<(String, u32)>,
    confidence: u32,
    corrected: bool,
    direction: String,
    looks: u32,
    model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock: Option<ReadClock>,
    #[serde(default, skip_serializing_if = "ReadFrom::is_reader")]
    from: ReadFrom,
}

impl Body {
    fn of(facts: &ReadFacts) -> Self {
        let countries = facts.countries.iter();
        Self {
            plate: facts.plate.reveal().to_owned(),
            countries: countries.map(|(sign, odds)| (sign.as_str().to_owned(), odds.millionths())).collect(),
            confidence: facts.confidence.millionths(),
            corrected: facts.corrected,
            direction: facts.direction.as_str().to_owned(),
            looks: facts.looks,
            model: facts.model.clone(),
            clock: facts.clock.clone(),
            from: facts.from.clone(),
        }
    }

    fn facts(self) -> Stored<ReadFacts> {
        let country = |(sign, odds): &(String, u32)| Some((Country::parse(sign)?, Confidence::from_millionths(*odds)));
        Ok(ReadFacts {
            plate: Plate::parse(&self.plate).map_err(|_| nonsense("body"))?,
            countries: self.countries.iter().filter_map(country).collect(),
            confidence: Confidence::from_millionths(self.confidence),
            corrected: self.corrected,
            direction: Direction::from_word(&self.direction),
            looks: self.looks,
            model: self.model,
            clock: self.clock,
            from: self.from,
        })
    }
}

/// The purpose of a copy as a column word with a static life.
fn key_id(row: &AnyRow, purpose: Purpose) -> Stored<KeyId> {
    Ok(KeyId::hour(purpose, &row.text("class")?, row.int("hour")?))
}

pub(super) fn stored(row: &AnyRow, key: &Key, id: &KeyId) -> Stored<StoredRead> {
    let read: ReadId = row.word("id")?;
    let body = row.blob_opt("body")?.ok_or_else(|| nonsense("body"))?;
    let body = LezVault::open(key, id, &read.to_string(), "body", &body)?;
    let body: Body = serde_json::from_slice(&body).map_err(|_| nonsense("body"))?;
    Ok(StoredRead {
        read,
        camera: row.word("camera_id")?,
        owner: row.word("owner_id")?,
        stream: row.word("stream_id")?,
        at: row.at("at_us")?,
        facts: body.facts()?,
        has_crop: row.int("has_crop")? == 1,
        has_overview: row.int("has_overview")? == 1,
    })
}

/// A row that does not open waits for nobody: it is tried once an hour, and counted at its term.
pub(super) const NEVER: WallTime = WallTime::from_micros(i64::MAX);

/// Rows that are asked for at least, to fill a page whose first rows were not all whole.
const REFILL: u32 = 200;

/// Rows that were opened, and those that do not open.
struct Opening<T> {
    whole: Vec<T>,
    damaged: Vec<ReadId>,
}

/// The plate of a row that selects its body as `a`.
pub(super) fn plate_of(key: &Key, id: &KeyId, row: &AnyRow) -> Stored<String> {
    let sealed = row.blob_opt("a")?.ok_or_else(|| nonsense("body"))?;
    let body = LezVault::open(key, id, &row.text("id")?, "body", &sealed)?;
    let body: Body = serde_json::from_slice(&body).map_err(|_| nonsense("body"))?;
    Ok(body.plate)
}

/// A list of police copies, with so many tokens from parameter 8 on.
///
/// A search goes by its tokens. Told the owner as it is, SQLite would rather walk every read of the owner in the span: tens of millions
/// for a month of the region, where the tokens lead to a handful.
pub(super) fn list_sql(tokens: usize) -> String {
    let (owner, carries) = match tokens {
        0 => ("owner_id = $1", String::new()),
        tokens => ("owner_id || '' = $1", format!("and token in ({})", places(8, tokens))),
    };
    format!(
        "select {COLUMNS} from lez_read
          where purpose = 'OPENBARE_ORDE' and {owner} and at_us >= $2 and at_us < $3
            and ($4 = '' or camera_id = $4)
            and (at_us < $5 or (at_us = $5 and id < $6)) {carries}
          order by at_us desc, id desc limit $7"
    )
}

impl LezVault {
    pub(super) async fn take(&self, copies: &[PurposeCopy]) -> Stored<Vec<CopyFate>> {
        if copies.is_empty() {
            return Ok(Vec::new());
        }
        self.note_pushing(copies).await?;
        let _sealing = self.sealing.read().await;
        write_txn!(self.store, |conn| {
            let mut fates = Vec::with_capacity(copies.len());
            for copy in copies {
                fates.push(self.take_one(&mut *conn, copy).await?);
            }
            Ok(fates)
        })
    }

    async fn take_one(&self, conn: &mut Writing<'_>, copy: &PurposeCopy) -> Stored<CopyFate> {
        let id = copy.read.read.to_string();
        if self.is_twin(&mut *conn, copy, &id).await? {
            return Ok(CopyFate::Twin);
        }
        let seen = sqlx::query(
            "insert into lez_seen (purpose, id, at_us) values ($1, $2, $3) on conflict (purpose, id) do nothing",
        )
        .bind(copy.purpose.as_str())
        .bind(id.clone())
        .bind(copy.received_at.micros)
        .execute(&mut *conn)
        .await
        .map_err(db_error)?;
        if seen.rows_affected() == 0 {
            return Ok(CopyFate::Known);
        }
        let key_id = KeyId::hour(copy.purpose, copy.class.as_str(), hour_of(copy.read.at));
        let (key, lock) = self.key_or_make(&mut *conn, &key_id, copy.key_ends_at, copy.received_at).await?;
        let body = serde_json::to_vec(&Body::of(&copy.read.facts)).map_err(|_| nonsense("body"))?;
        let picture = |field: &str, bytes: &Bytes| {
            let fits = !bytes.is_empty() && bytes.len() <= PICTURE_MAX;
            fits.then(|| self.seal(&key, &key_id, &id, field, bytes)).transpose()
        };
        let token = self.read_token(&lock, copy.purpose, copy.read.facts.plate.reveal()).await?;
        self.mark(&mut *conn, copy, &id, &token).await?;
        sqlx::query(
            "insert into lez_read (purpose, id, class, hour, camera_id, owner_id, stream_id, at_us, received_at_us,
                next_try_us, tries, expires_at_us, token, body, crop, overview)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, 0, $10, $11, $12, $13, $14)
             on conflict (purpose, id) do nothing",
        )
        .bind(copy.purpose.as_str())
        .bind(id.clone())
        .bind(copy.class.as_str().to_owned())
        .bind(key_id.hour)
        .bind(copy.read.camera.to_string())
        .bind(copy.owner.to_string())
        .bind(copy.read.stream.to_string())
        .bind(copy.read.at.micros)
        .bind(copy.received_at.micros)
        .bind(copy.expires_at.micros)
        .bind(token)
        .bind(self.seal(&key, &key_id, &id, "body", &body)?)
        .bind(picture("crop", &copy.read.crop)?)
        .bind(picture("overview", &copy.read.overview)?)
        .execute(&mut *conn)
        .await
        .map_err(db_error)?;
        if copy.purpose == Purpose::PublicOrder {
            self.freshen(conn, copy, key_id.hour).await?;
        }
        Ok(CopyFate::Kept)
    }

    /// Opens rows; one whose key was destroyed meanwhile is erased already and left out, and so is one that is damaged.
    async fn opened<T>(
        &self,
        rows: &[AnyRow],
        purpose: Purpose,
        make: impl Fn(&AnyRow, StoredRead) -> Stored<T>,
    ) -> Stored<Opening<T>> {
        let mut keys: HashMap<KeyId, Option<Key>> = HashMap::new();
        let mut out = Opening { whole: Vec::with_capacity(rows.len()), damaged: Vec::new() };
        for row in rows {
            let id = key_id(row, purpose)?;
            if !keys.contains_key(&id) {
                let key = self.key(&self.store.read, &id).await?;
                keys.insert(id.clone(), key);
            }
            let Some(Some(key)) = keys.get(&id) else { continue };
            match self.whole(stored(row, key, &id), "lez_read", &row.text("id")?) {
                Some(read) => out.whole.push(make(row, read)?),
                None => out.damaged.push(row.word("id")?),
            }
        }
        Ok(out)
    }

    pub(super) async fn waiting(&self, purpose: Purpose, now: WallTime, limit: u32) -> Stored<Vec<WaitingRead>> {
        let sql = format!(
            "select {COLUMNS} from lez_read where purpose = $3 and next_try_us <= $1 and expires_at_us > $1
              order by at_us, id limit $2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(now.micros)
            .bind(i64::from(limit))
            .bind(purpose.as_str())
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        let make = |row: &AnyRow, read: StoredRead| {
            Ok(WaitingRead { read, received_at: row.at("received_at_us")?, tries: row.number("tries")? })
        };
        let Opening { whole, damaged } = self.opened(&rows, purpose, make).await?;
        if !damaged.is_empty() {
            // Out of the way of those behind it. It stays to its term, in case that somebody mends it.
            self.postpone(purpose, &damaged, NEVER).await?;
        }
        Ok(whole)
    }

    /// Lets reads that did not open be tried again.
    pub(super) async fn unpark(&self, now: WallTime) -> Stored<()> {
        write_txn!(self.store, |conn| {
            sqlx::query(
                "update lez_read set next_try_us = $2 where purpose in ('LEZ', 'ZBT', 'TRAJECT') and next_try_us = $1",
            )
            .bind(NEVER.micros)
            .bind(now.micros)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    /// Undecided reads of a purpose with this plate, by time.
    pub(super) async fn same(&self, purpose: Purpose, plate: &Plate, range: TimeRange) -> Stored<Vec<StoredRead>> {
        let tokens = self.search_tokens(purpose, range, plate.reveal()).await?;
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let tokens = padded(tokens);
        let sql = format!(
            "select {COLUMNS} from lez_read where purpose = $1 and at_us >= $2 and at_us < $3 and token in ({})
              order by at_us, id limit $4",
            places(5, tokens.len())
        );
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(purpose.as_str())
            .bind(range.from.micros)
            .bind(range.to.micros)
            .bind(SAME_MAX);
        for token in tokens {
            rows = rows.bind(token);
        }
        let rows = rows.fetch_all(&self.store.read).await.map_err(db_error)?;
        Ok(self.opened(&rows, purpose, |_, read| Ok(read)).await?.whole)
    }

    /// Keeps an undecided read until its exit can no longer come, and the key of its hour with it.
    pub(super) async fn hold(&self, purpose: Purpose, read: ReadId, until: WallTime) -> Stored<()> {
        // The round that finds the wait over comes before the sweep.
        let ends = until.plus(HOLD_MORE);
        write_txn!(self.store, |conn| {
            for sql in [
                "update lez_read set next_try_us = $3, tries = tries + 1, expires_at_us =
                    case when expires_at_us < $4 then $4 else expires_at_us end where purpose = $1 and id = $2",
                "update lez_key set ends_at_us = $4 where purpose = $1 and object = '' and ends_at_us < $4 and $3 <= $4 and exists (
                    select 1 from lez_read r where r.purpose = $1 and r.id = $2 and r.class = lez_key.class and r.hour = lez_key.hour)",
            ] {
                sqlx::query(sql)
                    .bind(purpose.as_str())
                    .bind(read.to_string())
                    .bind(until.micros)
                    .bind(ends.micros)
                    .execute(&mut *conn)
                    .await
                    .map_err(db_error)?;
            }
            Ok(())
        })
    }

    pub(super) async fn postpone(&self, purpose: Purpose, reads: &[ReadId], until: WallTime) -> Stored<()> {
        write_txn!(self.store, |conn| {
            for read in reads {
                sqlx::query("update lez_read set next_try_us = $2, tries = tries + 1 where purpose = $3 and id = $1")
                    .bind(read.to_string())
                    .bind(until.micros)
                    .bind(purpose.as_str())
                    .execute(&mut *conn)
                    .await
                    .map_err(db_error)?;
            }
            Ok(())
        })
    }

    /// Police copies, newest first; with tokens, only those that carry one of them.
    pub(super) async fn list(&self, query: &ReadQuery, tokens: Option<Vec<String>>) -> Stored<Vec<StoredRead>> {
        let tokens = match tokens {
            Some(tokens) if tokens.is_empty() => return Ok(Vec::new()),
            Some(tokens) => padded(tokens),
            None => Vec::new(),
        };
        let (mut out, mut after) = (Vec::new(), query.after);
        loop {
            let asked = places_left(query.limit, out.len());
            let rows = self.list_rows(query, after, asked, &tokens).await?;
            let Some(last) = rows.last() else { return Ok(out) };
            after = Some((last.at("at_us")?, last.word("id")?));
            out.extend(self.opened(&rows, Purpose::PublicOrder, |_, read| Ok(read)).await?.whole);
            if is_page_done(&mut out, query.limit, (rows.len(), asked)) {
                return Ok(out);
            }
        }
    }

    async fn list_rows(
        &self,
        query: &ReadQuery,
        after: Option<(WallTime, ReadId)>,
        limit: u32,
        tokens: &[String],
    ) -> Stored<Vec<AnyRow>> {
        let (after_us, after_id) = match after {
            Some((at, id)) => (at.micros, id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(list_sql(tokens.len())))
            .bind(query.owner.to_string())
            .bind(query.range.from.micros)
            // Not the whole span for each page: the index would be walked from its top to where the page begins.
            .bind(query.range.to.micros.min(after_us.saturating_add(1)))
            .bind(query.camera.map(|id| id.to_string()).unwrap_or_default())
            .bind(after_us)
            .bind(after_id)
            .bind(i64::from(limit));
        for token in tokens {
            rows = rows.bind(token.clone());
        }
        rows.fetch_all(&self.store.read).await.map_err(db_error)
    }

    pub(super) async fn fetch(&self, id: ReadId) -> Stored<Option<StoredRead>> {
        let sql = format!("select {COLUMNS} from lez_read where purpose = 'OPENBARE_ORDE' and id = $1");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id.to_string())
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
        Ok(self.opened(&rows, Purpose::PublicOrder, |_, read| Ok(read)).await?.whole.pop())
    }

    pub(super) async fn picture(&self, id: ReadId, kind: PictureKind) -> Stored<Option<Bytes>> {
        if matches!(kind, PictureKind::ExitCrop | PictureKind::ExitOverview) {
            return Ok(None);
        }
        let row =
            sqlx::query("select class, hour, crop, overview from lez_read where purpose = 'OPENBARE_ORDE' and id = $1")
                .bind(id.to_string())
                .fetch_optional(&self.store.read)
                .await
                .map_err(db_error)?;
        let Some(row) = row else { return Ok(None) };
        let key_id = key_id(&row, Purpose::PublicOrder)?;
        let field = field_of(kind);
        let (Some(sealed), Some(key)) = (row.blob_opt(field)?, self.key(&self.store.read, &key_id).await?) else {
            return Ok(None);
        };
        let id = id.to_string();
        Ok(self.whole(Self::open(&key, &key_id, &id, field, &sealed), "lez_read", &id).map(Bytes::from))
    }

    pub(super) async fn marks(
        &self,
        camera: CameraId,
        range: TimeRange,
        limit: u32,
    ) -> Stored<Vec<(WallTime, ReadId)>> {
        let rows = sqlx::query(
            "select at_us, id from lez_read
              where purpose = 'OPENBARE_ORDE' and camera_id = $1 and at_us >= $2 and at_us < $3
              order by at_us, id limit $4",
        )
        .bind(camera.to_string())
        .bind(range.from.micros)
        .bind(range.to.micros)
        .bind(i64::from(limit))
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(|row| Ok((row.at("at_us")?, row.word("id")?))).collect()
    }
}

/// How many rows to ask for. A row that is damaged or erased takes no place in a page, since a shorter page would say that nothing follows; so that
/// many of them do not cost a query each, what is missing is looked for among several.
pub(super) fn places_left(limit: u32, found: usize) -> u32 {
    let left = limit.saturating_sub(u32::try_from(found).unwrap_or(u32::MAX));
    if found == 0 { left } else { left.max(REFILL) }
}

/// The page is full, or nothing follows what a query gave.
pub(super) fn is_page_done<T>(page: &mut Vec<T>, limit: u32, (rows, asked): (usize, u32)) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    page.truncate(limit);
    page.len() >= limit || rows < usize::try_from(asked).unwrap_or(usize::MAX)
}

/// The last one repeated up to a power of two, so that the database sees few different statements.
pub(super) fn padded(mut tokens: Vec<String>) -> Vec<String> {
    let last = tokens.last().cloned().unwrap_or_default();
    tokens.resize(tokens.len().next_power_of_two(), last);
    tokens
}

/// `$8, $9, …`
pub(super) fn places(first: usize, count: usize) -> String {
    let places: Vec<String> = (first..first.saturating_add(count)).map(|place| format!("${place}")).collect();
    places.join(", ")
}

/// The column of a picture.
pub(super) const fn field_of(kind: PictureKind) -> &'static str {
    match kind {
        PictureKind::Crop => "crop",
        PictureKind::Overview => "overview",
        PictureKind::ExitCrop => "exit_crop",
        PictureKind::ExitOverview => "exit_overview",
    }
}
