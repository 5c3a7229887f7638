//! What a change of the matrix means: who gains, who loses, what becomes stricter or looser.
//!
//! Belongs here: comparing two tables, cell by cell, against the people and cameras that there are. Does not belong here:
//! finding those people and cameras.

use std::collections::{BTreeMap, BTreeSet};

use vms_core::{Profile, Relation, Right};

use crate::condition::{Condition, cell_text};
use crate::table::Table;

/// Most camera and organisation names that one line of a diff carries; the counts are whole.
pub const NAMES_MAX: usize = 20;

/// Accounts of one profile in one organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct People {
    /// Profile.
    pub profile: Profile,
    /// Code of the organisation.
    pub org: String,
    /// How many accounts may take this profile there.
    pub accounts: usize,
}

/// A camera, for the counts of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraFact {
    /// Its code or call-up number.
    pub name: String,
    /// Code of its owner.
    pub owner: String,
    /// Codes of the organisations that it is shared with now.
    pub shared_with: BTreeSet<String>,
}

/// Which way a cell moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// It was a no and is a yes.
    Gains,
    /// It is a yes with less needed.
    Loosened,
    /// Something is needed less and something more: read it.
    Both,
    /// It is a yes with more needed.
    Tightened,
    /// It was a yes and is a no.
    Loses,
}

impl Turn {
    /// Stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gains => "gains",
            Self::Loosened => "loosened",
            Self::Both => "both",
            Self::Tightened => "tightened",
            Self::Loses => "loses",
        }
    }
}

/// One cell that is another now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellChange {
    /// Whose.
    pub profile: Profile,
    /// Which right.
    pub right: Right,
    /// Towards what.
    pub relation: Relation,
    /// Which way.
    pub turn: Turn,
    /// The cell before, as written; `None` for a no.
    pub before: Option<String>,
    /// The cell after.
    pub after: Option<String>,
    /// What is needed now and was not, in words.
    pub tightened: Vec<String>,
    /// What was needed and is not any more, in words.
    pub loosened: Vec<String>,
    /// How many accounts this touches.
    pub accounts: usize,
    /// The organisations of these accounts, at most [`NAMES_MAX`].
    pub orgs: Vec<String>,
    /// How many cameras stand in this relation to any of them.
    pub cameras: usize,
    /// Names of these, at most [`NAMES_MAX`].
    pub camera_names: Vec<String>,
}

/// A whole change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// Version before.
    pub from: String,
    /// Version after.
    pub to: String,
    /// Every cell that moved: gains first, losses last.
    pub changes: Vec<CellChange>,
}

impl Diff {
    /// How many cells went each way: gains, loosened, both, tightened, loses.
    pub fn counts(&self) -> BTreeMap<Turn, usize> {
        self.changes.iter().fold(BTreeMap::new(), |mut counts, change| {
            *counts.entry(change.turn).or_default() += 1;
            counts
        })
    }

    /// Profiles that may do something more than before.
    pub fn who_gains(&self) -> BTreeSet<Profile> {
        let more = |turn: Turn| matches!(turn, Turn::Gains | Turn::Loosened | Turn::Both);
        self.changes.iter().filter(|change| more(change.turn)).map(|change| change.profile).collect()
    }

    /// Profiles that may do something less than before.
    pub fn who_loses(&self) -> BTreeSet<Profile> {
        let less = |turn: Turn| matches!(turn, Turn::Loses | Turn::Tightened | Turn::Both);
        self.changes.iter().filter(|change| less(change.turn)).map(|change| change.profile).collect()
    }
}

/// Compares two tables against the people and cameras that there are.
pub fn diff(before: &Table, after: &Table, people: &[People], cameras: &[CameraFact]) -> Diff {
    let keys: BTreeSet<_> = before.cells().map(|(key, _)| key).chain(after.cells().map(|(key, _)| key)).collect();
    let mut changes: Vec<CellChange> = keys
        .into_iter()
        .filter_map(|(profile, right, relation)| {
            let (old, new) = (before.cell(profile, right, relation), after.cell(profile, right, relation));
            if old == new {
                return None;
            }
            let reach = Reach::of(profile, relation, people, cameras);
            Some(cell_change((profile, right, relation), old, new, reach))
        })
        .collect();
    changes.sort_by_key(|change| (change.turn, change.profile, change.right, change.relation));
    Diff { from: before.version().to_owned(), to: after.version().to_owned(), changes }
}

struct Reach {
    accounts: usize,
    orgs: Vec<String>,
    cameras: usize,
    camera_names: Vec<String>,
}

impl Reach {
    fn of(profile: Profile, relation: Relation, people: &[People], cameras: &[CameraFact]) -> Self {
        let mine: Vec<&People> = people.iter().filter(|some| some.profile == profile && some.accounts > 0).collect();
        let orgs: BTreeSet<&str> = mine.iter().map(|some| some.org.as_str()).collect();
        let stands = |camera: &CameraFact, org: &str| match relation {
            Relation::Own => camera.owner == org,
            Relation::Shared => camera.owner != org && camera.shared_with.contains(org),
            Relation::Other => camera.owner != org && !camera.shared_with.contains(org),
        };
        let touched: Vec<&CameraFact> =
            cameras.iter().filter(|camera| orgs.iter().any(|org| stands(camera, org))).collect();
        Self {
            accounts: mine.iter().map(|some| some.accounts).sum(),
            orgs: orgs.into_iter().take(NAMES_MAX).map(str::to_owned).collect(),
            cameras: touched.len(),
            camera_names: touched.iter().take(NAMES_MAX).map(|camera| camera.name.clone()).collect(),
        }
    }
}

fn cell_change(
    (profile, right, relation): (Profile, Right, Relation),
    old: Option<&[Condition]>,
    new: Option<&[Condition]>,
    reach: Reach,
) -> CellChange {
    let (tightened, loosened) = match (old, new) {
        (Some(old), Some(new)) => (stricter(old, new), stricter(new, old)),
        (None, _) | (_, None) => (Vec::new(), Vec::new()),
    };
    let turn = match (old.is_some(), new.is_some()) {
        (false, _) => Turn::Gains,
        (true, false) => Turn::Loses,
        (true, true) => match (tightened.is_empty(), loosened.is_empty()) {
            (false, true) => Turn::Tightened,
            (true, _) => Turn::Loosened,
            (false, false) => Turn::Both,
        },
    };
    let Reach { accounts, orgs, cameras, camera_names } = reach;
    let (before, after) = (old.map(cell_text), new.map(cell_text));
    CellChange {
        profile,
        right,
        relation,
        turn,
        before,
        after,
        tightened,
        loosened,
        accounts,
        orgs,
        cameras,
        camera_names,
    }
}

/// What `new` needs and `old` did not, in words. Fewer days are stricter.
fn stricter(old: &[Condition], new: &[Condition]) -> Vec<String> {
    let mut found = Vec::new();
    for condition in new {
        match old.iter().find(|known| known.stem() == condition.stem()) {
            None => found.push(condition.words()),
            Some(known) if condition.days() < known.days() => {
                found.push(format!("{} (was: {})", condition.words(), known.words()));
            }
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(cells: &str) -> Table {
        let head = "version='x'\nvalid_from='2026-01-01'\nsource='test'\n[[row]]\nright='playback'\nsource='s'\ncells=";
        Table::parse(&format!("{head}[{cells}]")).unwrap()
    }

    #[test]
    fn says_who_gains_and_who_loses() {
        let base = "{profile='P02',own='justification age_max_days=7'}";
        let two =
            "{profile='P02',own='justification age_max_days=7'},{profile='P03',own='justification age_max_days=1'}";
        let cases = [
            (base, two, Turn::Gains, 0, 0),
            (two, base, Turn::Loses, 0, 0),
            (base, "{profile='P02',own='justification case age_max_days=7'}", Turn::Tightened, 1, 0),
            (base, "{profile='P02',own='justification age_max_days=3'}", Turn::Tightened, 1, 0),
            (base, "{profile='P02',own='justification age_max_days=30'}", Turn::Loosened, 0, 1),
            (base, "{profile='P02',own='justification case age_max_days=30'}", Turn::Both, 1, 1),
        ];
        for (before, after, turn, tightened, loosened) in cases {
            let diff = diff(&table(before), &table(after), &[], &[]);
            let [change] = diff.changes.as_slice() else { panic!("one cell moved: {diff:?}") };
            assert_eq!((change.turn, change.tightened.len(), change.loosened.len()), (turn, tightened, loosened));
        }
        assert!(diff(&table(base), &table(base), &[], &[]).changes.is_empty());
    }

    #[test]
    fn counts_the_people_and_cameras_that_a_cell_touches() {
        let before = table("{profile='P02',own='justification age_max_days=7'}");
        let after = table("{profile='P02',own='justification age_max_days=7',shared='justification age_max_days=7'}");
        let people = [
            People { profile: Profile::P02, org: "5340".into(), accounts: 3 },
            People { profile: Profile::P02, org: "5339".into(), accounts: 1 },
            People { profile: Profile::P01, org: "5340".into(), accounts: 9 },
        ];
        let camera = |name: &str, owner: &str, shared: &[&str]| CameraFact {
            name: name.into(),
            owner: owner.into(),
            shared_with: shared.iter().map(|org| (*org).to_owned()).collect(),
        };
        let cameras = [camera("A", "5340", &[]), camera("B", "MIVB", &["5340"]), camera("C", "MIVB", &[])];
        let diff = diff(&before, &after, &people, &cameras);
        let [change] = diff.changes.as_slice() else { panic!("one cell moved: {diff:?}") };
        assert_eq!((change.turn, change.accounts, change.cameras), (Turn::Gains, 4, 1));
        assert_eq!(
            (change.orgs.as_slice(), change.camera_names.as_slice()),
            (&["5339".into(), "5340".into()][..], &["B".into()][..])
        );
        assert_eq!(diff.who_gains().into_iter().collect::<Vec<_>>(), [Profile::P02]);
        assert!(diff.who_loses().is_empty());
    }
}
