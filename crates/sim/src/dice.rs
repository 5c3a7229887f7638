//! Repeatable chance: equal seeds give equal scenes on every machine and with every version of every library.

use crate::mix;

/// A row of pseudo-random numbers from a seed. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    /// 0 up to but without 1.
    pub(crate) fn unit(&mut self) -> f32 {
        unit_of(self.next())
    }

    /// Between two numbers.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// 0 up to but without `limit`; 0 when `limit` is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        usize::try_from(self.next().checked_rem(limit).unwrap_or(0)).unwrap_or(0)
    }

    /// One of the items; the first item type's default never happens for non-empty slices.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        items.get(self.below(items.len())).copied()
    }
}

/// A number from 0 to 1 that depends on `key` alone.
pub(crate) fn hash01(key: u64) -> f32 {
    unit_of(mix(key))
}

fn unit_of(bits: u64) -> f32 {
    let [a, b, c, ..] = bits.to_be_bytes();
    u32::from_be_bytes([0, a, b, c]) as f32 / 16_777_216.0
}

/// Smooth noise over the plane, 0 to 1, with features about 1 unit wide.
pub(crate) fn noise2(x: f32, y: f32, seed: u64) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (tx, ty) = (smooth(x - fx), smooth(y - fy));
    let at = |dx: f32, dy: f32| hash01(seed ^ cell(fx + dx).wrapping_mul(0x9e37_79b1) ^ cell(fy + dy).rotate_left(32));
    let upper = at(0.0, 0.0) + (at(1.0, 0.0) - at(0.0, 0.0)) * tx;
    let lower = at(0.0, 1.0) + (at(1.0, 1.0) - at(0.0, 1.0)) * tx;
    upper + (lower - upper) * ty
}

fn smooth(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

/// A whole number as bits; the sign stays.
fn cell(value: f32) -> u64 {
    u64::from((value + 0.0).to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_repeats_and_spreads() {
        let row = |seed| {
            let mut dice = Dice::new(seed);
            (0..100).map(|_| dice.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(row(1), row(1));
        assert_ne!(row(1), row(2));
        assert!((0..10).all(|n| row(1).contains(&n)));
        assert_eq!(Dice::new(1).below(0), 0);
        let mean: f32 = (0..10_000).map(hash01).sum::<f32>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
    }

    #[test]
    fn noise_is_smooth() {
        for n in 0..100_u8 {
            let x = f32::from(n) * 0.1;
            assert!((noise2(x, 3.3, 5) - noise2(x + 0.01, 3.3, 5)).abs() < 0.05);
        }
    }
}
