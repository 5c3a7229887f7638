//! One access unit on the wire, fixed header and payload. All integers big endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use media::{AccessUnit, Clocks, ParamSetId};
use vms_core::{MediaTime, MonoTime, StreamId, SyncState, WallTime};

/// Bytes before the payload.
pub const HEADER_LEN: usize = 16 + 8 + 8 + 1 + 8 + 8 + 8 + 8 + 8 + 4 + 8;

const FLAG_KEY: u8 = 1;
const FLAG_CAMERA_TIME: u8 = 2;
const SYNC_SHIFT: u8 = 2;

/// Appends `unit` of `stream`.
pub fn encode(stream: StreamId, unit: &AccessUnit, out: &mut BytesMut) {
    out.reserve(HEADER_LEN + unit.payload.len());
    encode_head(stream, unit, out);
    out.put_slice(&unit.payload);
}

/// Appends what stands before the payload of `unit`.
pub(crate) fn encode_head(stream: StreamId, unit: &AccessUnit, out: &mut BytesMut) {
    out.put_slice(stream.as_bytes());
    out.put_u64(unit.seq);
    out.put_u64(unit.epoch);
    let sync = match unit.clocks.sync {
        SyncState::Unknown => 0_u8,
        SyncState::Agrees => 1,
        SyncState::Differs => 2,
    };
    let mut flags = sync << SYNC_SHIFT;
    if unit.is_key {
        flags |= FLAG_KEY;
    }
    if unit.clocks.camera.is_some() {
        flags |= FLAG_CAMERA_TIME;
    }
    out.put_u8(flags);
    out.put_i64(unit.pts.ticks_90k);
    out.put_i64(unit.dts.ticks_90k);
    out.put_u64(unit.clocks.mono.micros);
    out.put_i64(unit.clocks.wall.micros);
    out.put_i64(unit.clocks.camera.map_or(0, |at| at.micros));
    out.put_u32(unit.lost_before);
    out.put_u64(unit.param_set.0);
}

/// Reads what [`encode`] wrote; `None` when the bytes are too short, or a flag or number is impossible. The payload is not copied.
pub fn decode(mut body: Bytes) -> Option<(StreamId, AccessUnit)> {
    if body.len() < HEADER_LEN {
        return None;
    }
    let mut stream = [0_u8; 16];
    body.copy_to_slice(&mut stream);
    let seq = body.get_u64();
    // The number after it must exist as well: whoever stores it numbers on from here.
    seq.checked_add(1)?;
    let epoch = body.get_u64();
    let flags = body.get_u8();
    let pts = MediaTime::from_ticks(body.get_i64());
    let dts = MediaTime::from_ticks(body.get_i64());
    let mono = MonoTime { micros: body.get_u64() };
    let wall = WallTime::from_micros(body.get_i64());
    let camera = WallTime::from_micros(body.get_i64());
    let lost_before = body.get_u32();
    let param_set = ParamSetId(body.get_u64());
    let sync = match flags >> SYNC_SHIFT {
        0 => SyncState::Unknown,
        1 => SyncState::Agrees,
        2 => SyncState::Differs,
        _ => return None,
    };
    let camera = (flags & FLAG_CAMERA_TIME != 0).then_some(camera);
    let clocks = Clocks { mono, wall, camera, sync };
    let is_key = flags & FLAG_KEY != 0;
    let unit = AccessUnit { seq, epoch, payload: body, is_key, pts, dts, clocks, lost_before, param_set };
    Some((StreamId::from_bytes(stream), unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_reads_back() {
        let unit = AccessUnit {
            seq: 3,
            epoch: 9,
            payload: Bytes::from_static(&[0, 0, 0, 1, 0x65]),
            is_key: true,
            pts: MediaTime::from_ticks(-3600),
            dts: MediaTime::from_ticks(-7200),
            clocks: Clocks {
                mono: MonoTime { micros: 77 },
                wall: WallTime::from_micros(1_700_000_000_000_000),
                camera: Some(WallTime::from_micros(1)),
                sync: SyncState::Differs,
            },
            lost_before: 4,
            param_set: ParamSetId(11),
        };
        let mut out = BytesMut::new();
        encode(StreamId::from_bytes([5; 16]), &unit, &mut out);
        assert_eq!(decode(out.clone().freeze()), Some((StreamId::from_bytes([5; 16]), unit)));
        assert_eq!(decode(out.freeze().slice(..HEADER_LEN - 1)), None);
    }
}
