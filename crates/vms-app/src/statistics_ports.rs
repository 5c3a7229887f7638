//! The store of published counts and travel times. It holds what may be shown and nothing else: no plate, no pseudonym, no small cell.

use async_trait::async_trait;
use vms_core::{TimeRange, WallTime};

use crate::gate::Permit;
use crate::gate::action::{DeliverStatistics, ViewStatistics};
use crate::ports::store::Stored;
pub use ::statistics::travel::{RouteCode, Sample};
pub use ::statistics::{SiteCode, VEHICLES_MIN};

/// One cell that was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountRow {
    /// Where.
    pub site: SiteCode,
    /// `None`: all lanes.
    pub lane: Option<u8>,
    /// Start.
    pub from: WallTime,
    /// End.
    pub to: WallTime,
    /// Vehicles that passed; `None`: fewer than five different ones, or none.
    pub count: Option<u32>,
    /// Mean speed, km/h, where cameras measure one.
    pub speed_kmh: Option<u16>,
}

/// One travel time that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRow {
    /// On which route.
    pub route: RouteCode,
    /// Start of the interval in which the drives ended.
    pub from: WallTime,
    /// Its end.
    pub to: WallTime,
    /// Mean of the drives, seconds, rounded to 5.
    pub mean_s: u32,
    /// How many drove, in bands.
    pub sample: Sample,
}

/// Which stored rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatQuery {
    /// Code of a site or a route.
    pub place: String,
    /// Rows that start in it.
    pub range: TimeRange,
    /// Only rows after this start and lane (0: all lanes), oldest first.
    pub after: Option<(WallTime, u8)>,
    /// At most so many.
    pub limit: u32,
}

/// The permit of whoever sees statistics. Both see the same: the numbers are without people before they are kept.
#[derive(Debug)]
pub enum StatisticsPermit {
    /// A person's.
    Person(Permit<ViewStatistics>),
    /// A machine's.
    Machine(Permit<DeliverStatistics>),
}

/// Published counts and travel times.
#[async_trait]
pub trait StatisticsStore: Send + Sync + std::fmt::Debug {
    /// Machine: keeps rows; one that is there already stays as it is, since a published number never changes.
    async fn stat_put(&self, counts: &[CountRow], times: &[TimeRow]) -> Stored<()>;
    /// Machine: published rows that start at or after `from`, at most `limit` of each.
    async fn stat_recent(&self, from: WallTime, limit: u32) -> Stored<(Vec<CountRow>, Vec<TimeRow>)>;
    /// Machine: forgets rows that start before. How many.
    async fn stat_sweep(&self, before: WallTime) -> Stored<u64>;
    /// Counts of a site, oldest first.
    async fn stat_counts(&self, permit: &StatisticsPermit, query: &StatQuery) -> Stored<Vec<CountRow>>;
    /// Travel times of a route, oldest first.
    async fn stat_times(&self, permit: &StatisticsPermit, query: &StatQuery) -> Stored<Vec<TimeRow>>;
}
