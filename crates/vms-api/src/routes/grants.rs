//! Grants: who shares which cameras with whom.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::grants::{GrantFilter, GrantSight, ShareWish};
use vms_app::model::Grant;

use crate::dto::common::{OrgView, Page, instant, parse_range, parse_word, path_id};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(grant_list, grant_share)).routes(routes!(grant_take_back))
}

/// Which grants to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct GrantQuery {
    /// Only on this camera, `cam_…`.
    camera: Option<String>,
    /// Only to this organisation, `org_…`.
    partner: Option<String>,
    /// Also those taken back or run out.
    past: Option<bool>,
}

/// One right on one camera for another organisation.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct GrantView {
    /// `grt_…`.
    id: String,
    /// `cam_…`.
    camera_id: String,
    /// Code of the camera.
    camera_code: Option<String>,
    /// Who gave it.
    owner: Option<OrgView>,
    /// Who may.
    partner: Option<OrgView>,
    /// Only this profile of theirs; null for all.
    profile: Option<String>,
    /// `camera.list`, `live`, `playback`, `statistics.view`; for machines `reads.push`, `statistics.deliver`.
    right: String,
    /// Only for this purpose; null for all.
    purpose: Option<String>,
    /// From then on.
    from: String,
    /// First instant after it.
    to: String,
    /// Taken back.
    revoked_at: Option<String>,
    /// In force now.
    in_force: bool,
}

impl From<&GrantSight> for GrantView {
    fn from(sight: &GrantSight) -> Self {
        let grant = &sight.grant;
        Self {
            id: grant.id.to_string(),
            camera_id: grant.terms.camera.to_string(),
            camera_code: sight.camera_code.clone(),
            owner: sight.owner.as_ref().map(OrgView::from),
            partner: sight.partner.as_ref().map(OrgView::from),
            profile: grant.terms.profile.map(|profile| profile.as_str().to_owned()),
            right: grant.terms.right.as_str().to_owned(),
            purpose: grant.terms.purpose.map(|purpose| purpose.as_str().to_owned()),
            from: instant(grant.terms.period.from),
            to: instant(grant.terms.period.to),
            revoked_at: grant.revoked_at.map(instant),
            in_force: sight.in_force,
        }
    }
}

/// Cameras × organisation × profile × rights × purpose × period.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShareDto {
    /// `cam_…`, at most 500.
    camera_ids: Vec<String>,
    /// `org_…` that may.
    partner_id: String,
    /// Only this profile of theirs.
    profile: Option<String>,
    /// Of `camera.list`, `live`, `playback`, `statistics.view`; for machines `reads.push`, `statistics.deliver`.
    rights: Vec<String>,
    /// Only for this purpose.
    purpose: Option<String>,
    /// From then on, RFC 3339.
    from: String,
    /// First instant after it, at most two years on.
    to: String,
}

/// What was given.
#[derive(Debug, Serialize, ToSchema)]
struct GivenView {
    /// One id per camera and right.
    ids: Vec<String>,
}

/// Grants that the caller's organisation gave or got; all of them for an overseer.
#[utoipa::path(get, path = "/api/v1/grants", tag = "grants", params(GrantQuery), responses(
    (status = 200, description = "Newest first", body = Page<GrantView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn grant_list(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<GrantQuery>,
) -> Result<Json<Page<GrantView>>, Problem> {
    let filter = GrantFilter {
        camera: query.camera.as_deref().map(|id| parse_word("camera", id)).transpose()?,
        partner: query.partner.as_deref().map(|id| parse_word("partner", id)).transpose()?,
        past: query.past.unwrap_or(false),
    };
    let grants = api.cases.grant_list(session.actor(), filter).await?;
    Ok(Json(Page { items: grants.iter().map(GrantView::from).collect(), next_cursor: None }))
}

/// The owner shares cameras. Every camera is decided first; nothing is given unless all may be.
#[utoipa::path(post, path = "/api/v1/grants", tag = "grants", request_body = ShareDto, responses(
    (status = 201, description = "One grant per camera and right", body = GivenView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "A camera that the caller may not know of", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn grant_share(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<ShareDto>,
) -> Result<(StatusCode, Json<GivenView>), Problem> {
    let cameras: Result<_, _> = dto.camera_ids.iter().map(|id| parse_word("camera_ids", id)).collect();
    let rights: Result<_, _> = dto.rights.iter().map(|right| parse_word("rights", right)).collect();
    let wish = ShareWish {
        cameras: cameras?,
        partner: parse_word("partner_id", &dto.partner_id)?,
        profile: dto.profile.as_deref().map(|word| parse_word("profile", word)).transpose()?,
        rights: rights?,
        purpose: dto.purpose.as_deref().map(|word| parse_word("purpose", word)).transpose()?,
        period: parse_range(&dto.from, &dto.to)?,
    };
    let given: Vec<Grant> = api.cases.grant_share(session.actor(), wish).await?;
    let ids = given.iter().map(|grant| grant.id.to_string()).collect();
    Ok((StatusCode::CREATED, Json(GivenView { ids })))
}

/// The owner takes a grant back; running streams under it end within 5 s.
#[utoipa::path(delete, path = "/api/v1/grants/{id}", tag = "grants", params(("id" = String, Path)), responses(
    (status = 204, description = "Taken back"),
    (status = 404, description = "None in force that the caller may take back", body = Problem)))]
async fn grant_take_back(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.cases.grant_take_back(session.actor(), path_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
