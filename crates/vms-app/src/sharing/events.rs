//! Events (`domain.md` H5 rule 8): activated by the crisis coordinator with an area or a list, an authority's reference and an end that
//! comes by itself. Every use during one carries its id in the leaf, and owners are told the day after.

use std::collections::BTreeMap;

use serde_json::json;
use uuid::Uuid;
use vms_core::{CameraId, OrgId, Profile, Purpose, TimeRange, WallTime};

use super::model::{Coverage, EventUse, SharingEvent};
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{ActivateEvents, ViewEvents};
use crate::gate::{Actor, Target, Why};
use crate::legal_changes::reason_of;
use crate::model::{Camera, Org};
use crate::words::{NoticeKind, SharingEventKind};

/// Events of one list; older ones are in the log.
const LIST_MAX: u32 = 500;
/// Corners of an area.
const CORNERS_MAX: usize = 200;
/// Longest name, characters.
const NAME_MAX: usize = 120;

/// An event as somebody wants it.
#[derive(Clone, Debug)]
pub struct EventWish {
    /// Kind.
    pub kind: SharingEventKind,
    /// What people call it.
    pub name: String,
    /// Where.
    pub cover: Coverage,
    /// Only these profiles; empty for all that the matrix names.
    pub profiles: Vec<Profile>,
    /// Reference of the authority's decision.
    pub authority: String,
    /// Why.
    pub reason: String,
    /// When.
    pub period: TimeRange,
}

/// An event as somebody sees it.
#[derive(Clone, Debug)]
pub struct EventSight {
    /// The event.
    pub event: SharingEvent,
    /// Whether it holds now.
    pub in_force: bool,
    /// How many cameras it covers now.
    pub cameras: usize,
    /// Uses of the actor's own cameras during it; of all cameras for who activates events and for an overseer.
    pub uses: Vec<EventUse>,
    /// Names of the organisations in `uses`.
    pub orgs: Vec<Org>,
    /// Whether the actor may extend or end it.
    pub may_change: bool,
}

const fn purpose_of(kind: SharingEventKind) -> Purpose {
    match kind {
        SharingEventKind::Event => Purpose::Event,
        SharingEventKind::Crisis => Purpose::Crisis,
        SharingEventKind::Incident => Purpose::FireMedical,
    }
}

impl UseCases {
    async fn event_permit(
        &self,
        actor: &Actor,
        kind: SharingEventKind,
        authority: &str,
        reason: &str,
    ) -> Result<(), UseCaseError> {
        let why = Why {
            purpose: Some(purpose_of(kind)),
            justification: Some(reason.to_owned()),
            case_ref: Some(authority.to_owned()),
            ..Why::default()
        };
        self.gate.permit::<ActivateEvents>(actor, Target::none(), &why).await?;
        Ok(())
    }

    fn covered<'c>(cover: &Coverage, cameras: &'c [Camera]) -> Vec<&'c Camera> {
        cameras.iter().filter(|camera| cover.covers(camera)).collect()
    }

    fn event_check(&self, wish: &EventWish, cameras: &[Camera]) -> Result<(), UseCaseError> {
        let (now, terms) = (self.now(), self.sharing.rules.terms(self.now()));
        if wish.name.trim().is_empty() || wish.name.chars().count() > NAME_MAX {
            return Err(UseCaseError::invalid("name", "empty_or_too_long"));
        }
        match &wish.cover {
            Coverage::Cameras(list) if list.is_empty() || list.len() > terms.event_cameras_max => {
                return Err(UseCaseError::invalid("camera_ids", "empty_or_too_long"));
            }
            Coverage::Area(corners) if corners.len() < 3 || corners.len() > CORNERS_MAX => {
                return Err(UseCaseError::invalid("area", "empty_or_too_long"));
            }
            Coverage::Cameras(_) | Coverage::Area(_) => {}
        }
        if Self::covered(&wish.cover, cameras).is_empty() {
            return Err(UseCaseError::invalid("area", "covers_no_camera"));
        }
        if wish.period.to <= now {
            return Err(UseCaseError::invalid("to", "in_the_past"));
        }
        if wish.period.to > wish.period.from.plus(terms.event_max) {
            return Err(UseCaseError::invalid("to", "too_long"));
        }
        Ok(())
    }

    /// Activates an event: in force from its start, over at its end, with nobody's doing.
    ///
    /// # Errors
    /// `Denied`, `Missing`, `Invalid`.
    pub async fn event_activate(&self, actor: &Actor, wish: EventWish) -> Result<SharingEvent, UseCaseError> {
        self.event_permit(actor, wish.kind, &wish.authority, &wish.reason).await?;
        let cameras = self.cameras_now().await?;
        self.event_check(&wish, &cameras)?;
        let EventWish { kind, name, cover, profiles, authority, reason, period } = wish;
        let event = SharingEvent {
            id: self.ids.uuid(),
            kind,
            name: name.trim().to_owned(),
            cover,
            profiles,
            authority: authority.trim().to_owned(),
            reason: reason_of(&reason)?,
            period,
            org: actor.org,
            activated: self.signature(actor).await?,
            ended: None,
            summarised_at: None,
            version: 1,
        };
        let covered = Self::covered(&event.cover, &cameras);
        self.event_leaf("event_activated", actor, &event, covered.len()).await?;
        self.stores.sharing_event_insert(&event).await?;
        self.event_tell(&event, &covered, "activated").await?;
        self.sharing_changed();
        Ok(event)
    }

    async fn event_leaf(
        &self,
        operation: &'static str,
        actor: &Actor,
        event: &SharingEvent,
        covered: usize,
    ) -> Result<(), UseCaseError> {
        let details = json!({
            "kind": event.kind.as_str(), "name": event.name, "authority": event.authority, "reason": event.reason,
            "from_us": event.period.from.micros, "to_us": event.period.to.micros, "cameras": covered,
            "cover": match &event.cover {
                Coverage::Cameras(list) => json!(list.iter().map(CameraId::to_string).collect::<Vec<_>>()),
                Coverage::Area(corners) => json!(corners.iter().map(|one| [one.lat, one.lon]).collect::<Vec<_>>()),
            },
            "profiles": event.profiles.iter().map(|profile| profile.as_str()).collect::<Vec<_>>(),
        });
        self.sharing_leaf(operation, Some(actor), event.id, details).await
    }

    /// Every owner of a covered camera is told.
    async fn event_tell(&self, event: &SharingEvent, covered: &[&Camera], what: &str) -> Result<(), UseCaseError> {
        let mut owners: BTreeMap<OrgId, usize> = BTreeMap::new();
        for camera in covered {
            *owners.entry(camera.owner).or_default() += 1;
        }
        for (owner, cameras) in owners {
            let data = json!({ "event": event.id.to_string(), "name": event.name, "what": what, "cameras": cameras,
                "authority": event.authority });
            self.notice_put(owner, NoticeKind::EventSummary, data).await?;
        }
        Ok(())
    }

    async fn event_of(&self, actor: &Actor, id: Uuid) -> Result<SharingEvent, UseCaseError> {
        self.look::<ActivateEvents>(actor).await?;
        let event = self.stores.sharing_event_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::SharingEvent))?;
        if event.ended.is_some() || event.period.to <= self.now() {
            return Err(UseCaseError::Conflict(Conflict::WrongState("ended")));
        }
        Ok(event)
    }

    /// Moves the end of an event that is not over: at most the longest period from now on.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Invalid`, `Conflict(WrongState)`, `VersionStale`.
    pub async fn event_extend(
        &self,
        actor: &Actor,
        id: Uuid,
        to: WallTime,
        authority: &str,
        reason: &str,
    ) -> Result<SharingEvent, UseCaseError> {
        let event = self.event_of(actor, id).await?;
        self.event_permit(actor, event.kind, authority, reason).await?;
        let now = self.now();
        if to > now.plus(self.sharing.rules.terms(now).event_max) {
            return Err(UseCaseError::invalid("to", "too_long"));
        }
        let period = TimeRange::new(event.period.from, to).filter(|_| to > now);
        let period = period.ok_or_else(|| UseCaseError::invalid("to", "in_the_past"))?;
        let (authority, reason) = (authority.trim().to_owned(), reason_of(reason)?);
        let event = SharingEvent { period, authority, reason, ..event };
        let cameras = self.cameras_now().await?;
        let covered = Self::covered(&event.cover, &cameras);
        self.event_leaf("event_extended", actor, &event, covered.len()).await?;
        self.stores.sharing_event_update(&event).await?;
        self.event_tell(&event, &covered, "extended").await?;
        self.sharing_changed();
        Ok(SharingEvent { version: event.version.saturating_add(1), ..event })
    }

    /// Ends an event before its time; what runs under it ends at once.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Conflict(WrongState)`, `VersionStale`.
    pub async fn event_end(&self, actor: &Actor, id: Uuid, reason: &str) -> Result<(), UseCaseError> {
        let event = self.event_of(actor, id).await?;
        self.event_permit(actor, event.kind, &event.authority, reason).await?;
        let event = SharingEvent { ended: Some(self.signature(actor).await?), reason: reason_of(reason)?, ..event };
        let cameras = self.cameras_now().await?;
        let covered = Self::covered(&event.cover, &cameras);
        self.event_leaf("event_ended", actor, &event, covered.len()).await?;
        self.stores.sharing_event_update(&event).await?;
        self.event_tell(&event, &covered, "ended").await?;
        self.sharing_changed();
        Ok(())
    }

    /// Events, newest first, with what was used during them: an owner sees uses of its own cameras.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn event_list(&self, actor: &Actor, past: bool) -> Result<Vec<EventSight>, UseCaseError> {
        self.look::<ViewEvents>(actor).await?;
        let (now, cameras, orgs) = (self.now(), self.cameras_now().await?, self.orgs_now().await?);
        let rights = self.gate.rights_of(actor.profile);
        let activates = rights.contains(&vms_core::Right::EventActivate);
        let others = Target { relation: vms_core::Relation::Other, ..Target::none() };
        let sees_all = activates || self.gate.would::<ViewEvents>(actor, &others).is_allow();
        let mut seen = Vec::new();
        for event in self.stores.sharing_event_list(LIST_MAX).await? {
            let is_over = event.ended.is_some() || event.period.to <= now;
            if is_over && !past {
                continue;
            }
            let mut uses = self.stores.event_use_list(event.id).await?;
            uses.retain(|one| sees_all || one.owner == actor.org || one.org == actor.org);
            let named = |org: &&Org| uses.iter().any(|one| one.org == org.id || one.owner == org.id);
            seen.push(EventSight {
                in_force: event.is_in_force(now),
                cameras: Self::covered(&event.cover, &cameras).len(),
                orgs: orgs.iter().filter(named).cloned().collect(),
                uses,
                may_change: activates && !is_over,
                event,
            });
        }
        Ok(seen)
    }

    /// The day after an event each owner is told how often its cameras were used during it. Idempotent; run by housekeeping.
    pub(crate) async fn events_summarise(&self) -> Result<(), UseCaseError> {
        let now = self.now();
        for event in self.stores.sharing_event_list_unsummarised(now).await? {
            let over_at = event.ended.as_ref().map_or(event.period.to, |by| by.at.min(event.period.to));
            if now < self.sharing.rules.next_day(over_at) {
                continue;
            }
            // First the mark: of two processes one tells, and a second summary would be a second notice.
            let marked = SharingEvent { summarised_at: Some(now), ..event.clone() };
            match self.stores.sharing_event_update(&marked).await {
                Ok(()) => {}
                Err(crate::ports::StoreError::Stale) => continue,
                Err(error) => return Err(error.into()),
            }
            let mut by_owner: BTreeMap<OrgId, BTreeMap<(OrgId, &'static str), u64>> = BTreeMap::new();
            for used in self.stores.event_use_list(event.id).await? {
                let uses = by_owner.entry(used.owner).or_default();
                *uses.entry((used.org, used.right.as_str())).or_default() += used.uses;
            }
            let orgs = self.orgs_now().await?;
            let code = |id: OrgId| orgs.iter().find(|org| org.id == id).map(|org| org.code.clone());
            for (owner, uses) in by_owner {
                let rows: Vec<_> = uses
                    .into_iter()
                    .map(|((org, right), uses)| json!({ "by": code(org), "right": right, "uses": uses }))
                    .collect();
                let data =
                    json!({ "event": event.id.to_string(), "name": event.name, "what": "summary", "uses": rows });
                self.notice_put(owner, NoticeKind::EventSummary, data).await?;
            }
        }
        Ok(())
    }
}
