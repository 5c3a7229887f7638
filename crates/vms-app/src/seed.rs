//! Law and house rules as dated data: organisations, retention classes, rules for accounts and sessions (`seed/*.toml`).

use std::time::Duration;

use jiff::civil::Date;
use jiff::{Span, Timestamp, tz::TimeZone};
use serde::Deserialize;
use vms_core::{RetentionClass, WallTime};

use crate::error::BoxError;
use crate::words::OrgKind;

/// Seed data that does not read.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Not TOML of the expected shape.
    #[error("the seed file `{file}` does not parse")]
    Syntax {
        /// Which file.
        file: &'static str,
        /// Where and why.
        #[source]
        source: BoxError,
    },
    /// A value that breaks a rule.
    #[error("the seed file `{file}`: `{value}` {problem}")]
    Value {
        /// Which file.
        file: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// One organisation of the seed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrgSeed {
    /// Short code.
    pub code: String,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
    /// Word of [`OrgKind`].
    pub kind: String,
    /// First day on which it exists.
    pub valid_from: String,
    /// Where it stands.
    pub source: String,
}

impl OrgSeed {
    /// The kind; checked by [`organisations`].
    pub fn org_kind(&self) -> OrgKind {
        self.kind.parse().unwrap_or(OrgKind::Partner)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrgFile {
    org: Vec<OrgSeed>,
}

/// The organisations of the region.
///
/// # Errors
/// [`SeedError`]; a test holds that the shipped file reads.
pub fn organisations() -> Result<Vec<OrgSeed>, SeedError> {
    const FILE: &str = "organisations.toml";
    let file: OrgFile = toml::from_str(include_str!("../../../seed/organisations.toml"))
        .map_err(|error| SeedError::Syntax { file: FILE, source: error.into() })?;
    for org in &file.org {
        if org.kind.parse::<OrgKind>().is_err() {
            return Err(SeedError::Value { file: FILE, value: org.kind.clone(), problem: "is no kind" });
        }
    }
    Ok(file.org)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetentionFile {
    class: Vec<ClassToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassToml {
    code: String,
    keep_hours: u32,
    bound: String,
    valid_from: String,
    valid_until: Option<String>,
    is_video: bool,
    /// Second term, behind the magistrate's gate, from the start on.
    gated: Option<String>,
    /// All of the class moves, not only what a decision names.
    #[serde(default)]
    gated_whole: bool,
    #[expect(dead_code, reason = "for readers of the file")]
    source: String,
}

#[derive(Clone, Debug)]
struct Term {
    code: RetentionClass,
    keep_hours: u32,
    bound: Span,
    valid_from: Date,
    valid_until: Option<Date>,
    is_video: bool,
    gated: Option<Span>,
    gated_whole: bool,
}

/// How long footage of a class is kept, by the day.
#[derive(Clone, Debug)]
pub struct RetentionTable {
    terms: Vec<Term>,
}

impl RetentionTable {
    /// The table that ships with the program.
    ///
    /// # Errors
    /// [`SeedError`]; a test holds that the shipped file reads.
    pub fn embedded() -> Result<Self, SeedError> {
        Self::parse(include_str!("../../../seed/retention.toml"))
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`SeedError`] names the value.
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        const FILE: &str = "retention.toml";
        let bad = |value: &str, problem| SeedError::Value { file: FILE, value: value.to_owned(), problem };
        let file: RetentionFile =
            toml::from_str(text).map_err(|error| SeedError::Syntax { file: FILE, source: error.into() })?;
        let mut terms = Vec::new();
        for row in file.class {
            let valid_until = match &row.valid_until {
                None => None,
                Some(day) => Some(day.parse().map_err(|_| bad(day, "is no date"))?),
            };
            let gated = match &row.gated {
                None => None,
                Some(span) => Some(span.parse().map_err(|_| bad(span, "is no ISO 8601 span"))?),
            };
            if row.gated_whole && gated.is_none() {
                return Err(bad(&row.code, "moves as a whole and has no second term"));
            }
            if row.gated_whole && !row.is_video {
                return Err(bad(
                    &row.code,
                    "moves as a whole and is no footage: reads stay by a decision that names a camera",
                ));
            }
            terms.push(Term {
                gated,
                gated_whole: row.gated_whole,
                code: RetentionClass::parse(&row.code).ok_or_else(|| bad(&row.code, "is no class"))?,
                keep_hours: row.keep_hours,
                bound: row.bound.parse().map_err(|_| bad(&row.bound, "is no ISO 8601 span"))?,
                valid_from: row.valid_from.parse().map_err(|_| bad(&row.valid_from, "is no date"))?,
                valid_until,
                is_video: row.is_video,
            });
        }
        Ok(Self { terms })
    }

    /// Whether `class` is a class of footage that is known at `now`.
    pub fn is_video(&self, class: &RetentionClass, now: WallTime) -> bool {
        today(now).is_some_and(|day| self.term(class, day).is_some_and(|term| term.is_video))
    }

    /// Seconds that footage of `class` is kept, seen from `now`; `None` for an unknown class.
    ///
    /// The class's hours, but never past its legal bound counted back on the calendar from today: with a bound of one
    /// month, what was recorded on 1 February is gone on 1 March, after 28 days (`domain.md` D6, note).
    pub fn keep_s(&self, class: &RetentionClass, now: WallTime) -> Option<u64> {
        let day = today(now)?;
        let term = self.term(class, day)?;
        Some((u64::from(term.keep_hours) * 3_600).min(back_s(day, term.bound)?))
    }

    /// Seconds that footage of `class` may be kept with its second term, behind the magistrate's gate, seen from `now`; `None` where it
    /// has none. Counted back on the calendar, and never past the legal bound.
    pub fn gated_s(&self, class: &RetentionClass, now: WallTime) -> Option<u64> {
        let day = today(now)?;
        let term = self.term(class, day)?;
        Some(back_s(day, term.gated?)?.min(back_s(day, term.bound)?))
    }

    /// When something of `class` that was made at `from` ends with its second term: on the calendar, forward from that day, and never later than
    /// [`Self::gated_s`] says today. `None` where the class has no second term.
    pub fn gated_until(&self, class: &RetentionClass, from: WallTime, now: WallTime) -> Option<WallTime> {
        let zone = TimeZone::get("Europe/Brussels").ok()?;
        let span = self.term(class, today(now)?)?.gated?;
        let forward = Timestamp::from_microsecond(from.micros).ok()?.to_zoned(zone).checked_add(span).ok()?;
        let seconds = i64::try_from(self.gated_s(class, now)?).ok()?;
        let counted = from.micros.saturating_add(seconds.saturating_mul(1_000_000));
        Some(WallTime::from_micros(forward.timestamp().as_microsecond().min(counted)))
    }

    /// Classes that move behind the gate as a whole, with the day since when and both terms together in seconds.
    pub fn gated_whole(&self, now: WallTime) -> Vec<(RetentionClass, String, u64)> {
        let Some(day) = today(now) else { return Vec::new() };
        let classes: std::collections::BTreeSet<&str> = self.terms.iter().map(|term| term.code.as_str()).collect();
        let whole = |code: &str| {
            let class = RetentionClass::parse(code)?;
            let term = self.term(&class, day).filter(|term| term.gated_whole)?;
            Some((class.clone(), term.valid_from.to_string(), self.gated_s(&class, now)?))
        };
        classes.into_iter().filter_map(whole).collect()
    }

    fn term(&self, class: &RetentionClass, day: Date) -> Option<&Term> {
        self.terms
            .iter()
            .filter(|term| term.code == *class && term.valid_from <= day)
            .filter(|term| term.valid_until.is_none_or(|until| day < until))
            .max_by_key(|term| term.valid_from)
    }
}

/// Seconds of the whole days from a span before `day` until it.
fn back_s(day: Date, span: Span) -> Option<u64> {
    let oldest = day.checked_sub(span).ok()?;
    let days = u64::try_from(oldest.until(day).ok()?.get_days()).ok()?;
    Some(days * 86_400)
}

/// The day in Brussels: legal terms run on the local calendar.
fn today(now: WallTime) -> Option<Date> {
    let zone = TimeZone::get("Europe/Brussels").ok()?;
    Some(Timestamp::from_microsecond(now.micros).ok()?.to_zoned(zone).date())
}

/// The day in Brussels as `YYYY-MM-DD`; empty outside the calendar's range.
pub fn today_text(now: WallTime) -> String {
    today(now).map(|day| day.to_string()).unwrap_or_default()
}

/// Whether a text is a day, `YYYY-MM-DD`.
pub fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<Date>().is_ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountToml {
    session_idle_minutes: u64,
    session_hours: u64,
    unused_days: u64,
    one_time_password_hours: u64,
    #[expect(dead_code, reason = "for readers of the file")]
    source: Vec<String>,
}

/// Rules for accounts and sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRules {
    /// A session without requests ends after this.
    pub session_idle: Duration,
    /// Any session ends after this.
    pub session_life: Duration,
    /// An account that was not used for this long opens no session.
    pub unused: Duration,
    /// A one-time password that was not used for this long is dead.
    pub one_time: Duration,
}

impl AccountRules {
    /// The rules that ship with the program.
    ///
    /// # Errors
    /// [`SeedError`]; a test holds that the shipped file reads.
    pub fn embedded() -> Result<Self, SeedError> {
        let raw: AccountToml = toml::from_str(include_str!("../../../seed/accounts.toml"))
            .map_err(|error| SeedError::Syntax { file: "accounts.toml", source: error.into() })?;
        Ok(Self {
            session_idle: Duration::from_secs(raw.session_idle_minutes * 60),
            session_life: Duration::from_secs(raw.session_hours * 3_600),
            unused: Duration::from_secs(raw.unused_days * 86_400),
            one_time: Duration::from_secs(raw.one_time_password_hours * 3_600),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_files_read() {
        assert!(organisations().unwrap().iter().any(|org| org.code == "5340"));
        assert_eq!(AccountRules::embedded().unwrap().session_idle, Duration::from_secs(900));
        RetentionTable::embedded().unwrap();
    }

    #[test]
    fn terms_never_pass_the_month() {
        let table = RetentionTable::embedded().unwrap();
        let at = |text: &str| WallTime::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond());
        let days = |class: &str, now: &str| {
            table.keep_s(&RetentionClass::parse(class).unwrap(), at(now)).map(|seconds| seconds / 86_400)
        };
        for (class, now, wanted) in [
            ("RC-VID-OPEN", "2026-11-22T12:00:00Z", Some(30)),
            ("RC-VID-OPEN", "2027-03-01T12:00:00Z", Some(28)),
            ("RC-VID-OPEN", "2027-03-28T12:00:00Z", Some(28)),
            ("RC-VID-OPEN", "2027-02-28T23:30:00Z", Some(28)),
            ("RC-VID-OPEN", "2028-03-01T12:00:00Z", Some(29)),
            ("RC-VID-MIVB", "2026-11-22T12:00:00Z", Some(0)),
            ("RC-VID-POL", "2026-11-22T12:00:00Z", Some(30)),
            ("RC-NOT-THERE", "2026-11-22T12:00:00Z", None),
            ("RC-VID-OPEN", "2006-11-22T12:00:00Z", None),
        ] {
            assert_eq!(days(class, now), wanted, "{class} {now}");
        }
        assert!(table.is_video(&RetentionClass::parse("RC-VID-OPEN").unwrap(), at("2026-11-22T12:00:00Z")));
        assert!(!table.is_video(&RetentionClass::parse("RC-LEZ-FINE").unwrap(), at("2026-11-22T12:00:00Z")));
    }

    #[test]
    fn the_second_term_is_counted_on_the_calendar_and_ends_at_the_bound() {
        let at = |text: &str| WallTime::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond());
        let table = RetentionTable::embedded().unwrap();
        let days = |table: &RetentionTable, class: &str, now: &str| {
            table.gated_s(&RetentionClass::parse(class).unwrap(), at(now)).map(|seconds| seconds / 86_400)
        };
        for (class, now, wanted) in [
            ("RC-VID-POL", "2026-11-22T12:00:00Z", Some(365)),
            ("RC-VID-POL", "2028-02-28T12:00:00Z", Some(365)),
            // What was recorded on 28 February died the day before.
            ("RC-VID-POL", "2028-02-29T12:00:00Z", Some(366)),
            ("RC-VID-POL", "2028-03-01T12:00:00Z", Some(366)),
            ("RC-VID-OPEN", "2026-11-22T12:00:00Z", None),
            ("RC-VID-RISK", "2026-11-22T12:00:00Z", None),
        ] {
            assert_eq!(days(&table, class, now), wanted, "{class} {now}");
        }
        assert!(table.gated_whole(at("2026-11-22T12:00:00Z")).is_empty(), "the shipped table moves nothing by itself");
        let row = |more: &str| {
            format!(
                "[[class]]\ncode='RC-VID-X'\nkeep_hours=1\nbound='P3M'\nvalid_from='2026-01-01'\nis_video=true\nsource=''\n{more}"
            )
        };
        let whole = RetentionTable::parse(&row("gated='P12M'\ngated_whole=true")).unwrap();
        assert_eq!(days(&whole, "RC-VID-X", "2026-11-22T12:00:00Z"), Some(92), "never past the bound");
        let found = whole.gated_whole(at("2026-11-22T12:00:00Z"));
        assert_eq!(found, [(RetentionClass::parse("RC-VID-X").unwrap(), "2026-01-01".to_owned(), 92 * 86_400)]);
        assert!(RetentionTable::parse(&row("gated_whole=true")).unwrap_err().to_string().contains("no second term"));
        let reads = row("gated='P12M'\ngated_whole=true").replace("is_video=true", "is_video=false");
        assert!(RetentionTable::parse(&reads).unwrap_err().to_string().contains("is no footage"));
    }

    #[test]
    fn the_second_term_of_a_read_ends_on_its_own_day_a_year_later_at_the_latest() {
        let at = |text: &str| WallTime::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond());
        let table = RetentionTable::embedded().unwrap();
        for (from, now, wanted) in [
            ("2026-11-22T12:00:00Z", "2026-12-22T11:00:00Z", "2027-11-22T12:00:00Z"),
            // The leap day between now and a year ago counts no day more than the calendar gives.
            ("2028-03-01T12:00:00Z", "2028-03-31T12:00:00Z", "2029-03-01T12:00:00Z"),
            ("2028-02-29T12:00:00Z", "2028-03-30T12:00:00Z", "2029-02-28T12:00:00Z"),
            ("2027-03-01T12:00:00Z", "2027-03-31T12:00:00Z", "2028-02-29T12:00:00Z"),
        ] {
            let class = RetentionClass::parse("RC-ANPR-POL").unwrap();
            assert_eq!(table.gated_until(&class, at(from), at(now)), Some(at(wanted)), "{from}");
        }
        let none = RetentionClass::parse("RC-LEZ-OK").unwrap();
        assert_eq!(table.gated_until(&none, at("2026-11-22T12:00:00Z"), at("2026-11-23T12:00:00Z")), None);
    }

    #[test]
    fn wrong_tables_are_named() {
        let row = |bound: &str, from: &str| {
            format!(
                "[[class]]\ncode='RC-VID-X'\nkeep_hours=1\nbound='{bound}'\nvalid_from='{from}'\nis_video=true\nsource=''\n"
            )
        };
        for (text, wanted) in [
            (row("a month", "2026-01-01"), "`a month` is no ISO 8601 span"),
            (row("P1M", "1-1-26"), "`1-1-26` is no date"),
            ("nonsense".to_owned(), "does not parse"),
        ] {
            assert!(RetentionTable::parse(&text).unwrap_err().to_string().contains(wanted));
        }
    }
}
