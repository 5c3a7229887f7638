//! GStreamer decoding behind the reader's port. Pipelines are built by hand from a fixed list of elements; nothing from
//! outside chooses an element.
//!
//! `appsrc → h264parse|h265parse → decoder → videoconvert → I420 → appsink`. Bounded: the source takes no unit while
//! [`UNITS_INSIDE_MAX`] wait, and meanwhile the finished pictures are taken out, so that neither end waits for the other.

use std::collections::VecDeque;

use anpr::frame::{Frame, Layout, Plane};
use anpr::role::{DecodeError, Decoded, Decoder, Decoders};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use media::{AccessUnit, Clocks, ParameterSets};
use vms_core::Codec;

/// Units in front of the decoder at most.
const UNITS_INSIDE_MAX: u64 = 3;

/// A decoder that takes nothing for this long is stuck.
const STUCK: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// One wait for a picture.
const PULL: gst::ClockTime = gst::ClockTime::from_mseconds(20);

/// Units whose clocks are remembered until their picture comes: more than any reordering (16 in H.264).
const CLOCKS_MAX: usize = 64;

/// Which decoder to use for H.264.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DecoderChoice {
    /// libav where it is installed, else `OpenH264`.
    Auto,
    /// `avdec_h264` (a run-time plug-in of the system; Debian's is a GPL build and never shipped by us).
    Libav,
    /// `openh264dec` (BSD).
    Openh264,
}

impl DecoderChoice {
    fn elements(self, codec: Codec) -> &'static [&'static str] {
        match (codec, self) {
            (Codec::H264, Self::Auto) => &["avdec_h264", "openh264dec"],
            (Codec::H264, Self::Libav) => &["avdec_h264"],
            (Codec::H264, Self::Openh264) => &["openh264dec"],
            (Codec::H265, Self::Auto | Self::Libav | Self::Openh264) => &["avdec_h265", "libde265dec"],
        }
    }
}

fn failed(what: &str) -> DecodeError {
    DecodeError(what.to_owned())
}

fn glib_failed(error: impl std::fmt::Display) -> DecodeError {
    DecodeError(error.to_string())
}

/// Makes one element of our list.
pub(crate) fn element(name: &str) -> Result<gst::Element, DecodeError> {
    gst::ElementFactory::make(name)
        .build()
        .map_err(|_| DecodeError(format!("the GStreamer element `{name}` is not installed")))
}

fn decoder_element(choice: DecoderChoice, codec: Codec) -> Result<gst::Element, DecodeError> {
    let names = choice.elements(codec);
    let found = names.iter().find_map(|name| element(name).ok());
    let decoder = found.ok_or_else(|| DecodeError(format!("none of these decoders is installed: {names:?}")))?;
    // Many cameras share the cores: one thread each, and no picture held back by frame threads.
    if decoder.has_property("max-threads") {
        decoder.set_property("max-threads", 1_i32);
    }
    // A broken picture reads as a wrong plate.
    for (property, value) in [("output-corrupt", false), ("discard-corrupted-frames", true), ("qos", false)] {
        if decoder.has_property(property) {
            decoder.set_property(property, value);
        }
    }
    Ok(decoder)
}

/// The end that all our pipelines share.
pub(crate) struct Tail {
    /// Link the demuxer or the source here.
    pub(crate) entry: gst::Element,
    pub(crate) sink: gst_app::AppSink,
    /// Name of the decoder in use.
    pub(crate) decoder: String,
}

/// Adds parser, decoder, converter and sink to `pipeline`.
pub(crate) fn tail(pipeline: &gst::Pipeline, codec: Codec, choice: DecoderChoice) -> Result<Tail, DecodeError> {
    let parser = element(match codec {
        Codec::H264 => "h264parse",
        Codec::H265 => "h265parse",
    })?;
    let decoder = decoder_element(choice, codec)?;
    let name = decoder.factory().map(|factory| factory.name().to_string()).unwrap_or_default();
    let convert = element("videoconvert")?;
    let caps = gst_video::VideoCapsBuilder::new().format(gst_video::VideoFormat::I420).build();
    let sink = gst_app::AppSink::builder().caps(&caps).sync(false).max_buffers(4).drop(false).build();
    let chain = [&parser, &decoder, &convert, sink.upcast_ref()];
    pipeline.add_many(chain).map_err(glib_failed)?;
    gst::Element::link_many(chain).map_err(glib_failed)?;
    for element in chain {
        element.sync_state_with_parent().map_err(glib_failed)?;
    }
    Ok(Tail { entry: parser, sink, decoder: name })
}

/// A picture out of a sample, without copying its pixels.
pub(crate) fn frame_of(sample: &gst::Sample) -> Result<(Frame, Option<gst::ClockTime>), DecodeError> {
    let info = sample.caps().and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok());
    let info = info.ok_or_else(|| failed("a picture without a description"))?;
    let buffer = sample.buffer_owned().ok_or_else(|| failed("a sample without a picture"))?;
    let pts = buffer.pts();
    let (offsets, strides) = match buffer.meta::<gst_video::VideoMeta>() {
        Some(meta) => (meta.offset().to_vec(), meta.stride().to_vec()),
        None => (info.offset().to_vec(), info.stride().to_vec()),
    };
    let plane = |i: usize| -> Option<Plane> {
        Some(Plane { offset: *offsets.get(i)?, stride: usize::try_from(*strides.get(i)?).ok()? })
    };
    let (Some(y), Some(u), Some(v)) = (plane(0), plane(1), plane(2)) else { return Err(failed("not three planes")) };
    let full_range = info.colorimetry().range() == gst_video::VideoColorRange::Range0_255;
    let mapped = buffer.into_mapped_buffer_readable().map_err(|_| failed("a picture that cannot be mapped"))?;
    let layout = Layout::I420 { planes: [y, u, v], full_range };
    let frame = Frame::new(info.width(), info.height(), layout, Bytes::from_owner(mapped)).map_err(glib_failed)?;
    Ok((frame, pts))
}

/// What went wrong inside a pipeline, if anything did.
pub(crate) fn fault_of(pipeline: &gst::Pipeline) -> Option<DecodeError> {
    let message = pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
    if let gst::MessageView::Error(error) = message.view() {
        return Some(DecodeError(error.error().to_string()));
    }
    None
}

/// Makes GStreamer decoders for the reader role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GstDecoders {
    pub(crate) choice: DecoderChoice,
}

impl Decoders for GstDecoders {
    fn open(&self, sets: &ParameterSets) -> Result<Box<dyn Decoder>, DecodeError> {
        Ok(Box::new(GstDecoder::open(sets, self.choice)?))
    }
}

struct GstDecoder {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
    /// Parameter sets with start codes, put before each key frame.
    head: Vec<u8>,
    /// Presentation time of the first unit: the pipeline counts from an hour, so that an earlier one still fits.
    base_ticks: Option<i64>,
    clocks: VecDeque<(gst::ClockTime, Clocks)>,
    ready: VecDeque<Decoded>,
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];
const HOUR_NS: i64 = 3_600_000_000_000;

impl GstDecoder {
    fn open(sets: &ParameterSets, choice: DecoderChoice) -> Result<Self, DecodeError> {
        let pipeline = gst::Pipeline::new();
        let media = match sets.codec {
            Codec::H264 => "video/x-h264",
            Codec::H265 => "video/x-h265",
        };
        let caps = gst::Caps::builder(media).field("stream-format", "byte-stream").field("alignment", "au").build();
        let source = gst_app::AppSrc::builder().caps(&caps).format(gst::Format::Time).block(false).build();
        pipeline.add(&source).map_err(glib_failed)?;
        let end = tail(&pipeline, sets.codec, choice)?;
        source.link(&end.entry).map_err(glib_failed)?;
        pipeline.set_state(gst::State::Playing).map_err(glib_failed)?;
        let head = sets.vps.iter().chain(&sets.sps).chain(&sets.pps).flat_map(|nal| [&START_CODE[..], nal].concat());
        Ok(Self {
            pipeline,
            source,
            sink: end.sink,
            head: head.collect(),
            base_ticks: None,
            clocks: VecDeque::new(),
            ready: VecDeque::new(),
        })
    }

    fn pts_of(&mut self, ticks: i64) -> gst::ClockTime {
        let base = *self.base_ticks.get_or_insert(ticks);
        let ns = ticks.saturating_sub(base).saturating_mul(100_000) / 9 + HOUR_NS;
        gst::ClockTime::from_nseconds(u64::try_from(ns).unwrap_or(0))
    }

    /// Takes out one finished picture, waiting at most `wait`.
    fn pull(&mut self, wait: gst::ClockTime) -> Result<bool, DecodeError> {
        let Some(sample) = self.sink.try_pull_sample(wait) else { return Ok(false) };
        let (frame, pts) = frame_of(&sample)?;
        let known = self.clocks.iter().position(|(at, _)| Some(*at) == pts);
        // A decoder that lost the time gives pictures in order: the oldest unit is the best guess.
        let clocks = self.clocks.remove(known.unwrap_or(0)).map(|(_, clocks)| clocks).unwrap_or_default();
        self.ready.push_back(Decoded { frame, clocks });
        Ok(true)
    }

    fn check(&self) -> Result<(), DecodeError> {
        fault_of(&self.pipeline).map_or(Ok(()), Err)
    }
}

/// NAL lengths replaced by start codes, which are as long; `None` when the lengths do not fit the payload.
fn annex_b(payload: &[u8], mut out: Vec<u8>) -> Option<Vec<u8>> {
    let mut rest = payload;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (nal, after) = after.split_at_checked(length)?;
        out.extend_from_slice(&START_CODE);
        out.extend_from_slice(nal);
        rest = after;
    }
    Some(out)
}

impl Decoder for GstDecoder {
    fn feed(&mut self, unit: &AccessUnit) -> Result<(), DecodeError> {
        let mut bytes = Vec::with_capacity(unit.payload.len() + self.head.len());
        if unit.is_key {
            bytes.extend_from_slice(&self.head);
        }
        let bytes = annex_b(&unit.payload, bytes).ok_or_else(|| failed("a unit whose lengths do not fit"))?;
        let pts = self.pts_of(unit.pts.ticks_90k);
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        if let Some(writable) = buffer.get_mut() {
            writable.set_pts(pts);
            if !unit.is_key {
                writable.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        if self.clocks.len() >= CLOCKS_MAX {
            self.clocks.pop_front();
        }
        self.clocks.push_back((pts, unit.clocks));
        self.source.push_buffer(buffer).map_err(glib_failed)?;
        let mut waited = gst::ClockTime::ZERO;
        while self.source.current_level_buffers() > UNITS_INSIDE_MAX {
            if !self.pull(PULL)? {
                self.check()?;
                waited += PULL;
                if waited > STUCK {
                    return Err(failed("it takes no more units"));
                }
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Option<Decoded>, DecodeError> {
        if self.ready.is_empty() && !self.pull(gst::ClockTime::ZERO)? {
            self.check()?;
        }
        Ok(self.ready.pop_front())
    }

    fn finish(&mut self) -> Result<Vec<Decoded>, DecodeError> {
        self.source.end_of_stream().map_err(glib_failed)?;
        let mut waited = gst::ClockTime::ZERO;
        while !self.sink.is_eos() && waited < STUCK {
            if !self.pull(PULL)? {
                self.check()?;
                waited += PULL;
            }
        }
        Ok(self.ready.drain(..).collect())
    }
}

impl Drop for GstDecoder {
    fn drop(&mut self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!("a decoder did not stop");
        }
    }
}

/// Feeds foreign bytes to the reframing of units (fuzz target and corpus test).
#[cfg(test)]
pub(crate) fn fuzz_annex_b(data: &[u8]) {
    drop(annex_b(data, Vec::new()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_become_start_codes() {
        for (payload, wanted) in [
            (&b"\0\0\0\x02ab\0\0\0\x01c"[..], Some(&b"\0\0\0\x01ab\0\0\0\x01c"[..])),
            (b"", Some(b"")),
            (b"\0\0\0\x05ab", None),
            (b"\0\0", None),
            (b"\xff\xff\xff\xffab", None),
        ] {
            assert_eq!(annex_b(payload, Vec::new()).as_deref(), wanted);
            fuzz_annex_b(payload);
        }
    }
}
