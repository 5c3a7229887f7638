//! Batches of fines for the tax administration: a run takes what people approved in a window, its lines leave, its manifest is signed, its
//! answers come back. Nothing here decides that somebody is fined: a person did, and the lines say who.
//!
//! A run is the machine's (profile P24 of the tax administration). Every request is a decision of the gate under the flow that filled the
//! queue; beside that the log has a leaf for the run, one for every record before it leaves for the first time, one for the signature and
//! one for every answer.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use traffic_rules::lez::RuleSet;
use vms_core::{Relation, TimeRange, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::fines_lines::Making;
use crate::fines_ports::{
    AnswerCounts, FineHeld, FineKind, FineLine, FineOpen, FineParts, FinePermit, FineRun, FineSeal, KeptAnswer,
    NewFineLine,
};
use crate::gate::action::Action;
use crate::gate::{Actor, Circumstances, Permit, Target, Why};
use crate::lez::class;
use crate::ports::StoreError;
use crate::sharing::board::{LEZ_FLOW, ZBT_FLOW};

/// The smallest window. What two days approved can become ready at one midnight, which no smaller window parts: of that one run takes as many
/// as it may, and the others wait for the next window.
const SMALLEST: std::time::Duration = std::time::Duration::from_secs(60);
/// So many runs' worth of findings can wait so; past that a run is refused.
const OVERFLOW_MAX: u32 = 5;
/// Lines that leave at once: with two pictures of at most 512 KiB each they stay below 16 MiB.
pub(crate) const PAGE: u32 = 16;
/// An open run is its holder's for this long after each request.
const HOLD: std::time::Duration = std::time::Duration::from_secs(120);
/// How long one request waits for a run to be opened: two thousand pictures take about twenty seconds to look at.
const OPEN_WAIT: std::time::Duration = std::time::Duration::from_secs(5);
/// Tries when approvals change under a run that is being opened.
const OPEN_TRIES: u32 = 3;
/// Runs in one list.
const LIST_MAX: u32 = 500;
/// Answers in one request.
const ANSWERS_MAX: usize = 5_000;
/// Lines read at once for the check before a signature.
const CHECK_PAGE: u32 = 500;

/// A line that leaves, with its pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FineDelivery {
    /// The line.
    pub line: FineLine,
    /// Path inside the folder, and the picture.
    pub pictures: Vec<(String, Bytes)>,
}

/// An answer as the tax administration gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FineAnswer {
    /// Key of the record.
    pub offence: String,
    /// `accepted`, `refused` or `correct`.
    pub answer: String,
    /// Why; with `refused` and `correct`.
    pub code: Option<String>,
}

/// Runs, and what none of them holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FineStatus {
    /// Newest first.
    pub runs: Vec<FineRun>,
    /// Findings that are approved and in no run yet.
    pub waiting: FineOpen,
}

/// A run as it would be kept.
struct Plan {
    run: FineRun,
    lines: Vec<NewFineLine>,
    held: Vec<FineHeld>,
}

impl Plan {
    /// Findings whose vehicle was allowed after all, with the reason.
    fn closed(&self) -> Vec<serde_json::Value> {
        let closed = self.lines.iter().filter_map(|line| Some((line.finding, line.closes?.0)));
        closed.map(|(finding, reason)| json!({ "finding": finding.to_string(), "reason": reason })).collect()
    }
}

pub(crate) fn conflict(word: &'static str) -> UseCaseError {
    UseCaseError::Conflict(Conflict::WrongState(word))
}

/// The name of a run, from its kind, the authority where there are several, and its window; whole minutes.
fn name_of(actor: &Actor, kind: FineKind, range: TimeRange) -> Result<String, UseCaseError> {
    let minute = |field: &str, at: WallTime| {
        let whole = at.micros.rem_euclid(60_000_000) == 0;
        let stamp = jiff::Timestamp::from_microsecond(at.micros).ok().filter(|_| whole);
        let stamp = stamp.ok_or_else(|| UseCaseError::invalid(field, "not_a_whole_minute"))?;
        Ok::<_, UseCaseError>(stamp.strftime("%Y%m%dT%H%MZ").to_string())
    };
    let plain = |c: &char| c.is_ascii_alphanumeric();
    let whose: String = match kind {
        FineKind::Lez => String::new(),
        FineKind::Zbt | FineKind::Trajectory => actor.org_code.chars().filter(plain).chain(['-']).collect(),
    };
    Ok(format!("{}-{whose}{}-{}", kind.prefix(), minute("from", range.from)?, minute("to", range.to)?))
}

fn is_holder(holder: &str) -> bool {
    (8..=64).contains(&holder.len()) && holder.bytes().all(|c| c.is_ascii_alphanumeric())
}

impl UseCases {
    pub(crate) fn fines(&self) -> Result<&FineParts, UseCaseError> {
        self.extensions().fines.as_ref().ok_or_else(|| UseCaseError::Conflict(Conflict::NoSuchService("fines")))
    }

    /// The permit of a kind: the tax administration's job has the low-emission zone, a municipality's its zones, a police zone's its stretches.
    pub(crate) async fn fine_permit(
        &self,
        actor: &Actor,
        kind: FineKind,
        object: Option<String>,
    ) -> Result<FinePermit, UseCaseError> {
        Ok(match kind {
            FineKind::Lez => {
                let owner = self.lez_authority().await?;
                FinePermit::Lez(self.fine_permit_of(actor, (kind, LEZ_FLOW), owner, object).await?)
            }
            FineKind::Zbt => FinePermit::Zbt(self.fine_permit_of(actor, (kind, ZBT_FLOW), actor.org, object).await?),
            // No flow: the holder is looked up in the police's own systems (`domain.md` E2).
            FineKind::Trajectory => {
                FinePermit::Trajectory(self.fine_permit_of(actor, (kind, ""), actor.org, object).await?)
            }
        })
    }

    async fn fine_permit_of<A: Action>(
        &self,
        actor: &Actor,
        (kind, flow): (FineKind, &str),
        owner: vms_core::OrgId,
        object: Option<String>,
    ) -> Result<Permit<A>, UseCaseError> {
        let is_own = actor.org == owner && (kind == FineKind::Lez || self.decides(&actor.org_code, kind.purpose()));
        let relation = if is_own { Relation::Own } else { Relation::Other };
        let flow = Some(flow).filter(|flow| !flow.is_empty());
        let circumstances = self.circumstances_of_own(actor, flow).await?;
        let circumstances = Circumstances { own_territory: is_own, ..circumstances };
        let target = Target { owner: Some(owner), relation, object, circumstances, ..Target::none() };
        let why = Why { purpose: Some(kind.purpose()), ..Why::default() };
        Ok(self.gate.permit::<A>(actor, target, &why).await?)
    }

    /// Takes the findings of a window, or finds the run that took them and goes on with it. A dry run says what it would come to and changes
    /// nothing but the log. `None`: it takes longer than a request may; whoever asks again gets the outcome.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Conflict` (`run_busy`, `other_run_open`, `window_overlaps`, `too_many`), `LogUnavailable`, `Unavailable`.
    pub async fn fine_run(
        self: &Arc<Self>,
        actor: &Actor,
        kind: FineKind,
        range: TimeRange,
        holder: &str,
        dry: bool,
    ) -> Result<Option<FineRun>, UseCaseError> {
        let id = name_of(actor, kind, range)?;
        let Some(parts) = &self.extensions().fines else {
            self.fine_permit(actor, kind, Some(id)).await?;
            return self.fines().map(|_| None);
        };
        let key = format!("{id}|{holder}|{dry}|{}", actor.session);
        let known = parts.opening.take(&key);
        let mut working = match known {
            Some(working) => working,
            None => {
                let (cases, actor, holder) = (Arc::clone(self), actor.clone(), holder.to_owned());
                tokio::spawn(async move { cases.fine_run_now(&actor, kind, range, &holder, dry).await })
            }
        };
        if let Ok(joined) = tokio::time::timeout(OPEN_WAIT, &mut working).await {
            return joined.map_err(|error| UseCaseError::Internal(error.into()))?.map(Some);
        }
        if parts.opening.keep(key, working) { Ok(None) } else { Err(conflict("run_busy")) }
    }

    /// As [`UseCases::fine_run`], however long it takes.
    ///
    /// # Errors
    /// As there.
    pub async fn fine_run_now(
        &self,
        actor: &Actor,
        kind: FineKind,
        range: TimeRange,
        holder: &str,
        dry: bool,
    ) -> Result<FineRun, UseCaseError> {
        let id = name_of(actor, kind, range)?;
        let permit = self.fine_permit(actor, kind, Some(id.clone())).await?;
        let parts = self.fines()?;
        if range.to > self.now() {
            return Err(UseCaseError::invalid("to", "not_over_yet"));
        }
        if !is_holder(holder) {
            return Err(UseCaseError::invalid("holder", "unknown"));
        }
        for _ in 0..OPEN_TRIES {
            if let Some(run) = parts.store.fine_run(&permit, &id).await? {
                if !dry && run.signed.is_none() {
                    self.fine_hold(parts, &run, holder).await?;
                }
                return Ok(run);
            }
            let plan = self.fine_plan(parts, &permit, &id, range).await?;
            let run = &plan.run;
            if dry {
                return Ok(plan.run);
            }
            // First the log: findings that nobody can prove were taken were not taken.
            let details = json!({
                "run": id, "of": kind.as_str(), "taken": run.totals.taken, "records": run.totals.records, "merged": run.totals.merged,
                "refused": run.totals.refused, "waits": run.waits.map(|waits| waits.not_final + waits.holder), "closed": plan.closed(),
                "rule_set": run.rule_set, "decision": permit.decision().to_string(),
            });
            self.record("fine_run_opened", audit::LeafKind::Batch, Some(actor.clone()), details).await?;
            match parts.store.fine_open(&permit, run, &plan.lines, &plan.held).await {
                // Somebody was quicker, or an approval was taken back meanwhile: look again.
                Ok(()) | Err(StoreError::Taken(_) | StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(conflict("run_busy"))
    }

    async fn fine_plan(
        &self,
        parts: &FineParts,
        permit: &FinePermit,
        id: &str,
        range: TimeRange,
    ) -> Result<Plan, UseCaseError> {
        let runs = parts.store.fine_runs(permit, LIST_MAX).await?;
        if runs.iter().any(|run| run.signed.is_none()) {
            return Err(conflict("other_run_open"));
        }
        if runs.iter().any(|run| run.range.from < range.to && range.from < run.range.to) {
            return Err(conflict("window_overlaps"));
        }
        let is_smallest = range.to <= range.from.plus(SMALLEST);
        let most = if is_smallest { parts.take_max.saturating_mul(OVERFLOW_MAX) } else { parts.take_max };
        let candidates = parts.store.fine_candidates(permit, range, most.saturating_add(1)).await?;
        if candidates.len() > usize::try_from(most).unwrap_or(usize::MAX) {
            return Err(conflict("too_many"));
        }
        let now = self.now();
        let free_from = runs.iter().map(|run| run.range.to).max().unwrap_or(range.to).max(range.to);
        let mut making = Making::new(parts, permit, id, (now, range.to, free_from));
        for candidate in &candidates {
            making.add(self, candidate).await?;
        }
        let mut waits = parts.store.fine_waits(permit, range).await?;
        waits.not_final += u64::try_from(making.held.len()).unwrap_or(u64::MAX);
        waits.until = making.held.iter().map(|held| Some(held.until)).fold(waits.until, Option::max);
        let last = runs.first();
        let run = FineRun {
            id: id.to_owned(),
            kind: permit.kind(),
            authority: permit.authority(),
            chain: last.map_or(0, |run| run.chain) + 1,
            previous: last.and_then(|run| run.signed.clone()).map(|(digest, _)| digest).unwrap_or_default(),
            range,
            opened_at: now,
            rule_set: self.fine_rules(permit.kind())?,
            totals: making.totals,
            waits: Some(waits),
            signed: None,
            answers: AnswerCounts::default(),
        };
        Ok(Plan { run, lines: making.lines, held: making.held })
    }

    /// Version of the tables that a kind is decided with.
    fn fine_rules(&self, kind: FineKind) -> Result<String, UseCaseError> {
        Ok(match kind {
            FineKind::Lez => RuleSet::embedded_once().version().as_str().to_owned(),
            FineKind::Zbt => self.traffic()?.zones.version().as_str().to_owned(),
            FineKind::Trajectory => self.traffic()?.roads.version().as_str().to_owned(),
        })
    }

    async fn fine_hold(&self, parts: &FineParts, run: &FineRun, holder: &str) -> Result<(), UseCaseError> {
        let now = self.now();
        let holds = is_holder(holder) && parts.store.fine_hold(&run.id, holder, now, now.plus(HOLD)).await?;
        if holds { Ok(()) } else { Err(conflict("run_busy")) }
    }

    async fn fine_run_held(
        &self,
        parts: &FineParts,
        permit: &FinePermit,
        id: &str,
        holder: &str,
    ) -> Result<FineRun, UseCaseError> {
        let run = parts.store.fine_run(permit, id).await?.ok_or(UseCaseError::NotFound(Entity::FineRun))?;
        if run.signed.is_none() {
            self.fine_hold(parts, &run, holder).await?;
        }
        Ok(run)
    }

    /// The next lines of a run with their pictures. A record that leaves for the first time is in the log before it does.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Conflict` (`run_busy`, `finding_erased`, `run_damaged`; `damaged` of a run that is signed), `LogUnavailable`, `Unavailable`.
    pub async fn fine_lines(
        &self,
        actor: &Actor,
        id: &str,
        holder: &str,
        after: u64,
    ) -> Result<Vec<FineDelivery>, UseCaseError> {
        let permit = self.fine_permit(actor, FineKind::of_run(id), Some(id.to_owned())).await?;
        let parts = self.fines()?;
        let run = self.fine_run_held(parts, &permit, id, holder).await?;
        let out = self.fine_deliveries((parts, &permit), &run, after).await?;
        // What has no gaps and ends with the run is all there is.
        let due = run.totals.taken.saturating_sub(after).min(u64::from(PAGE));
        if u64::try_from(out.len()).unwrap_or(u64::MAX) != due {
            return Err(conflict("finding_erased"));
        }
        let leaving = out.iter().filter(|delivery| delivery.line.left_at.is_none());
        let leaves = leaving.filter_map(|delivery| {
            let offence = delivery.line.offence.as_ref()?;
            let details = json!({
                "run": id, "offence": offence, "finding": delivery.line.finding.to_string(),
                "sha256": hex::encode(Sha256::digest(delivery.line.text.as_bytes())),
                "pictures": delivery.pictures.len(), "decision": permit.decision().to_string(),
            });
            Some(self.record("fine_handed_over", audit::LeafKind::Change, Some(actor.clone()), details))
        });
        // At once: the log writes what waits together.
        futures_util::future::try_join_all(leaves).await?;
        if let Some(last) = out.iter().rev().find(|delivery| delivery.line.left_at.is_none()) {
            parts.store.fine_left(&run, (after, last.line.position), self.now()).await?;
        }
        Ok(out)
    }

    /// Signs the manifest of a run when it is that of its lines and all of them have left. The same manifest gives the same signature.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Conflict` (`run_busy`, `not_all_left`, `not_reconciled`, `differs`, `signed_otherwise`), `LogUnavailable`.
    pub async fn fine_sign(
        &self,
        actor: &Actor,
        id: &str,
        holder: &str,
        manifest: &[u8],
    ) -> Result<FineSeal, UseCaseError> {
        let permit = self.fine_permit(actor, FineKind::of_run(id), Some(id.to_owned())).await?;
        let parts = self.fines()?;
        let run = self.fine_run_held(parts, &permit, id, holder).await?;
        let digest = hex::encode(Sha256::digest(manifest));
        // Findings of a run that is signed may be gone: the same bytes have the same signature.
        if run.signed.as_ref().is_some_and(|(signed, _)| *signed == digest) {
            return Ok(parts.desk.seal_again(manifest));
        }
        let (mut offences, mut rejects, mut seen) = (String::new(), String::new(), 0_u64);
        loop {
            let page = self.fine_lines_whole((parts, &permit), &run, (seen, CHECK_PAGE)).await?;
            let Some(last) = page.last() else { break };
            for line in &page {
                if line.left_at.is_none() && line.ended.is_none() {
                    return Err(conflict("not_all_left"));
                }
                let file = if line.offence.is_some() { &mut offences } else { &mut rejects };
                file.push_str(&line.text);
                file.push('\n');
            }
            seen = last.position;
        }
        let seal = parts.desk.seal(&run, manifest, offences.as_bytes(), rejects.as_bytes()).map_err(conflict)?;
        if run.signed.is_some() {
            return Err(conflict("signed_otherwise"));
        }
        let details = json!({
            "run": id, "chain": run.chain, "manifest": digest, "records": run.totals.records,
            "decision": permit.decision().to_string(),
        });
        self.record("fine_run_signed", audit::LeafKind::Change, Some(actor.clone()), details).await?;
        if parts.store.fine_sign(&run, &digest, self.now()).await? {
            return Ok(seal);
        }
        // Between the look at the lines and the signature: another one signed, or the run is not what it was.
        let now = parts.store.fine_run(&permit, id).await?;
        let is_signed = now.is_some_and(|now| now.signed.is_some());
        Err(conflict(if is_signed { "signed_otherwise" } else { "differs" }))
    }

    /// Runs, newest first, and how many approved findings no run holds.
    ///
    /// # Errors
    /// `Denied`, `LogUnavailable`, `Unavailable`.
    pub async fn fine_status(&self, actor: &Actor, kind: FineKind) -> Result<FineStatus, UseCaseError> {
        let permit = self.fine_permit(actor, kind, None).await?;
        let parts = self.fines()?;
        let runs = parts.store.fine_runs(&permit, LIST_MAX).await?;
        Ok(FineStatus { runs, waiting: parts.store.fine_waiting(&permit, self.now()).await? })
    }

    /// Takes answers, each for itself: `noted` now, `known` since before, or refused: `unknown` (no such record), `not_signed` (of a run that
    /// is still open), `contradicts` (it was answered otherwise; that answer stands), `term_ended` (the finding's term ended before).
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `LogUnavailable`, `Unavailable`: then what was noted before stays, and giving all again is harmless.
    pub async fn fine_answers(
        &self,
        actor: &Actor,
        kind: FineKind,
        answers: &[FineAnswer],
    ) -> Result<Vec<&'static str>, UseCaseError> {
        let permit = self.fine_permit(actor, kind, Some("answers".to_owned())).await?;
        let parts = self.fines()?;
        if answers.len() > ANSWERS_MAX {
            return Err(UseCaseError::invalid("items", "too_many"));
        }
        for answer in answers {
            let (has_code, needs_code) = (answer.code.is_some(), answer.answer != "accepted");
            if !matches!(answer.answer.as_str(), "accepted" | "refused" | "correct") || has_code != needs_code {
                return Err(UseCaseError::invalid("answer", "unknown"));
            }
            let code = answer.code.as_deref().unwrap_or("X");
            let is_word = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
            if !(1..=40).contains(&code.len()) || !code.bytes().all(is_word) {
                return Err(UseCaseError::invalid("code", "not_a_code"));
            }
        }
        let mut out = Vec::with_capacity(answers.len());
        for answer in answers {
            out.push(self.fine_answer(parts, &permit, answer).await?);
        }
        Ok(out)
    }

    async fn fine_answer(
        &self,
        parts: &FineParts,
        permit: &FinePermit,
        answer: &FineAnswer,
    ) -> Result<&'static str, UseCaseError> {
        let said = (answer.answer.clone(), answer.code.clone());
        let offence = answer.offence.as_str();
        // Once more when somebody else answers between the look and the note.
        for _ in 0..2 {
            let known = parts.store.fine_answered(&answer.offence).await?;
            let is_own = |kept: &KeptAnswer| kept.kind == permit.kind() && kept.authority == permit.authority();
            let Some(KeptAnswer { run, is_signed, has_ended, answer: kept, .. }) = known.filter(is_own) else {
                return Ok("unknown");
            };
            if !is_signed {
                return Ok("not_signed");
            }
            if let Some(kept) = kept {
                if kept == said {
                    return Ok("known");
                }
                let details = json!({ "run": run, "offence": answer.offence, "kept": kept.0, "refused": said.0 });
                let actor = Some(permit.actor().clone());
                self.record("fine_answer_refused", audit::LeafKind::Refuse, actor, details).await?;
                return Ok("contradicts");
            }
            if has_ended {
                return Ok("term_ended");
            }
            let details = json!({
                "run": run, "offence": answer.offence, "answer": said.0, "code": said.1,
                "decision": permit.decision().to_string(),
            });
            let actor = Some(permit.actor().clone());
            self.record("fine_answered", audit::LeafKind::Change, actor, details).await?;
            let now = self.now();
            // What the police took lives elsewhere from then on (`domain.md` D6, RC-TRJ-FILE).
            let ends = match permit.kind() {
                FineKind::Trajectory if said.0 != "correct" => {
                    Some(WallTime::from_micros(now.micros.saturating_add(self.term_us(&class("RC-TRJ-SENT")?, now)?)))
                }
                FineKind::Lez | FineKind::Zbt | FineKind::Trajectory => None,
            };
            let answer = (&*said.0, said.1.as_deref());
            if parts.store.fine_answer(offence, answer, now, ends).await? {
                return Ok("noted");
            }
        }
        Err(conflict("run_busy"))
    }

    /// Whether the tax administration gave a finding back to be corrected.
    pub(crate) async fn fine_returned(&self, finding: vms_core::FindingId) -> Result<bool, UseCaseError> {
        match &self.extensions().fines {
            Some(parts) => Ok(parts.store.fine_superseded(finding).await?.is_some()),
            None => Ok(false),
        }
    }

    /// Whether a batch holds a finding; its approval cannot be taken back then.
    pub(crate) async fn fine_holds(&self, finding: vms_core::FindingId) -> Result<bool, UseCaseError> {
        match &self.extensions().fines {
            Some(parts) => Ok(parts.store.fine_holds(finding).await?),
            None => Ok(false),
        }
    }
}
