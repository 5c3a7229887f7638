//! Day passes of the low-emission zone, as whoever sells them tells them.

use async_trait::async_trait;
use traffic_rules::Day;
use traffic_rules::lez::DayPass;
use vms_core::{Country, Plate, WallTime};

use crate::fines_ports::FinePermit;
use crate::ports::store::Stored;

/// A day pass that was sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoldPass {
    /// For which plate.
    pub plate: Plate,
    /// Its country.
    pub country: Country,
    /// For which day, and when it was bought.
    pub pass: DayPass,
}

impl SoldPass {
    /// From words: plate, sign of the country, day (`YYYY-MM-DD`).
    ///
    /// # Errors
    /// The field that is none, and what is wrong with it.
    pub fn parse(
        plate: &str,
        country: &str,
        day: &str,
        bought_at: WallTime,
    ) -> Result<Self, (&'static str, &'static str)> {
        let day = day.parse().map_err(|_| ("day", "not_a_day"))?;
        Ok(Self {
            plate: Plate::parse(plate).map_err(|_| ("plate", "not_a_plate"))?,
            country: Country::parse(country).ok_or(("country", "unknown"))?,
            pass: DayPass { day, bought_at },
        })
    }
}

/// Where day passes lie: without a plate, under a keyed hash.
#[async_trait]
pub trait PassStore: Send + Sync {
    /// The passes of a vehicle in the calendar year of a day, by day.
    async fn day_passes(&self, plate: &Plate, country: Country, day: Day) -> Stored<Vec<DayPass>>;
    /// Keeps a pass; of two for one vehicle and day the one that was bought first. False when nothing changes.
    async fn day_pass_put(&self, permit: &FinePermit, sold: &SoldPass, at: WallTime, ends: WallTime) -> Stored<bool>;
}
