//! Weeks, clock times and public holidays: when a weekly schedule is in force.
//!
//! Clock times are those of Brussels. In the two nights of the year in which a clock time is missing or stands twice, a
//! window starts at the later and ends at the earlier reading, so that it is never longer than it says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use vms_core::WallTime;

use crate::day::{Day, Side};
use crate::seed::{SeedError, TomlDay, Validity, read_toml};

const FILE: &str = "holidays.toml";

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A clock time of Brussels as minutes after midnight: `00:00` to `24:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Clock(u16);

/// Why a text is not a clock time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a clock time of the form HH:MM, 00:00 to 24:00")]
pub struct ClockError;

/// What a public holiday does to a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnHoliday {
    /// Nothing: a holiday is the weekday that it falls on.
    #[default]
    Same,
    /// A holiday counts as a Sunday.
    AsSunday,
    /// The window is not in force on a holiday.
    Off,
}

/// A stretch of some days of the week. One that ends at or before its start runs into the next day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it starts.
    pub days: Vec<Weekday>,
    /// First minute inside.
    pub from: Clock,
    /// First minute after.
    pub to: Clock,
    /// What a holiday does.
    #[serde(default)]
    pub on_holiday: OnHoliday,
}

/// Whose holidays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolidayScope {
    /// The ten public holidays of the country.
    Belgium,
    /// The feast of the Brussels-Capital Region.
    Brussels,
}

/// The public holidays (`seed/zbt/holidays.toml`).
#[derive(Clone, Debug)]
pub struct Holidays {
    all: Vec<Holiday>,
}

#[derive(Clone, Debug)]
struct Holiday {
    date: HolidayDate,
    scope: HolidayScope,
    validity: Validity,
}

#[derive(Clone, Copy, Debug)]
enum HolidayDate {
    Fixed { month: i8, day: i8 },
    AfterEaster { days: u16 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHolidays {
    holiday: Vec<RawHoliday>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHoliday {
    id: String,
    month: Option<i8>,
    day: Option<i8>,
    easter_plus_days: Option<u16>,
    scope: HolidayScope,
    valid_from: TomlDay,
    valid_to: Option<TomlDay>,
    source: String,
}

impl Holidays {
    /// Reads the table.
    ///
    /// # Errors
    /// [`SeedError`] names the entry and the problem.
    pub fn load(text: &str) -> Result<Self, SeedError> {
        let raw: RawHolidays = read_toml(FILE, text)?;
        let mut all = Vec::new();
        for entry in raw.holiday {
            let bad = |problem: &str| SeedError::entry(FILE, &entry.id, problem);
            if entry.source.is_empty() {
                return Err(bad("no source"));
            }
            let date = match (entry.month, entry.day, entry.easter_plus_days) {
                (Some(month), Some(day), None) if Day::new(2028, month, day).is_some() => {
                    HolidayDate::Fixed { month, day }
                }
                (None, None, Some(days)) => HolidayDate::AfterEaster { days },
                _ => return Err(bad("needs either month and day, or easter_plus_days")),
            };
            let validity = Validity::of_toml(entry.valid_from, entry.valid_to).map_err(|problem| bad(&problem))?;
            all.push(Holiday { date, scope: entry.scope, validity });
        }
        Ok(Self { all })
    }

    /// Whether the day is a holiday of one of these.
    pub fn holds(&self, day: Day, scopes: &[HolidayScope]) -> bool {
        self.all.iter().any(|holiday| {
            let falls = match holiday.date {
                HolidayDate::Fixed { month, day: number } => Day::new(day.year(), month, number) == Some(day),
                HolidayDate::AfterEaster { days } => {
                    easter(day.year()).is_some_and(|easter| easter.plus_days(days) == day)
                }
            };
            falls && scopes.contains(&holiday.scope) && holiday.validity.holds(day)
        })
    }

    /// The first working day (Monday to Friday, no holiday of `scopes`) after `day`. A year without one does not exist: the
    /// search stops after 31 days.
    pub fn next_working_day(&self, day: Day, scopes: &[HolidayScope]) -> Day {
        let mut next = day.plus_days(1);
        for _ in 0..31 {
            let weekend = matches!(next.weekday(), Weekday::Sat | Weekday::Sun);
            if !weekend && !self.holds(next, scopes) {
                break;
            }
            next = next.plus_days(1);
        }
        next
    }
}

/// Easter Sunday of a year of the Gregorian calendar (the anonymous algorithm, J.-M. Oudin's form).
pub fn easter(year: i16) -> Option<Day> {
    let year = i32::from(year);
    let century = year / 100;
    let golden = year % 19;
    let k = (century - 17) / 25;
    let mut epact = (century - century / 4 - (century - k) / 3 + 19 * golden + 15) % 30;
    epact -= (epact / 28) * (1 - (epact / 28) * (29 / (epact + 1)) * ((21 - golden) / 11));
    let weekday = (year + year / 4 + epact + 2 - century + century / 4) % 7;
    let offset = epact - weekday;
    let month = 3 + (offset + 40) / 44;
    let day = offset + 28 - 31 * (month / 4);
    Day::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?)
}

impl Clock {
    /// Minutes after midnight; `None` beyond 24:00.
    pub fn of_minutes(minutes: u16) -> Option<Self> {
        (minutes <= 1_440).then_some(Self(minutes))
    }

    /// Minutes after midnight.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl Window {
    /// Whether the window is in force at the instant.
    pub fn holds(&self, at: WallTime, holidays: &Holidays, scopes: &[HolidayScope]) -> bool {
        let today = Day::at(at);
        [today.previous(), today]
            .into_iter()
            .filter_map(|day| self.span(day, holidays, scopes))
            .any(|(from, to)| from <= at && at < to)
    }

    /// The window that starts on that day, half-open; `None` when none does.
    pub fn span(&self, day: Day, holidays: &Holidays, scopes: &[HolidayScope]) -> Option<(WallTime, WallTime)> {
        let weekday = match self.on_holiday {
            OnHoliday::Same => day.weekday(),
            OnHoliday::AsSunday if holidays.holds(day, scopes) => Weekday::Sun,
            OnHoliday::Off if holidays.holds(day, scopes) => return None,
            OnHoliday::AsSunday | OnHoliday::Off => day.weekday(),
        };
        if !self.days.contains(&weekday) {
            return None;
        }
        let last = if self.to <= self.from { day.plus_days(1) } else { day };
        Some((day.clock(self.from, Side::Later), last.clock(self.to, Side::Earlier)))
    }

    /// What is wrong with it, when something is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let mut seen = Vec::new();
        for day in &self.days {
            if seen.contains(&day) {
                return Some("a window names a day twice");
            }
            seen.push(day);
        }
        if seen.is_empty() {
            return Some("a window names no day");
        }
        (self.from == self.to || self.from.0 == 1_440).then_some("a window starts where it ends, or at 24:00")
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Clock {
    type Err = ClockError;

    fn from_str(text: &str) -> Result<Self, ClockError> {
        let (hours, minutes) = text.split_once(':').ok_or(ClockError)?;
        let two = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten().ok_or(ClockError)
        };
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        if minutes > 59 {
            return Err(ClockError);
        }
        Self::of_minutes(hours * 60 + minutes).ok_or(ClockError)
    }
}

impl From<Clock> for String {
    fn from(clock: Clock) -> Self {
        clock.to_string()
    }
}

impl TryFrom<String> for Clock {
    type Error = ClockError;

    fn try_from(text: String) -> Result<Self, ClockError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn holidays() -> Holidays {
        Holidays::load(include_str!("../../../seed/zbt/holidays.toml")).unwrap()
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn utc(text: &str) -> WallTime {
        WallTime::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn easter_is_where_the_church_has_it() {
        for (year, wanted) in [
            (1961, "1961-04-02"),
            (1981, "1981-04-19"),
            (2000, "2000-04-23"),
            (2008, "2008-03-23"),
            (2011, "2011-04-24"),
            (2018, "2018-04-01"),
            (2024, "2024-03-31"),
            (2025, "2025-04-20"),
            (2026, "2026-04-05"),
            (2027, "2027-03-28"),
            (2038, "2038-04-25"),
            (2049, "2049-04-18"),
        ] {
            assert_eq!(easter(year), Some(day(wanted)), "{year}");
        }
    }

    #[test]
    fn the_holidays_of_2026() {
        let (table, mut found) = (holidays(), Vec::new());
        let mut at = day("2026-01-01");
        while at.year() == 2026 {
            if table.holds(at, &[HolidayScope::Belgium]) {
                found.push(at.to_string());
            }
            at = at.plus_days(1);
        }
        let wanted = "2026-01-01 2026-04-06 2026-05-01 2026-05-14 2026-05-25 2026-07-21 2026-08-15 2026-11-01 2026-11-11 2026-12-25";
        assert_eq!(found.join(" "), wanted);
        let iris = day("2026-05-08");
        assert!(!table.holds(iris, &[HolidayScope::Belgium]));
        assert!(table.holds(iris, &[HolidayScope::Belgium, HolidayScope::Brussels]));
        assert!(!table.holds(day("2003-05-08"), &[HolidayScope::Brussels]));
        for (from, wanted) in [("2026-04-03", "2026-04-07"), ("2026-05-07", "2026-05-08"), ("2026-12-24", "2026-12-28")]
        {
            assert_eq!(table.next_working_day(day(from), &[HolidayScope::Belgium]), day(wanted), "{from}");
        }
    }

    #[test]
    fn windows_hold_between_their_clock_times() {
        let table = holidays();
        let window = |days: &[Weekday], from: &str, to: &str, on_holiday| Window {
            days: days.to_vec(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            on_holiday,
        };
        let working = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];
        let shop = |on_holiday| window(&working, "07:00", "19:00", on_holiday);
        let sunday = window(&[Weekday::Sun], "00:00", "24:00", OnHoliday::AsSunday);
        let night = window(&[Weekday::Sat], "22:00", "06:00", OnHoliday::Same);
        // The clocks go back at 03:00 on 2026-10-25 and forward at 02:00 on 2026-03-29.
        let double = window(&[Weekday::Sun], "02:15", "02:45", OnHoliday::Same);
        for (name, window, at, wanted) in [
            ("start", &shop(OnHoliday::Same), "2026-11-23T06:00:00Z", true),
            ("before", &shop(OnHoliday::Same), "2026-11-23T05:59:59.999999Z", false),
            ("end", &shop(OnHoliday::Same), "2026-11-23T18:00:00Z", false),
            ("last", &shop(OnHoliday::Same), "2026-11-23T17:59:59.999999Z", true),
            ("summer", &shop(OnHoliday::Same), "2026-07-20T05:00:00Z", true),
            ("weekend", &shop(OnHoliday::Same), "2026-11-22T12:00:00Z", false),
            ("holiday as any day", &shop(OnHoliday::Same), "2026-07-21T12:00:00Z", true),
            ("holiday off", &shop(OnHoliday::Off), "2026-07-21T12:00:00Z", false),
            ("holiday as Sunday", &shop(OnHoliday::AsSunday), "2026-07-21T12:00:00Z", false),
            ("holiday is Sunday", &sunday, "2026-07-21T12:00:00Z", true),
            ("Tuesday is not", &sunday, "2026-07-28T12:00:00Z", false),
            ("over midnight", &night, "2026-11-22T04:59:59Z", true),
            ("over midnight, end", &night, "2026-11-22T05:00:00Z", false),
            ("over midnight, wrong day", &night, "2026-11-23T04:00:00Z", false),
            ("25 h night, 7 h of 22 to 6 are 9", &night, "2026-10-25T04:59:59Z", true),
            ("first 02:30", &double, "2026-10-25T00:30:00Z", false),
            ("second 02:30", &double, "2026-10-25T01:30:00Z", false),
            ("no 02:30", &double, "2026-03-29T01:20:00Z", false),
        ] {
            assert_eq!(window.holds(utc(at), &table, &[HolidayScope::Belgium]), wanted, "{name}");
        }
    }

    #[test]
    fn clock_times_are_two_digits_each() {
        for (text, wanted) in [("00:00", Some(0)), ("07:05", Some(425)), ("24:00", Some(1_440))] {
            let clock = text.parse::<Clock>().ok();
            assert_eq!(clock.map(Clock::minutes), wanted, "{text}");
            assert_eq!(clock.map(|clock| clock.to_string()).as_deref(), Some(text));
        }
        for text in ["7:00", "24:01", "12:60", "", "1200", "ab:cd", "+1:00"] {
            assert_eq!(text.parse::<Clock>(), Err(ClockError), "{text}");
        }
    }
}
