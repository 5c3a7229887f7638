//! Cameras from a CSV file: every bad row is reported with its line and reason; nothing is written unless all are good,
//! or the caller asks for the good ones.

use std::collections::{HashMap, HashSet};

use vms_core::StreamUse;

use crate::camera_rules::{CameraDraft, StreamDraft, split_login};
use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::action::EditCamera;
use crate::gate::{Actor, Why};
use crate::model::{Camera, LegalBasis, Org};
use crate::words::TransportKind;

/// The columns, in any order.
pub const COLUMNS: [&str; 16] = [
    "code",
    "name_nl",
    "name_fr",
    "owner",
    "lat",
    "lon",
    "url_main",
    "url_sub",
    "user",
    "password",
    "kind",
    "retention_class",
    "legal_basis_document",
    "legal_basis_date",
    "legal_basis_advice",
    "pictogram_on",
];
/// Columns that may be missing altogether.
const OPTIONAL: [&str; 1] = ["call_up"];
/// Largest file, bytes.
const FILE_LEN_MAX: usize = 8 << 20;
/// Most rows.
const ROWS_MAX: usize = 10_000;

/// How to import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Write nothing.
    pub dry_run: bool,
    /// Write the good rows although there are bad ones.
    pub partial: bool,
}

/// One bad row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Line in the file, from 1.
    pub line: u64,
    /// Column, or empty for the whole row.
    pub column: String,
    /// Stable word.
    pub problem: String,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default)]
pub struct ImportOutcome {
    /// Rows that are good.
    pub good: usize,
    /// Rows that are not.
    pub bad: Vec<BadRow>,
    /// Cameras written, as drafts.
    pub written: Vec<Camera>,
}

/// A parsed row.
#[derive(Debug)]
struct Row {
    line: u64,
    draft: CameraDraft,
}

impl UseCases {
    /// Imports cameras as drafts.
    ///
    /// # Errors
    /// `Invalid` when the file is no CSV with the columns, `Denied` without the right to edit for some owner.
    pub async fn camera_import(
        &self,
        actor: &Actor,
        file: &[u8],
        options: ImportOptions,
    ) -> Result<ImportOutcome, UseCaseError> {
        // Also a dry run says which codes are taken: it needs the right to edit some camera at least.
        self.look::<EditCamera>(actor).await?;
        let orgs = self.orgs_now().await?;
        let (rows, mut bad) = parse(file, &orgs)?;
        let known = self.stores.camera_list().await?;
        let mut codes: HashSet<String> = known.iter().map(|camera| camera.code.clone()).collect();
        let mut numbers: HashSet<u32> = known.iter().filter_map(|camera| camera.call_up).collect();
        let mut cameras: Vec<Camera> = Vec::new();
        for Row { line, draft } in rows {
            let mut refuse = |column: &str, problem: &str| {
                bad.push(BadRow { line, column: column.to_owned(), problem: problem.to_owned() });
            };
            if !codes.insert(draft.code.clone()) {
                refuse("code", "taken");
            } else if draft.call_up.is_some_and(|number| !numbers.insert(number)) {
                refuse("call_up", "taken");
            } else {
                match self.camera_from_draft(actor, draft).await {
                    Ok(camera) => cameras.push(camera),
                    Err(UseCaseError::Invalid(problems)) => {
                        problems.iter().for_each(|wrong| refuse(&wrong.field, &wrong.problem));
                    }
                    Err(other) => return Err(other),
                }
            }
        }
        bad.sort_by_key(|row| row.line);
        let good = cameras.len();
        if options.dry_run || (!bad.is_empty() && !options.partial) || cameras.is_empty() {
            return Ok(ImportOutcome { good, bad, written: Vec::new() });
        }
        // One permit per owner: the import is one change of each owner's cameras.
        let mut owners = HashSet::new();
        for camera in &cameras {
            if owners.insert(camera.owner) {
                let target = self.camera_target::<EditCamera>(actor, camera, None).await?;
                self.gate.permit::<EditCamera>(actor, target, &Why::default()).await?;
            }
        }
        self.stores.camera_insert(&cameras).await?;
        self.note_change();
        Ok(ImportOutcome { good, bad, written: cameras })
    }
}

fn parse(file: &[u8], orgs: &[Org]) -> Result<(Vec<Row>, Vec<BadRow>), UseCaseError> {
    if file.len() > FILE_LEN_MAX {
        return Err(UseCaseError::invalid("file", "too_long"));
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(file);
    let header = reader.headers().map_err(|_| UseCaseError::invalid("file", "not_csv"))?.clone();
    // A byte-order mark from a spreadsheet sticks to the first name.
    let names: Vec<String> = header.iter().map(|name| name.trim_start_matches('\u{FEFF}').to_lowercase()).collect();
    for wanted in COLUMNS {
        if !names.iter().any(|name| name == wanted) {
            return Err(UseCaseError::invalid(wanted, "column_missing"));
        }
    }
    if let Some(odd) = names.iter().find(|name| !COLUMNS.iter().chain(&OPTIONAL).any(|known| known == name)) {
        return Err(UseCaseError::invalid(odd, "column_unknown"));
    }
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for (count, record) in reader.records().enumerate() {
        if count >= ROWS_MAX {
            return Err(UseCaseError::invalid("file", "too_many_rows"));
        }
        let line_of = |position: Option<&csv::Position>| position.map_or(0, csv::Position::line);
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = line_of(error.position());
                bad.push(BadRow { line, column: String::new(), problem: "not_csv".to_owned() });
                continue;
            }
        };
        let line = line_of(record.position());
        if record.len() != names.len() {
            bad.push(BadRow { line, column: String::new(), problem: "number_of_columns".to_owned() });
            continue;
        }
        let cells: HashMap<&str, &str> = names.iter().map(String::as_str).zip(record.iter()).collect();
        match row(&cells, orgs) {
            Ok(draft) => rows.push(Row { line, draft }),
            Err((column, problem)) => {
                bad.push(BadRow { line, column: column.to_owned(), problem: problem.to_owned() });
            }
        }
    }
    Ok((rows, bad))
}

fn row(cells: &HashMap<&str, &str>, orgs: &[Org]) -> Result<CameraDraft, (&'static str, &'static str)> {
    let cell = |name: &str| cells.get(name).copied().unwrap_or("");
    let full = |name: &str| Some(cell(name)).filter(|text| !text.is_empty()).map(str::to_owned);
    let owner = orgs.iter().find(|org| org.code == cell("owner")).ok_or(("owner", "unknown"))?.id;
    let credentials = full("user").map(|user| (user, cell("password").to_owned()));
    // A log-in inside an address is taken out of it and sealed like any other; the address is stored without.
    let stream = |use_, column: &'static str| match (split_login(cell(column)), &credentials) {
        (Some((_, Some(_))), Some(_)) => Err((column, "credentials_twice")),
        (Some((url, Some(login))), None) => {
            Ok(StreamDraft { use_, url, credentials: Some(login), transport: TransportKind::Retina })
        }
        (Some((_, None)) | None, credentials) => Ok(StreamDraft {
            use_,
            url: cell(column).to_owned(),
            credentials: credentials.clone(),
            transport: TransportKind::Retina,
        }),
    };
    let mut streams = vec![stream(StreamUse::Main, "url_main")?];
    if full("url_sub").is_some() {
        streams.push(stream(StreamUse::Sub, "url_sub")?);
    }
    let call_up = match full("call_up") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| ("call_up", "not_a_number"))?),
    };
    let legal_basis = full("legal_basis_document").map(|document| LegalBasis {
        document,
        dated: cell("legal_basis_date").to_owned(),
        advice: cell("legal_basis_advice").to_owned(),
    });
    Ok(CameraDraft {
        code: cell("code").to_owned(),
        call_up,
        name_nl: cell("name_nl").to_owned(),
        name_fr: cell("name_fr").to_owned(),
        owner: Some(owner),
        kind: cell("kind").parse().map_err(|_| ("kind", "unknown"))?,
        lat: cell("lat").parse().map_err(|_| ("lat", "not_a_number"))?,
        lon: cell("lon").parse().map_err(|_| ("lon", "not_a_number"))?,
        retention_class: cell("retention_class").to_owned(),
        pictogram_on: full("pictogram_on"),
        legal_basis,
        streams,
    })
}

/// Feeds foreign bytes to the parser (corpus test).
pub fn fuzz_camera_csv(data: &[u8]) {
    drop(parse(data, &[]));
}

#[cfg(test)]
mod tests {
    use vms_core::OrgId;

    use super::*;
    use crate::words::OrgKind;

    #[test]
    fn rows_are_read_and_bad_ones_named() {
        let org = Org {
            id: OrgId::from_bytes([1; 16]),
            code: "5340".to_owned(),
            name_nl: String::new(),
            name_fr: String::new(),
            kind: OrgKind::PoliceZone,
        };
        let head = COLUMNS.join(",");
        let good = "C1,Naam,Nom,5340,50.85,4.35,rtsp://10.0.0.1/m,rtsp://10.0.0.1/s,u,p,overview,RC-VID-OPEN,Besluit,2026-01-02,gunstig,2026-02-03";
        let file = format!(
            "\u{FEFF}{head}\n{good}\n{}\n{}\nC1,too,few\n{}\n",
            good.replace("5340", "9999"),
            good.replace("50.85", "north"),
            good.replace("overview", "speed"),
        );
        let (rows, bad) = parse(file.as_bytes(), std::slice::from_ref(&org)).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].line, 2);
        assert_eq!(rows[0].draft.streams.len(), 2);
        let bad: Vec<_> = bad.iter().map(|row| (row.line, row.column.as_str(), row.problem.as_str())).collect();
        assert_eq!(
            bad,
            [(3, "owner", "unknown"), (4, "lat", "not_a_number"), (5, "", "number_of_columns"), (6, "kind", "unknown")]
        );
        let numbered = format!("{head},call_up\n{good},4711\n{good},\n{good},zeven\n{good},4711,8\n");
        let (rows, bad) = parse(numbered.as_bytes(), std::slice::from_ref(&org)).unwrap();
        assert_eq!(rows.iter().map(|row| row.draft.call_up).collect::<Vec<_>>(), [Some(4_711), None]);
        let bad: Vec<_> = bad.iter().map(|row| (row.line, row.column.as_str(), row.problem.as_str())).collect();
        assert_eq!(bad, [(4, "call_up", "not_a_number"), (5, "", "number_of_columns")]);
        for (head, wanted) in [("code,name_nl", "column_missing"), (&*format!("{head},x"), "column_unknown")] {
            let error = parse(format!("{head}\n").as_bytes(), std::slice::from_ref(&org)).unwrap_err();
            assert!(matches!(error, UseCaseError::Invalid(list) if list[0].problem == wanted));
        }
        for foreign in [&b""[..], b"\xff\xfe\x00", b"code\n\"", b"\"\n\n\"\""] {
            fuzz_camera_csv(foreign);
        }
    }
}
