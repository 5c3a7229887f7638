//! Pictures waiting for the models. Bounded; when full, the oldest of the same camera gives way and is counted, so that
//! under load every camera is still looked at, only less often (issue 3: a stated rule, never silently).

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{Counters, Decoded};
use crate::motion::Glance;

/// Pictures of one camera that wait at most: the one being looked forward to and the newest.
pub const PER_CAMERA: usize = 2;

/// Pictures of all cameras that wait at most; 24 of 1080p are 75 MB.
pub const TOTAL: usize = 24;

/// One picture to look at.
#[derive(Debug)]
pub struct Job {
    /// Whose.
    pub camera: Arc<Counters>,
    /// The picture.
    pub decoded: Decoded,
    /// What of it to look at.
    pub glance: Glance,
}

/// The queue.
#[derive(Debug, Default)]
pub struct FrameQueue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl FrameQueue {
    /// Adds a picture; what it displaces is counted as skipped with its camera.
    pub fn push(&self, job: Job) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let own = |waiting: &Job| Arc::ptr_eq(&waiting.camera, &job.camera);
        let displaced = if state.jobs.iter().filter(|j| own(j)).count() >= PER_CAMERA {
            state.jobs.iter().position(own)
        } else if state.jobs.len() >= TOTAL {
            Some(0)
        } else {
            None
        };
        if let Some(old) = displaced.and_then(|at| state.jobs.remove(at)) {
            old.camera.skipped(1);
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
    }

    /// Up to `most` pictures, oldest first, no two of one camera; empty after `patience` or once closed.
    pub fn pop(&self, most: usize, patience: Duration) -> Vec<Job> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| state.jobs.is_empty() && !state.closed;
        let (mut state, _) =
            self.filled.wait_timeout_while(state, patience, waits).unwrap_or_else(PoisonError::into_inner);
        let mut batch: Vec<Job> = Vec::new();
        let mut rest = VecDeque::with_capacity(state.jobs.len());
        for job in state.jobs.drain(..) {
            let twin = batch.iter().any(|taken| Arc::ptr_eq(&taken.camera, &job.camera));
            if batch.len() < most && !twin { batch.push(job) } else { rest.push_back(job) }
        }
        state.jobs = rest;
        batch
    }

    /// Wakes whoever waits, for good.
    pub fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.filled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use media::Clocks;
    use vms_core::MonoTime;

    fn job(camera: &Arc<Counters>, n: u64) -> Job {
        let frame = Frame::from_rgb(1, 1, vec![0; 3].into()).unwrap();
        let clocks = Clocks { mono: MonoTime { micros: n }, ..Clocks::default() };
        Job { camera: Arc::clone(camera), decoded: Decoded { frame, clocks }, glance: Glance::Whole }
    }

    #[test]
    fn the_oldest_gives_way_and_is_counted() {
        let (a, b) = (Arc::new(Counters::default()), Arc::new(Counters::default()));
        let queue = FrameQueue::default();
        for n in 0..5 {
            queue.push(job(&a, n));
        }
        queue.push(job(&b, 9));
        let numbers = |jobs: Vec<Job>| jobs.iter().map(|j| j.decoded.clocks.mono.micros).collect::<Vec<_>>();
        assert_eq!(numbers(queue.pop(8, Duration::ZERO)), [3, 9]);
        assert_eq!(numbers(queue.pop(8, Duration::ZERO)), [4]);
        assert_eq!((a.figures().1, b.figures().1), (3, 0));
        let many: Vec<_> = (0..30).map(|_| Arc::new(Counters::default())).collect();
        many.iter().for_each(|camera| queue.push(job(camera, 0)));
        assert_eq!(many.iter().map(|c| c.figures().1).sum::<u64>(), 6);
        queue.close();
        assert_eq!(queue.pop(100, Duration::from_secs(9)).len(), TOTAL);
        assert!(queue.pop(1, Duration::from_secs(9)).is_empty());
    }
}
