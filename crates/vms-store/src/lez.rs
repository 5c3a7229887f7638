//! Purpose-bound copies of reads, and findings: [`LezVault`] is [`LezStore`] over the central database.
//!
//! Plate text and pictures are sealed (AES-256-GCM) under a key of purpose × class × hour; a finding has a key of its own.
//! The keys are the key store's (crate `keys`): the table `lez_key` only names them, so that neither the database nor any backup of it opens
//! anything. Erasing destroys the key first and deletes the rows then. Tokens that find the reads of one plate are HMACs under the key of
//! their hour; the token that joins the findings of one vehicle over years is under a root secret in a file outside the database.
//!
//! Pictures (at most 512 KiB each) stand in the rows: one fine file holds two, and a conforming read's live for seconds.
//! A store with tiers of its own pays off once police copies of a whole region are kept for a month.

mod clocks;
mod erasures;
mod findings;
mod fine_waits;
mod fines;
mod gated;
mod gated_searches;
mod holders;
mod keys;
mod passes;
mod permits;
mod plates;
mod plates_mend;
mod reads;
mod seal;
mod settle;
mod sweep;
mod watchlist;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use ::keys::KeyEpoch;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::RwLock;
use traffic_rules::Day;
use vms_app::erasure_ports::Swept;
use vms_app::gate::Permit;
use vms_app::gate::action::{DecodeAnpr, ListReads, SearchReads};
use vms_app::lez_ports::{
    CopyFate, DayCount, Finding, FindingDecision, FindingPermit, FindingState, LezStore, PictureKind, PriorFinding,
    PurposeCopy, ReadPermit, ReadQuery, RegistryAsk, Settled, Settlement, StoredRead, WaitingRead,
};
use vms_app::ports::Ids;
use vms_app::ports::store::Stored;
use vms_core::{CameraId, Country, FindingId, Plate, Purpose, ReadId, TimeRange, WallTime};
use zeroize::Zeroizing;

use self::findings::Whose;
use self::seal::Key;
use crate::db::Store;

pub use self::keys::KeyAccess;

/// The store of reads and findings.
#[derive(Clone)]
pub struct LezVault {
    store: Store,
    root: Zeroizing<[u8; 32]>,
    ids: Arc<dyn Ids>,
    keys: Arc<dyn KeyAccess>,
    /// Keys in use, so that a page of reads asks the key store once an hour of it.
    opened: Arc<Mutex<HashMap<KeyEpoch, Key>>>,
    /// Held by whoever seals, and alone by the sweep: no key dies between its finding and its use. One process has the database.
    sealing: Arc<RwLock<Looked>>,
    /// Cameras from which reads come by two ways.
    pushing: Arc<clocks::Pushing>,
    /// When the index of plates was looked at last; one round at a time.
    packing: Arc<tokio::sync::Mutex<Option<WallTime>>>,
    /// Entries of watchlists in force; `None` once something of them changed.
    watched: Arc<tokio::sync::Mutex<Option<Arc<watchlist::WatchTable>>>>,
    /// Keys of kept reads that are not behind the gate yet; `None` until they were looked for.
    ungated: Arc<tokio::sync::Mutex<Option<BTreeSet<KeyEpoch>>>>,
    /// They could not go there the last time.
    is_gate_short: Arc<AtomicBool>,
    /// Rows that were left out.
    damaged: Arc<Mutex<seal::Damaged>>,
}

/// What the sweep remembers.
#[derive(Debug, Default)]
struct Looked {
    /// When keys that no row names were looked for last.
    at: Option<WallTime>,
    /// What went lately.
    spent: sweep::Spent,
    /// Digests of keys that are dead, and whose rows could not be erased yet.
    destroyed: Vec<String>,
}

impl Looked {
    /// At the start and once an hour.
    fn is_due(&self, now: WallTime) -> bool {
        self.at.is_none_or(|at| now < at || now.micros_since(at) >= 3_600_000_000)
    }
}

impl std::fmt::Debug for LezVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LezVault").field("store", &self.store).finish_non_exhaustive()
    }
}

impl LezVault {
    /// Over a migrated database and the open key store. `root` must be the same at every start, and is kept outside the database.
    pub fn new(store: Store, root: [u8; 32], ids: Arc<dyn Ids>, keys: Arc<dyn KeyAccess>) -> Self {
        let root = Zeroizing::new(root);
        let (opened, sealing, packing, watched, pushing) = Default::default();
        let (ungated, is_gate_short, damaged) = Default::default();
        Self { store, root, ids, keys, opened, sealing, pushing, packing, watched, ungated, is_gate_short, damaged }
    }
}

#[async_trait]
impl LezStore for LezVault {
    async fn read_take(&self, _permit: &Permit<DecodeAnpr>, copies: &[PurposeCopy]) -> Stored<Vec<CopyFate>> {
        self.take(copies).await
    }

    fn pushed_id(&self, words: &[&str]) -> ReadId {
        let all: Vec<&str> = std::iter::once("pushed").chain(words.iter().copied()).collect();
        // The digest is 32 bytes whatever the words are.
        let mut raw = [0_u8; 16];
        let digest = hex::decode(self.token(Purpose::Lez, &all)).unwrap_or_default();
        raw.iter_mut().zip(digest).for_each(|(slot, byte)| *slot = byte);
        ReadId::from_bytes(raw)
    }

    async fn read_waiting(
        &self,
        _permit: &Permit<DecodeAnpr>,
        purpose: Purpose,
        now: WallTime,
        limit: u32,
    ) -> Stored<Vec<WaitingRead>> {
        self.waiting(purpose, now, limit).await
    }

    async fn read_same(
        &self,
        _permit: &Permit<DecodeAnpr>,
        purpose: Purpose,
        plate: &Plate,
        range: TimeRange,
    ) -> Stored<Vec<StoredRead>> {
        self.same(purpose, plate, range).await
    }

    async fn read_postpone(&self, purpose: Purpose, reads: &[ReadId], until: WallTime) -> Stored<()> {
        self.postpone(purpose, reads, until).await
    }

    async fn read_hold(&self, purpose: Purpose, read: ReadId, until: WallTime) -> Stored<()> {
        self.hold(purpose, read, until).await
    }

    async fn read_settle_all(&self, _permit: &Permit<DecodeAnpr>, settlements: &[Settlement]) -> Stored<Vec<Settled>> {
        self.settle_all(settlements).await
    }

    async fn read_settle(&self, _permit: &Permit<DecodeAnpr>, settlement: &Settlement) -> Stored<Settled> {
        self.settle(settlement).await
    }

    async fn ask_put(&self, ask: &RegistryAsk, expires_at: WallTime) -> Stored<()> {
        self.ask(ask, expires_at).await
    }

    async fn lez_sweep(&self, now: WallTime) -> Stored<Swept> {
        let swept = self.sweep(now).await?;
        let (damaged, is_another_hour) = self.damaged_lately(now);
        if is_another_hour {
            // What was set aside is looked at once more: somebody may have mended it, and who has not is told again.
            self.unpark(now).await?;
            self.watched.lock().await.take();
        }
        Ok(Swept { damaged, ..swept })
    }

    fn vehicle_token(&self, purpose: Purpose, registry_key: Option<&str>, plate: &Plate, country: Country) -> String {
        match registry_key {
            Some(key) => self.token(purpose, &["vehicle", key]),
            None => self.token(purpose, &["plate", country.as_str(), plate.reveal()]),
        }
    }

    async fn vehicle_history(&self, vehicle: &str, but: Option<FindingId>) -> Stored<Vec<PriorFinding>> {
        self.history(vehicle, but).await
    }

    async fn day_counts(&self, purpose: Purpose, day: Day) -> Stored<Vec<DayCount>> {
        self.counts(purpose, day).await
    }

    async fn read_list(&self, _permit: &Permit<ListReads>, query: &ReadQuery) -> Stored<Vec<StoredRead>> {
        self.list(query, None).await
    }

    async fn read_search(
        &self,
        _permit: &Permit<SearchReads>,
        plate: &Plate,
        query: &ReadQuery,
    ) -> Stored<Vec<StoredRead>> {
        let tokens = self.search_tokens(Purpose::PublicOrder, query.range, plate.reveal()).await?;
        self.list(query, Some(tokens)).await
    }

    async fn read_fetch(&self, _permit: ReadPermit<'_>, id: ReadId) -> Stored<Option<StoredRead>> {
        self.fetch(id).await
    }

    async fn read_picture(&self, _permit: ReadPermit<'_>, id: ReadId, kind: PictureKind) -> Stored<Option<Bytes>> {
        self.picture(id, kind).await
    }

    async fn read_marks(&self, camera: CameraId, range: TimeRange, limit: u32) -> Stored<Vec<(WallTime, ReadId)>> {
        self.marks(camera, range, limit).await
    }

    fn query_hash(&self, plate: &Plate) -> String {
        self.token(Purpose::PublicOrder, &["query", plate.reveal()])
    }

    async fn finding_list(
        &self,
        permit: FindingPermit<'_>,
        state: Option<FindingState>,
        after: Option<FindingId>,
        limit: u32,
    ) -> Stored<Vec<Finding>> {
        self.findings(Whose::of(permit), state, after, limit).await
    }

    async fn finding_fetch(&self, permit: FindingPermit<'_>, id: FindingId) -> Stored<Option<Finding>> {
        self.finding(Whose::of(permit), id).await
    }

    async fn finding_picture(
        &self,
        permit: FindingPermit<'_>,
        id: FindingId,
        kind: PictureKind,
    ) -> Stored<Option<Bytes>> {
        self.finding_image(Whose::of(permit), id, kind).await
    }

    async fn finding_decide(&self, permit: FindingPermit<'_>, decision: &FindingDecision) -> Stored<()> {
        self.decide(Whose::of(permit), decision).await
    }
}
