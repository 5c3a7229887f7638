//! Counts and travel times.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::statistics_ports::{CountRow, TimeRow};

use super::common::instant;

/// What is asked of the counts API.
#[derive(Clone, Debug, Deserialize, IntoParams)]
pub struct CountsQuery {
    /// `devices` or `live`.
    pub request: String,
    /// Of `live`: minutes of the interval, 1, 5, 15 or 60; all of them when absent.
    pub interval: Option<u32>,
}

/// Which interval.
#[derive(Clone, Debug, Deserialize, IntoParams)]
pub struct IntervalQuery {
    /// Minutes: 1, 5, 15 or 60; 15 when absent.
    pub interval: Option<u32>,
}

/// Which span.
#[derive(Clone, Debug, Deserialize, IntoParams)]
pub struct SpanQuery {
    /// First instant.
    pub from: String,
    /// First instant after; at most 31 days later.
    pub to: String,
}

/// One stored count.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StoredCountView {
    /// The lane; null: all.
    pub lane: Option<u8>,
    /// Start.
    pub from: String,
    /// End.
    pub to: String,
    /// Vehicles that passed; null: fewer than five different ones, or none.
    pub count: Option<u32>,
    /// Mean, km/h; null: not measured.
    pub speed_kmh: Option<u16>,
    /// The number is held back because it is too small.
    pub suppressed: bool,
}

impl From<&CountRow> for StoredCountView {
    fn from(row: &CountRow) -> Self {
        Self {
            lane: row.lane,
            from: instant(row.from),
            to: instant(row.to),
            count: row.count,
            speed_kmh: row.speed_kmh,
            suppressed: row.count.is_none(),
        }
    }
}

/// One stored travel time.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TravelTimeView {
    /// Start of the interval in which the drives ended.
    pub from: String,
    /// Its end.
    pub to: String,
    /// Mean of the drives, seconds, rounded to 5.
    pub mean_s: u32,
    /// How many vehicles: `5-9`, `10-29` or `30+`.
    pub sample: &'static str,
}

impl From<&TimeRow> for TravelTimeView {
    fn from(row: &TimeRow) -> Self {
        let (from, to) = (instant(row.from), instant(row.to));
        Self { from, to, mean_s: row.mean_s, sample: row.sample.as_str() }
    }
}
