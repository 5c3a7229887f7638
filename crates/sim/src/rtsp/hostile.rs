//! Bytes of a camera that means harm; each ends by itself or when the client gives up.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::Hostile;
use super::message::Request;

/// Tracks in a session description bomb.
const BOMB_TRACKS: usize = 100_000;
/// Bytes of a header that never ends, before the simulator itself gives up.
const ENDLESS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Sends the misbehaviour as answer to `request`.
pub(super) async fn answer(
    kind: Hostile,
    request: &Request,
    out: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let cseq = request.header("cseq").unwrap_or("1");
    match kind {
        Hostile::Garbage => {
            let noise: Vec<u8> = (0..4096_u64).flat_map(|n| crate::mix(n).to_be_bytes()).collect();
            out.write_all(&noise).await
        }
        Hostile::EndlessHeader => {
            out.write_all(format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nX-Endless: ").as_bytes()).await?;
            let chunk = vec![b'a'; 64 * 1024];
            for _ in 0..ENDLESS_BYTES_MAX / chunk.len() {
                out.write_all(&chunk).await?;
            }
            Ok(())
        }
        Hostile::HugeBody => {
            let head = format!(
                "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\nContent-Length: 4294967295\r\n\r\n"
            );
            out.write_all(head.as_bytes()).await?;
            out.write_all(&[b'v'; 16]).await
        }
        Hostile::TrackBomb => {
            let mut body = String::from("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n");
            body.push_str(&"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t\r\n".repeat(BOMB_TRACKS));
            let head = format!(
                "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            out.write_all(head.as_bytes()).await?;
            out.write_all(body.as_bytes()).await
        }
        Hostile::RedirectToLoopback => {
            let head = format!("RTSP/1.0 302 Found\r\nCSeq: {cseq}\r\nLocation: rtsp://127.0.0.1:22/\r\n\r\n");
            out.write_all(head.as_bytes()).await
        }
        Hostile::SlowLoris => {
            for byte in
                format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n").bytes()
            {
                out.write_all(&[byte]).await?;
                out.flush().await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        }
    }
}
