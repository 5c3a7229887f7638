//! One masked still of the past, for a data subject: what `serve` asks of the reader.

use serde::{Deserialize, Serialize};

/// Thousandths of a picture's width and height.
pub const WHOLE: u16 = 1_000;

/// Areas that one still may hide at most.
pub const HIDDEN_MAX: usize = 16;

/// A part of a picture, in thousandths of its width and height: right and bottom are the first ones outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// From the left.
    pub left: u16,
    /// From the top.
    pub top: u16,
    /// First one to the right of it.
    pub right: u16,
    /// First one below it.
    pub bottom: u16,
}

impl Area {
    /// Whether it lies in the picture and is not empty.
    pub const fn is_whole(&self) -> bool {
        self.left < self.right && self.top < self.bottom && self.right <= WHOLE && self.bottom <= WHOLE
    }

    /// Thousandths of the picture that it covers, rounded up.
    pub fn per_mille(&self) -> u32 {
        let side = |from: u16, to: u16| u32::from(to.saturating_sub(from));
        (side(self.left, self.right) * side(self.top, self.bottom)).div_ceil(u32::from(WHOLE))
    }
}

/// Asks for the picture that showed at an instant, pixelated but for one area; answered by [`super::Control::StillOf`] and the JPEG as
/// one `Bytes` message, or `Refused`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillAsk {
    /// Capability for the reader: a span that holds the instant, rendition `coarse`.
    pub capability: String,
    /// Capability for the recorder, the same decision and span, rendition `original`: the reader opens the footage with it.
    pub source: String,
    /// `str_…`.
    pub stream: String,
    /// Span that both capabilities cover; a key frame is looked for from its beginning on.
    pub from_us: i64,
    /// The instant, µs since 1970: the last instant of the span.
    pub at_us: i64,
    /// What stays clear; nothing when absent.
    pub keep: Option<Area>,
    /// What is pixelated inside of it: at most [`HIDDEN_MAX`].
    pub hide: Vec<Area>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_lie_in_the_picture() {
        for ((left, top, right, bottom), whole, covers) in [
            ((0, 0, 1_000, 1_000), true, 1_000),
            ((0, 0, 1, 1), true, 1),
            ((100, 200, 600, 700), true, 250),
            ((100, 200, 100, 700), false, 0),
            ((600, 200, 100, 700), false, 0),
            ((0, 0, 1_001, 10), false, 11),
        ] {
            let area = Area { left, top, right, bottom };
            assert_eq!((area.is_whole(), area.per_mille()), (whole, covers), "{area:?}");
        }
    }
}
