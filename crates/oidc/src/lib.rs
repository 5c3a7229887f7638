//! Log-in at an identity provider: `OpenID` Connect, authorization code with PKCE.
//!
//! Belongs here: what is said to the provider and what its answer is worth (`openidconnect` reads and checks the tokens; we say which
//! algorithms, which clock, how old). Does not belong here: whose account it is and what it may (`vms_app::identity::oidc`), cookies.
//!
//! Its addresses come from the configured issuer alone: no redirect is followed, and nothing that a browser sends chooses where we ask.

mod http_client;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdTokenClaims, CoreJwsSigningAlgorithm, CoreProviderMetadata,
    CoreTokenResponse,
};
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, SignatureVerificationError, TokenResponse as _,
};
use vms_app::identity::oidc::{Attempt, IdentityProvider, ProvenPerson, ProviderFault};
use vms_core::WallTime;
use zeroize::Zeroizing;

use crate::http_client::HttpClient;

pub use reqwest::Certificate;

/// The provider's own description and keys are read again after this long.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);
/// A token signed with a key that we do not know makes us look at the keys again, at most so often.
const KEYS_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// A provider that did not answer is not asked again at once: a stranger's click must not become a flood.
const AWAY_FOR: Duration = Duration::from_secs(3);
/// A token may be so old when it comes, and so far ahead of our clock.
const TOKEN_AGE_MAX_S: i64 = 300;
const CLOCKS_APART_S: i64 = 60;

/// Whom to trust, and as whom.
#[derive(Clone)]
pub struct Settings {
    /// What the button of the log-in page says.
    pub name: String,
    /// The provider's issuer, exactly as it names itself: `https`, or `http` on this machine alone.
    pub issuer: String,
    /// Our name at the provider.
    pub client_id: String,
    /// Our secret there; without one we are a public client with PKCE alone.
    pub client_secret: Option<Zeroizing<String>>,
    /// Where the provider sends the browser back to.
    pub redirect: String,
    /// The provider must have asked the person itself within this time.
    pub asked_within: Duration,
    /// Certificate authorities of the provider; empty: those of this machine.
    pub authorities: Vec<Certificate>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Why settings are no good.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not an address, or not one that may be an issuer.
    #[error(
        "`{0}` can be no issuer: it must be an https address (http on this machine alone) without query or fragment"
    )]
    Issuer(String),
    /// Not an address.
    #[error("`{0}` is no address to come back to")]
    Redirect(String),
    /// The HTTP side could not be made.
    #[error("the HTTP side can't be made")]
    Http(#[source] reqwest::Error),
}

/// Certificate authorities of a PEM file.
///
/// # Errors
/// When it does not read.
pub fn authorities(pem: &[u8]) -> Result<Vec<Certificate>, reqwest::Error> {
    Certificate::from_pem_bundle(pem)
}

/// What the provider says of itself, with its keys.
#[derive(Debug)]
struct Known {
    metadata: CoreProviderMetadata,
    read_at: WallTime,
}

#[derive(Debug, Default)]
struct Memory {
    known: Option<Arc<Known>>,
    failed_at: Option<WallTime>,
}

/// A provider. The first log-in asks it for its description; it need not answer when we start.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    http: HttpClient,
    memory: Mutex<Memory>,
}

/// Signatures that we take: of the provider's own key pair only. Never `none`, and never one made with our shared secret.
fn algorithms() -> [CoreJwsSigningAlgorithm; 5] {
    use CoreJwsSigningAlgorithm as A;
    [A::RsaSsaPkcs1V15Sha256, A::RsaSsaPssSha256, A::EcdsaP256Sha256, A::EcdsaP384Sha384, A::EdDsa]
}

fn instant(at: WallTime) -> Result<DateTime<Utc>, ProviderFault> {
    DateTime::from_timestamp_micros(at.micros).ok_or(ProviderFault::Refused("clock"))
}

fn is_issuer(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(at)) => at.is_loopback(),
        Some(url::Host::Ipv6(at)) => at.is_loopback(),
        None => return false,
    };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && local);
    scheme && url.query().is_none() && url.fragment().is_none() && url.username().is_empty()
}

/// One word for the log for each reason; the caller hears none of them.
fn word(error: &ClaimsVerificationError) -> &'static str {
    use ClaimsVerificationError as E;
    match error {
        E::Expired(_) => "token_time",
        E::InvalidAudience(_) => "token_audience",
        E::InvalidAuthContext(_) => "token_context",
        E::InvalidAuthTime(_) => "asked_too_long_ago",
        E::InvalidIssuer(_) => "token_issuer",
        E::InvalidNonce(_) => "token_nonce",
        E::InvalidSubject(_) => "token_subject",
        E::SignatureVerification(_) => "token_signature",
        E::Other(_) | E::Unsupported(_) | _ => "token",
    }
}

/// A key that we do not know, or a known name with another key behind it.
const fn is_of_unknown_key(error: &ClaimsVerificationError) -> bool {
    use SignatureVerificationError as S;
    matches!(error, ClaimsVerificationError::SignatureVerification(S::NoMatchingKey | S::CryptoError(_)))
}

impl Provider {
    /// Checks the settings; asks nothing yet.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let issuer =
            Some(&settings.issuer).filter(|text| is_issuer(text)).and_then(|text| IssuerUrl::new(text.clone()).ok());
        let issuer = issuer.ok_or_else(|| SettingsError::Issuer(settings.issuer.clone()))?;
        let redirect = RedirectUrl::new(settings.redirect.clone());
        let redirect = redirect.map_err(|_| SettingsError::Redirect(settings.redirect.clone()))?;
        let http = HttpClient::new(&settings.authorities).map_err(SettingsError::Http)?;
        Ok(Self { settings, issuer, redirect, http, memory: Mutex::default() })
    }

    /// What was read before, while it is fresh; `since` asks for something younger.
    fn remembered(&self, now: WallTime, age_max: Duration) -> Result<Option<Arc<Known>>, ProviderFault> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memory.known.as_ref().filter(|known| now < known.read_at.plus(age_max)) {
            return Ok(Some(Arc::clone(known)));
        }
        if memory.failed_at.is_some_and(|at| now < at.plus(AWAY_FOR)) {
            return Err(ProviderFault::Away("it did not answer a moment ago".into()));
        }
        Ok(None)
    }

    /// The provider's description and keys, at most `age_max` old. No lock is held while it is asked.
    async fn known(&self, now: WallTime, age_max: Duration) -> Result<Arc<Known>, ProviderFault> {
        if let Some(known) = self.remembered(now, age_max)? {
            return Ok(known);
        }
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(metadata) => {
                let known = Arc::new(Known { metadata, read_at: now });
                memory.known = Some(Arc::clone(&known));
                memory.failed_at = None;
                Ok(known)
            }
            Err(error) => {
                memory.failed_at = Some(now);
                Err(ProviderFault::Away(error.to_string().into()))
            }
        }
    }

    fn secret(&self) -> Option<ClientSecret> {
        self.settings.client_secret.as_ref().map(|secret| ClientSecret::new(secret.to_string()))
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.settings.client_id.clone())
    }

    async fn exchange(&self, known: &Known, code: &str, attempt: &Attempt) -> Result<CoreTokenResponse, ProviderFault> {
        let client = CoreClient::from_provider_metadata(known.metadata.clone(), self.client_id(), self.secret())
            .set_redirect_uri(self.redirect.clone());
        let request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| ProviderFault::Away("it names no token endpoint".into()))?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.to_string()));
        request.request_async(&self.http).await.map_err(|error| match error {
            RequestTokenError::Request(error) => ProviderFault::Away(error.into()),
            RequestTokenError::ServerResponse(_) => ProviderFault::Refused("code"),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => ProviderFault::Refused("answer"),
        })
    }

    /// The claims of the answer's ID token, once everything about it is as it must be.
    fn checked<'a>(
        &self,
        known: &Known,
        answer: &'a CoreTokenResponse,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<&'a CoreIdTokenClaims, ClaimsVerificationError> {
        let token = answer.id_token().ok_or_else(|| ClaimsVerificationError::Other("no ID token".to_owned()))?;
        let client = CoreClient::from_provider_metadata(known.metadata.clone(), self.client_id(), self.secret());
        let asked_within = i64::try_from(self.settings.asked_within.as_secs()).unwrap_or(i64::MAX);
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(algorithms())
            .set_time_fn(move || now)
            .set_issue_time_verifier_fn(move |made| {
                let age = now.signed_duration_since(made).num_seconds();
                let fits = (-CLOCKS_APART_S..=TOKEN_AGE_MAX_S).contains(&age);
                fits.then_some(()).ok_or_else(|| "not made just now".to_owned())
            })
            .set_auth_time_verifier_fn(move |asked| {
                let age = asked.map(|asked| now.signed_duration_since(asked).num_seconds());
                let fits =
                    age.is_some_and(|age| age >= -CLOCKS_APART_S && age <= asked_within.saturating_add(CLOCKS_APART_S));
                fits.then_some(()).ok_or_else(|| "the person was asked too long ago".to_owned())
            });
        token.claims(&verifier, &Nonce::new(attempt.nonce.clone()))
    }
}

fn person(claims: &CoreIdTokenClaims, now: WallTime) -> ProvenPerson {
    let amr = claims.auth_method_refs().into_iter().flatten();
    let asked_at = claims.auth_time().map(|at| WallTime::from_micros(at.timestamp_micros()).min(now));
    ProvenPerson {
        issuer: claims.issuer().to_string(),
        subject: claims.subject().to_string(),
        acr: claims.auth_context_ref().map(|acr| acr.to_string()),
        amr: amr.map(|one| one.to_string()).collect(),
        asked_at,
    }
}

#[async_trait]
impl IdentityProvider for Provider {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    async fn address(&self, attempt: &Attempt, now: WallTime) -> Result<String, ProviderFault> {
        let known = self.known(now, KNOWN_FOR).await?;
        let client = CoreClient::from_provider_metadata(known.metadata.clone(), self.client_id(), self.secret())
            .set_redirect_uri(self.redirect.clone());
        let (state, nonce) = (attempt.state.clone(), attempt.nonce.clone());
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let request = client.authorize_url(flow, move || CsrfToken::new(state), move || Nonce::new(nonce));
        let verifier = PkceCodeVerifier::new(attempt.verifier.to_string());
        let request = request
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .set_max_age(self.settings.asked_within);
        let (address, _, _) = request.url();
        Ok(address.to_string())
    }

    async fn redeem(&self, code: &str, attempt: &Attempt, now: WallTime) -> Result<ProvenPerson, ProviderFault> {
        let at = instant(now)?;
        let known = self.known(now, KNOWN_FOR).await?;
        let answer = self.exchange(&known, code, attempt).await?;
        let refused = |error: &ClaimsVerificationError| {
            tracing::debug!(why = word(error), "an ID token does not count");
            ProviderFault::Refused(word(error))
        };
        match self.checked(&known, &answer, attempt, at) {
            Ok(claims) => Ok(person(claims, now)),
            // The provider may have changed its keys: one look, and not at every stranger's bidding.
            Err(error) if is_of_unknown_key(&error) => {
                let known = self.known(now, KEYS_AGAIN_AFTER).await?;
                let claims = self.checked(&known, &answer, attempt, at).map_err(|error| refused(&error))?;
                Ok(person(claims, now))
            }
            Err(error) => Err(refused(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(issuer: &str, redirect: &str) -> Settings {
        Settings {
            name: "Politie".to_owned(),
            issuer: issuer.to_owned(),
            client_id: "belfry".to_owned(),
            client_secret: Some(Zeroizing::new("planted-secret".to_owned())),
            redirect: redirect.to_owned(),
            asked_within: Duration::from_secs(900),
            authorities: Vec::new(),
        }
    }

    #[test]
    fn an_issuer_is_https_or_on_this_machine() {
        for (issuer, wanted) in [
            ("https://id.police.be", true),
            ("https://id.police.be/realms/belfry", true),
            ("http://127.0.0.1:4000", true),
            ("http://localhost:4000", true),
            ("http://[::1]:4000", true),
            ("http://id.police.be", false),
            ("http://127.0.0.1.evil.example", false),
            ("https://id.police.be/?a=b", false),
            ("https://id.police.be/#a", false),
            ("https://user@id.police.be", false),
            ("ftp://id.police.be", false),
            ("id.police.be", false),
            ("", false),
        ] {
            let made = Provider::new(settings(issuer, "https://belfry.brussels/"));
            assert_eq!(made.is_ok(), wanted, "{issuer}");
        }
        assert!(Provider::new(settings("https://id.police.be", "nowhere")).is_err());
    }

    #[test]
    fn no_secret_is_printed() {
        let made = Provider::new(settings("https://id.police.be", "https://belfry.brussels/")).unwrap();
        assert!(!format!("{made:?}").contains("planted-secret"));
    }

    #[test]
    fn no_algorithm_uses_a_shared_secret() {
        for one in algorithms() {
            assert!(!openidconnect::JwsSigningAlgorithm::uses_shared_secret(&one), "{one:?}");
        }
    }
}
