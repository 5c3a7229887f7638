//! One decoded picture, as the decoder laid it out: planes are borrowed, never copied or converted as a whole.

use bytes::Bytes;

use crate::num;

/// Longest edge that we accept, pixels: H.265 level 6.2 goes no further, and it bounds memory.
pub const EDGE_MAX: u32 = 16_384;

/// Where one plane of 8-bit samples lies in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// First byte of the first row.
    pub offset: usize,
    /// Bytes from row to row.
    pub stride: usize,
}

/// How samples are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Three bytes a pixel, red first; full range.
    Rgb(Plane),
    /// Luma, then two chroma planes of half width and height (rounded up).
    I420 {
        /// Y, U, V.
        planes: [Plane; 3],
        /// Luma runs from 0 to 255, not from 16 to 235.
        full_range: bool,
    },
}

/// Why bytes are not a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No pixels, or too many.
    #[error("a picture of {width}×{height} pixels is not one we handle")]
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// A plane would reach past the end of the buffer.
    #[error("the picture's buffer is shorter than its planes")]
    Short,
}

/// One picture.
///
/// INVARIANT: every row of every plane lies inside `data`.
#[derive(Clone)]
pub struct Frame {
    width: usize,
    height: usize,
    layout: Layout,
    data: Bytes,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({}×{})", self.width, self.height)
    }
}

impl Frame {
    /// Wraps a decoder's buffer.
    ///
    /// # Errors
    /// [`FrameError`] when the planes do not fit.
    pub fn new(width: u32, height: u32, layout: Layout, data: Bytes) -> Result<Self, FrameError> {
        if width == 0 || height == 0 || width > EDGE_MAX || height > EDGE_MAX {
            return Err(FrameError::Size { width, height });
        }
        let frame = Self { width: num::wide(width), height: num::wide(height), layout, data };
        let fits = |plane: Plane, row: usize, rows: usize| {
            let last = plane.stride.checked_mul(rows.saturating_sub(1)).and_then(|at| at.checked_add(plane.offset));
            row <= plane.stride && last.and_then(|at| at.checked_add(row)).is_some_and(|end| end <= frame.data.len())
        };
        let inside = match layout {
            Layout::Rgb(plane) => fits(plane, frame.width * 3, frame.height),
            Layout::I420 { planes: [y, u, v], .. } => {
                let (half_w, half_h) = (frame.width.div_ceil(2), frame.height.div_ceil(2));
                fits(y, frame.width, frame.height) && fits(u, half_w, half_h) && fits(v, half_w, half_h)
            }
        };
        if inside { Ok(frame) } else { Err(FrameError::Short) }
    }

    /// Wraps packed RGB.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn from_rgb(width: u32, height: u32, data: Bytes) -> Result<Self, FrameError> {
        let stride = num::wide(width) * 3;
        Self::new(width, height, Layout::Rgb(Plane { offset: 0, stride }), data)
    }

    /// Pixels.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Pixels.
    pub const fn height(&self) -> usize {
        self.height
    }

    /// How the samples lie.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Row `y` of `plane`, `len` bytes; empty outside (the invariant says that this happens to no caller).
    pub(crate) fn row(&self, plane: Plane, y: usize, len: usize) -> &[u8] {
        let start = plane.offset.saturating_add(plane.stride.saturating_mul(y));
        self.data.get(start..start.saturating_add(len)).unwrap_or_default()
    }

    /// Brightness of one pixel, 0..=255 full range; coordinates are clipped to the picture.
    pub fn luma(&self, x: usize, y: usize) -> f32 {
        let (x, y) = (x.min(self.width - 1), y.min(self.height - 1));
        match self.layout {
            Layout::Rgb(plane) => match self.row(plane, y, self.width * 3).get(x * 3..x * 3 + 3) {
                Some(&[r, g, b]) => 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b),
                Some(_) | None => 0.0,
            },
            Layout::I420 { planes: [plane, ..], full_range } => {
                full(f32::from(self.row(plane, y, self.width).get(x).copied().unwrap_or(0)), full_range)
            }
        }
    }

    /// Brightness between pixels, bilinear; `x`, `y` count pixel centres from 0.
    pub fn luma_at(&self, x: f32, y: f32) -> f32 {
        let (x0, y0) = (num::index(x, self.width - 1), num::index(y, self.height - 1));
        let (fx, fy) = ((x - num::real(x0)).clamp(0.0, 1.0), (y - num::real(y0)).clamp(0.0, 1.0));
        let mix = |a: f32, b: f32, c: f32, d: f32| {
            let (top, low) = (a + (b - a) * fx, c + (d - c) * fx);
            top + (low - top) * fy
        };
        match self.layout {
            Layout::Rgb(_) => {
                mix(self.luma(x0, y0), self.luma(x0 + 1, y0), self.luma(x0, y0 + 1), self.luma(x0 + 1, y0 + 1))
            }
            Layout::I420 { planes: [plane, ..], full_range } => {
                let x1 = (x0 + 1).min(self.width - 1);
                let top = self.row(plane, y0, self.width);
                let low = self.row(plane, (y0 + 1).min(self.height - 1), self.width);
                let at = |row: &[u8], x: usize| f32::from(row.get(x).copied().unwrap_or(0));
                full(mix(at(top, x0), at(top, x1), at(low, x0), at(low, x1)), full_range)
            }
        }
    }
}

/// A luma sample as brightness from 0 to 255.
pub(crate) fn full(raw: f32, full_range: bool) -> f32 {
    if full_range { raw } else { ((raw - 16.0) * (255.0 / 219.0)).clamp(0.0, 255.0) }
}

/// Red, green and blue of one luma and chroma triple, 0..=255 (ITU-R BT.601 below 720 rows, BT.709 from there).
pub(crate) fn rgb_of(y: f32, u: f32, v: f32, full_range: bool, hd: bool) -> [f32; 3] {
    let (luma, gain) = if full_range { (y, 1.0) } else { ((y - 16.0) * (255.0 / 219.0), 255.0 / 224.0) };
    let (u, v) = ((u - 128.0) * gain, (v - 128.0) * gain);
    let (rv, gu, gv, bu) = if hd { (1.5748, 0.1873, 0.4681, 1.8556) } else { (1.402, 0.3441, 0.7141, 1.772) };
    [luma + rv * v, luma - gu * u - gv * v, luma + bu * u]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_must_lie_inside_the_buffer() {
        let plane = |offset, stride| Plane { offset, stride };
        let i420 = |y, u, v| Layout::I420 { planes: [y, u, v], full_range: true };
        for (layout, len, wanted) in [
            (Layout::Rgb(plane(0, 9)), 18, true),
            (Layout::Rgb(plane(1, 9)), 18, false),
            (Layout::Rgb(plane(0, 8)), 18, false),
            (i420(plane(0, 3), plane(6, 2), plane(8, 2)), 10, true),
            (i420(plane(0, 3), plane(6, 2), plane(9, 2)), 10, false),
            (i420(plane(usize::MAX, 3), plane(6, 2), plane(8, 2)), 10, false),
        ] {
            let made = Frame::new(3, 2, layout, Bytes::from(vec![7; len]));
            assert_eq!(made.is_ok(), wanted, "{layout:?}");
        }
        assert!(matches!(Frame::from_rgb(0, 2, Bytes::new()), Err(FrameError::Size { .. })));
    }

    #[test]
    fn brightness_is_full_range_and_interpolated() {
        let data = Bytes::from(vec![16, 235, 16, 235, 128, 128]);
        let planes = [(0, 2), (4, 1), (5, 1)].map(|(offset, stride)| Plane { offset, stride });
        let frame = Frame::new(2, 2, Layout::I420 { planes, full_range: false }, data).unwrap();
        assert!(frame.luma(0, 0).abs() < 0.1 && (frame.luma(1, 1) - 255.0).abs() < 0.1);
        assert!((frame.luma_at(0.5, 0.5) - 127.5).abs() < 0.1);
        assert!((frame.luma_at(-3.0, 90.0) - 0.0).abs() < 0.1);
    }
}
