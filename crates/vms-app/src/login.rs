//! Log-in, log-out, and who is behind a cookie.

use std::collections::HashSet;
use std::sync::PoisonError;

use audit::LeafKind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use vms_core::{Right, SessionId, WallTime};
use zeroize::Zeroizing;

use crate::cases::UseCases;
use crate::error::{Entity, UseCaseError};
use crate::events;
use crate::gate::{Actor, Event};
use crate::identity::Pending;
use crate::identity::machines::{MACHINE_PROFILE, NO_PASSWORD};
use crate::identity::secrets::password_fault;
use crate::model::{Account, EventScope, Org, PasswordState, Session};
use crate::passwords::PASSWORD_LEN_MAX;
use crate::ports::random_bytes;
use crate::rate::TryCounter;
use crate::words::{EventKind, Language};

/// A request's stamp on its session is written at most this often.
const SEEN_EVERY_US: i64 = 30_000_000;
/// So many failed tries before a good one are told to the account's owner.
const TRIES_TO_TELL: u32 = 3;
/// Pairs of account and source remembered as good; full means the memory starts again.
const GOOD_PAIRS_MAX: usize = 50_000;

/// Tries per account and per source.
#[derive(Debug, Default)]
pub(crate) struct TryCounters {
    accounts: TryCounter,
    sources: TryCounter,
    /// Pairs that logged in before: their tries are counted apart, so that a stranger who hammers an account can't keep
    /// its owner out.
    good: HashSet<String>,
}

/// A running session.
#[derive(Clone, Debug)]
pub struct Signed {
    /// For the gate.
    pub actor: Actor,
    /// The session.
    pub session: Session,
    /// The account.
    pub account: Account,
    /// The organisation.
    pub org: Org,
    /// What the profile may towards anything at all.
    pub rights: Vec<Right>,
    /// End of its life.
    pub expires_at: WallTime,
    /// End unless a request comes before.
    pub idle_expires_at: WallTime,
    /// What it lacks before it may do anything.
    pub pending: Option<Pending>,
    /// Until when its second factor counts as fresh.
    pub fresh_until: Option<WallTime>,
}

impl Signed {
    /// Whether nothing but a new password is allowed.
    pub fn must_change_password(&self) -> bool {
        self.account.password_state == PasswordState::OneTimeUsed
    }
}

/// A second factor that was shown with a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// When.
    pub(crate) at: WallTime,
    /// Whether it was a hardware key.
    pub(crate) hard: bool,
}

/// A fresh session with the value for its cookie.
pub struct Opened {
    /// The cookie's value; only here, never stored.
    pub token: Zeroizing<String>,
    /// The session.
    pub signed: Signed,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("signed", &self.signed).finish_non_exhaustive()
    }
}

/// The hash under which a token is stored.
pub fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// What somebody with the right password must do when the account opens no session; empty for what is not told.
pub(crate) fn barred_words(why: &str) -> &'static str {
    match why {
        "disabled" => "this account is switched off: ask whoever administers your organisation's accounts",
        "unused" => {
            "this account was not used for too long and is switched off: ask whoever administers your organisation's \
             accounts to switch it on again"
        }
        "charter_missing" => {
            "no signed confidentiality charter is noted for this account: sign it, and ask whoever administers your \
             organisation's accounts to note the day"
        }
        "training_missing" => {
            "no training is noted for this account: follow it, and ask whoever administers your organisation's accounts \
             to note the day"
        }
        "training_expired" => {
            "the training noted for this account is too long ago: follow it again, and ask whoever administers your \
             organisation's accounts to note the day"
        }
        "clearance_missing" => {
            "no security clearance is noted for this account, and its profile needs one: ask whoever administers your \
             organisation's accounts"
        }
        "machine" => {
            "this account is a machine's: it shows its certificate where machines connect, and has no password"
        }
        "not_linked" => {
            "nobody linked an account of this installation to you at the identity provider: ask whoever administers your \
             organisation's accounts"
        }
        "provider_refused" => {
            "the identity provider's answer does not count here, or came too late: begin the log-in again"
        }
        _ => "",
    }
}

fn csrf_of(token: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"belfry csrf v1\n");
    hash.update(token.as_bytes());
    B64.encode(hash.finalize())
}

impl UseCases {
    /// Opens a session. `source` tells callers apart for rate limits (an address); it is neither stored nor logged.
    ///
    /// # Errors
    /// `LoginFailed` for every reason that is about the account, `TooManyTries`, `LogUnavailable`.
    pub async fn login(
        &self,
        user_name: &str,
        password: Zeroizing<String>,
        source: &str,
    ) -> Result<Opened, UseCaseError> {
        let now = self.now();
        let user_name = user_name.trim().to_lowercase();
        self.count_try(&user_name, source, now)?;
        let too_long = password.len() > PASSWORD_LEN_MAX || user_name.len() > 100;
        let account = if too_long { None } else { self.stores.account_by_user_name(&user_name).await? };
        let password = if too_long { Zeroizing::new(String::new()) } else { password };
        let hash = account.as_ref().map(|account| account.password_hash.clone()).filter(|hash| hash != NO_PASSWORD);
        let fits = self.passwords.check(password, hash).await?;
        let barred = account.as_ref().and_then(|account| self.barred(account, now));
        let Some(mut account) = account.filter(|_| fits && barred.is_none()) else {
            let why = barred.unwrap_or("wrong_password");
            self.record("login_failed", LeafKind::Session, None, json!({ "why": why })).await?;
            // Only whoever knows the password hears what is wrong with the account.
            return Err(match barred.filter(|why| fits && !barred_words(why).is_empty()) {
                Some(why) => UseCaseError::LoginBarred(why),
                None => UseCaseError::LoginFailed,
            });
        };
        if account.password_state == PasswordState::OneTime {
            account.password_state = PasswordState::OneTimeUsed;
            // Two log-ins at once with the same one-time password: the second finds the version moved on.
            self.stores.account_update(&account).await.map_err(|_| UseCaseError::LoginFailed)?;
            account.version += 1;
        }
        let user = account.id;
        let opened = self.open_session(account, now, "password", None).await?;
        if self.forgive_try(&user_name, source) >= TRIES_TO_TELL {
            self.notice(user, "tries_failed").await?;
        }
        Ok(opened)
    }

    /// A session for somebody who showed who they are. `by` is a word for the log.
    pub(crate) async fn open_session(
        &self,
        account: Account,
        now: WallTime,
        by: &'static str,
        shown: Option<Shown>,
    ) -> Result<Opened, UseCaseError> {
        let (token, mut session) = self.session_for(&account, now);
        session.factor_at = shown.map(|shown| shown.at);
        session.hard_at = shown.filter(|shown| shown.hard).map(|shown| shown.at);
        self.session_begin(token, session, account, by).await
    }

    pub(crate) fn session_for(&self, account: &Account, now: WallTime) -> (Zeroizing<String>, Session) {
        let token = Zeroizing::new(B64.encode(random_bytes::<32>(self.ids.as_ref())));
        let session = Session {
            id: SessionId::from_uuid(self.ids.uuid()),
            token_hash: token_hash(&token),
            csrf: csrf_of(&token),
            user: account.id,
            profile: account.profile,
            created_at: now,
            seen_at: now,
            ended_at: None,
            factor_at: None,
            hard_at: None,
            certificate: None,
        };
        (token, session)
    }

    pub(crate) async fn session_begin(
        &self,
        token: Zeroizing<String>,
        session: Session,
        account: Account,
        by: &'static str,
    ) -> Result<Opened, UseCaseError> {
        let now = session.created_at;
        let org = self.org(account.org).await?.ok_or(UseCaseError::NotFound(Entity::Org))?;
        let signed = self.signed(session, account, org).await?;
        let details = json!({ "session": signed.session.id.to_string(), "by": by });
        self.record("login", LeafKind::Session, Some(signed.actor.clone()), details).await?;
        self.stores.session_insert(&signed.session).await?;
        self.stores.account_used(signed.account.id, now).await?;
        Ok(Opened { token, signed })
    }

    pub(crate) fn count_source(&self, source: &str, now: WallTime) -> Result<(), UseCaseError> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = tries.sources.note(source, now);
        noted.map_err(|retry_after| UseCaseError::TooManyTries { retry_after })
    }

    pub(crate) fn forgive_source(&self, source: &str) {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).sources.forgive(source);
    }

    pub(crate) fn count_try(&self, user_name: &str, source: &str, now: WallTime) -> Result<(), UseCaseError> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = format!("{user_name}\n{source}");
        let account_key = if tries.good.contains(&pair) { &pair } else { user_name };
        let limited = |retry_after| UseCaseError::TooManyTries { retry_after };
        tries.accounts.note(account_key, now).map_err(limited)?;
        tries.sources.note(source, now).map_err(limited)
    }

    /// The last try succeeded; how many failed before it.
    pub(crate) fn forgive_try(&self, user_name: &str, source: &str) -> u32 {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = format!("{user_name}\n{source}");
        let account_key = if tries.good.contains(&pair) { pair.clone() } else { user_name.to_owned() };
        // Strangers' tries are counted under the name alone; the owner hears of them too.
        let mut failed = tries.accounts.forgive(&account_key);
        if account_key == pair {
            failed = failed.saturating_add(tries.accounts.take_row(user_name));
        }
        tries.sources.forgive(source);
        if tries.good.len() >= GOOD_PAIRS_MAX {
            tries.good.clear();
        }
        tries.good.insert(pair);
        failed
    }

    /// What keeps the account from a session opened with its password.
    fn barred(&self, account: &Account, now: WallTime) -> Option<&'static str> {
        if account.profiles().any(|profile| profile == MACHINE_PROFILE) {
            return Some("machine");
        }
        if account.disabled_at.is_some() {
            return Some("disabled");
        }
        match account.password_state {
            PasswordState::OneTimeUsed => return Some("one_time_used"),
            PasswordState::OneTime if now > account.last_used_at.plus(self.rules.one_time) => {
                return Some("one_time_expired");
            }
            PasswordState::OneTime | PasswordState::Own => {}
        }
        self.barred_from_session(account, now)
    }

    /// What keeps the account from any session.
    pub(crate) fn barred_from_session(&self, account: &Account, now: WallTime) -> Option<&'static str> {
        if account.disabled_at.is_some() {
            return Some("disabled");
        }
        if now > account.last_used_at.plus(self.rules.unused) {
            return Some("unused");
        }
        self.identity_rules.unmet(account, now).first().map(|unmet| unmet.word())
    }

    async fn signed(&self, session: Session, account: Account, org: Org) -> Result<Signed, UseCaseError> {
        let actor = Actor {
            user: account.id,
            session: session.id,
            org: account.org,
            profile: session.profile,
            user_name: account.user_name.clone(),
            org_code: org.code.clone(),
        };
        let expires_at = session.created_at.plus(self.life_of(&session));
        let idle_expires_at = session.seen_at.plus(self.rules.session_idle).min(expires_at);
        let pending = self.pending_of(&session, &account).await?;
        let fresh_until = self.fresh_until(&session);
        let rights = if pending.is_some() || account.password_state == PasswordState::OneTimeUsed {
            Vec::new()
        } else {
            self.gate.rights_of(session.profile)
        };
        Ok(Signed { actor, session, account, org, rights, expires_at, idle_expires_at, pending, fresh_until })
    }

    /// Who is behind a cookie's value; notes that the session is in use.
    ///
    /// # Errors
    /// `Unauthenticated` when there is no such session, or it ended, idled out, or its account is switched off.
    pub async fn who(&self, token: &str) -> Result<Signed, UseCaseError> {
        self.who_with(token, None).await
    }

    /// The same for somebody who showed a certificate: a machine's session belongs to one certificate, a person's to none.
    ///
    /// # Errors
    /// As [`Self::who`]; also when the certificate is another's, or was taken back.
    pub async fn who_with(&self, token: &str, certificate: Option<&str>) -> Result<Signed, UseCaseError> {
        let found = self.stores.session_by_token(&token_hash(token)).await?;
        let mut session = found.ok_or(UseCaseError::Unauthenticated)?;
        let now = self.now();
        if session.certificate.as_deref() != certificate || !self.certificate_counts(&session, now).await? {
            return Err(UseCaseError::Unauthenticated);
        }
        let idle = now >= session.seen_at.plus(self.rules.session_idle);
        if idle || !self.is_alive(&session, now) {
            return Err(UseCaseError::Unauthenticated);
        }
        let account = self.stores.account_of_session(session.user).await?;
        let account = account.filter(|account| account.holds(session.profile));
        let account = account.ok_or(UseCaseError::Unauthenticated)?;
        let org = self.org(account.org).await?.ok_or(UseCaseError::Unauthenticated)?;
        if now.micros_since(session.seen_at) >= SEEN_EVERY_US {
            self.stores.session_seen(session.id, now).await?;
            session.seen_at = now;
        }
        self.signed(session, account, org).await
    }

    /// The same session after its account was changed.
    ///
    /// # Errors
    /// `Unauthenticated` when it is over.
    pub async fn signed_again(&self, signed: &Signed) -> Result<Signed, UseCaseError> {
        let session = self.stores.session_fetch(signed.session.id).await?.ok_or(UseCaseError::Unauthenticated)?;
        let account = self.stores.account_of_session(session.user).await?.ok_or(UseCaseError::Unauthenticated)?;
        let org = self.org(account.org).await?.ok_or(UseCaseError::Unauthenticated)?;
        self.signed(session, account, org).await
    }

    /// Whether a session that follows events may go on.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn still_signed(&self, signed: &Signed) -> Result<bool, UseCaseError> {
        let session = self.stores.session_fetch(signed.session.id).await?;
        let now = self.now();
        let Some(session) = session.filter(|session| self.is_alive(session, now)) else { return Ok(false) };
        if !self.certificate_counts(&session, now).await? {
            return Ok(false);
        }
        let account = self.stores.account_of_session(session.user).await?;
        // A switch of profile ends what follows events under the old one; the console asks again at once.
        Ok(session.profile == signed.session.profile && account.is_some_and(|account| account.holds(session.profile)))
    }

    /// Neither ended nor past its life. An idle session is still alive: its live tiles go on, so that an operator does
    /// not lose the wall to a time-out (`console.md` 3.4), but every new request is refused.
    pub(crate) fn is_alive(&self, session: &Session, now: WallTime) -> bool {
        session.ended_at.is_none() && now < session.created_at.plus(self.life_of(session))
    }

    /// A machine fetches a new token every few minutes; a person's session lasts a shift.
    fn life_of(&self, session: &Session) -> std::time::Duration {
        if session.certificate.is_some() { self.identity_rules.machine_life } else { self.rules.session_life }
    }

    /// Ends a session; running streams of it stop.
    ///
    /// # Errors
    /// [`UseCaseError`].
    pub async fn logout(&self, signed: &Signed) -> Result<(), UseCaseError> {
        let details = json!({ "session": signed.session.id.to_string() });
        self.record("logout", LeafKind::Session, Some(signed.actor.clone()), details).await?;
        self.stores.session_end(signed.session.id, self.now()).await?;
        let scope = EventScope::Session(signed.session.id);
        self.events.publish(EventKind::Session, scope, json!({ "why": events::SESSION_ENDED })).await;
        self.note_change();
        Ok(())
    }

    /// Changes the language of the own account.
    ///
    /// # Errors
    /// [`UseCaseError`].
    pub async fn own_language(&self, signed: &Signed, language: Language) -> Result<(), UseCaseError> {
        let mut account = signed.account.clone();
        account.language = language;
        Ok(self.stores.account_update(&account).await?)
    }

    /// Whether a password is in the set of breached ones, where this installation has one. A set that can't be read lets none through.
    async fn is_breached(&self, clear: &str) -> Result<bool, UseCaseError> {
        let Some(set) = self.extensions().identity.breached.clone() else { return Ok(false) };
        let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, clear.as_bytes());
        let sha1: [u8; 20] =
            digest.as_ref().try_into().map_err(|_| UseCaseError::Internal("a SHA-1 has 20 bytes".into()))?;
        let looked = tokio::task::spawn_blocking(move || set.holds(&sha1)).await;
        let looked = looked.map_err(|error| UseCaseError::Internal(error.into()))?;
        looked.map_err(|error| UseCaseError::Internal(error.into()))
    }

    /// Changes the own password; every other session of the account ends.
    ///
    /// # Errors
    /// `LoginFailed` when the old one is wrong, `Invalid` when the new one is too short or too long.
    pub async fn own_password(
        &self,
        signed: &Signed,
        old: Zeroizing<String>,
        new: Zeroizing<String>,
        source: &str,
    ) -> Result<(), UseCaseError> {
        let now = self.now();
        self.count_try(&signed.account.user_name, source, now)?;
        let names = [signed.account.user_name.as_str(), &signed.account.name, &signed.org.code, &signed.org.name_nl];
        if let Some(fault) = password_fault(&new, &names) {
            return Err(UseCaseError::invalid("password.new", fault));
        }
        if old.len() > PASSWORD_LEN_MAX {
            return Err(UseCaseError::LoginFailed);
        }
        if *new == *old {
            return Err(UseCaseError::invalid("password.new", "unchanged"));
        }
        if !self.passwords.check(old, Some(signed.account.password_hash.clone())).await? {
            self.record("password_change_failed", LeafKind::Session, Some(signed.actor.clone()), json!({})).await?;
            return Err(UseCaseError::LoginFailed);
        }
        let mut account = signed.account.clone();
        if self.is_breached(&new).await? {
            return Err(UseCaseError::invalid("password.new", "breached"));
        }
        account.password_hash = self.passwords.hash(new, random_bytes(self.ids.as_ref())).await?;
        account.password_state = PasswordState::Own;
        self.record("password_changed", LeafKind::Change, Some(signed.actor.clone()), json!({})).await?;
        self.stores.account_update(&account).await?;
        self.stores.session_end_of_user(account.id, now, Some(signed.session.id)).await?;
        self.notice(account.id, "password_changed").await?;
        self.forgive_try(&account.user_name, source);
        self.note_change();
        Ok(())
    }

    /// Notes in the log that somebody without a session, or with a foreign form, asked for something. Bounded: what is
    /// too much in a second is counted in the next leaf.
    ///
    /// # Errors
    /// `LogUnavailable`.
    pub async fn refuse_stranger(&self, route: &str, why: &'static str) -> Result<(), UseCaseError> {
        let passed = self.strangers.lock().unwrap_or_else(PoisonError::into_inner).pass(self.now());
        let Some(held_back) = passed else { return Ok(()) };
        let details = json!({ "route": route, "why": why, "held_back": held_back });
        self.record("refused", LeafKind::Refuse, None, details).await
    }

    pub(crate) async fn record(
        &self,
        operation: &'static str,
        kind: LeafKind,
        actor: Option<Actor>,
        details: serde_json::Value,
    ) -> Result<(), UseCaseError> {
        self.gate.record(Event { kind, operation, actor, details }).await.map(drop).map_err(UseCaseError::from)
    }
}
