//! One client's connection: requests in, answers and pictures out.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::auth;
use super::hostile;
use super::message::{self, Inbound, Method, Request, Response};
use super::sdp;
use super::server::{Camera, Shared, Stream};
use super::tls::{self, Reader, Writer};
use super::{Faults, transport};
use crate::counter::{Counter, sei_nal};
use crate::nal::{self, NalKind};
use crate::rtp::{Interleaved, Packetiser};
use transport::Delivery;

/// Sender reports: one right after PLAY, then at this step.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// A client that lags further behind than this is moved to the present; what it missed is counted as skipped. Longer than a busy host keeps the
/// simulator itself off the processor: that would be a hole that no recorder can be blamed for.
const BEHIND_MAX: Duration = Duration::from_secs(15);
/// A client that takes no bytes for this long is dropped.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// Why a connection ends. All but `Io` are as intended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the client closed it")]
    Closed,
    #[error("the client spoke no RTSP")]
    Message(#[from] message::MessageError),
    #[error("reading or writing failed")]
    Io(#[from] std::io::Error),
    #[error("a fault of the camera")]
    Fault,
    #[error("the client took no bytes in time")]
    Stuck,
    #[error("the client was silent for too long")]
    Silent,
    #[error("the session was torn down")]
    TornDown,
}

/// A track that was set up.
#[derive(Debug)]
struct Track {
    camera: u32,
    stream: Arc<Stream>,
    packetiser: Packetiser,
    delivery: Delivery,
    faults: watch::Receiver<Faults>,
}

#[derive(Debug)]
enum State {
    /// Nothing set up.
    Idle,
    Ready(Track),
    Playing {
        track: Track,
        /// Counter of the next unit.
        next: u64,
        due_at: Instant,
        report_at: Instant,
        /// Set by the fault `drop_every`.
        drop_at: Option<Instant>,
    },
}

/// What happened next.
enum Event {
    Bytes(usize),
    FrameDue,
    FaultsChanged,
    TimeOut,
    DropDue,
}

struct Connection {
    shared: Arc<Shared>,
    reader: Reader,
    writer: Writer,
    peer: IpAddr,
    local: IpAddr,
    inbound: BytesMut,
    /// Reused for every access unit on TCP.
    outbound: BytesMut,
    seed: u64,
    nonce: String,
    state: State,
    heard_at: Instant,
}

/// Serves one connection until it ends.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, seed: u64, stop: CancellationToken) {
    let counters = Arc::clone(&shared);
    counters.counters.connections_open.fetch_add(1, Ordering::Relaxed);
    let opened = tokio::select! {
        () = stop.cancelled() => Err(End::Closed),
        opened = timeout(WRITE_MAX, Connection::open(shared, stream, seed)) => match opened {
            Ok(opened) => opened.map_err(End::Io),
            Err(_) => Err(End::Silent),
        },
    };
    let end = match opened {
        Ok(mut connection) => {
            let end = tokio::select! {
                () = stop.cancelled() => End::Closed,
                end = connection.run() => end,
            };
            connection.leave();
            end
        }
        Err(end) => end,
    };
    tracing::debug!(reason = %end, "connection ended");
    counters.counters.connections_open.fetch_sub(1, Ordering::Relaxed);
}

impl Connection {
    async fn open(shared: Arc<Shared>, stream: TcpStream, seed: u64) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        let (peer, local) = (stream.peer_addr()?.ip(), stream.local_addr()?.ip());
        let (reader, writer) = tls::open(stream, shared.identity.as_ref()).await?;
        Ok(Self {
            shared,
            reader,
            writer,
            peer,
            local,
            inbound: BytesMut::with_capacity(4096),
            outbound: BytesMut::new(),
            seed,
            nonce: format!("{:016x}{:016x}", crate::mix(seed), crate::mix(seed ^ 0x0ddc_0ffe)),
            state: State::Idle,
            heard_at: Instant::now(),
        })
    }

    async fn run(&mut self) -> End {
        loop {
            let event = match self.next_event().await {
                Ok(event) => event,
                Err(error) => return End::Io(error),
            };
            if let Err(end) = self.handle(event).await {
                return end;
            }
        }
    }

    /// Cancel safe: only chooses.
    async fn next_event(&mut self) -> std::io::Result<Event> {
        let silent_at = self.heard_at + self.shared.session_timeout;
        let (due_at, drop_at, faults) = match &mut self.state {
            State::Idle => (None, None, None),
            State::Ready(track) => (None, None, Some(&mut track.faults)),
            State::Playing { track, due_at, drop_at, .. } => (Some(*due_at), *drop_at, Some(&mut track.faults)),
        };
        let faults_changed = async {
            let changed = match faults {
                Some(faults) => faults.changed().await.is_ok(),
                None => false,
            };
            // The sender lives as long as the server; without a track nothing can change.
            if !changed {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            read = self.reader.read_buf(&mut self.inbound) => Ok(Event::Bytes(read?)),
            () = faults_changed => Ok(Event::FaultsChanged),
            () = at(drop_at) => Ok(Event::DropDue),
            () = at(due_at) => Ok(Event::FrameDue),
            () = sleep_until(silent_at) => Ok(Event::TimeOut),
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Bytes(0) => Err(End::Closed),
            Event::Bytes(_) => {
                self.heard_at = Instant::now();
                while let Some(inbound) = message::take(&mut self.inbound)? {
                    match inbound {
                        Inbound::Frame => {}
                        Inbound::Request(request) => self.request(&request).await?,
                    }
                }
                Ok(())
            }
            Event::FrameDue => self.send_due().await,
            Event::FaultsChanged => self.faults_changed(),
            Event::TimeOut => Err(End::Silent),
            Event::DropDue => Err(End::Fault),
        }
    }

    fn faults_changed(&mut self) -> Result<(), End> {
        let (track, drop_at) = match &mut self.state {
            State::Idle => return Ok(()),
            State::Ready(track) => (track, None),
            State::Playing { track, drop_at, .. } => (track, Some(drop_at)),
        };
        let faults = track.faults.borrow_and_update().clone();
        if let Some(drop_at) = drop_at {
            *drop_at = faults.drop_every.map(|every| Instant::now() + every);
        }
        if faults.off || faults.hostile.is_some() { Err(End::Fault) } else { Ok(()) }
    }

    async fn request(&mut self, request: &Request) -> Result<(), End> {
        let shared = Arc::clone(&self.shared);
        let Some((camera, stream)) = shared.find(request.path()) else {
            // OPTIONS may name the server instead of a camera.
            let known = request.method == Method::Options && matches!(request.path(), "" | "*");
            let (status, reason) = if known { (200, "OK") } else { (404, "Not Found") };
            return self.reply(Response::new(request, status, reason).with("Public", PUBLIC)).await;
        };
        let faults = camera.faults.borrow().clone();
        if faults.off {
            return Err(End::Fault);
        }
        if let Some(kind) = faults.hostile {
            hostile::answer(kind, request, &mut self.writer).await?;
            return Err(End::Fault);
        }
        if faults.mute {
            return Ok(());
        }
        if request.method != Method::Options && !self.is_authorised(request, camera, &faults) {
            shared.counters.refused.fetch_add(1, Ordering::Relaxed);
            let refusal = Response::new(request, 401, "Unauthorized");
            return self.reply(refusal.with("WWW-Authenticate", &auth::challenge(&self.nonce))).await;
        }
        match request.method {
            Method::Options => self.reply(Response::new(request, 200, "OK").with("Public", PUBLIC)).await,
            Method::Describe => {
                let base = format!("{}/", request.uri.trim_end_matches('/'));
                let body = sdp::describe(stream.schedule.film(), camera.audio);
                let answer = Response::new(request, 200, "OK").with("Content-Base", &base);
                self.reply(answer.with_body("application/sdp", body)).await
            }
            Method::Setup if request.path().ends_with(sdp::AUDIO_TRACK) => self.setup_audio(request).await,
            Method::Setup => self.setup(request, camera, stream).await,
            Method::Play => self.play(request).await,
            Method::GetParameter | Method::SetParameter => {
                let answer = Response::new(request, 200, "OK").with("Session", &self.session_header());
                self.reply(answer).await
            }
            Method::Teardown => {
                self.reply(Response::new(request, 200, "OK").with("Session", &self.session_header())).await?;
                Err(End::TornDown)
            }
            Method::Pause | Method::Other => self.reply(Response::new(request, 501, "Not Implemented")).await,
        }
    }

    fn is_authorised(&self, request: &Request, camera: &Camera, faults: &Faults) -> bool {
        if faults.wrong_password {
            return false;
        }
        camera.credentials.as_ref().is_none_or(|wanted| auth::is_authorised(request, &self.nonce, wanted))
    }

    async fn setup(&mut self, request: &Request, camera: &Camera, stream: &Arc<Stream>) -> Result<(), End> {
        if !matches!(self.state, State::Idle) {
            return self.reply(Response::new(request, 455, "Method Not Valid in This State")).await;
        }
        let Some((delivery, header)) = self.negotiate(request).await? else { return Ok(()) };
        let packetiser = Packetiser::new(stream.schedule.film().codec(), self.seed);
        let header = format!("{header};ssrc={:08X}", packetiser.ssrc());
        let mut faults = camera.faults.subscribe();
        faults.mark_unchanged();
        let stream = Arc::clone(stream);
        self.state = State::Ready(Track { camera: camera.number, stream, packetiser, delivery, faults });
        let answer = Response::new(request, 200, "OK").with("Session", &self.session_header());
        self.reply(answer.with("Transport", &header)).await
    }

    /// The sound track can be had, as from a real camera, but nothing is ever sent on it. What counts is who asked.
    async fn setup_audio(&mut self, request: &Request) -> Result<(), End> {
        self.shared.counters.audio_setups.fetch_add(1, Ordering::Relaxed);
        let Some((_, header)) = self.negotiate(request).await? else { return Ok(()) };
        let answer = Response::new(request, 200, "OK").with("Session", &self.session_header());
        self.reply(answer.with("Transport", &header)).await
    }

    /// Agrees on a transport and words the answer; `None` when the request was refused.
    async fn negotiate(&mut self, request: &Request) -> Result<Option<(Delivery, String)>, End> {
        let wanted = request.header("transport").unwrap_or("");
        let agreed = Delivery::negotiate(wanted, self.local, self.peer).await?;
        if agreed.is_none() {
            self.reply(Response::new(request, 461, "Unsupported Transport")).await?;
        }
        Ok(agreed)
    }

    async fn play(&mut self, request: &Request) -> Result<(), End> {
        let mut track = match std::mem::replace(&mut self.state, State::Idle) {
            State::Ready(track) => track,
            playing @ (State::Idle | State::Playing { .. }) => {
                self.state = playing;
                return self.reply(Response::new(request, 455, "Method Not Valid in This State")).await;
            }
        };
        let now = Instant::now();
        let since_start = self.shared.since_start();
        let schedule = &track.stream.schedule;
        let next = schedule.counter_at(since_start);
        let due = schedule.due(next).ok_or(End::Fault)?;
        let wrap = track.faults.borrow().rtp_wrap;
        if let Some(after) = wrap {
            track
                .packetiser
                .wrap_after(due.pts, u32::try_from(after.as_secs()).unwrap_or(u32::MAX).saturating_mul(90_000));
        }
        let base = request.uri.trim_end_matches('/');
        let info = format!(
            "url={base}/{};seq={};rtptime={}",
            sdp::VIDEO_TRACK,
            track.packetiser.next_sequence(),
            track.packetiser.timestamp(due.pts)
        );
        track.stream.plays.fetch_add(1, Ordering::Relaxed);
        track.stream.playing.fetch_add(1, Ordering::Relaxed);
        let drop_at = track.faults.borrow().drop_every.map(|every| now + every);
        let due_at = self.shared.started + due.after;
        self.state = State::Playing { track, next, due_at, report_at: now, drop_at };
        let answer = Response::new(request, 200, "OK").with("Session", &self.session_header());
        self.reply(answer.with("Range", "npt=now-").with("RTP-Info", &info)).await?;
        self.report_if_due().await
    }

    async fn report_if_due(&mut self) -> Result<(), End> {
        let State::Playing { track, report_at, .. } = &mut self.state else { return Ok(()) };
        if Instant::now() < *report_at {
            return Ok(());
        }
        *report_at = Instant::now() + REPORT_EVERY;
        let since_start = self.shared.since_start();
        let offset = track.faults.borrow().clock_offset_secs(since_start).saturating_mul(1_000_000);
        let mut camera_time = self.shared.clock.now();
        camera_time.micros = camera_time.micros.saturating_add(offset);
        let report = track.packetiser.sender_report(camera_time, track.stream.schedule.position(since_start));
        if let Some(framed) = track.delivery.report(&report) {
            write(&mut self.writer, &framed).await?;
        }
        Ok(())
    }

    /// Sends the unit that is due and sets the time of the next.
    async fn send_due(&mut self) -> Result<(), End> {
        self.report_if_due().await?;
        let State::Playing { track, next, due_at, .. } = &mut self.state else { return Ok(()) };
        let since_start = self.shared.since_start();
        let stream = Arc::clone(&track.stream);
        let present = stream.schedule.counter_at(since_start);
        let oldest = stream.schedule.counter_at(since_start.saturating_sub(BEHIND_MAX));
        if *next < oldest {
            self.shared.counters.frames_skipped.fetch_add(present.saturating_sub(*next), Ordering::Relaxed);
            *next = present;
        }
        let due = stream.schedule.due(*next).ok_or(End::Fault)?;
        let faults = track.faults.borrow().clone();
        if !(faults.mute || faults.no_video || (faults.no_key_frames && due.unit.is_key)) {
            let counter = Counter { frame: due.counter, sent_at: self.shared.clock.now(), camera: track.camera };
            let codec = stream.schedule.film().codec();
            let sei = sei_nal(codec, &counter);
            let first_slice = due.unit.nals.iter().position(|n| matches!(nal::kind(codec, n), NalKind::Slice { .. }));
            let (before, after) = due.unit.nals.split_at_checked(first_slice.unwrap_or(0)).unwrap_or((&[], &[]));
            let nals = before.iter().chain([&sei]).chain(after).map(AsRef::as_ref);
            let sent = match &mut track.delivery {
                Delivery::Tcp { channel } => {
                    self.outbound.clear();
                    track.packetiser.unit(
                        nals,
                        due.pts,
                        &mut Interleaved { out: &mut self.outbound, channel: *channel },
                    );
                    write(&mut self.writer, &self.outbound).await?;
                    self.outbound.len()
                }
                Delivery::Udp(udp) => {
                    track.packetiser.unit(nals, due.pts, udp.packets());
                    let (sent, lost) = udp.send(faults.udp_loss_per_mille, self.seed ^ due.counter);
                    self.shared.counters.packets_lost.fetch_add(lost, Ordering::Relaxed);
                    sent
                }
            };
            stream.frames_sent.fetch_add(1, Ordering::Relaxed);
            self.shared.counters.frames_sent.fetch_add(1, Ordering::Relaxed);
            self.shared.counters.bytes_sent.fetch_add(u64::try_from(sent).unwrap_or(0), Ordering::Relaxed);
        }
        *next = next.saturating_add(1);
        *due_at = self.shared.started + stream.schedule.due(*next).ok_or(End::Fault)?.after;
        Ok(())
    }

    fn session_header(&self) -> String {
        format!("{:08X};timeout={}", self.seed & 0xffff_ffff, self.shared.session_timeout.as_secs())
    }

    async fn reply(&mut self, response: Response) -> Result<(), End> {
        write(&mut self.writer, &response.into_bytes()).await
    }

    /// Puts the figures right when the connection ends.
    fn leave(&mut self) {
        if let State::Playing { track, .. } = &self.state {
            track.stream.playing.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Methods we answer.
const PUBLIC: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

async fn write(writer: &mut Writer, bytes: &[u8]) -> Result<(), End> {
    let written = async {
        writer.write_all(bytes).await?;
        // TLS keeps what it has encrypted until it is told.
        writer.flush().await
    };
    timeout(WRITE_MAX, written).await.map_err(|_| End::Stuck)?.map_err(End::Io)
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
