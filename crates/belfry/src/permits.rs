//! `belfry permits …`: the permit desk's register from the command line, through the HTTP interface of a running Belfry: somebody's act, logged
//! like in the console.
//!
//! Exit codes as in `client`; an import of which some lines were not taken ends with 1.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::client::{Failure, ServerArgs, Session};
use crate::print;

/// First line of a CSV file. A row with `list` is an entry of that list, without it a permit.
const COLUMNS: [&str; 12] =
    ["list", "id", "plate", "country", "right", "zones", "from", "to", "granted_at", "status", "group", "evidence"];
/// Entries of one request.
const ENTRIES: usize = 500;
/// Largest file, bytes.
const FILE_MAX: u64 = 16 * 1024 * 1024;
/// Days are those of the zone.
const ZONE: &str = "Europe/Brussels";

/// `belfry permits …`.
#[derive(Debug, clap::Args)]
pub(crate) struct PermitsArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(subcommand)]
    what: PermitsCommand,
}

#[derive(Debug, Subcommand)]
enum PermitsCommand {
    /// List the permits for the zones of one's own municipality.
    List,
    /// Take permits and entries of lists from a file: those that the law allows; the others are told by line, and the exit code is 1.
    ///
    /// A CSV file (semicolons or commas) names its columns in the first line; `--columns` prints them. `zones` are separated by blanks, `group` is
    /// `name*places`, a day (2026-11-21) is its start in Brussels. A JSON file is the body of `POST /api/v1/permits/import` without its reason.
    Import {
        /// The file: .csv or .json.
        #[arg(required_unless_present = "columns")]
        file: Option<PathBuf>,
        /// Why, at least ten characters; it is in the log of uses.
        #[arg(long, required_unless_present = "columns")]
        reason: Option<String>,
        /// Print the line that names the columns, and end.
        #[arg(long)]
        columns: bool,
    },
    /// End a permit now.
    Revoke {
        /// The desk's own number.
        id: String,
        /// Why, at least ten characters; it is in the log of uses.
        #[arg(long)]
        reason: String,
    },
}

/// One entry of a file, and the line or the place where it stands.
#[derive(Debug, PartialEq)]
struct Entry {
    line: u64,
    is_listing: bool,
    body: Value,
}

/// An entry that was not taken.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    line: u64,
    reason: String,
}

pub(crate) async fn run(args: PermitsArgs) -> anyhow::Result<()> {
    let as_json = args.server.json;
    match args.what {
        PermitsCommand::Import { columns: true, .. } => {
            print(&format!("{}\n", COLUMNS.join(";")));
            Ok(())
        }
        PermitsCommand::List => list(&Session::open(&args.server).await?, as_json).await,
        PermitsCommand::Import { file, reason, .. } => {
            let (file, reason) = (file.context("no file")?, reason.context("no reason")?);
            let (entries, refused) = read(&file)?;
            let session = Session::open(&args.server).await?;
            import(&session, (entries, refused), &reason, as_json).await
        }
        PermitsCommand::Revoke { id, reason } => {
            let session = Session::open(&args.server).await?;
            let path = format!("/api/v1/permits/{}/withdraw", segment(&id));
            session.call(Method::POST, &path, Some(json!({ "justification": reason }))).await?;
            print(&if as_json { format!("{}\n", json!({ "ended": id })) } else { format!("{id} ended\n") });
            Ok(())
        }
    }
}

/// A text as one step of a path.
fn segment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

async fn list(session: &Session, as_json: bool) -> anyhow::Result<()> {
    let (mut all, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = session.call(Method::GET, &format!("/api/v1/permits?limit=200{after}"), None).await?;
        all.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if as_json {
        print(&format!("{}\n", Value::Array(all)));
        return Ok(());
    }
    for permit in &all {
        let word = |key: &str| permit.get(key).and_then(Value::as_str).unwrap_or("");
        let zones = permit.get("zones").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let zones: Vec<&str> = zones.iter().filter_map(Value::as_str).collect();
        print(&format!(
            "{}  {}  {} {}  {}  {} – {}  {}\n",
            word("id"),
            word("right"),
            word("plate"),
            word("country"),
            zones.join(" "),
            word("from"),
            word("to"),
            word("status"),
        ));
    }
    print(&format!("{} permits\n", all.len()));
    Ok(())
}

async fn import(
    session: &Session,
    (entries, mut refused): (Vec<Entry>, Vec<Refused>),
    reason: &str,
    as_json: bool,
) -> anyhow::Result<()> {
    let (mut permits, mut listings) = (0, 0);
    for some in entries.chunks(ENTRIES) {
        // The server counts permits first, then lists.
        let of = |is_listing: bool| some.iter().filter(move |entry| entry.is_listing == is_listing);
        let body = |is_listing| of(is_listing).map(|entry| entry.body.clone()).collect::<Vec<Value>>();
        let lines: Vec<u64> = of(false).chain(of(true)).map(|entry| entry.line).collect();
        let body = json!({ "justification": reason, "permits": body(false), "listings": body(true) });
        let came = session.call(Method::POST, "/api/v1/permits/import", Some(body)).await?;
        let count = |key: &str| came.get(key).and_then(Value::as_u64).unwrap_or(0);
        (permits, listings) = (permits + count("permits"), listings + count("listings"));
        for one in came.get("refused").and_then(Value::as_array).into_iter().flatten() {
            let position = one.get("position").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
            let line = position.and_then(|at| lines.get(at)).copied().unwrap_or(0);
            let reason = one.get("reason").and_then(Value::as_str).unwrap_or("").to_owned();
            refused.push(Refused { line, reason });
        }
    }
    refused.sort_by_key(|one| one.line);
    if as_json {
        let told: Vec<Value> = refused.iter().map(|one| json!({ "line": one.line, "reason": one.reason })).collect();
        print(&format!("{}\n", json!({ "permits": permits, "listings": listings, "not_taken": told })));
    } else {
        refused.iter().for_each(|one| print(&format!("NOT TAKEN  line {}: {}\n", one.line, one.reason)));
        print(&format!("{permits} permits and {listings} entries of lists taken, {} not taken\n", refused.len()));
    }
    if refused.is_empty() { Ok(()) } else { Err(Failure::No("some lines were not taken".to_owned()).into()) }
}

fn read(path: &Path) -> anyhow::Result<(Vec<Entry>, Vec<Refused>)> {
    let bad = |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", path.display()));
    if std::fs::metadata(path).map_err(|error| bad(&error))?.len() > FILE_MAX {
        return Err(bad(&"larger than 16 MiB").into());
    }
    let bytes = std::fs::read(path).map_err(|error| bad(&error))?;
    let is_json = path.extension().is_some_and(|name| name.eq_ignore_ascii_case("json"));
    let read = if is_json { json_entries(&bytes) } else { csv_entries(&bytes) };
    Ok(read.map_err(|error| bad(&error))?)
}

/// Entries of a JSON file: their line is their place, from 1, permits first.
fn json_entries(bytes: &[u8]) -> Result<(Vec<Entry>, Vec<Refused>), String> {
    let file: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut entries = Vec::new();
    for (key, is_listing) in [("permits", false), ("listings", true)] {
        let some = file.get(key).map_or(Some(&[][..]), |some| some.as_array().map(Vec::as_slice));
        for body in some.ok_or_else(|| format!("`{key}` is no array"))? {
            let line = u64::try_from(entries.len()).unwrap_or(u64::MAX) + 1;
            entries.push(Entry { line, is_listing, body: body.clone() });
        }
    }
    if entries.is_empty() { Err("no `permits` and no `listings` in it".to_owned()) } else { Ok((entries, Vec::new())) }
}

/// Entries of a CSV file, and lines that are none.
fn csv_entries(bytes: &[u8]) -> Result<(Vec<Entry>, Vec<Refused>), String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = bytes.split(|byte| *byte == b'\n').next().unwrap_or(b"");
    let delimiter = if head.contains(&b';') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let columns: Vec<String> = reader.headers().map_err(|error| error.to_string())?.iter().map(str::to_owned).collect();
    if let Some(unknown) = columns.iter().find(|column| !COLUMNS.contains(&column.as_str())) {
        return Err(format!("column `{unknown}` of the first line is not known; `--columns` prints them"));
    }
    for needed in ["plate", "country", "from", "evidence"] {
        if !columns.iter().any(|column| column == needed) {
            return Err(format!("column `{needed}` is missing in the first line"));
        }
    }
    let (mut entries, mut refused) = (Vec::new(), Vec::new());
    for row in reader.records() {
        let row = row.map_err(|error| error.to_string())?;
        let line = row.position().map_or(0, |position| line_of(bytes, position.byte()));
        if row.len() != columns.len() {
            refused.push(Refused { line, reason: "too many or too few columns".to_owned() });
            continue;
        }
        let cells: Map<String, Value> =
            columns.iter().zip(&row).map(|(column, cell)| (column.clone(), Value::from(cell))).collect();
        match entry(&cells) {
            Ok((is_listing, body)) => entries.push(Entry { line, is_listing, body }),
            Err(reason) => refused.push(Refused { line, reason }),
        }
    }
    Ok((entries, refused))
}

/// The line, from 1, on which a row begins; the reader counts a carriage return's line feed to the row after it.
fn line_of(bytes: &[u8], begins: u64) -> u64 {
    let (before, rest) = bytes.split_at(usize::try_from(begins).unwrap_or(usize::MAX).min(bytes.len()));
    let feeds = |some: &[u8]| some.iter().filter(|byte| **byte == b'\n').count();
    let blank = rest.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
    u64::try_from(1 + feeds(before) + feeds(rest.get(..blank).unwrap_or_default())).unwrap_or(u64::MAX)
}

fn entry(cells: &Map<String, Value>) -> Result<(bool, Value), String> {
    let cell = |key: &str| cells.get(key).and_then(Value::as_str).unwrap_or("");
    let optional = |key: &str| Some(cell(key)).filter(|text| !text.is_empty());
    let instant = |key: &str| match optional(key) {
        None => Ok(None),
        Some(text) => instant_of(text).map(Some).ok_or_else(|| format!("{key}: neither a day nor an RFC 3339 instant")),
    };
    if let Some(list) = optional("list") {
        let body = json!({
            "list": list, "plate": cell("plate"), "country": cell("country"), "from": instant("from")?, "to": instant("to")?,
            "evidence": cell("evidence"),
        });
        return Ok((true, body));
    }
    let group = match optional("group") {
        None => Value::Null,
        Some(text) => {
            let (name, places) = text.rsplit_once('*').ok_or("group: not `name*places`")?;
            let places: u16 = places.trim().parse().map_err(|_| "group: not `name*places`".to_owned())?;
            json!({ "name": name.trim(), "places": places })
        }
    };
    let zones: Vec<&str> = cell("zones").split_whitespace().collect();
    let from = instant("from")?;
    let body = json!({
        "id": cell("id"), "plate": cell("plate"), "country": cell("country"), "right": cell("right"), "zones": zones,
        "from": from, "to": instant("to")?.unwrap_or_default(), "granted_at": instant("granted_at")?.or(from),
        "status": optional("status").unwrap_or("granted"), "group": group, "evidence": cell("evidence"),
    });
    Ok((false, body))
}

/// A day is its start in Brussels.
fn instant_of(text: &str) -> Option<String> {
    if text.len() == 10 {
        let day: Date = text.parse().ok()?;
        return Some(day.to_zoned(TimeZone::get(ZONE).ok()?).ok()?.timestamp().to_string());
    }
    let stamp: jiff::Timestamp = text.parse().ok()?;
    Some(stamp.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_line_by_line() {
        let text = "\u{feff}list;id;plate;country;right;zones;from;to;group;evidence\r\n\
            ;V-1;1-ABC-123;B;Z-MED;ZBT-XL-A ZBT-XL-B;2026-11-01;2027-11-01;;dossier 1\r\n\
            ;V-2;1ABC124;B;Z-GARAGE;ZBT-XL-A;2026-11-01;2027-11-01;garage 4*2;dossier 2\r\n\
            taxi;;TXAB123;B;;;2026-11-01T00:00:00Z;;;lijst\r\n\
            ;V-3;1ABC125;B;Z-MED;ZBT-XL-A;gisteren;2027-11-01;;dossier 3\r\n\
            ;V-4;1ABC126\r\n\
            ;V-5;1ABC127;B;Z-GARAGE;ZBT-XL-A;2026-11-01;2027-11-01;garage;dossier 5\r\n";
        let (entries, refused) = csv_entries(text.as_bytes()).unwrap();
        let seen: Vec<(u64, bool)> = entries.iter().map(|entry| (entry.line, entry.is_listing)).collect();
        assert_eq!(seen, [(2, false), (3, false), (4, true)]);
        assert_eq!(entries[0].body["zones"], json!(["ZBT-XL-A", "ZBT-XL-B"]));
        assert_eq!(
            (entries[0].body["from"].as_str(), entries[0].body["granted_at"].as_str()),
            (Some("2026-10-31T23:00:00Z"), Some("2026-10-31T23:00:00Z"))
        );
        assert_eq!(entries[1].body["group"], json!({ "name": "garage 4", "places": 2 }));
        assert_eq!((entries[2].body["list"].as_str(), &entries[2].body["to"]), (Some("taxi"), &Value::Null));
        let told: Vec<(u64, &str)> = refused.iter().map(|one| (one.line, one.reason.as_str())).collect();
        assert_eq!(
            told,
            [
                (5, "from: neither a day nor an RFC 3339 instant"),
                (6, "too many or too few columns"),
                (7, "group: not `name*places`")
            ]
        );
        for (text, wanted) in [
            ("plate,country,from\n", "column `evidence` is missing in the first line"),
            ("colour\n", "column `colour` of the first line is not known; `--columns` prints them"),
        ] {
            assert_eq!(csv_entries(text.as_bytes()).unwrap_err(), wanted);
        }
    }

    #[test]
    fn a_json_file_is_taken_as_it_is() {
        let (entries, _) = json_entries(br#"{"permits":[{"id":"V-1"}],"listings":[{"list":"taxi"}]}"#).unwrap();
        assert_eq!((entries[0].line, entries[1].line, entries[1].is_listing), (1, 2, true));
        for text in [&b"{}"[..], b"[", br#"{"permits":1}"#] {
            assert!(json_entries(text).is_err());
        }
    }
}
