//! The small pattern language of the plate grammars: literals and classes with counts, matched against a whole text.
//!
//! `[A-NP-Z]{2,3}[0-9]?X` and nothing more: no groups, no alternatives, no look-around. A pattern so small can be read by
//! the people who own the list, and matching one can never be made slow by a hostile text: it costs at most
//! `pieces × length` steps.

use std::fmt;

/// Longest repetition a pattern may name.
const REPEAT_MAX: u8 = 12;
/// Most pieces a pattern may have.
const PIECES_MAX: usize = 16;

/// A compiled pattern.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    ranges: Vec<(char, char)>,
    min: u8,
    max: u8,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// `[` without `]`, an empty class, or a range that runs backwards.
    #[error("a class is not well formed")]
    Class,
    /// A count that is not `{n}`, `{m,n}` or `?`, or out of 0..=12, or without a character before it.
    #[error("a count is not well formed")]
    Count,
    /// A character with another meaning in regular expressions.
    #[error("only letters, digits, classes and counts are allowed")]
    Character,
    /// No piece, or more than 16.
    #[error("a pattern has 1 to 16 pieces")]
    Size,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`PatternError`] says which part is malformed.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let ranges = match c {
                '[' => class(&mut chars)?,
                c if c.is_alphanumeric() => vec![(c, c)],
                _ => return Err(PatternError::Character),
            };
            let (min, max) = match chars.peek() {
                Some('?') => {
                    chars.next();
                    (0, 1)
                }
                Some('{') => {
                    chars.next();
                    count(&mut chars)?
                }
                Some(_) | None => (1, 1),
            };
            pieces.push(Piece { ranges, min, max });
        }
        if pieces.is_empty() || pieces.len() > PIECES_MAX {
            return Err(PatternError::Size);
        }
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        // `reached` holds every position that the pieces so far can end at.
        let mut reached = vec![false; chars.len() + 1];
        if let Some(first) = reached.first_mut() {
            *first = true;
        }
        for piece in &self.pieces {
            let mut next = vec![false; chars.len() + 1];
            for start in reached.iter().enumerate().filter_map(|(at, on)| on.then_some(at)) {
                let run =
                    chars.iter().skip(start).take(usize::from(piece.max)).take_while(|c| piece.holds(**c)).count();
                for slot in next.iter_mut().skip(start).take(run + 1).skip(usize::from(piece.min)) {
                    *slot = true;
                }
            }
            reached = next;
        }
        reached.last().copied().unwrap_or(false)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Piece {
    fn holds(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn class(chars: &mut Chars<'_>) -> Result<Vec<(char, char)>, PatternError> {
    let mut ranges = Vec::new();
    loop {
        let low = match chars.next() {
            Some(']') if !ranges.is_empty() => return Ok(ranges),
            Some(c) if c.is_alphanumeric() => c,
            Some(_) | None => return Err(PatternError::Class),
        };
        if chars.peek() == Some(&'-') {
            chars.next();
            match chars.next() {
                Some(high) if high.is_alphanumeric() && high >= low => ranges.push((low, high)),
                Some(_) | None => return Err(PatternError::Class),
            }
        } else {
            ranges.push((low, low));
        }
    }
}

fn count(chars: &mut Chars<'_>) -> Result<(u8, u8), PatternError> {
    let mut inside = String::new();
    loop {
        match chars.next() {
            Some('}') => break,
            Some(c) => inside.push(c),
            None => return Err(PatternError::Count),
        }
    }
    let (low, high) = inside.split_once(',').unwrap_or((&inside, &inside));
    let min: u8 = low.parse().map_err(|_| PatternError::Count)?;
    let max: u8 = high.parse().map_err(|_| PatternError::Count)?;
    if min > max || max == 0 || max > REPEAT_MAX {
        return Err(PatternError::Count);
    }
    Ok((min, max))
}

/// Compiles and matches any bytes: never panics, never takes long. For fuzzing.
pub fn fuzz_pattern(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (pattern, subject) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(pattern) = Pattern::parse(pattern) {
        pattern.matches(subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_the_whole_text() {
        for (pattern, yes, no) in [
            (
                "[1-7][A-NP-Z]{3}[0-9]{3}",
                &["1ABC234", "7ZZZ999"][..],
                &["1AOC234", "8ABC234", "1ABC2345", "1ABC23", ""][..],
            ),
            ("[A-Z]{1,3}[A-Z]{1,2}[1-9][0-9]{0,3}[EH]?", &["KAB1234", "BAB1", "ACE12E"], &["A1", "ABCDEF1", "KAB0"]),
            ("X?[0-9]{2}", &["X12", "12"], &["XX12", "1"]),
            ("[0-9]{2,4}[0-9]{2}", &["1234", "123456"], &["123", "1234567"]),
        ] {
            let compiled = Pattern::parse(pattern).unwrap();
            for text in yes {
                assert!(compiled.matches(text), "{pattern} should match {text}");
            }
            for text in no {
                assert!(!compiled.matches(text), "{pattern} should not match {text}");
            }
        }
    }

    #[test]
    fn what_is_not_in_the_language_is_refused() {
        for (text, wanted) in [
            ("", PatternError::Size),
            ("(AB)", PatternError::Character),
            ("A|B", PatternError::Character),
            ("[A", PatternError::Class),
            ("[]", PatternError::Class),
            ("[Z-A]", PatternError::Class),
            ("A{3,2}", PatternError::Count),
            ("A{0}", PatternError::Count),
            ("A{99}", PatternError::Count),
            ("A{2", PatternError::Count),
            ("{2}", PatternError::Character),
        ] {
            assert_eq!(Pattern::parse(text), Err(wanted), "{text}");
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        for data in [
            &b"[A-Z]{1,12}[A-Z]{1,12}[A-Z]{1,12}\nAAAAAAAAAAAAAAAAAAAAAAAAA1"[..],
            b"\xff\xfe\n\x00",
            b"[[[[{{{{",
            b"A{",
        ] {
            fuzz_pattern(data);
        }
    }
}
