//! Parameter sets between their wire form and ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use link::WireParameterSets;
use media::ParameterSets;

/// From the wire; `None` when something does not parse or the bytes have another id than was said.
pub(super) fn read(wire: &WireParameterSets) -> Option<ParameterSets> {
    let nals = |texts: &[String]| {
        let decode = |text: &String| STANDARD.decode(text).ok().map(Bytes::from);
        texts.iter().map(decode).collect::<Option<Vec<_>>>()
    };
    let codec = wire.codec.parse().ok()?;
    let sets = ParameterSets::from_nals(codec, nals(&wire.vps)?, nals(&wire.sps)?, nals(&wire.pps)?).ok()?;
    (format!("{:016x}", sets.id.0) == wire.id).then_some(sets)
}

/// To the wire.
pub(super) fn write(sets: &ParameterSets) -> WireParameterSets {
    let texts = |nals: &[Bytes]| nals.iter().map(|nal| STANDARD.encode(nal)).collect();
    WireParameterSets {
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
