//! What zones with restricted access and average speed need besides the store of reads: their tables, where cameras stand, and the
//! permit desk's register.

use std::sync::Arc;

use async_trait::async_trait;
use traffic_rules::calendar::Window;
use traffic_rules::zbt::snapshot::Permit as VehiclePermit;
use traffic_rules::zbt::{ListKind, Listing, PermitStatus, QuotaGroup};
use traffic_rules::{trajectory, zbt};
use vms_core::{Country, Plate, UserId, WallTime};

use crate::gate::Permit;
use crate::gate::action::{DecodeAnpr, EditPermits, ViewPermits};
pub use crate::lez::places::{End, PlacesError, Sites};
use crate::ports::store::Stored;

/// What these two purposes are decided with.
#[derive(Clone, Debug)]
pub struct TrafficParts {
    /// Tables of the zones.
    pub zones: Arc<zbt::RuleSet>,
    /// Tables of average speed, with the operator's certificates.
    pub roads: Arc<trajectory::RuleSet>,
    /// Where cameras stand.
    pub sites: Arc<Sites>,
    /// The register.
    pub permits: Arc<dyn PermitStore>,
}

/// A permit about to be kept. `Debug` hides the plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPermit {
    /// The desk's own number.
    pub id: String,
    /// Plate.
    pub plate: Plate,
    /// Its country.
    pub country: Country,
    /// Which right.
    pub right: String,
    /// Codes of the zones.
    pub zones: Vec<String>,
    /// First instant.
    pub from: WallTime,
    /// First instant after.
    pub to: WallTime,
    /// When it was granted.
    pub granted_at: WallTime,
    /// How it stands.
    pub status: PermitStatus,
    /// Hours of its own.
    pub windows: Vec<Window>,
    /// Group and its parking places.
    pub group: Option<(String, u16)>,
    /// Reference of the file.
    pub evidence: String,
}

/// An entry of a list about to be kept. `Debug` hides the plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewListing {
    /// Which list.
    pub list: ListKind,
    /// Plate.
    pub plate: Plate,
    /// Its country.
    pub country: Country,
    /// First instant.
    pub from: WallTime,
    /// First instant after; `None` for no end.
    pub to: Option<WallTime>,
    /// Reference of the file.
    pub evidence: String,
}

/// What the register has of a vehicle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VehicleRights {
    /// Entries in lists.
    pub listings: Vec<Listing>,
    /// Permits, with their groups.
    pub permits: Vec<VehiclePermit>,
}

/// The permit desk's register.
#[async_trait]
pub trait PermitStore: Send + Sync + std::fmt::Debug {
    /// Machine: what a vehicle has, under any of these countries.
    async fn vehicle_rights(
        &self,
        permit: &Permit<DecodeAnpr>,
        plate: &Plate,
        countries: &[Country],
    ) -> Stored<VehicleRights>;
    /// As the machine asks, when a person approves a finding.
    async fn rights_now(&self, plate: &Plate, country: Country) -> Stored<VehicleRights>;
    /// The group of a permit as it is now, without the vehicle itself; to be asked before one is given.
    async fn group_now(&self, permit: &Permit<EditPermits>, new: &NewPermit) -> Stored<Option<QuotaGroup>>;
    /// Keeps a permit, in place of the one with its number.
    async fn permit_put(&self, permit: &Permit<EditPermits>, new: &NewPermit, by: UserId, at: WallTime) -> Stored<()>;
    /// Keeps an entry of a list, in place of the same vehicle's with the same start.
    async fn listing_put(&self, permit: &Permit<EditPermits>, new: &NewListing, by: UserId, at: WallTime)
    -> Stored<()>;
    /// Ends a permit; false when there is none that runs.
    async fn permit_end(&self, permit: &Permit<EditPermits>, id: &str, at: WallTime) -> Stored<bool>;
    /// The zones of a permit, which lie in clear: also of one that is damaged.
    async fn permit_zones(&self, permit: &Permit<ViewPermits>, id: &str) -> Stored<Option<Vec<String>>>;
    /// Permits by number, after one.
    async fn permit_list(&self, permit: &Permit<ViewPermits>, after: &str, limit: u32) -> Stored<Vec<NewPermit>>;
}
