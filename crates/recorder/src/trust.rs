//! Time that may destroy: the host's word on its clock, the progress of the monotonic clock, and what was trusted before a restart.
//!
//! Belongs here: whether the wall clock may be believed, and since when it may not. Does not belong here: what is destroyed then
//! (`sweep`), how the host's word is got (the executable's clock port).
//!
//! The wall clock and the monotonic clock have to run side by side. The line on which they did is kept in `clock.json`, so that a step
//! that is made while the recorder stands is a step too. The line follows the wall clock by 500 ppm at most, as NTP slews: many small
//! steps add up. Past five minutes beside the line nothing is destroyed until the clock is back or two people say that it is right
//! (`belfry keys approve-clock`). After a start of the host nothing is known of the time in between: then the clock may be ahead by a day
//! and a half, which is what the bound on the size of a batch (`sweep`) lets through, and not behind.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vms_core::{MonoTime, WallTime};

use crate::kept;
use crate::ports::Clock;

/// A step of the wall clock against the monotonic clock by more than this holds the sweeper (reliability 4.3.6).
const STEP_US_MAX: i64 = 300_000_000;
/// A host that was off for longer needs two people.
const OFF_US_MAX: i64 = 36 * 3_600_000_000;
/// The line follows by so many millionths: what the kernel slews at most.
const SLEW_PPM: i64 = 500;
/// A move of the clock by more than this is told.
const TOLD_US: i64 = 1_000_000;
/// The line is kept on disk so often.
const KEEP_US: u64 = 60_000_000;
/// An approval serves for so long after it was given.
const APPROVAL_US: i64 = 600_000_000;

/// Without trusted time for so long: an alarm (blueprint 4.2).
pub const ALARM_AFTER: Duration = Duration::from_hours(6);
/// And after so long what is past its latest possible term is blocked from reading while its keys wait.
pub const BLOCK_AFTER: Duration = Duration::from_hours(24);

/// Name of the file in the recorder's folder that keeps the line.
pub const FILE: &str = "clock.json";
/// Name of the file there that two people lay in.
const APPROVAL_FILE: &str = "clock-approval.json";

/// Why nothing may be destroyed by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The host does not say that its clock is right.
    Untrusted,
    /// The wall clock moved against the monotonic clock.
    Stepped,
}

/// How the clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockLook {
    /// Trusted wall time, or why there is none.
    pub now: Result<WallTime, Held>,
    /// Since how long there is none.
    pub without_for: Duration,
    /// What ended before this, its term counted in, is not handed out any more, destroyed or not.
    pub cut: WallTime,
    /// Wall clock minus the line, microseconds.
    pub off_us: i64,
}

/// A point of the line on which both clocks ran, and with it the last trusted instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    /// Boot of the host, as the kernel names it: monotonic times of another say nothing.
    boot: String,
    wall_us: i64,
    mono_us: u64,
    /// What the log of uses says of the time.
    #[serde(default)]
    log: LogTime,
}

/// The newest signed checkpoint of the log: whoever sets this clock back would have to forge that too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct LogTime {
    /// Its time, microseconds since 1970.
    newest_us: Option<i64>,
    /// One that two people passed over: checkpoints up to it bind no more.
    passed_us: Option<i64>,
}

impl LogTime {
    /// The earliest that it can be.
    fn floor_us(self) -> Option<i64> {
        self.newest_us.filter(|newest| self.passed_us.is_none_or(|passed| passed < *newest))
    }
}

/// Two people say that the clock is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockApproval {
    /// What the clock of this host showed when they did.
    pub at_us: i64,
    /// Who.
    pub first: String,
    /// And who else.
    pub second: String,
}

impl ClockApproval {
    /// Lays it in the recorder's folder, where it serves once and for ten minutes.
    ///
    /// # Errors
    /// Of the disk, or `InvalidInput` when it is one person.
    pub fn give(&self, dir: &Path) -> std::io::Result<()> {
        let (first, second) = (self.first.trim(), self.second.trim());
        if first.is_empty() || second.is_empty() || first.eq_ignore_ascii_case(second) {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "two people have to approve"));
        }
        kept::save(&dir.join(APPROVAL_FILE), self)
    }
}

#[derive(Debug, Default)]
struct State {
    line: Option<Line>,
    kept_at: Option<MonoTime>,
    /// The last move that was told.
    told_us: i64,
    /// The clock was behind the log at the last look.
    is_behind: bool,
    /// An approval that was taken and not yet written into the records.
    approved: Option<ClockApproval>,
}

/// The host's clock with what is known of it. Its `is_trusted` is the combined answer.
pub struct GuardedClock {
    host: Arc<dyn Clock>,
    dir: PathBuf,
    boot: String,
    state: Mutex<State>,
}

impl std::fmt::Debug for GuardedClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedClock").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn span_us(later: MonoTime, earlier_us: u64) -> i64 {
    i64::try_from(later.micros.saturating_sub(earlier_us)).unwrap_or(i64::MAX)
}

impl GuardedClock {
    /// Over the host's clock; the line is kept in `dir`. `boot` names the boot of the host. A damaged file is as none: the bound
    /// on batches still holds.
    ///
    /// # Errors
    /// Of the disk.
    pub fn open(host: Arc<dyn Clock>, dir: &Path, boot: &[u8]) -> std::io::Result<Self> {
        let line = match kept::load::<Line>(&dir.join(FILE)) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                tracing::error!(%error, "what was known of the clock is damaged: a step while the recorder stood is not seen");
                None
            }
            line => line?,
        };
        let state = Mutex::new(State { line, ..State::default() });
        Ok(Self { host, dir: dir.to_owned(), boot: hex::encode(boot), state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the clock, and moves the line on where it may be believed.
    pub fn look(&self) -> ClockLook {
        let (wall, mono) = (self.host.wall(), self.host.mono());
        let is_trusted = self.host.is_trusted();
        let mut state = self.lock();
        let line = state.line.get_or_insert_with(|| self.line_at(wall.micros, mono)).clone();
        let line = self.of_this_boot(line, wall, mono);
        let passed_us = span_us(mono, line.mono_us);
        let slew_us = passed_us / 1_000_000 * SLEW_PPM + passed_us % 1_000_000 * SLEW_PPM / 1_000_000;
        let reckoned = WallTime::from_micros(line.wall_us.saturating_add(passed_us));
        let off_us = wall.micros_since(reckoned);
        self.tell(&mut state, off_us);
        let is_behind = line.log.floor_us().is_some_and(|floor| wall.micros < floor.saturating_sub(STEP_US_MAX));
        if is_behind != state.is_behind {
            state.is_behind = is_behind;
            metrics::gauge!("recorder_clock_behind_log").set(f64::from(u8::from(is_behind)));
            tracing::error!(is_behind, "the clock of this host against the newest signed checkpoint of the log");
        }
        let is_stepped = is_behind || off_us.unsigned_abs() > STEP_US_MAX.saturating_add(slew_us).unsigned_abs();
        if is_trusted && (!is_stepped || self.take_approval(&mut state, wall)) {
            let follows = if is_stepped { off_us } else { off_us.clamp(-slew_us, slew_us) };
            let mut log = line.log;
            if is_behind {
                log.passed_us = log.newest_us;
            }
            state.line = Some(Line { log, ..self.line_at(reckoned.micros.saturating_add(follows), mono) });
            self.keep(&mut state, mono);
            let off_us = off_us.saturating_sub(follows);
            return ClockLook { now: Ok(wall), without_for: Duration::ZERO, cut: wall, off_us };
        }
        let without_us = if state.line.as_ref().is_some_and(|known| known.boot == self.boot) {
            passed_us
        } else {
            // The host started anew without trusted time: as long as it runs, or as long as its clock says, if it goes forward.
            let known_us = state.line.as_ref().map_or(wall.micros, |known| known.wall_us);
            span_us(mono, 0).max(wall.micros.saturating_sub(known_us))
        };
        let without_for = Duration::from_micros(u64::try_from(without_us).unwrap_or(0));
        if state.kept_at.is_none() {
            // A recorder that starts without trusted time counts from the first start on.
            self.keep(&mut state, mono);
        }
        let now = Err(if is_trusted || is_stepped { Held::Stepped } else { Held::Untrusted });
        let cut = if without_for >= BLOCK_AFTER { reckoned.micros.saturating_sub(slew_us) } else { line.wall_us };
        ClockLook { now, without_for, cut: WallTime::from_micros(cut), off_us }
    }

    fn line_at(&self, wall_us: i64, mono: MonoTime) -> Line {
        Line { boot: self.boot.clone(), wall_us, mono_us: mono.micros, log: LogTime::default() }
    }

    /// A line of another boot as one of this: the clock may have gone forward since, and not back.
    fn of_this_boot(&self, line: Line, wall: WallTime, mono: MonoTime) -> Line {
        if line.boot == self.boot {
            return line;
        }
        let went_us = wall.micros.saturating_sub(line.wall_us);
        let passed_us = if went_us > OFF_US_MAX { 0 } else { went_us.max(0) };
        Line { log: line.log, ..self.line_at(line.wall_us.saturating_add(passed_us), mono) }
    }

    /// The time of the newest signed checkpoint of the log, as `serve` tells it. It only rises; a clock of this host that shows less (by
    /// more than five minutes) is no clock to destroy by, whoever vouches for it.
    pub fn note_checkpoint(&self, at: WallTime) {
        let (wall, mono) = (self.host.wall(), self.host.mono());
        let mut state = self.lock();
        let line = state.line.get_or_insert_with(|| self.line_at(wall.micros, mono));
        line.log.newest_us = line.log.newest_us.max(Some(at.micros));
        if state.kept_at.is_none() {
            self.keep(&mut state, mono);
        }
    }

    fn tell(&self, state: &mut State, off_us: i64) {
        if off_us.saturating_sub(state.told_us).unsigned_abs() > TOLD_US.unsigned_abs() {
            tracing::warn!(off_ms = off_us / 1_000, "the clock of this host moved against its monotonic clock");
            metrics::counter!("recorder_clock_moves_total").increment(1);
            state.told_us = off_us;
        }
    }

    /// Two people said within the last minutes that the clock is right. It serves once.
    fn take_approval(&self, state: &mut State, wall: WallTime) -> bool {
        let path = self.dir.join(APPROVAL_FILE);
        let given = match kept::load::<ClockApproval>(&path) {
            Ok(None) => return false,
            given => given.ok().flatten(),
        };
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::error!(%error, "an approval of the clock cannot be removed: it does not serve");
            return false;
        }
        let fits = |given: &ClockApproval| {
            wall.micros.saturating_sub(given.at_us).unsigned_abs() <= APPROVAL_US.unsigned_abs()
        };
        state.approved = given.filter(fits);
        let is_approved = state.approved.is_some();
        tracing::warn!(is_approved, "two people said that the clock of this host is right");
        is_approved
    }

    fn keep(&self, state: &mut State, mono: MonoTime) {
        if state.kept_at.is_some_and(|at| mono.micros.saturating_sub(at.micros) < KEEP_US) && state.approved.is_none() {
            return;
        }
        state.kept_at = Some(mono);
        if let Some(line) = &state.line
            && let Err(error) = kept::save(&self.dir.join(FILE), line)
        {
            tracing::warn!(%error, "what is known of the clock cannot be kept");
        }
    }

    /// An approval that was taken since it was last asked: for the records.
    pub fn approved(&self) -> Option<ClockApproval> {
        self.lock().approved.take()
    }
}

impl Clock for GuardedClock {
    fn wall(&self) -> WallTime {
        self.host.wall()
    }

    fn mono(&self) -> MonoTime {
        self.host.mono()
    }

    fn is_trusted(&self) -> bool {
        self.look().now.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

    use super::*;

    const DAY_S: i64 = 86_400;

    #[derive(Debug)]
    struct Hand {
        wall_us: AtomicI64,
        mono_us: AtomicU64,
        trusted: AtomicBool,
    }

    impl Clock for Hand {
        fn wall(&self) -> WallTime {
            WallTime::from_micros(self.wall_us.load(Ordering::SeqCst))
        }
        fn mono(&self) -> MonoTime {
            MonoTime { micros: self.mono_us.load(Ordering::SeqCst) }
        }
        fn is_trusted(&self) -> bool {
            self.trusted.load(Ordering::SeqCst)
        }
    }

    impl Hand {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                wall_us: AtomicI64::new(1_800_000_000_000_000),
                mono_us: AtomicU64::new(9_000_000_000),
                trusted: AtomicBool::new(true),
            })
        }
        fn pass(&self, seconds: i64) {
            self.step(seconds);
            self.mono_us.fetch_add(u64::try_from(seconds * 1_000_000).unwrap(), Ordering::SeqCst);
        }
        fn step(&self, seconds: i64) {
            self.wall_us.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
        }
        fn trust(&self, yes: bool) {
            self.trusted.store(yes, Ordering::SeqCst);
        }
    }

    fn open(hand: &Arc<Hand>, dir: &Path, boot: u8) -> GuardedClock {
        let host: Arc<dyn Clock> = Arc::<Hand>::clone(hand);
        GuardedClock::open(host, dir, &[boot; 16]).unwrap()
    }

    #[test]
    fn a_step_holds_until_it_is_gone_or_two_people_say_so_also_over_a_restart() {
        for step_s in [31 * DAY_S, 365 * DAY_S, -365 * DAY_S, 3_600, -3_600, 301] {
            let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
            let mut guard = open(&hand, dir.path(), 1);
            assert!(guard.look().now.is_ok());
            for _ in 0..10 {
                hand.pass(60);
                assert!(guard.look().now.is_ok(), "the clocks run side by side");
            }
            hand.step(step_s);
            for is_anew in [false, true, true] {
                if is_anew {
                    guard = open(&hand, dir.path(), 1);
                }
                hand.pass(60);
                assert_eq!(guard.look().now, Err(Held::Stepped), "{step_s} s");
            }
            hand.step(-step_s);
            assert!(guard.look().now.is_ok(), "back where it was");
            hand.step(step_s);
            assert!(guard.look().now.is_err());
            let approval = |second: &str, at_us| ClockApproval { at_us, first: "An".into(), second: second.into() };
            assert!(approval("an ", 0).give(dir.path()).is_err(), "one person is not two");
            approval("Bo", hand.wall().micros - 700_000_000).give(dir.path()).unwrap();
            assert!(guard.look().now.is_err(), "too old, and used up");
            approval("Bo", hand.wall().micros).give(dir.path()).unwrap();
            assert_eq!(guard.look().now, Ok(hand.wall()));
            assert_eq!(guard.approved().unwrap().second, "Bo");
            assert!(guard.approved().is_none());
            let guard = open(&hand, dir.path(), 1);
            assert!(guard.look().now.is_ok(), "approved is approved, over a restart too");
        }
    }

    #[test]
    fn a_clock_before_the_newest_checkpoint_destroys_nothing_whoever_vouches_for_it() {
        let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
        let guard = open(&hand, dir.path(), 1);
        assert!(guard.look().now.is_ok());
        let log = |ahead_s: i64| WallTime::from_micros(hand.wall().micros + ahead_s * 1_000_000);
        for (ahead_s, is_good) in [(-10, true), (200, true), (-3_600, true), (3_600, false), (-10, false)] {
            guard.note_checkpoint(log(ahead_s));
            assert_eq!(guard.look().now.is_ok(), is_good, "{ahead_s} s: it only rises");
        }
        // Nothing else was known of the clock: a machine that was set up anew with a clock of the year before.
        let (fresh, young) = (tempfile::tempdir().unwrap(), Hand::new());
        young.step(-365 * DAY_S);
        let guard_of_fresh = open(&young, fresh.path(), 7);
        assert!(guard_of_fresh.look().now.is_ok(), "nobody told it better");
        guard_of_fresh.note_checkpoint(hand.wall());
        assert_eq!(guard_of_fresh.look().now, Err(Held::Stepped));
        // Over a restart; time that passes heals it, and so do two people, for the checkpoints that there were.
        hand.pass(120);
        assert!(guard.look().now.is_err());
        drop(guard);
        let guard = open(&hand, dir.path(), 1);
        guard.note_checkpoint(log(3_600));
        assert!(guard.look().now.is_err());
        let approval = ClockApproval { at_us: hand.wall().micros, first: "An".into(), second: "Bo".into() };
        approval.give(dir.path()).unwrap();
        for _ in 0..2 {
            assert!(guard.look().now.is_ok(), "the same checkpoint binds no more");
        }
        assert!(open(&hand, dir.path(), 1).look().now.is_ok());
        guard.note_checkpoint(log(7_200));
        assert!(guard.look().now.is_err(), "a later one does");
        hand.pass(7_000);
        assert!(guard.look().now.is_ok());
    }

    #[test]
    fn small_corrections_pass_and_many_of_them_are_a_step() {
        let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
        let guard = open(&hand, dir.path(), 1);
        assert!(guard.look().now.is_ok());
        hand.step(200);
        assert!(guard.look().now.is_ok(), "an ordinary correction");
        // A clock that is slewed, for a month.
        for _ in 0..30 * 24 {
            hand.pass(3_600);
            hand.step(1);
            assert!(guard.look().now.is_ok());
        }
        // Four minutes every minute.
        let held = (0..10).filter(|_| {
            hand.pass(60);
            hand.step(240);
            guard.look().now.is_err()
        });
        assert!(held.count() >= 8, "a liar in small steps gets five minutes in all");
    }

    #[test]
    fn after_a_start_of_the_host_the_clock_may_be_ahead_and_not_behind() {
        for (step_s, is_good) in
            [(DAY_S, true), (60, true), (-60, true), (-3_600, false), (2 * DAY_S, false), (31 * DAY_S, false)]
        {
            let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
            assert!(open(&hand, dir.path(), 1).look().now.is_ok());
            hand.mono_us.store(30_000_000, Ordering::SeqCst);
            hand.step(step_s);
            let guard = open(&hand, dir.path(), 2);
            for _ in 0..2 {
                assert_eq!(guard.look().now.is_ok(), is_good, "{step_s} s");
                hand.pass(60);
            }
        }
    }

    #[test]
    fn without_trusted_time_an_alarm_and_then_what_is_past_its_term_is_not_read() {
        let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
        let guard = open(&hand, dir.path(), 1);
        assert!(guard.look().now.is_ok());
        let last = hand.wall();
        hand.trust(false);
        for (passed_h, step_s, wanted_cut_h) in
            [(1, 0, 0), (6, 0, 0), (23, 90 * DAY_S, 0), (25, -90 * DAY_S, 25), (48, 7, 48)]
        {
            let so_far = i64::try_from(guard.look().without_for.as_secs()).unwrap();
            hand.pass(passed_h * 3_600 - so_far);
            hand.step(step_s);
            // A restart changes nothing: it counts from the last trusted instant.
            for look in [guard.look(), open(&hand, dir.path(), 1).look()] {
                assert!(look.now.is_err());
                assert_eq!(look.without_for.as_secs() / 3_600, u64::try_from(passed_h).unwrap());
                let cut_s = look.cut.micros_since(last) / 1_000_000;
                // Back by what the monotonic clock may have gone wrong: the latest possible end counts.
                let slack_s = wanted_cut_h * 3_600 / 2_000 + 1;
                assert!(
                    (wanted_cut_h * 3_600 - slack_s..=wanted_cut_h * 3_600).contains(&cut_s),
                    "{passed_h} h: {cut_s}"
                );
            }
        }
        // Never trusted at all: it counts from the first start.
        let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
        hand.trust(false);
        assert!(open(&hand, dir.path(), 1).look().without_for.is_zero());
        hand.pass(7 * 3_600);
        assert!(open(&hand, dir.path(), 1).look().without_for > ALARM_AFTER);
        // Another boot without trusted time: as long as its clock says.
        hand.mono_us.store(60_000_000, Ordering::SeqCst);
        hand.step(30 * 3_600);
        let look = open(&hand, dir.path(), 2).look();
        assert!(look.without_for > BLOCK_AFTER && look.cut <= hand.wall());
    }
}
