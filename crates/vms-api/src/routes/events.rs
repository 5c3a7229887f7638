//! Server-sent events. Overflow policy: a receiver that lags more than the hub keeps is told to load anew (`reset`).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use http::HeaderMap;
use tokio::sync::broadcast;
use tokio::time::{Interval, MissedTickBehavior};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::events::Replay;
use vms_app::login::Signed;
use vms_app::model::Event;

use crate::problem::Problem;
use crate::session::Session;
use crate::shell::Api;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// A stream whose session is over ends within this.
const RECHECK: Duration = Duration::from_secs(5);

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(events))
}

struct Feed {
    api: Api,
    signed: Signed,
    replay: VecDeque<Event>,
    reset: Option<i64>,
    seen: i64,
    receiver: broadcast::Receiver<Arc<Event>>,
    recheck: Interval,
    is_over: bool,
}

/// Events for the caller, each filtered by what the caller may know.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", responses(
    (status = 200, description = "The stream (`docs/API-DESIGN.md`)", content_type = "text/event-stream"),
    (status = 401, description = "No session", body = Problem)))]
async fn events(
    State(api): State<Api>,
    Session(signed): Session,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    // A place that is not this session's, or of before a restart, is too long ago: past every number.
    let session = signed.session.id;
    let last = headers
        .get("last-event-id")
        .map(|value| value.to_str().ok().and_then(|mark| api.cases.events().place(session, mark)).unwrap_or(i64::MAX));
    let (replay, receiver) = api.cases.events().listen(last).await?;
    let (replay, reset) = match replay {
        Replay::Since(list) => (VecDeque::from(list), None),
        Replay::Reset(newest) => (VecDeque::new(), Some(newest)),
    };
    let mut recheck = tokio::time::interval_at(tokio::time::Instant::now() + RECHECK, RECHECK);
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let seen = last.filter(|_| reset.is_none()).unwrap_or(0);
    let feed = Feed { api, signed, replay, reset, seen, receiver, recheck, is_over: false };
    let stream = unfold(feed, |mut feed| async move { feed.next().await.map(|event| (Ok(event), feed)) });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("")))
}

impl Feed {
    async fn next(&mut self) -> Option<SseEvent> {
        if self.is_over {
            return None;
        }
        if let Some(newest) = self.reset.take() {
            self.seen = newest;
            return Some(self.marked("reset", newest)?.data("{}"));
        }
        loop {
            let event = match self.replay.pop_front() {
                Some(event) => Arc::new(event),
                None => tokio::select! {
                    _ = self.recheck.tick() => {
                        if self.ended().await {
                            self.is_over = true;
                            return Some(SseEvent::default().event("session").data(r#"{"why":"ended"}"#));
                        }
                        continue;
                    }
                    received = self.receiver.recv() => match received {
                        Ok(event) => event,
                        Err(broadcast::error::RecvError::Lagged(_)) => {
                            return Some(SseEvent::default().event("reset").data("{}"));
                        }
                        Err(broadcast::error::RecvError::Closed) => return None,
                    },
                },
            };
            if event.id <= self.seen {
                continue;
            }
            self.seen = event.id;
            // Not knowing is a no.
            if self.api.cases.may_receive(&self.signed, &event).await.unwrap_or(false) {
                return Some(self.marked(event.kind.as_str(), event.id)?.data(event.data.clone()));
            }
        }
    }

    /// An event with its place; without one the stream ends, and the client comes back.
    fn marked(&self, kind: &str, id: i64) -> Option<SseEvent> {
        let mark = self.api.cases.events().mark(self.signed.session.id, id).ok()?;
        Some(SseEvent::default().event(kind).id(mark))
    }

    /// The account or session may have ended, or the profile changed.
    async fn ended(&self) -> bool {
        matches!(self.api.cases.still_signed(&self.signed).await, Ok(false))
    }
}
