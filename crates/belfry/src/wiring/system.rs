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
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub(crate) fn wall_now() -> WallTime {
        // By way of the C library, so that a drill can move it (libfaketime); the monotonic clock comes from the kernel itself.
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        WallTime::default().plus(since)
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

    /// Of a role that destroys nothing by the clock.
    fn is_trusted(&self) -> bool {
        Self::wall_now() > SET_AFTER
    }
}

/// A clock before 2026 is certainly not set.
const SET_AFTER: WallTime = WallTime::from_secs(1_767_225_600);

/// A time service touches its mark at least so often while it is synchronised: systemd-timesyncd asks every 34 minutes at the latest.
const MARK_AGE_US_MAX: u64 = 3 * 3_600_000_000;

/// The clock of the recorder's host, with the word of who keeps it right.
#[derive(Clone, Debug)]
pub(crate) struct HostClock {
    /// The time service's mark; `None`: whoever runs the host vouches for its clock.
    pub(crate) mark: Option<std::path::PathBuf>,
}

impl HostClock {
    /// The kernel's own word (`adjtimex`) has no safe interface, and the filter of system calls refuses it.
    fn is_marked(mark: &std::path::Path, now: WallTime) -> bool {
        let touched = std::fs::metadata(mark).and_then(|found| found.modified());
        let since = touched.ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        since.is_some_and(|since| now.micros_since(WallTime::default().plus(since)).unsigned_abs() <= MARK_AGE_US_MAX)
    }
}

impl recorder::ports::Clock for HostClock {
    fn wall(&self) -> WallTime {
        SystemClock::wall_now()
    }

    fn mono(&self) -> MonoTime {
        SystemClock::mono_now()
    }

    fn is_trusted(&self) -> bool {
        let now = SystemClock::wall_now();
        now > SET_AFTER && self.mark.as_deref().is_none_or(|mark| Self::is_marked(mark, now))
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

#[cfg(test)]
mod tests {
    use recorder::ports::Clock as _;

    use super::*;

    #[test]
    fn a_mark_that_is_fresh_vouches_for_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("synchronized");
        let clock = HostClock { mark: Some(mark.clone()) };
        assert!(!clock.is_trusted(), "no time service");
        assert!(HostClock { mark: None }.is_trusted(), "the host is said to keep it");
        let file = std::fs::File::create(&mark).unwrap();
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_micros(clock.wall().micros.unsigned_abs());
        // Both ways: a clock that was set back is as far from the mark.
        for (age_min, wanted) in [(0_i32, true), (34, true), (179, true), (181, false), (-181, false)] {
            let age = std::time::Duration::from_secs(60 * u64::from(age_min.unsigned_abs()));
            file.set_modified(if age_min < 0 { now + age } else { now - age }).unwrap();
            assert_eq!(clock.is_trusted(), wanted, "{age_min} min");
        }
    }
}
