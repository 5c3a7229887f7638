//! Reads from the reader: one copy per purpose of their camera, durable before they are acknowledged.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use vms_core::{CameraId, OrgId, Purpose, Right, WallTime};

use super::class;
use super::service::ReadService;
use crate::error::UseCaseError;
use crate::lez_ports::{NewRead, PurposeCopy};
use crate::model::EventScope;
use crate::words::EventKind;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Copies kept now.
    pub copies: u64,
    /// Reads of cameras that are not, or no longer, to be read.
    pub not_assigned: u64,
    /// Reads that arrived after the end of their term.
    pub too_late: u64,
}

/// Start of the hour: a copy and its key end one term after it, so nothing outlives its class.
fn hour_start(at: WallTime) -> WallTime {
    const HOUR_US: i64 = 3_600_000_000;
    WallTime::from_micros(at.micros.div_euclid(HOUR_US).saturating_mul(HOUR_US))
}

/// Class of a purpose's copy; `None` for a purpose whose pipeline is not built.
const fn class_of(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::Lez => Some("RC-LEZ-RAW"),
        Purpose::PublicOrder => Some("RC-ANPR-POL"),
        Purpose::Intervention
        | Purpose::Investigation
        | Purpose::MissingPerson
        | Purpose::Traffic
        | Purpose::Event
        | Purpose::Crisis
        | Purpose::FireMedical
        | Purpose::Zbt
        | Purpose::Trajectory
        | Purpose::Technical
        | Purpose::Audit
        | Purpose::Complaint => None,
    }
}

impl ReadService {
    /// Keeps reads, each once per purpose. When this returns they are durable and may be acknowledged.
    ///
    /// # Errors
    /// `LogUnavailable`, `Unavailable`: acknowledge nothing then.
    pub async fn take(&self, reads: Vec<NewRead>) -> Result<Taken, UseCaseError> {
        let permit = self.permit().await?;
        let cameras = self.cases.anpr_cameras().await?;
        let known: HashMap<CameraId, (OrgId, Vec<Purpose>)> =
            cameras.into_iter().map(|camera| (camera.camera, (camera.owner, camera.purposes))).collect();
        let now = self.cases.now();
        let (mut copies, mut taken) = (Vec::new(), Taken::default());
        for read in reads.into_iter().map(Arc::new) {
            let Some((owner, purposes)) = known.get(&read.camera) else {
                taken.not_assigned += 1;
                continue;
            };
            for (purpose, code) in purposes.iter().filter_map(|purpose| class_of(*purpose).map(|code| (*purpose, code)))
            {
                let class = class(code)?;
                let start = hour_start(read.at);
                let expires_at = WallTime::from_micros(start.micros.saturating_add(self.cases.term_us(&class, now)?));
                if expires_at <= now {
                    taken.too_late += 1;
                    continue;
                }
                let (read, owner) = (Arc::clone(&read), *owner);
                copies.push(PurposeCopy { read, purpose, class, owner, received_at: now, expires_at });
            }
        }
        let fresh = self.store.read_take(&permit, &copies).await?;
        taken.copies = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
        for (id, purpose) in fresh {
            // The console shows police copies only; a LEZ copy is nobody's to look at before it is a finding.
            if purpose != Purpose::PublicOrder {
                continue;
            }
            if let Some(copy) = copies.iter().find(|copy| copy.read.read == id) {
                let (camera, at) = (copy.read.camera, crate::health::rfc3339(copy.read.at));
                let data = json!({ "id": id.to_string(), "camera_id": camera.to_string(), "at": at });
                let scope = EventScope::CameraRight(camera, Right::ReadsLive);
                self.cases.events.publish(EventKind::Read, scope, data).await;
            }
        }
        Ok(taken)
    }
}
