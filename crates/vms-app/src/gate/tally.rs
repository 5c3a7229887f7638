//! What one request left in the log, counted beside it: an answer "not there" that left nothing is given its leaf afterwards, so that it
//! costs what "there, and not yours" costs (`reliability.md` A4: not a byte and not the time may tell the two apart).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use audit::LeafKind;
use serde_json::json;

use super::Actor;
use crate::cases::UseCases;
use crate::error::UseCaseError;

tokio::task_local! {
    static TALLY: Arc<Tally>;
}

/// Leaves of one request, and who asked.
#[derive(Debug, Default)]
pub struct Tally {
    leaves: AtomicU32,
    actor: OnceLock<Actor>,
}

impl Tally {
    /// Runs a request's work under a fresh tally. What the work hands to another task is not counted.
    pub async fn over<T>(work: impl Future<Output = T>) -> (T, Arc<Self>) {
        let tally = Arc::new(Self::default());
        (TALLY.scope(Arc::clone(&tally), work).await, tally)
    }

    /// Whoever asked with a session, when the request left no leaf.
    pub fn unlogged(&self) -> Option<&Actor> {
        self.actor.get().filter(|_| self.leaves.load(Ordering::Relaxed) == 0)
    }
}

/// The request's session was found.
pub fn note_actor(actor: &Actor) {
    // Outside of a request, and for the second look at a session in one, there is nothing to note.
    let _noted = TALLY.try_with(|tally| tally.actor.set(actor.clone()).is_ok());
}

/// A leaf was written.
pub(super) fn note_leaf() {
    let _counted = TALLY.try_with(|tally| tally.leaves.fetch_add(1, Ordering::Relaxed));
}

impl UseCases {
    /// Somebody asked for a thing that is not there: a refusal like that of a thing which is not theirs.
    ///
    /// # Errors
    /// `LogUnavailable`.
    pub async fn refuse_absent(&self, actor: &Actor, route: &str) -> Result<(), UseCaseError> {
        let details = json!({ "route": route, "why": "not_there" });
        self.record("refused", LeafKind::Refuse, Some(actor.clone()), details).await
    }
}
