//! Alarms about somebody's unusual use (`reliability.md` A9): read from the log's details, so that every serve process and every way to
//! footage counts. An alarm blocks nobody; it is a leaf, a row, an alarm of `/health`, and an event for the data-protection officer of
//! the person's organisation and the overseers. Names stay in the log: an alarm names the account's id.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use audit::LeafKind;
use serde_json::{Value, json};
use uuid::Uuid;
use vms_core::{OrgId, Purpose, Relation, Right, WallTime};

use super::anomaly_rules::{AnomalyRules, Breach, SeenUse, Windows};
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::HandleComplaints;
use crate::gate::{Actor, Target, Why};
use crate::legal_changes::reason_of;
use crate::model::{EventScope, LogDetail, Signature};
use crate::ports::StoreError;
use crate::ports::store::Stored;
use crate::seed::SeedError;
use crate::words::{AnomalyState, EventKind, OrgKind};

/// The log is looked through at this interval; with the copying of details it keeps an alarm far below a minute.
const ROUND_US: i64 = 5_000_000;
/// Leaves read at a time.
const PAGE: u32 = 5_000;
/// Alarms of one list; older ones are in the database.
const LIST_MAX: u32 = 500;
/// The word of `/health` while an alarm waits for somebody.
pub const ALARM: &str = "unusual_use";

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// Key.
    pub id: Uuid,
    /// What was broken.
    pub breach: Breach,
    /// When the alarm was raised.
    pub told_at: WallTime,
    /// Where it stands.
    pub state: AnomalyState,
    /// What it was.
    pub answer: Option<String>,
    /// Who looked at it.
    pub settled: Option<Signature>,
}

/// Where alarms are kept, and where the uses are read.
#[async_trait]
pub trait AnomalyStore: Send + Sync {
    /// New; `Taken` while one of the same person and rule is open.
    async fn anomaly_insert(&self, anomaly: &Anomaly) -> Stored<()>;
    /// By key.
    async fn anomaly_fetch(&self, id: Uuid) -> Stored<Option<Anomaly>>;
    /// Newest first, at most `limit`.
    async fn anomaly_list(&self, limit: u32) -> Stored<Vec<Anomaly>>;
    /// How many are open.
    async fn anomaly_open(&self) -> Stored<u64>;
    /// Writes answer and signature of an open one; `Stale` otherwise.
    async fn anomaly_settle(&self, anomaly: &Anomaly) -> Stored<()>;
    /// Details of leaves above an index and not before an instant, by index, at most `limit`. For the watch only: it shows nobody
    /// anything.
    async fn anomaly_scan(&self, above: Option<u64>, from: WallTime, limit: u32) -> Stored<Vec<LogDetail>>;
}

/// What the watch knows. Owned by [`UseCases`], written by one round at a time.
#[derive(Debug)]
pub(crate) struct UseWatch {
    rules: AnomalyRules,
    seen: Mutex<WatchState>,
}

#[derive(Debug, Default)]
struct WatchState {
    windows: Windows,
    looked_at: Option<WallTime>,
    above: Option<u64>,
    open: u64,
}

impl UseWatch {
    pub(crate) fn new() -> Result<Self, SeedError> {
        Ok(Self { rules: AnomalyRules::embedded()?, seen: Mutex::default() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, WatchState> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A decision of the gate as the watch needs it; `None` for leaves of other kinds.
fn seen_of(leaf: &LogDetail) -> Option<SeenUse> {
    // A renewal and an end belong to a use that was counted.
    if matches!(leaf.operation.as_str(), "renew" | "close") {
        return None;
    }
    let details: Value = serde_json::from_str(&leaf.details).ok()?;
    let text = |pointer: &str| details.pointer(pointer).and_then(Value::as_str);
    let right: Right = text("/right")?.parse().ok()?;
    let outcome = text("/outcome")?;
    Some(SeenUse {
        at: leaf.at,
        user: leaf.user?,
        org: leaf.org?,
        right,
        // What lacks a reason is no try at a door.
        is_refusal: match outcome {
            "allow" => false,
            "missing" => return None,
            _ => true,
        },
        camera: text("/camera").map(str::to_owned),
    })
}

fn why(act: &str) -> Why {
    Why { purpose: Some(Purpose::Complaint), justification: Some(act.to_owned()), ..Why::default() }
}

impl UseCases {
    /// Looks through what the log got since the last round; run about once a second, it does so every five.
    ///
    /// # Errors
    /// `StoreUnavailable`, `LogUnavailable`: the next round tries again.
    pub async fn anomaly_round(&self) -> Result<(), UseCaseError> {
        let now = self.now();
        let longest = i64::from(self.watch.rules.longest_s()).saturating_mul(1_000_000);
        let (mut above, from) = {
            let mut state = self.watch.lock();
            if state.looked_at.is_some_and(|last| now.micros_since(last).abs() < ROUND_US) {
                return Ok(());
            }
            state.looked_at = Some(now);
            (state.above, WallTime::from_micros(now.micros.saturating_sub(longest)))
        };
        loop {
            let page = self.stores.anomaly_scan(above, from, PAGE).await?;
            let Some(last) = page.last().map(|leaf| leaf.index) else { break };
            let breaches: Vec<Breach> = {
                let mut state = self.watch.lock();
                let rules = self.watch.rules.at(now);
                page.iter().filter_map(seen_of).flat_map(|seen| state.windows.take(&rules, &seen)).collect()
            };
            for breach in breaches {
                self.anomaly_tell(breach, now).await?;
            }
            above = Some(last);
            self.watch.lock().above = above;
        }
        let open = self.stores.anomaly_open().await?;
        self.watch.lock().open = open;
        Ok(())
    }

    async fn anomaly_tell(&self, breach: Breach, now: WallTime) -> Result<(), UseCaseError> {
        let org = breach.org;
        let details = json!({
            "rule": breach.rule, "user": breach.user.to_string(), "org": org.to_string(), "counted": breach.counted,
            "allowed": breach.allowed, "window_s": breach.window_s, "at_us": breach.at.micros,
        });
        let anomaly = Anomaly {
            id: self.ids.uuid(),
            breach,
            told_at: now,
            state: AnomalyState::Open,
            answer: None,
            settled: None,
        };
        match self.stores.anomaly_insert(&anomaly).await {
            // Told already, by this process or another.
            Err(StoreError::Taken(_)) => return Ok(()),
            other => other?,
        }
        self.record("unusual_use", LeafKind::System, None, details).await?;
        let data = json!({ "anomaly": anomaly.id.to_string() });
        let orgs = self.orgs_now().await?;
        let overseers = orgs.iter().filter(|org| org.kind == OrgKind::Overseer).map(|org| org.id);
        for told in overseers.chain([org]) {
            let scope = EventScope::Org(told, Right::ComplaintHandle);
            self.events.publish(EventKind::Sharing, scope, data.clone()).await;
        }
        Ok(())
    }

    /// What wants a person about somebody's use: the word of `/health`.
    pub fn use_alarms(&self) -> Vec<String> {
        if self.watch.lock().open > 0 { vec![ALARM.to_owned()] } else { Vec::new() }
    }

    fn oversees_all(&self, actor: &Actor) -> bool {
        let others = Target { relation: Relation::Other, ..Target::none() };
        !matches!(self.gate.would::<HandleComplaints>(actor, &others), policy::Decision::Deny(_))
    }

    /// Alarms about people of the actor's organisation, newest first; all of them for an overseer.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn anomaly_list(&self, actor: &Actor) -> Result<Vec<Anomaly>, UseCaseError> {
        let target = Target { object: Some("alarms about uses".to_owned()), ..Target::none() };
        self.gate.permit::<HandleComplaints>(actor, target, &why("looks through alarms about uses")).await?;
        let sees_all = self.oversees_all(actor);
        let mut alarms = self.stores.anomaly_list(LIST_MAX).await?;
        alarms.retain(|alarm| sees_all || alarm.breach.org == actor.org);
        Ok(alarms)
    }

    /// Says what an alarm was. Never by whom it is about.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `Conflict(SamePerson | WrongState)`, `VersionStale`.
    pub async fn anomaly_settle(&self, actor: &Actor, id: Uuid, answer: &str) -> Result<(), UseCaseError> {
        let target = Target { object: Some(id.to_string()), ..Target::none() };
        self.gate.permit::<HandleComplaints>(actor, target, &why("settles an alarm about a use")).await?;
        let found = self.stores.anomaly_fetch(id).await?;
        let visible = found.filter(|alarm| self.oversees_all(actor) || alarm.breach.org == actor.org);
        let alarm = visible.ok_or(UseCaseError::NotFound(Entity::Anomaly))?;
        if alarm.breach.user == actor.user {
            return Err(UseCaseError::Conflict(Conflict::SamePerson));
        }
        if alarm.state != AnomalyState::Open {
            return Err(UseCaseError::Conflict(Conflict::WrongState(alarm.state.as_str())));
        }
        let (answer, settled) = (Some(reason_of(answer)?), Some(self.signature(actor).await?));
        let alarm = Anomaly { state: AnomalyState::Settled, answer, settled, ..alarm };
        let details = json!({ "anomaly": id.to_string(), "answer": alarm.answer });
        self.record("unusual_use_settled", LeafKind::Change, Some(actor.clone()), details).await?;
        self.stores.anomaly_settle(&alarm).await?;
        let open = self.stores.anomaly_open().await?;
        self.watch.lock().open = open;
        Ok(())
    }

    /// For the list: the code of an organisation.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn org_code(&self, id: OrgId) -> Result<String, UseCaseError> {
        Ok(self.org(id).await?.map(|org| org.code).unwrap_or_default())
    }
}
