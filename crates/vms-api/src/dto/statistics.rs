//! Counts and travel times.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::statistics::views::CountedPlaces;
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

/// A counted cross-section, in one direction.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CountedSiteView {
    /// Its code.
    pub code: String,
    /// Name, Dutch.
    pub name_nl: String,
    /// Name, French.
    pub name_fr: String,
    /// Name, English.
    pub name_en: String,
    /// Degrees from north, 0 to 359.
    pub orientation: u16,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Minutes of its finest interval: 1, 5, 15 or 60.
    pub minutes: i64,
    /// Each lane is told apart.
    pub by_lane: bool,
    /// Numbers of its lanes.
    pub lanes: Vec<u8>,
}

/// A route between two counted cross-sections.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CountedRouteView {
    /// Its code.
    pub code: String,
    /// Code of the cross-section where it starts.
    pub from: String,
    /// Code of the cross-section where it ends.
    pub to: String,
    /// Seconds of the shortest drive that counts.
    pub shortest_s: u64,
    /// Seconds of the longest.
    pub longest_s: u64,
}

/// What is counted, as far as one sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CountedPlacesView {
    /// Cross-sections.
    pub sites: Vec<CountedSiteView>,
    /// Routes.
    pub routes: Vec<CountedRouteView>,
}

impl From<CountedPlaces> for CountedPlacesView {
    fn from(places: CountedPlaces) -> Self {
        let sites = places.sites.into_iter().map(|(site, offer)| CountedSiteView {
            code: site.code.as_str().to_owned(),
            orientation: site.orientation_deg,
            lat: f64::from(site.latitude_e6) / 1e6,
            lon: f64::from(site.longitude_e6) / 1e6,
            minutes: offer.minutes.count(),
            by_lane: offer.by_lane,
            lanes: site.detectors.iter().map(|detector| detector.lane).collect(),
            name_nl: site.name_nl,
            name_fr: site.name_fr,
            name_en: site.name_en,
        });
        let routes = places.routes.into_iter().map(|route| CountedRouteView {
            code: route.code.as_str().to_owned(),
            from: route.from.as_str().to_owned(),
            to: route.to.as_str().to_owned(),
            shortest_s: route.shortest.as_secs(),
            longest_s: route.longest.as_secs(),
        });
        Self { sites: sites.collect(), routes: routes.collect() }
    }
}
