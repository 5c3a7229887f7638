//! The wire format between the client and the integrator (or the stub that plays it).
//!
//! `POST /v1/flows/{flow}/vehicles:batch` and, for flows that ask for them, `…/holders:batch`, at most [`BATCH_MAX`] items. Fields beyond these are dropped at this edge: a
//! source that sends more than it should does not get it stored.

use std::str::FromStr as _;

use serde::{Deserialize, Serialize};
use traffic_rules::lez::{Lookup, NormSource, SpecialUse, StatedNorm, VehicleSnapshot};
use traffic_rules::{Day, PlateBook};
use vms_core::WallTime;

/// Most plates in one request.
pub const BATCH_MAX: usize = 500;

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchRequest {
    /// Id of the request.
    pub request_id: String,
    /// Purpose code.
    pub purpose: String,
    /// For which of several institutions of one flow: a municipality's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Plates.
    pub items: Vec<BatchItem>,
}

/// One plate asked about. `Debug` hides the plate.
#[derive(Clone, Serialize, Deserialize)]
pub struct BatchItem {
    /// Canonical plate.
    pub plate: String,
    /// Distinguishing sign.
    pub country: String,
    /// Instant, RFC 3339, UTC.
    pub at: String,
}

impl std::fmt::Debug for BatchItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchItem").field("country", &self.country).field("at", &self.at).finish_non_exhaustive()
    }
}

/// An answer, its items still unread: one malformed item must not lose the others.
#[derive(Clone, Deserialize)]
pub struct BatchAnswer {
    /// The request's id.
    pub request_id: String,
    /// Answers, in any order.
    pub answers: Vec<serde_json::Value>,
}

impl std::fmt::Debug for BatchAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchAnswer").field("answers", &self.answers.len()).finish_non_exhaustive()
    }
}

/// The answer for one plate. `Debug` hides the plate.
#[derive(Clone, Serialize, Deserialize)]
pub struct AnswerItem {
    /// As asked.
    pub plate: String,
    /// As asked.
    pub country: String,
    /// As asked.
    pub at: String,
    /// What the source knows.
    pub state: AnswerState,
    /// With [`AnswerState::Found`], of a question for vehicles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vehicle: Option<WireVehicle>,
    /// With [`AnswerState::Found`], of a question for holders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<WireHolder>,
}

/// A holder as it travels: the source's own number, no name and no address. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireHolder {
    /// The number: letters, digits and hyphens, at most [`HOLDER_MAX`].
    pub id: String,
    /// Of what.
    pub kind: HolderKind,
}

impl std::fmt::Debug for WireHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireHolder").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What a holder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderKind {
    /// A natural person.
    Person,
    /// A legal person.
    Company,
}

/// Longest number of a holder.
pub const HOLDER_MAX: usize = 40;

impl std::fmt::Debug for AnswerItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerItem").field("country", &self.country).field("state", &self.state).finish_non_exhaustive()
    }
}

/// What the source knows of one plate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerState {
    /// A vehicle.
    Found,
    /// No vehicle.
    Unknown,
    /// The answer comes with a later batch.
    Pending,
}

/// A vehicle as it travels. Technical data only: no holder, no colour, no insurance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WireVehicle {
    /// Keyed token of the vehicle.
    pub vehicle_key: Option<String>,
    /// Field J.
    pub category: Option<String>,
    /// N1 or bus class.
    pub class: Option<String>,
    /// Field P.3.
    pub fuels: Vec<String>,
    /// Field V.9.
    pub euro_norm: Option<String>,
    /// `certificate`, `accepted` or `derived`; anything else, and nothing, counts as `derived`.
    pub norm_source: Option<String>,
    /// First registration anywhere, YYYY-MM-DD.
    pub first_registration: Option<Day>,
    /// Reference mass, kg.
    pub ref_mass_kg: Option<u32>,
    /// Mass in running order, kg.
    pub running_order_kg: Option<u32>,
    /// Plate-type code of the registry.
    pub plate_type: Option<String>,
    /// `priority` or `military`.
    pub special_use: Option<SpecialUse>,
    /// Status word.
    pub status: Option<String>,
    /// First day of this registration.
    pub registration_from: Option<Day>,
    /// Its last day.
    pub registration_to: Option<Day>,
    /// Country of an imported certificate.
    pub import_country: Option<String>,
}

impl From<WireVehicle> for VehicleSnapshot {
    fn from(wire: WireVehicle) -> Self {
        let source = match wire.norm_source.as_deref() {
            Some("certificate") => NormSource::Certificate,
            Some("accepted") => NormSource::Accepted,
            // A source that we do not know is worth a person's look, never a fine.
            Some(_) | None => NormSource::Derived,
        };
        Self {
            vehicle_key: wire.vehicle_key,
            category: wire.category,
            class: wire.class,
            fuels: wire.fuels,
            euro_norm: wire.euro_norm.map(|text| StatedNorm { text, source }),
            first_registration: wire.first_registration,
            ref_mass_kg: wire.ref_mass_kg,
            running_order_kg: wire.running_order_kg,
            plate_kind: wire.plate_type.and_then(|code| PlateBook::embedded().kind_of_code(&code)),
            special_use: wire.special_use,
            status: wire.status,
            registration_from: wire.registration_from,
            registration_to: wire.registration_to,
            import_country: wire.import_country,
        }
    }
}

impl AnswerItem {
    /// What a decision can use; `None` when the answer contradicts itself. [`AnswerState::Pending`] is none of its business.
    pub(crate) fn lookup(self) -> Option<Lookup> {
        match (self.state, self.vehicle) {
            // A source that says who holds it was not asked that.
            _ if self.holder.is_some() => None,
            (AnswerState::Found, Some(vehicle)) => Some(Lookup::Found { vehicle: Box::new(vehicle.into()) }),
            (AnswerState::Unknown, None) => Some(Lookup::Unknown),
            (AnswerState::Found | AnswerState::Unknown | AnswerState::Pending, _) => None,
        }
    }
}

impl AnswerItem {
    /// The holder, or that there is none; `None` when the answer contradicts itself. More than a holder is more than was asked.
    pub(crate) fn holder(self) -> Option<Option<WireHolder>> {
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        match (self.state, self.vehicle, self.holder) {
            (AnswerState::Found, None, Some(holder))
                if (1..=HOLDER_MAX).contains(&holder.id.len()) && holder.id.bytes().all(is_plain) =>
            {
                Some(Some(holder))
            }
            (AnswerState::Unknown, None, None) => Some(None),
            (AnswerState::Found | AnswerState::Unknown | AnswerState::Pending, _, _) => None,
        }
    }
}

/// An RFC 9457 problem.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// In words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
}

/// An instant as it travels.
pub fn instant_text(at: WallTime) -> String {
    jiff::Timestamp::from_microsecond(at.micros).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// Reads an instant.
pub fn instant(text: &str) -> Option<WallTime> {
    jiff::Timestamp::from_str(text).ok().map(|stamp| WallTime::from_micros(stamp.as_microsecond()))
}

/// Reads any bytes as an answer, item by item: never panics. For fuzzing.
pub fn fuzz_answer(data: &[u8]) {
    if let Ok(answer) = serde_json::from_slice::<BatchAnswer>(data) {
        for item in answer.answers {
            if let Ok(item) = serde_json::from_value::<AnswerItem>(item) {
                drop(item.clone().holder());
                drop(item.lookup());
            }
        }
    }
}

/// Reads any bytes as a request: never panics. For fuzzing.
pub fn fuzz_request(data: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<BatchRequest>(data) {
        for item in request.items {
            drop((vms_core::Plate::parse(&item.plate), vms_core::Country::parse(&item.country), instant(&item.at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_back() {
        for micros in [0, 1_795_300_000_123_456, -1] {
            let at = WallTime::from_micros(micros);
            assert_eq!(instant(&instant_text(at)), Some(at));
        }
        assert_eq!(instant("yesterday"), None);
    }

    #[test]
    fn a_norm_without_a_known_source_is_derived() {
        for (source, wanted) in [
            (Some("certificate"), NormSource::Certificate),
            (Some("accepted"), NormSource::Accepted),
            (Some("guess"), NormSource::Derived),
            (None, NormSource::Derived),
        ] {
            let wire = WireVehicle {
                euro_norm: Some("5".to_owned()),
                norm_source: source.map(ToOwned::to_owned),
                ..WireVehicle::default()
            };
            assert_eq!(VehicleSnapshot::from(wire).euro_norm.unwrap().source, wanted, "{source:?}");
        }
    }

    #[test]
    fn excess_fields_are_dropped_and_bad_bytes_survived() {
        let vehicle: WireVehicle =
            serde_json::from_str(r#"{"category":"M1","holder":{"name":"x"},"colour":"red"}"#).unwrap();
        assert_eq!(vehicle, WireVehicle { category: Some("M1".to_owned()), ..WireVehicle::default() });
        let corpus: [&[u8]; 5] = [
            b"",
            b"{\"request_id\":\"r\",\"answers\":[{},1,{\"plate\":\"A\",\"country\":\"B\",\"at\":\"\",\"state\":\"found\"}]}",
            b"{\"request_id\":\"r\",\"purpose\":\"LEZ\",\"items\":[{\"plate\":\"\\u0000\",\"country\":\"\",\"at\":\"x\"}]}",
            b"\xff\xfe",
            b"[[[[[[[[",
        ];
        for data in corpus {
            fuzz_answer(data);
            fuzz_request(data);
        }
    }
}
