//! What waits for a second person, and alarms about somebody's use.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vms_app::oversight::anomaly::Anomaly;
use vms_app::sharing::seconds::SecondSight;

use super::common::instant;
use super::legal::SignatureView;

/// Something that waits for a second person, or waited.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SecondWishView {
    /// Key.
    pub id: String,
    /// `partner_on` or `camera_retire`.
    pub kind: String,
    /// `org_…` of the partner, or `cam_…`.
    pub object: String,
    /// The partner's name or the camera's code.
    pub name: String,
    /// Why, in the person's words.
    pub reason: String,
    /// By whom, when.
    pub asked: SignatureView,
    /// `waiting`, `approved`, `refused` or `withdrawn`.
    pub state: String,
    /// Why it was refused.
    pub answer: Option<String>,
    /// Who agreed, refused or took it back.
    pub settled: Option<SignatureView>,
    /// Whether the caller may agree or refuse.
    pub may_settle: bool,
    /// Whether the caller may take it back.
    pub may_withdraw: bool,
}

impl From<&SecondSight> for SecondWishView {
    fn from(sight: &SecondSight) -> Self {
        let wish = &sight.wish;
        Self {
            id: wish.id.to_string(),
            kind: wish.kind.as_str().to_owned(),
            object: wish.object.clone(),
            name: sight.name.clone(),
            reason: wish.reason.clone(),
            asked: SignatureView::from(&wish.asked),
            state: wish.state.as_str().to_owned(),
            answer: wish.answer.clone(),
            settled: wish.settled.as_ref().map(SignatureView::from),
            may_settle: sight.may_settle,
            may_withdraw: sight.may_withdraw,
        }
    }
}

/// An alarm about somebody's unusual use. It names the account, not the person: names stand in the log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AnomalyView {
    /// Key.
    pub id: String,
    /// Name of the rule (`seed/anomalies.toml`).
    pub rule: String,
    /// `usr_…`.
    pub user_id: String,
    /// Code of the account's organisation.
    pub org: String,
    /// What was counted.
    pub counted: u32,
    /// What is usual at most.
    pub allowed: u32,
    /// Within so many seconds.
    pub window_s: u32,
    /// The use that was one too many.
    pub at: String,
    /// When the alarm was raised.
    pub told_at: String,
    /// `open` or `settled`.
    pub state: String,
    /// What it was.
    pub answer: Option<String>,
    /// Who looked at it.
    pub settled: Option<SignatureView>,
}

impl AnomalyView {
    /// With the code of the organisation.
    pub fn new(alarm: &Anomaly, org: String) -> Self {
        Self {
            id: alarm.id.to_string(),
            rule: alarm.breach.rule.clone(),
            user_id: alarm.breach.user.to_string(),
            org,
            counted: alarm.breach.counted,
            allowed: alarm.breach.allowed,
            window_s: alarm.breach.window_s,
            at: instant(alarm.breach.at),
            told_at: instant(alarm.told_at),
            state: alarm.state.as_str().to_owned(),
            answer: alarm.answer.clone(),
            settled: alarm.settled.as_ref().map(SignatureView::from),
        }
    }
}

/// What an alarm was.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnomalyAnswerDto {
    /// In the person's own words.
    pub answer: String,
}
