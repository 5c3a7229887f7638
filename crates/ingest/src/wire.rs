//! Our types as messages of the link.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use link::{Control, WireParameterSets};
use media::ParameterSets;
use vms_core::StreamId;

use crate::board::Standing;
use crate::ring::Hole;

fn texts(nals: &[Bytes]) -> Vec<String> {
    nals.iter().map(|nal| STANDARD.encode(nal)).collect()
}

/// Parameter sets.
pub(crate) fn parameter_sets(stream: StreamId, sets: &ParameterSets) -> Control {
    Control::ParameterSets {
        stream: stream.to_string(),
        sets: WireParameterSets {
            id: format!("{:016x}", sets.id.0),
            codec: sets.codec.to_string(),
            vps: texts(&sets.vps),
            sps: texts(&sets.sps),
            pps: texts(&sets.pps),
            width: sets.width,
            height: sets.height,
            rfc6381: sets.rfc6381.clone(),
            reorder_depth: sets.reorder_depth,
        },
    }
}

/// A hole.
pub(crate) fn hole(stream: StreamId, hole: Hole) -> Control {
    Control::Hole { stream: stream.to_string(), from_us: hole.from.micros, to_us: hole.to.micros, cause: hole.cause }
}

/// A phase.
pub(crate) fn stream_state(stream: StreamId, standing: Standing) -> Control {
    Control::StreamState {
        stream: stream.to_string(),
        phase: standing.phase,
        cause: standing.cause,
        since_us: standing.since.micros,
    }
}
