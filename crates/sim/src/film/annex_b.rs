//! Annex B streams: pictures in order, at a constant rate told by a small file beside them.

use std::path::Path;

use bytes::Bytes;
use vms_core::Codec;

use super::{Film, FilmError, FilmParams, FilmUnit};
use crate::nal::{self, NalKind};

/// How fast an Annex B film runs. Written beside it as `NAME.json`; without that file 25 frames/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilmTiming {
    /// Frames in `per_seconds` seconds, at least 1.
    pub frames: u32,
    /// Seconds, at least 1.
    pub per_seconds: u32,
}

impl Default for FilmTiming {
    fn default() -> Self {
        Self { frames: 25, per_seconds: 1 }
    }
}

impl FilmTiming {
    /// Reads the file beside `film` (same name, ending `json`); the default when there is none.
    pub(super) fn beside(film: &Path) -> Result<Self, FilmError> {
        let path = film.with_extension("json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(FilmError::Read { path, source }),
        };
        serde_json::from_str(&text)
            .map_err(|error| FilmError::bad(format!("timing file `{}`: {error}", path.display())))
    }

    /// Ticks of 90 kHz at which picture `index` starts.
    fn ticks_at(self, index: usize) -> Option<i64> {
        let index = i128::try_from(index).ok()?;
        let ticks = index.checked_mul(90_000)?.checked_mul(i128::from(self.per_seconds))?;
        i64::try_from(ticks.checked_div(i128::from(self.frames))?).ok()
    }
}

pub(super) fn read(codec: Codec, stream: &Bytes, timing: FilmTiming) -> Result<Film, FilmError> {
    if timing.frames == 0 || timing.per_seconds == 0 {
        return Err(FilmError::bad("a rate of zero frames or zero seconds"));
    }
    let too_long = || FilmError::bad("too many pictures");
    let mut units: Vec<FilmUnit> = Vec::new();
    for nals in group(codec, nal::annex_b(stream)) {
        let is_key = nals.iter().any(|n| matches!(nal::kind(codec, n), NalKind::Slice { key: true, .. }));
        let at = timing.ticks_at(units.len()).ok_or_else(too_long)?;
        units.push(FilmUnit { nals, is_key, pts: at, dts: at });
    }
    let end = timing.ticks_at(units.len()).ok_or_else(too_long)?;
    Film::finish(codec, FilmParams::default(), units, end)
}

/// Cuts a row of NAL units into access units (H.264 7.4.1.2.3, H.265 7.4.2.4.4): the first delimiter, parameter set,
/// SEI or first slice behind a slice starts a new one. What follows the last slice stays with it.
fn group(codec: Codec, nals: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let mut units: Vec<Vec<Bytes>> = Vec::new();
    let mut current: Vec<Bytes> = Vec::new();
    let mut has_slice = false;
    for unit in nals {
        let (starts, slice) = match nal::kind(codec, &unit) {
            NalKind::Slice { first, .. } => (first, true),
            NalKind::Vps | NalKind::Sps | NalKind::Pps | NalKind::Delimiter | NalKind::Sei => (true, false),
            NalKind::Other => (false, false),
        };
        if starts && has_slice {
            units.push(std::mem::take(&mut current));
            has_slice = false;
        }
        has_slice |= slice;
        current.push(unit);
    }
    if has_slice {
        units.push(current);
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_grouped_by_picture() {
        let nal = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let nals = vec![
            nal(&[9, 0xf0]),
            nal(&[0x67, 1]),
            nal(&[0x68, 1]),
            nal(&[0x65, 0x80]),
            nal(&[0x65, 0x10]), // second slice of the same picture
            nal(&[0x41, 0x80]),
            nal(&[6, 5]),
            nal(&[0x41, 0x80]),
            nal(&[12, 0]), // filler stays
        ];
        let lens: Vec<usize> = group(Codec::H264, nals).iter().map(Vec::len).collect();
        assert_eq!(lens, [5, 1, 3]);
    }

    #[test]
    fn a_rate_of_29_97_is_exact() {
        let timing = FilmTiming { frames: 30_000, per_seconds: 1001 };
        assert_eq!(timing.ticks_at(1), Some(3003));
        assert_eq!(timing.ticks_at(30_000), Some(1001 * 90_000));
    }
}
