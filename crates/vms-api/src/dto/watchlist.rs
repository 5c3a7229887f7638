//! Watchlists and hits.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::watchlist::{EntrySight, EntryWish, HitList, HitStep};
use vms_app::watchlist_ports::{EntryKind, Hit, HitState, WatchSize};
use vms_core::{Country, Plate};

use super::common::{PurposeDto, instant, parse_instant};
use super::legal::SignatureView;
use crate::problem::Problem;

/// A plate to be told of.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryDto {
    /// The whole plate; separators do not matter.
    pub plate: String,
    /// Distinguishing sign of its country, such as `B`; absent where it is not known.
    pub country: Option<String>,
    /// When the entry ends and is erased.
    pub ends_at: String,
    /// Purpose, reason (`justification`, shown with a hit) and case.
    pub purpose: Option<PurposeDto>,
}

impl std::fmt::Debug for EntryDto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntryDto").field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

impl EntryDto {
    /// Parsed.
    ///
    /// # Errors
    /// 422 that names the field.
    pub fn into_wish(self, kind: EntryKind) -> Result<EntryWish, Problem> {
        let country = self.country.as_deref().map(|sign| Country::parse(sign).ok_or(()));
        Ok(EntryWish {
            kind,
            plate: Plate::parse(&self.plate).map_err(|_| Problem::invalid("plate", "not_a_plate"))?,
            country: country.transpose().map_err(|()| Problem::invalid("country", "unknown"))?,
            ends_at: parse_instant("ends_at", &self.ends_at)?,
            why: PurposeDto::to_why(self.purpose)?,
        })
    }
}

/// An entry of a watchlist.
#[derive(Clone, Serialize, ToSchema)]
pub struct EntryView {
    /// Its key.
    pub id: String,
    /// `regular`, or `urgent`: for a day at most.
    pub kind: String,
    /// `proposed`, `in_force` or `refused`.
    pub state: String,
    /// Canonical text.
    pub plate: String,
    /// Sign of its country, where known.
    pub country: Option<String>,
    /// Purpose code.
    pub purpose: String,
    /// Why.
    pub reason: String,
    /// Case, report or file number.
    pub case_ref: String,
    /// Erased then.
    pub ends_at: String,
    /// Who proposed it.
    pub proposed: SignatureView,
    /// Who agreed or refused: never who proposed.
    pub settled: Option<SignatureView>,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// Whether the caller may agree or refuse.
    pub may_settle: bool,
    /// Whether the caller may end it before its time.
    pub may_end: bool,
}

impl std::fmt::Debug for EntryView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntryView").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

impl From<&EntrySight> for EntryView {
    fn from(sight: &EntrySight) -> Self {
        let entry = &sight.entry;
        Self {
            id: entry.id.to_string(),
            kind: entry.kind.as_str().to_owned(),
            state: entry.state.as_str().to_owned(),
            plate: entry.plate.reveal().to_owned(),
            country: entry.country.map(|country| country.as_str().to_owned()),
            purpose: entry.purpose.as_str().to_owned(),
            reason: entry.reason.clone(),
            case_ref: entry.case_ref.clone(),
            ends_at: instant(entry.ends_at),
            proposed: SignatureView::from(&entry.proposed),
            settled: entry.settled.as_ref().map(SignatureView::from),
            refusal: entry.refusal.clone(),
            may_settle: sight.may_settle,
            may_end: sight.may_end,
        }
    }
}

/// How large the lists of a zone are.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WatchSizeView {
    /// `org_…`.
    pub org_id: String,
    /// `regular` or `urgent`.
    pub kind: String,
    /// Purpose code.
    pub purpose: String,
    /// Entries in force.
    pub entries: u64,
    /// When the oldest was proposed.
    pub oldest_at: String,
    /// When the last of them ends.
    pub last_ends_at: String,
}

impl From<&WatchSize> for WatchSizeView {
    fn from(size: &WatchSize) -> Self {
        Self {
            org_id: size.owner.to_string(),
            kind: size.kind.as_str().to_owned(),
            purpose: size.purpose.as_str().to_owned(),
            entries: size.entries,
            oldest_at: instant(size.oldest_at),
            last_ends_at: instant(size.last_ends_at),
        }
    }
}

/// Names, sizes and ages of lists; no entry.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WatchSizesView {
    /// By zone, kind and purpose.
    pub items: Vec<WatchSizeView>,
}

/// Which hits.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub struct HitListQuery {
    /// `open`, `confirmed` or `dismissed`; all when absent.
    pub state: Option<String>,
}

impl HitListQuery {
    /// Parsed.
    ///
    /// # Errors
    /// 422 `state`.
    pub fn state(&self) -> Result<Option<HitState>, Problem> {
        self.state.as_deref().map(|word| super::common::parse_word("state", word)).transpose()
    }
}

/// A read whose plate is that of an entry: an indication, until a person has compared it with the picture.
#[derive(Clone, Serialize, ToSchema)]
pub struct HitView {
    /// Its key.
    pub id: String,
    /// `cam_…`.
    pub camera_id: String,
    /// When it was read.
    pub at: String,
    /// `open`, `confirmed` or `dismissed`.
    pub state: String,
    /// Plate of the entry; null while the hit is open: whoever confirms reads it in the picture.
    pub plate: Option<String>,
    /// Its country, where the entry says.
    pub country: Option<String>,
    /// Most probable country of the read.
    pub read_country: Option<String>,
    /// A grammar corrected a character of the read.
    pub corrected: bool,
    /// Purpose code of the entry.
    pub purpose: String,
    /// Why the plate is looked for.
    pub reason: String,
    /// Case of the entry; null for whoever sees reasons only.
    pub case_ref: Option<String>,
    /// `crop.jpg` is there.
    pub has_crop: bool,
    /// `overview.jpg` is there.
    pub has_overview: bool,
    /// For `seen_etag`.
    pub etag: String,
    /// Who decided.
    pub decided: Option<SignatureView>,
    /// In whose words.
    pub decision_reason: Option<String>,
    /// Erased then, with its read.
    pub expires_at: String,
}

impl std::fmt::Debug for HitView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HitView").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

impl HitView {
    /// A hit as the caller may see it.
    pub fn new(hit: &Hit, shows_case: bool) -> Self {
        let sign = |country: Option<Country>| country.map(|country| country.as_str().to_owned());
        Self {
            id: hit.id.to_string(),
            camera_id: hit.camera.to_string(),
            at: instant(hit.at),
            state: hit.state.as_str().to_owned(),
            plate: (hit.state != HitState::Open).then(|| hit.plate.reveal().to_owned()),
            country: sign(hit.country),
            read_country: sign(hit.read_country),
            corrected: hit.corrected,
            purpose: hit.purpose.as_str().to_owned(),
            reason: hit.reason.clone(),
            case_ref: shows_case.then(|| hit.case_ref.clone()),
            has_crop: hit.has_crop,
            has_overview: hit.has_overview,
            etag: hit.version.to_string(),
            decided: hit.decided.as_ref().map(SignatureView::from),
            decision_reason: hit.decision_reason.clone(),
            expires_at: instant(hit.expires_at),
        }
    }

    /// A page of hits.
    pub fn page(list: &HitList) -> Vec<Self> {
        list.hits.iter().map(|hit| Self::new(hit, list.shows_case)).collect()
    }
}

/// What a person says of a hit.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HitDecideDto {
    /// `confirm` or `dismiss`.
    pub verdict: String,
    /// The plate as the person reads it in the picture; with `confirm`. Only the entry's plate confirms.
    pub plate_seen: Option<String>,
    /// With `dismiss`.
    pub reason: Option<String>,
    /// `etag` of the hit that the person saw.
    pub seen_etag: String,
}

impl std::fmt::Debug for HitDecideDto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HitDecideDto").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}

impl HitDecideDto {
    /// Parsed.
    ///
    /// # Errors
    /// 422 that names the field.
    pub fn into_step(self) -> Result<HitStep, Problem> {
        match self.verdict.as_str() {
            "confirm" => {
                let seen = self.plate_seen.as_deref().unwrap_or_default();
                let plate_seen = Plate::parse(seen).map_err(|_| Problem::invalid("plate_seen", "not_a_plate"))?;
                Ok(HitStep::Confirm { plate_seen })
            }
            "dismiss" => Ok(HitStep::Dismiss(self.reason.unwrap_or_default())),
            _ => Err(Problem::invalid("verdict", "unknown")),
        }
    }
}
