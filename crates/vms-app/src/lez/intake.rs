//! Reads from the reader: one copy per purpose of their camera, durable before they are acknowledged.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use traffic_rules::trajectory::TrajectoryCode;
use vms_core::{CameraId, OrgId, Purpose, RetentionClass, Right, WallTime};

use super::class;
use super::service::ReadService;
use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::Permit;
use crate::gate::action::DecodeAnpr;
use crate::lez_ports::{CopyFate, NewRead, PurposeCopy};
use crate::model::EventScope;
use crate::words::EventKind;

const HOUR_US: i64 = 3_600_000_000;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Copies kept now.
    pub copies: u64,
    /// Reads of cameras that are not, or no longer, to be read, or for nothing that they could come to.
    pub not_assigned: u64,
    /// Reads that arrived after the end of their term.
    pub too_late: u64,
}

/// When a copy is erased, and the key of its hour at the latest.
struct CopyTerm {
    expires_at: WallTime,
    key_ends_at: WallTime,
}

/// Start of the hour: where a term is days, a copy and its key end one term after it, so nothing outlives its class.
fn hour_start(at: WallTime) -> WallTime {
    WallTime::from_micros(at.micros.div_euclid(HOUR_US).saturating_mul(HOUR_US))
}

/// Class of a purpose's copy; `None` for a purpose that reads are not copied for.
const fn class_of(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::Lez => Some("RC-LEZ-RAW"),
        Purpose::PublicOrder => Some("RC-ANPR-POL"),
        Purpose::Zbt => Some("RC-ZBT-OK"),
        Purpose::Trajectory => Some("RC-TRJ-PASS"),
        Purpose::Intervention
        | Purpose::Investigation
        | Purpose::MissingPerson
        | Purpose::Traffic
        | Purpose::Event
        | Purpose::Crisis
        | Purpose::FireMedical
        | Purpose::Technical
        | Purpose::Audit
        | Purpose::Complaint => None,
    }
}

impl UseCases {
    /// `None`: nothing can come of a copy for this purpose, so none is made. The term of a passage is shorter than an hour: it counts from the
    /// read, and the key of the hour lives until the last copy of it is erased (and no longer, once the hour is over).
    async fn copy_term(
        &self,
        read: &NewRead,
        purpose: Purpose,
        class: &RetentionClass,
        now: WallTime,
    ) -> Result<Option<CopyTerm>, UseCaseError> {
        let start = hour_start(read.at);
        if purpose != Purpose::Zbt && purpose != Purpose::Trajectory {
            let ends = WallTime::from_micros(start.micros.saturating_add(self.term_us(class, now)?));
            return Ok(Some(CopyTerm { expires_at: ends, key_ends_at: ends }));
        }
        let Some(span_us) = self.passage_us(read, purpose, class, now).await? else { return Ok(None) };
        let expires_at = WallTime::from_micros(read.at.micros.saturating_add(span_us));
        let key_ends_at = WallTime::from_micros(start.micros.saturating_add(HOUR_US).saturating_add(span_us));
        Ok(Some(CopyTerm { expires_at, key_ends_at }))
    }

    /// How long an undecided passage may be kept, µs; `None` where its camera stands in no zone and at no end of a usable stretch.
    async fn passage_us(
        &self,
        read: &NewRead,
        purpose: Purpose,
        class: &RetentionClass,
        now: WallTime,
    ) -> Result<Option<i64>, UseCaseError> {
        let places = self.places(purpose).await?;
        let Some(place) = places.of(read.camera) else { return Ok(None) };
        if purpose == Purpose::Zbt {
            return self.term_us(class, now).map(Some);
        }
        let traffic = self.traffic()?;
        let ends = traffic.roads.pairing_ends(&TrajectoryCode::new(place.code.as_str()), read.at);
        Ok(ends.map(|ends| ends.micros_since(read.at)))
    }

    /// Compares police copies with watchlists, the known ones too: a hit that a crash came before is made by the delivery that follows it.
    async fn hits_take(
        &self,
        permit: &Permit<DecodeAnpr>,
        copies: &[PurposeCopy],
        now: WallTime,
    ) -> Result<(), UseCaseError> {
        for hit in self.lez_store()?.hit_take(permit, copies, now).await? {
            self.hit_found(&hit).await?;
            let (camera, at) = (hit.camera, crate::health::rfc3339(hit.at));
            let data = json!({ "id": hit.id.to_string(), "camera_id": camera.to_string(), "at": at, "state": "open" });
            let scope = EventScope::CameraRight(camera, Right::HitReview);
            self.events.publish(EventKind::Hit, scope, data).await;
        }
        Ok(())
    }

    /// Copies of one read, one per purpose of its camera, or why there is none.
    async fn copies_of(
        &self,
        read: &Arc<NewRead>,
        known: Option<&(OrgId, Vec<Purpose>)>,
        (now, copies): (WallTime, &mut Vec<PurposeCopy>),
    ) -> Result<ReadFate, UseCaseError> {
        let Some((owner, purposes)) = known else { return Ok(ReadFate { not_assigned: 1, ..ReadFate::default() }) };
        let mut fate = ReadFate { first: copies.len(), ..ReadFate::default() };
        for (purpose, code) in purposes.iter().filter_map(|purpose| class_of(*purpose).map(|code| (*purpose, code))) {
            let class = class(code)?;
            let Some(term) = self.copy_term(read, purpose, &class, now).await? else {
                fate.not_assigned += 1;
                continue;
            };
            if term.expires_at <= now {
                fate.too_late += 1;
                continue;
            }
            let (read, owner, received_at) = (Arc::clone(read), *owner, now);
            let CopyTerm { expires_at, key_ends_at } = term;
            copies.push(PurposeCopy { read, purpose, class, owner, received_at, expires_at, key_ends_at });
        }
        fate.copies = copies.len() - fate.first;
        Ok(fate)
    }

    /// Keeps reads, each once per purpose, and says of each what became of it. When this returns they are durable and may be acknowledged.
    ///
    /// # Errors
    /// `LogUnavailable`, `Unavailable`: acknowledge nothing then.
    pub(super) async fn reads_take(&self, reads: Vec<NewRead>) -> Result<(Taken, Vec<Became>), UseCaseError> {
        let permit = self.reading_permit().await?;
        let cameras = self.anpr_cameras().await?;
        let known: HashMap<CameraId, (OrgId, Vec<Purpose>)> =
            cameras.into_iter().map(|camera| (camera.camera, (camera.owner, camera.purposes))).collect();
        let now = self.now();
        let (mut copies, mut taken, mut read_fates) = (Vec::new(), Taken::default(), Vec::new());
        for read in reads.into_iter().map(Arc::new) {
            let fate = self.copies_of(&read, known.get(&read.camera), (now, &mut copies)).await?;
            taken.not_assigned += fate.not_assigned;
            taken.too_late += fate.too_late;
            read_fates.push(fate);
        }
        let fates = self.lez_store()?.read_take(&permit, &copies).await?;
        let became = read_fates.iter().map(|fate| fate.became(&fates)).collect();
        let is = |wanted: CopyFate| move |pair: &(&PurposeCopy, &CopyFate)| *pair.1 == wanted;
        let fresh: Vec<_> = copies
            .iter()
            .zip(&fates)
            .filter(is(CopyFate::Kept))
            .map(|(copy, _)| (copy.read.read, copy.purpose))
            .collect();
        // Before anything can fail: a delivery that comes again has nothing fresh, and must not be counted twice.
        if let Some(statistics) = &self.extensions().statistics {
            statistics.offer(&copies, &fresh);
        }
        // A twin is compared with no watchlist: the passage was, when it came first.
        let single: Vec<PurposeCopy> =
            copies.iter().zip(&fates).filter(|pair| !is(CopyFate::Twin)(pair)).map(|(copy, _)| copy.clone()).collect();
        self.hits_take(&permit, &single, now).await?;
        taken.copies = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
        for (id, purpose) in fresh {
            // The console shows police copies only; a LEZ copy is nobody's to look at before it is a finding.
            if purpose != Purpose::PublicOrder {
                continue;
            }
            if let Some(copy) = copies.iter().find(|copy| copy.read.read == id) {
                let (camera, at) = (copy.read.camera, crate::health::rfc3339(copy.read.at));
                let data = json!({ "id": id.to_string(), "camera_id": camera.to_string(), "at": at });
                let scope = EventScope::CameraRight(camera, Right::ReadsLive);
                self.events.publish(EventKind::Read, scope, data).await;
            }
        }
        Ok((taken, became))
    }
}

/// What became of a read as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// A copy of it is kept now.
    Kept,
    /// It is here, or was, by this way or another.
    Duplicate,
    /// Nothing that its camera reads for can come of it.
    Unwanted,
    /// Every term that it could have had is over.
    TooLate,
}

/// Which copies were made of one read, and why not more.
#[derive(Clone, Copy, Debug, Default)]
struct ReadFate {
    first: usize,
    copies: usize,
    not_assigned: u64,
    too_late: u64,
}

impl ReadFate {
    fn became(&self, fates: &[CopyFate]) -> Became {
        let own = fates.iter().skip(self.first).take(self.copies);
        match (self.copies, self.too_late) {
            (0, 0) => Became::Unwanted,
            (0, _) => Became::TooLate,
            _ if own.clone().any(|fate| *fate == CopyFate::Kept) => Became::Kept,
            _ => Became::Duplicate,
        }
    }
}

impl ReadService {
    /// Keeps reads, each once per purpose. When this returns they are durable and may be acknowledged.
    ///
    /// # Errors
    /// `LogUnavailable`, `Unavailable`: acknowledge nothing then.
    pub async fn take(&self, reads: Vec<NewRead>) -> Result<Taken, UseCaseError> {
        self.cases.reads_take(reads).await.map(|(taken, _)| taken)
    }
}
