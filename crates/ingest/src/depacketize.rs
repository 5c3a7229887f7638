//! RTP payloads to access units, for H.264 (RFC 6184) and H.265 (RFC 7798), without IO.
//!
//! `retina` and GStreamer have depacketisers of their own, but both rework what they get: parameter sets are stripped,
//! rewritten or reduced to one, and a changed picture parameter set under another id is lost. The unit of truth is the NAL
//! bytes as received, so this one copies each NAL unit behind its length, and nothing else. Both transports use it.
//!
//! Belongs here: fragmentation, aggregation, access unit boundaries, loss, limits. Does not belong here: RTP headers,
//! reordering, clocks, what is inside a NAL unit.

use bytes::{BufMut, Bytes, BytesMut};
use vms_core::Codec;

/// Longest access unit, bytes: a 4K key frame at the highest level is far below; `link` takes 16 MiB.
pub const UNIT_LEN_MAX: usize = 8 * 1024 * 1024;
/// Most NAL units in one access unit. Level 6.2 of both codecs allows 600 slices.
pub const UNIT_NALS_MAX: u32 = 1024;

/// Room for collecting that a stream keeps from one access unit to the next, bytes; a longer one takes its room along.
const ROOM_MAX: usize = 512 * 1024;

/// Payload of one RTP packet, in order of sequence numbers.
#[derive(Clone, Copy, Debug)]
pub struct RtpPayload<'a> {
    /// Without header and padding.
    pub bytes: &'a [u8],
    /// Unwrapped RTP timestamp, 90 kHz.
    pub ticks: i64,
    /// Marker bit: last packet of the access unit.
    pub is_last: bool,
    /// Packets missing immediately before this one.
    pub lost_before: u32,
}

/// One access unit, bytes untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// NAL units behind 4-byte lengths.
    pub payload: Bytes,
    /// Unwrapped RTP timestamp, 90 kHz.
    pub ticks: i64,
    /// Packets known lost before this access unit (those of dropped units included).
    pub lost_before: u32,
}

/// Why a payload is of no use. The caller ends the session: a camera that breaks the payload format once does it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Shorter than its own headers say.
    #[error("a payload is shorter than it says")]
    Short,
    /// A kind of packet that the payload format forbids here.
    #[error("a payload of a kind that does not belong here")]
    Kind,
    /// Interleaved packetisation, which no camera we know uses and we do not carry.
    #[error("interleaved packetisation is not carried")]
    Interleaved,
    /// More bytes or NAL units than one access unit can have.
    #[error("an access unit grew over its limit")]
    TooLong,
}

/// Collects the payloads of one stream.
#[derive(Debug)]
pub struct Depacketizer {
    codec: Codec,
    /// The access unit being collected, lengths in place.
    unit: BytesMut,
    nals: u32,
    /// Where the length of the NAL unit being collected from fragments stands in `unit`.
    open: Option<usize>,
    has_picture: bool,
    ticks: i64,
    lost: u32,
    /// Packets are missing inside the present access unit: the rest of it is dropped.
    is_damaged: bool,
    ready: Option<Frame>,
}

impl Depacketizer {
    /// An empty one.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            unit: BytesMut::new(),
            nals: 0,
            open: None,
            has_picture: false,
            ticks: 0,
            lost: 0,
            is_damaged: false,
            ready: None,
        }
    }

    /// Takes one payload and gives the access unit that it finishes. At most one: a payload that both ends the one before
    /// (by its timestamp) and is a whole access unit itself leaves the second for [`Depacketizer::pull`].
    ///
    /// # Errors
    /// See [`PayloadError`].
    pub fn push(&mut self, packet: RtpPayload<'_>) -> Result<Option<Frame>, PayloadError> {
        let mut done = None;
        if packet.ticks != self.ticks {
            if self.has_picture && self.open.is_none() && packet.lost_before == 0 && !self.is_damaged {
                done = Some(self.finish());
            } else if self.has_picture || self.open.is_some() || self.is_damaged {
                self.drop_unit();
            }
            // Without a picture so far: parameter sets that a camera sent under another timestamp; they stay.
            self.is_damaged = false;
            self.ticks = packet.ticks;
        }
        if packet.lost_before > 0 {
            let was_inside = !self.unit.is_empty();
            self.drop_unit();
            self.lost = self.lost.saturating_add(packet.lost_before);
            self.is_damaged = was_inside || !self.starts_nal(packet.bytes);
        }
        if !self.is_damaged {
            self.take(packet.bytes)?;
        }
        if packet.is_last {
            if self.is_damaged {
                self.drop_unit();
                // What follows under the same timestamp is still the damaged picture.
                self.is_damaged = true;
            } else if self.has_picture && self.open.is_none() {
                let frame = self.finish();
                if done.is_some() {
                    self.ready = Some(frame);
                } else {
                    done = Some(frame);
                }
            }
            // A marker after parameter sets or SEI alone is a camera's mistake (seen by `retina`'s author on several
            // models): the picture that follows belongs to them.
        }
        Ok(done)
    }

    /// The second access unit of one push, see [`Depacketizer::push`].
    pub const fn pull(&mut self) -> Option<Frame> {
        self.ready.take()
    }

    fn finish(&mut self) -> Frame {
        // Copied out to its exact length: the room for collecting stays, and a unit takes no more memory than it is long.
        let payload = if self.unit.capacity() > ROOM_MAX {
            std::mem::take(&mut self.unit).freeze()
        } else {
            let copied = Bytes::copy_from_slice(&self.unit);
            self.unit.clear();
            copied
        };
        let lost_before = std::mem::take(&mut self.lost);
        self.reset();
        Frame { payload, ticks: self.ticks, lost_before }
    }

    fn drop_unit(&mut self) {
        self.unit.clear();
        self.reset();
    }

    fn reset(&mut self) {
        self.nals = 0;
        self.open = None;
        self.has_picture = false;
        self.is_damaged = false;
    }

    /// Whether a NAL unit begins in this payload; after a loss, the middle of one is of no use.
    fn starts_nal(&self, bytes: &[u8]) -> bool {
        match (self.codec, bytes) {
            (Codec::H264, [indicator, header, ..]) => indicator & 0x1f != 28 || header & 0x80 != 0,
            (Codec::H265, [indicator, _, header, ..]) => (indicator >> 1) & 0x3f != 49 || header & 0x80 != 0,
            (Codec::H264 | Codec::H265, _) => false,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), PayloadError> {
        match self.codec {
            Codec::H264 => self.take_h264(bytes),
            Codec::H265 => self.take_h265(bytes),
        }
    }

    /// RFC 6184 section 5.4, table 1.
    fn take_h264(&mut self, bytes: &[u8]) -> Result<(), PayloadError> {
        let (indicator, rest) = bytes.split_first().ok_or(PayloadError::Short)?;
        match indicator & 0x1f {
            1..=23 => self.whole(bytes),
            24 => self.aggregate(rest),
            28 => {
                let (header, body) = rest.split_first().ok_or(PayloadError::Short)?;
                let kind = header & 0x1f;
                self.fragment(*header, &[(indicator & 0xe0) | kind], (1..=5).contains(&kind), body)
            }
            25..=27 | 29 => Err(PayloadError::Interleaved),
            _ => Err(PayloadError::Kind),
        }
    }

    /// RFC 7798 section 4.4.
    fn take_h265(&mut self, bytes: &[u8]) -> Result<(), PayloadError> {
        let ([first, second], rest) = bytes.split_first_chunk::<2>().ok_or(PayloadError::Short)?;
        match (first >> 1) & 0x3f {
            0..=47 => self.whole(bytes),
            48 => self.aggregate(rest),
            49 => {
                let (header, body) = rest.split_first().ok_or(PayloadError::Short)?;
                let kind = header & 0x3f;
                self.fragment(*header, &[(first & 0x81) | (kind << 1), *second], kind < 32, body)
            }
            _ => Err(PayloadError::Kind),
        }
    }

    fn aggregate(&mut self, mut rest: &[u8]) -> Result<(), PayloadError> {
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<2>().ok_or(PayloadError::Short)?;
            let (nal, after) =
                after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(PayloadError::Short)?;
            if !nal.is_empty() {
                self.whole(nal)?;
            }
            rest = after;
        }
        Ok(())
    }

    /// `header` has the start bit 0x80 and the end bit 0x40 in both codecs.
    fn fragment(&mut self, header: u8, nal_header: &[u8], is_picture: bool, body: &[u8]) -> Result<(), PayloadError> {
        if header & 0x80 != 0 {
            // A start while a NAL unit is open: its end was never sent. What is there stays; a decoder conceals it.
            self.close();
            self.begin(nal_header.len() + body.len())?;
            self.unit.put_slice(nal_header);
            self.has_picture |= is_picture;
        } else if self.open.is_none() {
            // The middle of a NAL unit whose beginning we never saw: a session that was joined in mid-picture.
            self.drop_unit();
            self.is_damaged = true;
            return Ok(());
        }
        self.room_for(body.len())?;
        self.unit.put_slice(body);
        if header & 0x40 != 0 {
            self.close();
        }
        Ok(())
    }

    fn whole(&mut self, nal: &[u8]) -> Result<(), PayloadError> {
        self.close();
        if self.is_picture(nal) {
            return self.append(nal);
        }
        // Some cameras glue parameter sets and the picture into one payload with Annex B start codes between them. No legal
        // NAL unit holds a start code, and parameter sets are cheap to look through.
        let mut rest = nal;
        while let Some((before, after)) = split_at_start_code(rest) {
            if !before.is_empty() {
                self.append(before)?;
            }
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { self.append(rest) }
    }

    fn append(&mut self, nal: &[u8]) -> Result<(), PayloadError> {
        self.begin(nal.len())?;
        self.room_for(nal.len())?;
        self.unit.put_slice(nal);
        self.has_picture |= self.is_picture(nal);
        self.close();
        Ok(())
    }

    fn begin(&mut self, len: usize) -> Result<(), PayloadError> {
        if self.nals >= UNIT_NALS_MAX {
            return Err(PayloadError::TooLong);
        }
        self.unit.reserve(len + 4);
        self.nals += 1;
        self.open = Some(self.unit.len());
        self.unit.put_u32(0);
        Ok(())
    }

    fn room_for(&self, len: usize) -> Result<(), PayloadError> {
        if self.unit.len() + len > UNIT_LEN_MAX { Err(PayloadError::TooLong) } else { Ok(()) }
    }

    fn close(&mut self) {
        let Some(at) = self.open.take() else { return };
        let length = u32::try_from(self.unit.len().saturating_sub(at + 4)).unwrap_or(u32::MAX);
        if let Some(slot) = self.unit.get_mut(at..at + 4) {
            slot.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Slice data of a picture (H.264 table 7-1, H.265 table 7-1).
    fn is_picture(&self, nal: &[u8]) -> bool {
        nal.first().is_some_and(|header| match self.codec {
            Codec::H264 => (1..=5).contains(&(header & 0x1f)),
            Codec::H265 => (header >> 1) & 0x3f < 32,
        })
    }
}

/// What stands before and after the first `00 00 01`, the zero bytes before it left out.
fn split_at_start_code(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.windows(3).position(|three| three == [0, 0, 1])?;
    let (before, after) = bytes.split_at_checked(at)?;
    let end = before.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    Some((before.get(..end)?, after.get(3..)?))
}

/// Feeds foreign bytes as a run of payloads (fuzz target and corpus test). First byte: codec; then per payload one byte of
/// flags (marker, loss, new timestamp) and one byte of length.
pub fn fuzz_depacketize(data: &[u8]) {
    let Some((codec, mut rest)) = data.split_first() else { return };
    let codec = if codec & 1 == 0 { Codec::H264 } else { Codec::H265 };
    let mut depacketizer = Depacketizer::new(codec);
    let mut ticks = 0_i64;
    while let Some(([flags, len], after)) = rest.split_first_chunk::<2>() {
        let (bytes, after) = after.split_at_checked(usize::from(*len)).unwrap_or((after, &[]));
        rest = after;
        ticks += i64::from(flags & 4);
        let packet = RtpPayload { bytes, ticks, is_last: flags & 1 != 0, lost_before: u32::from(flags & 2) };
        let Ok(frame) = depacketizer.push(packet) else { return };
        for frame in frame.into_iter().chain(depacketizer.pull()) {
            assert!(lengths_add_up(&frame.payload), "lengths of an access unit should add up");
        }
    }
}

fn lengths_add_up(mut rest: &[u8]) -> bool {
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((_, after)) = after.split_at_checked(length) else { return false };
        rest = after;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests;
