//! The session description of one stream (RFC 4566, RFC 6184 section 8.1, RFC 7798 section 7.1).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use vms_core::Codec;

use crate::film::Film;
use crate::rtp::VIDEO_PAYLOAD_TYPE;

/// Track name of the picture.
pub(super) const VIDEO_TRACK: &str = "trackID=0";
/// Track name of the sound that nobody may ask for.
pub(super) const AUDIO_TRACK: &str = "trackID=1";

/// The description; with `audio` it also offers a PCMU track.
pub(super) fn describe(film: &Film, audio: bool) -> String {
    let mut text = String::from(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=Belfry simulator\r\nt=0 0\r\na=control:*\r\na=range:npt=now-\r\n",
    );
    put(&mut text, &format!("m=video 0 RTP/AVP {VIDEO_PAYLOAD_TYPE}"));
    put(&mut text, "c=IN IP4 0.0.0.0");
    let name = match film.codec() {
        Codec::H264 => "H264",
        Codec::H265 => "H265",
    };
    put(&mut text, &format!("a=rtpmap:{VIDEO_PAYLOAD_TYPE} {name}/90000"));
    put(&mut text, &format!("a=fmtp:{VIDEO_PAYLOAD_TYPE} {}", format_parameters(film)));
    put(&mut text, &format!("a=control:{VIDEO_TRACK}"));
    if audio {
        put(&mut text, "m=audio 0 RTP/AVP 0");
        put(&mut text, "a=rtpmap:0 PCMU/8000");
        put(&mut text, &format!("a=control:{AUDIO_TRACK}"));
    }
    text
}

fn put(text: &mut String, line: &str) {
    write!(text, "{line}\r\n").expect("writing to a string should not fail");
}

fn format_parameters(film: &Film) -> String {
    let params = film.params();
    let list = |sets: &[Bytes]| sets.iter().map(|s| BASE64.encode(s)).collect::<Vec<_>>().join(",");
    match film.codec() {
        Codec::H264 => {
            let profile = params.sps.first().and_then(|sps| sps.get(1..4)).map(hex::encode_upper).unwrap_or_default();
            let sets: Vec<Bytes> = params.sps.iter().chain(&params.pps).cloned().collect();
            format!("packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={}", list(&sets))
        }
        Codec::H265 => {
            format!("sprop-vps={};sprop-sps={};sprop-pps={}", list(&params.vps), list(&params.sps), list(&params.pps))
        }
    }
}
