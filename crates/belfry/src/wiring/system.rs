//! The real clock, randomness and ids. Nothing else in the workspace reads them.

use std::sync::Arc;

use rand::Rng as _;
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;
use vms_core::{MonoTime, WallTime};

/// The host's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

fn micros_of(id: ClockId) -> i64 {
    let time = clock_gettime(id);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

impl SystemClock {
    pub(crate) fn wall_now() -> WallTime {
        WallTime::from_micros(micros_of(ClockId::Realtime))
    }

    fn mono_now() -> MonoTime {
        MonoTime { micros: u64::try_from(micros_of(ClockId::Boottime)).unwrap_or(0) }
    }
}

impl vms_app::ports::Clock for SystemClock {
    fn now(&self) -> WallTime {
        Self::wall_now()
    }
}

impl recorder::ports::Clock for SystemClock {
    fn wall(&self) -> WallTime {
        Self::wall_now()
    }

    fn mono(&self) -> MonoTime {
        Self::mono_now()
    }

    /// The kernel's own word on whether the clock is disciplined (adjtimex), where it can be had without privileges, is
    /// not offered by a safe interface here; a clock before 2026 is certainly not set.
    fn is_trusted(&self) -> bool {
        Self::wall_now() > WallTime::from_secs(1_767_225_600)
    }
}

impl ingest::Clock for SystemClock {
    fn wall(&self) -> WallTime {
        Self::wall_now()
    }

    fn mono(&self) -> MonoTime {
        Self::mono_now()
    }
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemRandom;

impl vms_app::ports::Ids for SystemRandom {
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn random(&self, out: &mut [u8]) {
        rand::rng().fill_bytes(out);
    }
}

impl ingest::Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        rand::rng().next_u64()
    }
}

/// Thirty-two random bytes.
pub(crate) fn random_32() -> [u8; 32] {
    let mut out = [0_u8; 32];
    rand::rng().fill_bytes(&mut out);
    out
}

/// Ports of the ingest engine on this host; `factory` says which transports the process carries.
pub(crate) fn ingest_ports(factory: Arc<dyn ingest::TransportFactory>) -> ingest::Ports {
    ingest::Ports {
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        resolver: Arc::new(ingest::SystemResolver),
        transports: factory,
    }
}
