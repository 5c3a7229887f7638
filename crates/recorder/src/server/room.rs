//! The disk of this recorder: looks at it, climbs down the ladder (`ladder`), compares cameras and disk.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use link::Assignment;
use vms_core::{MonoTime, StreamId, WallTime};

use super::board::{Alarm, gauge};
use super::{RecorderError, Shared, lock};
use crate::assignment::Kept;
use crate::disk::volume::{free_files, volume_bytes};
use crate::index::Index;
use crate::ladder::{self, Admission, Look, Need, Place, RATE_DEFAULT, Rung, Space};
use crate::sweep::{Losing, Sweep};

/// A rate is measured over the footage of so long.
const MEASURED: std::time::Duration = std::time::Duration::from_hours(24);

/// What was counted last: the sum over the index is not made every few seconds.
#[derive(Debug, Default)]
pub(super) struct Room {
    used: u64,
    counted_at: Option<MonoTime>,
    /// The version of the assignment that was compared with the disk, and when.
    admitted: Option<(u64, MonoTime)>,
}

/// Cameras and disk are compared anew after so long, since rates are measured meanwhile: an hour, microseconds.
const ADMIT_US: u64 = 3_600_000_000;

impl Room {
    /// Counts the footage.
    pub(super) async fn count(&mut self, shared: &Shared) {
        if let Ok(bytes) = shared.index.bytes().await {
            self.used = bytes.saturating_add(shared.catalogue.unflushed_bytes());
            self.counted_at = Some(shared.clock.mono());
        }
    }

    /// One look, and what follows from it. `may_lose`: every hold is carried out.
    pub(super) async fn tend(&mut self, shared: &Arc<Shared>, sweep: &mut Sweep, may_lose: bool) {
        if self.counted_at.is_none() {
            self.count(shared).await;
        }
        let Some(space) = self.space(shared).await else { return };
        self.compare(shared, &space).await;
        // Where there are tiers they are asked first; what they do not have is then seen.
        let shed_first = ladder::look(&Space { verified: space.used, ..space });
        let mut look = if shed_first.shed > 0 && shared.config.tier.is_some() {
            match sweep.shed(shed_first.shed).await {
                Ok(freed) => metrics::counter!("recorder_shed_bytes_total").increment(freed),
                Err(error) => tracing::error!(%error, "what lies in a tier too could not leave the disk"),
            }
            self.count(shared).await;
            let Some(space) = self.space(shared).await else { return };
            ladder::look(&space)
        } else {
            ladder::look(&space)
        };
        if look.lose > 0 && may_lose {
            let losing =
                Losing { bytes: look.lose, keep_longest: &shared.config.keep_longest, catalogue: &shared.catalogue };
            match sweep.lose(losing, shared.clock.wall()).await {
                Ok(lost) if lost.missing > 0 => look.rung = Rung::Exhausted,
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "the sweeper could not make room"),
            }
            self.count(shared).await;
        }
        note(shared, look);
    }

    async fn space(&self, shared: &Shared) -> Option<Space> {
        let media = shared.config.media();
        let looking = tokio::task::spawn_blocking(move || Some((volume_bytes(&media)?, free_files(&media))));
        let ((volume, free), files) = looking.await.ok()??;
        let (bits, streams) = rate(shared);
        let rate = bits / 8;
        let free = free.min(files.map_or(u64::MAX, |files| bytes_of_files(files, rate, streams)));
        let now = shared.clock.mono().micros;
        let since_us = self.counted_at.map_or(0, |at| now.saturating_sub(at.micros));
        let grown = u128::from(rate) * u128::from(since_us) / 1_000_000;
        Some(Space {
            volume,
            free,
            reserve: super::keeper::reserve_bytes(&shared.config),
            used: self.used.saturating_add(u64::try_from(grown).unwrap_or(u64::MAX)),
            cap: shared.config.disk_cap_bytes,
            rate,
            verified: 0,
            held: 0,
        })
    }

    /// Compares cameras and disk, once for each assignment and every hour.
    async fn compare(&mut self, shared: &Shared, space: &Space) {
        let (version, now) = (lock(&shared.kept).assignment.version, shared.clock.mono());
        let is_done = self
            .admitted
            .is_some_and(|(known, at)| known == version && now.micros.saturating_sub(at.micros) < ADMIT_US);
        if is_done {
            return;
        }
        self.admitted = Some((version, now));
        let measured = shared.index.rates(shared.clock.wall().minus(MEASURED)).await.unwrap_or_default();
        let needs = needs_of(&lock(&shared.kept).assignment, measured);
        let place = Place {
            volume: space.volume,
            for_footage: space.free.saturating_add(space.used),
            reserve: space.reserve,
            cap: space.cap,
            hot_hours: shared.config.tier.as_ref().map(|_| BACKLOG_H),
        };
        let found = ladder::admit(&needs, &place);
        let was = lock(&shared.board).admission.replace(found);
        if !found.fits() && was != Some(found) {
            tracing::error!("this disk cannot keep what the cameras need: {}", found.words());
        }
        gauge("recorder_disk_needed_bytes", found.needs);
        gauge("recorder_disk_given_bytes", found.has);
        lock(&shared.board).set(Alarm::DiskTooSmall, !found.fits());
    }
}

/// With tiers behind it this disk has to hold what waits while they are down for a day (reliability R6): what a tier has may leave.
const BACKLOG_H: u32 = 24;

fn needs_of(assignment: &Assignment, measured: Vec<(StreamId, u64)>) -> Vec<Need> {
    let measured: HashMap<StreamId, u64> = measured.into_iter().collect();
    let recorded = assignment.streams.iter().filter(|spec| spec.record && spec.keep_s > 0);
    let need = |spec: &link::StreamSpec| {
        let known = spec.stream.parse().ok().and_then(|stream: StreamId| measured.get(&stream).copied());
        Need { bits_per_s: known.unwrap_or(RATE_DEFAULT), keep_s: spec.keep_s }
    };
    recorded.map(need).collect()
}

/// What the recorder whose folder is `dir` would say of its cameras and its disk, without it: for the check of a configuration. `None`
/// where it has no cameras yet.
///
/// # Errors
/// Folder, list of cameras or index cannot be read.
pub async fn admission(
    dir: &Path,
    (cap, reserve): (u64, u64),
    has_tier: bool,
    now: WallTime,
) -> Result<Option<Admission>, RecorderError> {
    if !dir.join("assignment.json").exists() {
        return Ok(None);
    }
    let kept = Kept::load(&dir.join("assignment.json"))?;
    let (volume, free) = volume_bytes(dir).ok_or_else(|| std::io::Error::other("the size of the volume"))?;
    let (mut measured, mut used) = (Vec::new(), 0);
    if dir.join("index.db").exists() {
        let index = Index::open(&dir.join("index.db")).await?;
        (measured, used) = (index.rates(now.minus(MEASURED)).await?, index.bytes().await?);
        index.close().await;
    }
    let place = Place {
        volume,
        for_footage: free.saturating_add(used),
        reserve,
        cap: Some(cap),
        hot_hours: has_tier.then_some(BACKLOG_H),
    };
    Ok(Some(ladder::admit(&needs_of(&kept.assignment, measured), &place)))
}

/// The footage that so many more files can hold: a volume may run out of files before it runs out of bytes, and the ladder counts in bytes.
fn bytes_of_files(files: u64, rate: u64, streams: u64) -> u64 {
    let per_file = rate.saturating_mul(SEGMENT_S).checked_div(streams).unwrap_or(0);
    if per_file == 0 { u64::MAX } else { files.saturating_mul(per_file) }
}

/// A segment is a file and holds about so many seconds.
const SEGMENT_S: u64 = 60;

/// Bits per second that arrive to be recorded, also while the disk refuses them, and of how many streams.
fn rate(shared: &Shared) -> (u64, u64) {
    let recorded: std::collections::HashSet<String> = {
        let kept = lock(&shared.kept);
        kept.assignment.streams.iter().filter(|spec| spec.record).map(|spec| spec.stream.clone()).collect()
    };
    let hubs = shared.all_hubs();
    let arriving = hubs.iter().map(|hub| hub.health()).filter(|health| recorded.contains(&health.stream));
    arriving.fold((0, 0), |(bits, streams), health| (bits + health.bits_per_s, streams + 1))
}

fn note(shared: &Shared, look: Look) {
    metrics::gauge!("recorder_disk_rung").set(f64::from(look.rung.number()));
    // A year stands for "no end in sight".
    gauge("recorder_disk_headroom_seconds", look.headroom.map_or(31_536_000, |span| span.as_secs()));
    let mut board = lock(&shared.board);
    board.room = look;
    board.set(Alarm::DiskLow, look.rung >= Rung::Alarm);
    board.set(Alarm::DiskSpare, look.spares);
    board.set(Alarm::DiskLoses, look.lose > 0);
    board.set(Alarm::DiskExhausted, look.rung == Rung::Exhausted);
}

/// What is known of cameras and disk, in words.
pub(super) fn words(admission: Option<&Admission>) -> Option<String> {
    admission.filter(|found| !found.fits() || found.is_cap_too_large).map(Admission::words)
}

#[cfg(test)]
mod tests {
    use super::bytes_of_files;

    #[test]
    fn files_that_are_left_count_as_the_footage_that_fits_into_them() {
        // Two cameras of 4 Mbit/s: a segment is 30 MB.
        for (files, rate, streams, bytes) in [
            (100, 1_000_000, 2, 3_000_000_000),
            (0, 1_000_000, 2, 0),
            (100, 0, 2, u64::MAX),
            (100, 1_000_000, 0, u64::MAX),
            (u64::MAX, 1_000_000, 2, u64::MAX),
        ] {
            assert_eq!(bytes_of_files(files, rate, streams), bytes, "{files} {rate} {streams}");
        }
    }
}
