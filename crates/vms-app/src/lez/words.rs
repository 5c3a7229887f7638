//! What people write, without the plate that they search for.

use vms_core::Plate;

use crate::gate::Why;

/// Stands where the plate stood.
const MASK: &str = "[plate]";

/// The same reasons; the plate itself, however it is written, is not in their words.
pub(super) fn without_plate(why: &Why, plate: &Plate) -> Why {
    let masked = |text: &String| masked(text, plate.reveal());
    Why {
        justification: why.justification.as_ref().map(masked),
        case_ref: why.case_ref.as_ref().map(masked),
        ..why.clone()
    }
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
}
