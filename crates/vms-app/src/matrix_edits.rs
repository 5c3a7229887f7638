//! Changing the role matrix: a draft, its difference, a second person, and a set time (blueprint 4.5). Every step is a leaf of the
//! log; every version stays readable. What breaks a separation rule is refused before anybody else has to look at it.
//!
//! Belongs here: the life of a version. Does not belong here: what a matrix may say (`policy`).

use std::sync::Arc;
use std::time::Duration;

use audit::LeafKind;
use policy::{CameraFact, Diff, Matrix, MatrixError, People};
use serde_json::{Value, json};
use uuid::Uuid;
use vms_core::{Right, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{ApproveMatrix, ProposeMatrix, ViewMatrix};
use crate::gate::{Actor, Target, Why};
use crate::legal_changes::{Settling, reason_of};
use crate::matrix_ports::MatrixVersion;
use crate::words::MatrixState;

/// How far ahead a change may be set.
const AHEAD_MAX: Duration = Duration::from_secs(92 * 86_400);
/// How long ago the set time may lie when the draft arrives: a client's slow clock.
const BEHIND_MAX: Duration = Duration::from_secs(300);
/// Most versions in one list.
const LIST_MAX: u32 = 200;

/// The matrix in force, for who may see it.
#[derive(Clone, Debug)]
pub struct MatrixInForce {
    /// Compiled.
    pub matrix: Arc<Matrix>,
    /// Its row; absent before the first start has stored it.
    pub row: Option<MatrixVersion>,
}

/// A version with what its change means today.
#[derive(Clone, Debug)]
pub struct MatrixSight {
    /// The version.
    pub version: MatrixVersion,
    /// Against the matrix in force; absent for a text that this program does not read any more.
    pub diff: Option<Diff>,
    /// Whether the actor may agree to it or refuse it.
    pub may_settle: bool,
    /// Whether the actor may take it back.
    pub may_withdraw: bool,
}

impl UseCases {
    /// The matrix in force.
    ///
    /// # Errors
    /// `Denied`, `LogUnavailable`.
    pub async fn matrix_in_force(&self, actor: &Actor) -> Result<MatrixInForce, UseCaseError> {
        self.gate.permit::<ViewMatrix>(actor, Target::none(), &Why::default()).await?;
        Ok(MatrixInForce { matrix: self.gate.matrix(), row: self.stores.matrix_active().await? })
    }

    /// Every version, newest first.
    ///
    /// # Errors
    /// `Denied`, `LogUnavailable`.
    pub async fn matrix_versions(&self, actor: &Actor) -> Result<Vec<MatrixVersion>, UseCaseError> {
        self.gate.permit::<ViewMatrix>(actor, Target::none(), &Why::default()).await?;
        Ok(self.stores.matrix_list(LIST_MAX).await?)
    }

    /// One version, with its difference to what is in force.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `LogUnavailable`.
    pub async fn matrix_version(&self, actor: &Actor, id: Uuid) -> Result<MatrixSight, UseCaseError> {
        let target = Target { object: Some(id.to_string()), ..Target::none() };
        self.gate.permit::<ViewMatrix>(actor, target, &Why::default()).await?;
        let version = self.stores.matrix_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::MatrixVersion))?;
        self.matrix_sight(actor, version).await
    }

    async fn matrix_sight(&self, actor: &Actor, version: MatrixVersion) -> Result<MatrixSight, UseCaseError> {
        let diff = match policy::Table::read(&version.text) {
            Ok(table) => Some(self.matrix_diff_to(&table).await?),
            Err(_) => None,
        };
        let is_own = version.proposed.as_ref().is_some_and(|by| by.user == actor.user);
        let approves = self.gate.would::<ApproveMatrix>(actor, &Target::none()).is_allow();
        Ok(MatrixSight {
            may_settle: version.state == MatrixState::Waiting && !is_own && approves,
            may_withdraw: is_own && matches!(version.state, MatrixState::Waiting | MatrixState::Approved),
            version,
            diff,
        })
    }

    async fn matrix_diff_to(&self, table: &policy::Table) -> Result<Diff, UseCaseError> {
        let orgs = self.orgs_now().await?;
        let code = |id| orgs.iter().find(|org| org.id == id).map_or_else(String::new, |org| org.code.clone());
        let people: Vec<People> = self
            .stores
            .matrix_people()
            .await?
            .into_iter()
            .map(|count| People {
                profile: count.profile,
                org: code(count.org),
                accounts: usize::try_from(count.accounts).unwrap_or(usize::MAX),
            })
            .collect();
        let now = self.now();
        let grants = self.stores.grant_list_all().await?;
        let shared = |camera| {
            let holds = |grant: &crate::model::Grant| {
                let period = grant.terms.period;
                grant.revoked_at.is_none_or(|at| at > now) && period.from <= now && now < period.to
            };
            let in_force = grants.iter().filter(|grant| grant.terms.camera == camera && holds(grant));
            in_force.map(|grant| code(grant.terms.partner)).collect()
        };
        let cameras: Vec<CameraFact> = self
            .cameras_now()
            .await?
            .iter()
            .map(|camera| CameraFact {
                name: camera.code.clone(),
                owner: code(camera.owner),
                shared_with: shared(camera.id),
            })
            .collect();
        Ok(policy::diff(&self.gate.matrix(), table, &people, &cameras))
    }

    /// Puts a text before a second person. Nothing changes until somebody else agrees and its time has come.
    ///
    /// # Errors
    /// `Denied`, `Missing`, `Invalid` (the text's fault names row and word, or the rule that it breaks),
    /// `Conflict(Taken("matrix"))` while another is open.
    pub async fn matrix_propose(
        &self,
        actor: &Actor,
        text: &str,
        active_at: Option<WallTime>,
        why: &Why,
    ) -> Result<MatrixSight, UseCaseError> {
        self.gate.permit::<ProposeMatrix>(actor, Target::none(), why).await?;
        let reason = reason_of(why.justification.as_deref().unwrap_or_default())?;
        let now = self.now();
        let active_at = active_at.unwrap_or(now).max(now.minus(BEHIND_MAX));
        if active_at > now.plus(AHEAD_MAX) {
            return Err(UseCaseError::invalid("active_at", "too_far_ahead"));
        }
        let matrix = read(text)?;
        let before = self.gate.matrix();
        if matrix.digest() == before.digest() {
            return Err(UseCaseError::invalid("text", "no_change"));
        }
        if matrix.version() == before.version() {
            return Err(UseCaseError::invalid("text", "the version must be a new one"));
        }
        if self.stores.matrix_open().await?.is_some() {
            return Err(UseCaseError::Conflict(Conflict::Taken("matrix")));
        }
        let version = MatrixVersion {
            id: self.ids.uuid(),
            version: matrix.version().to_owned(),
            digest: matrix.digest().to_owned(),
            text: text.to_owned(),
            base_digest: before.digest().to_owned(),
            reason,
            proposed: Some(self.signature(actor).await?),
            created_at: now,
            active_at,
            state: MatrixState::Waiting,
            settled: None,
            answer: None,
            activated_at: None,
            superseded_at: None,
        };
        self.record("matrix_proposed", LeafKind::Change, Some(actor.clone()), leaf(&version)).await?;
        self.stores.matrix_insert(&version).await?;
        self.matrix_sight(actor, version).await
    }

    /// Agrees to a version, refuses it, or takes it back.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `VersionStale` (another matrix is in force than the one it was compared with, or
    /// somebody was faster), `Conflict(SamePerson | WrongState)`.
    pub async fn matrix_settle(&self, actor: &Actor, id: Uuid, how: Settling) -> Result<MatrixSight, UseCaseError> {
        let missing = || UseCaseError::NotFound(Entity::MatrixVersion);
        let withdraws = how == Settling::Withdraw;
        let target = Target { object: Some(id.to_string()), ..Target::none() };
        if withdraws {
            self.gate.permit::<ViewMatrix>(actor, target, &Why::default()).await?;
        } else {
            self.gate.permit::<ApproveMatrix>(actor, target, &Why::default()).await?;
        }
        let version = self.stores.matrix_fetch(id).await?.ok_or_else(missing)?;
        let is_own = version.proposed.as_ref().is_some_and(|by| by.user == actor.user);
        if withdraws != is_own {
            let outcome = if is_own { "same_person" } else { "not_the_proposer" };
            let details = json!({ "outcome": outcome, "matrix": id.to_string() });
            self.record("matrix_settle_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(if is_own { UseCaseError::Conflict(Conflict::SamePerson) } else { missing() });
        }
        let from = version.state;
        let open = from == MatrixState::Waiting || (withdraws && from == MatrixState::Approved);
        if !open {
            return Err(UseCaseError::Conflict(Conflict::WrongState(from.as_str())));
        }
        let (operation, state, answer) = match how {
            Settling::Approve => ("matrix_approved", MatrixState::Approved, None),
            Settling::Refuse(why) => ("matrix_refused", MatrixState::Refused, Some(reason_of(&why)?)),
            Settling::Withdraw => ("matrix_withdrawn", MatrixState::Withdrawn, None),
        };
        if state == MatrixState::Approved {
            if version.base_digest != self.gate.matrix().digest() {
                return Err(UseCaseError::VersionStale);
            }
            // The rules may have become stricter since.
            read(&version.text)?;
        }
        let settled = Some(self.signature(actor).await?);
        let version = MatrixVersion { state, settled, answer, ..version };
        self.record(operation, LeafKind::Change, Some(actor.clone()), leaf(&version)).await?;
        self.stores.matrix_settle(&version, from).await?;
        self.matrix_sight(actor, version).await
    }

    /// What a text would change against the matrix in force and the people and cameras of today; nothing is stored.
    ///
    /// # Errors
    /// `Denied`, `Invalid`.
    pub async fn matrix_compare(&self, actor: &Actor, text: &str) -> Result<Diff, UseCaseError> {
        self.gate.permit::<ViewMatrix>(actor, Target::none(), &Why::default()).await?;
        let matrix = read(text)?;
        self.matrix_diff_to(&matrix).await
    }

    /// At the start: the newest version that people put in force, or the text of this program. A text that came with an
    /// older program gives way to this one's; one that people agreed to never does.
    ///
    /// # Errors
    /// The stored version does not read: nobody is served under another one in silence.
    pub async fn matrix_take_up(&self) -> Result<(), UseCaseError> {
        let shipped = self.gate.matrix();
        let active = self.stores.matrix_active().await?;
        if let Some(row) = &active
            && (row.proposed.is_some() || row.digest == shipped.digest())
        {
            let said = |error: MatrixError| UseCaseError::Internal(format!("the role matrix in force: {error}").into());
            self.gate.set_matrix(Arc::new(Matrix::parse(&row.text).map_err(said)?));
            self.note_change();
            return Ok(());
        }
        let now = self.now();
        let row = MatrixVersion {
            id: self.ids.uuid(),
            version: shipped.version().to_owned(),
            digest: shipped.digest().to_owned(),
            text: shipped.text().to_owned(),
            base_digest: active.map_or_else(String::new, |row| row.digest),
            reason: shipped.source().to_owned(),
            proposed: None,
            created_at: now,
            active_at: now,
            state: MatrixState::Approved,
            settled: None,
            answer: None,
            activated_at: None,
            superseded_at: None,
        };
        self.record("matrix_shipped", LeafKind::Change, None, leaf(&row)).await?;
        // What people have open keeps its place: a shipped text goes straight into force.
        self.stores.matrix_ship(&row, now).await?;
        Ok(())
    }

    /// Puts an agreed version in force once its time has come; also takes over what another process put in force.
    ///
    /// # Errors
    /// `LogUnavailable`, `StoreUnavailable`: tried again at the next round.
    pub async fn matrix_round(&self) -> Result<(), UseCaseError> {
        let now = self.now();
        if let Some(version) = self.stores.matrix_open().await?
            && version.state == MatrixState::Approved
            && version.active_at <= now
        {
            self.matrix_put_in_force(version, now).await?;
        }
        let Some(active) = self.stores.matrix_active().await? else { return Ok(()) };
        if active.digest != self.gate.matrix().digest() {
            self.gate.set_matrix(Arc::new(read(&active.text)?));
            // Running uses are decided again at once.
            self.note_change();
        }
        Ok(())
    }

    async fn matrix_put_in_force(&self, version: MatrixVersion, now: WallTime) -> Result<(), UseCaseError> {
        let before = self.gate.matrix();
        let fits = version.base_digest == before.digest();
        let matrix = Matrix::parse(&version.text).ok().filter(|_| fits);
        let Some(matrix) = matrix else {
            // Agreed against another matrix, or under looser rules: it does not come into force by itself.
            let answer = Some("another matrix came into force before its time".to_owned());
            let refused = MatrixVersion { state: MatrixState::Refused, answer, ..version };
            self.record("matrix_not_activated", LeafKind::Change, None, leaf(&refused)).await?;
            return Ok(self.stores.matrix_settle(&refused, MatrixState::Approved).await?);
        };
        let in_force = MatrixVersion { state: MatrixState::Active, activated_at: Some(now), ..version };
        self.record("matrix_activated", LeafKind::Change, None, leaf(&in_force)).await?;
        self.stores.matrix_activate(in_force.id, now).await?;
        self.gate.set_matrix(Arc::new(matrix));
        self.note_change();
        Ok(())
    }

    /// Whether the actor has anything to do with changes of the matrix.
    pub fn sees_matrix(&self, actor: &Actor) -> bool {
        self.has_right(actor, Right::MatrixView)
    }
}

/// The text's fault in its own words: it names row and word, or the rule.
fn read(text: &str) -> Result<Matrix, UseCaseError> {
    Matrix::parse(text).map_err(|error| UseCaseError::invalid("text", &error.to_string()))
}

fn leaf(version: &MatrixVersion) -> Value {
    json!({
        "matrix": version.id.to_string(),
        "version": version.version,
        "digest": version.digest,
        "base_digest": version.base_digest,
        "reason": version.reason,
        "state": version.state.as_str(),
        "active_at_us": version.active_at.micros,
        "proposed_by": version.proposed.as_ref().map(|by| by.user.to_string()),
        "settled_by": version.settled.as_ref().map(|by| by.user.to_string()),
        "answer": version.answer,
    })
}
