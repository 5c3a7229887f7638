//! Number plates. Personal data: `Debug` hides the text, and there is no `Display`.

use std::fmt;

/// A number plate in canonical form: `A`–`Z` and `0`–`9` only, separators dropped.
///
/// INVARIANT: 1..=12 bytes, all ASCII upper-case letters or digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Plate(Box<str>);

/// Why a text is not a plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlateError {
    /// Nothing is left once separators are dropped.
    #[error("the plate is empty")]
    Empty,
    /// More than [`Plate::LEN_MAX`] characters.
    #[error("the plate has more than 12 characters")]
    TooLong,
    /// A character that no plate carries.
    #[error("a plate holds letters A to Z and digits only")]
    BadCharacter,
}

impl Plate {
    /// Longest canonical text.
    pub const LEN_MAX: usize = 12;

    /// Reads a plate; spaces, hyphens, dots and middle dots are dropped, letters raised.
    ///
    /// # Errors
    /// [`PlateError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, PlateError> {
        let mut canonical = String::with_capacity(Self::LEN_MAX);
        for c in text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '·')) {
            if !c.is_ascii_alphanumeric() {
                return Err(PlateError::BadCharacter);
            }
            if canonical.len() == Self::LEN_MAX {
                return Err(PlateError::TooLong);
            }
            canonical.push(c.to_ascii_uppercase());
        }
        if canonical.is_empty() {
            return Err(PlateError::Empty);
        }
        Ok(Self(canonical.into_boxed_str()))
    }

    /// The characters. Call sites are reviewed one by one: grep for `reveal`.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plate(hidden)")
    }
}

/// A calibrated probability that a statement is true, in millionths: 0 never, 1,000,000 certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence {
    millionths: u32,
}

impl Confidence {
    /// From millionths, clipped to 1,000,000.
    pub const fn from_millionths(millionths: u32) -> Self {
        Self { millionths: if millionths > 1_000_000 { 1_000_000 } else { millionths } }
    }

    /// Millionths, 0..=1,000,000.
    pub const fn millionths(self) -> u32 {
        self.millionths
    }
}

/// Distinguishing sign of a country in traffic (Vienna Convention, annex 3), such as `B`, `NL`, `F`; 1..=3 letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 3]);

impl Country {
    /// Belgium.
    pub const BELGIUM: Self = Self([b'B', 0, 0]);

    /// `None` unless 1 to 3 upper-case letters.
    pub fn parse(sign: &str) -> Option<Self> {
        let mut raw = [0_u8; 3];
        if sign.is_empty() || sign.len() > 3 {
            return None;
        }
        for (slot, c) in raw.iter_mut().zip(sign.bytes()) {
            if !c.is_ascii_uppercase() {
                return None;
            }
            *slot = c;
        }
        Some(Self(raw))
    }

    /// The sign.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|c| *c == 0).unwrap_or(3);
        self.0.get(..end).and_then(|raw| std::str::from_utf8(raw).ok()).unwrap_or("")
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plates_are_made_canonical() {
        for (text, wanted) in [
            ("1-abc-234", Ok("1ABC234")),
            ("AB 12 CD", Ok("AB12CD")),
            ("", Err(PlateError::Empty)),
            (" - ", Err(PlateError::Empty)),
            ("1-ÄBC-234", Err(PlateError::BadCharacter)),
            ("1234567890123", Err(PlateError::TooLong)),
        ] {
            assert_eq!(Plate::parse(text).as_ref().map(Plate::reveal), wanted.as_ref().copied());
        }
    }

    #[test]
    fn debug_hides_the_plate() {
        assert_eq!(format!("{:?}", Plate::parse("1ABC234").unwrap()), "Plate(hidden)");
    }

    #[test]
    fn countries_read_back() {
        for sign in ["B", "NL", "SLO"] {
            assert_eq!(Country::parse(sign).unwrap().as_str(), sign);
        }
        assert_eq!(Country::parse("nl"), None);
        assert_eq!(Country::parse("ABCD"), None);
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent(text in "\\PC{0,16}") {
            if let Ok(plate) = Plate::parse(&text) {
                prop_assert_eq!(Plate::parse(plate.reveal()), Ok(plate));
            }
        }
    }
}
