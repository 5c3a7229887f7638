//! A plate's quadrilateral, warped to the reader's 128×32 grey pixels.

use crate::frame::Frame;
use crate::num;

/// Width of the reader's input, pixels.
pub const WIDE: usize = 128;
/// Height of the reader's input, pixels.
pub const HIGH: usize = 32;

/// How much more than the plate is cut, of its width and of its height, as the reader was trained.
const MARGIN: (f32, f32) = (0.04, 0.08);

/// Below this ratio of width to height a plate may carry two lines (Belgian 340×210 and motorcycle 210×140 mm: 1.6; a
/// one-line plate seen from the side comes as low): it is read both ways.
const TWO_LINES_BELOW: f32 = 2.4;

/// Corners of a plate in pixels: top-left, top-right, bottom-right, bottom-left.
pub type Quad = [(f32, f32); 4];

/// Lengths of the mean horizontal and the mean vertical edge.
pub fn size_of(quad: &Quad) -> (f32, f32) {
    let [tl, tr, br, bl] = *quad;
    let length = |a: (f32, f32), b: (f32, f32)| (a.0 - b.0).hypot(a.1 - b.1);
    (f32::midpoint(length(tl, tr), length(bl, br)), f32::midpoint(length(tl, bl), length(tr, br)))
}

/// Whether the plate may carry two lines, by its shape.
pub fn may_be_two_lines(quad: &Quad) -> bool {
    let (w, h) = size_of(quad);
    w < TWO_LINES_BELOW * h
}

/// A projective map of the unit square.
#[derive(Clone, Copy, Debug)]
struct Map {
    a: [f32; 8],
}

impl Map {
    /// The map that takes (0,0), (1,0), (1,1), (0,1) to the corners (Heckbert 1989, section 2.2.3).
    fn onto(quad: &Quad) -> Self {
        let [(x0, y0), (x1, y1), (x2, y2), (x3, y3)] = *quad;
        let (dx1, dx2, sx) = (x1 - x2, x3 - x2, x0 - x1 + x2 - x3);
        let (dy1, dy2, sy) = (y1 - y2, y3 - y2, y0 - y1 + y2 - y3);
        let det = dx1 * dy2 - dx2 * dy1;
        let (g, h) =
            if det.abs() < 1e-6 { (0.0, 0.0) } else { ((sx * dy2 - dx2 * sy) / det, (dx1 * sy - sx * dy1) / det) };
        Self { a: [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h] }
    }

    fn at(&self, u: f32, v: f32) -> (f32, f32) {
        let [a, b, c, d, e, f, g, h] = self.a;
        let w = g * u + h * v + 1.0;
        ((a * u + b * v + c) / w, (d * u + e * v + f) / w)
    }
}

/// Warps the band from `v0` to `v1` (0..=1 is the plate's height) with the reader's margin left and right into `out`
/// (128×32, 0..=1). Large plates are averaged down, not sampled.
pub fn warp(frame: &Frame, quad: &Quad, (v0, v1): (f32, f32), out: &mut [f32]) {
    let map = Map::onto(quad);
    let (w, h) = size_of(quad);
    let (u0, u1) = (-MARGIN.0, 1.0 + MARGIN.0);
    let (du, dv) = ((u1 - u0) / num::real(WIDE), (v1 - v0) / num::real(HIGH));
    let per_pixel = (w * du).max(h * dv);
    let n = num::index(per_pixel.round(), 4).max(1);
    let share = 1.0 / num::real(n * n);
    for (row, line) in out.chunks_exact_mut(WIDE).enumerate() {
        for (column, slot) in line.iter_mut().enumerate() {
            let mut sum = 0.0;
            for k in 0..n * n {
                let (i, j) = (num::real(k % n), num::real(k / n));
                let u = u0 + du * (num::real(column) + (i + 0.5) / num::real(n));
                let v = v0 + dv * (num::real(row) + (j + 0.5) / num::real(n));
                let (x, y) = map.at(u, v);
                sum += frame.luma_at(x - 0.5, y - 0.5);
            }
            *slot = sum * share / 255.0;
        }
    }
}

/// Other ways to halve a plate whose corners are not quite right: how much more than the plate, of its height, and where
/// the lines part. Measured on 120 rendered two-line plates at the detector's corners: 106 read with the one way of
/// [`lines`], 114 with the surest of these and it (`training/two_lines.py`).
const OTHER_HALVES: [(f32, f32); 5] =
    [(MARGIN.1, 0.44), (MARGIN.1, 0.56), (MARGIN_WIDE, 0.44), (MARGIN_WIDE, 0.5), (MARGIN_WIDE, 0.56)];

/// Margin above and below for corners that cut into the text.
const MARGIN_WIDE: f32 = 0.2;

/// Number of inputs that [`other_halves`] appends.
pub const OTHER_INPUTS: usize = 2 * OTHER_HALVES.len();

/// The upper and the lower band of a plate; the halves get no margin towards each other: the neighbour's feet would show.
fn halves((margin, part): (f32, f32)) -> [(f32, f32); 2] {
    let middle = part * (1.0 + 2.0 * margin) - margin;
    [(-margin, middle), (middle, 1.0 + margin)]
}

fn append(frame: &Frame, quad: &Quad, band: (f32, f32), out: &mut Vec<f32>) {
    let start = out.len();
    out.resize(start + WIDE * HIGH, 0.0);
    warp(frame, quad, band, out.get_mut(start..).unwrap_or_default());
}

/// Appends what the reader must see of the plate: the whole, and for a short plate also its upper and its lower half.
/// Returns 1 or 3, the number of inputs.
pub fn lines(frame: &Frame, quad: &Quad, out: &mut Vec<f32>) -> usize {
    append(frame, quad, (-MARGIN.1, 1.0 + MARGIN.1), out);
    if !may_be_two_lines(quad) {
        return 1;
    }
    halves((MARGIN.1, 0.5)).iter().for_each(|band| append(frame, quad, *band, out));
    3
}

/// Appends [`OTHER_INPUTS`] inputs: upper and lower half, each other way.
pub fn other_halves(frame: &Frame, quad: &Quad, out: &mut Vec<f32>) {
    OTHER_HALVES.iter().flat_map(|way| halves(*way)).for_each(|band| append(frame, quad, band, out));
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn the_map_takes_the_square_to_the_corners() {
        for quad in
            [[(0.0, 0.0), (10.0, 0.0), (10.0, 5.0), (0.0, 5.0)], [(3.0, 1.0), (40.0, 5.0), (38.0, 20.0), (1.0, 11.0)]]
        {
            let map = Map::onto(&quad);
            for ((u, v), wanted) in [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].into_iter().zip(quad) {
                let (x, y) = map.at(u, v);
                assert!((x - wanted.0).abs() < 1e-3 && (y - wanted.1).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn a_plate_is_cut_with_its_margin_and_halves_without() {
        // Left half black, right half white.
        let data: Vec<u8> = (0..100 * 40).flat_map(|i| [if i % 100 < 50 { 0 } else { 255_u8 }; 3]).collect();
        let frame = Frame::from_rgb(100, 40, Bytes::from(data)).unwrap();
        let quad = [(10.0, 10.0), (90.0, 10.0), (90.0, 30.0), (10.0, 30.0)];
        let mut out = Vec::new();
        assert_eq!(lines(&frame, &quad, &mut out), 1);
        assert_eq!((out[5], out[WIDE - 5]), (0.0, 1.0));
        assert!((out[63] - 0.2).abs() < 0.35 && out[70] > 0.95);
        let square = [(10.0, 10.0), (40.0, 10.0), (40.0, 30.0), (10.0, 30.0)];
        out.clear();
        assert_eq!(lines(&frame, &square, &mut out), 3);
        assert_eq!(out.len(), 3 * WIDE * HIGH);
        out.clear();
        other_halves(&frame, &square, &mut out);
        assert_eq!(out.len(), OTHER_INPUTS * WIDE * HIGH);
        let [upper, lower] = halves((MARGIN.1, 0.5));
        assert!(upper.0 == -MARGIN.1 && (upper.1 - 0.5).abs() < 1e-6 && lower == (upper.1, 1.0 + MARGIN.1));
        assert!(!may_be_two_lines(&quad) && may_be_two_lines(&square));
    }
}
