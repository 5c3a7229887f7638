//! Clocks that time reads: what travels with a read, and the journal that carries a lock from one end of a run to the other.
//!
//! At the moment of a read nobody knows whether its clock will stay locked until the vehicle comes out at the other end. So every statement
//! about a clock (with a read, or without one) goes into a journal by camera, source and start of the lock, and a pair is decided with what
//! the journal says by then. No personal data.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use vms_core::{CameraId, WallTime};

use crate::ports::store::Stored;

/// State of the clock that timed a read, as the camera or its reader states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadClock {
    /// Locked to its source from here, µs since 1970 …
    pub locked_from_us: i64,
    /// … until here, without a break; `None` while no lock is known.
    pub locked_until_us: Option<i64>,
    /// Worst offset against the second source in that time, µs.
    pub offset_us: i64,
    /// Uncertainty that the clock states, µs.
    pub uncertainty_us: u64,
    /// When the independent second source timed the passage, µs since 1970.
    pub second_us: Option<i64>,
    /// Its source: [`OWN_SOURCE`], or the sender's word.
    #[serde(default)]
    pub source: String,
    /// Last synchronised, µs since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_us: Option<i64>,
}

/// A read of a camera that our own reader looks at: timed by this host, the camera's clock beside it.
pub const OWN_SOURCE: &str = "host";

/// Who made a read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// Our own reader.
    #[default]
    Reader,
    /// A camera that reads by itself, or a partner.
    Pushed {
        /// Number of the verification of the installation, as it states it.
        verification: Option<String>,
    },
}

impl ReadFrom {
    /// For serde: what stands in no row.
    pub fn is_reader(&self) -> bool {
        *self == Self::Reader
    }

    /// What it states of its verification, for the rules: nothing where the table alone says, and a number that is none where it should
    /// state one and does not.
    pub fn stated(&self) -> Option<String> {
        match self {
            Self::Reader => None,
            Self::Pushed { verification } => Some(verification.clone().unwrap_or_default()),
        }
    }
}

/// One lock of one clock, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockSpan {
    /// Whose.
    pub camera: CameraId,
    /// See [`ReadClock::source`].
    pub source: String,
    /// Key of the lock, with camera and source.
    pub locked_from: WallTime,
    /// Known to hold until here.
    pub locked_until: WallTime,
    /// Worst offset.
    pub offset_us: i64,
    /// Largest uncertainty.
    pub uncertainty_us: u64,
}

impl ClockSpan {
    /// The lock that a read states; `None` where it states none.
    pub fn of(camera: CameraId, clock: &ReadClock) -> Option<Self> {
        Some(Self {
            camera,
            source: clock.source.clone(),
            locked_from: WallTime::from_micros(clock.locked_from_us),
            locked_until: WallTime::from_micros(clock.locked_until_us?),
            offset_us: clock.offset_us,
            uncertainty_us: clock.uncertainty_us,
        })
    }

    /// Both said of one lock: it reaches as far as the further one, and is as bad as the worse one.
    pub fn join(&mut self, other: &Self) {
        self.locked_until = self.locked_until.max(other.locked_until);
        if other.offset_us.unsigned_abs() > self.offset_us.unsigned_abs() {
            self.offset_us = other.offset_us;
        }
        self.uncertainty_us = self.uncertainty_us.max(other.uncertainty_us);
    }

    /// What the journal knows, put into what a read stated.
    pub fn carry(&self, clock: &mut ReadClock) {
        if let Some(mut own) = Self::of(self.camera, clock).filter(|own| own.key() == self.key()) {
            own.join(self);
            clock.locked_until_us = Some(own.locked_until.micros);
            (clock.offset_us, clock.uncertainty_us) = (own.offset_us, own.uncertainty_us);
        }
    }

    /// What makes it one lock.
    pub fn key(&self) -> (CameraId, &str, WallTime) {
        (self.camera, &self.source, self.locked_from)
    }
}

/// The journal.
#[async_trait]
pub trait ClockJournal: Send + Sync + std::fmt::Debug {
    /// Notes what was stated at `now`, joined with what is known of the same locks. Idempotent.
    async fn clock_note(&self, spans: &[ClockSpan], now: WallTime) -> Stored<()>;
    /// What is known of one lock.
    async fn clock_known(&self, camera: CameraId, source: &str, locked_from: WallTime) -> Stored<Option<ClockSpan>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_carried_on_by_its_own_journal_only() {
        let camera = CameraId::from_bytes([1; 16]);
        let clock = ReadClock {
            locked_from_us: 10,
            locked_until_us: Some(20),
            offset_us: -5,
            uncertainty_us: 7,
            second_us: None,
            source: "ptp".to_owned(),
            synced_us: None,
        };
        let span = |from, until, offset_us, source: &str| ClockSpan {
            camera,
            source: source.to_owned(),
            locked_from: WallTime::from_micros(from),
            locked_until: WallTime::from_micros(until),
            offset_us,
            uncertainty_us: 3,
        };
        for (known, until, offset) in [
            (span(10, 90, 2, "ptp"), Some(90), -5),
            (span(10, 15, 9, "ptp"), Some(20), 9),
            (span(11, 90, 2, "ptp"), Some(20), -5),
            (span(10, 90, 2, "ntp"), Some(20), -5),
        ] {
            let mut carried = clock.clone();
            known.carry(&mut carried);
            assert_eq!((carried.locked_until_us, carried.offset_us, carried.uncertainty_us), (until, offset, 7));
        }
        let mut unlocked = ReadClock { locked_until_us: None, ..clock };
        span(10, 90, 2, "ptp").carry(&mut unlocked);
        assert_eq!(unlocked.locked_until_us, None, "a read that says that it was not locked stays so");
    }

    #[test]
    fn rows_of_before_read_as_they_are() {
        let old = r#"{"locked_from_us":1,"locked_until_us":2,"offset_us":3,"uncertainty_us":4,"second_us":null}"#;
        let clock: ReadClock = serde_json::from_str(old).unwrap();
        assert_eq!((clock.source.as_str(), clock.synced_us), ("", None));
    }
}
