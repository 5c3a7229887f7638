//! The real clocks and randomness of this executable.

use anpr::Host;
use rustix::time::{ClockId, clock_gettime};
use vms_core::{MonoTime, WallTime};

fn micros_of(id: ClockId) -> i64 {
    let time = clock_gettime(id);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

/// Wall time.
pub(crate) fn wall() -> WallTime {
    WallTime::from_micros(micros_of(ClockId::Realtime))
}

/// Time since boot, the counter that ingest stamps units with.
pub(crate) fn mono() -> MonoTime {
    MonoTime { micros: u64::try_from(micros_of(ClockId::Boottime)).unwrap_or(0) }
}

fn random(out: &mut [u8]) {
    rand::fill(out);
}

/// All of them, for the reader role.
pub(crate) const HOST: Host = Host { wall, mono, random };
