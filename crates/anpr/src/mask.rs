//! Pictures that leave the reader, all JPEG: the plate's crop, the overview with everything outside the vehicle's own
//! region pixelated, a data subject's still, and the coarse rendition of a whole picture (blueprint 4.3).

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use link::message::still::{self, Area};

use crate::frame::Frame;
use crate::letterbox::{self, Placement, Region};
use crate::num;
use crate::rectify::{self, Quad};

/// Largest overview, pixels.
const OVERVIEW: (usize, usize) = (960, 540);

/// Largest coarse rendition, pixels (blueprint 4.3).
pub const COARSE: (usize, usize) = (320, 180);

/// Widest crop, pixels.
const CROP: (usize, usize) = (480, 240);

/// Squares across the overview where it is pixelated: a face 5 m away from a 1080p camera spans about one of them.
const SQUARES: usize = 40;

/// The vehicle around its plate, in widths of the plate (520 mm): a car is 3.5 to 4 of them wide and stands about 1 below
/// and 2.8 above its plate; lorries are cut, which hides more, never less.
const VEHICLE: (f32, f32, f32) = (2.3, 2.8, 1.0);

const QUALITY: u8 = 85;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[error("the picture could not be encoded")]
pub struct PictureError(#[from] image::ImageError);

/// Packed RGB.
struct Canvas {
    w: usize,
    h: usize,
    data: Vec<u8>,
}

/// Scales `region` down to at most `limit`.
fn render(frame: &Frame, region: Region, limit: (usize, usize)) -> Canvas {
    let scale = (num::real(limit.0) / region.w).min(num::real(limit.1) / region.h).min(1.0);
    let w = num::index(region.w * scale + 0.5, limit.0).max(1);
    let h = num::index(region.h * scale + 0.5, limit.1).max(1);
    let place = Placement::fit(region, w, h, 1.0);
    let mut planes = vec![0.0; 3 * w * h];
    letterbox::fill(frame, &place, w, &mut planes);
    let (red, rest) = planes.split_at(w * h);
    let (green, blue) = rest.split_at(w * h);
    let pixels = red.iter().zip(green).zip(blue);
    let data = pixels.flat_map(|((r, g), b)| [*r, *g, *b].map(|c| num::byte(c * 255.0))).collect();
    Canvas { w, h, data }
}

impl Canvas {
    fn jpeg(&self, quality: u8) -> Result<Bytes, PictureError> {
        let mut out = Vec::with_capacity(self.data.len() / 8);
        let (w, h) = (u32::try_from(self.w).unwrap_or(0), u32::try_from(self.h).unwrap_or(0));
        JpegEncoder::new_with_quality(&mut out, quality).encode(&self.data, w, h, image::ExtendedColorType::Rgb8)?;
        Ok(out.into())
    }

    /// Replaces every pixel that `stays` does not name (x, y) by the mean of its square.
    fn pixelate(&mut self, stays: &dyn Fn(usize, usize) -> bool) {
        let side = self.w.div_ceil(SQUARES).max(8);
        for top in (0..self.h).step_by(side) {
            for left in (0..self.w).step_by(side) {
                self.flatten((left, top, (left + side).min(self.w), (top + side).min(self.h)), stays);
            }
        }
    }

    fn flatten(&mut self, square: (usize, usize, usize, usize), stays: &dyn Fn(usize, usize) -> bool) {
        let (x0, y0, x1, y1) = square;
        let row = self.w * 3;
        let (mut sum, mut count) = ([0_u32; 3], 0_u32);
        for y in y0..y1 {
            let run = self.data.get(y * row + x0 * 3..y * row + x1 * 3).unwrap_or_default();
            for pixel in run.as_chunks::<3>().0 {
                sum.iter_mut().zip(pixel).for_each(|(s, c)| *s += u32::from(*c));
                count += 1;
            }
        }
        let mean = sum.map(|s| u8::try_from(s / count.max(1)).unwrap_or(u8::MAX));
        for y in y0..y1 {
            let run = self.data.get_mut(y * row + x0 * 3..y * row + x1 * 3).unwrap_or_default();
            for (x, pixel) in (x0..x1).zip(run.as_chunks_mut::<3>().0) {
                if !stays(x, y) {
                    *pixel = mean;
                }
            }
        }
    }
}

fn bounds(quad: &Quad) -> (f32, f32, f32, f32) {
    quad.iter().fold((f32::MAX, f32::MAX, f32::MIN, f32::MIN), |(x0, y0, x1, y1), (x, y)| {
        (x0.min(*x), y0.min(*y), x1.max(*x), y1.max(*y))
    })
}

/// The part of the picture between two corners, cut to it; at least one pixel.
fn cut(frame: &Frame, x0: f32, y0: f32, x1: f32, y1: f32) -> Region {
    let (w, h) = (num::real(frame.width()), num::real(frame.height()));
    let (x0, y0) = (x0.clamp(0.0, w - 1.0), y0.clamp(0.0, h - 1.0));
    let (x1, y1) = (x1.clamp(x0 + 1.0, w), y1.clamp(y0 + 1.0, h));
    Region { x: x0, y: y0, w: x1 - x0, h: y1 - y0 }
}

/// The vehicle's own region around a plate, in pixels of the picture.
fn vehicle(frame: &Frame, quad: &Quad) -> Region {
    let (x0, y0, x1, y1) = bounds(quad);
    let (middle, (w, _)) = (f32::midpoint(x0, x1), rectify::size_of(quad));
    cut(frame, middle - VEHICLE.0 * w, y0 - VEHICLE.1 * w, middle + VEHICLE.0 * w, y1 + VEHICLE.2 * w)
}

/// The plate with a little around it.
///
/// # Errors
/// [`PictureError`].
pub fn crop(frame: &Frame, quad: &Quad) -> Result<Bytes, PictureError> {
    let (x0, y0, x1, y1) = bounds(quad);
    let (dx, dy) = ((x1 - x0) * 0.15, (y1 - y0) * 0.4);
    render(frame, cut(frame, x0 - dx, y0 - dy, x1 + dx, y1 + dy), CROP).jpeg(QUALITY)
}

/// The whole picture, pixelated outside the vehicle's own region.
///
/// # Errors
/// [`PictureError`].
pub fn overview(frame: &Frame, quad: &Quad) -> Result<Bytes, PictureError> {
    let whole = Region::whole(frame);
    let mut canvas = render(frame, whole, OVERVIEW);
    let own = vehicle(frame, quad);
    let (sx, sy) = (num::real(canvas.w) / whole.w, num::real(canvas.h) / whole.h);
    let keep = (
        num::index(own.x * sx, canvas.w),
        num::index(own.y * sy, canvas.h),
        num::index((own.x + own.w) * sx, canvas.w),
        num::index((own.y + own.h) * sy, canvas.h),
    );
    canvas.pixelate(&|x, y| (keep.0..keep.2).contains(&x) && (keep.1..keep.3).contains(&y));
    canvas.jpeg(QUALITY)
}

/// The pixels of an area on a canvas of `side` pixels: what is hidden grows to whole pixels, what stays clear shrinks.
fn span(from: u16, to: u16, side: usize, grows: bool) -> std::ops::Range<usize> {
    let whole = usize::from(still::WHOLE);
    let (from, to) = (usize::from(from) * side, usize::from(to) * side);
    if grows { from / whole..to.div_ceil(whole) } else { from.div_ceil(whole)..to / whole }
}

/// The whole picture pixelated, but for the part of `keep` that no area of `hide` covers: what a data subject is shown of itself, with
/// everybody else unrecognisable (`domain.md` H5, GDPR article 15(4)).
///
/// # Errors
/// [`PictureError`].
pub fn still(frame: &Frame, keep: Option<Area>, hide: &[Area]) -> Result<Bytes, PictureError> {
    let mut canvas = render(frame, Region::whole(frame), OVERVIEW);
    let (w, h) = (canvas.w, canvas.h);
    let spans = |area: &Area, grows| (span(area.left, area.right, w, grows), span(area.top, area.bottom, h, grows));
    let keep = keep.map(|area| spans(&area, false));
    let hide: Vec<_> = hide.iter().map(|area| spans(area, true)).collect();
    let holds = |(xs, ys): &(std::ops::Range<usize>, std::ops::Range<usize>), x, y| xs.contains(&x) && ys.contains(&y);
    canvas.pixelate(&|x, y| {
        keep.as_ref().is_some_and(|keep| holds(keep, x, y)) && !hide.iter().any(|hidden| holds(hidden, x, y))
    });
    canvas.jpeg(QUALITY)
}

/// The whole picture at no more than 320×180.
///
/// # Errors
/// [`PictureError`].
pub fn coarse(frame: &Frame) -> Result<Bytes, PictureError> {
    render(frame, Region::whole(frame), COARSE).jpeg(70)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fine vertical stripes, so that pixelating shows.
    fn striped(w: usize, h: usize) -> Frame {
        let data: Vec<u8> = (0..w * h).flat_map(|i| [if i % w % 4 < 2 { 20 } else { 235_u8 }; 3]).collect();
        Frame::from_rgb(u32::try_from(w).unwrap(), u32::try_from(h).unwrap(), data.into()).unwrap()
    }

    #[test]
    fn only_the_vehicle_keeps_its_detail() {
        let frame = striped(640, 360);
        let quad = [(300.0, 250.0), (340.0, 250.0), (340.0, 260.0), (300.0, 260.0)];
        let picture = image::load_from_memory(&overview(&frame, &quad).unwrap()).unwrap().to_luma8();
        assert_eq!((picture.width(), picture.height()), (640, 360));
        let contrast = |x0: u32, y: u32| {
            let row = (x0..x0 + 8).map(|x| picture.get_pixel(x, y).0[0]);
            i16::from(row.clone().max().unwrap()) - i16::from(row.min().unwrap())
        };
        for (x, y, sharp) in [(318, 255, true), (318, 170, true), (40, 255, false), (600, 100, false), (318, 40, false)]
        {
            assert_eq!(contrast(x, y) > 100, sharp, "at {x},{y}: {}", contrast(x, y));
        }
    }

    #[test]
    fn a_still_shows_the_area_kept_and_nothing_of_the_areas_hidden() {
        let area = |left, top, right, bottom| Area { left, top, right, bottom };
        let keep = Some(area(250, 250, 750, 750));
        let hidden = [area(400, 400, 500, 500), area(0, 0, 300, 300)];
        for (keep, hide, spots) in [
            (None, &[][..], [false, false, false, false]),
            (keep, &[][..], [false, true, true, true]),
            (keep, &hidden[..], [false, false, false, true]),
            (None, &hidden[..], [false, false, false, false]),
        ] {
            let picture = image::load_from_memory(&still(&striped(640, 360), keep, hide).unwrap()).unwrap().to_luma8();
            // In the middle of a corner, of the first hidden area in the kept one, of the second, and of nothing else.
            let found = [(40, 40), (288, 162), (170, 98), (400, 240)].map(|(x0, y)| {
                let row = (x0..x0 + 8_u32).map(|x| picture.get_pixel(x, y).0[0]);
                row.clone().max().unwrap() - row.min().unwrap() > 100
            });
            assert_eq!(found, spots, "{keep:?} {hide:?}");
        }
    }

    #[test]
    fn the_coarse_rendition_is_never_larger_than_it_may_be() {
        for (w, h, wanted) in [(1920, 1080, (320, 180)), (640, 480, (240, 180)), (100, 50, (100, 50))] {
            let picture = image::load_from_memory(&coarse(&striped(w, h)).unwrap()).unwrap();
            assert_eq!((picture.width(), picture.height()), wanted);
        }
    }

    #[test]
    fn a_plate_at_the_edge_still_has_a_crop() {
        let frame = striped(64, 48);
        for x in [-30.0, 0.0, 60.0, 200.0] {
            let quad = [(x, 40.0), (x + 20.0, 40.0), (x + 20.0, 45.0), (x, 45.0)];
            assert!(!crop(&frame, &quad).unwrap().is_empty() && !overview(&frame, &quad).unwrap().is_empty());
        }
    }
}
