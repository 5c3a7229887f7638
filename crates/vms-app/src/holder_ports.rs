//! Holders of vehicles in zones with restricted access: which findings want one, and what came back.

use async_trait::async_trait;
use vms_core::{Country, FindingId, OrgId, Plate, WallTime};

use crate::gate::Permit;
use crate::gate::action::AskHolders;
use crate::lez_registry::Holder;
use crate::ports::store::Stored;

/// An approved finding that wants its holder. `Debug` hides the plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderWanted {
    /// The finding.
    pub finding: FindingId,
    /// The version that was approved.
    pub seen: u64,
    /// Plate.
    pub plate: Plate,
    /// Its country.
    pub country: Country,
    /// When the vehicle was read.
    pub at: WallTime,
    /// Answers so far that could not be used.
    pub tries: u32,
    /// What the decision looked at.
    pub input: String,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderOutcome {
    /// This one.
    Found(Holder),
    /// The source knows no such vehicle at that instant.
    Unknown,
    /// No source knows plates of that country.
    NotAsked,
    /// The source contradicts itself, again and again.
    Unusable,
    /// Not before this instant again, and how many answers could not be used.
    Waits(WallTime, u32),
}

impl HolderOutcome {
    /// The word in rows.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Unknown => "unknown",
            Self::NotAsked => "not_asked",
            Self::Unusable => "unusable",
            Self::Waits(..) => "waiting",
        }
    }
}

/// Where holders lie.
#[async_trait]
pub trait HolderStore {
    /// Whose approved findings want a holder now: of those approved up to an instant. No more than who.
    async fn holder_authorities(&self, now: WallTime, approved_upto: WallTime) -> Stored<Vec<OrgId>>;
    /// Machine: findings of the authority of the permit that want a holder, oldest approval first.
    async fn holder_wanted(
        &self,
        permit: &Permit<AskHolders>,
        now: WallTime,
        approved_upto: WallTime,
        limit: u32,
    ) -> Stored<Vec<HolderWanted>>;
    /// Machine: keeps what came back, with the request that gave it. False when the finding is not approved any more as it was seen: then
    /// nothing is kept.
    async fn holder_put(
        &self,
        permit: &Permit<AskHolders>,
        wanted: &HolderWanted,
        outcome: &HolderOutcome,
        request: Option<&str>,
        at: WallTime,
    ) -> Stored<bool>;
}
