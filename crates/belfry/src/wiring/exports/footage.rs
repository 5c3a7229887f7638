//! The recorder's stored footage as `evidence` wants it: pulled in answers of bounded size over a connection of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evidence::{Digest, Footage, Frames, Gap, Mark, Piece, SegmentFact, SourceError, Utc};
use link::message::stored::{STORED_BYTES_MAX, StoredAssembler, StoredPiece, StoredStep};
use link::{Connection, Control, LinkError, Role};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use vms_core::{StreamId, TimeRange};

/// A recorder on the same machine that says nothing in this time is taken for dead.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Pieces of one answer.
const PIECES: u32 = 256;

/// An open connection.
struct Open {
    connection: Connection<UnixStream>,
    machine: StoredAssembler,
    /// Which camera.
    camera: usize,
    /// An answer is on its way.
    is_asked: bool,
    /// The newest capability that the recorder has.
    told: String,
}

/// The footage of one export. Blocking: lives on the export's own thread.
pub(super) struct LinkFootage<'a> {
    runtime: &'a tokio::runtime::Handle,
    socket: PathBuf,
    /// Of each camera, in order.
    streams: Vec<StreamId>,
    range: TimeRange,
    /// The newest one for the camera of a number.
    capability: &'a dyn Fn(usize) -> String,
    stop: &'a CancellationToken,
    open: Option<Open>,
}

fn out_of_turn() -> SourceError {
    SourceError::Unavailable("the recorder answered out of turn".to_owned())
}

fn away(error: impl std::fmt::Display) -> SourceError {
    SourceError::Unavailable(error.to_string())
}

/// The recorder's word for why it stops; `detail` names the segment where there is one.
fn refused(code: String, segment: String) -> SourceError {
    match code.as_str() {
        "erased" => SourceError::Erased { segment },
        "damaged" => SourceError::Damaged { segment },
        "range_changed" => SourceError::Changed,
        _ => SourceError::Unavailable(code),
    }
}

impl<'a> LinkFootage<'a> {
    pub(super) fn new(
        runtime: &'a tokio::runtime::Handle,
        socket: &Path,
        (streams, range): (Vec<StreamId>, TimeRange),
        capability: &'a dyn Fn(usize) -> String,
        stop: &'a CancellationToken,
    ) -> Self {
        Self { runtime, socket: socket.to_owned(), streams, range, capability, stop, open: None }
    }

    /// Runs `work` on the runtime until it ends, is told to stop, or the recorder is silent for too long.
    fn wait<T>(&self, work: impl Future<Output = Result<T, LinkError>>) -> Result<T, SourceError> {
        self.runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => Err(SourceError::Unavailable("told to stop".to_owned())),
                outcome = tokio::time::timeout(ANSWER_MAX, work) => match outcome {
                    Ok(outcome) => outcome.map_err(away),
                    Err(_) => Err(SourceError::Unavailable("no answer in time".to_owned())),
                },
            }
        })
    }

    fn begin(&self, camera: usize, mark: Option<&Mark>) -> Result<Open, SourceError> {
        let stream = *self.streams.get(camera).ok_or_else(|| away("no such camera in the order"))?;
        let told = (self.capability)(camera);
        let asked = Control::OpenStored {
            capability: told.clone(),
            stream: stream.to_string(),
            from_us: self.range.from.micros,
            to_us: self.range.to.micros,
            skip: mark.map_or(0, |mark| mark.pieces),
            after: mark.and_then(|mark| mark.last.clone()),
        };
        let (connection, answer) = self.wait(async {
            let mut connection = link::connect(&self.socket, Role::Serve, 0, Role::Recorder).await?;
            let answer = connection.ask(asked).await?;
            Ok((connection, answer))
        })?;
        if let Control::Refused { code, detail } = answer {
            return Err(refused(code, detail));
        }
        if !matches!(answer, Control::StoredInfo { .. }) {
            return Err(out_of_turn());
        }
        Ok(Open { connection, machine: StoredAssembler::new(stream), camera, is_asked: false, told })
    }

    /// Asks for the next answer; hands over a fresh capability first, where there is one.
    fn ask(&self, open: &mut Open) -> Result<(), SourceError> {
        let capability = (self.capability)(open.camera);
        if capability != open.told {
            let renew = Control::Renew { capability: capability.clone() };
            let answer = self.wait(open.connection.ask(renew))?;
            if let Control::Refused { code, detail } = answer {
                return Err(refused(code, detail));
            }
            if answer != Control::Done {
                return Err(out_of_turn());
            }
            open.told = capability;
        }
        let wanted = Control::ReadStored { pieces: PIECES, bytes: STORED_BYTES_MAX };
        self.wait(open.connection.sender.send(wanted))?;
        open.is_asked = true;
        Ok(())
    }

    fn pull(&self, open: &mut Open) -> Result<Option<Piece>, SourceError> {
        loop {
            if !open.is_asked {
                self.ask(open)?;
            }
            let message = self.wait(open.connection.receiver.recv())?;
            match open.machine.take(message).map_err(away)? {
                StoredStep::Wait => {}
                StoredStep::Piece(piece) => return Ok(Some(converted(piece))),
                StoredStep::More => open.is_asked = false,
                StoredStep::End => return Ok(None),
                StoredStep::Refused(code, detail) => return Err(refused(code, detail)),
            }
        }
    }
}

fn converted(piece: StoredPiece) -> Piece {
    match piece {
        StoredPiece::Segment(segment) => Piece::Segment(SegmentFact {
            id: segment.segment,
            from: Utc::from_micros(segment.from_us),
            to: Utc::from_micros(segment.to_us),
            // Of the closing record; which function made it goes with the version of the segment's file.
            digests: segment
                .digest
                .map(|value| Digest { algorithm: "belfry-segment".to_owned(), value })
                .into_iter()
                .collect(),
        }),
        StoredPiece::Frames(head, sets, fragment) => Piece::Frames(Box::new(Frames {
            segment: head.segment,
            record: head.record,
            same_clock: head.same_clock,
            sets: Arc::clone(&sets),
            fragment: *fragment,
        })),
        StoredPiece::Gap(gap) => Piece::Gap(Gap {
            from: Utc::from_micros(gap.from_us),
            to: Utc::from_micros(gap.to_us.unwrap_or(gap.from_us)),
            cause: crate::wiring::convert::cause(gap.cause).as_str().to_owned(),
        }),
    }
}

impl Footage for LinkFootage<'_> {
    fn start(&mut self, camera: usize, mark: Option<&Mark>) -> Result<(), SourceError> {
        self.open = None;
        self.open = Some(self.begin(camera, mark)?);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Piece>, SourceError> {
        let mut open = self.open.take().ok_or_else(|| away("the footage is not open"))?;
        let outcome = self.pull(&mut open);
        // After a failure the connection is of no use: whoever goes on starts again at a mark.
        if outcome.is_ok() {
            self.open = Some(open);
        }
        outcome
    }
}
