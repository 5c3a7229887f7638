//! One stream inside the recorder: intake, de-duplication, fragments, live origin, health.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use link::{Cause, StreamHealth, StreamPhase};
use media::{AccessUnit, Fragment, FragmentBuilder, FragmentLimits, ParamSetId, ParameterSets};
use vms_core::{MonoTime, StreamId, WallTime};

use crate::catalogue::{Catalogue, GapChange};
use crate::disk::{AckBoard, DiskHandle, StreamFacts, Submission};
use crate::live::{LiveOrigin, ViewerQueue};
use crate::plan::UnitEnd;

/// Parameter sets remembered per stream: units of the set before may still be on their way.
const SETS_MAX: usize = 8;

/// A held fragment is given out when its newest unit is so old.
const HOLD_US_MAX: u64 = 1_500_000;

/// A recorded stream that is down so long shows an open hole.
const OPEN_GAP_US: i64 = 2_000_000;

/// Window of the bit rate.
const RATE_US: u64 = 2_000_000;

/// What the assignment says of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSpec {
    /// For the writer.
    pub facts: Arc<StreamFacts>,
    /// Written to disk.
    pub record: bool,
    /// Pulled only while somebody watches.
    pub on_demand: bool,
}

#[derive(Debug)]
struct State {
    spec: HubSpec,
    builder: FragmentBuilder,
    /// Newest unit taken in.
    seen: Option<(u64, u64)>,
    /// Newest unit given to the writer.
    submitted: Option<(u64, u64)>,
    sets: VecDeque<Arc<ParameterSets>>,
    phase: StreamPhase,
    cause: Option<Cause>,
    hint: Option<Cause>,
    /// A fragment was given to the writer since the recorder started.
    resumed: bool,
    open_gap: Option<WallTime>,
    live: LiveOrigin,
    demanded: bool,
    acks: Option<Arc<AckBoard>>,
    newest: Option<(WallTime, MonoTime)>,
    packets_lost: u64,
    window: (MonoTime, u64),
    bits_per_s: u64,
}

/// One stream.
#[derive(Debug)]
pub struct Hub {
    stream: StreamId,
    state: Mutex<State>,
    disk: DiskHandle,
    catalogue: Arc<Catalogue>,
}

impl Hub {
    /// A stream of the assignment; goes on where the catalogue says it ended.
    pub fn new(spec: HubSpec, disk: DiskHandle, catalogue: Arc<Catalogue>) -> Self {
        let stream = spec.facts.stream;
        let end = catalogue.end(stream).filter(|end| end.same_boot).map(|end| (end.epoch, end.seq));
        let state = State {
            spec,
            builder: FragmentBuilder::new(FragmentLimits::DEFAULT),
            seen: end,
            submitted: end,
            sets: VecDeque::new(),
            phase: StreamPhase::Idle,
            cause: None,
            hint: None,
            resumed: false,
            open_gap: None,
            live: LiveOrigin::new(stream),
            demanded: false,
            acks: None,
            newest: None,
            packets_lost: 0,
            window: (MonoTime::default(), 0),
            bits_per_s: 0,
        };
        Self { stream, state: Mutex::new(state), disk, catalogue }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The stream.
    pub const fn stream(&self) -> StreamId {
        self.stream
    }

    /// A new assignment; ends the recording when the stream is no longer recorded.
    pub fn respecify(&self, spec: HubSpec) {
        let mut state = self.lock();
        let stops = state.spec.record && !spec.record;
        if stops {
            let held = state.builder.flush();
            self.submit(&mut state, held);
        }
        state.spec = spec;
        drop(state);
        if stops {
            self.disk.close(self.stream);
        }
    }

    /// The stream left the assignment.
    pub fn retire(&self) {
        let mut state = self.lock();
        let held = state.builder.flush();
        self.submit(&mut state, held);
        state.live.state(StreamPhase::Idle, Some(Cause::SwitchedOff));
        drop(state);
        self.disk.close(self.stream);
    }

    /// Parameter sets that later units name.
    pub fn parameter_sets(&self, sets: Arc<ParameterSets>) {
        let mut state = self.lock();
        state.sets.retain(|known| known.id != sets.id);
        if state.sets.len() >= SETS_MAX {
            state.sets.pop_front();
        }
        state.sets.push_back(sets);
    }

    fn sets_of(state: &State, id: ParamSetId) -> Option<Arc<ParameterSets>> {
        state.sets.iter().find(|known| known.id == id).map(Arc::clone)
    }

    /// Takes in one unit from the ingest connection behind `acks`.
    pub fn unit(&self, unit: AccessUnit, now: MonoTime, acks: &Arc<AckBoard>) {
        let mut state = self.lock();
        state.acks = Some(Arc::clone(acks));
        let place = (unit.epoch, unit.seq);
        if state.seen.is_some_and(|seen| place <= seen) {
            // A replay after a reconnect. What is durable is acknowledged again, what is still on its way will be.
            metrics::counter!("recorder_units_repeated_total").increment(1);
            let durable = self.catalogue.durable(self.stream);
            if let Some(end) = self.catalogue.end(self.stream)
                && (end.epoch, end.seq) >= place
                && durable >= Some(end.wall)
            {
                acks.post(self.stream, end.epoch, end.seq);
            }
            return;
        }
        let Some(sets) = Self::sets_of(&state, unit.param_set) else {
            metrics::counter!("recorder_units_refused_total", "why" => "no_parameter_sets").increment(1);
            return;
        };
        if !media::nal::is_well_formed(&unit.payload) {
            metrics::counter!("recorder_units_refused_total", "why" => "malformed").increment(1);
            return;
        }
        state.seen = Some(place);
        state.newest = Some((unit.clocks.wall, now));
        state.packets_lost = state.packets_lost.saturating_add(u64::from(unit.lost_before));
        count_rate(&mut state, unit.payload.len(), now);
        state.live.push(unit.clone(), sets, now);
        if state.spec.record {
            let closed = state.builder.push(unit);
            self.submit(&mut state, closed);
        } else {
            acks.post(self.stream, place.0, place.1);
        }
    }

    fn submit(&self, state: &mut State, fragment: Option<Fragment>) {
        let Some(fragment) = fragment else { return };
        let first = fragment.first();
        let Some(sets) = Self::sets_of(state, first.param_set) else { return };
        let breaks =
            state.submitted.is_none_or(|(epoch, seq)| (epoch, seq.saturating_add(1)) != (first.epoch, first.seq));
        let restart = (!state.resumed).then_some(Cause::RecorderRestart);
        state.resumed = true;
        let hint = if breaks { state.hint.take().or(restart) } else { None };
        state.submitted = Some((fragment.last().epoch, fragment.last().seq));
        if let Some(from) = state.open_gap.take() {
            // Void until the writer says how long it was: a replay from the ring may have filled it.
            let cause = state.cause.unwrap_or(Cause::IngestRestart);
            self.catalogue.gap(GapChange { stream: self.stream, from, to: Some(from), cause });
        }
        let facts = Arc::clone(&state.spec.facts);
        self.disk.submit(Submission { facts, fragment, sets, hint, acks: state.acks.clone() });
    }

    /// The camera session changed its phase.
    pub fn phase(&self, phase: StreamPhase, cause: Option<Cause>) {
        let mut state = self.lock();
        // While a session tries again, the cause of its failure stands.
        let cause = match phase {
            StreamPhase::Connecting => cause.or(state.cause),
            StreamPhase::Live | StreamPhase::Idle | StreamPhase::NoKeyFrame | StreamPhase::Waiting => cause,
        };
        if state.phase == phase && state.cause == cause {
            return;
        }
        state.phase = phase;
        state.cause = cause;
        match phase {
            StreamPhase::Live => {}
            StreamPhase::Idle | StreamPhase::Connecting | StreamPhase::NoKeyFrame | StreamPhase::Waiting => {
                state.hint = cause.or(state.hint);
                let held = state.builder.flush();
                self.submit(&mut state, held);
                state.live.forget();
            }
        }
        state.live.state(phase, cause);
    }

    /// Ingest says that frames will never come; the writer finds the hole, this is its cause.
    pub fn hole(&self, cause: Cause) {
        self.lock().hint = Some(cause);
    }

    /// The ingest process went away.
    pub fn ingest_lost(&self) {
        self.phase(StreamPhase::Connecting, Some(Cause::IngestRestart));
        self.lock().acks = None;
    }

    /// Gives out a fragment that waits too long, and shows an open hole when the stream is down. Called every half second.
    pub fn tend(&self, mono: MonoTime, wall: WallTime) {
        let mut state = self.lock();
        let age_us = state.builder.held().last().map(|unit| mono.micros.saturating_sub(unit.clocks.mono.micros));
        if age_us.is_some_and(|age| age > HOLD_US_MAX) {
            let held = state.builder.flush();
            self.submit(&mut state, held);
        }
        if mono.micros.saturating_sub(state.window.0.micros) > 2 * RATE_US {
            state.bits_per_s = 0;
        }
        let down = state.spec.record && !state.spec.on_demand && state.phase != StreamPhase::Live;
        if let Some(UnitEnd { wall: end, .. }) = self.catalogue.end(self.stream)
            && down
            && state.open_gap.is_none()
            && wall.micros_since(end) > OPEN_GAP_US
        {
            state.open_gap = Some(end);
            let cause = state.cause.or(state.hint).unwrap_or(Cause::IngestRestart);
            self.catalogue.gap(GapChange { stream: self.stream, from: end, to: None, cause });
        }
    }

    /// Gives out what is held: the recorder stops.
    pub fn flush(&self) {
        let mut state = self.lock();
        let held = state.builder.flush();
        self.submit(&mut state, held);
    }

    /// A viewer comes. The second value: ingest has to be told. It asks a camera on demand for pictures, and hands over
    /// those of any other with less delay.
    pub fn join(&self, now: MonoTime) -> (Arc<ViewerQueue>, bool) {
        let mut state = self.lock();
        let queue = state.live.join(now);
        let ask = !std::mem::replace(&mut state.demanded, true);
        (queue, ask)
    }

    /// A viewer goes; true when it was the last one.
    pub fn leave(&self, queue: &Arc<ViewerQueue>) -> bool {
        let mut state = self.lock();
        state.live.leave(queue);
        state.live.viewers() == 0 && state.demanded
    }

    /// Nobody watches any more for a while: true when ingest is to be told now.
    pub fn release(&self) -> bool {
        let mut state = self.lock();
        let idle = state.demanded && state.live.viewers() == 0;
        if idle {
            state.demanded = false;
            if state.spec.on_demand {
                state.live.forget();
            }
        }
        idle
    }

    /// Whether ingest was told that somebody watches.
    pub fn is_demanded(&self) -> bool {
        self.lock().demanded
    }

    /// Phase and cause now.
    pub fn standing(&self) -> (StreamPhase, Option<Cause>) {
        let state = self.lock();
        (state.phase, state.cause)
    }

    /// Health.
    pub fn health(&self) -> StreamHealth {
        let state = self.lock();
        let sets = state.sets.back();
        StreamHealth {
            stream: self.stream.to_string(),
            phase: state.phase,
            // Frames may well arrive: the worse news is that they are not kept.
            cause: self.catalogue.blocked(self.stream).or(state.cause),
            last_frame_us: state.newest.map(|(wall, _)| wall.micros),
            durable_until_us: self.catalogue.durable(self.stream).map(|until| until.micros),
            bits_per_s: state.bits_per_s,
            packets_lost: state.packets_lost,
            codec: sets.map(|sets| sets.codec.to_string()),
            width: sets.map(|sets| sets.width),
            height: sets.map(|sets| sets.height),
        }
    }
}

fn count_rate(state: &mut State, bytes: usize, now: MonoTime) {
    let span_us = now.micros.saturating_sub(state.window.0.micros);
    if span_us >= RATE_US {
        // A window that is much too long is one after silence: it says nothing of the rate now.
        state.bits_per_s = if span_us > 2 * RATE_US {
            0
        } else {
            state.window.1.saturating_mul(8_000_000).checked_div(span_us).unwrap_or(0)
        };
        state.window = (now, 0);
    }
    state.window.1 = state.window.1.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
}
