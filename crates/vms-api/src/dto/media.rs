//! Tickets, timelines, playbacks.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::model::TimelineGap;
use vms_app::playback::{PlaybackTicket, Timeline};
use vms_app::ports::{RangeForm, RangeParts};
use vms_core::WallTime;

use super::common::{PurposeDto, instant};

/// A wish to see a stream live.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamTicketDto {
    /// `str_…`.
    pub stream_id: String,
    /// `live`.
    pub kind: String,
    /// `original` or `coarse`; `original` when absent.
    pub rendition: Option<String>,
    /// Why.
    pub purpose: Option<PurposeDto>,
}

/// A one-use ticket.
#[derive(Clone, Serialize, ToSchema)]
pub struct StreamTicketView {
    /// For `GET /api/v1/live`, offered as the sub-protocol `ticket.T`; never in an address.
    pub ticket: String,
    /// Worth nothing after this.
    pub expires_at: String,
    /// `dec_…`.
    pub decision_id: String,
}

impl std::fmt::Debug for StreamTicketView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamTicketView").field("decision_id", &self.decision_id).finish_non_exhaustive()
    }
}

/// Which span of which stream.
#[derive(Clone, Debug, Deserialize, IntoParams)]
pub struct TimelineQuery {
    /// `str_…`; the main stream when absent.
    pub stream: Option<String>,
    /// First instant.
    pub from: String,
    /// First instant after.
    pub to: String,
}

/// A bar of footage.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BarView {
    /// Start.
    pub from: String,
    /// End.
    pub to: String,
}

/// A hole.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GapView {
    /// Start.
    pub from: String,
    /// End.
    pub to: String,
    /// Why.
    pub cause: String,
}

impl From<&TimelineGap> for GapView {
    fn from(gap: &TimelineGap) -> Self {
        Self { from: instant(gap.from), to: instant(gap.to), cause: gap.cause.as_str().to_owned() }
    }
}

/// A read on the timeline.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MarkView {
    /// When.
    pub at: String,
    /// `rea_…`.
    pub id: String,
}

/// Something that happened to a clock.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClockMarkView {
    /// From when on; at most a minute before it came about.
    pub at: String,
    /// `host_stepped`, `camera_off` (the camera's clock disagrees with the recorder's), `camera_agrees`.
    pub what: String,
}

/// A stream's past.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TimelineView {
    /// `str_…`.
    pub stream_id: String,
    /// Bars, joined.
    pub segments: Vec<BarView>,
    /// Holes.
    pub gaps: Vec<GapView>,
    /// Reads.
    pub reads: Vec<MarkView>,
    /// What happened to clocks.
    pub clocks: Vec<ClockMarkView>,
}

impl From<&Timeline> for TimelineView {
    fn from(timeline: &Timeline) -> Self {
        let bar = |span: &vms_core::TimeRange| BarView { from: instant(span.from), to: instant(span.to) };
        Self {
            stream_id: timeline.stream.to_string(),
            segments: timeline.segments.iter().map(bar).collect(),
            gaps: timeline.gaps.iter().map(GapView::from).collect(),
            reads: timeline.reads.iter().map(|(at, id)| MarkView { at: instant(*at), id: id.clone() }).collect(),
            clocks: timeline
                .clocks
                .iter()
                .map(|(at, mark)| ClockMarkView { at: instant(*at), what: mark.as_str().to_owned() })
                .collect(),
        }
    }
}

/// A wish to see a span.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaybackTicketDto {
    /// `str_…`.
    pub stream_id: String,
    /// First instant.
    pub from: String,
    /// First instant after; at most 15 minutes later, 24 hours for a preview.
    pub to: String,
    /// `original`, or `preview` for single pictures: at most one a second up to 15 minutes, one in 10 s up to 2 hours, else one a
    /// minute; `original` when absent.
    pub rendition: Option<String>,
    /// Why.
    pub purpose: Option<PurposeDto>,
}

/// An open playback.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlaybackView {
    /// Key.
    pub playback_id: String,
    /// Address of the file; opens only with the session's cookie.
    pub url: String,
    /// Address of the HLS playlist; opens only with the session's cookie.
    pub playlist_url: String,
    /// `original` or `preview`.
    pub rendition: String,
    /// `video/mp4; codecs="…"`.
    pub mime: String,
    /// Bytes; 0 for a preview.
    pub size: u64,
    /// Where the first frame at or after `from` is, microseconds of the file's time line: a player starts there.
    pub start_offset_us: u64,
    /// The file's time line and the wall clock: from each entry on they run together until the next.
    pub clock: Vec<ClockView>,
    /// First unit.
    pub starts_at: String,
    /// End of the last unit.
    pub ends_at: String,
    /// Holes inside.
    pub gaps: Vec<GapView>,
    /// `dec_…`.
    pub decision_id: String,
    /// Closed when nobody reads until then.
    pub expires_at: String,
}

/// Where the file's time line meets the wall clock.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClockView {
    /// Microseconds of the file's time line.
    pub media_us: u64,
    /// Wall time there.
    pub at: String,
}

/// The pictures of a preview.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PicturesView {
    /// Instant that `at_ms` counts from.
    pub from: String,
    /// When each picture was taken, whole milliseconds; picture number n is `parts/{n}.m4s`.
    pub at_ms: Vec<i64>,
    /// Which init segment each needs: `parts/init-{number}.mp4`.
    pub init: Vec<u32>,
}

impl PicturesView {
    /// Of an open preview that begins at `from`.
    pub fn new(from: WallTime, parts: &RangeParts) -> Self {
        Self {
            from: instant(from),
            at_ms: parts.parts.iter().map(|part| part.at_wall.micros_since(from).div_euclid(1_000)).collect(),
            init: parts.parts.iter().map(|part| part.init).collect(),
        }
    }
}

impl From<&PlaybackTicket> for PlaybackView {
    fn from(ticket: &PlaybackTicket) -> Self {
        let id = ticket.playback.to_string();
        Self {
            url: format!("/api/v1/playback/{id}.mp4"),
            playlist_url: format!("/api/v1/playback/{id}/index.m3u8"),
            rendition: match ticket.form {
                RangeForm::Whole => "original",
                RangeForm::Preview => "preview",
            }
            .to_owned(),
            playback_id: id.clone(),
            mime: ticket.info.mime.clone(),
            size: ticket.info.size,
            start_offset_us: ticket.info.start_offset_us,
            clock: ticket
                .info
                .clock
                .iter()
                .map(|(media_us, at)| ClockView { media_us: *media_us, at: instant(*at) })
                .collect(),
            starts_at: instant(ticket.info.starts_at),
            ends_at: instant(ticket.info.ends_at),
            gaps: ticket.info.gaps.iter().map(GapView::from).collect(),
            decision_id: id,
            expires_at: instant(ticket.expires_at),
        }
    }
}
