//! Sequence parameter set of H.264 (ITU-T H.264 7.3.2.1.1, annex E).

use crate::bits::BitReader;
use crate::nal::unescape;

/// What we need of an H.264 sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sps {
    pub(crate) id: u32,
    pub(crate) profile: u8,
    pub(crate) constraints: u8,
    pub(crate) level: u8,
    pub(crate) chroma_format: u8,
    pub(crate) bit_depth_luma: u8,
    pub(crate) bit_depth_chroma: u8,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) reorder_depth: u8,
}

/// Profiles that carry chroma format and bit depths (7.3.2.1.1).
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// Depth assumed at most where the stream does not say: 4 is `MaxDpbFrames` of 1080p at level 4 (annex A.3.1).
const UNKNOWN_DEPTH_MAX: u32 = 4;

/// Depth accepted at most (annex A: a decoded picture buffer holds 16 frames).
const DEPTH_MAX: u32 = 16;

impl Sps {
    /// Reads a whole NAL unit; `None` when it is cut or breaks a rule of the standard.
    pub(crate) fn parse(nal: &[u8]) -> Option<Self> {
        let raw = unescape(nal, super::SET_MAX);
        let mut bits = BitReader::new(raw.get(1..)?);
        let (profile, constraints, level) = (bits.byte(8)?, bits.byte(8)?, bits.byte(8)?);
        let id = bits.ue().filter(|id| *id < 32)?;
        let (mut chroma_format, mut depth_luma, mut depth_chroma, mut separate_planes) = (1_u32, 0_u32, 0_u32, false);
        if HIGH_PROFILES.contains(&profile) {
            chroma_format = bits.ue().filter(|idc| *idc <= 3)?;
            if chroma_format == 3 {
                separate_planes = bits.flag()?;
            }
            depth_luma = bits.ue().filter(|depth| *depth <= 6)?;
            depth_chroma = bits.ue().filter(|depth| *depth <= 6)?;
            bits.flag()?;
            if bits.flag()? {
                skip_scaling_lists(&mut bits, if chroma_format == 3 { 12 } else { 8 })?;
            }
        }
        bits.ue().filter(|log2| *log2 <= 12)?;
        let order_type = read_picture_order(&mut bits)?;
        let ref_frames = bits.ue().filter(|count| *count <= DEPTH_MAX)?;
        bits.flag()?;
        let width_mbs = bits.ue()?.checked_add(1)?;
        let height_units = bits.ue()?.checked_add(1)?;
        let frames_only = bits.flag()?;
        if !frames_only {
            bits.flag()?;
        }
        bits.flag()?;
        let fields = if frames_only { 1 } else { 2 };
        let (width, height) = cropped(
            &mut bits,
            (width_mbs.checked_mul(16)?, height_units.checked_mul(16)?.checked_mul(fields)?),
            if separate_planes { 0 } else { chroma_format },
            fields,
        )?;
        // A broken VUI does not make the set useless: players read it the same way.
        let said = if bits.flag()? { reorder_in_vui(&mut bits) } else { None };
        let intra_only = constraints & 0x10 != 0 && [44, 86, 100, 110, 122, 244].contains(&profile);
        let depth = match said {
            Some(depth) => depth.min(DEPTH_MAX),
            None if order_type == 2 || profile == 66 || intra_only || ref_frames <= 1 => 0,
            None => ref_frames.min(UNKNOWN_DEPTH_MAX),
        };
        Some(Self {
            id,
            profile,
            constraints,
            level,
            chroma_format: u8::try_from(chroma_format).ok()?,
            bit_depth_luma: u8::try_from(depth_luma).ok()?.checked_add(8)?,
            bit_depth_chroma: u8::try_from(depth_chroma).ok()?.checked_add(8)?,
            width,
            height,
            reorder_depth: u8::try_from(depth).ok()?,
        })
    }

    /// Whether `avcC` carries the extension with chroma format and depths (ISO/IEC 14496-15 5.3.3.1.2).
    pub(crate) const fn has_extension(&self) -> bool {
        matches!(self.profile, 100 | 110 | 122 | 144 | 244)
    }

    pub(crate) fn rfc6381(&self) -> String {
        format!("avc1.{:02x}{:02x}{:02x}", self.profile, self.constraints, self.level)
    }
}

fn skip_scaling_lists(bits: &mut BitReader<'_>, lists: u32) -> Option<()> {
    for list in 0..lists {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8_i32, 8_i32);
        for _ in 0..(if list < 6 { 16 } else { 64 }) {
            if next != 0 {
                next = (last.checked_add(bits.se()?)?).rem_euclid(256);
            }
            if next != 0 {
                last = next;
            }
        }
    }
    Some(())
}

/// `pic_order_cnt_type` and what hangs on it.
fn read_picture_order(bits: &mut BitReader<'_>) -> Option<u32> {
    let order_type = bits.ue()?;
    match order_type {
        0 => {
            bits.ue().filter(|log2| *log2 <= 12)?;
        }
        1 => {
            bits.flag()?;
            bits.se()?;
            bits.se()?;
            let cycle = bits.ue().filter(|count| *count <= 255)?;
            for _ in 0..cycle {
                bits.se()?;
            }
        }
        2 => {}
        _ => return None,
    }
    Some(order_type)
}

/// Frame cropping (7.4.2.1.1, equations 7-19 to 7-22).
fn cropped(bits: &mut BitReader<'_>, full: (u32, u32), chroma_format: u32, fields: u32) -> Option<(u32, u32)> {
    if !bits.flag()? {
        return Some(full);
    }
    let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
    let (unit_x, unit_y) = match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let unit_y = unit_y * fields;
    let width = full.0.checked_sub(left.checked_add(right)?.checked_mul(unit_x)?)?;
    let height = full.1.checked_sub(top.checked_add(bottom)?.checked_mul(unit_y)?)?;
    Some((width, height))
}

/// `max_num_reorder_frames` of the VUI (E.1.1), when it is there and readable.
fn reorder_in_vui(bits: &mut BitReader<'_>) -> Option<u32> {
    if bits.flag()? && bits.bits(8)? == 255 {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.flag()?;
    }
    if bits.flag()? {
        bits.skip(4)?;
        if bits.flag()? {
            bits.skip(24)?;
        }
    }
    if bits.flag()? {
        bits.ue()?;
        bits.ue()?;
    }
    if bits.flag()? {
        bits.skip(65)?;
    }
    let nal_hrd = bits.flag()?;
    if nal_hrd {
        skip_hrd(bits)?;
    }
    let vcl_hrd = bits.flag()?;
    if vcl_hrd {
        skip_hrd(bits)?;
    }
    if nal_hrd || vcl_hrd {
        bits.flag()?;
    }
    bits.flag()?;
    if !bits.flag()? {
        return None;
    }
    bits.flag()?;
    for _ in 0..4 {
        bits.ue()?;
    }
    bits.ue()
}

fn skip_hrd(bits: &mut BitReader<'_>) -> Option<()> {
    let count = bits.ue().filter(|count| *count < 32)?;
    bits.skip(8)?;
    for _ in 0..=count {
        bits.ue()?;
        bits.ue()?;
        bits.flag()?;
    }
    bits.skip(20)
}

/// Ids of a picture parameter set: its own and that of its sequence parameter set.
pub(crate) fn pps_ids(nal: &[u8]) -> Option<(u32, u32)> {
    let raw = unescape(nal, 32);
    let mut bits = BitReader::new(raw.get(1..)?);
    let id = bits.ue().filter(|id| *id < 256)?;
    let sps = bits.ue().filter(|id| *id < 32)?;
    Some((id, sps))
}
