//! Enrolling, showing and removing second factors; step-up.

use audit::LeafKind;
use qrcode::QrCode;
use qrcode::render::svg;
use serde_json::json;
use uuid::Uuid;
use vms_core::{Right, UserId, WallTime};
use zeroize::Zeroizing;

use crate::cases::UseCases;
use crate::error::{Entity, UseCaseError};
use crate::identity::model::{
    AccountNotice, Factor, FactorKind, FactorsOverview, KeyAnswer, KeyChallenge, Pending, Proof, TotpBegun,
};
use crate::identity::secrets::{recovery_codes, recovery_hash};
use crate::identity::{totp, webauthn};
use crate::login::{Signed, token_hash};
use crate::model::{Account, Session};
use crate::ports::random_bytes;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

/// Proven and unproven factors that an account may have.
const FACTORS_MAX: usize = 10;
/// Steps before the first: no code was used yet.
const NO_STEP: i64 = -1;

fn context(user: UserId, id: Uuid) -> String {
    format!("belfry factor v1 {user} {id}")
}

fn check_name(name: &str) -> Result<String, UseCaseError> {
    let name = name.trim();
    let is_fine = !name.is_empty() && name.chars().count() <= 60 && !name.chars().any(char::is_control);
    is_fine.then(|| name.to_owned()).ok_or_else(|| UseCaseError::invalid("name", "empty_or_too_long"))
}

impl UseCases {
    /// What a session lacks before it may do anything.
    pub(crate) async fn pending_of(
        &self,
        session: &Session,
        account: &Account,
    ) -> Result<Option<Pending>, UseCaseError> {
        // A machine's factor is its certificate, at every request.
        if session.certificate.is_some() {
            return Ok(None);
        }
        if self.needs_hardware(session) {
            return self.pending_hardware(session, account).await;
        }
        if session.factor_at.is_some() {
            return Ok(None);
        }
        if self.stores.factor_any(account.id).await? {
            return Ok(Some(Pending::SecondFactor));
        }
        let held: Vec<_> = account.profiles().collect();
        Ok(self.identity_rules.needs_factor(&held).then_some(Pending::Enrolment))
    }

    /// A key where there is one. An account with nothing but codes shows a code first, and may then enrol its first key.
    async fn pending_hardware(&self, session: &Session, account: &Account) -> Result<Option<Pending>, UseCaseError> {
        if session.hard_at.is_some() {
            return Ok(None);
        }
        if self.has_key(account.id).await? {
            return Ok(Some(Pending::HardwareKey));
        }
        let has_codes = self.stores.factor_any(account.id).await?;
        let shown = session.factor_at.is_some() || !has_codes;
        Ok(Some(if shown { Pending::HardwareEnrolment } else { Pending::SecondFactor }))
    }

    /// Whether the session's active profile opens with a hardware key only.
    fn needs_hardware(&self, session: &Session) -> bool {
        self.identity_rules.needs_hardware(session.profile, &self.extensions().identity.installation, self.now())
    }

    /// The same for any profile of an account.
    fn account_needs_hardware(&self, account: &Account) -> bool {
        let (installation, now) = (&self.extensions().identity.installation, self.now());
        account.profiles().any(|profile| self.identity_rules.needs_hardware(profile, installation, now))
    }

    async fn has_key(&self, user: UserId) -> Result<bool, UseCaseError> {
        let list = self.stores.factor_list(user).await?;
        Ok(list.iter().any(|factor| factor.kind == FactorKind::WebAuthn && factor.confirmed_at.is_some()))
    }

    /// Until when the session's second factor counts as fresh; `None` when it does not.
    pub(crate) fn fresh_until(&self, session: &Session) -> Option<WallTime> {
        let at = if self.needs_hardware(session) { session.hard_at } else { session.factor_at };
        let end = at?.plus(self.identity_rules.fresh);
        (self.now() < end).then_some(end)
    }

    /// Passes when the session showed a second factor a short time ago.
    ///
    /// # Errors
    /// `StepUpNeeded`, logged.
    pub async fn fresh_factor(&self, signed: &Signed) -> Result<(), UseCaseError> {
        // The request's own copy may be older than a step-up beside it.
        let session = self.stores.session_fetch(signed.session.id).await?.ok_or(UseCaseError::Unauthenticated)?;
        if self.fresh_until(&session).is_some() {
            return Ok(());
        }
        let enrolled = self.stores.factor_any(signed.account.id).await?;
        let details = json!({ "enrolled": enrolled });
        self.record("step_up_needed", LeafKind::Session, Some(signed.actor.clone()), details).await?;
        Err(UseCaseError::StepUpNeeded { enrolled })
    }

    /// The same where one of some rights is asked for: whoever has none of them is refused by the gate, not asked for a
    /// code.
    ///
    /// # Errors
    /// `StepUpNeeded`, logged.
    pub async fn fresh_factor_for(&self, signed: &Signed, rights: &[Right]) -> Result<(), UseCaseError> {
        if !rights.iter().any(|right| self.has_right(&signed.actor, *right)) {
            return Ok(());
        }
        self.fresh_factor(signed).await
    }

    /// The same for fetching a package's files, which may take longer than a factor is fresh.
    ///
    /// # Errors
    /// `StepUpNeeded`, logged.
    pub async fn recent_factor(&self, signed: &Signed) -> Result<(), UseCaseError> {
        let rights = [Right::Export, Right::ExportApprove];
        let at = if self.needs_hardware(&signed.session) { signed.session.hard_at } else { signed.session.factor_at };
        let end = at.map(|at| at.plus(self.identity_rules.fetch));
        if end.is_some_and(|end| self.now() < end) {
            return Ok(());
        }
        self.fresh_factor_for(signed, &rights).await
    }

    /// The own second factors.
    ///
    /// # Errors
    /// `SecondFactorRequired` before one was shown.
    pub async fn factors(&self, signed: &Signed) -> Result<FactorsOverview, UseCaseError> {
        if signed.pending.is_some_and(Pending::is_to_show) {
            return Err(UseCaseError::SecondFactorRequired);
        }
        let mut factors = self.stores.factor_list(signed.account.id).await?;
        factors.retain(|factor| factor.confirmed_at.is_some());
        let recovery_left = self.stores.recovery_left(signed.account.id).await?;
        Ok(FactorsOverview { factors, recovery_left })
    }

    /// Kinds that the account can show now, and those that it can enrol here.
    ///
    /// # Errors
    /// [`UseCaseError`].
    pub async fn factor_kinds(&self, signed: &Signed) -> Result<(Vec<FactorKind>, Vec<FactorKind>), UseCaseError> {
        let list = self.stores.factor_list(signed.account.id).await?;
        let mut held: Vec<_> = list.iter().filter(|one| one.confirmed_at.is_some()).map(|one| one.kind).collect();
        held.sort();
        held.dedup();
        let parts = &self.extensions().identity;
        let totp = parts.key.is_some().then_some(FactorKind::Totp);
        let key = parts.site.is_some().then_some(FactorKind::WebAuthn);
        let mut offered: Vec<_> = totp.into_iter().chain(key).collect();
        if self.needs_hardware(&signed.session) {
            // Nothing that would not open anything.
            offered.retain(|kind| *kind == FactorKind::WebAuthn);
            if held.contains(&FactorKind::WebAuthn) {
                held.retain(|kind| *kind == FactorKind::WebAuthn);
            }
        }
        Ok((held, offered))
    }

    /// Only a person who is fully in changes factors, and with a fresh one where there is one already.
    async fn may_enrol(&self, signed: &Signed, kind: FactorKind) -> Result<(), UseCaseError> {
        if signed.must_change_password() {
            return Err(UseCaseError::PasswordChangeRequired);
        }
        if signed.pending.is_some_and(Pending::is_to_show) {
            return Err(UseCaseError::SecondFactorRequired);
        }
        if kind == FactorKind::Totp && self.needs_hardware(&signed.session) {
            return Err(UseCaseError::invalid("kind", "hardware_key_needed"));
        }
        let list = self.stores.factor_list(signed.account.id).await?;
        // Enrolments that were begun and left go away with the next.
        for stale in list.iter().filter(|factor| factor.confirmed_at.is_none()) {
            self.stores.factor_delete(signed.account.id, stale.id).await?;
        }
        let proven = list.iter().filter(|factor| factor.confirmed_at.is_some()).count();
        if proven >= FACTORS_MAX {
            return Err(UseCaseError::invalid("factors", "too_many"));
        }
        // The first key of an account that had codes alone: a fresh code is all that it can show.
        let soft = signed.session.factor_at.is_some_and(|at| self.now() < at.plus(self.identity_rules.fresh));
        let first_key = signed.pending == Some(Pending::HardwareEnrolment) && soft;
        if proven > 0 && !first_key { self.fresh_factor(signed).await } else { Ok(()) }
    }

    /// Begins the enrolment of an authenticator app.
    ///
    /// # Errors
    /// `StepUpNeeded` when there is a factor already that was not shown just now, `Invalid`.
    pub async fn totp_begin(&self, signed: &Signed, name: &str) -> Result<TotpBegun, UseCaseError> {
        let name = check_name(name)?;
        self.may_enrol(signed, FactorKind::Totp).await?;
        let secret = Zeroizing::new(random_bytes::<{ totp::SECRET_LEN }>(self.ids.as_ref()));
        let factor = self.totp_factor(signed.account.id, name, secret.as_slice())?;
        self.stores.factor_insert(&factor).await?;
        let uri = Zeroizing::new(totp::uri(&signed.account.user_name, secret.as_slice()));
        let code = QrCode::new(uri.as_bytes()).map_err(|error| UseCaseError::Internal(error.into()))?;
        let qr_svg = Zeroizing::new(code.render::<svg::Color<'_>>().min_dimensions(220, 220).build());
        Ok(TotpBegun { id: factor.id, secret: Zeroizing::new(totp::base32(secret.as_slice())), uri, qr_svg })
    }

    fn totp_factor(&self, user: UserId, name: String, secret: &[u8]) -> Result<Factor, UseCaseError> {
        let id = self.ids.uuid();
        let material = self.extensions().identity.key()?.seal(self.ids.as_ref(), &context(user, id), secret)?;
        Ok(Factor {
            id,
            user,
            kind: FactorKind::Totp,
            name,
            material,
            credential: None,
            counter: NO_STEP,
            created_at: self.now(),
            confirmed_at: None,
            used_at: None,
        })
    }

    /// Ends the enrolment of an authenticator app with its first code. With the first factor come recovery codes.
    ///
    /// # Errors
    /// `FactorFailed`, `TooManyTries`, `NotFound`.
    pub async fn totp_confirm(
        &self,
        signed: &Signed,
        id: Uuid,
        code: &str,
        source: &str,
    ) -> Result<Vec<Zeroizing<String>>, UseCaseError> {
        self.count_factor_try(signed, source)?;
        let list = self.stores.factor_list(signed.account.id).await?;
        let found = list.iter().find(|factor| factor.id == id && factor.confirmed_at.is_none());
        let factor = found.ok_or(UseCaseError::NotFound(Entity::Factor))?;
        if !self.code_fits(factor, code).await? {
            return Err(self.factor_failed(signed, "code").await);
        }
        let is_first = list.iter().all(|factor| factor.confirmed_at.is_none());
        self.enrolled(signed, factor, (is_first, false), source).await
    }

    /// The factor is proven: the session has shown it, and with the first one come recovery codes.
    async fn enrolled(
        &self,
        signed: &Signed,
        factor: &Factor,
        (is_first, is_bound): (bool, bool),
        source: &str,
    ) -> Result<Vec<Zeroizing<String>>, UseCaseError> {
        let details = json!({ "kind": factor.kind.as_str(), "factor": factor.id.to_string() });
        self.record("factor_enrolled", LeafKind::Change, Some(signed.actor.clone()), details).await?;
        let hard = factor.kind == FactorKind::WebAuthn && is_bound;
        self.stores.session_factor(signed.session.id, self.now(), hard).await?;
        self.notice(signed.account.id, "factor_enrolled").await?;
        self.forgive_factor_try(signed, source);
        if is_first { self.recovery_make(signed).await } else { Ok(Vec::new()) }
    }

    async fn recovery_make(&self, signed: &Signed) -> Result<Vec<Zeroizing<String>>, UseCaseError> {
        let codes = recovery_codes(self.ids.as_ref());
        let hashes: Vec<_> = codes.iter().map(|code| recovery_hash(signed.account.id, code)).collect();
        self.record("recovery_codes_made", LeafKind::Change, Some(signed.actor.clone()), json!({})).await?;
        self.stores.recovery_replace(signed.account.id, &hashes, self.now()).await?;
        self.notice(signed.account.id, "recovery_codes_made").await?;
        Ok(codes)
    }

    /// New recovery codes; the old ones are dead.
    ///
    /// # Errors
    /// `StepUpNeeded`.
    pub async fn recovery_renew(&self, signed: &Signed) -> Result<Vec<Zeroizing<String>>, UseCaseError> {
        self.fresh_factor(signed).await?;
        self.recovery_make(signed).await
    }

    /// Removes one of the own factors.
    ///
    /// # Errors
    /// `StepUpNeeded`, `NotFound`, `Invalid` for the last one of an account that needs one.
    pub async fn factor_remove(&self, signed: &Signed, id: Uuid) -> Result<(), UseCaseError> {
        self.fresh_factor(signed).await?;
        let list = self.stores.factor_list(signed.account.id).await?;
        if !list.iter().any(|factor| factor.id == id) {
            return Err(UseCaseError::NotFound(Entity::Factor));
        }
        let left = list.iter().filter(|factor| factor.id != id && factor.confirmed_at.is_some()).count();
        let held: Vec<_> = signed.account.profiles().collect();
        if left == 0 && self.identity_rules.needs_factor(&held) {
            return Err(UseCaseError::invalid("id", "last_factor"));
        }
        let is_key = |factor: &&Factor| factor.kind == FactorKind::WebAuthn && factor.confirmed_at.is_some();
        if !list.iter().filter(is_key).any(|factor| factor.id != id)
            && list.iter().filter(is_key).any(|factor| factor.id == id)
            && self.account_needs_hardware(&signed.account)
        {
            return Err(UseCaseError::invalid("id", "last_factor"));
        }
        let details = json!({ "factor": id.to_string() });
        self.record("factor_removed", LeafKind::Change, Some(signed.actor.clone()), details).await?;
        self.stores.factor_delete(signed.account.id, id).await?;
        if left == 0 {
            self.stores.factor_clear(signed.account.id).await?;
        }
        self.notice(signed.account.id, "factor_removed").await
    }

    /// Tells the account's owner, at the next look at the console, that something about the account changed.
    pub(crate) async fn notice(&self, user: UserId, what: &str) -> Result<(), UseCaseError> {
        let notice = AccountNotice { at: self.now(), what: what.to_owned() };
        Ok(self.stores.account_notice_insert(user, &notice).await?)
    }

    /// What changed about the own account and was not looked at yet.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn own_notices(&self, signed: &Signed) -> Result<Vec<AccountNotice>, UseCaseError> {
        Ok(self.stores.account_notice_list(signed.account.id).await?)
    }

    /// The owner looked at what changed until now.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn own_notices_seen(&self, signed: &Signed) -> Result<(), UseCaseError> {
        Ok(self.stores.account_notice_seen(signed.account.id, self.now()).await?)
    }

    /// Shows a second factor: at log-in, and again before what needs a fresh one. Gives the session's new token (the old one opens nothing any
    /// more); `None` when a step-up beside this one was quicker, whose token counts then.
    ///
    /// # Errors
    /// `FactorFailed`, logged; `TooManyTries`.
    pub async fn step_up(
        &self,
        signed: &Signed,
        proof: Proof,
        source: &str,
    ) -> Result<Option<Zeroizing<String>>, UseCaseError> {
        let user = signed.account.id;
        let is_key = matches!(proof, Proof::Key(_));
        if !is_key && self.needs_hardware(&signed.session) && self.has_key(user).await? {
            // Not tried at all: a code would be used up and open nothing.
            return Err(UseCaseError::invalid("key", "hardware_key_needed"));
        }
        self.count_factor_try(signed, source)?;
        let now = self.now();
        let hard = matches!(&proof, Proof::Key(answer) if webauthn::is_bound(&answer.authenticator_data));
        let (fits, kind) = match proof {
            Proof::Code(code) => {
                let list = self.stores.factor_list(user).await?;
                let mut fits = false;
                for factor in list.iter().filter(|one| one.kind == FactorKind::Totp && one.confirmed_at.is_some()) {
                    fits = fits || self.code_fits(factor, &code).await?;
                }
                (fits, "totp")
            }
            Proof::Recovery(code) => {
                (self.stores.recovery_use(user, &recovery_hash(user, &code), now).await?, "recovery")
            }
            Proof::Key(answer) => (self.key_fits(signed, &answer, now).await?, "webauthn"),
        };
        if !fits {
            return Err(self.factor_failed(signed, kind).await);
        }
        self.record("factor_shown", LeafKind::Session, Some(signed.actor.clone()), json!({ "kind": kind })).await?;
        // The new token first: what is shown now counts for whoever holds it, and for nobody who holds the old one.
        let token = Zeroizing::new(B64.encode(random_bytes::<32>(self.ids.as_ref())));
        let is_renewed =
            self.stores.session_renew(signed.session.id, &signed.session.token_hash, &token_hash(&token)).await?;
        self.stores.session_factor(signed.session.id, now, hard).await?;
        self.forgive_factor_try(signed, source);
        Ok(is_renewed.then_some(token))
    }

    async fn code_fits(&self, factor: &Factor, code: &str) -> Result<bool, UseCaseError> {
        let key = self.extensions().identity.key()?;
        let secret = key.open(&context(factor.user, factor.id), &factor.material)?;
        let now = self.now();
        let Some(step) = totp::step_for(&secret, code, now, factor.counter) else { return Ok(false) };
        // Of two requests with the same code one moves the counter.
        Ok(self.stores.factor_use(factor.id, step, false, now).await?)
    }

    async fn key_fits(&self, signed: &Signed, answer: &KeyAnswer, now: WallTime) -> Result<bool, UseCaseError> {
        let site = self.extensions().identity.site()?;
        let Some(challenge) = self.challenges.take(signed.session.id, now) else { return Ok(false) };
        let list = self.stores.factor_list(signed.account.id).await?;
        let is_it = |one: &&Factor| one.credential.as_deref() == Some(answer.credential.as_str());
        let Some(factor) = list.iter().find(is_it) else { return Ok(false) };
        match webauthn::asserted(site, &challenge, &factor.material, answer) {
            // Keys that don't count say 0 every time; one that counts and does not go on was copied.
            Ok(counter) => {
                let counts = counter > 0 || factor.counter > 0;
                Ok(self.stores.factor_use(factor.id, i64::from(counter), !counts, now).await?)
            }
            Err(fault) => {
                tracing::debug!(fault = %fault, "a security key's answer does not count");
                Ok(false)
            }
        }
    }

    /// A challenge for a new security key.
    ///
    /// # Errors
    /// `StepUpNeeded`, `Conflict(NoSuchService)` where the console has no name.
    pub async fn key_begin(&self, signed: &Signed) -> Result<KeyChallenge, UseCaseError> {
        self.may_enrol(signed, FactorKind::WebAuthn).await?;
        self.key_challenge(signed).await
    }

    /// A challenge for the account's security keys.
    ///
    /// # Errors
    /// `Conflict(NoSuchService)` where the console has no name.
    pub async fn key_challenge(&self, signed: &Signed) -> Result<KeyChallenge, UseCaseError> {
        let site = self.extensions().identity.site()?;
        let bytes = random_bytes::<32>(self.ids.as_ref());
        self.challenges.put(signed.session.id, self.now(), bytes);
        let list = self.stores.factor_list(signed.account.id).await?;
        let credentials = list.into_iter().filter_map(|factor| factor.credential).collect();
        Ok(KeyChallenge { challenge: B64.encode(bytes), rp_id: site.rp_id.clone(), credentials })
    }

    /// Enrols a security key.
    ///
    /// # Errors
    /// `FactorFailed`, `Conflict(Taken)`, `StepUpNeeded`.
    pub async fn key_register(
        &self,
        signed: &Signed,
        name: &str,
        answer: &KeyAnswer,
        source: &str,
    ) -> Result<Vec<Zeroizing<String>>, UseCaseError> {
        let name = check_name(name)?;
        self.count_factor_try(signed, source)?;
        self.may_enrol(signed, FactorKind::WebAuthn).await?;
        let now = self.now();
        let site = self.extensions().identity.site()?;
        let Some(challenge) = self.challenges.take(signed.session.id, now) else {
            return Err(self.factor_failed(signed, "challenge").await);
        };
        let new = match webauthn::registered(site, &challenge, answer) {
            Ok(new) => new,
            Err(fault) => {
                tracing::debug!(fault = %fault, "a new security key's answer does not count");
                return Err(self.factor_failed(signed, "registration").await);
            }
        };
        let is_bound = webauthn::is_bound(&answer.authenticator_data);
        if !is_bound && self.account_needs_hardware(&signed.account) {
            // A passkey that is copied between devices is no hardware key.
            return Err(UseCaseError::invalid("key", "not_hardware"));
        }
        let is_first = !self.stores.factor_any(signed.account.id).await?;
        let factor = Factor {
            id: self.ids.uuid(),
            user: signed.account.id,
            kind: FactorKind::WebAuthn,
            name,
            material: new.public_key,
            credential: Some(new.credential),
            counter: i64::from(new.counter),
            created_at: now,
            confirmed_at: Some(now),
            used_at: None,
        };
        self.stores.factor_insert(&factor).await?;
        self.enrolled(signed, &factor, (is_first, is_bound), source).await
    }

    /// Gives an account an authenticator app's secret from the machine's own command line; for demos and tests, where the
    /// secret is printed. The log says so.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn totp_by_command_line(&self, user_name: &str, secret: &[u8]) -> Result<(), UseCaseError> {
        let account = self.stores.account_by_user_name(&user_name.to_lowercase()).await?;
        let account = account.ok_or(UseCaseError::NotFound(Entity::User))?;
        if self.stores.factor_any(account.id).await? {
            return Ok(());
        }
        let mut factor = self.totp_factor(account.id, "command line".to_owned(), secret)?;
        factor.confirmed_at = Some(factor.created_at);
        let details = json!({ "user": account.id.to_string(), "by": "command_line" });
        self.record("factor_enrolled", LeafKind::Change, None, details).await?;
        Ok(self.stores.factor_insert(&factor).await?)
    }

    async fn factor_failed(&self, signed: &Signed, kind: &'static str) -> UseCaseError {
        let details = json!({ "kind": kind });
        match self.record("factor_failed", LeafKind::Session, Some(signed.actor.clone()), details).await {
            Ok(()) => UseCaseError::FactorFailed,
            Err(error) => error,
        }
    }

    fn count_factor_try(&self, signed: &Signed, source: &str) -> Result<(), UseCaseError> {
        self.count_try(&format!("factor {}", signed.account.id), source, self.now())
    }

    fn forgive_factor_try(&self, signed: &Signed, source: &str) {
        // Whoever shows factors has the password: the failed ones are in the log, and told nowhere else.
        self.forgive_try(&format!("factor {}", signed.account.id), source);
    }
}
