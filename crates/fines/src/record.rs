//! The lines of a batch: records, what became none, and the table for people.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the lines.
pub(crate) const SCHEMA: u32 = 1;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A fine.
    Fine,
    /// A warning letter.
    Warning,
}

/// Where a vehicle was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Camera {
    /// `cam_…`.
    pub id: String,
    /// Code of the installation.
    pub code: String,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
}

/// One evidence picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureFact {
    /// Path inside the folder, `images/….jpg`.
    pub file: String,
    /// `plate` or `overview`.
    pub shows: String,
    /// Length.
    pub bytes: u64,
    /// Digest, hexadecimal.
    pub sha256: String,
}

/// One line of `offences.jsonl`: the contract. `Debug` shows no plate.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the line.
    pub schema: u32,
    /// Key of the record, for ever: `ofc_` and 32 hexadecimal digits.
    pub offence: String,
    /// The run that wrote it.
    pub run: String,
    /// Its number among the run's findings, from 1.
    pub position: u64,
    /// The finding, `fnd_…`.
    pub finding: String,
    /// Fine or warning.
    pub kind: Kind,
    /// Rule of the fines table.
    pub fine_rule: Option<String>,
    /// Amount, cents.
    pub amount_cents: Option<u32>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Rule of the criteria table.
    pub rule: Option<String>,
    /// Version of the tables.
    pub rule_set: String,
    /// When the vehicle was read, RFC 3339 in UTC.
    pub read_at: String,
    /// The day in Brussels that the read counts for.
    pub day: String,
    /// Where.
    pub camera: Camera,
    /// The plate.
    pub plate: String,
    /// Its country.
    pub country: String,
    /// Why, as codes with values.
    pub reasons: Vec<Value>,
    /// SHA-256 over what the decision looked at.
    pub snapshot_sha256: String,
    /// Who approved it, `usr_…`.
    pub approved_by: String,
    /// When.
    pub approved_at: String,
    /// Pictures.
    pub pictures: Vec<PictureFact>,
    /// Pictures that exist and are not handed over, since they are not masked: words as in `shows`.
    pub withheld: Vec<String>,
    /// The record that this one corrects.
    pub supersedes: Option<String>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("offence", &self.offence).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// One line of `rejects.jsonl`: a finding that was taken and became no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Version of the line.
    pub schema: u32,
    /// The run.
    pub run: String,
    /// Its number among the run's findings, from 1.
    pub position: u64,
    /// The finding.
    pub finding: String,
    /// `merged` or `refused`.
    pub outcome: String,
    /// Why, a stable word.
    pub reason: String,
    /// For `merged`: first day on which a fine is possible again.
    pub until: Option<String>,
}

/// First line of the table for people.
pub const CSV_HEAD: &str =
    "offence;kind;fine_rule;amount;currency;read_at;day;camera;place_nl;place_fr;plate;country;supersedes";

/// One cell (RFC 4180): quoted where needed, and no formula for a spreadsheet.
fn cell(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([';', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The table for people, made from the records: UTF-8 with a byte-order mark, semicolons, CRLF.
pub fn csv_of(records: &[Record]) -> String {
    let mut out = format!("\u{feff}{CSV_HEAD}\r\n");
    for record in records {
        let amount =
            record.amount_cents.map_or_else(String::new, |cents| format!("{}.{:02}", cents / 100, cents % 100));
        let kind = match record.kind {
            Kind::Fine => "fine",
            Kind::Warning => "warning",
        };
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        let cells = [
            record.offence.clone(),
            kind.to_owned(),
            optional(&record.fine_rule),
            amount,
            optional(&record.currency),
            record.read_at.clone(),
            record.day.clone(),
            record.camera.code.clone(),
            record.camera.name_nl.clone(),
            record.camera.name_fr.clone(),
            record.plate.clone(),
            record.country.clone(),
            optional(&record.supersedes),
        ];
        let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
        out.push_str(&cells.join(";"));
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_breaks_no_table_and_starts_no_formula() {
        for (text, wanted) in [
            ("Grote Markt", "Grote Markt"),
            ("a;b", "\"a;b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=SUM(A1)", "'=SUM(A1)"),
            ("@x", "'@x"),
            ("", ""),
        ] {
            assert_eq!(cell(text), wanted);
        }
    }
}
