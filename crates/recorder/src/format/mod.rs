//! The segment file, version 4. All integers big endian. Never reopened once closed.
//!
//! ```text
//! header    magic "BELFSEG1" 8 | version u16 | length of header with digest u16 | segment 16 | stream 16 | camera 16
//!           | key epoch u64 (0: not sealed) | start wall µs i64 | start mono µs u64 | ingest epoch u64 | cut reason u8
//!           | boot of the host 16 | digest of the previous segment 32 (zeros: none)
//!           | length u8 and retention class | BLAKE3 of all before 32
//! record    magic "BLFR" | kind u8 | digest u8 (0 SHA-256, 1 BLAKE3) | guard u8 | reserved 1 | length of body u32 | number in the file u32 | body | trailer 32
//! guard     0 none: body in clear. 1 sealed: body is ciphertext and its tag 16. 2 signed: body in clear and a tag 16 over it.
//!           Both AES-256-GCM under the segment key, nonce: the record's number; associated data: record header, digest of the
//!           header of the file, and where signed the body.
//! trailer   digest over record header, body as it lies on disk, and segment id (SHA-256: the id first). Can be checked without a key.
//! kinds     1 fragment: parameter-set id u64 | first seq u64 | first dts i64 | first mono µs u64 | first wall µs i64
//!             | units u32 | per unit 37 bytes: size u32, duration u32, composition i32, flags u8, lost u32,
//!               µs of mono since the first u32, wall minus mono against the first i64, camera µs i64 | payloads
//!           2 parameter sets: codec u8 | three lists (video, sequence, picture): count u8, each length u16 and bytes
//!           3 gap: from µs i64 | to µs i64 | cause u8
//!           4 closing: flags u8 | end wall µs i64 | units u32 | payload bytes u64 | fragments u32
//!             | per fragment 61 bytes, see [`FragmentEntry`] | digest of the segment before this record 32
//!           5 origin: digest of the clear file that was sealed into this one 32
//! ```
//!
//! In a file whose header names a key epoch, records 1 to 3 are sealed, 4 and 5 signed. The closing record that recovery appends is not:
//! the key must not seal again after a crash, since the record that was cut off had used the next nonce. It is flagged. So the table of a closed
//! segment, its digest and its chain are read without a key; it tells no more than the lengths of the records do.
//! Numbers rise by one; in a sealed file one is left out where a write failed for want of space (its nonce was used).
//!
//! Version 3 differs in that nothing is sealed, version 2 also in its digests: all of them are SHA-256. Both are read, and a file
//! that a crash left open is closed as what it is.
//!
//! The digest of a segment is BLAKE3 (version 2: SHA-256) over its header and the trailers of its records, one after the other. Each trailer is
//! itself a digest, so that it covers every byte while every byte is hashed once.
//!
//! A segment ends with its closing record. One without was cut by a crash: [`read::scan`] keeps every whole record, and
//! recovery appends a closing record that is flagged.

mod body;
mod digest;
pub mod read;
pub mod write;

use media::ParamSetId;
use vms_core::{CameraId, MediaTime, MonoTime, RetentionClass, SegmentId, StreamId, WallTime};

pub use self::digest::DigestKind;
pub(crate) use self::digest::RunningDigest;

/// First bytes of a file.
pub const MAGIC: &[u8; 8] = b"BELFSEG1";
/// First bytes of a record.
pub const RECORD_MAGIC: &[u8; 4] = b"BLFR";
/// Version of the format that is written; versions 2 and 3 are read too.
pub const VERSION: u16 = 4;
/// Header bytes before the class.
pub const HEADER_FIXED: usize = 142;
/// Bytes before a record's body.
pub const RECORD_HEADER: usize = 16;
/// Bytes after a record's body.
pub const TRAILER: usize = 32;
/// Bytes of a fragment body before its table.
pub const FRAGMENT_FIXED: usize = 44;
/// Bytes per unit in the table.
pub const UNIT_ROW: usize = 37;
/// Bytes per fragment in the closing record.
pub const ENTRY_ROW: usize = 61;
/// Longest body that is read: a fragment holds at most 8 MiB of payload, or a single unit of up to 16 MiB.
pub const BODY_MAX: u32 = 17 * 1024 * 1024;
/// What sealing or signing adds to a body.
pub const TAG: usize = keys::TAG_LEN;

/// Closing flag: made by recovery, the end is a cut.
pub const FLAG_RECOVERED: u8 = 1;
/// Closing flag: the disk reported an error while it was written.
pub const FLAG_SUSPECT: u8 = 2;
/// Closing flag: the host's wall clock stepped right before the first unit.
pub const FLAG_CLOCK_STEP: u8 = 4;
/// Closing flag: the camera's clock disagreed with the host's in some unit.
pub const FLAG_CAMERA_CLOCK: u8 = 8;

/// Kinds of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Units.
    Fragment,
    /// Parameter sets.
    Parameters,
    /// A hole.
    Gap,
    /// The end.
    Closing,
    /// The clear file that this one was made from.
    Origin,
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Fragment => 1,
            Self::Parameters => 2,
            Self::Gap => 3,
            Self::Closing => 4,
            Self::Origin => 5,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Fragment),
            2 => Some(Self::Parameters),
            3 => Some(Self::Gap),
            4 => Some(Self::Closing),
            5 => Some(Self::Origin),
            _ => None,
        }
    }
}

/// How the body of a record is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// By its trailer only.
    Clear,
    /// Ciphertext.
    Sealed,
    /// In clear, with a tag of the segment key.
    Signed,
}

impl Guard {
    /// What a record of this kind has in a sealed file.
    pub(crate) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Fragment | Kind::Parameters | Kind::Gap => Self::Sealed,
            Kind::Closing | Kind::Origin => Self::Signed,
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Clear => 0,
            Self::Sealed => 1,
            Self::Signed => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Clear),
            1 => Some(Self::Sealed),
            2 => Some(Self::Signed),
            _ => None,
        }
    }
}

/// The clear header of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// This segment.
    pub segment: SegmentId,
    /// Of this stream.
    pub stream: StreamId,
    /// Of this camera.
    pub camera: CameraId,
    /// Which camera-hour key sealed it; 0: not sealed.
    pub key_epoch: u64,
    /// Arrival of the first unit, wall.
    pub wall: WallTime,
    /// Arrival of the first unit, monotonic.
    pub mono: MonoTime,
    /// Ingest epoch of all its units.
    pub epoch: u64,
    /// [`crate::plan::CutReason::code`].
    pub reason: u8,
    /// Which boot of the host the monotonic times belong to.
    pub boot: [u8; 16],
    /// Digest of the previous segment; zeros when there is none.
    pub previous: [u8; 32],
    /// Retention class at the time of recording.
    pub class: RetentionClass,
}

/// One fragment as the closing record lists it: everything that sizes of a player's view depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentEntry {
    /// Offset of the record in the file (u64).
    pub at: u64,
    /// Units (u32).
    pub units: u32,
    /// Bytes of payload (u32).
    pub payload: u32,
    /// Ticks from its first decode time to the end of its last unit (u32).
    pub ticks: u32,
    /// Composition offset of the first unit (i32).
    pub composition: i32,
    /// First unit is a key frame (u8).
    pub is_key: bool,
    /// Decode time of the first unit (i64).
    pub dts: MediaTime,
    /// Arrival of the first unit, wall (i64).
    pub wall: WallTime,
    /// Sequence of the first unit (u64).
    pub seq: u64,
    /// Parameter sets (u64).
    pub param_set: ParamSetId,
    /// Number of the record in the file (u32).
    pub number: u32,
}

impl FragmentEntry {
    /// Wall time of the end, from arrival and length.
    pub fn wall_end(&self) -> WallTime {
        WallTime::from_micros(self.wall.micros.saturating_add(i64::from(self.ticks) * 100 / 9))
    }

    /// Bytes of the record's body in clear.
    pub fn body_len(&self) -> u64 {
        let fixed = u64::try_from(FRAGMENT_FIXED).unwrap_or(u64::MAX);
        let row = u64::try_from(UNIT_ROW).unwrap_or(u64::MAX);
        fixed + row * u64::from(self.units) + u64::from(self.payload)
    }
}

/// The last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// [`FLAG_RECOVERED`], [`FLAG_SUSPECT`], [`FLAG_CLOCK_STEP`], [`FLAG_CAMERA_CLOCK`].
    pub flags: u8,
    /// Wall time of the end of the last unit.
    pub end: WallTime,
    /// Units.
    pub units: u32,
    /// Bytes of payload.
    pub payload: u64,
    /// Every fragment.
    pub entries: Vec<FragmentEntry>,
    /// Digest of the segment before the closing record.
    pub digest: [u8; 32],
}

/// Code of a cause in a gap record, and back.
pub mod cause_code {
    use link::Cause;

    const TABLE: [Cause; 19] = [
        Cause::Unreachable,
        Cause::LoginRefused,
        Cause::AddressRefused,
        Cause::Malformed,
        Cause::Silent,
        Cause::NoKeyFrame,
        Cause::Closed,
        Cause::PacketLoss,
        Cause::IngestRestart,
        Cause::RecorderRestart,
        Cause::RingOverflow,
        Cause::Disk,
        Cause::ParameterChange,
        Cause::SwitchedOff,
        Cause::Unsupported,
        Cause::DiskCap,
        Cause::Keys,
        Cause::KeyDestroyed,
        Cause::KeyLost,
    ];

    /// The code, from 1.
    pub fn of(cause: Cause) -> u8 {
        let at = TABLE.iter().position(|known| *known == cause).expect("the table should hold every cause");
        u8::try_from(at + 1).unwrap_or(u8::MAX)
    }

    /// The cause of a code.
    pub fn read(code: u8) -> Option<Cause> {
        TABLE.get(usize::from(code).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
pub(crate) mod tests;
