//! Data flows and the commission's switch (`domain.md` D5, E2): one institution × one source × one purpose, or one owner's cameras to one
//! partner for one purpose. Only a granted flow flows. A change counts at once here and within a second in other processes.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::json;
use vms_core::{OrgId, Purpose, WallTime};

use super::model::FlowRow;
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{RegisterFlows, StopFlows, ViewFlows};
use crate::gate::{Actor, Target, Why};
use crate::legal_changes::reason_of;
use crate::model::{Org, Signature};
use crate::seed::SeedError;
use crate::words::{FlowState, NoticeKind};

const FILE: &str = "flows.toml";
/// Prefix of the key of a sharing flow.
const SHARE: &str = "SHARE";
/// Stands for "every purpose" in the key of a sharing flow.
const ANY: &str = "*";

#[derive(Deserialize)]
struct File {
    flow: Vec<FlowSeed>,
}

/// A flow of the seed, as far as oversight needs it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FlowSeed {
    /// `DS-…`.
    pub id: String,
    /// Who asks.
    pub institution: String,
    /// Whom.
    pub source: String,
    /// For which purpose.
    pub purpose: String,
    /// Whether it is authorised.
    pub enabled: bool,
}

/// The flows that ship with the program.
#[derive(Clone, Debug)]
pub(crate) struct FlowBook(Vec<FlowSeed>);

impl FlowBook {
    pub(crate) fn embedded() -> Result<Self, SeedError> {
        let file: File = toml::from_str(include_str!("../../../../seed/flows.toml"))
            .map_err(|error| SeedError::Syntax { file: FILE, source: error.into() })?;
        Ok(Self(file.flow))
    }
}

/// A sharing flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharePath {
    /// Whose cameras.
    pub owner: OrgId,
    /// Who sees them.
    pub partner: OrgId,
    /// For which purpose; absent for every one.
    pub purpose: Option<Purpose>,
}

impl SharePath {
    /// Its key, readable: `SHARE:MIVB:5340:INTERVENTIE`.
    fn key(self, orgs: &[Org]) -> Option<String> {
        let code = |id: OrgId| orgs.iter().find(|org| org.id == id).map(|org| org.code.as_str());
        let purpose = self.purpose.map_or(ANY, Purpose::as_str);
        Some(format!("{SHARE}:{}:{}:{purpose}", code(self.owner)?, code(self.partner)?))
    }

    /// Reads a key; `None` for what is none, or names nobody that is known.
    fn parse(key: &str, orgs: &[Org]) -> Option<Self> {
        let mut parts = key.split(':');
        let (prefix, owner, partner, purpose) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let id = |code: &str| orgs.iter().find(|org| org.code == code).map(|org| org.id);
        if prefix != SHARE || parts.next().is_some() {
            return None;
        }
        let purpose = if purpose == ANY { None } else { Some(purpose.parse().ok()?) };
        Some(Self { owner: id(owner)?, partner: id(partner)?, purpose })
    }
}

/// A turn of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowStep {
    /// Authorises a requested flow, or lets a suspended one go on.
    Resume,
    /// Stops it for the moment.
    Suspend,
    /// Takes the authorisation back.
    Withdraw,
    /// Ends it for good.
    End,
}

impl FlowStep {
    /// Where a flow stands after it; `None` where it can't be taken.
    const fn after(self, was: FlowState) -> Option<FlowState> {
        use FlowState as S;
        match (self, was) {
            (Self::Resume, S::Requested | S::Suspended) => Some(S::Granted),
            (Self::Suspend, S::Granted) => Some(S::Suspended),
            (Self::Withdraw, S::Requested | S::Granted | S::Suspended) => Some(S::Withdrawn),
            (Self::End, S::Requested | S::Granted | S::Suspended | S::Withdrawn | S::Expired) => Some(S::Ended),
            (Self::Resume, S::Granted | S::Withdrawn | S::Expired | S::Ended)
            | (Self::Suspend, S::Requested | S::Suspended | S::Withdrawn | S::Expired | S::Ended)
            | (Self::Withdraw, S::Withdrawn | S::Expired | S::Ended)
            | (Self::End, S::Ended) => None,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Suspend => "suspend",
            Self::Withdraw => "withdraw",
            Self::End => "end",
        }
    }
}

/// A flow as somebody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowSight {
    /// Key.
    pub id: String,
    /// Whose data, or who asks.
    pub institution: String,
    /// Whom it asks, or who sees the cameras.
    pub source: String,
    /// For which purpose; `*` for every one.
    pub purpose: String,
    /// Whether it is a share between organisations.
    pub is_share: bool,
    /// Where it stands.
    pub state: FlowState,
    /// Grants in force that it carries.
    pub grants: usize,
    /// The last change; absent where nobody ever changed it.
    pub row: Option<FlowRow>,
    /// Whether the actor may turn the switch.
    pub may_stop: bool,
}

/// A new flow for the register.
#[derive(Clone, Debug)]
pub struct FlowWish {
    /// `DS-…`.
    pub id: String,
    /// Who asks.
    pub institution: String,
    /// Whom.
    pub source: String,
    /// For which purpose.
    pub purpose: Purpose,
    /// Reference of the request for an authorisation.
    pub authority: String,
    /// Why.
    pub reason: String,
}

/// The state that a row means at an instant: an authorisation past its term is expired, whether or not anybody wrote that down.
fn state_at(row: &FlowRow, now: WallTime) -> FlowState {
    let is_over = row.until.is_some_and(|until| until <= now);
    match row.state {
        FlowState::Granted | FlowState::Suspended if is_over => FlowState::Expired,
        state @ (FlowState::Requested
        | FlowState::Granted
        | FlowState::Suspended
        | FlowState::Withdrawn
        | FlowState::Expired
        | FlowState::Ended) => state,
    }
}

const fn seed_state(seed: &FlowSeed) -> FlowState {
    if seed.enabled { FlowState::Granted } else { FlowState::Requested }
}

impl UseCases {
    /// Registered flows with their states, and sharing flows that do not flow.
    pub(crate) async fn flow_states(
        &self,
        now: WallTime,
    ) -> Result<(HashMap<String, FlowState>, HashSet<SharePath>), UseCaseError> {
        let seed = self.sharing.flows.0.iter();
        let mut flows: HashMap<String, FlowState> = seed.map(|seed| (seed.id.clone(), seed_state(seed))).collect();
        let mut stopped = HashSet::new();
        let orgs = self.orgs_now().await?;
        for row in self.stores.flow_list().await? {
            let state = state_at(&row, now);
            match SharePath::parse(&row.id, &orgs) {
                Some(path) if state != FlowState::Granted => {
                    stopped.insert(path);
                }
                Some(_) => {}
                None => {
                    flows.insert(row.id, state);
                }
            }
        }
        Ok((flows, stopped))
    }

    /// Every flow: those of the seed, those registered since, and one per owner, partner and purpose of the grants.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn flow_sights(&self, actor: &Actor) -> Result<Vec<FlowSight>, UseCaseError> {
        self.look::<ViewFlows>(actor).await?;
        let (now, orgs) = (self.now(), self.orgs_now().await?);
        let may_stop = self.gate.rights_of(actor.profile).contains(&vms_core::Right::FlowStop);
        let mut rows: HashMap<String, FlowRow> =
            self.stores.flow_list().await?.into_iter().map(|row| (row.id.clone(), row)).collect();
        let mut seen = Vec::new();
        for seed in &self.sharing.flows.0 {
            let row = rows.remove(&seed.id);
            seen.push(FlowSight {
                id: seed.id.clone(),
                institution: seed.institution.clone(),
                source: seed.source.clone(),
                purpose: seed.purpose.clone(),
                is_share: false,
                state: row.as_ref().map_or_else(|| seed_state(seed), |row| state_at(row, now)),
                grants: 0,
                row,
                may_stop,
            });
        }
        let mut paths: HashMap<SharePath, usize> = HashMap::new();
        for grant in self.stores.grant_list_all().await? {
            if grant.revoked_at.is_none() && grant.terms.period.contains(now) {
                let path = SharePath { owner: grant.owner, partner: grant.terms.partner, purpose: grant.terms.purpose };
                *paths.entry(path).or_default() += 1;
            }
        }
        for path in rows.keys().filter_map(|key| SharePath::parse(key, &orgs)) {
            paths.entry(path).or_default();
        }
        let mut shares: Vec<(String, SharePath, usize)> =
            paths.into_iter().filter_map(|(path, grants)| Some((path.key(&orgs)?, path, grants))).collect();
        shares.sort_by(|left, right| left.0.cmp(&right.0));
        for (id, path, grants) in shares {
            let code = |id: OrgId| orgs.iter().find(|org| org.id == id).map(|org| org.code.clone()).unwrap_or_default();
            let row = rows.remove(&id);
            seen.push(FlowSight {
                institution: code(path.owner),
                source: code(path.partner),
                purpose: path.purpose.map_or(ANY, Purpose::as_str).to_owned(),
                is_share: true,
                state: row.as_ref().map_or(FlowState::Granted, |row| state_at(row, now)),
                grants,
                row,
                may_stop,
                id,
            });
        }
        let mut left: Vec<FlowRow> = rows.into_values().collect();
        left.sort_by(|one, other| one.id.cmp(&other.id));
        for row in left {
            let [institution, source, purpose] = row.registered.clone().unwrap_or_default();
            let (id, state) = (row.id.clone(), state_at(&row, now));
            seen.push(FlowSight {
                id,
                institution,
                source,
                purpose,
                is_share: false,
                state,
                grants: 0,
                row: Some(row),
                may_stop,
            });
        }
        Ok(seen)
    }

    /// Every change of a flow, newest first.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn flow_history(&self, actor: &Actor, id: &str) -> Result<Vec<FlowRow>, UseCaseError> {
        self.look::<ViewFlows>(actor).await?;
        Ok(self.stores.flow_history(id).await?)
    }

    /// Puts a flow in the register; it flows once the commission authorises it.
    ///
    /// # Errors
    /// `Denied`, `Missing`, `Invalid`, `Conflict(Taken)`.
    pub async fn flow_register(&self, actor: &Actor, wish: FlowWish) -> Result<(), UseCaseError> {
        let why = Why { purpose: Some(wish.purpose), justification: Some(wish.reason.clone()), ..Why::default() };
        let target = Target { object: Some(wish.id.clone()), ..Target::none() };
        self.gate.permit::<RegisterFlows>(actor, target, &why).await?;
        let is_key = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
        if !wish.id.starts_with("DS-") || wish.id.len() > 40 || !wish.id.chars().all(is_key) {
            return Err(UseCaseError::invalid("id", "not_a_flow_id"));
        }
        for (field, text) in [("institution", &wish.institution), ("source", &wish.source)] {
            if text.trim().is_empty() || text.chars().count() > 80 {
                return Err(UseCaseError::invalid(field, "empty_or_too_long"));
            }
        }
        let is_taken = self.sharing.flows.0.iter().any(|seed| seed.id == wish.id)
            || self.stores.flow_list().await?.iter().any(|row| row.id == wish.id);
        if is_taken {
            return Err(UseCaseError::Conflict(Conflict::Taken("flow")));
        }
        let registered = [wish.institution.trim(), wish.source.trim(), wish.purpose.as_str()].map(str::to_owned);
        let row = FlowRow {
            id: wish.id,
            state: FlowState::Requested,
            reason: reason_of(&wish.reason)?,
            authority: wish.authority.trim().to_owned(),
            until: None,
            changed: self.signature(actor).await?,
            registered: Some(registered),
            version: 1,
        };
        self.flow_write(actor, "flow_registered", "register", &row).await
    }

    async fn flow_write(
        &self,
        actor: &Actor,
        operation: &'static str,
        step: &str,
        row: &FlowRow,
    ) -> Result<(), UseCaseError> {
        let details = json!({
            "flow": row.id, "step": step, "state": row.state.as_str(), "reason": row.reason, "authority": row.authority,
            "until_us": row.until.map(|at| at.micros), "version": row.version, "registered": row.registered,
        });
        self.record(operation, audit::LeafKind::Change, Some(actor.clone()), details).await?;
        self.stores.flow_put(row).await?;
        self.sharing_changed();
        Ok(())
    }

    /// Turns the switch: at once, logged, with a reason. What runs under a stopped share ends now; batch jobs stop before their next
    /// round.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Invalid`, `Conflict(WrongState)`, `VersionStale`.
    pub async fn flow_step(
        &self,
        actor: &Actor,
        id: &str,
        step: FlowStep,
        reason: &str,
        authority: &str,
    ) -> Result<FlowState, UseCaseError> {
        self.look::<StopFlows>(actor).await?;
        let (now, orgs) = (self.now(), self.orgs_now().await?);
        let path = SharePath::parse(id, &orgs);
        let row = self.stores.flow_list().await?.into_iter().find(|row| row.id == id);
        let seed = self.sharing.flows.0.iter().find(|seed| seed.id == id);
        let was = match (&row, seed, path) {
            (Some(row), _, _) => state_at(row, now),
            (None, Some(seed), _) => seed_state(seed),
            // A share flows by its owner's grants until it is stopped; it can be stopped before there are any.
            (None, None, Some(_)) => FlowState::Granted,
            (None, None, None) => return Err(UseCaseError::NotFound(Entity::Flow)),
        };
        let why = Why { purpose: Some(Purpose::Audit), justification: Some(reason.to_owned()), ..Why::default() };
        let target = Target { object: Some(id.to_owned()), ..Target::none() };
        self.gate.permit::<StopFlows>(actor, target, &why).await?;
        let state = step.after(was).ok_or(UseCaseError::Conflict(Conflict::WrongState(was.as_str())))?;
        let changed: Signature = self.signature(actor).await?;
        let next = FlowRow {
            id: id.to_owned(),
            state,
            reason: reason_of(reason)?,
            authority: authority.trim().to_owned(),
            until: row.as_ref().and_then(|row| row.until).filter(|until| *until > now),
            changed,
            registered: row.as_ref().and_then(|row| row.registered.clone()),
            version: row.as_ref().map_or(0, |row| row.version).saturating_add(1),
        };
        self.flow_write(actor, "flow_switched", step.word(), &next).await?;
        self.flow_tell(&next, path, &orgs).await?;
        Ok(state)
    }

    /// Both sides of a share are told; of a registered flow its institution, where that is an organisation here, and the platform.
    async fn flow_tell(&self, row: &FlowRow, path: Option<SharePath>, orgs: &[Org]) -> Result<(), UseCaseError> {
        let told: Vec<OrgId> = match path {
            Some(path) => vec![path.owner, path.partner],
            None => orgs.iter().filter(|org| ["FISC", "SAFE"].contains(&org.code.as_str())).map(|org| org.id).collect(),
        };
        let data = json!({ "flow": row.id, "state": row.state.as_str(), "reason": row.reason });
        for org in told {
            self.notice_put(org, NoticeKind::Flow, data.clone()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::OrgKind;

    fn org(n: u8, code: &str) -> Org {
        let (id, code) = (OrgId::from_bytes([n; 16]), code.to_owned());
        Org { id, name_nl: code.clone(), name_fr: code.clone(), code, kind: OrgKind::Partner }
    }

    #[test]
    fn keys_of_shares_read_back() {
        let orgs = [org(1, "MIVB"), org(2, "5340")];
        let path = SharePath { owner: orgs[0].id, partner: orgs[1].id, purpose: Some(Purpose::Intervention) };
        for (path, key) in
            [(path, "SHARE:MIVB:5340:INTERVENTIE"), (SharePath { purpose: None, ..path }, "SHARE:MIVB:5340:*")]
        {
            assert_eq!(path.key(&orgs).as_deref(), Some(key));
            assert_eq!(SharePath::parse(key, &orgs), Some(path));
        }
        for odd in
            ["DS-LEZ-VEH", "SHARE:MIVB:9999:*", "SHARE:MIVB:5340", "SHARE:MIVB:5340:NIETS", "SHARE:MIVB:5340:*:x", ""]
        {
            assert_eq!(SharePath::parse(odd, &orgs), None, "{odd}");
        }
    }

    #[test]
    fn the_switch_goes_only_where_it_may() {
        use FlowState as S;
        use FlowStep as T;
        for (step, was, wanted) in [
            (T::Suspend, S::Granted, Some(S::Suspended)),
            (T::Suspend, S::Suspended, None),
            (T::Resume, S::Suspended, Some(S::Granted)),
            (T::Resume, S::Requested, Some(S::Granted)),
            (T::Resume, S::Withdrawn, None),
            (T::Resume, S::Ended, None),
            (T::Withdraw, S::Granted, Some(S::Withdrawn)),
            (T::End, S::Withdrawn, Some(S::Ended)),
            (T::End, S::Ended, None),
        ] {
            assert_eq!(step.after(was), wanted, "{step:?} {was}");
        }
    }

    #[test]
    fn an_authorisation_past_its_term_is_expired() {
        let by =
            Signature { user: vms_core::UserId::from_bytes([1; 16]), name: "x".to_owned(), at: WallTime::from_secs(0) };
        let row = |state, until| FlowRow {
            id: "DS-X".to_owned(),
            state,
            reason: String::new(),
            authority: String::new(),
            until,
            changed: by.clone(),
            registered: None,
            version: 1,
        };
        let (now, past) = (WallTime::from_secs(10), Some(WallTime::from_secs(10)));
        for (state, until, wanted) in [
            (FlowState::Granted, None, FlowState::Granted),
            (FlowState::Granted, Some(WallTime::from_secs(11)), FlowState::Granted),
            (FlowState::Granted, past, FlowState::Expired),
            (FlowState::Suspended, past, FlowState::Expired),
            (FlowState::Ended, past, FlowState::Ended),
        ] {
            assert_eq!(state_at(&row(state, until), now), wanted);
        }
    }
}
