//! Whether a disk answers: how long each of the disk's threads has been inside what it does now.
//!
//! A disk that stands fails nothing: `write` and `fdatasync` simply do not come back, and the footage on disk grows old without a
//! word. So each thread notes when it begins something that touches the disk and when it is done, and somebody who
//! never touches the disk looks at the notes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vms_core::MonoTime;

use crate::ports::Clock;

/// A thread that has been at one thing for longer waits for a disk that does not answer. With a group sync every 750 ms and a look
/// every 250 ms an alarm is up within two seconds (reliability.md R9).
pub(crate) const STANDS_AFTER: Duration = Duration::from_secs(1);

/// Nothing is being done.
const IDLE: u64 = 0;

/// One thread's note.
#[derive(Clone, Debug)]
pub(crate) struct Beat {
    clock: Arc<dyn Clock>,
    /// Monotonic microseconds plus one; [`IDLE`] between two things.
    since: Arc<AtomicU64>,
}

impl Beat {
    /// Does `work` under a note of when it began.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.since.store(self.clock.mono().micros.saturating_add(1), Ordering::Relaxed);
        let outcome = work();
        self.since.store(IDLE, Ordering::Relaxed);
        outcome
    }
}

/// The notes of all threads of one disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse {
    beats: Vec<Arc<AtomicU64>>,
}

impl Pulse {
    /// The note of one more thread.
    pub(crate) fn beat(&mut self, clock: &Arc<dyn Clock>) -> Beat {
        let since = Arc::new(AtomicU64::new(IDLE));
        self.beats.push(Arc::clone(&since));
        Beat { clock: Arc::clone(clock), since }
    }

    /// For how long the slowest thread has been at one thing.
    pub(crate) fn longest(&self, now: MonoTime) -> Duration {
        let since = self.beats.iter().map(|beat| beat.load(Ordering::Relaxed)).filter(|since| *since != IDLE).min();
        since.map_or(Duration::ZERO, |since| Duration::from_micros(now.micros.saturating_sub(since - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vms_core::WallTime;

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn wall(&self) -> WallTime {
            WallTime::from_secs(0)
        }

        fn mono(&self) -> MonoTime {
            MonoTime { micros: self.0.load(Ordering::Relaxed) }
        }

        fn is_trusted(&self) -> bool {
            true
        }
    }

    #[test]
    fn the_slowest_thread_counts_and_an_idle_one_does_not() {
        let hand = Arc::new(Hand::default());
        let clock: Arc<dyn Clock> = Arc::clone(&hand) as Arc<dyn Clock>;
        let passes = |ms: u64| {
            hand.0.fetch_add(ms * 1_000, Ordering::Relaxed);
        };
        let mut pulse = Pulse::default();
        let (writes, syncs) = (pulse.beat(&clock), pulse.beat(&clock));
        let longest = || pulse.longest(clock.mono());
        assert_eq!(longest(), Duration::ZERO);
        // Each at one thing since the first instant of the clock: zero is no special time.
        syncs.during(|| {
            passes(700);
            writes.during(|| {
                passes(400);
                assert_eq!(longest(), Duration::from_millis(1_100));
            });
            assert_eq!(longest(), Duration::from_millis(1_100));
        });
        assert_eq!(longest(), Duration::ZERO);
        writes.during(|| passes(3));
        assert_eq!(longest(), Duration::ZERO);
    }
}
