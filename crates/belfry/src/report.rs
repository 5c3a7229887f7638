//! `belfry report …`: the figures of the annual report (`domain.md` D5), through the HTTP interface of a running Belfry: whoever asks
//! has the right to, and the log says that they did.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::client::{Failure, ServerArgs, Session};
use crate::print;

/// `belfry report …`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The year, such as 2026.
    year: i16,
    /// Folder for `annual-YEAR.json` and `annual-YEAR.csv`; without it the CSV (with `--json` the JSON) is printed.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Logs in, does it, logs out.
pub(crate) async fn run(args: ReportArgs) -> anyhow::Result<()> {
    let session = Session::open(&args.server).await?;
    let outcome = act(&session, &args).await;
    session.close(outcome).await
}

async fn act(session: &Session, args: &ReportArgs) -> anyhow::Result<()> {
    let text = async |format: &str| -> anyhow::Result<String> {
        let path = format!("/api/v1/reports/annual?year={}&format={format}", args.year);
        Ok(session.bytes(&path, 0).await?.text().await?)
    };
    let Some(folder) = &args.out else {
        print(&text(if args.server.json { "json" } else { "csv" }).await?);
        return Ok(());
    };
    for format in ["json", "csv"] {
        let file = folder.join(format!("annual-{}.{format}", args.year));
        write(&file, &text(format).await?)?;
        print(&format!("{}\n", file.display()));
    }
    Ok(())
}

/// A file that is there already is not written over: a report that was handed in stays what it was.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let made = std::fs::File::options().write(true).create_new(true).open(file);
    let mut made = made.map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?;
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("annual-2026.csv");
        write(&file, "year;subject\n").unwrap();
        let told = write(&file, "another").unwrap_err().to_string();
        assert!(told.contains("annual-2026.csv"), "{told}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "year;subject\n");
    }
}
