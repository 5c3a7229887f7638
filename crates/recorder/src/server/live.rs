//! One live stream on one connection, from the capability to `End`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use link::{Connection, Control, LinkError, LiveForm, LiveFragment, Message};
use media::{ParamSetId, fmp4};
use tokio::net::UnixStream;
use vms_core::{Rendition, StreamId};

use super::Shared;
use super::admit::{Pass, Refusal};
use crate::hub::Hub;
use crate::live::{Feed, LiveItem, ViewerQueue};

/// The clock is looked at so often at least while a stream is open.
const LOOK_MAX: Duration = Duration::from_millis(250);

/// What was asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) capability: String,
    pub(super) stream: String,
    pub(super) rendition: String,
    pub(super) form: LiveForm,
}

/// Leaves the hub when the stream ends, however it ends.
struct Seat {
    shared: Arc<Shared>,
    hub: Arc<Hub>,
    queue: Arc<ViewerQueue>,
}

impl Seat {
    fn take(shared: &Arc<Shared>, hub: Arc<Hub>) -> Self {
        let (queue, ask) = hub.join(shared.clock.mono());
        if ask {
            shared.demand(hub.stream(), true);
        }
        metrics::gauge!("recorder_viewers").increment(1.0);
        Self { shared: Arc::clone(shared), hub, queue }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        metrics::gauge!("recorder_viewers").decrement(1.0);
        if !self.hub.leave(&self.queue) {
            return;
        }
        // The last one of an on-demand stream: the camera is let go a little later, for whoever just reloads.
        let (shared, hub) = (Arc::clone(&self.shared), Arc::clone(&self.hub));
        drop(self.shared.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(shared.config.linger) => {}
                () = shared.shutdown.cancelled() => return,
            }
            if hub.release() {
                shared.demand(hub.stream(), false);
            }
        }));
    }
}

fn admit(shared: &Arc<Shared>, role: link::Role, wanted: &Wanted) -> Result<(Pass, Arc<Hub>, StreamId), Refusal> {
    let bad = |detail| Refusal::new("bad_request", detail);
    let stream: StreamId = wanted.stream.parse().map_err(|_| bad("not a stream id"))?;
    let rendition: Rendition = wanted.rendition.parse().map_err(|_| bad("not a rendition"))?;
    let pass = Pass::open(shared, role, &wanted.capability, |capability| capability.covers_live(stream, rendition))?;
    if rendition != Rendition::Original {
        return Err(Refusal::new("rendition_unavailable", "a recorder hands out the original only"));
    }
    let hub = shared.hub(stream).ok_or_else(|| Refusal::new("unknown_stream", "not a stream of this recorder"))?;
    Ok((pass, hub, stream))
}

/// What has left so far.
#[derive(Default)]
struct Delivered {
    units: u64,
    bytes: u64,
    init: u16,
    set: Option<ParamSetId>,
    started: bool,
}

/// Serves the stream; returns when it ended and the connection may go on.
pub(super) async fn serve(
    shared: &Arc<Shared>,
    connection: &mut Connection<UnixStream>,
    wanted: Wanted,
) -> Result<(), LinkError> {
    let (mut pass, hub, stream) = match admit(shared, connection.peer, &wanted) {
        Ok(admitted) => admitted,
        Err(refusal) => return connection.sender.send(refusal.control()).await,
    };
    let seat = Seat::take(shared, hub);
    let mut delivered = Delivered::default();
    let (phase, cause) = seat.hub.standing();
    if phase != link::StreamPhase::Live {
        connection.sender.send(Control::LiveState { phase, cause }).await?;
    }
    let why = loop {
        if let Err(refusal) = pass.check() {
            break refusal.code;
        }
        let look = pass.left().min(LOOK_MAX);
        tokio::select! {
            biased;
            () = pass.revoked.cancelled() => break "revoked",
            () = shared.shutdown.cancelled() => break "stopped",
            asked = connection.receiver.recv() => {
                let Message::Control(asked) = asked? else { return Err(LinkError::Malformed) };
                let Control::Renew { capability } = *asked else { break "stopped" };
                let renewed = pass.renew(&capability, |fresh| fresh.covers_live(stream, Rendition::Original));
                if let Err(refusal) = renewed {
                    break refusal.code;
                }
            }
            feed = seat.queue.next() => {
                // A peer that does not read must not outlive its capability: the write is given up with the connection.
                let life = pass.left().saturating_add(Duration::from_millis(500));
                let sent = tokio::select! {
                    sent = tokio::time::timeout(life, forward(shared, connection, &feed, wanted.form, &mut delivered)) => {
                        sent.map_err(|_| LinkError::Closed)?
                    }
                    () = pass.revoked.cancelled() => return Err(LinkError::Closed),
                };
                sent?;
                if is_gone(&feed) && shared.hub(stream).is_none() {
                    break "camera_gone";
                }
            }
            () = tokio::time::sleep(look) => {}
        }
    };
    drop(seat);
    let Delivered { units, bytes, .. } = delivered;
    connection.sender.send(Control::End { why: why.to_owned(), units, bytes }).await
}

fn is_gone(feed: &Feed) -> bool {
    match feed {
        Feed::State(link::StreamPhase::Idle, Some(link::Cause::SwitchedOff)) => true,
        Feed::State(..) | Feed::Frame(_) | Feed::Dropped(_) => false,
    }
}

async fn forward(
    shared: &Arc<Shared>,
    connection: &mut Connection<UnixStream>,
    feed: &Feed,
    form: LiveForm,
    delivered: &mut Delivered,
) -> Result<(), LinkError> {
    match feed {
        Feed::State(phase, cause) => connection.sender.send(Control::LiveState { phase: *phase, cause: *cause }).await,
        Feed::Dropped(frames) => connection.sender.send(Control::LiveDrop { frames: *frames }).await,
        Feed::Frame(item) => {
            let frame = match form {
                LiveForm::Units => units_frame(connection, item, delivered),
                LiveForm::Fmp4 => fmp4_frame(shared, connection, item, delivered),
            };
            let Some((message, bytes)) = frame else { return Ok(()) };
            connection.sender.push(&message);
            connection.sender.flush().await?;
            delivered.started = true;
            delivered.units = delivered.units.saturating_add(1);
            delivered.bytes = delivered.bytes.saturating_add(u64::try_from(bytes).unwrap_or(0));
            Ok(())
        }
    }
}

fn units_frame(
    connection: &mut Connection<UnixStream>,
    item: &Arc<LiveItem>,
    delivered: &mut Delivered,
) -> Option<(Message, usize)> {
    if delivered.set != Some(item.sets.id) {
        delivered.set = Some(item.sets.id);
        let sets = Control::ParameterSets { stream: item.stream.to_string(), sets: item.sets.as_ref().into() };
        connection.sender.push(&sets.into());
    }
    Some((Message::Unit(item.stream, item.unit.clone()), item.unit.payload.len()))
}

fn fmp4_frame(
    shared: &Arc<Shared>,
    connection: &mut Connection<UnixStream>,
    item: &Arc<LiveItem>,
    delivered: &mut Delivered,
) -> Option<(Message, usize)> {
    let mut fresh = false;
    if delivered.set != Some(item.sets.id) {
        let init = fmp4::init_segment(&[&item.sets]).ok()?;
        delivered.set = Some(item.sets.id);
        delivered.init = delivered.init.wrapping_add(1);
        fresh = true;
        let word = Control::LiveInit {
            init: u32::from(delivered.init),
            mime: fmp4::mime(&[&item.sets]),
            width: item.sets.width,
            height: item.sets.height,
        };
        connection.sender.push(&word.into());
        connection.sender.push(&Message::Bytes(init));
    }
    let boxes: Bytes = item.boxes();
    if boxes.is_empty() {
        return None;
    }
    let bytes = boxes.len();
    let fragment = LiveFragment {
        is_key: item.unit.is_key,
        discontinuity: item.discontinuity || (fresh && delivered.started),
        init: delivered.init,
        seq: item.seq,
        capture_us: item.unit.clocks.wall.micros,
        send_us: shared.clock.wall().micros,
        boxes,
    };
    Some((Message::Fragment(fragment), bytes))
}
