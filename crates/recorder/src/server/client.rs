//! One connection: greeting, then what its role may ask.

use std::sync::Arc;
use std::time::Duration;

use link::message::{GATED_MAX, GatedSpec, HOLDS_MAX, HoldSpec};
use link::{Assignment, Cause, Connection, Control, LinkError, Message, ProbeReport, RangeAsk, Role, StreamSpec};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use vms_core::WallTime;

use super::admit::Refusal;
use super::range::{Form, OpenRange};
use super::stored::OpenStored;
use super::{Shared, board, ingest, keeper, live, lock, records};
use crate::{assignment, gated, holds};

/// Most rows of each kind in one page.
const PAGE_MAX: u32 = 1_000;

/// A probe that ingest does not answer in this time has failed.
const PROBE_MAX: Duration = Duration::from_secs(20);

/// Whoever waits for other alarms hears after so long that there are none: a peer that is gone must be noticed.
const ALARMS_WAIT: Duration = Duration::from_secs(5);

/// Serves an accepted connection to its end.
pub(super) async fn serve(shared: Arc<Shared>, stream: UnixStream) {
    let greeted = tokio::select! {
        greeted = link::socket::greet(stream, shared.config.origin.role(), 0) => greeted,
        () = shared.shutdown.cancelled() => return,
    };
    let connection = match greeted {
        Ok(connection) => connection,
        Err(error) => {
            tracing::debug!(%error, "a peer did not greet");
            return;
        }
    };
    let role = connection.peer;
    let outcome = match role {
        Role::Ingest => ingest::serve(&shared, connection).await,
        Role::Serve | Role::Reader | Role::Gateway => answer(&shared, connection).await,
        Role::Recorder => Err(LinkError::NotAllowed),
    };
    match outcome {
        Ok(()) | Err(LinkError::Closed) => {}
        Err(error) => tracing::info!(?role, %error, "a connection ended"),
    }
}

/// The span that is open on a connection.
enum Opened {
    Nothing,
    Range(OpenRange),
    Stored(OpenStored),
}

/// The loop of questions and answers of serve, reader and gateway.
async fn answer(shared: &Arc<Shared>, mut connection: Connection<UnixStream>) -> Result<(), LinkError> {
    let role = connection.peer;
    let mut opened = Opened::Nothing;
    loop {
        let asked = tokio::select! {
            asked = connection.receiver.recv() => asked?,
            () = shared.shutdown.cancelled() => return Ok(()),
        };
        let Message::Control(asked) = asked else { return Err(LinkError::Malformed) };
        let not_open = || Refusal::new("not_open", "nothing of this kind is open on this connection").control();
        let reply = if let Control::OpenLive { capability, stream, rendition, form } = *asked {
            opened = Opened::Nothing;
            let wanted = live::Wanted { capability, stream, rendition, form };
            live::serve(shared, &mut connection, wanted).await?;
            continue;
        } else if let Control::ReadRange { start, end } = *asked {
            if let Opened::Range(open) = &mut opened {
                open.send(&mut connection.sender, start, end).await?;
                continue;
            }
            not_open()
        } else if let Control::ReadStored { pieces, bytes } = *asked {
            if let Opened::Stored(open) = &mut opened {
                open.send(&mut connection.sender, pieces, bytes).await?;
                continue;
            }
            not_open()
        } else if let Control::Range(ask @ (RangeAsk::Parts { .. } | RangeAsk::ReadPart { .. })) = &*asked {
            if let Opened::Range(open) = &mut opened {
                open.answer(&mut connection.sender, ask).await?;
                continue;
            }
            not_open()
        } else if matches!(*asked, Control::OpenRange { .. } | Control::OpenStored { .. } | Control::Range(_)) {
            let reply;
            (opened, reply) = open(shared, role, *asked).await;
            reply
        } else if let Control::Renew { capability } = *asked {
            let renewed = match &mut opened {
                Opened::Range(open) => open.renew(&capability),
                Opened::Stored(open) => open.renew(&capability),
                Opened::Nothing => Err(Refusal::new("not_open", "nothing is open on this connection")),
            };
            renewed.map_or_else(Refusal::control, |()| Control::Done)
        } else if role == Role::Serve {
            manage(shared, *asked).await
        } else {
            Refusal::new("not_allowed", "this role may not ask that").control()
        };
        connection.sender.send(reply).await?;
    }
}

/// Opens a span in one of its two forms.
async fn open(shared: &Arc<Shared>, role: Role, asked: Control) -> (Opened, Control) {
    let outcome = if let Control::OpenRange { capability, stream, from_us, to_us } = asked {
        let open = OpenRange::open(shared, role, &capability, &stream, (from_us, to_us), Form::Whole).await;
        open.map(|open| (open.info(), Opened::Range(open)))
    } else if let Control::Range(RangeAsk::OpenPreview { capability, stream, from_us, to_us }) = asked {
        let open = OpenRange::open(shared, role, &capability, &stream, (from_us, to_us), Form::Preview).await;
        open.map(|open| (open.info(), Opened::Range(open)))
    } else if let Control::OpenStored { capability, stream, from_us, to_us, skip, after } = asked {
        let open = OpenStored::open(shared, role, &capability, &stream, (from_us, to_us), (skip, after)).await;
        open.map(|open| (open.info(), Opened::Stored(open)))
    } else {
        Err(Refusal::new("bad_request", "that opens nothing"))
    };
    match outcome {
        Ok((info, opened)) => (opened, info),
        Err(refusal) => (Opened::Nothing, refusal.control()),
    }
}

fn revoke(shared: &Shared, decision: &str) -> Control {
    match decision.parse() {
        Ok(decision) => {
            shared.admissions.revoke(decision);
            Control::Done
        }
        Err(_) => Refusal::new("bad_request", "not a decision id").control(),
    }
}

/// Questions that only `serve` may ask.
async fn manage(shared: &Arc<Shared>, asked: Control) -> Control {
    match asked {
        Control::Assign(assignment) | Control::GatewayAssign(assignment) => {
            assign(shared, assignment).await.map_or_else(Refusal::control, |()| Control::Done)
        }
        Control::Info => {
            let assignment = lock(&shared.kept).assignment.version;
            Control::RecorderInfo { seal_key: shared.seal.public_hex(), assignment }
        }
        Control::IndexSince { after, limit } => index_since(shared, after, limit).await,
        Control::AskRecords(ask) => records::answer(shared, ask).await.unwrap_or_else(Refusal::control),
        Control::Holds { holds, gated, checkpoint_us } => {
            take_told(shared, holds, gated, checkpoint_us).await.unwrap_or_else(Refusal::control)
        }
        Control::Health => health(shared).await,
        Control::AlarmsWait { known } => alarms(shared, &known).await,
        Control::Revoke { decision } => revoke(shared, &decision),
        Control::Probe { request, spec } => {
            let report = probe(shared, spec).await;
            Control::Probed { request, report }
        }
        Control::Hello { .. }
        | Control::Refused { .. }
        | Control::Done
        | Control::RecorderInfo { .. }
        | Control::IndexPage { .. }
        | Control::HealthReport { .. }
        | Control::AlarmsReport { .. }
        | Control::Probed { .. }
        | Control::IngestAssign { .. }
        | Control::Demand { .. }
        | Control::Ack { .. }
        | Control::ParameterSets { .. }
        | Control::StreamState { .. }
        | Control::Hole { .. }
        | Control::OpenLive { .. }
        | Control::Renew { .. }
        | Control::LiveInit { .. }
        | Control::LiveDrop { .. }
        | Control::LiveState { .. }
        | Control::End { .. }
        | Control::OpenRange { .. }
        | Control::RangeInfo { .. }
        | Control::Range(_)
        | Control::ReadRange { .. }
        | Control::OpenStored { .. }
        | Control::StoredInfo { .. }
        | Control::ReadStored { .. }
        | Control::StoredSegment(_)
        | Control::StoredFrames(_)
        | Control::StoredGap(_)
        | Control::Records(_)
        | Control::StoredMore
        | Control::StoredEnd
        | Control::ReaderAssign { .. }
        | Control::ReadsSince { .. }
        | Control::Read(_)
        | Control::ReadsAck { .. }
        | Control::Picture { .. }
        | Control::Still(_)
        | Control::StillOf { .. }
        | Control::ReaderHealth
        | Control::HoldsReport { .. }
        | Control::ReaderReport { .. } => Refusal::new("bad_request", "a recorder does not answer this").control(),
    }
}

async fn index_since(shared: &Arc<Shared>, after: u64, limit: u32) -> Control {
    // What is known now shall be in the answer. Whoever asks for what follows has everything before, on its disk.
    keeper::flush_index(shared).await;
    lock(&shared.board).carried.index = after;
    match shared.index.since(after, limit.clamp(1, PAGE_MAX)).await {
        Ok((segments, gaps, cursor)) => {
            lock(&shared.index_health).answered();
            Control::IndexPage { segments, gaps, cursor }
        }
        Err(error) => {
            lock(&shared.index_health).silent(shared.clock.mono());
            metrics::counter!("recorder_index_errors_total").increment(1);
            tracing::error!(error = %error.in_full(), "the index could not be read");
            Refusal::new("unavailable", &error.to_string()).control()
        }
    }
}

async fn assign(shared: &Arc<Shared>, assignment: Assignment) -> Result<(), Refusal> {
    let next = {
        let kept = lock(&shared.kept);
        if assignment.version < kept.assignment.version {
            return Err(Refusal::new("stale", "a newer assignment is in force"));
        }
        let shards = assignment::split(&assignment.streams, &kept.shards);
        assignment::Kept { assignment, shards }
    };
    let path = shared.config.dir.join("assignment.json");
    let to_save = next.clone();
    let saved = tokio::task::spawn_blocking(move || to_save.save(&path)).await;
    match saved {
        Ok(Ok(())) => {
            *lock(&shared.kept) = next;
            shared.apply();
            Ok(())
        }
        Ok(Err(error)) => Err(Refusal::new("disk", &error.to_string())),
        Err(error) => Err(Refusal::new("disk", &error.to_string())),
    }
}

/// Keeps the holds on disk; the sweeping task carries them out before it destroys anything.
async fn take_holds(shared: &Arc<Shared>, holds: Vec<HoldSpec>) -> Result<Control, Refusal> {
    if holds.len() > HOLDS_MAX {
        return Err(Refusal::new("bad_request", "too many holds"));
    }
    let rows = lock(&shared.holds).rows();
    if lock(&shared.holds).has(&holds) {
        return Ok(Control::HoldsReport { rows, gated: shared.vault.gated_rows() });
    }
    let path = shared.config.dir.join(holds::FILE);
    let saving = tokio::task::spawn_blocking(move || holds::save(&path, &holds).map(|()| holds));
    let kept = saving.await.map_err(|error| Refusal::new("disk", &error.to_string()))?;
    let kept = kept.map_err(|error| Refusal::new("disk", &error.to_string()))?;
    lock(&shared.holds).replace(kept);
    Ok(Control::HoldsReport { rows, gated: shared.vault.gated_rows() })
}

/// What is told with every copy of the index: holds, decisions of the magistrate's gate, and what time the log knows.
async fn take_told(
    shared: &Arc<Shared>,
    holds: Vec<HoldSpec>,
    gated: Option<Vec<GatedSpec>>,
    checkpoint_us: Option<i64>,
) -> Result<Control, Refusal> {
    if let Some(at) = checkpoint_us {
        shared.trust.note_checkpoint(WallTime::from_micros(at));
    }
    take_gated(shared, gated).await?;
    take_holds(shared, holds).await
}

/// Keeps the decisions of the magistrate's gate on disk, before the sweep that follows them.
async fn take_gated(shared: &Arc<Shared>, specs: Option<Vec<GatedSpec>>) -> Result<(), Refusal> {
    let Some(specs) = specs else { return Ok(()) };
    if specs.len() > GATED_MAX {
        return Err(Refusal::new("bad_request", "too many decisions"));
    }
    if shared.vault.decisions().has(&specs) {
        return Ok(());
    }
    let path = shared.config.dir.join(gated::FILE);
    let saving = tokio::task::spawn_blocking(move || {
        let decisions = gated::Decisions::new(specs);
        decisions.save(&path).map(|()| decisions)
    });
    let kept = saving.await.map_err(|error| Refusal::new("disk", &error.to_string()))?;
    shared.vault.decide(kept.map_err(|error| Refusal::new("disk", &error.to_string()))?);
    Ok(())
}

async fn health(shared: &Arc<Shared>) -> Control {
    let mut streams: Vec<_> = shared.all_hubs().iter().map(|hub| hub.health()).collect();
    streams.sort_by(|one, other| one.stream.cmp(&other.stream));
    let disk_used = shared.index.bytes().await.unwrap_or(0).saturating_add(shared.catalogue.unflushed_bytes());
    let media = shared.config.media();
    let free = tokio::task::spawn_blocking(move || crate::disk::volume::free_bytes(&media)).await;
    let disk_free = free.ok().flatten().unwrap_or(0);
    let disk_cap = shared.config.disk_cap_bytes.unwrap_or_else(|| disk_used.saturating_add(disk_free));
    let storage = storage(shared);
    Control::HealthReport { streams, disk_free, disk_used, disk_cap, storage }
}

/// Clock, terms and room; touches no disk.
fn storage(shared: &Shared) -> link::message::StorageHealth {
    let gate = board::gate_words(shared);
    let board = lock(&shared.board);
    let words = [super::room::words(board.admission.as_ref()), gate];
    let words: Vec<String> = words.into_iter().flatten().collect();
    link::message::StorageHealth {
        alarms: board.alarms(),
        rung: board.room.rung.as_str().to_owned(),
        headroom_s: board.room.headroom.map(|span| span.as_secs()),
        spares: board.room.spares,
        detail: (!words.is_empty()).then(|| words.join("; ")),
    }
}

/// Answers when the alarms are others than `known`, or after a while.
async fn alarms(shared: &Arc<Shared>, known: &[String]) -> Control {
    let mut changes = lock(&shared.board).follow();
    let differ = async {
        while lock(&shared.board).alarms() == known {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    drop(tokio::time::timeout(ALARMS_WAIT, differ).await);
    Control::AlarmsReport { storage: storage(shared) }
}

/// Hands a probe to an ingest process of the right kind; the credentials travel opened, in the field of the sealed ones.
async fn probe(shared: &Arc<Shared>, mut spec: StreamSpec) -> ProbeReport {
    let failed = |detail: &str| ProbeReport {
        ok: false,
        cause: Some(Cause::Unsupported),
        detail: detail.to_owned(),
        codec: None,
        width: None,
        height: None,
        first_key_ms: None,
        offers_audio: false,
    };
    if let Some(sealed) = &spec.sealed_credentials {
        match shared.seal.open_credentials(sealed) {
            Ok((user, password)) => spec.sealed_credentials = Some(format!("{user}:{password}")),
            Err(_) => return failed("the credentials are not sealed to this recorder"),
        }
    }
    let gst = spec.transport != link::TransportKind::Retina;
    let link = {
        let shards = lock(&shared.shards);
        let fits = shards.iter().find(|(shard, _)| (**shard >= assignment::GST_SHARD_FIRST) == gst);
        fits.map(|(_, link)| link.clone())
    };
    let Some(link) = link else { return failed("no ingest process of this kind is connected") };
    let request = shared.number();
    let (to, answer) = oneshot::channel();
    lock(&shared.probes).insert(request, to);
    let sent = link.to.send(Control::Probe { request, spec }).await.is_ok();
    let report = if sent { tokio::time::timeout(PROBE_MAX, answer).await.ok().and_then(Result::ok) } else { None };
    lock(&shared.probes).remove(&request);
    report.unwrap_or_else(|| failed("the ingest process did not answer"))
}
