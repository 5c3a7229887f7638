//! The models' thread: pictures of all cameras through the engine in batches, passages into the spool.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use link::ReadRow;
use vms_core::{MonoTime, ReadId, SyncState, WallTime};

use super::queue::Job;
use super::shared::Shared;
use super::{Counters, Host};
use crate::detect::Detection;
use crate::engine::{Engine, InputSize, View};
use crate::letterbox::Region;
use crate::mask;
use crate::model::{ModelError, Runtime};
use crate::num;
use crate::passage::{Passage, Watcher};
use crate::spool::Spooled;

/// Pictures in one inference at most: more wait longer than they save.
const BATCH_MAX: usize = 4;

/// Passages are looked for at least this often.
const TICK: Duration = Duration::from_millis(250);

/// Without models the folder is looked at again after this many ticks (10 s).
const RETRY_TICKS: u32 = 40;

/// A camera whose pictures stopped coming counts as being at "now" minus this: pictures may still be in the decoder.
const SETTLE_US: u64 = 2_000_000;

/// Runs until the role stops.
pub(super) fn run(shared: &Arc<Shared>) {
    let Some(mut engine) = open(shared) else { return };
    tracing::info!(models = engine.label(), threads = shared.config.threads, "the models run");
    *shared.problem() = None;
    shared.ready.send_replace(true);
    let mut desk = Desk { shared: Arc::clone(shared), watchers: BTreeMap::new(), label: engine.label() };
    while !shared.stop.is_cancelled() {
        let jobs = shared.queue.pop(BATCH_MAX, TICK);
        if let Err(error) = desk.look(&mut engine, &jobs) {
            tracing::error!(%error, pictures = jobs.len(), "the models failed on these pictures");
            *shared.problem() = Some(error.to_string());
            jobs.iter().for_each(|job| job.camera.skipped(1));
        }
        desk.tell_due(&engine);
    }
    desk.tell_all(&engine);
}

/// Opens the models; while they are missing or wrong, says so and tries again.
fn open(shared: &Shared) -> Option<Engine> {
    let config = &shared.config;
    let mut runtime: Option<Runtime> = None;
    while !shared.stop.is_cancelled() {
        let opened = match &runtime {
            Some(runtime) => Engine::open(runtime, &config.models, config.size),
            None => Runtime::load(&config.library, config.threads).and_then(|fresh| {
                let engine = Engine::open(&fresh, &config.models, config.size);
                runtime = Some(fresh);
                engine
            }),
        };
        match opened {
            Ok(engine) => return Some(engine),
            Err(error) => report(shared, &error),
        }
        for _ in 0..RETRY_TICKS {
            // Nobody decodes yet, so this only waits.
            drop(shared.queue.pop(BATCH_MAX, TICK));
            if shared.stop.is_cancelled() {
                return None;
            }
        }
    }
    None
}

fn report(shared: &Shared, error: &ModelError) {
    let mut problem = shared.problem();
    let text = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    if problem.as_ref() != Some(&text) {
        tracing::error!(problem = text, "no plates are read");
        *problem = Some(text);
    }
}

struct Desk {
    shared: Arc<Shared>,
    watchers: BTreeMap<String, (Arc<Counters>, Watcher)>,
    label: String,
}

impl Desk {
    fn look(&mut self, engine: &mut Engine, jobs: &[Job]) -> Result<(), ModelError> {
        let wishes: Vec<Wish> = {
            let cameras = self.shared.cameras();
            let fine_for = &self.shared.config.fine_for;
            let wish = |job: &Job| {
                cameras.get(job.camera.camera()).map_or((None, None), |assigned| {
                    let camera = assigned.camera.borrow();
                    (camera.region, size_for(fine_for, &camera.purposes))
                })
            };
            jobs.iter().map(wish).collect()
        };
        let views: Vec<View<'_>> = jobs
            .iter()
            .zip(wishes)
            .map(|(job, (region, size))| {
                let frame = &job.decoded.frame;
                let whole = region.map_or_else(|| Region::whole(frame), |r| Region::of_thousandths(frame, r));
                engine.view(frame, &job.glance, whole, size)
            })
            .collect();
        for job in jobs {
            let fresh = || (Arc::clone(&job.camera), Watcher::default());
            self.watchers.entry(job.camera.camera().to_owned()).or_insert_with(fresh);
        }
        let watchers = &self.watchers;
        let wanted = |picture: usize, plate: &Detection| {
            jobs.get(picture).is_none_or(|job| {
                let watcher = watchers.get(job.camera.camera());
                watcher.is_none_or(|(_, watcher)| watcher.wants(job.decoded.clocks.mono, plate))
            })
        };
        let seen = engine.look(&views, wanted)?;
        for (job, seen) in jobs.iter().zip(seen) {
            let Some((_, watcher)) = self.watchers.get_mut(job.camera.camera()) else { continue };
            let clocks = &job.decoded.clocks;
            // The camera's own time only counts where it agrees with ours.
            let second = clocks.camera.filter(|_| clocks.sync == SyncState::Agrees);
            watcher.observe_timed(clocks.mono, (clocks.wall, second), &job.decoded.frame, &seen);
            job.camera.set_need(watcher.need());
        }
        Ok(())
    }

    fn tell_due(&mut self, engine: &Engine) {
        let settled = MonoTime { micros: (self.shared.host.mono)().micros.saturating_sub(SETTLE_US) };
        let mut passages = Vec::new();
        for (counters, watcher) in self.watchers.values_mut() {
            let now = watcher.last().max(settled);
            passages.extend(watcher.due(now, engine).into_iter().map(|p| (Arc::clone(counters), p)));
            counters.set_need(watcher.need());
        }
        passages.iter().for_each(|(counters, passage)| self.keep(engine, counters, passage));
        let assigned = self.shared.cameras();
        self.watchers.retain(|camera, (_, watcher)| watcher.is_busy() || assigned.contains_key(camera));
    }

    fn tell_all(&mut self, engine: &Engine) {
        for (counters, mut watcher) in std::mem::take(&mut self.watchers).into_values() {
            let last = watcher.finish(engine);
            last.iter().for_each(|passage| self.keep(engine, &counters, passage));
        }
    }

    /// Pictures, row, spool. A read that cannot be kept is logged and counted, never silently lost.
    fn keep(&self, engine: &Engine, counters: &Counters, passage: &Passage) {
        let pictures = mask::crop(&passage.frame, &passage.quad)
            .and_then(|crop| Ok((crop, mask::overview(&passage.frame, &passage.quad)?)));
        let (crop, overview) = match pictures {
            Ok(pictures) => pictures,
            Err(error) => {
                tracing::error!(camera = counters.camera(), %error, "a read goes without its pictures");
                Default::default()
            }
        };
        let row = row(&self.shared.host, engine, counters, passage, &self.label);
        let (read, confidence) = (row.read.clone(), row.confidence);
        match self.shared.spool().append(&Spooled { row, crop, overview }) {
            Ok(position) => {
                counters.read();
                let looks = passage.fused.looks;
                tracing::info!(camera = counters.camera(), read, position, confidence, looks, "a plate was read");
            }
            Err(error) => {
                metrics::counter!("belfry_reader_reads_lost_total").increment(1);
                tracing::error!(camera = counters.camera(), read, %error, "a read could not be kept");
            }
        }
    }
}

/// What a camera's settings say: a region, in thousandths, and an input.
type Wish = (Option<[u16; 4]>, Option<InputSize>);

/// The fine input, when a camera has one of the purposes that want it.
fn size_for(fine_for: &[String], purposes: &[String]) -> Option<InputSize> {
    purposes.iter().any(|purpose| fine_for.contains(purpose)).then_some(InputSize::FINE)
}

/// Countries that a read names at most.
const COUNTRIES_MAX: usize = 5;

fn row(host: &Host, engine: &Engine, counters: &Counters, passage: &Passage, label: &str) -> ReadRow {
    let fused = &passage.fused;
    let text = fused.plate.reveal();
    let countries = engine.grammar().countries(text).into_iter().take(COUNTRIES_MAX);
    let [(ax, ay), (bx, by), (cx, cy), (dx, dy)] = passage.quad;
    ReadRow {
        spool: 0,
        read: read_id(host, (host.wall)()).to_string(),
        camera: counters.camera().to_owned(),
        stream: counters.stream().to_owned(),
        at_us: passage.at.micros,
        plate: text.to_owned(),
        countries: countries.map(|(sign, p)| (sign.as_str().to_owned(), num::millionths(p))).collect(),
        confidence: num::millionths(fused.confidence),
        corrected: fused.corrected,
        direction: fused.direction.as_str().to_owned(),
        looks: u32::try_from(fused.looks).unwrap_or(u32::MAX),
        corners: [ax, ay, bx, by, cx, cy, dx, dy],
        model: label.to_owned(),
        crop_len: 0,
        overview_len: 0,
        clock: counters.clock().row(passage.second),
    }
}

/// A UUID of version 7; made once, here, so that delivery is idempotent.
fn read_id(host: &Host, now: WallTime) -> ReadId {
    let mut random = [0_u8; 10];
    (host.random)(&mut random);
    let millis = u64::try_from(now.micros / 1000).unwrap_or(0);
    ReadId::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_purpose_chooses_the_detectors_input() {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        for (fine_for, purposes, wanted) in [
            (&["TRAJECT"][..], &["LEZ", "TRAJECT"][..], Some(InputSize::FINE)),
            (&["TRAJECT"], &["LEZ"], None),
            (&[], &["LEZ"], None),
            (&["LEZ", "ZBT"], &[], None),
        ] {
            assert_eq!(size_for(&words(fine_for), &words(purposes)), wanted);
        }
    }
}
