//! `anpr eval` on pictures with boxes alone (boxes.tsv): what the detector finds, and what it takes for a plate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anpr::Engine;
use anpr::detect::{Detection, iou};
use anpr::engine::View;
use anyhow::Context as _;
use sha2::Digest as _;

use super::stats::{exact, percentile, share};
use super::{line, now};
use crate::film::picture;

/// Digits of a file's SHA-256 that name it in a list.
const HASH_DIGITS: usize = 16;

/// Two boxes that overlap this much are the same thing.
const SAME: f32 = 0.3;

/// A list of files by hash: which to measure, and what people saw in boxes that no label explains.
#[derive(Debug, Default)]
pub(super) struct Reviewed {
    /// Hashes of all files named.
    files: BTreeSet<String>,
    /// By file: box, and whether it is a plate.
    boxes: BTreeMap<String, Vec<([f32; 4], bool)>>,
}

impl Reviewed {
    /// Reads `sha256_16 x0 y0 x1 y1 what`, separated by tabs; `what` is `plate`, `not` or `held-out` (no box).
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut list = Self::default();
        for (number, row) in text.lines().enumerate().skip(1).filter(|(_, row)| !row.trim().is_empty()) {
            let wrong = || format!("line {} of the list is not `sha256_16 x0 y0 x1 y1 what`", number + 1);
            let [hash, x0, y0, x1, y1, what] = *row.split('\t').collect::<Vec<_>>() else { anyhow::bail!(wrong()) };
            list.files.insert(hash.to_owned());
            let plate = match what.trim() {
                "plate" => true,
                "not" => false,
                "held-out" => continue,
                _ => anyhow::bail!(wrong()),
            };
            let mut bounds = [0.0; 4];
            for (slot, text) in bounds.iter_mut().zip([x0, y0, x1, y1]) {
                *slot = text.parse().with_context(wrong)?;
            }
            list.boxes.entry(hash.to_owned()).or_default().push((bounds, plate));
        }
        anyhow::ensure!(!list.files.is_empty(), "the list names no file");
        Ok(list)
    }

    /// What people saw there; `None` when nobody looked.
    fn verdict(&self, hash: &str, bounds: &[f32; 4]) -> Option<bool> {
        let known = self.boxes.get(hash)?;
        let near = known.iter().map(|(b, plate)| (iou(b, bounds), *plate)).max_by(|a, b| a.0.total_cmp(&b.0))?;
        (near.0 > SAME).then_some(near.1)
    }
}

/// Boxes of each file.
fn boxes(text: &str) -> anyhow::Result<BTreeMap<String, Vec<[f32; 4]>>> {
    let mut all: BTreeMap<String, Vec<[f32; 4]>> = BTreeMap::new();
    for row in text.lines().skip(1).filter(|row| !row.trim().is_empty()) {
        let [file, x, y, w, h] = *row.split('\t').collect::<Vec<_>>() else {
            anyhow::bail!("a line of boxes.tsv is not `file x y w h`");
        };
        let number = |text: &str| text.trim().parse::<f32>().context("a box is not in numbers");
        let (x, y, w, h) = (number(x)?, number(y)?, number(w)?, number(h)?);
        all.entry(file.to_owned()).or_default().push([x, y, x + w, y + h]);
    }
    anyhow::ensure!(!all.is_empty(), "boxes.tsv is empty");
    Ok(all)
}

#[derive(Debug, Default)]
struct Sum {
    pictures: u32,
    plates: u32,
    half: u32,
    third: u32,
    real: u32,
    not: u32,
    unseen: u32,
    pictures_with_false: u32,
    spans: Vec<Duration>,
}

impl Sum {
    fn add(&mut self, labels: &[[f32; 4]], found: &[Detection], verdict: impl Fn(&[f32; 4]) -> Option<bool>) {
        self.pictures += 1;
        for label in labels {
            let best = found.iter().map(|d| iou(&d.bounds, label)).fold(0.0, f32::max);
            self.plates += 1;
            self.half += u32::from(best >= 0.5);
            self.third += u32::from(best >= SAME);
        }
        let mut wrong = false;
        for further in found.iter().filter(|d| labels.iter().all(|label| iou(&d.bounds, label) < SAME)) {
            match verdict(&further.bounds) {
                Some(true) => self.real += 1,
                Some(false) => {
                    self.not += 1;
                    wrong = true;
                }
                None => self.unseen += 1,
            }
        }
        self.pictures_with_false += u32::from(wrong);
    }

    fn report(&self, title: &str) -> anyhow::Result<()> {
        line(&format!("\n{title}: {} pictures, {} labelled plates", self.pictures, self.plates))?;
        line(&format!("  detected, overlap ≥ 0.5  {}", share(self.half, self.plates)))?;
        line(&format!("  detected, overlap ≥ 0.3  {}", share(self.third, self.plates)))?;
        let further = self.real + self.not + self.unseen;
        line(&format!(
            "  further boxes: {further} ({} plates without a label, {} no plates, {} not looked at)",
            self.real, self.not, self.unseen
        ))?;
        let each = f64::from(self.not + self.unseen) / f64::from(self.pictures.max(1));
        let (low, high) = exact(self.pictures_with_false, self.pictures);
        line(&format!(
            "  false plates a picture: {each:.3} (those not looked at counted); {} of {} pictures have one known to be false, \
             exact 95 % interval {:.1}–{:.1} %",
            self.pictures_with_false,
            self.pictures,
            low * 100.0,
            high * 100.0
        ))?;
        let (median, late) = (percentile(&self.spans, 50), percentile(&self.spans, 95));
        line(&format!("  ms a picture: median {median}, p95 {late}"))
    }
}

/// Measures the folder; with a list, only the files that it names. `show` prints boxes that nobody looked at.
pub(super) fn measure(engine: &mut Engine, folder: &Path, list: Option<&Path>, show: bool) -> anyhow::Result<()> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()));
    let labels = boxes(&read(&folder.join("boxes.tsv"))?)?;
    let reviewed = list.map(|path| read(path).and_then(|text| Reviewed::parse(&text))).transpose()?;
    let mut sum = Sum::default();
    for (file, labels) in &labels {
        let path = folder.join(file);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let hash: String = hex::encode(sha2::Sha256::digest(&bytes)).chars().take(HASH_DIGITS).collect();
        if reviewed.as_ref().is_some_and(|list| !list.files.contains(&hash)) {
            continue;
        }
        let frame = picture(&path).with_context(|| file.clone())?;
        let start = now();
        let found = engine.find(&[View::whole(&frame)])?.into_iter().next().unwrap_or_default();
        sum.spans.push(start.elapsed());
        let verdict = |bounds: &[f32; 4]| reviewed.as_ref().and_then(|list| list.verdict(&hash, bounds));
        sum.add(labels, &found, verdict);
        for d in found.iter().filter(|d| show && labels.iter().all(|label| iou(&d.bounds, label) < SAME)) {
            let [x0, y0, x1, y1] = d.bounds;
            line(&format!("{hash}\t{x0:.0}\t{y0:.0}\t{x1:.0}\t{y1:.0}\t{:.2}\t{:?}", d.score, verdict(&d.bounds)))?;
        }
    }
    anyhow::ensure!(sum.pictures > 0, "no picture of the folder is in the list");
    let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    sum.report(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_asked() {
        let list = Reviewed::parse("sha\tx0\ty0\tx1\ty1\twhat\naa\t\t\t\t\theld-out\nbb\t0\t0\t10\t4\tnot\n").unwrap();
        assert_eq!(list.files.len(), 2);
        assert_eq!(list.verdict("bb", &[1.0, 0.0, 10.0, 4.0]), Some(false));
        assert_eq!((list.verdict("bb", &[50.0, 0.0, 60.0, 4.0]), list.verdict("aa", &[0.0; 4])), (None, None));
        for wrong in ["", "head\n", "head\naa\t1\t2\t3\t4\tmaybe\n", "head\naa\tplate\n", "head\naa\tx\t0\t1\t1\tnot\n"]
        {
            assert!(Reviewed::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(boxes("file\tx\ty\tw\th\na\t1\t2\t3\t4\n").is_ok());
        assert!(boxes("file\tx\ty\tw\th\n").is_err() && boxes("h\na\t1\tb\t3\t4\n").is_err());
    }

    #[test]
    fn plates_and_mistakes_are_counted() {
        let at = |x: f32| {
            let bounds = [x, 0.0, x + 10.0, 4.0];
            Detection { score: 0.9, bounds, quad: anpr::detect::quad_of(&bounds) }
        };
        let mut sum = Sum::default();
        let verdict = |b: &[f32; 4]| if b[0] > 60.0 { None } else { Some(b[0] > 40.0) };
        sum.add(&[at(0.0).bounds, at(100.0).bounds], &[at(1.0), at(20.0), at(50.0), at(70.0)], verdict);
        assert_eq!((sum.plates, sum.half, sum.real, sum.not, sum.unseen, sum.pictures_with_false), (2, 1, 1, 1, 1, 1));
    }
}
