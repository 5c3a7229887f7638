//! Whether a permit can be given: the same limits that a decision holds it to, before it stands in the file.

use vms_core::WallTime;

use super::right::Ground;
use super::rule_set::RuleSet;
use super::snapshot::{Permit, QuotaGroup};
use super::{RightCode, ZoneCode};
use crate::calendar::Window;
use crate::day::Day;

/// Why a permit cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionRefusal {
    /// No such right on the day on which the permit would start.
    #[error("there is no right `{0}` on that day")]
    NoSuchRight(RightCode),
    /// The right needs no permit.
    #[error("`{0}` needs no permit")]
    NeedsNone(RightCode),
    /// The permit names no zone, or one in which the right cannot be used.
    #[error("the right cannot be used in zone `{0}`")]
    Zone(ZoneCode),
    /// The permit names no zone.
    #[error("a permit names a zone")]
    NoZone,
    /// It ends before it starts, or lasts longer than it may.
    #[error("a permit of this right lasts at most until {until}")]
    Term {
        /// First day on which it may no longer be in force.
        until: Day,
    },
    /// It ends before it starts.
    #[error("the permit ends before it starts")]
    Empty,
    /// One of its windows is none.
    #[error("{0}")]
    Window(&'static str),
    /// The right counts vehicles of a group, and none is named.
    #[error("a permit of this right names the parking places that it is for")]
    NoGroup,
    /// The group is full at some instant of the term.
    #[error("the places of the group take {max} vehicles at one time")]
    GroupFull {
        /// Most vehicles at one time.
        max: u32,
    },
}

/// Whether this permit, not yet in the file, can be given.
///
/// # Errors
/// [`AdmissionRefusal`]: the first limit that it breaks.
pub fn admit(rules: &RuleSet, permit: &Permit) -> Result<(), AdmissionRefusal> {
    let unknown = || AdmissionRefusal::NoSuchRight(permit.right.clone());
    let right = rules.right(&permit.right).ok_or_else(unknown)?;
    if !right.validity.holds(Day::at(permit.from)) {
        return Err(unknown());
    }
    let Ground::Permit { months_max, per_place_max, .. } = &right.ground else {
        return Err(AdmissionRefusal::NeedsNone(right.code.clone()));
    };
    if permit.zones.is_empty() {
        return Err(AdmissionRefusal::NoZone);
    }
    if let Some(stranger) = permit.zones.iter().find(|zone| !right.zones.contains(zone)) {
        return Err(AdmissionRefusal::Zone(stranger.clone()));
    }
    if permit.to <= permit.from {
        return Err(AdmissionRefusal::Empty);
    }
    if let Some(months) = months_max
        && right.legal_end(permit.from, permit.to) < permit.to
    {
        return Err(AdmissionRefusal::Term { until: Day::at(permit.from).plus_months(*months) });
    }
    if let Some(problem) = permit.windows.iter().find_map(Window::problem) {
        return Err(AdmissionRefusal::Window(problem));
    }
    let Some(per_place) = *per_place_max else { return Ok(()) };
    let group = permit.group.as_ref().ok_or(AdmissionRefusal::NoGroup)?;
    let max = u32::from(per_place) * u32::from(group.places);
    if busiest(group, permit.from, permit.to) >= max {
        return Err(AdmissionRefusal::GroupFull { max });
    }
    Ok(())
}

/// Most other vehicles of the group at one instant of the term. It changes only where a permit starts.
fn busiest(group: &QuotaGroup, from: WallTime, to: WallTime) -> u32 {
    let starts = group.others.iter().map(|other| other.from).filter(|start| from < *start && *start < to);
    let at_once = |at: WallTime| {
        let mut vehicles: Vec<&str> = group
            .others
            .iter()
            .filter(|other| other.from <= at && at < other.to)
            .map(|other| other.vehicle.as_str())
            .collect();
        vehicles.sort_unstable();
        vehicles.dedup();
        u32::try_from(vehicles.len()).unwrap_or(u32::MAX)
    };
    std::iter::once(from).chain(starts).map(at_once).max().unwrap_or(0)
}
