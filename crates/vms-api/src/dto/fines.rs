//! Batches of fines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::UseCaseError;
use vms_app::fines::{FineAnswer, FineDelivery, FineStatus};
use vms_app::fines_passes::PassesTold;
use vms_app::fines_ports::{FineKind, FineRun, FineSeal, FineTotals, FineWaits};
use vms_app::pass_ports::SoldPass;

use super::common::{instant, parse_instant};
use crate::problem::Problem;

/// Which run is wanted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FineRunDto {
    /// Of which findings: `lez` (the default), `zbt` or `trajectory`.
    #[serde(default)]
    pub kind: Option<String>,
    /// First instant of the approvals, RFC 3339, a whole minute; in zones with restricted access of the holders' answers.
    pub from: String,
    /// First instant after them; not in the future.
    pub to: String,
    /// Who works the run: 8 to 64 letters and digits, the same at every try.
    pub holder: String,
    /// Only say what it would come to.
    #[serde(default)]
    pub dry_run: bool,
}

/// Totals of a run: `taken = records + merged + refused`, `records = fines + warnings + files`.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct FineTotalsView {
    /// Approved in the window and in no run before.
    pub taken: u64,
    /// Lines of `offences.jsonl`.
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

impl From<FineTotals> for FineTotalsView {
    fn from(totals: FineTotals) -> Self {
        let FineTotals { taken, records, fines, warnings, files, amount_cents, merged, refused } = totals;
        Self { taken, records, fines, warnings, files, amount_cents, merged, refused }
    }
}

/// What was approved before the end of the window and could have been taken: `approved = taken + not_final + holder`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FineWaitsView {
    /// All of them.
    pub approved: u64,
    /// Wait for a later window: their outcome can still change (a day pass can be bought, a permit regularised).
    pub not_final: u64,
    /// The last instant from which one of these is final; with `not_final`.
    pub until: Option<String>,
    /// Wait since the registry has not answered who holds the vehicle.
    pub holder: u64,
}

impl From<FineWaits> for FineWaitsView {
    fn from(waits: FineWaits) -> Self {
        let FineWaits { approved, not_final, until, holder } = waits;
        Self { approved, not_final, until: until.map(instant), holder }
    }
}

/// Answers to the records of a run.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct FineAnswersView {
    /// Taken.
    pub accepted: u64,
    /// Not taken.
    pub refused: u64,
    /// To be corrected.
    pub correct: u64,
    /// No answer came before the finding's term ended.
    pub ended: u64,
    /// No answer yet.
    pub waiting: u64,
}

/// One run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FineRunView {
    /// Its name, also that of the folder.
    pub id: String,
    /// Of which findings: `lez`, `zbt` or `trajectory`.
    pub kind: &'static str,
    /// Whose; null: the tax administration's.
    pub authority: Option<String>,
    /// `open` until its manifest is signed, `waits` until every record has its answer, then `closed`.
    pub state: &'static str,
    /// Number in the chain, from 1.
    pub chain: u64,
    /// SHA-256 of the manifest before; empty for the first.
    pub previous: String,
    /// First instant of the approvals.
    pub from: String,
    /// First instant after them.
    pub to: String,
    /// When the findings were taken.
    pub opened_at: String,
    /// Version of the tables.
    pub rule_set: String,
    /// Totals.
    pub totals: FineTotalsView,
    /// What waits; null in runs of before.
    pub waits: Option<FineWaitsView>,
    /// SHA-256 of the signed manifest.
    pub manifest_sha256: Option<String>,
    /// When it was signed.
    pub signed_at: Option<String>,
    /// Answers so far.
    pub answers: FineAnswersView,
}

impl From<&FineRun> for FineRunView {
    fn from(run: &FineRun) -> Self {
        let answers = run.answers;
        let answered = answers.accepted + answers.refused + answers.correct + answers.ended;
        Self {
            id: run.id.clone(),
            kind: run.kind.as_str(),
            authority: run.authority.map(|org| org.to_string()),
            state: run.state(),
            chain: run.chain,
            previous: run.previous.clone(),
            from: instant(run.range.from),
            to: instant(run.range.to),
            opened_at: instant(run.opened_at),
            rule_set: run.rule_set.clone(),
            totals: run.totals.into(),
            waits: run.waits.map(FineWaitsView::from),
            manifest_sha256: run.signed.as_ref().map(|(digest, _)| digest.clone()),
            signed_at: run.signed.as_ref().map(|(_, at)| instant(*at)),
            answers: FineAnswersView {
                accepted: answers.accepted,
                refused: answers.refused,
                correct: answers.correct,
                ended: answers.ended,
                waiting: run.totals.records.saturating_sub(answered),
            },
        }
    }
}

/// Runs, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FineStatusView {
    /// The runs.
    pub runs: Vec<FineRunView>,
    /// Findings that are approved and in no run yet.
    pub waiting: u64,
    /// Of these, their outcome can still change.
    pub not_final: u64,
    /// The first instant from which one of these is final.
    pub final_from: Option<String>,
    /// The last one.
    pub final_until: Option<String>,
}

impl From<&FineStatus> for FineStatusView {
    fn from(status: &FineStatus) -> Self {
        let waiting = status.waiting;
        Self {
            runs: status.runs.iter().map(FineRunView::from).collect(),
            waiting: waiting.findings,
            not_final: waiting.not_final,
            final_from: waiting.final_from.map(|(first, _)| instant(first)),
            final_until: waiting.final_from.map(|(_, last)| instant(last)),
        }
    }
}

/// Of which findings.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub struct FineKindQuery {
    /// `lez` (the default), `zbt` or `trajectory`.
    #[serde(default)]
    pub kind: Option<String>,
}

/// Reads the word of a kind; none is the low-emission zone.
///
/// # Errors
/// `invalid` for another word.
pub fn fine_kind(word: Option<&str>) -> Result<FineKind, UseCaseError> {
    word.map_or(Ok(FineKind::Lez), |word| word.parse().map_err(|_| UseCaseError::invalid("kind", "unknown")))
}

/// Which lines.
#[derive(Clone, Debug, Deserialize, IntoParams)]
pub struct FineLinesQuery {
    /// Who works the run.
    #[serde(default)]
    pub holder: String,
    /// The last number that is there already.
    #[serde(default)]
    pub after: u64,
}

/// One picture of a line.
#[derive(Clone, Serialize, ToSchema)]
pub struct FinePictureView {
    /// Path inside the folder.
    pub file: String,
    /// JPEG, base64.
    pub jpeg: String,
}

/// One line of a run.
#[derive(Clone, Serialize, ToSchema)]
pub struct FineLineView {
    /// From 1 without gaps.
    pub position: u64,
    /// A line of `offences.jsonl`; else one of `rejects.jsonl`.
    pub is_record: bool,
    /// The exact line, without its line feed.
    pub text: String,
    /// Pictures, as the line names them.
    pub pictures: Vec<FinePictureView>,
}

impl std::fmt::Debug for FineLineView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FineLineView").field("position", &self.position).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for FinePictureView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FinePictureView").field("file", &self.file).finish_non_exhaustive()
    }
}

impl From<&FineDelivery> for FineLineView {
    fn from(delivery: &FineDelivery) -> Self {
        let picture = |(file, bytes): &(String, bytes::Bytes)| FinePictureView {
            file: file.clone(),
            jpeg: STANDARD.encode(bytes),
        };
        Self {
            position: delivery.line.position,
            is_record: delivery.line.offence.is_some(),
            text: delivery.line.text.clone(),
            pictures: delivery.pictures.iter().map(picture).collect(),
        }
    }
}

/// The next lines; none at the end.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FineLinesView {
    /// In order.
    pub items: Vec<FineLineView>,
}

/// A manifest to be signed.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FineSignDto {
    /// Who works the run.
    pub holder: String,
    /// The exact text of `manifest.json`.
    pub manifest: String,
}

/// A signature.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FineSealView {
    /// Ed25519 over the manifest's bytes, hexadecimal.
    pub signature: String,
    /// Public key, hexadecimal.
    pub key: String,
}

impl From<FineSeal> for FineSealView {
    fn from(seal: FineSeal) -> Self {
        Self { signature: hex::encode(seal.signature), key: hex::encode(seal.key) }
    }
}

/// One answer of the tax administration.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FineAnswerDto {
    /// Key of the record, `ofc_…`.
    pub offence: String,
    /// `accepted`, `refused` or `correct`.
    pub answer: String,
    /// Why; with `refused` and `correct`, and there always.
    pub code: Option<String>,
}

/// Answers, at most 5,000.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FineAnswersDto {
    /// The answers.
    pub items: Vec<FineAnswerDto>,
}

impl FineAnswersDto {
    /// For the use case.
    pub fn to_answers(self) -> Vec<FineAnswer> {
        let one = |dto: FineAnswerDto| FineAnswer { offence: dto.offence, answer: dto.answer, code: dto.code };
        self.items.into_iter().map(one).collect()
    }
}

/// What became of one answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FineAnswerView {
    /// Key of the record.
    pub offence: String,
    /// `noted`, `known`; or not taken: `unknown`, `not_signed`, `contradicts`, `term_ended`.
    pub outcome: &'static str,
}

/// What became of the answers, in their order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FineAnswersOutcome {
    /// One for each.
    pub items: Vec<FineAnswerView>,
}

/// A day pass that was sold.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SoldPassDto {
    /// The plate, as on the pass.
    pub plate: String,
    /// Its country: `B`, `NL`, `F`, …
    pub country: String,
    /// The day in Brussels that it is for, `YYYY-MM-DD`.
    pub day: String,
    /// When it was bought, RFC 3339; not in the future.
    pub bought_at: String,
}

impl std::fmt::Debug for SoldPassDto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoldPassDto").field("day", &self.day).finish_non_exhaustive()
    }
}

/// Day passes, at most 5,000.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SoldPassesDto {
    /// The passes.
    pub items: Vec<SoldPassDto>,
}

impl SoldPassesDto {
    /// For the use case.
    ///
    /// # Errors
    /// `invalid`: nothing of it counts.
    pub fn to_passes(&self) -> Result<Vec<SoldPass>, Problem> {
        let one = |dto: &SoldPassDto| {
            let bought_at = parse_instant("bought_at", &dto.bought_at)?;
            SoldPass::parse(&dto.plate, &dto.country, &dto.day, bought_at)
                .map_err(|(field, problem)| Problem::invalid(field, problem))
        };
        self.items.iter().map(one).collect()
    }
}

/// What became of day passes.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct SoldPassesOutcome {
    /// Kept now.
    pub noted: u64,
    /// Known before; nothing changes.
    pub known: u64,
    /// For a day that is over for longer than passes are kept, or more than a year ahead: not kept.
    pub out_of_term: u64,
}

impl From<PassesTold> for SoldPassesOutcome {
    fn from(told: PassesTold) -> Self {
        let PassesTold { noted, known, out_of_term } = told;
        Self { noted, known, out_of_term }
    }
}
