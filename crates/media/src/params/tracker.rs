//! Watches the in-band parameter sets of a stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use vms_core::Codec;

use super::{PPS_COUNT_MAX, ParamError, SET_MAX, SPS_COUNT_MAX, h264, h265};
use crate::nal::{NalKind, kind, length_prefixed, slice_pps_id};
use crate::unit::ParameterSets;

/// Keeps the newest parameter set of every id, and says when the whole changed.
///
/// The sequence parameter set that the newest key frame refers to stands first in what it gives out. Sets under other ids
/// stay listed (a camera may alternate between two picture parameter sets), but are forgotten when they refer to nothing.
#[derive(Clone, Debug)]
pub struct ParameterTracker {
    codec: Codec,
    vps: BTreeMap<u32, Bytes>,
    sps: BTreeMap<u32, Bytes>,
    /// By id: the sequence parameter set that it refers to, and the unit.
    pps: BTreeMap<u32, (u32, Bytes)>,
    active_sps: Option<u32>,
    current: Option<Arc<ParameterSets>>,
}

impl ParameterTracker {
    /// Knows nothing yet.
    pub const fn new(codec: Codec) -> Self {
        Self {
            codec,
            vps: BTreeMap::new(),
            sps: BTreeMap::new(),
            pps: BTreeMap::new(),
            active_sps: None,
            current: None,
        }
    }

    /// Takes in parameter sets from outside the stream (SDP `sprop-parameter-sets`). Unusable ones are left out.
    pub fn seed<'a>(&mut self, nals: impl IntoIterator<Item = &'a [u8]>) {
        let mut dirty = false;
        for nal in nals {
            dirty |= self.store(nal).unwrap_or(false);
        }
        if dirty {
            self.rebuild().ok();
        }
    }

    /// The sets in force, when they are complete.
    pub const fn current(&self) -> Option<&Arc<ParameterSets>> {
        self.current.as_ref()
    }

    /// Looks at one access unit (length-prefixed payload): `Some` when the sets in force changed with it.
    ///
    /// # Errors
    /// [`ParamError`] when the unit brings sets that are of no use; what was in force stays in force.
    pub fn observe(&mut self, payload: &[u8]) -> Result<Option<Arc<ParameterSets>>, ParamError> {
        let mut dirty = false;
        for nal in length_prefixed(payload) {
            match kind(self.codec, nal) {
                NalKind::Vps | NalKind::Sps | NalKind::Pps => dirty |= self.store(nal)?,
                NalKind::Slice { key: true, .. } => {
                    let used = slice_pps_id(self.codec, nal).and_then(|id| self.pps.get(&id)).map(|(sps, _)| *sps);
                    if used.is_some() && used != self.active_sps {
                        self.active_sps = used;
                        dirty = true;
                    }
                    break;
                }
                NalKind::Slice { key: false, .. } => break,
                NalKind::Sei | NalKind::Delimiter | NalKind::Other => {}
            }
        }
        if dirty || (self.current.is_none() && !self.sps.is_empty()) { self.rebuild() } else { Ok(None) }
    }

    /// Files one set under its id; true when it is new or other than before.
    fn store(&mut self, nal: &[u8]) -> Result<bool, ParamError> {
        if nal.len() > SET_MAX {
            return Err(ParamError::TooLarge);
        }
        match kind(self.codec, nal) {
            NalKind::Vps => {
                let id = h265::vps_id(nal).ok_or(ParamError::Malformed)?;
                Ok(replace(&mut self.vps, id, nal))
            }
            NalKind::Sps => {
                let id = self.sps_id(nal).ok_or(ParamError::Malformed)?;
                if self.sps.len() >= SPS_COUNT_MAX && !self.sps.contains_key(&id) {
                    return Err(ParamError::TooLarge);
                }
                Ok(replace(&mut self.sps, id, nal))
            }
            NalKind::Pps => {
                let (id, sps) = match self.codec {
                    Codec::H264 => h264::pps_ids(nal),
                    Codec::H265 => h265::pps_ids(nal),
                }
                .ok_or(ParamError::Malformed)?;
                if self.pps.len() >= PPS_COUNT_MAX && !self.pps.contains_key(&id) {
                    return Err(ParamError::TooLarge);
                }
                if self.pps.get(&id).is_some_and(|(_, old)| old.as_ref() == nal) {
                    return Ok(false);
                }
                self.pps.insert(id, (sps, Bytes::copy_from_slice(nal)));
                Ok(true)
            }
            NalKind::Sei | NalKind::Delimiter | NalKind::Slice { .. } | NalKind::Other => Ok(false),
        }
    }

    fn sps_id(&self, nal: &[u8]) -> Option<u32> {
        match self.codec {
            Codec::H264 => h264::Sps::parse(nal).map(|sps| sps.id),
            Codec::H265 => h265::Sps::parse(nal).map(|sps| sps.id),
        }
    }

    fn rebuild(&mut self) -> Result<Option<Arc<ParameterSets>>, ParamError> {
        let active = self.active_sps.filter(|id| self.sps.contains_key(id));
        let mut sps: Vec<Bytes> = active.and_then(|id| self.sps.get(&id)).into_iter().cloned().collect();
        sps.extend(self.sps.iter().filter(|(id, _)| Some(**id) != active).map(|(_, nal)| nal.clone()));
        let known = self.pps.values().filter(|(sps, _)| self.sps.contains_key(sps));
        let pps: Vec<Bytes> = known.map(|(_, nal)| nal.clone()).collect();
        let vps: Vec<Bytes> = self.vps.values().cloned().collect();
        let complete = !sps.is_empty() && !pps.is_empty() && (self.codec == Codec::H264 || !vps.is_empty());
        if !complete {
            return Ok(None);
        }
        let sets = ParameterSets::from_nals(self.codec, vps, sps, pps)?;
        if self.current.as_ref().is_some_and(|old| old.id == sets.id) {
            return Ok(None);
        }
        let sets = Arc::new(sets);
        self.current = Some(Arc::clone(&sets));
        Ok(Some(sets))
    }
}

fn replace(map: &mut BTreeMap<u32, Bytes>, id: u32, nal: &[u8]) -> bool {
    if map.get(&id).is_some_and(|old| old.as_ref() == nal) {
        return false;
    }
    map.insert(id, Bytes::copy_from_slice(nal));
    true
}
