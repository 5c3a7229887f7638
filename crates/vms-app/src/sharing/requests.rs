//! Wishes for a share: a partner asks the owner of cameras; the owner's zone chief, or the local administrator of a partner without
//! one, gives or refuses. The local administrator of a zone only together with the zone chief (`domain.md` H5).

use serde_json::json;
use uuid::Uuid;
use vms_core::{CameraId, OrgId, Profile, Purpose, Relation, Right, TimeRange};

use super::model::ShareRequest;
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{AnswerShare, AskShare, ViewGrants};
use crate::gate::{Actor, GateError, Target, Why};
use crate::grants::{CAMERAS_MAX, GrantWish};
use crate::legal_changes::reason_of;
use crate::model::{Camera, Org};
use crate::words::{NoticeKind, OrgKind, ShareRequestState as State};

/// Requests of one list; older ones are in the log.
const LIST_MAX: u32 = 500;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct ShareAsk {
    /// Cameras of one owner.
    pub cameras: Vec<CameraId>,
    /// Only for this profile of the asking organisation.
    pub profile: Option<Profile>,
    /// What.
    pub rights: Vec<Right>,
    /// Only for this purpose.
    pub purpose: Option<Purpose>,
    /// When.
    pub period: TimeRange,
    /// Why, and for which case.
    pub why: Why,
}

/// An answer to a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareAnswer {
    /// Yes: the grants are given, or the zone chief has to agree as well.
    Approve,
    /// No, and why.
    Refuse(String),
    /// Whoever asked takes it back.
    Withdraw,
}

/// A wish as somebody sees it.
#[derive(Clone, Debug)]
pub struct ShareRequestSight {
    /// The wish.
    pub request: ShareRequest,
    /// Owner of the cameras.
    pub owner: Option<Org>,
    /// Who asks.
    pub partner: Option<Org>,
    /// Codes of the cameras.
    pub camera_codes: Vec<String>,
    /// Whether the actor may approve or refuse it.
    pub may_answer: bool,
    /// Whether the actor may take it back.
    pub may_withdraw: bool,
}

impl UseCases {
    /// The cameras, all of one owner that is not the actor's own; a permit is asked for each.
    async fn asked_cameras(&self, actor: &Actor, ask: &ShareAsk) -> Result<(Vec<CameraId>, OrgId), UseCaseError> {
        let mut ids = ask.cameras.clone();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() || ids.len() > CAMERAS_MAX {
            self.look::<AskShare>(actor).await?;
            return Err(UseCaseError::invalid("camera_ids", "empty_or_too_long"));
        }
        let known = self.cameras_now().await?;
        let mut owner = None;
        for id in &ids {
            let camera = known.iter().find(|camera| camera.id == *id).ok_or(UseCaseError::NotFound(Entity::Camera))?;
            // What is asked for is not shared yet, whatever else is.
            let relation = if camera.owner == actor.org { Relation::Own } else { Relation::Other };
            let target = Target::camera(camera.id, camera.owner, relation);
            match self.gate.permit::<AskShare>(actor, target, &ask.why).await {
                Ok(_) => {}
                Err(GateError::Denied { .. }) if !self.is_visible(actor, camera).await? => {
                    return Err(UseCaseError::NotFound(Entity::Camera));
                }
                Err(error) => return Err(error.into()),
            }
            if *owner.get_or_insert(camera.owner) != camera.owner {
                return Err(UseCaseError::invalid("camera_ids", "of_several_owners"));
            }
        }
        let owner = owner.ok_or_else(|| UseCaseError::invalid("camera_ids", "empty_or_too_long"))?;
        Ok((ids, owner))
    }

    /// Asks an owner for a share.
    ///
    /// # Errors
    /// `Denied`, `Missing`, `NotFound`, `Invalid`.
    pub async fn share_ask(&self, actor: &Actor, ask: ShareAsk) -> Result<ShareRequest, UseCaseError> {
        let (cameras, owner) = self.asked_cameras(actor, &ask).await?;
        let ShareAsk { profile, mut rights, purpose, period, why, .. } = ask;
        rights.sort_unstable();
        rights.dedup();
        if rights.is_empty() {
            return Err(UseCaseError::invalid("rights", "empty"));
        }
        self.grant_terms_check(owner, actor.org, &rights, period).await?;
        let request = ShareRequest {
            id: self.ids.uuid(),
            owner,
            partner: actor.org,
            cameras,
            profile,
            rights,
            purpose,
            period,
            reason: reason_of(why.justification.as_deref().unwrap_or_default())?,
            case_ref: why.case_ref,
            asked: self.signature(actor).await?,
            state: State::Waiting,
            first: None,
            settled: None,
            answer: None,
        };
        self.share_leaf("share_asked", actor, &request).await?;
        self.stores.share_request_insert(&request).await?;
        self.share_tell(&request).await?;
        Ok(request)
    }

    async fn share_leaf(
        &self,
        operation: &'static str,
        actor: &Actor,
        request: &ShareRequest,
    ) -> Result<(), UseCaseError> {
        let details = json!({
            "owner": request.owner.to_string(), "partner": request.partner.to_string(),
            "cameras": request.cameras.iter().map(CameraId::to_string).collect::<Vec<_>>(),
            "profile": request.profile.map(Profile::as_str),
            "rights": request.rights.iter().map(|right| right.as_str()).collect::<Vec<_>>(),
            "purpose": request.purpose.map(Purpose::as_str), "reason": request.reason,
            "case_ref": request.case_ref, "state": request.state.as_str(), "answer": request.answer,
            "from_us": request.period.from.micros, "to_us": request.period.to.micros,
            "first": request.first.as_ref().map(|by| by.user.to_string()),
        });
        self.sharing_leaf(operation, Some(actor), request.id, details).await
    }

    async fn share_tell(&self, request: &ShareRequest) -> Result<(), UseCaseError> {
        let data = json!({ "request": request.id.to_string(), "state": request.state.as_str(),
            "cameras": request.cameras.len() });
        for org in [request.owner, request.partner] {
            self.notice_put(org, NoticeKind::ShareRequest, data.clone()).await?;
        }
        Ok(())
    }

    /// Answers a wish, or takes it back.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `Conflict(SamePerson | WrongState)`, `VersionStale` (somebody was faster).
    pub async fn share_answer(
        &self,
        actor: &Actor,
        id: Uuid,
        answer: ShareAnswer,
    ) -> Result<ShareRequest, UseCaseError> {
        match answer {
            ShareAnswer::Withdraw => self.look::<AskShare>(actor).await?,
            ShareAnswer::Approve | ShareAnswer::Refuse(_) => self.look::<AnswerShare>(actor).await?,
        }
        let missing = || UseCaseError::NotFound(Entity::ShareRequest);
        let request = self.stores.share_request_fetch(id).await?.ok_or_else(missing)?;
        let was = request.state;
        if answer == ShareAnswer::Withdraw {
            if request.partner != actor.org {
                return Err(missing());
            }
        } else {
            let relation = if request.owner == actor.org { Relation::Own } else { Relation::Other };
            let target =
                Target { owner: Some(request.owner), relation, object: Some(id.to_string()), ..Target::none() };
            match self.gate.permit::<AnswerShare>(actor, target, &Why::default()).await {
                Ok(_) => {}
                // Whoever may not answer it learns nothing of it.
                Err(GateError::Denied { .. }) => return Err(missing()),
                Err(error) => return Err(error.into()),
            }
        }
        if !matches!(was, State::Waiting | State::WaitsSecond) {
            return Err(UseCaseError::Conflict(Conflict::WrongState(was.as_str())));
        }
        let by = self.signature(actor).await?;
        let request = match answer {
            ShareAnswer::Withdraw => ShareRequest { state: State::Withdrawn, settled: Some(by), ..request },
            ShareAnswer::Refuse(text) => {
                let answer = Some(reason_of(&text)?);
                ShareRequest { state: State::Refused, settled: Some(by), answer, ..request }
            }
            ShareAnswer::Approve if self.needs_chief(actor).await? => {
                if was == State::WaitsSecond {
                    return Err(UseCaseError::Conflict(Conflict::WrongState(was.as_str())));
                }
                ShareRequest { state: State::WaitsSecond, first: Some(by), ..request }
            }
            ShareAnswer::Approve => {
                if request.first.as_ref().is_some_and(|first| first.user == actor.user) {
                    return Err(UseCaseError::Conflict(Conflict::SamePerson));
                }
                ShareRequest { state: State::Approved, settled: Some(by), ..request }
            }
        };
        self.share_settle(actor, request, was).await
    }

    async fn share_settle(
        &self,
        actor: &Actor,
        request: ShareRequest,
        was: State,
    ) -> Result<ShareRequest, UseCaseError> {
        let mut cameras = Vec::new();
        if request.state == State::Approved {
            // The cameras must still be the owner's; nothing is given unless all can be.
            self.grant_terms_check(request.owner, request.partner, &request.rights, request.period).await?;
            for id in &request.cameras {
                let camera = self.stores.camera_fetch(*id).await?.filter(|camera| camera.owner == request.owner);
                cameras.push(camera.ok_or(UseCaseError::NotFound(Entity::Camera))?);
            }
        }
        self.share_leaf("share_answered", actor, &request).await?;
        // First the answer: of two people at once one gives.
        self.stores.share_request_update(&request, was).await?;
        self.share_give(actor, &request, &cameras).await?;
        self.share_tell(&request).await?;
        Ok(request)
    }

    async fn share_give(&self, actor: &Actor, request: &ShareRequest, cameras: &[Camera]) -> Result<(), UseCaseError> {
        for camera in cameras {
            for right in &request.rights {
                let wish = GrantWish {
                    camera: camera.id,
                    partner: request.partner,
                    profile: request.profile,
                    right: *right,
                    purpose: request.purpose,
                    period: request.period,
                };
                self.grant_write(actor, camera, wish).await?;
            }
        }
        if !cameras.is_empty() {
            self.sharing_changed();
            self.grants_tell(&[request.owner, request.partner]).await;
        }
        Ok(())
    }

    /// The local administrator of a police zone does not share alone.
    async fn needs_chief(&self, actor: &Actor) -> Result<bool, UseCaseError> {
        let is_zone = self.org(actor.org).await?.is_some_and(|org| org.kind == OrgKind::PoliceZone);
        Ok(actor.profile == Profile::P19 && is_zone)
    }

    /// Wishes that the actor's organisation made or has to answer; all of them for an overseer. Newest first.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn share_list(&self, actor: &Actor, past: bool) -> Result<Vec<ShareRequestSight>, UseCaseError> {
        let rights = self.gate.rights_of(actor.profile);
        if !rights.contains(&Right::GrantRequest) {
            self.look::<ViewGrants>(actor).await?;
        }
        let others = Target { relation: Relation::Other, ..Target::none() };
        let sees_all = self.gate.would::<ViewGrants>(actor, &others).is_allow();
        let (orgs, cameras) = (self.orgs_now().await?, self.cameras_now().await?);
        let needs_chief = self.needs_chief(actor).await?;
        let mut seen = Vec::new();
        for request in self.stores.share_request_list(LIST_MAX).await? {
            let is_open = matches!(request.state, State::Waiting | State::WaitsSecond);
            let is_party = request.owner == actor.org || request.partner == actor.org;
            if !(is_party || sees_all) || !(is_open || past) {
                continue;
            }
            let org = |id: OrgId| orgs.iter().find(|org| org.id == id).cloned();
            let code = |id: &CameraId| cameras.iter().find(|camera| camera.id == *id).map(|camera| camera.code.clone());
            let is_first = request.first.as_ref().is_some_and(|first| first.user == actor.user);
            let answers = request.owner == actor.org && rights.contains(&Right::GrantApprove);
            seen.push(ShareRequestSight {
                owner: org(request.owner),
                partner: org(request.partner),
                camera_codes: request.cameras.iter().filter_map(code).collect(),
                may_answer: is_open && answers && !is_first && !(needs_chief && request.state == State::WaitsSecond),
                may_withdraw: is_open && request.partner == actor.org && rights.contains(&Right::GrantRequest),
                request,
            });
        }
        Ok(seen)
    }
}
