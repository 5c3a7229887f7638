//! The control messages. JSON with a tag, so that a newer peer's extra fields are seen in a dump and ignored by serde.
//! Instants are microseconds since the Unix epoch (`_us`), ids their text form.

mod gated;
mod health;
mod hold;
mod range;
pub mod records;
mod rows;
pub mod still;
pub mod stored;

use serde::{Deserialize, Serialize};

pub use gated::{GATED_MAX, GatedRow, GatedSpec};
pub use health::{StorageHealth, StreamHealth};
pub use hold::{HOLDS_MAX, HoldRow, HoldSpec};
pub use range::{PartRow, RANGE_PARTS_MAX, RangeAsk};
pub use rows::{CameraClockRow, ClockRow, GapRow, ReadRow, SegmentRow};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// RTSP sessions.
    Ingest,
    /// Segments, index, live origin.
    Recorder,
    /// Plate reading and coarse renditions.
    Reader,
    /// API, gate, log.
    Serve,
    /// Partner sessions.
    Gateway,
}

/// Which transport takes a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportKind {
    /// Pure Rust, RTSP over TCP: the normal way in.
    Retina,
    /// GStreamer in `belfry-media`, RTSP over TCP.
    GstTcp,
    /// GStreamer, RTP over UDP.
    GstUdp,
}

/// One stream that a recorder is responsible for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// `str_…`.
    pub stream: String,
    /// `cam_…`.
    pub camera: String,
    /// `main`, `sub` or `anpr`.
    pub use_: String,
    /// RTSP address without credentials.
    pub url: String,
    /// User and password, sealed to the recorder (base64 of [`recorder`'s sealed box]); absent without log-in.
    pub sealed_credentials: Option<String>,
    /// Which transport takes it.
    pub transport: TransportKind,
    /// Written to disk. Only with a legal basis in force (blueprint 4.1).
    pub record: bool,
    /// Pulled only while somebody watches.
    pub on_demand: bool,
    /// Code of the retention class, such as `RC-VID-OPEN`.
    pub retention_class: String,
    /// Term of that class in seconds, resolved from the dated table by `serve`.
    pub keep_s: u64,
}

/// Everything that one recorder records or relays; replaces the one before as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Rises with every change; an older one is ignored.
    pub version: u64,
    /// The streams.
    pub streams: Vec<StreamSpec>,
    /// Networks that cameras may live in, CIDR (camera URL guard).
    pub allowed_networks: Vec<String>,
    /// Ports that cameras may listen on, inclusive ranges.
    pub allowed_ports: Vec<(u16, u16)>,
}

/// Parameter sets on the wire; NAL bytes in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireParameterSets {
    /// [`media::ParamSetId`] in hexadecimal, 16 digits.
    pub id: String,
    /// `h264` or `h265`.
    pub codec: String,
    /// Video parameter sets (H.265).
    pub vps: Vec<String>,
    /// Sequence parameter sets.
    pub sps: Vec<String>,
    /// Picture parameter sets.
    pub pps: Vec<String>,
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// RFC 6381.
    pub rfc6381: String,
    /// See [`media::ParameterSets`].
    pub reorder_depth: u8,
}

/// Where a camera session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamPhase {
    /// Not asked for.
    Idle,
    /// Trying to connect.
    Connecting,
    /// Connected, no key frame yet.
    NoKeyFrame,
    /// Frames arrive.
    Live,
    /// Waiting before the next try.
    Waiting,
}

/// Why there is a hole or a session is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The camera could not be reached.
    Unreachable,
    /// The camera refused the log-in.
    LoginRefused,
    /// The guard refused the address.
    AddressRefused,
    /// The camera spoke something that is not RTSP or not video.
    Malformed,
    /// The camera went silent.
    Silent,
    /// Frames came, but no key frame.
    NoKeyFrame,
    /// The camera closed the session.
    Closed,
    /// RTP packets were lost.
    PacketLoss,
    /// Ingest died and came back.
    IngestRestart,
    /// The recorder died and came back later than the ring holds.
    RecorderRestart,
    /// The ring before the recorder overflowed.
    RingOverflow,
    /// The disk refused.
    Disk,
    /// The footage was there and went before its term: the disk tier had reached its cap.
    DiskCap,
    /// No key could be saved in every copy of the key store, so nothing was recorded.
    Keys,
    /// The footage is there but its key was destroyed: nothing opens it any more.
    KeyDestroyed,
    /// The footage is there but its key is not: lost or damaged.
    KeyLost,
    /// The camera's parameters changed; a new segment began.
    ParameterChange,
    /// Recording was switched off.
    SwitchedOff,
    /// The transport cannot carry what the camera offers.
    Unsupported,
}

/// One camera that the reader decodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderCamera {
    /// `cam_…`.
    pub camera: String,
    /// `str_…` to decode.
    pub stream: String,
    /// Purposes (codes of `domain.md` H rule 10) for which its reads may be copied.
    pub purposes: Vec<String>,
    /// Standing capability for the recorder.
    pub capability: String,
    /// Region of interest in fractions of the picture, thousandths: x0, y0, x1, y1.
    pub region: Option<[u16; 4]>,
    /// Decoded frames per second at most.
    pub rate_max: u8,
}

/// How a live stream is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveForm {
    /// Access units and parameter sets (reader, gateway).
    Units,
    /// One fMP4 fragment per frame (browsers).
    Fmp4,
}

/// What a probe of a camera found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Reached, logged in, and a key frame arrived.
    pub ok: bool,
    /// Why not, when not.
    pub cause: Option<Cause>,
    /// One plain English sentence for the log; the console words the cause itself.
    pub detail: String,
    /// `h264` or `h265`.
    pub codec: Option<String>,
    /// Pixels.
    pub width: Option<u16>,
    /// Pixels.
    pub height: Option<u16>,
    /// Time from dialling to the first key frame.
    pub first_key_ms: Option<u32>,
    /// The camera offered sound, which was not set up.
    pub offers_audio: bool,
}

/// Every control message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Control {
    /// First message, both ways.
    Hello {
        /// [`super::VERSION`].
        version: u16,
        /// Who speaks.
        role: Role,
        /// Which of several processes of the role, such as an ingest shard.
        instance: u32,
    },
    /// The request was refused; the connection may go on.
    Refused {
        /// Stable word, such as `capability_expired`.
        code: String,
        /// One sentence for the log.
        detail: String,
    },
    /// Done, where there is nothing else to answer.
    Done,

    // --- serve → recorder
    /// Replaces the assignment; answered by `Done` once it is durable.
    Assign(Assignment),
    /// Asks for [`Control::RecorderInfo`].
    Info,
    /// What serve must know of a recorder.
    RecorderInfo {
        /// X25519 public key for sealing camera credentials, hexadecimal.
        seal_key: String,
        /// Version of the assignment in force.
        assignment: u64,
    },
    /// The holds in force and those released lately, at most [`HOLDS_MAX`]; answered by [`Control::HoldsReport`] once they are
    /// durable. They are carried out soon after.
    Holds {
        /// The holds.
        holds: Vec<HoldSpec>,
        /// Decisions to keep footage behind the magistrate's gate, at most [`GATED_MAX`]; absent: what was told before stays.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gated: Option<Vec<GatedSpec>>,
        /// Time of the newest signed checkpoint of the log, µs since 1970: no clock here is right that is before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint_us: Option<i64>,
    },
    /// How far the recorder is with the holds that it knows.
    HoldsReport {
        /// Each hold that was carried out.
        rows: Vec<HoldRow>,
        /// Each decision that there is footage of.
        #[serde(default)]
        gated: Vec<GatedRow>,
    },
    /// Asks for rows changed after `after`.
    IndexSince {
        /// Cursor.
        after: u64,
        /// At most so many rows of each kind.
        limit: u32,
    },
    /// Answer to `IndexSince`.
    IndexPage {
        /// Changed segments, by `change`.
        segments: Vec<SegmentRow>,
        /// Changed gaps, by `change`.
        gaps: Vec<GapRow>,
        /// Next cursor.
        cursor: u64,
    },
    /// Asks for [`Control::HealthReport`].
    Health,
    /// Health of every stream of the recorder.
    HealthReport {
        /// Every assigned stream.
        streams: Vec<StreamHealth>,
        /// Bytes free on the volume.
        disk_free: u64,
        /// Bytes of segments.
        disk_used: u64,
        /// Bytes that segments may take.
        disk_cap: u64,
        /// Clock, terms and room.
        #[serde(default)]
        storage: StorageHealth,
    },
    /// Waits for other alarms than these, a few seconds at most; answered by [`Control::AlarmsReport`].
    AlarmsWait {
        /// The alarms that the peer knows of.
        known: Vec<String>,
    },
    /// The alarms as they are, with what else can be told without touching a disk.
    AlarmsReport {
        /// Clock, terms and room.
        storage: StorageHealth,
    },
    /// Closes every open stream of one decision at once.
    Revoke {
        /// `dec_…`.
        decision: String,
    },
    /// Probes an address (answered by `Probed`), by way of an ingest process.
    Probe {
        /// Chosen by the asker, repeated in the answer.
        request: u64,
        /// Address and sealed credentials; nothing is recorded.
        spec: StreamSpec,
    },
    /// Answer to `Probe`.
    Probed {
        /// As asked.
        request: u64,
        /// What was found.
        report: ProbeReport,
    },

    // --- recorder ↔ ingest
    /// Streams of this ingest process; replaces the list before. Credentials are opened: `user:password`.
    IngestAssign {
        /// Version of the assignment.
        version: u64,
        /// Streams, with `sealed_credentials` replaced by the clear pair in `credentials`, same order.
        streams: Vec<StreamSpec>,
        /// `user`, `password` of each stream.
        credentials: Vec<Option<(String, String)>>,
        /// See [`Assignment`].
        allowed_networks: Vec<String>,
        /// See [`Assignment`].
        allowed_ports: Vec<(u16, u16)>,
    },
    /// Pull or drop an on-demand stream.
    Demand {
        /// `str_…`.
        stream: String,
        /// Wanted or no longer.
        on: bool,
    },
    /// Every unit up to and including this one is kept: the ring may forget it.
    Ack {
        /// `str_…`.
        stream: String,
        /// Connection of the unit.
        epoch: u64,
        /// Sequence of the unit.
        seq: u64,
    },
    /// New parameter sets; precede the first unit that needs them, and are repeated after a reconnect to the recorder.
    ParameterSets {
        /// `str_…`.
        stream: String,
        /// The sets.
        sets: WireParameterSets,
    },
    /// A camera session changed its phase.
    StreamState {
        /// `str_…`.
        stream: String,
        /// New phase.
        phase: StreamPhase,
        /// Why, for `waiting` and `no_key_frame`.
        cause: Option<Cause>,
        /// Since when.
        since_us: i64,
    },
    /// Frames that will never come.
    Hole {
        /// `str_…`.
        stream: String,
        /// From.
        from_us: i64,
        /// To.
        to_us: i64,
        /// Why.
        cause: Cause,
    },

    // --- media, to recorder or gateway
    /// Opens a live stream on this connection; the answer is `Refused`, or media until `End`.
    OpenLive {
        /// Capability text.
        capability: String,
        /// `str_…`.
        stream: String,
        /// `original` or `coarse`.
        rendition: String,
        /// Units or fMP4.
        form: LiveForm,
    },
    /// Fresh capability for the open live stream of this connection.
    Renew {
        /// Capability text of the same stream.
        capability: String,
    },
    /// A new init segment; its bytes follow as one `Bytes` message.
    LiveInit {
        /// Counts from 1 on this connection.
        init: u32,
        /// `video/mp4; codecs="…"`.
        mime: String,
        /// Pixels.
        width: u16,
        /// Pixels.
        height: u16,
    },
    /// Frames were left out for this viewer, from a key frame on it goes on.
    LiveDrop {
        /// How many.
        frames: u32,
    },
    /// The live stream has no picture now.
    LiveState {
        /// Phase of the camera session.
        phase: StreamPhase,
        /// Why.
        cause: Option<Cause>,
    },
    /// The stream of this connection ended.
    End {
        /// `capability_expired`, `revoked`, `camera_gone`, `stopped`.
        why: String,
        /// Units handed out.
        units: u64,
        /// Bytes handed out.
        bytes: u64,
    },
    /// Opens a span as one fragmented MP4; answered by `RangeInfo` or `Refused`.
    OpenRange {
        /// Capability text.
        capability: String,
        /// `str_…`.
        stream: String,
        /// From.
        from_us: i64,
        /// To.
        to_us: i64,
    },
    /// The virtual file of the open range.
    RangeInfo {
        /// Bytes.
        size: u64,
        /// Strong entity tag, without quotes.
        etag: String,
        /// `video/mp4; codecs="…"`.
        mime: String,
        /// Wall time of the first unit (a key frame at or before `from`).
        starts_us: i64,
        /// Wall time of the end.
        ends_us: i64,
        /// Holes inside.
        gaps: Vec<GapRow>,
        /// Where the first frame at or after `from` is in the file, microseconds of its own time line.
        start_offset_us: u64,
        /// From each of these instants of the file's time line (microseconds) on, its wall time, until the next.
        clock: Vec<(u64, i64)>,
    },
    /// Parts and previews of a range.
    Range(RangeAsk),
    /// Opens a span as it is stored, for an evidence export ([`stored`]); answered by `StoredInfo` or `Refused`.
    OpenStored {
        /// Capability text.
        capability: String,
        /// `str_…`.
        stream: String,
        /// From.
        from_us: i64,
        /// To.
        to_us: i64,
        /// Pieces that the asker has already.
        skip: u64,
        /// Segment and record number of the last fragment among them; refused with `range_changed` when it is another one now.
        after: Option<(String, u32)>,
    },
    /// The open span.
    StoredInfo {
        /// Pieces in all, those skipped as well.
        pieces: u64,
    },
    /// Asks for the next pieces, at most so many and until so many bytes are reached; answered by pieces, then `StoredMore`,
    /// `StoredEnd` or `Refused`.
    ReadStored {
        /// Pieces, at most [`stored::STORED_PIECES_MAX`].
        pieces: u32,
        /// Bytes, at most [`stored::STORED_BYTES_MAX`].
        bytes: u64,
    },
    /// A piece: the fragments that follow lie in this segment.
    StoredSegment(stored::StoredSegment),
    /// A piece: a fragment; its units follow. Its parameter sets were sent before.
    StoredFrames(stored::StoredFrames),
    /// A piece: a gap.
    StoredGap(GapRow),
    /// There is more: ask again.
    StoredMore,
    /// The span is over.
    StoredEnd,
    /// Asks for bytes `[start, end)` of the open range: `Bytes` messages, then `Done`.
    ReadRange {
        /// First byte.
        start: u64,
        /// First byte after.
        end: u64,
    },

    /// Asks a recorder what the log of uses must hold of it; answered by `Records` or `Refused`.
    AskRecords(records::RecordsAsk),
    /// The answer.
    Records(records::RecordsPage),

    // --- serve → reader
    /// Replaces the reader's cameras; answered by `Done`.
    ReaderAssign {
        /// Cameras with standing capabilities.
        cameras: Vec<ReaderCamera>,
    },
    /// Asks for reads after a spool position: `Read` messages with pictures, then `Done`.
    ReadsSince {
        /// Capability for the reader, scope reads.
        capability: String,
        /// Position of the last read already durable in the central store.
        after: u64,
        /// At most so many.
        limit: u32,
    },
    /// One read; its crop and its overview follow as two `Bytes` messages.
    Read(ReadRow),
    /// Reads up to here are durable in the central store.
    ReadsAck {
        /// Capability for the reader, scope reads.
        capability: String,
        /// Spool position.
        upto: u64,
    },
    /// Asks for one coarse picture of a live stream (JPEG as one `Bytes` message, or `Refused`).
    Picture {
        /// Capability for the reader, rendition `coarse`.
        capability: String,
        /// Capability for the recorder, rendition `original`, same decision: the reader opens the stream with it.
        source: String,
        /// `str_…`.
        stream: String,
    },
    /// Asks for one masked still of the past.
    Still(still::StillAsk),
    /// When the picture of the still was taken, µs since 1970; the JPEG follows as one `Bytes` message.
    StillOf {
        /// Arrival of its access unit.
        at_us: i64,
    },
    /// Asks for [`Control::ReaderReport`].
    ReaderHealth,
    /// What the reader does.
    ReaderReport {
        /// Per camera: id, frames decoded, frames skipped under load, reads made, and whether it is decoding now.
        cameras: Vec<(String, u64, u64, u64, bool)>,
        /// Reads waiting in the spool.
        spooled: u64,
        /// Why no model runs, when none does.
        problem: Option<String>,
        /// Clocks of the cameras of which something is known.
        #[serde(default)]
        clocks: Vec<CameraClockRow>,
    },

    // --- serve → gateway
    /// Replaces the partner streams that the gateway may pull; credentials opened by the gateway.
    GatewayAssign(Assignment),
}
