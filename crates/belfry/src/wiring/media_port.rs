//! The media port over `link`: one connection per open stream or span, so that a capability belongs to exactly one of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use link::codec::{Receiver, Sender};
use link::message::still::{Area, StillAsk};
use link::{Connection, Control, LinkError, LiveForm, Message, PartRow, RangeAsk, Role};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use vms_app::model::StreamSpec;
use vms_app::ports::{
    FootageFault, LiveControl, LiveEvent, LiveFeed, MediaError, MediaPort, MediaSource, ProbeReport, RangeForm,
    RangeHandle, RangeInfo, RangePart, RangeParts, StillMask,
};
use vms_core::{DecisionId, Rendition, StreamId, TimeRange, WallTime};

use super::convert;

/// A role on the same machine that does not answer in this time is taken for dead.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// A probe or a first picture waits for a camera's key frame, whose interval may be 10 s.
const CAMERA_MAX: Duration = Duration::from_secs(20);

/// Where the roles listen.
#[derive(Clone, Debug)]
pub(crate) struct Sockets {
    pub(crate) recorder: PathBuf,
    pub(crate) reader: PathBuf,
    pub(crate) gateway: PathBuf,
}

/// Recorder, reader and gateway behind one port.
#[derive(Debug)]
pub(crate) struct LinkMedia {
    sockets: Sockets,
    probes: AtomicU64,
}

impl LinkMedia {
    pub(crate) const fn new(sockets: Sockets) -> Self {
        Self { sockets, probes: AtomicU64::new(1) }
    }

    async fn connect(&self, source: MediaSource) -> Result<Connection<UnixStream>, MediaError> {
        let (path, role) = match source {
            MediaSource::Recorder => (&self.sockets.recorder, Role::Recorder),
            MediaSource::Gateway => (&self.sockets.gateway, Role::Gateway),
            MediaSource::Reader => (&self.sockets.reader, Role::Reader),
        };
        link::connect(path, Role::Serve, 0, role).await.map_err(unavailable)
    }
}

fn unavailable(error: LinkError) -> MediaError {
    MediaError::Unavailable(Box::new(error))
}

fn out_of_turn() -> MediaError {
    unavailable(LinkError::Malformed)
}

fn refused(code: String, detail: String) -> MediaError {
    match code.as_str() {
        "no_footage" => MediaError::NoFootage,
        // A store of segments, the key store or the index does not answer now: nothing is lost, and asking again helps.
        "unavailable" => MediaError::Unavailable(detail.into()),
        code if FootageFault::from_code(code).is_some() => {
            FootageFault::from_code(code).map_or(MediaError::NoFootage, MediaError::Footage)
        }
        _ => match serde_json::from_value::<link::Cause>(serde_json::Value::String(code.clone())) {
            Ok(cause) => MediaError::NoPicture(convert::cause(cause)),
            Err(_) => MediaError::Refused { code, detail },
        },
    }
}

/// Sorts a refusal out of an answer.
fn granted(answer: Control) -> Result<Control, MediaError> {
    if let Control::Refused { code, detail } = answer { Err(refused(code, detail)) } else { Ok(answer) }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, LinkError>> + Send) -> Result<T, MediaError> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(unavailable),
        Err(_) => Err(unavailable(LinkError::Closed)),
    }
}

#[derive(Debug)]
struct LinkControl {
    sender: Mutex<Sender<UnixStream>>,
}

#[async_trait]
impl LiveControl for LinkControl {
    async fn renew(&self, capability: String) -> Result<(), MediaError> {
        let mut sender = self.sender.lock().await;
        within(ANSWER_MAX, sender.send(Control::Renew { capability })).await
    }
}

/// The next thing that the console should hear of; `None` when the role is gone.
async fn next_event(receiver: &mut Receiver<UnixStream>) -> Option<LiveEvent> {
    loop {
        let control = match receiver.recv().await.ok()? {
            Message::Control(control) => *control,
            Message::Fragment(fragment) => {
                return Some(LiveEvent::Frame {
                    is_key: fragment.is_key,
                    discontinuity: fragment.discontinuity,
                    init: fragment.init,
                    seq: fragment.seq,
                    captured_at: WallTime::from_micros(fragment.capture_us),
                    bytes: fragment.boxes,
                });
            }
            Message::Unit(..) | Message::Bytes(_) => continue,
        };
        if let Control::LiveInit { init, mime, width, height } = control {
            let Message::Bytes(bytes) = receiver.recv().await.ok()? else { return None };
            let init = u16::try_from(init).ok()?;
            return Some(LiveEvent::Init { init, mime, width, height, bytes });
        }
        if let Some(event) = word(control) {
            return Some(event);
        }
    }
}

/// What a control message of a live stream means for the console; `None` for what is not meant for it.
fn word(control: Control) -> Option<LiveEvent> {
    if let Control::LiveDrop { frames } = control {
        return Some(LiveEvent::Drop { frames });
    }
    if let Control::LiveState { phase, cause } = control {
        let cause = cause.map(convert::cause);
        return Some(LiveEvent::State { phase: convert::phase(phase), cause });
    }
    if let Control::End { why, .. } = control {
        return Some(LiveEvent::End { why: convert::end_why(&why) });
    }
    if let Control::Refused { code, .. } = control {
        return Some(LiveEvent::End { why: convert::end_why(&code) });
    }
    tracing::debug!("a live stream said something unexpected");
    None
}

#[derive(Debug)]
struct LinkRange {
    info: RangeInfo,
    path: PathBuf,
    stream: StreamId,
    range: TimeRange,
    form: RangeForm,
    connection: Mutex<Connection<UnixStream>>,
}

async fn ask_range(
    connection: &mut Connection<UnixStream>,
    capability: String,
    stream: StreamId,
    range: TimeRange,
    form: RangeForm,
) -> Result<RangeInfo, MediaError> {
    let (stream, from_us, to_us) = (stream.to_string(), range.from.micros, range.to.micros);
    let request = match form {
        RangeForm::Whole => Control::OpenRange { capability, stream, from_us, to_us },
        RangeForm::Preview => Control::Range(RangeAsk::OpenPreview { capability, stream, from_us, to_us }),
    };
    let answer = granted(within(ANSWER_MAX, connection.ask(request)).await?)?;
    let Control::RangeInfo { size, etag, mime, starts_us, ends_us, gaps, start_offset_us, clock } = answer else {
        return Err(out_of_turn());
    };
    let ends_at = WallTime::from_micros(ends_us);
    let gaps = gaps.iter().map(|gap| convert::timeline_gap(gap, ends_at)).collect();
    let clock = clock.into_iter().map(|(media_us, wall_us)| (media_us, WallTime::from_micros(wall_us))).collect();
    let starts_at = WallTime::from_micros(starts_us);
    Ok(RangeInfo { size, etag, mime, starts_at, ends_at, gaps, start_offset_us, clock })
}

/// Bytes of the open span. The recorder answers with runs of bytes and `Done`.
async fn read_bytes(
    connection: &mut Connection<UnixStream>,
    capability: String,
    ask: Control,
) -> Result<Bytes, MediaError> {
    let work = async {
        if let Err(refusal) = granted(connection.ask(Control::Renew { capability }).await?) {
            return Ok(Err(refusal));
        }
        connection.sender.send(ask).await?;
        let mut out = BytesMut::new();
        loop {
            match connection.receiver.recv().await? {
                Message::Bytes(run) => out.extend_from_slice(&run),
                Message::Control(control) => {
                    if let Control::End { why, .. } = *control {
                        return Ok(Err(refused(why, "the span was closed".to_owned())));
                    }
                    return match granted(*control) {
                        Ok(Control::Done) => Ok(Ok(out.freeze())),
                        Ok(_) => Err(LinkError::Malformed),
                        Err(refusal) => Ok(Err(refusal)),
                    };
                }
                Message::Unit(..) | Message::Fragment(_) => return Err(LinkError::Malformed),
            }
        }
    };
    within(ANSWER_MAX, work).await?
}

/// All parts of the open span, page by page.
async fn read_parts(connection: &mut Connection<UnixStream>, capability: String) -> Result<RangeParts, MediaError> {
    granted(within(ANSWER_MAX, connection.ask(Control::Renew { capability })).await?)?;
    let mut out = RangeParts::default();
    loop {
        let after = u32::try_from(out.parts.len()).unwrap_or(u32::MAX);
        let ask = Control::Range(RangeAsk::Parts { after });
        let answer = granted(within(ANSWER_MAX, connection.ask(ask)).await?)?;
        let Control::Range(RangeAsk::Page { parts, total, inits }) = answer else { return Err(out_of_turn()) };
        for init in inits {
            let bytes = STANDARD.decode(init).map_err(|_| out_of_turn())?;
            out.inits.push(bytes.into());
        }
        let is_last = parts.is_empty();
        out.parts.extend(parts.iter().map(part_of));
        if is_last || u32::try_from(out.parts.len()).is_ok_and(|known| known >= total) {
            return Ok(out);
        }
    }
}

fn part_of(row: &PartRow) -> RangePart {
    let micros = |ticks: u64| ticks.saturating_mul(100).saturating_add(4) / 9;
    RangePart {
        at: row.at,
        size: row.size,
        shows_us: micros(row.shows),
        length_us: micros(row.ticks),
        at_wall: WallTime::from_micros(row.wall_us),
        init: row.init,
        is_key: row.is_key,
        is_jump: row.jump,
    }
}

impl LinkRange {
    /// The recorder died meanwhile; the same span of closed footage is the same virtual file again.
    async fn again(
        &self,
        connection: &mut Connection<UnixStream>,
        capability: &str,
        error: &(dyn std::error::Error + Send + Sync),
    ) -> Result<(), MediaError> {
        tracing::debug!(error = %error, "the recorder was gone; opening the span again");
        *connection = link::connect(&self.path, Role::Serve, 0, Role::Recorder).await.map_err(unavailable)?;
        let info = ask_range(connection, capability.to_owned(), self.stream, self.range, self.form).await?;
        if info.etag == self.info.etag {
            Ok(())
        } else {
            Err(refused("range_changed".to_owned(), "the footage of the span changed".to_owned()))
        }
    }

    async fn bytes(&self, capability: String, ask: Control) -> Result<Bytes, MediaError> {
        let mut connection = self.connection.lock().await;
        match read_bytes(&mut connection, capability.clone(), ask.clone()).await {
            Err(MediaError::Unavailable(error)) => {
                self.again(&mut connection, &capability, &*error).await?;
                read_bytes(&mut connection, capability, ask).await
            }
            outcome => outcome,
        }
    }
}

#[async_trait]
impl RangeHandle for LinkRange {
    fn info(&self) -> &RangeInfo {
        &self.info
    }

    async fn read(&self, capability: String, start: u64, end: u64) -> Result<Bytes, MediaError> {
        self.bytes(capability, Control::ReadRange { start, end }).await
    }

    async fn parts(&self, capability: String) -> Result<RangeParts, MediaError> {
        let mut connection = self.connection.lock().await;
        match read_parts(&mut connection, capability.clone()).await {
            Err(MediaError::Unavailable(error)) => {
                self.again(&mut connection, &capability, &*error).await?;
                read_parts(&mut connection, capability).await
            }
            outcome => outcome,
        }
    }

    async fn picture(&self, capability: String, number: u32) -> Result<Bytes, MediaError> {
        self.bytes(capability, Control::Range(RangeAsk::ReadPart { number })).await
    }
}

#[async_trait]
impl MediaPort for LinkMedia {
    async fn open_live(
        &self,
        source: MediaSource,
        capability: String,
        stream: StreamId,
        rendition: Rendition,
    ) -> Result<LiveFeed, MediaError> {
        let mut connection = self.connect(source).await?;
        let (stream, rendition) = (stream.to_string(), rendition.as_str().to_owned());
        let request = Control::OpenLive { capability, stream, rendition, form: LiveForm::Fmp4 };
        within(ANSWER_MAX, connection.sender.send(request)).await?;
        let Connection { receiver, sender, .. } = connection;
        let events = futures_util::stream::unfold(Some(receiver), |state| async move {
            let mut receiver = state?;
            let event = next_event(&mut receiver).await?;
            let rest = if matches!(event, LiveEvent::End { .. }) { None } else { Some(receiver) };
            Some((event, rest))
        });
        Ok(LiveFeed { events: events.boxed(), control: Box::new(LinkControl { sender: Mutex::new(sender) }) })
    }

    async fn open_range(
        &self,
        capability: String,
        stream: StreamId,
        range: TimeRange,
        form: RangeForm,
    ) -> Result<Box<dyn RangeHandle>, MediaError> {
        let mut connection = self.connect(MediaSource::Recorder).await?;
        let info = ask_range(&mut connection, capability, stream, range, form).await?;
        let (path, connection) = (self.sockets.recorder.clone(), Mutex::new(connection));
        Ok(Box::new(LinkRange { info, path, stream, range, form, connection }))
    }

    async fn test_picture(&self, picture: String, source: String, stream: StreamId) -> Result<Bytes, MediaError> {
        let mut connection = self.connect(MediaSource::Reader).await?;
        let request = Control::Picture { capability: picture, source, stream: stream.to_string() };
        within(ANSWER_MAX, connection.sender.send(request)).await?;
        match within(CAMERA_MAX, connection.receiver.recv()).await? {
            Message::Bytes(jpeg) => Ok(jpeg),
            Message::Control(control) => Err(granted(*control).map_or_else(|refusal| refusal, |_| out_of_turn())),
            Message::Unit(..) | Message::Fragment(_) => Err(out_of_turn()),
        }
    }

    async fn still(
        &self,
        picture: String,
        source: String,
        stream: StreamId,
        span: TimeRange,
        mask: &StillMask,
    ) -> Result<(WallTime, Bytes), MediaError> {
        let area =
            |[left, top, right, bottom]: &[u16; 4]| Area { left: *left, top: *top, right: *right, bottom: *bottom };
        let mut connection = self.connect(MediaSource::Reader).await?;
        let ask = Control::Still(StillAsk {
            capability: picture,
            source,
            stream: stream.to_string(),
            from_us: span.from.micros,
            at_us: span.to.micros.saturating_sub(1),
            keep: mask.keep.as_ref().map(area),
            hide: mask.hide.iter().map(area).collect(),
        });
        within(ANSWER_MAX, connection.sender.send(ask)).await?;
        let answer = within(CAMERA_MAX, connection.receiver.recv_control()).await?;
        let Control::StillOf { at_us } = granted(answer)? else { return Err(out_of_turn()) };
        match within(ANSWER_MAX, connection.receiver.recv()).await? {
            Message::Bytes(jpeg) => Ok((WallTime::from_micros(at_us), jpeg)),
            Message::Control(_) | Message::Unit(..) | Message::Fragment(_) => Err(out_of_turn()),
        }
    }

    async fn probe(&self, source: MediaSource, spec: &StreamSpec) -> Result<ProbeReport, MediaError> {
        let mut connection = self.connect(source).await?;
        let request = self.probes.fetch_add(1, Ordering::Relaxed);
        let asked = Control::Probe { request, spec: convert::stream_spec(spec) };
        let answer = granted(within(CAMERA_MAX, connection.ask(asked)).await?)?;
        let Control::Probed { report, .. } = answer else { return Err(out_of_turn()) };
        Ok(ProbeReport {
            ok: report.ok,
            cause: report.cause.map(convert::cause),
            detail: report.detail,
            codec: report.codec.and_then(|codec| codec.parse().ok()),
            width: report.width,
            height: report.height,
            first_key_ms: report.first_key_ms,
            offers_audio: report.offers_audio,
        })
    }

    async fn seal_credentials(&self, source: MediaSource, user: &str, password: &str) -> Result<Vec<u8>, MediaError> {
        let mut connection = self.connect(source).await?;
        let answer = granted(within(ANSWER_MAX, connection.ask(Control::Info)).await?)?;
        let Control::RecorderInfo { seal_key, .. } = answer else { return Err(out_of_turn()) };
        let clear = format!("{user}:{password}");
        recorder::sealbox::seal(&seal_key, clear.as_bytes())
            .map(String::into_bytes)
            .map_err(|error| MediaError::Unavailable(error.into()))
    }

    async fn revoke(&self, decision: DecisionId) {
        for source in [MediaSource::Recorder, MediaSource::Gateway] {
            let Ok(mut connection) = self.connect(source).await else { continue };
            let revoke = Control::Revoke { decision: decision.to_string() };
            if let Err(error) = within(ANSWER_MAX, connection.ask(revoke)).await {
                tracing::debug!(error = %error, "a role did not hear of a revocation; its capability runs out by itself");
            }
        }
    }
}

/// The port, shared.
pub(crate) fn media_port(sockets: Sockets) -> Arc<dyn MediaPort> {
    Arc::new(LinkMedia::new(sockets))
}
