//! `anpr passages`: the simulator's vehicles past the whole reader (coding, decoding, pace and motion gate, detector, reader,
//! tracker, fusion, formats, confidence), faster than life and without a network, against the truth.
//!
//! The streets are fuller than in life (`--gap` metres between vehicles on every lane), so that ten thousand passages fit
//! into minutes; plates therefore hide behind vehicles more often, not less.

mod coded;
mod score;

use std::path::PathBuf;

use anpr::detect::Detection;
use anpr::engine::Engine;
use anpr::letterbox::Region;
use anpr::motion::Glance;
use anpr::pace::Pace;
use anpr::passage::{Passage, Watcher};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use sim::scene::{Crowd, FrameSource as _, HEIGHT, RATE, Scene, SceneSettings, TruthRow, WIDTH};
use vms_core::{MonoTime, WallTime};

use super::stats::{exact_share, share};
use super::{Spent, line, look, now};
use crate::decode::DecoderChoice;
use crate::film::Shot;
use crate::reader::ModelArgs;
use coded::{Coded, Coding};
use score::{Driven, Told, Verdict, judge};

/// Bits of a picture: those of a camera of 4 Mbit/s and 25 pictures a second.
const PICTURE_BITS: u32 = 160_000;

/// A vehicle counts when it crosses the line this long after the film's start and before its end, seconds.
const MARGIN_S: f64 = 3.5;

/// Confidences of which the share of right reads is printed.
const LEVELS: [f64; 9] = [0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999];

/// Light and weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Light {
    Day,
    Night,
    Rain,
}

/// Arguments.
#[derive(Debug, Args)]
pub(crate) struct PassagesArgs {
    /// Passages to count; the last film is played to its end.
    #[arg(long, default_value_t = 300)]
    passages: u32,
    #[arg(long, value_enum, default_value = "day")]
    light: Light,
    /// First seed; every film takes the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Length of one film, seconds.
    #[arg(long, default_value_t = 90)]
    seconds: u32,
    /// Film every n-th of the 25 pictures a second; with 2 the reader can choose among as many as it ever looks at.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=25))]
    every: u32,
    /// Pictures a second that the reader looks at, at most.
    #[arg(long, default_value_t = super::RATE_MAX)]
    rate_max: u8,
    /// Look at the whole of every picture and read every plate in it, whether it is needed or not.
    #[arg(long)]
    all: bool,
    /// Metres from a vehicle to the next on its lane.
    #[arg(long, default_value_t = Crowd::default().gap)]
    gap: f32,
    /// Of a hundred vehicles, how many differ from the one before in one character.
    #[arg(long, default_value_t = 0)]
    twins: u8,
    /// Show the drawn pictures without coding and decoding them.
    #[arg(long)]
    rendered: bool,
    /// Confidence from which a read counts as certain; default: the reader's card.
    #[arg(long)]
    threshold: Option<f64>,
    /// Print every read, not only misses.
    #[arg(long)]
    reads: bool,
    /// Folder for a picture of every miss.
    #[arg(long, value_name = "DIR")]
    misses: Option<PathBuf>,
    #[command(flatten)]
    models: ModelArgs,
}

impl PassagesArgs {
    fn settings(&self, seed: u64) -> SceneSettings {
        let (night, rain) = (self.light == Light::Night, self.light == Light::Rain);
        SceneSettings { seed, seconds: self.seconds, night, rain, ..SceneSettings::default() }
    }
}

/// Counts of all films.
#[derive(Debug, Default)]
struct Tally {
    passages: u32,
    read: u32,
    right: u32,
    again: u32,
    unreadable: u64,
    /// Confidence and whether it was right, of every read that is somebody's, and of ghosts.
    reads: Vec<(f64, bool)>,
    pictures: u32,
    admitted: u32,
    /// Plates found, and those of them that were read.
    found: (usize, usize),
    spent: Spent,
    decoder: String,
}

/// Plays films until enough has passed, and prints what came of it.
pub(crate) fn run(args: &PassagesArgs) -> anyhow::Result<()> {
    let mut engine = super::engine(&args.models)?;
    let threshold =
        args.threshold.or_else(|| engine.threshold()).context("the card names no threshold: --threshold")?;
    if let Some(folder) = &args.misses {
        std::fs::create_dir_all(folder)?;
    }
    let start = now();
    let mut tally = Tally::default();
    for seed in args.seed.. {
        let scene = Scene::crowded(args.settings(seed), Crowd { gap: args.gap, twins: args.twins })?;
        let truth = scene.truth();
        for camera in 1..=3 {
            let rows: Vec<&TruthRow> = truth.iter().filter(|row| row.camera_number == camera).collect();
            one_film(&mut engine, args, &scene, &rows, threshold, &mut tally)?;
            let (sure, kept) = tally.from(threshold);
            let (passages, right, wrong) = (tally.passages, tally.right, kept - sure);
            tracing::info!(seed, camera, passages, right, wrong_above_threshold = wrong, "a film was played");
        }
        if tally.passages >= args.passages {
            break;
        }
    }
    report(args, &tally, threshold, start.elapsed().as_secs_f64())
}

fn one_film(
    engine: &mut Engine,
    args: &PassagesArgs,
    scene: &Scene,
    rows: &[&TruthRow],
    threshold: f64,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let Some(camera) = rows.first().and_then(|row| usize::try_from(row.camera_number).ok()) else { return Ok(()) };
    let told = play(engine, args, scene, camera, tally)?;
    let driven: Vec<Driven> = rows.iter().map(|row| driven(row, f64::from(args.seconds))).collect();
    let verdict = judge(&driven, &told, f64::from(args.seconds));
    tally.count(&verdict, &told);
    let name = (scene.settings().seed, camera);
    for fate in verdict.fates.iter().filter(|fate| !fate.right) {
        let (Some(row), read) = (rows.get(fate.driven), fate.read.and_then(|r| told.get(r))) else { continue };
        say_miss(args, scene, name, row, read, threshold)?;
    }
    if args.reads {
        for Told { text, confidence, at, looks, place } in &told {
            line(&format!("read {at:.2} s x {:.0}: {text} ({confidence:.4}, {looks} looks)", place.0))?;
        }
    }
    for ghost in verdict.ghosts.iter().filter_map(|r| told.get(*r)) {
        let (seed, camera) = name;
        let Told { text, confidence, at, looks, place } = ghost;
        line(&format!(
            "ghost seed {seed} camera {camera} t {at:.2} s x {:.0} y {:.0}: read {text} ({confidence:.4}, {looks} looks)",
            place.0, place.1
        ))?;
        keep_picture(args, scene, camera, *at, text)?;
    }
    Ok(())
}

fn driven(row: &TruthRow, seconds: f64) -> Driven {
    let [[x0, y0], _, [x1, y1], _] = row.corners;
    let counts = (MARGIN_S..seconds - MARGIN_S).contains(&row.t_line);
    Driven { plate: row.plate.clone(), at: row.t_line, place: (f64::midpoint(x0, x1), f64::midpoint(y0, y1)), counts }
}

/// Draws a film, codes and decodes it, and lets the reader watch.
fn play(
    engine: &mut Engine,
    args: &PassagesArgs,
    scene: &Scene,
    camera: usize,
    tally: &mut Tally,
) -> anyhow::Result<Vec<Told>> {
    let mut film = scene.film(camera).context("the town has four cameras")?;
    let coded = if args.rendered { None } else { Some(Coded::start(coding(args)?)?) };
    if let Some(coded) = &coded {
        coded.decoder().clone_into(&mut tally.decoder);
    }
    let (mut pace, mut watcher, mut told) = (Pace::new(args.rate_max), Watcher::default(), Vec::new());
    let mut shown = |shot: Shot| -> anyhow::Result<()> {
        tally.pictures += 1;
        let mono = MonoTime { micros: shot.at_us };
        let glance = if args.all { Some(Glance::Whole) } else { pace.admit(mono, &shot.frame, &watcher.need()) };
        if let Some(glance) = glance {
            tally.admitted += 1;
            let view = engine.view(&shot.frame, &glance, Region::whole(&shot.frame), None);
            let wanted = |plate: &Detection| args.all || watcher.wants(mono, plate);
            let seen = look(engine, view, wanted, &mut tally.spent)?;
            tally.found.0 += seen.len();
            tally.found.1 += seen.iter().filter(|plate| plate.reading.is_some()).count();
            watcher.observe(mono, WallTime::from_micros(i64::try_from(shot.at_us)?), &shot.frame, &seen);
        }
        told.extend(watcher.due(mono, engine).iter().map(told_of));
        Ok(())
    };
    let step = u64::from(1_000_000 / RATE);
    for index in (0..film.len()).step_by(usize::try_from(args.every)?) {
        let (frame, at_us) = (film.frame(index), u64::from(index) * step);
        match &coded {
            Some(coded) => coded.push(frame.rgb(), at_us, &mut shown)?,
            None => {
                let (width, height) = (u32::try_from(frame.width())?, u32::try_from(frame.height())?);
                let frame = anpr::Frame::from_rgb(width, height, frame.rgb().to_vec().into())?;
                shown(Shot { frame, at_us })?;
            }
        }
    }
    if let Some(coded) = &coded {
        coded.finish(&mut shown)?;
    }
    told.extend(watcher.finish(engine).iter().map(told_of));
    tally.unreadable += watcher.unreadable;
    Ok(told)
}

fn coding(args: &PassagesArgs) -> anyhow::Result<Coding> {
    let per_second = RATE / args.every;
    Ok(Coding {
        width: WIDTH,
        height: HEIGHT,
        rate: (i32::try_from(RATE)?, i32::try_from(args.every)?),
        bits_per_second: PICTURE_BITS * per_second,
        gop: 2 * per_second,
        decoder: args.models.decoder,
    })
}

fn told_of(passage: &Passage) -> Told {
    let middle = |pick: fn(&(f32, f32)) -> f32| f64::from(passage.quad.iter().map(pick).sum::<f32>() / 4.0);
    Told {
        text: passage.fused.plate.reveal().to_owned(),
        confidence: passage.fused.confidence,
        at: std::time::Duration::from_micros(u64::try_from(passage.at.micros).unwrap_or(0)).as_secs_f64(),
        place: (middle(|p| p.0), middle(|p| p.1)),
        looks: passage.fused.looks,
    }
}

impl Tally {
    fn count(&mut self, verdict: &Verdict, told: &[Told]) {
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.passages += small(verdict.fates.len());
        self.again += small(verdict.again.len());
        for fate in &verdict.fates {
            if let Some(read) = fate.read.and_then(|r| told.get(r)) {
                self.read += 1;
                self.right += u32::from(fate.right);
                self.reads.push((read.confidence, fate.right));
            }
        }
        self.reads.extend(verdict.ghosts.iter().filter_map(|r| told.get(*r)).map(|read| (read.confidence, false)));
    }

    /// Right and all reads from a confidence on.
    fn from(&self, level: f64) -> (u32, u32) {
        let count = |right: bool| self.reads.iter().filter(|(c, r)| *c >= level && *r == right).count();
        let (right, wrong) = (count(true), count(false));
        (u32::try_from(right).unwrap_or(u32::MAX), u32::try_from(right + wrong).unwrap_or(u32::MAX))
    }
}

/// The simulator's plates are drawn by lot, so this command may write them.
fn say_miss(
    args: &PassagesArgs,
    scene: &Scene,
    (seed, camera): (u64, usize),
    row: &TruthRow,
    read: Option<&Told>,
    threshold: f64,
) -> anyhow::Result<()> {
    let said = match read {
        Some(Told { text, confidence, at, looks, .. }) => {
            let sure = if *confidence >= threshold { " ABOVE THE THRESHOLD" } else { "" };
            format!("read {text} ({confidence:.4}, {looks} looks, at {at:.2} s){sure}")
        }
        None => "not read".to_owned(),
    };
    let TruthRow { plate, country, t_line, lane, plate_px, .. } = row;
    line(&format!(
        "miss seed {seed} camera {camera} t {t_line:.2} s lane {lane} {plate_px} px: {country} {plate} {said}"
    ))?;
    keep_picture(args, scene, camera, *t_line, plate)
}

/// The picture of a moment, when they are wanted.
fn keep_picture(args: &PassagesArgs, scene: &Scene, camera: usize, at: f64, name: &str) -> anyhow::Result<()> {
    let Some(folder) = &args.misses else { return Ok(()) };
    let mut film = scene.film(camera).context("the town has four cameras")?;
    let index = (0..film.len()).find(|n| f64::from(*n) >= at * f64::from(RATE)).unwrap_or(0);
    let frame = film.frame(index);
    let (width, height) = (u32::try_from(frame.width())?, u32::try_from(frame.height())?);
    let path = folder.join(format!("{:?}-{}-{camera}-{at:.2}-{name}.png", args.light, scene.settings().seed));
    Ok(image::save_buffer(path, frame.rgb(), width, height, image::ExtendedColorType::Rgb8)?)
}

fn report(args: &PassagesArgs, tally: &Tally, threshold: f64, seconds: f64) -> anyhow::Result<()> {
    let all = tally.passages;
    let how = match args.models.decoder {
        _ if args.rendered => "drawn pictures as they are".to_owned(),
        DecoderChoice::Auto | DecoderChoice::Libav | DecoderChoice::Openh264 => {
            format!("coded with openh264enc, decoded with {}", tally.decoder)
        }
    };
    line(&format!("\n{:?}, {how}, {} m between vehicles, {} % twins", args.light, args.gap, args.twins))?;
    line(&format!(
        "  {} pictures, {} looked at, {} plates in them, {} of these read, {seconds:.0} s, {:.0} ms a passage",
        tally.pictures,
        tally.admitted,
        tally.found.0,
        tally.found.1,
        seconds * 1000.0 / f64::from(all.max(1))
    ))?;
    line(&format!("  passages                   {all}"))?;
    line(&format!("  read                       {}", share(tally.read, all)))?;
    line(&format!("  exact                      {}", share(tally.right, all)))?;
    line(&format!(
        "  told twice {}, wrong texts beside the vehicles' own and at other places {}, tracks without a readable text {}",
        tally.again,
        tally.reads.len().saturating_sub(usize::try_from(tally.read)?),
        tally.unreadable
    ))?;
    let mut levels = LEVELS.to_vec();
    levels.push(threshold);
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    for level in levels {
        let (right, kept) = tally.from(level);
        let mark = if level.total_cmp(&threshold).is_eq() { "  ← threshold" } else { "" };
        let covered = f64::from(right) * 100.0 / f64::from(all.max(1));
        line(&format!(
            "  confidence ≥ {level:<6} wrong {:<4} right {:<58} covers {covered:.1} %{mark}",
            kept - right,
            exact_share(right, kept)
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arguments as the command line makes them.
    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: PassagesArgs,
    }

    #[test]
    fn cars_with_plates_one_letter_apart_are_two_reads() {
        let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let library = repository.join(".onnxruntime/lib/libonnxruntime.so.1.31.1");
        let models = repository.join("models");
        if !library.exists() || !models.join("plate-reader/card.toml").exists() {
            println!("not run: needs models/ and scripts/fetch-onnxruntime.sh");
            return;
        }
        let line = ["passages", "--rendered", "--seconds", "20", "--twins", "100", "--gap", "12"];
        let args = <Line as clap::Parser>::parse_from(line).args;
        let runtime = anpr::model::Runtime::load(&library, 1).unwrap();
        let mut engine = Engine::open(&runtime, &models, anpr::InputSize::NORMAL).unwrap();
        let scene = Scene::crowded(args.settings(5), Crowd { gap: args.gap, twins: args.twins }).unwrap();
        let truth = scene.truth();
        let rows: Vec<&TruthRow> = truth.iter().filter(|row| row.camera_number == 1).collect();
        let mut tally = Tally::default();
        let told = play(&mut engine, &args, &scene, 1, &mut tally).unwrap();
        let driven: Vec<Driven> = rows.iter().map(|row| driven(row, 20.0)).collect();
        let verdict = judge(&driven, &told, 20.0);
        let right = verdict.fates.iter().filter(|fate| fate.right).count();
        assert!(verdict.fates.len() >= 20, "{} vehicles", verdict.fates.len());
        assert!(right + 1 >= verdict.fates.len(), "{right} of {} read", verdict.fates.len());
    }
}
