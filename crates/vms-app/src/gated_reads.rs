//! Searches of police reads behind the magistrate's gate (`domain.md` D6 RC-ANPR-POL, H4 Plate search: m, and 4 after 30 days; Police Function Act
//! 44/11/3decies): one orders a search that names the magistrate's decision, another agrees, and only whoever ordered it opens it.
//!
//! Belongs here: orders and what opens them; what keeps reads past their first term. Does not belong here: the decision that keeps them
//! ([`crate::gated`]), keys and rows (`vms-store`).

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use audit::LeafKind;
use serde_json::{Value, json};
use uuid::Uuid;
use vms_core::{CameraId, DecisionId, PlateWish, ReadId, Relation, TimeRange, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{ApproveGatedSearch, OrderGatedSearch, SearchReads};
use crate::gate::{Actor, Target, Why};
use crate::gated::{GatedDecision, GatedStep, READS};
use crate::gated_read_ports::{GateClosed, GatedFound, GatedQuery, GatedSearch, KeptReads};
use crate::legal_changes::reason_of;
use crate::lez::words;
use crate::lez::{ReadService, class};
use crate::lez_ports::StoredRead;
use crate::model::Camera;
use crate::ports::FootageFault;
use crate::words::GatedState;

/// Longest span of one search: the longest month, as of a decision that keeps.
const SPAN_MAX_US: i64 = 31 * 86_400 * 1_000_000;
const HOUR_US: i64 = 3_600_000_000;
/// Hours that are remembered as told to the log; over that all are forgotten, and one may be told twice.
const TOLD_MAX: usize = 10_000;
/// Class of the orders themselves: a search that was ordered and never opened says whom somebody looks for.
const ORDERS: &str = "RC-GATE-SEARCH";

/// What somebody wants to look for.
#[derive(Clone, Debug)]
pub struct GatedSearchWish {
    /// One camera; all of the own organisation when absent, which takes a plate.
    pub camera: Option<CameraId>,
    /// When the vehicle drove.
    pub range: TimeRange,
    /// Which plates; every read of the camera when absent.
    pub wish: Option<PlateWish>,
    /// Purpose, ground, case and the magistrate's decision.
    pub why: Why,
}

/// An order as somebody sees it.
#[derive(Clone, Debug)]
pub struct GatedSearchSight {
    /// The order.
    pub search: GatedSearch,
    /// Its camera; `None` for all of the own organisation, and for one that is known no more.
    pub camera: Option<Camera>,
    /// What is looked for, as it was written.
    pub wish: Option<String>,
    /// Whether the actor may agree or refuse: never who ordered it.
    pub may_settle: bool,
    /// Whether the actor may open it: only who ordered it.
    pub may_open: bool,
}

/// What an order gave, under one logged decision; pictures of the reads carry its id.
#[derive(Clone, Debug)]
pub struct GatedPage {
    /// The decision.
    pub decision: DecisionId,
    /// The reads, newest first; a page may be shorter than asked for, or empty, and still have a next one.
    pub reads: Vec<StoredRead>,
    /// After what to go on.
    pub next: Option<(WallTime, ReadId)>,
}

fn missing() -> UseCaseError {
    UseCaseError::NotFound(Entity::GatedSearch)
}

impl UseCases {
    async fn gated_search_target(&self, actor: &Actor, search: &GatedSearch) -> Result<Target, UseCaseError> {
        let circumstances = self.circumstances_of_own(actor, None).await?;
        let relation = if search.owner == actor.org { Relation::Own } else { Relation::Other };
        let object = Some(search.id.to_string());
        Ok(Target { owner: Some(search.owner), relation, object, circumstances, ..Target::none() })
    }

    /// The span may lie behind the gate, and names somebody or some place.
    fn gated_search_span(&self, wish: &GatedSearchWish) -> Result<(), UseCaseError> {
        let now = self.now();
        let invalid = |field, problem| Err(UseCaseError::invalid(field, problem));
        if wish.camera.is_none() && wish.wish.is_none() {
            return invalid("plate", "plate_or_camera");
        }
        if wish.range.micros() > SPAN_MAX_US {
            return invalid("to", "span_too_long");
        }
        let Some(keep_s) = self.retention.gated_s(&class(READS)?, now) else {
            return invalid("from", "no_second_term");
        };
        let keep_us = i64::try_from(keep_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        if wish.range.from.micros < now.micros.saturating_sub(keep_us) {
            return invalid("from", "past_its_term");
        }
        Ok(())
    }

    /// When an order made or agreed to now is erased.
    fn gated_search_end(&self, now: WallTime) -> Result<WallTime, UseCaseError> {
        Ok(WallTime::from_micros(now.micros.saturating_add(self.term_us(&class(ORDERS)?, now)?)))
    }

    /// Orders a search. Nothing is opened before somebody else agrees. The log gets a keyed hash of what is looked for, never the plate.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing` (purpose, justification, case, magistrate), `Invalid`, `LogUnavailable`, `Unavailable`.
    pub async fn gated_search_order(&self, actor: &Actor, wish: GatedSearchWish) -> Result<GatedSearch, UseCaseError> {
        let store = self.lez_store()?;
        self.gated_search_span(&wish)?;
        if let Some(id) = wish.camera {
            let camera = self.camera_known(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
            let target = self.camera_target::<OrderGatedSearch>(actor, &camera, None).await?;
            // Without the words of the wish: they may hold the plate.
            self.known_or_refused::<OrderGatedSearch>(actor, &camera, &target, &Why::default()).await?;
        }
        let sealed = wish.wish.as_ref().map(|plates| store.wish_sealed(plates)).transpose()?;
        let object = wish.wish.as_ref().zip(sealed.as_ref());
        let object = object.map(|(plates, sealed)| words::object_of(plates, &store.wish_hash(plates), sealed));
        let why = match &wish.wish {
            Some(plates) => words::without_plates(&wish.why, plates),
            None => wish.why.clone(),
        };
        let circumstances = self.circumstances_of_own(actor, None).await?;
        let target = Target {
            owner: Some(actor.org),
            camera: wish.camera,
            range: Some(wish.range),
            object,
            circumstances,
            ..Target::none()
        };
        let permit = self.gate.permit::<OrderGatedSearch>(actor, target, &why).await?;
        let given = |text: &Option<String>, field: &'static str| {
            let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
            text.ok_or_else(|| UseCaseError::invalid(field, "required"))
        };
        let purpose = why.purpose.ok_or_else(|| UseCaseError::invalid("purpose.code", "required"))?;
        let search = GatedSearch {
            id: self.ids.uuid(),
            owner: actor.org,
            camera: wish.camera,
            range: wish.range,
            wish: sealed,
            purpose,
            ground: reason_of(why.justification.as_deref().unwrap_or_default())?,
            case_ref: given(&why.case_ref, "purpose.case_ref")?,
            // Also of a span that is younger by now: what lies behind the gate opens by nothing else.
            magistrate_ref: given(&why.magistrate_ref, "purpose.magistrate_ref")?,
            decision: permit.decision(),
            proposed: self.signature(actor).await?,
            state: GatedState::Proposed,
            settled: None,
            refusal: None,
            expires_at: self.gated_search_end(self.now())?,
        };
        self.record("gated_search_ordered", LeafKind::Change, Some(actor.clone()), leaf(&search)).await?;
        store.gated_search_insert(&search).await?;
        Ok(search)
    }

    async fn gated_search_sight(
        &self,
        actor: &Actor,
        search: GatedSearch,
    ) -> Result<Option<GatedSearchSight>, UseCaseError> {
        let target = self.gated_search_target(actor, &search).await?;
        let is_own = search.proposed.user == actor.user && search.owner == actor.org;
        let orders = self.gate.rights_of(actor.profile).contains(&vms_core::Right::ReadsSearch);
        let approves = self.gate.would::<ApproveGatedSearch>(actor, &target).is_allow();
        if search.owner != actor.org || !(approves || (is_own && orders)) {
            return Ok(None);
        }
        let may_settle = search.state == GatedState::Proposed && approves && !is_own;
        let may_open = search.state == GatedState::InForce && is_own && orders && self.now() < search.expires_at;
        let wish = search.wish.as_ref().map(|sealed| self.lez_store()?.wish_opened(sealed).map_err(UseCaseError::from));
        let camera = match search.camera {
            Some(id) => self.stores.camera_fetch(id).await?,
            None => None,
        };
        Ok(Some(GatedSearchSight { wish: wish.transpose()?, search, camera, may_settle, may_open }))
    }

    /// An order names a plate in clear: that it was shown is in the log before it is.
    async fn gated_searches_shown(&self, actor: &Actor, shown: &[GatedSearchSight]) -> Result<(), UseCaseError> {
        let ids: Vec<String> = shown.iter().map(|sight| sight.search.id.to_string()).collect();
        let details = json!({ "gated_searches": ids });
        self.record("gated_searches_shown", LeafKind::Use, Some(actor.clone()), details).await
    }

    /// Orders of the own organisation: one's own, and all of them for whoever may agree. Newest first; the second value is the key below which
    /// the next page starts.
    ///
    /// # Errors
    /// `Denied` (logged) without any such right; `Unavailable`.
    pub async fn gated_search_list(
        &self,
        actor: &Actor,
        below: Option<Uuid>,
        limit: u32,
    ) -> Result<(Vec<GatedSearchSight>, Option<Uuid>), UseCaseError> {
        let rights = self.gate.rights_of(actor.profile);
        if !rights.contains(&vms_core::Right::ReadsSearch) && !rights.contains(&vms_core::Right::GatedApprove) {
            self.look::<ApproveGatedSearch>(actor).await?;
        }
        let (store, wanted) = (self.lez_store()?, usize::try_from(limit).unwrap_or(usize::MAX));
        let (mut seen, mut below) = (Vec::new(), below);
        while seen.len() <= wanted {
            let rows = store.gated_search_list(actor.org, below, 200).await?;
            let Some(last) = rows.last().map(|last| last.id) else { break };
            below = Some(last);
            for search in rows {
                seen.extend(self.gated_search_sight(actor, search).await?);
            }
        }
        let is_more = seen.len() > wanted;
        seen.truncate(wanted);
        let next = seen.last().filter(|_| is_more).map(|last| last.search.id);
        self.gated_searches_shown(actor, &seen).await?;
        Ok((seen, next))
    }

    /// One order.
    ///
    /// # Errors
    /// `NotFound`, also of one that the actor may not know of; `LogUnavailable`.
    pub async fn gated_search_fetch(&self, actor: &Actor, id: Uuid) -> Result<GatedSearchSight, UseCaseError> {
        let sight = self.gated_search_known(actor, id).await?;
        self.gated_searches_shown(actor, std::slice::from_ref(&sight)).await?;
        Ok(sight)
    }

    /// The same for a use that writes its own leaf.
    async fn gated_search_known(&self, actor: &Actor, id: Uuid) -> Result<GatedSearchSight, UseCaseError> {
        let search = self.lez_store()?.gated_search_fetch(id).await?.ok_or_else(missing)?;
        if let Some(sight) = self.gated_search_sight(actor, search).await? {
            return Ok(sight);
        }
        let details = json!({ "outcome": "not_in_table", "gated_search": id.to_string() });
        self.record("gated_search_not_shown", LeafKind::Refuse, Some(actor.clone()), details).await?;
        Err(missing())
    }

    /// The second person agrees or refuses; never who ordered it.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `VersionStale` (somebody was faster), `Conflict(SamePerson | WrongState)`.
    pub async fn gated_search_settle(
        &self,
        actor: &Actor,
        id: Uuid,
        step: GatedStep,
    ) -> Result<GatedSearch, UseCaseError> {
        let store = self.lez_store()?;
        // Whoever could settle none hears no more of this one than of any other.
        self.look::<ApproveGatedSearch>(actor).await?;
        let search = store.gated_search_fetch(id).await?.ok_or_else(missing)?;
        if search.owner != actor.org {
            return Err(self.gated_search_known(actor, id).await.err().unwrap_or_else(missing));
        }
        let target = self.gated_search_target(actor, &search).await?;
        self.gate.permit::<ApproveGatedSearch>(actor, target, &Why::default()).await?;
        if search.proposed.user == actor.user {
            let details = json!({ "outcome": "same_person", "gated_search": id.to_string() });
            self.record("gated_search_settle_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::Conflict(Conflict::SamePerson));
        }
        if search.state != GatedState::Proposed {
            return Err(UseCaseError::Conflict(Conflict::WrongState(search.state.as_str())));
        }
        let (operation, state, refusal) = match step {
            GatedStep::Approve => ("gated_search_approved", GatedState::InForce, None),
            GatedStep::Refuse(why) => {
                // It goes to the log, and whoever refuses has seen the plate.
                let wish = search.wish.as_ref().map(|sealed| store.wish_opened(sealed)).transpose()?;
                let why = match wish.as_deref().and_then(PlateWish::from_revealed) {
                    Some(plates) => words::text_without(&why, &plates),
                    None => why,
                };
                ("gated_search_refused", GatedState::Refused, Some(reason_of(&why)?))
            }
        };
        let settled = Some(self.signature(actor).await?);
        let expires_at = self.gated_search_end(self.now())?;
        let search = GatedSearch { state, settled, refusal, expires_at, ..search };
        self.record(operation, LeafKind::Change, Some(actor.clone()), leaf(&search)).await?;
        store.gated_search_settle(&search).await?;
        Ok(search)
    }

    /// Opens what an order names, under a decision of its own: by whoever ordered it, while the order lives and the gate's medium is attached.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Conflict(WrongState)`, `Footage(GateAway)`, `LogUnavailable`, `Unavailable`.
    pub async fn gated_search_open(
        &self,
        actor: &Actor,
        id: Uuid,
        after: Option<(WallTime, ReadId)>,
        limit: u32,
    ) -> Result<GatedPage, UseCaseError> {
        let store = self.lez_store()?;
        self.look::<SearchReads>(actor).await?;
        let GatedSearchSight { search, wish, may_open, .. } = self.gated_search_known(actor, id).await?;
        if !may_open {
            let details = json!({ "outcome": "not_open", "gated_search": id.to_string() });
            self.record("gated_search_open_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::Conflict(Conflict::WrongState(search.state.as_str())));
        }
        let wish = match wish.as_deref() {
            None => None,
            Some(text) => Some(
                PlateWish::from_revealed(text).ok_or_else(|| UseCaseError::Internal("a sealed wish is one".into()))?,
            ),
        };
        let object = wish.as_ref().zip(search.wish.as_ref());
        let object = object.map(|(plates, sealed)| words::object_of(plates, &store.wish_hash(plates), sealed));
        let why = Why {
            purpose: Some(search.purpose),
            justification: Some(search.ground.clone()),
            case_ref: Some(search.case_ref.clone()),
            second_person: search.settled.as_ref().map(|by| by.user),
            magistrate_ref: Some(search.magistrate_ref.clone()),
        };
        let circumstances = self.circumstances_of_own(actor, None).await?;
        let target = Target {
            owner: Some(search.owner),
            camera: search.camera,
            range: Some(search.range),
            // As the order: whoever looks up who searched for a plate finds both.
            object: object.or_else(|| Some(format!("gated_search:{id}"))),
            circumstances,
            ..Target::none()
        };
        let permit = self.gate.permit::<SearchReads>(actor, target, &why).await?;
        let (owner, camera, range) = (search.owner, search.camera, search.range);
        let found = store.gated_reads(&permit, &GatedQuery { owner, camera, range, wish, after, limit }).await?;
        let (outcome, count) = match &found {
            GatedFound::Reads(reads, _) => ("opened", reads.len()),
            GatedFound::GateAway => ("gate_away", 0),
        };
        let details = json!({
            "gated_search": id.to_string(), "decision": permit.decision().to_string(), "outcome": outcome, "reads": count,
            "magistrate_ref": search.magistrate_ref,
        });
        self.record("gated_reads_opened", LeafKind::Use, Some(actor.clone()), details).await?;
        match found {
            GatedFound::Reads(reads, next) => Ok(GatedPage { decision: permit.decision(), reads, next }),
            GatedFound::GateAway => Err(UseCaseError::Footage(FootageFault::GateAway)),
        }
    }
}

impl ReadService {
    /// Keeps what decisions in force name of police reads, before their first term ends; to be called about once a second, before the sweep.
    ///
    /// # Errors
    /// `Unavailable`, `LogUnavailable`, after everything else was kept: what was not stays where it was, and no sweep erases it.
    pub(crate) async fn gated_reads_keep(&self) -> Result<GateClosed, UseCaseError> {
        let (cases, store) = (&self.cases, &self.store);
        let now = cases.now();
        let since = WallTime::from_micros(now.micros.saturating_sub(3 * 366 * 86_400 * 1_000_000));
        let known = cases.stores.gated_list_in_force(since).await?;
        let known: Vec<_> = known.into_iter().filter(|one| !cases.retention.is_video(&one.class, now)).collect();
        let (mut has_kept, mut failed) = (false, None);
        for decision in &known {
            // As with footage: an hour before the end of the first term.
            let ends = WallTime::from_micros(now.micros.saturating_add(HOUR_US));
            let upto = ends.micros.saturating_sub(cases.term_us(&decision.class, now)?).saturating_add(HOUR_US);
            let upto = WallTime::from_micros(upto.min(decision.range.to.micros));
            let Some(range) = TimeRange::new(decision.range.from, upto) else { continue };
            let hours = store.gated_read_due(decision.camera, &decision.class, range, ends).await?;
            for hour in &hours {
                // An hour that cannot be kept, such as one with a damaged row, holds up no other.
                match self.gated_hour_keep(decision, *hour).await {
                    Ok(()) => has_kept = true,
                    Err(error) => failed = Some(error),
                }
            }
        }
        let closed = store.gated_read_close(now).await?;
        if has_kept || closed != GateClosed::default() {
            for decision in &known {
                let hours = store.gated_read_hours(decision.camera, &decision.class, decision.range).await?;
                let is_of = |waits: &&(CameraId, u32)| {
                    let start = WallTime::from_micros(i64::from(waits.1).saturating_mul(HOUR_US));
                    waits.0 == decision.camera && decision.range.contains(start)
                };
                let waiting = u64::try_from(closed.waiting.iter().filter(is_of).count()).unwrap_or(u64::MAX);
                cases.gated_carried_out(decision.id, hours.saturating_sub(waiting), waiting).await?;
            }
        }
        failed.map_or(Ok(closed), Err)
    }

    fn gated_told(&self) -> MutexGuard<'_, BTreeSet<(Uuid, u32)>> {
        self.gated_told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log first: what stays past its term is named there before it does. A crash may write it twice.
    async fn gated_hour_keep(&self, decision: &GatedDecision, hour: u32) -> Result<(), UseCaseError> {
        let now = self.cases.now();
        let start = WallTime::from_micros(i64::from(hour).saturating_mul(HOUR_US));
        let ends = self.cases.retention.gated_until(&decision.class, start, now).unwrap_or(now);
        // Once, however often it is tried: a key store that is away for an hour fills no log.
        if !self.gated_told().contains(&(decision.id, hour)) {
            let details = json!({
                "gated": decision.id.to_string(), "camera": decision.camera.to_string(), "class": decision.class.as_str(),
                "hour": hour, "ends_us": ends.micros,
            });
            self.cases.record("reads_gated", LeafKind::Change, None, details).await?;
            let mut told = self.gated_told();
            if told.len() >= TOLD_MAX {
                told.clear();
            }
            told.insert((decision.id, hour));
        }
        loop {
            let done = self.store.gated_read_keep(decision.camera, &decision.class, hour, ends, now).await?;
            // What was lost is told with the sweep.
            if done == KeptReads::default() {
                return Ok(());
            }
        }
    }
}

/// What the log keeps of a step. The plate is in the leaf of its decision, as a keyed hash.
fn leaf(search: &GatedSearch) -> Value {
    json!({
        "gated_search": search.id.to_string(), "camera": search.camera.map(|id| id.to_string()),
        "from_us": search.range.from.micros, "to_us": search.range.to.micros, "purpose": search.purpose.as_str(),
        "ground": search.ground, "case_ref": search.case_ref, "magistrate_ref": search.magistrate_ref,
        "state": search.state.as_str(), "ordered_under": search.decision.to_string(),
        "ordered_by": search.proposed.user.to_string(),
        "settled_by": search.settled.as_ref().map(|by| by.user.to_string()), "refusal": search.refusal,
    })
}
