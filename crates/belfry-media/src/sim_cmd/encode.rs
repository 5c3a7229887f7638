//! The encoder behind [`FilmEncoder`]: GStreamer with OpenH264, elements chosen by name here and nowhere else.
//!
//! `appsrc ! videoconvert ! openh264enc ! h264parse ! appsink`, written as Annex B with its timing beside it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use sim::FilmTiming;
use sim::scene::{FilmEncoder, Frame, RATE};

/// Pictures that may wait before the encoder; then [`FilmEncoder::push`] waits too.
const WAITING_FRAMES_MAX: u64 = 4;
/// Longest wait for the encoder to end, seconds.
const FINISH_SECS_MAX: u64 = 60;

/// Size and rate of a film to encode.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilmFormat {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Bit/s.
    pub(super) bits_per_second: u32,
    /// Pictures from one key picture to the next.
    pub(super) gop: u32,
}

/// Where the encoded bytes go, and the first error on the way.
struct Output {
    file: BufWriter<File>,
    failed: Option<std::io::Error>,
}

/// One film being encoded.
pub(super) struct GstEncoder {
    pipeline: gst::Pipeline,
    source: AppSrc,
    output: Arc<Mutex<Output>>,
    partial: PathBuf,
    path: PathBuf,
    pushed: u64,
}

impl std::fmt::Debug for GstEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GstEncoder").field("path", &self.path).field("pushed", &self.pushed).finish_non_exhaustive()
    }
}

impl GstEncoder {
    /// Starts a film that will lie at `path` once finished.
    pub(super) fn create(path: &Path, format: FilmFormat) -> anyhow::Result<Self> {
        let partial = path.with_extension("partial");
        let file = File::create(&partial).with_context(|| format!("creating `{}`", partial.display()))?;
        let output = Arc::new(Mutex::new(Output { file: BufWriter::new(file), failed: None }));
        let (width, height) = (i32::try_from(format.width)?, i32::try_from(format.height)?);
        let raw = gst::Caps::builder("video/x-raw")
            .field("format", "RGB")
            .field("width", width)
            .field("height", height)
            .field("framerate", gst::Fraction::new(i32::try_from(RATE)?, 1))
            .build();
        let frame_bytes = u64::try_from(format.width.saturating_mul(format.height).saturating_mul(3))?;
        let source = AppSrc::builder()
            .caps(&raw)
            .format(gst::Format::Time)
            .block(true)
            .max_bytes(frame_bytes.saturating_mul(WAITING_FRAMES_MAX))
            .build();
        let coded =
            gst::Caps::builder("video/x-h264").field("stream-format", "byte-stream").field("alignment", "au").build();
        let sink = AppSink::builder().caps(&coded).sync(false).callbacks(callbacks(&output)).build();
        let pipeline = gst::Pipeline::new();
        let convert = element("videoconvert")?;
        let encoder = encoder(format.bits_per_second, format.gop)?;
        let parse = gst::ElementFactory::make("h264parse").property("config-interval", -1).build()?;
        pipeline.add_many([source.upcast_ref(), &convert, &encoder, &parse, sink.upcast_ref()])?;
        gst::Element::link_many([source.upcast_ref(), &convert, &encoder, &parse, sink.upcast_ref()])?;
        pipeline.set_state(gst::State::Playing)?;
        Ok(Self { pipeline, source, output, partial, path: path.to_path_buf(), pushed: 0 })
    }

    /// Waits for the end of the stream, then stops everything.
    fn drain(&self) -> anyhow::Result<()> {
        self.source.end_of_stream()?;
        let bus = self.pipeline.bus().context("the pipeline has no bus")?;
        let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
        let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(FINISH_SECS_MAX), &wanted);
        let message = message.context("the encoder did not end in time")?;
        if let gst::MessageView::Error(error) = message.view() {
            anyhow::bail!("encoding `{}`: {}", self.path.display(), error.error());
        }
        Ok(())
    }
}

impl Drop for GstEncoder {
    fn drop(&mut self) {
        if let Err(error) = self.pipeline.set_state(gst::State::Null) {
            tracing::warn!(%error, "the encoder did not stop");
        }
    }
}

impl FilmEncoder for GstEncoder {
    type Error = anyhow::Error;

    fn push(&mut self, frame: &Frame) -> anyhow::Result<()> {
        let mut buffer = gst::Buffer::from_slice(frame.rgb().to_vec());
        let step = gst::ClockTime::SECOND.nseconds() / u64::from(RATE);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(self.pushed.saturating_mul(step)));
            buffer.set_duration(gst::ClockTime::from_nseconds(step));
        }
        self.pushed = self.pushed.saturating_add(1);
        self.source.push_buffer(buffer).map(drop).with_context(|| format!("encoding `{}`", self.path.display()))
    }

    fn finish(self) -> anyhow::Result<()> {
        self.drain()?;
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = output.failed.take() {
            return Err(error).with_context(|| format!("writing `{}`", self.partial.display()));
        }
        output.file.flush()?;
        let timing = serde_json::to_string(&FilmTiming { frames: RATE, per_seconds: 1 })?;
        std::fs::write(self.path.with_extension("json"), timing)?;
        std::fs::rename(&self.partial, &self.path)?;
        Ok(())
    }
}

/// `OpenH264` with `gop` pictures from one key picture to the next.
pub(crate) fn encoder(bits_per_second: u32, gop: u32) -> anyhow::Result<gst::Element> {
    gst::ElementFactory::make("openh264enc")
        .property("bitrate", bits_per_second)
        .property("max-bitrate", bits_per_second.saturating_mul(3) / 2)
        .property("gop-size", gop)
        .property_from_str("rate-control", "bitrate")
        .property_from_str("complexity", "low")
        .property("scene-change-detection", false)
        .build()
        .context("no element `openh264enc`: install gstreamer1.0-plugins-bad")
}

fn element(name: &str) -> anyhow::Result<gst::Element> {
    gst::ElementFactory::make(name)
        .build()
        .with_context(|| format!("no element `{name}`: install gstreamer1.0-plugins-base"))
}

/// Writes every coded picture to the file.
fn callbacks(output: &Arc<Mutex<Output>>) -> AppSinkCallbacks {
    let output = Arc::clone(output);
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            match output.file.write_all(&bytes) {
                Ok(()) => Ok(gst::FlowSuccess::Ok),
                Err(error) => {
                    output.failed = Some(error);
                    Err(gst::FlowError::Error)
                }
            }
        })
        .build()
}
