//! RTSP over TCP with `retina`: the normal way in.
//!
//! `retina` does connection, log-in, SETUP, PLAY, keep-alive and RTP/RTCP headers; the access units are made by
//! [`crate::depacketize`] from its packets, so that NAL bytes stay as received. Only one video stream is set up; nothing
//! is ever asked of an audio stream. A redirection is not followed, and no message of the camera makes us dial a second
//! address: the session lives and dies with the one pinned connection.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, Stream as _};
use link::Cause;
use retina::client::{
    Credentials as RetinaCredentials, Described, PacketItem, PlayOptions, Playing, Session, SessionGroup,
    SessionOptions, SetupOptions, TcpTransportOptions, TeardownPolicy, Tool, Transport as RetinaTransportKind,
};
use vms_core::Codec;

use crate::clock::wall_of_ntp;
use crate::depacketize::{Depacketizer, PayloadError, RtpPayload};
use crate::memory::{Kept, Memory, shorten_turn};
use crate::sdp;
use crate::transport::{Dial, Event, Failure, SessionInfo, Transport};

/// What we call ourselves.
const USER_AGENT: &str = concat!("Belfry/", env!("CARGO_PKG_VERSION"));
/// RFC 6184 section 8.2.1, RFC 7798 section 7.1: always 90 kHz.
const CLOCK_RATE: u32 = 90_000;
/// The camera gets so long to answer the TEARDOWN of the session before, so that cameras with room for one session take
/// the next.
const TEARDOWN_MAX: Duration = Duration::from_secs(1);
/// Longest session description, bytes. Real ones are below 4 KiB.
const SDP_LEN_MAX: usize = 64 * 1024;

type Opened = (Session<Playing>, usize, SessionInfo);

enum State {
    Idle,
    Opening(BoxFuture<'static, Result<Opened, Failure>>, Kept),
    Playing { session: Box<Session<Playing>>, stream: usize, depacketizer: Depacketizer, lost: u32, kept: Kept },
}

/// See the module.
pub struct RetinaTransport {
    state: State,
    /// Sessions of this camera that are being torn down.
    group: Arc<SessionGroup>,
    memory: Option<Arc<Memory>>,
}

impl Default for RetinaTransport {
    fn default() -> Self {
        Self::new(Memory::open().ok().map(Arc::new))
    }
}

impl RetinaTransport {
    /// Bounds what a camera can make the process keep when `memory` is there; only time bounds it otherwise.
    pub fn new(memory: Option<Arc<Memory>>) -> Self {
        Self { state: State::Idle, group: Arc::new(SessionGroup::default()), memory }
    }
}

impl fmt::Debug for RetinaTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Idle => "idle",
            State::Opening(..) => "opening",
            State::Playing { .. } => "playing",
        };
        f.debug_struct("RetinaTransport").field("state", &state).finish_non_exhaustive()
    }
}

impl Transport for RetinaTransport {
    fn connect(&mut self, dial: Dial) {
        self.disconnect();
        let group = Arc::clone(&self.group);
        let opening = async move {
            let connect_max = dial.connect_max;
            match tokio::time::timeout(connect_max, open(dial, group)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Failure::new(Cause::Unreachable, "the camera did not answer in time")),
            }
        };
        self.state = State::Opening(opening.boxed(), Kept::default());
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let memory = self.memory.as_deref();
        let event = match &mut self.state {
            State::Idle => return Poll::Pending,
            State::Opening(opening, kept) => {
                let (opened, too_much) = match memory {
                    Some(memory) => {
                        shorten_turn(cx);
                        kept.around(memory, || opening.poll_unpin(cx))
                    }
                    None => (opening.poll_unpin(cx), false),
                };
                if too_much {
                    drop(opened);
                    self.state = State::Idle;
                    return Poll::Ready(Event::Lost(too_long()));
                }
                match opened {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok((session, stream, info))) => {
                        let (depacketizer, kept) = (Depacketizer::new(info.codec), Kept::default());
                        self.state = State::Playing { session: Box::new(session), stream, depacketizer, lost: 0, kept };
                        return Poll::Ready(Event::Connected(info));
                    }
                    Poll::Ready(Err(failure)) => Event::Lost(failure),
                }
            }
            State::Playing { session, stream, depacketizer, lost, kept } => {
                let watched = memory.filter(|_| kept.is_barren());
                // Always: the first turn in the middle of an endless message could otherwise double its buffer without end.
                shorten_turn(cx);
                let mut polling = || poll_playing(Pin::new(session), *stream, depacketizer, lost, cx);
                let ((polled, packets), too_much) = match watched {
                    Some(memory) => kept.around(memory, polling),
                    None => (polling(), false),
                };
                if packets > 0 {
                    *kept = Kept::default();
                }
                match polled {
                    Poll::Pending if packets == 0 && too_much => Event::Lost(too_long()),
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(event) => event,
                }
            }
        };
        if matches!(event, Event::Lost(_)) {
            self.disconnect();
        }
        Poll::Ready(event)
    }

    fn disconnect(&mut self) {
        // Dropping the session sends TEARDOWN from a task of its own.
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Playing { session, kept, .. } if kept.was_barren() => {
                drop_unheard(session);
                // The old group would wait for the task that is gone, and panic.
                self.group = Arc::new(SessionGroup::default());
            }
            State::Idle | State::Opening(..) | State::Playing { .. } => {}
        }
    }

    fn farewell(&self) -> BoxFuture<'static, ()> {
        let group = Arc::clone(&self.group);
        async move { drop(group.await_teardown().await) }.boxed()
    }
}

/// Ends a session that is in the middle of a message without waiting for the camera's answer to TEARDOWN: `retina` reads for it in
/// the background, and that reading has no bound. Its task is started on a runtime that goes at once, and the socket with it.
fn drop_unheard(session: Box<Session<Playing>>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let entered = runtime.enter();
            drop(session);
            drop(entered);
            runtime.shutdown_background();
        }
        Err(_) => drop(session),
    }
}

fn too_long() -> Failure {
    Failure::new(Cause::Malformed, "the camera sends a message without end")
}

/// The next event, and how many packets came in on the way.
fn poll_playing(
    session: Pin<&mut Session<Playing>>,
    stream: usize,
    depacketizer: &mut Depacketizer,
    lost: &mut u32,
    cx: &mut Context<'_>,
) -> (Poll<Event>, u32) {
    let mut packets = 0;
    let polled = poll_packets(session, stream, depacketizer, lost, cx, &mut packets);
    (polled, packets)
}

fn poll_packets(
    mut session: Pin<&mut Session<Playing>>,
    stream: usize,
    depacketizer: &mut Depacketizer,
    lost: &mut u32,
    cx: &mut Context<'_>,
    packets: &mut u32,
) -> Poll<Event> {
    if let Some(frame) = depacketizer.pull() {
        *packets += 1;
        return Poll::Ready(Event::Frame(frame));
    }
    loop {
        let item = ready!(session.as_mut().poll_next(cx));
        *packets += 1;
        match item {
            Some(Ok(PacketItem::Rtp(packet))) => {
                if packet.stream_id() != stream {
                    continue;
                }
                let payload = RtpPayload {
                    bytes: packet.payload(),
                    ticks: packet.timestamp().timestamp(),
                    is_last: packet.mark(),
                    lost_before: u32::from(packet.loss()).saturating_add(std::mem::take(lost)),
                };
                if payload.bytes.is_empty() {
                    // Some cameras keep a pause alive with empty packets; what was lost before one stays lost.
                    *lost = payload.lost_before;
                    continue;
                }
                match depacketizer.push(payload) {
                    Ok(Some(frame)) => return Poll::Ready(Event::Frame(frame)),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Event::Lost(payload_failure(error))),
                }
            }
            Some(Ok(PacketItem::Rtcp(compound))) => {
                let Some(ticks) = compound.rtp_timestamp() else { continue };
                let report = compound.pkts().find_map(|packet| packet.as_sender_report().ok().flatten());
                if let Some(report) = report {
                    let wall = wall_of_ntp(report.ntp_timestamp().0);
                    return Poll::Ready(Event::SenderReport { wall, ticks: ticks.timestamp() });
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Event::Lost(failure(&error))),
            None => {
                return Poll::Ready(Event::Lost(Failure::new(Cause::Closed, "the camera closed the connection")));
            }
        }
    }
}

/// What a broken payload means.
pub fn payload_failure(error: PayloadError) -> Failure {
    let cause = match error {
        PayloadError::Interleaved => Cause::Unsupported,
        PayloadError::Short | PayloadError::Kind | PayloadError::TooLong => Cause::Malformed,
    };
    Failure::new(cause, error.to_string())
}

fn options(dial: &Dial, group: &Arc<SessionGroup>, teardown: TeardownPolicy) -> SessionOptions {
    let credentials = dial
        .credentials
        .as_ref()
        .map(|c| RetinaCredentials { username: c.user.clone(), password: c.password.as_str().to_owned() });
    SessionOptions::default()
        .creds(credentials)
        .user_agent(USER_AGENT.to_owned())
        .session_group(Arc::clone(group))
        .teardown(teardown)
}

async fn open(dial: Dial, group: Arc<SessionGroup>) -> Result<Opened, Failure> {
    if dial.url.url.scheme() != "rtsp" {
        return Err(Failure::new(Cause::Unsupported, "this transport does not carry RTSP over TLS"));
    }
    // A session that we dropped a moment ago may still be saying good-bye.
    drop(tokio::time::timeout(TEARDOWN_MAX, group.await_teardown()).await);
    let mut session = describe(&dial, &group, TeardownPolicy::Auto).await?;
    if session.tool().is_some_and(Tool::has_live555_tcp_bug) {
        // `retina` would dial the address in Content-Base again and again to tear such a session down: an address of the
        // camera's choosing, past the guard. Nothing was set up yet, so dropping this session sends nothing.
        drop(session);
        session = describe(&dial, &group, TeardownPolicy::Never).await?;
    }
    let (stream, info) = choose(&session)?;
    let transport = RetinaTransportKind::Tcp(TcpTransportOptions::default());
    session.setup(stream, SetupOptions::default().transport(transport)).await.map_err(|e| failure(&e))?;
    let playing = session.play(PlayOptions::default()).await.map_err(|e| failure(&e))?;
    Ok((playing, stream, info))
}

async fn describe(
    dial: &Dial,
    group: &Arc<SessionGroup>,
    teardown: TeardownPolicy,
) -> Result<Session<Described>, Failure> {
    let described = Session::describe(dial.url.url.clone(), options(dial, group, teardown)).await;
    described.map_err(|e| failure(&e))
}

/// The first video stream that we carry.
fn choose(session: &Session<Described>) -> Result<(usize, SessionInfo), Failure> {
    if session.sdp().len() > SDP_LEN_MAX {
        return Err(Failure::new(Cause::Malformed, "the session description is too long"));
    }
    let offers_audio = session.streams().iter().any(|stream| stream.media() == "audio");
    let video = session.streams().iter().enumerate().find_map(|(at, stream)| {
        let codec = codec_of(stream.media(), stream.encoding_name())?;
        Some((at, stream, codec))
    });
    let Some((at, stream, codec)) = video else {
        return Err(Failure::new(Cause::Unsupported, "the camera offers neither H.264 nor H.265"));
    };
    if stream.clock_rate_hz() != CLOCK_RATE {
        return Err(Failure::new(Cause::Unsupported, "the video clock is not 90 kHz"));
    }
    let format = sdp::format_parameters(session.sdp(), stream.rtp_payload_type());
    if format.is_interleaved {
        return Err(payload_failure(PayloadError::Interleaved));
    }
    Ok((at, SessionInfo { codec, described_sets: format.sets, offers_audio }))
}

fn codec_of(media: &str, encoding: &str) -> Option<Codec> {
    match (media, encoding) {
        ("video", "h264") => Some(Codec::H264),
        ("video", "h265") => Some(Codec::H265),
        _ => None,
    }
}

/// `retina` keeps its kinds of error to itself; the status and the beginning of the text tell them apart (a test holds us
/// to the words of the version in use). The text itself holds addresses and bytes of the camera: it is not passed on.
fn failure(error: &retina::Error) -> Failure {
    if let Some(status) = error.status_code() {
        return status_failure(status);
    }
    let text = error.to_string();
    let starts = |words: &str| text.starts_with(words);
    if starts("Unable to connect") {
        Failure::new(Cause::Unreachable, "nobody answers at the address")
    } else if starts("Error reading") || starts("Error writing") {
        Failure::new(Cause::Closed, "the connection to the camera broke")
    } else if starts("Timeout") {
        Failure::new(Cause::Silent, "the camera stopped answering")
    } else if starts("Unsupported") {
        Failure::new(Cause::Unsupported, "the camera offers what is not carried")
    } else {
        Failure::new(Cause::Malformed, "the camera does not speak proper RTSP or RTP")
    }
}

fn status_failure(status: u16) -> Failure {
    match status {
        // RFC 2326 section 11. A success that ended in an error had a broken body.
        200..=299 => Failure::new(Cause::Malformed, "the camera's answer does not parse"),
        300..=399 => {
            Failure::new(Cause::Unsupported, format!("the camera redirects ({status}), which is not followed"))
        }
        401 | 403 | 407 => Failure::new(Cause::LoginRefused, format!("the camera refused the log-in ({status})")),
        453 | 500..=599 => Failure::new(Cause::Closed, format!("the camera has no room or failed ({status})")),
        461 => Failure::new(Cause::Unsupported, "the camera does not carry RTP over this connection (461)"),
        _ => Failure::new(Cause::Malformed, format!("the camera refused the request ({status})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_causes() {
        for (status, cause) in [
            (200, Cause::Malformed),
            (302, Cause::Unsupported),
            (401, Cause::LoginRefused),
            (403, Cause::LoginRefused),
            (404, Cause::Malformed),
            (453, Cause::Closed),
            (461, Cause::Unsupported),
            (503, Cause::Closed),
        ] {
            assert_eq!(status_failure(status).cause, cause, "{status}");
        }
    }
}
