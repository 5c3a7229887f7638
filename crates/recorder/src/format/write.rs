//! Making the bytes of a segment file.

use bytes::BufMut as _;
use media::{Fragment, ParameterSets};
use sha2::{Digest as _, Sha256};
use vms_core::{Codec, SegmentId, SyncState};

use super::{
    Closing, FRAGMENT_FIXED, FragmentEntry, HEADER_FIXED, Kind, MAGIC, RECORD_HEADER, RECORD_MAGIC, SegmentHeader,
    TRAILER, UNIT_ROW, VERSION, cause_code,
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
    let digest = Sha256::digest(&out);
    out.put_slice(&digest);
    out
}

/// Starts a record; [`finish`] completes it.
fn begin(kind: Kind, number: u32, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_HEADER + capacity + TRAILER);
    out.put_slice(RECORD_MAGIC);
    out.put_u8(kind.code());
    out.put_slice(&[0; 3]);
    out.put_u32(0);
    out.put_u32(number);
    out
}

fn finish(segment: SegmentId, mut out: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(out.len() - RECORD_HEADER).expect("a record should stay below 4 GiB");
    if let Some(slot) = out.get_mut(8..12) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
    let digest = trailer(segment, &out);
    out.put_slice(&digest);
    out
}

/// Trailer of a record given as header and body.
pub(super) fn trailer(segment: SegmentId, record: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(segment.as_bytes());
    hash.update(record);
    hash.finalize().into()
}

/// A fragment record, and its entry for the closing record when it is written at offset `at`.
pub fn fragment(segment: SegmentId, number: u32, at: u64, fragment: &Fragment) -> (Vec<u8>, FragmentEntry) {
    let first = fragment.first();
    let units = u32::try_from(fragment.units().len()).unwrap_or(u32::MAX);
    let payload = u32::try_from(fragment.payload_len()).unwrap_or(u32::MAX);
    let bytes: usize = fragment.units().iter().map(|unit| unit.payload.len()).sum();
    let mut out = begin(Kind::Fragment, number, FRAGMENT_FIXED + fragment.units().len() * UNIT_ROW + bytes);
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
    let entry = FragmentEntry {
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
    };
    (finish(segment, out), entry)
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
    let mut out = begin(Kind::Parameters, number, 512);
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
    finish(segment, out)
}

/// A gap record.
pub fn gap(segment: SegmentId, number: u32, hole: &Hole) -> Vec<u8> {
    let mut out = begin(Kind::Gap, number, 17);
    out.put_i64(hole.from.micros);
    out.put_i64(hole.to.micros);
    out.put_u8(cause_code::of(hole.cause));
    finish(segment, out)
}

/// The closing record.
pub fn closing(segment: SegmentId, number: u32, end: &Closing) -> Vec<u8> {
    let mut out = begin(Kind::Closing, number, 64 + end.entries.len() * super::ENTRY_ROW);
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
    finish(segment, out)
}
