//! The reading service as the gate knows it: who it is, and its logged standing permit.

use std::sync::{Arc, OnceLock};

use tokio::sync::Mutex;
use vms_core::{Profile, Purpose, SessionId, UserId};

use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::action::DecodeAnpr;
use crate::gate::{Actor, Permit, Target, Why};

/// A standing grant is decided and logged anew after this.
pub(super) const GRANT_US: i64 = 3_600_000_000;
/// Organisation of the service: the platform's operator (`seed/organisations.toml`).
const SERVICE_ORG: &str = "SAFE";
/// The service has no account; this id names it in the log.
const SERVICE_USER: UserId = UserId::from_bytes(*b"belfry-reads-svc");

/// What the service keeps between two calls.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    session: OnceLock<SessionId>,
    permit: Mutex<Option<Arc<Permit<DecodeAnpr>>>>,
}

impl UseCases {
    pub(super) async fn reading_actor(&self) -> Result<Actor, UseCaseError> {
        let orgs = self.org_list().await?;
        let org = orgs.iter().find(|org| org.code == SERVICE_ORG);
        let org =
            org.ok_or_else(|| UseCaseError::Internal(format!("there is no organisation {SERVICE_ORG}").into()))?;
        Ok(Actor {
            user: SERVICE_USER,
            session: *self.reading.session.get_or_init(|| SessionId::from_uuid(self.ids.uuid())),
            org: org.id,
            profile: Profile::P24,
            user_name: "reading service".to_owned(),
            org_code: org.code.clone(),
        })
    }

    /// The permit under which the service takes and decides reads; a new leaf each hour.
    ///
    /// # Errors
    /// `LogUnavailable`: then nothing is taken and nothing decided.
    pub(super) async fn reading_permit(&self) -> Result<Arc<Permit<DecodeAnpr>>, UseCaseError> {
        let mut kept = self.reading.permit.lock().await;
        let now = self.now();
        if let Some(permit) = kept.as_ref()
            && now.micros_since(permit.at()).abs() < GRANT_US
        {
            return Ok(Arc::clone(permit));
        }
        let target = Target { object: Some("reads: take and decide".to_owned()), ..Target::none() };
        let why = Why { purpose: Some(Purpose::Lez), ..Why::default() };
        let permit = Arc::new(self.gate.permit::<DecodeAnpr>(&self.reading_actor().await?, target, &why).await?);
        *kept = Some(Arc::clone(&permit));
        Ok(permit)
    }
}
