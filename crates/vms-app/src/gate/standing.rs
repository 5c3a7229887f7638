//! Whether the log takes leaves, and what is still owed to it.
//!
//! What an earlier leaf covers (the bytes of an open playback, the pictures of a list) is asked for with
//! [`Gate::log_stands`] before it is handed out. A view that runs may go on for [`LOG_AWAY_MAX`] without the log, and then ends.
//! Its closing leaf is kept until the log takes it. Overflow policy: [`OWED_MAX`] closing leaves are kept; past that the oldest
//! is dropped with an error line, and its opening leaf stays without an end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use vms_core::{Right, WallTime};

use super::{BoxError, Delivered, Gate, GateError, LeafKind, LogEntry, Permit};

/// So many of them are written at a time: nobody's own leaf waits for thousands.
const SETTLED_AT_ONCE: usize = 64;
/// Longest wait for the log's answer: past it, access fails closed whatever keeps the log busy.
pub const LOG_ANSWER_MAX: Duration = Duration::from_millis(2_500);
/// How long a running view goes on while the log takes no leaf.
pub const LOG_AWAY_MAX: Duration = Duration::from_secs(10);
/// Closing leaves that are kept while the log takes none.
pub const OWED_MAX: usize = 10_000;

#[derive(Debug, thiserror::Error)]
#[error("the log does not answer")]
struct NoAnswer;

/// What the gate knows of the log. Short locks, no await inside.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The first failure since the last success.
    away_since: Mutex<Option<Instant>>,
    owed: Mutex<VecDeque<LogEntry>>,
    /// Held by whoever writes what is owed: each leaf once, in their order.
    settling: tokio::sync::Mutex<()>,
}

impl Standing {
    fn note<T>(&self, answer: Result<T, BoxError>) -> Result<T, GateError> {
        let mut since = self.away_since.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(value) => {
                *since = None;
                Ok(value)
            }
            Err(error) => {
                since.get_or_insert_with(Instant::now);
                Err(GateError::LogUnavailable(error))
            }
        }
    }

    /// For how long the log has taken nothing; zero while it does.
    pub(super) fn away_for(&self) -> Duration {
        let since = *self.away_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn owe(&self, entry: LogEntry) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if owed.len() >= OWED_MAX {
            owed.pop_front();
            tracing::error!(
                "more than {OWED_MAX} views ended while the log took no leaf: the end of the oldest is lost"
            );
        }
        owed.push_back(entry);
    }

    fn next_owed(&self) -> Option<LogEntry> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).front().cloned()
    }
}

/// What a permit that must be closed holds for the case that nobody closes it.
#[derive(Debug)]
pub(super) struct Closing {
    standing: Arc<Standing>,
    right: Right,
}

impl Closing {
    pub(super) fn new(standing: &Arc<Standing>, right: Right) -> Self {
        Self { standing: Arc::clone(standing), right }
    }
}

impl<A> Drop for Permit<A> {
    /// A caller that goes away between its permit and its stream (a socket whose upgrade fails, a request that is given up) has its end
    /// in the log like any other: nothing was delivered.
    fn drop(&mut self) {
        if let Some(Closing { standing, right }) = self.closing.take() {
            let delivered = Delivered { why: "abandoned".to_owned(), ..Delivered::default() };
            standing.owe(closing_leaf(self, right, &delivered, self.at));
        }
    }
}

/// The closing leaf of a use.
pub(super) fn closing_leaf<A>(permit: &Permit<A>, right: Right, delivered: &Delivered, at: WallTime) -> LogEntry {
    let details = json!({
        "right": right.as_str(),
        "user": permit.actor.user.to_string(),
        "org": permit.actor.org_code,
        "camera": permit.target.camera.map(|id| id.to_string()),
        "stream": permit.target.stream.map(|id| id.to_string()),
        "units": delivered.units,
        "bytes": delivered.bytes,
        "ended": delivered.why,
    });
    let (decision, refers) = (Some(permit.decision), Some(permit.log_index));
    LogEntry { kind: LeafKind::Close, at, decision, refers, details }
}

impl Gate {
    /// Appends within [`LOG_ANSWER_MAX`].
    pub(super) async fn write(&self, entry: LogEntry) -> Result<u64, GateError> {
        let answer = tokio::time::timeout(LOG_ANSWER_MAX, self.log.append(entry)).await;
        let noted = self.standing.note(answer.unwrap_or_else(|_| Err(Box::new(NoAnswer))));
        if noted.is_ok() {
            super::tally::note_leaf();
        }
        noted
    }

    /// Whether the log would take a leaf now. Asked before anything is handed out that an earlier leaf covers.
    ///
    /// # Errors
    /// [`GateError::LogUnavailable`].
    pub async fn log_stands(&self) -> Result<(), GateError> {
        let answer = tokio::time::timeout(LOG_ANSWER_MAX, self.log.stands()).await;
        self.standing.note(answer.unwrap_or_else(|_| Err(Box::new(NoAnswer))))
    }

    /// Whether a running use may go on as far as the log is concerned.
    pub(super) async fn log_lets_go_on(&self) -> Result<(), GateError> {
        match self.log_stands().await {
            Err(error) if self.standing.away_for() >= LOG_AWAY_MAX => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes a closing leaf, or keeps it until the log takes it: the error says that it is kept.
    pub(super) async fn write_or_owe(&self, entry: LogEntry) -> Result<(), GateError> {
        let at = entry.at;
        let late = |mut entry: LogEntry| {
            if let Some(details) = entry.details.as_object_mut() {
                details.insert("ended_us".to_owned(), json!(at.micros));
            }
            entry
        };
        // What is owed goes first: the ends come in their order. A log that is still away says so at the first of them.
        if let Err(error) = self.settle_owed().await {
            self.standing.owe(late(entry));
            return Err(error);
        }
        match self.write(entry.clone()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.standing.owe(late(entry));
                Err(error)
            }
        }
    }

    /// Writes closing leaves that were kept, at most [`SETTLED_AT_ONCE`]; gives how many. Called again and again by housekeeping.
    ///
    /// # Errors
    /// [`GateError::LogUnavailable`]: what is left stays.
    pub async fn settle_owed(&self) -> Result<usize, GateError> {
        let _one = self.standing.settling.lock().await;
        let mut written = 0;
        while let Some(entry) = self.standing.next_owed() {
            self.write(LogEntry { at: self.clock.now(), ..entry }).await?;
            self.standing.owed.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            written += 1;
            if written == SETTLED_AT_ONCE {
                break;
            }
        }
        Ok(written)
    }
}
