//! Accounts.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::accounts::{AccountPatch, AccountWish};
use vms_app::words::Language;

use crate::dto::common::{Page, PageQuery, parse_word, path_id};
use crate::dto::people::{UserDto, UserPatchDto, UserView};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(user_list, user_create)).routes(routes!(user_change))
}

/// Accounts that the caller administers.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(PageQuery), responses(
    (status = 200, description = "By id", body = Page<UserView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn user_list(
    State(api): State<Api>,
    session: Session,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<UserView>>, Problem> {
    let after = page.after()?.as_deref().map(|id| parse_word("cursor", id)).transpose()?;
    let accounts = api.cases.account_list(session.actor(), after, page.limit()).await?;
    let rows: Vec<UserView> = accounts.iter().map(UserView::from).collect();
    Ok(Json(Page::new(rows, page.limit(), |user| user.id.clone())))
}

/// Makes an account with a one-time password.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = UserDto, responses(
    (status = 201, description = "The account, with its one-time password", body = UserView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 409, description = "`taken`", body = Problem),
    (status = 422, description = "`invalid`", body = Problem)))]
async fn user_create(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<UserDto>,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    let language = dto.language.as_deref().map(|word| parse_word("language", word)).transpose()?;
    let wish = AccountWish {
        user_name: dto.user_name,
        name: dto.name,
        org: parse_word("org_id", &dto.org_id)?,
        profile: parse_word("profile", &dto.profile)?,
        language: language.unwrap_or(Language::Nl),
    };
    let made = api.cases.account_create(session.actor(), wish).await?;
    Ok((StatusCode::CREATED, Json(UserView::from(&made))))
}

/// Changes an account.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path)),
    request_body = UserPatchDto, responses(
    (status = 200, description = "The account as it is now", body = UserView),
    (status = 404, description = "None", body = Problem),
    (status = 422, description = "`invalid`", body = Problem)))]
async fn user_change(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<UserPatchDto>,
) -> Result<Json<UserView>, Problem> {
    let patch = AccountPatch {
        disabled: dto.disabled,
        name: dto.name,
        profile: dto.profile.as_deref().map(|word| parse_word("profile", word)).transpose()?,
        language: dto.language.as_deref().map(|word| parse_word("language", word)).transpose()?,
        reset_password: dto.reset_password,
    };
    let made = api.cases.account_change(session.actor(), path_id(&id)?, patch).await?;
    Ok(Json(UserView::from(&made)))
}
