//! How streams and a recorder stand.

use serde::{Deserialize, Serialize};

use super::{Cause, StreamPhase};

/// Health of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamHealth {
    /// `str_…`.
    pub stream: String,
    /// Session phase.
    pub phase: StreamPhase,
    /// Why it is not live, when it is not.
    pub cause: Option<Cause>,
    /// Wall time of the last frame received; absent when none since start.
    pub last_frame_us: Option<i64>,
    /// Wall time up to which footage is durable on disk.
    pub durable_until_us: Option<i64>,
    /// Received bits per second over the last seconds.
    pub bits_per_s: u64,
    /// RTP packets known lost since start.
    pub packets_lost: u64,
    /// Codec, when known.
    pub codec: Option<String>,
    /// Pixels, when known.
    pub width: Option<u16>,
    /// Pixels, when known.
    pub height: Option<u16>,
}

/// How a recorder stands besides its streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageHealth {
    /// What wants a person, as stable words such as `clock_stepped` (docs/operations.md lists them).
    pub alarms: Vec<String>,
    /// Rung of the disk ladder: `ample`, `alarm`, `shed`, `spare`, `lose` or `exhausted`.
    pub rung: String,
    /// Seconds for which there is room; absent when no end is in sight.
    pub headroom_s: Option<u64>,
    /// Previews, exports and sub-streams are not to be made: the volume has less than two hours left.
    pub spares: bool,
    /// What cameras need and the disk gives, where they do not fit: one sentence with figures.
    pub detail: Option<String>,
}
