//! Which queue a profile works, under which permit, and the house rules of all of them.

use vms_core::{DecisionId, FindingId, Purpose, Relation, Right};

use super::findings::class_of;
use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::action::{Action, ReviewFindings, ReviewTrajectories, ReviewZones};
use crate::gate::{Actor, Circumstances, Permit, Target, Why};
use crate::lez_ports::{FindingPermit, FindingVerdict};
use crate::sharing::board::{LEZ_FLOW, ZBT_FLOW};

/// House rules of the queue.
const QUEUE: &str = include_str!("../../../../seed/lez/queue.toml");

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueRules {
    undo_minutes: i64,
    sample_per_mille: u32,
    other_share: Vec<OtherShare>,
    #[serde(rename = "source")]
    _source: Vec<String>,
}

/// The share of an installation that is no real one.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherShare {
    installation: String,
    sample_per_mille: u32,
    #[serde(rename = "reason")]
    _reason: String,
}

impl QueueRules {
    /// Of a thousand approvals in this installation so many need a second person.
    pub(super) fn per_mille_of(&self, installation: &str) -> u32 {
        let other = self.other_share.iter().find(|row| row.installation == installation);
        other.map_or(self.sample_per_mille, |row| row.sample_per_mille)
    }
}

pub(super) fn rules() -> &'static QueueRules {
    static RULES: std::sync::LazyLock<QueueRules> =
        std::sync::LazyLock::new(|| toml::from_str(QUEUE).expect("the shipped rules of the queue should read"));
    &RULES
}

/// How long a person can take the own decision back, µs.
pub(super) fn undo_term_us() -> i64 {
    rules().undo_minutes.saturating_mul(60_000_000)
}

/// The purposes that have findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Lez,
    Zbt,
    Trajectory,
}

impl Queue {
    /// That of a finding's purpose; the store knows no others.
    pub(super) fn of(purpose: Purpose) -> Self {
        if purpose == Purpose::Zbt {
            Self::Zbt
        } else if purpose == Purpose::Trajectory {
            Self::Trajectory
        } else {
            Self::Lez
        }
    }

    /// The right to work it.
    pub(super) const fn right(self) -> Right {
        match self {
            Self::Lez => Right::FindingReview,
            Self::Zbt => Right::ZbtReview,
            Self::Trajectory => Right::TrajectoryReview,
        }
    }
}

/// Retention class of a finding that waits.
pub(super) const fn open_class(queue: Queue, verdict: FindingVerdict) -> &'static str {
    match queue {
        Queue::Zbt => "RC-ZBT-CAND",
        Queue::Trajectory => "RC-TRJ-FILE",
        Queue::Lez => class_of(verdict),
    }
}

/// Retention class of an approved finding.
pub(super) const fn approved_class(queue: Queue, verdict: FindingVerdict) -> &'static str {
    match queue {
        Queue::Zbt => "RC-ZBT-FINE",
        Queue::Trajectory => "RC-TRJ-FILE",
        Queue::Lez => class_of(verdict),
    }
}

/// The permit of one queue.
#[derive(Debug)]
pub(super) enum ReviewPermit {
    Lez(Permit<ReviewFindings>),
    Zbt(Permit<ReviewZones>),
    Trajectory(Permit<ReviewTrajectories>),
}

impl ReviewPermit {
    pub(super) const fn opens(&self) -> FindingPermit<'_> {
        match self {
            Self::Lez(permit) => FindingPermit::Lez(permit),
            Self::Zbt(permit) => FindingPermit::Zbt(permit),
            Self::Trajectory(permit) => FindingPermit::Trajectory(permit),
        }
    }
}

impl UseCases {
    /// The queue of a person: that of the first right to review that the matrix gives the profile. Whoever has none is refused as for the
    /// low-emission zone.
    fn queue_of(&self, actor: &Actor) -> Queue {
        let rights = self.gate.rights_of(actor.profile);
        let all = [Queue::Lez, Queue::Zbt, Queue::Trajectory];
        all.into_iter().find(|queue| rights.contains(&queue.right())).unwrap_or(Queue::Lez)
    }

    pub(super) async fn review(&self, actor: &Actor, id: Option<FindingId>) -> Result<ReviewPermit, UseCaseError> {
        Ok(match self.queue_of(actor) {
            Queue::Zbt => ReviewPermit::Zbt(self.review_own(actor, id, Some(ZBT_FLOW)).await?),
            Queue::Trajectory => ReviewPermit::Trajectory(self.review_own(actor, id, None).await?),
            Queue::Lez => ReviewPermit::Lez(self.review_lez(actor, id).await?),
        })
    }

    async fn review_lez(&self, actor: &Actor, id: Option<FindingId>) -> Result<Permit<ReviewFindings>, UseCaseError> {
        let owner = self.lez_authority().await?;
        let relation = if actor.org == owner { Relation::Own } else { Relation::Other };
        let object = id.map(|id| id.to_string());
        // The queue stands under the flow that filled it: while the commission has suspended that, nobody works it.
        let circumstances = self.circumstances_of_own(actor, Some(LEZ_FLOW)).await?;
        let circumstances = Circumstances { own_territory: relation == Relation::Own, ..circumstances };
        let target = Target { owner: Some(owner), relation, object, circumstances, ..Target::none() };
        Ok(self.gate.permit::<ReviewFindings>(actor, target, &Why::default()).await?)
    }

    /// Of one's own organisation: the store opens nothing of another.
    async fn review_own<A: Action>(
        &self,
        actor: &Actor,
        id: Option<FindingId>,
        flow: Option<&str>,
    ) -> Result<Permit<A>, UseCaseError> {
        let circumstances = self.circumstances_of_own(actor, flow).await?;
        let object = id.map(|id| id.to_string());
        let target =
            Target { owner: Some(actor.org), relation: Relation::Own, object, circumstances, ..Target::none() };
        Ok(self.gate.permit::<A>(actor, target, &Why::default()).await?)
    }

    pub(super) async fn review_recalled(
        &self,
        actor: &Actor,
        decision: DecisionId,
    ) -> Result<ReviewPermit, UseCaseError> {
        Ok(match self.queue_of(actor) {
            Queue::Zbt => ReviewPermit::Zbt(self.recalled(actor, decision).await?),
            Queue::Trajectory => ReviewPermit::Trajectory(self.recalled(actor, decision).await?),
            Queue::Lez => ReviewPermit::Lez(self.recalled(actor, decision).await?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_a_sample_is_that_of_the_installation() {
        for (installation, per_mille) in [("brussels", 50), ("", 50), ("demo", 0), ("demo-second-person", 1_000)] {
            assert_eq!(rules().per_mille_of(installation), per_mille, "{installation}");
        }
    }
}
