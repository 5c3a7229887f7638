//! What a decision is made from. Serialises whole, so that a verdict can be made again years later.
//!
//! No plate text: the caller has found the reads of one plate at both ends.

use serde::{Deserialize, Serialize};
use vms_core::{Country, WallTime};

use super::TrajectoryCode;
use super::number::Millimetres;
use crate::reading::PlateReading;
use crate::word;

/// Everything that one decision looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrajectoryInput {
    /// Which trajectory.
    pub trajectory: TrajectoryCode,
    /// Every read of the plate at the entry within the pairing window. One, unless something is ambiguous.
    pub entries: Vec<EndRead>,
    /// Every read of the plate at the exit within it.
    pub exits: Vec<EndRead>,
    /// State of the clock at the entry.
    pub entry_clock: EndClock,
    /// State of the clock at the exit.
    pub exit_clock: EndClock,
    /// The independent second measurement; without one there is no result.
    pub control: Option<Control>,
    /// What the variable signs showed: every change known, in any order. Before the first one the table's limit holds.
    pub signs: Vec<LimitSign>,
    /// The vehicle may have left and come back by a service exit.
    pub left_between: bool,
    /// The lowest corrected speed that is prosecuted, as the prosecutor has it for this trajectory; `None` for every excess.
    pub prosecuted_from_kmh: Option<u16>,
    /// What installations of others say of their verification.
    #[serde(default, skip_serializing_if = "Stated::is_silent")]
    pub stated: Stated,
}

/// Number of the verification that the installation at an end states with its read. `None`: one of ours, the table alone says. A stated
/// number counts only as the table's own for that end; an empty one is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// At the entry.
    pub entry: Option<String>,
    /// At the exit.
    pub exit: Option<String>,
}

impl Stated {
    /// Inputs of before serialise as they did.
    fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}

/// A read at one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRead {
    /// When, by the end's own clock.
    #[serde(with = "word::instant")]
    pub at: WallTime,
    /// Country of the plate.
    #[serde(with = "word::country")]
    pub country: Country,
    /// How the plate was read.
    pub reading: PlateReading,
    /// Confidence in the whole plate, parts per million.
    pub confidence_ppm: u32,
    /// What the camera takes the vehicle for, when it says; two ends that say different things are no pair.
    pub class: Option<VehicleClass>,
}

/// Coarse class of a vehicle as a camera sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VehicleClass {
    /// Motorcycle or moped.
    Motorcycle,
    /// Car.
    Car,
    /// Van.
    Van,
    /// Lorry.
    Lorry,
    /// Bus or coach.
    Bus,
}

/// What the log of an end's clock says around the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndClock {
    /// The clock was locked to its source from here …
    #[serde(with = "word::instant")]
    pub locked_from: WallTime,
    /// … until here, without a break; `None` while no lock is known.
    #[serde(with = "word::instant_opt")]
    pub locked_until: Option<WallTime>,
    /// Worst offset against the second source in that time, microseconds, with its sign.
    pub offset_us: i64,
    /// Uncertainty that the clock states, microseconds.
    pub uncertainty_us: u64,
}

/// The independent second measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Control {
    /// The same run timed by a second source.
    SecondClock {
        /// Microseconds between the ends.
        micros: u64,
    },
    /// The speed at one of the ends: a short base and the time over it.
    SpotSpeed {
        /// Length of the base.
        base: Millimetres,
        /// Microseconds over it.
        micros: u64,
    },
}

/// A variable sign changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitSign {
    /// When.
    #[serde(with = "word::instant")]
    pub at: WallTime,
    /// What it shows from then on; `None`: dark, the table's limit holds.
    pub kmh: Option<u16>,
}
