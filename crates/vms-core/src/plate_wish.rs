//! What somebody looks for among plates: one text, a pattern, or everything that is one edit away. Pure; no index lives here.

use std::fmt;

use crate::plate::{Plate, PlateError};

/// A pattern over plates: letters and digits stand for themselves, `?` for one character, `*` for any number of them. `Debug` hides it.
///
/// INVARIANT: at most [`PlatePattern::LEN_MAX`] ASCII symbols, no two `*` in a row, at least [`PlatePattern::FIXED_MIN`] fixed ones.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PlatePattern(Box<str>);

/// Why a text is not something to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// Not a plate.
    #[error(transparent)]
    Plate(#[from] PlateError),
    /// More symbols than any plate needs.
    #[error("the pattern has more than 24 symbols")]
    TooLong,
    /// So few characters are given that it would list everybody who passed.
    #[error("a pattern needs three letters or digits, a plate to compare with needs four")]
    TooOpen,
}

impl PlatePattern {
    /// Longest pattern, symbols.
    pub const LEN_MAX: usize = 24;
    /// Fewest letters and digits: a search is for a vehicle, not for a list of who drove.
    pub const FIXED_MIN: usize = 3;

    /// Reads a pattern; spaces, hyphens, dots and middle dots are dropped, letters raised, `**` is `*`.
    ///
    /// # Errors
    /// [`WishError`].
    pub fn parse(text: &str) -> Result<Self, WishError> {
        let mut pattern = String::with_capacity(Self::LEN_MAX);
        let mut fixed = 0_usize;
        for c in text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '·')) {
            match c {
                '*' if pattern.ends_with('*') => continue,
                '*' | '?' => {}
                c if c.is_ascii_alphanumeric() => fixed += 1,
                _ => return Err(PlateError::BadCharacter.into()),
            }
            if pattern.len() == Self::LEN_MAX {
                return Err(WishError::TooLong);
            }
            pattern.push(c.to_ascii_uppercase());
        }
        match (pattern.is_empty(), fixed < Self::FIXED_MIN) {
            (true, _) => Err(PlateError::Empty.into()),
            (_, true) => Err(WishError::TooOpen),
            _ => Ok(Self(pattern.into_boxed_str())),
        }
    }

    /// Whether canonical plate text fits.
    fn fits(&self, plate: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        let (mut at, mut seen) = (0_usize, 0_usize);
        // Where the last `*` stands, and how much of the plate it has taken so far.
        let mut star: Option<(usize, usize)> = None;
        while let Some(one) = plate.get(seen) {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, seen));
                    at += 1;
                }
                Some(symbol) if *symbol == b'?' || symbol == one => {
                    at += 1;
                    seen += 1;
                }
                _ => {
                    let Some((from, taken)) = star else { return false };
                    star = Some((from, taken + 1));
                    at = from + 1;
                    seen = taken + 1;
                }
            }
        }
        pattern.get(at..).is_some_and(|rest| rest.iter().all(|symbol| *symbol == b'*'))
    }
}

impl fmt::Debug for PlatePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatePattern(hidden)")
    }
}

/// What somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PlateWish {
    /// Exactly this.
    Exact(Plate),
    /// What fits the pattern.
    Pattern(PlatePattern),
    /// This, and what one insertion, deletion or substitution makes of it (Levenshtein 1).
    Similar(Plate),
}

impl PlateWish {
    /// Shortest plate that others may be compared with.
    pub const SIMILAR_MIN: usize = 4;

    /// Everything one edit away, and the plate itself.
    ///
    /// # Errors
    /// [`WishError::TooOpen`] below [`PlateWish::SIMILAR_MIN`] characters.
    pub fn similar(plate: Plate) -> Result<Self, WishError> {
        if plate.reveal().len() < Self::SIMILAR_MIN { Err(WishError::TooOpen) } else { Ok(Self::Similar(plate)) }
    }

    /// Whether canonical plate text is what is looked for.
    pub fn matches(&self, plate: &[u8]) -> bool {
        match self {
            Self::Exact(wanted) => wanted.reveal().as_bytes() == plate,
            Self::Pattern(pattern) => pattern.fits(plate),
            Self::Similar(wanted) => is_one_edit(wanted.reveal().as_bytes(), plate),
        }
    }

    /// The wish as one text: the plate, the pattern, or `~` and the plate. Call sites are reviewed like those of [`Plate::reveal`].
    pub fn reveal(&self) -> String {
        match self {
            Self::Exact(plate) => plate.reveal().to_owned(),
            Self::Pattern(pattern) => pattern.0.to_string(),
            Self::Similar(plate) => format!("~{}", plate.reveal()),
        }
    }

    /// From the text that [`Self::reveal`] gave; `None` for any other. A pattern without a wildcard comes back as the plate that it is.
    pub fn from_revealed(text: &str) -> Option<Self> {
        match text.strip_prefix('~') {
            Some(plate) => Self::similar(Plate::parse(plate).ok()?).ok(),
            None if text.contains(['*', '?']) => PlatePattern::parse(text).ok().map(Self::Pattern),
            None => Plate::parse(text).ok().map(Self::Exact),
        }
    }
}

/// Levenshtein distance of at most 1.
fn is_one_edit(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() - short.len() > 1 {
        return false;
    }
    let same = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    let after_long = long.get(same + 1..).unwrap_or_default();
    if short.len() == long.len() {
        short.get(same + 1..).unwrap_or_default() == after_long
    } else {
        short.get(same..).unwrap_or_default() == after_long
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_fit_what_they_say() {
        for (pattern, plate, wanted) in [
            ("1AB*", "1ABC234", true),
            ("1-ab*", "1AB", true),
            ("1AB*", "2ABC234", false),
            ("*234", "1ABC234", true),
            ("*234", "1ABC2345", false),
            ("1?BC23?", "1ABC234", true),
            ("1?BC23?", "1BC23", false),
            ("1*C*4", "1ABC234", true),
            ("1*C*C4", "1ABCC2CC4", true),
            ("1ABC234", "1ABC234", true),
            ("1ABC234", "1ABC23", false),
            ("1ABC234*", "1ABC234", true),
            ("*ABC*", "1ABC234", true),
            ("???ABC*", "1ABC234", false),
        ] {
            let wish = PlateWish::Pattern(PlatePattern::parse(pattern).unwrap());
            assert_eq!(wish.matches(plate.as_bytes()), wanted, "{pattern} {plate}");
        }
    }

    #[test]
    fn a_pattern_that_would_list_everybody_is_none() {
        for (text, wanted) in [
            ("", WishError::Plate(PlateError::Empty)),
            ("- .", WishError::Plate(PlateError::Empty)),
            ("*", WishError::TooOpen),
            ("1A*", WishError::TooOpen),
            ("??A??B*", WishError::TooOpen),
            ("1AB/", WishError::Plate(PlateError::BadCharacter)),
            ("1ABC2341ABC2341ABC2341ABC", WishError::TooLong),
        ] {
            assert_eq!(PlatePattern::parse(text), Err(wanted), "{text}");
        }
        assert_eq!(PlateWish::similar(Plate::parse("ABC").unwrap()), Err(WishError::TooOpen));
        let wish = PlateWish::Pattern(PlatePattern::parse("1-ab**c?").unwrap());
        assert_eq!(wish.reveal(), "1AB*C?");
        assert!(!format!("{wish:?}").contains("1AB"), "no plate in a log line");
    }

    /// The textbook's table.
    fn distance(a: &[u8], b: &[u8]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut next = vec![i + 1];
            for (j, y) in b.iter().enumerate() {
                next.push((row[j] + usize::from(x != y)).min(row[j + 1] + 1).min(next[j] + 1));
            }
            row = next;
        }
        row[b.len()]
    }

    /// By definition, slowly.
    fn glob(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), tail) => glob(rest, text) || tail.is_some_and(|(_, tail)| glob(pattern, tail)),
            (Some((b'?', rest)), Some((_, tail))) => glob(rest, tail),
            (Some((symbol, rest)), Some((one, tail))) => symbol == one && glob(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn one_edit_is_the_distance(a in "[AB1]{4,8}", b in "[AB1]{1,9}") {
            let wish = PlateWish::similar(Plate::parse(&a).unwrap()).unwrap();
            prop_assert_eq!(wish.matches(b.as_bytes()), distance(a.as_bytes(), b.as_bytes()) <= 1);
        }

        #[test]
        fn a_pattern_is_its_definition(pattern in "[AB1?*]{3,10}", plate in "[AB1]{1,9}") {
            if let Ok(parsed) = PlatePattern::parse(&pattern) {
                let wish = PlateWish::Pattern(parsed);
                prop_assert_eq!(wish.matches(plate.as_bytes()), glob(wish.reveal().as_bytes(), plate.as_bytes()));
            }
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}", plate in "[A-Z0-9]{1,12}") {
            if let Ok(pattern) = PlatePattern::parse(&text) {
                let again = PlatePattern::parse(&PlateWish::Pattern(pattern.clone()).reveal());
                prop_assert_eq!(again.as_ref(), Ok(&pattern));
                let _ = PlateWish::Pattern(pattern).matches(plate.as_bytes());
            }
        }
    }
}
