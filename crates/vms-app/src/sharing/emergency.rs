//! Emergency access, "break glass" (`domain.md` H5 rule 6): a supervisor opens named cameras of others for an hour, with a reason;
//! their owners and data-protection officers are told at once, and somebody else reviews it within two working days. While a
//! review is late its person opens no other.

use audit::LeafKind;
use serde_json::json;
use uuid::Uuid;
use vms_core::{CameraId, OrgId, Purpose, Relation};

use super::model::Emergency;
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{BreakGlass, ReviewBreakGlass, ViewEvents};
use crate::gate::{Actor, GateError, Target, Why};
use crate::legal_changes::reason_of;
use crate::model::Org;
use crate::words::NoticeKind;

/// Emergency accesses of one list; older ones are in the log.
const LIST_MAX: u32 = 500;

/// Emergency access as somebody wants it.
#[derive(Clone, Debug)]
pub struct EmergencyWish {
    /// Which cameras.
    pub cameras: Vec<CameraId>,
    /// Purpose and reason.
    pub why: Why,
}

/// An emergency access as somebody sees it.
#[derive(Clone, Debug)]
pub struct EmergencySight {
    /// The access.
    pub emergency: Emergency,
    /// The organisation of who opened it, and the owners of the cameras.
    pub orgs: Vec<Org>,
    /// Codes of the cameras.
    pub camera_codes: Vec<String>,
    /// Whether it opens anything now.
    pub in_force: bool,
    /// Whether its review is late.
    pub overdue: bool,
    /// Whether the actor may end it.
    pub may_end: bool,
    /// Whether the actor may review it: never who opened it.
    pub may_review: bool,
}

impl UseCases {
    /// Opens emergency access at once.
    ///
    /// # Errors
    /// `Denied`, `Missing`, `Invalid`, `NotFound(Camera)`, `Conflict(ReviewLate)`.
    pub async fn emergency_open(&self, actor: &Actor, wish: EmergencyWish) -> Result<Emergency, UseCaseError> {
        let EmergencyWish { mut cameras, why } = wish;
        cameras.sort_unstable();
        cameras.dedup();
        let (now, terms) = (self.now(), self.sharing.rules.terms(self.now()));
        let known = self.cameras_now().await?;
        let mut owners: Vec<OrgId> = Vec::new();
        for id in &cameras {
            let camera = known.iter().find(|camera| camera.id == *id).ok_or(UseCaseError::NotFound(Entity::Camera))?;
            // A permit per camera: each yes and each refusal is a leaf that names it. The owner gets one notice for all, below.
            let target = self.camera_target::<BreakGlass>(actor, camera, why.purpose).await?;
            self.gate.permit::<BreakGlass>(actor, target, &why).await?;
            if !owners.contains(&camera.owner) {
                owners.push(camera.owner);
            }
        }
        if cameras.is_empty() || cameras.len() > terms.emergency_cameras_max {
            self.look::<BreakGlass>(actor).await?;
            return Err(UseCaseError::invalid("camera_ids", "empty_or_too_long"));
        }
        let unreviewed = self.stores.emergency_list_unreviewed(actor.user).await?;
        if unreviewed.iter().any(|old| old.is_overdue(now)) {
            let details = json!({ "outcome": "review_late" });
            self.record("break_glass_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::Conflict(Conflict::ReviewLate));
        }
        let reason = reason_of(why.justification.as_deref().unwrap_or_default())?;
        let emergency = Emergency {
            id: self.ids.uuid(),
            opened: self.signature(actor).await?,
            org: actor.org,
            cameras,
            owners,
            purpose: why.purpose.ok_or_else(|| UseCaseError::invalid("purpose.code", "required"))?,
            reason,
            until: now.plus(terms.emergency),
            ended_at: None,
            review_by: self.sharing.rules.working_days_after(now, terms.review_working_days),
            review: None,
        };
        let details = json!({
            "cameras": emergency.cameras.iter().map(CameraId::to_string).collect::<Vec<_>>(),
            "purpose": emergency.purpose.as_str(), "reason": emergency.reason,
            "until_us": emergency.until.micros, "review_by_us": emergency.review_by.micros,
        });
        self.sharing_leaf("break_glass_opened", Some(actor), emergency.id, details).await?;
        self.stores.emergency_insert(&emergency).await?;
        self.emergency_tell(actor, &emergency, "opened").await?;
        self.sharing_changed();
        Ok(emergency)
    }

    /// Tells each owner, and the organisation of who opened it.
    async fn emergency_tell(&self, actor: &Actor, emergency: &Emergency, what: &str) -> Result<(), UseCaseError> {
        let told = emergency.owners.iter().chain(std::iter::once(&emergency.org));
        let mut done: Vec<OrgId> = Vec::new();
        for org in told {
            if done.contains(org) {
                continue;
            }
            done.push(*org);
            let data = json!({
                "break_glass": emergency.id.to_string(), "what": what, "by": actor.org_code,
                "cameras": emergency.cameras.len(), "purpose": emergency.purpose.as_str(),
                "review_by_us": emergency.review_by.micros,
            });
            self.notice_put(*org, NoticeKind::BreakGlass, data).await?;
        }
        Ok(())
    }

    async fn emergency_known(&self, id: Uuid) -> Result<Emergency, UseCaseError> {
        self.stores.emergency_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Emergency))
    }

    /// Ends emergency access before its time; what runs under it ends at once. Its person, or a reviewer.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Conflict(WrongState)`.
    pub async fn emergency_end(&self, actor: &Actor, id: Uuid) -> Result<(), UseCaseError> {
        let emergency = self.emergency_known(id).await?;
        if emergency.opened.user != actor.user && !self.reviews(actor, &emergency) {
            self.look::<ReviewBreakGlass>(actor).await?;
            return Err(UseCaseError::NotFound(Entity::Emergency));
        }
        if !emergency.is_in_force(self.now()) {
            return Err(UseCaseError::Conflict(Conflict::WrongState("ended")));
        }
        self.sharing_leaf("break_glass_ended", Some(actor), id, json!({})).await?;
        if !self.stores.emergency_end(id, self.now()).await? {
            return Err(UseCaseError::Conflict(Conflict::WrongState("ended")));
        }
        self.sharing_changed();
        Ok(())
    }

    /// Whether the actor's profile and organisation may review: an owner's, or that of who opened it.
    fn reviews(&self, actor: &Actor, emergency: &Emergency) -> bool {
        let is_party = emergency.owners.contains(&actor.org) || emergency.org == actor.org;
        let rights = self.gate.rights_of(actor.profile);
        is_party && rights.contains(&vms_core::Right::BreakGlassReview)
    }

    /// Somebody else looks at an emergency access: was it justified?
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Invalid`, `Conflict(SamePerson | WrongState)`, `VersionStale`.
    pub async fn emergency_review(
        &self,
        actor: &Actor,
        id: Uuid,
        justified: bool,
        text: &str,
    ) -> Result<(), UseCaseError> {
        self.look::<ReviewBreakGlass>(actor).await?;
        let emergency = self.emergency_known(id).await?;
        let is_party = emergency.owners.contains(&actor.org) || emergency.org == actor.org;
        let relation = if is_party { Relation::Own } else { Relation::Other };
        let target = Target { owner: Some(actor.org), relation, object: Some(id.to_string()), ..Target::none() };
        let why = Why { purpose: Some(Purpose::Audit), justification: Some(text.to_owned()), ..Why::default() };
        match self.gate.permit::<ReviewBreakGlass>(actor, target, &why).await {
            Ok(_) => {}
            Err(GateError::Denied { .. }) => return Err(UseCaseError::NotFound(Entity::Emergency)),
            Err(error) => return Err(error.into()),
        }
        if emergency.opened.user == actor.user {
            let details = json!({ "outcome": "same_person", "break_glass": id.to_string() });
            self.record("break_glass_review_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::Conflict(Conflict::SamePerson));
        }
        if emergency.review.is_some() {
            return Err(UseCaseError::Conflict(Conflict::WrongState("reviewed")));
        }
        let review = Some((justified, reason_of(text)?, self.signature(actor).await?));
        let emergency = Emergency { review, ..emergency };
        let details = json!({ "justified": justified, "text": text.trim() });
        self.sharing_leaf("break_glass_reviewed", Some(actor), id, details).await?;
        self.stores.emergency_review(&emergency).await?;
        self.emergency_tell(actor, &emergency, if justified { "justified" } else { "not_justified" }).await
    }

    /// Emergency accesses that concern the actor: those of its organisation and those to its organisation's cameras; all of them for an
    /// overseer. Newest first.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn emergency_list(&self, actor: &Actor) -> Result<Vec<EmergencySight>, UseCaseError> {
        self.look::<ViewEvents>(actor).await?;
        let others = Target { relation: Relation::Other, ..Target::none() };
        let sees_all = self.gate.would::<ViewEvents>(actor, &others).is_allow();
        let (now, cameras, orgs) = (self.now(), self.cameras_now().await?, self.orgs_now().await?);
        let mut seen = Vec::new();
        for emergency in self.stores.emergency_list(LIST_MAX).await? {
            let is_party = emergency.org == actor.org || emergency.owners.contains(&actor.org);
            if !is_party && !sees_all {
                continue;
            }
            let is_own = emergency.opened.user == actor.user;
            let (in_force, reviews) = (emergency.is_in_force(now), self.reviews(actor, &emergency));
            let code = |id: &CameraId| cameras.iter().find(|camera| camera.id == *id).map(|camera| camera.code.clone());
            let named = |org: &&Org| org.id == emergency.org || emergency.owners.contains(&org.id);
            seen.push(EmergencySight {
                camera_codes: emergency.cameras.iter().filter_map(code).collect(),
                orgs: orgs.iter().filter(named).cloned().collect(),
                in_force,
                overdue: emergency.is_overdue(now),
                may_end: in_force && (is_own || reviews),
                may_review: reviews && !is_own && emergency.review.is_none(),
                emergency,
            });
        }
        Ok(seen)
    }
}
