//! Conditions and ranges of a request for a virtual file (RFC 9110, sections 13 and 14). There is no date to compare: a virtual file
//! has its entity tag alone.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method};

/// What a `Range` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::routes) enum Wanted {
    /// The whole file.
    All,
    /// From the first to before the second byte.
    Part(u64, u64),
    /// Nothing that the file has.
    Impossible,
}

/// What a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::routes) enum Answer {
    /// 200, 206 or 416.
    Send(Wanted),
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
}

/// Goes through the conditions in the order of section 13.2.2. `etag` is strong, with its quotes.
pub(in crate::routes) fn answer(method: &Method, headers: &HeaderMap, etag: &str, size: u64) -> Answer {
    if let Some(list) = list(headers, header::IF_MATCH)
        && !names(&list, etag, false)
    {
        return Answer::PreconditionFailed;
    }
    if let Some(list) = list(headers, header::IF_NONE_MATCH)
        && names(&list, etag, true)
    {
        return Answer::NotModified;
    }
    let only = |name: HeaderName| {
        let mut all = headers.get_all(name).iter();
        all.next().filter(|_| all.next().is_none()).and_then(|value: &HeaderValue| value.to_str().ok())
    };
    // Section 13.1.5: the strong comparison, so that a weak tag or a date never matches; without a match the whole file.
    let is_same = !headers.contains_key(header::IF_RANGE) || only(header::IF_RANGE).map(str::trim) == Some(etag);
    // Section 14.2: ranges are defined for GET.
    let asked = only(header::RANGE).filter(|_| is_same && method == Method::GET);
    Answer::Send(wanted(asked, size))
}

/// All values of a list header as one.
fn list(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(&name).iter().filter_map(|value| value.to_str().ok()).collect();
    headers.contains_key(&name).then(|| values.join(","))
}

/// Whether `*` or a list of entity tags names `etag`. What does not read ends the list.
fn names(list: &str, etag: &str, weak: bool) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (is_weak, tag) = rest.strip_prefix("W/").map_or((false, rest), |tag| (true, tag));
        let Some((text, after)) = tag.strip_prefix('"').and_then(|tag| tag.split_once('"')) else { return false };
        let is_named = etag.strip_prefix('"').and_then(|own| own.strip_suffix('"')) == Some(text);
        if is_named && (weak || !is_weak) {
            return true;
        }
        rest = after;
    }
}

/// One range of bytes. Several ranges, or what does not read, are answered with the whole file.
pub(in crate::routes) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let unit =
        header.and_then(|text| text.trim().split_once('=')).filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"));
    let Some((_, spec)) = unit else { return Wanted::All };
    let Some((first, last)) = spec.split_once('-').filter(|_| !spec.contains(',')) else { return Wanted::All };
    let number =
        |text: &str| text.trim().parse::<u64>().ok().filter(|_| text.trim().bytes().all(|c| c.is_ascii_digit()));
    match (number(first), number(last), first.trim().is_empty(), last.trim().is_empty()) {
        (Some(start), None, false, true) if start < size => Wanted::Part(start, size),
        (Some(start), Some(last), false, false) if start <= last && start < size => {
            Wanted::Part(start, last.saturating_add(1).min(size))
        }
        (Some(start), Some(last), false, false) if start > last => Wanted::All,
        (Some(_), _, false, _) => Wanted::Impossible,
        (None, Some(0), true, false) => Wanted::Impossible,
        (None, Some(suffix), true, false) if size > 0 => Wanted::Part(size.saturating_sub(suffix), size),
        _ => Wanted::All,
    }
}

/// Feeds foreign bytes to the parsers of `Range` and of lists of entity tags (corpus test).
pub fn fuzz_range_header(data: &[u8]) {
    if let Wanted::Part(start, end) = wanted(std::str::from_utf8(data).ok(), 1_000) {
        assert!(start < end && end <= 1_000, "a part should lie in the file");
    }
    if let Ok(value) = HeaderValue::from_bytes(data) {
        let mut headers = HeaderMap::new();
        for name in [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_RANGE, header::RANGE] {
            headers.insert(name, value.clone());
        }
        let _ = answer(&Method::GET, &headers, "\"belfry\"", 1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::Answer::{NotModified, PreconditionFailed, Send};
    use super::Wanted::{All, Impossible, Part};
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        for (header, wanted_) in [
            (None, All),
            (Some("bytes=0-99"), Part(0, 100)),
            (Some("Bytes=0-99"), Part(0, 100)),
            (Some("bytes=100-"), Part(100, 1_000)),
            (Some("bytes=-100"), Part(900, 1_000)),
            (Some("bytes=-5000"), Part(0, 1_000)),
            (Some("bytes=0-5000"), Part(0, 1_000)),
            (Some("bytes=999-999"), Part(999, 1_000)),
            (Some("bytes=1000-"), Impossible),
            (Some("bytes=1000-2000"), Impossible),
            (Some("bytes=-0"), Impossible),
            (Some("bytes=5-4"), All),
            (Some("bytes=0-1,3-4"), All),
            (Some("bytes=-"), All),
            (Some("bytes=a-b"), All),
            (Some("bytes=+1-2"), All),
            (Some("items=0-1"), All),
        ] {
            assert_eq!(wanted(header, 1_000), wanted_, "{header:?}");
        }
        let foreign: [&[u8]; 9] = [
            b"bytes=18446744073709551615-",
            b"bytes=0-18446744073709551615",
            b"\xff",
            b"bytes=--",
            b"\"",
            b"W/\"",
            b"W/W/\"belfry\"",
            b",,\"a\",\"belfry\"",
            b"*,*",
        ];
        for data in foreign {
            fuzz_range_header(data);
        }
    }

    #[test]
    fn conditions_are_weighed_as_rfc_9110_says() {
        let part = Send(Part(0, 10));
        type Fields = &'static [(&'static str, &'static str)];
        let cases: &[(Method, Fields, Answer)] = &[
            (Method::GET, &[], Send(All)),
            (Method::GET, &[("if-none-match", "\"v1\"")], NotModified),
            (Method::HEAD, &[("if-none-match", "\"v1\"")], NotModified),
            (Method::GET, &[("if-none-match", "W/\"v1\"")], NotModified),
            (Method::GET, &[("if-none-match", "\"v0\", \"v,1\" , \"v1\"")], NotModified),
            (Method::GET, &[("if-none-match", "\"v0\""), ("if-none-match", "\"v1\"")], NotModified),
            (Method::GET, &[("if-none-match", "*")], NotModified),
            (Method::GET, &[("if-none-match", "\"v0\"")], Send(All)),
            (Method::GET, &[("if-none-match", "v1")], Send(All)),
            (Method::GET, &[("if-none-match", "\"v1\""), ("range", "bytes=0-9")], NotModified),
            (Method::GET, &[("if-match", "\"v1\"")], Send(All)),
            (Method::GET, &[("if-match", "*")], Send(All)),
            (Method::GET, &[("if-match", "W/\"v1\"")], PreconditionFailed),
            (Method::GET, &[("if-match", "\"v0\""), ("if-none-match", "\"v1\"")], PreconditionFailed),
            (Method::GET, &[("if-match", "\"v1\""), ("if-none-match", "\"v1\"")], NotModified),
            (Method::GET, &[("range", "bytes=0-9")], part),
            (Method::GET, &[("range", "bytes=0-9"), ("if-range", "\"v1\"")], part),
            (Method::GET, &[("range", "bytes=0-9"), ("if-range", "W/\"v1\"")], Send(All)),
            (Method::GET, &[("range", "bytes=0-9"), ("if-range", "\"v0\"")], Send(All)),
            (Method::GET, &[("range", "bytes=0-9"), ("if-range", "Sun, 22 Nov 2026 11:00:00 GMT")], Send(All)),
            (Method::GET, &[("range", "bytes=100-")], Send(Impossible)),
            (Method::GET, &[("range", "bytes=100-"), ("if-range", "\"v0\"")], Send(All)),
            (Method::GET, &[("range", "bytes=0-1"), ("range", "bytes=2-3")], Send(All)),
            (Method::HEAD, &[("range", "bytes=0-9")], Send(All)),
        ];
        for (method, fields, wanted) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in *fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(answer(method, &headers, "\"v1\"", 100), *wanted, "{method} {fields:?}");
        }
    }
}
