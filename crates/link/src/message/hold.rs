//! Holds on footage, as `serve` and the recorder speak of them.

use serde::{Deserialize, Serialize};

/// Most holds that a recorder is told of.
pub const HOLDS_MAX: usize = 20_000;

/// A hold on footage: what of a camera began before `to_us` and ended after `from_us` is not erased until two people released it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldSpec {
    /// `hld_…`.
    pub hold: String,
    /// `cam_…`.
    pub camera: String,
    /// First instant, µs since 1970.
    pub from_us: i64,
    /// First instant after, µs since 1970.
    pub to_us: i64,
    /// Two people released it. Only this ends a hold: one that is merely not named goes on.
    pub released: bool,
}

/// What a recorder did with a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// `hld_…`.
    pub hold: String,
    /// Segments under it.
    pub segments: u64,
    /// Segments of its span that it came too late for.
    pub refused: u64,
}
