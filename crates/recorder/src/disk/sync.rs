//! The sync thread: `fdatasync` in groups, then the acknowledgements.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use durable::Synced;
use vms_core::{SegmentId, StreamId, WallTime};

use super::pulse::Beat;
use super::{AckBoard, Job};
use crate::catalogue::Catalogue;

/// One file to sync: what survives a power cut afterwards, and who waits to hear of it.
#[derive(Debug)]
pub(super) struct SyncItem {
    pub(super) segment: SegmentId,
    pub(super) stream: StreamId,
    pub(super) file: Arc<Synced>,
    pub(super) until: WallTime,
    pub(super) ack: Option<Ack>,
}

/// What may be acknowledged once a file is synced.
#[derive(Debug)]
pub(super) struct Ack {
    pub(super) to: Arc<AckBoard>,
    pub(super) epoch: u64,
    pub(super) seq: u64,
}

impl SyncItem {
    fn tell(&self, catalogue: &Catalogue) {
        catalogue.set_durable(self.stream, self.until);
        if let Some(Ack { to, epoch, seq }) = &self.ack {
            to.put(self.stream, *epoch, *seq);
        }
    }

    fn suspect(&self, error: &std::io::Error, jobs: &SyncSender<Job>) {
        tracing::error!(segment = %self.segment, %error, "fdatasync failed: the segment is suspect");
        metrics::counter!("recorder_sync_errors_total").increment(1);
        jobs.send(Job::Suspect { segment: self.segment }).ok();
    }
}

/// Tells the kernel of every file of a round before the first is synced. What is dirty then goes to the disk together, so that
/// few journal commits serve all; what the round before synced leaves the page cache, which footage would fill with what
/// is rarely read again. Advice only: a refusal changes nothing.
fn announce(round: &[SyncItem]) {
    for item in round {
        rustix::fs::fadvise(item.file.file(), 0, None, rustix::fs::Advice::DontNeed).ok();
    }
}

/// Syncs a round, one file after the other, and tells of none before all are synced and the file system still stands: a journal that
/// gave up in one file's commit makes the next file's sync a success that means nothing ([`durable`]). A file that fails is never tried again.
fn sync_round(round: &[SyncItem], catalogue: &Catalogue, jobs: &SyncSender<Job>) {
    announce(round);
    let mut synced = Vec::with_capacity(round.len());
    // A round that waited behind a failed one may hold the same file.
    for item in round.iter().filter(|item| !item.file.is_failed()) {
        match item.file.sync_in_group() {
            Ok(()) => synced.push(item),
            Err(error) => item.suspect(&error, jobs),
        }
    }
    let Some(first) = synced.first() else { return };
    if let Err(error) = durable::stands(first.file.file()) {
        for item in synced {
            item.file.give_up();
            item.suspect(&error, jobs);
        }
        return;
    }
    synced.iter().for_each(|item| item.tell(catalogue));
}

/// Starts the sync thread; a round that is not finished makes the next one wait (the channel holds one).
pub(super) fn start_sync(
    catalogue: Arc<Catalogue>,
    jobs: SyncSender<Job>,
    beat: Beat,
) -> std::io::Result<SyncSender<Vec<SyncItem>>> {
    let (rounds, inbox) = sync_channel::<Vec<SyncItem>>(1);
    let work = move || {
        for round in inbox {
            beat.during(|| sync_round(&round, &catalogue, &jobs));
            // Once for all: each word to an ingest process wakes two threads.
            let mut boards: Vec<&Arc<AckBoard>> =
                round.iter().filter_map(|item| Some(&item.ack.as_ref()?.to)).collect();
            boards.dedup_by(|one, other| Arc::ptr_eq(one, other));
            boards.iter().for_each(|board| board.tell());
        }
    };
    // The writer owns the only sender: the thread ends with it.
    let thread = std::thread::Builder::new().name("recorder-sync".to_owned()).spawn(work)?;
    drop(thread);
    Ok(rounds)
}
