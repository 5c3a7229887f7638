//! Parameter sets: reading them, naming them, and watching a stream for a change.
//!
//! Belongs here: SPS, PPS, VPS of H.264 and H.265 from foreign bytes. Does not belong here: container boxes ([`crate::fmp4`]).
//! Sizes and numbers are capped before anything is allocated for them.

pub(crate) mod h264;
pub(crate) mod h265;
mod tracker;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use vms_core::Codec;

pub use tracker::ParameterTracker;

use crate::unit::{ParamSetId, ParameterSets};

/// Longest parameter set that is read, bytes; real ones are below 200.
pub const SET_MAX: usize = 4096;

/// Most sequence (and video) parameter sets of one stream; `avcC` has room for 31.
pub const SPS_COUNT_MAX: usize = 16;

/// Most picture parameter sets of one stream; `avcC` has room for 255.
pub const PPS_COUNT_MAX: usize = 64;

/// Widest and highest picture, pixels. 8192×4320 is the largest of level 6.2.
pub const SIDE_MAX: u32 = 8192;

/// Largest picture, pixels: 139,264 macroblocks, level 6.2 of H.264 (table A-1) and of H.265 (table A.8).
pub const PIXELS_MAX: u32 = 35_651_584;

/// Why parameter sets are of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// No sequence, picture or (H.265) video parameter set.
    #[error("a parameter set is missing")]
    Missing,
    /// Longer or more of them than [`SET_MAX`], [`SPS_COUNT_MAX`], [`PPS_COUNT_MAX`].
    #[error("the parameter sets are too large or too many")]
    TooLarge,
    /// A set that does not parse.
    #[error("a parameter set is malformed")]
    Malformed,
    /// A picture of no size, or over [`SIDE_MAX`] or [`PIXELS_MAX`].
    #[error("a picture of {width}x{height} is refused")]
    PictureSize {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

impl ParameterSets {
    /// Reads whole NAL units (no start code, no length). Size, codec string and reorder depth are those of the first
    /// sequence parameter set; the first of `sps` should be the active one.
    ///
    /// # Errors
    /// [`ParamError`].
    pub fn from_nals(codec: Codec, vps: Vec<Bytes>, sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<Self, ParamError> {
        let first = sps.first().ok_or(ParamError::Missing)?;
        if pps.is_empty() || (codec == Codec::H265 && vps.is_empty()) {
            return Err(ParamError::Missing);
        }
        let long = vps.iter().chain(&sps).chain(&pps).any(|nal| nal.len() > SET_MAX || nal.is_empty());
        if long || vps.len().max(sps.len()) > SPS_COUNT_MAX || pps.len() > PPS_COUNT_MAX {
            return Err(ParamError::TooLarge);
        }
        let (width, height, rfc6381, reorder_depth) = match codec {
            Codec::H264 => {
                let read = h264::Sps::parse(first).ok_or(ParamError::Malformed)?;
                (read.width, read.height, read.rfc6381(), read.reorder_depth)
            }
            Codec::H265 => {
                let read = h265::Sps::parse(first).ok_or(ParamError::Malformed)?;
                (read.width, read.height, read.rfc6381(), read.reorder_depth)
            }
        };
        let (width, height) = checked_size(width, height)?;
        let vps = if codec == Codec::H264 { Vec::new() } else { vps };
        let id = set_id(codec, &vps, &sps, &pps);
        Ok(Self { id, codec, vps, sps, pps, width, height, rfc6381, reorder_depth })
    }

    /// As [`ParameterSets::from_nals`], from any mixture of NAL units; others than parameter sets are left out.
    ///
    /// # Errors
    /// [`ParamError`].
    pub fn from_mixed<'a>(codec: Codec, nals: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, ParamError> {
        let mut tracker = ParameterTracker::new(codec);
        tracker.seed(nals);
        tracker.current().map(|sets| sets.as_ref().clone()).ok_or(ParamError::Missing)
    }
}

fn checked_size(width: u32, height: u32) -> Result<(u16, u16), ParamError> {
    let refused = ParamError::PictureSize { width, height };
    if width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX || width * height > PIXELS_MAX {
        return Err(refused);
    }
    match (u16::try_from(width), u16::try_from(height)) {
        (Ok(width), Ok(height)) => Ok((width, height)),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => Err(refused),
    }
}

/// See [`ParamSetId`]. Kind and length stand before each unit, so that no two lists hash alike.
fn set_id(codec: Codec, vps: &[Bytes], sps: &[Bytes], pps: &[Bytes]) -> ParamSetId {
    let mut hash = Sha256::new();
    hash.update(codec.as_str().as_bytes());
    for (kind, list) in [(b'v', vps), (b's', sps), (b'p', pps)] {
        for nal in list {
            let length = u32::try_from(nal.len()).unwrap_or(u32::MAX);
            hash.update([kind]);
            hash.update(length.to_be_bytes());
            hash.update(nal);
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    ParamSetId(digest.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first)))
}

/// Feeds foreign bytes to the readers (fuzz target and corpus test).
pub fn fuzz_params(data: &[u8]) {
    let _ = h264::Sps::parse(data);
    let _ = h265::Sps::parse(data);
    let _ = h264::pps_ids(data);
    let _ = h265::pps_ids(data);
    let whole = Bytes::copy_from_slice(data);
    for codec in [Codec::H264, Codec::H265] {
        let list = vec![whole.clone()];
        if let Ok(sets) = ParameterSets::from_nals(codec, list.clone(), list.clone(), list) {
            assert!(u32::from(sets.width) * u32::from(sets.height) <= PIXELS_MAX, "size should be capped");
        }
        let mut tracker = ParameterTracker::new(codec);
        drop(tracker.observe(&whole));
        tracker.seed(crate::nal::annex_b(data));
        drop(tracker.observe(&whole));
    }
}

#[cfg(test)]
mod tests;
