//! An open span of footage over `link`. Whoever looks may turn away in the middle of an answer (every jump in a player does):
//! the exchange that is under way goes on to its end all the same, or its rest would be taken for the next answer.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use link::{Connection, Control, LinkError, Message, PartRow, RangeAsk, Role};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tracing::Instrument as _;
use vms_app::ports::{MediaError, RangeForm, RangeHandle, RangeInfo, RangePart, RangeParts};
use vms_core::{StreamId, TimeRange, WallTime};

use super::convert;
use super::media_port::{ANSWER_MAX, granted, out_of_turn, refused, unavailable, within};

/// What an open span is asked for is asked over this connection; `None` once an exchange on it did not come to its end.
type Slot = Arc<Mutex<Option<Connection<UnixStream>>>>;

/// What was opened, to open it again.
#[derive(Clone, Debug)]
struct Opened {
    path: PathBuf,
    stream: StreamId,
    range: TimeRange,
    form: RangeForm,
    etag: String,
}

/// A span that a recorder holds open.
#[derive(Debug)]
pub(super) struct LinkRange {
    info: RangeInfo,
    opened: Opened,
    connection: Slot,
}

async fn ask_range(
    connection: &mut Connection<UnixStream>,
    capability: String,
    stream: StreamId,
    range: TimeRange,
    form: RangeForm,
) -> Result<RangeInfo, MediaError> {
    let (stream, from_us, to_us) = (stream.to_string(), range.from.micros, range.to.micros);
    let request = match form {
        RangeForm::Whole => Control::OpenRange { capability, stream, from_us, to_us },
        RangeForm::Preview => Control::Range(RangeAsk::OpenPreview { capability, stream, from_us, to_us }),
    };
    let answer = granted(within(ANSWER_MAX, connection.ask(request)).await?)?;
    let Control::RangeInfo { size, etag, mime, starts_us, ends_us, gaps, start_offset_us, clock } = answer else {
        return Err(out_of_turn());
    };
    let ends_at = WallTime::from_micros(ends_us);
    let gaps = gaps.iter().map(|gap| convert::timeline_gap(gap, ends_at)).collect();
    let clock = clock.into_iter().map(|(media_us, wall_us)| (media_us, WallTime::from_micros(wall_us))).collect();
    let starts_at = WallTime::from_micros(starts_us);
    Ok(RangeInfo { size, etag, mime, starts_at, ends_at, gaps, start_offset_us, clock })
}

/// Bytes of the open span. The recorder answers with runs of bytes and `Done`.
async fn read_bytes(
    connection: &mut Connection<UnixStream>,
    capability: String,
    ask: Control,
) -> Result<Bytes, MediaError> {
    let work = async {
        if let Err(refusal) = granted(connection.ask(Control::Renew { capability }).await?) {
            return Ok(Err(refusal));
        }
        connection.sender.send(ask).await?;
        let mut out = BytesMut::new();
        loop {
            match connection.receiver.recv().await? {
                Message::Bytes(run) => out.extend_from_slice(&run),
                Message::Control(control) => {
                    if let Control::End { why, .. } = *control {
                        return Ok(Err(refused(why, "the span was closed".to_owned())));
                    }
                    return match granted(*control) {
                        Ok(Control::Done) => Ok(Ok(out.freeze())),
                        Ok(_) => Err(LinkError::Malformed),
                        Err(refusal) => Ok(Err(refusal)),
                    };
                }
                Message::Unit(..) | Message::Fragment(_) => return Err(LinkError::Malformed),
            }
        }
    };
    within(ANSWER_MAX, work).await?
}

/// All parts of the open span, page by page.
async fn read_parts(connection: &mut Connection<UnixStream>, capability: String) -> Result<RangeParts, MediaError> {
    granted(within(ANSWER_MAX, connection.ask(Control::Renew { capability })).await?)?;
    let mut out = RangeParts::default();
    loop {
        let after = u32::try_from(out.parts.len()).unwrap_or(u32::MAX);
        let ask = Control::Range(RangeAsk::Parts { after });
        let answer = granted(within(ANSWER_MAX, connection.ask(ask)).await?)?;
        let Control::Range(RangeAsk::Page { parts, total, inits }) = answer else { return Err(out_of_turn()) };
        for init in inits {
            let bytes = STANDARD.decode(init).map_err(|_| out_of_turn())?;
            out.inits.push(bytes.into());
        }
        let is_last = parts.is_empty();
        out.parts.extend(parts.iter().map(part_of));
        if is_last || u32::try_from(out.parts.len()).is_ok_and(|known| known >= total) {
            return Ok(out);
        }
    }
}

fn part_of(row: &PartRow) -> RangePart {
    let micros = |ticks: u64| ticks.saturating_mul(100).saturating_add(4) / 9;
    RangePart {
        at: row.at,
        size: row.size,
        shows_us: micros(row.shows),
        length_us: micros(row.ticks),
        at_wall: WallTime::from_micros(row.wall_us),
        init: row.init,
        is_key: row.is_key,
        is_jump: row.jump,
    }
}

/// Bytes `[start, end)` of the open span, all of them.
async fn read_run(
    connection: &mut Connection<UnixStream>,
    capability: String,
    start: u64,
    end: u64,
) -> Result<Bytes, MediaError> {
    let run = read_bytes(connection, capability, Control::ReadRange { start, end }).await?;
    let is_whole = u64::try_from(run.len()).is_ok_and(|length| length == end.saturating_sub(start));
    if is_whole { Ok(run) } else { Err(out_of_turn()) }
}

/// One picture of a preview.
async fn read_picture(
    connection: &mut Connection<UnixStream>,
    capability: String,
    number: u32,
) -> Result<Bytes, MediaError> {
    let picture = read_bytes(connection, capability, Control::Range(RangeAsk::ReadPart { number })).await?;
    if picture.is_empty() { Err(out_of_turn()) } else { Ok(picture) }
}

impl Opened {
    /// The recorder died meanwhile; the same span of closed footage is the same virtual file again.
    async fn again(&self, capability: &str) -> Result<Connection<UnixStream>, MediaError> {
        let mut connection = link::connect(&self.path, Role::Serve, 0, Role::Recorder).await.map_err(unavailable)?;
        let info = ask_range(&mut connection, capability.to_owned(), self.stream, self.range, self.form).await?;
        if info.etag == self.etag {
            Ok(connection)
        } else {
            Err(refused("range_changed".to_owned(), "the footage of the span changed".to_owned()))
        }
    }

    /// One exchange, a second time on a new connection if the first broke. Only a connection whose exchange ended in order is kept.
    async fn exchange<T>(
        &self,
        slot: &mut Option<Connection<UnixStream>>,
        capability: String,
        work: impl for<'a> Fn(&'a mut Connection<UnixStream>, String) -> BoxFuture<'a, Result<T, MediaError>>,
    ) -> Result<T, MediaError> {
        if let Some(mut connection) = slot.take() {
            match work(&mut connection, capability.clone()).await {
                Err(MediaError::Unavailable(error)) => {
                    tracing::debug!(%error, "the recorder was gone; opening the span again");
                }
                outcome => {
                    *slot = Some(connection);
                    return outcome;
                }
            }
        }
        let mut connection = self.again(&capability).await?;
        let outcome = work(&mut connection, capability).await;
        if !matches!(outcome, Err(MediaError::Unavailable(_))) {
            *slot = Some(connection);
        }
        outcome
    }
}

impl LinkRange {
    /// Connects to the recorder at `path` and opens the span.
    ///
    /// # Errors
    /// [`MediaError`].
    pub(super) async fn open(
        path: PathBuf,
        capability: String,
        stream: StreamId,
        range: TimeRange,
        form: RangeForm,
    ) -> Result<Self, MediaError> {
        let mut connection = link::connect(&path, Role::Serve, 0, Role::Recorder).await.map_err(unavailable)?;
        let info = ask_range(&mut connection, capability, stream, range, form).await?;
        let opened = Opened { path, stream, range, form, etag: info.etag.clone() };
        Ok(Self { info, opened, connection: Arc::new(Mutex::new(Some(connection))) })
    }

    /// One exchange that comes to its end also when its caller is dropped. A caller that is dropped before its turn asks nothing.
    async fn to_its_end<T: Send + 'static>(
        &self,
        capability: String,
        work: impl for<'a> Fn(&'a mut Connection<UnixStream>, String) -> BoxFuture<'a, Result<T, MediaError>>
        + Send
        + Sync
        + 'static,
    ) -> Result<T, MediaError> {
        let mut slot = Arc::clone(&self.connection).lock_owned().await;
        let opened = self.opened.clone();
        let exchange = async move { opened.exchange(&mut slot, capability, work).await };
        let ended = tokio::spawn(exchange.in_current_span()).await;
        ended.unwrap_or_else(|gone| Err(MediaError::Unavailable(gone.into())))
    }
}

#[async_trait]
impl RangeHandle for LinkRange {
    fn info(&self) -> &RangeInfo {
        &self.info
    }

    async fn read(&self, capability: String, start: u64, end: u64) -> Result<Bytes, MediaError> {
        let end = end.min(self.info.size);
        self.to_its_end(capability, move |connection, capability| {
            Box::pin(read_run(connection, capability, start, end))
        })
        .await
    }

    async fn parts(&self, capability: String) -> Result<RangeParts, MediaError> {
        self.to_its_end(capability, |connection, capability| Box::pin(read_parts(connection, capability))).await
    }

    async fn picture(&self, capability: String, number: u32) -> Result<Bytes, MediaError> {
        self.to_its_end(capability, move |connection, capability| {
            Box::pin(read_picture(connection, capability, number))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::UnixListener;
    use tokio::sync::Notify;

    use super::*;

    /// Where the recorder of a test stands still, or goes wrong, once.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Trouble {
        StopsBeforeRenewed,
        StopsInTheMiddle,
        HangsUp,
        SaysDoneTooEarly,
    }

    #[derive(Debug)]
    struct Recorder {
        trouble: Trouble,
        connections: AtomicUsize,
        is_over: std::sync::atomic::AtomicBool,
        reached: Notify,
        go_on: Notify,
    }

    fn run(start: u64, end: u64) -> Bytes {
        (start..end).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<_>>().into()
    }

    impl Recorder {
        /// Whether the trouble is now; stands still there if it is one of those.
        async fn strikes(&self, trouble: Trouble) -> bool {
            if self.trouble != trouble || self.is_over.swap(true, Ordering::SeqCst) {
                return false;
            }
            if matches!(trouble, Trouble::StopsBeforeRenewed | Trouble::StopsInTheMiddle) {
                self.reached.notify_one();
                self.go_on.notified().await;
            }
            true
        }

        async fn answer(&self, stream: UnixStream) -> Result<(), LinkError> {
            let mut connection = link::socket::greet(stream, Role::Recorder, 0).await?;
            loop {
                let asked = connection.receiver.recv_control().await?;
                if let Control::OpenRange { from_us, to_us, .. } = asked {
                    let info = Control::RangeInfo {
                        size: 1_000,
                        etag: "same".to_owned(),
                        mime: "video/mp4".to_owned(),
                        starts_us: from_us,
                        ends_us: to_us,
                        gaps: vec![],
                        start_offset_us: 0,
                        clock: vec![],
                    };
                    connection.sender.send(info).await?;
                    continue;
                }
                if let Control::ReadRange { start, end } = asked {
                    if self.strikes(Trouble::HangsUp).await {
                        return Ok(());
                    }
                    if !self.strikes(Trouble::SaysDoneTooEarly).await {
                        let middle = start.midpoint(end);
                        connection.sender.send(Message::Bytes(run(start, middle))).await?;
                        self.strikes(Trouble::StopsInTheMiddle).await;
                        connection.sender.send(Message::Bytes(run(middle, end))).await?;
                    }
                } else {
                    assert!(matches!(asked, Control::Renew { .. }), "{asked:?}");
                    self.strikes(Trouble::StopsBeforeRenewed).await;
                }
                connection.sender.send(Control::Done).await?;
            }
        }

        async fn start(trouble: Trouble) -> (tempfile::TempDir, Arc<Self>, Arc<LinkRange>) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("recorder.sock");
            let listener = UnixListener::bind(&path).unwrap();
            let recorder = Arc::new(Self {
                trouble,
                connections: AtomicUsize::new(0),
                is_over: false.into(),
                reached: Notify::new(),
                go_on: Notify::new(),
            });
            let serving = Arc::clone(&recorder);
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    serving.connections.fetch_add(1, Ordering::SeqCst);
                    let serving = Arc::clone(&serving);
                    tokio::spawn(async move { serving.answer(stream).await });
                }
            });
            let span = TimeRange::new(WallTime::from_secs(0), WallTime::from_secs(10)).unwrap();
            let stream = StreamId::from_bytes([7; 16]);
            let range = LinkRange::open(path, String::new(), stream, span, RangeForm::Whole).await.unwrap();
            (dir, recorder, Arc::new(range))
        }
    }

    #[tokio::test]
    async fn a_viewer_that_turns_away_leaves_no_rest_in_the_next_answer() {
        for trouble in [Trouble::StopsBeforeRenewed, Trouble::StopsInTheMiddle] {
            let (_dir, recorder, range) = Recorder::start(trouble).await;
            let given_up = Arc::clone(&range);
            let reading = tokio::spawn(async move { given_up.read(String::new(), 0, 400).await });
            recorder.reached.notified().await;
            reading.abort();
            assert!(reading.await.unwrap_err().is_cancelled());
            recorder.go_on.notify_one();
            for (start, end) in [(400, 700), (100, 200), (900, 2_000)] {
                let got = range.read(String::new(), start, end).await.unwrap();
                assert_eq!(got, run(start, end.min(1_000)), "{trouble:?} {start}");
            }
            assert_eq!(recorder.connections.load(Ordering::SeqCst), 1, "{trouble:?}: the connection is still good");
        }
    }

    #[tokio::test]
    async fn an_answer_that_broke_is_asked_for_again_on_a_new_connection() {
        for trouble in [Trouble::HangsUp, Trouble::SaysDoneTooEarly] {
            let (_dir, recorder, range) = Recorder::start(trouble).await;
            for (start, end) in [(0, 400), (400, 700)] {
                assert_eq!(
                    range.read(String::new(), start, end).await.unwrap(),
                    run(start, end),
                    "{trouble:?} {start}"
                );
            }
            assert_eq!(recorder.connections.load(Ordering::SeqCst), 2, "{trouble:?}");
        }
    }
}
