//! Who sees what: object → owner → relation, before the gate is asked, and views that say what may be done.

use audit::LeafKind;
use policy::{Decision, Requirement};
use serde_json::json;
use vms_core::{DecisionId, OrgId, Profile, Purpose, Relation, Rendition, Right, StreamUse, WallTime};

use crate::cases::UseCases;
use crate::error::{Entity, UseCaseError};
use crate::gate::action::{ApproveCamera, EditCamera, ListCameras, ListReads, TakeTestPicture, ViewLive, ViewPlayback};
use crate::gate::{Action, Actor, Circumstances, GateError, Permit, Target, Why};
use crate::health::StreamHealth;
use crate::legal_changes::{may_draft_law, takes_proposals};
use crate::model::{Camera, Grant, Org, Partner};
use crate::sharing::board::SharingNow;

/// How an organisation stands to a camera for one right, given the grants to it that are in force.
pub fn relation_of(
    org: OrgId,
    profile: Profile,
    camera: &Camera,
    right: Right,
    purpose: Option<Purpose>,
    grants: &[Grant],
) -> Relation {
    if camera.owner == org {
        return Relation::Own;
    }
    if fitting(org, profile, camera, right, purpose, grants).is_empty() { Relation::Other } else { Relation::Shared }
}

/// The grants under which an organisation uses a camera for one right.
fn fitting<'g>(
    org: OrgId,
    profile: Profile,
    camera: &Camera,
    right: Right,
    purpose: Option<Purpose>,
    grants: &'g [Grant],
) -> Vec<&'g Grant> {
    let fits = |grant: &&Grant| {
        grant.terms.camera == camera.id
            && grant.terms.partner == org
            // The owner at the time of the grant must still be the owner.
            && grant.owner == camera.owner
            && grant.terms.profile.is_none_or(|wanted| wanted == profile)
            // Whoever may use a camera may also see that it exists.
            && (grant.terms.right == right || right == Right::CameraList)
            && (purpose.is_none() || grant.terms.purpose.is_none() || grant.terms.purpose == purpose)
    };
    grants.iter().filter(fits).collect()
}

/// What an actor may do with a camera, and what each needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct May {
    /// See it live.
    pub live: bool,
    /// See its past.
    pub playback: bool,
    /// See its reads.
    pub reads: bool,
    /// Change it.
    pub edit: bool,
    /// Approve it.
    pub approve: bool,
    /// Propose a change of its legal fields, once it is past its draft.
    pub propose_law: bool,
    /// Take a test picture.
    pub test_picture: bool,
    /// What live needs besides.
    pub live_needs: Vec<Requirement>,
    /// What playback needs besides.
    pub playback_needs: Vec<Requirement>,
    /// What a test picture needs besides.
    pub test_picture_needs: Vec<Requirement>,
}

/// A camera as one actor sees it.
#[derive(Clone, Debug)]
pub struct CameraSight {
    /// The camera; streams' addresses only matter with `may.edit`.
    pub camera: Camera,
    /// Its owner.
    pub owner: Option<Org>,
    /// Its partner.
    pub partner: Option<Partner>,
    /// For seeing it.
    pub relation: Relation,
    /// Health of its main stream, or of its first.
    pub health: Option<StreamHealth>,
    /// What may be done.
    pub may: May,
}

impl UseCases {
    /// The target of `A` on a camera for this actor.
    pub(crate) async fn camera_target<A: Action>(
        &self,
        actor: &Actor,
        camera: &Camera,
        purpose: Option<Purpose>,
    ) -> Result<Target, UseCaseError> {
        let grants = if camera.owner == actor.org {
            Vec::new()
        } else {
            self.stores.grant_list_on(camera.id, actor.org, self.now()).await?
        };
        let now = self.sharing_now().await?;
        Ok(self.target_in(&now, actor, camera, A::RIGHT, purpose, &grants))
    }

    /// The same from what was read already.
    fn target_in(
        &self,
        now: &SharingNow,
        actor: &Actor,
        camera: &Camera,
        right: Right,
        purpose: Option<Purpose>,
        grants: &[Grant],
    ) -> Target {
        let fitting = fitting(actor.org, actor.profile, camera, right, purpose, grants);
        let relation = match (camera.owner == actor.org, fitting.is_empty()) {
            (true, _) => Relation::Own,
            (false, true) => Relation::Other,
            (false, false) => Relation::Shared,
        };
        let mut circumstances = self.circumstances_in(now, actor, camera, relation, purpose, &fitting);
        // That a camera exists is no sight of it: whoever used it before reads that the flow is suspended, not that it is gone.
        circumstances.suspended &= right != Right::CameraList;
        Target { circumstances, ..Target::camera(camera.id, camera.owner, relation) }
    }

    /// A share for one purpose is used for that purpose: whoever names none is asked for it, and the refusal is logged.
    async fn purpose_check<A: Action>(&self, actor: &Actor, target: &Target, why: &Why) -> Result<(), UseCaseError> {
        let shows = matches!(A::RIGHT, Right::Live | Right::Playback | Right::Ptz);
        let (Some(camera), None, Relation::Shared, true) = (target.camera, why.purpose, target.relation, shows) else {
            return Ok(());
        };
        let grants = self.stores.grant_list_on(camera, actor.org, self.now()).await?;
        let fits = |grant: &&Grant| {
            grant.terms.right == A::RIGHT && grant.terms.profile.is_none_or(|profile| profile == actor.profile)
        };
        if grants.iter().filter(fits).any(|grant| grant.terms.purpose.is_none()) {
            return Ok(());
        }
        let details = json!({ "outcome": "missing", "missing": ["purpose"], "right": A::RIGHT.as_str(),
            "camera": camera.to_string() });
        self.record("purpose_missing", LeafKind::Refuse, Some(actor.clone()), details).await?;
        Err(UseCaseError::Missing(vec![Requirement::Purpose]))
    }

    /// A permit for something on a camera. A refusal becomes "no such camera" when the actor may not know of it.
    pub(crate) async fn permit_on<A: Action>(
        &self,
        actor: &Actor,
        camera: &Camera,
        target: Target,
        why: &Why,
    ) -> Result<Permit<A>, UseCaseError> {
        self.purpose_check::<A>(actor, &target, why).await?;
        let permit = match self.gate.permit::<A>(actor, target, why).await {
            Err(GateError::Denied { .. }) if !self.is_visible(actor, camera).await? => {
                return Err(UseCaseError::NotFound(Entity::Camera));
            }
            other => other.map_err(UseCaseError::from)?,
        };
        self.follow_up(&permit).await?;
        Ok(permit)
    }

    /// The permit of an earlier decision of this session, decided again against the table, the grants and the owner of this
    /// moment. When the right is gone, that is a refusal like any other: a leaf, and the earlier decision is worth no more.
    pub(crate) async fn recalled<A: Action>(
        &self,
        actor: &Actor,
        decision: DecisionId,
    ) -> Result<Permit<A>, UseCaseError> {
        let permit = self.gate.recall::<A>(actor, decision)?;
        self.gate.log_stands().await?;
        let asked = permit.target().clone();
        let now = match asked.camera {
            Some(id) => {
                let cameras = self.cameras_now().await?;
                let camera = cameras.iter().find(|camera| camera.id == id);
                let camera = camera.ok_or(UseCaseError::NotFound(Entity::Camera))?;
                self.camera_target::<A>(actor, camera, permit.why().purpose).await?
            }
            None => {
                let is_own = asked.owner.is_none_or(|owner| owner == actor.org);
                let relation = if is_own { Relation::Own } else { Relation::Other };
                let circumstances =
                    if is_own { self.circumstances_of_own(actor, None).await? } else { Circumstances::none() };
                Target { owner: asked.owner, relation, circumstances, ..Target::none() }
            }
        };
        let target = Target { owner: now.owner, relation: now.relation, circumstances: now.circumstances, ..asked };
        match self.gate.renew(&permit, target.clone()).await {
            Ok(()) => Ok(permit),
            Err(GateError::Denied { .. } | GateError::Missing(_)) => {
                self.gate.forget(decision);
                Ok(self.gate.permit::<A>(actor, target, permit.why()).await?)
            }
            Err(error @ (GateError::Unknown | GateError::LogUnavailable(_))) => Err(error.into()),
        }
    }

    /// Whether the actor may know that the camera exists.
    pub(crate) async fn is_visible(&self, actor: &Actor, camera: &Camera) -> Result<bool, UseCaseError> {
        let target = self.camera_target::<ListCameras>(actor, camera, None).await?;
        Ok(self.gate.would::<ListCameras>(actor, &target).is_allow())
    }

    /// Whoever may not know of the camera is refused, and it is logged, before anything else of a wish is looked at: what is wrong
    /// with the wish would tell that the camera is there.
    pub(crate) async fn known_or_refused<A: Action>(
        &self,
        actor: &Actor,
        camera: &Camera,
        target: &Target,
        why: &Why,
    ) -> Result<(), UseCaseError> {
        if self.is_visible(actor, camera).await? {
            return Ok(());
        }
        let permit = self.permit_on::<A>(actor, camera, target.clone(), why).await?;
        drop(permit);
        Err(UseCaseError::NotFound(Entity::Camera))
    }

    /// A look that shows no image and no read: no leaf when allowed, a leaf when refused.
    pub(crate) async fn look_on<A: Action>(&self, actor: &Actor, camera: &Camera) -> Result<Relation, UseCaseError> {
        let target = self.camera_target::<A>(actor, camera, None).await?;
        let relation = target.relation;
        match self.gate.would::<A>(actor, &target) {
            Decision::Allow(_) | Decision::Missing(_) => Ok(relation),
            Decision::Deny(_) => {
                let why = Why::default();
                self.permit_on::<A>(actor, camera, target, &why).await.map(|_| relation)
            }
        }
    }

    /// A look at a whole list, for whoever has the right towards anything at all; what is in it is filtered one by one.
    ///
    /// # Errors
    /// [`UseCaseError::Denied`], logged.
    pub async fn look<A: Action>(&self, actor: &Actor) -> Result<(), UseCaseError> {
        if self.gate.rights_of(actor.profile).contains(&A::RIGHT) {
            return Ok(());
        }
        let permit = self.gate.permit::<A>(actor, Target::none(), &Why::default()).await?;
        drop(permit);
        Ok(())
    }

    /// A camera as the actor sees it; `None` when the actor may not know of it.
    pub(crate) fn sight(
        &self,
        actor: &Actor,
        camera: &Camera,
        grants: &[Grant],
        orgs: &[Org],
        partners: &[Partner],
    ) -> Option<CameraSight> {
        // Read a moment ago by whoever asked for the grants.
        let now = self.sharing.latest();
        let target = |right: Right, rendition: Rendition| Target {
            rendition,
            ..self.target_in(&now, actor, camera, right, None, grants)
        };
        let listed = target(Right::CameraList, Rendition::Original);
        if !self.gate.would::<ListCameras>(actor, &listed).is_allow() {
            return None;
        }
        let partner = camera.partner.and_then(|org| partners.iter().find(|partner| partner.org == org)).cloned();
        let shows = camera.is_in_service() && partner.as_ref().is_none_or(|partner| partner.enabled);
        let past = camera.legal_basis.is_some() && camera.partner.is_none();
        let original = target(Right::Live, Rendition::Original);
        let coarse = target(Right::Live, Rendition::Coarse);
        let live = yes(&self.gate.would::<ViewLive>(actor, &original))
            .or_else(|| yes(&self.gate.would::<ViewLive>(actor, &coarse)))
            .filter(|_| shows);
        let playback = target(Right::Playback, Rendition::Original);
        let playback = yes(&self.gate.would::<ViewPlayback>(actor, &playback)).filter(|_| past);
        let test = target(Right::CameraTestPicture, Rendition::Coarse);
        let test = yes(&self.gate.would::<TakeTestPicture>(actor, &test)).filter(|_| camera.partner.is_none());
        let allows = |decision: &Decision| yes(decision).is_some();
        let edit = allows(&self.gate.would::<EditCamera>(actor, &target(Right::CameraEdit, Rendition::Original)));
        let approve =
            allows(&self.gate.would::<ApproveCamera>(actor, &target(Right::CameraApprove, Rendition::Original)));
        let may = May {
            live: live.is_some(),
            playback: playback.is_some(),
            reads: allows(&self.gate.would::<ListReads>(actor, &target(Right::ReadsLive, Rendition::Original))),
            edit,
            approve,
            propose_law: takes_proposals(camera) && (approve || (edit && may_draft_law(actor.profile))),
            test_picture: test.is_some(),
            live_needs: live.unwrap_or_default(),
            playback_needs: playback.unwrap_or_default(),
            test_picture_needs: test.unwrap_or_default(),
        };
        let owner = orgs.iter().find(|org| org.id == camera.owner).cloned();
        let stream = camera.stream(StreamUse::Main).or_else(|| camera.streams.first());
        let health = stream.and_then(|stream| self.health.of(stream.id));
        Some(CameraSight { camera: camera.clone(), owner, partner, relation: listed.relation, health, may })
    }

    /// Whether an actor may do something with a camera that needs nothing besides; after [`UseCases::grants_to`], which read what holds now.
    pub(crate) fn sees<A: Action>(&self, actor: &Actor, camera: &Camera, grants: &[Grant]) -> bool {
        let now = self.sharing.latest();
        let target = self.target_in(&now, actor, camera, A::RIGHT, None, grants);
        self.gate.would::<A>(actor, &target).is_allow()
    }

    pub(crate) async fn grants_to(&self, org: OrgId, at: WallTime) -> Result<Vec<Grant>, UseCaseError> {
        // The views that follow decide with what holds now.
        drop(self.sharing_now().await?);
        Ok(self.stores.grant_list_to(org, at).await?)
    }
}

/// What a yes still needs; `None` for a no.
fn yes(decision: &Decision) -> Option<Vec<Requirement>> {
    match decision {
        Decision::Allow(_) => Some(Vec::new()),
        Decision::Missing(needs) => Some(needs.clone()),
        Decision::Deny(_) => None,
    }
}
