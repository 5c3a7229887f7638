//! The few conversions between numbers that Rust cannot check for us, each clipped and named.

/// `value` rounded down and clipped to `0..=max`; not a number becomes 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clipped to the range first")]
pub(crate) fn index(value: f32, max: usize) -> usize {
    let top = real(max);
    if value >= top {
        max
    } else if value > 0.0 {
        value as usize
    } else {
        0
    }
}

/// `value` rounded and clipped to a byte.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clipped to the range first")]
pub(crate) fn byte(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

/// `value` as a count of pixels or items; exact below 2^24.
pub(crate) fn real(value: usize) -> f32 {
    value as f32
}

/// A probability in millionths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clipped to the range first")]
pub(crate) fn millionths(probability: f64) -> u32 {
    (probability.clamp(0.0, 1.0) * 1_000_000.0) as u32
}

/// Widens without loss.
pub(crate) fn wide(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_clipped() {
        for (value, wanted) in [(-1.0, 0), (0.9, 0), (3.7, 3), (99.0, 10), (f32::NAN, 0)] {
            assert_eq!(index(value, 10), wanted);
        }
        assert_eq!((byte(-4.0), byte(127.6), byte(300.0)), (0, 128, 255));
        assert_eq!((millionths(0.5), millionths(2.0)), (500_000, 1_000_000));
    }
}
