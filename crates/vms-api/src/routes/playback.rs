//! Playback: tickets, and byte ranges of the virtual file.

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::UseCaseError;
use vms_app::gate::Actor;
use vms_app::playback::CHUNK_MAX;
use vms_core::DecisionId;

use crate::dto::common::{PurposeDto, parse_range, parse_word, path_id};
use crate::dto::media::{PlaybackTicketDto, PlaybackView};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(playback_ticket)).routes(routes!(playback_file, playback_close))
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
    let why = PurposeDto::to_why(dto.purpose)?;
    let ticket = api.cases.playback_open(session.actor(), stream, range, &why).await?;
    Ok(Json(PlaybackView::from(&ticket)))
}

/// `{playback_id}.mp4`, or `{playback_id}` alone.
fn playback_id(file: &str) -> Result<DecisionId, Problem> {
    path_id(file.strip_suffix(".mp4").unwrap_or(file))
}

/// What a `Range` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(u64, u64),
    Impossible,
}

/// One range of bytes (RFC 9110, section 14). Several ranges, or what does not read, are answered with the whole file.
fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else { return Wanted::All };
    let Some((first, last)) = spec.split_once('-').filter(|_| !spec.contains(',')) else { return Wanted::All };
    let number =
        |text: &str| text.trim().parse::<u64>().ok().filter(|_| text.trim().bytes().all(|c| c.is_ascii_digit()));
    match (number(first), number(last), first.trim().is_empty(), last.trim().is_empty()) {
        (Some(start), None, false, true) if start < size => Wanted::Part(start, size),
        (Some(start), Some(last), false, false) if start <= last && start < size => {
            Wanted::Part(start, last.saturating_add(1).min(size))
        }
        (Some(start), Some(last), false, false) if start > last => Wanted::All,
        (Some(_), _, false, _) => Wanted::Impossible,
        (None, Some(0), true, false) => Wanted::Impossible,
        (None, Some(suffix), true, false) if size > 0 => Wanted::Part(size.saturating_sub(suffix), size),
        _ => Wanted::All,
    }
}

/// Feeds foreign bytes to the range parser (corpus test).
pub fn fuzz_range_header(data: &[u8]) {
    if let Wanted::Part(start, end) = wanted(std::str::from_utf8(data).ok(), 1_000) {
        debug_assert!(start < end && end <= 1_000);
    }
}

/// Bytes of an open playback of this session.
#[utoipa::path(get, path = "/api/v1/playback/{file}", tag = "playback", params(("file" = String, Path)), responses(
    (status = 200, description = "The whole file", content_type = "video/mp4"),
    (status = 206, description = "The part asked for", content_type = "video/mp4"),
    (status = 404, description = "Not open, or another session's", body = Problem),
    (status = 416, description = "Outside the file")))]
async fn playback_file(
    State(api): State<Api>,
    session: Session,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = playback_id(&file)?;
    let info = api.cases.playback_info(session.actor(), id).await?;
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let etag = format!("\"{}\"", info.etag);
    let is_same = text(header::IF_RANGE).is_none_or(|seen| seen == etag);
    let asked = wanted(text(header::RANGE).filter(|_| is_same), info.size);
    let (status, start, end) = match asked {
        Wanted::All => (StatusCode::OK, 0, info.size),
        Wanted::Part(start, end) => (StatusCode::PARTIAL_CONTENT, start, end),
        Wanted::Impossible => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let mut answer = Response::builder()
        .status(status)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, etag)
        // The picture must not lie in the browser's cache after the session.
        .header(header::CACHE_CONTROL, "no-store");
    let body = match status {
        StatusCode::RANGE_NOT_SATISFIABLE => {
            answer = answer.header(header::CONTENT_RANGE, format!("bytes */{}", info.size));
            HttpBody::empty()
        }
        _ => {
            if status == StatusCode::PARTIAL_CONTENT {
                let range = format!("bytes {start}-{}/{}", end.saturating_sub(1), info.size);
                answer = answer.header(header::CONTENT_RANGE, range);
            }
            answer = answer
                .header(header::CONTENT_TYPE, "video/mp4")
                .header(header::CONTENT_LENGTH, end.saturating_sub(start));
            HttpBody::from_stream(chunks(api.clone(), session.actor().clone(), id, start, end))
        }
    };
    answer.body(body).map_err(|error| UseCaseError::Internal(error.into()).into())
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
            Ok(bytes) if bytes.is_empty() => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                tracing::info!(%error, "a playback was cut");
                Err(std::io::Error::other("the playback was cut"))
            }
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
    fn ranges_are_read_as_rfc_9110_says() {
        use Wanted::{All, Impossible, Part};
        for (header, wanted_) in [
            (None, All),
            (Some("bytes=0-99"), Part(0, 100)),
            (Some("bytes=100-"), Part(100, 1_000)),
            (Some("bytes=-100"), Part(900, 1_000)),
            (Some("bytes=-5000"), Part(0, 1_000)),
            (Some("bytes=0-5000"), Part(0, 1_000)),
            (Some("bytes=999-999"), Part(999, 1_000)),
            (Some("bytes=1000-"), Impossible),
            (Some("bytes=1000-2000"), Impossible),
            (Some("bytes=-0"), Impossible),
            (Some("bytes=5-4"), All),
            (Some("bytes=0-1,3-4"), All),
            (Some("bytes=-"), All),
            (Some("bytes=a-b"), All),
            (Some("bytes=+1-2"), All),
            (Some("items=0-1"), All),
        ] {
            assert_eq!(wanted(header, 1_000), wanted_, "{header:?}");
        }
        for foreign in [&b"bytes=18446744073709551615-"[..], b"bytes=0-18446744073709551615", b"\xff", b"bytes=--"] {
            fuzz_range_header(foreign);
        }
    }
}
