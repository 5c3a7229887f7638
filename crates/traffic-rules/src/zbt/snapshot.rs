//! What a decision is made from. Serialises whole, so that a verdict can be made again years later.
//!
//! No plate text and no holder: a decision needs neither.

use serde::{Deserialize, Serialize};
use vms_core::{Country, WallTime};

use super::{PermitId, RightCode, ZoneCode};
use crate::calendar::Window;
use crate::reading::PlateReading;
use crate::word;

/// Everything that one decision looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZbtInput {
    /// The zone that the camera watches.
    pub zone: ZoneCode,
    /// What was read.
    pub passage: Passage,
    /// Country of the plate.
    #[serde(with = "word::country")]
    pub country: Country,
    /// How the plate was read.
    pub reading: PlateReading,
    /// The vehicle's entries in the kept lists, in force or not.
    pub listings: Vec<Listing>,
    /// The vehicle's permits for any zone, in force or not.
    pub permits: Vec<Permit>,
    /// What already happened to the vehicle.
    pub history: ZbtHistory,
    /// When the decision is made: says whether an exit can still come.
    #[serde(with = "word::instant")]
    pub decided_at: WallTime,
}

/// What was read of the vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Passage {
    /// It drove in.
    Entry {
        /// When.
        #[serde(with = "word::instant")]
        at: WallTime,
    },
    /// It drove out, and no entry is known.
    Exit {
        /// When.
        #[serde(with = "word::instant")]
        at: WallTime,
    },
    /// It drove in and, next, out.
    Stay {
        /// When it drove in.
        #[serde(with = "word::instant")]
        entered_at: WallTime,
        /// When it drove out.
        #[serde(with = "word::instant")]
        left_at: WallTime,
    },
}

impl Passage {
    /// The instant that counts: the entry where there is one.
    pub fn at(&self) -> WallTime {
        match *self {
            Self::Entry { at } | Self::Exit { at } | Self::Stay { entered_at: at, .. } => at,
        }
    }
}

/// A list of vehicles that pass without a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// Bicycles with a plate of their own.
    Bicycle,
    /// Surveillance, control, maintenance, refuse, on mission.
    Service,
    /// Priority vehicles.
    Priority,
    /// Regular public transport.
    PublicTransport,
    /// Armed forces.
    Military,
    /// Taxis.
    Taxi,
}

/// An entry in a list, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Which list.
    pub list: ListKind,
    /// First instant.
    #[serde(with = "word::instant")]
    pub from: WallTime,
    /// First instant after it; `None` for no end.
    #[serde(with = "word::instant_opt")]
    pub to: Option<WallTime>,
}

/// A permit in the vehicle's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// Its id.
    pub id: PermitId,
    /// Which right it gives.
    pub right: RightCode,
    /// The zones that it names.
    pub zones: Vec<ZoneCode>,
    /// First instant.
    #[serde(with = "word::instant")]
    pub from: WallTime,
    /// First instant after it; that of a withdrawal when it was withdrawn.
    #[serde(with = "word::instant")]
    pub to: WallTime,
    /// When it was granted.
    #[serde(with = "word::instant")]
    pub granted_at: WallTime,
    /// How it stands.
    pub status: PermitStatus,
    /// Hours of its own, narrower than its right's; none for no such limit.
    pub windows: Vec<Window>,
    /// The parking place or other group that it counts in.
    pub group: Option<QuotaGroup>,
}

/// How a permit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermitStatus {
    /// Asked for, not decided.
    Requested,
    /// Given.
    Granted,
    /// Given, and for the moment without effect.
    Suspended,
    /// Not given.
    Refused,
}

/// The group that a permit's quota counts in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaGroup {
    /// Parking places of the group.
    pub places: u16,
    /// The granted permits of the group's other vehicles.
    pub others: Vec<GroupMember>,
}

/// A granted permit of another vehicle of the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// Its id.
    pub id: PermitId,
    /// Token of the vehicle: two permits of one vehicle count once. Never a plate.
    pub vehicle: String,
    /// First instant.
    #[serde(with = "word::instant")]
    pub from: WallTime,
    /// First instant after it.
    #[serde(with = "word::instant")]
    pub to: WallTime,
    /// When it was granted.
    #[serde(with = "word::instant")]
    pub granted_at: WallTime,
}

/// What already happened to the vehicle in any zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZbtHistory {
    /// Candidates of earlier decisions that no official has rejected.
    pub candidates: Vec<PriorPassage>,
    /// Letters of warning.
    pub warnings: Vec<PriorPassage>,
}

/// An earlier passage that something was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorPassage {
    /// Where.
    pub zone: ZoneCode,
    /// When the vehicle was read.
    #[serde(with = "word::instant")]
    pub at: WallTime,
}
