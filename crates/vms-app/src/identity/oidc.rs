//! Log-in by an identity provider (`OpenID` Connect): what waits for an answer, whose account it is, what counts as a second factor.
//!
//! An administrator links an account to the provider's name for the person beforehand. Nobody else gets in, and no account is made by
//! a log-in. The provider's own second factor counts only as far as the installation says so; else ours follows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use audit::LeafKind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use vms_core::{UserId, WallTime};
use zeroize::Zeroizing;

use crate::cases::UseCases;
use crate::error::{BoxError, Conflict, UseCaseError};
use crate::login::{Opened, Shown, barred_words};
use crate::ports::random_bytes;

/// Log-ins that are at the provider now; full means the oldest go first.
const ATTEMPTS_MAX: usize = 10_000;
/// Who has not come back in this time begins again.
const ATTEMPT_LIFE_US: i64 = 600_000_000;
/// Longest pieces that a browser may bring back, bytes.
const PIECE_MAX: usize = 2_048;
/// Longest name that a provider may have for a person, bytes (`OpenID` Connect Core 2: 255 ASCII characters).
pub const SUBJECT_MAX: usize = 255;

/// A log-in that is at the provider: what its answer must fit.
pub struct Attempt {
    /// Comes back in the address.
    pub state: String,
    /// Comes back in the token.
    pub nonce: String,
    /// The secret half of PKCE.
    pub verifier: Zeroizing<String>,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attempt(hidden)")
    }
}

/// Somebody whom the provider knows, once its token was checked.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProvenPerson {
    /// Whose word it is.
    pub issuer: String,
    /// The provider's name for the person; never reused by it for another.
    pub subject: String,
    /// How strongly the person showed who they are, in the provider's words.
    pub acr: Option<String>,
    /// By which means (RFC 8176).
    pub amr: Vec<String>,
    /// When the provider asked the person itself; a running session there does not count.
    pub asked_at: Option<WallTime>,
}

impl std::fmt::Debug for ProvenPerson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProvenPerson").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Why the provider's word is none.
#[derive(Debug, thiserror::Error)]
pub enum ProviderFault {
    /// It does not answer.
    #[error("the identity provider does not answer")]
    Away(#[source] BoxError),
    /// It answered no, or something that does not count. The word is for the log, never for the caller.
    #[error("the identity provider's answer does not count: {0}")]
    Refused(&'static str),
}

/// An identity provider.
#[async_trait]
pub trait IdentityProvider: Send + Sync + std::fmt::Debug {
    /// What people call it.
    fn name(&self) -> &str;
    /// What it calls itself.
    fn issuer(&self) -> &str;
    /// Where the browser goes.
    async fn address(&self, attempt: &Attempt, now: WallTime) -> Result<String, ProviderFault>;
    /// Who came back with this code. A code counts once.
    async fn redeem(&self, code: &str, attempt: &Attempt, now: WallTime) -> Result<ProvenPerson, ProviderFault>;
}

/// What of the provider's word counts as a second factor here. Empty: nothing does, and ours follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderFactors {
    /// Values of `acr`.
    pub acr: Vec<String>,
    /// Values of `amr`, such as `mfa` or `otp`.
    pub amr: Vec<String>,
    /// Values of `amr` that say that it was a hardware key, such as `hwk`.
    pub hardware_amr: Vec<String>,
}

impl ProviderFactors {
    fn shown(&self, person: &ProvenPerson) -> Option<Shown> {
        let any = |known: &[String]| person.amr.iter().any(|one| known.contains(one));
        let hard = any(&self.hardware_amr);
        let counts = hard || any(&self.amr) || person.acr.as_ref().is_some_and(|acr| self.acr.contains(acr));
        // As old as the provider's own question: a session that runs there since the morning shows nothing now.
        person.asked_at.filter(|_| counts).map(|at| Shown { at, hard })
    }
}

/// A log-in begun.
pub struct Begun {
    /// Where the browser goes.
    pub address: String,
    /// The value of a cookie: only the browser that began may end.
    pub binding: Zeroizing<String>,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Begun(hidden)")
    }
}

/// What the browser brings back.
pub struct Returned<'a> {
    /// The cookie's value.
    pub binding: &'a str,
    /// `state` of the address.
    pub state: &'a str,
    /// `code` of the address.
    pub code: Zeroizing<String>,
    /// `iss` of the address, where the provider names itself (RFC 9207).
    pub issuer: Option<&'a str>,
}

impl std::fmt::Debug for Returned<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Returned(hidden)")
    }
}

/// An account's name at the provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// Whose account.
    pub user: UserId,
    /// The provider.
    pub issuer: String,
    /// Its name for the person.
    pub subject: String,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("user", &self.user).finish_non_exhaustive()
    }
}

type Binding = [u8; 32];

/// Log-ins that wait for the provider, by the hash of their cookie. Each may be answered once.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<Binding, (WallTime, Attempt)>>);

impl Attempts {
    fn put(&self, binding: Binding, now: WallTime, attempt: Attempt) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (made, _)| now.micros_since(*made) < ATTEMPT_LIFE_US);
        if all.len() >= ATTEMPTS_MAX
            && let Some(oldest) = all.iter().min_by_key(|(_, (made, _))| made.micros).map(|(binding, _)| *binding)
        {
            all.remove(&oldest);
        }
        all.insert(binding, (now, attempt));
    }

    fn take(&self, binding: &Binding, now: WallTime) -> Option<Attempt> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(binding);
        found.filter(|(made, _)| now.micros_since(*made) < ATTEMPT_LIFE_US).map(|(_, attempt)| attempt)
    }
}

fn binding_of(cookie: &str) -> Binding {
    Sha256::digest(cookie.as_bytes()).into()
}

impl UseCases {
    fn provider(&self) -> Result<&dyn IdentityProvider, UseCaseError> {
        let provider = self.extensions().identity.provider.as_deref();
        provider.ok_or(UseCaseError::Conflict(Conflict::NoSuchService("identity provider")))
    }

    /// What people call the identity provider, where there is one.
    pub fn provider_name(&self) -> Option<&str> {
        self.extensions().identity.provider.as_deref().map(IdentityProvider::name)
    }

    /// Sends a browser to the identity provider.
    ///
    /// # Errors
    /// `Conflict(NoSuchService)` where none is configured, `TooManyTries`, `Unavailable` when it does not answer.
    pub async fn provider_begin(&self, source: &str) -> Result<Begun, UseCaseError> {
        let (provider, now) = (self.provider()?, self.now());
        self.count_source(source, now)?;
        let random = || B64.encode(random_bytes::<32>(self.ids.as_ref()));
        let attempt = Attempt { state: random(), nonce: random(), verifier: Zeroizing::new(random()) };
        let address = provider.address(&attempt, now).await.map_err(|fault| UseCaseError::Unavailable(fault.into()))?;
        let binding = Zeroizing::new(random());
        self.attempts.put(binding_of(&binding), now, attempt);
        Ok(Begun { address, binding })
    }

    /// Ends a log-in at the identity provider: a session for the account that is linked to whoever came back.
    ///
    /// # Errors
    /// `LoginBarred` with `provider_refused`, `not_linked` or what keeps the account from a session, each logged; `Unavailable`,
    /// `TooManyTries`, `LogUnavailable`.
    pub async fn provider_end(&self, back: Returned<'_>, source: &str) -> Result<Opened, UseCaseError> {
        let (provider, now) = (self.provider()?, self.now());
        // Taken away whatever follows: an answer counts once.
        let attempt = self.attempts.take(&binding_of(back.binding), now);
        let person = match self.came_back(provider, attempt, &back, now).await {
            Ok(person) => person,
            Err(ProviderFault::Away(error)) => return Err(UseCaseError::Unavailable(error)),
            Err(ProviderFault::Refused(why)) => return Err(self.provider_refused("provider_refused", why).await),
        };
        let link = self.stores.link_user(&person.issuer, &person.subject).await?;
        let account = match link {
            Some(user) => self.stores.account_of_session(user).await?,
            None => None,
        };
        let Some(account) = account else {
            return Err(self.provider_refused("not_linked", "not_linked").await);
        };
        if let Some(why) = self.barred_from_session(&account, now) {
            self.record("login_failed", LeafKind::Session, None, json!({ "why": why, "by": "provider" })).await?;
            return Err(if barred_words(why).is_empty() {
                UseCaseError::LoginFailed
            } else {
                UseCaseError::LoginBarred(why)
            });
        }
        let shown = self.extensions().identity.provider_factors.shown(&person);
        let opened = self.open_session(account, now, "provider", shown).await?;
        self.forgive_source(source);
        Ok(opened)
    }

    async fn came_back(
        &self,
        provider: &dyn IdentityProvider,
        attempt: Option<Attempt>,
        back: &Returned<'_>,
        now: WallTime,
    ) -> Result<ProvenPerson, ProviderFault> {
        let attempt = attempt.ok_or(ProviderFault::Refused("no_attempt"))?;
        if back.state.len() > PIECE_MAX || back.code.is_empty() || back.code.len() > PIECE_MAX {
            return Err(ProviderFault::Refused("malformed"));
        }
        let same: bool = attempt.state.as_bytes().ct_eq(back.state.as_bytes()).into();
        if !same {
            return Err(ProviderFault::Refused("state"));
        }
        if back.issuer.is_some_and(|issuer| issuer != provider.issuer()) {
            return Err(ProviderFault::Refused("answer_of_another"));
        }
        let person = provider.redeem(&back.code, &attempt, now).await?;
        // The library held it against the metadata; here it is held against the configuration.
        let is_ours =
            person.issuer == provider.issuer() && !person.subject.is_empty() && person.subject.len() <= SUBJECT_MAX;
        is_ours.then_some(person).ok_or(ProviderFault::Refused("token_issuer"))
    }

    async fn provider_refused(&self, told: &'static str, why: &'static str) -> UseCaseError {
        let details = json!({ "why": why, "by": "provider" });
        match self.record("login_failed", LeafKind::Session, None, details).await {
            Ok(()) => UseCaseError::LoginBarred(told),
            Err(error) => error,
        }
    }

    /// Names of accounts at the provider.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn links(&self) -> Result<HashMap<UserId, String>, UseCaseError> {
        let Some(provider) = self.extensions().identity.provider.as_deref() else { return Ok(HashMap::new()) };
        let list = self.stores.link_list(provider.issuer()).await?;
        Ok(list.into_iter().map(|link| (link.user, link.subject)).collect())
    }

    /// Links an account to a name at the provider, or takes the link away (an empty name). The caller has asked the gate.
    pub(crate) async fn link_set(&self, user: UserId, subject: &str, now: WallTime) -> Result<(), UseCaseError> {
        let provider = self.provider()?;
        let subject = subject.trim();
        if subject.is_empty() {
            return Ok(self.stores.link_delete(user, provider.issuer()).await?);
        }
        if subject.len() > SUBJECT_MAX || subject.chars().any(char::is_control) {
            return Err(UseCaseError::invalid("provider_subject", "malformed"));
        }
        let link = Link { user, issuer: provider.issuer().to_owned(), subject: subject.to_owned() };
        Ok(self.stores.link_put(&link, now).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(n: u8) -> Attempt {
        Attempt { state: format!("s{n}"), nonce: format!("n{n}"), verifier: Zeroizing::new(format!("v{n}")) }
    }

    #[test]
    fn an_attempt_is_answered_once_and_in_time() {
        let (attempts, at) = (Attempts::default(), WallTime::from_secs);
        attempts.put(binding_of("a"), at(0), attempt(1));
        attempts.put(binding_of("b"), at(1), attempt(2));
        assert_eq!(attempts.take(&binding_of("a"), at(599)).unwrap().state, "s1");
        assert!(attempts.take(&binding_of("a"), at(599)).is_none(), "once");
        assert!(attempts.take(&binding_of("b"), at(601)).is_none(), "too late");
        assert!(attempts.take(&binding_of("c"), at(1)).is_none(), "never begun");
    }

    #[test]
    fn strangers_who_begin_and_leave_fill_no_memory() {
        let (attempts, at) = (Attempts::default(), WallTime::from_secs);
        for n in 0..ATTEMPTS_MAX + 5 {
            attempts.put(binding_of(&n.to_string()), at(i64::try_from(n / 1_000).unwrap()), attempt(1));
        }
        assert_eq!(attempts.0.lock().unwrap().len(), ATTEMPTS_MAX);
        assert!(attempts.take(&binding_of(&(ATTEMPTS_MAX + 4).to_string()), at(11)).is_some(), "the youngest stays");
    }

    #[test]
    fn the_providers_factor_counts_as_far_as_the_installation_says() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let at = WallTime::from_secs(100);
        let person = |acr: Option<&str>, amr: &[&str], asked: bool| ProvenPerson {
            acr: acr.map(str::to_owned),
            amr: words(amr),
            asked_at: asked.then_some(at),
            ..ProvenPerson::default()
        };
        let rules = ProviderFactors { acr: words(&["high"]), amr: words(&["mfa"]), hardware_amr: words(&["hwk"]) };
        for (acr, amr, asked, wanted) in [
            (None, &["pwd"][..], true, None),
            (None, &["pwd", "mfa"], true, Some(false)),
            (None, &["pwd", "hwk"], true, Some(true)),
            (Some("high"), &[], true, Some(false)),
            (Some("low"), &[], true, None),
            // Nobody knows when: it may have been last week.
            (Some("high"), &["mfa", "hwk"], false, None),
        ] {
            let shown = rules.shown(&person(acr, amr, asked));
            assert_eq!(shown.map(|shown| shown.hard), wanted, "{acr:?} {amr:?} {asked}");
            assert!(shown.is_none_or(|shown| shown.at == at));
            assert_eq!(ProviderFactors::default().shown(&person(acr, amr, asked)), None, "nothing configured");
        }
    }
}
