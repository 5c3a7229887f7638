//! What batches of fines need from outside: where runs lie, and who signs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;
use vms_core::{DecisionId, FindingId, OrgId, Purpose, TimeRange, WallTime};

use crate::error::UseCaseError;
use crate::gate::action::{SendFines, SendRuns, SendZoneFines};
use crate::gate::{Actor, Permit};
use crate::lez_ports::{Finding, FindingMeasure, FindingVerdict, Holder, PictureKind, Tally};
use crate::ports::store::Stored;

/// Which findings a batch is of: what differs between them is data, the engine is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FineKind {
    /// The low-emission zone, for the tax administration.
    #[default]
    Lez,
    /// Zones with restricted access, for a municipality.
    Zbt,
    /// Average speed, for the police's own processing.
    Trajectory,
}

impl FineKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lez, Self::Zbt, Self::Trajectory];

    /// The word in requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lez => "lez",
            Self::Zbt => "zbt",
            Self::Trajectory => "trajectory",
        }
    }

    /// First part of the names of its runs.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Lez => "fines",
            Self::Zbt => "zbt",
            Self::Trajectory => "trajectory",
        }
    }

    /// Of which findings a run is, by its name.
    pub(crate) fn of_run(id: &str) -> Self {
        let is_of = |kind: &Self| id.split_once('-').is_some_and(|(prefix, _)| prefix == kind.prefix());
        Self::ALL.into_iter().find(is_of).unwrap_or_default()
    }

    /// The purpose of its findings.
    pub const fn purpose(self) -> Purpose {
        match self {
            Self::Lez => Purpose::Lez,
            Self::Zbt => Purpose::Zbt,
            Self::Trajectory => Purpose::Trajectory,
        }
    }

    /// That of a purpose; the store knows no others.
    pub fn of(purpose: Purpose) -> Self {
        Self::ALL.into_iter().find(|kind| kind.purpose() == purpose).unwrap_or_default()
    }
}

impl std::str::FromStr for FineKind {
    type Err = crate::words::UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        known.ok_or(crate::words::UnknownWord { of: "FineKind" })
    }
}

/// The permit of a job: of one kind of finding, and there of one authority.
#[derive(Debug)]
pub enum FinePermit {
    /// Of the tax administration.
    Lez(Permit<SendFines>),
    /// Of a municipality.
    Zbt(Permit<SendZoneFines>),
    /// Of a police zone.
    Trajectory(Permit<SendRuns>),
}

impl FinePermit {
    /// Of which findings.
    pub const fn kind(&self) -> FineKind {
        match self {
            Self::Lez(_) => FineKind::Lez,
            Self::Zbt(_) => FineKind::Zbt,
            Self::Trajectory(_) => FineKind::Trajectory,
        }
    }

    /// Whose, where there are several authorities.
    pub fn authority(&self) -> Option<OrgId> {
        match self {
            Self::Lez(_) => None,
            Self::Zbt(permit) => permit.target().owner,
            Self::Trajectory(permit) => permit.target().owner,
        }
    }

    /// The logged decision.
    pub fn decision(&self) -> DecisionId {
        match self {
            Self::Lez(permit) => permit.decision(),
            Self::Zbt(permit) => permit.decision(),
            Self::Trajectory(permit) => permit.decision(),
        }
    }

    /// The job.
    pub fn actor(&self) -> &Actor {
        match self {
            Self::Lez(permit) => permit.actor(),
            Self::Zbt(permit) => permit.actor(),
            Self::Trajectory(permit) => permit.actor(),
        }
    }
}

/// What the registry said of the holder of a finding's vehicle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptHolder {
    /// This one, and the question that gave it.
    Found(Holder, String),
    /// There is no such vehicle.
    Unknown,
    /// No source knows plates of that country.
    NotAsked,
    /// No answer that could be used.
    Unusable,
}

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
    /// Of these, files that name no amount: average speed.
    pub files: u64,
    /// Sum of the fines, cents.
    pub amount_cents: u64,
    /// Inside the window of another fine or warning of the vehicle.
    pub merged: u64,
    /// The tables say something else now than what was approved, there is no holder, or the finding's term ended.
    pub refused: u64,
}

/// What was approved before the end of a run's window and could have been taken: `approved = taken + not_final + holder`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FineWaits {
    /// All of them.
    pub approved: u64,
    /// Wait since their outcome can still change.
    pub not_final: u64,
    /// The last instant from which one of these is final; with `not_final`.
    pub until: Option<WallTime>,
    /// Wait since the registry has not answered who holds the vehicle.
    pub holder: u64,
}

impl FineWaits {
    /// Whether everything approved was taken or waits.
    pub const fn reconcile(&self, taken: u64) -> bool {
        self.approved == taken + self.not_final + self.holder && (self.not_final == 0) == self.until.is_none()
    }
}

/// Approved findings that no run holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FineOpen {
    /// All of them.
    pub findings: u64,
    /// Of these, their outcome can still change.
    pub not_final: u64,
    /// The first and the last instant from which one of these is final.
    pub final_from: Option<(WallTime, WallTime)>,
}

/// A finding that a run leaves for a later window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FineHeld {
    /// The finding.
    pub finding: FindingId,
    /// The version that was looked at.
    pub seen: u64,
    /// The instant that it waits for; a window that holds it takes the finding.
    pub until: WallTime,
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
    /// No answer came before the finding's term ended.
    pub ended: u64,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FineRun {
    /// Its name, from its window.
    pub id: String,
    /// Of which findings.
    pub kind: FineKind,
    /// Whose; `None`: the tax administration's.
    pub authority: Option<OrgId>,
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
    /// What waits; `None` of runs of before.
    pub waits: Option<FineWaits>,
    /// SHA-256 of the signed manifest and when it was signed; `None`: the run is open.
    pub signed: Option<(String, WallTime)>,
    /// Answers so far.
    pub answers: AnswerCounts,
}

impl FineRun {
    /// `open` until the manifest is signed, `waits` until every record has its answer, then `closed`.
    pub const fn state(&self) -> &'static str {
        let AnswerCounts { accepted, refused, correct, ended } = self.answers;
        let answered = accepted + refused + correct + ended;
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
    /// `merged` or `refused`, of a finding that became none.
    pub outcome: Option<&'static str>,
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
    /// The vehicle was allowed after all: the finding is erased when the run is kept, counted under this word, and this is why.
    pub closes: Option<(&'static str, Tally)>,
}

impl std::fmt::Debug for NewFineLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewFineLine")
            .field("position", &self.position)
            .field("finding", &self.finding)
            .finish_non_exhaustive()
    }
}

/// An approved finding that a run looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// It opens.
    Whole(Box<Finding>),
    /// Its file is damaged: nothing can be made of it, and it holds up no other.
    Damaged(DamagedFinding),
}

/// What lies in clear of a finding whose file does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedFinding {
    /// Key.
    pub id: FindingId,
    /// The approval.
    pub version: u64,
    /// Token of the vehicle.
    pub vehicle: String,
    /// What was approved.
    pub measure: FindingMeasure,
    /// When the vehicle was read.
    pub at: WallTime,
}

/// What is left of the line of an erased finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedLine {
    /// `merged` or `refused`.
    pub outcome: String,
    /// `term_ended` before the run was signed, or why the vehicle was allowed after all.
    pub reason: String,
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
    /// The finding is erased. The text is empty here.
    pub ended: Option<EndedLine>,
    /// The text does not open any more, and is empty here.
    pub is_damaged: bool,
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
    /// Of which findings.
    pub kind: FineKind,
    /// Whose.
    pub authority: Option<OrgId>,
    /// The run is signed.
    pub is_signed: bool,
    /// The term of the finding ended before an answer came.
    pub has_ended: bool,
    /// `accepted`, `refused` or `correct`, with its code.
    pub answer: Option<(String, Option<String>)>,
}

/// Where runs lie. Every method that gives out lines or pictures takes the permit of the job.
#[async_trait]
pub trait FineStore: Send + Sync + std::fmt::Debug {
    /// Findings that can be handed over since some instant of a span and that no run holds, by the time of the read, at most `limit`: since
    /// their approval, not before their outcome is final, and in zones with restricted access since the holder was answered.
    async fn fine_candidates(&self, permit: &FinePermit, range: TimeRange, limit: u32) -> Stored<Vec<Candidate>>;
    /// What was approved before the end of a span and no run of an earlier span holds.
    async fn fine_waits(&self, permit: &FinePermit, range: TimeRange) -> Stored<FineWaits>;
    /// The last instant for which findings wait that were read of the same vehicle before this one, and are not final before `to`.
    async fn fine_earlier(&self, permit: &FinePermit, finding: &Finding, to: WallTime) -> Stored<Option<WallTime>>;
    /// Findings that were approved before an instant and that no run holds.
    async fn fine_waiting(&self, permit: &FinePermit, before: WallTime) -> Stored<FineOpen>;
    /// What was handed over of a vehicle and stands.
    async fn fine_history(&self, vehicle: &str) -> Stored<Vec<HandedOver>>;
    /// The record of a finding that is to be corrected.
    async fn fine_superseded(&self, finding: FindingId) -> Stored<Option<String>>;
    /// A picture of a finding.
    async fn fine_picture(&self, permit: &FinePermit, id: FindingId, kind: PictureKind) -> Stored<Option<Bytes>>;
    /// What the registry said of the holder; `None` while it has not answered.
    async fn fine_holder(&self, permit: &FinePermit, id: FindingId) -> Stored<Option<KeptHolder>>;
    /// Keeps a run with all its lines in one transaction, lets the held ones wait and erases the findings that close: `Taken` when another run
    /// of the kind and authority is open or holds one of the findings, `Stale` when a finding is not approved any more as it was seen, when one
    /// is not final at the end of the window, or when what waits is not what the run says.
    async fn fine_open(
        &self,
        permit: &FinePermit,
        run: &FineRun,
        lines: &[NewFineLine],
        held: &[FineHeld],
    ) -> Stored<()>;
    /// One run, when it is one of the permit's kind and authority.
    async fn fine_run(&self, permit: &FinePermit, id: &str) -> Stored<Option<FineRun>>;
    /// Runs of the permit's kind and authority, newest first.
    async fn fine_runs(&self, permit: &FinePermit, limit: u32) -> Stored<Vec<FineRun>>;
    /// An open run is worked by one holder at a time: takes it or renews it; false when another has it.
    async fn fine_hold(&self, id: &str, holder: &str, now: WallTime, until: WallTime) -> Stored<bool>;
    /// Lines after a number. Fewer than there are when a finding was erased meanwhile.
    async fn fine_lines(&self, permit: &FinePermit, run: &str, after: u64, limit: u32) -> Stored<Vec<FineLine>>;
    /// Lines after a number up to another have left, unless the run was opened anew meanwhile.
    async fn fine_left(&self, run: &FineRun, span: (u64, u64), at: WallTime) -> Stored<()>;
    /// Lets an open run and its findings go, as if it had not been opened; findings that it closed stay closed. A run that is signed, or that
    /// was opened anew meanwhile, stays.
    async fn fine_void(&self, run: &FineRun) -> Stored<()>;
    /// Notes the signature of a run as it was looked at; false when it has another one, or was opened anew, or lost a record meanwhile.
    async fn fine_sign(&self, run: &FineRun, manifest_sha256: &str, at: WallTime) -> Stored<bool>;
    /// What was answered to a record.
    async fn fine_answered(&self, offence: &str) -> Stored<Option<KeptAnswer>>;
    /// Keeps an answer where there is none; false when there is one. `correct` lets the finding go; with `ends` the finding's own term ends
    /// then at the latest.
    async fn fine_answer(
        &self,
        offence: &str,
        answer: (&str, Option<&str>),
        at: WallTime,
        ends: Option<WallTime>,
    ) -> Stored<bool>;
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
    /// Gives the signature of a manifest once more that the run was signed with already.
    fn seal_again(&self, manifest: &[u8]) -> FineSeal;
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

/// Findings of one run at most: three weeks of the busiest year that `domain.md` A8 knows (27,123 fines), and more than thirty people
/// approve in a day.
const TAKE_MAX: u32 = 2_000;

/// What the use cases need for batches of fines.
#[derive(Debug)]
pub struct FineParts {
    pub(crate) store: Arc<dyn FineStore>,
    pub(crate) desk: Arc<dyn FineDesk>,
    pub(crate) opening: Openings,
    /// Name of the installation, where samples are taken.
    pub(crate) samples: Option<String>,
    /// Findings of one run at most.
    pub(crate) take_max: u32,
}

impl FineParts {
    /// Where runs lie, and who signs.
    pub fn new(store: Arc<dyn FineStore>, desk: Arc<dyn FineDesk>) -> Self {
        Self { store, desk, opening: Openings::default(), samples: None, take_max: TAKE_MAX }
    }

    /// With fewer findings in one run.
    #[must_use]
    pub fn with_take_max(self, take_max: u32) -> Self {
        Self { take_max, ..self }
    }

    /// A share of the approvals needs a second person, unless `seed/lez/queue.toml` makes an exception for this installation.
    #[must_use]
    pub fn with_samples(self, installation: &str) -> Self {
        Self { samples: Some(installation.to_owned()), ..self }
    }
}
