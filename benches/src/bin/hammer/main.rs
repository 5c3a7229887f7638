//! `hammer`: drives the real programs with simulated cameras and prints figures. Always a release build:
//! `cargo run --release -p vms-benches --bin hammer -- kills --role recorder`.

mod capacity;
mod cost;
mod day;
mod disk;
mod faults;
mod films;
mod kills;
mod outage;
mod people;
mod reconnect;
mod spooled;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use vms_testkit::rig::RigOptions;

#[derive(Debug, Parser)]
#[command(name = "hammer")]
struct Args {
    /// Folder of the built programs.
    #[arg(long, global = true, default_value = "target/release")]
    programs: PathBuf,
    /// Film of the main streams.
    #[arg(long, global = true, default_value = "target/films/main-1080p.mp4")]
    film: PathBuf,
    /// Film of the sub-streams.
    #[arg(long, global = true)]
    sub: Option<PathBuf>,
    /// Central database; without it SQLite.
    #[arg(long, global = true)]
    database: Option<String>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Kills one role again and again and counts what was lost.
    Kills(kills::KillsArgs),
    /// A fault of some length under the running system: what is said, what is lost, how it comes back.
    Faults(faults::FaultsArgs),
    /// Power cuts, refused writes and stalls of a disk under recording cameras. Needs root.
    Outage(outage::OutageArgs),
    /// The way to the cameras goes and comes back: how soon they record, and what the timeline says.
    Reconnect(reconnect::ReconnectArgs),
    /// Many cameras for a while under a disk cap: frames lost, time to record, CPU and memory.
    Capacity(capacity::CapacityArgs),
    /// Two real clips as ANPR cameras: reads against the truth, footage against the films.
    Films(films::FilmsArgs),
    /// CPU and memory a camera beside `ffmpeg -c copy`, in alternating runs.
    Cost(cost::CostArgs),
    /// A day of plate reads through `serve`, registry and database: time, memory, reads a second.
    Day(day::DayArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let options = |cameras: u32, anpr: u32, disk_cap_mib: u64| RigOptions {
        programs: absolute(&args.programs),
        repository: absolute(&PathBuf::from(".")),
        cameras,
        anpr,
        film: absolute(&args.film),
        sub: args.sub.as_ref().map(absolute),
        database: args.database.clone(),
        disk_cap_mib,
        reader: anpr > 0,
    };
    let work = async {
        match &args.what {
            What::Kills(what) => kills::run(what, options(what.cameras, what.anpr, 8 * 1024)).await,
            What::Faults(what) => faults::run(what, options(what.cameras, 0, 8 * 1024)).await,
            What::Outage(what) => outage::run(what, options(what.cameras, 0, 8 * 1024)).await,
            What::Reconnect(what) => reconnect::run(what, options(what.cameras, 0, 8 * 1024)).await,
            What::Films(what) => films::run(what, options(2, 2, 8 * 1024)).await,
            What::Capacity(what) => capacity::run(what, options(what.cameras, what.anpr, what.disk_cap_mib)).await,
            What::Day(what) => day::run(what, day::options(what, options(0, 0, 1024))).await,
            What::Cost(what) => cost::run(what, options(what.cameras, 0, 8 * 1024)).await,
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("hammer: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn absolute(path: &PathBuf) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.clone())
}

#[expect(clippy::print_stdout, reason = "figures go to stdout")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// The middle value; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which a share of all lies (nearest rank); 0 of none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of a few thousand values"
)]
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}
