//! The stub's HTTP side.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::time::Instant;
use traffic_rules::Day;
use vms_core::{Country, Plate, Purpose};

use super::faults::{Fate, Faults, chosen};
use super::fleet_file::{self, FleetFileError, FleetRows};
use super::{StubSettings, fleet};
use crate::flow::{Flow, FlowRefusal, Question};
use crate::wire::{AnswerItem, AnswerState, BATCH_MAX, BatchItem, BatchRequest, Problem, WireVehicle, instant};

/// Longest request: 500 items of at most 100 bytes, with room.
const REQUEST_BYTES_MAX: usize = 128 << 10;

/// Why the stub does not run.
#[derive(Debug, thiserror::Error)]
pub enum StubError {
    /// The fleet file cannot be read.
    #[error("the fleet file `{path}` cannot be read")]
    FleetFile {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A row of the fleet file is wrong.
    #[error("the fleet file cannot be used")]
    FleetRow(#[from] FleetFileError),
    /// The listener broke.
    #[error("the stub's listener failed")]
    Serve(#[source] std::io::Error),
}

struct Stub {
    settings: StubSettings,
    rows: FleetRows,
    faults: Faults,
    started: Instant,
}

#[derive(Serialize)]
struct Answer {
    request_id: String,
    answers: Vec<AnswerItem>,
}

/// Answers on the listener until dropped.
///
/// # Errors
/// [`StubError`] when the fleet file is wrong or the listener fails.
pub async fn serve(listener: TcpListener, settings: StubSettings) -> Result<(), StubError> {
    let router = router(settings).await?;
    axum::serve(listener, router).await.map_err(StubError::Serve)
}

/// The stub's routes: `GET /healthz`, `POST /v1/flows/{flow}/vehicles:batch` and `…/holders:batch`.
///
/// # Errors
/// [`StubError`] when the fleet file is wrong.
pub async fn router(settings: StubSettings) -> Result<Router, StubError> {
    let rows = match &settings.fleet_file {
        Some(path) => {
            let text = tokio::fs::read_to_string(path).await;
            let text = text.map_err(|source| StubError::FleetFile { path: path.display().to_string(), source })?;
            fleet_file::read(&text, settings.fleet_key)?
        }
        None => FleetRows::default(),
    };
    tracing::info!(rows = rows.len(), "the registry stub has its fleet");
    let stub = Stub { settings, rows, faults: Faults::default(), started: Instant::now() };
    Ok(Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/v1/flows/{flow}/vehicles:batch", post(vehicles))
        .route("/v1/flows/{flow}/holders:batch", post(holders))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(Arc::new(stub)))
}

async fn vehicles(stub: State<Arc<Stub>>, flow: Path<String>, body: Bytes) -> Response {
    batch(stub, flow, body, Question::Vehicle).await
}

async fn holders(stub: State<Arc<Stub>>, flow: Path<String>, body: Bytes) -> Response {
    batch(stub, flow, body, Question::Holder).await
}

async fn batch(State(stub): State<Arc<Stub>>, Path(flow): Path<String>, body: Bytes, question: Question) -> Response {
    let accepted = stub.accept(&flow, &body, question);
    let (flow, request) = match accepted {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal.into_response(),
    };
    match stub.faults.fate(&stub.settings, stub.started.elapsed()) {
        Fate::Quota(seconds) => {
            let quota = refusal(StatusCode::TOO_MANY_REQUESTS, "quota", "the quota of this span is used up");
            let mut response = quota.into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            return response;
        }
        Fate::Error => {
            let down = refusal(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the source does not answer");
            return down.into_response();
        }
        Fate::Answer => {}
    }
    tokio::time::sleep(stub.settings.delay).await;
    let items = request.items.iter();
    let answers = items.flat_map(|item| stub.answer(flow, item, question)).collect();
    axum::Json(Answer { request_id: request.request_id, answers }).into_response()
}

impl Stub {
    /// What is right about a request, or the refusal that it gets.
    fn accept(&self, id: &str, body: &[u8], question: Question) -> Result<(&Flow, BatchRequest), Refusal> {
        let no_flow = || refusal(StatusCode::NOT_FOUND, "flow", "there is no such flow");
        let flow = self.settings.flows.get(id).ok_or_else(no_flow)?;
        let request: BatchRequest = serde_json::from_slice(body)
            .map_err(|_| refusal(StatusCode::BAD_REQUEST, "request", "the request cannot be read"))?;
        let purpose: Purpose = request
            .purpose
            .parse()
            .map_err(|_| refusal(StatusCode::FORBIDDEN, "purpose", "the purpose is not known"))?;
        let permitted = self.settings.flows.permit(&flow.id, &flow.institution, purpose, question);
        permitted.map_err(|why| match why {
            FlowRefusal::Unknown(_) => no_flow(),
            FlowRefusal::Disabled(_) => refusal(StatusCode::FORBIDDEN, "disabled", "the flow is not enabled"),
            FlowRefusal::Purpose { .. } => refusal(StatusCode::FORBIDDEN, "purpose", "the flow serves another purpose"),
            FlowRefusal::Institution(_) | FlowRefusal::Question(_) => {
                refusal(StatusCode::FORBIDDEN, "question", "the flow asks another question")
            }
        })?;
        // One flow serves every municipality: it must be told for which.
        if question == Question::Holder && request.on_behalf_of.as_deref().is_none_or(str::is_empty) {
            return Err(refusal(StatusCode::FORBIDDEN, "institution", "the request does not say on whose behalf"));
        }
        if request.items.is_empty() {
            return Err(refusal(StatusCode::BAD_REQUEST, "request", "the request names no plate"));
        }
        if request.items.len() > BATCH_MAX {
            return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "batch", "a request names at most 500 plates"));
        }
        Ok((flow, request))
    }

    /// One answer, or two when the plate is one that the source contradicts itself on.
    fn answer(&self, flow: &Flow, item: &BatchItem, question: Question) -> Vec<AnswerItem> {
        let answer = |state, vehicle| AnswerItem {
            plate: item.plate.clone(),
            country: item.country.clone(),
            at: item.at.clone(),
            state,
            vehicle,
            holder: None,
        };
        let parsed = (Plate::parse(&item.plate).ok(), Country::parse(&item.country), instant(&item.at));
        let (Some(plate), Some(country), Some(at)) = parsed else { return vec![answer(AnswerState::Unknown, None)] };
        let settings = &self.settings;
        let pending = chosen(settings.fleet_key, "pending", settings.pending_ppm, &plate, country);
        if pending && self.started.elapsed() < settings.pending_for {
            return vec![answer(AnswerState::Pending, None)];
        }
        let truth = self.rows.get(&plate, country);
        let drawn = || {
            let known = flow.covers(country) && !settings.only_fleet_file;
            known
                .then(|| fleet::vehicle(settings.fleet_key, &plate, country, Day::at(at), settings.reassigned_ppm))
                .flatten()
        };
        let Some(mut vehicle) = truth.unwrap_or_else(drawn) else { return vec![answer(AnswerState::Unknown, None)] };
        if chosen(settings.fleet_key, "holder", settings.new_holder_ppm, &plate, country) {
            fleet::new_holder(&mut vehicle, Day::at(at));
        }
        if self.faults.changed(settings, &plate, country) {
            change(&mut vehicle);
        }
        let is_two = chosen(settings.fleet_key, "contradictory", settings.contradictory_ppm, &plate, country);
        if question == Question::Holder {
            let who = |turn: u32| AnswerItem {
                holder: Some(fleet::holder(settings.fleet_key, &plate, country, &vehicle, turn)),
                ..answer(AnswerState::Found, None)
            };
            return (0..=u32::from(is_two)).map(who).collect();
        }
        let mut answers = vec![answer(AnswerState::Found, Some(vehicle.clone()))];
        if is_two {
            change(&mut vehicle);
            answers.push(answer(AnswerState::Found, Some(vehicle)));
        }
        answers
    }
}

/// Another norm than before.
fn change(vehicle: &mut WireVehicle) {
    let other = if vehicle.euro_norm.as_deref() == Some("4") { "3" } else { "4" };
    vehicle.euro_norm = Some(other.to_owned());
    vehicle.norm_source = Some("accepted".to_owned());
}

/// A refusal, before it is written out.
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
}

const fn refusal(status: StatusCode, kind: &'static str, title: &'static str) -> Refusal {
    Refusal { status, kind, title }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = format!("urn:belfry:registry:{}", self.kind);
        let body = Problem { kind, title: self.title.to_owned(), status: self.status.as_u16() };
        let mut response = (self.status, axum::Json(body)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
