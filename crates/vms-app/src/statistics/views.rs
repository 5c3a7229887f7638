//! What people and machines see: the region's counts API, DATEX II, and the stored numbers. A site is shown to whoever may see the
//! statistics of each of its cameras; a route to whoever may see both its ends.

use std::collections::HashSet;
use std::sync::Arc;

use ::statistics::counts::Minutes;
use ::statistics::datex::{self, Places};
use ::statistics::{Offer, Route, Site, counts_api};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use vms_core::{TimeRange, WallTime};

use super::StatisticsDesk;
use super::desk::{Whose, locked};
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{DeliverStatistics, ViewStatistics};
use crate::gate::{Action, Actor, Permit, Target, Why};
use crate::identity::machines::MACHINE_PROFILE;
use crate::statistics_ports::{CountRow, StatQuery, StatisticsPermit, TimeRow};

/// Longest span of stored numbers in one question.
const SPAN_MAX_US: i64 = 31 * 86_400_000_000;

/// A document and what tells whether it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged<T> {
    /// The document.
    pub body: T,
    /// Of its content.
    pub etag: String,
}

impl Tagged<String> {
    fn new(body: String) -> Self {
        let etag = hex::encode(Sha256::digest(body.as_bytes()));
        Self { body, etag }
    }
}

/// What is counted, as far as an actor sees it.
#[derive(Clone, Debug)]
pub struct CountedPlaces {
    /// Cross-sections, each with its finest interval.
    pub sites: Vec<(Site, Offer)>,
    /// Routes between two of them.
    pub routes: Vec<Route>,
}

/// The places that an actor sees.
struct Seen {
    sites: Vec<Site>,
    routes: Vec<Route>,
}

impl UseCases {
    fn statistics(&self) -> Result<&Arc<StatisticsDesk>, UseCaseError> {
        let desk = self.extensions().statistics.as_ref();
        desk.ok_or(UseCaseError::Conflict(Conflict::NoSuchService("statistics")))
    }

    /// A machine asks with a right of its own; what it gets is decided and logged as for people.
    async fn statistics_permit(&self, actor: &Actor, form: &str) -> Result<StatisticsPermit, UseCaseError> {
        Ok(if actor.profile == MACHINE_PROFILE {
            StatisticsPermit::Machine(self.statistics_permit_for(actor, form).await?)
        } else {
            StatisticsPermit::Person(self.statistics_permit_for(actor, form).await?)
        })
    }

    /// One leaf per person (or machine), form and 15 minutes; each request inside is decided again and writes none (blueprint 4.6).
    async fn statistics_permit_for<A: Action>(&self, actor: &Actor, form: &str) -> Result<Permit<A>, UseCaseError> {
        let whose = if A::OF_ACCOUNT { Whose::Account(actor.user) } else { Whose::Session(actor.session) };
        let key = (whose, actor.profile, form.to_owned());
        let known = self.extensions().statistics.as_ref().and_then(|desk| locked(&desk.standing).get(&key).copied());
        if let Some(decision) = known {
            match self.recalled::<A>(actor, decision).await {
                Err(UseCaseError::NotFound(Entity::Decision)) => {}
                other => return other,
            }
        }
        let circumstances = self.circumstances_of_own(actor, None).await?;
        let object = Some(format!("statistics:{form}"));
        let target = Target { owner: Some(actor.org), object, circumstances, ..Target::none() };
        let permit = self.gate.permit::<A>(actor, target, &Why::default()).await?;
        if let Some(desk) = &self.extensions().statistics {
            desk.remember(key, permit.decision());
        }
        Ok(permit)
    }

    async fn statistics_seen(&self, actor: &Actor, desk: &StatisticsDesk) -> Result<Seen, UseCaseError> {
        let grants = self.grants_to(actor.org, self.now()).await?;
        let cameras = self.cameras_now().await?;
        let may = |code: &str| {
            let camera = cameras.iter().find(|camera| camera.code == code);
            camera.is_some_and(|camera| {
                if actor.profile == MACHINE_PROFILE {
                    self.sees::<DeliverStatistics>(actor, camera, &grants)
                } else {
                    self.sees::<ViewStatistics>(actor, camera, &grants)
                }
            })
        };
        let seen: HashSet<&str> = cameras.iter().map(|camera| camera.code.as_str()).filter(|code| may(code)).collect();
        let planned = desk.plan.sites.iter();
        let sites: Vec<Site> = planned
            .filter(|planned| planned.cameras.iter().all(|camera| seen.contains(camera.as_str())))
            .map(|planned| planned.site.clone())
            .collect();
        let has = |code: &::statistics::SiteCode| sites.iter().any(|site| site.code == *code);
        let routes = desk.plan.routes.iter().filter(|route| has(&route.from) && has(&route.to)).cloned().collect();
        Ok(Seen { sites, routes })
    }

    /// The counted cross-sections and the routes between them.
    ///
    /// # Errors
    /// As [`UseCases::statistics_devices`].
    pub async fn statistics_places(&self, actor: &Actor) -> Result<CountedPlaces, UseCaseError> {
        self.statistics_permit(actor, "places").await?;
        let desk = self.statistics()?;
        let Seen { sites, routes } = self.statistics_seen(actor, desk).await?;
        let seen: HashSet<&str> = sites.iter().map(|site| site.code.as_str()).collect();
        let planned = desk.plan.sites.iter().filter(|planned| seen.contains(planned.site.code.as_str()));
        let sites = planned.map(|planned| (planned.site.clone(), planned.offer)).collect();
        Ok(CountedPlaces { sites, routes })
    }

    /// The counted cross-sections, as the region's counts API names them.
    ///
    /// # Errors
    /// `Denied`, `Conflict` where nothing is counted, `LogUnavailable`, `Unavailable`.
    pub async fn statistics_devices(&self, actor: &Actor) -> Result<Value, UseCaseError> {
        self.statistics_permit(actor, "devices").await?;
        let seen = self.statistics_seen(actor, self.statistics()?).await?;
        Ok(counts_api::devices(&seen.sites))
    }

    /// The newest counts of every interval, or of one.
    ///
    /// # Errors
    /// As [`UseCases::statistics_devices`]; `Invalid`.
    pub async fn statistics_live(&self, actor: &Actor, minutes: Option<u32>) -> Result<Value, UseCaseError> {
        self.statistics_permit(actor, "live").await?;
        let intervals = match minutes {
            Some(count) => vec![interval(count)?],
            None => Minutes::ALL.to_vec(),
        };
        let desk = self.statistics()?;
        let seen = self.statistics_seen(actor, desk).await?;
        let work = locked(&desk.work);
        let empty = ::statistics::Counter::default();
        let counter = work.as_ref().map_or(&empty, ::statistics::Accumulator::counter);
        Ok(counts_api::live(&seen.sites, counter, &intervals))
    }

    /// The DATEX II table of sites and routes; `None` when the actor sees none.
    ///
    /// # Errors
    /// As [`UseCases::statistics_devices`].
    pub async fn statistics_datex_sites(&self, actor: &Actor) -> Result<Option<Tagged<String>>, UseCaseError> {
        self.statistics_permit(actor, "datex-sites").await?;
        let desk = self.statistics()?;
        let seen = self.statistics_seen(actor, desk).await?;
        // The hour, so that the same table is the same document.
        let at = WallTime::from_micros(self.now().micros.div_euclid(3_600_000_000) * 3_600_000_000);
        Ok(datex::sites(&places(desk, &seen), at).map(Tagged::new))
    }

    /// DATEX II measured data: the newest counts over an interval and the newest travel times; `None` when none may be shown.
    ///
    /// # Errors
    /// As [`UseCases::statistics_live`].
    pub async fn statistics_datex_measured(
        &self,
        actor: &Actor,
        minutes: u32,
    ) -> Result<Option<Tagged<String>>, UseCaseError> {
        self.statistics_permit(actor, "datex-measured").await?;
        let interval = interval(minutes)?;
        let desk = self.statistics()?;
        let seen = self.statistics_seen(actor, desk).await?;
        let work = locked(&desk.work);
        let Some(work) = work.as_ref() else { return Ok(None) };
        let Some(at) = work.counter().sealed_to() else { return Ok(None) };
        let times = work.travel_times();
        Ok(datex::measured(&places(desk, &seen), work.counter(), &times, interval, at).map(Tagged::new))
    }

    /// Stored counts of a site, oldest first.
    ///
    /// # Errors
    /// As [`UseCases::statistics_devices`]; `Invalid`; `NotFound` for a site that the actor does not see.
    pub async fn statistics_counts(&self, actor: &Actor, query: StatQuery) -> Result<Vec<CountRow>, UseCaseError> {
        let permit = self.statistics_permit(actor, "counts").await?;
        check_span(query.range)?;
        let desk = self.statistics()?;
        let seen = self.statistics_seen(actor, desk).await?;
        if !seen.sites.iter().any(|site| site.code.as_str() == query.place) {
            return Err(UseCaseError::NotFound(Entity::Place));
        }
        Ok(desk.store.stat_counts(&permit, &query).await?)
    }

    /// Stored travel times of a route, oldest first.
    ///
    /// # Errors
    /// As [`UseCases::statistics_counts`].
    pub async fn statistics_times(&self, actor: &Actor, query: StatQuery) -> Result<Vec<TimeRow>, UseCaseError> {
        let permit = self.statistics_permit(actor, "travel-times").await?;
        check_span(query.range)?;
        let desk = self.statistics()?;
        let seen = self.statistics_seen(actor, desk).await?;
        if !seen.routes.iter().any(|route| route.code.as_str() == query.place) {
            return Err(UseCaseError::NotFound(Entity::Place));
        }
        Ok(desk.store.stat_times(&permit, &query).await?)
    }
}

fn places<'a>(desk: &'a StatisticsDesk, seen: &'a Seen) -> Places<'a> {
    let (publisher, version) = (&desk.plan.publisher, desk.plan.version);
    Places { publisher, sites: &seen.sites, routes: &seen.routes, version }
}

fn interval(count: u32) -> Result<Minutes, UseCaseError> {
    Minutes::of(count).ok_or_else(|| UseCaseError::invalid("interval", "not_an_interval"))
}

fn check_span(range: TimeRange) -> Result<(), UseCaseError> {
    if range.to.micros_since(range.from) > SPAN_MAX_US {
        return Err(UseCaseError::invalid("to", "too_long"));
    }
    Ok(())
}
