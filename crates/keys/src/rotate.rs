//! Destroying hour keys, and the change of the root.
//!
//! A key dies in three steps: its death is written and synced (from then on the store answers "destroyed"), its wrap is
//! overwritten in place in every copy, and with the next change of the root every stale byte that a disk may still keep
//! of it, in spare blocks, snapshots or backups, is under a root that nobody has any more.

use vms_core::WallTime;

use crate::error::{Copy, KeyError};
use crate::frame::file_bytes;
use crate::ids::{Generation, KeyEpoch, KeyName, Reason};
use crate::keyfile::{self, KeyFile};
use crate::keyring::{CopyAt, Inner, KeyRing, keys_name};
use crate::open::{clear_old, put_everywhere};
use crate::secret::{Context, Domain, Random, Secret, unwrap, wrap};
use crate::state::{Entry, Slot, State};

/// One destroyed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestroyedKey {
    /// Its number, as in the heads of segments.
    pub epoch: KeyEpoch,
    /// Whose, which class, which hour.
    pub name: KeyName,
}

/// What was destroyed, when and why: for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destruction {
    /// When.
    pub at: WallTime,
    /// Why.
    pub reason: Reason,
    /// The keys.
    pub keys: Vec<DestroyedKey>,
    /// SHA-256 over store, time, reason and every key's number and name: one value for the leaf of a batch.
    pub digest: [u8; 32],
    /// The root generation in force. What a disk may keep of the wraps is dead when this generation is.
    pub generation: Generation,
    /// Copies that were not there. They still hold the wraps, until they come back and are mended, or are destroyed.
    pub missing: Vec<Copy>,
    /// Keys that were also chosen but are over the limit of this call: call again.
    pub remaining: usize,
}

/// A change of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The generation whose root was destroyed.
    pub from: Generation,
    /// The one in force now.
    pub to: Generation,
    /// When.
    pub at: WallTime,
    /// Hour keys and keys of holds that were wrapped anew.
    pub rewrapped: usize,
    /// Keys whose wrap is damaged in every copy.
    pub damaged: usize,
    /// Copies that were not there: they still hold the old root.
    pub missing: Vec<Copy>,
}

impl KeyRing {
    /// Destroys the hour keys that `select` chooses, at most `limit` of them, the oldest first. The term, the trust in the clock
    /// and the second person for odd batches are the caller's matter. Asked again it goes on where it stopped, also
    /// after a crash; what is gone is not destroyed twice.
    ///
    /// Held segments stay readable by their holds.
    ///
    /// # Errors
    /// As every write: [`KeyError::CopyFailed`], [`KeyError::Faulted`], [`KeyError::ReadOnly`]. After an error some may be
    /// destroyed: open again and ask again.
    pub fn destroy_hours(
        &self,
        select: &dyn Fn(&KeyName) -> bool,
        limit: usize,
        reason: Reason,
        now: WallTime,
    ) -> Result<Destruction, KeyError> {
        let mut inner = self.lock();
        inner.must_write()?;
        let chosen = inner.state.hours().filter(|(_, live)| select(&live.name)).map(|(epoch, _)| epoch).collect();
        inner.destroy(chosen, limit, reason, now)
    }

    /// As [`Self::destroy_hours`], chosen by number and also behind a gate: what a batch planned is destroyed, and nothing else. A
    /// gated key of which a hold wants something stays.
    ///
    /// # Errors
    /// As [`Self::destroy_hours`].
    pub fn destroy_epochs(
        &self,
        select: &dyn Fn(KeyEpoch) -> bool,
        limit: usize,
        reason: Reason,
        now: WallTime,
    ) -> Result<Destruction, KeyError> {
        let mut inner = self.lock();
        inner.must_write()?;
        let live = inner.state.hours().map(|(epoch, _)| epoch);
        let gated = inner.state.all_gated().map(|(epoch, _)| epoch).filter(|epoch| !inner.state.pins(*epoch));
        let mut chosen: Vec<KeyEpoch> = live.chain(gated).filter(|epoch| select(*epoch)).collect();
        chosen.sort_unstable();
        inner.destroy(chosen, limit, reason, now)
    }

    /// Changes the root: every live key is wrapped under a new one, the old one is destroyed. Once a day at least; once an
    /// hour costs little and shortens what a stolen disk can show.
    ///
    /// # Errors
    /// As every write. After an error open the store again: it goes on from the old root or the new one, never between.
    pub fn rotate(&self, now: WallTime) -> Result<Rotation, KeyError> {
        let mut inner = self.lock();
        inner.must_write()?;
        inner.rotate(now)
    }
}

impl Inner {
    pub(crate) fn destroy(
        &mut self,
        chosen: Vec<KeyEpoch>,
        limit: usize,
        reason: Reason,
        now: WallTime,
    ) -> Result<Destruction, KeyError> {
        let (now_dying, remaining) = chosen.split_at(limit.min(chosen.len()));
        let name = |epoch: &KeyEpoch| {
            let live = self.state.hour(*epoch).map(|live| &live.name);
            let name = live.or_else(|| self.state.gated(*epoch).map(|gated| &gated.name))?;
            Some(DestroyedKey { epoch: *epoch, name: name.clone() })
        };
        let keys: Vec<DestroyedKey> = now_dying.iter().filter_map(name).collect();
        let entries = self.state.plan_destroy(now_dying, now, reason);
        // From memory first: an error on the way must not leave a dying key in use.
        now_dying.iter().for_each(|epoch| drop(self.hour_keys.remove(epoch)));
        self.commit(&entries)?;
        self.pay_owed()?;
        for hour in self.dead_hours(now_dying) {
            self.drop_wraps(hour)?;
        }
        let digest = batch_digest(self.head.store.0, now, reason, &keys);
        let (generation, missing, remaining) = (self.generation(), self.missing_copies(), remaining.len());
        Ok(Destruction { at: now, reason, keys, digest, generation, missing, remaining })
    }

    pub(crate) fn rotate(&mut self, now: WallTime) -> Result<Rotation, KeyError> {
        let from = self.generation();
        let domain = Domain::Root(from.number().checked_add(1).ok_or(KeyError::Exhausted)?);
        let root = KeyFile { domain, store: self.head.store, made_at: now, key: Secret::random(&*self.random)? };
        let mut entries = self.state.snapshot(self.remember_from(now));
        let (rewrapped, damaged) = self.rewrap(&mut entries, domain, &root.key, &*self.random)?;
        let (image, places) = file_bytes(self.head.store, domain, now, &entries);
        let root_bytes = root.bytes(&self.config.protection, &*self.random)?;
        let mut state = State::default();
        for (entry, place) in entries.iter().zip(&places) {
            state.apply(entry, *place).map_err(|_| KeyError::Faulted)?;
        }
        let head = crate::frame::read_head(&image).ok_or(KeyError::Faulted)?;
        // From here on an error leaves the store faulted: the next opening decides which root is in force.
        self.is_faulted = true;
        let present: Vec<CopyAt> = self.copies.iter().filter(|copy| copy.is_present).cloned().collect();
        put_everywhere(&*self.disk, &present, |paths| (&paths.root, keyfile::file_name(domain)), &root_bytes)?;
        put_everywhere(&*self.disk, &present, |paths| (&paths.store, keys_name(domain)), &image)?;
        self.on_copies(|disk, paths| clear_old(disk, paths, domain))?;
        self.frames = u64::from(head.frames);
        self.len = crate::frame::offset(image.len());
        self.head = head;
        self.root = root.key;
        self.state = state;
        self.is_faulted = false;
        let missing = self.missing_copies();
        Ok(Rotation { from, to: self.generation(), at: now, rewrapped, damaged, missing })
    }

    /// Wraps the hour keys, shares of gated hour keys and hold keys among the entries under another key of the top.
    pub(crate) fn rewrap(
        &self,
        entries: &mut [Entry],
        domain: Domain,
        over: &Secret,
        random: &dyn Random,
    ) -> Result<(usize, usize), KeyError> {
        let (mut rewrapped, mut damaged) = (0, 0);
        let (store, old) = (self.head.store, self.head.domain);
        for entry in entries {
            let (before, after, slot) = match entry {
                Entry::HourKey { epoch, name, slot, .. } => {
                    (Context::Hour(old, *epoch, name), Context::Hour(domain, *epoch, name), slot)
                }
                Entry::GatedHour { epoch, name, slot, .. } => {
                    (Context::Gated(old, *epoch, name), Context::Gated(domain, *epoch, name), slot)
                }
                Entry::HoldKey { hold, slot, .. } => (Context::Hold(old, *hold), Context::Hold(domain, *hold), slot),
                Entry::Destroyed { .. }
                | Entry::Held { .. }
                | Entry::Released { .. }
                | Entry::GateKey { .. }
                | Entry::Pinned { .. } => continue,
            };
            let opened = match slot {
                Slot::Present(wrapped) => unwrap(&self.root, wrapped, store, &before).ok(),
                Slot::Blank | Slot::Damaged => None,
            };
            if let Some(key) = opened {
                *slot = Slot::Present(wrap(over, &key, store, &after, random)?);
                rewrapped += 1;
            } else {
                *slot = Slot::Damaged;
                damaged += 1;
            }
        }
        Ok((rewrapped, damaged))
    }
}

fn batch_digest(store: [u8; 16], at: WallTime, reason: Reason, keys: &[DestroyedKey]) -> [u8; 32] {
    let mut out = crate::codec::Writer::default();
    out.bytes(b"belfry key destruction v1");
    out.bytes(&store);
    out.time(at);
    out.u8(reason.code());
    for key in keys {
        out.u64(key.epoch.raw());
        out.name(&key.name);
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, out.as_slice());
    digest.as_ref().try_into().unwrap_or([0; 32])
}
