//! The mark of the camera whose bytes are being parsed, and the transport that leaves it.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use ingest::{Dial, Event, Transport, TransportFactory};
use link::TransportKind;
use vms_core::StreamId;

/// Length of a stream id's text, `str_` and 32 hexadecimal digits.
const LEN: usize = 36;

/// The open file; written before the process confines itself, kept open after.
#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
    last: Mutex<Option<Turn>>,
}

/// Whose turn it is; `None`: a probe's, which is no camera of the list.
type Turn = Option<StreamId>;

impl Mark {
    /// Opens the file empty.
    ///
    /// # Errors
    /// Of the disk.
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        let file = File::options().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        Ok(Self { file, last: Mutex::new(None) })
    }

    /// From now on it is this stream's turn. Nothing is written while the turn stays the same.
    fn set(&self, turn: Turn) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == Some(turn) {
            return;
        }
        let text = turn.map_or_else(|| "-".repeat(LEN), |stream| stream.to_string());
        // A full disk must not stop a camera; the keeper then blames nobody.
        if self.file.write_at(text.as_bytes(), 0).is_ok() {
            *last = Some(turn);
        }
    }
}

/// Whose turn it was when the process died; `None` when it had not turned to any camera.
pub(crate) fn read(path: &Path) -> Option<StreamId> {
    let text = std::fs::read_to_string(path).ok()?;
    text.get(..LEN)?.parse().ok()
}

/// The normal transport under a mark, and no other kind.
#[derive(Debug)]
pub(crate) struct MarkedFactory {
    /// None outside of a keeper (the gateway).
    pub(crate) mark: Option<Arc<Mark>>,
    /// Measures what a session keeps in memory; opened before the process confines itself.
    pub(crate) memory: Option<Arc<ingest::Memory>>,
    /// Debug builds only: the file that names the stream at which the process kills itself, for the test of the keeper.
    pub(crate) abort_file: Option<PathBuf>,
}

impl TransportFactory for MarkedFactory {
    fn make(&self, kind: TransportKind) -> Option<Box<dyn Transport>> {
        self.make_for(None, kind)
    }

    fn make_for(&self, stream: Option<StreamId>, kind: TransportKind) -> Option<Box<dyn Transport>> {
        let inner = match kind {
            TransportKind::Retina => ingest::RetinaTransport::new(self.memory.clone()),
            TransportKind::GstTcp | TransportKind::GstUdp => return None,
        };
        let Some(mark) = self.mark.clone() else { return Some(Box::new(inner)) };
        let wanted = self.abort_file.as_deref().and_then(read);
        let kills = cfg!(debug_assertions) && wanted.is_some() && wanted == stream;
        Some(Box::new(Marked { inner, turn: stream, mark, kills }))
    }
}

#[derive(Debug)]
struct Marked<T> {
    inner: T,
    turn: Turn,
    mark: Arc<Mark>,
    kills: bool,
}

impl<T: Transport> Transport for Marked<T> {
    fn connect(&mut self, dial: Dial) {
        self.inner.connect(dial);
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        // What is done with the event after this, such as reading its parameter sets, still is this stream's turn.
        self.mark.set(self.turn);
        let event = self.inner.poll_next(cx);
        if self.kills && matches!(event, Poll::Ready(Event::Frame(_))) {
            std::process::abort();
        }
        event
    }

    fn disconnect(&mut self) {
        self.inner.disconnect();
    }

    fn farewell(&self) -> BoxFuture<'static, ()> {
        self.inner.farewell()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_names_the_last_stream() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ingest-0.at");
        assert_eq!(read(&path), None);
        let mark = Mark::create(&path).unwrap();
        assert_eq!(read(&path), None);
        for byte in [1, 2, 2, 1] {
            let stream = StreamId::from_bytes([byte; 16]);
            assert_eq!(stream.to_string().len(), LEN);
            mark.set(Some(stream));
            assert_eq!(read(&path), Some(stream));
        }
        mark.set(None);
        assert_eq!(read(&path), None, "a probe is nobody's turn");
        drop(Mark::create(&path).unwrap());
        assert_eq!(read(&path), None, "a fresh process has turned to nobody yet");
    }
}
