//! A film: coded pictures ready to be sent again and again, from an MP4 or an Annex B file.
//!
//! Belongs here: reading files into access units with timestamps that can be looped without a jump.
//! Does not belong here: sending them ([`crate::rtsp`]), drawing them ([`crate::scene`]), decoding (nobody here does).

mod annex_b;
mod fragments;
mod mp4;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use vms_core::Codec;

pub use annex_b::FilmTiming;

use crate::nal::{self, NalKind};

/// Largest film file that is read into memory, bytes.
pub const FILM_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Most access units in a film: 12 hours at 25 frames/s.
pub const FILM_UNITS_MAX: usize = 12 * 3600 * 25;

/// Why a file is no film.
#[derive(Debug, thiserror::Error)]
pub enum FilmError {
    /// The file could not be read.
    #[error("cannot read film `{}`", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The name's ending says neither MP4 nor Annex B.
    #[error("film `{}` is none of .mp4, .mov, .h264, .264, .h265, .265, .hevc", path.display())]
    UnknownEnding {
        /// Which file.
        path: PathBuf,
    },
    /// The contents contradict the format, or lack what a film needs.
    #[error("bad film: {problem}")]
    Bad {
        /// What is wrong.
        problem: String,
    },
}

impl FilmError {
    pub(crate) fn bad(problem: impl Into<String>) -> Self {
        Self::Bad { problem: problem.into() }
    }
}

/// Parameter sets, whole NAL units. `vps` is empty for H.264.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilmParams {
    /// H.265 video parameter sets.
    pub vps: Vec<Bytes>,
    /// Sequence parameter sets.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets.
    pub pps: Vec<Bytes>,
}

/// One access unit of a film.
#[derive(Clone, Debug)]
pub struct FilmUnit {
    /// NAL units in coding order, without start codes or lengths. Key units always carry their parameter sets.
    pub nals: Vec<Bytes>,
    /// Decoding can start here.
    pub is_key: bool,
    /// Presentation time, 90 kHz ticks from the film's start; `pts >= dts`.
    pub pts: i64,
    /// Decoding time, 90 kHz ticks from the film's start; the first is 0 and none decreases.
    pub dts: i64,
}

/// Coded pictures with timestamps, shared by all cameras that replay it.
#[derive(Clone, Debug)]
pub struct Film {
    codec: Codec,
    params: FilmParams,
    units: Vec<FilmUnit>,
    duration: i64,
}

impl Film {
    /// Reads a film; the kind of file follows from the ending of its name. Blocking.
    ///
    /// # Errors
    /// [`FilmError`] says whether reading failed or what is wrong with the contents.
    pub fn open(path: &Path) -> Result<Self, FilmError> {
        let read_error = |source| FilmError::Read { path: path.to_path_buf(), source };
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        let size = std::fs::metadata(path).map_err(read_error)?.len();
        if size > FILM_BYTES_MAX {
            return Err(FilmError::bad(format!("{size} bytes are more than {FILM_BYTES_MAX}")));
        }
        let codec = match ending.as_str() {
            "mp4" | "mov" | "m4v" => {
                return Self::from_mp4(&Bytes::from(std::fs::read(path).map_err(read_error)?));
            }
            "h264" | "264" => Codec::H264,
            "h265" | "265" | "hevc" => Codec::H265,
            _ => return Err(FilmError::UnknownEnding { path: path.to_path_buf() }),
        };
        let stream = Bytes::from(std::fs::read(path).map_err(read_error)?);
        Self::from_annex_b(codec, &stream, FilmTiming::beside(path)?)
    }

    /// A film from an MP4 file, fragmented or not: its first H.264 or H.265 track. Sound and all else are passed over.
    ///
    /// # Errors
    /// [`FilmError::Bad`].
    pub fn from_mp4(file: &Bytes) -> Result<Self, FilmError> {
        mp4::read(file)
    }

    /// A film from an Annex B stream without B-frames, at a constant rate.
    ///
    /// # Errors
    /// [`FilmError::Bad`].
    pub fn from_annex_b(codec: Codec, stream: &Bytes, timing: FilmTiming) -> Result<Self, FilmError> {
        annex_b::read(codec, stream, timing)
    }

    /// Checks what every film must hold, shifts it to start at 0 and puts parameter sets before every key unit.
    fn finish(codec: Codec, stated: FilmParams, mut units: Vec<FilmUnit>, end: i64) -> Result<Self, FilmError> {
        if units.len() > FILM_UNITS_MAX {
            return Err(FilmError::bad(format!("more than {FILM_UNITS_MAX} pictures")));
        }
        let start = units.first().map(|u| u.dts).ok_or_else(|| FilmError::bad("no pictures"))?;
        let mut last = start;
        for unit in &mut units {
            if unit.dts < last || unit.pts < unit.dts {
                return Err(FilmError::bad("timestamps run backwards"));
            }
            last = unit.dts;
            unit.dts -= start;
            unit.pts -= start;
        }
        let mut duration = end - start;
        if duration <= last - start {
            return Err(FilmError::bad("the last picture has no duration"));
        }
        // The picture shown last may be stated to end later than the last decoded one: in a loop it would meet the first.
        let shown = |units: &[FilmUnit]| Some(units.iter().map(|u| u.pts).max()? - units.iter().map(|u| u.pts).min()?);
        let span = shown(&units).unwrap_or(0);
        if span >= duration {
            duration = span + (span / i64::try_from(units.len()).unwrap_or(i64::MAX)).max(1);
        }
        let params = inline_params(codec, stated, &mut units)?;
        if !units.iter().any(|u| u.is_key) {
            return Err(FilmError::bad("no key picture"));
        }
        Ok(Self { codec, params, units, duration })
    }

    /// Codec of every unit.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The first parameter sets, for the session description.
    pub fn params(&self) -> &FilmParams {
        &self.params
    }

    /// Access units in coding order, at least one.
    pub fn units(&self) -> &[FilmUnit] {
        &self.units
    }

    /// Length in 90 kHz ticks, more than the last unit's `dts`.
    pub fn duration(&self) -> i64 {
        self.duration
    }

    /// Mean bit rate over the film, bit/s.
    pub fn bits_per_second(&self) -> u64 {
        let bytes: usize = self.units.iter().flat_map(|u| &u.nals).map(Bytes::len).sum();
        let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8);
        let ticks = u64::try_from(self.duration).unwrap_or(1).max(1);
        bits.saturating_mul(90_000) / ticks
    }
}

/// Walks the film once, keeps the newest parameter sets, and puts them before key units that carry none.
/// Returns the sets in force at the first key unit.
fn inline_params(codec: Codec, stated: FilmParams, units: &mut [FilmUnit]) -> Result<FilmParams, FilmError> {
    let mut in_force = stated;
    let mut first: Option<FilmParams> = None;
    for unit in units.iter_mut() {
        let own = params_of(codec, &unit.nals);
        let has_sps = !own.sps.is_empty();
        replace_if_any(&mut in_force.vps, own.vps);
        replace_if_any(&mut in_force.sps, own.sps);
        replace_if_any(&mut in_force.pps, own.pps);
        if !unit.is_key {
            continue;
        }
        if in_force.sps.is_empty() || in_force.pps.is_empty() {
            return Err(FilmError::bad("a key picture comes before any parameter set"));
        }
        if !has_sps {
            let delimiter = unit.nals.first().is_some_and(|n| nal::kind(codec, n) == NalKind::Delimiter);
            let at = usize::from(delimiter);
            let sets = in_force.vps.iter().chain(&in_force.sps).chain(&in_force.pps).cloned();
            unit.nals.splice(at..at, sets);
        }
        first.get_or_insert_with(|| in_force.clone());
    }
    first.ok_or_else(|| FilmError::bad("no key picture"))
}

fn params_of(codec: Codec, nals: &[Bytes]) -> FilmParams {
    let mut found = FilmParams::default();
    for unit in nals {
        match nal::kind(codec, unit) {
            NalKind::Vps => found.vps.push(unit.clone()),
            NalKind::Sps => found.sps.push(unit.clone()),
            NalKind::Pps => found.pps.push(unit.clone()),
            NalKind::Slice { .. } | NalKind::Delimiter | NalKind::Sei | NalKind::Other => {}
        }
    }
    found
}

fn replace_if_any(slot: &mut Vec<Bytes>, newer: Vec<Bytes>) {
    if !newer.is_empty() {
        *slot = newer;
    }
}

/// Fuzz body: any bytes as a film of each kind; must return.
pub fn fuzz_film(data: &[u8]) {
    let file = Bytes::copy_from_slice(data);
    drop(Film::from_mp4(&file));
    for codec in Codec::ALL {
        drop(Film::from_annex_b(*codec, &file, FilmTiming::default()));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A tiny H.264 Annex B stream with `frames` pictures, a key picture every `gop`. Not decodable, but framed right.
    pub(crate) fn tiny_annex_b(frames: usize, gop: usize) -> Bytes {
        let mut stream = Vec::new();
        for frame in 0..frames {
            if frame % gop == 0 {
                stream.extend_from_slice(&[0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x47, 0xfe, 0xc8]);
                stream.extend_from_slice(&[0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80]);
                stream.extend_from_slice(&[0, 0, 0, 1, 0x65, 0x88]);
                stream.extend(std::iter::repeat_n(0x55, 4000));
            } else {
                stream.extend_from_slice(&[0, 0, 1, 0x41, 0x9a]);
                stream.extend(std::iter::repeat_n(0xaa, 100));
            }
        }
        Bytes::from(stream)
    }

    #[test]
    fn an_annex_b_film_has_even_steps_and_inline_sets() {
        let film = Film::from_annex_b(Codec::H264, &tiny_annex_b(50, 25), FilmTiming::default()).unwrap();
        assert_eq!((film.units().len(), film.duration()), (50, 2 * 90_000));
        assert!(film.units().iter().enumerate().all(|(i, u)| u.is_key == (i % 25 == 0) && u.dts == u.pts));
        assert_eq!(film.units()[1].dts, 3600);
        assert_eq!(film.units()[0].nals.len(), 3);
        assert_eq!((film.params().sps.len(), film.params().pps.len()), (1, 1));
    }

    #[test]
    fn a_loop_never_shows_two_pictures_at_once() {
        let plain = Film::from_annex_b(Codec::H264, &tiny_annex_b(5, 5), FilmTiming::default()).unwrap();
        // The last decoded picture lasts less than the one that is shown last waits.
        for (late, wanted) in [(0, 5 * 3600), (3599, 5 * 3600), (3600, 6 * 3600), (5000, 19_400 + 19_400 / 5)] {
            let mut units = plain.units().to_vec();
            units[4].pts += late;
            let film = Film::finish(Codec::H264, FilmParams::default(), units, 5 * 3600).unwrap();
            assert_eq!(film.duration(), wanted, "{late}");
        }
    }

    #[test]
    fn junk_is_no_film() {
        for data in [
            &b""[..],
            b"\0\0\0\x08moov",
            b"\0\0\0\x01mdat",
            b"\0\0\0\x10ftypisom\0\0\0\0\xff\xff\xff\xffmoov",
            b"\0\0\x01\x65\x88",
            b"\0\0\x01\x67\0\0\x01\x68\0\0\x01\x41\x9a",
        ] {
            fuzz_film(data);
            assert!(Film::from_mp4(&Bytes::copy_from_slice(data)).is_err());
            assert!(Film::from_annex_b(Codec::H264, &Bytes::copy_from_slice(data), FilmTiming::default()).is_err());
        }
    }
}
