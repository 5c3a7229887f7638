//! Events for browsers: kept for a day in the store, fanned out in the process.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use tokio::sync::broadcast;
use vms_core::{CameraId, Right, SessionId, WallTime};

use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::action::{ListCameras, ListReads, ReviewFindings};
use crate::gate::{Actor, Target};
use crate::identity::seal::FactorKey;
use crate::login::Signed;
use crate::model::{Event, EventScope};
use crate::ports::{Clock, Ids, Stores, random_bytes};
use crate::words::EventKind;

/// Events that a slow receiver may lag behind; past it, it is told to load anew.
pub const LAG_MAX: usize = 1_024;
/// Events replayed to a client that comes back; past it, it is told to load anew.
pub const REPLAY_MAX: u32 = 5_000;
/// How long events are kept (`console.md` 4.2).
const KEEP: Duration = Duration::from_secs(24 * 3_600);
/// How often old ones are looked for.
const PRUNE_EVERY_US: i64 = 600_000_000;

/// Value of `why` when a session was ended.
pub const SESSION_ENDED: &str = "ended";

/// Takes events and hands them to whoever listens.
#[derive(Debug)]
pub struct EventHub {
    stores: Arc<dyn Stores>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    /// Seals the places of this process; made when it is first needed, and gone with the process.
    marks: OnceLock<FactorKey>,
    sender: broadcast::Sender<Arc<Event>>,
    pruned_at: std::sync::atomic::AtomicI64,
}

fn mark_of(session: SessionId) -> String {
    format!("belfry event v1 {session}")
}

/// What a client gets first.
#[derive(Debug)]
pub enum Replay {
    /// These happened since; then the receiver.
    Since(Vec<Event>),
    /// Too long ago: load anew. The number is the newest id.
    Reset(i64),
}

impl EventHub {
    pub(crate) fn new(stores: Arc<dyn Stores>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        let pruned_at = std::sync::atomic::AtomicI64::new(0);
        Self { stores, clock, ids, marks: OnceLock::new(), sender: broadcast::Sender::new(LAG_MAX), pruned_at }
    }

    fn marks(&self) -> Result<&FactorKey, UseCaseError> {
        if let Some(key) = self.marks.get() {
            return Ok(key);
        }
        let key = FactorKey::new(&random_bytes(self.ids.as_ref()))?;
        Ok(self.marks.get_or_init(|| key))
    }

    /// The place of an event as a session gets it. Events are one sequence for everybody: the numbers themselves would tell how much happens at
    /// cameras that are not one's own.
    ///
    /// # Errors
    /// When the library refuses to seal.
    pub fn mark(&self, session: SessionId, id: i64) -> Result<String, UseCaseError> {
        let sealed = self.marks()?.seal(self.ids.as_ref(), &mark_of(session), &id.to_be_bytes())?;
        Ok(B64.encode(sealed))
    }

    /// The number behind a place; `None` for that of another session or another run of the program, and for anything else.
    pub fn place(&self, session: SessionId, mark: &str) -> Option<i64> {
        let clear = self.marks().ok()?.open(&mark_of(session), &B64.decode(mark).ok()?).ok()?;
        Some(i64::from_be_bytes(clear.as_slice().try_into().ok()?))
    }

    /// Keeps an event and hands it out. An event that can't be kept is dropped with a warning: it only hurries a
    /// screen that would see the same on its next load.
    pub async fn publish(&self, kind: EventKind, scope: EventScope, data: serde_json::Value) {
        let at = self.clock.now();
        let data = data.to_string();
        match self.stores.event_append(at, kind, scope, &data).await {
            // Nobody listens: fine.
            Ok(id) => drop(self.sender.send(Arc::new(Event { id, at, kind, scope, data }))),
            Err(error) => tracing::warn!(%error, "an event of kind {kind} was dropped"),
        }
    }

    /// Listens from now on, and says what was missed after `last`.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn listen(&self, last: Option<i64>) -> Result<(Replay, broadcast::Receiver<Arc<Event>>), UseCaseError> {
        // First the receiver, then the replay: what comes in between is seen twice, never not at all.
        let receiver = self.sender.subscribe();
        let Some(last) = last else { return Ok((Replay::Since(Vec::new()), receiver)) };
        let bounds = self.stores.event_bounds().await?;
        let newest = bounds.map_or(0, |(_, high)| high);
        let lost = bounds.is_some_and(|(low, _)| last.saturating_add(1) < low) || last > newest;
        if lost {
            return Ok((Replay::Reset(newest), receiver));
        }
        let missed = self.stores.event_list_after(last, REPLAY_MAX.saturating_add(1)).await?;
        if missed.len() > usize::try_from(REPLAY_MAX).unwrap_or(usize::MAX) {
            return Ok((Replay::Reset(newest), receiver));
        }
        Ok((Replay::Since(missed), receiver))
    }

    pub(crate) async fn prune(&self, now: WallTime) -> Result<(), UseCaseError> {
        use std::sync::atomic::Ordering;
        let last = self.pruned_at.load(Ordering::Relaxed);
        if now.micros.saturating_sub(last) >= PRUNE_EVERY_US {
            self.stores.event_prune(now.minus(KEEP)).await?;
            self.pruned_at.store(now.micros, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl UseCases {
    /// Whether this session may receive an event. Events carry no personal data; still, nobody learns of a camera that
    /// is not theirs to see.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn may_receive(&self, signed: &Signed, event: &Event) -> Result<bool, UseCaseError> {
        let actor = &signed.actor;
        match event.scope {
            EventScope::Session(session) => Ok(session == actor.session),
            EventScope::Org(org, right) => Ok(org == actor.org && signed.rights.contains(&right)),
            EventScope::Camera(camera) => self.may_know(actor, camera, Right::CameraList).await,
            EventScope::CameraRight(camera, right) => self.may_know(actor, camera, right).await,
        }
    }

    async fn may_know(&self, actor: &Actor, camera: CameraId, right: Right) -> Result<bool, UseCaseError> {
        let cameras = self.cameras_now().await?;
        let Some(camera) = cameras.iter().find(|known| known.id == camera) else { return Ok(false) };
        let target: Target = self.camera_target::<ListCameras>(actor, camera, None).await?;
        // Every other right of a camera's event says no more than that the camera exists.
        let decision = if right == Right::ReadsLive {
            self.gate.would::<ListReads>(actor, &target)
        } else if right == Right::FindingReview {
            self.gate.would::<ReviewFindings>(actor, &target)
        } else {
            self.gate.would::<ListCameras>(actor, &target)
        };
        Ok(decision.is_allow())
    }
}
