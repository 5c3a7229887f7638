//! The bounded ring of one stream: what the recorder has not acknowledged yet.
//!
//! Units go in when they arrive and out when the recorder acknowledged them. A restarted recorder gets everything again
//! from the last acknowledged unit on. When the ring is full, its oldest group of pictures goes as a whole: half a group
//! cannot be decoded. What goes without ever having been handed out, and what a dead recorder may have held, becomes a
//! [`Hole`].
//!
//! Belongs here: order, bounds, bookkeeping. Does not belong here: sockets, waiting.

use std::collections::VecDeque;
use std::sync::Arc;

use link::Cause;
use media::{AccessUnit, ParameterSets};
use vms_core::WallTime;

/// Most holes kept while no recorder listens; older ones are merged into one.
const HOLES_MAX: usize = 64;

/// Bookkeeping bytes of one unit beside its payload.
const UNIT_OVERHEAD: usize = 128;

/// Frames that will never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Arrival of the first lost unit, or the end of the last one before.
    pub from: WallTime,
    /// Arrival of the first unit after.
    pub to: WallTime,
    /// Why.
    pub cause: Cause,
}

/// One unit on its way.
#[derive(Clone, Debug)]
pub struct Item {
    /// The unit.
    pub unit: AccessUnit,
    /// What it needs.
    pub sets: Arc<ParameterSets>,
}

/// What to send next.
#[derive(Clone, Debug)]
pub enum Next {
    /// A unit.
    Unit(Item),
    /// A hole.
    Hole(Hole),
}

/// See the module.
#[derive(Debug)]
pub struct Ring {
    items: VecDeque<Item>,
    /// Units at the front that were sent on the present connection.
    sent: usize,
    bytes: usize,
    bytes_max: usize,
    holes: VecDeque<Hole>,
    /// Sent and dropped before the recorder acknowledged them: arrival of the first, (epoch, seq) of the last.
    unproven: Option<(WallTime, (u64, u64))>,
    /// The rest of a group whose beginning is gone: units until the next key frame are of no use. Since when, and why.
    skips_since: Option<(WallTime, Cause)>,
    dropped: u64,
}

impl Ring {
    /// An empty ring of at most `bytes_max` bytes.
    pub const fn new(bytes_max: usize) -> Self {
        Self {
            items: VecDeque::new(),
            sent: 0,
            bytes: 0,
            bytes_max,
            holes: VecDeque::new(),
            unproven: None,
            skips_since: None,
            dropped: 0,
        }
    }

    /// Units that were dropped without having been sent.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Units held.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Nothing is held.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes held.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a unit in; makes room for it if need be.
    pub fn push(&mut self, unit: AccessUnit, sets: Arc<ParameterSets>) {
        if let Some((from, cause)) = self.skips_since {
            if !unit.is_key {
                self.dropped = self.dropped.saturating_add(1);
                return;
            }
            self.skips_since = None;
            self.hole(Hole { from, to: unit.clocks.wall, cause });
        }
        let size = size_of_unit(&unit);
        while self.bytes.saturating_add(size) > self.bytes_max && !self.items.is_empty() {
            if !self.drop_group(&unit) {
                return;
            }
        }
        self.bytes = self.bytes.saturating_add(size);
        self.items.push_back(Item { unit, sets });
    }

    /// Drops the oldest group of pictures. False when that leaves `incoming` undecodable: it is then dropped too.
    fn drop_group(&mut self, incoming: &AccessUnit) -> bool {
        let end = self.items.iter().skip(1).position(|item| item.unit.is_key).map(|at| at + 1);
        let Some(end) = end else {
            // One group fills the ring. What was sent may go picture by picture; else the whole group is lost.
            if self.sent > 0 {
                self.drop_front(1, incoming.clocks.wall);
                return true;
            }
            let lost_from = self.items.front().map_or(incoming.clocks.wall, |item| item.unit.clocks.wall);
            self.drop_silently(self.items.len());
            if incoming.is_key {
                self.hole(Hole { from: lost_from, to: incoming.clocks.wall, cause: Cause::RingOverflow });
                return true;
            }
            self.dropped = self.dropped.saturating_add(1);
            self.skips_since = Some((lost_from, Cause::RingOverflow));
            return false;
        };
        let next = self.items.get(end).map_or(incoming.clocks.wall, |item| item.unit.clocks.wall);
        self.drop_front(end, next);
        true
    }

    /// Drops `count` units at the front; `next` is the arrival of what follows them.
    fn drop_front(&mut self, count: usize, next: WallTime) {
        let sent = self.sent.min(count);
        if let (Some(first), Some(last)) = (self.items.front(), sent.checked_sub(1).and_then(|at| self.items.get(at))) {
            let from = self.unproven.map_or(first.unit.clocks.wall, |(from, _)| from);
            self.unproven = Some((from, position(&last.unit)));
        }
        let lost_from = self.items.get(sent).filter(|_| sent < count).map(|item| item.unit.clocks.wall);
        self.drop_silently(count);
        if let Some(from) = lost_from {
            self.hole(Hole { from, to: next, cause: Cause::RingOverflow });
        }
    }

    fn drop_silently(&mut self, count: usize) {
        for _ in 0..count {
            let Some(item) = self.items.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(size_of_unit(&item.unit));
            if self.sent > 0 {
                self.sent -= 1;
            } else {
                self.dropped = self.dropped.saturating_add(1);
            }
        }
    }

    /// Notes a hole to tell the recorder of. Neighbours of the same cause become one; when there are too many, the two
    /// oldest do.
    pub fn hole(&mut self, hole: Hole) {
        if let Some(last) = self.holes.back_mut()
            && last.cause == hole.cause
            && last.to >= hole.from
        {
            last.to = last.to.max(hole.to);
            return;
        }
        if self.holes.len() >= HOLES_MAX
            && let Some(oldest) = self.holes.pop_front()
            && let Some(next) = self.holes.front_mut()
        {
            next.from = oldest.from.min(next.from);
        }
        self.holes.push_back(hole);
    }

    /// What the recorder should get next: holes first, they are rare and short.
    pub fn next_out(&mut self) -> Option<Next> {
        if let Some(hole) = self.holes.pop_front() {
            return Some(Next::Hole(hole));
        }
        let item = self.items.get(self.sent)?.clone();
        self.sent += 1;
        Some(Next::Unit(item))
    }

    /// Whether [`Ring::next_out`] has something.
    pub fn has_next(&self) -> bool {
        !self.holes.is_empty() || self.sent < self.items.len()
    }

    /// The recorder keeps everything up to and including this unit. A recorder that finds more on its disk than it had
    /// acknowledged before it died may say so before the units go out again.
    pub fn ack(&mut self, epoch: u64, seq: u64) {
        while self.items.front().is_some_and(|item| position(&item.unit) <= (epoch, seq)) {
            self.sent = self.sent.max(1);
            self.drop_silently(1);
        }
        if self.unproven.is_some_and(|(_, last)| last <= (epoch, seq)) {
            self.unproven = None;
        }
    }

    /// A new connection to the recorder: everything that was not acknowledged goes out again. Where units were dropped
    /// after they had been sent, the recorder may have died with them: that is a hole, and what follows it up to the next
    /// key frame belongs to it.
    pub fn rewind(&mut self) {
        self.sent = 0;
        let Some((from, _)) = self.unproven.take() else { return };
        while self.items.front().is_some_and(|item| !item.unit.is_key) {
            self.drop_silently(1);
        }
        match self.items.front().map(|item| item.unit.clocks.wall) {
            Some(to) => self.hole(Hole { from, to, cause: Cause::RecorderRestart }),
            // Nothing decodable is left: the hole goes on to the next key frame.
            None => self.skips_since = Some((from, Cause::RecorderRestart)),
        }
    }

    /// Forgets everything, for a stream that nobody asks for any more.
    pub fn clear(&mut self) {
        *self = Self { dropped: self.dropped, ..Self::new(self.bytes_max) };
    }
}

/// Epochs rise, and units are numbered within them.
const fn position(unit: &AccessUnit) -> (u64, u64) {
    (unit.epoch, unit.seq)
}

fn size_of_unit(unit: &AccessUnit) -> usize {
    unit.payload.len().saturating_add(UNIT_OVERHEAD)
}

#[cfg(test)]
mod tests;
