//! A bit reader over raw (unescaped) bytes, with the Exp-Golomb codes of H.264 9.1 and H.265 9.2.

/// Reads bits from the most significant end. Every method gives `None` past the end, and stays there.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at_bit: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at_bit: 0 }
    }

    pub(crate) fn bit(&mut self) -> Option<u32> {
        let byte = *self.bytes.get(self.at_bit / 8)?;
        let bit = (u32::from(byte) >> (7 - self.at_bit % 8)) & 1;
        self.at_bit += 1;
        Some(bit)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        self.bit().map(|bit| bit == 1)
    }

    /// `count` bits, at most 32.
    pub(crate) fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0_u32;
        for _ in 0..count {
            value = (value << 1) | self.bit()?;
        }
        Some(value)
    }

    /// `count` bits of at most 8, as a byte.
    pub(crate) fn byte(&mut self, count: u32) -> Option<u8> {
        self.bits(count).and_then(|value| u8::try_from(value).ok())
    }

    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        let end = self.at_bit.checked_add(count)?;
        if end > self.bytes.len().checked_mul(8)? {
            return None;
        }
        self.at_bit = end;
        Some(())
    }

    /// Unsigned Exp-Golomb; codes of more than 32 leading zeros are refused.
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0_u32;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.bits(zeros)?;
        Some((1_u32 << zeros).wrapping_sub(1).wrapping_add(rest))
    }

    /// Signed Exp-Golomb.
    pub(crate) fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        let value = if code % 2 == 0 { -(code / 2) } else { (code + 1) / 2 };
        i32::try_from(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_as_in_the_standard() {
        // 1 | 010 | 011 | 00100 | 1...: ue 0, 1, 2, 3, then the end.
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_1000]);
        assert_eq!(
            (bits.ue(), bits.ue(), bits.ue(), bits.ue(), bits.ue()),
            (Some(0), Some(1), Some(2), Some(3), Some(0))
        );
        assert_eq!(bits.ue(), None);
        let mut bits = BitReader::new(&[0b0100_1100, 0b1000_0101]);
        assert_eq!((bits.se(), bits.se(), bits.se(), bits.se()), (Some(1), Some(-1), Some(2), Some(-2)));
        assert_eq!(BitReader::new(&[0; 8]).ue(), None);
    }
}
