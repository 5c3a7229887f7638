//! The log on disk: a journal that makes a leaf durable within one group commit, and the tiles and checkpoints that anybody
//! can verify.
//!
//! `DIR/journal/N.log` holds leaves with salt and details, from leaf N on; `DIR/public/` holds `checkpoint` and
//! `tile/…` in the C2SP form and may be served to anybody. Order of work: journal + fdatasync → index handed out →
//! (at most 10 s later) tiles → leaves read back from the journal, tree and tiles made of them a second time, files read back
//! and compared → signing lock → checkpoint. What differs anywhere is not signed ([`LogFault::Tampered`]).
//!
//! The signing lock ([`lock`]) lies apart from the log: it holds the last checkpoint that was signed, and only what grew out of
//! it is signed next. A log folder from an older backup is noticed by it; a backup of both is noticed by a witness.
//! `public/checkpoint.cosigned` is the newest checkpoint that witnesses cosigned.
//!
//! Overflow policy: the queue holds [`QUEUE_MAX`] entries; when it is full the caller waits, at most [`APPEND_MAX`], and then
//! access fails closed.

pub mod carry;
pub mod files;
pub mod journal;
pub mod lock;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use audit::{Commitment, Leaf, LeafKind, LogKey, TileWrite, Tree};
use tokio::sync::{oneshot, watch};
use vms_app::gate::{AuditLog, BoxError, LogEntry};

use files::PublicFiles;
use journal::{Journal, Record};
use lock::SigningLock;
use vms_core::WallTime;

/// Entries that may wait for the sequencer.
pub const QUEUE_MAX: usize = 4_096;
/// Longest wait of a caller for its index.
pub const APPEND_MAX: Duration = Duration::from_secs(2);
/// Entries that one group commit takes at most.
const GROUP_MAX: usize = 512;
/// A checkpoint is signed this often while leaves come: at most 10 s after a leaf (blueprint 4.6).
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(8);
/// A leaf that is older than the one before it by more than this gets a leaf of its own before it: the clock was set back.
const CLOCK_BACK_US: i64 = 5_000_000;
/// Between two looks whether the disk takes another leaf.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Leaves read back from the journal in one go.
const PROVE_MAX: usize = 4_096;

/// What can go wrong with the log.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// A file could not be read or written.
    #[error("the log's files: {0}")]
    Io(#[from] std::io::Error),
    /// The files do not agree with each other: somebody or something changed them. Nothing is signed.
    #[error("the log's files do not agree: {0}")]
    Tampered(String),
    /// The signing key does not work.
    #[error("the log's key: {0}")]
    Key(#[from] audit::NoteFailure),
    /// Details that no journal record holds.
    #[error("the details of a leaf are longer than {} bytes", journal::DETAILS_MAX)]
    TooLong,
    /// The sequencer is gone or too slow.
    #[error("the log's sequencer does not answer")]
    Stalled,
}

/// Where and under which name.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Folder.
    pub dir: PathBuf,
    /// File of the signing lock, on another path than the folder: a backup of one must not bring back the other.
    pub lock: PathBuf,
    /// Signing key with the log's origin.
    pub key: LogKey,
    /// Thirty-two fresh random bytes for each leaf.
    pub salt: fn() -> [u8; 32],
    /// [`CHECKPOINT_EVERY`], except in tests.
    pub checkpoint_every: Duration,
}

struct Waiting {
    entry: LogEntry,
    answer: oneshot::Sender<Result<u64, LogFault>>,
}

enum Order {
    Append(Box<Waiting>),
    Details {
        after: u64,
        limit: usize,
        answer: oneshot::Sender<Result<Vec<Record>, LogFault>>,
    },
    Stored {
        upto: u64,
    },
    Cosigned {
        note: Vec<u8>,
    },
    /// Would a leaf be taken now?
    Stands {
        answer: oneshot::Sender<Result<(), LogFault>>,
    },
    Stop,
}

/// How the log stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogHealth {
    /// Leaves under the newest checkpoint.
    pub signed: u64,
    /// Why nothing was signed the last time, in a sentence for the log; a person must look.
    pub refused: Option<String>,
}

/// A handle to the running sequencer; cheap to clone.
#[derive(Clone, Debug)]
pub struct Sequencer {
    orders: mpsc::SyncSender<Order>,
    size: watch::Receiver<u64>,
    health: watch::Receiver<LogHealth>,
    public: PathBuf,
}

/// What the thread tells.
struct Told {
    size: watch::Sender<u64>,
    health: watch::Sender<LogHealth>,
}

impl Sequencer {
    /// Recovers the log in the settings' folder, or starts a new one, and runs its sequencer in a thread of its own.
    ///
    /// # Errors
    /// [`LogFault::Tampered`] when checkpoint, tiles and journal do not agree: a person must look.
    pub fn start(settings: LogSettings) -> Result<(Self, std::thread::JoinHandle<()>), LogFault> {
        let public = settings.dir.join("public");
        let state = State::recover(settings)?;
        let (orders, queue) = mpsc::sync_channel(QUEUE_MAX);
        let (size_in, size) = watch::channel(state.tree.size());
        let (health_in, health) = watch::channel(LogHealth { signed: state.signed, refused: None });
        let told = Told { size: size_in, health: health_in };
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || run(state, &queue, &told))?;
        Ok((Self { orders, size, health, public }, thread))
    }

    /// How the log stands now; changes with every checkpoint that was signed or refused.
    pub fn health(&self) -> watch::Receiver<LogHealth> {
        self.health.clone()
    }

    /// Publishes a checkpoint of this log that witnesses cosigned, as `checkpoint.cosigned`, and as `checkpoint` while there is no newer.
    pub fn cosigned(&self, note: Vec<u8>) {
        // A lost word is said again with the next checkpoint.
        drop(self.orders.try_send(Order::Cosigned { note }));
    }

    /// Leaves made durable so far.
    pub fn size(&self) -> u64 {
        *self.size.borrow()
    }

    /// The folder that may be served to anybody.
    pub fn public_dir(&self) -> &Path {
        &self.public
    }

    /// Details of leaves from index `after` on, for the copy in the central database; at most `limit`.
    ///
    /// # Errors
    /// [`LogFault`].
    pub async fn details(&self, after: u64, limit: usize) -> Result<Vec<Record>, LogFault> {
        let (answer, wait) = oneshot::channel();
        self.orders.try_send(Order::Details { after, limit, answer }).map_err(|_| LogFault::Stalled)?;
        wait.await.map_err(|_| LogFault::Stalled)?
    }

    /// Says that the details of all leaves below `upto` are durable elsewhere: the journal may let go of them.
    pub fn details_stored(&self, upto: u64) {
        // A lost word is said again by the next round of the copier.
        drop(self.orders.try_send(Order::Stored { upto }));
    }

    /// Signs a last checkpoint and ends the thread.
    pub fn stop(&self) {
        drop(self.orders.send(Order::Stop));
    }
}

#[async_trait::async_trait]
impl AuditLog for Sequencer {
    async fn append(&self, entry: LogEntry) -> Result<u64, BoxError> {
        let (answer, wait) = oneshot::channel();
        let deadline = tokio::time::Instant::now() + APPEND_MAX;
        let mut order = Order::Append(Box::new(Waiting { entry, answer }));
        loop {
            match self.orders.try_send(order) {
                Ok(()) => break,
                Err(mpsc::TrySendError::Full(back)) if tokio::time::Instant::now() < deadline => {
                    order = back;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(mpsc::TrySendError::Full(_) | mpsc::TrySendError::Disconnected(_)) => {
                    return Err(Box::new(LogFault::Stalled));
                }
            }
        }
        match tokio::time::timeout_at(deadline, wait).await {
            Ok(Ok(Ok(index))) => Ok(index),
            Ok(Ok(Err(fault))) => Err(Box::new(fault)),
            Ok(Err(_)) | Err(_) => Err(Box::new(LogFault::Stalled)),
        }
    }

    async fn stands(&self) -> Result<(), BoxError> {
        let (answer, wait) = oneshot::channel();
        self.orders.try_send(Order::Stands { answer }).map_err(|_| LogFault::Stalled)?;
        match tokio::time::timeout(APPEND_MAX, wait).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(fault))) => Err(Box::new(fault)),
            Ok(Err(_)) | Err(_) => Err(Box::new(LogFault::Stalled)),
        }
    }
}

struct State {
    settings: LogSettings,
    files: PublicFiles,
    lock: SigningLock,
    journal: Journal,
    tree: Tree,
    /// The tree of the newest checkpoint, grown a second time from what is on disk.
    proven: Tree,
    /// Leaves below this are in signed tiles.
    signed: u64,
    /// Details below this are durable elsewhere.
    stored: u64,
    /// Time of the newest leaf.
    newest: Option<WallTime>,
    unclaimed: Unclaimed,
    /// When the disk last took something.
    took_at: Option<tokio::time::Instant>,
}

/// Leaves that are in the log although who asked for them was told otherwise, or had given up.
#[derive(Debug, Default)]
struct Unclaimed {
    /// To be named by a leaf of their own: nothing was handed out under them.
    untold: Vec<u64>,
    /// Closing leaves, under the leaf that they close: asked for again, they are not written a second time.
    closes: BTreeMap<u64, u64>,
}

impl State {
    fn recover(settings: LogSettings) -> Result<Self, LogFault> {
        let files = PublicFiles::open(&settings.dir.join("public"))?;
        let mut tree = files.recover(&settings.key)?;
        let proven = tree.clone();
        let signed = tree.size();
        let locked = lock::read(&settings.lock, &settings.key)?;
        let (journal, records) = Journal::recover(&settings.dir.join("journal"), signed)?;
        let stored = journal.first();
        let mut is_met = lock::is_met(locked.as_ref(), &tree, true)?;
        let mut newest = files.newest_leaf(&tree)?.map(|leaf| leaf.at);
        for record in records {
            if record.index < signed {
                continue;
            }
            if record.index != tree.size() {
                return Err(LogFault::Tampered(format!("the journal lacks leaf {}", tree.size())));
            }
            tree.push(record.leaf.as_bytes());
            newest = Leaf::parse(&record.leaf).ok().map(|leaf| leaf.at).or(newest);
            is_met = is_met || lock::is_met(locked.as_ref(), &tree, false)?;
        }
        if let Some(locked) = locked.as_ref().filter(|_| !is_met) {
            let (size, here) = (locked.size, tree.size());
            return Err(LogFault::Tampered(format!("{size} leaves were signed and {here} are here: rolled back")));
        }
        let lock = SigningLock::new(&settings.lock, locked);
        let unclaimed = Unclaimed::default();
        let mut state =
            Self { settings, files, lock, journal, tree, proven, signed, stored, newest, unclaimed, took_at: None };
        state.checkpoint()?;
        Ok(state)
    }

    /// The leaf that says that the clock was set back, where it was.
    fn clock_step(&self, at: WallTime) -> Option<LogEntry> {
        let newest = self.newest.filter(|newest| at.micros_since(*newest) < -CLOCK_BACK_US)?;
        let details = serde_json::json!({
            "operation": "clock_step", "actor": null, "details": { "from_us": newest.micros, "to_us": at.micros },
        });
        Some(LogEntry { kind: LeafKind::System, at, decision: None, refers: None, details })
    }

    fn record(&mut self, entry: LogEntry) -> Record {
        let salt = (self.settings.salt)();
        let details = entry.details.to_string();
        let commitment = Commitment::to(&salt, details.as_bytes());
        let LogEntry { kind, at, decision, refers, .. } = entry;
        let leaf = Leaf { kind, at, decision, refers, commitment }.to_line();
        let index = self.tree.push(leaf.as_bytes());
        self.newest = Some(at);
        Record { index, leaf, salt, details }
    }

    /// The leaf that names leaves which nobody waited for any more.
    fn tell_unclaimed(&mut self, at: WallTime) -> Option<LogEntry> {
        let leaves = std::mem::take(&mut self.unclaimed.untold);
        let details = serde_json::json!({
            "operation": "leaf_unclaimed", "actor": null, "details": { "leaves": leaves },
        });
        (!leaves.is_empty()).then_some(LogEntry { kind: LeafKind::System, at, decision: None, refers: None, details })
    }

    /// Without what needs no leaf: what is too long, what nobody waits for any more, a close that is in the log already.
    fn still_wanted(&mut self, waiting: Waiting) -> Option<Waiting> {
        let LogEntry { kind, refers, ref details, .. } = waiting.entry;
        if waiting.answer.is_closed() {
            return None;
        }
        if details.to_string().len() > journal::DETAILS_MAX {
            drop(waiting.answer.send(Err(LogFault::TooLong)));
            return None;
        }
        let written =
            refers.filter(|_| kind == LeafKind::Close).and_then(|opened| self.unclaimed.closes.remove(&opened));
        match written {
            Some(index) => {
                drop(waiting.answer.send(Ok(index)));
                None
            }
            None => Some(waiting),
        }
    }

    fn commit(&mut self, group: Vec<Waiting>) {
        let mut records = Vec::with_capacity(group.len());
        let mut answers = Vec::with_capacity(group.len());
        for waiting in group {
            let Some(waiting) = self.still_wanted(waiting) else { continue };
            if let Some(step) = self.clock_step(waiting.entry.at) {
                records.push(self.record(step));
            }
            if let Some(told) = self.tell_unclaimed(waiting.entry.at) {
                records.push(self.record(told));
            }
            let closes = waiting.entry.refers.filter(|_| waiting.entry.kind == LeafKind::Close);
            let record = self.record(waiting.entry);
            answers.push((waiting.answer, record.index, closes));
            records.push(record);
        }
        if records.is_empty() {
            return;
        }
        let outcome = self.journal.append(&records);
        self.took_at = outcome.is_ok().then(tokio::time::Instant::now);
        let mut unclaimed = Vec::new();
        for (answer, index, closes) in answers {
            let word = match &outcome {
                Ok(()) => Ok(index),
                Err(error) => Err(LogFault::Io(std::io::Error::from(error.kind()))),
            };
            if answer.send(word).is_err() || outcome.is_err() {
                unclaimed.push((index, closes));
            }
        }
        if let Err(error) = outcome {
            tracing::error!(error = %error, "the log's journal refused a group; recovering from disk");
            self.recover_in_place();
        }
        // What was refused may be in the log all the same: a write that reached the disk before its sync failed.
        for (index, closes) in unclaimed.into_iter().filter(|(index, _)| *index < self.tree.size()) {
            match closes {
                Some(opened) => drop(self.unclaimed.closes.insert(opened, index)),
                None => self.unclaimed.untold.push(index),
            }
        }
    }

    /// Whether a leaf would be taken now.
    fn stands(&mut self) -> Result<(), LogFault> {
        if self.journal.is_poisoned() {
            return Err(LogFault::Io(std::io::ErrorKind::NotConnected.into()));
        }
        if self.took_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.journal.has_room()?;
            self.took_at = Some(tokio::time::Instant::now());
        }
        Ok(())
    }

    /// After a failed write nobody knows what reached the disk: read everything back, or stay broken and answer errors.
    fn recover_in_place(&mut self) {
        let again = self.settings.clone();
        match Self::recover(again) {
            Ok(state) => {
                let unclaimed = std::mem::take(&mut self.unclaimed);
                *self = Self { stored: self.stored.max(state.stored), unclaimed, ..state };
            }
            Err(fault) => {
                tracing::error!(error = %fault, "the log cannot be recovered now; access stays closed");
                self.journal.poison();
            }
        }
    }

    fn checkpoint(&mut self) -> Result<(), LogFault> {
        let tiles = self.write_tiles()?;
        self.sign(&tiles)
    }

    fn write_tiles(&mut self) -> Result<Vec<TileWrite>, LogFault> {
        let tiles = self.tree.take_tiles();
        let (edge, bundle) = Tree::edge_paths(self.signed);
        for tile in &tiles {
            let is_signed = edge.iter().any(|(_, path)| *path == tile.path) || bundle.as_ref() == Some(&tile.path);
            if !is_signed {
                self.files.write_tile(tile)?;
            } else if self.files.read(&tile.path)? != tile.bytes {
                // What a signed checkpoint names is never written over: a flip in memory must not reach it.
                return Err(LogFault::Tampered(format!("{} is signed, and is another in memory", tile.path)));
            }
        }
        Ok(tiles)
    }

    /// Verify before sign: the tree is made a second time from the leaves that the journal has on disk, and every file that changed is
    /// read back. One flipped bit, in memory or on disk, and nothing is signed.
    fn prove(&self, tiles: &[TileWrite]) -> Result<Tree, LogFault> {
        let size = self.tree.size();
        let mut second = self.proven.clone();
        while second.size() < size {
            let records = self.journal.read_from(second.size(), PROVE_MAX)?;
            for record in &records {
                if record.index != second.size() || Leaf::parse(&record.leaf).is_err() {
                    return Err(LogFault::Tampered(format!("the journal lacks leaf {}", second.size())));
                }
                second.push(record.leaf.as_bytes());
            }
            if records.is_empty() {
                return Err(LogFault::Tampered(format!("the journal lacks leaf {}", second.size())));
            }
        }
        let differ =
            |what: &str| LogFault::Tampered(format!("{what}: two ways to make the tree of {size} leaves differ"));
        if second.size() != size || second.root() != self.tree.root() {
            return Err(differ("the root"));
        }
        let wanted = second.take_tiles();
        if let Some(tile) = wanted.iter().find(|tile| !tiles.contains(tile)) {
            return Err(differ(&tile.path));
        }
        for tile in &wanted {
            if self.files.read(&tile.path)? != tile.bytes {
                return Err(LogFault::Tampered(format!("{} does not read back as it was written", tile.path)));
            }
        }
        if self.files.read_edge(size)?.root() != second.root() {
            return Err(LogFault::Tampered(format!("the tiles on disk do not give the root of size {size}")));
        }
        Ok(second)
    }

    fn sign(&mut self, tiles: &[TileWrite]) -> Result<(), LogFault> {
        let proven = self.prove(tiles)?;
        let (size, root) = (proven.size(), proven.root());
        let note = self.settings.key.sign(size, root)?;
        self.lock.swap(&note, size, root)?;
        self.files.write_checkpoint(&note)?;
        (self.proven, self.signed) = (proven, size);
        self.files.drop_partials(tiles)?;
        self.journal.forget_below(self.signed.min(self.stored))?;
        Ok(())
    }

    /// Publishes a cosigned checkpoint of ours.
    fn publish_cosigned(&self, note: &[u8]) -> Result<(), LogFault> {
        let (size, root) = audit::cosign::open(note, self.settings.key.verifier_key(), &[])?;
        if (size, root) == (self.signed, self.proven.root()) {
            self.files.write_checkpoint(note)?;
        }
        self.files.write_cosigned(note)
    }
}

fn run(mut state: State, queue: &mpsc::Receiver<Order>, told: &Told) {
    let mut last_checkpoint = tokio::time::Instant::now();
    let every = state.settings.checkpoint_every;
    loop {
        let mut group = Vec::new();
        let mut stop = false;
        let mut next = match queue.recv_timeout(every.min(Duration::from_millis(500))) {
            Ok(order) => Some(order),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                stop = true;
                None
            }
        };
        while let Some(order) = next {
            match order {
                Order::Append(waiting) => group.push(*waiting),
                Order::Details { after, limit, answer } => drop(answer.send(state.journal.read_from(after, limit))),
                Order::Stored { upto } => state.stored = state.stored.max(upto),
                Order::Cosigned { note } => {
                    if let Err(fault) = state.publish_cosigned(&note) {
                        tracing::error!(error = %fault, "a cosigned checkpoint was not published");
                    }
                }
                Order::Stands { answer } => drop(answer.send(state.stands())),
                Order::Stop => stop = true,
            }
            next = if group.len() < GROUP_MAX { queue.try_recv().ok() } else { None };
        }
        if !group.is_empty() {
            state.commit(group);
            told.size.send_replace(state.tree.size());
        }
        let due = stop || last_checkpoint.elapsed() >= every;
        if due {
            let refused = attempt(&mut state);
            told.health.send_replace(LogHealth { signed: state.signed, refused });
            last_checkpoint = tokio::time::Instant::now();
        }
        if stop {
            return;
        }
    }
}

/// Signs what is due; why not, when not. A copy in memory that went wrong is thrown away for what the disk says; while the disk
/// itself does not agree, access stays closed.
fn attempt(state: &mut State) -> Option<String> {
    // Leaves that the journal refused must not be signed either.
    if state.journal.is_poisoned() {
        state.recover_in_place();
        return state.journal.is_poisoned().then(|| "the log cannot be written".to_owned());
    }
    if state.tree.size() == state.signed {
        return None;
    }
    let fault = state.checkpoint().err()?;
    tracing::error!(error = %fault, "no checkpoint was signed");
    state.recover_in_place();
    Some(fault.to_string())
}

#[cfg(test)]
#[path = "log/battery.rs"]
mod battery;
#[cfg(test)]
#[path = "log/tests.rs"]
mod tests;
