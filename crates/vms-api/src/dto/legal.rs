//! Changes of a camera's legal fields, proposed by one person and settled by another.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vms_app::legal_changes::{LawPatch, LegalChangeSight};
use vms_app::model::{Camera, CameraLaw, LegalBasis, Signature};

use super::camera::LegalBasisDto;
use super::common::{instant, parse_word};
use crate::problem::Problem;

/// Legal fields of a camera.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LawView {
    /// `overview`, `lez`, `zbt` or `trajectory`.
    pub kind: String,
    /// Class of its footage.
    pub retention_class: String,
    /// Pictogram placed, `YYYY-MM-DD`.
    pub pictogram_on: Option<String>,
    /// Legal basis.
    pub legal_basis: Option<LegalBasisDto>,
}

impl From<&CameraLaw> for LawView {
    fn from(law: &CameraLaw) -> Self {
        Self {
            kind: law.kind.as_str().to_owned(),
            retention_class: law.retention_class.as_str().to_owned(),
            pictogram_on: law.pictogram_on.clone(),
            legal_basis: law.legal_basis.as_ref().map(LegalBasisDto::from),
        }
    }
}

/// Who did it, and when.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SignatureView {
    /// `usr_…`.
    pub user_id: String,
    /// The person's name at that moment.
    pub name: String,
    /// When.
    pub at: String,
}

impl From<&Signature> for SignatureView {
    fn from(signature: &Signature) -> Self {
        let Signature { user, name, at } = signature;
        Self { user_id: user.to_string(), name: name.clone(), at: instant(*at) }
    }
}

/// One field that differs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldChangeView {
    /// `kind`, `retention_class`, `pictogram_on`, `document`, `date` or `advice`.
    pub field: &'static str,
    /// As it was when the change was proposed; null where nothing stood.
    pub before: Option<String>,
    /// As it is to be.
    pub after: Option<String>,
}

/// The camera that a change is about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChangedCameraView {
    /// `cam_…`.
    pub id: String,
    /// Code of the installation.
    pub code: String,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
}

impl From<&Camera> for ChangedCameraView {
    fn from(camera: &Camera) -> Self {
        Self {
            id: camera.id.to_string(),
            code: camera.code.clone(),
            name_nl: camera.name_nl.clone(),
            name_fr: camera.name_fr.clone(),
        }
    }
}

/// A change of a camera's legal fields.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LegalChangeView {
    /// `dec_…`: the decision under which it was proposed, as it stands in the log.
    pub id: String,
    /// Of which camera.
    pub camera: ChangedCameraView,
    /// `waiting`, `approved`, `refused` or `withdrawn`.
    pub state: String,
    /// The fields in force when it was proposed.
    pub before: LawView,
    /// The fields as they are to be, or are since it was approved.
    pub after: LawView,
    /// What differs, field by field.
    pub changes: Vec<FieldChangeView>,
    /// Why, in the proposer's words.
    pub reason: String,
    /// Who proposed it.
    pub proposed: SignatureView,
    /// Who approved, refused or took it back.
    pub settled: Option<SignatureView>,
    /// Why it was refused.
    pub answer: Option<String>,
    /// Whether the caller may approve or refuse it: never its proposer.
    pub may_settle: bool,
    /// Whether the caller may take it back.
    pub may_withdraw: bool,
}

fn fields(law: &CameraLaw) -> [(&'static str, Option<String>); 6] {
    let basis = |part: fn(&LegalBasis) -> &String| law.legal_basis.as_ref().map(part).cloned();
    [
        ("kind", Some(law.kind.as_str().to_owned())),
        ("retention_class", Some(law.retention_class.as_str().to_owned())),
        ("pictogram_on", law.pictogram_on.clone()),
        ("document", basis(|basis| &basis.document)),
        ("date", basis(|basis| &basis.dated)),
        ("advice", basis(|basis| &basis.advice)),
    ]
}

fn differences(before: &CameraLaw, after: &CameraLaw) -> Vec<FieldChangeView> {
    let pairs = fields(before).into_iter().zip(fields(after));
    let differing = pairs.filter(|((_, before), (_, after))| before != after);
    differing.map(|((field, before), (_, after))| FieldChangeView { field, before, after }).collect()
}

impl From<&LegalChangeSight> for LegalChangeView {
    fn from(sight: &LegalChangeSight) -> Self {
        let (change, camera) = (&sight.change, &sight.camera);
        Self {
            id: change.id.to_string(),
            camera: ChangedCameraView::from(camera),
            state: change.state.as_str().to_owned(),
            before: LawView::from(&change.before),
            after: LawView::from(&change.after),
            changes: differences(&change.before, &change.after),
            reason: change.reason.clone(),
            proposed: SignatureView::from(&change.proposed),
            settled: change.settled.as_ref().map(SignatureView::from),
            answer: change.answer.clone(),
            may_settle: sight.may_settle,
            may_withdraw: sight.may_withdraw,
        }
    }
}

/// A change of legal fields as somebody proposes it; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LegalChangeDto {
    /// `overview`, `lez`, `zbt` or `trajectory`.
    pub kind: Option<String>,
    /// Class of its footage from then on.
    pub retention_class: Option<String>,
    /// Pictogram placed, `YYYY-MM-DD`.
    pub pictogram_on: Option<String>,
    /// Legal basis.
    pub legal_basis: Option<LegalBasisDto>,
    /// Why, at least ten characters.
    #[serde(default)]
    pub reason: String,
}

impl LegalChangeDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 for unknown words.
    pub fn into_patch(self) -> Result<(LawPatch, String), Problem> {
        let patch = LawPatch {
            kind: self.kind.as_deref().map(|word| parse_word("kind", word)).transpose()?,
            retention_class: self.retention_class,
            pictogram_on: self.pictogram_on,
            legal_basis: self.legal_basis.map(LegalBasis::from),
        };
        Ok((patch, self.reason))
    }
}

/// Why a proposal is refused.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalDto {
    /// In the person's own words, at least ten characters; the proposer reads it.
    #[serde(default)]
    pub reason: String,
}
