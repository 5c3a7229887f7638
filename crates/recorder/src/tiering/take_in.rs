//! An index that was rebuilt from the local media lacks what only a tier has. The head of each object, its closing record and the records
//! between its fragments say what the row needs; the fragments themselves are not read.

use std::sync::Arc;

use keys::SegmentOpener;
use tiers::Mover;
use vms_core::{MonoTime, SegmentId};

use super::{CompareError, Inner};
use crate::catalogue::{Batch, GapChange, SegmentState};
use crate::format::read::{self, Head, ReadError, Source};
use crate::format::{Closing, FragmentEntry, Kind, RECORD_HEADER, RECORD_MAGIC, SegmentHeader, TAG, TRAILER};
use crate::plan::segment_path;

/// Rows of the ledger looked at together.
const PAGE: usize = 500;
/// The closing record of a segment is shorter than this: a row for each second of two minutes, with room to spare.
const CLOSING_MAX: u64 = 256 * 1024;

impl Inner {
    /// Brings into the index what only the tiers have. Done once for each index, and again after the ledger grew by a listing.
    pub(super) async fn take_in(&self, mover: &Arc<Mover>) -> Result<(), CompareError> {
        let index = &self.copies.index;
        if index.has_taken_in_away().await? {
            return Ok(());
        }
        let (mut after, mut taken, mut left) = (None, 0_u64, 0_u64);
        loop {
            let rows = mover.ledger().only_in_tiers(after, PAGE).await.map_err(tiers::PassError::from)?;
            let Some(last) = rows.last() else { break };
            after = Some(last.facts.segment);
            let ids: Vec<SegmentId> = rows.iter().map(|row| row.facts.segment).collect();
            let known = index.rows_of(&ids).await?;
            let mut batch = Batch::default();
            for row in rows.iter().filter(|row| !known.iter().any(|known| known.at.segment == row.facts.segment)) {
                match self.read_row(mover, row.facts.segment).await? {
                    Ok((state, gaps)) => {
                        batch.segments.push(state);
                        batch.gaps.extend(gaps);
                        taken += 1;
                    }
                    Err(error) => {
                        tracing::warn!(segment = %row.facts.segment, %error, "a segment in a tier cannot be read: it is not in the index");
                        left += 1;
                    }
                }
            }
            index.take_in_away(&batch).await?;
        }
        if taken + left > 0 {
            tracing::info!(taken, left, "segments that only a tier has were taken into the index");
        }
        index.set_taken_in_away(left == 0).await?;
        Ok(())
    }

    async fn read_row(
        &self,
        mover: &Arc<Mover>,
        segment: SegmentId,
    ) -> Result<Result<(SegmentState, Vec<GapChange>), ReadError>, CompareError> {
        let (mover, vault, runtime) =
            (Arc::clone(mover), Arc::clone(&self.copies.vault), tokio::runtime::Handle::current());
        let read = tokio::task::spawn_blocking(move || {
            let file = tiers::SegmentFile::open(mover, segment, runtime).map_err(std::io::Error::other)?;
            state_of(&Object(file), &mut |header| vault.opener(header).ok().flatten())
        });
        read.await.map_err(|_| CompareError::Ended)
    }
}

struct Object(tiers::SegmentFile);

impl Source for Object {
    fn length(&self) -> std::io::Result<u64> {
        Ok(self.0.len())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        self.0.read_exact_at(into, at)
    }
}

/// What the index holds of a closed segment, from its head, its closing record and what lies between its fragments. The digest over
/// everything is left out: it would take all bytes.
///
/// # Errors
/// [`ReadError`].
pub(super) fn state_of(
    source: &impl Source,
    opener: &mut dyn FnMut(&SegmentHeader) -> Option<SegmentOpener>,
) -> Result<(SegmentState, Vec<GapChange>), ReadError> {
    let head = read::head(source)?;
    let key = opener(&head.header);
    let (closing_at, closing) = find_closing(source, &head, key.as_ref())?;
    let gaps = gaps_between(source, &head, key.as_ref(), (&closing.entries, closing_at));
    let header = &head.header;
    let (last_seq, last_mono) = closing.entries.last().map_or((0, header.mono), |entry| {
        let length_us = u64::try_from(closing.end.micros_since(header.wall)).unwrap_or(0);
        let seq = entry.seq.saturating_add(u64::from(entry.units)).saturating_sub(1);
        (seq, MonoTime { micros: header.mono.micros.saturating_add(length_us) })
    });
    let state = SegmentState {
        segment: header.segment,
        stream: header.stream,
        camera: header.camera,
        class: header.class.clone(),
        // As after any rebuilding: the sweeper takes the class's present term.
        keep_s: 0,
        path: segment_path(header.stream, header.segment, header.wall),
        from: header.wall,
        to: closing.end,
        key_epoch: header.key_epoch,
        epoch: header.epoch,
        boot: header.boot,
        last_seq,
        last_mono,
        payload: closing.payload,
        file_len: source.length()?,
        units: closing.units,
        entries: closing.entries,
        sets: Vec::new(),
        closing_at: Some(closing_at),
        digest: None,
        flags: closing.flags,
    };
    Ok((state, gaps))
}

/// The closing record ends with the file: it is looked for from the end.
fn find_closing(source: &impl Source, head: &Head, key: Option<&SegmentOpener>) -> Result<(u64, Closing), ReadError> {
    let len = source.length()?;
    let start = len.saturating_sub(CLOSING_MAX).max(head.len);
    let mut tail = vec![0; usize::try_from(len.saturating_sub(start)).unwrap_or(0)];
    source.read_at(start, &mut tail)?;
    let places = tail.windows(RECORD_MAGIC.len()).enumerate().rev();
    for (place, _) in places.filter(|(_, window)| window == RECORD_MAGIC) {
        let at = start.saturating_add(u64::try_from(place).unwrap_or(u64::MAX));
        let Ok(record) = read::record(source, head, key, at) else { continue };
        if record.next != len || record.kind != Kind::Closing {
            continue;
        }
        if let Some(closing) = read::closing(&record.body) {
            return Ok((at, closing));
        }
    }
    Err(ReadError::Record { at: start })
}

/// Holes stand between fragments whose numbers leave one out. Without a key they stay unknown.
fn gaps_between(
    source: &impl Source,
    head: &Head,
    key: Option<&SegmentOpener>,
    (entries, closing_at): (&[FragmentEntry], u64),
) -> Vec<GapChange> {
    let tag = if head.header.key_epoch == 0 { 0 } else { TAG };
    let around = u64::try_from(RECORD_HEADER + tag + TRAILER).unwrap_or(u64::MAX);
    let ends = entries.iter().map(|entry| entry.at.saturating_add(entry.body_len()).saturating_add(around));
    let froms = std::iter::once(head.len).chain(ends);
    let tos = entries.iter().map(|entry| entry.at).chain(std::iter::once(closing_at));
    let mut gaps = Vec::new();
    for (mut at, to) in froms.zip(tos) {
        while at < to {
            let Ok(record) = read::record(source, head, key, at) else { break };
            if let (Kind::Gap, Some(hole)) = (record.kind, read::gap(&record.body)) {
                let stream = head.header.stream;
                gaps.push(GapChange { stream, from: hole.from, to: Some(hole.to), cause: hole.cause });
            }
            at = record.next;
        }
    }
    gaps
}
