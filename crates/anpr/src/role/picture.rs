//! One coarse picture of a live stream, for `serve`: both capabilities checked, one key frame decoded, at most 320×180.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use link::{Control, LinkError, LiveForm, Message, Role};
use media::{AccessUnit, ParameterSets};
use policy::{Audience, CapabilityError};
use vms_core::{Rendition, StreamId};

use super::camera::parameter_sets;
use super::shared::Shared;
use crate::mask;

/// A camera's next key frame must come within this time (key-frame interval of 10 s in issue 2, item 6).
const PATIENCE: Duration = Duration::from_secs(12);

/// Why there is no picture: a stable word and a sentence.
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) detail: String,
}

fn refusal(code: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal { code, detail: detail.into() }
}

impl From<CapabilityError> for Refusal {
    fn from(error: CapabilityError) -> Self {
        refusal(error.code(), error.to_string())
    }
}

impl From<LinkError> for Refusal {
    fn from(error: LinkError) -> Self {
        refusal("recorder_unreachable", error.to_string())
    }
}

/// Makes the picture.
pub(super) async fn make(
    shared: &Arc<Shared>,
    capability: &str,
    source: String,
    stream: &str,
) -> Result<Bytes, Refusal> {
    let id: StreamId = stream.parse().map_err(|_| refusal("no_such_stream", "not a stream id"))?;
    let opened = shared.verifier.open(capability, Audience::Reader, (shared.host.wall)())?;
    opened.covers_live(id, Rendition::Coarse)?;
    let Ok(_slot) = Arc::clone(&shared.pictures).try_acquire_owned() else {
        return Err(refusal("busy", "as many pictures as allowed are being made"));
    };
    let (sets, unit) = tokio::time::timeout(PATIENCE, key_frame(shared, source, stream))
        .await
        .map_err(|_| refusal("no_key_frame", "no key frame came in time"))??;
    let shared = Arc::clone(shared);
    let decode = move || -> Result<Bytes, Refusal> {
        let fail = |error: super::DecodeError| refusal("undecodable", error.to_string());
        let mut decoder = shared.decoders.open(&sets).map_err(fail)?;
        decoder.feed(&unit).map_err(fail)?;
        let picture = decoder.finish().map_err(fail)?.into_iter().next();
        let picture = picture.ok_or_else(|| refusal("undecodable", "the key frame gave no picture"))?;
        mask::coarse(&picture.frame).map_err(|error| refusal("undecodable", error.to_string()))
    };
    tokio::task::spawn_blocking(decode).await.map_err(|_| refusal("undecodable", "the decoder broke"))?
}

/// The next key frame of the stream and its parameter sets.
async fn key_frame(shared: &Shared, source: String, stream: &str) -> Result<(ParameterSets, AccessUnit), Refusal> {
    let path = shared.config.run_dir.join("recorder.sock");
    let mut connection = link::connect(&path, Role::Reader, 0, Role::Recorder).await?;
    let open = Control::OpenLive {
        capability: source,
        stream: stream.to_owned(),
        rendition: Rendition::Original.as_str().to_owned(),
        form: LiveForm::Units,
    };
    connection.sender.send(open).await?;
    let mut sets = None;
    loop {
        match connection.receiver.recv().await? {
            Message::Unit(_, unit) => {
                if let (true, Some(sets)) = (unit.is_key, sets.take()) {
                    return Ok((sets, unit));
                }
            }
            #[expect(clippy::wildcard_enum_match_arm, reason = "other messages of a live stream do not matter here")]
            Message::Control(control) => match *control {
                Control::ParameterSets { sets: wire, .. } => sets = parameter_sets(&wire),
                Control::Refused { code, detail } => {
                    tracing::info!(stream, code, "the recorder refused the source of a picture");
                    return Err(refusal("source_refused", detail));
                }
                Control::End { why, .. } => return Err(refusal("no_key_frame", why)),
                _ => {}
            },
            Message::Bytes(_) | Message::Fragment(_) => return Err(LinkError::Malformed.into()),
        }
    }
}
