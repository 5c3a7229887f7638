//! What was erased of reads, and the leaf of the log of uses that it owes.
//!
//! Erasing can't be undone, so its leaf must not be lost: what a transaction erased is noted in that transaction, and the note goes once the
//! leaf stands. The log may be away for a while meanwhile; terms do not wait for it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use vms_core::WallTime;

use crate::ports::store::Stored;

/// What a sweep erased.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// What is gone.
    pub erased: SweptCounts,
    /// Nothing was erased, since too much is due at once: two people have to approve up to this hour (since 1970).
    pub waits_until_hour: Option<u32>,
    /// Damaged rows that were met in the last hour, and left out.
    pub damaged: u64,
}

/// Counts of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweptCounts {
    /// Copies of reads whose term ended.
    pub reads: u64,
    /// Police reads behind the magistrate's gate whose second term ended.
    pub gated: u64,
    /// Findings whose term ended.
    pub findings: u64,
    /// Lists of what was asked at the registry.
    pub asks: u64,
    /// Records of batches that were closed since their finding's term ended before they were signed or answered.
    pub closed: u64,
    /// Keys destroyed.
    pub keys: u64,
    /// Digests (SHA-256, in hex) over the keys that died: which, when and why. Fewer than they should be only where a kill came between the
    /// destruction and its row; the key store keeps when and why of each.
    pub destructions: Vec<String>,
}

/// One thing that was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Erasure {
    /// Terms ended.
    Swept(SweptCounts),
    /// Reads that a decision keeps, and that nothing opens any more.
    GatedLost {
        /// Of which camera: `cam_…`.
        camera: String,
        /// Their class.
        class: String,
        /// Hours since 1970.
        hour: i64,
        /// How many of the hour were kept with them.
        kept: u64,
        /// How many were lost.
        lost: u64,
    },
}

/// One without a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// Its number: the same in the leaf, should a crash write it twice.
    pub number: i64,
    /// When it was erased.
    pub at: WallTime,
    /// What.
    pub what: Erasure,
}

/// What was erased and is owed to the log of uses.
#[async_trait]
pub trait ErasureJournal {
    /// What has no leaf yet, oldest first; at most 100.
    async fn erasures_untold(&self) -> Stored<Vec<Untold>>;
    /// Its leaf stands.
    async fn erasure_told(&self, number: i64) -> Stored<()>;
}
