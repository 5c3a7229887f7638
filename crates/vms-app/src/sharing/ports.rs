//! Where sharing is kept. Methods are noun first.

use async_trait::async_trait;
use uuid::Uuid;
use vms_core::{OrgId, SessionId, UserId, WallTime};

use super::model::{Emergency, EventUse, Notice, ShareRequest, SharingEvent, Station};
use crate::ports::store::Stored;
use crate::words::ShareRequestState;

/// Events, emergency access, wishes for a share, notices, stations. Rows stay.
#[async_trait]
pub trait SharingStore: Send + Sync {
    /// New.
    async fn sharing_event_insert(&self, event: &SharingEvent) -> Stored<()>;
    /// By key.
    async fn sharing_event_fetch(&self, id: Uuid) -> Stored<Option<SharingEvent>>;
    /// Newest first, at most `limit`.
    async fn sharing_event_list(&self, limit: u32) -> Stored<Vec<SharingEvent>>;
    /// Those that hold at `at`.
    async fn sharing_event_list_in_force(&self, at: WallTime) -> Stored<Vec<SharingEvent>>;
    /// Those that are over before `before` and whose owners were not told yet.
    async fn sharing_event_list_unsummarised(&self, before: WallTime) -> Stored<Vec<SharingEvent>>;
    /// Replaces end, signature of the end and summary when the version is still `event.version`, and raises it; `Stale` otherwise.
    async fn sharing_event_update(&self, event: &SharingEvent) -> Stored<()>;
    /// Counts one use more.
    async fn event_use_add(&self, used: &EventUse) -> Stored<()>;
    /// Counts of an event.
    async fn event_use_list(&self, event: Uuid) -> Stored<Vec<EventUse>>;

    /// New.
    async fn emergency_insert(&self, emergency: &Emergency) -> Stored<()>;
    /// By key.
    async fn emergency_fetch(&self, id: Uuid) -> Stored<Option<Emergency>>;
    /// Newest first, at most `limit`.
    async fn emergency_list(&self, limit: u32) -> Stored<Vec<Emergency>>;
    /// Those that hold at `at`.
    async fn emergency_list_in_force(&self, at: WallTime) -> Stored<Vec<Emergency>>;
    /// Those of a person that nobody has reviewed.
    async fn emergency_list_unreviewed(&self, user: UserId) -> Stored<Vec<Emergency>>;
    /// Ends one; false when it was ended already.
    async fn emergency_end(&self, id: Uuid, at: WallTime) -> Stored<bool>;
    /// Writes the review; `Stale` when there is one. The database refuses a review by the person itself.
    async fn emergency_review(&self, emergency: &Emergency) -> Stored<()>;

    /// New.
    async fn share_request_insert(&self, request: &ShareRequest) -> Stored<()>;
    /// By key.
    async fn share_request_fetch(&self, id: Uuid) -> Stored<Option<ShareRequest>>;
    /// Newest first, at most `limit`.
    async fn share_request_list(&self, limit: u32) -> Stored<Vec<ShareRequest>>;
    /// Replaces state, signatures and answer when the state is still `was`; `Stale` otherwise.
    async fn share_request_update(&self, request: &ShareRequest, was: ShareRequestState) -> Stored<()>;

    /// New; returns its key.
    async fn notice_insert(&self, notice: &Notice) -> Stored<i64>;
    /// To one organisation (or all), newest first, below a key, at most `limit`.
    async fn notice_list(&self, org: Option<OrgId>, below: Option<i64>, limit: u32) -> Stored<Vec<Notice>>;

    /// New.
    async fn station_insert(&self, station: &Station) -> Stored<()>;
    /// All, newest first.
    async fn station_list(&self) -> Stored<Vec<Station>>;
    /// Takes one back; false when there is none in force.
    async fn station_revoke(&self, id: Uuid, at: WallTime) -> Stored<bool>;
    /// Notes that a session runs at a station.
    async fn station_session_put(&self, session: SessionId, station: Uuid, at: WallTime) -> Stored<()>;
    /// Sessions that run at a station which is in force.
    async fn station_session_list(&self) -> Stored<Vec<SessionId>>;
}
