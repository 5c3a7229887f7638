//! Holds on footage.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::holds::{HoldSight, HoldWish};
use vms_app::model::{HoldApplied, Signature};

use super::common::{PurposeDto, instant, parse_instant, parse_range, parse_word};
use super::legal::{ChangedCameraView, SignatureView};
use crate::problem::Problem;

/// Which holds.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub struct HoldQuery {
    /// `open` (not yet released) or `all`; open when absent.
    pub state: Option<String>,
}

impl HoldQuery {
    /// Whether only those that are not released are wanted.
    ///
    /// # Errors
    /// 422 for another word.
    pub fn open(&self) -> Result<bool, Problem> {
        match self.state.as_deref() {
            None | Some("open") => Ok(true),
            Some("all") => Ok(false),
            Some(_) => Err(Problem::invalid("state", "unknown")),
        }
    }
}

/// Something that somebody said about a hold.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SaidView {
    /// In the person's own words.
    pub reason: String,
    /// Who, and when.
    pub by: SignatureView,
}

impl From<&(String, Signature)> for SaidView {
    fn from((reason, by): &(String, Signature)) -> Self {
        Self { reason: reason.clone(), by: SignatureView::from(by) }
    }
}

/// What the recorder says of a hold.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HoldAppliedView {
    /// When it said so last.
    pub at: String,
    /// Segments that it holds.
    pub segments: u64,
    /// Segments of the span that were erased before the hold reached it.
    pub refused: u64,
}

impl From<&HoldApplied> for HoldAppliedView {
    fn from(applied: &HoldApplied) -> Self {
        let HoldApplied { at, segments, refused } = *applied;
        Self { at: instant(at), segments, refused }
    }
}

/// A hold: footage that is not erased at the end of its term. It gives nobody the right to see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HoldView {
    /// `hld_…`.
    pub id: String,
    /// On footage of which camera.
    pub camera: ChangedCameraView,
    /// First instant.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// Purpose code.
    pub purpose: String,
    /// Case, report or ticket number.
    pub case_ref: Option<String>,
    /// Why.
    pub reason: String,
    /// Until when it is thought to be needed. It does not end by itself.
    pub until: String,
    /// Somebody other than whoever set it looks at it again by then.
    pub review_by: String,
    /// Whether its term or its review is over.
    pub overdue: bool,
    /// `held`, `release_waits` or `released`.
    pub state: String,
    /// Who set it.
    pub set: SignatureView,
    /// Why it may be released, by whoever asks for that.
    pub release: Option<SaidView>,
    /// Who agreed to its release.
    pub released: Option<SignatureView>,
    /// The last review.
    pub reviewed: Option<SaidView>,
    /// What the recorder says of it; null until it has taken it over.
    pub applied: Option<HoldAppliedView>,
    /// Whether the caller may ask for its release.
    pub may_ask_release: bool,
    /// Whether the caller may agree to its release: never who asked for it.
    pub may_release: bool,
    /// Whether the caller may end the wish for its release.
    pub may_keep_on: bool,
    /// Whether the caller may review it: never who set it.
    pub may_review: bool,
}

impl From<&HoldSight> for HoldView {
    fn from(sight: &HoldSight) -> Self {
        let (hold, camera) = (&sight.hold, &sight.camera);
        Self {
            id: hold.id.to_string(),
            camera: ChangedCameraView::from(camera),
            from: instant(hold.range.from),
            to: instant(hold.range.to),
            purpose: hold.purpose.as_str().to_owned(),
            case_ref: hold.case_ref.clone(),
            reason: hold.reason.clone(),
            until: instant(hold.until),
            review_by: instant(hold.review_by),
            overdue: sight.overdue,
            state: hold.state.as_str().to_owned(),
            set: SignatureView::from(&hold.set),
            release: hold.release.as_ref().map(SaidView::from),
            released: hold.released.as_ref().map(SignatureView::from),
            reviewed: hold.reviewed.as_ref().map(SaidView::from),
            applied: hold.applied.as_ref().map(HoldAppliedView::from),
            may_ask_release: sight.may_ask_release,
            may_release: sight.may_release,
            may_keep_on: sight.may_keep_on,
            may_review: sight.may_review,
        }
    }
}

/// A hold as somebody wants it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldDto {
    /// `cam_…`.
    pub camera_id: String,
    /// First instant.
    pub from: String,
    /// First instant after; at most 31 days later, at most a day ahead of now.
    pub to: String,
    /// Until when it is thought to be needed.
    pub until: String,
    /// Why: purpose, reason and, for most profiles, the case.
    pub purpose: Option<PurposeDto>,
}

impl HoldDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn into_wish(self) -> Result<HoldWish, Problem> {
        Ok(HoldWish {
            camera: parse_word("camera_id", &self.camera_id)?,
            range: parse_range(&self.from, &self.to)?,
            until: parse_instant("until", &self.until)?,
            why: PurposeDto::to_why(self.purpose)?,
        })
    }
}

/// Why a hold is still needed, and until when.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldReviewDto {
    /// At least ten characters.
    #[serde(default)]
    pub reason: String,
    /// The new term.
    #[serde(default)]
    pub until: String,
}
