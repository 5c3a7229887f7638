//! Words of the protocol to words of the use cases, one exhaustive match each.

use link::message as wire;
use vms_app::gated::GatedOrder;
use vms_app::health::StreamHealth;
use vms_app::model::{GapCopy, Hold, SegmentCopy, StreamSpec, TimelineGap};
use vms_app::words::{Cause, EndWhy, HoldState, Phase, TransportKind};
use vms_core::WallTime;

/// Why there is a hole.
pub(crate) const fn cause(cause: wire::Cause) -> Cause {
    use wire::Cause as W;
    match cause {
        W::Unreachable => Cause::Unreachable,
        W::LoginRefused => Cause::LoginRefused,
        W::AddressRefused => Cause::AddressRefused,
        W::Malformed => Cause::Malformed,
        W::Silent => Cause::Silent,
        W::NoKeyFrame => Cause::NoKeyFrame,
        W::Closed => Cause::Closed,
        W::PacketLoss => Cause::PacketLoss,
        W::IngestRestart => Cause::IngestRestart,
        W::RecorderRestart => Cause::RecorderRestart,
        W::RingOverflow => Cause::RingOverflow,
        W::Disk => Cause::Disk,
        W::DiskCap => Cause::DiskCap,
        W::Keys => Cause::Keys,
        W::KeyDestroyed => Cause::KeyDestroyed,
        W::KeyLost => Cause::KeyLost,
        W::ParameterChange => Cause::ParameterChange,
        W::SwitchedOff => Cause::SwitchedOff,
        W::Unsupported => Cause::Unsupported,
    }
}

/// Where a session stands.
pub(crate) const fn phase(phase: wire::StreamPhase) -> Phase {
    use wire::StreamPhase as W;
    match phase {
        W::Idle => Phase::Idle,
        W::Connecting => Phase::Connecting,
        W::NoKeyFrame => Phase::NoKeyFrame,
        W::Live => Phase::Live,
        W::Waiting => Phase::Waiting,
    }
}

/// Why a stream ended.
pub(crate) fn end_why(why: &str) -> EndWhy {
    match why {
        "revoked" => EndWhy::Revoked,
        code if code.starts_with("capability") => EndWhy::Expired,
        "camera_gone" => EndWhy::CameraGone,
        _ => EndWhy::Stopped,
    }
}

const fn transport(kind: TransportKind) -> wire::TransportKind {
    match kind {
        TransportKind::Retina => wire::TransportKind::Retina,
        TransportKind::GstTcp => wire::TransportKind::GstTcp,
        TransportKind::GstUdp => wire::TransportKind::GstUdp,
    }
}

/// One stream for a recorder or gateway. Sealed credentials travel as the text that the sealing made.
pub(crate) fn stream_spec(spec: &StreamSpec) -> wire::StreamSpec {
    wire::StreamSpec {
        stream: spec.stream.to_string(),
        camera: spec.camera.to_string(),
        use_: spec.use_.as_str().to_owned(),
        url: spec.url.clone(),
        sealed_credentials: spec.sealed_credentials.as_ref().and_then(|sealed| String::from_utf8(sealed.clone()).ok()),
        transport: transport(spec.transport),
        record: spec.record,
        on_demand: spec.on_demand,
        retention_class: spec.retention_class.clone(),
        keep_s: spec.keep_s,
    }
}

/// One hold for a recorder.
pub(crate) fn hold_spec(hold: &Hold) -> wire::HoldSpec {
    wire::HoldSpec {
        hold: hold.id.to_string(),
        camera: hold.camera.to_string(),
        from_us: hold.range.from.micros,
        to_us: hold.range.to.micros,
        released: hold.state == HoldState::Released,
    }
}

/// One decision of the magistrate's gate for a recorder.
pub(crate) fn gated_spec(order: &GatedOrder) -> wire::GatedSpec {
    wire::GatedSpec {
        decision: order.decision.clone(),
        camera: order.camera.map(|camera| camera.to_string()),
        class: order.class.as_str().to_owned(),
        from_hour: order.from_hour,
        to_hour: order.to_hour,
        keep_s: order.keep_s,
    }
}

/// Health of one stream; `None` when the id is not one.
pub(crate) fn stream_health(health: &wire::StreamHealth) -> Option<StreamHealth> {
    Some(StreamHealth {
        stream: health.stream.parse().ok()?,
        phase: phase(health.phase),
        cause: health.cause.map(cause),
        last_frame_at: health.last_frame_us.map(WallTime::from_micros),
        durable_until: health.durable_until_us.map(WallTime::from_micros),
        bits_per_s: health.bits_per_s,
        packets_lost: health.packets_lost,
        codec: health.codec.as_deref().and_then(|codec| codec.parse().ok()),
        width: health.width,
        height: health.height,
    })
}

/// One segment row; `None` when an id is not one.
pub(crate) fn segment(row: &wire::SegmentRow) -> Option<SegmentCopy> {
    Some(SegmentCopy {
        segment: row.segment.parse().ok()?,
        stream: row.stream.parse().ok()?,
        from: WallTime::from_micros(row.from_us),
        to: WallTime::from_micros(row.to_us),
        payload_bytes: row.payload_bytes,
        units: row.units,
        is_closed: row.closed,
        erased_at: row.erased_us.map(WallTime::from_micros),
        retention_class: row.retention_class.clone(),
        clock_stepped: row.clock_stepped,
        camera_clock_off: row.camera_clock_off,
    })
}

/// One gap row; `None` when an id is not one.
pub(crate) fn gap(row: &wire::GapRow) -> Option<GapCopy> {
    Some(GapCopy {
        stream: row.stream.parse().ok()?,
        from: WallTime::from_micros(row.from_us),
        to: row.to_us.map(WallTime::from_micros),
        cause: cause(row.cause),
    })
}

/// A gap inside a span that ends at `until`.
pub(crate) fn timeline_gap(row: &wire::GapRow, until: WallTime) -> TimelineGap {
    TimelineGap {
        from: WallTime::from_micros(row.from_us),
        to: row.to_us.map_or(until, WallTime::from_micros),
        cause: cause(row.cause),
    }
}
