//! The stub's misbehaviour, drawn from its key so that a run can be repeated.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use vms_core::{Country, Plate};

use super::StubSettings;
use super::fleet::Draw;

/// Plates whose answers are counted for changed answers. Beyond it a plate's answers no longer change.
const COUNTED_MAX: usize = 500_000;

/// What has happened so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    requests: AtomicU64,
    /// Number of the quota's span, and requests in it.
    span: Mutex<(u128, u32)>,
    answered: Mutex<HashMap<(Plate, Country), u32>>,
}

/// What a request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answer,
    /// 429, with the seconds to wait.
    Quota(u64),
    /// 503.
    Error,
}

impl Faults {
    /// What the next request meets, `since_start` after the start.
    pub(super) fn fate(&self, settings: &StubSettings, since_start: Duration) -> Fate {
        if let Some(quota) = settings.quota {
            let per = quota.per.max(Duration::from_millis(1));
            let number = since_start.as_nanos() / per.as_nanos();
            let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
            if span.0 != number {
                *span = (number, 0);
            }
            if span.1 >= quota.requests {
                let into = Duration::from_nanos(u64::try_from(since_start.as_nanos() % per.as_nanos()).unwrap_or(0));
                return Fate::Quota(per.saturating_sub(into).as_secs().saturating_add(1));
            }
            span.1 += 1;
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        // A request has no plate: its number stands in for one.
        let error = Plate::parse(&format!("{}", number % 1_000_000_000_000)).is_ok_and(|number| {
            Draw::new(settings.fleet_key, "error", &number, Country::BELGIUM).chance(settings.error_ppm)
        });
        if error { Fate::Error } else { Fate::Answer }
    }

    /// Whether this answer for the plate differs from the first one.
    pub(super) fn changed(&self, settings: &StubSettings, plate: &Plate, country: Country) -> bool {
        if !chosen(settings.fleet_key, "changed", settings.changed_ppm, plate, country) {
            return false;
        }
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (plate.clone(), country);
        if answered.len() >= COUNTED_MAX && !answered.contains_key(&key) {
            return false;
        }
        let times = answered.entry(key).or_default();
        *times = times.saturating_add(1);
        *times > 1
    }
}

/// Whether a plate is one of those that a fault is for.
pub(super) fn chosen(key: u64, fault: &str, ppm: u32, plate: &Plate, country: Country) -> bool {
    ppm > 0 && Draw::new(key, fault, plate, country).chance(ppm)
}
