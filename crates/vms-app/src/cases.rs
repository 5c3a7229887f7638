//! The one handle that routes and wiring hold: every use case is a method of [`UseCases`], in the file of its subject.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use tokio::sync::watch;
use vms_core::{CameraId, DecisionId, OrgId, TimeRange, WallTime};

use crate::catalogue::CatalogueDesk;
use crate::error::{BoxError, UseCaseError};
use crate::events::EventHub;
use crate::gate::{Actor, Gate};
use crate::health::HealthBoard;
use crate::live::PendingTicket;
use crate::login::TryCounters;
use crate::model::{Camera, Org};
use crate::passwords::{PasswordCost, Passwords};
use crate::playback::OpenPlayback;
use crate::ports::{Clock, Ids, MediaPort, PartnerCatalogue, Stores, random_bytes};
use crate::rate::Trickle;
use crate::seed::{AccountRules, RetentionTable};

/// Refusals of strangers that may become leaves in a second; the rest are counted in the next one.
const STRANGER_LEAVES_PER_S: u32 = 20;

/// Settings of the use cases; wiring makes them from the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Cost of a password hash.
    pub password_cost: PasswordCost,
    /// Networks that cameras may live in (camera URL guard; the recorder checks again after resolving).
    pub allowed_networks: Vec<IpNet>,
    /// Ports that cameras may listen on, inclusive.
    pub allowed_ports: Vec<(u16, u16)>,
    /// Footage must be on disk up to this long ago for good health (10 s by issue 2).
    pub health_lag_max: Duration,
}

/// Marks on a timeline: reads of a camera, as time and id.
#[async_trait]
pub trait TimelineMarks: Send + Sync + std::fmt::Debug {
    /// Marks of a span, by time, at most `limit`; empty when the actor may not see reads.
    ///
    /// # Errors
    /// [`UseCaseError`].
    async fn marks(
        &self,
        actor: &Actor,
        camera: CameraId,
        range: TimeRange,
        limit: u32,
    ) -> Result<Vec<(WallTime, String)>, UseCaseError>;
}

/// What other parts of the program add. A new part adds a field here and reaches it through `UseCases::extensions`.
#[derive(Debug, Default)]
pub struct Extensions {
    /// Reads on the timeline.
    pub timeline_marks: Option<Arc<dyn TimelineMarks>>,
    /// Purpose-bound copies of reads, and findings.
    pub lez: Option<Arc<dyn crate::lez_ports::LezStore>>,
    /// Zones with restricted access and average speed.
    pub traffic: Option<crate::traffic_ports::TrafficParts>,
    /// Counts and travel times without people.
    pub statistics: Option<Arc<crate::statistics::StatisticsDesk>>,
    /// Batches of fines.
    pub fines: Option<crate::fines_ports::FineParts>,
    /// Where evidence exports are made.
    pub exports: Option<Arc<dyn crate::exports_model::ExportDesk>>,
    /// Second factors.
    pub identity: crate::identity::IdentityParts,
}

/// What [`UseCases`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// The central store.
    pub stores: Arc<dyn Stores>,
    /// The gate.
    pub gate: Arc<Gate>,
    /// Recorder, reader and gateway.
    pub media: Arc<dyn MediaPort>,
    /// Partners' catalogues, where a gateway runs.
    pub catalogue: Option<Arc<dyn PartnerCatalogue>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Ids and randomness.
    pub ids: Arc<dyn Ids>,
    /// Settings.
    pub settings: Settings,
    /// Other parts.
    pub extensions: Extensions,
}

/// Every use case. Cheap to share behind an `Arc`; there is one per process.
#[derive(Debug)]
pub struct UseCases {
    pub(crate) stores: Arc<dyn Stores>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) media: Arc<dyn MediaPort>,
    pub(crate) catalogue: Option<Arc<dyn PartnerCatalogue>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) settings: Settings,
    pub(crate) passwords: Passwords,
    pub(crate) retention: RetentionTable,
    pub(crate) rules: AccountRules,
    pub(crate) identity_rules: crate::identity::IdentityRules,
    pub(crate) challenges: crate::identity::Challenges,
    pub(crate) attempts: crate::identity::oidc::Attempts,
    pub(crate) tries: Mutex<TryCounters>,
    pub(crate) strangers: Mutex<Trickle>,
    pub(crate) events: Arc<EventHub>,
    pub(crate) sharing: crate::sharing::board::SharingBoard,
    pub(crate) watch: crate::oversight::anomaly::UseWatch,
    pub(crate) health: HealthBoard,
    /// Rises with every change that may take a right away; running streams decide again at once.
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) catalogues: CatalogueDesk,
    pub(crate) tickets: Mutex<HashMap<String, PendingTicket>>,
    pub(crate) playbacks: Mutex<HashMap<DecisionId, Arc<OpenPlayback>>>,
    pub(crate) exports: crate::exports_run::ExportBoard,
    pub(crate) reading: crate::lez::Standing,
    pub(crate) pushing: crate::lez::PushDesk,
    cameras: Mutex<Option<(u64, Arc<Vec<Camera>>)>>,
    orgs: Mutex<Option<(WallTime, Arc<Vec<Org>>)>>,
    extensions: Extensions,
}

impl UseCases {
    /// Costs one password hash (the decoy).
    ///
    /// # Errors
    /// When the shipped seed data or the password cost is wrong.
    pub fn new(parts: Parts) -> Result<Self, BoxError> {
        let Parts { stores, gate, media, catalogue, clock, ids, settings, extensions } = parts;
        Ok(Self {
            passwords: Passwords::new(settings.password_cost, ids.as_ref())?,
            retention: RetentionTable::embedded()?,
            rules: AccountRules::embedded()?,
            identity_rules: crate::identity::IdentityRules::embedded()?,
            challenges: crate::identity::Challenges::default(),
            attempts: crate::identity::oidc::Attempts::default(),
            tries: Mutex::default(),
            strangers: Mutex::new(Trickle::new(STRANGER_LEAVES_PER_S)),
            events: Arc::new(EventHub::new(Arc::clone(&stores), Arc::clone(&clock), Arc::clone(&ids))),
            sharing: crate::sharing::board::SharingBoard::new()?,
            watch: crate::oversight::anomaly::UseWatch::new()?,
            health: HealthBoard::default(),
            changes: watch::Sender::new(0),
            catalogues: CatalogueDesk::new(random_bytes(ids.as_ref())),
            tickets: Mutex::default(),
            playbacks: Mutex::default(),
            exports: crate::exports_run::ExportBoard::new(ids.uuid().to_string()),
            reading: crate::lez::Standing::default(),
            pushing: crate::lez::PushDesk::default(),
            cameras: Mutex::default(),
            orgs: Mutex::default(),
            stores,
            gate,
            media,
            catalogue,
            clock,
            ids,
            settings,
            extensions,
        })
    }

    /// The gate.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The stores, for wiring's own jobs (catalogue copy, leases, log details).
    pub fn stores(&self) -> &Arc<dyn Stores> {
        &self.stores
    }

    /// The hub of events.
    pub fn events(&self) -> &Arc<EventHub> {
        &self.events
    }

    /// Other parts.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The version of everything that rights depend on; changes when running uses must be decided again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn note_change(&self) {
        self.changes.send_modify(|version| *version = version.wrapping_add(1));
    }

    pub(crate) fn now(&self) -> WallTime {
        self.clock.now()
    }

    /// All cameras by code, read again only when one changed.
    pub(crate) async fn cameras_now(&self) -> Result<Arc<Vec<Camera>>, UseCaseError> {
        let version = self.stores.assignment_version().await?;
        if let Some((known, cameras)) = self.cameras.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
            && *known == version
        {
            return Ok(Arc::clone(cameras));
        }
        let cameras = Arc::new(self.stores.camera_list().await?);
        *self.cameras.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, Arc::clone(&cameras)));
        Ok(cameras)
    }

    /// Cameras are read again at the next look: something about them changed that is no new version.
    pub(crate) fn cameras_forget(&self) {
        *self.cameras.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// All organisations, at most a minute old.
    pub(crate) async fn orgs_now(&self) -> Result<Arc<Vec<Org>>, UseCaseError> {
        let now = self.now();
        if let Some((read_at, orgs)) = self.orgs.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
            && now.micros_since(*read_at).abs() < 60_000_000
        {
            return Ok(Arc::clone(orgs));
        }
        let orgs = Arc::new(self.stores.org_list().await?);
        *self.orgs.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&orgs)));
        Ok(orgs)
    }

    pub(crate) async fn org(&self, id: OrgId) -> Result<Option<Org>, UseCaseError> {
        Ok(self.orgs_now().await?.iter().find(|org| org.id == id).cloned())
    }

    pub(crate) fn orgs_changed(&self) {
        *self.orgs.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// All organisations, by code.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn org_list(&self) -> Result<Arc<Vec<Org>>, UseCaseError> {
        self.orgs_now().await
    }

    /// Puts the shipped organisations in; safe to run at every start.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`], or `Internal` when the seed does not read.
    pub async fn seed_organisations(&self) -> Result<usize, UseCaseError> {
        let seeds = crate::seed::organisations().map_err(|error| UseCaseError::Internal(error.into()))?;
        for seed in &seeds {
            let org = Org {
                id: OrgId::from_uuid(self.ids.uuid()),
                code: seed.code.clone(),
                name_nl: seed.name_nl.clone(),
                name_fr: seed.name_fr.clone(),
                kind: seed.org_kind(),
            };
            self.stores.org_put(&org).await?;
        }
        self.orgs_changed();
        Ok(seeds.len())
    }

    /// Run about once a second: closes what ran out, forgets what is old. Idempotent.
    ///
    /// # Errors
    /// [`UseCaseError`]; the next run tries again.
    pub async fn housekeeping(&self) -> Result<(), UseCaseError> {
        let written = self.gate.settle_owed().await;
        // Each takes out what is over, and its end is kept while the log is away: one failure keeps none of the others.
        let ended =
            self.tickets_expire().await.and(self.playbacks_expire().await).and(self.export_fetches_expire().await);
        written?;
        ended?;
        self.events_summarise().await?;
        self.anomaly_round().await?;
        let now = self.now();
        self.events.prune(now).await?;
        Ok(())
    }
}
