//! Sessions, accounts, the log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vms_app::identity::Pending;
use vms_app::identity::rules::day_text;
use vms_app::login::Signed;
use vms_app::model::{Account, LogDetail};
use vms_core::Profile;
use zeroize::Zeroizing;

use super::common::{OrgView, PurposeDto, instant};

/// A log-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginDto {
    /// Log-in name.
    pub user_name: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for LoginDto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginDto(hidden)")
    }
}

impl LoginDto {
    /// The password, wiped when dropped.
    pub fn secret(self) -> (String, Zeroizing<String>) {
        (self.user_name, Zeroizing::new(self.password))
    }
}

/// Old and new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordDto {
    /// The one in force.
    pub old: String,
    /// At least 15 characters, none that are often used, and not made of the own name.
    pub new: String,
}

impl std::fmt::Debug for PasswordDto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordDto(hidden)")
    }
}

/// A change of the own session's account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPatchDto {
    /// `nl`, `fr` or `en`.
    pub language: Option<String>,
    /// A new password.
    pub password: Option<PasswordDto>,
}

/// The person behind a session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserRef {
    /// `usr_…`.
    pub id: String,
    /// The person's name.
    pub name: String,
    /// Log-in name.
    pub user_name: String,
    /// `nl`, `fr` or `en`.
    pub language: String,
}

/// A session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Who.
    pub user: UserRef,
    /// Of which organisation.
    pub org: OrgView,
    /// `P01` … `P24`.
    pub profile: String,
    /// Rights towards anything at all.
    pub rights: Vec<&'static str>,
    /// For the header `X-CSRF-Token`.
    pub csrf_token: String,
    /// End of the session.
    pub expires_at: String,
    /// End of the session unless a request comes before.
    pub idle_expires_at: String,
    /// Every profile of the account; `profile` is the active one.
    pub profiles: Vec<&'static str>,
    /// `second_factor`: show one first; `enrolment`: enrol one first; `hardware_key`, `hardware_enrolment`: the same, and only a
    /// security key will do; absent: nothing is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<&'static str>,
    /// Until when the second factor counts as fresh; absent when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_until: Option<String>,
    /// Nothing but a new password is allowed.
    pub password_change_required: bool,
}

impl From<&Signed> for SessionView {
    fn from(signed: &Signed) -> Self {
        let account = &signed.account;
        Self {
            user: UserRef {
                id: account.id.to_string(),
                name: account.name.clone(),
                user_name: account.user_name.clone(),
                language: account.language.as_str().to_owned(),
            },
            org: OrgView::from(&signed.org),
            profile: signed.actor.profile.as_str().to_owned(),
            rights: signed.rights.iter().map(|right| right.as_str()).collect(),
            csrf_token: signed.session.csrf.clone(),
            expires_at: instant(signed.expires_at),
            idle_expires_at: instant(signed.idle_expires_at),
            password_change_required: signed.must_change_password(),
            profiles: signed.account.profiles().map(Profile::as_str).collect(),
            pending: signed.pending.map(Pending::as_str),
            fresh_until: signed.fresh_until.map(instant),
        }
    }
}

/// An account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserView {
    /// `usr_…`.
    pub id: String,
    /// `org_…`.
    pub org_id: String,
    /// Log-in name.
    pub user_name: String,
    /// The person's name.
    pub name: String,
    /// `P01` … `P24`: the one that its sessions begin with.
    pub profile: String,
    /// Further ones that a session may switch to.
    pub more_profiles: Vec<&'static str>,
    /// `nl`, `fr` or `en`.
    pub language: String,
    /// Switched off.
    pub disabled: bool,
    /// Day on which the charter was signed, in Brussels.
    pub charter_on: Option<String>,
    /// Day on which the training was completed.
    pub training_on: Option<String>,
    /// Day on which the clearance was seen.
    pub clearance_on: Option<String>,
    /// What keeps it from a session, now or when its grace ends: `charter_missing`, `training_missing`,
    /// `training_expired`, `clearance_missing`, `unused`.
    pub lacks: Vec<&'static str>,
    /// End of the grace in which it need not show these yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<String>,
    /// Last log-in, or the making of the account.
    pub last_used_at: String,
    /// Made.
    pub created_at: String,
    /// The person's name at the identity provider, where the account is linked to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_subject: Option<String>,
    /// Only in the answer that made it: to be handed over, good for one log-in within a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_time_password: Option<String>,
}

impl From<&Account> for UserView {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            org_id: account.org.to_string(),
            user_name: account.user_name.clone(),
            name: account.name.clone(),
            profile: account.profile.as_str().to_owned(),
            more_profiles: account.more_profiles.iter().map(|profile| profile.as_str()).collect(),
            charter_on: account.charter_at.and_then(day_text),
            training_on: account.training_at.and_then(day_text),
            clearance_on: account.cleared_at.and_then(day_text),
            lacks: Vec::new(),
            grace_until: None,
            language: account.language.as_str().to_owned(),
            disabled: account.disabled_at.is_some(),
            last_used_at: instant(account.last_used_at),
            created_at: instant(account.created_at),
            provider_subject: None,
            one_time_password: None,
        }
    }
}

/// A new account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserDto {
    /// Log-in name.
    pub user_name: String,
    /// The person's name.
    pub name: String,
    /// `org_…`.
    pub org_id: String,
    /// `P01` … `P24`.
    pub profile: String,
    /// `nl` when absent.
    pub language: Option<String>,
    /// Further profiles that a session may switch to.
    #[serde(default)]
    pub more_profiles: Vec<String>,
    /// Day on which the charter was signed, `YYYY-MM-DD`.
    pub charter_on: Option<String>,
    /// Day on which the training was completed.
    pub training_on: Option<String>,
    /// Day on which the clearance was seen.
    pub clearance_on: Option<String>,
}

/// A change of an account.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatchDto {
    /// Switched off or on.
    pub disabled: Option<bool>,
    /// The person's name.
    pub name: Option<String>,
    /// `P01` … `P24`.
    pub profile: Option<String>,
    /// `nl`, `fr` or `en`.
    pub language: Option<String>,
    /// Make a new one-time password.
    #[serde(default)]
    pub reset_password: bool,
    /// Further profiles, all of them.
    pub more_profiles: Option<Vec<String>>,
    /// Day on which the charter was signed, `YYYY-MM-DD`; an empty text takes it away.
    pub charter_on: Option<String>,
    /// Day on which the training was completed; an empty text takes it away.
    pub training_on: Option<String>,
    /// Day on which the clearance was seen; an empty text takes it away.
    pub clearance_on: Option<String>,
    /// Take all second factors away: the person lost them.
    #[serde(default)]
    pub reset_factors: bool,
    /// The person's name at the identity provider (`sub`); an empty text takes the link away. The account's sessions end.
    pub provider_subject: Option<String>,
}

/// Whose searches are looked for. `Debug` hides the plate.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlateTraceDto {
    /// The plate; separators do not matter.
    pub plate: String,
    /// First instant.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// Why, with a case number: the answer names persons.
    pub purpose: Option<PurposeDto>,
}

impl std::fmt::Debug for PlateTraceDto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlateTraceDto").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

/// A leaf of the log with its details.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AuditView {
    /// Index of the leaf.
    pub index: u64,
    /// When.
    pub at: String,
    /// Word for what happened.
    pub operation: String,
    /// `org_…` of the actor.
    pub org_id: Option<String>,
    /// `usr_…` of the actor.
    pub user_id: Option<String>,
    /// `dec_…`.
    pub decision_id: Option<String>,
    /// What stands beside the leaf.
    pub details: serde_json::Value,
}

impl From<&LogDetail> for AuditView {
    fn from(detail: &LogDetail) -> Self {
        Self {
            index: detail.index,
            at: instant(detail.at),
            operation: detail.operation.clone(),
            org_id: detail.org.map(|id| id.to_string()),
            user_id: detail.user.map(|id| id.to_string()),
            decision_id: detail.decision.map(|id| id.to_string()),
            details: serde_json::from_str(&detail.details).unwrap_or(serde_json::Value::Null),
        }
    }
}
