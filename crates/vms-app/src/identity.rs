//! Second factors, step-up, profiles of an account, and what an account must show before it opens a session.
//!
//! Belongs here: rules and use cases of identity. Does not belong here: who may do what (`gate`), the log-in itself
//! (`login`), HTTP, SQL.

mod factors;
pub mod machines;
pub mod model;
pub mod oidc;
mod own;
pub mod ports;
mod profiles;
pub mod rules;
pub mod seal;
pub mod secrets;
pub mod totp;
pub mod webauthn;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use vms_core::{SessionId, WallTime};

use crate::error::{Conflict, UseCaseError};
use crate::identity::seal::FactorKey;
use crate::identity::webauthn::Site;

pub use model::{Factor, FactorKind, FactorsOverview, KeyAnswer, KeyChallenge, Pending, Proof, TotpBegun};
pub use ports::IdentityStore;
pub use rules::{IdentityRules, Unmet};

/// A set of breached passwords, by the SHA-1 of their UTF-8.
pub trait BreachedPasswords: Send + Sync + std::fmt::Debug {
    /// Whether a digest is among them. It may read a disk.
    ///
    /// # Errors
    /// It can't be read.
    fn holds(&self, sha1: &[u8; 20]) -> std::io::Result<bool>;
}

/// What wiring gives to the use cases of identity.
#[derive(Clone, Debug, Default)]
pub struct IdentityParts {
    /// Seals the secrets of second factors; without it none can be enrolled.
    pub key: Option<Arc<FactorKey>>,
    /// The console's address, for security keys; without one there are only codes.
    pub site: Option<Site>,
    /// Passwords that were breached somewhere; without them the lists inside the program alone.
    pub breached: Option<Arc<dyn BreachedPasswords>>,
    /// Where people may log in besides; without one there are only passwords.
    pub provider: Option<Arc<dyn oidc::IdentityProvider>>,
    /// What of its word counts as a second factor.
    pub provider_factors: oidc::ProviderFactors,
    /// Name of this installation in the exceptions of `seed/identity.toml`; empty: it is none of them.
    pub installation: String,
}

impl IdentityParts {
    pub(crate) fn key(&self) -> Result<&FactorKey, UseCaseError> {
        self.key.as_deref().ok_or(UseCaseError::Conflict(Conflict::NoSuchService("second factors")))
    }

    pub(crate) fn site(&self) -> Result<&Site, UseCaseError> {
        self.site.as_ref().ok_or(UseCaseError::Conflict(Conflict::NoSuchService("security keys")))
    }
}

/// Challenges of security keys that wait for an answer; full means the oldest go first.
const CHALLENGES_MAX: usize = 10_000;
/// A challenge not answered in this time is dead.
const CHALLENGE_LIFE_US: i64 = 300_000_000;

/// One challenge a session, good for one answer.
#[derive(Debug, Default)]
pub(crate) struct Challenges(Mutex<HashMap<SessionId, (WallTime, [u8; 32])>>);

impl Challenges {
    pub(crate) fn put(&self, session: SessionId, now: WallTime, bytes: [u8; 32]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (made, _)| now.micros_since(*made) < CHALLENGE_LIFE_US);
        if all.len() >= CHALLENGES_MAX
            && let Some(oldest) = all.iter().min_by_key(|(_, (made, _))| made.micros).map(|(session, _)| *session)
        {
            all.remove(&oldest);
        }
        all.insert(session, (now, bytes));
    }

    /// Takes it away: the next answer needs a new one.
    pub(crate) fn take(&self, session: SessionId, now: WallTime) -> Option<[u8; 32]> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
        found.filter(|(made, _)| now.micros_since(*made) < CHALLENGE_LIFE_US).map(|(_, bytes)| bytes)
    }
}
