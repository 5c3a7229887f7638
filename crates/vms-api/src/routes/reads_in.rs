//! Reads that cameras make by themselves, and partners: for machines, on their listener. `docs/READS.md` is the contract.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::lez::push::PushForm;

use crate::dto::reads_in::PushedView;
use crate::problem::Problem;
use crate::session::Session;
use crate::shell::Api;

/// Header with the detached signature.
pub const SIGNATURE_HEADER: &str = "belfry-signature";

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(reads_push)).routes(routes!(onvif_push))
}

/// The body as it stands.
fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| {
        Problem::new(rejection.status(), "body", "The request body does not read, or is too large")
    })
}

/// A signed batch of reads, at most 200. Given again it is harmless; each read is answered for itself.
#[utoipa::path(post, path = "/api/v1/machine/reads", tag = "machines",
    params(("belfry-signature" = String, Header, description = "JWS, detached (RFC 7515, RFC 7797: `b64: false`), over the body as it stands")),
    request_body(content = Object, content_type = "application/json", description = "`docs/READS.md`"), responses(
    (status = 200, description = "What became of each", body = PushedView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 413, description = "`body`: more than 2 MiB", body = Problem),
    (status = 422, description = "`invalid`: `signature`, or the batch as a whole; nothing was taken", body = Problem),
    (status = 503, description = "`log_unavailable`: send it again", body = Problem)))]
async fn reads_push(
    State(api): State<Api>,
    session: Session,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<PushedView>, Problem> {
    let mut all = headers.get_all(SIGNATURE_HEADER).iter();
    let only = all.next().filter(|_| all.next().is_none());
    // None, two, or one that is no text: a signature that does not read.
    let signature = only.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let pushed = api.cases.reads_push(session.actor(), PushForm::Detached(signature), &whole(body)?).await?;
    Ok(Json(pushed.into()))
}

/// A message of a camera by the names of ONVIF Profile M: metadata or a recognised plate, in XML or JSON. Not signed: the connection is the
/// camera's.
#[utoipa::path(post, path = "/api/v1/machine/reads/onvif/{camera}", tag = "machines",
    params(("camera" = String, Path, description = "Code or id of the camera")),
    request_body(content = String, content_type = "application/xml", description = "Or JSON"), responses(
    (status = 200, description = "What became of each plate", body = PushedView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such camera, or not one of this machine's", body = Problem),
    (status = 422, description = "`invalid`: the message does not read", body = Problem),
    (status = 503, description = "`log_unavailable`: send it again", body = Problem)))]
async fn onvif_push(
    State(api): State<Api>,
    session: Session,
    Path(camera): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<PushedView>, Problem> {
    let form = PushForm::Onvif { camera: &camera, kind: None };
    Ok(Json(api.cases.reads_push(session.actor(), form, &whole(body)?).await?.into()))
}
