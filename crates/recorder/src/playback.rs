//! Playback: any span of a stream as one virtual fragmented MP4. Its size and its entity tag follow from the closing records;
//! media are read only for the bytes asked for, and every record is checked before a byte of it leaves.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use link::GapRow;
use media::fmp4::{self, FragmentHead, MDAT_HEADER_LEN, Reference};
use media::{ParamSetId, ParameterSets};
use sha2::{Digest as _, Sha256};
use vms_core::{SegmentId, StreamId, TimeRange, WallTime};

use crate::catalogue::{Catalogue, SegmentState};
use crate::format::read::{self, ReadError, StoredFragment};
use crate::format::{FragmentEntry, Kind};
use crate::index::{Index, IndexError, Located};

/// Longest span of one virtual file: its index (`sidx`) counts fragments in 16 bits, one a second or a little more.
pub const RANGE_MAX_US: i64 = 12 * 3_600 * 1_000_000;

/// How far back a key frame is looked for: the hard limit of a segment and a little.
const KEY_BACK_US: i64 = 130_000_000;

/// Bytes handed out in one piece.
pub const PIECE_MAX: u64 = 1024 * 1024;

/// Why there is no virtual file, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// Nothing recorded in the span.
    #[error("there is no footage in the span")]
    NoFootage,
    /// Over [`RANGE_MAX_US`].
    #[error("the span is too long")]
    TooLong,
    /// The footage was erased in the meantime.
    #[error("the footage is not there any more")]
    Gone,
    /// The file is damaged: nothing of it leaves.
    #[error("a segment is damaged")]
    Damaged(#[from] ReadError),
    /// The index.
    #[error("the index did not answer")]
    Index(#[from] IndexError),
    /// The boxes.
    #[error("the footage fits no container")]
    Container(#[from] fmp4::Fmp4Error),
}

impl RangeError {
    /// Stable word for the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoFootage => "no_footage",
            Self::TooLong => "range_too_long",
            Self::Gone => "erased",
            Self::Damaged(_) => "damaged",
            Self::Index(_) | Self::Container(_) => "unavailable",
        }
    }
}

/// One segment with what its view depends on.
#[derive(Clone, Debug)]
struct Material {
    segment: SegmentId,
    path: Arc<PathBuf>,
    from: WallTime,
    epoch: u64,
    boot: [u8; 16],
    entries: Vec<FragmentEntry>,
    sets: Vec<Arc<ParameterSets>>,
}

/// One fragment of the virtual file.
#[derive(Clone, Debug)]
struct Part {
    /// First byte in the virtual file.
    at: u64,
    path: Arc<PathBuf>,
    segment: SegmentId,
    entry: FragmentEntry,
    decode: u64,
    sample_entry: u32,
    sequence: u32,
}

/// An open virtual file. Frozen: what is recorded after the opening is not in it.
#[derive(Debug)]
pub struct RangeFile {
    root: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Strong entity tag.
    pub etag: String,
    /// MIME type with codecs.
    pub mime: String,
    /// Wall time of the first unit.
    pub starts: WallTime,
    /// Wall time of the end.
    pub ends: WallTime,
    /// Holes inside.
    pub gaps: Vec<GapRow>,
    head: Bytes,
    parts: Vec<Part>,
    cached: Option<(u64, Bytes, Bytes)>,
}

/// Opens `range` of `stream`.
///
/// # Errors
/// [`RangeError`].
pub async fn open(
    root: &Path,
    index: &Index,
    catalogue: &Catalogue,
    stream: StreamId,
    range: TimeRange,
) -> Result<RangeFile, RangeError> {
    if range.micros() > RANGE_MAX_US {
        return Err(RangeError::TooLong);
    }
    let back = WallTime::from_micros(range.from.micros.saturating_sub(KEY_BACK_US));
    let wide = TimeRange { from: back, to: range.to };
    // The catalogue first: a segment that is flushed and forgotten between the two questions is then in the index.
    let fresh = catalogue.overlapping(stream, wide);
    let stored = index.overlapping(stream, wide).await?;
    let mut gaps = index.gaps_overlapping(stream, range).await?;
    for gap in catalogue.gaps_overlapping(stream, range) {
        gaps.retain(|known| known.from_us != gap.from.micros);
        if gap.to == Some(gap.from) {
            continue;
        }
        gaps.push(GapRow {
            change: 0,
            stream: stream.to_string(),
            from_us: gap.from.micros,
            to_us: gap.to.map(|to| to.micros),
            cause: gap.cause,
        });
    }
    gaps.sort_by_key(|gap| gap.from_us);
    let root = root.to_owned();
    let built = tokio::task::spawn_blocking(move || {
        let materials = gather(&root, fresh, stored)?;
        build(root, &materials, range, gaps)
    });
    built.await.map_err(|_| RangeError::Gone)?
}

fn gather(root: &Path, fresh: Vec<SegmentState>, stored: Vec<Located>) -> Result<Vec<Material>, RangeError> {
    let mut materials: BTreeMap<(i64, SegmentId), Material> = BTreeMap::new();
    for row in stored {
        if fresh.iter().any(|state| state.segment == row.segment) {
            continue;
        }
        let Some(closing_at) = row.closing_at else { continue };
        let material = load(root, &row, closing_at)?;
        materials.insert((material.from.micros, material.segment), material);
    }
    for state in fresh {
        let material = Material {
            segment: state.segment,
            path: Arc::new(state.path),
            from: state.from,
            epoch: state.epoch,
            boot: state.boot,
            entries: state.entries,
            sets: state.sets,
        };
        materials.insert((material.from.micros, material.segment), material);
    }
    Ok(materials.into_values().collect())
}

fn open_file(root: &Path, path: &Path) -> Result<File, RangeError> {
    File::open(root.join(path)).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound { RangeError::Gone } else { RangeError::Damaged(error.into()) }
    })
}

/// Reads header, closing record and parameter sets of a closed segment.
fn load(root: &Path, row: &Located, closing_at: u64) -> Result<Material, RangeError> {
    let path = PathBuf::from(&row.path);
    let file = open_file(root, &path)?;
    let (header, mut at) = read::header(&file)?;
    let damaged = |at| RangeError::Damaged(ReadError::Record { at });
    if header.segment != row.segment || header.stream != row.stream {
        return Err(damaged(0));
    }
    let end = read::record(&file, header.segment, closing_at)?;
    let closing = read::closing(&end.body).filter(|_| end.kind == Kind::Closing).ok_or_else(|| damaged(closing_at))?;
    let mut wanted: Vec<ParamSetId> = closing.entries.iter().map(|entry| entry.param_set).collect();
    wanted.dedup();
    let mut sets: Vec<Arc<ParameterSets>> = Vec::new();
    while at < closing_at && wanted.iter().any(|id| !sets.iter().any(|known| known.id == *id)) {
        let record = read::record(&file, header.segment, at)?;
        if record.kind == Kind::Parameters {
            sets.push(Arc::new(read::parameters(&record.body).ok_or_else(|| damaged(at))?));
        }
        at = record.next;
    }
    Ok(Material {
        segment: header.segment,
        path: Arc::new(path),
        from: header.wall,
        epoch: header.epoch,
        boot: header.boot,
        entries: closing.entries,
        sets,
    })
}

/// The fragments that a player needs for `range`: from the key frame at or before its start.
fn select(materials: &[Material], range: TimeRange) -> Vec<(&Material, FragmentEntry)> {
    let all: Vec<(&Material, FragmentEntry)> =
        materials.iter().flat_map(|material| material.entries.iter().map(move |entry| (material, *entry))).collect();
    let inside = |entry: &FragmentEntry| entry.wall < range.to && range.from < entry.wall_end();
    let Some(first) = all.iter().position(|(_, entry)| inside(entry)) else { return Vec::new() };
    let mut start = first;
    while let Some((material, entry)) = all.get(start)
        && !entry.is_key
    {
        let before = start.checked_sub(1).and_then(|before| all.get(before).map(|found| (before, found)));
        let follows = before.filter(|(_, (earlier, last))| {
            earlier.epoch == material.epoch
                && earlier.boot == material.boot
                && last.seq.saturating_add(u64::from(last.units)) == entry.seq
        });
        match follows {
            Some((before, _)) => start = before,
            // No unbroken way back to a key frame: the first one inside the span.
            None => {
                let ahead = all.iter().skip(first).position(|(_, entry)| entry.is_key);
                start = ahead.map_or(all.len(), |ahead| first + ahead);
                break;
            }
        }
    }
    all.into_iter().skip(start).take_while(|(_, entry)| entry.wall < range.to).collect()
}

/// Decode times of the parts on one timeline that starts at 0: exact inside an epoch, by the wall clock between epochs.
fn timeline(chosen: &[(&Material, FragmentEntry)]) -> Vec<u64> {
    let mut decodes = Vec::with_capacity(chosen.len());
    let origin = chosen.first().map_or(WallTime::default(), |(_, entry)| entry.wall);
    let mut last: Option<(u64, [u8; 16], FragmentEntry, i64)> = None;
    for (material, entry) in chosen {
        let decode = match &last {
            Some((epoch, boot, before, decode)) if *epoch == material.epoch && *boot == material.boot => {
                decode.saturating_add(entry.dts.ticks_90k.saturating_sub(before.dts.ticks_90k))
            }
            Some(_) | None => entry.wall.micros_since(origin).saturating_mul(9) / 100,
        };
        let earliest = last.map_or(0, |(_, _, before, decode)| decode.saturating_add(i64::from(before.ticks)));
        let decode = decode.max(earliest);
        decodes.push(u64::try_from(decode).unwrap_or(0));
        last = Some((material.epoch, material.boot, *entry, decode));
    }
    decodes
}

fn build(root: PathBuf, materials: &[Material], range: TimeRange, gaps: Vec<GapRow>) -> Result<RangeFile, RangeError> {
    let chosen = select(materials, range);
    let (Some((_, first)), Some((_, last))) = (chosen.first(), chosen.last()) else {
        return Err(RangeError::NoFootage);
    };
    let (starts, ends, composition) = (first.wall, last.wall_end(), first.composition);
    let mut sets: Vec<Arc<ParameterSets>> = Vec::new();
    let mut entry_numbers = Vec::with_capacity(chosen.len());
    for (material, entry) in &chosen {
        if !sets.iter().any(|known| known.id == entry.param_set) {
            let found = material.sets.iter().find(|known| known.id == entry.param_set);
            sets.push(Arc::clone(found.ok_or(RangeError::Damaged(ReadError::Record { at: entry.at }))?));
        }
        let at = sets.iter().position(|known| known.id == entry.param_set).unwrap_or(0);
        entry_numbers.push(u32::try_from(at + 1).unwrap_or(1));
    }
    let borrowed: Vec<&ParameterSets> = sets.iter().map(Arc::as_ref).collect();
    let init = fmp4::init_segment(&borrowed)?;
    let decodes = timeline(&chosen);
    let nexts = decodes.iter().skip(1).copied().map(Some).chain(std::iter::once(None));
    let references: Vec<Reference> = chosen
        .iter()
        .zip(&decodes)
        .zip(nexts)
        .map(|(((_, entry), decode), next)| Reference {
            size: part_len(entry),
            ticks: next.map_or(u64::from(entry.ticks), |next| next.saturating_sub(*decode)),
            is_key: entry.is_key,
        })
        .collect();
    let earliest = decodes.first().map_or(0, |decode| decode.saturating_add_signed(i64::from(composition)));
    let sidx = fmp4::sidx(earliest, &references)?;
    let head = Bytes::from([init.as_ref(), sidx.as_ref()].concat());
    let mut size = u64::try_from(head.len()).unwrap_or(u64::MAX);
    let mut tag = Sha256::new();
    tag.update(b"belfry range 1\n");
    tag.update(&head);
    let mut parts = Vec::with_capacity(chosen.len());
    for ((((material, entry), decode), sample_entry), sequence) in
        chosen.iter().zip(decodes).zip(entry_numbers).zip(1_u32..)
    {
        tag.update(material.segment.as_bytes());
        tag.update(entry.number.to_be_bytes());
        tag.update(decode.to_be_bytes());
        let path = Arc::clone(&material.path);
        parts.push(Part { at: size, path, segment: material.segment, entry: *entry, decode, sample_entry, sequence });
        size = size.saturating_add(part_len(entry));
    }
    let digest: [u8; 32] = tag.finalize().into();
    let etag = hex::encode(digest.first_chunk::<16>().copied().unwrap_or_default());
    let mime = fmp4::mime(&borrowed);
    Ok(RangeFile { root, size, etag, mime, starts, ends, gaps, head, parts, cached: None })
}

/// Bytes of one fragment in the virtual file.
fn part_len(entry: &FragmentEntry) -> u64 {
    fmp4::moof_len(u64::from(entry.units)) + MDAT_HEADER_LEN + u64::from(entry.payload)
}

impl RangeFile {
    /// The next piece of `[start, end)`, at most [`PIECE_MAX`] bytes; empty at the end.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn piece(&mut self, start: u64, end: u64) -> Result<Bytes, RangeError> {
        let end = end.min(self.size).min(start.saturating_add(PIECE_MAX));
        if start >= end {
            return Ok(Bytes::new());
        }
        let head_len = u64::try_from(self.head.len()).unwrap_or(u64::MAX);
        if start < head_len {
            return Ok(cut(&self.head, start, end.min(head_len)));
        }
        let at = self.parts.partition_point(|part| part.at <= start).saturating_sub(1);
        let Some(part) = self.parts.get(at).cloned() else { return Ok(Bytes::new()) };
        let (boxes, payload) = self.load_part(&part)?;
        let from = start - part.at;
        let boxes_len = u64::try_from(boxes.len()).unwrap_or(u64::MAX);
        let until = end - part.at;
        if from < boxes_len {
            Ok(cut(&boxes, from, until.min(boxes_len)))
        } else {
            Ok(cut(&payload, from - boxes_len, (until - boxes_len).min(u64::from(part.entry.payload))))
        }
    }

    fn load_part(&mut self, part: &Part) -> Result<(Bytes, Bytes), RangeError> {
        if let Some((at, boxes, payload)) = &self.cached
            && *at == part.at
        {
            return Ok((boxes.clone(), payload.clone()));
        }
        let file = open_file(&self.root, &part.path)?;
        let record = read::record(&file, part.segment, part.entry.at)?;
        let damaged = || RangeError::Damaged(ReadError::Record { at: part.entry.at });
        let stored =
            StoredFragment::parse(&record.body).filter(|_| record.kind == Kind::Fragment).ok_or_else(damaged)?;
        let fits = u32::try_from(stored.samples.len()) == Ok(part.entry.units)
            && u32::try_from(stored.payload.len()) == Ok(part.entry.payload)
            && record.number == part.entry.number;
        if !fits {
            return Err(damaged());
        }
        let mut boxes = Vec::new();
        let samples = &stored.samples;
        let head = FragmentHead { sequence: part.sequence, decode: part.decode, entry: part.sample_entry, samples };
        head.encode(&mut boxes)?;
        let boxes = Bytes::from(boxes);
        self.cached = Some((part.at, boxes.clone(), stored.payload.clone()));
        Ok((boxes, stored.payload))
    }
}

fn cut(bytes: &Bytes, from: u64, to: u64) -> Bytes {
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    let to = usize::try_from(to).unwrap_or(usize::MAX).clamp(from, bytes.len());
    bytes.slice(from..to)
}
