//! What one person asks for and another agrees to: switching a partner's data flow on, and the end of a camera that the platform's
//! administrator asks for (`domain.md` H5, `reliability.md` A9). Nothing happens by the word of one.

use async_trait::async_trait;
use audit::LeafKind;
use serde_json::json;
use uuid::Uuid;
use vms_core::{CameraId, OrgId, Right};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{ApprovePartner, ApproveRetirement, AskRetirement};
use crate::gate::{Actor, Target, Why};
use crate::legal_changes::{Settling, reason_of};
use crate::model::{Camera, Partner, Signature};
use crate::ports::store::Stored;
use crate::words::{ChangeState, SecondKind};

/// Wishes of one list; older ones are in the database.
const LIST_MAX: u32 = 500;
/// What stands as the reason where nobody has to write one.
const SWITCH_ON: &str = "the partner's data flow is to be switched on";

/// A wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondWish {
    /// Key.
    pub id: Uuid,
    /// Of what.
    pub kind: SecondKind,
    /// `org_…` of the partner, `cam_…` of the camera.
    pub object: String,
    /// The partner itself, or the camera's owner.
    pub owner: OrgId,
    /// Why, in the person's words.
    pub reason: String,
    /// By whom, when.
    pub asked: Signature,
    /// Where it stands.
    pub state: ChangeState,
    /// Why it was refused.
    pub answer: Option<String>,
    /// Who agreed, refused or took it back.
    pub settled: Option<Signature>,
}

/// A wish as somebody sees it.
#[derive(Clone, Debug)]
pub struct SecondSight {
    /// The wish.
    pub wish: SecondWish,
    /// The camera's code or the partner's name.
    pub name: String,
    /// Whether the actor may agree or refuse.
    pub may_settle: bool,
    /// Whether the actor may take it back.
    pub may_withdraw: bool,
}

/// Where wishes are kept.
#[async_trait]
pub trait SecondStore: Send + Sync {
    /// New; `Taken` while one of the same kind and object waits.
    async fn second_insert(&self, wish: &SecondWish) -> Stored<()>;
    /// By key.
    async fn second_fetch(&self, id: Uuid) -> Stored<Option<SecondWish>>;
    /// Newest first, at most `limit`.
    async fn second_list(&self, limit: u32) -> Stored<Vec<SecondWish>>;
    /// Writes state, signature and answer while it waits; `Stale` otherwise.
    async fn second_settle(&self, wish: &SecondWish) -> Stored<()>;
}

impl UseCases {
    async fn second_ask(
        &self,
        actor: &Actor,
        kind: SecondKind,
        object: String,
        owner: OrgId,
        reason: String,
    ) -> Result<SecondWish, UseCaseError> {
        let wish = SecondWish {
            id: self.ids.uuid(),
            kind,
            object,
            owner,
            reason,
            asked: self.signature(actor).await?,
            state: ChangeState::Waiting,
            answer: None,
            settled: None,
        };
        self.second_leaf("second_asked", actor, &wish).await?;
        self.stores.second_insert(&wish).await?;
        Ok(wish)
    }

    /// Puts the switching on of a partner before a second person.
    pub(crate) async fn partner_ask(&self, actor: &Actor, partner: &Partner) -> Result<SecondWish, UseCaseError> {
        let (object, reason) = (partner.org.to_string(), SWITCH_ON.to_owned());
        self.second_ask(actor, SecondKind::PartnerOn, object, partner.org, reason).await
    }

    /// Puts the end of a camera before a second person.
    pub(crate) async fn retirement_ask(
        &self,
        actor: &Actor,
        camera: &Camera,
        target: Target,
        why: &Why,
    ) -> Result<SecondWish, UseCaseError> {
        self.permit_on::<AskRetirement>(actor, camera, target, why).await?;
        let reason = reason_of(why.justification.as_deref().unwrap_or_default())?;
        self.second_ask(actor, SecondKind::CameraRetire, camera.id.to_string(), camera.owner, reason).await
    }

    async fn second_leaf(&self, operation: &'static str, actor: &Actor, wish: &SecondWish) -> Result<(), UseCaseError> {
        let details = json!({
            "wish": wish.id.to_string(), "kind": wish.kind.as_str(), "object": wish.object,
            "owner": wish.owner.to_string(), "reason": wish.reason, "state": wish.state.as_str(), "answer": wish.answer,
            "asked_by": wish.asked.user.to_string(),
        });
        self.record(operation, LeafKind::Change, Some(actor.clone()), details).await
    }

    /// Whether the actor may be the second person of a kind, for things of this owner.
    fn may_second(&self, actor: &Actor, kind: SecondKind, owner: OrgId) -> bool {
        let right = match kind {
            SecondKind::PartnerOn => Right::PartnerApprove,
            SecondKind::CameraRetire => Right::CameraRetireApprove,
        };
        // A partner's onboarding is the region's affair; a camera's end is its owner's.
        self.has_right(actor, right) && (kind == SecondKind::PartnerOn || owner == actor.org)
    }

    /// Wishes that the actor asked for, may agree to, or looks over; newest first.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn second_list(&self, actor: &Actor) -> Result<Vec<SecondSight>, UseCaseError> {
        let asks = [Right::PartnerAdmin, Right::CameraRetire, Right::CameraRetireApprove, Right::GrantView];
        if !asks.iter().any(|right| self.has_right(actor, *right)) {
            self.look::<ApprovePartner>(actor).await?;
        }
        let others = Target { relation: vms_core::Relation::Other, ..Target::none() };
        let sees_all = self.gate.would::<crate::gate::action::ViewGrants>(actor, &others).is_allow();
        let (cameras, partners) = (self.cameras_now().await?, self.stores.partner_list().await?);
        let mut sights = Vec::new();
        for wish in self.stores.second_list(LIST_MAX).await? {
            let is_own = wish.asked.user == actor.user;
            let seconds = self.may_second(actor, wish.kind, wish.owner);
            if !(is_own || seconds || sees_all || wish.owner == actor.org) {
                continue;
            }
            let camera = cameras.iter().find(|camera| camera.id.to_string() == wish.object);
            let partner = partners.iter().find(|partner| partner.org.to_string() == wish.object);
            let name = camera.map(|camera| camera.code.clone()).or_else(|| partner.map(|partner| partner.name.clone()));
            let waits = wish.state == ChangeState::Waiting;
            sights.push(SecondSight {
                name: name.unwrap_or_default(),
                may_settle: waits && seconds && !is_own,
                may_withdraw: waits && is_own,
                wish,
            });
        }
        Ok(sights)
    }

    /// Agrees to a wish, refuses it, or takes it back.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `Conflict(SamePerson | WrongState)`, `VersionStale`.
    pub async fn second_settle(&self, actor: &Actor, id: Uuid, how: Settling) -> Result<SecondWish, UseCaseError> {
        let missing = || UseCaseError::NotFound(Entity::SecondWish);
        let withdraws = how == Settling::Withdraw;
        let found = self.stores.second_fetch(id).await?;
        let Some(wish) = found else {
            if !withdraws {
                self.look::<ApprovePartner>(actor).await?;
            }
            return Err(missing());
        };
        let is_own = wish.asked.user == actor.user;
        if withdraws != is_own {
            let outcome = if is_own { "same_person" } else { "not_the_asker" };
            let details = json!({ "outcome": outcome, "wish": id.to_string() });
            self.record("second_settle_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(if is_own { UseCaseError::Conflict(Conflict::SamePerson) } else { missing() });
        }
        if !withdraws {
            self.second_permit(actor, &wish).await?;
        }
        if wish.state != ChangeState::Waiting {
            return Err(UseCaseError::Conflict(Conflict::WrongState(wish.state.as_str())));
        }
        let (operation, state, answer) = match how {
            Settling::Approve => ("second_approved", ChangeState::Approved, None),
            Settling::Refuse(why) => ("second_refused", ChangeState::Refused, Some(reason_of(&why)?)),
            Settling::Withdraw => ("second_withdrawn", ChangeState::Withdrawn, None),
        };
        let settled = Some(self.signature(actor).await?);
        let wish = SecondWish { state, answer, settled, ..wish };
        // What can't happen any more is told before anything is written.
        let act = if state == ChangeState::Approved { Some(self.second_act(&wish).await?) } else { None };
        self.second_leaf(operation, actor, &wish).await?;
        self.stores.second_settle(&wish).await?;
        match act {
            Some(Act::Partner(partner)) => self.partner_enable(partner, true).await.map(drop)?,
            Some(Act::Camera(camera)) => self.camera_end(camera).await.map(drop)?,
            None => {}
        }
        Ok(wish)
    }

    async fn second_permit(&self, actor: &Actor, wish: &SecondWish) -> Result<(), UseCaseError> {
        match wish.kind {
            SecondKind::PartnerOn => {
                let target = Target { object: Some(wish.object.clone()), ..Target::none() };
                self.gate.permit::<ApprovePartner>(actor, target, &Why::default()).await?;
            }
            SecondKind::CameraRetire => {
                let camera = self.camera_of(wish).await?;
                let target = self.camera_target::<ApproveRetirement>(actor, &camera, None).await?;
                let why = Why { second_person: Some(wish.asked.user), ..Why::default() };
                self.permit_on::<ApproveRetirement>(actor, &camera, target, &why).await?;
            }
        }
        Ok(())
    }

    async fn camera_of(&self, wish: &SecondWish) -> Result<Camera, UseCaseError> {
        let missing = || UseCaseError::NotFound(Entity::Camera);
        let id: CameraId = wish.object.parse().map_err(|_| missing())?;
        self.stores.camera_fetch(id).await?.ok_or_else(missing)
    }

    async fn second_act(&self, wish: &SecondWish) -> Result<Act, UseCaseError> {
        match wish.kind {
            SecondKind::PartnerOn => {
                let partner = self.stores.partner_fetch(wish.owner).await?;
                Ok(Act::Partner(partner.ok_or(UseCaseError::NotFound(Entity::Partner))?))
            }
            SecondKind::CameraRetire => {
                let camera = self.camera_of(wish).await?;
                crate::cameras::may_end(&camera)?;
                Ok(Act::Camera(camera))
            }
        }
    }
}

/// What an agreed wish does.
enum Act {
    Partner(Partner),
    Camera(Camera),
}
