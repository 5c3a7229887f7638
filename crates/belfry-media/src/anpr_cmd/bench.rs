//! `anpr bench`: pictures a second of one core, decoding included, and milliseconds a stage.
//!
//! A film goes the way it goes in the reader role: access units into the role's own decoder, pace and motion gate, detector,
//! reader, tracker. Cores are counted in processor time of the whole process, decoder threads included.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anpr::detect::Ask;
use anpr::engine::View;
use anpr::letterbox::{Placement, Region, fill};
use anpr::motion::Glance;
use anpr::pace::Pace;
use anpr::passage::Watcher;
use anpr::role::{Decoded, Decoder, Decoders as _};
use anpr::{Engine, InputSize};
use bytes::{BufMut as _, Bytes, BytesMut};
use clap::Args;
use media::{AccessUnit, Clocks, ParamSetId, ParameterSets};
use rustix::time::{ClockId, clock_gettime};
use vms_core::{Codec, MediaTime, MonoTime, WallTime};

use super::stats::percentile;
use super::{Spent, line, look, look_at_all, now};
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
    /// Pictures a second that the reader looks at behind the gate, at most.
    #[arg(long, default_value_t = super::RATE_MAX)]
    rate_max: u8,
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
    let input = args.models.size.input();
    let grey = anpr::Frame::from_rgb(64, 64, vec![128; 64 * 64 * 3].into())?;
    // The first inference takes memory that the later ones have.
    let first = Ask { size: Some(input), ..Ask::whole(&grey) };
    engine.find(&[View { frame: &grey, asks: vec![first] }])?;
    let choices = match args.models.decoder {
        DecoderChoice::Auto => vec![DecoderChoice::Libav, DecoderChoice::Openh264],
        one @ (DecoderChoice::Libav | DecoderChoice::Openh264) => vec![one],
    };
    let mut last = None;
    for choice in choices {
        match film(&mut engine, &reel, args, choice) {
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

    /// Decodes what is not spared; every picture goes to `each`.
    fn play(&self, choice: DecoderChoice, watch: &mut impl Watch) -> anyhow::Result<()> {
        let mut decoder: Box<dyn Decoder> = GstDecoders { choice }.open(&self.sets)?;
        for unit in &self.units {
            if watch.spares(unit, self.sets.codec) {
                continue;
            }
            decoder.feed(unit)?;
            while let Some(decoded) = decoder.take()? {
                watch.shown(decoded)?;
            }
        }
        decoder.finish()?.into_iter().try_for_each(|decoded| watch.shown(decoded))
    }
}

/// What is done with a film's units and pictures.
trait Watch {
    /// Whether a unit need not be decoded.
    fn spares(&mut self, unit: &AccessUnit, codec: Codec) -> bool;
    /// Takes a picture.
    fn shown(&mut self, decoded: Decoded) -> anyhow::Result<()>;
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

/// Decoding alone.
#[derive(Default)]
struct Idle {
    pictures: u32,
    size: (usize, usize),
}

impl Watch for Idle {
    fn spares(&mut self, _: &AccessUnit, _: Codec) -> bool {
        false
    }

    fn shown(&mut self, decoded: Decoded) -> anyhow::Result<()> {
        self.size = (decoded.frame.width(), decoded.frame.height());
        self.pictures += 1;
        Ok(())
    }
}

/// Spans of each stage, one a picture looked at; those of the gate one a decoded picture.
#[derive(Default)]
struct Stages {
    gate: Vec<Duration>,
    detect: Vec<Duration>,
    read: Vec<Duration>,
    track: Vec<Duration>,
}

/// The whole reader behind the decoder.
struct Reading<'a> {
    engine: &'a mut Engine,
    /// As the role does it; without, every picture is looked at whole.
    pace: Option<Pace>,
    watcher: Watcher,
    spans: Stages,
    decoded: u32,
    /// Of the detector's whole input, summed.
    shown: f64,
    /// Plates found, and those of them that were read.
    plates: (usize, usize),
    told: usize,
    /// The picture with most plates.
    best: Option<(usize, anpr::Frame)>,
}

impl<'a> Reading<'a> {
    fn new(engine: &'a mut Engine, pace: Option<Pace>) -> Self {
        let (watcher, spans) = (Watcher::default(), Stages::default());
        Self { engine, pace, watcher, spans, decoded: 0, shown: 0.0, plates: (0, 0), told: 0, best: None }
    }

    fn look(&mut self, Decoded { frame, clocks }: Decoded, glance: &Glance) -> anyhow::Result<()> {
        let mut spent = Spent::default();
        let view = self.engine.view(&frame, glance, Region::whole(&frame), None);
        let area = |size: InputSize| f64::from(u32::try_from(size.width * size.height).unwrap_or(u32::MAX));
        let whole = self.engine.size();
        self.shown += view.asks.iter().map(|ask| area(ask.size.unwrap_or(whole)) / area(whole)).sum::<f64>();
        let watcher = &self.watcher;
        let seen = look(self.engine, view, |plate| watcher.wants(clocks.mono, plate), &mut spent)?;
        self.plates.0 += seen.len();
        self.plates.1 += seen.iter().filter(|plate| plate.reading.is_some()).count();
        self.spans.detect.push(spent.detect);
        self.spans.read.push(spent.read);
        let started = now();
        self.watcher.observe(clocks.mono, clocks.wall, &frame, &seen);
        self.told += self.watcher.due(clocks.mono, self.engine).len();
        self.spans.track.push(started.elapsed());
        if self.best.as_ref().is_none_or(|(most, _)| seen.len() > *most) {
            self.best = Some((seen.len(), frame));
        }
        Ok(())
    }
}

impl Watch for Reading<'_> {
    fn spares(&mut self, unit: &AccessUnit, codec: Codec) -> bool {
        self.pace.as_mut().is_some_and(|pace| pace.spares(unit, codec))
    }

    fn shown(&mut self, decoded: Decoded) -> anyhow::Result<()> {
        self.decoded += 1;
        let glance = match &mut self.pace {
            Some(pace) => {
                let started = now();
                let glance = pace.admit(decoded.clocks.mono, &decoded.frame, &self.watcher.need());
                self.spans.gate.push(started.elapsed());
                glance
            }
            None => Some(Glance::Whole),
        };
        glance.map_or(Ok(()), |glance| self.look(decoded, &glance))
    }
}

/// One film with one decoder: decoding alone, every picture looked at, and as the role looks. The picture with most plates.
fn film(
    engine: &mut Engine,
    reel: &Reel,
    args: &BenchArgs,
    choice: DecoderChoice,
) -> anyhow::Result<Option<anpr::Frame>> {
    let units = u32::try_from(reel.units.len())?;
    let mut idle = Idle::default();
    let before = busy();
    reel.play(choice, &mut idle)?;
    let spent = busy().saturating_sub(before);
    anyhow::ensure!(idle.pictures > 0, "it gives no picture");
    line(&format!("\n{}×{} decoded with {choice:?}, {units} pictures", idle.size.0, idle.size.1))?;
    say("decoding alone", units, spent)?;
    let mut best = None;
    for pace in [None, Some(Pace::new(args.rate_max))] {
        let name = if pace.is_some() { "behind the gate" } else { "every picture" };
        let mut reading = Reading::new(engine, pace);
        let before = busy();
        reel.play(choice, &mut reading)?;
        let Reading { engine, watcher, spans, decoded, shown, plates, told, best: most, .. } = &mut reading;
        let told = *told + watcher.finish(engine).len();
        say(name, units, busy().saturating_sub(before))?;
        let looks = u32::try_from(spans.detect.len())?;
        line(&format!(
            "    {decoded} decoded, {looks} looked at ({:.0} % of the detector's input on average), {} plates in them, {} read; {told} passages told",
            *shown * 100.0 / f64::from(looks.max(1)),
            plates.0,
            plates.1,
        ))?;
        table(&[
            ("gate", &spans.gate),
            ("detector with letterbox", &spans.detect),
            ("reader with warp", &spans.read),
            ("tracker and fusion", &spans.track),
        ])?;
        best = most.take().map(|(_, frame)| frame).or(best);
    }
    Ok(best)
}

fn say(name: &str, pictures: u32, spent: Duration) -> anyhow::Result<()> {
    let rate = f64::from(pictures) / spent.as_secs_f64().max(1e-9);
    line(&format!(
        "  {name:<16} {rate:>7.1} pictures/s a core, {:>5.2} cameras of {CAMERA_RATE} pictures/s on two cores",
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
    // The first inferences take memory that the later ones have.
    look_at_all(engine, frame, &mut Spent::default())?;
    let (mut boxing, mut detecting, mut reading) = (Vec::new(), Vec::new(), Vec::new());
    let mut input = vec![0.0; 3 * size.width * size.height];
    let mut plates = 0;
    for _ in 0..args.rounds.max(1) {
        let start = now();
        let place = Placement::fit(Region::whole(frame), size.width, size.height, 2.0);
        fill(frame, &place, size.width, &mut input);
        boxing.push(start.elapsed());
        let mut spent = Spent::default();
        plates = look_at_all(engine, frame, &mut spent)?.len();
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
