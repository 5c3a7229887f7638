//! The central store, one trait per aggregate. Methods are noun first. A method that gives out personal data or images
//! takes the permit of the action for which it may be given out; look-ups that log-in itself needs can't have one.

use async_trait::async_trait;
use vms_core::{
    CameraId, DecisionId, ExportId, GrantId, HoldId, OrgId, SessionId, StreamId, TimeRange, UserId, WallTime,
};

use crate::error::BoxError;
use crate::exports_model::{Export, ExportProgress};
use crate::gate::Permit;
use crate::gate::action::{AdminUsers, TracePlate, ViewAudit};
use crate::model::{
    Account, Camera, Event, EventScope, GapCopy, Grant, Hold, HoldApplied, LegalChange, LogDetail, Org, Partner,
    PlaybackRow, SegmentCopy, Session,
};
use crate::words::{EventKind, ExportState, HoldState};

/// Why a store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Out of reach; worth a retry.
    #[error("the database can't be reached")]
    Unavailable(#[source] BoxError),
    /// A unique value is taken; names the column.
    #[error("`{0}` is taken")]
    Taken(&'static str),
    /// The commit was sent and its answer never came: it may or may not have been applied.
    #[error("the database did not say whether the change was applied")]
    OutcomeUnknown(#[source] BoxError),
    /// The row changed since it was read.
    #[error("the row was changed meanwhile")]
    Stale,
    /// Our SQL, our schema or a broken row.
    #[error("the database refused or gave nonsense")]
    Internal(#[source] BoxError),
}

/// What every store method returns.
pub type Stored<T> = Result<T, StoreError>;

/// Organisations.
#[async_trait]
pub trait OrgStore: Send + Sync {
    /// All, by code.
    async fn org_list(&self) -> Stored<Vec<Org>>;
    /// Inserts, or updates names and kind of the row with the same code; returns the id that stands.
    async fn org_put(&self, org: &Org) -> Stored<OrgId>;
}

/// Accounts.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// How many there are.
    async fn account_count(&self) -> Stored<u64>;
    /// For log-in: by name in lower case.
    async fn account_by_user_name(&self, user_name: &str) -> Stored<Option<Account>>;
    /// For a running session: the account behind it.
    async fn account_of_session(&self, user: UserId) -> Stored<Option<Account>>;
    /// For the administrator: accounts of one organisation or all, by id, after a cursor.
    async fn account_list(
        &self,
        permit: &Permit<AdminUsers>,
        org: Option<OrgId>,
        after: Option<UserId>,
        limit: u32,
    ) -> Stored<Vec<Account>>;
    /// New; `Taken("user_name")`.
    async fn account_insert(&self, account: &Account) -> Stored<()>;
    /// Changes all columns when the version is still `account.version`, and raises it; `Stale` otherwise.
    async fn account_update(&self, account: &Account) -> Stored<()>;
    /// Notes a successful log-in, without a new version.
    async fn account_used(&self, user: UserId, at: WallTime) -> Stored<()>;
}

/// Sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// New.
    async fn session_insert(&self, session: &Session) -> Stored<()>;
    /// By the hash of its token, ended or not.
    async fn session_by_token(&self, token_hash: &str) -> Stored<Option<Session>>;
    /// By id.
    async fn session_fetch(&self, id: SessionId) -> Stored<Option<Session>>;
    /// Notes a request.
    async fn session_seen(&self, id: SessionId, at: WallTime) -> Stored<()>;
    /// Ends one.
    async fn session_end(&self, id: SessionId, at: WallTime) -> Stored<()>;
    /// Ends every session of a user but one; returns how many.
    async fn session_end_of_user(&self, user: UserId, at: WallTime, but: Option<SessionId>) -> Stored<u64>;
    /// Deletes sessions made before `before`.
    async fn session_prune(&self, before: WallTime) -> Stored<u64>;
}

/// Cameras, their streams and legal bases. Every change raises the assignment version in the same transaction.
#[async_trait]
pub trait CameraStore: Send + Sync {
    /// All, by code.
    async fn camera_list(&self) -> Stored<Vec<Camera>>;
    /// By id.
    async fn camera_fetch(&self, id: CameraId) -> Stored<Option<Camera>>;
    /// The camera of a stream.
    async fn camera_by_stream(&self, stream: StreamId) -> Stored<Option<Camera>>;
    /// New ones, all or none; `Taken("code" | "call_up")`.
    async fn camera_insert(&self, cameras: &[Camera]) -> Stored<()>;
    /// Replaces camera, streams and basis when the version is still `camera.version`, and raises it.
    async fn camera_update(&self, camera: &Camera) -> Stored<()>;
    /// Notes what a stream turned out to be; no new version.
    async fn stream_seen(
        &self,
        stream: StreamId,
        codec: Option<&str>,
        width: Option<u16>,
        height: Option<u16>,
    ) -> Stored<()>;
    /// Rises with every change of any camera or partner.
    async fn assignment_version(&self) -> Stored<u64>;
}

/// Changes of cameras' legal fields, waiting and settled.
#[async_trait]
pub trait LegalChangeStore: Send + Sync {
    /// New; `Taken("legal_change")` while another of the same camera waits.
    async fn legal_change_insert(&self, change: &LegalChange) -> Stored<()>;
    /// By id.
    async fn legal_change_fetch(&self, id: DecisionId) -> Stored<Option<LegalChange>>;
    /// Every one that waits, oldest first.
    async fn legal_change_list_waiting(&self) -> Stored<Vec<LegalChange>>;
    /// Every one of a camera, newest first.
    async fn legal_change_list_of(&self, camera: CameraId) -> Stored<Vec<LegalChange>>;
    /// Settles one that still waits, `Stale` otherwise; with a camera also replaces that, in the same transaction and under
    /// the rules of `camera_update`.
    async fn legal_change_settle(&self, change: &LegalChange, camera: Option<&Camera>) -> Stored<()>;
}

/// Holds on footage, in force and released. Rows stay.
#[async_trait]
pub trait HoldStore: Send + Sync {
    /// New; raises the assignment version, so that the recorder hears of it.
    async fn hold_insert(&self, hold: &Hold) -> Stored<()>;
    /// By id.
    async fn hold_fetch(&self, id: HoldId) -> Stored<Option<Hold>>;
    /// Newest first, below a key, at most `limit`; without the released ones when `open`.
    async fn hold_list(&self, open: bool, below: Option<HoldId>, limit: u32) -> Stored<Vec<Hold>>;
    /// Everything that a recorder has to know: each hold that is not released, and those released since `since`.
    async fn hold_list_for_recorder(&self, since: WallTime) -> Stored<Vec<Hold>>;
    /// Replaces what changes in a hold (state, term, review, release) when its state is still `was`, `Stale` otherwise. Raises the
    /// assignment version when the hold is released.
    async fn hold_update(&self, hold: &Hold, was: HoldState) -> Stored<()>;
    /// Notes what the recorder did with it.
    async fn hold_applied(&self, id: HoldId, applied: HoldApplied) -> Stored<()>;
}

/// Evidence exports, from the order to what is left of them. Rows stay.
#[async_trait]
pub trait ExportStore: Send + Sync {
    /// New.
    async fn export_insert(&self, export: &Export) -> Stored<()>;
    /// By id.
    async fn export_fetch(&self, id: ExportId) -> Stored<Option<Export>>;
    /// Newest first, below a key, at most `limit`.
    async fn export_list(&self, below: Option<ExportId>, limit: u32) -> Stored<Vec<Export>>;
    /// Those that wait, work, pause or are there, oldest first.
    async fn export_list_open(&self) -> Stored<Vec<Export>>;
    /// Replaces what changes in an export when its state is still `was`, `Stale` otherwise.
    async fn export_update(&self, export: &Export, was: ExportState) -> Stored<()>;
    /// Notes how far a running one is.
    async fn export_progress(&self, id: ExportId, progress: ExportProgress) -> Stored<()>;
}

/// Grants of rights between organisations.
#[async_trait]
pub trait GrantStore: Send + Sync {
    /// New.
    async fn grant_insert(&self, grant: &Grant) -> Stored<()>;
    /// Takes one back; false when there is none in force.
    async fn grant_revoke(&self, id: GrantId, at: WallTime) -> Stored<bool>;
    /// One, in force or not.
    async fn grant_fetch(&self, id: GrantId) -> Stored<Option<Grant>>;
    /// All of them, in force or not, newest first.
    async fn grant_list_all(&self) -> Stored<Vec<Grant>>;
    /// Every grant to `partner` that is in force at `at`.
    async fn grant_list_to(&self, partner: OrgId, at: WallTime) -> Stored<Vec<Grant>>;
    /// Every grant on `camera` to `partner` that is in force at `at`.
    async fn grant_list_on(&self, camera: CameraId, partner: OrgId, at: WallTime) -> Stored<Vec<Grant>>;
}

/// The copy of the recorders' indexes.
#[async_trait]
pub trait CatalogueStore: Send + Sync {
    /// How far the copy of a recorder's index is; 0 at first.
    async fn catalogue_cursor(&self, recorder: &str) -> Stored<u64>;
    /// Upserts rows and moves the cursor, in one transaction. Idempotent.
    async fn catalogue_apply(
        &self,
        recorder: &str,
        segments: &[SegmentCopy],
        gaps: &[GapCopy],
        cursor: u64,
    ) -> Stored<()>;
    /// Segments that overlap the span and are not erased, by start, at most `limit`.
    async fn segment_list(&self, stream: StreamId, range: TimeRange, limit: u32) -> Stored<Vec<SegmentCopy>>;
    /// Gaps that overlap the span, by start, at most `limit`.
    async fn gap_list(&self, stream: StreamId, range: TimeRange, limit: u32) -> Stored<Vec<GapCopy>>;
}

/// Partners behind gateways.
#[async_trait]
pub trait PartnerStore: Send + Sync {
    /// All, by name.
    async fn partner_list(&self) -> Stored<Vec<Partner>>;
    /// By its organisation.
    async fn partner_fetch(&self, org: OrgId) -> Stored<Option<Partner>>;
    /// New; `Taken("partner")`.
    async fn partner_insert(&self, partner: &Partner) -> Stored<()>;
    /// Replaces when the version is still `partner.version`, and raises it.
    async fn partner_update(&self, partner: &Partner) -> Stored<()>;
}

/// Open playbacks, so that a restart can close their uses in the log.
#[async_trait]
pub trait PlaybackStore: Send + Sync {
    /// New.
    async fn playback_insert(&self, row: &PlaybackRow) -> Stored<()>;
    /// Closes with what was delivered.
    async fn playback_close(&self, decision: DecisionId, at: WallTime, bytes: u64) -> Stored<()>;
    /// Those never closed.
    async fn playback_list_open(&self) -> Stored<Vec<PlaybackRow>>;
}

/// Events of the last 24 hours, for clients that come back.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// New; returns its id.
    async fn event_append(&self, at: WallTime, kind: EventKind, scope: EventScope, data: &str) -> Stored<i64>;
    /// Events after an id, at most `limit`.
    async fn event_list_after(&self, after: i64, limit: u32) -> Stored<Vec<Event>>;
    /// Lowest and highest id kept; `None` when empty.
    async fn event_bounds(&self) -> Stored<Option<(i64, i64)>>;
    /// Forgets older ones.
    async fn event_prune(&self, before: WallTime) -> Stored<u64>;
}

/// Named leases, so that of several serve processes one does a job.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes or renews `name` for `holder` until `until`; false when somebody else holds it.
    async fn lease_take(&self, name: &str, holder: &str, now: WallTime, until: WallTime) -> Stored<bool>;
    /// Gives it back.
    async fn lease_release(&self, name: &str, holder: &str) -> Stored<()>;
}

/// Details of leaves of the log, for people.
/// In the place of a keyed hash: whatever names more than one plate.
pub const PATTERNS: &str = "*";

#[async_trait]
pub trait LogDetailStore: Send + Sync {
    /// New, or the same again after a restart.
    async fn log_detail_put(&self, detail: &LogDetail) -> Stored<()>;
    /// Leaves of one organisation (or all) in a span, newest first, below a leaf index.
    async fn log_detail_list(
        &self,
        permit: &Permit<ViewAudit>,
        org: Option<OrgId>,
        range: TimeRange,
        below: Option<u64>,
        limit: u32,
    ) -> Stored<Vec<LogDetail>>;
    /// Leaves of one organisation (or all) that named the plate of a keyed hash, newest first, below a leaf index. [`PATTERNS`] as the
    /// hash: those that named a pattern or a likeness.
    async fn log_detail_of_plate(
        &self,
        permit: &Permit<TracePlate>,
        org: Option<OrgId>,
        hash: &str,
        range: TimeRange,
        below: Option<u64>,
        limit: u32,
    ) -> Stored<Vec<LogDetail>>;
}

/// The whole central store.
pub trait Stores:
    OrgStore
    + AccountStore
    + SessionStore
    + crate::identity::IdentityStore
    + crate::sharing::ports::SharingStore
    + crate::oversight::ports::OversightStore
    + crate::sharing::seconds::SecondStore
    + crate::oversight::anomaly::AnomalyStore
    + CameraStore
    + LegalChangeStore
    + HoldStore
    + crate::gated::GatedStore
    + crate::matrix_ports::MatrixStore
    + ExportStore
    + GrantStore
    + CatalogueStore
    + PartnerStore
    + PlaybackStore
    + EventStore
    + LeaseStore
    + LogDetailStore
    + std::fmt::Debug
{
}

impl<T> Stores for T where
    T: OrgStore
        + AccountStore
        + SessionStore
        + crate::identity::IdentityStore
        + crate::sharing::ports::SharingStore
        + crate::oversight::ports::OversightStore
        + crate::sharing::seconds::SecondStore
        + crate::oversight::anomaly::AnomalyStore
        + CameraStore
        + LegalChangeStore
        + HoldStore
        + crate::gated::GatedStore
        + crate::matrix_ports::MatrixStore
        + ExportStore
        + GrantStore
        + CatalogueStore
        + PartnerStore
        + PlaybackStore
        + EventStore
        + LeaseStore
        + LogDetailStore
        + std::fmt::Debug
{
}
