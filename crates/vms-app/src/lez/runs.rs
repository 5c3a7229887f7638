//! Average speed: entry and exit of a stretch are paired; what was not too fast, and what found no other end in time, is erased.

use std::time::Duration;

use traffic_rules::trajectory::{
    Control, EndClock, EndRead, Stated, TrajectoryCode, TrajectoryInput, TrajectoryOutcome, TrajectoryVerdict, decide,
};
use vms_core::{Purpose, WallTime};

use super::batch::{Round, file_of};
use super::class;
use super::findings::approvable;
use super::passages::{Came, Candidate, reading_of};
use super::places::{End, Place, Places};
use super::service::ReadService;
use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::Permit;
use crate::gate::action::DecodeAnpr;
use crate::lez_ports::{
    Finding, FindingFile, FindingMeasure, FindingVerdict, ReadClock, StoredRead, Tally, WaitingRead,
};

/// A pair is decided this long after its later read came in: a second read of an end, which makes it ambiguous, is there by then.
/// A house rule.
const SETTLE: Duration = Duration::from_secs(30);

/// A pair whose clocks are locked, but not yet known to be so until both reads are past, waits for their next word this long: a clock is heard
/// of every 64 s (`domain.md` C2).
const CLOCK_WAIT: Duration = Duration::from_secs(90);
/// And asks so often.
const CLOCK_EVERY: Duration = Duration::from_secs(5);
/// So far past both reads a lock must be known: more than any uncertainty that a usable clock has.
const CLOCK_PAST: Duration = Duration::from_secs(1);

const HERE: Purpose = Purpose::Trajectory;

impl ReadService {
    /// One round of the stretches; to be called about once a second.
    ///
    /// # Errors
    /// `LogUnavailable`, `Unavailable`, `Internal`; the next round goes on.
    pub async fn run_round(&self) -> Result<Round, UseCaseError> {
        let Ok(traffic) = self.cases.traffic() else { return Ok(Round::default()) };
        let (due, mut round) = (self.passages_due(HERE).await?, Round::default());
        for waiting in &due.waiting {
            round.add(self.run_read(&due.permit, &due.places, waiting).await?);
        }
        self.passages_done(&due, &round, ("trajectory_decided", traffic.roads.version().as_str())).await?;
        Ok(round)
    }

    async fn run_read(&self, permit: &Permit<DecodeAnpr>, places: &Places, waiting: &WaitingRead) -> Came {
        let read = &waiting.read;
        let now = self.cases.now();
        let Some(place) = places.of(read.camera) else {
            return self.drop_read(permit, HERE, read, Tally::OutOfScope).await;
        };
        let Some(ends) = self.pairing_ends(place, read.at)? else {
            return self.drop_read(permit, HERE, read, Tally::NotUsable).await;
        };
        let settled_at = waiting.received_at.plus(SETTLE);
        if now < settled_at && settled_at < ends {
            return self.wait_until(HERE, read, settled_at).await;
        }
        let (mut entries, mut exits) = self.run_ends(permit, places, place, read).await?;
        if entries.is_empty() || exits.is_empty() {
            // What wakes this one is the other end's read; without it, the end of the term.
            let until = ends.minus(Duration::from_secs(1));
            if now < until {
                return self.wait_until(HERE, read, until).await;
            }
            return self.drop_read(permit, HERE, read, Tally::Unpaired).await;
        }
        self.clocks_known(&mut entries).await?;
        self.clocks_known(&mut exits).await?;
        let word_by = settled_at.plus(CLOCK_WAIT).min(ends.minus(Duration::from_secs(1)));
        if now < word_by && awaits_clock(&entries, &exits) {
            return self.wait_until(HERE, read, now.plus(CLOCK_EVERY).min(word_by)).await;
        }
        self.run_decide(permit, place, &entries, &exits).await
    }

    /// What the journal says by now of the locks that reads stated.
    async fn clocks_known(&self, reads: &mut [StoredRead]) -> Result<(), UseCaseError> {
        for read in reads {
            let Some(clock) = &mut read.facts.clock else { continue };
            let from = WallTime::from_micros(clock.locked_from_us);
            if let Some(known) = self.store.clock_known(read.camera, &clock.source, from).await? {
                known.carry(clock);
            }
        }
        Ok(())
    }

    fn pairing_ends(&self, place: &Place, at: WallTime) -> Result<Option<WallTime>, UseCaseError> {
        Ok(self.cases.traffic()?.roads.pairing_ends(&TrajectoryCode::new(place.code.as_str()), at))
    }

    /// Every undecided read of the plate at both ends that can belong to the same run as this one.
    async fn run_ends(
        &self,
        permit: &Permit<DecodeAnpr>,
        places: &Places,
        place: &Place,
        read: &StoredRead,
    ) -> Result<(Vec<StoredRead>, Vec<StoredRead>), UseCaseError> {
        let whole = (permit, places, HERE);
        let span_us = self.pairing_ends(place, read.at)?.map_or(0, |ends| ends.micros_since(read.at));
        let span = Duration::from_micros(u64::try_from(span_us).unwrap_or(0));
        let next = |at: WallTime| WallTime::from_micros(at.micros.saturating_add(1));
        let own = vec![read.clone()];
        match place.end {
            End::Entry => {
                let exits = (&*place.code, End::Exit);
                let exits = self.at_end(whole, read, exits, (next(read.at), read.at.plus(span))).await?;
                let Some(last) = exits.last() else { return Ok((own, exits)) };
                let entries = (&*place.code, End::Entry);
                let entries = self.at_end(whole, read, entries, (read.at.minus(span), last.at)).await?;
                Ok((entries, exits))
            }
            End::Exit => {
                let entries = (&*place.code, End::Entry);
                let entries = self.at_end(whole, read, entries, (next(read.at.minus(span)), read.at)).await?;
                let Some(first) = entries.first() else { return Ok((entries, own)) };
                let exits = (&*place.code, End::Exit);
                let exits = self.at_end(whole, read, exits, (next(first.at), first.at.plus(span))).await?;
                Ok((entries, exits))
            }
        }
    }

    async fn run_decide(
        &self,
        permit: &Permit<DecodeAnpr>,
        place: &Place,
        entries: &[StoredRead],
        exits: &[StoredRead],
    ) -> Came {
        let (Some(entry), Some(exit)) = (entries.first(), exits.first()) else { return Ok(None) };
        let input = input_of(place, entries, exits);
        let outcome = decide(&self.cases.traffic()?.roads, &input);
        let tally = tally_of(outcome.verdict);
        let candidate = match verdict_of(outcome.verdict) {
            None => None,
            Some(verdict) => {
                let (plate, country) = (&entry.facts.plate, reading_of(entry).0);
                Some(Candidate {
                    measure: measure_of(verdict, &outcome),
                    vehicle: self.store.vehicle_token(HERE, None, plate, country),
                    authority: place.authority,
                    // Every run is one of its own.
                    slot: format!("{}|{}", place.code, entry.read),
                    class: class(outcome.retention.as_str())?,
                    file: file_of(plate.clone(), country, &input, &outcome)?,
                })
            }
        };
        let came = self.settle_passage(permit, HERE, (entry, Some(exit)), tally, candidate).await?;
        // More than one read at an end: not usable, and nothing of any stays.
        for read in entries.iter().skip(1).chain(exits.iter().skip(1)) {
            self.drop_read(permit, HERE, read, Tally::NotUsable).await?;
        }
        Ok(came)
    }
}

/// Whether the locks of the one entry and the one exit may still become known to reach past the pair.
fn awaits_clock(entries: &[StoredRead], exits: &[StoredRead]) -> bool {
    let ([entry], [exit]) = (entries, exits) else { return false };
    let past_us = exit.at.max(entry.at).plus(CLOCK_PAST).micros;
    let locked = |read: &StoredRead| read.facts.clock.as_ref()?.locked_until_us;
    let clocks = [locked(entry), locked(exit)];
    clocks.iter().all(Option::is_some) && clocks.iter().flatten().any(|until_us| *until_us < past_us)
}

fn input_of(place: &Place, entries: &[StoredRead], exits: &[StoredRead]) -> TrajectoryInput {
    let clock = |reads: &[StoredRead]| {
        reads.first().map_or_else(|| end_clock(None), |read| end_clock(read.facts.clock.as_ref()))
    };
    let second = |reads: &[StoredRead]| reads.first().and_then(|read| read.facts.clock.as_ref()?.second_us);
    let stated = |reads: &[StoredRead]| reads.first().and_then(|read| read.facts.from.stated());
    let control = match (second(entries), second(exits)) {
        (Some(first), Some(last)) => {
            u64::try_from(last.saturating_sub(first)).ok().map(|micros| Control::SecondClock { micros })
        }
        _ => None,
    };
    TrajectoryInput {
        trajectory: TrajectoryCode::new(place.code.as_str()),
        entries: entries.iter().map(end_read).collect(),
        exits: exits.iter().map(end_read).collect(),
        entry_clock: clock(entries),
        exit_clock: clock(exits),
        control,
        // No source of variable signs is connected: the limit of the table holds.
        signs: Vec::new(),
        left_between: false,
        prosecuted_from_kmh: place.prosecuted_from_kmh,
        stated: Stated { entry: stated(entries), exit: stated(exits) },
    }
}

fn end_read(read: &StoredRead) -> EndRead {
    let (country, reading) = reading_of(read);
    EndRead { at: read.at, country, reading, confidence_ppm: read.facts.confidence.millionths(), class: None }
}

/// A camera that says nothing of its clock has none that is locked: nothing is made of its reads.
fn end_clock(clock: Option<&ReadClock>) -> EndClock {
    EndClock {
        locked_from: WallTime::from_micros(clock.map_or(0, |clock| clock.locked_from_us)),
        locked_until: clock.and_then(|clock| clock.locked_until_us).map(WallTime::from_micros),
        offset_us: clock.map_or(0, |clock| clock.offset_us),
        uncertainty_us: clock.map_or(0, |clock| clock.uncertainty_us),
    }
}

const fn tally_of(verdict: TrajectoryVerdict) -> Tally {
    match verdict {
        TrajectoryVerdict::Compliant => Tally::Compliant,
        TrajectoryVerdict::BelowThreshold { .. } => Tally::BelowThreshold,
        TrajectoryVerdict::Infraction { .. } => Tally::Infraction,
        TrajectoryVerdict::NotUsable => Tally::NotUsable,
    }
}

const fn verdict_of(verdict: TrajectoryVerdict) -> Option<FindingVerdict> {
    match verdict {
        TrajectoryVerdict::Infraction { .. } => Some(FindingVerdict::Infraction),
        TrajectoryVerdict::Compliant | TrajectoryVerdict::BelowThreshold { .. } | TrajectoryVerdict::NotUsable => None,
    }
}

/// The processing centre names an amount, not this program.
fn measure_of(verdict: FindingVerdict, outcome: &TrajectoryOutcome) -> FindingMeasure {
    FindingMeasure {
        verdict,
        rule_id: outcome.rule.as_ref().map(ToString::to_string),
        fine_id: None,
        amount_cents: None,
        currency: None,
        rule_set: outcome.rule_set_version.as_str().to_owned(),
        final_from: None,
    }
}

impl UseCases {
    /// The verdict made again, now that an officer has compared plates and pictures of both ends.
    pub(super) fn run_confirmed(&self, found: &Finding) -> Result<(FindingMeasure, FindingFile), UseCaseError> {
        let mut input: TrajectoryInput =
            serde_json::from_str(&found.file.input).map_err(|error| UseCaseError::Internal(error.into()))?;
        for read in input.entries.iter_mut().chain(&mut input.exits) {
            read.reading.confirmed = true;
        }
        let outcome = decide(&self.traffic()?.roads, &input);
        let verdict = approvable(verdict_of(outcome.verdict))?;
        let file = file_of(found.file.plate.clone(), found.file.country, &input, &outcome)?;
        Ok((measure_of(verdict, &outcome), file))
    }
}
