//! What the registry already answered for a plate on a day, per flow.
//!
//! The key holds the flow, so an answer fetched for one purpose is never used for another.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use traffic_rules::Day;
use traffic_rules::lez::Lookup;
use vms_core::{Country, Plate};

use crate::flow::FlowId;

/// What an answer is kept under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// The flow that asked.
    pub flow: FlowId,
    /// The plate.
    pub plate: Plate,
    /// Its country.
    pub country: Country,
    /// The day in Brussels that was asked about.
    pub day: Day,
}

/// Keeps answers for a day. Only definite answers (a vehicle, or none) are put in.
pub trait DayCache: Send + Sync + std::fmt::Debug {
    /// The answer kept under the key.
    fn get(&self, key: &CacheKey) -> Option<Lookup>;
    /// Keeps an answer; may decline to.
    fn put(&self, key: CacheKey, answer: Lookup);
    /// Forgets the answers of days before `day`.
    fn forget_before(&self, day: Day);
}

/// A cache in memory. When full it keeps what it has and declines what is new: the plate is then asked again, nothing is lost.
#[derive(Debug)]
pub struct MemoryDayCache {
    kept: Mutex<Kept>,
    entries_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<CacheKey, Lookup>,
    /// The last day that was forgotten up to: the sweep looks at every entry, once a day is enough.
    swept: Option<Day>,
}

impl MemoryDayCache {
    /// Room for a day and a half of distinct vehicles (360,000 a day).
    pub const ENTRIES_MAX: usize = 540_000;

    /// Empty, with room for `entries_max` answers.
    pub fn new(entries_max: usize) -> Self {
        Self { kept: Mutex::new(Kept::default()), entries_max }
    }

    /// Answers kept.
    pub fn len(&self) -> usize {
        self.lock().answers.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.lock().answers.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryDayCache {
    fn default() -> Self {
        Self::new(Self::ENTRIES_MAX)
    }
}

impl DayCache for MemoryDayCache {
    fn get(&self, key: &CacheKey) -> Option<Lookup> {
        self.lock().answers.get(key).cloned()
    }

    fn put(&self, key: CacheKey, answer: Lookup) {
        let mut kept = self.lock();
        if kept.answers.len() < self.entries_max || kept.answers.contains_key(&key) {
            kept.answers.insert(key, answer);
        }
    }

    fn forget_before(&self, day: Day) {
        let mut kept = self.lock();
        if kept.swept != Some(day) {
            kept.answers.retain(|key, _| key.day >= day);
            kept.swept = Some(day);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_per_flow_and_day_and_bounded() {
        let cache = MemoryDayCache::new(2);
        let key = |flow: &str, day: &str| CacheKey {
            flow: FlowId::new(flow),
            plate: Plate::parse("1ABC123").unwrap(),
            country: Country::BELGIUM,
            day: day.parse().unwrap(),
        };
        cache.put(key("A", "2026-01-01"), Lookup::Unknown);
        assert_eq!(cache.get(&key("A", "2026-01-01")), Some(Lookup::Unknown));
        assert_eq!(cache.get(&key("B", "2026-01-01")), None);
        assert_eq!(cache.get(&key("A", "2026-01-02")), None);
        cache.put(key("A", "2026-01-02"), Lookup::Unknown);
        cache.put(key("A", "2026-01-03"), Lookup::Unknown);
        assert_eq!((cache.len(), cache.get(&key("A", "2026-01-03"))), (2, None));
        cache.forget_before("2026-01-02".parse().unwrap());
        assert_eq!((cache.len(), cache.get(&key("A", "2026-01-01"))), (1, None));
        assert!(!format!("{:?}", key("A", "2026-01-01")).contains("1ABC123"));
    }
}
