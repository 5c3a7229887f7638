//! Fragmented MP4 (ISO/IEC 14496-12, 8.8): samples that movie fragments add behind those of the `moov`.

use mp4_atom::{Moof, Moov, Tfhd, Traf, Trex, TrunEntry};

use super::mp4::Sample;
use super::{FILM_UNITS_MAX, FilmError};

/// Appends the samples of track `track` in all fragments, in file order.
///
/// # Errors
/// A place outside of any file, a time beyond 63 bits, more samples than a film may have.
pub(super) fn append(
    moov: &Moov,
    moofs: &[(usize, Moof)],
    track: u32,
    samples: &mut Vec<Sample>,
) -> Result<(), FilmError> {
    let trex = |track: u32| moov.mvex.as_ref()?.trex.iter().find(|trex| trex.track_id == track);
    let mut next_dts = samples.last().map_or(0, |s| s.dts.saturating_add(s.duration));
    // Samples of all tracks: a run without any field in it costs the file nothing and us a step each.
    let mut seen = samples.len();
    for (at, moof) in moofs {
        let start = place(u64::try_from(*at).ok())?;
        let mut data_end = start;
        for traf in &moof.traf {
            let is_wanted = traf.tfhd.track_id == track;
            if is_wanted && trex(track).is_none() {
                return Err(FilmError::bad("a fragment of a track that `mvex` does not name"));
            }
            let mut base = traf.tfhd.base_data_offset.map_or(Ok(data_end), |stated| place(Some(stated)))?;
            if traf.tfhd.base_data_offset.is_none() && traf.tfhd.default_base_is_moof {
                base = start;
            }
            if is_wanted && let Some(tfdt) = &traf.tfdt {
                next_dts = place(Some(tfdt.base_media_decode_time))?;
            }
            let defaults = Defaults::of(&traf.tfhd, trex(traf.tfhd.track_id));
            let mut run = Run { at: base, dts: next_dts, defaults };
            seen = seen.saturating_add(traf.trun.iter().map(|trun| trun.samples.len()).sum());
            if seen > FILM_UNITS_MAX {
                return Err(FilmError::bad("too many samples"));
            }
            run.walk(traf, base, |sample| {
                if is_wanted {
                    samples.push(sample);
                }
            })?;
            data_end = run.at;
            if is_wanted {
                next_dts = run.dts;
            }
        }
    }
    Ok(())
}

/// An unsigned place or time of the file as what we reckon with.
fn place(value: Option<u64>) -> Result<i64, FilmError> {
    value.and_then(|v| i64::try_from(v).ok()).ok_or_else(|| FilmError::bad("a number of a fragment is beyond 63 bits"))
}

/// What a sample has when its run says nothing: first the fragment's word, then the track's.
#[derive(Clone, Copy, Debug)]
struct Defaults {
    size: u32,
    duration: u32,
}

impl Defaults {
    fn of(header: &Tfhd, track: Option<&Trex>) -> Self {
        Self {
            size: header.default_sample_size.or(track.map(|t| t.default_sample_size)).unwrap_or(0),
            duration: header.default_sample_duration.or(track.map(|t| t.default_sample_duration)).unwrap_or(0),
        }
    }
}

/// Where reading stands inside one track fragment.
struct Run {
    at: i64,
    dts: i64,
    defaults: Defaults,
}

impl Run {
    /// All runs of one track fragment. A run without a place of its own follows the one before.
    fn walk(&mut self, traf: &Traf, base: i64, mut out: impl FnMut(Sample)) -> Result<(), FilmError> {
        for trun in &traf.trun {
            if let Some(offset) = trun.data_offset {
                self.at = base.saturating_add(i64::from(offset));
            }
            for entry in &trun.samples {
                out(self.step(&entry)?);
            }
        }
        Ok(())
    }

    fn step(&mut self, entry: &TrunEntry) -> Result<Sample, FilmError> {
        let size = entry.size.unwrap_or(self.defaults.size);
        let duration = i64::from(entry.duration.unwrap_or(self.defaults.duration));
        let sample = Sample {
            offset: usize::try_from(self.at).map_err(|_| FilmError::bad("a fragment lies before the file"))?,
            size: usize::try_from(size).unwrap_or(usize::MAX),
            dts: self.dts,
            duration,
            offset_cts: entry.cts.unwrap_or(0),
        };
        self.at = self.at.saturating_add(i64::from(size));
        self.dts = self.dts.saturating_add(duration);
        Ok(sample)
    }
}

#[cfg(test)]
mod tests;
