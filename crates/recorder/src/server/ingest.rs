//! One ingest process: its orders out, its units in.

use std::sync::Arc;

use link::{Connection, Control, LinkError, Message, WireParameterSets};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use vms_core::StreamId;

use super::{ShardLink, Shared, TO_INGEST_MAX, lock};
use crate::disk::AckBoard;
use crate::hub::Hub;

/// Acknowledgements and orders written before one flush.
type Sender = link::codec::Sender<UnixStream>;

/// Serves one ingest connection to its end.
pub(super) async fn serve(shared: &Arc<Shared>, connection: Connection<UnixStream>) -> Result<(), LinkError> {
    let shard = connection.instance;
    let (to, orders) = mpsc::channel(TO_INGEST_MAX);
    let number = shared.number();
    // A process that came back takes the place of its dead forerunner.
    lock(&shared.shards).insert(shard, ShardLink { number, to });
    tracing::info!(shard, "an ingest process connected");
    let outcome = Box::pin(talk(shared, connection, orders)).await;
    let mut shards = lock(&shared.shards);
    let is_newest = shards.get(&shard).is_some_and(|link| link.number == number);
    if is_newest {
        shards.remove(&shard);
    }
    drop(shards);
    if is_newest {
        for hub in hubs_of(shared, shard) {
            hub.ingest_lost();
        }
        tracing::warn!(shard, "an ingest process is gone");
    }
    outcome
}

fn hubs_of(shared: &Arc<Shared>, shard: u32) -> Vec<Arc<Hub>> {
    let streams: Vec<StreamId> = {
        let kept = lock(&shared.kept);
        kept.of_shard(shard).iter().filter_map(|spec| spec.stream.parse().ok()).collect()
    };
    streams.into_iter().filter_map(|stream| shared.hub(stream)).collect()
}

async fn talk(
    shared: &Arc<Shared>,
    connection: Connection<UnixStream>,
    mut orders: mpsc::Receiver<Control>,
) -> Result<(), LinkError> {
    let Connection { mut receiver, mut sender, instance: shard, .. } = connection;
    let acks = Arc::new(AckBoard::default());
    let mut assigned = shared.assigned.subscribe();
    assigned.borrow_and_update();
    send_assignment(shared, &mut sender, shard).await?;
    loop {
        tokio::select! {
            message = receiver.recv() => {
                take(shared, shard, message?, &acks)?;
                // What came in the same reading: at most its buffer, so nobody waits for long.
                while let Some(message) = receiver.recv_ready()? {
                    take(shared, shard, message, &acks)?;
                }
            }
            posted = acks.wait() => {
                for (stream, epoch, seq) in posted {
                    let ack = Control::Ack { stream: stream.to_string(), epoch, seq };
                    sender.push(&ack.into());
                }
                sender.flush().await?;
            }
            order = orders.recv() => match order {
                Some(order) => sender.send(order).await?,
                // Replaced by a newer connection of the same process number.
                None => return Ok(()),
            },
            changed = assigned.changed() => {
                if changed.is_ok() {
                    send_assignment(shared, &mut sender, shard).await?;
                }
            }
            () = shared.shutdown.cancelled() => return Ok(()),
        }
    }
}

async fn send_assignment(shared: &Arc<Shared>, sender: &mut Sender, shard: u32) -> Result<(), LinkError> {
    let order = {
        let kept = lock(&shared.kept);
        let mut streams = Vec::new();
        let mut credentials = Vec::new();
        for spec in kept.of_shard(shard) {
            let opened = spec.sealed_credentials.as_ref().map(|sealed| shared.seal.open_credentials(sealed));
            let opened = match opened {
                None => None,
                Some(Ok(pair)) => Some(pair),
                Some(Err(_)) => {
                    tracing::error!(stream = %spec.stream, "the credentials are not sealed to this recorder");
                    None
                }
            };
            let mut spec = spec.clone();
            spec.sealed_credentials = None;
            streams.push(spec);
            credentials.push(opened);
        }
        Control::IngestAssign {
            version: kept.assignment.version,
            streams,
            credentials,
            allowed_networks: kept.assignment.allowed_networks.clone(),
            allowed_ports: kept.assignment.allowed_ports.clone(),
        }
    };
    sender.push(&order.into());
    for hub in hubs_of(shared, shard) {
        if hub.is_demanded() {
            sender.push(&Control::Demand { stream: hub.stream().to_string(), on: true }.into());
        }
    }
    sender.flush().await
}

fn take(shared: &Arc<Shared>, shard: u32, message: Message, acks: &Arc<AckBoard>) -> Result<(), LinkError> {
    match message {
        Message::Unit(stream, unit) => {
            if let Some(hub) = shared.hub(stream) {
                metrics::counter!("recorder_units_total").increment(1);
                hub.unit(unit, shared.clock.mono(), acks);
            }
            Ok(())
        }
        Message::Control(control) => {
            take_control(shared, *control);
            Ok(())
        }
        Message::Bytes(_) | Message::Fragment(_) => {
            tracing::warn!(shard, "an ingest process sent what is not its to send");
            Err(LinkError::Malformed)
        }
    }
}

fn take_sets(hub: &Hub, stream: &str, sets: &WireParameterSets) {
    match sets.read() {
        Some(sets) => hub.parameter_sets(Arc::new(sets)),
        None => tracing::warn!(%stream, "parameter sets of no use"),
    }
}

fn take_control(shared: &Arc<Shared>, control: Control) {
    let with = |stream: &str, act: &dyn Fn(&Hub)| {
        if let Some(hub) = stream.parse().ok().and_then(|stream| shared.hub(stream)) {
            act(&hub);
        }
    };
    match control {
        Control::ParameterSets { stream, sets } => with(&stream, &|hub| take_sets(hub, &stream, &sets)),
        Control::StreamState { stream, phase, cause, .. } => with(&stream, &|hub| hub.phase(phase, cause)),
        Control::Hole { stream, cause, .. } => with(&stream, &|hub| hub.hole(cause)),
        Control::Probed { request, report } => {
            if let Some(waiting) = lock(&shared.probes).remove(&request) {
                waiting.send(report).ok();
            }
        }
        Control::Hello { .. }
        | Control::Refused { .. }
        | Control::Done
        | Control::Assign(_)
        | Control::Info
        | Control::RecorderInfo { .. }
        | Control::IndexSince { .. }
        | Control::IndexPage { .. }
        | Control::Health
        | Control::HealthReport { .. }
        | Control::Revoke { .. }
        | Control::Probe { .. }
        | Control::IngestAssign { .. }
        | Control::Demand { .. }
        | Control::Ack { .. }
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
        | Control::AskRecords(_)
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
        | Control::Holds { .. }
        | Control::AlarmsWait { .. }
        | Control::AlarmsReport { .. }
        | Control::HoldsReport { .. }
        | Control::ReaderReport { .. }
        | Control::GatewayAssign(_) => {
            tracing::debug!("an ingest process sent a message that a recorder does not know");
        }
    }
}
