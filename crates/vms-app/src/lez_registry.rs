//! What the low-emission zone needs from the vehicle registry.

use async_trait::async_trait;
use traffic_rules::lez::Lookup;
use vms_core::{Country, Plate, WallTime};

use crate::lez_ports::RegistryAsk;

/// One vehicle to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VehicleQuery {
    /// Plate.
    pub plate: Plate,
    /// Its country.
    pub country: Country,
    /// When it was read.
    pub at: WallTime,
}

/// What the registry says of one vehicle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryReply {
    /// Goes into a decision; [`Lookup::NotAsked`] when no source knows plates of that country.
    Answer(Lookup),
    /// The source answers in a later batch.
    Later,
    /// The answer cannot be used.
    Unusable,
    /// No answer: the registry is away.
    Away,
}

/// What a look-up gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryAnswer {
    /// One per query, in order.
    pub replies: Vec<RegistryReply>,
    /// Every request that left.
    pub asked: Vec<RegistryAsk>,
}

/// The vehicle registry, for the low-emission zone.
#[async_trait]
pub trait VehicleRegistry: Send + Sync + std::fmt::Debug {
    /// Looks vehicles up, at most some hundreds. `reason` is the decision under which it is done.
    ///
    /// # Errors
    /// Only when our own set-up is wrong; a registry that is away is [`RegistryReply::Away`].
    async fn look_up(&self, reason: &str, queries: &[VehicleQuery]) -> Result<RegistryAnswer, crate::error::BoxError>;
}
