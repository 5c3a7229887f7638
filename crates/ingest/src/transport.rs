//! The port through which frames come in, whatever library does the talking.

use std::fmt;
use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use link::Cause;
use vms_core::{Codec, WallTime};
use zeroize::Zeroizing;

use crate::depacketize::Frame;
use crate::guard::PinnedUrl;

/// A camera's log-in. Wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub user: String,
    /// Password.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Checked and pinned address.
    pub url: PinnedUrl,
    /// Log-in, where the camera wants one.
    pub credentials: Option<Credentials>,
    /// From dialling to the answer to PLAY.
    pub connect_max: Duration,
}

/// What the camera offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Codec of the one stream that was set up.
    pub codec: Codec,
    /// Parameter sets from the session description: used until the stream brings its own.
    pub described_sets: Vec<Bytes>,
    /// Sound was offered. It is never set up.
    pub offers_audio: bool,
}

/// Why a session ended or did not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// For the recorder and the operator.
    pub cause: Cause,
    /// One plain sentence for the log; holds no address, no credentials and no bytes of the camera.
    pub detail: String,
}

impl Failure {
    /// Puts the two together.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }
}

/// What a transport tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// PLAY was answered.
    Connected(SessionInfo),
    /// One access unit.
    Frame(Frame),
    /// A sender report: the camera's wall time at an unwrapped RTP time.
    SenderReport {
        /// The camera's clock.
        wall: WallTime,
        /// The same clock of pictures as [`Frame::ticks`].
        ticks: i64,
    },
    /// The session is over, or did not begin.
    Lost(Failure),
}

/// One way to a camera. Holds at most one session.
///
/// [`Transport::connect`] and [`Transport::disconnect`] return at once; the work happens in [`Transport::poll_next`]. After
/// `disconnect`, and after [`Event::Lost`], `poll_next` is pending until the next `connect` and yields nothing of the old
/// session.
pub trait Transport: Send + fmt::Debug {
    /// Begins a session in place of any that is open.
    fn connect(&mut self, dial: Dial);

    /// The next event.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event>;

    /// Ends the session; the camera is told in the background.
    fn disconnect(&mut self);

    /// Waits until the camera has been told, where that is known.
    fn farewell(&self) -> BoxFuture<'static, ()>;
}

/// The next event as a future. Cancel safe.
pub fn next_event(transport: &mut dyn Transport) -> impl Future<Output = Event> {
    std::future::poll_fn(move |cx| transport.poll_next(cx))
}
