//! Holds: a segment key wrapped a second time, under the key of a hold, so that it outlives its hour key.

use std::collections::HashSet;

use vms_core::{HoldId, SegmentId, WallTime};

use crate::error::{Copy, KeyError, OpenSegmentError};
use crate::frame::ENTRIES_MAX;
use crate::ids::KeyEpoch;
use crate::keyring::{Inner, KeyRing};
use crate::secret::{Context, Secret, unwrap, wrap};
use crate::state::{Entry, Slot, Source};

/// What a hold took.
#[derive(Debug, Default)]
pub struct HoldReport {
    /// Segments that are under the hold from now on, synced in every copy that is there.
    pub held: usize,
    /// Segments that already were.
    pub already: usize,
    /// Segments that it came too late for, or whose key is not there, each with the reason.
    pub refused: Vec<(SegmentId, OpenSegmentError)>,
}

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Which hold.
    pub hold: HoldId,
    /// When.
    pub at: WallTime,
    /// Segments that were under it.
    pub segments: usize,
    /// Of these, those that no key opens any more: neither their hour key nor another hold.
    pub unreadable: usize,
    /// Copies that were missing and still have the wrap, until they are taken in again.
    pub missing: Vec<Copy>,
}

impl KeyRing {
    /// Puts segments under a hold. Safe against the sweeper in any order: what is reported as held stays readable until
    /// [`Self::release`]. May be called again with more segments, and after a crash with the same ones.
    ///
    /// # Errors
    /// [`KeyError::HoldReleased`], and as every write. After an error none, some or all may be held: ask again.
    pub fn hold(
        &self,
        hold: HoldId,
        segments: &[(SegmentId, KeyEpoch)],
        now: WallTime,
    ) -> Result<HoldReport, KeyError> {
        let mut inner = self.lock();
        inner.must_write()?;
        if inner.state.is_released(hold) {
            return Err(KeyError::HoldReleased { hold });
        }
        let mut report = HoldReport::default();
        let mut pending = HashSet::new();
        let (mut entries, hold_key) = inner.begin_hold(hold, now)?;
        for (segment, epoch) in segments {
            let known = inner.state.held_under(hold, *segment).map(|wrap| wrap.slot);
            if matches!(known, Some(Slot::Present(_))) || pending.contains(segment) {
                report.already += 1;
                continue;
            }
            if matches!(inner.state.source(*segment, *epoch), Source::Gated(_)) {
                // Nobody here opens it, so it cannot be wrapped a second time: its hour key stays instead.
                if inner.state.has_pin(*segment, hold, *epoch) {
                    report.already += 1;
                    continue;
                }
                entries.push(Entry::Pinned { hold, segment: *segment, epoch: *epoch });
                pending.insert(*segment);
                report.held += 1;
                continue;
            }
            let key = match inner.segment_key(*segment, *epoch) {
                Ok(key) => key,
                Err(OpenSegmentError::Store(error)) => return Err(error),
                Err(error) => {
                    report.refused.push((*segment, error));
                    continue;
                }
            };
            let context = Context::Held(hold, *epoch, *segment);
            let wrapped = wrap(&hold_key, &key, inner.head.store, &context, &*inner.random)?;
            entries.push(Entry::Held { hold, segment: *segment, epoch: *epoch, slot: Slot::Present(wrapped) });
            pending.insert(*segment);
            report.held += 1;
            if entries.len() >= ENTRIES_MAX {
                inner.commit(&std::mem::take(&mut entries))?;
            }
        }
        inner.commit(&entries)?;
        Ok(report)
    }

    /// Ends a hold: its key dies like an hour key does. What its hour key still opens stays readable until that dies.
    /// Asked again, it answers [`KeyError::HoldReleased`].
    ///
    /// # Errors
    /// [`KeyError::NoSuchHold`], [`KeyError::HoldReleased`], and as every write.
    pub fn release(&self, hold: HoldId, now: WallTime) -> Result<Release, KeyError> {
        let mut inner = self.lock();
        inner.must_write()?;
        // A release that a crash cut short may still owe the overwriting.
        inner.pay_owed()?;
        if inner.state.is_released(hold) {
            return Err(KeyError::HoldReleased { hold });
        }
        let entry = inner.state.plan_release(hold, now).ok_or(KeyError::NoSuchHold { hold })?;
        let under: Vec<(SegmentId, KeyEpoch)> =
            inner.state.held().filter(|(_, wrap)| wrap.hold == hold).map(|(id, wrap)| (id, wrap.epoch)).collect();
        let pinned = inner.state.pinned_under(hold);
        inner.commit(&[entry])?;
        inner.pay_owed()?;
        let unreadable = under.iter().filter(|(id, epoch)| !inner.state.source(*id, *epoch).is_open()).count();
        Ok(Release { hold, at: now, segments: under.len() + pinned, unreadable, missing: inner.missing_copies() })
    }

    /// Holds in force, each with its beginning.
    pub fn live_holds(&self) -> Vec<(HoldId, WallTime)> {
        self.lock().state.live_holds().map(|(hold, live)| (hold, live.made_at)).collect()
    }
}

impl Inner {
    /// The key of a live hold.
    pub(crate) fn hold_key(&self, hold: HoldId) -> Option<Secret> {
        let live = self.state.live_hold(hold)?;
        let Slot::Present(wrapped) = live.slot else { return None };
        unwrap(&self.root, &wrapped, self.head.store, &Context::Hold(self.head.domain, hold)).ok()
    }

    fn begin_hold(&self, hold: HoldId, now: WallTime) -> Result<(Vec<Entry>, Secret), KeyError> {
        if self.state.live_hold(hold).is_some() {
            let key = self.hold_key(hold).ok_or(KeyError::HoldDamaged { hold })?;
            return Ok((Vec::new(), key));
        }
        let key = Secret::random(&*self.random)?;
        let context = Context::Hold(self.head.domain, hold);
        let wrapped = wrap(&self.root, &key, self.head.store, &context, &*self.random)?;
        Ok((vec![Entry::HoldKey { hold, made_at: now, slot: Slot::Present(wrapped) }], key))
    }
}
