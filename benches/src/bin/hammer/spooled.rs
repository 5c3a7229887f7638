//! A reader with a full spool and no camera: gives what `serve` asks for, and remembers what was acknowledged.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use link::message::{ReadRow, ReaderCamera};
use link::socket::LinkListener;
use link::{Connection, Control, LinkError, Message, Role};
use registry::stub::fleet;
use sim::traffic::Passage;
use tokio::net::UnixStream;
use vms_core::{Country, ReadId};

/// The day, and how far it went.
pub(crate) struct Feed {
    day: Vec<Passage>,
    begins_us: i64,
    offered: AtomicU64,
    acknowledged: AtomicU64,
    cameras: Mutex<Vec<ReaderCamera>>,
}

impl Feed {
    /// A day that began then, µs since 1970.
    pub(crate) fn new(day: Vec<Passage>, begins_us: i64) -> Self {
        let (offered, acknowledged, cameras) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::default());
        Self { day, begins_us, offered, acknowledged, cameras }
    }

    pub(crate) fn len(&self) -> usize {
        self.day.len()
    }

    /// The first `count` reads may be asked for.
    pub(crate) fn offer(&self, count: u64) {
        self.offered.store(count, Ordering::Release);
    }

    /// Reads that are durable at the other side.
    pub(crate) fn taken(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    pub(crate) fn cameras(&self) -> usize {
        self.cameras.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn row(&self, index: u64) -> Option<ReadRow> {
        let passage = self.day.get(usize::try_from(index).ok()?)?;
        let cameras = self.cameras.lock().unwrap_or_else(PoisonError::into_inner);
        let camera = cameras.get(usize::from(passage.camera) % cameras.len().max(1))?;
        let plate = fleet::plate(passage.vehicle % fleet::FLEET_SIZE)?;
        Some(ReadRow {
            spool: index + 1,
            read: ReadId::from_bytes(u128::from(index + 1).to_be_bytes()).to_string(),
            camera: camera.camera.clone(),
            stream: camera.stream.clone(),
            at_us: self.begins_us.saturating_add(i64::from(passage.at_ms).saturating_mul(1_000)),
            plate: plate.reveal().to_owned(),
            countries: vec![(Country::BELGIUM.as_str().to_owned(), 995_000)],
            confidence: 999_000,
            corrected: false,
            direction: "leaving".to_owned(),
            looks: 5,
            corners: [0.0; 8],
            model: "hammer".to_owned(),
            crop_len: 0,
            overview_len: 0,
            clock: None,
        })
    }
}

/// The socket of the reader.
pub(crate) struct Spooled;

impl Spooled {
    /// Answers on `path` for the rest of the program.
    pub(crate) fn serve(path: &Path, feed: Arc<Feed>) -> anyhow::Result<()> {
        let own = rustix::process::geteuid().as_raw();
        let listener = LinkListener::bind(path, Role::Reader, vec![own]).context("the socket of the reader")?;
        tokio::spawn(async move {
            while let Ok(stream) = listener.accept().await {
                let feed = Arc::clone(&feed);
                tokio::spawn(async move {
                    if let Err(error) = attend(stream, &feed).await
                        && !matches!(error, LinkError::Closed)
                    {
                        crate::say(&format!("  serve left the reader: {error}"));
                    }
                });
            }
        });
        Ok(())
    }
}

async fn attend(stream: UnixStream, feed: &Feed) -> Result<(), LinkError> {
    let mut peer = link::socket::greet(stream, Role::Reader, 0).await?;
    loop {
        let request = peer.receiver.recv_control().await?;
        answer(&mut peer, request, feed).await?;
    }
}

async fn answer(peer: &mut Connection<UnixStream>, request: Control, feed: &Feed) -> Result<(), LinkError> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "everything else is asked of other roles")]
    match request {
        Control::ReaderAssign { mut cameras } => {
            cameras.sort_by(|one, other| one.camera.cmp(&other.camera));
            *feed.cameras.lock().unwrap_or_else(PoisonError::into_inner) = cameras;
            peer.sender.send(Control::Done).await
        }
        Control::ReadsSince { limit, .. } => {
            let from = feed.taken();
            let to = feed.offered.load(Ordering::Acquire).min(from + u64::from(limit));
            for row in (from..to).filter_map(|index| feed.row(index)) {
                peer.sender.push(&Control::Read(row).into());
                peer.sender.push(&Message::Bytes(Bytes::new()));
                peer.sender.push(&Message::Bytes(Bytes::new()));
                peer.sender.flush().await?;
            }
            peer.sender.send(Control::Done).await
        }
        Control::ReadsAck { upto, .. } => {
            feed.acknowledged.store(upto, Ordering::Release);
            peer.sender.send(Control::Done).await
        }
        Control::ReaderHealth => {
            let spooled = feed.offered.load(Ordering::Acquire).saturating_sub(feed.taken());
            let report = Control::ReaderReport { cameras: Vec::new(), spooled, problem: None, clocks: Vec::new() };
            peer.sender.send(report).await
        }
        _ => peer.sender.send(Control::Refused { code: "hammer".to_owned(), detail: String::new() }).await,
    }
}
