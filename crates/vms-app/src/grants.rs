//! Grants: the owner of a camera gives a right on it to another organisation, for a purpose and a period, and takes it back.
//! Default is none (`domain.md` H3); revocation ends running streams at the next decision, at once in this process.

use audit::LeafKind;
use serde_json::json;
use vms_core::{CameraId, GrantId, OrgId, Profile, Purpose, Relation, Right, TimeRange, WallTime};

use crate::cases::UseCases;
use crate::error::{Entity, UseCaseError};
use crate::gate::action::{ShareCameras, ViewGrants};
use crate::gate::{Action, Actor, Target, Why};
/// A grant as somebody wishes it has the terms of a grant.
pub use crate::model::GrantTerms as GrantWish;
use crate::model::{Camera, EventScope, Grant, GrantTerms, Org};
use crate::words::{EventKind, OrgKind};

/// Rights that can be shared; everything else stays with the owner.
pub const SHAREABLE: [Right; 6] = [
    Right::CameraList,
    Right::Live,
    Right::Playback,
    Right::ReadsPush,
    Right::StatisticsView,
    Right::StatisticsDeliver,
];
/// Most cameras of one request.
pub(crate) const CAMERAS_MAX: usize = 500;
/// Longest period: a grant is looked at again at least every two years.
const PERIOD_MAX_US: i64 = 2 * 366 * 86_400_000_000;

/// Grants on several cameras with several rights, as an owner gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareWish {
    /// On which cameras.
    pub cameras: Vec<CameraId>,
    /// To whom.
    pub partner: OrgId,
    /// Only to this profile.
    pub profile: Option<Profile>,
    /// What.
    pub rights: Vec<Right>,
    /// Only for this purpose.
    pub purpose: Option<Purpose>,
    /// When.
    pub period: TimeRange,
}

/// Which grants to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Only on this camera.
    pub camera: Option<CameraId>,
    /// Only to this organisation.
    pub partner: Option<OrgId>,
    /// Also those taken back or run out.
    pub past: bool,
}

/// A grant as somebody sees it.
#[derive(Clone, Debug)]
pub struct GrantSight {
    /// The grant.
    pub grant: Grant,
    /// Code of its camera, while that is known.
    pub camera_code: Option<String>,
    /// Its owner.
    pub owner: Option<Org>,
    /// Who may.
    pub partner: Option<Org>,
    /// In force now.
    pub in_force: bool,
}

fn in_force(grant: &Grant, now: WallTime) -> bool {
    grant.revoked_at.is_none() && grant.terms.period.from <= now && now < grant.terms.period.to
}

impl UseCases {
    /// How an actor stands to an owner's cameras when it comes to sharing them. In a police zone the zone chief shares; a
    /// partner that keeps its own system has no zone chief, and its local administrator speaks for it (`domain.md` H5: with
    /// the zone chief as second person, where there is one).
    async fn share_target<A: Action>(
        &self,
        actor: &Actor,
        owner: OrgId,
        camera: Option<CameraId>,
    ) -> Result<Target, UseCaseError> {
        let speaks = actor.profile != Profile::P19
            || A::RIGHT != Right::CameraShare
            || self.org(owner).await?.is_some_and(|org| org.kind == OrgKind::Partner);
        let relation = if owner == actor.org && speaks { Relation::Own } else { Relation::Other };
        Ok(Target { camera, owner: Some(owner), relation, ..Target::none() })
    }

    /// Checks a wish; the camera that it is on.
    async fn grant_check(&self, actor: &Actor, wish: &GrantWish) -> Result<Camera, UseCaseError> {
        let camera = self.stores.camera_fetch(wish.camera).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        let target = self.share_target::<ShareCameras>(actor, camera.owner, Some(camera.id)).await?;
        self.permit_on::<ShareCameras>(actor, &camera, target, &Why::default()).await?;
        self.grant_terms_check(camera.owner, wish.partner, &[wish.right], wish.period).await?;
        Ok(camera)
    }

    /// Whether an owner can give these rights to a partner for this time, whoever decides it.
    pub(crate) async fn grant_terms_check(
        &self,
        owner: OrgId,
        partner: OrgId,
        rights: &[Right],
        period: TimeRange,
    ) -> Result<(), UseCaseError> {
        if self.org(partner).await?.is_none() || partner == owner {
            return Err(UseCaseError::invalid("partner_id", "unknown"));
        }
        if rights.iter().any(|right| !SHAREABLE.contains(right)) {
            return Err(UseCaseError::invalid("rights", "not_yours_to_give"));
        }
        if period.to <= self.now() {
            return Err(UseCaseError::invalid("to", "in_the_past"));
        }
        if period.to.micros_since(period.from) > PERIOD_MAX_US {
            return Err(UseCaseError::invalid("to", "too_long"));
        }
        Ok(())
    }

    /// The owner gives a right on a camera to another organisation.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Invalid`.
    pub async fn grant_give(&self, actor: &Actor, wanted: GrantWish) -> Result<Grant, UseCaseError> {
        let camera = self.grant_check(actor, &wanted).await?;
        let grant = self.grant_write(actor, &camera, wanted).await?;
        self.sharing_changed();
        self.grants_tell(&[grant.owner, grant.terms.partner]).await;
        Ok(grant)
    }

    /// The owner shares several cameras at once. Every camera is decided before the first grant is written.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Invalid`; nothing was given then.
    pub async fn grant_share(&self, actor: &Actor, wish: ShareWish) -> Result<Vec<Grant>, UseCaseError> {
        self.look::<ShareCameras>(actor).await?;
        let ShareWish { mut cameras, partner, profile, mut rights, purpose, period } = wish;
        cameras.sort_unstable();
        cameras.dedup();
        rights.sort_unstable();
        rights.dedup();
        if cameras.is_empty() || cameras.len() > CAMERAS_MAX {
            return Err(UseCaseError::invalid("camera_ids", "empty_or_too_long"));
        }
        if rights.is_empty() {
            return Err(UseCaseError::invalid("rights", "empty"));
        }
        let mut checked = Vec::new();
        for camera in cameras {
            for right in &rights {
                let wish = GrantWish { camera, partner, profile, right: *right, purpose, period };
                checked.push((self.grant_check(actor, &wish).await?, wish));
            }
        }
        let mut given = Vec::with_capacity(checked.len());
        for (camera, wish) in checked {
            given.push(self.grant_write(actor, &camera, wish).await?);
        }
        self.sharing_changed();
        self.grants_tell(&[actor.org, partner]).await;
        Ok(given)
    }

    pub(crate) async fn grant_write(
        &self,
        actor: &Actor,
        camera: &Camera,
        wanted: GrantWish,
    ) -> Result<Grant, UseCaseError> {
        let grant = Grant {
            id: GrantId::from_uuid(self.ids.uuid()),
            owner: camera.owner,
            terms: GrantTerms { camera: camera.id, ..wanted },
            revoked_at: None,
        };
        let details = json!({
            "grant": grant.id.to_string(), "camera": grant.terms.camera.to_string(), "partner": grant.terms.partner.to_string(),
            "profile": grant.terms.profile.map(Profile::as_str), "right": grant.terms.right.as_str(),
            "purpose": grant.terms.purpose.map(Purpose::as_str),
            "from_us": grant.terms.period.from.micros, "to_us": grant.terms.period.to.micros,
        });
        self.record("grant_given", LeafKind::Change, Some(actor.clone()), details).await?;
        self.stores.grant_insert(&grant).await?;
        Ok(grant)
    }

    /// Consoles of both sides load their lists anew.
    pub(crate) async fn grants_tell(&self, orgs: &[OrgId]) {
        for org in orgs {
            let scope = EventScope::Org(*org, Right::GrantView);
            self.events.publish(EventKind::Sharing, scope, json!({ "kind": "grants" })).await;
        }
    }

    /// Grants that the actor may see: those that its organisation gave or got; all of them for an overseer.
    ///
    /// # Errors
    /// `Denied`, logged.
    pub async fn grant_list(&self, actor: &Actor, filter: GrantFilter) -> Result<Vec<GrantSight>, UseCaseError> {
        self.look::<ViewGrants>(actor).await?;
        let (orgs, cameras, now) = (self.orgs_now().await?, self.cameras_now().await?, self.now());
        let mut seen = Vec::new();
        for grant in self.stores.grant_list_all().await? {
            let wanted = filter.camera.is_none_or(|camera| camera == grant.terms.camera)
                && filter.partner.is_none_or(|partner| partner == grant.terms.partner)
                && (filter.past || (grant.revoked_at.is_none() && now < grant.terms.period.to));
            let party = if grant.terms.partner == actor.org { actor.org } else { grant.owner };
            let target = self.share_target::<ViewGrants>(actor, party, None).await?;
            if !wanted || !self.gate.would::<ViewGrants>(actor, &target).is_allow() {
                continue;
            }
            let org = |id: OrgId| orgs.iter().find(|org| org.id == id).cloned();
            let camera = cameras.iter().find(|camera| camera.id == grant.terms.camera);
            seen.push(GrantSight {
                camera_code: camera.map(|camera| camera.code.clone()),
                owner: org(grant.owner),
                partner: org(grant.terms.partner),
                in_force: in_force(&grant, now),
                grant,
            });
        }
        Ok(seen)
    }

    /// The owner takes a grant back; running streams under it end within 5 s.
    ///
    /// # Errors
    /// `NotFound` for none in force, or one of another owner (logged as a refusal).
    pub async fn grant_take_back(&self, actor: &Actor, id: GrantId) -> Result<(), UseCaseError> {
        self.look::<ShareCameras>(actor).await?;
        let grant = self.stores.grant_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Grant))?;
        let target = self.share_target::<ShareCameras>(actor, grant.owner, Some(grant.terms.camera)).await?;
        let target = Target { object: Some(id.to_string()), ..target };
        match self.gate.permit::<ShareCameras>(actor, target, &Why::default()).await {
            Ok(_) => {}
            // Whoever may not take it back learns nothing of it.
            Err(crate::gate::GateError::Denied { .. }) => return Err(UseCaseError::NotFound(Entity::Grant)),
            Err(other) => return Err(other.into()),
        }
        let terms = &grant.terms;
        let details = json!({
            "grant": id.to_string(), "camera": terms.camera.to_string(), "partner": terms.partner.to_string(),
            "right": terms.right.as_str(),
        });
        self.record("grant_taken_back", LeafKind::Change, Some(actor.clone()), details).await?;
        if !self.stores.grant_revoke(id, self.now()).await? {
            return Err(UseCaseError::NotFound(Entity::Grant));
        }
        self.sharing_changed();
        self.grants_tell(&[grant.owner, terms.partner]).await;
        Ok(())
    }
}
