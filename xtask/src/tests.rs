//! Runs every test program of the workspace, in two lanes beside each other.
//!
//! `cargo test` runs one test program after the other. The tests of whole systems mostly wait (for key frames, codes, terms), all others
//! mostly compute: side by side they end in little more than the time of the longer lane. Within the first lane one system runs at a time. Systems
//! that hold nobody to a second (`CALM`) go into the other lane, which would be empty long before.

use std::collections::VecDeque;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::say;

/// Package whose integration tests start whole systems.
const SYSTEMS: &str = "belfry";
/// Those whose shortest bound is many seconds, so that another system may run beside them.
const CALM: [&str; 5] = ["gate", "gated_reads", "log_secrets", "statistics", "verify"];
/// Beginnings of the variables in which cargo tells a program about itself.
const OF_THIS_PROGRAM: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
/// Lines in the table of the slowest.
const SLOWEST: usize = 15;

/// What cargo says of one thing that it built, as far as it is needed here (`cargo help build`, `--message-format`).
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        manifest_path: PathBuf,
        target: Target,
        profile: Profile,
        executable: Option<PathBuf>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// One test program.
#[derive(Debug)]
struct Program {
    name: String,
    /// Cargo starts a test in the folder of its package.
    folder: PathBuf,
    executable: PathBuf,
    /// It starts whole systems, and needs them to be quick.
    is_system: bool,
}

/// How one program ended.
struct Ended {
    name: String,
    took: Duration,
    is_good: bool,
}

/// Builds and runs every test.
///
/// # Errors
/// A build that fails, or the names of the programs in which a test failed; what they wrote has been shown.
pub(crate) fn run() -> anyhow::Result<()> {
    let (systems, others): (Vec<Program>, Vec<Program>) = programs()?.into_iter().partition(|one| one.is_system);
    say(&format!(
        "{} test programs, {} of them whole systems by themselves",
        systems.len() + others.len(),
        systems.len()
    ));
    let ended = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for lane in [systems, others] {
            scope.spawn(|| work(lane.into(), &ended));
        }
    });
    let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.sort_by_key(|one| std::cmp::Reverse(one.took));
    for one in ended.iter().take(SLOWEST) {
        say(&format!("{:7.1} s  {}", one.took.as_secs_f64(), one.name));
    }
    let failed: Vec<&str> = ended.iter().filter(|one| !one.is_good).map(|one| one.name.as_str()).collect();
    if !failed.is_empty() {
        bail!("tests failed in {}", failed.join(", "));
    }
    Ok(())
}

/// One lane: a program after the other, to the end even when one fails.
#[expect(clippy::disallowed_methods, reason = "a tool that measures how long programs run")]
fn work(mut lane: VecDeque<Program>, ended: &Mutex<Vec<Ended>>) {
    while let Some(program) = lane.pop_front() {
        let began = Instant::now();
        let output = Command::new(&program.executable).current_dir(&program.folder).stdin(Stdio::null()).output();
        let took = began.elapsed();
        let is_good = output.as_ref().is_ok_and(|output| output.status.success());
        let mut story =
            format!("{} {:.1} s  {}", if is_good { "ok    " } else { "FAILED" }, took.as_secs_f64(), program.name);
        match output {
            Ok(output) if !is_good => {
                for stream in [&output.stdout, &output.stderr] {
                    story.push('\n');
                    story.push_str(&String::from_utf8_lossy(stream));
                }
                story.push_str(&output.status.to_string());
            }
            Ok(_) => {}
            Err(error) => story.push_str(&format!("\nit could not be started: {error}")),
        }
        let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that two stories do not mingle.
        say(&story);
        ended.push(Ended { name: program.name, took, is_good });
    }
}

/// Builds all test programs and names them, in cargo's order.
fn programs() -> anyhow::Result<Vec<Program>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What `cargo run` says of this program would make build scripts of others (`ring`) run again, and half the workspace with them.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OF_THIS_PROGRAM.iter().any(|start| name.starts_with(start))) {
            cargo.env_remove(name);
        }
    }
    let mut cargo = cargo
        .args(["test", "--workspace", "--locked", "--no-run", "--message-format", "json-render-diagnostics"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo could not be started")?;
    let messages = cargo.stdout.take().context("cargo says nothing")?;
    let mut programs = Vec::new();
    for message in serde_json::Deserializer::from_reader(BufReader::new(messages)).into_iter::<Message>() {
        if let Message::CompilerArtifact {
            manifest_path,
            target,
            profile: Profile { test: true },
            executable: Some(executable),
        } = message.context("cargo's message is not understood")?
        {
            programs.push(program(&manifest_path, &target, executable)?);
        }
    }
    let status = cargo.wait()?;
    if !status.success() {
        bail!("the tests do not build: {status}");
    }
    programs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(programs)
}

fn program(manifest: &Path, target: &Target, executable: PathBuf) -> anyhow::Result<Program> {
    let folder = manifest.parent().context("a manifest lies in a folder")?.to_owned();
    let package = folder.file_name().context("a package has a folder")?.to_string_lossy();
    let kind = target.kind.first().map_or("", String::as_str);
    let is_system = package == SYSTEMS && kind == "test" && !CALM.contains(&target.name.as_str());
    Ok(Program { name: format!("{package} {kind} {}", target.name), folder, executable, is_system })
}
