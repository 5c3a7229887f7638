//! `reader.sock`: what `serve` asks of the reader.

use std::collections::BTreeSet;
use std::sync::Arc;

use link::{Connection, Control, LinkError, LinkListener, Message, ReaderCamera, Role};
use policy::{Audience, CapabilityError};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::shared::{Assigned, Shared};
use super::{Counters, camera, picture, still};
use crate::spool::{Spool, SpoolError};

/// Reads of one answer at most, whatever was asked for: bounds the memory of one request.
const READS_MAX: u32 = 64;

/// Cameras that one reader takes at most; more are refused, not forgotten.
const CAMERAS_MAX: usize = 512;

/// Serves until the role stops.
pub(super) async fn serve(listener: LinkListener, shared: Arc<Shared>, tracker: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                let (shared, inner) = (Arc::clone(&shared), tracker.clone());
                tracker.spawn(async move {
                    let stop = shared.stop.clone();
                    let ended = tokio::select! {
                        () = stop.cancelled() => Ok(()),
                        ended = attend(stream, &shared, &inner) => ended,
                    };
                    match ended {
                        Ok(()) | Err(LinkError::Closed) => {}
                        Err(error) => tracing::warn!(%error, "a peer of the reader was dropped"),
                    }
                });
            }
            Err(error) => tracing::warn!(%error, "a peer was not let in"),
        }
    }
}

async fn attend(stream: UnixStream, shared: &Arc<Shared>, tracker: &TaskTracker) -> Result<(), LinkError> {
    let mut peer = link::socket::greet(stream, Role::Reader, 0).await?;
    if peer.peer != Role::Serve {
        return Err(LinkError::NotAllowed);
    }
    loop {
        let request = peer.receiver.recv_control().await?;
        answer(&mut peer, request, shared, tracker).await?;
    }
}

async fn answer(
    peer: &mut Connection<UnixStream>,
    request: Control,
    shared: &Arc<Shared>,
    tracker: &TaskTracker,
) -> Result<(), LinkError> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other message is refused in the same words")]
    match request {
        Control::ReaderAssign { cameras } if cameras.len() <= CAMERAS_MAX => {
            assign(shared, tracker, cameras);
            peer.sender.send(Control::Done).await
        }
        Control::ReadsSince { capability, after, limit } => match opens_spool(shared, &capability) {
            Ok(()) => reads_since(peer, shared, after, limit).await,
            Err(error) => refuse_spool(peer, error).await,
        },
        Control::ReadsAck { capability, upto } => match opens_spool(shared, &capability) {
            Ok(()) => match with_spool(shared, move |spool| spool.ack(upto)).await {
                Some(()) => peer.sender.send(Control::Done).await,
                None => refuse(peer, "spool", "the spool did not take the acknowledgement").await,
            },
            Err(error) => refuse_spool(peer, error).await,
        },
        Control::Picture { capability, source, stream } => {
            match picture::make(shared, &capability, source, &stream).await {
                Ok(jpeg) => peer.sender.send(Message::Bytes(jpeg)).await,
                Err(refusal) => {
                    tracing::info!(stream, code = refusal.code, "a coarse picture was refused");
                    refuse(peer, refusal.code, &refusal.detail).await
                }
            }
        }
        Control::Still(ask) => {
            let stream = ask.stream.clone();
            match still::make(shared, ask).await {
                Ok((at, jpeg)) => {
                    peer.sender.push(&Control::StillOf { at_us: at.micros }.into());
                    peer.sender.send(Message::Bytes(jpeg)).await
                }
                Err(refusal) => {
                    tracing::info!(stream, code = refusal.code, "a masked still was refused");
                    refuse(peer, refusal.code, &refusal.detail).await
                }
            }
        }
        Control::ReaderHealth => {
            let report = report(shared).await;
            peer.sender.send(report).await
        }
        _ => refuse(peer, "not_for_the_reader", "the reader does not answer this").await,
    }
}

/// Plates and pictures leave, and are forgotten, under a permit of the gate only: being a process of the same user is not enough.
fn opens_spool(shared: &Shared, capability: &str) -> Result<(), CapabilityError> {
    shared.verifier.open(capability, Audience::Reader, (shared.host.wall)())?.covers_reads()
}

async fn refuse_spool(peer: &mut Connection<UnixStream>, error: CapabilityError) -> Result<(), LinkError> {
    tracing::warn!(code = error.code(), "the reads in the spool were refused");
    refuse(peer, error.code(), &error.to_string()).await
}

async fn refuse(peer: &mut Connection<UnixStream>, code: &str, detail: &str) -> Result<(), LinkError> {
    peer.sender.send(Control::Refused { code: code.to_owned(), detail: detail.to_owned() }).await
}

async fn reads_since(
    peer: &mut Connection<UnixStream>,
    shared: &Arc<Shared>,
    after: u64,
    limit: u32,
) -> Result<(), LinkError> {
    let limit = crate::num::wide(limit.min(READS_MAX));
    let Some(reads) = with_spool(shared, move |spool| spool.since(after, limit)).await else {
        return refuse(peer, "spool", "the spool could not be read").await;
    };
    for read in reads {
        peer.sender.push(&Control::Read(read.row).into());
        peer.sender.push(&Message::Bytes(read.crop));
        peer.sender.push(&Message::Bytes(read.overview));
        peer.sender.flush().await?;
    }
    peer.sender.send(Control::Done).await
}

/// Runs file work where blocking is allowed; `None` when it failed, which is logged here.
async fn with_spool<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&mut Spool) -> Result<T, SpoolError> + Send + 'static,
) -> Option<T> {
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || work(&mut shared.spool())).await;
    match done {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "the spool failed");
            None
        }
        Err(error) => {
            tracing::error!(%error, "the spool's work broke");
            None
        }
    }
}

async fn report(shared: &Arc<Shared>) -> Control {
    let spooled = with_spool(shared, |spool| Ok(spool.waiting())).await.unwrap_or(0);
    let cameras = shared.cameras();
    let figures = |(camera, assigned): (&String, &Assigned)| {
        let (decoded, skipped, reads, decoding) = assigned.counters.figures();
        (camera.clone(), decoded, skipped, reads, decoding)
    };
    let clock = |(camera, assigned): (&String, &Assigned)| assigned.counters.clock().report(camera);
    let (clocks, problem) = (cameras.iter().filter_map(clock).collect(), shared.problem().clone());
    Control::ReaderReport { cameras: cameras.iter().map(figures).collect(), spooled, problem, clocks }
}

/// Stops what is gone, renews what stays, starts what is new.
fn assign(shared: &Arc<Shared>, tracker: &TaskTracker, wanted: Vec<ReaderCamera>) {
    let mut cameras = shared.cameras();
    let names: BTreeSet<&str> = wanted.iter().map(|camera| camera.camera.as_str()).collect();
    cameras.retain(|name, assigned| {
        let stays = names.contains(name.as_str());
        if !stays {
            assigned.stop.cancel();
        }
        stays
    });
    for fresh in wanted {
        match cameras.get(&fresh.camera) {
            Some(assigned) if assigned.counters.stream() == fresh.stream && same_rate(assigned, &fresh) => {
                assigned.camera.send_if_modified(|held| {
                    let changed = *held != fresh;
                    *held = fresh;
                    changed
                });
            }
            Some(_) | None => {
                let (name, assigned) = start(shared, tracker, fresh);
                if let Some(before) = cameras.insert(name, assigned) {
                    before.stop.cancel();
                }
            }
        }
    }
}

fn same_rate(assigned: &Assigned, fresh: &ReaderCamera) -> bool {
    assigned.camera.borrow().rate_max == fresh.rate_max
}

fn start(shared: &Arc<Shared>, tracker: &TaskTracker, fresh: ReaderCamera) -> (String, Assigned) {
    let counters = Arc::new(Counters::new(&fresh.camera, &fresh.stream));
    let stop = shared.stop.child_token();
    let name = fresh.camera.clone();
    let (sender, receiver) = watch::channel(fresh);
    let (shared, held, token, inner) = (Arc::clone(shared), Arc::clone(&counters), stop.clone(), tracker.clone());
    tracker.spawn(camera::keep(shared, held, receiver, token, inner));
    (name, Assigned { counters, camera: sender, stop })
}
