//! Accounts.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::accounts::{AccountMade, AccountPatch, AccountShows, AccountWish};
use vms_app::identity::rules::day_start;
use vms_app::model::Account;
use vms_app::words::Language;
use vms_core::{Profile, Right, WallTime};

use crate::dto::common::{Page, PageQuery, instant, parse_word, path_id};
use crate::dto::people::{UserDto, UserPatchDto, UserView};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(user_list, user_create)).routes(routes!(user_change))
}

/// The account with what it lacks.
fn seen(api: &Api, account: &Account) -> UserView {
    let (lacks, grace) = api.cases.account_lacks(account);
    UserView { lacks, grace_until: grace.map(instant), ..UserView::from(account) }
}

fn made_view(api: &Api, made: &AccountMade) -> UserView {
    let one_time_password = made.password.as_ref().map(|password| password.to_string());
    UserView { one_time_password, ..seen(api, &made.account) }
}

/// A day of a form: absent stays, empty takes away.
fn day(field: &str, text: Option<&str>) -> Result<Option<Option<WallTime>>, Problem> {
    match text {
        None => Ok(None),
        Some("") => Ok(Some(None)),
        Some(text) => day_start(text).map(|at| Some(Some(at))).ok_or_else(|| Problem::invalid(field, "not_a_day")),
    }
}

fn shows(charter: Option<&str>, training: Option<&str>, clearance: Option<&str>) -> Result<AccountShows, Problem> {
    Ok(AccountShows {
        charter: day("charter_on", charter)?,
        training: day("training_on", training)?,
        clearance: day("clearance_on", clearance)?,
    })
}

fn profiles(words: &[String]) -> Result<Vec<Profile>, Problem> {
    words.iter().map(|word| parse_word("more_profiles", word)).collect()
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
    let mut links = api.cases.links().await?;
    let row = |account: &Account| UserView { provider_subject: links.remove(&account.id), ..seen(&api, account) };
    let rows: Vec<UserView> = accounts.iter().map(row).collect();
    Ok(Json(Page::new(rows, page.limit(), |user| user.id.clone())))
}

/// Makes an account with a one-time password.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = UserDto, responses(
    (status = 201, description = "The account, with its one-time password", body = UserView),
    (status = 403, description = "Not allowed, or `step_up_needed`", body = Problem),
    (status = 409, description = "`taken`, `profiles_apart`", body = Problem),
    (status = 422, description = "`invalid`", body = Problem)))]
async fn user_create(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<UserDto>,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::UserAdmin]).await?;
    let shows = shows(dto.charter_on.as_deref(), dto.training_on.as_deref(), dto.clearance_on.as_deref())?;
    let more = profiles(&dto.more_profiles)?;
    let language = dto.language.as_deref().map(|word| parse_word("language", word)).transpose()?;
    let wish = AccountWish {
        user_name: dto.user_name,
        name: dto.name,
        org: parse_word("org_id", &dto.org_id)?,
        profile: parse_word("profile", &dto.profile)?,
        language: language.unwrap_or(Language::Nl),
    };
    let made = api.cases.account_create(session.actor(), wish, shows, more).await?;
    Ok((StatusCode::CREATED, Json(made_view(&api, &made))))
}

/// Changes an account.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path)),
    request_body = UserPatchDto, responses(
    (status = 200, description = "The account as it is now", body = UserView),
    (status = 403, description = "Not allowed, or `step_up_needed`", body = Problem),
    (status = 404, description = "None", body = Problem),
    (status = 409, description = "`profiles_apart`; `taken`: the name at the provider is another account's; `no_such_service`", body = Problem),
    (status = 422, description = "`invalid`", body = Problem)))]
async fn user_change(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<UserPatchDto>,
) -> Result<Json<UserView>, Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::UserAdmin]).await?;
    let patch = AccountPatch {
        disabled: dto.disabled,
        name: dto.name,
        profile: dto.profile.as_deref().map(|word| parse_word("profile", word)).transpose()?,
        language: dto.language.as_deref().map(|word| parse_word("language", word)).transpose()?,
        reset_password: dto.reset_password,
        more_profiles: dto.more_profiles.as_deref().map(profiles).transpose()?,
        shows: shows(dto.charter_on.as_deref(), dto.training_on.as_deref(), dto.clearance_on.as_deref())?,
        reset_factors: dto.reset_factors,
        provider_subject: dto.provider_subject,
    };
    let made = api.cases.account_change(session.actor(), path_id(&id)?, patch).await?;
    let provider_subject = api.cases.links().await?.remove(&made.account.id);
    Ok(Json(UserView { provider_subject, ..made_view(&api, &made) }))
}
