//! The unit of truth: one access unit as received, and the parameter sets that it needs.

use bytes::Bytes;
use vms_core::{Codec, MediaTime, MonoTime, SyncState, WallTime};

/// Identity of a set of parameter sets: the first 8 bytes, big endian, of the SHA-256 over codec and NAL bytes.
/// Equal bytes have equal ids on every host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamSetId(pub u64);

/// What a decoder needs before the first slice: the newest in-band (or SDP) parameter sets, whole NAL units without
/// start code or length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSets {
    /// Derived from the bytes below.
    pub id: ParamSetId,
    /// Which codec the NAL units speak.
    pub codec: Codec,
    /// H.265 only; empty for H.264.
    pub vps: Vec<Bytes>,
    /// Sequence parameter sets, at least one.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, at least one.
    pub pps: Vec<Bytes>,
    /// Width of the cropped picture, pixels.
    pub width: u16,
    /// Height of the cropped picture, pixels.
    pub height: u16,
    /// RFC 6381 codec string, such as `avc1.640028` or `hvc1.1.6.L120.90`.
    pub rfc6381: String,
    /// Pictures that may wait for a later one before display: 0 without B-frames (H.264 `max_num_reorder_frames`).
    pub reorder_depth: u8,
}

/// The clocks at the arrival of an access unit. Wall clocks never decide order (blueprint 2, "Time").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Clocks {
    /// Host monotonic time of the last packet of the unit, at most one pause of the ingest process off (160 ms; 8 ms while the camera's
    /// process is watched, by a person or the reader).
    pub mono: MonoTime,
    /// Host wall time of the same moment.
    pub wall: WallTime,
    /// Camera time of the picture from RTCP sender reports (RFC 3550 section 6.4.1), when known.
    pub camera: Option<WallTime>,
    /// What the camera's clock is worth.
    pub sync: SyncState,
}

/// One coded picture with everything that came with it (inline parameter sets, SEI), bytes untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// Counts units of one stream of one ingest connection from 0; a restart of the camera session starts a new
    /// `epoch` and counts from 0 again.
    pub seq: u64,
    /// Ingest's connection number, unique per stream on a host and rising: microseconds of monotonic time at connect.
    pub epoch: u64,
    /// NAL units, each behind its length as 4 bytes big endian (ISO/IEC 14496-15 with `lengthSizeMinusOne` = 3).
    pub payload: Bytes,
    /// Decoding can start here.
    pub is_key: bool,
    /// Presentation time, unwrapped, 90 kHz.
    pub pts: MediaTime,
    /// Decoding time, derived, 90 kHz; never decreases within an epoch, `dts <= pts`.
    pub dts: MediaTime,
    /// Arrival.
    pub clocks: Clocks,
    /// RTP packets known lost immediately before this unit.
    pub lost_before: u32,
    /// Parameter sets in force for this unit.
    pub param_set: ParamSetId,
}
