//! Who was there when the process died. Pure: deaths in, a verdict out.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::Instant;
use vms_core::StreamId;

/// So many deaths make a camera go.
pub(crate) const DEATHS_MAX: usize = 3;
/// Deaths longer ago than this are forgotten.
pub(crate) const WINDOW: Duration = Duration::from_secs(3_600);
/// Exit status of a Rust program whose main thread panicked.
const PANICKED: i32 = 101;

/// Deaths of one process, by the stream whose turn it was.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    deaths: BTreeMap<StreamId, Vec<Instant>>,
}

impl Suspects {
    /// The process crashed during this stream's turn. True: it was the third time within the hour.
    pub(crate) fn died(&mut self, stream: StreamId, now: Instant) -> bool {
        let deaths = self.deaths.entry(stream).or_default();
        deaths.retain(|at| now.duration_since(*at) < WINDOW);
        deaths.push(now);
        let is_guilty = deaths.len() >= DEATHS_MAX;
        if is_guilty {
            self.deaths.remove(&stream);
        }
        is_guilty
    }
}

/// Whether the process died of itself: a memory fault, an abort (a panic, or no memory left), a refused system call. Being killed
/// from outside, an orderly end and an error at its start are nobody's doing.
pub(crate) fn is_crash(status: ExitStatus) -> bool {
    let own = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGSYS, libc::SIGTRAP];
    status.signal().is_some_and(|signal| own.contains(&signal)) || status.code() == Some(PANICKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_deaths_within_the_hour_count_and_no_others() {
        let start = Instant::now();
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        let (one, two) = (StreamId::from_bytes([1; 16]), StreamId::from_bytes([2; 16]));
        let mut suspects = Suspects::default();
        for (stream, minute, wanted) in [
            (one, 0, false),
            (two, 1, false),
            (one, 2, false),
            (two, 3, false),
            // Sixty minutes after the first: that one is forgotten.
            (one, 60, false),
            (one, 61, true),
            // It starts anew after the verdict.
            (one, 62, false),
            (two, 59, true),
        ] {
            assert_eq!(suspects.died(stream, at(minute)), wanted, "minute {minute}");
        }
    }

    #[test]
    fn only_a_death_of_its_own_counts() {
        for (raw, wanted) in [
            (libc::SIGSEGV, true),
            (libc::SIGABRT, true),
            (libc::SIGSYS, true),
            (101 << 8, true),
            (libc::SIGKILL, false),
            (libc::SIGTERM, false),
            (1 << 8, false),
            (0, false),
        ] {
            assert_eq!(is_crash(ExitStatus::from_raw(raw)), wanted, "{raw}");
        }
    }
}
