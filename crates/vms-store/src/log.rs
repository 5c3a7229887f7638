//! The log on disk: a journal that makes a leaf durable within one group commit, and the tiles and checkpoints that anybody
//! can verify.
//!
//! `DIR/journal/N.log` holds leaves with salt and details, from leaf N on; `DIR/public/` holds `checkpoint` and
//! `tile/…` in the C2SP form and may be served to anybody. Order of work: journal + fdatasync → index handed out →
//! (at most 10 s later) tiles → root computed again from the files → checkpoint signed.
//!
//! Overflow policy: the queue holds [`QUEUE_MAX`] entries; when it is full the caller waits, at most [`APPEND_MAX`], and then
//! access fails closed.

pub mod files;
pub mod journal;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use audit::{Commitment, Leaf, LogKey, Tree};
use tokio::sync::{oneshot, watch};
use vms_app::gate::{AuditLog, BoxError, LogEntry};

use files::PublicFiles;
use journal::{Journal, Record};

/// Entries that may wait for the sequencer.
pub const QUEUE_MAX: usize = 4_096;
/// Longest wait of a caller for its index.
pub const APPEND_MAX: Duration = Duration::from_secs(2);
/// Entries that one group commit takes at most.
const GROUP_MAX: usize = 512;
/// A checkpoint is signed at least this often (blueprint 4.6).
const CHECKPOINT_EVERY: Duration = Duration::from_secs(8);

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
    /// The sequencer is gone or too slow.
    #[error("the log's sequencer does not answer")]
    Stalled,
}

/// Where and under which name.
#[derive(Debug)]
pub struct LogSettings {
    /// Folder.
    pub dir: PathBuf,
    /// Signing key with the log's origin.
    pub key: LogKey,
    /// Thirty-two fresh random bytes for each leaf.
    pub salt: fn() -> [u8; 32],
}

struct Waiting {
    entry: LogEntry,
    answer: oneshot::Sender<Result<u64, LogFault>>,
}

enum Order {
    Append(Box<Waiting>),
    Details { after: u64, limit: usize, answer: oneshot::Sender<Result<Vec<Record>, LogFault>> },
    Stored { upto: u64 },
    Stop,
}

/// A handle to the running sequencer; cheap to clone.
#[derive(Clone, Debug)]
pub struct Sequencer {
    orders: mpsc::SyncSender<Order>,
    size: watch::Receiver<u64>,
    public: PathBuf,
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
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || run(state, &queue, &size_in))?;
        Ok((Self { orders, size, public }, thread))
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
}

struct State {
    settings: LogSettings,
    files: PublicFiles,
    journal: Journal,
    tree: Tree,
    /// Leaves below this are in signed tiles.
    signed: u64,
    /// Details below this are durable elsewhere.
    stored: u64,
}

impl State {
    fn recover(settings: LogSettings) -> Result<Self, LogFault> {
        let files = PublicFiles::open(&settings.dir.join("public"))?;
        let mut tree = files.recover(&settings.key)?;
        let signed = tree.size();
        let (journal, records) = Journal::recover(&settings.dir.join("journal"), signed)?;
        let stored = journal.first();
        for record in records {
            if record.index < signed {
                continue;
            }
            if record.index != tree.size() {
                return Err(LogFault::Tampered(format!("the journal lacks leaf {}", tree.size())));
            }
            tree.push(record.leaf.as_bytes());
        }
        let mut state = Self { settings, files, journal, tree, signed, stored };
        state.checkpoint()?;
        Ok(state)
    }

    fn commit(&mut self, group: Vec<Waiting>) {
        let mut records = Vec::with_capacity(group.len());
        let mut answers = Vec::with_capacity(group.len());
        for waiting in group {
            let salt = (self.settings.salt)();
            let details = waiting.entry.details.to_string();
            let commitment = Commitment::to(&salt, details.as_bytes());
            let LogEntry { kind, at, decision, refers, .. } = waiting.entry;
            let leaf = Leaf { kind, at, decision, refers, commitment }.to_line();
            let index = self.tree.push(leaf.as_bytes());
            records.push(Record { index, leaf, salt, details });
            answers.push(waiting.answer);
        }
        let outcome = self.journal.append(&records);
        for (answer, record) in answers.into_iter().zip(&records) {
            let word = match &outcome {
                Ok(()) => Ok(record.index),
                Err(error) => Err(LogFault::Io(std::io::Error::from(error.kind()))),
            };
            drop(answer.send(word));
        }
        if let Err(error) = outcome {
            tracing::error!(error = %error, "the log's journal refused a group; recovering from disk");
            self.recover_in_place();
        }
    }

    /// After a failed write nobody knows what reached the disk: read everything back, or stay broken and answer errors.
    fn recover_in_place(&mut self) {
        let again =
            LogSettings { dir: self.settings.dir.clone(), key: self.settings.key.clone(), salt: self.settings.salt };
        match Self::recover(again) {
            Ok(state) => *self = state,
            Err(fault) => {
                tracing::error!(error = %fault, "the log cannot be recovered now; access stays closed");
                self.journal.poison();
            }
        }
    }

    fn checkpoint(&mut self) -> Result<(), LogFault> {
        let root = self.tree.root();
        for tile in self.tree.take_tiles() {
            self.files.write_tile(&tile)?;
        }
        // Verify before sign: what is on disk must give the root that we are about to sign.
        let size = self.tree.size();
        let on_disk = self.files.read_edge(size)?;
        if on_disk.root() != root {
            return Err(LogFault::Tampered(format!("the tiles on disk do not give the root of size {size}")));
        }
        self.files.write_checkpoint(&self.settings.key.sign(size, root)?)?;
        self.signed = size;
        self.journal.forget_below(self.signed.min(self.stored))?;
        Ok(())
    }
}

fn run(mut state: State, queue: &mpsc::Receiver<Order>, size: &watch::Sender<u64>) {
    let mut last_checkpoint = tokio::time::Instant::now();
    loop {
        let mut group = Vec::new();
        let mut stop = false;
        let mut next = match queue.recv_timeout(Duration::from_millis(500)) {
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
                Order::Stop => stop = true,
            }
            next = if group.len() < GROUP_MAX { queue.try_recv().ok() } else { None };
        }
        if !group.is_empty() {
            state.commit(group);
            size.send_replace(state.tree.size());
        }
        let due = stop || last_checkpoint.elapsed() >= CHECKPOINT_EVERY;
        // Leaves that the journal refused must not be signed either.
        if due && !state.journal.is_poisoned() {
            if let Err(fault) = state.checkpoint() {
                tracing::error!(error = %fault, "no checkpoint was signed");
            }
            last_checkpoint = tokio::time::Instant::now();
        }
        if stop {
            return;
        }
    }
}

#[cfg(test)]
#[path = "log/tests.rs"]
mod tests;
