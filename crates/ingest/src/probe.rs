//! A one-off look at a camera: can it be reached, does it let us in, what does it send. Nothing is kept.

use std::time::Duration;

use link::{Cause, ProbeReport};
use vms_core::MonoTime;

use crate::drive::{cause_of, refusal_reason};
use crate::guard::UrlGuard;
use crate::ports::Ports;
use crate::role::Talk;
use crate::transport::{Credentials, Dial, Event, Failure, SessionInfo, Transport, next_event};
use crate::unit::{Arrival, Assembled, Assembler};

/// Longest probe, look-up to key frame.
pub const PROBE_MAX: Duration = Duration::from_secs(15);

/// What a probe has found so far.
#[derive(Debug, Default)]
struct Found {
    info: Option<SessionInfo>,
    size: Option<(u16, u16)>,
}

/// Connects, waits for the first key frame, hangs up.
pub async fn probe(
    url: &str,
    credentials: Option<Credentials>,
    guard: &UrlGuard,
    mut transport: Box<dyn Transport>,
    ports: &Ports,
) -> ProbeReport {
    let _talk = Talk::begin();
    let started = ports.clock.mono();
    let mut found = Found::default();
    let looking = look(url, credentials, guard, transport.as_mut(), ports, &mut found);
    let outcome = match tokio::time::timeout(PROBE_MAX, looking).await {
        Ok(outcome) => outcome,
        Err(_) if found.info.is_some() => {
            Err(Failure::new(Cause::NoKeyFrame, "the camera is connected, but no key frame came"))
        }
        Err(_) => Err(Failure::new(Cause::Unreachable, "the camera did not answer in time")),
    };
    transport.disconnect();
    report(outcome, started, &found)
}

fn report(outcome: Result<MonoTime, Failure>, started: MonoTime, found: &Found) -> ProbeReport {
    let (cause, detail, first_key_ms) = match outcome {
        Ok(at) => {
            let took = at.micros.saturating_sub(started.micros) / 1000;
            (None, "a key frame arrived".to_owned(), Some(u32::try_from(took).unwrap_or(u32::MAX)))
        }
        Err(failure) => (Some(failure.cause), failure.detail, None),
    };
    ProbeReport {
        ok: cause.is_none(),
        cause,
        detail,
        codec: found.info.as_ref().map(|info| info.codec.to_string()),
        width: found.size.map(|(width, _)| width),
        height: found.size.map(|(_, height)| height),
        first_key_ms,
        offers_audio: found.info.as_ref().is_some_and(|info| info.offers_audio),
    }
}

async fn look(
    url: &str,
    credentials: Option<Credentials>,
    guard: &UrlGuard,
    transport: &mut dyn Transport,
    ports: &Ports,
    found: &mut Found,
) -> Result<MonoTime, Failure> {
    let url = guard
        .pin(url, ports.resolver.as_ref())
        .await
        .map_err(|refusal| Failure::new(cause_of(refusal_reason(refusal)), refusal.to_string()))?;
    transport.connect(Dial { url, credentials, connect_max: PROBE_MAX });
    let mut assembler = None;
    loop {
        match next_event(transport).await {
            Event::Connected(info) => {
                assembler = Some(Assembler::new(info.clone(), ports.clock.mono(), 0, Duration::ZERO));
                found.info = Some(info);
            }
            Event::Frame(frame) => {
                let mono = ports.clock.mono();
                let arrival = Arrival { mono, wall: ports.clock.wall(), gathered: Duration::ZERO };
                if let Some(Assembled::Unit(_, sets)) = assembler.as_mut().map(|a| a.frame(frame, arrival)) {
                    found.size = Some((sets.width, sets.height));
                    return Ok(mono);
                }
            }
            Event::SenderReport { .. } => {}
            Event::Lost(failure) => return Err(failure),
        }
    }
}
