//! Decisions to keep footage or police reads past their first term, behind the magistrate's gate.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vms_app::gated::{GatedApplied, GatedSight, GatedWish};
use vms_core::RetentionClass;

use super::common::{PurposeDto, instant, parse_range, parse_word};
use super::legal::{ChangedCameraView, SignatureView};
use crate::problem::Problem;

/// What became of a decision, as the recorder says of footage, and the server of reads.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GatedAppliedView {
    /// When it said so last.
    pub at: String,
    /// Keys of hours that are behind the gate.
    pub hours: u64,
    /// Keys of hours whose first term is over and that cannot move, since there is no gate.
    pub waiting: u64,
}

impl From<&GatedApplied> for GatedAppliedView {
    fn from(applied: &GatedApplied) -> Self {
        let GatedApplied { at, hours, waiting } = *applied;
        Self { at: instant(at), hours, waiting }
    }
}

/// A decision of two people to keep footage, or police reads, behind the magistrate's gate. It gives nobody the right to see them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GatedView {
    /// Its key.
    pub id: String,
    /// Of which camera.
    pub camera: ChangedCameraView,
    /// Retention class: of the camera's footage, or `RC-ANPR-POL` for the police reads made at it.
    pub class: String,
    /// First instant; whole hours.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// Purpose code.
    pub purpose: String,
    /// The ground.
    pub ground: String,
    /// Case, report or file number.
    pub case_ref: String,
    /// `proposed`, `in_force` or `refused`.
    pub state: String,
    /// Who proposed it.
    pub proposed: SignatureView,
    /// Who agreed or refused.
    pub settled: Option<SignatureView>,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// What became of it; null until the first of its hours reached the end of its first term.
    pub applied: Option<GatedAppliedView>,
    /// Whether the caller may agree or refuse: never who proposed it.
    pub may_settle: bool,
}

impl From<&GatedSight> for GatedView {
    fn from(sight: &GatedSight) -> Self {
        let decision = &sight.decision;
        Self {
            id: decision.id.to_string(),
            camera: ChangedCameraView::from(&sight.camera),
            class: decision.class.as_str().to_owned(),
            from: instant(decision.range.from),
            to: instant(decision.range.to),
            purpose: decision.purpose.as_str().to_owned(),
            ground: decision.ground.clone(),
            case_ref: decision.case_ref.clone(),
            state: decision.state.as_str().to_owned(),
            proposed: SignatureView::from(&decision.proposed),
            settled: decision.settled.as_ref().map(SignatureView::from),
            refusal: decision.refusal.clone(),
            applied: decision.applied.as_ref().map(GatedAppliedView::from),
            may_settle: sight.may_settle,
        }
    }
}

/// A wish to keep footage or police reads behind the gate.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GatedDto {
    /// `cam_…`.
    pub camera_id: String,
    /// Retention class: `RC-ANPR-POL` for the police reads made at that camera; its footage when absent.
    pub class: Option<String>,
    /// First instant; widened to whole hours.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// Purpose, ground (`justification`) and case.
    pub purpose: Option<PurposeDto>,
}

impl GatedDto {
    /// Parsed.
    ///
    /// # Errors
    /// 422 that names the field.
    pub fn into_wish(self) -> Result<GatedWish, Problem> {
        let range = parse_range(&self.from, &self.to)?;
        let class = |text: &str| RetentionClass::parse(text).ok_or_else(|| Problem::invalid("class", "unknown"));
        Ok(GatedWish {
            camera: parse_word("camera_id", &self.camera_id)?,
            class: self.class.as_deref().map(class).transpose()?,
            range,
            why: PurposeDto::to_why(self.purpose)?,
        })
    }
}
