//! What the recorder asks of the outside world.

use vms_core::{MonoTime, WallTime};

/// The host's clocks.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Wall clock, UTC.
    fn wall(&self) -> WallTime;

    /// Monotonic clock since boot.
    fn mono(&self) -> MonoTime;

    /// Whether the wall clock may be used to destroy something: synchronised, and not stepped since.
    fn is_trusted(&self) -> bool;
}
