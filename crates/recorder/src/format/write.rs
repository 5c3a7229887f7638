//! Making the bytes of a segment file.

use bytes::BufMut as _;
use keys::{SealError, SealedWriterKey};
use media::{Fragment, ParameterSets};
use vms_core::{Codec, SegmentId, SyncState};

use super::{
    Closing, DigestKind, FRAGMENT_FIXED, FragmentEntry, Guard, HEADER_FIXED, Kind, MAGIC, RECORD_HEADER, RECORD_MAGIC,
    SegmentHeader, TAG, TRAILER, UNIT_ROW, VERSION, cause_code,
};
use crate::plan::Hole;

/// Unit flag: key frame.
pub(super) const UNIT_KEY: u8 = 1;
/// Unit flag: the camera time is known.
pub(super) const UNIT_CAMERA: u8 = 2;
/// Shift of the sync state in the unit flags.
pub(super) const UNIT_SYNC_SHIFT: u8 = 2;

/// The header with its digest.
pub fn header(head: &SegmentHeader) -> Vec<u8> {
    let class = head.class.as_str().as_bytes();
    let length = HEADER_FIXED + class.len() + TRAILER;
    let mut out = Vec::with_capacity(length);
    out.put_slice(MAGIC);
    out.put_u16(VERSION);
    out.put_u16(u16::try_from(length).unwrap_or(u16::MAX));
    out.put_slice(head.segment.as_bytes());
    out.put_slice(head.stream.as_bytes());
    out.put_slice(head.camera.as_bytes());
    out.put_u64(head.key_epoch);
    out.put_i64(head.wall.micros);
    out.put_u64(head.mono.micros);
    out.put_u64(head.epoch);
    out.put_u8(head.reason);
    out.put_slice(&head.boot);
    out.put_slice(&head.previous);
    out.put_u8(u8::try_from(class.len()).unwrap_or(u8::MAX));
    out.put_slice(class);
    let digest = DigestKind::OURS.of(&out);
    out.put_slice(&digest);
    out
}

/// Finishes the records of one file: their digests, and in a sealed file their ciphertext.
#[derive(Debug)]
pub struct Pen {
    segment: SegmentId,
    digest: DigestKind,
    /// The key, and the digest of the file's header that every record is bound to.
    seal: Option<(SealedWriterKey, [u8; 32])>,
}

impl Pen {
    /// For a file that is not sealed, and for the closing record that recovery appends.
    pub(crate) const fn clear(segment: SegmentId, digest: DigestKind) -> Self {
        Self { segment, digest, seal: None }
    }

    /// For the sealed file whose header is `header` as [`header`] made it.
    pub fn sealed(key: SealedWriterKey, header: &[u8]) -> Self {
        let head = header.last_chunk::<TRAILER>().copied().unwrap_or_default();
        Self { segment: key.segment(), digest: DigestKind::OURS, seal: Some((key, head)) }
    }

    /// Whether it seals.
    pub const fn is_sealed(&self) -> bool {
        self.seal.is_some()
    }

    /// Starts a record in an empty `out`; [`Pen::finish`] completes it.
    fn begin(&self, kind: Kind, number: u32, capacity: usize, out: &mut Vec<u8>) {
        let guard = if self.is_sealed() { Guard::of(kind) } else { Guard::Clear };
        out.clear();
        out.reserve(RECORD_HEADER + capacity + TAG + TRAILER);
        out.put_slice(RECORD_MAGIC);
        out.put_u8(kind.code());
        out.put_u8(self.digest.code());
        out.put_u8(guard.code());
        out.put_u8(0);
        out.put_u32(0);
        out.put_u32(number);
    }

    /// Seals what is there, in place, and puts the trailer behind it.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), SealError> {
        let tag = if self.is_sealed() { TAG } else { 0 };
        let length = u32::try_from(out.len() - RECORD_HEADER + tag).expect("a record should stay below 4 GiB");
        if let Some(slot) = out.get_mut(8..12) {
            slot.copy_from_slice(&length.to_be_bytes());
        }
        if let Some((key, head)) = &mut self.seal {
            let (front, body) = out.split_at_mut(RECORD_HEADER);
            let front: &[u8] = front;
            let number = front.last_chunk::<4>().map_or(0, |number| u32::from_be_bytes(*number));
            let is_signed = front.get(6) == Some(&Guard::Signed.code());
            let tag = if is_signed {
                let aad = [front, head.as_slice(), &*body].concat();
                key.seal_in_place(number.into(), &aad, &mut [])?
            } else {
                key.seal_in_place(number.into(), &bound_to(front, head), body)?
            };
            out.put_slice(&tag);
        }
        let trailer = self.digest.trailer(self.segment, out);
        out.put_slice(&trailer);
        Ok(())
    }

    /// A record of any kind from its body in clear.
    pub(crate) fn record(&mut self, kind: Kind, number: u32, body: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut out = Vec::new();
        self.begin(kind, number, body.len(), &mut out);
        out.put_slice(body);
        self.finish(&mut out)?;
        Ok(out)
    }
}

/// Associated data of a sealed record.
pub(super) fn bound_to(record_header: &[u8], head: &[u8; 32]) -> [u8; RECORD_HEADER + 32] {
    let mut aad = [0; RECORD_HEADER + 32];
    for (slot, byte) in aad.iter_mut().zip(record_header.iter().take(RECORD_HEADER).chain(head)) {
        *slot = *byte;
    }
    aad
}

/// Puts a fragment record into `out`, in place of what was there; gives its entry for the closing record when it is written at
/// offset `at`. In one piece: its digest is then computed widest, and it is sealed where it stands.
///
/// # Errors
/// [`SealError`]: the number was used before.
pub fn fragment(
    pen: &mut Pen,
    number: u32,
    at: u64,
    fragment: &Fragment,
    out: &mut Vec<u8>,
) -> Result<FragmentEntry, SealError> {
    let first = fragment.first();
    let units = u32::try_from(fragment.units().len()).unwrap_or(u32::MAX);
    let payload = u32::try_from(fragment.payload_len()).unwrap_or(u32::MAX);
    let bytes: usize = fragment.units().iter().map(|unit| unit.payload.len()).sum();
    let capacity = FRAGMENT_FIXED + fragment.units().len() * UNIT_ROW + bytes;
    pen.begin(Kind::Fragment, number, capacity, out);
    out.put_u64(first.param_set.0);
    out.put_u64(first.seq);
    out.put_i64(first.dts.ticks_90k);
    out.put_u64(first.clocks.mono.micros);
    out.put_i64(first.clocks.wall.micros);
    out.put_u32(units);
    for (unit, sample) in fragment.units().iter().zip(fragment.samples()) {
        let mono_us = unit.clocks.mono.micros.saturating_sub(first.clocks.mono.micros);
        let drift_us = unit.clocks.wall.micros_since(first.clocks.wall) - i64::try_from(mono_us).unwrap_or(0);
        out.put_u32(sample.size);
        out.put_u32(sample.duration);
        out.put_i32(sample.composition);
        out.put_u8(unit_flags(unit));
        out.put_u32(unit.lost_before);
        out.put_u32(u32::try_from(mono_us).unwrap_or(u32::MAX));
        out.put_i64(drift_us);
        out.put_i64(unit.clocks.camera.map_or(0, |at| at.micros));
    }
    for unit in fragment.units() {
        out.put_slice(&unit.payload);
    }
    pen.finish(out)?;
    Ok(FragmentEntry {
        at,
        units,
        payload,
        ticks: u32::try_from(fragment.ticks()).unwrap_or(u32::MAX),
        composition: fragment.samples().first().map_or(0, |sample| sample.composition),
        is_key: first.is_key,
        dts: first.dts,
        wall: first.clocks.wall,
        seq: first.seq,
        param_set: first.param_set,
        number,
    })
}

fn unit_flags(unit: &media::AccessUnit) -> u8 {
    let sync = match unit.clocks.sync {
        SyncState::Unknown => 0,
        SyncState::Agrees => 1,
        SyncState::Differs => 2,
    };
    (u8::from(unit.is_key) * UNIT_KEY)
        | (u8::from(unit.clocks.camera.is_some()) * UNIT_CAMERA)
        | (sync << UNIT_SYNC_SHIFT)
}

/// A parameter-set record.
///
/// # Errors
/// [`SealError`].
pub fn parameters(pen: &mut Pen, number: u32, sets: &ParameterSets) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::with_capacity(512);
    out.put_u8(match sets.codec {
        Codec::H264 => 1,
        Codec::H265 => 2,
    });
    for list in [&sets.vps, &sets.sps, &sets.pps] {
        out.put_u8(u8::try_from(list.len()).unwrap_or(u8::MAX));
        for nal in list.iter().take(usize::from(u8::MAX)) {
            out.put_u16(u16::try_from(nal.len()).unwrap_or(u16::MAX));
            out.put_slice(nal);
        }
    }
    pen.record(Kind::Parameters, number, &out)
}

/// A gap record.
///
/// # Errors
/// [`SealError`].
pub fn gap(pen: &mut Pen, number: u32, hole: &Hole) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::with_capacity(17);
    out.put_i64(hole.from.micros);
    out.put_i64(hole.to.micros);
    out.put_u8(cause_code::of(hole.cause));
    pen.record(Kind::Gap, number, &out)
}

/// The closing record, with the digest of the file that it closes.
///
/// # Errors
/// [`SealError`].
pub fn closing(pen: &mut Pen, number: u32, end: &Closing) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::with_capacity(64 + end.entries.len() * super::ENTRY_ROW);
    out.put_u8(end.flags);
    out.put_i64(end.end.micros);
    out.put_u32(end.units);
    out.put_u64(end.payload);
    out.put_u32(u32::try_from(end.entries.len()).unwrap_or(u32::MAX));
    for entry in &end.entries {
        out.put_u64(entry.at);
        out.put_u32(entry.units);
        out.put_u32(entry.payload);
        out.put_u32(entry.ticks);
        out.put_i32(entry.composition);
        out.put_u8(u8::from(entry.is_key));
        out.put_i64(entry.dts.ticks_90k);
        out.put_i64(entry.wall.micros);
        out.put_u64(entry.seq);
        out.put_u64(entry.param_set.0);
        out.put_u32(entry.number);
    }
    out.put_slice(&end.digest);
    pen.record(Kind::Closing, number, &out)
}
