//! Aligned stretches of time.

use vms_core::WallTime;

pub(crate) const MINUTE_US: i64 = 60_000_000;

/// Start of the stretch of so many minutes, counted from 1970, that holds the instant.
pub(crate) fn floor(at: WallTime, minutes: i64) -> WallTime {
    floor_from(at, minutes * MINUTE_US, 0)
}

/// Start of the stretch of `length` microseconds that holds the instant; stretches start at `phase` and every `length` after.
pub(crate) fn floor_from(at: WallTime, length: i64, phase: i64) -> WallTime {
    let length = length.max(1);
    let into = at.micros.saturating_sub(phase).rem_euclid(length);
    WallTime::from_micros(at.micros.saturating_sub(into))
}

/// So many minutes later.
pub(crate) fn plus_minutes(at: WallTime, minutes: i64) -> WallTime {
    WallTime::from_micros(at.micros.saturating_add(minutes.saturating_mul(MINUTE_US)))
}

/// RFC 3339, UTC, whole seconds.
pub(crate) fn text(at: WallTime) -> String {
    let seconds = at.micros.div_euclid(1_000_000);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}
