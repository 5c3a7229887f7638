//! A small decodable H.264 film made without an encoder, for tests that need no real picture.
//!
//! Key pictures are raw macroblocks (`I_PCM`), the others skip everything but one bright macroblock that walks over the
//! picture: Constrained Baseline, one slice a picture, no B-frames (ITU-T H.264, 7.3).

use std::sync::Arc;

use bytes::Bytes;
use vms_core::Codec;

use crate::film::{Film, FilmError, FilmTiming};
use crate::nal;

/// Size and length of a pattern film.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Width in macroblocks of 16 pixels, at least 1.
    pub width_mbs: u16,
    /// Height in macroblocks of 16 pixels, at least 1.
    pub height_mbs: u16,
    /// Pictures.
    pub frames: u32,
    /// Pictures from one key picture to the next, at least 1, at most 16 for the 4-bit frame number to stay simple.
    pub gop: u32,
    /// Rate.
    pub timing: FilmTiming,
}

impl Default for Pattern {
    /// 128×96, two seconds at 25 frames/s, a key picture every 10.
    fn default() -> Self {
        Self { width_mbs: 8, height_mbs: 6, frames: 50, gop: 10, timing: FilmTiming::default() }
    }
}

impl Pattern {
    /// The film, ready to be served.
    ///
    /// # Errors
    /// [`FilmError::Bad`] when a number is out of the bounds above.
    pub fn film(&self) -> Result<Arc<Film>, FilmError> {
        if self.width_mbs == 0 || self.height_mbs == 0 || self.gop == 0 || self.gop > 16 {
            return Err(FilmError::Bad { problem: "pattern out of bounds".to_owned() });
        }
        Film::from_annex_b(Codec::H264, &self.annex_b(), self.timing).map(Arc::new)
    }

    /// The same as an Annex B stream.
    pub fn annex_b(&self) -> Bytes {
        let mut stream = Vec::new();
        let gop = self.gop.max(1);
        for frame in 0..self.frames {
            if frame % gop == 0 {
                put_unit(&mut stream, 0x67, self.sps());
                put_unit(&mut stream, 0x68, pps());
                put_unit(&mut stream, 0x65, self.key_slice(frame, frame / gop));
            } else {
                put_unit(&mut stream, 0x41, self.moving_slice(frame, frame % gop));
            }
        }
        Bytes::from(stream)
    }

    fn sps(&self) -> Bits {
        let mut bits = Bits::default();
        bits.put(66, 8); // Baseline
        bits.put(0xc0, 8); // constraint sets 0 and 1: Constrained Baseline
        bits.put(40, 8); // level 4
        bits.ue(0); // sequence parameter set id
        bits.ue(0); // frame number has 4 bits
        bits.ue(2); // output order is decoding order
        bits.ue(1); // one reference picture
        bits.put(0, 1); // no gaps in frame numbers
        bits.ue(u32::from(self.width_mbs.saturating_sub(1)));
        bits.ue(u32::from(self.height_mbs.saturating_sub(1)));
        bits.put(0b1100, 4); // frames only, direct 8×8, no cropping, no VUI
        bits
    }

    fn key_slice(&self, frame: u32, key: u32) -> Bits {
        let mut bits = slice_header(7, 0, Some(key % 2));
        for mb in 0..self.mbs() {
            bits.ue(25); // I_PCM in an I slice
            self.samples(&mut bits, mb, frame);
        }
        bits
    }

    fn moving_slice(&self, frame: u32, frame_num: u32) -> Bits {
        let mut bits = slice_header(5, frame_num, None);
        let at = frame % self.mbs();
        bits.ue(at); // skipped before
        bits.ue(30); // I_PCM in a P slice
        self.samples(&mut bits, at, frame);
        let behind = self.mbs().saturating_sub(at).saturating_sub(1);
        if behind > 0 {
            bits.ue(behind);
        }
        bits
    }

    fn mbs(&self) -> u32 {
        (u32::from(self.width_mbs) * u32::from(self.height_mbs)).max(1)
    }

    /// 256 luma and 2 × 64 chroma samples: a flat grey that differs by macroblock, bright where the walker stands.
    fn samples(&self, bits: &mut Bits, mb: u32, frame: u32) {
        let walker = mb == frame % self.mbs();
        let luma = if walker { 230 } else { 40 + (mb * 7) % 120 };
        bits.align();
        for _ in 0..256 {
            bits.put(luma, 8);
        }
        for _ in 0..128 {
            bits.put(if walker { 100 } else { 128 }, 8);
        }
    }
}

fn pps() -> Bits {
    let mut bits = Bits::default();
    bits.ue(0); // picture parameter set id
    bits.ue(0); // sequence parameter set id
    bits.put(0, 2); // CAVLC, no bottom-field order
    bits.ue(0); // one slice group
    bits.ue(0); // one reference, list 0
    bits.ue(0); // one reference, list 1
    bits.put(0, 3); // no weighted prediction
    bits.ue(0); // QP 26
    bits.ue(0);
    bits.ue(0);
    bits.put(0b100, 3); // deblocking control present, no constrained intra, no redundant pictures
    bits
}

fn slice_header(slice_type: u32, frame_num: u32, idr: Option<u32>) -> Bits {
    let mut bits = Bits::default();
    bits.ue(0); // first macroblock
    bits.ue(slice_type);
    bits.ue(0); // picture parameter set id
    bits.put(frame_num, 4);
    match idr {
        Some(id) => {
            bits.ue(id);
            bits.put(0, 2); // output earlier pictures, no long-term reference
        }
        None => bits.put(0, 3), // default reference count, list order and marking
    }
    bits.ue(0); // QP as in the picture parameter set
    bits.ue(1); // no deblocking
    bits
}

fn put_unit(stream: &mut Vec<u8>, header: u8, mut bits: Bits) {
    bits.put(1, 1); // stop bit
    bits.align();
    stream.extend_from_slice(&[0, 0, 0, 1, header]);
    nal::escape(&bits.bytes, stream);
}

/// Bits, most significant first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits used of the last byte; 0 when it is full.
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for place in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let bit = u8::from((value >> place) & 1 == 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.used);
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// Unsigned Exp-Golomb (H.264 9.1).
    fn ue(&mut self, value: u32) {
        let coded = value.saturating_add(1);
        let len = 32 - coded.leading_zeros();
        self.put(0, len - 1);
        self.put(coded, len);
    }

    fn align(&mut self) {
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_a_film() {
        let film = Pattern::default().film().unwrap();
        assert_eq!((film.units().len(), film.duration()), (50, 180_000));
        assert_eq!(film.units().iter().filter(|u| u.is_key).count(), 5);
        assert!(Pattern { gop: 17, ..Pattern::default() }.film().is_err());
    }

    #[test]
    fn exp_golomb_codes_are_right() {
        for (value, wanted) in
            [(0, 0b1000_0000), (1, 0b0100_0000), (2, 0b0110_0000), (3, 0b0010_0000), (7, 0b0001_0000)]
        {
            let mut bits = Bits::default();
            bits.ue(value);
            assert_eq!(bits.bytes, [wanted], "{value}");
        }
    }
}
