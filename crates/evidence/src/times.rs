//! Instants in words: UTC in everything that is stored, the region's time beside it where people read.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vms_core::WallTime;

/// The region's time zone (blueprint 2, "Time": at the edge only).
const ZONE: &str = "Europe/Brussels";

/// Seconds from 1904-01-01 to 1970-01-01, both UTC: the origin of times in ISO/IEC 14496-12.
const MP4_EPOCH_S: i64 = 2_082_844_800;

/// Seconds from 1601-01-01 to 1970-01-01, both UTC: the origin of `cstb` in the ONVIF Export File Format.
const ONVIF_EPOCH_S: i64 = 11_644_473_600;

/// An instant that is written as `2026-11-22T10:23:11.120000Z`: UTC, microseconds, one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(pub WallTime);

impl Utc {
    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(WallTime::from_micros(micros))
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0.micros
    }

    /// Reads the one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let at = Self::from_micros(text.parse::<Timestamp>().ok()?.as_microsecond());
        (at.to_string() == text).then_some(at)
    }

    /// Region's time with its distance from UTC, such as `2026-11-22 11:23:11.120 +01:00`: unambiguous on both nights a year
    /// when the clocks change.
    pub fn local(self) -> String {
        let zone = TimeZone::get(ZONE).unwrap_or(TimeZone::UTC);
        timestamp(self).to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S%.3f %:z").to_string()
    }

    /// Seconds since 1904, for MP4 headers; 0 before that.
    pub(crate) fn mp4_seconds(self) -> u64 {
        u64::try_from(self.micros().div_euclid(1_000_000).saturating_add(MP4_EPOCH_S)).unwrap_or(0)
    }

    /// Steps of 100 ns since 1601, for `cstb`; 0 before that.
    pub(crate) fn onvif_ticks(self) -> u64 {
        let micros = self.micros().saturating_add(ONVIF_EPOCH_S.saturating_mul(1_000_000));
        u64::try_from(micros.saturating_mul(10)).unwrap_or(0)
    }
}

fn timestamp(at: Utc) -> Timestamp {
    Timestamp::from_microsecond(at.micros()).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl std::fmt::Display for Utc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&timestamp(*self).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
    }
}

impl Serialize for Utc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Utc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an instant in UTC with microseconds"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_one_spelling() {
        let at = Utc::from_micros(1_795_000_000_123_456);
        assert_eq!(Utc::parse(&at.to_string()), Some(at));
        for wrong in ["2026-11-22T10:23:11Z", "2026-11-22T10:23:11.000000+00:00", "2026-11-22 10:23:11.000000Z", ""] {
            assert_eq!(Utc::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Utc::from_micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn the_night_the_clocks_go_back_has_two_two_o_clocks() {
        let first = Utc::parse("2026-10-25T00:30:00.000000Z").unwrap();
        let second = Utc::parse("2026-10-25T01:30:00.000000Z").unwrap();
        assert_eq!(first.local(), "2026-10-25 02:30:00.000 +02:00");
        assert_eq!(second.local(), "2026-10-25 02:30:00.000 +01:00");
    }

    #[test]
    fn other_epochs_are_those_of_their_standards() {
        let at = Utc::parse("1970-01-01T00:00:01.000001Z").unwrap();
        assert_eq!(at.mp4_seconds(), 2_082_844_801);
        assert_eq!(at.onvif_ticks(), 116_444_736_010_000_010);
    }
}
