//! Where camera tasks put what the uplink takes: one ring and one newest state per stream, and answers to probes.
//!
//! The rings are the queue: a slow or absent recorder fills them and nothing else, and no camera task ever waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use link::{Cause, Control, Message, StreamPhase};
use media::{AccessUnit, ParamSetId, ParameterSets};
use tokio::sync::Notify;
use vms_core::{StreamId, WallTime};

use crate::ring::{Next, Ring};
use crate::wire;

/// Most answers to probes waiting for the uplink; the oldest goes.
const ANSWERS_MAX: usize = 16;

/// Where a camera session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Phase.
    pub phase: StreamPhase,
    /// Why.
    pub cause: Option<Cause>,
    /// Since when.
    pub since: WallTime,
}

#[derive(Debug)]
struct Outlet {
    ring: Ring,
    standing: Option<Standing>,
    /// The newest standing is not sent yet on the present connection.
    is_news: bool,
    last_epoch: u64,
    /// Sent last on the present connection.
    last_sets: Option<ParamSetId>,
}

#[derive(Debug, Default)]
struct Inner {
    outlets: BTreeMap<StreamId, Outlet>,
    answers: VecDeque<Control>,
    /// Round robin: the stream after this one is next.
    turn: Option<StreamId>,
    /// Nothing was put here since everything was written out.
    is_handed_over: bool,
}

/// Shared by the tasks of one process, all on one thread: the lock is never waited for.
#[derive(Debug)]
pub struct Board {
    inner: Mutex<Inner>,
    news: Notify,
    handed_over: Notify,
    ring_bytes_max: usize,
}

impl Board {
    /// Empty; each stream gets a ring of at most `ring_bytes_max` bytes.
    pub fn new(ring_bytes_max: usize) -> Self {
        Self { inner: Mutex::default(), news: Notify::new(), handed_over: Notify::new(), ring_bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes room for a stream; one that is there keeps what it holds.
    pub fn open(&self, stream: StreamId) {
        let bytes_max = self.ring_bytes_max;
        self.lock().outlets.entry(stream).or_insert_with(|| Outlet {
            ring: Ring::new(bytes_max),
            standing: None,
            is_news: false,
            last_epoch: 0,
            last_sets: None,
        });
    }

    /// Forgets a stream and what it holds.
    pub fn close(&self, stream: StreamId) {
        self.lock().outlets.remove(&stream);
    }

    /// The epoch of the last session of this stream in this process.
    pub fn last_epoch(&self, stream: StreamId) -> u64 {
        self.lock().outlets.get(&stream).map_or(0, |outlet| outlet.last_epoch)
    }

    /// A unit came. Nothing happens for a stream that is not open any more.
    pub fn unit(&self, stream: StreamId, unit: AccessUnit, sets: Arc<ParameterSets>) {
        let mut inner = self.lock();
        inner.is_handed_over = false;
        if let Some(outlet) = inner.outlets.get_mut(&stream) {
            outlet.last_epoch = outlet.last_epoch.max(unit.epoch);
            outlet.ring.push(unit, sets);
        }
        drop(inner);
        self.news.notify_one();
    }

    /// A session changed its phase.
    pub fn standing(&self, stream: StreamId, standing: Standing) {
        let mut inner = self.lock();
        inner.is_handed_over = false;
        if let Some(outlet) = inner.outlets.get_mut(&stream) {
            outlet.standing = Some(standing);
            outlet.is_news = true;
        }
        drop(inner);
        self.news.notify_one();
    }

    /// A probe is done.
    pub fn answer(&self, answer: Control) {
        let mut inner = self.lock();
        inner.is_handed_over = false;
        if inner.answers.len() >= ANSWERS_MAX {
            inner.answers.pop_front();
        }
        inner.answers.push_back(answer);
        drop(inner);
        self.news.notify_one();
    }

    /// The recorder acknowledged.
    pub fn ack(&self, stream: StreamId, epoch: u64, seq: u64) {
        if let Some(outlet) = self.lock().outlets.get_mut(&stream) {
            outlet.ring.ack(epoch, seq);
        }
    }

    /// A new connection to the recorder: standings, parameter sets and unacknowledged units go out again.
    pub fn rewind(&self) {
        let mut inner = self.lock();
        for outlet in inner.outlets.values_mut() {
            outlet.ring.rewind();
            outlet.is_news = outlet.standing.is_some();
            outlet.last_sets = None;
        }
        drop(inner);
        self.news.notify_one();
    }

    /// Waits until something may be there to send. For one waiter.
    pub async fn wait(&self) {
        self.news.notified().await;
    }

    /// Units and bytes held, all streams.
    pub fn held(&self) -> (usize, usize) {
        let inner = self.lock();
        inner.outlets.values().fold((0, 0), |(units, bytes), o| (units + o.ring.len(), bytes + o.ring.bytes()))
    }

    /// What was taken has been written.
    pub fn flushed(&self) {
        let mut inner = self.lock();
        let is_empty =
            inner.answers.is_empty() && inner.outlets.values().all(|outlet| !outlet.ring.has_next() && !outlet.is_news);
        inner.is_handed_over = is_empty;
        drop(inner);
        if is_empty {
            self.handed_over.notify_waiters();
        }
    }

    /// Waits until everything has been written.
    pub async fn handed_over(&self) {
        loop {
            let mut notified = std::pin::pin!(self.handed_over.notified());
            notified.as_mut().enable();
            if self.lock().is_handed_over {
                return;
            }
            notified.await;
        }
    }

    /// Hands over what is next, one stream after the other, until `out` says that it is full or nothing is left.
    pub fn take(&self, mut out: impl FnMut(Message) -> Room) {
        let mut inner = self.lock();
        while let Some(answer) = inner.answers.pop_front() {
            if out(answer.into()) == Room::Full {
                return;
            }
        }
        let streams: Vec<StreamId> = inner.outlets.keys().copied().collect();
        let first = streams.iter().position(|stream| Some(*stream) > inner.turn).unwrap_or(0);
        let mut idle = 0;
        for stream in streams.iter().cycle().skip(first) {
            if idle >= streams.len() {
                return;
            }
            let Some(outlet) = inner.outlets.get_mut(stream) else { return };
            let room = match outlet.next(*stream) {
                None => {
                    idle += 1;
                    continue;
                }
                Some((first, second)) => {
                    idle = 0;
                    let room = out(first);
                    second.map_or(room, &mut out)
                }
            };
            if room == Room::Full {
                inner.turn = Some(*stream);
                return;
            }
        }
    }
}

impl Outlet {
    /// The next message, with a second that must follow it.
    fn next(&mut self, stream: StreamId) -> Option<(Message, Option<Message>)> {
        match self.ring.next_out() {
            Some(Next::Unit(item)) => {
                let unit = Message::Unit(stream, item.unit);
                if self.last_sets == Some(item.sets.id) {
                    return Some((unit, None));
                }
                self.last_sets = Some(item.sets.id);
                Some((wire::parameter_sets(stream, &item.sets).into(), Some(unit)))
            }
            Some(Next::Hole(hole)) => Some((wire::hole(stream, hole).into(), None)),
            // The standing comes after the units that came before it.
            None if self.is_news => {
                self.is_news = false;
                self.standing.map(|standing| (wire::stream_state(stream, standing).into(), None))
            }
            None => None,
        }
    }
}

/// Whether the taker takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Left,
    /// No.
    Full,
}
