//! One tier at work: its bounds, its breaker, what it said last.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio::time::Instant;
use vms_core::WallTime;

use crate::alarm::{TierHealth, TierState};
use crate::config::StoreConfig;
use crate::pace::{Breaker, Dice, Leave, Pacer};
use crate::plan::Room;
use crate::tier::Tier;

/// Segments begun at most in one pass and tier.
pub(crate) const BEGUN_MAX: usize = 512;

/// Readers that wait for a store that is down; each may cost its whole time limit.
const READERS_WHILE_DOWN: usize = 2;

/// Bounds of one tier.
#[derive(Clone, Copy, Debug)]
pub struct MoverLimits {
    /// Uploads at once.
    pub parallel: usize,
    /// Upload rate over all of them, bytes/s; 0 is unbounded.
    pub bytes_per_s: u64,
    /// Bytes of a part, and of one request when reading back.
    pub part_bytes: u64,
    /// One object in so many is read back; 1 is all.
    pub read_back_one_in: u32,
}

impl MoverLimits {
    /// Those of the configuration.
    pub fn of(config: &StoreConfig) -> Self {
        Self {
            parallel: config.parallel,
            bytes_per_s: u64::from(config.rate_mb_s) * 1_000_000,
            part_bytes: config.part_bytes(),
            read_back_one_in: config.read_back_one_in,
        }
    }
}

/// One tier at work.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) tier: Tier,
    pub(crate) limits: MoverLimits,
    pub(crate) pacer: Pacer,
    breaker: Mutex<Breaker>,
    state: Mutex<TierState>,
    said: Mutex<Option<String>>,
    /// Bytes/s of the last pass that moved something.
    measured: AtomicU64,
    /// The one request that an open breaker lets through in this pass is still to be had.
    has_trial: AtomicBool,
    /// Readers that may ask while the breaker is open: the others hear at once that the store is away.
    pub(crate) readers: Semaphore,
}

impl Lane {
    /// At rest, with its breaker closed.
    pub(crate) fn new(tier: Tier, limits: MoverLimits, seed: u64) -> Self {
        Self {
            pacer: Pacer::new(limits.bytes_per_s),
            breaker: Mutex::new(Breaker::new(Dice::new(seed))),
            state: Mutex::default(),
            said: Mutex::default(),
            measured: AtomicU64::new(0),
            has_trial: AtomicBool::new(false),
            readers: Semaphore::new(READERS_WHILE_DOWN),
            tier,
            limits,
        }
    }

    /// For people.
    pub(crate) fn health(&self) -> TierHealth {
        TierHealth { name: self.tier.name().clone(), state: *locked(&self.state), said: locked(&self.said).clone() }
    }

    /// The rate of a pass.
    pub(crate) fn measure(&self, bytes: u64, since: Instant) {
        let millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Too short a time says nothing about a rate.
        if let Some(rate) = bytes.saturating_mul(1_000).checked_div(millis).filter(|rate| *rate > 0 && millis >= 1_000)
        {
            self.measured.store(rate, Ordering::Relaxed);
        }
    }

    /// A request worked.
    pub(crate) fn worked(&self) {
        locked(&self.breaker).worked();
        *locked(&self.state) = TierState::Up;
        *locked(&self.said) = None;
    }

    /// A request failed, or the answer was wrong. The first instant in a row stays.
    pub(crate) fn failed(&self, now: WallTime, is_lie: bool, said: &str) {
        *locked(&self.said) = Some(said.to_owned());
        locked(&self.breaker).failed(Instant::now());
        let mut state = locked(&self.state);
        *state = match (*state, is_lie) {
            (TierState::Unknown | TierState::Up | TierState::Down { .. }, true) => TierState::Lying { since: now },
            (TierState::Unknown | TierState::Up, false) => TierState::Down { since: now },
            (TierState::Lying { since }, true) => TierState::Lying { since },
            // A lie is the graver news until something works.
            (TierState::Lying { since }, false) => TierState::Lying { since },
            (TierState::Down { since }, false) => TierState::Down { since },
        };
    }

    /// Asks the breaker once, at the start of a pass.
    pub(crate) fn renew(&self) {
        let leave = locked(&self.breaker).leave(Instant::now());
        self.has_trial.store(leave == Leave::One, Ordering::Relaxed);
    }

    /// Whether the store failed so often that only a trial goes out now and then.
    pub(crate) fn is_shut(&self) -> bool {
        !locked(&self.breaker).is_closed()
    }

    /// How many requests may begin: all, the one trial, or none.
    fn open_for(&self) -> usize {
        if locked(&self.breaker).is_closed() { usize::MAX } else { usize::from(self.has_trial.load(Ordering::Relaxed)) }
    }

    /// The same, and takes the trial.
    pub(crate) fn take(&self) -> usize {
        if locked(&self.breaker).is_closed() {
            usize::MAX
        } else {
            usize::from(self.has_trial.swap(false, Ordering::Relaxed))
        }
    }

    pub(crate) fn room(&self) -> Room {
        let uploads_max = self.open_for().min(BEGUN_MAX);
        let bounds = [self.limits.bytes_per_s, self.measured.load(Ordering::Relaxed)];
        let bytes_per_s = bounds.into_iter().filter(|rate| *rate > 0).min().unwrap_or(0);
        Room { is_open: uploads_max > 0, bytes_per_s, uploads_max }
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error with its sources; store messages name keys (ids and instants), never content or credentials.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
