//! A picture and what can be painted on it: polygons with soft edges, discs, streaks, noise, blur.

use crate::dice::{Dice, hash01};

/// An RGB picture, 8 bits a channel, rows from the top, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

/// A colour, each channel 0 to 255; values outside are clipped when painted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rgb(pub(super) f32, pub(super) f32, pub(super) f32);

impl Rgb {
    pub(super) fn times(self, factor: f32) -> Self {
        Self(self.0 * factor, self.1 * factor, self.2 * factor)
    }

    pub(super) fn tinted(self, by: Self) -> Self {
        Self(self.0 * by.0, self.1 * by.1, self.2 * by.2)
    }

    pub(super) fn mixed(self, other: Self, share: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * share;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1, self.2 + other.2)
    }
}

/// A point on the picture, pixels; pixel centres lie at .5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

/// What a polygon is filled with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paint {
    Flat(Rgb),
    /// From one colour at a row to another at a lower row.
    Vertical {
        top: f32,
        from: Rgb,
        bottom: f32,
        to: Rgb,
    },
}

impl Paint {
    fn at(self, y: f32) -> Rgb {
        match self {
            Self::Flat(colour) => colour,
            Self::Vertical { top, from, bottom, to } => {
                from.mixed(to, ((y - top) / (bottom - top).max(0.01)).clamp(0.0, 1.0))
            }
        }
    }
}

/// Sub-rows per row of pixels for soft polygon edges.
const SUB_ROWS: u8 = 4;

impl Frame {
    /// A black picture.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, rgb: vec![0; width.saturating_mul(height).saturating_mul(3)] }
    }

    /// Pixels across.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels down.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes, three a pixel.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Becomes a copy of another picture.
    pub(super) fn copy_from(&mut self, other: &Self) {
        (self.width, self.height) = (other.width, other.height);
        self.rgb.clone_from(&other.rgb);
    }

    fn row_mut(&mut self, y: usize) -> &mut [u8] {
        let len = self.width * 3;
        self.rgb.get_mut(y * len..(y + 1) * len).unwrap_or_default()
    }

    fn row(&self, y: usize) -> &[u8] {
        let len = self.width * 3;
        self.rgb.get(y * len..(y + 1) * len).unwrap_or_default()
    }

    /// Replaces every pixel by what `colour` says of its column and row.
    pub(super) fn paint(&mut self, mut colour: impl FnMut(usize, usize) -> Rgb) {
        for y in 0..self.height {
            for (x, pixel) in self.row_mut(y).chunks_exact_mut(3).enumerate() {
                put(pixel, colour(x, y), 1.0);
            }
        }
    }

    /// Blends one pixel.
    pub(super) fn blend(&mut self, x: usize, y: usize, colour: Rgb, alpha: f32) {
        if x < self.width && y < self.height {
            let at = x * 3;
            if let Some(pixel) = self.row_mut(y).get_mut(at..at + 3) {
                put(pixel, colour, alpha);
            }
        }
    }

    /// The rows and columns of pixels that a set of points touches, clipped to the picture.
    pub(super) fn bounds(&self, points: &[Point]) -> Bounds {
        let fold = |pick: fn(&Point) -> f32| {
            points.iter().map(pick).fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)))
        };
        let ((left, right), (top, bottom)) = (fold(|p| p.x), fold(|p| p.y));
        Bounds {
            left: clip(left.floor(), self.width),
            right: clip(right.ceil(), self.width),
            top: clip(top.floor(), self.height),
            bottom: clip(bottom.ceil(), self.height),
        }
    }

    /// Fills a polygon (even-odd), edges softened by coverage.
    pub(super) fn fill(&mut self, points: &[Point], paint: Paint, alpha: f32) {
        if points.len() < 3 {
            return;
        }
        let bounds = self.bounds(points);
        if bounds.left >= bounds.right {
            return;
        }
        let mut coverage = vec![0.0_f32; bounds.right - bounds.left];
        let mut crossings: Vec<f32> = Vec::with_capacity(8);
        for y in bounds.top..bounds.bottom {
            coverage.fill(0.0);
            for sub in 0..SUB_ROWS {
                let at = y as f32 + (f32::from(sub) + 0.5) / f32::from(SUB_ROWS);
                cross(points, at, &mut crossings);
                for pair in crossings.chunks_exact(2) {
                    if let [from, to] = pair {
                        let left = bounds.left as f32;
                        span(&mut coverage, from - left, to - left, 1.0 / f32::from(SUB_ROWS));
                    }
                }
            }
            let colour = paint.at(y as f32 + 0.5);
            let pixels = self.row_mut(y).chunks_exact_mut(3).skip(bounds.left);
            for (pixel, covered) in pixels.zip(&coverage) {
                if *covered > 0.0 {
                    put(pixel, colour, covered.min(1.0) * alpha);
                }
            }
        }
    }

    /// Adds light that fades from the middle to nothing at `radius` pixels.
    pub(super) fn glow(&mut self, centre: Point, radius: f32, colour: Rgb) {
        let reach = [
            Point { x: centre.x - radius, y: centre.y - radius },
            Point { x: centre.x + radius, y: centre.y + radius },
        ];
        let bounds = self.bounds(&reach);
        for y in bounds.top..bounds.bottom {
            let dy = y as f32 + 0.5 - centre.y;
            let pixels = self.row_mut(y).chunks_exact_mut(3).enumerate();
            for (x, pixel) in pixels.take(bounds.right).skip(bounds.left) {
                let dx = x as f32 + 0.5 - centre.x;
                let near = 1.0 - (dx * dx + dy * dy).sqrt() / radius.max(0.1);
                if near > 0.0 {
                    add(pixel, colour.times(near * near));
                }
            }
        }
    }

    /// A thin bright streak of falling rain.
    pub(super) fn streak(&mut self, from: Point, to: Point, colour: Rgb, alpha: f32) {
        let steps = (to.y - from.y).abs().max(1.0).ceil();
        let mut step = 0.0;
        while step < steps {
            let share = step / steps;
            let (x, y) = (from.x + (to.x - from.x) * share, from.y + (to.y - from.y) * share);
            if x >= 0.0 && y >= 0.0 {
                self.blend(clip(x, self.width), clip(y, self.height), colour, alpha);
            }
            step += 1.0;
        }
    }

    /// Softens by a 3×3 binomial kernel, `passes` times (sigma about 0.7 × √passes pixels).
    pub(super) fn soften(&mut self, passes: u8) {
        for _ in 0..passes {
            let width = self.width;
            for y in 0..self.height {
                let row = self.row_mut(y);
                let old = row.to_vec();
                for channel in 0..3 {
                    let old = old.iter().skip(channel).step_by(3);
                    let shifted = old.clone().skip(2);
                    let middle = old.clone().skip(1);
                    let out = row.iter_mut().skip(channel + 3).step_by(3);
                    for (((out, a), b), c) in out.zip(old).zip(middle).zip(shifted).take(width.saturating_sub(2)) {
                        *out = quarter(*a, *b, *c);
                    }
                }
            }
            let mut above = self.row(0).to_vec();
            for y in 1..self.height.saturating_sub(1) {
                let below = self.row(y + 1).to_vec();
                for ((out, a), c) in self.row_mut(y).iter_mut().zip(&mut above).zip(&below) {
                    let middle = *out;
                    *out = quarter(*a, middle, *c);
                    *a = middle;
                }
            }
        }
    }

    /// Adds noise of about `sigma` grey levels, different for every `number`.
    pub(super) fn add_noise(&mut self, grain: &Grain, number: u64, sigma: f32) {
        let strength = round_i16(sigma * 64.0);
        let mut dice = Dice::new(number);
        for y in 0..self.height {
            let start = dice.below(grain.0.len());
            let noise = grain.0.iter().cycle().skip(start);
            for (pixel, noise) in self.row_mut(y).chunks_exact_mut(3).zip(noise) {
                // `noise` has a spread of 64; the product a spread of sigma × 64 × 64.
                let delta = i16::try_from((i32::from(*noise) * i32::from(strength)) >> 12).unwrap_or(0);
                for value in pixel {
                    *value = u8::try_from((i16::from(*value) + delta).clamp(0, 255)).unwrap_or(0);
                }
            }
        }
    }

    /// Half as wide and half as high, each pixel the mean of four.
    pub fn halved(&self) -> Self {
        let mut small = Self::new(self.width / 2, self.height / 2);
        for y in 0..small.height {
            let (upper, lower) = (self.row(y * 2), self.row(y * 2 + 1));
            let pairs = upper.chunks_exact(6).zip(lower.chunks_exact(6));
            for (out, (a, b)) in small.row_mut(y).chunks_exact_mut(3).zip(pairs) {
                for (channel, out) in out.iter_mut().enumerate() {
                    let four = [a.get(channel), a.get(channel + 3), b.get(channel), b.get(channel + 3)];
                    let sum: u16 = four.into_iter().flatten().map(|v| u16::from(*v)).sum();
                    *out = u8::try_from((sum + 2) / 4).unwrap_or(u8::MAX);
                }
            }
        }
        small
    }
}

/// Columns and rows, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) top: usize,
    pub(super) bottom: usize,
}

/// Ready-made noise, spread 64, near enough to a bell curve.
#[derive(Debug)]
pub(super) struct Grain(Vec<i8>);

impl Grain {
    pub(super) fn new(seed: u64) -> Self {
        let value = |n: u64| {
            let sum: f32 = (0..4).map(|k| hash01(seed ^ (n * 4 + k)) - 0.5).sum();
            // Four uniform values have a spread of 1/√3.
            i8::try_from(round_i16((sum * 1.732 * 64.0).clamp(-127.0, 127.0))).unwrap_or(0)
        };
        Self((0..65_521).map(value).collect())
    }
}

fn quarter(a: u8, b: u8, c: u8) -> u8 {
    u8::try_from((u16::from(a) + 2 * u16::from(b) + u16::from(c) + 2) / 4).unwrap_or(u8::MAX)
}

/// Where the edges of a polygon cross a row, from left to right.
fn cross(points: &[Point], row: f32, crossings: &mut Vec<f32>) {
    crossings.clear();
    let next = points.iter().cycle().skip(1);
    for (a, b) in points.iter().zip(next) {
        if (a.y <= row) != (b.y <= row) {
            crossings.push(a.x + (row - a.y) / (b.y - a.y) * (b.x - a.x));
        }
    }
    crossings.sort_by(f32::total_cmp);
}

/// Adds `weight` times the covered share to every pixel between two columns.
fn span(coverage: &mut [f32], from: f32, to: f32, weight: f32) {
    let (from, to) = (from.max(0.0), to.min(coverage.len() as f32));
    if to <= from {
        return;
    }
    let (first, last) = (clip(from.floor(), coverage.len()), clip(to.ceil(), coverage.len()));
    for (x, covered) in coverage.iter_mut().enumerate().take(last).skip(first) {
        let left = x as f32;
        *covered += weight * (to.min(left + 1.0) - from.max(left)).clamp(0.0, 1.0);
    }
}

fn put(pixel: &mut [u8], colour: Rgb, alpha: f32) {
    if let [r, g, b] = pixel {
        for (value, wanted) in [(r, colour.0), (g, colour.1), (b, colour.2)] {
            let old = f32::from(*value);
            *value = to_u8(old + (wanted - old) * alpha);
        }
    }
}

fn add(pixel: &mut [u8], colour: Rgb) {
    if let [r, g, b] = pixel {
        for (value, more) in [(r, colour.0), (g, colour.1), (b, colour.2)] {
            *value = to_u8(f32::from(*value) + more);
        }
    }
}

/// To a colour value, clipped and rounded.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clipped to 0..=255 first")]
fn to_u8(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

/// To a column or row number, clipped to `0..=limit`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clipped to the picture first")]
pub(super) fn clip(value: f32, limit: usize) -> usize {
    value.clamp(0.0, limit as f32) as usize
}

#[expect(clippy::cast_possible_truncation, reason = "callers keep it within the range")]
fn round_i16(value: f32) -> i16 {
    value.round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb = Rgb(255.0, 255.0, 255.0);

    #[test]
    fn polygons_cover_what_they_should() {
        let mut frame = Frame::new(10, 10);
        let p = |x: f32, y: f32| Point { x, y };
        frame.fill(&[p(2.0, 2.0), p(6.5, 2.0), p(6.5, 5.0), p(2.0, 5.0)], Paint::Flat(WHITE), 1.0);
        let at = |x: usize, y: usize| frame.rgb()[(y * 10 + x) * 3];
        assert_eq!((at(2, 2), at(5, 4), at(6, 3), at(7, 3), at(3, 5), at(1, 3)), (255, 255, 128, 0, 0, 0));
    }

    #[test]
    fn painting_outside_does_nothing() {
        let mut frame = Frame::new(4, 4);
        let p = |x: f32, y: f32| Point { x, y };
        frame.fill(&[p(-9.0, -9.0), p(-2.0, -9.0), p(-2.0, -2.0)], Paint::Flat(WHITE), 1.0);
        frame.fill(&[p(90.0, 90.0), p(99.0, 90.0), p(95.0, 99.0)], Paint::Flat(WHITE), 1.0);
        frame.glow(p(-50.0, 2.0), 5.0, WHITE);
        assert_eq!(frame, Frame::new(4, 4));
    }

    #[test]
    fn halving_takes_the_mean_and_softening_keeps_flat_areas() {
        let mut frame = Frame::new(4, 4);
        frame.paint(|x, _| if x < 2 { Rgb(100.0, 0.0, 8.0) } else { Rgb(101.0, 50.0, 8.0) });
        assert_eq!(&frame.halved().rgb()[..6], &[100, 0, 8, 101, 50, 8]);
        let mut flat = Frame::new(8, 8);
        flat.paint(|_, _| Rgb(77.0, 78.0, 79.0));
        let before = flat.clone();
        flat.soften(2);
        assert_eq!(flat, before);
    }

    #[test]
    fn noise_has_the_wanted_spread_and_no_bias() {
        let mut frame = Frame::new(200, 100);
        frame.paint(|_, _| Rgb(128.0, 128.0, 128.0));
        frame.add_noise(&Grain::new(3), 9, 4.0);
        let values: Vec<f32> = frame.rgb().iter().step_by(3).map(|v| f32::from(*v) - 128.0).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let spread = (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt();
        assert!(mean.abs() < 0.7 && (3.0..5.0).contains(&spread), "{mean} {spread}");
    }
}
