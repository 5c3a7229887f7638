//! `belfry-media anpr …`: plates in files, figures against labels, speed.

mod bench;
mod boxes;
mod eval;
mod passages;
mod read;
mod stats;

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anpr::detect::Detection;
use anpr::engine::{Seen, View};
use anpr::model::Runtime;
use anpr::{Engine, Frame};
use clap::Subcommand;

use crate::reader::ModelArgs;

/// Pictures a second that the reader role looks at, at most, where `serve` says nothing else.
const RATE_MAX: u8 = 12;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Cmd {
    /// Read the plates in pictures (JPEG, PNG) and films (MP4, Matroska, MPEG-TS).
    Read(read::ReadArgs),
    /// Measure against the labels in a folder's groundtruth.tsv.
    Eval(eval::EvalArgs),
    /// Measure speed.
    Bench(bench::BenchArgs),
    /// Let the simulator's vehicles drive past the reader and count what it makes of them.
    Passages(passages::PassagesArgs),
}

impl Cmd {
    /// Runs to the end.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Read(args) => read::run(&args),
            Self::Eval(args) => eval::run(&args),
            Self::Bench(args) => bench::run(&args),
            Self::Passages(args) => passages::run(&args),
        }
    }
}

fn engine(args: &ModelArgs) -> anyhow::Result<Engine> {
    let runtime = Runtime::load(&args.library(), args.threads)?;
    Ok(Engine::open(&runtime, &args.models(), args.size.input())?)
}

/// Writes one line to standard output; the output of a command is its work, not a log.
fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Now, for measuring spans.
#[expect(clippy::disallowed_methods, reason = "this executable measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Time in detector and reader.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    detect: Duration,
    read: Duration,
}

/// Both models on one picture, each timed; only plates that are `wanted` are read.
fn look(
    engine: &mut Engine,
    view: View<'_>,
    wanted: impl Fn(&Detection) -> bool,
    spent: &mut Spent,
) -> anyhow::Result<Vec<Seen>> {
    let views = [view];
    let start = now();
    let found = engine.find(&views)?;
    let between = now();
    let seen = engine.read_wanted(&views, found, |_, plate| wanted(plate))?;
    spent.detect += between - start;
    spent.read += between.elapsed();
    Ok(seen.into_iter().next().unwrap_or_default())
}

/// Both models on a whole picture, every plate read.
fn look_at_all(engine: &mut Engine, frame: &Frame, spent: &mut Spent) -> anyhow::Result<Vec<Seen>> {
    look(engine, View::whole(frame), |_| true, spent)
}

fn ms(span: Duration) -> f64 {
    (span.as_secs_f64() * 100_000.0).round() / 100.0
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}
