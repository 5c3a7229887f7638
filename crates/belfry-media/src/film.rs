//! Pictures and films from files: `anpr read`, `eval` and `bench`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anpr::Frame;
use anyhow::{Context as _, bail};
use gstreamer as gst;
use gstreamer::prelude::*;
use vms_core::Codec;

use crate::decode::{DecoderChoice, Tail, element, fault_of, frame_of, tail};

/// A picture file decoded takes at most this, bytes of pixels: 100 megapixels.
const PIXEL_BYTES_MAX: u64 = 300_000_000;

/// Longest wait for the first picture of a film, and for the next.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// What a file holds, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Picture,
    /// With the demuxer that opens it.
    Film(&'static str),
}

/// Looks at the first bytes; `None` when it is none of ours.
pub(crate) fn kind_of(head: &[u8]) -> Option<Kind> {
    let is = |at: usize, magic: &[u8]| head.get(at..at + magic.len()) == Some(magic);
    if is(0, b"\xff\xd8\xff") || is(0, b"\x89PNG") {
        Some(Kind::Picture)
    } else if is(4, b"ftyp") {
        Some(Kind::Film("qtdemux"))
    } else if is(0, b"\x1a\x45\xdf\xa3") {
        Some(Kind::Film("matroskademux"))
    } else if is(0, b"\x47") && is(188, b"\x47") {
        Some(Kind::Film("tsdemux"))
    } else {
        None
    }
}

/// What the file at `path` holds.
pub(crate) fn kind_of_file(path: &Path) -> anyhow::Result<Kind> {
    let mut head = Vec::new();
    File::open(path)?.take(192).read_to_end(&mut head)?;
    kind_of(&head).context("neither a JPEG or PNG picture nor an MP4, Matroska or MPEG-TS film")
}

/// Decodes a picture file.
pub(crate) fn picture(path: &Path) -> anyhow::Result<Frame> {
    let mut reader = image::ImageReader::open(path)?.with_guessed_format()?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(PIXEL_BYTES_MAX);
    reader.limits(limits);
    let rgb = reader.decode()?.into_rgb8();
    let (width, height) = rgb.dimensions();
    Ok(Frame::from_rgb(width, height, rgb.into_raw().into())?)
}

/// A film being decoded.
pub(crate) struct Film {
    pipeline: gst::Pipeline,
    tail: Tail,
}

impl Film {
    /// Opens a film whose video is `codec`.
    fn start(path: &Path, demuxer: &str, codec: Codec, choice: DecoderChoice) -> anyhow::Result<Self> {
        let pipeline = gst::Pipeline::new();
        let source = element("filesrc")?;
        source.set_property("location", path);
        let demux = element(demuxer)?;
        pipeline.add_many([&source, &demux])?;
        source.link(&demux)?;
        let end = tail(&pipeline, codec, choice)?;
        let entry = end.entry.static_pad("sink").context("a parser has an input")?;
        let wanted = match codec {
            Codec::H264 => "video/x-h264",
            Codec::H265 => "video/x-h265",
        };
        demux.connect_pad_added(move |_, pad| {
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let ours = caps.structure(0).is_some_and(|s| s.name() == wanted);
            // Sound and further video tracks stay unlinked.
            if ours && !entry.is_linked() && pad.link(&entry).is_err() {
                tracing::warn!("a film's video track does not fit the parser");
            }
        });
        pipeline.set_state(gst::State::Playing)?;
        Ok(Self { pipeline, tail: end })
    }

    /// Opens a film: H.264, or H.265 when it holds no H.264.
    pub(crate) fn open(path: &Path, demuxer: &str, choice: DecoderChoice) -> anyhow::Result<(Self, Option<Shot>)> {
        let mut last = None;
        for codec in [Codec::H264, Codec::H265] {
            let mut film = match Self::start(path, demuxer, codec, choice) {
                Ok(film) => film,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            match film.next() {
                Ok(first) => return Ok((film, first)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no video in it")))
    }

    /// Name of the decoder in use.
    pub(crate) fn decoder(&self) -> &str {
        &self.tail.decoder
    }

    /// The next picture; `None` at the end.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Shot>> {
        match self.tail.sink.try_pull_sample(PATIENCE) {
            Some(sample) => {
                let (frame, pts) = frame_of(&sample)?;
                Ok(Some(Shot { frame, at_us: pts.map_or(0, gst::ClockTime::useconds) }))
            }
            None => match fault_of(&self.pipeline) {
                Some(error) => Err(error.into()),
                None if self.tail.sink.is_eos() => Ok(None),
                None => bail!("the film gives no picture"),
            },
        }
    }
}

impl Drop for Film {
    fn drop(&mut self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!("a film did not stop");
        }
    }
}

/// One picture of a film.
pub(crate) struct Shot {
    pub(crate) frame: Frame,
    /// From the start of the film.
    pub(crate) at_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let mut ts = vec![0x47; 1];
        ts.resize(188, 0);
        ts.push(0x47);
        for (head, wanted) in [
            (&b"\xff\xd8\xff\xe0"[..], Some(Kind::Picture)),
            (b"\x89PNG\r\n", Some(Kind::Picture)),
            (b"\0\0\0\x18ftypisom", Some(Kind::Film("qtdemux"))),
            (b"\x1a\x45\xdf\xa3", Some(Kind::Film("matroskademux"))),
            (&ts, Some(Kind::Film("tsdemux"))),
            (b"G", None),
            (b"", None),
        ] {
            assert_eq!(kind_of(head), wanted);
        }
    }
}
