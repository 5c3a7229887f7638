//! `anpr bench`: milliseconds a stage, and pictures a second of decoding and of the whole chain.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anpr::Engine;
use anpr::detect::Ask;
use anpr::letterbox::{Placement, Region, fill};
use anpr::motion::MotionGate;
use clap::Args;
use vms_core::MonoTime;

use super::stats::percentile;
use super::{Spent, line, look, now};
use crate::decode::DecoderChoice;
use crate::film::{Film, Kind, kind_of_file};
use crate::reader::ModelArgs;

/// Arguments.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// A picture or film with plates.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Rounds of the single-picture part.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Also decode the film with each H.264 decoder that is installed.
    #[arg(long)]
    decoders: bool,
    #[command(flatten)]
    models: ModelArgs,
}

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    if let Kind::Film(demuxer) = kind_of_file(&args.path)? {
        if args.decoders {
            for choice in [DecoderChoice::Libav, DecoderChoice::Openh264] {
                if let Err(error) = decode_only(&args.path, demuxer, choice) {
                    line(&format!("decoding with {choice:?}: {error}"))?;
                }
            }
        }
        let mut engine = super::engine(&args.models)?;
        whole_film(&mut engine, &args.path, demuxer, args.models.decoder)?;
    }
    let mut engine = super::engine(&args.models)?;
    stages(&mut engine, args)
}

fn rate(pictures: u32, spent: Duration) -> f64 {
    (f64::from(pictures) / spent.as_secs_f64().max(1e-9) * 10.0).round() / 10.0
}

fn decode_only(path: &Path, demuxer: &'static str, choice: DecoderChoice) -> anyhow::Result<()> {
    let start = now();
    let (mut film, mut next) = Film::open(path, demuxer, choice)?;
    let mut pictures = 0;
    let mut size = (0, 0);
    while let Some(shot) = next {
        size = (shot.frame.width(), shot.frame.height());
        pictures += 1;
        next = film.next()?;
    }
    let spent = start.elapsed();
    let (decoder, rate) = (film.decoder(), rate(pictures, spent));
    line(&format!("decoding {}×{} with {decoder}: {pictures} pictures, {rate} a second (wall time)", size.0, size.1))
}

fn whole_film(engine: &mut Engine, path: &Path, demuxer: &'static str, choice: DecoderChoice) -> anyhow::Result<()> {
    let start = now();
    let (mut film, mut next) = Film::open(path, demuxer, choice)?;
    let mut gate = MotionGate::default();
    let (mut spent, mut pictures, mut looked, mut gating) = (Spent::default(), 0_u32, 0_u32, Duration::ZERO);
    while let Some(shot) = next {
        let before = now();
        let admitted = gate.admit(MonoTime { micros: shot.at_us }, &shot.frame);
        gating += before.elapsed();
        if admitted {
            look(engine, Ask::whole(&shot.frame), &mut spent)?;
            looked += 1;
        }
        pictures += 1;
        next = film.next()?;
    }
    let (decoder, rate) = (film.decoder(), rate(pictures, start.elapsed()));
    line(&format!(
        "film with {decoder}, gate, detector, reader: {pictures} pictures, {looked} admitted, {rate} a second"
    ))?;
    let each = |span: Duration, n: u32| super::ms(span / n.max(1));
    line(&format!(
        "  ms: gate {} a picture; detector {} and reader {} an admitted picture",
        each(gating, pictures),
        each(spent.detect, looked),
        each(spent.read, looked),
    ))
}

fn stages(engine: &mut Engine, args: &BenchArgs) -> anyhow::Result<()> {
    let frame = super::read::first_of(&args.path, args.models.decoder)?;
    let size = args.models.size.input();
    let (mut boxing, mut detecting, mut reading) = (Vec::new(), Vec::new(), Vec::new());
    let mut input = vec![0.0; 3 * size.width * size.height];
    let mut plates = 0;
    for _ in 0..args.rounds.max(1) {
        let start = now();
        let place = Placement::fit(Region::whole(&frame), size.width, size.height, 2.0);
        fill(&frame, &place, size.width, &mut input);
        boxing.push(start.elapsed());
        let mut spent = Spent::default();
        plates = look(engine, Ask::whole(&frame), &mut spent)?.len();
        detecting.push(spent.detect);
        reading.push(spent.read);
    }
    let (w, h, threads) = (frame.width(), frame.height(), args.models.threads);
    line(&format!("one {w}×{h} picture with {plates} plates, {threads} threads, {} rounds", boxing.len()))?;
    for (name, spans) in
        [("letterbox", &boxing), ("detector with letterbox", &detecting), ("reader with warp", &reading)]
    {
        line(&format!("  {name:<24} p50 {:>7.2} ms  p95 {:>7.2} ms", percentile(spans, 50), percentile(spans, 95)))?;
    }
    let total: Duration = detecting.iter().chain(&reading).sum();
    let rounds = u32::try_from(boxing.len())?;
    line(&format!("  together {} pictures a second", rate(rounds, total)))
}
