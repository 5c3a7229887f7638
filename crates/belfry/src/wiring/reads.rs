//! Plate reads: keeps the reader told, pulls its spool, runs the batches of the low-emission zone.
//!
//! Six reconcilers, so that a registry that hangs holds up no read and a reader that is away holds up no decision.

mod registry_port;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use link::message::{CameraClockRow, ClockRow, ReadRow, ReaderCamera};
use link::{Connection, Control, Message, Role};
use recorder::trust::{GuardedClock, Held};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_app::UseCases;
use vms_app::cases::Extensions;
use vms_app::clock_ports::OWN_SOURCE;
use vms_app::gate::Gate;
use vms_app::lez::ReadService;
use vms_app::lez::reads::ReadMarks;
use vms_app::lez::service::{BatchSettings, ReaderGrant};
use vms_app::lez_ports::{ClockSpan, Direction, LezStore, NewRead, ReadClock, ReadFacts, ReadFrom, VehicleRegistry};
use vms_app::ports::Stores;
use vms_core::{Confidence, Country, Plate, WallTime};
use vms_store::{KeyAccess, LezVault, Store};

use self::registry_port::RegistryPort;
use super::copiers::every;
use super::read_keys;
use super::system::{SystemClock, SystemRandom};
use crate::config::{Config, Traffic};
use crate::keys::secret_32;

/// Reads of one delivery: with two pictures of at most 512 KiB each they stay below 64 MiB in memory.
const PAGE: u32 = 64;
/// Pages of one round: a new assignment does not wait for a full spool to be empty.
const PAGES: u32 = 256;
/// A reader that does not answer in this time is taken for dead.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// What the use cases get: the store of reads under the root secret in the state folder, and marks on timelines.
pub(crate) fn extensions(
    state: &Path,
    traffic: &Traffic,
    store: &Store,
    stores: Arc<dyn Stores>,
    gate: Arc<Gate>,
    keys: Arc<dyn KeyAccess>,
) -> anyhow::Result<Extensions> {
    let root = secret_32(&state.join("keys").join("reads.key")).context("the root secret of reads")?;
    let vault = Arc::new(LezVault::new(store.clone(), root, Arc::new(SystemRandom), keys));
    let fines = super::fines::parts(state, Arc::clone(&vault) as _)?;
    let traffic = super::traffic::parts(traffic, Arc::clone(&vault) as _)?;
    let vault: Arc<dyn LezStore> = vault;
    let marks = ReadMarks::new(stores, Arc::clone(&vault), gate);
    Ok(Extensions {
        timeline_marks: Some(Arc::new(marks)),
        lez: Some(vault),
        fines: Some(fines),
        traffic: Some(traffic),
        ..Extensions::default()
    })
}

/// Starts the reconcilers of reads.
pub(crate) fn spawn(
    config: &Config,
    cases: &Arc<UseCases>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let port = match config.registry.url.as_str() {
        "" => None,
        url => Some(Arc::new(RegistryPort::new(url)?)),
    };
    let registry = port.clone().map(|port| port as Arc<dyn VehicleRegistry>);
    let settings = BatchSettings {
        wait: Duration::from_secs(u64::from(config.registry.batch_wait_s)),
        retry: Duration::from_secs(15),
        retry_max: Duration::from_secs(600),
        later: Duration::from_secs(3_600),
    };
    let service = ReadService::new(Arc::clone(cases), registry, settings).context("the reading service")?;
    let service = match port {
        Some(port) => service.with_holders(port),
        None => service,
    };
    let service = Arc::new(service);
    let second = Duration::from_secs(1);
    if config.reader.enabled {
        let link = ReaderLink::new(Arc::clone(&service), config.socket("reader"), config.reader.rate_max);
        let link = Arc::new(link);
        tasks.spawn(every("reader", second, stop.clone(), move || {
            let link = Arc::clone(&link);
            async move { link.round().await }
        }));
    }
    if let Some(mqtt) = &config.reads.mqtt {
        super::mqtt::spawn(mqtt, cases, tasks, stop)?;
    }
    deciding(&service, tasks, stop);
    erasing(config, cases, &service, tasks, stop)
}

/// What stays past its term goes behind the gate, and what is past its term goes, by a trusted clock.
fn erasing(
    config: &Config,
    cases: &Arc<UseCases>,
    service: &Arc<ReadService>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").context("the boot of this host")?;
    let dir = read_keys::reads_dir(config);
    let clock = GuardedClock::open(Arc::new(SystemClock), &dir, &boot).with_context(|| dir.display().to_string())?;
    let (clock, cases, service) = (Arc::new(clock), Arc::clone(cases), Arc::clone(service));
    tasks.spawn(every("erasing of reads", Duration::from_secs(1), stop.clone(), move || {
        let (cases, service) = (Arc::clone(&cases), Arc::clone(&service));
        let checked = clock.look();
        async move {
            metrics::gauge!("belfry_reads_sweep_held").set(f64::from(u8::from(checked.now.is_err())));
            match checked.now {
                Ok(_) => {}
                Err(Held::Untrusted) => anyhow::bail!("nobody vouches for the wall clock, so no read is erased"),
                Err(Held::Stepped) => anyhow::bail!(
                    "the wall clock moved against the monotonic clock, so no read is erased: set it right, or, when it is right, two people \
                     say `belfry keys --of reads approve-clock`"
                ),
            }
            let waits = service.sweep().await?;
            metrics::gauge!("belfry_reads_batch_waits").set(f64::from(u8::from(waits.is_some())));
            let alarms = cases.reads_alarms();
            let is_on = |word: &str| f64::from(u8::from(alarms.iter().any(|alarm| alarm == word)));
            metrics::gauge!("belfry_reads_gate_waits").set(is_on("reads_gate_waits"));
            metrics::gauge!("belfry_reads_damaged").set(is_on("reads_damaged"));
            if let Some(until_hour) = waits {
                anyhow::bail!(
                    "reads and findings of more than 36 hours of ends are due: nothing is erased before two people say \
                     `belfry keys --of reads approve --until-hour {until_hour}`"
                );
            }
            Ok(())
        }
    }));
    Ok(())
}

/// Batches of the low-emission zone, passages of zones and stretches, the index of plates: a reconciler each.
fn deciding(service: &Arc<ReadService>, tasks: &TaskTracker, stop: &CancellationToken) {
    let second = Duration::from_secs(1);
    let batch = Arc::clone(service);
    tasks.spawn(every("lez batch", second, stop.clone(), move || {
        let batch = Arc::clone(&batch);
        async move {
            // A backlog is worked off without a pause between its batches.
            loop {
                let round = batch.decide_round().await?;
                metrics::gauge!("belfry_lez_reads_waiting")
                    .set(f64::from(u32::try_from(round.waiting).unwrap_or(u32::MAX)));
                for (outcome, count) in round.decided {
                    metrics::counter!("belfry_lez_reads_decided_total", "outcome" => outcome).increment(count);
                }
                if !round.has_more {
                    return Ok(());
                }
            }
        }
    }));
    let passages = Arc::clone(service);
    tasks.spawn(every("passages", second, stop.clone(), move || {
        let passages = Arc::clone(&passages);
        async move {
            for (purpose, round) in [("zbt", passages.zone_round().await?), ("trajectory", passages.run_round().await?)]
            {
                metrics::gauge!("belfry_passages_waiting", "purpose" => purpose)
                    .set(f64::from(u32::try_from(round.waiting).unwrap_or(u32::MAX)));
                for (outcome, count) in round.decided {
                    metrics::counter!("belfry_passages_decided_total", "purpose" => purpose, "outcome" => outcome)
                        .increment(count);
                }
            }
            Ok(())
        }
    }));
    let holders = Arc::clone(service);
    tasks.spawn(every("holders", second, stop.clone(), move || {
        let holders = Arc::clone(&holders);
        async move {
            let round = holders.holder_round().await?;
            metrics::counter!("belfry_holders_answered_total").increment(round.answered);
            metrics::gauge!("belfry_holders_waiting").set(f64::from(u32::try_from(round.waiting).unwrap_or(u32::MAX)));
            Ok(())
        }
    }));
    let packing = Arc::clone(service);
    tasks.spawn(every("index of plates", second, stop.clone(), move || {
        let packing = Arc::clone(&packing);
        async move {
            let packed = packing.pack().await?;
            metrics::counter!("belfry_plates_packed_total").increment(packed.reads);
            Ok(())
        }
    }));
}

struct Told {
    connection: Connection<UnixStream>,
    grants: Vec<ReaderGrant>,
    problem: Option<String>,
}

/// Keeps one reader told and its spool emptied.
pub(crate) struct ReaderLink {
    service: Arc<ReadService>,
    socket: PathBuf,
    rate_max: u8,
    told: tokio::sync::Mutex<Option<Told>>,
}

impl std::fmt::Debug for ReaderLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReaderLink").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl ReaderLink {
    pub(crate) fn new(service: Arc<ReadService>, socket: PathBuf, rate_max: u8) -> Self {
        Self { service, socket, rate_max, told: tokio::sync::Mutex::new(None) }
    }

    /// One round: assignment when it changed or the reader is new, then every read that waits in its spool.
    pub(crate) async fn round(&self) -> anyhow::Result<()> {
        let mut slot = self.told.lock().await;
        let mut told = match slot.take() {
            Some(told) => told,
            None => {
                let connection =
                    link::connect(&self.socket, Role::Serve, 0, Role::Reader).await.context("connecting")?;
                Told { connection, grants: Vec::new(), problem: None }
            }
        };
        in_time(self.assign(&mut told)).await?;
        // Each page has its own time: a full spool takes longer than one answer may.
        for _ in 0..PAGES {
            if !in_time(self.pull(&mut told.connection)).await? {
                break;
            }
        }
        let clocks = in_time(health(&mut told)).await?;
        self.service.clocks(&clocks).await?;
        *slot = Some(told);
        Ok(())
    }

    async fn assign(&self, told: &mut Told) -> anyhow::Result<()> {
        let grants = self.service.grants().await?;
        if grants == told.grants {
            return Ok(());
        }
        let cameras = grants.iter().map(|grant| ReaderCamera {
            camera: grant.camera.to_string(),
            stream: grant.stream.to_string(),
            purposes: grant.purposes.iter().map(|purpose| purpose.as_str().to_owned()).collect(),
            capability: grant.capability.clone(),
            region: None,
            rate_max: self.rate_max,
        });
        done(told.connection.ask(Control::ReaderAssign { cameras: cameras.collect() }).await?, "its assignment")?;
        tracing::info!(cameras = grants.len(), "assignment handed over to the reader");
        told.grants = grants;
        Ok(())
    }

    /// One page: pull, keep durably, and only then acknowledge. Whether there may be more.
    async fn pull(&self, connection: &mut Connection<UnixStream>) -> anyhow::Result<bool> {
        // Acknowledged reads are gone from the spool, so from 0 on means: all that is not durable here.
        let capability = self.service.reads_capability().await?;
        connection.sender.send(Control::ReadsSince { capability, after: 0, limit: PAGE }).await?;
        let (mut reads, mut upto, mut count) = (Vec::new(), None, 0_u32);
        loop {
            let answer = connection.receiver.recv_control().await?;
            let Control::Read(row) = answer else {
                done(answer, "to give reads")?;
                break;
            };
            let crop = picture(connection, row.crop_len).await?;
            let overview = picture(connection, row.overview_len).await?;
            (upto, count) = (upto.max(Some(row.spool)), count + 1);
            match new_read(&row, crop, overview) {
                Some(read) => reads.push(read),
                // It will not read better next time: it is acknowledged with the others.
                None => tracing::error!(read = row.read, "a read from the reader was malformed and is dropped"),
            }
        }
        let Some(upto) = upto else { return Ok(false) };
        let taken = self.service.take(reads).await?;
        if taken.not_assigned + taken.too_late > 0 {
            tracing::warn!(taken.not_assigned, taken.too_late, "reads were dropped");
        }
        // A fresh one: keeping the page may have outlasted the first.
        let capability = self.service.reads_capability().await?;
        done(connection.ask(Control::ReadsAck { capability, upto }).await?, "an acknowledgement")?;
        Ok(count >= PAGE)
    }
}

/// What a reader that lives does in [`ANSWER_MAX`].
async fn in_time<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(ANSWER_MAX, work).await.context("the reader does not answer")?
}

/// What the reader says of itself: figures for a dashboard, and a line in the log when it cannot read plates.
async fn health(told: &mut Told) -> anyhow::Result<Vec<ClockSpan>> {
    let answer = told.connection.ask(Control::ReaderHealth).await?;
    let Control::ReaderReport { cameras, spooled, problem, clocks } = answer else {
        anyhow::bail!("the reader answered out of turn");
    };
    let figure = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let sum = |of: fn(&(String, u64, u64, u64, bool)) -> u64| figure(cameras.iter().map(of).sum());
    metrics::gauge!("belfry_reads_spooled").set(figure(spooled));
    metrics::gauge!("belfry_reader_frames_decoded").set(sum(|camera| camera.1));
    metrics::gauge!("belfry_reader_frames_skipped").set(sum(|camera| camera.2));
    metrics::gauge!("belfry_reader_reads").set(sum(|camera| camera.3));
    metrics::gauge!("belfry_reader_cameras_decoding").set(sum(|camera| u64::from(camera.4)));
    if problem != told.problem {
        match &problem {
            Some(problem) => tracing::warn!(problem, "the reader cannot read plates"),
            None => tracing::info!("the reader reads plates again"),
        }
        told.problem = problem;
    }
    metrics::gauge!("belfry_reader_clocks_locked").set(figure(u64::try_from(clocks.len()).unwrap_or(u64::MAX)));
    Ok(clocks.iter().filter_map(clock_span).collect())
}

/// A lock that a read or a report of the reader states.
fn read_clock(row: &ClockRow) -> ReadClock {
    ReadClock {
        locked_from_us: row.locked_from_us,
        locked_until_us: Some(row.locked_until_us),
        offset_us: row.offset_us,
        uncertainty_us: row.uncertainty_us,
        second_us: row.second_us,
        source: OWN_SOURCE.to_owned(),
        synced_us: row.synced_us,
    }
}

fn clock_span(row: &CameraClockRow) -> Option<ClockSpan> {
    ClockSpan::of(row.camera.parse().ok()?, &read_clock(&row.clock))
}

/// The end of an answer: done, or refused.
fn done(answer: Control, what: &str) -> anyhow::Result<()> {
    if let Control::Refused { code, detail } = &answer {
        anyhow::bail!("the reader refused {what}: {code}: {detail}");
    }
    anyhow::ensure!(answer == Control::Done, "the reader answered out of turn");
    Ok(())
}

/// The reader sends one `Bytes` message per picture, also for an empty one.
async fn picture(connection: &mut Connection<UnixStream>, len: u32) -> anyhow::Result<Bytes> {
    match connection.receiver.recv().await? {
        Message::Bytes(bytes) if u32::try_from(bytes.len()) == Ok(len) => Ok(bytes),
        Message::Bytes(_) => anyhow::bail!("a picture is not as long as announced"),
        Message::Control(_) | Message::Unit(..) | Message::Fragment(_) => {
            anyhow::bail!("the reader sent no picture where one was due")
        }
    }
}

/// The row as a read; `None` when an id or the plate is none.
fn new_read(row: &ReadRow, crop: Bytes, overview: Bytes) -> Option<NewRead> {
    let country = |(sign, odds): &(String, u32)| Some((Country::parse(sign)?, Confidence::from_millionths(*odds)));
    Some(NewRead {
        read: row.read.parse().ok()?,
        camera: row.camera.parse().ok()?,
        stream: row.stream.parse().ok()?,
        at: WallTime::from_micros(row.at_us),
        facts: ReadFacts {
            plate: Plate::parse(&row.plate).ok()?,
            countries: row.countries.iter().filter_map(country).collect(),
            confidence: Confidence::from_millionths(row.confidence),
            corrected: row.corrected,
            direction: Direction::from_word(&row.direction),
            looks: row.looks,
            model: row.model.clone(),
            clock: row.clock.as_ref().map(read_clock),
            from: ReadFrom::Reader,
        },
        crop,
        overview,
    })
}
