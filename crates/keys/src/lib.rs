//! The key hierarchy and the key store: root generation → hour key → segment key.
//!
//! Belongs here: making, wrapping, saving, rotating, holding and destroying keys, and the sealing of records with them. Does
//! not belong here: who may look (`policy`, `vms-app`), when a term ends and whether the clock is trusted (the sweeper of
//! `recorder`), media and its files. docs/KEYS.md tells the whole story.
//!
//! Promises:
//! * a key that [`KeyRing::begin_segment`] hands out lies, wrapped and synced, in every copy that the configuration names;
//! * what [`KeyRing::destroy_hours`] reports as destroyed opens nothing any more, unless [`KeyRing::hold`] answered "held" for it;
//! * changed, cut or swapped bytes give a clear error or an earlier state, never another key.

mod backup;
mod check;
mod codec;
pub mod disk;
mod error;
mod frame;
mod gate;
mod hold;
mod ids;
mod keyfile;
mod keyring;
mod memory;
mod open;
mod rotate;
mod rows;
mod seal;
mod secret;
pub mod state;
mod wraps;

pub use backup::{BackupPlan, BackupReport, RestoreReport, fuzz_key_backup, restore};
pub use check::{CheckReport, CopyReport};
pub use disk::{Disk, RealDisk};
pub use error::{Copy, KeyError, OpenSegmentError};
pub use frame::fuzz_key_journal;
pub use gate::{GateNumber, GatePlan, GateSecret, Gating, SealedShare};
pub use hold::{HoldReport, Release};
pub use ids::{Generation, Hour, KeyEpoch, KeyName, Reason, Scope, StoreId};
pub use keyfile::{Credential, Protection, fuzz_key_file};
pub use keyring::{CopyPaths, KeyRing, KeyStoreConfig, SecondCopy};
pub use memory::lock_memory;
pub use open::{OpenOptions, probe};
pub use rotate::{DestroyedKey, Destruction, Rotation};
pub use seal::{OpenError, SealError, SealedWriterKey, SegmentOpener};
pub use secret::{Random, RandomError, Secret, SystemRandom, TAG_LEN};
pub use wraps::fuzz_hour_wraps;

#[cfg(test)]
mod tests;
