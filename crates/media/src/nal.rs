//! NAL units of H.264 (ITU-T H.264 7.3.1, annex B) and H.265 (ITU-T H.265 7.3.1): splitting, kinds, key frames, SEI.
//!
//! Belongs here: what can be told from NAL headers, slice starts and SEI. Parameter sets are in [`crate::params`].
//! All readers take foreign bytes: they are total, they allocate in proportion to their input and stop at the first
//! length that does not fit.

use bytes::{BufMut, Bytes, BytesMut};
use vms_core::Codec;

use crate::bits::BitReader;

/// What a NAL unit is, as far as we need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalKind {
    /// H.265 video parameter set.
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
    /// Supplemental information before the picture (H.265: prefix SEI).
    Sei,
    /// Access unit delimiter.
    Delimiter,
    /// Coded slice. `first` when it is the first of its picture, `key` for IDR (H.264) and IRAP (H.265).
    Slice {
        /// The picture starts here.
        first: bool,
        /// Decoding can start here.
        key: bool,
    },
    /// Anything else: end of sequence, filler, suffix SEI, reserved.
    Other,
}

/// Tells the kind from header and, for slices, the first bit after it. An empty unit is `Other`.
pub fn kind(codec: Codec, nal: &[u8]) -> NalKind {
    let Some(&header) = nal.first() else { return NalKind::Other };
    match codec {
        Codec::H264 => {
            // first_mb_in_slice is Exp-Golomb: a leading 1 bit means 0.
            let first = nal.get(1).is_some_and(|b| b & 0x80 != 0);
            match header & 0x1f {
                1..=4 => NalKind::Slice { first, key: false },
                5 => NalKind::Slice { first, key: true },
                6 => NalKind::Sei,
                7 => NalKind::Sps,
                8 => NalKind::Pps,
                9 => NalKind::Delimiter,
                _ => NalKind::Other,
            }
        }
        Codec::H265 => {
            let first = nal.get(2).is_some_and(|b| b & 0x80 != 0);
            match (header >> 1) & 0x3f {
                0..=9 => NalKind::Slice { first, key: false },
                16..=21 => NalKind::Slice { first, key: true },
                32 => NalKind::Vps,
                33 => NalKind::Sps,
                34 => NalKind::Pps,
                35 => NalKind::Delimiter,
                39 => NalKind::Sei,
                _ => NalKind::Other,
            }
        }
    }
}

/// NAL units of a length-prefixed payload (4 bytes big endian each). Ends at the first length that does not fit.
pub fn length_prefixed(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*head)).ok()?;
        let (nal, after) = after.split_at_checked(length)?;
        rest = after;
        Some(nal)
    })
}

/// As [`length_prefixed`], sharing the memory of `payload`.
pub fn length_prefixed_shared(payload: &Bytes) -> impl Iterator<Item = Bytes> {
    length_prefixed(payload).map(|nal| payload.slice_ref(nal))
}

/// Whether a payload is nothing but whole length-prefixed NAL units, at least one, none of them empty.
pub fn is_well_formed(payload: &[u8]) -> bool {
    let mut seen = 0_usize;
    let mut any = false;
    for nal in length_prefixed(payload) {
        if nal.is_empty() {
            return false;
        }
        any = true;
        seen = seen.saturating_add(4).saturating_add(nal.len());
    }
    any && seen == payload.len()
}

/// NAL units of an annex B byte stream, without start codes and trailing zero bytes; empty units are left out.
pub fn annex_b(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        loop {
            let from = rest?;
            let end = find_start_code(from);
            let nal = match end {
                Some(at) => from.get(..at).unwrap_or_default(),
                None => from,
            };
            rest = end.and_then(|at| from.get(at + 3..));
            let nal = trim_zeros(nal);
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    })
}

fn find_start_code(stream: &[u8]) -> Option<usize> {
    stream.windows(3).position(|three| three == [0, 0, 1])
}

fn after_start_code(stream: &[u8]) -> Option<&[u8]> {
    find_start_code(stream).and_then(|at| stream.get(at + 3..))
}

fn trim_zeros(nal: &[u8]) -> &[u8] {
    let zeros = nal.iter().rev().take_while(|b| **b == 0).count();
    nal.get(..nal.len() - zeros).unwrap_or_default()
}

/// Appends one NAL unit behind its length. Units over 4 GiB cannot be represented and are left out.
pub fn put_length_prefixed(nal: &[u8], out: &mut BytesMut) {
    if let Ok(length) = u32::try_from(nal.len()) {
        out.reserve(4 + nal.len());
        out.put_u32(length);
        out.put_slice(nal);
    }
}

/// The length-prefixed form of an annex B byte stream.
pub fn annex_b_to_length_prefixed(stream: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(stream.len() + 16);
    for nal in annex_b(stream) {
        put_length_prefixed(nal, &mut out);
    }
    out.freeze()
}

/// The raw bytes of a NAL unit, emulation-prevention bytes taken out (H.264 7.3.1), at most `limit` bytes of input read.
pub fn unescape(nal: &[u8], limit: usize) -> Vec<u8> {
    let nal = nal.get(..limit).unwrap_or(nal);
    let mut raw = Vec::with_capacity(nal.len());
    let mut zeros = 0_u8;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        raw.push(byte);
        zeros = if byte == 0 { zeros.saturating_add(1) } else { 0 };
    }
    raw
}

/// Bytes of a slice that are read at most to know its type and picture parameter set.
const SLICE_START: usize = 32;

/// SEI longer than this is not looked at.
const SEI_MAX: usize = 64 * 1024;

/// Whether decoding can start at this access unit: an IDR or IRAP picture, or (H.264) a recovery point that is exact at
/// once (`recovery_frame_cnt` 0) on an intra picture.
pub fn is_key(codec: Codec, payload: &[u8]) -> bool {
    let mut recovery = false;
    for nal in length_prefixed(payload) {
        match kind(codec, nal) {
            NalKind::Slice { key: true, .. } => return true,
            NalKind::Slice { key: false, .. } => return recovery && is_intra_slice(nal),
            NalKind::Sei => recovery |= codec == Codec::H264 && has_recovery_point(nal),
            NalKind::Vps | NalKind::Sps | NalKind::Pps | NalKind::Delimiter | NalKind::Other => {}
        }
    }
    false
}

/// H.264 7.3.3: `first_mb_in_slice`, `slice_type`; 2 and 7 are I.
fn is_intra_slice(nal: &[u8]) -> bool {
    let raw = unescape(nal, SLICE_START);
    let mut bits = BitReader::new(raw.get(1..).unwrap_or_default());
    let slice_type = bits.ue().and_then(|_| bits.ue());
    matches!(slice_type, Some(2 | 7))
}

fn has_recovery_point(nal: &[u8]) -> bool {
    sei_messages(Codec::H264, nal)
        .into_iter()
        .any(|message| message.kind == 6 && BitReader::new(&message.body).ue() == Some(0))
}

/// Picture parameter set id of a slice, from its header.
pub(crate) fn slice_pps_id(codec: Codec, nal: &[u8]) -> Option<u32> {
    let raw = unescape(nal, SLICE_START);
    match codec {
        Codec::H264 => {
            let mut bits = BitReader::new(raw.get(1..)?);
            bits.ue()?;
            bits.ue()?;
            bits.ue()
        }
        Codec::H265 => {
            let nal_type = (raw.first()? >> 1) & 0x3f;
            let mut bits = BitReader::new(raw.get(2..)?);
            bits.flag()?;
            if (16..=23).contains(&nal_type) {
                bits.flag()?;
            }
            bits.ue()
        }
    }
}

/// One SEI message, raw (without emulation prevention).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeiMessage {
    /// `payloadType` (H.264 annex D, H.265 annex D).
    pub kind: u32,
    /// The payload.
    pub body: Vec<u8>,
}

/// The messages of one SEI NAL unit; stops at the first that does not fit.
pub fn sei_messages(codec: Codec, nal: &[u8]) -> Vec<SeiMessage> {
    let header = match codec {
        Codec::H264 => 1,
        Codec::H265 => 2,
    };
    let raw = unescape(nal, SEI_MAX);
    let mut rest = raw.get(header..).unwrap_or_default();
    let mut found = Vec::new();
    // A lone stop bit (0x80) ends the message list.
    while rest.len() > 1 {
        let Some((kind, after)) = sei_number(rest) else { break };
        let Some((size, after)) = sei_number(after) else { break };
        let Some((body, after)) = usize::try_from(size).ok().and_then(|size| after.split_at_checked(size)) else {
            break;
        };
        found.push(SeiMessage { kind, body: body.to_vec() });
        rest = after;
    }
    found
}

fn sei_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut sum = 0_u32;
    let mut rest = bytes;
    loop {
        let (&byte, after) = rest.split_first()?;
        sum = sum.checked_add(u32::from(byte))?;
        rest = after;
        if byte != 0xff {
            return Some((sum, rest));
        }
    }
}

/// Unregistered user data (`payloadType` 5) of every SEI of an access unit: UUID and what follows it.
pub fn user_data(codec: Codec, payload: &[u8]) -> Vec<([u8; 16], Vec<u8>)> {
    length_prefixed(payload)
        .filter(|nal| kind(codec, nal) == NalKind::Sei)
        .flat_map(|nal| sei_messages(codec, nal))
        .filter(|message| message.kind == 5)
        .filter_map(|message| {
            let (uuid, body) = message.body.split_first_chunk::<16>()?;
            Some((*uuid, body.to_vec()))
        })
        .collect()
}

/// Feeds foreign bytes to every reader here (fuzz target and corpus test).
pub fn fuzz_nal(data: &[u8]) {
    for codec in [Codec::H264, Codec::H265] {
        let _ = is_key(codec, data);
        drop(user_data(codec, data));
        let _ = is_well_formed(data);
        for nal in annex_b(data) {
            let _ = kind(codec, nal);
            drop(sei_messages(codec, nal));
            let _ = slice_pps_id(codec, nal);
        }
        let converted = annex_b_to_length_prefixed(data);
        assert!(converted.is_empty() || is_well_formed(&converted), "own output should be well formed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_streams_are_cut_at_start_codes() {
        let table: [(&[u8], &[&[u8]]); 5] = [
            (b"", &[]),
            (b"\x00\x00\x01", &[]),
            (b"junk\x00\x00\x01\x65\x01\x00\x00\x00\x01\x41\x02", &[b"\x65\x01", b"\x41\x02"]),
            (b"\x00\x00\x01\x65\x00\x00\x00", &[b"\x65"]),
            (b"\x00\x00\x01\x09\x10\x00\x00\x01\x00\x00\x01\x41", &[b"\x09\x10", b"\x41"]),
        ];
        for (stream, wanted) in table {
            assert_eq!(annex_b(stream).collect::<Vec<_>>(), wanted);
        }
    }

    #[test]
    fn lengths_that_do_not_fit_end_the_list() {
        let table: [(&[u8], usize, bool); 5] = [
            (b"", 0, false),
            (b"\x00\x00\x00\x01\x65", 1, true),
            (b"\x00\x00\x00\x01\x65\x00\x00\x00\x09\x41", 1, false),
            (b"\xff\xff\xff\xff\x65", 0, false),
            (b"\x00\x00\x00\x00", 1, false),
        ];
        for (payload, count, whole) in table {
            assert_eq!((length_prefixed(payload).count(), is_well_formed(payload)), (count, whole));
        }
    }

    #[test]
    fn key_frames_are_told_from_others() {
        let unit = |nals: &[&[u8]]| {
            let mut out = BytesMut::new();
            nals.iter().for_each(|nal| put_length_prefixed(nal, &mut out));
            out.freeze()
        };
        // 0x88: first_mb 0, slice_type 7 (I): bits 1 0001000. 0x9a: first_mb 0, slice_type 5 (P): 1 00110.
        let recovery_now: &[u8] = &[0x06, 0x06, 0x01, 0xc4, 0x80];
        let recovery_later: &[u8] = &[0x06, 0x06, 0x01, 0x24, 0x80];
        for (codec, nals, wanted) in [
            (Codec::H264, &[&[0x67, 1][..], &[0x65, 0x88]][..], true),
            (Codec::H264, &[&[0x41, 0x9a]], false),
            (Codec::H264, &[recovery_now, &[0x41, 0x88, 0x80]], true),
            (Codec::H264, &[recovery_now, &[0x41, 0x9a, 0x80]], false),
            (Codec::H264, &[recovery_later, &[0x41, 0x88, 0x80]], false),
            (Codec::H265, &[&[0x40, 1], &[0x26, 1, 0x80]], true),
            (Codec::H265, &[&[0x02, 1, 0x80]], false),
        ] {
            assert_eq!(is_key(codec, &unit(nals)), wanted, "{codec} {nals:?}");
        }
    }

    #[test]
    fn user_data_is_read_back() {
        let mut nal = vec![0x06, 5, 18];
        nal.extend_from_slice(&[7; 16]);
        nal.extend_from_slice(&[0xab, 0xcd, 0x80]);
        let mut unit = BytesMut::new();
        put_length_prefixed(&nal, &mut unit);
        assert_eq!(user_data(Codec::H264, &unit), [([7; 16], vec![0xab, 0xcd])]);
        assert_eq!(unescape(&[0, 0, 3, 1, 0, 0, 3], 99), [0, 0, 1, 0, 0]);
    }

    #[test]
    fn rubbish_is_survived() {
        let mut seed = 1_u32;
        for length in 0..300_usize {
            let data: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Few distinct bytes: start codes and emulation prevention come up often.
                    [0, 0, 1, 3, 0xff, 6, 5, 0x65][usize::try_from(seed >> 29).unwrap()]
                })
                .collect();
            fuzz_nal(&data);
        }
    }
}
