//! `anpr read`: one line a file.

use std::path::{Path, PathBuf};

use anpr::engine::Seen;
use anpr::passage::{Passage, Watcher};
use anpr::rectify::Quad;
use anpr::{Engine, Frame};
use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use vms_core::{MonoTime, WallTime};

use super::{Spent, line, look_at_all, ms, name_of};
use crate::decode::DecoderChoice;
use crate::film::{Film, Kind, kind_of_file, picture};
use crate::reader::ModelArgs;

/// Arguments.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// One JSON object a line instead of words.
    #[arg(long)]
    json: bool,
    /// Look at every n-th picture of a film.
    #[arg(long, default_value_t = 1, value_name = "N")]
    every: u32,
    /// Pictures and films.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    models: ModelArgs,
}

/// One plate in the output. Corners from top-left, clockwise.
#[derive(Debug, Serialize)]
struct PlateOut {
    text: String,
    confidence: f64,
    country: Option<String>,
    corners: [[f32; 2]; 4],
    detection: f32,
    corrected: bool,
    /// Films only: seconds from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_s: Option<f64>,
    /// Films only.
    #[serde(skip_serializing_if = "Option::is_none")]
    looks: Option<usize>,
    /// Films only.
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Millis {
    detect: f64,
    read: f64,
}

#[derive(Debug, Serialize)]
struct FileOut {
    file: String,
    width: usize,
    height: usize,
    plates: Vec<PlateOut>,
    /// Of the whole file; for a film, the mean of a picture.
    ms: Millis,
}

/// Reads every file; a broken one is said and the others go on.
pub(crate) fn run(args: &ReadArgs) -> anyhow::Result<()> {
    let mut engine = super::engine(&args.models)?;
    let mut broken = 0;
    for path in &args.paths {
        match read_one(&mut engine, path, args) {
            Ok(out) => show(&out, args.json)?,
            Err(error) => {
                broken += 1;
                tracing::error!("{}: {error:#}", path.display());
            }
        }
    }
    anyhow::ensure!(broken == 0, "{broken} of {} files could not be read", args.paths.len());
    Ok(())
}

fn show(out: &FileOut, json: bool) -> anyhow::Result<()> {
    if json {
        return line(&serde_json::to_string(out)?);
    }
    line(&format!("{} ({}×{})", out.file, out.width, out.height))?;
    for plate in &out.plates {
        let country = plate.country.as_deref().unwrap_or("?");
        let at = plate.at_s.map(|s| format!(" at {s:.2} s")).unwrap_or_default();
        line(&format!("  {:<10} {:>5.1} %  {country}{at}", plate.text, plate.confidence * 100.0))?;
    }
    Ok(())
}

fn read_one(engine: &mut Engine, path: &Path, args: &ReadArgs) -> anyhow::Result<FileOut> {
    match kind_of_file(path)? {
        Kind::Picture => read_picture(engine, path),
        Kind::Film(demuxer) => read_film(engine, path, demuxer, args.models.decoder, args.every.max(1)),
    }
}

fn corners(quad: &Quad) -> [[f32; 2]; 4] {
    quad.map(|(x, y)| [(x * 10.0).round() / 10.0, (y * 10.0).round() / 10.0])
}

fn country(engine: &Engine, text: &str) -> Option<String> {
    engine.grammar().countries(text).first().map(|(sign, _)| sign.as_str().to_owned())
}

fn read_picture(engine: &mut Engine, path: &Path) -> anyhow::Result<FileOut> {
    let frame = picture(path)?;
    let mut spent = Spent::default();
    let seen = look_at_all(engine, &frame, &mut spent)?;
    let plates = seen.iter().filter_map(|s| plate_of(engine, s)).collect();
    let ms = Millis { detect: ms(spent.detect), read: ms(spent.read) };
    Ok(FileOut { file: name_of(path), width: frame.width(), height: frame.height(), plates, ms })
}

fn plate_of(engine: &Engine, seen: &Seen) -> Option<PlateOut> {
    let fused = engine.fuse(&[seen.look(MonoTime::default(), WallTime::default())?])?;
    let text = fused.plate.reveal().to_owned();
    Some(PlateOut {
        country: country(engine, &text),
        text,
        confidence: (fused.confidence * 1e4).round() / 1e4,
        corners: corners(&seen.detection.quad),
        detection: seen.detection.score,
        corrected: fused.corrected,
        at_s: None,
        looks: None,
        direction: None,
    })
}

fn read_film(
    engine: &mut Engine,
    path: &Path,
    demuxer: &'static str,
    choice: DecoderChoice,
    every: u32,
) -> anyhow::Result<FileOut> {
    let (mut film, mut next) = Film::open(path, demuxer, choice)?;
    let mut watcher = Watcher::default();
    let (mut spent, mut pictures, mut count) = (Spent::default(), 0_u32, 0_u32);
    let mut passages: Vec<Passage> = Vec::new();
    let (mut width, mut height) = (0, 0);
    while let Some(shot) = next {
        (width, height) = (shot.frame.width(), shot.frame.height());
        if count.is_multiple_of(every) {
            let seen = look_at_all(engine, &shot.frame, &mut spent)?;
            let mono = MonoTime { micros: shot.at_us };
            let at = WallTime::from_micros(i64::try_from(shot.at_us).context("a film has an end")?);
            watcher.observe(mono, at, &shot.frame, &seen);
            passages.extend(watcher.due(mono, engine));
            pictures += 1;
        }
        count += 1;
        next = film.next()?;
    }
    anyhow::ensure!(count > 0, "the film gives no picture: it is cut off or damaged");
    passages.extend(watcher.finish(engine));
    passages.sort_by_key(|p| p.at);
    tracing::info!(decoder = film.decoder(), pictures = count, unreadable = watcher.unreadable, "the film was read");
    let of = |span: std::time::Duration| ms(span / pictures.max(1));
    let ms = Millis { detect: of(spent.detect), read: of(spent.read) };
    let plates = passages.iter().map(|p| passage_out(engine, p)).collect();
    Ok(FileOut { file: name_of(path), width, height, plates, ms })
}

fn passage_out(engine: &Engine, passage: &Passage) -> PlateOut {
    let text = passage.fused.plate.reveal().to_owned();
    PlateOut {
        country: country(engine, &text),
        text,
        confidence: (passage.fused.confidence * 1e4).round() / 1e4,
        corners: corners(&passage.quad),
        detection: passage.detection,
        corrected: passage.fused.corrected,
        at_s: Some(WallTime::micros_since(passage.at, WallTime::default()) as f64 / 1e6),
        looks: Some(passage.fused.looks),
        direction: Some(passage.fused.direction.as_str()),
    }
}

/// One picture again and again, for `bench`.
pub(super) fn first_of(path: &Path, choice: DecoderChoice) -> anyhow::Result<Frame> {
    match kind_of_file(path)? {
        Kind::Picture => picture(path),
        Kind::Film(demuxer) => {
            let (_, first) = Film::open(path, demuxer, choice)?;
            Ok(first.context("the film is empty")?.frame)
        }
    }
}
