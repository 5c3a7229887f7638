//! RTSP 1.0 requests (RFC 2326) as a client sends them, and our answers.

use std::fmt::Write as _;

use bytes::{Buf, BytesMut};

/// Largest head of a request, bytes.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Largest body of a request, bytes. Only keep-alives have one.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Why bytes from a client are no RTSP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    #[error("the head is longer than 16 KiB")]
    HeadTooLong,
    #[error("the body is longer than 16 KiB")]
    BodyTooLong,
    #[error("not an RTSP request")]
    NotRtsp,
}

/// What a client can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Options,
    Describe,
    Setup,
    Play,
    Pause,
    GetParameter,
    SetParameter,
    Teardown,
    /// Anything else; answered with 501.
    Other,
}

/// One request, without its body.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// The method as written, which Digest hashes.
    pub(super) method_word: String,
    pub(super) uri: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The first header of that name; names compare without case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Path of the URI without host and query, without a slash at either end.
    pub(super) fn path(&self) -> &str {
        let rest = match self.uri.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => self.uri.as_str(),
        };
        rest.split('?').next().unwrap_or("").trim_matches('/')
    }
}

/// One thing taken from the stream of a client.
#[derive(Debug)]
pub(super) enum Inbound {
    Request(Request),
    /// A frame on an interleaved channel: the client's RTCP. Not looked into.
    Frame,
}

/// Takes the next whole message off `buf`; `None` when more bytes are needed.
pub(super) fn take(buf: &mut BytesMut) -> Result<Option<Inbound>, MessageError> {
    // Some clients send empty lines between requests.
    while buf.first().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
        buf.advance(1);
    }
    if buf.first() == Some(&b'$') {
        let Some([_, _, high, low]) = buf.get(..4) else { return Ok(None) };
        let whole = usize::from(u16::from_be_bytes([*high, *low])).saturating_add(4);
        if buf.len() < whole {
            return Ok(None);
        }
        buf.advance(whole);
        return Ok(Some(Inbound::Frame));
    }
    let Some(head_len) = buf.windows(4).take(HEAD_BYTES_MAX).position(|w| w == b"\r\n\r\n") else {
        return if buf.len() >= HEAD_BYTES_MAX { Err(MessageError::HeadTooLong) } else { Ok(None) };
    };
    let head = buf.get(..head_len).and_then(|h| std::str::from_utf8(h).ok()).ok_or(MessageError::NotRtsp)?;
    let request = parse_head(head).ok_or(MessageError::NotRtsp)?;
    let body_len = match request.header("content-length") {
        Some(text) => text.parse::<usize>().map_err(|_| MessageError::NotRtsp)?,
        None => 0,
    };
    if body_len > BODY_BYTES_MAX {
        return Err(MessageError::BodyTooLong);
    }
    let whole = head_len.saturating_add(4).saturating_add(body_len);
    if buf.len() < whole {
        return Ok(None);
    }
    buf.advance(whole);
    Ok(Some(Inbound::Request(request)))
}

fn parse_head(head: &str) -> Option<Request> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split_ascii_whitespace();
    let (method_word, uri, version) = (first.next()?, first.next()?, first.next()?);
    if !version.starts_with("RTSP/") {
        return None;
    }
    let method = match method_word {
        "OPTIONS" => Method::Options,
        "DESCRIBE" => Method::Describe,
        "SETUP" => Method::Setup,
        "PLAY" => Method::Play,
        "PAUSE" => Method::Pause,
        "GET_PARAMETER" => Method::GetParameter,
        "SET_PARAMETER" => Method::SetParameter,
        "TEARDOWN" => Method::Teardown,
        _ => Method::Other,
    };
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    Some(Request { method, method_word: method_word.to_owned(), uri: uri.to_owned(), headers })
}

/// An answer under construction.
#[derive(Debug)]
pub(super) struct Response {
    head: String,
    body: String,
}

impl Response {
    /// Starts with the status line and the request's `CSeq`.
    pub(super) fn new(request: &Request, status: u16, reason: &str) -> Self {
        let mut head = format!("RTSP/1.0 {status} {reason}\r\n");
        if let Some(cseq) = request.header("cseq") {
            put(&mut head, "CSeq", cseq);
        }
        Self { head, body: String::new() }
    }

    /// Adds a header.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        put(&mut self.head, name, value);
        self
    }

    /// Sets the body and its type.
    #[must_use]
    pub(super) fn with_body(mut self, kind: &str, body: String) -> Self {
        put(&mut self.head, "Content-Type", kind);
        self.body = body;
        self
    }

    /// The bytes.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        if !self.body.is_empty() {
            let len = self.body.len().to_string();
            put(&mut self.head, "Content-Length", &len);
        }
        self.head.push_str("\r\n");
        self.head.push_str(&self.body);
        self.head.into_bytes()
    }
}

fn put(head: &mut String, name: &str, value: &str) {
    write!(head, "{name}: {value}\r\n").expect("writing to a string should not fail");
}

/// Fuzz body: any bytes as a client's stream; must return, and must consume or refuse what it does not wait for.
pub fn fuzz_rtsp_request(data: &[u8]) {
    let mut buf = BytesMut::from(data);
    while let Ok(Some(inbound)) = take(&mut buf) {
        if let Inbound::Request(request) = inbound {
            drop((request.path().to_owned(), Response::new(&request, 200, "OK").into_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_frames_are_taken_one_by_one() {
        let mut buf = BytesMut::from(
            &b"OPTIONS rtsp://h:1/cam001/main RTSP/1.0\r\nCSeq: 1\r\n\r\n$\x01\x00\x02ab\r\nGET_PARAMETER /a?b RTSP/1.0\r\ncseq:2\r\nContent-Length: 2\r\n\r\nxyPLAY"[..],
        );
        let Ok(Some(Inbound::Request(first))) = take(&mut buf) else { panic!("no request") };
        assert_eq!((&first.method, first.path(), first.header("CSEQ")), (&Method::Options, "cam001/main", Some("1")));
        assert!(matches!(take(&mut buf), Ok(Some(Inbound::Frame))));
        let Ok(Some(Inbound::Request(second))) = take(&mut buf) else { panic!("no request") };
        assert_eq!((&second.method, second.path()), (&Method::GetParameter, "a"));
        assert!(matches!(take(&mut buf), Ok(None)));
        assert_eq!(&buf[..], b"PLAY");
    }

    #[test]
    fn bad_streams_are_refused() {
        let long = vec![b'A'; HEAD_BYTES_MAX + 4];
        for (data, wanted) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], MessageError::NotRtsp),
            (b"\xff\xfe\r\n\r\n", MessageError::NotRtsp),
            (b"PLAY / RTSP/1.0\r\nContent-Length: 4294967296\r\n\r\n", MessageError::BodyTooLong),
            (b"PLAY / RTSP/1.0\r\nContent-Length: -1\r\n\r\n", MessageError::NotRtsp),
            (&long, MessageError::HeadTooLong),
        ] {
            fuzz_rtsp_request(data);
            assert_eq!(take(&mut BytesMut::from(data)).unwrap_err(), wanted);
        }
    }
}
