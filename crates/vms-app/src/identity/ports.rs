//! What identity keeps in the central store.

use async_trait::async_trait;
use uuid::Uuid;
use vms_core::{Profile, SessionId, UserId, WallTime};

use crate::identity::machines::MachineCertificate;
use crate::identity::model::{AccountNotice, Factor};
use crate::identity::oidc::Link;
use crate::model::Session;
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
    /// Notes that a session showed a second factor; `hard`: a hardware key.
    async fn session_factor(&self, session: SessionId, at: WallTime, hard: bool) -> Stored<()>;
    /// Gives a session another token, when it still has the one named; false when somebody was quicker, or it is over.
    async fn session_renew(&self, session: SessionId, was: &str, token_hash: &str) -> Stored<bool>;
    /// Sessions of an account that were not ended, the youngest first.
    async fn session_list(&self, user: UserId) -> Stored<Vec<Session>>;
    /// Links an account to a name at a provider, in place of an older one; `Taken("subject")` when the name is another account's.
    async fn link_put(&self, link: &Link, at: WallTime) -> Stored<()>;
    /// Takes an account's link away, if there is one.
    async fn link_delete(&self, user: UserId, issuer: &str) -> Stored<()>;
    /// Whose account a name at a provider is.
    async fn link_user(&self, issuer: &str, subject: &str) -> Stored<Option<UserId>>;
    /// Every link of a provider.
    async fn link_list(&self, issuer: &str) -> Stored<Vec<Link>>;
    /// New; `Taken("fingerprint")` for one that is noted already, also one that was taken back.
    async fn machine_insert(&self, certificate: &MachineCertificate) -> Stored<()>;
    /// Those of an account, the youngest first.
    async fn machine_list(&self, user: UserId) -> Stored<Vec<MachineCertificate>>;
    /// One, whatever its state.
    async fn machine_find(&self, fingerprint: &str) -> Stored<Option<MachineCertificate>>;
    /// Takes one back; false when the account has none such, or it was taken back already.
    async fn machine_revoke(&self, user: UserId, fingerprint: &str, at: WallTime) -> Stored<bool>;
    /// Notes a use.
    async fn machine_used(&self, fingerprint: &str, at: WallTime) -> Stored<()>;
    /// Something that the account's owner should hear of.
    async fn account_notice_insert(&self, user: UserId, notice: &AccountNotice) -> Stored<()>;
    /// What the owner has not seen yet, the youngest first, at most a hundred.
    async fn account_notice_list(&self, user: UserId) -> Stored<Vec<AccountNotice>>;
    /// The owner saw everything up to `at`.
    async fn account_notice_seen(&self, user: UserId, at: WallTime) -> Stored<()>;
    /// Makes another profile of the account the session's active one.
    async fn session_profile(&self, session: SessionId, profile: Profile) -> Stored<()>;
}
