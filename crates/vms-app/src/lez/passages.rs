//! What zones and stretches have in common: reads at two ends, pairs of them, and the round that decides.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use traffic_rules::{PlateReading, plate_type};
use vms_core::{Country, FindingId, OrgId, Purpose, RetentionClass, TimeRange, WallTime};

use super::batch::{Round, country_of};
use super::places::{End, Places};
use super::service::ReadService;
use crate::error::UseCaseError;
use crate::gate::Permit;
use crate::gate::action::DecodeAnpr;
use crate::lez_ports::{FindingFile, FindingMeasure, NewFinding, Settled, Settlement, StoredRead, Tally, WaitingRead};

/// Reads of one round.
pub(super) const ROUND_MAX: u32 = 500;

/// What one read came to.
pub(super) type Came = Result<Option<Tally>, UseCaseError>;

/// The best country of a read, and how the plate was read.
pub(super) fn reading_of(read: &StoredRead) -> (Country, PlateReading) {
    let (country, country_sure) = country_of(&read.facts.countries);
    let classified = plate_type(&read.facts.plate, country);
    let reading = PlateReading {
        kind: classified.kind,
        corrected: read.facts.corrected,
        country_sure,
        auto_accept: classified.auto_accept,
        confirmed: false,
    };
    (country, reading)
}

/// What a finding of a passage is made of.
pub(super) struct Candidate {
    pub(super) measure: FindingMeasure,
    pub(super) vehicle: String,
    pub(super) authority: OrgId,
    pub(super) slot: String,
    pub(super) class: RetentionClass,
    pub(super) file: FindingFile,
}

/// One round of a purpose. Idempotent: a read is settled once, whoever runs it.
pub(super) struct Due {
    pub(super) permit: Arc<Permit<DecodeAnpr>>,
    pub(super) places: Places,
    pub(super) waiting: Vec<WaitingRead>,
}

impl Round {
    /// Counts what a read came to.
    pub(super) fn add(&mut self, came: Option<Tally>) {
        match came {
            Some(tally) => *self.decided.entry(tally.as_str()).or_default() += 1,
            None => self.waiting += 1,
        }
    }
}

impl ReadService {
    /// Every read of a purpose that is due, and where cameras stand.
    pub(super) async fn passages_due(&self, purpose: Purpose) -> Result<Due, UseCaseError> {
        let permit = self.permit().await?;
        let waiting = self.store.read_waiting(&permit, purpose, self.cases.now(), ROUND_MAX).await?;
        let places = if waiting.is_empty() { Places::default() } else { self.cases.places(purpose).await? };
        Ok(Due { permit, places, waiting })
    }

    /// The leaf of a round.
    pub(super) async fn passages_done(
        &self,
        due: &Due,
        round: &Round,
        (operation, rule_set): (&'static str, &str),
    ) -> Result<(), UseCaseError> {
        if round.decided.is_empty() {
            return Ok(());
        }
        let details = json!({
            "decision": due.permit.decision().to_string(), "rule_set": rule_set, "outcomes": round.decided,
        });
        self.cases.record(operation, audit::LeafKind::Batch, None, details).await
    }

    /// Undecided reads of the same plate at one end of a place, by time.
    pub(super) async fn at_end(
        &self,
        (permit, places, purpose): (&Permit<DecodeAnpr>, &Places, Purpose),
        read: &StoredRead,
        (code, end): (&str, End),
        (from, to): (WallTime, WallTime),
    ) -> Result<Vec<StoredRead>, UseCaseError> {
        let Some(range) = TimeRange::new(from, to) else { return Ok(Vec::new()) };
        let mut same = self.store.read_same(permit, purpose, &read.facts.plate, range).await?;
        same.retain(|other| places.is_at(other.camera, code, end));
        Ok(same)
    }

    /// Erases a read and counts it.
    pub(super) async fn drop_read(
        &self,
        permit: &Permit<DecodeAnpr>,
        purpose: Purpose,
        read: &StoredRead,
        tally: Tally,
    ) -> Came {
        self.settle_passage(permit, purpose, (read, None), tally, None).await
    }

    /// Erases the read (and that of the other end), counts, and makes the finding. `None`: somebody else did.
    pub(super) async fn settle_passage(
        &self,
        permit: &Permit<DecodeAnpr>,
        purpose: Purpose,
        (read, exit): (&StoredRead, Option<&StoredRead>),
        tally: Tally,
        candidate: Option<Candidate>,
    ) -> Came {
        let authority = candidate.as_ref().map(|candidate| candidate.authority);
        let finding = match candidate {
            None => None,
            Some(candidate) => {
                let term_us = self.cases.term_us(&candidate.class, self.cases.now())?;
                Some(Box::new(NewFinding {
                    id: FindingId::from_uuid(self.cases.ids.uuid()),
                    measure: candidate.measure,
                    vehicle: candidate.vehicle,
                    authority: Some(candidate.authority),
                    slot: candidate.slot,
                    class: candidate.class,
                    expires_at: WallTime::from_micros(read.at.micros.saturating_add(term_us)),
                    file: candidate.file,
                }))
            }
        };
        let settlement = Settlement {
            purpose,
            read: read.read,
            exit: exit.cloned(),
            camera: read.camera,
            at: read.at,
            tally,
            finding,
        };
        match self.store.read_settle(permit, &settlement).await? {
            Settled::Counted => Ok(Some(tally)),
            Settled::SameDay => Ok(Some(Tally::SameDay)),
            Settled::Gone => Ok(None),
            Settled::Found(id) => {
                if let Some(authority) = authority {
                    self.cases.finding_event(purpose, authority, id, "open").await;
                }
                Ok(Some(tally))
            }
        }
    }

    /// Comes back to a read at that time.
    pub(super) async fn wait_until(&self, purpose: Purpose, read: &StoredRead, until: WallTime) -> Came {
        // Never at once: a round would come back to it for ever.
        let until = until.max(self.cases.now().plus(Duration::from_secs(1)));
        self.store.read_postpone(purpose, &[read.read], until).await?;
        Ok(None)
    }
}
