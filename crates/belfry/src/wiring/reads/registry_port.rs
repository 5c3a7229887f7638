//! The registry of the use cases over `registry`'s client: which flow knows plates of which country.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use registry::record::{AskRecord, ItemOutcome};
use registry::{Ask, ClientSettings, FlowBook, FlowId, MemoryDayCache, Query, RegistryClient, RegistryPorts, Reply};
use traffic_rules::lez::Lookup;
use vms_app::BoxError;
use vms_app::lez_ports::{
    Holder, HolderAnswer, HolderKind, HolderRegistry, HolderReply, RegistryAnswer, RegistryAsk, RegistryReply,
    VehicleQuery, VehicleRegistry,
};
use vms_app::ports::{Clock, Ids};
use vms_core::{Purpose, WallTime};

use crate::wiring::system::{SystemClock, SystemRandom};

/// The institution of the low-emission zone, as `seed/flows.toml` names it.
const INSTITUTION: &str = "brussel-fiscaliteit";
/// The flow of holders for zones with restricted access, and its institution: one for each municipality, told apart by its code.
const HOLDER_FLOW: &str = "DS-ZBT-HOLDER";
const HOLDER_INSTITUTION: &str = "municipality";
/// Flows that are tried for a plate, in this order; each knows the countries that its row lists.
const FLOWS: [&str; 2] = ["DS-LEZ-VEH", "DS-RDW"];

#[derive(Debug)]
struct SystemPorts;

impl RegistryPorts for SystemPorts {
    fn now(&self) -> WallTime {
        Clock::now(&SystemClock)
    }

    fn jitter(&self, below: Duration) -> Duration {
        let mut raw = [0_u8; 4];
        SystemRandom.random(&mut raw);
        below.mul_f64(f64::from(u32::from_be_bytes(raw)) / f64::from(u32::MAX))
    }

    fn request_id(&self) -> String {
        SystemRandom.uuid().to_string()
    }
}

/// The registry.
#[derive(Debug)]
pub(super) struct RegistryPort {
    client: RegistryClient,
    flows: FlowBook,
}

impl RegistryPort {
    /// At the integrator's address.
    pub(super) fn new(url: &str) -> Result<Self, registry::RegistryError> {
        // The caller comes back by itself: few attempts here, so that a batch never holds for long.
        Self::with(ClientSettings { base_url: url.to_owned(), attempts_max: 3, ..ClientSettings::default() })
    }

    pub(super) fn with(settings: ClientSettings) -> Result<Self, registry::RegistryError> {
        let (flows, cache) = (FlowBook::embedded().clone(), Arc::new(MemoryDayCache::default()));
        let client = RegistryClient::new(flows.clone(), settings, Arc::new(SystemPorts), cache)?;
        Ok(Self { client, flows })
    }
}

fn reply(reply: Reply) -> RegistryReply {
    match reply {
        Reply::Answer(lookup) => RegistryReply::Answer(lookup),
        Reply::Pending => RegistryReply::Later,
        Reply::Unusable => RegistryReply::Unusable,
        Reply::Unanswered => RegistryReply::Away,
    }
}

const fn outcome_word(outcome: ItemOutcome) -> &'static str {
    match outcome {
        ItemOutcome::Found => "found",
        ItemOutcome::Unknown => "unknown",
        ItemOutcome::Pending => "pending",
        ItemOutcome::Contradictory => "contradictory",
        ItemOutcome::Malformed => "malformed",
        ItemOutcome::None => "none",
    }
}

fn ask(record: AskRecord) -> RegistryAsk {
    let items = record.items.into_iter();
    RegistryAsk {
        request: record.request_id,
        purpose: record.purpose,
        flow: record.flow.to_string(),
        institution: record.institution,
        source: record.source,
        reason: record.reason,
        asked_at: record.asked_at,
        ended_at: record.ended_at,
        attempts: record.attempts,
        end: record.end.to_string(),
        items: items.map(|item| (item.plate, item.country, item.at, outcome_word(item.outcome))).collect(),
    }
}

#[async_trait]
impl VehicleRegistry for RegistryPort {
    async fn look_up(&self, reason: &str, queries: &[VehicleQuery]) -> Result<RegistryAnswer, BoxError> {
        // A plate of a country that no flow covers is not asked about.
        let mut replies = vec![RegistryReply::Answer(Lookup::NotAsked); queries.len()];
        let mut asked = Vec::new();
        for name in FLOWS {
            let flow = self.flows.get(name).ok_or_else(|| format!("`flows.toml` has no flow {name}"))?;
            let covered: Vec<(usize, &VehicleQuery)> =
                queries.iter().enumerate().filter(|(_, query)| flow.covers(query.country)).collect();
            if covered.is_empty() {
                continue;
            }
            let batch: Vec<Query> = covered
                .iter()
                .map(|(_, query)| Query { plate: query.plate.clone(), country: query.country, at: query.at })
                .collect();
            let flow = FlowId::new(name);
            let ask_for = Ask { flow: &flow, institution: INSTITUTION, purpose: Purpose::Lez, reason };
            let found = self.client.look_up(ask_for, &batch).await?;
            for ((place, _), answer) in covered.into_iter().zip(found.replies) {
                if let Some(slot) = replies.get_mut(place) {
                    *slot = reply(answer);
                }
            }
            asked.extend(found.asked.into_iter().map(ask));
        }
        Ok(RegistryAnswer { replies, asked })
    }
}

#[async_trait]
impl HolderRegistry for RegistryPort {
    async fn holders(&self, authority: &str, reason: &str, queries: &[VehicleQuery]) -> Result<HolderAnswer, BoxError> {
        let query = |query: &VehicleQuery| Query { plate: query.plate.clone(), country: query.country, at: query.at };
        let batch: Vec<Query> = queries.iter().map(query).collect();
        let flow = FlowId::new(HOLDER_FLOW);
        let ask_for = Ask { flow: &flow, institution: HOLDER_INSTITUTION, purpose: Purpose::Zbt, reason };
        let found = self.client.holders(ask_for, authority, &batch).await?;
        let replies = found.replies.into_iter().map(|(reply, request)| (holder_reply(reply), request));
        Ok(HolderAnswer { replies: replies.collect(), asked: found.asked.into_iter().map(ask).collect() })
    }
}

fn holder_reply(reply: registry::HolderReply) -> HolderReply {
    match reply {
        registry::HolderReply::Found(holder) => HolderReply::Found(Holder {
            id: holder.id,
            kind: match holder.kind {
                registry::wire::HolderKind::Person => HolderKind::Person,
                registry::wire::HolderKind::Company => HolderKind::Company,
            },
        }),
        registry::HolderReply::Unknown => HolderReply::Unknown,
        registry::HolderReply::NotAsked => HolderReply::NotAsked,
        registry::HolderReply::Pending => HolderReply::Later,
        registry::HolderReply::Unusable => HolderReply::Unusable,
        registry::HolderReply::Unanswered => HolderReply::Away,
    }
}
