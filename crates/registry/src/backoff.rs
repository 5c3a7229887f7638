//! When to ask again. Pure: the randomness and the waiting are the caller's.

use std::time::Duration;

/// Growing waits with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait, before jitter.
    pub first: Duration,
    /// The longest wait, before jitter.
    pub max: Duration,
}

impl Backoff {
    /// The wait after the `attempt`-th failure (from 1): half of the doubled wait is fixed, up to as much again is
    /// `jitter(half)`, so that many clients do not come back in step.
    pub fn wait(&self, attempt: u32, jitter: impl FnOnce(Duration) -> Duration) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.max);
        let half = full / 2;
        half + jitter(half).min(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_limit_and_never_exceed_it() {
        let backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(5) };
        for (attempt, low_ms, high_ms) in
            [(1, 100, 200), (2, 200, 400), (3, 400, 800), (6, 2_500, 5_000), (99, 2_500, 5_000)]
        {
            assert_eq!(backoff.wait(attempt, |_| Duration::ZERO), Duration::from_millis(low_ms), "{attempt}");
            assert_eq!(backoff.wait(attempt, |_| Duration::MAX), Duration::from_millis(high_ms), "{attempt}");
        }
    }
}
