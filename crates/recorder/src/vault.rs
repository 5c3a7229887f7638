//! The recorder's hold on its key store: open it, lose a copy and get it back, change the root, make backups.
//!
//! Belongs here: the store as one thing that may be away for a while. Does not belong here: what a key is (`keys`), when a term
//! ends (`sweep`). Every call here may wait for a disk: never call it on a thread of the asynchronous runtime.
//!
//! Promise: nothing is recorded under a key that is not saved in every copy. When a copy cannot be written, what is there is
//! still read and destroyed in time, and recording goes on by itself when the copy is back.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use keys::{
    BackupPlan, Copy, Disk, GatePlan, KeyEpoch, KeyError, KeyName, KeyRing, KeyStoreConfig, OpenOptions,
    OpenSegmentError, Random, RealDisk, SealedWriterKey, SecondCopy, SegmentOpener, SystemRandom,
};
use vms_core::{MonoTime, SegmentId, WallTime};

use crate::format::SegmentHeader;
use crate::gated::{Decisions, OpenGate};
use crate::ports::Clock;
use crate::sweep::Terms;

mod gate;

/// Between two tries to get a lost copy back.
const HEAL_US: u64 = 2_000_000;
/// Between two looks at what is due.
const TEND_US: u64 = 1_000_000;
/// Between two tries of a change of the root or a backup that failed.
const RETRY_US: u64 = 60_000_000;
/// Between two looks at the life of backups.
const EXPIRE_US: u64 = 3_600_000_000;
/// File in the recorder's folder that names its key store.
const MARKER: &str = "keys.id";

/// How the recorder keeps its keys.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// Folders, copies, credential.
    pub store: KeyStoreConfig,
    /// The root is changed when it is so old; at most a day.
    pub root_every: Duration,
    /// Where backups go, and how often one is made.
    pub backup: Option<(BackupPlan, Duration)>,
    /// Where the private half of the magistrate's gate lies; `None`: nothing can move behind one.
    pub gate: Option<GatePlan>,
    /// What stands still while no key can be saved: for the alarm.
    pub stops: &'static str,
}

/// Why a segment cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// Its key was destroyed: it will never open again.
    Destroyed,
    /// Its key is lost or damaged.
    Lost,
    /// The key store cannot be read now.
    Away,
    /// It is behind the magistrate's gate, and nobody came with a decision for it.
    Gated,
    /// The same with a decision, but the medium with the key of the gate is not attached.
    GateAway,
}

/// What is past its term and not destroyed yet, because two people or a trusted clock are waited for: it is not handed out.
#[derive(Clone, Debug)]
pub struct Curtain {
    /// Terms in force.
    pub terms: Terms,
    /// What began so long before this that its term is over.
    pub cut: WallTime,
}

/// Instants of the monotonic clock from which on something is tried.
#[derive(Debug, Default)]
struct Due {
    tend: MonoTime,
    heal: MonoTime,
    rotate: MonoTime,
    backup: MonoTime,
    expire: MonoTime,
    /// Something is wrong; said once.
    troubled: bool,
    /// No gate can be made; said once.
    gate_troubled: bool,
    backed_up_at: Option<WallTime>,
}

/// The key store of one recorder.
pub struct Vault {
    config: Option<VaultConfig>,
    marker: PathBuf,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    random: Arc<dyn Random>,
    ring: RwLock<Option<KeyRing>>,
    due: Mutex<Due>,
    curtain: RwLock<Option<Curtain>>,
    decisions: RwLock<Arc<Decisions>>,
    gated: Mutex<gate::GatedCount>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(hidden)")
    }
}

fn later(now: MonoTime, micros: u64) -> MonoTime {
    MonoTime { micros: now.micros.saturating_add(micros) }
}

impl Vault {
    /// Opens the store of the recorder whose folder is `dir`. What fails is said, and tried again by [`Vault::tend`]: the recorder
    /// runs without keys, records nothing, and says so. A new store is made only where `is_new`, that is: where nothing was
    /// ever sealed, and no store is remembered.
    pub fn open(config: Option<VaultConfig>, dir: &Path, is_new: bool, clock: Arc<dyn Clock>) -> Self {
        Self::open_on(Arc::new(RealDisk), config, dir, is_new, clock)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        config: Option<VaultConfig>,
        dir: &Path,
        is_new: bool,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let vault = Self {
            config,
            marker: dir.join(MARKER),
            clock,
            disk,
            random: Arc::new(SystemRandom::new()),
            ring: RwLock::new(None),
            due: Mutex::default(),
            curtain: RwLock::new(None),
            decisions: RwLock::default(),
            gated: Mutex::default(),
        };
        if vault.config.is_some() {
            let may_create = is_new && !vault.marker.exists();
            vault.reopen(OpenOptions { may_create, ..OpenOptions::default() });
        }
        vault
    }

    /// Whether this recorder has a key store at all; a gateway, which records nothing, has none.
    pub const fn is_configured(&self) -> bool {
        self.config.is_some()
    }

    /// Lets go of the store and its lock.
    pub fn close(&self) {
        drop(self.ring.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Does something with the open store.
    ///
    /// # Errors
    /// [`KeyError`]; one that stops recording is said, and healed by [`Vault::tend`].
    pub fn with<T>(&self, work: impl FnOnce(&KeyRing) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let done = self.ask(work);
        if let Err(error) = &done {
            self.note(error);
        }
        done
    }

    /// As [`Vault::with`] for what does not touch the store itself: an error is no trouble for recording.
    fn ask<T>(&self, work: impl FnOnce(&KeyRing) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.as_ref().ok_or(KeyError::NoCopy).and_then(work)
    }

    /// Makes the key of a new segment, saved in every copy.
    ///
    /// # Errors
    /// [`KeyError`]: record nothing.
    pub fn begin(&self, name: &KeyName, segment: SegmentId) -> Result<SealedWriterKey, KeyError> {
        self.with(|ring| ring.begin_segment(name, segment, self.clock.wall()))
    }

    /// What a segment is read with; `None` for one that is not sealed.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn opener(&self, header: &SegmentHeader) -> Result<Option<SegmentOpener>, NoKey> {
        let Some(epoch) = KeyEpoch::new(header.key_epoch) else { return Ok(None) };
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let ring = ring.as_ref().ok_or(NoKey::Away)?;
        ring.open_segment(header.segment, epoch).map(Some).map_err(|error| match error {
            OpenSegmentError::Destroyed(_) => NoKey::Destroyed,
            OpenSegmentError::Gated => NoKey::Gated,
            OpenSegmentError::NotSaved | OpenSegmentError::UnknownEpoch | OpenSegmentError::Damaged => NoKey::Lost,
            OpenSegmentError::Store(_) => NoKey::Away,
        })
    }

    /// Draws the curtain before what is past its term.
    pub fn draw(&self, curtain: Curtain) {
        *self.curtain.write().unwrap_or_else(PoisonError::into_inner) = Some(curtain);
    }

    /// As [`Vault::opener`], for whoever wants to see: what is past its term and under no hold is as destroyed, also while
    /// its key still waits, and also in clear. What is behind the magistrate's gate opens with the gate alone.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn view(&self, header: &SegmentHeader, gate: Option<&OpenGate>) -> Result<Option<SegmentOpener>, NoKey> {
        if let Some(epoch) = KeyEpoch::new(header.key_epoch)
            && let Some(found) = self.view_gated(header, epoch, gate)
        {
            return found.map(Some);
        }
        let is_past = {
            let curtain = self.curtain.read().unwrap_or_else(PoisonError::into_inner);
            curtain.as_ref().is_some_and(|Curtain { terms, cut }| {
                let keep = terms.of_segment(header.stream, header.camera, header.class.as_str());
                keep.is_some_and(|keep| header.wall.plus(Duration::from_secs(keep)) <= *cut)
            })
        };
        if is_past && !self.is_held(header.segment) {
            return Err(NoKey::Destroyed);
        }
        self.opener(header)
    }

    /// Whether a hold keeps a segment. While the store cannot be asked everything counts as held: nothing is erased by mistake.
    pub fn is_held(&self, segment: SegmentId) -> bool {
        if !self.is_configured() {
            return false;
        }
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.as_ref().is_none_or(|ring| ring.is_held(segment))
    }

    /// Whether an hour key is surely gone, so that what it sealed may be erased.
    pub fn is_destroyed(&self, epoch: KeyEpoch) -> bool {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        // The number of a segment is not looked at: no hold has the zero one.
        let none = SegmentId::from_bytes([0; 16]);
        ring.as_ref().is_some_and(|ring| matches!(ring.source(none, epoch), keys::state::Source::Gone(_)))
    }

    fn due(&self) -> std::sync::MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises the alarm once for each trouble.
    fn note(&self, error: &KeyError) {
        let stops = match error {
            KeyError::CopyFailed { .. }
            | KeyError::CopyMissing { .. }
            | KeyError::NoCopy
            | KeyError::Io { .. }
            | KeyError::Faulted
            | KeyError::ReadOnly
            | KeyError::Locked
            | KeyError::Damaged { .. }
            | KeyError::NoRoot { .. }
            | KeyError::WrongCredential
            | KeyError::Credential
            | KeyError::OtherStore { .. }
            | KeyError::Random(_)
            | KeyError::Exhausted => true,
            KeyError::SegmentExists { .. }
            | KeyError::HoldReleased { .. }
            | KeyError::NoSuchHold { .. }
            | KeyError::HoldDamaged { .. }
            | KeyError::Gate { .. }
            | KeyError::Backup { .. } => false,
        };
        metrics::counter!("recorder_key_errors_total").increment(1);
        if !stops {
            return;
        }
        metrics::gauge!("recorder_keys_unsaved").set(1.0);
        let mut due = self.due();
        if !std::mem::replace(&mut due.troubled, true) {
            let now = self.clock.mono();
            due.heal = later(now, HEAL_US);
            let system = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(%error, system, advice = error.advice(), "no key can be saved: {}", self.stops());
        }
    }

    /// Opens the store anew, with what can be had: all copies, else without the one that fails, else for reading only.
    fn reopen(&self, options: OpenOptions) {
        let mut slot = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        // Its locks go first.
        drop(slot.take());
        let alone = |copy| OpenOptions { without: Some(copy), is_fresh: true, ..OpenOptions::default() };
        let mut opened = self.open_ring(options);
        if let (Err(KeyError::CopyFailed { copy, .. }), None) = (&opened, options.without)
            && self.has_second()
        {
            let copy = *copy;
            self.note_opening(&opened);
            opened = self.open_ring(alone(copy));
        }
        self.note_opening(&opened);
        if opened.is_err() {
            opened = self.open_ring(OpenOptions { is_read_only: true, ..OpenOptions::default() });
        }
        if let Ok(ring) = opened {
            if let Some(copy) = ring.missing_copies().first() {
                self.note(&KeyError::CopyMissing { copy: *copy });
            } else if !ring.is_faulted() {
                tracing::debug!(store = %ring.store(), generation = %ring.generation(), "the key store is open");
            }
            *slot = Some(ring);
        }
    }

    fn note_opening(&self, opened: &Result<KeyRing, KeyError>) {
        if let Err(error) = opened {
            self.note(error);
        }
    }

    fn stops(&self) -> &'static str {
        self.config.as_ref().map_or("", |config| config.stops)
    }

    fn has_second(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config.store.second != SecondCopy::OneDisk)
    }

    fn open_ring(&self, options: OpenOptions) -> Result<KeyRing, KeyError> {
        let config = self.config.as_ref().ok_or(KeyError::NoCopy)?;
        let (disk, random) = (Arc::clone(&self.disk), Arc::clone(&self.random));
        let ring = KeyRing::open(disk, random, config.store.clone(), options, self.clock.wall())?;
        check_marker(&self.marker, &ring, options.is_read_only)?;
        Ok(ring)
    }

    /// Does what is due: get a lost copy back, change the root, make and expire backups. Cheap when nothing is; call it every
    /// second.
    pub fn tend(&self) {
        let Some(config) = &self.config else { return };
        let now = self.clock.mono();
        let (heals, rotates, backs_up, expires) = {
            let mut due = self.due();
            if now < due.tend {
                return;
            }
            due.tend = later(now, TEND_US);
            (due.troubled && now >= due.heal, now >= due.rotate, now >= due.backup, now >= due.expire)
        };
        if heals {
            self.due().heal = later(now, HEAL_US);
            self.heal(config);
        }
        if rotates && self.clock.is_trusted() {
            self.rotate_when_due(config, now);
        }
        if let Some((plan, every)) = &config.backup
            && self.clock.is_trusted()
        {
            if expires {
                self.due().expire = later(now, EXPIRE_US);
                match self.ask(|ring| ring.expire_backups(plan, self.clock.wall())) {
                    Ok(gone) if gone.is_empty() => {}
                    Ok(gone) => tracing::info!(backups = ?gone, "the keys of old backups were destroyed"),
                    Err(error) => tracing::error!(%error, "the keys of old backups could not be destroyed"),
                }
            }
            if backs_up {
                self.backup_when_due(plan, *every, now);
            }
        }
    }

    fn heal(&self, config: &VaultConfig) {
        let fresh = OpenOptions { is_fresh: true, ..OpenOptions::default() };
        match keys::probe(&*self.disk, &config.store) {
            Ok(()) => {
                self.reopen(fresh);
                let is_whole = {
                    let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
                    ring.as_ref().is_some_and(|ring| ring.is_whole())
                };
                if is_whole {
                    self.due().troubled = false;
                    metrics::gauge!("recorder_keys_unsaved").set(0.0);
                    tracing::warn!("the key store is whole again: new keys are saved");
                }
            }
            // Reading, sweeping and holds go on with the other copy.
            Err(KeyError::CopyFailed { copy, .. } | KeyError::CopyMissing { copy }) if self.has_second() => {
                if !self.is_alone(copy) {
                    self.reopen(OpenOptions { without: Some(copy), ..fresh });
                }
            }
            Err(error) => tracing::debug!(%error, "the key store is still not whole"),
        }
    }

    /// Whether the store is at work without this copy already.
    fn is_alone(&self, without: Copy) -> bool {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.as_ref().is_some_and(|ring| !ring.is_faulted() && ring.missing_copies().contains(&without))
    }

    fn rotate_when_due(&self, config: &VaultConfig, now: MonoTime) {
        let wall = self.clock.wall();
        let every_us = i64::try_from(config.root_every.as_micros()).unwrap_or(i64::MAX);
        let age_us = self.ask(|ring| Ok(wall.micros_since(ring.generation_made_at())));
        // A root from the future was made by a clock that was wrong.
        if !age_us.is_ok_and(|age| age >= every_us || age < -every_us) {
            return;
        }
        match self.with(|ring| ring.rotate(wall)) {
            Ok(done) => {
                metrics::counter!("recorder_root_changes_total").increment(1);
                tracing::info!(from = %done.from, to = %done.to, keys = done.rewrapped, "the root of the keys was changed");
                if done.damaged > 0 {
                    tracing::error!(keys = done.damaged, "hour keys are damaged in every copy of the key store");
                }
            }
            Err(error) => {
                self.due().rotate = later(now, RETRY_US);
                tracing::error!(%error, advice = error.advice(), "the root of the keys could not be changed");
            }
        }
    }

    fn backup_when_due(&self, plan: &BackupPlan, every: Duration, now: MonoTime) {
        let wall = self.clock.wall();
        let is_young = self.due().backed_up_at.is_some_and(|at| at.plus(every) > wall && at <= wall);
        if is_young {
            return;
        }
        self.due().backup = later(now, RETRY_US);
        match self.ask(|ring| ring.backup(plan, wall)) {
            Ok(done) => {
                self.due().backed_up_at = Some(wall);
                metrics::counter!("recorder_key_backups_total").increment(1);
                tracing::info!(number = done.number, keys = done.hours, "the key store was backed up");
            }
            Err(error) => tracing::error!(%error, advice = error.advice(), "the key store could not be backed up"),
        }
    }
}

/// Opens the key store of the recorder whose folder is `dir`, for a command of the operator. Waits for nobody: while the recorder
/// runs it has the lock, and only reading is possible.
///
/// # Errors
/// [`KeyError`].
pub fn open_store(config: &VaultConfig, dir: &Path, options: OpenOptions, now: WallTime) -> Result<KeyRing, KeyError> {
    let ring = KeyRing::open(Arc::new(RealDisk), Arc::new(SystemRandom::new()), config.store.clone(), options, now)?;
    check_marker(&dir.join(MARKER), &ring, options.is_read_only)?;
    Ok(ring)
}

/// Makes a recorder forget the key store that sealed what it has: the next one that is opened is its own.
///
/// # Errors
/// Of the disk.
pub fn forget_store(dir: &Path) -> std::io::Result<bool> {
    match std::fs::remove_file(dir.join(MARKER)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The footage and its keys belong together: the recorder's folder remembers which store it is.
fn check_marker(marker: &Path, ring: &KeyRing, is_read_only: bool) -> Result<(), KeyError> {
    let failed = |source| KeyError::Io { what: "the name of the key store in the recorder's folder", source };
    let found = ring.store().to_string();
    match std::fs::read_to_string(marker) {
        Ok(wanted) if wanted.trim() == found => Ok(()),
        Ok(wanted) => match keys::StoreId::parse(wanted.trim()) {
            Some(wanted) => Err(KeyError::OtherStore { wanted, found: ring.store() }),
            None => Err(failed(std::io::Error::from(std::io::ErrorKind::InvalidData))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_read_only => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => keep_marker(marker, &found).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn keep_marker(marker: &Path, text: &str) -> std::io::Result<()> {
    let temporary = marker.with_extension("new");
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, marker)?;
    match marker.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
