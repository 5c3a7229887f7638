//! Fetching the files of a package: only whoever ordered or approved it, decided again every 5 s, with one opening and one closing
//! leaf per person and package however many ranges are asked for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use vms_core::{ExportId, SessionId, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::exports_model::{Export, PackageFile};
use crate::gate::action::{Action, FetchApprovedExport, FetchExport};
use crate::gate::{Actor, Delivered, Permit, Target, Why};
use crate::live::RECHECK_EVERY;
use crate::words::{EndWhy, ExportState};

/// A fetch that nobody reads from is closed after this.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Most bytes of one chunk.
pub const FETCH_CHUNK_MAX: u64 = 1 << 20;

/// Open fetches of this process. Short lock, no await inside.
#[derive(Debug, Default)]
pub(crate) struct Fetches(Mutex<HashMap<(SessionId, ExportId), Arc<Fetch>>>);

#[derive(Debug)]
enum Held {
    Orderer(Vec<Permit<FetchExport>>),
    Approver(Vec<Permit<FetchApprovedExport>>),
}

/// One person's fetching of one package, with a permit for each of its cameras. They are taken out when it is closed.
#[derive(Debug)]
struct Fetch {
    held: tokio::sync::Mutex<Option<Held>>,
    used_at_us: AtomicI64,
    decided_at_us: AtomicI64,
    delivered: AtomicU64,
}

impl UseCases {
    fn fetch_of(&self, actor: &Actor, id: ExportId) -> Option<Arc<Fetch>> {
        let fetches = self.exports.fetches.0.lock().unwrap_or_else(PoisonError::into_inner);
        fetches.get(&(actor.session, id)).cloned()
    }

    /// Decides and writes the opening leaf, once per session and package; gives the file that is asked for.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `LogUnavailable`, `Conflict(WrongState)` while there is no package or when it is gone.
    pub async fn export_file_open(&self, actor: &Actor, id: ExportId, name: &str) -> Result<PackageFile, UseCaseError> {
        let sight = self.export_fetch(actor, id).await?;
        self.gate.log_stands().await?;
        if sight.export.state != ExportState::Done {
            return Err(UseCaseError::Conflict(Conflict::WrongState(sight.export.state.as_str())));
        }
        if self.fetch_of(actor, id).is_none() {
            let fetch = Arc::new(self.fetch_begin(actor, &sight.export, &sight.cameras).await?);
            let extra = {
                let mut fetches = self.exports.fetches.0.lock().unwrap_or_else(PoisonError::into_inner);
                let kept = fetches.entry((actor.session, id)).or_insert_with(|| Arc::clone(&fetch));
                !Arc::ptr_eq(kept, &fetch)
            };
            // Two requests at once: the leaf of the one that came second is closed again.
            if extra {
                self.fetch_end(&fetch, "another_is_open").await?;
            }
        }
        let files = self.export_desk()?.files(id).await.map_err(UseCaseError::Unavailable)?;
        files.into_iter().find(|file| file.name == name).ok_or(UseCaseError::NotFound(Entity::ExportFile))
    }

    async fn fetch_begin(
        &self,
        actor: &Actor,
        export: &Export,
        cameras: &[crate::model::Camera],
    ) -> Result<Fetch, UseCaseError> {
        let object = Some(export.id.to_string());
        let streams: Vec<_> = export.sources().map(|source| Some(source.stream)).collect();
        let approver = export.settled.as_ref().map(|by| by.user);
        let why = Why {
            purpose: Some(export.purpose),
            justification: Some(export.reason.clone()),
            case_ref: Some(export.case_ref.clone()),
            second_person: approver,
            ..Why::default()
        };
        let is_approver = approver == Some(actor.user);
        if !is_approver && export.ordered.user != actor.user {
            // Somebody else with the right to export: what another ordered is not theirs, and the attempt is in the log.
            let details = serde_json::json!({ "outcome": "not_own", "export": export.id.to_string() });
            self.record("export_fetch_refused", audit::LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::NotFound(Entity::Export));
        }
        let (mut ordered, mut approved) = (Vec::new(), Vec::new());
        for (camera, stream) in cameras.iter().zip(streams) {
            let object = object.clone();
            if is_approver {
                let target = self.camera_target::<FetchApprovedExport>(actor, camera, why.purpose).await?;
                let target = Target { stream, object, ..target };
                approved.push(self.permit_on::<FetchApprovedExport>(actor, camera, target, &why).await?);
            } else {
                let target = self.camera_target::<FetchExport>(actor, camera, why.purpose).await?;
                let target = Target { stream, object, ..target };
                ordered.push(self.permit_on::<FetchExport>(actor, camera, target, &why).await?);
            }
        }
        let held = if is_approver { Held::Approver(approved) } else { Held::Orderer(ordered) };
        let now = self.now();
        Ok(Fetch {
            held: tokio::sync::Mutex::new(Some(held)),
            used_at_us: AtomicI64::new(now.micros),
            decided_at_us: AtomicI64::new(now.micros),
            delivered: AtomicU64::new(0),
        })
    }

    /// Bytes `[start, end)` of a file that was opened, at most [`FETCH_CHUNK_MAX`]; decides again when the last decision is 5 s old.
    ///
    /// # Errors
    /// `NotFound` once it is closed or when the right is gone, `Unavailable`.
    pub async fn export_file_chunk(
        &self,
        actor: &Actor,
        id: ExportId,
        name: &str,
        (start, end): (u64, u64),
    ) -> Result<Bytes, UseCaseError> {
        let gone = || UseCaseError::NotFound(Entity::ExportFile);
        let fetch = self.fetch_of(actor, id).ok_or_else(gone)?;
        let now = self.now();
        let decided_at = WallTime::from_micros(fetch.decided_at_us.load(Ordering::Relaxed));
        if now >= decided_at.plus(RECHECK_EVERY) {
            let verdict = match fetch.held.lock().await.as_ref().ok_or_else(gone)? {
                Held::Orderer(permits) => self.all_may_go_on(permits).await?,
                Held::Approver(permits) => self.all_may_go_on(permits).await?,
            };
            if let Err(why) = verdict {
                tracing::info!("a fetch of an export ended: {why}");
                self.exports.fetches.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(actor.session, id));
                self.fetch_end(&fetch, why.as_str()).await?;
                return Err(gone());
            }
            fetch.decided_at_us.store(now.micros, Ordering::Relaxed);
        }
        fetch.used_at_us.store(now.micros, Ordering::Relaxed);
        let end = end.min(start.saturating_add(FETCH_CHUNK_MAX));
        let bytes = self.export_desk()?.read(id, name, start, end).await.map_err(UseCaseError::Unavailable)?;
        let bytes = bytes.ok_or_else(gone)?;
        fetch.delivered.fetch_add(u64::try_from(bytes.len()).unwrap_or(0), Ordering::Relaxed);
        Ok(bytes)
    }

    async fn fetch_end(&self, fetch: &Fetch, why: &str) -> Result<(), UseCaseError> {
        let Some(held) = fetch.held.lock().await.take() else { return Ok(()) };
        let bytes = fetch.delivered.load(Ordering::Relaxed);
        match held {
            Held::Orderer(permits) => self.fetch_close(permits, bytes, why).await,
            Held::Approver(permits) => self.fetch_close(permits, bytes, why).await,
        }
    }

    /// One closing leaf for each camera; the bytes stand once, with the first: the package is one.
    async fn fetch_close<A: Action>(&self, permits: Vec<Permit<A>>, bytes: u64, why: &str) -> Result<(), UseCaseError> {
        let mut outcome = Ok(());
        for (number, permit) in permits.into_iter().enumerate() {
            let (units, bytes) = if number == 0 { (1, bytes) } else { (0, 0) };
            let delivered = Delivered { units, bytes, why: why.to_owned() };
            outcome = outcome.and(self.gate.close(permit, delivered).await);
        }
        Ok(outcome?)
    }

    /// The first reason why one of them may not go on.
    async fn all_may_go_on<A: Action>(&self, permits: &[Permit<A>]) -> Result<Result<(), EndWhy>, UseCaseError> {
        for permit in permits {
            let Some(stream) = permit.target().stream else { continue };
            if let Err(why) = self.may_go_on(permit, stream, true).await? {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    pub(crate) async fn export_fetches_expire(&self) -> Result<(), UseCaseError> {
        let now = self.now();
        let gone: Vec<Arc<Fetch>> = {
            let mut fetches = self.exports.fetches.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_over =
                |fetch: &Fetch| now >= WallTime::from_micros(fetch.used_at_us.load(Ordering::Relaxed)).plus(IDLE_MAX);
            fetches.extract_if(|_, fetch| is_over(fetch)).map(|(_, fetch)| fetch).collect()
        };
        let mut outcome = Ok(());
        for fetch in gone {
            outcome = outcome.and(self.fetch_end(&fetch, "idle").await);
        }
        outcome
    }
}
