//! Live: tickets, and the WebSocket that a ticket opens.

use axum::Json;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, StatusCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::live::LiveRequest;
use vms_core::Rendition;

use crate::dto::common::{PurposeDto, instant, parse_word};
use crate::dto::media::{StreamTicketDto, StreamTicketView};
use crate::problem::Problem;
use crate::session::{Body, Session, is_own_origin};
use crate::shell::Api;
use crate::socket;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(stream_ticket)).routes(routes!(live))
}

/// Decides, logs, and gives a one-use ticket.
#[utoipa::path(post, path = "/api/v1/stream-tickets", tag = "live", request_body = StreamTicketDto, responses(
    (status = 200, description = "The ticket", body = StreamTicketView),
    (status = 403, description = "Not allowed, or `purpose_required`, `justification_required`", body = Problem),
    (status = 404, description = "No stream that the caller may know of", body = Problem),
    (status = 409, description = "`legal_basis_missing`, `wrong_state`, `partner_off`", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn stream_ticket(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<StreamTicketDto>,
) -> Result<Json<StreamTicketView>, Problem> {
    if dto.kind != "live" {
        return Err(Problem::invalid("kind", "unknown"));
    }
    let rendition = match &dto.rendition {
        Some(word) => parse_word("rendition", word)?,
        None => Rendition::Original,
    };
    let stream = parse_word("stream_id", &dto.stream_id)?;
    let request = LiveRequest { stream, rendition, why: PurposeDto::to_why(dto.purpose)? };
    let ticket = api.cases.live_ticket(session.actor(), request).await?;
    Ok(Json(StreamTicketView {
        ticket: ticket.ticket,
        expires_at: instant(ticket.expires_at),
        decision_id: ticket.decision.to_string(),
    }))
}

/// The ticket among the sub-protocols that the caller offers; none where it offers several. A browser's WebSocket takes no other header,
/// and an address ends in the logs of proxies.
fn ticket_of(headers: &HeaderMap) -> Option<&str> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let mut tickets =
        offered.flat_map(|value| value.split(',')).filter_map(|word| word.trim().strip_prefix(socket::TICKET_PREFIX));
    let ticket = tickets.next()?;
    tickets.next().is_none().then_some(ticket)
}

/// The stream of a ticket, as `vms.fmp4.v1` over WebSocket (`docs/API-DESIGN.md`).
#[utoipa::path(get, path = "/api/v1/live", tag = "live", params(("Sec-WebSocket-Protocol" = String, Header,
    description = "`vms.fmp4.v1, ticket.T` with T from `POST /api/v1/stream-tickets`; the answer names `vms.fmp4.v1` alone")), responses(
    (status = 101, description = "The WebSocket"),
    (status = 403, description = "`foreign_origin`", body = Problem),
    (status = 404, description = "The ticket is unknown, used, run out, or another session's", body = Problem),
    (status = 422, description = "`invalid`: the address carries something; a ticket does not belong there", body = Problem),
    (status = 426, description = "No WebSocket was asked for", body = Problem)))]
async fn live(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if !is_own_origin(&headers, &api.settings) {
        api.cases.refuse_stranger("GET /api/v1/live", "origin").await?;
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", "Not from another site"));
    }
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(Problem::invalid("ticket", "not_in_an_address"));
    }
    let upgrade =
        upgrade.map_err(|_| Problem::new(StatusCode::UPGRADE_REQUIRED, "no_websocket", "A WebSocket is needed"))?;
    let live = api.cases.live_open(session.actor(), ticket_of(&headers).unwrap_or_default()).await?;
    let clock = std::sync::Arc::clone(api.cases.clock());
    Ok(upgrade
        .protocols([socket::PROTOCOL])
        .max_message_size(socket::INCOMING_MAX)
        .max_frame_size(socket::INCOMING_MAX)
        .on_upgrade(move |socket| socket::relay(socket, live, clock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_one_word_among_the_protocols() {
        for (lines, wanted) in [
            (vec!["vms.fmp4.v1, ticket.abc-_9"], Some("abc-_9")),
            (vec!["ticket.abc,vms.fmp4.v1"], Some("abc")),
            (vec!["vms.fmp4.v1", "ticket.abc"], Some("abc")),
            (vec!["vms.fmp4.v1, ticket."], Some("")),
            (vec!["vms.fmp4.v1, ticket.a, ticket.b"], None),
            (vec!["ticket.a", "ticket.a"], None),
            (vec!["vms.fmp4.v1, Ticket.a"], None),
            (vec!["vms.fmp4.v1"], None),
            (vec![], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(SEC_WEBSOCKET_PROTOCOL, line.parse().unwrap());
            }
            assert_eq!(ticket_of(&headers), wanted, "{lines:?}");
        }
    }
}
