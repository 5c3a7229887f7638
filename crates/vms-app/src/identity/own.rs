//! The own sessions, for people to see and to end.

use audit::LeafKind;
use serde_json::json;
use vms_core::SessionId;

use crate::cases::UseCases;
use crate::error::{Entity, UseCaseError};
use crate::events;
use crate::login::Signed;
use crate::model::{EventScope, Session};
use crate::words::EventKind;

impl UseCases {
    /// The own sessions that are still open, the youngest first; the asking one is among them.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn own_sessions(&self, signed: &Signed) -> Result<Vec<Session>, UseCaseError> {
        let now = self.now();
        let mut list = self.stores.session_list(signed.account.id).await?;
        // Idle ones too: their running pictures go on.
        list.retain(|session| self.is_alive(session, now));
        Ok(list)
    }

    /// Ends another of the own sessions; its running streams stop.
    ///
    /// # Errors
    /// `NotFound` for a session that is not one's own or is over; `StepUpNeeded`.
    pub async fn own_session_end(&self, signed: &Signed, id: SessionId) -> Result<(), UseCaseError> {
        if !self.own_sessions(signed).await?.iter().any(|session| session.id == id) {
            return Err(UseCaseError::NotFound(Entity::Session));
        }
        // Whoever has a second factor shows it first: a borrowed screen must not throw its owner out elsewhere.
        if self.stores.factor_any(signed.account.id).await? {
            self.fresh_factor(signed).await?;
        }
        let details = json!({ "session": id.to_string(), "by": "owner" });
        self.record("session_ended", LeafKind::Session, Some(signed.actor.clone()), details).await?;
        self.stores.session_end(id, self.now()).await?;
        let why = json!({ "why": events::SESSION_ENDED });
        self.events.publish(EventKind::Session, EventScope::Session(id), why).await;
        self.note_change();
        Ok(())
    }
}
