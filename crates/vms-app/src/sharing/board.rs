//! What holds at this moment: one snapshot of events, emergency access, data flows and stations, kept at most a second and thrown
//! away at every change made in this process. Every decision on a camera reads it: at most one small set of queries a second,
//! however many streams run.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use audit::LeafKind;
use serde_json::json;
use uuid::Uuid;
use vms_core::{OrgId, Purpose, Relation, SessionId, WallTime};

use super::model::{Emergency, EventUse, Notice, SharingEvent};
use super::rules::SharingRules;
use crate::cases::UseCases;
use crate::error::{BoxError, UseCaseError};
use crate::gate::{Action, Actor, Circumstances, Permit};
use crate::model::{Camera, EventScope, Grant};
use crate::oversight::flows::{FlowBook, SharePath};
use crate::words::{CameraKind, EventKind, FlowState, NoticeKind};

/// A snapshot is read anew after this, so that a change by another serve process counts within it.
const FRESH_US: i64 = 1_000_000;
/// The flow under which LEZ cameras' reads are looked up (`seed/flows.toml`).
pub(crate) const LEZ_FLOW: &str = "DS-LEZ-VEH";
/// The flow under which the holder of a candidate's vehicle is asked for, once an official made the statement.
pub(crate) const ZBT_FLOW: &str = "DS-ZBT-HOLDER";

/// What holds at an instant.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharingNow {
    pub(crate) events: Vec<SharingEvent>,
    pub(crate) emergencies: Vec<Emergency>,
    /// Registered flows by id.
    pub(crate) flows: HashMap<String, FlowState>,
    /// Sharing flows that do not flow.
    pub(crate) stopped: HashSet<SharePath>,
    pub(crate) stations: HashSet<SessionId>,
    read_at: WallTime,
}

impl SharingNow {
    /// Whether sharing from `owner` to `partner` for a purpose is stopped; a stop without a purpose counts for all.
    pub(crate) fn is_stopped(&self, owner: OrgId, partner: OrgId, purpose: Option<Purpose>) -> bool {
        !self.stopped.is_empty()
            && [None, purpose]
                .iter()
                .any(|purpose| self.stopped.contains(&SharePath { owner, partner, purpose: *purpose }))
    }

    /// Whether a registered flow flows.
    pub(crate) fn is_active(&self, flow: &str) -> bool {
        self.flows.get(flow) == Some(&FlowState::Granted)
    }
}

/// The snapshot, and the terms.
#[derive(Debug)]
pub(crate) struct SharingBoard {
    pub(crate) rules: SharingRules,
    pub(crate) flows: FlowBook,
    /// Rises with every change; what was read before one is not kept.
    now: Mutex<(u64, Option<Arc<SharingNow>>)>,
    /// One reads, the others wait for it.
    reading: tokio::sync::Mutex<()>,
}

impl SharingBoard {
    pub(crate) fn new() -> Result<Self, BoxError> {
        Ok(Self {
            rules: SharingRules::embedded()?,
            flows: FlowBook::embedded()?,
            now: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        })
    }

    fn kept(&self) -> (u64, Option<Arc<SharingNow>>) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last snapshot, however old; for views right after something that read it.
    pub(crate) fn latest(&self) -> Arc<SharingNow> {
        self.kept().1.unwrap_or_default()
    }

    fn forget(&self) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (now.0.wrapping_add(1), None);
    }
}

impl UseCases {
    /// What holds now, at most a second old.
    pub(crate) async fn sharing_now(&self) -> Result<Arc<SharingNow>, UseCaseError> {
        let fresh =
            |kept: Option<Arc<SharingNow>>| kept.filter(|kept| self.now().micros_since(kept.read_at).abs() < FRESH_US);
        if let Some(kept) = fresh(self.sharing.kept().1) {
            return Ok(kept);
        }
        let reading = self.sharing.reading.lock().await;
        let (version, kept) = self.sharing.kept();
        if let Some(kept) = fresh(kept) {
            return Ok(kept);
        }
        let at = self.now();
        let (flows, stopped) = self.flow_states(at).await?;
        let read = Arc::new(SharingNow {
            events: self.stores.sharing_event_list_in_force(at).await?,
            emergencies: self.stores.emergency_list_in_force(at).await?,
            flows,
            stopped,
            stations: self.stores.station_session_list().await?.into_iter().collect(),
            read_at: at,
        });
        let mut now = self.sharing.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 == version {
            now.1 = Some(Arc::clone(&read));
        }
        drop(now);
        drop(reading);
        Ok(read)
    }

    /// Something about sharing changed: nobody reads the old snapshot, and running uses are decided again at once.
    pub(crate) fn sharing_changed(&self) {
        self.sharing.forget();
        self.note_change();
    }

    /// What holds around a request on a camera of which no grant is known: for callers that ask about the camera itself. Decisions take
    /// `camera_target`, which looks at the grants too.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn circumstances(&self, actor: &Actor, camera: &Camera) -> Result<Circumstances, UseCaseError> {
        let now = self.sharing_now().await?;
        let relation = if camera.owner == actor.org { Relation::Own } else { Relation::Other };
        Ok(self.circumstances_in(&now, actor, camera, relation, None, &[]))
    }

    /// What holds, from a snapshot. `grants` are those that fit the request.
    pub(crate) fn circumstances_in(
        &self,
        now: &SharingNow,
        actor: &Actor,
        camera: &Camera,
        relation: Relation,
        purpose: Option<Purpose>,
        grants: &[&Grant],
    ) -> Circumstances {
        let at = self.now();
        let covers = |event: &&SharingEvent| {
            event.is_in_force(at)
                && (event.profiles.is_empty() || event.profiles.contains(&actor.profile))
                && event.cover.covers(camera)
        };
        let helps = |emergency: &&Emergency| {
            emergency.is_in_force(at) && emergency.opened.user == actor.user && emergency.cameras.contains(&camera.id)
        };
        let is_own = relation == Relation::Own;
        let path_stopped = |purpose| now.is_stopped(camera.owner, actor.org, purpose);
        let grants_stopped = !grants.is_empty() && grants.iter().all(|grant| path_stopped(grant.terms.purpose));
        let suspended = !is_own && (path_stopped(purpose) || grants_stopped);
        Circumstances {
            event: now.events.iter().find(covers).map(|event| event.id),
            break_glass: now.emergencies.iter().find(helps).map(|emergency| emergency.id),
            police_station: now.stations.contains(&actor.session),
            // A zone's own cameras stand in its territory. Of others' nobody can tell before the outlines of the
            // municipalities (UrbIS) are loaded, and what cannot be told is a no.
            own_territory: is_own,
            flow_active: match (is_own, camera.kind) {
                (true, CameraKind::Lez) => now.is_active(LEZ_FLOW),
                (true, CameraKind::Overview | CameraKind::Zbt | CameraKind::Trajectory) => true,
                (false, _) => !suspended,
            },
            own_file: false,
            suspended,
        }
    }

    /// What holds around something of one's own organisation that is no camera, under a registered flow where there is one.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub(crate) async fn circumstances_of_own(
        &self,
        actor: &Actor,
        flow: Option<&str>,
    ) -> Result<Circumstances, UseCaseError> {
        let now = self.sharing_now().await?;
        Ok(Circumstances {
            police_station: now.stations.contains(&actor.session),
            own_territory: true,
            flow_active: flow.is_none_or(|flow| now.is_active(flow)),
            ..Circumstances::none()
        })
    }

    /// Whether a registered data flow flows now; batch jobs ask before every round.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn flow_active(&self, flow: &str) -> Result<bool, UseCaseError> {
        Ok(self.sharing_now().await?.is_active(flow))
    }

    /// After a yes: the use is counted for the event that it was made under, and the owner is told where the matrix says so.
    pub(crate) async fn follow_up<A: Action>(&self, permit: &Permit<A>) -> Result<(), UseCaseError> {
        let target = permit.target();
        if let (Some(event), Some(camera), Some(owner)) = (target.circumstances.event, target.camera, target.owner)
            && owner != permit.actor().org
        {
            let used = EventUse { event, owner, camera, org: permit.actor().org, right: A::RIGHT, uses: 1 };
            self.stores.event_use_add(&used).await?;
        }
        if permit.obligations().notify_owner { self.notify_owner(permit).await } else { Ok(()) }
    }

    /// Tells the owner of what a permit is for: its supervisors, chief and data-protection officer see it.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn notify_owner<A: Action>(&self, permit: &Permit<A>) -> Result<(), UseCaseError> {
        let (actor, target, why) = (permit.actor(), permit.target(), permit.why());
        let Some(owner) = target.owner.filter(|owner| *owner != actor.org) else { return Ok(()) };
        let data = json!({
            "right": A::RIGHT.as_str(),
            "by": actor.org_code,
            "profile": actor.profile.as_str(),
            "camera_id": target.camera.map(|id| id.to_string()),
            "purpose": why.purpose.map(Purpose::as_str),
            "case_ref": why.case_ref,
            "decision_id": permit.decision().to_string(),
            "event": target.circumstances.event.map(|id| id.to_string()),
            "break_glass": target.circumstances.break_glass.map(|id| id.to_string()),
        });
        self.notice_put(owner, NoticeKind::Use, data).await
    }

    /// Keeps a notice and tells the consoles of whoever reads notices there.
    pub(crate) async fn notice_put(
        &self,
        org: OrgId,
        kind: NoticeKind,
        data: serde_json::Value,
    ) -> Result<(), UseCaseError> {
        let notice = Notice { id: 0, at: self.now(), org, kind, data: data.to_string() };
        let id = self.stores.notice_insert(&notice).await?;
        let scope = EventScope::Org(org, vms_core::Right::GrantView);
        self.events.publish(EventKind::Sharing, scope, json!({ "notice": id, "kind": kind.as_str() })).await;
        Ok(())
    }

    /// A leaf for a change of sharing.
    pub(crate) async fn sharing_leaf(
        &self,
        operation: &'static str,
        actor: Option<&Actor>,
        id: Uuid,
        details: serde_json::Value,
    ) -> Result<(), UseCaseError> {
        let details = json!({ "id": id.to_string(), "what": details });
        self.record(operation, LeafKind::Change, actor.cloned(), details).await
    }
}
