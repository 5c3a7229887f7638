//! All tables of the low-emission zone together, with one version.

use super::exemption::{self, Exemption};
use super::fine::FineTable;
use super::norm::NormTable;
use super::rule::{self, Categories, Rule};
use super::segment::Territory;
use crate::day::Day;
use crate::seed::{RuleSetVersion, SeedError, seed_texts};

seed_texts!("lez": rules = "rules.csv", exemptions = "exemptions.toml", fines = "fines.toml", norms = "norms.toml", segments = "segments.toml");

/// The tables of the low-emission zone.
#[derive(Clone, Debug)]
pub struct RuleSet {
    pub(crate) rules: Vec<Rule>,
    pub(crate) exemptions: Vec<Exemption>,
    pub(crate) fines: FineTable,
    pub(crate) norms: NormTable,
    pub(crate) territory: Territory,
    version: RuleSetVersion,
}

impl RuleSet {
    /// Reads tables.
    ///
    /// # Errors
    /// [`SeedError`] names the file, the row or entry, and the problem.
    pub fn load(texts: SeedTexts<'_>) -> Result<Self, SeedError> {
        let norms = NormTable::load(texts.norms)?;
        let version = texts.version();
        Ok(Self {
            rules: rule::load(texts.rules, &norms)?,
            exemptions: exemption::load(texts.exemptions)?,
            fines: FineTable::load(texts.fines)?,
            territory: Territory::load(texts.segments)?,
            norms,
            version,
        })
    }

    /// The criteria table.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Fines, passes and registration.
    pub fn fines(&self) -> &FineTable {
        &self.fines
    }

    /// Norms, fuels and classes.
    pub fn norms(&self) -> &NormTable {
        &self.norms
    }

    /// The rows of a category in force on that day, whatever the fuel or class.
    pub(crate) fn rules_on(&self, day: Day, category: &str) -> Vec<&Rule> {
        let listed = self.lists(category);
        let covers = |rule: &&Rule| match &rule.categories {
            Categories::Any => listed,
            Categories::NotListed => !listed,
            Categories::Listed(list) => list.iter().any(|known| known == category),
        };
        self.rules.iter().filter(|rule| rule.validity.holds(day)).filter(covers).collect()
    }

    /// The row of one rule on that day.
    pub(crate) fn row(&self, id: &super::RuleId, day: Day) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == *id && rule.validity.holds(day))
    }

    fn lists(&self, category: &str) -> bool {
        self.rules.iter().any(
            |rule| matches!(&rule.categories, Categories::Listed(list) if list.iter().any(|known| known == category)),
        )
    }
}

/// Reads any bytes as each of the tables: never panics. For fuzzing.
pub fn fuzz_tables(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let good = SeedTexts::embedded();
    for texts in [
        SeedTexts { rules: &text, ..good },
        SeedTexts { exemptions: &text, ..good },
        SeedTexts { fines: &text, ..good },
        SeedTexts { norms: &text, ..good },
        SeedTexts { segments: &text, ..good },
    ] {
        drop(RuleSet::load(texts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_tables_hold_all_twenty_rules_to_2036() {
        let set = RuleSet::embedded();
        let day = "2036-06-01".parse::<Day>().unwrap();
        for number in 1..=20 {
            let id = super::super::RuleId::new(format!("LEZ-{number:02}"));
            assert!(set.row(&id, day).is_some(), "{id}");
        }
        assert_eq!(set.version(), RuleSet::embedded().version());
    }

    #[test]
    fn the_rows_of_a_rule_leave_no_day_out() {
        let set = RuleSet::embedded();
        for rule in set.rules() {
            match rule.validity.to {
                Some(to) => assert!(set.row(&rule.id, to.plus_days(1)).is_some(), "{} after {to}", rule.id),
                None => assert!(set.row(&rule.id, "2099-01-01".parse().unwrap()).is_some()),
            }
        }
    }

    #[test]
    fn a_bad_table_is_named_with_its_row_and_rule() {
        let good = SeedTexts::embedded();
        let first = "LEZ-01,M1|N1,N1:I,diesel,2018-01-01,2018-12-31,2,2018-10-01";
        for (from, to, wanted) in [
            (
                "2018-12-31,2,",
                "2018-12-31,VI,",
                "`rules.csv` line 2, rule `LEZ-01`: norm `VI` is not in the series of the categories",
            ),
            (
                "M1|N1,N1:I",
                "M1|N1,M3:I",
                "`rules.csv` line 2, rule `LEZ-01`: class `M3:I` is not CATEGORY:I|II, CATEGORY:REF<=kg or CATEGORY:REF>kg of a listed category",
            ),
            (
                "M1|N1,N1:I",
                "M1|N3,",
                "`rules.csv` line 2, rule `LEZ-01`: the categories have no series of norms, or not one and the same",
            ),
            (
                "diesel",
                "coal",
                "`rules.csv` line 2, rule `LEZ-01`: fuel group `coal` is none of petrol, diesel, zero, any",
            ),
            (
                "2018-12-31,2",
                "2017-12-31,2",
                "`rules.csv` line 2, rule `LEZ-01`: ends on 2017-12-31, before it starts on 2018-01-01",
            ),
            ("2018-12-31,2", "2019-02-01,2", "`rules.csv` line 3, rule `LEZ-01`: two periods of the rule share a day"),
            (
                "2018-10-01",
                "2019-10-01",
                "`rules.csv` line 2, rule `LEZ-01`: `enforce_from` 2019-10-01 is outside the row's period",
            ),
            (
                "2018-01-01,2018",
                "1 Jan,2018",
                "`rules.csv` line 2, rule `LEZ-01`: `1 Jan`: not a date of the form YYYY-MM-DD",
            ),
        ] {
            let rules = good.rules.replacen(first, &first.replacen(from, to, 1), 1);
            let error = RuleSet::load(SeedTexts { rules: &rules, ..good }).unwrap_err();
            assert_eq!(error.to_string(), wanted);
        }
        for (from, to, wanted) in [
            ("trigger = \"announced\"", "trigger = \"foreign_unregistered\"\nextra = 1", "unknown field `extra`"),
            ("enabled = false", "enabled = true", "entry `F-LEZ-80`: an announced regime cannot be enabled"),
            (
                "valid_to = 2026-06-30",
                "valid_to = 2026-07-30",
                "entry `F-LEZ-NEW-A`: has the id of another, or shares trigger and days with `F-LEZ-NEW-B`",
            ),
            ("\"vin_else_plate\"", "\"plate\"", "unknown variant `plate`"),
        ] {
            let fines = good.fines.replacen(from, to, 1);
            let error = RuleSet::load(SeedTexts { fines: &fines, ..good }).unwrap_err().to_string();
            assert!(error.contains("fines.toml") && error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        for data in
            [&b""[..], b"\xff\xfe,", b"rule_id\n,\n", b"[[fine]]\nid = 1", b"[zone]\nin_force_from = 2018-13-01"]
        {
            fuzz_tables(data);
        }
    }
}
