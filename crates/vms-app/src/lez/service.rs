//! The reading service: who the machine is when it reads plates, and its logged standing grants.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use vms_core::{CameraId, OrgId, Purpose, StreamId, WallTime};

use crate::assignment::AnprCamera;
use crate::cases::UseCases;
use crate::erasure_ports::{Erasure, Untold};
use crate::error::UseCaseError;
use crate::gate::action::DecodeAnpr;
use crate::gate::{Actor, Permit, Target, Why};
use crate::lez_ports::{ClockSpan, HolderRegistry, LezStore, VehicleRegistry};

use super::standing::GRANT_US;

/// How the batch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// Longest wait of the first read of a batch before the registry is asked.
    pub wait: Duration,
    /// Wait after the registry was away; doubles up to [`BatchSettings::retry_max`].
    pub retry: Duration,
    /// Longest such wait.
    pub retry_max: Duration,
    /// Wait for an answer that the source promised for a later batch.
    pub later: Duration,
}

/// One camera for the reader.
#[derive(Clone, PartialEq, Eq)]
pub struct ReaderGrant {
    /// The camera.
    pub camera: CameraId,
    /// The stream to decode.
    pub stream: StreamId,
    /// Purposes of its reads.
    pub purposes: Vec<Purpose>,
    /// Standing capability for the recorder.
    pub capability: String,
}

impl std::fmt::Debug for ReaderGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReaderGrant")
            .field("camera", &self.camera)
            .field("purposes", &self.purposes)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Standing {
    owner: OrgId,
    given_at: WallTime,
    grant: ReaderGrant,
}

/// The reading service of one process: intake, batches, grants. Its methods are called by reconcilers.
#[derive(Debug)]
pub struct ReadService {
    pub(crate) cases: Arc<UseCases>,
    pub(crate) store: Arc<dyn LezStore>,
    pub(super) registry: Option<Arc<dyn VehicleRegistry>>,
    pub(super) settings: BatchSettings,
    pub(super) pause: std::sync::Mutex<Pause>,
    pub(super) holders: Option<Arc<dyn HolderRegistry>>,
    pub(super) holder_pause: std::sync::Mutex<Pause>,
    /// Hours of decisions that the log was told of.
    pub(crate) gated_told: std::sync::Mutex<BTreeSet<(uuid::Uuid, u32)>>,
    standing: Mutex<HashMap<CameraId, Standing>>,
}

/// When the registry may be asked again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pause {
    pub(super) until: WallTime,
    pub(super) failures: u32,
}

impl Pause {
    /// After one more failure: twice as long.
    pub(super) fn longer(self, now: WallTime, settings: &BatchSettings) -> Self {
        let factor = 2_u32.saturating_pow(self.failures.min(16));
        let wait = settings.retry.saturating_mul(factor).min(settings.retry_max);
        Self { until: now.plus(wait), failures: self.failures.saturating_add(1) }
    }
}

impl ReadService {
    /// A service over use cases that have a store of reads. Without a registry LEZ reads wait and end with their class.
    ///
    /// # Errors
    /// `Conflict` when the use cases have no store of reads.
    pub fn new(
        cases: Arc<UseCases>,
        registry: Option<Arc<dyn VehicleRegistry>>,
        settings: BatchSettings,
    ) -> Result<Self, UseCaseError> {
        let store = Arc::clone(cases.lez_store()?);
        let (standing, pause) = (Mutex::default(), std::sync::Mutex::default());
        let (holders, holder_pause, gated_told) = (None, std::sync::Mutex::default(), std::sync::Mutex::default());
        Ok(Self { cases, store, registry, settings, pause, holders, holder_pause, gated_told, standing })
    }

    /// With the registry of holders: without it batches of zones wait.
    #[must_use]
    pub fn with_holders(self, holders: Arc<dyn HolderRegistry>) -> Self {
        Self { holders: Some(holders), ..self }
    }

    pub(super) async fn actor(&self) -> Result<Actor, UseCaseError> {
        self.cases.reading_actor().await
    }

    /// See [`UseCases::reading_permit`].
    pub(super) async fn permit(&self) -> Result<Arc<Permit<DecodeAnpr>>, UseCaseError> {
        self.cases.reading_permit().await
    }

    /// What the reader does: every camera whose plates are read, each under a standing grant of its own that is decided
    /// and logged hourly and when its stream, owner or purposes change.
    ///
    /// # Errors
    /// `LogUnavailable`, `Denied`, `Unavailable`.
    pub async fn grants(&self) -> Result<Vec<ReaderGrant>, UseCaseError> {
        let cameras = self.cases.anpr_cameras().await?;
        let mut standing = self.standing.lock().await;
        standing.retain(|id, _| cameras.iter().any(|camera| camera.camera == *id));
        let mut grants = Vec::with_capacity(cameras.len());
        for camera in &cameras {
            let now = self.cases.now();
            let holds = standing.get(&camera.camera).filter(|known| {
                known.owner == camera.owner
                    && known.grant.stream == camera.stream
                    && known.grant.purposes == camera.purposes
                    && now.micros_since(known.given_at).abs() < GRANT_US
            });
            if let Some(known) = holds {
                grants.push(known.grant.clone());
                continue;
            }
            let grant = self.grant(camera).await?;
            let fresh = Standing { owner: camera.owner, given_at: now, grant: grant.clone() };
            standing.insert(camera.camera, fresh);
            grants.push(grant);
        }
        Ok(grants)
    }

    async fn grant(&self, camera: &AnprCamera) -> Result<ReaderGrant, UseCaseError> {
        let actor = self.actor().await?;
        let relation = if camera.owner == actor.org { vms_core::Relation::Own } else { vms_core::Relation::Other };
        let words: Vec<&str> = camera.purposes.iter().map(|purpose| purpose.as_str()).collect();
        let target = Target {
            stream: Some(camera.stream),
            object: Some(words.join("+")),
            ..Target::camera(camera.camera, camera.owner, relation)
        };
        let why = Why { purpose: camera.purposes.first().copied(), ..Why::default() };
        let permit = self.cases.gate.permit::<DecodeAnpr>(&actor, target, &why).await?;
        let capability = self.cases.gate.standing_capability(&permit);
        let capability = capability.ok_or_else(|| UseCaseError::Internal("a grant without a stream".into()))?;
        let (id, stream, purposes) = (camera.camera, camera.stream, camera.purposes.clone());
        Ok(ReaderGrant { camera: id, stream, purposes, capability })
    }

    /// What the reader asks for before it gives a read or forgets one; 15 s.
    ///
    /// # Errors
    /// `LogUnavailable`, `Denied`: then nothing is taken.
    pub async fn reads_capability(&self) -> Result<String, UseCaseError> {
        Ok(self.cases.gate.reads_capability(&*self.permit().await?))
    }

    /// Notes what is known of clocks; to be called with every report of the reader.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn clocks(&self, spans: &[ClockSpan]) -> Result<(), UseCaseError> {
        if spans.is_empty() { Ok(()) } else { Ok(self.store.clock_note(spans, self.cases.now()).await?) }
    }

    pub(super) fn pause(&self) -> Pause {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Packs the plates of police copies for searches by pattern and likeness; to be called every second or so, cheap when there is nothing.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn pack(&self) -> Result<crate::plate_ports::Packed, UseCaseError> {
        Ok(self.store.plates_pack(self.cases.now()).await?)
    }

    /// Erases what reached the end of its term; to be called about once a second, cheap when there is nothing. Gives the hour up to which two
    /// people have to approve, where so much is due that nothing was erased.
    ///
    /// # Errors
    /// `Unavailable`, `LogUnavailable`.
    pub async fn sweep(&self) -> Result<Option<u32>, UseCaseError> {
        // First what stays: the sweep erases the rest. It leaves alone what a decision keeps and what could not be kept yet.
        let gate_waits = match self.gated_reads_keep().await {
            Ok(closed) => !closed.waiting.is_empty(),
            Err(error) => {
                tracing::error!(%error, "reads that a decision keeps could not be put behind the gate; tried again every second");
                true
            }
        };
        let swept = self.store.lez_sweep(self.cases.now()).await?;
        let waits = swept.waits_until_hour.map(|_| "reads_batch_waits".to_owned());
        let waits = waits.into_iter().chain(gate_waits.then(|| "reads_gate_waits".to_owned()));
        let waits = waits.chain((swept.damaged > 0).then(|| "reads_damaged".to_owned()));
        self.cases.reads_report(waits.collect());
        self.tell_erasures().await?;
        Ok(swept.waits_until_hour)
    }

    /// Writes the leaves that are owed, also those of a process that was killed before it could.
    async fn tell_erasures(&self) -> Result<(), UseCaseError> {
        for untold in self.store.erasures_untold().await? {
            let (operation, details) = owed(&untold);
            self.cases.record(operation, audit::LeafKind::Erase, None, details).await?;
            self.store.erasure_told(untold.number).await?;
        }
        Ok(())
    }
}

/// The leaf of what was erased: its operation and details. A crash may write one twice, with one number.
fn owed(untold: &Untold) -> (&'static str, serde_json::Value) {
    let (number, at_us) = (untold.number, untold.at.micros);
    match &untold.what {
        Erasure::Swept(erased) => (
            "reads_erased",
            serde_json::json!({
                "erasure": number, "erased_at_us": at_us,
                "reads": erased.reads, "gated": erased.gated, "findings": erased.findings, "asks": erased.asks,
                "keys": erased.keys, "records_closed": erased.closed, "destructions": erased.destructions,
            }),
        ),
        Erasure::GatedLost { camera, class, hour, kept, lost } => (
            "reads_gated_lost",
            serde_json::json!({
                "erasure": number, "erased_at_us": at_us,
                "camera": camera, "class": class, "hour": hour, "kept": kept, "lost": lost,
            }),
        ),
    }
}
