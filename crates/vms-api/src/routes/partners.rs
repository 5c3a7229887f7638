//! Partners behind gateways.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::catalogue::{CatalogueNews, CatalogueOutcome};
use vms_app::model::{LegalBasis, Partner};

use crate::dto::camera::LegalBasisDto;
use crate::dto::common::{Page, instant, parse_word, path_id};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(partner_list, partner_create))
        .routes(routes!(partner_switch))
        .routes(routes!(partner_catalogue))
}

/// A partner.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct PartnerView {
    /// `org_…` of its organisation.
    id: String,
    /// Name shown.
    name: String,
    /// Where its catalogue is.
    catalogue_url: String,
    /// The agreement with it.
    agreement: LegalBasisDto,
    /// Switched on.
    enabled: bool,
    /// What became of the last import of its catalogue; null before the first one since the server started.
    last_import: Option<NewsView>,
}

/// What became of an import. The cameras stay as they were when something is wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct NewsView {
    /// When.
    at: String,
    /// Stable word for what is wrong at the partner's side; null when nothing is.
    problem: Option<&'static str>,
    /// The same in an English sentence.
    detail: Option<String>,
    /// What it did.
    outcome: Option<CatalogueView>,
}

impl From<&CatalogueNews> for NewsView {
    fn from(news: &CatalogueNews) -> Self {
        let fault = news.outcome.as_ref().err();
        Self {
            at: instant(news.at),
            problem: fault.map(vms_app::catalogue_fault::CatalogueFault::problem),
            detail: fault.map(ToString::to_string),
            outcome: news.outcome.as_ref().ok().map(CatalogueView::from),
        }
    }
}

impl PartnerView {
    fn new(partner: &Partner, news: Option<&CatalogueNews>) -> Self {
        Self {
            id: partner.org.to_string(),
            name: partner.name.clone(),
            catalogue_url: partner.catalogue_url.clone(),
            agreement: LegalBasisDto::from(&partner.agreement),
            enabled: partner.enabled,
            last_import: news.map(NewsView::from),
        }
    }
}

/// A new partner.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PartnerDto {
    /// `org_…` of its organisation.
    org_id: String,
    /// Name shown.
    name: String,
    /// Where its catalogue is.
    catalogue_url: String,
    /// The agreement with it.
    agreement: LegalBasisDto,
}

/// The switch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PartnerPatchDto {
    /// On or off.
    enabled: bool,
}

/// What an import did.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct CatalogueView {
    /// New cameras.
    added: u32,
    /// Changed cameras.
    changed: u32,
    /// No longer in the catalogue.
    retired: u32,
    /// Entries refused.
    refused: Vec<RefusedView>,
}

impl From<&CatalogueOutcome> for CatalogueView {
    fn from(outcome: &CatalogueOutcome) -> Self {
        let refused = |(code, field, problem): &(String, String, String)| RefusedView {
            code: code.clone(),
            field: field.clone(),
            problem: problem.clone(),
        };
        Self {
            added: outcome.added,
            changed: outcome.changed,
            retired: outcome.retired,
            refused: outcome.refused.iter().map(refused).collect(),
        }
    }
}

/// One entry that was refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct RefusedView {
    /// The partner's code.
    code: String,
    /// Field.
    field: String,
    /// Stable word.
    problem: String,
}

/// All partners.
#[utoipa::path(get, path = "/api/v1/partners", tag = "partners", responses(
    (status = 200, description = "By name", body = Page<PartnerView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn partner_list(State(api): State<Api>, session: Session) -> Result<Json<Page<PartnerView>>, Problem> {
    let partners = api.cases.partner_list(session.actor()).await?;
    let items = partners.iter().map(|(partner, news)| PartnerView::new(partner, news.as_ref())).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// Connects a partner, switched off.
#[utoipa::path(post, path = "/api/v1/partners", tag = "partners", request_body = PartnerDto, responses(
    (status = 201, description = "The partner", body = PartnerView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 409, description = "`taken`", body = Problem)))]
async fn partner_create(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<PartnerDto>,
) -> Result<(StatusCode, Json<PartnerView>), Problem> {
    let org = parse_word("org_id", &dto.org_id)?;
    let agreement = LegalBasis::from(dto.agreement);
    let partner = api.cases.partner_create(session.actor(), org, dto.name, dto.catalogue_url, agreement).await?;
    Ok((StatusCode::CREATED, Json(PartnerView::new(&partner, None))))
}

/// Switches a partner off, or asks for it to be switched on: a second person has to agree (`second-wishes`).
#[utoipa::path(patch, path = "/api/v1/partners/{id}", tag = "partners", params(("id" = String, Path)),
    request_body = PartnerPatchDto, responses(
    (status = 200, description = "The partner", body = PartnerView),
    (status = 202, description = "The partner as it is; a second person has to agree", body = PartnerView),
    (status = 404, description = "None", body = Problem),
    (status = 409, description = "`taken`: a wish waits", body = Problem)))]
async fn partner_switch(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<PartnerPatchDto>,
) -> Result<(StatusCode, Json<PartnerView>), Problem> {
    let partner = api.cases.partner_switch(session.actor(), path_id(&id)?, dto.enabled).await?;
    let status = if partner.enabled == dto.enabled { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(PartnerView::new(&partner, None))))
}

/// Imports the partner's camera list.
#[utoipa::path(post, path = "/api/v1/partners/{id}/catalogue", tag = "partners", params(("id" = String, Path)),
    responses(
    (status = 200, description = "What was done", body = CatalogueView),
    (status = 404, description = "None", body = Problem),
    (status = 409, description = "`catalogue_unreachable`, `catalogue_refused`: the cameras stay as they were", body = Problem),
    (status = 503, description = "The gateway can't be reached", body = Problem)))]
async fn partner_catalogue(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<CatalogueView>, Problem> {
    let outcome = api.cases.partner_catalogue(session.actor(), path_id(&id)?).await?;
    Ok(Json(CatalogueView::from(&outcome)))
}
