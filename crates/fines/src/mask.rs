//! Whether a picture shows a vehicle and nothing else.
//!
//! The picture of the vehicle is pixelated where it is made: in the reader, before it leaves that process, from the plate's corners (a
//! read has no box of the vehicle): the vehicle's region is 2.3 widths of the plate to each side of its middle, 2.8 above and 1.0 below (a plate
//! is 520 mm wide, a car 3.5 to 4 plates); what is larger is cut, which hides more, never less (`anpr::mask`). A picture from elsewhere may
//! not have gone that way. So each is looked at again here before it leaves the house: the squares of the pixelation must be flat outside
//! one rectangle that leaves a part of the picture. What does not pass is withheld, never mended: a picture that is mended after a
//! person approved it is not what the person saw.

use image::{GrayImage, ImageFormat, ImageReader, Limits};

/// Squares across a picture, as the reader makes them.
const SQUARES: u32 = 40;
/// Smallest square, pixels.
const SIDE_MIN: u32 = 8;
/// Largest departure from the middle of a square that still is one colour: what JPEG leaves of a flat square.
const FLAT: u8 = 10;
/// Most of the picture that the vehicle may fill, per cent. Above that nothing says that it was masked at all.
const VEHICLE_MAX: u64 = 85;
/// Largest picture, pixels on a side.
const SIDE_MAX: u32 = 4_096;

fn decoded(jpeg: &[u8]) -> Option<GrayImage> {
    let mut reader = ImageReader::with_format(std::io::Cursor::new(jpeg), ImageFormat::Jpeg);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    reader.limits(limits);
    Some(reader.decode().ok()?.into_luma8())
}

/// Whether a square is one colour; its edge pixels are left out, since JPEG lets neighbours bleed into them.
fn is_flat(picture: &GrayImage, left: u32, top: u32, side: u32) -> bool {
    let (right, bottom) = ((left + side).min(picture.width()), (top + side).min(picture.height()));
    let inner = |from: u32, to: u32| from.saturating_add(1)..to.saturating_sub(1);
    let (mut low, mut high) = (u8::MAX, u8::MIN);
    for y in inner(top, bottom) {
        for x in inner(left, right) {
            if let Some(pixel) = picture.get_pixel_checked(x, y) {
                let [level] = pixel.0;
                (low, high) = (low.min(level), high.max(level));
            }
        }
    }
    high.saturating_sub(low) <= FLAT.saturating_mul(2)
}

/// Whether the picture (JPEG) is pixelated outside one rectangle. False for what is no picture.
pub fn is_masked(jpeg: &[u8]) -> bool {
    let Some(picture) = decoded(jpeg) else { return false };
    let (w, h) = picture.dimensions();
    let side = w.div_ceil(SQUARES).max(SIDE_MIN);
    let (columns, rows) = (w.div_ceil(side), h.div_ceil(side));
    if columns < 4 || rows < 4 {
        return false;
    }
    let mut clear: Option<(u32, u32, u32, u32)> = None;
    for row in 0..rows {
        for column in 0..columns {
            if !is_flat(&picture, column * side, row * side, side) {
                let (x0, y0, x1, y1) = clear.unwrap_or((column, row, column, row));
                clear = Some((x0.min(column), y0.min(row), x1.max(column), y1.max(row)));
            }
        }
    }
    let Some((x0, y0, x1, y1)) = clear else { return true };
    let vehicle = u64::from(x1 - x0 + 1) * u64::from(y1 - y0 + 1);
    vehicle * 100 <= u64::from(columns) * u64::from(rows) * VEHICLE_MAX
}

/// Arbitrary bytes as a picture.
pub fn fuzz_mask(data: &[u8]) {
    is_masked(data);
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;

    use super::*;

    /// Noise inside `keep` (squares), flat squares elsewhere.
    fn picture(keep: (u32, u32, u32, u32)) -> Vec<u8> {
        let (w, h, side) = (960, 540, 24);
        let noise = |x: u32, y: u32| u8::try_from((x * 7919 + y * 104_729 + x * y * 31) % 251).unwrap();
        let pixels: Vec<u8> = (0..h)
            .flat_map(|y| (0..w).map(move |x| (x, y)))
            .flat_map(|(x, y)| {
                let (column, row) = (x / side, y / side);
                let inside = (keep.0..keep.2).contains(&column) && (keep.1..keep.3).contains(&row);
                let level = if inside { noise(x, y) } else { noise(column, row) };
                [level, level / 2, 255 - level]
            })
            .collect();
        let mut out = Vec::new();
        JpegEncoder::new_with_quality(&mut out, 85).encode(&pixels, w, h, image::ExtendedColorType::Rgb8).unwrap();
        out
    }

    #[test]
    fn only_a_pixelated_picture_passes() {
        for (keep, passes) in [
            ((10, 5, 30, 18), true),
            ((0, 0, 1, 1), true),
            ((0, 0, 0, 0), true),
            ((0, 0, 40, 23), false),
            ((0, 0, 40, 22), false),
            ((1, 0, 40, 23), false),
        ] {
            assert_eq!(is_masked(&picture(keep)), passes, "{keep:?}");
        }
        for bytes in [&b""[..], b"\xff\xd8overview", &picture((10, 5, 30, 18))[..200]] {
            assert!(!is_masked(bytes));
            fuzz_mask(bytes);
        }
    }
}
