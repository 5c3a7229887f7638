//! Searches of police reads behind the magistrate's gate.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vms_app::gated_reads::{GatedSearchSight, GatedSearchWish};

use super::common::{PurposeDto, instant, parse_range, parse_word};
use super::legal::{ChangedCameraView, SignatureView};
use super::read::{MatchDto, plate_wish};
use crate::problem::Problem;

/// A search of reads behind the gate that somebody orders.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GatedSearchDto {
    /// `cam_…`; all cameras of the own organisation when absent, which takes a plate.
    pub camera_id: Option<String>,
    /// First instant at which the vehicle drove.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// The plate or a pattern of it, as for a search of reads; every read of the camera when absent.
    pub plate: Option<String>,
    /// How the plate is looked for; `exact` when absent.
    #[serde(rename = "match")]
    pub kind: Option<MatchDto>,
    /// Purpose, ground (`justification`), case and `magistrate_ref`: all of them.
    pub purpose: Option<PurposeDto>,
}

impl GatedSearchDto {
    /// Parsed.
    ///
    /// # Errors
    /// 422 that names the field.
    pub fn into_wish(self) -> Result<GatedSearchWish, Problem> {
        let range = parse_range(&self.from, &self.to)?;
        let wish = match (&self.plate, self.kind) {
            (Some(plate), kind) => Some(plate_wish(plate, kind.unwrap_or_default())?),
            (None, Some(_)) => return Err(Problem::invalid("plate", "required")),
            (None, None) => None,
        };
        Ok(GatedSearchWish {
            camera: self.camera_id.as_deref().map(|id| parse_word("camera_id", id)).transpose()?,
            range,
            wish,
            why: PurposeDto::to_why(self.purpose)?,
        })
    }
}

impl std::fmt::Debug for GatedSearchDto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatedSearchDto").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

/// An order to search behind the magistrate's gate. Whoever ordered it opens it, once somebody else agreed, until it ends.
#[derive(Clone, Serialize, ToSchema)]
pub struct GatedSearchView {
    /// Its key.
    pub id: String,
    /// Of which camera; null for all of the own organisation.
    pub camera: Option<ChangedCameraView>,
    /// The plate or pattern, `~` before a plate and what is one edit away; null for every read of the camera.
    pub plate: Option<String>,
    /// First instant at which the vehicle drove.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// Purpose code.
    pub purpose: String,
    /// The ground, without the plate.
    pub ground: String,
    /// Case, report or file number.
    pub case_ref: String,
    /// The magistrate's written decision.
    pub magistrate_ref: String,
    /// `proposed`, `in_force` or `refused`.
    pub state: String,
    /// Who ordered it.
    pub proposed: SignatureView,
    /// Who agreed or refused.
    pub settled: Option<SignatureView>,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// It opens nothing from then on, and is erased.
    pub expires_at: String,
    /// Whether the caller may agree or refuse: never who ordered it.
    pub may_settle: bool,
    /// Whether the caller may open it: only who ordered it.
    pub may_open: bool,
}

impl std::fmt::Debug for GatedSearchView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatedSearchView").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

impl From<&GatedSearchSight> for GatedSearchView {
    fn from(sight: &GatedSearchSight) -> Self {
        let search = &sight.search;
        Self {
            id: search.id.to_string(),
            camera: sight.camera.as_ref().map(ChangedCameraView::from),
            plate: sight.wish.clone(),
            from: instant(search.range.from),
            to: instant(search.range.to),
            purpose: search.purpose.as_str().to_owned(),
            ground: search.ground.clone(),
            case_ref: search.case_ref.clone(),
            magistrate_ref: search.magistrate_ref.clone(),
            state: search.state.as_str().to_owned(),
            proposed: SignatureView::from(&search.proposed),
            settled: search.settled.as_ref().map(SignatureView::from),
            refusal: search.refusal.clone(),
            expires_at: instant(search.expires_at),
            may_settle: sight.may_settle,
            may_open: sight.may_open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_name_a_plate_as_a_search_of_reads_does() {
        let wish = |text: &str| serde_json::from_str::<GatedSearchDto>(text).unwrap().into_wish();
        let span = r#""from":"2026-11-22T12:00:00Z","to":"2026-11-22T13:00:00Z""#;
        for (fields, wanted) in [
            ("", None),
            (r#","plate":"1-aaa.111""#, Some("1AAA111")),
            (r#","plate":"1-aaa.111","match":"exact""#, Some("1AAA111")),
            (r#","plate":"1aa*1","match":"wildcard""#, Some("1AA*1")),
            (r#","plate":"1aaa111","match":"similar""#, Some("~1AAA111")),
        ] {
            let wish = wish(&format!("{{{span}{fields}}}")).unwrap().wish;
            assert_eq!(wish.map(|wish| wish.reveal()).as_deref(), wanted, "{fields}");
        }
        for (fields, field, problem) in [
            (r#","match":"similar""#, "plate", "required"),
            (r#","plate":"*","match":"wildcard""#, "plate", "too_open"),
            (r#","plate":"not a plate at all""#, "plate", "not_a_plate"),
            (r#","camera_id":"L1""#, "camera_id", "unknown"),
            (r#","plate":"1aaa111","purpose":{"code":"NOTHING"}"#, "purpose.code", "unknown"),
        ] {
            let wrong = wish(&format!("{{{span}{fields}}}")).unwrap_err();
            assert_eq!(
                (wrong.errors[0].field.as_str(), wrong.errors[0].problem.as_str()),
                (field, problem),
                "{fields}"
            );
        }
        assert!(serde_json::from_str::<GatedSearchDto>(&format!(r#"{{{span},"pattern":"1AA*"}}"#)).is_err());
        let dto: GatedSearchDto = serde_json::from_str(&format!(r#"{{{span},"plate":"1AAA111"}}"#)).unwrap();
        assert!(!format!("{dto:?}").contains("AAA"));
    }
}
