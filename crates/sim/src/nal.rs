//! NAL units: finding them, telling their kinds apart, and the emulation-prevention byte.
//!
//! Belongs here: what ITU-T H.264 (7.4.1, annex B) and H.265 (7.4.2, annex B) say of the outside of a NAL unit.
//! Does not belong here: what is inside a slice or a parameter set; the simulator never decodes.

use bytes::Bytes;
use vms_core::Codec;

/// What the simulator needs to know of one NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalKind {
    /// Slice data of a picture. `first` when it is the first slice of its picture, `key` when decoding can start here.
    Slice {
        /// The picture starts here.
        first: bool,
        /// Instantaneous decoder refresh (H.264) or an intra random-access picture (H.265).
        key: bool,
    },
    /// H.265 video parameter set.
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
    /// Access unit delimiter.
    Delimiter,
    /// Supplemental information before the picture (H.264 SEI, H.265 prefix SEI).
    Sei,
    /// Everything else: end of sequence, filler, suffix SEI, reserved.
    Other,
}

/// Looks at the header byte(s) and, for slices, at the first bit after it. An empty unit is `Other`.
pub fn kind(codec: Codec, nal: &[u8]) -> NalKind {
    match codec {
        Codec::H264 => kind_h264(nal),
        Codec::H265 => kind_h265(nal),
    }
}

/// H.264 table 7-1. `first_mb_in_slice` is Exp-Golomb: a leading 1 bit means 0, the first slice.
fn kind_h264(nal: &[u8]) -> NalKind {
    let Some(header) = nal.first() else { return NalKind::Other };
    let first = nal.get(1).is_some_and(|b| b & 0x80 != 0);
    match header & 0x1f {
        1 | 2 => NalKind::Slice { first, key: false },
        5 => NalKind::Slice { first, key: true },
        6 => NalKind::Sei,
        7 => NalKind::Sps,
        8 => NalKind::Pps,
        9 => NalKind::Delimiter,
        _ => NalKind::Other,
    }
}

/// H.265 table 7-1: 0–9 and 16–21 are slices, 16–21 of them intra random-access pictures.
fn kind_h265(nal: &[u8]) -> NalKind {
    let Some(header) = nal.first() else { return NalKind::Other };
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

/// The NAL units of an Annex B byte stream, without start codes and trailing zero bytes. Empty units are left out.
/// The slices share the memory of `stream`.
pub fn annex_b(stream: &Bytes) -> Vec<Bytes> {
    let mut units = Vec::new();
    let mut start: Option<usize> = None;
    let mut zeros = 0_usize;
    for (at, byte) in stream.iter().enumerate() {
        match byte {
            0 => zeros = zeros.saturating_add(1),
            1 if zeros >= 2 => {
                if let Some(from) = start {
                    push_unit(&mut units, stream, from, at.saturating_sub(zeros));
                }
                start = Some(at.saturating_add(1));
                zeros = 0;
            }
            _ => zeros = 0,
        }
    }
    if let Some(from) = start {
        push_unit(&mut units, stream, from, stream.len().saturating_sub(zeros));
    }
    units
}

fn push_unit(units: &mut Vec<Bytes>, stream: &Bytes, from: usize, to: usize) {
    if from < to {
        units.push(stream.slice(from..to));
    }
}

/// The NAL units of a length-prefixed access unit (4 bytes big endian each), as in `media::AccessUnit::payload` and in
/// MP4 samples. Stops at the first length that does not fit.
pub fn length_prefixed(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_at_checked(4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let (nal, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        rest = after;
        Some(nal)
    })
}

/// Inserts the emulation-prevention byte: after two zero bytes no byte below 4 may follow (H.264 7.3.1, H.265 7.3.1.1).
pub fn escape(raw: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0_u8;
    for byte in raw {
        if zeros >= 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(*byte);
        zeros = if *byte == 0 { zeros.saturating_add(1) } else { 0 };
    }
}

/// Takes the emulation-prevention bytes out again.
pub fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(escaped.len());
    let mut zeros = 0_u8;
    for byte in escaped {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        raw.push(*byte);
        zeros = if *byte == 0 { zeros.saturating_add(1) } else { 0 };
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annex_b_is_cut_at_start_codes() {
        for (stream, wanted) in [
            (&[0_u8, 0, 1, 9, 8, 0, 0, 0, 1, 7, 0, 0, 1, 5, 0][..], &[&[9_u8, 8][..], &[7], &[5]][..]),
            (&[0, 0, 0, 1, 1, 2, 3][..], &[&[1_u8, 2, 3][..]][..]),
            (&[0, 0, 1, 0, 0, 1, 6][..], &[&[6_u8][..]][..]),
            (&[5, 6, 7][..], &[][..]),
            (&[][..], &[][..]),
        ] {
            let got = annex_b(&Bytes::copy_from_slice(stream));
            assert_eq!(got.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>(), wanted);
        }
    }

    #[test]
    fn escaping_comes_back_and_hides_start_codes() {
        for raw in [&[0_u8, 0, 0, 0, 0, 1, 2, 3][..], &[0, 0, 3, 0, 0, 4], &[1, 2], &[]] {
            let mut escaped = Vec::new();
            escape(raw, &mut escaped);
            assert!(!escaped.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3), "{escaped:?}");
            assert_eq!(unescape(&escaped), raw);
        }
    }

    #[test]
    fn length_prefixed_units_end_at_the_first_bad_length() {
        let got: Vec<&[u8]> = length_prefixed(&[0, 0, 0, 1, 9, 0, 0, 0, 2, 7, 7, 0, 0, 0, 9, 1]).collect();
        assert_eq!(got, [&[9_u8][..], &[7, 7]]);
    }

    #[test]
    fn kinds_are_told_apart() {
        for (codec, nal, wanted) in [
            (Codec::H264, &[0x65_u8, 0x88][..], NalKind::Slice { first: true, key: true }),
            (Codec::H264, &[0x41, 0x12], NalKind::Slice { first: false, key: false }),
            (Codec::H264, &[0x67], NalKind::Sps),
            (Codec::H264, &[], NalKind::Other),
            (Codec::H265, &[0x26, 0x01, 0xaf], NalKind::Slice { first: true, key: true }),
            (Codec::H265, &[0x02, 0x01, 0x00], NalKind::Slice { first: false, key: false }),
            (Codec::H265, &[0x40, 0x01], NalKind::Vps),
        ] {
            assert_eq!(kind(codec, nal), wanted);
        }
    }
}
