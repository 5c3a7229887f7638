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
    /// A file for somebody else's procedure: the amount is theirs to name.
    File,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::File => "file",
        }
    }
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

/// The read at the other end of a stay or a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// When, RFC 3339 in UTC.
    pub read_at: String,
    /// Where.
    pub camera: Camera,
}

/// What the registry said of the holder at the instant of the read. `Debug` shows no holder.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `found`, or `not_asked`: no source knows plates of that country.
    pub state: String,
    /// `person` or `company`, with `found`.
    pub kind: Option<String>,
    /// The source's own number of the holder, with `found`.
    pub id: Option<String>,
    /// The flow that was used, with `found`.
    pub flow: Option<String>,
    /// The question in the log of questions, with `found`.
    pub request: Option<String>,
}

impl std::fmt::Debug for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holder").field("state", &self.state).finish_non_exhaustive()
    }
}

/// How an average speed was measured, as far as this program looks at it; the line holds more (`docs/FINES.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// Which stretch.
    pub trajectory: String,
    /// Number of the certificate of the distance.
    pub certificate: String,
    /// Certified distance, millimetres.
    pub certified_mm: u64,
    /// Time between the reads, microseconds.
    pub time_us: u64,
    /// Before the margin, whole km/h.
    pub measured_kmh: u16,
    /// After the margin, whole km/h.
    pub corrected_kmh: u16,
    /// The limit, km/h.
    pub limit_kmh: u16,
}

/// One evidence picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureFact {
    /// Path inside the folder, `images/….jpg`.
    pub file: String,
    /// `plate` or `overview`; `exit-plate` or `exit-overview` of the other end.
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
    /// Fine, warning or file.
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
    /// Code of the zone with restricted access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The holder, where a flow of this batch asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// An average speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement: Option<Measurement>,
}

impl Record {
    /// Whether a fine has an amount, and nothing else has one.
    pub(crate) const fn has_its_amount(&self) -> bool {
        match self.kind {
            Kind::Fine => self.amount_cents.is_some() && self.currency.is_some(),
            Kind::Warning | Kind::File => self.amount_cents.is_none(),
        }
    }
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

/// Which findings a batch is of: what differs between them is data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Batch {
    /// The low-emission zone, for the tax administration.
    #[default]
    Lez,
    /// Zones with restricted access, for a municipality's sanctioning official.
    Zbt,
    /// Average speed, for the police's own processing.
    Trajectory,
}

/// A column of the table for people: its name, and its cell.
type Column = (&'static str, fn(&Record) -> String);

fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

fn of<T>(part: &Option<T>, text: impl FnOnce(&T) -> String) -> String {
    part.as_ref().map(text).unwrap_or_default()
}

const OFFENCE: Column = ("offence", |record| record.offence.clone());
const KIND: Column = ("kind", |record| record.kind.as_str().to_owned());
const FINE_RULE: Column = ("fine_rule", |record| text(&record.fine_rule));
const AMOUNT: Column =
    ("amount", |record| of(&record.amount_cents, |cents| format!("{}.{:02}", cents / 100, cents % 100)));
const CURRENCY: Column = ("currency", |record| text(&record.currency));
const READ_AT: Column = ("read_at", |record| record.read_at.clone());
const DAY: Column = ("day", |record| record.day.clone());
const CAMERA: Column = ("camera", |record| record.camera.code.clone());
const PLACE_NL: Column = ("place_nl", |record| record.camera.name_nl.clone());
const PLACE_FR: Column = ("place_fr", |record| record.camera.name_fr.clone());
const PLATE: Column = ("plate", |record| record.plate.clone());
const COUNTRY: Column = ("country", |record| record.country.clone());
const SUPERSEDES: Column = ("supersedes", |record| text(&record.supersedes));
const ZONE: Column = ("zone", |record| text(&record.zone));
const EXIT_AT: Column = ("exit_at", |record| of(&record.exit, |exit| exit.read_at.clone()));
const EXIT_CAMERA: Column = ("exit_camera", |record| of(&record.exit, |exit| exit.camera.code.clone()));
const HOLDER_STATE: Column = ("holder_state", |record| of(&record.holder, |holder| holder.state.clone()));
const HOLDER_KIND: Column = ("holder_kind", |record| of(&record.holder, |holder| text(&holder.kind)));
const HOLDER: Column = ("holder", |record| of(&record.holder, |holder| text(&holder.id)));
const TRAJECTORY: Column = ("trajectory", |record| of(&record.measurement, |m| m.trajectory.clone()));
const CERTIFICATE: Column = ("certificate", |record| of(&record.measurement, |m| m.certificate.clone()));
const DISTANCE: Column = ("distance_m", |record| {
    of(&record.measurement, |m| format!("{}.{:03}", m.certified_mm / 1_000, m.certified_mm % 1_000))
});
const TIME: Column =
    ("time_s", |record| of(&record.measurement, |m| format!("{}.{:06}", m.time_us / 1_000_000, m.time_us % 1_000_000)));
const MEASURED: Column = ("measured_kmh", |record| of(&record.measurement, |m| m.measured_kmh.to_string()));
const CORRECTED: Column = ("corrected_kmh", |record| of(&record.measurement, |m| m.corrected_kmh.to_string()));
const LIMIT: Column = ("limit_kmh", |record| of(&record.measurement, |m| m.limit_kmh.to_string()));

const LEZ: &[Column] =
    &[OFFENCE, KIND, FINE_RULE, AMOUNT, CURRENCY, READ_AT, DAY, CAMERA, PLACE_NL, PLACE_FR, PLATE, COUNTRY, SUPERSEDES];
const ZBT: &[Column] = &[
    OFFENCE,
    KIND,
    FINE_RULE,
    AMOUNT,
    CURRENCY,
    READ_AT,
    DAY,
    ZONE,
    CAMERA,
    PLACE_NL,
    PLACE_FR,
    EXIT_AT,
    PLATE,
    COUNTRY,
    HOLDER_STATE,
    HOLDER_KIND,
    HOLDER,
    SUPERSEDES,
];
const RUNS: &[Column] = &[
    OFFENCE,
    KIND,
    TRAJECTORY,
    READ_AT,
    EXIT_AT,
    DAY,
    CAMERA,
    EXIT_CAMERA,
    DISTANCE,
    TIME,
    MEASURED,
    CORRECTED,
    LIMIT,
    CERTIFICATE,
    PLATE,
    COUNTRY,
    SUPERSEDES,
];

impl Batch {
    /// The word in a manifest; none for the low-emission zone, whose manifests are older than the others.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Lez => None,
            Self::Zbt => Some("zbt"),
            Self::Trajectory => Some("trajectory"),
        }
    }

    /// Reads the word; `None` for one that there is not.
    pub fn of(word: Option<&str>) -> Option<Self> {
        [Self::Lez, Self::Zbt, Self::Trajectory].into_iter().find(|batch| batch.word() == word)
    }

    pub(crate) const fn columns(self) -> &'static [Column] {
        match self {
            Self::Lez => LEZ,
            Self::Zbt => ZBT,
            Self::Trajectory => RUNS,
        }
    }
}

/// One cell (RFC 4180): quoted where needed, and no formula for a spreadsheet.
fn cell(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([';', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The table for people, made from the records: UTF-8 with a byte-order mark, semicolons, CRLF.
pub fn csv_of(batch: Batch, records: &[Record]) -> String {
    let names: Vec<&str> = batch.columns().iter().map(|(name, _)| *name).collect();
    let mut out = format!("\u{feff}{}\r\n", names.join(";"));
    for record in records {
        let cells: Vec<String> = batch.columns().iter().map(|(_, of)| cell(&of(record))).collect();
        out.push_str(&cells.join(";"));
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A fine of the low-emission zone.
    pub(crate) fn lez(position: u64) -> Record {
        let camera = |code: &str| Camera {
            id: format!("cam_{code}"),
            code: code.to_owned(),
            name_nl: "Grote Markt".to_owned(),
            name_fr: "Grand-Place".to_owned(),
        };
        Record {
            schema: SCHEMA,
            offence: format!("ofc_{position:032x}"),
            run: "run-1".to_owned(),
            position,
            finding: format!("fnd_{position:032x}"),
            kind: Kind::Fine,
            fine_rule: Some("F-LEZ".to_owned()),
            amount_cents: Some(35_000),
            currency: Some("EUR".to_owned()),
            rule: Some("LEZ-01".to_owned()),
            rule_set: "test".to_owned(),
            read_at: "2026-11-21T10:00:00.25Z".to_owned(),
            day: "2026-11-21".to_owned(),
            camera: camera("L1"),
            plate: "1TST001".to_owned(),
            country: "B".to_owned(),
            reasons: vec![serde_json::json!({ "code": "norm", "euro": "4" })],
            snapshot_sha256: "00".repeat(32),
            approved_by: "usr_1".to_owned(),
            approved_at: "2026-11-21T11:00:00Z".to_owned(),
            pictures: Vec::new(),
            withheld: Vec::new(),
            supersedes: None,
            zone: None,
            exit: None,
            holder: None,
            measurement: None,
        }
    }

    /// A file of an average speed.
    pub(crate) fn trajectory(position: u64) -> Record {
        let base = lez(position);
        let measurement = Measurement {
            trajectory: "TRJ-1".to_owned(),
            certificate: "B-2026-1".to_owned(),
            certified_mm: 1_200_000,
            time_us: 48_000_000,
            measured_kmh: 90,
            corrected_kmh: 84,
            limit_kmh: 50,
        };
        let exit = Exit { read_at: "2026-11-21T10:00:48Z".to_owned(), camera: base.camera.clone() };
        Record {
            kind: Kind::File,
            fine_rule: None,
            amount_cents: None,
            currency: None,
            exit: Some(exit),
            measurement: Some(measurement),
            ..base
        }
    }

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
