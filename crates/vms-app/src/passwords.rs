//! Password hashing: argon2id, few at a time, the same time for known and unknown users.

use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::{BoxError, UseCaseError};
use crate::ports::{Ids, random_bytes};

/// Hashes that run at once: a log-in storm takes half of the machine at most, and never the recorder's share (`reliability.md` A6).
const RUNNING_MAX: usize = 4;
/// Log-ins that may wait for their turn; more are turned away.
const WAITING_MAX: usize = 64;
/// Least memory for argon2id, KiB (OWASP password storage cheat sheet: 19 MiB with two passes).
pub const MEMORY_KIB_MIN: u32 = 19 * 1024;
/// Longest password that is hashed, bytes.
pub const PASSWORD_LEN_MAX: usize = 256;
/// Shortest password that a person may choose, characters (NIST SP 800-63B-4: 15 where it is the only factor).
pub const PASSWORD_CHARS_MIN: usize = 15;

/// Cost of one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB, raised to [`MEMORY_KIB_MIN`] when lower.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// Hashes and checks passwords.
pub struct Passwords {
    params: Params,
    running: Semaphore,
    waiting: AtomicUsize,
    /// A hash of random bytes: what an unknown user's password is compared with.
    decoy: String,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").field("params", &self.params).finish_non_exhaustive()
    }
}

impl Passwords {
    /// Makes the decoy, which costs one hash.
    ///
    /// # Errors
    /// When the cost is outside what argon2 takes.
    pub fn new(cost: PasswordCost, ids: &dyn Ids) -> Result<Self, BoxError> {
        let memory = cost.memory_kib.max(MEMORY_KIB_MIN);
        let params = Params::new(memory, cost.passes.max(2), 1, None).map_err(|error| error.to_string())?;
        let clear = Zeroizing::new(hex::encode(random_bytes::<16>(ids)));
        let decoy = hash_now(&params, &clear, &random_bytes(ids))?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let running = Semaphore::new((cores / 2).clamp(1, RUNNING_MAX));
        Ok(Self { params, running, waiting: AtomicUsize::new(0), decoy })
    }

    /// The PHC string of a password.
    ///
    /// # Errors
    /// `TooManyTries` when too many wait already.
    pub async fn hash(&self, clear: Zeroizing<String>, salt: [u8; 16]) -> Result<String, UseCaseError> {
        let params = self.params.clone();
        self.run(move || hash_now(&params, &clear, &salt)).await
    }

    /// Whether `clear` is the password behind `hash`. Without a hash the same work is done and the answer is no.
    ///
    /// # Errors
    /// `TooManyTries` when too many wait already.
    pub async fn check(&self, clear: Zeroizing<String>, hash: Option<String>) -> Result<bool, UseCaseError> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.clone());
        let fits = self.run(move || check_now(&clear, &hash)).await?;
        Ok(is_known && fits)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, UseCaseError> {
        let turn = Waiting::enter(&self.waiting)?;
        let running = self.running.acquire().await.map_err(|error| UseCaseError::Internal(error.into()))?;
        drop(turn);
        let outcome = tokio::task::spawn_blocking(work).await;
        drop(running);
        outcome.map_err(|error| UseCaseError::Internal(error.into()))?.map_err(UseCaseError::Internal)
    }
}

/// Counts who waits, also when the waiting request is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, UseCaseError> {
        if count.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            count.fetch_sub(1, Ordering::Relaxed);
            return Err(UseCaseError::TooManyTries { retry_after: std::time::Duration::from_secs(5) });
        }
        Ok(Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn hash_now(params: &Params, clear: &str, salt: &[u8; 16]) -> Result<String, BoxError> {
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let hash: PasswordHash =
        argon.hash_password_with_salt(clear.as_bytes(), salt).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

fn check_now(clear: &str, hash: &str) -> Result<bool, BoxError> {
    let hash = PasswordHash::new(hash).map_err(|error| error.to_string())?;
    // The cost in the hash counts, so that old hashes stay valid when the cost is raised.
    Ok(Argon2::default().verify_password(clear.as_bytes(), &hash).is_ok())
}

/// A password for the command line to print once: 20 characters from an alphabet without look-alikes, ~ 99 bits.
pub fn one_time_password(ids: &dyn Ids) -> Zeroizing<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";
    let raw = random_bytes::<20>(ids);
    Zeroizing::new(raw.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32))).map(|c| char::from(*c)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::FixedIds;

    #[tokio::test]
    async fn right_passes_wrong_and_unknown_do_not() {
        let ids = FixedIds::default();
        let passwords = Passwords::new(PasswordCost { memory_kib: 1, passes: 1 }, &ids).unwrap();
        let clear = |text: &str| Zeroizing::new(text.to_owned());
        let hash = passwords.hash(clear("correct horse"), [7; 16]).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for (given, stored, wanted) in [
            ("correct horse", Some(hash.clone()), true),
            ("wrong horse", Some(hash.clone()), false),
            ("correct horse", None, false),
        ] {
            assert_eq!(passwords.check(clear(given), stored).await.unwrap(), wanted);
        }
    }

    #[test]
    fn one_time_passwords_are_long_and_differ() {
        let ids = FixedIds::default();
        let (first, second) = (one_time_password(&ids), one_time_password(&ids));
        assert_eq!(first.len(), 20);
        assert_ne!(first, second);
    }
}
