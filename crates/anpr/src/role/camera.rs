//! One camera: a task that holds the live stream at the recorder, and a thread that decodes it.

use std::sync::Arc;
use std::time::Duration;

use link::{Connection, Control, LinkError, LiveForm, Message, ReaderCamera, Role, WireParameterSets};
use media::{AccessUnit, ParamSetId, ParameterSets};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_core::Rendition;

use super::queue::Job;
use super::shared::Shared;
use super::{Counters, DecodeError, Decoder};
use crate::pace::Pace;

/// Units waiting for the decoder: two seconds at 25 frames/s. When full the connection is not read, and the recorder
/// drops to the next key frame and says how many frames it left out.
const UNITS_MAX: usize = 50;

/// First and longest wait before dialling again.
const RETRY: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(5));

/// A stream without a unit for this long is reported as not decoding.
const SILENCE: Duration = Duration::from_secs(5);

enum Input {
    Sets(ParameterSets),
    Unit(AccessUnit),
}

/// Keeps the camera read until `stop`.
pub(super) async fn keep(
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    mut camera: watch::Receiver<ReaderCamera>,
    stop: CancellationToken,
    tracker: TaskTracker,
) {
    let mut ready = shared.ready.subscribe();
    let mut wait = RETRY.0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            ready = ready.wait_for(|ready| *ready) => if ready.is_err() { return },
        }
        let attempt = attend(&shared, &counters, &mut camera, &tracker);
        let ended = tokio::select! {
            () = stop.cancelled() => return counters.set_decoding(false),
            ended = attempt => ended,
        };
        counters.set_decoding(false);
        match ended {
            Ok(frames) => {
                tracing::info!(camera = counters.camera(), frames, "the live stream ended");
                wait = if frames > 0 { RETRY.0 } else { (wait * 2).min(RETRY.1) };
            }
            Err(error) => {
                tracing::debug!(camera = counters.camera(), %error, "no live stream");
                wait = (wait * 2).min(RETRY.1);
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Opens the stream and feeds a decoding thread until it ends; the number of units received.
async fn attend(
    shared: &Arc<Shared>,
    counters: &Arc<Counters>,
    camera: &mut watch::Receiver<ReaderCamera>,
    tracker: &TaskTracker,
) -> Result<u64, LinkError> {
    let path = shared.config.run_dir.join("recorder.sock");
    let mut connection = link::connect(&path, Role::Reader, 0, Role::Recorder).await?;
    let wanted = camera.borrow_and_update().clone();
    let open = Control::OpenLive {
        capability: wanted.capability.clone(),
        stream: wanted.stream.clone(),
        rendition: Rendition::Original.as_str().to_owned(),
        form: LiveForm::Units,
    };
    connection.sender.send(open).await?;
    let (units, inbox) = mpsc::channel(UNITS_MAX);
    let thread = Decoding { shared: Arc::clone(shared), counters: Arc::clone(counters), rate_max: wanted.rate_max };
    let thread = tracker.spawn_blocking(move || thread.run(inbox));
    let received = relay(connection, counters, camera, &units).await;
    drop(units);
    if thread.await.is_err() {
        tracing::error!(camera = counters.camera(), "the decoding thread ended badly");
    }
    received
}

async fn relay(
    mut connection: Connection<UnixStream>,
    counters: &Counters,
    camera: &mut watch::Receiver<ReaderCamera>,
    units: &mpsc::Sender<Input>,
) -> Result<u64, LinkError> {
    let mut received = 0;
    loop {
        let message = tokio::select! {
            changed = camera.changed() => {
                if changed.is_err() {
                    return Ok(received);
                }
                let capability = camera.borrow_and_update().capability.clone();
                connection.sender.send(Control::Renew { capability }).await?;
                continue;
            }
            message = tokio::time::timeout(SILENCE, connection.receiver.recv()) => match message {
                Ok(message) => message?,
                Err(_) => {
                    counters.set_decoding(false);
                    continue;
                }
            },
        };
        let input = match message {
            Message::Unit(_, unit) => {
                received += 1;
                Some(Input::Unit(unit))
            }
            Message::Control(control) => match on_control(*control, counters) {
                Step::Ended => return Ok(received),
                Step::Sets(sets) => Some(Input::Sets(sets)),
                Step::Nothing => None,
            },
            Message::Bytes(_) | Message::Fragment(_) => return Err(LinkError::Malformed),
        };
        if let Some(input) = input
            && units.send(input).await.is_err()
        {
            return Ok(received);
        }
    }
}

enum Step {
    Ended,
    Sets(ParameterSets),
    Nothing,
}

fn on_control(control: Control, counters: &Counters) -> Step {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a live stream carries these five; any other message is ignored"
    )]
    match control {
        Control::ParameterSets { sets, .. } => parameter_sets(&sets).map_or(Step::Nothing, Step::Sets),
        Control::LiveDrop { frames } => {
            counters.skipped(u64::from(frames));
            Step::Nothing
        }
        Control::LiveState { phase, cause } => {
            tracing::debug!(camera = counters.camera(), ?phase, ?cause, "the camera's state");
            counters.set_decoding(false);
            Step::Nothing
        }
        Control::Refused { code, .. } => {
            tracing::warn!(camera = counters.camera(), code, "the recorder refused the stream");
            Step::Ended
        }
        Control::End { why, .. } => {
            tracing::debug!(camera = counters.camera(), why, "the recorder ended the stream");
            Step::Ended
        }
        _ => Step::Nothing,
    }
}

/// Parameter sets from the wire; `None` when they are not well formed.
pub(super) fn parameter_sets(wire: &WireParameterSets) -> Option<ParameterSets> {
    use base64::Engine as _;
    let nals = |texts: &[String]| -> Option<Vec<bytes::Bytes>> {
        let decode = |text: &String| base64::engine::general_purpose::STANDARD.decode(text).ok().map(Into::into);
        texts.iter().map(decode).collect()
    };
    Some(ParameterSets {
        id: ParamSetId(u64::from_str_radix(&wire.id, 16).ok()?),
        codec: wire.codec.parse().ok()?,
        vps: nals(&wire.vps)?,
        sps: nals(&wire.sps)?,
        pps: nals(&wire.pps)?,
        width: wire.width,
        height: wire.height,
        rfc6381: wire.rfc6381.clone(),
        reorder_depth: wire.reorder_depth,
    })
}

/// The decoding thread of one live stream.
struct Decoding {
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    rate_max: u8,
}

impl Decoding {
    fn run(self, mut inbox: mpsc::Receiver<Input>) {
        let mut sets: Option<ParameterSets> = None;
        let mut decoder: Option<Box<dyn Decoder>> = None;
        let mut pace = Pace::new(self.rate_max);
        while let Some(input) = inbox.blocking_recv() {
            let unit = match input {
                Input::Sets(fresh) => {
                    if sets.as_ref().is_none_or(|old| old.id != fresh.id) {
                        decoder = None;
                    }
                    sets = Some(fresh);
                    continue;
                }
                Input::Unit(unit) => unit,
            };
            self.counters.clocked(&unit.clocks, self.shared.word());
            // A decoder starts at a key frame; what comes before it shows nothing.
            if decoder.is_none() && unit.is_key {
                decoder = sets.as_ref().and_then(|sets| self.open(sets));
            }
            let (Some(open), Some(sets)) = (decoder.as_mut(), &sets) else { continue };
            if pace.spares(&unit, sets.codec) {
                continue;
            }
            if let Err(error) = self.advance(open.as_mut(), &unit, &mut pace) {
                tracing::warn!(camera = self.counters.camera(), %error, "decoding starts again at the next key frame");
                self.counters.set_decoding(false);
                decoder = None;
            }
        }
    }

    fn open(&self, sets: &ParameterSets) -> Option<Box<dyn Decoder>> {
        match self.shared.decoders.open(sets) {
            Ok(decoder) => Some(decoder),
            Err(error) => {
                tracing::error!(camera = self.counters.camera(), %error, "no decoder for this stream");
                None
            }
        }
    }

    fn advance(&self, decoder: &mut dyn Decoder, unit: &AccessUnit, pace: &mut Pace) -> Result<(), DecodeError> {
        decoder.feed(unit)?;
        while let Some(decoded) = decoder.take()? {
            self.counters.decoded();
            self.counters.set_decoding(true);
            if let Some(glance) = pace.admit(decoded.clocks.mono, &decoded.frame, &self.counters.need()) {
                self.shared.queue.push(Job { camera: Arc::clone(&self.counters), decoded, glance });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_come_off_the_wire_or_not_at_all() {
        let wire = WireParameterSets {
            id: "00000000000000ff".into(),
            codec: "h264".into(),
            vps: vec![],
            sps: vec!["Z0I=".into()],
            pps: vec!["aM4=".into()],
            width: 64,
            height: 48,
            rfc6381: "avc1.42001f".into(),
            reorder_depth: 0,
        };
        let sets = parameter_sets(&wire).unwrap();
        assert_eq!((sets.id, sets.sps[0].as_ref()), (ParamSetId(255), &b"gB"[..]));
        for broken in [
            WireParameterSets { id: "xyz".into(), ..wire.clone() },
            WireParameterSets { codec: "mjpeg".into(), ..wire.clone() },
            WireParameterSets { sps: vec!["*".into()], ..wire },
        ] {
            assert_eq!(parameter_sets(&broken), None);
        }
    }
}
