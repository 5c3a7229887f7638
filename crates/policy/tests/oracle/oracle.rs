//! The role matrix a second time, by somebody who has never seen the first: plain strings and a map, no Cedar, no type of
//! ours. It reads the same text with its own eyes and says in one word what the answer must be. Kept under 300 lines, so
//! that a person can check it against `domain.md` H in one sitting.

use std::collections::{BTreeSet, HashMap};

/// One request in plain words.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) profile: &'static str,
    pub(crate) right: &'static str,
    pub(crate) relation: &'static str,
    pub(crate) purpose: bool,
    pub(crate) justification: Option<&'static str>,
    pub(crate) case: Option<&'static str>,
    pub(crate) magistrate: Option<&'static str>,
    pub(crate) second_person: bool,
    pub(crate) age_us: i64,
    pub(crate) event: bool,
    pub(crate) station: bool,
    pub(crate) territory: bool,
    pub(crate) flow: bool,
    pub(crate) file: bool,
    pub(crate) coarse: bool,
    pub(crate) aggregated: bool,
    pub(crate) reads_only: bool,
    pub(crate) suspended: bool,
}

/// What a suspension leaves: looking over the shoulders of others, and keeping what they did.
const GOES_ON: &str = " camera.list oversight.playback hold.set hold.release grant.view watchlist.summary statistics.view \
user.view user.count matrix.view retention.view retention.approve gated.approve partner.approve camera.retire.approve \
flow.view flow.stop audit.view audit.persons \
audit.export audit.count report.view report.comment health.view event.view break_glass.review complaint.handle \
subject_request.handle ";

/// The order in which a person is told why not.
const ORDER: [&str; 10] = [
    "suspended",
    "no_event",
    "no_police_station",
    "not_own_territory",
    "flow_inactive",
    "not_own_file",
    "only_masked",
    "only_aggregated",
    "read_only",
    "too_old",
];

/// The order in which lacks are listed.
const LACKS: [&str; 5] = ["purpose", "justification", "case", "second_person", "magistrate"];

/// Cells by `profile right relation`.
pub(crate) struct Oracle {
    cells: HashMap<String, Vec<String>>,
}

impl Oracle {
    /// Reads the text of the matrix. It trusts its form: the other reader is the one that must refuse a wrong file.
    pub(crate) fn read(text: &str) -> Self {
        let mut cells = HashMap::new();
        let mut right = String::new();
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with('#') {
                continue;
            }
            if let Some(rest) = line.strip_prefix("right") {
                right = between_quotes(rest);
            }
            let mut rest = line;
            while let Some(open) = rest.find('{') {
                let close = rest[open..].find('}').map_or(rest.len(), |at| open + at);
                let fields = &rest[open + 1..close];
                let profile = field(fields, "profile").expect("a cell has a profile");
                for relation in ["own", "shared", "other"] {
                    if let Some(words) = field(fields, relation) {
                        let words = words.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
                        cells.insert(format!("{profile} {right} {relation}"), words);
                    }
                }
                rest = &rest[close.min(rest.len() - 1) + 1..];
            }
        }
        Self { cells }
    }

    /// The cells' names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.cells.keys().cloned().collect();
        names.sort();
        names
    }

    /// The days that conditions of this cell name, for asking just before and after.
    pub(crate) fn days(&self, name: &str) -> Vec<i64> {
        let words = self.cells.get(name).map(Vec::as_slice).unwrap_or_default();
        words.iter().filter_map(|word| word.split_once('=')).filter_map(|(_, days)| days.parse().ok()).collect()
    }

    /// `allow`, `allow notify`, `missing a,b` or `deny reason`.
    pub(crate) fn say(&self, ask: &Ask) -> String {
        let name = format!("{} {} {}", ask.profile, ask.right, ask.relation);
        let Some(words) = self.cells.get(&name) else { return "deny not_in_table".into() };
        let mut against = BTreeSet::new();
        let mut lacks = BTreeSet::new();
        if ask.suspended && !GOES_ON.contains(&format!(" {} ", ask.right)) {
            against.insert("suspended");
        }
        let mut tell_owner = false;
        for word in words {
            let (stem, days) = word.split_once('=').unwrap_or((word, "0"));
            let older = ask.age_us > days.parse::<i64>().expect("a number of days") * 24 * 60 * 60 * 1_000_000;
            match stem {
                "yes" => {}
                "justification" => {
                    if !ask.purpose {
                        lacks.insert("purpose");
                    }
                    if !is_a_reason(ask.justification) {
                        lacks.insert("justification");
                    }
                }
                "case" if !is_a_number(ask.case) => drop(lacks.insert("case")),
                "second_person" if !ask.second_person => drop(lacks.insert("second_person")),
                "second_person_after_days" if older && !ask.second_person => drop(lacks.insert("second_person")),
                "magistrate_after_days" if older && !is_a_number(ask.magistrate) => drop(lacks.insert("magistrate")),
                "event" if !ask.event => drop(against.insert("no_event")),
                "police_station" if !ask.station => drop(against.insert("no_police_station")),
                "own_territory" if !ask.territory => drop(against.insert("not_own_territory")),
                "flow" if !ask.flow => drop(against.insert("flow_inactive")),
                "own_file" if !ask.file => drop(against.insert("not_own_file")),
                "masked" if !ask.coarse => drop(against.insert("only_masked")),
                "aggregated" if !ask.aggregated => drop(against.insert("only_aggregated")),
                "read_only" if !ask.reads_only => drop(against.insert("read_only")),
                "age_max_days" if older => drop(against.insert("too_old")),
                "notify_owner" => tell_owner = true,
                "case"
                | "second_person"
                | "second_person_after_days"
                | "magistrate_after_days"
                | "event"
                | "police_station"
                | "own_territory"
                | "flow"
                | "own_file"
                | "masked"
                | "aggregated"
                | "read_only"
                | "age_max_days" => {}
                other => panic!("the oracle does not know `{other}`"),
            }
        }
        if let Some(reason) = ORDER.iter().find(|reason| against.contains(**reason)) {
            return format!("deny {reason}");
        }
        if !lacks.is_empty() {
            let list: Vec<&str> = LACKS.iter().copied().filter(|lack| lacks.contains(lack)).collect();
            return format!("missing {}", list.join(","));
        }
        if tell_owner { "allow notify".into() } else { "allow".into() }
    }
}

fn between_quotes(text: &str) -> String {
    text.split('"').nth(1).unwrap_or_default().to_owned()
}

/// The value of `name = "value"` among fields that are set apart by commas.
fn field(fields: &str, name: &str) -> Option<String> {
    fields.split(',').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key.trim() == name).then(|| between_quotes(value))
    })
}

/// At least ten characters between its outer blanks, of at least four kinds.
fn is_a_reason(text: Option<&str>) -> bool {
    let Some(text) = text else { return false };
    let kinds: BTreeSet<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    text.trim().chars().count() >= 10 && kinds.len() >= 4
}

/// At least three characters between its outer blanks.
fn is_a_number(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.trim().chars().count() >= 3)
}
