//! Plate reads.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::gated_reads::GatedPage;
use vms_app::lez::reads::ReadPage;
use vms_app::lez_ports::StoredRead;
use vms_core::{Confidence, Plate, PlatePattern, PlateWish, ReadId, WallTime, WishError};

use super::common::{Page, PurposeDto, instant};
use crate::problem::Problem;

/// Which reads.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub struct ReadListQuery {
    /// `cam_…`; all cameras of the own organisation when absent.
    pub camera: Option<String>,
    /// First instant; a day before the end when absent.
    pub from: Option<String>,
    /// First instant after; now when absent.
    pub to: Option<String>,
}

/// A search by plate.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadSearchDto {
    /// The plate, or a pattern of it (`?` for one character, `*` for any number, three letters or digits at least); separators do not matter.
    pub plate: String,
    /// `exact` (when absent), `wildcard`, or `similar`: the plate and what is one insertion, deletion or substitution away.
    #[serde(default, rename = "match")]
    pub kind: MatchDto,
    /// First instant.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// Why, with a case number.
    pub purpose: Option<PurposeDto>,
}

/// How a plate is looked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchDto {
    /// This plate.
    #[default]
    Exact,
    /// By a pattern.
    Wildcard,
    /// This plate and its neighbours.
    Similar,
}

impl ReadSearchDto {
    /// What is looked for.
    ///
    /// # Errors
    /// 422 `not_a_plate` or `too_open`.
    pub fn wish(&self) -> Result<PlateWish, Problem> {
        plate_wish(&self.plate, self.kind)
    }
}

/// What is looked for, out of a field `plate`.
///
/// # Errors
/// 422 `not_a_plate` or `too_open`.
pub fn plate_wish(plate: &str, kind: MatchDto) -> Result<PlateWish, Problem> {
    let wish = match kind {
        MatchDto::Exact => Plate::parse(plate).map(PlateWish::Exact).map_err(WishError::from),
        MatchDto::Wildcard => PlatePattern::parse(plate).map(PlateWish::Pattern),
        MatchDto::Similar => Plate::parse(plate).map_err(WishError::from).and_then(PlateWish::similar),
    };
    wish.map_err(|error| match error {
        WishError::TooOpen => Problem::invalid("plate", "too_open"),
        WishError::Plate(_) | WishError::TooLong => Problem::invalid("plate", "not_a_plate"),
    })
}

impl std::fmt::Debug for ReadSearchDto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadSearchDto").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

/// One read.
#[derive(Clone, Serialize, ToSchema)]
pub struct ReadView {
    /// `rea_…`.
    pub id: String,
    /// `cam_…`.
    pub camera_id: String,
    /// When.
    pub at: String,
    /// Canonical text.
    pub plate: String,
    /// Sign of the most probable country.
    pub country: Option<String>,
    /// 0 to 1, six decimals.
    pub country_confidence: Option<f64>,
    /// 0 to 1, six decimals.
    pub confidence: f64,
    /// A grammar corrected a character.
    pub corrected: bool,
    /// `approaching`, `leaving` or `unknown`.
    pub direction: String,
    /// Looks that were fused.
    pub looks: u32,
    /// Name and version of the models.
    pub model: String,
    /// `crop.jpg` is there.
    pub has_crop: bool,
    /// `overview.jpg` is there.
    pub has_overview: bool,
}

impl std::fmt::Debug for ReadView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadView").field("id", &self.id).finish_non_exhaustive()
    }
}

fn fraction(confidence: Confidence) -> f64 {
    f64::from(confidence.millionths()) / 1_000_000.0
}

impl From<&StoredRead> for ReadView {
    fn from(read: &StoredRead) -> Self {
        let facts = &read.facts;
        let country = facts.countries.iter().max_by_key(|(_, odds)| *odds);
        Self {
            id: read.read.to_string(),
            camera_id: read.camera.to_string(),
            at: instant(read.at),
            plate: facts.plate.reveal().to_owned(),
            country: country.map(|(sign, _)| sign.as_str().to_owned()),
            country_confidence: country.map(|(_, odds)| fraction(*odds)),
            confidence: fraction(facts.confidence),
            corrected: facts.corrected,
            direction: facts.direction.as_str().to_owned(),
            looks: facts.looks,
            model: facts.model.clone(),
            has_crop: read.has_crop,
            has_overview: read.has_overview,
        }
    }
}

/// A page of reads under one decision; their pictures carry its id.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReadPageView {
    /// Newest first.
    pub items: Vec<ReadView>,
    /// For the next page; null on the last.
    pub next_cursor: Option<String>,
    /// `dec_…`: for `crop.jpg?decision=` and `overview.jpg?decision=`.
    pub decision_id: String,
}

impl ReadPageView {
    /// A page; the cursor names the last read when the page is full.
    pub fn new(page: &ReadPage, limit: u32) -> Self {
        let paged = Page::new(page.reads.iter().collect(), limit, |last: &&StoredRead| key_of(last.at, last.read));
        Self {
            items: paged.items.into_iter().map(ReadView::from).collect(),
            next_cursor: paged.next_cursor,
            decision_id: page.decision.to_string(),
        }
    }

    /// What a search behind the gate opened; it says itself where the next page starts.
    pub fn of_gate(page: &GatedPage) -> Self {
        Self {
            items: page.reads.iter().map(ReadView::from).collect(),
            next_cursor: page.next.map(|(at, id)| Page::<ReadView>::cursor(&key_of(at, id))),
            decision_id: page.decision.to_string(),
        }
    }
}

/// What a cursor holds of the last read before it.
fn key_of(at: WallTime, id: ReadId) -> String {
    format!("{}:{id}", at.micros)
}
