//! One batch of fines with one record, kept in memory: for tests of the routes. What a store really does stands in `vms-store`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use vms_app::fines_ports::{
    AnswerCounts, Candidate, FineDesk, FineHeld, FineKind, FineLine, FineOpen, FineParts, FinePermit, FineRun,
    FineSeal, FineStore, FineTotals, FineWaits, HandedOver, KeptAnswer, KeptHolder, NewFineLine,
};
use vms_app::lez_ports::{Finding, PictureKind};
use vms_app::ports::StoreError;
use vms_core::{FindingId, TimeRange, WallTime};

use crate::town::instant;

/// The run that is there, of the day before the town's.
pub(crate) const RUN: &str = "fines-20261121T0000Z-20261122T0000Z";
/// Its record.
pub(crate) const OFFENCE: &str = "ofc_1";
/// Who works it.
pub(crate) const HOLDER: &str = "thejobthejob";

/// Whether the record has left.
#[derive(Debug, Default)]
struct Batch(AtomicBool);

fn the_run() -> FineRun {
    FineRun {
        id: RUN.to_owned(),
        kind: FineKind::Lez,
        authority: None,
        chain: 1,
        previous: String::new(),
        range: TimeRange::new(instant("2026-11-21T00:00:00Z"), instant("2026-11-22T00:00:00Z")).unwrap(),
        opened_at: instant("2026-11-22T01:00:00Z"),
        rule_set: "lez-test".to_owned(),
        totals: FineTotals { taken: 1, records: 1, fines: 1, amount_cents: 35_000, ..FineTotals::default() },
        waits: Some(FineWaits { approved: 1, ..FineWaits::default() }),
        signed: None,
        answers: AnswerCounts::default(),
    }
}

#[async_trait]
impl FineStore for Batch {
    async fn fine_candidates(
        &self,
        _permit: &FinePermit,
        _range: TimeRange,
        _limit: u32,
    ) -> Result<Vec<Candidate>, StoreError> {
        Ok(Vec::new())
    }

    async fn fine_waits(&self, _permit: &FinePermit, _range: TimeRange) -> Result<FineWaits, StoreError> {
        Ok(FineWaits::default())
    }

    async fn fine_earlier(
        &self,
        _permit: &FinePermit,
        _finding: &Finding,
        _to: WallTime,
    ) -> Result<Option<WallTime>, StoreError> {
        Ok(None)
    }

    async fn fine_waiting(&self, _permit: &FinePermit, _before: WallTime) -> Result<FineOpen, StoreError> {
        Ok(FineOpen::default())
    }

    async fn fine_history(&self, _vehicle: &str) -> Result<Vec<HandedOver>, StoreError> {
        Ok(Vec::new())
    }

    async fn fine_superseded(&self, _finding: FindingId) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn fine_picture(
        &self,
        _permit: &FinePermit,
        _id: FindingId,
        _kind: PictureKind,
    ) -> Result<Option<Bytes>, StoreError> {
        Ok(Some(Bytes::from_static(b"\xff\xd8masked")))
    }

    async fn fine_open(
        &self,
        _permit: &FinePermit,
        _run: &FineRun,
        _lines: &[NewFineLine],
        _held: &[FineHeld],
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn fine_run(&self, _permit: &FinePermit, id: &str) -> Result<Option<FineRun>, StoreError> {
        Ok((id == RUN).then(the_run))
    }

    async fn fine_runs(&self, _permit: &FinePermit, _limit: u32) -> Result<Vec<FineRun>, StoreError> {
        Ok(vec![the_run()])
    }

    async fn fine_hold(&self, _id: &str, holder: &str, _now: WallTime, _until: WallTime) -> Result<bool, StoreError> {
        Ok(holder == HOLDER)
    }

    async fn fine_lines(
        &self,
        _permit: &FinePermit,
        _run: &str,
        after: u64,
        _limit: u32,
    ) -> Result<Vec<FineLine>, StoreError> {
        let line = FineLine {
            position: 1,
            finding: FindingId::from_bytes([7; 16]),
            offence: Some(OFFENCE.to_owned()),
            pictures: vec![PictureKind::Crop],
            left_at: self.0.load(Ordering::Relaxed).then(|| instant("2026-11-22T02:00:00Z")),
            ended: None,
            is_damaged: false,
            text: r#"{"plate":"1AAA111"}"#.to_owned(),
        };
        Ok((after == 0).then_some(line).into_iter().collect())
    }

    async fn fine_left(&self, _run: &FineRun, _span: (u64, u64), _at: WallTime) -> Result<(), StoreError> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn fine_void(&self, _run: &FineRun) -> Result<(), StoreError> {
        Ok(())
    }

    async fn fine_sign(&self, _run: &FineRun, _manifest_sha256: &str, _at: WallTime) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn fine_answered(&self, offence: &str) -> Result<Option<KeptAnswer>, StoreError> {
        let kept = KeptAnswer {
            run: RUN.to_owned(),
            kind: FineKind::Lez,
            authority: None,
            is_signed: true,
            has_ended: false,
            answer: None,
        };
        Ok((offence == OFFENCE).then_some(kept))
    }

    async fn fine_answer(
        &self,
        _offence: &str,
        _answer: (&str, Option<&str>),
        _at: WallTime,
        _ends: Option<WallTime>,
    ) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn fine_holder(&self, _permit: &FinePermit, _id: FindingId) -> Result<Option<KeptHolder>, StoreError> {
        Ok(None)
    }

    async fn fine_holds(&self, _finding: FindingId) -> Result<bool, StoreError> {
        Ok(false)
    }
}

#[derive(Debug)]
struct Desk;

impl FineDesk for Desk {
    fn is_masked(&self, _jpeg: &[u8]) -> bool {
        true
    }

    fn seal(&self, _run: &FineRun, _manifest: &[u8], _lines: &[u8], _rejects: &[u8]) -> Result<FineSeal, &'static str> {
        Ok(FineSeal { signature: [1; 64], key: [2; 32] })
    }

    fn seal_again(&self, _manifest: &[u8]) -> FineSeal {
        FineSeal { signature: [1; 64], key: [2; 32] }
    }
}

/// For [`crate::town::Town::with_parts`].
pub(crate) fn parts() -> FineParts {
    FineParts::new(Arc::new(Batch::default()), Arc::new(Desk))
}
