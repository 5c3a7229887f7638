//! What several DTOs share.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::gate::Why;
use vms_app::model::Org;
use vms_core::{TimeRange, WallTime};

use crate::problem::Problem;

/// Most items of one page.
pub const LIMIT_MAX: u32 = 500;
const LIMIT_DEFAULT: u32 = 100;

/// One page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// For the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// What a client hands back for the page that starts behind a key.
    pub fn cursor(key: &str) -> String {
        B64.encode(key)
    }

    /// A page; `key` of the last item is where the next one starts, when this one is full.
    pub fn new(items: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let is_full = u32::try_from(items.len()).is_ok_and(|count| count >= limit);
        let next_cursor = items.last().filter(|_| is_full).map(|last| Self::cursor(&key(last)));
        Self { items, next_cursor }
    }
}

/// Where a page starts and how long it is.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub struct PageQuery {
    /// At most 500.
    pub limit: Option<u32>,
    /// From `next_cursor`.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// Items wanted.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
    }

    /// The key after which the page starts.
    ///
    /// # Errors
    /// 422 for a cursor that is none of ours.
    pub fn after(&self) -> Result<Option<String>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let raw = B64.decode(cursor).ok().and_then(|raw| String::from_utf8(raw).ok());
        raw.map(Some).ok_or_else(|| Problem::invalid("cursor", "unknown"))
    }
}

/// RFC 3339 in UTC with microseconds.
pub fn instant(at: WallTime) -> String {
    vms_app::health::rfc3339(at)
}

/// Reads RFC 3339 with any offset.
///
/// # Errors
/// 422 naming the field.
pub fn parse_instant(field: &str, text: &str) -> Result<WallTime, Problem> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed.map(|at| WallTime::from_micros(at.as_microsecond())).map_err(|_| Problem::invalid(field, "not_an_instant"))
}

/// A half-open span.
///
/// # Errors
/// 422 naming the field.
pub fn parse_range(from: &str, to: &str) -> Result<TimeRange, Problem> {
    let range = TimeRange::new(parse_instant("from", from)?, parse_instant("to", to)?);
    range.ok_or_else(|| Problem::invalid("to", "not_after_from"))
}

/// Reads an id or word.
///
/// # Errors
/// 422 naming the field.
pub fn parse_word<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::invalid(field, "unknown"))
}

/// Reads an id in a path.
///
/// # Errors
/// 404: an id that can't be is not there.
pub fn path_id<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

/// Why somebody wants to see something.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurposeDto {
    /// Purpose code, such as `INTERVENTIE`.
    pub code: Option<String>,
    /// In the person's own words, at least ten characters where it is required.
    pub justification: Option<String>,
    /// Case, report or ticket number.
    pub case_ref: Option<String>,
    /// Reference of a magistrate's written decision, where the footage is past its first term.
    #[serde(default)]
    pub magistrate_ref: Option<String>,
}

/// Longest justification and case number, bytes.
const WHY_LEN_MAX: usize = 2_000;

impl PurposeDto {
    /// For the gate.
    ///
    /// # Errors
    /// 422 for an unknown code or an endless text.
    pub fn to_why(this: Option<Self>) -> Result<Why, Problem> {
        let this = this.unwrap_or_default();
        let texts = [
            ("purpose.justification", &this.justification),
            ("purpose.case_ref", &this.case_ref),
            ("purpose.magistrate_ref", &this.magistrate_ref),
        ];
        for (field, text) in texts {
            if text.as_ref().is_some_and(|text| text.len() > WHY_LEN_MAX) {
                return Err(Problem::invalid(field, "too_long"));
            }
        }
        let purpose = this.code.as_deref().map(|code| parse_word("purpose.code", code)).transpose()?;
        let (justification, case_ref, magistrate_ref) = (this.justification, this.case_ref, this.magistrate_ref);
        Ok(Why { purpose, justification, case_ref, magistrate_ref, ..Why::default() })
    }
}

/// An organisation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OrgView {
    /// `org_…`.
    pub id: String,
    /// Short code.
    pub code: String,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
}

impl From<&Org> for OrgView {
    fn from(org: &Org) -> Self {
        Self {
            id: org.id.to_string(),
            code: org.code.clone(),
            name_nl: org.name_nl.clone(),
            name_fr: org.name_fr.clone(),
        }
    }
}
