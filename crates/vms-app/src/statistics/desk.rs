//! From the intake to the accumulator, and from there to the store.
//!
//! The intake hands reads over and goes on: it waits for nothing here, and whatever goes wrong here is no failure of a read. Bounds and
//! overflow: [`QUEUE_MAX`] reads between two rounds, one more is dropped and no cell that is open then is published; [`UNWRITTEN_MAX`]
//! published rows while the database is away, the oldest are dropped, and are missing from the store, never wrong.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use ::statistics::accumulator::LeftOut;
use ::statistics::{Accumulator, Figure, Published, Sighting, TravelTime};
use vms_core::{CameraId, Country, DecisionId, Plate, Profile, Purpose, ReadId, SessionId, UserId, WallTime};

use super::{FeedRules, Plan};
use crate::cases::UseCases;
use crate::error::{BoxError, UseCaseError};
use crate::lez_ports::{Direction, PurposeCopy};
use crate::ports::random_bytes;
use crate::statistics_ports::{CountRow, StatisticsStore, TimeRow};

/// Most reads between two rounds.
pub const QUEUE_MAX: usize = 16_384;
/// Most published rows that wait for the database.
pub const UNWRITTEN_MAX: usize = 100_000;
/// Rows written in one statement's transaction.
const WRITE_MAX: usize = 2_000;
/// Published rows that a start reads back: two hours.
const RECENT_US: i64 = 7_200_000_000;
/// Most of them.
const RECENT_MAX: u32 = 500_000;
/// What is past its term is looked for this often.
const SWEEP_US: i64 = 3_600_000_000;
const DAY_US: i64 = 86_400_000_000;
/// Most uses that go on under one decision; over that all are forgotten, and each costs one leaf more.
const STANDING_MAX: usize = 4_096;

/// A read on its way. No pictures, and no longer than a round.
struct Queued {
    camera: CameraId,
    direction: Direction,
    at: WallTime,
    plate: Plate,
    country: Country,
}

#[derive(Default)]
struct Queue {
    reads: VecDeque<Queued>,
    dropped: u64,
    /// Newest instant of a read that was dropped since the last round.
    lost: Option<WallTime>,
}

#[derive(Default)]
struct Unwritten {
    counts: VecDeque<CountRow>,
    times: VecDeque<TimeRow>,
    dropped: u64,
    swept_at: Option<WallTime>,
}

/// What a round did, for dashboards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundReport {
    /// Cells that were published.
    pub published: u64,
    /// Cells that were too small.
    pub suppressed: u64,
    /// Travel times.
    pub times: u64,
    /// Reads left out since the start.
    pub left_out: LeftOut,
    /// Reads dropped before the accumulator since the start.
    pub dropped: u64,
    /// Published rows that wait for the database.
    pub unwritten: usize,
    /// Published rows dropped since the start, because the database was away for too long.
    pub rows_dropped: u64,
    /// Reads that wait to be ten seconds old.
    pub waiting: usize,
}

/// Whose use goes on under one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    /// A person's, in one session.
    Session(SessionId),
    /// A machine's, whatever token it holds at the moment.
    Account(UserId),
}

/// A use that goes on: whose, with which profile, and of which form.
pub(super) type Use = (Whose, Profile, String);

/// The statistics of one process.
pub struct StatisticsDesk {
    pub(super) plan: Plan,
    rules: FeedRules,
    pub(super) store: Arc<dyn StatisticsStore>,
    keep_days: u32,
    /// Short locks, no await inside.
    queue: Mutex<Queue>,
    pub(super) work: Mutex<Option<Accumulator>>,
    unwritten: Mutex<Unwritten>,
    /// One round at a time.
    round: tokio::sync::Mutex<()>,
    /// Uses that go on, by who and what: one leaf each, and 15 minutes (blueprint 4.6).
    pub(super) standing: Mutex<HashMap<Use, DecisionId>>,
}

impl std::fmt::Debug for StatisticsDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatisticsDesk").field("sites", &self.plan.sites.len()).finish_non_exhaustive()
    }
}

pub(super) fn locked<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StatisticsDesk {
    /// Over the operator's plan. `keep_days`: the operator's term of published numbers, 0 for the law's.
    ///
    /// # Errors
    /// When the shipped seed data is wrong.
    pub fn new(plan: Plan, store: Arc<dyn StatisticsStore>, keep_days: u32) -> Result<Self, BoxError> {
        Ok(Self {
            plan,
            rules: FeedRules::embedded()?,
            store,
            keep_days,
            queue: Mutex::default(),
            work: Mutex::default(),
            unwritten: Mutex::default(),
            round: tokio::sync::Mutex::default(),
            standing: Mutex::default(),
        })
    }

    /// Reads that were kept just now. Each counts once, and only by a copy whose purpose may feed statistics.
    pub fn offer(&self, copies: &[PurposeCopy], fresh: &[(ReadId, Purpose)]) {
        if self.plan.sites.is_empty() || fresh.is_empty() {
            return;
        }
        let fresh: HashSet<&(ReadId, Purpose)> = fresh.iter().collect();
        let mut offered = HashSet::new();
        let mut queue = locked(&self.queue);
        for copy in copies {
            let read = &copy.read;
            let feeds = self.rules.feeds(copy.purpose, read.at);
            if !feeds || !fresh.contains(&(read.read, copy.purpose)) || !offered.insert(read.read) {
                continue;
            }
            if queue.reads.len() >= QUEUE_MAX {
                queue.dropped += 1;
                queue.lost = queue.lost.max(Some(read.at));
                continue;
            }
            let country = read.facts.countries.first().map_or(Country::BELGIUM, |(country, _)| *country);
            let (camera, direction, plate) = (read.camera, read.facts.direction, read.facts.plate.clone());
            queue.reads.push_back(Queued { camera, direction, at: read.at, plate, country });
        }
    }

    /// The first round of a process: an empty accumulator, and what earlier ones published in the last two hours.
    async fn start(&self, now: WallTime) -> Result<(), UseCaseError> {
        if locked(&self.work).is_some() {
            return Ok(());
        }
        let (counts, times) =
            self.store.stat_recent(WallTime::from_micros(now.micros.saturating_sub(RECENT_US)), RECENT_MAX).await?;
        let sites = self.plan.sites.iter().map(|planned| (&planned.site, planned.offer));
        let mut fresh = Accumulator::new(sites, self.plan.routes.iter().cloned(), now)
            .map_err(|error| UseCaseError::Internal(error.into()))?;
        for row in counts {
            if let Some(count) = row.count {
                let figure = Figure { count, speed_kmh: row.speed_kmh, from: row.from, to: row.to };
                fresh.restore(&row.site, row.lane, figure);
            }
        }
        for row in times {
            let mean = std::time::Duration::from_secs(row.mean_s.into());
            fresh.restore_time(TravelTime { route: row.route, from: row.from, to: row.to, mean, sample: row.sample });
        }
        *locked(&self.work) = Some(fresh);
        Ok(())
    }

    /// Takes what came, seals what is over, writes what was published; to be called about once a second.
    ///
    /// # Errors
    /// `Unavailable`: the database is away; nothing is lost within the bounds, and the next round goes on.
    pub async fn round(&self, cases: &UseCases) -> Result<RoundReport, UseCaseError> {
        let _one = self.round.lock().await;
        if self.plan.sites.is_empty() {
            return Ok(RoundReport::default());
        }
        let now = cases.now();
        let cameras = cases.cameras_now().await?;
        self.start(now).await?;
        let queue = {
            let mut queue = locked(&self.queue);
            let dropped = queue.dropped;
            std::mem::replace(&mut *queue, Queue { dropped, ..Queue::default() })
        };
        let codes: HashMap<CameraId, &str> = cameras.iter().map(|camera| (camera.id, camera.code.as_str())).collect();
        let (published, mut report) = {
            let mut work = locked(&self.work);
            let Some(work) = work.as_mut() else { return Ok(RoundReport::default()) };
            for read in queue.reads {
                let Some(code) = codes.get(&read.camera) else { continue };
                if let Some((site, lane)) = self.plan.counts(code, read.direction) {
                    let Queued { at, plate, country, .. } = read;
                    work.offer(Sighting { site: site.clone(), lane, at, plate, country });
                }
            }
            if let Some(at) = queue.lost {
                work.lost(at);
            }
            let published = work.step(now, || random_bytes(cases.ids.as_ref()));
            let report = RoundReport {
                left_out: work.left_out(),
                waiting: work.waiting(),
                dropped: queue.dropped,
                ..RoundReport::default()
            };
            (published, report)
        };
        report.published = count(published.cells.iter().filter(|cell| cell.figure.is_some()).count());
        report.suppressed = count(published.cells.len()) - report.published;
        report.times = count(published.times.len());
        self.keep(published);
        self.write(now).await?;
        let unwritten = locked(&self.unwritten);
        report.unwritten = unwritten.counts.len() + unwritten.times.len();
        report.rows_dropped = unwritten.dropped;
        Ok(report)
    }

    fn keep(&self, published: Published) {
        let mut unwritten = locked(&self.unwritten);
        unwritten.counts.extend(published.cells.into_iter().map(|cell| CountRow {
            site: cell.site,
            lane: cell.lane,
            from: cell.from,
            to: cell.to,
            count: cell.figure.map(|figure| figure.count),
            speed_kmh: cell.figure.and_then(|figure| figure.speed_kmh),
        }));
        unwritten.times.extend(published.times.into_iter().map(|time| TimeRow {
            route: time.route,
            from: time.from,
            to: time.to,
            mean_s: u32::try_from(time.mean.as_secs()).unwrap_or(u32::MAX),
            sample: time.sample,
        }));
        while unwritten.counts.len() > UNWRITTEN_MAX {
            unwritten.counts.pop_front();
            unwritten.dropped += 1;
        }
        while unwritten.times.len() > UNWRITTEN_MAX {
            unwritten.times.pop_front();
            unwritten.dropped += 1;
        }
    }

    async fn write(&self, now: WallTime) -> Result<(), UseCaseError> {
        loop {
            let (counts, times): (Vec<CountRow>, Vec<TimeRow>) = {
                let unwritten = locked(&self.unwritten);
                let counts = unwritten.counts.iter().take(WRITE_MAX).cloned().collect();
                (counts, unwritten.times.iter().take(WRITE_MAX).cloned().collect())
            };
            if counts.is_empty() && times.is_empty() {
                break;
            }
            self.store.stat_put(&counts, &times).await?;
            let mut unwritten = locked(&self.unwritten);
            drop(unwritten.counts.drain(..counts.len()));
            drop(unwritten.times.drain(..times.len()));
        }
        let Some(days) = self.rules.keep_days(self.keep_days) else { return Ok(()) };
        let due = locked(&self.unwritten).swept_at.is_none_or(|at| now.micros_since(at).abs() >= SWEEP_US);
        if due {
            let before = WallTime::from_micros(now.micros.saturating_sub(i64::from(days).saturating_mul(DAY_US)));
            self.store.stat_sweep(before).await?;
            locked(&self.unwritten).swept_at = Some(now);
        }
        Ok(())
    }

    pub(super) fn remember(&self, key: Use, decision: DecisionId) {
        let mut standing = locked(&self.standing);
        if standing.len() >= STANDING_MAX {
            standing.clear();
        }
        standing.insert(key, decision);
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
