//! Keys of reads, questions and findings: the row of `lez_key` names an hour key of the key store, which alone can open it.
//!
//! Neither the database nor a backup of it holds a key, not even a wrapped one: what the key store destroyed opens nowhere.
//! Databases of earlier versions hold keys wrapped under a root secret; [`LezVault::adopt`] takes what they sealed over.

use std::fmt::Debug;
use std::sync::{Arc, PoisonError};

use keys::{GateSecret, Hour, KeyEpoch, KeyError, KeyName, KeyRing, OpenSegmentError, Reason, Scope};
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row as _};
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_core::{CameraId, FindingId, Purpose, RetentionClass, TimeRange, WallTime};
use zeroize::Zeroizing;

use super::LezVault;
use super::seal::{Key, broken, hour_of, open_raw};
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense};

/// Opened keys kept in memory at most; over that all are forgotten and opened anew.
const OPENED_MAX: usize = 2_048;
/// Keys destroyed in one call.
const DESTROY_MAX: usize = 1_000;
/// Keys of an earlier version whose rows are sealed anew in one sweep.
const ADOPT_MAX: i64 = 20;
/// Bytes of a key's number as `lez_key.wrapped` holds it; a wrapped key of an earlier version has 60.
const NUMBER_LEN: i64 = 8;
/// Hours that one search may span: 31 days, and some classes.
const HOURS_MAX: i64 = 4_096;

/// The key store of reads, or why it is away. A call may wait for disks: it is made on a thread that may.
pub trait KeyAccess: Send + Sync + Debug {
    /// Does something with the open store.
    ///
    /// # Errors
    /// [`KeyError`].
    fn with(&self, work: &mut dyn FnMut(&KeyRing) -> Result<(), KeyError>) -> Result<(), KeyError>;

    /// Takes an approval that two people laid in for an unusual batch up to this hour (since 1970). It serves once.
    fn take_approval(&self, _until_hour: u32) -> bool {
        false
    }

    /// There is a gate to move keys behind: made the first time, where there is a place for it.
    ///
    /// # Errors
    /// [`KeyError::Gate`].
    fn ensure_gate(&self, _now: WallTime) -> Result<(), KeyError> {
        self.with(&mut |ring| {
            ring.gate().map(drop).ok_or(KeyError::Gate { why: "the configuration names no folder for it" })
        })
    }

    /// The private halves of the gates whose medium is attached.
    fn gate_secrets(&self) -> Vec<GateSecret> {
        Vec::new()
    }
}

impl KeyAccess for KeyRing {
    fn with(&self, work: &mut dyn FnMut(&KeyRing) -> Result<(), KeyError>) -> Result<(), KeyError> {
        work(self)
    }
}

/// Names one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyId {
    pub(super) purpose: Purpose,
    pub(super) class: String,
    pub(super) hour: i64,
    pub(super) object: String,
}

impl KeyId {
    /// Of reads of an hour.
    pub(super) fn hour(purpose: Purpose, class: &str, hour: i64) -> Self {
        Self { purpose, class: class.to_owned(), hour, object: String::new() }
    }

    /// Of one finding.
    pub(super) fn finding(purpose: Purpose, class: &str, id: FindingId) -> Self {
        Self { purpose, class: class.to_owned(), hour: 0, object: id.to_string() }
    }

    /// Of the questions of an hour and purpose. What was asked names conforming vehicles too, hence their class.
    pub(super) fn asks(purpose: Purpose, hour: i64) -> Self {
        let class = if purpose == Purpose::Zbt { "RC-ZBT-OK" } else { "RC-LEZ-OK" };
        Self { purpose, class: class.to_owned(), hour, object: ASKS.to_owned() }
    }

    /// Of the police reads of a camera's hour that a decision keeps. A number above 0 is of reads that came when the key of the others was
    /// behind the gate already.
    pub(super) fn gated(camera: CameraId, class: &str, hour: i64, number: u32) -> Self {
        let object = if number == 0 { camera.to_string() } else { format!("{camera}~{number}") };
        Self { purpose: Purpose::PublicOrder, class: class.to_owned(), hour, object }
    }

    pub(super) fn of(row: &AnyRow) -> Stored<Self> {
        Ok(Self {
            purpose: row.word("purpose")?,
            class: row.text("class")?,
            hour: row.int("hour")?,
            object: row.text("object")?,
        })
    }

    pub(super) fn aad(&self, object: &str, field: &str) -> Vec<u8> {
        format!("{}|{}|{}|{}|{object}|{field}", self.purpose.as_str(), self.class, self.hour, self.object).into_bytes()
    }

    /// As the key store calls it. Questions are told from the reads of the same class and hour, so that one can die without the other.
    fn name(&self) -> Stored<KeyName> {
        let scope = match self.object.as_str() {
            "" | ASKS => Scope::Reads(self.purpose),
            camera if camera.starts_with("cam_") => {
                let id = camera.split('~').next().unwrap_or_default();
                Scope::Camera(id.parse().map_err(|_| nonsense("object"))?)
            }
            finding => Scope::Finding(finding.parse().map_err(|_| nonsense("object"))?),
        };
        let class = match &scope {
            // No class of footage ends so: a key store of footage that is taken for this one by mistake loses nothing.
            Scope::Camera(_) => format!("{}{KEPT}", self.class),
            Scope::Reads(_) if self.object == ASKS => format!("{}-ASKS", self.class),
            Scope::Reads(_) | Scope::Finding(_) => self.class.clone(),
        };
        let class = RetentionClass::parse(&class).ok_or_else(|| nonsense("class"))?;
        let hour = Hour::from_count(u32::try_from(self.hour).map_err(|_| nonsense("hour"))?);
        Ok(KeyName { scope, class, hour })
    }
}

/// End of the class of keys of reads that a decision keeps.
const KEPT: &str = "-KEPT";

/// Whether a key is of reads that a decision keeps past their first term.
pub(super) fn is_of_kept(name: &KeyName) -> bool {
    matches!(name.scope, Scope::Camera(_)) && name.class.as_str().ends_with(KEPT)
}

/// Object of the key of the questions of an hour.
pub(super) const ASKS: &str = "asks";

/// What stands in `wrapped`.
pub(super) enum Lock {
    /// A key of the key store.
    Numbered(KeyEpoch),
    /// A wrapped key of an earlier version.
    Wrapped(Vec<u8>),
}

impl Lock {
    pub(super) const fn number(&self) -> Option<KeyEpoch> {
        match self {
            Self::Numbered(epoch) => Some(*epoch),
            Self::Wrapped(_) => None,
        }
    }

    pub(super) fn of(row: &AnyRow) -> Stored<Self> {
        let bytes: Vec<u8> = row.try_get("wrapped").map_err(db_error)?;
        match <[u8; 8]>::try_from(bytes.as_slice()) {
            Ok(number) => KeyEpoch::new(u64::from_be_bytes(number)).map(Self::Numbered).ok_or_else(broken),
            Err(_) => Ok(Self::Wrapped(bytes)),
        }
    }
}

/// The key store does not answer: what waits, waits.
fn away(error: KeyError) -> StoreError {
    StoreError::Unavailable(error.into())
}

impl LezVault {
    /// Asks the key store, on a thread that may wait.
    pub(super) async fn on_keys<T: Send + 'static>(
        &self,
        work: impl FnMut(&KeyRing) -> Result<T, KeyError> + Send + 'static,
    ) -> Stored<T> {
        let (keys, mut work) = (Arc::clone(&self.keys), work);
        let done = tokio::task::spawn_blocking(move || {
            let mut out = None;
            keys.with(&mut |ring| {
                out = Some(work(ring)?);
                Ok(())
            })?;
            out.ok_or(KeyError::NoCopy)
        });
        done.await.map_err(|error| StoreError::Internal(error.into()))?.map_err(away)
    }

    fn opened_keys(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<KeyEpoch, Key>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys that this process must not remember any more.
    pub(super) fn forget_keys(&self, epochs: &[KeyEpoch]) {
        let mut opened = self.opened_keys();
        epochs.iter().for_each(|epoch| drop(opened.remove(epoch)));
    }

    /// `None`: destroyed, or of a key store that is gone.
    async fn row_key(&self, epoch: KeyEpoch) -> Stored<Option<Key>> {
        if let Some(key) = self.opened_keys().get(&epoch) {
            return Ok(Some(key.clone()));
        }
        let key: Option<Key> = self
            .on_keys(move |ring| match ring.row_key(epoch) {
                Ok(key) => Ok(Some(key)),
                // What went behind a gate opens by a magistrate's decision alone (`gated`).
                Err(
                    OpenSegmentError::Destroyed(_)
                    | OpenSegmentError::UnknownEpoch
                    | OpenSegmentError::NotSaved
                    | OpenSegmentError::Gated,
                ) => Ok(None),
                Err(OpenSegmentError::Damaged) => {
                    tracing::error!(%epoch, "a key of reads is damaged in every copy: what it sealed is lost");
                    Ok(None)
                }
                Err(OpenSegmentError::Store(error)) => Err(error),
            })
            .await?;
        if let Some(key) = &key {
            let mut opened = self.opened_keys();
            if opened.len() >= OPENED_MAX {
                opened.clear();
            }
            opened.insert(epoch, key.clone());
        }
        Ok(key)
    }

    /// A key of an earlier version.
    fn unwrapped(&self, id: &KeyId, wrapped: &[u8]) -> Stored<Key> {
        let clear = Zeroizing::new(open_raw(&self.derived("belfry reads wrap v1"), &id.aad("", "key"), wrapped)?);
        let key: [u8; 32] = clear.as_slice().try_into().map_err(|_| broken())?;
        Ok(Zeroizing::new(key))
    }

    pub(super) async fn lock<'e>(
        &self,
        executor: impl Executor<'e, Database = Any>,
        id: &KeyId,
    ) -> Stored<Option<Lock>> {
        let row =
            sqlx::query("select wrapped from lez_key where purpose = $1 and class = $2 and hour = $3 and object = $4")
                .bind(id.purpose.as_str())
                .bind(id.class.clone())
                .bind(id.hour)
                .bind(id.object.clone())
                .fetch_optional(executor)
                .await
                .map_err(db_error)?;
        row.as_ref().map(Lock::of).transpose()
    }

    /// The key, when it still exists.
    pub(super) async fn key<'e>(&self, executor: impl Executor<'e, Database = Any>, id: &KeyId) -> Stored<Option<Key>> {
        match self.lock(executor, id).await? {
            None => Ok(None),
            Some(Lock::Numbered(epoch)) => self.row_key(epoch).await,
            Some(Lock::Wrapped(wrapped)) => self.unwrapped(id, &wrapped).map(Some),
        }
    }

    /// The key and its number, made when there is none that lives. When it returns, the key is saved in every copy of the key store.
    pub(super) async fn key_or_make(
        &self,
        conn: &mut Writing<'_>,
        id: &KeyId,
        ends_at: WallTime,
        now: WallTime,
    ) -> Stored<(Key, Lock)> {
        if let Some(lock) = self.lock(&mut *conn, id).await? {
            let key = match &lock {
                Lock::Numbered(epoch) => self.row_key(*epoch).await?,
                Lock::Wrapped(wrapped) => Some(self.unwrapped(id, wrapped)?),
            };
            if let Some(key) = key {
                return Ok((key, lock));
            }
        }
        let epoch = self.make(&mut *conn, id, ends_at, now).await?;
        let key = self.row_key(epoch).await?.ok_or_else(broken)?;
        Ok((key, Lock::Numbered(epoch)))
    }

    /// A key of the key store, named in the row, which is made where there is none.
    async fn make(&self, conn: &mut Writing<'_>, id: &KeyId, ends_at: WallTime, now: WallTime) -> Stored<KeyEpoch> {
        let name = id.name()?;
        let epoch = self.on_keys(move |ring| ring.hour(&name, now)).await?;
        sqlx::query(
            "insert into lez_key (purpose, class, hour, object, wrapped, ends_at_us) values ($1, $2, $3, $4, $5, $6)
             on conflict (purpose, class, hour, object) do update set wrapped = excluded.wrapped",
        )
        .bind(id.purpose.as_str())
        .bind(id.class.clone())
        .bind(id.hour)
        .bind(id.object.clone())
        .bind(epoch.raw().to_be_bytes().to_vec())
        .bind(ends_at.micros)
        .execute(conn)
        .await
        .map_err(db_error)?;
        Ok(epoch)
    }

    /// The search token of a plate among the reads of one hour: it dies with the key of the hour.
    pub(super) async fn read_token(&self, lock: &Lock, purpose: Purpose, plate: &str) -> Stored<String> {
        let Lock::Numbered(epoch) = *lock else { return Ok(self.token(purpose, &["plate", plate])) };
        let tokens = self.tokens(vec![epoch], plate).await?;
        tokens.into_iter().next().ok_or_else(broken)
    }

    async fn tokens(&self, epochs: Vec<KeyEpoch>, plate: &str) -> Stored<Vec<String>> {
        self.tokens_of(epochs, vec![plate.to_owned()]).await
    }

    /// The tokens of plates under each of some keys.
    pub(super) async fn tokens_of(&self, epochs: Vec<KeyEpoch>, plates: Vec<String>) -> Stored<Vec<String>> {
        let plates: Vec<Zeroizing<String>> = plates.into_iter().map(Zeroizing::new).collect();
        self.on_keys(move |ring| {
            // A key that was destroyed meanwhile finds nothing.
            let token = |epoch: KeyEpoch, plate: &str| ring.token(epoch, plate.as_bytes()).ok().map(hex::encode);
            let of_key = |epoch: &KeyEpoch| plates.iter().filter_map(|plate| token(*epoch, plate)).collect::<Vec<_>>();
            Ok(epochs.iter().flat_map(of_key).collect())
        })
        .await
    }

    /// Every token that a plate can have among the reads of a span.
    pub(super) async fn search_tokens(&self, purpose: Purpose, range: TimeRange, plate: &str) -> Stored<Vec<String>> {
        self.search_tokens_on(&self.store.read, purpose, range, plate).await
    }

    /// The same inside a transaction, which sees the keys that it made.
    pub(super) async fn search_tokens_on<'e>(
        &self,
        executor: impl Executor<'e, Database = Any>,
        purpose: Purpose,
        range: TimeRange,
        plate: &str,
    ) -> Stored<Vec<String>> {
        let rows = sqlx::query(
            "select wrapped from lez_key where purpose = $1 and object = '' and hour >= $2 and hour <= $3
              order by hour desc limit $4",
        )
        .bind(purpose.as_str())
        .bind(hour_of(range.from))
        .bind(hour_of(range.to))
        .bind(HOURS_MAX)
        .fetch_all(executor)
        .await
        .map_err(db_error)?;
        let (mut epochs, mut is_mixed) = (Vec::with_capacity(rows.len()), false);
        for row in &rows {
            match Lock::of(row)? {
                Lock::Numbered(epoch) => epochs.push(epoch),
                Lock::Wrapped(_) => is_mixed = true,
            }
        }
        let mut tokens = self.tokens(epochs, plate).await?;
        if is_mixed {
            tokens.push(self.token(purpose, &["plate", plate]));
        }
        Ok(tokens)
    }

    /// Destroys keys in every copy of the key store; what is destroyed already is no error. A digest over what died, for the log.
    pub(super) async fn destroy(&self, epochs: Vec<KeyEpoch>, now: WallTime, digests: &mut Vec<String>) -> Stored<()> {
        for some in epochs.chunks(DESTROY_MAX) {
            let dying = some.to_vec();
            let done = self.on_keys(move |ring| {
                ring.destroy_epochs(&|epoch| dying.contains(&epoch), DESTROY_MAX, Reason::EndOfTerm, now)
            });
            self.forget_keys(some);
            let done = done.await?;
            // Where a kill came before the rows went, they were dead already.
            if !done.keys.is_empty() {
                digests.push(hex::encode(done.digest));
            }
        }
        Ok(())
    }

    /// Keys of reads and findings that no row names: made for a transaction that came to nothing, or left by a database that was
    /// restored from a backup. Nothing can be sealed with them. The keys behind the gate are among them.
    pub(super) async fn orphans(&self) -> Stored<Vec<KeyEpoch>> {
        let all = self.on_keys(|ring| Ok((ring.live_hours(), ring.gated_hours()))).await?;
        let mine = all.0.into_iter().chain(all.1).filter(|(_, name, _)| match name.scope {
            Scope::Reads(_) | Scope::Finding(_) => true,
            Scope::Camera(_) => is_of_kept(name),
        });
        let mut orphans: Vec<KeyEpoch> = mine.map(|(epoch, _, _)| epoch).collect();
        let rows = sqlx::query("select wrapped from lez_key").fetch_all(&self.store.read).await.map_err(db_error)?;
        let mut named = std::collections::HashSet::with_capacity(rows.len());
        for row in &rows {
            if let Lock::Numbered(epoch) = Lock::of(row)? {
                named.insert(epoch);
            }
        }
        orphans.retain(|epoch| !named.contains(epoch));
        Ok(orphans)
    }

    /// Whether anything was ever sealed with a key of the key store: then a missing store is not made anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_sealed(store: &crate::Store) -> Stored<bool> {
        let row = sqlx::query(
            "select case when exists (select 1 from lez_key where length(wrapped) = $1) then 1 else 0 end as sealed",
        )
        .bind(NUMBER_LEN)
        .fetch_one(&store.read)
        .await
        .map_err(db_error)?;
        Ok(row.int("sealed")? == 1)
    }

    /// Seals anew what keys of an earlier version sealed, some keys at a time. How many keys.
    pub(super) async fn adopt(&self, now: WallTime) -> Stored<u64> {
        let rows = sqlx::query(
            "select purpose, class, hour, object, ends_at_us from lez_key where length(wrapped) <> $1
              order by hour desc limit $2",
        )
        .bind(NUMBER_LEN)
        .bind(ADOPT_MAX)
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let mut adopted = 0;
        for row in &rows {
            let (id, ends_at) = (KeyId::of(row)?, row.at("ends_at_us")?);
            write_txn!(self.store, |conn| { self.adopt_one(conn, &id, ends_at, now).await })?;
            adopted += 1;
        }
        Ok(adopted)
    }

    async fn adopt_one(&self, conn: &mut Writing<'_>, id: &KeyId, ends_at: WallTime, now: WallTime) -> Stored<()> {
        let Some(Lock::Wrapped(wrapped)) = self.lock(&mut *conn, id).await? else { return Ok(()) };
        let old = self.unwrapped(id, &wrapped)?;
        let epoch = self.make(&mut *conn, id, ends_at, now).await?;
        let new = self.row_key(epoch).await?.ok_or_else(broken)?;
        match id.object.as_str() {
            "" => self.adopt_reads(conn, id, (&old, &new), epoch).await,
            ASKS => self.adopt_asks(conn, id, (&old, &new)).await,
            finding => {
                let select = "select id, file as a, crop as b, overview as c from lez_finding where id = $1";
                let rows = sqlx::query(select).bind(finding.to_owned()).fetch_all(&mut *conn).await;
                let update = "update lez_finding set file = $2, crop = $3, overview = $4 where id = $1";
                let fields = ["file", "crop", "overview"];
                self.adopt_rows(conn, id, (&old, &new), &rows.map_err(db_error)?, (update, fields)).await
            }
        }
    }

    async fn adopt_reads(&self, conn: &mut Writing<'_>, id: &KeyId, keys: (&Key, &Key), epoch: KeyEpoch) -> Stored<()> {
        let rows = sqlx::query(
            "select id, body as a, crop as b, overview as c from lez_read where purpose = $1 and class = $2 and hour = $3",
        )
        .bind(id.purpose.as_str())
        .bind(id.class.clone())
        .bind(id.hour)
        .fetch_all(&mut *conn)
        .await
        .map_err(db_error)?;
        for row in &rows {
            let read = row.text("id")?;
            let plate = super::reads::plate_of(keys.0, id, row)?;
            let token = self.read_token(&Lock::Numbered(epoch), id.purpose, &plate).await?;
            sqlx::query("update lez_read set token = $3 where purpose = $1 and id = $2")
                .bind(id.purpose.as_str())
                .bind(read)
                .bind(token)
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
        }
        let update = if id.purpose == Purpose::Lez {
            "update lez_read set body = $2, crop = $3, overview = $4 where id = $1 and purpose = 'LEZ'"
        } else {
            "update lez_read set body = $2, crop = $3, overview = $4 where id = $1 and purpose = 'OPENBARE_ORDE'"
        };
        self.adopt_rows(conn, id, keys, &rows, (update, ["body", "crop", "overview"])).await
    }

    async fn adopt_asks(&self, conn: &mut Writing<'_>, id: &KeyId, (old, new): (&Key, &Key)) -> Stored<()> {
        let select = "select id, items from lez_registry_ask where hour = $1 and items is not null";
        let rows = sqlx::query(select).bind(id.hour).fetch_all(&mut *conn).await.map_err(db_error)?;
        for row in &rows {
            let (object, sealed) = (row.text("id")?, row.blob_opt("items")?.ok_or_else(|| nonsense("items"))?);
            let clear = Self::open(old, id, &object, "items", &sealed)?;
            sqlx::query("update lez_registry_ask set items = $2 where id = $1")
                .bind(object.clone())
                .bind(self.seal(new, id, &object, "items", &clear)?)
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
        }
        Ok(())
    }

    async fn adopt_rows(
        &self,
        conn: &mut Writing<'_>,
        id: &KeyId,
        (old, new): (&Key, &Key),
        rows: &[AnyRow],
        (update, fields): (&'static str, [&str; 3]),
    ) -> Stored<()> {
        for row in rows {
            let object = row.text("id")?;
            let moved = |column: &str, field: &str| -> Stored<Option<Vec<u8>>> {
                let Some(sealed) = row.blob_opt(column)? else { return Ok(None) };
                let clear = Self::open(old, id, &object, field, &sealed)?;
                self.seal(new, id, &object, field, &clear).map(Some)
            };
            let [a, b, c] = fields;
            sqlx::query(update)
                .bind(object.clone())
                .bind(moved("a", a)?)
                .bind(moved("b", b)?)
                .bind(moved("c", c)?)
                .execute(&mut *conn)
                .await
                .map_err(db_error)?;
        }
        Ok(())
    }
}
