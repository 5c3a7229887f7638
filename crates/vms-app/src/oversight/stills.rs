//! Masked stills for a data subject (GDPR article 15, Camera Act article 12; `domain.md` H5: third persons masked): one picture of an own
//! camera near the place and within the time of the request, pixelated but for one small area. The officer who answers (P20) never sees
//! more than the person gets; nothing is kept here but the leaves, which hold camera, instant, area and digest.

use bytes::Bytes;
use policy::Audience;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use vms_core::{CameraId, Rendition, TimeRange, WallTime};

use super::cases::distance_m;
use crate::cameras::main_or_first;
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::ViewSubjectStill;
use crate::gate::{Actor, Delivered, Target};
use crate::ports::{Area, StillMask};
use crate::words::{CaseState, SubjectRegime};

/// A key frame is looked for this far back: the longest interval that a camera may have is 10 s.
const LOOK_BACK_US: i64 = 12_000_000;
/// Areas that one still may hide.
pub const HIDDEN_MAX: usize = 16;
/// Thousandths of a side of the picture.
const WHOLE: u16 = 1_000;

/// A still, as it is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectStill {
    /// When its picture arrived.
    pub at: WallTime,
    /// The picture.
    pub jpeg: Bytes,
}

const fn lies_inside([left, top, right, bottom]: &Area) -> bool {
    *left < *right && *top < *bottom && *right <= WHOLE && *bottom <= WHOLE
}

/// Thousandths of the picture, rounded up.
fn per_mille([left, top, right, bottom]: &Area) -> u32 {
    let side = |from: u16, to: u16| u32::from(to.saturating_sub(from));
    (side(*left, *right) * side(*top, *bottom)).div_ceil(u32::from(WHOLE))
}

fn mask_check(mask: &StillMask, percent: u32) -> Result<(), UseCaseError> {
    if !mask.keep.iter().all(lies_inside) {
        return Err(UseCaseError::invalid("keep", "out_of_range"));
    }
    if mask.keep.iter().any(|keep| per_mille(keep) > percent.saturating_mul(10)) {
        return Err(UseCaseError::invalid("keep", "too_wide"));
    }
    if mask.hide.len() > HIDDEN_MAX || !mask.hide.iter().all(lies_inside) {
        return Err(UseCaseError::invalid("hide", "out_of_range"));
    }
    Ok(())
}

impl UseCases {
    /// The picture that an own camera showed at an instant, pixelated but for one area: for the person of a request.
    ///
    /// # Errors
    /// `NotFound` (the request, a camera that is not near its place, footage), `Denied`, `Missing`, `Invalid` (`at` outside the time of
    /// the request, an area outside the picture or larger than the term `subject_still_percent`), `Conflict(WrongState)` for police
    /// images and for a request that was answered, `LogUnavailable`, `Unavailable`.
    pub async fn subject_still(
        &self,
        actor: &Actor,
        id: Uuid,
        (camera, at): (CameraId, WallTime),
        mask: StillMask,
    ) -> Result<SubjectStill, UseCaseError> {
        let request = self.subject_of(actor, id).await?;
        if request.regime == SubjectRegime::Police {
            return Err(UseCaseError::Conflict(Conflict::WrongState(CaseState::Routed.as_str())));
        }
        if request.state != CaseState::Received {
            return Err(UseCaseError::Conflict(Conflict::WrongState(request.state.as_str())));
        }
        let cameras = self.cameras_now().await?;
        let camera = cameras.iter().find(|one| {
            one.id == camera
                && one.owner == request.org
                && distance_m((request.lat, request.lon), (one.lat, one.lon)) <= request.radius_m
        });
        let camera = camera.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        if at < request.range.from || at >= request.range.to {
            return Err(UseCaseError::invalid("at", "out_of_range"));
        }
        mask_check(&mask, self.sharing.rules.terms(self.now()).subject_still_percent)?;
        let stream = main_or_first(camera).ok_or(UseCaseError::NotFound(Entity::Stream))?.id;
        // What is looked through for a key frame may lie before the time asked for; of that nothing is shown.
        let from = WallTime::from_micros(at.micros.saturating_sub(LOOK_BACK_US));
        let to = WallTime::from_micros(at.micros.saturating_add(1));
        let span = TimeRange::new(from, to).ok_or_else(|| UseCaseError::invalid("at", "out_of_range"))?;
        let why = super::cases::why("shows the person of a request what is recorded of it");
        let target = self.camera_target::<ViewSubjectStill>(actor, camera, why.purpose).await?;
        let target = Target {
            stream: Some(stream),
            range: Some(span),
            rendition: Rendition::Coarse,
            object: Some(format!("subject_request {id}")),
            ..target
        };
        let permit = self.permit_on::<ViewSubjectStill>(actor, camera, target, &why).await?;
        let missing = || UseCaseError::Internal("a stream's permit makes a capability".into());
        let picture = self.gate.capability(&permit, Audience::Reader).ok_or_else(missing)?;
        let source = self.gate.source_capability(&permit).ok_or_else(missing)?;
        let outcome = self.media.still(picture, source, stream, span, &mask).await;
        if let Ok((taken, jpeg)) = &outcome {
            let details = json!({
                "decision": permit.decision().to_string(), "camera": camera.id.to_string(), "at_us": at.micros,
                "taken_us": taken.micros, "keep": mask.keep, "hide": mask.hide,
                "sha256": Sha256::digest(jpeg).iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            });
            self.sharing_leaf("subject_still_made", Some(actor), id, details).await?;
        }
        let (units, bytes) =
            outcome.as_ref().map_or((0, 0), |(_, jpeg)| (1, u64::try_from(jpeg.len()).unwrap_or(u64::MAX)));
        let ended = if outcome.is_ok() { "done" } else { "failed" };
        self.gate.close(permit, Delivered { units, bytes, why: ended.to_owned() }).await?;
        let (at, jpeg) = outcome?;
        Ok(SubjectStill { at, jpeg })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_picture_may_stay_clear() {
        for (keep, hide, wrong) in [
            (None, vec![], None),
            (Some([0, 0, 500, 500]), vec![[0, 0, 1_000, 1_000]], None),
            (Some([0, 0, 501, 500]), vec![], Some("keep")),
            (Some([0, 0, 1_000, 1_000]), vec![], Some("keep")),
            (Some([900, 900, 1_001, 950]), vec![], Some("keep")),
            (Some([300, 300, 300, 400]), vec![], Some("keep")),
            (None, vec![[5, 5, 4, 6]], Some("hide")),
            (None, vec![[0, 0, 1, 1]; HIDDEN_MAX + 1], Some("hide")),
        ] {
            let found = mask_check(&StillMask { keep, hide: hide.clone() }, 25);
            let field = found.err().map(|error| format!("{error:?}"));
            assert_eq!(field.is_some(), wrong.is_some(), "{keep:?} {hide:?} {field:?}");
            assert!(wrong.is_none_or(|wrong| field.is_some_and(|text| text.contains(wrong))), "{keep:?} {hide:?}");
        }
    }
}
