//! Reads for people: police copies of the own territory. Lists, searches by plate with purpose and case, pictures, and
//! marks on timelines.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use audit::LeafKind;
use bytes::Bytes;
use serde_json::json;
use vms_core::{CameraId, DecisionId, PlateWish, ReadId, Relation, TimeRange, WallTime};

use super::words;
use crate::cases::{TimelineMarks, UseCases};
use crate::error::{Entity, UseCaseError};
use crate::gate::action::{ListReads, SearchReads};
use crate::gate::{Actor, Circumstances, Gate, Permit, Target, Why};
use crate::gated_read_ports::GatedPicture;
use crate::lez_ports::{LezStore, PictureKind, ReadPermit, ReadQuery, StoredRead};
use crate::plate_ports::LikeReads;
use crate::ports::{FootageFault, Stores};

/// Span of a list that names none.
const LIST_SPAN: Duration = Duration::from_secs(24 * 3_600);

/// Which reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadFilter {
    /// One camera; all of the own organisation when absent.
    pub camera: Option<CameraId>,
    /// First instant; a day before the end when absent.
    pub from: Option<WallTime>,
    /// First instant after; now when absent.
    pub to: Option<WallTime>,
    /// Only reads before this one, newest first.
    pub after: Option<(WallTime, ReadId)>,
}

/// Reads under one logged decision; their pictures carry its id.
#[derive(Clone, Debug)]
pub struct ReadPage {
    /// The decision.
    pub decision: DecisionId,
    /// The reads, newest first.
    pub reads: Vec<StoredRead>,
}

impl UseCases {
    /// Reads of the own organisation's cameras, newest first.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `LogUnavailable`, `Unavailable`.
    pub async fn read_list(&self, actor: &Actor, filter: ReadFilter, limit: u32) -> Result<ReadPage, UseCaseError> {
        let store = self.lez_store()?;
        // Now itself is inside: the newest read may be of this very instant.
        let to = filter.to.unwrap_or_else(|| self.now().plus(Duration::from_secs(1)));
        let from = filter.from.unwrap_or_else(|| to.minus(LIST_SPAN));
        let range = TimeRange::new(from, to).ok_or_else(|| UseCaseError::invalid("to", "not_after_from"))?;
        let permit = match filter.camera {
            Some(id) => {
                let camera = self.camera_known(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
                let target = self.camera_target::<ListReads>(actor, &camera, None).await?;
                let target = Target { range: Some(range), ..target };
                self.permit_on::<ListReads>(actor, &camera, target, &Why::default()).await?
            }
            None => {
                let circumstances = self.circumstances_of_own(actor, None).await?;
                let target = Target { owner: Some(actor.org), range: Some(range), circumstances, ..Target::none() };
                self.gate.permit::<ListReads>(actor, target, &Why::default()).await?
            }
        };
        let query = ReadQuery { owner: actor.org, camera: filter.camera, range, after: filter.after, limit };
        let reads = store.read_list(&permit, &query).await?;
        Ok(ReadPage { decision: permit.decision(), reads })
    }

    /// Reads with the plate that is looked for at the own organisation's cameras, newest first: exactly, by a pattern, or one edit away. The log
    /// gets a keyed hash of what was looked for and its sealed text, never the plate; not in the words of the justification either.
    ///
    /// # Errors
    /// `Denied`, `Missing`, `Invalid` (more plates match than [`crate::plate_ports::LIKE_MAX`]), `LogUnavailable`, `Unavailable`.
    pub async fn read_search(
        &self,
        actor: &Actor,
        wish: &PlateWish,
        range: TimeRange,
        why: &Why,
        limit: u32,
    ) -> Result<ReadPage, UseCaseError> {
        let store = self.lez_store()?;
        // A keyed hash to search by, and the text sealed: who reads the log's details learns no plate without the secret of reads.
        let hash = words::object_of(wish, &store.wish_hash(wish), &store.wish_sealed(wish)?);
        let why = &words::without_plates(why, wish);
        let circumstances = self.circumstances_of_own(actor, None).await?;
        let target =
            Target { owner: Some(actor.org), range: Some(range), object: Some(hash), circumstances, ..Target::none() };
        let permit = self.gate.permit::<SearchReads>(actor, target, why).await?;
        let query = ReadQuery { owner: actor.org, camera: None, range, after: None, limit };
        let reads = match wish {
            PlateWish::Exact(plate) => store.read_search(&permit, plate, &query).await?,
            PlateWish::Pattern(_) | PlateWish::Similar(_) => match store.read_search_like(&permit, wish, &query).await?
            {
                LikeReads::Found(reads, _) => reads,
                LikeReads::TooMany => return Err(UseCaseError::invalid("plate", "matches_too_many")),
            },
        };
        Ok(ReadPage { decision: permit.decision(), reads })
    }

    /// A picture of a read that a list or a search of this session showed, under that decision, which is made again.
    ///
    /// # Errors
    /// `NotFound`: no such open decision, or it does not cover the read, or there is no picture.
    pub async fn read_picture(
        &self,
        actor: &Actor,
        decision: DecisionId,
        id: ReadId,
        kind: PictureKind,
    ) -> Result<Bytes, UseCaseError> {
        let store = self.lez_store()?;
        match self.recalled::<ListReads>(actor, decision).await {
            Ok(permit) => picture(store, ReadPermit::List(&permit), permit.target(), id, kind).await,
            Err(UseCaseError::NotFound(Entity::Decision)) => {
                let permit = match self.recalled::<SearchReads>(actor, decision).await {
                    Err(error @ UseCaseError::NotFound(Entity::Decision)) => {
                        self.picture_refused(actor, &id.to_string()).await?;
                        return Err(error);
                    }
                    other => other?,
                };
                match picture(store, ReadPermit::Search(&permit), permit.target(), id, kind).await {
                    // Of a search behind the gate, which no list shows.
                    Err(UseCaseError::NotFound(Entity::Read)) => gated_picture(store, &permit, id, kind).await,
                    other => other,
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl UseCases {
    /// A picture was asked for under a decision that is not open in this session: a refusal like any other.
    pub(super) async fn picture_refused(&self, actor: &Actor, object: &str) -> Result<(), UseCaseError> {
        let details = json!({ "outcome": "no_open_decision", "object": object });
        self.record("picture_refused", LeafKind::Refuse, Some(actor.clone()), details).await
    }
}

async fn picture(
    store: &Arc<dyn LezStore>,
    permit: ReadPermit<'_>,
    target: &Target,
    id: ReadId,
    kind: PictureKind,
) -> Result<Bytes, UseCaseError> {
    let read = store.read_fetch(permit, id).await?.ok_or(UseCaseError::NotFound(Entity::Read))?;
    let covered = target.owner == Some(read.owner)
        && target.camera.is_none_or(|camera| camera == read.camera)
        && target.range.is_none_or(|range| range.contains(read.at));
    if !covered {
        return Err(UseCaseError::NotFound(Entity::Read));
    }
    store.read_picture(permit, id, kind).await?.ok_or(UseCaseError::NotFound(Entity::Picture))
}

async fn gated_picture(
    store: &Arc<dyn LezStore>,
    permit: &Permit<SearchReads>,
    id: ReadId,
    kind: PictureKind,
) -> Result<Bytes, UseCaseError> {
    let place = store.gated_read_fetch(permit, id).await?.ok_or(UseCaseError::NotFound(Entity::Read))?;
    let target = permit.target();
    let covered = target.owner == Some(place.owner)
        && target.camera.is_none_or(|camera| camera == place.camera)
        && target.range.is_some_and(|range| range.contains(place.at));
    if !covered {
        return Err(UseCaseError::NotFound(Entity::Read));
    }
    match store.gated_read_picture(permit, id, kind).await? {
        GatedPicture::Picture(bytes) => Ok(bytes),
        GatedPicture::Missing => Err(UseCaseError::NotFound(Entity::Picture)),
        GatedPicture::GateAway => Err(UseCaseError::Footage(FootageFault::GateAway)),
    }
}

/// Marks of reads on a camera's timeline: time and id. Empty for whoever may not see reads of that camera.
#[derive(Debug)]
pub struct ReadMarks {
    stores: Arc<dyn Stores>,
    reads: Arc<dyn LezStore>,
    gate: Arc<Gate>,
}

impl ReadMarks {
    /// Over the stores and the gate.
    pub fn new(stores: Arc<dyn Stores>, reads: Arc<dyn LezStore>, gate: Arc<Gate>) -> Self {
        Self { stores, reads, gate }
    }
}

#[async_trait]
impl TimelineMarks for ReadMarks {
    async fn marks(
        &self,
        actor: &Actor,
        camera: CameraId,
        range: TimeRange,
        limit: u32,
    ) -> Result<Vec<(WallTime, String)>, UseCaseError> {
        let Some(camera) = self.stores.camera_fetch(camera).await? else { return Ok(Vec::new()) };
        // The role table gives reads to the owner only, so no grant can change this.
        let relation = if camera.owner == actor.org { Relation::Own } else { Relation::Other };
        // One's own camera stands in one's own territory; of others' the marks show nothing anyway.
        let circumstances =
            Circumstances { own_territory: relation == Relation::Own, flow_active: true, ..Circumstances::none() };
        let target = Target { circumstances, ..Target::camera(camera.id, camera.owner, relation) };
        if !self.gate.would::<ListReads>(actor, &target).is_allow() {
            return Ok(Vec::new());
        }
        let marks = self.reads.read_marks(camera.id, range, limit).await?;
        Ok(marks.into_iter().map(|(at, id)| (at, id.to_string())).collect())
    }
}
