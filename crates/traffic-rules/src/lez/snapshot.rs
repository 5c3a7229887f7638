//! What a decision is made from. Serialises whole, so that a verdict can be made again years later.
//!
//! No plate text and no holder: a decision needs neither.

use serde::{Deserialize, Serialize};
use vms_core::{Country, WallTime};

use super::{ExemptionCode, FineId, SegmentCode};
use crate::day::Day;
use crate::grammar::PlateKind;
pub use crate::reading::PlateReading;
use crate::word;

/// Everything that one decision looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LezInput {
    /// When the vehicle was read.
    #[serde(with = "word::instant")]
    pub at: WallTime,
    /// Country of the plate.
    #[serde(with = "word::country")]
    pub country: Country,
    /// How the plate was read.
    pub reading: PlateReading,
    /// The stretch outside the zone that the camera watches; `None` for a camera inside the zone.
    pub segment: Option<SegmentHit>,
    /// What the registry answered.
    pub vehicle: Lookup,
    /// The registration of a foreign vehicle with the tax administration.
    pub foreign_registration: Option<ForeignRegistration>,
    /// Exemptions granted to the vehicle, in force or not.
    pub exemptions: Vec<ExemptionGrant>,
    /// Every day pass of the vehicle in the read's calendar year.
    pub passes: Vec<DayPass>,
    /// What already happened to the vehicle.
    pub history: History,
}

/// A read on a stretch outside the zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentHit {
    /// Which one.
    pub code: SegmentCode,
    /// For an official detour: when it was in force.
    pub detour: Option<DetourPeriod>,
    /// For an official detour: the vehicle was read elsewhere in the zone on the same day.
    pub hit_elsewhere_same_day: bool,
}

/// When an official detour was in force, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetourPeriod {
    /// First instant inside.
    #[serde(with = "word::instant")]
    pub from: WallTime,
    /// First instant after.
    #[serde(with = "word::instant")]
    pub to: WallTime,
}

/// What the registry said about the plate at the instant of the read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Lookup {
    /// A vehicle.
    Found {
        /// As the registry answered.
        vehicle: Box<VehicleSnapshot>,
    },
    /// No vehicle has this plate.
    Unknown,
    /// There is no source to ask, such as for an unregistered foreign vehicle.
    NotAsked,
}

/// One vehicle as the registry answers. `None` where the registry is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VehicleSnapshot {
    /// Keyed token of the vehicle (from its VIN): the same when the plate moves to it. Never the VIN.
    pub vehicle_key: Option<String>,
    /// Field J, as written: `M1`, `N1G`, `L3e`, `T1`.
    pub category: Option<String>,
    /// N1 class or bus class, as written: `I`, `II`, `III`, `A`, `B`.
    pub class: Option<String>,
    /// Field P.3, one code per fuel.
    pub fuels: Vec<String>,
    /// Field V.9 and where it comes from.
    pub euro_norm: Option<StatedNorm>,
    /// First registration anywhere.
    pub first_registration: Option<Day>,
    /// Reference mass, kg.
    pub ref_mass_kg: Option<u32>,
    /// Mass in running order (field G), kg.
    pub running_order_kg: Option<u32>,
    /// Kind of the plate by the registry.
    pub plate_kind: Option<PlateKind>,
    /// Special use by the registry or by a list.
    pub special_use: Option<SpecialUse>,
    /// Status word of the registry. Kept for the file; the low-emission zone does not look at it.
    pub status: Option<String>,
    /// First day of the registration that ties this plate to this vehicle and its holder.
    pub registration_from: Option<Day>,
    /// Its last day.
    pub registration_to: Option<Day>,
    /// Sign of the country of the imported certificate.
    pub import_country: Option<String>,
}

/// A norm as stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedNorm {
    /// As written: `5`, `EURO 6d-TEMP`, `VI-D`.
    pub text: String,
    /// Where it comes from.
    pub source: NormSource,
}

/// Where a norm comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormSource {
    /// The registration certificate.
    Certificate,
    /// Corrected by the owner and accepted by the administration.
    Accepted,
    /// Derived from another field: never sole ground of a fine.
    Derived,
}

/// A use that the rules treat apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecialUse {
    /// Priority vehicle (highway code art. 37).
    Priority,
    /// Armed forces.
    Military,
}

/// An exemption in the vehicle's file, half-open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExemptionGrant {
    /// Which one.
    pub code: ExemptionCode,
    /// First instant.
    #[serde(with = "word::instant")]
    pub from: WallTime,
    /// First instant after it.
    #[serde(with = "word::instant")]
    pub to: WallTime,
}

/// A day pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayPass {
    /// The day it is for.
    pub day: Day,
    /// When it was bought.
    #[serde(with = "word::instant")]
    pub bought_at: WallTime,
}

/// The registration of a foreign vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignRegistration {
    /// First day.
    pub from: Day,
    /// Last day, when one is set.
    pub to: Option<Day>,
    /// A person found that the registration holds wrong data.
    pub data_wrong: bool,
}

/// What already happened to the vehicle in the low-emission zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Validated fines.
    pub fines: Vec<PriorFine>,
    /// Warnings.
    pub warnings: Vec<PriorWarning>,
}

/// One validated fine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorFine {
    /// Under which fine rule.
    pub fine: FineId,
    /// When the vehicle was read.
    #[serde(with = "word::instant")]
    pub infraction_at: WallTime,
    /// When the fine was sent, if it was.
    #[serde(with = "word::instant_opt")]
    pub issued_at: Option<WallTime>,
    /// Euro cents.
    pub amount_cents: u32,
}

/// One warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorWarning {
    /// When the vehicle was read.
    #[serde(with = "word::instant")]
    pub infraction_at: WallTime,
}

impl Lookup {
    /// The vehicle, when the registry named one.
    pub fn vehicle(&self) -> Option<&VehicleSnapshot> {
        match self {
            Self::Found { vehicle } => Some(vehicle),
            Self::Unknown | Self::NotAsked => None,
        }
    }
}
