//! Live viewing: one-use tickets, and sessions that are decided again every 5 s and at every change.

use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use policy::Audience;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use vms_core::{DecisionId, Rendition, SessionId, StreamId, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::ViewLive;
use crate::gate::{Action, Actor, Delivered, GateError, Permit, Target, Why};
use crate::login::token_hash;
use crate::model::Camera;
use crate::ports::{LiveControl, LiveEvent, LiveFeed, MediaSource, random_bytes};
use crate::words::EndWhy;

/// A ticket is worth nothing after this (`console.md` 2.5).
const TICKET_LIFE: Duration = Duration::from_secs(30);
/// Unused tickets kept; one more is refused until old ones run out.
const TICKETS_MAX: usize = 10_000;
/// Unused tickets of one session.
const TICKETS_OF_SESSION_MAX: usize = 64;
/// Running streams are decided again at this interval (blueprint 2).
pub const RECHECK_EVERY: Duration = Duration::from_secs(5);

/// What is wanted.
#[derive(Clone, Debug)]
pub struct LiveRequest {
    /// Which stream.
    pub stream: StreamId,
    /// How.
    pub rendition: Rendition,
    /// Why.
    pub why: Why,
}

/// A one-use ticket.
#[derive(Clone)]
pub struct StreamTicket {
    /// The text that opens the WebSocket.
    pub ticket: String,
    /// Worth nothing after this.
    pub expires_at: WallTime,
    /// The decision, as it stands in the log.
    pub decision: DecisionId,
}

impl std::fmt::Debug for StreamTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamTicket").field("decision", &self.decision).finish_non_exhaustive()
    }
}

/// A ticket that waits for its WebSocket, under the hash of its text.
#[derive(Debug)]
pub(crate) struct PendingTicket {
    session: SessionId,
    permit: Permit<ViewLive>,
    stream: StreamId,
    expires_at: WallTime,
}

impl UseCases {
    /// Decides and writes the leaf; the ticket then opens one WebSocket.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Conflict`, `LogUnavailable`.
    pub async fn live_ticket(&self, actor: &Actor, request: LiveRequest) -> Result<StreamTicket, UseCaseError> {
        let LiveRequest { stream, rendition, why } = request;
        let camera = self.stores.camera_by_stream(stream).await?.ok_or(UseCaseError::NotFound(Entity::Stream))?;
        let target = self.camera_target::<ViewLive>(actor, &camera, why.purpose).await?;
        let target = Target { stream: Some(stream), rendition, ..target };
        if self.is_visible(actor, &camera).await? {
            self.in_service(&camera).await?;
            self.ticket_room(actor.session)?;
        }
        let permit = self.permit_on::<ViewLive>(actor, &camera, target, &why).await?;
        let ticket = B64.encode(random_bytes::<32>(self.ids.as_ref()));
        let decision = permit.decision();
        let expires_at = self.now().plus(TICKET_LIFE);
        let pending = PendingTicket { session: actor.session, permit, stream, expires_at };
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).insert(token_hash(&ticket), pending);
        Ok(StreamTicket { ticket, expires_at, decision })
    }

    fn ticket_room(&self, session: SessionId) -> Result<(), UseCaseError> {
        let tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let own = tickets.values().filter(|pending| pending.session == session).count();
        if tickets.len() >= TICKETS_MAX || own >= TICKETS_OF_SESSION_MAX {
            return Err(UseCaseError::TooManyTries { retry_after: TICKET_LIFE });
        }
        Ok(())
    }

    /// Whether a camera may show at all now.
    pub(crate) async fn in_service(&self, camera: &Camera) -> Result<(), UseCaseError> {
        if camera.legal_basis.is_none() {
            return Err(UseCaseError::Conflict(Conflict::LegalBasisMissing));
        }
        if !camera.is_in_service() {
            return Err(UseCaseError::Conflict(Conflict::WrongState(camera.state.as_str())));
        }
        let Some(partner) = camera.partner else { return Ok(()) };
        let partner = self.stores.partner_fetch(partner).await?;
        let is_on = partner.is_some_and(|partner| partner.enabled);
        is_on.then_some(()).ok_or(UseCaseError::Conflict(Conflict::PartnerOff))
    }

    /// Opens the stream of a ticket. The ticket is gone afterwards, whatever happens.
    ///
    /// # Errors
    /// `NotFound(Ticket)` for an unknown, used, run-out or foreign ticket; `LogUnavailable`, `Unavailable`.
    pub async fn live_open(self: &Arc<Self>, actor: &Actor, ticket: &str) -> Result<LiveSession, UseCaseError> {
        // The ticket's leaf covers what follows; without the log nothing follows, and the ticket stays.
        self.gate.log_stands().await?;
        let pending = self.tickets.lock().unwrap_or_else(PoisonError::into_inner).remove(&token_hash(ticket));
        let Some(pending) = pending else {
            self.refuse_stranger("live", "ticket").await?;
            return Err(UseCaseError::NotFound(Entity::Ticket));
        };
        let stream = pending.stream;
        if pending.session != actor.session || self.now() >= pending.expires_at {
            self.close_live(pending.permit, Delivered { why: "ticket_refused".to_owned(), ..Delivered::default() })
                .await?;
            return Err(UseCaseError::NotFound(Entity::Ticket));
        }
        match self.live_feed(&pending.permit, stream).await {
            Ok(feed) => Ok(LiveSession::new(Arc::clone(self), pending.permit, stream, feed)),
            Err(error) => {
                self.close_live(pending.permit, Delivered { why: "failed".to_owned(), ..Delivered::default() }).await?;
                Err(error)
            }
        }
    }

    async fn live_feed(&self, permit: &Permit<ViewLive>, stream: StreamId) -> Result<LiveFeed, UseCaseError> {
        let camera = self.stores.camera_by_stream(stream).await?.ok_or(UseCaseError::NotFound(Entity::Stream))?;
        let rendition = permit.target().rendition;
        let source = source_of(&camera, rendition);
        let missing = || UseCaseError::Internal("a live permit makes a capability".into());
        let capability = self.gate.capability(permit, audience_of(source)).ok_or_else(missing)?;
        Ok(self.media.open_live(source, capability, stream, rendition).await?)
    }

    async fn close_live(&self, permit: Permit<ViewLive>, delivered: Delivered) -> Result<(), UseCaseError> {
        Ok(self.gate.close(permit, delivered).await?)
    }

    /// Whether a running stream may go on: session, account, camera, partner, table.
    pub(crate) async fn may_go_on<A: Action>(
        &self,
        permit: &Permit<A>,
        stream: StreamId,
        past: bool,
    ) -> Result<Result<Camera, EndWhy>, UseCaseError> {
        let actor = permit.actor();
        let session = self.stores.session_fetch(actor.session).await?;
        let now = self.now();
        let Some(session) = session.filter(|session| self.is_alive(session, now)) else {
            return Ok(Err(EndWhy::Revoked));
        };
        let account = self.stores.account_of_session(session.user).await?;
        if session.profile != actor.profile || account.is_none_or(|account| !account.holds(actor.profile)) {
            return Ok(Err(EndWhy::Revoked));
        }
        let Some(camera) = self.stores.camera_by_stream(stream).await? else { return Ok(Err(EndWhy::CameraGone)) };
        // The past of a retired camera may be seen while it lasts.
        if !past && let Err(error) = self.in_service(&camera).await {
            let is_off = matches!(error, UseCaseError::Conflict(Conflict::PartnerOff));
            return Ok(Err(if is_off { EndWhy::PartnerOff } else { EndWhy::CameraGone }));
        }
        let target = self.camera_target::<A>(actor, &camera, permit.why().purpose).await?;
        let asked = permit.target();
        let target = Target { stream: asked.stream, range: asked.range, rendition: asked.rendition, ..target };
        match self.gate.renew(permit, target).await {
            Ok(()) => Ok(Ok(camera)),
            Err(GateError::LogUnavailable(_)) => Ok(Err(EndWhy::Unavailable)),
            Err(GateError::Denied { .. } | GateError::Missing(_) | GateError::Unknown) => Ok(Err(EndWhy::Revoked)),
        }
    }

    pub(crate) async fn tickets_expire(&self) -> Result<(), UseCaseError> {
        let now = self.now();
        let gone: Vec<PendingTicket> = {
            let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
            tickets.extract_if(|_, pending| now >= pending.expires_at).map(|(_, pending)| pending).collect()
        };
        let mut outcome = Ok(());
        for pending in gone {
            let delivered = Delivered { why: "ticket_unused".to_owned(), ..Delivered::default() };
            outcome = outcome.and(self.close_live(pending.permit, delivered).await);
        }
        outcome
    }
}

pub(crate) fn source_of(camera: &Camera, rendition: Rendition) -> MediaSource {
    match (rendition, camera.partner) {
        (Rendition::Coarse, _) => MediaSource::Reader,
        (Rendition::Original, Some(_)) => MediaSource::Gateway,
        (Rendition::Original, None) => MediaSource::Recorder,
    }
}

const fn audience_of(source: MediaSource) -> Audience {
    match source {
        MediaSource::Recorder => Audience::Recorder,
        MediaSource::Gateway => Audience::Gateway,
        MediaSource::Reader => Audience::Reader,
    }
}

/// A decision on a running view, with what follows from it: renewed, or the end.
type Deciding = BoxFuture<'static, Result<Result<(), EndWhy>, UseCaseError>>;

/// One running live view. Call [`next`](Self::next) until it gives `None`, then [`finish`](Self::finish).
pub struct LiveSession {
    cases: Arc<UseCases>,
    permit: Arc<Permit<ViewLive>>,
    stream: StreamId,
    events: BoxStream<'static, LiveEvent>,
    control: Arc<dyn LiveControl>,
    recheck: Interval,
    changes: watch::Receiver<u64>,
    /// Runs beside the frames: a slow database must not stop the picture while its capability is good.
    deciding: Option<Deciding>,
    /// Why a decision ended the view, known before the source is told: the source's own last word ("revoked", for whatever
    /// reason) may come first, and who looks on must read the reason.
    verdict: Arc<OnceLock<EndWhy>>,
    /// Something changed while a decision was under way, which may have looked before the change.
    decide_again: bool,
    units: u64,
    bytes: u64,
    /// The last look at the right failed for want of the database, or waits for it.
    is_undecided: bool,
    ended: Option<EndWhy>,
}

impl std::fmt::Debug for LiveSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveSession").field("stream", &self.stream).field("ended", &self.ended).finish_non_exhaustive()
    }
}

enum Happened {
    Event(LiveEvent),
    Due,
    Decided(Result<Result<(), EndWhy>, UseCaseError>),
}

/// The end of the decision under way; never, when there is none.
async fn decided(deciding: &mut Option<Deciding>) -> Result<Result<(), EndWhy>, UseCaseError> {
    let Some(work) = deciding else { return std::future::pending().await };
    let answer = work.await;
    *deciding = None;
    answer
}

impl LiveSession {
    fn new(cases: Arc<UseCases>, permit: Permit<ViewLive>, stream: StreamId, feed: LiveFeed) -> Self {
        let mut recheck = interval_at(tokio::time::Instant::now() + RECHECK_EVERY, RECHECK_EVERY);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let changes = cases.changes();
        let LiveFeed { events, control } = feed;
        Self {
            cases,
            permit: Arc::new(permit),
            stream,
            events,
            control: Arc::from(control),
            recheck,
            changes,
            deciding: None,
            verdict: Arc::default(),
            decide_again: false,
            units: 0,
            bytes: 0,
            is_undecided: false,
            ended: None,
        }
    }

    /// The decision behind it.
    pub fn decision(&self) -> DecisionId {
        self.permit.decision()
    }

    /// The next thing that happens; `None` after the end. Cancel safe: a decision under way is kept.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        if self.ended.is_some() {
            return None;
        }
        loop {
            let happened = tokio::select! {
                biased;
                answer = decided(&mut self.deciding) => Happened::Decided(answer),
                _ = self.recheck.tick() => Happened::Due,
                Ok(()) = self.changes.changed() => Happened::Due,
                event = self.events.next() => {
                    Happened::Event(event.unwrap_or(LiveEvent::End { why: EndWhy::Stopped }))
                }
            };
            let event = match happened {
                Happened::Due => {
                    self.decide();
                    continue;
                }
                Happened::Decided(answer) => match self.take_decision(answer) {
                    Ok(()) => continue,
                    Err(why) => LiveEvent::End { why },
                },
                Happened::Event(event) => event,
            };
            let LiveEvent::End { why } = event else { return Some(event) };
            // Who looks on must not read "your right has ended" when nobody could look it up.
            let is_undecided = self.is_undecided || self.deciding.is_some();
            let why = match self.verdict.get() {
                Some(verdict) => *verdict,
                None if is_undecided && why == EndWhy::Expired => EndWhy::Unavailable,
                None => why,
            };
            self.ended = Some(why);
            return Some(LiveEvent::End { why });
        }
    }

    /// Counts what really went out to the viewer.
    pub fn delivered(&mut self, units: u64, bytes: u64) {
        self.units = self.units.saturating_add(units);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn decide(&mut self) {
        if self.deciding.is_some() {
            self.decide_again = true;
            return;
        }
        let (cases, permit, stream) = (Arc::clone(&self.cases), Arc::clone(&self.permit), self.stream);
        let (control, verdict) = (Arc::clone(&self.control), Arc::clone(&self.verdict));
        self.deciding = Some(Box::pin(async move {
            let camera = match cases.may_go_on(&permit, stream, false).await? {
                Ok(camera) => camera,
                Err(why) => {
                    let _noted = verdict.set(why);
                    cases.media.revoke(permit.decision()).await;
                    return Ok(Err(why));
                }
            };
            let source = source_of(&camera, permit.target().rendition);
            let Some(capability) = cases.gate.capability(&permit, audience_of(source)) else {
                return Ok(Err(EndWhy::Expired));
            };
            Ok(control.renew(capability).await.map_err(|_| EndWhy::Expired))
        }));
    }

    fn take_decision(&mut self, answer: Result<Result<(), EndWhy>, UseCaseError>) -> Result<(), EndWhy> {
        self.is_undecided = answer.is_err();
        if std::mem::take(&mut self.decide_again) {
            self.decide();
        }
        match answer {
            Ok(outcome) => outcome,
            // The database is away: the capability is not renewed, so the recorder ends the stream within 15 s unless
            // the database is back before.
            Err(error) => {
                tracing::warn!(%error, "a running stream could not be decided again");
                Ok(())
            }
        }
    }

    /// Writes the closing leaf. `why` counts when the stream itself gave none.
    ///
    /// # Errors
    /// `LogUnavailable`.
    pub async fn finish(self, why: EndWhy) -> Result<(), UseCaseError> {
        let why = self.ended.unwrap_or(why).as_str().to_owned();
        let Self { cases, permit, units, bytes, events, control, deciding, .. } = self;
        drop((events, control, deciding));
        let shared = || UseCaseError::Internal("only the view and its decision hold the permit".into());
        let permit = Arc::into_inner(permit).ok_or_else(shared)?;
        cases.close_live(permit, Delivered { units, bytes, why }).await
    }
}
