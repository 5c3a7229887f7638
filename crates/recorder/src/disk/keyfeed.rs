//! The key thread: makes the keys of segments ahead, so that no disk of the key store makes footage wait.
//!
//! Queue: bounded ([`ORDERS_MAX`]); a full one refuses, and the stream asks again with its next fragment.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use keys::{Hour, KeyName, Scope, SealedWriterKey};
use vms_core::{CameraId, RetentionClass, SegmentId, StreamId, WallTime};

use super::Job;
use crate::ports::Clock;
use crate::vault::Vault;

/// Orders waiting at most: one for each stream of the largest recorder.
const ORDERS_MAX: usize = 4_096;
/// Between two looks at what is due when nothing is ordered.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The keys of an hour are made so long before it begins.
const AHEAD: Duration = Duration::from_mins(10);

/// A key that a stream will need.
#[derive(Debug)]
pub(super) struct KeyOrder {
    pub(super) stream: StreamId,
    pub(super) name: KeyName,
    /// When the segment is expected to begin; its id is made of it.
    pub(super) at: WallTime,
}

/// The key of a segment that may begin.
#[derive(Debug)]
pub(crate) struct ReadyKey {
    pub(super) name: KeyName,
    pub(super) key: SealedWriterKey,
}

/// What the key of a segment of this camera and class that begins at `at` is called.
pub(crate) fn key_name(camera: CameraId, class: &RetentionClass, at: WallTime) -> KeyName {
    KeyName { scope: Scope::Camera(camera), class: class.clone(), hour: Hour::of(at) }
}

/// Starts the key thread; it ends with the last sender of orders.
pub(super) fn start(
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    jobs: SyncSender<Job>,
) -> std::io::Result<(SyncSender<KeyOrder>, std::thread::JoinHandle<()>)> {
    let (orders, inbox) = sync_channel(ORDERS_MAX);
    let feed = Feed { vault, clock, jobs, seen: HashMap::new(), prepared: Hour::from_count(0) };
    let thread = std::thread::Builder::new().name("recorder-keys".to_owned()).spawn(move || feed.run(&inbox))?;
    Ok((orders, thread))
}

struct Feed {
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    jobs: SyncSender<Job>,
    /// Whose keys were asked for, and for which hour last: they will be again.
    seen: HashMap<(CameraId, RetentionClass), Hour>,
    prepared: Hour,
}

impl Feed {
    fn run(mut self, inbox: &Receiver<KeyOrder>) {
        loop {
            match inbox.recv_timeout(LOOK_EVERY) {
                Ok(order) => {
                    if self.serve(order).is_err() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.vault.tend();
            self.prepare();
        }
    }

    fn serve(&mut self, order: KeyOrder) -> Result<(), ()> {
        let KeyOrder { stream, name, at } = order;
        if let Scope::Camera(camera) = name.scope {
            self.seen.insert((camera, name.class.clone()), name.hour);
        }
        // What is wrong was said by the vault, once.
        let made = self.vault.begin(&name, segment_id(at)).map(|key| ReadyKey { name, key }).ok();
        self.jobs.send(Job::Key { stream, made }).map_err(|_| ())
    }

    /// Makes the keys of the next hour before it begins, in one write.
    fn prepare(&mut self) {
        let soon = Hour::of(self.clock.wall().plus(AHEAD));
        if soon <= self.prepared {
            return;
        }
        self.prepared = soon;
        let recent = Hour::from_count(soon.count().saturating_sub(2));
        self.seen.retain(|_, last| *last >= recent);
        let name = |(camera, class): &(CameraId, RetentionClass)| KeyName {
            scope: Scope::Camera(*camera),
            class: class.clone(),
            hour: soon,
        };
        let names: Vec<KeyName> = self.seen.keys().map(name).collect();
        if !names.is_empty()
            && let Err(error) = self.vault.with(|ring| ring.prepare_hours(&names, self.clock.wall()))
        {
            tracing::warn!(%error, "the keys of the next hour are not made yet: each is made when it is needed");
        }
    }
}

/// UUID version 7 (RFC 9562): milliseconds of wall time, then random bits.
pub(crate) fn segment_id(at: WallTime) -> SegmentId {
    let millis = u64::try_from(at.micros.div_euclid(1_000)).unwrap_or(0);
    let random: u128 = rand::random();
    let value = (u128::from(millis & 0xffff_ffff_ffff) << 80) | (random & ((1 << 80) - 1));
    let value = (value & !(0xf << 76)) | (7 << 76);
    let value = (value & !(0b11 << 62)) | (0b10 << 62);
    SegmentId::from_bytes(value.to_be_bytes())
}
