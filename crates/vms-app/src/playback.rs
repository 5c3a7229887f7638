//! The past: timelines from the catalogue copy, and playbacks of at most 15 minutes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use audit::LeafKind;
use bytes::Bytes;
use policy::Audience;
use serde_json::json;
use tokio::sync::{Mutex, OnceCell};
use vms_core::{CameraId, DecisionId, SessionId, StreamId, TimeRange, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::ViewPlayback;
use crate::gate::{Actor, Delivered, Permit, Target, Why};
use crate::live::RECHECK_EVERY;
use crate::model::{PlaybackRow, SegmentCopy, TimelineGap};
use crate::ports::{RangeForm, RangeHandle, RangeInfo, RangeParts};

/// Longest span of one playback (blueprint 4.6: the grain of a leaf).
pub const SPAN_MAX_US: i64 = 15 * 60 * 1_000_000;
/// A playback that nobody reads from is closed after this.
const IDLE_MAX: Duration = Duration::from_secs(15 * 60);
/// Open playbacks of one session; opening one more closes the one that waited longest.
const OF_SESSION_MAX: usize = 32;
/// Longest span of one preview.
pub const PREVIEW_SPAN_MAX_US: i64 = 24 * 3_600 * 1_000_000;
/// Longest span of a timeline: the longest month.
const TIMELINE_SPAN_MAX_US: i64 = 32 * 86_400 * 1_000_000;
/// Rows read for one timeline: 32 days of minutes, and a tenth more for short segments.
const TIMELINE_ROWS_MAX: u32 = 52_000;
/// Segments this close are one bar.
const JOIN_US: i64 = 1_000_000;
/// Most bytes of one chunk.
pub const CHUNK_MAX: u64 = 1 << 20;

/// What a stream's past looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The stream.
    pub stream: StreamId,
    /// Bars of footage, joined.
    pub segments: Vec<TimeRange>,
    /// Holes with their causes.
    pub gaps: Vec<TimelineGap>,
    /// Reads as time and id.
    pub reads: Vec<(WallTime, String)>,
    /// What happened to clocks, by time.
    pub clocks: Vec<(WallTime, ClockMark)>,
}

/// What a timeline says of clocks: times on it may not be what they seem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMark {
    /// The host's wall clock stepped: times before and after do not add up.
    HostStepped,
    /// From here on the camera's own clock disagrees with the host's.
    CameraOff,
    /// It agrees again.
    CameraAgrees,
}

impl ClockMark {
    /// Its stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HostStepped => "host_stepped",
            Self::CameraOff => "camera_off",
            Self::CameraAgrees => "camera_agrees",
        }
    }
}

/// Marks of segments in their order.
fn clock_marks(segments: &[SegmentCopy]) -> Vec<(WallTime, ClockMark)> {
    let mut was_off = false;
    let mut marks = Vec::new();
    for segment in segments {
        if segment.clock_stepped {
            marks.push((segment.from, ClockMark::HostStepped));
        }
        if segment.camera_clock_off != was_off {
            let mark = if segment.camera_clock_off { ClockMark::CameraOff } else { ClockMark::CameraAgrees };
            marks.push((segment.from, mark));
        }
        was_off = segment.camera_clock_off;
    }
    marks
}

/// A playback that was opened.
#[derive(Clone, Debug)]
pub struct PlaybackTicket {
    /// Key, also in the address; worth nothing without the session's cookie.
    pub playback: DecisionId,
    /// The virtual file.
    pub info: RangeInfo,
    /// As what it was opened.
    pub form: RangeForm,
    /// Closed when nobody reads until then.
    pub expires_at: WallTime,
}

/// An open playback. The permit is taken out when it is closed.
#[derive(Debug)]
pub(crate) struct OpenPlayback {
    session: SessionId,
    stream: StreamId,
    form: RangeForm,
    handle: Box<dyn RangeHandle>,
    /// Asked for once.
    parts: OnceCell<Arc<RangeParts>>,
    permit: Mutex<Option<Permit<ViewPlayback>>>,
    used_at_us: AtomicI64,
    decided_at_us: AtomicI64,
    delivered: AtomicU64,
}

impl UseCases {
    /// Bars, holes and reads of a stream in a span; the camera's main stream when none is named.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`.
    pub async fn timeline(
        &self,
        actor: &Actor,
        camera: CameraId,
        stream: Option<StreamId>,
        range: TimeRange,
    ) -> Result<Timeline, UseCaseError> {
        let found = self.stores.camera_fetch(camera).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        self.look_on::<ViewPlayback>(actor, &found).await?;
        // Marks say when a vehicle was read.
        self.gate.log_stands().await?;
        if range.micros() > TIMELINE_SPAN_MAX_US {
            return Err(UseCaseError::invalid("to", "span_too_long"));
        }
        let wanted = match stream {
            Some(id) => found.streams.iter().find(|known| known.id == id),
            None => crate::cameras::main_or_first(&found),
        };
        let stream = wanted.ok_or(UseCaseError::NotFound(Entity::Stream))?.id;
        let segments = self.stores.segment_list(stream, range, TIMELINE_ROWS_MAX).await?;
        let gaps = self.stores.gap_list(stream, range, TIMELINE_ROWS_MAX).await?;
        let now = self.now();
        let clip = |from: WallTime, to: WallTime| TimeRange::new(from.max(range.from), to.min(range.to));
        let bars = segments.iter().filter_map(|segment| clip(segment.from, segment.to));
        let holes = gaps.iter().filter_map(|gap| {
            let span = clip(gap.from, gap.to.unwrap_or(now))?;
            Some(TimelineGap { from: span.from, to: span.to, cause: gap.cause })
        });
        let reads = match &self.extensions().timeline_marks {
            Some(marks) => marks.marks(actor, camera, range, TIMELINE_ROWS_MAX).await?,
            None => Vec::new(),
        };
        let clocks = clock_marks(&segments);
        Ok(Timeline { stream, segments: joined(bars), gaps: holes.collect(), reads, clocks })
    }

    /// Decides, writes the leaf and opens the span. A preview shows pictures of the footage: the same right, and a leaf that names it.
    ///
    /// # Errors
    /// `NotFound` (also for a span without footage), `Denied`, `Missing`, `Invalid`, `LogUnavailable`, `Unavailable`.
    pub async fn playback_open(
        &self,
        actor: &Actor,
        stream: StreamId,
        range: TimeRange,
        form: RangeForm,
        why: &Why,
    ) -> Result<PlaybackTicket, UseCaseError> {
        let camera = self.stores.camera_by_stream(stream).await?.ok_or(UseCaseError::NotFound(Entity::Stream))?;
        let target = self.camera_target::<ViewPlayback>(actor, &camera, why.purpose).await?;
        let (longest_us, object) = match form {
            RangeForm::Whole => (SPAN_MAX_US, None),
            RangeForm::Preview => (PREVIEW_SPAN_MAX_US, Some("preview".to_owned())),
        };
        let target = Target { stream: Some(stream), range: Some(range), object, ..target };
        if self.is_visible(actor, &camera).await? {
            if range.micros() > longest_us {
                return Err(UseCaseError::invalid("to", "span_too_long"));
            }
            if camera.legal_basis.is_none() {
                return Err(UseCaseError::Conflict(Conflict::LegalBasisMissing));
            }
        }
        let permit = self.permit_on::<ViewPlayback>(actor, &camera, target, why).await?;
        let capability = self.range_capability(&permit)?;
        let handle = match self.media.open_range(capability, stream, range, form).await {
            Ok(handle) => handle,
            Err(error) => {
                let delivered = Delivered { why: "failed".to_owned(), ..Delivered::default() };
                self.gate.close(permit, delivered).await?;
                return Err(error.into());
            }
        };
        let (now, decision, log_index) = (self.now(), permit.decision(), permit.log_index());
        let row = PlaybackRow { decision, log_index, session: actor.session, stream, range, opened_at: now };
        self.stores.playback_insert(&row).await?;
        let info = handle.info().clone();
        let open = OpenPlayback {
            session: actor.session,
            stream,
            form,
            handle,
            parts: OnceCell::new(),
            permit: Mutex::new(Some(permit)),
            used_at_us: AtomicI64::new(now.micros),
            decided_at_us: AtomicI64::new(now.micros),
            delivered: AtomicU64::new(0),
        };
        let pushed_out = self.playback_keep(decision, open);
        for old in pushed_out {
            self.playback_end(&old, "replaced").await?;
        }
        Ok(PlaybackTicket { playback: decision, info, form, expires_at: now.plus(IDLE_MAX) })
    }

    fn playback_keep(&self, decision: DecisionId, open: OpenPlayback) -> Vec<Arc<OpenPlayback>> {
        let session = open.session;
        let mut playbacks = self.playbacks.lock().unwrap_or_else(PoisonError::into_inner);
        playbacks.insert(decision, Arc::new(open));
        let mut own: Vec<(i64, DecisionId)> = playbacks
            .iter()
            .filter(|(id, open)| open.session == session && **id != decision)
            .map(|(id, open)| (open.used_at_us.load(Ordering::Relaxed), *id))
            .collect();
        own.sort_unstable();
        let surplus = own.len().saturating_sub(OF_SESSION_MAX - 1);
        own.into_iter().take(surplus).filter_map(|(_, id)| playbacks.remove(&id)).collect()
    }

    fn range_capability(&self, permit: &Permit<ViewPlayback>) -> Result<String, UseCaseError> {
        let missing = || UseCaseError::Internal("a playback permit makes a capability".into());
        self.gate.capability(permit, Audience::Recorder).ok_or_else(missing)
    }

    fn playback_own(&self, actor: &Actor, id: DecisionId) -> Result<Arc<OpenPlayback>, UseCaseError> {
        let playbacks = self.playbacks.lock().unwrap_or_else(PoisonError::into_inner);
        let open = playbacks.get(&id).filter(|open| open.session == actor.session).cloned();
        open.ok_or(UseCaseError::NotFound(Entity::Playback))
    }

    /// The virtual file of an open playback of this session. Nothing of it is handed out while the log takes no leaf.
    ///
    /// # Errors
    /// `NotFound`, `LogUnavailable`.
    pub async fn playback_info(&self, actor: &Actor, id: DecisionId) -> Result<(RangeInfo, RangeForm), UseCaseError> {
        self.gate.log_stands().await?;
        match self.playback_own(actor, id) {
            Ok(open) => Ok((open.handle.info().clone(), open.form)),
            Err(error) => {
                self.refuse_stranger("playback", "not_of_this_session").await?;
                Err(error)
            }
        }
    }

    /// Bytes `[start, end)`, at most [`CHUNK_MAX`]; decides again when the last decision is 5 s old.
    ///
    /// # Errors
    /// `NotFound` once it is closed, `Denied` when the right is gone (it is closed then), `Unavailable`.
    pub async fn playback_chunk(
        &self,
        actor: &Actor,
        id: DecisionId,
        start: u64,
        end: u64,
    ) -> Result<Bytes, UseCaseError> {
        let open = self.playback_own(actor, id)?;
        let capability = self.playback_go_on(&open).await?;
        let end = end.min(start.saturating_add(CHUNK_MAX)).min(open.handle.info().size);
        Ok(delivered(&open, open.handle.read(capability, start, end).await?))
    }

    /// Fragments and init segments of an open playback of this session: for a playlist, and for the pictures of a preview.
    ///
    /// # Errors
    /// As [`UseCases::playback_chunk`].
    pub async fn playback_parts(&self, actor: &Actor, id: DecisionId) -> Result<Arc<RangeParts>, UseCaseError> {
        self.playback_info(actor, id).await?;
        let open = self.playback_own(actor, id)?;
        let capability = self.playback_go_on(&open).await?;
        let parts = open.parts.get_or_try_init(async || open.handle.parts(capability).await.map(Arc::new)).await?;
        Ok(Arc::clone(parts))
    }

    /// One picture of an open preview of this session.
    ///
    /// # Errors
    /// `NotFound` for a number that it does not have; else as [`UseCases::playback_chunk`].
    pub async fn playback_picture(&self, actor: &Actor, id: DecisionId, number: u32) -> Result<Bytes, UseCaseError> {
        let parts = self.playback_parts(actor, id).await?;
        let open = self.playback_own(actor, id)?;
        let is_there = usize::try_from(number).is_ok_and(|number| number < parts.parts.len());
        if open.form != RangeForm::Preview || !is_there {
            return Err(UseCaseError::NotFound(Entity::Playback));
        }
        let capability = self.playback_go_on(&open).await?;
        Ok(delivered(&open, open.handle.picture(capability, number).await?))
    }

    /// Notes the use, decides again when the last decision is 5 s old, and gives a fresh capability.
    async fn playback_go_on(&self, open: &OpenPlayback) -> Result<String, UseCaseError> {
        let now = self.now();
        let permit = open.permit.lock().await;
        let permit = permit.as_ref().ok_or(UseCaseError::NotFound(Entity::Playback))?;
        let decided_at = WallTime::from_micros(open.decided_at_us.load(Ordering::Relaxed));
        if now >= decided_at.plus(RECHECK_EVERY) {
            match self.may_go_on(permit, open.stream, true).await? {
                Ok(_) => open.decided_at_us.store(now.micros, Ordering::Relaxed),
                Err(why) => {
                    tracing::info!("a playback ended: {why}");
                    return Err(UseCaseError::NotFound(Entity::Playback));
                }
            }
        }
        open.used_at_us.store(now.micros, Ordering::Relaxed);
        self.range_capability(permit)
    }

    /// Closes a playback and writes its closing leaf.
    ///
    /// # Errors
    /// `NotFound`, `LogUnavailable`.
    pub async fn playback_close(&self, actor: &Actor, id: DecisionId) -> Result<(), UseCaseError> {
        let open = match self.playback_own(actor, id) {
            Ok(open) => open,
            Err(error) => {
                self.refuse_stranger("playback", "not_of_this_session").await?;
                return Err(error);
            }
        };
        self.playbacks.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.playback_end(&open, "closed").await
    }

    async fn playback_end(&self, open: &OpenPlayback, why: &str) -> Result<(), UseCaseError> {
        let Some(permit) = open.permit.lock().await.take() else { return Ok(()) };
        let (decision, bytes) = (permit.decision(), open.delivered.load(Ordering::Relaxed));
        self.gate.close(permit, Delivered { units: 1, bytes, why: why.to_owned() }).await?;
        Ok(self.stores.playback_close(decision, self.now(), bytes).await?)
    }

    pub(crate) async fn playbacks_expire(&self) -> Result<(), UseCaseError> {
        let now = self.now();
        let gone: HashMap<DecisionId, Arc<OpenPlayback>> = {
            let mut playbacks = self.playbacks.lock().unwrap_or_else(PoisonError::into_inner);
            let is_over = |open: &OpenPlayback| {
                now >= WallTime::from_micros(open.used_at_us.load(Ordering::Relaxed)).plus(IDLE_MAX)
            };
            playbacks.extract_if(|_, open| is_over(open)).collect()
        };
        let mut outcome = Ok(());
        for open in gone.values() {
            outcome = outcome.and(self.playback_end(open, "idle").await);
        }
        outcome
    }

    /// At start: uses that an earlier process left open get their closing word in the log.
    ///
    /// # Errors
    /// `LogUnavailable`, `Unavailable`.
    pub async fn playbacks_close_left_over(&self) -> Result<usize, UseCaseError> {
        let left = self.stores.playback_list_open().await?;
        for row in &left {
            let details = json!({
                "decision": row.decision.to_string(),
                "refers": row.log_index,
                "stream": row.stream.to_string(),
                "ended": "process_restarted",
            });
            self.record("playback_interrupted", LeafKind::System, None, details).await?;
            self.stores.playback_close(row.decision, self.now(), 0).await?;
        }
        Ok(left.len())
    }
}

/// Counts what leaves.
fn delivered(open: &OpenPlayback, bytes: Bytes) -> Bytes {
    open.delivered.fetch_add(u64::try_from(bytes.len()).unwrap_or(0), Ordering::Relaxed);
    bytes
}

/// Bars that touch or nearly touch become one. Input sorted by start.
pub(crate) fn joined(bars: impl Iterator<Item = TimeRange>) -> Vec<TimeRange> {
    let mut out: Vec<TimeRange> = Vec::new();
    for bar in bars {
        match out.last_mut() {
            Some(last) if bar.from.micros_since(last.to) <= JOIN_US => last.to = last.to.max(bar.to),
            Some(_) | None => out.push(bar),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_bars_are_joined() {
        let bar = |from, to| TimeRange::new(WallTime::from_secs(from), WallTime::from_secs(to)).unwrap();
        let cases = [
            (vec![], vec![]),
            (vec![bar(0, 60), bar(60, 120), bar(121, 180)], vec![bar(0, 180)]),
            (vec![bar(0, 60), bar(62, 120)], vec![bar(0, 60), bar(62, 120)]),
            (vec![bar(0, 60), bar(10, 20)], vec![bar(0, 60)]),
        ];
        for (given, wanted) in cases {
            assert_eq!(joined(given.into_iter()), wanted);
        }
    }
}
