//! Reading segment files: foreign bytes, since a disk or an attacker may have changed them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use bytes::{Buf as _, Bytes};
use keys::{KeyEpoch, SegmentOpener};
use media::ParameterSets;
use vms_core::{CameraId, MonoTime, RetentionClass, SegmentId, StreamId, WallTime};

use super::body::take;
pub use super::body::{StoredFragment, closing, gap, parameters};
use super::write::bound_to;
use super::{
    BODY_MAX, Closing, DigestKind, FLAG_RECOVERED, FragmentEntry, Guard, HEADER_FIXED, Kind, MAGIC, RECORD_HEADER,
    RECORD_MAGIC, RunningDigest, SegmentHeader, TAG, TRAILER, VERSION,
};
use crate::plan::Hole;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk failed.
    #[error("the segment file cannot be read")]
    Io(#[from] std::io::Error),
    /// No segment of this version, or its header is damaged.
    #[error("not a segment file of version 2 to {VERSION}, or its header is damaged")]
    Header,
    /// Sealed, and no key was given.
    #[error("the segment is sealed and its key is not at hand")]
    Locked,
    /// A record is cut, damaged, or does not belong here.
    #[error("a record at {at} is damaged")]
    Record {
        /// Offset.
        at: u64,
    },
}

/// Where bytes come from.
pub trait Source {
    /// Length now.
    ///
    /// # Errors
    /// Of the disk.
    fn length(&self) -> std::io::Result<u64>;

    /// Fills `into` from offset `at`.
    ///
    /// # Errors
    /// Of the disk, or `UnexpectedEof`.
    fn read_at(&self, at: u64, into: &mut [u8]) -> std::io::Result<()>;
}

impl Source for File {
    fn length(&self) -> std::io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        self.read_exact_at(into, at)
    }
}

impl Source for [u8] {
    fn length(&self) -> std::io::Result<u64> {
        Ok(u64::try_from(self.len()).unwrap_or(u64::MAX))
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        let eof = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let from = usize::try_from(at).map_err(|_| eof())?;
        let to = from.checked_add(into.len()).ok_or_else(eof)?;
        into.copy_from_slice(self.get(from..to).ok_or_else(eof)?);
        Ok(())
    }
}

/// The clear beginning of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it says.
    pub header: SegmentHeader,
    /// Offset of the first record.
    pub len: u64,
    /// Its digest, which every sealed record is bound to.
    pub digest: [u8; 32],
    pub(crate) kind: DigestKind,
}

impl Head {
    /// The number of the key that the segment is sealed with; `None` when it is not.
    pub fn key_epoch(&self) -> Option<KeyEpoch> {
        KeyEpoch::new(self.header.key_epoch)
    }
}

/// Reads the header; also gives its length.
///
/// # Errors
/// [`ReadError`].
pub fn header(source: &(impl Source + ?Sized)) -> Result<(SegmentHeader, u64), ReadError> {
    head(source).map(|head| (head.header, head.len))
}

/// Reads the header with what its records are checked by.
///
/// # Errors
/// [`ReadError`].
pub fn head(source: &(impl Source + ?Sized)) -> Result<Head, ReadError> {
    let mut front = [0_u8; 12];
    source.read_at(0, &mut front)?;
    let (magic, mut rest) = front.split_first_chunk::<8>().ok_or(ReadError::Header)?;
    let (version, length) = (rest.get_u16(), usize::from(rest.get_u16()));
    let kind = DigestKind::of_version(version).ok_or(ReadError::Header)?;
    if magic != MAGIC || length < HEADER_FIXED + TRAILER {
        return Err(ReadError::Header);
    }
    let mut whole = vec![0_u8; length];
    source.read_at(0, &mut whole)?;
    let (body, digest) = whole.split_last_chunk::<TRAILER>().ok_or(ReadError::Header)?;
    if *digest != kind.of(body) {
        return Err(ReadError::Header);
    }
    let header = parse_header(body.get(12..).ok_or(ReadError::Header)?).ok_or(ReadError::Header)?;
    // Nothing was sealed before version 4.
    if version < VERSION && header.key_epoch != 0 {
        return Err(ReadError::Header);
    }
    Ok(Head { header, len: u64::try_from(length).map_err(|_| ReadError::Header)?, digest: *digest, kind })
}

fn parse_header(mut body: &[u8]) -> Option<SegmentHeader> {
    let from = &mut body;
    let read = SegmentHeader {
        segment: SegmentId::from_bytes(take(from)?),
        stream: StreamId::from_bytes(take(from)?),
        camera: CameraId::from_bytes(take(from)?),
        key_epoch: u64::from_be_bytes(take(from)?),
        wall: WallTime::from_micros(i64::from_be_bytes(take(from)?)),
        mono: MonoTime { micros: u64::from_be_bytes(take(from)?) },
        epoch: u64::from_be_bytes(take(from)?),
        reason: u8::from_be_bytes(take(from)?),
        boot: take(from)?,
        previous: take(from)?,
        class: {
            let [length] = take::<1>(from)?;
            let text = std::str::from_utf8(from.get(..usize::from(length))?).ok()?;
            RetentionClass::parse(text)?
        },
    };
    Some(read)
}

/// One record, checked against its trailer, and opened.
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// Kind.
    pub kind: Kind,
    /// Number in the file.
    pub number: u32,
    /// Body in clear.
    pub body: Bytes,
    /// Trailer, which matched.
    pub trailer: [u8; 32],
    /// Offset of the next record.
    pub next: u64,
    guard: Guard,
}

/// A record as it lies on disk; its trailer matched.
struct Stored {
    kind: Kind,
    guard: Guard,
    number: u32,
    raw: Vec<u8>,
    body_len: usize,
    trailer: [u8; 32],
    next: u64,
}

/// Reads the record at `at` of the file that begins with `head`; nothing is handed out before its trailer and, with a key, its
/// tag matched. `key` is wanted where the file is sealed; without it, signed records are still read.
///
/// # Errors
/// [`ReadError::Record`], also when the file ends inside it; [`ReadError::Locked`].
pub fn record(
    source: &(impl Source + ?Sized),
    head: &Head,
    key: Option<&SegmentOpener>,
    at: u64,
) -> Result<RawRecord, ReadError> {
    open_record(load(source, head.header.segment, at)?, head, key, at)
}

fn load(source: &(impl Source + ?Sized), segment: SegmentId, at: u64) -> Result<Stored, ReadError> {
    let damaged = || ReadError::Record { at };
    let mut head = [0_u8; RECORD_HEADER];
    read_or(source, at, &mut head)?;
    let mut rest: &[u8] = &head;
    let magic: [u8; 4] = take(&mut rest).ok_or_else(damaged)?;
    let [code, digest, guard, reserved] = take::<4>(&mut rest).ok_or_else(damaged)?;
    let (length, number) = (rest.get_u32(), rest.get_u32());
    let kind = Kind::from_code(code).ok_or_else(damaged)?;
    let guard = Guard::from_code(guard).ok_or_else(damaged)?;
    let digest_kind = DigestKind::from_code(digest).ok_or_else(damaged)?;
    if &magic != RECORD_MAGIC || reserved != 0 || length > BODY_MAX {
        return Err(damaged());
    }
    let body_len = usize::try_from(length).map_err(|_| damaged())?;
    // Asked before the allocation: a damaged length must not cost memory.
    let total = u64::try_from(RECORD_HEADER + body_len + TRAILER).map_err(|_| damaged())?;
    let next = at.checked_add(total).ok_or_else(damaged)?;
    if next > source.length()? {
        return Err(damaged());
    }
    let mut raw = vec![0_u8; RECORD_HEADER + body_len + TRAILER];
    read_or(source, at, &mut raw)?;
    let (signed, digest) = raw.split_at_checked(RECORD_HEADER + body_len).ok_or_else(damaged)?;
    let trailer = digest_kind.trailer(segment, signed);
    if digest != trailer {
        return Err(damaged());
    }
    Ok(Stored { kind, guard, number, raw, body_len, trailer, next })
}

/// Opens the body in the memory it was read into.
fn open_record(stored: Stored, head: &Head, key: Option<&SegmentOpener>, at: u64) -> Result<RawRecord, ReadError> {
    let damaged = || ReadError::Record { at };
    let Stored { kind, guard, number, mut raw, mut body_len, trailer, next } = stored;
    let wanted = if head.header.key_epoch == 0 { Guard::Clear } else { Guard::of(kind) };
    // Recovery closes a sealed file without its key.
    if guard != wanted && (guard, kind) != (Guard::Clear, Kind::Closing) {
        return Err(damaged());
    }
    let (front, rest) = raw.split_at_mut_checked(RECORD_HEADER).ok_or_else(damaged)?;
    let body = rest.get_mut(..body_len).ok_or_else(damaged)?;
    match (guard, key) {
        (Guard::Clear, _) => {}
        (Guard::Sealed, None) => return Err(ReadError::Locked),
        (Guard::Sealed, Some(key)) => {
            let opened = key.open_in_place(number.into(), &bound_to(front, &head.digest), body);
            body_len = opened.map_err(|_| damaged())?.len();
        }
        (Guard::Signed, key) => {
            let (body, tag) = body.split_last_chunk_mut::<TAG>().ok_or_else(damaged)?;
            if let Some(key) = key {
                let aad = [&*front, head.digest.as_slice(), &*body].concat();
                key.open_in_place(number.into(), &aad, tag).map_err(|_| damaged())?;
            }
            body_len = body.len();
        }
    }
    let body = Bytes::from(raw).slice(RECORD_HEADER..RECORD_HEADER + body_len);
    Ok(RawRecord { kind, number, body, trailer, next, guard })
}

fn read_or(source: &(impl Source + ?Sized), at: u64, into: &mut [u8]) -> Result<(), ReadError> {
    match source.read_at(at, into) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(ReadError::Record { at }),
        Err(error) => Err(error.into()),
    }
}

/// Everything that a walk through a file found.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The header.
    pub header: SegmentHeader,
    /// The digest of the file's version.
    pub digest_kind: DigestKind,
    /// Every whole fragment before the first damage; without the key of a sealed file those that its closing record lists.
    pub entries: Vec<FragmentEntry>,
    /// Parameter sets in order; none without the key of a sealed file.
    pub parameters: Vec<ParameterSets>,
    /// Holes; none without the key of a sealed file.
    pub gaps: Vec<Hole>,
    /// The closing record, when there is one and it fits what was read.
    pub closing: Option<Closing>,
    /// Where it lies.
    pub closing_at: Option<u64>,
    /// Digest of the clear file that this one was made from.
    pub origin: Option<[u8; 32]>,
    /// Some record was not opened for want of the key.
    pub is_locked: bool,
    /// Number of the next record.
    pub next_number: u32,
    /// Offset after the last whole record.
    pub good_len: u64,
    /// Digest of the segment up to `good_len`.
    pub digest: [u8; 32],
    /// Sequence, monotonic end and wall end of the last unit. Without the key the monotonic one follows from the wall.
    pub last: Option<(u64, MonoTime, WallTime)>,
    /// Offset and number of the fragments that were not opened.
    unopened: Vec<(u64, u32)>,
}

/// Walks through a whole file and checks every record. Stops at the first that is cut or damaged. Without the key of a sealed
/// file the digests are checked, and what the closing record says is taken.
///
/// # Errors
/// [`ReadError::Header`] or [`ReadError::Io`]; a damaged record is no error, it ends the walk.
pub fn scan(source: &(impl Source + ?Sized), key: Option<&SegmentOpener>) -> Result<Scan, ReadError> {
    let head = head(source)?;
    let (mut at, digest_kind) = (head.len, head.kind);
    let mut hash = RunningDigest::new(digest_kind);
    let mut raw = vec![0_u8; usize::try_from(at).map_err(|_| ReadError::Header)?];
    source.read_at(0, &mut raw)?;
    hash.update(&raw);
    let mut found = Scan {
        header: head.header.clone(),
        digest_kind,
        entries: Vec::new(),
        parameters: Vec::new(),
        gaps: Vec::new(),
        closing: None,
        closing_at: None,
        origin: None,
        is_locked: false,
        next_number: 0,
        good_len: at,
        digest: [0; 32],
        last: None,
        unopened: Vec::new(),
    };
    while found.closing.is_none() {
        let stored = match load(source, found.header.segment, at) {
            Ok(stored) if is_next(&found, stored.number) => stored,
            Ok(_) | Err(ReadError::Record { .. } | ReadError::Header | ReadError::Locked) => break,
            Err(ReadError::Io(error)) => return Err(error.into()),
        };
        let (kind, number, trailer, next) = (stored.kind, stored.number, stored.trailer, stored.next);
        let kept = match open_record(stored, &head, key, at) {
            Ok(read) => keep(&mut found, &read, at, &hash),
            Err(ReadError::Locked) => {
                found.is_locked = true;
                if kind == Kind::Fragment {
                    found.unopened.push((at, number));
                }
                true
            }
            Err(_) => false,
        };
        if !kept {
            break;
        }
        hash.update(&trailer);
        at = next;
        found.good_len = at;
        found.next_number = number.saturating_add(1);
    }
    found.digest = hash.finish();
    Ok(found)
}

/// Whether a record of this number may follow. In a sealed file a number is left out where a write failed.
const fn is_next(found: &Scan, number: u32) -> bool {
    if found.header.key_epoch == 0 { number == found.next_number } else { number >= found.next_number }
}

/// Takes one record into the scan; false when it does not make sense here.
fn keep(found: &mut Scan, read: &RawRecord, at: u64, before: &RunningDigest) -> bool {
    match read.kind {
        Kind::Fragment => {
            let Some(stored) = StoredFragment::parse(&read.body) else { return false };
            let Some(entry) = stored.entry(at, read.number) else { return false };
            if let (Some((clocks, _)), Some(sample)) = (stored.arrivals.last(), stored.samples.last()) {
                let length = std::time::Duration::from_micros(u64::from(sample.duration) * 100 / 9);
                let mono = MonoTime { micros: clocks.mono.micros.saturating_add(u64::from(sample.duration) * 100 / 9) };
                let seq = entry.seq.saturating_add(u64::from(entry.units)).saturating_sub(1);
                found.last = Some((seq, mono, clocks.wall.plus(length)));
            }
            found.entries.push(entry);
            true
        }
        Kind::Parameters => parameters(&read.body).map(|sets| found.parameters.push(sets)).is_some(),
        Kind::Gap => gap(&read.body).map(|hole| found.gaps.push(hole)).is_some(),
        Kind::Origin => {
            found.origin = read.body.as_ref().try_into().ok();
            found.origin.is_some()
        }
        Kind::Closing => {
            let computed = before.finish();
            let is_sealed = found.header.key_epoch != 0;
            let end = closing(&read.body).filter(|end| {
                let is_signed = !is_sealed || read.guard == Guard::Signed || end.flags & FLAG_RECOVERED != 0;
                is_signed && end.digest == computed && lists(found, &end.entries)
            });
            let fits = end.is_some();
            if let (Some(end), true) = (&end, found.is_locked) {
                take_from_closing(found, end);
            }
            found.closing_at = fits.then_some(at);
            found.closing = end;
            fits
        }
    }
}

/// Whether the table of a closing record is that of the fragments before it.
fn lists(found: &Scan, entries: &[FragmentEntry]) -> bool {
    if found.is_locked {
        entries.iter().map(|entry| (entry.at, entry.number)).eq(found.unopened.iter().copied())
    } else {
        entries == found.entries
    }
}

fn take_from_closing(found: &mut Scan, end: &Closing) {
    found.entries.clone_from(&end.entries);
    if let Some(entry) = end.entries.last() {
        let seq = entry.seq.saturating_add(u64::from(entry.units)).saturating_sub(1);
        let length_us = u64::try_from(end.end.micros_since(found.header.wall)).unwrap_or(0);
        let mono = MonoTime { micros: found.header.mono.micros.saturating_add(length_us) };
        found.last = Some((seq, mono, end.end));
    }
}

/// Feeds foreign bytes to every reader (fuzz target and corpus test).
pub fn fuzz_segment(data: &[u8]) {
    if let Ok(found) = scan(data, None) {
        assert!(found.good_len <= u64::try_from(data.len()).unwrap_or(u64::MAX), "a scan should stay in the file");
    }
    let body = Bytes::copy_from_slice(data);
    if let Some(stored) = StoredFragment::parse(&body) {
        drop(stored.units(0));
    }
    drop(parameters(&body));
    drop(closing(data));
    let _ = gap(data);
}
