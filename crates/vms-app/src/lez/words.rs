//! What people write, without the plate that they search for.

use vms_core::{Plate, PlatePattern, PlateWish};

use crate::gate::Why;

/// Stands where the plate stood.
const MASK: &str = "[plate]";
/// Longest stretch of text that is looked at as one plate or pattern, characters.
const STRETCH: usize = 30;

/// What a leaf names instead of a plate: a keyed hash to search by, and the sealed text.
pub(crate) fn object_of(wish: &PlateWish, hash: &str, sealed: &str) -> String {
    let kind = if matches!(wish, PlateWish::Exact(_)) { "plate" } else { "plates" };
    format!("{kind}:{hash}:{sealed}")
}

/// The same reasons; what is looked for, however it is written, is not in their words, nor is a plate that it would find.
pub(crate) fn without_plates(why: &Why, wish: &PlateWish) -> Why {
    let masked = |text: &String| text_without(text, wish);
    Why {
        justification: why.justification.as_ref().map(masked),
        case_ref: why.case_ref.as_ref().map(masked),
        magistrate_ref: why.magistrate_ref.as_ref().map(masked),
        ..why.clone()
    }
}

/// The same of one text.
pub(crate) fn text_without(text: &str, wish: &PlateWish) -> String {
    match wish {
        PlateWish::Exact(plate) => masked(text, plate.reveal()),
        PlateWish::Pattern(_) | PlateWish::Similar(_) => masked_like(text, wish),
    }
}

/// Whether a stretch of text is the wish itself, or a plate that it finds.
fn is_told(stretch: &str, wish: &PlateWish) -> bool {
    let is_wish = || PlatePattern::parse(stretch).is_ok_and(|pattern| PlateWish::Pattern(pattern) == *wish);
    Plate::parse(stretch).is_ok_and(|plate| wish.matches(plate.reveal().as_bytes())) || is_wish()
}

/// The longest stretch from each beginning of a word; it ends with a word.
fn masked_like(text: &str, wish: &PlateWish) -> String {
    let all: Vec<char> = text.chars().collect();
    let is_part = |one: Option<&char>| one.is_some_and(|one| one.is_alphanumeric() || matches!(one, '*' | '?'));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(one) = all.get(at) {
        let begins = is_part(Some(one)) && !(at > 0 && is_part(all.get(at - 1)));
        let ends = (at + 1..=all.len().min(at + STRETCH)).rev();
        let stretch = |end: &usize| all.get(at..*end).unwrap_or_default().iter().collect::<String>();
        let is_whole = |end: &usize| is_part(all.get(*end - 1)) && !is_part(all.get(*end));
        match ends.into_iter().filter(|end| begins && is_whole(end)).find(|end| is_told(&stretch(end), wish)) {
            Some(end) => {
                out.push_str(MASK);
                at = end;
            }
            None => {
                out.push(*one);
                at += 1;
            }
        }
    }
    out
}

/// Letters and digits are compared without case; what stands between them (blanks, hyphens, dots) does not count.
fn masked(text: &str, plate: &str) -> String {
    let wanted: Vec<char> = plate.chars().filter(|one| one.is_alphanumeric()).flat_map(char::to_uppercase).collect();
    let all: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(one) = all.get(at) {
        match length_of(all.get(at..).unwrap_or_default(), &wanted) {
            Some(length) => {
                out.push_str(MASK);
                at += length;
            }
            None => {
                out.push(*one);
                at += 1;
            }
        }
    }
    out
}

/// Characters that `rest` spends on the plate, when it begins with it.
fn length_of(rest: &[char], wanted: &[char]) -> Option<usize> {
    let mut left = wanted.iter().peekable();
    left.peek()?;
    for (at, one) in rest.iter().enumerate() {
        let Some(next) = left.peek() else { return Some(at) };
        if one.is_alphanumeric() {
            if !one.to_uppercase().eq(std::iter::once(**next)) {
                return None;
            }
            left.next();
        } else if at == 0 || !matches!(one, ' ' | '-' | '.' | '\u{b7}' | '_') {
            return None;
        }
    }
    left.peek().is_none().then_some(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plate_is_taken_out_however_it_is_written() {
        for (text, wanted) in [
            ("vluchtwagen 1-ABC-234 gezien", "vluchtwagen [plate] gezien"),
            ("1abc234", "[plate]"),
            ("plaat 1 ABC 234.", "plaat [plate]."),
            ("x1ABC234y, 1.abc.234", "x[plate]y, [plate]"),
            ("1-ABC-235 en 1-ABC", "1-ABC-235 en 1-ABC"),
            ("1-ABC, 234", "1-ABC, 234"),
            ("\u{e9}t\u{e9} 1ABC234\u{e9}", "\u{e9}t\u{e9} [plate]\u{e9}"),
            ("", ""),
        ] {
            assert_eq!(masked(text, "1ABC234"), wanted, "{text}");
        }
        assert_eq!(masked("text", ""), "text");
    }

    #[test]
    fn a_pattern_and_what_it_finds_are_taken_out_too() {
        let pattern = PlateWish::Pattern(PlatePattern::parse("1AB*").unwrap());
        let similar = PlateWish::similar(Plate::parse("1ABC234").unwrap()).unwrap();
        for (wish, text, wanted) in [
            (&pattern, "plaat 1-AB* gezien", "plaat [plate] gezien"),
            (&pattern, "het was 1-ABC-234, denk ik", "het was [plate], denk ik"),
            (&pattern, "2-ABC-234 en x1abc", "2-ABC-234 en x1abc"),
            (&similar, "1-ABC-234 of 1abd234", "[plate] of [plate]"),
            (&similar, "2-ABD-235", "2-ABD-235"),
            (&similar, "", ""),
        ] {
            assert_eq!(masked_like(text, wish), wanted, "{text}");
        }
    }
}
