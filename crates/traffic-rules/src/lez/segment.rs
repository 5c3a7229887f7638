//! The zone's territory: stretches that are not in it (`seed/lez/segments.toml`, `domain.md` A5).

use serde::Deserialize;
use vms_core::WallTime;

use super::SegmentCode;
use super::outcome::Reason;
use super::snapshot::SegmentHit;
use crate::day::Day;
use crate::seed::{SeedError, TomlDay, read_toml};

const FILE: &str = "segments.toml";

/// The zone and the stretches outside it.
#[derive(Clone, Debug)]
pub struct Territory {
    /// First day of the zone.
    pub in_force_from: Day,
    segments: Vec<(SegmentCode, Kind)>,
}

/// What a read's segment means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the zone, perhaps with a remark.
    Inside(Option<Reason>),
    /// Outside it.
    Outside(Reason),
    /// The tables do not have the code.
    Unknown(Reason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Permanent,
    Detour,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTerritory {
    zone: RawZone,
    segment: Vec<RawSegment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawZone {
    in_force_from: TomlDay,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSegment {
    code: String,
    kind: Kind,
    name: String,
    source: String,
}

impl Territory {
    /// Reads the table.
    ///
    /// # Errors
    /// [`SeedError`] names the entry and the problem.
    pub fn load(text: &str) -> Result<Self, SeedError> {
        let raw: RawTerritory = read_toml(FILE, text)?;
        let mut segments: Vec<(SegmentCode, Kind)> = Vec::new();
        for segment in raw.segment {
            if segment.name.is_empty() || segment.source.is_empty() {
                return Err(SeedError::entry(FILE, &segment.code, "name and source must be given"));
            }
            if segments.iter().any(|(code, _)| code.as_str() == segment.code) {
                return Err(SeedError::entry(FILE, &segment.code, "the code stands twice"));
            }
            segments.push((SegmentCode::new(segment.code), segment.kind));
        }
        Ok(Self { in_force_from: raw.zone.in_force_from.0, segments })
    }

    pub(crate) fn place(&self, hit: &SegmentHit, at: WallTime) -> Place {
        let segment = hit.code.clone();
        match self.segments.iter().find(|(code, _)| *code == segment).map(|(_, kind)| *kind) {
            None => Place::Unknown(Reason::SegmentUnknown { segment }),
            Some(Kind::Permanent) => Place::Outside(Reason::ExemptSegment { segment }),
            Some(Kind::Detour) if !hit.detour.is_some_and(|period| period.from <= at && at < period.to) => {
                Place::Inside(Some(Reason::DetourNotInForce))
            }
            Some(Kind::Detour) if hit.hit_elsewhere_same_day => Place::Inside(Some(Reason::DetourLeft)),
            Some(Kind::Detour) => Place::Outside(Reason::ExemptSegment { segment }),
        }
    }
}
