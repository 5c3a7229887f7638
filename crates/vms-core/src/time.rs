//! Instants and spans. Three clocks that never mix: the wall, the host's monotonic counter, the video clock.

use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z, leap seconds not counted. Our clock's opinion, never the camera's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallTime {
    /// Microseconds; negative before 1970.
    pub micros: i64,
}

impl WallTime {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// From whole seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self { micros: secs.saturating_mul(1_000_000) }
    }

    /// Later by `span`, clipped at the end of the range.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self { micros: self.micros.saturating_add(micros_of(span)) }
    }

    /// Earlier by `span`, clipped at the start of the range.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self { micros: self.micros.saturating_sub(micros_of(span)) }
    }

    /// Microseconds from `earlier` to `self`; negative when `earlier` is later.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.micros.saturating_sub(earlier.micros)
    }
}

/// Microseconds on the host's monotonic clock since boot. Orders things on one host; says nothing about the date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MonoTime {
    /// Microseconds since boot of the host.
    pub micros: u64,
}

/// Ticks of the 90 kHz video clock (RFC 3551 section 5), unwrapped to 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime {
    /// 1/90,000 s.
    pub ticks_90k: i64,
}

impl MediaTime {
    /// Ticks in one second.
    pub const RATE: i64 = 90_000;

    /// From ticks of 1/90,000 s.
    pub const fn from_ticks(ticks_90k: i64) -> Self {
        Self { ticks_90k }
    }

    /// Whole microseconds, rounded towards zero.
    pub const fn to_micros(self) -> i64 {
        self.ticks_90k.saturating_mul(100) / 9
    }
}

/// What the camera's own clock is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum SyncState {
    /// No RTCP sender report seen yet: the camera's time is unknown.
    #[default]
    Unknown,
    /// Sender reports agree with the host within the configured bound.
    Agrees,
    /// Sender reports disagree with the host by more than the configured bound.
    Differs,
}

/// A half-open span of wall time, `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First instant inside.
    pub from: WallTime,
    /// First instant after the end.
    pub to: WallTime,
}

impl TimeRange {
    /// `None` when `to` is not after `from`.
    pub fn new(from: WallTime, to: WallTime) -> Option<Self> {
        (to > from).then_some(Self { from, to })
    }

    /// Whether the two spans share an instant.
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }

    /// Whether `at` lies inside.
    pub fn contains(self, at: WallTime) -> bool {
        self.from <= at && at < self.to
    }

    /// Length in microseconds, at least 1.
    pub const fn micros(self) -> i64 {
        self.to.micros_since(self.from)
    }
}

fn micros_of(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_half_open() {
        let at = WallTime::from_secs;
        let range = TimeRange::new(at(10), at(20)).unwrap();
        assert!(range.contains(at(10)) && !range.contains(at(20)));
        assert!(!range.overlaps(TimeRange::new(at(20), at(30)).unwrap()));
        assert!(range.overlaps(TimeRange::new(at(19), at(30)).unwrap()));
        assert_eq!(TimeRange::new(at(5), at(5)), None);
    }

    #[test]
    fn media_ticks_become_micros() {
        assert_eq!(MediaTime::from_ticks(90_000).to_micros(), 1_000_000);
        assert_eq!(MediaTime::from_ticks(3_600).to_micros(), 40_000);
        assert_eq!(MediaTime::from_ticks(-9).to_micros(), -100);
    }
}
