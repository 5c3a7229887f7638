//! The log of uses, as a tree that its operator cannot quietly rewrite: leaves, tiles, checkpoints.
//!
//! Forms: [C2SP tlog-tiles](https://c2sp.org/tlog-tiles), [tlog-checkpoint](https://c2sp.org/tlog-checkpoint),
//! [signed-note](https://c2sp.org/signed-note). Belongs here: bytes in, bytes out. Does not belong here: the journal and
//! the files (`vms-store::log`), and who may do what (`policy`).

pub mod check;
pub mod cosign;
pub mod folder;
pub mod leaf;
pub mod note;
pub mod proof;
pub mod rules;
pub mod tree;

pub use check::{Checked, Pins, check};
pub use cosign::{WitnessKey, WitnessVerifier};
pub use folder::{Fault, Folder};
pub use leaf::{Commitment, Leaf, LeafError, LeafKind};
pub use note::{LogKey, NoteFailure};
pub use tlog_tiles::tlog::{EMPTY_HASH, Hash};
pub use tree::{TileWrite, Tree};
