//! The segment file, version 3. All integers big endian. Never reopened once closed.
//!
//! ```text
//! header    magic "BELFSEG1" 8 | version u16 | length of header with digest u16 | segment 16 | stream 16 | camera 16
//!           | key epoch u64 (0: not sealed) | start wall µs i64 | start mono µs u64 | ingest epoch u64 | cut reason u8
//!           | boot of the host 16 | digest of the previous segment 32 (zeros: none)
//!           | length u8 and retention class | BLAKE3 of all before 32
//! record    magic "BLFR" | kind u8 | digest u8 (0 SHA-256, 1 BLAKE3) | reserved 2 | length of body u32 | number in the file u32 | body | trailer 32
//! trailer   digest over record header, body and segment id (SHA-256: the id first). In a sealed segment the body is ciphertext with its AEAD tag,
//!           segment id and record header are the associated data, and the trailer stays.
//! kinds     1 fragment: parameter-set id u64 | first seq u64 | first dts i64 | first mono µs u64 | first wall µs i64
//!             | units u32 | per unit 37 bytes: size u32, duration u32, composition i32, flags u8, lost u32,
//!               µs of mono since the first u32, wall minus mono against the first i64, camera µs i64 | payloads
//!           2 parameter sets: codec u8 | three lists (video, sequence, picture): count u8, each length u16 and bytes
//!           3 gap: from µs i64 | to µs i64 | cause u8
//!           4 closing: flags u8 | end wall µs i64 | units u32 | payload bytes u64 | fragments u32
//!             | per fragment 61 bytes, see [`FragmentEntry`] | digest of the segment before this record 32
//! ```
//!
//! Version 2 differs in its digests only: all of them are SHA-256. It is read as before, and a file of it that a crash left open
//! is closed as what it is.
//!
//! The digest of a segment is BLAKE3 (version 2: SHA-256) over its header and the trailers of its records, one after the other. Each trailer is
//! itself a digest, so that it covers every byte while every byte is hashed once.
//!
//! A segment ends with its closing record. One without was cut by a crash: [`read::scan`] keeps every whole record, and
//! recovery appends a closing record that is flagged.

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
/// Version of the format that is written; version 2 is read too.
pub const VERSION: u16 = 3;
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

/// Closing flag: made by recovery, the end is a cut.
pub const FLAG_RECOVERED: u8 = 1;
/// Closing flag: the disk reported an error while it was written.
pub const FLAG_SUSPECT: u8 = 2;

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
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Fragment => 1,
            Self::Parameters => 2,
            Self::Gap => 3,
            Self::Closing => 4,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Fragment),
            2 => Some(Self::Parameters),
            3 => Some(Self::Gap),
            4 => Some(Self::Closing),
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

    /// Bytes of the record's body.
    pub fn body_len(&self) -> u64 {
        let fixed = u64::try_from(FRAGMENT_FIXED).unwrap_or(u64::MAX);
        let row = u64::try_from(UNIT_ROW).unwrap_or(u64::MAX);
        fixed + row * u64::from(self.units) + u64::from(self.payload)
    }
}

/// The last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// [`FLAG_RECOVERED`], [`FLAG_SUSPECT`].
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

    const TABLE: [Cause; 16] = [
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
mod tests;
