//! `belfry export …`: evidence exports through the HTTP interface of a running Belfry. Every act is somebody's: one orders, another
//! approves, either fetches.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Failure, ServerArgs, Session};
use crate::print;

/// Between two questions how far an export is.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// `belfry export …`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(subcommand)]
    what: ExportCommand,
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// List the exports that the account sees.
    List,
    /// Order an export of the main stream of one camera, or of several cameras of one owner. Somebody else has to approve it.
    Order(Box<OrderArgs>),
    /// How far an export is.
    Status {
        /// `exp_…`.
        export: String,
        /// Wait until it is ready, or came to nothing (exit code 1).
        #[arg(long)]
        wait: bool,
    },
    /// Approve somebody else's export: it begins.
    Approve {
        /// `exp_…`.
        export: String,
    },
    /// Refuse somebody else's export.
    Refuse {
        /// `exp_…`.
        export: String,
        /// Why; whoever ordered it reads this.
        #[arg(long)]
        reason: String,
    },
    /// Stop the work; what was written stays.
    Pause {
        /// `exp_…`.
        export: String,
    },
    /// Let it go on.
    Resume {
        /// `exp_…`.
        export: String,
    },
    /// Give it up, or take one's own order back.
    Cancel {
        /// `exp_…`.
        export: String,
    },
    /// Fetch every file of a finished package into FOLDER/exp_…; what is there already is not fetched again.
    Fetch {
        /// `exp_…`.
        export: String,
        /// Where.
        #[arg(long, default_value = ".")]
        to: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct OrderArgs {
    /// `cam_…` or the camera's code; up to eight times, for a film of each over the same span.
    #[arg(long, required = true, num_args = 1)]
    camera: Vec<String>,
    /// First instant, RFC 3339, such as 2026-11-22T10:00:00+01:00.
    #[arg(long)]
    from: String,
    /// First instant after.
    #[arg(long)]
    to: String,
    /// Purpose code, such as `GERECHTELIJK_ONDERZOEK`.
    #[arg(long)]
    purpose: String,
    /// Why, in at least ten characters.
    #[arg(long)]
    justification: String,
    /// Case number.
    #[arg(long)]
    case: String,
    /// Language of the custody sheet.
    #[arg(long, default_value = "nl", value_parser = ["nl", "fr", "en"])]
    language: String,
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("")
}

fn line(export: &Value) -> String {
    let percent = export.pointer("/progress/percent").and_then(Value::as_f64).unwrap_or(0.0);
    let failure =
        export.pointer("/failure").and_then(Value::as_str).map_or_else(String::new, |word| format!(" ({word})"));
    let (id, state) = (text(export, "/id"), text(export, "/state"));
    let cameras = export.get("cameras").and_then(Value::as_array);
    let camera = cameras.into_iter().flatten().map(|one| text(one, "/code")).collect::<Vec<_>>().join(", ");
    let (from, to, case) = (text(export, "/from"), text(export, "/to"), text(export, "/case_ref"));
    format!("{id}  {state}{failure}  {percent:.1} %  {camera}  {from} – {to}  {case}\n")
}

fn show(export: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        print(&format!("{}\n", serde_json::to_string_pretty(export)?))
    } else {
        print(&line(export))
    }
    Ok(())
}

/// Runs the command.
pub(crate) async fn run(args: ExportArgs) -> anyhow::Result<()> {
    let session = Session::open(&args.server).await?;
    let outcome = act(&session, args.what, args.server.json).await;
    session.close(outcome).await
}

async fn act(session: &Session, what: ExportCommand, as_json: bool) -> anyhow::Result<()> {
    let step = async |export: &str, step: &str, body: Value| {
        session.call(Method::POST, &format!("/api/v1/exports/{export}/{step}"), Some(body)).await
    };
    let seen = match what {
        ExportCommand::List => return list(session, as_json).await,
        ExportCommand::Order(order) => place(session, *order).await?,
        ExportCommand::Status { export, wait } => {
            if wait {
                until_ready(session, &export).await?
            } else {
                session.call(Method::GET, &format!("/api/v1/exports/{export}"), None).await?
            }
        }
        ExportCommand::Approve { export } => step(&export, "approval", json!({})).await?,
        ExportCommand::Refuse { export, reason } => step(&export, "refusal", json!({ "reason": reason })).await?,
        ExportCommand::Pause { export } => step(&export, "pause", json!({})).await?,
        ExportCommand::Resume { export } => step(&export, "resume", json!({})).await?,
        ExportCommand::Cancel { export } => step(&export, "cancel", json!({})).await?,
        ExportCommand::Fetch { export, to } => return fetch(session, &export, &to, as_json).await,
    };
    show(&seen, as_json)
}

async fn list(session: &Session, as_json: bool) -> anyhow::Result<()> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = session.call(Method::GET, &format!("/api/v1/exports?limit=500{cursor}"), None).await?;
        all.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    if as_json {
        print(&format!("{}\n", serde_json::to_string_pretty(&all)?));
    } else {
        all.iter().for_each(|export| print(&line(export)));
    }
    Ok(())
}

async fn place(session: &Session, order: OrderArgs) -> anyhow::Result<Value> {
    let mut cameras = Vec::with_capacity(order.camera.len());
    for camera in &order.camera {
        cameras.push(session.camera_id(camera).await?);
    }
    let body = json!({
        "camera_ids": cameras, "from": order.from, "to": order.to, "language": order.language,
        "purpose": { "code": order.purpose, "justification": order.justification, "case_ref": order.case },
    });
    session.call(Method::POST, "/api/v1/exports", Some(body)).await
}

/// Waits with a bar on stderr, which is drawn on a terminal only.
async fn until_ready(session: &Session, export: &str) -> anyhow::Result<Value> {
    let bar = ProgressBar::new(1_000);
    bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {percent} % {elapsed}")?);
    loop {
        let seen = session.call(Method::GET, &format!("/api/v1/exports/{export}"), None).await?;
        let percent = seen.pointer("/progress/percent").and_then(Value::as_f64).unwrap_or(0.0);
        bar.set_position(per_mille(percent));
        bar.set_message(text(&seen, "/state").to_owned());
        match text(&seen, "/state") {
            "done" => {
                bar.finish_and_clear();
                return Ok(seen);
            }
            "waits" | "queued" | "running" | "paused" => tokio::time::sleep(LOOK_EVERY).await,
            state => {
                bar.finish_and_clear();
                let failure = text(&seen, "/failure");
                return Err(Failure::No(format!("the export is {state} {failure}").trim_end().to_owned()).into());
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1000")]
fn per_mille(percent: f64) -> u64 {
    (percent * 10.0).clamp(0.0, 1_000.0) as u64
}

/// The name of a file, and nothing that leads out of a folder.
fn plain(name: &str) -> Option<&str> {
    let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    is_plain.then_some(name)
}

async fn fetch(session: &Session, export: &str, to: &Path, as_json: bool) -> anyhow::Result<()> {
    let export = plain(export).ok_or_else(|| Failure::Input("not an export id".to_owned()))?;
    let files = session.call(Method::GET, &format!("/api/v1/exports/{export}/files"), None).await?;
    let folder = to.join(export);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let files = files.as_array().cloned().unwrap_or_default();
    let size = |file: &Value| file.get("bytes").and_then(Value::as_u64).unwrap_or(0);
    let bar = ProgressBar::new(files.iter().map(size).sum());
    bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")?);
    for file in &files {
        let name =
            plain(text(file, "/name")).ok_or_else(|| Failure::No("the server names a file that is none".to_owned()))?;
        bar.set_message(name.to_owned());
        let (path, bytes) = (folder.join(name), size(file));
        if std::fs::metadata(&path).is_ok_and(|data| data.len() == bytes) {
            bar.inc(bytes);
            continue;
        }
        fetch_one(session, text(file, "/url"), &path, bytes, &bar).await?;
    }
    bar.finish_and_clear();
    let fingerprint = session.call(Method::GET, &format!("/api/v1/exports/{export}"), None).await?;
    let fingerprint = text(&fingerprint, "/certificate_sha256");
    if as_json {
        let said = json!({ "folder": folder, "files": files.len(), "certificate_sha256": fingerprint });
        print(&format!("{said}\n"));
    } else {
        print(&format!(
            "{}\ncheck it with: belfry verify --certificate-sha256 {fingerprint} {}\n",
            folder.display(),
            folder.display()
        ));
    }
    Ok(())
}

/// One file, by way of a name beside it: what was fetched before an interruption is gone on with.
async fn fetch_one(session: &Session, url: &str, path: &Path, bytes: u64, bar: &ProgressBar) -> anyhow::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let aside = PathBuf::from(aside);
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&aside)?;
    let mut have = file.metadata()?.len();
    if have > bytes {
        file.set_len(0)?;
        have = 0;
    }
    bar.inc(have);
    if have < bytes {
        let mut response = session.bytes(url, have).await?;
        while let Some(piece) = response.chunk().await? {
            file.write_all(&piece)?;
            bar.inc(u64::try_from(piece.len()).unwrap_or(0));
        }
    }
    file.sync_all()?;
    let length = file.metadata()?.len();
    if length != bytes {
        return Err(
            Failure::No(format!("{} ended after {length} of {bytes} bytes; run it again", path.display())).into()
        );
    }
    std::fs::rename(&aside, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_a_server_leads_nowhere() {
        for (name, is_plain) in [
            ("footage-001.mp4", true),
            ("SHA256SUMS", true),
            ("", false),
            ("..", false),
            (".bashrc", false),
            ("../x", false),
            ("a/b", false),
            ("a\\b", false),
        ] {
            assert_eq!(plain(name).is_some(), is_plain, "{name}");
        }
        assert_eq!([-1.0, 0.0, 42.5, 200.0].map(per_mille), [0, 0, 425, 1_000]);
    }
}
