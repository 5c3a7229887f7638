//! `belfry verify`: checks the folder of an export, offline, with nothing but this program and the folder.

use std::path::PathBuf;

use anyhow::Context as _;

/// `belfry verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The folder of the export.
    pub(crate) folder: PathBuf,
    /// SHA-256 fingerprint of the installation's certificate, got by another way (with or without colons).
    #[arg(long, conflicts_with = "certificate")]
    pub(crate) certificate_sha256: Option<String>,
    /// The installation's certificate as a PEM file, got by another way.
    #[arg(long)]
    pub(crate) certificate: Option<PathBuf>,
    /// Public key of the log of uses, in the form of signed notes (`NAME+ID+KEY`).
    #[arg(long)]
    pub(crate) log_key: Option<String>,
    /// Say it in JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Checks and prints; gives the exit code: 0 everything holds, 1 something does not, 2 it could not be checked.
pub(crate) fn run(args: &VerifyArgs) -> anyhow::Result<u8> {
    let pinned = match &args.certificate {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?;
            let print = evidence::fingerprint_of_pem(&text);
            Some(print.with_context(|| format!("`{}` is no certificate in PEM form", path.display()))?)
        }
        None => args.certificate_sha256.clone(),
    };
    let trust = evidence::verify::Trust { certificate_sha256: pinned, log_key: args.log_key.clone() };
    let report = evidence::verify::folder(&args.folder, &trust);
    if args.json {
        crate::print(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    } else {
        crate::print(&report.table());
    }
    Ok(report.verdict.exit_code())
}
