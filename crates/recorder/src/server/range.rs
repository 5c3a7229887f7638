//! One open range on one connection.

use std::sync::Arc;

use link::{Control, LinkError, Message, Role};
use tokio::net::UnixStream;
use vms_core::{StreamId, TimeRange, WallTime};

use super::Shared;
use super::admit::{Pass, Refusal};
use crate::playback::{self, RangeError, RangeFile};

/// A range and the pass that opened it.
pub(super) struct OpenRange {
    pass: Pass,
    stream: StreamId,
    range: TimeRange,
    /// Absent only while a piece is being read.
    file: Option<Box<RangeFile>>,
}

impl From<RangeError> for Refusal {
    fn from(error: RangeError) -> Self {
        Self::new(error.code(), &error.to_string())
    }
}

impl OpenRange {
    /// Checks the capability, then builds the virtual file.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        role: Role,
        capability: &str,
        stream: &str,
        (from_us, to_us): (i64, i64),
    ) -> Result<Self, Refusal> {
        let stream: StreamId = stream.parse().map_err(|_| Refusal::new("bad_request", "not a stream id"))?;
        let range = TimeRange::new(WallTime::from_micros(from_us), WallTime::from_micros(to_us))
            .ok_or_else(|| Refusal::new("bad_request", "the span ends before it begins"))?;
        let pass = Pass::open(shared, role, capability, |held| held.covers_range(stream, range))?;
        let source = playback::Source { root: shared.config.media(), vault: Arc::clone(&shared.vault) };
        let file = playback::open(source, &shared.index, &shared.catalogue, stream, range).await?;
        Ok(Self { pass, stream, range, file: Some(Box::new(file)) })
    }

    /// What the asker must know of the virtual file.
    pub(super) fn info(&self) -> Control {
        match &self.file {
            Some(file) => Control::RangeInfo {
                size: file.size,
                etag: file.etag.clone(),
                mime: file.mime.clone(),
                starts_us: file.starts.micros,
                ends_us: file.ends.micros,
                gaps: file.gaps.clone(),
            },
            None => Refusal::new("unavailable", "the range broke").control(),
        }
    }

    /// Takes a fresh capability.
    pub(super) fn renew(&mut self, capability: &str) -> Result<(), Refusal> {
        let (stream, range) = (self.stream, self.range);
        self.pass.renew(capability, |held| held.covers_range(stream, range))
    }

    /// Sends bytes `[start, end)` and `Done`, or `Refused` where it has to stop. Looks at the capability before every piece.
    pub(super) async fn send(
        &mut self,
        sender: &mut link::codec::Sender<UnixStream>,
        start: u64,
        end: u64,
    ) -> Result<(), LinkError> {
        let size = self.file.as_ref().map_or(0, |file| file.size);
        let (mut at, end) = (start, end.min(size));
        if start > end {
            let refusal = Refusal::new("bad_request", "the bytes end before they begin");
            return sender.send(refusal.control()).await;
        }
        while at < end {
            if let Err(refusal) = self.pass.check() {
                return sender.send(refusal.control()).await;
            }
            let Some(mut file) = self.file.take() else {
                return sender.send(Refusal::new("unavailable", "the range broke").control()).await;
            };
            let read = tokio::task::spawn_blocking(move || {
                let piece = file.piece(at, end);
                (file, piece)
            });
            let Ok((file, piece)) = read.await else {
                return sender.send(Refusal::new("unavailable", "the range broke").control()).await;
            };
            self.file = Some(file);
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return sender.send(Refusal::from(error).control()).await,
            };
            if piece.is_empty() {
                break;
            }
            at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            let life = self.pass.left().saturating_add(std::time::Duration::from_millis(500));
            let revoked = self.pass.revoked.clone();
            tokio::select! {
                sent = tokio::time::timeout(life, sender.send(Message::Bytes(piece))) => {
                    sent.map_err(|_| LinkError::Closed)??;
                }
                // Half a message may have left: the connection is of no use any more.
                () = revoked.cancelled() => return Err(LinkError::Closed),
            }
        }
        sender.send(Control::Done).await
    }
}
