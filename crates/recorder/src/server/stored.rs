//! One open span of stored footage on one connection, for an evidence export: pulled piece by piece by whoever exports.

use std::sync::Arc;

use link::message::stored::{STORED_BYTES_MAX, STORED_PIECES_MAX, StoredFrames, StoredSegment};
use link::{Control, LinkError, Message, Role};
use media::ParamSetId;
use tokio::net::UnixStream;
use vms_core::{StreamId, TimeRange, WallTime};

use super::Shared;
use super::admit::{Pass, Refusal};
use crate::playback::{self, StoredPiece, StoredRange};

/// A span and the pass that opened it.
pub(super) struct OpenStored {
    pass: Pass,
    stream: StreamId,
    range: TimeRange,
    /// Absent only while a piece is being read.
    file: Option<Box<StoredRange>>,
    /// The parameter sets that the asker has.
    told: Option<ParamSetId>,
}

impl OpenStored {
    /// Checks the capability, then looks up what is stored.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        role: Role,
        capability: &str,
        stream: &str,
        (from_us, to_us): (i64, i64),
        (skip, after): (u64, Option<(String, u32)>),
    ) -> Result<Self, Refusal> {
        let stream: StreamId = stream.parse().map_err(|_| Refusal::new("bad_request", "not a stream id"))?;
        let range = TimeRange::new(WallTime::from_micros(from_us), WallTime::from_micros(to_us))
            .ok_or_else(|| Refusal::new("bad_request", "the span ends before it begins"))?;
        let pass = Pass::open(shared, role, capability, |held| held.covers_range(stream, range))?;
        let source = pass.source().await;
        let opened = playback::open_stored(source, &shared.index, &shared.catalogue, stream, range).await;
        pass.note_gate(opened.as_ref().err());
        let mut file = opened?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        // What was erased since would shift the count: the asker would silently miss footage or have some twice.
        let last = file.last_frames_of(skip).map(|(segment, record)| (segment.to_string(), record));
        if last != after {
            return Err(Refusal::new("range_changed", "the footage of the span is not what it was"));
        }
        file.seek(skip);
        Ok(Self { pass, stream, range, file: Some(Box::new(file)), told: None })
    }

    /// What the asker must know of the span.
    pub(super) fn info(&self) -> Control {
        let pieces = self.file.as_ref().map_or(0, |file| u64::try_from(file.len()).unwrap_or(u64::MAX));
        Control::StoredInfo { pieces }
    }

    /// Takes a fresh capability.
    pub(super) fn renew(&mut self, capability: &str) -> Result<(), Refusal> {
        let (stream, range) = (self.stream, self.range);
        self.pass.renew(capability, |held| held.covers_range(stream, range))
    }

    /// Sends the next pieces, and how it goes on. Looks at the capability before every piece.
    pub(super) async fn send(
        &mut self,
        sender: &mut link::codec::Sender<UnixStream>,
        pieces: u32,
        bytes: u64,
    ) -> Result<(), LinkError> {
        let bytes = bytes.min(STORED_BYTES_MAX);
        let mut sent = 0_u64;
        for _ in 0..pieces.clamp(1, STORED_PIECES_MAX) {
            let piece = match self.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => return sender.send(Control::StoredEnd).await,
                Err(refusal) => return sender.send(refusal.control()).await,
            };
            let payload = if let StoredPiece::Frames(frames) = &piece { frames.fragment.payload_len() } else { 0 };
            self.push(sender, piece);
            // A slow asker holds up only itself, and only as long as its capability lives.
            let life = self.pass.left().saturating_add(std::time::Duration::from_millis(500));
            let revoked = self.pass.revoked.clone();
            tokio::select! {
                flushed = tokio::time::timeout(life, sender.flush()) => flushed.map_err(|_| LinkError::Closed)??,
                // Half a message may have left: the connection is of no use any more.
                () = revoked.cancelled() => return Err(LinkError::Closed),
            }
            sent = sent.saturating_add(payload);
            if sent >= bytes {
                break;
            }
        }
        sender.send(Control::StoredMore).await
    }

    async fn next(&mut self) -> Result<Option<StoredPiece>, Refusal> {
        self.pass.check()?;
        let broke = || Refusal::new("unavailable", "the span broke");
        let mut file = self.file.take().ok_or_else(broke)?;
        let read = tokio::task::spawn_blocking(move || {
            let segment = file.segment();
            let piece = file.piece();
            (file, segment, piece)
        });
        let (file, segment, piece) = read.await.map_err(|_| broke())?;
        self.file = Some(file);
        piece.map_err(|error| {
            // Which segment it was: the asker words it for a person.
            let detail = segment.map_or_else(|| error.to_string(), |segment| segment.to_string());
            Refusal::new(error.code(), &detail)
        })
    }

    fn push(&mut self, sender: &mut link::codec::Sender<UnixStream>, piece: StoredPiece) {
        match piece {
            StoredPiece::Segment { segment, from, to, digest } => {
                let segment = StoredSegment {
                    segment: segment.to_string(),
                    from_us: from.micros,
                    to_us: to.micros,
                    digest: digest.map(hex::encode),
                };
                sender.push(&Control::StoredSegment(segment).into());
            }
            StoredPiece::Gap(gap) => sender.push(&Control::StoredGap(gap).into()),
            StoredPiece::Frames(frames) => {
                if self.told != Some(frames.sets.id) {
                    let (stream, sets) = (self.stream.to_string(), frames.sets.as_ref().into());
                    sender.push(&Control::ParameterSets { stream, sets }.into());
                    self.told = Some(frames.sets.id);
                }
                let fragment = &frames.fragment;
                let head = StoredFrames {
                    segment: frames.segment.to_string(),
                    record: frames.record,
                    same_clock: frames.same_clock,
                    units: u32::try_from(fragment.units().len()).unwrap_or(u32::MAX),
                    last_duration: fragment.samples().last().map_or(0, |sample| sample.duration),
                };
                sender.push(&Control::StoredFrames(head).into());
                for unit in fragment.units() {
                    sender.push(&Message::Unit(self.stream, unit.clone()));
                }
            }
        }
    }
}
