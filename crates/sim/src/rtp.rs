//! RTP packets for H.264 (RFC 6184) and H.265 (RFC 7798), and the RTCP sender report (RFC 3550 section 6.4.1).
//!
//! Belongs here: bytes of packets. Does not belong here: sockets and pace.

use bytes::{BufMut, BytesMut};
use vms_core::{Codec, WallTime};

/// Largest RTP packet, header included, bytes: fits an Ethernet frame with room for tunnels.
pub const PACKET_BYTES_MAX: usize = 1400;
/// RTP header without extensions or contributing sources.
const HEADER_LEN: usize = 12;
/// Payload type of the video track in the session description.
pub const VIDEO_PAYLOAD_TYPE: u8 = 96;
/// Seconds from 1900 (NTP) to 1970 (Unix), RFC 868.
const NTP_UNIX_SECS: i64 = 2_208_988_800;

/// Takes finished packets. `parts` together are one packet of at most [`PACKET_BYTES_MAX`] bytes.
pub trait PacketSink {
    /// Takes one packet.
    fn packet(&mut self, parts: [&[u8]; 3]);
}

/// Packets framed for one TCP connection (RFC 2326 section 10.12), one buffer for a whole access unit.
#[derive(Debug)]
pub struct Interleaved<'a> {
    /// Where the frames go.
    pub out: &'a mut BytesMut,
    /// Channel of the track.
    pub channel: u8,
}

impl PacketSink for Interleaved<'_> {
    fn packet(&mut self, parts: [&[u8]; 3]) {
        let len: usize = parts.iter().map(|p| p.len()).sum();
        self.out.put_u8(b'$');
        self.out.put_u8(self.channel);
        self.out.put_u16(u16::try_from(len).unwrap_or(u16::MAX));
        for part in parts {
            self.out.put_slice(part);
        }
    }
}

/// Packets one after another with their ends, for datagrams.
#[derive(Debug, Default)]
pub struct Datagrams {
    bytes: BytesMut,
    ends: Vec<usize>,
}

impl PacketSink for Datagrams {
    fn packet(&mut self, parts: [&[u8]; 3]) {
        for part in parts {
            self.bytes.put_slice(part);
        }
        self.ends.push(self.bytes.len());
    }
}

impl Datagrams {
    /// The packets in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(from, to)| self.bytes.get(from..*to))
    }

    /// Ready for the next access unit; keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Cuts access units into packets and counts them.
#[derive(Clone, Debug)]
pub struct Packetiser {
    codec: Codec,
    ssrc: u32,
    sequence: u16,
    timestamp_base: u32,
    packets: u32,
    octets: u32,
}

impl Packetiser {
    /// `seed` chooses source id, first sequence number and timestamp base (RFC 3550 section 5.1 wants them unpredictable).
    pub fn new(codec: Codec, seed: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = crate::mix(seed).to_be_bytes();
        let [i, j, ..] = crate::mix(seed ^ 0x5eed).to_be_bytes();
        Self {
            codec,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            sequence: u16::from_be_bytes([i, j]),
            timestamp_base: u32::from_be_bytes([e, f, g, h]),
            packets: 0,
            octets: 0,
        }
    }

    /// Synchronisation source id.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Sequence number of the next packet.
    pub fn next_sequence(&self) -> u16 {
        self.sequence
    }

    /// RTP timestamp of a stream position in 90 kHz ticks; wraps at 32 bits as RTP does.
    pub fn timestamp(&self, ticks: i64) -> u32 {
        let [.., a, b, c, d] = ticks.to_be_bytes();
        self.timestamp_base.wrapping_add(u32::from_be_bytes([a, b, c, d]))
    }

    /// Chooses the base of timestamps so that they begin again at zero `after_ticks` behind the stream position `from`.
    pub fn wrap_after(&mut self, from: i64, after_ticks: u32) {
        self.timestamp_base = 0;
        self.timestamp_base = 0_u32.wrapping_sub(self.timestamp(from)).wrapping_sub(after_ticks);
    }

    /// Packets of one access unit; the last one carries the marker. `ticks` is its presentation time.
    pub fn unit<'a>(&mut self, nals: impl Iterator<Item = &'a [u8]>, ticks: i64, out: &mut impl PacketSink) {
        let timestamp = self.timestamp(ticks);
        let mut nals = nals.peekable();
        while let Some(nal) = nals.next() {
            self.nal(nal, timestamp, nals.peek().is_none(), out);
        }
    }

    fn nal(&mut self, nal: &[u8], timestamp: u32, last: bool, out: &mut impl PacketSink) {
        if nal.len() <= PACKET_BYTES_MAX - HEADER_LEN {
            self.push(&[], nal, timestamp, last, out);
            return;
        }
        let (header, body) = match (self.codec, nal) {
            // FU-A: indicator with type 28, then the fragment header with the real type (RFC 6184 section 5.8).
            (Codec::H264, [first, body @ ..]) => ([(first & 0xe0) | 28, first & 0x1f, 0], body),
            // FU: payload header with type 49, then the fragment header (RFC 7798 section 4.4.3).
            (Codec::H265, [first, second, body @ ..]) => {
                ([(first & 0x81) | (49 << 1), *second, (first >> 1) & 0x3f], body)
            }
            (Codec::H264 | Codec::H265, _) => return,
        };
        let header_len = match self.codec {
            Codec::H264 => 2,
            Codec::H265 => 3,
        };
        let mut chunks = body.chunks(PACKET_BYTES_MAX - HEADER_LEN - header_len).peekable();
        let mut start = 0x80;
        while let Some(chunk) = chunks.next() {
            let end = if chunks.peek().is_none() { 0x40 } else { 0 };
            let mut fragment = header;
            if let Some(flags) = fragment.get_mut(header_len - 1) {
                *flags |= start | end;
            }
            let fragment = fragment.get(..header_len).unwrap_or(&[]);
            self.push(fragment, chunk, timestamp, last && end != 0, out);
            start = 0;
        }
    }

    fn push(&mut self, prefix: &[u8], payload: &[u8], timestamp: u32, marker: bool, out: &mut impl PacketSink) {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = timestamp.to_be_bytes();
        let [r0, r1, r2, r3] = self.ssrc.to_be_bytes();
        let kind = VIDEO_PAYLOAD_TYPE | if marker { 0x80 } else { 0 };
        let header: [u8; HEADER_LEN] = [0x80, kind, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3];
        out.packet([&header, prefix, payload]);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        let octets = prefix.len().saturating_add(payload.len());
        self.octets = self.octets.wrapping_add(u32::try_from(octets).unwrap_or(0));
    }

    /// A compound RTCP packet: sender report and source description. `at` is the camera's clock at stream position `ticks`.
    pub fn sender_report(&self, at: WallTime, ticks: i64) -> Vec<u8> {
        let secs = at.micros.div_euclid(1_000_000).saturating_add(NTP_UNIX_SECS);
        let fraction = (i128::from(at.micros.rem_euclid(1_000_000)) << 32) / 1_000_000;
        let [.., n0, n1, n2, n3] = secs.to_be_bytes(); // wraps in 2036 as NTP does
        let mut out = Vec::with_capacity(44);
        out.extend_from_slice(&[0x80, 200, 0, 6]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&[n0, n1, n2, n3]);
        out.extend_from_slice(&u32::try_from(fraction).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(&self.timestamp(ticks).to_be_bytes());
        out.extend_from_slice(&self.packets.to_be_bytes());
        out.extend_from_slice(&self.octets.to_be_bytes());
        // Source description with the canonical name "sim": item, end, padding to four bytes.
        out.extend_from_slice(&[0x81, 202, 0, 3]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&[1, 3, b's', b'i', b'm', 0, 0, 0]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(codec: Codec, nals: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut out = Datagrams::default();
        Packetiser::new(codec, 1).unit(nals.iter().map(Vec::as_slice), 90_000, &mut out);
        out.iter().map(<[u8]>::to_vec).collect()
    }

    /// Puts fragments together again, as RFC 6184 and RFC 7798 describe it from the receiver's side.
    fn join(codec: Codec, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut nals: Vec<Vec<u8>> = Vec::new();
        for packet in packets {
            let payload = &packet[12..];
            match (codec, payload[0] & 0x1f, (payload[0] >> 1) & 0x3f) {
                (Codec::H264, 28, _) => {
                    if payload[1] & 0x80 != 0 {
                        nals.push(vec![(payload[0] & 0xe0) | (payload[1] & 0x1f)]);
                    }
                    nals.last_mut().unwrap().extend_from_slice(&payload[2..]);
                }
                (Codec::H265, _, 49) => {
                    if payload[2] & 0x80 != 0 {
                        nals.push(vec![(payload[0] & 0x81) | ((payload[2] & 0x3f) << 1), payload[1]]);
                    }
                    nals.last_mut().unwrap().extend_from_slice(&payload[3..]);
                }
                _ => nals.push(payload.to_vec()),
            }
        }
        nals
    }

    #[test]
    fn fragments_join_to_the_same_units() {
        for codec in Codec::ALL {
            let header: &[u8] = match codec {
                Codec::H264 => &[0x65],
                Codec::H265 => &[0x26, 0x01],
            };
            for len in [1, 1385, 1386, 1387, 1388, 1389, 2772, 2773, 50_000] {
                let mut nal = header.to_vec();
                nal.extend((0..len).map(|i| u8::try_from(i % 251).unwrap()));
                let nals = vec![header.to_vec(), nal];
                let sent = packets(*codec, &nals);
                assert!(sent.iter().all(|p| p.len() <= PACKET_BYTES_MAX));
                assert_eq!(join(*codec, &sent), nals, "{codec} {len}");
                let markers: Vec<bool> = sent.iter().map(|p| p[1] & 0x80 != 0).collect();
                assert!(markers.iter().rev().skip(1).all(|m| !m) && markers[markers.len() - 1]);
                let numbers: Vec<u16> = sent.iter().map(|p| u16::from_be_bytes([p[2], p[3]])).collect();
                assert!(numbers.windows(2).all(|w| w[1] == w[0].wrapping_add(1)));
            }
        }
    }

    #[test]
    fn a_sender_report_tells_time_and_place() {
        let packetiser = Packetiser::new(Codec::H264, 7);
        let report = packetiser.sender_report(WallTime::from_micros(1_500_000), 45_000);
        assert_eq!(report.len(), 44);
        assert_eq!(report[8..12], 2_208_988_801_u32.to_be_bytes());
        assert_eq!(report[12..16], 0x8000_0000_u32.to_be_bytes());
        assert_eq!(report[16..20], packetiser.timestamp(45_000).to_be_bytes());
    }
}
