//! The permit desk's register for zones with restricted access. The desk gives what the law lets it give ([`traffic_rules::zbt::admit()`]),
//! in the zones of its own municipality, and sees its own register only.

use serde_json::json;
use traffic_rules::zbt::snapshot::Permit as VehiclePermit;
use traffic_rules::zbt::{PermitId, RightCode, ZoneCode, admit};
use vms_core::{Purpose, Relation, WallTime};

use crate::cases::UseCases;
use crate::error::{Entity, UseCaseError};
use crate::gate::action::{Action, EditPermits, ViewPermits};
use crate::gate::{Actor, Permit, Target, Why};
use crate::traffic_ports::{NewListing, NewPermit};

/// Longest number of a permit and longest reference, bytes.
const TEXT_LEN_MAX: usize = 120;

/// Why an entry was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEntry {
    /// Place in the file, from 0: permits, then lists.
    pub position: usize,
    /// One sentence; never a plate.
    pub reason: String,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Permits kept.
    pub permits: u64,
    /// Entries of lists kept.
    pub listings: u64,
    /// What was not taken, and why.
    pub refused: Vec<RefusedEntry>,
}

impl UseCases {
    async fn permit_desk<A: Action>(
        &self,
        actor: &Actor,
        object: Option<String>,
        why: &Why,
    ) -> Result<Permit<A>, UseCaseError> {
        let circumstances = self.circumstances_of_own(actor, None).await?;
        let target =
            Target { owner: Some(actor.org), relation: Relation::Own, object, circumstances, ..Target::none() };
        // The register serves one purpose.
        let why = Why { purpose: Some(Purpose::Zbt), ..why.clone() };
        Ok(self.gate.permit::<A>(actor, target, &why).await?)
    }

    /// The zones that an organisation gives permits for.
    fn own_zones(&self, actor: &Actor) -> Result<Vec<&str>, UseCaseError> {
        Ok(self.traffic()?.sites.zones_of(&actor.org_code).collect())
    }

    /// Takes permits and entries of lists: each that the law allows and that is for the desk's own zones; the others are named.
    ///
    /// # Errors
    /// `Denied`, `Conflict` where there is no register, `LogUnavailable`, `Unavailable`.
    pub async fn permit_import(
        &self,
        actor: &Actor,
        permits: Vec<NewPermit>,
        listings: Vec<NewListing>,
        why: &Why,
    ) -> Result<Imported, UseCaseError> {
        let permit = self.permit_desk::<EditPermits>(actor, None, why).await?;
        let (traffic, zones) = (self.traffic()?, self.own_zones(actor)?);
        let (mut imported, now) = (Imported::default(), self.now());
        // First the log: a permit that nobody can prove was given was not given.
        let details = json!({
            "permits": permits.len(), "listings": listings.len(), "decision": permit.decision().to_string(),
        });
        self.record("permits_imported", audit::LeafKind::Change, Some(actor.clone()), details).await?;
        let offset = permits.len();
        for (position, new) in permits.into_iter().enumerate() {
            match self.permit_problem(&permit, &new, &zones).await? {
                Some(reason) => imported.refused.push(RefusedEntry { position, reason }),
                None => {
                    traffic.permits.permit_put(&permit, &new, actor.user, now).await?;
                    imported.permits += 1;
                }
            }
        }
        for (position, new) in listings.into_iter().enumerate() {
            if let Some(reason) = listing_problem(&new, &zones) {
                imported.refused.push(RefusedEntry { position: offset + position, reason });
                continue;
            }
            traffic.permits.listing_put(&permit, &new, actor.user, now).await?;
            imported.listings += 1;
        }
        Ok(imported)
    }

    async fn permit_problem(
        &self,
        permit: &Permit<EditPermits>,
        new: &NewPermit,
        zones: &[&str],
    ) -> Result<Option<String>, UseCaseError> {
        if let Some(problem) = text_problem(&new.id).or_else(|| text_problem(&new.evidence)) {
            return Ok(Some(problem.to_owned()));
        }
        // The number stands in snapshots and in the log of reasons, where no plate may be.
        if same_letters(&new.id, new.plate.reveal()) {
            return Ok(Some("the number of a permit is not its plate".to_owned()));
        }
        if let Some(stranger) = new.zones.iter().find(|zone| !zones.contains(&zone.as_str())) {
            return Ok(Some(format!("zone `{stranger}` is another municipality's")));
        }
        let traffic = self.traffic()?;
        let asked = VehiclePermit {
            id: PermitId::new(new.id.as_str()),
            right: RightCode::new(new.right.as_str()),
            zones: new.zones.iter().map(|zone| ZoneCode::new(zone.as_str())).collect(),
            from: new.from,
            to: new.to,
            granted_at: new.granted_at,
            status: new.status,
            windows: new.windows.clone(),
            group: traffic.permits.group_now(permit, new).await?,
        };
        Ok(admit(&traffic.zones, &asked).err().map(|refusal| refusal.to_string()))
    }

    /// Ends a permit now.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `LogUnavailable`, `Unavailable`.
    pub async fn permit_withdraw(&self, actor: &Actor, id: &str, why: &Why) -> Result<(), UseCaseError> {
        let permit = self.permit_desk::<EditPermits>(actor, Some(id.to_owned()), why).await?;
        let known: Permit<ViewPermits> = self.permit_desk(actor, Some(id.to_owned()), &Why::default()).await?;
        let (traffic, zones) = (self.traffic()?, self.own_zones(actor)?);
        let found = traffic.permits.permit_zones(&known, id).await?;
        let is_own = found.is_some_and(|found| found.iter().any(|zone| zones.contains(&zone.as_str())));
        if !is_own {
            return Err(UseCaseError::NotFound(Entity::Permit));
        }
        let details = json!({ "permit": id, "decision": permit.decision().to_string() });
        self.record("permit_ended", audit::LeafKind::Change, Some(actor.clone()), details).await?;
        if traffic.permits.permit_end(&permit, id, self.now()).await? {
            Ok(())
        } else {
            Err(UseCaseError::NotFound(Entity::Permit))
        }
    }

    /// The register of the desk's own zones, by number.
    ///
    /// # Errors
    /// `Denied`, `Conflict` where there is no register, `LogUnavailable`, `Unavailable`.
    pub async fn permit_list(
        &self,
        actor: &Actor,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<NewPermit>, UseCaseError> {
        let permit: Permit<ViewPermits> = self.permit_desk(actor, None, &Why::default()).await?;
        let (traffic, zones) = (self.traffic()?, self.own_zones(actor)?);
        let mut own = Vec::new();
        let mut from = after.unwrap_or_default().to_owned();
        // A page of one's own may take several of everybody's.
        loop {
            let page = traffic.permits.permit_list(&permit, &from, limit).await?;
            let Some(last) = page.last().map(|row| row.id.clone()) else { return Ok(own) };
            let is_last = page.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            own.extend(page.into_iter().filter(|row| row.zones.iter().any(|zone| zones.contains(&zone.as_str()))));
            if is_last || own.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                own.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                return Ok(own);
            }
            from = last;
        }
    }
}

fn text_problem(text: &str) -> Option<&'static str> {
    let fits = !text.trim().is_empty() && text.len() <= TEXT_LEN_MAX && !text.chars().any(char::is_control);
    (!fits).then_some("number and reference of the file must be given, at most 120 bytes each")
}

fn listing_problem(new: &NewListing, zones: &[&str]) -> Option<String> {
    if zones.is_empty() {
        return Some("this organisation has no zone".to_owned());
    }
    if new.to.is_some_and(|to: WallTime| to <= new.from) {
        return Some("the entry ends before it starts".to_owned());
    }
    text_problem(&new.evidence).map(str::to_owned)
}

fn same_letters(text: &str, plate: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(|one| one.is_alphanumeric()).flat_map(char::to_uppercase).collect()
    };
    letters(text).contains(&letters(plate))
}
