//! The role table: profile × right × relation → conditions. Data, versioned, deny by default (`seed/roles.toml`).

use std::collections::BTreeMap;

use serde::Deserialize;
use vms_core::{Profile, Relation, Right};

/// What a cell demands besides the yes (`domain.md` H2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Purpose code and text of at least ten characters (j).
    Justification,
    /// Case, report or ticket number (c).
    Case,
    /// A second person (4).
    SecondPerson,
    /// Only during an activated event that covers the camera (e).
    Event,
    /// Only at a police-supervised station (p, Camera Act article 5 §4).
    PoliceStation,
    /// Only the coarse rendition (x).
    Masked,
    /// Not older than so many days (t).
    AgeMaxDays(u16),
}

/// A table that does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Not TOML of the expected shape.
    #[error("the role table does not parse: {0}")]
    Syntax(String),
    /// A word that is no profile, right or condition.
    #[error("the role table, right `{right}`: `{word}` is not known")]
    UnknownWord {
        /// The row.
        right: String,
        /// The word.
        word: String,
    },
    /// Two cells for the same profile and right.
    #[error("the role table, right `{right}`: profile `{profile}` stands there twice")]
    Twice {
        /// The row.
        right: String,
        /// The profile.
        profile: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableToml {
    version: String,
    #[expect(dead_code, reason = "shown to people; the table in force is chosen by who loads it")]
    valid_from: String,
    row: Vec<RowToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowToml {
    right: String,
    cells: Vec<CellToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CellToml {
    profile: String,
    own: Option<String>,
    shared: Option<String>,
    other: Option<String>,
}

/// The whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleTable {
    version: String,
    cells: BTreeMap<(Profile, Right, Relation), Vec<Condition>>,
}

impl RoleTable {
    /// The table that ships with the program.
    ///
    /// # Errors
    /// [`TableError`] when the shipped text is wrong; a test holds that it is not.
    pub fn embedded() -> Result<Self, TableError> {
        Self::parse(include_str!("../../../seed/roles.toml"))
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`TableError`] names the row and the word.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let raw: TableToml = toml::from_str(text).map_err(|error| TableError::Syntax(error.to_string()))?;
        let mut cells = BTreeMap::new();
        for row in raw.row {
            let unknown = |word: &str| TableError::UnknownWord { right: row.right.clone(), word: word.to_owned() };
            let right: Right = row.right.parse().map_err(|_| unknown(&row.right))?;
            for cell in &row.cells {
                let profile: Profile = cell.profile.parse().map_err(|_| unknown(&cell.profile))?;
                let relations =
                    [(Relation::Own, &cell.own), (Relation::Shared, &cell.shared), (Relation::Other, &cell.other)];
                for (relation, text) in relations {
                    let Some(text) = text else { continue };
                    let conditions = conditions(text).map_err(|word| unknown(&word))?;
                    if cells.insert((profile, right, relation), conditions).is_some() {
                        return Err(TableError::Twice { right: row.right.clone(), profile: cell.profile.clone() });
                    }
                }
            }
        }
        Ok(Self { version: raw.version, cells })
    }

    /// The version that stands in every decision's log leaf.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The conditions of a cell; `None` is a no.
    pub fn cell(&self, profile: Profile, right: Right, relation: Relation) -> Option<&[Condition]> {
        self.cells.get(&(profile, right, relation)).map(Vec::as_slice)
    }

    /// The rights that `profile` has towards anything at all.
    pub fn rights_of(&self, profile: Profile) -> Vec<Right> {
        let mut rights: Vec<Right> = self.cells.keys().filter(|key| key.0 == profile).map(|key| key.1).collect();
        rights.dedup();
        rights
    }
}

fn conditions(text: &str) -> Result<Vec<Condition>, String> {
    let mut found = Vec::new();
    for word in text.split_whitespace() {
        let condition = match word {
            "yes" => continue,
            "justification" => Condition::Justification,
            "case" => Condition::Case,
            "second_person" => Condition::SecondPerson,
            "event" => Condition::Event,
            "police_station" => Condition::PoliceStation,
            "masked" => Condition::Masked,
            other => match other.strip_prefix("age_max_days=").and_then(|days| days.parse().ok()) {
                Some(days) => Condition::AgeMaxDays(days),
                None => return Err(other.to_owned()),
            },
        };
        found.push(condition);
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_reads_and_denies_by_default() {
        let table = RoleTable::embedded().unwrap();
        assert_eq!(table.cell(Profile::P01, Right::Live, Relation::Own), Some(&[][..]));
        assert_eq!(table.cell(Profile::P01, Right::Live, Relation::Other), None);
        assert_eq!(table.cell(Profile::P05, Right::Live, Relation::Own), None);
        assert!(table.rights_of(Profile::P07).contains(&Right::FindingReview));
    }

    #[test]
    fn separation_of_duties_holds_in_the_shipped_table() {
        let table = RoleTable::embedded().unwrap();
        let images = [Right::Live, Right::Playback, Right::ReadsLive, Right::ReadsSearch];
        for relation in Relation::ALL {
            for right in images {
                for profile in [Profile::P17, Profile::P18, Profile::P20, Profile::P21, Profile::P22] {
                    assert_eq!(table.cell(profile, right, *relation), None, "{profile} must not have {right}");
                }
            }
            let searching = table.cell(Profile::P07, Right::ReadsSearch, *relation);
            assert_eq!(searching, None, "a LEZ agent never searches plates outside its file");
        }
    }

    #[test]
    fn wrong_tables_are_named() {
        let table = |row: &str| RoleTable::parse(&format!("version='1'\nvalid_from='2026-01-01'\n{row}"));
        let cases = [
            ("[[row]]\nright='live'\ncells=[{profile='P99',own='yes'}]", "P99"),
            ("[[row]]\nright='fly'\ncells=[]", "fly"),
            ("[[row]]\nright='live'\ncells=[{profile='P01',own='sometimes'}]", "sometimes"),
            ("[[row]]\nright='live'\ncells=[{profile='P01',own='yes'},{profile='P01',own='yes'}]", "twice"),
            ("nonsense", "does not parse"),
        ];
        for (row, wanted) in cases {
            assert!(table(row).unwrap_err().to_string().contains(wanted));
        }
    }
}
