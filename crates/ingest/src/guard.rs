//! The camera URL guard: nothing leaves the host before the address is known to be a camera's.
//!
//! The rule is a list of what is allowed (camera networks and ports), not of what is forbidden: a camera lives in a named
//! network or it is not dialled (`reliability.md` 7.2, S3). On top of that, whole classes of addresses are refused even
//! inside a network that is drawn too wide. The name is looked up once, every answer must pass, and the address that is
//! dialled is the one that was checked: the transport gets a rebuilt URL with the literal address (S4, S7).
//!
//! Belongs here: parsing a camera URL strictly, judging addresses, pinning. Does not belong here: looking names up (a
//! port, [`Resolver`]), dialling.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use url::Url;

/// Longest URL that is looked at, bytes.
pub const URL_LEN_MAX: usize = 2048;
/// Longest host name (RFC 1035 section 2.3.4), bytes.
const NAME_LEN_MAX: usize = 253;
/// Longest label of a host name (RFC 1035 section 2.3.4), bytes.
const LABEL_LEN_MAX: usize = 63;
/// More answers than this to one look-up is no camera.
const ANSWERS_MAX: usize = 16;

/// Why a camera address was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither `rtsp` nor `rtsps`.
    #[error("the scheme is not rtsp or rtsps")]
    Scheme,
    /// Control bytes, blanks, backslashes, non-ASCII, a fragment, or too long.
    #[error("the address holds characters that do not belong in it")]
    Characters,
    /// User and password stand in the address instead of beside it.
    #[error("the address holds credentials")]
    Credentials,
    /// The host is empty, misspelt, or a number in a disguise (decimal, octal, hexadecimal, short).
    #[error("the host is not a plain name or address")]
    Host,
    /// The port is missing digits, zero, or outside the allowed ranges.
    #[error("the port is not allowed")]
    Port,
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// An address of a class that no camera has: loopback, link-local, multicast, tunnelled, reserved.
    #[error("the address belongs to a class that is never dialled")]
    Class,
    /// An address outside the allowed networks.
    #[error("the address is outside the allowed networks")]
    Network,
    /// A network or a port range of the configuration does not parse.
    #[error("the allowed networks or ports do not parse")]
    Configuration,
}

/// Looks names up.
pub trait Resolver: Send + Sync {
    /// All addresses of `name`; empty when there are none or nobody answers.
    fn lookup<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, Vec<IpAddr>>;
}

/// The look-up of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn lookup<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, Vec<IpAddr>> {
        Box::pin(async move {
            tokio::net::lookup_host((name, port))
                .await
                .map(|all| all.map(|at| at.ip()).take(ANSWERS_MAX + 1).collect())
                .unwrap_or_default()
        })
    }
}

/// The host of a camera URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraHost {
    /// A literal address.
    Address(IpAddr),
    /// A name, lower case.
    Name(String),
}

/// A camera URL that is spelt properly; its address is not judged yet.
#[derive(Clone, PartialEq, Eq)]
pub struct CameraUrl {
    /// `rtsps`.
    pub is_tls: bool,
    /// Whom to ask.
    pub host: CameraHost,
    /// Where.
    pub port: u16,
    /// From the first `/` on, with the query; `/` when there was none.
    pub path: String,
}

// A path may carry a camera's token: it stays out of logs.
impl fmt::Debug for CameraUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CameraUrl").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// A camera URL with the one address that may be dialled.
#[derive(Clone, PartialEq, Eq)]
pub struct PinnedUrl {
    /// URL with the literal address as its host: what the transport gets.
    pub url: Url,
    /// The address.
    pub address: SocketAddr,
}

impl fmt::Debug for PinnedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedUrl").field("address", &self.address).finish_non_exhaustive()
    }
}

impl FromStr for CameraUrl {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.len() > URL_LEN_MAX || !text.bytes().all(is_url_byte) {
            return Err(Refusal::Characters);
        }
        let (scheme, rest) = text.split_once("://").ok_or(Refusal::Scheme)?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "rtsp" => false,
            "rtsps" => true,
            _ => return Err(Refusal::Scheme),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(Refusal::Host)?;
        if authority.contains('@') {
            return Err(Refusal::Credentials);
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            Some(digits) => parse_port(digits)?,
            // RFC 2326 section 3.2; IANA for `rtsps`.
            None => {
                if is_tls {
                    322
                } else {
                    554
                }
            }
        };
        if holds_encoded_control(path) {
            return Err(Refusal::Characters);
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_tls, host: parse_host(host)?, port, path })
    }
}

/// Printable ASCII without what separates, quotes or escapes somewhere: a parser that disagrees with ours finds nothing to
/// disagree about (S6).
const fn is_url_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// `%00`–`%1f` and `%7f` in a path would become control bytes in a careless camera.
fn holds_encoded_control(path: &str) -> bool {
    path.split('%').skip(1).any(|after| match after.get(..2).map(|hex| u8::from_str_radix(hex, 16)) {
        Some(Ok(byte)) => byte.is_ascii_control(),
        Some(Err(_)) | None => true,
    })
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), Refusal> {
    if authority.starts_with('[') {
        let (inside, after) = authority.split_once(']').ok_or(Refusal::Host)?;
        return match after.strip_prefix(':') {
            Some(digits) => Ok((inside, Some(digits))),
            None if after.is_empty() => Ok((inside, None)),
            None => Err(Refusal::Host),
        };
    }
    match authority.split_once(':') {
        Some((host, digits)) if !digits.contains(':') => Ok((host, Some(digits))),
        Some(_) => Err(Refusal::Host),
        None => Ok((authority, None)),
    }
}

fn parse_port(digits: &str) -> Result<u16, Refusal> {
    if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::Port);
    }
    digits.parse().map_err(|_| Refusal::Port)
}

fn parse_host(host: &str) -> Result<CameraHost, Refusal> {
    if let Some(six) = host.strip_prefix('[') {
        return six.parse::<Ipv6Addr>().map(|a| CameraHost::Address(a.into())).map_err(|_| Refusal::Host);
    }
    if host.contains(':') {
        return Err(Refusal::Host);
    }
    // The standard library takes four decimal parts without leading zeros and nothing else.
    if let Ok(four) = host.parse::<Ipv4Addr>() {
        return Ok(CameraHost::Address(four.into()));
    }
    let name = host.to_ascii_lowercase();
    if name.is_empty() || name.len() > NAME_LEN_MAX || !name.split('.').all(is_label) {
        return Err(Refusal::Host);
    }
    // `inet_aton` reads a host as a number when its last part starts like one (decimal, octal, hexadecimal): no top-level
    // domain does, so such a name is a number in disguise (S1).
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Refusal::Host);
    }
    Ok(CameraHost::Name(name))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL_LEN_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// What may be dialled.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct UrlGuard {
    networks: Vec<IpNet>,
    ports: Vec<RangeInclusive<u16>>,
}

impl UrlGuard {
    /// Takes the networks (CIDR) and the port ranges of an assignment. Empty lists allow nothing.
    ///
    /// # Errors
    /// [`Refusal::Configuration`] when a network or a range does not parse.
    pub fn new(networks: &[String], ports: &[(u16, u16)]) -> Result<Self, Refusal> {
        let networks = networks
            .iter()
            .map(|text| text.parse::<IpNet>().map(|net| net.trunc()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Refusal::Configuration)?;
        if ports.iter().any(|(from, to)| from > to || *from == 0) {
            return Err(Refusal::Configuration);
        }
        Ok(Self { networks, ports: ports.iter().map(|(from, to)| *from..=*to).collect() })
    }

    /// Whether an address that was dialled may still be.
    pub fn allows(&self, address: SocketAddr) -> bool {
        self.ports.iter().any(|range| range.contains(&address.port())) && self.check_address(address.ip()).is_ok()
    }

    /// Judges one address.
    ///
    /// # Errors
    /// [`Refusal::Class`] or [`Refusal::Network`].
    pub fn check_address(&self, address: IpAddr) -> Result<(), Refusal> {
        if is_never_dialled(address) {
            return Err(Refusal::Class);
        }
        // Loopback counts as allowed only where somebody wrote a network inside loopback, not where `0.0.0.0/0` happens to
        // hold it.
        let allowed = |net: &IpNet| net.contains(&address) && (!address.is_loopback() || is_loopback_net(net));
        if self.networks.iter().any(allowed) {
            Ok(())
        } else if address.is_loopback() {
            Err(Refusal::Class)
        } else {
            Err(Refusal::Network)
        }
    }

    /// Parses, looks up, judges every answer and pins the first.
    ///
    /// # Errors
    /// See [`Refusal`]. One bad answer among good ones refuses the whole name: a name that answers with both is a trap.
    pub async fn pin(&self, text: &str, resolver: &dyn Resolver) -> Result<PinnedUrl, Refusal> {
        let url: CameraUrl = text.parse()?;
        if !self.ports.iter().any(|range| range.contains(&url.port)) {
            return Err(Refusal::Port);
        }
        let addresses = match &url.host {
            CameraHost::Address(address) => vec![*address],
            CameraHost::Name(name) => resolver.lookup(name, url.port).await,
        };
        if addresses.len() > ANSWERS_MAX {
            return Err(Refusal::NoAddress);
        }
        for address in &addresses {
            self.check_address(*address)?;
        }
        let first = addresses.first().ok_or(Refusal::NoAddress)?;
        rebuild(&url, SocketAddr::new(*first, url.port))
    }
}

/// The URL that a library gets: literal address, explicit port, our spelling. Read back, so that a library's parser that
/// sees another host or port than we do is caught here (S7).
fn rebuild(camera: &CameraUrl, address: SocketAddr) -> Result<PinnedUrl, Refusal> {
    let scheme = if camera.is_tls { "rtsps" } else { "rtsp" };
    let url = Url::parse(&format!("{scheme}://{address}{}", camera.path)).map_err(|_| Refusal::Host)?;
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    if host.parse::<IpAddr>() != Ok(address.ip()) || url.port() != Some(address.port()) {
        return Err(Refusal::Host);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::Credentials);
    }
    Ok(PinnedUrl { url, address })
}

fn is_loopback_net(net: &IpNet) -> bool {
    match net {
        IpNet::V4(four) => four.network().is_loopback() && four.prefix_len() >= 8,
        IpNet::V6(six) => six.network().is_loopback() && six.prefix_len() == 128,
    }
}

/// Classes that no camera has, whatever the configuration says (S1, S2).
fn is_never_dialled(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => is_never_dialled_v4(four),
        IpAddr::V6(six) => is_never_dialled_v6(six),
    }
}

fn is_never_dialled_v4(four: Ipv4Addr) -> bool {
    let [first, second, ..] = four.octets();
    first == 0                              // "this network", RFC 1122
        || four.is_link_local()             // RFC 3927, cloud metadata
        || four.is_multicast()
        || first >= 240                     // reserved and broadcast
        || (first == 192 && second == 88 && four.octets().get(2) == Some(&99)) // 6to4 relay, RFC 7526
        || four == Ipv4Addr::new(100, 100, 100, 200) // a cloud's metadata inside shared address space
}

fn is_never_dialled_v6(six: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, _, h] = six.segments();
    // The first 96 bits zero holds the unspecified address and IPv4-compatible ones; loopback is judged by its network.
    let low_only = (a, b, c, d, e, f) == (0, 0, 0, 0, 0, 0);
    (low_only && !six.is_loopback())
        || six.to_ipv4_mapped().is_some()
        || (a, b, c, d, e, f) == (0, 0, 0, 0, 0xffff, 0) // translated, RFC 2765
        || a == 0x2002                      // 6to4
        || (a, b) == (0x2001, 0)            // Teredo
        || (a, b) == (0x64, 0xff9b)         // NAT64
        || a & 0xffc0 == 0xfe80             // link-local
        || a & 0xffc0 == 0xfec0             // site-local, withdrawn
        || six.is_multicast()
        || (a, b, h) == (0xfd00, 0xec2, 0x254) // a cloud's metadata
        || (e & 0xfdff, f) == (0, 0x5efe) // ISATAP, RFC 5214
}

/// Feeds foreign text to the parser (fuzz target and corpus test): whatever passes must rebuild to the same host and port.
pub fn fuzz_camera_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(camera) = text.parse::<CameraUrl>() else { return };
    let address = match camera.host {
        CameraHost::Address(address) => address,
        CameraHost::Name(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    };
    let rebuilt = rebuild(&camera, SocketAddr::new(address, camera.port));
    assert!(rebuilt.is_ok_and(|pinned| pinned.address.ip() == address), "a URL that passed should rebuild");
}

#[cfg(test)]
mod tests;
