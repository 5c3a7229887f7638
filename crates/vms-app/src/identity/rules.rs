//! Rules of identity as dated data (`seed/identity.toml`).

use std::time::Duration;

use jiff::civil::{Date, date};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde::Deserialize;
use vms_core::{Profile, WallTime};

use crate::model::Account;
use crate::seed::SeedError;

const FILE: &str = "identity.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityToml {
    #[expect(dead_code, reason = "for readers of the file")]
    version: String,
    valid_from: String,
    second_factor: FactorToml,
    hardware_factor: HardwareToml,
    machines: MachinesToml,
    conditions: ConditionsToml,
    apart: Vec<ApartToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactorToml {
    fresh_minutes: u64,
    fetch_minutes: u64,
    profiles: Vec<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    source: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HardwareToml {
    valid_from: String,
    profiles: Vec<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    source: Vec<String>,
    #[serde(default)]
    exceptions: Vec<ExceptionToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExceptionToml {
    installation: String,
    until: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MachinesToml {
    token_minutes: u64,
    certificate_days_max: u64,
    #[expect(dead_code, reason = "for readers of the file")]
    source: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionsToml {
    training_months: i32,
    clearance_profiles: Vec<String>,
    grace_until: String,
    administrator_profiles: Vec<String>,
    administrator_grace_days: u64,
    #[expect(dead_code, reason = "for readers of the file")]
    source: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApartToml {
    these: Vec<String>,
    those: Vec<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    source: String,
}

/// What an account lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// No signed charter is noted.
    Charter,
    /// No training is noted.
    Training,
    /// The training is too long ago.
    TrainingOld,
    /// A police profile without a noted clearance.
    Clearance,
}

impl Unmet {
    /// Stable word; also the end of the problem code `account_…`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Charter => "charter_missing",
            Self::Training => "training_missing",
            Self::TrainingOld => "training_expired",
            Self::Clearance => "clearance_missing",
        }
    }
}

/// Profiles that one account may not hold together.
#[derive(Clone, Debug)]
struct Apart {
    these: Vec<Profile>,
    those: Vec<Profile>,
}

/// An installation where codes do what keys must do elsewhere.
#[derive(Clone, Debug)]
struct Exception {
    installation: String,
    until: Date,
}

/// Rules of identity.
#[derive(Clone, Debug)]
pub struct IdentityRules {
    /// A machine's token counts for this long.
    pub machine_life: Duration,
    /// A machine's certificate is noted for at most this long.
    pub machine_certificate_max: Duration,
    hardware_profiles: Vec<Profile>,
    hardware_from: Date,
    hardware_exceptions: Vec<Exception>,
    /// A second factor counts as fresh for this long.
    pub fresh: Duration,
    /// And for fetching files of exports for this long.
    pub fetch: Duration,
    factor_profiles: Vec<Profile>,
    apart: Vec<Apart>,
    valid_from: Date,
    grace_until: Date,
    training_months: i32,
    clearance_profiles: Vec<Profile>,
    administrator_profiles: Vec<Profile>,
    administrator_grace: Duration,
}

fn bad(value: &str, problem: &'static str) -> SeedError {
    SeedError::Value { file: FILE, value: value.to_owned(), problem }
}

fn profiles(words: &[String]) -> Result<Vec<Profile>, SeedError> {
    words.iter().map(|word| word.parse().map_err(|_| bad(word, "is no profile"))).collect()
}

fn day(text: &str) -> Result<Date, SeedError> {
    text.parse().map_err(|_| bad(text, "is no date"))
}

/// The day in Brussels.
fn day_of(at: WallTime) -> Option<Date> {
    let zone = TimeZone::get("Europe/Brussels").ok()?;
    Some(Timestamp::from_microsecond(at.micros).ok()?.to_zoned(zone).date())
}

/// The first instant of a day in Brussels; `None` when the text is no day.
pub fn day_start(text: &str) -> Option<WallTime> {
    let day: Date = text.parse().ok().filter(|_| text.len() == 10)?;
    // Far days have no meaning for charters and trainings, and stay inside what an instant holds.
    if day < date(1990, 1, 1) || day > date(2100, 1, 1) {
        return None;
    }
    let zone = TimeZone::get("Europe/Brussels").ok()?;
    Some(WallTime::from_micros(day.to_zoned(zone).ok()?.timestamp().as_microsecond()))
}

/// The day in Brussels as `YYYY-MM-DD`.
pub fn day_text(at: WallTime) -> Option<String> {
    day_of(at).map(|day| day.to_string())
}

impl IdentityRules {
    /// The rules that ship with the program.
    ///
    /// # Errors
    /// [`SeedError`]; a test holds that the shipped file reads.
    pub fn embedded() -> Result<Self, SeedError> {
        Self::parse(include_str!("../../../../seed/identity.toml"))
    }

    /// Reads rules.
    ///
    /// # Errors
    /// [`SeedError`] names the value.
    pub fn parse(text: &str) -> Result<Self, SeedError> {
        let raw: IdentityToml =
            toml::from_str(text).map_err(|error| SeedError::Syntax { file: FILE, source: error.into() })?;
        let apart = |row: &ApartToml| Ok(Apart { these: profiles(&row.these)?, those: profiles(&row.those)? });
        let exception = |row: &ExceptionToml| {
            if row.reason.trim().is_empty() {
                return Err(bad(&row.installation, "is an exception without a reason"));
            }
            Ok(Exception { installation: row.installation.clone(), until: day(&row.until)? })
        };
        Ok(Self {
            machine_life: Duration::from_secs(raw.machines.token_minutes * 60),
            machine_certificate_max: Duration::from_secs(raw.machines.certificate_days_max * 86_400),
            hardware_profiles: profiles(&raw.hardware_factor.profiles)?,
            hardware_from: day(&raw.hardware_factor.valid_from)?,
            hardware_exceptions: raw
                .hardware_factor
                .exceptions
                .iter()
                .map(exception)
                .collect::<Result<_, SeedError>>()?,
            fresh: Duration::from_secs(raw.second_factor.fresh_minutes * 60),
            fetch: Duration::from_secs(raw.second_factor.fetch_minutes * 60),
            factor_profiles: profiles(&raw.second_factor.profiles)?,
            apart: raw.apart.iter().map(apart).collect::<Result<_, SeedError>>()?,
            valid_from: day(&raw.valid_from)?,
            grace_until: day(&raw.conditions.grace_until)?,
            training_months: raw.conditions.training_months,
            clearance_profiles: profiles(&raw.conditions.clearance_profiles)?,
            administrator_profiles: profiles(&raw.conditions.administrator_profiles)?,
            administrator_grace: Duration::from_secs(raw.conditions.administrator_grace_days * 86_400),
        })
    }

    /// Whether an account with any of these profiles needs a second factor.
    pub fn needs_factor(&self, held: &[Profile]) -> bool {
        held.iter().any(|profile| self.factor_profiles.contains(profile))
    }

    /// Whether the profile's rights open with a hardware key only, on this day and in this installation.
    pub fn needs_hardware(&self, profile: Profile, installation: &str, now: WallTime) -> bool {
        let Some(today) = day_of(now).filter(|_| self.hardware_profiles.contains(&profile)) else { return false };
        let excepted =
            |row: &Exception| row.installation == installation && !installation.is_empty() && today < row.until;
        today >= self.hardware_from && !self.hardware_exceptions.iter().any(excepted)
    }

    /// Two profiles of a set that may not be held together.
    pub fn clash(&self, held: &[Profile]) -> Option<(Profile, Profile)> {
        let first = |wanted: &[Profile]| held.iter().find(|profile| wanted.contains(profile)).copied();
        self.apart.iter().find_map(|rule| Some((first(&rule.these)?, first(&rule.those)?)))
    }

    /// What the account lacks now; empty while a grace runs.
    pub fn unmet(&self, account: &Account, now: WallTime) -> Vec<Unmet> {
        if self.grace_end(account).is_some_and(|end| now < end) {
            return Vec::new();
        }
        self.lacking(account, now)
    }

    /// What the account lacks now, grace or not.
    pub fn lacking(&self, account: &Account, now: WallTime) -> Vec<Unmet> {
        let mut all = Vec::new();
        // A machine signs no charter; its certificate says what it is.
        if account.profile == crate::identity::machines::MACHINE_PROFILE {
            return all;
        }
        if account.charter_at.is_none() {
            all.push(Unmet::Charter);
        }
        match account.training_at {
            None => all.push(Unmet::Training),
            Some(at) if self.training_ends(at).is_none_or(|end| now >= end) => all.push(Unmet::TrainingOld),
            Some(_) => {}
        }
        let police = account.profiles().any(|profile| self.clearance_profiles.contains(&profile));
        if police && account.cleared_at.is_none() {
            all.push(Unmet::Clearance);
        }
        all
    }

    /// End of the time in which an account need not show anything yet; `None` when it must.
    pub fn grace_end(&self, account: &Account) -> Option<WallTime> {
        let made = day_of(account.created_at)?;
        let old = (made < self.valid_from).then(|| day_start(&self.grace_until.to_string())).flatten();
        let administers = self.administrator_profiles.contains(&account.profile);
        let first = administers.then(|| account.created_at.plus(self.administrator_grace));
        old.into_iter().chain(first).max_by_key(|at| at.micros)
    }

    /// First instant at which a training no longer counts.
    pub fn training_ends(&self, at: WallTime) -> Option<WallTime> {
        let end = day_of(at)?.checked_add(self.training_months.months()).ok()?;
        day_start(&end.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(profile: Profile, created: &str, charter: &str, training: &str, cleared: &str) -> Account {
        let at = |text: &str| day_start(text);
        Account {
            id: vms_core::UserId::from_bytes([1; 16]),
            org: vms_core::OrgId::from_bytes([1; 16]),
            user_name: "a".into(),
            name: "A".into(),
            password_hash: String::new(),
            password_state: crate::model::PasswordState::Own,
            profile,
            more_profiles: Vec::new(),
            language: crate::words::Language::Nl,
            disabled_at: None,
            charter_at: at(charter),
            training_at: at(training),
            cleared_at: at(cleared),
            last_used_at: at(created).unwrap(),
            created_at: at(created).unwrap(),
            version: 1,
        }
    }

    #[test]
    fn an_account_shows_what_it_must_after_its_grace() {
        let rules = IdentityRules::embedded().unwrap();
        let now = day_start("2026-12-01").unwrap();
        let late = day_start("2027-03-01").unwrap();
        for (profile, created, charter, training, cleared, at, wanted) in [
            (Profile::P01, "2026-11-25", "2026-11-25", "2026-11-25", "2026-11-25", now, vec![]),
            (Profile::P01, "2026-11-25", "", "", "", now, vec![Unmet::Charter, Unmet::Training, Unmet::Clearance]),
            (Profile::P01, "2026-11-25", "2026-11-25", "2024-12-01", "2026-11-25", now, vec![Unmet::TrainingOld]),
            (Profile::P01, "2026-11-25", "2026-11-25", "2024-12-02", "2026-11-25", now, vec![]),
            (Profile::P07, "2026-11-25", "2026-11-25", "2026-11-25", "", now, vec![]),
            // An account from before the rule: a grace, and then no more.
            (Profile::P01, "2026-11-01", "", "", "", now, vec![]),
            (Profile::P01, "2026-11-01", "", "", "", late, vec![Unmet::Charter, Unmet::Training, Unmet::Clearance]),
            // The first administrator has thirty days.
            (Profile::P18, "2026-11-25", "", "", "", now, vec![]),
            (Profile::P18, "2026-11-25", "", "", "", late, vec![Unmet::Charter, Unmet::Training]),
        ] {
            let account = account(profile, created, charter, training, cleared);
            assert_eq!(rules.unmet(&account, at), wanted, "{profile} {created} {charter} {training} {cleared}");
        }
    }

    #[test]
    fn profiles_that_stay_apart_are_found_in_every_pair() {
        let rules = IdentityRules::embedded().unwrap();
        let images: Vec<_> = [1, 2, 3, 4, 11, 12, 13, 14, 15, 16].iter().map(|n| format!("P{n:02}")).collect();
        let mut clashes = 0;
        for one in Profile::ALL {
            for two in Profile::ALL {
                let found = rules.clash(&[*one, *two]).is_some();
                assert_eq!(found, rules.clash(&[*two, *one]).is_some(), "{one} {two}");
                let technical = |p: &Profile| matches!(p, Profile::P17 | Profile::P18);
                if technical(one) && images.contains(&two.as_str().to_owned()) {
                    assert!(found, "{one} {two}");
                }
                let oversees = |p: &Profile| matches!(p, Profile::P20 | Profile::P21 | Profile::P22);
                if oversees(one) && *two < Profile::P20 {
                    assert!(found, "{one} {two}");
                }
                clashes += usize::from(found && one < two);
            }
            assert!(rules.clash(&[*one]).is_none(), "{one} alone");
        }
        // 2 x 10 images, 3 x 19 operational, P05 with P03, P24 with 23 others.
        assert_eq!(clashes, 20 + 57 + 1 + 23);
        assert!(rules.clash(&[Profile::P01, Profile::P02, Profile::P04]).is_none());
    }

    #[test]
    fn who_administers_or_exports_needs_a_hardware_key_from_its_day() {
        let rules = IdentityRules::embedded().unwrap();
        let day = |text: &str| day_start(text).unwrap();
        for (profile, installation, at, wanted) in [
            (Profile::P18, "", "2026-11-23", true),
            (Profile::P18, "", "2026-11-22", false),
            (Profile::P03, "", "2026-12-01", true),
            (Profile::P21, "", "2026-12-01", true),
            (Profile::P01, "", "2026-12-01", false),
            (Profile::P24, "", "2026-12-01", false),
            (Profile::P18, "demo", "2026-12-01", false),
            (Profile::P18, "demo", "2027-11-23", true),
            (Profile::P18, "demo-second-person", "2026-12-01", false),
            (Profile::P18, "somewhere", "2026-12-01", true),
        ] {
            assert_eq!(rules.needs_hardware(profile, installation, day(at)), wanted, "{profile} {installation} {at}");
        }
        // Whoever needs a second factor at all needs a hardware one: there is no weaker way to the same rights.
        for profile in Profile::ALL {
            assert_eq!(
                rules.needs_hardware(*profile, "", day("2026-12-01")),
                rules.needs_factor(&[*profile]),
                "{profile}"
            );
        }
    }

    #[test]
    fn wrong_rules_are_named() {
        let text = include_str!("../../../../seed/identity.toml");
        for (from, to, wanted) in [
            ("\"P24\"", "\"P99\"", "`P99` is no profile"),
            ("grace_until = \"2027-02-28\"", "grace_until = \"soon\"", "`soon` is no date"),
            ("training_months", "trainings", "does not parse"),
            ("reason = \"the demo", "reason = \"\" #", "is an exception without a reason"),
        ] {
            let error = IdentityRules::parse(&text.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }
}
