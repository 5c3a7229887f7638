//! How much memory the process has in use, and what one camera may make it keep.
//!
//! `retina` bounds neither the headers nor the body of an RTSP message (its limit is not reachable through its client), and an
//! interleaved message in the middle of a stream may be as long as it likes. All sessions of a process take turns on one
//! thread, so what the process gained while one session was polled is what that session keeps.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::task::{Context, Poll, Waker};

/// What a session may keep while it opens, or between two packets, bytes. An honest camera keeps some 300 KiB.
pub const KEPT_MAX: i64 = 2 * 1024 * 1024;
/// Readings of a socket in one turn of a session that is watched: memory is looked at between turns only, and each reading may
/// double what is kept.
const READINGS_MAX: u32 = 3;
/// A message in pieces is normal; from so many readings without a packet on, memory is looked at.
const BARREN_MAX: u32 = 3;

/// The process's resident memory, read from `/proc` through a file that stays open: works inside of Landlock.
#[derive(Debug)]
pub struct Memory {
    status: File,
}

impl Memory {
    /// Opens the file; do it before the process confines itself.
    ///
    /// # Errors
    /// No `/proc` here.
    pub fn open() -> std::io::Result<Self> {
        Ok(Self { status: File::open("/proc/self/status")? })
    }

    /// Resident bytes (proc(5), `VmRSS`); zero when the kernel does not tell.
    pub fn resident(&self) -> i64 {
        let mut text = [0_u8; 4096];
        let length = self.status.read_at(&mut text, 0).unwrap_or(0);
        let text = text.get(..length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: i64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        kib.saturating_mul(1_024)
    }
}

/// Takes from the task's turn what goes beyond a few readings; the runtime gives every task a turn of 128. A turn that is short
/// already is left alone: what is left of it may be just enough to see that nothing more is there.
pub(crate) fn shorten_turn(cx: &mut Context<'_>) {
    if !is_longer_than(READINGS_MAX) {
        return;
    }
    for _ in READINGS_MAX..128 {
        match tokio::task::coop::poll_proceed(cx) {
            Poll::Ready(proceed) => proceed.made_progress(),
            Poll::Pending => return,
        }
    }
}

/// Whether the task's turn has more than `steps` left. Nothing of it is used up, and the task is not woken again for it: each step
/// is given back when its token goes, the last one first.
fn is_longer_than(steps: u32) -> bool {
    let mut nobody = Context::from_waker(Waker::noop());
    match tokio::task::coop::poll_proceed(&mut nobody) {
        Poll::Ready(proceed) => {
            let is_longer = steps.checked_sub(1).is_none_or(is_longer_than);
            drop(proceed);
            is_longer
        }
        Poll::Pending => false,
    }
}

/// What one session is known to keep.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    bytes: i64,
    barren: u32,
}

impl Kept {
    /// Polls a session that has yielded no packet yet, or none for a while. True in the second place: it keeps too much and
    /// must go.
    pub(crate) fn around<T>(&mut self, memory: &Memory, poll: impl FnOnce() -> T) -> (T, bool) {
        let before = memory.resident();
        let out = poll();
        self.bytes = self.bytes.saturating_add(memory.resident() - before);
        (out, self.bytes > KEPT_MAX)
    }

    /// The last readings brought no packet: it may be in the middle of a message.
    pub(crate) const fn was_barren(&self) -> bool {
        self.barren > BARREN_MAX
    }

    /// Another reading brought no packet. True: from now on it is worth looking.
    pub(crate) const fn is_barren(&mut self) -> bool {
        self.barren = self.barren.saturating_add(1);
        self.barren > BARREN_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_is_shortened_once_and_to_a_few_readings() {
        let steps_left = || (0_u32..).take_while(|_| is_longer_than(0) && take_one()).count();
        let (whole, short) = tokio::spawn(std::future::poll_fn(move |cx| {
            let whole = is_longer_than(100);
            for _ in 0..5 {
                shorten_turn(cx);
            }
            assert!(is_longer_than(READINGS_MAX - 1) && !is_longer_than(READINGS_MAX), "looking uses nothing up");
            Poll::Ready((whole, steps_left()))
        }))
        .await
        .unwrap();
        assert!(whole);
        assert_eq!(u32::try_from(short).unwrap(), READINGS_MAX);
    }

    fn take_one() -> bool {
        match tokio::task::coop::poll_proceed(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(proceed) => {
                proceed.made_progress();
                true
            }
            Poll::Pending => false,
        }
    }

    #[test]
    fn what_is_kept_is_seen_and_what_is_given_back_too() {
        let memory = Memory::open().unwrap();
        assert!(memory.resident() > 500_000);
        let mut kept = Kept::default();
        let (small, too_much) = kept.around(&memory, || vec![1_u8; 100_000]);
        assert!(!too_much);
        let (large, too_much) = kept.around(&memory, || vec![1_u8; 40 << 20]);
        assert!(too_much, "{kept:?}");
        let ((), too_much) = kept.around(&memory, || drop((small, large)));
        assert!(!too_much, "{kept:?}");
    }
}
