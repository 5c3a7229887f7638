//! The frame counter: a "user data unregistered" SEI message before the first slice of every access unit.
//!
//! It lets a checker read loss and latency exactly from anything recorded or relayed: the counter of a camera's stream
//! rises by one per access unit for ever, also over the seam of a looped film; the send time is the wall clock of the
//! simulator at the moment the unit was handed to the socket.
//!
//! Layout of the message (H.264 D.1.7, H.265 D.2.7), all big endian: our UUID (16), counter (u64), wall time in
//! microseconds since 1970 (i64), camera number (u32). 36 bytes, payload type 5.

use bytes::Bytes;
use vms_core::{Codec, WallTime};

use crate::nal::{self, NalKind};

/// Marks the message as ours. Drawn at random once.
pub const COUNTER_UUID: [u8; 16] =
    [0xbe, 0x1f, 0x27, 0x51, 0x8c, 0x0d, 0x4e, 0x6b, 0x9a, 0x53, 0x2d, 0xc4, 0x70, 0xe8, 0x16, 0xf9];

/// SEI payload type "user data unregistered".
const PAYLOAD_TYPE: u8 = 5;
/// UUID, counter, time, camera.
const PAYLOAD_LEN: u8 = 36;

/// What one access unit says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Number of the access unit in its stream, from 0, without holes.
    pub frame: u64,
    /// Wall clock of the simulator when the unit was written.
    pub sent_at: WallTime,
    /// Number of the camera, from 1.
    pub camera: u32,
}

/// The whole NAL unit (header, message, trailing bits) for a counter, with emulation prevention.
pub fn sei_nal(codec: Codec, counter: &Counter) -> Bytes {
    let mut raw = Vec::with_capacity(48);
    raw.extend_from_slice(&[PAYLOAD_TYPE, PAYLOAD_LEN]);
    raw.extend_from_slice(&COUNTER_UUID);
    raw.extend_from_slice(&counter.frame.to_be_bytes());
    raw.extend_from_slice(&counter.sent_at.micros.to_be_bytes());
    raw.extend_from_slice(&counter.camera.to_be_bytes());
    raw.push(0x80); // rbsp_stop_one_bit and alignment
    let mut unit = Vec::with_capacity(64);
    match codec {
        Codec::H264 => unit.push(6),
        // nal_unit_type 39 (prefix SEI), layer 0, temporal id 0.
        Codec::H265 => unit.extend_from_slice(&[39 << 1, 1]),
    }
    nal::escape(&raw, &mut unit);
    Bytes::from(unit)
}

/// Reads our counter from one NAL unit (no start code, no length); `None` when it is another unit or another message.
pub fn find_counter(codec: Codec, nal_unit: &[u8]) -> Option<Counter> {
    if nal::kind(codec, nal_unit) != NalKind::Sei {
        return None;
    }
    let header_len = match codec {
        Codec::H264 => 1,
        Codec::H265 => 2,
    };
    let raw = nal::unescape(nal_unit.get(header_len..)?);
    let mut rest = raw.as_slice();
    // Several messages may share one SEI unit. The shortest possible rest is type, length and stop bit.
    while rest.len() > 2 {
        let (kind, after) = take_ff_coded(rest)?;
        let (len, after) = take_ff_coded(after)?;
        let (payload, after) = after.split_at_checked(len)?;
        if kind == usize::from(PAYLOAD_TYPE)
            && let Some(counter) = read_payload(payload)
        {
            return Some(counter);
        }
        rest = after;
    }
    None
}

/// Reads our counter from a length-prefixed access unit (4-byte lengths), such as a recorded sample.
pub fn find_counter_in_unit(codec: Codec, payload: &[u8]) -> Option<Counter> {
    nal::length_prefixed(payload).find_map(|unit| find_counter(codec, unit))
}

/// A number coded as a run of 0xff bytes and a last byte, summed (H.264 7.3.2.3.1).
fn take_ff_coded(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut sum = 0_usize;
    for (at, byte) in bytes.iter().enumerate() {
        sum = sum.checked_add(usize::from(*byte))?;
        if *byte != 0xff {
            return Some((sum, bytes.get(at.checked_add(1)?..)?));
        }
    }
    None
}

fn read_payload(payload: &[u8]) -> Option<Counter> {
    let rest = payload.strip_prefix(&COUNTER_UUID)?;
    let (frame, rest) = rest.split_at_checked(8)?;
    let (micros, rest) = rest.split_at_checked(8)?;
    let camera = rest.get(..4)?;
    Some(Counter {
        frame: u64::from_be_bytes(frame.try_into().ok()?),
        sent_at: WallTime::from_micros(i64::from_be_bytes(micros.try_into().ok()?)),
        camera: u32::from_be_bytes(camera.try_into().ok()?),
    })
}

/// Fuzz body: any bytes as one NAL unit and as an access unit, in both codecs; must return.
pub fn fuzz_counter(data: &[u8]) {
    for codec in Codec::ALL {
        drop(find_counter(*codec, data).map(|found| sei_nal(*codec, &found)));
        drop(find_counter_in_unit(*codec, data).map(|found| sei_nal(*codec, &found)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_come_back_in_both_codecs() {
        for codec in Codec::ALL {
            for (frame, micros, camera) in
                [(0, 0, 0), (1, 1_700_000_000_000_000, 1), (u64::MAX, i64::MIN, u32::MAX), (0x0300, 0x0001_0000, 3)]
            {
                let counter = Counter { frame, sent_at: WallTime::from_micros(micros), camera };
                let unit = sei_nal(*codec, &counter);
                assert!(!unit.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3));
                assert_eq!(find_counter(*codec, &unit), Some(counter));

                let mut payload = vec![0, 0, 0, 2, 0x09, 0xf0];
                payload.extend_from_slice(&u32::try_from(unit.len()).unwrap().to_be_bytes());
                payload.extend_from_slice(&unit);
                assert_eq!(find_counter_in_unit(*codec, &payload), Some(counter));
            }
        }
    }

    #[test]
    fn a_counter_behind_another_message_is_found() {
        let counter = Counter { frame: 7, sent_at: WallTime::from_micros(9), camera: 2 };
        let ours = sei_nal(Codec::H264, &counter);
        // A recovery-point message (type 6, 1 byte), then ours.
        let mut unit = vec![6, 6, 1, 0xc4];
        unit.extend_from_slice(&ours[1..]);
        assert_eq!(find_counter(Codec::H264, &unit), Some(counter));
    }

    #[test]
    fn other_bytes_are_no_counter() {
        let ours = sei_nal(Codec::H264, &Counter { frame: 1, sent_at: WallTime::from_micros(2), camera: 3 });
        for cut in 0..ours.len() - 5 {
            assert_eq!(find_counter(Codec::H264, &ours[..cut]), None, "{cut}");
        }
        for data in [&b""[..], &[6], &[6, 5], &[6, 0xff, 0xff], &[6, 5, 36, 0xbe], &[0x65, 5, 36], &[0, 0, 0, 1, 6]] {
            assert_eq!(find_counter(Codec::H264, data), None);
            fuzz_counter(data);
        }
    }
}
