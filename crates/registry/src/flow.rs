//! Data flows: one institution × one source × one purpose (`seed/flows.toml`, `domain.md` E2).
//!
//! A flow asked for another purpose, by another institution or for another question is refused here, before a packet
//! leaves; the integrator refuses it again.

use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use vms_core::{Country, Purpose};

const TEXT: &str = include_str!("../../../seed/flows.toml");

static EMBEDDED: LazyLock<FlowBook> =
    LazyLock::new(|| FlowBook::load(TEXT).expect("the embedded flows should be sound: a test loads them"));

/// Names one flow, such as `DS-LEZ-VEH`: upper-case letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(String);

impl FlowId {
    /// Wraps an id; whether there is such a flow is the book's matter.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a flow may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Technical data of a vehicle, no holder.
    Vehicle,
    /// The holder of a plate at an instant.
    Holder,
    /// Name and address of a natural person.
    AddressPerson,
    /// Name and seat of a company.
    AddressCompany,
    /// Whether a disability exemption is due.
    Disability,
}

/// One flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its id.
    pub id: FlowId,
    /// The only institution that may use it.
    pub institution: String,
    /// The only source that it asks.
    pub source: String,
    /// The only purpose that it serves.
    pub purpose: Purpose,
    /// The only question that it asks.
    pub question: Question,
    /// Countries whose plates the source knows; `None` for no such limit.
    pub countries: Option<Vec<Country>>,
    /// A flow that is not enabled is never used.
    pub enabled: bool,
}

impl Flow {
    /// Whether the source knows plates of that country.
    pub fn covers(&self, country: Country) -> bool {
        self.countries.as_ref().is_none_or(|known| known.contains(&country))
    }
}

/// Why a flow may not be used so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlowRefusal {
    /// The tables have no such flow.
    #[error("there is no flow `{0}`")]
    Unknown(FlowId),
    /// The flow is switched off.
    #[error("flow `{0}` is not enabled")]
    Disabled(FlowId),
    /// The flow serves another purpose: `DENIED(purpose)`.
    #[error("flow `{flow}` serves purpose {serves}, not {asked}")]
    Purpose {
        /// Which flow.
        flow: FlowId,
        /// Its purpose.
        serves: Purpose,
        /// The purpose asked for.
        asked: Purpose,
    },
    /// The flow belongs to another institution.
    #[error("flow `{0}` belongs to another institution")]
    Institution(FlowId),
    /// The flow asks another question.
    #[error("flow `{0}` asks another question")]
    Question(FlowId),
}

/// Why the table of flows cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`flows.toml`, flow `{flow}`: {problem}")]
pub struct FlowBookError {
    flow: String,
    problem: String,
}

/// All flows.
#[derive(Clone, Debug)]
pub struct FlowBook {
    flows: Vec<Flow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBook {
    flow: Vec<RawFlow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFlow {
    id: String,
    institution: String,
    source: String,
    purpose: String,
    question: Question,
    countries: Option<Vec<String>>,
    #[serde(rename = "trigger")]
    _trigger: String,
    #[serde(rename = "frequency")]
    _frequency: String,
    enabled: bool,
    origin: String,
}

impl FlowBook {
    /// The flows that were embedded at build time.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Reads flows.
    ///
    /// # Errors
    /// Names the flow and the problem.
    pub fn load(text: &str) -> Result<Self, FlowBookError> {
        let raw: RawBook = toml::from_str(text).map_err(|error| FlowBookError {
            flow: String::new(),
            problem: error.to_string().trim().replace('\n', " "),
        })?;
        let mut flows: Vec<Flow> = Vec::new();
        for flow in raw.flow {
            let flow = flow.compile()?;
            if flows.iter().any(|known| known.id == flow.id) {
                return Err(FlowBookError { flow: flow.id.0, problem: "stands twice".to_owned() });
            }
            flows.push(flow);
        }
        Ok(Self { flows })
    }

    /// The flow with this id.
    pub fn get(&self, id: &str) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.id.as_str() == id)
    }

    /// The flow, when it may be used so.
    ///
    /// # Errors
    /// [`FlowRefusal`] says which part does not fit.
    pub fn permit(
        &self,
        id: &FlowId,
        institution: &str,
        purpose: Purpose,
        question: Question,
    ) -> Result<&Flow, FlowRefusal> {
        let flow = self.get(id.as_str()).ok_or_else(|| FlowRefusal::Unknown(id.clone()))?;
        if !flow.enabled {
            return Err(FlowRefusal::Disabled(id.clone()));
        }
        if flow.purpose != purpose {
            return Err(FlowRefusal::Purpose { flow: id.clone(), serves: flow.purpose, asked: purpose });
        }
        if flow.institution != institution {
            return Err(FlowRefusal::Institution(id.clone()));
        }
        if flow.question != question {
            return Err(FlowRefusal::Question(id.clone()));
        }
        Ok(flow)
    }
}

impl RawFlow {
    fn compile(self) -> Result<Flow, FlowBookError> {
        let bad = |problem: String| FlowBookError { flow: self.id.clone(), problem };
        // The id stands in a URL, so its characters need no escaping there.
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
        if self.id.is_empty() || !self.id.chars().all(plain) {
            return Err(bad("an id is upper-case letters, digits and hyphens".to_owned()));
        }
        if self.institution.is_empty() || self.source.is_empty() || self.origin.is_empty() {
            return Err(bad("institution, source and origin must be given".to_owned()));
        }
        let purpose = self.purpose.parse().map_err(|_| bad(format!("`{}` is no purpose", self.purpose)))?;
        let parse = |sign: &String| Country::parse(sign).ok_or_else(|| bad(format!("`{sign}` is no country's sign")));
        let countries = self.countries.as_ref().map(|signs| signs.iter().map(parse).collect()).transpose()?;
        Ok(Flow {
            id: FlowId(self.id),
            institution: self.institution,
            source: self.source,
            purpose,
            question: self.question,
            countries,
            enabled: self.enabled,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_serves_one_institution_purpose_and_question() {
        let book = FlowBook::embedded();
        let permit = |id: &str, institution, purpose, question| {
            book.permit(&FlowId::new(id), institution, purpose, question).map(|flow| flow.source.as_str())
        };
        let (tax, vehicle) = ("brussel-fiscaliteit", Question::Vehicle);
        let id = |id: &str| FlowId::new(id);
        assert_eq!(permit("DS-LEZ-VEH", tax, Purpose::Lez, vehicle), Ok("DIV/KBV"));
        for (flow, institution, purpose, question, wanted) in [
            (
                "DS-LEZ-VEH",
                tax,
                Purpose::Zbt,
                vehicle,
                FlowRefusal::Purpose { flow: id("DS-LEZ-VEH"), serves: Purpose::Lez, asked: Purpose::Zbt },
            ),
            (
                "DS-LEZ-HOLDER",
                tax,
                Purpose::Zbt,
                Question::Holder,
                FlowRefusal::Purpose { flow: id("DS-LEZ-HOLDER"), serves: Purpose::Lez, asked: Purpose::Zbt },
            ),
            ("DS-LEZ-VEH", "municipality", Purpose::Lez, vehicle, FlowRefusal::Institution(id("DS-LEZ-VEH"))),
            ("DS-LEZ-VEH", tax, Purpose::Lez, Question::Holder, FlowRefusal::Question(id("DS-LEZ-VEH"))),
            ("DS-EUCARIS", tax, Purpose::Lez, Question::Holder, FlowRefusal::Disabled(id("DS-EUCARIS"))),
            ("DS-NONE", tax, Purpose::Lez, vehicle, FlowRefusal::Unknown(id("DS-NONE"))),
        ] {
            assert_eq!(permit(flow, institution, purpose, question), Err(wanted), "{flow}");
        }
    }

    #[test]
    fn a_bad_flow_is_named() {
        for (from, to, wanted) in [
            ("purpose = \"LEZ\"", "purpose = \"FUN\"", "`flows.toml`, flow `DS-LEZ-VEH`: `FUN` is no purpose"),
            ("[\"B\"]", "[\"belgium\"]", "`flows.toml`, flow `DS-LEZ-VEH`: `belgium` is no country's sign"),
            ("\"DS-LEZ-HOLDER\"", "\"DS-LEZ-VEH\"", "`flows.toml`, flow `DS-LEZ-VEH`: stands twice"),
            (
                "\"DS-LEZ-VEH\"",
                "\"../x\"",
                "`flows.toml`, flow `../x`: an id is upper-case letters, digits and hyphens",
            ),
        ] {
            assert_eq!(FlowBook::load(&TEXT.replacen(from, to, 1)).unwrap_err().to_string(), wanted);
        }
    }
}
