//! Pseudonyms that cannot outlive a quarter of an hour.
//!
//! A token is a keyed hash of a plate under a key that lives 15 minutes and is then overwritten; without the key a token says
//! nothing, and the tokens of two keys cannot be joined. Two rows of keys run half a life apart, so that every stretch of up to
//! 7.5 minutes lies within the life of one key: a drive of that length can be paired wherever it starts.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use vms_core::{Country, Plate, WallTime};
use zeroize::Zeroizing;

use crate::time::floor_from;

/// Life of a key.
pub const KEY_LIFE: Duration = Duration::from_secs(900);
const LIFE_US: i64 = 900_000_000;
/// The two rows of keys start this far from the quarters of the hour, µs.
const PHASES_US: [i64; 2] = [0, LIFE_US / 2];

/// A pseudonym of a vehicle under one key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token([u8; 16]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The pseudonyms of one read: one of each row. Only the first row's keys keep step with the quarters of the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pseudonyms {
    /// Under the key of the quarter of an hour.
    pub quarter: Token,
    /// Under the key half a life apart.
    pub between: Token,
}

/// The keys in use: at most two.
#[derive(Default)]
pub struct Keyring {
    rows: [Option<Key>; 2],
}

struct Key {
    bytes: Zeroizing<[u8; 32]>,
    from: WallTime,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let live = self.rows.iter().flatten().count();
        f.debug_struct("Keyring").field("keys", &live).finish_non_exhaustive()
    }
}

impl Keyring {
    /// No key yet: [`Keyring::turn`] makes them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Drops (and overwrites) the keys whose life is over and takes fresh ones for the present. To be called at least once a
    /// minute, and at once when the clock was set.
    pub fn turn(&mut self, now: WallTime, mut fresh: impl FnMut() -> [u8; 32]) {
        for (row, phase) in self.rows.iter_mut().zip(PHASES_US) {
            let from = floor_from(now, LIFE_US, phase);
            if row.as_ref().is_none_or(|key| key.from != from) {
                *row = Some(Key { bytes: Zeroizing::new(fresh()), from });
            }
        }
    }

    /// The pseudonyms of a vehicle read at that instant; `None` when a key of that instant is not there any more, or not yet:
    /// such a read is left out of the statistics.
    pub fn pseudonyms(&self, plate: &Plate, country: Country, at: WallTime) -> Option<Pseudonyms> {
        let [quarter, between] = &self.rows;
        let token = |key: &Option<Key>| key.as_ref().filter(|key| key.holds(at)).map(|key| key.token(plate, country));
        Some(Pseudonyms { quarter: token(quarter)?, between: token(between)? })
    }
}

impl Key {
    fn holds(&self, at: WallTime) -> bool {
        (0..LIFE_US).contains(&at.micros_since(self.from))
    }

    fn token(&self, plate: &Plate, country: Country) -> Token {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.bytes).expect("a key of any length should do for HMAC");
        mac.update(country.as_str().as_bytes());
        mac.update(&[0]);
        mac.update(plate.reveal().as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut token = [0; 16];
        for (to, from) in token.iter_mut().zip(digest) {
            *to = from;
        }
        Token(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(now: i64, seed: &mut u8) -> Keyring {
        let mut ring = Keyring::new();
        turn(&mut ring, now, seed);
        ring
    }

    fn turn(ring: &mut Keyring, now: i64, seed: &mut u8) {
        ring.turn(WallTime::from_secs(now), || {
            *seed += 1;
            [*seed; 32]
        });
    }

    fn of(ring: &Keyring, plate: &str, at: i64) -> Option<Pseudonyms> {
        ring.pseudonyms(&Plate::parse(plate).unwrap(), Country::BELGIUM, WallTime::from_secs(at))
    }

    #[test]
    fn tokens_join_within_a_key_and_never_beyond() {
        let (start, mut seed) = (1_795_300_200, 0); // a quarter of an hour
        assert_eq!(start % 900, 0);
        let mut keys = ring(start, &mut seed);
        assert_eq!(of(&keys, "1ABC123", start), of(&keys, "1-ABC-123", start + 449));
        assert_ne!(of(&keys, "1ABC123", start), of(&keys, "1ABC124", start));
        let first = of(&keys, "1ABC123", start).unwrap();
        turn(&mut keys, start + 450, &mut seed);
        let second = of(&keys, "1ABC123", start + 450).unwrap();
        assert_eq!((first.quarter == second.quarter, first.between == second.between), (true, false));
        turn(&mut keys, start + 900, &mut seed);
        let third = of(&keys, "1ABC123", start + 900).unwrap();
        assert_eq!((second.quarter == third.quarter, second.between == third.between), (false, true));
        // The old key is gone: a late read has no pseudonym.
        assert_eq!(of(&keys, "1ABC123", start + 899), None);
        assert_eq!(of(&keys, "1ABC123", start + 1_800), None);
        assert_eq!(seed, 4);
    }

    #[test]
    fn every_seven_and_a_half_minutes_share_a_key() {
        for start in (1_795_300_200..1_795_302_000).step_by(7) {
            let end = start + 450;
            let shared = PHASES_US.into_iter().any(|phase| {
                let of = |at| floor_from(WallTime::from_secs(at), LIFE_US, phase);
                of(start) == of(end - 1)
            });
            assert!(shared, "{start}");
        }
    }

    #[test]
    fn nothing_is_shown() {
        let (start, mut seed) = (1_795_300_200, 0);
        let keys = ring(start, &mut seed);
        let shown = format!("{keys:?} {:?}", of(&keys, "1ABC123", start));
        assert!(!shown.contains("1ABC123") && !shown.contains("[1, 1"), "{shown}");
    }
}
