//! A calendar of its own: days since 1970-01-01, counted year by year, and the clock of Brussels by the rule of the directive:
//! summer time from the last Sunday of March, 01:00 UTC, to the last Sunday of October, 01:00 UTC.

/// Microseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;

fn leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date from 1900 on.
pub(crate) fn number(year: i64, month: i64, day: i64) -> i64 {
    let mut days = 0;
    for past in 1970..year {
        days += if leap(past) { 366 } else { 365 };
    }
    for coming in year..1970 {
        days -= if leap(coming) { 366 } else { 365 };
    }
    (1..month).map(|past| month_length(year, past)).sum::<i64>() + days + day - 1
}

/// Year, month, day.
pub(crate) fn date(number: i64) -> (i64, i64, i64) {
    let (mut year, mut left) = (1970, number);
    while left < 0 {
        year -= 1;
        left += if leap(year) { 366 } else { 365 };
    }
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let mut month = 1;
    while left >= month_length(year, month) {
        left -= month_length(year, month);
        month += 1;
    }
    (year, month, left + 1)
}

pub(crate) fn year(number: i64) -> i64 {
    date(number).0
}

/// The same day of the month later, or the month's last day.
pub(crate) fn plus_months(number_of: i64, months: i64) -> i64 {
    let (year, month, day) = date(number_of);
    let count = year * 12 + month - 1 + months;
    let (year, month) = (count / 12, count % 12 + 1);
    number(year, month, day.min(month_length(year, month)))
}

/// 0 is Monday. 1970-01-01 was a Thursday.
pub(crate) fn weekday(number: i64) -> i64 {
    (number + 3).rem_euclid(7)
}

fn last_sunday(year: i64, month: i64) -> i64 {
    let mut day = number(year, month, month_length(year, month));
    while weekday(day) != 6 {
        day -= 1;
    }
    day
}

/// Hours that the clock of Brussels is ahead.
fn offset_hours(at: i64) -> i64 {
    let year = year(at.div_euclid(DAY));
    let from = last_sunday(year, 3) * DAY + 3_600 * SECOND;
    let to = last_sunday(year, 10) * DAY + 3_600 * SECOND;
    if (from..to).contains(&at) { 2 } else { 1 }
}

/// The day in Brussels, and the microsecond of its clock.
pub(crate) fn local(at: i64) -> (i64, i64) {
    let shifted = at + offset_hours(at) * 3_600 * SECOND;
    (shifted.div_euclid(DAY), shifted.rem_euclid(DAY))
}

/// The instants at which the clock shows that minute of that day; two or none on the nights of the clocks.
fn instants(day: i64, minute: i64) -> Vec<i64> {
    let shown = day * DAY + minute * 60 * SECOND;
    let candidates = [shown - 7_200 * SECOND, shown - 3_600 * SECOND];
    candidates.into_iter().filter(|at| local(*at) == (shown.div_euclid(DAY), shown.rem_euclid(DAY))).collect()
}

/// The earlier instant; where the clock never shows the minute, the one before the gap that many minutes on.
pub(crate) fn earlier(day: i64, minute: i64) -> i64 {
    let shown = day * DAY + minute * 60 * SECOND;
    instants(day, minute).first().copied().unwrap_or(shown - 7_200 * SECOND)
}

/// The later instant.
pub(crate) fn later(day: i64, minute: i64) -> i64 {
    let shown = day * DAY + minute * 60 * SECOND;
    instants(day, minute).last().copied().unwrap_or(shown - 3_600 * SECOND)
}

/// First instant of a day in Brussels.
pub(crate) fn midnight(day: i64) -> i64 {
    earlier(day, 0)
}

/// Easter Sunday by the Church's own steps: golden number, century, corrections, epact, full moon, next Sunday.
pub(crate) fn easter(year: i64) -> i64 {
    let golden = year % 19 + 1;
    let century = year / 100 + 1;
    let dropped = 3 * century / 4 - 12;
    let synchrony = (8 * century + 5) / 25 - 5;
    let sunday = 5 * year / 4 - dropped - 10;
    let mut epact = (11 * golden + 20 + synchrony - dropped).rem_euclid(30);
    if (epact == 25 && golden > 11) || epact == 24 {
        epact += 1;
    }
    let mut moon = 44 - epact;
    if moon < 21 {
        moon += 30;
    }
    let day = moon + 7 - (sunday + moon) % 7;
    number(year, 3, 1) + day - 1
}

#[test]
fn the_calendar_agrees_with_known_days() {
    assert_eq!((number(1970, 1, 1), number(2000, 3, 1), number(2026, 11, 23)), (0, 11_017, 20_780));
    assert_eq!(date(20_780), (2026, 11, 23));
    assert_eq!(date(number(1930, 7, 21)), (1930, 7, 21));
    assert_eq!((weekday(20_780), plus_months(number(2025, 11, 30), 3)), (0, number(2026, 2, 28)));
    for (year, month, day) in [(2026, 4, 5), (2025, 4, 20), (2008, 3, 23), (2038, 4, 25), (1981, 4, 19)] {
        assert_eq!(easter(year), number(year, month, day));
    }
    assert_eq!(midnight(number(2026, 7, 1)), number(2026, 6, 30) * DAY + 22 * 3_600 * SECOND);
    let autumn = number(2026, 10, 25);
    assert_eq!(later(autumn, 150) - earlier(autumn, 150), 3_600 * SECOND);
}
