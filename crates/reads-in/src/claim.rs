//! Which times of others are believed. Pure, so that a refusal can be made again from what the log says of it.

use vms_core::WallTime;

use crate::batch::ClockClaim;

/// A read may be ahead of our clock by this, and by the uncertainty that it states up to [`UNCERTAINTY_COUNTED_US`]. A house rule.
pub const AHEAD_US: i64 = 2_000_000;
/// Of a stated uncertainty no more than this widens anything: a clock that knows nothing does not get to say anything.
pub const UNCERTAINTY_COUNTED_US: u64 = 1_000_000;
/// A camera keeps a read for so long when nobody takes it, and no longer; purposes have shorter terms of their own. A house rule.
pub const STALE_US: i64 = 24 * 3_600_000_000;

/// Why a time is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeFault {
    /// The read is later than our clock.
    Ahead,
    /// The read is older than any purpose keeps one undecided.
    Stale,
    /// The lock, the synchronisation or the second source is later than our clock.
    ClockAhead,
}

impl TimeFault {
    /// The word in answers and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "at_in_the_future",
            Self::Stale => "at_too_old",
            Self::ClockAhead => "clock_in_the_future",
        }
    }
}

/// Looks at the times of one read as they stood when it was received.
///
/// # Errors
/// [`TimeFault`].
pub fn check(
    at: WallTime,
    clock: Option<&ClockClaim>,
    second: Option<WallTime>,
    received: WallTime,
) -> Result<(), TimeFault> {
    let stated = clock.map_or(0, |clock| clock.uncertainty_us.min(UNCERTAINTY_COUNTED_US));
    let ahead_us = AHEAD_US.saturating_add(i64::try_from(stated).unwrap_or(0));
    let is_ahead = |at: WallTime| at.micros_since(received) > ahead_us;
    if is_ahead(at) {
        return Err(TimeFault::Ahead);
    }
    if received.micros_since(at) > STALE_US {
        return Err(TimeFault::Stale);
    }
    clock_check(clock, received)?;
    if second.is_some_and(is_ahead) { Err(TimeFault::ClockAhead) } else { Ok(()) }
}

/// Looks at a statement about a clock alone: nobody knows today that a clock will be locked tomorrow.
///
/// # Errors
/// [`TimeFault::ClockAhead`].
pub fn clock_check(clock: Option<&ClockClaim>, received: WallTime) -> Result<(), TimeFault> {
    let Some(clock) = clock else { return Ok(()) };
    let times = [Some(clock.locked_from), clock.locked_until, clock.synced_at];
    let is_ahead = times.into_iter().flatten().any(|at| at.micros_since(received) > AHEAD_US);
    if is_ahead { Err(TimeFault::ClockAhead) } else { Ok(()) }
}
