//! Framing over any byte stream.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use media::AccessUnit;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use vms_core::StreamId;

use crate::message::{Control, Role};
use crate::{FRAME_MAX, VERSION, unit};

const KIND_CONTROL: u8 = 0;
const KIND_UNIT: u8 = 1;
const KIND_BYTES: u8 = 2;
const KIND_FRAGMENT: u8 = 3;

/// Header of a live fragment, bytes: flags u8, reserved u8, init u16, reserved u32, sequence u64, capture µs i64, send µs i64.
pub const FRAGMENT_HEADER_LEN: usize = 32;

/// Room for one read: several access units arrive together, and one system call shall take them all.
const READ_LEN: usize = 128 * 1024;

/// A longer frame is handed out where it was read; a shorter one is copied out, so that the buffer stays and no access unit
/// keeps its neighbours in memory.
const COPY_MAX: usize = READ_LEN;

/// A payload this long is written from where it lies; a shorter one is cheaper to copy than to name.
const LEND_MIN: usize = 1_024;

/// Room for headers and short messages of one flush.
const ROOM_LEN: usize = 64 * 1024;

/// Pieces in one write: Linux takes 1,024 (`IOV_MAX`), and a write takes what the socket holds anyway.
const PIECES_MAX: usize = 128;

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket failed.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
    /// The peer closed.
    #[error("the peer closed the connection")]
    Closed,
    /// A frame over [`FRAME_MAX`], of an unknown kind, or that does not parse.
    #[error("the peer sent a malformed frame")]
    Malformed,
    /// The peer speaks another version.
    #[error("the peer speaks version {theirs} of the protocol, we speak {VERSION}")]
    Version {
        /// Their version.
        theirs: u16,
    },
    /// The peer is another role or another user than allowed.
    #[error("the peer is not allowed here")]
    NotAllowed,
}

/// One frame's worth of live video for a player: `moof` and `mdat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFragment {
    /// A player can start here.
    pub is_key: bool,
    /// The timeline breaks before this fragment.
    pub discontinuity: bool,
    /// Which init segment it needs.
    pub init: u16,
    /// Counts per stream.
    pub seq: u64,
    /// Wall time of arrival of the picture, µs.
    pub capture_us: i64,
    /// Wall time when the recorder handed it out, µs.
    pub send_us: i64,
    /// The boxes.
    pub boxes: Bytes,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Control.
    Control(Box<Control>),
    /// One access unit of one stream.
    Unit(StreamId, AccessUnit),
    /// A run of bytes.
    Bytes(Bytes),
    /// Live video for a player.
    Fragment(LiveFragment),
}

impl From<Control> for Message {
    fn from(control: Control) -> Self {
        Self::Control(Box::new(control))
    }
}

/// Appends one frame.
pub fn encode(message: &Message, out: &mut BytesMut) {
    let start = out.len();
    out.put_u32(0);
    match message {
        Message::Control(control) => {
            out.put_u8(KIND_CONTROL);
            let json = serde_json::to_vec(control).unwrap_or_default();
            out.put_slice(&json);
        }
        Message::Unit(stream, access_unit) => {
            out.put_u8(KIND_UNIT);
            unit::encode(*stream, access_unit, out);
        }
        Message::Bytes(run) => {
            out.put_u8(KIND_BYTES);
            out.put_slice(run);
        }
        Message::Fragment(fragment) => {
            out.put_u8(KIND_FRAGMENT);
            put_fragment(fragment, out);
        }
    }
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(slot) = out.get_mut(start..start + 4) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends the header and the boxes of a live fragment: also the form of a WebSocket message to the browser.
pub fn put_fragment(fragment: &LiveFragment, out: &mut BytesMut) {
    out.reserve(FRAGMENT_HEADER_LEN + fragment.boxes.len());
    out.put_u8(u8::from(fragment.is_key) | (u8::from(fragment.discontinuity) << 1));
    out.put_u8(1);
    out.put_u16(fragment.init);
    out.put_u32(0);
    out.put_u64(fragment.seq);
    out.put_i64(fragment.capture_us);
    out.put_i64(fragment.send_us);
    out.put_slice(&fragment.boxes);
}

fn take_fragment(mut body: Bytes) -> Option<LiveFragment> {
    if body.len() < FRAGMENT_HEADER_LEN {
        return None;
    }
    let flags = body.get_u8();
    body.advance(1);
    let init = body.get_u16();
    body.advance(4);
    let (seq, capture_us, send_us) = (body.get_u64(), body.get_i64(), body.get_i64());
    let (is_key, discontinuity) = (flags & 1 != 0, flags & 2 != 0);
    Some(LiveFragment { is_key, discontinuity, init, seq, capture_us, send_us, boxes: body })
}

/// Reads the body of one frame (without its length).
///
/// # Errors
/// [`LinkError::Malformed`].
pub fn decode(mut body: Bytes) -> Result<Message, LinkError> {
    if body.is_empty() {
        return Err(LinkError::Malformed);
    }
    match body.get_u8() {
        KIND_CONTROL => serde_json::from_slice(&body).map(Message::Control).map_err(|_| LinkError::Malformed),
        KIND_UNIT => unit::decode(body).map(|(stream, u)| Message::Unit(stream, u)).ok_or(LinkError::Malformed),
        KIND_BYTES => Ok(Message::Bytes(body)),
        KIND_FRAGMENT => take_fragment(body).map(Message::Fragment).ok_or(LinkError::Malformed),
        _ => Err(LinkError::Malformed),
    }
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_frame(data: &[u8]) {
    drop(decode(Bytes::copy_from_slice(data)));
}

/// The reading half of a connection.
#[derive(Debug)]
pub struct Receiver<S> {
    half: ReadHalf<S>,
    buffer: BytesMut,
}

/// The writing half of a connection.
#[derive(Debug)]
pub struct Sender<S> {
    half: WriteHalf<S>,
    /// What comes after the last piece.
    buffer: BytesMut,
    /// Pieces that wait, headers and payloads by turns.
    pieces: VecDeque<Bytes>,
    /// Bytes in `pieces`.
    waiting: usize,
}

impl<S: AsyncRead> Receiver<S> {
    /// The next message. Cancel safe: a message half read stays in the buffer.
    ///
    /// # Errors
    /// [`LinkError::Closed`] at an orderly end; see [`LinkError`].
    pub async fn recv(&mut self) -> Result<Message, LinkError> {
        loop {
            if let Some(body) = self.take_frame()? {
                return decode(body);
            }
            if self.buffer.capacity() - self.buffer.len() < READ_LEN / 2 {
                self.buffer.reserve(READ_LEN);
            }
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return Err(if self.buffer.is_empty() { LinkError::Closed } else { LinkError::Malformed });
            }
        }
    }

    /// A message that has arrived already and needs no reading: what came with the one before.
    ///
    /// # Errors
    /// [`LinkError::Malformed`].
    pub fn recv_ready(&mut self) -> Result<Option<Message>, LinkError> {
        self.take_frame()?.map(decode).transpose()
    }

    /// The next message, which must be a control message.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn recv_control(&mut self) -> Result<Control, LinkError> {
        match self.recv().await? {
            Message::Control(control) => Ok(*control),
            Message::Unit(..) | Message::Bytes(_) | Message::Fragment(_) => Err(LinkError::Malformed),
        }
    }

    fn take_frame(&mut self) -> Result<Option<Bytes>, LinkError> {
        let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*head)).map_err(|_| LinkError::Malformed)?;
        if length == 0 || length > FRAME_MAX {
            return Err(LinkError::Malformed);
        }
        if self.buffer.len() < 4 + length {
            self.buffer.reserve(4 + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(4);
        if length > COPY_MAX {
            return Ok(Some(self.buffer.split_to(length).freeze()));
        }
        let body = self.buffer.get(..length).map(Bytes::copy_from_slice);
        self.buffer.advance(length);
        Ok(body)
    }
}

impl<S: AsyncWrite> Sender<S> {
    /// Writes one message and flushes it. Not cancel safe: a caller that gives up must drop the connection.
    ///
    /// # Errors
    /// [`LinkError::Io`].
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), LinkError> {
        self.push(&message.into());
        self.flush().await
    }

    /// Appends a message without sending: many go out in one `flush`. The payload of an access unit is not copied.
    pub fn push(&mut self, message: &Message) {
        if let Message::Unit(stream, access_unit) = message
            && access_unit.payload.len() >= LEND_MIN
        {
            let length = 1 + unit::HEADER_LEN + access_unit.payload.len();
            self.buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
            self.buffer.put_u8(KIND_UNIT);
            unit::encode_head(*stream, access_unit, &mut self.buffer);
            let head = self.buffer.split().freeze();
            self.waiting = self.waiting.saturating_add(head.len()).saturating_add(access_unit.payload.len());
            self.pieces.push_back(head);
            self.pieces.push_back(access_unit.payload.clone());
        } else {
            encode(message, &mut self.buffer);
        }
    }

    /// Bytes waiting for [`Sender::flush`].
    pub fn pending(&self) -> usize {
        self.waiting.saturating_add(self.buffer.len())
    }

    /// Writes what was pushed.
    ///
    /// # Errors
    /// [`LinkError::Io`].
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        if self.pieces.is_empty() {
            self.half.write_all_buf(&mut self.buffer).await?;
        } else {
            if !self.buffer.is_empty() {
                let rest = self.buffer.split().freeze();
                self.waiting = self.waiting.saturating_add(rest.len());
                self.pieces.push_back(rest);
            }
            self.write_pieces().await?;
        }
        // Everything lent is given back: the room is taken into use again, not made anew.
        self.buffer.reserve(ROOM_LEN);
        self.half.flush().await?;
        Ok(())
    }

    async fn write_pieces(&mut self) -> Result<(), LinkError> {
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let mut named = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(piece);
                named += 1;
            }
            let mut written = self.half.write_vectored(slices.get(..named).unwrap_or_default()).await?;
            if written == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
            }
            self.waiting = self.waiting.saturating_sub(written);
            while let Some(piece) = self.pieces.front_mut() {
                if piece.len() > written {
                    piece.advance(written);
                    break;
                }
                written -= piece.len();
                self.pieces.pop_front();
            }
        }
        Ok(())
    }
}

/// Both halves, after the greeting.
#[derive(Debug)]
pub struct Connection<S> {
    /// Read from the peer.
    pub receiver: Receiver<S>,
    /// Write to the peer.
    pub sender: Sender<S>,
    /// What the peer said it is.
    pub peer: Role,
    /// Which instance of the role.
    pub instance: u32,
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    /// Greets over `stream` and waits for the peer's greeting.
    ///
    /// # Errors
    /// [`LinkError::Version`], or whatever broke.
    pub async fn greet(stream: S, own: Role, instance: u32) -> Result<Self, LinkError> {
        let (read, write) = tokio::io::split(stream);
        let mut receiver = Receiver { half: read, buffer: BytesMut::with_capacity(64 * 1024) };
        let buffer = BytesMut::with_capacity(ROOM_LEN);
        let mut sender = Sender { half: write, buffer, pieces: VecDeque::new(), waiting: 0 };
        // Both at once: two peers that only write at first would wait for each other over a small buffer.
        let hello = Control::Hello { version: VERSION, role: own, instance };
        let ((), theirs) = tokio::try_join!(sender.send(hello), receiver.recv_control())?;
        let Control::Hello { version, role, instance } = theirs else {
            return Err(LinkError::Malformed);
        };
        if version != VERSION {
            return Err(LinkError::Version { theirs: version });
        }
        Ok(Self { receiver, sender, peer: role, instance })
    }

    /// Sends a request and waits for its one control answer.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn ask(&mut self, request: Control) -> Result<Control, LinkError> {
        self.sender.send(request).await?;
        self.receiver.recv_control().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_travel_both_ways_in_pieces() {
        let (ours, theirs) = tokio::io::duplex(7);
        let far = tokio::spawn(async move {
            let mut there = Connection::greet(theirs, Role::Recorder, 0).await.unwrap();
            let fragment = LiveFragment {
                is_key: true,
                discontinuity: false,
                init: 1,
                seq: 2,
                capture_us: 3,
                send_us: 4,
                boxes: Bytes::from_static(b"moofmdat"),
            };
            assert_eq!(there.receiver.recv_control().await.unwrap(), Control::Health);
            there.sender.send(Message::Fragment(fragment.clone())).await.unwrap();
            there.sender.send(Message::Bytes(Bytes::from_static(b"abc"))).await.unwrap();
            fragment
        });
        let mut here = Connection::greet(ours, Role::Serve, 3).await.unwrap();
        assert_eq!(here.peer, Role::Recorder);
        here.sender.send(Control::Health).await.unwrap();
        let got = (here.receiver.recv().await.unwrap(), here.receiver.recv().await.unwrap());
        let fragment = far.await.unwrap();
        assert_eq!(got, (Message::Fragment(fragment), Message::Bytes(Bytes::from_static(b"abc"))));
        assert!(matches!(here.receiver.recv().await, Err(LinkError::Closed)));
    }

    fn unit(seq: u64, length: usize) -> Message {
        let byte = u8::try_from(seq & 0xff).unwrap();
        let unit = AccessUnit {
            seq,
            epoch: 1,
            payload: Bytes::from(vec![byte; length]),
            is_key: seq == 0,
            pts: vms_core::MediaTime::from_ticks(3_600),
            dts: vms_core::MediaTime::from_ticks(3_600),
            clocks: media::Clocks::default(),
            lost_before: 0,
            param_set: media::ParamSetId(7),
        };
        Message::Unit(StreamId::from_bytes([3; 16]), unit)
    }

    #[tokio::test]
    async fn lent_and_copied_messages_keep_their_order_over_any_socket() {
        // A pipe that takes seven bytes at a time, and a socket that takes many pieces in one write.
        let (near, far) = tokio::net::UnixStream::pair().unwrap();
        over(near, far).await;
        let (near, far) = tokio::io::duplex(7);
        over(near, far).await;
    }

    async fn over<S: AsyncRead + AsyncWrite + Send + 'static>(near: S, far: S) {
        let lengths = [0, 1, LEND_MIN - 1, LEND_MIN, LEND_MIN + 1, 40_000, 3, 300_000, 5_000];
        // More units than one write has pieces for.
        let messages = move || {
            let lent = (0..200).map(|seq| unit(seq, 2_000));
            let mixed = lengths.into_iter().zip(200..).map(|(length, seq)| unit(seq, length));
            let words = [Control::Health.into(), Message::Bytes(Bytes::from(vec![9; 5_000]))];
            lent.chain(mixed).chain(words).chain([unit(999, 4_096)]).collect::<Vec<Message>>()
        };
        let there = tokio::spawn(async move {
            let mut there = Connection::greet(far, Role::Recorder, 0).await.unwrap();
            let mut got = Vec::new();
            while let Ok(message) = there.receiver.recv().await {
                got.push(message);
                while let Some(message) = there.receiver.recv_ready().unwrap() {
                    got.push(message);
                }
            }
            got
        });
        let mut here = Connection::greet(near, Role::Ingest, 0).await.unwrap();
        let sent = messages();
        let (first, second) = sent.split_at(150);
        for part in [first, second] {
            let bytes: usize = part
                .iter()
                .map(|message| {
                    let mut out = BytesMut::new();
                    encode(message, &mut out);
                    out.len()
                })
                .sum();
            part.iter().for_each(|message| here.sender.push(message));
            assert_eq!(here.sender.pending(), bytes);
            here.sender.flush().await.unwrap();
            assert_eq!(here.sender.pending(), 0);
        }
        drop(here);
        assert_eq!(there.await.unwrap(), sent);
    }

    #[test]
    fn rubbish_is_refused() {
        for body in [&b""[..], b"\x00{", b"\x01short", b"\x03short", b"\x09", b"\x00{\"t\":\"no_such\"}"] {
            assert!(matches!(decode(Bytes::copy_from_slice(body)), Err(LinkError::Malformed)));
            fuzz_frame(body);
        }
    }
}
