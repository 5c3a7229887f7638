//! Fragmented MP4 as a view around payload bytes (ISO/IEC 14496-12 and -15): init segment, `moof`, `sidx`.
//!
//! Sizes of everything but the init segment follow from counts alone ([`moof_len`], [`sidx_len`]): a `moof` always
//! carries size, duration, flags and composition offset of every sample, a 64-bit decode time and the sample entry's number.
//! One track, video. No edit list.

use bytes::Bytes;
use mp4_atom::{
    Avc1, Avcc, AvccExt, Codec as Entry, Dinf, Dref, DrefEntry, Encode as _, FourCC, Ftyp, Hdlr, Hvc1, HvcCArray, Hvcc,
    Mdhd, Mdia, Mfhd, Minf, Moof, Moov, Mvex, Mvhd, SegmentReference, Sidx, Stbl, Stco, Stsd, Tfdt, Tfhd, Tkhd, Traf,
    Trak, Trex, Trun, TrunEntry, Url, Visual, Vmhd,
};
use vms_core::Codec;

use crate::fragment::Sample;
use crate::params::{ParamError, h264, h265};
use crate::unit::ParameterSets;

/// Ticks per second of every track.
pub const TIMESCALE: u32 = 90_000;

/// The one track.
const TRACK: u32 = 1;

/// `sample_depends_on` 2: needs no other sample.
const FLAGS_KEY: u32 = 0x0200_0000;

/// `sample_depends_on` 1, `sample_is_non_sync_sample`.
const FLAGS_DELTA: u32 = 0x0101_0000;

/// moof 8, mfhd 16, traf 8, tfhd 20, tfdt 20, trun 20.
const MOOF_FIXED: u64 = 92;

/// Per sample in `trun`: duration, size, flags, composition offset.
const MOOF_PER_SAMPLE: u64 = 16;

/// `mdat` with a 32-bit size.
pub const MDAT_HEADER_LEN: u64 = 8;

/// Box header 12, then 8 + 16 + 4 with 64-bit times.
const SIDX_FIXED: u64 = 40;

const SIDX_PER_REFERENCE: u64 = 12;

/// Most references of one `sidx` (16-bit count).
pub const SIDX_REFERENCES_MAX: usize = 65_535;

/// Why no boxes can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fmp4Error {
    /// The parameter sets do not describe a picture.
    #[error("the parameter sets are of no use")]
    Parameters(#[from] ParamError),
    /// No sample, too many, or too large for 32-bit sizes.
    #[error("the fragment does not fit a box")]
    DoesNotFit,
}

/// Bytes of the `moof` of a fragment of `samples` samples.
pub const fn moof_len(samples: u64) -> u64 {
    MOOF_FIXED + MOOF_PER_SAMPLE * samples
}

/// Bytes of a `sidx` of `references` references.
pub const fn sidx_len(references: u64) -> u64 {
    SIDX_FIXED + SIDX_PER_REFERENCE * references
}

/// MIME type with the codec strings of the sets, doubles left out.
pub fn mime(sets: &[&ParameterSets]) -> String {
    let mut codecs: Vec<&str> = Vec::new();
    for set in sets {
        if !codecs.contains(&set.rfc6381.as_str()) {
            codecs.push(&set.rfc6381);
        }
    }
    format!("video/mp4; codecs=\"{}\"", codecs.join(","))
}

/// Init segment (`ftyp`, `moov`) with one sample entry per set, numbered from 1 in order.
///
/// # Errors
/// [`Fmp4Error`].
pub fn init_segment(sets: &[&ParameterSets]) -> Result<Bytes, Fmp4Error> {
    let width = sets.iter().map(|set| set.width).max().ok_or(Fmp4Error::DoesNotFit)?;
    let height = sets.iter().map(|set| set.height).max().ok_or(Fmp4Error::DoesNotFit)?;
    let entries = sets.iter().map(|set| sample_entry(set)).collect::<Result<Vec<_>, _>>()?;
    let brands = [b"iso6", b"mp41", b"dash"].map(FourCC::new).to_vec();
    let ftyp = Ftyp { major_brand: FourCC::new(b"iso6"), minor_version: 0, compatible_brands: brands };
    let minf = Minf {
        vmhd: Some(Vmhd::default()),
        dinf: Dinf { dref: Dref { entries: vec![DrefEntry::Url(Url::default())] } },
        // ISO/IEC 14496-12, 8.7.5: a table of chunks must be there, and is empty in a fragmented file.
        stbl: Stbl { stsd: Stsd { codecs: entries }, stco: Some(Stco { entries: Vec::new() }), ..Stbl::default() },
        ..Minf::default()
    };
    let mdhd = Mdhd { timescale: TIMESCALE, language: "und".to_owned(), ..Mdhd::default() };
    let hdlr = Hdlr { handler: FourCC::new(b"vide"), name: "Belfry video".to_owned() };
    let tkhd = Tkhd {
        track_id: TRACK,
        enabled: true,
        in_movie: true,
        width: width.into(),
        height: height.into(),
        ..Tkhd::default()
    };
    let trex = Trex { track_id: TRACK, default_sample_description_index: 1, ..Trex::default() };
    let moov = Moov {
        mvhd: Mvhd { timescale: TIMESCALE, next_track_id: TRACK + 1, ..Mvhd::default() },
        mvex: Some(Mvex { mehd: None, trex: vec![trex] }),
        trak: vec![Trak { tkhd, mdia: Mdia { mdhd, hdlr, minf }, ..Trak::default() }],
        ..Moov::default()
    };
    let mut out = Vec::with_capacity(1024);
    ftyp.encode(&mut out).map_err(|_| Fmp4Error::DoesNotFit)?;
    moov.encode(&mut out).map_err(|_| Fmp4Error::DoesNotFit)?;
    Ok(out.into())
}

fn sample_entry(set: &ParameterSets) -> Result<Entry, Fmp4Error> {
    let visual = Visual { data_reference_index: 1, width: set.width, height: set.height, ..Visual::default() };
    match set.codec {
        Codec::H264 => Ok(Entry::Avc1(Avc1 { visual, avcc: avcc(set)?, ..Avc1::default() })),
        Codec::H265 => Ok(Entry::Hvc1(Hvc1 { visual, hvcc: hvcc(set)?, ..Hvc1::default() })),
    }
}

fn raw(nals: &[Bytes]) -> Vec<Vec<u8>> {
    nals.iter().map(|nal| nal.to_vec()).collect()
}

fn avcc(set: &ParameterSets) -> Result<Avcc, Fmp4Error> {
    let sps = set.sps.first().and_then(|nal| h264::Sps::parse(nal)).ok_or(ParamError::Malformed)?;
    Ok(Avcc {
        configuration_version: 1,
        avc_profile_indication: sps.profile,
        profile_compatibility: sps.constraints,
        avc_level_indication: sps.level,
        length_size: 4,
        sequence_parameter_sets: raw(&set.sps),
        picture_parameter_sets: raw(&set.pps),
        ext: sps.has_extension().then(|| AvccExt {
            chroma_format: sps.chroma_format,
            bit_depth_luma: sps.bit_depth_luma,
            bit_depth_chroma: sps.bit_depth_chroma,
            sequence_parameter_sets_ext: Vec::new(),
        }),
    })
}

fn hvcc(set: &ParameterSets) -> Result<Hvcc, Fmp4Error> {
    let sps = set.sps.first().and_then(|nal| h265::Sps::parse(nal)).ok_or(ParamError::Malformed)?;
    let array = |nal_unit_type: u8, nals: &[Bytes]| HvcCArray { completeness: true, nal_unit_type, nalus: raw(nals) };
    Ok(Hvcc {
        configuration_version: 1,
        general_profile_space: sps.profile_space,
        general_tier_flag: sps.high_tier,
        general_profile_idc: sps.profile,
        general_profile_compatibility_flags: sps.compatibility.to_be_bytes(),
        general_constraint_indicator_flags: sps.constraints,
        general_level_idc: sps.level,
        min_spatial_segmentation_idc: 0,
        parallelism_type: 0,
        chroma_format_idc: sps.chroma_format,
        bit_depth_luma_minus8: sps.bit_depth_luma - 8,
        bit_depth_chroma_minus8: sps.bit_depth_chroma - 8,
        avg_frame_rate: 0,
        constant_frame_rate: 0,
        num_temporal_layers: sps.temporal_layers,
        temporal_id_nested: sps.temporal_nesting,
        length_size_minus_one: 3,
        arrays: vec![array(32, &set.vps), array(33, &set.sps), array(34, &set.pps)],
    })
}

/// What stands before the payload of one fragment.
#[derive(Clone, Copy, Debug)]
pub struct FragmentHead<'a> {
    /// `mfhd` sequence number.
    pub sequence: u32,
    /// `baseMediaDecodeTime`, ticks.
    pub decode: u64,
    /// Which sample entry of the init segment, from 1.
    pub entry: u32,
    /// The samples.
    pub samples: &'a [Sample],
}

impl FragmentHead<'_> {
    /// `moof` and the header of `mdat`: [`moof_len`] + [`MDAT_HEADER_LEN`] bytes.
    ///
    /// # Errors
    /// [`Fmp4Error::DoesNotFit`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Fmp4Error> {
        let count = u64::try_from(self.samples.len()).map_err(|_| Fmp4Error::DoesNotFit)?;
        let payload: u64 = self.samples.iter().map(|sample| u64::from(sample.size)).sum();
        let mdat = u32::try_from(payload + MDAT_HEADER_LEN).map_err(|_| Fmp4Error::DoesNotFit)?;
        if count == 0 {
            return Err(Fmp4Error::DoesNotFit);
        }
        let offset = i32::try_from(moof_len(count) + MDAT_HEADER_LEN).map_err(|_| Fmp4Error::DoesNotFit)?;
        let entries: Vec<TrunEntry> = self.samples.iter().map(trun_entry).collect();
        let traf = Traf {
            tfhd: Tfhd {
                track_id: TRACK,
                sample_description_index: Some(self.entry),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt { base_media_decode_time: self.decode }),
            trun: vec![Trun { data_offset: Some(offset), samples: entries.into() }],
            ..Traf::default()
        };
        let moof = Moof { mfhd: Mfhd { sequence_number: self.sequence }, traf: vec![traf] };
        moof.encode(out).map_err(|_| Fmp4Error::DoesNotFit)?;
        out.extend_from_slice(&mdat.to_be_bytes());
        out.extend_from_slice(b"mdat");
        Ok(())
    }

    /// The whole of `moof`, `mdat` header and payload.
    ///
    /// # Errors
    /// [`Fmp4Error::DoesNotFit`], also when `payload` has another length than the samples say.
    pub fn wrap(&self, payload: &[u8]) -> Result<Bytes, Fmp4Error> {
        let said: u64 = self.samples.iter().map(|sample| u64::from(sample.size)).sum();
        if u64::try_from(payload.len()).ok() != Some(said) {
            return Err(Fmp4Error::DoesNotFit);
        }
        let mut out = Vec::with_capacity(payload.len() + 100 + self.samples.len() * 16);
        self.encode(&mut out)?;
        out.extend_from_slice(payload);
        Ok(out.into())
    }
}

fn trun_entry(sample: &Sample) -> TrunEntry {
    TrunEntry {
        duration: Some(sample.duration),
        size: Some(sample.size),
        flags: Some(if sample.is_key { FLAGS_KEY } else { FLAGS_DELTA }),
        cts: Some(i64::from(sample.composition)),
    }
}

/// One fragment as `sidx` sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Bytes of `moof` and `mdat` together.
    pub size: u64,
    /// Ticks to the next fragment's start.
    pub ticks: u64,
    /// Starts with a key frame.
    pub is_key: bool,
}

/// A `sidx` over fragments that follow it directly; always [`sidx_len`] bytes.
///
/// # Errors
/// [`Fmp4Error::DoesNotFit`] for over [`SIDX_REFERENCES_MAX`] references or sizes and durations over 31 and 32 bits.
pub fn sidx(earliest: u64, references: &[Reference]) -> Result<Bytes, Fmp4Error> {
    let references =
        references.iter().map(segment_reference).collect::<Option<Vec<_>>>().ok_or(Fmp4Error::DoesNotFit)?;
    // `mp4-atom` writes 32-bit times where they fit; a size that depends on a value is no good here, so the times
    // are asked for in 64 bits and narrowed back.
    let wide = Sidx {
        reference_id: TRACK,
        timescale: TIMESCALE,
        earliest_presentation_time: earliest | WIDE,
        first_offset: 0,
        references,
    };
    let mut out = Vec::new();
    wide.encode(&mut out).map_err(|_| Fmp4Error::DoesNotFit)?;
    let slot = out.get_mut(EARLIEST_AT..EARLIEST_AT + 8).ok_or(Fmp4Error::DoesNotFit)?;
    slot.copy_from_slice(&earliest.to_be_bytes());
    Ok(out.into())
}

/// Makes any time need 64 bits.
const WIDE: u64 = 1 << 63;

/// Offset of `earliest_presentation_time`: full box header 12, `reference_ID` 4, `timescale` 4.
const EARLIEST_AT: usize = 20;

fn segment_reference(reference: &Reference) -> Option<SegmentReference> {
    Some(SegmentReference {
        reference_type: false,
        referenced_size: u32::try_from(reference.size).ok().filter(|size| *size < 1 << 31)?,
        subsegment_duration: u32::try_from(reference.ticks).ok()?,
        starts_with_sap: reference.is_key,
        sap_type: u8::from(reference.is_key),
        sap_delta_time: 0,
    })
}

#[cfg(test)]
mod tests;
