//! Sample tables: kept in a file of their own while a film grows, made into `moov` at its end.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use media::{ParameterSets, Sample};
use mp4_atom::{
    Ctts, CttsEntry, Decode as _, Encode as _, Ftyp, Moov, Stbl, Stco, Stsc, StscEntry, Stss, Stsz, StszSamples, Stts,
    SttsEntry,
};

use crate::error::ExportError;
use crate::times::Utc;

/// Size 4, duration 4, composition 4, hole before it 4, flags 1.
const RECORD: usize = 17;

const FLAG_KEY: u8 = 1;
const FLAG_CHUNK: u8 = 2;

/// One sample; `hole` of the first sample of a fragment: ticks between the end of the one before and it.
pub(super) fn record(sample: &Sample, hole: Option<u32>) -> [u8; RECORD] {
    let mut out = [0; RECORD];
    let flags = if sample.is_key { FLAG_KEY } else { 0 } | if hole.is_some() { FLAG_CHUNK } else { 0 };
    let numbers = [
        sample.size.to_be_bytes(),
        sample.duration.to_be_bytes(),
        sample.composition.to_be_bytes(),
        hole.unwrap_or(0).to_be_bytes(),
        [flags, 0, 0, 0],
    ];
    for (slot, byte) in out.iter_mut().zip(numbers.iter().flatten()) {
        *slot = *byte;
    }
    out
}

/// Tables while they grow.
#[derive(Debug, Default)]
struct Growing {
    stts: Vec<SttsEntry>,
    ctts: Vec<CttsEntry>,
    stss: Vec<u32>,
    sizes: Vec<u32>,
    chunks: Vec<u32>,
    stsc: Vec<StscEntry>,
    in_chunk: u32,
    count: u32,
}

impl Growing {
    fn delta(&mut self, delta: u32) {
        match self.stts.last_mut() {
            Some(last) if last.sample_delta == delta => last.sample_count = last.sample_count.saturating_add(1),
            Some(_) | None => self.stts.push(SttsEntry { sample_count: 1, sample_delta: delta }),
        }
    }

    /// A hole stretches the sample before it.
    fn stretch(&mut self, hole: u32) {
        let Some(last) = self.stts.last_mut() else { return };
        let delta = last.sample_delta.saturating_add(hole);
        if last.sample_count > 1 {
            last.sample_count -= 1;
        } else {
            self.stts.pop();
        }
        self.delta(delta);
    }

    fn offset(&mut self, offset: i32) {
        let offset = i64::from(offset);
        match self.ctts.last_mut() {
            Some(last) if last.sample_offset == offset => last.sample_count = last.sample_count.saturating_add(1),
            Some(_) | None => self.ctts.push(CttsEntry { sample_count: 1, sample_offset: offset }),
        }
    }

    fn close_chunk(&mut self) {
        let number = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        if self.in_chunk > 0 && self.stsc.last().is_none_or(|last| last.samples_per_chunk != self.in_chunk) {
            let samples_per_chunk = self.in_chunk;
            self.stsc.push(StscEntry { first_chunk: number, samples_per_chunk, sample_description_index: 1 });
        }
        self.in_chunk = 0;
    }

    fn take(&mut self, record: &[u8; RECORD], at: &mut u64) -> Option<()> {
        let (numbers, flags) = record.split_first_chunk::<16>()?;
        let (size, rest) = numbers.split_first_chunk::<4>()?;
        let (duration, rest) = rest.split_first_chunk::<4>()?;
        let (composition, rest) = rest.split_first_chunk::<4>()?;
        let (hole, _) = rest.split_first_chunk::<4>()?;
        let flags = flags.first().copied()?;
        if flags & FLAG_CHUNK != 0 {
            self.close_chunk();
            self.stretch(u32::from_be_bytes(*hole));
            if self.count > 0 {
                *at = at.checked_add(super::MDAT_HEADER)?;
            }
            self.chunks.push(u32::try_from(*at).ok()?);
        }
        self.in_chunk = self.in_chunk.checked_add(1)?;
        self.count = self.count.checked_add(1)?;
        if flags & FLAG_KEY != 0 {
            self.stss.push(self.count);
        }
        self.delta(u32::from_be_bytes(*duration));
        self.offset(i32::from_be_bytes(*composition));
        let size = u32::from_be_bytes(*size);
        self.sizes.push(size);
        *at = at.checked_add(u64::from(size))?;
        Some(())
    }
}

/// Reads the file of samples; the first chunk's bytes stand at `at`. The description of the samples is left empty.
pub(super) fn read(path: &Path, mut at: u64) -> Result<Stbl, ExportError> {
    let failed = |source| ExportError::Disk { what: "reading", path: path.display().to_string(), source };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut growing = Growing::default();
    let mut record = [0; RECORD];
    loop {
        match reader.read_exact(&mut record) {
            Ok(()) => growing.take(&record, &mut at).ok_or(ExportError::Container)?,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(failed(error)),
        }
    }
    growing.close_chunk();
    let in_order = growing.ctts.iter().all(|entry| entry.sample_offset == 0);
    let all_keys = growing.stss.len() == growing.sizes.len();
    Ok(Stbl {
        stts: Stts { entries: growing.stts },
        ctts: (!in_order).then_some(Ctts { entries: growing.ctts }),
        stss: (!all_keys).then_some(Stss { entries: growing.stss }),
        stsc: Stsc { entries: growing.stsc },
        stsz: Stsz { samples: StszSamples::Different { sizes: growing.sizes } },
        stco: Some(Stco { entries: growing.chunks }),
        ..Stbl::default()
    })
}

/// The `moov` box: description of the samples from the parameter sets, tables from `stbl`.
pub(super) fn moov(sets: &ParameterSets, stbl: Stbl, ticks: u64, starts: Utc) -> Result<Vec<u8>, ExportError> {
    let init = media::fmp4::init_segment(&[sets]).map_err(|_| ExportError::Container)?;
    let mut rest: &[u8] = &init;
    Ftyp::decode(&mut rest).map_err(|_| ExportError::Container)?;
    let mut moov = Moov::decode(&mut rest).map_err(|_| ExportError::Container)?;
    let created = starts.mp4_seconds();
    moov.mvex = None;
    (moov.mvhd.creation_time, moov.mvhd.modification_time, moov.mvhd.duration) = (created, created, ticks);
    let track = moov.trak.first_mut().ok_or(ExportError::Container)?;
    (track.tkhd.creation_time, track.tkhd.modification_time, track.tkhd.duration) = (created, created, ticks);
    let mdhd = &mut track.mdia.mdhd;
    (mdhd.creation_time, mdhd.modification_time, mdhd.duration) = (created, created, ticks);
    let stsd = std::mem::take(&mut track.mdia.minf.stbl.stsd);
    track.mdia.minf.stbl = Stbl { stsd, ..stbl };
    let mut out = Vec::new();
    moov.encode(&mut out).map_err(|_| ExportError::Container)?;
    Ok(out)
}

/// A box with one more child at its end.
pub(super) fn with_child(mut parent: Vec<u8>, child: &[u8]) -> Result<Vec<u8>, ExportError> {
    parent.extend_from_slice(child);
    let length = u32::try_from(parent.len()).map_err(|_| ExportError::Container)?;
    parent.first_chunk_mut::<4>().ok_or(ExportError::Container)?.copy_from_slice(&length.to_be_bytes());
    Ok(parent)
}
