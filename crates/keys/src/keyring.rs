//! The open key store: making and finding keys.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vms_core::{SegmentId, WallTime};

use crate::disk::{Disk, read_if_there};
use crate::error::{Copy, KeyError, OpenSegmentError};
use crate::frame::{ENTRIES_MAX, FileHead, frame_bytes, offset};
use crate::ids::{Generation, Hour, KeyEpoch, KeyName, Reason, StoreId};
use crate::keyfile::Protection;
use crate::seal::{SealedWriterKey, SegmentOpener};
use crate::secret::{Context, Domain, Random, Secret, Wrapped, unwrap, wrap};
use crate::state::{Entry, HeldWrap, Slot, Source, State};
use crate::wraps::{self, HourWraps};

/// Opened hour keys kept in memory at most; over that all are forgotten and opened anew.
const HOUR_KEYS_MAX: usize = 8_192;
/// Hours whose wraps are kept in memory at most; over that the oldest goes.
const WRAP_HOURS_MAX: usize = 6;
/// Tries to find a free key number.
const EPOCH_TRIES: usize = 16;

/// Where one copy lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPaths {
    /// Folder of the journal and the wraps.
    pub store: PathBuf,
    /// Folder of the root file. Best on another medium than `store`.
    pub root: PathBuf,
}

/// Whether there is a second copy. There is no third answer: a second copy that cannot be written stops new keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecondCopy {
    /// On another disk or host.
    At(CopyPaths),
    /// The operator accepts one disk: when it dies, the keys die with the footage on it, and with all footage elsewhere.
    OneDisk,
}

/// How the store is kept.
#[derive(Clone, Debug)]
pub struct KeyStoreConfig {
    /// First copy.
    pub first: CopyPaths,
    /// Second copy.
    pub second: SecondCopy,
    /// What guards the root files.
    pub protection: Protection,
    /// How long a destroyed key is remembered, so that an old segment says "destroyed" and not "unknown".
    pub remember: Duration,
}

impl KeyStoreConfig {
    /// One copy in `folder`, guarded by the mode of its files; deaths are remembered for 40 days.
    pub fn on_one_disk(folder: &Path) -> Self {
        Self {
            first: CopyPaths { store: folder.join("store"), root: folder.join("root") },
            second: SecondCopy::OneDisk,
            protection: Protection::FileMode,
            remember: Duration::from_secs(40 * 86_400),
        }
    }

    /// In the order of writing: the second copy comes first.
    pub(crate) fn copies(&self) -> Vec<(Copy, CopyPaths)> {
        let second = match &self.second {
            SecondCopy::At(paths) => Some((Copy::Second, paths.clone())),
            SecondCopy::OneDisk => None,
        };
        second.into_iter().chain([(Copy::First, self.first.clone())]).collect()
    }
}

/// One copy at work.
#[derive(Clone, Debug)]
pub(crate) struct CopyAt {
    pub(crate) which: Copy,
    pub(crate) paths: CopyPaths,
    pub(crate) is_present: bool,
}

#[derive(Debug)]
pub(crate) struct LoadedWraps {
    pub(crate) wraps: HourWraps,
    /// Length of the file in each copy; `None`: no file.
    pub(crate) lens: Vec<Option<u64>>,
}

impl LoadedWraps {
    /// Rows that a whole file of the shortest length holds.
    pub(crate) fn rows_in_each(&self) -> usize {
        let rows = |len: &u64| len.saturating_sub(offset(wraps::HEADER_LEN)) / offset(wraps::ROW_LEN);
        self.lens.iter().flatten().map(rows).min().and_then(|rows| usize::try_from(rows).ok()).unwrap_or(0)
    }
}

pub(crate) struct Inner {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) config: KeyStoreConfig,
    pub(crate) copies: Vec<CopyAt>,
    pub(crate) head: FileHead,
    pub(crate) root: Secret,
    pub(crate) frames: u64,
    pub(crate) len: u64,
    pub(crate) state: State,
    pub(crate) is_faulted: bool,
    pub(crate) is_read_only: bool,
    pub(crate) hour_keys: HashMap<KeyEpoch, Secret>,
    pub(crate) wraps: HashMap<Hour, LoadedWraps>,
    /// Held for as long as the store is open.
    pub(crate) _locks: Vec<Box<dyn fmt::Debug + Send + Sync>>,
}

/// The open key store. One lock inside: every call is whole before the next begins.
pub struct KeyRing {
    inner: Mutex<Inner>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing(hidden)")
    }
}

impl KeyRing {
    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self { inner: Mutex::new(inner) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic half way through a write leaves `is_faulted` set, so the state behind a poisoned lock is still refused.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which store.
    pub fn store(&self) -> StoreId {
        self.lock().head.store
    }

    /// The root generation in force.
    pub fn generation(&self) -> Generation {
        self.lock().generation()
    }

    /// When the root generation in force was made.
    pub fn generation_made_at(&self) -> WallTime {
        self.lock().head.made_at
    }

    /// Copies that the configuration names and that were not there at the opening.
    pub fn missing_copies(&self) -> Vec<Copy> {
        self.lock().missing_copies()
    }

    /// Whether a write failed, so that the store has to be opened again before it can be written. Reading goes on.
    pub fn is_faulted(&self) -> bool {
        self.lock().is_faulted
    }

    /// Every copy is there, nothing failed, and it may be written: new keys can be made.
    pub fn is_whole(&self) -> bool {
        self.lock().must_save().is_ok()
    }

    /// Makes the hour keys that are not there yet, all in one write for up to 1,000. Call it some minutes before the hour,
    /// so that the turn of the hour costs the cameras nothing.
    ///
    /// # Errors
    /// As [`Self::begin_segment`].
    pub fn prepare_hours(&self, names: &[KeyName], now: WallTime) -> Result<(), KeyError> {
        let mut inner = self.lock();
        inner.must_save()?;
        inner.ensure_hours(names, now)
    }

    /// Makes the key of a new segment. When it returns, the wrapped key lies synced in every copy, the second copy first.
    ///
    /// # Errors
    /// [`KeyError::CopyFailed`] and [`KeyError::CopyMissing`]: a copy cannot be written; stop the camera, raise an alarm.
    /// [`KeyError::Faulted`]: open the store again. [`KeyError::SegmentExists`]: a segment is begun once.
    pub fn begin_segment(
        &self,
        name: &KeyName,
        segment: SegmentId,
        now: WallTime,
    ) -> Result<SealedWriterKey, KeyError> {
        let mut inner = self.lock();
        inner.must_save()?;
        inner.ensure_hours(std::slice::from_ref(name), now)?;
        let epoch = inner.state.epoch_of(name).ok_or(KeyError::Exhausted)?;
        let hour_key = match inner.hour_key(epoch) {
            Ok(key) => key,
            Err(OpenSegmentError::Store(error)) => return Err(error),
            // `ensure_hours` replaces what does not open, so that this cannot be reached with a sound store.
            Err(_) => return Err(KeyError::Faulted),
        };
        if inner.load_wraps(name.hour)?.wraps.rows.contains_key(&segment) {
            return Err(KeyError::SegmentExists { segment });
        }
        let key = Secret::random(&*inner.random)?;
        let context = Context::Segment(epoch, segment);
        let wrapped = wrap(&hour_key, &key, inner.head.store, &context, &*inner.random)?;
        inner.save_wrap(name.hour, segment, epoch, &wrapped)?;
        Ok(SealedWriterKey::new(segment, epoch, &key))
    }

    /// The key for sealing a segment that lies there in clear: made by the first call, the same one again after a crash. Numbers
    /// then serve a second time, which is safe for one reason only: the caller seals exactly the same bytes under them, taken from a closed
    /// file whose digest it has checked.
    ///
    /// # Errors
    /// As [`Self::begin_segment`]; [`KeyError::SegmentExists`] when its key belongs to another hour key.
    pub fn reseal_segment(
        &self,
        name: &KeyName,
        segment: SegmentId,
        now: WallTime,
    ) -> Result<SealedWriterKey, KeyError> {
        match self.begin_segment(name, segment, now) {
            Err(KeyError::SegmentExists { .. }) => {}
            made => return made,
        }
        let mut inner = self.lock();
        let (epoch, store) = (inner.state.epoch_of(name).ok_or(KeyError::SegmentExists { segment })?, inner.head.store);
        match inner.segment_key_by_hour(segment, epoch, store) {
            Ok(key) => Ok(SealedWriterKey::new(segment, epoch, &key)),
            Err(OpenSegmentError::Store(error)) => Err(error),
            Err(_) => Err(KeyError::SegmentExists { segment }),
        }
    }

    /// Finds the key of a segment, by what its clear head says.
    ///
    /// # Errors
    /// [`OpenSegmentError`].
    pub fn open_segment(&self, segment: SegmentId, epoch: KeyEpoch) -> Result<SegmentOpener, OpenSegmentError> {
        let mut inner = self.lock();
        let under_hold = matches!(inner.state.source(segment, epoch), Source::Hold(_));
        let key = inner.segment_key(segment, epoch)?;
        Ok(SegmentOpener::new(segment, &key, under_hold))
    }

    /// A search token: HMAC-SHA256 of `text` under a key that belongs to the hour key alone. Equal texts give equal tokens
    /// within one purpose, class and hour; when the hour key dies nobody can make or check one any more.
    ///
    /// # Errors
    /// [`OpenSegmentError`].
    pub fn token(&self, epoch: KeyEpoch, text: &[u8]) -> Result<[u8; 32], OpenSegmentError> {
        let mut inner = self.lock();
        if inner.state.hour(epoch).is_none() {
            return Err(inner.no_hour_key(epoch));
        }
        let tokens = inner.hour_key(epoch)?.derive(b"belfry search token v1", &[]);
        Ok(*tokens.derive(b"text", text).expose())
    }

    /// The live hour keys of hours before `hour`, oldest first.
    pub fn hours_before(&self, hour: Hour) -> Vec<(KeyEpoch, KeyName)> {
        let inner = self.lock();
        let old = inner.state.hours().take_while(|(epoch, _)| epoch.hour() < hour);
        old.map(|(epoch, live)| (epoch, live.name.clone())).collect()
    }

    /// Which key opens a segment now, without opening it.
    pub fn source(&self, segment: SegmentId, epoch: KeyEpoch) -> Source {
        self.lock().state.source(segment, epoch)
    }

    /// Whether a hold in force has this segment.
    pub fn is_held(&self, segment: SegmentId) -> bool {
        let inner = self.lock();
        !inner.state.held_by(segment).is_empty() || inner.state.is_pinned(segment)
    }

    /// The live hour keys, oldest first: number, name, when made.
    pub fn live_hours(&self) -> Vec<(KeyEpoch, KeyName, WallTime)> {
        self.lock().state.hours().map(|(epoch, live)| (epoch, live.name.clone(), live.made_at)).collect()
    }
}

impl Inner {
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.head.domain.number())
    }

    pub(crate) fn missing_copies(&self) -> Vec<Copy> {
        self.copies.iter().filter(|copy| !copy.is_present).map(|copy| copy.which).collect()
    }

    /// Whether anything may be changed.
    pub(crate) fn must_write(&self) -> Result<(), KeyError> {
        if self.is_read_only {
            return Err(KeyError::ReadOnly);
        }
        if self.is_faulted { Err(KeyError::Faulted) } else { Ok(()) }
    }

    /// Whether new keys may be made: every copy has to be there.
    pub(crate) fn must_save(&self) -> Result<(), KeyError> {
        self.must_write()?;
        match self.missing_copies().first() {
            Some(copy) => Err(KeyError::CopyMissing { copy: *copy }),
            None => Ok(()),
        }
    }

    /// Does the same to every copy that is there, the second first. An error leaves the store faulted.
    pub(crate) fn on_copies(
        &mut self,
        mut act: impl FnMut(&dyn Disk, &CopyPaths) -> io::Result<()>,
    ) -> Result<(), KeyError> {
        let was_faulted = std::mem::replace(&mut self.is_faulted, true);
        for copy in self.copies.iter().filter(|copy| copy.is_present) {
            act(&*self.disk, &copy.paths).map_err(|source| KeyError::CopyFailed { copy: copy.which, source })?;
        }
        self.is_faulted = was_faulted;
        Ok(())
    }

    pub(crate) fn keys_path(paths: &CopyPaths, head: &FileHead) -> PathBuf {
        paths.store.join(keys_name(head.domain))
    }

    /// Writes entries to every copy, then takes them in. At most [`ENTRIES_MAX`] are one frame; more are several.
    pub(crate) fn commit(&mut self, entries: &[Entry]) -> Result<(), KeyError> {
        for chunk in entries.chunks(ENTRIES_MAX) {
            let (bytes, places) = frame_bytes(&self.head, self.frames, chunk);
            let (head, at) = (self.head, self.len);
            self.on_copies(|disk, paths| disk.write_at(&Self::keys_path(paths, &head), &[(at, &bytes)]))?;
            for (entry, place) in chunk.iter().zip(places) {
                if self.state.apply(entry, at.saturating_add(place)).is_err() {
                    self.is_faulted = true;
                    return Err(KeyError::Faulted);
                }
            }
            self.frames += 1;
            self.len = at.saturating_add(offset(bytes.len()));
        }
        Ok(())
    }

    /// Overwrites the wraps of dead keys, in every copy that is there.
    pub(crate) fn pay_owed(&mut self) -> Result<(), KeyError> {
        const ZEROS: [u8; crate::secret::WRAPPED_LEN] = [0; crate::secret::WRAPPED_LEN];
        if self.state.owed().is_empty() {
            return Ok(());
        }
        let writes: Vec<(u64, &[u8])> = self.state.owed().iter().map(|place| (*place, &ZEROS[..])).collect();
        let head = self.head;
        self.on_copies(|disk, paths| disk.write_at(&Self::keys_path(paths, &head), &writes))?;
        self.state.owed_is_paid();
        Ok(())
    }

    pub(crate) fn ensure_hours(&mut self, names: &[KeyName], now: WallTime) -> Result<(), KeyError> {
        let (mut entries, mut made) = (Vec::new(), Vec::new());
        for name in names {
            if made.iter().any(|(_, known, _)| *known == name) {
                continue;
            }
            if let Some(epoch) = self.state.epoch_of(name) {
                if self.hour_key(epoch).is_ok() {
                    continue;
                }
                // Whatever it sealed is lost already; the hour must go on with another.
                entries.push(Entry::Destroyed { epoch, at: now, reason: Reason::Damaged });
            }
            let epoch = self.free_epoch(name.hour, &made)?;
            let key = Secret::random(&*self.random)?;
            let context = Context::Hour(self.head.domain, epoch, name);
            let wrapped = wrap(&self.root, &key, self.head.store, &context, &*self.random)?;
            entries.push(Entry::HourKey { epoch, name: name.clone(), made_at: now, slot: Slot::Present(wrapped) });
            made.push((epoch, name, key));
        }
        self.commit(&entries)?;
        for (epoch, _, key) in made {
            self.keep_hour_key(epoch, key);
        }
        Ok(())
    }

    fn free_epoch(&self, hour: Hour, made: &[(KeyEpoch, &KeyName, Secret)]) -> Result<KeyEpoch, KeyError> {
        for _ in 0..EPOCH_TRIES {
            let mut low = [0_u8; 4];
            self.random.fill(&mut low)?;
            let epoch = KeyEpoch::make(hour, u32::from_be_bytes(low));
            let free = |epoch: &KeyEpoch| !self.state.knows(*epoch) && made.iter().all(|(known, ..)| known != epoch);
            if let Some(epoch) = epoch.filter(free) {
                return Ok(epoch);
            }
        }
        Err(KeyError::Exhausted)
    }

    fn keep_hour_key(&mut self, epoch: KeyEpoch, key: Secret) {
        if self.hour_keys.len() >= HOUR_KEYS_MAX {
            self.hour_keys.clear();
        }
        self.hour_keys.insert(epoch, key);
    }

    /// Why there is no live hour key of this number.
    pub(crate) fn no_hour_key(&self, epoch: KeyEpoch) -> OpenSegmentError {
        if self.state.gated(epoch).is_some() {
            return OpenSegmentError::Gated;
        }
        self.state.dead(epoch).map_or(OpenSegmentError::UnknownEpoch, OpenSegmentError::Destroyed)
    }

    /// A live hour key, opened.
    pub(crate) fn hour_key(&mut self, epoch: KeyEpoch) -> Result<Secret, OpenSegmentError> {
        let live = self.state.hour(epoch).ok_or(OpenSegmentError::UnknownEpoch)?;
        if let Some(key) = self.hour_keys.get(&epoch) {
            return Ok(key.clone());
        }
        let Slot::Present(wrapped) = live.slot else { return Err(OpenSegmentError::Damaged) };
        let context = Context::Hour(self.head.domain, epoch, &live.name);
        let key = unwrap(&self.root, &wrapped, self.head.store, &context).map_err(|_| OpenSegmentError::Damaged)?;
        self.keep_hour_key(epoch, key.clone());
        Ok(key)
    }

    /// The key of a segment, from its hour key or from a hold.
    pub(crate) fn segment_key(&mut self, segment: SegmentId, epoch: KeyEpoch) -> Result<Secret, OpenSegmentError> {
        match self.state.source(segment, epoch) {
            Source::Hour => {
                let store = self.head.store;
                let by_hour = self.segment_key_by_hour(segment, epoch, store);
                // A damaged row is no reason to give up what a hold still opens.
                match (by_hour, self.any_hold(segment, epoch)) {
                    (Err(_), Some(wrap)) => self.segment_key_by_hold(segment, &wrap),
                    (answer, _) => answer,
                }
            }
            Source::Gated(_) => Err(OpenSegmentError::Gated),
            Source::Hold(wrap) => self.segment_key_by_hold(segment, &wrap),
            Source::Gone(dead) => Err(OpenSegmentError::Destroyed(dead)),
            Source::Unknown => Err(OpenSegmentError::UnknownEpoch),
        }
    }

    pub(crate) fn any_hold(&self, segment: SegmentId, epoch: KeyEpoch) -> Option<HeldWrap> {
        self.state.held_by(segment).iter().copied().find(|wrap| wrap.epoch == epoch)
    }

    fn segment_key_by_hour(
        &mut self,
        segment: SegmentId,
        epoch: KeyEpoch,
        store: StoreId,
    ) -> Result<Secret, OpenSegmentError> {
        let hour_key = self.hour_key(epoch)?;
        self.segment_key_under(segment, epoch, store, &hour_key)
    }

    /// The key of a segment under its hour key.
    pub(crate) fn segment_key_under(
        &mut self,
        segment: SegmentId,
        epoch: KeyEpoch,
        store: StoreId,
        hour_key: &Secret,
    ) -> Result<Secret, OpenSegmentError> {
        let loaded = self.load_wraps(epoch.hour())?;
        let row = loaded.wraps.rows.get(&segment).filter(|(known, _)| *known == epoch);
        let (_, wrapped) = row.copied().ok_or(OpenSegmentError::NotSaved)?;
        unwrap(hour_key, &wrapped, store, &Context::Segment(epoch, segment)).map_err(|_| OpenSegmentError::Damaged)
    }

    pub(crate) fn segment_key_by_hold(&self, segment: SegmentId, held: &HeldWrap) -> Result<Secret, OpenSegmentError> {
        let Slot::Present(wrapped) = held.slot else { return Err(OpenSegmentError::Damaged) };
        let hold_key = self.hold_key(held.hold).ok_or(OpenSegmentError::Damaged)?;
        let context = Context::Held(held.hold, held.epoch, segment);
        unwrap(&hold_key, &wrapped, self.head.store, &context).map_err(|_| OpenSegmentError::Damaged)
    }

    /// The wraps of an hour, from memory or from every copy that is there.
    pub(crate) fn load_wraps(&mut self, hour: Hour) -> Result<&LoadedWraps, KeyError> {
        if !self.wraps.contains_key(&hour) {
            if self.wraps.len() >= WRAP_HOURS_MAX
                && let Some(oldest) = self.wraps.keys().min().copied()
            {
                self.wraps.remove(&oldest);
            }
            let loaded = self.read_wraps(hour)?;
            self.wraps.insert(hour, loaded);
        }
        self.wraps.get(&hour).ok_or(KeyError::Faulted)
    }

    pub(crate) fn read_wraps(&self, hour: Hour) -> Result<LoadedWraps, KeyError> {
        let mut loaded = LoadedWraps { wraps: HourWraps::default(), lens: Vec::new() };
        let mut unread = None;
        for copy in &self.copies {
            let path = copy.paths.store.join(wraps::file_name(hour));
            let image = if copy.is_present { read_if_there(&*self.disk, &path) } else { Ok(None) };
            match image {
                Ok(image) => {
                    loaded.lens.push(image.as_ref().map(|image| offset(image.len())));
                    image.iter().for_each(|image| loaded.wraps.add(image, self.head.store, hour));
                }
                Err(error) => {
                    loaded.lens.push(None);
                    unread = Some(error);
                }
            }
        }
        match unread {
            // One copy that answers is enough for reading.
            Some(error) if loaded.lens.iter().all(Option::is_none) => {
                Err(KeyError::io("the wrapped segment keys", error))
            }
            Some(_) | None => Ok(loaded),
        }
    }

    fn save_wrap(
        &mut self,
        hour: Hour,
        segment: SegmentId,
        epoch: KeyEpoch,
        wrapped: &Wrapped,
    ) -> Result<(), KeyError> {
        let store = self.head.store;
        let row = wraps::row_bytes(store, hour, segment, epoch, wrapped);
        let lens = self.load_wraps(hour)?.lens.clone();
        let mut lens = lens.into_iter().zip(&self.copies).filter(|(_, copy)| copy.is_present).map(|(len, _)| len);
        let lens: Vec<Option<u64>> = lens.by_ref().collect();
        let mut turn = lens.iter();
        self.on_copies(|disk, paths| {
            let path = paths.store.join(wraps::file_name(hour));
            match turn.next().copied().flatten() {
                Some(len) => disk.write_at(&path, &[(wraps::next_row(len), &row)]),
                None => create_wraps(disk, &paths.store, &path, store, hour, &row),
            }
        })?;
        let is_present: Vec<bool> = self.copies.iter().map(|copy| copy.is_present).collect();
        if let Some(loaded) = self.wraps.get_mut(&hour) {
            loaded.wraps.rows.insert(segment, (epoch, *wrapped));
            for (len, _) in loaded.lens.iter_mut().zip(is_present).filter(|(_, is_present)| *is_present) {
                let at = len.map_or(offset(wraps::HEADER_LEN), wraps::next_row);
                *len = Some(at.saturating_add(offset(wraps::ROW_LEN)));
            }
        }
        Ok(())
    }
}

fn create_wraps(disk: &dyn Disk, dir: &Path, path: &Path, store: StoreId, hour: Hour, row: &[u8]) -> io::Result<()> {
    let mut image = wraps::head_bytes(store, hour);
    image.extend_from_slice(row);
    disk.create(path, &image)?;
    disk.sync_dir(dir)
}

/// Name of the journal of a root generation.
pub(crate) fn keys_name(domain: Domain) -> String {
    match domain {
        Domain::Root(number) => format!("keys-{number:08x}.bks"),
        Domain::Backup(number) => format!("keys-{number:08x}.bkb"),
        // A gate has no journal of its own.
        Domain::Gate(number) => format!("keys-{number:08x}.gate"),
    }
}
