//! An export as a job on disk: a state machine that a kill cannot confuse.
//!
//! ```text
//! OUT/ID.job/journal.json   the state at the last checkpoint; OUT/ID.job/samples beside it
//! OUT/ID.part/              the folder while it grows
//! OUT/ID/                   the export; it has this name only when it is whole and has passed its own check
//!
//! filming ──▶ papers ──▶ checking ──▶ closing ──▶ done
//!    │ pause/resume at any step; any failure leaves the state of the last checkpoint
//!    └─ cancelled (from any state but done)
//! ```
//!
//! Order on disk: bytes are flushed before the journal names them, the journal is replaced before the next byte is written. After a
//! kill, [`Job::open`] cuts every file to what the journal says and goes on; the bytes are those of an uninterrupted run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::coverage::CameraState;
use crate::disk::Disk;
use crate::error::ExportError;
use crate::film::{Film, FilmState};
use crate::manifest::{CameraReport, FileDigest, FilmReport, Order};
use crate::papers;
use crate::port::{Footage, Frames, Mark, Piece};
use crate::sign::Signer;
use crate::times::Utc;
use crate::verify;

/// Media bytes between two checkpoints: what a kill makes an export write again.
const CHECKPOINT_BYTES: u64 = 64 * 1024 * 1024;

/// Most cameras of one order.
const CAMERAS_MAX: usize = 64;

/// Most films of one order: names have three digits. A camera that changes its parameter sets with every picture would make one each.
const FILMS_MAX: u32 = 999;

/// Longest journal that is read, bytes.
const JOURNAL_MAX: u64 = 256 * 1024 * 1024;

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Footage is written.
    Filming,
    /// Manifest, custody sheet and the rest are written.
    Papers,
    /// The whole folder is read back and checked.
    Checking,
    /// The folder gets its name.
    Closing,
    /// Given up; what was written is being removed.
    Cancelled,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where.
    pub stage: Stage,
    /// Which camera of the order is being written.
    pub camera: usize,
    /// Share of the filming that is done, per mille, by the time of the footage.
    pub per_mille: u16,
    /// Media bytes written.
    pub bytes: u64,
    /// Frames written.
    pub frames: u64,
    /// Waiting for [`Job::resume`].
    pub is_paused: bool,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    More,
    /// The job is paused: nothing was done.
    Paused,
    /// The export is there.
    Done(PathBuf),
}

/// What is found under a name.
#[derive(Debug)]
pub enum Opened {
    /// A job to go on with.
    Job(Box<Job>),
    /// A finished export.
    Done(PathBuf),
    /// Nothing.
    Nothing,
}

/// The journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    order: Order,
    stage: Stage,
    is_paused: bool,
    camera: usize,
    mark: Mark,
    cameras: Vec<CameraState>,
    film_number: u32,
    film: Option<FilmState>,
    films: Vec<FilmReport>,
    files: Vec<FileDigest>,
    bytes: u64,
    frames: u64,
    reached: Option<Utc>,
}

/// An export under way. Blocking: runs on a thread of its own, step by step.
#[derive(Debug)]
pub struct Job {
    out: PathBuf,
    signer: Arc<Signer>,
    disk: Disk,
    state: State,
    film: Option<Film>,
    /// The footage was started at the mark.
    is_started: bool,
    /// A step failed: memory may be ahead of the disk.
    is_stale: bool,
    since_checkpoint: u64,
}

impl Job {
    /// Takes an order: from here on it survives a kill.
    ///
    /// # Errors
    /// [`ExportError::Order`], [`ExportError::Exists`], and those of the disk.
    pub fn create(out: &Path, order: Order, signer: Arc<Signer>) -> Result<Self, ExportError> {
        Self::create_on(Disk::default(), out, order, signer)
    }

    fn create_on(disk: Disk, out: &Path, order: Order, signer: Arc<Signer>) -> Result<Self, ExportError> {
        check(&order)?;
        let paths = Paths::new(out, &order.export_id);
        if [&paths.aside, &paths.part, &paths.done].iter().any(|path| path.exists()) {
            return Err(ExportError::Exists(order.export_id));
        }
        let cameras = order.cameras.iter().map(|_| CameraState::default()).collect();
        let state = State {
            version: 1,
            order,
            stage: Stage::Filming,
            is_paused: false,
            camera: 0,
            mark: Mark::default(),
            cameras,
            film_number: 0,
            film: None,
            films: Vec::new(),
            files: Vec::new(),
            bytes: 0,
            frames: 0,
            reached: None,
        };
        disk.make_folder(&paths.aside)?;
        disk.sync_folder(out)?;
        let mut job = Self::with(disk, out, signer, state);
        job.checkpoint()?;
        Ok(job)
    }

    fn with(disk: Disk, out: &Path, signer: Arc<Signer>, state: State) -> Self {
        let out = out.to_owned();
        Self { out, signer, disk, state, film: None, is_started: false, is_stale: false, since_checkpoint: 0 }
    }

    /// Finds a job, or what became of it, and carries an interrupted close or cancellation to its end.
    ///
    /// # Errors
    /// [`ExportError::Journal`], and those of the disk.
    pub fn open(out: &Path, export_id: &str, signer: Arc<Signer>) -> Result<Opened, ExportError> {
        Self::open_on(Disk::default(), out, export_id, signer)
    }

    fn open_on(disk: Disk, out: &Path, export_id: &str, signer: Arc<Signer>) -> Result<Opened, ExportError> {
        if !is_name(export_id) {
            return Err(ExportError::Order("the id of the export is no name for a folder"));
        }
        let paths = Paths::new(out, export_id);
        if paths.done.exists() {
            disk.remove_folder(&paths.aside)?;
            return Ok(Opened::Done(paths.done));
        }
        if !paths.journal.exists() {
            // Killed before the first journal, or in the middle of a cancellation.
            disk.remove_folder(&paths.part)?;
            disk.remove_folder(&paths.aside)?;
            return Ok(Opened::Nothing);
        }
        let state = read_journal(&paths.journal)?;
        let mut job = Self::with(disk, out, signer, state);
        if job.state.stage == Stage::Cancelled {
            job.remove()?;
            return Ok(Opened::Nothing);
        }
        Ok(Opened::Job(Box::new(job)))
    }

    /// Names of the jobs that are not finished in a folder of exports.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn unfinished(out: &Path) -> std::io::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(out)? {
            let name = entry?.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".job")) {
                found.push(id.to_owned());
            }
        }
        found.sort();
        Ok(found)
    }

    /// The order.
    pub const fn order(&self) -> &Order {
        &self.state.order
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let order = &self.state.order;
        let span = order.to.micros().saturating_sub(order.from.micros()).max(1);
        let within = self.state.reached.map_or(0, |at| at.micros().saturating_sub(order.from.micros()).clamp(0, span));
        let cameras = i64::try_from(order.cameras.len()).unwrap_or(1).max(1);
        let before = i64::try_from(self.state.camera).unwrap_or(0);
        let share = before.saturating_mul(1_000).saturating_add(within.saturating_mul(1_000) / span) / cameras;
        Progress {
            stage: self.state.stage,
            camera: self.state.camera,
            per_mille: if self.state.stage == Stage::Filming {
                u16::try_from(share.min(1_000)).unwrap_or(0)
            } else {
                1_000
            },
            bytes: self.state.bytes,
            frames: self.state.frames,
            is_paused: self.state.is_paused,
        }
    }

    /// Stops until [`Job::resume`], also over a restart.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn pause(&mut self) -> Result<(), ExportError> {
        self.refresh()?;
        self.state.is_paused = true;
        self.checkpoint()
    }

    /// Goes on.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn resume(&mut self) -> Result<(), ExportError> {
        self.refresh()?;
        self.state.is_paused = false;
        self.checkpoint()
    }

    /// Gives up and removes everything that was written.
    ///
    /// # Errors
    /// Those of the disk; [`Job::open`] then finishes the work.
    pub fn cancel(mut self) -> Result<(), ExportError> {
        self.film = None;
        self.state.film = None;
        self.state.stage = Stage::Cancelled;
        self.write_journal()?;
        self.remove()
    }

    fn remove(&mut self) -> Result<(), ExportError> {
        let paths = self.paths();
        self.disk.remove_folder(&paths.part)?;
        self.disk.remove_folder(&paths.aside)
    }

    /// Does a bounded piece of work: one fragment, one paper, one check.
    ///
    /// # Errors
    /// [`ExportError`]; the next step starts again from the last checkpoint.
    pub fn step(&mut self, footage: &mut dyn Footage) -> Result<Step, ExportError> {
        self.refresh()?;
        if self.state.is_paused {
            return Ok(Step::Paused);
        }
        let outcome = self.work(footage);
        if outcome.is_err() {
            self.is_stale = true;
        }
        outcome
    }

    fn work(&mut self, footage: &mut dyn Footage) -> Result<Step, ExportError> {
        match self.state.stage {
            Stage::Filming => self.film_step(footage)?,
            Stage::Papers => self.papers_step()?,
            Stage::Checking => self.check_step()?,
            Stage::Closing => return self.close_step(),
            Stage::Cancelled => return Err(ExportError::Order("the export was cancelled")),
        }
        Ok(Step::More)
    }

    /// After a failure: back to what the disk holds. After a restart: opens the film that was being written.
    fn refresh(&mut self) -> Result<(), ExportError> {
        if self.is_stale {
            self.film = None;
            self.state = read_journal(&self.paths().journal)?;
            (self.is_started, self.is_stale, self.since_checkpoint) = (false, false, 0);
        }
        if let (None, Some(state)) = (&self.film, &self.state.film) {
            let paths = self.paths();
            let name = self.camera_name(self.state.camera);
            self.film = Some(Film::resume(&self.disk, (&paths.part, &paths.aside), &name, state.clone())?);
        }
        Ok(())
    }

    fn film_step(&mut self, footage: &mut dyn Footage) -> Result<(), ExportError> {
        if !self.is_started {
            self.disk.make_folder(&self.paths().part)?;
            let mark = (self.state.mark.pieces > 0).then_some(&self.state.mark);
            footage.start(self.state.camera, mark)?;
            self.is_started = true;
        }
        let Some(piece) = footage.next()? else { return self.camera_done() };
        match piece {
            Piece::Segment(fact) => self.camera_state()?.segment(fact),
            Piece::Gap(gap) => self.camera_state()?.gap(gap),
            Piece::Frames(frames) => self.take(&frames)?,
        }
        self.state.mark.pieces = self.state.mark.pieces.saturating_add(1);
        if self.since_checkpoint >= CHECKPOINT_BYTES { self.checkpoint() } else { Ok(()) }
    }

    fn take(&mut self, frames: &Frames) -> Result<(), ExportError> {
        if self.film.as_ref().is_some_and(|film| !film.takes(frames)) {
            self.film_done()?;
        }
        if self.film.is_none() {
            if self.state.film_number >= FILMS_MAX {
                return Err(ExportError::Order("the footage falls into more than 999 films; ask for a shorter span"));
            }
            self.state.film_number += 1;
            let paths = self.paths();
            let place = (self.state.film_number, self.state.camera);
            let name = self.camera_name(self.state.camera);
            self.film = Some(Film::begin(&self.disk, (&paths.part, &paths.aside), place, &name, frames)?);
        }
        let film = self.film.as_mut().ok_or(ExportError::Journal)?;
        let hole = film.hole_before(frames);
        let before = film.bytes();
        film.append(&self.disk, frames)?;
        let written = film.bytes().saturating_sub(before);
        self.since_checkpoint = self.since_checkpoint.saturating_add(written);
        self.state.bytes = self.state.bytes.saturating_add(written);
        let units = u64::try_from(frames.fragment.units().len()).unwrap_or(0);
        self.state.frames = self.state.frames.saturating_add(units);
        self.state.mark.last = Some((frames.segment.clone(), frames.record));
        let reached = self.camera_state()?.note(frames, hole);
        self.state.reached = Some(reached);
        Ok(())
    }

    fn film_done(&mut self) -> Result<(), ExportError> {
        if let Some(film) = self.film.take() {
            let (report, files) = film.finish(&self.disk, &self.state.order, &self.signer)?;
            self.state.films.push(report);
            self.state.files.extend(files);
        }
        self.state.film = None;
        Ok(())
    }

    fn camera_done(&mut self) -> Result<(), ExportError> {
        self.film_done()?;
        self.state.camera = self.state.camera.saturating_add(1);
        (self.state.mark, self.state.reached, self.is_started) = (Mark::default(), None, false);
        if self.state.camera >= self.state.cameras.len() {
            self.state.camera = self.state.cameras.len().saturating_sub(1);
            self.state.stage = Stage::Papers;
        }
        self.checkpoint()
    }

    fn papers_step(&mut self) -> Result<(), ExportError> {
        if self.state.films.is_empty() {
            let gaps =
                self.reports().iter().flat_map(|camera| camera.gaps.iter().map(papers::gap_words)).collect::<Vec<_>>();
            return Err(ExportError::NothingRecorded { gaps: gaps.join("; ") });
        }
        let reports = self.reports();
        let films = (self.state.films.as_slice(), self.state.files.as_slice());
        papers::write(&self.disk, &self.paths().part, &self.state.order, reports, films, &self.signer)?;
        self.state.stage = Stage::Checking;
        self.checkpoint()
    }

    fn check_step(&mut self) -> Result<(), ExportError> {
        let trust = verify::Trust { certificate_sha256: Some(self.signer.fingerprint()), log_key: None };
        let report = verify::folder(&self.paths().part, &trust);
        if report.verdict != verify::Verdict::Authentic {
            return Err(ExportError::NotVerified(report.failures().join("; ")));
        }
        self.state.stage = Stage::Closing;
        self.checkpoint()
    }

    fn close_step(&mut self) -> Result<Step, ExportError> {
        let paths = self.paths();
        // After a kill between these two the folder has its name already.
        if !paths.done.exists() {
            self.disk.rename(&paths.part, &paths.done)?;
        }
        self.disk.remove_folder(&paths.aside)?;
        Ok(Step::Done(paths.done))
    }

    /// Makes everything durable, then says so in the journal.
    fn checkpoint(&mut self) -> Result<(), ExportError> {
        self.state.film = match &mut self.film {
            Some(film) => Some(film.checkpoint(&self.disk)?),
            None => None,
        };
        self.since_checkpoint = 0;
        self.write_journal()
    }

    fn write_journal(&self) -> Result<(), ExportError> {
        let bytes = serde_json::to_vec(&self.state).map_err(|_| ExportError::Journal)?;
        self.disk.put(&self.paths().journal, &bytes)
    }

    fn reports(&self) -> Vec<CameraReport> {
        let order = &self.state.order;
        let span = (order.from, order.to);
        order.cameras.iter().zip(&self.state.cameras).map(|(facts, state)| state.report(facts.clone(), span)).collect()
    }

    fn camera_state(&mut self) -> Result<&mut CameraState, ExportError> {
        self.state.cameras.get_mut(self.state.camera).ok_or(ExportError::Journal)
    }

    fn camera_name(&self, camera: usize) -> String {
        self.state.order.cameras.get(camera).map_or_else(String::new, |facts| facts.name.clone())
    }

    fn paths(&self) -> Paths {
        Paths::new(&self.out, &self.state.order.export_id)
    }
}

fn read_journal(path: &Path) -> Result<State, ExportError> {
    let fits = std::fs::metadata(path).is_ok_and(|data| data.len() <= JOURNAL_MAX);
    let bytes = fits.then(|| std::fs::read(path).ok()).flatten().ok_or(ExportError::Journal)?;
    let state: State = serde_json::from_slice(&bytes).map_err(|_| ExportError::Journal)?;
    let whole = state.version == 1 && state.cameras.len() == state.order.cameras.len();
    if whole { Ok(state) } else { Err(ExportError::Journal) }
}

/// Where the parts of one export are.
struct Paths {
    aside: PathBuf,
    journal: PathBuf,
    part: PathBuf,
    done: PathBuf,
}

impl Paths {
    fn new(out: &Path, export_id: &str) -> Self {
        let aside = out.join(format!("{export_id}.job"));
        let journal = aside.join("journal.json");
        Self { aside, journal, part: out.join(format!("{export_id}.part")), done: out.join(export_id) }
    }
}

/// Small letters, digits, `_` and `-`: a name on every file system, and no way out of the folder.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 80
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn check(order: &Order) -> Result<(), ExportError> {
    let reason = if !is_name(&order.export_id) {
        "the id of the export is no name for a folder"
    } else if order.to <= order.from {
        "the span ends before it begins"
    } else if order.cameras.is_empty() || order.cameras.len() > CAMERAS_MAX {
        "between 1 and 64 cameras"
    } else if order.case_number.trim().is_empty() {
        "a case number is needed"
    } else if order.purpose.code.trim().is_empty() || order.purpose.justification.trim().is_empty() {
        "a purpose and a justification are needed"
    } else if order.approved_by.as_ref().is_some_and(|second| second.id == order.requested_by.id) {
        "the second person is the first"
    } else if order.cameras.iter().any(|camera| camera.basis.document.trim().is_empty()) {
        "a camera has no legal basis"
    } else {
        return Ok(());
    };
    Err(ExportError::Order(reason))
}

#[cfg(test)]
pub(crate) mod tests;
