//! Parameter sets of H.265 (ITU-T H.265 7.3.2, 7.3.3), as far as a container and a player need them.

use std::fmt::Write as _;

use crate::bits::BitReader;
use crate::nal::unescape;

/// What we need of an H.265 sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sps {
    pub(crate) id: u32,
    pub(crate) profile_space: u8,
    pub(crate) high_tier: bool,
    pub(crate) profile: u8,
    pub(crate) compatibility: u32,
    pub(crate) constraints: [u8; 6],
    pub(crate) level: u8,
    pub(crate) temporal_layers: u8,
    pub(crate) temporal_nesting: bool,
    pub(crate) chroma_format: u8,
    pub(crate) bit_depth_luma: u8,
    pub(crate) bit_depth_chroma: u8,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) reorder_depth: u8,
}

impl Sps {
    /// Reads a whole NAL unit; `None` when it is cut or breaks a rule of the standard.
    pub(crate) fn parse(nal: &[u8]) -> Option<Self> {
        let raw = unescape(nal, super::SET_MAX);
        let mut bits = BitReader::new(raw.get(2..)?);
        bits.skip(4)?;
        let sub_layers = bits.byte(3).filter(|count| *count <= 6)?;
        let temporal_nesting = bits.flag()?;
        let profile_space = bits.byte(2)?;
        let high_tier = bits.flag()?;
        let profile = bits.byte(5)?;
        let compatibility = bits.bits(32)?;
        let mut constraints = [0_u8; 6];
        for slot in &mut constraints {
            *slot = bits.byte(8)?;
        }
        let level = bits.byte(8)?;
        skip_sub_layer_levels(&mut bits, sub_layers)?;
        let id = bits.ue().filter(|id| *id < 16)?;
        let chroma_format = bits.ue().filter(|idc| *idc <= 3)?;
        let separate_planes = chroma_format == 3 && bits.flag()?;
        let full = (bits.ue()?, bits.ue()?);
        let (width, height) = cropped(&mut bits, full, if separate_planes { 0 } else { chroma_format })?;
        let depth_luma = bits.ue().filter(|depth| *depth <= 8)?;
        let depth_chroma = bits.ue().filter(|depth| *depth <= 8)?;
        bits.ue().filter(|log2| *log2 <= 12)?;
        let all_layers = bits.flag()?;
        let mut reorder = 0;
        for _ in (if all_layers { 0 } else { sub_layers })..=sub_layers {
            bits.ue().filter(|count| *count < 16)?;
            reorder = bits.ue().filter(|count| *count < 16)?;
            bits.ue()?;
        }
        Some(Self {
            id,
            profile_space,
            high_tier,
            profile,
            compatibility,
            constraints,
            level,
            temporal_layers: sub_layers + 1,
            temporal_nesting,
            chroma_format: u8::try_from(chroma_format).ok()?,
            bit_depth_luma: u8::try_from(depth_luma).ok()?.checked_add(8)?,
            bit_depth_chroma: u8::try_from(depth_chroma).ok()?.checked_add(8)?,
            width,
            height,
            reorder_depth: u8::try_from(reorder).ok()?,
        })
    }

    /// ISO/IEC 14496-15 annex E.3.
    pub(crate) fn rfc6381(&self) -> String {
        let space = match self.profile_space {
            1 => "A",
            2 => "B",
            3 => "C",
            _ => "",
        };
        let tier = if self.high_tier { 'H' } else { 'L' };
        let mut text =
            format!("hvc1.{space}{}.{:X}.{tier}{}", self.profile, self.compatibility.reverse_bits(), self.level);
        let used = self.constraints.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        for byte in self.constraints.iter().take(used) {
            write!(text, ".{byte:X}").expect("writing to a string should not fail");
        }
        text
    }
}

/// Rest of `profile_tier_level` (7.3.3).
fn skip_sub_layer_levels(bits: &mut BitReader<'_>, sub_layers: u8) -> Option<()> {
    if sub_layers == 0 {
        return Some(());
    }
    let mut skip = 0_usize;
    for layer in 0..8 {
        let (has_profile, has_level) = (bits.flag()?, bits.flag()?);
        if layer < sub_layers {
            skip += if has_profile { 88 } else { 0 };
            skip += if has_level { 8 } else { 0 };
        }
    }
    bits.skip(skip)
}

/// Conformance window (7.4.3.2.1).
fn cropped(bits: &mut BitReader<'_>, full: (u32, u32), chroma_format: u32) -> Option<(u32, u32)> {
    if !bits.flag()? {
        return Some(full);
    }
    let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
    let (unit_x, unit_y) = match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let width = full.0.checked_sub(left.checked_add(right)?.checked_mul(unit_x)?)?;
    let height = full.1.checked_sub(top.checked_add(bottom)?.checked_mul(unit_y)?)?;
    Some((width, height))
}

/// Id of a video parameter set.
pub(crate) fn vps_id(nal: &[u8]) -> Option<u32> {
    nal.get(2).map(|byte| u32::from(byte >> 4))
}

/// Ids of a picture parameter set: its own and that of its sequence parameter set.
pub(crate) fn pps_ids(nal: &[u8]) -> Option<(u32, u32)> {
    let raw = unescape(nal, 32);
    let mut bits = BitReader::new(raw.get(2..)?);
    let id = bits.ue().filter(|id| *id < 64)?;
    let sps = bits.ue().filter(|id| *id < 16)?;
    Some((id, sps))
}
