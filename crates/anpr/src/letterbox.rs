//! A part of a picture, scaled into the detector's input with grey around it, and the way back for coordinates.

use crate::frame::{Frame, Layout, Plane, rgb_of};
use crate::num;
use crate::resample::{Tap, sum_columns, sum_rows, taps};

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

/// Fills `out` (three planes of `width`×`height`, red first, 0..=1) with the picture placed as `place` says.
pub fn fill(frame: &Frame, place: &Placement, width: usize, out: &mut [f32]) {
    out.fill(GREY);
    let area = out.len() / 3;
    let (red, rest) = out.split_at_mut(area);
    let (green, blue) = rest.split_at_mut(area);
    let mut planes = [red, green, blue];
    match frame.layout() {
        Layout::Rgb(plane) => fill_rgb(frame, plane, place, width, &mut planes),
        Layout::I420 { planes: from, full_range } => fill_i420(frame, from, full_range, place, width, &mut planes),
    }
}

type Planes<'a> = [&'a mut [f32]; 3];

/// Taps across and down for a plane that is `shrink` times smaller than the picture.
fn plane_taps(place: &Placement, (w, h): (usize, usize), shrink: f32) -> (Vec<Tap>, Vec<Tap>) {
    let r = place.region;
    (taps(place.w, r.x / shrink, r.w / shrink, w), taps(place.h, r.y / shrink, r.h / shrink, h))
}

/// The three output rows `y`, cut to the placed picture.
fn rows_of<'a>(out: &'a mut Planes<'_>, place: &Placement, width: usize, y: usize) -> [&'a mut [f32]; 3] {
    let start = (place.top + y) * width + place.left;
    let [red, green, blue] = out;
    [red, green, blue].map(|plane| plane.get_mut(start..start + place.w).unwrap_or_default())
}

fn fill_rgb(frame: &Frame, plane: Plane, place: &Placement, width: usize, out: &mut Planes<'_>) {
    let len = frame.width() * 3;
    let (across, down) = plane_taps(place, (frame.width(), frame.height()), 1.0);
    let mut sum = vec![0.0; len];
    for (y, tap) in down.iter().enumerate() {
        sum_rows(tap, |row| frame.row(plane, row, len), &mut sum);
        for (channel, slots) in rows_of(out, place, width, y).into_iter().enumerate() {
            for (slot, tap) in slots.iter_mut().zip(&across) {
                *slot = sum_columns(tap, &sum, 3, channel) / 255.0;
            }
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
    let (across, down) = plane_taps(place, (w, h), 1.0);
    let (across_c, down_c) = plane_taps(place, (half_w, half_h), 2.0);
    let (mut sum_y, mut sum_u, mut sum_v) = (vec![0.0; w], vec![0.0; half_w], vec![0.0; half_w]);
    for (y, (tap, tap_c)) in down.iter().zip(&down_c).enumerate() {
        sum_rows(tap, |row| frame.row(luma, row, w), &mut sum_y);
        sum_rows(tap_c, |row| frame.row(u, row, half_w), &mut sum_u);
        sum_rows(tap_c, |row| frame.row(v, row, half_w), &mut sum_v);
        let [red, green, blue] = rows_of(out, place, width, y);
        let slots = red.iter_mut().zip(green).zip(blue);
        for (((r, g), b), (tap, tap_c)) in slots.zip(across.iter().zip(&across_c)) {
            let luma = sum_columns(tap, &sum_y, 1, 0);
            let (cu, cv) = (sum_columns(tap_c, &sum_u, 1, 0), sum_columns(tap_c, &sum_v, 1, 0));
            let colour = rgb_of(luma, cu, cv, full_range, hd);
            [*r, *g, *b] = colour.map(|c| (c / 255.0).clamp(0.0, 1.0));
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
            let mut out = vec![0.0; 3 * 8 * 8];
            let place = Placement::fit(Region::whole(&frame), 8, 8, 9.0);
            fill(&frame, &place, 8, &mut out);
            let pixel = |x: usize, y: usize| [out[y * 8 + x], out[64 + y * 8 + x], out[128 + y * 8 + x]];
            assert_eq!(pixel(3, 0), [GREY; 3]);
            let [r, g, b] = pixel(3, 4);
            assert!(r > 0.97 && g < 0.03 && b < 0.03, "{r} {g} {b}");
        }
    }
}
