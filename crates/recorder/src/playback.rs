//! Playback: any span of a stream as one virtual fragmented MP4. Its size and its entity tag follow from the closing records;
//! media are read only for the bytes asked for, and every record is checked before a byte of it leaves.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use keys::SegmentOpener;
use link::{Cause, GapRow};
use media::fmp4::{self, FragmentHead, MDAT_HEADER_LEN, Reference};
use media::{ParamSetId, ParameterSets};
use sha2::{Digest as _, Sha256};
use vms_core::{SegmentId, StreamId, TimeRange, WallTime};

use crate::catalogue::{Catalogue, SegmentState};
use crate::format::read::{self, Head, ReadError, StoredFragment};
use crate::format::{FragmentEntry, Kind, TAG};
use crate::index::{Index, IndexError, Located};
use crate::vault::{NoKey, Vault};

mod stored;

pub use stored::{StoredFrames, StoredPiece, StoredRange, open_stored};

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
    /// The key store.
    #[error("the key store cannot be read now")]
    Keys,
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
            Self::Index(_) | Self::Keys | Self::Container(_) => "unavailable",
        }
    }
}

/// One segment with what its view depends on.
#[derive(Clone, Debug)]
struct Material {
    segment: SegmentId,
    path: Arc<PathBuf>,
    from: WallTime,
    /// 0: in clear when the range was opened.
    key_epoch: u64,
    epoch: u64,
    boot: [u8; 16],
    entries: Vec<FragmentEntry>,
    sets: Vec<Arc<ParameterSets>>,
    /// Of a closed segment.
    digest: Option<[u8; 32]>,
}

/// Where a fragment's record lies.
#[derive(Clone, Debug)]
struct RecordPlace {
    path: Arc<PathBuf>,
    segment: SegmentId,
    /// When the range was opened.
    key_epoch: u64,
    entry: FragmentEntry,
}

/// One fragment of the virtual file.
#[derive(Clone, Debug)]
struct Part {
    /// First byte in the virtual file.
    at: u64,
    record: RecordPlace,
    decode: u64,
    sample_entry: u32,
    sequence: u32,
}

/// An open virtual file. Frozen: what is recorded after the opening is not in it.
#[derive(Debug)]
pub struct RangeFile {
    reader: Reader,
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

/// Where footage comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Media folder.
    pub root: PathBuf,
    /// Keys.
    pub vault: Arc<Vault>,
}

/// Opens `range` of `stream`.
///
/// # Errors
/// [`RangeError`].
pub async fn open(
    source: Source,
    index: &Index,
    catalogue: &Catalogue,
    stream: StreamId,
    range: TimeRange,
) -> Result<RangeFile, RangeError> {
    let (materials, gaps) = found(&source, index, catalogue, stream, range).await?;
    let built = tokio::task::spawn_blocking(move || build(source, &materials, range, gaps));
    built.await.map_err(|_| RangeError::Gone)?
}

/// What is recorded of `range` and what may be needed before it, and the gaps in order.
async fn found(
    source: &Source,
    index: &Index,
    catalogue: &Catalogue,
    stream: StreamId,
    range: TimeRange,
) -> Result<(Vec<Material>, Vec<GapRow>), RangeError> {
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
    let source = source.clone();
    let gathered = tokio::task::spawn_blocking(move || {
        let materials = gather(&source, fresh, stored, &mut gaps)?;
        gaps.sort_by_key(|gap| gap.from_us);
        Ok((materials, gaps))
    });
    gathered.await.map_err(|_| RangeError::Gone)?
}

/// What there is to play. A segment that no key opens any more is a gap with its cause.
fn gather(
    source: &Source,
    fresh: Vec<SegmentState>,
    stored: Vec<Located>,
    gaps: &mut Vec<GapRow>,
) -> Result<Vec<Material>, RangeError> {
    let mut materials: BTreeMap<(i64, SegmentId), Material> = BTreeMap::new();
    for row in stored {
        if fresh.iter().any(|state| state.segment == row.segment) {
            continue;
        }
        let Some(closing_at) = row.closing_at else { continue };
        let cause = match load(source, &row, closing_at) {
            Ok(material) => {
                materials.insert((material.from.micros, material.segment), material);
                continue;
            }
            Err(Unloaded::NoKey(NoKey::Destroyed)) => Cause::KeyDestroyed,
            Err(Unloaded::NoKey(NoKey::Lost)) => Cause::KeyLost,
            Err(Unloaded::NoKey(NoKey::Away)) => return Err(RangeError::Keys),
            Err(Unloaded::Range(error)) => return Err(error),
        };
        let stream = row.stream.to_string();
        gaps.push(GapRow { change: 0, stream, from_us: row.from.micros, to_us: Some(row.to.micros), cause });
    }
    for state in fresh {
        let material = Material {
            segment: state.segment,
            path: Arc::new(state.path),
            from: state.from,
            key_epoch: state.key_epoch,
            epoch: state.epoch,
            boot: state.boot,
            entries: state.entries,
            sets: state.sets,
            digest: state.digest,
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

/// Why a closed segment cannot be read.
enum Unloaded {
    NoKey(NoKey),
    Range(RangeError),
}

impl From<RangeError> for Unloaded {
    fn from(error: RangeError) -> Self {
        Self::Range(error)
    }
}

impl From<ReadError> for Unloaded {
    fn from(error: ReadError) -> Self {
        Self::Range(error.into())
    }
}

/// Reads header, closing record and parameter sets of a closed segment.
fn load(source: &Source, row: &Located, closing_at: u64) -> Result<Material, Unloaded> {
    let path = PathBuf::from(&row.path);
    let file = open_file(&source.root, &path)?;
    let head = read::head(&file)?;
    let damaged = |at| RangeError::Damaged(ReadError::Record { at });
    if head.header.segment != row.segment || head.header.stream != row.stream {
        return Err(damaged(0).into());
    }
    let key = source.vault.opener(&head.header).map_err(Unloaded::NoKey)?;
    let mut closing_at = closing_at;
    if head.header.key_epoch != row.key_epoch {
        // Sealed since, and the index does not know it yet.
        closing_at = read::scan(&file, key.as_ref())?.closing_at.ok_or_else(|| damaged(closing_at))?;
    }
    let end = read::record(&file, &head, key.as_ref(), closing_at)?;
    let closing = read::closing(&end.body).filter(|_| end.kind == Kind::Closing).ok_or_else(|| damaged(closing_at))?;
    let mut wanted: Vec<ParamSetId> = closing.entries.iter().map(|entry| entry.param_set).collect();
    wanted.dedup();
    let mut sets: Vec<Arc<ParameterSets>> = Vec::new();
    let mut at = head.len;
    while at < closing_at && wanted.iter().any(|id| !sets.iter().any(|known| known.id == *id)) {
        let record = read::record(&file, &head, key.as_ref(), at)?;
        if record.kind == Kind::Parameters {
            sets.push(Arc::new(read::parameters(&record.body).ok_or_else(|| damaged(at))?));
        }
        at = record.next;
    }
    Ok(Material {
        segment: head.header.segment,
        path: Arc::new(path),
        from: head.header.wall,
        key_epoch: head.header.key_epoch,
        epoch: head.header.epoch,
        boot: head.header.boot,
        entries: closing.entries,
        sets,
        digest: Some(closing.digest),
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

fn build(source: Source, materials: &[Material], range: TimeRange, gaps: Vec<GapRow>) -> Result<RangeFile, RangeError> {
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
        let record = RecordPlace { path, segment: material.segment, key_epoch: material.key_epoch, entry: *entry };
        parts.push(Part { at: size, record, decode, sample_entry, sequence });
        size = size.saturating_add(part_len(entry));
    }
    let digest: [u8; 32] = tag.finalize().into();
    let etag = hex::encode(digest.first_chunk::<16>().copied().unwrap_or_default());
    let mime = fmp4::mime(&borrowed);
    let reader = Reader::new(source);
    Ok(RangeFile { reader, size, etag, mime, starts, ends, gaps, head, parts, cached: None })
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
            Ok(cut(&payload, from - boxes_len, (until - boxes_len).min(u64::from(part.record.entry.payload))))
        }
    }

    fn load_part(&mut self, part: &Part) -> Result<(Bytes, Bytes), RangeError> {
        if let Some((at, boxes, payload)) = &self.cached
            && *at == part.at
        {
            return Ok((boxes.clone(), payload.clone()));
        }
        let stored = self.reader.fragment(&part.record)?;
        let mut boxes = Vec::new();
        let samples = &stored.samples;
        let head = FragmentHead { sequence: part.sequence, decode: part.decode, entry: part.sample_entry, samples };
        head.encode(&mut boxes)?;
        let boxes = Bytes::from(boxes);
        self.cached = Some((part.at, boxes.clone(), stored.payload.clone()));
        Ok((boxes, stored.payload))
    }
}

/// Reads fragments out of segments.
#[derive(Debug)]
struct Reader {
    source: Source,
    /// The key of the segment that was read last. Asked for anew with every segment, so that a key which dies is not used for long.
    key: Option<(SegmentId, u64, Option<SegmentOpener>)>,
}

impl Reader {
    const fn new(source: Source) -> Self {
        Self { source, key: None }
    }

    fn take_key(&mut self, head: &Head) -> Result<(), RangeError> {
        let place = (head.header.segment, head.header.key_epoch);
        if self.key.as_ref().is_none_or(|(segment, epoch, _)| (*segment, *epoch) != place) {
            let key = self.source.vault.opener(&head.header).map_err(|why| match why {
                NoKey::Destroyed | NoKey::Lost => RangeError::Gone,
                NoKey::Away => RangeError::Keys,
            })?;
            self.key = Some((place.0, place.1, key));
        }
        Ok(())
    }

    /// One fragment, checked and opened.
    fn fragment(&mut self, place: &RecordPlace) -> Result<StoredFragment, RangeError> {
        let file = open_file(&self.source.root, &place.path)?;
        let head = read::head(&file)?;
        let damaged = || RangeError::Damaged(ReadError::Record { at: place.entry.at });
        if head.header.segment != place.segment {
            return Err(damaged());
        }
        self.take_key(&head)?;
        let key = self.key.as_ref().and_then(|(.., key)| key.as_ref());
        // Sealed since the range was opened: every record before this one is longer by its tag.
        let is_sealed_since = place.key_epoch == 0 && head.header.key_epoch != 0;
        let tags = if is_sealed_since { TAG } else { 0 };
        let shift = u64::from(place.entry.number).saturating_mul(u64::try_from(tags).unwrap_or(0));
        let record = read::record(&file, &head, key, place.entry.at.saturating_add(shift))?;
        let stored =
            StoredFragment::parse(&record.body).filter(|_| record.kind == Kind::Fragment).ok_or_else(damaged)?;
        let fits = u32::try_from(stored.samples.len()) == Ok(place.entry.units)
            && u32::try_from(stored.payload.len()) == Ok(place.entry.payload)
            && record.number == place.entry.number;
        if fits { Ok(stored) } else { Err(damaged()) }
    }
}

fn cut(bytes: &Bytes, from: u64, to: u64) -> Bytes {
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    let to = usize::try_from(to).unwrap_or(usize::MAX).clamp(from, bytes.len());
    bytes.slice(from..to)
}
