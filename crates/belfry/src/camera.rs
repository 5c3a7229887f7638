//! `belfry camera …`: what a technician does with cameras, through the HTTP interface of a running Belfry. A stopped one
//! takes no cameras: their passwords are sealed to the running recorder, and every change is a leaf of the log.

mod law;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};
use vms_app::camera_rules::split_login;

use crate::client::{Failure, ServerArgs, Session, sentence};
use crate::{complain, print};

/// `belfry camera …`.
#[derive(Debug, clap::Args)]
pub(crate) struct CameraArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(subcommand)]
    what: CameraCommand,
}

#[derive(Debug, Subcommand)]
enum CameraCommand {
    /// List the cameras that the account sees.
    List,
    /// Save a draft camera, from a JSON file or from options.
    Add(Box<AddArgs>),
    /// Import cameras from a CSV file, as drafts: all rows or none.
    Import {
        /// The file. Its first line names the columns; `--columns` prints them.
        #[arg(required_unless_present = "columns")]
        file: Option<PathBuf>,
        /// Only check; write nothing.
        #[arg(long)]
        dry_run: bool,
        /// Write the good rows although others are bad.
        #[arg(long)]
        partial: bool,
        /// Print the line that names the columns, and end.
        #[arg(long)]
        columns: bool,
    },
    /// Dial a camera and say what answers.
    Probe {
        /// `cam_…` or the camera's code.
        camera: String,
    },
    /// Legal fields of an approved camera: propose, approve, refuse, take back, list.
    Law {
        #[command(subcommand)]
        what: law::LawCommand,
    },
    /// Retire a camera: it no longer records or shows; its footage lives out its term.
    Remove {
        /// `cam_…` or the camera's code.
        camera: String,
        /// Why, for the log.
        #[arg(long)]
        reason: String,
    },
}

/// A camera on the command line.
#[derive(Debug, clap::Args)]
struct AddArgs {
    /// JSON file with the body of `POST /api/v1/cameras`, instead of the options.
    #[arg(conflicts_with = "code", required_unless_present = "code")]
    file: Option<PathBuf>,
    /// Code of the installation.
    #[arg(long, requires_all = ["name_nl", "name_fr", "owner", "lat", "lon", "url"])]
    code: Option<String>,
    /// Dutch name.
    #[arg(long)]
    name_nl: Option<String>,
    /// French name.
    #[arg(long)]
    name_fr: Option<String>,
    /// Code of the owner, such as 5340.
    #[arg(long)]
    owner: Option<String>,
    /// `overview`, `lez`, `zbt` or `trajectory`.
    #[arg(long, default_value = "overview")]
    kind: String,
    /// Degrees north.
    #[arg(long, allow_negative_numbers = true)]
    lat: Option<f64>,
    /// Degrees east.
    #[arg(long, allow_negative_numbers = true)]
    lon: Option<f64>,
    /// RTSP address of the main stream. A log-in in it is taken out and sealed.
    #[arg(long)]
    url: Option<String>,
    /// RTSP address of the sub-stream.
    #[arg(long)]
    sub_url: Option<String>,
    /// User name of the camera.
    #[arg(long, requires = "camera_password_file")]
    camera_user: Option<String>,
    /// File that holds the camera's password.
    #[arg(long, requires = "camera_user")]
    camera_password_file: Option<PathBuf>,
    /// Class of its footage.
    #[arg(long, default_value = "RC-VID-OPEN")]
    retention_class: String,
    /// Title or number of the document that allows it.
    #[arg(long, requires = "legal_basis_date")]
    legal_basis: Option<String>,
    /// Date of that document, YYYY-MM-DD.
    #[arg(long)]
    legal_basis_date: Option<String>,
    /// The advice given on it.
    #[arg(long, default_value = "")]
    advice: String,
    /// Pictogram placed, YYYY-MM-DD.
    #[arg(long)]
    pictogram_on: Option<String>,
}

/// Logs in, does it, logs out.
pub(crate) async fn run(args: CameraArgs) -> anyhow::Result<()> {
    if let CameraCommand::Import { columns: true, .. } = args.what {
        print(&format!("{},call_up\n", vms_app::camera_import::COLUMNS.join(",")));
        return Ok(());
    }
    let session = Session::open(&args.server).await?;
    let outcome = act(&session, &args.what, args.server.json).await;
    session.close(outcome).await
}

async fn act(session: &Session, what: &CameraCommand, as_json: bool) -> anyhow::Result<()> {
    match what {
        CameraCommand::List => list(session, as_json).await,
        CameraCommand::Add(wanted) => {
            let draft = draft(session, wanted).await?;
            let camera = session.call(Method::POST, "/api/v1/cameras", Some(draft)).await?;
            said(&camera, as_json, "saved as a draft; the owner's approver brings it into service")
        }
        CameraCommand::Import { file, dry_run, partial, columns: _ } => {
            let file = file.as_deref().context("the file")?;
            import(session, file, *dry_run, *partial, as_json).await
        }
        CameraCommand::Probe { camera } => {
            let id = session.camera_id(camera).await?;
            let found = session.call(Method::POST, &format!("/api/v1/cameras/{id}/probe"), None).await?;
            probe_report(camera, &found, as_json)
        }
        CameraCommand::Law { what } => law::act(session, what, as_json).await,
        CameraCommand::Remove { camera, reason } => {
            let id = session.camera_id(camera).await?;
            let body = json!({ "reason": reason });
            let gone = session.call(Method::POST, &format!("/api/v1/cameras/{id}/retire"), Some(body)).await?;
            let is_over = gone.get("state").and_then(Value::as_str) == Some("retired");
            let words = if is_over {
                "retired; its footage lives out its term"
            } else {
                "asked for; the owner's chief or data-protection officer has to agree"
            };
            said(&gone, as_json, words)
        }
    }
}

/// The body of `POST /api/v1/cameras`.
async fn draft(session: &Session, wanted: &AddArgs) -> anyhow::Result<Value> {
    let mut draft = match &wanted.file {
        Some(file) => {
            let bytes = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
            serde_json::from_slice(&bytes).map_err(|_| Failure::Input(format!("{}: is no JSON", file.display())))?
        }
        None => draft_of_options(session, wanted).await?,
    };
    for stream in draft.get_mut("streams").and_then(Value::as_array_mut).into_iter().flatten() {
        take_login_out(stream)?;
    }
    Ok(draft)
}

async fn draft_of_options(session: &Session, wanted: &AddArgs) -> anyhow::Result<Value> {
    let owner = match &wanted.owner {
        Some(code) => Some(session.org_id(code).await?),
        None => None,
    };
    let password = match &wanted.camera_password_file {
        Some(file) => Some(std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?),
        None => None,
    };
    let stream = |use_: &str, url: &Option<String>| {
        let mut stream = json!({ "use": use_, "url": url.as_ref()? });
        if let (Some(user), Some(password), Some(fields)) = (&wanted.camera_user, &password, stream.as_object_mut()) {
            fields.insert("user".to_owned(), json!(user));
            fields.insert("password".to_owned(), json!(password.trim_end_matches(['\r', '\n'])));
        }
        Some(stream)
    };
    let streams: Vec<Value> = [("main", &wanted.url), ("sub", &wanted.sub_url)]
        .into_iter()
        .filter_map(|(use_, url)| stream(use_, url))
        .collect();
    let basis = wanted.legal_basis.as_ref();
    let basis =
        basis.map(|document| json!({ "document": document, "date": wanted.legal_basis_date, "advice": wanted.advice }));
    Ok(json!({
        "code": wanted.code, "name_nl": wanted.name_nl, "name_fr": wanted.name_fr, "owner_id": owner,
        "kind": wanted.kind, "lat": wanted.lat, "lon": wanted.lon, "retention_class": wanted.retention_class,
        "pictogram_on": wanted.pictogram_on, "legal_basis": basis, "streams": streams,
    }))
}

/// A log-in inside an address goes into its own fields, where the server seals it; the address is kept without.
fn take_login_out(stream: &mut Value) -> anyhow::Result<()> {
    let split = stream.get("url").and_then(Value::as_str).and_then(split_login);
    let (Some((url, Some((user, password)))), Some(fields)) = (split, stream.as_object_mut()) else { return Ok(()) };
    if fields.get("user").is_some_and(|user| !user.is_null()) {
        return Err(Failure::Input(format!("the address {}", sentence("credentials_twice"))).into());
    }
    fields.insert("url".to_owned(), json!(url));
    fields.insert("user".to_owned(), json!(user));
    fields.insert("password".to_owned(), json!(password));
    Ok(())
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::Input(format!("{}: {error}", file.display()))
}

async fn list(session: &Session, as_json: bool) -> anyhow::Result<()> {
    let cameras = session.cameras().await?;
    if as_json {
        return show(&Value::Array(cameras));
    }
    for camera in cameras {
        let word = |path: &str| camera.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
        let (code, owner) = (word("/code"), word("/owner/code"));
        print(&format!("{code:<24} {owner:<8} {:<9} {:<12} {}\n", word("/state"), word("/health/phase"), word("/id")));
    }
    Ok(())
}

async fn import(session: &Session, file: &Path, dry_run: bool, partial: bool, as_json: bool) -> anyhow::Result<()> {
    let csv = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
    let csv =
        String::from_utf8(csv).map_err(|_| Failure::Input(format!("{}: {}", file.display(), sentence("not_csv"))))?;
    let rows = csv.lines().filter(|line| !line.trim().is_empty()).count().saturating_sub(1);
    let verb = if dry_run { "checking" } else { "importing" };
    let progress = progress(&format!("{verb} {rows} rows"));
    let body = json!({ "csv": csv, "dry_run": dry_run, "partial": partial });
    let outcome = session.call(Method::POST, "/api/v1/cameras/import", Some(body)).await;
    progress.finish_and_clear();
    import_report(&outcome?, dry_run, as_json)
}

/// Shown on a terminal only. The server takes a file whole, so that this says how long, not how far.
fn progress(text: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(text.to_owned());
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn import_report(outcome: &Value, dry_run: bool, as_json: bool) -> anyhow::Result<()> {
    let bad = outcome.get("bad").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let count = |key: &str| outcome.get(key).and_then(Value::as_u64).unwrap_or(0);
    let (good, written) = (count("good"), count("written"));
    if as_json {
        show(outcome)?;
    } else {
        for row in bad {
            let word = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
            let line = row.get("line").and_then(Value::as_u64).unwrap_or(0);
            print(&format!("line {line:<5} {:<22} {}\n", word("column"), sentence(&word("problem"))));
        }
        let done = if dry_run { "nothing written (--dry-run)".to_owned() } else { format!("{written} written") };
        print(&format!("{good} good, {} with faults, {done}\n", rows_with_faults(bad)));
    }
    if bad.is_empty() {
        return Ok(());
    }
    let advice = match (dry_run, written) {
        (false, 0) => "nothing was written; mend the rows above, or take the good ones with --partial",
        (false, _) => "the good rows were written; the others were not",
        (true, _) => "an import would write nothing while rows are bad, but for --partial",
    };
    Err(Failure::Input(advice.to_owned()).into())
}

/// Rows with faults: a row may have several.
fn rows_with_faults(bad: &[Value]) -> usize {
    let mut lines: Vec<u64> = bad.iter().filter_map(|row| row.get("line").and_then(Value::as_u64)).collect();
    lines.dedup();
    lines.len()
}

fn probe_report(camera: &str, found: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        show(found)?;
    }
    let word = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let number = |key: &str| found.get(key).and_then(Value::as_u64).unwrap_or(0);
    let is = |key: &str| found.get(key).and_then(Value::as_bool).unwrap_or(false);
    if !is("ok") {
        return Err(Failure::No(format!("{camera} gives no picture: {} ({})", word("detail"), word("cause"))).into());
    }
    if !as_json {
        let sound = if is("offers_audio") { "; it offers sound, which is never taken" } else { "" };
        print(&format!(
            "{camera} answers: {} {}×{}, first full picture after {} ms{sound}\n",
            word("codec"),
            number("width"),
            number("height"),
            number("first_key_ms"),
        ));
    }
    Ok(())
}

/// A camera after a change: the whole of it, or a line.
fn said(camera: &Value, as_json: bool, words: &str) -> anyhow::Result<()> {
    if as_json {
        return show(camera);
    }
    let word = |key: &str| camera.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    print(&format!("{} {}\n", word("code"), word("id")));
    complain(&format!("{}: {words}", word("code")));
    Ok(())
}

fn show(value: &Value) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?));
    Ok(())
}
