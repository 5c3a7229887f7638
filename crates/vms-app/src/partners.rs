//! Partners behind gateways, and grants of rights from owners.

use audit::LeafKind;
use serde_json::json;
use vms_core::{CameraId, GrantId, OrgId, Profile, Purpose, Relation, RetentionClass, Right, StreamUse, TimeRange};

use crate::camera_rules::{CameraDraft, StreamDraft, check_draft};
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{AdminPartners, ApproveCamera};
use crate::gate::{Actor, Target, Why};
use crate::model::{Camera, Grant, LegalBasis, Partner, PartnerCamera};
use crate::ports::MediaSource;
use crate::seed::is_day;
use crate::words::{CameraKind, CameraState, TransportKind};

/// Class of a partner's footage: never stored here (`domain.md` D6).
const PARTNER_CLASS: &str = "RC-VID-MIVB";
/// Most cameras that one catalogue may bring.
const CATALOGUE_MAX: usize = 10_000;

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

impl UseCases {
    fn partner_target(actor: &Actor, org: OrgId) -> Target {
        let relation = if actor.org == org { Relation::Own } else { Relation::Other };
        Target { owner: Some(org), relation, object: Some(org.to_string()), ..Target::none() }
    }

    /// All partners.
    ///
    /// # Errors
    /// `Denied`, logged.
    pub async fn partner_list(&self, actor: &Actor) -> Result<Vec<Partner>, UseCaseError> {
        self.look::<AdminPartners>(actor).await?;
        Ok(self.stores.partner_list().await?)
    }

    /// Connects a partner, switched off.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Conflict(Taken)`.
    pub async fn partner_create(
        &self,
        actor: &Actor,
        org: OrgId,
        name: String,
        catalogue_url: String,
        agreement: LegalBasis,
    ) -> Result<Partner, UseCaseError> {
        self.gate.permit::<AdminPartners>(actor, Self::partner_target(actor, org), &Why::default()).await?;
        if self.org(org).await?.is_none() {
            return Err(UseCaseError::invalid("org_id", "unknown"));
        }
        if name.trim().is_empty() || name.len() > 200 {
            return Err(UseCaseError::invalid("name", "empty_or_too_long"));
        }
        let is_http = url::Url::parse(&catalogue_url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
        });
        if !is_http {
            return Err(UseCaseError::invalid("catalogue_url", "not_a_url"));
        }
        if agreement.document.trim().is_empty() || !is_day(&agreement.dated) {
            return Err(UseCaseError::invalid("agreement", "document_and_date"));
        }
        let partner = Partner { org, name, catalogue_url, agreement, enabled: false, version: 1 };
        self.stores.partner_insert(&partner).await?;
        Ok(partner)
    }

    /// Switches a partner's data flow on or off. Off ends its running streams within 5 s.
    ///
    /// # Errors
    /// `Denied`, `NotFound`.
    pub async fn partner_switch(&self, actor: &Actor, org: OrgId, enabled: bool) -> Result<Partner, UseCaseError> {
        self.gate.permit::<AdminPartners>(actor, Self::partner_target(actor, org), &Why::default()).await?;
        let partner = self.stores.partner_fetch(org).await?.ok_or(UseCaseError::NotFound(Entity::Partner))?;
        if partner.enabled == enabled {
            return Ok(partner);
        }
        let partner = Partner { enabled, ..partner };
        self.stores.partner_update(&partner).await?;
        self.note_change();
        Ok(Partner { version: partner.version + 1, ..partner })
    }

    /// Fetches a partner's catalogue and brings our copy of its cameras up to date. Idempotent.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Conflict(NoSuchService)` without a gateway, `Unavailable`.
    pub async fn partner_catalogue(&self, actor: &Actor, org: OrgId) -> Result<CatalogueOutcome, UseCaseError> {
        let permit =
            self.gate.permit::<AdminPartners>(actor, Self::partner_target(actor, org), &Why::default()).await?;
        let partner = self.stores.partner_fetch(org).await?.ok_or(UseCaseError::NotFound(Entity::Partner))?;
        let service = self.catalogue.as_ref().ok_or(UseCaseError::Conflict(Conflict::NoSuchService("gateway")))?;
        let listed = service.fetch(&partner).await?;
        if listed.len() > CATALOGUE_MAX {
            return Err(UseCaseError::invalid("catalogue", "too_many"));
        }
        let outcome = self.catalogue_merge(&partner, listed).await?;
        let details = json!({
            "partner": org.to_string(), "decision": permit.decision().to_string(), "added": outcome.added,
            "changed": outcome.changed, "retired": outcome.retired, "refused": outcome.refused.len(),
        });
        self.record("catalogue_import", LeafKind::Batch, Some(actor.clone()), details).await?;
        self.note_change();
        Ok(outcome)
    }

    async fn catalogue_merge(
        &self,
        partner: &Partner,
        listed: Vec<PartnerCamera>,
    ) -> Result<CatalogueOutcome, UseCaseError> {
        let mut outcome = CatalogueOutcome::default();
        let known = self.cameras_now().await?;
        let known: Vec<&Camera> = known.iter().filter(|camera| camera.partner == Some(partner.org)).collect();
        let owner = self.org(partner.org).await?.ok_or(UseCaseError::NotFound(Entity::Org))?;
        let mut seen = std::collections::HashSet::new();
        for entry in listed {
            let code = format!("{}/{}", owner.code, entry.code);
            if !seen.insert(code.clone()) {
                outcome.refused.push((entry.code, "code".to_owned(), "twice".to_owned()));
                continue;
            }
            let old = known.iter().find(|camera| camera.code == code).copied();
            match self.partner_camera(partner, code, entry, old).await? {
                Err((code, field, problem)) => outcome.refused.push((code, field, problem)),
                Ok(camera) => match old {
                    None => {
                        self.stores.camera_insert(std::slice::from_ref(&camera)).await?;
                        outcome.added += 1;
                    }
                    Some(old) if *old == camera => {}
                    Some(_) => {
                        self.stores.camera_update(&camera).await?;
                        outcome.changed += 1;
                    }
                },
            }
        }
        for camera in known {
            if !seen.contains(&camera.code) && camera.state != CameraState::Retired {
                let retired = Camera { state: CameraState::Retired, updated_at: self.now(), ..camera.clone() };
                self.stores.camera_update(&retired).await?;
                outcome.retired += 1;
            }
        }
        Ok(outcome)
    }

    async fn partner_camera(
        &self,
        partner: &Partner,
        code: String,
        entry: PartnerCamera,
        old: Option<&Camera>,
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
        let before = old.and_then(|old| old.stream(StreamUse::Main));
        // Sealing gives other bytes each time: credentials are sealed again only when they can have changed.
        let unchanged = before.is_some_and(|before| {
            before.url == stream.url && before.sealed_credentials.is_some() == stream.credentials.is_some()
        });
        let stream = match before {
            Some(before) if unchanged => before.clone(),
            Some(_) | None => self.seal_stream(MediaSource::Gateway, stream, before).await?,
        };
        let fresh = Camera {
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
        };
        Ok(Ok(fresh))
    }

    /// The owner gives a right on a camera to another organisation. The owner's approver does it.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Invalid`.
    pub async fn grant_give(&self, actor: &Actor, wanted: GrantWish) -> Result<Grant, UseCaseError> {
        let camera = self.stores.camera_fetch(wanted.camera).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        let target = self.camera_target::<ApproveCamera>(actor, &camera, None).await?;
        self.permit_on::<ApproveCamera>(actor, &camera, target, &Why::default()).await?;
        if self.org(wanted.partner).await?.is_none() || wanted.partner == camera.owner {
            return Err(UseCaseError::invalid("partner", "unknown"));
        }
        let grant = Grant {
            id: GrantId::from_uuid(self.ids.uuid()),
            owner: camera.owner,
            camera: camera.id,
            partner: wanted.partner,
            profile: wanted.profile,
            right: wanted.right,
            purpose: wanted.purpose,
            period: wanted.period,
            revoked_at: None,
        };
        let details = json!({
            "grant": grant.id.to_string(), "camera": grant.camera.to_string(), "partner": grant.partner.to_string(),
            "right": grant.right.as_str(), "from_us": grant.period.from.micros, "to_us": grant.period.to.micros,
        });
        self.record("grant_given", LeafKind::Change, Some(actor.clone()), details).await?;
        self.stores.grant_insert(&grant).await?;
        self.note_change();
        Ok(grant)
    }

    /// The owner takes a grant back; running streams under it end within 5 s.
    ///
    /// # Errors
    /// `Denied`, `NotFound`.
    pub async fn grant_take_back(&self, actor: &Actor, camera: CameraId, grant: GrantId) -> Result<(), UseCaseError> {
        let camera = self.stores.camera_fetch(camera).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        let target = self.camera_target::<ApproveCamera>(actor, &camera, None).await?;
        let target = Target { object: Some(grant.to_string()), ..target };
        self.permit_on::<ApproveCamera>(actor, &camera, target, &Why::default()).await?;
        if !self.stores.grant_revoke(grant, self.now()).await? {
            return Err(UseCaseError::NotFound(Entity::Grant));
        }
        self.note_change();
        Ok(())
    }
}

/// A grant as somebody wishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantWish {
    /// On which camera.
    pub camera: CameraId,
    /// To whom.
    pub partner: OrgId,
    /// Only to this profile.
    pub profile: Option<Profile>,
    /// What.
    pub right: Right,
    /// Only for this purpose.
    pub purpose: Option<Purpose>,
    /// When.
    pub period: TimeRange,
}
