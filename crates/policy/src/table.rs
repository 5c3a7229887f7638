//! The role table: profile × right × relation → conditions. Data, versioned, deny by default (`seed/roles.toml`).

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use vms_core::{Profile, Relation, Right};

use crate::condition::{Condition, parse_cell};
use crate::separation::{Violation, check};

/// Longest text that is taken for a matrix, bytes: ten times the shipped one.
pub const TEXT_LEN_MAX: usize = 400_000;

/// A matrix that does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// Not TOML of the expected shape.
    #[error("the role matrix does not parse: {0}")]
    Syntax(String),
    /// A text without end.
    #[error("the role matrix has {0} bytes; {TEXT_LEN_MAX} are the most")]
    TooLong(usize),
    /// No version, date or source.
    #[error("the role matrix: `{0}` is empty or not in its form")]
    Header(&'static str),
    /// A word that is no profile, right or condition.
    #[error("the role matrix, right `{right}`: `{word}` is not known")]
    UnknownWord {
        /// The row.
        right: String,
        /// The word.
        word: String,
    },
    /// Two rows or two cells for the same thing.
    #[error("the role matrix, right `{right}`: `{word}` stands there twice")]
    Twice {
        /// The row.
        right: String,
        /// The profile, or the right itself.
        word: String,
    },
    /// A row without a source.
    #[error("the role matrix, right `{right}`: the row names no source")]
    NoSource {
        /// The row.
        right: String,
    },
    /// It breaks rules that no edit may break.
    #[error("the role matrix breaks {}", list(.0))]
    Separation(Vec<Violation>),
    /// The compiled policies are not what they should be; a fault of ours.
    #[error("the role matrix does not compile: {0}")]
    Compile(String),
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableToml {
    version: String,
    valid_from: String,
    source: String,
    row: Vec<RowToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowToml {
    right: String,
    #[serde(default)]
    source: String,
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

/// Where a cell stands.
pub type CellKey = (Profile, Right, Relation);

/// The whole table, read and held against the separation rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    version: String,
    valid_from: String,
    source: String,
    digest: String,
    text: String,
    sources: BTreeMap<Right, String>,
    cells: BTreeMap<CellKey, Vec<Condition>>,
}

impl Table {
    /// Reads a table and holds it against the separation rules.
    ///
    /// # Errors
    /// [`MatrixError`] names the row and the word, or every rule that is broken.
    pub fn parse(text: &str) -> Result<Self, MatrixError> {
        let table = Self::read(text)?;
        table.check().map_err(MatrixError::Separation)?;
        Ok(table)
    }

    /// Reads a table without holding it against the separation rules: for saying what is wrong with it.
    ///
    /// # Errors
    /// [`MatrixError`] names the row and the word.
    pub fn read(text: &str) -> Result<Self, MatrixError> {
        if text.len() > TEXT_LEN_MAX {
            return Err(MatrixError::TooLong(text.len()));
        }
        let raw: TableToml = toml::from_str(text).map_err(|error| MatrixError::Syntax(error.to_string()))?;
        if raw.version.trim().is_empty() || raw.version.len() > 64 {
            return Err(MatrixError::Header("version"));
        }
        if !is_date(&raw.valid_from) {
            return Err(MatrixError::Header("valid_from"));
        }
        if raw.source.trim().is_empty() {
            return Err(MatrixError::Header("source"));
        }
        let mut sources = BTreeMap::new();
        let mut cells = BTreeMap::new();
        for row in &raw.row {
            let right: Right = row.right.parse().map_err(|_| unknown(row, &row.right))?;
            if row.source.trim().is_empty() {
                return Err(MatrixError::NoSource { right: row.right.clone() });
            }
            if sources.insert(right, row.source.clone()).is_some() {
                return Err(MatrixError::Twice { right: row.right.clone(), word: row.right.clone() });
            }
            read_row(row, right, &mut cells)?;
        }
        let digest = hex(&Sha256::digest(text.as_bytes()));
        Ok(Self {
            version: raw.version,
            valid_from: raw.valid_from,
            source: raw.source,
            digest,
            text: text.to_owned(),
            sources,
            cells,
        })
    }

    /// The separation rules of `domain.md` H, as far as a table can break them.
    ///
    /// # Errors
    /// Every rule that is broken, with the cell.
    pub fn check(&self) -> Result<(), Vec<Violation>> {
        check(&self.cells)
    }

    /// The version that stands in every decision's log leaf.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The day from which it was meant to hold, `YYYY-MM-DD`.
    pub fn valid_from(&self) -> &str {
        &self.valid_from
    }

    /// Where the whole comes from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// SHA-256 of the text, hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The text itself, as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a right's row comes from.
    pub fn source_of(&self, right: Right) -> Option<&str> {
        self.sources.get(&right).map(String::as_str)
    }

    /// The conditions of a cell; `None` is a no.
    pub fn cell(&self, profile: Profile, right: Right, relation: Relation) -> Option<&[Condition]> {
        self.cells.get(&(profile, right, relation)).map(Vec::as_slice)
    }

    /// Every cell, by profile, right and relation.
    pub fn cells(&self) -> impl Iterator<Item = (CellKey, &[Condition])> {
        self.cells.iter().map(|(key, conditions)| (*key, conditions.as_slice()))
    }

    /// The rights that `profile` has towards anything at all.
    pub fn rights_of(&self, profile: Profile) -> Vec<Right> {
        let mut rights: Vec<Right> = self.cells.keys().filter(|key| key.0 == profile).map(|key| key.1).collect();
        rights.dedup();
        rights
    }
}

fn unknown(row: &RowToml, word: &str) -> MatrixError {
    MatrixError::UnknownWord { right: row.right.clone(), word: word.to_owned() }
}

fn read_row(row: &RowToml, right: Right, cells: &mut BTreeMap<CellKey, Vec<Condition>>) -> Result<(), MatrixError> {
    let mut seen = Vec::new();
    for cell in &row.cells {
        let profile: Profile = cell.profile.parse().map_err(|_| unknown(row, &cell.profile))?;
        if seen.contains(&profile) {
            return Err(MatrixError::Twice { right: row.right.clone(), word: cell.profile.clone() });
        }
        seen.push(profile);
        let relations = [(Relation::Own, &cell.own), (Relation::Shared, &cell.shared), (Relation::Other, &cell.other)];
        for (relation, text) in relations {
            let Some(text) = text else { continue };
            let conditions = parse_cell(text).map_err(|word| unknown(row, &word))?;
            cells.insert((profile, right, relation), conditions);
        }
    }
    Ok(())
}

/// `YYYY-MM-DD` by its form; a calendar is not needed to hold a date back.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &str, len: usize| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.as_slice() {
        [year, month, day] => {
            let within = |part: &str, most: u8| part.parse::<u8>().is_ok_and(|number| (1..=most).contains(&number));
            digits(year, 4) && digits(month, 2) && digits(day, 2) && within(month, 12) && within(day, 31)
        }
        _ => false,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a string does not fail");
        text
    })
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_matrix(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        drop(Table::parse(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = include_str!("../../../seed/roles.toml");

    #[test]
    fn the_shipped_table_reads_and_denies_by_default() {
        let table = Table::parse(SEED).unwrap();
        assert_eq!(table.cell(Profile::P01, Right::Live, Relation::Own), Some(&[][..]));
        assert_eq!(table.cell(Profile::P01, Right::Live, Relation::Other), None);
        assert_eq!(table.cell(Profile::P05, Right::Live, Relation::Own), None);
        assert!(table.rights_of(Profile::P07).contains(&Right::FindingReview));
        assert_eq!(table.digest().len(), 64);
        for profile in Profile::ALL {
            assert!(!table.rights_of(*profile).is_empty(), "{profile} has a row");
        }
        for right in Right::ALL {
            assert!(table.source_of(*right).is_some_and(|source| source.contains("domain.md")), "{right} has a source");
        }
    }

    #[test]
    fn wrong_tables_are_named() {
        let head = "version='1'\nvalid_from='2026-01-01'\nsource='test'\n";
        let row = |cells: &str| format!("{head}[[row]]\nright='live'\nsource='s'\ncells=[{cells}]");
        let cases = [
            (row("{profile='P99',own='yes'}"), "right `live`: `P99` is not known"),
            (row("{profile='P01',own='sometimes'}"), "right `live`: `sometimes` is not known"),
            (row("{profile='P01',own='yes'},{profile='P01',shared='yes'}"), "`P01` stands there twice"),
            (row("{profile='P01',own=''}"), "(an empty cell)"),
            (row("{profile='P01',onw='yes'}"), "does not parse"),
            (format!("{head}[[row]]\nright='fly'\nsource='s'\ncells=[]"), "right `fly`: `fly` is not known"),
            (format!("{head}[[row]]\nright='live'\ncells=[]"), "right `live`: the row names no source"),
            ("version=''\nvalid_from='2026-01-01'\nsource='t'\nrow=[]".into(), "`version`"),
            ("version='1'\nvalid_from='2026-13-01'\nsource='t'\nrow=[]".into(), "`valid_from`"),
            ("nonsense".into(), "does not parse"),
            ("x".repeat(TEXT_LEN_MAX + 1), "are the most"),
        ];
        for (text, wanted) in cases {
            let said = Table::parse(&text).unwrap_err().to_string();
            assert!(said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn foreign_bytes_never_panic() {
        let bytes = SEED.as_bytes();
        for end in (0..bytes.len()).step_by(997) {
            fuzz_matrix(&bytes[..end]);
            let mut bent = bytes.to_vec();
            bent[end] ^= 0x15;
            fuzz_matrix(&bent);
        }
        fuzz_matrix(&[0xff, 0xfe]);
    }
}
