//! What becomes of an approved finding in a run: compared with what the tables say of it now. Nothing becomes a fine that nobody approved.

use traffic_rules::lez::{LezOutcome, LezVerdict};
use traffic_rules::trajectory::{TrajectoryOutcome, TrajectoryVerdict};
use traffic_rules::zbt::{ZbtOutcome, ZbtVerdict};

use crate::lez_ports::{Finding, FindingVerdict, Tally};

/// What a finding comes to in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A line of `offences.jsonl`.
    Record,
    /// Inside the window of another; the first day of the next possible one.
    Merged(String),
    /// Not what was approved.
    Refused(&'static str),
    /// The vehicle was allowed after all: the finding is closed with the reason and erased with the run's opening, and counted so.
    Conforming(&'static str, Tally),
}

/// Of a zone with restricted access.
pub(crate) fn zone_fate(approved: &Finding, outcome: &ZbtOutcome) -> Fate {
    let measure = &approved.measure;
    match (&outcome.verdict, measure.verdict) {
        (ZbtVerdict::Candidate { fine, amount_cents, currency }, FindingVerdict::Infraction) => {
            let same = measure.fine_id.as_deref() == Some(&*fine.to_string())
                && measure.amount_cents == Some(*amount_cents)
                && measure.currency.as_deref() == Some(currency.as_str());
            if same { Fate::Record } else { Fate::Refused("differs_from_approval") }
        }
        (ZbtVerdict::Warning { .. }, FindingVerdict::Warning) => Fate::Record,
        (ZbtVerdict::Candidate { .. } | ZbtVerdict::Warning { .. }, _) => Fate::Refused("differs_from_approval"),
        (ZbtVerdict::Undetermined, _) => Fate::Refused("undetermined"),
        (ZbtVerdict::AlreadyCounted, _) => Fate::Merged(outcome.day.to_string()),
        (ZbtVerdict::Permitted { .. }, _) => Fate::Conforming("permit", Tally::Permitted),
        (ZbtVerdict::Exempt { .. }, _) => Fate::Conforming("exempt", Tally::Exempt),
        (ZbtVerdict::Open, _) => Fate::Conforming("no_offence_any_more", Tally::Open),
        (ZbtVerdict::OutOfScope, _) => Fate::Conforming("no_offence_any_more", Tally::OutOfScope),
        (ZbtVerdict::AwaitsExit { .. }, _) => Fate::Refused("no_offence_any_more"),
    }
}

/// Of an average speed: every figure must be the one that the officer saw.
pub(crate) fn run_fate(approved: &TrajectoryOutcome, outcome: &TrajectoryOutcome) -> Fate {
    match outcome.verdict {
        TrajectoryVerdict::Infraction { .. }
            if outcome.verdict == approved.verdict && outcome.measured == approved.measured =>
        {
            Fate::Record
        }
        TrajectoryVerdict::Infraction { .. } => Fate::Refused("differs_from_approval"),
        TrajectoryVerdict::Compliant | TrajectoryVerdict::BelowThreshold { .. } | TrajectoryVerdict::NotUsable => {
            Fate::Refused("no_offence_any_more")
        }
    }
}

/// Of the low-emission zone.
pub(crate) fn lez_fate(approved: &Finding, outcome: &LezOutcome) -> Fate {
    let measure = &approved.measure;
    match (&outcome.verdict, measure.verdict) {
        (LezVerdict::Infraction { fine, amount_cents, currency }, FindingVerdict::Infraction) => {
            let same = measure.fine_id.as_deref() == Some(fine.as_str())
                && measure.amount_cents == Some(*amount_cents)
                && measure.currency.as_deref() == Some(currency.as_str());
            if same { Fate::Record } else { Fate::Refused("differs_from_approval") }
        }
        (LezVerdict::Warning { .. }, FindingVerdict::Warning) => Fate::Record,
        (LezVerdict::NoFineInWindow { until, .. }, _) => Fate::Merged(until.to_string()),
        (LezVerdict::Infraction { .. } | LezVerdict::Warning { .. }, _) => Fate::Refused("differs_from_approval"),
        (LezVerdict::Undetermined, _) => Fate::Refused("undetermined"),
        (LezVerdict::Pass, _) => Fate::Conforming("day_pass", Tally::Pass),
        (LezVerdict::Exempt { .. }, _) => Fate::Conforming("exempt", Tally::Exempt),
        (LezVerdict::Allowed, _) => Fate::Conforming("no_offence_any_more", Tally::Allowed),
        (LezVerdict::OutOfScope, _) => Fate::Conforming("no_offence_any_more", Tally::OutOfScope),
    }
}
