//! Sealing of second factors' secrets: AES-256-GCM, bound to the account and the factor that they belong to.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::error::UseCaseError;
use crate::ports::{Ids, random_bytes};

/// The key, from a file that only the program's user reads; it is not in the database and not in its backups.
pub struct FactorKey(LessSafeKey);

impl std::fmt::Debug for FactorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FactorKey(hidden)")
    }
}

fn broken(what: &'static str) -> UseCaseError {
    UseCaseError::Internal(what.into())
}

impl FactorKey {
    /// From 32 secret bytes.
    ///
    /// # Errors
    /// Never for 32 bytes; the library wants it said.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, UseCaseError> {
        UnboundKey::new(&AES_256_GCM, bytes).map(LessSafeKey::new).map(Self).map_err(|_| broken("the key of factors"))
    }

    /// Seals `clear`; opens only with the same `context`.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn seal(&self, ids: &dyn Ids, context: &str, clear: &[u8]) -> Result<Vec<u8>, UseCaseError> {
        let nonce = random_bytes::<NONCE_LEN>(ids);
        let mut body = clear.to_vec();
        let aad = Aad::from(context.as_bytes());
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| broken("sealing a factor"))?;
        Ok(nonce.into_iter().chain(body).collect())
    }

    /// Opens what [`FactorKey::seal`] made.
    ///
    /// # Errors
    /// `Internal` for anything else: another key, another account, changed bytes.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UseCaseError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(|| broken("a sealed factor is cut"))?;
        let mut body = Zeroizing::new(body.to_vec());
        let aad = Aad::from(context.as_bytes());
        let clear = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut body).map_err(|_| {
            broken("a sealed factor does not open: the file keys/factors.key is not the one it was sealed with")
        })?;
        Ok(Zeroizing::new(clear.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::FixedIds;

    #[test]
    fn only_the_same_key_and_account_open() {
        let (key, other) = (FactorKey::new(&[1; 32]).unwrap(), FactorKey::new(&[2; 32]).unwrap());
        let sealed = key.seal(&FixedIds::default(), "usr_1 f1", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(*key.open("usr_1 f1", &sealed).unwrap(), b"secret");
        let mut changed = sealed.clone();
        changed[14] ^= 1;
        for (key, context, sealed) in [
            (&key, "usr_2 f1", &sealed),
            (&other, "usr_1 f1", &sealed),
            (&key, "usr_1 f1", &changed),
            (&key, "usr_1 f1", &vec![0; 5]),
        ] {
            key.open(context, sealed).unwrap_err();
        }
    }
}
