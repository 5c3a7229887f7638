//! What a camera must be before it is written: field rules and the first half of the camera URL guard. Pure.

use ipnet::IpNet;
use url::{Host, Url};
use vms_core::{OrgId, RetentionClass, StreamUse};

use crate::cases::Settings;
use crate::error::FieldProblem;
use crate::model::LegalBasis;
use crate::seed::is_day;
use crate::words::{CameraKind, TransportKind};

/// Longest code, name, document title.
const TEXT_LEN_MAX: usize = 200;
/// Longest stream address (RFC 7826 sets none; cameras stay far below).
const URL_LEN_MAX: usize = 1_000;

/// A stream as somebody types it.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamDraft {
    /// What it is for.
    pub use_: StreamUse,
    /// RTSP address without credentials.
    pub url: String,
    /// User and password; absent keeps what is stored for this use.
    pub credentials: Option<(String, String)>,
    /// Which transport takes it.
    pub transport: TransportKind,
}

impl std::fmt::Debug for StreamDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamDraft").field("use", &self.use_).finish_non_exhaustive()
    }
}

/// A camera as somebody types it.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraDraft {
    /// Code of the installation.
    pub code: String,
    /// Number to call it up.
    pub call_up: Option<u32>,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
    /// Owner; the actor's organisation when absent.
    pub owner: Option<OrgId>,
    /// What it is for.
    pub kind: CameraKind,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Class of its footage.
    pub retention_class: String,
    /// Pictogram placed, `YYYY-MM-DD`.
    pub pictogram_on: Option<String>,
    /// Legal basis, when there is one already.
    pub legal_basis: Option<LegalBasis>,
    /// One to three streams.
    pub streams: Vec<StreamDraft>,
}

/// Everything that is wrong with a draft; empty when nothing is.
pub fn check_draft(draft: &CameraDraft, settings: &Settings, is_video_class: bool) -> Vec<FieldProblem> {
    let mut found = Vec::new();
    let mut wrong = |field: &str, problem: &str| {
        found.push(FieldProblem { field: field.to_owned(), problem: problem.to_owned() });
    };
    let is_code = |text: &str| {
        (1..=40).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_./".contains(&c))
    };
    if !is_code(&draft.code) {
        wrong("code", "not_a_code");
    }
    if draft.call_up.is_some_and(|number| !(1..=999_999).contains(&number)) {
        wrong("call_up", "out_of_range");
    }
    for (field, text) in [("name_nl", &draft.name_nl), ("name_fr", &draft.name_fr)] {
        check_text(field, text, true, &mut wrong);
    }
    if !(-90.0..=90.0).contains(&draft.lat) {
        wrong("lat", "out_of_range");
    }
    if !(-180.0..=180.0).contains(&draft.lon) {
        wrong("lon", "out_of_range");
    }
    if RetentionClass::parse(&draft.retention_class).is_none() || !is_video_class {
        wrong("retention_class", "unknown");
    }
    if draft.pictogram_on.as_deref().is_some_and(|day| !is_day(day)) {
        wrong("pictogram_on", "not_a_date");
    }
    if let Some(basis) = &draft.legal_basis {
        check_text("legal_basis.document", &basis.document, true, &mut wrong);
        check_text("legal_basis.advice", &basis.advice, false, &mut wrong);
        if !is_day(&basis.dated) {
            wrong("legal_basis.dated", "not_a_date");
        }
    }
    if !(1..=3).contains(&draft.streams.len()) {
        wrong("streams", "one_to_three");
    }
    for (at, stream) in draft.streams.iter().enumerate() {
        if draft.streams.iter().take(at).any(|other| other.use_ == stream.use_) {
            wrong("streams", "use_twice");
        }
        if let Err(problem) = check_stream_url(&stream.url, &settings.allowed_networks, &settings.allowed_ports) {
            wrong(&format!("streams.{}.url", stream.use_), problem);
        }
        if let Some((user, password)) = &stream.credentials {
            // A user name ends at its first colon (RFC 7617 section 2), in what is sealed too.
            if user.is_empty() || user.len() > TEXT_LEN_MAX || user.contains(':') || user.chars().any(is_unsafe_char) {
                wrong(&format!("streams.{}.user", stream.use_), "not_a_user");
            }
            if password.len() > TEXT_LEN_MAX || password.chars().any(char::is_control) {
                wrong(&format!("streams.{}.password", stream.use_), "not_a_password");
            }
        }
    }
    found
}

fn check_text(field: &str, text: &str, is_needed: bool, wrong: &mut impl FnMut(&str, &str)) {
    if is_needed && text.trim().is_empty() {
        wrong(field, "empty");
    } else if text.len() > TEXT_LEN_MAX {
        wrong(field, "too_long");
    } else if text.chars().any(is_unsafe_char) {
        wrong(field, "bad_character");
    }
}

/// Control characters, and marks that turn the direction of text around (`reliability.md` 7.1 no. 31).
fn is_unsafe_char(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}')
}

/// An address, and the user and password that stood in it.
pub type SplitUrl = (String, Option<(String, String)>);

/// Takes a log-in out of an address, as a technician's list of cameras often holds it. What is left goes through the guard.
/// `None` when the address does not read; it is left to the guard to say why.
pub fn split_login(text: &str) -> Option<SplitUrl> {
    let mut url = Url::parse(text).ok()?;
    if url.username().is_empty() && url.password().is_none() {
        return Some((text.to_owned(), None));
    }
    let login = (percent_decoded(url.username())?, percent_decoded(url.password().unwrap_or(""))?);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some((url.to_string(), Some(login)))
}

/// `%40` and the like to bytes (RFC 3986 section 2.1); `None` when that is no text.
fn percent_decoded(text: &str) -> Option<String> {
    let (mut out, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            out.push(digit(bytes.next())? * 16 + digit(bytes.next())?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// Whether an address may be that of a camera. Names are left to the recorder, which resolves, pins and checks again.
///
/// # Errors
/// A stable word that says why not.
pub fn check_stream_url(text: &str, networks: &[IpNet], ports: &[(u16, u16)]) -> Result<(), &'static str> {
    // The parser drops tabs and line breaks silently: they are refused before it sees them.
    if text.len() > URL_LEN_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("not_a_url");
    }
    let url = Url::parse(text).map_err(|_| "not_a_url")?;
    if !matches!(url.scheme(), "rtsp" | "rtsps") {
        return Err("not_rtsp");
    }
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err("credentials_in_url");
    }
    if url.fragment().is_some() {
        return Err("not_a_url");
    }
    let default_port = if url.scheme() == "rtsps" { 322 } else { 554 };
    let port = url.port().unwrap_or(default_port);
    if !ports.iter().any(|(low, high)| (*low..=*high).contains(&port)) {
        return Err("port_not_allowed");
    }
    let address: Option<std::net::IpAddr> = match url.host().ok_or("not_a_url")? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.to_canonical()),
        // Schemes unknown to the URL standard keep an IPv4 address as text. Odd spellings of one (octal, hexadecimal,
        // short) are no names either: a name has a letter in its last label.
        Host::Domain(name) => match name.parse::<std::net::Ipv4Addr>() {
            Ok(address) => Some(address.into()),
            Err(_) if is_host_name(name) => None,
            Err(_) => return Err("not_a_host"),
        },
    };
    match address {
        Some(address) if !networks.iter().any(|network| network.contains(&address)) => Err("network_not_allowed"),
        Some(_) | None => Ok(()),
    }
}

fn is_host_name(name: &str) -> bool {
    let label = |text: &str| {
        (1..=63).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or("");
    name.len() <= 253
        && name.split('.').all(label)
        && last.starts_with(|c: char| c.is_ascii_alphabetic())
        && !name.eq_ignore_ascii_case("localhost")
}

/// Feeds foreign bytes to the guard (corpus test).
pub fn fuzz_stream_url(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        debug_assert!(split_login(text).is_none_or(|(url, login)| login.is_none() || split_login(&url).is_some()));
        let all: Vec<IpNet> = ["0.0.0.0/0".parse(), "::/0".parse()].into_iter().flatten().collect();
        let verdict = check_stream_url(text, &all, &[(1, u16::MAX)]);
        debug_assert!(verdict.is_err() || text.to_ascii_lowercase().starts_with("rtsp"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_is_taken_out_of_an_address() {
        let login = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (text, url, wanted) in [
            ("rtsp://10.0.0.1/main", "rtsp://10.0.0.1/main", None),
            ("rtsp://u:p@10.0.0.1:8554/a?b=1", "rtsp://10.0.0.1:8554/a?b=1", login("u", "p")),
            ("rtsp://u:p%40%3a@10.0.0.1/", "rtsp://10.0.0.1/", login("u", "p@:")),
            ("rtsp://u:p@q@10.0.0.1/", "rtsp://10.0.0.1/", login("u", "p@q")),
            ("rtsp://u@10.0.0.1/", "rtsp://10.0.0.1/", login("u", "")),
        ] {
            assert_eq!(split_login(text), Some((url.to_owned(), wanted)), "{text}");
        }
        assert_eq!(split_login("rtsp://u:%ff@10.0.0.1/"), None);
        assert_eq!(split_login("nowhere"), None);
    }

    #[test]
    fn addresses_outside_the_camera_networks_are_refused() {
        let networks = ["10.20.0.0/16".parse().unwrap(), "fd12::/16".parse().unwrap()];
        let ports = [(554, 554), (8554, 8554), (322, 322)];
        for (url, wanted) in [
            ("rtsp://10.20.3.4/main", Ok(())),
            ("rtsp://10.20.3.4:8554/main?channel=1", Ok(())),
            ("rtsps://10.20.3.4/main", Ok(())),
            ("rtsp://[fd12::7]/main", Ok(())),
            ("rtsp://camera-7.zone.brussels/main", Ok(())),
            ("rtsp://10.21.3.4/main", Err("network_not_allowed")),
            ("rtsp://127.0.0.1/", Err("network_not_allowed")),
            ("rtsp://2130706433/", Err("not_a_host")),
            ("rtsp://0x7f000001/", Err("not_a_host")),
            ("rtsp://0177.0.0.1/", Err("not_a_host")),
            ("rtsp://127.1/", Err("not_a_host")),
            ("rtsp://localhost/", Err("not_a_host")),
            ("rtsp://[::1]/", Err("network_not_allowed")),
            ("rtsp://[::ffff:127.0.0.1]/", Err("network_not_allowed")),
            ("rtsp://[::ffff:10.20.3.4]/", Ok(())),
            ("rtsp://169.254.169.254/", Err("network_not_allowed")),
            ("rtsp://10.20.3.4:5432/", Err("port_not_allowed")),
            ("rtsp://user:secret@10.20.3.4/", Err("credentials_in_url")),
            ("rtsp://10.20.3.4@127.0.0.1/", Err("credentials_in_url")),
            ("rtsp://a@b@10.20.3.4/", Err("credentials_in_url")),
            ("http://10.20.3.4/", Err("not_rtsp")),
            ("file:///etc/passwd", Err("not_rtsp")),
            ("exec:rm", Err("not_rtsp")),
            ("rtsp://10.20.3.4/\r\nDESCRIBE", Err("not_a_url")),
            ("rtsp:\\\\10.20.3.4/", Err("not_a_url")),
            ("rtsp://10.20.3.４/", Err("not_a_host")),
            ("", Err("not_a_url")),
        ] {
            assert_eq!(check_stream_url(url, &networks, &ports), wanted, "{url}");
        }
        for foreign in [&b"rtsp://%00/"[..], b"rtsp://[", b"\xff", b"rtsp://a:99999/"] {
            fuzz_stream_url(foreign);
        }
    }
}
