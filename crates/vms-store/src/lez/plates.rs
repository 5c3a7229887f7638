//! Distinct plates of police copies, in sealed blocks, and searches over them.
//!
//! A block is a list of plates under the key of one hour of reads. A read is *fresh* until it stands in a block of its hour; once the day is over,
//! each plate of the day stands once, under the key of the last hour in which it was read. So no key and no term is added, nothing in a row is
//! equal for equal plates, and what the key store destroyed opens no block either (docs/KEYS.md compares the other ways).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use ::keys::KeyEpoch;
use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::gate::Permit;
use vms_app::gate::action::SearchReads;
use vms_app::lez_ports::{PurposeCopy, ReadQuery, StoredRead};
use vms_app::plate_ports::{LIKE_MAX, LikeReads, Packed, PlateIndex};
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_core::{PlateWish, Purpose, TimeRange, WallTime};
use zeroize::Zeroizing;

use super::LezVault;
use super::keys::{KeyId, Lock};
use super::reads::{places, plate_of};
use super::seal::{Key, hour_of};
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense};

const POLICE: Purpose = Purpose::PublicOrder;
/// Hours of a day of the index, which is one of UTC: it shows nobody anything.
const DAY_HOURS: i64 = 24;
/// Fresh reads of one owner and hour that are packed before their hour is over, and the most that one block is made of.
const PACK_AT: i64 = 8_192;
/// Blocks of hours written in one round; the next one goes on.
const ROUND_MAX: usize = 32;
/// A round looks for work no sooner than this after the last.
const ROUND_US: i64 = 10_000_000;
/// Reads come a little late: an hour or a day is over only then.
const LATE: Duration = Duration::from_secs(120);
/// A block of a day that is over waits so long for others like it.
const MERGE_AFTER: Duration = Duration::from_secs(1_800);
/// Plates in one block.
const BLOCK_MAX: usize = 65_536;
/// Plates of a day that are merged in memory (about 100 bytes each); a day with more keeps its blocks of hours.
const DAY_MAX: usize = 2_000_000;
/// Fresh reads opened at once by a search.
const FRESH_PAGE: i64 = 4_096;
/// A page of reads that stand in no block yet. There are few of them and very many reads: a left join keeps SQLite, which guesses how many, from
/// walking the reads in search of fresh ones, and sorts the page before it fetches bodies.
const FRESH_SQL: &str = "select f.id as id, f.class as class, f.hour as hour, r.body as a
      from (select id, class, hour from plate_fresh where owner_id = $1 and hour >= $2 and hour <= $3 and id > $4 order by id limit $5) f
      left join lez_read r on r.purpose = 'OPENBARE_ORDE' and r.id = f.id order by f.id";
/// Tokens in one statement.
const TOKENS_MAX: usize = 2_048;
/// Ids in one statement.
const IDS_MAX: usize = 512;

/// Plates by the day they were read on.
type Seen = BTreeMap<i64, BTreeSet<String>>;

/// Fresh reads of an owner, class and hour.
struct Heap {
    owner: String,
    key: KeyId,
    count: i64,
}

/// A block as it lies there.
struct Block {
    id: String,
    key: KeyId,
    expires_at: WallTime,
    body: Vec<u8>,
}

fn block(row: &AnyRow) -> Stored<Block> {
    Ok(Block {
        id: row.text("id")?,
        key: KeyId::hour(POLICE, &row.text("class")?, row.int("hour")?),
        expires_at: row.at("expires_at_us")?,
        body: row.blob_opt("body")?.ok_or_else(|| nonsense("body"))?,
    })
}

/// Length and text of each plate.
fn listed<'p>(plates: impl Iterator<Item = &'p str>) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::new());
    for plate in plates {
        out.push(u8::try_from(plate.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(plate.as_bytes());
    }
    out
}

/// Calls for each plate of a list; a list that ends inside a plate is no list.
fn each_of(mut list: &[u8], mut work: impl FnMut(&[u8])) -> Stored<()> {
    while let Some((length, rest)) = list.split_first() {
        let (plate, rest) = rest.split_at_checked(usize::from(*length)).ok_or_else(|| nonsense("body"))?;
        work(plate);
        list = rest;
    }
    Ok(())
}

fn opened(block: &Block, keys: &HashMap<KeyId, Key>) -> Stored<Option<Zeroizing<Vec<u8>>>> {
    let Some(key) = keys.get(&block.key) else { return Ok(None) };
    LezVault::open(key, &block.key, &block.id, "plates", &block.body).map(|list| Some(Zeroizing::new(list)))
}

/// What a look through the blocks came to.
enum Scan {
    /// Plates by day; `None`: too many.
    Whole(Option<Seen>),
    /// A block of this day does not open.
    Damaged(i64),
}

/// Rows of fresh reads that are still there; one that is gone has no body.
fn with_body(rows: Vec<AnyRow>) -> Vec<AnyRow> {
    rows.into_iter().filter(|row| matches!(row.blob_opt("a"), Ok(Some(_)))).collect()
}

/// Work over many bytes, on a thread that may take its time.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Stored<T> + Send + 'static) -> Stored<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Internal(error.into()))?
}

#[async_trait]
impl PlateIndex for LezVault {
    async fn read_search_like(
        &self,
        _permit: &Permit<SearchReads>,
        wish: &PlateWish,
        query: &ReadQuery,
    ) -> Stored<LikeReads> {
        let Some(seen) = self.plates_like(wish, query).await? else { return Ok(LikeReads::TooMany) };
        let plates = seen.values().flatten().collect::<BTreeSet<_>>().len();
        Ok(LikeReads::Found(self.reads_of(&seen, query).await?, plates))
    }

    async fn plates_pack(&self, now: WallTime) -> Stored<Packed> {
        let mut at = self.packing.lock().await;
        if at.is_some_and(|at| now >= at && now.micros_since(at) < ROUND_US) {
            return Ok(Packed::default());
        }
        let mut packed = Packed::default();
        for heap in self.heaps(now).await? {
            let mut left = heap.count;
            while left > 0 && packed.blocks < u64::try_from(ROUND_MAX).unwrap_or(u64::MAX) {
                let reads = self.pack(&heap, now).await?;
                if reads == 0 {
                    break;
                }
                packed.reads += reads;
                packed.blocks += 1;
                left -= PACK_AT;
            }
        }
        packed.days = u64::from(self.merge(now).await?);
        // Where there is more to do the next call goes on at once.
        *at = (packed == Packed::default()).then_some(now);
        Ok(packed)
    }

    fn wish_hash(&self, wish: &PlateWish) -> String {
        self.token(POLICE, &["query", &wish.reveal()])
    }

    fn wish_sealed(&self, wish: &PlateWish) -> Stored<String> {
        self.seal_query(&wish.reveal())
    }

    fn wish_opened(&self, sealed: &str) -> Stored<String> {
        self.open_query(sealed)
    }
}

impl LezVault {
    /// A police copy that stands in no block yet.
    pub(super) async fn freshen(&self, conn: &mut Writing<'_>, copy: &PurposeCopy, hour: i64) -> Stored<()> {
        sqlx::query(
            "insert into plate_fresh (id, owner_id, class, hour, expires_at_us) values ($1, $2, $3, $4, $5)
             on conflict (id) do nothing",
        )
        .bind(copy.read.read.to_string())
        .bind(copy.owner.to_string())
        .bind(copy.class.as_str().to_owned())
        .bind(hour)
        .bind(copy.expires_at.micros)
        .execute(conn)
        .await
        .map_err(db_error)?;
        Ok(())
    }

    /// Plates that are looked for, by day; `None`: too many.
    async fn plates_like(&self, wish: &PlateWish, query: &ReadQuery) -> Stored<Option<Seen>> {
        loop {
            match self.plates_whole(wish, query).await? {
                Scan::Whole(seen) => return Ok(seen),
                // Once for each day at most: what is laid out anew stands in no block.
                Scan::Damaged(day) => self.plates_again(&query.owner.to_string(), day).await?,
            }
        }
    }

    async fn plates_whole(&self, wish: &PlateWish, query: &ReadQuery) -> Stored<Scan> {
        // Fresh ones first: what is packed meanwhile stands in a block then, and is found there.
        let mut seen = self.fresh_like(wish, query).await?;
        let days = hour_of(query.range.from) / DAY_HOURS..=hour_of(query.range.to) / DAY_HOURS;
        let mut distinct: BTreeSet<String> = seen.values().flatten().cloned().collect();
        for day in days.rev() {
            if distinct.len() > LIKE_MAX {
                return Ok(Scan::Whole(None));
            }
            let rows = sqlx::query(
                "select id, class, hour, expires_at_us, body from plate_block where owner_id = $1 and day = $2 and hour >= $3",
            )
            .bind(query.owner.to_string())
            .bind(day)
            .bind(hour_of(query.range.from))
            .fetch_all(&self.store.read)
            .await
            .map_err(db_error)?;
            if rows.is_empty() {
                continue;
            }
            let blocks = rows.iter().map(block).collect::<Stored<Vec<_>>>()?;
            drop(rows);
            let (keys, wish) = (self.keys_of(&blocks).await?, wish.clone());
            let Some(found) = aside(move || Ok(like(&blocks, &keys, &wish).ok())).await? else {
                return Ok(Scan::Damaged(day));
            };
            distinct.extend(found.iter().cloned());
            if !found.is_empty() {
                seen.entry(day).or_default().extend(found);
            }
        }
        Ok(Scan::Whole((distinct.len() <= LIKE_MAX).then_some(seen)))
    }

    /// Live keys of blocks.
    async fn keys_of(&self, blocks: &[Block]) -> Stored<HashMap<KeyId, Key>> {
        let (mut keys, mut asked) = (HashMap::new(), BTreeSet::new());
        for block in blocks {
            if asked.insert((block.key.class.clone(), block.key.hour))
                && let Some(key) = self.key(&self.store.read, &block.key).await?
            {
                keys.insert(block.key.clone(), key);
            }
        }
        Ok(keys)
    }

    /// Among reads that stand in no block yet, a page at a time.
    async fn fresh_like(&self, wish: &PlateWish, query: &ReadQuery) -> Stored<Seen> {
        let (mut seen, mut below) = (Seen::new(), String::new());
        loop {
            let rows = sqlx::query(FRESH_SQL)
                .bind(query.owner.to_string())
                .bind(hour_of(query.range.from))
                .bind(hour_of(query.range.to))
                .bind(below.clone())
                .bind(FRESH_PAGE)
                .fetch_all(&self.store.read)
                .await
                .map_err(db_error)?;
            let Some(last) = rows.last() else { return Ok(seen) };
            below = last.text("id")?;
            for (plate, hour) in self.plates_in(&with_body(rows)).await? {
                if wish.matches(plate.as_bytes()) {
                    seen.entry(hour / DAY_HOURS).or_default().insert(plate);
                }
            }
            if seen.values().map(BTreeSet::len).sum::<usize>() > LIKE_MAX * 32 {
                return Ok(seen);
            }
        }
    }

    /// Plates and hours of rows with `id`, `class`, `hour` and the body as `a`; what no key opens is erased already, and a damaged
    /// one is left out.
    async fn plates_in(&self, rows: &[AnyRow]) -> Stored<Vec<(String, i64)>> {
        let mut keys: HashMap<KeyId, Option<Key>> = HashMap::new();
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let id = KeyId::hour(POLICE, &row.text("class")?, row.int("hour")?);
            if !keys.contains_key(&id) {
                keys.insert(id.clone(), self.key(&self.store.read, &id).await?);
            }
            if let Some(Some(key)) = keys.get(&id) {
                let plate = self.whole(plate_of(key, &id, row), "lez_read", &row.text("id")?);
                out.extend(plate.map(|plate| (plate, id.hour)));
            }
        }
        Ok(out)
    }

    /// The reads of plates, newest first: day by day, until there are enough.
    async fn reads_of(&self, seen: &Seen, query: &ReadQuery) -> Stored<Vec<StoredRead>> {
        let wanted = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut reads: Vec<StoredRead> = Vec::new();
        for (day, plates) in seen.iter().rev() {
            let Some(range) = within(*day, query.range) else { continue };
            let (epochs, is_mixed) = self.hours_in(range).await?;
            let mut tokens = self.tokens_of(epochs, plates.iter().cloned().collect()).await?;
            if is_mixed {
                tokens.extend(plates.iter().map(|plate| self.token(POLICE, &["plate", plate])));
            }
            let mut of_day = Vec::new();
            for some in tokens.chunks(TOKENS_MAX) {
                of_day.extend(self.list(&ReadQuery { range, ..query.clone() }, Some(some.to_vec())).await?);
            }
            of_day.sort_by_key(|read| std::cmp::Reverse((read.at, read.read)));
            reads.append(&mut of_day);
            if reads.len() >= wanted {
                break;
            }
        }
        reads.truncate(wanted);
        Ok(reads)
    }

    /// Numbers of the live keys of police copies of a span, and whether there are some of an earlier version.
    async fn hours_in(&self, range: TimeRange) -> Stored<(Vec<KeyEpoch>, bool)> {
        let rows = sqlx::query(
            "select wrapped from lez_key where purpose = 'OPENBARE_ORDE' and object = '' and hour >= $1 and hour <= $2",
        )
        .bind(hour_of(range.from))
        .bind(hour_of(range.to))
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let (mut epochs, mut is_mixed) = (Vec::with_capacity(rows.len()), false);
        for row in &rows {
            match Lock::of(row)? {
                Lock::Numbered(epoch) => epochs.push(epoch),
                Lock::Wrapped(_) => is_mixed = true,
            }
        }
        Ok((epochs, is_mixed))
    }

    /// What is to be packed: hours with much in them, and hours that are over.
    async fn heaps(&self, now: WallTime) -> Stored<Vec<Heap>> {
        let rows = sqlx::query(
            "select owner_id, class, hour, count(*) as n from plate_fresh group by owner_id, class, hour
             having count(*) >= $1 or hour < $2 order by hour limit 64",
        )
        .bind(PACK_AT)
        .bind(hour_of(now.minus(LATE)))
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let heap = |row: &AnyRow| {
            let key = KeyId::hour(POLICE, &row.text("class")?, row.int("hour")?);
            Ok(Heap { owner: row.text("owner_id")?, key, count: row.int("n")? })
        };
        rows.iter().map(heap).collect()
    }

    /// One block of an hour. How many reads stand in it.
    async fn pack(&self, heap: &Heap, now: WallTime) -> Stored<u64> {
        let _sealing = self.sealing.read().await;
        let rows = sqlx::query(
            "select f.id as id, f.class as class, f.hour as hour, f.expires_at_us as expires_at_us, r.body as a from plate_fresh f
               left join lez_read r on r.purpose = 'OPENBARE_ORDE' and r.id = f.id
              where f.owner_id = $1 and f.class = $2 and f.hour = $3 order by f.id limit $4",
        )
        .bind(heap.owner.clone())
        .bind(heap.key.class.clone())
        .bind(heap.key.hour)
        .bind(PACK_AT)
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let Some(expires_at) =
            rows.iter().map(|row| row.at("expires_at_us")).collect::<Stored<Vec<_>>>()?.into_iter().max()
        else {
            return Ok(0);
        };
        let ids = rows.iter().map(|row| row.text("id")).collect::<Stored<Vec<_>>>()?;
        // A read that is gone leaves the heap with the others.
        let plates: BTreeSet<String> =
            self.plates_in(&with_body(rows)).await?.into_iter().map(|(plate, _)| plate).collect();
        let sealed = match self.key(&self.store.read, &heap.key).await? {
            Some(key) if !plates.is_empty() => Some(self.sealed_block(&key, &heap.key, &plates)?),
            _ => None,
        };
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        write_txn!(self.store, |conn| {
            if let Some((id, body)) = &sealed {
                put(&mut *conn, &heap.owner, &heap.key, (id, body), plates.len(), 0, (now, expires_at)).await?;
            }
            for some in ids.chunks(IDS_MAX) {
                let sql = format!("delete from plate_fresh where id in ({})", places(1, some.len()));
                let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
                for id in some {
                    query = query.bind(id.clone());
                }
                query.execute(&mut *conn).await.map_err(db_error)?;
            }
            Ok(())
        })?;
        Ok(count)
    }

    /// Id and sealed list.
    fn sealed_block(&self, key: &Key, id: &KeyId, plates: &BTreeSet<String>) -> Stored<(String, Vec<u8>)> {
        let block = self.ids.uuid().to_string();
        let body = self.seal(key, id, &block, "plates", &listed(plates.iter().map(String::as_str)))?;
        Ok((block, body))
    }

    /// One day that is over: each plate once, under the key of its last hour.
    async fn merge(&self, now: WallTime) -> Stored<bool> {
        let due = sqlx::query(
            "select owner_id, class, day from plate_block where is_merged = 0 and day < $1
              group by owner_id, class, day having min(made_at_us) <= $2 order by day limit 1",
        )
        .bind(hour_of(now.minus(LATE)) / DAY_HOURS)
        .bind(now.minus(MERGE_AFTER).micros)
        .fetch_optional(&self.store.read)
        .await
        .map_err(db_error)?;
        let Some(due) = due else { return Ok(false) };
        let (owner, class, day) = (due.text("owner_id")?, due.text("class")?, due.int("day")?);
        let sealing = self.sealing.read().await;
        let rows = sqlx::query(
            "select id, class, hour, expires_at_us, body from plate_block where owner_id = $1 and class = $2 and day = $3",
        )
        .bind(owner.clone())
        .bind(class.clone())
        .bind(day)
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let blocks = rows.iter().map(block).collect::<Stored<Vec<_>>>()?;
        let old: Vec<String> = blocks.iter().map(|block| block.id.clone()).collect();
        let ends: HashMap<i64, WallTime> = blocks.iter().map(|block| (block.key.hour, block.expires_at)).collect();
        let keys = self.keys_of(&blocks).await?;
        let of_keys = keys.clone();
        let hours = match aside(move || Ok(by_last_hour(&blocks, &of_keys).ok())).await? {
            Some(Some(hours)) => hours,
            Some(None) => return self.leave(&old).await.map(|()| true),
            None => {
                drop(sealing);
                return self.plates_again(&owner, day).await.map(|()| true);
            }
        };
        let mut fresh = Vec::new();
        for (hour, plates) in hours {
            let id = KeyId::hour(POLICE, &class, hour);
            let (Some(key), Some(end)) = (keys.get(&id), ends.get(&hour)) else { continue };
            let plates: Vec<String> = plates.into_iter().collect();
            for some in plates.chunks(BLOCK_MAX) {
                let some: BTreeSet<String> = some.iter().cloned().collect();
                fresh.push((id.clone(), self.sealed_block(key, &id, &some)?, some.len(), *end));
            }
        }
        write_txn!(self.store, |conn| {
            for id in &old {
                let sql = "delete from plate_block where id = $1";
                sqlx::query(sql).bind(id.clone()).execute(&mut *conn).await.map_err(db_error)?;
            }
            for (key, (id, body), count, end) in &fresh {
                put(&mut *conn, &owner, key, (id, body), *count, 1, (now, *end)).await?;
            }
            Ok(())
        })?;
        drop(sealing);
        Ok(true)
    }

    /// A day too large to merge: its blocks stay as they are.
    async fn leave(&self, blocks: &[String]) -> Stored<()> {
        write_txn!(self.store, |conn| {
            for id in blocks {
                let sql = "update plate_block set is_merged = 1 where id = $1";
                sqlx::query(sql).bind(id.clone()).execute(&mut *conn).await.map_err(db_error)?;
            }
            Ok(())
        })
    }
}

/// Writes a block.
async fn put(
    conn: &mut Writing<'_>,
    owner: &str,
    key: &KeyId,
    (id, body): (&String, &Vec<u8>),
    plates: usize,
    is_merged: i64,
    (now, expires_at): (WallTime, WallTime),
) -> Stored<()> {
    sqlx::query(
        "insert into plate_block (id, owner_id, class, day, hour, is_merged, made_at_us, expires_at_us, plates, body)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id.clone())
    .bind(owner.to_owned())
    .bind(key.class.clone())
    .bind(key.hour / DAY_HOURS)
    .bind(key.hour)
    .bind(is_merged)
    .bind(now.micros)
    .bind(expires_at.micros)
    .bind(i64::try_from(plates).unwrap_or(i64::MAX))
    .bind(body.clone())
    .execute(conn)
    .await
    .map_err(db_error)?;
    Ok(())
}

/// Plates of blocks that are looked for; no more of them than tells that there are too many.
fn like(blocks: &[Block], keys: &HashMap<KeyId, Key>, wish: &PlateWish) -> Stored<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for block in blocks {
        let Some(list) = opened(block, keys)? else { continue };
        each_of(&list, |plate| {
            if wish.matches(plate) && found.len() <= LIKE_MAX {
                found.insert(String::from_utf8_lossy(plate).into_owned());
            }
        })?;
    }
    Ok(found)
}

/// Plates by the last hour they were read in; `None`: more than [`DAY_MAX`].
fn by_last_hour(blocks: &[Block], keys: &HashMap<KeyId, Key>) -> Stored<Option<BTreeMap<i64, BTreeSet<String>>>> {
    let mut last: HashMap<String, i64> = HashMap::new();
    for block in blocks {
        let Some(list) = opened(block, keys)? else { continue };
        each_of(&list, |plate| {
            let hour = last.entry(String::from_utf8_lossy(plate).into_owned()).or_insert(block.key.hour);
            *hour = (*hour).max(block.key.hour);
        })?;
        if last.len() > DAY_MAX {
            return Ok(None);
        }
    }
    let mut hours: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for (plate, hour) in last {
        hours.entry(hour).or_default().insert(plate);
    }
    Ok(Some(hours))
}

/// The part of a span that is on a day.
fn within(day: i64, range: TimeRange) -> Option<TimeRange> {
    let start = |day: i64| WallTime::from_secs(day.saturating_mul(86_400));
    TimeRange::new(range.from.max(start(day)), range.to.min(start(day + 1)))
}

#[cfg(test)]
#[path = "test_plates.rs"]
mod measured;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_back_and_a_cut_one_is_refused() {
        let list = listed(["1ABC234", "A", "123456789012"].into_iter());
        let mut back = Vec::new();
        each_of(&list, |plate| back.push(String::from_utf8(plate.to_vec()).unwrap())).unwrap();
        assert_eq!(back, ["1ABC234", "A", "123456789012"]);
        assert!(each_of(&list[..list.len() - 1], |_| ()).is_err());
        each_of(&[], |_| panic!("nothing in it")).unwrap();
    }

    #[test]
    fn a_span_is_cut_by_day() {
        let at = WallTime::from_secs;
        for (day, (from, to), wanted) in [
            (0, (0, 86_400), Some((0, 86_400))),
            (1, (80_000, 90_000), Some((86_400, 90_000))),
            (0, (80_000, 90_000), Some((80_000, 86_400))),
            (2, (80_000, 90_000), None),
        ] {
            let range = TimeRange::new(at(from), at(to)).unwrap();
            assert_eq!(
                within(day, range),
                wanted.and_then(|(from, to)| TimeRange::new(at(from), at(to))),
                "{day} {from}"
            );
        }
    }
}
