//! What the key store says, as a function of its entries. No file, no clock, no cipher: wraps are opaque bytes here.
//!
//! The race between a hold and the sweeper is decided here: a segment is readable while its hour key lives, or while one hold
//! with a wrap of its own key lives. A hold only answers "held" once such a wrap is an entry, and destroying an hour key
//! never touches one. So no order of the two can take a held segment away; `tests/holds.rs` tries them all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use vms_core::{HoldId, SegmentId, WallTime};

use crate::gate::{GateNumber, SealedShare};
use crate::ids::{Hour, KeyEpoch, KeyName, Reason};
pub use crate::secret::Wrapped;

/// The place of a wrapped key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The wrap.
    Present(Wrapped),
    /// Overwritten with zeros.
    Blank,
    /// Neither: changed bytes.
    Damaged,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Present(_) => "Present",
            Self::Blank => "Blank",
            Self::Damaged => "Damaged",
        })
    }
}

/// One thing that happened to the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An hour key was made.
    HourKey {
        /// Its number.
        epoch: KeyEpoch,
        /// Its name.
        name: KeyName,
        /// When.
        made_at: WallTime,
        /// Under the root.
        slot: Slot,
    },
    /// An hour key was destroyed.
    Destroyed {
        /// Which.
        epoch: KeyEpoch,
        /// When.
        at: WallTime,
        /// Why.
        reason: Reason,
    },
    /// A hold began.
    HoldKey {
        /// Which.
        hold: HoldId,
        /// When.
        made_at: WallTime,
        /// Under the root.
        slot: Slot,
    },
    /// A segment came under a hold.
    Held {
        /// Which hold.
        hold: HoldId,
        /// Which segment.
        segment: SegmentId,
        /// Its hour key.
        epoch: KeyEpoch,
        /// The segment key under the key of the hold.
        slot: Slot,
    },
    /// A hold ended.
    Released {
        /// Which.
        hold: HoldId,
        /// When.
        at: WallTime,
    },
    /// The public half of a gate: what is moved from now on opens with the private half only.
    GateKey {
        /// Which.
        gate: GateNumber,
        /// When it was made.
        made_at: WallTime,
        /// X25519 public key.
        public: [u8; 32],
    },
    /// An hour key moved behind a gate. This one entry is the end of the ordinary wrap and the beginning of the gated one.
    GatedHour {
        /// Number of the hour key.
        epoch: KeyEpoch,
        /// Its name.
        name: KeyName,
        /// When the hour key was made.
        made_at: WallTime,
        /// When it moved.
        at: WallTime,
        /// Behind which gate.
        gate: GateNumber,
        /// The share that only the gate opens.
        sealed: SealedShare,
        /// The other share, under the root.
        slot: Slot,
    },
    /// A hold wants a segment whose hour key is behind a gate: that key does not die before the hold ends.
    Pinned {
        /// Which hold.
        hold: HoldId,
        /// Which segment.
        segment: SegmentId,
        /// Its hour key.
        epoch: KeyEpoch,
    },
}

impl Entry {
    /// The wrap that it carries.
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Self::HourKey { slot, .. }
            | Self::HoldKey { slot, .. }
            | Self::Held { slot, .. }
            | Self::GatedHour { slot, .. } => Some(*slot),
            Self::Destroyed { .. } | Self::Released { .. } | Self::GateKey { .. } | Self::Pinned { .. } => None,
        }
    }

    pub(crate) fn slot_mut(&mut self) -> Option<&mut Slot> {
        match self {
            Self::HourKey { slot, .. }
            | Self::HoldKey { slot, .. }
            | Self::Held { slot, .. }
            | Self::GatedHour { slot, .. } => Some(slot),
            Self::Destroyed { .. } | Self::Released { .. } | Self::GateKey { .. } | Self::Pinned { .. } => None,
        }
    }
}

/// A live hour key.
#[derive(Clone, Debug)]
pub struct LiveHour {
    /// Its name.
    pub name: KeyName,
    /// When it was made.
    pub made_at: WallTime,
    /// Its wrap.
    pub slot: Slot,
    /// Where the wrap lies in the file.
    pub(crate) place: u64,
}

/// An hour key behind a gate.
#[derive(Clone, Debug)]
pub struct GatedKey {
    /// Its name.
    pub name: KeyName,
    /// When it was made.
    pub made_at: WallTime,
    /// When it moved.
    pub moved_at: WallTime,
    /// Behind which gate.
    pub gate: GateNumber,
    /// The share that the gate opens.
    pub sealed: SealedShare,
    /// The share under the root.
    pub slot: Slot,
    pub(crate) place: u64,
}

/// The public half of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicGate {
    /// Which.
    pub gate: GateNumber,
    /// When it was made.
    pub made_at: WallTime,
    /// X25519 public key.
    pub public: [u8; 32],
}

/// A destroyed hour key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead {
    /// When.
    pub at: WallTime,
    /// Why.
    pub reason: Reason,
}

/// A live hold.
#[derive(Clone, Debug)]
pub struct LiveHold {
    /// Since when.
    pub made_at: WallTime,
    /// Its key's wrap.
    pub slot: Slot,
    pub(crate) place: u64,
}

/// One wrap of a segment key under a hold.
#[derive(Clone, Copy, Debug)]
pub struct HeldWrap {
    /// Under which hold.
    pub hold: HoldId,
    /// The hour key of the segment.
    pub epoch: KeyEpoch,
    /// The wrap.
    pub slot: Slot,
}

/// Which key opens a segment now.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Its hour key lives.
    Hour,
    /// Its hour key is behind this gate, whether a hold has the segment or not: a hold gives no right to see.
    Gated(GateNumber),
    /// The hour key is gone, but a hold lives.
    Hold(HeldWrap),
    /// Nothing opens it any more.
    Gone(Dead),
    /// No such hour key was ever here.
    Unknown,
}

impl Source {
    /// Whether a key is left.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Hour | Self::Gated(_) | Self::Hold(_))
    }
}

/// An entry that cannot follow those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry of the key store contradicts those before it")]
pub struct Contradiction;

/// All keys of a store.
#[derive(Clone, Debug, Default)]
pub struct State {
    hours: BTreeMap<KeyEpoch, LiveHour>,
    names: HashMap<KeyName, KeyEpoch>,
    dead: BTreeMap<KeyEpoch, Dead>,
    holds: BTreeMap<HoldId, LiveHold>,
    held: BTreeMap<SegmentId, Vec<HeldWrap>>,
    released: BTreeMap<HoldId, WallTime>,
    gates: BTreeMap<GateNumber, PublicGate>,
    gated: BTreeMap<KeyEpoch, GatedKey>,
    /// Segments of gated hours that a hold wants.
    pinned: BTreeSet<(SegmentId, HoldId, KeyEpoch)>,
    /// Places of wraps that are dead but not yet overwritten.
    owed: Vec<u64>,
}

impl State {
    /// Takes one entry; `place` is where its wrap lies in the file.
    ///
    /// # Errors
    /// [`Contradiction`]; nothing changed.
    pub fn apply(&mut self, entry: &Entry, place: u64) -> Result<(), Contradiction> {
        match entry {
            Entry::HourKey { epoch, name, made_at, slot } => {
                if self.knows(*epoch) || self.names.contains_key(name) {
                    return Err(Contradiction);
                }
                self.names.insert(name.clone(), *epoch);
                let live = LiveHour { name: name.clone(), made_at: *made_at, slot: *slot, place };
                self.hours.insert(*epoch, live);
            }
            Entry::Destroyed { epoch, at, reason } => {
                if let Some(live) = self.hours.remove(epoch) {
                    self.names.remove(&live.name);
                    if live.slot != Slot::Blank {
                        self.owed.push(live.place);
                    }
                } else if let Some(gated) = self.gated.remove(epoch) {
                    if gated.slot != Slot::Blank {
                        self.owed.push(gated.place);
                    }
                    self.pinned.retain(|(_, _, of)| of != epoch);
                } else if self.dead.contains_key(epoch) {
                    return Err(Contradiction);
                }
                self.dead.insert(*epoch, Dead { at: *at, reason: *reason });
            }
            Entry::HoldKey { hold, made_at, slot } => {
                if self.holds.contains_key(hold) || self.released.contains_key(hold) {
                    return Err(Contradiction);
                }
                self.holds.insert(*hold, LiveHold { made_at: *made_at, slot: *slot, place });
            }
            Entry::Held { hold, segment, epoch, slot } => {
                let is_whole = |wrap: &HeldWrap| matches!(wrap.slot, Slot::Present(_));
                if !self.holds.contains_key(hold) || self.held_under(*hold, *segment).is_some_and(is_whole) {
                    return Err(Contradiction);
                }
                let wraps = self.held.entry(*segment).or_default();
                wraps.retain(|wrap| wrap.hold != *hold);
                wraps.push(HeldWrap { hold: *hold, epoch: *epoch, slot: *slot });
            }
            Entry::Released { hold, at } => {
                if let Some(live) = self.holds.remove(hold) {
                    if live.slot != Slot::Blank {
                        self.owed.push(live.place);
                    }
                    self.held.retain(|_, wraps| {
                        wraps.retain(|wrap| wrap.hold != *hold);
                        !wraps.is_empty()
                    });
                    self.pinned.retain(|(_, of, _)| of != hold);
                } else if self.released.contains_key(hold) {
                    return Err(Contradiction);
                }
                self.released.insert(*hold, *at);
            }
            Entry::GateKey { gate, made_at, public } => {
                if self.gates.contains_key(gate) {
                    return Err(Contradiction);
                }
                self.gates.insert(*gate, PublicGate { gate: *gate, made_at: *made_at, public: *public });
            }
            Entry::GatedHour { .. } => self.apply_gated(entry, place)?,
            Entry::Pinned { hold, segment, epoch } => {
                if !self.holds.contains_key(hold) || !self.gated.contains_key(epoch) {
                    return Err(Contradiction);
                }
                self.pinned.insert((*segment, *hold, *epoch));
            }
        }
        Ok(())
    }

    fn apply_gated(&mut self, entry: &Entry, place: u64) -> Result<(), Contradiction> {
        let Entry::GatedHour { epoch, name, made_at, at, gate, sealed, slot } = entry else {
            return Err(Contradiction);
        };
        let is_known = self.dead.contains_key(epoch) || self.gated.contains_key(epoch);
        if is_known || !self.gates.contains_key(gate) {
            return Err(Contradiction);
        }
        if let Some(live) = self.hours.get(epoch) {
            if live.name != *name {
                return Err(Contradiction);
            }
            if live.slot != Slot::Blank {
                self.owed.push(live.place);
            }
            self.hours.remove(epoch);
            self.names.remove(name);
        }
        let (name, sealed) = (name.clone(), *sealed);
        let gated = GatedKey { name, made_at: *made_at, moved_at: *at, gate: *gate, sealed, slot: *slot, place };
        self.gated.insert(*epoch, gated);
        Ok(())
    }

    /// The live key of a name.
    pub fn epoch_of(&self, name: &KeyName) -> Option<KeyEpoch> {
        self.names.get(name).copied()
    }

    /// Whether the number was ever given.
    pub fn knows(&self, epoch: KeyEpoch) -> bool {
        self.hours.contains_key(&epoch) || self.gated.contains_key(&epoch) || self.dead.contains_key(&epoch)
    }

    /// Hours with a key that is not dead, behind a gate or not: their wraps of segment keys are needed.
    pub fn keyed_hours(&self) -> BTreeSet<Hour> {
        self.hours.keys().chain(self.gated.keys()).map(|epoch| epoch.hour()).collect()
    }

    /// An hour key behind a gate.
    pub fn gated(&self, epoch: KeyEpoch) -> Option<&GatedKey> {
        self.gated.get(&epoch)
    }

    /// All hour keys behind a gate, by number, which is by hour.
    pub fn all_gated(&self) -> impl Iterator<Item = (KeyEpoch, &GatedKey)> {
        self.gated.iter().map(|(epoch, gated)| (*epoch, gated))
    }

    /// Whether a hold wants a segment of a gated hour.
    pub fn is_pinned(&self, segment: SegmentId) -> bool {
        let from = (segment, HoldId::from_bytes([0; 16]), KeyEpoch::FIRST);
        self.pinned.range(from..).next().is_some_and(|(of, ..)| *of == segment)
    }

    /// Whether a hold wants anything of a gated hour.
    pub fn pins(&self, epoch: KeyEpoch) -> bool {
        self.pinned.iter().any(|(_, _, of)| *of == epoch)
    }

    /// How many segments a hold wants behind the gate.
    pub fn pinned_under(&self, hold: HoldId) -> usize {
        self.pinned.iter().filter(|(_, of, _)| *of == hold).count()
    }

    pub(crate) fn has_pin(&self, segment: SegmentId, hold: HoldId, epoch: KeyEpoch) -> bool {
        self.pinned.contains(&(segment, hold, epoch))
    }

    /// The gate that hours move behind now: the newest.
    pub fn gate(&self) -> Option<PublicGate> {
        self.gates.values().next_back().copied()
    }

    /// All gates, the oldest first.
    pub fn gates(&self) -> impl Iterator<Item = PublicGate> {
        self.gates.values().copied()
    }

    /// One gate.
    pub fn gate_of(&self, number: GateNumber) -> Option<PublicGate> {
        self.gates.get(&number).copied()
    }

    /// A live hour key.
    pub fn hour(&self, epoch: KeyEpoch) -> Option<&LiveHour> {
        self.hours.get(&epoch)
    }

    /// All live hour keys, by number, which is by hour.
    pub fn hours(&self) -> impl Iterator<Item = (KeyEpoch, &LiveHour)> {
        self.hours.iter().map(|(epoch, live)| (*epoch, live))
    }

    /// How many hour keys live, and how many have been destroyed and are remembered.
    pub fn counts(&self) -> (usize, usize) {
        (self.hours.len(), self.dead.len())
    }

    /// When and why a key died.
    pub fn dead(&self, epoch: KeyEpoch) -> Option<Dead> {
        self.dead.get(&epoch).copied()
    }

    /// A live hold.
    pub fn live_hold(&self, hold: HoldId) -> Option<&LiveHold> {
        self.holds.get(&hold)
    }

    /// All live holds.
    pub fn live_holds(&self) -> impl Iterator<Item = (HoldId, &LiveHold)> {
        self.holds.iter().map(|(hold, live)| (*hold, live))
    }

    /// Whether a hold ended.
    pub fn is_released(&self, hold: HoldId) -> bool {
        self.released.contains_key(&hold)
    }

    /// The wrap of a segment under one hold.
    pub fn held_under(&self, hold: HoldId, segment: SegmentId) -> Option<&HeldWrap> {
        self.held.get(&segment)?.iter().find(|wrap| wrap.hold == hold)
    }

    /// All wraps of one segment under holds.
    pub fn held_by(&self, segment: SegmentId) -> &[HeldWrap] {
        self.held.get(&segment).map_or(&[], Vec::as_slice)
    }

    /// All segments under holds, each with each of its wraps.
    pub fn held(&self) -> impl Iterator<Item = (SegmentId, &HeldWrap)> {
        self.held.iter().flat_map(|(segment, wraps)| wraps.iter().map(|wrap| (*segment, wrap)))
    }

    /// Which key opens a segment now.
    pub fn source(&self, segment: SegmentId, epoch: KeyEpoch) -> Source {
        if self.hours.contains_key(&epoch) {
            return Source::Hour;
        }
        if let Some(gated) = self.gated.get(&epoch) {
            return Source::Gated(gated.gate);
        }
        let mut fitting = self.held_by(segment).iter().filter(|wrap| wrap.epoch == epoch);
        let whole = fitting.clone().find(|wrap| matches!(wrap.slot, Slot::Present(_)));
        match (whole.or_else(|| fitting.next()), self.dead.get(&epoch)) {
            (Some(wrap), _) => Source::Hold(*wrap),
            (None, Some(dead)) => Source::Gone(*dead),
            (None, None) => Source::Unknown,
        }
    }

    /// The entries that destroy these keys; those that are gone already are left out, so it may be asked again, and so are gated
    /// ones that a hold wants.
    pub fn plan_destroy(&self, epochs: &[KeyEpoch], at: WallTime, reason: Reason) -> Vec<Entry> {
        let dies = |epoch: &&KeyEpoch| {
            self.hours.contains_key(epoch) || (self.gated.contains_key(epoch) && !self.pins(**epoch))
        };
        let live = epochs.iter().filter(dies);
        live.map(|epoch| Entry::Destroyed { epoch: *epoch, at, reason }).collect()
    }

    /// The entry that ends a hold; `None` when it does not live.
    pub fn plan_release(&self, hold: HoldId, at: WallTime) -> Option<Entry> {
        self.holds.contains_key(&hold).then_some(Entry::Released { hold, at })
    }

    /// Places of dead wraps that still have to be overwritten.
    pub(crate) fn owed(&self) -> &[u64] {
        &self.owed
    }

    pub(crate) fn owed_is_paid(&mut self) {
        self.owed.clear();
    }

    /// The entries of a fresh file that says the same: live and gated keys (with their wraps as they are), holds, and those deaths and
    /// releases that are younger than `remember_from`.
    pub fn snapshot(&self, remember_from: WallTime) -> Vec<Entry> {
        let dead = self.dead.iter().filter(|(_, dead)| dead.at >= remember_from);
        let dead = dead.map(|(epoch, dead)| Entry::Destroyed { epoch: *epoch, at: dead.at, reason: dead.reason });
        let released = self.released.iter().filter(|(_, at)| **at >= remember_from);
        let released = released.map(|(hold, at)| Entry::Released { hold: *hold, at: *at });
        let hours = self.hours.iter().map(|(epoch, live)| Entry::HourKey {
            epoch: *epoch,
            name: live.name.clone(),
            made_at: live.made_at,
            slot: live.slot,
        });
        let holds = self.holds.iter().map(|(hold, live)| Entry::HoldKey {
            hold: *hold,
            made_at: live.made_at,
            slot: live.slot,
        });
        let held = self.held().map(|(segment, wrap)| Entry::Held {
            hold: wrap.hold,
            segment,
            epoch: wrap.epoch,
            slot: wrap.slot,
        });
        let gates = self.gates.values().map(|PublicGate { gate, made_at, public }| Entry::GateKey {
            gate: *gate,
            made_at: *made_at,
            public: *public,
        });
        let gated = self.gated.iter().map(|(epoch, gated)| Entry::GatedHour {
            epoch: *epoch,
            name: gated.name.clone(),
            made_at: gated.made_at,
            at: gated.moved_at,
            gate: gated.gate,
            sealed: gated.sealed,
            slot: gated.slot,
        });
        let pinned = self.pinned.iter().map(|(segment, hold, epoch)| Entry::Pinned {
            hold: *hold,
            segment: *segment,
            epoch: *epoch,
        });
        dead.chain(released).chain(gates).chain(hours).chain(gated).chain(holds).chain(held).chain(pinned).collect()
    }
}
