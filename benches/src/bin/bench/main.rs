//! `bench recorder`: figures of the recorder that are no frame's work: index, sweep, rebuilding, first byte, and what sealing costs of a write.
//! Always a release build: `cargo run --release -p vms-benches --bin bench -- recorder all --dir DIR`, with DIR on the disk that is measured.

mod recorder;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Figures of the recorder.
    Recorder {
        /// Which.
        #[arg(value_enum)]
        part: recorder::Part,
        /// Folder on the disk that is measured; what is made there is removed.
        #[arg(long)]
        dir: PathBuf,
        /// Segments for `rebuild`.
        #[arg(long, default_value_t = 50_000)]
        segments: u32,
        /// Rows for `index`, besides 43,000.
        #[arg(long, default_value_t = 2_064_000)]
        rows: u32,
    },
}

fn main() -> ExitCode {
    let What::Recorder { part, dir, segments, rows } = Args::parse().what;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let work = recorder::run(part, &dir, segments, rows);
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "figures go to stdout")]
fn say(text: &str) {
    println!("{text}");
}
