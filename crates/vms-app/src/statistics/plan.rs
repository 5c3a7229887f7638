//! Where is counted, and between which places travel times are measured. An operator's file:
//!
//! ```toml
//! [publisher]
//! country = "be"
//! identifier = "BE-BRU-EXAMPLE"
//!
//! [[site]]                       # one direction of one cross-section
//! code = "LEZ-N-1"
//! name_nl = "Havenlaan noord"
//! name_fr = "Avenue du Port nord"
//! name_en = "Avenue du Port north"
//! orientation = 20               # degrees from north
//! latitude = 50.865
//! longitude = 4.350
//! minutes = 15                   # finest interval: 1, 5, 15 or 60
//! by_lane = false
//! detectors = [{ camera = "C1", direction = "approaching", lane = 1 }]
//!
//! [[route]]
//! code = "HAVEN"
//! from = "LEZ-N-1"
//! to = "LEZ-S-1"
//! shortest_s = 40
//! longest_s = 400                # at most 450
//! ```
//!
//! A camera in one direction belongs to one site at most: a passage is counted once. The intervals are part of the guarantee, so they are
//! fixed here, before the traffic comes. No file: nothing is counted.

use std::collections::HashMap;
use std::time::Duration;

use ::statistics::counts::{Minutes, SITES_MAX};
use ::statistics::datex::Publisher;
use ::statistics::{Detector, Offer, Route, RouteCode, Site, SiteCode, TravelTimes};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::lez_ports::Direction;

/// Most detectors of one site.
const DETECTORS_MAX: usize = 16;
/// Most routes.
const ROUTES_MAX: usize = 1_000;
/// Longest code, bytes.
const CODE_MAX: usize = 40;

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It does not read.
    #[error("the file does not read: {0}")]
    Form(String),
    /// An entry says something that cannot be.
    #[error("`{entry}`: {problem}")]
    Entry {
        /// Code of the site or route.
        entry: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// One counted cross-section with the cameras that see it.
#[derive(Clone, Debug)]
pub struct PlannedSite {
    /// The site.
    pub site: Site,
    /// Its finest interval.
    pub offer: Offer,
    /// Codes of its cameras.
    pub cameras: Vec<String>,
}

/// Where one camera counts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counts {
    /// `None`: whichever way the vehicle went.
    direction: Option<Direction>,
    site: SiteCode,
    lane: u8,
}

/// The operator's file, checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who publishes.
    pub publisher: Publisher,
    /// Sites.
    pub sites: Vec<PlannedSite>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Changes with the file.
    pub version: u32,
    by_camera: HashMap<String, Vec<Counts>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    publisher: RawPublisher,
    #[serde(default)]
    site: Vec<RawSite>,
    #[serde(default)]
    route: Vec<RawRoute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPublisher {
    country: String,
    identifier: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSite {
    code: String,
    name_nl: String,
    name_fr: String,
    name_en: String,
    orientation: u16,
    latitude: f64,
    longitude: f64,
    minutes: u32,
    #[serde(default)]
    by_lane: bool,
    detectors: Vec<RawDetector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDetector {
    camera: String,
    direction: Option<RawDirection>,
    lane: u8,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawDirection {
    Approaching,
    Leaving,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoute {
    code: String,
    from: String,
    to: String,
    shortest_s: u32,
    longest_s: u32,
}

impl Plan {
    /// Reads a file.
    ///
    /// # Errors
    /// [`PlanError`] names the entry.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let raw: Raw = toml::from_str(text).map_err(|error| PlanError::Form(error.to_string()))?;
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(text.as_bytes()));
        let publisher = Publisher { country: raw.publisher.country, identifier: raw.publisher.identifier };
        let version = u32::from_be_bytes([a, b, c, d]);
        let mut plan = Self { publisher, sites: Vec::new(), routes: Vec::new(), version, by_camera: HashMap::new() };
        for site in raw.site {
            plan.add(site)?;
        }
        for route in raw.route {
            let route = plan.route(route)?;
            plan.routes.push(route);
        }
        if plan.sites.len() > SITES_MAX || plan.routes.len() > ROUTES_MAX {
            return Err(wrong("the file", "at most 2,000 sites and 1,000 routes"));
        }
        Ok(plan)
    }

    fn add(&mut self, raw: RawSite) -> Result<(), PlanError> {
        let entry = raw.code.as_str();
        if !is_code(entry) {
            return Err(wrong(entry, "a code is 1 to 40 letters, digits, `-`, `_` or `.`"));
        }
        if self.sites.iter().any(|site| site.site.code.as_str() == entry) {
            return Err(wrong(entry, "stands twice"));
        }
        let minutes = Minutes::of(raw.minutes).ok_or_else(|| wrong(entry, "minutes are 1, 5, 15 or 60"))?;
        if raw.orientation >= 360 {
            return Err(wrong(entry, "an orientation is below 360 degrees"));
        }
        let (latitude_e6, longitude_e6) = (millionths(raw.latitude, 90.0), millionths(raw.longitude, 180.0));
        let (Some(latitude_e6), Some(longitude_e6)) = (latitude_e6, longitude_e6) else {
            return Err(wrong(entry, "no such place on earth"));
        };
        if raw.detectors.is_empty() || raw.detectors.len() > DETECTORS_MAX {
            return Err(wrong(entry, "1 to 16 detectors"));
        }
        let code = SiteCode::new(entry);
        let mut detectors: Vec<Detector> = Vec::new();
        for detector in &raw.detectors {
            if detector.lane == 0 || detectors.iter().any(|known| known.lane == detector.lane) {
                return Err(wrong(entry, "lanes are numbered from 1, each once"));
            }
            let direction = detector.direction.map(|direction| match direction {
                RawDirection::Approaching => Direction::Approaching,
                RawDirection::Leaving => Direction::Leaving,
            });
            let known = self.by_camera.entry(detector.camera.clone()).or_default();
            let same =
                |counts: &Counts| counts.direction.is_none() || direction.is_none() || counts.direction == direction;
            if known.iter().any(same) {
                return Err(wrong(entry, "a camera counts in one direction at one place only"));
            }
            known.push(Counts { direction, site: code.clone(), lane: detector.lane });
            detectors.push(Detector { name: format!("{entry}_{}", detector.lane), lane: detector.lane });
        }
        detectors.sort_by_key(|detector| detector.lane);
        let cameras = raw.detectors.iter().map(|detector| detector.camera.clone()).collect();
        let offer = Offer { minutes, by_lane: raw.by_lane };
        let site = Site {
            code,
            name_nl: raw.name_nl,
            name_fr: raw.name_fr,
            name_en: raw.name_en,
            orientation_deg: raw.orientation,
            longitude_e6,
            latitude_e6,
            detectors,
        };
        self.sites.push(PlannedSite { site, offer, cameras });
        Ok(())
    }

    fn route(&self, raw: RawRoute) -> Result<Route, PlanError> {
        let entry = raw.code.as_str();
        if !is_code(entry) {
            return Err(wrong(entry, "a code is 1 to 40 letters, digits, `-`, `_` or `.`"));
        }
        if self.routes.iter().any(|route| route.code.as_str() == entry) {
            return Err(wrong(entry, "stands twice"));
        }
        let known = |code: &str| self.sites.iter().any(|site| site.site.code.as_str() == code);
        if !known(&raw.from) || !known(&raw.to) || raw.from == raw.to {
            return Err(wrong(entry, "a route goes from one site of this file to another"));
        }
        let route = Route {
            code: RouteCode::new(entry),
            from: SiteCode::new(raw.from.as_str()),
            to: SiteCode::new(raw.to.as_str()),
            shortest: Duration::from_secs(raw.shortest_s.into()),
            longest: Duration::from_secs(raw.longest_s.into()),
        };
        TravelTimes::new([route.clone()])
            .map_err(|_| wrong(entry, "a drive takes at most 450 s, and its shortest time is below its longest"))?;
        Ok(route)
    }

    /// Where a camera's read counts.
    pub(crate) fn counts(&self, camera: &str, direction: Direction) -> Option<(&SiteCode, u8)> {
        let counts = self.by_camera.get(camera)?;
        let found = counts.iter().find(|counts| counts.direction.is_none_or(|wanted| wanted == direction))?;
        Some((&found.site, found.lane))
    }
}

fn wrong(entry: &str, problem: &'static str) -> PlanError {
    PlanError::Entry { entry: entry.to_owned(), problem }
}

fn is_code(text: &str) -> bool {
    let fits = |one: u8| one.is_ascii_alphanumeric() || matches!(one, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= CODE_MAX && text.bytes().all(fits)
}

#[expect(clippy::cast_possible_truncation, reason = "at most 180 million")]
fn millionths(degrees: f64, bound: f64) -> Option<i32> {
    (degrees.abs() <= bound).then(|| (degrees * 1e6).round() as i32)
}

/// Reads any bytes as a plan: never panics. For fuzzing.
pub fn fuzz_plan(data: &[u8]) {
    drop(Plan::parse(&String::from_utf8_lossy(data)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[publisher]\ncountry = \"be\"\nidentifier = \"X\"\n";

    fn site(code: &str, detectors: &str) -> String {
        format!(
            "[[site]]\ncode = \"{code}\"\nname_nl = \"n\"\nname_fr = \"f\"\nname_en = \"e\"\norientation = 20\n\
             latitude = 50.865\nlongitude = -4.35\nminutes = 15\ndetectors = [{detectors}]\n"
        )
    }

    fn route(code: &str, from: &str, to: &str, longest: u32) -> String {
        format!(
            "[[route]]\ncode = \"{code}\"\nfrom = \"{from}\"\nto = \"{to}\"\nshortest_s = 40\nlongest_s = {longest}\n"
        )
    }

    #[test]
    fn a_file_says_where_a_read_counts() {
        let one =
            site("A", "{ camera = \"C1\", direction = \"approaching\", lane = 1 }, { camera = \"C2\", lane = 2 }");
        let other = site("B", "{ camera = \"C1\", direction = \"leaving\", lane = 1 }");
        let plan = Plan::parse(&format!("{HEAD}{one}{other}{}", route("R", "A", "B", 450))).unwrap();
        for (camera, direction, wanted) in [
            ("C1", Direction::Approaching, Some(("A", 1))),
            ("C1", Direction::Leaving, Some(("B", 1))),
            ("C1", Direction::Unknown, None),
            ("C2", Direction::Unknown, Some(("A", 2))),
            ("C3", Direction::Leaving, None),
        ] {
            let found = plan.counts(camera, direction).map(|(site, lane)| (site.as_str(), lane));
            assert_eq!(found, wanted, "{camera} {direction:?}");
        }
        let place = &plan.sites[0].site;
        assert_eq!((place.latitude_e6, place.longitude_e6, place.detectors.len()), (50_865_000, -4_350_000, 2));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let (a, b) = (site("A", "{ camera = \"C1\", lane = 1 }"), site("B", "{ camera = \"C2\", lane = 1 }"));
        for (text, wanted) in [
            (a.clone() + &a, "stands twice"),
            (a.clone() + &site("B", "{ camera = \"C1\", direction = \"leaving\", lane = 1 }"), "one place only"),
            (site("A", "{ camera = \"C1\", lane = 1 }, { camera = \"C2\", lane = 1 }"), "each once"),
            (site("A B", "{ camera = \"C1\", lane = 1 }"), "a code is"),
            (site("A", ""), "detectors"),
            (a.replace("minutes = 15", "minutes = 10"), "minutes are"),
            (a.replace("50.865", "90.1"), "on earth"),
            (a.replace("orientation = 20", "orientation = 360"), "orientation"),
            (format!("{a}{b}{}", route("R", "A", "B", 451)), "450 s"),
            (format!("{a}{b}{}", route("R", "A", "C", 60)), "another"),
            (format!("{a}colour = 1\n"), "does not read"),
        ] {
            let error = Plan::parse(&format!("{HEAD}{text}")).unwrap_err().to_string();
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }
}
