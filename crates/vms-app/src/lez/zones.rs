//! Zones with restricted access: who may pass is found first and erased at once; what is left waits for its exit or for an official.

use std::time::Duration;

use traffic_rules::zbt::zone::Pairing;
use traffic_rules::zbt::{Passage, PriorPassage, ZbtHistory, ZbtInput, ZbtOutcome, ZbtVerdict, ZoneCode, decide};
use vms_core::{Country, Purpose, WallTime};

use super::batch::{Round, file_of};
use super::class;
use super::findings::approvable;
use super::passages::{Came, Candidate, reading_of};
use super::places::{End, Place, Places};
use super::service::ReadService;
use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::Permit;
use crate::gate::action::DecodeAnpr;
use crate::lez_ports::{Finding, FindingFile, FindingMeasure, FindingVerdict, PriorFinding, StoredRead, Tally};

/// For so long the read of an exit waits for that of its entry, which may come late from another reader. Within the hour of RC-ZBT-OK.
const EXIT_WAIT: Duration = Duration::from_secs(600);

impl ReadService {
    /// One round of the zones; to be called about once a second.
    ///
    /// # Errors
    /// `LogUnavailable`, `Unavailable`, `Internal`; the next round goes on.
    pub async fn zone_round(&self) -> Result<Round, UseCaseError> {
        let Ok(traffic) = self.cases.traffic() else { return Ok(Round::default()) };
        let (due, mut round) = (self.passages_due(Purpose::Zbt).await?, Round::default());
        for waiting in &due.waiting {
            round.add(self.zone_read(&due.permit, &due.places, &waiting.read).await?);
        }
        self.passages_done(&due, &round, ("zbt_decided", traffic.zones.version().as_str())).await?;
        Ok(round)
    }

    async fn zone_read(&self, permit: &Permit<DecodeAnpr>, places: &Places, read: &StoredRead) -> Came {
        let out = || self.drop_read(permit, Purpose::Zbt, read, Tally::OutOfScope);
        let Some(place) = places.of(read.camera) else { return out().await };
        let zone = ZoneCode::new(place.code.as_str());
        let Some(zone) = self.cases.traffic()?.zones.zone(&zone).cloned() else { return out().await };
        let span = Duration::from_secs(u64::from(zone.pair_hours) * 3_600);
        let whole = (permit, places, Purpose::Zbt);
        let after_us = WallTime::from_micros(read.at.micros.saturating_add(1));
        match (place.end, zone.pairing) {
            (End::Entry, Pairing::EntryOnly) => {
                self.zone_passage(permit, place, Passage::Entry { at: read.at }, (read, None)).await
            }
            (End::Entry, Pairing::EntryExit) => {
                let exits = self.at_end(whole, read, (&place.code, End::Exit), (after_us, read.at.plus(span))).await?;
                let passage = match exits.first() {
                    Some(exit) => Passage::Stay { entered_at: read.at, left_at: exit.at },
                    None => Passage::Entry { at: read.at },
                };
                self.zone_passage(permit, place, passage, (read, exits.first())).await
            }
            (End::Exit, Pairing::EntryOnly) => out().await,
            (End::Exit, Pairing::EntryExit) => {
                let entries =
                    self.at_end(whole, read, (&place.code, End::Entry), (read.at.minus(span), read.at)).await?;
                if let Some(entry) = entries.last() {
                    let passage = Passage::Stay { entered_at: entry.at, left_at: read.at };
                    return self.zone_passage(permit, place, passage, (entry, Some(read))).await;
                }
                // Who may pass is erased at once here too; the rest may belong to an entry that is still on its way.
                let (input, outcome) = self.zone_outcome(permit, place, Passage::Entry { at: read.at }, read).await?;
                if matches!(outcome.verdict, ZbtVerdict::Exempt { .. } | ZbtVerdict::Permitted { .. }) {
                    return self.drop_read(permit, Purpose::Zbt, read, tally_of(&outcome.verdict)).await;
                }
                let until = read.at.plus(EXIT_WAIT);
                if input.decided_at < until {
                    return self.wait_until(Purpose::Zbt, read, until).await;
                }
                self.drop_read(permit, Purpose::Zbt, read, Tally::Unpaired).await
            }
        }
    }

    /// The decision, with the vehicle's rights and, where an official would see it, what happened to it before.
    async fn zone_outcome(
        &self,
        permit: &Permit<DecodeAnpr>,
        place: &Place,
        passage: Passage,
        read: &StoredRead,
    ) -> Result<(ZbtInput, ZbtOutcome), UseCaseError> {
        let traffic = self.cases.traffic()?;
        let (country, reading) = reading_of(read);
        let mut countries: Vec<Country> = read.facts.countries.iter().map(|(country, _)| *country).collect();
        if !countries.contains(&country) {
            countries.push(country);
        }
        // A country that is not sure hides no permit.
        let rights = traffic.permits.vehicle_rights(permit, &read.facts.plate, &countries).await?;
        let mut input = ZbtInput {
            zone: ZoneCode::new(place.code.as_str()),
            passage,
            country,
            reading,
            listings: rights.listings,
            permits: rights.permits,
            history: ZbtHistory::default(),
            decided_at: self.cases.now(),
        };
        let mut outcome = decide(&traffic.zones, &input);
        if outcome.needs_official() {
            let vehicle = self.store.vehicle_token(Purpose::Zbt, None, &read.facts.plate, country);
            input.history = history_of(&self.store.vehicle_history(&vehicle, None).await?);
            outcome = decide(&traffic.zones, &input);
        }
        Ok((input, outcome))
    }

    async fn zone_passage(
        &self,
        permit: &Permit<DecodeAnpr>,
        place: &Place,
        passage: Passage,
        (read, exit): (&StoredRead, Option<&StoredRead>),
    ) -> Came {
        let (input, outcome) = self.zone_outcome(permit, place, passage, read).await?;
        if let ZbtVerdict::AwaitsExit { until } = outcome.verdict {
            self.store.read_hold(Purpose::Zbt, read.read, until).await?;
            return Ok(None);
        }
        let candidate = match verdict_of(&outcome.verdict) {
            None => None,
            Some(verdict) => Some(Candidate {
                measure: measure_of(verdict, &outcome),
                vehicle: self.store.vehicle_token(Purpose::Zbt, None, &read.facts.plate, input.country),
                authority: place.authority,
                // One finding per vehicle, zone and day.
                slot: place.code.clone(),
                class: class(outcome.retention.as_str())?,
                file: file_of(read.facts.plate.clone(), input.country, &input, &outcome)?,
            }),
        };
        let tally = tally_of(&outcome.verdict);
        self.settle_passage(permit, Purpose::Zbt, (read, exit), tally, candidate).await
    }
}

const fn tally_of(verdict: &ZbtVerdict) -> Tally {
    match verdict {
        ZbtVerdict::Open => Tally::Open,
        ZbtVerdict::Exempt { .. } => Tally::Exempt,
        ZbtVerdict::Permitted { .. } => Tally::Permitted,
        ZbtVerdict::AwaitsExit { .. } | ZbtVerdict::OutOfScope => Tally::OutOfScope,
        ZbtVerdict::Candidate { .. } => Tally::Infraction,
        ZbtVerdict::Warning { .. } => Tally::Warning,
        ZbtVerdict::AlreadyCounted => Tally::SameDay,
        ZbtVerdict::Undetermined => Tally::Undetermined,
    }
}

const fn verdict_of(verdict: &ZbtVerdict) -> Option<FindingVerdict> {
    match verdict {
        ZbtVerdict::Candidate { .. } => Some(FindingVerdict::Infraction),
        ZbtVerdict::Warning { .. } => Some(FindingVerdict::Warning),
        ZbtVerdict::Undetermined => Some(FindingVerdict::Undetermined),
        ZbtVerdict::Open
        | ZbtVerdict::Exempt { .. }
        | ZbtVerdict::Permitted { .. }
        | ZbtVerdict::AwaitsExit { .. }
        | ZbtVerdict::AlreadyCounted
        | ZbtVerdict::OutOfScope => None,
    }
}

fn measure_of(verdict: FindingVerdict, outcome: &ZbtOutcome) -> FindingMeasure {
    let (fine_id, amount_cents, currency) =
        if let ZbtVerdict::Candidate { fine, amount_cents, currency } = &outcome.verdict {
            (Some(fine.to_string()), Some(*amount_cents), Some(currency.clone()))
        } else {
            (None, None, None)
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

/// Findings that are open count as well as approved ones: two reads before anybody looked make no second fine.
fn history_of(prior: &[PriorFinding]) -> ZbtHistory {
    let mut history = ZbtHistory::default();
    for finding in prior {
        let passage = PriorPassage { zone: ZoneCode::new(finding.slot.as_str()), at: finding.at };
        match finding.verdict {
            FindingVerdict::Infraction => history.candidates.push(passage),
            FindingVerdict::Warning => history.warnings.push(passage),
            FindingVerdict::Undetermined => {}
        }
    }
    history
}

impl UseCases {
    /// Whether a vehicle was allowed after all, with the permits of this moment.
    pub(super) async fn zone_allowed_now(
        &self,
        plate: &vms_core::Plate,
        country: Country,
        input: &str,
    ) -> Result<bool, UseCaseError> {
        let traffic = self.traffic()?;
        let mut input: ZbtInput = serde_json::from_str(input).map_err(|error| UseCaseError::Internal(error.into()))?;
        let rights = traffic.permits.rights_now(plate, country).await?;
        (input.listings, input.permits, input.decided_at) = (rights.listings, rights.permits, self.now());
        let verdict = decide(&traffic.zones, &input).verdict;
        Ok(matches!(verdict, ZbtVerdict::Permitted { .. } | ZbtVerdict::Exempt { .. }))
    }

    /// The verdict made again, now that an official has compared plate and picture: with the permits of this moment.
    pub(super) async fn zone_confirmed(&self, found: &Finding) -> Result<(FindingMeasure, FindingFile), UseCaseError> {
        let traffic = self.traffic()?;
        let mut input: ZbtInput =
            serde_json::from_str(&found.file.input).map_err(|error| UseCaseError::Internal(error.into()))?;
        let rights = traffic.permits.rights_now(&found.file.plate, found.file.country).await?;
        (input.listings, input.permits) = (rights.listings, rights.permits);
        input.reading.confirmed = true;
        input.decided_at = self.now();
        input.history = history_of(&self.lez_store()?.vehicle_history(&found.vehicle, Some(found.id)).await?);
        let outcome = decide(&traffic.zones, &input);
        let verdict = approvable(verdict_of(&outcome.verdict))?;
        let file = file_of(found.file.plate.clone(), found.file.country, &input, &outcome)?;
        Ok((measure_of(verdict, &outcome), file))
    }
}
