//! How much memory the process has in use, and what one camera may make it keep.
//!
//! `retina` bounds neither the headers nor the body of an RTSP message (its limit is not reachable through its client), and an
//! interleaved message in the middle of a stream may be as long as it likes. All sessions of a process take turns on one
//! thread, so what the process gained while one session was polled is what that session keeps.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::task::{Context, Poll};

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

/// Takes from the task's turn what goes beyond a few readings; the runtime gives every task a turn of 128.
pub(crate) fn shorten_turn(cx: &mut Context<'_>) {
    for _ in READINGS_MAX..128 {
        match tokio::task::coop::poll_proceed(cx) {
            Poll::Ready(proceed) => proceed.made_progress(),
            Poll::Pending => return,
        }
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
