//! Answers to reads that others push.

use serde::Serialize;
use utoipa::ToSchema;
use vms_app::lez::push::{PushOutcome, Pushed};

/// What became of one read.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushedReadView {
    /// Its own `id`, where it has one that reads.
    pub id: Option<String>,
    /// `kept`, `duplicate` or `refused`.
    pub outcome: &'static str,
    /// Why it was refused (`docs/READS.md` lists the words).
    pub code: Option<&'static str>,
}

/// What became of one statement about a clock.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushedClockView {
    /// `noted` or `refused`.
    pub outcome: &'static str,
    /// Why it was refused.
    pub code: Option<&'static str>,
}

/// What became of a delivery, in its order. What is `kept` or a `duplicate` is durable here and may be forgotten by its sender.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushedView {
    /// Reads.
    pub reads: Vec<PushedReadView>,
    /// Clocks.
    pub clocks: Vec<PushedClockView>,
}

impl From<Pushed> for PushedView {
    fn from(pushed: Pushed) -> Self {
        let read = |(id, outcome): (Option<String>, PushOutcome)| match outcome {
            PushOutcome::Kept => PushedReadView { id, outcome: "kept", code: None },
            PushOutcome::Duplicate => PushedReadView { id, outcome: "duplicate", code: None },
            PushOutcome::Refused(code) => PushedReadView { id, outcome: "refused", code: Some(code) },
        };
        let clock = |code: Option<&'static str>| PushedClockView {
            outcome: if code.is_none() { "noted" } else { "refused" },
            code,
        };
        Self {
            reads: pushed.reads.into_iter().map(read).collect(),
            clocks: pushed.clocks.into_iter().map(clock).collect(),
        }
    }
}
