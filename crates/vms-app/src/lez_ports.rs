//! What plate reads and the low-emission zone need from outside: the store of purpose-bound copies and the registry.
//!
//! A read is copied once per purpose. No key and no token is shared between purposes, so a copy made for the low-emission
//! zone answers no police search, and the other way round (blueprint 4.4).
//!
//! Methods named for the machine (`read_take`, `read_waiting`, `read_settle`, …) take the permit of the reading service (profile P24), which is a
//! leaf of the log; methods for people take the permit of their action. A method without a permit gives out nothing about a person.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use traffic_rules::Day;
use vms_core::{
    CameraId, Confidence, Country, DecisionId, FindingId, OrgId, Plate, Purpose, ReadId, RetentionClass, StreamId,
    TimeRange, UserId, WallTime,
};

pub use crate::clock_ports::{ClockJournal, ClockSpan, ReadClock, ReadFrom};
use crate::erasure_ports::Swept;
pub use crate::finding_ports::{FindingExit, FindingPermit};
use crate::gate::Permit;
use crate::gate::action::{DecodeAnpr, ListReads, SearchReads};
pub use crate::holder_ports::{HolderOutcome, HolderStore, HolderWanted};
pub use crate::lez_registry::{
    Holder, HolderAnswer, HolderKind, HolderRegistry, HolderReply, RegistryAnswer, RegistryReply, VehicleQuery,
    VehicleRegistry,
};
pub use crate::lez_tally::{DayCount, Tally};
use crate::ports::store::Stored;

/// Largest picture that is kept with a read, bytes; a larger one is dropped and the read kept.
pub const PICTURE_MAX: usize = 512 * 1_024;

/// Which way the vehicle went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the camera.
    Approaching,
    /// Away from it.
    Leaving,
    /// Not known.
    Unknown,
}

impl Direction {
    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approaching => "approaching",
            Self::Leaving => "leaving",
            Self::Unknown => "unknown",
        }
    }

    /// Any other word is [`Direction::Unknown`].
    pub fn from_word(word: &str) -> Self {
        match word {
            "approaching" => Self::Approaching,
            "leaving" => Self::Leaving,
            _ => Self::Unknown,
        }
    }
}

/// What the reader says of one passage. `Debug` hides the plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFacts {
    /// The plate.
    pub plate: Plate,
    /// Countries with their probabilities, best first.
    pub countries: Vec<(Country, Confidence)>,
    /// Probability that the whole text is right.
    pub confidence: Confidence,
    /// A grammar corrected a character.
    pub corrected: bool,
    /// Which way.
    pub direction: Direction,
    /// Looks that were fused.
    pub looks: u32,
    /// Name and version of the models.
    pub model: String,
    /// State of the clock that timed it, where the camera says.
    pub clock: Option<ReadClock>,
    /// Who made it.
    pub from: ReadFrom,
}

/// One read as it comes from a reader.
#[derive(Clone, PartialEq, Eq)]
pub struct NewRead {
    /// Key, made by the reader.
    pub read: ReadId,
    /// Its camera.
    pub camera: CameraId,
    /// Its stream.
    pub stream: StreamId,
    /// Time of the best look.
    pub at: WallTime,
    /// What was read.
    pub facts: ReadFacts,
    /// The plate (JPEG); empty when there is none.
    pub crop: Bytes,
    /// The vehicle, everything else pixelated (JPEG); empty when there is none.
    pub overview: Bytes,
}

impl std::fmt::Debug for NewRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewRead").field("read", &self.read).field("camera", &self.camera).finish_non_exhaustive()
    }
}

/// A read about to be kept for one purpose.
#[derive(Clone, Debug)]
pub struct PurposeCopy {
    /// The read.
    pub read: Arc<NewRead>,
    /// The purpose.
    pub purpose: Purpose,
    /// Its retention class.
    pub class: RetentionClass,
    /// Owner of the camera at the time of the read.
    pub owner: OrgId,
    /// When it arrived here.
    pub received_at: WallTime,
    /// Erased then at the latest.
    pub expires_at: WallTime,
    /// The key of its hour is destroyed then at the latest: not before the last copy of the hour is erased.
    pub key_ends_at: WallTime,
}

/// What became of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFate {
    /// Kept now.
    Kept,
    /// Taken before, as the same read.
    Known,
    /// The same passage came by another way before.
    Twin,
}

/// One read as the store gives it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRead {
    /// Key.
    pub read: ReadId,
    /// Its camera.
    pub camera: CameraId,
    /// Owner of the camera at the time of the read.
    pub owner: OrgId,
    /// Its stream.
    pub stream: StreamId,
    /// When.
    pub at: WallTime,
    /// What was read.
    pub facts: ReadFacts,
    /// A picture of the plate is kept.
    pub has_crop: bool,
    /// A picture of the vehicle is kept.
    pub has_overview: bool,
}

/// A read that waits for its decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRead {
    /// The read.
    pub read: StoredRead,
    /// When it arrived here.
    pub received_at: WallTime,
    /// Answers of the registry so far that decided nothing.
    pub tries: u32,
}

/// Which reads a person wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadQuery {
    /// The camera's owner at the time of the read.
    pub owner: OrgId,
    /// One camera, or all of the owner's.
    pub camera: Option<CameraId>,
    /// When.
    pub range: TimeRange,
    /// Only reads before this one, in the order newest first.
    pub after: Option<(WallTime, ReadId)>,
    /// At most so many.
    pub limit: u32,
}

/// The permit under which a person sees reads.
#[derive(Clone, Copy, Debug)]
pub enum ReadPermit<'a> {
    /// Of a list.
    List(&'a Permit<ListReads>),
    /// Of a search.
    Search(&'a Permit<SearchReads>),
}

/// Which picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureKind {
    /// The plate.
    Crop,
    /// The vehicle.
    Overview,
    /// The plate at the other end of a run.
    ExitCrop,
    /// The vehicle there.
    ExitOverview,
}

/// What a finding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingVerdict {
    /// A fine is possible.
    Infraction,
    /// A warning letter.
    Warning,
    /// A person decides.
    Undetermined,
}

impl FindingVerdict {
    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Infraction => "infraction",
            Self::Warning => "warning",
            Self::Undetermined => "undetermined",
        }
    }
}

impl std::str::FromStr for FindingVerdict {
    type Err = crate::words::UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "infraction" => Ok(Self::Infraction),
            "warning" => Ok(Self::Warning),
            "undetermined" => Ok(Self::Undetermined),
            _ => Err(crate::words::UnknownWord { of: "FindingVerdict" }),
        }
    }
}

/// Where a finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingState {
    /// Nobody decided yet.
    Open,
    /// A person confirmed it.
    Approved,
    /// A person said no.
    Rejected,
    /// A person could not tell.
    Unclear,
}

impl FindingState {
    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Unclear => "unclear",
        }
    }
}

impl std::str::FromStr for FindingState {
    type Err = crate::words::UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "open" => Ok(Self::Open),
            "approved" => Ok(Self::Approved),
            "rejected" => Ok(Self::Rejected),
            "unclear" => Ok(Self::Unclear),
            _ => Err(crate::words::UnknownWord { of: "FindingState" }),
        }
    }
}

/// What a finding was made from. The texts are JSON of input and outcome of the purpose's rules as they were that day, so that the verdict can be made again years later. `Debug` hides the plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingFile {
    /// The plate.
    pub plate: Plate,
    /// Its country.
    pub country: Country,
    /// What the decision looked at.
    pub input: String,
    /// What it said.
    pub outcome: String,
}

/// The parts of a verdict that stand in columns of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingMeasure {
    /// What.
    pub verdict: FindingVerdict,
    /// Rule of the criteria table.
    pub rule_id: Option<String>,
    /// Rule of the fines table.
    pub fine_id: Option<String>,
    /// Amount, euro cents by the fine's currency.
    pub amount_cents: Option<u32>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Version of the tables.
    pub rule_set: String,
    /// First instant from which the outcome can change no more; `None`: from the start.
    pub final_from: Option<WallTime>,
}

/// A finding about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFinding {
    /// Key.
    pub id: FindingId,
    /// Verdict.
    pub measure: FindingMeasure,
    /// Token of the vehicle ([`LezStore::vehicle_token`]).
    pub vehicle: String,
    /// Whose people decide it; `None`: the tax administration.
    pub authority: Option<OrgId>,
    /// A vehicle has one finding per day and slot: empty for the low-emission zone, a zone, a run.
    pub slot: String,
    /// Its class.
    pub class: RetentionClass,
    /// Erased then at the latest.
    pub expires_at: WallTime,
    /// What it was made from.
    pub file: FindingFile,
}

/// The end of a waiting read: it is erased, counted, and becomes a finding or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Its purpose.
    pub purpose: Purpose,
    /// The read.
    pub read: ReadId,
    /// The read of the other end, which goes with it; a finding has its pictures too.
    pub exit: Option<StoredRead>,
    /// Its camera.
    pub camera: CameraId,
    /// When it was read.
    pub at: WallTime,
    /// What the decision came to.
    pub tally: Tally,
    /// The finding; its pictures are those of the read.
    pub finding: Option<Box<NewFinding>>,
}

/// What a settlement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The read is gone, and counted.
    Counted,
    /// The read became this finding.
    Found(FindingId),
    /// There is a finding of this vehicle and day already; the read is gone, and counted so.
    SameDay,
    /// Somebody else settled it before.
    Gone,
}

/// An earlier finding of a vehicle, without the vehicle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorFinding {
    /// What.
    pub verdict: FindingVerdict,
    /// Rule of the fines table.
    pub fine_id: Option<String>,
    /// Amount.
    pub amount_cents: Option<u32>,
    /// When the vehicle was read.
    pub at: WallTime,
    /// Its slot: the zone.
    pub slot: String,
}

/// A finding as the store gives it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Key.
    pub id: FindingId,
    /// Of which purpose.
    pub purpose: Purpose,
    /// Where it stands.
    pub state: FindingState,
    /// Verdict.
    pub measure: FindingMeasure,
    /// When the vehicle was read.
    pub at: WallTime,
    /// The camera.
    pub camera: CameraId,
    /// Token of the vehicle.
    pub vehicle: String,
    /// What it was made from.
    pub file: FindingFile,
    /// A picture of the plate is kept.
    pub has_crop: bool,
    /// A picture of the vehicle is kept.
    pub has_overview: bool,
    /// The read of the other end, where there is one.
    pub exit: Option<FindingExit>,
    /// Rises with every decision; the entity tag.
    pub version: u64,
    /// Who approved it first, where a second person has to do it too.
    pub first_by: Option<UserId>,
    /// Who decided last.
    pub decided_by: Option<UserId>,
    /// When.
    pub decided_at: Option<WallTime>,
    /// In whose words.
    pub decision_reason: Option<String>,
}

/// A person's decision on a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingDecision {
    /// The finding.
    pub id: FindingId,
    /// The version that the person saw.
    pub seen: u64,
    /// New state.
    pub state: FindingState,
    /// Why, in the person's words.
    pub reason: Option<String>,
    /// Who.
    pub user: UserId,
    /// When.
    pub at: WallTime,
    /// Under which decision of the gate.
    pub decision: DecisionId,
    /// The verdict made again with the person's confirmation, when that was done.
    pub renewed: Option<(FindingMeasure, FindingFile)>,
    /// A new end of its term, when there is one.
    pub expires_at: Option<WallTime>,
    /// Who approved it first, of two.
    pub first_by: Option<UserId>,
}

impl FindingDecision {
    /// What was done, for the log.
    pub const fn word(&self) -> &'static str {
        match (self.state, &self.first_by) {
            (FindingState::Open, Some(_)) => "approved_first",
            (state, _) => state.as_str(),
        }
    }
}

/// One question to the registry that left, exactly as it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryAsk {
    /// Id of the request.
    pub request: String,
    /// Purpose of the flow.
    pub purpose: Purpose,
    /// Flow.
    pub flow: String,
    /// On whose behalf.
    pub institution: String,
    /// Source.
    pub source: String,
    /// Why: the decision under which it was asked.
    pub reason: String,
    /// First attempt.
    pub asked_at: WallTime,
    /// End of the last attempt.
    pub ended_at: WallTime,
    /// Attempts.
    pub attempts: u32,
    /// How it ended, one sentence.
    pub end: String,
    /// Plate, country, instant asked about, what came back.
    pub items: Vec<(Plate, Country, WallTime, &'static str)>,
}

/// Purpose-bound copies of reads, and findings.
#[async_trait]
pub trait LezStore:
    ClockJournal
    + crate::plate_ports::PlateIndex
    + crate::watchlist_ports::WatchStore
    + HolderStore
    + crate::pass_ports::PassStore
    + crate::gated_read_ports::GatedReadStore
    + crate::erasure_ports::ErasureJournal
    + Send
    + Sync
    + std::fmt::Debug
{
    /// Machine: keeps copies durably; says of each what became of it, in their order. Idempotent by read and purpose, also when the copy
    /// was decided and erased in between.
    async fn read_take(&self, permit: &Permit<DecodeAnpr>, copies: &[PurposeCopy]) -> Stored<Vec<CopyFate>>;
    /// Key of a read that somebody else made: the same for the same words, worth nothing without the store's key.
    fn pushed_id(&self, words: &[&str]) -> ReadId;
    /// Machine: reads of a purpose without a decision whose next try is due, oldest first.
    async fn read_waiting(
        &self,
        permit: &Permit<DecodeAnpr>,
        purpose: Purpose,
        now: WallTime,
        limit: u32,
    ) -> Stored<Vec<WaitingRead>>;
    /// Machine: other undecided reads of a purpose with the same plate, by time; at most 64.
    async fn read_same(
        &self,
        permit: &Permit<DecodeAnpr>,
        purpose: Purpose,
        plate: &Plate,
        range: TimeRange,
    ) -> Stored<Vec<StoredRead>>;
    /// Machine: nothing could be decided; not before `until` again.
    async fn read_postpone(&self, purpose: Purpose, reads: &[ReadId], until: WallTime) -> Stored<()>;
    /// Machine: an entry that nobody is known to allow waits for its exit until then, also past the term of what is undecided.
    async fn read_hold(&self, purpose: Purpose, read: ReadId, until: WallTime) -> Stored<()>;
    /// Machine: erases read and pictures, counts, and makes the finding, in one transaction.
    async fn read_settle(&self, permit: &Permit<DecodeAnpr>, settlement: &Settlement) -> Stored<Settled>;

    /// As [`read_settle`](Self::read_settle), all in one transaction: a day has a million vehicles that may drive. In the order of the settlements.
    async fn read_settle_all(&self, permit: &Permit<DecodeAnpr>, settlements: &[Settlement]) -> Stored<Vec<Settled>>;
    /// Machine: keeps what was asked. The list of plates is sealed and ends at `expires_at`; the rest stays.
    async fn ask_put(&self, ask: &RegistryAsk, expires_at: WallTime) -> Stored<()>;
    /// Machine: erases what reached the end of its term, and destroys keys that nothing needs.
    async fn lez_sweep(&self, now: WallTime) -> Stored<Swept>;
    /// Token of a vehicle: the same for the same vehicle and purpose, worth nothing without the store's key.
    fn vehicle_token(&self, purpose: Purpose, registry_key: Option<&str>, plate: &Plate, country: Country) -> String;
    /// Findings of a vehicle that are open or approved, oldest first; not `but`.
    async fn vehicle_history(&self, vehicle: &str, but: Option<FindingId>) -> Stored<Vec<PriorFinding>>;
    /// Counts of one day.
    async fn day_counts(&self, purpose: Purpose, day: Day) -> Stored<Vec<DayCount>>;

    /// Police copies, newest first.
    async fn read_list(&self, permit: &Permit<ListReads>, query: &ReadQuery) -> Stored<Vec<StoredRead>>;
    /// Police copies with exactly this plate, newest first.
    async fn read_search(
        &self,
        permit: &Permit<SearchReads>,
        plate: &Plate,
        query: &ReadQuery,
    ) -> Stored<Vec<StoredRead>>;
    /// One police copy.
    async fn read_fetch(&self, permit: ReadPermit<'_>, id: ReadId) -> Stored<Option<StoredRead>>;
    /// A picture of a police copy.
    async fn read_picture(&self, permit: ReadPermit<'_>, id: ReadId, kind: PictureKind) -> Stored<Option<Bytes>>;
    /// Times and ids of police copies of one camera, by time.
    async fn read_marks(&self, camera: CameraId, range: TimeRange, limit: u32) -> Stored<Vec<(WallTime, ReadId)>>;
    /// A keyed hash of a query, for the log: under a key of its own, so that it leads to no row.
    fn query_hash(&self, plate: &Plate) -> String;

    /// Findings that the permit opens in a state (or all), oldest first, after an id.
    async fn finding_list(
        &self,
        permit: FindingPermit<'_>,
        state: Option<FindingState>,
        after: Option<FindingId>,
        limit: u32,
    ) -> Stored<Vec<Finding>>;
    /// One finding that the permit opens.
    async fn finding_fetch(&self, permit: FindingPermit<'_>, id: FindingId) -> Stored<Option<Finding>>;
    /// A picture of a finding that the permit opens.
    async fn finding_picture(
        &self,
        permit: FindingPermit<'_>,
        id: FindingId,
        kind: PictureKind,
    ) -> Stored<Option<Bytes>>;
    /// Keeps a decision when the version is still the one seen; `Stale` otherwise. Decisions are only ever added.
    async fn finding_decide(&self, permit: FindingPermit<'_>, decision: &FindingDecision) -> Stored<()>;
}
