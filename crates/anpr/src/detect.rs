//! Plates in pictures: batches through the detector, then non-maximum suppression, in pixels of the picture.

use std::cmp::Ordering;

use ort::value::TensorRef;

use crate::engine::InputSize;
use crate::frame::Frame;
use crate::letterbox::{self, Placement, Region};
use crate::model::{Model, ModelError};
use crate::num;
use crate::rectify::{self, Quad};

/// Numbers in one row of the detector's output: score, box, four corners.
const ROW: usize = 13;

/// Two boxes that overlap more than this are one plate.
const OVERLAP_MAX: f32 = 0.3;

/// A box of which this share lies in a surer one is a part of the same plate.
const INSIDE_MAX: f32 = 0.6;

/// Small pictures are enlarged by no more than this: very near plates are the detector's weak spot.
pub const ENLARGE_MAX: f32 = 1.1;

/// Wider inputs than this are looked at a second time in the size of [`InputSize::NORMAL`], for the plates that are near.
const FAR_ONLY_FROM: usize = 960;

/// Plates at least this wide in the second look (pixels of its input) are taken from it.
const NEAR_WIDTH_MIN: f32 = 90.0;

/// Plates wider than this in the first look (pixels of its input) are left to the second.
const FAR_WIDTH_MAX: f32 = 260.0;

/// Candidates of one picture that suppression looks at: bounds its square cost on a picture full of false plates.
const CANDIDATES_MAX: usize = 300;

/// Plates of one picture that are read at most, best first.
pub const PLATES_MAX: usize = 32;

/// One plate found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Probability that it is a plate, 0..=1.
    pub score: f32,
    /// `x0, y0, x1, y1`, pixels.
    pub bounds: [f32; 4],
    /// Corners of the plate, pixels.
    pub quad: Quad,
}

/// Overlap of two boxes: intersection over union.
pub fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let w = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let h = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |r: &[f32; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let union = area(a) + area(b) - w * h;
    if union > 0.0 { w * h / union } else { 0.0 }
}

/// How much of the smaller box lies in the other.
fn inside(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let w = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let h = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |r: &[f32; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let least = area(a).min(area(b));
    if least > 0.0 { w * h / least } else { 0.0 }
}

/// What the detector is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The picture.
    pub frame: &'a Frame,
    /// Which part of it.
    pub region: Region,
    /// Never enlarge by more than this.
    pub scale_max: f32,
    /// Input to look at it in; without one, the detector's own.
    pub size: Option<InputSize>,
}

impl<'a> Ask<'a> {
    /// The whole picture; a small one is hardly enlarged.
    pub fn whole(frame: &'a Frame) -> Self {
        Self { frame, region: Region::whole(frame), scale_max: ENLARGE_MAX, size: None }
    }
}

/// Sides of the detector's input are multiples of this.
const STEP: usize = 32;

/// A plate that ends this near to the edge of what was shown, in pixels of the input, goes on beyond it.
const EDGE: f32 = 2.0;

impl<'a> Ask<'a> {
    /// A part of the picture at the scale that `whole` has in an input of `size`, in an input no larger than that needs.
    pub fn part(frame: &'a Frame, part: Region, whole: Region, size: InputSize) -> Self {
        let size = size.rounded();
        let scale = Placement::fit(whole, size.width, size.height, ENLARGE_MAX).scale();
        let (width, x, w) = along((part.x, part.w), (whole.x, whole.w), scale, size.width);
        let (height, y, h) = along((part.y, part.h), (whole.y, whole.h), scale, size.height);
        let size = Some(InputSize { width, height });
        Self { frame, region: Region { x, y, w, h }, scale_max: scale, size }
    }

    /// Whether a plate in `bounds` goes on where this part of the picture ends.
    fn cuts(&self, bounds: &[f32; 4], scale: f32) -> bool {
        let edge = EDGE / scale;
        let Region { x, y, w, h } = self.region;
        let (right, bottom) = (num::real(self.frame.width()), num::real(self.frame.height()));
        (x > edge && bounds[0] < x + edge)
            || (y > edge && bounds[1] < y + edge)
            || (x + w < right - edge && bounds[2] > x + w - edge)
            || (y + h < bottom - edge && bounds[3] > y + h - edge)
    }
}

/// One side of a part: pixels of the input, then start and length in the picture, widened to what the input holds.
fn along((start, length): (f32, f32), (from, all): (f32, f32), scale: f32, most: usize) -> (usize, f32, f32) {
    let side = num::index((length * scale).ceil(), most).div_ceil(STEP).max(1) * STEP;
    let wide = (num::real(side) / scale).min(all);
    let begin = (start + (length - wide) / 2.0).clamp(from, from + all - wide);
    // On whole pairs of the input's pixels: then three samples of 1920 are one of 640, and so is their colour.
    let begin = (from + ((begin - from) * scale / 2.0 + 0.01).floor() * 2.0 / scale).min(from + all - wide);
    (side, begin, wide)
}

/// The plates that several looks at parts of one picture found, each once.
pub fn merged(parts: Vec<Vec<Detection>>) -> Vec<Detection> {
    if parts.len() < 2 {
        return parts.into_iter().next().unwrap_or_default();
    }
    suppress(parts.into_iter().flatten().collect())
}

/// The detector with its input buffer.
#[derive(Debug)]
pub struct Detector {
    model: Model,
    size: InputSize,
    input: Vec<f32>,
}

impl Detector {
    /// For inputs of `size` where an [`Ask`] wants no other. The model takes any size, so one session serves them all, and
    /// memory for a larger one is taken when it is first asked for.
    pub const fn new(model: Model, size: InputSize) -> Self {
        Self { model, size, input: Vec::new() }
    }

    /// Its input where an [`Ask`] wants no other.
    pub const fn size(&self) -> InputSize {
        self.size
    }

    /// Name and version of the model.
    pub fn label(&self) -> String {
        self.model.card.label()
    }

    /// Plates in each picture, best first. A fine input is for far plates; near ones come from a second, coarser look.
    ///
    /// # Errors
    /// [`ModelError::Runtime`].
    pub fn run(&mut self, asks: &[Ask<'_>]) -> Result<Vec<Vec<Detection>>, ModelError> {
        let mut found: Vec<Vec<Detection>> = vec![Vec::new(); asks.len()];
        for (size, members) in by_size(asks, self.size) {
            let batch: Vec<Ask<'_>> = members.iter().filter_map(|m| asks.get(*m)).copied().collect();
            for (member, plates) in members.into_iter().zip(self.run_in(&batch, size)?) {
                if let Some(slot) = found.get_mut(member) {
                    *slot = plates;
                }
            }
        }
        Ok(found)
    }

    fn run_in(&mut self, asks: &[Ask<'_>], size: InputSize) -> Result<Vec<Vec<Detection>>, ModelError> {
        let normal = self.model.card.score_min;
        if size.width < FAR_ONLY_FROM {
            let found = self.pass(asks, size, normal)?;
            return Ok(found.into_iter().map(|(_, found)| suppress(found)).collect());
        }
        let fine = self.model.card.score_min_fine.unwrap_or(normal);
        let far = self.pass(asks, size, fine)?;
        let near = self.pass(asks, InputSize::NORMAL, normal)?;
        Ok(near.into_iter().zip(far).map(|(near, far)| near_and_far(near, far)).collect())
    }

    /// Everything that scores `score_min` in one size, not yet suppressed, with the scale of each picture.
    fn pass(
        &mut self,
        asks: &[Ask<'_>],
        size: InputSize,
        score_min: f32,
    ) -> Result<Vec<(f32, Vec<Detection>)>, ModelError> {
        if asks.is_empty() {
            return Ok(Vec::new());
        }
        let InputSize { width, height } = size.rounded();
        let each = 3 * width * height;
        self.input.resize(each * asks.len(), 0.0);
        let mut places = Vec::with_capacity(asks.len());
        for (ask, slot) in asks.iter().zip(self.input.chunks_exact_mut(each)) {
            let place = Placement::fit(ask.region, width, height, ask.scale_max);
            letterbox::fill(ask.frame, &place, width, slot);
            places.push(place);
        }
        let shape = [asks.len(), 3, height, width];
        let tensor = TensorRef::from_array_view((shape, self.input.as_slice()))?;
        let outputs = self.model.session.run(ort::inputs!["image" => tensor])?;
        let missing = || ModelError::Runtime("the detector gave no `pred`".to_owned());
        let (shape, rows) = outputs.get("pred").ok_or_else(missing)?.try_extract_tensor::<f32>()?;
        if shape.last().copied() != i64::try_from(ROW).ok() || rows.len() % (asks.len() * ROW) != 0 {
            return Err(ModelError::Runtime("the detector's `pred` has another shape".to_owned()));
        }
        let per_picture = (rows.len() / asks.len()).max(ROW);
        let found = rows.chunks(per_picture).zip(asks.iter().zip(&places)).map(|(rows, (ask, place))| {
            let kept = rows.as_chunks::<ROW>().0.iter().filter(|row| row.first().is_some_and(|s| *s >= score_min));
            let whole = kept.map(|row| detection(row, place)).filter(|d| !ask.cuts(&d.bounds, place.scale()));
            (place.scale(), whole.collect())
        });
        Ok(found.collect())
    }
}

/// Which asks want which size, in order of first use.
fn by_size(asks: &[Ask<'_>], own: InputSize) -> Vec<(InputSize, Vec<usize>)> {
    let mut groups: Vec<(InputSize, Vec<usize>)> = Vec::new();
    for (at, ask) in asks.iter().enumerate() {
        let size = ask.size.unwrap_or(own);
        match groups.iter_mut().find(|(known, _)| *known == size) {
            Some((_, members)) => members.push(at),
            None => groups.push((size, vec![at])),
        }
    }
    groups
}

/// Near plates of the coarse look, then the far ones of the fine look that they leave.
fn near_and_far(
    (near_scale, mut near): (f32, Vec<Detection>),
    (far_scale, mut far): (f32, Vec<Detection>),
) -> Vec<Detection> {
    let width = |d: &Detection| d.bounds[2] - d.bounds[0];
    near.retain(|d| width(d) * near_scale >= NEAR_WIDTH_MIN);
    far.retain(|d| width(d) * far_scale <= FAR_WIDTH_MAX);
    let mut kept = suppress(near);
    for candidate in suppress(far) {
        add(&mut kept, candidate);
    }
    kept.sort_by(|a, b| b.score.total_cmp(&a.score));
    kept
}

fn detection(row: &[f32; ROW], place: &Placement) -> Detection {
    let [score, x0, y0, x1, y1, ax, ay, bx, by, cx, cy, dx, dy] = *row;
    let ((x0, y0), (x1, y1)) = (place.back(x0, y0), place.back(x1, y1));
    let quad = [place.back(ax, ay), place.back(bx, by), place.back(cx, cy), place.back(dx, dy)];
    let bounds = [x0, y0, x1, y1];
    Detection { score, bounds, quad: if plausible(&quad, &bounds) { quad } else { quad_of(&bounds) } }
}

/// Corners that are not those of a plate in this box (a lost corner, mirrored order) are worth less than the box.
fn plausible(quad: &Quad, bounds: &[f32; 4]) -> bool {
    let [tl, tr, br, bl] = *quad;
    let (w, h) = rectify::size_of(quad);
    let ordered = tl.0 < tr.0 && bl.0 < br.0 && tl.1 < bl.1 && tr.1 < br.1;
    let (bw, bh) = (bounds[2] - bounds[0], bounds[3] - bounds[1]);
    ordered && w > 0.5 * bw && w < 1.6 * bw && h > 0.3 * bh && h < 1.6 * bh
}

/// A box as corners.
pub fn quad_of(bounds: &[f32; 4]) -> Quad {
    let [x0, y0, x1, y1] = *bounds;
    [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
}

/// Keeps the best of boxes that overlap.
fn suppress(mut found: Vec<Detection>) -> Vec<Detection> {
    found.retain(|d| d.bounds.iter().all(|v| v.is_finite()) && d.bounds[2] > d.bounds[0] && d.bounds[3] > d.bounds[1]);
    found.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
    found.truncate(CANDIDATES_MAX);
    let mut kept: Vec<Detection> = Vec::new();
    for candidate in found {
        add(&mut kept, candidate);
    }
    kept
}

/// Keeps a box that is no other look at a plate already kept.
fn add(kept: &mut Vec<Detection>, candidate: Detection) {
    let other = |k: &Detection| {
        iou(&k.bounds, &candidate.bounds) <= OVERLAP_MAX && inside(&k.bounds, &candidate.bounds) <= INSIDE_MAX
    };
    if kept.len() < PLATES_MAX && kept.iter().all(other) {
        kept.push(candidate);
    }
}

/// Whether a plate's box touches the edge of the picture, so that part of it may be cut off.
pub fn touches_edge(frame: &Frame, bounds: &[f32; 4]) -> bool {
    let (w, h) = (num::real(frame.width()), num::real(frame.height()));
    bounds[0] < 2.0 || bounds[1] < 2.0 || bounds[2] > w - 2.0 || bounds[3] > h - 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(score: f32, x: f32) -> Detection {
        let bounds = [x, 0.0, x + 10.0, 4.0];
        Detection { score, bounds, quad: quad_of(&bounds) }
    }

    #[test]
    fn the_best_of_overlapping_boxes_stays() {
        let nan = Detection { bounds: [f32::NAN, 0.0, 1.0, 1.0], ..at(0.99, 0.0) };
        let part = Detection { bounds: [2.0, 1.0, 5.0, 3.0], ..at(0.55, 0.0) };
        let kept = suppress(vec![at(0.5, 1.0), at(0.9, 0.0), at(0.7, 20.0), at(0.6, 7.0), part, nan]);
        let scores: Vec<f32> = kept.iter().map(|d| d.score).collect();
        assert_eq!(scores, [0.9, 0.7, 0.6]);
        assert!((iou(&[0.0, 0.0, 10.0, 4.0], &[5.0, 0.0, 15.0, 4.0]) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(iou(&[0.0; 4], &[0.0; 4]), 0.0);
    }

    #[test]
    fn asks_go_together_by_size() {
        let frame = Frame::from_rgb(2, 2, vec![0; 12].into()).unwrap();
        let (plain, fine) = (Ask::whole(&frame), Ask { size: Some(InputSize::FINE), ..Ask::whole(&frame) });
        let normal = Ask { size: Some(InputSize::NORMAL), ..plain };
        let groups = by_size(&[plain, fine, normal, fine], InputSize::NORMAL);
        assert_eq!(groups, [(InputSize::NORMAL, vec![0, 2]), (InputSize::FINE, vec![1, 3])]);
        assert_eq!(by_size(&[], InputSize::NORMAL), []);
        let odd = InputSize { width: 0, height: 33 }.rounded();
        assert_eq!(odd, InputSize { width: 32, height: 64 });
    }

    #[test]
    fn near_plates_come_from_the_coarse_look_and_far_ones_from_the_fine() {
        let wide = |score: f32, x: f32, w: f32| {
            let bounds = [x, 0.0, x + w, w / 4.0];
            Detection { score, bounds, quad: quad_of(&bounds) }
        };
        let near = vec![wide(0.8, 0.0, 500.0), wide(0.7, 900.0, 60.0)];
        // A part of the near plate, a wreck of it, a far plate, and the far plate that the coarse look also saw.
        let far = vec![wide(0.95, 20.0, 200.0), wide(0.9, 0.0, 480.0), wide(0.6, 700.0, 40.0), wide(0.85, 901.0, 58.0)];
        let kept = near_and_far((0.5, near), (1.0, far));
        let found: Vec<(f32, f32)> = kept.iter().map(|d| (d.score, d.bounds[0])).collect();
        assert_eq!(found, [(0.85, 901.0), (0.8, 0.0), (0.6, 700.0)]);
    }

    #[test]
    fn a_part_is_shown_at_the_scale_of_the_whole_and_cut_plates_are_left() {
        let frame = Frame::from_rgb(1920, 1080, vec![0; 1920 * 1080 * 3].into()).unwrap();
        let whole = Region::whole(&frame);
        for (part, size, wanted) in [
            // A hundred pixels are 34 of the input: 64, which show 192.
            ((600.0, 500.0, 100.0, 90.0), (64, 32), (552.0, 492.0, 192.0, 96.0)),
            ((0.0, 1000.0, 100.0, 80.0), (64, 32), (0.0, 984.0, 192.0, 96.0)),
            ((1800.0, 0.0, 120.0, 1080.0), (64, 384), (1728.0, 0.0, 192.0, 1080.0)),
            ((0.0, 0.0, 1920.0, 1080.0), (640, 384), (0.0, 0.0, 1920.0, 1080.0)),
        ] {
            let region = Region { x: part.0, y: part.1, w: part.2, h: part.3 };
            let ask = Ask::part(&frame, region, whole, InputSize::NORMAL);
            assert_eq!(ask.size, Some(InputSize { width: size.0, height: size.1 }), "{part:?}");
            let Region { x, y, w, h } = ask.region;
            let near = [x - wanted.0, y - wanted.1, w - wanted.2, h - wanted.3].iter().all(|d| d.abs() < 0.51);
            assert!(near, "{part:?}: {:?}", ask.region);
            assert!((Placement::fit(ask.region, size.0, size.1, ask.scale_max).scale() - 1.0 / 3.0).abs() < 1e-3);
        }
        let middle = Ask::part(&frame, Region { x: 960.0, y: 480.0, w: 192.0, h: 96.0 }, whole, InputSize::NORMAL);
        for (bounds, cut) in [
            ([1000.0, 500.0, 1090.0, 520.0], false),
            ([961.0, 500.0, 1050.0, 520.0], true),
            ([1100.0, 500.0, 1150.0, 520.0], true),
            ([1000.0, 478.0, 1090.0, 499.0], true),
            ([1000.0, 560.0, 1090.0, 575.0], true),
        ] {
            assert_eq!(middle.cuts(&bounds, 1.0 / 3.0), cut, "{bounds:?}");
        }
        assert!(!Ask::whole(&frame).cuts(&[0.0, 0.0, 1920.0, 1080.0], 1.0 / 3.0));
        let twice = merged(vec![vec![at(0.8, 0.0), at(0.5, 40.0)], vec![at(0.9, 1.0)]]);
        assert_eq!(twice.iter().map(|d| d.score).collect::<Vec<_>>(), [0.9, 0.5]);
    }

    #[test]
    fn corners_out_of_order_give_way_to_the_box() {
        let place = Placement::fit(Region { x: 0.0, y: 0.0, w: 640.0, h: 384.0 }, 640, 384, 1.0);
        let good = [0.9, 10.0, 10.0, 110.0, 40.0, 10.0, 12.0, 110.0, 10.0, 110.0, 38.0, 10.0, 40.0];
        assert_eq!(detection(&good, &place).quad[0], (10.0, 12.0));
        let mut mirrored = good;
        mirrored.swap(5, 7);
        assert_eq!(detection(&mirrored, &place).quad[0], (10.0, 10.0));
    }
}
