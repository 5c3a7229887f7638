//! Holds on footage: what `serve` tells of them, kept on disk, and carried out in the key store.
//!
//! A hold wraps the keys of its segments a second time, so that they outlive their hour (`keys::KeyRing::hold`). It is carried out by the
//! task that also sweeps, before each sweep, so that none of the files it wants goes in between; and again each time, because
//! the span of a hold may still be growing. It ends by a release that names it, never by silence.

use std::path::Path;
use std::sync::Arc;

use keys::{KeyEpoch, KeyError};
use link::message::{HoldRow, HoldSpec};
use vms_core::{CameraId, HoldId, SegmentId, TimeRange, WallTime};

use crate::index::{Index, IndexError};
use crate::kept;
use crate::vault::Vault;

/// Name of the file in the recorder's folder.
pub const FILE: &str = "holds.json";

/// Why holds were not carried out.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The key store.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The task was ended.
    #[error("the holds were not carried out to the end")]
    Ended,
}

/// The holds that a recorder knows, and how far it is with them.
#[derive(Debug, Default)]
pub struct HoldBook {
    specs: Arc<Vec<HoldSpec>>,
    rows: Vec<HoldRow>,
    /// Rises with each change of `specs`.
    number: u64,
    carried_out: u64,
    is_lost: bool,
}

impl HoldBook {
    /// What was kept; none where nothing was. All of it is due. When the file is damaged recording goes on, and nothing is
    /// erased until `serve` has told the holds again.
    ///
    /// # Errors
    /// Of the disk.
    pub fn load(path: &Path) -> std::io::Result<Self> {
        let (specs, is_lost) = match kept::load::<Vec<HoldSpec>>(path) {
            Ok(specs) => (specs.unwrap_or_default(), false),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                tracing::error!(%error, "the kept holds are damaged: nothing is erased until they are told again");
                (Vec::new(), true)
            }
            Err(error) => return Err(error),
        };
        Ok(Self { specs: Arc::new(specs), number: 1, is_lost, ..Self::default() })
    }

    /// Whether the holds are not known: then nothing may be destroyed.
    pub const fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Whether these are the holds that are kept.
    pub fn has(&self, holds: &[HoldSpec]) -> bool {
        !self.is_lost && *self.specs == holds
    }

    /// Replaces them. What is not named any more without having been released goes on in the key store.
    pub fn replace(&mut self, holds: Vec<HoldSpec>) {
        self.specs = Arc::new(holds);
        self.number += 1;
        self.is_lost = false;
    }

    /// The holds, with the number of this state of them.
    pub fn specs(&self) -> (Arc<Vec<HoldSpec>>, u64) {
        (Arc::clone(&self.specs), self.number)
    }

    /// Whether something was told that is not carried out.
    pub const fn is_due(&self) -> bool {
        self.carried_out < self.number
    }

    /// Whether a hold that is not released covers a moment of this span of a camera; where the holds are not known, every one does.
    pub fn covers(&self, camera: CameraId, from: WallTime, to: WallTime) -> bool {
        let fits = |spec: &HoldSpec| {
            !spec.released
                && parsed(spec).is_some_and(|(_, of, range)| of == camera && range.from < to && from < range.to)
        };
        self.is_lost || self.specs.iter().any(fits)
    }

    /// The state `number` was carried out.
    pub fn carried_out(&mut self, number: u64, rows: Vec<HoldRow>) {
        self.carried_out = number;
        self.rows = rows;
    }

    /// What was done.
    pub fn rows(&self) -> Vec<HoldRow> {
        self.rows.clone()
    }
}

/// Keeps holds on disk: new file, fsync, rename, fsync of the folder.
///
/// # Errors
/// Of the disk; what was kept before is then still there.
pub fn save(path: &Path, holds: &[HoldSpec]) -> std::io::Result<()> {
    kept::save(path, holds)
}

/// Puts every segment of each hold under it, and ends what was released. Idempotent.
///
/// # Errors
/// [`HoldError`]: then nothing may be destroyed until it was done.
pub async fn carry_out(
    specs: &[HoldSpec],
    index: &Index,
    vault: &Arc<Vault>,
    now: WallTime,
) -> Result<Vec<HoldRow>, HoldError> {
    let mut rows = Vec::new();
    if !vault.is_configured() {
        return Ok(rows);
    }
    for spec in specs {
        let Some((hold, camera, range)) = parsed(spec) else {
            tracing::error!(hold = %spec.hold, "a hold is malformed and left out");
            continue;
        };
        let vault = Arc::clone(vault);
        if spec.released {
            let ended = tokio::task::spawn_blocking(move || vault.with(|ring| release(ring, hold, now)));
            ended.await.map_err(|_| HoldError::Ended)??;
            continue;
        }
        let (found, erased) = index.of_span(camera, range).await?;
        let wanted: Vec<(SegmentId, KeyEpoch)> =
            found.iter().filter_map(|one| Some((one.segment, KeyEpoch::new(one.key_epoch)?))).collect();
        let work = tokio::task::spawn_blocking(move || vault.with(|ring| ring.hold(hold, &wanted, now)));
        let report = work.await.map_err(|_| HoldError::Ended)??;
        rows.push(HoldRow {
            hold: spec.hold.clone(),
            segments: count(report.held + report.already),
            refused: count(report.refused.len()).saturating_add(erased),
        });
    }
    Ok(rows)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A release that was carried out before, or of a hold that never held anything here, is done.
fn release(ring: &keys::KeyRing, hold: HoldId, now: WallTime) -> Result<(), KeyError> {
    match ring.release(hold, now) {
        Ok(release) => {
            tracing::info!(%hold, segments = release.segments, unreadable = release.unreadable, "a hold was released");
            Ok(())
        }
        Err(KeyError::HoldReleased { .. } | KeyError::NoSuchHold { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn parsed(spec: &HoldSpec) -> Option<(HoldId, CameraId, TimeRange)> {
    let range = TimeRange::new(WallTime::from_micros(spec.from_us), WallTime::from_micros(spec.to_us))?;
    Some((spec.hold.parse().ok()?, spec.camera.parse().ok()?, range))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::SegmentState;
    use crate::sweep_tests::{sealed, start_s, thirty_days};
    use crate::testfilm::facts;

    fn spec(hold: u8, released: bool) -> HoldSpec {
        HoldSpec {
            hold: HoldId::from_bytes([hold; 16]).to_string(),
            camera: CameraId::from_bytes([9; 16]).to_string(),
            from_us: 10,
            to_us: 20,
            released,
        }
    }

    #[test]
    fn the_book_is_kept_and_knows_what_is_due() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert!(HoldBook::load(&path).unwrap().has(&[]));
        let holds = [spec(1, false), spec(2, true)];
        save(&path, &holds).unwrap();
        save(&path, &holds).unwrap();
        let mut book = HoldBook::load(&path).unwrap();
        assert!(book.has(&holds) && book.is_due(), "after a start all of it is due");
        let (_, number) = book.specs();
        book.replace(vec![spec(1, true)]);
        book.carried_out(number, Vec::new());
        assert!(book.is_due(), "what came while the one before was carried out is due");
        let (_, number) = book.specs();
        book.carried_out(number, Vec::new());
        assert!(!book.is_due());
        std::fs::write(&path, b"[{").unwrap();
        let mut book = HoldBook::load(&path).unwrap();
        assert!(book.is_lost() && !book.has(&[]), "damaged: also no holds are news");
        book.replace(Vec::new());
        assert!(!book.is_lost() && book.has(&[]), "told again");
    }

    #[tokio::test]
    async fn what_is_held_outlives_its_term_until_it_is_released() {
        const DAY_S: i64 = 86_400;
        let rig = sealed().await;
        let mut sweep = rig.sweep();
        let start = start_s();
        let span = |hold: u8, of: u8, (from_s, to_s): (i64, i64), released| HoldSpec {
            hold: HoldId::from_bytes([hold; 16]).to_string(),
            camera: facts(of).camera.to_string(),
            from_us: (start + from_s) * 1_000_000,
            to_us: (start + to_s) * 1_000_000,
            released,
        };
        let at = |seconds: i64| WallTime::from_secs(start + seconds);
        let row = |hold: u8, segments, refused| HoldRow {
            hold: HoldId::from_bytes([hold; 16]).to_string(),
            segments,
            refused,
        };
        let there = || {
            let is_there = |one: &&SegmentState| rig.dir.path().join("media").join(&one.path).exists();
            rig.segments.iter().filter(is_there).map(|one| one.segment.as_bytes()[0]).collect::<Vec<u8>>()
        };
        // The second touches both segments of the first hour, the third only what is to come.
        let mut holds =
            vec![span(1, 1, (0, 60), false), span(2, 1, (59, 61), false), span(3, 1, (9 * DAY_S, 10 * DAY_S), false)];
        for _ in 0..2 {
            let rows = carry_out(&holds, &rig.index, &rig.vault, at(100)).await.unwrap();
            assert_eq!(rows, [row(1, 1, 0), row(2, 2, 0), row(3, 0, 0)], "asked again it is the same");
        }
        let over = at(31 * DAY_S);
        sweep.expire_keys(&thirty_days(), over).await.unwrap();
        sweep.expire(&thirty_days(), over).await.unwrap();
        assert_eq!(there(), [17, 33], "nothing else is left");
        // One that comes too late says so.
        holds.push(span(4, 2, (0, 3_700), false));
        let rows = carry_out(&holds, &rig.index, &rig.vault, over).await.unwrap();
        assert_eq!(rows.last(), Some(&row(4, 0, 4)));
        // Two holds on one segment: it goes with the last. One that is no longer named goes on.
        for (holds, left) in [
            (vec![span(2, 1, (59, 61), true)], vec![17]),
            (vec![], vec![17]),
            (vec![span(1, 1, (0, 60), true), span(2, 1, (59, 61), true)], vec![]),
        ] {
            carry_out(&holds, &rig.index, &rig.vault, over).await.unwrap();
            sweep.expire(&thirty_days(), over).await.unwrap();
            assert_eq!(there(), left);
        }
    }

    #[test]
    fn what_is_no_hold_is_none() {
        assert!(parsed(&spec(1, false)).is_some());
        for wrong in [
            HoldSpec { hold: "hld_".to_owned(), ..spec(1, false) },
            HoldSpec { camera: "str_00".to_owned(), ..spec(1, false) },
            HoldSpec { from_us: 20, ..spec(1, false) },
        ] {
            assert_eq!(parsed(&wrong), None, "{wrong:?}");
        }
    }
}
