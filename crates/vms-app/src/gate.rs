//! The one gate: decide, write the log leaf durably, and only then hand out a permit.
//!
//! No leaf, no footage: when the log cannot take a leaf, access fails closed and recording goes on (blueprint 4.6).
//! Grain: one opening leaf per person, stream, purpose and span, renewal leaves each 15 minutes, a closing leaf with what
//! was delivered; a use that is over at once is one leaf; every refusal is one leaf.

pub mod action;
pub mod circumstances;
pub mod standing;
pub mod tally;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use audit::LeafKind;
use policy::{Audience, Capability, CapabilitySigner, Decision, DenyReason, Matrix, Obligations, Requirement, Scope};
use serde_json::json;
use vms_core::{
    CameraId, DecisionId, OrgId, Profile, Purpose, Relation, Rendition, SessionId, StreamId, TimeRange, UserId,
    WallTime,
};

pub use action::Action;
pub use circumstances::Circumstances;

use crate::ports::{Clock, Ids};

/// An error of something below the gate, for the log only.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Life of a stream's capability; renewed by re-decision every 5 s (blueprint 2).
const CAPABILITY_LIFE_US: i64 = policy::capability::LIFE_MAX_US;
/// Life of the reader's standing capability.
const STANDING_LIFE_US: i64 = policy::capability::STANDING_LIFE_MAX_US;
/// A running use writes a renewal leaf at this interval (blueprint 4.6: at most 15 minutes a leaf).
const RENEWAL_LEAF_US: i64 = 15 * 60 * 1_000_000;
/// Open decisions that may be recalled by id; past this the oldest is forgotten and its pictures need a new list.
const RECALL_MAX: usize = 10_000;

/// Who acts: one person (or service) in one session with one active profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Account.
    pub user: UserId,
    /// Session.
    pub session: SessionId,
    /// Organisation of the account.
    pub org: OrgId,
    /// Active profile.
    pub profile: Profile,
    /// Name at this moment, for the details.
    pub user_name: String,
    /// Code of the organisation, for the details.
    pub org_code: String,
}

/// On what. The caller resolved id → camera → owner → relation before it asks (reliability.md 4.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Camera, if the object belongs to one.
    pub camera: Option<CameraId>,
    /// Stream, for live and playback.
    pub stream: Option<StreamId>,
    /// Owner of the camera or object.
    pub owner: Option<OrgId>,
    /// How the actor's organisation stands to it.
    pub relation: Relation,
    /// Span of the past, for playback and searches.
    pub range: Option<TimeRange>,
    /// Rendition asked for.
    pub rendition: Rendition,
    /// Id of any other object, or a keyed hash of a query. Never a plate or a name.
    pub object: Option<String>,
    /// What holds around the request: events, stations, territory, data flows.
    pub circumstances: Circumstances,
}

impl Target {
    /// Nothing in particular: the actor's own organisation.
    pub const fn none() -> Self {
        Self {
            camera: None,
            stream: None,
            owner: None,
            relation: Relation::Own,
            range: None,
            rendition: Rendition::Original,
            object: None,
            circumstances: Circumstances::none(),
        }
    }

    /// A camera of `owner`.
    pub fn camera(camera: CameraId, owner: OrgId, relation: Relation) -> Self {
        Self { camera: Some(camera), owner: Some(owner), relation, ..Self::none() }
    }
}

/// Why, in the actor's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// Purpose code.
    pub purpose: Option<Purpose>,
    /// Justification text.
    pub justification: Option<String>,
    /// Case, report or ticket number.
    pub case_ref: Option<String>,
    /// The other person who agreed. Set by use cases that have that on record, never from a request.
    pub second_person: Option<UserId>,
    /// Reference of a magistrate's written decision, where the material is older than the matrix lets anybody see without.
    pub magistrate_ref: Option<String>,
}

/// Proof that policy said yes to action `A` and that the yes is in the log. Only [`Gate`] makes one.
#[derive(Debug)]
pub struct Permit<A> {
    decision: DecisionId,
    log_index: u64,
    at: WallTime,
    actor: Actor,
    target: Target,
    why: Why,
    leaf_at: Mutex<WallTime>,
    obligations: Obligations,
    /// Of a use that must be closed: when the permit is dropped instead (a caller that went away), that is its end.
    closing: Option<standing::Closing>,
    action: std::marker::PhantomData<fn() -> A>,
}

impl<A> Permit<A> {
    /// The decision.
    pub const fn decision(&self) -> DecisionId {
        self.decision
    }

    /// Index of the leaf.
    pub const fn log_index(&self) -> u64 {
        self.log_index
    }

    /// When it was given.
    pub const fn at(&self) -> WallTime {
        self.at
    }

    /// To whom.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// For what.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Why.
    pub const fn why(&self) -> &Why {
        &self.why
    }

    /// What the yes obliges to.
    pub const fn obligations(&self) -> Obligations {
        self.obligations
    }
}

/// Why there is no permit.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The table says no.
    #[error("not allowed ({})", reason.code())]
    Denied {
        /// Which rule.
        reason: DenyReason,
        /// The refusal, as it stands in the log.
        decision: DecisionId,
    },
    /// The table says yes once this is supplied.
    #[error("the request lacks {0:?}")]
    Missing(Vec<Requirement>),
    /// The id names no use of this session that is still open.
    #[error("no such open use")]
    Unknown,
    /// The log cannot take a leaf: access fails closed.
    #[error("the log of uses cannot be written")]
    LogUnavailable(#[source] BoxError),
}

/// What a use delivered, for its closing leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Access units or objects.
    pub units: u64,
    /// Bytes.
    pub bytes: u64,
    /// Why it ended.
    pub why: String,
}

/// Something to be logged that is no decision: log-ins, machine work, changes by the system itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What kind of leaf.
    pub kind: LeafKind,
    /// Word for the details, such as `login_failed`.
    pub operation: &'static str,
    /// Who, if anybody known.
    pub actor: Option<Actor>,
    /// The rest.
    pub details: serde_json::Value,
}

/// One entry for the log: leaf header and details. The sequencer draws the salt and commits.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    /// What kind of leaf.
    pub kind: LeafKind,
    /// When.
    pub at: WallTime,
    /// Under which decision.
    pub decision: Option<DecisionId>,
    /// Opening leaf.
    pub refers: Option<u64>,
    /// Details, kept beside the log.
    pub details: serde_json::Value,
}

/// The log, as the gate needs it: durable with an index, or an error.
#[async_trait::async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends durably (fsynced journal) and returns the leaf's index.
    async fn append(&self, entry: LogEntry) -> Result<u64, BoxError>;

    /// Whether it would take a leaf now.
    async fn stands(&self) -> Result<(), BoxError>;
}

#[derive(Clone)]
struct Open {
    session: SessionId,
    right: vms_core::Right,
    actor: Actor,
    target: Target,
    why: Why,
    log_index: u64,
    at: WallTime,
    obligations: Obligations,
}

/// The gate.
pub struct Gate {
    /// The matrix in force. Short lock: whoever asks takes a copy of the pointer.
    matrix: RwLock<Arc<Matrix>>,
    log: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    signer: CapabilitySigner,
    /// Decisions whose later requests carry their id (crops of a list). Short lock, no await inside.
    open: Mutex<HashMap<DecisionId, Open>>,
    standing: Arc<standing::Standing>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("matrix", &self.matrix().version()).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate over a matrix and a log.
    pub fn new(
        matrix: Matrix,
        log: Arc<dyn AuditLog>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        signer: CapabilitySigner,
    ) -> Self {
        let matrix = RwLock::new(Arc::new(matrix));
        let standing = Arc::default();
        Self { matrix, log, clock, ids, signer, open: Mutex::new(HashMap::new()), standing }
    }

    /// Public key of the gate, for recorders, readers and gateways.
    pub fn public_key(&self) -> [u8; 32] {
        self.signer.verifier().public()
    }

    /// The matrix in force.
    pub fn matrix(&self) -> Arc<Matrix> {
        Arc::clone(&self.matrix.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another matrix in force. Running uses are decided again by it within 5 s; whoever calls this notes the
    /// change, so that they are at once.
    pub fn set_matrix(&self, matrix: Arc<Matrix>) {
        *self.matrix.write().unwrap_or_else(PoisonError::into_inner) = matrix;
    }

    /// The rights that a profile has towards anything at all (for the console's menu).
    pub fn rights_of(&self, profile: Profile) -> Vec<vms_core::Right> {
        self.matrix().rights_of(profile)
    }

    /// What the table would say, without a leaf: for the `may` and `needs` of a view, and for re-decision.
    pub fn would<A: Action>(&self, actor: &Actor, target: &Target) -> Decision {
        self.ask::<A>(actor, target, &Why::default())
    }

    fn ask<A: Action>(&self, actor: &Actor, target: &Target, why: &Why) -> Decision {
        self.ask_of::<A>(&self.matrix(), actor, target, why)
    }

    fn ask_of<A: Action>(&self, matrix: &Matrix, actor: &Actor, target: &Target, why: &Why) -> Decision {
        let now = self.clock.now();
        let around = &target.circumstances;
        matrix.decide(&policy::Request {
            profile: actor.profile,
            right: A::RIGHT,
            relation: target.relation,
            rendition: target.rendition,
            purpose: why.purpose,
            justification: why.justification.as_deref(),
            case_ref: why.case_ref.as_deref(),
            magistrate_ref: why.magistrate_ref.as_deref(),
            has_second_person: A::AWAITS_SECOND || why.second_person.is_some_and(|second| second != actor.user),
            age_us: target.range.map_or(0, |range| now.micros_since(range.from)),
            event_active: around.event_active(),
            police_station: around.police_station,
            // An organisation's own cameras and reads lie in its territory; anything else must be shown to.
            own_territory: around.own_territory || target.owner == Some(actor.org),
            flow_active: around.flow_active,
            own_file: around.own_file,
            suspended: around.suspended,
            aggregated: A::AGGREGATED,
            reads_only: A::READS_ONLY,
        })
    }

    /// Decides, writes the leaf, and gives the permit. A refusal is a leaf too.
    ///
    /// # Errors
    /// [`GateError`]; nothing was permitted then.
    pub async fn permit<A: Action>(&self, actor: &Actor, target: Target, why: &Why) -> Result<Permit<A>, GateError> {
        let at = self.clock.now();
        let decision = DecisionId::from_uuid(self.ids.uuid());
        let matrix = self.matrix();
        let answer = self.ask_of::<A>(&matrix, actor, &target, why);
        let (kind, outcome) = match &answer {
            Decision::Allow(_) => (A::GRAIN, "allow"),
            Decision::Missing(_) => (LeafKind::Refuse, "missing"),
            Decision::Deny(reason) => (LeafKind::Refuse, reason.code()),
        };
        let details = details::<A>(&matrix, actor, &target, why, outcome);
        let entry = LogEntry { kind, at, decision: Some(decision), refers: None, details };
        let log_index = self.write(entry).await?;
        let obligations = allowed(answer, decision)?;
        let (actor, why) = (actor.clone(), why.clone());
        let session = actor.session;
        let right = A::RIGHT;
        let open = Open {
            session,
            right,
            actor: actor.clone(),
            target: target.clone(),
            why: why.clone(),
            log_index,
            at,
            obligations,
        };
        self.remember(decision, open);
        let leaf_at = Mutex::new(at);
        let action = std::marker::PhantomData;
        let closing = (A::GRAIN == LeafKind::Open).then(|| standing::Closing::new(&self.standing, A::RIGHT));
        Ok(Permit { decision, log_index, at, actor, target, why, leaf_at, obligations, closing, action })
    }

    /// Decides again for a running use; a renewal leaf is written once per 15 minutes.
    ///
    /// # Errors
    /// [`GateError::Denied`] when the right is gone, [`GateError::LogUnavailable`] when the log took no leaf for
    /// [`standing::LOG_AWAY_MAX`]: end the use.
    pub async fn renew<A: Action>(&self, permit: &Permit<A>, target: Target) -> Result<(), GateError> {
        let why = permit.why();
        let matrix = self.matrix();
        allowed(self.ask_of::<A>(&matrix, &permit.actor, &target, why), permit.decision)?;
        self.log_lets_go_on().await?;
        let now = self.clock.now();
        let last = || permit.leaf_at.lock().unwrap_or_else(PoisonError::into_inner);
        if now.micros_since(*last()) < RENEWAL_LEAF_US {
            return Ok(());
        }
        let details = details::<A>(&matrix, &permit.actor, &target, why, "allow");
        match self.append(LeafKind::Renew, permit, now, details).await {
            Ok(()) => *last() = now,
            // Asked again with the next decision, 5 s from now.
            Err(_) if self.standing.away_for() < standing::LOG_AWAY_MAX => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes the closing leaf of a use.
    ///
    /// # Errors
    /// [`GateError::LogUnavailable`]: it is kept, and written once the log takes it.
    pub async fn close<A: Action>(&self, mut permit: Permit<A>, delivered: Delivered) -> Result<(), GateError> {
        self.forget(permit.decision);
        permit.closing = None;
        let entry = standing::closing_leaf(&permit, A::RIGHT, &delivered, self.clock.now());
        self.write_or_owe(entry).await
    }

    async fn append<A: Action>(
        &self,
        kind: LeafKind,
        permit: &Permit<A>,
        at: WallTime,
        details: serde_json::Value,
    ) -> Result<(), GateError> {
        let (decision, refers) = (Some(permit.decision), Some(permit.log_index));
        let entry = LogEntry { kind, at, decision, refers, details };
        self.write(entry).await.map(drop)
    }

    /// The permit of an earlier decision of the same session (or account, [`Action::OF_ACCOUNT`]), right and at most 15 minutes ago: a request inside a use
    /// carries its decision id and writes no leaf of its own (blueprint 4.6). It says what was decided then: whoever shows
    /// something decides it again first (`UseCases::recalled`).
    ///
    /// # Errors
    /// [`GateError::Unknown`].
    pub fn recall<A: Action>(&self, actor: &Actor, decision: DecisionId) -> Result<Permit<A>, GateError> {
        let now = self.clock.now();
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let found = open.get(&decision).ok_or(GateError::Unknown)?;
        let same_account = A::OF_ACCOUNT && found.actor.user == actor.user && found.actor.profile == actor.profile;
        let is_theirs = found.session == actor.session || same_account;
        let fits = is_theirs && found.right == A::RIGHT && now.micros_since(found.at) < RENEWAL_LEAF_US;
        if !fits {
            return Err(GateError::Unknown);
        }
        Ok(Permit {
            decision,
            log_index: found.log_index,
            at: found.at,
            actor: found.actor.clone(),
            target: found.target.clone(),
            why: found.why.clone(),
            leaf_at: Mutex::new(found.at),
            obligations: found.obligations,
            closing: None,
            action: std::marker::PhantomData,
        })
    }

    /// Recalls of a decision end.
    pub fn forget(&self, decision: DecisionId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&decision);
    }

    /// Logs something that is no decision.
    ///
    /// # Errors
    /// [`GateError::LogUnavailable`].
    pub async fn record(&self, event: Event) -> Result<u64, GateError> {
        let actor = event.actor.as_ref().map(actor_json);
        let details = json!({ "operation": event.operation, "actor": actor, "details": event.details });
        let entry = LogEntry { kind: event.kind, at: self.clock.now(), decision: None, refers: None, details };
        self.write(entry).await
    }

    /// The capability for a permit's stream, 15 s; `None` when the permit names no stream.
    pub fn capability<A: Action>(&self, permit: &Permit<A>, audience: Audience) -> Option<String> {
        self.sign(permit, audience, permit.target.rendition, false)
    }

    /// The capability for the source of a derived picture: the reader opens the original at the recorder with it.
    pub fn source_capability<A: Action>(&self, permit: &Permit<A>) -> Option<String> {
        self.sign(permit, Audience::Recorder, Rendition::Original, false)
    }

    /// The reader's standing capability, 24 h, under a logged grant.
    pub fn standing_capability(&self, permit: &Permit<action::DecodeAnpr>) -> Option<String> {
        self.sign(permit, Audience::Recorder, Rendition::Original, true)
    }

    /// Opens the reader's spool for 15 s, under the logged grant to take and decide reads.
    pub fn reads_capability(&self, permit: &Permit<action::DecodeAnpr>) -> String {
        let issued_at = self.clock.now();
        self.signer.sign(&Capability {
            decision: permit.decision,
            log_index: permit.log_index,
            stream: StreamId::from_bytes([0; 16]),
            scope: Scope::Reads,
            rendition: Rendition::Original,
            audience: Audience::Reader,
            standing: false,
            gated: false,
            issued_at,
            expires_at: WallTime::from_micros(issued_at.micros.saturating_add(CAPABILITY_LIFE_US)),
        })
    }

    fn sign<A>(&self, permit: &Permit<A>, audience: Audience, rendition: Rendition, standing: bool) -> Option<String> {
        let issued_at = self.clock.now();
        let life = if standing { STANDING_LIFE_US } else { CAPABILITY_LIFE_US };
        let capability = Capability {
            decision: permit.decision,
            log_index: permit.log_index,
            stream: permit.target.stream?,
            scope: permit.target.range.map_or(Scope::Live, Scope::Range),
            rendition,
            audience,
            standing,
            // Condition m: the decision of a magistrate is in the leaf, and nothing else opens what is behind the gate.
            gated: !standing && permit.target.range.is_some() && permit.why.magistrate_ref.is_some(),
            issued_at,
            expires_at: WallTime::from_micros(issued_at.micros.saturating_add(life)),
        };
        Some(self.signer.sign(&capability))
    }

    fn remember(&self, decision: DecisionId, use_of: Open) {
        let at = use_of.at;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= RECALL_MAX {
            open.retain(|_, old| at.micros_since(old.at) < RENEWAL_LEAF_US);
            if open.len() >= RECALL_MAX
                && let Some(oldest) = open.iter().min_by_key(|(_, old)| old.at).map(|(id, _)| *id)
            {
                open.remove(&oldest);
            }
        }
        open.insert(decision, use_of);
    }
}

/// The obligations of a yes, or why there is no permit.
fn allowed(answer: Decision, decision: DecisionId) -> Result<Obligations, GateError> {
    match answer {
        Decision::Allow(obligations) => Ok(obligations),
        Decision::Missing(list) => Err(GateError::Missing(list)),
        Decision::Deny(reason) => Err(GateError::Denied { reason, decision }),
    }
}

fn details<A: Action>(matrix: &Matrix, actor: &Actor, target: &Target, why: &Why, outcome: &str) -> serde_json::Value {
    json!({
        "right": A::RIGHT.as_str(),
        "outcome": outcome,
        "table": matrix.version(),
        "matrix_digest": matrix.digest(),
        "actor": actor_json(actor),
        "camera": target.camera.map(|id| id.to_string()),
        "stream": target.stream.map(|id| id.to_string()),
        "owner": target.owner.map(|id| id.to_string()),
        "relation": target.relation.as_str(),
        "rendition": target.rendition.as_str(),
        "range_us": target.range.map(|range| [range.from.micros, range.to.micros]),
        "object": target.object,
        "circumstances": target.circumstances.json(),
        "purpose": why.purpose.map(Purpose::as_str),
        "justification": why.justification,
        "case_ref": why.case_ref,
        "magistrate_ref": why.magistrate_ref,
        "second_person": why.second_person.map(|id| id.to_string()),
    })
}

fn actor_json(actor: &Actor) -> serde_json::Value {
    json!({
        "user": actor.user.to_string(),
        "name": actor.user_name,
        "org": actor.org_code,
        "org_id": actor.org.to_string(),
        "profile": actor.profile.as_str(),
        "session": actor.session.to_string(),
    })
}
