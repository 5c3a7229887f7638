//! Versions of the role matrix as rows: what was proposed, by whom, who agreed, from when to when it held.

use async_trait::async_trait;
use uuid::Uuid;
use vms_core::{OrgId, Profile, WallTime};

use crate::model::Signature;
use crate::ports::store::Stored;
use crate::words::MatrixState;

/// One version, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatrixVersion {
    /// Key.
    pub id: Uuid,
    /// What its text calls itself.
    pub version: String,
    /// SHA-256 of the text, hex.
    pub digest: String,
    /// The whole text, as it was proposed.
    pub text: String,
    /// Digest of the matrix that was in force when it was proposed: the difference that people agreed to.
    pub base_digest: String,
    /// Why, in the proposer's words.
    pub reason: String,
    /// Who proposed it; absent for a text that came with the program.
    pub proposed: Option<Signature>,
    /// When it came.
    pub created_at: WallTime,
    /// From when it is to be in force.
    pub active_at: WallTime,
    /// Where it stands.
    pub state: MatrixState,
    /// Who agreed, refused or took it back.
    pub settled: Option<Signature>,
    /// Why it was refused.
    pub answer: Option<String>,
    /// When it came into force.
    pub activated_at: Option<WallTime>,
    /// When another came into force.
    pub superseded_at: Option<WallTime>,
}

/// How many accounts of an organisation hold a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileCount {
    /// Organisation.
    pub org: OrgId,
    /// Profile.
    pub profile: Profile,
    /// Accounts that are switched on.
    pub accounts: u64,
}

/// Versions of the matrix.
#[async_trait]
pub trait MatrixStore: Send + Sync {
    /// New; `Taken` while another waits or is agreed and not yet in force.
    async fn matrix_insert(&self, version: &MatrixVersion) -> Stored<()>;
    /// By key.
    async fn matrix_fetch(&self, id: Uuid) -> Stored<Option<MatrixVersion>>;
    /// Newest first, at most `limit`.
    async fn matrix_list(&self, limit: u32) -> Stored<Vec<MatrixVersion>>;
    /// The one in force, if any was ever stored.
    async fn matrix_active(&self) -> Stored<Option<MatrixVersion>>;
    /// The one that waits or is agreed and not yet in force.
    async fn matrix_open(&self) -> Stored<Option<MatrixVersion>>;
    /// Takes over state, signature and answer while the row is still in state `from`; `Stale` otherwise.
    async fn matrix_settle(&self, version: &MatrixVersion, from: MatrixState) -> Stored<()>;
    /// Puts an agreed version in force and ends the one before, at once; `Stale` when it is not agreed any more.
    async fn matrix_activate(&self, id: Uuid, at: WallTime) -> Stored<()>;
    /// A text that came with the program, straight into force; the one before ends at once.
    async fn matrix_ship(&self, version: &MatrixVersion, at: WallTime) -> Stored<()>;
    /// Accounts by organisation and profile.
    async fn matrix_people(&self) -> Stored<Vec<ProfileCount>>;
}
