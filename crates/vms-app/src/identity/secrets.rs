//! What a password may not be, with the reason; and recovery codes.

use sha2::{Digest as _, Sha256};
use vms_core::UserId;
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

use crate::identity::totp::base32;
use crate::passwords::{PASSWORD_CHARS_MIN, PASSWORD_LEN_MAX};
use crate::ports::{Ids, random_bytes};

/// Words that everybody who guesses here tries first.
const HOUSE_WORDS: [&str; 8] = ["belfry", "belfort", "beffroi", "brussels", "brussel", "bruxelles", "camera", "police"];
/// Shortest piece of a name that counts as "the name is in it".
const NAME_PIECE_MIN: usize = 4;
/// Letters and digits that must be left beside names and words of the house.
const LEFT_MIN: usize = 10;
/// Guesses, as a power of ten, below which a password counts as known to whoever guesses offline.
const GUESSES_LOG10_MIN: f64 = 10.0;
/// Recovery codes that are made at once.
pub const RECOVERY_CODES: usize = 10;

/// Lower case, with the usual stand-ins put back (`p@55w0rd`), letters and digits only.
fn plain(text: &str) -> String {
    let back = |c: char| match c {
        '@' | '4' => 'a',
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    text.to_lowercase().chars().map(back).filter(|c| c.is_alphanumeric()).collect()
}

/// Why a password may not be chosen, as a stable word: `too_short`, `too_long`, `from_name`, `too_common`. `None` when it may.
/// `names` are the account's name, the person's, the organisation's.
///
/// Lists of breached and common passwords, names and words in four languages, keyboard walks, dates and repeats are
/// `zxcvbn`'s; a password that its estimate opens in less than ten thousand million guesses is refused.
pub fn password_fault(clear: &str, names: &[&str]) -> Option<&'static str> {
    if clear.chars().count() < PASSWORD_CHARS_MIN {
        return Some("too_short");
    }
    if clear.len() > PASSWORD_LEN_MAX {
        return Some("too_long");
    }
    let flat = plain(clear);
    let pieces = names.iter().flat_map(|name| {
        let parts = name.split(|c: char| !c.is_alphanumeric()).map(plain);
        parts.chain([plain(name)]).collect::<Vec<_>>()
    });
    let pieces: Vec<String> = pieces.filter(|piece| piece.chars().count() >= NAME_PIECE_MIN).collect();
    // What is left when such words are taken out must hold by itself.
    let without = |words: &mut dyn Iterator<Item = &str>| {
        let left = words.fold(flat.clone(), |left, word| left.replace(word, ""));
        left != flat && left.chars().count() < LEFT_MIN
    };
    if without(&mut pieces.iter().map(String::as_str)) {
        return Some("from_name");
    }
    if without(&mut HOUSE_WORDS.into_iter()) {
        return Some("too_common");
    }
    let known: Vec<&str> = HOUSE_WORDS.into_iter().chain(pieces.iter().map(String::as_str)).collect();
    let guess = zxcvbn(clear, &known);
    let weak = guess.score() < Score::Three || guess.guesses_log10() < GUESSES_LOG10_MIN;
    weak.then_some("too_common")
}

/// Ten new codes: 128 random bits each, in groups of four letters.
pub(crate) fn recovery_codes(ids: &dyn Ids) -> Vec<Zeroizing<String>> {
    let one = |_| {
        let letters = Zeroizing::new(base32(&random_bytes::<16>(ids)).to_lowercase());
        let mut code = Zeroizing::new(String::with_capacity(32));
        for (place, letter) in letters.chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                code.push('-');
            }
            code.push(letter);
        }
        code
    };
    (0..RECOVERY_CODES).map(one).collect()
}

/// The hash under which a code is kept. Plain SHA-256 does for 128 random bits; codes of before 23 November 2026 have 80, and count until they
/// are used or made anew.
pub(crate) fn recovery_hash(user: UserId, code: &str) -> String {
    let letters: Zeroizing<String> =
        Zeroizing::new(code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect());
    let mut hash = Sha256::new();
    hash.update(b"belfry recovery v1\n");
    hash.update(user.to_string().as_bytes());
    hash.update(b"\n");
    hash.update(letters.as_bytes());
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::FixedIds;

    #[test]
    fn weak_passwords_are_refused_with_the_reason() {
        let names = ["an.peeters", "An Peeters", "5340"];
        for (clear, wanted) in [
            ("k7#Vq", Some("too_short")),
            ("fourteen chars", Some("too_short")),
            ("aaaaaaaaaaaaaaaaaaaa", Some("too_common")),
            ("passwordpassword", Some("too_common")),
            ("1234567890123456", Some("too_common")),
            ("qwertyuiopasdfghjkl", Some("too_common")),
            ("Belfry Brussels 2026", Some("too_common")),
            ("P@ssw0rd P@ssw0rd", Some("too_common")),
            ("an.peeters2026!!", Some("from_name")),
            ("Peeters Peeters 1", Some("from_name")),
            ("P33ter5 P33ter5 1", Some("from_name")),
            ("correct horse battery", None),
            ("natte klinkers spiegelen de tram", None),
            ("9f3a1c55e07b2d4481ac", None),
        ] {
            assert_eq!(password_fault(clear, &names), wanted, "{clear}");
        }
        assert_eq!(password_fault(&"langzaam ".repeat(40), &names), Some("too_long"));
    }

    #[test]
    fn recovery_codes_are_ten_and_differ() {
        let codes = recovery_codes(&FixedIds::default());
        assert_eq!(codes.len(), 10);
        assert_eq!(codes[0].len(), 32);
        let letters = codes[0].bytes().filter(u8::is_ascii_alphanumeric).count();
        assert_eq!(letters * 5 / 8, 16, "128 bits in letters of five");
        let user = UserId::from_bytes([1; 16]);
        let mut hashes: Vec<_> = codes.iter().map(|code| recovery_hash(user, code)).collect();
        assert_eq!(hashes[0], recovery_hash(user, &codes[0].replace('-', " ").to_uppercase()), "as people type it");
        assert_ne!(hashes[0], recovery_hash(UserId::from_bytes([2; 16]), &codes[0]));
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), 10);
    }
}
