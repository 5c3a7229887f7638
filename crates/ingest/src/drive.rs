//! One task per stream: does what the camera session asks, tells it what happened, decides nothing itself.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use link::{Cause, StreamPhase};
use media::session::{Action, CameraSession, Health, Input, Limits, LossReason};
use tokio::sync::watch;
use vms_core::{MonoTime, StreamId};

use crate::board::{Board, Standing};
use crate::guard::{PinnedUrl, Refusal, UrlGuard};
use crate::ports::Ports;
use crate::role::{Talk, gathered};
use crate::transport::{Credentials, Dial, Event, Transport, next_event};
use crate::unit::{Arrival, Assembled, Assembler};

/// A camera gets so long to take note that its session is over before the task ends.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// What does not change during the life of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Whose units.
    pub stream: StreamId,
    /// Address without credentials.
    pub url: String,
    /// Log-in.
    pub credentials: Option<Credentials>,
    /// Time-outs.
    pub limits: Limits,
    /// How far the clocks of camera and host may differ and still agree.
    pub agrees_within: Duration,
    /// Wait before the first connection, so that cameras do not all start at once.
    pub start_after: Duration,
}

/// What may change.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Pull it.
    pub on: bool,
    /// What may be dialled now.
    pub guard: Arc<UrlGuard>,
}

/// A task's own things.
struct Drive {
    source: Source,
    ports: Ports,
    board: Arc<Board>,
    session: CameraSession,
    transport: Box<dyn Transport>,
    assembler: Option<Assembler>,
    /// Look-up and judgement of the address, while they last.
    pinning: Option<BoxFuture<'static, Result<PinnedUrl, Refusal>>>,
    dialled: Option<SocketAddr>,
    /// From the wish to connect until the first frame, or the failure.
    talk: Option<Talk>,
}

/// Runs until `wanted` is dropped; ends the session then.
pub async fn drive(
    source: Source,
    ports: Ports,
    transport: Box<dyn Transport>,
    board: Arc<Board>,
    mut wanted: watch::Receiver<Wanted>,
) {
    let session = CameraSession::new(source.limits, ports.random.next_u64());
    let start_after = source.start_after;
    let mut drive =
        Drive { source, ports, board, session, transport, assembler: None, pinning: None, dialled: None, talk: None };
    let mut start = Some(Box::pin(tokio::time::sleep(start_after)));
    loop {
        drive.carry_out(&wanted);
        let deadline = drive.until_deadline();
        let input = tokio::select! {
            biased;
            changed = wanted.changed() => {
                if changed.is_err() {
                    drive.hear(Input::Stop);
                    drive.carry_out(&wanted);
                    drive.talk = Some(Talk::begin());
                    drop(tokio::time::timeout(FAREWELL_MAX, drive.transport.farewell()).await);
                    return;
                }
                drive.weigh(&wanted.borrow_and_update().clone(), start.is_none())
            }
            () = or_never(start.as_mut()) => {
                start = None;
                wanted.borrow().on.then_some(Input::Start)
            }
            pinned = or_never(drive.pinning.as_mut()) => {
                drive.pinning = None;
                drive.dial(pinned)
            }
            event = next_event(drive.transport.as_mut()) => drive.take(event),
            // Last: no alarm is set while frames are there, and the transport pauses by itself after a few readings.
            () = tokio::time::sleep(deadline.unwrap_or_default()), if deadline.is_some() => Some(Input::Tick),
        };
        if let Some(input) = input {
            drive.hear(input);
        }
    }
}

/// Waits for what is there, or for ever.
async fn or_never<F: Future + Unpin>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

impl Drive {
    fn now(&self) -> MonoTime {
        self.ports.clock.mono()
    }

    fn hear(&mut self, input: Input) {
        let now = self.now();
        self.session.handle(now, input);
    }

    fn until_deadline(&self) -> Option<Duration> {
        let at = self.session.deadline()?;
        Some(Duration::from_micros(at.micros.saturating_sub(self.now().micros)))
    }

    fn carry_out(&mut self, wanted: &watch::Receiver<Wanted>) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Connect { attempt } => {
                    tracing::debug!(stream = %self.source.stream, attempt, "connecting");
                    self.talk = Some(Talk::begin());
                    let guard = Arc::clone(&wanted.borrow().guard);
                    let (resolver, url) = (Arc::clone(&self.ports.resolver), self.source.url.clone());
                    self.pinning = Some(Box::pin(async move { guard.pin(&url, resolver.as_ref()).await }));
                }
                Action::Disconnect => self.hang_up(),
                Action::Report(health) => self.report(health),
            }
        }
    }

    fn hang_up(&mut self) {
        self.pinning = None;
        self.dialled = None;
        self.talk = None;
        self.assembler = None;
        self.transport.disconnect();
    }

    /// What is wanted changed.
    fn weigh(&mut self, wanted: &Wanted, has_started: bool) -> Option<Input> {
        if let Some(address) = self.dialled
            && !wanted.guard.allows(address)
        {
            self.hang_up();
            return Some(Input::Lost(LossReason::AddressRefused));
        }
        match (wanted.on, has_started) {
            (true, true) => Some(Input::Start),
            (true, false) => None,
            (false, _) => Some(Input::Stop),
        }
    }

    fn dial(&mut self, pinned: Result<PinnedUrl, Refusal>) -> Option<Input> {
        match pinned {
            Ok(url) => {
                self.dialled = Some(url.address);
                let connect_max = self.source.limits.connect_max;
                self.transport.connect(Dial { url, credentials: self.source.credentials.clone(), connect_max });
                None
            }
            Err(refusal) => {
                self.talk = None;
                tracing::info!(stream = %self.source.stream, %refusal, "the address is not dialled");
                Some(Input::Lost(refusal_reason(refusal)))
            }
        }
    }

    fn take(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Connected(info) => {
                let epoch_before = self.board.last_epoch(self.source.stream);
                self.assembler = Some(Assembler::new(info, self.now(), epoch_before, self.source.agrees_within));
                Some(Input::Connected)
            }
            Event::Frame(frame) => {
                self.talk = None;
                let arrival = Arrival { mono: self.now(), wall: self.ports.clock.wall(), gathered: gathered() };
                match self.assembler.as_mut()?.frame(frame, arrival) {
                    Assembled::Unit(unit, sets) => {
                        let is_key = unit.is_key;
                        self.board.unit(self.source.stream, unit, sets);
                        Some(Input::Frame { is_key })
                    }
                    Assembled::NotYet => Some(Input::Frame { is_key: false }),
                }
            }
            Event::SenderReport { wall, ticks } => {
                self.assembler.as_mut()?.sender_report(wall, ticks);
                None
            }
            Event::Lost(failure) => {
                tracing::info!(stream = %self.source.stream, cause = ?failure.cause, "{failure}");
                self.hang_up();
                Some(Input::Lost(loss_reason(failure.cause)))
            }
        }
    }

    fn report(&self, health: Health) {
        let (phase, cause) = match health {
            Health::Stopped => (StreamPhase::Idle, None),
            Health::Connecting => (StreamPhase::Connecting, None),
            Health::NoKeyFrame => (StreamPhase::NoKeyFrame, None),
            Health::Live => (StreamPhase::Live, None),
            Health::Down(why) => (StreamPhase::Waiting, Some(cause_of(why))),
        };
        tracing::info!(stream = %self.source.stream, ?phase, ?cause, "camera session");
        let since = self.ports.clock.wall();
        self.board.standing(self.source.stream, Standing { phase, cause, since });
    }
}

/// Why an address was not dialled.
pub const fn refusal_reason(refusal: Refusal) -> LossReason {
    match refusal {
        Refusal::NoAddress => LossReason::Unreachable,
        Refusal::Scheme
        | Refusal::Characters
        | Refusal::Credentials
        | Refusal::Host
        | Refusal::Port
        | Refusal::Class
        | Refusal::Network
        | Refusal::Configuration => LossReason::AddressRefused,
    }
}

/// The session's word for a cause.
pub const fn loss_reason(cause: Cause) -> LossReason {
    match cause {
        Cause::Unreachable => LossReason::Unreachable,
        Cause::LoginRefused => LossReason::LoginRefused,
        Cause::AddressRefused => LossReason::AddressRefused,
        Cause::Silent => LossReason::Silent,
        Cause::NoKeyFrame => LossReason::NoKeyFrame,
        Cause::Unsupported => LossReason::Unsupported,
        Cause::Malformed => LossReason::Malformed,
        Cause::Closed
        | Cause::PacketLoss
        | Cause::IngestRestart
        | Cause::RecorderRestart
        | Cause::RingOverflow
        | Cause::Disk
        | Cause::DiskCap
        | Cause::Keys
        | Cause::KeyDestroyed
        | Cause::KeyLost
        | Cause::ParameterChange
        | Cause::SwitchedOff => LossReason::Closed,
    }
}

/// The link's word for a reason.
pub const fn cause_of(why: LossReason) -> Cause {
    match why {
        LossReason::Unreachable | LossReason::TimedOut => Cause::Unreachable,
        LossReason::LoginRefused => Cause::LoginRefused,
        LossReason::AddressRefused => Cause::AddressRefused,
        LossReason::Malformed => Cause::Malformed,
        LossReason::Silent => Cause::Silent,
        LossReason::NoKeyFrame => Cause::NoKeyFrame,
        LossReason::Closed => Cause::Closed,
        LossReason::Unsupported => Cause::Unsupported,
    }
}
