//! A part of a picture, scaled into the detector's input with grey around it, and the way back for coordinates.

use crate::frame::{Frame, Layout, Plane, rgb_of};
use crate::num;
use crate::resample::{Taps, sum_rows};

/// Grey of the border, as the detector was trained (0..=1).
pub const GREY: f32 = 0.447;

/// A rectangle in pixels of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width, over 0.
    pub w: f32,
    /// Height, over 0.
    pub h: f32,
}

impl Region {
    /// The whole picture.
    pub fn whole(frame: &Frame) -> Self {
        Self { x: 0.0, y: 0.0, w: num::real(frame.width()), h: num::real(frame.height()) }
    }

    /// What of it lies in `other`, if anything.
    pub fn within(self, other: Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let w = (self.x + self.w).min(other.x + other.w) - x;
        let h = (self.y + self.h).min(other.y + other.h) - y;
        (w > 0.0 && h > 0.0).then_some(Self { x, y, w, h })
    }

    /// From thousandths of the picture (`x0, y0, x1, y1`); the whole picture when they make no rectangle.
    pub fn of_thousandths(frame: &Frame, [x0, y0, x1, y1]: [u16; 4]) -> Self {
        let (w, h) = (num::real(frame.width()) / 1000.0, num::real(frame.height()) / 1000.0);
        let cut = |v: u16| f32::from(v.min(1000));
        if x1 <= x0 || y1 <= y0 || x0 >= 1000 || y0 >= 1000 {
            return Self::whole(frame);
        }
        Self { x: cut(x0) * w, y: cut(y0) * h, w: (cut(x1) - cut(x0)) * w, h: (cut(y1) - cut(y0)) * h }
    }
}

/// Where the region lies in the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    region: Region,
    /// Input pixels per picture pixel.
    scale: f32,
    left: usize,
    top: usize,
    w: usize,
    h: usize,
}

impl Placement {
    /// Fits `region` into `width`×`height`, never scaled up by more than `scale_max`, in the middle.
    pub fn fit(region: Region, width: usize, height: usize, scale_max: f32) -> Self {
        let scale = (num::real(width) / region.w).min(num::real(height) / region.h).min(scale_max);
        let w = num::index(region.w * scale + 0.5, width).max(1);
        let h = num::index(region.h * scale + 0.5, height).max(1);
        Self { region, scale, left: (width - w) / 2, top: (height - h) / 2, w, h }
    }

    /// A point of the input, in pixels of the picture.
    pub fn back(&self, x: f32, y: f32) -> (f32, f32) {
        let (sx, sy) = (num::real(self.w) / self.region.w, num::real(self.h) / self.region.h);
        ((x - num::real(self.left)) / sx + self.region.x, (y - num::real(self.top)) / sy + self.region.y)
    }

    /// Input pixels per picture pixel.
    pub const fn scale(&self) -> f32 {
        self.scale
    }
}

/// Fills `out` (three planes of `width`×`height`, red first, 0..=1) with the picture placed as `place` says: from the
/// decoder's planes straight into the model's input, only as many columns and rows as the placed part needs.
pub fn fill(frame: &Frame, place: &Placement, width: usize, out: &mut [f32]) {
    let area = out.len() / 3;
    let (red, rest) = out.split_at_mut(area);
    let (green, blue) = rest.split_at_mut(area);
    let mut planes = [red, green, blue];
    planes.iter_mut().for_each(|plane| border(plane, place, width));
    match frame.layout() {
        Layout::Rgb(plane) => fill_rgb(frame, plane, place, width, &mut planes),
        Layout::I420 { planes: from, full_range } => fill_i420(frame, from, full_range, place, width, &mut planes),
    }
}

/// Grey around the placed part, and only there: the rest is written once.
fn border(plane: &mut [f32], place: &Placement, width: usize) {
    for (y, row) in plane.chunks_exact_mut(width).enumerate() {
        if (place.top..place.top + place.h).contains(&y) {
            row.iter_mut().take(place.left).for_each(|slot| *slot = GREY);
            row.iter_mut().skip(place.left + place.w).for_each(|slot| *slot = GREY);
        } else {
            row.fill(GREY);
        }
    }
}

type Planes<'a> = [&'a mut [f32]; 3];

/// The three output rows `y`, cut to the placed picture.
fn rows_of<'a>(out: &'a mut Planes<'_>, place: &Placement, width: usize, y: usize) -> [&'a mut [f32]; 3] {
    let start = (place.top + y) * width + place.left;
    let [red, green, blue] = out;
    [red, green, blue].map(|plane| plane.get_mut(start..start + place.w).unwrap_or_default())
}

/// Scaling of one plane into the placed part, row by row.
struct Shrink<'a> {
    frame: &'a Frame,
    plane: Plane,
    channels: usize,
    across: Taps,
    down: Vec<(usize, Vec<u16>)>,
    /// Columns of the plane that are needed.
    reach: std::ops::Range<usize>,
    scratch: Vec<u16>,
    sum: Vec<f32>,
}

impl<'a> Shrink<'a> {
    /// For a plane of `w`×`h` samples, `shrink` times smaller than the picture.
    fn new(
        frame: &'a Frame,
        plane: Plane,
        (channels, w, h): (usize, usize, usize),
        place: &Placement,
        shrink: f32,
    ) -> Self {
        let r = place.region;
        let across = Taps::new(place.w, r.x / shrink, r.w / shrink, w);
        let down = Taps::new(place.h, r.y / shrink, r.h / shrink, h).rows().collect();
        let reach = across.reach();
        Self {
            frame,
            plane,
            channels,
            across,
            down,
            reach,
            scratch: vec![0; w * channels],
            sum: vec![0.0; w * channels],
        }
    }

    /// Adds up the rows of output row `y`.
    fn sum(&mut self, y: usize) {
        let Some((first, weights)) = self.down.get(y) else { return };
        let (from, until) = (self.reach.start * self.channels, self.reach.end * self.channels);
        let row = |row: usize| self.frame.row(self.plane, row, until).get(from..).unwrap_or_default();
        let scratch = self.scratch.get_mut(from..until).unwrap_or_default();
        sum_rows((*first, weights), row, scratch, self.sum.get_mut(from..until).unwrap_or_default());
    }

    /// One channel of the row summed last, 0..=255.
    fn columns(&self, channel: usize, out: &mut [f32]) {
        self.across.columns(&self.sum, (self.channels, channel), out);
    }
}

fn fill_rgb(frame: &Frame, plane: Plane, place: &Placement, width: usize, out: &mut Planes<'_>) {
    let mut rows = Shrink::new(frame, plane, (3, frame.width(), frame.height()), place, 1.0);
    for y in 0..place.h {
        rows.sum(y);
        for (channel, slots) in rows_of(out, place, width, y).into_iter().enumerate() {
            rows.columns(channel, slots);
            slots.iter_mut().for_each(|slot| *slot *= 1.0 / 255.0);
        }
    }
}

fn fill_i420(
    frame: &Frame,
    [luma, u, v]: [Plane; 3],
    full_range: bool,
    place: &Placement,
    width: usize,
    out: &mut Planes<'_>,
) {
    let (w, h) = (frame.width(), frame.height());
    let (half_w, half_h) = (w.div_ceil(2), h.div_ceil(2));
    let hd = h >= 720;
    let mut planes = [
        Shrink::new(frame, luma, (1, w, h), place, 1.0),
        Shrink::new(frame, u, (1, half_w, half_h), place, 2.0),
        Shrink::new(frame, v, (1, half_w, half_h), place, 2.0),
    ];
    let mut row = [vec![0.0; place.w], vec![0.0; place.w], vec![0.0; place.w]];
    for y in 0..place.h {
        for (plane, slots) in planes.iter_mut().zip(&mut row) {
            plane.sum(y);
            plane.columns(0, slots);
        }
        let [red, green, blue] = rows_of(out, place, width, y);
        let [ys, us, vs] = &row;
        let slots = red.iter_mut().zip(green).zip(blue);
        for (((r, g), b), ((y, u), v)) in slots.zip(ys.iter().zip(us).zip(vs)) {
            let colour = rgb_of(*y, *u, *v, full_range, hd);
            [*r, *g, *b] = colour.map(|c| (c * (1.0 / 255.0)).clamp(0.0, 1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_picture_lands_in_the_middle_and_points_come_back() {
        let whole = Region { x: 0.0, y: 0.0, w: 1280.0, h: 720.0 };
        for (region, scale_max, at, wanted) in [
            (whole, 9.0, (0.0, 12.0), (0.0, 0.0)),
            (whole, 9.0, (640.0, 372.0), (1280.0, 720.0)),
            (Region { x: 640.0, y: 0.0, w: 640.0, h: 384.0 }, 9.0, (0.0, 0.0), (640.0, 0.0)),
            (Region { x: 0.0, y: 0.0, w: 100.0, h: 50.0 }, 1.0, (270.0, 167.0), (0.0, 0.0)),
        ] {
            let place = Placement::fit(region, 640, 384, scale_max);
            let back = place.back(at.0, at.1);
            assert!((back.0 - wanted.0).abs() < 0.01 && (back.1 - wanted.1).abs() < 0.01, "{place:?} {back:?}");
        }
    }

    #[test]
    fn colours_are_kept_in_both_layouts() {
        let rgb = Frame::from_rgb(4, 2, Bytes::from([255_u8, 0, 0].repeat(8))).unwrap();
        // Full-range BT.601 red.
        let data: Vec<u8> = [[76_u8; 8].as_slice(), &[85; 2], &[255; 2]].concat();
        let planes = [(0, 4), (8, 2), (10, 2)].map(|(offset, stride)| Plane { offset, stride });
        let yuv = Frame::new(4, 2, Layout::I420 { planes, full_range: true }, Bytes::from(data)).unwrap();
        for frame in [rgb, yuv] {
            let mut out = vec![9.0; 3 * 8 * 8];
            let place = Placement::fit(Region::whole(&frame), 8, 8, 9.0);
            fill(&frame, &place, 8, &mut out);
            let pixel = |x: usize, y: usize| [out[y * 8 + x], out[64 + y * 8 + x], out[128 + y * 8 + x]];
            assert_eq!(pixel(3, 0), [GREY; 3]);
            assert!(out.iter().all(|v| (0.0..=1.0).contains(v)), "every place is written");
            let [r, g, b] = pixel(3, 4);
            assert!(r > 0.97 && g < 0.03 && b < 0.03, "{r} {g} {b}");
        }
    }
}
