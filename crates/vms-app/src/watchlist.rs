//! Watchlists: an entry needs two people (its author is never its approver), has a purpose, a case and an end; a hit is an *indication* that a
//! person compares with the picture before anybody acts (`domain.md` D3, H4).

use audit::LeafKind;
use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;
use vms_core::{Country, OrgId, Plate, PlateWish, Purpose, Right, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{
    ApproveEntry, DecideHits, EndEntry, ProposeEntry, ProposeUrgent, ReviewHits, SummariseWatchlists, ViewWatchlist,
};
use crate::gate::{Actor, Permit, Target, Why};
use crate::legal_changes::reason_of;
use crate::lez::class;
use crate::lez_ports::PictureKind;
use crate::model::EventScope;
use crate::watchlist_ports::{
    EntryKind, EntryState, Hit, HitDecision, HitState, NewHit, WatchEntry, WatchPage, WatchSize,
};
use crate::words::EventKind;

/// Purposes that a plate may be looked for with: judicial police, worrying disappearance, administrative police (Police Function Act 44/11/3sexies,
/// `domain.md` D3).
const PURPOSES: &[Purpose] = &[Purpose::Investigation, Purpose::MissingPerson, Purpose::PublicOrder];
/// An entry that ends sooner than this is a mistake.
const TERM_MIN_US: i64 = 60_000_000;

/// What somebody wants to be told of.
#[derive(Clone, Debug)]
pub struct EntryWish {
    /// How it comes about.
    pub kind: EntryKind,
    /// The plate.
    pub plate: Plate,
    /// Its country, where known.
    pub country: Option<Country>,
    /// When it ends.
    pub ends_at: WallTime,
    /// Purpose, reason (`justification`) and case.
    pub why: Why,
}

/// What the second person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryStep {
    /// It is in force.
    Approve,
    /// It is not, and why.
    Refuse(String),
}

/// An entry as somebody sees it.
#[derive(Clone, Debug)]
pub struct EntrySight {
    /// The entry.
    pub entry: WatchEntry,
    /// Whether the actor may agree or refuse: never who proposed it.
    pub may_settle: bool,
    /// Whether the actor may end it.
    pub may_end: bool,
}

/// What a person says of a hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HitStep {
    /// The picture shows the entry's plate; `plate_seen` is what the person read in it.
    Confirm {
        /// Read by the person, not copied from the entry.
        plate_seen: Plate,
    },
    /// It does not, or the entry no longer holds; why.
    Dismiss(String),
}

/// Hits under one logged decision; their pictures carry its id.
#[derive(Clone, Debug)]
pub struct HitList {
    /// The decision.
    pub decision: vms_core::DecisionId,
    /// Newest first.
    pub hits: Vec<Hit>,
    /// Whether the actor may see the case too, and not only the reason.
    pub shows_case: bool,
}

impl UseCases {
    async fn own_target(&self, actor: &Actor, object: Option<String>) -> Result<Target, UseCaseError> {
        let circumstances = self.circumstances_of_own(actor, None).await?;
        Ok(Target { owner: Some(actor.org), object, circumstances, ..Target::none() })
    }

    /// Puts a plate before the second person. Nothing is compared with it before somebody else agrees.
    ///
    /// # Errors
    /// `Denied`, `Missing`, `Invalid`.
    pub async fn watch_propose(&self, actor: &Actor, wish: EntryWish) -> Result<EntrySight, UseCaseError> {
        let store = self.lez_store()?;
        let exact = PlateWish::Exact(wish.plate.clone());
        // The log gets a keyed hash; the plate is not in the words either.
        let why = &crate::lez::without_plates(&wish.why, &exact);
        let target = self.own_target(actor, Some(format!("entry:{}", store.wish_hash(&exact)))).await?;
        let decision = match wish.kind {
            EntryKind::Regular => self.gate.permit::<ProposeEntry>(actor, target, why).await?.decision(),
            EntryKind::Urgent => self.gate.permit::<ProposeUrgent>(actor, target, why).await?.decision(),
        };
        let purpose = wish.why.purpose.filter(|purpose| PURPOSES.contains(purpose));
        let purpose = purpose.ok_or_else(|| UseCaseError::invalid("purpose.code", "not_for_watchlists"))?;
        let reason = reason_of(wish.why.justification.as_deref().unwrap_or_default())?;
        let case_ref = wish.why.case_ref.clone().filter(|case| !case.trim().is_empty());
        let case_ref = case_ref.ok_or_else(|| UseCaseError::invalid("purpose.case_ref", "required"))?;
        let (class, now) = (class(wish.kind.class())?, self.now());
        let last = now.micros.saturating_add(self.term_us(&class, now)?);
        if wish.ends_at.micros < now.micros.saturating_add(TERM_MIN_US) {
            return Err(UseCaseError::invalid("ends_at", "too_soon"));
        }
        if wish.ends_at.micros > last {
            return Err(UseCaseError::invalid("ends_at", "past_the_term"));
        }
        let entry = WatchEntry {
            id: self.ids.uuid(),
            owner: actor.org,
            kind: wish.kind,
            state: EntryState::Proposed,
            class,
            plate: wish.plate,
            country: wish.country,
            purpose,
            reason,
            case_ref,
            ends_at: wish.ends_at,
            decision,
            proposed: self.signature(actor).await?,
            settled: None,
            refusal: None,
        };
        self.record("watchlist_proposed", LeafKind::Change, Some(actor.clone()), leaf(&entry)).await?;
        if !store.entry_insert(&entry, now).await? {
            return Err(UseCaseError::Conflict(Conflict::QueueFull));
        }
        Ok(self.entry_sight(actor, entry))
    }

    fn entry_sight(&self, actor: &Actor, entry: WatchEntry) -> EntrySight {
        let rights = self.gate.rights_of(actor.profile);
        let is_own = entry.owner == actor.org;
        let may_settle = is_own
            && entry.state == EntryState::Proposed
            && entry.proposed.user != actor.user
            && rights.contains(&Right::WatchlistApprove);
        let may_end = is_own && rights.contains(&end_right(entry.kind));
        EntrySight { entry, may_settle, may_end }
    }

    /// Entries of the own zone, newest first.
    ///
    /// # Errors
    /// `Denied`, `LogUnavailable`.
    pub async fn watch_list(
        &self,
        actor: &Actor,
        below: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<EntrySight>, UseCaseError> {
        let target = self.own_target(actor, None).await?;
        let permit = self.gate.permit::<ViewWatchlist>(actor, target, &Why::default()).await?;
        let page = WatchPage { owner: actor.org, below, limit };
        let entries = self.lez_store()?.entry_list(&permit, page).await?;
        Ok(entries.into_iter().map(|entry| self.entry_sight(actor, entry)).collect())
    }

    async fn entry_of(&self, actor: &Actor, id: Uuid) -> Result<WatchEntry, UseCaseError> {
        let found = self.lez_store()?.entry_fetch(actor.org, id).await?;
        found.ok_or(UseCaseError::NotFound(Entity::WatchEntry))
    }

    /// The second person agrees or refuses; never who proposed it.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `Conflict(SamePerson | WrongState)`, `VersionStale`.
    pub async fn watch_settle(&self, actor: &Actor, id: Uuid, step: EntryStep) -> Result<EntrySight, UseCaseError> {
        let target = self.own_target(actor, Some(id.to_string())).await?;
        let permit = self.gate.permit::<ApproveEntry>(actor, target, &Why::default()).await?;
        let entry = self.entry_of(actor, id).await?;
        if entry.proposed.user == actor.user {
            let details = json!({ "outcome": "same_person", "entry": id.to_string() });
            self.record("watchlist_settle_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::Conflict(Conflict::SamePerson));
        }
        if entry.state != EntryState::Proposed || entry.ends_at <= self.now() {
            return Err(UseCaseError::Conflict(Conflict::WrongState(entry.state.as_str())));
        }
        let (operation, state, refusal) = match step {
            EntryStep::Approve => ("watchlist_approved", EntryState::InForce, None),
            EntryStep::Refuse(why) => ("watchlist_refused", EntryState::Refused, Some(reason_of(&why)?)),
        };
        let settled = Some(self.signature(actor).await?);
        let entry = WatchEntry { state, settled, refusal, ..entry };
        self.record(operation, LeafKind::Change, Some(actor.clone()), leaf(&entry)).await?;
        self.lez_store()?.entry_settle(&permit, &entry).await?;
        Ok(self.entry_sight(actor, entry))
    }

    /// Ends an entry before its time. Nobody else is asked: it makes the list smaller.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`.
    pub async fn watch_end(&self, actor: &Actor, id: Uuid, reason: &str) -> Result<(), UseCaseError> {
        let why = Why { justification: Some(reason_of(reason)?), ..Why::default() };
        let target = self.own_target(actor, Some(id.to_string())).await?;
        // Whoever has no part in watchlists is refused before anything is looked up.
        let (found, clear) =
            (self.lez_store()?.entry_fetch(actor.org, id).await?, self.lez_store()?.entry_clear(actor.org, id).await?);
        let (kind, purpose) = clear.unwrap_or((EntryKind::Regular, Purpose::PublicOrder));
        // An entry that is damaged goes too, though nobody can read its case any more.
        let unknown = || (if clear.is_some() { "not readable" } else { "no such entry" }).to_owned();
        let case_ref = found.as_ref().map_or_else(unknown, |entry| entry.case_ref.clone());
        let why = Why { case_ref: Some(case_ref), purpose: Some(purpose), ..why };
        let why = match &found {
            Some(entry) => crate::lez::without_plates(&why, &PlateWish::Exact(entry.plate.clone())),
            // Nobody knows which plate not to write down.
            None => Why { justification: Some("an entry that cannot be read".to_owned()), ..why },
        };
        match kind {
            EntryKind::Regular => drop(self.gate.permit::<EndEntry>(actor, target, &why).await?),
            EntryKind::Urgent => drop(self.gate.permit::<ProposeUrgent>(actor, target, &why).await?),
        }
        if clear.is_none() {
            return Err(UseCaseError::NotFound(Entity::WatchEntry));
        }
        let details = found.as_ref().map_or_else(
            || json!({ "entry": id.to_string(), "owner": actor.org.to_string(), "kind": kind.as_str(), "damaged": true }),
            leaf,
        );
        self.record("watchlist_ended", LeafKind::Change, Some(actor.clone()), details).await?;
        if self.lez_store()?.entry_end(actor.org, id, self.now()).await? {
            Ok(())
        } else {
            Err(UseCaseError::NotFound(Entity::WatchEntry))
        }
    }

    /// Names, sizes and ages of lists, no entry: the own zone's, or everybody's for who oversees all.
    ///
    /// # Errors
    /// `Denied`, `LogUnavailable`.
    pub async fn watch_sizes(&self, actor: &Actor) -> Result<Vec<WatchSize>, UseCaseError> {
        let all = Target { relation: vms_core::Relation::Other, ..Target::none() };
        let sees_all = self.gate.would::<SummariseWatchlists>(actor, &all).is_allow();
        let target = if sees_all { all } else { self.own_target(actor, None).await? };
        drop(self.gate.permit::<SummariseWatchlists>(actor, target, &Why::default()).await?);
        Ok(self.lez_store()?.entry_sizes((!sees_all).then_some(actor.org), self.now()).await?)
    }

    /// Hits of the own zone, newest first.
    ///
    /// # Errors
    /// `Denied`, `LogUnavailable`.
    pub async fn hit_list(
        &self,
        actor: &Actor,
        state: Option<HitState>,
        below: Option<Uuid>,
        limit: u32,
    ) -> Result<HitList, UseCaseError> {
        let target = self.own_target(actor, Some("hits".to_owned())).await?;
        let permit = self.gate.permit::<ReviewHits>(actor, target, &Why::default()).await?;
        let page = WatchPage { owner: actor.org, below, limit };
        let hits = self.lez_store()?.hit_list(&permit, state, page).await?;
        let shows_case = self.gate.rights_of(actor.profile).contains(&Right::WatchlistView);
        Ok(HitList { decision: permit.decision(), hits, shows_case })
    }

    /// A picture of a hit: a use of its own in the log.
    ///
    /// # Errors
    /// `Denied`, `NotFound`.
    pub async fn hit_picture(&self, actor: &Actor, id: Uuid, kind: PictureKind) -> Result<Bytes, UseCaseError> {
        let target = self.own_target(actor, Some(format!("hit:{id}"))).await?;
        let permit: Permit<ReviewHits> = self.gate.permit(actor, target, &Why::default()).await?;
        let picture = self.lez_store()?.hit_picture(&permit, actor.org, id, kind).await?;
        picture.ok_or(UseCaseError::NotFound(Entity::Picture))
    }

    /// Whoever has the list open sees that somebody decided.
    async fn hit_told(&self, hit: &Hit) {
        let data = json!({ "id": hit.id.to_string(), "camera_id": hit.camera.to_string(),
            "at": crate::health::rfc3339(hit.at), "state": hit.state.as_str() });
        self.events.publish(EventKind::Hit, EventScope::CameraRight(hit.camera, Right::HitReview), data).await;
    }

    /// A person confirms a hit against its picture, or dismisses it. Only the plate that the person read in the picture confirms.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Invalid` (another plate), `Conflict(WrongState)`, `VersionStale`.
    pub async fn hit_decide(&self, actor: &Actor, id: Uuid, seen: u64, step: HitStep) -> Result<Hit, UseCaseError> {
        let target = self.own_target(actor, Some(format!("hit:{id}"))).await?;
        let permit = self.gate.permit::<DecideHits>(actor, target, &Why::default()).await?;
        let missing = || UseCaseError::NotFound(Entity::Hit);
        let hit = self.lez_store()?.hit_fetch(actor.org, id).await?.ok_or_else(missing)?;
        if hit.state != HitState::Open {
            return Err(UseCaseError::Conflict(Conflict::WrongState(hit.state.as_str())));
        }
        if hit.version != seen {
            return Err(UseCaseError::VersionStale);
        }
        let (operation, state, reason) = match step {
            HitStep::Confirm { .. } if !(hit.has_crop || hit.has_overview) => {
                return Err(UseCaseError::Conflict(Conflict::WrongState("no_picture")));
            }
            HitStep::Confirm { plate_seen } if plate_seen != hit.plate => {
                let details = json!({ "outcome": "another_plate", "hit": id.to_string() });
                self.record("hit_confirm_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
                return Err(UseCaseError::invalid("plate_seen", "not_the_plate"));
            }
            HitStep::Confirm { .. } => ("hit_confirmed", HitState::Confirmed, None),
            HitStep::Dismiss(why) => ("hit_dismissed", HitState::Dismissed, Some(reason_of(&why)?)),
        };
        let by = self.signature(actor).await?;
        let decision = HitDecision { id, owner: actor.org, seen, state, reason, by };
        let details = json!({ "hit": id.to_string(), "entry": hit.entry.to_string(), "read": hit.read.to_string() });
        self.record(operation, LeafKind::Change, Some(actor.clone()), details).await?;
        self.lez_store()?.hit_decide(&permit, &decision).await?;
        let hit = self.lez_store()?.hit_fetch(actor.org, id).await?.ok_or_else(missing)?;
        self.hit_told(&hit).await;
        Ok(hit)
    }

    /// What the log keeps of a new hit.
    pub(crate) async fn hit_found(&self, hit: &NewHit) -> Result<(), UseCaseError> {
        let orgs = self.orgs_now().await?;
        let org = orgs.iter().find(|org| org.id == hit.owner).map(|org| org.code.clone());
        let details = json!({
            "hit": hit.id.to_string(), "entry": hit.entry.to_string(), "read": hit.read.to_string(),
            "camera": hit.camera.to_string(), "org": org,
        });
        self.record("hit_found", LeafKind::Change, None, details).await
    }

    /// Sizes for the annual report.
    pub(crate) async fn report_watchlists(&self, now: WallTime) -> Result<Vec<WatchSize>, UseCaseError> {
        match self.extensions().lez.as_ref() {
            Some(store) => Ok(store.entry_sizes(None::<OrgId>, now).await?),
            None => Ok(Vec::new()),
        }
    }
}

/// Who puts such an entry in takes it out.
const fn end_right(kind: EntryKind) -> Right {
    match kind {
        EntryKind::Regular => Right::WatchlistEdit,
        EntryKind::Urgent => Right::WatchlistUrgent,
    }
}

/// What the log keeps of a step: everything but the plate and the words, which are personal data and die with the entry.
fn leaf(entry: &WatchEntry) -> Value {
    json!({
        "entry": entry.id.to_string(), "owner": entry.owner.to_string(), "kind": entry.kind.as_str(),
        "class": entry.class.as_str(), "purpose": entry.purpose.as_str(), "case_ref": entry.case_ref,
        "ends_us": entry.ends_at.micros, "state": entry.state.as_str(), "proposed_by": entry.proposed.user.to_string(),
        "settled_by": entry.settled.as_ref().map(|by| by.user.to_string()),
    })
}
