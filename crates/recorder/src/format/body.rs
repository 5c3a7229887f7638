//! Reading the bodies of records in clear: foreign bytes, even under a digest.

use bytes::{Buf as _, Bytes};
use link::Cause;
use media::{AccessUnit, Clocks, ParamSetId, ParameterSets, Sample};
use vms_core::{Codec, MediaTime, MonoTime, SyncState, WallTime};

use super::write::{UNIT_CAMERA, UNIT_KEY, UNIT_SYNC_SHIFT};
use super::{Closing, ENTRY_ROW, FRAGMENT_FIXED, FragmentEntry, TRAILER, UNIT_ROW, cause_code};
use crate::plan::Hole;

pub(super) fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*head)
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

    pub(super) fn entry(&self, at: u64, number: u32) -> Option<FragmentEntry> {
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
