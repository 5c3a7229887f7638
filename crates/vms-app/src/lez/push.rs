//! Reads that a camera made by itself, or a partner: signed batches, and messages by the names of ONVIF Profile M.
//!
//! Belongs here: whose key it is, whose camera, which times are believed, what is said of each read. Does not belong here: forms and
//! signatures (`reads_in`), how bytes arrive (`vms-api` over HTTPS, `belfry` over MQTT), what becomes of a read ([`super::intake`]).
//!
//! Log: a machine and a camera are one opening leaf per session with renewals (the gate's grain), each delivery is one batch leaf with its
//! digest and, for each read that was refused, what the refusal can be made again from. No plate, and no id that a sender chose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use audit::LeafKind;
use reads_in::batch::{ClockClaim, PushedRead};
use reads_in::{Batch, claim, jws, onvif};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vms_core::{CameraId, Right, SessionId, StreamId, WallTime};

use super::intake::Became;
use super::standing::GRANT_US;
use crate::cases::UseCases;
use crate::error::{Entity, UseCaseError};
use crate::gate::action::PushReads;
use crate::gate::{Actor, GateError, Permit, Target, Why};
use crate::identity::machines::MACHINE_PROFILE;
use crate::lez_ports::{ClockSpan, Direction, LezStore, NewRead, ReadClock, ReadFacts, ReadFrom};
use crate::model::Camera;

/// Standing permits that are remembered; past it all are decided anew.
const PERMITS_MAX: usize = 4_096;
/// Before a sender's word for a clock: what it says joins nothing that our own reader says.
const PUSHED: &str = "pushed/";

/// How a delivery is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushForm<'a> {
    /// A batch as it stands, its signature beside it.
    Detached(&'a str),
    /// A batch inside its signature.
    Whole,
    /// A message by the names of ONVIF Profile M, of one camera, without a signature.
    Onvif {
        /// Code or id of the camera.
        camera: &'a str,
        /// Which of the two, where the way it came says so.
        kind: Option<onvif::Kind>,
    },
}

impl PushForm<'_> {
    const fn word(self) -> &'static str {
        match self {
            Self::Detached(_) => "jws_detached",
            Self::Whole => "jws",
            Self::Onvif { .. } => "onvif_m",
        }
    }
}

/// What became of one read of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// It is kept.
    Kept,
    /// It is here, or was, by this way or another.
    Duplicate,
    /// Not taken; the word says why.
    Refused(&'static str),
}

/// A delivery's answer, in the order of its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Reads: their own ids where they have any.
    pub reads: Vec<(Option<String>, PushOutcome)>,
    /// Statements about clocks: `None` for one that was noted.
    pub clocks: Vec<Option<&'static str>>,
}

/// A machine's session and a camera.
type Pair = (SessionId, CameraId);

/// Which machine is admitted for which camera.
#[derive(Debug, Default)]
pub(crate) struct PushDesk {
    permits: Mutex<HashMap<Pair, Arc<Permit<PushReads>>>>,
    /// Of connections that have none of their own.
    session: OnceLock<SessionId>,
}

impl PushDesk {
    fn known(&self, key: Pair) -> Option<Arc<Permit<PushReads>>> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn forget(&self, key: Pair) {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    fn keep(&self, key: Pair, permit: Permit<PushReads>) {
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        if permits.len() >= PERMITS_MAX {
            let now = permit.at();
            permits.retain(|_, held| now.micros_since(held.at()).abs() < GRANT_US);
        }
        if permits.len() >= PERMITS_MAX {
            permits.clear();
        }
        permits.insert(key, Arc::new(permit));
    }
}

/// Where a camera's reads go.
#[derive(Clone, Copy, Debug)]
struct Lane {
    camera: CameraId,
    stream: StreamId,
}

/// One delivery on its way.
struct Work<'a> {
    cases: &'a UseCases,
    store: &'a dyn LezStore,
    actor: &'a Actor,
    now: WallTime,
    lanes: HashMap<String, Option<Lane>>,
    /// What is said of each read; `None` until it is known.
    said: Vec<(Option<String>, Option<PushOutcome>)>,
    reads: Vec<(usize, NewRead)>,
    spans: Vec<ClockSpan>,
    refused: Vec<Value>,
}

fn read_clock(claimed: &ClockClaim, second: Option<WallTime>) -> ReadClock {
    ReadClock {
        locked_from_us: claimed.locked_from.micros,
        locked_until_us: claimed.locked_until.map(|until| until.micros),
        offset_us: claimed.offset_us,
        uncertainty_us: claimed.uncertainty_us,
        second_us: second.map(|at| at.micros),
        source: format!("{PUSHED}{}", claimed.source),
        synced_us: claimed.synced_at.map(|at| at.micros),
    }
}

impl Work<'_> {
    /// The camera that a text names, when this machine may say what it read. One word for every no: who is not admitted for a camera does not
    /// learn whether it is there.
    async fn lane(&mut self, name: &str) -> Result<Option<Lane>, UseCaseError> {
        if let Some(known) = self.lanes.get(name) {
            return Ok(*known);
        }
        let cameras = self.cases.cameras_now().await?;
        let found = cameras.iter().find(|camera| camera.code == name || camera.id.to_string() == name);
        let reading = self.cases.anpr_cameras().await?;
        let stream = |camera: &&Camera| reading.iter().find(|one| one.camera == camera.id).map(|one| one.stream);
        let lane = match found.and_then(|camera| Some((camera, stream(&camera)?))) {
            Some((camera, stream)) if self.cases.push_admits(self.actor, camera).await? => {
                Some(Lane { camera: camera.id, stream })
            }
            Some(_) | None => None,
        };
        self.lanes.insert(name.to_owned(), lane);
        Ok(lane)
    }

    fn refuse(&mut self, id: Option<String>, code: &'static str, at: Option<WallTime>, clock: Option<&ClockClaim>) {
        let clock = clock.map(|clock| {
            let until_us = clock.locked_until.map(|until| until.micros);
            json!({ "locked_from_us": clock.locked_from.micros, "locked_until_us": until_us, "offset_us": clock.offset_us,
                "uncertainty_us": clock.uncertainty_us, "synced_us": clock.synced_at.map(|at| at.micros) })
        });
        let at_us = at.map(|at| at.micros);
        self.refused.push(json!({ "n": self.said.len(), "code": code, "at_us": at_us, "clock": clock }));
        self.said.push((id, Some(PushOutcome::Refused(code))));
    }

    fn keep(&mut self, id: Option<String>, read: NewRead) {
        self.reads.push((self.said.len(), read));
        self.said.push((id, None));
    }

    async fn signed(&mut self, read: PushedRead) -> Result<(), UseCaseError> {
        let (id, at) = (Some(read.id.clone()), Some(read.at));
        let Some(lane) = self.lane(&read.camera).await? else {
            self.refuse(id, "camera_not_admitted", at, None);
            return Ok(());
        };
        if let Err(fault) = claim::check(read.at, read.clock.as_ref(), read.second_at, self.now) {
            self.refuse(id, fault.as_str(), at, read.clock.as_ref());
            return Ok(());
        }
        let clock = read.clock.as_ref().map(|claimed| read_clock(claimed, read.second_at));
        self.spans.extend(clock.as_ref().and_then(|clock| ClockSpan::of(lane.camera, clock)));
        let key = self.store.pushed_id(&[&lane.camera.to_string(), &read.at.micros.to_string(), &read.id]);
        let read = NewRead {
            read: key,
            camera: lane.camera,
            stream: lane.stream,
            at: read.at,
            facts: ReadFacts {
                plate: read.plate,
                countries: read.countries,
                confidence: read.confidence,
                corrected: read.corrected,
                direction: Direction::from_word(&read.direction),
                looks: read.looks,
                model: read.model,
                clock,
                from: ReadFrom::Pushed { verification: read.verification },
            },
            crop: read.crop,
            overview: read.overview,
        };
        self.keep(id, read);
        Ok(())
    }

    fn onvif(&mut self, lane: Lane, seen: onvif::OnvifPlate) {
        if let Err(fault) = claim::check(seen.at, None, None, self.now) {
            return self.refuse(None, fault.as_str(), Some(seen.at), None);
        }
        let object = seen.object.unwrap_or_default();
        // Events have no number of an object: two plates of one instant are told apart by one byte of a keyed hash, which leads to nobody.
        let [byte, ..] = *self.store.pushed_id(&["onvif plate", seen.plate.reveal()]).as_bytes();
        let words = [&*lane.camera.to_string(), &seen.at.micros.to_string(), "onvif", &object, &byte.to_string()];
        let read = NewRead {
            read: self.store.pushed_id(&words),
            camera: lane.camera,
            stream: lane.stream,
            at: seen.at,
            facts: ReadFacts {
                plate: seen.plate,
                countries: seen.country.into_iter().collect(),
                confidence: seen.confidence,
                corrected: false,
                direction: Direction::Unknown,
                looks: 1,
                model: "onvif-m".to_owned(),
                clock: None,
                from: ReadFrom::Pushed { verification: None },
            },
            crop: bytes::Bytes::new(),
            overview: bytes::Bytes::new(),
        };
        self.keep(None, read);
    }

    async fn clocks(&mut self, batch: &Batch) -> Result<Vec<Option<&'static str>>, UseCaseError> {
        let mut said = Vec::with_capacity(batch.clocks.len());
        for statement in &batch.clocks {
            said.push(match statement {
                Err(fault) => Some(fault.as_str()),
                Ok((camera, clock)) => match (self.lane(camera).await?, claim::clock_check(Some(clock), self.now)) {
                    (None, _) => Some("camera_not_admitted"),
                    (_, Err(fault)) => Some(fault.as_str()),
                    (Some(lane), Ok(())) => {
                        self.spans.extend(ClockSpan::of(lane.camera, &read_clock(clock, None)));
                        None
                    }
                },
            });
        }
        Ok(said)
    }

    /// Keeps what is to be kept; durable when it returns.
    async fn store(&mut self) -> Result<(), UseCaseError> {
        if !self.spans.is_empty() {
            self.store.clock_note(&self.spans, self.now).await?;
        }
        let (places, reads): (Vec<usize>, Vec<NewRead>) = std::mem::take(&mut self.reads).into_iter().unzip();
        if reads.is_empty() {
            return Ok(());
        }
        let (_, became) = self.cases.reads_take(reads).await?;
        for (place, became) in places.into_iter().zip(became) {
            let outcome = match became {
                Became::Kept => PushOutcome::Kept,
                Became::Duplicate => PushOutcome::Duplicate,
                Became::Unwanted => PushOutcome::Refused("camera_reads_for_nothing"),
                Became::TooLate => PushOutcome::Refused("at_too_old"),
            };
            if let Some((_, said)) = self.said.get_mut(place) {
                *said = Some(outcome);
            }
        }
        Ok(())
    }
}

impl UseCases {
    /// Whether a machine may say what this camera read. A yes is an opening leaf, renewed; a no is a leaf each time.
    async fn push_admits(&self, actor: &Actor, camera: &Camera) -> Result<bool, UseCaseError> {
        let target = self.camera_target::<PushReads>(actor, camera, None).await?;
        let (key, now) = ((actor.session, camera.id), self.now());
        if let Some(permit) = self.pushing.known(key).filter(|permit| now.micros_since(permit.at()).abs() < GRANT_US) {
            match self.gate.renew(&permit, target.clone()).await {
                Ok(()) => return Ok(true),
                Err(GateError::Denied { .. } | GateError::Missing(_) | GateError::Unknown) => self.pushing.forget(key),
                Err(error @ GateError::LogUnavailable(_)) => return Err(error.into()),
            }
        }
        match self.gate.permit::<PushReads>(actor, target, &Why::default()).await {
            Ok(permit) => {
                self.pushing.keep(key, permit);
                Ok(true)
            }
            Err(GateError::Denied { .. } | GateError::Missing(_) | GateError::Unknown) => Ok(false),
            Err(error @ GateError::LogUnavailable(_)) => Err(error.into()),
        }
    }

    /// What is signed, when the key is this machine's own and still counts.
    async fn push_signed(&self, actor: &Actor, form: PushForm<'_>, body: &[u8]) -> Result<jws::Signed, UseCaseError> {
        let checked = match form {
            PushForm::Detached(signature) => jws::detached(signature, body),
            PushForm::Whole | PushForm::Onvif { .. } => {
                std::str::from_utf8(body).map_err(|_| reads_in::JwsFault::Form).and_then(jws::whole)
            }
        };
        let word = match checked {
            Err(fault) => fault.as_str(),
            Ok(signed) => {
                let key = self.stores.machine_find(&signed.fingerprint).await?;
                if key.is_some_and(|key| key.user == actor.user && key.counts(self.now())) {
                    return Ok(signed);
                }
                "signature_key_unknown"
            }
        };
        self.refuse_stranger("reads pushed", word).await?;
        Err(UseCaseError::invalid("signature", word))
    }

    /// The machine in whose name a connection that has no session of its own delivers (a broker's), as it stands now: an account that was
    /// switched off delivers nothing any more.
    ///
    /// # Errors
    /// `NotFound` for an account that is none, is no machine's or is switched off; `Unavailable`.
    pub async fn push_actor(&self, user_name: &str) -> Result<Actor, UseCaseError> {
        let account = self.stores.account_by_user_name(&user_name.to_lowercase()).await?;
        let account = account.filter(|account| account.profile == MACHINE_PROFILE && account.disabled_at.is_none());
        let account = account.ok_or(UseCaseError::NotFound(Entity::User))?;
        let org = self.org(account.org).await?.ok_or(UseCaseError::NotFound(Entity::Org))?;
        Ok(Actor {
            user: account.id,
            session: *self.pushing.session.get_or_init(|| SessionId::from_uuid(self.ids.uuid())),
            org: account.org,
            profile: account.profile,
            user_name: account.user_name,
            org_code: org.code,
        })
    }

    /// Takes a delivery of reads from a machine. Given again it is harmless. When it returns, what it calls kept is durable.
    ///
    /// # Errors
    /// `Denied`, `NotFound` and `Invalid` (`signature`, `body`), logged; `Conflict(NoSuchService)`; `LogUnavailable`, `Unavailable`: nothing may be taken for
    /// delivered then.
    pub async fn reads_push(&self, actor: &Actor, form: PushForm<'_>, body: &[u8]) -> Result<Pushed, UseCaseError> {
        if !self.gate.rights_of(actor.profile).contains(&Right::ReadsPush) {
            // For the refusal in the log, and in the words of every other.
            self.gate.permit::<PushReads>(actor, Target::none(), &Why::default()).await?;
        }
        let store = Arc::clone(self.lez_store()?);
        let (lanes, said, reads, spans, refused) = Default::default();
        let mut work =
            Work { cases: self, store: store.as_ref(), actor, now: self.now(), lanes, said, reads, spans, refused };
        let (mut clocks, mut key) = (Vec::new(), None);
        if let PushForm::Onvif { camera, kind } = form {
            let lane = work.lane(camera).await?;
            // Who may push and not for this camera does not learn whether it is there.
            let lane = lane.ok_or(UseCaseError::NotFound(Entity::Camera))?;
            let plates = onvif::parse(body, kind).map_err(|_| UseCaseError::invalid("body", "malformed"))?;
            for plate in plates {
                match plate {
                    Ok(seen) => work.onvif(lane, seen),
                    Err(fault) => work.refuse(None, fault.as_str(), None, None),
                }
            }
            if work.said.is_empty() {
                return Ok(Pushed::default());
            }
        } else {
            let signed = self.push_signed(actor, form, body).await?;
            let text = if matches!(form, PushForm::Whole) { &signed.payload[..] } else { body };
            let mut batch = reads_in::batch::parse(text).map_err(|fault| match fault {
                reads_in::BatchFault::Form => UseCaseError::invalid("body", "malformed"),
                reads_in::BatchFault::Version => UseCaseError::invalid("v", "not_1"),
                reads_in::BatchFault::TooMany => UseCaseError::invalid("reads", "too_many"),
            })?;
            clocks = work.clocks(&batch).await?;
            for read in std::mem::take(&mut batch.reads) {
                match read {
                    Ok(read) => work.signed(read).await?,
                    Err(refused) => work.refuse(refused.id, refused.fault.as_str(), None, None),
                }
            }
            key = Some(signed.fingerprint);
        }
        work.store().await?;
        let Work { said, refused, now, .. } = work;
        let count = |wanted: PushOutcome| said.iter().filter(|(_, outcome)| *outcome == Some(wanted)).count();
        let details = json!({
            "form": form.word(), "sha256": hex::encode(Sha256::digest(body)), "key": key, "received_us": now.micros,
            "reads": said.len(), "kept": count(PushOutcome::Kept), "duplicates": count(PushOutcome::Duplicate),
            "clocks": clocks.len(), "refused": refused,
        });
        self.record("reads_pushed", LeafKind::Batch, Some(actor.clone()), details).await?;
        let unsaid = PushOutcome::Refused("camera_reads_for_nothing");
        Ok(Pushed { reads: said.into_iter().map(|(id, said)| (id, said.unwrap_or(unsaid))).collect(), clocks })
    }
}
