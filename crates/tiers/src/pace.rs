//! How fast and how often: a bounded rate, back-off with jitter, a circuit breaker. Instants are tokio's, so tests pause them.

use std::time::Duration;

use tokio::time::Instant;

/// First pause after a failure.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
/// Longest pause: after a day of outage the store is found again within this.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Failures in a row that open the breaker.
const FAILURES_MAX: u32 = 3;

/// Pause after `failures` in a row: doubled each time, then between half and the whole of it, by `dice` (0 to 1).
pub fn back_off(failures: u32, dice: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = PAUSE_FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(PAUSE_MAX);
    whole.mul_f64(0.5 + 0.5 * dice.clamp(0.0, 1.0))
}

/// Spreads the pauses of many recorders; not for secrets. (`SplitMix64`, Steele and others 2014.)
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// From a seed that differs between recorders.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// From 0 to 1.
    pub fn roll(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // 32 bits are plenty for a pause, and exact in a double.
        let top = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(u32::MAX);
        f64::from(top) / f64::from(u32::MAX)
    }
}

/// Lets so many bytes a second pass. The first of a burst goes at once; each waits for what went before it.
#[derive(Debug)]
pub struct Pacer {
    bytes_per_s: u64,
    next: tokio::sync::Mutex<Option<Instant>>,
}

impl Pacer {
    /// 0 is unbounded.
    pub fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s, next: tokio::sync::Mutex::new(None) }
    }

    /// Waits for the turn of `bytes`.
    pub async fn take(&self, bytes: u64) {
        let Some(micros) = bytes.saturating_mul(1_000_000).checked_div(self.bytes_per_s) else { return };
        let start = {
            let mut next = self.next.lock().await;
            let start = next.map_or_else(Instant::now, |at| at.max(Instant::now()));
            *next = Some(start + Duration::from_micros(micros));
            start
        };
        tokio::time::sleep_until(start).await;
    }
}

/// Stops asking a store that fails, and lets one try through when its pause is over.
#[derive(Debug)]
pub struct Breaker {
    failures: u32,
    state: State,
    dice: Dice,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One try is out.
    Trying,
}

/// What may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// As much as allowed.
    All,
    /// One, to see.
    One,
    /// None yet.
    None,
}

impl Breaker {
    /// Closed.
    pub const fn new(dice: Dice) -> Self {
        Self { failures: 0, state: State::Closed, dice }
    }

    /// Asks; after [`Leave::One`] an answer must follow.
    pub fn leave(&mut self, now: Instant) -> Leave {
        match self.state {
            State::Closed => Leave::All,
            State::Open { until } if now < until => Leave::None,
            State::Open { .. } => {
                self.state = State::Trying;
                Leave::One
            }
            // The try ended without an answer (the pass was dropped): another one.
            State::Trying => Leave::One,
        }
    }

    /// Whether it is closed.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// A request worked.
    pub fn worked(&mut self) {
        self.failures = 0;
        self.state = State::Closed;
    }

    /// A request failed.
    pub fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        match self.state {
            State::Closed if self.failures < FAILURES_MAX => {}
            // The others that were out when it opened say nothing new.
            State::Open { .. } => {}
            State::Closed | State::Trying => {
                let pause = back_off(self.failures, self.dice.roll());
                self.state = State::Open { until: now + pause };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let secs = |failures, dice| back_off(failures, dice).as_secs_f64();
        let cases = [
            (1, 1.0, 2.0),
            (1, 0.0, 1.0),
            (2, 1.0, 4.0),
            (3, 0.5, 6.0),
            (8, 1.0, 256.0),
            (9, 1.0, 300.0),
            (99, 1.0, 300.0),
        ];
        for (failures, dice, wanted) in cases {
            assert!((secs(failures, dice) - wanted).abs() < 1e-9, "{failures} {dice}");
        }
        let mut dice = Dice::new(7);
        let rolls: Vec<f64> = (0..1_000).map(|_| dice.roll()).collect();
        assert!(rolls.iter().all(|roll| (0.0..=1.0).contains(roll)));
        let mean = rolls.iter().sum::<f64>() / 1_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept() {
        let pacer = Pacer::new(1_000);
        let start = Instant::now();
        for _ in 0..5 {
            pacer.take(500).await;
        }
        assert_eq!(start.elapsed().as_millis() / 10, 200, "2,000 bytes went before the last one");
        let free = Pacer::new(0);
        free.take(u64::MAX).await;
        assert_eq!(start.elapsed().as_millis() / 10, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn the_breaker_opens_tries_and_closes() {
        let mut breaker = Breaker::new(Dice::new(1));
        breaker.failed(Instant::now());
        breaker.failed(Instant::now());
        assert_eq!(breaker.leave(Instant::now()), Leave::All);
        breaker.failed(Instant::now());
        assert_eq!(breaker.leave(Instant::now()), Leave::None);
        breaker.failed(Instant::now());
        tokio::time::advance(Duration::from_secs(8)).await;
        assert_eq!(breaker.leave(Instant::now()), Leave::One);
        breaker.failed(Instant::now());
        assert_eq!(breaker.leave(Instant::now()), Leave::None);
        tokio::time::advance(PAUSE_MAX).await;
        assert_eq!(breaker.leave(Instant::now()), Leave::One);
        breaker.worked();
        assert!(breaker.is_closed());
    }
}
