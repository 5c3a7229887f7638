//! Playback: tickets, byte ranges of the virtual file, playlists, and the pictures of a preview.

use std::sync::Arc;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream::{once, unfold};
use http::{HeaderMap, Method, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::gate::Actor;
use vms_app::playback::CHUNK_MAX;
use vms_app::ports::{RangeForm, RangeParts};
use vms_app::{Entity, UseCaseError};
use vms_core::DecisionId;

use crate::dto::common::{PurposeDto, parse_range, parse_word, path_id};
use crate::dto::media::{PicturesView, PlaybackTicketDto, PlaybackView};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

pub(super) mod condition;
mod hls;

pub use condition::fuzz_range_header;
use condition::{Answer, Wanted};

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(playback_ticket))
        .routes(routes!(playback_file, playback_close))
        .routes(routes!(playback_playlist))
        .routes(routes!(playback_pictures))
        .routes(routes!(playback_part))
}

/// Decides, logs, and opens a span.
#[utoipa::path(post, path = "/api/v1/playback-tickets", tag = "playback", request_body = PlaybackTicketDto, responses(
    (status = 200, description = "The open playback", body = PlaybackView),
    (status = 403, description = "Not allowed, `too_old`, or something is required", body = Problem),
    (status = 404, description = "No stream that the caller may know of, or no footage", body = Problem),
    (status = 422, description = "`invalid`: the span", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn playback_ticket(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<PlaybackTicketDto>,
) -> Result<Json<PlaybackView>, Problem> {
    let range = parse_range(&dto.from, &dto.to)?;
    let stream = parse_word("stream_id", &dto.stream_id)?;
    let form = match dto.rendition.as_deref() {
        None | Some("original") => RangeForm::Whole,
        Some("preview") => RangeForm::Preview,
        Some(_) => return Err(Problem::invalid("rendition", "unknown_word")),
    };
    let why = PurposeDto::to_why(dto.purpose)?;
    let ticket = api.cases.playback_open(session.actor(), stream, range, form, &why).await?;
    Ok(Json(PlaybackView::from(&ticket)))
}

/// `{playback_id}.mp4`, or `{playback_id}` alone.
fn playback_id(file: &str) -> Result<DecisionId, Problem> {
    path_id(file.strip_suffix(".mp4").unwrap_or(file))
}

/// Bytes of an open playback of this session; a preview as one stream without a length.
#[utoipa::path(get, path = "/api/v1/playback/{file}", tag = "playback", params(("file" = String, Path)), responses(
    (status = 200, description = "The whole file", content_type = "video/mp4"),
    (status = 206, description = "The part asked for", content_type = "video/mp4"),
    (status = 304, description = "`If-None-Match` names its entity tag"),
    (status = 404, description = "Not open, or another session's", body = Problem),
    (status = 412, description = "`If-Match` does not name its entity tag"),
    (status = 416, description = "Outside the file")))]
async fn playback_file(
    State(api): State<Api>,
    session: Session,
    method: Method,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = playback_id(&file)?;
    let (info, form) = api.cases.playback_info(session.actor(), id).await?;
    let etag = format!("\"{}\"", info.etag);
    let asked = condition::answer(&method, &headers, &etag, info.size);
    let mut answer = Response::builder()
        .header(header::ETAG, etag)
        // The picture must not lie in the browser's cache after the session.
        .header(header::CACHE_CONTROL, "no-store");
    let wanted = match asked {
        Answer::Send(wanted) => wanted,
        Answer::NotModified => return finish(answer.status(StatusCode::NOT_MODIFIED).body(HttpBody::empty())),
        Answer::PreconditionFailed => {
            return finish(answer.status(StatusCode::PRECONDITION_FAILED).body(HttpBody::empty()));
        }
    };
    if form == RangeForm::Preview {
        let parts = api.cases.playback_parts(session.actor(), id).await?;
        let body = HttpBody::from_stream(pictures(api.clone(), session.actor().clone(), id, parts));
        let answer = answer.header(header::ACCEPT_RANGES, "none").header(header::CONTENT_TYPE, "video/mp4");
        return finish(answer.body(body));
    }
    let (status, start, end) = match wanted {
        Wanted::All => (StatusCode::OK, 0, info.size),
        Wanted::Part(start, end) => (StatusCode::PARTIAL_CONTENT, start, end),
        Wanted::Impossible => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    answer = answer.status(status).header(header::ACCEPT_RANGES, "bytes");
    if status == StatusCode::RANGE_NOT_SATISFIABLE {
        let answer = answer.header(header::CONTENT_RANGE, format!("bytes */{}", info.size));
        return finish(answer.body(HttpBody::empty()));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{}", end.saturating_sub(1), info.size);
        answer = answer.header(header::CONTENT_RANGE, range);
    }
    let answer =
        answer.header(header::CONTENT_TYPE, "video/mp4").header(header::CONTENT_LENGTH, end.saturating_sub(start));
    finish(answer.body(HttpBody::from_stream(chunks(api.clone(), session.actor().clone(), id, start, end))))
}

fn finish(answer: http::Result<Response>) -> Result<Response, Problem> {
    answer.map_err(|error| UseCaseError::Internal(error.into()).into())
}

/// One body that must not lie in the browser's cache.
fn whole(kind: &'static str, body: impl Into<HttpBody>) -> Result<Response, Problem> {
    finish(
        Response::builder()
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::CONTENT_TYPE, kind)
            .body(body.into()),
    )
}

/// An open playback as an HLS playlist (video on demand); for players that take the session's cookie along.
#[utoipa::path(get, path = "/api/v1/playback/{file}/index.m3u8", tag = "playback", params(("file" = String, Path)), responses(
    (status = 200, description = "The playlist", content_type = "application/vnd.apple.mpegurl"),
    (status = 404, description = "Not open, or another session's", body = Problem)))]
async fn playback_playlist(
    State(api): State<Api>,
    session: Session,
    Path(file): Path<String>,
) -> Result<Response, Problem> {
    let id = playback_id(&file)?;
    let (info, form) = api.cases.playback_info(session.actor(), id).await?;
    let parts = api.cases.playback_parts(session.actor(), id).await?;
    whole("application/vnd.apple.mpegurl", hls::playlist(&id.to_string(), &info, form, &parts))
}

/// Which pictures an open preview has.
#[utoipa::path(get, path = "/api/v1/playback/{file}/pictures", tag = "playback", params(("file" = String, Path)), responses(
    (status = 200, description = "Their instants, in order", body = PicturesView),
    (status = 404, description = "Not open, not a preview, or another session's", body = Problem)))]
async fn playback_pictures(
    State(api): State<Api>,
    session: Session,
    Path(file): Path<String>,
) -> Result<Json<PicturesView>, Problem> {
    let id = playback_id(&file)?;
    let (info, form) = api.cases.playback_info(session.actor(), id).await?;
    if form != RangeForm::Preview {
        return Err(Problem::from(UseCaseError::NotFound(Entity::Playback)));
    }
    let parts = api.cases.playback_parts(session.actor(), id).await?;
    Ok(Json(PicturesView::new(info.starts_at, &parts)))
}

/// What a name below `parts/` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartName {
    Init(usize),
    Picture(u32),
}

/// `init-{n}.mp4` or `{n}.m4s`.
fn part_name(name: &str) -> Option<PartName> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    match name.strip_prefix("init-").and_then(|rest| rest.strip_suffix(".mp4")) {
        Some(number) => digits(number).and_then(|number: u32| usize::try_from(number).ok()).map(PartName::Init),
        None => name.strip_suffix(".m4s").and_then(digits).map(PartName::Picture),
    }
}

/// Feeds foreign bytes to the parser of part names (corpus test).
pub fn fuzz_part_name(data: &[u8]) {
    let _ = std::str::from_utf8(data).ok().and_then(part_name);
}

/// An init segment of an open playback (`init-1.mp4`), or one picture of a preview (`0.m4s`).
#[utoipa::path(get, path = "/api/v1/playback/{file}/parts/{part}", tag = "playback",
    params(("file" = String, Path), ("part" = String, Path)), responses(
    (status = 200, description = "The bytes", content_type = "video/mp4"),
    (status = 404, description = "Not open, another session's, or no such part", body = Problem)))]
async fn playback_part(
    State(api): State<Api>,
    session: Session,
    Path((file, part)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id = playback_id(&file)?;
    let bytes = match part_name(&part) {
        Some(PartName::Init(number)) => {
            api.cases.playback_info(session.actor(), id).await?;
            api.cases.playback_parts(session.actor(), id).await?.inits.get(number).cloned()
        }
        Some(PartName::Picture(number)) => {
            api.cases.playback_info(session.actor(), id).await?;
            Some(api.cases.playback_picture(session.actor(), id, number).await?)
        }
        None => None,
    };
    whole("video/mp4", bytes.ok_or(Problem::from(UseCaseError::NotFound(Entity::Playback)))?)
}

/// A preview from its init segment to its last picture; each is decided anew when the last decision is 5 s old.
fn pictures(
    api: Api,
    actor: Actor,
    id: DecisionId,
    parts: Arc<RangeParts>,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    let init = parts.inits.first().cloned().unwrap_or_default();
    let count = u32::try_from(parts.parts.len()).unwrap_or(u32::MAX);
    let rest = unfold((api, actor, 0), move |(api, actor, number)| async move {
        if number >= count {
            return None;
        }
        let outcome = api.cases.playback_picture(&actor, id, number).await;
        let next = if outcome.is_ok() { number + 1 } else { count };
        Some((outcome.map_err(|error| cut(&error)), (api, actor, next)))
    });
    once(ready(Ok(init))).chain(rest)
}

fn cut(error: &UseCaseError) -> std::io::Error {
    tracing::info!(%error, "a playback was cut");
    std::io::Error::other("the playback was cut")
}

/// The bytes in chunks; each is decided anew when the last decision is 5 s old.
fn chunks(
    api: Api,
    actor: Actor,
    id: DecisionId,
    start: u64,
    end: u64,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    unfold((api, actor, start), move |(api, actor, at)| async move {
        if at >= end {
            return None;
        }
        let upto = end.min(at.saturating_add(CHUNK_MAX));
        let outcome = match api.cases.playback_chunk(&actor, id, at, upto).await {
            Ok(bytes) if bytes.is_empty() => {
                Err(cut(&UseCaseError::Internal("the file ended before its length".into())))
            }
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(cut(&error)),
        };
        // After an error the body ends: the next position lies behind the end.
        let read = outcome.as_ref().map_or(u64::MAX, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Some((outcome, (api, actor, at.saturating_add(read))))
    })
}

/// Closes a playback.
#[utoipa::path(delete, path = "/api/v1/playback/{file}", tag = "playback", params(("file" = String, Path)), responses(
    (status = 204, description = "Closed; the log says what was delivered"),
    (status = 404, description = "Not open, or another session's", body = Problem)))]
async fn playback_close(
    State(api): State<Api>,
    session: Session,
    Path(file): Path<String>,
) -> Result<StatusCode, Problem> {
    api.cases.playback_close(session.actor(), playback_id(&file)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_numbers() {
        for (name, wanted) in [
            ("init-1.mp4", Some(PartName::Init(1))),
            ("0.m4s", Some(PartName::Picture(0))),
            ("1439.m4s", Some(PartName::Picture(1_439))),
            ("init-.mp4", None),
            (".m4s", None),
            ("+1.m4s", None),
            ("-1.m4s", None),
            ("4294967296.m4s", None),
            ("init-1.m4s", None),
            ("../0.m4s", None),
            ("", None),
        ] {
            assert_eq!(part_name(name), wanted, "{name}");
            fuzz_part_name(name.as_bytes());
        }
        fuzz_part_name(b"\xff.m4s");
    }
}
