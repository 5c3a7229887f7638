//! Backups that die by themselves, and coming back from one.
//!
//! A backup is the journal with every hour key and hold key wrapped under the key of that backup instead of the root, and the
//! files of wrapped segment keys. The key of a backup lies elsewhere (`BackupPlan::keys`) and is destroyed when it is
//! `life` old, at most 72 h: from then on every copy of the backup, wherever it went, opens nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vms_core::WallTime;

use crate::codec::{CHECK_LEN, Reader, check};
use crate::disk::{Disk, put, read_if_there, remove_if_there, shred};
use crate::error::KeyError;
use crate::frame::{Merged, file_bytes, merge};
use crate::ids::{Hour, KeyName, Reason, StoreId};
use crate::keyfile::{self, KeyFile, Protection, number_in};
use crate::keyring::{Inner, KeyRing, KeyStoreConfig, keys_name};
use crate::open::{OpenOptions, hours_in, put_everywhere};
use crate::secret::{Context, Domain, Random, Secret, unwrap, wrap};
use crate::state::{Entry, Slot};
use crate::wraps;

/// No backup may be readable for longer than this (blueprint 4.2).
pub(crate) const LIFE_MAX: Duration = Duration::from_secs(72 * 3_600);

/// Where backups go and how long they live.
#[derive(Clone, Debug)]
pub struct BackupPlan {
    /// Folder of the backup itself. May be copied anywhere.
    pub folder: PathBuf,
    /// Folder of the keys of backups: not where the backup is, not where the store is, and never copied.
    pub keys: PathBuf,
    /// What guards the keys of backups.
    pub protection: Protection,
    /// Life of a backup; anything over 72 h counts as that.
    pub life: Duration,
}

/// What a backup did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Number of the backup, and of its key.
    pub number: u32,
    /// When it was made.
    pub at: WallTime,
    /// From when on it opens nothing, provided that [`KeyRing::backup`] or [`KeyRing::expire_backups`] runs then.
    pub dies_at: WallTime,
    /// Hour keys in it.
    pub hours: usize,
    /// Files of wrapped segment keys that were copied this time.
    pub wraps_copied: usize,
    /// Keys of older backups that were destroyed.
    pub expired: Vec<u32>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// The backup.
    pub number: u32,
    /// When it was made: what was begun later has no key.
    pub made_at: WallTime,
    /// Hour keys that live again.
    pub hours: usize,
    /// Hour keys that were past their term and were not taken over.
    pub past_term: usize,
    /// Keys that did not open.
    pub damaged: usize,
}

impl KeyRing {
    /// Makes a backup, and destroys the keys of those that are past their life.
    ///
    /// # Errors
    /// [`KeyError::Io`]; the store itself is not touched.
    pub fn backup(&self, plan: &BackupPlan, now: WallTime) -> Result<BackupReport, KeyError> {
        let inner = self.lock();
        let disk = &*inner.disk;
        let failed = |error| KeyError::io("the backup of the keys", error);
        disk.make_dir(&plan.folder).map_err(failed)?;
        disk.make_dir(&plan.keys).map_err(failed)?;
        let expired = expire(disk, plan, now)?;
        let number = 1 + numbers(disk, plan)?.last().copied().unwrap_or(0);
        let domain = Domain::Backup(number);
        let key = Secret::random(&*inner.random)?;
        let file = KeyFile { domain, store: inner.head.store, made_at: now, key };
        let mut entries = inner.state.snapshot(inner.remember_from(now));
        let (_, damaged) = inner.rewrap(&mut entries, domain, &file.key, &*inner.random)?;
        let (image, _) = file_bytes(inner.head.store, domain, now, &entries);
        let key_bytes = file.bytes(&plan.protection, &*inner.random)?;
        put(disk, &plan.keys, &keyfile::file_name(domain), &key_bytes).map_err(failed)?;
        put(disk, &plan.folder, &keys_name(domain), &image).map_err(failed)?;
        let wraps_copied = inner.copy_wraps(plan)?;
        clear_dead(disk, plan)?;
        let hours = inner.state.counts().0.saturating_sub(damaged);
        Ok(BackupReport { number, at: now, dies_at: now.plus(plan.life.min(LIFE_MAX)), hours, wraps_copied, expired })
    }

    /// Destroys the keys of backups that are past their life; their numbers. Run it at least hourly.
    ///
    /// # Errors
    /// [`KeyError::Io`].
    pub fn expire_backups(&self, plan: &BackupPlan, now: WallTime) -> Result<Vec<u32>, KeyError> {
        let inner = self.lock();
        for dir in [&plan.folder, &plan.keys] {
            inner.disk.make_dir(dir).map_err(|error| KeyError::io("the backup of the keys", error))?;
        }
        let expired = expire(&*inner.disk, plan, now)?;
        clear_dead(&*inner.disk, plan)?;
        Ok(expired)
    }
}

fn numbers(disk: &dyn Disk, plan: &BackupPlan) -> Result<BTreeSet<u32>, KeyError> {
    let failed = |error| KeyError::io("the backup of the keys", error);
    let mut found = BTreeSet::new();
    for name in disk.list(&plan.keys).map_err(failed)? {
        found.extend(number_in(&name, "backup-", ".key"));
    }
    for name in disk.list(&plan.folder).map_err(failed)? {
        found.extend(number_in(&name, "keys-", ".bkb"));
    }
    Ok(found)
}

/// When a key file says that it was made. Needs no credential: a key must be able to die without being opened.
fn made_at(bytes: &[u8]) -> Option<WallTime> {
    let (plain, sum) = bytes.get(..keyfile::FILE_LEN)?.split_at_checked(keyfile::FILE_LEN - CHECK_LEN)?;
    if check(&[plain]) != *sum {
        return None;
    }
    let mut reader = Reader::new(plain);
    reader.take(10)?;
    reader.domain()?;
    reader.take(16)?;
    reader.time()
}

fn expire(disk: &dyn Disk, plan: &BackupPlan, now: WallTime) -> Result<Vec<u32>, KeyError> {
    let failed = |error| KeyError::io("the keys of backups", error);
    let life = i64::try_from(plan.life.min(LIFE_MAX).as_micros()).unwrap_or(0);
    let mut expired = Vec::new();
    for name in disk.list(&plan.keys).map_err(failed)? {
        let base = name.strip_suffix(".tmp").unwrap_or(&name);
        let Some(number) = number_in(base, "backup-", ".key") else { continue };
        let bytes = disk.read(&plan.keys.join(&name)).map(zeroize::Zeroizing::new).map_err(failed)?;
        // A key from the future, or one that says nothing, has no known end: it goes now, and a new backup follows.
        let is_young = made_at(&bytes).is_some_and(|made| (0..life).contains(&now.micros_since(made)));
        if !is_young || base != name {
            shred(disk, &plan.keys, &name).map_err(failed)?;
            expired.push(number);
        }
    }
    expired.sort_unstable();
    Ok(expired)
}

/// Removes backups whose key is gone.
fn clear_dead(disk: &dyn Disk, plan: &BackupPlan) -> Result<(), KeyError> {
    let failed = |error| KeyError::io("the backup of the keys", error);
    let alive: BTreeSet<u32> =
        disk.list(&plan.keys).map_err(failed)?.iter().filter_map(|name| number_in(name, "backup-", ".key")).collect();
    for name in disk.list(&plan.folder).map_err(failed)? {
        if number_in(&name, "keys-", ".bkb").is_some_and(|number| !alive.contains(&number)) {
            remove_if_there(disk, &plan.folder.join(&name)).map_err(failed)?;
        }
    }
    disk.sync_dir(&plan.folder).map_err(failed)
}

impl Inner {
    /// Copies wraps files that are new or longer than the copy, and removes those of hours without a live key.
    fn copy_wraps(&self, plan: &BackupPlan) -> Result<usize, KeyError> {
        let failed = |error| KeyError::io("the backup of the keys", error);
        let alive: BTreeSet<Hour> = self.state.keyed_hours();
        for hour in hours_in(&self.disk.list(&plan.folder).map_err(failed)?) {
            if !alive.contains(&hour) {
                remove_if_there(&*self.disk, &plan.folder.join(wraps::file_name(hour))).map_err(failed)?;
            }
        }
        let mut copied = 0;
        for hour in alive {
            let name = wraps::file_name(hour);
            let in_store = self.copies.iter().filter(|copy| copy.is_present);
            let longest = in_store.filter_map(|copy| self.disk.len(&copy.paths.store.join(&name)).ok()).max();
            let Some(longest) = longest else { continue };
            if self.disk.len(&plan.folder.join(&name)).is_ok_and(|len| len >= longest) {
                continue;
            }
            let image = self.read_wraps(hour)?.wraps.image(self.head.store, hour);
            put(&*self.disk, &plan.folder, &name, &image).map_err(failed)?;
            copied += 1;
        }
        Ok(copied)
    }
}

/// Makes a store anew from the newest backup that opens. Every copy that `config` names has to be empty. `is_in_term` says
/// which hours may live: a key that died after the backup was made must not come back, so give it the terms of today.
/// The store that comes back is opened with [`KeyRing::open`].
///
/// # Errors
/// [`KeyError::Backup`] in plain words; [`KeyError::CopyFailed`]; [`KeyError::Io`].
pub fn restore(
    disk: &Arc<dyn Disk>,
    random: &Arc<dyn Random>,
    plan: &BackupPlan,
    config: &KeyStoreConfig,
    is_in_term: &dyn Fn(&KeyName) -> bool,
    now: WallTime,
) -> Result<RestoreReport, KeyError> {
    let closed = OpenOptions { is_read_only: true, ..OpenOptions::default() };
    match KeyRing::open(Arc::clone(disk), Arc::clone(random), config.clone(), closed, now) {
        Err(KeyError::NoCopy) => {}
        Ok(_) | Err(_) => return Err(KeyError::Backup { why: "there is a key store at the place to restore to" }),
    }
    let (file, merged) = newest(&**disk, plan)?;
    let store = file.store;
    // Above any number that the lost store can have reached, so that a copy of it which turns up later counts as behind.
    let number = Hour::of(now).count().checked_mul(16).ok_or(KeyError::Exhausted)?;
    let domain = Domain::Root(number);
    let root = KeyFile { domain, store, made_at: now, key: Secret::random(&**random)? };
    let mut report = RestoreReport {
        number: file.domain.number(),
        made_at: merged.head.made_at,
        hours: 0,
        past_term: 0,
        damaged: 0,
    };
    let entries = take_over(&file, &root, &merged, is_in_term, now, &**random, &mut report)?;
    let (image, _) = file_bytes(store, domain, now, &entries);
    let copies: Vec<_> = config
        .copies()
        .into_iter()
        .map(|(which, paths)| crate::keyring::CopyAt { which, paths, is_present: true })
        .collect();
    for copy in &copies {
        for dir in [&copy.paths.store, &copy.paths.root] {
            disk.make_dir(dir).map_err(|source| KeyError::CopyFailed { copy: copy.which, source })?;
        }
    }
    for name in disk.list(&plan.folder).map_err(|error| KeyError::io("the backup of the keys", error))? {
        if let Some(hour) = hours_in(std::slice::from_ref(&name)).next() {
            let image = disk.read(&plan.folder.join(&name)).map_err(|e| KeyError::io("the backup of the keys", e))?;
            put_everywhere(&**disk, &copies, |paths| (&paths.store, wraps::file_name(hour)), &image)?;
        }
    }
    let root_bytes = root.bytes(&config.protection, &**random)?;
    put_everywhere(&**disk, &copies, |paths| (&paths.root, keyfile::file_name(domain)), &root_bytes)?;
    put_everywhere(&**disk, &copies, |paths| (&paths.store, keys_name(domain)), &image)?;
    Ok(report)
}

/// The newest backup whose key and journal are whole.
fn newest(disk: &dyn Disk, plan: &BackupPlan) -> Result<(KeyFile, Merged), KeyError> {
    let mut why = "there is none";
    for number in numbers(disk, plan)?.into_iter().rev() {
        let domain = Domain::Backup(number);
        let failed = |error| KeyError::io("the backup of the keys", error);
        let key = read_if_there(disk, &plan.keys.join(keyfile::file_name(domain))).map_err(failed)?;
        let Some(key) = key.map(zeroize::Zeroizing::new) else {
            why = "its key was destroyed";
            continue;
        };
        let Ok(file) = KeyFile::read(&key, &plan.protection) else {
            why = "its key does not open";
            continue;
        };
        let image = read_if_there(disk, &plan.folder.join(keys_name(domain))).map_err(failed)?;
        match image.map(|image| merge(&[&image])) {
            Some(Ok(merged)) if merged.head.store == file.store && merged.head.domain == domain => {
                return Ok((file, merged));
            }
            Some(_) | None => why = "its bytes are damaged",
        }
    }
    Err(KeyError::Backup { why })
}

/// The entries of a backup, wrapped under a new root, without what is past its term.
fn take_over(
    file: &KeyFile,
    root: &KeyFile,
    merged: &Merged,
    is_in_term: &dyn Fn(&KeyName) -> bool,
    now: WallTime,
    random: &dyn Random,
    report: &mut RestoreReport,
) -> Result<Vec<Entry>, KeyError> {
    let mut entries = Vec::with_capacity(merged.entries.len());
    for (entry, _) in &merged.entries {
        let mut entry = entry.clone();
        let past = match &entry {
            Entry::HourKey { epoch, name, .. } if !is_in_term(name) => Some(*epoch),
            Entry::HourKey { .. }
            | Entry::Destroyed { .. }
            | Entry::HoldKey { .. }
            | Entry::Held { .. }
            | Entry::Released { .. }
            | Entry::GateKey { .. }
            // Whether a gated key is past its second term the sweeper decides, from the decision that moved it.
            | Entry::GatedHour { .. }
            | Entry::Pinned { .. } => None,
        };
        if let Some(epoch) = past {
            report.past_term += 1;
            entries.push(Entry::Destroyed { epoch, at: now, reason: Reason::Restored });
            continue;
        }
        let moved = match &mut entry {
            Entry::HourKey { epoch, name, slot, .. } => {
                report.hours += 1;
                let context = |domain| Context::Hour(domain, *epoch, name);
                move_wrap(slot, file, root, &context(file.domain), &context(root.domain), random)?
            }
            Entry::HoldKey { hold, slot, .. } => {
                let context = |domain| Context::Hold(domain, *hold);
                move_wrap(slot, file, root, &context(file.domain), &context(root.domain), random)?
            }
            Entry::GatedHour { epoch, name, slot, .. } => {
                report.hours += 1;
                let context = |domain| Context::Gated(domain, *epoch, name);
                move_wrap(slot, file, root, &context(file.domain), &context(root.domain), random)?
            }
            Entry::Destroyed { .. }
            | Entry::Held { .. }
            | Entry::Released { .. }
            | Entry::GateKey { .. }
            | Entry::Pinned { .. } => true,
        };
        report.damaged += usize::from(!moved);
        entries.push(entry);
    }
    Ok(entries)
}

fn move_wrap(
    slot: &mut Slot,
    from: &KeyFile,
    to: &KeyFile,
    before: &Context<'_>,
    after: &Context<'_>,
    random: &dyn Random,
) -> Result<bool, KeyError> {
    let store: StoreId = from.store;
    let opened = match slot {
        Slot::Present(wrapped) => unwrap(&from.key, wrapped, store, before).ok(),
        Slot::Blank | Slot::Damaged => None,
    };
    *slot = match &opened {
        Some(key) => Slot::Present(wrap(&to.key, key, store, after, random)?),
        None => Slot::Damaged,
    };
    Ok(opened.is_some())
}

/// Feeds foreign bytes to what reads a backup: its key file and its journal (fuzz target and corpus test).
pub fn fuzz_key_backup(data: &[u8]) {
    let is_dated = made_at(data).is_some();
    let (front, rest) = data.split_at_checked(keyfile::FILE_LEN).unwrap_or((data, &[]));
    if let (Ok(file), Ok(merged)) = (KeyFile::read(front, &Protection::FileMode), merge(&[rest])) {
        assert!(is_dated, "whatever opens should have a known end");
        drop((file, merged));
    }
}
