//! The media port over `link`: one connection per open stream or span, so that a capability belongs to exactly one of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use link::codec::{Receiver, Sender};
use link::message::still::{Area, StillAsk};
use link::{Connection, Control, LinkError, LiveForm, Message, Role};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use vms_app::model::StreamSpec;
use vms_app::ports::{
    FootageFault, LiveControl, LiveEvent, LiveFeed, MediaError, MediaPort, MediaSource, ProbeReport, RangeForm,
    RangeHandle, StillMask,
};
use vms_core::{DecisionId, Rendition, StreamId, TimeRange, WallTime};

use super::convert;
use super::media_range::LinkRange;

/// A role on the same machine that does not answer in this time is taken for dead.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);
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

pub(super) fn unavailable(error: LinkError) -> MediaError {
    MediaError::Unavailable(Box::new(error))
}

pub(super) fn out_of_turn() -> MediaError {
    unavailable(LinkError::Malformed)
}

pub(super) fn refused(code: String, detail: String) -> MediaError {
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
pub(super) fn granted(answer: Control) -> Result<Control, MediaError> {
    if let Control::Refused { code, detail } = answer { Err(refused(code, detail)) } else { Ok(answer) }
}

pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, LinkError>> + Send,
) -> Result<T, MediaError> {
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
        Ok(Box::new(LinkRange::open(self.sockets.recorder.clone(), capability, stream, range, form).await?))
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
