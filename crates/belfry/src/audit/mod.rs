//! `belfry audit`: the log of uses in the hands of whoever watches over it: check, prove, copy, follow. Offline, except `monitor` of an
//! address, the details of `export`, and `who-searched`, which asks a running Belfry as somebody.
//!
//! Exit codes of all but that one: 0 everything holds · 1 something does not, and where · 2 it could not be checked.

pub(crate) mod mirror;
mod monitor;
mod searches;

use std::io::BufRead as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use audit::proof::Inclusion;
use audit::rules::{LINE_MAX, Opened};
use audit::{Checked, Fault, Pins, WitnessVerifier, check};
use clap::Subcommand;
use serde_json::json;
use vms_core::WallTime;

use crate::config::Config;
use crate::print;
use crate::wiring::log_notes;
use crate::wiring::system::SystemClock;
use mirror::DirFolder;

/// `belfry audit …`.
#[derive(Debug, clap::Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    what: AuditCommand,
    /// Say it in JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Whose signatures count.
#[derive(Clone, Debug, clap::Args)]
struct KeyArgs {
    /// Public key of the log (`NAME+ID+BASE64`), or a file that holds it.
    #[arg(long)]
    key: String,
    /// Public key of a witness that must have cosigned, or a file that holds it; may be repeated.
    #[arg(long = "witness-key")]
    witness_keys: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check a copy of the log: signatures, every tile, every leaf; and details, where they are given.
    Verify {
        /// Folder with `checkpoint` and `tile/`.
        dir: PathBuf,
        #[command(flatten)]
        keys: KeyArgs,
        /// The checkpoint that you kept when you looked last.
        #[arg(long)]
        from: Option<PathBuf>,
        /// Details with salts, one line for each leaf, as `export --details` writes them.
        #[arg(long)]
        details: Option<PathBuf>,
        /// The instant for which the rule of deletion is checked, microseconds since 1970; without it the newest leaf's.
        #[arg(long)]
        now: Option<i64>,
    },
    /// Write a proof that a leaf stands in the log (C2SP tlog-proof), or check one.
    Prove {
        /// Index of the leaf.
        #[arg(required_unless_present = "check")]
        index: Option<u64>,
        /// Folder with `checkpoint` and `tile/`.
        #[arg(long, required_unless_present = "check")]
        dir: Option<PathBuf>,
        /// Where to write the proof.
        #[arg(long, required_unless_present = "check")]
        out: Option<PathBuf>,
        /// Check this proof instead.
        #[arg(long, conflicts_with_all = ["index", "dir", "out"])]
        check: Option<PathBuf>,
        #[command(flatten)]
        keys: KeyArgs,
    },
    /// Copy the public files of this machine's log, what is new; and the details, for those who may read them. An export of details
    /// is a leaf itself: `serve` must run.
    Export {
        /// The copy: a folder that only grows.
        dir: PathBuf,
        /// Write details and salts here as well (personal data).
        #[arg(long)]
        details: Option<PathBuf>,
    },
    /// Follow a log: fetch what is new, check it against what was seen last, and keep what was seen.
    Monitor(monitor::MonitorArgs),
    /// Who searched for a plate, as an overseer or data-protection officer: asks a running Belfry, under a purpose and a case, and is a leaf of
    /// the log itself. The plate is read from standard input.
    WhoSearched(searches::SearchesArgs),
}

/// The text, or what the file of that name holds.
fn key_text(given: &str) -> anyhow::Result<String> {
    if given.contains('+') && !Path::new(given).exists() {
        return Ok(given.trim().to_owned());
    }
    Ok(std::fs::read_to_string(given).with_context(|| given.to_owned())?.trim().to_owned())
}

impl KeyArgs {
    fn pins(&self, old: Option<Vec<u8>>) -> anyhow::Result<Pins> {
        let witnesses = self.witness_keys.iter().map(|given| {
            WitnessVerifier::new(&key_text(given)?).with_context(|| format!("`{given}` is no key of a witness"))
        });
        let log_key = key_text(&self.key)?;
        audit::LogKey::check(&log_key).with_context(|| format!("`{}` is no key of a log", self.key))?;
        Ok(Pins { log_key, witnesses: witnesses.collect::<anyhow::Result<_>>()?, old })
    }
}

/// The folder as the pins want it: with witnesses, its newest cosigned checkpoint.
fn folder(dir: &Path, pins: &Pins) -> DirFolder {
    if pins.witnesses.is_empty() { DirFolder::new(dir) } else { DirFolder::cosigned(dir) }
}

/// Runs; gives the exit code.
pub(crate) fn run(args: AuditArgs, config: &Path) -> anyhow::Result<u8> {
    let json = args.json;
    match args.what {
        AuditCommand::Verify { dir, keys, from, details, now } => {
            let old = from.map(|path| std::fs::read(&path).with_context(|| path.display().to_string())).transpose()?;
            let pins = keys.pins(old)?;
            let now = now.map(WallTime::from_micros);
            let said = verify(&dir, &pins, details.as_deref(), now)?;
            Ok(verdict(json, said))
        }
        AuditCommand::Prove { check: Some(file), keys, .. } => {
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let pins = keys.pins(None)?;
            let proof = Inclusion::parse(&text).context("this is no proof of this form")?;
            let said = proof.check(&pins.log_key, &pins.witnesses);
            Ok(verdict(json, said.map(|(_, size)| json!({ "leaf": proof.leaf, "index": proof.index, "size": size }))))
        }
        AuditCommand::Prove { index, dir, out, keys, .. } => {
            let (index, dir, out) = (index.context("which leaf?")?, dir.context("--dir")?, out.context("--out")?);
            let pins = keys.pins(None)?;
            let proof = match Inclusion::prove(&folder(&dir, &pins), &pins.log_key, index) {
                Ok(proof) => proof,
                Err(fault) => return Ok(verdict(json, Err(fault))),
            };
            let text = proof.to_text();
            mirror::write(&out, text.as_bytes())?;
            Ok(verdict(json, Ok(json!({ "leaf": proof.leaf, "index": index, "bytes": text.len() }))))
        }
        AuditCommand::Export { dir, details } => {
            let config = Config::load(config)?;
            let copied = mirror::copy(&config.paths.state.join("log/public"), &dir)?;
            let lines = details.map(|path| crate::in_runtime_of(export_details(&config, &path))).transpose()?;
            Ok(verdict(json, Ok(json!({ "copied": copied, "details": lines }))))
        }
        AuditCommand::WhoSearched(what) => Ok(match crate::in_runtime_of(searches::run(what)) {
            Ok(()) => 0,
            Err(error) => crate::client::report(&error, json),
        }),
        AuditCommand::Monitor(what) => crate::in_runtime_of(monitor::run(what, json)),
    }
}

/// Checks a folder, and the details where given. The outer error: it could not be checked.
pub(crate) fn verify(
    dir: &Path,
    pins: &Pins,
    details: Option<&Path>,
    now: Option<WallTime>,
) -> anyhow::Result<Result<serde_json::Value, Fault>> {
    anyhow::ensure!(dir.is_dir(), "`{}` is no folder", dir.display());
    let checked = match check(&folder(dir, pins), pins) {
        Ok(checked) => checked,
        Err(fault) => return Ok(Err(fault)),
    };
    let Some(path) = details else { return Ok(Ok(words(&checked, None))) };
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let lines = std::io::BufReader::new(file).split(b'\n').map_while(Result::ok).map(|line| {
        // One that is too long or no text is no line of details, and is said so by its place.
        if line.len() > LINE_MAX { String::new() } else { String::from_utf8(line).unwrap_or_default() }
    });
    let now = now.or_else(|| checked.leaves.newest()).unwrap_or_default();
    Ok(checked.leaves.details(lines, now).map(|opened| words(&checked, Some(opened))))
}

fn words(checked: &Checked, opened: Option<Opened>) -> serde_json::Value {
    let details = opened.map(|seen| {
        json!({ "opened": seen.opened, "forgotten": seen.forgotten, "segments": seen.segments, "erased": seen.erased })
    });
    json!({ "size": checked.size, "root": checked.root.to_string(), "details": details })
}

fn verdict(as_json: bool, said: Result<serde_json::Value, Fault>) -> u8 {
    let (code, text) = match said {
        Ok(words) if as_json => (0, json!({ "holds": true, "found": words }).to_string()),
        Ok(words) => (0, format!("HOLDS: {words}")),
        Err(fault) if as_json => (1, json!({ "holds": false, "place": fault.place, "what": fault.what }).to_string()),
        Err(fault) => (1, format!("DOES NOT HOLD: {fault}")),
    };
    print(&format!("{text}\n"));
    code
}

/// Leaves of one page.
const PAGE: u32 = 1_000;
/// How long an export of details waits for its own leaf.
const LEAF_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// Writes the details of every leaf that has its details in the database, with salts; gives how many.
async fn export_details(config: &Config, path: &Path) -> anyhow::Result<u64> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let store = crate::roles::serve::open_store(config)?;
    // First the leaf: nobody takes details away unseen.
    let notes = log_notes::folder(&config.paths.state);
    let details = json!({ "uid": rustix::process::getuid().as_raw(), "file": path.file_name().map(|name| name.to_string_lossy()) });
    let note = log_notes::leave(&notes, log_notes::DETAILS_EXPORTED, details)?;
    log_notes::carried(&store, &notes, &note, LEAF_WITHIN).await?;
    let said = || path.display().to_string();
    let file =
        std::fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(path).with_context(said)?;
    let mut out = std::io::BufWriter::new(file);
    let mut next = 0;
    loop {
        let rows = vms_store::details::opened_details(&store, next, PAGE).await?;
        let Some(last) = rows.last().map(|row| row.index) else { break };
        for row in rows {
            writeln!(out, "{}", serde_json::to_string(&row)?).with_context(said)?;
        }
        next = last.saturating_add(1);
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all().with_context(said)?;
    store.close().await;
    tracing::info!(leaves = next, at = %SystemClock::wall_now().micros, "details of the log were written");
    Ok(next)
}
