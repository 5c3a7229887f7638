//! Terms of sharing as dated data (`seed/events.toml`): how long, how many, until when.

use std::time::Duration;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Deserialize;
use vms_core::WallTime;

use crate::seed::SeedError;

const FILE: &str = "events.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    term: Vec<TermToml>,
    holiday: Vec<HolidayToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermToml {
    name: String,
    value: u32,
    valid_from: String,
    #[expect(dead_code, reason = "for readers of the file")]
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HolidayToml {
    yearly: Vec<String>,
    once: Vec<String>,
    valid_from: String,
    #[expect(dead_code, reason = "for readers of the file")]
    source: String,
}

/// The terms in force on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Longest period of an event, and longest step by which it is extended.
    pub event_max: Duration,
    /// Most cameras of an event that lists them.
    pub event_cameras_max: usize,
    /// Emergency access lasts this long.
    pub emergency: Duration,
    /// Most cameras of one emergency access.
    pub emergency_cameras_max: usize,
    /// Working days for its review.
    pub review_working_days: u32,
    /// Months for the answer to a data subject.
    pub subject_months: u32,
    /// Per cent of a still that may stay clear for the person who asked.
    pub subject_still_percent: u32,
}

#[derive(Clone, Debug)]
struct Term {
    name: String,
    value: u32,
    valid_from: Date,
}

/// The table.
#[derive(Clone, Debug)]
pub struct SharingRules {
    terms: Vec<Term>,
    yearly: Vec<(i8, i8)>,
    once: Vec<Date>,
    zone: TimeZone,
}

impl SharingRules {
    /// The table that ships with the program.
    ///
    /// # Errors
    /// [`SeedError`]; a test holds that the shipped file reads.
    pub fn embedded() -> Result<Self, SeedError> {
        Self::parse(include_str!("../../../../seed/events.toml"))
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`SeedError`] names the value.
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        let bad = |value: &str, problem| SeedError::Value { file: FILE, value: value.to_owned(), problem };
        let day = |text: &str| text.parse::<Date>().map_err(|_| bad(text, "is no date"));
        let file: File =
            toml::from_str(text).map_err(|error| SeedError::Syntax { file: FILE, source: error.into() })?;
        let mut terms = Vec::new();
        for row in file.term {
            terms.push(Term { valid_from: day(&row.valid_from)?, name: row.name, value: row.value });
        }
        let (mut yearly, mut once) = (Vec::new(), Vec::new());
        for row in file.holiday {
            day(&row.valid_from)?;
            for text in &row.yearly {
                // A leap year, so that 29 February reads too.
                let date = day(&format!("2028-{text}"))?;
                yearly.push((date.month(), date.day()));
            }
            for text in &row.once {
                once.push(day(text)?);
            }
        }
        let zone = TimeZone::get("Europe/Brussels").map_err(|_| bad("Europe/Brussels", "is no time zone"))?;
        let rules = Self { terms, yearly, once, zone };
        // Every name is there from the first day on which anything is.
        let latest = rules.terms.iter().map(|term| term.valid_from).max().unwrap_or(Date::MIN);
        rules.terms_on(latest).map(|_| rules.clone()).map_err(|name| bad(name, "has no term"))
    }

    fn today(&self, now: WallTime) -> Date {
        let stamp = Timestamp::from_microsecond(now.micros).unwrap_or(Timestamp::MAX);
        stamp.to_zoned(self.zone.clone()).date()
    }

    fn terms_on(&self, day: Date) -> Result<Terms, &'static str> {
        let value = |name: &'static str| {
            let in_force = self.terms.iter().filter(|term| term.name == name && term.valid_from <= day);
            in_force.max_by_key(|term| term.valid_from).map(|term| term.value).ok_or(name)
        };
        let count = |name| value(name).map(|value| usize::try_from(value).unwrap_or(usize::MAX));
        Ok(Terms {
            event_max: Duration::from_secs(u64::from(value("event_hours_max")?) * 3_600),
            event_cameras_max: count("event_cameras_max")?,
            emergency: Duration::from_secs(u64::from(value("break_glass_minutes")?) * 60),
            emergency_cameras_max: count("break_glass_cameras_max")?,
            review_working_days: value("break_glass_review_working_days")?,
            subject_months: value("subject_answer_months")?,
            subject_still_percent: value("subject_still_percent")?,
        })
    }

    /// The terms of an instant; those of the first day on which all are known before that.
    pub fn terms(&self, now: WallTime) -> Terms {
        let latest = self.terms.iter().map(|term| term.valid_from).max().unwrap_or(Date::MIN);
        let today = self.today(now);
        self.terms_on(today).or_else(|_| self.terms_on(latest)).expect("every name should be there: `parse` looked")
    }

    fn is_working_day(&self, day: Date) -> bool {
        !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
            && !self.yearly.contains(&(day.month(), day.day()))
            && !self.once.contains(&day)
    }

    /// The end, in Brussels, of the working day that is so many after the day of `from`.
    pub fn working_days_after(&self, from: WallTime, days: u32) -> WallTime {
        let mut day = self.today(from);
        let mut left = days;
        while left > 0 {
            let Ok(next) = day.tomorrow() else { break };
            day = next;
            if self.is_working_day(day) {
                left -= 1;
            }
        }
        self.end_of(day).unwrap_or(from)
    }

    /// The end, in Brussels, of the day that is so many months after the day of `from`; the last of the month where it is shorter.
    pub fn months_after(&self, from: WallTime, months: u32) -> WallTime {
        let day = self.today(from).checked_add(Span::new().months(i64::from(months)));
        day.ok().and_then(|day| self.end_of(day)).unwrap_or(from)
    }

    /// First instant after a day.
    fn end_of(&self, day: Date) -> Option<WallTime> {
        let next = day.tomorrow().ok()?.to_zoned(self.zone.clone()).ok()?;
        Some(WallTime::from_micros(next.timestamp().as_microsecond()))
    }

    /// First instant of the next day in Brussels.
    pub fn next_day(&self, now: WallTime) -> WallTime {
        self.end_of(self.today(now)).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> WallTime {
        WallTime::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn working_days_and_months_run_on_the_calendar_of_brussels() {
        let rules = SharingRules::embedded().unwrap();
        for (from, days, wanted) in [
            // Sunday: Monday and Tuesday are the two working days.
            ("2026-11-22T12:00:00Z", 2, "2026-11-24T23:00:00Z"),
            // Friday evening in Brussels.
            ("2026-11-20T22:30:00Z", 2, "2026-11-24T23:00:00Z"),
            // Over Christmas, a Friday.
            ("2026-12-23T10:00:00Z", 2, "2026-12-28T23:00:00Z"),
            // Over Easter Monday, and into summer time.
            ("2027-03-26T10:00:00Z", 1, "2027-03-30T22:00:00Z"),
            ("2026-11-22T12:00:00Z", 0, "2026-11-22T23:00:00Z"),
        ] {
            assert_eq!(rules.working_days_after(at(from), days), at(wanted), "{from} + {days}");
        }
        for (from, wanted) in [
            ("2026-11-22T12:00:00Z", "2026-12-22T23:00:00Z"),
            ("2027-01-31T12:00:00Z", "2027-02-28T23:00:00Z"),
            ("2027-02-28T23:30:00Z", "2027-04-01T22:00:00Z"),
        ] {
            assert_eq!(rules.months_after(at(from), 1), at(wanted), "{from}");
        }
    }

    #[test]
    fn the_shipped_terms_read_and_wrong_ones_are_named() {
        let rules = SharingRules::embedded().unwrap();
        let terms = rules.terms(at("2026-11-22T12:00:00Z"));
        assert_eq!((terms.event_max.as_secs(), terms.emergency.as_secs()), (24 * 3_600, 3_600));
        assert_eq!((terms.review_working_days, terms.subject_months, terms.subject_still_percent), (2, 1, 25));
        let row =
            |name: &str, from: &str| format!("[[term]]\nname='{name}'\nvalue=1\nvalid_from='{from}'\nsource=''\n");
        let holiday = "[[holiday]]\nyearly=[]\nonce=[]\nvalid_from='2026-01-01'\nsource=''\n";
        for (text, wanted) in [
            (row("event_hours_max", "soon") + holiday, "`soon` is no date"),
            (row("event_hours_max", "2026-01-01") + holiday, "`event_cameras_max` has no term"),
            ("nonsense".to_owned(), "does not parse"),
        ] {
            assert!(SharingRules::parse(&text).unwrap_err().to_string().contains(wanted));
        }
    }
}
