//! The law of the statistics as data: `seed/statistics.toml`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use vms_core::{Purpose, WallTime};

use crate::seed::SeedError;

const FILE: &str = "statistics.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    feed: Vec<RawFeed>,
    publication: RawPublication,
    retention: RawRetention,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFeed {
    purpose: String,
    feeds: bool,
    valid_from: String,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPublication {
    vehicles_min: usize,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetention {
    class: String,
    keep_days: u32,
    source: String,
}

#[derive(Clone, Debug)]
struct Feed {
    purpose: Purpose,
    feeds: bool,
    valid_from: Date,
}

/// Which copies of reads may feed statistics, and how long the published numbers are kept.
#[derive(Clone, Debug)]
pub struct FeedRules {
    feeds: Vec<Feed>,
    keep_days: u32,
}

impl FeedRules {
    /// The rules that ship with the program.
    ///
    /// # Errors
    /// [`SeedError`]; a test holds that the shipped file reads.
    pub fn embedded() -> Result<Self, SeedError> {
        Self::parse(include_str!("../../../../seed/statistics.toml"))
    }

    /// Reads rules.
    ///
    /// # Errors
    /// [`SeedError`] names the value.
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        let raw: Raw = toml::from_str(text).map_err(|error| SeedError::Syntax { file: FILE, source: error.into() })?;
        let wrong = |value: &str, problem| SeedError::Value { file: FILE, value: value.to_owned(), problem };
        let sources = raw.feed.iter().map(|feed| &feed.source);
        if sources.chain([&raw.publication.source, &raw.retention.source]).any(|source| source.trim().is_empty()) {
            return Err(wrong("source", "must say where the rule stands"));
        }
        // The guarantee is built for this number; another one is another program.
        if raw.publication.vehicles_min != ::statistics::VEHICLES_MIN {
            return Err(wrong("vehicles_min", "is not what the accumulator guarantees"));
        }
        if raw.retention.class != "RC-MOB" {
            return Err(wrong(&raw.retention.class, "is not the class of published statistics"));
        }
        let feed = |feed: RawFeed| {
            let purpose = feed.purpose.parse().map_err(|_| wrong(&feed.purpose, "is no purpose"))?;
            let valid_from = feed.valid_from.parse().map_err(|_| wrong(&feed.valid_from, "is no day"))?;
            Ok(Feed { purpose, feeds: feed.feeds, valid_from })
        };
        let feeds = raw.feed.into_iter().map(feed).collect::<Result<Vec<_>, SeedError>>()?;
        Ok(Self { feeds, keep_days: raw.retention.keep_days })
    }

    /// Whether copies for this purpose feed statistics on that day (in Brussels).
    pub fn feeds(&self, purpose: Purpose, at: WallTime) -> bool {
        let zone = TimeZone::get("Europe/Brussels").unwrap_or(TimeZone::UTC);
        let day = Timestamp::from_microsecond(at.micros).map_or(Date::ZERO, |instant| instant.to_zoned(zone).date());
        let rows = self.feeds.iter().filter(|feed| feed.purpose == purpose && feed.valid_from <= day);
        rows.max_by_key(|feed| feed.valid_from).is_some_and(|feed| feed.feeds)
    }

    /// Days that published numbers are kept; `None`: without end. `site` (0: none) is the operator's shorter term.
    pub fn keep_days(&self, site: u32) -> Option<u32> {
        match (self.keep_days, site) {
            (0, 0) => None,
            (0, days) | (days, 0) => Some(days),
            (law, site) => Some(law.min(site)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_feed_from_administrative_copies_only() {
        let rules = FeedRules::embedded().unwrap();
        let now = WallTime::from_secs(1_795_305_600);
        for purpose in Purpose::ALL {
            let wanted = matches!(purpose, Purpose::Lez | Purpose::Zbt);
            assert_eq!(rules.feeds(*purpose, now), wanted, "{purpose:?}");
            assert!(!rules.feeds(*purpose, WallTime::from_secs(1_400_000_000)), "before any row");
        }
        assert_eq!((rules.keep_days(0), rules.keep_days(400)), (None, Some(400)));
    }

    #[test]
    fn the_newest_row_counts_and_nonsense_is_refused() {
        let text = include_str!("../../../../seed/statistics.toml");
        let stop = "\n[[feed]]\npurpose = \"LEZ\"\nfeeds = false\nvalid_from = \"2026-12-01\"\nsource = \"s\"\n";
        let rules = FeedRules::parse(&format!("{text}{stop}")).unwrap();
        // 2026-11-30T22:30:00Z is November in Brussels, an hour later it is December.
        for (second, wanted) in [(1_796_077_800, true), (1_796_081_400, false)] {
            assert_eq!(rules.feeds(Purpose::Lez, WallTime::from_secs(second)), wanted);
        }
        for (from, to) in [
            ("vehicles_min = 5", "vehicles_min = 4"),
            ("RC-MOB\"", "RC-LEZ-OK\""),
            ("purpose = \"ZBT\"", "purpose = \"ADVERTISING\""),
            ("[unconfirmed]\"", "\"\nsecret = \"\""),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(FeedRules::parse(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
