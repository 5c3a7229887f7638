//! MP4 files (ISO/IEC 14496-12, 14496-15), whole or fragmented: the samples of the first H.264 or H.265 track.

use bytes::Bytes;
use mp4_atom::{Atom, Avcc, Codec as Entry, Hvcc, Moof, Moov, Stbl, StszSamples, Trak};
use vms_core::Codec;

use super::{FILM_UNITS_MAX, Film, FilmError, FilmParams, FilmUnit, fragments};
use crate::nal::{self, NalKind};

/// What the sample description says of the track.
struct Described {
    codec: Codec,
    params: FilmParams,
    /// Bytes of each NAL length: 1, 2 or 4.
    length_size: usize,
}

pub(super) fn read(file: &Bytes) -> Result<Film, FilmError> {
    let Boxes { moov, moofs } = boxes(file)?;
    let (track, described) = moov
        .trak
        .iter()
        .find_map(|track| describe(&track.mdia.minf.stbl).map(|found| (track, found)))
        .ok_or_else(|| FilmError::bad("no H.264 or H.265 track"))?;
    let timescale = i64::from(track.mdia.mdhd.timescale);
    if timescale == 0 {
        return Err(FilmError::bad("a time scale of zero"));
    }
    let mut samples = samples(track)?;
    fragments::append(&moov, &moofs, track.tkhd.track_id, &mut samples)?;
    // Offsets may be negative; shift all by the same amount so that pts >= dts.
    let shift = samples.iter().map(|s| s.offset_cts).min().unwrap_or(0);
    let mut units = Vec::with_capacity(samples.len());
    for sample in &samples {
        let bytes = sample
            .offset
            .checked_add(sample.size)
            .filter(|end| *end <= file.len())
            .map(|end| file.slice(sample.offset..end))
            .ok_or_else(|| FilmError::bad("a sample lies outside the file"))?;
        let nals = split(&bytes, described.length_size)?;
        let is_key = nals.iter().any(|n| matches!(nal::kind(described.codec, n), NalKind::Slice { key: true, .. }));
        let shown = sample.dts.saturating_add(sample.offset_cts.saturating_sub(shift));
        units.push(FilmUnit { nals, is_key, pts: to_90k(shown, timescale), dts: to_90k(sample.dts, timescale) });
    }
    let end = samples.last().map_or(0, |s| s.dts.saturating_add(s.duration));
    Film::finish(described.codec, described.params, units, to_90k(end, timescale))
}

/// What is read of the top level of a file.
struct Boxes {
    moov: Moov,
    /// With the place of each in the file.
    moofs: Vec<(usize, Moof)>,
}

/// Walks the top level without looking into the (large) other boxes.
fn boxes(file: &Bytes) -> Result<Boxes, FilmError> {
    let (mut moov, mut moofs) = (None, Vec::new());
    let (mut rest, mut at): (&[u8], usize) = (file, 0);
    while let Some((header, _)) = rest.split_at_checked(8) {
        let (size, kind) = header.split_at_checked(4).unwrap_or((&[], &[]));
        let size = size.try_into().map_or(0, u32::from_be_bytes);
        let (header_len, size) = match size {
            0 => (8, rest.len()),
            1 => {
                let large = rest.get(8..16).and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes);
                (16, usize::try_from(large).unwrap_or(usize::MAX))
            }
            stated => (8, usize::try_from(stated).unwrap_or(usize::MAX)),
        };
        if size < header_len || size > rest.len() {
            return Err(FilmError::bad("a box is longer than the file"));
        }
        let (this, after) = rest.split_at_checked(size).unwrap_or((&[], &[]));
        let mut body = this.get(header_len..).unwrap_or(&[]);
        match kind {
            b"moov" if moov.is_none() => {
                moov = Some(Moov::decode_body(&mut body).map_err(|error| FilmError::bad(format!("moov: {error}")))?);
            }
            b"moov" => return Err(FilmError::bad("two moov boxes")),
            b"moof" if moofs.len() >= FILM_UNITS_MAX => return Err(FilmError::bad("too many fragments")),
            b"moof" => {
                let moof = Moof::decode_body(&mut body).map_err(|error| FilmError::bad(format!("moof: {error}")))?;
                moofs.push((at, moof));
            }
            _ => {}
        }
        rest = after;
        at = at.saturating_add(size);
    }
    Ok(Boxes { moov: moov.ok_or_else(|| FilmError::bad("no moov box"))?, moofs })
}

/// The first sample entry that is H.264 or H.265. Entries further on would change the codec in mid-file.
fn describe(table: &Stbl) -> Option<Described> {
    let avc = |avcc: &Avcc| Described {
        codec: Codec::H264,
        params: FilmParams {
            vps: Vec::new(),
            sps: owned(&avcc.sequence_parameter_sets),
            pps: owned(&avcc.picture_parameter_sets),
        },
        length_size: usize::from(avcc.length_size),
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign open-ended enum; everything else is no film for us")]
    match table.stsd.codecs.first()? {
        Entry::Avc1(entry) => Some(avc(&entry.avcc)),
        Entry::Avc3(entry) => Some(avc(&entry.avcc)),
        Entry::Hvc1(entry) => Some(describe_hevc(&entry.hvcc)),
        Entry::Hev1(entry) => Some(describe_hevc(&entry.hvcc)),
        _ => None,
    }
}

fn describe_hevc(hvcc: &Hvcc) -> Described {
    let mut params = FilmParams::default();
    for array in &hvcc.arrays {
        match array.nal_unit_type {
            32 => params.vps.extend(owned(&array.nalus)),
            33 => params.sps.extend(owned(&array.nalus)),
            34 => params.pps.extend(owned(&array.nalus)),
            _ => {}
        }
    }
    Described { codec: Codec::H265, params, length_size: usize::from(hvcc.length_size_minus_one).saturating_add(1) }
}

fn owned(sets: &[Vec<u8>]) -> Vec<Bytes> {
    sets.iter().map(|set| Bytes::copy_from_slice(set)).collect()
}

/// One row of the flattened sample table; times in the track's time scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) offset: usize,
    pub(super) size: usize,
    pub(super) dts: i64,
    pub(super) duration: i64,
    pub(super) offset_cts: i64,
}

fn samples(track: &Trak) -> Result<Vec<Sample>, FilmError> {
    let table = &track.mdia.minf.stbl;
    let sizes: Vec<u32> = match &table.stsz.samples {
        StszSamples::Identical { count, size } => {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            if count > FILM_UNITS_MAX {
                return Err(FilmError::bad("too many samples"));
            }
            vec![*size; count]
        }
        StszSamples::Different { sizes } => sizes.clone(),
    };
    let offsets = sample_offsets(table, &sizes)?;
    let mut steps = table.stts.entries.iter().flat_map(|e| repeat(e.sample_count, e.sample_delta));
    let ctts = table.ctts.as_ref().map(|c| c.entries.as_slice()).unwrap_or_default();
    let mut late = ctts.iter().flat_map(|e| repeat(e.sample_count, e.sample_offset));
    let mut dts = 0_i64;
    let mut rows = Vec::with_capacity(sizes.len());
    for (size, offset) in sizes.iter().zip(offsets) {
        let duration = i64::from(steps.next().ok_or_else(|| FilmError::bad("fewer times than samples"))?);
        let offset_cts = late.next().unwrap_or(0);
        rows.push(Sample { offset, size: usize::try_from(*size).unwrap_or(usize::MAX), dts, duration, offset_cts });
        dts = dts.saturating_add(duration);
    }
    Ok(rows)
}

fn repeat<T: Copy>(count: u32, value: T) -> impl Iterator<Item = T> {
    std::iter::repeat_n(value, usize::try_from(count).unwrap_or(usize::MAX))
}

/// File offset of each sample, from the chunk tables.
fn sample_offsets(table: &Stbl, sizes: &[u32]) -> Result<Vec<usize>, FilmError> {
    if sizes.is_empty() {
        return Ok(Vec::new());
    }
    let chunks: Vec<u64> = match (&table.stco, &table.co64) {
        (Some(stco), _) => stco.entries.iter().map(|o| u64::from(*o)).collect(),
        (None, Some(co64)) => co64.entries.clone(),
        (None, None) => return Err(FilmError::bad("no chunk offsets")),
    };
    let mut per_chunk = table.stsc.entries.iter().peekable();
    let mut in_chunk = 0_u32;
    let mut sizes_left = sizes.iter();
    let mut offsets = Vec::with_capacity(sizes.len());
    for (number, chunk) in (1_u32..).zip(chunks) {
        while let Some(entry) = per_chunk.next_if(|e| e.first_chunk <= number) {
            in_chunk = entry.samples_per_chunk;
        }
        let mut at = chunk;
        for _ in 0..in_chunk {
            let Some(size) = sizes_left.next() else { return Ok(offsets) };
            offsets.push(usize::try_from(at).map_err(|_| FilmError::bad("an offset beyond this machine"))?);
            at = at.saturating_add(u64::from(*size));
        }
    }
    if offsets.len() < sizes.len() {
        return Err(FilmError::bad("fewer chunks than samples"));
    }
    Ok(offsets)
}

fn split(sample: &Bytes, length_size: usize) -> Result<Vec<Bytes>, FilmError> {
    let mut nals = Vec::new();
    let mut rest = sample.clone();
    while !rest.is_empty() {
        if rest.len() < length_size {
            return Err(FilmError::bad("a NAL length is cut off"));
        }
        let length = rest.split_to(length_size).iter().fold(0_usize, |sum, b| (sum << 8) | usize::from(*b));
        if length > rest.len() {
            return Err(FilmError::bad("a NAL unit is longer than its sample"));
        }
        let unit = rest.split_to(length);
        if !unit.is_empty() {
            nals.push(unit);
        }
    }
    Ok(nals)
}

/// From a track's time scale to 90 kHz, rounded down (consistently, so steps never turn negative).
fn to_90k(value: i64, timescale: i64) -> i64 {
    let ticks = i128::from(value).saturating_mul(90_000).div_euclid(i128::from(timescale.max(1)));
    i64::try_from(ticks).unwrap_or(i64::MAX)
}
