//! The media side: recorder, reader and gateway as the use cases see them. The wiring speaks `link` behind this port.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use vms_core::{Codec, DecisionId, Rendition, StreamId, TimeRange, WallTime};

use crate::catalogue_fault::CatalogueFault;
use crate::error::BoxError;
use crate::model::{Partner, PartnerCamera, StreamSpec, TimelineGap};
use crate::words::{Cause, EndWhy, Phase};

/// Which role has the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaSource {
    /// Our own camera: the recorder is its live origin.
    Recorder,
    /// A partner's camera: the gateway pulls it while somebody watches.
    Gateway,
    /// The coarse rendition, made by the reader.
    Reader,
}

/// Why the media side did not do it.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// Nothing is recorded in the span.
    #[error("no footage")]
    NoFootage,
    /// There is no picture now.
    #[error("no picture: {}", .0.as_str())]
    NoPicture(Cause),
    /// The footage is there, and cannot be handed out now.
    #[error("{}", .0.words())]
    Footage(FootageFault),
    /// The role refused.
    #[error("the role refused: {code}")]
    Refused {
        /// Stable word of the protocol.
        code: String,
        /// For the log.
        detail: String,
    },
    /// The role can't be reached.
    #[error("the role can't be reached")]
    Unavailable(#[source] BoxError),
}

/// Why footage that is there is not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FootageFault {
    /// It lies in a second place that does not answer now: nothing is lost, asking again helps.
    Away,
    /// It is behind the magistrate's gate, and no decision of one was named.
    Gated,
    /// The same with a decision, but the medium with the key of the gate is not attached.
    GateAway,
    /// The disk has less than two hours left: previews wait.
    RoomIsShort,
}

impl FootageFault {
    /// From the stable word of the protocol.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Away, Self::Gated, Self::GateAway, Self::RoomIsShort].into_iter().find(|fault| fault.code() == code)
    }

    /// The stable word, also of the problem.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Away => "footage_away",
            Self::Gated => "footage_gated",
            Self::GateAway => "gate_away",
            Self::RoomIsShort => "room_is_short",
        }
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Away => "the footage lies in a second place that does not answer now; nothing is lost, try again",
            Self::Gated => "the footage is past its first term: it opens only with a magistrate's written decision",
            Self::GateAway => "the medium with the key of the magistrate's gate is not attached",
            Self::RoomIsShort => "the disk has less than two hours left, so that no previews are made; try again later",
        }
    }
}

/// One thing that happens on a live stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveEvent {
    /// A new init segment.
    Init {
        /// Counts from 1.
        init: u16,
        /// `video/mp4; codecs="…"`.
        mime: String,
        /// Pixels.
        width: u16,
        /// Pixels.
        height: u16,
        /// The init segment.
        bytes: Bytes,
    },
    /// One frame as `moof` and `mdat`.
    Frame {
        /// Decoding can start here.
        is_key: bool,
        /// The decode time line jumps before this frame.
        discontinuity: bool,
        /// Number of the init segment that it needs.
        init: u16,
        /// Rising; a hole means loss.
        seq: u64,
        /// Wall time of the capture.
        captured_at: WallTime,
        /// `moof` and `mdat`.
        bytes: Bytes,
    },
    /// Frames were left out.
    Drop {
        /// How many.
        frames: u32,
    },
    /// There is no picture now, or there is one again.
    State {
        /// Phase of the camera session.
        phase: Phase,
        /// Why.
        cause: Option<Cause>,
    },
    /// The stream ended; nothing follows.
    End {
        /// Why.
        why: EndWhy,
    },
}

/// The sending half of an open live stream.
#[async_trait]
pub trait LiveControl: Send + Sync + std::fmt::Debug {
    /// Hands over a fresh capability, at least every 15 s.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn renew(&self, capability: String) -> Result<(), MediaError>;
}

/// An open live stream. Dropping it closes it.
pub struct LiveFeed {
    /// What happens; ends after [`LiveEvent::End`] or when the role dies.
    pub events: BoxStream<'static, LiveEvent>,
    /// For renewals.
    pub control: Box<dyn LiveControl>,
}

impl std::fmt::Debug for LiveFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveFeed").field("control", &self.control).finish_non_exhaustive()
    }
}

/// The virtual file of one span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeInfo {
    /// Bytes.
    pub size: u64,
    /// Strong entity tag, without quotes.
    pub etag: String,
    /// `video/mp4; codecs="…"`.
    pub mime: String,
    /// First unit: a key frame at or before the asked start.
    pub starts_at: WallTime,
    /// End of the last unit.
    pub ends_at: WallTime,
    /// Holes inside.
    pub gaps: Vec<TimelineGap>,
    /// Where the first frame at or after the asked start is, microseconds of the file's time line.
    pub start_offset_us: u64,
    /// From each of these instants of the file's time line (microseconds) on, its wall time, until the next.
    pub clock: Vec<(u64, WallTime)>,
}

/// As what a span is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeForm {
    /// All of its bytes as one file.
    Whole,
    /// Its key frames, thinned by its length and read one by one; size 0.
    Preview,
}

/// One fragment of an open span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangePart {
    /// First byte in the virtual file; 0 in a preview.
    pub at: u64,
    /// Bytes there; 0 in a preview.
    pub size: u64,
    /// When its first picture shows on the file's time line, microseconds.
    pub shows_us: u64,
    /// How long it lasts, microseconds.
    pub length_us: u64,
    /// Wall time of its first unit.
    pub at_wall: WallTime,
    /// Which init segment, from 1.
    pub init: u32,
    /// Starts with a key frame.
    pub is_key: bool,
    /// Another connection to the camera or other parameter sets than before.
    pub is_jump: bool,
}

/// All fragments of an open span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeParts {
    /// In order.
    pub parts: Vec<RangePart>,
    /// The init segment of the whole file, then one for each set of parameter sets alone.
    pub inits: Vec<Bytes>,
}

/// An open span. Dropping it closes it.
#[async_trait]
pub trait RangeHandle: Send + Sync + std::fmt::Debug {
    /// Size, tag, kind, holes.
    fn info(&self) -> &RangeInfo;
    /// Bytes `[start, end)`, at most 1 MiB at a time. `capability` is fresh: the handle may reopen the span with it.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn read(&self, capability: String, start: u64, end: u64) -> Result<Bytes, MediaError>;

    /// Its fragments and init segments.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn parts(&self, capability: String) -> Result<RangeParts, MediaError>;

    /// One picture of a preview as `moof` and `mdat`.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn picture(&self, capability: String, number: u32) -> Result<Bytes, MediaError>;
}

/// What a probe of a camera found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// Reached, logged in, and a key frame arrived.
    pub ok: bool,
    /// Why not, when not.
    pub cause: Option<Cause>,
    /// One sentence in English.
    pub detail: String,
    /// When known.
    pub codec: Option<Codec>,
    /// Pixels.
    pub width: Option<u16>,
    /// Pixels.
    pub height: Option<u16>,
    /// Milliseconds from dialling to the first key frame.
    pub first_key_ms: Option<u32>,
    /// The camera offered sound, which was not set up.
    pub offers_audio: bool,
}

/// Recorder, reader and gateway.
#[async_trait]
pub trait MediaPort: Send + Sync + std::fmt::Debug {
    /// Opens a stream as it happens, as fragmented MP4.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn open_live(
        &self,
        source: MediaSource,
        capability: String,
        stream: StreamId,
        rendition: Rendition,
    ) -> Result<LiveFeed, MediaError>;

    /// Opens a span of the past.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn open_range(
        &self,
        capability: String,
        stream: StreamId,
        range: TimeRange,
        form: RangeForm,
    ) -> Result<Box<dyn RangeHandle>, MediaError>;

    /// One coarse picture as JPEG: `picture` is for the reader, `source` for the recorder, both of one decision.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn test_picture(&self, picture: String, source: String, stream: StreamId) -> Result<Bytes, MediaError>;

    /// One picture of the past as JPEG, pixelated but for what `mask` keeps: `picture` is for the reader, `source` for the recorder, both
    /// of one decision on `span`. The picture is the last one of the span.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn still(
        &self,
        picture: String,
        source: String,
        stream: StreamId,
        span: TimeRange,
        mask: &StillMask,
    ) -> Result<(WallTime, Bytes), MediaError>;

    /// Dials an address once, from the role that holds its log-in, and says what answers; nothing is recorded.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn probe(&self, source: MediaSource, spec: &StreamSpec) -> Result<ProbeReport, MediaError>;

    /// Seals a user and a password to the role that will use them.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn seal_credentials(&self, source: MediaSource, user: &str, password: &str) -> Result<Vec<u8>, MediaError>;

    /// Closes every open stream of a decision at once. Best effort: capabilities run out by themselves.
    async fn revoke(&self, decision: DecisionId);
}

/// A part of a picture, in thousandths of its width and height: left, top, right, bottom; the last two are the first ones outside.
pub type Area = [u16; 4];

/// What of a still stays clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StillMask {
    /// What stays clear; nothing when absent.
    pub keep: Option<Area>,
    /// What is pixelated inside of it.
    pub hide: Vec<Area>,
}

/// A partner's catalogue of cameras, fetched and translated by the gateway.
#[async_trait]
pub trait PartnerCatalogue: Send + Sync + std::fmt::Debug {
    /// Every camera that the partner shares now.
    ///
    /// # Errors
    /// [`CatalogueFault`]: nothing is taken then.
    async fn fetch(&self, partner: &Partner) -> Result<Vec<PartnerCamera>, CatalogueFault>;
}
