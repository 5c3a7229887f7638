//! `belfry camera …`: a client of the HTTP interface, so that every act is somebody's and is logged like in the console.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use reqwest::{Client, Method, Response, header};
use serde_json::{Value, json};

use crate::print;

/// `belfry camera …`.
#[derive(Debug, clap::Args)]
pub(crate) struct CameraArgs {
    /// Address of a running Belfry.
    #[arg(long, default_value = "http://127.0.0.1:8480", env = "BELFRY_SERVER")]
    server: String,
    /// Account to act as.
    #[arg(long, env = "BELFRY_USER")]
    user: String,
    /// File that holds the account's password; without it, `BELFRY_PASSWORD`.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Password; not on the command line, where everybody sees it.
    #[arg(long, hide = true, env = "BELFRY_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    what: CameraCommand,
}

#[derive(Debug, Subcommand)]
enum CameraCommand {
    /// List the cameras that the account sees.
    List,
    /// Save a draft camera from a JSON file (the body of `POST /api/v1/cameras`).
    Add {
        /// The file.
        file: PathBuf,
    },
    /// Import cameras from a CSV file, as drafts.
    Import {
        /// The file; columns as in the documentation.
        file: PathBuf,
        /// Only check; write nothing.
        #[arg(long)]
        dry_run: bool,
        /// Write the good rows although others are bad.
        #[arg(long)]
        partial: bool,
    },
    /// Dial a camera and say what answers.
    Probe {
        /// `cam_…` or the camera's code.
        camera: String,
    },
    /// Retire a camera: it no longer records or shows; its footage lives out its term.
    Remove {
        /// `cam_…` or the camera's code.
        camera: String,
    },
}

struct Session {
    http: Client,
    server: String,
    cookie: String,
    csrf: String,
}

/// Logs in, does it, logs out.
pub(crate) async fn run(args: CameraArgs) -> anyhow::Result<()> {
    let password = match (&args.password_file, &args.password) {
        (Some(file), _) => {
            std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?.trim_end().to_owned()
        }
        (None, Some(password)) => password.clone(),
        (None, None) => bail!("give --password-file FILE or set BELFRY_PASSWORD"),
    };
    let session = Session::open(&args.server, &args.user, &password).await?;
    let outcome = act(&session, &args.what, args.json).await;
    session.call(Method::POST, "/api/v1/logout", None).await?;
    outcome
}

async fn act(session: &Session, what: &CameraCommand, as_json: bool) -> anyhow::Result<()> {
    match what {
        CameraCommand::List => list(session, as_json).await,
        CameraCommand::Add { file } => {
            let draft: Value = serde_json::from_slice(&std::fs::read(file)?).context("the file is no JSON")?;
            let camera = session.call(Method::POST, "/api/v1/cameras", Some(draft)).await?;
            show(&camera)
        }
        CameraCommand::Import { file, dry_run, partial } => {
            let csv = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            let body = json!({ "csv": csv, "dry_run": dry_run, "partial": partial });
            import_report(&session.call(Method::POST, "/api/v1/cameras/import", Some(body)).await?)
        }
        CameraCommand::Probe { camera } => {
            let id = session.camera_id(camera).await?;
            show(&session.call(Method::POST, &format!("/api/v1/cameras/{id}/probe"), None).await?)
        }
        CameraCommand::Remove { camera } => {
            let id = session.camera_id(camera).await?;
            show(&session.call(Method::POST, &format!("/api/v1/cameras/{id}/retire"), None).await?)
        }
    }
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

fn import_report(outcome: &Value) -> anyhow::Result<()> {
    let bad = outcome.get("bad").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for row in bad {
        let word = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let line = row.get("line").and_then(Value::as_u64).unwrap_or(0);
        print(&format!("line {line}, {}: {}\n", word("column"), word("problem")));
    }
    let count = |key: &str| outcome.get(key).and_then(Value::as_u64).unwrap_or(0);
    print(&format!("{} good, {} bad, {} written\n", count("good"), bad.len(), count("written")));
    anyhow::ensure!(bad.is_empty(), "{} rows are bad", bad.len());
    Ok(())
}

fn show(value: &Value) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?));
    Ok(())
}

impl Session {
    async fn open(server: &str, user: &str, password: &str) -> anyhow::Result<Self> {
        let http = Client::builder().build()?;
        let server = server.trim_end_matches('/').to_owned();
        let body = json!({ "user_name": user, "password": password });
        let request = http.post(format!("{server}/api/v1/login")).header(header::CONTENT_TYPE, "application/json");
        let response = request.body(body.to_string()).send().await;
        let response = response.with_context(|| format!("no Belfry answers at {server}"))?;
        let cookies = response.headers().get_all(header::SET_COOKIE).iter();
        let cookie = cookies.filter_map(|value| value.to_str().ok()?.split(';').next()).collect::<Vec<_>>().join("; ");
        let view = answer(response).await?;
        let csrf = view.get("csrf_token").and_then(Value::as_str).unwrap_or("").to_owned();
        Ok(Self { http, server, cookie, csrf })
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.server));
        request = request.header(header::COOKIE, &self.cookie).header("X-CSRF-Token", &self.csrf);
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        answer(request.send().await?).await
    }

    async fn cameras(&self) -> anyhow::Result<Vec<Value>> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.call(Method::GET, &format!("/api/v1/cameras?limit=500{cursor}"), None).await?;
            all.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    async fn camera_id(&self, name: &str) -> anyhow::Result<String> {
        if name.starts_with("cam_") {
            return Ok(name.to_owned());
        }
        let cameras = self.cameras().await?;
        let found = cameras.iter().find(|camera| camera.get("code").and_then(Value::as_str) == Some(name));
        let id = found.and_then(|camera| camera.get("id")).and_then(Value::as_str);
        id.map(str::to_owned).with_context(|| format!("the account sees no camera `{name}`"))
    }
}

async fn answer(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let text = response.text().await?;
    let value: Value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::Null) };
    if status.is_success() {
        return Ok(value);
    }
    let word = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let problems = value.get("errors").map(Value::to_string).unwrap_or_default();
    bail!("{status} {}: {} {problems}", word("code"), word("detail"))
}
