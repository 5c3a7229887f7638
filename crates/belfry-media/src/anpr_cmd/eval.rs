//! `anpr eval`: figures against labels, as the table of anpr.md 4.7. No plate text is printed unless asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anpr::detect::{iou, quad_of};
use anpr::rectify::Quad;
use anpr::{Engine, Frame};
use anyhow::Context as _;
use clap::Args;
use vms_core::{MonoTime, WallTime};

use super::stats::{exact_share, merged, percentile, share};
use super::{Spent, boxes, line, look_at_all};
use crate::film::picture;
use crate::reader::ModelArgs;

/// Arguments.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Folder with pictures and groundtruth.tsv (file, plate; x, y, w, h; corners; group), or with boxes.tsv (file, x, y,
    /// w, h) for the detector alone.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print each wrong picture with both texts; for eyes only, never for a repository.
    #[arg(long)]
    misses: bool,
    /// With boxes.tsv: the pictures to measure by hash, and what people saw in boxes without a label.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    #[command(flatten)]
    models: ModelArgs,
}

/// One labelled picture.
#[derive(Debug, PartialEq)]
struct Label {
    file: String,
    plate: String,
    group: String,
    /// Absent where the picture is the plate.
    bounds: Option<[f32; 4]>,
    quad: Option<Quad>,
}

/// Reads the labels.
fn labels(text: &str) -> anyhow::Result<Vec<Label>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().context("groundtruth.tsv is empty")?.split('\t').collect();
    let label = |line: &str| -> anyhow::Result<Label> {
        let row: BTreeMap<&str, &str> = names.iter().copied().zip(line.split('\t')).collect();
        let text = |name: &str| row.get(name).copied().unwrap_or_default();
        let number = |name: &str| text(name).parse::<f32>().ok();
        let bounds = match ["x", "y", "w", "h"].map(number) {
            [Some(x), Some(y), Some(w), Some(h)] => Some([x, y, x + w, y + h]),
            _ => None,
        };
        let corner = |x: &str, y: &str| Some((number(x)?, number(y)?));
        let quad = match [corner("x0", "y0"), corner("x1", "y1"), corner("x2", "y2"), corner("x3", "y3")] {
            [Some(a), Some(b), Some(c), Some(d)] => Some([a, b, c, d]),
            _ => None,
        };
        let (file, plate) = (text("file").to_owned(), text("plate").to_owned());
        anyhow::ensure!(!file.is_empty() && !plate.is_empty(), "a line without file or plate");
        Ok(Label { file, plate, group: text("group").to_owned(), bounds, quad })
    };
    lines.filter(|line| !line.trim().is_empty()).map(label).collect()
}

/// What is added up.
#[derive(Debug, Default)]
struct Tally {
    pictures: u32,
    found_half: u32,
    found_third: u32,
    strict: u32,
    merged: u32,
    crop_strict: u32,
    crop_merged: u32,
    extra: u32,
    /// Confidence and rightness of each picture's read.
    reads: Vec<(f64, bool)>,
    /// Votes by vehicle: label and weight of each text.
    votes: BTreeMap<(String, String), BTreeMap<String, f64>>,
    spans: Vec<Duration>,
    misses: Vec<String>,
}

/// Measures the folder.
pub(crate) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    let path = args.folder.join("groundtruth.tsv");
    if !path.exists() && args.folder.join("boxes.tsv").exists() {
        let mut engine = super::engine(&args.models)?;
        line(&format!("models: {}", engine.label()))?;
        return boxes::measure(&mut engine, &args.folder, args.list.as_deref(), args.misses);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let labels = labels(&text)?;
    let mut engine = super::engine(&args.models)?;
    let bar = indicatif::ProgressBar::new(u64::try_from(labels.len())?);
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for label in &labels {
        let tally = tallies.entry(label.group.clone()).or_default();
        let frame = picture(&args.folder.join(&label.file)).with_context(|| label.file.clone())?;
        match label.bounds {
            Some(bounds) => measure_scene(&mut engine, &frame, label, &bounds, tally)?,
            None => measure_crop(&mut engine, &frame, label, tally)?,
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    line(&format!("models: {}", engine.label()))?;
    for (group, tally) in &tallies {
        let name = args.folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let title = if group.is_empty() { name } else { format!("{name} group {group}") };
        report(&title, tally, args.misses)?;
    }
    Ok(())
}

fn one_look(engine: &Engine, seen: &anpr::engine::Seen) -> Option<(String, f64)> {
    let fused = engine.fuse(&[seen.look(MonoTime::default(), WallTime::default())?])?;
    Some((fused.plate.reveal().to_owned(), fused.confidence))
}

fn measure_scene(
    engine: &mut Engine,
    frame: &Frame,
    label: &Label,
    bounds: &[f32; 4],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut spent = Spent::default();
    let seen = look_at_all(engine, frame, &mut spent)?;
    tally.spans.push(spent.detect + spent.read);
    let centre_inside = |b: &[f32; 4]| {
        let (x, y) = (f32::midpoint(b[0], b[2]), f32::midpoint(b[1], b[3]));
        (bounds[0]..bounds[2]).contains(&x) && (bounds[1]..bounds[3]).contains(&y)
    };
    // Overlap of the best box; text, confidence, and what its look is worth (confidence × being a plate).
    let mut best = (0.0_f32, None::<(String, f64)>, -1.0);
    for plate in &seen {
        let overlap = iou(&plate.detection.bounds, bounds);
        if overlap < 0.3 && !centre_inside(&plate.detection.bounds) {
            tally.extra += u32::from(one_look(engine, plate).is_some_and(|(_, confidence)| confidence > 0.5));
            continue;
        }
        let read = one_look(engine, plate);
        let worth = read.as_ref().map_or(-1.0, |r| r.1 * f64::from(plate.detection.score));
        best.0 = best.0.max(overlap);
        if worth > best.2 {
            (best.1, best.2) = (read, worth);
        }
    }
    tally.found_half += u32::from(best.0 >= 0.5);
    tally.found_third += u32::from(best.0 >= 0.3);
    let quad = label.quad.unwrap_or_else(|| quad_of(bounds));
    let on_truth = engine.read(&[(frame, quad)])?.into_iter().next().unwrap_or_default();
    tally.crop_strict += u32::from(on_truth.best() == label.plate);
    tally.crop_merged += u32::from(merged(on_truth.best()) == merged(&label.plate));
    tally.count(label, best.1);
    Ok(())
}

fn measure_crop(engine: &mut Engine, frame: &Frame, label: &Label, tally: &mut Tally) -> anyhow::Result<()> {
    let start = super::now();
    let reading = engine.read_crop(frame)?;
    tally.spans.push(start.elapsed());
    let whole = quad_of(&[0.0, 0.0, frame.width() as f32, frame.height() as f32]);
    let as_it_is = engine.read(&[(frame, whole)])?.into_iter().next().unwrap_or_default();
    tally.crop_strict += u32::from(as_it_is.best() == label.plate);
    tally.crop_merged += u32::from(merged(as_it_is.best()) == merged(&label.plate));
    let detection = anpr::detect::Detection { score: 1.0, bounds: [0.0; 4], quad: whole };
    let seen = anpr::engine::Seen { detection, reading: Some(reading), cut_off: false };
    let read = one_look(engine, &seen);
    tally.count(label, read);
    Ok(())
}

/// Frames of one vehicle share the name up to the last pair of numbers (`A_01_2.jpg` and `A_01_3.jpg`).
fn vehicle_of(file: &str) -> &str {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    stem.rsplitn(3, '_').last().unwrap_or(stem)
}

impl Tally {
    fn count(&mut self, label: &Label, read: Option<(String, f64)>) {
        self.pictures += 1;
        let (text, confidence) = read.unwrap_or_default();
        let right = text == label.plate;
        self.strict += u32::from(right);
        self.merged += u32::from(merged(&text) == merged(&label.plate));
        if !text.is_empty() {
            self.reads.push((confidence, right));
        }
        let key = (vehicle_of(&label.file).to_owned(), label.plate.clone());
        *self.votes.entry(key).or_default().entry(text.clone()).or_default() += confidence;
        if !right {
            self.misses.push(format!("{}\twanted {}\tread {text} ({confidence:.3})", label.file, label.plate));
        }
    }

    fn vote(&self) -> (u32, u32) {
        let right = |((_, plate), texts): (&(String, String), &BTreeMap<String, f64>)| {
            texts.iter().max_by(|a, b| a.1.total_cmp(b.1)).is_some_and(|(text, _)| text == plate)
        };
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (count(self.votes.iter().filter(|v| right(*v)).count()), count(self.votes.len()))
    }
}

fn report(title: &str, tally: &Tally, misses: bool) -> anyhow::Result<()> {
    let all = tally.pictures;
    line(&format!("\n{title}: {all} pictures"))?;
    if tally.found_third > 0 {
        line(&format!("  detected, overlap ≥ 0.5  {}", share(tally.found_half, all)))?;
        line(&format!("  detected, overlap ≥ 0.3  {}", share(tally.found_third, all)))?;
    }
    line(&format!("  end to end, strict        {}", share(tally.strict, all)))?;
    line(&format!("  end to end, merged        {}", share(tally.merged, all)))?;
    line(&format!("  on the label, strict      {}", share(tally.crop_strict, all)))?;
    line(&format!("  on the label, merged      {}", share(tally.crop_merged, all)))?;
    let (voted, vehicles) = tally.vote();
    if vehicles < all {
        line(&format!("  vote of each vehicle      {}", share(voted, vehicles)))?;
    }
    line(&format!("  other plates read at ≥ 0.5 confidence: {}", tally.extra))?;
    line(&format!("  ms a picture: median {}, p95 {}", percentile(&tally.spans, 50), percentile(&tally.spans, 95)))?;
    for level in [0.5, 0.8, 0.9, 0.95, 0.99] {
        let kept: Vec<bool> = tally.reads.iter().filter(|(c, _)| *c >= level).map(|(_, right)| *right).collect();
        let good = u32::try_from(kept.iter().filter(|r| **r).count())?;
        let kept = u32::try_from(kept.len())?;
        line(&format!("  confidence ≥ {level:<4}  right {:<52} kept {}", exact_share(good, kept), share(kept, all)))?;
    }
    if misses {
        tally.misses.iter().try_for_each(|miss| line(&format!("  {miss}")))?;
    }
    Ok(())
}

/// The folder of real pictures, for tests: `../shared/data` beside the repository.
#[cfg(test)]
fn data(name: &str) -> Option<PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    folder.is_dir().then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_in_three_shapes() {
        let boxes = labels("file\tx\ty\tw\th\tplate\na.jpg\t1\t2\t3\t4\tAB12\n").unwrap();
        assert_eq!(boxes[0].bounds, Some([1.0, 2.0, 4.0, 6.0]));
        let crops = labels("file\tgroup\tplate\na.png\tbe\tAB12\n\n").unwrap();
        assert_eq!((crops[0].group.as_str(), crops[0].bounds, crops.len()), ("be", None, 1));
        assert!(labels("").is_err() && labels("file\tplate\na.png\t\n").is_err());
        assert_eq!(vehicle_of("Clip7_2_01_3.jpg"), "Clip7_2");
    }

    #[test]
    fn the_models_read_real_photographs() {
        let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let library = repository.join(".onnxruntime/lib/libonnxruntime.so.1.31.1");
        let models = repository.join("models");
        let ready = library.exists() && models.join("plate-detector/card.toml").exists();
        let Some(folder) = data("plates-eu").filter(|_| ready) else {
            println!("not run: needs ../shared/data/plates-eu, models/ and scripts/fetch-onnxruntime.sh");
            return;
        };
        let runtime = anpr::model::Runtime::load(&library, 1).unwrap();
        let mut engine = Engine::open(&runtime, &models, anpr::InputSize::NORMAL).unwrap();
        let labels = labels(&std::fs::read_to_string(folder.join("groundtruth.tsv")).unwrap()).unwrap();
        let mut tally = Tally::default();
        for label in labels.iter().take(12) {
            let frame = picture(&folder.join(&label.file)).unwrap();
            measure_scene(&mut engine, &frame, label, &label.bounds.unwrap(), &mut tally).unwrap();
        }
        assert!(tally.found_third >= 11, "{} of 12 found", tally.found_third);
        assert!(tally.merged >= 9, "{} of 12 read", tally.merged);
    }
}
