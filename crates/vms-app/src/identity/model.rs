//! Second factors as they are kept and told.

use uuid::Uuid;
use vms_core::{UserId, WallTime};
use zeroize::Zeroizing;

/// Kinds of second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactorKind {
    /// Codes of an authenticator app.
    Totp,
    /// A security key or passkey.
    WebAuthn,
}

impl FactorKind {
    /// Stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::WebAuthn => "webauthn",
        }
    }
}

/// A second factor of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct Factor {
    /// Key.
    pub id: Uuid,
    /// Whose.
    pub user: UserId,
    /// Kind.
    pub kind: FactorKind,
    /// The person's word for it.
    pub name: String,
    /// Codes: the sealed secret. Security keys: the public key.
    pub material: Vec<u8>,
    /// Security keys: the credential's id, base64url; unique.
    pub credential: Option<String>,
    /// Codes: the last step used. Security keys: the last signature counter.
    pub counter: i64,
    /// Enrolment begun.
    pub created_at: WallTime,
    /// Enrolment proven; before that it opens nothing.
    pub confirmed_at: Option<WallTime>,
    /// Last use.
    pub used_at: Option<WallTime>,
}

impl std::fmt::Debug for Factor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Factor").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What a session lacks before it may do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// The account has second factors: show one.
    SecondFactor,
    /// The profile needs a second factor and the account has none: enrol one.
    Enrolment,
    /// The active profile needs a hardware key, and the account has one: show it.
    HardwareKey,
    /// The active profile needs a hardware key and the account has none: enrol one.
    HardwareEnrolment,
}

impl Pending {
    /// Whether nothing is lacking but to show a factor that the account has.
    pub const fn is_to_show(self) -> bool {
        matches!(self, Self::SecondFactor | Self::HardwareKey)
    }

    /// Stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecondFactor => "second_factor",
            Self::Enrolment => "enrolment",
            Self::HardwareKey => "hardware_key",
            Self::HardwareEnrolment => "hardware_enrolment",
        }
    }
}

/// What a security key answers, as the browser's `PublicKeyCredential` gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyAnswer {
    /// Id of the credential, base64url.
    pub credential: String,
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// `signature`; empty at registration.
    pub signature: Vec<u8>,
}

/// What the browser needs to ask a security key.
#[derive(Clone, Debug)]
pub struct KeyChallenge {
    /// Base64url.
    pub challenge: String,
    /// Domain that the keys belong to.
    pub rp_id: String,
    /// Ids of the account's keys, base64url: those that may answer, or those that are enrolled already.
    pub credentials: Vec<String>,
}

/// What somebody shows as second factor.
pub enum Proof {
    /// A code of an authenticator app.
    Code(Zeroizing<String>),
    /// A recovery code.
    Recovery(Zeroizing<String>),
    /// A security key's answer to the challenge of this session.
    Key(KeyAnswer),
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Code(_) => "Proof::Code(hidden)",
            Self::Recovery(_) => "Proof::Recovery(hidden)",
            Self::Key(_) => "Proof::Key",
        })
    }
}

/// An authenticator app's enrolment, begun.
pub struct TotpBegun {
    /// Key of the factor.
    pub id: Uuid,
    /// The secret in base 32; only here.
    pub secret: Zeroizing<String>,
    /// `otpauth://…`; only here.
    pub uri: Zeroizing<String>,
    /// The same as a picture, SVG.
    pub qr_svg: Zeroizing<String>,
}

impl std::fmt::Debug for TotpBegun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TotpBegun").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The second factors of an account.
#[derive(Clone, Debug)]
pub struct FactorsOverview {
    /// Proven ones, oldest first.
    pub factors: Vec<Factor>,
    /// Recovery codes that were not used yet.
    pub recovery_left: u64,
}

/// Something about an account that its owner should hear of, whoever did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountNotice {
    /// When.
    pub at: WallTime,
    /// Stable word: `factor_enrolled`, `factor_removed`, `factors_taken_away`, `recovery_codes_made`, `password_changed`,
    /// `password_reset`, `provider_link_changed`, `tries_failed`.
    pub what: String,
}
