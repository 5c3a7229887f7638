//! Opening the store: find the newest whole generation, mend each copy from the other, finish what a crash cut short.
//!
//! Order of a rotation (`rotate.rs`) and what each cut leaves: a new root without its journal (it is shredded), a new journal in
//! one copy (it wins and is put into the other), an old root beside a whole new journal (it is shredded). So: the highest
//! journal wins, and its root was saved before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use vms_core::WallTime;

use crate::disk::{Disk, put, read_if_there, remove_if_there, shred};
use crate::error::{Copy, KeyError};
use crate::frame::{FileHead, Merged, file_bytes, merge, offset, read_head};
use crate::ids::{Generation, Hour, KeyEpoch, StoreId};
use crate::keyfile::{self, KeyFile, KeyFileError, number_in};
use crate::keyring::{CopyAt, CopyPaths, Inner, KeyRing, KeyStoreConfig, keys_name};
use crate::secret::{Domain, Random, Secret};
use crate::state::State;
use crate::wraps;

/// How to open.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// Make a new store when every copy is empty. Without it an empty folder, such as a disk that is not mounted, is an error.
    pub may_create: bool,
    /// Change nothing: no mending, no new keys, no destroying.
    pub is_read_only: bool,
    /// Begin a new generation with fresh files. After a write failed: a file that reported an error is never synced again.
    pub is_fresh: bool,
    /// Build this copy anew from the other one: a new disk.
    pub adopt: Option<Copy>,
    /// Leave this copy alone, as if it were not there: its disk can be read but not written.
    pub without: Option<Copy>,
}

/// What lies in the copies.
struct Found {
    domain: Domain,
    merged: Merged,
    root: KeyFile,
}

impl KeyRing {
    /// Opens the store.
    ///
    /// # Errors
    /// [`KeyError`]: `NoCopy`, `Damaged`, `NoRoot`, `WrongCredential`, `OtherStore`, `Locked`, `CopyFailed`, `Io`.
    pub fn open(
        disk: Arc<dyn Disk>,
        random: Arc<dyn Random>,
        config: KeyStoreConfig,
        options: OpenOptions,
        now: WallTime,
    ) -> Result<Self, KeyError> {
        let mut copies = find_copies(&*disk, &config, options.without);
        if copies.iter().all(|copy| !copy.is_present) {
            if !options.may_create || options.is_read_only {
                return Err(KeyError::NoCopy);
            }
            make_folders(&*disk, &copies)?;
        }
        let mut locks = Vec::new();
        if !options.is_read_only {
            if let Some(copy) = copies.iter().find(|copy| Some(copy.which) == options.adopt && !copy.is_present) {
                make_folders(&*disk, std::slice::from_ref(copy))?;
            }
            let wants = |copy: &&CopyAt| {
                copy.is_present || options.adopt == Some(copy.which) || copies.iter().all(|copy| !copy.is_present)
            };
            for copy in copies.iter().filter(wants) {
                locks.push(take_lock(&*disk, copy)?);
            }
        }
        if copies.iter().all(|copy| !copy.is_present) {
            create(&*disk, &*random, &config, &copies, now)?;
            copies.iter_mut().for_each(|copy| copy.is_present = true);
        }
        let found = find(&*disk, &config, &mut copies)?;
        let mut inner = inner_of(disk, random, config, copies, found, locks)?;
        if options.is_read_only {
            inner.is_read_only = true;
            return Ok(Self::from_inner(inner));
        }
        if let Some(copy) = inner.copies.iter_mut().find(|copy| Some(copy.which) == options.adopt) {
            copy.is_present = true;
        }
        inner.mend()?;
        // One copy alone goes on in a generation of its own, so that a copy which comes back is known to be behind.
        if options.is_fresh || !inner.missing_copies().is_empty() {
            inner.rotate(now)?;
        }
        Ok(Self::from_inner(inner))
    }
}

/// Whether every copy that the configuration names has a store and can be written now: asked before a store that lost a copy is
/// opened again. Writes and removes a small file in each folder.
///
/// # Errors
/// [`KeyError::CopyMissing`], [`KeyError::CopyFailed`].
pub fn probe(disk: &dyn Disk, config: &KeyStoreConfig) -> Result<(), KeyError> {
    for copy in find_copies(disk, config, None) {
        if !copy.is_present {
            return Err(KeyError::CopyMissing { copy: copy.which });
        }
        for dir in [&copy.paths.store, &copy.paths.root] {
            let path = dir.join("probe");
            let written = remove_if_there(disk, &path)
                .and_then(|_| disk.create(&path, b"belfry"))
                .and_then(|()| remove_if_there(disk, &path));
            written.map_err(|source| KeyError::CopyFailed { copy: copy.which, source })?;
        }
    }
    Ok(())
}

fn find_copies(disk: &dyn Disk, config: &KeyStoreConfig, without: Option<Copy>) -> Vec<CopyAt> {
    let present = |store: &std::path::Path| {
        let names = disk.list(store).unwrap_or_default();
        names.iter().any(|name| number_in(name, "keys-", ".bks").is_some())
    };
    let at = |(which, paths): (Copy, CopyPaths)| {
        let is_present = without != Some(which) && present(&paths.store);
        CopyAt { which, paths, is_present }
    };
    config.copies().into_iter().map(at).collect()
}

fn make_folders(disk: &dyn Disk, copies: &[CopyAt]) -> Result<(), KeyError> {
    for copy in copies {
        for dir in [&copy.paths.store, &copy.paths.root] {
            disk.make_dir(dir).map_err(|source| KeyError::CopyFailed { copy: copy.which, source })?;
        }
    }
    Ok(())
}

fn take_lock(disk: &dyn Disk, copy: &CopyAt) -> Result<Box<dyn std::fmt::Debug + Send + Sync>, KeyError> {
    disk.lock(&copy.paths.store.join("lock")).map_err(|source| {
        if source.kind() == io::ErrorKind::WouldBlock {
            return KeyError::Locked;
        }
        KeyError::CopyFailed { copy: copy.which, source }
    })
}

/// A new store: the root first, then the journal, which makes the copy count as present.
fn create(
    disk: &dyn Disk,
    random: &dyn Random,
    config: &KeyStoreConfig,
    copies: &[CopyAt],
    now: WallTime,
) -> Result<(), KeyError> {
    let mut store = StoreId([0; 16]);
    random.fill(&mut store.0)?;
    let domain = Domain::Root(1);
    let root = KeyFile { domain, store, made_at: now, key: Secret::random(random)? };
    let root_bytes = root.bytes(&config.protection, random)?;
    let (image, _) = file_bytes(store, domain, now, &[]);
    put_everywhere(disk, copies, |paths| (&paths.root, keyfile::file_name(domain)), &root_bytes)?;
    put_everywhere(disk, copies, |paths| (&paths.store, keys_name(domain)), &image)
}

pub(crate) fn put_everywhere(
    disk: &dyn Disk,
    copies: &[CopyAt],
    place: impl Fn(&CopyPaths) -> (&std::path::Path, String),
    bytes: &[u8],
) -> Result<(), KeyError> {
    for copy in copies {
        let (dir, name) = place(&copy.paths);
        put(disk, dir, &name, bytes).map_err(|source| KeyError::CopyFailed { copy: copy.which, source })?;
    }
    Ok(())
}

fn find(disk: &dyn Disk, config: &KeyStoreConfig, copies: &mut [CopyAt]) -> Result<Found, KeyError> {
    let mut numbers = BTreeSet::new();
    for copy in copies.iter().filter(|copy| copy.is_present) {
        let names = disk.list(&copy.paths.store).map_err(|error| KeyError::io("the key store", error))?;
        numbers.extend(names.iter().filter_map(|name| number_in(name, "keys-", ".bks")));
    }
    let domain = Domain::Root(*numbers.last().ok_or(KeyError::NoCopy)?);
    let name = keys_name(domain);
    let (mut images, mut unread) = (Vec::new(), None);
    for copy in copies.iter_mut().filter(|copy| copy.is_present) {
        match read_if_there(disk, &copy.paths.store.join(&name)) {
            Ok(image) => images.extend(image),
            // A disk that does not answer is a copy that is not there: the other one goes on.
            Err(error) => {
                copy.is_present = false;
                unread = Some(error);
            }
        }
    }
    if let Some(error) = unread.filter(|_| images.is_empty()) {
        return Err(KeyError::io("the key store", error));
    }
    let heads: Vec<FileHead> = images.iter().filter_map(|image| read_head(image)).collect();
    let first = heads.first().ok_or_else(|| KeyError::Damaged { file: name.clone(), at: 0 })?;
    if let Some(other) = heads.iter().find(|head| head.store != first.store) {
        return Err(KeyError::OtherStore { wanted: first.store, found: other.store });
    }
    if heads.iter().any(|head| head != first) || first.domain != domain {
        return Err(KeyError::Damaged { file: name, at: 0 });
    }
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let merged = merge(&images).map_err(|damage| KeyError::Damaged { file: name, at: damage.at })?;
    let root = find_root(disk, config, copies, domain, merged.head.store)?;
    Ok(Found { domain, merged, root })
}

fn find_root(
    disk: &dyn Disk,
    config: &KeyStoreConfig,
    copies: &[CopyAt],
    domain: Domain,
    store: StoreId,
) -> Result<KeyFile, KeyError> {
    let mut is_protected = false;
    for copy in copies {
        let Ok(Some(bytes)) = read_if_there(disk, &copy.paths.root.join(keyfile::file_name(domain))) else { continue };
        let bytes = zeroize::Zeroizing::new(bytes);
        match KeyFile::read(&bytes, &config.protection) {
            Ok(root) if root.store == store && root.domain == domain => return Ok(root),
            Ok(_) | Err(KeyFileError::Damaged) => {}
            Err(KeyFileError::Protected) => is_protected = true,
        }
    }
    if is_protected {
        return Err(KeyError::WrongCredential);
    }
    Err(KeyError::NoRoot { generation: Generation(domain.number()) })
}

fn inner_of(
    disk: Arc<dyn Disk>,
    random: Arc<dyn Random>,
    config: KeyStoreConfig,
    copies: Vec<CopyAt>,
    found: Found,
    locks: Vec<Box<dyn std::fmt::Debug + Send + Sync>>,
) -> Result<Inner, KeyError> {
    let mut state = State::default();
    for (entry, place) in &found.merged.entries {
        let damaged = |_| KeyError::Damaged { file: keys_name(found.domain), at: *place };
        state.apply(entry, *place).map_err(damaged)?;
    }
    Ok(Inner {
        disk,
        random,
        config,
        copies,
        head: found.merged.head,
        root: found.root.key,
        frames: found.merged.frames,
        len: offset(found.merged.image.len()),
        state,
        is_faulted: false,
        is_read_only: false,
        hour_keys: HashMap::new(),
        wraps: HashMap::new(),
        _locks: locks,
    })
}

impl Inner {
    /// Brings every copy that is there to the same whole state and finishes what was cut short.
    fn mend(&mut self) -> Result<(), KeyError> {
        let image = self.image()?;
        let file = KeyFile {
            domain: self.head.domain,
            store: self.head.store,
            made_at: self.head.made_at,
            key: self.root.clone(),
        };
        let protection = self.config.protection.clone();
        let root = file.bytes(&protection, &*self.random)?;
        let (domain, keys, root_name) =
            (self.head.domain, keys_name(self.head.domain), keyfile::file_name(self.head.domain));
        self.on_copies(|disk, paths| {
            disk.make_dir(&paths.root)?;
            let old = read_if_there(disk, &paths.root.join(&root_name))?.map(zeroize::Zeroizing::new);
            // Also rewritten when it lies there in clear although a credential guards the root now.
            let is_good = old.is_some_and(|old| {
                old.get(..PROTECTION_END) == root.get(..PROTECTION_END) && KeyFile::read(&old, &protection).is_ok()
            });
            if !is_good {
                shred(disk, &paths.root, &root_name)?;
                put(disk, &paths.root, &root_name, &root)?;
            }
            if read_if_there(disk, &paths.store.join(&keys))?.as_deref() != Some(&image[..]) {
                put(disk, &paths.store, &keys, &image)?;
            }
            Ok(())
        })?;
        self.on_copies(|disk, paths| clear_old(disk, paths, domain))?;
        self.pay_owed()?;
        self.mend_wraps(false)?;
        Ok(())
    }

    /// The bytes of the journal, from the copies as they lie.
    pub(crate) fn image(&self) -> Result<Vec<u8>, KeyError> {
        let name = keys_name(self.head.domain);
        let mut images = Vec::new();
        for copy in self.copies.iter().filter(|copy| copy.is_present) {
            let image = read_if_there(&*self.disk, &copy.paths.store.join(&name));
            images.extend(image.map_err(|source| KeyError::CopyFailed { copy: copy.which, source })?);
        }
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        Ok(merge(&images).map_err(|damage| KeyError::Damaged { file: name, at: damage.at })?.image)
    }

    /// Removes wraps whose hour has no live key, and gives each copy the whole rows of both. A crash can only have cut a
    /// file that was being written: of lengths that differ, or of one of the newest hours. `is_thorough` reads all.
    /// How many files were written anew.
    pub(crate) fn mend_wraps(&mut self, is_thorough: bool) -> Result<usize, KeyError> {
        let alive: BTreeSet<Hour> = self.state.keyed_hours();
        let mut lens: BTreeMap<Hour, Vec<u64>> = BTreeMap::new();
        for copy in self.copies.iter().filter(|copy| copy.is_present) {
            let failed = |source| KeyError::CopyFailed { copy: copy.which, source };
            for hour in hours_in(&self.disk.list(&copy.paths.store).map_err(failed)?) {
                let len = self.disk.len(&copy.paths.store.join(wraps::file_name(hour))).map_err(failed)?;
                lens.entry(hour).or_default().push(len);
            }
        }
        let copies = self.copies.iter().filter(|copy| copy.is_present).count();
        let newest: BTreeSet<Hour> = lens.keys().rev().take(NEWEST_HOURS).copied().collect();
        let mut mended = 0;
        for (hour, lens) in lens {
            if !alive.contains(&hour) {
                self.drop_wraps(hour)?;
                continue;
            }
            let first = lens.first().copied().unwrap_or(0);
            let is_even =
                lens.len() == copies && lens.iter().all(|len| *len == first) && wraps::next_row(first) == first;
            if is_even && !is_thorough && !newest.contains(&hour) {
                continue;
            }
            let loaded = self.read_wraps(hour)?;
            if is_even && loaded.wraps.bad_rows == 0 && loaded.wraps.rows.len() == loaded.rows_in_each() {
                continue;
            }
            let image = loaded.wraps.image(self.head.store, hour);
            self.on_copies(|disk, paths| put(disk, &paths.store, &wraps::file_name(hour), &image))?;
            self.wraps.remove(&hour);
            mended += 1;
        }
        Ok(mended)
    }

    /// Removes the wraps of an hour from every copy that is there.
    pub(crate) fn drop_wraps(&mut self, hour: Hour) -> Result<(), KeyError> {
        self.wraps.remove(&hour);
        self.on_copies(|disk, paths| {
            if remove_if_there(disk, &paths.store.join(wraps::file_name(hour)))? {
                disk.sync_dir(&paths.store)?;
            }
            Ok(())
        })
    }

    /// Those of the hours that have no live key any more.
    pub(crate) fn dead_hours(&self, epochs: &[KeyEpoch]) -> BTreeSet<Hour> {
        let alive: BTreeSet<Hour> = self.state.keyed_hours();
        epochs.iter().map(|epoch| epoch.hour()).filter(|hour| !alive.contains(hour)).collect()
    }

    /// From when on deaths are remembered.
    pub(crate) fn remember_from(&self, now: WallTime) -> WallTime {
        now.minus(self.config.remember.max(Duration::from_secs(3_600)))
    }
}

/// Hours whose wraps are read whole at every opening, newest first.
const NEWEST_HOURS: usize = 3;

/// Bytes of a key file up to and with the kind of its protection.
const PROTECTION_END: usize = 40;

pub(crate) fn hours_in(names: &[String]) -> impl Iterator<Item = Hour> {
    names.iter().filter_map(|name| number_in(name, "wraps-", ".bkw")).map(Hour::from_count)
}

/// Shreds every other root, then removes every other journal and what a crash left half made.
pub(crate) fn clear_old(disk: &dyn Disk, paths: &CopyPaths, domain: Domain) -> io::Result<()> {
    let number = domain.number();
    for name in disk.list(&paths.root)? {
        let base = name.strip_suffix(".tmp").unwrap_or(&name);
        let is_other = number_in(base, "root-", ".key").is_some_and(|found| found != number);
        let is_half = base != name && number_in(base, "root-", ".key").is_some();
        if is_other || is_half {
            shred(disk, &paths.root, &name)?;
        }
    }
    let mut is_changed = false;
    for name in disk.list(&paths.store)? {
        let base = name.strip_suffix(".tmp").unwrap_or(&name);
        let journal = number_in(base, "keys-", ".bks");
        let is_half = base != name && (journal.is_some() || number_in(base, "wraps-", ".bkw").is_some());
        if is_half || journal.is_some_and(|found| found != number) {
            is_changed |= remove_if_there(disk, &paths.store.join(&name))?;
        }
    }
    if is_changed { disk.sync_dir(&paths.store) } else { Ok(()) }
}
