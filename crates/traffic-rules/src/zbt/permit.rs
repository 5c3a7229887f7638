//! Whether one permit covers one passage.

use vms_core::WallTime;

use super::ZoneCode;
use super::outcome::PermitGap;
use super::right::Ground;
use super::rule_set::RuleSet;
use super::snapshot::{Permit, PermitStatus, QuotaGroup};
use super::zone::Zone;
use crate::calendar::Window;
use crate::day::{Day, Side};

/// How a permit covers a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// It was granted before.
    Granted,
    /// It was granted afterwards, in time.
    Regularised,
}

/// Whether the permit covers a passage of the zone at that instant.
pub(super) fn cover(rules: &RuleSet, zone: &Zone, permit: &Permit, at: WallTime) -> Result<Cover, PermitGap> {
    let right = rules.right(&permit.right).filter(|right| right.validity.holds(Day::at(at)));
    let right = right.ok_or(PermitGap::NoSuchRight)?;
    let Ground::Permit { per_place_max, windows, .. } = &right.ground else { return Err(PermitGap::NoSuchRight) };
    if !right.zones.contains(&zone.code) {
        return Err(PermitGap::RightNotHere);
    }
    if !names(permit, &zone.code) {
        return Err(PermitGap::OtherZone);
    }
    match permit.status {
        PermitStatus::Granted => {}
        status @ (PermitStatus::Requested | PermitStatus::Suspended | PermitStatus::Refused) => {
            return Err(PermitGap::Status { status });
        }
    }
    if at < permit.from || at >= right.legal_end(permit.from, permit.to) {
        return Err(PermitGap::Period);
    }
    if !within(windows, rules, zone, at) || !within(&permit.windows, rules, zone, at) {
        return Err(PermitGap::Hours);
    }
    if let (Some(max), Some(group)) = (*per_place_max, &permit.group) {
        let max = u32::from(max) * u32::from(group.places);
        if earlier(permit, group, at) >= max {
            return Err(PermitGap::BeyondQuota { max });
        }
    }
    if permit.granted_at <= at {
        Ok(Cover::Granted)
    } else if regularisation_ends(rules, zone, at).is_some_and(|end| permit.granted_at < end) {
        Ok(Cover::Regularised)
    } else {
        Err(PermitGap::GrantedLater)
    }
}

/// First instant at which a permit can no longer be granted for a passage; `None` where that is not possible at all.
pub(super) fn regularisation_ends(rules: &RuleSet, zone: &Zone, at: WallTime) -> Option<WallTime> {
    let until = rules.fines.regularisation_until?;
    Some(rules.holidays.next_working_day(Day::at(at), &zone.holidays).clock(until, Side::Later))
}

fn names(permit: &Permit, zone: &ZoneCode) -> bool {
    permit.zones.contains(zone)
}

/// Whether the instant lies in one of the windows; no window is no limit.
fn within(windows: &[Window], rules: &RuleSet, zone: &Zone, at: WallTime) -> bool {
    windows.is_empty() || windows.iter().any(|window| window.holds(at, &rules.holidays, &zone.holidays))
}

/// Other vehicles of the group with a permit in force at that instant that was granted before this one.
fn earlier(permit: &Permit, group: &QuotaGroup, at: WallTime) -> u32 {
    let mut vehicles: Vec<&str> = group
        .others
        .iter()
        .filter(|other| other.from <= at && at < other.to)
        .filter(|other| (other.granted_at, &other.id) < (permit.granted_at, &permit.id))
        .map(|other| other.vehicle.as_str())
        .collect();
    vehicles.sort_unstable();
    vehicles.dedup();
    u32::try_from(vehicles.len()).unwrap_or(u32::MAX)
}
