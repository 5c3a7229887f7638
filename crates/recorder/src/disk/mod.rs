//! The disk writer: one thread appends for all streams, a second one syncs in groups, a third makes keys ahead.
//!
//! A fragment that begins a segment whose key is not made yet waits for it, with those behind it, inside the byte bound; other
//! streams go on. When no key can be saved the stream stops and tries again at most every second; the hole has the cause "keys".
//! Queue: bounded in bytes ([`DiskHandle::submit`]); when it is full a fragment is dropped and the hole recorded with the
//! cause "disk". Space gone: the stream stops and tries again at most every second; the hole is recorded when it goes on. Any
//! other error: the file is suspect, never written or synced again, a new one is begun, and an alarm is raised.

pub(crate) mod file;
pub(crate) mod keyfeed;
mod pulse;
mod sync;
pub(crate) mod volume;
pub(crate) mod writer;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use link::Cause;
use media::{Fragment, ParameterSets};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use vms_core::{CameraId, RetentionClass, SegmentId, StreamId};

use self::pulse::Pulse;
use crate::catalogue::{Catalogue, GapChange};
use crate::plan::{Hole, SegmentLimits};
use crate::ports::Clock;
use crate::vault::Vault;

/// Jobs waiting at most; the byte bound comes first for fragments of any size worth naming.
const JOBS_MAX: usize = 8_192;

/// One permit stands for so many bytes.
const PERMIT_BYTES: u64 = 1_024;

/// What the writer must know of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFacts {
    /// Stream.
    pub stream: StreamId,
    /// Camera.
    pub camera: CameraId,
    /// Retention class.
    pub class: RetentionClass,
    /// Term, seconds.
    pub keep_s: u64,
}

/// Where acknowledgements for one ingest connection gather: the newest per stream, so that it is bounded by the streams.
#[derive(Debug, Default)]
pub struct AckBoard {
    newest: Mutex<HashMap<StreamId, (u64, u64)>>,
    news: Notify,
}

impl AckBoard {
    /// Everything of `stream` up to `(epoch, seq)` is kept.
    pub fn post(&self, stream: StreamId, epoch: u64, seq: u64) {
        self.put(stream, epoch, seq);
        self.tell();
    }

    /// As [`AckBoard::post`]; whoever waits hears of it with the next [`AckBoard::tell`].
    fn put(&self, stream: StreamId, epoch: u64, seq: u64) {
        self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(stream, (epoch, seq));
    }

    fn tell(&self) {
        self.news.notify_one();
    }

    /// Waits for acknowledgements. Cancel safe.
    pub async fn wait(&self) -> Vec<(StreamId, u64, u64)> {
        loop {
            let taken = std::mem::take(&mut *self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            if !taken.is_empty() {
                return taken.into_iter().map(|(stream, (epoch, seq))| (stream, epoch, seq)).collect();
            }
            self.news.notified().await;
        }
    }
}

/// One thing for the writer to do.
#[derive(Debug)]
pub(crate) enum Job {
    Fragment(Box<FragmentJob>),
    Hole {
        stream: StreamId,
        hole: Hole,
    },
    Close {
        stream: StreamId,
    },
    Suspect {
        segment: SegmentId,
    },
    /// The key thread answers; `None`: no key can be saved now.
    Key {
        stream: StreamId,
        made: Option<keyfeed::ReadyKey>,
    },
    /// Closes every file and ends the thread.
    Shutdown,
}

#[derive(Debug)]
pub(crate) struct FragmentJob {
    pub(crate) facts: Arc<StreamFacts>,
    pub(crate) fragment: Fragment,
    pub(crate) sets: Arc<ParameterSets>,
    pub(crate) hint: Option<Cause>,
    pub(crate) acks: Option<Arc<AckBoard>>,
    /// Held until the fragment is written: the byte bound of the queue.
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// What the writer is given at start.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// Media folder.
    pub root: PathBuf,
    /// Bytes of payload that may wait for the disk.
    pub queue_bytes: u64,
    /// Between group syncs.
    pub sync_every: Duration,
    /// Cuts.
    pub limits: SegmentLimits,
    /// The writer treats less free space than this as none, so that the index can always be written.
    pub reserve_bytes: u64,
    /// Boot of the host.
    pub boot: [u8; 16],
}

/// Handle to the writer.
#[derive(Clone, Debug)]
pub struct DiskHandle {
    jobs: SyncSender<Job>,
    room: Arc<Semaphore>,
    catalogue: Arc<Catalogue>,
    clock: Arc<dyn Clock>,
    pulse: Pulse,
}

/// A fragment on its way to the writer.
#[derive(Debug)]
pub struct Submission {
    /// Stream.
    pub facts: Arc<StreamFacts>,
    /// Footage.
    pub fragment: Fragment,
    /// Its parameter sets.
    pub sets: Arc<ParameterSets>,
    /// What is known of the cause of a hole before it.
    pub hint: Option<Cause>,
    /// Who wants to know when it is written.
    pub acks: Option<Arc<AckBoard>>,
}

impl DiskHandle {
    /// Starts the threads. The second value joins the writer.
    ///
    /// # Errors
    /// When the host refuses a thread.
    pub fn start(
        config: DiskConfig,
        clock: Arc<dyn Clock>,
        catalogue: Arc<Catalogue>,
        vault: Arc<Vault>,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        Self::start_with(config, clock, catalogue, vault, Box::new(file::NoFault))
    }

    pub(crate) fn start_with(
        config: DiskConfig,
        clock: Arc<dyn Clock>,
        catalogue: Arc<Catalogue>,
        vault: Arc<Vault>,
        fault: Box<dyn file::Fault>,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (jobs, inbox) = sync_channel(JOBS_MAX);
        let permits = usize::try_from(config.queue_bytes / PERMIT_BYTES).unwrap_or(usize::MAX);
        let room = Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)));
        let mut pulse = Pulse::default();
        let (writes, syncs) = (pulse.beat(&clock), pulse.beat(&clock));
        let sync = sync::start_sync(Arc::clone(&catalogue), jobs.clone(), syncs)?;
        let keys = keyfeed::start(vault, Arc::clone(&clock), jobs.clone())?;
        let writer = writer::Writer::new(config, Arc::clone(&clock), Arc::clone(&catalogue), (sync, keys), fault);
        let work = move || writer.run(&inbox, &writes);
        let thread = std::thread::Builder::new().name("recorder-disk".to_owned()).spawn(work)?;
        Ok((Self { jobs, room, catalogue, clock, pulse }, thread))
    }

    /// Whether a thread of the disk has been at one thing for so long that the disk does not answer.
    pub(crate) fn stands(&self) -> bool {
        self.pulse.longest(self.clock.mono()) >= pulse::STANDS_AFTER
    }

    /// Hands a fragment over without waiting. When the queue is full it is dropped and the hole noted.
    pub fn submit(&self, submission: Submission) {
        let Submission { facts, fragment, sets, hint, acks } = submission;
        let stream = facts.stream;
        let from = fragment.first().clocks.wall;
        let (_, _, to) = file::fragment_end(&fragment);
        let permits = u32::try_from(fragment.payload_len() / PERMIT_BYTES + 1).unwrap_or(u32::MAX);
        let refused = match Arc::clone(&self.room).try_acquire_many_owned(permits) {
            Ok(permit) => {
                let job = FragmentJob { facts, fragment, sets, hint, acks, _permit: permit };
                self.send(Job::Fragment(Box::new(job))).is_err()
            }
            Err(_) => true,
        };
        if refused {
            metrics::counter!("recorder_fragments_dropped_total", "why" => "queue").increment(1);
            self.catalogue.gap(GapChange { stream, from, to: Some(to), cause: Cause::Disk });
        }
    }

    /// Notes a hole that ingest told.
    pub fn hole(&self, stream: StreamId, hole: Hole) {
        if self.send(Job::Hole { stream, hole }).is_err() {
            let Hole { from, to, cause } = hole;
            self.catalogue.gap(GapChange { stream, from, to: Some(to), cause });
        }
    }

    /// Closes the open segment of a stream, if there is one.
    pub fn close(&self, stream: StreamId) {
        self.send(Job::Close { stream }).ok();
    }

    /// Closes everything and ends the writer; waits for room in the queue.
    pub fn shutdown(&self) {
        self.jobs.send(Job::Shutdown).ok();
    }

    fn send(&self, job: Job) -> Result<(), ()> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => {}
        })
    }
}

#[cfg(test)]
mod tests;
