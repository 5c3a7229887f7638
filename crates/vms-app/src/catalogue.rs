//! A partner's catalogue into our tree: new cameras are added, changed ones follow, those no longer listed are retired and
//! never deleted. On command of an administrator, and on schedule while the partner is switched on.
//!
//! A document that is wrong anywhere is refused whole and the tree stays as it is; a camera whose address may not be dialled
//! is refused alone, with its old entry kept.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use audit::LeafKind;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use vms_core::{CameraId, OrgId, RetentionClass, StreamUse, WallTime};

use crate::camera_rules::{CameraDraft, StreamDraft, check_draft};
use crate::cases::UseCases;
use crate::catalogue_fault::CatalogueFault;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::AdminPartners;
use crate::gate::{Actor, Why};
use crate::model::{Camera, CameraStream, Partner, PartnerCamera};
use crate::ports::MediaSource;
use crate::words::{CameraKind, CameraState, Cause, TransportKind};

/// Class of a partner's footage: never stored here (`domain.md` D6).
const PARTNER_CLASS: &str = "RC-VID-MIVB";
/// The schedule retires so many cameras at once without a person, or half of the partner's, whichever is more.
const GONE_FREE: usize = 10;
/// After a failure the schedule tries again so soon, unless its period is shorter still.
const RETRY: Duration = Duration::from_secs(30);
/// Codes written out in the leaf of an import; the digest covers all.
const LEAF_CODES_MAX: usize = 200;

/// What an import of a catalogue did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueOutcome {
    /// New cameras.
    pub added: u32,
    /// Changed cameras.
    pub changed: u32,
    /// Cameras that are no longer in the catalogue, now retired.
    pub retired: u32,
    /// Entries refused: the partner's code, field, reason.
    pub refused: Vec<(String, String, String)>,
}

/// What became of the last import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueNews {
    /// When.
    pub at: WallTime,
    /// What it did, or what is wrong at the partner's side.
    pub outcome: Result<CatalogueOutcome, CatalogueFault>,
}

/// Who asked for an import.
#[derive(Clone, Copy, Debug)]
enum Order<'a> {
    /// An administrator, whose permit is in the log.
    Command(&'a Actor),
    /// The schedule.
    Schedule,
}

/// Memory of the imports of this process.
#[derive(Debug)]
pub(crate) struct CatalogueDesk {
    /// One import at a time.
    importing: tokio::sync::Mutex<()>,
    news: Mutex<HashMap<OrgId, CatalogueNews>>,
    tried: Mutex<HashMap<OrgId, (tokio::time::Instant, bool)>>,
    /// Digests of the log-ins last sealed. A sealed log-in can't be opened here, so that a changed password would not be
    /// seen; the salt lives as long as the process.
    logins: Mutex<HashMap<CameraId, [u8; 32]>>,
    salt: [u8; 32],
}

impl CatalogueDesk {
    pub(crate) fn new(salt: [u8; 32]) -> Self {
        Self {
            importing: tokio::sync::Mutex::const_new(()),
            news: Mutex::default(),
            tried: Mutex::default(),
            logins: Mutex::default(),
            salt,
        }
    }

    pub(crate) fn news_of(&self, org: OrgId) -> Option<CatalogueNews> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).get(&org).cloned()
    }

    /// The schedule takes this partner at its next look.
    pub(crate) fn ask_again(&self, org: OrgId) {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).remove(&org);
    }

    fn is_due(&self, org: OrgId, every: Duration) -> bool {
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.get(&org).is_none_or(|(at, ok)| at.elapsed() >= if *ok { every } else { every.min(RETRY) })
    }

    fn note(&self, org: OrgId, ok: bool) {
        let now = tokio::time::Instant::now();
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(org, (now, ok));
    }

    fn digest(&self, login: &(String, String)) -> [u8; 32] {
        let hash = Sha256::new().chain_update(self.salt).chain_update(&login.0).chain_update([0]);
        hash.chain_update(&login.1).finalize().into()
    }

    fn login_of(&self, camera: CameraId) -> Option<[u8; 32]> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).get(&camera).copied()
    }
}

/// What an import would write.
#[derive(Debug, Default)]
struct Plan {
    added: Vec<Camera>,
    changed: Vec<Camera>,
    retired: Vec<Camera>,
    refused: Vec<(String, String, String)>,
    logins: Vec<(CameraId, [u8; 32])>,
}

impl Plan {
    fn outcome(&self) -> CatalogueOutcome {
        let count = |list: &[Camera]| u32::try_from(list.len()).unwrap_or(u32::MAX);
        CatalogueOutcome {
            added: count(&self.added),
            changed: count(&self.changed),
            retired: count(&self.retired),
            refused: self.refused.clone(),
        }
    }

    fn changes_something(&self) -> bool {
        !(self.added.is_empty() && self.changed.is_empty() && self.retired.is_empty())
    }

    /// For the leaf: counts, the first codes of each kind, and a digest over one line per camera.
    fn details(&self, partner: &Partner) -> serde_json::Value {
        let mut manifest = Sha256::new();
        for (word, list) in [("added", &self.added), ("changed", &self.changed), ("retired", &self.retired)] {
            for camera in list {
                manifest.update(format!("{word} {} {}\n", camera.id, camera.code));
            }
        }
        let digest: String = manifest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let codes = |list: &[Camera]| -> Vec<String> {
            list.iter().take(LEAF_CODES_MAX).map(|camera| camera.code.clone()).collect()
        };
        json!({
            "partner": partner.org.to_string(),
            "added": self.added.len(), "changed": self.changed.len(), "retired": self.retired.len(),
            "refused": self.refused.len(), "manifest_sha256": digest,
            "added_codes": codes(&self.added), "changed_codes": codes(&self.changed),
            "retired_codes": codes(&self.retired),
        })
    }
}

impl UseCases {
    /// Fetches a partner's catalogue and brings our copy of its cameras up to date. Idempotent.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Conflict(Catalogue)` with what is wrong at the partner's side, `Conflict(NoSuchService)`
    /// without a gateway, `Unavailable`.
    pub async fn partner_catalogue(&self, actor: &Actor, org: OrgId) -> Result<CatalogueOutcome, UseCaseError> {
        self.gate.permit::<AdminPartners>(actor, Self::partner_target(actor, org), &Why::default()).await?;
        let partner = self.stores.partner_fetch(org).await?.ok_or(UseCaseError::NotFound(Entity::Partner))?;
        self.catalogue_take(&partner, Order::Command(actor)).await
    }

    /// Imports the catalogue of each partner that is switched on and whose last import is `every` ago. What is wrong at a
    /// partner's side is news for the administrators and no error.
    ///
    /// # Errors
    /// The first error of our own side; the other partners were tried all the same.
    pub async fn catalogues_follow(&self, every: Duration) -> Result<(), UseCaseError> {
        let mut failed = None;
        for partner in self.stores.partner_list().await?.into_iter().filter(|partner| partner.enabled) {
            if !self.catalogues.is_due(partner.org, every) {
                continue;
            }
            match self.catalogue_take(&partner, Order::Schedule).await {
                Ok(_) | Err(UseCaseError::Conflict(Conflict::Catalogue(_))) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn catalogue_take(&self, partner: &Partner, order: Order<'_>) -> Result<CatalogueOutcome, UseCaseError> {
        let _one = self.catalogues.importing.lock().await;
        let outcome = self.catalogue_import(partner, order).await;
        self.catalogues.note(partner.org, outcome.is_ok());
        let outcome = match outcome {
            Ok(outcome) => Ok(outcome),
            Err(UseCaseError::Conflict(Conflict::Catalogue(fault))) => Err(fault),
            Err(other) => return Err(other),
        };
        let fresh = CatalogueNews { at: self.now(), outcome: outcome.clone() };
        let before =
            self.catalogues.news.lock().unwrap_or_else(PoisonError::into_inner).insert(partner.org, fresh.clone());
        if let Err(fault) = &fresh.outcome
            && before.is_none_or(|before| before.outcome != fresh.outcome)
        {
            tracing::warn!(partner = %partner.org, problem = fault.problem(), "{fault}; its cameras stay as they were");
            let details =
                json!({ "partner": partner.org.to_string(), "problem": fault.problem(), "text": fault.to_string() });
            self.record("catalogue_refused", LeafKind::Batch, None, details).await?;
        }
        outcome.map_err(|fault| UseCaseError::Conflict(Conflict::Catalogue(fault)))
    }

    async fn catalogue_import(&self, partner: &Partner, order: Order<'_>) -> Result<CatalogueOutcome, UseCaseError> {
        let service = self.catalogue.as_ref().ok_or(UseCaseError::Conflict(Conflict::NoSuchService("gateway")))?;
        let fault = |fault| UseCaseError::Conflict(Conflict::Catalogue(fault));
        let listed = service.fetch(partner).await.map_err(fault)?;
        let cameras = self.cameras_now().await?;
        let known: Vec<&Camera> = cameras.iter().filter(|camera| camera.partner == Some(partner.org)).collect();
        let plan = self.catalogue_plan(partner, &known, listed, order).await?;
        let in_service = known.iter().filter(|camera| camera.state != CameraState::Retired).count();
        let gone = plan.retired.len();
        if matches!(order, Order::Schedule) && gone > GONE_FREE.max(in_service / 2) {
            return Err(fault(CatalogueFault::ManyGone { gone, known: in_service }));
        }
        let actor = match order {
            Order::Command(actor) => Some(actor.clone()),
            Order::Schedule => None,
        };
        // An import that changes nothing writes no leaf on schedule: nothing was done.
        if actor.is_some() || plan.changes_something() {
            self.record("catalogue_import", LeafKind::Batch, actor, plan.details(partner)).await?;
        }
        self.catalogue_write(&plan).await?;
        Ok(plan.outcome())
    }

    async fn catalogue_write(&self, plan: &Plan) -> Result<(), UseCaseError> {
        if plan.changes_something() {
            if !plan.added.is_empty() {
                self.stores.camera_insert(&plan.added).await?;
            }
            for camera in plan.changed.iter().chain(&plan.retired) {
                self.stores.camera_update(camera).await?;
            }
            self.note_change();
        }
        let mut logins = self.catalogues.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.extend(plan.logins.iter().copied());
        Ok(())
    }

    async fn catalogue_plan(
        &self,
        partner: &Partner,
        known: &[&Camera],
        listed: Vec<PartnerCamera>,
        order: Order<'_>,
    ) -> Result<Plan, UseCaseError> {
        let owner = self.org(partner.org).await?.ok_or(UseCaseError::NotFound(Entity::Org))?;
        let by_code: HashMap<&str, &Camera> = known.iter().map(|camera| (camera.code.as_str(), *camera)).collect();
        let (mut plan, mut seen) = (Plan::default(), HashSet::new());
        for entry in listed {
            let code = format!("{}/{}", owner.code, entry.code);
            if !seen.insert(code.clone()) {
                plan.refused.push((entry.code, "code".to_owned(), "twice".to_owned()));
                continue;
            }
            let old = by_code.get(code.as_str()).copied();
            let login = entry.credentials.as_ref().map(|login| self.catalogues.digest(login));
            match self.partner_camera(partner, code, entry, old, order).await? {
                Err(refused) => plan.refused.push(refused),
                Ok(camera) => {
                    plan.logins.extend(login.map(|digest| (camera.id, digest)));
                    match old {
                        None => plan.added.push(camera),
                        Some(old) if *old == camera => {}
                        Some(_) => plan.changed.push(Camera { updated_at: self.now(), ..camera }),
                    }
                }
            }
        }
        let gone = known.iter().filter(|camera| !seen.contains(&camera.code) && camera.state != CameraState::Retired);
        plan.retired = gone
            .map(|camera| Camera { state: CameraState::Retired, updated_at: self.now(), ..(*camera).clone() })
            .collect();
        Ok(plan)
    }

    /// A stream whose log-in need not be sealed again. Sealing gives other bytes each time, and a changed row restarts a
    /// running pull: it is done only when something can have changed.
    fn kept_stream(&self, old: &Camera, draft: &StreamDraft, order: Order<'_>) -> Option<CameraStream> {
        let before = old.stream(StreamUse::Main)?;
        if before.url != draft.url || before.sealed_credentials.is_some() != draft.credentials.is_some() {
            return None;
        }
        let fits = match (&draft.credentials, self.catalogues.login_of(old.id)) {
            (None, _) => true,
            (Some(login), Some(digest)) => self.catalogues.digest(login) == digest,
            // After a restart of this process nobody knows whether it changed: a person's order, or a camera that refused
            // the old one, is reason enough to seal it anew.
            (Some(_), None) => {
                let refused = self.health.of(before.id).and_then(|health| health.cause) == Some(Cause::LoginRefused);
                matches!(order, Order::Schedule) && !refused
            }
        };
        fits.then(|| before.clone())
    }

    async fn partner_camera(
        &self,
        partner: &Partner,
        code: String,
        entry: PartnerCamera,
        old: Option<&Camera>,
        order: Order<'_>,
    ) -> Result<Result<Camera, (String, String, String)>, UseCaseError> {
        let stream = StreamDraft {
            use_: StreamUse::Main,
            url: entry.url,
            credentials: entry.credentials,
            transport: TransportKind::Retina,
        };
        let draft = CameraDraft {
            code,
            call_up: old.and_then(|old| old.call_up),
            name_nl: entry.name_nl,
            name_fr: entry.name_fr,
            owner: Some(partner.org),
            kind: CameraKind::Overview,
            lat: entry.lat,
            lon: entry.lon,
            retention_class: PARTNER_CLASS.to_owned(),
            pictogram_on: Some(partner.agreement.dated.clone()),
            legal_basis: Some(partner.agreement.clone()),
            streams: vec![stream.clone()],
        };
        if let Some(problem) = check_draft(&draft, &self.settings, true).into_iter().next() {
            return Ok(Err((entry.code, problem.field, problem.problem)));
        }
        let class = RetentionClass::parse(PARTNER_CLASS).ok_or_else(|| UseCaseError::Internal("class".into()))?;
        let now = self.now();
        let stream = match old.and_then(|old| self.kept_stream(old, &stream, order)) {
            Some(kept) => kept,
            None => {
                let before = old.and_then(|old| old.stream(StreamUse::Main));
                self.seal_stream(MediaSource::Gateway, stream, before).await?
            }
        };
        Ok(Ok(Camera {
            id: old.map_or_else(|| CameraId::from_uuid(self.ids.uuid()), |old| old.id),
            code: draft.code,
            call_up: draft.call_up,
            name_nl: draft.name_nl,
            name_fr: draft.name_fr,
            owner: partner.org,
            partner: Some(partner.org),
            kind: draft.kind,
            lat: draft.lat,
            lon: draft.lon,
            state: CameraState::Live,
            retention_class: class,
            pictogram_on: draft.pictogram_on,
            legal_basis: draft.legal_basis,
            streams: vec![stream],
            version: old.map_or(1, |old| old.version),
            created_at: old.map_or(now, |old| old.created_at),
            updated_at: old.map_or(now, |old| old.updated_at),
        }))
    }
}
