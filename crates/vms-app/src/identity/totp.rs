//! Time-based one-time codes (RFC 6238): HMAC-SHA-1, 30 seconds, 6 digits, which is what every authenticator app takes.

use ring::hmac;
use subtle::ConstantTimeEq as _;
use vms_core::WallTime;

/// Length of a step.
pub const STEP_S: i64 = 30;
/// Bytes of a secret (RFC 4226 section 4, R6: at least 128 bits, 160 recommended).
pub const SECRET_LEN: usize = 20;
/// Steps before and after now that are taken too, for clocks that differ.
const SLACK: i64 = 1;

/// The step that an instant lies in.
pub const fn step_of(now: WallTime) -> i64 {
    now.micros.div_euclid(STEP_S * 1_000_000)
}

/// The code of a step, with leading zeros.
pub fn code_of(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or(0) & 0x0F);
    let word = bytes.get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    let number = (u32::from_be_bytes(word) & 0x7FFF_FFFF) % 1_000_000;
    format!("{number:06}")
}

/// The step that `code` belongs to, when it is one that counts now and comes after `last`: each code works once.
pub fn step_for(secret: &[u8], code: &str, now: WallTime, last: i64) -> Option<i64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != 6 || !code.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let this = step_of(now);
    let mut found = None;
    for step in this - SLACK..=this + SLACK {
        let fits: bool = code_of(secret, step).as_bytes().ct_eq(code.as_bytes()).into();
        if fits && step > last && found.is_none() {
            found = Some(step);
        }
    }
    found
}

/// RFC 4648 base 32 without padding: how people and apps take a secret.
pub fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut out, mut held, mut bits) = (String::new(), 0_u32, 0_u32);
    let mut put = |value: u32| {
        if let Some(letter) = ALPHABET.get((value & 31) as usize) {
            out.push(char::from(*letter));
        }
    };
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            put(held >> bits);
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        put(held << (5 - bits));
    }
    out
}

/// The address that an authenticator app reads from the QR code.
pub fn uri(user_name: &str, secret: &[u8]) -> String {
    let name: String = url::form_urlencoded::byte_serialize(user_name.as_bytes()).collect();
    format!("otpauth://totp/Belfry:{name}?secret={}&issuer=Belfry&algorithm=SHA1&digits=6&period=30", base32(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        for (seconds, wanted) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_of(SECRET, step_of(WallTime::from_secs(seconds))), wanted);
        }
    }

    #[test]
    fn a_code_counts_a_step_around_now_and_once() {
        let now = WallTime::from_secs(3_000);
        let code = |step| code_of(SECRET, step);
        for (given, last, wanted) in [
            (code(100), -1, Some(100)),
            (code(99), -1, Some(99)),
            (code(101), -1, Some(101)),
            (code(98), -1, None),
            (code(102), -1, None),
            (code(100), 100, None),
            (code(99), 100, None),
            (code(101), 100, Some(101)),
            ("".to_owned(), -1, None),
            ("12345".to_owned(), -1, None),
            ("abcdef".to_owned(), -1, None),
            ("٠٠٠٠٠٠".to_owned(), -1, None),
        ] {
            assert_eq!(step_for(SECRET, &given, now, last), wanted, "{given} {last}");
        }
        let spaced = code(100).chars().flat_map(|digit| [digit, ' ']).collect::<String>();
        assert_eq!(step_for(SECRET, &spaced, now, -1), Some(100), "as apps show it");
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, wanted) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), wanted);
        }
        assert_eq!(
            uri("an.voorbeeld@zone", b"foobar"),
            "otpauth://totp/Belfry:an.voorbeeld%40zone?secret=MZXW6YTBOI&issuer=Belfry&algorithm=SHA1&digits=6&period=30"
        );
    }
}
