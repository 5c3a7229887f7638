//! Civil days of Europe/Brussels: what a traffic rule counts in.
//!
//! The time-zone rules are those bundled with the program, never the machine's own, so that a replay on another machine
//! gives the same day.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::Date;
use jiff::tz::{Disambiguation, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use vms_core::WallTime;

use crate::calendar::{Clock, Weekday};

static BRUSSELS: LazyLock<TimeZone> = LazyLock::new(|| {
    TimeZoneDatabase::bundled().get("Europe/Brussels").expect("the bundled time-zone data should know Brussels")
});

/// One calendar day in Brussels: 23, 24 or 25 hours long.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day(Date);

/// Which reading counts for a clock time that is missing or stands twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The earlier one.
    Earlier,
    /// The later one.
    Later,
}

/// Why a text is not a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date of the form YYYY-MM-DD")]
pub struct DayError;

impl Day {
    /// `None` when there is no such date.
    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        Date::new(year, month, day).ok().map(Self)
    }

    /// The day in Brussels that holds this instant; an instant beyond year 9999 counts as the last one.
    pub fn at(instant: WallTime) -> Self {
        let clipped = if instant.micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let stamp = Timestamp::from_microsecond(instant.micros).unwrap_or(clipped);
        Self(stamp.to_zoned(BRUSSELS.clone()).date())
    }

    /// The first instant of the day in Brussels.
    pub fn start(self) -> WallTime {
        let start = self.0.to_zoned(BRUSSELS.clone()).map(|zoned| zoned.timestamp());
        WallTime::from_micros(start.unwrap_or(Timestamp::MAX).as_microsecond())
    }

    /// The same day of the month `months` later, clipped to the month's end; the last representable day at the end of time.
    #[must_use]
    pub fn plus_months(self, months: u16) -> Self {
        self.plus(Span::new().months(i64::from(months)))
    }

    /// The same date `years` later; 29 February becomes 28 February in a common year.
    #[must_use]
    pub fn plus_years(self, years: u8) -> Self {
        self.plus(Span::new().years(i64::from(years)))
    }

    /// `days` later.
    #[must_use]
    pub fn plus_days(self, days: u16) -> Self {
        self.plus(Span::new().days(i64::from(days)))
    }

    /// The day before, or the first representable day.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.yesterday().unwrap_or(Date::MIN))
    }

    /// Calendar year.
    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// Day of the week.
    pub fn weekday(self) -> Weekday {
        use jiff::civil::Weekday as Civil;
        match self.0.weekday() {
            Civil::Monday => Weekday::Mon,
            Civil::Tuesday => Weekday::Tue,
            Civil::Wednesday => Weekday::Wed,
            Civil::Thursday => Weekday::Thu,
            Civil::Friday => Weekday::Fri,
            Civil::Saturday => Weekday::Sat,
            Civil::Sunday => Weekday::Sun,
        }
    }

    /// The instant of a clock time on this day.
    pub fn clock(self, clock: Clock, side: Side) -> WallTime {
        let minutes = clock.minutes();
        let (hour, minute) = (i8::try_from(minutes / 60).unwrap_or(0), i8::try_from(minutes % 60).unwrap_or(0));
        if hour >= 24 {
            return self.plus_days(1).start();
        }
        let side = match side {
            Side::Earlier => Disambiguation::Earlier,
            Side::Later => Disambiguation::Later,
        };
        let zoned = BRUSSELS.clone().into_ambiguous_zoned(self.0.at(hour, minute, 0, 0)).disambiguate(side);
        let stamp = zoned.map_or(Timestamp::MAX, |zoned| zoned.timestamp());
        WallTime::from_micros(stamp.as_microsecond())
    }

    fn plus(self, span: Span) -> Self {
        Self(self.0.checked_add(span).unwrap_or(Date::MAX))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        if text.len() != 10 {
            return Err(DayError);
        }
        text.parse().map(Self).map_err(|_| DayError)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = DayError;

    fn try_from(text: String) -> Result<Self, DayError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn utc(text: &str) -> WallTime {
        WallTime::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn instants_fall_on_brussels_days() {
        for (instant, wanted) in [
            ("2026-01-01T22:59:59.999999Z", "2026-01-01"),
            ("2026-01-01T23:00:00Z", "2026-01-02"),
            ("2026-06-30T21:59:59Z", "2026-06-30"),
            ("2026-06-30T22:00:00Z", "2026-07-01"),
            // Spring: 2026-03-29 has 23 hours. Autumn: 2026-10-25 has 25.
            ("2026-03-28T23:00:00Z", "2026-03-29"),
            ("2026-03-29T21:59:59Z", "2026-03-29"),
            ("2026-03-29T22:00:00Z", "2026-03-30"),
            ("2026-10-24T22:00:00Z", "2026-10-25"),
            ("2026-10-25T22:59:59Z", "2026-10-25"),
            ("2026-10-25T23:00:00Z", "2026-10-26"),
        ] {
            assert_eq!(Day::at(utc(instant)), day(wanted), "{instant}");
        }
    }

    #[test]
    fn days_are_23_24_or_25_hours_long() {
        for (text, hours) in [("2026-03-29", 23), ("2026-05-01", 24), ("2026-10-25", 25)] {
            let length = day(text).plus_days(1).start().micros_since(day(text).start());
            assert_eq!(length, hours * 3_600_000_000, "{text}");
        }
    }

    #[test]
    fn months_are_clipped_to_their_end() {
        for (from, months, wanted) in [
            ("2026-01-10", 3, "2026-04-10"),
            ("2025-11-30", 3, "2026-02-28"),
            ("2027-11-30", 3, "2028-02-29"),
            ("2026-08-31", 1, "2026-09-30"),
            ("2026-04-15", 12, "2027-04-15"),
        ] {
            assert_eq!(day(from).plus_months(months), day(wanted), "{from} + {months}");
        }
        assert_eq!(day("1996-02-29").plus_years(30), day("2026-02-28"));
    }

    #[test]
    fn instants_beyond_the_calendar_are_clipped() {
        assert!(Day::at(WallTime::from_micros(i64::MAX)) > day("9999-01-01"));
        assert!(Day::at(WallTime::from_micros(i64::MIN)) < day("0001-01-01"));
    }

    #[test]
    fn only_the_iso_form_is_a_day() {
        for text in ["2026-1-1", "2026-02-30", "20260101", "2026-01-01T00:00:00Z", ""] {
            assert_eq!(text.parse::<Day>(), Err(DayError), "{text}");
        }
    }
}
