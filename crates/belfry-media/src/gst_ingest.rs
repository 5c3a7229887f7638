//! The second kind of ingest: GStreamer talks RTSP, for cameras that the pure-Rust client cannot take (UDP, multicast,
//! RTSP over TLS).
//!
//! The pipeline is built by hand and is as short as it can be: `rtspsrc` and an `appsink` for RTP packets. Access units are
//! made by [`ingest::depacketize`], as for every other camera: no C code looks into a payload, and the bytes are those
//! received. Elements outside [`ALLOWED_ELEMENTS`] end the session the moment they are made. Only the first video stream
//! is selected, sound never.
//!
//! What a camera answers cannot send us elsewhere: `rtspsrc` would follow a redirection, so every request is held back and
//! the session ended once the address is not the pinned one any more.

mod pins;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};
use ingest::clock::wall_of_ntp;
use ingest::depacketize::Depacketizer;
use ingest::rtp::{Order, Packet, sender_report, unwrap_near};
use ingest::rtsp::payload_failure;
use ingest::sdp::{FormatParameters, read_parameter};
use ingest::{
    Clock, Dial, Event, Failure, IngestConfig, Ports, Random, SessionInfo, SystemResolver, Transport, TransportFactory,
};
use link::{Cause, TransportKind};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vms_core::{Codec, MonoTime, WallTime};

use crate::host;
use pins::{Pin, is_pinned};

/// Everything that a pipeline may consist of: our two elements and what `rtspsrc` is made of.
pub(crate) const ALLOWED_ELEMENTS: [&str; 15] = [
    "pipeline",
    "rtspsrc",
    "appsink",
    "appsrc",
    "fakesink",
    "fakesrc",
    "udpsrc",
    "udpsink",
    "rtpbin",
    "rtpsession",
    "rtpstorage",
    "rtpssrcdemux",
    "rtpptdemux",
    "rtpjitterbuffer",
    "funnel",
];

/// Events between the streaming thread and the task of the camera. When it is full, the streaming thread waits, and then
/// the camera's packets wait in the socket (TCP) or are lost and counted (UDP).
const EVENTS_MAX: usize = 256;
/// Reordering over UDP is waited out for so long.
const UDP_LATENCY_MS: u32 = 100;
/// The camera gets so long to answer the TEARDOWN.
const TEARDOWN_NS: u64 = 500_000_000;

/// The two ways over which RTP comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lower {
    Tcp,
    Udp,
}

/// One camera by way of GStreamer.
#[derive(Debug)]
pub(crate) struct GstTransport {
    lower: Lower,
    pins: Arc<[Pin]>,
    session: Option<Session>,
    /// Pipelines that are being stopped.
    stopping: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Session {
    pipeline: gst::Pipeline,
    events: mpsc::Receiver<Event>,
}

/// What the callbacks of one session share.
#[derive(Debug)]
struct Shared {
    events: mpsc::Sender<Event>,
    pinned: String,
    offer: Mutex<Offer>,
    /// Time of the newest packet, unwrapped.
    ticks: AtomicI64,
}

#[derive(Debug, Default)]
struct Offer {
    codec: Option<Codec>,
    /// Which stream of the description was selected.
    selected: Option<u32>,
    format: FormatParameters,
    offers_audio: bool,
    is_told: bool,
}

impl GstTransport {
    /// A transport of this kind; `None` for the kind that is not GStreamer's.
    pub(crate) fn new(kind: TransportKind, pins: Arc<[Pin]>) -> Option<Self> {
        let lower = match kind {
            TransportKind::GstTcp => Lower::Tcp,
            TransportKind::GstUdp => Lower::Udp,
            TransportKind::Retina => return None,
        };
        Some(Self { lower, pins, session: None, stopping: Vec::new() })
    }
}

impl Transport for GstTransport {
    fn connect(&mut self, dial: Dial) {
        self.disconnect();
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let shared = Arc::new(Shared {
            events: sender,
            pinned: dial.url.url.to_string(),
            offer: Mutex::default(),
            ticks: AtomicI64::new(0),
        });
        let pipeline = gst::Pipeline::new();
        if let Err(error) = build(&pipeline, &dial, self.lower, &self.pins, &shared) {
            tracing::error!(%error, "the pipeline cannot be built");
            shared.lose(Failure::new(Cause::Unsupported, "the GStreamer elements for this camera are missing"));
        }
        self.session = Some(Session { pipeline, events });
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let Some(session) = self.session.as_mut() else { return Poll::Pending };
        let event = ready!(session.events.poll_recv(cx))
            .unwrap_or_else(|| Event::Lost(Failure::new(Cause::Closed, "the pipeline ended")));
        if matches!(event, Event::Lost(_)) {
            self.disconnect();
        }
        Poll::Ready(event)
    }

    fn disconnect(&mut self) {
        self.stopping.retain(|stop| !stop.is_finished());
        let Some(Session { pipeline, events }) = self.session.take() else { return };
        // The streaming thread may be waiting for room: without a receiver it gives up, and the pipeline can stop.
        drop(events);
        self.stopping.push(tokio::task::spawn_blocking(move || {
            if let Some(bus) = pipeline.bus() {
                bus.unset_sync_handler();
            }
            if pipeline.set_state(gst::State::Null).is_err() {
                tracing::warn!("a pipeline does not stop");
            }
        }));
    }

    fn farewell(&self) -> BoxFuture<'static, ()> {
        // The tasks run on a thread of their own; waiting for their end is waiting for the channel of each to close.
        let waiting: Vec<_> = self.stopping.iter().map(JoinHandle::abort_handle).collect();
        async move {
            while waiting.iter().any(|stop| !stop.is_finished()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        .boxed()
    }
}

impl Drop for GstTransport {
    fn drop(&mut self) {
        if let Some(Session { pipeline, events }) = self.session.take() {
            drop(events);
            if pipeline.set_state(gst::State::Null).is_err() {
                tracing::warn!("a pipeline does not stop");
            }
        }
    }
}

impl Shared {
    fn offer(&self) -> std::sync::MutexGuard<'_, Offer> {
        self.offer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never waits: a loss that finds the queue full is found again by the watchdogs of the session.
    fn lose(&self, failure: Failure) {
        drop(self.events.try_send(Event::Lost(failure)));
    }

    /// Says once that PLAY was answered.
    fn tell_connected(&self) {
        let mut offer = self.offer();
        if std::mem::replace(&mut offer.is_told, true) {
            return;
        }
        let event = match offer.codec {
            None => Event::Lost(Failure::new(Cause::Unsupported, "the camera offers neither H.264 nor H.265")),
            Some(_) if offer.format.is_interleaved => {
                Event::Lost(payload_failure(ingest::depacketize::PayloadError::Interleaved))
            }
            Some(codec) => Event::Connected(SessionInfo {
                codec,
                described_sets: std::mem::take(&mut offer.format.sets),
                offers_audio: offer.offers_audio,
            }),
        };
        drop(offer);
        drop(self.events.try_send(event));
    }

    /// Whether `rtspsrc` may set this stream up: the first video stream of a codec that we carry.
    fn select(&self, number: u32, caps: &gst::Caps) -> bool {
        let Some(format) = caps.structure(0) else { return false };
        let text = |field: &str| format.get::<String>(field).unwrap_or_default();
        let mut offer = self.offer();
        offer.offers_audio |= text("media") == "audio";
        let codec = match (text("media").as_str(), text("encoding-name").to_ascii_uppercase().as_str()) {
            ("video", "H264") => Codec::H264,
            ("video", "H265") => Codec::H265,
            _ => return false,
        };
        if offer.selected.is_some_and(|selected| selected != number) {
            return false;
        }
        offer.selected = Some(number);
        offer.codec = Some(codec);
        offer.format = FormatParameters::default();
        for field in format.fields() {
            read_parameter(field.as_str(), &text(field.as_str()), &mut offer.format);
        }
        true
    }
}

/// Makes the elements, wires them, starts.
fn build(
    pipeline: &gst::Pipeline,
    dial: &Dial,
    lower: Lower,
    pins: &Arc<[Pin]>,
    shared: &Arc<Shared>,
) -> Result<(), glib::BoolError> {
    let latency = match lower {
        Lower::Tcp => 0,
        Lower::Udp => UDP_LATENCY_MS,
    };
    let connect_us = u64::try_from(dial.connect_max.as_micros()).unwrap_or(u64::MAX);
    let mut source = gst::ElementFactory::make("rtspsrc")
        .property("location", &shared.pinned)
        .property("latency", latency)
        .property("tcp-timeout", connect_us)
        // No silent change to another transport, no packets to an address of the camera's choosing (`reliability.md` 7.2,
        // S8), no sound towards the camera.
        .property("timeout", 0_u64)
        .property("udp-reconnect", false)
        .property("do-rtcp", false)
        .property_from_str("nat-method", "none")
        .property_from_str("buffer-mode", "none")
        .property("teardown-timeout", TEARDOWN_NS)
        .property_from_str(
            "protocols",
            match lower {
                Lower::Tcp => "tcp",
                Lower::Udp => "udp+udp-mcast",
            },
        );
    if let Some(login) = &dial.credentials {
        source = source.property("user-id", &login.user).property("user-pw", login.password.as_str());
    }
    let source = source.build()?;
    let sink = AppSink::builder().sync(false).async_(false).enable_last_sample(false).max_buffers(64).build();
    watch_elements(pipeline, shared);
    watch_requests(&source, shared);
    watch_certificate(&source, dial.url.address, pins, shared);
    watch_bus(pipeline, shared)?;
    sink.set_callbacks(packets(Arc::clone(shared)));
    pipeline.add_many([&source, sink.upcast_ref()])?;
    let target = sink.static_pad("sink").ok_or_else(|| glib::bool_error!("an appsink without a pad"))?;
    source.connect_pad_added(move |_, pad| {
        if !target.is_linked() && pad.link(&target).is_err() {
            tracing::warn!("a stream of a camera does not fit the pipeline");
        }
    });
    pipeline.set_state(gst::State::Playing).map_err(|_| glib::bool_error!("the pipeline does not start"))?;
    Ok(())
}

fn watch_elements(pipeline: &gst::Pipeline, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    pipeline.connect_deep_element_added(move |_, _, element| {
        let name = element.factory().map(|factory| factory.name());
        // Bins without a factory are containers that `rtspsrc` makes for itself.
        if name.as_ref().is_some_and(|name| !ALLOWED_ELEMENTS.contains(&name.as_str())) {
            tracing::error!(element = name.as_deref(), "an element outside the allow list was made");
            let name = name.as_deref().unwrap_or_default();
            shared.lose(Failure::new(Cause::Unsupported, format!("the element `{name}` is not allowed")));
        }
        if name.as_deref() == Some("rtpjitterbuffer") {
            watch_reports(element, &shared);
        }
    });
}

fn watch_requests(source: &gst::Element, shared: &Arc<Shared>) {
    let selecting = Arc::clone(shared);
    source.connect("select-stream", false, move |values| {
        let number = values.get(1).and_then(|v| v.get::<u32>().ok());
        let caps = values.get(2).and_then(|v| v.get::<gst::Caps>().ok());
        Some(number.zip(caps).is_some_and(|(number, caps)| selecting.select(number, &caps)).to_value())
    });
    let shared = Arc::clone(shared);
    source.connect("before-send", false, move |values| {
        let location = values.first().and_then(|v| v.get::<gst::Element>().ok());
        let is_pinned = location.is_some_and(|source| source.property::<String>("location") == shared.pinned);
        if !is_pinned {
            shared.lose(Failure::new(Cause::Unsupported, "the camera redirects, which is not followed"));
        }
        Some(is_pinned.to_value())
    });
}

/// Asked only about a certificate that no authority of this machine vouches for.
fn watch_certificate(source: &gst::Element, address: SocketAddr, pins: &Arc<[Pin]>, shared: &Arc<Shared>) {
    let (pins, shared) = (Arc::clone(pins), Arc::clone(shared));
    source.connect("accept-certificate", false, move |values| {
        let certificate = values.get(2).and_then(|v| v.get::<glib::Object>().ok());
        let der = certificate
            .and_then(|c| c.find_property("certificate").map(|_| c.property::<glib::ByteArray>("certificate")));
        let is_trusted = der.is_some_and(|der| is_pinned(&pins, address, &der));
        if !is_trusted {
            // Said before GStreamer says that the connection failed: the first word counts.
            shared.lose(Failure::new(Cause::Unsupported, "the camera's certificate is not trusted at its address"));
        }
        Some(is_trusted.to_value())
    });
}

fn watch_bus(pipeline: &gst::Pipeline, shared: &Arc<Shared>) -> Result<(), glib::BoolError> {
    let bus = pipeline.bus().ok_or_else(|| glib::bool_error!("a pipeline without a bus"))?;
    let shared = Arc::clone(shared);
    bus.set_sync_handler(move |_, message| {
        let view = message.view();
        if let gst::MessageView::Error(error) = view {
            shared.lose(failure(&error.error()));
        } else if let gst::MessageView::Eos(_) = view {
            shared.lose(Failure::new(Cause::Closed, "the camera closed the session"));
        } else if let gst::MessageView::Progress(progress) = view
            && let (gst::ProgressType::Complete, "request", _) = progress.get()
        {
            shared.tell_connected();
        }
        gst::BusSyncReply::Drop
    });
    Ok(())
}

/// Texts of GStreamer hold addresses: only the kind is passed on.
fn failure(error: &glib::Error) -> Failure {
    let is = |kind| error.kind::<gst::ResourceError>() == Some(kind);
    if is(gst::ResourceError::NotAuthorized) {
        Failure::new(Cause::LoginRefused, "the camera refused the log-in")
    } else if is(gst::ResourceError::OpenRead) || is(gst::ResourceError::OpenReadWrite) {
        Failure::new(Cause::Unreachable, "nobody answers at the address")
    } else if is(gst::ResourceError::Read) || is(gst::ResourceError::Write) || is(gst::ResourceError::Close) {
        Failure::new(Cause::Closed, "the connection to the camera broke")
    } else if is(gst::ResourceError::Settings) {
        Failure::new(Cause::Unsupported, "the camera does not carry RTP over this transport")
    } else {
        Failure::new(Cause::Malformed, "the camera does not speak proper RTSP or RTP")
    }
}

/// What the streaming thread does with each packet.
fn packets(shared: Arc<Shared>) -> AppSinkCallbacks {
    let mut order = Order::default();
    let mut depacketizer: Option<Depacketizer> = None;
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let Some(buffer) = sample.buffer() else { return Ok(gst::FlowSuccess::Ok) };
            shared.tell_connected();
            let Some(codec) = shared.offer().codec else { return Err(gst::FlowError::NotNegotiated) };
            let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            let payload = Packet::parse(&bytes).and_then(|packet| order.place(&packet));
            let Some(payload) = payload else { return Ok(gst::FlowSuccess::Ok) };
            shared.ticks.store(payload.ticks, Ordering::Relaxed);
            let depacketizer = depacketizer.get_or_insert_with(|| Depacketizer::new(codec));
            match depacketizer.push(payload) {
                Ok(frame) => {
                    for frame in frame.into_iter().chain(depacketizer.pull()) {
                        send(&shared, Event::Frame(frame))?;
                    }
                    Ok(gst::FlowSuccess::Ok)
                }
                Err(error) => {
                    send(&shared, Event::Lost(payload_failure(error)))?;
                    Err(gst::FlowError::Error)
                }
            }
        })
        .build()
}

/// Waits for room; an error once nobody listens any more.
fn send(shared: &Shared, event: Event) -> Result<(), gst::FlowError> {
    shared.events.blocking_send(event).map_err(|_| gst::FlowError::Flushing)
}

/// Sender reports, as the jitter buffer passes them on: the only place where GStreamer 1.22 shows them.
fn watch_reports(buffer: &gst::Element, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    buffer.connect("handle-sync", false, move |values| {
        let report =
            values.get(1).and_then(|v| v.get::<gst::Structure>().ok())?.get::<gst::Buffer>("sr-buffer").ok()?;
        let (ntp, rtp) = sender_report(&report.map_readable().ok()?)?;
        let ticks = unwrap_near(rtp, shared.ticks.load(Ordering::Relaxed));
        // A report that finds the queue full is followed by another.
        drop(shared.events.try_send(Event::SenderReport { wall: wall_of_ntp(ntp), ticks }));
        None
    });
}

/// Makes [`GstTransport`]s.
#[derive(Clone, Debug, Default)]
pub(crate) struct GstFactory {
    pins: Arc<[Pin]>,
}

impl TransportFactory for GstFactory {
    fn make(&self, kind: TransportKind) -> Option<Box<dyn Transport>> {
        GstTransport::new(kind, Arc::clone(&self.pins)).map(|transport| Box::new(transport) as Box<dyn Transport>)
    }
}

/// The host's clocks.
#[derive(Clone, Copy, Debug)]
struct HostClock;

impl Clock for HostClock {
    fn wall(&self) -> WallTime {
        host::wall()
    }

    fn mono(&self) -> MonoTime {
        host::mono()
    }
}

/// A counter behind a random start: enough for jitter.
#[derive(Debug)]
struct Seeds(AtomicU64);

impl Random for Seeds {
    fn next_u64(&self) -> u64 {
        self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }
}

/// Instances of this kind are numbered from here on: the recorder tells the two kinds apart by it (its shard numbers).
const INSTANCE_FIRST: u32 = 1_000;

/// Arguments of the role.
#[derive(Debug, clap::Args)]
pub(crate) struct IngestArgs {
    /// Folder with `recorder.sock`.
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: PathBuf,
    /// Which of several GStreamer ingest processes this is, from 0.
    #[arg(long, default_value_t = 0)]
    pub(crate) instance: u32,
    /// A camera's own certificate for rtsps://, trusted at this address only. May be repeated.
    #[arg(long = "certificate", value_name = "ADDRESS:PORT=SHA256")]
    pub(crate) certificates: Vec<Pin>,
}

/// What GIO may use besides the network: no proxy of the desktop, no settings of the desktop.
const WITHOUT_DESKTOP: [(&str, &str); 2] = [("GIO_USE_PROXY_RESOLVER", "dummy"), ("GSETTINGS_BACKEND", "memory")];

/// Starts this program anew in its own place, once, without the desktop's parts of GIO.
///
/// Before GIO dials the first camera it makes every proxy resolver that is installed, and the one for GNOME ends the process
/// when the sandbox hides its settings. Only the environment keeps it away, and a process can give another environment to its
/// successor only.
fn leave_desktop() -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt as _;
    if WITHOUT_DESKTOP.iter().all(|(name, value)| std::env::var_os(name).is_some_and(|is| is == *value)) {
        return Ok(());
    }
    let program = std::env::current_exe()?;
    let words = std::env::args_os().skip(1);
    Err(std::process::Command::new(program).args(words).envs(WITHOUT_DESKTOP).exec().into())
}

/// The whole life of a GStreamer ingest process: serves the `gst_tcp` and `gst_udp` streams of the list that the recorder
/// gives to it, until `watch` cancels what it gets. Confines the process and makes its own runtime: call it from `main`,
/// outside of any other.
///
/// # Errors
/// GStreamer or an element is missing, or the kernel refuses the sandbox's rules.
pub(crate) fn run_role<F>(args: &IngestArgs, watch: impl FnOnce(CancellationToken) -> F) -> anyhow::Result<()>
where
    F: Future<Output: Send> + Send + 'static,
{
    use anyhow::Context as _;
    leave_desktop()?;
    gst::init().context("starting GStreamer")?;
    for name in ALLOWED_ELEMENTS {
        let factory = gst::ElementFactory::find(name)
            .with_context(|| format!("GStreamer has no `{name}`: install gstreamer1.0-plugins-base and -good"))?;
        // Loaded now: afterwards no file can be opened for it.
        factory.load().with_context(|| format!("loading `{name}`"))?;
    }
    // What a TLS library reads: certificates, and its modules.
    let readable = ["/etc/ssl", "/usr/share/ca-certificates", "/usr/lib", "/lib"].map(PathBuf::from);
    ingest::confine(&args.run_dir, &readable).context("confining the process")?;
    harden::filter_calls()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ports = Ports {
        clock: Arc::new(HostClock),
        random: Arc::new(Seeds(AtomicU64::new(rand::random()))),
        resolver: Arc::new(SystemResolver),
        transports: Arc::new(GstFactory { pins: args.certificates.clone().into() }),
    };
    let kinds = vec![TransportKind::GstTcp, TransportKind::GstUdp];
    let instance = INSTANCE_FIRST.saturating_add(args.instance);
    let config = IngestConfig::standard(args.run_dir.join("recorder.sock"), instance, kinds);
    let shutdown = CancellationToken::new();
    runtime.block_on(async {
        let watching = tokio::spawn(watch(shutdown.clone()));
        ingest::run(config, ports, shutdown).await;
        watching.abort();
    });
    Ok(())
}
