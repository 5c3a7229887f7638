//! What batches of fines need from outside: where runs lie, and who signs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;
use vms_core::{FindingId, TimeRange, WallTime};

use crate::error::UseCaseError;
use crate::gate::Permit;
use crate::gate::action::SendFines;
use crate::lez_ports::{Finding, FindingVerdict, PictureKind};
use crate::ports::store::Stored;

/// What became of the findings of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FineTotals {
    /// Approved in the window and in no run before.
    pub taken: u64,
    /// Became records.
    pub records: u64,
    /// Of these, fines.
    pub fines: u64,
    /// Of these, warnings.
    pub warnings: u64,
    /// Sum of the fines, cents.
    pub amount_cents: u64,
    /// Inside the window of another fine or warning of the vehicle.
    pub merged: u64,
    /// The tables say something else now than what was approved.
    pub refused: u64,
}

/// Answers to the records of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// Taken.
    pub accepted: u64,
    /// Not taken.
    pub refused: u64,
    /// To be corrected.
    pub correct: u64,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FineRun {
    /// Its name, from its window.
    pub id: String,
    /// Number in the chain, from 1.
    pub chain: u64,
    /// SHA-256 of the manifest before; empty for the first.
    pub previous: String,
    /// Approvals of this span.
    pub range: TimeRange,
    /// When the findings were taken.
    pub opened_at: WallTime,
    /// Version of the tables.
    pub rule_set: String,
    /// Totals.
    pub totals: FineTotals,
    /// SHA-256 of the signed manifest and when it was signed; `None`: the run is open.
    pub signed: Option<(String, WallTime)>,
    /// Answers so far.
    pub answers: AnswerCounts,
}

impl FineRun {
    /// `open` until the manifest is signed, `waits` until every record has its answer, then `closed`.
    pub const fn state(&self) -> &'static str {
        let answered = self.answers.accepted + self.answers.refused + self.answers.correct;
        match &self.signed {
            None => "open",
            Some(_) if answered < self.totals.records => "waits",
            Some(_) => "closed",
        }
    }
}

/// One line of a run about to be kept. `Debug` hides the text.
#[derive(Clone, PartialEq, Eq)]
pub struct NewFineLine {
    /// From 1.
    pub position: u64,
    /// The finding.
    pub finding: FindingId,
    /// The version that was looked at: the approval.
    pub seen: u64,
    /// Key of the record; `None` for a finding that became none.
    pub offence: Option<String>,
    /// Token of the vehicle.
    pub vehicle: String,
    /// Infraction or warning, of a record.
    pub verdict: FindingVerdict,
    /// Rule of the fines table.
    pub fine_id: Option<String>,
    /// Amount.
    pub amount_cents: Option<u32>,
    /// When the vehicle was read.
    pub at: WallTime,
    /// Pictures that go along.
    pub pictures: Vec<PictureKind>,
    /// The exact text of the line.
    pub text: String,
}

impl std::fmt::Debug for NewFineLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewFineLine")
            .field("position", &self.position)
            .field("finding", &self.finding)
            .finish_non_exhaustive()
    }
}

/// One line of a run, as kept. `Debug` hides the text.
#[derive(Clone, PartialEq, Eq)]
pub struct FineLine {
    /// From 1.
    pub position: u64,
    /// The finding.
    pub finding: FindingId,
    /// Key of the record; `None` for a finding that became none.
    pub offence: Option<String>,
    /// Pictures that go along.
    pub pictures: Vec<PictureKind>,
    /// When it left for the first time.
    pub left_at: Option<WallTime>,
    /// The exact text.
    pub text: String,
}

impl std::fmt::Debug for FineLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FineLine")
            .field("position", &self.position)
            .field("finding", &self.finding)
            .finish_non_exhaustive()
    }
}

/// A record that was handed over and stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Infraction or warning.
    pub verdict: FindingVerdict,
    /// Rule of the fines table.
    pub fine_id: Option<String>,
    /// Amount.
    pub amount_cents: Option<u32>,
    /// When the vehicle was read.
    pub at: WallTime,
    /// When the batch was signed.
    pub issued_at: Option<WallTime>,
}

/// The answer of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The run.
    pub run: String,
    /// The run is signed.
    pub is_signed: bool,
    /// `accepted`, `refused` or `correct`, with its code.
    pub answer: Option<(String, Option<String>)>,
}

/// Where runs lie. Every method that gives out lines or pictures takes the permit of the job.
#[async_trait]
pub trait FineStore: Send + Sync + std::fmt::Debug {
    /// Findings approved in a span that no run holds, by the time of the read, at most `limit`.
    async fn fine_candidates(&self, permit: &Permit<SendFines>, range: TimeRange, limit: u32) -> Stored<Vec<Finding>>;
    /// How many findings that were approved before an instant no run holds.
    async fn fine_waiting(&self, before: WallTime) -> Stored<u64>;
    /// What was handed over of a vehicle and stands.
    async fn fine_history(&self, vehicle: &str) -> Stored<Vec<HandedOver>>;
    /// The record of a finding that is to be corrected.
    async fn fine_superseded(&self, finding: FindingId) -> Stored<Option<String>>;
    /// A picture of a finding.
    async fn fine_picture(&self, permit: &Permit<SendFines>, id: FindingId, kind: PictureKind)
    -> Stored<Option<Bytes>>;
    /// Keeps a run with all its lines in one transaction: `Taken` when another run is open or holds one of the findings, `Stale` when a
    /// finding is not approved any more as it was seen.
    async fn fine_open(&self, permit: &Permit<SendFines>, run: &FineRun, lines: &[NewFineLine]) -> Stored<()>;
    /// One run.
    async fn fine_run(&self, id: &str) -> Stored<Option<FineRun>>;
    /// Runs, newest first.
    async fn fine_runs(&self, limit: u32) -> Stored<Vec<FineRun>>;
    /// An open run is worked by one holder at a time: takes it or renews it; false when another has it.
    async fn fine_hold(&self, id: &str, holder: &str, now: WallTime, until: WallTime) -> Stored<bool>;
    /// Lines after a number. Fewer than there are when a finding was erased meanwhile.
    async fn fine_lines(&self, permit: &Permit<SendFines>, run: &str, after: u64, limit: u32) -> Stored<Vec<FineLine>>;
    /// Lines up to a number have left.
    async fn fine_left(&self, run: &str, upto: u64, at: WallTime) -> Stored<()>;
    /// Notes the signature; false when the run has another one.
    async fn fine_sign(&self, run: &str, manifest_sha256: &str, at: WallTime) -> Stored<bool>;
    /// What was answered to a record.
    async fn fine_answered(&self, offence: &str) -> Stored<Option<KeptAnswer>>;
    /// Keeps an answer where there is none; false when there is one. `correct` lets the finding go.
    async fn fine_answer(&self, offence: &str, answer: &str, code: Option<&str>, at: WallTime) -> Stored<bool>;
    /// Whether a run holds the finding: its approval cannot be taken back then.
    async fn fine_holds(&self, finding: FindingId) -> Stored<bool>;
}

/// A signature with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FineSeal {
    /// Ed25519 over the manifest's bytes.
    pub signature: [u8; 64],
    /// Public key.
    pub key: [u8; 32],
}

/// Looks at pictures and signs.
pub trait FineDesk: Send + Sync + std::fmt::Debug {
    /// Whether a picture shows a vehicle and nothing else.
    fn is_masked(&self, jpeg: &[u8]) -> bool;
    /// Signs a manifest when it is that of the run and its lines.
    ///
    /// # Errors
    /// A stable word: `manifest_unreadable`, `not_reconciled`, `differs`.
    fn seal(&self, run: &FineRun, manifest: &[u8], offences: &[u8], rejects: &[u8]) -> Result<FineSeal, &'static str>;
}

/// A run that is being opened, until somebody asks for its outcome.
type Opening = JoinHandle<Result<FineRun, UseCaseError>>;

/// Runs that are being opened at once, at most; past that a further one is told to come again.
const OPENING_MAX: usize = 8;

/// Runs that are being opened. Bounded: see [`OPENING_MAX`].
#[derive(Debug, Default)]
pub struct Openings(Mutex<HashMap<String, Opening>>);

impl Openings {
    pub(crate) fn take(&self, key: &str) -> Option<Opening> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    /// False: there are too many; the work is given up, which changes nothing.
    pub(crate) fn keep(&self, key: String, opening: Opening) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, other| !other.is_finished());
        if all.len() >= OPENING_MAX {
            opening.abort();
            return false;
        }
        all.insert(key, opening);
        true
    }
}

/// What the use cases need for batches of fines.
#[derive(Debug)]
pub struct FineParts {
    pub(crate) store: Arc<dyn FineStore>,
    pub(crate) desk: Arc<dyn FineDesk>,
    pub(crate) opening: Openings,
    /// Name of the installation, where samples are taken.
    pub(crate) samples: Option<String>,
}

impl FineParts {
    /// Where runs lie, and who signs.
    pub fn new(store: Arc<dyn FineStore>, desk: Arc<dyn FineDesk>) -> Self {
        Self { store, desk, opening: Openings::default(), samples: None }
    }

    /// A share of the approvals needs a second person, unless `seed/lez/queue.toml` makes an exception for this installation.
    #[must_use]
    pub fn with_samples(self, installation: &str) -> Self {
        Self { samples: Some(installation.to_owned()), ..self }
    }
}
