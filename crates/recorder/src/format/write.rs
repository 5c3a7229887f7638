//! Making the bytes of a segment file.

use bytes::BufMut as _;
use media::{Fragment, ParameterSets};
use vms_core::{Codec, SegmentId, SyncState};

use super::{
    Closing, DigestKind, FRAGMENT_FIXED, FragmentEntry, HEADER_FIXED, Kind, MAGIC, RECORD_HEADER, RECORD_MAGIC,
    SegmentHeader, TRAILER, UNIT_ROW, VERSION, cause_code,
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

/// Starts a record in an empty `out`; [`finish`] completes it.
fn begin(kind: Kind, digest: DigestKind, number: u32, capacity: usize, out: &mut Vec<u8>) {
    out.clear();
    out.reserve(RECORD_HEADER + capacity + TRAILER);
    out.put_slice(RECORD_MAGIC);
    out.put_u8(kind.code());
    out.put_u8(digest.code());
    out.put_slice(&[0; 2]);
    out.put_u32(0);
    out.put_u32(number);
}

fn started(kind: Kind, digest: DigestKind, number: u32, capacity: usize) -> Vec<u8> {
    let mut out = Vec::new();
    begin(kind, digest, number, capacity, &mut out);
    out
}

fn finish(segment: SegmentId, digest: DigestKind, out: &mut Vec<u8>) {
    let length = u32::try_from(out.len() - RECORD_HEADER).expect("a record should stay below 4 GiB");
    if let Some(slot) = out.get_mut(8..12) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
    let trailer = digest.trailer(segment, out);
    out.put_slice(&trailer);
}

fn finished(segment: SegmentId, digest: DigestKind, mut out: Vec<u8>) -> Vec<u8> {
    finish(segment, digest, &mut out);
    out
}

/// Puts a fragment record into `out`, in place of what was there; gives its entry for the closing record when it is written at
/// offset `at`. In one piece: its digest is then computed widest.
pub fn fragment(segment: SegmentId, number: u32, at: u64, fragment: &Fragment, out: &mut Vec<u8>) -> FragmentEntry {
    let first = fragment.first();
    let units = u32::try_from(fragment.units().len()).unwrap_or(u32::MAX);
    let payload = u32::try_from(fragment.payload_len()).unwrap_or(u32::MAX);
    let bytes: usize = fragment.units().iter().map(|unit| unit.payload.len()).sum();
    let capacity = FRAGMENT_FIXED + fragment.units().len() * UNIT_ROW + bytes;
    begin(Kind::Fragment, DigestKind::OURS, number, capacity, out);
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
    finish(segment, DigestKind::OURS, out);
    FragmentEntry {
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
    }
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
pub fn parameters(segment: SegmentId, number: u32, sets: &ParameterSets) -> Vec<u8> {
    let mut out = started(Kind::Parameters, DigestKind::OURS, number, 512);
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
    finished(segment, DigestKind::OURS, out)
}

/// A gap record.
pub fn gap(segment: SegmentId, number: u32, hole: &Hole) -> Vec<u8> {
    let mut out = started(Kind::Gap, DigestKind::OURS, number, 17);
    out.put_i64(hole.from.micros);
    out.put_i64(hole.to.micros);
    out.put_u8(cause_code::of(hole.cause));
    finished(segment, DigestKind::OURS, out)
}

/// The closing record, with the digest of the file that it closes.
pub fn closing(segment: SegmentId, digest: DigestKind, number: u32, end: &Closing) -> Vec<u8> {
    let mut out = started(Kind::Closing, digest, number, 64 + end.entries.len() * super::ENTRY_ROW);
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
    finished(segment, digest, out)
}
