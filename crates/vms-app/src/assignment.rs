//! What recorders, gateways and readers are to do, made from the cameras in service.

use vms_core::{CameraId, Purpose, StreamId, StreamUse, WallTime};

use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::model::{Camera, CameraStream, StreamSpec};
use crate::words::{CameraKind, CameraState, OrgKind};

/// Everything that one role is responsible for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentPlan {
    /// Rises with every change.
    pub version: u64,
    /// The streams.
    pub streams: Vec<StreamSpec>,
}

/// One camera that the reader decodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnprCamera {
    /// The camera.
    pub camera: CameraId,
    /// Its owner.
    pub owner: vms_core::OrgId,
    /// The stream to decode: the ANPR stream, else main.
    pub stream: StreamId,
    /// Purposes for which its reads may be copied.
    pub purposes: Vec<Purpose>,
}

impl UseCases {
    /// What the recorder does: our own cameras. What is not in service yet is there for its test picture alone, pulled on
    /// demand and never recorded; showing it live is refused by the gate's callers. The term of a class may change from
    /// one day to the next, so this is made anew at least daily.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn recorder_plan(&self) -> Result<AssignmentPlan, UseCaseError> {
        let version = self.stores.assignment_version().await?;
        let (now, cameras) = (self.now(), self.cameras_now().await?);
        let own = cameras.iter().filter(|camera| camera.partner.is_none() && camera.state != CameraState::Retired);
        let streams = own.flat_map(|camera| camera.streams.iter().map(|stream| self.spec(camera, stream, now)));
        Ok(AssignmentPlan { version, streams: streams.collect() })
    }

    /// What the gateway does: streams of partners that are switched on, pulled only while somebody watches.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn gateway_plan(&self) -> Result<AssignmentPlan, UseCaseError> {
        let version = self.stores.assignment_version().await?;
        let (now, cameras) = (self.now(), self.cameras_now().await?);
        let partners = self.stores.partner_list().await?;
        let is_on = |camera: &&Camera| {
            camera.is_in_service()
                && partners.iter().any(|partner| camera.partner == Some(partner.org) && partner.enabled)
        };
        let streams = cameras.iter().filter(is_on);
        let streams = streams.flat_map(|camera| camera.streams.iter().map(|stream| self.spec(camera, stream, now)));
        Ok(AssignmentPlan { version, streams: streams.collect() })
    }

    fn spec(&self, camera: &Camera, stream: &CameraStream, now: WallTime) -> StreamSpec {
        let keep_s = self.retention.keep_s(&camera.retention_class, now).unwrap_or(0);
        let record = stream.use_ == StreamUse::Main && self.should_record(camera, now);
        StreamSpec {
            stream: stream.id,
            camera: camera.id,
            use_: stream.use_,
            url: stream.url.clone(),
            sealed_credentials: stream.sealed_credentials.clone(),
            transport: stream.transport,
            record,
            on_demand: !record,
            retention_class: camera.retention_class.as_str().to_owned(),
            keep_s,
        }
    }

    /// The cameras whose plates are read.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn anpr_cameras(&self) -> Result<Vec<AnprCamera>, UseCaseError> {
        let (cameras, orgs) = (self.cameras_now().await?, self.orgs_now().await?);
        let in_service = cameras.iter().filter(|camera| camera.partner.is_none() && camera.is_in_service());
        Ok(in_service
            .filter_map(|camera| {
                let mut purposes = match camera.kind {
                    CameraKind::Overview => return None,
                    CameraKind::Lez => vec![Purpose::Lez],
                    CameraKind::Zbt => vec![Purpose::Zbt],
                    CameraKind::Trajectory => vec![Purpose::Trajectory],
                };
                if let Some(traffic) = &self.extensions().traffic {
                    let more: Vec<Purpose> =
                        traffic.sites.purposes(&camera.code).filter(|purpose| !purposes.contains(purpose)).collect();
                    purposes.extend(more);
                }
                // A police zone keeps its own copy of what its cameras read (`domain.md` D6 RC-ANPR-POL, H4).
                if orgs.iter().any(|org| org.id == camera.owner && org.kind == OrgKind::PoliceZone) {
                    purposes.push(Purpose::PublicOrder);
                }
                let stream = camera.stream(StreamUse::Anpr).or_else(|| camera.stream(StreamUse::Main))?.id;
                Some(AnprCamera { camera: camera.id, owner: camera.owner, stream, purposes })
            })
            .collect())
    }

    /// The camera that a stream belongs to, from memory.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn camera_of_stream(&self, stream: StreamId) -> Result<Option<Camera>, UseCaseError> {
        let cameras = self.cameras_now().await?;
        Ok(cameras.iter().find(|camera| camera.streams.iter().any(|known| known.id == stream)).cloned())
    }

    /// A camera by id, for parts that hold an id from a message; no view of it leaves the process without a gate.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn camera_known(&self, id: CameraId) -> Result<Option<Camera>, UseCaseError> {
        Ok(self.cameras_now().await?.iter().find(|camera| camera.id == id).cloned())
    }
}
