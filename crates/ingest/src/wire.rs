//! Our types as messages of the link.

use link::Control;
use media::ParameterSets;
use vms_core::StreamId;

use crate::board::Standing;
use crate::ring::Hole;

/// Parameter sets.
pub(crate) fn parameter_sets(stream: StreamId, sets: &ParameterSets) -> Control {
    Control::ParameterSets { stream: stream.to_string(), sets: sets.into() }
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
