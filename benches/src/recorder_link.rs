//! What a running recorder says of itself, asked at its own socket as `serve` does.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use link::message::StreamHealth;
use link::{Control, GapRow, Message, Role, SegmentRow};

/// Rows asked for at once.
const PAGE: u32 = 1_000;

/// Everything that the index of a recorder holds.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// By id.
    pub segments: BTreeMap<String, SegmentRow>,
    /// By stream and start.
    pub gaps: BTreeMap<(String, i64), GapRow>,
    /// Where the next question goes on.
    pub cursor: u64,
    /// Segments that were told to be closed, and later to be something else.
    pub revoked: Vec<String>,
}

impl Rows {
    fn take(&mut self, row: SegmentRow) {
        if let Some(old) = self.segments.get(&row.segment)
            && old.closed
            && (!row.closed || old.digest != row.digest)
        {
            self.revoked.push(row.segment.clone());
        }
        self.segments.insert(row.segment.clone(), row);
    }
}

async fn ask(run: &Path, question: Control) -> anyhow::Result<Control> {
    let work = async {
        let mut recorder = link::connect(&run.join("recorder.sock"), Role::Serve, 0, Role::Recorder).await?;
        recorder.sender.send(question).await?;
        loop {
            if let Message::Control(answer) = recorder.receiver.recv().await? {
                return anyhow::Ok(*answer);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), work).await.context("the recorder does not answer")?
}

/// Health of every stream.
///
/// # Errors
/// The recorder does not answer within 5 s.
pub async fn health(run: &Path) -> anyhow::Result<Vec<StreamHealth>> {
    let answer = ask(run, Control::Health).await?;
    if let Control::HealthReport { streams, .. } = answer {
        Ok(streams)
    } else {
        bail!("the recorder answered {answer:?}")
    }
}

/// Takes in what changed since the last time.
///
/// # Errors
/// The recorder does not answer within 5 s a page.
pub async fn follow(run: &Path, rows: &mut Rows) -> anyhow::Result<()> {
    loop {
        let question = Control::IndexSince { after: rows.cursor, limit: PAGE };
        let answer = ask(run, question).await?;
        let Control::IndexPage { segments, gaps, cursor } = answer else { bail!("the recorder answered {answer:?}") };
        if cursor == rows.cursor {
            return Ok(());
        }
        rows.cursor = cursor;
        segments.into_iter().for_each(|row| rows.take(row));
        rows.gaps.extend(gaps.into_iter().map(|row| ((row.stream.clone(), row.from_us), row)));
    }
}
