//! Where cameras stand: which zone or stretch, and which end of it. An operator's file, by camera code:
//!
//! ```toml
//! [[zone]]
//! camera = "ZBT-XL-1"
//! zone = "ZBT-XL-A"              # of seed/zbt/zones.toml
//! end = "entry"                  # or "exit"
//! authority = "ELSENE"           # whose sanctioning officials decide
//!
//! [[trajectory]]
//! camera = "TRJ-STE-1"
//! trajectory = "TRJ-STE"         # of seed/trajectory/trajectories.toml
//! end = "entry"
//! authority = "5339"             # whose verifiers decide
//! prosecuted_from_kmh = 57       # the prosecutor's; may be left out
//! ```
//!
//! A camera stands at one end of one zone and of one stretch at most. No file: nothing is copied for these purposes.

use std::collections::HashMap;

use serde::Deserialize;
use traffic_rules::trajectory::{self, TrajectoryCode};
use traffic_rules::zbt::{self, ZoneCode};
use vms_core::{CameraId, OrgId, Purpose};

use crate::cases::UseCases;
use crate::error::{Conflict, UseCaseError};
use crate::traffic_ports::TrafficParts;

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Where vehicles come in.
    Entry,
    /// Where they leave.
    Exit,
}

/// Why a file of places cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacesError {
    /// It does not read.
    #[error("the file does not read: {0}")]
    Form(String),
    /// An entry names something that the tables do not have.
    #[error("camera `{camera}`: there is no `{place}` in the tables")]
    Unknown {
        /// The camera.
        camera: String,
        /// What it names.
        place: String,
    },
    /// A camera stands twice.
    #[error("camera `{0}` stands at two places of one purpose")]
    Twice(String),
    /// Two cameras of one place name different authorities.
    #[error("`{0}` has two authorities")]
    Authorities(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Site {
    purpose: Purpose,
    camera: String,
    code: String,
    end: End,
    authority: String,
    prosecuted_from_kmh: Option<u16>,
}

/// The operator's file, checked against the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sites(Vec<Site>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    zone: Vec<RawZone>,
    #[serde(default)]
    trajectory: Vec<RawRoad>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawZone {
    camera: String,
    zone: String,
    end: End,
    authority: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoad {
    camera: String,
    trajectory: String,
    end: End,
    authority: String,
    prosecuted_from_kmh: Option<u16>,
}

impl Sites {
    /// Reads a file.
    ///
    /// # Errors
    /// [`PlacesError`] names the camera.
    pub fn parse(text: &str, zones: &zbt::RuleSet, roads: &trajectory::RuleSet) -> Result<Self, PlacesError> {
        let raw: Raw = toml::from_str(text).map_err(|error| PlacesError::Form(error.to_string()))?;
        let mut sites = Self::default();
        for RawZone { camera, zone, end, authority } in raw.zone {
            let known = zones.zone(&ZoneCode::new(zone.as_str())).is_some();
            let (purpose, prosecuted_from_kmh) = (Purpose::Zbt, None);
            sites.add(Site { purpose, camera, code: zone, end, authority, prosecuted_from_kmh }, known)?;
        }
        for RawRoad { camera, trajectory, end, authority, prosecuted_from_kmh } in raw.trajectory {
            let known = roads.road(&TrajectoryCode::new(trajectory.as_str())).is_some();
            let purpose = Purpose::Trajectory;
            sites.add(Site { purpose, camera, code: trajectory, end, authority, prosecuted_from_kmh }, known)?;
        }
        Ok(sites)
    }

    fn add(&mut self, site: Site, is_known: bool) -> Result<(), PlacesError> {
        if !is_known {
            return Err(PlacesError::Unknown { camera: site.camera, place: site.code });
        }
        let mut same = self.0.iter().filter(|known| known.purpose == site.purpose);
        if same.clone().any(|known| known.camera == site.camera) {
            return Err(PlacesError::Twice(site.camera));
        }
        if same.any(|known| known.code == site.code && known.authority != site.authority) {
            return Err(PlacesError::Authorities(site.code));
        }
        self.0.push(site);
        Ok(())
    }

    /// Codes of the organisations that are named.
    pub fn authorities(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|site| site.authority.as_str())
    }

    /// Purposes that a camera's reads are copied for by this file.
    pub(crate) fn purposes(&self, camera: &str) -> impl Iterator<Item = Purpose> {
        self.0.iter().filter(move |site| site.camera == camera).map(|site| site.purpose)
    }

    /// Zones whose authority is this organisation.
    pub(crate) fn zones_of(&self, authority: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |site| site.purpose == Purpose::Zbt && site.authority == authority)
            .map(|site| site.code.as_str())
    }
}

/// Where one camera stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) code: String,
    pub(super) end: End,
    pub(super) authority: OrgId,
    pub(super) prosecuted_from_kmh: Option<u16>,
}

/// Places of one purpose by camera.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<CameraId, Place>);

impl Places {
    pub(super) fn of(&self, camera: CameraId) -> Option<&Place> {
        self.0.get(&camera)
    }

    /// Whether a camera stands at that end of that place.
    pub(super) fn is_at(&self, camera: CameraId, code: &str, end: End) -> bool {
        self.of(camera).is_some_and(|place| place.code == code && place.end == end)
    }
}

impl UseCases {
    pub(crate) fn traffic(&self) -> Result<&TrafficParts, UseCaseError> {
        self.extensions().traffic.as_ref().ok_or(UseCaseError::Conflict(Conflict::NoSuchService("traffic")))
    }

    /// Whether an organisation's people decide findings of a purpose by the operator's file.
    pub(crate) fn decides(&self, org: &str, purpose: Purpose) -> bool {
        let sites = self.extensions().traffic.as_ref().map(|traffic| &traffic.sites.0);
        sites.is_some_and(|sites| sites.iter().any(|site| site.purpose == purpose && site.authority == org))
    }

    /// Where cameras stand for a purpose; a site whose camera or authority is not known yet is left out.
    pub(super) async fn places(&self, purpose: Purpose) -> Result<Places, UseCaseError> {
        let Some(traffic) = &self.extensions().traffic else { return Ok(Places::default()) };
        let (cameras, orgs) = (self.cameras_now().await?, self.orgs_now().await?);
        let mut places = Places::default();
        for site in traffic.sites.0.iter().filter(|site| site.purpose == purpose) {
            let camera = cameras.iter().find(|camera| camera.code == site.camera);
            let org = orgs.iter().find(|org| org.code == site.authority);
            let (Some(camera), Some(org)) = (camera, org) else { continue };
            let (code, end, prosecuted_from_kmh) = (site.code.clone(), site.end, site.prosecuted_from_kmh);
            places.0.insert(camera.id, Place { code, end, authority: org.id, prosecuted_from_kmh });
        }
        Ok(places)
    }
}

/// Reads any bytes as a file of places: never panics. For fuzzing.
pub fn fuzz_places(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    drop(Sites::parse(&text, zbt::RuleSet::embedded_once(), trajectory::RuleSet::embedded_once()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Sites, PlacesError> {
        Sites::parse(text, zbt::RuleSet::embedded_once(), trajectory::RuleSet::embedded_once())
    }

    #[test]
    fn a_file_is_checked_against_the_tables() {
        let zone = |camera: &str, zone: &str, authority: &str| {
            format!(
                "[[zone]]\ncamera = \"{camera}\"\nzone = \"{zone}\"\nend = \"entry\"\nauthority = \"{authority}\"\n"
            )
        };
        let run = "[[trajectory]]\ncamera = \"C1\"\ntrajectory = \"TRJ-STE\"\nend = \"exit\"\nauthority = \"5339\"\n";
        let sites = read(&format!("{}{run}", zone("C1", "ZBT-XL-A", "ELSENE"))).unwrap();
        assert_eq!(sites.purposes("C1").collect::<Vec<_>>(), [Purpose::Zbt, Purpose::Trajectory]);
        assert_eq!(sites.zones_of("ELSENE").collect::<Vec<_>>(), ["ZBT-XL-A"]);
        assert_eq!(read("").unwrap().purposes("C1").count(), 0);
        for (text, wanted) in [
            (zone("C1", "ZBT-NONE", "ELSENE"), "camera `C1`: there is no `ZBT-NONE` in the tables"),
            (
                format!("{}{}", zone("C1", "ZBT-XL-A", "ELSENE"), zone("C1", "ZBT-XL-B", "ELSENE")),
                "camera `C1` stands at two places of one purpose",
            ),
            (
                format!("{}{}", zone("C1", "ZBT-XL-A", "ELSENE"), zone("C2", "ZBT-XL-A", "5339")),
                "`ZBT-XL-A` has two authorities",
            ),
            ("zone = 1".to_owned(), "the file does not read"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        for data in [b"".as_slice(), b"\xff\xfe", b"[[zone]]\ncamera = 1", b"[[trajectory]]", b"[zone"] {
            fuzz_places(data);
        }
    }
}
