//! Accounts, made and changed by administrators. No default account, no default password.

use audit::LeafKind;
use serde_json::json;
use vms_core::{OrgId, Profile, Relation, Right, TimeRange, UserId, WallTime};
use zeroize::Zeroizing;

use crate::cases::UseCases;
use crate::error::{Entity, UseCaseError};
use crate::gate::action::{AdminUsers, ViewAudit};
use crate::gate::{Actor, Target, Why};
use crate::identity::machines::{MACHINE_PROFILE, NO_PASSWORD};
use crate::identity::secrets::password_fault;
use crate::model::{Account, LogDetail, PasswordState};
use crate::passwords::one_time_password;
use crate::ports::random_bytes;
use crate::words::Language;

/// Code of the organisation that the first administrator belongs to.
const FIRST_ORG: &str = "PARADIGM";

/// A new account.
#[derive(Clone)]
pub struct AccountWish {
    /// Log-in name.
    pub user_name: String,
    /// The person's name.
    pub name: String,
    /// Organisation.
    pub org: OrgId,
    /// Profile.
    pub profile: Profile,
    /// Language.
    pub language: Language,
}

impl std::fmt::Debug for AccountWish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountWish").field("org", &self.org).field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// A change of an account; what is absent stays.
#[derive(Clone, Default)]
pub struct AccountPatch {
    /// Switched off or on again.
    pub disabled: Option<bool>,
    /// The person's name.
    pub name: Option<String>,
    /// Profile.
    pub profile: Option<Profile>,
    /// Language.
    pub language: Option<Language>,
    /// Make a new one-time password.
    pub reset_password: bool,
    /// Further profiles.
    pub more_profiles: Option<Vec<Profile>>,
    /// What the account shows.
    pub shows: AccountShows,
    /// Take all second factors away: the person lost them.
    pub reset_factors: bool,
    /// The person's name at the identity provider; empty takes the link away.
    pub provider_subject: Option<String>,
}

/// What an account shows before it opens a session; what is absent stays, `Some(None)` takes it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountShows {
    /// Charter signed.
    pub charter: Option<Option<WallTime>>,
    /// Training completed.
    pub training: Option<Option<WallTime>>,
    /// Clearance seen.
    pub clearance: Option<Option<WallTime>>,
}

impl AccountShows {
    /// Every one noted at `at`.
    pub const fn all_at(at: WallTime) -> Self {
        Self { charter: Some(Some(at)), training: Some(Some(at)), clearance: Some(Some(at)) }
    }

    fn apply(self, account: &mut Account) {
        account.charter_at = self.charter.unwrap_or(account.charter_at);
        account.training_at = self.training.unwrap_or(account.training_at);
        account.cleared_at = self.clearance.unwrap_or(account.cleared_at);
    }

    fn check(self, now: WallTime) -> Result<(), UseCaseError> {
        let named = [("charter", self.charter), ("training", self.training), ("clearance", self.clearance)];
        // A day that is still to come is a slip of the pen.
        let future = named.into_iter().find(|(_, at)| at.flatten().is_some_and(|at| at > now));
        future.map_or(Ok(()), |(field, _)| Err(UseCaseError::invalid(field, "in_the_future")))
    }
}

impl std::fmt::Debug for AccountPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountPatch").field("disabled", &self.disabled).finish_non_exhaustive()
    }
}

/// An account, and its one-time password where one was made.
#[derive(Debug)]
pub struct AccountMade {
    /// The account.
    pub account: Account,
    /// To be shown once and handed over; stored nowhere.
    pub password: Option<Zeroizing<String>>,
}

impl UseCases {
    /// The first administrator of an empty installation, with a one-time password for the command line to print.
    /// `None` when there are accounts already.
    ///
    /// # Errors
    /// [`UseCaseError`]; nothing was made then.
    pub async fn first_administrator(&self, user_name: &str) -> Result<Option<AccountMade>, UseCaseError> {
        if self.stores.account_count().await? > 0 {
            return Ok(None);
        }
        self.seed_organisations().await?;
        let orgs = self.orgs_now().await?;
        let org = orgs.iter().find(|org| org.code == FIRST_ORG).ok_or(UseCaseError::NotFound(Entity::Org))?.id;
        let wish = AccountWish {
            user_name: user_name.to_owned(),
            name: "Administrator".to_owned(),
            org,
            profile: Profile::P18,
            language: Language::Nl,
        };
        self.account_make(None, wish, None, AccountShows::default(), Vec::new()).await.map(Some)
    }

    /// Makes an account from the machine's own command line, where the operator has the database in hand anyway; the
    /// log says so. `password` is for demos and tests; without it a one-time password is made.
    ///
    /// # Errors
    /// `Invalid`, `Conflict(Taken)`, `LogUnavailable`.
    pub async fn account_by_command_line(
        &self,
        wish: AccountWish,
        password: Option<Zeroizing<String>>,
    ) -> Result<AccountMade, UseCaseError> {
        // With a password it is a demo or a test: what an account must show is noted too. The log says who made it.
        let shows = if password.is_some() { AccountShows::all_at(self.now()) } else { AccountShows::default() };
        self.account_make(None, wish, password, shows, Vec::new()).await
    }

    /// Somebody to act as on the machine's own command line: the named account, in a session id of its own. Every
    /// decision is the gate's as for anybody else.
    ///
    /// # Errors
    /// `NotFound` for an unknown or disabled account.
    pub async fn actor_of_command_line(&self, user_name: &str) -> Result<Actor, UseCaseError> {
        let account = self.stores.account_by_user_name(&user_name.to_lowercase()).await?;
        let account = account.filter(|account| account.disabled_at.is_none());
        let account = account.ok_or(UseCaseError::NotFound(Entity::User))?;
        let org = self.org(account.org).await?.ok_or(UseCaseError::NotFound(Entity::Org))?;
        let actor = Actor {
            user: account.id,
            session: vms_core::SessionId::from_uuid(self.ids.uuid()),
            org: account.org,
            profile: account.profile,
            user_name: account.user_name,
            org_code: org.code,
        };
        self.record("command_line", LeafKind::Session, Some(actor.clone()), json!({})).await?;
        Ok(actor)
    }

    async fn account_make(
        &self,
        actor: Option<&Actor>,
        wish: AccountWish,
        password: Option<Zeroizing<String>>,
        shows: AccountShows,
        more_profiles: Vec<Profile>,
    ) -> Result<AccountMade, UseCaseError> {
        let user_name = wish.user_name.trim().to_lowercase();
        let is_name = (2..=60).contains(&user_name.len())
            && user_name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b".-_@".contains(&c));
        if !is_name {
            return Err(UseCaseError::invalid("user_name", "not_a_user_name"));
        }
        check_name(&wish.name)?;
        let Some(org) = self.org(wish.org).await? else {
            return Err(UseCaseError::invalid("org_id", "unknown"));
        };
        // A machine shows a certificate; there is no password to try.
        let is_machine = wish.profile == MACHINE_PROFILE;
        let (password, state) = match password {
            Some(own) => {
                if let Some(fault) = password_fault(&own, &[&user_name, &wish.name, &org.code]) {
                    return Err(UseCaseError::invalid("password", fault));
                }
                (own, PasswordState::Own)
            }
            None => (one_time_password(self.ids.as_ref()), PasswordState::OneTime),
        };
        let now = self.now();
        shows.check(now)?;
        let more_profiles = tidy(wish.profile, more_profiles);
        let (password_hash, state) = if is_machine {
            (NO_PASSWORD.to_owned(), PasswordState::Own)
        } else {
            (self.passwords.hash(password.clone(), random_bytes(self.ids.as_ref())).await?, state)
        };
        let mut account = Account {
            id: UserId::from_uuid(self.ids.uuid()),
            org: wish.org,
            user_name,
            name: wish.name,
            password_hash,
            password_state: state,
            profile: wish.profile,
            more_profiles,
            language: wish.language,
            disabled_at: None,
            charter_at: None,
            training_at: None,
            cleared_at: None,
            last_used_at: now,
            created_at: now,
            version: 1,
        };
        shows.apply(&mut account);
        self.check_profiles(&account.profiles().collect::<Vec<_>>())?;
        let details = json!({
            "user": account.id.to_string(), "org": account.org.to_string(), "profile": account.profile.as_str(),
            "by": if actor.is_some() { "administrator" } else { "command_line" },
        });
        self.record("account_made", LeafKind::Change, actor.cloned(), details).await?;
        self.stores.account_insert(&account).await?;
        let password = (state == PasswordState::OneTime).then_some(password);
        Ok(AccountMade { account, password })
    }

    fn user_target(actor: &Actor, org: OrgId, user: Option<UserId>) -> Target {
        let relation = if actor.org == org { Relation::Own } else { Relation::Other };
        Target { owner: Some(org), relation, object: user.map(|id| id.to_string()), ..Target::none() }
    }

    /// Accounts that the actor administers: all for the platform, else those of the own organisation.
    ///
    /// # Errors
    /// `Denied`, logged.
    pub async fn account_list(
        &self,
        actor: &Actor,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<Account>, UseCaseError> {
        // Everybody's when the table says yes to other organisations; the leaf names which.
        let other = Target { relation: Relation::Other, ..Target::none() };
        let all = self.gate.would::<AdminUsers>(actor, &other).is_allow();
        let target = if all { other } else { Target { owner: Some(actor.org), ..Target::none() } };
        let permit = self.gate.permit::<AdminUsers>(actor, target, &Why::default()).await?;
        let org = (!all).then_some(actor.org);
        Ok(self.stores.account_list(&permit, org, after, limit).await?)
    }

    /// Makes an account with a one-time password.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Conflict(Taken)`.
    pub async fn account_create(
        &self,
        actor: &Actor,
        wish: AccountWish,
        shows: AccountShows,
        more_profiles: Vec<Profile>,
    ) -> Result<AccountMade, UseCaseError> {
        let target = Self::user_target(actor, wish.org, None);
        self.gate.permit::<AdminUsers>(actor, target, &Why::default()).await?;
        may_give(actor, wish.profile)?;
        for profile in &more_profiles {
            may_give(actor, *profile)?;
        }
        self.account_make(Some(actor), wish, None, shows, more_profiles).await
    }

    /// Changes an account. Nobody changes their own profile or switches themselves off.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Invalid`, `VersionStale`.
    pub async fn account_change(
        &self,
        actor: &Actor,
        id: UserId,
        patch: AccountPatch,
    ) -> Result<AccountMade, UseCaseError> {
        let found = self.stores.account_of_session(id).await?;
        let Some(mut account) = found else {
            // Decided as for somebody of another organisation, so that the answer does not tell who is there.
            let target = Target { relation: Relation::Other, object: Some(id.to_string()), ..Target::none() };
            self.gate.permit::<AdminUsers>(actor, target, &Why::default()).await?;
            return Err(UseCaseError::NotFound(Entity::User));
        };
        let target = Self::user_target(actor, account.org, Some(id));
        self.gate.permit::<AdminUsers>(actor, target, &Why::default()).await?;
        let now = self.now();
        let own = id == actor.user;
        let raises = patch.profile.is_some() || patch.more_profiles.is_some() || patch.shows != AccountShows::default();
        let links = patch.provider_subject.is_some();
        if own && (raises || links || patch.disabled == Some(true) || patch.reset_factors) {
            return Err(UseCaseError::invalid("id", "own_account"));
        }
        let mut ends_sessions = patch.disabled == Some(true);
        match patch.disabled {
            Some(true) => account.disabled_at = account.disabled_at.or(Some(now)),
            Some(false) => {
                account.disabled_at = None;
                account.last_used_at = now;
            }
            None => {}
        }
        if let Some(profile) = patch.profile.filter(|profile| *profile != account.profile) {
            may_give(actor, profile)?;
            account.profile = profile;
            ends_sessions = true;
        }
        if let Some(more) = patch.more_profiles {
            may_give_new(actor, &account.more_profiles, &more)?;
            account.more_profiles = more;
        }
        account.more_profiles = tidy(account.profile, account.more_profiles);
        self.check_profiles(&account.profiles().collect::<Vec<_>>())?;
        patch.shows.check(now)?;
        patch.shows.apply(&mut account);
        if let Some(name) = patch.name {
            check_name(&name)?;
            account.name = name;
        }
        account.language = patch.language.unwrap_or(account.language);
        let mut password = None;
        if patch.reset_password {
            let fresh = one_time_password(self.ids.as_ref());
            account.password_hash = self.passwords.hash(fresh.clone(), random_bytes(self.ids.as_ref())).await?;
            account.password_state = PasswordState::OneTime;
            account.last_used_at = now;
            password = Some(fresh);
            ends_sessions = true;
        }
        if account.profile == MACHINE_PROFILE && (links || patch.reset_password) {
            return Err(UseCaseError::invalid("id", "a_machine"));
        }
        let details = change_details(&account, password.is_some(), patch.reset_factors, links);
        self.record("account_changed", LeafKind::Change, Some(actor.clone()), details).await?;
        self.stores.account_update(&account).await?;
        let aftermath = Aftermath {
            subject: patch.provider_subject,
            password: password.is_some(),
            factors: patch.reset_factors,
            ends_sessions,
        };
        self.account_follow_up(id, aftermath, now).await?;
        account.version += 1;
        Ok(AccountMade { account, password })
    }

    /// What a change takes with it besides the account's own row.
    async fn account_follow_up(&self, id: UserId, what: Aftermath, now: WallTime) -> Result<(), UseCaseError> {
        if let Some(subject) = &what.subject {
            self.link_set(id, subject, now).await?;
            self.notice(id, "provider_link_changed").await?;
        }
        if what.password {
            self.notice(id, "password_reset").await?;
        }
        if what.factors {
            self.stores.factor_clear(id).await?;
            self.notice(id, "factors_taken_away").await?;
        }
        if what.ends_sessions || what.factors || what.subject.is_some() {
            self.stores.session_end_of_user(id, now, None).await?;
            self.note_change();
        }
        Ok(())
    }

    /// Leaves of the log with their details, newest first, below an index: everybody's for overseers, else those of the
    /// own organisation.
    ///
    /// # Errors
    /// `Denied`, logged.
    pub async fn audit_list(
        &self,
        actor: &Actor,
        range: TimeRange,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogDetail>, UseCaseError> {
        let other = Target { relation: Relation::Other, ..Target::none() };
        let all = self.gate.would::<ViewAudit>(actor, &other).is_allow();
        let base = if all { other } else { Target { owner: Some(actor.org), ..Target::none() } };
        let target = Target { range: Some(range), ..base };
        let permit = self.gate.permit::<ViewAudit>(actor, target, &Why::default()).await?;
        let org = (!all).then_some(actor.org);
        Ok(self.stores.log_detail_list(&permit, org, range, below, limit).await?)
    }

    /// What keeps an account from a session, now or when its grace ends; and the end of a grace that still runs.
    pub fn account_lacks(&self, account: &Account) -> (Vec<&'static str>, Option<WallTime>) {
        let now = self.now();
        let unused = (now > account.last_used_at.plus(self.rules.unused)).then_some("unused");
        let lacking = self.identity_rules.lacking(account, now);
        let grace = self.identity_rules.grace_end(account).filter(|end| now < *end && !lacking.is_empty());
        (unused.into_iter().chain(lacking.into_iter().map(crate::identity::Unmet::word)).collect(), grace)
    }

    /// Whether the actor has a right towards anything at all.
    pub fn has_right(&self, actor: &Actor, right: Right) -> bool {
        self.gate.rights_of(actor.profile).contains(&right)
    }
}

/// What a change takes with it.
#[derive(Default)]
struct Aftermath {
    /// The name at the provider, where it changes.
    subject: Option<String>,
    password: bool,
    factors: bool,
    ends_sessions: bool,
}

/// What a change leaves in the log: no name, no password.
fn change_details(account: &Account, password: bool, factors: bool, provider_link: bool) -> serde_json::Value {
    json!({
        "user": account.id.to_string(), "profile": account.profile.as_str(),
        "more_profiles": account.more_profiles.iter().map(|profile| profile.as_str()).collect::<Vec<_>>(),
        "disabled": account.disabled_at.is_some(), "password": password, "factors": factors,
        "provider_link": provider_link,
    })
}

/// Only what is new must be the actor's to give.
fn may_give_new(actor: &Actor, held: &[Profile], wanted: &[Profile]) -> Result<(), UseCaseError> {
    wanted.iter().filter(|profile| !held.contains(profile)).try_for_each(|profile| may_give(actor, *profile))
}

/// Further profiles without doubles and without the first one.
fn tidy(first: Profile, mut more: Vec<Profile>) -> Vec<Profile> {
    more.retain(|profile| *profile != first);
    more.sort();
    more.dedup();
    more
}

fn check_name(name: &str) -> Result<(), UseCaseError> {
    let is_fine = !name.trim().is_empty() && name.len() <= 200 && !name.chars().any(char::is_control);
    is_fine.then_some(()).ok_or_else(|| UseCaseError::invalid("name", "empty_or_too_long"))
}

/// A partner's local administrator (P19) makes users of the partner, never of the platform or its overseers.
fn may_give(actor: &Actor, profile: Profile) -> Result<(), UseCaseError> {
    let above = [Profile::P17, Profile::P18, Profile::P21, Profile::P22, Profile::P23, Profile::P24];
    if actor.profile != Profile::P18 && above.contains(&profile) {
        return Err(UseCaseError::invalid("profile", "not_yours_to_give"));
    }
    Ok(())
}
