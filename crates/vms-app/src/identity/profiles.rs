//! Several profiles on one account, one active in a session (`domain.md` H, separation rule 5).

use audit::LeafKind;
use serde_json::json;
use vms_core::Profile;

use crate::cases::UseCases;
use crate::error::{Conflict, UseCaseError};
use crate::login::Signed;

impl UseCases {
    /// Whether an account with this profile needs a second factor.
    pub fn needs_factor(&self, profile: Profile) -> bool {
        self.identity_rules.needs_factor(&[profile])
    }

    /// Makes another profile of the own account the session's active one. Running streams of the old one stop.
    ///
    /// # Errors
    /// `Invalid` for a profile that the account does not hold.
    pub async fn switch_profile(&self, signed: &Signed, profile: Profile) -> Result<(), UseCaseError> {
        if !signed.account.profiles().any(|held| held == profile) {
            return Err(UseCaseError::invalid("profile", "not_held"));
        }
        if profile == signed.session.profile {
            return Ok(());
        }
        let details = json!({ "from": signed.session.profile.as_str(), "to": profile.as_str() });
        self.record("profile_switched", LeafKind::Session, Some(signed.actor.clone()), details).await?;
        self.stores.session_profile(signed.session.id, profile).await?;
        self.note_change();
        Ok(())
    }

    /// Checks a set of profiles for one account.
    ///
    /// # Errors
    /// `Conflict(ProfilesApart)` for two that one person may not hold together.
    pub(crate) fn check_profiles(&self, held: &[Profile]) -> Result<(), UseCaseError> {
        match self.identity_rules.clash(held) {
            None => Ok(()),
            Some((one, two)) => Err(UseCaseError::Conflict(Conflict::ProfilesApart { one, two })),
        }
    }
}
