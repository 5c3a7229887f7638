//! `belfry audit monitor`: follows a log from its address, or from a folder that somebody else fills, and keeps a mirror that only
//! grows. Every round checks the whole mirror, and that the log grew out of what was seen last.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use audit::folder::{TILE_WIDTH, TileName};
use audit::{Fault, Pins, cosign};
use serde_json::json;

use super::{KeyArgs, mirror, verdict, verify};

/// Longest wait for one file.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Longest file that is fetched, bytes.
const FILE_MAX: usize = 1 << 20;
/// Largest log that is followed: more is damage, or a log for another tool.
const SIZE_MAX: u64 = 1 << 32;

/// `belfry audit monitor …`.
#[derive(Debug, clap::Args)]
pub(crate) struct MonitorArgs {
    /// Address of the log, such as `https://belfry.example/log`, or a folder.
    source: String,
    /// The mirror, and what was seen last (`seen`): made when absent.
    #[arg(long)]
    dir: PathBuf,
    #[command(flatten)]
    keys: KeyArgs,
    /// Details with salts, one line for each leaf, checked in every round when the file is there.
    #[arg(long)]
    details: Option<PathBuf>,
    /// Seconds between rounds; without it one round.
    #[arg(long)]
    every: Option<u64>,
}

/// Follows; ends with the first round that does not hold, or after one round.
pub(super) async fn run(args: MonitorArgs, as_json: bool) -> anyhow::Result<u8> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = reqwest::Client::builder()
        .timeout(ANSWER_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("the client for the log")?;
    loop {
        let outcome = round(&args, &http).await;
        let code = match (outcome, args.every) {
            (Ok(said), _) => verdict(as_json, said),
            (Err(error), None) => return Err(error),
            (Err(error), Some(_)) => {
                crate::print(&format!("NOT CHECKED: {error:#}\n"));
                0
            }
        };
        let Some(every) = args.every.filter(|_| code == 0) else { return Ok(code) };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(every.max(1))) => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Ok(code);
            }
        }
    }
}

async fn round(args: &MonitorArgs, http: &reqwest::Client) -> anyhow::Result<Result<serde_json::Value, Fault>> {
    let seen = args.dir.join("seen");
    let old = match std::fs::read(&seen) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        old => Some(old.with_context(|| seen.display().to_string())?),
    };
    let pins = args.keys.pins(old)?;
    let log = args.dir.join("log");
    let fetched = if args.source.starts_with("http://") || args.source.starts_with("https://") {
        fetch(http, args.source.trim_end_matches('/'), &log, &pins).await?
    } else {
        mirror::copy(Path::new(&args.source), &log)?
    };
    let details = args.details.as_deref().filter(|path| path.exists());
    let said = match verify(&log, &pins, details, None)? {
        Ok(said) => said,
        Err(fault) => return Ok(Err(fault)),
    };
    // What holds is what the next round starts from.
    let name = if pins.witnesses.is_empty() { "checkpoint" } else { "checkpoint.cosigned" };
    let note = std::fs::read(log.join(name)).or_else(|_| std::fs::read(log.join("checkpoint")))?;
    mirror::write(&seen, &note)?;
    Ok(Ok(json!({ "fetched": fetched, "log": said })))
}

/// Every file of a tree of `size`.
fn files_of(size: u64) -> Vec<TileName> {
    let mut names = Vec::new();
    let mut row = |level: Option<u32>, count: u64| {
        for number in 0..count / TILE_WIDTH {
            names.push(TileName { level, number, width: 256 });
        }
        let width = usize::try_from(count % TILE_WIDTH).unwrap_or(0);
        if width > 0 {
            names.push(TileName { level, number: count / TILE_WIDTH, width });
        }
    };
    row(None, size);
    let (mut level, mut count) = (0, size);
    while count > 0 {
        row(Some(level), count);
        (level, count) = (level + 1, count / TILE_WIDTH);
    }
    names
}

/// Fetches the newest checkpoint and the files of its tree that the mirror does not have. Nothing of a checkpoint whose signature
/// does not hold is fetched: its size is a stranger's.
async fn fetch(http: &reqwest::Client, url: &str, log: &Path, pins: &Pins) -> anyhow::Result<usize> {
    let name = if pins.witnesses.is_empty() { "checkpoint" } else { "checkpoint.cosigned" };
    let note = get(http, &format!("{url}/{name}")).await?.with_context(|| format!("{url} has no {name}"))?;
    let (size, _) = cosign::open(&note, &pins.log_key, &pins.witnesses).context("the checkpoint")?;
    anyhow::ensure!(size <= SIZE_MAX, "a log of {size} leaves is too large");
    let mut count = 0;
    for tile in files_of(size) {
        let (path, whole) = (tile.path(), TileName { width: 256, ..tile }.path());
        if log.join(&path).exists() || log.join(&whole).exists() {
            continue;
        }
        let (path, bytes) = match get(http, &format!("{url}/{path}")).await? {
            Some(bytes) => (path, bytes),
            None => {
                let bytes = get(http, &format!("{url}/{whole}")).await?;
                (whole, bytes.with_context(|| format!("{url} lacks {path}"))?)
            }
        };
        mirror::write(&log.join(path), &bytes)?;
        count += 1;
    }
    for name in [name, "checkpoint"] {
        mirror::write(&log.join(name), &note)?;
    }
    Ok(count)
}

async fn get(http: &reqwest::Client, url: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let mut response = http.get(url).send().await?;
    if response.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    anyhow::ensure!(response.status().is_success(), "{url} answers {}", response.status());
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        anyhow::ensure!(bytes.len() <= FILE_MAX, "{url} is too long");
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_tree_are_those_that_a_log_writes() {
        for size in [0_u64, 1, 255, 256, 257, 65_536, 65_537 + 300] {
            let mut tree = audit::Tree::default();
            let mut written = std::collections::BTreeSet::new();
            for n in 0..size {
                tree.push(&n.to_be_bytes());
            }
            written.extend(tree.take_tiles().into_iter().map(|tile| tile.path));
            let named: std::collections::BTreeSet<String> = files_of(size).iter().map(TileName::path).collect();
            assert_eq!(named, written, "{size}");
        }
    }
}
