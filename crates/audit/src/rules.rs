//! What the leaves of a log must be among themselves, and with their details at hand.
//!
//! The rule of deletion: every segment that the log names has exactly one erasure in time, or a hold that names its camera and span.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tlog_tiles::tlog::{Hash, node_hash, record_hash};
use vms_core::{DecisionId, WallTime};

use crate::folder::{Fault, fault};
use crate::leaf::{Commitment, Leaf, LeafKind};

/// Leaves of different threads may stand in another order than their times by so much; more is a clock that was set back.
pub const BACK_US_MAX: i64 = 10_000_000;
/// How late an erasure may come after the end of the term: a sweep takes its time.
pub const LATE_US_MAX: i64 = 2 * 3_600_000_000;
/// How long a sweep may wait after a hold was released.
const AFTER_HOLD_US: i64 = 86_400_000_000;
/// Longest line of a details file, bytes.
pub const LINE_MAX: usize = 4 << 20;

#[derive(Debug)]
struct Known {
    kind: LeafKind,
    at: WallTime,
    decision: Option<DecisionId>,
    commitment: Commitment,
}

/// The leaves of a log, read in order.
#[derive(Debug, Default)]
pub struct Leaves {
    known: Vec<Known>,
    closed: BTreeSet<u64>,
    newest: Option<WallTime>,
}

impl Leaves {
    /// How many.
    pub fn len(&self) -> u64 {
        u64::try_from(self.known.len()).unwrap_or(u64::MAX)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The newest time that a leaf gives.
    pub fn newest(&self) -> Option<WallTime> {
        self.known.iter().map(|known| known.at).max()
    }

    fn at(&self, index: u64) -> Option<&Known> {
        self.known.get(usize::try_from(index).ok()?)
    }

    /// Takes the next leaf.
    ///
    /// # Errors
    /// [`Fault`] when it has no right form, goes back in time, or refers to what was not opened.
    pub fn push(&mut self, line: &[u8]) -> Result<(), Fault> {
        let index = self.len();
        let place = format!("leaf {index}");
        let text = std::str::from_utf8(line).map_err(|_| fault(&place, "malformed"))?;
        let leaf = Leaf::parse(text).map_err(|_| fault(&place, "malformed"))?;
        match self.newest {
            Some(newest) if leaf.at.micros_since(newest) < -BACK_US_MAX => {
                if leaf.kind != LeafKind::System {
                    return Err(fault(&place, "time goes back and no clock step is noted"));
                }
                self.newest = Some(leaf.at);
            }
            newest => self.newest = newest.max(Some(leaf.at)),
        }
        let goes_on = matches!(leaf.kind, LeafKind::Renew | LeafKind::Close);
        match leaf.refers {
            None if goes_on => return Err(fault(&place, "refers to no opening of its decision")),
            None => {}
            Some(_) if !goes_on => return Err(fault(&place, "refers to another leaf")),
            Some(opened) => {
                let opening = self.at(opened).filter(|known| known.kind == LeafKind::Open);
                if opening.is_none_or(|known| known.decision != leaf.decision) {
                    return Err(fault(&place, "refers to no opening of its decision"));
                }
                if self.closed.contains(&opened) {
                    return Err(fault(&place, &format!("the use of leaf {opened} was over")));
                }
                if leaf.kind == LeafKind::Close {
                    self.closed.insert(opened);
                }
            }
        }
        let Leaf { kind, at, decision, commitment, .. } = leaf;
        self.known.push(Known { kind, at, decision, commitment });
        Ok(())
    }

    /// Checks the details of every leaf, one line each ([`DetailLine`]): it opens its leaf's commitment, or names the leaf that says
    /// that it was forgotten. Then the rule of deletion, as of `now`.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn details(&self, lines: impl Iterator<Item = String>, now: WallTime) -> Result<Opened, Fault> {
        let mut forgotten = BTreeMap::new();
        let mut seen = 0;
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let mut footage = Footage::default();
        let mut told = BTreeMap::new();
        for (number, line) in lines.enumerate() {
            let place = format!("details, line {}", number + 1);
            let row: DetailLine = serde_json::from_str(&line).map_err(|_| fault(&place, "malformed"))?;
            if row.index != count(number) {
                return Err(fault(&format!("leaf {number}"), "its details are missing"));
            }
            // Copied after the checkpoint was signed: the next one says whether they hold.
            let Some(known) = self.at(row.index) else { break };
            seen = row.index.saturating_add(1);
            if let Some(by) = row.forgotten {
                forgotten.insert(row.index, by);
                continue;
            }
            let place = format!("leaf {}", row.index);
            if row.commitment() != Some(known.commitment) {
                return Err(fault(&place, "its details were changed"));
            }
            let said: Said = serde_json::from_str(&row.details).unwrap_or_default();
            if said.operation.as_deref() == Some("details_forgotten") {
                let leaves = said.details.get("leaves").cloned().unwrap_or_default();
                let named: BTreeSet<u64> =
                    serde_json::from_value(leaves).map_err(|_| fault(&place, "malformed details"))?;
                told.insert(row.index, named);
            }
            footage.take(row.index, known, said)?;
        }
        if seen < self.len() {
            return Err(fault(&format!("leaf {seen}"), "its details are missing"));
        }
        for (index, by) in &forgotten {
            if !told.get(by).is_some_and(|named: &BTreeSet<u64>| named.contains(index)) {
                return Err(fault(&format!("leaf {index}"), "no leaf says that its details were forgotten"));
            }
        }
        footage.check(now)?;
        let gone = u64::try_from(forgotten.len()).unwrap_or(0);
        let (segments, erased) = (count(footage.due.len()), count(footage.erased.len()));
        Ok(Opened { opened: self.len().saturating_sub(gone), forgotten: gone, segments, erased })
    }
}

/// One line of an export of details.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
pub struct DetailLine {
    /// Index of the leaf.
    #[serde(rename = "i")]
    pub index: u64,
    /// Salt, hexadecimal.
    #[serde(rename = "s", default, skip_serializing_if = "String::is_empty")]
    pub salt: String,
    /// Details, exactly as committed to.
    #[serde(rename = "d", default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// They were forgotten: the leaf that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<u64>,
}

impl DetailLine {
    fn commitment(&self) -> Option<Commitment> {
        let salt = crate::leaf::bytes_of_hex(&self.salt)?;
        Some(Commitment::to(&salt, self.details.as_bytes()))
    }
}

/// What the details showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Leaves whose details open.
    pub opened: u64,
    /// Leaves whose details were forgotten, as another leaf says.
    pub forgotten: u64,
    /// Segments that the log names.
    pub segments: u64,
    /// Of these, erased.
    pub erased: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    operation: Option<String>,
    details: serde_json::Value,
}

/// A segment as a batch leaf names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct SegmentTold {
    /// `seg_…`.
    pub segment: String,
    /// `str_…`.
    pub stream: String,
    /// `cam_…`; empty when the stream is no camera's any more.
    #[serde(default)]
    pub camera: String,
    /// First unit.
    pub from_us: i64,
    /// End of the last unit.
    pub to_us: i64,
    /// End of the term: erased by then, unless held.
    pub delete_by_us: i64,
    /// Digest of the closed segment, hexadecimal.
    pub digest: String,
}

/// The Merkle root over segments, hexadecimal: leaves are `SEGMENT DIGEST`, in the order told.
pub fn segments_root(segments: &[SegmentTold]) -> String {
    let mut row: Vec<Hash> =
        segments.iter().map(|one| record_hash(format!("{} {}", one.segment, one.digest).as_bytes())).collect();
    // RFC 6962: the largest power of two goes left; pairing row by row and carrying an odd last one up gives the same.
    while row.len() > 1 {
        row = row
            .chunks(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(node_hash(*left, *right)),
                [one] => Some(*one),
                _ => None,
            })
            .collect();
    }
    let root = row.first().copied().unwrap_or(tlog_tiles::tlog::EMPTY_HASH);
    root.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug, Deserialize)]
struct SegmentsTold {
    root: String,
    segments: Vec<SegmentTold>,
}

#[derive(Debug, Deserialize)]
struct ErasedTold {
    segments: Vec<ErasedOne>,
}

#[derive(Debug, Deserialize)]
struct ErasedOne {
    segment: String,
    erased_us: i64,
}

#[derive(Debug, Deserialize)]
struct HoldTold {
    hold: String,
    camera: String,
    state: String,
    from_us: i64,
    to_us: i64,
}

#[derive(Debug)]
struct Hold {
    told: HoldTold,
    released: Option<WallTime>,
}

#[derive(Debug, Default)]
struct Footage {
    due: BTreeMap<String, SegmentTold>,
    erased: BTreeMap<String, i64>,
    holds: BTreeMap<String, Hold>,
}

impl Footage {
    fn take(&mut self, index: u64, known: &Known, said: Said) -> Result<(), Fault> {
        let place = format!("leaf {index}");
        let malformed = || fault(&place, "malformed details");
        match (known.kind, said.operation.as_deref()) {
            (LeafKind::Batch, Some("segments")) => {
                let told: SegmentsTold = serde_json::from_value(said.details).map_err(|_| malformed())?;
                if segments_root(&told.segments) != told.root {
                    return Err(fault(&place, "its segments do not give its root"));
                }
                for one in told.segments {
                    let name = one.segment.clone();
                    if self.due.insert(name.clone(), one).is_some() {
                        return Err(fault(&place, &format!("segment {name} for the second time")));
                    }
                }
            }
            (LeafKind::Erase, Some("segments_erased")) => {
                let told: ErasedTold = serde_json::from_value(said.details).map_err(|_| malformed())?;
                for one in told.segments {
                    if self.erased.insert(one.segment.clone(), one.erased_us).is_some() {
                        return Err(fault(&place, &format!("segment {} erased a second time", one.segment)));
                    }
                }
            }
            (_, Some(word)) if word.starts_with("hold_") => {
                // Refused steps name a hold without its span.
                if let Ok(told) = serde_json::from_value::<HoldTold>(said.details) {
                    let before = self.holds.remove(&told.hold).and_then(|hold| hold.released);
                    let released = before.or((told.state == "released").then_some(known.at));
                    self.holds.insert(told.hold.clone(), Hold { told, released });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&self, now: WallTime) -> Result<(), Fault> {
        for (name, one) in &self.due {
            let gone = self.erased.get(name).copied().unwrap_or(now.micros);
            let mut end = one.delete_by_us;
            for hold in self.holds.values() {
                let told = &hold.told;
                if told.camera == one.camera && told.from_us < one.to_us && told.to_us > one.from_us {
                    let until = hold.released.map_or(now.micros, |at| at.micros.saturating_add(AFTER_HOLD_US));
                    end = end.max(until);
                }
            }
            if gone > end.saturating_add(LATE_US_MAX) {
                return Err(fault(&format!("segment {name}"), "not erased in time, and no hold names it"));
            }
        }
        Ok(())
    }
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_details(data: &[u8]) {
    let mut leaves = Leaves::default();
    let details = String::from_utf8_lossy(data);
    let line = |details: &str| {
        let commitment = Commitment::to(&[0; 32], details.as_bytes());
        let kind = LeafKind::Batch;
        Leaf { kind, at: WallTime::from_secs(1), decision: None, refers: None, commitment }.to_line()
    };
    drop(leaves.push(data));
    drop(leaves.push(line(&details).as_bytes()));
    let row =
        |index| DetailLine { index, salt: "00".repeat(32), details: details.clone().into_owned(), forgotten: None };
    let opened = serde_json::to_string(&row(leaves.len().saturating_sub(1))).unwrap_or_default();
    drop(leaves.details([opened].into_iter(), WallTime::from_secs(1)));
    drop(leaves.details(details.lines().map(str::to_owned), WallTime::from_secs(1)));
}
