//! Tickets, timelines, playbacks.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::model::TimelineGap;
use vms_app::playback::{PlaybackTicket, Timeline};

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
    /// For `GET /api/v1/live?ticket=`.
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
}

impl From<&Timeline> for TimelineView {
    fn from(timeline: &Timeline) -> Self {
        let bar = |span: &vms_core::TimeRange| BarView { from: instant(span.from), to: instant(span.to) };
        Self {
            stream_id: timeline.stream.to_string(),
            segments: timeline.segments.iter().map(bar).collect(),
            gaps: timeline.gaps.iter().map(GapView::from).collect(),
            reads: timeline.reads.iter().map(|(at, id)| MarkView { at: instant(*at), id: id.clone() }).collect(),
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
    /// First instant after; at most 15 minutes later.
    pub to: String,
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
    /// `video/mp4; codecs="…"`.
    pub mime: String,
    /// Bytes.
    pub size: u64,
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

impl From<&PlaybackTicket> for PlaybackView {
    fn from(ticket: &PlaybackTicket) -> Self {
        let id = ticket.playback.to_string();
        Self {
            url: format!("/api/v1/playback/{id}.mp4"),
            playback_id: id.clone(),
            mime: ticket.info.mime.clone(),
            size: ticket.info.size,
            starts_at: instant(ticket.info.starts_at),
            ends_at: instant(ticket.info.ends_at),
            gaps: ticket.info.gaps.iter().map(GapView::from).collect(),
            decision_id: id,
            expires_at: instant(ticket.expires_at),
        }
    }
}
