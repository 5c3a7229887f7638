//! The sync thread: `fdatasync` in groups, then the acknowledgements.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use vms_core::{SegmentId, StreamId, WallTime};

use super::pulse::Beat;
use super::{AckBoard, Job};
use crate::catalogue::Catalogue;

/// Files that could not be synced and are remembered, so that none is tried again: many more than are open at once.
const FAILED_KEPT: usize = 1_024;

/// One file to sync: what survives a power cut afterwards, and who waits to hear of it.
#[derive(Debug)]
pub(super) struct SyncItem {
    pub(super) segment: SegmentId,
    pub(super) stream: StreamId,
    pub(super) file: Arc<File>,
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
    fn sync(&self, catalogue: &Catalogue) -> std::io::Result<()> {
        self.file.sync_data()?;
        catalogue.set_durable(self.stream, self.until);
        if let Some(Ack { to, epoch, seq }) = &self.ack {
            to.put(self.stream, *epoch, *seq);
        }
        Ok(())
    }
}

/// Tells the kernel of every file of a round before the first is synced. What is dirty then goes to the disk together, so that
/// few journal commits serve all; what the round before synced leaves the page cache, which footage would fill with what
/// is rarely read again. Advice only: a refusal changes nothing.
fn announce(round: &[SyncItem]) {
    for item in round {
        rustix::fs::fadvise(&item.file, 0, None, rustix::fs::Advice::DontNeed).ok();
    }
}

/// Syncs a round, one file after the other. A file that fails is remembered and never tried again: the kernel may have dropped its
/// dirty pages and call a retry a success.
fn sync_round(round: &[SyncItem], failed: &mut VecDeque<SegmentId>, catalogue: &Catalogue, jobs: &SyncSender<Job>) {
    announce(round);
    for item in round {
        if failed.contains(&item.segment) {
            continue;
        }
        if let Err(error) = item.sync(catalogue) {
            failed.truncate(FAILED_KEPT - 1);
            failed.push_front(item.segment);
            tracing::error!(segment = %item.segment, %error, "fdatasync failed: the segment is suspect");
            metrics::counter!("recorder_sync_errors_total").increment(1);
            jobs.send(Job::Suspect { segment: item.segment }).ok();
        }
    }
}

/// Starts the sync thread; a round that is not finished makes the next one wait (the channel holds one).
pub(super) fn start_sync(
    catalogue: Arc<Catalogue>,
    jobs: SyncSender<Job>,
    beat: Beat,
) -> std::io::Result<SyncSender<Vec<SyncItem>>> {
    let (rounds, inbox) = sync_channel::<Vec<SyncItem>>(1);
    let work = move || {
        // A round that waited behind a failed one may hold the same file.
        let mut failed: VecDeque<SegmentId> = VecDeque::with_capacity(FAILED_KEPT);
        for round in inbox {
            beat.during(|| sync_round(&round, &mut failed, &catalogue, &jobs));
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
