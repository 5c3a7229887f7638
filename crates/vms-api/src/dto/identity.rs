//! Second factors, in and out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vms_app::identity::model::AccountNotice;
use vms_app::identity::{Factor, FactorKind, FactorsOverview, KeyChallenge, TotpBegun};
use vms_app::model::Session;
use vms_core::SessionId;
use zeroize::Zeroizing;

use super::common::instant;
use crate::problem::Problem;

macro_rules! hidden {
    ($($name:ident),+) => { $( impl std::fmt::Debug for $name {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(concat!(stringify!($name), "(hidden)"))
        }
    } )+ };
}
hidden!(StepUpDto, CodeDto, TotpView, RecoveryView, ProviderAnswerDto, ProviderBegunView);

/// A second factor, shown. Exactly one of the fields.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepUpDto {
    /// Six digits of an authenticator app.
    pub code: Option<String>,
    /// A recovery code.
    pub recovery_code: Option<String>,
    /// A security key's answer.
    pub key: Option<KeyAnswerDto>,
}

/// A security key's answer: what the browser's `PublicKeyCredential` holds, base64url without padding.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyAnswerDto {
    /// `id`.
    pub credential_id: String,
    /// `response.clientDataJSON`.
    pub client_data: String,
    /// `response.authenticatorData`, at enrolment `response.getAuthenticatorData()`.
    pub authenticator_data: String,
    /// `response.signature`; absent at enrolment.
    pub signature: Option<String>,
}

impl KeyAnswerDto {
    /// Bytes of a field.
    ///
    /// # Errors
    /// `invalid` when it is too long or not base64url.
    pub fn bytes(&self, field: &str, text: &str) -> Result<Vec<u8>, Problem> {
        if text.len() > 16 * 1024 {
            return Err(Problem::invalid(field, "too_long"));
        }
        B64.decode(text).map_err(|_| Problem::invalid(field, "not_base64url"))
    }
}

/// A new security key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyEnrolDto {
    /// The person's word for it.
    pub name: String,
    /// Its answer.
    pub key: KeyAnswerDto,
}

/// The person's word for a second factor.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NameDto {
    /// Up to 60 characters.
    pub name: String,
}

/// A code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeDto {
    /// Six digits.
    pub code: String,
}

/// A profile of the own account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileDto {
    /// `P01` … `P24`.
    pub profile: String,
}

/// An authenticator app's enrolment, begun.
#[derive(Serialize, ToSchema)]
pub struct TotpView {
    /// For the address that ends it.
    pub id: String,
    /// Base 32, to be typed where no camera is.
    pub secret: String,
    /// `otpauth://…`.
    pub uri: String,
    /// The same as a picture.
    pub qr_svg: String,
}

impl From<TotpBegun> for TotpView {
    fn from(begun: TotpBegun) -> Self {
        let text = |secret: &Zeroizing<String>| secret.to_string();
        Self {
            id: begun.id.to_string(),
            secret: text(&begun.secret),
            uri: text(&begun.uri),
            qr_svg: text(&begun.qr_svg),
        }
    }
}

/// Recovery codes.
#[derive(Serialize, ToSchema)]
pub struct RecoveryView {
    /// Each good for once; empty when none were made.
    pub recovery_codes: Vec<String>,
}

impl From<Vec<Zeroizing<String>>> for RecoveryView {
    fn from(codes: Vec<Zeroizing<String>>) -> Self {
        Self { recovery_codes: codes.iter().map(|code| code.to_string()).collect() }
    }
}

/// A second factor.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FactorView {
    /// Key.
    pub id: String,
    /// `totp` or `webauthn`.
    pub kind: &'static str,
    /// The person's word for it.
    pub name: String,
    /// Enrolled.
    pub created_at: String,
    /// Last use.
    pub used_at: Option<String>,
}

impl From<&Factor> for FactorView {
    fn from(factor: &Factor) -> Self {
        Self {
            id: factor.id.to_string(),
            kind: factor.kind.as_str(),
            name: factor.name.clone(),
            created_at: instant(factor.created_at),
            used_at: factor.used_at.map(instant),
        }
    }
}

/// The own second factors.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FactorsView {
    /// Kinds that the account can show.
    pub kinds: Vec<&'static str>,
    /// Kinds that it can enrol here.
    pub offered: Vec<&'static str>,
    /// Each one, once a second factor was shown.
    pub items: Vec<FactorView>,
    /// Recovery codes that are left, once a second factor was shown.
    pub recovery_left: Option<u64>,
}

impl FactorsView {
    /// The view; without `overview` only kinds.
    pub fn of(held: &[FactorKind], offered: &[FactorKind], overview: Option<FactorsOverview>) -> Self {
        let words = |kinds: &[FactorKind]| kinds.iter().map(|kind| kind.as_str()).collect();
        let recovery_left = overview.as_ref().map(|overview| overview.recovery_left);
        let items = overview.map(|overview| overview.factors.iter().map(FactorView::from).collect());
        Self { kinds: words(held), offered: words(offered), items: items.unwrap_or_default(), recovery_left }
    }
}

/// What the browser needs to ask a security key.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KeyChallengeView {
    /// Base64url.
    pub challenge: String,
    /// Domain that the keys belong to.
    pub rp_id: String,
    /// The account's keys, base64url: those that may answer, or that are enrolled already.
    pub credentials: Vec<String>,
}

impl From<KeyChallenge> for KeyChallengeView {
    fn from(challenge: KeyChallenge) -> Self {
        Self { challenge: challenge.challenge, rp_id: challenge.rp_id, credentials: challenge.credentials }
    }
}

/// Ways to log in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LoginWaysView {
    /// With a name and a password.
    pub password: bool,
    /// At the identity provider: what people call it; null without one.
    pub provider: Option<String>,
}

/// A log-in at the identity provider, begun.
#[derive(Serialize, ToSchema)]
pub struct ProviderBegunView {
    /// Where the browser goes.
    pub address: String,
}

/// What the provider put into the address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderAnswerDto {
    /// `code`.
    pub code: String,
    /// `state`.
    pub state: String,
    /// `iss`, where it is there.
    pub iss: Option<String>,
}

/// One of the own sessions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OwnSessionView {
    /// For the address that ends it.
    pub id: String,
    /// `P01` … `P24`: its active profile.
    pub profile: &'static str,
    /// Log-in.
    pub created_at: String,
    /// Last request, to half a minute.
    pub seen_at: String,
    /// Whether it is the asking one.
    pub current: bool,
}

impl OwnSessionView {
    /// The view; `current` is the asking session.
    pub fn of(session: &Session, current: SessionId) -> Self {
        Self {
            id: session.id.to_string(),
            profile: session.profile.as_str(),
            created_at: instant(session.created_at),
            seen_at: instant(session.seen_at),
            current: session.id == current,
        }
    }
}

/// Something about the own account that changed, whoever did it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountNoticeView {
    /// When.
    pub at: String,
    /// `factor_enrolled`, `factor_removed`, `factors_taken_away`, `recovery_codes_made`, `password_changed`, `password_reset`,
    /// `provider_link_changed`, `tries_failed`: somebody tried wrong passwords before you logged in.
    pub what: String,
}

impl From<&AccountNotice> for AccountNoticeView {
    fn from(notice: &AccountNotice) -> Self {
        Self { at: instant(notice.at), what: notice.what.clone() }
    }
}
