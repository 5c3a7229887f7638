//! What the recorder asks of the outside world.

use vms_core::{MonoTime, WallTime};

/// The host's clocks.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Wall clock, UTC.
    fn wall(&self) -> WallTime;

    /// Monotonic clock since boot.
    fn mono(&self) -> MonoTime;

    /// The host's own word on its wall clock: kept in step by NTP, or by whatever the site says keeps it. `trust` adds what it sees
    /// of steps.
    fn is_trusted(&self) -> bool;
}
