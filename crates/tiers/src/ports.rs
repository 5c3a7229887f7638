//! What tiers ask of the outside world: the recorder's disk and index, and the clock.

use std::path::PathBuf;

use async_trait::async_trait;
use vms_core::{SegmentId, WallTime};

use crate::name::Facts;
use crate::plan::Standing;

/// Why the recorder's side did not answer; told once, in the log.
#[derive(Debug, thiserror::Error)]
#[error("the recorder's side failed: {what}")]
pub struct PortError {
    /// What it said; no plate, name or secret.
    pub what: String,
}

/// The host's wall clock.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// UTC.
    fn wall(&self) -> WallTime;
}

/// The recorder's local copies of closed, sealed segments.
#[async_trait]
pub trait LocalCopies: Send + Sync + std::fmt::Debug {
    /// Closed and sealed segments that lie on the local disk (one in clear waits until it is sealed: its file changes then), in the order of their ids, those after `after`, at most `limit`.
    async fn closed(&self, after: Option<SegmentId>, limit: usize) -> Result<Vec<Facts>, PortError>;

    /// The file of a segment; `None` when the local disk does not have it. The file is never changed again.
    async fn path(&self, segment: SegmentId) -> Result<Option<PathBuf>, PortError>;

    /// Hold and end of term of each, now and not from memory, in the same order. A segment that the recorder no longer knows has
    /// `Standing::default()`.
    async fn standing(&self, segments: &[Facts]) -> Result<Vec<Standing>, PortError>;

    /// Removes the local file and syncs its folder; the segment stays in the index as "in a tier". Success when it is not there.
    /// Asks the hold once more under its own lock: `Ok(false)` when a hold came in between, and the file stays.
    async fn drop_copy(&self, segment: SegmentId) -> Result<bool, PortError>;

    /// Free bytes of the local disk; `None` when not known.
    fn free_bytes(&self) -> Option<u64>;
}
