//! Health.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::UseCaseError;
use vms_app::health::{Behind, StorageHealth};
use vms_app::words::Cause;

use crate::dto::camera::CameraHealthView;
use crate::dto::common::Page;
use crate::problem::{DATABASE_AWAY, Problem};
use crate::session::Session;
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(health_cameras))
}

/// The short answer.
#[derive(Debug, Serialize, ToSchema)]
struct HealthAnswer {
    /// `ok`, `behind` or `unavailable`.
    status: &'static str,
    /// Cameras whose footage did not reach the disk lately; how many, not which.
    behind: usize,
    /// What wants a person at the recorder, as stable words: clock, terms, room on the disk (docs/operations.md).
    alarms: Vec<String>,
    /// The same in sentences, with what to look at.
    detail: String,
}

/// An alarm in words for whoever watches the system; one of a newer recorder by its own word.
fn alarm_words(alarm: &str) -> &str {
    match alarm {
        "clock_stepped" => {
            "the recorder's clock moved: nothing is erased until it is back, or two people say that it is right"
        }
        "clock_untrusted" => "the recorder's clock has not been vouched for in six hours: nothing is erased",
        "reading_blocked" => "without trusted time for a day: what is past its term is not shown",
        "batch_waits" => "more is due for erasing than in one and a half days: two people have to approve",
        "reads_batch_waits" => {
            "more plate reads and findings are due for erasing than in one and a half days: two people have to approve"
        }
        "gate_waits" => {
            "footage that a decision keeps past its first term waits for the magistrate's gate, and nobody sees it: attach \
             or configure the folder of the gate"
        }
        "reads_gate_waits" => {
            "police reads that a decision keeps past their first term wait for the magistrate's gate: attach or configure \
             the folder of the gate of reads"
        }
        "reads_damaged" => {
            "reads, findings, permits or watchlists are damaged in the database and left out: the log of `serve` names them; look after its disk"
        }
        "gate_away" => {
            "somebody came with a magistrate's decision, and the medium with the key of the gate is not attached: attach \
             it, then open the footage again"
        }
        "unusual_use" => {
            "somebody's use is out of the ordinary: a data-protection officer or the overseer has to look at it (oversight page)"
        }
        "overdue" => "something outlives its term",
        "disagreement" => "files, index and keys of the recorder do not agree: `belfry check`",
        "disk_stands" => {
            "the recorder's disk does not answer: footage waits in memory, and when that is full it is lost"
        }
        "disk_low" => "the recorder's disk has room for less than twelve hours",
        "disk_spare" => "the recorder's disk has room for less than two hours: what is optional has stopped",
        "disk_loses" => "footage goes before its term for want of room",
        "disk_exhausted" => "the recorder's disk is full and nothing more may go",
        "disk_too_small" => "the recorder's disk cannot keep what its cameras need",
        other => other,
    }
}

/// The sentence on cameras, and one on what wants a person besides.
fn with_alarms(cameras: String, storage: &StorageHealth) -> String {
    if storage.alarms.is_empty() {
        return cameras;
    }
    let words: Vec<&str> = storage.alarms.iter().map(|alarm| alarm_words(alarm)).collect();
    let detail = storage.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{cameras}. Alarms: {}{detail}", words.join("; "))
}

/// How many are behind, by cause, and where to look.
fn sentence(behind: &[Behind]) -> String {
    if behind.is_empty() {
        return "Footage of every camera in service reached the disk in the last 10 s".to_owned();
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for camera in behind {
        *counts.entry(camera.cause.map_or("recorder does not report it", words_of)).or_default() += 1;
    }
    let list: Vec<String> = counts.iter().map(|(words, count)| format!("{count} × {words}")).collect();
    format!(
        "Cameras without footage on disk from the last 10 s: {}. /api/v1/health/cameras says which",
        list.join("; ")
    )
}

/// A cause in words for whoever watches the system.
const fn words_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Unreachable => "camera can't be reached",
        Cause::LoginRefused => "camera refuses the log-in: check user and password",
        Cause::AddressRefused => "address of the camera is not allowed by the configuration",
        Cause::Malformed => "camera sends something that is no video",
        Cause::Silent => "camera fell silent",
        Cause::NoKeyFrame => "no full picture arrives",
        Cause::Closed => "camera closed the connection",
        Cause::PacketLoss => "data is lost on the network",
        Cause::IngestRestart => "ingest starts again",
        Cause::RecorderRestart => "recorder starts again",
        Cause::RingOverflow => "recorder can't keep up",
        Cause::Disk => "the recorder's disk is full or refuses: make room, recording then goes on by itself",
        Cause::DiskCap => "the oldest footage went before its term: the disk tier had reached its cap",
        Cause::Keys => "a copy of the key store can't be written: mend it, recording then goes on by itself",
        Cause::KeyDestroyed => "the key of the footage was destroyed",
        Cause::KeyLost => "the key of the footage is lost or damaged",
        Cause::ParameterChange => "camera changed its settings",
        Cause::SwitchedOff => "recording is switched off",
        Cause::Unsupported => "camera offers nothing that can be used",
    }
}

/// The answer while the database is away before the role has started.
pub(crate) fn database_away() -> Response {
    let answer =
        HealthAnswer { status: "unavailable", behind: 0, alarms: Vec::new(), detail: DATABASE_AWAY.to_owned() };
    (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response()
}

/// Only the central database can keep the answer from us.
fn unknown_because(error: &UseCaseError) -> String {
    if matches!(error, UseCaseError::StoreUnavailable(_)) {
        DATABASE_AWAY.to_owned()
    } else {
        "The state of the cameras can't be told; the log of the serve role says why".to_owned()
    }
}

/// Whether footage of every camera in service reached the disk in the last 10 s.
#[utoipa::path(get, path = "/health", tag = "health", responses(
    (status = 200, description = "It did", body = HealthAnswer),
    (status = 503, description = "It did not, or nobody knows", body = HealthAnswer)))]
async fn health(State(api): State<Api>) -> Response {
    let (code, status, behind, detail) = match api.cases.health_summary().await {
        Ok(behind) if behind.is_empty() => (StatusCode::OK, "ok", 0, sentence(&behind)),
        Ok(behind) => (StatusCode::SERVICE_UNAVAILABLE, "behind", behind.len(), sentence(&behind)),
        Err(error) => {
            tracing::warn!(%error, "health is unknown");
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", 0, unknown_because(&error))
        }
    };
    let mut storage = api.cases.storage_health();
    storage.alarms.extend(api.cases.log_alarms());
    storage.alarms.extend(api.cases.reads_alarms());
    storage.alarms.extend(api.cases.use_alarms());
    let detail = with_alarms(detail, &storage);
    (code, Json(HealthAnswer { status, behind, alarms: storage.alarms, detail })).into_response()
}

/// Health of every camera that the caller sees.
#[utoipa::path(get, path = "/api/v1/health/cameras", tag = "health", responses(
    (status = 200, description = "By code", body = Page<CameraHealthView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn health_cameras(State(api): State<Api>, session: Session) -> Result<Json<Page<CameraHealthView>>, Problem> {
    let cameras = api.cases.health_cameras(session.actor()).await?;
    Ok(Json(Page { items: cameras.iter().map(CameraHealthView::from).collect(), next_cursor: None }))
}
