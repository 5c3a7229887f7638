//! What all tables share: how a bad one is reported, how a set of them gets its version.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::day::Day;

/// Why a table cannot be used. Names the file, the row or entry, and the problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// The text is not CSV or TOML of the expected shape.
    #[error("`{file}` cannot be read: {problem}")]
    Syntax {
        /// Name of the file.
        file: &'static str,
        /// What the parser says, with its line.
        problem: String,
    },
    /// One row of a CSV file breaks a rule of the table.
    #[error("`{file}` line {line}, rule `{rule}`: {problem}")]
    Row {
        /// Name of the file.
        file: &'static str,
        /// Line in the file, from 1.
        line: u64,
        /// The rule that the row states.
        rule: String,
        /// What is wrong.
        problem: String,
    },
    /// One entry of a TOML file breaks a rule of the table.
    #[error("`{file}`, entry `{entry}`: {problem}")]
    Entry {
        /// Name of the file.
        file: &'static str,
        /// Code or id of the entry.
        entry: String,
        /// What is wrong.
        problem: String,
    },
}

impl SeedError {
    pub(crate) fn entry(file: &'static str, entry: &str, problem: impl Into<String>) -> Self {
        Self::Entry { file, entry: entry.to_owned(), problem: problem.into() }
    }
}

/// SHA-256 over the canonical texts of a set of tables, as 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleSetVersion(String);

impl RuleSetVersion {
    /// Over names and texts in the given order. Canonical means: line ends as LF, no byte-order mark, no blank at a line's end.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hasher = Sha256::new();
        for (name, text) in files {
            let mut canonical = String::with_capacity(text.len());
            for line in text.trim_start_matches('\u{feff}').lines() {
                canonical.push_str(line.trim_end());
                canonical.push('\n');
            }
            // Lengths keep the border between two files from moving.
            hasher.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(name.as_bytes());
            hasher.update(u64::try_from(canonical.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(canonical.as_bytes());
        }
        Self(hex::encode(hasher.finalize()))
    }

    /// 64 lower-case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Declares the texts of one family of tables, from `seed/DIR`: a field for each file, the texts embedded at build time, the version
/// over all of them, and the loading of the embedded ones by the family's `RuleSet`.
macro_rules! seed_texts {
    ($dir:literal: $($field:ident = $file:literal),+ $(,)?) => {
        /// The seed texts.
        #[derive(Clone, Copy, Debug)]
        pub struct SeedTexts<'a> {
            $(#[doc = concat!("`", $file, "`.")] pub $field: &'a str,)+
        }

        impl SeedTexts<'static> {
            /// The texts that were embedded at build time.
            pub const fn embedded() -> Self {
                Self { $($field: include_str!(concat!("../../../../seed/", $dir, "/", $file)),)+ }
            }
        }

        impl SeedTexts<'_> {
            fn version(&self) -> $crate::seed::RuleSetVersion {
                $crate::seed::RuleSetVersion::of([$(($file, self.$field)),+])
            }
        }

        impl RuleSet {
            /// The tables that were embedded at build time.
            ///
            /// # Panics
            /// Never in a build whose tests passed: a test loads the same texts.
            pub fn embedded() -> Self {
                Self::load(SeedTexts::embedded()).expect("the embedded tables should be sound: a test loads them")
            }

            /// As [`RuleSet::embedded`], read once in the life of the program.
            pub fn embedded_once() -> &'static Self {
                static SET: std::sync::LazyLock<RuleSet> = std::sync::LazyLock::new(RuleSet::embedded);
                &SET
            }

            /// SHA-256 over the canonical texts.
            pub fn version(&self) -> &$crate::seed::RuleSetVersion {
                &self.version
            }
        }
    };
}
pub(crate) use seed_texts;

/// A day as TOML writes it, without quotes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "toml::value::Datetime")]
pub(crate) struct TomlDay(pub(crate) Day);

impl TryFrom<toml::value::Datetime> for TomlDay {
    type Error = &'static str;

    fn try_from(raw: toml::value::Datetime) -> Result<Self, Self::Error> {
        let (Some(date), None, None) = (raw.date, raw.time, raw.offset) else {
            return Err("expected a date without a time");
        };
        let year = i16::try_from(date.year).map_err(|_| "no such date")?;
        let month = i8::try_from(date.month).map_err(|_| "no such date")?;
        let day = i8::try_from(date.day).map_err(|_| "no such date")?;
        Day::new(year, month, day).map(Self).ok_or("no such date")
    }
}

/// A span of days, both ends inside; open when it has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First day.
    pub from: Day,
    /// Last day.
    pub to: Option<Day>,
}

impl Validity {
    pub(crate) fn new(from: Day, to: Option<Day>) -> Result<Self, String> {
        match to {
            Some(to) if to < from => Err(format!("ends on {to}, before it starts on {from}")),
            Some(_) | None => Ok(Self { from, to }),
        }
    }

    pub(crate) fn of_toml(from: TomlDay, to: Option<TomlDay>) -> Result<Self, String> {
        Self::new(from.0, to.map(|day| day.0))
    }

    /// Whether the day lies inside.
    pub fn holds(&self, day: Day) -> bool {
        self.from <= day && self.to.is_none_or(|to| day <= to)
    }

    /// Whether the two share a day.
    pub fn overlaps(&self, other: &Self) -> bool {
        other.to.is_none_or(|to| self.from <= to) && self.to.is_none_or(|to| other.from <= to)
    }
}

/// Whether any two of these share a day.
pub(crate) fn overlap<'a>(spans: impl IntoIterator<Item = &'a Validity>) -> bool {
    let spans: Vec<_> = spans.into_iter().collect();
    spans.iter().enumerate().any(|(at, one)| spans.iter().skip(at + 1).any(|other| one.overlaps(other)))
}

pub(crate) fn read_toml<T: DeserializeOwned>(file: &'static str, text: &str) -> Result<T, SeedError> {
    toml::from_str(text)
        .map_err(|error| SeedError::Syntax { file, problem: error.to_string().trim().replace('\n', " ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_ignores_line_ends_and_sees_everything_else() {
        let version = |text| RuleSetVersion::of([("a", text), ("b", "x")]);
        assert_eq!(version("one\ntwo\n"), version("\u{feff}one \r\ntwo"));
        assert_ne!(version("one\ntwo\n"), version("one\ntow\n"));
        assert_ne!(RuleSetVersion::of([("a", "x"), ("b", "y")]), RuleSetVersion::of([("b", "x"), ("a", "y")]));
        assert_eq!(version("").as_str().len(), 64);
    }

    #[test]
    fn spans_of_days_have_both_ends_inside() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let span = Validity::new(day("2026-01-01"), Some(day("2026-06-30"))).unwrap();
        assert!(span.holds(day("2026-01-01")) && span.holds(day("2026-06-30")) && !span.holds(day("2026-07-01")));
        let next = Validity::new(day("2026-07-01"), None).unwrap();
        let clash = Validity::new(day("2026-06-30"), None).unwrap();
        assert!(!overlap([&span, &next]) && overlap([&span, &clash]));
        assert!(Validity::new(day("2026-01-02"), Some(day("2026-01-01"))).is_err());
    }
}
