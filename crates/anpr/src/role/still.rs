//! One masked still of the past, for a data subject: both capabilities checked, the footage opened at the recorder, decoded up to the
//! instant, and pixelated here, so that a clear picture leaves this process in no case.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use link::message::still::{HIDDEN_MAX, StillAsk};
use link::message::stored::{STORED_BYTES_MAX, StoredAssembler, StoredPiece, StoredStep};
use link::{Connection, Control, Role};
use media::{AccessUnit, ParameterSets};
use policy::Audience;
use tokio::net::UnixStream;
use vms_core::{StreamId, TimeRange, WallTime};

use super::picture::Refusal;
use super::shared::Shared;
use super::{DecodeError, Decoded};
use crate::mask;

/// The recorder reads a few segments; one that says nothing in this time is taken for dead.
const PATIENCE: Duration = Duration::from_secs(12);

/// Longest span that is looked through for a key frame.
const SPAN_MAX_US: i64 = 30_000_000;

/// Pieces of one answer of the recorder.
const PIECES: u32 = 256;

/// Most bytes between a key frame and the instant.
const BYTES_MAX: usize = 64 << 20;

fn refusal(code: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal { code, detail: detail.into() }
}

/// Makes the still; with it, when the picture was taken.
pub(super) async fn make(shared: &Arc<Shared>, ask: StillAsk) -> Result<(WallTime, Bytes), Refusal> {
    let stream: StreamId = ask.stream.parse().map_err(|_| refusal("no_such_stream", "not a stream id"))?;
    let at = WallTime::from_micros(ask.at_us);
    let span = TimeRange::new(WallTime::from_micros(ask.from_us), WallTime::from_micros(ask.at_us.saturating_add(1)))
        .filter(|span| span.micros() <= SPAN_MAX_US)
        .ok_or_else(|| refusal("bad_request", "the span ends before it begins, or is longer than 30 s"))?;
    let areas_fit = ask.keep.iter().chain(&ask.hide).all(link::message::still::Area::is_whole);
    if !areas_fit || ask.hide.len() > HIDDEN_MAX {
        return Err(refusal("bad_request", "an area lies outside the picture, or there are more than 16"));
    }
    let opened = shared.verifier.open(&ask.capability, Audience::Reader, (shared.host.wall)())?;
    opened.covers_still(stream, span)?;
    let Ok(_slot) = Arc::clone(&shared.pictures).try_acquire_owned() else {
        return Err(refusal("busy", "as many pictures as allowed are being made"));
    };
    let (sets, units) = tokio::time::timeout(PATIENCE, footage(shared, ask.source, stream, span))
        .await
        .map_err(|_| refusal("unavailable", "the recorder did not answer in time"))??;
    let (shared, keep, hide) = (Arc::clone(shared), ask.keep, ask.hide);
    let work = move || -> Result<(WallTime, Bytes), Refusal> {
        let shown = decoded(&shared, &sets, &units, at).map_err(|error| refusal("undecodable", error.to_string()))?;
        let shown = shown.ok_or_else(|| refusal("undecodable", "the footage gave no picture"))?;
        let jpeg = mask::still(&shown.frame, keep, &hide);
        let jpeg = jpeg.map_err(|error| refusal("undecodable", error.to_string()))?;
        Ok((shown.clocks.wall, jpeg))
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| refusal("undecodable", "the decoder broke"))?
}

/// The last picture, in the order of display, that had arrived at `at`.
fn decoded(
    shared: &Shared,
    sets: &ParameterSets,
    units: &[AccessUnit],
    at: WallTime,
) -> Result<Option<Decoded>, DecodeError> {
    let mut decoder = shared.decoders.open(sets)?;
    let mut shown: Option<Decoded> = None;
    let mut show = |picture: Decoded| {
        if picture.clocks.wall <= at {
            shown = Some(picture);
        }
    };
    for unit in units {
        decoder.feed(unit)?;
        while let Some(picture) = decoder.take()? {
            show(picture);
        }
    }
    decoder.finish()?.into_iter().for_each(show);
    Ok(shown)
}

/// From the last key frame of the span to its end. Empty footage is refused.
async fn footage(
    shared: &Shared,
    source: String,
    stream: StreamId,
    span: TimeRange,
) -> Result<(Arc<ParameterSets>, Vec<AccessUnit>), Refusal> {
    let path = shared.config.run_dir.join("recorder.sock");
    let mut connection = link::connect(&path, Role::Reader, 0, Role::Recorder).await?;
    let open = Control::OpenStored {
        capability: source,
        stream: stream.to_string(),
        from_us: span.from.micros,
        to_us: span.to.micros,
        skip: 0,
        after: None,
    };
    let answer = connection.ask(open).await?;
    if let Control::Refused { code, detail } = answer {
        return Err(of_recorder(&code, detail));
    }
    if !matches!(answer, Control::StoredInfo { .. }) {
        return Err(refusal("unavailable", "the recorder answered out of turn"));
    }
    let mut group = Group::default();
    let mut machine = StoredAssembler::new(stream);
    while read_answer(&mut connection, &mut machine, &mut group, span).await? {}
    match group.sets {
        Some(sets) if !group.units.is_empty() => Ok((sets, group.units)),
        Some(_) | None => Err(refusal("no_footage", "nothing was recorded at that instant")),
    }
}

/// What was read since the last key frame.
#[derive(Default)]
struct Group {
    sets: Option<Arc<ParameterSets>>,
    units: Vec<AccessUnit>,
    bytes: usize,
}

impl Group {
    fn take(&mut self, sets: &Arc<ParameterSets>, unit: AccessUnit) -> Result<(), Refusal> {
        if unit.is_key {
            (self.units, self.bytes, self.sets) = (Vec::new(), 0, Some(Arc::clone(sets)));
        }
        self.bytes = self.bytes.saturating_add(unit.payload.len());
        if self.bytes > BYTES_MAX {
            return Err(refusal("undecodable", "more than 64 MiB without a key frame"));
        }
        if self.sets.is_some() {
            self.units.push(unit);
        }
        Ok(())
    }

    /// What follows does not continue what was read.
    fn cut(&mut self) {
        *self = Self::default();
    }
}

/// One answer of the recorder; whether there is more.
async fn read_answer(
    connection: &mut Connection<UnixStream>,
    machine: &mut StoredAssembler,
    group: &mut Group,
    span: TimeRange,
) -> Result<bool, Refusal> {
    connection.sender.send(Control::ReadStored { pieces: PIECES, bytes: STORED_BYTES_MAX }).await?;
    loop {
        let message = connection.receiver.recv().await?;
        match machine.take(message).map_err(|error| refusal("unavailable", error.to_string()))? {
            StoredStep::Wait | StoredStep::Piece(StoredPiece::Segment(_)) => {}
            StoredStep::Piece(StoredPiece::Gap(_)) => group.cut(),
            StoredStep::Piece(StoredPiece::Frames(head, sets, fragment)) => {
                if !head.same_clock {
                    group.cut();
                }
                for unit in fragment.units().iter().filter(|unit| unit.clocks.wall < span.to) {
                    group.take(&sets, unit.clone())?;
                }
            }
            StoredStep::More => return Ok(true),
            StoredStep::End => return Ok(false),
            StoredStep::Refused(code, detail) => return Err(of_recorder(&code, detail)),
        }
    }
}

fn of_recorder(code: &str, detail: String) -> Refusal {
    let known = ["no_footage", "erased", "damaged", "footage_gated", "gate_away", "footage_away", "unavailable"];
    refusal(known.into_iter().find(|word| *word == code).unwrap_or("source_refused"), detail)
}
