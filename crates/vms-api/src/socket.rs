//! One viewer's WebSocket: `vms.fmp4.v1`.
//!
//! Overflow policy: a viewer has [`QUEUE_MAX`] messages; when it is full, frames are left out until a key frame fits again,
//! and the viewer is told how many (*drop newest*: live video is worthless late). What is no frame waits, at most
//! [`SEND_MAX`], and then the viewer is let go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use vms_app::live::LiveSession;
use vms_app::ports::{Clock, LiveEvent};
use vms_app::words::{Cause, EndWhy};

/// The sub-protocol.
pub const PROTOCOL: &str = "vms.fmp4.v1";
/// Before the ticket, which is offered as a sub-protocol of its own and never chosen.
pub const TICKET_PREFIX: &str = "ticket.";
/// Messages that may wait for one viewer: a group of pictures of 10 s at 50 frames/s, which the live origin hands over at
/// once when a viewer joins.
pub const QUEUE_MAX: usize = 512;
/// Largest message that a viewer may send; nothing is expected but pongs.
pub const INCOMING_MAX: usize = 1_024;
/// Bytes before each frame.
pub const HEADER_LEN: usize = 32;
/// Longest wait for one message to leave.
const SEND_MAX: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(15);
/// A viewer that answers no ping for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Longest wait, after the close, for a viewer to say that it read everything (RFC 6455, 7.1.1).
const CLOSING_MAX: Duration = Duration::from_secs(10);
const VERSION: u8 = 1;
const FLAG_KEY: u8 = 1;
const FLAG_DISCONTINUITY: u8 = 2;

/// What waits for one viewer.
#[derive(Debug)]
enum Item {
    Text(String),
    Init { head: String, bytes: Bytes },
    Frame { head: FrameHead, bytes: Bytes },
}

/// The fixed header, all but the sending time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Decoding can start here.
    pub is_key: bool,
    /// The time line jumps.
    pub discontinuity: bool,
    /// Init segment that it needs.
    pub init: u16,
    /// Rising.
    pub seq: u64,
    /// Capture, microseconds.
    pub captured_us: i64,
}

impl FrameHead {
    /// The 32 bytes, big endian.
    pub fn encode(self, sent_us: i64) -> [u8; HEADER_LEN] {
        let flags = if self.is_key { FLAG_KEY } else { 0 } | if self.discontinuity { FLAG_DISCONTINUITY } else { 0 };
        let mut out = BytesMut::with_capacity(HEADER_LEN);
        out.put_u8(flags);
        out.put_u8(VERSION);
        out.put_u16(self.init);
        out.put_u32(0);
        out.put_u64(self.seq);
        out.put_i64(self.captured_us);
        out.put_i64(sent_us);
        let mut fixed = [0_u8; HEADER_LEN];
        fixed.iter_mut().zip(out).for_each(|(slot, byte)| *slot = byte);
        fixed
    }
}

/// Which frames a slow viewer gets. Pure.
#[derive(Debug, Default)]
pub struct Skipper {
    skipping: bool,
    dropped: u32,
}

impl Skipper {
    /// `Some(n)` to send this frame, after telling of `n` dropped ones; `None` to leave it out.
    pub fn admit(&mut self, is_key: bool, has_room: bool) -> Option<u32> {
        if !has_room || (self.skipping && !is_key) {
            self.skipping = true;
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        self.skipping = false;
        Some(std::mem::take(&mut self.dropped))
    }
}

#[derive(Debug, Default)]
struct Counts {
    units: AtomicU64,
    bytes: AtomicU64,
}

/// Runs one viewer to its end, and writes the closing leaf.
pub async fn relay(socket: WebSocket, mut live: LiveSession, clock: Arc<dyn Clock>) {
    let (sink, stream) = socket.split();
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    let gone = CancellationToken::new();
    let counts = Arc::new(Counts::default());
    let mut sender = tokio::spawn(send_all(sink, waiting, Arc::clone(&counts), clock, gone.clone()));
    let mut reader = tokio::spawn(read_all(stream, gone.clone()));
    let why = pump(&mut live, &queue, &gone).await;
    drop(queue);
    // What waits still goes out, `end` last; a viewer that does not take it is cut off.
    let told = tokio::time::timeout(SEND_MAX, &mut sender).await;
    let until = tokio::time::Instant::now() + CLOSING_MAX;
    if !matches!(told, Ok(Ok(true))) {
        sender.abort();
        reader.abort();
    }
    gone.cancel();
    live.delivered(counts.units.load(Ordering::Relaxed), counts.bytes.load(Ordering::Relaxed));
    if let Err(error) = live.finish(why).await {
        tracing::error!(%error, "a live view ended; its closing leaf waits for the log");
    }
    // A connection that is closed with a pong on its way is reset, and the reset takes the `end` that the viewer has not
    // read yet. So it stays, read and silent, until the viewer answers the close or is gone.
    if tokio::time::timeout_at(until, &mut reader).await.is_err() {
        reader.abort();
    }
}

/// From the session into the queue, until either side ends.
async fn pump(live: &mut LiveSession, queue: &mpsc::Sender<Item>, gone: &CancellationToken) -> EndWhy {
    let mut skipper = Skipper::default();
    loop {
        let event = tokio::select! {
            biased;
            () = gone.cancelled() => return EndWhy::Stopped,
            event = live.next() => event,
        };
        let Some(event) = event else { return EndWhy::Stopped };
        let sent = match event {
            LiveEvent::Frame { is_key, discontinuity, init, seq, captured_at, bytes } => {
                let head = FrameHead { is_key, discontinuity, init, seq, captured_us: captured_at.micros };
                // Room for the frame and for the word about dropped ones.
                match skipper.admit(is_key, queue.capacity() >= 2) {
                    None => Ok(()),
                    Some(0) => put(queue, Item::Frame { head, bytes }).await,
                    Some(frames) => {
                        metrics::counter!("belfry_live_frames_dropped_total").increment(u64::from(frames));
                        match put(queue, Item::Text(drop_text(frames))).await {
                            Ok(()) => put(queue, Item::Frame { head, bytes }).await,
                            Err(why) => Err(why),
                        }
                    }
                }
            }
            LiveEvent::Init { init, mime, width, height, bytes } => {
                let head = json!({ "t": "init", "init": init, "mime": mime, "width": width, "height": height });
                put(queue, Item::Init { head: head.to_string(), bytes }).await
            }
            LiveEvent::Drop { frames } => put(queue, Item::Text(drop_text(frames))).await,
            LiveEvent::State { phase, cause } => {
                let text = json!({ "t": "state", "phase": phase.as_str(), "cause": cause.map(Cause::as_str) });
                put(queue, Item::Text(text.to_string())).await
            }
            LiveEvent::End { why } => {
                let told = put(queue, Item::Text(json!({ "t": "end", "why": why.as_str() }).to_string())).await;
                return told.err().unwrap_or(why);
            }
        };
        if let Err(why) = sent {
            return why;
        }
    }
}

fn drop_text(frames: u32) -> String {
    json!({ "t": "drop", "frames": frames }).to_string()
}

async fn put(queue: &mpsc::Sender<Item>, item: Item) -> Result<(), EndWhy> {
    match tokio::time::timeout(SEND_MAX, queue.send(item)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(EndWhy::Stopped),
    }
}

/// From the queue onto the wire; whether all of it and the close went out.
async fn send_all(
    mut sink: SplitSink<WebSocket, Message>,
    mut waiting: mpsc::Receiver<Item>,
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
    gone: CancellationToken,
) -> bool {
    let mut is_closed = false;
    let mut ping = tokio::time::interval(PING_EVERY);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let item = tokio::select! {
            biased;
            () = gone.cancelled() => break,
            item = waiting.recv() => item,
            _ = ping.tick() => {
                if !send(&mut sink, Message::Ping(Bytes::new())).await {
                    break;
                }
                continue;
            }
        };
        let fine = match item {
            None => {
                let close = Message::Close(Some(CloseFrame { code: 1000, reason: "".into() }));
                // The viewer may be gone already: either way this is the end.
                is_closed = send(&mut sink, close).await;
                break;
            }
            Some(Item::Text(text)) => send(&mut sink, Message::Text(text.into())).await,
            Some(Item::Init { head, bytes }) => {
                send(&mut sink, Message::Text(head.into())).await && send(&mut sink, Message::Binary(bytes)).await
            }
            Some(Item::Frame { head, bytes }) => {
                let mut out = BytesMut::with_capacity(HEADER_LEN + bytes.len());
                out.put_slice(&head.encode(clock.now().micros));
                out.put_slice(&bytes);
                let fine = send(&mut sink, Message::Binary(out.freeze())).await;
                if fine {
                    counts.units.fetch_add(1, Ordering::Relaxed);
                    counts.bytes.fetch_add(u64::try_from(bytes.len()).unwrap_or(0), Ordering::Relaxed);
                }
                fine
            }
        };
        if !fine {
            break;
        }
    }
    gone.cancel();
    is_closed
}

async fn send(sink: &mut SplitSink<WebSocket, Message>, message: Message) -> bool {
    matches!(tokio::time::timeout(SEND_MAX, sink.send(message)).await, Ok(Ok(())))
}

/// Watches for the viewer's close; anything but pongs ends it.
async fn read_all(mut stream: SplitStream<WebSocket>, gone: CancellationToken) {
    while let Ok(Some(Ok(Message::Pong(_) | Message::Ping(_)))) = tokio::time::timeout(SILENCE_MAX, stream.next()).await
    {
    }
    gone.cancel();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_32_bytes_big_endian() {
        let head = FrameHead { is_key: true, discontinuity: false, init: 2, seq: 3, captured_us: 4 };
        let wanted = [1, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5];
        assert_eq!(head.encode(5), wanted);
    }

    #[test]
    fn a_slow_viewer_goes_on_at_a_key_frame() {
        let mut skipper = Skipper::default();
        let frames = [
            (true, true, Some(0)),
            (false, true, Some(0)),
            (false, false, None),
            (false, true, None),
            (true, false, None),
            (false, true, None),
            (true, true, Some(4)),
            (false, true, Some(0)),
        ];
        for (at, (is_key, has_room, wanted)) in frames.into_iter().enumerate() {
            assert_eq!(skipper.admit(is_key, has_room), wanted, "frame {at}");
        }
    }
}
