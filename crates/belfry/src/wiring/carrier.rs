//! Carries what a recorder must account for into the log of uses: every 10 s one leaf for all segments that were closed, one for
//! those that were erased, one for gaps that ended; and one for each of its deletion records.
//!
//! Each record stands in the log exactly once, whatever is killed: the newest leaf of a kind says how far its source was carried, and
//! the segments that a leaf named are noted in the database before the next leaf is written. After an error or a restart both are
//! read again first.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use audit::LeafKind;
use audit::rules::{SegmentTold, segments_root};
use link::message::GapRow;
use link::message::records::{DeletionRow, RecordsAsk, RecordsPage, ToldSegment};
use link::{Connection, Control, Role};
use serde_json::json;
use sha2::Digest as _;
use tokio::net::UnixStream;
use vms_app::UseCases;
use vms_app::gate::{AuditLog as _, LogEntry};
use vms_store::Store;
use vms_store::log::{Sequencer, carry};

/// Rows of one page: the details of one leaf stay far below what a leaf may have.
const PAGE: u32 = 500;
/// Pages of one round; more waits for the next.
const PAGES_MAX: u32 = 20;
/// Longest wait for one answer of the recorder.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// A deletion record longer than this goes into the log as its digest.
const LINE_MAX: usize = 64 * 1024;
/// Name of the source in leaves and cursors.
const SOURCE: &str = "recorder-0";
/// Its cursor beside that of the index copy.
const CURSOR: &str = "log/recorder-0";

const SEGMENTS: &str = "segments";
const ERASED: &str = "segments_erased";
const GAPS: &str = "gaps";
const DELETION: &str = "deletion_record";

#[derive(Debug, Default)]
struct State {
    connection: Option<Connection<UnixStream>>,
    /// Cursor of segments and gaps, and name of the last deletion record; `None`: to be read from the log again.
    at: Option<(u64, String)>,
}

/// Carries the records of one recorder.
#[derive(Debug)]
pub(crate) struct LogCarrier {
    cases: Arc<UseCases>,
    store: Arc<Store>,
    log: Sequencer,
    socket: PathBuf,
    state: tokio::sync::Mutex<State>,
}

impl LogCarrier {
    pub(crate) fn new(cases: Arc<UseCases>, store: Arc<Store>, log: Sequencer, socket: PathBuf) -> Self {
        Self { cases, store, log, socket, state: tokio::sync::Mutex::default() }
    }

    /// One round. After an error the next one finds out first what reached the log.
    pub(crate) async fn round(&self) -> anyhow::Result<()> {
        let mut state = self.state.lock().await;
        let (connection, at) = (state.connection.take(), state.at.take());
        let Some(mut at) = (match at {
            Some(at) => Some(at),
            None => self.recall().await?,
        }) else {
            return Ok(());
        };
        let mut connection = match connection {
            Some(connection) => connection,
            None => link::connect(&self.socket, Role::Serve, 0, Role::Recorder).await.context("connecting")?,
        };
        self.deletions(&mut connection, &mut at.1).await?;
        self.told(&mut connection, &mut at.0).await?;
        *state = State { connection: Some(connection), at: Some(at) };
        Ok(())
    }

    /// Where the log is with this source; `None` while details of leaves are still on their way into the database.
    async fn recall(&self) -> anyhow::Result<Option<(u64, String)>> {
        if carry::copied(&self.store).await? < self.log.size() {
            return Ok(None);
        }
        for operation in [SEGMENTS, ERASED, GAPS] {
            if let Some((leaf, details)) = carry::newest(&self.store, operation, SOURCE).await? {
                let items: Vec<String> = serde_json::from_value(details.get("items").cloned().unwrap_or_default())?;
                carry::tell(&self.store, &items, leaf).await?;
            }
        }
        let last = carry::newest(&self.store, DELETION, SOURCE).await?;
        let last = last.and_then(|(_, details)| Some(details.get("record")?.as_str()?.to_owned()));
        Ok(Some((self.cases.stores().catalogue_cursor(CURSOR).await?, last.unwrap_or_default())))
    }

    async fn ask(&self, connection: &mut Connection<UnixStream>, ask: RecordsAsk) -> anyhow::Result<RecordsPage> {
        let asking = connection.ask(Control::AskRecords(ask));
        let answer = tokio::time::timeout(ANSWER_MAX, asking).await.context("the recorder does not answer")??;
        let Control::Records(page) = answer else { anyhow::bail!("the recorder did not tell its records: {answer:?}") };
        Ok(page)
    }

    async fn deletions(&self, connection: &mut Connection<UnixStream>, after: &mut String) -> anyhow::Result<()> {
        for _ in 0..PAGES_MAX {
            let ask = RecordsAsk::Deletions { after: after.clone(), limit: PAGE };
            let RecordsPage::Deletions { rows } = self.ask(connection, ask).await? else {
                anyhow::bail!("the recorder answered out of turn");
            };
            let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(0);
            for DeletionRow { record, line } in rows {
                let digest = hex::encode(sha2::Sha256::digest(line.as_bytes()));
                let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                let said = if line.len() > LINE_MAX { json!({ "batch": said.get("batch") }) } else { said };
                let details = json!({ "source": SOURCE, "record": record, "sha256": digest, "line": said });
                self.write(LeafKind::Erase, DELETION, details).await?;
                *after = record;
            }
            if is_last {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn told(&self, connection: &mut Connection<UnixStream>, cursor: &mut u64) -> anyhow::Result<()> {
        for _ in 0..PAGES_MAX {
            let ask = RecordsAsk::Told { after: *cursor, limit: PAGE };
            let RecordsPage::Told { segments, gaps, cursor: next } = self.ask(connection, ask).await? else {
                anyhow::bail!("the recorder answered out of turn");
            };
            if next == *cursor {
                return Ok(());
            }
            self.segments(&segments).await?;
            self.erased(&segments).await?;
            self.gaps(&gaps).await?;
            self.cases.stores().catalogue_apply(CURSOR, &[], &[], next).await?;
            *cursor = next;
        }
        Ok(())
    }

    /// Of `all`, what stands in no leaf yet, each with the name of its item.
    async fn fresh<T>(&self, all: Vec<(String, T)>) -> anyhow::Result<Vec<(String, T)>> {
        let names: Vec<String> = all.iter().map(|(item, _)| item.clone()).collect();
        let told = carry::told(&self.store, &names).await?;
        Ok(all.into_iter().filter(|(item, _)| !told.contains(item)).collect())
    }

    async fn segments(&self, rows: &[ToldSegment]) -> anyhow::Result<()> {
        let all = rows.iter().map(|row| (format!("{} told", row.segment), row)).collect();
        let (items, rows): (Vec<String>, Vec<_>) = self.fresh(all).await?.into_iter().unzip();
        if rows.is_empty() {
            return Ok(());
        }
        let segments: Vec<SegmentTold> = rows
            .into_iter()
            .map(|row| SegmentTold {
                segment: row.segment.clone(),
                stream: row.stream.clone(),
                camera: row.camera.clone(),
                from_us: row.from_us,
                to_us: row.to_us,
                delete_by_us: row.delete_by_us,
                digest: row.digest.clone().unwrap_or_else(|| "-".to_owned()),
            })
            .collect();
        let details =
            json!({ "source": SOURCE, "root": segments_root(&segments), "segments": segments, "items": items });
        let leaf = self.write(LeafKind::Batch, SEGMENTS, details).await?;
        Ok(carry::tell(&self.store, &items, leaf).await?)
    }

    async fn erased(&self, rows: &[ToldSegment]) -> anyhow::Result<()> {
        let erased = |row: &ToldSegment| {
            let at = row.erased_us?;
            let said = json!({ "segment": row.segment, "stream": row.stream, "erased_us": at });
            Some((format!("{} erased", row.segment), said))
        };
        let fresh = self.fresh(rows.iter().filter_map(erased).collect()).await?;
        self.list(LeafKind::Erase, ERASED, "segments", fresh).await
    }

    async fn gaps(&self, rows: &[GapRow]) -> anyhow::Result<()> {
        let ended = |row: &GapRow| {
            let to_us = row.to_us.filter(|to| *to > row.from_us)?;
            let said = json!({ "stream": row.stream, "from_us": row.from_us, "to_us": to_us, "cause": row.cause });
            Some((format!("{} {} gap", row.stream, row.from_us), said))
        };
        let fresh = self.fresh(rows.iter().filter_map(ended).collect()).await?;
        self.list(LeafKind::Gap, GAPS, "gaps", fresh).await
    }

    async fn list(
        &self,
        kind: LeafKind,
        operation: &str,
        name: &str,
        fresh: Vec<(String, serde_json::Value)>,
    ) -> anyhow::Result<()> {
        if fresh.is_empty() {
            return Ok(());
        }
        let (items, said): (Vec<String>, Vec<_>) = fresh.into_iter().unzip();
        let details = json!({ "source": SOURCE, name: said, "items": items });
        let leaf = self.write(kind, operation, details).await?;
        Ok(carry::tell(&self.store, &items, leaf).await?)
    }

    async fn write(&self, kind: LeafKind, operation: &str, details: serde_json::Value) -> anyhow::Result<u64> {
        let at = self.cases.clock().now();
        let details = json!({ "operation": operation, "actor": null, "details": details });
        let entry = LogEntry { kind, at, decision: None, refers: None, details };
        self.log.append(entry).await.map_err(|error| anyhow::anyhow!(error)).context("writing a leaf")
    }
}
