//! One open range on one connection.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use link::message::RANGE_PARTS_MAX;
use link::{Control, LinkError, Message, RangeAsk, Role};
use tokio::net::UnixStream;
use vms_core::{StreamId, TimeRange, WallTime};

use super::admit::{Pass, Refusal};
use super::{Shared, lock};
use crate::playback::{self, PIECE_MAX, RangeError, RangeFile};

/// What a range is opened as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// All of its bytes.
    Whole,
    /// Its key frames, one by one.
    Preview,
}

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
        form: Form,
    ) -> Result<Self, Refusal> {
        let stream: StreamId = stream.parse().map_err(|_| Refusal::new("bad_request", "not a stream id"))?;
        let range = TimeRange::new(WallTime::from_micros(from_us), WallTime::from_micros(to_us))
            .ok_or_else(|| Refusal::new("bad_request", "the span ends before it begins"))?;
        let pass = Pass::open(shared, role, capability, |held| held.covers_range(stream, range))?;
        if form == Form::Preview && lock(&shared.board).room.spares {
            return Err(Refusal::new("room_is_short", "the disk has less than two hours left: no previews are made"));
        }
        let source = pass.source().await;
        let opened = match form {
            Form::Whole => playback::open(source, &shared.index, &shared.catalogue, stream, range).await,
            Form::Preview => playback::open_preview(source, &shared.index, &shared.catalogue, stream, range).await,
        };
        pass.note_gate(opened.as_ref().err());
        let file = opened?;
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
                start_offset_us: file.start_offset_us,
                clock: file.clock.clone(),
            },
            None => broke().control(),
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
            let piece = match self.reading(move |file| file.piece(at, end)).await {
                Ok(piece) => piece,
                Err(refusal) => return sender.send(refusal.control()).await,
            };
            if piece.is_empty() {
                break;
            }
            at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            self.hand_out(sender, piece).await?;
        }
        sender.send(Control::Done).await
    }

    /// Answers what is asked of an open range beside its bytes.
    pub(super) async fn answer(
        &mut self,
        sender: &mut link::codec::Sender<UnixStream>,
        ask: &RangeAsk,
    ) -> Result<(), LinkError> {
        if let Err(refusal) = self.pass.check() {
            return sender.send(refusal.control()).await;
        }
        match ask {
            RangeAsk::Parts { after } => sender.send(self.page(*after)).await,
            RangeAsk::ReadPart { number } => self.send_picture(sender, *number).await,
            RangeAsk::OpenPreview { .. } | RangeAsk::Page { .. } => {
                sender.send(Refusal::new("bad_request", "nothing of an open range").control()).await
            }
        }
    }

    fn page(&self, after: u32) -> Control {
        let Some(file) = &self.file else { return broke().control() };
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        let parts = file.rows(skip, usize::try_from(RANGE_PARTS_MAX).unwrap_or(usize::MAX));
        let inits =
            if after == 0 { file.inits().iter().map(|init| STANDARD.encode(init)).collect() } else { Vec::new() };
        Control::Range(RangeAsk::Page { parts, total: u32::try_from(file.len()).unwrap_or(u32::MAX), inits })
    }

    async fn send_picture(
        &mut self,
        sender: &mut link::codec::Sender<UnixStream>,
        number: u32,
    ) -> Result<(), LinkError> {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let picture = match self.reading(move |file| file.picture(number)).await {
            Ok(Some(picture)) => picture,
            Ok(None) => return sender.send(Refusal::new("bad_request", "no picture of this number").control()).await,
            Err(refusal) => return sender.send(refusal.control()).await,
        };
        let mut rest = picture;
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(usize::try_from(PIECE_MAX).unwrap_or(usize::MAX)));
            self.hand_out(sender, piece).await?;
        }
        sender.send(Control::Done).await
    }

    /// Reads the file beside the loop of the connection.
    async fn reading<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&mut RangeFile) -> Result<T, RangeError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let mut file = self.file.take().ok_or_else(broke)?;
        let work = tokio::task::spawn_blocking(move || {
            let outcome = read(&mut file);
            (file, outcome)
        });
        let (file, outcome) = work.await.map_err(|_| broke())?;
        self.file = Some(file);
        Ok(outcome?)
    }

    /// Sends one run of bytes while the pass holds.
    async fn hand_out(&self, sender: &mut link::codec::Sender<UnixStream>, piece: Bytes) -> Result<(), LinkError> {
        let life = self.pass.left().saturating_add(std::time::Duration::from_millis(500));
        let revoked = self.pass.revoked.clone();
        tokio::select! {
            sent = tokio::time::timeout(life, sender.send(Message::Bytes(piece))) => sent.map_err(|_| LinkError::Closed)?,
            // Half a message may have left: the connection is of no use any more.
            () = revoked.cancelled() => Err(LinkError::Closed),
        }
    }
}

fn broke() -> Refusal {
    Refusal::new("unavailable", "the range broke")
}
