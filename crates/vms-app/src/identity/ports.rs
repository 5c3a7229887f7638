//! What identity keeps in the central store.

use async_trait::async_trait;
use uuid::Uuid;
use vms_core::{Profile, SessionId, UserId, WallTime};

use crate::identity::model::Factor;
use crate::ports::store::Stored;

/// Second factors, recovery codes, and what a session has shown.
#[async_trait]
pub trait IdentityStore: Send + Sync {
    /// New; `Taken("credential")` for a security key that some account has already.
    async fn factor_insert(&self, factor: &Factor) -> Stored<()>;
    /// Every one of an account, proven or not, oldest first.
    async fn factor_list(&self, user: UserId) -> Stored<Vec<Factor>>;
    /// Whether the account has a proven one.
    async fn factor_any(&self, user: UserId) -> Stored<bool>;
    /// Notes a use and moves the counter to `counter` when it is below, or equal and `or_equal`; false when it is not:
    /// somebody used it already. Also proves the enrolment.
    async fn factor_use(&self, id: Uuid, counter: i64, or_equal: bool, at: WallTime) -> Stored<bool>;
    /// Removes one of an account; false when there is none.
    async fn factor_delete(&self, user: UserId, id: Uuid) -> Stored<bool>;
    /// Removes every factor and recovery code of an account.
    async fn factor_clear(&self, user: UserId) -> Stored<u64>;
    /// Replaces all recovery codes of an account.
    async fn recovery_replace(&self, user: UserId, hashes: &[String], at: WallTime) -> Stored<()>;
    /// Uses one up; false when there is none, or it was used.
    async fn recovery_use(&self, user: UserId, hash: &str, at: WallTime) -> Stored<bool>;
    /// How many were not used.
    async fn recovery_left(&self, user: UserId) -> Stored<u64>;
    /// Notes that a session showed a second factor.
    async fn session_factor(&self, session: SessionId, at: WallTime) -> Stored<()>;
    /// Makes another profile of the account the session's active one.
    async fn session_profile(&self, session: SessionId, profile: Profile) -> Stored<()>;
}
