//! Where vehicles are counted.

use serde::Serialize;

/// Names one counted cross-section of a road.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SiteCode(String);

impl SiteCode {
    /// Wraps a code.
    pub fn new(code: impl Into<String>) -> Self {
        Self(code.into())
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A cross-section: a "traverse" of the region's counts API.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its code.
    pub code: SiteCode,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
    /// English name.
    pub name_en: String,
    /// Direction of travel, degrees clockwise from north.
    pub orientation_deg: u16,
    /// Longitude, WGS 84, millionths of a degree.
    pub longitude_e6: i32,
    /// Latitude, WGS 84, millionths of a degree.
    pub latitude_e6: i32,
    /// One per lane, in the order of their numbers.
    pub detectors: Vec<Detector>,
}

/// One lane of a cross-section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detector {
    /// Its name within the site.
    pub name: String,
    /// Number of the lane.
    pub lane: u8,
}

/// Degrees as decimal text from millionths.
pub(crate) fn degrees(e6: i32) -> String {
    let (sign, size) = (if e6 < 0 { "-" } else { "" }, e6.unsigned_abs());
    format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
}
