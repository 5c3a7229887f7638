//! Drawn pictures through an H.264 encoder and a decoder, as a camera and the reader would pass them on.

use anpr::Frame;
use anyhow::Context as _;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::decode::{DecoderChoice, Tail, element, fault_of, frame_of, tail};
use crate::film::Shot;
use crate::sim_cmd::encode::encoder;

/// Pictures inside encoder and decoder at most.
const INSIDE_MAX: u64 = 4;

/// One wait for a picture.
const PULL: gst::ClockTime = gst::ClockTime::from_mseconds(5);

/// Waits until a pipeline that gives nothing counts as stuck: 10 s.
const PULLS_MAX: u32 = 2000;

/// `appsrc → videoconvert → openh264enc → h264parse → decoder → I420`.
pub(super) struct Coded {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    tail: Tail,
}

/// What to code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coding {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Pictures in `per_seconds`.
    pub(super) rate: (i32, i32),
    pub(super) bits_per_second: u32,
    pub(super) gop: u32,
    pub(super) decoder: DecoderChoice,
}

impl Coded {
    pub(super) fn start(coding: Coding) -> anyhow::Result<Self> {
        let pipeline = gst::Pipeline::new();
        let raw = gst::Caps::builder("video/x-raw")
            .field("format", "RGB")
            .field("width", i32::try_from(coding.width)?)
            .field("height", i32::try_from(coding.height)?)
            .field("framerate", gst::Fraction::new(coding.rate.0, coding.rate.1))
            .build();
        let source = gst_app::AppSrc::builder().caps(&raw).format(gst::Format::Time).block(false).build();
        let (convert, encoder) = (element("videoconvert")?, encoder(coding.bits_per_second, coding.gop)?);
        pipeline.add_many([source.upcast_ref(), &convert, &encoder])?;
        gst::Element::link_many([source.upcast_ref(), &convert, &encoder])?;
        let tail = tail(&pipeline, vms_core::Codec::H264, coding.decoder)?;
        encoder.link(&tail.entry)?;
        pipeline.set_state(gst::State::Playing)?;
        Ok(Self { pipeline, source, tail })
    }

    /// Gives one picture in; what comes out goes to `shown`.
    pub(super) fn push(
        &self,
        rgb: &[u8],
        at_us: u64,
        shown: &mut dyn FnMut(Shot) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut buffer = gst::Buffer::from_slice(rgb.to_vec());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_useconds(at_us));
        }
        self.source.push_buffer(buffer).context("the encoder takes no picture")?;
        let mut idle = 0;
        while self.source.current_level_buffers() >= INSIDE_MAX {
            idle = if self.pull(PULL, shown)? { 0 } else { self.waited(idle)? };
        }
        while self.pull(gst::ClockTime::ZERO, shown)? {}
        Ok(())
    }

    /// No more pictures: the rest.
    pub(super) fn finish(&self, shown: &mut dyn FnMut(Shot) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.source.end_of_stream()?;
        let mut idle = 0;
        while !self.tail.sink.is_eos() {
            idle = if self.pull(PULL, shown)? { 0 } else { self.waited(idle)? };
        }
        Ok(())
    }

    /// Shows one picture if it is there within `wait`.
    fn pull(&self, wait: gst::ClockTime, shown: &mut dyn FnMut(Shot) -> anyhow::Result<()>) -> anyhow::Result<bool> {
        let Some(sample) = self.tail.sink.try_pull_sample(wait) else { return Ok(false) };
        shown(shot(&sample)?)?;
        Ok(true)
    }

    fn waited(&self, idle: u32) -> anyhow::Result<u32> {
        if let Some(fault) = fault_of(&self.pipeline) {
            return Err(fault.into());
        }
        anyhow::ensure!(idle < PULLS_MAX, "encoder and decoder are stuck");
        Ok(idle + 1)
    }

    /// Name of the decoder in use.
    pub(super) fn decoder(&self) -> &str {
        &self.tail.decoder
    }
}

fn shot(sample: &gst::Sample) -> anyhow::Result<Shot> {
    let (frame, pts): (Frame, _) = frame_of(sample)?;
    Ok(Shot { frame, at_us: pts.map_or(0, gst::ClockTime::useconds) })
}

impl Drop for Coded {
    fn drop(&mut self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!("an encoder did not stop");
        }
    }
}
