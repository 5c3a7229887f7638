//! Machines: certificates and tokens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vms_app::identity::machines::MachineCertificate;
use vms_app::login::Opened;

use super::common::instant;

/// A token for a machine.
#[derive(Serialize, ToSchema)]
pub struct TokenView {
    /// For the header `Authorization: Bearer …`, over connections with the same certificate only.
    pub token: String,
    /// End of its life.
    pub expires_at: String,
    /// `usr_…`: the machine's account.
    pub user_id: String,
    /// Rights towards anything at all.
    pub rights: Vec<&'static str>,
}

impl std::fmt::Debug for TokenView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenView(hidden)")
    }
}

impl From<&Opened> for TokenView {
    fn from(opened: &Opened) -> Self {
        let signed = &opened.signed;
        Self {
            token: opened.token.to_string(),
            expires_at: instant(signed.expires_at),
            user_id: signed.account.id.to_string(),
            rights: signed.rights.iter().map(|right| right.as_str()).collect(),
        }
    }
}

/// A certificate for a machine's account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateDto {
    /// SHA-256 of the certificate in DER form: 64 hexadecimal digits, with or without colons, as
    /// `openssl x509 -noout -fingerprint -sha256` prints them.
    pub fingerprint: String,
    /// The administrator's word for it, up to 60 characters.
    pub name: String,
    /// Counts until then, whatever the certificate itself says.
    pub ends_at: String,
}

/// A certificate of a machine's account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CertificateView {
    /// 64 hexadecimal digits.
    pub fingerprint: String,
    /// The administrator's word for it.
    pub name: String,
    /// Noted.
    pub made_at: String,
    /// Counts until then.
    pub ends_at: String,
    /// Taken back; never undone.
    pub revoked_at: Option<String>,
    /// Last token.
    pub used_at: Option<String>,
}

impl From<&MachineCertificate> for CertificateView {
    fn from(one: &MachineCertificate) -> Self {
        Self {
            fingerprint: one.fingerprint.clone(),
            name: one.name.clone(),
            made_at: instant(one.made_at),
            ends_at: instant(one.ends_at),
            revoked_at: one.revoked_at.map(instant),
            used_at: one.used_at.map(instant),
        }
    }
}
