//! Simulated cameras: films replayed over RTSP with frame counters, and a traffic scene with known truth.
//!
//! Belongs here: everything the `sim` role is, in pure Rust. Does not belong here: encoding (a port, implemented in
//! `belfry-media`), and anything that a running Belfry needs: no other role may depend on this crate outside tests.

pub mod counter;
mod dice;
pub mod film;
pub mod nal;
pub mod pattern;
pub mod rtp;
pub mod rtsp;
pub mod scene;
pub mod schedule;
pub mod town;
pub mod traffic;

use std::fmt;
use std::sync::Arc;

use vms_core::WallTime;

pub use counter::{Counter, find_counter, find_counter_in_unit};
pub use film::{Film, FilmError, FilmTiming};
pub use rtsp::{CameraConfig, Credentials, Faults, Identity, IdentityError, SimConfig, SimError, SimServer, SimStats};

/// Where the simulator takes the time of day from.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> WallTime + Send + Sync>);

impl WallClock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> WallTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that shows `at` at this moment and runs on with tokio's clock, also with the paused one of tests.
    pub fn starting_at(at: WallTime) -> Self {
        let started = tokio::time::Instant::now();
        Self::new(move || at.plus(started.elapsed()))
    }

    /// The time.
    pub fn now(&self) -> WallTime {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

/// Spreads a seed over 64 bits (the finaliser of Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
/// 2014). Not for secrets.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
