//! Digest log-in as cameras do it: MD5, RFC 2069 form or `qop=auth` of RFC 2617 section 3.2.2.

use std::fmt;

use md5::{Digest as _, Md5};

use super::message::Request;

/// Protection space named in the challenge.
pub(super) const REALM: &str = "Belfry simulator";

/// User and password of a simulated camera. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The challenge for one connection.
pub(super) fn challenge(nonce: &str) -> String {
    format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm=MD5")
}

/// Whether the request proves knowledge of the password for our nonce.
pub(super) fn is_authorised(request: &Request, nonce: &str, credentials: &Credentials) -> bool {
    let Some(fields) = request.header("authorization").and_then(|v| v.strip_prefix("Digest ")).map(parameters) else {
        return false;
    };
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
    if field("username") != credentials.user || field("realm") != REALM || field("nonce") != nonce {
        return false;
    }
    let secret = md5_hex(&format!("{}:{REALM}:{}", credentials.user, credentials.password));
    let what = md5_hex(&format!("{}:{}", request.method_word, field("uri")));
    let proof = match field("qop") {
        "" => format!("{secret}:{nonce}:{what}"),
        qop => format!("{secret}:{nonce}:{}:{}:{qop}:{what}", field("nc"), field("cnonce")),
    };
    md5_hex(&proof) == field("response")
}

fn md5_hex(text: &str) -> String {
    hex::encode(Md5::digest(text.as_bytes()))
}

/// `a="x, y", b=z` as pairs; quotes taken off, names lower case.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => {
                let end = after.find(',').unwrap_or(after.len());
                after.split_at_checked(end).unwrap_or((after, ""))
            }
        };
        pairs.push((name.trim_matches([' ', ',']).to_ascii_lowercase(), value.trim().to_owned()));
        rest = next;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::super::message::{Inbound, take};
    use super::*;
    use bytes::BytesMut;

    fn request(authorization: &str) -> Request {
        let text = format!("DESCRIBE rtsp://h/cam001/main RTSP/1.0\r\nAuthorization: {authorization}\r\n\r\n");
        match take(&mut BytesMut::from(text.as_bytes())) {
            Ok(Some(Inbound::Request(request))) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_right_answer_opens() {
        let credentials = Credentials { user: "op".into(), password: "secret, \u{e9}".into() };
        let uri = "rtsp://h/cam001/main";
        let ha1 = md5_hex(&format!("op:{REALM}:secret, \u{e9}"));
        let ha2 = md5_hex(&format!("DESCRIBE:{uri}"));
        let plain = md5_hex(&format!("{ha1}:n1:{ha2}"));
        let with_qop = md5_hex(&format!("{ha1}:n1:00000001:c:auth:{ha2}"));
        let line = |nonce: &str, response: &str, more: &str| {
            format!(
                "Digest username=\"op\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\"{more}"
            )
        };
        for (header, wanted) in [
            (line("n1", &plain, ""), true),
            (line("n1", &with_qop, ", qop=auth, nc=00000001, cnonce=\"c\""), true),
            (line("n2", &plain, ""), false),
            (line("n1", &with_qop, ""), false),
            (line("n1", "", ""), false),
            ("Basic b3A6c2VjcmV0".to_owned(), false),
            ("Digest".to_owned(), false),
        ] {
            assert_eq!(is_authorised(&request(&header), "n1", &credentials), wanted, "{header}");
        }
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
