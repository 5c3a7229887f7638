//! Machines that talk to us by themselves (a partner's gateway, a batch job): an account of their own, certificates instead of a
//! password, and short tokens that belong to one certificate.
//!
//! Who checks the certificate's chain and its key is the listener (`vms_api::machines`); what it gives is the fingerprint. Here it is
//! decided whose it is and whether it still counts, at every request.

use audit::LeafKind;
use serde_json::json;
use vms_core::{Profile, Relation, UserId, WallTime};

use crate::cases::UseCases;
use crate::error::{Entity, UseCaseError};
use crate::gate::action::AdminUsers;
use crate::gate::{Actor, Target, Why};
use crate::login::Opened;
use crate::model::{Account, Session};

/// The profile of every machine; a person never holds it (`apart` in seed/identity.toml).
pub const MACHINE_PROFILE: Profile = Profile::P24;
/// Stands where a password's hash would: nothing fits it.
pub const NO_PASSWORD: &str = "-";
/// Certificates that an account may have at once: one in use, one to come, and some for machines side by side.
const CERTIFICATES_MAX: usize = 20;

/// A certificate by which a machine is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineCertificate {
    /// SHA-256 of the certificate in DER form, 64 hexadecimal digits in lower case.
    pub fingerprint: String,
    /// Whose.
    pub user: UserId,
    /// The administrator's word for it.
    pub name: String,
    /// Noted.
    pub made_at: WallTime,
    /// Counts until then, whatever the certificate itself says.
    pub ends_at: WallTime,
    /// Taken back.
    pub revoked_at: Option<WallTime>,
    /// Last token.
    pub used_at: Option<WallTime>,
}

impl MachineCertificate {
    /// Whether it opens anything now.
    pub fn counts(&self, now: WallTime) -> bool {
        self.revoked_at.is_none() && now < self.ends_at
    }
}

/// The fingerprint as people write it (`openssl x509 -noout -fingerprint -sha256` puts colons between), made plain.
fn fingerprint_of(text: &str) -> Option<String> {
    let digits: String = text.trim().chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    let fits = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then_some(digits)
}

impl UseCases {
    /// The machine's account that an administrator asks about.
    async fn machine(&self, actor: &Actor, user: UserId) -> Result<Account, UseCaseError> {
        let account = self.stores.account_of_session(user).await?;
        // An account that is not there is decided as one of another organisation: the answer must not tell who is there.
        let owner = account.as_ref().map(|account| account.org);
        let relation = if owner == Some(actor.org) { Relation::Own } else { Relation::Other };
        let target = Target { owner, relation, object: Some(user.to_string()), ..Target::none() };
        self.gate.permit::<AdminUsers>(actor, target, &Why::default()).await?;
        let account = account.ok_or(UseCaseError::NotFound(Entity::User))?;
        if account.profile != MACHINE_PROFILE {
            return Err(UseCaseError::invalid("id", "not_a_machine"));
        }
        Ok(account)
    }

    /// Certificates of a machine's account, the youngest first, taken back or not.
    ///
    /// # Errors
    /// `Denied`, logged; `NotFound`; `Invalid` for an account that is no machine's.
    pub async fn machine_certificates(
        &self,
        actor: &Actor,
        user: UserId,
    ) -> Result<Vec<MachineCertificate>, UseCaseError> {
        let account = self.machine(actor, user).await?;
        Ok(self.stores.machine_list(account.id).await?)
    }

    /// Notes a certificate for a machine's account.
    ///
    /// # Errors
    /// `Denied`, logged; `NotFound`; `Invalid`; `Conflict(Taken)` for a certificate that is somebody's already.
    pub async fn machine_certificate_add(
        &self,
        actor: &Actor,
        user: UserId,
        fingerprint: &str,
        name: &str,
        ends_at: WallTime,
    ) -> Result<MachineCertificate, UseCaseError> {
        let account = self.machine(actor, user).await?;
        let now = self.now();
        let fingerprint =
            fingerprint_of(fingerprint).ok_or_else(|| UseCaseError::invalid("fingerprint", "not_a_fingerprint"))?;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
            return Err(UseCaseError::invalid("name", "empty_or_too_long"));
        }
        if ends_at <= now || ends_at > now.plus(self.identity_rules.machine_certificate_max) {
            return Err(UseCaseError::invalid("ends_at", "out_of_range"));
        }
        let held = self.stores.machine_list(account.id).await?;
        if held.iter().filter(|one| one.counts(now)).count() >= CERTIFICATES_MAX {
            return Err(UseCaseError::invalid("fingerprint", "too_many"));
        }
        let user = account.id;
        let new = MachineCertificate {
            fingerprint,
            user,
            name: name.to_owned(),
            made_at: now,
            ends_at,
            revoked_at: None,
            used_at: None,
        };
        let details = json!({ "user": user.to_string(), "certificate": new.fingerprint, "ends_at_us": ends_at.micros });
        self.record("certificate_noted", LeafKind::Change, Some(actor.clone()), details).await?;
        self.stores.machine_insert(&new).await?;
        Ok(new)
    }

    /// Takes a certificate back: the next request with it is refused, and what runs with it stops.
    ///
    /// # Errors
    /// `Denied`, logged; `NotFound`.
    pub async fn machine_certificate_revoke(
        &self,
        actor: &Actor,
        user: UserId,
        fingerprint: &str,
    ) -> Result<(), UseCaseError> {
        let account = self.machine(actor, user).await?;
        let fingerprint = fingerprint_of(fingerprint).ok_or(UseCaseError::NotFound(Entity::Factor))?;
        let details = json!({ "user": account.id.to_string(), "certificate": fingerprint });
        self.record("certificate_revoked", LeafKind::Change, Some(actor.clone()), details).await?;
        if !self.stores.machine_revoke(account.id, &fingerprint, self.now()).await? {
            return Err(UseCaseError::NotFound(Entity::Factor));
        }
        self.note_change();
        Ok(())
    }

    /// A token for a machine that showed a certificate; `fingerprint` comes from the TLS session itself, never from a header.
    ///
    /// # Errors
    /// `LoginFailed` for a certificate that nobody noted, that was taken back or that ended, and for an account that opens no session:
    /// each logged; `TooManyTries`; `LogUnavailable`.
    pub async fn machine_token(&self, fingerprint: &str, source: &str) -> Result<Opened, UseCaseError> {
        let now = self.now();
        self.count_source(source, now)?;
        let found = self.stores.machine_find(fingerprint).await?;
        let account = match &found {
            Some(certificate) => self.stores.account_of_session(certificate.user).await?,
            None => None,
        };
        let why = match (&found, &account) {
            (None, _) | (_, None) => Some("unknown_certificate"),
            (Some(certificate), _) if certificate.revoked_at.is_some() => Some("certificate_revoked"),
            (Some(certificate), _) if !certificate.counts(now) => Some("certificate_ended"),
            (Some(_), Some(account)) if account.profile != MACHINE_PROFILE => Some("not_a_machine"),
            (Some(_), Some(account)) => self.barred_from_session(account, now),
        };
        let Some(account) = account.filter(|_| why.is_none()) else {
            let details = json!({ "why": why, "by": "certificate", "certificate": fingerprint });
            self.record("login_failed", LeafKind::Session, None, details).await?;
            return Err(UseCaseError::LoginFailed);
        };
        let (token, mut session) = self.session_for(&account, now);
        session.certificate = Some(fingerprint.to_owned());
        let opened = self.session_begin(token, session, account, "certificate").await?;
        self.stores.machine_used(fingerprint, now).await?;
        self.forgive_source(source);
        Ok(opened)
    }

    /// Whether the certificate behind a machine's session still counts; a person's session has none.
    pub(crate) async fn certificate_counts(&self, session: &Session, now: WallTime) -> Result<bool, UseCaseError> {
        let Some(fingerprint) = &session.certificate else { return Ok(true) };
        let found = self.stores.machine_find(fingerprint).await?;
        Ok(found.is_some_and(|one| one.user == session.user && one.counts(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_openssl_prints_them() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        for (text, wanted) in [
            (plain.as_str(), Some(plain.clone())),
            (colons.as_str(), Some(plain.clone())),
            (&format!(" {plain}\n"), Some(plain.clone())),
            (plain.split_at(1).1, None),
            (&format!("{plain}0"), None),
            (&"zz".repeat(32), None),
            ("", None),
        ] {
            assert_eq!(fingerprint_of(text), wanted, "{text}");
        }
    }
}
