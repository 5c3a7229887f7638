//! What the recorders say of their streams, and the one answer that load balancers and people look at.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::json;
use vms_core::{Codec, StreamId, StreamUse, WallTime};

use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::Actor;
use crate::gate::action::ViewHealth;
use crate::model::{Camera, EventScope};
use crate::words::{CameraState, Cause, EventKind, Phase};

/// A camera that was changed less than this long ago is given time to start.
const START_GRACE_US: i64 = 30_000_000;

/// Health of one stream, as a recorder or gateway reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHealth {
    /// Which.
    pub stream: StreamId,
    /// Session phase.
    pub phase: Phase,
    /// Why it is not live.
    pub cause: Option<Cause>,
    /// Last frame received.
    pub last_frame_at: Option<WallTime>,
    /// Footage is on disk up to here.
    pub durable_until: Option<WallTime>,
    /// Received bits per second.
    pub bits_per_s: u64,
    /// RTP packets known lost since start.
    pub packets_lost: u64,
    /// When known.
    pub codec: Option<Codec>,
    /// Pixels, when known.
    pub width: Option<u16>,
    /// Pixels, when known.
    pub height: Option<u16>,
}

/// How the recorder stands besides its streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageHealth {
    /// What wants a person: stable words such as `clock_stepped` (docs/operations.md).
    pub alarms: Vec<String>,
    /// What cameras need and the disk gives, with figures, where they do not fit.
    pub detail: Option<String>,
    /// Previews, exports and sub-streams are not to be made: the volume has less than two hours left.
    pub spares: bool,
}

/// The last word on each stream. Owned by [`UseCases`]; written by one poller.
#[derive(Debug, Default)]
pub struct HealthBoard {
    streams: Mutex<HashMap<StreamId, StreamHealth>>,
    storage: Mutex<StorageHealth>,
    log: Mutex<Vec<String>>,
    reads: Mutex<Vec<String>>,
}

impl HealthBoard {
    pub(crate) fn of(&self, stream: StreamId) -> Option<StreamHealth> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).get(&stream).cloned()
    }

    fn put(&self, report: StreamHealth) -> Option<StreamHealth> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).insert(report.stream, report)
    }
}

/// Health of one camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraHealth {
    /// The camera.
    pub camera: vms_core::CameraId,
    /// Its code.
    pub code: String,
    /// Its main stream's health; absent before the first report.
    pub health: Option<StreamHealth>,
    /// Whether it should be on disk now.
    pub should_record: bool,
}

/// A camera whose footage should be on disk and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The camera's code.
    pub code: String,
    /// Why, when the recorder or the session says.
    pub cause: Option<Cause>,
}

/// While a session that failed tries again, the reason of the failure is still what a person wants to read.
fn still_why(before: &StreamHealth, now: Phase) -> Option<Cause> {
    let was_down = match before.phase {
        Phase::Connecting | Phase::NoKeyFrame | Phase::Waiting => true,
        Phase::Idle | Phase::Live => false,
    };
    let is_trying = match now {
        Phase::Connecting | Phase::NoKeyFrame => true,
        Phase::Idle | Phase::Live | Phase::Waiting => false,
    };
    before.cause.filter(|_| was_down && is_trying)
}

impl UseCases {
    /// Takes the reports of a recorder or gateway; changes become events, and what a stream turned out to be is kept.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn health_report(&self, reports: Vec<StreamHealth>) -> Result<(), UseCaseError> {
        let cameras = self.cameras_now().await?;
        for mut report in reports {
            let Some((camera, stream)) = owner_of(&cameras, report.stream) else { continue };
            report.cause =
                report.cause.or_else(|| self.health.of(report.stream).and_then(|old| still_why(&old, report.phase)));
            let fresh = report.clone();
            let before = self.health.put(report);
            let was = before.as_ref().map(|old| (old.phase, old.cause));
            let size = (fresh.codec, fresh.width, fresh.height);
            let known = before.as_ref().map(|old| (old.codec, old.width, old.height));
            if fresh.codec.is_some() && known != Some(size) {
                let codec = fresh.codec.map(Codec::as_str);
                self.stores.stream_seen(fresh.stream, codec, fresh.width, fresh.height).await?;
                self.cameras_forget();
            }
            if was != Some((fresh.phase, fresh.cause)) && stream == StreamUse::Main {
                let data = json!({
                    "camera_id": camera.id.to_string(),
                    "phase": fresh.phase.as_str(),
                    "cause": fresh.cause.map(Cause::as_str),
                    "last_frame_at": fresh.last_frame_at.map(rfc3339),
                });
                self.events.publish(EventKind::CameraHealth, EventScope::Camera(camera.id), data).await;
            }
        }
        Ok(())
    }

    /// Takes what the recorder says of clock, terms and room.
    pub fn storage_report(&self, report: StorageHealth) {
        *self.health.storage.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    /// Takes what wants a person at the log of uses: stable words such as `log_not_cosigned` (docs/operations.md).
    pub fn log_report(&self, alarms: Vec<String>) {
        *self.health.log.lock().unwrap_or_else(PoisonError::into_inner) = alarms;
    }

    /// Takes what wants a person at the erasing of reads: stable words such as `reads_batch_waits` (docs/operations.md).
    pub fn reads_report(&self, alarms: Vec<String>) {
        *self.health.reads.lock().unwrap_or_else(PoisonError::into_inner) = alarms;
    }

    /// The last word on that.
    pub fn reads_alarms(&self) -> Vec<String> {
        self.health.reads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last word on that.
    pub fn log_alarms(&self) -> Vec<String> {
        self.health.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its last word on that.
    pub fn storage_health(&self) -> StorageHealth {
        self.health.storage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether footage of every camera in service reached the disk lately: those that did not, with what is known of why.
    ///
    /// # Errors
    /// [`UseCaseError::StoreUnavailable`].
    pub async fn health_summary(&self) -> Result<Vec<Behind>, UseCaseError> {
        let now = self.now();
        let cameras = self.cameras_now().await?;
        let behind = cameras.iter().filter(|camera| self.should_record(camera, now)).filter(|camera| {
            let stream = camera.stream(StreamUse::Main).map(|stream| stream.id);
            let durable = stream.and_then(|id| self.health.of(id)).and_then(|health| health.durable_until);
            let is_late = durable.is_none_or(|until| now > until.plus(self.settings.health_lag_max));
            is_late && now.micros_since(camera.updated_at) > START_GRACE_US
        });
        let cause = |camera: &Camera| camera.stream(StreamUse::Main).and_then(|main| self.health.of(main.id)?.cause);
        Ok(behind.map(|camera| Behind { code: camera.code.clone(), cause: cause(camera) }).collect())
    }

    /// Health of every camera that the actor sees.
    ///
    /// # Errors
    /// `Denied`, logged; `Unavailable`.
    pub async fn health_cameras(&self, actor: &Actor) -> Result<Vec<CameraHealth>, UseCaseError> {
        self.look::<ViewHealth>(actor).await?;
        let (now, cameras) = (self.now(), self.cameras_now().await?);
        let grants = self.grants_to(actor.org, now).await?;
        let visible = cameras.iter().filter(|camera| camera.state != CameraState::Retired).filter(|camera| {
            let relation =
                crate::sight::relation_of(actor.org, actor.profile, camera, vms_core::Right::CameraList, None, &grants);
            let target = crate::gate::Target::camera(camera.id, camera.owner, relation);
            self.gate.would::<ViewHealth>(actor, &target).is_allow()
        });
        Ok(visible
            .map(|camera| CameraHealth {
                camera: camera.id,
                code: camera.code.clone(),
                health: camera.stream(StreamUse::Main).and_then(|stream| self.health.of(stream.id)),
                should_record: self.should_record(camera, now),
            })
            .collect())
    }

    pub(crate) fn should_record(&self, camera: &Camera, now: WallTime) -> bool {
        let keeps = self.retention.keep_s(&camera.retention_class, now).is_some_and(|seconds| seconds > 0);
        camera.is_in_service() && camera.partner.is_none() && keeps && camera.stream(StreamUse::Main).is_some()
    }
}

fn owner_of(cameras: &[Camera], id: StreamId) -> Option<(&Camera, StreamUse)> {
    cameras
        .iter()
        .find_map(|camera| camera.streams.iter().find(|stream| stream.id == id).map(|stream| (camera, stream.use_)))
}

/// RFC 3339 in UTC with microseconds.
pub fn rfc3339(at: WallTime) -> String {
    jiff::Timestamp::from_microsecond(at.micros).map(|time| format!("{time:.6}")).unwrap_or_default()
}
