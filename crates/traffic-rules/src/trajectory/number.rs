//! Lengths and speeds as whole numbers and fractions.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A length in millimetres. In the tables: metres as a decimal text with at most three places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millimetres(pub u32);

/// Why a text is no length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a length in metres with at most three decimals, up to 1,000,000")]
pub struct LengthError;

impl FromStr for Millimetres {
    type Err = LengthError;

    fn from_str(text: &str) -> Result<Self, LengthError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || whole.len() > 7 || decimals.len() > 3 {
            return Err(LengthError);
        }
        let whole: u32 = whole.parse().map_err(|_| LengthError)?;
        let decimals: u32 = format!("{decimals:0<3}").parse().map_err(|_| LengthError)?;
        if whole > 1_000_000 {
            return Err(LengthError);
        }
        Ok(Self(whole * 1_000 + decimals))
    }
}

/// A speed as a fraction of km/h; both parts are positive or the numerator is 0.
///
/// Distances are below 2^32 mm and times below 2^64 µs, so products of two such fractions fit in 128 bits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Fraction {
    /// Numerator.
    pub num: u64,
    /// Denominator.
    pub den: u64,
}

impl Fraction {
    /// The speed over a distance in a time; `None` in no time.
    pub fn of_run(distance: Millimetres, micros: u64) -> Option<Self> {
        // mm/µs is 3,600 km/h.
        (micros > 0).then(|| Self { num: u64::from(distance.0) * 3_600, den: micros })
    }

    /// Whole part.
    pub fn truncated(self) -> u64 {
        self.num / self.den.max(1)
    }

    /// Hundredths of a unit, rounded down: for people to look at.
    pub fn hundredths(self) -> u64 {
        u64::try_from(u128::from(self.num) * 100 / u128::from(self.den.max(1))).unwrap_or(u64::MAX)
    }

    /// Whether it is below a whole number.
    pub fn below(self, whole: u64) -> bool {
        u128::from(self.num) < u128::from(whole) * u128::from(self.den)
    }

    /// Whether it is above a whole number.
    pub fn above(self, whole: u64) -> bool {
        u128::from(self.num) > u128::from(whole) * u128::from(self.den)
    }

    /// Whether the two differ by more than `percent` of the lower one.
    pub fn differs_by_more_than(self, other: Self, percent: u16) -> bool {
        // Both numerators are below 2^45 and both denominators below 2^64: their products stay below 2^110, with a
        // hundredfold below 2^117.
        let one = u128::from(self.num) * u128::from(other.den);
        let two = u128::from(other.num) * u128::from(self.den);
        let (low, high) = (one.min(two), one.max(two));
        (high - low) * 100 > low * u128::from(percent)
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        u128::from(self.num) * u128::from(other.den) == u128::from(other.num) * u128::from(self.den)
    }
}

impl Eq for Fraction {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_decimal_metres() {
        for (text, wanted) in [
            ("870.0", Some(870_000)),
            ("870", Some(870_000)),
            ("0.5", Some(500)),
            ("633.05", Some(633_050)),
            ("633.005", Some(633_005)),
            ("1000000", Some(1_000_000_000)),
            ("1000001", None),
            ("870.0000", None),
            ("870.", None),
            (".5", None),
            ("-1", None),
            ("1e3", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Millimetres>().ok(), wanted.map(Millimetres), "{text}");
        }
    }

    #[test]
    fn speeds_are_exact() {
        let speed = |mm, micros| Fraction::of_run(Millimetres(mm), micros).unwrap();
        assert_eq!(speed(600_000, 21_600_000), Fraction { num: 100, den: 1 });
        assert!(!speed(600_000, 21_600_000).below(100) && !speed(600_000, 21_600_000).above(100));
        assert!(speed(600_000, 21_600_001).below(100) && speed(600_000, 21_599_999).above(100));
        assert_eq!((speed(870_000, 50_000_000).hundredths(), speed(870_000, 50_000_000).truncated()), (6_264, 62));
        assert_eq!(Fraction::of_run(Millimetres(1), 0), None);
        let whole = |num| Fraction { num, den: 1 };
        assert!(!whole(100).differs_by_more_than(whole(110), 10));
        assert!(!whole(110).differs_by_more_than(whole(100), 10));
        assert!(whole(111).differs_by_more_than(whole(100), 10));
        assert!(whole(0).differs_by_more_than(whole(1), 10) && !whole(0).differs_by_more_than(whole(0), 10));
    }
}
