//! When a use is unusual, as dated data (`seed/anomalies.toml`), and the sliding windows that are held against it.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use vms_core::{OrgId, Right, UserId, WallTime};

use crate::seed::SeedError;

const FILE: &str = "anomalies.toml";
/// People that are watched at a time; past it the longest quiet one is forgotten.
pub(crate) const PEOPLE_MAX: usize = 20_000;
/// Uses of one person and rule that are kept; past it the oldest goes: the limit of every rule is far below.
const USES_MAX: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<RuleToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleToml {
    name: String,
    counts: String,
    outcome: String,
    rights: Vec<String>,
    window_s: u32,
    limit: u32,
    valid_from: String,
    #[expect(dead_code, reason = "for readers of the file")]
    source: String,
}

/// What a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Leaves.
    Uses,
    /// Different cameras among them.
    Cameras,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnomalyRule {
    /// Its name.
    pub name: String,
    /// What it counts.
    pub counts: Counts,
    /// Uses, or refusals.
    pub is_refusal: bool,
    /// Of which rights.
    pub rights: Vec<Right>,
    /// Seconds.
    pub window_s: u32,
    /// More than this raises the alarm.
    pub limit: u32,
    valid_from: Date,
}

/// The table.
#[derive(Clone, Debug)]
pub struct AnomalyRules {
    rules: Vec<AnomalyRule>,
    zone: TimeZone,
}

impl AnomalyRules {
    /// The table that ships with the program.
    ///
    /// # Errors
    /// [`SeedError`]; a test holds that the shipped file reads.
    pub fn embedded() -> Result<Self, SeedError> {
        Self::parse(include_str!("../../../../seed/anomalies.toml"))
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`SeedError`] names the value.
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        let bad = |value: &str, problem| SeedError::Value { file: FILE, value: value.to_owned(), problem };
        let file: File =
            toml::from_str(text).map_err(|error| SeedError::Syntax { file: FILE, source: error.into() })?;
        let mut rules = Vec::new();
        for row in file.rule {
            let rights: Result<Vec<Right>, _> =
                row.rights.iter().map(|word| word.parse().map_err(|_| bad(word, "is no right"))).collect();
            rules.push(AnomalyRule {
                counts: match row.counts.as_str() {
                    "uses" => Counts::Uses,
                    "cameras" => Counts::Cameras,
                    other => return Err(bad(other, "is nothing to count")),
                },
                is_refusal: match row.outcome.as_str() {
                    "allow" => false,
                    "refuse" => true,
                    other => return Err(bad(other, "is no outcome")),
                },
                rights: rights?,
                window_s: row.window_s,
                limit: row.limit,
                valid_from: row.valid_from.parse().map_err(|_| bad(&row.valid_from, "is no date"))?,
                name: row.name,
            });
            let last = rules.last().filter(|rule| rule.window_s == 0 || rule.limit == 0);
            if let Some(rule) = last {
                return Err(bad(&rule.name, "has an empty window or limit"));
            }
        }
        let zone = TimeZone::get("Europe/Brussels").map_err(|_| bad("Europe/Brussels", "is no time zone"))?;
        Ok(Self { rules, zone })
    }

    /// The rules of an instant: of each name the newest that is in force.
    pub fn at(&self, now: WallTime) -> Vec<&AnomalyRule> {
        let stamp = Timestamp::from_microsecond(now.micros).unwrap_or(Timestamp::MAX);
        let today = stamp.to_zoned(self.zone.clone()).date();
        let mut newest: HashMap<&str, &AnomalyRule> = HashMap::new();
        for rule in self.rules.iter().filter(|rule| rule.valid_from <= today) {
            let slot = newest.entry(rule.name.as_str()).or_insert(rule);
            if rule.valid_from > slot.valid_from {
                *slot = rule;
            }
        }
        let mut rules: Vec<&AnomalyRule> = newest.into_values().collect();
        rules.sort_by(|one, other| one.name.cmp(&other.name));
        rules
    }

    /// The longest window of any rule, seconds.
    pub fn longest_s(&self) -> u32 {
        self.rules.iter().map(|rule| rule.window_s).max().unwrap_or(0)
    }
}

/// One use as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenUse {
    /// When.
    pub at: WallTime,
    /// Who.
    pub user: UserId,
    /// Of which organisation.
    pub org: OrgId,
    /// Which right.
    pub right: Right,
    /// Refused.
    pub is_refusal: bool,
    /// `cam_…`, where it belongs to one.
    pub camera: Option<String>,
}

/// A rule that somebody broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which.
    pub rule: String,
    /// Who.
    pub user: UserId,
    /// Of which organisation.
    pub org: OrgId,
    /// What was counted.
    pub counted: u32,
    /// What is usual at most.
    pub allowed: u32,
    /// Seconds.
    pub window_s: u32,
    /// The use that was one too many.
    pub at: WallTime,
}

#[derive(Debug)]
struct Window {
    org: OrgId,
    uses: VecDeque<(WallTime, Option<String>)>,
}

impl Window {
    fn counted(&self, counts: Counts) -> u32 {
        let count = match counts {
            Counts::Uses => self.uses.len(),
            Counts::Cameras => {
                self.uses.iter().filter_map(|(_, camera)| camera.as_deref()).collect::<HashSet<_>>().len()
            }
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// Uses of everybody within the windows of the rules.
#[derive(Debug, Default)]
pub struct Windows(HashMap<(UserId, String), Window>);

impl Windows {
    /// Takes a use in; the rules that it breaks, each told once until the window has emptied below the limit again.
    pub fn take(&mut self, rules: &[&AnomalyRule], seen: &SeenUse) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for rule in rules.iter().filter(|rule| rule.is_refusal == seen.is_refusal && rule.rights.contains(&seen.right))
        {
            self.make_room();
            let key = (seen.user, rule.name.clone());
            let window = self.0.entry(key).or_insert_with(|| Window { org: seen.org, uses: VecDeque::new() });
            let before = window.counted(rule.counts);
            let from = seen.at.micros.saturating_sub(i64::from(rule.window_s).saturating_mul(1_000_000));
            window.uses.retain(|(at, _)| at.micros > from);
            window.uses.push_back((seen.at, seen.camera.clone()));
            if window.uses.len() > USES_MAX {
                window.uses.pop_front();
            }
            let counted = window.counted(rule.counts);
            if counted > rule.limit && before <= rule.limit {
                breaches.push(Breach {
                    rule: rule.name.clone(),
                    user: seen.user,
                    org: window.org,
                    counted,
                    allowed: rule.limit,
                    window_s: rule.window_s,
                    at: seen.at,
                });
            }
        }
        breaches
    }

    fn make_room(&mut self) {
        if self.0.len() < PEOPLE_MAX {
            return;
        }
        let last = |window: &Window| window.uses.back().map(|(at, _)| *at);
        let quiet = self.0.iter().min_by_key(|(_, window)| last(window)).map(|(key, _)| key.clone());
        if let Some(key) = quiet {
            self.0.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "2026-11-22T12:00:00Z";

    fn at(seconds: i64) -> WallTime {
        WallTime::from_micros(DAY.parse::<Timestamp>().unwrap().as_microsecond() + seconds * 1_000_000)
    }

    fn seen(second: i64, right: Right, camera: &str, is_refusal: bool) -> SeenUse {
        let (user, org) = (UserId::from_bytes([1; 16]), OrgId::from_bytes([2; 16]));
        SeenUse { at: at(second), user, org, right, is_refusal, camera: Some(camera.to_owned()) }
    }

    #[test]
    fn the_shipped_rules_read_and_wrong_ones_are_named() {
        let rules = AnomalyRules::embedded().unwrap();
        assert_eq!(rules.at(at(0)).len(), 5);
        assert!(rules.at(WallTime::from_secs(0)).is_empty(), "none before its day");
        assert_eq!(rules.longest_s(), 3_600);
        let rule = "[[rule]]\nname='r'\ncounts='uses'\noutcome='allow'\nrights=['live']\nwindow_s=1\nlimit=1\nvalid_from='2026-01-01'\nsource=''";
        for (was, is, wanted) in [
            ("'uses'", "'people'", "`people` is nothing to count"),
            ("'allow'", "'perhaps'", "`perhaps` is no outcome"),
            ("['live']", "['fly']", "`fly` is no right"),
            ("limit=1", "limit=0", "`r` has an empty window or limit"),
            ("2026-01-01", "soon", "`soon` is no date"),
        ] {
            let told = AnomalyRules::parse(&rule.replace(was, is)).unwrap_err().to_string();
            assert!(told.contains(wanted), "{told}");
        }
    }

    #[test]
    fn windows_slide_and_tell_once() {
        let rules = AnomalyRules::embedded().unwrap();
        let rules = rules.at(at(0));
        let mut windows = Windows::default();
        let searches = |windows: &mut Windows, seconds: std::ops::Range<i64>| {
            seconds.flat_map(|second| windows.take(&rules, &seen(second, Right::ReadsSearch, "c", false))).count()
        };
        assert_eq!(searches(&mut windows, 0..20), 0, "twenty are usual");
        assert_eq!(searches(&mut windows, 20..40), 1, "the next one is told, and those after it are the same alarm");
        assert_eq!(searches(&mut windows, 2_000..2_020), 0, "much later it begins anew");
        assert_eq!(searches(&mut windows, 2_020..2_021), 1);
        // One camera a thousand times is a wall; 151 cameras are not.
        let mut wall = Windows::default();
        let same = (0..590).flat_map(|second| wall.take(&rules, &seen(second, Right::Live, "c1", false))).count();
        let many = (0..151).flat_map(|n| wall.take(&rules, &seen(590, Right::Live, &format!("x{n}"), false)));
        let many: Vec<Breach> = many.collect();
        assert_eq!((same, many.len(), many[0].rule.as_str()), (0, 1, "many_cameras"));
        assert_eq!((many[0].counted, many[0].allowed), (151, 150));
        let doors = (0..26).flat_map(|n| wall.take(&rules, &seen(n, Right::Playback, "c", true))).count();
        assert_eq!(doors, 1);
    }
}
