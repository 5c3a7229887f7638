//! `anpr bench`: pictures a second of one core, decoding included, and milliseconds a stage.
//!
//! A film goes the way it goes in the reader role: access units into the role's own decoder, motion gate, detector,
//! reader, tracker. Cores are counted in processor time of the whole process, decoder threads included.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anpr::Engine;
use anpr::detect::Ask;
use anpr::letterbox::{Placement, Region, fill};
use anpr::motion::MotionGate;
use anpr::passage::Watcher;
use anpr::role::{Decoded, Decoder, Decoders as _};
use bytes::{BufMut as _, Bytes, BytesMut};
use clap::Args;
use media::{AccessUnit, Clocks, ParamSetId, ParameterSets};
use rustix::time::{ClockId, clock_gettime};
use vms_core::{MediaTime, MonoTime, WallTime};

use super::stats::percentile;
use super::{Spent, line, look, now};
use crate::decode::{DecoderChoice, GstDecoders};
use crate::film::{Kind, kind_of_file};
use crate::reader::ModelArgs;

/// Pictures a second of the cameras that a core is measured in.
const CAMERA_RATE: f64 = 25.0;

/// Arguments.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// A picture (JPEG, PNG) or a film (MP4, or .h264 as `sim town` writes it) with plates.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Rounds of the single-picture part.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Pictures of a film at most.
    #[arg(long, default_value_t = 1500)]
    pictures: u32,
    #[command(flatten)]
    models: ModelArgs,
}

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let mut engine = super::engine(&args.models)?;
    if is_picture(&args.path) {
        return stages(&mut engine, args);
    }
    let reel = Reel::open(&args.path, args.pictures)?;
    let choices = match args.models.decoder {
        DecoderChoice::Auto => vec![DecoderChoice::Libav, DecoderChoice::Openh264],
        one @ (DecoderChoice::Libav | DecoderChoice::Openh264) => vec![one],
    };
    let mut last = None;
    for choice in choices {
        match film(&mut engine, &reel, choice) {
            Ok(frame) => last = frame.or(last),
            Err(error) => line(&format!("with {choice:?}: {error}"))?,
        }
    }
    match last {
        Some(frame) => one_picture(&mut engine, args, &frame),
        None => anyhow::bail!("no decoder gives a picture of this film"),
    }
}

fn is_picture(path: &Path) -> bool {
    matches!(kind_of_file(path), Ok(Kind::Picture))
}

/// A film in memory, as the recorder hands it to the reader.
struct Reel {
    sets: ParameterSets,
    units: Vec<AccessUnit>,
}

impl Reel {
    fn open(path: &Path, pictures: u32) -> anyhow::Result<Self> {
        let film = sim::Film::open(path)?;
        let params = film.params();
        let sets = ParameterSets {
            id: ParamSetId(1),
            codec: film.codec(),
            vps: params.vps.clone(),
            sps: params.sps.clone(),
            pps: params.pps.clone(),
            width: 0,
            height: 0,
            rfc6381: String::new(),
            reorder_depth: 0,
        };
        let mut units = Vec::new();
        for (seq, unit) in (0_u64..u64::from(pictures)).zip(film.units()) {
            let micros = u64::try_from(unit.pts.saturating_mul(100) / 9)?;
            let wall = WallTime::from_micros(i64::try_from(micros)?);
            units.push(AccessUnit {
                seq,
                epoch: 1,
                payload: framed(&unit.nals)?,
                is_key: unit.is_key,
                pts: MediaTime::from_ticks(unit.pts),
                dts: MediaTime::from_ticks(unit.dts),
                clocks: Clocks { mono: MonoTime { micros }, wall, ..Clocks::default() },
                lost_before: 0,
                param_set: ParamSetId(1),
            });
        }
        Ok(Self { sets, units })
    }

    /// Decodes all; every picture goes to `each`.
    fn play(&self, choice: DecoderChoice, each: &mut dyn FnMut(Decoded) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut decoder: Box<dyn Decoder> = GstDecoders { choice }.open(&self.sets)?;
        for unit in &self.units {
            decoder.feed(unit)?;
            while let Some(decoded) = decoder.take()? {
                each(decoded)?;
            }
        }
        decoder.finish()?.into_iter().try_for_each(each)
    }
}

/// NAL units with their lengths in front.
fn framed(nals: &[Bytes]) -> anyhow::Result<Bytes> {
    let mut out = BytesMut::new();
    for nal in nals {
        out.put_u32(u32::try_from(nal.len())?);
        out.put_slice(nal);
    }
    Ok(out.freeze())
}

/// Processor time of this process and its threads so far.
fn busy() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Spans of each stage, one a picture.
#[derive(Default)]
struct Stages {
    gate: Vec<Duration>,
    detect: Vec<Duration>,
    read: Vec<Duration>,
    track: Vec<Duration>,
}

/// One film with one decoder: decoding alone, every picture looked at, and behind the gate. The picture with most plates.
fn film(engine: &mut Engine, reel: &Reel, choice: DecoderChoice) -> anyhow::Result<Option<anpr::Frame>> {
    let (mut pictures, mut size) = (0_u32, (0, 0));
    let before = busy();
    reel.play(choice, &mut |decoded| {
        size = (decoded.frame.width(), decoded.frame.height());
        pictures += 1;
        Ok(())
    })?;
    let decoding = busy().saturating_sub(before);
    anyhow::ensure!(pictures > 0, "it gives no picture");
    line(&format!("\n{}×{} decoded with {choice:?}, {pictures} pictures", size.0, size.1))?;
    say("decoding alone", pictures, pictures, decoding)?;
    let mut best: Option<(usize, anpr::Frame)> = None;
    for gated in [false, true] {
        let mut spans = Stages::default();
        let (mut gate, mut watcher, mut looked, mut reads) =
            (MotionGate::default(), Watcher::default(), 0_u32, 0_usize);
        let before = busy();
        reel.play(choice, &mut |Decoded { frame, clocks }| {
            let started = now();
            let admitted = gate.admit(clocks.mono, &frame);
            spans.gate.push(started.elapsed());
            if admitted || !gated {
                looked += 1;
                let mut spent = Spent::default();
                let seen = look(engine, Ask::whole(&frame), &mut spent)?;
                spans.detect.push(spent.detect);
                spans.read.push(spent.read);
                let started = now();
                watcher.observe(clocks.mono, clocks.wall, &frame, &seen);
                reads += watcher.due(clocks.mono, engine).len();
                spans.track.push(started.elapsed());
                if best.as_ref().is_none_or(|(most, _)| seen.len() > *most) {
                    best = Some((seen.len(), frame));
                }
            }
            Ok(())
        })?;
        reads += watcher.finish(engine).len();
        let name = if gated { "behind the gate" } else { "every picture" };
        say(name, pictures, looked, busy().saturating_sub(before))?;
        line(&format!("    {reads} passages told"))?;
        if gated {
            table(&[
                ("gate", &spans.gate),
                ("detector with letterbox", &spans.detect),
                ("reader with warp", &spans.read),
                ("tracker and fusion", &spans.track),
            ])?;
        }
    }
    Ok(best.map(|(_, frame)| frame))
}

fn say(name: &str, pictures: u32, looked: u32, spent: Duration) -> anyhow::Result<()> {
    let rate = f64::from(pictures) / spent.as_secs_f64().max(1e-9);
    line(&format!(
        "  {name:<16} {looked:>5} looked at: {rate:>7.1} pictures/s a core, {:>5.2} cameras of {CAMERA_RATE} pictures/s on two cores",
        2.0 * rate / CAMERA_RATE
    ))
}

fn table(rows: &[(&str, &[Duration])]) -> anyhow::Result<()> {
    rows.iter().try_for_each(|(name, spans)| {
        line(&format!("    {name:<24} p50 {:>7.2} ms  p95 {:>7.2} ms", percentile(spans, 50), percentile(spans, 95)))
    })
}

fn stages(engine: &mut Engine, args: &BenchArgs) -> anyhow::Result<()> {
    let frame = super::read::first_of(&args.path, args.models.decoder)?;
    one_picture(engine, args, &frame)
}

fn one_picture(engine: &mut Engine, args: &BenchArgs, frame: &anpr::Frame) -> anyhow::Result<()> {
    let size = args.models.size.input();
    let (mut boxing, mut detecting, mut reading) = (Vec::new(), Vec::new(), Vec::new());
    let mut input = vec![0.0; 3 * size.width * size.height];
    let mut plates = 0;
    for _ in 0..args.rounds.max(1) {
        let start = now();
        let place = Placement::fit(Region::whole(frame), size.width, size.height, 2.0);
        fill(frame, &place, size.width, &mut input);
        boxing.push(start.elapsed());
        let mut spent = Spent::default();
        plates = look(engine, Ask::whole(frame), &mut spent)?.len();
        detecting.push(spent.detect);
        reading.push(spent.read);
    }
    let (w, h, threads) = (frame.width(), frame.height(), args.models.threads);
    line(&format!("\none {w}×{h} picture with {plates} plates, {threads} threads, {} rounds", boxing.len()))?;
    table(&[("letterbox", &boxing), ("detector with letterbox", &detecting), ("reader with warp", &reading)])?;
    let whole: Vec<Duration> = detecting.iter().zip(&reading).map(|(a, b)| *a + *b).collect();
    table(&[("detector and reader", &whole)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_carry_lengths_and_processor_time_runs() {
        let framed = framed(&[Bytes::from_static(b"ab"), Bytes::from_static(b"c")]).unwrap();
        assert_eq!(&framed[..], b"\0\0\0\x02ab\0\0\0\x01c");
        let before = busy();
        let mut sum = 0_u64;
        while busy() <= before {
            sum = sum.wrapping_add(1);
        }
        assert!(sum < u64::MAX);
    }
}
