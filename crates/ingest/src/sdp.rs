//! The few things we read ourselves from a session description (RFC 8866): parameter sets and packetisation of one format.
//!
//! `retina` reads descriptions too, but keeps one parameter set of each kind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// Longest parameter set taken from a description, bytes of base64. Real ones are below 300.
const SET_TEXT_MAX: usize = 8 * 1024;
/// Most parameter sets taken.
const SETS_MAX: usize = 64;

/// What the format parameters of one payload type say.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FormatParameters {
    /// Parameter sets, in order: video, sequence, picture.
    pub sets: Vec<Bytes>,
    /// Access units may come out of order (H.264 `packetization-mode=2`, H.265 `sprop-max-don-diff` above 0).
    pub is_interleaved: bool,
}

/// Finds `a=fmtp` of `payload_type` in a whole description. Whatever does not parse is left out.
pub fn format_parameters(sdp: &[u8], payload_type: u8) -> FormatParameters {
    let text = String::from_utf8_lossy(sdp);
    let prefix = format!("{payload_type} ");
    let mut found = FormatParameters::default();
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("a=fmtp:")
            && let Some(parameters) = value.strip_prefix(prefix.as_str())
        {
            read_parameters(parameters, &mut found);
        }
    }
    found
}

fn read_parameters(text: &str, found: &mut FormatParameters) {
    for pair in text.split(';') {
        let Some((key, value)) = pair.trim().split_once('=') else { continue };
        read_parameter(key, value.trim(), found);
    }
}

/// One `key=value` of the format parameters (RFC 6184 section 8.1, RFC 7798 section 7.1). GStreamer's caps carry the same.
pub fn read_parameter(key: &str, value: &str, found: &mut FormatParameters) {
    match key.to_ascii_lowercase().as_str() {
        "sprop-parameter-sets" | "sprop-vps" | "sprop-sps" | "sprop-pps" => {
            for set in value.split(',').filter(|set| set.len() <= SET_TEXT_MAX) {
                if found.sets.len() < SETS_MAX
                    && let Ok(bytes) = STANDARD.decode(set)
                    && !bytes.is_empty()
                {
                    found.sets.push(bytes.into());
                }
            }
        }
        "packetization-mode" => found.is_interleaved |= value == "2",
        "sprop-max-don-diff" => found.is_interleaved |= value.parse::<u32>().is_ok_and(|diff| diff > 0),
        _ => {}
    }
}

/// Feeds foreign bytes to the reader (fuzz target and corpus test).
pub fn fuzz_sdp(data: &[u8]) {
    let found = format_parameters(data, 96);
    assert!(found.sets.len() <= SETS_MAX, "the number of sets should be capped");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_packetisation_are_found() {
        for (sdp, sets, interleaved) in [
            (
                "a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LAHg==,aM4=;profile-level-id=42c01e\r\n",
                2,
                false,
            ),
            ("a=fmtp:96 packetization-mode=2;sprop-parameter-sets=Z0LAHg==\r\n", 1, true),
            ("a=fmtp:97 sprop-parameter-sets=Z0LAHg==\r\n", 0, false),
            ("a=fmtp:96 sprop-vps=QAE=;sprop-sps=QgE=;sprop-pps=RAE=,RAE=; sprop-max-don-diff=0", 4, false),
            ("a=fmtp:96 sprop-max-don-diff=3", 0, true),
            ("a=fmtp:96 sprop-parameter-sets=!!!,,=;x", 0, false),
            ("", 0, false),
        ] {
            let got = format_parameters(sdp.as_bytes(), 96);
            assert_eq!((got.sets.len(), got.is_interleaved), (sets, interleaved), "{sdp}");
            fuzz_sdp(sdp.as_bytes());
        }
        let got = format_parameters(b"a=fmtp:96 sprop-parameter-sets=Z0LAHg==,aM4=", 96);
        assert_eq!(got.sets, [Bytes::from_static(&[0x67, 0x42, 0xc0, 0x1e]), Bytes::from_static(&[0x68, 0xce])]);
        fuzz_sdp(&[0xff, 0xfe, b'\n', 0]);
    }
}
