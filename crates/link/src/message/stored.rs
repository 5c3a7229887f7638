//! Footage as it is stored, for an evidence export: what `serve` asks piece by piece, and the machine that puts the recorder's messages
//! together again.
//!
//! ```text
//! serve                                   recorder
//! OpenStored {capability, span, skip} ──▶
//!                                     ◀── StoredInfo {pieces}            or Refused
//! Renew {capability}                  ──▶ ◀── Done                       at least every 15 s
//! ReadStored {pieces, bytes}          ──▶
//!                                     ◀── StoredSegment | StoredGap | ParameterSets |
//!                                         StoredFrames {units} and so many Unit frames
//!                                     ◀── StoredMore | StoredEnd         or Refused
//! ```
//!
//! The asker says how much it can take, so that nothing waits in between: neither side holds more than one answer.

use std::sync::Arc;

use bytes::Bytes;
use media::{AccessUnit, Fragment, ParameterSets};
use serde::{Deserialize, Serialize};
use vms_core::StreamId;

use super::{Control, GapRow};
use crate::codec::{Message, decode};

/// Most pieces that one `ReadStored` is answered with.
pub const STORED_PIECES_MAX: u32 = 1_024;

/// Most bytes of footage after which an answer to `ReadStored` ends: one fragment more at most.
pub const STORED_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Most units of one fragment: twice what the recorder puts into one.
pub const STORED_UNITS_MAX: u32 = 1_024;

/// Most bytes of one fragment that are put together.
const FRAGMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A segment from which the fragments that follow are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSegment {
    /// `seg_…`.
    pub segment: String,
    /// Arrival of its first unit, µs since 1970.
    pub from_us: i64,
    /// End of its last unit, µs since 1970.
    pub to_us: i64,
    /// Its digest in hexadecimal, as its closing record has it; absent while it grows.
    pub digest: Option<String>,
}

/// One fragment; its units follow as unit frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFrames {
    /// Segment it lies in.
    pub segment: String,
    /// Number of its record there.
    pub record: u32,
    /// Its decode times count on the same clock as those of the fragment before it.
    pub same_clock: bool,
    /// Unit frames that follow, 1 to [`STORED_UNITS_MAX`].
    pub units: u32,
    /// How long the last unit lasts, 1/90,000 s.
    pub last_duration: u32,
}

/// One thing of the span, put together.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredPiece {
    /// The fragments that follow lie in this segment.
    Segment(StoredSegment),
    /// A gap.
    Gap(GapRow),
    /// A fragment with its parameter sets.
    Frames(StoredFrames, Arc<ParameterSets>, Box<Fragment>),
}

/// What a message of the recorder means to whoever reads a span.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredStep {
    /// More of the same piece is on its way.
    Wait,
    /// A piece is whole.
    Piece(StoredPiece),
    /// This answer is over; ask again.
    More,
    /// The span is over.
    End,
    /// The recorder stops: stable word and sentence.
    Refused(String, String),
}

/// The recorder said something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the recorder sent pieces of footage that do not fit together")]
pub struct StoredNonsense;

/// Puts the messages of one open span together. Sans IO.
#[derive(Debug)]
pub struct StoredAssembler {
    stream: StreamId,
    sets: Option<Arc<ParameterSets>>,
    head: Option<StoredFrames>,
    units: Vec<AccessUnit>,
    bytes: usize,
}

impl StoredAssembler {
    /// For a span of `stream`.
    pub const fn new(stream: StreamId) -> Self {
        Self { stream, sets: None, head: None, units: Vec::new(), bytes: 0 }
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// [`StoredNonsense`]: the connection is of no use any more.
    pub fn take(&mut self, message: Message) -> Result<StoredStep, StoredNonsense> {
        match message {
            Message::Unit(stream, unit) => self.unit(stream, unit),
            Message::Control(control) if self.head.is_none() => self.control(*control),
            Message::Control(_) | Message::Bytes(_) | Message::Fragment(_) => Err(StoredNonsense),
        }
    }

    fn control(&mut self, control: Control) -> Result<StoredStep, StoredNonsense> {
        if let Control::StoredSegment(segment) = control {
            Ok(StoredStep::Piece(StoredPiece::Segment(segment)))
        } else if let Control::StoredGap(gap) = control {
            Ok(StoredStep::Piece(StoredPiece::Gap(gap)))
        } else if let Control::StoredFrames(head) = control {
            if self.sets.is_none() || !(1..=STORED_UNITS_MAX).contains(&head.units) {
                return Err(StoredNonsense);
            }
            (self.head, self.bytes) = (Some(head), 0);
            Ok(StoredStep::Wait)
        } else if let Control::ParameterSets { stream, sets } = control {
            let sets = Some(sets).filter(|_| stream == self.stream.to_string()).and_then(|sets| sets.read());
            self.sets = Some(Arc::new(sets.ok_or(StoredNonsense)?));
            Ok(StoredStep::Wait)
        } else if let Control::Refused { code, detail } = control {
            Ok(StoredStep::Refused(code, detail))
        } else if control == Control::StoredMore {
            Ok(StoredStep::More)
        } else if control == Control::StoredEnd {
            Ok(StoredStep::End)
        } else {
            Err(StoredNonsense)
        }
    }

    fn unit(&mut self, stream: StreamId, unit: AccessUnit) -> Result<StoredStep, StoredNonsense> {
        let (Some(head), Some(sets)) = (&self.head, &self.sets) else { return Err(StoredNonsense) };
        self.bytes = self.bytes.saturating_add(unit.payload.len());
        if stream != self.stream || unit.param_set != sets.id || self.bytes > FRAGMENT_BYTES_MAX {
            return Err(StoredNonsense);
        }
        self.units.push(unit);
        if u32::try_from(self.units.len()).unwrap_or(u32::MAX) < head.units {
            return Ok(StoredStep::Wait);
        }
        let units = std::mem::take(&mut self.units);
        let (head, sets) = (self.head.take().ok_or(StoredNonsense)?, Arc::clone(sets));
        let fragment = Fragment::new(units, head.last_duration).ok_or(StoredNonsense)?;
        Ok(StoredStep::Piece(StoredPiece::Frames(head, sets, Box::new(fragment))))
    }
}

/// Feeds foreign bytes to the machine as frames: length as `u16` big endian, then the body of a frame.
pub fn fuzz_stored(data: &[u8]) {
    let mut machine = StoredAssembler::new(StreamId::from_bytes([1; 16]));
    let mut rest = data;
    while let Some((length, body)) = rest.split_first_chunk::<2>() {
        let (body, behind) = body.split_at_checked(usize::from(u16::from_be_bytes(*length))).unwrap_or((body, &[]));
        rest = behind;
        let Ok(message) = decode(Bytes::copy_from_slice(body)) else { continue };
        if machine.take(message).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut as _, BytesMut};
    use media::{Clocks, ParamSetId};
    use vms_core::{Codec, MediaTime};

    use super::*;
    use crate::codec::encode;
    use crate::message::{Cause, WireParameterSets};

    fn sets() -> ParameterSets {
        let sps = Bytes::from_static(&[
            0x67, 0x42, 0xC0, 0x1E, 0xD9, 0x00, 0xA0, 0x3D, 0xA1, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00,
            0x32, 0x8F, 0x16, 0x2E, 0x48,
        ]);
        let pps = Bytes::from_static(&[0x68, 0xCB, 0x83, 0xCB, 0x20]);
        ParameterSets::from_nals(Codec::H264, Vec::new(), vec![sps], vec![pps]).unwrap()
    }

    fn stream() -> StreamId {
        StreamId::from_bytes([1; 16])
    }

    fn unit(seq: u64, param_set: ParamSetId) -> Message {
        let ticks = MediaTime::from_ticks(i64::try_from(seq).unwrap() * 3_600);
        let payload = Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x88]);
        let (clocks, is_key) = (Clocks::default(), seq == 0);
        let unit =
            AccessUnit { seq, epoch: 1, payload, is_key, pts: ticks, dts: ticks, clocks, lost_before: 0, param_set };
        Message::Unit(stream(), unit)
    }

    fn head(units: u32) -> StoredFrames {
        StoredFrames { segment: "seg_1".to_owned(), record: 7, same_clock: true, units, last_duration: 3_600 }
    }

    /// A span with one segment, its sets, a fragment of two, a gap and the end.
    fn span() -> Vec<Message> {
        let segment = StoredSegment { segment: "seg_1".to_owned(), from_us: 1, to_us: 2, digest: None };
        let gap = GapRow { change: 0, stream: stream().to_string(), from_us: 2, to_us: Some(3), cause: Cause::Silent };
        let wire = WireParameterSets::from(&sets());
        vec![
            Control::StoredSegment(segment).into(),
            Control::ParameterSets { stream: stream().to_string(), sets: wire }.into(),
            Control::StoredFrames(head(2)).into(),
            unit(0, sets().id),
            unit(1, sets().id),
            Control::StoredGap(gap).into(),
            Control::StoredEnd.into(),
        ]
    }

    #[test]
    fn a_span_is_put_together() {
        let mut machine = StoredAssembler::new(stream());
        let steps: Vec<StoredStep> = span().into_iter().map(|message| machine.take(message).unwrap()).collect();
        let words: Vec<&str> = steps
            .iter()
            .map(|step| match step {
                StoredStep::Wait => "wait",
                StoredStep::Piece(StoredPiece::Segment(_)) => "segment",
                StoredStep::Piece(StoredPiece::Gap(_)) => "gap",
                StoredStep::Piece(StoredPiece::Frames(head, _, fragment)) => {
                    assert_eq!((head.record, fragment.units().len(), fragment.ticks()), (7, 2, 7_200));
                    "frames"
                }
                StoredStep::More => "more",
                StoredStep::End => "end",
                StoredStep::Refused(..) => "refused",
            })
            .collect();
        assert_eq!(words, ["segment", "wait", "wait", "wait", "frames", "gap", "end"]);
    }

    #[test]
    fn what_does_not_fit_together_is_nonsense() {
        let other = ParamSetId(sets().id.0 ^ 1);
        let wire = WireParameterSets::from(&sets());
        let own = || Control::ParameterSets { stream: stream().to_string(), sets: wire.clone() };
        for (what, messages) in [
            ("a unit without its head", vec![unit(0, sets().id)]),
            ("frames before their sets", vec![Control::StoredFrames(head(1)).into()]),
            ("no units", vec![own().into(), Control::StoredFrames(head(0)).into()]),
            ("too many units", vec![own().into(), Control::StoredFrames(head(STORED_UNITS_MAX + 1)).into()]),
            ("other sets", vec![own().into(), Control::StoredFrames(head(1)).into(), unit(0, other)]),
            (
                "a fragment cut short",
                vec![own().into(), Control::StoredFrames(head(2)).into(), Control::StoredEnd.into()],
            ),
            ("bytes", vec![Message::Bytes(Bytes::from_static(b"x"))]),
            ("another question's answer", vec![Control::Done.into()]),
        ] {
            let mut machine = StoredAssembler::new(stream());
            assert!(messages.into_iter().any(|message| machine.take(message).is_err()), "{what}");
        }
    }

    #[test]
    fn foreign_bytes_break_nothing() {
        let mut whole = BytesMut::new();
        for message in span() {
            let mut frame = BytesMut::new();
            encode(&message, &mut frame);
            let body = &frame[4..];
            whole.put_u16(u16::try_from(body.len()).unwrap());
            whole.put_slice(body);
        }
        fuzz_stored(&whole);
        // Every byte changed once, and every prefix.
        for at in 0..whole.len() {
            let mut changed = whole.to_vec();
            changed[at] ^= 0x21;
            fuzz_stored(&changed);
            fuzz_stored(&whole[..at]);
        }
    }
}
