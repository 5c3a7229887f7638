//! Watchlists of a police zone: entries, hits, and the store of both. Entries and hits are sealed like reads and erased like reads.

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;
use vms_core::{CameraId, Country, DecisionId, OrgId, Plate, Purpose, ReadId, RetentionClass, WallTime};

use crate::gate::Permit;
use crate::gate::action::{ApproveEntry, DecideHits, DecodeAnpr, ReviewHits, ViewWatchlist};
use crate::lez_ports::{PictureKind, PurposeCopy};
use crate::model::Signature;
use crate::ports::store::Stored;
pub use crate::words::{EntryKind, EntryState, HitState};

/// Entries of one zone: they are compared in memory. The national list is not kept here.
pub const ENTRIES_MAX: i64 = 20_000;

impl EntryKind {
    /// The class that bounds the term of an entry.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Regular => "RC-WL",
            Self::Urgent => "RC-WL-URGENT",
        }
    }
}

/// A plate that a police zone looks for. `Debug` hides the plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEntry {
    /// Key.
    pub id: Uuid,
    /// The zone; its entries are compared with reads of its own cameras only.
    pub owner: OrgId,
    /// How it came about.
    pub kind: EntryKind,
    /// Where it stands.
    pub state: EntryState,
    /// Retention class.
    pub class: RetentionClass,
    /// The plate.
    pub plate: Plate,
    /// Its country, where known. A hit says whether the read's fits; it decides nothing, since cameras are unsure of countries.
    pub country: Option<Country>,
    /// Purpose.
    pub purpose: Purpose,
    /// Why, in words: shown with a hit.
    pub reason: String,
    /// Case, report or file number.
    pub case_ref: String,
    /// Erased then.
    pub ends_at: WallTime,
    /// The decision of the gate under which it was proposed.
    pub decision: DecisionId,
    /// Who proposed it.
    pub proposed: Signature,
    /// Who agreed or refused: never who proposed.
    pub settled: Option<Signature>,
    /// Why it was refused.
    pub refusal: Option<String>,
}

/// A read whose plate is that of an entry. `Debug` hides the plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Key.
    pub id: Uuid,
    /// The entry; it may be gone by now.
    pub entry: Uuid,
    /// The read.
    pub read: ReadId,
    /// The zone.
    pub owner: OrgId,
    /// Where.
    pub camera: CameraId,
    /// When it was read.
    pub at: WallTime,
    /// Where it stands.
    pub state: HitState,
    /// Plate of the entry.
    pub plate: Plate,
    /// Its country, where the entry says.
    pub country: Option<Country>,
    /// Most probable country of the read.
    pub read_country: Option<Country>,
    /// A grammar corrected a character of the read.
    pub corrected: bool,
    /// Purpose of the entry.
    pub purpose: Purpose,
    /// Why the plate is looked for.
    pub reason: String,
    /// Case of the entry.
    pub case_ref: String,
    /// A picture of the plate is kept with the read.
    pub has_crop: bool,
    /// A picture of the vehicle is kept with the read.
    pub has_overview: bool,
    /// Rises with every decision; the entity tag.
    pub version: u64,
    /// Who decided.
    pub decided: Option<Signature>,
    /// In whose words.
    pub decision_reason: Option<String>,
    /// Erased then, with its read.
    pub expires_at: WallTime,
}

/// A hit that is new, without the plate: for the event and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewHit {
    /// Key.
    pub id: Uuid,
    /// The entry.
    pub entry: Uuid,
    /// The read.
    pub read: ReadId,
    /// The zone.
    pub owner: OrgId,
    /// Where.
    pub camera: CameraId,
    /// When.
    pub at: WallTime,
}

/// A person's decision on a hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HitDecision {
    /// The hit.
    pub id: Uuid,
    /// The zone.
    pub owner: OrgId,
    /// The version that the person saw.
    pub seen: u64,
    /// New state.
    pub state: HitState,
    /// In the person's words.
    pub reason: Option<String>,
    /// Who.
    pub by: Signature,
}

/// How large the lists of a zone are: no plate, no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSize {
    /// The zone.
    pub owner: OrgId,
    /// How the entries came about.
    pub kind: EntryKind,
    /// Purpose.
    pub purpose: Purpose,
    /// Entries in force.
    pub entries: u64,
    /// When the oldest was proposed.
    pub oldest_at: WallTime,
    /// When the last of them ends.
    pub last_ends_at: WallTime,
}

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchPage {
    /// The zone.
    pub owner: OrgId,
    /// Only what is older than this key.
    pub below: Option<Uuid>,
    /// At most so many.
    pub limit: u32,
}

/// Entries and hits.
#[async_trait]
pub trait WatchStore: Send + Sync {
    /// A new entry. It matches nothing before it is in force. `false`: the zone has [`ENTRIES_MAX`] of them.
    async fn entry_insert(&self, entry: &WatchEntry, now: WallTime) -> Stored<bool>;
    /// One entry of a zone, for whoever may see or settle it.
    async fn entry_fetch(&self, owner: OrgId, id: Uuid) -> Stored<Option<WatchEntry>>;
    /// What lies in clear of one: also of an entry that is damaged, so that somebody can end it.
    async fn entry_clear(&self, owner: OrgId, id: Uuid) -> Stored<Option<(EntryKind, Purpose)>>;
    /// Entries of a zone that have not ended, newest first.
    async fn entry_list(&self, permit: &Permit<ViewWatchlist>, page: WatchPage) -> Stored<Vec<WatchEntry>>;
    /// In force or refused, while it is still proposed; `Stale` otherwise.
    async fn entry_settle(&self, permit: &Permit<ApproveEntry>, entry: &WatchEntry) -> Stored<()>;
    /// Ends an entry now: it matches nothing from here on, and its key dies with the next sweep. `false`: it was gone.
    async fn entry_end(&self, owner: OrgId, id: Uuid, now: WallTime) -> Stored<bool>;
    /// Sizes of the lists of one zone, or of all.
    async fn entry_sizes(&self, owner: Option<OrgId>, now: WallTime) -> Stored<Vec<WatchSize>>;

    /// Machine: compares copies with the entries in force and keeps hits; gives those that are new. Idempotent by entry and read.
    async fn hit_take(&self, permit: &Permit<DecodeAnpr>, copies: &[PurposeCopy], now: WallTime)
    -> Stored<Vec<NewHit>>;
    /// Hits of a zone in a state, or all, newest first.
    async fn hit_list(&self, permit: &Permit<ReviewHits>, state: Option<HitState>, page: WatchPage)
    -> Stored<Vec<Hit>>;
    /// One hit of a zone.
    async fn hit_fetch(&self, owner: OrgId, id: Uuid) -> Stored<Option<Hit>>;
    /// A picture of a hit's read.
    async fn hit_picture(
        &self,
        permit: &Permit<ReviewHits>,
        owner: OrgId,
        id: Uuid,
        kind: PictureKind,
    ) -> Stored<Option<Bytes>>;
    /// Keeps a decision when the version is still the one seen; `Stale` otherwise.
    async fn hit_decide(&self, permit: &Permit<DecideHits>, decision: &HitDecision) -> Stored<()>;
}
