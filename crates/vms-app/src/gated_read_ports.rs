//! Police reads past their first term: kept sealed under a key of their camera and hour, whose half lies behind the magistrate's gate
//! (`domain.md` D6 RC-ANPR-POL; Police Function Act 44/11/3decies).
//!
//! Belongs here: what the store of such reads does. Does not belong here: who decides that they stay ([`crate::gated`]), and who may look
//! ([`crate::gated_reads`]).

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;
use vms_core::{CameraId, DecisionId, OrgId, PlateWish, Purpose, ReadId, RetentionClass, TimeRange, WallTime};

use crate::gate::Permit;
use crate::gate::action::SearchReads;
use crate::lez_ports::{PictureKind, StoredRead};
use crate::model::Signature;
use crate::ports::store::Stored;
use crate::words::GatedState;

/// A search behind the gate: one orders it, another agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatedSearch {
    /// Key.
    pub id: Uuid,
    /// Whose reads.
    pub owner: OrgId,
    /// One camera, or all of the owner's; never all without a plate.
    pub camera: Option<CameraId>,
    /// When the vehicle drove.
    pub range: TimeRange,
    /// What is looked for, sealed ([`crate::plate_ports::PlateIndex::wish_sealed`]); `None`: every read of the camera.
    pub wish: Option<String>,
    /// Purpose code.
    pub purpose: Purpose,
    /// The ground, in words.
    pub ground: String,
    /// Case, report or file number.
    pub case_ref: String,
    /// The magistrate's written decision.
    pub magistrate_ref: String,
    /// Decision of the gate under which it was ordered.
    pub decision: DecisionId,
    /// Who ordered it.
    pub proposed: Signature,
    /// Where it stands.
    pub state: GatedState,
    /// Who agreed or refused.
    pub settled: Option<Signature>,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// Erased then; it opens nothing from then on.
    pub expires_at: WallTime,
}

/// Which reads behind the gate somebody wants to see.
#[derive(Clone, Debug)]
pub struct GatedQuery {
    /// The camera's owner at the time of the read.
    pub owner: OrgId,
    /// One camera, or all of the owner's.
    pub camera: Option<CameraId>,
    /// When.
    pub range: TimeRange,
    /// Which plates; all when absent.
    pub wish: Option<PlateWish>,
    /// Only reads before this one, in the order newest first.
    pub after: Option<(WallTime, ReadId)>,
    /// At most so many.
    pub limit: u32,
}

/// What a search behind the gate found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatedFound {
    /// Reads, newest first, and after what to go on: a page is full, or so many were opened that the caller should ask again.
    Reads(Vec<StoredRead>, Option<(WallTime, ReadId)>),
    /// The medium with the private half of a gate that is needed is not attached.
    GateAway,
}

/// A picture of a read behind the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatedPicture {
    /// It.
    Picture(Bytes),
    /// There is none, or no such read.
    Missing,
    /// The medium with the private half of the gate is not attached.
    GateAway,
}

/// What became of an hour's reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptReads {
    /// Sealed anew.
    pub kept: u64,
    /// Nothing opens them: damaged, or of a key that is gone.
    pub lost: u64,
}

/// How far the keys of reads are behind the gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateClosed {
    /// Keys that moved with this call.
    pub moved: u64,
    /// Camera and hour (since 1970) of keys that have to move and could not: nobody sees what they sealed without a magistrate's decision, but the
    /// medium protects nothing yet.
    pub waiting: Vec<(CameraId, u32)>,
}

/// Reads behind the gate. What people get of them takes a permit that names a magistrate's decision.
#[async_trait]
pub trait GatedReadStore: Send + Sync {
    /// Machine: hours (since 1970) of a camera in which police reads of a class lie whose first term ends before `ends`.
    async fn gated_read_due(
        &self,
        camera: CameraId,
        class: &RetentionClass,
        range: TimeRange,
        ends: WallTime,
    ) -> Stored<Vec<u32>>;
    /// Machine: seals some police reads of a camera's hour anew, under a key of their own, and takes them from the searchable ones; to be called until
    /// nothing is left, also after a crash. They and their key end at `ends`. What is damaged holds up nothing: it is erased here. Where none of
    /// several reads opens it may be the key store that is another one: then `Internal`, and nothing is erased before their first term is over.
    async fn gated_read_keep(
        &self,
        camera: CameraId,
        class: &RetentionClass,
        hour: u32,
        ends: WallTime,
        now: WallTime,
    ) -> Stored<KeptReads>;
    /// Machine: moves the keys of what was kept behind the gate; the first time the gate is made.
    async fn gated_read_close(&self, now: WallTime) -> Stored<GateClosed>;
    /// Hours of a camera that have reads behind the gate in a span.
    async fn gated_read_hours(&self, camera: CameraId, class: &RetentionClass, range: TimeRange) -> Stored<u64>;
    /// Reads behind the gate, newest first. Nothing for a permit without a magistrate's decision.
    async fn gated_reads(&self, permit: &Permit<SearchReads>, query: &GatedQuery) -> Stored<GatedFound>;
    /// One of them.
    async fn gated_read_fetch(&self, permit: &Permit<SearchReads>, id: ReadId) -> Stored<Option<GatedPlace>>;
    /// A picture of one of them.
    async fn gated_read_picture(
        &self,
        permit: &Permit<SearchReads>,
        id: ReadId,
        kind: PictureKind,
    ) -> Stored<GatedPicture>;

    /// New.
    async fn gated_search_insert(&self, search: &GatedSearch) -> Stored<()>;
    /// By key.
    async fn gated_search_fetch(&self, id: Uuid) -> Stored<Option<GatedSearch>>;
    /// Those of an owner, newest first, below a key, at most `limit`.
    async fn gated_search_list(&self, owner: OrgId, below: Option<Uuid>, limit: u32) -> Stored<Vec<GatedSearch>>;
    /// Replaces state, signature, refusal and end while it is still proposed, `Stale` otherwise.
    async fn gated_search_settle(&self, search: &GatedSearch) -> Stored<()>;
}

/// What of a read behind the gate lies in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatedPlace {
    /// Owner of its camera at the time.
    pub owner: OrgId,
    /// Its camera.
    pub camera: CameraId,
    /// When.
    pub at: WallTime,
}
