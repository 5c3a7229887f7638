//! Parameter sets between their wire form and ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use media::ParameterSets;

use crate::WireParameterSets;

impl From<&ParameterSets> for WireParameterSets {
    fn from(sets: &ParameterSets) -> Self {
        let texts = |nals: &[Bytes]| nals.iter().map(|nal| STANDARD.encode(nal)).collect();
        Self {
            id: format!("{:016x}", sets.id.0),
            codec: sets.codec.to_string(),
            vps: texts(&sets.vps),
            sps: texts(&sets.sps),
            pps: texts(&sets.pps),
            width: sets.width,
            height: sets.height,
            rfc6381: sets.rfc6381.clone(),
            reorder_depth: sets.reorder_depth,
        }
    }
}

impl WireParameterSets {
    /// The sets, read anew from their NAL units; `None` when something does not parse or the bytes have another id than was said.
    pub fn read(&self) -> Option<ParameterSets> {
        let nals = |texts: &[String]| {
            let decode = |text: &String| STANDARD.decode(text).ok().map(Bytes::from);
            texts.iter().map(decode).collect::<Option<Vec<_>>>()
        };
        let codec = self.codec.parse().ok()?;
        let sets = ParameterSets::from_nals(codec, nals(&self.vps)?, nals(&self.sps)?, nals(&self.pps)?).ok()?;
        (format!("{:016x}", sets.id.0) == self.id).then_some(sets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vms_core::Codec;

    #[test]
    fn sets_read_back_and_forgeries_do_not() {
        // 640x480 baseline, as a camera sends it.
        let sps = Bytes::from_static(&[
            0x67, 0x42, 0xC0, 0x1E, 0xD9, 0x00, 0xA0, 0x3D, 0xA1, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00,
            0x32, 0x8F, 0x16, 0x2E, 0x48,
        ]);
        let pps = Bytes::from_static(&[0x68, 0xCB, 0x83, 0xCB, 0x20]);
        let sets = ParameterSets::from_nals(Codec::H264, Vec::new(), vec![sps], vec![pps]).unwrap();
        let wire = WireParameterSets::from(&sets);
        assert_eq!(wire.read(), Some(sets));
        for forged in [
            WireParameterSets { id: format!("{:016x}", 7), ..wire.clone() },
            WireParameterSets { codec: "mjpeg".to_owned(), ..wire.clone() },
            WireParameterSets { sps: vec!["*".to_owned()], ..wire.clone() },
            WireParameterSets { sps: Vec::new(), ..wire },
        ] {
            assert_eq!(forged.read(), None, "{forged:?}");
        }
    }
}
