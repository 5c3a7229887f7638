//! The names of keys. None of them is secret: they stand in clear in the key store and in the heads of segments.

use std::fmt;

use vms_core::{CameraId, FindingId, Purpose, RetentionClass, WallTime};

/// Microseconds in one hour.
const HOUR_MICROS: i64 = 3_600_000_000;

/// Whole hours since 1970-01-01T00:00Z. A key of an hour seals what began in that hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(u32);

impl Hour {
    /// The hour that holds an instant. Before 1970 it is hour 0, after the year 491,000 the last one.
    pub fn of(at: WallTime) -> Self {
        let hours = at.micros.div_euclid(HOUR_MICROS).max(0);
        Self(u32::try_from(hours).unwrap_or(u32::MAX))
    }

    /// From a count of hours.
    pub const fn from_count(hours: u32) -> Self {
        Self(hours)
    }

    /// Hours since the epoch.
    pub const fn count(self) -> u32 {
        self.0
    }

    /// Its first instant.
    pub fn start(self) -> WallTime {
        WallTime::from_micros(i64::from(self.0).saturating_mul(HOUR_MICROS))
    }
}

/// What a key is for: the footage of one camera, or the reads of one purpose.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// Segments of one camera.
    Camera(CameraId),
    /// Plate reads and their pictures, of one purpose.
    Reads(Purpose),
    /// One finding and its pictures: it dies at its own time, whatever else of its hour lives.
    Finding(FindingId),
}

/// What an hour key is called: scope × class × hour. One live key for each name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct KeyName {
    /// Whose.
    pub scope: Scope,
    /// Retention class: it decides when the key dies.
    pub class: RetentionClass,
    /// Which hour.
    pub hour: Hour,
}

/// Number of one hour key: the hour in the upper 32 bits, random below, so that no number is ever given twice. Stands in the
/// clear head of every segment. Never 0, which means "not sealed" there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyEpoch(u64);

impl KeyEpoch {
    /// The smallest number.
    pub(crate) const FIRST: Self = Self(1);

    /// From the number in a head; `None` for 0.
    pub fn new(raw: u64) -> Option<Self> {
        (raw != 0).then_some(Self(raw))
    }

    pub(crate) fn make(hour: Hour, low: u32) -> Option<Self> {
        Self::new(u64::from(hour.0) << 32 | u64::from(low))
    }

    /// The number.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The hour that it belongs to.
    pub fn hour(self) -> Hour {
        Hour(u32::try_from(self.0 >> 32).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for KeyEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for KeyEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Number of a root generation, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub(crate) u32);

impl Generation {
    /// From a number, for records of it.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Which key store: random, made with it, bound into every wrap.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreId(pub(crate) [u8; 16]);

impl StoreId {
    /// From its text form: 32 hexadecimal digits in small letters.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        let mut id = [0; 16];
        if pairs.len() != id.len() || !rest.is_empty() {
            return None;
        }
        for (slot, [high, low]) in id.iter_mut().zip(pairs) {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
            *slot = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a key was destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The term of its class ended.
    EndOfTerm,
    /// An order to destroy before the end of the term (two people).
    Order,
    /// Space gave out and the disk ladder chose it.
    Space,
    /// It was past its term when a backup was restored.
    Restored,
    /// Its wrap was found damaged in every copy, so that it opens nothing.
    Damaged,
}

impl Reason {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::EndOfTerm => 1,
            Self::Order => 2,
            Self::Space => 3,
            Self::Restored => 4,
            Self::Damaged => 5,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::EndOfTerm),
            2 => Some(Self::Order),
            3 => Some(Self::Space),
            4 => Some(Self::Restored),
            5 => Some(Self::Damaged),
            _ => None,
        }
    }

    /// From [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        (1..=5).filter_map(Self::from_code).find(|reason| reason.as_str() == text)
    }

    /// For the log leaf.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndOfTerm => "end_of_term",
            Self::Order => "order",
            Self::Space => "space",
            Self::Restored => "restored",
            Self::Damaged => "damaged",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_holds_its_instants() {
        for (micros, hour) in [(-1, 0), (0, 0), (3_599_999_999, 0), (3_600_000_000, 1), (i64::MAX, 2_562_047_788)] {
            assert_eq!(Hour::of(WallTime::from_micros(micros)).count(), hour, "{micros}");
        }
        let epoch = KeyEpoch::make(Hour(497_000), 7).unwrap();
        assert_eq!((epoch.hour(), epoch.raw() & 0xffff_ffff), (Hour(497_000), 7));
        assert!(KeyEpoch::new(0).is_none());
    }
}
