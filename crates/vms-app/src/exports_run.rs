//! The reconciler of evidence exports: begins what is approved, decides again while it runs, notes how far it is, and removes what
//! is past its term. It takes no input: rows, rights and the desk say all there is to know, so that a kill at any moment is made good
//! by the next round.
//!
//! ```text
//! waits ─▶ queued ─▶ running ─▶ done ─▶ removed
//!   │         ▲  pause│ ▲resume    (term of RC-EXP, or a person)
//!   │         └── paused┘
//!   ├▶ refused, withdrawn        queued, running, paused ─▶ cancelled (a person), failed (the footage, or a right that is gone)
//! ```
//!
//! Overflow policy: at most [`ExportLimits::jobs_max`](crate::exports_model::ExportLimits) packages are made at once, the rest waits in
//! the order of its making; at most `waiting_max` wait, one more is refused with words.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use audit::LeafKind;
use policy::Audience;
use serde_json::json;
use tokio::sync::Mutex;
use vms_core::{ExportId, Profile, UserId, WallTime};

use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::exports::{expiry, leaf};
use crate::exports_fetch::Fetches;
use crate::exports_model::{
    Export, ExportDesk, ExportProgress, HALTED, PackageCamera, PackageDone, PackageOrder, PackageState,
};
use crate::gate::action::{ApproveExport, RunExport};
use crate::gate::{Actor, Delivered, GateError, Permit, Target, Why};
use crate::live::RECHECK_EVERY;
use crate::ports::StoreError;
use crate::words::ExportState;

/// Of several serve processes one makes exports; when it dies, another takes over after this.
const LEASE: Duration = Duration::from_secs(15);
/// It is renewed when less than this is left of it.
const LEASE_SPARE: Duration = Duration::from_secs(10);
const LEASE_NAME: &str = "exports";
/// While nothing is made, terms and leftovers are looked at so often.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Why an export waits while the disk has less than two hours left. It goes on by itself.
pub const ROOM_IS_SHORT: &str = "room_is_short";

/// The runs and fetches of this process.
#[derive(Debug)]
pub(crate) struct ExportBoard {
    /// This process, as the lease knows it.
    holder: String,
    leased_until_us: AtomicI64,
    looked_at_us: AtomicI64,
    runs: Mutex<HashMap<ExportId, Run>>,
    pub(crate) fetches: Fetches,
}

impl ExportBoard {
    pub(crate) fn new(holder: String) -> Self {
        let (leased_until_us, looked_at_us) = (AtomicI64::new(i64::MIN), AtomicI64::new(i64::MIN));
        Self { holder, leased_until_us, looked_at_us, runs: Mutex::default(), fetches: Fetches::default() }
    }
}

/// One that this process works on.
#[derive(Debug)]
struct Run {
    /// Of each camera, in order; at least one.
    permits: Vec<Permit<RunExport>>,
    decided_at: WallTime,
    /// The version of everything that rights depend on, when it was decided.
    version: u64,
}

/// Paused for want of room, by nobody.
fn is_spared(row: &Export) -> bool {
    row.state == ExportState::Paused && row.failure.as_deref() == Some(ROOM_IS_SHORT)
}

/// What an export may be run with.
struct Facts {
    cameras: Vec<PackageCamera>,
    ordered: Actor,
    approved: Actor,
    /// One for each camera.
    targets: Vec<Target>,
    why: Why,
}

impl UseCases {
    /// One round, about once a second.
    ///
    /// # Errors
    /// [`UseCaseError`]; the next round tries again.
    pub async fn exports_round(&self) -> Result<(), UseCaseError> {
        let Ok(desk) = self.export_desk() else { return Ok(()) };
        let open = self.stores.export_list_open().await?;
        let mut runs = self.exports.runs.lock().await;
        let is_active =
            |row: &Export| matches!(row.state, ExportState::Queued | ExportState::Running) || is_spared(row);
        let board = &self.exports;
        let now = self.now();
        let looked_at = WallTime::from_micros(board.looked_at_us.load(Ordering::Relaxed));
        if runs.is_empty() && !open.iter().any(is_active) && now < looked_at.plus(LOOK_EVERY) {
            return Ok(());
        }
        if !self.exports_lease(desk, &mut runs).await? {
            return Ok(());
        }
        board.looked_at_us.store(now.micros, Ordering::Relaxed);
        self.exports_clean(desk, &open, &mut runs).await?;
        if self.exports_spared(desk, &open, &mut runs).await? {
            return Ok(());
        }
        for row in open.iter().filter(|row| row.state == ExportState::Running) {
            if let Some(run) = runs.remove(&row.id) {
                if let Some(run) = self.export_watch(desk, row, run).await? {
                    runs.insert(row.id, run);
                }
            } else if let Some(run) = self.export_begin(desk, row).await? {
                runs.insert(row.id, run);
            }
        }
        for row in open.iter().filter(|row| row.state == ExportState::Queued) {
            if runs.len() >= desk.limits().jobs_max {
                break;
            }
            if let Some(run) = self.export_begin(desk, row).await? {
                runs.insert(row.id, run);
            }
        }
        Ok(())
    }

    /// While the disk has less than two hours left nothing is made: what runs or waits for its turn is paused, and says why. When there is
    /// room again it goes on in its old order. True: nothing else is to be done.
    async fn exports_spared(
        &self,
        desk: &dyn ExportDesk,
        open: &[Export],
        runs: &mut HashMap<ExportId, Run>,
    ) -> Result<bool, UseCaseError> {
        let is_short = self.storage_health().spares;
        for row in open {
            let is_active = matches!(row.state, ExportState::Queued | ExportState::Running);
            let next = if is_short && is_active {
                desk.halt(row.id).await;
                if let Some(run) = runs.remove(&row.id) {
                    self.export_close(desk, row.id, run, ROOM_IS_SHORT).await?;
                }
                Export { state: ExportState::Paused, failure: Some(ROOM_IS_SHORT.to_owned()), ..row.clone() }
            } else if !is_short && is_spared(row) {
                Export { state: ExportState::Queued, failure: None, ..row.clone() }
            } else {
                continue;
            };
            let operation = if is_short { "export_paused" } else { "export_resumed" };
            self.record(operation, LeafKind::System, None, leaf(&next)).await?;
            match self.stores.export_update(&next, row.state).await {
                // A person was faster.
                Ok(()) | Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(is_short || open.iter().any(is_spared))
    }

    /// Takes or renews the lease; without it, nothing of this process goes on.
    async fn exports_lease(
        &self,
        desk: &dyn ExportDesk,
        runs: &mut HashMap<ExportId, Run>,
    ) -> Result<bool, UseCaseError> {
        let (board, now) = (&self.exports, self.now());
        let until = WallTime::from_micros(board.leased_until_us.load(Ordering::Relaxed));
        if until >= now.plus(LEASE_SPARE) {
            return Ok(true);
        }
        let wanted = now.plus(LEASE);
        if self.stores.lease_take(LEASE_NAME, &board.holder, now, wanted).await? {
            board.leased_until_us.store(wanted.micros, Ordering::Relaxed);
            return Ok(true);
        }
        for (id, run) in runs.drain() {
            desk.halt(id).await;
            self.export_close(desk, id, run, "lease_lost").await?;
        }
        Ok(false)
    }

    /// What no row wants any more is stopped and removed, also what a killed process left on the disk.
    async fn exports_clean(
        &self,
        desk: &dyn ExportDesk,
        open: &[Export],
        runs: &mut HashMap<ExportId, Run>,
    ) -> Result<(), UseCaseError> {
        let now = self.now();
        let term_us = self.package_term_us()?;
        let state = |id: ExportId| open.iter().find(|row| row.id == id).map(|row| row.state);
        for id in runs.keys().copied().collect::<Vec<_>>() {
            if state(id) != Some(ExportState::Running)
                && let Some(run) = runs.remove(&id)
            {
                desk.halt(id).await;
                self.export_close(desk, id, run, "stopped").await?;
            }
        }
        for id in desk.on_disk().await.map_err(UseCaseError::Unavailable)? {
            if matches!(state(id), None | Some(ExportState::Waits)) {
                desk.discard(id).await.map_err(UseCaseError::Unavailable)?;
            }
        }
        for row in open {
            let (is_over, ended) = match row.state {
                ExportState::Done => (row.expires_at.is_some_and(|at| at <= now), ExportState::Removed),
                // Footage that lies half written is under the term of a package as well.
                ExportState::Paused => {
                    let since = row.settled.as_ref().map_or(row.ordered.at, |by| by.at);
                    (expiry(since, term_us) <= now, ExportState::Cancelled)
                }
                ExportState::Waits
                | ExportState::Refused
                | ExportState::Withdrawn
                | ExportState::Queued
                | ExportState::Running
                | ExportState::Failed
                | ExportState::Cancelled
                | ExportState::Removed => (false, row.state),
            };
            if is_over {
                let gone = Export { state: ended, failure: Some("term".to_owned()), ..row.clone() };
                self.record("export_expired", LeafKind::System, None, leaf(&gone)).await?;
                self.stores.export_update(&gone, row.state).await?;
                desk.discard(row.id).await.map_err(UseCaseError::Unavailable)?;
            }
        }
        Ok(())
    }

    /// A step of a person takes effect at once, not with the next round.
    pub(crate) async fn export_stepped(&self, export: &Export) -> Result<(), UseCaseError> {
        let desk = self.export_desk()?;
        match export.state {
            ExportState::Paused | ExportState::Cancelled => {
                desk.halt(export.id).await;
                if let Some(run) = self.exports.runs.lock().await.remove(&export.id) {
                    self.export_close(desk, export.id, run, export.state.as_str()).await?;
                }
            }
            ExportState::Waits
            | ExportState::Refused
            | ExportState::Withdrawn
            | ExportState::Queued
            | ExportState::Running
            | ExportState::Done
            | ExportState::Failed
            | ExportState::Removed => {}
        }
        if matches!(export.state, ExportState::Cancelled | ExportState::Removed) {
            desk.discard(export.id).await.map_err(UseCaseError::Unavailable)?;
        }
        Ok(())
    }

    /// Somebody as they may act now: switched off, or under another profile than then, they may not.
    async fn party(&self, user: UserId, profile: Profile, export: &Export) -> Result<Option<Actor>, UseCaseError> {
        let account = self.stores.account_of_session(user).await?;
        let account = account.filter(|account| account.disabled_at.is_none() && account.profile == profile);
        let Some(account) = account else { return Ok(None) };
        let Some(org) = self.org(account.org).await? else { return Ok(None) };
        Ok(Some(Actor {
            user,
            session: export.session,
            org: account.org,
            profile,
            user_name: account.user_name,
            org_code: org.code,
        }))
    }

    /// Both people and the cameras, as they are now; `None` when one of them may not any more.
    async fn export_facts(&self, export: &Export) -> Result<Option<Facts>, UseCaseError> {
        let ordered = self.party(export.ordered.user, export.ordered_as, export).await?;
        let settled = export.settled.as_ref().zip(export.settled_as);
        let approved = match settled {
            Some((by, profile)) => self.party(by.user, profile, export).await?,
            None => None,
        };
        let (Some(ordered), Some(approved)) = (ordered, approved) else { return Ok(None) };
        let why = Why {
            purpose: Some(export.purpose),
            justification: Some(export.reason.clone()),
            case_ref: Some(export.case_ref.clone()),
            magistrate_ref: export.magistrate_ref.clone(),
            second_person: Some(approved.user),
        };
        let (mut cameras, mut targets) = (Vec::new(), Vec::new());
        for source in export.sources() {
            let Some(camera) = self.stores.camera_by_stream(source.stream).await? else { return Ok(None) };
            let second = self.camera_target::<ApproveExport>(&approved, &camera, None).await?;
            if !self.gate.would::<ApproveExport>(&approved, &second).is_allow() || camera.legal_basis.is_none() {
                return Ok(None);
            }
            let target = self.camera_target::<RunExport>(&ordered, &camera, Some(export.purpose)).await?;
            let (stream, range, object) = (Some(source.stream), Some(export.range), Some(export.id.to_string()));
            targets.push(Target { stream, range, object, ..target });
            cameras.push(PackageCamera { camera, stream: source.stream });
        }
        // Sold or handed over meanwhile: one order is of one owner.
        let owner = cameras.first().map(|one| one.camera.owner);
        let is_one = cameras.iter().all(|one| Some(one.camera.owner) == owner);
        Ok(is_one.then_some(Facts { cameras, ordered, approved, targets, why }))
    }

    /// A permit for each camera, or none at all: what was permitted before one is refused is closed again.
    async fn export_permits(&self, facts: &Facts) -> Result<Option<Vec<Permit<RunExport>>>, UseCaseError> {
        let mut permits = Vec::new();
        for target in &facts.targets {
            match self.gate.permit::<RunExport>(&facts.ordered, target.clone(), &facts.why).await {
                Ok(permit) => permits.push(permit),
                Err(error) => {
                    self.export_close_all(permits, "not_begun", ExportProgress::default()).await?;
                    return match error {
                        GateError::Denied { .. } | GateError::Missing(_) | GateError::Unknown => Ok(None),
                        GateError::LogUnavailable(_) => Err(error.into()),
                    };
                }
            }
        }
        Ok(Some(permits))
    }

    /// A capability for each camera; fewer where a permit names no stream.
    fn export_capabilities(&self, permits: &[Permit<RunExport>]) -> Vec<String> {
        permits.iter().filter_map(|permit| self.gate.capability(permit, Audience::Recorder)).collect()
    }

    /// Decides, writes the leaves, and lets the desk begin or go on. `None`: it did not begin, and its row says why if it never will.
    async fn export_begin(&self, desk: &dyn ExportDesk, row: &Export) -> Result<Option<Run>, UseCaseError> {
        let version = *self.changes.borrow();
        let Some(facts) = self.export_facts(row).await? else {
            self.export_failed(desk, row, "revoked").await?;
            return Ok(None);
        };
        let Some(permits) = self.export_permits(&facts).await? else {
            self.export_failed(desk, row, "revoked").await?;
            return Ok(None);
        };
        let running = Export { state: ExportState::Running, failure: None, ..row.clone() };
        let noted = self.stores.export_update(&running, row.state).await;
        let capabilities = self.export_capabilities(&permits);
        let first = permits.first().map(|permit| (permit.decision(), permit.log_index()));
        let (Ok(()), Some((decision, log_index)), true) = (&noted, first, capabilities.len() == permits.len()) else {
            // A person was faster, or the database is away: nothing was read.
            self.export_close_all(permits, "not_begun", ExportProgress::default()).await?;
            return if matches!(noted, Err(StoreError::Stale)) { Ok(None) } else { Ok(noted.map(|()| None)?) };
        };
        let owner = match facts.cameras.first() {
            Some(one) => self.org(one.camera.owner).await?.map_or_else(String::new, |org| org.code),
            None => String::new(),
        };
        desk.go(PackageOrder {
            export: running,
            cameras: facts.cameras,
            ordered_org: facts.ordered.org_code,
            approved_org: facts.approved.org_code,
            owner,
            decision,
            log_index,
            capabilities,
        })
        .await;
        Ok(Some(Run { permits, decided_at: self.now(), version }))
    }

    /// Decides again for every camera of one that works.
    async fn export_renew(&self, row: &Export, run: &Run) -> Result<Result<(), GateError>, UseCaseError> {
        let Some(facts) = self.export_facts(row).await? else { return Ok(Err(GateError::Unknown)) };
        for (permit, target) in run.permits.iter().zip(facts.targets) {
            if let Err(error) = self.gate.renew(permit, target).await {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Looks after one that works. `None` when it came to an end.
    async fn export_watch(
        &self,
        desk: &dyn ExportDesk,
        row: &Export,
        mut run: Run,
    ) -> Result<Option<Run>, UseCaseError> {
        let (now, version) = (self.now(), *self.changes.borrow());
        if now >= run.decided_at.plus(RECHECK_EVERY) || version != run.version {
            match self.export_renew(row, &run).await? {
                Ok(()) => (run.decided_at, run.version) = (now, version),
                Err(GateError::LogUnavailable(_)) => {
                    // No leaf, no footage: it stops at a checkpoint and begins again when the log can be written.
                    desk.halt(row.id).await;
                    return Ok(None);
                }
                Err(GateError::Denied { .. } | GateError::Missing(_) | GateError::Unknown) => {
                    for permit in &run.permits {
                        self.media.revoke(permit.decision()).await;
                    }
                    desk.halt(row.id).await;
                    self.export_close(desk, row.id, run, "revoked").await?;
                    self.export_failed(desk, row, "revoked").await?;
                    return Ok(None);
                }
            }
            let capabilities = self.export_capabilities(&run.permits);
            if capabilities.len() == run.permits.len() {
                desk.renew(row.id, capabilities);
            }
        }
        match desk.look(row.id) {
            PackageState::Working(progress, waits_for) => {
                if progress != row.progress {
                    self.stores.export_progress(row.id, progress).await?;
                }
                let failure = waits_for.map(str::to_owned);
                if failure != row.failure {
                    let noted = Export { failure, progress, ..row.clone() };
                    self.stores.export_update(&noted, ExportState::Running).await?;
                }
                Ok(Some(run))
            }
            PackageState::Done(done) => {
                self.export_close(desk, row.id, run, "done").await?;
                self.export_done(row, done).await?;
                Ok(None)
            }
            // Told to stop: whoever told it says what the row becomes.
            PackageState::Stopped(_, HALTED) => {
                self.export_close(desk, row.id, run, HALTED).await?;
                Ok(None)
            }
            PackageState::Stopped(progress, why) => {
                self.export_close(desk, row.id, run, why).await?;
                let paused =
                    Export { state: ExportState::Paused, failure: Some(why.to_owned()), progress, ..row.clone() };
                self.record("export_paused", LeafKind::System, None, leaf(&paused)).await?;
                self.stores.export_update(&paused, row.state).await?;
                Ok(None)
            }
            PackageState::Failed(why) => {
                self.export_close(desk, row.id, run, why).await?;
                self.export_failed(desk, row, why).await?;
                Ok(None)
            }
            // Nobody works on it: the next round begins it again.
            PackageState::Idle => {
                self.export_close(desk, row.id, run, "interrupted").await?;
                Ok(None)
            }
        }
    }

    async fn export_done(&self, row: &Export, done: PackageDone) -> Result<(), UseCaseError> {
        let now = self.now();
        let PackageDone { progress, manifest_sha256 } = done;
        let finished = Export {
            state: ExportState::Done,
            progress: ExportProgress { per_mille: 1_000, ..progress },
            failure: None,
            ended_at: Some(now),
            expires_at: Some(expiry(now, self.package_term_us()?)),
            manifest_sha256: Some(hex(&manifest_sha256)),
            ..row.clone()
        };
        self.record("export_done", LeafKind::System, None, leaf(&finished)).await?;
        Ok(self.stores.export_update(&finished, row.state).await?)
    }

    /// It never will: what was written goes, and the row says why.
    async fn export_failed(&self, desk: &dyn ExportDesk, row: &Export, why: &str) -> Result<(), UseCaseError> {
        let (failure, ended_at) = (Some(why.to_owned()), Some(self.now()));
        let failed = Export { state: ExportState::Failed, failure, ended_at, ..row.clone() };
        self.record("export_failed", LeafKind::System, None, leaf(&failed)).await?;
        self.stores.export_update(&failed, row.state).await?;
        desk.discard(row.id).await.map_err(UseCaseError::Unavailable)
    }

    /// The closing leaves of a run.
    async fn export_close(&self, desk: &dyn ExportDesk, id: ExportId, run: Run, why: &str) -> Result<(), UseCaseError> {
        let progress = match desk.look(id) {
            PackageState::Working(progress, _) | PackageState::Stopped(progress, _) => progress,
            PackageState::Done(done) => done.progress,
            PackageState::Idle | PackageState::Failed(_) => ExportProgress::default(),
        };
        self.export_close_all(run.permits, why, progress).await
    }

    /// How much footage was read stands once, with the first camera: the package is one. Every leaf is tried, whatever happens to
    /// another.
    async fn export_close_all(
        &self,
        permits: Vec<Permit<RunExport>>,
        why: &str,
        progress: ExportProgress,
    ) -> Result<(), UseCaseError> {
        let mut outcome = Ok(());
        for (number, permit) in permits.into_iter().enumerate() {
            let ExportProgress { bytes, frames, .. } = if number == 0 { progress } else { ExportProgress::default() };
            let delivered = Delivered { units: frames, bytes, why: why.to_owned() };
            outcome = outcome.and(self.gate.close(permit, delivered).await);
        }
        Ok(outcome?)
    }

    /// At the end of the process: another one need not wait for the lease to run out.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn exports_let_go(&self) -> Result<(), UseCaseError> {
        Ok(self.stores.lease_release(LEASE_NAME, &self.exports.holder).await?)
    }

    /// At start: runs that an earlier process left open get their closing word in the log; the rounds take them up again.
    ///
    /// # Errors
    /// `LogUnavailable`, `StoreUnavailable`.
    pub async fn exports_take_up(&self) -> Result<usize, UseCaseError> {
        let open = self.stores.export_list_open().await?;
        let running: Vec<&Export> = open.iter().filter(|row| row.state == ExportState::Running).collect();
        for row in &running {
            let details = json!({ "export": row.id.to_string(), "ended": "process_restarted" });
            self.record("export_interrupted", LeafKind::System, None, details).await?;
        }
        Ok(running.len())
    }
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
