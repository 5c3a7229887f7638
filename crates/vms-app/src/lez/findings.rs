//! Findings for whoever decides them: the queue, the file, the decision. A finding is never a fine: nothing here sends
//! anything to anybody. Each profile works one queue, of one purpose ([`super::queue`]).

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use traffic_rules::Day;
use traffic_rules::lez::{LezInput, LezOutcome, LezVerdict, RuleSet, decide};
use traffic_rules::trajectory::{TrajectoryInput, TrajectoryOutcome};
use traffic_rules::zbt::{ZbtInput, ZbtOutcome};
use vms_core::{DecisionId, FindingId, OrgId, WallTime};

use super::batch::{file_of, history_of, measure_of};
use super::class;
use super::queue::{self, Queue};
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::Actor;
use crate::lez_ports::{
    Finding, FindingDecision, FindingFile, FindingMeasure, FindingState, FindingVerdict, PictureKind,
};
use crate::model::Camera;

/// The institution whose findings these are (`seed/organisations.toml`; the institution of the flows in `seed/flows.toml`).
const LEZ_AUTHORITY: &str = "FISC";
/// Longest reason, bytes.
const REASON_LEN_MAX: usize = 2_000;

/// A verdict that a person must see; `None` for the others.
pub(super) const fn verdict_of(verdict: &LezVerdict) -> Option<FindingVerdict> {
    match verdict {
        LezVerdict::Infraction { .. } => Some(FindingVerdict::Infraction),
        LezVerdict::Warning { .. } => Some(FindingVerdict::Warning),
        LezVerdict::Undetermined => Some(FindingVerdict::Undetermined),
        LezVerdict::Allowed
        | LezVerdict::Exempt { .. }
        | LezVerdict::Pass
        | LezVerdict::NoFineInWindow { .. }
        | LezVerdict::OutOfScope => None,
    }
}

/// Retention class of a finding of the low-emission zone. A question to a person is kept like a warning: `domain.md` D6 has no class of its own for
/// it, and the 48 hours of a raw read are shorter than a week-end.
pub(super) const fn class_of(verdict: FindingVerdict) -> &'static str {
    match verdict {
        FindingVerdict::Infraction => "RC-LEZ-FINE",
        FindingVerdict::Warning | FindingVerdict::Undetermined => "RC-LEZ-WARN",
    }
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is so; plate and picture agree.
    Approve,
    /// It is not so.
    Reject(String),
    /// It cannot be told.
    Unclear(Option<String>),
    /// The own decision was wrong: open again.
    Undo(String),
}

/// What a finding was decided from and to, in the words of its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// Low-emission zone.
    Lez(Box<(LezInput, LezOutcome)>),
    /// Restricted access.
    Zbt(Box<(ZbtInput, ZbtOutcome)>),
    /// Average speed.
    Trajectory(Box<(TrajectoryInput, TrajectoryOutcome)>),
}

impl Snapshot {
    fn of(finding: &Finding) -> Result<Self, serde_json::Error> {
        let file = &finding.file;
        let (input, outcome) = (file.input.as_str(), file.outcome.as_str());
        Ok(match Queue::of(finding.purpose) {
            Queue::Zbt => Self::Zbt(Box::new((serde_json::from_str(input)?, serde_json::from_str(outcome)?))),
            Queue::Trajectory => {
                Self::Trajectory(Box::new((serde_json::from_str(input)?, serde_json::from_str(outcome)?)))
            }
            Queue::Lez => Self::Lez(Box::new((serde_json::from_str(input)?, serde_json::from_str(outcome)?))),
        })
    }

    /// That of the low-emission zone.
    pub fn lez(&self) -> Option<&(LezInput, LezOutcome)> {
        match self {
            Self::Lez(both) => Some(both),
            Self::Zbt(_) | Self::Trajectory(_) => None,
        }
    }
}

/// A finding as a person sees it.
#[derive(Clone, Debug)]
pub struct FindingSight {
    /// The finding.
    pub finding: Finding,
    /// What the decision looked at, and what it said.
    pub snapshot: Snapshot,
    /// The camera, when it is still known.
    pub camera: Option<Camera>,
    /// That of the other end of a run.
    pub exit_camera: Option<Camera>,
    /// The logged decision under which it is shown.
    pub decision: DecisionId,
}

impl UseCases {
    pub(crate) async fn lez_authority(&self) -> Result<OrgId, UseCaseError> {
        let orgs = self.org_list().await?;
        let org = orgs.iter().find(|org| org.code == LEZ_AUTHORITY);
        Ok(org.ok_or_else(|| UseCaseError::Internal(format!("there is no organisation {LEZ_AUTHORITY}").into()))?.id)
    }

    async fn finding_sight(&self, finding: Finding, decision: DecisionId) -> Result<FindingSight, UseCaseError> {
        let snapshot = Snapshot::of(&finding).map_err(|error| UseCaseError::Internal(error.into()))?;
        let camera = self.camera_known(finding.camera).await?;
        let exit_camera = match &finding.exit {
            Some(exit) => self.camera_known(exit.camera).await?,
            None => None,
        };
        Ok(FindingSight { finding, snapshot, camera, exit_camera, decision })
    }

    /// The queue: findings in a state (or all), oldest first.
    ///
    /// # Errors
    /// `Denied`, `LogUnavailable`, `Unavailable`.
    pub async fn finding_list(
        &self,
        actor: &Actor,
        state: Option<FindingState>,
        after: Option<FindingId>,
        limit: u32,
    ) -> Result<Vec<FindingSight>, UseCaseError> {
        let store = self.lez_store()?;
        let permit = self.review(actor, None).await?;
        let permit = permit.opens();
        let mut sights = Vec::new();
        for finding in store.finding_list(permit, state, after, limit).await? {
            sights.push(self.finding_sight(finding, permit.decision()).await?);
        }
        Ok(sights)
    }

    /// One finding.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `LogUnavailable`, `Unavailable`.
    pub async fn finding_fetch(&self, actor: &Actor, id: FindingId) -> Result<FindingSight, UseCaseError> {
        let store = self.lez_store()?;
        let permit = self.review(actor, Some(id)).await?;
        let found = store.finding_fetch(permit.opens(), id).await?.ok_or(UseCaseError::NotFound(Entity::Finding))?;
        self.finding_sight(found, permit.opens().decision()).await
    }

    /// A picture of a finding, under the decision that showed it, or under one of its own.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `LogUnavailable`, `Unavailable`.
    pub async fn finding_picture(
        &self,
        actor: &Actor,
        id: FindingId,
        kind: PictureKind,
        decision: Option<DecisionId>,
    ) -> Result<Bytes, UseCaseError> {
        let store = self.lez_store()?;
        let permit = match decision {
            Some(decision) => {
                let permit = match self.review_recalled(actor, decision).await {
                    Err(error @ UseCaseError::NotFound(Entity::Decision)) => {
                        self.picture_refused(actor, &id.to_string()).await?;
                        return Err(error);
                    }
                    other => other?,
                };
                // The decision of one finding covers that one; the decision of a list covers what is in it.
                if permit.opens().object().is_some_and(|object| object != id.to_string()) {
                    return Err(UseCaseError::NotFound(Entity::Finding));
                }
                permit
            }
            None => self.review(actor, Some(id)).await?,
        };
        store.finding_picture(permit.opens(), id, kind).await?.ok_or(UseCaseError::NotFound(Entity::Picture))
    }

    /// Decides a finding that is open or unclear.
    ///
    /// Approving says that plate and picture agree: the verdict is made again with that and with what happened to the
    /// vehicle since, and only an infraction or a warning can be approved.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `VersionStale`, `Conflict`, `LogUnavailable`, `Unavailable`.
    pub async fn finding_decide(
        &self,
        actor: &Actor,
        id: FindingId,
        seen: u64,
        verdict: Verdict,
    ) -> Result<FindingSight, UseCaseError> {
        let store = self.lez_store()?;
        let review = self.review(actor, Some(id)).await?;
        let permit = review.opens();
        let found = store.finding_fetch(permit, id).await?.ok_or(UseCaseError::NotFound(Entity::Finding))?;
        let (state, reason) = checked(verdict)?;
        if found.version != seen {
            return Err(UseCaseError::VersionStale);
        }
        let now = self.now();
        self.may_decide(actor, &found, state, now).await?;
        let decision = self.decision(actor, permit.decision(), &found, state, reason).await?;
        let word = decision.word();
        // First the log: a decision that nobody can prove was not made.
        let details = json!({ "finding": id.to_string(), "state": word, "decision": permit.decision().to_string() });
        self.record("finding_decided", audit::LeafKind::Change, Some(actor.clone()), details).await?;
        store.finding_decide(permit, &decision).await?;
        self.finding_event(found.purpose, actor.org, id, decision.state.as_str()).await;
        let found = store.finding_fetch(permit, id).await?.ok_or(UseCaseError::NotFound(Entity::Finding))?;
        self.finding_sight(found, permit.decision()).await
    }

    /// What a step comes to.
    async fn decision(
        &self,
        actor: &Actor,
        under: DecisionId,
        found: &Finding,
        state: FindingState,
        reason: Option<String>,
    ) -> Result<FindingDecision, UseCaseError> {
        let now = self.now();
        let ends = |from: WallTime, code: &str| -> Result<Option<WallTime>, UseCaseError> {
            Ok(Some(WallTime::from_micros(from.micros.saturating_add(self.term_us(&class(code)?, now)?))))
        };
        let mut decision = FindingDecision {
            id: found.id,
            seen: found.version,
            state,
            reason,
            user: actor.user,
            at: now,
            decision: under,
            renewed: None,
            expires_at: None,
            first_by: None,
        };
        match state {
            FindingState::Approved => {
                let renewed = self.confirmed(found).await?;
                if found.first_by.is_none() && self.is_sampled(found)? {
                    // It stays in the queue until another person says the same.
                    return Ok(FindingDecision { state: FindingState::Open, first_by: Some(actor.user), ..decision });
                }
                if found.first_by == Some(actor.user) {
                    return Err(UseCaseError::Conflict(Conflict::SamePerson));
                }
                decision.expires_at =
                    ends(found.at, queue::approved_class(Queue::of(found.purpose), renewed.0.verdict))?;
                decision.renewed = Some(renewed);
                decision.first_by = found.first_by;
            }
            // A mistake can still be seen for the term of a raw read, elsewhere for as long as it can be taken back; then nothing is left of it.
            FindingState::Rejected => {
                decision.expires_at = match Queue::of(found.purpose) {
                    Queue::Lez => ends(now, "RC-LEZ-RAW")?,
                    Queue::Zbt | Queue::Trajectory => {
                        Some(WallTime::from_micros(now.micros.saturating_add(queue::undo_term_us())))
                    }
                }
            }
            // As long as it was before it was rejected.
            FindingState::Open => {
                decision.expires_at =
                    ends(found.at, queue::open_class(Queue::of(found.purpose), found.measure.verdict))?;
            }
            FindingState::Unclear => {}
        }
        Ok(decision)
    }

    /// Whether an approval of this finding needs a second person: a share of them, chosen by a keyed hash, so that nobody in the queue can
    /// tell which before.
    fn is_sampled(&self, found: &Finding) -> Result<bool, UseCaseError> {
        let Some(installation) = self.extensions().fines.as_ref().and_then(|parts| parts.samples.as_ref()) else {
            return Ok(false);
        };
        let per_mille = queue::rules().per_mille_of(installation);
        let keyed = self.lez_store()?.query_hash(&found.file.plate);
        let digest = Sha256::digest(format!("belfry sample v1|{keyed}|{}", found.id));
        let [a, b, c, d, ..] = digest.as_slice() else { return Ok(false) };
        Ok(u32::from_be_bytes([*a, *b, *c, *d]) % 1_000 < per_mille)
    }

    /// Whether this person can take this step now. A decision is taken back by whoever made it, within the term of the queue, and an
    /// approval only while no batch holds it.
    async fn may_decide(
        &self,
        actor: &Actor,
        found: &Finding,
        wanted: FindingState,
        now: WallTime,
    ) -> Result<(), UseCaseError> {
        let conflict = |word| Err(UseCaseError::Conflict(Conflict::WrongState(word)));
        match (found.state, wanted) {
            // The first of two approvals.
            (FindingState::Open, FindingState::Open) if found.first_by == Some(actor.user) => Ok(()),
            (FindingState::Open | FindingState::Unclear, FindingState::Open) => conflict(found.state.as_str()),
            (FindingState::Open | FindingState::Unclear, _) => Ok(()),
            (FindingState::Approved | FindingState::Rejected, FindingState::Open) => {
                if found.decided_by != Some(actor.user) {
                    return conflict("somebody_elses");
                }
                if self.fine_holds(found.id).await? {
                    return conflict("in_a_batch");
                }
                // What the tax administration wants corrected came back later than any such term.
                let is_late = found.decided_at.is_none_or(|at| now.micros_since(at) > queue::undo_term_us());
                if is_late && !self.fine_returned(found.id).await? {
                    return conflict("too_late");
                }
                Ok(())
            }
            (FindingState::Approved | FindingState::Rejected, _) => conflict(found.state.as_str()),
        }
    }

    /// The verdict made again, now that a person has compared plate and picture.
    async fn confirmed(&self, found: &Finding) -> Result<(FindingMeasure, FindingFile), UseCaseError> {
        match Queue::of(found.purpose) {
            Queue::Zbt => self.zone_confirmed(found).await,
            Queue::Trajectory => self.run_confirmed(found),
            Queue::Lez => self.lez_confirmed(found).await,
        }
    }

    async fn lez_confirmed(&self, found: &Finding) -> Result<(FindingMeasure, FindingFile), UseCaseError> {
        let broken = |error: serde_json::Error| UseCaseError::Internal(error.into());
        let mut input: LezInput = serde_json::from_str(&found.file.input).map_err(broken)?;
        input.reading.confirmed = true;
        let store = self.lez_store()?;
        input.history = history_of(&store.vehicle_history(&found.vehicle, Some(found.id)).await?);
        input.passes = store.day_passes(&found.file.plate, found.file.country, Day::at(found.at)).await?;
        let outcome = decide(RuleSet::embedded_once(), &input);
        let verdict = approvable(verdict_of(&outcome.verdict))?;
        let file = file_of(found.file.plate.clone(), found.file.country, &input, &outcome)?;
        Ok((measure_of(verdict, &outcome), file))
    }
}

/// What can be approved: an infraction or a warning.
pub(super) fn approvable(verdict: Option<FindingVerdict>) -> Result<FindingVerdict, UseCaseError> {
    match verdict {
        Some(verdict @ (FindingVerdict::Infraction | FindingVerdict::Warning)) => Ok(verdict),
        Some(FindingVerdict::Undetermined) => Err(UseCaseError::Conflict(Conflict::WrongState("undetermined"))),
        None => Err(UseCaseError::Conflict(Conflict::WrongState("no_longer_a_finding"))),
    }
}

fn checked(verdict: Verdict) -> Result<(FindingState, Option<String>), UseCaseError> {
    let (state, reason) = match verdict {
        Verdict::Approve => (FindingState::Approved, None),
        Verdict::Reject(reason) => (FindingState::Rejected, Some(reason)),
        Verdict::Unclear(reason) => (FindingState::Unclear, reason),
        Verdict::Undo(reason) => (FindingState::Open, Some(reason)),
    };
    let reason = reason.map(|text| text.trim().to_owned());
    if matches!(state, FindingState::Rejected | FindingState::Open) && reason.as_ref().is_none_or(String::is_empty) {
        return Err(UseCaseError::invalid("reason", "empty"));
    }
    if reason.as_ref().is_some_and(|text| text.len() > REASON_LEN_MAX) {
        return Err(UseCaseError::invalid("reason", "too_long"));
    }
    Ok((state, reason.filter(|text| !text.is_empty())))
}
