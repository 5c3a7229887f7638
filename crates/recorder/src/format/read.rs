//! Reading segment files: foreign bytes, since a disk or an attacker may have changed them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use bytes::{Buf as _, Bytes};
use link::Cause;
use media::{AccessUnit, Clocks, ParamSetId, ParameterSets, Sample};
use vms_core::{CameraId, Codec, MediaTime, MonoTime, RetentionClass, SegmentId, StreamId, SyncState, WallTime};

use super::write::{UNIT_CAMERA, UNIT_KEY, UNIT_SYNC_SHIFT};
use super::{
    BODY_MAX, Closing, DigestKind, ENTRY_ROW, FRAGMENT_FIXED, FragmentEntry, HEADER_FIXED, Kind, MAGIC, RECORD_HEADER,
    RECORD_MAGIC, RunningDigest, SegmentHeader, TRAILER, UNIT_ROW, VERSION, cause_code,
};
use crate::plan::Hole;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk failed.
    #[error("the segment file cannot be read")]
    Io(#[from] std::io::Error),
    /// No segment of this version, or its header is damaged.
    #[error("not a segment file of version 2 or {VERSION}, or its header is damaged")]
    Header,
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

/// Reads the header; also gives its length.
///
/// # Errors
/// [`ReadError`].
pub fn header(source: &(impl Source + ?Sized)) -> Result<(SegmentHeader, u64), ReadError> {
    header_and_digest(source).map(|(read, length, _)| (read, length))
}

fn header_and_digest(source: &(impl Source + ?Sized)) -> Result<(SegmentHeader, u64, DigestKind), ReadError> {
    let mut head = [0_u8; 12];
    source.read_at(0, &mut head)?;
    let (magic, rest) = head.split_first_chunk::<8>().ok_or(ReadError::Header)?;
    let (mut rest, magic) = (rest, magic);
    let (version, length) = (rest.get_u16(), usize::from(rest.get_u16()));
    let kind = DigestKind::of_version(version).ok_or(ReadError::Header)?;
    if magic != MAGIC || length < HEADER_FIXED + TRAILER {
        return Err(ReadError::Header);
    }
    let mut raw = vec![0_u8; length];
    source.read_at(0, &mut raw)?;
    let (body, digest) = raw.split_at_checked(length - TRAILER).ok_or(ReadError::Header)?;
    if digest != kind.of(body) {
        return Err(ReadError::Header);
    }
    let read = parse_header(body.get(12..).ok_or(ReadError::Header)?).ok_or(ReadError::Header)?;
    Ok((read, u64::try_from(length).map_err(|_| ReadError::Header)?, kind))
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*head)
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

/// One record, checked against its trailer.
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// Kind.
    pub kind: Kind,
    /// Number in the file.
    pub number: u32,
    /// Body.
    pub body: Bytes,
    /// Trailer, which matched.
    pub trailer: [u8; 32],
    /// Offset of the next record.
    pub next: u64,
}

/// Reads the record at `at` of a file of `segment`; nothing is handed out before its trailer matched.
///
/// # Errors
/// [`ReadError::Record`], also when the file ends inside it.
pub fn record(source: &(impl Source + ?Sized), segment: SegmentId, at: u64) -> Result<RawRecord, ReadError> {
    let damaged = || ReadError::Record { at };
    let mut head = [0_u8; RECORD_HEADER];
    read_or(source, at, &mut head)?;
    let mut rest: &[u8] = &head;
    let magic: [u8; 4] = take(&mut rest).ok_or_else(damaged)?;
    let [code, digest, reserved @ ..] = take::<4>(&mut rest).ok_or_else(damaged)?;
    let (length, number) = (rest.get_u32(), rest.get_u32());
    let kind = Kind::from_code(code).ok_or_else(damaged)?;
    let digest_kind = DigestKind::from_code(digest).ok_or_else(damaged)?;
    if &magic != RECORD_MAGIC || reserved != [0; 2] || length > BODY_MAX {
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
    let body = Bytes::from(raw).slice(RECORD_HEADER..RECORD_HEADER + body_len);
    Ok(RawRecord { kind, number, body, trailer, next })
}

fn read_or(source: &(impl Source + ?Sized), at: u64, into: &mut [u8]) -> Result<(), ReadError> {
    match source.read_at(at, into) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(ReadError::Record { at }),
        Err(error) => Err(error.into()),
    }
}

/// A fragment as it stands in its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFragment {
    /// Parameter sets.
    pub param_set: ParamSetId,
    /// The sample table.
    pub samples: Vec<Sample>,
    /// Per unit, what is not in the sample table: clocks and packets lost before.
    pub arrivals: Vec<(Clocks, u32)>,
    /// Sequence of the first unit.
    pub seq: u64,
    /// Decode time of the first unit.
    pub dts: MediaTime,
    /// All payloads, one behind the other.
    pub payload: Bytes,
}

impl StoredFragment {
    /// Reads a fragment body.
    pub fn parse(body: &Bytes) -> Option<Self> {
        let mut rest: &[u8] = body;
        if rest.len() < FRAGMENT_FIXED {
            return None;
        }
        let param_set = ParamSetId(rest.get_u64());
        let seq = rest.get_u64();
        let dts = MediaTime::from_ticks(rest.get_i64());
        let (mono, wall) = (rest.get_u64(), rest.get_i64());
        let units = usize::try_from(rest.get_u32()).ok()?;
        if units == 0 || rest.len() / UNIT_ROW < units {
            return None;
        }
        let mut samples = Vec::with_capacity(units);
        let mut arrivals = Vec::with_capacity(units);
        let mut payload_len = 0_usize;
        for _ in 0..units {
            let (size, duration, composition) = (rest.get_u32(), rest.get_u32(), rest.get_i32());
            let flags = rest.get_u8();
            let lost = rest.get_u32();
            let mono_us = u64::from(rest.get_u32());
            let (drift_us, camera_us) = (rest.get_i64(), rest.get_i64());
            let sync = match flags >> UNIT_SYNC_SHIFT {
                0 => SyncState::Unknown,
                1 => SyncState::Agrees,
                2 => SyncState::Differs,
                _ => return None,
            };
            let wall_us = wall.checked_add(i64::try_from(mono_us).ok()?)?.checked_add(drift_us)?;
            let clocks = Clocks {
                mono: MonoTime { micros: mono.checked_add(mono_us)? },
                wall: WallTime::from_micros(wall_us),
                camera: (flags & UNIT_CAMERA != 0).then_some(WallTime::from_micros(camera_us)),
                sync,
            };
            samples.push(Sample { size, duration, composition, is_key: flags & UNIT_KEY != 0 });
            arrivals.push((clocks, lost));
            payload_len = payload_len.checked_add(usize::try_from(size).ok()?)?;
        }
        let payload = body.slice(body.len() - rest.len()..);
        // The number after the last must exist as well: units are numbered on from here.
        let is_numbered = seq.checked_add(u64::try_from(samples.len()).ok()?).is_some();
        (is_numbered && payload.len() == payload_len).then_some(Self {
            param_set,
            samples,
            arrivals,
            seq,
            dts,
            payload,
        })
    }

    /// The units again, as they were received in `epoch`.
    pub fn units(&self, epoch: u64) -> Vec<AccessUnit> {
        let mut rest = self.payload.clone();
        let mut dts = self.dts.ticks_90k;
        let mut units = Vec::with_capacity(self.samples.len());
        for ((sample, (clocks, lost_before)), seq) in self.samples.iter().zip(&self.arrivals).zip(self.seq..) {
            let size = usize::try_from(sample.size).unwrap_or(usize::MAX).min(rest.len());
            units.push(AccessUnit {
                seq,
                epoch,
                payload: rest.split_to(size),
                is_key: sample.is_key,
                pts: MediaTime::from_ticks(dts.saturating_add(i64::from(sample.composition))),
                dts: MediaTime::from_ticks(dts),
                clocks: *clocks,
                lost_before: *lost_before,
                param_set: self.param_set,
            });
            dts = dts.saturating_add(i64::from(sample.duration));
        }
        units
    }

    fn entry(&self, at: u64, number: u32) -> Option<FragmentEntry> {
        let first = self.samples.first()?;
        let ticks: u64 = self.samples.iter().map(|sample| u64::from(sample.duration)).sum();
        Some(FragmentEntry {
            at,
            units: u32::try_from(self.samples.len()).ok()?,
            payload: u32::try_from(self.payload.len()).ok()?,
            ticks: u32::try_from(ticks).unwrap_or(u32::MAX),
            composition: first.composition,
            is_key: first.is_key,
            dts: self.dts,
            wall: self.arrivals.first()?.0.wall,
            seq: self.seq,
            param_set: self.param_set,
            number,
        })
    }
}

/// Reads the body of a parameter-set record.
pub fn parameters(body: &Bytes) -> Option<ParameterSets> {
    let mut rest = body.clone();
    let byte = |rest: &mut Bytes| rest.try_get_u8().ok();
    let codec = match byte(&mut rest)? {
        1 => Codec::H264,
        2 => Codec::H265,
        _ => return None,
    };
    let mut lists = [Vec::new(), Vec::new(), Vec::new()];
    for list in &mut lists {
        for _ in 0..byte(&mut rest)? {
            let length = usize::from(rest.try_get_u16().ok()?);
            if rest.len() < length {
                return None;
            }
            // Copied: the sets outlive the record they came in.
            list.push(Bytes::copy_from_slice(&rest.split_to(length)));
        }
    }
    let [vps, sps, pps] = lists;
    ParameterSets::from_nals(codec, vps, sps, pps).ok()
}

/// Reads the body of a gap record.
pub fn gap(body: &[u8]) -> Option<Hole> {
    let mut rest = body;
    let from = WallTime::from_micros(i64::from_be_bytes(take(&mut rest)?));
    let to = WallTime::from_micros(i64::from_be_bytes(take(&mut rest)?));
    let cause: Cause = cause_code::read(u8::from_be_bytes(take(&mut rest)?))?;
    (rest.is_empty() && from < to).then_some(Hole { from, to, cause })
}

/// Reads the body of a closing record.
pub fn closing(body: &[u8]) -> Option<Closing> {
    let mut rest = body;
    let from = &mut rest;
    let [flags] = take::<1>(from)?;
    let end = WallTime::from_micros(i64::from_be_bytes(take(from)?));
    let units = u32::from_be_bytes(take(from)?);
    let payload = u64::from_be_bytes(take(from)?);
    let count = usize::try_from(u32::from_be_bytes(take(from)?)).ok()?;
    if from.len() != count.checked_mul(ENTRY_ROW)?.checked_add(TRAILER)? {
        return None;
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(FragmentEntry {
            at: u64::from_be_bytes(take(from)?),
            units: u32::from_be_bytes(take(from)?),
            payload: u32::from_be_bytes(take(from)?),
            ticks: u32::from_be_bytes(take(from)?),
            composition: i32::from_be_bytes(take(from)?),
            is_key: u8::from_be_bytes(take(from)?) == 1,
            dts: MediaTime::from_ticks(i64::from_be_bytes(take(from)?)),
            wall: WallTime::from_micros(i64::from_be_bytes(take(from)?)),
            seq: u64::from_be_bytes(take(from)?),
            param_set: ParamSetId(u64::from_be_bytes(take(from)?)),
            number: u32::from_be_bytes(take(from)?),
        });
    }
    Some(Closing { flags, end, units, payload, entries, digest: take(from)? })
}

/// Everything that a walk through a file found.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The header.
    pub header: SegmentHeader,
    /// The digest of the file's version.
    pub digest_kind: DigestKind,
    /// Every whole fragment before the first damage.
    pub entries: Vec<FragmentEntry>,
    /// Parameter sets in order.
    pub parameters: Vec<ParameterSets>,
    /// Holes.
    pub gaps: Vec<Hole>,
    /// The closing record, when there is one and it fits what was read.
    pub closing: Option<Closing>,
    /// Number of the next record.
    pub next_number: u32,
    /// Offset after the last whole record.
    pub good_len: u64,
    /// Digest of the segment up to `good_len`.
    pub digest: [u8; 32],
    /// Sequence, monotonic end and wall end of the last unit.
    pub last: Option<(u64, MonoTime, WallTime)>,
}

/// Walks through a whole file and checks every record. Stops at the first that is cut or damaged.
///
/// # Errors
/// [`ReadError::Header`] or [`ReadError::Io`]; a damaged record is no error, it ends the walk.
pub fn scan(source: &(impl Source + ?Sized)) -> Result<Scan, ReadError> {
    let (head, mut at, digest_kind) = header_and_digest(source)?;
    let mut hash = RunningDigest::new(digest_kind);
    let mut raw = vec![0_u8; usize::try_from(at).map_err(|_| ReadError::Header)?];
    source.read_at(0, &mut raw)?;
    hash.update(&raw);
    let mut found = Scan {
        header: head,
        digest_kind,
        entries: Vec::new(),
        parameters: Vec::new(),
        gaps: Vec::new(),
        closing: None,
        next_number: 0,
        good_len: at,
        digest: [0; 32],
        last: None,
    };
    while found.closing.is_none() {
        let read = match record(source, found.header.segment, at) {
            Ok(read) if read.number == found.next_number => read,
            Ok(_) | Err(ReadError::Record { .. } | ReadError::Header) => break,
            Err(ReadError::Io(error)) => return Err(error.into()),
        };
        if !keep(&mut found, &read, at, &hash) {
            break;
        }
        hash.update(&read.trailer);
        at = read.next;
        found.good_len = at;
        found.next_number = found.next_number.saturating_add(1);
    }
    found.digest = hash.finish();
    Ok(found)
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
        Kind::Closing => {
            let computed = before.finish();
            let end = closing(&read.body).filter(|end| end.digest == computed && end.entries == found.entries);
            let fits = end.is_some();
            found.closing = end;
            fits
        }
    }
}

/// Feeds foreign bytes to every reader (fuzz target and corpus test).
pub fn fuzz_segment(data: &[u8]) {
    if let Ok(found) = scan(data) {
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
