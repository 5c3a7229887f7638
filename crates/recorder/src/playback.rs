//! Playback: any span of a stream as one virtual fragmented MP4. Its size and its entity tag follow from the closing records;
//! media are read only for the bytes asked for, and every record is checked before a byte of it leaves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use keys::SegmentOpener;
use link::{Cause, GapRow, PartRow};
use media::fmp4::{self, FragmentHead, Reference};
use media::{ParamSetId, ParameterSets, Sample};
use sha2::{Digest as _, Sha256};
use vms_core::{SegmentId, StreamId, TimeRange, WallTime};

use crate::catalogue::{Catalogue, SegmentState};
use crate::format::read::{self, Head, ReadError, StoredFragment};
use crate::format::{FragmentEntry, Kind, TAG};
use crate::gated::OpenGate;
use crate::index::{Index, IndexError, Located};
use crate::tiering::Tiers;
use crate::vault::{NoKey, Vault};
use media_file::MediaFile;

pub(crate) mod media_file;
mod parts;
mod preview;
mod stored;

use parts::{Laid, Part, lay_out, part_len};
pub use preview::{PREVIEW_MAX_US, open_preview};
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
    Damaged(#[source] ReadError),
    /// It is behind the magistrate's gate, and the capability names no decision of one.
    #[error("the footage is behind the magistrate's gate")]
    Gated,
    /// The medium with the key of the gate is not attached.
    #[error("the key of the magistrate's gate is not attached")]
    GateAway,
    /// It lies in a store that does not answer now: nothing is lost.
    #[error("the footage lies in a store that does not answer now")]
    Away,
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
            Self::Gated => "footage_gated",
            Self::GateAway => "gate_away",
            Self::Away => "footage_away",
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
    /// Where the first frame at or after the asked start is, microseconds of the file's time line.
    pub start_offset_us: u64,
    /// From each of these instants of the file's time line on, its wall time; both in microseconds.
    pub clock: Vec<(u64, i64)>,
    /// Single pictures instead of bytes.
    is_preview: bool,
    head: Bytes,
    inits: Vec<Bytes>,
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
    /// Where the file of a segment is when the media folder does not have it.
    pub tiers: Tiers,
    /// The magistrate's gate; `None`: what is behind it is not seen.
    pub gate: Option<Arc<OpenGate>>,
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
    found_within(source, index, catalogue, (stream, range), RANGE_MAX_US).await
}

async fn found_within(
    source: &Source,
    index: &Index,
    catalogue: &Catalogue,
    (stream, range): (StreamId, TimeRange),
    longest_us: i64,
) -> Result<(Vec<Material>, Vec<GapRow>), RangeError> {
    if range.micros() > longest_us {
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
        let materials = gather(&source, fresh, (stored, range.from), &mut gaps)?;
        gaps.sort_by_key(|gap| gap.from_us);
        Ok((materials, gaps))
    });
    gathered.await.map_err(|_| RangeError::Gone)?
}

/// What there is to play from `from` on. A segment that no key opens any more is a gap with its cause.
fn gather(
    source: &Source,
    fresh: Vec<SegmentState>,
    (stored, from): (Vec<Located>, WallTime),
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
            // Only looked at for a key frame before the span: it stays where it is.
            Err(Unloaded::NoKey(NoKey::Gated | NoKey::GateAway)) if row.to <= from => continue,
            Err(Unloaded::NoKey(NoKey::Gated)) => return Err(RangeError::Gated),
            Err(Unloaded::NoKey(NoKey::GateAway)) => return Err(RangeError::GateAway),
            // Only looked at for a key frame before the span: what is inside it does not wait for a store that is away.
            Err(Unloaded::Range(RangeError::Away)) if row.to <= from => continue,
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
    let file = MediaFile::open(source, &path, row.segment)?;
    let head = read::head(&file)?;
    let damaged = |at| RangeError::Damaged(ReadError::Record { at });
    if head.header.segment != row.segment || head.header.stream != row.stream {
        return Err(damaged(0).into());
    }
    let key = source.vault.view(&head.header, source.gate.as_deref()).map_err(Unloaded::NoKey)?;
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
    let Laid { mut parts, inits, mime, starts, ends } = lay_out(&select(materials, range))?;
    let nexts = parts.iter().skip(1).map(|next| Some(next.decode)).chain(std::iter::once(None));
    let references: Vec<Reference> = parts
        .iter()
        .zip(nexts)
        .map(|(part, next)| Reference {
            size: part_len(&part.record.entry),
            ticks: next.map_or(part.ticks, |next| next.saturating_sub(part.decode)),
            is_key: part.record.entry.is_key,
        })
        .collect();
    let sidx = fmp4::sidx(parts.first().map_or(0, Part::shows), &references)?;
    let init = inits.first().map_or(&[][..], |init| init);
    let head = Bytes::from([init, sidx.as_ref()].concat());
    let mut size = u64::try_from(head.len()).unwrap_or(u64::MAX);
    let mut tag = Sha256::new();
    tag.update(b"belfry range 1\n");
    tag.update(&head);
    for part in &mut parts {
        tag.update(part.record.segment.as_bytes());
        tag.update(part.record.entry.number.to_be_bytes());
        tag.update(part.decode.to_be_bytes());
        part.at = size;
        part.size = part_len(&part.record.entry);
        size = size.saturating_add(part.size);
    }
    let mut reader = Reader::new(source);
    let start_offset_us = parts::start_offset(&mut reader, &parts, range.from);
    let (etag, clock, is_preview) = (etag_of(tag), parts::clock(&parts), false);
    let cached = None;
    Ok(RangeFile {
        reader,
        size,
        etag,
        mime,
        starts,
        ends,
        gaps,
        start_offset_us,
        clock,
        is_preview,
        head,
        inits,
        parts,
        cached,
    })
}

fn etag_of(tag: Sha256) -> String {
    let digest: [u8; 32] = tag.finalize().into();
    hex::encode(digest.first_chunk::<16>().copied().unwrap_or_default())
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

    /// The init segment of all parameter sets, then one for each alone.
    pub fn inits(&self) -> &[Bytes] {
        &self.inits
    }

    /// How many parts there are.
    pub const fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there are none: never, a span without footage does not open.
    pub const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Parts behind the first `after`, at most `limit`.
    pub fn rows(&self, after: usize, limit: usize) -> Vec<PartRow> {
        self.parts.iter().skip(after).take(limit).map(Part::row).collect()
    }

    /// One picture of a preview as `moof` and `mdat`; `None` when there is none of this number.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn picture(&mut self, number: usize) -> Result<Option<Bytes>, RangeError> {
        let Some(part) = self.parts.get(number).filter(|_| self.is_preview).cloned() else { return Ok(None) };
        let stored = self.reader.fragment(&part.record)?;
        let first = stored.samples.first().filter(|sample| sample.is_key);
        let damaged = || RangeError::Damaged(ReadError::Record { at: part.record.entry.at });
        let size = first.map(|sample| sample.size).ok_or_else(damaged)?;
        let duration = u32::try_from(part.ticks).unwrap_or(u32::MAX);
        let samples = &[Sample { size, duration, composition: 0, is_key: true }];
        let head = FragmentHead { sequence: part.sequence, decode: part.decode, entry: part.sample_entry, samples };
        Ok(Some(head.wrap(&cut(&stored.payload, 0, size.into()))?))
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
    /// The segment in a tier that was read last: opened once, not for each fragment.
    away: Option<(SegmentId, MediaFile)>,
}

impl Reader {
    const fn new(source: Source) -> Self {
        Self { source, key: None, away: None }
    }

    fn take_key(&mut self, head: &Head) -> Result<(), RangeError> {
        let place = (head.header.segment, head.header.key_epoch);
        if self.key.as_ref().is_none_or(|(segment, epoch, _)| (*segment, *epoch) != place) {
            let gate = self.source.gate.as_deref();
            let key = self.source.vault.view(&head.header, gate).map_err(|why| match why {
                NoKey::Destroyed | NoKey::Lost => RangeError::Gone,
                NoKey::Away => RangeError::Keys,
                NoKey::Gated => RangeError::Gated,
                NoKey::GateAway => RangeError::GateAway,
            })?;
            self.key = Some((place.0, place.1, key));
        }
        Ok(())
    }

    /// One fragment, checked and opened.
    fn fragment(&mut self, place: &RecordPlace) -> Result<StoredFragment, RangeError> {
        let known = self.away.take().filter(|(segment, _)| *segment == place.segment);
        let file = match known {
            Some((_, file)) => file,
            None => MediaFile::open(&self.source, &place.path, place.segment)?,
        };
        let stored = self.read_fragment(&file, place);
        self.away = file.is_away().then_some((place.segment, file));
        stored
    }

    fn read_fragment(&mut self, file: &MediaFile, place: &RecordPlace) -> Result<StoredFragment, RangeError> {
        let head = read::head(file)?;
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
        let record = read::record(file, &head, key, place.entry.at.saturating_add(shift))?;
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
