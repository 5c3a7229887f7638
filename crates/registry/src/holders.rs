//! Holders: as vehicles, with a flow of their own, and kept nowhere here. Who holds a vehicle is asked anew at every question, for the instant of
//! the read: it may be another one the day after.

use std::collections::HashMap;

use vms_core::{Country, Plate, WallTime};

use crate::client::{Ask, Query, RegistryClient, RegistryError, by_question};
use crate::flow::{Flow, Question};
use crate::record::{AskEnd, AskRecord, AskedItem, ItemOutcome};
use crate::wire::{AnswerItem, AnswerState, BATCH_MAX, BatchAnswer, BatchItem, BatchRequest, WireHolder, instant_text};

/// What a look-up gives for one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderReply {
    /// This one.
    Found(WireHolder),
    /// The source knows no such vehicle at that instant.
    Unknown,
    /// The source does not know plates of that country.
    NotAsked,
    /// The source answers later.
    Pending,
    /// The source contradicts itself, says more than it was asked, or its answer cannot be read.
    Unusable,
    /// No answer: ask again.
    Unanswered,
}

/// What a look-up gives.
#[derive(Debug)]
pub struct HolderLookUp {
    /// One reply per query, in the queries' order, with the request that gave it.
    pub replies: Vec<(HolderReply, Option<String>)>,
    /// Every request that left. To be stored.
    pub asked: Vec<AskRecord>,
}

/// A plate at an instant, and its places in the caller's list.
struct Wanted {
    plate: Plate,
    country: Country,
    at: WallTime,
    places: Vec<usize>,
}

impl RegistryClient {
    /// Looks holders up on behalf of one of the institutions of the flow. Equal plates at equal instants are asked once; nothing is cached.
    ///
    /// Cancel safety: dropping the future loses the records of requests that already left; let it end.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] before anything leaves. What failed on the way is [`HolderReply::Unanswered`].
    pub async fn holders(
        &self,
        ask: Ask<'_>,
        on_behalf_of: &str,
        queries: &[Query],
    ) -> Result<HolderLookUp, RegistryError> {
        let flow = self.flows.permit(ask.flow, ask.institution, ask.purpose, Question::Holder)?;
        let mut found =
            HolderLookUp { replies: vec![(HolderReply::Unanswered, None); queries.len()], asked: Vec::new() };
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut known: HashMap<(Plate, Country, WallTime), usize> = HashMap::new();
        for (place, query) in queries.iter().enumerate() {
            if !flow.covers(query.country) {
                found.put(&[place], &HolderReply::NotAsked, None);
                continue;
            }
            let at = *known.entry((query.plate.clone(), query.country, query.at)).or_insert(wanted.len());
            match wanted.get_mut(at) {
                Some(one) => one.places.push(place),
                None => wanted.push(Wanted {
                    plate: query.plate.clone(),
                    country: query.country,
                    at: query.at,
                    places: vec![place],
                }),
            }
        }
        for batch in wanted.chunks(BATCH_MAX) {
            let end = self.holder_batch(flow, (ask.reason, on_behalf_of), batch, &mut found).await;
            if end != AskEnd::Answered {
                tracing::warn!(flow = %flow.id, items = batch.len(), end = %end, "a look-up of holders failed");
                break;
            }
        }
        Ok(found)
    }

    async fn holder_batch(
        &self,
        flow: &Flow,
        (reason, on_behalf_of): (&str, &str),
        batch: &[Wanted],
        found: &mut HolderLookUp,
    ) -> AskEnd {
        let item = |one: &Wanted| BatchItem {
            plate: one.plate.reveal().to_owned(),
            country: one.country.as_str().to_owned(),
            at: instant_text(one.at),
        };
        let request = BatchRequest {
            request_id: self.ports.request_id(),
            purpose: flow.purpose.as_str().to_owned(),
            on_behalf_of: Some(on_behalf_of.to_owned()),
            items: batch.iter().map(item).collect(),
        };
        let asked_at = self.ports.now();
        let (attempts, result) = self.exchange(flow, "holders", &request).await;
        let (end, outcomes) = match result {
            Ok(answer) => (AskEnd::Answered, found.take(batch, answer, &request.request_id)),
            Err(end) => (end, vec![ItemOutcome::None; batch.len()]),
        };
        let items = batch.iter().zip(outcomes).map(|(one, outcome)| AskedItem {
            plate: one.plate.clone(),
            country: one.country,
            at: one.at,
            outcome,
        });
        found.asked.push(AskRecord {
            request_id: request.request_id,
            flow: flow.id.clone(),
            institution: format!("{}:{on_behalf_of}", flow.institution),
            source: flow.source.clone(),
            purpose: flow.purpose,
            reason: reason.to_owned(),
            asked_at,
            ended_at: self.ports.now(),
            attempts,
            items: items.collect(),
            end: end.clone(),
        });
        end
    }
}

impl HolderLookUp {
    fn put(&mut self, places: &[usize], reply: &HolderReply, request: Option<&str>) {
        for place in places {
            if let Some(slot) = self.replies.get_mut(*place) {
                *slot = (reply.clone(), request.map(str::to_owned));
            }
        }
    }

    /// Matches answers to what was asked; what was not asked is dropped.
    fn take(&mut self, batch: &[Wanted], answer: BatchAnswer, request: &str) -> Vec<ItemOutcome> {
        let mut by_key = by_question(answer.answers);
        let mut outcomes = Vec::with_capacity(batch.len());
        for one in batch {
            let key = (one.plate.reveal().to_owned(), one.country.as_str().to_owned(), Some(one.at));
            let (outcome, reply) = read_answers(&by_key.remove(&key).unwrap_or_default());
            self.put(&one.places, &reply, Some(request));
            outcomes.push(outcome);
        }
        outcomes
    }
}

/// What the answers for one plate amount to.
fn read_answers(answers: &[serde_json::Value]) -> (ItemOutcome, HolderReply) {
    let Some(first) = answers.first() else { return (ItemOutcome::None, HolderReply::Unanswered) };
    if answers.iter().any(|other| other != first) {
        return (ItemOutcome::Contradictory, HolderReply::Unusable);
    }
    let Ok(item) = serde_json::from_value::<AnswerItem>(first.clone()) else {
        return (ItemOutcome::Malformed, HolderReply::Unusable);
    };
    if item.state == AnswerState::Pending {
        return (ItemOutcome::Pending, HolderReply::Pending);
    }
    match item.holder() {
        Some(Some(holder)) => (ItemOutcome::Found, HolderReply::Found(holder)),
        Some(None) => (ItemOutcome::Unknown, HolderReply::Unknown),
        None => (ItemOutcome::Malformed, HolderReply::Unusable),
    }
}
