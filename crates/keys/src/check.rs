//! Looking over the whole store: do the copies agree, and does every key open?

use std::collections::BTreeSet;

use vms_core::WallTime;

use crate::disk::read_if_there;
use crate::error::{Copy, KeyError};
use crate::frame::merge;
use crate::ids::{Generation, Hour, KeyEpoch};
use crate::keyfile::{self, KeyFile};
use crate::keyring::{CopyAt, Inner, KeyRing, keys_name};
use crate::open::hours_in;
use crate::secret::{Context, unwrap};
use crate::state::Slot;
use crate::wraps::{self, HourWraps};

/// How one copy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyReport {
    /// Which.
    pub copy: Copy,
    /// It was there when the store was opened.
    pub is_present: bool,
    /// Its journal is byte for byte what both copies together say.
    pub is_journal_whole: bool,
    /// Its root file opens and is the root in force.
    pub is_root_whole: bool,
    /// Pieces of wraps files that are no whole row, and files that are missing.
    pub bad_wraps: usize,
}

impl CopyReport {
    /// Nothing is wrong with it.
    pub const fn is_whole(&self) -> bool {
        self.is_present && self.is_journal_whole && self.is_root_whole && self.bad_wraps == 0
    }
}

/// How the store stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Root generation in force.
    pub generation: Generation,
    /// When it was made: older than a day means that rotations fail.
    pub generation_made_at: WallTime,
    /// Live hour keys.
    pub hours: usize,
    /// Destroyed hour keys that are remembered.
    pub destroyed: usize,
    /// Holds in force.
    pub holds: usize,
    /// Wraps of segments under holds.
    pub held: usize,
    /// Segment keys found in wraps files.
    pub segments: usize,
    /// Hour keys behind a gate.
    pub gated: usize,
    /// Hour keys behind a gate whose share under the root does not open.
    pub damaged_gated: Vec<KeyEpoch>,
    /// Live hour keys that open nothing any more.
    pub damaged_hours: Vec<KeyEpoch>,
    /// Wraps under holds that do not open.
    pub damaged_held: usize,
    /// Segment keys that do not open although their hour key lives.
    pub damaged_segments: usize,
    /// The oldest hour that still has a key, behind a gate or not.
    pub oldest: Option<Hour>,
    /// The copies.
    pub copies: Vec<CopyReport>,
}

impl CheckReport {
    /// Every key opens, and every copy is whole.
    pub fn is_whole(&self) -> bool {
        let keys = self.damaged_hours.is_empty()
            && self.damaged_gated.is_empty()
            && self.damaged_held == 0
            && self.damaged_segments == 0;
        keys && self.copies.iter().all(CopyReport::is_whole)
    }
}

impl KeyRing {
    /// Reads every copy again and opens every key: every hour, every hold, every held segment, and with `is_deep` every
    /// segment key too. Changes nothing. What one copy has wrong is mended from the other by opening the store again and by [`Self::repair`].
    ///
    /// # Errors
    /// [`KeyError::Damaged`] when the journal cannot be read from both copies together; [`KeyError::Io`].
    pub fn check(&self, is_deep: bool) -> Result<CheckReport, KeyError> {
        let mut inner = self.lock();
        let mut report = inner.check_state();
        let hours: BTreeSet<Hour> = inner.state.keyed_hours();
        report.copies = inner.check_copies(&hours)?;
        if is_deep {
            for hour in &hours {
                inner.check_segments(*hour, &mut report)?;
            }
        }
        Ok(report)
    }
}

impl KeyRing {
    /// Reads every file of wrapped segment keys and writes those anew that are not whole in every copy, from what the copies
    /// have together. Journal and root are mended at every opening. How many files were written.
    ///
    /// # Errors
    /// As every write.
    pub fn repair(&self) -> Result<usize, KeyError> {
        let mut inner = self.lock();
        inner.must_write()?;
        inner.mend_wraps(true)
    }
}

impl Inner {
    fn check_state(&self) -> CheckReport {
        let (store, domain) = (self.head.store, self.head.domain);
        let opens = |epoch: KeyEpoch, name, slot| match slot {
            Slot::Present(wrapped) => unwrap(&self.root, &wrapped, store, &Context::Hour(domain, epoch, name)).is_ok(),
            Slot::Blank | Slot::Damaged => false,
        };
        let damaged_hours =
            self.state.hours().filter(|(epoch, live)| !opens(*epoch, &live.name, live.slot)).map(|(epoch, _)| epoch);
        let shares = |epoch: KeyEpoch, name, slot| match slot {
            Slot::Present(wrapped) => unwrap(&self.root, &wrapped, store, &Context::Gated(domain, epoch, name)).is_ok(),
            Slot::Blank | Slot::Damaged => false,
        };
        let damaged_gated = self.state.all_gated().filter(|(epoch, gated)| !shares(*epoch, &gated.name, gated.slot));
        let damaged_held = self
            .state
            .live_holds()
            .map(|(hold, _)| {
                let key = self.hold_key(hold);
                let under = self.state.held().filter(|(_, wrap)| wrap.hold == hold);
                let bad = under.filter(|(segment, wrap)| match (&key, wrap.slot) {
                    (Some(key), Slot::Present(wrapped)) => {
                        unwrap(key, &wrapped, store, &Context::Held(hold, wrap.epoch, *segment)).is_err()
                    }
                    (Some(_), Slot::Blank | Slot::Damaged) | (None, _) => true,
                });
                bad.count()
            })
            .sum();
        let (hours, destroyed) = self.state.counts();
        CheckReport {
            generation: self.generation(),
            generation_made_at: self.head.made_at,
            hours,
            destroyed,
            holds: self.state.live_holds().count(),
            held: self.state.held().count(),
            segments: 0,
            gated: self.state.all_gated().count(),
            damaged_gated: damaged_gated.map(|(epoch, _)| epoch).collect(),
            damaged_hours: damaged_hours.collect(),
            damaged_held,
            damaged_segments: 0,
            oldest: self.state.keyed_hours().first().copied(),
            copies: Vec::new(),
        }
    }

    fn check_copies(&self, hours: &BTreeSet<Hour>) -> Result<Vec<CopyReport>, KeyError> {
        let image = self.image()?;
        if merge(&[&image]).is_err() {
            return Err(KeyError::Damaged { file: keys_name(self.head.domain), at: 0 });
        }
        let mut known = BTreeSet::new();
        for copy in self.copies.iter().filter(|copy| copy.is_present) {
            let names = self.disk.list(&copy.paths.store).map_err(|error| KeyError::io("the key store", error))?;
            known.extend(hours_in(&names).filter(|hour| hours.contains(hour)));
        }
        Ok(self.copies.iter().map(|copy| self.check_copy(copy, &image, &known)).collect())
    }

    fn check_copy(&self, copy: &CopyAt, image: &[u8], hours: &BTreeSet<Hour>) -> CopyReport {
        let read = |path: std::path::PathBuf| read_if_there(&*self.disk, &path).ok().flatten();
        let journal = read(copy.paths.store.join(keys_name(self.head.domain)));
        let root = read(copy.paths.root.join(keyfile::file_name(self.head.domain))).map(zeroize::Zeroizing::new);
        let root = root.and_then(|bytes| KeyFile::read(&bytes, &self.config.protection).ok());
        let bad = |hour: &Hour| match read(copy.paths.store.join(wraps::file_name(*hour))) {
            Some(image) => {
                let mut wraps = HourWraps::default();
                wraps.add(&image, self.head.store, *hour);
                wraps.bad_rows
            }
            None => 1,
        };
        CopyReport {
            copy: copy.which,
            is_present: copy.is_present,
            is_journal_whole: journal.as_deref() == Some(image),
            is_root_whole: root.is_some_and(|root| root.key.expose() == self.root.expose()),
            bad_wraps: if copy.is_present { hours.iter().map(bad).sum() } else { 0 },
        }
    }

    fn check_segments(&mut self, hour: Hour, report: &mut CheckReport) -> Result<(), KeyError> {
        let loaded = self.read_wraps(hour)?;
        for (segment, (epoch, wrapped)) in &loaded.wraps.rows {
            if self.state.hour(*epoch).is_none() {
                continue;
            }
            report.segments += 1;
            let context = Context::Segment(*epoch, *segment);
            let opened = self.hour_key(*epoch).ok().map(|key| unwrap(&key, wrapped, self.head.store, &context).is_ok());
            // A dead hour key is counted once, not once more for each of its segments.
            report.damaged_segments += usize::from(opened == Some(false));
        }
        Ok(())
    }
}
