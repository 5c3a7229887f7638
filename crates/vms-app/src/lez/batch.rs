//! The batch: distinct undecided plates → registry → decision → counter or finding.
//!
//! A vehicle that may drive leaves nothing but a count; what may not drive becomes one finding per vehicle and day. While
//! the registry is away reads wait; their class (RC-LEZ-RAW) ends them.

use std::collections::HashMap;
use std::sync::PoisonError;

use serde_json::json;
use traffic_rules::Day;
use traffic_rules::lez::{
    FineId, History, LezInput, LezOutcome, LezVerdict, Lookup, PlateReading, PriorFine, PriorWarning, RuleSet, decide,
};
use traffic_rules::plate_type;
use vms_core::{Country, FindingId, OrgId, Purpose, ReadId, WallTime};

use super::service::{Pause, ReadService};
use super::{class, findings};
use crate::error::UseCaseError;
use crate::gate::Permit;
use crate::gate::action::DecodeAnpr;
use crate::lez_ports::{
    FindingFile, FindingMeasure, FindingVerdict, NewFinding, PriorFinding, RegistryReply, Settled, Settlement,
    StoredRead, Tally, VehicleQuery, WaitingRead,
};
use crate::model::EventScope;
use crate::sharing::board::LEZ_FLOW;
use crate::words::EventKind;

/// Reads of one batch; also the most that one request to the registry may hold.
const BATCH_MAX: u32 = 500;
/// The country of a plate is sure from this probability on, millionths. A calibration of the reader, no rule of law.
const COUNTRY_SURE_MIN: u32 = 900_000;
/// An answer that cannot be used this often is taken for none: a person decides.
const UNUSABLE_MAX: u32 = 3;

/// What one round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Reads decided, by word of [`Tally`].
    pub decided: HashMap<&'static str, u64>,
    /// Reads that wait for the registry.
    pub waiting: u64,
    /// The batch was full and something of it was decided: more may wait for nothing but the next round.
    pub has_more: bool,
}

impl Round {
    /// One more decided; none when somebody else was quicker.
    fn note(&mut self, settlement: &Settlement, settled: &Settled) {
        let tally = match settled {
            Settled::Counted | Settled::Found(_) => settlement.tally,
            Settled::SameDay => Tally::SameDay,
            Settled::Gone => return,
        };
        *self.decided.entry(tally.as_str()).or_default() += 1;
    }
}

impl ReadService {
    /// One round; to be called about once a second. Idempotent: a read is settled once, whoever runs this.
    ///
    /// # Errors
    /// `LogUnavailable`, `Unavailable`, `Internal`; the next round goes on.
    pub async fn decide_round(&self) -> Result<Round, UseCaseError> {
        let (now, mut round) = (self.cases.now(), Round::default());
        let Some(registry) = &self.registry else { return Ok(round) };
        if now < self.pause().until {
            return Ok(round);
        }
        // The commission's switch: while the flow is stopped nothing is asked; reads wait and end with their class.
        if !self.cases.flow_active(LEZ_FLOW).await? {
            return Ok(round);
        }
        let permit = self.permit().await?;
        let waiting = self.store.read_waiting(&permit, Purpose::Lez, now, BATCH_MAX).await?;
        let Some(oldest) = waiting.iter().map(|read| read.received_at).min() else { return Ok(round) };
        let is_full = waiting.len() >= usize::try_from(BATCH_MAX).unwrap_or(usize::MAX);
        if !is_full && oldest.plus(self.settings.wait) > now {
            round.waiting = u64::try_from(waiting.len()).unwrap_or(u64::MAX);
            return Ok(round);
        }
        let queries: Vec<VehicleQuery> = waiting.iter().map(|waiting| query_of(&waiting.read)).collect();
        let answer =
            registry.look_up(&permit.decision().to_string(), &queries).await.map_err(UseCaseError::Internal)?;
        let asks_end = WallTime::from_micros(now.micros.saturating_add(ASKS_US));
        for ask in &answer.asked {
            self.store.ask_put(ask, asks_end).await?;
            let details = json!({
                "request": ask.request, "flow": ask.flow, "institution": ask.institution, "source": ask.source,
                "items": ask.items.len(), "attempts": ask.attempts, "ended": ask.end, "reason": ask.reason,
            });
            self.cases.record("registry_asked", audit::LeafKind::Batch, None, details).await?;
        }
        let is_away = answer.replies.contains(&RegistryReply::Away);
        self.settle_all(&permit, waiting, answer.replies, &mut round).await?;
        round.has_more = is_full && !round.decided.is_empty();
        self.after(is_away, now);
        Ok(round)
    }

    async fn settle_all(
        &self,
        permit: &Permit<DecodeAnpr>,
        waiting: Vec<WaitingRead>,
        replies: Vec<RegistryReply>,
        round: &mut Round,
    ) -> Result<(), UseCaseError> {
        let mut later: Vec<ReadId> = Vec::new();
        // What leaves nothing but a count goes in one transaction; a finding in one of its own, since the next one looks back at it.
        let mut counted: Vec<Settlement> = Vec::new();
        for (waiting, reply) in waiting.into_iter().zip(replies) {
            let lookup = match reply {
                RegistryReply::Answer(lookup) => lookup,
                RegistryReply::Unusable if waiting.tries + 1 >= UNUSABLE_MAX => Lookup::NotAsked,
                RegistryReply::Later | RegistryReply::Unusable => {
                    later.push(waiting.read.read);
                    continue;
                }
                RegistryReply::Away => {
                    round.waiting += 1;
                    continue;
                }
            };
            let settlement = self.settlement(&waiting.read, lookup).await?;
            if settlement.finding.is_none() {
                counted.push(settlement);
                continue;
            }
            let settled = self.store.read_settle(permit, &settlement).await?;
            round.note(&settlement, &settled);
            if let Settled::Found(id) = settled {
                self.cases.finding_event(Purpose::Lez, self.cases.lez_authority().await?, id, "open").await;
            }
        }
        let settled = self.store.read_settle_all(permit, &counted).await?;
        for (settlement, settled) in counted.iter().zip(&settled) {
            round.note(settlement, settled);
        }
        round.waiting += u64::try_from(later.len()).unwrap_or(u64::MAX);
        if !later.is_empty() {
            self.store.read_postpone(Purpose::Lez, &later, self.cases.now().plus(self.settings.later)).await?;
        }
        if !round.decided.is_empty() {
            let details = json!({
                "decision": permit.decision().to_string(),
                "rule_set": RuleSet::embedded_once().version().as_str(),
                "outcomes": round.decided,
            });
            self.cases.record("lez_decided", audit::LeafKind::Batch, None, details).await?;
        }
        Ok(())
    }

    /// Decides one read.
    async fn settlement(&self, read: &StoredRead, lookup: Lookup) -> Result<Settlement, UseCaseError> {
        let rules = RuleSet::embedded_once();
        let registry_key = lookup.vehicle().and_then(|vehicle| vehicle.vehicle_key.clone());
        let country = country_of(&read.facts.countries).0;
        let vehicle = self.store.vehicle_token(Purpose::Lez, registry_key.as_deref(), &read.facts.plate, country);
        let mut input = input_of(read, lookup);
        let mut outcome = decide(rules, &input);
        // Only a vehicle that may not drive has a history and day passes to look at.
        if outcome.needs_agent() {
            input.history = history_of(&self.store.vehicle_history(&vehicle, None).await?);
            input.passes = self.store.day_passes(&read.facts.plate, country, outcome.day).await?;
            outcome = decide(rules, &input);
        }
        let tally = tally_of(&outcome.verdict);
        let finding = match findings::verdict_of(&outcome.verdict) {
            Some(verdict) => Some(Box::new(self.new_finding(verdict, read, vehicle, &input, &outcome)?)),
            None => None,
        };
        Ok(Settlement {
            purpose: Purpose::Lez,
            read: read.read,
            exit: None,
            camera: read.camera,
            at: read.at,
            tally,
            finding,
        })
    }

    fn new_finding(
        &self,
        verdict: FindingVerdict,
        read: &StoredRead,
        vehicle: String,
        input: &LezInput,
        outcome: &LezOutcome,
    ) -> Result<NewFinding, UseCaseError> {
        let now = self.cases.now();
        let class = class(findings::class_of(verdict))?;
        let expires_at = WallTime::from_micros(read.at.micros.saturating_add(self.cases.term_us(&class, now)?));
        let (plate, country) = (read.facts.plate.clone(), input.country);
        Ok(NewFinding {
            id: FindingId::from_uuid(self.cases.ids.uuid()),
            measure: measure_of(verdict, outcome),
            vehicle,
            authority: None,
            slot: String::new(),
            class,
            expires_at,
            file: file_of(plate, country, input, outcome)?,
        })
    }

    /// Waits longer each time that the registry is away.
    fn after(&self, is_away: bool, now: WallTime) {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_away {
            *pause = Pause::default();
            return;
        }
        *pause = pause.longer(now, &self.settings);
    }
}

/// What was asked names conforming vehicles too: the list ends within the bound of RC-LEZ-OK (24 hours, `domain.md` D6);
/// that, when, by whom and how often was asked stays.
pub(super) const ASKS_US: i64 = 23 * 3_600_000_000;

/// The best country and whether it is sure; Belgium, not sure, when the reader has none.
pub(super) fn country_of(countries: &[(Country, vms_core::Confidence)]) -> (Country, bool) {
    let best = countries.iter().max_by_key(|(_, probability)| probability.millionths());
    best.map_or((Country::BELGIUM, false), |(country, probability)| {
        (*country, probability.millionths() >= COUNTRY_SURE_MIN)
    })
}

fn query_of(read: &StoredRead) -> VehicleQuery {
    let country = country_of(&read.facts.countries).0;
    VehicleQuery { plate: read.facts.plate.clone(), country, at: read.at }
}

/// Exemptions and registrations of foreign vehicles are kept by the tax administration; no source of them is connected yet, so a
/// finding's reviewer checks them. Day passes come as its job tells them ([`crate::fines_passes`]).
fn input_of(read: &StoredRead, vehicle: Lookup) -> LezInput {
    let (country, country_sure) = country_of(&read.facts.countries);
    let classified = plate_type(&read.facts.plate, country);
    LezInput {
        at: read.at,
        country,
        reading: PlateReading {
            kind: classified.kind,
            corrected: read.facts.corrected,
            country_sure,
            auto_accept: classified.auto_accept,
            confirmed: false,
        },
        segment: None,
        vehicle,
        foreign_registration: None,
        exemptions: Vec::new(),
        passes: Vec::new(),
        history: History::default(),
    }
}

/// Findings that are open count as well as approved ones: two reads before anybody looked make no second fine.
pub(super) fn history_of(prior: &[PriorFinding]) -> History {
    let mut history = History::default();
    for finding in prior {
        match (finding.verdict, &finding.fine_id, finding.amount_cents) {
            (FindingVerdict::Infraction, Some(fine), Some(amount_cents)) => history.fines.push(PriorFine {
                fine: FineId::new(fine.clone()),
                infraction_at: finding.at,
                issued_at: None,
                amount_cents,
            }),
            (FindingVerdict::Warning, _, _) => history.warnings.push(PriorWarning { infraction_at: finding.at }),
            (FindingVerdict::Infraction | FindingVerdict::Undetermined, _, _) => {}
        }
    }
    history
}

const fn tally_of(verdict: &LezVerdict) -> Tally {
    match verdict {
        LezVerdict::Allowed => Tally::Allowed,
        LezVerdict::Exempt { .. } => Tally::Exempt,
        LezVerdict::Pass => Tally::Pass,
        LezVerdict::NoFineInWindow { .. } => Tally::NoFineInWindow,
        LezVerdict::OutOfScope => Tally::OutOfScope,
        LezVerdict::Infraction { .. } => Tally::Infraction,
        LezVerdict::Warning { .. } => Tally::Warning,
        LezVerdict::Undetermined => Tally::Undetermined,
    }
}

pub(super) fn measure_of(verdict: FindingVerdict, outcome: &LezOutcome) -> FindingMeasure {
    let (fine_id, amount_cents, currency) = match &outcome.verdict {
        LezVerdict::Infraction { fine, amount_cents, currency } => {
            (Some(fine.to_string()), Some(*amount_cents), Some(currency.clone()))
        }
        LezVerdict::Warning { fine, .. } => (fine.as_ref().map(ToString::to_string), None, None),
        LezVerdict::Allowed
        | LezVerdict::Exempt { .. }
        | LezVerdict::Pass
        | LezVerdict::NoFineInWindow { .. }
        | LezVerdict::Undetermined
        | LezVerdict::OutOfScope => (None, None, None),
    };
    FindingMeasure {
        verdict,
        rule_id: outcome.rule.as_ref().map(ToString::to_string),
        fine_id,
        amount_cents,
        currency,
        rule_set: outcome.rule_set_version.as_str().to_owned(),
        final_from: outcome.final_from,
    }
}

pub(super) fn file_of(
    plate: vms_core::Plate,
    country: Country,
    input: &impl serde::Serialize,
    outcome: &impl serde::Serialize,
) -> Result<FindingFile, UseCaseError> {
    let text = |result: Result<String, serde_json::Error>| result.map_err(|error| UseCaseError::Internal(error.into()));
    let (input, outcome) = (text(serde_json::to_string(input))?, text(serde_json::to_string(outcome))?);
    Ok(FindingFile { plate, country, input, outcome })
}

impl crate::cases::UseCases {
    /// Tells the screens of whoever decides it that a finding changed.
    pub(super) async fn finding_event(&self, purpose: Purpose, org: OrgId, id: FindingId, state: &str) {
        let right = super::queue::Queue::of(purpose).right();
        let data = json!({ "id": id.to_string(), "state": state });
        self.events.publish(EventKind::Finding, EventScope::Org(org, right), data).await;
    }
}

/// The day in Brussels, as the counters name it.
pub fn day_of(at: WallTime) -> Day {
    Day::at(at)
}
