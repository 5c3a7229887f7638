//! Keys and swap. Core dumps are switched off by the crate `harden`, which every role calls first.

/// Asks the kernel to keep every page of this process that is touched from now on out of the swap (`mlockall` with
/// `MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT`). Refused unless `LimitMEMLOCK=` allows it: then run without swap
/// (`MemorySwapMax=0` in the unit does the same for one service), and say so in the log.
///
/// # Errors
/// What the kernel answered.
pub fn lock_memory() -> std::io::Result<()> {
    use rustix::mm::{MlockAllFlags, mlockall};
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT).map_err(Into::into)
}
