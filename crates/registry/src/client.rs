//! The client: batches of at most 500 plates, a cache per day, back-off, and a record of every request.
//!
//! One look-up runs its batches one after the other: the queue of plates is the caller's, bounded there. Nothing here is
//! retried for ever: after [`ClientSettings::attempts_max`] attempts the look-up ends with what it has, and the caller
//! asks again for the rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use traffic_rules::Day;
use traffic_rules::lez::Lookup;
use vms_core::{Country, Plate, Purpose, WallTime};

use crate::backoff::Backoff;
use crate::cache::{CacheKey, DayCache};
use crate::flow::{Flow, FlowBook, FlowId, FlowRefusal, Question};
use crate::record::{AskEnd, AskRecord, AskedItem, AttemptFailure, ItemOutcome};
use crate::wire::{AnswerItem, AnswerState, BATCH_MAX, BatchAnswer, BatchItem, BatchRequest, instant, instant_text};

/// What the client needs from outside: the time, randomness, ids.
pub trait RegistryPorts: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> WallTime;
    /// A random span, at most `below`.
    fn jitter(&self, below: Duration) -> Duration;
    /// A fresh id for one request.
    fn request_id(&self) -> String;
}

/// Settings of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// Address of the integrator, without a path: `http://127.0.0.1:8090`.
    pub base_url: String,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Attempts for one request, the first one too.
    pub attempts_max: u32,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// Longest wait that the integrator may ask for; beyond it the look-up ends and the caller comes back later.
    pub retry_after_max: Duration,
    /// Longest answer, bytes.
    pub answer_bytes_max: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            timeout: Duration::from_secs(10),
            attempts_max: 5,
            backoff: Backoff { first: Duration::from_millis(200), max: Duration::from_secs(30) },
            retry_after_max: Duration::from_secs(60),
            // 500 vehicles of about 500 bytes, sixteen-fold.
            answer_bytes_max: 4 << 20,
        }
    }
}

/// For whom and why.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The flow to use.
    pub flow: &'a FlowId,
    /// The institution on whose behalf.
    pub institution: &'a str,
    /// The purpose of the asker.
    pub purpose: Purpose,
    /// The asker's reference, such as a decision id. Kept in the record.
    pub reason: &'a str,
}

/// One plate to ask about. `Debug` hides the plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Plate.
    pub plate: Plate,
    /// Its country.
    pub country: Country,
    /// The instant of the read.
    pub at: WallTime,
}

/// What a look-up gives for one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Goes into a decision. [`Lookup::NotAsked`] when the source does not know plates of that country.
    Answer(Lookup),
    /// The source answers later: ask again in the next hour's batch.
    Pending,
    /// The source contradicts itself or its answer cannot be read: a person's matter if it stays so.
    Unusable,
    /// No answer: ask again.
    Unanswered,
}

/// What a look-up gives.
#[derive(Debug)]
pub struct LookUp {
    /// One reply per query, in the queries' order.
    pub replies: Vec<Reply>,
    /// Every request that left. To be stored.
    pub asked: Vec<AskRecord>,
    /// Queries answered without asking.
    pub from_cache: usize,
    /// Why the rest was not asked, when a request failed for good.
    pub failure: Option<AskEnd>,
}

/// Why no look-up happened.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The flow may not be used so. Nothing left.
    #[error("the flow may not be used so")]
    Refused(#[from] FlowRefusal),
    /// The HTTP client cannot be built from the settings.
    #[error("the client of the registry cannot be set up")]
    SetUp(#[source] reqwest::Error),
}

/// The client of the registry.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    http: reqwest::Client,
    pub(crate) flows: Arc<FlowBook>,
    settings: Arc<ClientSettings>,
    pub(crate) ports: Arc<dyn RegistryPorts>,
    cache: Arc<dyn DayCache>,
}

/// Queries of one plate and day, by their places in the caller's list.
struct Group {
    key: CacheKey,
    at: WallTime,
    places: Vec<usize>,
}

impl RegistryClient {
    /// Sets up a client; no connection is made yet.
    ///
    /// # Errors
    /// [`RegistryError::SetUp`].
    pub fn new(
        flows: FlowBook,
        settings: ClientSettings,
        ports: Arc<dyn RegistryPorts>,
        cache: Arc<dyn DayCache>,
    ) -> Result<Self, RegistryError> {
        // The cryptography of TLS for the whole process; an earlier choice stays.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(RegistryError::SetUp)?;
        Ok(Self { http, flows: Arc::new(flows), settings: Arc::new(settings), ports, cache })
    }

    /// Looks vehicles up: technical data, no holder. Equal plates of one day are asked once.
    ///
    /// Cancel safety: dropping the future loses the records of requests that already left; let it end.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] before anything leaves. A failure on the way is in [`LookUp::failure`], beside the
    /// answers that came before it.
    pub async fn look_up(&self, ask: Ask<'_>, queries: &[Query]) -> Result<LookUp, RegistryError> {
        let flow = self.flows.permit(ask.flow, ask.institution, ask.purpose, Question::Vehicle)?;
        self.cache.forget_before(Day::at(self.ports.now()).previous());
        let mut found =
            LookUp { replies: vec![Reply::Unanswered; queries.len()], asked: Vec::new(), from_cache: 0, failure: None };
        let mut open = Vec::new();
        for group in groups(flow, queries) {
            if !flow.covers(group.key.country) {
                found.fill(&group, &Reply::Answer(Lookup::NotAsked));
            } else if let Some(answer) = self.cache.get(&group.key) {
                found.from_cache += group.places.len();
                found.fill(&group, &Reply::Answer(answer));
            } else {
                open.push(group);
            }
        }
        for batch in open.chunks(BATCH_MAX) {
            let end = self.batch(flow, ask, batch, &mut found).await;
            if end != AskEnd::Answered {
                tracing::warn!(flow = %flow.id, items = batch.len(), end = %end, "a look-up at the registry failed");
                found.failure = Some(end);
                break;
            }
        }
        Ok(found)
    }

    async fn batch(&self, flow: &Flow, ask: Ask<'_>, batch: &[Group], found: &mut LookUp) -> AskEnd {
        let request = BatchRequest {
            request_id: self.ports.request_id(),
            purpose: flow.purpose.as_str().to_owned(),
            on_behalf_of: None,
            items: batch.iter().map(Group::item).collect(),
        };
        let asked_at = self.ports.now();
        let (attempts, result) = self.exchange(flow, "vehicles", &request).await;
        let (end, outcomes) = match result {
            Ok(answer) => (AskEnd::Answered, self.take(batch, answer, found)),
            Err(end) => (end, vec![ItemOutcome::None; batch.len()]),
        };
        let items = batch.iter().zip(outcomes).map(|(group, outcome)| AskedItem {
            plate: group.key.plate.clone(),
            country: group.key.country,
            at: group.at,
            outcome,
        });
        found.asked.push(AskRecord {
            request_id: request.request_id,
            flow: flow.id.clone(),
            institution: flow.institution.clone(),
            source: flow.source.clone(),
            purpose: flow.purpose,
            reason: ask.reason.to_owned(),
            asked_at,
            ended_at: self.ports.now(),
            attempts,
            items: items.collect(),
            end: end.clone(),
        });
        end
    }

    /// Asks until there is an answer, a refusal, or no attempt left. Gives the attempts made.
    pub(crate) async fn exchange(
        &self,
        flow: &Flow,
        what: &str,
        request: &BatchRequest,
    ) -> (u32, Result<BatchAnswer, AskEnd>) {
        let base = self.settings.base_url.trim_end_matches('/');
        let url = format!("{base}/v1/flows/{}/{what}:batch", flow.id);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let last = match self.attempt(&url, request).await {
                Ok(answer) => return (attempt, Ok(answer)),
                Err(Trouble::Final(status)) => return (attempt, Err(AskEnd::Refused { status: status.as_u16() })),
                Err(Trouble::Passing(failure)) => failure,
            };
            let asked_wait = match last {
                AttemptFailure::Quota { retry_after_s } => Duration::from_secs(retry_after_s.unwrap_or(0)),
                AttemptFailure::Server { .. }
                | AttemptFailure::Timeout
                | AttemptFailure::Connection
                | AttemptFailure::Garbled => Duration::ZERO,
            };
            if attempt >= self.settings.attempts_max || asked_wait > self.settings.retry_after_max {
                return (attempt, Err(AskEnd::GaveUp { last }));
            }
            let wait = self.settings.backoff.wait(attempt, |half| self.ports.jitter(half)).max(asked_wait);
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, url: &str, request: &BatchRequest) -> Result<BatchAnswer, Trouble> {
        let response = self.http.post(url).json(request).send().await.map_err(|error| Trouble::of(&error))?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let header = response.headers().get(reqwest::header::RETRY_AFTER);
            let retry_after_s = header.and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
            return Err(Trouble::Passing(AttemptFailure::Quota { retry_after_s }));
        }
        if status.is_server_error() {
            return Err(Trouble::Passing(AttemptFailure::Server { status: status.as_u16() }));
        }
        if status != StatusCode::OK {
            return Err(Trouble::Final(status));
        }
        let body = self.body(response).await?;
        let answer: BatchAnswer = serde_json::from_slice(&body).map_err(|_| Trouble::GARBLED)?;
        if answer.request_id != request.request_id || answer.answers.len() > request.items.len().saturating_mul(2) {
            return Err(Trouble::GARBLED);
        }
        Ok(answer)
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Trouble::of(&error))? {
            if body.len() + chunk.len() > self.settings.answer_bytes_max {
                return Err(Trouble::GARBLED);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Matches answers to what was asked; what was not asked is dropped.
    fn take(&self, batch: &[Group], answer: BatchAnswer, found: &mut LookUp) -> Vec<ItemOutcome> {
        let mut by_key = by_question(answer.answers);
        let mut outcomes = Vec::with_capacity(batch.len());
        for group in batch {
            let country = group.key.country.as_str().to_owned();
            let key = (group.key.plate.reveal().to_owned(), country, Some(group.at));
            let (outcome, reply) = read_answers(&by_key.remove(&key).unwrap_or_default());
            if let Reply::Answer(answer) = &reply {
                self.cache.put(group.key.clone(), answer.clone());
            }
            found.fill(group, &reply);
            outcomes.push(outcome);
        }
        outcomes
    }
}

/// What an answer is about: plate, country and instant.
type AnswerKey = (String, String, Option<WallTime>);

/// Answers by what they are about; one that does not say is dropped.
pub(crate) fn by_question(answers: Vec<serde_json::Value>) -> HashMap<AnswerKey, Vec<serde_json::Value>> {
    let mut by_key: HashMap<AnswerKey, Vec<serde_json::Value>> = HashMap::new();
    for item in answers {
        let text = |field: &str| item.get(field).and_then(serde_json::Value::as_str).map(ToOwned::to_owned);
        if let (Some(plate), Some(country), Some(at)) = (text("plate"), text("country"), text("at")) {
            by_key.entry((plate, country, instant(&at))).or_default().push(item);
        }
    }
    by_key
}

/// What the answers for one plate amount to.
fn read_answers(answers: &[serde_json::Value]) -> (ItemOutcome, Reply) {
    let Some(first) = answers.first() else { return (ItemOutcome::None, Reply::Unanswered) };
    if answers.iter().any(|other| other != first) {
        return (ItemOutcome::Contradictory, Reply::Unusable);
    }
    let Ok(item) = serde_json::from_value::<AnswerItem>(first.clone()) else {
        return (ItemOutcome::Malformed, Reply::Unusable);
    };
    if item.state == AnswerState::Pending {
        return (ItemOutcome::Pending, Reply::Pending);
    }
    match item.lookup() {
        Some(answer @ Lookup::Found { .. }) => (ItemOutcome::Found, Reply::Answer(answer)),
        Some(answer @ (Lookup::Unknown | Lookup::NotAsked)) => (ItemOutcome::Unknown, Reply::Answer(answer)),
        None => (ItemOutcome::Malformed, Reply::Unusable),
    }
}

/// Queries by plate and day, in the order of their first appearance.
fn groups(flow: &Flow, queries: &[Query]) -> Vec<Group> {
    let mut places: HashMap<CacheKey, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (place, query) in queries.iter().enumerate() {
        let key = CacheKey {
            flow: flow.id.clone(),
            plate: query.plate.clone(),
            country: query.country,
            day: Day::at(query.at),
        };
        let at = *places.entry(key.clone()).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.places.push(place),
            None => groups.push(Group { key, at: query.at, places: vec![place] }),
        }
    }
    groups
}

impl Group {
    fn item(&self) -> BatchItem {
        BatchItem {
            plate: self.key.plate.reveal().to_owned(),
            country: self.key.country.as_str().to_owned(),
            at: instant_text(self.at),
        }
    }
}

impl LookUp {
    fn fill(&mut self, group: &Group, reply: &Reply) {
        for place in &group.places {
            if let Some(slot) = self.replies.get_mut(*place) {
                slot.clone_from(reply);
            }
        }
    }
}

/// Why an attempt failed.
enum Trouble {
    /// Asking again is no use.
    Final(StatusCode),
    /// It may pass.
    Passing(AttemptFailure),
}

impl Trouble {
    const GARBLED: Self = Self::Passing(AttemptFailure::Garbled);

    fn of(error: &reqwest::Error) -> Self {
        Self::Passing(if error.is_timeout() { AttemptFailure::Timeout } else { AttemptFailure::Connection })
    }
}
