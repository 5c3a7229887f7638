//! How packets reach a client: inside its RTSP connection, or as datagrams.

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

use crate::mix;
use crate::rtp::Datagrams;

/// The transport of one track.
#[derive(Debug)]
pub(super) enum Delivery {
    /// Interleaved; reports go on the next channel.
    Tcp {
        /// Channel of RTP.
        channel: u8,
    },
    /// Datagrams.
    Udp(Box<Udp>),
}

/// What a client asks for in a `Transport` header (RFC 2326 section 12.39).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Tcp { channel: u8 },
    Udp { to_rtp: u16, to_rtcp: u16 },
}

impl Offer {
    /// The first offer of the list that we can keep.
    fn first(wanted: &str) -> Option<Self> {
        wanted.split(',').filter(|offer| !offer.contains("multicast")).find_map(|offer| {
            let field = |name: &str| {
                let fields = offer.split(';').filter_map(|f| f.trim().split_once('='));
                fields.filter(|(n, _)| *n == name).find_map(|(_, v)| pair(v))
            };
            if offer.contains("RTP/AVP/TCP") {
                // Reports always go on the channel behind the pictures, whatever was offered for them.
                let (rtp, _) = field("interleaved").unwrap_or((0, 1));
                u8::try_from(rtp).ok().filter(|channel| *channel < u8::MAX).map(|channel| Self::Tcp { channel })
            } else if offer.contains("RTP/AVP") {
                field("client_port").map(|(to_rtp, to_rtcp)| Self::Udp { to_rtp, to_rtcp })
            } else {
                None
            }
        })
    }
}

/// Fuzz body: any bytes as a `Transport` header; must return.
pub fn fuzz_transport(data: &[u8]) {
    drop(Offer::first(&String::from_utf8_lossy(data)).map(|offer| format!("{offer:?}")));
}

/// Two connected sockets and the packets of one access unit.
#[derive(Debug)]
pub(super) struct Udp {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    packets: Datagrams,
}

impl Delivery {
    /// The first offer of a `Transport` header that we can keep, and our answer's header; `None` when there is none.
    pub(super) async fn negotiate(
        wanted: &str,
        local: IpAddr,
        peer: IpAddr,
    ) -> std::io::Result<Option<(Self, String)>> {
        match Offer::first(wanted) {
            None => Ok(None),
            Some(Offer::Tcp { channel }) => {
                let header = format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel.saturating_add(1));
                Ok(Some((Self::Tcp { channel }, header)))
            }
            Some(Offer::Udp { to_rtp, to_rtcp }) => {
                let (rtp, rtcp) = sockets(local).await?;
                rtp.connect(SocketAddr::new(peer, to_rtp)).await?;
                rtcp.connect(SocketAddr::new(peer, to_rtcp)).await?;
                rtp.writable().await?;
                rtcp.writable().await?;
                let header = format!(
                    "RTP/AVP;unicast;client_port={to_rtp}-{to_rtcp};server_port={}-{}",
                    rtp.local_addr()?.port(),
                    rtcp.local_addr()?.port()
                );
                Ok(Some((Self::Udp(Box::new(Udp { rtp, rtcp, packets: Datagrams::default() })), header)))
            }
        }
    }

    /// Sends a report. On TCP gives the framed bytes to write instead.
    pub(super) fn report(&self, report: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Tcp { channel } => {
                let [high, low] = u16::try_from(report.len()).unwrap_or(0).to_be_bytes();
                let mut framed = vec![b'$', channel.saturating_add(1), high, low];
                framed.extend_from_slice(report);
                Some(framed)
            }
            Self::Udp(udp) => {
                // A datagram that does not fit the socket's buffer is lost, as on a wire.
                drop(udp.rtcp.try_send(report));
                None
            }
        }
    }
}

impl Udp {
    /// The buffer for the next access unit, empty.
    pub(super) fn packets(&mut self) -> &mut Datagrams {
        self.packets.clear();
        &mut self.packets
    }

    /// Sends what was put into the buffer, leaving `loss_per_mille` of 1,000 packets out. Returns bytes sent and
    /// packets left out. A full socket buffer loses packets too, as a wire does.
    pub(super) fn send(&self, loss_per_mille: u16, seed: u64) -> (usize, u64) {
        let (mut sent, mut lost) = (0_usize, 0_u64);
        for (number, packet) in (0_u64..).zip(self.packets.iter()) {
            if mix(seed ^ mix(number)) % 1000 < u64::from(loss_per_mille) || self.rtp.try_send(packet).is_err() {
                lost = lost.saturating_add(1);
            } else {
                sent = sent.saturating_add(packet.len());
            }
        }
        (sent, lost)
    }
}

/// Tries for a free pair of ports before giving up.
const PAIR_TRIES: usize = 200;

/// Two sockets on neighbouring ports, the first even (RFC 3550 section 11); some clients insist.
async fn sockets(local: IpAddr) -> std::io::Result<(UdpSocket, UdpSocket)> {
    for _ in 0..PAIR_TRIES {
        let rtp = UdpSocket::bind(SocketAddr::new(local, 0)).await?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 0
            && let Ok(rtcp) = UdpSocket::bind(SocketAddr::new(local, port.saturating_add(1))).await
        {
            return Ok((rtp, rtcp));
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, "no free pair of UDP ports"))
}

/// `a-b`, or `a` for `a` and the number behind it.
fn pair(text: &str) -> Option<(u16, u16)> {
    match text.split_once('-') {
        Some((a, b)) => Some((a.trim().parse().ok()?, b.trim().parse().ok()?)),
        None => {
            let a: u16 = text.trim().parse().ok()?;
            Some((a, a.checked_add(1)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_offer_we_can_keep_is_taken() {
        for (header, wanted) in [
            ("RTP/AVP/TCP;unicast;interleaved=2-3", Some(Offer::Tcp { channel: 2 })),
            ("RTP/AVP/TCP;unicast", Some(Offer::Tcp { channel: 0 })),
            ("RTP/AVP/TCP;interleaved=255-256", None),
            ("RTP/AVP;multicast;port=1-2,RTP/AVP;unicast;client_port=6-7", Some(Offer::Udp { to_rtp: 6, to_rtcp: 7 })),
            ("RTP/AVP/UDP;unicast;client_port=65535", None),
            ("RTP/SAVP;unicast;client_port=6-7", None),
            ("", None),
        ] {
            assert_eq!(Offer::first(header), wanted, "{header}");
        }
    }
}
