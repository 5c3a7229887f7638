//! What goes where and when: a pure function of the instant, the segments, the policy and the room there is.
//!
//! Held by tables here and by properties in `plan_tests.rs`: nothing is dropped locally before it is verified elsewhere, nothing is
//! uploaded whose term ends before it would arrive, held segments are never dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use vms_core::{CameraId, RetentionClass, SegmentId, WallTime};

use crate::name::Facts;

/// Name of a tier.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TierName(pub Box<str>);

impl fmt::Display for TierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is done with segments of some cameras and classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Only this camera.
    pub camera: Option<CameraId>,
    /// Only this class.
    pub class: Option<RetentionClass>,
    /// Where to; absent: the local disk alone.
    pub tier: Option<TierName>,
    /// After its end a segment stays on the local disk this long, stored or not.
    pub hot: Duration,
    /// The local copy stays to the end of the term.
    pub keep_both: bool,
    /// A segment waits this long after its end before it goes.
    pub upload_after: Duration,
}

/// The rules, the first that fits counts, and the free space wanted on the local disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// In order.
    pub rules: Vec<Rule>,
    /// Free bytes on the local disk below which verified copies go before their hot time ends.
    pub local_wanted: u64,
}

impl Policy {
    /// The rule for a segment; none: it stays on the local disk.
    pub fn rule(&self, facts: &Facts) -> Option<&Rule> {
        self.rules.iter().find(|rule| {
            rule.camera.is_none_or(|camera| camera == facts.camera)
                && rule.class.as_ref().is_none_or(|class| *class == facts.class)
        })
    }
}

/// What the law and people say about a segment at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Standing {
    /// A legal hold covers it.
    pub held: bool,
    /// End of its term; absent: not known, which forbids nothing and deletes nothing.
    pub expires_at: Option<WallTime>,
}

/// How far the copy in a tier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// Not there.
    None,
    /// Begun, not verified.
    Uploading,
    /// Verified.
    Stored,
    /// To be deleted, or deleted: it never goes up again.
    Erased,
}

/// One segment as the planner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The segment.
    pub facts: Facts,
    /// Law and people.
    pub standing: Standing,
    /// The copy in the tier.
    pub remote: Remote,
    /// Whether the local disk has it.
    pub is_local: bool,
}

/// What a tier can take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Uploads may be tried (its breaker is not open).
    pub is_open: bool,
    /// Measured or configured; 0: not known, arrival is then taken as immediate.
    pub bytes_per_s: u64,
    /// Segments to begin at most.
    pub uploads_max: usize,
}

/// What there is room for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Tiers by name; one that is not there takes nothing.
    pub tiers: BTreeMap<TierName, Room>,
    /// Free bytes on the local disk; absent: not known, nothing goes early.
    pub local_free: Option<u64>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bring it to this tier.
    Upload(SegmentId, TierName),
    /// Drop the local copy.
    DropLocal(SegmentId),
}

/// What is to be done, in this order, and what can no longer be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To do.
    pub actions: Vec<Action>,
    /// Should be stored by the rules, but the term ends before it would arrive: stays on the local disk until then.
    pub too_late: Vec<SegmentId>,
}

/// Decides. Uploads first: held segments, then the oldest.
pub fn plan(now: WallTime, segments: &[View], policy: &Policy, capacity: &Capacity) -> Plan {
    let mut plan = uploads(now, segments, policy, capacity);
    plan.actions.extend(drops(now, segments, policy, capacity));
    plan
}

fn uploads(now: WallTime, segments: &[View], policy: &Policy, capacity: &Capacity) -> Plan {
    let mut waiting: Vec<(&View, &TierName)> = segments
        .iter()
        .filter(|view| view.is_local && matches!(view.remote, Remote::None | Remote::Uploading))
        .filter_map(|view| {
            let rule = policy.rule(&view.facts)?;
            let is_due = now >= view.facts.to.plus(rule.upload_after);
            rule.tier.as_ref().filter(|_| is_due).map(|tier| (view, tier))
        })
        .collect();
    waiting.sort_by_key(|(view, _)| (!view.standing.held, view.facts.to, view.facts.segment));

    let mut plan = Plan::default();
    let mut queued: BTreeMap<&TierName, (usize, u64)> = BTreeMap::new();
    for (view, tier) in waiting {
        let Some(room) = capacity.tiers.get(tier).filter(|room| room.is_open) else { continue };
        let (count, bytes) = queued.entry(tier).or_default();
        if *count >= room.uploads_max {
            continue;
        }
        let bytes_with = bytes.saturating_add(view.facts.len);
        if !view.standing.held && view.standing.expires_at.is_some_and(|end| end <= arrival(now, bytes_with, room)) {
            plan.too_late.push(view.facts.segment);
            continue;
        }
        *count += 1;
        *bytes = bytes_with;
        plan.actions.push(Action::Upload(view.facts.segment, tier.clone()));
    }
    plan
}

/// When the last of `bytes` is verified: they go up, and come back once.
fn arrival(now: WallTime, bytes: u64, room: &Room) -> WallTime {
    match bytes.saturating_mul(2).checked_div(room.bytes_per_s) {
        Some(seconds) => now.plus(Duration::from_secs(seconds)),
        None => now,
    }
}

fn drops(now: WallTime, segments: &[View], policy: &Policy, capacity: &Capacity) -> Vec<Action> {
    let mut may: Vec<(&View, &Rule)> = segments
        .iter()
        .filter(|view| view.is_local && view.remote == Remote::Stored && !view.standing.held)
        .filter_map(|view| policy.rule(&view.facts).filter(|rule| rule.tier.is_some()).map(|rule| (view, rule)))
        .collect();
    may.sort_by_key(|(view, rule)| (rule.keep_both, view.facts.to, view.facts.segment));

    let mut going = BTreeSet::new();
    let mut free = capacity.local_free;
    let mut go = |view: &View, free: &mut Option<u64>| {
        if going.insert(view.facts.segment) {
            *free = free.map(|bytes| bytes.saturating_add(view.facts.len));
            return Some(Action::DropLocal(view.facts.segment));
        }
        None
    };
    let cool = may.iter().filter(|(view, rule)| !rule.keep_both && now >= view.facts.to.plus(rule.hot));
    let mut actions: Vec<Action> = cool.filter_map(|(view, _)| go(view, &mut free)).collect();
    // Too little space: what is verified elsewhere goes early, copies that were to stay last.
    for (view, _) in &may {
        if free.is_none_or(|bytes| bytes >= policy.local_wanted) {
            break;
        }
        actions.extend(go(view, &mut free));
    }
    actions
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
