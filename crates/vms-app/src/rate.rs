//! Counting tries per key in a window of a minute. Bounded; no key can be locked out for longer than the window.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use vms_core::WallTime;

/// Tries per minute (`reliability.md` A6).
pub const TRIES_MAX: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Failed tries in a row (`reliability.md` A6) after which a key has one try an hour until one succeeds. Whoever logged in
/// from the same place before is counted apart, so that this keeps strangers out and not the owner.
pub const IN_A_ROW_MAX: u32 = 100;
const HOUR: Duration = Duration::from_secs(3_600);
/// Keys remembered; the oldest half is forgotten when full, which can only let more through, never lock out.
const KEYS_MAX: usize = 50_000;

/// Counts tries per key.
#[derive(Debug, Default)]
pub struct TryCounter {
    tries: HashMap<String, Tries>,
}

#[derive(Debug, Default)]
struct Tries {
    lately: VecDeque<WallTime>,
    in_a_row: u32,
    /// Of those, how many the owner was told of.
    told: u32,
    last: Option<WallTime>,
}

impl TryCounter {
    /// Notes a try of `key` at `now`.
    ///
    /// # Errors
    /// How long to wait, when this is one try too many; such a try is not counted, so that hammering does not extend it.
    pub fn note(&mut self, key: &str, now: WallTime) -> Result<(), Duration> {
        if self.tries.len() >= KEYS_MAX && !self.tries.contains_key(key) {
            self.forget_old(now);
        }
        let tries = self.tries.entry(key.to_owned()).or_default();
        if tries.in_a_row >= IN_A_ROW_MAX
            && let Some(end) = tries.last.map(|last| last.plus(HOUR)).filter(|end| now < *end)
        {
            return Err(Duration::from_micros(u64::try_from(end.micros_since(now)).unwrap_or(0)));
        }
        let past = &mut tries.lately;
        while past.front().is_some_and(|at| now.micros_since(*at) >= 60_000_000) {
            past.pop_front();
        }
        if past.len() >= TRIES_MAX {
            let oldest = past.front().copied().unwrap_or(now);
            let wait_us = oldest.plus(WINDOW).micros_since(now);
            return Err(Duration::from_micros(u64::try_from(wait_us).unwrap_or(0)).max(Duration::from_secs(1)));
        }
        past.push_back(now);
        tries.in_a_row = tries.in_a_row.saturating_add(1);
        tries.last = Some(now);
        Ok(())
    }

    /// Takes back the last try of `key`: it succeeded; and ends a row of failed ones, whose length it tells.
    pub fn forgive(&mut self, key: &str) -> u32 {
        let Some(tries) = self.tries.get_mut(key) else { return 0 };
        tries.lately.pop_back();
        tries.told = 0;
        std::mem::take(&mut tries.in_a_row).saturating_sub(1)
    }

    /// How many failed in a row were not told of yet; the limits stay as they are.
    pub fn take_row(&mut self, key: &str) -> u32 {
        let Some(tries) = self.tries.get_mut(key) else { return 0 };
        let fresh = tries.in_a_row.saturating_sub(tries.told);
        tries.told = tries.in_a_row;
        fresh
    }

    fn forget_old(&mut self, now: WallTime) {
        let lately = |tries: &Tries| tries.last.is_some_and(|at| now.micros_since(at) < 60_000_000);
        self.tries.retain(|_, tries| lately(tries) || tries.in_a_row >= IN_A_ROW_MAX);
        if self.tries.len() >= KEYS_MAX {
            self.tries.clear();
        }
    }
}

/// Lets `rate` things a second through and counts the rest, for refusals of strangers that would flood the log.
#[derive(Debug)]
pub struct Trickle {
    rate: u32,
    second: i64,
    used: u32,
    suppressed: u64,
}

impl Trickle {
    /// `rate` a second.
    pub const fn new(rate: u32) -> Self {
        Self { rate, second: 0, used: 0, suppressed: 0 }
    }

    /// `Some(n)` to go on, with how many were held back before; `None` to hold this one back.
    pub fn pass(&mut self, now: WallTime) -> Option<u64> {
        let second = now.micros.div_euclid(1_000_000);
        if second != self.second {
            self.second = second;
            self.used = 0;
        }
        if self.used >= self.rate {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.used = self.used.saturating_add(1);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_minute_and_no_longer_lock() {
        let mut counter = TryCounter::default();
        let at = WallTime::from_secs;
        for second in 0..10 {
            assert_eq!(counter.note("a", at(second)), Ok(()));
        }
        assert_eq!(counter.note("a", at(10)), Err(Duration::from_secs(50)));
        assert_eq!(counter.note("b", at(10)), Ok(()), "another key is not touched");
        assert_eq!(counter.note("a", at(59)), Err(Duration::from_secs(1)));
        assert_eq!(counter.note("a", at(60)), Ok(()), "hammering did not extend the window");
        assert_eq!(counter.forgive("a"), 10);
        assert_eq!(counter.note("a", at(60)), Ok(()));
        assert_eq!(counter.forgive("a"), 0, "no failed one before it");
        assert_eq!(counter.forgive("nobody"), 0);
    }

    #[test]
    fn a_hundred_in_a_row_and_then_one_an_hour() {
        let mut counter = TryCounter::default();
        let at = WallTime::from_secs;
        for n in 0..100 {
            assert_eq!(counter.note("a", at(n * 60)), Ok(()), "{n}");
        }
        assert_eq!(counter.note("a", at(99 * 60 + 600)), Err(Duration::from_secs(3_000)));
        assert_eq!(counter.note("a", at(99 * 60 + 3_600)), Ok(()));
        assert_eq!(counter.note("a", at(99 * 60 + 3_700)), Err(Duration::from_secs(3_500)));
        assert_eq!(counter.note("b", at(99 * 60)), Ok(()), "another key is not touched");
        assert_eq!(counter.forgive("a"), 100);
        assert_eq!(counter.note("a", at(99 * 60 + 3_700)), Ok(()), "a success ends the row");
    }

    #[test]
    fn a_trickle_counts_what_it_holds_back() {
        let mut trickle = Trickle::new(2);
        let at = WallTime::from_secs;
        assert_eq!([trickle.pass(at(1)), trickle.pass(at(1)), trickle.pass(at(1))], [Some(0), Some(0), None]);
        assert_eq!(trickle.pass(at(2)), Some(1));
    }
}
