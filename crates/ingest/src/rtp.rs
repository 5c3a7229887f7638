//! RTP headers (RFC 3550 section 5.1), for transports whose library hands over whole packets.

use media::RtpUnwrapper;

use crate::depacketize::RtpPayload;

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Without header, extension and padding.
    pub payload: &'a [u8],
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp as sent.
    pub timestamp: u32,
    /// Marker bit.
    pub is_last: bool,
}

impl<'a> Packet<'a> {
    /// Reads one packet; `None` when it is no whole RTP packet of version 2.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<12>()?;
        let [first, second, seq_high, seq_low, t0, t1, t2, t3, ..] = *head;
        if first >> 6 != 2 {
            return None;
        }
        let mut rest = rest.get(usize::from(first & 0x0f) * 4..)?;
        if first & 0x10 != 0 {
            let ([_, _, high, low], after) = rest.split_first_chunk::<4>()?;
            rest = after.get(usize::from(u16::from_be_bytes([*high, *low])) * 4..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*rest.last()?);
            rest = rest.get(..rest.len().checked_sub(padding)?)?;
        }
        Some(Self {
            payload: rest,
            sequence: u16::from_be_bytes([seq_high, seq_low]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            is_last: second & 0x80 != 0,
        })
    }
}

/// NTP and RTP time of a sender report (RFC 3550 section 6.4.1) that begins a compound RTCP packet.
pub fn sender_report(bytes: &[u8]) -> Option<(u64, u32)> {
    let ([first, kind, ..], rest) = bytes.split_first_chunk::<8>()?;
    if first >> 6 != 2 || *kind != 200 {
        return None;
    }
    let (ntp, rest) = rest.split_first_chunk::<8>()?;
    let rtp = rest.first_chunk::<4>()?;
    Some((u64::from_be_bytes(*ntp), u32::from_be_bytes(*rtp)))
}

/// The unwrapped time of a 32-bit RTP time near `near`.
pub fn unwrap_near(rtp: u32, near: i64) -> i64 {
    let span = 1_i64 << 32;
    let step = (i64::from(rtp) - near).rem_euclid(span);
    near.saturating_add(if step >= span / 2 { step - span } else { step })
}

/// Counts losses and unwraps times of one stream of packets in order.
#[derive(Debug, Default)]
pub struct Order {
    next: Option<u16>,
    times: RtpUnwrapper,
    lost: u32,
}

impl Order {
    /// What the depacketiser gets; `None` for a packet that is late, doubled or empty.
    pub fn place<'a>(&mut self, packet: &Packet<'a>) -> Option<RtpPayload<'a>> {
        let gap = packet.sequence.wrapping_sub(self.next.unwrap_or(packet.sequence));
        if gap >= 0x8000 {
            return None;
        }
        self.next = Some(packet.sequence.wrapping_add(1));
        self.lost = self.lost.saturating_add(u32::from(gap));
        let ticks = self.times.unwrap_next(packet.timestamp).ticks_90k;
        if packet.payload.is_empty() {
            return None;
        }
        let lost_before = std::mem::take(&mut self.lost);
        Some(RtpPayload { bytes: packet.payload, ticks, is_last: packet.is_last, lost_before })
    }
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_rtp(data: &[u8]) {
    assert!(sender_report(data).is_none() || data.len() >= 20, "a sender report should have its 20 bytes");
    if let Some(packet) = Packet::parse(data) {
        assert!(packet.payload.len() + 12 <= data.len(), "a payload should be a part of its packet");
        let placed = Order::default().place(&packet);
        assert!(placed.is_some() != packet.payload.is_empty(), "a first packet with a payload should be placed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(flags: u8, seq: u16, after: &[u8]) -> Vec<u8> {
        let [high, low] = seq.to_be_bytes();
        let mut bytes = vec![flags, 0xe0, high, low, 0, 0, 0, 9, 1, 2, 3, 4];
        bytes.extend_from_slice(after);
        bytes
    }

    #[test]
    fn headers_are_read() {
        for (bytes, wanted) in [
            (packet(0x80, 7, &[5, 6]), Some(&[5_u8, 6][..])),
            (packet(0x81, 7, &[9, 9, 9, 9, 5]), Some(&[5][..])),
            (packet(0x90, 7, &[0, 0, 0, 1, 8, 8, 8, 8, 5]), Some(&[5][..])),
            (packet(0xa0, 7, &[5, 6, 0, 2]), Some(&[5, 6][..])),
            (packet(0x80, 7, &[]), Some(&[][..])),
            (packet(0xa0, 7, &[5, 9]), None),
            (packet(0xa0, 7, &[]), None),
            (packet(0x90, 7, &[0, 0, 0, 2, 8]), None),
            (packet(0x8f, 7, &[0; 8]), None),
            (packet(0x40, 7, &[5]), None),
            (vec![0x80; 11], None),
        ] {
            let got = Packet::parse(&bytes);
            assert_eq!(got.map(|p| p.payload), wanted, "{bytes:?}");
            assert!(got.is_none_or(|p| p.is_last && p.sequence == 7 && p.timestamp == 9));
            fuzz_rtp(&bytes);
        }
    }

    #[test]
    fn sender_reports_are_read_and_placed() {
        let report = [0x80, 200, 0, 6, 1, 2, 3, 4, 0, 0, 0, 1, 0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9];
        assert_eq!(sender_report(&report), Some(((1 << 32) | 0x8000_0000, u32::MAX)));
        for (cut, kind) in [(19, 200), (24, 201)] {
            let mut bytes = report[..cut].to_vec();
            bytes[1] = kind;
            assert_eq!(sender_report(&bytes), None);
            fuzz_rtp(&bytes);
        }
        for (rtp, near, wanted) in
            [(5, 0, 5), (u32::MAX, 3, -1), (3, (1 << 32) - 2, (1 << 32) + 3), (7, (5 << 32) + 9, (5 << 32) + 7)]
        {
            assert_eq!(unwrap_near(rtp, near), wanted);
        }
    }

    #[test]
    fn losses_are_counted_over_the_seam() {
        let mut order = Order::default();
        let bytes = [1_u8];
        for (sequence, wanted) in
            [(65_534, Some(0)), (65_535, Some(0)), (1, Some(1)), (0, None), (1, None), (5, Some(3)), (6, Some(0))]
        {
            let packet = Packet { payload: &bytes, sequence, timestamp: 1, is_last: false };
            assert_eq!(order.place(&packet).map(|p| p.lost_before), wanted, "{sequence}");
        }
        let empty = Packet { payload: &[], sequence: 9, timestamp: 1, is_last: false };
        assert!(order.place(&empty).is_none());
        let after = Packet { payload: &bytes, sequence: 10, timestamp: 1, is_last: false };
        assert_eq!(order.place(&after).map(|p| p.lost_before), Some(2));
    }
}
