//! Reading notices: an organisation reads its own, an overseer all.

use vms_core::Relation;

use super::model::Notice;
use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::action::ViewGrants;
use crate::gate::{Actor, Target};
use crate::model::Org;

/// A notice as somebody reads it.
#[derive(Clone, Debug)]
pub struct NoticeSight {
    /// The notice.
    pub notice: Notice,
    /// Who is told.
    pub org: Option<Org>,
}

impl UseCases {
    /// Notices to the actor's organisation, newest first; all of them for an overseer.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn notice_list(
        &self,
        actor: &Actor,
        below: Option<i64>,
        limit: u32,
    ) -> Result<Vec<NoticeSight>, UseCaseError> {
        self.look::<ViewGrants>(actor).await?;
        let others = Target { relation: Relation::Other, ..Target::none() };
        let sees_all = self.gate.would::<ViewGrants>(actor, &others).is_allow();
        let orgs = self.orgs_now().await?;
        let notices = self.stores.notice_list((!sees_all).then_some(actor.org), below, limit).await?;
        let sight = |notice: Notice| {
            let org = orgs.iter().find(|org| org.id == notice.org).cloned();
            NoticeSight { notice, org }
        };
        Ok(notices.into_iter().map(sight).collect())
    }
}
