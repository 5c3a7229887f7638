//! The clock that times a camera's reads: what is known of this host's, what the camera's says beside it, and since when without a break.
//!
//! Belongs here: pure bookkeeping over the clocks of access units. Does not belong here: what a clock must be for a measurement
//! (`traffic_rules::trajectory`), the camera's reports themselves (`ingest::clock`).
//!
//! A read is timed by this host; the camera's own clock (RTCP sender reports) is the second source. Both must speak: without a time service
//! that states its error, or without reports that agree, nothing is said, and nothing is what the rules then hear.

use std::path::Path;
use std::time::Duration;

use link::message::{CameraClockRow, ClockRow};
use media::Clocks;
use vms_core::{MonoTime, SyncState, WallTime};

/// One sample of the offset in each such window, the one of the least delayed picture (`domain.md` C2: logged every 64 s).
const WINDOW_US: u64 = 64_000_000;
/// Without a picture for so long nothing is known of the time between.
const SILENCE_US: u64 = 30_000_000;
/// Between two pictures the wall clock and the monotonic clock may come apart by this (500 ppm over [`SILENCE_US`] are 15 ms); more is a step.
const STEP_US: i64 = 20_000;
/// Ingest's pause while the reader watches: a picture's time is off by at most that ([`Clocks::mono`]).
const PAUSE_US: u64 = 8_000;
/// A lock whose worst sample is this much beyond twice the newest one is ended: it no longer says how the clock is.
const SPOILT_US: u64 = 10_000;
/// A word of the time service that is older says nothing: two samples and a slow timer.
const WORD_AGE: Duration = Duration::from_secs(150);
/// Longest word; chrony's is about 150 bytes.
const WORD_MAX: u64 = 1_024;

/// What the time service of this host says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostWord {
    /// Bound of the error of this host's clock, µs.
    pub error_us: u64,
    /// Last update from its source.
    pub synced: WallTime,
}

/// Reads the one line of `chronyc -n -c tracking`: 14 fields with commas. Bound of the error as chrony's manual has it: offset of the
/// system clock, and root dispersion, and half the root delay. `None` unless the leap status is `Normal`.
pub fn host_word(line: &str) -> Option<HostWord> {
    let fields: Vec<&str> = line.trim().split(',').collect();
    let [_, _, _, synced, offset, _, _, _, _, _, delay, dispersion, _, leap] = fields.as_slice() else { return None };
    if *leap != "Normal" {
        return None;
    }
    let (offset, delay, dispersion) = (micros(offset)?, micros(delay)?, micros(dispersion)?);
    let error = offset.unsigned_abs().checked_add(dispersion.unsigned_abs())?.checked_add(delay.unsigned_abs() / 2)?;
    Some(HostWord { error_us: error, synced: WallTime::from_micros(micros(synced)?) })
}

/// Decimal seconds as microseconds, rounded away from zero.
fn micros(text: &str) -> Option<i64> {
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 11 || part.len() > 12 || !is_number(whole) || !is_number(part) {
        return None;
    }
    let (kept, rest) = part.split_at(part.len().min(6));
    let kept: i64 = format!("{kept:0<6}").parse().ok()?;
    let up = i64::from(rest.bytes().any(|byte| byte != b'0'));
    let all = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(kept)?.checked_add(up)?;
    Some(if is_negative { -all } else { all })
}

/// The word in a file that the time service's timer writes; `None` when it is old, absent or none.
pub(super) fn read_word(path: &Path, now: WallTime) -> Option<HostWord> {
    let found = std::fs::metadata(path).ok().filter(|found| found.is_file() && found.len() <= WORD_MAX)?;
    let since = found.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let age_us = now.micros_since(WallTime::default().plus(since)).unsigned_abs();
    let is_fresh = u128::from(age_us) <= WORD_AGE.as_micros();
    is_fresh.then(|| std::fs::read_to_string(path).ok()).flatten().as_deref().and_then(host_word)
}

/// Least delayed picture of the running window: a packet can come late and not early, so the largest difference is the truest.
#[derive(Clone, Copy, Debug)]
struct Window {
    began: MonoTime,
    began_at: WallTime,
    offset_us: i64,
}

#[derive(Clone, Copy, Debug)]
struct Lock {
    from: WallTime,
    until: WallTime,
    offset_us: i64,
    error_us: u64,
    synced: WallTime,
}

/// The clocks of one camera.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockWatch {
    last: Option<(MonoTime, WallTime)>,
    window: Option<Window>,
    lock: Option<Lock>,
}

fn worse(one: i64, other: i64) -> i64 {
    if other.unsigned_abs() > one.unsigned_abs() { other } else { one }
}

impl ClockWatch {
    /// Takes the clocks of one picture, and what the host's time service says now.
    pub fn picture(&mut self, clocks: &Clocks, word: Option<HostWord>) {
        let (mono, wall) = (clocks.mono, clocks.wall);
        let runs_on = self.last.is_none_or(|(before, at)| {
            let passed = mono.micros.saturating_sub(before.micros);
            let apart = wall.micros_since(at).saturating_sub(i64::try_from(passed).unwrap_or(i64::MAX));
            mono >= before && passed <= SILENCE_US && apart.abs() <= STEP_US
        });
        self.last = Some((mono, wall));
        let agrees = clocks.camera.filter(|_| clocks.sync == SyncState::Agrees);
        let (Some(camera), Some(word)) = (agrees, word) else {
            (self.window, self.lock) = (None, None);
            return;
        };
        if !runs_on {
            (self.window, self.lock) = (None, None);
        }
        let offset_us = camera.micros_since(wall);
        let window = self.window.get_or_insert(Window { began: mono, began_at: wall, offset_us });
        window.offset_us = window.offset_us.max(offset_us);
        let error_us = word.error_us.saturating_add(PAUSE_US);
        if let Some(lock) = &mut self.lock {
            lock.until = wall;
            lock.error_us = lock.error_us.max(error_us);
            lock.synced = lock.synced.max(word.synced);
        }
        if mono.micros.saturating_sub(window.began.micros) >= WINDOW_US {
            let window = *window;
            self.window = None;
            self.sample(window, wall, error_us, word.synced);
        }
    }

    /// The end of a window: the first one begins a lock, and so does one in whose light the lock's worst is long past.
    fn sample(&mut self, window: Window, until: WallTime, error_us: u64, synced: WallTime) {
        let now = window.offset_us;
        let spoilt = |lock: &Lock| {
            lock.offset_us.unsigned_abs() > now.unsigned_abs().saturating_mul(2).saturating_add(SPOILT_US)
                || lock.error_us > error_us.saturating_mul(2).saturating_add(SPOILT_US)
        };
        match &mut self.lock {
            Some(lock) if !spoilt(lock) => lock.offset_us = worse(lock.offset_us, now),
            lock => *lock = Some(Lock { from: window.began_at, until, offset_us: now, error_us, synced }),
        }
    }

    /// What is known now; `None`: nothing. `second`: the camera's own time of the read, the second source.
    pub fn row(&self, second: Option<WallTime>) -> Option<ClockRow> {
        self.lock.map(|lock| ClockRow {
            locked_from_us: lock.from.micros,
            locked_until_us: lock.until.micros,
            offset_us: lock.offset_us,
            uncertainty_us: lock.error_us,
            synced_us: Some(lock.synced.micros),
            second_us: second.map(|at| at.micros),
        })
    }

    /// The same as a line of the reader's report.
    pub(super) fn report(&self, camera: &str) -> Option<CameraClockRow> {
        self.row(None).map(|clock| CameraClockRow { camera: camera.to_owned(), clock })
    }
}

/// For the fuzzer: any text, no panic.
#[doc(hidden)]
pub fn fuzz_host_word(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        host_word(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORD: HostWord = HostWord { error_us: 900, synced: WallTime::from_secs(1_000) };

    /// A picture at that second of the monotonic clock; the camera's clock is ahead of the host's by so much.
    fn clocks(s: u64, ahead_us: i64) -> Clocks {
        let wall = WallTime::from_secs(1_700_000_000 + i64::try_from(s).unwrap());
        let camera = Some(WallTime::from_micros(wall.micros + ahead_us));
        Clocks { mono: MonoTime { micros: s * 1_000_000 }, wall, camera, sync: SyncState::Agrees }
    }

    fn watch(pictures: impl IntoIterator<Item = Clocks>) -> ClockWatch {
        let mut watch = ClockWatch::default();
        pictures.into_iter().for_each(|one| watch.picture(&one, Some(WORD)));
        watch
    }

    #[test]
    fn what_chrony_says_is_a_bound_or_nothing() {
        let line = |offset: &str, delay: &str, dispersion: &str, leap: &str| {
            format!(
                "0A000001,10.0.0.1,2,1795171200.250000000,{offset},-0.000000021,0.000004,1.2,0.0,0.04,{delay},{dispersion},64.2,{leap}\n"
            )
        };
        for (text, wanted) in [
            (line("0.000012000", "0.001000000", "0.000300000", "Normal"), Some(812)),
            (line("-0.000012000", "0.001000000", "0.000300000", "Normal"), Some(812)),
            (line("0.0000001", "0", "0.000300", "Normal"), Some(301)),
            (line("0.000012", "0.001", "0.0003", "Not synchronised"), None),
            (line("x", "0.001", "0.0003", "Normal"), None),
            (line("1e-5", "0.001", "0.0003", "Normal"), None),
            (line("", "0.001", "0.0003", "Normal"), None),
            (String::new(), None),
            ("a,b,c".to_owned(), None),
        ] {
            assert_eq!(host_word(&text).map(|word| word.error_us), wanted, "{text}");
        }
        let word = host_word(&line("0", "0", "0", "Normal")).unwrap();
        assert_eq!(word.synced, WallTime::from_micros(1_795_171_200_250_000));
    }

    #[test]
    fn a_lock_begins_after_a_window_and_says_its_worst_sample() {
        assert_eq!(watch((0..64).map(|s| clocks(s, 2_000))).row(None), None, "not before the first sample");
        let held = watch((0..200).map(|s| clocks(s, 2_000)));
        let row = held.row(Some(WallTime::from_micros(7))).unwrap();
        assert_eq!((row.offset_us, row.uncertainty_us, row.second_us), (2_000, 8_900, Some(7)));
        assert_eq!(row.locked_from_us, clocks(0, 0).wall.micros);
        assert_eq!(row.locked_until_us, clocks(199, 0).wall.micros);
        // Pictures that came late do not count where one came in time.
        let late = watch((0..65).map(|s| clocks(s, if s == 9 { 2_000 } else { -30_000 })));
        assert_eq!(late.row(None).unwrap().offset_us, 2_000);
    }

    #[test]
    fn a_break_ends_the_lock() {
        let whole = || watch((0..100).map(|s| clocks(s, 1_000)));
        let after = |change: fn(&mut Clocks), word: Option<HostWord>| {
            let mut held = whole();
            let mut next = clocks(100, 1_000);
            change(&mut next);
            held.picture(&next, word);
            held.row(None).is_some()
        };
        assert!(after(|_| (), Some(WORD)));
        assert!(!after(|_| (), None), "the time service is silent");
        assert!(!after(|next| next.sync = SyncState::Differs, Some(WORD)));
        assert!(!after(|next| next.sync = SyncState::Unknown, Some(WORD)));
        assert!(!after(|next| next.camera = None, Some(WORD)));
        assert!(!after(|next| next.wall = next.wall.plus(Duration::from_millis(21)), Some(WORD)), "the host stepped");
        assert!(!after(|next| next.wall = next.wall.minus(Duration::from_secs(1)), Some(WORD)));
        assert!(!after(|next| *next = clocks(131, 1_000), Some(WORD)), "half a minute without a picture");
        assert!(!after(|next| next.mono = MonoTime { micros: 5 }, Some(WORD)), "another boot");
    }

    #[test]
    fn a_spoilt_lock_gives_way_to_a_new_one() {
        let held = watch((0..65).map(|s| clocks(s, 40_000)).chain((65..131).map(|s| clocks(s, 1_000))));
        let row = held.row(None).unwrap();
        assert_eq!((row.offset_us, row.locked_from_us), (1_000, clocks(65, 0).wall.micros));
    }

    proptest! {
        /// Whatever pictures come: a lock never reaches past the last one, and its bound is never below the host's.
        #[test]
        fn a_lock_claims_no_more_than_was_seen(steps in prop::collection::vec((1_u64..40, -80_000_i64..80_000, 0_u8..10), 1..120)) {
            let (mut held, mut s, mut last) = (ClockWatch::default(), 0, clocks(0, 0));
            let mut silent_since = None;
            for (step, ahead, kind) in steps {
                s += step;
                last = clocks(s, ahead);
                if kind == 0 {
                    last.sync = SyncState::Unknown;
                    silent_since = Some(last.wall);
                }
                held.picture(&last, Some(WORD));
            }
            if let Some(row) = held.row(None) {
                prop_assert_eq!(row.locked_until_us, last.wall.micros);
                prop_assert!(row.locked_from_us <= row.locked_until_us && row.uncertainty_us >= 8_900);
                prop_assert!(silent_since.is_none_or(|at| at.micros < row.locked_from_us));
            }
        }

        #[test]
        fn any_line_is_a_word_or_none(text in "\\PC{0,200}") {
            host_word(&text);
        }
    }
}
