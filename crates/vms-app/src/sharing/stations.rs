//! Police-supervised workstations (Camera Act article 5 §4): an administrator registers one and gets a code, once; a session that
//! shows the code runs at that station until it ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use vms_core::{OrgId, Relation};

use super::model::Station;
use crate::cases::UseCases;
use crate::error::{Entity, UseCaseError};
use crate::gate::action::AdminUsers;
use crate::gate::{Actor, Target, Why};
use crate::legal_changes::reason_of;
use crate::login::token_hash;
use crate::ports::random_bytes;

/// Longest name, characters.
const NAME_MAX: usize = 80;

impl UseCases {
    async fn station_permit(&self, actor: &Actor, org: OrgId) -> Result<(), UseCaseError> {
        let relation = if org == actor.org { Relation::Own } else { Relation::Other };
        let target = Target { owner: Some(org), relation, ..Target::none() };
        self.gate.permit::<AdminUsers>(actor, target, &Why::default()).await?;
        Ok(())
    }

    /// Registers a workstation; the second value is its code, shown once.
    ///
    /// # Errors
    /// `Denied`, `Invalid`.
    pub async fn station_register(
        &self,
        actor: &Actor,
        org: OrgId,
        name: &str,
        agreement: &str,
    ) -> Result<(Station, String), UseCaseError> {
        self.station_permit(actor, org).await?;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > NAME_MAX {
            return Err(UseCaseError::invalid("name", "empty_or_too_long"));
        }
        if self.org(org).await?.is_none() {
            return Err(UseCaseError::invalid("org_id", "unknown"));
        }
        let code = B64.encode(random_bytes::<24>(self.ids.as_ref()));
        let station = Station {
            id: self.ids.uuid(),
            org,
            name: name.to_owned(),
            agreement: reason_of(agreement)?,
            code_hash: token_hash(&code),
            registered: self.signature(actor).await?,
            revoked_at: None,
        };
        let details = json!({ "org": org.to_string(), "name": station.name, "agreement": station.agreement });
        self.sharing_leaf("station_registered", Some(actor), station.id, details).await?;
        self.stores.station_insert(&station).await?;
        Ok((station, code))
    }

    /// Workstations that the actor administers.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn station_list(&self, actor: &Actor) -> Result<Vec<Station>, UseCaseError> {
        self.look::<AdminUsers>(actor).await?;
        let others = Target { relation: Relation::Other, ..Target::none() };
        let sees_all = self.gate.would::<AdminUsers>(actor, &others).is_allow();
        let mut stations = self.stores.station_list().await?;
        stations.retain(|station| sees_all || station.org == actor.org);
        Ok(stations)
    }

    /// Takes a workstation back: what runs there under its condition ends.
    ///
    /// # Errors
    /// `NotFound`, `Denied`.
    pub async fn station_revoke(&self, actor: &Actor, id: Uuid) -> Result<(), UseCaseError> {
        self.look::<AdminUsers>(actor).await?;
        let missing = || UseCaseError::NotFound(Entity::Station);
        let stations = self.stores.station_list().await?;
        let station = stations.iter().find(|station| station.id == id).ok_or_else(missing)?;
        self.station_permit(actor, station.org).await?;
        self.sharing_leaf("station_revoked", Some(actor), id, json!({ "name": station.name })).await?;
        if !self.stores.station_revoke(id, self.now()).await? {
            return Err(missing());
        }
        self.sharing_changed();
        Ok(())
    }

    /// Binds a session to the workstation whose code it shows.
    ///
    /// # Errors
    /// `NotFound` for a code that opens nothing for this organisation, logged as a refusal.
    pub async fn station_enter(&self, actor: &Actor, code: &str) -> Result<Station, UseCaseError> {
        let hash = token_hash(code);
        let is_it = |station: &&Station| {
            station.revoked_at.is_none()
                && station.org == actor.org
                && bool::from(station.code_hash.as_bytes().ct_eq(hash.as_bytes()))
        };
        let stations = self.stores.station_list().await?;
        let Some(station) = stations.iter().find(is_it) else {
            self.refuse_stranger("station", "code").await?;
            return Err(UseCaseError::NotFound(Entity::Station));
        };
        self.sharing_leaf("station_entered", Some(actor), station.id, json!({ "name": station.name })).await?;
        self.stores.station_session_put(actor.session, station.id, self.now()).await?;
        self.sharing_changed();
        Ok(station.clone())
    }
}
