//! What the low-emission zone and zones with restricted access need from the vehicle registry.

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

/// What a holder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderKind {
    /// A natural person.
    Person,
    /// A legal person.
    Company,
}

impl HolderKind {
    /// The word in rows and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Company => "company",
        }
    }
}

impl std::str::FromStr for HolderKind {
    type Err = crate::words::UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "person" => Ok(Self::Person),
            "company" => Ok(Self::Company),
            _ => Err(crate::words::UnknownWord { of: "HolderKind" }),
        }
    }
}

/// The holder of a vehicle: the source's own number, no name, no address. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Holder {
    /// The number.
    pub id: String,
    /// Of what.
    pub kind: HolderKind,
}

impl std::fmt::Debug for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holder").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What the registry says of the holder of one vehicle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderReply {
    /// This one.
    Found(Holder),
    /// The source knows no such vehicle at that instant.
    Unknown,
    /// No source knows plates of that country.
    NotAsked,
    /// The source answers later.
    Later,
    /// The answer cannot be used.
    Unusable,
    /// No answer: the registry is away, or the quota is used up.
    Away,
}

/// What a look-up of holders gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderAnswer {
    /// One per query, in order, with the request that gave it.
    pub replies: Vec<(HolderReply, Option<String>)>,
    /// Every request that left.
    pub asked: Vec<RegistryAsk>,
}

/// The registry of holders, for zones with restricted access: a flow of its own, one for each municipality.
#[async_trait]
pub trait HolderRegistry: Send + Sync + std::fmt::Debug {
    /// Asks for the holders at the instants of the queries, at most some hundreds, on behalf of one municipality. `reason` is the decision
    /// under which it is done.
    ///
    /// # Errors
    /// Only when our own set-up is wrong; a registry that is away is [`HolderReply::Away`].
    async fn holders(
        &self,
        authority: &str,
        reason: &str,
        queries: &[VehicleQuery],
    ) -> Result<HolderAnswer, crate::error::BoxError>;
}
