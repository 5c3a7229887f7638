//! Permits and lists of the permit desk, for zones with restricted access.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use vms_app::lez::permits::Imported;
use vms_app::traffic_ports::{NewListing, NewPermit};
use vms_core::{Country, Plate, WallTime};

use super::common::{instant, parse_instant};
use crate::problem::Problem;

/// Entries of one import: a page of a register.
const ENTRIES_MAX: usize = 1_000;

/// One permit.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PermitDto {
    /// The desk's own number; the permit with it is replaced.
    pub id: String,
    /// Plate.
    pub plate: String,
    /// Sign of its country, such as `B`.
    pub country: String,
    /// Code of the right, such as `Z-MED`.
    pub right: String,
    /// Codes of the zones.
    pub zones: Vec<String>,
    /// First instant.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// When it was granted.
    pub granted_at: String,
    /// `requested`, `granted`, `suspended` or `refused`.
    pub status: String,
    /// Hours of its own: `days`, `from`, `to`, `on_holiday`, as in `zones.toml`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub windows: Vec<Value>,
    /// Parking place or other group that it counts in.
    pub group: Option<PermitGroupDto>,
    /// Reference of the file.
    pub evidence: String,
}

/// A group of vehicles.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PermitGroupDto {
    /// Its name.
    pub name: String,
    /// Its parking places.
    pub places: u16,
}

/// An entry of a list of vehicles that pass without a permit.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PermitListingDto {
    /// `bicycle`, `service`, `priority`, `public_transport`, `military` or `taxi`.
    pub list: String,
    /// Plate.
    pub plate: String,
    /// Sign of its country.
    pub country: String,
    /// First instant.
    pub from: String,
    /// First instant after; none for no end.
    pub to: Option<String>,
    /// Reference of the file.
    pub evidence: String,
}

/// Entries for the register.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PermitImportDto {
    /// Why.
    pub justification: String,
    /// Permits.
    #[serde(default)]
    pub permits: Vec<PermitDto>,
    /// Entries of lists.
    #[serde(default)]
    pub listings: Vec<PermitListingDto>,
}

macro_rules! hidden_debug {
    ($($name:ident),+) => { $(impl std::fmt::Debug for $name {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct(stringify!($name)).finish_non_exhaustive()
        }
    })+ };
}
hidden_debug!(PermitDto, PermitListingDto, PermitImportDto, PermitView);

type Read<T> = Result<T, String>;

fn plate_of(plate: &str, country: &str) -> Read<(Plate, Country)> {
    let plate = Plate::parse(plate).map_err(|_| "plate: not a plate".to_owned())?;
    Ok((plate, Country::parse(country).ok_or("country: no country's sign")?))
}

fn word<T: for<'de> Deserialize<'de>>(field: &str, word: &str) -> Read<T> {
    serde_json::from_value(Value::from(word)).map_err(|_| format!("{field}: an unknown word"))
}

fn at(field: &str, text: &str) -> Read<WallTime> {
    parse_instant(field, text).map_err(|_| format!("{field}: not an RFC 3339 instant"))
}

impl PermitDto {
    fn to_new(&self) -> Read<NewPermit> {
        let (plate, country) = plate_of(&self.plate, &self.country)?;
        let windows = self.windows.iter().map(|window| serde_json::from_value(window.clone()));
        Ok(NewPermit {
            id: self.id.clone(),
            plate,
            country,
            right: self.right.clone(),
            zones: self.zones.clone(),
            from: at("from", &self.from)?,
            to: at("to", &self.to)?,
            granted_at: at("granted_at", &self.granted_at)?,
            status: word("status", &self.status)?,
            windows: windows.collect::<Result<_, _>>().map_err(|_| "windows: not hours of a week".to_owned())?,
            group: self.group.as_ref().map(|group| (group.name.clone(), group.places)),
            evidence: self.evidence.clone(),
        })
    }
}

impl PermitListingDto {
    fn to_new(&self) -> Read<NewListing> {
        let (plate, country) = plate_of(&self.plate, &self.country)?;
        Ok(NewListing {
            list: word("list", &self.list)?,
            plate,
            country,
            from: at("from", &self.from)?,
            to: self.to.as_deref().map(|to| at("to", to)).transpose()?,
            evidence: self.evidence.clone(),
        })
    }
}

/// What of an import reads, and what does not.
#[derive(Debug, Default)]
pub struct PermitEntries {
    /// Permits.
    pub permits: Vec<NewPermit>,
    /// Entries of lists.
    pub listings: Vec<NewListing>,
    /// Where each of these stood in the request: permits, then lists.
    places: Vec<usize>,
    refused: Vec<PermitRefusedView>,
}

impl PermitImportDto {
    /// For the use case: an entry that does not read is told by its place, and keeps no other one back.
    ///
    /// # Errors
    /// 422 when there are too many.
    pub fn to_new(&self) -> Result<PermitEntries, Problem> {
        if self.permits.len() + self.listings.len() > ENTRIES_MAX {
            return Err(Problem::invalid("permits", "too_many"));
        }
        let mut entries = PermitEntries::default();
        for (position, permit) in self.permits.iter().enumerate() {
            match permit.to_new() {
                Ok(permit) => {
                    entries.permits.push(permit);
                    entries.places.push(position);
                }
                Err(reason) => entries.refused.push(PermitRefusedView { position, reason }),
            }
        }
        for (position, listing) in (self.permits.len()..).zip(&self.listings) {
            match listing.to_new() {
                Ok(listing) => {
                    entries.listings.push(listing);
                    entries.places.push(position);
                }
                Err(reason) => entries.refused.push(PermitRefusedView { position, reason }),
            }
        }
        Ok(entries)
    }
}

impl PermitEntries {
    /// Takes what goes to the use case out; what is left tells places.
    pub fn take(&mut self) -> (Vec<NewPermit>, Vec<NewListing>) {
        (std::mem::take(&mut self.permits), std::mem::take(&mut self.listings))
    }

    /// What came of the import, by the places of the request.
    pub fn told(self, imported: Imported) -> PermitImportView {
        let mut refused = self.refused;
        let place = |at: usize| self.places.get(at).copied().unwrap_or(at);
        let said = imported.refused.into_iter();
        refused.extend(said.map(|one| PermitRefusedView { position: place(one.position), reason: one.reason }));
        refused.sort_by_key(|one| one.position);
        PermitImportView { permits: imported.permits, listings: imported.listings, refused }
    }
}

/// An entry that was not taken.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PermitRefusedView {
    /// From 0: permits, then lists.
    pub position: usize,
    /// One sentence.
    pub reason: String,
}

/// What came of an import.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PermitImportView {
    /// Permits kept.
    pub permits: u64,
    /// Entries of lists kept.
    pub listings: u64,
    /// What was not taken.
    pub refused: Vec<PermitRefusedView>,
}

/// A permit's end.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PermitWithdrawDto {
    /// Why.
    pub justification: String,
}

/// One permit of the register.
#[derive(Clone, Serialize, ToSchema)]
pub struct PermitView {
    /// The desk's own number.
    pub id: String,
    /// Plate.
    pub plate: String,
    /// Sign of its country.
    pub country: String,
    /// Code of the right.
    pub right: String,
    /// Codes of the zones.
    pub zones: Vec<String>,
    /// First instant.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// When it was granted.
    pub granted_at: String,
    /// `requested`, `granted`, `suspended` or `refused`.
    pub status: String,
    /// Its group.
    pub group: Option<PermitGroupDto>,
    /// Reference of the file.
    pub evidence: String,
}

impl From<&NewPermit> for PermitView {
    fn from(permit: &NewPermit) -> Self {
        let status = serde_json::to_value(permit.status).unwrap_or_default();
        Self {
            id: permit.id.clone(),
            plate: permit.plate.reveal().to_owned(),
            country: permit.country.as_str().to_owned(),
            right: permit.right.clone(),
            zones: permit.zones.clone(),
            from: instant(permit.from),
            to: instant(permit.to),
            granted_at: instant(permit.granted_at),
            status: status.as_str().unwrap_or_default().to_owned(),
            group: permit.group.clone().map(|(name, places)| PermitGroupDto { name, places }),
            evidence: permit.evidence.clone(),
        }
    }
}
