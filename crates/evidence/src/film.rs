//! One film: an MP4 whose media data are the stored bytes, one `mdat` per fragment, with `moov` and the seal at the end; its table of
//! fragments (CSV); its subtitles. Written front to back, so that a kill loses nothing that was flushed.
//!
//! Time is the recording's: what follows on the same clock keeps its distance, what does not is placed by the wall clock, a hole
//! stretches the picture before it. Memory is bounded by [`FRAMES_MAX`]: 17 bytes a frame while writing, about 30 while closing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use media::{AccessUnit, ParamSetId, ParameterSets};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vms_core::{Codec, SyncState};

use crate::disk::{Disk, Hashes, feed};
use crate::error::ExportError;
use crate::manifest::{ClockReport, FileDigest, FilmReport, Order};
use crate::onvif::{SEAL_BYTES, Seal, TURNS_MAX, location};
use crate::port::Frames;
use crate::sign::Signer;
use crate::times::Utc;

mod tables;

/// First line of the table of fragments.
pub(crate) const INDEX_HEADER: &str = "fragment,segment,record,offset,bytes,frames,key,decode_ticks,duration_ticks,arrived_utc,camera_utc,clock,lost_packets,sha256\n";

/// Largest file: a stick with FAT32 holds less than 4 GiB, and some room stays for the tables.
const BYTES_MAX: u64 = 4_000_000_000;

/// Most frames of a film: eleven hours at 25 a second.
const FRAMES_MAX: u64 = 1_000_000;

/// A longer hole than a minute ends a film where a key frame follows: nobody waits an hour before a frozen picture.
const HOLE_TICKS: u64 = 60 * 90_000;

/// A hole longer than this ends a film in any case: durations have 32 bits.
const HOLE_TICKS_MAX: u64 = 4_000_000_000;

/// Bytes collected before they are written.
const BUFFER: usize = 1024 * 1024;

/// `ftyp`: brand `isom` (ONVIF Export File Format, annex B).
pub(crate) const FTYP: &[u8; 28] = b"\0\0\0\x1cftypisom\0\0\x02\0isomiso2mp41";

/// Header of one `mdat`.
pub(crate) const MDAT_HEADER: u64 = 8;

/// Parameter sets in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sets {
    codec: String,
    vps: Vec<String>,
    sps: Vec<String>,
    pps: Vec<String>,
}

impl Sets {
    fn of(sets: &ParameterSets) -> Self {
        let words = |nals: &[Bytes]| nals.iter().map(hex::encode).collect();
        Self {
            codec: sets.codec.as_str().to_owned(),
            vps: words(&sets.vps),
            sps: words(&sets.sps),
            pps: words(&sets.pps),
        }
    }

    fn read(&self) -> Option<ParameterSets> {
        let codec = [Codec::H264, Codec::H265].into_iter().find(|codec| codec.as_str() == self.codec)?;
        let nals = |words: &[String]| {
            words.iter().map(|word| hex::decode(word).ok().map(Bytes::from)).collect::<Option<Vec<Bytes>>>()
        };
        ParameterSets::from_nals(codec, nals(&self.vps)?, nals(&self.sps)?, nals(&self.pps)?).ok()
    }
}

/// Everything about an unfinished film that a restart must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilmState {
    number: u32,
    camera: usize,
    sets: Sets,
    film_bytes: u64,
    index_bytes: u64,
    subtitle_bytes: u64,
    sample_bytes: u64,
    /// Of the MP4 so far: what is found after a kill must be what was written.
    film_sha256: String,
    fragments: u32,
    frames: u64,
    /// Arrival of the first frame, µs.
    starts: i64,
    /// Instant of media time 0, µs.
    origin: i64,
    /// End of the last frame, µs.
    ends: i64,
    last_decode: u64,
    last_dts: i64,
    next_decode: u64,
    lost: u64,
    clock: ClockReport,
}

/// A film being written.
#[derive(Debug)]
pub(crate) struct Film {
    folder: PathBuf,
    samples_path: PathBuf,
    camera_name: String,
    sets: Arc<ParameterSets>,
    state: FilmState,
    files: Files,
    hashes: Hashes,
}

#[derive(Debug)]
struct Files {
    film: Track,
    index: Track,
    subtitles: Track,
    samples: Track,
}

/// One file and what waits to be written to it.
#[derive(Debug)]
struct Track {
    path: PathBuf,
    file: File,
    waiting: Vec<u8>,
}

impl Track {
    fn create(disk: &Disk, path: PathBuf) -> Result<Self, ExportError> {
        let file = disk.create(&path)?;
        Ok(Self { path, file, waiting: Vec::new() })
    }

    fn reopen(disk: &Disk, path: PathBuf, length: u64) -> Result<Self, ExportError> {
        let file = disk.reopen(&path, length)?;
        Ok(Self { path, file, waiting: Vec::new() })
    }

    fn push(&mut self, disk: &Disk, bytes: &[u8]) -> Result<(), ExportError> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= BUFFER { self.write(disk) } else { Ok(()) }
    }

    fn write(&mut self, disk: &Disk) -> Result<(), ExportError> {
        if !self.waiting.is_empty() {
            disk.append(&self.path, &mut self.file, &self.waiting)?;
            self.waiting.clear();
        }
        Ok(())
    }

    fn sync(&mut self, disk: &Disk) -> Result<(), ExportError> {
        self.write(disk)?;
        disk.sync(&self.path, &self.file)
    }
}

/// Names of the three files of a film.
fn names(number: u32) -> (String, String, String) {
    let stem = format!("footage-{number:03}");
    (format!("{stem}.mp4"), format!("{stem}.csv"), format!("{stem}.vtt"))
}

/// Microseconds as ticks of 1/90,000 s.
fn ticks_of(micros: i64) -> i64 {
    micros.saturating_mul(9) / 100
}

impl Film {
    /// Begins film `number` with `first`, which it does not take in yet.
    pub(crate) fn begin(
        disk: &Disk,
        (folder, aside): (&Path, &Path),
        (number, camera): (u32, usize),
        camera_name: &str,
        first: &Frames,
    ) -> Result<Self, ExportError> {
        let (film, index, subtitles) = names(number);
        let unit = first.fragment.first();
        let starts = unit.clocks.wall.micros;
        let composition = unit.pts.ticks_90k.saturating_sub(unit.dts.ticks_90k);
        let samples_path = aside.join("samples");
        let files = Files {
            film: Track::create(disk, folder.join(film))?,
            index: Track::create(disk, folder.join(index))?,
            subtitles: Track::create(disk, folder.join(subtitles))?,
            samples: Track::create(disk, samples_path.clone())?,
        };
        let state = FilmState {
            number,
            camera,
            sets: Sets::of(&first.sets),
            film_bytes: 0,
            index_bytes: 0,
            subtitle_bytes: 0,
            sample_bytes: 0,
            film_sha256: String::new(),
            fragments: 0,
            frames: 0,
            starts,
            // The first picture is shown `composition` after its decode time, and that is when it arrived.
            origin: starts.saturating_sub(composition.saturating_mul(100) / 9),
            ends: starts,
            last_decode: 0,
            last_dts: unit.dts.ticks_90k,
            next_decode: 0,
            lost: 0,
            clock: ClockReport::default(),
        };
        let (folder, camera_name, sets) = (folder.to_owned(), camera_name.to_owned(), Arc::clone(&first.sets));
        let mut made = Self { folder, samples_path, camera_name, sets, state, files, hashes: Hashes::default() };
        made.put_film(disk, FTYP)?;
        made.put_index(disk, INDEX_HEADER)?;
        made.put_subtitles(disk, crate::subtitles::HEADER)?;
        Ok(made)
    }

    /// Goes on where a checkpoint was made.
    pub(crate) fn resume(
        disk: &Disk,
        (folder, aside): (&Path, &Path),
        camera_name: &str,
        state: FilmState,
    ) -> Result<Self, ExportError> {
        let (film, index, subtitles) = names(state.number);
        let samples_path = aside.join("samples");
        let files = Files {
            film: Track::reopen(disk, folder.join(&film), state.film_bytes)?,
            index: Track::reopen(disk, folder.join(index), state.index_bytes)?,
            subtitles: Track::reopen(disk, folder.join(subtitles), state.subtitle_bytes)?,
            samples: Track::reopen(disk, samples_path.clone(), state.sample_bytes)?,
        };
        let mut hashes = Hashes::default();
        let read =
            File::open(&files.film.path).and_then(|mut file| feed(&mut file, u64::MAX, |piece| hashes.update(piece)));
        let so_far = hex::encode(hashes.sha256.clone().finalize());
        if read.ok() != Some(state.film_bytes) || so_far != state.film_sha256 {
            return Err(ExportError::PartChanged(film));
        }
        let sets = Arc::new(state.sets.read().ok_or(ExportError::Journal)?);
        let (folder, camera_name) = (folder.to_owned(), camera_name.to_owned());
        Ok(Self { folder, samples_path, camera_name, sets, state, files, hashes })
    }

    /// Decode time of `frames` on this film's timeline.
    fn decode_of(&self, frames: &Frames) -> u64 {
        let first = frames.fragment.first();
        if self.state.fragments == 0 {
            return 0;
        }
        let decode = if frames.same_clock {
            let step = first.dts.ticks_90k.saturating_sub(self.state.last_dts);
            i64::try_from(self.state.last_decode).unwrap_or(i64::MAX).saturating_add(step)
        } else {
            ticks_of(first.clocks.wall.micros.saturating_sub(self.state.starts))
        };
        u64::try_from(decode).unwrap_or(0).max(self.state.next_decode)
    }

    /// Ticks between the end of this film so far and `frames`, on its timeline.
    pub(crate) fn hole_before(&self, frames: &Frames) -> u64 {
        self.decode_of(frames).saturating_sub(self.state.next_decode)
    }

    /// Whether `frames` go into this film, or end it.
    pub(crate) fn takes(&self, frames: &Frames) -> bool {
        let hole = self.hole_before(frames);
        let bytes = self.state.film_bytes.saturating_add(frames.fragment.payload_len());
        let full = hole > HOLE_TICKS || bytes > BYTES_MAX || self.state.frames >= FRAMES_MAX;
        let over = hole > HOLE_TICKS_MAX || bytes > BYTES_MAX + BYTES_MAX / 20 || self.state.frames >= FRAMES_MAX * 2;
        let same = ParamSetId(self.sets.id.0) == frames.sets.id;
        same && !over && !(full && frames.fragment.first().is_key)
    }

    /// Takes in one fragment.
    pub(crate) fn append(&mut self, disk: &Disk, frames: &Frames) -> Result<(), ExportError> {
        let fragment = &frames.fragment;
        let (units, samples) = (fragment.units(), fragment.samples());
        let decode = self.decode_of(frames);
        let hole = u32::try_from(decode.saturating_sub(self.state.next_decode)).map_err(|_| ExportError::Container)?;
        let offset = self.state.film_bytes.saturating_add(MDAT_HEADER);
        let length = fragment.payload_len().saturating_add(MDAT_HEADER);
        let length = u32::try_from(length).map_err(|_| ExportError::Container)?;
        self.put_film(disk, &[&length.to_be_bytes()[..], b"mdat"].concat())?;
        let mut digest = Sha256::new();
        for (unit, sample) in units.iter().zip(samples) {
            if u32::try_from(unit.payload.len()) != Ok(sample.size) {
                return Err(ExportError::Container);
            }
            digest.update(&unit.payload);
            self.put_film(disk, &unit.payload)?;
            self.note_clock(unit);
        }
        let lost: u64 = units.iter().map(|unit| u64::from(unit.lost_before)).sum();
        let ticks = fragment.ticks();
        let first = fragment.first();
        self.state.fragments = self.state.fragments.saturating_add(1);
        let row = Row {
            fragment: self.state.fragments,
            segment: frames.segment.clone(),
            record: frames.record,
            offset,
            bytes: fragment.payload_len(),
            frames: u32::try_from(units.len()).map_err(|_| ExportError::Container)?,
            is_key: first.is_key,
            decode,
            ticks,
            arrived: Utc(first.clocks.wall),
            camera: first.clocks.camera.map(Utc),
            clock: clock_word(first.clocks.sync).to_owned(),
            lost,
            sha256: hex::encode(digest.finalize()),
        };
        self.put_index(disk, &row.to_line())?;
        let cue = crate::subtitles::cue(decode, decode.saturating_add(ticks), row.arrived, &self.camera_name);
        self.put_subtitles(disk, &cue)?;
        self.put_samples(disk, samples, hole)?;
        let state = &mut self.state;
        state.frames = state.frames.saturating_add(u64::from(row.frames));
        (state.last_decode, state.last_dts) = (decode, first.dts.ticks_90k);
        state.next_decode = decode.saturating_add(ticks);
        let length_us = i64::try_from(ticks).unwrap_or(i64::MAX).saturating_mul(100) / 9;
        state.ends = state.ends.max(row.arrived.micros().saturating_add(length_us));
        state.lost = state.lost.saturating_add(lost);
        Ok(())
    }

    fn note_clock(&mut self, unit: &AccessUnit) {
        let clock = &mut self.state.clock;
        match unit.clocks.sync {
            SyncState::Agrees => clock.agrees = clock.agrees.saturating_add(1),
            SyncState::Differs => clock.differs = clock.differs.saturating_add(1),
            SyncState::Unknown => clock.unknown = clock.unknown.saturating_add(1),
        }
        if let Some(camera) = unit.clocks.camera {
            let offset = camera.micros_since(unit.clocks.wall);
            clock.offset_min_us = Some(clock.offset_min_us.map_or(offset, |known| known.min(offset)));
            clock.offset_max_us = Some(clock.offset_max_us.map_or(offset, |known| known.max(offset)));
        }
    }

    fn put_film(&mut self, disk: &Disk, bytes: &[u8]) -> Result<(), ExportError> {
        self.hashes.update(bytes);
        self.state.film_bytes = self.state.film_bytes.saturating_add(len(bytes));
        self.files.film.push(disk, bytes)
    }

    fn put_index(&mut self, disk: &Disk, text: &str) -> Result<(), ExportError> {
        self.state.index_bytes = self.state.index_bytes.saturating_add(len(text.as_bytes()));
        self.files.index.push(disk, text.as_bytes())
    }

    fn put_subtitles(&mut self, disk: &Disk, text: &str) -> Result<(), ExportError> {
        self.state.subtitle_bytes = self.state.subtitle_bytes.saturating_add(len(text.as_bytes()));
        self.files.subtitles.push(disk, text.as_bytes())
    }

    fn put_samples(&mut self, disk: &Disk, samples: &[media::Sample], hole: u32) -> Result<(), ExportError> {
        let mut hole = Some(hole);
        for sample in samples {
            let record = tables::record(sample, hole.take());
            self.state.sample_bytes = self.state.sample_bytes.saturating_add(len(&record));
            self.files.samples.push(disk, &record)?;
        }
        Ok(())
    }

    /// Bytes of media so far.
    pub(crate) const fn bytes(&self) -> u64 {
        self.state.film_bytes
    }

    /// Makes everything so far durable and says how to go on from here.
    pub(crate) fn checkpoint(&mut self, disk: &Disk) -> Result<FilmState, ExportError> {
        self.files.film.sync(disk)?;
        self.files.index.sync(disk)?;
        self.files.subtitles.sync(disk)?;
        self.files.samples.sync(disk)?;
        self.state.film_sha256 = hex::encode(self.hashes.sha256.clone().finalize());
        Ok(self.state.clone())
    }

    /// Writes tables and seal, and tells of the film and its three files.
    pub(crate) fn finish(
        mut self,
        disk: &Disk,
        order: &Order,
        signer: &Signer,
    ) -> Result<(FilmReport, Vec<FileDigest>), ExportError> {
        let camera = order.cameras.get(self.state.camera).ok_or(ExportError::Journal)?;
        self.files.samples.write(disk)?;
        let first_chunk = len(FTYP).saturating_add(MDAT_HEADER);
        let stbl = tables::read(&self.samples_path, first_chunk)?;
        let moov = tables::moov(&self.sets, stbl, self.state.next_decode, Utc::from_micros(self.state.starts))?;
        let moov = match location(&camera.place) {
            Some(udta) => tables::with_child(moov, &udta)?,
            None => moov,
        };
        self.put_film(disk, &moov)?;
        let (film, index, subtitles) = names(self.state.number);
        let origin = Utc::from_micros(self.state.origin);
        let seal = Seal::of(order, camera, &film, origin, signer.certificate());
        let (meta, at) = sealed(&seal, &self.hashes.sha256, signer)?;
        let seal_offset = self.state.film_bytes.saturating_add(u64::try_from(at).unwrap_or(0));
        self.put_film(disk, &meta)?;
        self.files.film.sync(disk)?;
        self.files.index.sync(disk)?;
        self.files.subtitles.sync(disk)?;
        disk.sync_folder(&self.folder)?;
        let digest = self.hashes.finish(&film, self.state.film_bytes);
        let files = vec![digest, disk.digest(&self.folder, &index)?, disk.digest(&self.folder, &subtitles)?];
        let state = self.state;
        let report = FilmReport {
            file: film,
            index,
            subtitles,
            camera: state.camera,
            codec: self.sets.rfc6381.clone(),
            width: self.sets.width,
            height: self.sets.height,
            frames: state.frames,
            fragments: state.fragments,
            ticks: state.next_decode,
            origin,
            starts: Utc::from_micros(state.starts),
            ends: Utc::from_micros(state.ends),
            lost_packets: state.lost,
            clock: state.clock,
            seal_offset,
            seal_bytes: u32::try_from(SEAL_BYTES).unwrap_or(0),
        };
        Ok((report, files))
    }
}

/// The `meta` box with the signature over all that is hashed so far and itself.
fn sealed(seal: &Seal<'_>, so_far: &Sha256, signer: &Signer) -> Result<(Vec<u8>, usize), ExportError> {
    // Every second turn has the wanted length; so many without one do not happen.
    for turn in 0..TURNS_MAX {
        let (blank, _) = seal.meta(turn, &[0; SEAL_BYTES]);
        let digest: [u8; 32] = so_far.clone().chain_update(&blank).finalize().into();
        let signature = signer.sign(&digest)?;
        if signature.len() == SEAL_BYTES {
            return Ok(seal.meta(turn, &signature));
        }
    }
    Err(ExportError::Sign(crate::sign::SignError::Signing))
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

const fn clock_word(sync: SyncState) -> &'static str {
    match sync {
        SyncState::Agrees => "agrees",
        SyncState::Differs => "differs",
        SyncState::Unknown => "unknown",
    }
}

/// One row of the table of fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) fragment: u32,
    pub(crate) segment: String,
    pub(crate) record: u32,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) frames: u32,
    pub(crate) is_key: bool,
    pub(crate) decode: u64,
    pub(crate) ticks: u64,
    pub(crate) arrived: Utc,
    pub(crate) camera: Option<Utc>,
    pub(crate) clock: String,
    pub(crate) lost: u64,
    pub(crate) sha256: String,
}

impl Row {
    pub(crate) fn to_line(&self) -> String {
        let camera = self.camera.map_or_else(String::new, |at| at.to_string());
        format!(
            "{},{},{},{},{},{},{},{},{},{},{camera},{},{},{}\n",
            self.fragment,
            self.segment,
            self.record,
            self.offset,
            self.bytes,
            self.frames,
            u8::from(self.is_key),
            self.decode,
            self.ticks,
            self.arrived,
            self.clock,
            self.lost,
            self.sha256,
        )
    }

    /// Reads a line without its end.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(',');
        let mut next = || parts.next();
        let row = Self {
            fragment: next()?.parse().ok()?,
            segment: next()?.to_owned(),
            record: next()?.parse().ok()?,
            offset: next()?.parse().ok()?,
            bytes: next()?.parse().ok()?,
            frames: next()?.parse().ok()?,
            is_key: next()? == "1",
            decode: next()?.parse().ok()?,
            ticks: next()?.parse().ok()?,
            arrived: Utc::parse(next()?)?,
            camera: match next()? {
                "" => None,
                text => Some(Utc::parse(text)?),
            },
            clock: next()?.to_owned(),
            lost: next()?.parse().ok()?,
            sha256: next()?.to_owned(),
        };
        (row.to_line().strip_suffix('\n') == Some(line)).then_some(row)
    }
}
